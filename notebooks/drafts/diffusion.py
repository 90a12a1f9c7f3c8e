"""Diffusion: noise schedules, the forward process, its losses, and the samplers that run it backwards.

Time steps are the paper's, t = 1 … T; t = 0 is the clean image. `alpha_bar[t]` is the share of the image's variance
that is left at t: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

PREDICTIONS = ("eps", "x0", "v")
WEIGHTINGS = ("simple", "min-snr")


# ------------------------------------------------------------------------------------------------ schedules


@dataclass(frozen=True, eq=False)
class Schedule:
    """How much of the image is left at each time step.

    Attributes:
        alpha_bar: float64 (T + 1,), indexed by t: 1 at t = 0, falling, at least 0 at t = T.

    Raises:
        ValueError: not float64, not from 1 downwards, or below 0.
    """

    alpha_bar: Tensor

    def __post_init__(self) -> None:
        a = self.alpha_bar
        if a.ndim != 1 or len(a) < 2 or a.dtype != torch.float64:
            raise ValueError(f"alpha_bar must be float64 (T + 1,), T ≥ 1, not {a.dtype} {tuple(a.shape)}")
        if a[0] != 1 or not (a.diff() < 0).all() or a[-1] < 0:
            raise ValueError("alpha_bar must begin with 1, fall at each step, and stay at or above 0")

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.alpha_bar) - 1

    def at(self, t: Tensor, like: Tensor) -> Tensor:
        """ᾱ_t for time steps (N,), float64, shaped to multiply `like` (N, …)."""
        if t.dtype != torch.int64 or t.shape != like.shape[:1]:
            raise ValueError(f"t must be int64 ({len(like)},), not {t.dtype} {tuple(t.shape)}")
        if len(t) and not 0 <= int(t.min()) <= int(t.max()) <= self.T:
            raise ValueError(f"t holds {int(t.min())} … {int(t.max())}; allowed: 0 … {self.T}")
        return self.alpha_bar.to(t.device)[t].view(-1, *[1] * (like.ndim - 1))


def linear_schedule(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """β_t evenly from `first` to `last`, ᾱ_t = ∏ (1 - β_s).

    Source: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, section 4.
    """
    if T < 1 or not 0 < first <= last < 1:
        raise ValueError(f"T={T} must be at least 1, and 0 < first={first} ≤ last={last} < 1")
    beta = torch.linspace(first, last, T, dtype=torch.float64)
    return Schedule(torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)]))


def cosine_schedule(T: int = 1000, s: float = 0.008, largest_beta: float = 0.999) -> Schedule:
    """ᾱ_t = f(t) / f(0), f(t) = cos²(π/2 · (t/T + s) / (1 + s)), each β_t at most `largest_beta`.

    Source: Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", 2021, equation 17.
    """
    if T < 1 or s < 0 or not 0 < largest_beta < 1:
        raise ValueError(f"T={T} must be at least 1, s={s} at least 0, largest_beta={largest_beta} in (0, 1)")
    t = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (t + s) / (1 + s)).square()
    alpha = (f[1:] / f[:-1]).clamp_min(1 - largest_beta)
    return Schedule(torch.cat([torch.ones(1, dtype=torch.float64), alpha.cumprod(0)]))


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """The schedule with √ᾱ shifted and stretched so that nothing is left at T, and t = 1 stays as it was.

    Source: Lin, Liu, Li, Yang, "Common diffusion noise schedules and sample steps are flawed", 2024, algorithm 1.
    """
    root = schedule.alpha_bar[1:].sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return Schedule(torch.cat([torch.ones(1, dtype=torch.float64), root.square()]))


# ---------------------------------------------------------------------- three names for the same prediction


class Prediction(NamedTuple):
    """What a network's output says about x_t: the clean image and the noise in it, (N, …) each."""

    x0: Tensor
    eps: Tensor


