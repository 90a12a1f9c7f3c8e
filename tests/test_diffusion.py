"""Diffusion: against closed forms, the ideal denoiser of a known density, and the schedulers of diffusers."""

import math
from collections.abc import Callable, Iterator

import diffusers
import pytest
import torch
from torch import Tensor, nn

from course_utils.diffusion import (
    DDPM,
    IdealDenoiser,
    Schedule,
    Step,
    cosine_schedule,
    ddim_sample,
    ddpm_sample,
    distillation_loss,
    dpmpp_2m_sample,
    heun_sample,
    image_to_image,
    inpaint,
    linear_schedule,
    loss_weight,
    posterior,
    predict_x0_eps,
    super_resolve,
    target,
    time_steps,
    unet_ddpm,
    zero_terminal_snr,
)

SCHEDULES = {
    "linear": linear_schedule(),
    "cosine": cosine_schedule(),
    "zero-terminal": zero_terminal_snr(linear_schedule()),
}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
each_prediction = pytest.mark.parametrize("predict", ["eps", "x0", "v"])


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Smooth(nn.Module):
    """A network that is not trained, but smooth in x and t, and different for each class."""

    def __init__(self, outputs: int = 1, scale: float = 1.0):
        super().__init__()
        self.outputs, self.scale = outputs, scale

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        t = t.view(-1, 1, 1, 1) / 1000
        out = self.scale * torch.tanh(
            x * (0.5 + t) + x.flip(-1) * 0.3 + (0 if y is None else 0.1 * y.view(-1, 1, 1, 1))
        )
        return out if self.outputs == 1 else torch.cat([out, torch.sin(3 * x + t)], dim=1)


# --- Schedules ----------------------------------------------------------------------------------------------


@each_schedule
def test_a_schedule_falls_from_one_in_float64(schedule: Schedule) -> None:
    a = schedule.alpha_bar
    assert schedule.T == 1000
    assert a.dtype == torch.float64
    assert a[0] == 1
    assert (a.diff() < 0).all()
    assert 0 <= a[-1] < 1e-4


def test_schedules_are_those_of_diffusers() -> None:
    theirs = {
        "linear": diffusers.DDPMScheduler(beta_schedule="linear"),
        "cosine": diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        "zero-terminal": diffusers.DDIMScheduler(beta_schedule="linear", rescale_betas_zero_snr=True),
    }
    for name, scheduler in theirs.items():
        torch.testing.assert_close(
            SCHEDULES[name].alpha_bar[1:].float(), scheduler.alphas_cumprod, rtol=2e-4, atol=2e-7
        )


def test_the_linear_schedule_has_the_betas_of_the_paper() -> None:
    a = linear_schedule().alpha_bar
    beta = 1 - a[1:] / a[:-1]
    torch.testing.assert_close(beta, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))


def test_zero_terminal_leaves_nothing_at_the_end_and_the_first_step_as_it_was() -> None:
    before, after = linear_schedule().alpha_bar, SCHEDULES["zero-terminal"].alpha_bar
    assert after[-1] == 0
    assert math.isclose(after[1].item(), before[1].item(), rel_tol=1e-12)


@pytest.mark.parametrize(
    "alpha_bar",
    [
        torch.linspace(1, 0, 5),
        torch.tensor([1.0], dtype=torch.float64),
        torch.tensor([0.9, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 0.5, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 0.5, -0.1], dtype=torch.float64),
    ],
)
def test_a_bad_schedule_is_refused(alpha_bar: Tensor) -> None:
    with pytest.raises(ValueError, match="alpha_bar"):
        Schedule(alpha_bar)


@pytest.mark.parametrize(
    "make", [lambda: linear_schedule(0), lambda: linear_schedule(10, 0.5, 0.1), lambda: cosine_schedule(0)]
)
def test_bad_numbers_for_a_schedule_are_refused(make: Callable[[], Schedule]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        make()


def test_a_time_outside_is_refused() -> None:
    x = normal(2, 1, 4, 4)
    for t in (torch.tensor([0, 1001]), torch.tensor([-1, 3]), torch.tensor([1.0, 2.0]), torch.tensor([1])):
        with pytest.raises(ValueError, match="t "):
            SCHEDULES["linear"].at(t, x)


# --- Forward ------------------------------------------------------------------------------------------------


@each_schedule
def test_the_closed_form_is_the_chain(schedule: Schedule) -> None:
    """x_t = √(1 - β_t) x_{t-1} + √β_t ε, a thousand steps of it, has the mean and spread of q(x_t | x₀)."""
    x = torch.full((40_000,), 0.8, dtype=torch.float64)
    a, model = schedule.alpha_bar, DDPM(Smooth(), schedule, predict="v")
    draw = torch.Generator().manual_seed(0)
    for t in range(1, 701):
        beta = 1 - a[t] / a[t - 1]
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=draw, dtype=x.dtype)
        if t in (1, 100, 700):
            x0 = torch.full((40_000, 1), 0.8, dtype=torch.float64)
            at_once = model.q_sample(
                x0, torch.full((40_000,), t), normal(40_000, 1, seed=t, dtype=torch.float64)
            )
            for sample in (x, at_once):
                spread = (1 - a[t]).sqrt().item()
                assert abs(sample.mean().item() - 0.8 * a[t].sqrt().item()) < 4 * spread / 200
                assert math.isclose(sample.std().item(), spread, rel_tol=0.02)


