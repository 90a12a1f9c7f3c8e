"""Explorers: figures that the reader drags, on one small anywidget front end.

An explorer is a set of *frames indexed by controls*. Python computes every frame once and packs them into PNG
sprites; `explorer.js` picks the frame that belongs to the position of the sliders, choices and map. So an
explorer answers at once, and goes on answering without a kernel: in a saved notebook, in an HTML page, on Colab.

    Explorer        the general machine: Slider, Choice and Pad in; Panel and Readout out
    LatentExplorer  a map of the latent space, and interpolation between two images
    NoiseExplorer   corrupt an image and see it denoised
    MetricsExplorer spoil a set of images and see what each metric says
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anywidget
import numpy as np
import torch
import traitlets
from PIL import Image
from torch import Tensor

from course_utils import autoencoders, metrics
from course_utils.nets import blur, lerp, slerp

__all__ = [
    "NEAREST",
    "Choice",
    "Explorer",
    "LatentExplorer",
    "MetricsExplorer",
    "NoiseExplorer",
    "Pad",
    "Panel",
    "Readout",
    "Slider",
]

NEAREST = "nearest point"
"""Name to put into `by` for a frame or value that belongs to the point of the pad nearest to the cursor."""

PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
"""Ten class colours that stay apart under colour-vision deficiency (Petroff 2021, arXiv:2107.02270)."""


# The parts of an explorer -----------------------------------------------------------------------------------
# `by` names the controls that a thing depends on; its array's leading axes follow that order.


@dataclass(frozen=True, eq=False)
class Slider:
    """A control with ordered values.

    ticks: the n labels; or, with `by`, an array (*sizes of by, n) of labels that change with other controls.
    play: adds a button that steps through the values, one every `interval` seconds.
    """

    name: str
    ticks: Sequence[object] | np.ndarray
    by: tuple[str, ...] = ()
    play: bool = False
    interval: float = 0.35
    group: str = ""

    @property
    def size(self) -> int:
        return np.asarray(self.ticks).shape[-1]


@dataclass(frozen=True, eq=False)
class Choice:
    """A control with named options, shown as words or, with `images` (n, C, H, W) in [-1, 1], as thumbnails."""

    name: str
    options: Sequence[str]
    images: Tensor | np.ndarray | None = None
    group: str = ""

    @property
    def size(self) -> int:
        return len(self.options)


@dataclass(frozen=True, eq=False)
class Pad:
    """A control with two continuous axes: a map with columns x rows precomputed nodes, evenly over x and y, ends
    included.

    Index r * columns + c is the node at column c, row r; row 0 has the smallest y. points: (*sizes of points_by, N, 2)
    drawn as dots; labels: (N,) class of each, coloured and named by `classes`. paths: (*sizes of by, P, 2) a line over
    the map that follows other controls; `mark` is the control with P positions that says how far along it we are.
    """

    name: str
    x: tuple[float, float]
    y: tuple[float, float]
    columns: int
    rows: int
    axes: tuple[str, str] = ("z₁", "z₂")
    points: Tensor | np.ndarray | None = None
    labels: Tensor | np.ndarray | None = None
    classes: Sequence[str] = ()
    points_by: tuple[str, ...] = ()
    paths: Tensor | np.ndarray | None = None
    by: tuple[str, ...] = ()
    mark: str | None = None
    group: str = ""

    @property
    def size(self) -> int:
        return self.columns * self.rows

    @property
    def middle(self) -> int:
        """The index of the middle node."""
        return self.rows // 2 * self.columns + self.columns // 2

    def nodes(self) -> np.ndarray:
        """The (columns * rows, 2) positions of the nodes, in index order."""
        y, x = np.meshgrid(np.linspace(*self.y, self.rows), np.linspace(*self.x, self.columns), indexing="ij")
        return np.stack([x.ravel(), y.ravel()], axis=1)


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture: frames (*sizes of by, C, H, W) in [-1, 1], C = 1 or 3.

    strip: the name of a control of `by` whose frames are all shown side by side, the current one framed.
    columns: frames are (*sizes of by, N, C, H, W), and their N images are laid out in so many columns.
    """

    title: str
    frames: Tensor | np.ndarray
    by: tuple[str, ...]
    strip: str | None = None
    columns: int | None = None
    group: str = ""


@dataclass(frozen=True, eq=False)
class Readout:
    """A value: numbers or short texts of shape (*sizes of by).

    Numbers get a bar from 0 to `maximum` (default: the largest). panel: the title of the panel to sit under.
    """

    label: str
    values: Sequence[Any] | np.ndarray | Tensor
    by: tuple[str, ...]
    maximum: float | None = None
    panel: str | None = None
    group: str = ""


Control = Slider | Choice | Pad