def predict_x0_eps(output: Tensor, x_t: Tensor, alpha_bar: Tensor, predict: str) -> Prediction:
    """The clean image and the noise that a network's output stands for; x_t = √ᾱ x₀ + √(1 - ᾱ) ε holds for both.

    output: ε, x₀ or v = √ᾱ ε - √(1 - ᾱ) x₀, as `predict` says, (N, …). alpha_bar: float64, broadcasts to it.
    Source: Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", 2022, appendix D.

    Raises:
        ValueError: an unknown name; ε where nothing is left of the image (ᾱ = 0); x₀ where there is no noise (ᾱ = 1).
    """
    signal, noise = alpha_bar.sqrt().to(x_t.dtype), (1 - alpha_bar).sqrt().to(x_t.dtype)
    if predict == "eps":
        if (alpha_bar == 0).any():
            raise ValueError("predict='eps' cannot give x0 where alpha_bar is 0; use 'v' or 'x0'")
        return Prediction((x_t - noise * output) / signal, output)
    if predict == "x0":
        if (alpha_bar == 1).any():
            raise ValueError("predict='x0' cannot give eps where alpha_bar is 1, at t = 0")
        return Prediction(output, (x_t - signal * output) / noise)
    if predict == "v":
        return Prediction(signal * x_t - noise * output, noise * x_t + signal * output)
    raise ValueError(f"predict={predict!r} is unknown; allowed: {', '.join(PREDICTIONS)}")


def target(x0: Tensor, eps: Tensor, alpha_bar: Tensor, predict: str) -> Tensor:
    """What the network ought to give: ε, x₀ or v (N, …); the inverse of `predict_x0_eps`."""
    if predict == "v":
        return alpha_bar.sqrt().to(x0.dtype) * eps - (1 - alpha_bar).sqrt().to(x0.dtype) * x0
    if predict not in PREDICTIONS:
        raise ValueError(f"predict={predict!r} is unknown; allowed: {', '.join(PREDICTIONS)}")
    return eps if predict == "eps" else x0


def loss_weight(alpha_bar: Tensor, predict: str, weighting: str) -> Tensor:
    """The weight of each time step's squared error, (N, …), float64.

    `simple` is 1. `min-snr` is min(SNR, 5) times the squared error of x₀, whatever the network predicts: with
    SNR = ᾱ / (1 - ᾱ), min(SNR, 5) / SNR for ε and min(SNR, 5) / (SNR + 1) for v.
    Source: Hang et al., "Efficient diffusion training via min-SNR weighting strategy", 2023, equations 8 to 10.
    """
    if weighting == "simple":
        return torch.ones_like(alpha_bar)
    if weighting != "min-snr":
        raise ValueError(f"weighting={weighting!r} is unknown; allowed: {', '.join(WEIGHTINGS)}")
    snr = alpha_bar / (1 - alpha_bar)
    least = snr.clamp_max(5)
    return {"x0": least, "eps": torch.where(snr > 0, least / snr, 1), "v": least / (snr + 1)}[predict]


# ---------------------------------------------------------------------------------------------- the model


