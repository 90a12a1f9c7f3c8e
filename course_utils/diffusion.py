"""Diffusion: noise schedules, the forward process, its losses, and the samplers that run it backwards.

Time steps are the paper's, t = 1 … T; t = 0 is the clean image. `alpha_bar[t]` is the share of the image's variance
that is left at t: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.nets import UNet, at_least_float32, check_at_least, check_not_negative

PREDICTIONS = ("eps", "x0", "v")
WEIGHTINGS = ("simple", "min-snr")
VARIANCES = ("small", "large", "learned")


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
    """What a network's output says about x_t: the clean image and the noise in it, (N, …) each.

    variance: where the network also learns the variance of a step, the share in [0, 1] of the way from the smaller to
    the larger one, on a log scale, (N, …).
    """

    x0: Tensor
    eps: Tensor
    variance: Tensor | None = None


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
    """A network that sees through noise, and the schedule that it is trained with.

    Source: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020; the classes are left out at random as
    in Ho and Salimans, "Classifier-free diffusion guidance", 2022, algorithm 1; the variance is learned as in Nichol
    and Dhariwal, "Improved denoising diffusion probabilistic models", 2021, section 3.1.

    Args:
        net: `net(x_t, t)` or, with classes, `net(x_t, t, y)` → (N, C, H, W), what `predict` names. t int64 (N,). y
            int64 (N, *condition), with the number `classes` for "no class".
        schedule: of the noise.
        predict: `eps`, `x0` or `v`.
        weighting: of the time steps in the loss; see `loss_weight`.
        classes: how many there are; None: no classes.
        condition: the shape of one image's y: () for a class, (L,) for the L words of a prompt.
        drop: the share of labels that training leaves out, so that the network learns to do without.
        learn_variance: the network has twice as many output channels; the second half is the variance of a step.
        shape: of one image, (C, H, W), and the sampler (a key of SAMPLERS), steps and guidance that suit the model:
            what `sample` uses.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: Schedule,
        *,
        predict: str = "eps",
        weighting: str = "simple",
        classes: int | None = None,
        condition: tuple[int, ...] = (),
        drop: float = 0.1,
        learn_variance: bool = False,
        shape: tuple[int, ...] | None = None,
        sampler: str = "dpm-solver++",
        steps: int = 10,
        guidance: float = 1.0,
    ):
        super().__init__()
        if predict not in PREDICTIONS:
            raise ValueError(f"predict={predict!r} is unknown; allowed: {', '.join(PREDICTIONS)}")
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting={weighting!r} is unknown; allowed: {', '.join(WEIGHTINGS)}")
        if not 0 <= drop <= 1:
            raise ValueError(f"drop={drop} must lie in 0 … 1")
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler={sampler!r} is unknown; allowed: {', '.join(SAMPLERS)}")
        if predict == "eps" and schedule.alpha_bar[-1] == 0:
            raise ValueError("predict='eps' says nothing where alpha_bar is 0, at t = T; use 'v' or 'x0'")
        self.net, self.schedule = net, schedule
        self.predict, self.weighting, self.classes, self.drop = predict, weighting, classes, drop
        self.learn_variance, self.shape = learn_variance, shape
        self.condition = condition
        self.negative: Tensor | None = None
        self.sampler, self.steps, self.guidance = sampler, steps, guidance

    def q_sample(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε (Ho et al., equation 4): (N, …), t int64 (N,), (N, …) → (N, …)."""
        a = self.schedule.at(t, x0)
        return a.sqrt().to(x0.dtype) * x0 + (1 - a).sqrt().to(x0.dtype) * eps

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """The mean squared error of what is predicted (Ho et al., equation 14), weighted; t and ε are drawn for each
        image. With `learn_variance` plus 0.001 of the variational bound, whose gradient reaches the variance only
        (Nichol and Dhariwal, equation 16)."""
        n, device = len(x), x.device
        t = torch.randint(1, self.schedule.T + 1, (n,), generator=generator, device=device)
        eps = torch.randn(x.shape, generator=generator, device=device, dtype=x.dtype)
        y = self.drop_labels(y, generator)
        a = self.schedule.at(t, x)
        x_t = self.q_sample(x, t, eps)
        output, variance = self._output(x_t, t, y)
        output = at_least_float32(output)
        error = (output - target(x, eps, a, self.predict)).square()
        loss = (loss_weight(a, self.predict, self.weighting).to(x.dtype) * error).mean()
        if variance is not None:
            seen = predict_x0_eps(output.detach(), x_t, a, self.predict)
            bound = self._bound(x, x_t, t, seen._replace(variance=at_least_float32(variance)))
            loss = loss + 0.001 * self.schedule.T * bound.mean()
        return loss

    def drop_labels(self, y: Tensor | None, generator: torch.Generator | None) -> Tensor | None:
        """Conditions int64 (N, …), the share `drop` of them replaced by "no class"; None for a model without."""
        if self.classes is None or y is None:
            return None
        dropped = torch.rand(len(y), generator=generator, device=y.device) < self.drop
        return y.masked_fill(dropped.view(-1, *[1] * (y.ndim - 1)), self.classes)

    def away_from(self, y: Tensor) -> DDPM:
        """This model, with the same weights, whose guidance leads away from y (*condition) and not from "no class".

        For words that is known as a negative prompt.
        """
        other = copy.copy(self)
        other.negative = y
        return other

    def predict_x0_eps(
        self, x_t: Tensor, t: Tensor, y: Tensor | None = None, guidance: float = 1.0
    ) -> Prediction:
        """The clean image and the noise that the network sees in x_t.

        guidance: w ≥ 0; 1 is the network's own answer for condition y, 0 the one without, and above 1 the step from
        the second to the first is taken w times (Ho and Salimans, 2022, equation 6 with w - 1 for their w).
        Other values than 0 and 1 cost two runs of the network.
        """
        if not guidance >= 0:
            raise ValueError(f"guidance={guidance} must be at least 0")
        if guidance != 1 and (y is None or self.classes is None):
            raise ValueError(f"guidance={guidance} needs a model with classes, and y")
        a = self.schedule.at(t, x_t)
        if guidance == 1 or y is None or self.classes is None:
            output, variance = self._output(x_t, t, y)
        elif guidance == 0:
            output, variance = self._output(x_t, t, self._nothing(t))
        else:
            both = torch.cat([y, self._nothing(t)])
            output, variance = self._output(torch.cat([x_t, x_t]), t.repeat(2), both)
            with_class, without = output.chunk(2)
            output = without + guidance * (with_class - without)
            variance = None if variance is None else variance[: len(y)]
        return predict_x0_eps(output, x_t, a, self.predict)._replace(variance=variance)

    def _nothing(self, t: Tensor) -> Tensor:
        """What guidance leads away from, for each of the N images: "no class", or the condition of `away_from`."""
        if self.negative is not None:
            return self.negative.to(t.device).expand(len(t), *self.condition)
        return t.new_full((len(t), *self.condition), self.classes)  # type: ignore[arg-type]

    def _output(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The network's output for what `predict` names, and for the variance in [0, 1]."""
        if self.classes is not None and y is None:
            y = self._nothing(t)
        output = self.net(x_t, t) if y is None or self.classes is None else self.net(x_t, t, y)
        if not self.learn_variance:
            return output, None
        output, variance = output.chunk(2, dim=1)
        return output, (variance + 1) / 2

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """n images (n, C, H, W) in [-1, 1], of the classes y (n,) if given; see `draw`."""
        return self.draw(n, y, generator=generator).clamp(-1, 1)

    @torch.no_grad()
    def draw(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """Where the model's own sampler arrives, (n, *shape), with its number of steps and, if y (n, *condition) is
        given, its guidance."""
        check_at_least(1, n=n)
        if self.shape is None:
            raise ValueError(
                "shape is None; give the model the shape of one image, or call a sampler with x_T"
            )
        place = next(self.parameters()).device
        x_T = torch.randn(n, *self.shape, generator=generator, device=place)
        guidance = 1.0 if y is None else self.guidance
        *_, last = SAMPLERS[self.sampler](
            self, x_T, steps=self.steps, y=y, guidance=guidance, generator=generator
        )
        return last.x_t

    @torch.no_grad()
    def bits_per_dimension(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        variance: str = "large",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """An upper bound on -log₂ p(x) by pixel and channel, for images (N, C, H, W) of 256 levels: (N,).

        The sum over all T time steps, one run of the network each, with one draw of the noise for each.
        variance: of a step, as in `ddpm_sample`.
        Source: Ho et al., 2020, equation 5 and section 3.3; Nichol and Dhariwal, 2021, equations 4 to 7.
        """
        n, device = len(x), x.device
        total = torch.zeros(n, dtype=torch.float64, device=device)
        for step in range(1, self.schedule.T + 1):
            t = torch.full((n,), step, dtype=torch.int64, device=device)
            x_t = self.q_sample(x, t, torch.randn(x.shape, generator=generator, device=device, dtype=x.dtype))
            total += self._bound(x, x_t, t, self.predict_x0_eps(x_t, t, y), variance)
        a = self.schedule.alpha_bar[-1].item()  # KL of q(x_T | x₀) from N(0, I)
        at_T = 0.5 * (a * x.double().square() - a - math.log1p(-a)).flatten(1).mean(dim=1)
        return (total + at_T) / math.log(2)

    def _bound(
        self, x0: Tensor, x_t: Tensor, t: Tensor, seen: Prediction, variance: str = "learned"
    ) -> Tensor:
        """The bound's term for the step from t to t - 1, nats by pixel and channel: (N,).

        For t > 1 the Kullback-Leibler divergence of q(x_{t-1} | x_t, x₀) from the model's Gaussian; for t = 1 minus
        the log of what that Gaussian gives to x₀'s level, one of 256.
        """
        a, b = self.schedule.at(t, x0), self.schedule.at(t - 1, x0)
        true, small, large = posterior(x0.double(), x_t.double(), a, b)
        mean, *_ = posterior(seen.x0.double().clamp(-1, 1), x_t.double(), a, b)
        second = t.clamp_min(
            2
        )  # at t = 1 the smaller variance is 0; t = 2's stands in for it, as in their code
        _, small, _ = posterior(x0, x_t, self.schedule.at(second, x0), self.schedule.at(second - 1, x0))
        log_variance = _log_variance(small, large, seen.variance, variance)
        kl = 0.5 * (log_variance - small.log() - 1)
        kl = kl + 0.5 * (small + (true - mean).square()) / log_variance.exp()
        nll = -_log_level(x0.double(), mean, (0.5 * log_variance).exp())
        chosen = torch.where(t.view(-1, *[1] * (x0.ndim - 1)) == 1, nll, kl)
        return chosen.flatten(1).mean(dim=1)


def unet_ddpm(
    shape: tuple[int, int, int],
    *,
    width: int = 48,
    classes: int | None = None,
    predict: str = "x0",
    **sampling: Any,
) -> DDPM:
    """A DDPM of images of this shape (C, H, W): a `UNet` of this width, and the cosine schedule.

    sampling: `sampler`, `steps` and `guidance` of the DDPM.
    """
    net = UNet(channels=shape[0], width=width, classes=classes)
    return DDPM(
        net, cosine_schedule(), predict=predict, classes=classes, shape=tuple(shape), **sampling
    )  # fmt: skip


def posterior(x0: Tensor, x_t: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of q(x_s | x_t, x₀), (N, …), for ᾱ_t = a and ᾱ_s = b, s < t; its variance; that of q(x_t | x_s).

    The two variances are the smaller and the larger choice for the model's step: right if the data are one point, and
    if they are standard normal.
    Source: Ho et al., 2020, equation 7 and section 3.2.
    """
    beta = 1 - a / b
    x0_share = (b.sqrt() * beta / (1 - a)).to(x0.dtype)
    x_t_share = ((a / b).sqrt() * (1 - b) / (1 - a)).to(x0.dtype)
    return x0_share * x0 + x_t_share * x_t, (1 - b) / (1 - a) * beta, beta


def _log_variance(small: Tensor, large: Tensor, share: Tensor | None, variance: str) -> Tensor:
    """The logarithm of the variance of the model's step; `share` is what the network learned."""
    if variance == "small":
        return small.log()
    if variance == "large":
        return large.log()
    if variance != "learned":
        raise ValueError(f"variance={variance!r} is unknown; allowed: {', '.join(VARIANCES)}")
    if share is None:
        raise ValueError("variance='learned' needs a model with learn_variance=True")
    return torch.lerp(small.log().expand(share.shape), large.log().expand(share.shape), share.double())


def _log_level(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log P(level of x) under a Gaussian, for 256 levels in [-1, 1] with open ends (Ho et al., equation 13)."""
    half = 1 / 255
    upper = torch.special.ndtr((x + half - mean) / std)
    lower = torch.special.ndtr((x - half - mean) / std)
    upper = torch.where(x > 1 - half, 1, upper)
    lower = torch.where(x < -1 + half, 0, lower)
    return (upper - lower).clamp_min(1e-12).log()


# ------------------------------------------------------------------------------------------------ samplers


class Step(NamedTuple):
    """Where a sampler stands: at time t the image x_t, and what the network last saw in it (None at the start)."""

    t: int
    x_t: Tensor
    x0_hat: Tensor | None
    eps_hat: Tensor | None


def time_steps(start: int, steps: int) -> list[int]:
    """`steps` + 1 times from `start` down to 0, evenly spread, both ends included.

    Source: Lin et al., 2024, table 2, "trailing".
    """
    if not 1 <= steps <= start:
        raise ValueError(f"steps={steps} must lie in 1 … {start}, the time that sampling starts at")
    return [round(start * (steps - k) / steps) for k in range(steps + 1)]


@torch.no_grad()
def _walk(
    model: DDPM,
    x_T: Tensor,
    steps: int,
    y: Tensor | None,
    guidance: float,
    start: int | None,
    update: Callable[[Tensor, Prediction, int, int], Tensor],
) -> Iterator[Step]:
    """All samplers' loop: look at x_t, let `update(x_t, seen, t, s)` give x_s. The start comes first."""
    start = model.schedule.T if start is None else start
    if not 1 <= start <= model.schedule.T:
        raise ValueError(f"start={start} must lie in 1 … T = {model.schedule.T}")
    x, times = x_T, time_steps(start, steps)
    yield Step(times[0], x, None, None)
    for t, s in pairwise(times):
        seen = model.predict_x0_eps(x, _full(t, x), y, guidance)
        x = update(x, seen, t, s)
        yield Step(s, x, seen.x0, seen.eps)


def ddpm_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    start: int | None = None,
    variance: str = "small",
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Denoise x_T ~ N(0, I), (N, C, H, W), in `steps` steps; yields the start and the state after each step.

    Ancestral sampling: x_s is drawn from a Gaussian with the mean of q(x_s | x_t, x̂₀); the last step adds no noise.
    start: the time of x_T, if it is not pure noise; None: T.
    variance: `small`, `large` (see `posterior`) or `learned`, in between on a log scale.
    Source: Ho et al., 2020, algorithm 2 and equation 11; Nichol and Dhariwal, 2021, equation 15, and section 4 for
    fewer steps than T.
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance={variance!r} is unknown; allowed: {', '.join(VARIANCES)}")
    if variance == "learned" and not model.learn_variance:
        raise ValueError("variance='learned' needs a model with learn_variance=True")

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        return _ancestral(model.schedule, x, seen, t, s, variance, generator)

    return _walk(model, x_T, steps, y, guidance, start, update)


def _ancestral(
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
    log_variance = _log_variance(small, large, seen.variance, variance)
    return mean + (0.5 * log_variance).exp().to(x) * _noise_like(x, generator)


def ddim_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
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
        return x + sigma * _noise_like(x, generator) if sigma else x

    return _walk(model, x_T, steps, y, guidance, start, update)


def dpmpp_2m_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
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

    return _walk(model, x_T, steps, y, guidance, start, update)


def heun_sample(
    model: DDPM,
    x_T: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    start: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """As `ddpm_sample`, by Heun's method: without noise (`generator` is not used), two runs of the network a
    step, one in the last.

    In x̄ = x / √ᾱ and σ = √((1 - ᾱ) / ᾱ) sampling is the differential equation dx̄ / dσ = ε̂; the slope of a step is
    the mean of those at its two ends. Where nothing is left of the image (ᾱ_T = 0) the first step is DDIM's.
    The first step runs through most of the range of σ. Where that ends at thousands, as for the cosine schedule, fewer
    than fifty steps fail; the other samplers do not.
    Source: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, algorithm 1.
    """

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        a, b = model.schedule.alpha_bar[t].item(), model.schedule.alpha_bar[s].item()
        reached = math.sqrt(b) * seen.x0 + math.sqrt(1 - b) * seen.eps  # Euler's step, which is DDIM
        if s == 0 or a == 0:
            return reached
        slope = (seen.eps + model.predict_x0_eps(reached, _full(s, x), y, guidance).eps) / 2
        return math.sqrt(b) * (x / math.sqrt(a) + (math.sqrt((1 - b) / b) - math.sqrt((1 - a) / a)) * slope)

    return _walk(model, x_T, steps, y, guidance, start, update)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {
    "ddpm": ddpm_sample,
    "ddim": ddim_sample,
    "dpm-solver++": dpmpp_2m_sample,
    "heun": heun_sample,
}


# ------------------------------------------------------------ images that keep something of a given image


def image_to_image(
    model: DDPM,
    x0: Tensor,
    *,
    start: int,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Images x0 (N, C, H, W) made noisy up to time `start` and denoised from there; yields as `ddpm_sample`.

    start: in 1 … T; the later, the more is made anew.
    Source: Meng et al., "SDEdit: guided image synthesis and editing with stochastic differential equations", 2022,
    algorithm 1.
    """
    if not 1 <= start <= model.schedule.T:
        raise ValueError(f"start={start} must lie in 1 … T = {model.schedule.T}")
    x_start = model.q_sample(x0, _full(start, x0), _noise_like(x0, generator))
    return ddpm_sample(
        model, x_start, steps=steps, y=y, guidance=guidance, start=start, generator=generator
    )  # fmt: skip


def inpaint(
    model: DDPM,
    x_T: Tensor,
    *,
    known: Tensor,
    mask: Tensor,
    steps: int,
    resample: int = 1,
    y: Tensor | None = None,
    guidance: float = 1.0,
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
    if known.shape != x_T.shape or mask.dtype != torch.bool:
        raise ValueError(
            f"known must be {tuple(x_T.shape)} as x_T, mask bool; not {tuple(known.shape)}, {mask.dtype}"
        )

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        kept = 1.0
        for again in range(resample if s else 1):  # the last step adds no noise: again would be the same
            if again:
                kept = (
                    model.schedule.alpha_bar[t] / model.schedule.alpha_bar[s]
                ).item()  # 1 - β of this step
                x = math.sqrt(kept) * x + math.sqrt(1 - kept) * _noise_like(x, generator)
                seen = model.predict_x0_eps(x, _full(t, x), y, guidance)
            x = _ancestral(model.schedule, x, seen, t, s, "small", generator)
            there = model.q_sample(known, _full(s, x), _noise_like(x, generator)) if s else known
            x = torch.where(mask, there, x)
        return x

    return _walk(model, x_T, steps, y, guidance, None, update)


def super_resolve(
    model: DDPM,
    x_T: Tensor,
    *,
    small: Tensor,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Larger images that, averaged over blocks of pixels, are `small` exactly; as `ddpm_sample` otherwise.

    Each predicted clean image gets the block means of `small`, and keeps what the means do not tell:

        x̂₀ ← x̂₀ + A⁺ (small - A x̂₀),   A: mean over blocks, A⁺: each pixel repeated, A A⁺ = 1

    small: images (N, C, h, w) in [-1, 1]; x_T is a whole number of times as high and as wide.
    Source: Wang, Yu, Zhang, "Zero-shot image restoration using denoising diffusion null-space model", 2023, equation
    13.
    """
    (height, width), size = small.shape[2:], x_T.shape[2:]
    if small.shape[:2] != x_T.shape[:2] or size[0] % height or size[1] % width:
        raise ValueError(
            f"small {tuple(small.shape)} must have as many images and channels as x_T {tuple(x_T.shape)}, and a size "
            "that divides its size"
        )

    def update(x: Tensor, seen: Prediction, t: int, s: int) -> Tensor:
        missing = small - F.adaptive_avg_pool2d(seen.x0, (height, width))
        x0 = seen.x0 + F.interpolate(missing, size, mode="nearest")
        return _ancestral(model.schedule, x, seen._replace(x0=x0), t, s, "small", generator)

    return _walk(model, x_T, steps, y, guidance, None, update)


# ------------------------------------------------------------------------------------------- distillation


def distillation_loss(
    student: DDPM,
    teacher: DDPM,
    x: Tensor,
    y: Tensor | None = None,
    *,
    substeps: int = 2,
    guidance: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step of the student ought to lead where `substeps` DDIM steps of the teacher lead; a mean squared error.

    The student will be used with `student.steps` steps and guidance 1, and learns their times only: from x_t the
    teacher goes to x_s, under guidance. The clean image that would take the student there in one step is

        x̃₀ = (x_s - √((1 - ᾱ_s) / (1 - ᾱ_t)) x_t) / (√ᾱ_s - √((1 - ᾱ_s) / (1 - ᾱ_t)) √ᾱ_t)

    Its error counts SNR + 1 times, as in the loss of v. Labels are left out at the student's rate `drop`; without a
    label there is no guidance.

    x: images (N, C, H, W); y: labels int64 (N,).
    Source: Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", 2022, algorithm 2;
    guidance as in Meng et al., "On distillation of guided diffusion models", 2023.
    """
    n, device = len(x), x.device
    times = torch.tensor(time_steps(student.schedule.T, student.steps), device=device)
    step = torch.randint(student.steps, (n,), generator=generator, device=device)
    t, s = times[step], times[step + 1]
    y = student.drop_labels(y, generator)
    x_t = student.q_sample(x, t, _noise_like(x, generator))
    with torch.no_grad():
        x_s = x_t
        for k in range(substeps):
            now, then = (t + (s - t) * j // substeps for j in (k, k + 1))
            seen = teacher.predict_x0_eps(x_s, now, y, guidance if y is not None else 1.0)
            b = teacher.schedule.at(then, x)
            x_s = b.sqrt().to(x) * seen.x0 + (1 - b).sqrt().to(x) * seen.eps
        a, b = student.schedule.at(t, x), student.schedule.at(s, x)
        ratio = ((1 - b) / (1 - a)).sqrt()
        x0 = (x_s - ratio.to(x) * x_t) / (b.sqrt() - ratio * a.sqrt()).to(x)
    error = (at_least_float32(student.predict_x0_eps(x_t, t, y).x0) - x0).square()
    return (error / (1 - a).to(x)).mean()


def _half_log_snr(alpha_bar: float) -> float:
    """λ = log(√ᾱ / √(1 - ᾱ))."""
    if alpha_bar == 1:
        return math.inf
    return -math.inf if alpha_bar == 0 else 0.5 * math.log(alpha_bar / (1 - alpha_bar))


def _full(t: int, x: Tensor) -> Tensor:
    return torch.full((len(x),), t, dtype=torch.int64, device=x.device)


def _noise_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


# ------------------------------------------------------------------------------------------- known answers


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
        self.register_buffer("means", means.double())
        self.register_buffer("log_weights", weights.double().log())

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        a = self.schedule.at(t, x_t).flatten()  # (N,)
        signal, spread = a.sqrt(), a * self.std**2 + 1 - a
        x, means = x_t.double().flatten(1), self.means.flatten(1)
        away = x.square().sum(1)[:, None] - 2 * signal[:, None] * x @ means.T
        away = away + a[:, None] * means.square().sum(1)  # ‖x_t - √ᾱ μ_k‖²
        share = (self.log_weights - 0.5 * away / spread[:, None]).softmax(dim=1)  # (N, K)
        mean = share @ means
        x0 = mean + (signal * self.std**2 / spread)[:, None] * (x - signal[:, None] * mean)
        return x0.to(x_t.dtype).view_as(x_t)
