"""Flow matching: against the closed forms of Gaussian data, an ODE solver of SciPy, and the diffusion that it is."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from drawn import Says, random_images, seed
from no_waiting import as_on_an_accelerator
from torch import Tensor, nn

from course_utils.diffusion import (
    DiffusionModel,
    FlowMatching,
    IdealDenoiser,
    Prediction,
    Schedule,
    Step,
    cosine_schedule,
    ddim_sample,
    euler_sample,
    midpoint_sample,
    straight_alpha_bar,
    straight_time,
    velocity_to_x0_eps,
)
from course_utils.nets import UNet, seeded

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLERS = {"euler": euler_sample, "midpoint": midpoint_sample}
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
F64 = torch.float64


def normal(*shape: int, number: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=seed(number), dtype=dtype)


class Field(nn.Module):
    """A network that gives f(x, t), t in [0, 1] shaped to multiply x. It notes the times that it was called with."""

    def __init__(self, f: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.f, self.times = f, []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.times.append(t)
        return self.f(x, (t / 1000).view(-1, *[1] * (x.ndim - 1)))


def flow(f: Callable[[Tensor, Tensor], Tensor], *, clip_x0: bool = False) -> FlowMatching:
    return FlowMatching(Field(f), clip_x0=clip_x0)


def last(walk: Iterator[Step]) -> Tensor:
    *_, step = walk
    return step.x_t


# Data N(M, C²): x_t ~ N((1 - t) M, (1 - t)² C² + t²), and all is known.
M, C = 0.4, 0.5


def spread(t: Tensor | float) -> Tensor | float:
    return ((1 - t) ** 2 * C**2 + t**2) ** 0.5


def gaussian(x: Tensor, t: Tensor) -> Tensor:
    """E[ε - x₀ | x_t], the regression of one normal number on another: by their covariance over the variance."""
    return -M + (t - (1 - t) * C**2) / spread(t) ** 2 * (x - (1 - t) * M)


# --- The path and the loss -----------------------------------------------------------------------------------


def test_the_path_begins_at_the_image_ends_at_the_noise_and_has_the_velocity_between_them() -> None:
    x0, eps = normal(5, 1, 4, 4, dtype=F64), normal(5, 1, 4, 4, number=1, dtype=F64)
    model, t = flow(gaussian), torch.tensor([0, 0.2, 0.5, 0.9, 1], dtype=F64)
    x_t = model.q_sample(x0, t, eps)
    torch.testing.assert_close(x_t[0], x0[0])
    torch.testing.assert_close(x_t[4], eps[4])
    torch.testing.assert_close(x_t[1], x0[1] + 0.2 * (eps[1] - x0[1]))
    before, after = (model.q_sample(x0, t * 0.8 + h, eps) for h in (0, 0.1))
    torch.testing.assert_close((after - before) / 0.1, Prediction(x0, eps).velocity)


def test_the_loss_of_who_knows_the_only_image_is_zero_and_of_who_says_nothing_is_known() -> None:
    """From one image a, v = (x_t - a) / t. Who says 0 loses E (ε - a)² = 1 + a²."""
    a = random_images(1, 1, 8, 8).double()
    batch = a.expand(2000, 1, 8, 8)
    assert flow(lambda x, t: (x - a) / t).loss(batch, generator=seed()) < 1e-12
    lost = flow(lambda x, t: 0 * x).loss(batch, generator=seed()).item()
    assert lost == pytest.approx(1 + a.square().mean().item(), rel=0.01)


def test_the_exact_velocity_of_a_gaussian_loses_what_nobody_can_know() -> None:
    """Var(ε - x₀ | x_t) = C² / ((1 - t)² C² + t²), whose integral over t is π C / 2."""
    x = M + C * normal(400_000, 1, dtype=F64)
    lost = flow(gaussian).loss(x, generator=seed(1)).item()
    assert lost == pytest.approx(math.pi * C / 2, rel=0.01)


def test_the_exact_velocity_is_where_the_loss_has_its_minimum() -> None:
    """The gradient for what is added to it, in five directions, is 0 but for chance; away from it, it is not."""

    class Near(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.added = nn.Parameter(torch.zeros(5, dtype=F64))

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            t = t[:, None] / 1000
            return (
                gaussian(x, t) + torch.cat([1 + 0 * x, x, t, t * x, x.square()], dim=1) @ self.added[:, None]
            )

    model = FlowMatching(Near(), clip_x0=False)
    draws = []
    for k in range(50):
        model.zero_grad()
        model.loss(M + C * normal(4000, 1, number=k, dtype=F64), generator=seed(1000 + k)).backward()
        draws.append(model.net.added.grad.clone())
    gradients = torch.stack(draws)
    error = gradients.std(dim=0) / math.sqrt(50)
    assert (gradients.mean(dim=0).abs() < 4 * error).all()
    with torch.no_grad():
        model.net.added += 0.1
    model.zero_grad()
    model.loss(M + C * normal(4000, 1, dtype=F64), generator=seed(1000)).backward()
    assert (model.net.added.grad > 10 * error).all()


def test_a_regression_finds_the_best_linear_velocity() -> None:
    """Of those linear in x and t: the normal equations of E (a + b x + c t - v)², with moments integrated by SciPy."""

    def mean(f: Callable[[float], float]) -> float:
        return scipy.integrate.quad(f, 0, 1)[0]

    # moments of (1, x_t, t) with each other and with v = ε - x₀, over t, x₀, ε
    x, xx, xt = (mean(f) for f in (lambda t: (1 - t) * M, lambda t: spread(t) ** 2 + ((1 - t) * M) ** 2,
                                   lambda t: t * (1 - t) * M))  # fmt: skip
    xv = mean(lambda t: t - (1 - t) * (C**2 + M**2))
    moments = np.array([[1, x, 1 / 2], [x, xx, xt], [1 / 2, xt, 1 / 3]])
    best = np.linalg.solve(moments, [-M, xv, -M / 2])

    class Plane(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.zeros(3, dtype=F64))

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.cat([torch.ones_like(x), x, t[:, None] / 1000], dim=1) @ self.weights[:, None]

    model = FlowMatching(Plane(), clip_x0=False)
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    data = M + C * normal(200_000, 1, dtype=F64)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = model.loss(data, generator=seed(1))
        value.backward()
        return value

    optimizer.step(loss)
    np.testing.assert_allclose(model.net.weights.detach().numpy(), best, atol=0.02)


def test_times_are_uniform_and_the_network_is_told_them_in_thousandths() -> None:
    model = flow(lambda x, t: 0 * x)
    model.loss(normal(5000, 2), generator=seed())
    (t,) = model.net.times
    assert t.shape == (5000,)
    assert scipy.stats.kstest(t.numpy(), scipy.stats.uniform(0, 1000).cdf).pvalue > 0.001
    model.velocity(normal(2, 2), torch.tensor([0.25, 1.0], dtype=F64))
    assert torch.equal(model.net.times[1], torch.tensor([250.0, 1000.0]))


def test_noise_that_is_given_is_the_end_of_the_path() -> None:
    """Each image has its own ε = 3 - 2 x₀ here; who knows that gets v = ε - x₀ from x_t exactly, with others not."""
    x = random_images(64, 1, 4, 4).double()
    # x_t = (1 - t) x₀ + t (3 - 2 x₀), so x₀ = (x_t - 3 t) / (1 - 3 t)
    model = flow(lambda x_t, t: 3 - 3 * (x_t - 3 * t) / (1 - 3 * t))
    assert model.loss(x, noise=3 - 2 * x, generator=seed()) < 1e-12
    assert model.loss(x, noise=(3 - 2 * x).flip(0), generator=seed()) > 0.1
    assert model.loss(x, generator=seed()) > 0.1
    assert model.loss(x, noise=(3 - 2 * x).float(), generator=seed()).dtype == F64


def test_the_loss_is_the_same_again_from_the_same_generator_and_spares_other_randomness() -> None:
    x, model = normal(8, 1, 4, 4), flow(gaussian)
    state = torch.get_rng_state()
    first, second, other = (model.loss(x, generator=seed(k)) for k in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


# --- Samplers ------------------------------------------------------------------------------------------------


@each_sampler
def test_a_walk_goes_evenly_from_1_to_0_and_shows_what_was_seen(
    sampler: Callable[..., Iterator[Step]],
) -> None:
    model, x_1 = flow(gaussian), normal(3, 2).requires_grad_()
    walk = list(sampler(model, x_1, steps=4))
    assert [step.t for step in walk] == [1, 0.75, 0.5, 0.25, 0]
    assert torch.equal(walk[0].x_t, x_1)
    assert walk[0].x0_hat is walk[0].eps_hat is None
    for before, step in pairwise(walk):
        t = before.t
        torch.testing.assert_close((1 - t) * step.x0_hat + t * step.eps_hat, before.x_t)
        torch.testing.assert_close(step.eps_hat - step.x0_hat, gaussian(before.x_t, torch.tensor(t)))
        assert not step.x_t.requires_grad
    assert len(model.net.times) == (4 if sampler is euler_sample else 8)
    assert min(t.min().item() for t in model.net.times) > 0


@each_sampler
def test_from_one_image_all_paths_are_straight_and_a_single_step_is_exact(
    sampler: Callable[..., Iterator[Step]],
) -> None:
    a, x_1 = random_images(1, 1, 4, 4).double(), normal(6, 1, 4, 4, dtype=F64)
    model = flow(lambda x, t: (x - a) / t)
    for steps in (1, 3, 10):
        for step in sampler(model, x_1, steps=steps):
            torch.testing.assert_close(step.x_t, (1 - step.t) * a + step.t * x_1)


def exact(x_1: Tensor, t: float) -> Tensor:
    """Where the equation carries noise by the time t, for the Gaussian: each quantile to the same quantile."""
    return (1 - t) * M + spread(t) * x_1


@each_sampler
def test_many_steps_follow_the_exact_path_of_a_gaussian(sampler: Callable[..., Iterator[Step]]) -> None:
    x_1 = normal(200, 1, dtype=F64)
    for steps, off in ((100, 0.03), (1000, 0.003)):
        for step in sampler(flow(gaussian), x_1, steps=steps):
            torch.testing.assert_close(step.x_t, exact(x_1, step.t), rtol=0, atol=off)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("midpoint", 2)])
def test_the_error_falls_at_the_order_of_the_method(name: str, order: int) -> None:
    """Against a solver of SciPy, on a field that is curved in x and in t. (On Gaussian data the midpoint method would
    be of the third order: there the leading term of its error is 0.)"""

    def bent(x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(2 * x.flip(-1) - t) + x * torch.sin(3 * t)

    model, x_1 = flow(bent), normal(4, 2, dtype=F64)

    def slope(t: float, x: np.ndarray) -> np.ndarray:
        return model.velocity(torch.from_numpy(x).view(4, 2), torch.full((4,), t, dtype=F64)).numpy().ravel()

    solved = scipy.integrate.solve_ivp(slope, (1, 0), x_1.numpy().ravel(), "DOP853", rtol=1e-12, atol=1e-12)
    theirs = torch.from_numpy(solved.y[:, -1]).view(4, 2)
    assert (theirs - x_1).abs().max() > 0.5
    reached = [
        (last(SAMPLERS[name](model, x_1, steps=steps)) - theirs).abs().mean().item()
        for steps in (16, 32, 64, 128, 256)
    ]
    slopes = [math.log2(one / other) for one, other in pairwise(reached)]
    assert abs(slopes[-1] - order) < 0.1, slopes
    assert reached[-1] < (0.01 if order == 1 else 1e-4)


def test_after_reflow_one_step_of_euler_is_exact() -> None:
    """The pairs of the Gaussian's equation are (M + C ε, ε); on them the velocity is a function of x_t, and its paths
    are straight. On independent pairs they are not."""

    def reflowed(x: Tensor, t: Tensor) -> Tensor:
        eps = (x - (1 - t) * M) / ((1 - t) * C + t)
        return eps - (M + C * eps)

    eps = normal(100, 1, dtype=F64)
    x0 = last(midpoint_sample(flow(gaussian), eps, steps=500))
    second = flow(reflowed)
    assert second.loss(x0, noise=eps, generator=seed()) < 1e-8
    assert second.loss(x0, generator=seed()) > 0.1
    torch.testing.assert_close(last(euler_sample(second, eps, steps=1)), x0, rtol=0, atol=1e-4)
    assert (last(euler_sample(flow(gaussian), eps, steps=1)) - x0).abs().mean() > 0.1


@each_sampler
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_images_end_within_their_range_and_points_where_they_like(
    sampler: Callable[..., Iterator[Step]], steps: int
) -> None:
    """Of a velocity that is much too large. What is seen still makes x_t."""
    x_1 = normal(20, 1, 4, 4)
    clipped = list(sampler(flow(lambda x, t: -3 * x - t, clip_x0=True), x_1, steps=steps))
    assert clipped[-1].x_t.abs().max() <= 1
    for before, step in pairwise(clipped):
        assert step.x0_hat.abs().max() <= 1
        torch.testing.assert_close((1 - before.t) * step.x0_hat + before.t * step.eps_hat, before.x_t)
    assert last(sampler(flow(lambda x, t: -3 * x - t), x_1, steps=steps)).abs().max() > 2


@each_sampler
def test_images_that_lie_within_their_range_are_not_changed_by_it(
    sampler: Callable[..., Iterator[Step]],
) -> None:
    """x̂₀ is tanh x_t here."""
    x_1 = normal(6, 1, 4, 4)
    clipped, free = (
        last(sampler(flow(lambda x, t: (x - x.tanh()) / t, clip_x0=clip), x_1, steps=7))
        for clip in (True, False)
    )
    torch.testing.assert_close(clipped, free)


@each_sampler
def test_wrong_arguments_are_refused_before_the_first_step(sampler: Callable[..., Iterator[Step]]) -> None:
    model = flow(gaussian)
    for steps in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match=f"steps={steps!r} must be a whole number of at least 1"):
            sampler(model, normal(2, 2), steps=steps)
    with pytest.raises(ValueError, match="y was given, but this model knows no classes"):
        sampler(model, normal(2, 2), steps=2, y=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"guidance=2\.0 needs a model with classes"):
        sampler(model, normal(2, 2), steps=2, guidance=2.0)
    assert model.net.times == []


# --- The velocity, the noise and the score: a diffusion seen as a flow ------------------------------------------


def test_a_velocity_is_image_and_noise_and_back() -> None:
    x0, eps = normal(4, 1, 3, 3, dtype=F64), normal(4, 1, 3, 3, number=1, dtype=F64)
    t = torch.tensor([0, 0.3, 0.8, 1], dtype=F64)
    seen = velocity_to_x0_eps(eps - x0, flow(gaussian).q_sample(x0, t, eps), t)
    torch.testing.assert_close(seen.x0, x0)
    torch.testing.assert_close(seen.eps, eps)
    torch.testing.assert_close(seen.velocity, eps - x0)


def test_times_of_both_paths_that_see_the_same_noise() -> None:
    """Equal signal-to-noise ratios, and the state of one is that of the other but for its size."""
    t = torch.linspace(0, 1, 101, dtype=F64)
    alpha_bar = straight_alpha_bar(t)
    torch.testing.assert_close(alpha_bar[[0, 50, 100]], torch.tensor([1, 0.5, 0], dtype=F64))
    inside = slice(1, 100)
    torch.testing.assert_close(
        (alpha_bar / (1 - alpha_bar))[inside].sqrt(), ((1 - t) / t)[inside], rtol=1e-9, atol=0
    )
    torch.testing.assert_close(straight_time(alpha_bar), t, rtol=1e-9, atol=1e-12)
    x0, eps = normal(101, 3, dtype=F64), normal(101, 3, number=1, dtype=F64)
    straight = flow(gaussian).q_sample(x0, t, eps) / ((1 - t).square() + t.square()).sqrt()[:, None]
    preserving = alpha_bar.sqrt()[:, None] * x0 + (1 - alpha_bar).sqrt()[:, None] * eps
    torch.testing.assert_close(straight, preserving, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_a_time_outside_is_refused(wrong: float) -> None:
    t, x = torch.tensor([0.5, wrong]), normal(2, 3)
    model = flow(gaussian)
    for call in (
        lambda: straight_alpha_bar(t),
        lambda: model.q_sample(x, t, x),
        lambda: model.velocity(x, t),
        lambda: velocity_to_x0_eps(x, x, t),
    ):
        with pytest.raises(ValueError, match=r"t holds .*; allowed: 0 … 1"):
            call()
    with pytest.raises(ValueError, match=r"alpha_bar holds .*; allowed: 0 … 1"):
        straight_time(t)


POINTS = normal(7, 2, number=5, dtype=F64)


def posterior_by_hand(x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """E[x₀ | x_t] for the data POINTS, each as likely, and E[ε | x_t]: sum by sum, in Python's numbers."""
    x0, eps = torch.zeros_like(x), torch.zeros_like(x)
    for n, at in enumerate(x.tolist()):
        logs = [-sum((a - (1 - t) * p) ** 2 for a, p in zip(at, point, strict=True)) / (2 * t * t)
                for point in POINTS.tolist()]  # fmt: skip
        weights = [math.exp(log - max(logs)) for log in logs]
        for weight, point in zip(weights, POINTS, strict=True):
            share = weight / sum(weights)
            x0[n] += share * point
            eps[n] += share * (x[n] - (1 - t) * point) / t
    return x0, eps


