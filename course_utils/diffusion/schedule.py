"""Noise schedules: how much of the image is left at each time step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_utils.inputs import Rebuildable, check_at_least, check_tensor, check_times


class Schedule(Rebuildable):
    """ᾱ_t, the share of the image's variance that is left at time t: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε.

    Args:
        alpha_bar: float64 (T + 1,), indexed by t: 1 at t = 0, falling, at least 0 at t = T. It stays on the CPU in
            float64; what a network's device needs of it is cast first and sent there once.

    Raises:
        ValueError: not float64, not from 1 downwards, or below 0.
    """

    def __init__(self, alpha_bar: Tensor):
        check_tensor(alpha_bar, "alpha_bar")
        a = alpha_bar.detach().cpu().clone()
        if a.ndim != 1 or len(a) < 2 or a.dtype != torch.float64:
            raise ValueError(f"alpha_bar must be float64 (T + 1,), T ≥ 1, not {a.dtype} {tuple(a.shape)}")
        if a[0] != 1 or not (a.diff() < 0).all() or a[-1] < 0:
            raise ValueError("alpha_bar must begin with 1, fall at each step, and stay at or above 0")
        self.alpha_bar = a
        self._tables: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.alpha_bar) - 1

    def __repr__(self) -> str:
        return f"Schedule({describe(self.alpha_bar)})"

    def agrees(self, alpha_bar: Tensor) -> bool:
        """Whether these are the same ᾱ; their last digits may differ from one processor to another."""
        other = alpha_bar.to(self.alpha_bar)
        return other.shape == self.alpha_bar.shape and torch.allclose(
            other, self.alpha_bar, rtol=1e-6, atol=0.0
        )

    def signal_noise(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ_t and √(1 - ᾱ_t) for time steps int64 (N,), in the dtype of `like` (N, …) and shaped to multiply it."""
        check_times(t, len(like), self.T)
        return self.known_signal_noise(t, like)

    def known_signal_noise(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """`signal_noise` for time steps that are known to be right: nothing waits for the device to read them."""
        return self.at("signal", torch.sqrt, t, like), self.at("noise", lambda a: (1 - a).sqrt(), t, like)

    def at(self, name: str, function: Callable[[Tensor], Tensor], t: Tensor, like: Tensor) -> Tensor:
        """`function` of ᾱ, computed in float64 for all T + 1 times, at the times t int64 (N,): shaped as `like`.

        name: of the function, under which its table is kept for each device and dtype. t is not checked.
        """
        key = name, like.device, like.dtype
        if key not in self._tables:
            self._tables[key] = function(self.alpha_bar).to(like.dtype).to(like.device)
        return self._tables[key][t].view(-1, *[1] * (like.ndim - 1))


def describe(alpha_bar: Tensor) -> str:
    """By what an error message tells one schedule from another."""
    T = len(alpha_bar) - 1
    return f"T = {T}, ᾱ = {alpha_bar[(T + 1) // 2].item():.6g} at T / 2, {alpha_bar[T].item():.3g} at T"


def linear_schedule(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """β_t evenly from `first` to `last`, ᾱ_t = ∏ (1 - β_s).

    Source: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, section 4.
    """
    check_at_least(1, T=T)
    if not 0 < first <= last < 1:
        raise ValueError(f"0 < first={first} ≤ last={last} < 1 must hold")
    beta = torch.linspace(first, last, T, dtype=torch.float64)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
    return _made_by(linear_schedule, Schedule(alpha_bar), T=T, first=first, last=last)


def cosine_schedule(T: int = 1000, s: float = 0.008, largest_beta: float = 0.999) -> Schedule:
    """ᾱ_t = f(t) / f(0), f(t) = cos²(π/2 · (t/T + s) / (1 + s)), each β_t at most `largest_beta`.

    Source: Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", 2021, equation 17.
    """
    check_at_least(1, T=T)
    if not s >= 0 or not 0 < largest_beta < 1:
        raise ValueError(f"s={s} must be at least 0, largest_beta={largest_beta} in (0, 1)")
    t = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (t + s) / (1 + s)).square()
    alpha = (f[1:] / f[:-1]).clamp_min(1 - largest_beta)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), alpha.cumprod(0)])
    return _made_by(cosine_schedule, Schedule(alpha_bar), T=T, s=s, largest_beta=largest_beta)


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The schedule with √ᾱ shifted and stretched so that nothing is left at T, and t = 1 stays as it was.

    Source: Lin, Liu, Li, Yang, "Common diffusion noise schedules and sample steps are flawed", 2024, algorithm 1.

    Raises:
        ValueError: a schedule of a single step, which cannot be stretched.
    """
    if schedule.T < 2:
        raise ValueError(f"schedule has T={schedule.T}; at least 2 steps are needed")
    root = schedule.alpha_bar[1:].sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), root.square()])
    return _made_by(zero_terminal_snr, Schedule(alpha_bar), schedule=schedule)


def _made_by(function: Callable[..., Schedule], made: Schedule, **arguments: Any) -> Schedule:
    """The schedule, which a card describes by the function that made it instead of by T + 1 numbers."""
    made.maker, made.made_by = function, arguments
    return made
