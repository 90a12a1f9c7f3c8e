"""The diffusion model: a network that sees through noise, with its loss, its bound and its sampler."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.diffusion.guided import Condition, GuidedModel, Step, check_pair
from course_utils.diffusion.process import (
    PREDICTION_TYPES,
    VARIANCES,
    WEIGHTINGS,
    Prediction,
    known_x0_eps,
    log_level,
    log_variance,
    loss_weight,
    one_step,
    target,
)
from course_utils.diffusion.samplers import SAMPLERS, full_times
from course_utils.diffusion.schedule import Schedule, cosine_schedule, describe
from course_utils.inputs import (
    at_least_float32,
    check_choice,
    check_images,
    check_times,
    noise_like,
    widest_float,
)
from course_utils.nets import UNet

# ---------------------------------------------------------------------------------------------- the model


class DiffusionModel(GuidedModel):
    """A network that sees through noise, and the schedule that it is trained with.

    Source: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020; the classes are left out at random as
    in Ho and Salimans, "Classifier-free diffusion guidance", 2022, algorithm 1; the variance is learned as in Nichol
    and Dhariwal, "Improved denoising diffusion probabilistic models", 2021, section 3.1.

    Args:
        net: `net(x_t, t)` or, with classes, `net(x_t, t, y)` → (N, C, H, W), what `prediction_type` names. t int64
            (N,). y int64 (N, *condition_shape), with the number `num_classes` for "no class".
        schedule: of the noise. It is kept with the weights, which load under no other.
        prediction_type: `eps`, `x0` or `v`.
        weighting: of the time steps in the loss; see `loss_weight`.
        num_classes: how many there are; None: no classes.
        condition_shape: of one image's y: () for a class, (L,) for the L words of a prompt.
        p_uncond: the probability that training leaves a label out, so that the network learns to do without.
        learn_variance: the network has twice as many output channels; the second half is the variance of a step.
        clip_x0: samplers and bound keep the predicted clean image within [-1, 1], where images lie. False for codes
            and for points of the plane, which lie anywhere.
        shape: of one image, (C, H, W), and the sampler (a key of SAMPLERS), steps and guidance that suit the model:
            what `sample` uses.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: Schedule,
        *,
        prediction_type: str = "eps",
        weighting: str = "simple",
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] = (),
        p_uncond: float = 0.1,
        learn_variance: bool = False,
        clip_x0: bool = True,
        shape: tuple[int, ...] | None = None,
        sampler: str = "dpm-solver++",
        steps: int = 10,
        guidance: float = 1.0,
    ):
        super().__init__(
            net, num_classes=num_classes, condition_shape=condition_shape, p_uncond=p_uncond, clip_x0=clip_x0,
            shape=shape, steps=steps, guidance=guidance,
        )  # fmt: skip
        check_choice(PREDICTION_TYPES, prediction_type=prediction_type)
        check_choice(WEIGHTINGS, weighting=weighting)
        if prediction_type == "eps" and schedule.alpha_bar[-1] == 0:
            raise ValueError(
                "prediction_type='eps' says nothing where alpha_bar is 0, at t = T; use 'v' or 'x0'"
            )
        check_choice(tuple(SAMPLERS), sampler=sampler)
        self.schedule, self.prediction_type, self.weighting = schedule, prediction_type, weighting
        self.learn_variance, self.sampler = learn_variance, sampler

    def get_extra_state(self) -> Tensor:
        """What goes with the weights beside the weights: the schedule's ᾱ."""
        return self.schedule.alpha_bar

    def set_extra_state(self, state: Tensor) -> None:
        """Raises ValueError if the weights were trained under another schedule."""
        if not self.schedule.agrees(state):
            raise ValueError(
                f"the weights were trained under another schedule ({describe(state)}) than this model's "
                f"({describe(self.schedule.alpha_bar)}); make the model with theirs"
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if (key := f"{prefix}_extra_state") not in state_dict:
            raise ValueError(
                f"these weights do not say under which schedule they were trained: there is no {key!r}, its ᾱ; if you "
                f"know that it was this model's, add it: weights[{key!r}] = model.schedule.alpha_bar"
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def q_sample(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε (Ho et al., equation 4): (N, …), t int64 (N,), (N, …) → (N, …)."""
        check_pair(x0, eps, self.sizes(x0))
        signal, noise = self.schedule.signal_noise(t, x0)
        return signal * x0 + noise * eps

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """The mean squared error of what is predicted (Ho et al., equation 14), weighted; t and ε are drawn for each
        image. With `learn_variance` plus 0.001 of the variational bound, whose gradient reaches the variance only
        (Nichol and Dhariwal, equation 16)."""
        x = self.check_data(x)
        self.check_condition(None if self.num_classes is None else y, len(x))
        t = torch.randint(1, self.schedule.T + 1, (len(x),), generator=generator, device=x.device)
        eps = noise_like(x, generator)
        y = self.drop_condition(y, generator)
        signal, noise = self.schedule.known_signal_noise(t, x)
        x_t = signal * x + noise * eps
        output, variance_share = self._output(x_t, t, y)
        error = (output - target(x, eps, signal, noise, self.prediction_type)).square()
        weight = self.schedule.at(
            f"weight {self.prediction_type} {self.weighting}",
            lambda a: loss_weight(a, self.prediction_type, self.weighting), t, x,
        )  # fmt: skip
        loss = (weight * error).mean()
        if variance_share is not None:
            seen = known_x0_eps(output.detach(), x_t, signal, noise, self.prediction_type)
            bound = self._bound(x, x_t, t, seen._replace(variance_share=variance_share))
            loss = loss + 0.001 * self.schedule.T * bound.mean().to(loss.dtype)
        return loss

    def predict(
        self,
        x_t: Tensor,
        t: Tensor,
        y: Tensor | None = None,
        *,
        guidance: float = 1.0,
        negative: Tensor | None = None,
    ) -> Prediction:
        """The clean image and the noise that the network sees in x_t (N, …) at the times t int64 (N,), 1 … T.

        y: the condition int64 (N, *condition_shape); None: no class.
        guidance: w ≥ 0; 1 is the network's own answer for y, 0 the one without a condition, and above 1 the step from
            the second to the first is taken w times (Ho and Salimans, 2022, equation 6 with w - 1 for their w).
            Other values than 0 and 1 cost two runs of the network.
        negative: a condition that guidance leads away from, instead of "no class"; for words known as a negative
            prompt. It needs a guidance above 1: up to there it would be approached, or would have no say.
        """
        self.check_state(x_t, "x_t", Condition(y, guidance, negative), nothing=True)
        check_times(t, len(x_t), self.schedule.T, first=1)
        return self.known_predict(at_least_float32(x_t), t, y, guidance, negative)

    def known_predict(
        self,
        x_t: Tensor,
        t: Tensor,
        y: Tensor | None = None,
        guidance: float = 1.0,
        negative: Tensor | None = None,
    ) -> Prediction:
        """`predict` for arguments that are known to be right: nothing waits for the device to read them."""
        output, variance_share = self._guided(x_t, t, y, guidance, negative)
        signal, noise = self.schedule.known_signal_noise(t, x_t)
        seen = known_x0_eps(output, x_t, signal, noise, self.prediction_type)
        return seen._replace(variance_share=variance_share)

    def clipped(self, seen: Prediction, x_t: Tensor, t: Tensor) -> Prediction:
        """The prediction with x₀ within [-1, 1], and ε so that both still make x_t; as it is without `clip_x0`."""
        if not self.clip_x0:
            return seen
        signal, noise = self.schedule.known_signal_noise(t, x_t)
        x0 = seen.x0.clamp(-1, 1)
        return Prediction(x0, (x_t - signal * x0) / noise, seen.variance_share)

    def _output(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The network's output for what `prediction_type` names, and for the variance in [0, 1]."""
        output = self._run(x_t, t, y)
        n, channels, *size = x_t.shape
        shape = (n, channels * (2 if self.learn_variance else 1), *size)
        if output.shape != shape:
            raise ValueError(
                f"net gives {tuple(output.shape)} for x_t {tuple(x_t.shape)}; with learn_variance="
                f"{self.learn_variance} it must be {shape}"
            )
        if not self.learn_variance:
            return output, None
        output, variance = output.chunk(2, dim=1)
        return output, (variance + 1) / 2

    def _from_noise(
        self, noise: Tensor, condition: Condition, generator: torch.Generator | None
    ) -> Iterator[Step]:
        walk = SAMPLERS[self.sampler]
        return walk(self, noise, steps=self.steps, **condition._asdict(), generator=generator)

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
        check_images(x, self.sizes(x))
        self.check_condition(y, len(x))
        if variance == "learned" and not self.learn_variance:
            raise ValueError("variance='learned' needs a model with learn_variance=True")
        check_choice(VARIANCES, variance=variance)
        x = at_least_float32(x)
        wide = x.to(widest_float(x.device))
        total = wide.new_zeros(len(x))
        for step in range(1, self.schedule.T + 1):
            t = full_times(step, x)
            signal, noise = self.schedule.known_signal_noise(t, x)
            x_t = signal * x + noise * noise_like(x, generator)
            total += self._bound(x, x_t, t, self.known_predict(x_t, t, y), variance)
        a = self.schedule.alpha_bar[-1].item()  # KL of q(x_T | x₀) from N(0, I)
        at_T = 0.5 * (a * wide.square() - a - math.log1p(-a)).flatten(1).mean(dim=1)
        return (total + at_T) / math.log(2)

    def _bound(
        self, x0: Tensor, x_t: Tensor, t: Tensor, seen: Prediction, variance: str = "learned"
    ) -> Tensor:
        """The bound's term for the step from t to t - 1, nats by pixel and channel: (N,).

        For t > 1 the Kullback-Leibler divergence of q(x_{t-1} | x_t, x₀) from the model's Gaussian; for t = 1 minus
        the log of what that Gaussian gives to x₀'s level, one of 256.
        """
        wide = widest_float(x0.device)
        x0, x_t = x0.to(wide), x_t.to(wide)
        x0_hat = seen.x0.to(wide).clamp(-1, 1) if self.clip_x0 else seen.x0.to(wide)
        tables = {
            name: self.schedule.at(f"step {name}", partial(_part_of_one_step, k), t, x0)
            for k, name in enumerate(("x0", "x_t", "small", "large"))
        }
        true, mean = (tables["x0"] * image + tables["x_t"] * x_t for image in (x0, x0_hat))
        small = tables["small"]
        log_var = log_variance(small, tables["large"], seen.variance_share, variance)
        kl = 0.5 * (log_var - small.log() - 1)
        kl = kl + 0.5 * (small + (true - mean).square()) / log_var.exp()
        nll = -log_level(x0, mean, (0.5 * log_var).exp())
        chosen = torch.where(t.view(-1, *[1] * (x0.ndim - 1)) == 1, nll, kl)
        return chosen.flatten(1).mean(dim=1)


def unet_diffusion(
    shape: tuple[int, int, int],
    *,
    width: int = 48,
    num_classes: int | None = None,
    prediction_type: str = "x0",
    **sampling: Any,
) -> DiffusionModel:
    """A diffusion model of images of this shape (C, H, W): a `UNet` of this width, and the cosine schedule.

    sampling: `sampler`, `steps` and `guidance` of the DiffusionModel.
    """
    net = UNet(in_channels=shape[0], width=width, num_classes=num_classes)
    return DiffusionModel(
        net, cosine_schedule(), prediction_type=prediction_type, num_classes=num_classes, shape=tuple(shape),
        **sampling,
    )  # fmt: skip


def _part_of_one_step(k: int, alpha_bar: Tensor) -> Tensor:
    return one_step(alpha_bar)[k]