class _Sprites:
    """Collects frames; equal frames are stored once; one picture for each frame shape."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, ...], dict[bytes, int]] = {}

    def add(self, frames: np.ndarray) -> tuple[int, list[int]]:
        """Store uint8 frames (K, H, W, C); returns the sprite's number and each frame's tile number."""
        tiles = self.tiles.setdefault(frames.shape[1:], {})
        numbers = [tiles.setdefault(frame.tobytes(), len(tiles)) for frame in frames]
        return list(self.tiles).index(frames.shape[1:]), numbers

    def pack(self, colors: int | None, jpeg: int | None) -> list[dict[str, Any]]:
        return [self._pack_one(shape, tiles, colors, jpeg) for shape, tiles in self.tiles.items()]

    @staticmethod
    def _pack_one(
        shape: tuple[int, ...], tiles: dict[bytes, int], colors: int | None, jpeg: int | None
    ) -> dict[str, Any]:
        h, w, c = shape
        columns = math.ceil(math.sqrt(len(tiles) * h / w))
        rows = math.ceil(len(tiles) / columns)
        sheet = np.zeros((rows * columns, h, w, c), np.uint8)
        sheet[: len(tiles)] = np.stack([np.frombuffer(tile, np.uint8).reshape(shape) for tile in tiles])
        tiled = sheet.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4)
        picture = _picture(tiled.reshape(rows * h, columns * w, c), colors)
        src = _data_uri(picture, jpeg if c == 3 else None)
        return {"src": src, "tile": [h, w], "columns": columns, "count": len(tiles)}


def _data_uri(picture: Image.Image, jpeg: int | None = None) -> str:
    """The picture as PNG, or as JPEG of that quality with colour as sharp as brightness (no subsampling)."""
    buffer = io.BytesIO()
    if jpeg is None:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.convert("RGB").save(buffer, "JPEG", quality=jpeg, subsampling=0, optimize=True)
    kind = "png" if jpeg is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


# The general machine ----------------------------------------------------------------------------------------


class Explorer(anywidget.AnyWidget):
    """Frames and numbers indexed by controls, shown by `explorer.js`.

    controls, panels, readouts: what to show, see the classes above; they share rows by their `group` (a heading).
    index: the starting position of each control (default 0, a pad: its middle node).
    live: `(x, y) -> (C, H, W)` in [-1, 1] computes the frame of a pad panel between the nodes where there is a
    kernel; `live_panel` is that panel's title. Colour sprites can be made smaller with loss: drawings by `colors`, a
    palette of so many; images of all shades by `jpeg`, the quality 1..95 (80 halves what 32 colours take, and errs
    half as much). Sides of 8 or a multiple, as JPEG's blocks have, keep neighbouring frames apart.
    `index` follows what the reader does and can be set. Raises ValueError for parts that do not fit together.
    """

    _esm = Path(__file__).with_name("explorer.js")

    title = traitlets.Unicode().tag(sync=True)
    controls: traitlets.List[Any] = traitlets.List().tag(sync=True)
    panels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    readouts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    sprites: traitlets.List[Any] = traitlets.List().tag(sync=True)
    index: traitlets.List[Any] = traitlets.List().tag(sync=True, echo_update=False)
    position: traitlets.List[Any] = traitlets.List().tag(
        sync=True, echo_update=False
    )  # of the pad's cursor; [] without a pad
    live_panel = traitlets.Int(-1).tag(sync=True)
    live_frame = traitlets.Dict().tag(sync=True)  # {"position": [x, y], "src": data URI}

    _live: Callable[[float, float], Tensor | np.ndarray] | None = None

    # ipywidgets 7 (Colab) would print the widget by this hook and drop the picture of `_repr_mimebundle_`.
    _ipython_display_ = None

    def __init__(
        self,
        controls: Sequence[Control],
        panels: Sequence[Panel],
        readouts: Sequence[Readout] = (),
        *,
        title: str = "",
        index: Sequence[int] | None = None,
        live: Callable[[float, float], Tensor | np.ndarray] | None = None,
        live_panel: str | None = None,
        colors: int | None = None,
        jpeg: int | None = None,
    ) -> None:
        sizes = _sizes(controls)
        sprites = _Sprites()
        titles = [panel.title for panel in panels]
        for readout in readouts:
            if readout.panel is not None and readout.panel not in titles:
                raise ValueError(f"readout {readout.label!r}: panel={readout.panel!r} is not one of {titles}")
        if live is not None and live_panel not in titles:
            raise ValueError(f"live_panel={live_panel!r} is not one of the panels {titles}")
        pads = [control for control in controls if isinstance(control, Pad)]
        if live is not None and not pads:
            raise ValueError("live needs a Pad among the controls")
        if index is None:
            index = [c.middle if isinstance(c, Pad) else 0 for c in controls]
        state = {
            "title": title,
            "controls": [_control_state(control, sizes, sprites) for control in controls],
            "panels": [_panel_state(panel, sizes, sprites) for panel in panels],
            "readouts": [_readout_state(readout, sizes, titles) for readout in readouts],
        }
        self._live = live
        self._static_png: str | None = None
        super().__init__(
            **state,
            sprites=sprites.pack(colors, jpeg),
            index=list(index),
            live_panel=titles.index(live_panel) if live is not None and live_panel is not None else -1,
        )
        if pads:
            self.position = self._node(self.index)

    @traitlets.validate("index")
    def _check_index(self, proposal: dict[str, Any]) -> list[int]:
        sizes = [control["size"] for control in self.controls]
        value = list(proposal["value"])
        if len(value) != len(sizes) or not all(
            isinstance(i, int | np.integer) and 0 <= i < n for i, n in zip(value, sizes, strict=True)
        ):
            names = ", ".join(f"{c['name']!r} 0..{c['size'] - 1}" for c in self.controls)
            raise traitlets.TraitError(f"index={value} must hold one whole number for each control: {names}")
        return [int(i) for i in value]

    @traitlets.observe("position")
    def _answer(self, change: dict[str, Any]) -> None:
        """Decode at the cursor. Positions that arrive meanwhile are merged by the front end: the latest wins."""
        position = change["new"]
        if self._live is None or len(position) != 2 or position == self._node(self.index):
            return
        frame = _to_uint8("the frame that live returned", torch.as_tensor(self._live(*position))[None])[0]
        self.live_frame = {"position": list(position), "src": _data_uri(_picture(frame))}

    def _node(self, index: Sequence[int]) -> list[float]:
        """Where the pad's cursor stands for an index."""
        i, pad = next((i, c) for i, c in enumerate(self.controls) if c["kind"] == "pad")
        row, column = divmod(index[i], pad["columns"])
        (left, right), (bottom, top) = pad["x"], pad["y"]
        return [
            left + (right - left) * column / (pad["columns"] - 1),
            bottom + (top - bottom) * row / (pad["rows"] - 1),
        ]

    def frame(self, panel: str, index: Sequence[int] | None = None, *, nearest: int = 0) -> np.ndarray:
        """The frame that `panel` shows at `index` (default: the present one): uint8 (H, W, C).

        nearest: the number of the pad's nearest point, for panels that follow it.
        """
        state = next((p for p in self.panels if p["title"] == panel), None)
        if state is None:
            raise ValueError(f"panel={panel!r} is not one of {[p['title'] for p in self.panels]}")
        where = [*(self.index if index is None else self._check_index({"value": index})), nearest]
        sprite = self.sprites[state["sprite"]]
        return _frame(state, sprite, _sheet(sprite), where)

    def __repr__(self) -> str:
        names = " × ".join(f"{c['name']} ({c['size']})" for c in self.controls)
        return f"{type(self).__name__}({names})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The widget, and a still picture of it for pages that run no scripts."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        if self._static_png is None:
            self._static_png = base64.b64encode(_still_picture(self)).decode()
        data, metadata = bundle
        return {**data, "image/png": self._static_png}, metadata


