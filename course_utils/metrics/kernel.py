"""The kernel Inception distance."""

from __future__ import annotations

import torch
from torch import Tensor

from course_utils.inputs import check_at_least, check_whole, widest
from course_utils.metrics.score import Score, pair


def kernel_inception_distance(
    *,
    real: Tensor,
    fake: Tensor,
    subsets: int = 100,
    subset_size: int = 1000,
    generator: torch.Generator | None = None,
) -> Score:
    """The squared maximum mean discrepancy with the kernel (x·y/d + 1)³, estimated without bias on random subsets.

    Where both sets come from one distribution its expectation is 0, so single values may be negative.

    Source: Bińkowski et al., "Demystifying MMD GANs", 2018, section 4 and equation 4.

    Args:
        real, fake: features (N, d) and (M, d).
        subsets, subset_size: how many subsets are drawn without replacement, and how large.
        generator: draws the subsets, on the CPU; None: torch's own.

    Raises:
        ValueError: features that differ in width or are not finite floats; a subset that cannot be drawn.
    """
    real, fake = map(widest, pair(real, fake))
    check_whole(subset_size=subset_size)
    if not 2 <= subset_size <= min(len(real), len(fake)):
        raise ValueError(
            f"subset_size={subset_size} must lie in 2 … {min(len(real), len(fake))}, the size of the smaller set"
        )
    check_at_least(1, subsets=subsets)

    def draw(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=generator)[:subset_size].to(features.device)]

    values = torch.stack([_mmd2(draw(real), draw(fake)) for _ in range(subsets)])
    return Score(values.mean().item(), values.std(correction=0).item())


def _mmd2(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate of the squared maximum mean discrepancy; x, y (m, d)."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Tensor) -> Tensor:  # without the pairs of an image with itself
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()
