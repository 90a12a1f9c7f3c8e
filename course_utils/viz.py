"""Pictures for the notebooks: images in rows, figures as charts of explorers, tables.

Importing this module gives all figures of the session the course's style (`style.use()`): its colours, and curves
that differ in line style as well as in hue. `show_images` and `show_rows` draw into the axes `ax` if they are given,
else into a figure of their own.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from course_utils import style
from course_utils.data import to_float, to_uint8
from course_utils.inputs import check_at_least, check_maps
from course_utils.style import PALETTE, Chart

__all__ = ["PALETTE", "Chart", "chart", "show_images", "show_rows", "table", "tile"]

style.use()


def tile(x: Tensor, columns: int, *, gap: int = 1) -> np.ndarray:
    """Lay images (N, 1 or 3, H, W) in [-1, 1] out in rows, white between them; values outside are clipped.

    Returns:
        Bytes (height, width, 3), ready for `imshow`.

    Raises:
        ValueError: no float images of 1 or 3 channels, NaN or infinity, no column, or a gap below 0.
    """
    check_maps(x, (None, None, None))
    if x.shape[1] not in (1, 3):
        raise ValueError(f"x must have 1 or 3 channels, not {x.shape[1]}: (N, 1 or 3, H, W)")
    if not x.isfinite().all():
        raise ValueError("x must be finite, but holds NaN or infinity")
    check_at_least(1, columns=columns)
    check_at_least(0, gap=gap)
    pictures = np.broadcast_to(to_uint8(x), (len(x), *x.shape[2:], 3))
    n, height, width, _ = pictures.shape
    columns = min(columns, n)
    sheet = np.full(
        (-(-n // columns) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8
    )
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def show_images(
    x: Tensor, *, columns: int = 10, title: str = "", scale: float = 0.6, ax: Axes | None = None
) -> None:
    """Images (N, 1 or 3, H, W) in [-1, 1] in a grid; `scale` is the height of one image in inches, above 0.

    Without `ax` it is a figure of its own, and stands in a notebook before what the cell shows next.
    """
    _check_above_0(scale=scale)
    sheet, alone = tile(x, columns), ax is None
    if ax is None:
        per_inch = x.shape[2] / scale
        size = sheet.shape[1] / per_inch, sheet.shape[0] / per_inch + (0.3 if title else 0)
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    ax.imshow(sheet, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()
    if alone:
        plt.show()


def show_rows(rows: Mapping[str, Tensor], *, scale: float = 0.6, ax: Axes | None = None) -> None:
    """One labelled row of images for each entry: {"clean": (N, C, H, W), "noisy": (N, C, H, W), …}.

    Without `ax` it is a figure of its own, as for `show_images`.
    """
    _check_above_0(scale=scale)
    if not rows:
        raise ValueError("rows is empty; at least one row of images is needed")
    for name, x in rows.items():
        check_maps(x, (None, None, None), f"rows[{name!r}]")
    shapes = {tuple(x.shape) for x in rows.values()}
    if len(shapes) != 1:
        raise ValueError(f"rows must have one shape (N, C, H, W), not {', '.join(map(str, sorted(shapes)))}")
    n, _, height, width = shapes.pop()
    sheet, alone = tile(torch.cat([x.detach().cpu() for x in rows.values()]), columns=n), ax is None
    if ax is None:
        size = scale * n * width / height + 1.4, scale * len(rows) + 0.1
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    ax.imshow(sheet, interpolation="nearest")
    ax.set_yticks([(height + 1) * i + height / 2 for i in range(len(rows))], list(rows))
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if alone:
        plt.show()


COORDINATES = re.compile(r' (?:d|x|y|points)="[^"]*"')
DECIMALS = re.compile(r"(\.\d)\d+")


def chart(figure: Figure) -> Chart:
    """A figure as a chart, its text as text; the figure is closed."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(80)
    canvas.draw()
    image = to_float(np.asarray(canvas.buffer_rgba())[None, ..., :3])[0]
    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "course"}):
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    plt.close(figure)
    svg = written.getvalue()
    # A tenth of a point is a hair's breadth; more digits would only fill the notebook.
    return Chart(
        COORDINATES.sub(lambda found: DECIMALS.sub(r"\1", found[0]), svg[svg.index("<svg") :]), image
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Markdown:
    """A table for the reader: the first column as text, measured numbers to three digits, 0.9 as 0.900.

    What was measured may differ on another machine: tag the cell that shows it `nbval-ignore-output`.
    """
    if any(len(row) != len(header) for row in rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"rows must have {len(header)} entries each, as the header has; got {lengths}")

    def number(value: float) -> str:
        text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e7 else f"{value:#.3g}".removesuffix(".")
        return text.replace("-", "−")

    def text(cell: object) -> str:  # a bar would begin the next column
        return number(cell) if isinstance(cell, float) else str(cell).replace("|", "\\|")

    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(map(text, cells)) + " |"

    return Markdown("\n".join([line(header), line(["---"] + ["---:"] * (len(header) - 1)), *map(line, rows)]))


def _check_above_0(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value} must be a number above 0")
