"""The still picture of an explorer, which pages show that run no scripts (GitHub); it stands for itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from course_utils import style
from course_utils.explorers.sprites import (
    colours_of,
    data_uri,
    frame_of,
    picture_with_palette,
    sheet_of,
    value_at,
)

if TYPE_CHECKING:
    from course_utils.explorers.engine import Explorer

WIDTH, DPI = 8, 100  # inches, and pixels an inch


def still_picture(explorer: Explorer) -> bytes:
    """A PNG of the explorer at its present index: title, state, the map with its nodes, each panel, the read-outs."""
    from matplotlib import rc_context

    with rc_context(style.rc()):
        picture = _drawn(explorer)
    pad = _pad_of(explorer)
    classes = np.zeros((0, 3), int) if pad is None else _rgb(pad[1]["palette"])
    tints = (classes + 255) // 2  # the rims of dots on white
    few = with_few_colours(picture, np.concatenate([classes, tints]))
    return base64.b64decode(data_uri(few).split(",", 1)[1])


def _rgb(colours: Sequence[str]) -> np.ndarray:
    """Colours like "#1874ee" as (N, 3) in 0 ... 255."""
    return np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])


def with_few_colours(picture: Image.Image, reserved: np.ndarray, colours: int = 160) -> Image.Image:
    """An RGB picture with a palette of so many colours, those reserved (N, 3) among them.

    A pixel of a reserved colour keeps it, whatever else is in the picture; every other gets the nearest there is. Half
    of these go to the colours that most pixels have, the greys of digits; half so that none is far from its own, as a
    small red star among them would be.
    """
    size = colours - len(reserved)
    halves = ((size // 2, Image.Quantize.MEDIANCUT), (size - size // 2, Image.Quantize.MAXCOVERAGE))
    rest = [
        (picture.quantize(n, way, dither=Image.Dither.NONE).getpalette() or [])[: 3 * n] for n, way in halves
    ]
    palette = np.concatenate([reserved, np.concatenate(rest).reshape(-1, 3)])
    used, numbers = colours_of(np.asarray(picture))
    parts = np.array_split(used, len(used) // 4096 + 1)  # each against the whole palette at once
    nearest = np.concatenate([_nearest(part, palette) for part in parts])
    return picture_with_palette(nearest[numbers], palette)


def _nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The number of the palette's colour (M, 3) nearest to each colour (N, 3)."""
    return np.square(colours[:, None] - palette).sum(axis=2).argmin(axis=1)


def _pad_of(explorer: Explorer) -> tuple[int, Mapping[str, Any]] | None:
    """The explorer's map among its controls, and its number."""
    return next(((i, c) for i, c in enumerate(explorer.controls) if c["kind"] == "pad"), None)


def _drawn(explorer: Explorer) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frames, pad = Frames(explorer), _pad_of(explorer)
    on_map = [p for p in explorer.panels if pad is not None and (p["strides"][pad[0]] or p["strides"][-1])]
    rows = _lines_of(_rows_of(explorer, [p for p in explorer.panels if p not in on_map], frames))
    table = _values_of(explorer, frames.here)
    heights = [0.5] + ([3.4] if pad is not None else []) + [max(row.height for row in line) for line in rows]
    heights += [0.12 + 0.2 * len(table)] if table else []
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    _draw_head(figure.add_subplot(grid[0]), explorer)
    if pad is not None:
        _draw_map(figure, grid[1], pad, on_map, frames)
    for number, line in enumerate(rows, start=1 if pad is None else 2):
        widths = [row.width for row in line]
        cells = grid[number].subgridspec(
            1, len(line) + 1, width_ratios=[*widths, max(0.01, WIDTH - sum(widths))]
        )
        for k, row in enumerate(line):
            row.draw(figure.add_subplot(cells[k]))
    if table:
        _draw_values(figure.add_subplot(grid[-1]), table)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")


def _draw_head(axes: Any, explorer: Explorer) -> None:
    """The title, the state of the controls, and how to get the living one."""
    axes.set_axis_off()
    axes.text(0, 1, explorer.title, fontsize=10, weight="bold", va="top")
    how = "A still. Run the notebook, or open its page, to drag."
    axes.text(1, 1, how, fontsize=7, color="0.4", ha="right", va="top")
    said = [
        f"{control['name']}: {_label_of(control, number, [*explorer.index, 0])}"
        for number, control in enumerate(explorer.controls)
        if control["kind"] != "pad"
    ]
    axes.text(0, 0, "   ".join(said), fontsize=7.5, va="bottom")