def _sizes(controls: Sequence[Control]) -> dict[str, int]:
    """The number of positions of each control, by name; the pad's nearest point counts as one more control."""
    if not controls:
        raise ValueError("controls is empty; an explorer needs at least one Slider, Choice or Pad")
    sizes = {control.name: control.size for control in controls}
    if len(sizes) < len(controls) or NEAREST in sizes:
        raise ValueError(f"controls must have different names, got {[control.name for control in controls]}")
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"control {name!r} has no positions; at least one is needed")
    pads = [control for control in controls if isinstance(control, Pad)]
    if len(pads) > 1:
        raise ValueError(f"controls has {len(pads)} pads; at most one is allowed")
    points = pads[0].points if pads else None
    return {**sizes, NEAREST: 0 if points is None else points.shape[-2]}


def _strides(what: str, by: Sequence[str], sizes: Mapping[str, int], shape: Sequence[int]) -> list[int]:
    """Row-major strides over all controls for an array whose leading axes are the controls in `by`."""
    unknown = [name for name in by if not sizes.get(name)]
    if unknown:
        raise ValueError(
            f"{what}: by={tuple(by)} names {unknown[0]!r}, not one of {[n for n in sizes if sizes[n]]}"
        )
    expected = tuple(sizes[name] for name in by)
    if tuple(shape) != expected:
        raise ValueError(
            f"{what}: leading shape {tuple(shape)} must be {expected}, the sizes of by={tuple(by)}"
        )
    strides = dict.fromkeys(sizes, 0)
    step = 1
    for name in reversed(by):
        strides[name] = step
        step *= sizes[name]
    return list(strides.values())


def _control_state(control: Control, sizes: Mapping[str, int], sprites: _Sprites) -> dict[str, Any]:
    state: dict[str, Any] = {"name": control.name, "size": control.size, "group": control.group}
    if isinstance(control, Slider):
        ticks = np.asarray(control.ticks)
        by = (*control.by, control.name)
        strides = _strides(f"slider {control.name!r}", by, sizes, ticks.shape)
        labels = [t if isinstance(t, str) else f"{t:g}" for t in ticks.ravel().tolist()]
        return state | {
            "kind": "slider",
            "ticks": labels,
            "strides": strides,
            "play": control.play,
            "interval": control.interval,
        }
    if isinstance(control, Choice):
        state |= {"kind": "choice", "options": [str(option) for option in control.options]}
        if control.images is not None:
            sprite, numbers = sprites.add(_to_uint8(f"images of choice {control.name!r}", control.images))
            _strides(f"images of choice {control.name!r}", (control.name,), sizes, [len(numbers)])
            state |= {"sprite": sprite, "frames": numbers}
        return state
    return state | _pad_state(control, sizes)


def _pad_state(pad: Pad, sizes: Mapping[str, int]) -> dict[str, Any]:
    if min(pad.columns, pad.rows) < 2:
        size = f"columns={pad.columns}, rows={pad.rows}"
        raise ValueError(f"pad {pad.name!r}: {size} is too small; a grid needs at least 2 nodes a side")
    for axis, (low, high) in (("x", pad.x), ("y", pad.y)):
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"pad {pad.name!r}: {axis}=({low}, {high}) must be finite and increasing")
    digits = 4 - math.floor(math.log10(max(pad.x[1] - pad.x[0], pad.y[1] - pad.y[0])))

    def compact(values: Tensor | np.ndarray) -> list[float]:
        return np.round(_array(values).astype(float).ravel(), digits).tolist()

    state: dict[str, Any] = {
        "kind": "pad",
        "x": [float(v) for v in pad.x],
        "y": [float(v) for v in pad.y],
        "columns": pad.columns,
        "rows": pad.rows,
        "axes": list(pad.axes),
        "classes": [str(name) for name in pad.classes],
        "palette": list(PALETTE),
    }
    if pad.points is not None:
        points = _array(pad.points)
        state["points"], state["count"] = compact(points), points.shape[-2]
        state["strides"] = _strides(f"points of pad {pad.name!r}", pad.points_by, sizes, points.shape[:-2])
    if pad.labels is not None:
        state["labels"] = [int(label) for label in _array(pad.labels)]
    if pad.paths is not None:
        paths = _array(pad.paths)
        strides = _strides(f"paths of pad {pad.name!r}", pad.by, sizes, paths.shape[:-2])
        length = paths.shape[-2]
        if pad.mark is not None and sizes.get(pad.mark) != length:
            raise ValueError(f"pad {pad.name!r}: mark={pad.mark!r} must be a control with {length} positions")
        mark = -1 if pad.mark is None else list(sizes).index(pad.mark)
        state["paths"] = {"xy": compact(paths), "length": length, "strides": strides, "mark": mark}
    return state


def _panel_state(panel: Panel, sizes: Mapping[str, int], sprites: _Sprites) -> dict[str, Any]:
    what = f"frames of panel {panel.title!r}"
    shape = tuple(panel.frames.shape)
    columns = panel.columns
    grid = 0 if columns is None else 1  # axes between the controls' and the image's
    if columns is not None and (panel.strip is not None or len(shape) < 4 or not 1 <= columns <= shape[-4]):
        raise ValueError(
            f"panel {panel.title!r}: columns={columns} needs frames (…, N, C, H, W) with N at least "
            f"columns, and no strip; got {shape}, strip={panel.strip!r}"
        )
    count = shape[-4] if grid else 1
    strides = [count * stride for stride in _strides(what, panel.by, sizes, shape[: len(shape) - 3 - grid])]
    names = [name for name in sizes if name != NEAREST]
    if panel.strip is not None and (panel.strip not in panel.by or panel.strip not in names):
        raise ValueError(f"panel {panel.title!r}: strip={panel.strip!r} is not a control in by={panel.by}")
    sprite, numbers = sprites.add(_to_uint8(what, panel.frames.reshape(-1, *shape[-3:])))
    return {
        "title": panel.title,
        "group": panel.group,
        "sprite": sprite,
        "frames": numbers,
        "strides": strides,
        "strip": -1 if panel.strip is None else names.index(panel.strip),
        "count": count,
        "columns": columns or 1,
    }


