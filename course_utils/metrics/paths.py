"""The perceptual path length of a decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.inputs import check_at_least, check_features, widest
from course_utils.nets import slerp


class PathLength(NamedTuple):
    """Perceptual path length: the mean over the paths, their standard deviation, and each path's length (n,)."""

    mean: float
    std: float
    each: Tensor


@torch.no_grad()
def perceptual_path_length(
    decode: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    z0: Tensor,
    z1: Tensor,
    *,
    interpolate: Callable[[Tensor, Tensor, Tensor], Tensor] = slerp,
    epsilon: float = 1e-4,
    discard: float = 0.01,
    batch_size: int = 100,
    generator: torch.Generator | None = None,
) -> PathLength:
    """How fast images change along paths through the latent space: E[d(g(z_t), g(z_t+ε)) / ε²], t uniform.

    Source: Karras et al., "A style-based generator architecture for generative adversarial networks", 2019,
    equations 2 and 3; like its code, the most extreme paths are left out of mean and deviation.

    Args:
        decode: g, codes (B, d) to images.
        distance: d, two batches of images to (B,); it should grow with the square of a small change.
        z0, z1: the ends of the paths, (n, d) each.
        interpolate: `slerp` for normal codes, `lerp` for others: (z0, z1, t (B,)) to (B, d).
        epsilon: ε > 0.
        discard: the share of paths left out at either end, in [0, 0.5).
        generator: draws t, on the device of z0; None: torch's own.

    Raises:
        ValueError: ends of different shapes, no paths, numbers out of range, or distances that are not finite (B,).
    """
    z0, z1 = check_features("z0", z0), check_features("z1", z1)
    if z0.shape != z1.shape:
        raise ValueError(f"z0 {tuple(z0.shape)} and z1 {tuple(z1.shape)} must be of one shape (n, d)")
    check_at_least(1, batch_size=batch_size)
    if not (epsilon > 0 and 0 <= discard < 0.5):
        raise ValueError(f"epsilon={epsilon} must be above 0, discard={discard} in [0, 0.5)")
    t = torch.rand(len(z0), generator=generator, device=z0.device, dtype=z0.dtype)
    parts = []
    for a, b, s in zip(z0.split(batch_size), z1.split(batch_size), t.split(batch_size), strict=True):
        moved = distance(decode(interpolate(a, b, s)), decode(interpolate(a, b, s + epsilon)))
        if moved.shape != s.shape or not moved.isfinite().all():
            got = str(tuple(moved.shape)) if moved.shape != s.shape else "NaN or infinity"
            raise ValueError(f"distance must return finite numbers ({len(s)},), not {got}")
        parts.append(widest(moved) / epsilon**2)
    each = torch.cat(parts)
    low = each.quantile(discard, interpolation="lower")
    high = each.quantile(1 - discard, interpolation="higher")
    kept = each[(each >= low) & (each <= high)]
    return PathLength(kept.mean().item(), kept.std(correction=0).item(), each)