def _values_of(explorer: Explorer, here: Sequence[int]) -> list[list[str]]:
    """A table of the read-outs, along the first slider that any of them depends on: a head, then a row for each."""
    if not explorer.readouts:
        return []
    slider = next((i for i in _sliders(explorer) if any(r["strides"][i] for r in explorer.readouts)), None)
    longest = 0 if slider is None else max(map(len, explorer.controls[slider]["ticks"]))
    where, ticks = _along(explorer, slider, here, 6 if longest < 10 else 3)
    head = [] if slider is None else [[explorer.controls[slider]["name"], *ticks]]
    return head + [[_label(explorer, r), *(_said(r, w) for w in where)] for r in explorer.readouts]


def _along(
    explorer: Explorer, number: int | None, here: Sequence[int], most: int
) -> tuple[list[list[int]], list[str]]:
    """The positions of all controls as one of them moves, at most so many, and its labels there; without one, here."""
    if number is None:
        return [[*here]], [""]
    control, present = explorer.controls[number], here[number]
    steps = _spread(control["size"], most) if most > 1 else [present]
    if len(steps) > 2 and present not in steps:  # one of those between the ends gives way to it
        steps[1 + int(np.argmin(np.abs(np.array(steps[1:-1]) - present)))] = present
    where = [[*here[:number], k, *here[number + 1 :]] for k in steps]
    return where, [_label_of(control, number, w) for w in where]


def _label_of(control: Mapping[str, Any], number: int, where: Sequence[int]) -> str:
    """What a slider or a choice says at positions of all controls."""
    if control["kind"] == "choice":
        return str(control["options"][where[number]])
    return str(value_at(control["ticks"], control["strides"], where))


def _label(explorer: Explorer, readout: Mapping[str, Any]) -> str:
    of = "" if readout["panel"] < 0 else f"{explorer.panels[readout['panel']]['title']}: "
    return f"{of}{readout['label']}"


def _said(readout: Mapping[str, Any], where: Sequence[int]) -> str:
    value = value_at(readout["values"], readout["strides"], where)
    return value if isinstance(value, str) else f"{value:.{readout['decimals']}f}"


def _draw_values(axes: Any, table: Sequence[Sequence[str]]) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(table), 0))
    columns = len(table[0]) - 1
    for row, (label, *values) in enumerate(table):
        colour = "0.4" if columns > 1 and row == 0 else "black"
        axes.text(0, row + 0.5, label, fontsize=7.5, va="center", color=colour)
        for column, value in enumerate(values):
            x = 0.5 + 0.5 * (column + 1) / max(columns, 2)
            axes.text(x, row + 0.5, value, fontsize=7.5, va="center", ha="right", color=colour)


def _sliders(explorer: Explorer) -> list[int]:
    return [i for i, control in enumerate(explorer.controls) if control["kind"] == "slider"]


class Frames:
    """The frames of an explorer's panels, decoded once."""

    def __init__(self, explorer: Explorer) -> None:
        self.sprites = explorer.sprites
        self.sheets = [sheet_of(sprite) for sprite in explorer.sprites]
        self.charts = explorer._charts.images
        self.here = [*explorer.index, 0]

    def of(self, panel: Mapping[str, Any], where: Sequence[int]) -> np.ndarray:
        """The frame uint8 (H, W, C) of a panel at positions of all controls; a chart's image."""
        number = panel["sprite"]
        if number < 0:
            return self.charts[value_at(panel["frames"], panel["strides"], where)]
        return frame_of(panel, self.sprites[number], self.sheets[number], where)

    def in_colour(self, panel: Mapping[str, Any], where: Sequence[int]) -> np.ndarray:
        """The same as (H, W, 3)."""
        frame = self.of(panel, where)
        return np.broadcast_to(frame, (*frame.shape[:2], 3))


def _draw_map(figure: Any, place: Any, pad: tuple[int, Any], on_map: Sequence[Any], frames: Frames) -> None:
    """The map's dots beside a panel's frames on a grid over it, or the one of the two that there is."""
    decoded = next((panel for panel in on_map if panel["strides"][pad[0]]), None)
    cells = place.subgridspec(1, 2)
    if pad[1].get("points") or decoded is None:
        _draw_dots(figure.add_subplot(cells[0]), pad[1], frames.here)
        place = cells[1]
    if decoded is not None:
        _draw_nodes(figure.add_subplot(place), decoded, pad, frames)