def _readout_state(readout: Readout, sizes: Mapping[str, int], titles: list[str]) -> dict[str, Any]:
    values = _array(readout.values) if isinstance(readout.values, Tensor) else np.asarray(readout.values)
    state: dict[str, Any] = {
        "label": readout.label,
        "group": readout.group,
        "strides": _strides(f"readout {readout.label!r}", readout.by, sizes, values.shape),
        "panel": -1 if readout.panel is None else titles.index(readout.panel),
    }
    if values.dtype.kind in "US":
        return state | {"values": values.ravel().tolist()}
    if not np.isfinite(values).all():
        raise ValueError(f"readout {readout.label!r}: values must be finite")
    maximum = float(np.abs(values).max()) if readout.maximum is None else float(readout.maximum)
    decimals = max(0, 2 - math.floor(math.log10(maximum))) if maximum > 0 else 0
    numbers = np.round(values.astype(float).ravel(), decimals + 1).tolist()
    return state | {"values": numbers, "maximum": maximum, "decimals": decimals}


# Arrays and pictures ----------------------------------------------------------------------------------------


def _array(values: Tensor | np.ndarray | Sequence[Any]) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _check_images(what: str, images: Tensor | np.ndarray) -> np.ndarray:
    """Images as a NumPy array, or a ValueError that says what is wrong with them."""
    x = _array(images)
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise ValueError(f"{what} must have shape (N, C, H, W) with C = 1 or 3, got {tuple(x.shape)}")
    if len(x) == 0:
        raise ValueError(f"{what} is empty, shape {tuple(x.shape)}; at least one image is needed")
    if x.dtype.kind != "f":
        raise ValueError(f"{what} must be floating point in [-1, 1], got {x.dtype}")
    if not np.isfinite(x).all():
        raise ValueError(f"{what} must be finite, got NaN or infinite values")
    if np.abs(x).max() > 1 + 1e-3:
        raise ValueError(f"{what} must lie in [-1, 1], got values in [{x.min():.3g}, {x.max():.3g}]")
    return x


def _to_uint8(what: str, images: Tensor | np.ndarray) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) in 0 ... 255."""
    x = _check_images(what, images).transpose(0, 2, 3, 1)
    return np.rint((x.clip(-1, 1) + 1) * 127.5).astype(np.uint8)


def _picture(pixels: np.ndarray, colors: int | None = None) -> Image.Image:
    """uint8 (H, W, C) as a picture; up to 256 colours become a palette without loss, more at the caller's wish."""
    if pixels.shape[-1] == 1:
        return Image.fromarray(pixels[..., 0])
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    used, inverse = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    if len(used) > 256:
        whole = Image.fromarray(pixels)
        return whole if colors is None else whole.quantize(colors, dither=Image.Dither.NONE)
    picture = Image.frombytes("P", pixels.shape[1::-1], inverse.astype(np.uint8).tobytes())
    picture.putpalette(np.stack([used >> 16, used >> 8 & 255, used & 255], axis=1).astype(np.uint8).tobytes())
    return picture


def _sheet(sprite: Mapping[str, Any]) -> np.ndarray:
    """A sprite's pixels, (rows * H, columns * W, C)."""
    picture = Image.open(io.BytesIO(base64.b64decode(sprite["src"].split(",", 1)[1])))
    pixels = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _tile(sprite: Mapping[str, Any], sheet: np.ndarray, number: int) -> np.ndarray:
    (h, w), (row, column) = sprite["tile"], divmod(number, sprite["columns"])
    return sheet[row * h : (row + 1) * h, column * w : (column + 1) * w]


def _frame(
    panel: Mapping[str, Any], sprite: Mapping[str, Any], sheet: np.ndarray, where: Sequence[int]
) -> np.ndarray:
    """What a panel shows for positions of the controls: one tile, or its tiles in columns, white between them."""
    first = sum(i * stride for i, stride in zip(where, panel["strides"], strict=True))
    tiles = [_tile(sprite, sheet, number) for number in panel["frames"][first : first + panel["count"]]]
    columns, (h, w, c) = panel["columns"], tiles[0].shape
    rows = -(-len(tiles) // columns)
    whole = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), 255, np.uint8)
    for k, tile in enumerate(tiles):
        top, left = k // columns * (h + 1), k % columns * (w + 1)
        whole[top : top + h, left : left + w] = tile
    return whole


def _look_up(values: Sequence[Any], strides: Sequence[int], where: Sequence[int]) -> Any:
    return values[sum(i * stride for i, stride in zip(where, strides, strict=True))]


