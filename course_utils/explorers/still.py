"""The still picture of an explorer, which pages show that run no scripts (GitHub)."""

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


def still_picture(explorer: Explorer) -> bytes:
    """A PNG of the explorer at its present index: the map and its decoded nodes, then a row for each panel."""
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


def with_few_colours(picture: Image.Image, reserved: np.ndarray, colours: int = 128) -> Image.Image:
    """An RGB picture with a palette of so many colours, those reserved (N, 3) among them.

    A pixel of a reserved colour keeps it, whatever else is in the picture; every other gets the nearest there is.
    """
    size = colours - len(reserved)
    rest = picture.quantize(size, dither=Image.Dither.NONE).getpalette() or []
    palette = np.concatenate([reserved, np.array(rest[: 3 * size]).reshape(-1, 3)])
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

    frames, pad = _Frames(explorer), _pad_of(explorer)
    on_map = [p for p in explorer.panels if pad is not None and (p["strides"][pad[0]] or p["strides"][-1])]
    rows = [panel for panel in explorer.panels if panel not in on_map]
    heights = ([3.4] if pad is not None else []) + [1.05] * len(rows)
    figure = Figure(figsize=(8, sum(heights) + 0.1), dpi=80, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    if pad is not None:
        _draw_dots(figure.add_subplot(grid[0, 0]), pad[1], frames.here)
        decoded = next((panel for panel in on_map if panel["strides"][pad[0]]), None)
        if decoded is not None:
            _draw_nodes(figure.add_subplot(grid[0, 1]), decoded, pad, frames)
    for number, panel in enumerate(rows, start=len(heights) - len(rows)):
        _draw_row(figure.add_subplot(grid[number, :]), explorer, panel, frames)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")


class _Frames:
    """The frames of an explorer's panels, decoded once."""

    def __init__(self, explorer: Explorer) -> None:
        self.sprites = explorer.sprites
        self.sheets = [sheet_of(sprite) for sprite in explorer.sprites]
        self.here = [*explorer.index, 0]

    def of(self, panel: Mapping[str, Any], moved: Mapping[int, int]) -> np.ndarray:
        """The frame (H, W, 3) of a panel, with some controls moved away from the present index."""
        number, where = panel["sprite"], [moved.get(i, v) for i, v in enumerate(self.here)]
        frame = frame_of(panel, self.sprites[number], self.sheets[number], where)
        return np.broadcast_to(frame, (*frame.shape[:2], 3))


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
    axes: Any, panel: Mapping[str, Any], pad_of: tuple[int, Mapping[str, Any]], frames: _Frames
) -> None:
    """A panel's frames on a grid over the map."""
    number, pad = pad_of
    longer = max(pad["columns"], pad["rows"])
    across, up = (_spread(pad[k], max(2, round(12 * pad[k] / longer))) for k in ("columns", "rows"))
    lines = [[frames.of(panel, {number: r * pad["columns"] + c}) for c in across] for r in reversed(up)]
    axes.imshow(np.concatenate([np.concatenate(line, axis=1) for line in lines]))
    axes.set_title(f"{panel['title']}, on a grid over the map", fontsize=8)
    axes.set_axis_off()


def _draw_row(axes: Any, explorer: Explorer, panel: Mapping[str, Any], frames: _Frames) -> None:
    """A panel's frames along the first slider that it depends on, else its present frame."""
    sliders = [i for i, c in enumerate(explorer.controls) if c["kind"] == "slider" and panel["strides"][i]]
    height, width = frames.of(panel, {}).shape[:2]
    most = max(2, min(11, round(11 * height / width)))  # wide frames: fewer of them
    if sliders:
        along, slider = sliders[0], explorer.controls[sliders[0]]
        steps = _spread(slider["size"], most)
        shown = [frames.of(panel, {along: k}) for k in steps]
        where = [[k if i == along else v for i, v in enumerate(frames.here)] for k in steps]
        ticks = [value_at(slider["ticks"], slider["strides"], w) for w in where]
    else:
        shown, ticks = [frames.of(panel, {})], [""]
    width = shown[0].shape[1] + 2
    blank = width * (most - len(shown))  # a row is as wide without a slider, so that frames have one size
    sheet = np.concatenate([np.pad(f, ((0, 0), (0, 2), (0, 0)), constant_values=255) for f in shown], axis=1)
    axes.imshow(np.pad(sheet, ((0, 0), (0, blank), (0, 0)), constant_values=255))
    axes.set_title(panel["title"], fontsize=8, loc="left")
    axes.set_xticks([width * (k + 0.5) - 1.5 for k in range(len(shown))], ticks, fontsize=7)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)


def _spread(n: int, most: int) -> list[int]:
    """At most so many of 0 ... n - 1, evenly spread, ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()
