"""What a network's output stands for, what a step's error weighs, and the Gaussian of a step backwards."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.inputs import can_look, check_choice

PREDICTION_TYPES = ("eps", "x0", "v")
WEIGHTINGS = ("simple", "min-snr")
VARIANCES = ("small", "large", "learned")


# ---------------------------------------------------------------------- three names for the same prediction


class Prediction(NamedTuple):
    """What a network's output says about x_t: the clean image and the noise in it, (N, …) each.

    variance_share: where the network also learns the variance of a step, the share in [0, 1] of the way from the
    smaller to the larger one, on a log scale, (N, …).
    """

    x0: Tensor
    eps: Tensor
    variance_share: Tensor | None = None

    @property
    def velocity(self) -> Tensor:
        """ε̂ - x̂₀, dx_t / dt on the straight path from image to noise: see `FlowMatching`."""
        return self.eps - self.x0


def to_x0_eps(output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, prediction_type: str) -> Prediction:
    """The clean image and the noise that a network's output stands for; x_t = √ᾱ x₀ + √(1 - ᾱ) ε holds for both.

    output: ε, x₀ or v = √ᾱ ε - √(1 - ᾱ) x₀, as `prediction_type` says, (N, …).
    signal, noise: √ᾱ and √(1 - ᾱ), which broadcast to it.
    Source: Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", 2022, appendix D.

    Raises:
        ValueError: an unknown type; an output of another shape than x_t; ε where nothing is left of the image
            (ᾱ = 0); x₀ where there is no noise (ᾱ = 1).
    """
    check_choice(PREDICTION_TYPES, prediction_type=prediction_type)
    _check_alike(output=output, x_t=x_t)
    if prediction_type == "eps" and can_look(signal) and (signal == 0).any():
        raise ValueError("prediction_type='eps' cannot give x0 where alpha_bar is 0; use 'v' or 'x0'")
    if prediction_type == "x0" and can_look(noise) and (noise == 0).any():
        raise ValueError("prediction_type='x0' cannot give eps where alpha_bar is 1, at t = 0")
    return known_x0_eps(output, x_t, signal, noise, prediction_type)


def _check_alike(**tensors: Tensor) -> None:
    shapes = [f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items()]
    if len({tensor.shape for tensor in tensors.values()}) > 1:
        raise ValueError(f"{' and '.join(shapes)} must have one shape")


def known_x0_eps(
    output: Tensor, x_t: Tensor, signal: Tensor, noise: Tensor, prediction_type: str
) -> Prediction:
    """`to_x0_eps` for a type and times that are known to be right: nothing waits for the device to read them."""
    if prediction_type == "v":
        return Prediction(signal * x_t - noise * output, noise * x_t + signal * output)
    if prediction_type == "eps":
        return Prediction((x_t - noise * output) / signal, output)
    return Prediction(output, (x_t - signal * output) / noise)


def target(x0: Tensor, eps: Tensor, signal: Tensor, noise: Tensor, prediction_type: str) -> Tensor:
    """What the network ought to give: ε, x₀ or v (N, …); the inverse of `to_x0_eps`."""
    check_choice(PREDICTION_TYPES, prediction_type=prediction_type)
    _check_alike(x0=x0, eps=eps)
    if prediction_type == "v":
        return signal * eps - noise * x0
    return eps if prediction_type == "eps" else x0


def loss_weight(alpha_bar: Tensor, prediction_type: str, weighting: str) -> Tensor:
    """The weight of each time step's squared error, of the shape of `alpha_bar`, float64.

    `simple` is 1. `min-snr` is min(SNR, 5) times the squared error of x₀, whatever the network predicts: with
    SNR = ᾱ / (1 - ᾱ), min(SNR, 5) / SNR for ε and min(SNR, 5) / (SNR + 1) for v.
    Source: Hang et al., "Efficient diffusion training via min-SNR weighting strategy", 2023, equations 8 to 10.
    """
    check_choice(PREDICTION_TYPES, prediction_type=prediction_type)
    check_choice(WEIGHTINGS, weighting=weighting)
    if weighting == "simple":
        return torch.ones_like(alpha_bar)
    snr = alpha_bar / (1 - alpha_bar)
    least = snr.clamp_max(5)
    return {"x0": least, "eps": torch.where(snr > 0, least / snr, 1), "v": least / (snr + 1)}[prediction_type]


# -------------------------------------------------------------------------------------- a step's Gaussian


def posterior(x0: Tensor, x_t: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of q(x_s | x_t, x₀), (N, …), for ᾱ_t = a and ᾱ_s = b, s < t; its variance; that of q(x_t | x_s).

    The two variances are the smaller and the larger choice for the model's step: right if the data are one point, and
    if they are standard normal. a, b: float64, on the CPU if they are single numbers.
    Source: Ho et al., 2020, equation 7 and section 3.2.
    """
    x0_share, x_t_share, small, large = _shares(a, b)
    return x0_share.to(x0.dtype) * x0 + x_t_share.to(x0.dtype) * x_t, small, large


def _shares(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How much x₀ and x_t count in the posterior's mean, its variance, and β = 1 - a / b."""
    beta = 1 - a / b
    return b.sqrt() * beta / (1 - a), (a / b).sqrt() * (1 - b) / (1 - a), (1 - b) / (1 - a) * beta, beta


def one_step(alpha_bar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`_shares` of the steps t → t - 1, (T + 1,) each. At t = 1 the smaller variance is 0; that of t = 2 stands in
    for it, as in the authors' code."""
    before = torch.cat([alpha_bar[:1], alpha_bar[:-1]])
    x0_share, x_t_share, small, large = _shares(alpha_bar, before)
    small = torch.cat([small[:1], small[2:3], small[2:]]) if len(small) > 2 else large
    return x0_share, x_t_share, small, large


def log_variance(small: Tensor, large: Tensor, share: Tensor | None, variance: str) -> Tensor:
    """The logarithm of the variance of the model's step: `small`, `large`, or, learned, in between by `share`."""
    check_choice(VARIANCES, variance=variance)
    if variance != "learned":
        return (small if variance == "small" else large).log()
    if share is None:
        raise ValueError("variance='learned' needs a model with learn_variance=True")
    low, high = (v.log().to(share.dtype).to(share.device) if v.ndim == 0 else v.log() for v in (small, large))
    return torch.lerp(low.expand(share.shape), high.expand(share.shape), share.to(low.dtype))


def log_level(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log P(level of x) under a Gaussian, for 256 levels in [-1, 1] with open ends (Ho et al., equation 13)."""
    half = 1 / 255
    upper = torch.special.ndtr((x + half - mean) / std)
    lower = torch.special.ndtr((x - half - mean) / std)
    upper = torch.where(x > 1 - half, 1, upper)
    lower = torch.where(x < -1 + half, 0, lower)
    return (upper - lower).clamp_min(1e-12).log()
