"""Images that keep something of a given image: made anew from a time on, filled in, enlarged."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.guided import Condition, Step
from course_utils.diffusion.model import DiffusionModel
from course_utils.diffusion.process import Prediction
from course_utils.diffusion.samplers import (
    ancestral_step,
    ddpm_sample,
    full_times,
    predict,
    walk,
)
from course_utils.inputs import check_at_least, check_maps, check_tensor, check_whole, noise_like


def image_to_image(
    model: DiffusionModel,
    x0: Tensor,
    *,
    start: int,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Images x0 (N, C, H, W) made noisy up to time `start` and denoised from there; yields as `ddpm_sample`.

    start: in 1 … T; the later, the more is made anew.
    Source: Meng et al., "SDEdit: guided image synthesis and editing with stochastic differential equations", 2022,
    algorithm 1.
    """
    check_whole(start=start)
    if not 1 <= start <= model.schedule.T:
        raise ValueError(f"start={start} must lie in 1 … T = {model.schedule.T}")
    x0 = model.check_data(x0, "x0")
    x_start = model.q_sample(x0, full_times(start, x0), noise_like(x0, generator))
    return ddpm_sample(
        model, x_start, steps=steps, y=y, guidance=guidance, negative=negative, start=start,
        generator=generator,
    )  # fmt: skip


def inpaint(
    model: DiffusionModel,
    x_T: Tensor,
    *,
    known: Tensor,
    mask: Tensor,
    steps: int,
    resample: int = 1,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Fill in images: as `ddpm_sample`, but after each step the known pixels are put back, as noisy as x_s is.

    Replaced only once a step, the rest of the image does not get to fit them. RePaint goes back from x_s to x_t and
    down again, `resample` times in all; each costs a run of the network.

    known: images (N, C, H, W) in [-1, 1]; what they hold outside the mask does not matter.
    mask: bool, broadcasts to them; True where they are known.
    Source: Lugmayr et al., "RePaint: inpainting using denoising diffusion probabilistic models", 2022, algorithm 1.
    """
    check_at_least(1, resample=resample)
    condition = Condition(y, guidance, negative)
    check_maps(x_T, model.sizes(x_T), "x_T")
    check_maps(known, model.sizes(known), "known")
    check_tensor(mask, "mask")
    if known.shape != x_T.shape or mask.dtype != torch.bool or not _broadcasts(mask, x_T):
        raise ValueError(
            f"known must be {tuple(x_T.shape)} as x_T, and mask bool that broadcasts to it; not {tuple(known.shape)}, "
            f"and {mask.dtype} {tuple(mask.shape)}"
        )

    known = model.check_data(known.masked_fill(~mask, -1.0), "known")

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        for again in range(resample if s else 1):  # the last step adds no noise: again would be the same
            if again:
                kept = (model.schedule.alpha_bar[t] / model.schedule.alpha_bar[s]).item()  # 1 - β
                x = math.sqrt(kept) * x + math.sqrt(1 - kept) * noise_like(x, generator)
                seen = predict(model, x, t, condition)
            x = ancestral_step(model.schedule, x, seen, t, s, "small", generator)
            there = model.q_sample(known, full_times(s, x), noise_like(x, generator)) if s else known
            x = torch.where(mask, there, x)
        return x

    return walk(model, x_T, steps, condition, update)


def _broadcasts(mask: Tensor, x: Tensor) -> bool:
    sizes = zip(reversed(mask.shape), reversed(x.shape), strict=False)
    return mask.ndim <= x.ndim and all(a in (1, b) for a, b in sizes)


def super_resolve(
    model: DiffusionModel,
    x_T: Tensor,
    *,
    small: Tensor,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Larger images that, averaged over blocks of pixels, are `small` exactly; as `ddpm_sample` otherwise.

    Each predicted clean image gets the block means of `small`, and keeps what the means do not tell:

        x̂₀ ← x̂₀ + A⁺ (small - A x̂₀),   A: mean over blocks, A⁺: each pixel repeated, A A⁺ = 1

    small: images (N, C, h, w) in [-1, 1]; x_T is a whole number of times as high and as wide.
    Source: Wang, Yu, Zhang, "Zero-shot image restoration using denoising diffusion null-space model", 2023, equation
    13.
    """
    condition = Condition(y, guidance, negative)
    check_maps(x_T, (None, None, None), "x_T")
    check_maps(small, (None, None, None), "small")
    (height, width), size = small.shape[2:], x_T.shape[2:]
    if small.shape[:2] != x_T.shape[:2] or size[0] % height or size[1] % width:
        raise ValueError(
            f"small {tuple(small.shape)} must have as many images and channels as x_T {tuple(x_T.shape)}, and a size "
            "that divides its size"
        )
    small = model.check_data(small, "small")

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        missing = small - F.adaptive_avg_pool2d(seen.x0, (height, width))
        x0 = seen.x0 + F.interpolate(missing, size, mode="nearest")
        return ancestral_step(model.schedule, x, seen._replace(x0=x0), t, s, "small", generator)

    return walk(model, x_T, steps, condition, update)
