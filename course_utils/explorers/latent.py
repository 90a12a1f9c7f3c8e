"""A map of the latent space, and interpolation between two images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from course_utils.explorers.engine import Explorer
from course_utils.explorers.models import ImageSet, check_image_set, in_batches, names_of, pick
from course_utils.explorers.parts import NEAREST, Choice, Control, Pad, Panel, Readout, Slider
from course_utils.explorers.sprites import check_frames
from course_utils.inputs import check_at_least
from course_utils.nets import lerp, slerp


class LatentModel(Protocol):
    """An autoencoder: encode (N, C, H, W) -> (N, d), decode (N, d) -> (N, C, H, W) in [-1, 1]."""

    def encode(self, x: Tensor, /) -> Tensor: ...

    def decode(self, z: Tensor, /) -> Tensor: ...


class LatentExplorer(Explorer):
    """Drag over the latent space, where each code is decoded; interpolate between two images.

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
        hint: str = "Try: drag over the map and watch the decoded image; then let t run between two images.",
    ) -> None:
        check_image_set("images", images)
        check_at_least(2, grid=grid, steps=steps)
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
        dots = pick("points", points, len(images.x))
        ends = _anchors(anchors, images, codes[0])
        names = names_of(images, ends)

        def decode(number: int, z: Tensor) -> Tensor:
            x = in_batches(models[number], models[number].decode, z)
            check_frames("model.decode(z)", x)
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
            nearest = "nearest in the plane"
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
        class_names = Readout("class", names_of(images, dots), (NEAREST,), panel=nearest, group=explore)
        self._summary = f"{pad.columns}×{pad.rows} map of {d}-D codes, {len(dots)} images, {k} anchors"

        def decode_live(x: float, y: float) -> Tensor:
            return decode(self.index[0] if by_model else 0, self.code(x, y)[None])[0]

        super().__init__(
            controls,
            panels,
            [class_names],
            title=title,
            hint=hint,
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
    codes = in_batches(model, model.encode, x)
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
        return pick("anchors", wanted, len(codes))
    check_at_least(1, anchors=wanted)
    typical = []
    for label in images.y.unique().tolist()[:wanted]:
        members = (images.y == label).nonzero().squeeze(1)
        distance = (codes[members] - codes[members].mean(0)).norm(dim=1)
        typical.append(int(members[distance.argmin()]))
    return torch.tensor(typical)
