"""Samplers: from noise to images, step by step. Each is a generator that yields every state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from course_utils.diffusion.guided import Condition, Step
from course_utils.diffusion.process import VARIANCES, Prediction, log_variance, posterior
from course_utils.inputs import (
    at_least_float32,
    check_at_least,
    check_choice,
    check_whole,
    noise_like,
)

if TYPE_CHECKING:
    from course_utils.diffusion.model import DiffusionModel
    from course_utils.diffusion.schedule import Schedule


Time = TypeVar("Time", int, float)

SIGMA_MAX = 80.0  # Karras et al., 2022, table 1: above it there is nothing to see but the data's mean


def time_steps(start: int, steps: int) -> list[int]:
    """`steps` + 1 times from `start` down to 0, evenly spread, both ends included.

    Source: Lin et al., 2024, table 2, "trailing".
    """
    check_at_least(1, start=start)
    check_whole(steps=steps)
    if not 1 <= steps <= start:
        raise ValueError(f"steps={steps} must lie in 1 … {start}, the time that sampling starts at")
    return [round(start * (steps - k) / steps) for k in range(steps + 1)]


def karras_time_steps(schedule: Schedule, start: int, steps: int, rho: float = 7.0) -> list[int]:
    """`steps` + 1 times from `start` down to 0, at which σ^(1/ρ) falls as evenly as whole time steps allow.

    σ = √((1 - ᾱ) / ᾱ); from a start above SIGMA_MAX as from there, so that the first step leads over what is more.
    Source: Karras et al., 2022, equation 5; to whole steps as in their appendix C.3.
    """
    even = time_steps(start, steps)
    if start > schedule.T or not rho > 0:
        raise ValueError(f"start={start} must be at most T = {schedule.T}, rho={rho} above 0")
    if steps == 1:
        return even
    alpha_bar = schedule.alpha_bar[: start + 1]
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    first, last = (end ** (1 / rho) for end in (min(sigma[start].item(), SIGMA_MAX), sigma[1].item()))
    times = [start]
    for k in range(1, steps):
        wanted = (first + k / (steps - 1) * (last - first)) ** rho
        nearest = int((sigma - wanted).abs().argmin())
        least = steps - k  # one time is left for each step to come
        times.append(max(min(nearest, times[-1] - 1), least))
    return [*times, 0]


def walk(
    model: DiffusionModel,
    x_T: Tensor,
    steps: int,
    condition: Condition,
    update: Callable[[Tensor, Prediction, int, int], Tensor],
    *,
    start: int | None = None,
    spacing: Callable[[Schedule, int, int], list[int]] | None = None,
) -> Iterator[Step]:
    """All samplers' loop: predict from x_t, let `update(x_t, seen, t, s)` give x_s. The start comes first.

    States in half precision are kept in float32. spacing: gives the times of a schedule, a start and a number of
    steps; None: `time_steps`.
    """
    model.check_state(x_T, "x_T", condition)
    start = model.schedule.T if start is None else start
    check_whole(start=start)
    if not 1 <= start <= model.schedule.T:
        raise ValueError(f"start={start} must lie in 1 … T = {model.schedule.T}")
    times = time_steps(start, steps) if spacing is None else spacing(model.schedule, start, steps)
    return states(lambda x, t: predict(model, x, t, condition), at_least_float32(x_T), times, update)


@torch.no_grad()
def states(
    see: Callable[[Tensor, Time], Prediction],
    x: Tensor,
    times: list[Time],
    update: Callable[[Tensor, Prediction, Time, Time], Tensor],
) -> Iterator[Step]:
    """The start, and what `update(x_t, see(x_t, t), t, s)` makes of it from each time t to the next, s."""
    yield Step(times[0], x, None, None)
    for t, s in pairwise(times):
        seen = see(x, t)
        x = update(x, seen, t, s)
        yield Step(s, x, seen.x0, seen.eps)


def predict(model: DiffusionModel, x: Tensor, t: int, condition: Condition) -> Prediction:
    """What the model sees in x at time t, its clean image within [-1, 1] if the model says so."""
    times = full_times(t, x)
    return model.clipped(model.known_predict(x, times, *condition), x, times)


def ddpm_sample(
    model: DiffusionModel,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    start: int | None = None,
    variance: str = "small",
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Denoise x_T ~ N(0, I), (N, C, H, W), in `steps` steps; yields the start and the state after each step.

    Ancestral sampling: x_s is drawn from a Gaussian with the mean of q(x_s | x_t, x̂₀); the last step adds no noise.
    y, guidance, negative: see `DiffusionModel.predict`.
    start: the time of x_T, if it is not pure noise; None: T.
    variance: `small`, `large` (see `posterior`) or `learned`, in between on a log scale.
    Source: Ho et al., 2020, algorithm 2 and equation 11; Nichol and Dhariwal, 2021, equation 15, and section 4 for
    fewer steps than T.
    """
    check_choice(VARIANCES, variance=variance)
    if variance == "learned" and not model.learn_variance:
        raise ValueError("variance='learned' needs a model with learn_variance=True")

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        return ancestral_step(model.schedule, x, seen, t, s, variance, generator)

    return walk(model, x_T, steps, Condition(y, guidance, negative), update, start=start)


