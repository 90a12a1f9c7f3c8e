"""Known answers: the best possible network for data whose density is known."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from course_utils.diffusion.schedule import Schedule
from course_utils.inputs import check_maps, check_not_negative, check_tensor, check_times, widest_float


class IdealDenoiser(nn.Module):
    """The best possible network, for data from a mixture of K Gaussians: it gives E[x₀ | x_t], so
    `prediction_type="x0"`; where the data lie beyond [-1, 1], `clip_x0=False`.

    With x_t = √ᾱ x₀ + √(1 - ᾱ) ε and x₀ ~ Σ w_k N(μ_k, s² I), x_t of component k has the variance ᾱ s² + 1 - ᾱ, and
    E[x₀ | x_t, k] = μ_k + √ᾱ s² / (ᾱ s² + 1 - ᾱ) · (x_t - √ᾱ μ_k); the components count by their posterior weights.
    With s = 0 and the training images as means it is what a network that learns them by heart would give.

    Args:
        means: μ (K, …), the shape of one image after K.
        std: s ≥ 0.
        weights: w (K,), at least 0, sum 1; None: all alike.
    """

    means: Tensor
    log_weights: Tensor

    def __init__(self, schedule: Schedule, means: Tensor, std: float = 0.0, weights: Tensor | None = None):
        super().__init__()
        check_not_negative(std=std)
        check_tensor(means, "means")
        means = means if means.is_floating_point() else means.float()
        check_maps(means, (None,) * max(0, means.ndim - 1), "means")
        if not means.isfinite().all():
            raise ValueError("means hold NaN or infinity")
        weights = torch.full((len(means),), 1 / len(means)) if weights is None else weights
        check_tensor(weights, "weights")
        total = weights.sum().item()
        if weights.shape != (len(means),) or (weights < 0).any() or not math.isclose(total, 1, rel_tol=1e-5):
            raise ValueError(
                f"weights must be ({len(means)},), at least 0, with the sum 1; not {tuple(weights.shape)} from "
                f"{weights.min().item():.4g} with the sum {total:.6g}"
            )
        self.schedule, self.std = schedule, std
        self.register_buffer("means", means)
        self.register_buffer("log_weights", weights.to(means).log())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        check_maps(x_t, tuple(self.means.shape[1:]), "x_t")
        check_times(t, len(x_t), self.schedule.T, first=0 if self.std else 1)
        wide = widest_float(x_t.device)  # for small differences of large squares
        x, means = x_t.to(wide).flatten(1), self.means.to(wide).flatten(1)
        signal, noise = self.schedule.signal_noise(t, x)  # (N, 1) each
        spread = (signal * self.std).square() + noise.square()
        away = x.square().sum(dim=1, keepdim=True) - 2 * signal * x @ means.T
        away = away + signal.square() * means.square().sum(dim=1)  # ‖x_t - √ᾱ μ_k‖²
        share = (self.log_weights - 0.5 * away / spread).softmax(dim=1)  # (N, K)
        mean = share @ means
        x0 = mean + signal * self.std**2 / spread * (x - signal * mean)
        return x0.to(x_t.dtype).view_as(x_t)