@each_schedule
def test_posterior_is_bayes(schedule: Schedule) -> None:
    """q(x_s | x_t, x₀) ∝ q(x_t | x_s) q(x_s | x₀), on a grid."""
    x0, x_t, grid = 0.4, -0.7, torch.linspace(-6, 6, 240_001, dtype=torch.float64)
    for t, s in ((2, 1), (500, 499), (999, 700)):
        a, b = schedule.alpha_bar[t], schedule.alpha_bar[s]
        log = -0.5 * (x_t - (a / b).sqrt() * grid).square() / (1 - a / b)
        log = log - 0.5 * (grid - b.sqrt() * x0).square() / (1 - b)
        p = log.softmax(0)
        mean = (p * grid).sum()
        variance = (p * (grid - mean).square()).sum()
        ours, small, large = posterior(torch.tensor(x0).double(), torch.tensor(x_t).double(), a, b)
        assert math.isclose(ours, mean, abs_tol=1e-6)
        assert math.isclose(small, variance, rel_tol=1e-3)
        assert math.isclose(large, 1 - a / b, rel_tol=1e-12)


# --- Predictions and the loss -------------------------------------------------------------------------------


@each_prediction
@each_schedule
def test_every_prediction_gives_back_image_and_noise(schedule: Schedule, predict: str) -> None:
    x0, eps = normal(6, 1, 4, 4, dtype=torch.float64), normal(6, 1, 4, 4, seed=1, dtype=torch.float64)
    t = torch.tensor([1, 2, 50, 500, 900, 999])
    model = DDPM(Smooth(), schedule, predict="v")
    a = schedule.at(t, x0)
    seen = predict_x0_eps(target(x0, eps, a, predict), model.q_sample(x0, t, eps), a, predict)
    torch.testing.assert_close(seen.x0, x0)
    torch.testing.assert_close(seen.eps, eps)


def test_predictions_that_say_nothing_are_refused() -> None:
    x, zero, one = normal(1, 1, 2, 2), torch.zeros(1, 1, 1, 1).double(), torch.ones(1, 1, 1, 1).double()
    with pytest.raises(ValueError, match="alpha_bar is 0"):
        predict_x0_eps(x, x, zero, "eps")
    with pytest.raises(ValueError, match="alpha_bar is 1"):
        predict_x0_eps(x, x, one, "x0")
    for call in (lambda: predict_x0_eps(x, x, one, "noise"), lambda: target(x, x, one, "noise")):
        with pytest.raises(ValueError, match="allowed: eps, x0, v"):
            call()
    with pytest.raises(ValueError, match="use 'v' or 'x0'"):
        DDPM(Smooth(), SCHEDULES["zero-terminal"], predict="eps")


@each_schedule
def test_min_snr_weights_the_same_error_alike_whatever_is_predicted(schedule: Schedule) -> None:
    """An error of δ in x₀ is one of √SNR δ in ε and δ / √(1 - ᾱ) in v."""
    a = schedule.alpha_bar[[1, 10, 200, 600, 990]]
    snr, delta = a / (1 - a), 0.3
    errors = {"x0": delta**2, "eps": snr * delta**2, "v": delta**2 / (1 - a)}
    for predict, error in errors.items():
        torch.testing.assert_close(loss_weight(a, predict, "min-snr") * error, snr.clamp_max(5) * delta**2)
        assert (loss_weight(a, predict, "simple") == 1).all()
    with pytest.raises(ValueError, match="allowed: simple, min-snr"):
        loss_weight(a, "v", "none")