@pytest.mark.parametrize("k", [40, 300, 800])
def test_the_ideal_denoiser_has_the_velocity_of_the_posterior_mean(k: int) -> None:
    """At the time of the straight path that a step of the cosine schedule is, with the state brought to its size."""
    schedule = cosine_schedule()
    diffusion = DiffusionModel(IdealDenoiser(schedule, POINTS), schedule, prediction_type="x0", clip_x0=False)
    t = straight_time(schedule.alpha_bar)[k].item()
    x_t = normal(6, 2, dtype=F64)
    seen = diffusion.predict(x_t / math.sqrt((1 - t) ** 2 + t**2), torch.full((6,), k))
    x0, eps = posterior_by_hand(x_t, t)
    torch.testing.assert_close(seen.x0, x0, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(seen.velocity, eps - x0, rtol=1e-6, atol=1e-8)
    back = velocity_to_x0_eps(seen.velocity, x_t, torch.full((6,), t, dtype=F64))
    torch.testing.assert_close(back.eps, eps, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("t", [0.2, 0.7])
def test_the_score_is_minus_the_noise_over_t(t: float) -> None:
    """Of the data POINTS, against the derivative that torch finds of the log-density of x_t."""
    x = normal(6, 2, dtype=F64).requires_grad_()
    log_q = (-(x[:, None] - (1 - t) * POINTS).square().sum(dim=2) / (2 * t**2)).logsumexp(dim=1)
    (score,) = torch.autograd.grad(log_q.sum(), x)
    x = x.detach()
    x0, eps = posterior_by_hand(x, t)
    seen = velocity_to_x0_eps(eps - x0, x, torch.full((6,), t, dtype=F64))
    torch.testing.assert_close(-seen.eps / t, score)


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_ddim_on_the_schedule_of_the_straight_path_is_euler(steps: int) -> None:
    """Step by step, for two clouds; states differ in their size only."""
    t = torch.linspace(0, 1, 21, dtype=F64)
    schedule = Schedule(straight_alpha_bar(t))
    ideal = IdealDenoiser(
        schedule, torch.tensor([[-1.0, 0.3], [1.0, 0.2]], dtype=F64), 0.2, torch.tensor([0.3, 0.7])
    )
    diffusion = DiffusionModel(ideal, schedule, prediction_type="x0", clip_x0=False)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        size = ((1 - t).square() + t.square()).sqrt()
        return diffusion.predict(x / size, (20 * t).round().long().flatten()).velocity

    x_1 = normal(50, 2, dtype=F64)
    euler = euler_sample(flow(velocity), x_1, steps=steps)
    ddim = ddim_sample(diffusion, x_1, steps=steps)
    for ours, theirs in zip(euler, ddim, strict=True):
        assert ours.t == pytest.approx(theirs.t / 20)
        size = math.sqrt((1 - ours.t) ** 2 + ours.t**2)
        torch.testing.assert_close(ours.x_t / size, theirs.x_t, rtol=1e-9, atol=1e-9)


@each_sampler
def test_a_known_mixture_comes_out(sampler: Callable[..., Iterator[Step]]) -> None:
    """Two bumps at ±1, three points in four at the right one; the velocity from Bayes' rule."""

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        a = 1 - t
        variance = a.square() * 0.04 + t.square()
        right = torch.sigmoid(2 * a * x / variance + math.log(3))
        mean = 2 * right - 1
        x0 = mean + a * 0.04 / variance * (x - a * mean)
        return (x - x0) / t

    x = last(sampler(flow(velocity), normal(10_000, 1), steps=200)).flatten()
    right = x > 0
    assert abs(right.double().mean().item() - 0.75) < 0.02
    for part, centre in ((x[right], 1.0), (x[~right], -1.0)):
        assert abs(part.mean().item() - centre) < 0.02
        assert math.isclose(part.std().item(), 0.2, rel_tol=0.06)


# --- Conditions ------------------------------------------------------------------------------------------------


def says(**options: float) -> FlowMatching:
    return FlowMatching(Says(), num_classes=10, shape=(1, 2, 2), steps=3, **options)


def test_labels_are_left_out_in_the_given_share() -> None:
    model, y = says(p_uncond=0.2), torch.arange(4000) % 10
    model.loss(random_images(4000, 1, 2, 2), y, generator=seed())
    (asked,) = model.net.asked
    kept = asked != 10
    assert torch.equal(asked[kept], y[kept])
    assert abs((~kept).double().mean().item() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 4000)


def test_guidance_goes_from_no_class_through_the_class_and_beyond_and_away_from_what_is_to_be_avoided() -> (
    None
):
    model, x, t = says(), normal(2, 1, 2, 2), torch.tensor([0.3, 0.9])
    two, three = torch.tensor([2, 2]), torch.tensor([3, 3])
    for y, guidance, negative, expected in (
        (two, 1.0, None, 0.2),
        (two, 0.0, None, 0.0),
        (None, 1.0, None, 0.0),
        (two, 0.5, None, 0.1),
        (two, 3.0, None, 0.6),
        (two, 3.0, three, 0.3 - 3 * 0.1),
        (None, 3.0, three, 0.3 - 3 * 0.3),
    ):
        v = model.velocity(x, t, y, guidance=guidance, negative=negative)
        torch.testing.assert_close(v, torch.full_like(x, expected))
    with pytest.raises(ValueError, match=r"negative was given, but guidance=1\.0"):
        model.velocity(x, t, two, negative=three)


def test_to_guide_the_velocity_is_to_guide_image_and_noise() -> None:
    class Bent(nn.Module):
        def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            return torch.tanh(x * (1 + y.view(-1, 1, 1, 1) / 5) - t.view(-1, 1, 1, 1) / 1000)

    model = FlowMatching(Bent(), num_classes=10)
    x, t, y = normal(3, 1, 4, 4), torch.tensor([0.1, 0.5, 0.9]), torch.tensor([1, 5, 9])
    without, given, guided = (
        velocity_to_x0_eps(model.velocity(x, t, y, guidance=w), x, t) for w in (0.0, 1.0, 2.5)
    )
    assert (given.x0 - without.x0).abs().max() > 0.01
    for part in ("x0", "eps"):
        plain, asked, both = (getattr(seen, part) for seen in (without, given, guided))
        torch.testing.assert_close(both, plain + 2.5 * (asked - plain))


def test_a_sample_takes_the_models_own_steps_and_guidance() -> None:
    """v is 0.1 times the label, at all times, so that a sample is its noise less v; far inside what images may be."""
    model, y = says(guidance=1.5, clip_x0=False), torch.tensor([2, 4])
    noise = normal(2, 1, 2, 2, number=3)
    for guidance, v in ((None, [0.3, 0.6]), (1.0, [0.2, 0.4])):
        x = model.sample(2, y, guidance=guidance, generator=seed(3))
        torch.testing.assert_close(x, noise - torch.tensor(v).view(2, 1, 1, 1))
    assert [len(asked) for asked in model.net.asked] == [4] * 3 + [2] * 3
    torch.testing.assert_close(model.sample(2, generator=seed(3)), noise)
    x = model.sample(2, y, negative=torch.tensor(3), generator=seed(3))
    torch.testing.assert_close(x, noise - torch.tensor([0.15, 0.45]).view(2, 1, 1, 1))


@each_sampler
def test_a_walk_asks_for_what_was_asked(sampler: Callable[..., Iterator[Step]]) -> None:
    model, x_1, y = says(clip_x0=False), normal(2, 1, 2, 2), torch.tensor([2, 4])
    x = last(sampler(model, x_1, steps=2, y=y, guidance=2.0, negative=torch.tensor([1, 1])))
    torch.testing.assert_close(x, x_1 - torch.tensor([0.3, 0.7]).view(2, 1, 1, 1))


def test_labels_that_are_none_are_refused_before_the_network_runs() -> None:
    model, x = says(), random_images(2, 1, 2, 2)
    for y in (
        torch.tensor([0, 10]),
        torch.tensor([-1, 3]),
        torch.tensor([1, 2, 3]),
        torch.tensor([1.0, 2.0]),
    ):
        for call in (
            lambda y=y: model.loss(x, y),
            lambda y=y: model.sample(2, y),
            *(lambda y=y, sampler=sampler: sampler(model, x, steps=2, y=y) for sampler in SAMPLERS.values()),
        ):
            with pytest.raises(ValueError, match=r"\by (holds|must be)"):
                call()
    assert model.net.asked == []


def test_a_model_without_classes_trains_on_labelled_images() -> None:
    model, x = flow(gaussian), random_images(2, 1, 4, 4)
    with_labels, without = (model.loss(x, y, generator=seed()) for y in (torch.ones(2).long(), None))
    assert torch.equal(with_labels, without)


# --- Networks, dtypes, devices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_model_samples_in_the_dtype_of_its_weights_and_counts_in_float32_at_least(
    dtype: torch.dtype,
) -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.dtypes = nn.Parameter(torch.tensor(0.5)), set()

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            self.dtypes.add(x.dtype)
            return self.weight * x

    model = FlowMatching(Keeps(), shape=(1, 4, 4), steps=5).to(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    assert model.sample(2, generator=seed()).dtype == dtype
    loss = model.loss(random_images(8, 1, 4, 4).to(dtype), generator=seed())
    assert loss.dtype == wide
    loss.backward()
    assert model.net.weight.grad.dtype == dtype
    assert model.net.dtypes == {dtype}
    for sampler in SAMPLERS.values():
        assert all(step.x_t.dtype == wide for step in sampler(model, normal(2, 1, 4, 4).to(dtype), steps=2))
    assert model.velocity(normal(2, 1, 4, 4).to(dtype), torch.tensor([0.5, 1])).dtype == wide


def test_a_sample_depends_on_its_generator_only() -> None:
    model = FlowMatching(Field(gaussian), shape=(1, 4, 4), steps=3)
    state = torch.get_rng_state()
    one, same, other = (model.sample(2, generator=seed(number)) for number in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert torch.equal(state, torch.get_rng_state())


def test_a_unet_learns_and_draws_on_the_device(device: torch.device) -> None:
    with seeded(0):
        net = UNet(in_channels=3, width=16, num_classes=4)
    model = FlowMatching(net, num_classes=4, shape=(3, 8, 12), steps=2, guidance=1.5).to(device)
    x, y = random_images(4, 3, 8, 12, device=device), torch.arange(4, device=device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(60):
        loss = model.loss(x, y, noise=-x, generator=seed(0, device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    drawn = model.sample(4, y, generator=seed(0, device))
    assert drawn.shape == (4, 3, 8, 12)
    assert drawn.device.type == device.type
    assert drawn.abs().max() <= 1


def test_networks_and_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"net gives \(2, 4\) for x_t \(2, 2\)"):
        flow(lambda x, t: torch.cat([x, x], dim=1)).loss(normal(2, 2))
    with pytest.raises(ValueError, match="num_classes=10, but the network was made for num_classes=20"):
        FlowMatching(UNet(width=16, num_classes=20), num_classes=10)
    with pytest.raises(ValueError, match="shape is None"):
        flow(gaussian).sample(1)
    with pytest.raises(ValueError, match=r"noise must be \(2, 2\) as x, not \(1, 2\)"):
        flow(gaussian).loss(normal(2, 2), noise=normal(1, 2))


@pytest.mark.parametrize("reflow", [False, True])
def test_a_training_step_does_not_wait_for_its_device(reflow: bool) -> None:
    model = FlowMatching(UNet(width=16, num_classes=10), num_classes=10)
    x = random_images(4, 1, 8, 8)
    with as_on_an_accelerator():
        model.loss(x, torch.arange(4), noise=-x if reflow else None).backward()


@each_sampler
def test_the_steps_of_a_sampler_do_not_wait_for_their_device(sampler: Callable[..., Iterator[Step]]) -> None:
    model = FlowMatching(UNet(width=16, num_classes=10), num_classes=10)
    walk = sampler(model, normal(4, 1, 8, 8), steps=2, y=torch.arange(4), guidance=2.0)
    with as_on_an_accelerator():
        assert len(list(walk)) == 3
