"""Pictures for the notebooks: rows of images, points coloured by class, densities of the plane.

Each function draws into the axes `ax` if they are given, else into a figure of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.data import to_float, to_uint8

# Ten colours that stay apart for colour-blind readers (after Paul Tol's "muted" and "bright" schemes).
PALETTE = (
    "#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE",
    "#AA3377", "#882255", "#44AA99", "#DD8833", "#777777",
)  # fmt: skip


def tile(x: Tensor, columns: int, *, gap: int = 1) -> np.ndarray:
    """Lay images (N, C, H, W) in [-1, 1] out in rows, white between them.

    Returns:
        Bytes (height, width, 3), ready for `imshow`.
    """
    if x.ndim != 4 or not len(x) or x.shape[1] not in (1, 3):
        raise ValueError(f"x must have the shape (N, 1 or 3, H, W) with N ≥ 1, not {tuple(x.shape)}")
    if columns < 1:
        raise ValueError(f"columns={columns} must be at least 1")
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
    """Images (N, C, H, W) in [-1, 1] in a grid; `scale` is the height of one image in inches."""
    sheet = tile(x, columns)
    if ax is None:
        per_inch = x.shape[2] / scale
        size = sheet.shape[1] / per_inch, sheet.shape[0] / per_inch + (0.3 if title else 0)
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    ax.imshow(sheet, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()


def show_rows(rows: Mapping[str, Tensor], *, scale: float = 0.6, ax: Axes | None = None) -> None:
    """One labelled row of images for each entry: {"clean": (N, C, H, W), "noisy": (N, C, H, W), …}."""
    shapes = {tuple(x.shape) for x in rows.values()}
    if len(shapes) != 1:
        raise ValueError(f"the rows must have one shape, not {', '.join(map(str, shapes)) or 'none'}")
    n, _, height, width = shapes.pop()
    sheet = tile(torch.cat([x.detach().cpu() for x in rows.values()]), columns=n)
    if ax is None:
        size = scale * n * width / height + 1.4, scale * len(rows) + 0.1
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    ax.imshow(sheet, interpolation="nearest")
    ax.set_yticks([(height + 1) * i + height / 2 for i in range(len(rows))], list(rows))
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def show_points(
    points: Tensor, labels: Tensor, classes: tuple[str, ...], *, title: str = "", ax: Axes | None = None
) -> None:
    """Points (N, 2) of the plane, coloured by their labels (N,)."""
    if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(labels):
        raise ValueError(f"points {tuple(points.shape)} must be (N, 2) and labels {tuple(labels.shape)} (N,)")
    ax = ax or plt.figure(figsize=(5, 4.5), layout="constrained").subplots()
    xy, y = points.detach().cpu().numpy(), labels.cpu().numpy()
    for number, name in enumerate(classes):
        chosen = xy[y == number]
        ax.scatter(
            chosen[:, 0], chosen[:, 1], s=6, color=PALETTE[number % len(PALETTE)], label=name, linewidths=0
        )
    ax.legend(markerscale=3, frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    ax.set_title(title)
    ax.set_aspect("equal", adjustable="datalim")


def show_density(
    log_prob: Callable[[Tensor], Tensor], *, extent: float = 2.5, cells: int = 200, title: str = "",
    ax: Axes | None = None,
) -> None:  # fmt: skip
    """exp(log_prob) over the square [-extent, extent]²; log_prob maps points (N, 2) to (N,) nats."""
    line = (torch.arange(cells) + 0.5) * (2 * extent / cells) - extent
    points = torch.cartesian_prod(line, line)  # x varies slowest
    with torch.inference_mode():
        density = log_prob(points).exp().reshape(cells, cells).T.cpu().numpy()
    ax = ax or plt.figure(figsize=(4, 4), layout="constrained").subplots()
    ax.imshow(density, origin="lower", extent=(-extent, extent, -extent, extent), cmap="magma")
    ax.set_title(title)


def rendered(figure: Figure, *, dpi: int = 80) -> Tensor:
    """A figure as one image (3, H, W) in [-1, 1], for a frame of an explorer; the figure is closed."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)
    return to_float(pixels[None])[0]


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Markdown:
    """A table for the reader: the first column as text, numbers to three digits.

    What was measured may differ on another machine: tag the cell that shows it `nbval-ignore-output`.
    """
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"each row must have {len(header)} entries, as the header has")

    def number(value: float) -> str:
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"

    def text(cell: object) -> str:  # a bar would begin the next column
        return number(cell) if isinstance(cell, float) else str(cell).replace("|", "\\|")

    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(map(text, cells)) + " |"

    return Markdown("\n".join([line(header), line(["---"] + ["---:"] * (len(header) - 1)), *map(line, rows)]))