@each_prediction
def test_the_loss_of_the_perfect_answer_is_zero_and_of_nothing_is_known(predict: str) -> None:
    """One image only: the ideal network knows x₀. A network that gives 0 loses E ε², E x₀² or E v²."""
    x0 = normal(1, 1, 8, 8).clamp(-1, 1)
    schedule = SCHEDULES["cosine"]
    ideal = IdealDenoiser(schedule, x0)

    class Knows(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            a = schedule.at(t, x)
            seen = predict_x0_eps(ideal(x, t), x, a, "x0")
            return target(seen.x0, seen.eps, a, predict)

    class Nothing(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.zeros_like(x)

    draw, batch = torch.Generator().manual_seed(0), x0.expand(2000, 1, 8, 8)
    assert DDPM(Knows(), schedule, predict=predict).loss(batch, generator=draw) < 1e-6
    lost = DDPM(Nothing(), schedule, predict=predict).loss(batch, generator=draw).item()
    a = schedule.alpha_bar[1:]
    power = x0.square().mean().item()
    known = {"eps": 1.0, "x0": power, "v": (a + (1 - a) * power).mean().item()}[predict]
    assert math.isclose(lost, known, rel_tol=0.02)


def test_labels_are_left_out_in_the_given_share() -> None:
    asked = []

    class Listens(nn.Module):
        def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            asked.append(y)
            return torch.zeros_like(x)

    x, y = normal(4000, 1, 4, 4), torch.arange(4000) % 10
    DDPM(Listens(), SCHEDULES["linear"], classes=10, drop=0.2).loss(
        x, y, generator=torch.Generator().manual_seed(0)
    )
    kept = asked[0] != 10
    assert torch.equal(asked[0][kept], y[kept])
    assert abs((~kept).double().mean().item() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 4000)


def test_the_loss_is_the_same_again_from_the_same_generator_and_spares_other_randomness() -> None:
    x, model = normal(8, 1, 4, 4), DDPM(Smooth(), SCHEDULES["linear"])
    state = torch.get_rng_state()
    first, second = (model.loss(x, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_the_bound_trains_only_the_variance() -> None:
    """Nichol and Dhariwal stop the bound's gradient at the mean: what reaches it is the simple loss's."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.variance = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.cat([self.mean(x), self.variance(x)], dim=1)

    torch.manual_seed(0)
    net = Two()
    x = normal(16, 1, 8, 8).clamp(-1, 1)
    learned = DDPM(net, SCHEDULES["linear"], learn_variance=True)
    learned.loss(x, generator=torch.Generator().manual_seed(0)).backward()
    with_bound = net.mean.weight.grad.clone()
    assert net.variance.weight.grad.abs().max() > 0
    net.zero_grad()
    plain = DDPM(_Takes(net.mean), SCHEDULES["linear"])
    plain.loss(x, generator=torch.Generator().manual_seed(0)).backward()
    torch.testing.assert_close(with_bound, net.mean.weight.grad)


class _Takes(nn.Module):
    """A layer of x alone, called with t as well."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.layer(x)


def test_training_meets_every_time_step_alike_both_ends_included() -> None:
    times = []

    class Watch(Smooth):
        def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
            times.append(t)
            return super().forward(x, t, y)

    T, n = 6, 6000
    DDPM(Watch(), linear_schedule(T)).loss(normal(n, 1, 1, 2), generator=torch.Generator().manual_seed(0))
    (t,) = times
    assert t.unique().tolist() == list(range(1, T + 1))
    expected = n / T
    assert ((t.bincount()[1:] - expected).abs() < 5 * expected**0.5).all()


def test_guidance_goes_from_no_class_through_the_class_and_beyond() -> None:
    model = DDPM(Smooth(), SCHEDULES["linear"], classes=10)
    x, t, y = normal(4, 1, 6, 6), torch.tensor([1, 20, 500, 1000]), torch.tensor([0, 3, 5, 9])
    without, with_class = (model.predict_x0_eps(x, t, y, w).eps for w in (0.0, 1.0))
    torch.testing.assert_close(without, Smooth()(x, t, torch.full((4,), 10)))
    torch.testing.assert_close(with_class, Smooth()(x, t, y))
    torch.testing.assert_close(model.predict_x0_eps(x, t).eps, without)
    for w in (0.5, 3.0):
        torch.testing.assert_close(model.predict_x0_eps(x, t, y, w).eps, without + w * (with_class - without))
    with pytest.raises(ValueError, match="needs a model with classes, and y"):
        model.predict_x0_eps(x, t, guidance=2.0)
    with pytest.raises(ValueError, match="at least 0"):
        model.predict_x0_eps(x, t, y, -1.0)


# --- Samplers, step by step as diffusers --------------------------------------------------------------------

# Its step counts and its copies of arrays make numpy warn.
as_diffusers = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SHARED = {"num_train_timesteps": 1000, "beta_schedule": "linear", "timestep_spacing": "trailing"}
PARITY: dict[str, tuple[Callable[..., Iterator[Step]], dict, Callable[[str], object]]] = {
    "ddim": (ddim_sample, {}, lambda p: diffusers.DDIMScheduler(**SHARED, prediction_type=p, clip_sample=False)),
    "dpm-solver++": (dpmpp_2m_sample, {}, lambda p: diffusers.DPMSolverMultistepScheduler(
        **SHARED, prediction_type=p, final_sigmas_type="zero")),
}  # fmt: skip
NAMES = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


@as_diffusers
@pytest.mark.parametrize("steps", [1, 2, 8, 10, 50])  # divisors of 1,000: for others its DDIM skips unevenly
@each_prediction
@pytest.mark.parametrize("sampler", PARITY)
def test_a_deterministic_sampler_is_that_of_diffusers(sampler: str, predict: str, steps: int) -> None:
    ours, options, make = PARITY[sampler]
    scheduler, net = make(NAMES[predict]), Smooth()
    scheduler.set_timesteps(steps)
    x = normal(3, 1, 8, 8)
    walk = ours(DDPM(net, SCHEDULES["linear"], predict=predict), x, steps=steps, **options)
    assert next(walk).t == 1000
    for t, step in zip(scheduler.timesteps.tolist(), walk, strict=True):
        x = scheduler.step(net(x, torch.full((3,), t + 1)), t, x).prev_sample
        torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=1e-5)


@as_diffusers
@pytest.mark.parametrize("variance", ["small", "large", "learned"])
@pytest.mark.parametrize("steps", [5, 50, 1000])
def test_ancestral_sampling_is_that_of_diffusers(variance: str, steps: int) -> None:
    """The noise is drawn by both in the same order, from generators with the same seed."""
    theirs = {"small": "fixed_small", "large": "fixed_large", "learned": "learned_range"}[variance]
    scheduler = diffusers.DDPMScheduler(**SHARED, variance_type=theirs, clip_sample=False)
    scheduler.alphas_cumprod = SCHEDULES["linear"].alpha_bar[
        1:
    ]  # its own are float32: 1 - ᾱ_t / ᾱ_s loses digits
    scheduler.set_timesteps(steps)
    learned = variance == "learned"
    net, x = Smooth(outputs=2 if learned else 1), normal(2, 1, 8, 8)
    model = DDPM(net, SCHEDULES["linear"], learn_variance=learned)
    walk = ddpm_sample(model, x, steps=steps, variance=variance, generator=torch.Generator().manual_seed(5))
    next(walk)
    draw = torch.Generator().manual_seed(5)
    for t, step in zip(scheduler.timesteps.tolist(), walk, strict=True):
        x = scheduler.step(net(x, torch.full((2,), t + 1)), t, x, generator=draw).prev_sample
        if (
            step.t > 0 or t == 0 or variance == "small"
        ):  # theirs adds noise to the image itself if it was a long step
            torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=1e-5)
        x = step.x_t


@as_diffusers
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_with_noise_is_that_of_diffusers(eta: float) -> None:
    scheduler, net, x = PARITY["ddim"][2]("epsilon"), Smooth(), normal(2, 1, 8, 8)
    scheduler.set_timesteps(20)
    draw, again = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    walk = ddim_sample(DDPM(net, SCHEDULES["linear"]), x, steps=20, eta=eta, generator=draw)
    next(walk)
    for t, step in zip(scheduler.timesteps.tolist(), walk, strict=True):
        if step.t == 0:  # where there is no noise left to add, and diffusers draws one all the same
            again = torch.Generator().manual_seed(5)
        x = scheduler.step(net(x, torch.full((2,), t + 1)), t, x, eta=eta, generator=again).prev_sample
        torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=2e-5)


def test_ddim_with_all_its_noise_is_ancestral_sampling() -> None:
    x, model = normal(2, 1, 8, 8), DDPM(Smooth(), SCHEDULES["cosine"], predict="v")
    draws = (torch.Generator().manual_seed(1) for _ in range(2))
    by_ddim = ddim_sample(model, x, steps=30, eta=1.0, generator=next(draws))
    by_ddpm = ddpm_sample(model, x, steps=30, generator=next(draws))
    for one, other in zip(by_ddim, by_ddpm, strict=True):
        torch.testing.assert_close(one.x_t, other.x_t, rtol=1e-4, atol=1e-5)


@as_diffusers
@pytest.mark.parametrize("steps", [5, 20])
def test_heun_is_that_of_diffusers(steps: int) -> None:
    """Theirs works with x / √ᾱ, ours with x."""
    scheduler = diffusers.HeunDiscreteScheduler(**SHARED, beta_start=1e-4, beta_end=0.02)
    scheduler.set_timesteps(steps)
    net, schedule = Smooth(), SCHEDULES["linear"]
    x = normal(2, 1, 8, 8, dtype=torch.float64)  # theirs is up to 150 times as large: float32 rounds
    walk = list(heun_sample(DDPM(net, schedule), x, steps=steps))
    scaled = x / schedule.alpha_bar[1000].sqrt()
    for i, t in enumerate(
        scheduler.timesteps
    ):  # 999, then each time twice: to correct the last step, to begin the next
        seen = scheduler.scale_model_input(scaled, t)
        scaled = scheduler.step(net(seen, torch.full((2,), int(t) + 1)), t, scaled).prev_sample
        if i % 2:
            step = walk[(i + 1) // 2]
            torch.testing.assert_close(
                step.x_t, scaled * schedule.alpha_bar[step.t].sqrt(), rtol=1e-5, atol=1e-5
            )
    torch.testing.assert_close(walk[-1].x_t, scaled, rtol=1e-5, atol=1e-5)


# --- Samplers, on densities that are known ------------------------------------------------------------------

SAMPLERS = {"ddpm": ddpm_sample, "ddim": ddim_sample, "dpm-solver++": dpmpp_2m_sample, "heun": heun_sample}
DETERMINISTIC = {name: sampler for name, sampler in SAMPLERS.items() if name != "ddpm"}


def last(walk: Iterator[Step]) -> Tensor:
    *_, step = walk
    return step.x_t


def ideal(schedule: Schedule, means: Tensor, std: float) -> DDPM:
    return DDPM(IdealDenoiser(schedule, means, std), schedule, predict="x0")


@each_schedule
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_known_gaussian_comes_out(name: str, schedule: Schedule) -> None:
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.5), 0.3)
    steps = 1000 if name == "ddpm" else 200  # with fewer, its smaller variance is too small
    x = last(SAMPLERS[name](model, normal(20_000, 1, 1, 1), steps=steps))
    assert abs(x.mean().item() - 0.5) < 0.02
    assert math.isclose(x.std().item(), 0.3, rel_tol=0.03)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_known_mixture_comes_out(name: str) -> None:
    """Two bumps at ±1, three points in four at the right one."""
    schedule = SCHEDULES["cosine"]
    net = IdealDenoiser(schedule, torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1), 0.2, torch.tensor([0.25, 0.75]))
    x = last(SAMPLERS[name](DDPM(net, schedule, predict="x0"), normal(20_000, 1, 1, 1), steps=200)).flatten()
    right = x > 0
    assert abs(right.double().mean().item() - 0.75) < 0.02
    for part, centre in ((x[right], 1.0), (x[~right], -1.0)):
        assert abs(part.mean().item() - centre) < 0.02
        assert math.isclose(part.std().item(), 0.2, rel_tol=0.06)