def _draw_dots(axes: Any, pad: Mapping[str, Any], where: Sequence[int]) -> None:
    """The map's dots in the colours of their classes."""
    if pad.get("points"):
        sets = list(np.array(pad["points"]).reshape(-1, pad["count"], 2))
        (x, y), colours = value_at(sets, pad["strides"], where).T, pad["palette"]
        labels = np.array(pad.get("labels", np.zeros(len(x), int)))
        for k in np.unique(labels):
            name, chosen = pad["classes"][k] if pad["classes"] else None, labels == k
            axes.scatter(x[chosen], y[chosen], s=7, color=colours[k % len(colours)], label=name)
    if pad["classes"]:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handletextpad=0.1)
    axes.set(xlim=pad["x"], ylim=pad["y"], xlabel=pad["axes"][0], ylabel=pad["axes"][1], aspect="equal")
    axes.tick_params(labelsize=7)


def _draw_nodes(
    axes: Any, panel: Mapping[str, Any], pad_of: tuple[int, Mapping[str, Any]], frames: Frames
) -> None:
    """A panel's frames on a grid over the map."""
    number, pad = pad_of
    longer = max(pad["columns"], pad["rows"])
    across, up = (_spread(pad[k], max(2, round(12 * pad[k] / longer))) for k in ("columns", "rows"))
    before, after = frames.here[:number], frames.here[number + 1 :]
    nodes = [[[*before, r * pad["columns"] + c, *after] for c in across] for r in reversed(up)]
    lines = [[frames.in_colour(panel, where) for where in line] for line in nodes]
    axes.imshow(np.concatenate([np.concatenate(line, axis=1) for line in lines]))
    axes.set_title(f"{panel['title']}, on a grid over the map", fontsize=8)
    axes.set(xticks=[], yticks=[], xlabel=pad["axes"][0], ylabel=pad["axes"][1])
    axes.spines[:].set_visible(False)


class _Row:
    """A panel's frames along its strip or the first slider that it depends on, as many as stay readable; else one.

    alone: the present frame only.
    """

    def __init__(
        self, explorer: Explorer, panel: Mapping[str, Any], frames: Frames, *, alone: bool = False
    ) -> None:
        self.title = panel["title"]
        rows, columns = frames.in_colour(panel, frames.here).shape[:2]
        most = int((WIDTH - 0.1) / max(0.68, 0.7 * columns / DPI))
        first = next((i for i in _sliders(explorer) if panel["strides"][i]), None)
        along = first if panel["strip"] < 0 else panel["strip"]
        where, self.ticks = _along(explorer, None if alone else along, frames.here, min(11, max(1, most)))
        self.frames = [frames.in_colour(panel, w) for w in where]
        each = min(WIDTH / len(where), max(0.7, 1.1 * columns / DPI))  # inches
        self.width, self.height = each * len(where), each * rows / columns + 0.35

    def draw(self, axes: Any) -> None:
        width = self.frames[0].shape[1] + 2
        gaps = [np.pad(f, ((0, 0), (0, 2), (0, 0)), constant_values=255) for f in self.frames]
        axes.imshow(np.concatenate(gaps, axis=1))
        axes.set_anchor("NW")
        axes.set_title(self.title, fontsize=8, loc="left")
        axes.set_xticks([width * (k + 0.5) - 1.5 for k in range(len(self.frames))], self.ticks, fontsize=7)
        axes.set_yticks([])
        axes.tick_params(length=0, pad=1)
        axes.spines[:].set_visible(False)


def _rows_of(explorer: Explorer, panels: Sequence[Mapping[str, Any]], frames: Frames) -> list[_Row]:
    """A row for each panel; of frames that a strip shows already, the present one only."""
    rows = [_Row(explorer, panel, frames) for panel in panels]
    strips = [row.frames for panel, row in zip(panels, rows, strict=True) if panel["strip"] >= 0]
    return [
        _Row(explorer, panel, frames, alone=True)
        if panel["strip"] < 0 and any(_equal(row.frames, strip) for strip in strips)
        else row
        for panel, row in zip(panels, rows, strict=True)
    ]


def _equal(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def _lines_of(rows: Sequence[_Row]) -> list[list[_Row]]:
    """The rows in lines, narrow ones side by side."""
    lines: list[list[_Row]] = []
    for row in rows:
        if lines and sum(r.width for r in lines[-1]) + row.width <= WIDTH - 0.2:
            lines[-1].append(row)
        else:
            lines.append([row])
    return lines


def _spread(n: int, most: int) -> list[int]:
    """At most so many of 0 ... n - 1, evenly spread, ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()