def _still_picture(explorer: Explorer) -> bytes:
    """A PNG of the explorer at its present index: the map and its decoded nodes, then a row for each panel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    look = _Look(explorer)
    pad_at = next((i for i, c in enumerate(explorer.controls) if c["kind"] == "pad"), None)
    on_map = [p for p in explorer.panels if pad_at is not None and (p["strides"][pad_at] or p["strides"][-1])]
    rows = [panel for panel in explorer.panels if panel not in on_map]
    heights = ([3.4] if pad_at is not None else []) + [1.05] * len(rows)
    figure = Figure(figsize=(8, sum(heights) + 0.1), dpi=80, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    if pad_at is not None:
        _draw_dots(figure.add_subplot(grid[0, 0]), explorer.controls[pad_at], look.here)
        decoded = next((panel for panel in on_map if panel["strides"][pad_at]), None)
        if decoded is not None:
            _draw_nodes(figure.add_subplot(grid[0, 1]), explorer, decoded, pad_at, look)
    for number, panel in enumerate(rows, start=len(heights) - len(rows)):
        _draw_row(figure.add_subplot(grid[number, :]), explorer, panel, look)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    picture = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    return base64.b64decode(_data_uri(picture).split(",", 1)[1])


class _Look:
    """The frame (H, W, 3) of a panel, with some controls moved away from the present index."""

    def __init__(self, explorer: Explorer) -> None:
        self.sprites = explorer.sprites
        self.sheets = [_sheet(sprite) for sprite in explorer.sprites]
        self.here = [*explorer.index, 0]

    def __call__(self, panel: Mapping[str, Any], moved: Mapping[int, int]) -> np.ndarray:
        number, where = panel["sprite"], [moved.get(i, v) for i, v in enumerate(self.here)]
        frame = _frame(panel, self.sprites[number], self.sheets[number], where)
        return np.broadcast_to(frame, (*frame.shape[:2], 3))


def _draw_dots(axes: Any, pad: Mapping[str, Any], where: Sequence[int]) -> None:
    if pad.get("points"):
        sets = list(np.array(pad["points"]).reshape(-1, pad["count"], 2))
        x, y = _look_up(sets, pad["strides"], where).T
        labels = np.array(pad.get("labels", np.zeros(len(x), int)))
        for k in np.unique(labels):
            name, chosen = pad["classes"][k] if k < len(pad["classes"]) else None, labels == k
            axes.scatter(x[chosen], y[chosen], s=7, color=PALETTE[k % len(PALETTE)], label=name)
    if pad["classes"]:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handletextpad=0.1)
    axes.set(xlim=pad["x"], ylim=pad["y"], xlabel=pad["axes"][0], ylabel=pad["axes"][1], aspect="equal")
    axes.tick_params(labelsize=7)


def _draw_nodes(axes: Any, explorer: Explorer, panel: Mapping[str, Any], pad_at: int, look: _Look) -> None:
    pad = explorer.controls[pad_at]
    longer = max(pad["columns"], pad["rows"])
    across, up = (_spread(pad[k], max(2, round(12 * pad[k] / longer))) for k in ("columns", "rows"))
    lines = [[look(panel, {pad_at: r * pad["columns"] + c}) for c in across] for r in reversed(up)]
    axes.imshow(np.concatenate([np.concatenate(line, axis=1) for line in lines]))
    axes.set_title(f"{panel['title']}, on a grid over the map", fontsize=8)
    axes.set_axis_off()


def _draw_row(axes: Any, explorer: Explorer, panel: Mapping[str, Any], look: _Look) -> None:
    """A panel's frames along the first slider that it depends on, else its present frame."""
    sliders = [i for i, c in enumerate(explorer.controls) if c["kind"] == "slider" and panel["strides"][i]]
    height, width = look(panel, {}).shape[:2]
    most = max(2, min(11, round(11 * height / width)))  # wide frames: fewer of them
    if sliders:
        along, slider = sliders[0], explorer.controls[sliders[0]]
        steps = _spread(slider["size"], most)
        frames = [look(panel, {along: k}) for k in steps]
        where = [[k if i == along else v for i, v in enumerate(look.here)] for k in steps]
        ticks = [_look_up(slider["ticks"], slider["strides"], w) for w in where]
    else:
        frames, ticks = [look(panel, {})], [""]
    width = frames[0].shape[1] + 2
    blank = width * (most - len(frames))  # a row is as wide without a slider, so that frames have one size
    sheet = np.concatenate([np.pad(f, ((0, 0), (0, 2), (0, 0)), constant_values=255) for f in frames], axis=1)
    axes.imshow(np.pad(sheet, ((0, 0), (0, blank), (0, 0)), constant_values=255))
    axes.set_title(panel["title"], fontsize=8, loc="left")
    axes.set_xticks([width * (k + 0.5) - 1.5 for k in range(len(frames))], ticks, fontsize=7)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)


def _spread(n: int, most: int) -> list[int]:
    """At most so many of 0 ... n - 1, evenly spread, ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()


# Models -----------------------------------------------------------------------------------------------------


class ImageSet(Protocol):
    """What `course_utils.data.load_images` returns: images x (N, C, H, W), labels y (N,) or None, class names."""

    x: Tensor
    y: Tensor | None
    classes: Sequence[str]


class LatentModel(Protocol):
    """An autoencoder: encode (N, C, H, W) -> (N, d), decode (N, d) -> (N, C, H, W) in [-1, 1]."""

    def encode(self, x: Tensor, /) -> Tensor: ...

    def decode(self, z: Tensor, /) -> Tensor: ...


class Denoiser(Protocol):
    """An autoencoder seen as a whole: reconstruct (N, C, H, W) -> (N, C, H, W) in [-1, 1]."""

    def reconstruct(self, x: Tensor, /) -> Tensor: ...


class Seen(Protocol):
    """What a classifier makes of images: features (N, d) and probabilities (N, classes)."""

    @property
    def features(self) -> Tensor: ...

    @property
    def probs(self) -> Any: ...


class Corruption(Protocol):
    """corrupt(x, kind, level, generator=...) -> x_tilde of the same shape."""

    def __call__(self, x: Tensor, kind: str, level: float, /, *, generator: torch.Generator) -> Tensor: ...


@contextmanager
def _evaluating(model: object) -> Iterator[None]:
    """Evaluation mode and no gradients inside; the model's own mode is put back after."""
    training = isinstance(model, torch.nn.Module) and model.training
    if isinstance(model, torch.nn.Module):
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if isinstance(model, torch.nn.Module):
            model.train(training)


def _in_batches(
    model: object, function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 256
) -> Tensor:
    """function(x) on the model's device, batch by batch, back on the CPU as float32."""
    parameter = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    device = x.device if parameter is None else parameter.device
    dtype = x.dtype if parameter is None else parameter.dtype
    with _evaluating(model):
        parts = [function(part.to(device, dtype)).float().cpu() for part in x.split(batch_size)]
    return torch.cat(parts)


def _pick(name: str, wanted: int | Sequence[int], total: int) -> Tensor:
    """Indices of images: so many, drawn without replacement (the same each time), or exactly those given."""
    if isinstance(wanted, int):
        if wanted < 1:
            raise ValueError(f"{name}={wanted} is too small; at least 1 image is needed")
        drawn = torch.randperm(total, generator=torch.Generator().manual_seed(0))
        return drawn[:wanted].sort().values
    chosen = torch.as_tensor([int(i) for i in wanted])
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= total:
        raise ValueError(f"{name}={list(wanted)} must hold indices from 0 to {total - 1}, at least one")
    return chosen


def _names(images: ImageSet, chosen: Tensor) -> list[str]:
    """A short name for each chosen image: its class, or its number."""
    if images.y is None:
        return [f"image {int(i)}" for i in chosen]
    labels = [int(images.y[i]) for i in chosen]
    return [str(images.classes[k]) if k < len(images.classes) else str(k) for k in labels]


# The course's explorers -------------------------------------------------------------------------------------