def exact_flow(schedule: Schedule, x_T: Tensor, mean: float, std: float) -> Tensor:
    """Where the equation without noise carries x_T, for a Gaussian: each quantile to the same quantile."""
    a = schedule.alpha_bar[-1].item()
    return mean + std * (x_T - math.sqrt(a) * mean) / math.sqrt(a * std**2 + 1 - a)


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm-solver++", 2), ("heun", 2)])
def test_the_error_falls_at_the_order_of_the_method(name: str, order: int) -> None:
    """Steps evenly spread in t on a schedule whose λ is a straight line, so that the orders show themselves."""
    lam = torch.linspace(3.0, -3.0, 1024, dtype=torch.float64)
    schedule = Schedule(torch.cat([torch.ones(1, dtype=torch.float64), torch.sigmoid(2 * lam)]))
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.4, dtype=torch.float64), 0.5)
    x_T = normal(200, 1, 1, 1, dtype=torch.float64)
    reached = {}
    for steps in (16, 32, 64, 128):
        *_, before_last, _ = DETERMINISTIC[name](model, x_T, steps=steps)
        a = schedule.alpha_bar
        start, end = a[-1].item(), a[before_last.t].item()
        z = (x_T - math.sqrt(start) * 0.4) / math.sqrt(start * 0.25 + 1 - start)
        exact = math.sqrt(end) * 0.4 + math.sqrt(end * 0.25 + 1 - end) * z
        reached[steps] = (before_last.x_t - exact).abs().mean().item()
    slopes = [math.log2(reached[n] / reached[2 * n]) for n in (16, 32, 64)]
    assert abs(slopes[-1] - order) < 0.35, slopes


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_many_steps_reach_the_exact_flow(name: str) -> None:
    schedule = SCHEDULES["cosine"]
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.4, dtype=torch.float64), 0.5)
    x_T = normal(200, 1, 1, 1, dtype=torch.float64)
    x = last(DETERMINISTIC[name](model, x_T, steps=1000))
    torch.testing.assert_close(x, exact_flow(schedule, x_T, 0.4, 0.5), rtol=0, atol=5e-3)


