"""An image that is corrupted, more and more, and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from course_utils import autoencoders
from course_utils.explorers.engine import Explorer
from course_utils.explorers.models import ImageSet, check_image_set, in_batches, names_of, pick
from course_utils.explorers.parts import Choice, Control, Panel, Readout, Slider
from course_utils.explorers.sprites import check_frames

NOISE_LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4),
    "patch": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
}
"""Default levels: sigma in pixel units of [-1, 1]; covered share of the image; probability to lose a pixel."""

_LEVEL_NAMES = {"gaussian": "σ = {:g}", "patch": "{:.0%} covered", "dropout": "p = {:g}"}


class Denoiser(Protocol):
    """An autoencoder seen as a whole: reconstruct (N, C, H, W) -> (N, C, H, W) in [-1, 1]."""

    def reconstruct(self, x: Tensor, /) -> Tensor: ...


class Corruption(Protocol):
    """corrupt(x, kind, level, generator=...) -> x_tilde of the same shape."""

    def __call__(self, x: Tensor, kind: str, level: float, /, *, generator: torch.Generator) -> Tensor: ...


class NoiseExplorer(Explorer):
    """Corrupt an image, more and more, and compare what an autoencoder makes of it.

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
        kinds: Sequence[str] = ("gaussian", "patch", "dropout"),
        levels: Mapping[str, Sequence[float]] | None = None,
        count: int | Sequence[int] = 6,
        baseline: Denoiser | None = None,
        corrupt: Corruption = autoencoders.corrupt,
        generator: torch.Generator | None = None,
        seed: int = 0,
        title: str = "Corrupt and denoise",
        hint: str = "Try: raise the level until you cannot read the digit, and see what the autoencoders make of it.",
    ) -> None:
        check_image_set("images", images)
        levels = _levels(kinds, NOISE_LEVELS if levels is None else levels)
        if generator is not None:
            seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

        chosen = choose_by_class("count", count, images)
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
            x_hat = in_batches(model, model.reconstruct, noisy.flatten(0, 2))
            check_frames("model.reconstruct(x)", x_hat)
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
            Choice("image", names_of(images, chosen), clean),
            Choice("corruption", list(levels)),
            Slider("level", np.array(ticks), by=("corruption",), play=True),
        ]
        panels = [Panel("clean", clean, ("image",))]
        panels += [Panel(n, x.clamp(-1, 1) if n == "corrupted" else x, by) for n, x in results.items()]
        readouts = [
            Readout("squared error", error, by, maximum=largest, panel=name) for name, error in errors.items()
        ]
        self._summary = f"{len(chosen)} images, {', '.join(levels)}, {len(ticks[0])} levels"
        super().__init__(controls, panels, readouts, title=title, hint=hint, index=[0, 0, len(ticks[0]) // 2])

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


def choose_by_class(name: str, wanted: int | Sequence[int], images: ImageSet) -> Tensor:
    """So many images, of different classes as far as there are labels; or exactly those given."""
    if not isinstance(wanted, int) or images.y is None:
        return pick(name, wanted, len(images.x))
    firsts = [int((images.y == label).nonzero()[0]) for label in images.y.unique().tolist()]
    rest = [i for i in pick(name, wanted, len(images.x)).tolist() if i not in firsts]
    return torch.tensor((firsts + rest)[:wanted])