class LatentExplorer(Explorer):
    """Drag over the latent space and see the decoded image; interpolate between two images.

    model: `.encode` (N, C, H, W) -> (N, d), d >= 2, and `.decode` (N, d) -> (N, C, H, W) in [-1, 1]. Or a series of
    models with d = 2, as a mapping from a value to a model: a slider chooses between them.
    images: an object with x, y (or None), classes; they become the dots of the map.
    grid: nodes along the longer side of the map. points: how many images to draw, or their indices.
    anchors: how many images to interpolate between, or their indices (default: a typical one of each of the
    first six classes). steps: values of t, ends included. live: decode between the nodes where there is a kernel.
    series: the name of the slider over a series of models.
    For d = 2 the map is the latent space itself; for d > 2 it is the plane through the mean code along the two
    first principal components of the codes. Both axes have one scale, so distances are those of the latent space
    (for d > 2, as seen in that plane).
    Raises ValueError for images or codes of a wrong shape or range.
    """

    def __init__(
        self,
        model: LatentModel | Mapping[object, LatentModel],
        images: ImageSet,
        *,
        grid: int = 24,
        points: int | Sequence[int] = 400,
        anchors: int | Sequence[int] = 6,
        steps: int = 11,
        live: bool = False,
        series: str = "model",
        title: str = "Latent space",
    ) -> None:
        _check_images("images.x", images.x)
        if grid < 2:
            raise ValueError(f"grid={grid} is too small; the map needs at least 2 nodes a side")
        if steps < 2:
            raise ValueError(f"steps={steps} is too small; an interpolation has at least its 2 ends")
        of_series: list[object] = list(model) if isinstance(model, Mapping) else []
        models = list(model.values()) if isinstance(model, Mapping) else [model]
        if not models:
            raise ValueError("model={} holds no model")
        by_model = (series,) if of_series else ()  # everything shown depends on this control too
        codes = torch.stack([_codes(one, images.x) for one in models])  # (models, N, d)
        d = codes.shape[-1]
        if by_model and d != 2:
            raise ValueError(f"model: a series needs codes with d = 2, one map for all; got d = {d}")

        self._plane = _Plane.fit(codes[0])
        dots = _pick("points", points, len(images.x))
        ends = _anchors(anchors, images, codes[0])
        names = _names(images, ends)

        def decode(number: int, z: Tensor) -> Tensor:
            x = _in_batches(models[number], models[number].decode, z)
            _check_images("model.decode(z)", x)
            return x

        def stacked(frames: list[Tensor]) -> Tensor:
            return torch.stack(frames) if by_model else frames[0]

        # The map.
        flat = self._plane.project(codes)  # (models, N, 2)
        if d == 2:
            place, axes, space = "z", ("z₁", "z₂"), "latent space"
            nearest = "nearest encoded image"
        else:
            place, axes, space = (
                "(PC 1, PC 2)",
                ("PC 1", "PC 2"),
                f"first two principal components of the {d}-D codes",
            )
            nearest = "nearest image in the plane"
        explore, between = f"Drag over the {space}", "Interpolate between two images"

        # The interpolations: every unordered pair once, since swapping the ends only runs t backwards.
        k, t = len(ends), torch.linspace(0, 1, steps)
        upper = torch.triu_indices(k, k)

        def walk(number: int) -> tuple[Tensor, Tensor]:
            z0, z1 = codes[number, ends][:, None, None, :], codes[number, ends][None, :, None, :]
            routes = torch.stack([lerp(z0, z1, t), slerp(z0, z1, t)], dim=2)  # (k, k, 2, steps, d)
            x = decode(number, routes[upper[0], upper[1]].flatten(0, 2)).unflatten(0, (-1, 2, steps))
            films = x.new_empty(k, k, *x.shape[1:])
            films[upper[1], upper[0]] = x.flip(2)
            films[upper[0], upper[1]] = x
            return self._plane.project(routes), films

        paths, films = zip(*[walk(number) for number in range(len(models))], strict=True)
        route_by = (*by_model, "from", "to", "path")
        pad = Pad(
            place,
            **_grid_over(flat.flatten(0, 1), grid),
            axes=axes,
            points=stacked(list(flat[:, dots])),
            labels=None if images.y is None else images.y[dots],
            classes=() if images.y is None else images.classes,
            points_by=by_model,
            paths=stacked(list(paths)),
            by=route_by,
            mark="t",
            group=explore,
        )
        nodes = self._plane.lift(torch.as_tensor(pad.nodes(), dtype=codes.dtype))
        maps = stacked([decode(number, nodes) for number in range(len(models))])
        controls: list[Control] = [
            *(Slider(name, of_series, group=explore) for name in by_model),
            pad,
            Choice("from", names, images.x[ends], group=between),
            Choice("to", names, images.x[ends], group=between),
            Choice("path", ["linear", "spherical"], group=between),
            Slider("t", [f"{v:.3g}" for v in t.tolist()], play=True, group=between),
        ]
        panels = [
            Panel("decoded image", maps, (*by_model, place), group=explore),
            Panel(nearest, images.x[dots], (NEAREST,), group=explore),
            Panel("decoded along the path", stacked(list(films)), (*route_by, "t"), strip="t", group=between),
        ]
        class_names = Readout("class", _names(images, dots), (NEAREST,), panel=nearest, group=explore)
        self._summary = f"{pad.columns}×{pad.rows} map of {d}-D codes, {len(dots)} images, {k} anchors"

        def decode_live(x: float, y: float) -> Tensor:
            return decode(self.index[0] if by_model else 0, self.code(x, y)[None])[0]

        super().__init__(
            controls,
            panels,
            [class_names],
            title=title,
            index=[0] * len(by_model) + [pad.middle, 0, min(1, k - 1), 0, 0],
            live=decode_live if live else None,
            live_panel="decoded image" if live else None,
        )

    def code(self, x: float, y: float) -> Tensor:
        """The latent code (d,) at a position of the map."""
        return self._plane.lift(torch.tensor([[x, y]], dtype=torch.float32))[0]

    def __repr__(self) -> str:
        return f"LatentExplorer({self._summary})"


def _codes(model: LatentModel, x: Tensor) -> Tensor:
    """The codes (N, d) of images, checked."""
    codes = _in_batches(model, model.encode, x)
    if codes.ndim != 2 or codes.shape[0] != len(x) or codes.shape[1] < 2:
        raise ValueError(
            f"model.encode(images.x) must have shape ({len(x)}, d), d >= 2; got {tuple(codes.shape)}"
        )
    if not codes.isfinite().all():
        raise ValueError("model.encode(images.x) must be finite, got NaN or infinite codes")
    return codes