class DDPM(nn.Module):
    """A network that sees through noise, and the schedule that it was trained with.

    Source: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020; the classes are left out at random as
    in Ho and Salimans, "Classifier-free diffusion guidance", 2022, algorithm 1.

    Args:
        net: `net(x_t, t, y)` → (N, C, H, W), what `predict` names. t int64 (N,). y int64 (N,), with the number
            `classes` for "no class"; called without y where `classes` is None.
        schedule: of the noise.
        predict: `eps`, `x0` or `v`.
        weighting: of the time steps in the loss; see `loss_weight`.
        classes: how many there are; None: no classes.
        drop: the share of labels that training leaves out, so that the network learns to do without.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: Schedule,
        *,
        predict: str = "eps",
        weighting: str = "simple",
        classes: int | None = None,
        drop: float = 0.1,
    ):
        super().__init__()
        if predict not in PREDICTIONS:
            raise ValueError(f"predict={predict!r} is unknown; allowed: {', '.join(PREDICTIONS)}")
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting={weighting!r} is unknown; allowed: {', '.join(WEIGHTINGS)}")
        if not 0 <= drop <= 1:
            raise ValueError(f"drop={drop} must lie in 0 … 1")
        self.net, self.schedule = net, schedule
        self.predict, self.weighting, self.classes, self.drop = predict, weighting, classes, drop

    def q_sample(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε (equation 4): images and noise (N, C, H, W), t (N,) → (N, C, H, W)."""
        a = self.schedule.at(t, x0)
        return a.sqrt().to(x0.dtype) * x0 + (1 - a).sqrt().to(x0.dtype) * eps

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """The mean squared error of what is predicted (equation 14), weighted; t and ε are drawn for each image."""
        n, device = len(x), x.device
        t = torch.randint(1, self.schedule.T + 1, (n,), generator=generator, device=device)
        eps = torch.randn(x.shape, generator=generator, device=device, dtype=x.dtype)
        if self.classes is None or y is None:
            y = None
        else:
            dropped = torch.rand(n, generator=generator, device=device) < self.drop
            y = torch.where(dropped, self.classes, y)
        a = self.schedule.at(t, x)
        output = self._output(self.q_sample(x, t, eps), t, y)
        error = (output - target(x, eps, a, self.predict)).square()
        return (loss_weight(a, self.predict, self.weighting).to(x.dtype) * error).mean()

    def predict_x0_eps(
        self, x_t: Tensor, t: Tensor, y: Tensor | None = None, guidance: float = 1.0
    ) -> Prediction:
        """The clean image and the noise that the network sees in x_t.

        guidance: w ≥ 0; 1 is the network's own answer for class y, 0 the one without a class, and above 1 the step
        from the second to the first is taken w times (Ho and Salimans, 2022, equation 6 with w - 1 for their w).
        Other values than 0 and 1 cost two runs of the network.
        """
        a = self.schedule.at(t, x_t)
        if y is None or self.classes is None or guidance == 1:
            return predict_x0_eps(self._output(x_t, t, y), x_t, a, self.predict)
        nothing = torch.full_like(y, self.classes)
        if guidance == 0:
            return predict_x0_eps(self._output(x_t, t, nothing), x_t, a, self.predict)
        both = self._output(x_t.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, nothing]))
        with_class, without = both.chunk(2)
        return predict_x0_eps(without + guidance * (with_class - without), x_t, a, self.predict)

    def _output(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        if self.classes is not None and y is None:
            y = torch.full_like(t, self.classes)
        return self.net(x_t, t) if self.classes is None else self.net(x_t, t, y)


# ------------------------------------------------------------------------------------------------ samplers


class Step(NamedTuple):
    """Where a sampler stands: at time t the image x_t, and what the network last saw in it (None at the start)."""

    t: int
    x_t: Tensor
    x0_hat: Tensor | None
    eps_hat: Tensor | None


def time_steps(T: int, steps: int) -> list[int]:
    """`steps` + 1 times from T down to 0, evenly spread, both ends included.

    Source: Lin et al., 2024, table 2, "trailing".
    """
    if not 1 <= steps <= T:
        raise ValueError(f"steps={steps} must lie in 1 … T = {T}")
    return [round(T * (steps - k) / steps) for k in range(steps + 1)]


def ddim_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Denoise x_T ~ N(0, I), (N, C, H, W), in `steps` steps; yields the start and the state after each step.

        x_s = √ᾱ_s x̂₀ + √(1 - ᾱ_s - σ²) ε̂ + σ z,   σ = η √((1 - ᾱ_s) / (1 - ᾱ_t)) √(1 - ᾱ_t / ᾱ_s)

    eta: 0 adds no noise; 1 with steps = T is DDPM's sampler with its smaller variance.
    Source: Song, Meng, Ermon, "Denoising diffusion implicit models", 2021, equations 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta={eta} must lie in 0 … 1")
    alpha_bar = model.schedule.alpha_bar
    times, x = time_steps(model.schedule.T, steps), x_T
    yield Step(times[0], x, None, None)
    for t, s in pairwise(times):
        x0, eps = _see(model, x, t, y, guidance)
        a, b = alpha_bar[t].item(), alpha_bar[s].item()
        sigma = eta * math.sqrt((1 - b) / (1 - a) * (1 - a / b))
        x = math.sqrt(b) * x0 + math.sqrt(max(0.0, 1 - b - sigma**2)) * eps
        if sigma > 0:
            x = x + sigma * _noise_like(x, generator)
        yield Step(s, x, x0, eps)


def ddpm_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    variance: str = "small",
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Ancestral sampling: draw x_s from a Gaussian with the mean of q(x_s | x_t, x̂₀); yields as `ddim_sample`.

    variance: `small` is that of q(x_s | x_t, x₀), right if the data are one point; `large` is 1 - ᾱ_t / ᾱ_s, right if
    they are standard normal.
    Source: Ho et al., 2020, equations 6, 7 and 11, section 3.2; with fewer steps than T, Nichol and Dhariwal, 2021,
    section 4.
    """
    if variance not in ("small", "large"):
        raise ValueError(f"variance={variance!r} is unknown; allowed: small, large")
    times, x = time_steps(model.schedule.T, steps), x_T
    yield Step(times[0], x, None, None)
    for t, s in pairwise(times):
        x0, eps = _see(model, x, t, y, guidance)
        mean, small, large = posterior(model.schedule, x0, x, t, s)
        x = (
            mean
            if s == 0
            else mean + math.sqrt(small if variance == "small" else large) * _noise_like(x, generator)
        )
        yield Step(s, x, x0, eps)


def posterior(schedule: Schedule, x0: Tensor, x_t: Tensor, t: int, s: int) -> tuple[Tensor, float, float]:
    """The mean of q(x_s | x_t, x₀) for s < t, (N, …), its variance, and the variance of q(x_t | x_s) in its place.

    Source: Ho et al., 2020, equation 7.
    """
    a, b = schedule.alpha_bar[t].item(), schedule.alpha_bar[s].item()
    beta = 1 - a / b
    mean = math.sqrt(b) * beta / (1 - a) * x0 + math.sqrt(a / b) * (1 - b) / (1 - a) * x_t
    return mean, (1 - b) / (1 - a) * beta, beta


def dpmpp_2m_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
) -> Iterator[Step]:
    """DPM-Solver++ of second order, which reuses the last step's x̂₀: one run of the network a step; yields as
    `ddim_sample`. The first and the last step are of first order, which is DDIM.

    Source: Lu et al., "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", 2022,
    algorithm 2.
    """
    alpha_bar = model.schedule.alpha_bar
    times, x = time_steps(model.schedule.T, steps), x_T
    last: tuple[Tensor, float] | None = None
    yield Step(times[0], x, None, None)
    for t, s in pairwise(times):
        x0, eps = _see(model, x, t, y, guidance)
        a, b = alpha_bar[t].item(), alpha_bar[s].item()
        h = _half_log_snr(b) - _half_log_snr(a)  # infinite for s = 0, and for t = T where nothing is left
        best = x0
        if last is not None and math.isfinite(h) and math.isfinite(last[1]):
            best = x0 + h / (2 * last[1]) * (x0 - last[0])
        x = math.sqrt((1 - b) / (1 - a)) * x - math.sqrt(b) * math.expm1(-h) * best
        last = x0, h
        yield Step(s, x, x0, eps)


def _half_log_snr(alpha_bar: float) -> float:
    """λ = log(√ᾱ / √(1 - ᾱ))."""
    if alpha_bar == 1:
        return math.inf
    return -math.inf if alpha_bar == 0 else 0.5 * math.log(alpha_bar / (1 - alpha_bar))


@torch.no_grad()
def _see(model: DDPM, x: Tensor, t: int, y: Tensor | None, guidance: float) -> Prediction:
    times = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
    return model.predict_x0_eps(x, times, y, guidance)


def _noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