def ancestral_step(
    schedule: Schedule,
    x: Tensor,
    seen: Prediction,
    t: int,
    s: int,
    variance: str,
    generator: torch.Generator | None,
) -> Tensor:
    """x_s drawn from the Gaussian with the mean of q(x_s | x_t, x̂₀); at s = 0 the mean."""
    mean, small, large = posterior(seen.x0, x, schedule.alpha_bar[t], schedule.alpha_bar[s])
    if s == 0:
        return mean
    log_var = log_variance(small, large, seen.variance_share, variance)
    return mean + (0.5 * log_var).exp().to(x.dtype) * noise_like(x, generator)


def ddim_sample(
    model: DiffusionModel,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    start: int | None = None,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """As `ddpm_sample`, by

        x_s = √ᾱ_s x̂₀ + √(1 - ᾱ_s - σ²) ε̂ + σ z,   σ = η √((1 - ᾱ_s) / (1 - ᾱ_t)) √(1 - ᾱ_t / ᾱ_s)

    eta: η; 0 adds no noise, so that x_T decides the image; 1 is `ddpm_sample` with the smaller variance.
    Source: Song, Meng, Ermon, "Denoising diffusion implicit models", 2021, equations 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta={eta} must lie in 0 … 1")

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        a, b = model.schedule.alpha_bar[t].item(), model.schedule.alpha_bar[s].item()
        sigma = eta * math.sqrt((1 - b) / (1 - a) * (1 - a / b))
        x = math.sqrt(b) * seen.x0 + math.sqrt(max(0.0, 1 - b - sigma**2)) * seen.eps
        return x + sigma * noise_like(x, generator) if sigma else x

    return walk(model, x_T, steps, Condition(y, guidance, negative), update, start=start)


def dpmpp_2m_sample(
    model: DiffusionModel,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    start: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """As `ddpm_sample`, by DPM-Solver++ of second order: without noise (`generator` is not used), one run of the
    network a step.

    With λ = log(√ᾱ / √(1 - ᾱ)), h = λ_s - λ_t and r = h_before / h:

        x_s = √((1 - ᾱ_s) / (1 - ᾱ_t)) x_t - √ᾱ_s (e^{-h} - 1) (x̂₀ + (x̂₀ - x̂₀_before) / (2r))

    The first and the last step are of first order, which is DDIM.
    Source: Lu et al., "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", 2022,
    algorithm 2.
    """
    before: tuple[Tensor, float] | None = None

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        nonlocal before
        a, b = model.schedule.alpha_bar[t].item(), model.schedule.alpha_bar[s].item()
        h = _half_log_snr(b) - _half_log_snr(a)  # infinite for s = 0, and for t = T where nothing is left
        x0 = seen.x0
        if before is not None and math.isfinite(h) and math.isfinite(before[1]):
            x0 = x0 + h / (2 * before[1]) * (x0 - before[0])
        before = seen.x0, h
        return math.sqrt((1 - b) / (1 - a)) * x - math.sqrt(b) * math.expm1(-h) * x0

    return walk(model, x_T, steps, Condition(y, guidance, negative), update, start=start)


def heun_sample(
    model: DiffusionModel,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
    start: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """As `ddpm_sample`, by Heun's method: without noise (`generator` is not used), two runs of the network a
    step, one in the last.

    In x̄ = x / √ᾱ and σ = √((1 - ᾱ) / ᾱ) sampling is the differential equation dx̄ / dσ = ε̂; the slope of a step is
    the mean of those at its two ends. The times are those of `karras_time_steps`. A first step from above SIGMA_MAX is
    DDIM's: its x̂₀ hardly moves, while σ falls from thousands, or from infinity where ᾱ_T = 0.
    Source: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, algorithm 1.
    """

    condition = Condition(y, guidance, negative)

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        a, b = model.schedule.alpha_bar[t].item(), model.schedule.alpha_bar[s].item()
        reached = math.sqrt(b) * seen.x0 + math.sqrt(1 - b) * seen.eps  # Euler's step, which is DDIM
        if s == 0 or 1 - a > SIGMA_MAX**2 * a:
            return reached
        slope = (seen.eps + predict(model, reached, s, condition).eps) / 2
        return math.sqrt(b) * (x / math.sqrt(a) + (math.sqrt((1 - b) / b) - math.sqrt((1 - a) / a)) * slope)

    return walk(model, x_T, steps, condition, update, start=start, spacing=karras_time_steps)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {
    "ddpm": ddpm_sample,
    "ddim": ddim_sample,
    "dpm-solver++": dpmpp_2m_sample,
    "heun": heun_sample,
}


def _half_log_snr(alpha_bar: float) -> float:
    """λ = log(√ᾱ / √(1 - ᾱ))."""
    if alpha_bar == 1:
        return math.inf
    return -math.inf if alpha_bar == 0 else 0.5 * math.log(alpha_bar / (1 - alpha_bar))


def full_times(t: int, x: Tensor) -> Tensor:
    """The time t for each image of x (N, …): int64 (N,)."""
    return torch.full((len(x),), t, dtype=torch.int64, device=x.device)