@dataclass(frozen=True)
class _Plane:
    """A plane in the latent space: z = origin + p @ directions, p (N, 2), directions (2, d) orthonormal."""

    origin: Tensor
    directions: Tensor

    @classmethod
    def fit(cls, codes: Tensor) -> _Plane:
        """The latent plane itself for d = 2, else that of the first two principal components."""
        d = codes.shape[1]
        if d == 2:
            return cls(torch.zeros(2), torch.eye(2))
        mean = codes.mean(0)
        _, vectors = torch.linalg.eigh((codes - mean).double().T @ (codes - mean).double())
        directions = vectors.T.flip(0)[:2]
        largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        return cls(mean, (directions * largest.sign()).to(codes.dtype))  # the sign is arbitrary: fix it

    def project(self, z: Tensor) -> Tensor:
        return (z - self.origin) @ self.directions.T

    def lift(self, p: Tensor) -> Tensor:
        return self.origin + p @ self.directions


def _grid_over(flat: Tensor, longer: int, margin: float = 0.05) -> dict[str, Any]:
    """Ranges and node counts of a grid with square cells that covers all points, `longer` nodes along one side."""
    low, high = flat.min(0).values, flat.max(0).values
    extent = (high - low).clamp_min(1e-3) * (1 + 2 * margin)
    cell = float(extent.max()) / (longer - 1)
    columns, rows = (
        min(longer, max(math.ceil(float(e) / cell) + 1, math.ceil(longer / 2), 2)) for e in extent
    )
    (cx, cy), half_x, half_y = ((low + high) / 2).tolist(), cell * (columns - 1) / 2, cell * (rows - 1) / 2
    return {
        "x": (cx - half_x, cx + half_x),
        "y": (cy - half_y, cy + half_y),
        "columns": columns,
        "rows": rows,
    }


def _anchors(wanted: int | Sequence[int], images: ImageSet, codes: Tensor) -> Tensor:
    """The images to interpolate between; by default the one nearest to its class's mean code, class by class."""
    if not isinstance(wanted, int) or images.y is None or len(images.y.unique()) < 2:
        return _pick("anchors", wanted, len(codes))
    if wanted < 1:
        raise ValueError(f"anchors={wanted} is too small; at least 1 image is needed")
    typical = []
    for label in images.y.unique().tolist()[:wanted]:
        members = (images.y == label).nonzero().squeeze(1)
        distance = (codes[members] - codes[members].mean(0)).norm(dim=1)
        typical.append(int(members[distance.argmin()]))
    return torch.tensor(typical)


NOISE_LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4),
    "masking": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
}
"""Default levels: sigma in pixel units of [-1, 1]; covered share of the image; probability to lose a pixel."""

_LEVEL_NAMES = {"gaussian": "σ = {:g}", "masking": "{:.0%} covered", "dropout": "p = {:g}"}


