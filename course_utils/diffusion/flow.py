"""Flow matching: a network learns the velocity of straight paths between images and noise; samplers follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from course_utils.diffusion.guided import Condition, GuidedModel, Step, check_pair
from course_utils.diffusion.process import Prediction
from course_utils.diffusion.samplers import states
from course_utils.inputs import at_least_float32, can_look, check_at_least, check_tensor, noise_like

# ---------------------------------------------------------------------------------------------- the model


class FlowMatching(GuidedModel):
    """A network that gives the velocity at which images become noise along straight paths.

        x_t = (1 - t) x₀ + t ε,   dx_t / dt = v = ε - x₀,   0 ≤ t ≤ 1

    t = 0 is the clean image, as everywhere here. In the papers noise is at 0: their time is 1 - t, their velocity -v.

    Source: Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", ICLR 2023, the
    optimal-transport path with σ_min = 0; Liu, Gong, Liu, "Flow straight and fast: learning to generate and transfer
    data with rectified flow", ICLR 2023, equation 1.

    Args:
        net: as of a `DiffusionModel`; it gives v. Its t is 1000 t, float (N,), so that the networks made for a
            thousand time steps serve here.
        num_classes, condition_shape, p_uncond, shape: as of a `DiffusionModel`.
        clip_x0: samplers keep the predicted clean image within [-1, 1], where images lie. False for codes and for
            points of the plane, which lie anywhere.
        steps, guidance: what `sample` uses, by Euler's method.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] = (),
        p_uncond: float = 0.1,
        clip_x0: bool = True,
        shape: tuple[int, ...] | None = None,
        steps: int = 20,
        guidance: float = 1.0,
    ):
        super().__init__(
            net, num_classes=num_classes, condition_shape=condition_shape, p_uncond=p_uncond, clip_x0=clip_x0,
            shape=shape, steps=steps, guidance=guidance,
        )  # fmt: skip

    def q_sample(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = (1 - t) x₀ + t ε: (N, …), t float (N,) in [0, 1], (N, …) → (N, …)."""
        check_pair(x0, eps, self.sizes(x0))
        return _between(x0, _checked_times(t, x0), eps)

    def loss(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The mean squared error of the velocity ε - x at x_t; t, uniform in [0, 1], is drawn for each image.

        x: images (N, C, H, W); y: labels int64 (N,).
        noise: ε for each image, of the shape of x; None: drawn. Reflow gives the ε from which a first flow's sampler
            made x (Liu et al., algorithm 1): a second flow trained on such pairs has straighter paths.
        """
        x = self.check_data(x)
        self.check_condition(None if self.num_classes is None else y, len(x))
        if noise is not None:
            check_pair(x, noise, self.sizes(x), ("x", "noise"))
        t = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
        eps = noise_like(x, generator) if noise is None else noise.to(x.dtype)
        y = self.drop_condition(y, generator)
        v = self.known_velocity(_between(x, t, eps), t, y)
        return (v - (eps - x)).square().mean()

    def velocity(
        self,
        x_t: Tensor,
        t: Tensor,
        y: Tensor | None = None,
        *,
        guidance: float = 1.0,
        negative: Tensor | None = None,
    ) -> Tensor:
        """v, dx_t / dt, that the network sees in x_t (N, …) at the times t float (N,) in [0, 1]: (N, …).

        y, guidance, negative: see `DiffusionModel.predict`. To guide v is to guide x̂₀ and ε̂: at a given x_t all are
        linear in each other.
        """
        self.check_state(x_t, "x_t", Condition(y, guidance, negative), nothing=True)
        x_t = at_least_float32(x_t)
        return self.known_velocity(x_t, _checked_times(t, x_t), y, guidance, negative)

    def known_velocity(
        self,
        x_t: Tensor,
        t: Tensor,
        y: Tensor | None = None,
        guidance: float = 1.0,
        negative: Tensor | None = None,
    ) -> Tensor:
        """`velocity` for arguments that are known to be right: nothing waits for the device to read them."""
        return self._guided(x_t, 1000 * t, y, guidance, negative)[0]

    def _from_noise(
        self, noise: Tensor, condition: Condition, generator: torch.Generator | None
    ) -> Iterator[Step]:
        return euler_sample(self, noise, steps=self.steps, **condition._asdict())


def _between(x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    t = _column(t, x0)
    return (1 - t) * x0 + t * eps


def _column(t: Tensor, x: Tensor) -> Tensor:
    """The times t (N,) shaped to multiply x (N, …)."""
    return t.view(-1, *[1] * (x.ndim - 1))


def _checked_times(t: Tensor, x: Tensor) -> Tensor:
    """The times in the dtype of x (N, …), or ValueError unless they are float (N,), within [0, 1]."""
    _check_within_0_1(t, "t")
    if t.shape != (len(x),):
        raise ValueError(f"t must be float ({len(x)},), a time for each image, not {tuple(t.shape)}")
    return t.to(x.dtype)


def _check_within_0_1(x: Tensor, name: str) -> None:
    check_tensor(x, name)
    if not x.is_floating_point():
        raise ValueError(f"{name} must be float, not {x.dtype}")
    if x.numel() and can_look(x) and not ((x >= 0) & (x <= 1)).all():
        raise ValueError(f"{name} holds {x.min().item():.4g} … {x.max().item():.4g}; allowed: 0 … 1")


# ------------------------------------------------------------------------------- a diffusion seen as a flow


def velocity_to_x0_eps(velocity: Tensor, x_t: Tensor, t: Tensor) -> Prediction:
    """The clean image and the noise that a velocity at x_t stands for: x̂₀ = x_t - t v and ε̂ = x_t + (1 - t) v.

    The way back is `Prediction.velocity`. The score of x_t is -ε̂ / t.

    velocity, x_t: (N, …); t: float (N,) in [0, 1].

    Raises:
        ValueError: a velocity of another shape than x_t; times that are none.
    """
    check_tensor(x_t, "x_t")
    check_pair(x_t, velocity, (None,) * max(0, x_t.ndim - 1), ("x_t", "velocity"))
    return _x0_eps(velocity, x_t, _column(_checked_times(t, x_t), x_t))


def _x0_eps(velocity: Tensor, x_t: Tensor, t: Tensor | float) -> Prediction:
    return Prediction(x_t - t * velocity, x_t + (1 - t) * velocity)


def straight_alpha_bar(t: Tensor) -> Tensor:
    """ᾱ = (1 - t)² / ((1 - t)² + t²), at which diffusion has the signal-to-noise ratio of a straight path at t.

    x_t / √((1 - t)² + t²) = √ᾱ x₀ + √(1 - ᾱ) ε is the state of diffusion there: both see the same x̂₀ and ε̂.

    t: float, any shape, in [0, 1]; float64 for a `Schedule`, of which DDIM's steps are then Euler's of the flow.
    """
    _check_within_0_1(t, "t")
    return (1 - t).square() / ((1 - t).square() + t.square())


def straight_time(alpha_bar: Tensor) -> Tensor:
    """t = √(1 - ᾱ) / (√ᾱ + √(1 - ᾱ)), the inverse of `straight_alpha_bar`: float, any shape, in [0, 1]."""
    _check_within_0_1(alpha_bar, "alpha_bar")
    return (1 - alpha_bar).sqrt() / (alpha_bar.sqrt() + (1 - alpha_bar).sqrt())


# ---------------------------------------------------------------------------------------------- samplers


def euler_sample(
    model: FlowMatching,
    x_1: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
) -> Iterator[Step]:
    """Follow the velocity from noise x_1 ~ N(0, I), (N, C, H, W), to images; yields the start and each step's state.

        x_s = x_t + (s - t) v(x_t, t) = (1 - s) x̂₀ + s ε̂

    The times fall evenly from 1 to 0. A step costs one run of the network.
    y, guidance, negative: see `DiffusionModel.predict`.
    Source: Liu et al., 2023.
    """
    condition = Condition(y, guidance, negative)
    return _walk(model, x_1, steps, condition, lambda x, seen, t, s: _euler_step(seen, s))


def midpoint_sample(
    model: FlowMatching,
    x_1: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    guidance: float = 1.0,
    negative: Tensor | None = None,
) -> Iterator[Step]:
    """As `euler_sample`, but with the velocity that the network sees half-way, at m = (t + s) / 2:

        x_s = x_t + (s - t) v(x_m, m),   x_m = x_t + (m - t) v(x_t, t)

    Two runs of the network a step. Its error falls with the square of the step, Euler's with the step. The network is
    never asked at t = 0, where the exact velocity between finitely many images is infinite.
    Source: the midpoint method of Runge, 1895.
    """
    condition = Condition(y, guidance, negative)

    def update(x: Tensor, seen: Prediction, t: float, s: float) -> Tensor:
        middle = (t + s) / 2
        v = _predict(model, _euler_step(seen, middle), middle, condition).velocity
        return _euler_step(_seen(model, v, x, t), s)

    return _walk(model, x_1, steps, condition, update)


def _walk(
    model: FlowMatching,
    x_1: Tensor,
    steps: int,
    condition: Condition,
    update: Callable[[Tensor, Prediction, float, float], Tensor],
) -> Iterator[Step]:
    """The samplers' loop, at even times from 1 to 0. States in half precision are kept in float32."""
    model.check_state(x_1, "x_1", condition)
    check_at_least(1, steps=steps)
    times = [(steps - k) / steps for k in range(steps + 1)]
    return states(lambda x, t: _predict(model, x, t, condition), at_least_float32(x_1), times, update)


def _predict(model: FlowMatching, x: Tensor, t: float, condition: Condition) -> Prediction:
    """What the model sees in x at a time t > 0."""
    times = torch.full((len(x),), t, dtype=x.dtype, device=x.device)
    return _seen(model, model.known_velocity(x, times, *condition), x, t)


def _seen(model: FlowMatching, velocity: Tensor, x: Tensor, t: float) -> Prediction:
    """What a velocity says of x at t > 0, its clean image within [-1, 1] if the model says so."""
    seen = _x0_eps(velocity, x, t)
    if not model.clip_x0:
        return seen
    x0 = seen.x0.clamp(-1, 1)
    return Prediction(x0, (x - (1 - t) * x0) / t)


def _euler_step(seen: Prediction, s: float) -> Tensor:
    """From x_t, of which `seen` was said, along the straight line to x_s: x_t + (s - t) (ε̂ - x̂₀)."""
    return (1 - s) * seen.x0 + s * seen.eps