def test_the_ideal_denoiser_is_the_posterior_mean() -> None:
    """Against the mean of x₀ on a grid, for a mixture in one dimension."""
    schedule = SCHEDULES["linear"]
    means, weights, std = torch.tensor([-0.8, 0.1, 0.9]), torch.tensor([0.2, 0.5, 0.3]), 0.15
    net = IdealDenoiser(schedule, means.view(3, 1), std, weights)
    x0 = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    log_p = (weights.log() - 0.5 * ((x0[:, None] - means) / std).square()).logsumexp(dim=1)
    for t in (5, 300, 900):
        a = schedule.alpha_bar[t]
        x_t = torch.linspace(-2, 2, 9, dtype=torch.float64)
        log = log_p - 0.5 * (x_t[:, None] - a.sqrt() * x0).square() / (1 - a)
        expected = (log.softmax(dim=1) * x0).sum(dim=1)
        torch.testing.assert_close(net(x_t[:, None], torch.full((9,), t))[:, 0], expected, rtol=0, atol=1e-6)


def test_an_ideal_denoiser_of_images_gives_back_the_images() -> None:
    images = normal(12, 1, 8, 8).clamp(-1, 1)
    x = last(ddim_sample(ideal(SCHEDULES["cosine"], images, 0.0), normal(40, 1, 8, 8, seed=2), steps=100))
    exactly = "donot_use_mm_for_euclid_dist"
    nearest = torch.cdist(x.flatten(1), images.flatten(1), compute_mode=exactly).min(dim=1)
    assert nearest.values.max() < 1e-3
    assert len(nearest.indices.unique()) > 6


def test_bad_weights_of_a_mixture_are_refused() -> None:
    for weights in (torch.tensor([0.5, 0.6]), torch.tensor([1.0])):
        with pytest.raises(ValueError, match="weights"):
            IdealDenoiser(SCHEDULES["linear"], normal(2, 1), 0.1, weights)
    with pytest.raises(ValueError, match="std"):
        IdealDenoiser(SCHEDULES["linear"], normal(2, 1), -0.1)


# --- Bits per dimension -------------------------------------------------------------------------------------


def test_the_bound_of_two_steps_by_hand() -> None:
    """For a network that knows the image: only variances differ, and at T half of the image is still there."""
    a = [1.0, 0.6, 0.5]
    schedule, value = Schedule(torch.tensor(a, dtype=torch.float64)), 51 / 255 * 2 - 1
    model = ideal(schedule, torch.full((1, 1, 1, 1), value), 0.0)
    large, small = 1 - a[2] / a[1], (1 - a[1]) / (1 - a[2]) * (1 - a[2] / a[1])
    step = 0.5 * (math.log(large / small) + small / large - 1)
    first = torch.distributions.Normal(torch.tensor(value, dtype=torch.float64), math.sqrt(1 - a[1]))
    level = -(first.cdf(torch.tensor(value + 1 / 255)) - first.cdf(torch.tensor(value - 1 / 255))).log()
    at_T = torch.distributions.kl_divergence(
        torch.distributions.Normal(math.sqrt(a[2]) * value, math.sqrt(1 - a[2])),
        torch.distributions.Normal(0.0, 1.0),
    )
    bits = model.bits_per_dimension(
        torch.full((1, 1, 1, 1), value), generator=torch.Generator().manual_seed(0)
    )
    assert bits.item() == pytest.approx((step + level.item() + at_T.item()) / math.log(2), rel=1e-5)


def test_the_bound_lies_a_little_above_the_exact_likelihood() -> None:
    """For Gaussian pixels in 256 levels: the density's logarithm and that of a level's width."""
    schedule, std, draw = SCHEDULES["linear"], 0.25, torch.Generator().manual_seed(0)
    x = (torch.randn(64, 1, 8, 8, generator=draw) * std).clamp(-1, 1)
    x = ((x + 1) * 127.5).round() / 127.5 - 1
    model = ideal(schedule, torch.zeros(1, 1, 8, 8), std)
    exact = -torch.distributions.Normal(0, std).log_prob(x).flatten(1).mean(dim=1) / math.log(2) - math.log2(
        2 / 255
    )
    bits = {v: model.bits_per_dimension(x, variance=v, generator=draw) for v in ("large", "small")}
    assert bits["large"].shape == (64,)
    assert -0.02 < (bits["large"] - exact).mean() < 0.12
    assert (bits["small"] - exact).mean() > -0.02  # right for one point, not for a Gaussian: looser