class NoiseExplorer(Explorer):
    """Corrupt an image, more and more, and see what the autoencoder makes of it.

    model: `.reconstruct` (N, C, H, W) -> the same shape in [-1, 1]; baseline: a second one to compare with.
    images: an object with x, y (or None), classes. count: how many of them to choose from, or their indices.
    kinds: corruptions that `corrupt(x, kind, level, generator=...)` knows (default
    `course_utils.autoencoders.corrupt`). levels: for each kind, equally many (default `NOISE_LEVELS`).
    generator or seed: where the noise comes from; along the levels only its strength changes, not its draw.
    The read-outs are squared errors to the clean image, summed over pixels, before clipping to the shown range.
    Raises ValueError for images or levels of a wrong shape or range.
    """

    def __init__(
        self,
        model: Denoiser,
        images: ImageSet,
        *,
        kinds: Sequence[str] = ("gaussian", "masking", "dropout"),
        levels: Mapping[str, Sequence[float]] | None = None,
        count: int | Sequence[int] = 6,
        baseline: Denoiser | None = None,
        corrupt: Corruption = autoencoders.corrupt,
        generator: torch.Generator | None = None,
        seed: int = 0,
        title: str = "Corrupt and denoise",
    ) -> None:
        _check_images("images.x", images.x)
        levels = _levels(kinds, NOISE_LEVELS if levels is None else levels)
        if generator is not None:
            seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

        chosen = _choose_by_class("count", count, images)
        clean = images.x[chosen].float().cpu()  # (k, C, H, W)

        def draw(kind: str, level: float) -> Tensor:
            noisy = corrupt(clean, kind, level, generator=torch.Generator().manual_seed(seed))
            if noisy.shape != clean.shape or not noisy.isfinite().all():
                allowed, got = tuple(clean.shape), tuple(noisy.shape)
                raise ValueError(f"corrupt must return finite images of shape {allowed}, got {got}")
            return noisy

        drawn = [torch.stack([draw(kind, level) for level in row], dim=1) for kind, row in levels.items()]
        noisy = torch.stack(drawn, dim=1)  # (k, kinds, levels, C, H, W)

        def restore(model: Denoiser) -> Tensor:
            x_hat = _in_batches(model, model.reconstruct, noisy.flatten(0, 2))
            _check_images("model.reconstruct(x)", x_hat)
            return x_hat.unflatten(0, noisy.shape[:3])

        by = ("image", "corruption", "level")
        if baseline is None:
            results = {"corrupted": noisy, "reconstruction": restore(model)}
        else:
            restored = {"denoising autoencoder": restore(model), "plain autoencoder": restore(baseline)}
            results = {"corrupted": noisy, **restored}
        errors = {name: (x - clean[:, None, None]).square().flatten(3).sum(3) for name, x in results.items()}
        largest = max(float(error.max()) for error in errors.values())
        ticks = [[_LEVEL_NAMES.get(kind, "{:g}").format(v) for v in row] for kind, row in levels.items()]
        controls: list[Control] = [
            Choice("image", _names(images, chosen), clean),
            Choice("corruption", list(levels)),
            Slider("level", np.array(ticks), by=("corruption",), play=True),
        ]
        panels = [Panel("clean", clean, ("image",))]
        panels += [Panel(n, x.clamp(-1, 1) if n == "corrupted" else x, by) for n, x in results.items()]
        readouts = [
            Readout("squared error", error, by, maximum=largest, panel=name) for name, error in errors.items()
        ]
        self._summary = f"{len(chosen)} images, {', '.join(levels)}, {len(ticks[0])} levels"
        super().__init__(controls, panels, readouts, title=title, index=[0, 0, len(ticks[0]) // 2])

    def __repr__(self) -> str:
        return f"NoiseExplorer({self._summary})"


def _levels(kinds: Sequence[str], levels: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The levels of each kind, as many for one as for another."""
    if isinstance(kinds, str) or not kinds:
        raise ValueError(f"kinds={kinds!r} must be a sequence of at least one name")
    missing = [kind for kind in kinds if kind not in levels]
    if missing:
        raise ValueError(f"levels has no entry for kind {missing[0]!r}, only for {list(levels)}")
    chosen = {kind: [float(v) for v in levels[kind]] for kind in kinds}
    counts = {kind: len(row) for kind, row in chosen.items()}
    if len(set(counts.values())) != 1 or min(counts.values()) < 1:
        raise ValueError(f"levels must hold equally many values for every kind, at least one; got {counts}")
    return chosen


def _choose_by_class(name: str, wanted: int | Sequence[int], images: ImageSet) -> Tensor:
    """So many images, of different classes as far as there are labels; or exactly those given."""
    if not isinstance(wanted, int) or images.y is None:
        return _pick(name, wanted, len(images.x))
    firsts = [int((images.y == label).nonzero()[0]) for label in images.y.unique().tolist()]
    rest = [i for i in _pick(name, wanted, len(images.x)).tolist() if i not in firsts]
    return torch.tensor((firsts + rest)[:wanted])


class MetricsExplorer(Explorer):
    """Spoil a set of real images in several ways at once, and see what each metric says.

    The set that plays the generated one is `images`; it is compared with `reference`, other real images.
    see: from images to features and probabilities, as `features.feature_extractor` gives it.
    blurs: standard deviations in pixels; noises: of the added noise, in units of [-1, 1]; kept: how many classes are
    left; different: how many different images there are, repeated to fill the set; sizes: images in either set.
    A setting that the images cannot fill (200 different zeros where there are 100) takes what there is.
    `values` holds what was measured: for each metric, float64 (blurs, noises, kept, different, outlier, sizes).
    Raises ValueError for images of a wrong shape or range, or fewer than the largest size.
    """

    METRICS = (
        "Inception Score ↑",
        "FID ↓",
        "KID · 1000 ↓",
        "precision ↑",
        "recall ↑",
        "density ↑",
        "coverage ↑",
    )

    def __init__(
        self,
        images: ImageSet,
        reference: ImageSet,
        see: Callable[[Tensor], Seen],
        *,
        blurs: Sequence[float] = (0.0, 0.8, 1.4),
        noises: Sequence[float] = (0.0, 0.3, 0.6),
        kept: Sequence[int] = (10, 5, 1),
        different: Sequence[int] = (1000, 100, 10),
        sizes: Sequence[int] = (1000, 300, 100),
        shown: int = 12,
        seed: int = 0,
        title: str = "A laboratory of metrics",
    ) -> None:
        for name, given in (("images", images), ("reference", reference)):
            _check_images(f"{name}.x", given.x)
            if len(given.x) < max(sizes):
                raise ValueError(
                    f"{name} holds {len(given.x)} images; sizes={tuple(sizes)} needs {max(sizes)}"
                )
        if images.y is None:
            raise ValueError("images.y is None; labels are needed to leave classes out")
        labels, real = images.y, see(reference.x[: max(sizes)])
        # An image of noise: farther from all digits than they are from each other.
        outlier = (
            torch.rand(1, *images.x.shape[1:], generator=torch.Generator().manual_seed(seed + 1)) * 2 - 1
        )
        far = see(outlier)
        axes = (len(blurs), len(noises), len(kept), len(different), 2, len(sizes))
        self.values = {name: np.zeros(axes) for name in self.METRICS}
        frames = images.x.new_empty(*axes[:-1], shown, *images.x.shape[1:])
        for b, n in np.ndindex(axes[:2]):
            draw = torch.Generator().manual_seed(seed)
            x = blur(images.x, blurs[b])
            x = x + noises[n] * torch.randn(x.shape, generator=draw, dtype=x.dtype)
            fake = see(x)
            for c, d, o, s in np.ndindex(axes[2:]):
                members = (labels < kept[c]).nonzero().flatten()[: different[d]]
                rows = members[torch.arange(sizes[s]) % len(members)]
                features, probs = fake.features[rows], fake.probs[rows]
                if o:
                    features[-1:], probs[-1:] = far.features, far.probs
                if s == 0:
                    frames[b, n, c, d, o] = x[rows[:shown]].clamp(-1, 1)
                    if o:
                        frames[b, n, c, d, o, -1:] = outlier
                for name, value in zip(
                    self.METRICS, _all_metrics(real.features[: sizes[s]], features, probs), strict=True
                ):
                    self.values[name][b, n, c, d, o, s] = value
        by = ("blur", "noise", "classes left", "different images, at most", "outlier", "N")
        count = len(images.classes)
        controls: list[Control] = [
            Slider("blur", [f"σ = {v:g} px" if v else "none" for v in blurs]),
            Slider("noise", [f"σ = {v:g}" if v else "none" for v in noises]),
            Slider("classes left", [f"{min(v, count)} of {count}" for v in kept]),
            Slider("different images, at most", [str(v) for v in different]),
            Choice("outlier", ["none", "one"]),
            Slider("N", [str(v) for v in sizes]),
        ]
        full = {"FID ↓": None, "KID · 1000 ↓": None, "Inception Score ↑": float(count)}  # others are shares
        readouts = [
            Readout(name, value, by, maximum=full.get(name, 1.0) or float(np.quantile(value, 0.8)))
            for name, value in self.values.items()
        ]
        self._summary = f"{self.values[self.METRICS[0]].size} settings, {len(self.METRICS)} metrics"
        super().__init__(
            controls, [Panel("some of the images", frames, by[:-1], columns=6)], readouts, title=title
        )

    def __repr__(self) -> str:
        return f"MetricsExplorer({self._summary})"


def _all_metrics(real: Tensor, fake: Tensor, probs: Tensor) -> tuple[float, ...]:
    """The values of MetricsExplorer.METRICS."""
    size = min(len(real), len(fake))
    kid = metrics.kernel_inception_distance(real=real, fake=fake, subsets=1, subset_size=size).mean
    precision, recall = metrics.precision_recall(real=real, fake=fake)
    density, coverage = metrics.density_coverage(real=real, fake=fake)
    score = metrics.inception_score(probs, splits=1).mean
    return score, metrics.fid(real=real, fake=fake), 1000 * kid, precision, recall, density, coverage
