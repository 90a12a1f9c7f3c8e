"""Known answers: the best possible network for data whose density is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_utils.diffusion.schedule import Schedule
from course_utils.inputs import check_not_negative, widest_float


class IdealDenoiser(nn.Module):
    """The best possible network, for data from a mixture of K Gaussians: it gives E[x₀ | x_t], so `predict="x0"`.

    With x_t = √ᾱ x₀ + √(1 - ᾱ) ε and x₀ ~ Σ w_k N(μ_k, s² I), x_t of component k has the variance ᾱ s² + 1 - ᾱ, and
    E[x₀ | x_t, k] = μ_k + √ᾱ s² / (ᾱ s² + 1 - ᾱ) · (x_t - √ᾱ μ_k); the components count by their posterior weights.
    With s = 0 and the training images as means it is what a network that learns them by heart would give.

    Args:
        means: μ (K, …), the shape of one image after K.
        std: s ≥ 0.
        weights: w (K,), sum 1; None: all alike.
    """

    means: Tensor
    log_weights: Tensor

    def __init__(self, schedule: Schedule, means: Tensor, std: float = 0.0, weights: Tensor | None = None):
        super().__init__()
        check_not_negative(std=std)
        weights = torch.full((len(means),), 1 / len(means)) if weights is None else weights
        if weights.shape != (len(means),) or not torch.isclose(weights.sum(), torch.ones(()).to(weights)):
            raise ValueError(f"weights must be ({len(means)},) and sum to 1, not {tuple(weights.shape)}")
        self.schedule, self.std = schedule, std
        wide = widest_float(means.device)
        self.register_buffer("means", means.to(wide))
        self.register_buffer("log_weights", weights.to(wide).log())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        x, means = x_t.to(self.means.dtype).flatten(1), self.means.flatten(1)
        signal, noise = self.schedule.signal_noise(t, x)  # (N, 1) each
        spread = (signal * self.std).square() + noise.square()
        away = x.square().sum(dim=1, keepdim=True) - 2 * signal * x @ means.T
        away = away + signal.square() * means.square().sum(dim=1)  # ‖x_t - √ᾱ μ_k‖²
        share = (self.log_weights - 0.5 * away / spread).softmax(dim=1)  # (N, K)
        mean = share @ means
        x0 = mean + signal * self.std**2 / spread * (x - signal * mean)
        return x0.to(x_t.dtype).view_as(x_t)