def test_the_levels_of_the_decoder_sum_to_one() -> None:
    from course_utils.diffusion import _log_level

    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean, std in ((0.1, 0.02), (-0.97, 0.05), (1.0, 0.3)):
        p = _log_level(levels, torch.tensor(mean).double(), torch.tensor(std).double()).exp()
        assert math.isclose(p.sum().item(), 1.0, abs_tol=1e-6)


# --- Walking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_walk_shows_each_step_and_needs_no_gradient(name: str) -> None:
    model, x_T = DDPM(_Takes(nn.Conv2d(1, 1, 3, padding=1)), SCHEDULES["cosine"]), normal(2, 1, 8, 8)
    steps = list(SAMPLERS[name](model, x_T, steps=4))
    assert [step.t for step in steps] == time_steps(1000, 4) == [1000, 750, 500, 250, 0]
    assert torch.equal(steps[0].x_t, x_T)
    assert steps[0].x0_hat is None
    for step in steps[1:]:
        assert not step.x_t.requires_grad
        assert step.x0_hat.shape == step.eps_hat.shape == x_T.shape
    torch.testing.assert_close(steps[-1].x_t, steps[-1].x0_hat, rtol=0, atol=1e-4)


def test_bad_arguments_of_samplers_are_refused_before_the_first_step() -> None:
    model, x = DDPM(Smooth(), SCHEDULES["linear"]), normal(1, 1, 4, 4)
    with pytest.raises(ValueError, match="steps=0"):
        next(ddim_sample(model, x, steps=0))
    with pytest.raises(ValueError, match="steps=1001"):
        next(ddim_sample(model, x, steps=1001))
    with pytest.raises(ValueError, match="eta=2"):
        ddim_sample(model, x, steps=5, eta=2.0)
    with pytest.raises(ValueError, match="allowed: small, large, learned"):
        ddpm_sample(model, x, steps=5, variance="tiny")
    with pytest.raises(ValueError, match="learn_variance=True"):
        ddpm_sample(model, x, steps=5, variance="learned")
    with pytest.raises(ValueError, match="start=1001"):
        next(ddim_sample(model, x, steps=5, start=1001))
    with pytest.raises(ValueError, match="start=0"):
        next(ddim_sample(model, x, steps=5, start=0))
    with pytest.raises(ValueError, match="steps=6"):
        next(ddim_sample(model, x, steps=6, start=5))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_walk_can_start_anywhere(name: str) -> None:
    """Data that were made noisy up to t = 300 and denoised from there are the data again."""
    schedule = SCHEDULES["cosine"]
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.5), 0.3)
    x0 = 0.5 + 0.3 * normal(20_000, 1, 1, 1)
    x_t = model.q_sample(x0, torch.full((20_000,), 300), normal(20_000, 1, 1, 1, seed=1))
    first, *_, end = SAMPLERS[name](model, x_t, steps=150, start=300)
    assert first.t == 300
    assert abs(end.x_t.mean().item() - 0.5) < 0.02
    assert math.isclose(end.x_t.std().item(), 0.3, rel_tol=0.03)


# --- Images that keep something of a given image ------------------------------------------------------------


