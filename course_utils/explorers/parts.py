"""The parts of an explorer, and what of them the front end is told.

`by` names the controls that a part depends on; its array's leading axes follow that order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from course_utils.explorers.charts import Charts, charts_of
from course_utils.explorers.sprites import Sprites, array, to_uint8
from course_utils.style import PALETTE, Chart

NEAREST = "nearest point"
"""Name to put into `by` for a frame or value that belongs to the point of the pad nearest to the cursor."""


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
    """A picture: frames (*sizes of by, C, H, W) in [-1, 1], C = 1 or 3, or charts (*sizes of by) of `viz.chart`.

    strip: the name of a control of `by` whose frames are all shown side by side, the current one framed.
    columns: frames are (*sizes of by, N, C, H, W), and their N images are laid out in so many columns.
    """

    title: str
    frames: Tensor | np.ndarray | Sequence[Chart]
    by: tuple[str, ...]
    strip: str | None = None
    columns: int | None = None
    group: str = ""


@dataclass(frozen=True, eq=False)
class Readout:
    """A value: numbers or short texts of shape (*sizes of by).

    Numbers get a bar from 0 to `maximum` (default: the largest), unless one of them is negative.
    panel: the title of the panel to sit under.
    """

    label: str
    values: Sequence[Any] | np.ndarray | Tensor
    by: tuple[str, ...]
    maximum: float | None = None
    panel: str | None = None
    group: str = ""


Control = Slider | Choice | Pad


def sizes_of(controls: Sequence[Control]) -> dict[str, int]:
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


def strides_of(what: str, by: Sequence[str], sizes: Mapping[str, int], shape: Sequence[int]) -> list[int]:
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


def control_state(control: Control, sizes: Mapping[str, int], sprites: Sprites) -> dict[str, Any]:
    state: dict[str, Any] = {"name": control.name, "size": control.size, "group": control.group}
    if isinstance(control, Slider):
        ticks = np.asarray(control.ticks)
        if not 0 < control.interval < math.inf:
            raise ValueError(
                f"slider {control.name!r}: interval={control.interval} must be a number of seconds above 0"
            )
        by = (*control.by, control.name)
        strides = strides_of(f"slider {control.name!r}", by, sizes, ticks.shape)
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
            sprite, numbers = sprites.add(to_uint8(f"images of choice {control.name!r}", control.images))
            strides_of(f"images of choice {control.name!r}", (control.name,), sizes, [len(numbers)])
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
    if pad.mark is not None and pad.paths is None:
        raise ValueError(
            f"pad {pad.name!r}: mark={pad.mark!r} says how far along the paths we are; give paths too"
        )
    digits = 4 - math.floor(math.log10(max(pad.x[1] - pad.x[0], pad.y[1] - pad.y[0])))

    def compact(values: Tensor | np.ndarray) -> list[float]:
        return np.round(array(values).astype(float).ravel(), digits).tolist()

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
        points = _positions("points", pad)
        state["points"], state["count"] = compact(points), points.shape[-2]
        state["strides"] = strides_of(f"points of pad {pad.name!r}", pad.points_by, sizes, points.shape[:-2])
    if pad.labels is not None:
        state["labels"] = _labels_of(pad)
    if pad.paths is not None:
        paths = _positions("paths", pad)
        strides = strides_of(f"paths of pad {pad.name!r}", pad.by, sizes, paths.shape[:-2])
        length = paths.shape[-2]
        if pad.mark is not None and sizes.get(pad.mark) != length:
            raise ValueError(f"pad {pad.name!r}: mark={pad.mark!r} must be a control with {length} positions")
        mark = -1 if pad.mark is None else list(sizes).index(pad.mark)
        state["paths"] = {"xy": compact(paths), "length": length, "strides": strides, "mark": mark}
    return state


def _positions(name: str, pad: Pad) -> np.ndarray:
    """The points or paths of a pad, or a ValueError unless they are finite and (..., N, 2)."""
    xy = array(getattr(pad, name))
    if xy.ndim < 2 or xy.shape[-1] != 2:
        raise ValueError(f"pad {pad.name!r}: {name} must have the shape (..., N, 2), not {xy.shape}")
    if not np.isfinite(xy).all():
        raise ValueError(f"pad {pad.name!r}: {name} must be finite, got NaN or infinity")
    return xy


def _labels_of(pad: Pad) -> list[int]:
    """The class of each point, or a ValueError unless each point has one that is among `classes`, if there are any."""
    labels = array(pad.labels if pad.labels is not None else [])
    count = 0 if pad.points is None else pad.points.shape[-2]
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"pad {pad.name!r}: labels must be whole numbers ({count},), one a point, "
            f"not {labels.dtype} {labels.shape}"
        )
    if len(labels) and (labels.min() < 0 or (pad.classes and labels.max() >= len(pad.classes))):
        allowed = f"0 … {len(pad.classes) - 1}, as classes has" if pad.classes else "0 and more"
        raise ValueError(
            f"pad {pad.name!r}: labels holds {labels.min()} … {labels.max()}; allowed: {allowed}"
        )
    return labels.tolist()


def panel_state(panel: Panel, sizes: Mapping[str, int], sprites: Sprites, charts: Charts) -> dict[str, Any]:
    what = f"frames of panel {panel.title!r}"
    drawn = charts_of(panel.frames)
    if drawn is not None:
        return _chart_state(panel, drawn, sizes, charts)
    frames = array(panel.frames)
    shape = tuple(frames.shape)
    columns = panel.columns
    grid = 0 if columns is None else 1  # axes between the controls' and the image's
    if columns is not None and (panel.strip is not None or len(shape) < 4 or not 1 <= columns <= shape[-4]):
        raise ValueError(
            f"panel {panel.title!r}: columns={columns} needs frames (…, N, C, H, W) with N at least "
            f"columns, and no strip; got {shape}, strip={panel.strip!r}"
        )
    count = shape[-4] if grid else 1
    strides = [count * stride for stride in strides_of(what, panel.by, sizes, shape[: len(shape) - 3 - grid])]
    names = [name for name in sizes if name != NEAREST]
    if panel.strip is not None and (panel.strip not in panel.by or panel.strip not in names):
        raise ValueError(f"panel {panel.title!r}: strip={panel.strip!r} is not a control in by={panel.by}")
    sprite, numbers = sprites.add(to_uint8(what, frames.reshape(-1, *shape[-3:])))
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


def _chart_state(panel: Panel, drawn: np.ndarray, sizes: Mapping[str, int], charts: Charts) -> dict[str, Any]:
    what = f"charts of panel {panel.title!r}"
    if panel.strip is not None or panel.columns is not None:
        raise ValueError(f"panel {panel.title!r}: charts stand alone; strip and columns are for images")
    strides = strides_of(what, panel.by, sizes, drawn.shape)
    tile, numbers = charts.add(what, drawn.ravel().tolist())
    state = {"title": panel.title, "group": panel.group, "sprite": -1, "tile": tile}
    return state | {"frames": numbers, "strides": strides, "strip": -1, "count": 1, "columns": 1}


def readout_state(readout: Readout, sizes: Mapping[str, int], titles: list[str]) -> dict[str, Any]:
    values = array(readout.values) if isinstance(readout.values, Tensor) else np.asarray(readout.values)
    state: dict[str, Any] = {
        "label": readout.label,
        "group": readout.group,
        "strides": strides_of(f"readout {readout.label!r}", readout.by, sizes, values.shape),
        "panel": -1 if readout.panel is None else titles.index(readout.panel),
    }
    if values.dtype.kind in "US":
        return state | {"values": values.ravel().tolist()}
    if not np.isfinite(values).all():
        raise ValueError(f"readout {readout.label!r}: values must be finite")
    if readout.maximum is not None and not 0 <= readout.maximum < math.inf:
        raise ValueError(
            f"readout {readout.label!r}: maximum={readout.maximum} must be a number of at least 0"
        )
    maximum = float(np.abs(values).max()) if readout.maximum is None else float(readout.maximum)
    decimals = 0  # for counts; else three digits of the largest, and 0.2 does not become 0
    if values.dtype.kind == "f" and maximum > 0:
        decimals = max(1, 2 - math.floor(math.log10(maximum)))
    state |= {"values": np.round(values.astype(float).ravel(), decimals + 1).tolist(), "decimals": decimals}
    return state | ({} if values.min() < 0 else {"maximum": maximum})