@pytest.mark.parametrize("start", [100, 400, 700, 1000])
def test_an_image_made_from_an_image_keeps_as_much_of_it_as_theory_says(start: int) -> None:
    """x₀ ~ N(0, s²): x_t keeps ᾱ s² / (ᾱ s² + 1 - ᾱ) of its variance, and that is the new image's correlation."""
    schedule, std, n = SCHEDULES["cosine"], 0.6, 40_000
    x0 = std * normal(n, 1, 1, 1)
    walk = image_to_image(
        ideal(schedule, torch.zeros(1, 1, 1, 1), std), x0, start=start, steps=min(start, 250),
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    x = last(walk)
    a = schedule.alpha_bar[start].item()
    assert math.isclose(x.std().item(), std, rel_tol=0.03)
    kept = torch.corrcoef(torch.stack([x0.flatten(), x.flatten()]))[0, 1].item()
    assert abs(kept - a * std**2 / (a * std**2 + 1 - a)) < 0.02


def pairs(signs: list[tuple[float, float]], weights: list[float], std: float = 0.1) -> DDPM:
    """Images of two pixels, one beside the other: a mixture of Gaussians around these points."""
    schedule = SCHEDULES["cosine"]
    net = IdealDenoiser(schedule, torch.tensor(signs).view(-1, 1, 1, 2), std, torch.tensor(weights))
    return DDPM(net, schedule, predict="x0")


def test_inpainting_finds_what_fits_the_known_pixels_and_better_when_it_goes_back() -> None:
    """Left 1: right is 1 in 3 of 4. Left -1: right is always -1."""
    model = pairs([(1, 1), (1, -1), (-1, -1)], [0.3, 0.1, 0.6])
    mask = torch.tensor([True, False]).view(1, 1, 1, 2)
    for left, exact in ((1.0, 0.75), (-1.0, 0.0)):
        known = torch.full((4000, 1, 1, 2), torch.nan)
        known[..., 0] = left
        away = {}
        for resample in (1, 8):
            draw = torch.Generator().manual_seed(2)
            x = last(
                inpaint(
                    model,
                    normal(4000, 1, 1, 2),
                    known=known,
                    mask=mask,
                    steps=100,
                    resample=resample,
                    generator=draw,
                )
            )
            assert (x[..., 0] == left).all()
            away[resample] = abs((x[..., 1] > 0).double().mean().item() - exact)
            assert ((x[..., 1].abs() - 1).abs() < 0.5).double().mean() > 0.95
        assert away[8] < 0.06, away
        assert away[8] <= away[1], away


def test_inpainting_leaves_what_is_known_and_draws_the_rest_where_nothing_is_known() -> None:
    model, x_T = pairs([(1, 1), (-1, -1)], [0.75, 0.25]), normal(4000, 1, 1, 2)
    given = normal(4000, 1, 1, 2, seed=3)
    everything, nothing = torch.ones(1, 1, 1, 2, dtype=torch.bool), torch.zeros(1, 1, 1, 2, dtype=torch.bool)
    assert torch.equal(last(inpaint(model, x_T, known=given, mask=everything, steps=3)), given)
    x = last(
        inpaint(model, x_T, known=given, mask=nothing, steps=200, generator=torch.Generator().manual_seed(0))
    )
    assert abs((x.mean(dim=3) > 0).double().mean().item() - 0.75) < 0.03


@pytest.mark.parametrize("resample", [1, 4])
def test_going_back_and_down_again_keeps_the_distribution(resample: int) -> None:
    """Where nothing is known, x_t ~ q(x_t) again after each turn: the data's spread comes out."""
    model = ideal(SCHEDULES["cosine"], torch.zeros(1, 1, 1, 2), 0.7)
    x_T, nothing = normal(4000, 1, 1, 2), torch.zeros(1, 1, 1, 2, dtype=torch.bool)
    draw = torch.Generator().manual_seed(1)
    x = last(
        inpaint(model, x_T, known=torch.zeros_like(x_T), mask=nothing, steps=200, resample=resample, generator=draw)
    )  # fmt: skip
    assert math.isclose(x.std().item(), 0.7, rel_tol=0.06)


def test_known_pixels_are_as_noisy_as_the_others_on_the_way() -> None:
    model, schedule = ideal(SCHEDULES["cosine"], torch.zeros(1, 1, 1, 2), 0.7), SCHEDULES["cosine"]
    known = torch.full((4000, 1, 1, 2), 0.8)
    everything = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    draw = torch.Generator().manual_seed(1)
    walk = list(inpaint(model, normal(4000, 1, 1, 2), known=known, mask=everything, steps=4, generator=draw))
    for step in walk[1:]:
        a = schedule.alpha_bar[step.t].item()
        assert abs(step.x_t.mean().item() - 0.8 * a**0.5) < 0.05
        assert abs(step.x_t.std().item() - (1 - a) ** 0.5) < 0.03


class _Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.runs += 1
        return torch.zeros_like(x)


def test_going_back_costs_one_run_each_time_but_the_last_step() -> None:
    model = DDPM(net := _Counts(), SCHEDULES["cosine"])
    x = normal(1, 1, 4, 4)
    list(inpaint(model, x, known=x, mask=x > 0, steps=5, resample=3))
    assert net.runs == 4 * 3 + 1


def test_super_resolution_has_the_block_means_and_fills_in_what_fits_them() -> None:
    """Of (1, 0), (0, 1) and (-1, -1) the mean 0.5 leaves the first two, each as likely as the other."""
    model = pairs([(1, 0), (0, 1), (-1, -1)], [0.2, 0.2, 0.6], std=0.05)
    small = torch.full((4000, 1, 1, 1), 0.5)
    x = last(super_resolve(model, normal(4000, 1, 1, 2), small=small, steps=100,
                           generator=torch.Generator().manual_seed(0)))  # fmt: skip
    torch.testing.assert_close(x.mean(dim=3, keepdim=True), small, rtol=0, atol=1e-6)
    assert abs((x[..., 0] > x[..., 1]).double().mean().item() - 0.5) < 0.04
    assert (((x[..., 0] - x[..., 1]).abs() - 1).abs() < 0.4).double().mean() > 0.9


def test_bad_arguments_of_restoration_are_refused() -> None:
    model, x = DDPM(Smooth(), SCHEDULES["linear"]), normal(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"small \(2, 1, 3, 3\)"):
        super_resolve(model, x, small=normal(2, 1, 3, 3), steps=5)
    with pytest.raises(ValueError, match="mask bool"):
        inpaint(model, x, known=x, mask=torch.ones_like(x), steps=5)
    with pytest.raises(ValueError, match="resample=0"):
        inpaint(model, x, known=x, mask=x > 0, steps=5, resample=0)
    with pytest.raises(ValueError, match="start=0"):
        image_to_image(model, x, start=0, steps=1)


# --- Distillation -------------------------------------------------------------------------------------------


class _Leads(nn.Module):
    """A student that knows: for data N(m, s²) the teacher's DDIM steps are straight lines, so it follows them."""

    def __init__(self, schedule: Schedule, steps: int, substeps: int, mean: float, std: float):
        super().__init__()
        self.a, self.steps, self.substeps, self.mean, self.std = (
            schedule.alpha_bar,
            steps,
            substeps,
            mean,
            std,
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        out = torch.empty_like(x_t)
        for i, now in enumerate(t.tolist()):
            length = 1000 // self.steps
            x = x_t[i].double()
            for k in range(self.substeps):
                a, b = (self.a[now - length * j // self.substeps].item() for j in (k, k + 1))
                x0 = self.mean + math.sqrt(a) * self.std**2 / (a * self.std**2 + 1 - a) * (
                    x - math.sqrt(a) * self.mean
                )
                eps = (x - math.sqrt(a) * x0) / math.sqrt(1 - a)
                x = math.sqrt(b) * x0 + math.sqrt(1 - b) * eps
            a, b = self.a[now].item(), self.a[now - length].item()
            ratio = math.sqrt((1 - b) / (1 - a))
            out[i] = (x - ratio * x_t[i]) / (math.sqrt(b) - ratio * math.sqrt(a))
        return out


@pytest.mark.parametrize("substeps", [1, 2, 5])
def test_the_student_that_follows_the_teacher_has_no_loss(substeps: int) -> None:
    schedule = SCHEDULES["cosine"]
    teacher = ideal(schedule, torch.full((1, 1, 1, 1), 0.4), 0.5)

    def loss(net: nn.Module) -> float:
        student = DDPM(net, schedule, predict="x0", steps=4)
        x = 0.4 + 0.5 * normal(64, 1, 1, 1)
        return distillation_loss(
            student, teacher, x, substeps=substeps, generator=torch.Generator().manual_seed(0)
        ).item()  # fmt: skip

    assert loss(_Leads(schedule, 4, substeps, 0.4, 0.5)) < 1e-8
    if substeps > 1:  # one that follows other steps has some
        assert loss(_Leads(schedule, 4, 1, 0.4, 0.5)) > 1e-4


class _Says(nn.Module):
    """x₀ is the label over 10, whatever is asked; "no class" (10) is 0."""

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return torch.where(y == 10, 0, y / 10).to(x).view(-1, 1, 1, 1).expand(x.shape)


class _Guided(_Says):
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return 3 * super().forward(x, t, y)


def test_the_error_of_a_clean_image_counts_snr_plus_one_times() -> None:
    """With one substep the student is to say what the teacher says of x_t; SNR + 1 = 1 / (1 - ᾱ)."""
    schedule = SCHEDULES["cosine"]
    teacher = DDPM(Smooth(), schedule, predict="x0")
    student = DDPM(Smooth(scale=0.5), schedule, predict="x0", steps=2)
    x = normal(64, 1, 4, 4)
    loss = distillation_loss(student, teacher, x, substeps=1, generator=torch.Generator().manual_seed(5))
    draw = torch.Generator().manual_seed(5)
    t = torch.tensor([1000, 500])[torch.randint(2, (64,), generator=draw)]
    x_t = teacher.q_sample(x, t, torch.randn(x.shape, generator=draw))
    error = (Smooth(scale=0.5)(x_t, t) - Smooth()(x_t, t)).square().mean(dim=(1, 2, 3))
    weight = 1 + schedule.alpha_bar[t] / (1 - schedule.alpha_bar[t])
    assert len(t.unique()) == 2
    assert loss.item() == pytest.approx((error * weight).mean().item(), rel=1e-4)


def test_the_student_learns_the_teacher_under_guidance_and_without_labels_the_teacher_as_it_is() -> None:
    schedule = SCHEDULES["cosine"]
    teacher = DDPM(_Says(), schedule, predict="x0", classes=10)
    x, y = normal(50, 1, 2, 2), torch.arange(50) % 10
    for drop in (0.0, 0.5, 1.0):
        for net, right in ((_Guided(), True), (_Says(), False)):
            student = DDPM(net, schedule, predict="x0", classes=10, drop=drop, steps=5)
            draw = torch.Generator().manual_seed(0)
            loss = distillation_loss(student, teacher, x, y, guidance=3.0, generator=draw).item()
            assert (loss < 1e-8) == (right or drop == 1.0), (drop, net, loss)


def test_distillation_moves_the_student_only() -> None:
    teacher, student = (
        DDPM(nn.Conv2d(1, 1, 3, padding=1), SCHEDULES["cosine"], predict="v", steps=5) for _ in range(2)
    )
    for model in (teacher, student):
        model.net = _Takes(model.net)
    distillation_loss(student, teacher, normal(4, 1, 8, 8)).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in student.parameters())


# --- Drawing images -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_sample_is_the_models_own_sampler_with_its_steps_and_guidance(name: str) -> None:
    model = DDPM(Smooth(scale=0.4), SCHEDULES["linear"], classes=10, shape=(1, 4, 4), sampler=name, steps=3,
                 guidance=2.0)  # fmt: skip
    model.register_parameter("somewhere", nn.Parameter(torch.zeros(())))
    y = torch.tensor([3, 7])
    for label, guidance in ((y, 2.0), (None, 1.0)):
        draw = torch.Generator().manual_seed(5)
        x_T = torch.randn(2, 1, 4, 4, generator=draw)
        walk = SAMPLERS[name](model, x_T, steps=3, y=label, guidance=guidance, generator=draw)
        expected = last(walk).clamp(-1, 1)
        again = torch.Generator().manual_seed(5)
        assert torch.equal(model.sample(2, label, generator=again), expected)


def test_a_model_that_cannot_sample_says_so() -> None:
    with pytest.raises(ValueError, match="shape is None"):
        DDPM(Smooth(), SCHEDULES["linear"]).sample(1)
    with pytest.raises(ValueError, match="n=0"):
        unet_ddpm((1, 8, 8), width=16).sample(0)
    with pytest.raises(ValueError, match="allowed: ddpm, ddim"):
        DDPM(Smooth(), SCHEDULES["linear"], sampler="euler")


def test_a_unet_ddpm_draws_images_of_its_shape() -> None:
    model = unet_ddpm((3, 8, 12), width=16, classes=4, steps=2, guidance=1.5)
    x = model.sample(2, torch.tensor([0, 3]), generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 8, 12)
    assert x.abs().max() <= 1
