"""Diffusion: against closed forms, the ideal denoiser of a known density, and the schedulers of diffusers."""

import copy
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import diffusers
import pytest
import torch
from drawn import Says
from no_waiting import NoWaiting, as_on_an_accelerator
from torch import Tensor, nn

from course_utils.diffusion import (
    SAMPLERS,
    DiffusionModel,
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
    karras_time_steps,
    linear_schedule,
    loss_weight,
    posterior,
    super_resolve,
    target,
    to_x0_eps,
    unet_diffusion,
    zero_terminal_snr,
)
from course_utils.diffusion.process import log_level
from course_utils.nets import UNet

SCHEDULES = {
    "linear": linear_schedule(),
    "cosine": cosine_schedule(),
    "zero-terminal": zero_terminal_snr(linear_schedule()),
}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
each_prediction = pytest.mark.parametrize("predict", ["eps", "x0", "v"])


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def unclipped(net: nn.Module, schedule: Schedule, **options: Any) -> DiffusionModel:
    """For data that lie anywhere."""
    return DiffusionModel(net, schedule, clip_x0=False, **options)


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
    ("make", "what"),
    [(lambda: linear_schedule(0), "T=0"), (lambda: linear_schedule(10, 0.5, 0.1), r"first=0\.5"),
     (lambda: cosine_schedule(0), "T=0"), (lambda: cosine_schedule(9, -0.1), r"s=-0\.1"),
     (lambda: zero_terminal_snr(linear_schedule(1)), "T=1")],
)  # fmt: skip
def test_bad_numbers_for_a_schedule_are_refused(make: Callable[[], Schedule], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make()


def test_a_time_outside_is_refused() -> None:
    x = normal(2, 1, 4, 4)
    for t in (torch.tensor([0, 1001]), torch.tensor([-1, 3]), torch.tensor([1.0, 2.0]), torch.tensor([1])):
        with pytest.raises(ValueError, match="t "):
            SCHEDULES["linear"].signal_noise(t, x)


def test_a_schedule_is_not_changed_by_who_made_it() -> None:
    given = torch.tensor([1.0, 0.5, 0.2], dtype=torch.float64)
    schedule = Schedule(given)
    given.zero_()
    signal, noise = schedule.signal_noise(torch.tensor([1, 2]), normal(2, 1, 1, 1, dtype=torch.float64))
    torch.testing.assert_close(signal.flatten().square(), torch.tensor([0.5, 0.2], dtype=torch.float64))
    torch.testing.assert_close(noise.flatten().square(), torch.tensor([0.5, 0.8], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_signal_and_noise_are_rounded_once(dtype: torch.dtype) -> None:
    """√(1 - ᾱ) in float64 first: 1 - ᾱ alone would lose its digits where ᾱ is near 1."""
    schedule, t = SCHEDULES["cosine"], torch.tensor([1, 2, 999, 1000])
    signal, noise = schedule.signal_noise(t, torch.zeros(4, 3, 2, dtype=dtype))
    a = schedule.alpha_bar[t]
    assert signal.shape == noise.shape == (4, 1, 1)
    assert signal.dtype == noise.dtype == dtype
    assert torch.equal(signal.flatten(), a.sqrt().to(dtype))
    assert torch.equal(noise.flatten(), (1 - a).sqrt().to(dtype))


def test_what_was_drawn_in_inference_mode_does_not_stop_training() -> None:
    """The tables of √ᾱ that sampling left behind serve training too."""
    model = DiffusionModel(_Takes(nn.Conv2d(1, 1, 1)), cosine_schedule(50), shape=(1, 2, 2), steps=2)
    with torch.inference_mode():
        model.sample(1)
        model.loss(normal(2, 1, 2, 2).clamp(-1, 1))
    model.loss(normal(2, 1, 2, 2).clamp(-1, 1)).backward()
    assert all(p.grad is not None for p in model.parameters())


# --- Forward ------------------------------------------------------------------------------------------------


@each_schedule
def test_the_closed_form_is_the_chain(schedule: Schedule) -> None:
    """x_t = √(1 - β_t) x_{t-1} + √β_t ε, a thousand steps of it, has the mean and spread of q(x_t | x₀)."""
    n = 10_000
    x = torch.full((n,), 0.8, dtype=torch.float64)
    a, model = schedule.alpha_bar, unclipped(Smooth(), schedule, prediction_type="v")
    draw = torch.Generator().manual_seed(0)
    for t in range(1, 701):
        beta = (1 - a[t] / a[t - 1]).item()
        noise = torch.randn(n, generator=draw, dtype=x.dtype)
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * noise
        if t in (1, 100, 700):
            x0 = torch.full((n, 1), 0.8, dtype=torch.float64)
            at_once = model.q_sample(x0, torch.full((n,), t), normal(n, 1, seed=t, dtype=torch.float64))
            for sample in (x, at_once):
                spread = (1 - a[t]).sqrt().item()
                assert abs(sample.mean().item() - 0.8 * a[t].sqrt().item()) < 4 * spread / math.sqrt(n)
                assert math.isclose(sample.std().item(), spread, rel_tol=4 / math.sqrt(2 * n))


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
    model = unclipped(Smooth(), schedule, prediction_type="v")
    at = schedule.signal_noise(t, x0)
    seen = to_x0_eps(target(x0, eps, *at, predict), model.q_sample(x0, t, eps), *at, predict)
    torch.testing.assert_close(seen.x0, x0)
    torch.testing.assert_close(seen.eps, eps)


def test_predictions_that_say_nothing_are_refused() -> None:
    x, zero, one = normal(1, 1, 2, 2), torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    with pytest.raises(ValueError, match="alpha_bar is 0"):
        to_x0_eps(x, x, zero, one, "eps")
    with pytest.raises(ValueError, match="alpha_bar is 1"):
        to_x0_eps(x, x, one, zero, "x0")
    for call in (to_x0_eps, target):
        with pytest.raises(ValueError, match="prediction_type='noise' is unknown; allowed: eps, x0, v"):
            call(x, x, one, one, "noise")
    with pytest.raises(ValueError, match="use 'v' or 'x0'"):
        unclipped(Smooth(), SCHEDULES["zero-terminal"], prediction_type="eps")


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
    for weighting in ("simple", "min-snr"):
        with pytest.raises(ValueError, match="prediction_type='foo' is unknown; allowed: eps, x0, v"):
            loss_weight(a, "foo", weighting)


@each_prediction
def test_the_loss_of_the_perfect_answer_is_zero_and_of_nothing_is_known(predict: str) -> None:
    """One image only: the ideal network knows x₀. A network that gives 0 loses E ε², E x₀² or E v²."""
    x0 = normal(1, 1, 8, 8).clamp(-1, 1)
    schedule = SCHEDULES["cosine"]
    ideal = IdealDenoiser(schedule, x0)

    class Knows(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            at = schedule.signal_noise(t, x)
            seen = to_x0_eps(ideal(x, t), x, *at, "x0")
            return target(seen.x0, seen.eps, *at, predict)

    class Nothing(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.zeros_like(x)

    draw, batch = torch.Generator().manual_seed(0), x0.expand(2000, 1, 8, 8)
    assert unclipped(Knows(), schedule, prediction_type=predict).loss(batch, generator=draw) < 1e-6
    lost = unclipped(Nothing(), schedule, prediction_type=predict).loss(batch, generator=draw).item()
    a = schedule.alpha_bar[1:]
    power = x0.square().mean().item()
    known = {"eps": 1.0, "x0": power, "v": (a + (1 - a) * power).mean().item()}[predict]
    assert math.isclose(lost, known, rel_tol=0.02)


@each_prediction
def test_min_snr_counts_in_the_loss(predict: str) -> None:
    """A network that gives 0 for x₀ = 0 loses 1, 0 or ᾱ, so much as the time step counts."""

    class Nothing(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.full_like(x, 0.5)

    schedule = linear_schedule(10, 0.01, 0.5)
    model = DiffusionModel(Nothing(), schedule, prediction_type=predict, weighting="min-snr")
    loss = model.loss(torch.zeros(20_000, 1, 1, 8), generator=torch.Generator().manual_seed(0))
    a = schedule.alpha_bar[1:]
    error = 0.25 + {"eps": torch.ones_like(a), "x0": torch.zeros_like(a), "v": a}[predict]
    snr = a / (1 - a)
    weight = snr.clamp_max(5) / {"eps": snr, "x0": torch.ones_like(a), "v": snr + 1}[predict]
    assert loss.item() == pytest.approx((weight * error).mean().item(), rel=0.02)


def test_labels_are_left_out_in_the_given_share() -> None:
    asked = []

    class Listens(nn.Module):
        def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            asked.append(y)
            return torch.zeros_like(x)

    x, y = normal(4000, 1, 1, 2), torch.arange(4000) % 10
    unclipped(Listens(), SCHEDULES["linear"], num_classes=10, p_uncond=0.2).loss(
        x, y, generator=torch.Generator().manual_seed(0)
    )
    kept = asked[0] != 10
    assert torch.equal(asked[0][kept], y[kept])
    assert abs((~kept).double().mean().item() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 4000)


def test_the_loss_is_the_same_again_from_the_same_generator_and_spares_other_randomness() -> None:
    x, model = normal(8, 1, 4, 4), unclipped(Smooth(), SCHEDULES["linear"])
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
    learned = unclipped(net, SCHEDULES["linear"], learn_variance=True)
    learned.loss(x, generator=torch.Generator().manual_seed(0)).backward()
    with_bound = net.mean.weight.grad.clone()
    assert net.variance.weight.grad.abs().max() > 0
    net.zero_grad()
    plain = unclipped(_Takes(net.mean), SCHEDULES["linear"])
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
    unclipped(Watch(), linear_schedule(T)).loss(
        normal(n, 1, 1, 2), generator=torch.Generator().manual_seed(0)
    )
    (t,) = times
    assert t.unique().tolist() == list(range(1, T + 1))
    expected = n / T
    assert ((t.bincount()[1:] - expected).abs() < 5 * expected**0.5).all()


def test_guidance_goes_from_no_class_through_the_class_and_beyond() -> None:
    model = unclipped(Smooth(), SCHEDULES["linear"], num_classes=10)
    x, t, y = normal(4, 1, 6, 6), torch.tensor([1, 20, 500, 1000]), torch.tensor([0, 3, 5, 9])
    without, with_class = (model.predict(x, t, y, guidance=w).eps for w in (0.0, 1.0))
    torch.testing.assert_close(without, Smooth()(x, t, torch.full((4,), 10)))
    torch.testing.assert_close(with_class, Smooth()(x, t, y))
    torch.testing.assert_close(model.predict(x, t).eps, without)
    for w in (0.5, 3.0):
        torch.testing.assert_close(
            model.predict(x, t, y, guidance=w).eps, without + w * (with_class - without)
        )
    with pytest.raises(ValueError, match="needs a model with classes, and y"):
        model.predict(x, t, guidance=2.0)
    with pytest.raises(ValueError, match="at least 0"):
        model.predict(x, t, y, guidance=-1.0)


def says(**options: Any) -> DiffusionModel:
    return DiffusionModel(
        Says(),
        SCHEDULES["cosine"],
        prediction_type="x0",
        num_classes=10,
        shape=(1, 2, 2),
        steps=3,
        **options,
    )


def test_guidance_leads_away_from_what_is_to_be_avoided() -> None:
    """x₀ says its label over 10: 2 is asked for, 3 is to be avoided; without a prompt, 0 leads away from 3."""
    model, x, t = says(), normal(2, 1, 2, 2), torch.tensor([300, 900])
    two, three = torch.tensor([2, 2]), torch.tensor([3, 3])
    for y, negative, expected in (
        (two, three, 0.3 - 3 * 0.1),
        (None, three, 0.3 - 3 * 0.3),
        (two, None, 3 * 0.2),
    ):
        x0 = model.predict(x, t, y, guidance=3.0, negative=negative).x0
        torch.testing.assert_close(x0, torch.full_like(x, expected))


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0])
def test_what_is_to_be_avoided_is_never_approached(guidance: float) -> None:
    model, x, three = says(), normal(2, 1, 2, 2), torch.tensor([3, 3])
    for y in (None, torch.tensor([2, 2])):
        calls = [
            lambda y=y: model.predict(x, torch.tensor([5, 5]), y, guidance=guidance, negative=three),
            lambda y=y: model.sample(2, y, guidance=guidance, negative=three),
            *(lambda y=y, sampler=sampler: sampler(model, x, steps=2, y=y, guidance=guidance, negative=three)
              for sampler in SAMPLERS.values()),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(ValueError, match=f"negative was given, but guidance={guidance}"):
                call()
    assert model.net.asked == []
    with pytest.raises(ValueError, match=r"negative was given, but guidance=1\.0"):  # the model's own
        model.sample(2, negative=three)


def test_without_a_prompt_nothing_is_asked_for() -> None:
    """In the loss, at guidance 0, and in a sample, after another call had something to avoid."""
    model, x = says(guidance=2.0), normal(4, 1, 2, 2).clamp(-1, 1)
    model.sample(2, torch.tensor([2, 2]), negative=torch.tensor(3))
    model.net.asked.clear()
    model.loss(x)
    model.predict(x, torch.full((4,), 9), torch.tensor([1, 2, 3, 4]), guidance=0.0)
    model.sample(4)
    assert len(model.net.asked) == 5
    assert all(torch.equal(y, torch.full((4,), 10)) for y in model.net.asked)


# --- Labels ------------------------------------------------------------------------------------------------

WRONG_LABELS = [
    (torch.tensor([0, 10]), r"holds 0 … 10; allowed: 0 … 9"),
    (torch.tensor([-1, 3]), r"holds -1 … 3; allowed: 0 … 9"),
    (torch.tensor([1, 2, 3]), r"must be int64 \(2,\), not torch.int64 \(3,\)"),
    (torch.tensor([[1, 2]]), r"must be int64 \(2,\), not torch.int64 \(1, 2\)"),
    (torch.tensor([1.0, 2.0]), r"must be int64 \(2,\), not torch.float32 \(2,\)"),
    (torch.tensor([1, 2], dtype=torch.int32), r"must be int64 \(2,\), not torch.int32 \(2,\)"),
]


@pytest.mark.parametrize(("y", "what"), WRONG_LABELS)
def test_labels_that_are_none_are_refused_before_the_network_runs(y: Tensor, what: str) -> None:
    model, x = says(guidance=2.0), normal(2, 1, 4, 4).clamp(-1, 1)
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    calls = {
        "loss": lambda: model.loss(x, y),
        "sample": lambda: model.sample(2, y),
        "bits": lambda: model.bits_per_dimension(x, y),
        "image_to_image": lambda: image_to_image(model, x, start=5, steps=2, y=y),
        "inpaint": lambda: inpaint(model, x, known=x, mask=mask, steps=2, y=y),
        "super_resolve": lambda: super_resolve(model, x, small=x[..., :2, :2], steps=2, y=y),
        "student": lambda: distillation_loss(model, says(), x, y, substeps=2),
        **{
            name: lambda sampler=sampler: sampler(model, x, steps=2, y=y)
            for name, sampler in SAMPLERS.items()
        },
    }
    for call in calls.values():
        with pytest.raises(ValueError, match=f"y {what}"):
            call()
    for sampler in SAMPLERS.values():
        with pytest.raises(ValueError, match=f"negative {what}"):
            sampler(model, x, steps=2, guidance=2.0, negative=y)
    assert model.net.asked == []


def test_a_prediction_may_be_asked_for_no_class_and_nothing_else_outside() -> None:
    """Training mixes classes and "no class" in one batch."""
    model, x, t = says(), normal(2, 1, 2, 2), torch.tensor([1, 2])
    torch.testing.assert_close(
        model.predict(x, t, torch.tensor([10, 5])).x0[:, 0, 0, 0], torch.tensor([0.0, 0.5])
    )
    with pytest.raises(ValueError, match="allowed: 0 … 10"):
        model.predict(x, t, torch.tensor([11, 5]))
    with pytest.raises(ValueError, match="t holds 0 … 2; allowed: 1 … 1000"):
        model.predict(x, torch.tensor([0, 2]))


def test_a_model_without_classes_takes_no_labels_but_trains_on_labelled_images() -> None:
    model, x, y = (
        DiffusionModel(Smooth(), SCHEDULES["linear"], shape=(1, 4, 4)),
        normal(2, 1, 4, 4),
        torch.ones(2).long(),
    )
    for call in (
        lambda: model.sample(2, y),
        lambda: model.predict(x, torch.tensor([1, 2]), y),
        lambda: ddim_sample(model, x, steps=2, y=y),
    ):
        with pytest.raises(ValueError, match="y was given, but this model knows no classes"):
            call()
    x = x.clamp(-1, 1)
    losses = [model.loss(x, label, generator=torch.Generator().manual_seed(0)) for label in (y, None)]
    assert torch.equal(*losses)


def test_images_that_are_none_are_refused_in_training() -> None:
    for x, what in ((normal(2, 1, 4, 4) + 9, "lie in"), (torch.rand(20, 1, 4, 4), r"\[0, 1\]"),
                    (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "must be float")):  # fmt: skip
        with pytest.raises(ValueError, match=what):
            DiffusionModel(Smooth(), SCHEDULES["linear"]).loss(x)
    unclipped(Smooth(), SCHEDULES["linear"]).loss(normal(2, 1, 4, 4) + 9)
    with pytest.raises(ValueError, match="must be float"):
        unclipped(Smooth(), SCHEDULES["linear"]).loss(torch.zeros(2, 1, 4, 4, dtype=torch.int64))


def test_a_network_that_gives_another_shape_is_refused() -> None:
    x = normal(2, 1, 4, 4).clamp(-1, 1)
    for outputs, learned in ((1, True), (2, False)):
        with pytest.raises(ValueError, match=r"net gives \(2, \d, 4, 4\) for x_t \(2, 1, 4, 4\)"):
            DiffusionModel(Smooth(outputs), SCHEDULES["linear"], learn_variance=learned).loss(x)


# --- Dtypes ------------------------------------------------------------------------------------------------


class _Keeps(nn.Module):
    """Half of x by a weight, and of which dtype x was."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.dtypes = nn.Parameter(torch.tensor(0.5)), set()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.dtypes.add(x.dtype)
        return self.weight * x


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_model_samples_in_the_dtype_of_its_weights_and_keeps_its_state_in_float32_at_least(
    name: str, dtype: torch.dtype
) -> None:
    model = DiffusionModel(
        _Keeps(), SCHEDULES["cosine"], prediction_type="v", shape=(1, 4, 4), steps=5, sampler=name
    ).to(dtype)
    x = model.sample(2, generator=torch.Generator().manual_seed(0))
    assert x.dtype == dtype
    assert x.abs().max() <= 1
    assert model.net.dtypes == {dtype}
    wide = torch.promote_types(dtype, torch.float32)
    walk = list(SAMPLERS[name](model, normal(2, 1, 4, 4).to(dtype), steps=5))
    assert all(step.x_t.dtype == wide for step in walk)
    if (
        dtype != torch.float64
    ):  # the same draw, in float32 throughout: what is different is the network's rounding
        reference = model.float().sample(2, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(x.float(), reference, rtol=0, atol=0 if dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_loss_of_half_precision_is_counted_in_float32(dtype: torch.dtype) -> None:
    model = DiffusionModel(_Keeps().to(dtype), SCHEDULES["cosine"])
    loss = model.loss(normal(64, 1, 4, 4).clamp(-1, 1).to(dtype), generator=torch.Generator().manual_seed(0))
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    loss.backward()
    assert model.net.weight.grad.dtype == dtype


def test_a_learned_variance_leaves_the_loss_in_float32() -> None:
    model = DiffusionModel(Smooth(outputs=2), SCHEDULES["linear"], learn_variance=True)
    assert model.loss(normal(2, 1, 4, 4).clamp(-1, 1)).dtype == torch.float32


# --- No waiting ---------------------------------------------------------------------------------------------


def training_steps() -> dict[str, Callable[[], Tensor]]:
    torch.manual_seed(0)
    x, y = normal(4, 1, 8, 8).clamp(-1, 1), torch.arange(4)
    unet = UNet(width=16, num_classes=10)
    options = {"num_classes": 10, "prediction_type": "v", "steps": 5}
    model = DiffusionModel(unet, cosine_schedule(), weighting="min-snr", **options)
    learned = DiffusionModel(UNet(width=16, out_channels=2), cosine_schedule(), learn_variance=True)
    teacher = DiffusionModel(UNet(width=16, num_classes=10), cosine_schedule(), **options)
    return {
        "classes": lambda: model.loss(x, y),
        "learned variance": lambda: learned.loss(x),
        "distillation": lambda: distillation_loss(model, teacher, x, y, guidance=2.0),
    }


@pytest.mark.parametrize("name", ["classes", "learned variance", "distillation"])
def test_a_training_step_does_not_wait_for_its_device(name: str) -> None:
    step = training_steps()[name]
    for _ in range(2):
        with as_on_an_accelerator():
            step().backward()


def test_a_step_of_a_sampler_does_not_wait_for_its_device() -> None:
    torch.manual_seed(0)
    model = DiffusionModel(UNet(width=16, num_classes=10), cosine_schedule(), num_classes=10)
    x, t, y = normal(4, 1, 8, 8), torch.full((4,), 7), torch.arange(4)
    with torch.no_grad(), as_on_an_accelerator():
        model.clipped(model.known_predict(x, t, y, 2.0), x, t)


def test_waiting_would_be_seen() -> None:
    with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
        training_steps()["classes"]()  # on the CPU labels and images are looked at


# --- Weights and their schedule ------------------------------------------------------------------------------


def test_weights_load_under_their_schedule_only() -> None:
    """Also where the processor that trained them rounded the last digits otherwise."""
    made = {name: DiffusionModel(_Takes(nn.Linear(2, 2)), make(100), prediction_type="v")
            for name, make in (("cosine", cosine_schedule), ("linear", linear_schedule))}  # fmt: skip
    weights = made["cosine"].state_dict()
    again = DiffusionModel(_Takes(nn.Linear(2, 2)), cosine_schedule(100), prediction_type="v")
    again.load_state_dict(weights)
    assert torch.equal(again.net.layer.weight, made["cosine"].net.layer.weight)
    a = weights["_extra_state"]
    again.load_state_dict({**weights, "_extra_state": a * (1 + 1e-13 * normal(101, dtype=torch.float64))})
    before = made["linear"].net.layer.weight.clone()
    for other, T in ((made["linear"], 100), (DiffusionModel(again.net, cosine_schedule(50)), 50)):
        with pytest.raises(ValueError, match="another schedule") as error:
            other.load_state_dict(weights)
        for part in (
            "T = 100",
            f"T = {T}",
            f"{a[-1].item():.3g} at T",
            f"{other.schedule.alpha_bar[-1]:.3g} at T",
        ):
            assert part in str(error.value)
    assert torch.equal(before, made["linear"].net.layer.weight)


def test_weights_without_a_schedule_say_so() -> None:
    model = DiffusionModel(_Takes(nn.Linear(2, 2)), cosine_schedule(100))
    weights = {name: value for name, value in model.state_dict().items() if name != "_extra_state"}
    for strict in (True, False):
        with pytest.raises(
            ValueError, match=r"do not say under which schedule they were trained.* '_extra_state'"
        ):
            model.load_state_dict(weights, strict=strict)
    with pytest.raises(ValueError, match=r"there is no '0\._extra_state'"):
        nn.ModuleList([model]).load_state_dict({f"0.{name}": value for name, value in weights.items()})
    model.load_state_dict({**weights, "_extra_state": model.schedule.alpha_bar})


def test_a_copy_of_a_model_has_its_schedule_and_weights_of_its_own() -> None:
    model = DiffusionModel(_Takes(nn.Linear(2, 2)), cosine_schedule(100))
    other = copy.deepcopy(model)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other.net.layer.weight.zero_()
    assert model.net.layer.weight.abs().sum() > 0


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
    walk = ours(unclipped(net, SCHEDULES["linear"], prediction_type=predict), x, steps=steps, **options)
    assert next(walk).t == 1000
    for t, step in zip(scheduler.timesteps.tolist(), walk, strict=True):
        x = scheduler.step(net(x, torch.full((3,), t + 1)), t, x).prev_sample
        torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=1e-5)


@as_diffusers
@pytest.mark.parametrize("variance", ["small", "large", "learned"])
@pytest.mark.parametrize("steps", [5, 50, 200])
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
    model = unclipped(net, SCHEDULES["linear"], learn_variance=learned)
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
    walk = ddim_sample(unclipped(net, SCHEDULES["linear"]), x, steps=20, eta=eta, generator=draw)
    next(walk)
    for t, step in zip(scheduler.timesteps.tolist(), walk, strict=True):
        if step.t == 0:  # where there is no noise left to add, and diffusers draws one all the same
            again = torch.Generator().manual_seed(5)
        x = scheduler.step(net(x, torch.full((2,), t + 1)), t, x, eta=eta, generator=again).prev_sample
        torch.testing.assert_close(step.x_t, x, rtol=1e-5, atol=2e-5)


@as_diffusers
@pytest.mark.parametrize("steps", [5, 50])
@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_a_clipped_image_is_that_of_diffusers(name: str, steps: int) -> None:
    """For ε that is far too large, so that x̂₀ leaves [-1, 1] in most steps."""
    net, schedule, x = Smooth(scale=3.0), SCHEDULES["linear"], normal(2, 1, 8, 8)
    draws = [torch.Generator().manual_seed(5) for _ in range(2)]
    if name == "ddim":
        scheduler = diffusers.DDIMScheduler(**SHARED, clip_sample=True)
        options: dict[str, Any] = {"use_clipped_model_output": True}
    else:
        scheduler = diffusers.DDPMScheduler(**SHARED, clip_sample=True, variance_type="fixed_small")
        scheduler.alphas_cumprod = schedule.alpha_bar[1:]
        options = {"generator": draws[0]}
    scheduler.set_timesteps(steps)
    walk = SAMPLERS[name](DiffusionModel(net, schedule), x, steps=steps, generator=draws[1])
    free = SAMPLERS[name](
        unclipped(net, schedule), x, steps=steps, generator=torch.Generator().manual_seed(5)
    )
    next(walk)
    clipped = 0
    for t, step in zip(scheduler.timesteps.tolist(), walk, strict=True):
        theirs = scheduler.step(net(x, torch.full((2,), t + 1)), t, x, **options)
        torch.testing.assert_close(step.x0_hat, theirs.pred_original_sample, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(step.x_t, theirs.prev_sample, rtol=1e-5, atol=2e-5)
        clipped += step.x0_hat.abs().max().item() == 1
        a = schedule.alpha_bar[t + 1]
        made_of = a.sqrt().float() * step.x0_hat + (1 - a).sqrt().float() * step.eps_hat
        torch.testing.assert_close(made_of, x, rtol=1e-4, atol=1e-4)
        x = step.x_t
    assert clipped >= steps // 2
    assert (last(free) - x).abs().max() > 0.02


def test_ddim_with_all_its_noise_is_ancestral_sampling() -> None:
    x, model = normal(2, 1, 8, 8), unclipped(Smooth(), SCHEDULES["cosine"], prediction_type="v")
    draws = (torch.Generator().manual_seed(1) for _ in range(2))
    by_ddim = ddim_sample(model, x, steps=30, eta=1.0, generator=next(draws))
    by_ddpm = ddpm_sample(model, x, steps=30, generator=next(draws))
    for one, other in zip(by_ddim, by_ddpm, strict=True):
        torch.testing.assert_close(one.x_t, other.x_t, rtol=1e-4, atol=1e-5)


@as_diffusers
@pytest.mark.parametrize("steps", [5, 20])
def test_heun_is_that_of_diffusers(steps: int) -> None:
    """At the same times. Theirs works with x / √ᾱ, ours with x."""
    scheduler = diffusers.HeunDiscreteScheduler(**SHARED, beta_start=1e-4, beta_end=0.015)
    net, schedule = Smooth(), linear_schedule(1000, 1e-4, 0.015)  # σ_T = 44: no first step of DDIM's
    scheduler.set_timesteps(timesteps=[t - 1 for t in karras_time_steps(schedule, 1000, steps)[:-1]])
    x = normal(2, 1, 8, 8, dtype=torch.float64)  # theirs is up to 150 times as large: float32 rounds
    walk = list(heun_sample(unclipped(net, schedule), x, steps=steps))
    scaled, compared = x / schedule.alpha_bar[1000].sqrt(), []
    for i, t in enumerate(scheduler.timesteps):  # the first, then each twice: to correct a step, to begin one
        seen = scheduler.scale_model_input(scaled, t)
        scaled = scheduler.step(net(seen, torch.full((2,), int(t) + 1)), t, scaled).prev_sample
        if i % 2 or i == 2 * steps - 2:
            step = walk[(i + 2) // 2]
            torch.testing.assert_close(
                step.x_t, scaled * schedule.alpha_bar[step.t].sqrt(), rtol=1e-5, atol=1e-5
            )
            compared.append(step.t)
    assert compared == karras_time_steps(schedule, 1000, steps)[1:]


# --- Samplers, on densities that are known ------------------------------------------------------------------

DETERMINISTIC = {name: sampler for name, sampler in SAMPLERS.items() if name != "ddpm"}


def last(walk: Iterator[Step]) -> Tensor:
    *_, step = walk
    return step.x_t


def ideal(schedule: Schedule, means: Tensor, std: float) -> DiffusionModel:
    return unclipped(IdealDenoiser(schedule, means, std), schedule, prediction_type="x0")


@each_schedule
def test_a_known_gaussian_comes_out_of_ancestral_sampling(schedule: Schedule) -> None:
    model, n = ideal(schedule, torch.full((1, 1, 1, 1), 0.5), 0.3), 4000
    walk = ddpm_sample(model, normal(n, 1, 1, 1), steps=1000, generator=torch.Generator().manual_seed(1))
    x = last(walk)  # with fewer steps its smaller variance is too small
    assert abs(x.mean().item() - 0.5) < 4 * 0.3 / math.sqrt(n)
    assert math.isclose(x.std().item(), 0.3, rel_tol=4 / math.sqrt(2 * n))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_known_mixture_comes_out(name: str) -> None:
    """Two bumps at ±1, three points in four at the right one."""
    schedule = SCHEDULES["cosine"]
    net = IdealDenoiser(schedule, torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1), 0.2, torch.tensor([0.25, 0.75]))
    x = last(
        SAMPLERS[name](unclipped(net, schedule, prediction_type="x0"), normal(10_000, 1, 1, 1), steps=150)
    ).flatten()
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


@each_schedule
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_many_steps_reach_the_exact_flow(name: str, schedule: Schedule) -> None:
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.4, dtype=torch.float64), 0.5)
    x_T = normal(50, 1, 1, 1, dtype=torch.float64)
    x = last(DETERMINISTIC[name](model, x_T, steps=1000 if name == "ddim" else 300))
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
    for weights in (torch.tensor([0.5, 0.6]), torch.tensor([1.0]), torch.tensor([-0.5, 1.5])):
        with pytest.raises(ValueError, match="weights"):
            IdealDenoiser(SCHEDULES["linear"], normal(2, 1), 0.1, weights)
    with pytest.raises(ValueError, match="std"):
        IdealDenoiser(SCHEDULES["linear"], normal(2, 1), -0.1)


class Off(nn.Module):
    """The ε of the ideal denoiser, but for a factor."""

    def __init__(self, schedule: Schedule, means: Tensor, factor: float):
        super().__init__()
        self.schedule, self.ideal, self.factor = schedule, IdealDenoiser(schedule, means), factor

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        at = self.schedule.signal_noise(t, x)
        return self.factor * to_x0_eps(self.ideal(x, t), x, *at, "x0").eps


@pytest.mark.parametrize("factor", [1.002, 1 / 1.002])
def test_a_small_error_in_eps_stays_small_where_images_are_clipped(factor: float) -> None:
    """On the cosine schedule √ᾱ_T = 4.9e-5: x̂₀ = (x - √(1 - ᾱ) ε̂) / √ᾱ is off by 40 where ε̂ is off by 0.002."""
    schedule, x_T = SCHEDULES["cosine"], normal(4000, 1, 1, 1, seed=1)
    values = torch.tensor([-1.0, 0.0, 1.0])
    images = normal(8, 1, 16, 16).clamp(-1, 1)
    spread, middle, distance = {}, {}, {}
    for clip in (True, False):
        model = DiffusionModel(Off(schedule, values.view(3, 1, 1, 1), factor), schedule, clip_x0=clip)
        _, first, *_, end = ddim_sample(model, x_T, steps=10)
        spread[clip] = first.x_t.std().item()
        middle[clip] = ((end.x_t.flatten()[:, None] - values).abs().argmin(dim=1) == 1).double().mean().item()
        model = DiffusionModel(Off(schedule, images, factor), schedule, clip_x0=clip)
        x = last(ddim_sample(model, normal(100, 1, 16, 16, seed=1), steps=10))
        distance[clip] = torch.cdist(x.flatten(1), images.flatten(1)).min(dim=1).values.median().item()
    assert 0.8 < spread[True] < 1.2  # 1 for the ideal denoiser
    assert spread[False] > 4
    assert 0.2 < middle[True] < 0.55  # of the three values, 0: 0.37 for the ideal denoiser in ten steps
    assert middle[False] < 0.12
    assert distance[True] < 0.01
    assert distance[False] > 0.02


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_end_within_the_range_of_images(name: str) -> None:
    model = DiffusionModel(
        Smooth(scale=3.0), SCHEDULES["cosine"], prediction_type="x0", shape=(1, 4, 4), sampler=name, steps=5
    )
    clipped = model.sample(20, generator=torch.Generator().manual_seed(0))
    model.clip_x0 = False
    free = model.sample(20, generator=torch.Generator().manual_seed(0))
    assert clipped.abs().max() <= 1
    assert free.abs().max() > 2


def test_a_small_number_of_heun_steps_stays_near_the_data() -> None:
    """Eight points on a ring of radius 0.9, N(0, 0.1²) around each; σ_T is 20,000."""
    angle = torch.arange(8) / 8 * 2 * math.pi
    ring = 0.9 * torch.stack([angle.cos(), angle.sin()], dim=1)
    model = ideal(SCHEDULES["cosine"], ring, 0.1)
    x = last(heun_sample(model, normal(2000, 2), steps=10))
    away = torch.cdist(x, ring).min(dim=1).values
    assert x.abs().max() < 2
    assert away.quantile(0.95) < 0.5  # 0.245 for N(0, 0.1²)


@each_schedule
def test_the_error_of_heun_falls_at_the_second_order(schedule: Schedule) -> None:
    """At its own times, up to t = 1, for a Gaussian."""
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.4, dtype=torch.float64), 0.5)
    x_T, a = normal(200, 1, 1, 1, dtype=torch.float64), schedule.alpha_bar
    z = (x_T - a[-1].sqrt() * 0.4) / (a[-1] * 0.25 + 1 - a[-1]).sqrt()
    exact = a[1].sqrt() * 0.4 + (a[1] * 0.25 + 1 - a[1]).sqrt() * z
    reached = []
    for steps in (10, 20, 40, 80):
        *_, before_last, _ = heun_sample(model, x_T, steps=steps)
        assert before_last.t == 1
        reached.append((before_last.x_t - exact).abs().mean().item())
    slopes = [math.log2(one / other) for one, other in pairwise(reached)]
    assert abs(slopes[-1] - 2) < 0.2, slopes
    assert reached[0] < 0.12  # of data with the spread 0.5


# --- Times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 6, 11, 31])
def test_karras_times_are_those_of_equation_5(steps: int) -> None:
    """On a schedule whose σ_t follows the equation with a step for each t, they are evenly spread."""
    T = 1 + 2 * 3 * 5 * 10
    power = torch.linspace(0.01 ** (1 / 7), 60 ** (1 / 7), T, dtype=torch.float64)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), 1 / (1 + power**14)])
    times = karras_time_steps(Schedule(alpha_bar), T, steps)
    even = [round(T - k * (T - 1) / (steps - 1)) for k in range(steps)]
    assert times == [*even, 0] if (T - 1) % (steps - 1) == 0 else times[0] == T


@each_schedule
@pytest.mark.parametrize("start", [300, 1000])
def test_karras_times_are_the_nearest_to_equation_5(schedule: Schedule, start: int) -> None:
    """Wherever there are enough whole steps; and from σ = 80 on, where the first is above."""
    sigma = [math.sqrt((1 - a) / a) if a else math.inf for a in schedule.alpha_bar.tolist()]
    steps, rho = 10, 7
    times = karras_time_steps(schedule, start, steps)
    largest, least = min(sigma[start], 80.0), sigma[1]
    nearest = [start]
    for k in range(1, steps):
        wanted = (largest ** (1 / rho) + k / (steps - 1) * (least ** (1 / rho) - largest ** (1 / rho))) ** rho
        nearest.append(min(range(start + 1), key=lambda t: abs(sigma[t] - wanted)))
    crowded = {k for k in range(1, steps) if nearest[k] >= times[k - 1] or nearest[k] < steps - k}
    assert len(crowded) <= 2
    assert [t for k, t in enumerate(times[:-1]) if k not in crowded] == [
        t for k, t in enumerate(nearest) if k not in crowded
    ]
    assert times[-1] == 0


@pytest.mark.parametrize("make", [linear_schedule, cosine_schedule])
def test_karras_times_fall_at_each_step_for_any_number_of_steps(make: Callable[[int], Schedule]) -> None:
    schedule = make(12)
    for start in range(1, 13):
        for steps in range(1, start + 1):
            times = karras_time_steps(schedule, start, steps)
            assert (times[0], times[-1], len(times)) == (start, 0, steps + 1)
            assert all(one > other for one, other in pairwise(times))
    with pytest.raises(ValueError, match="steps=13 must lie in 1 … 12"):
        karras_time_steps(schedule, 12, 13)


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
    schedule, std, draw = linear_schedule(400, 2.5e-4, 0.05), 0.25, torch.Generator().manual_seed(0)
    x = (torch.randn(16, 1, 8, 8, generator=draw) * std).clamp(-1, 1)
    x = ((x + 1) * 127.5).round() / 127.5 - 1
    model = ideal(schedule, torch.zeros(1, 1, 8, 8), std)
    exact = -torch.distributions.Normal(0, std).log_prob(x).flatten(1).mean(dim=1) / math.log(2) - math.log2(
        2 / 255
    )
    bits = {v: model.bits_per_dimension(x, variance=v, generator=draw) for v in ("large", "small")}
    assert bits["large"].shape == (16,)
    assert -0.02 < (bits["large"] - exact).mean() < 0.12
    assert (bits["small"] - exact).mean() > -0.02  # right for one point, not for a Gaussian: looser


def test_the_bound_is_that_of_the_model_that_samples() -> None:
    """A network whose x̂₀ leaves [-1, 1] describes, clipped, the same model as one that clips itself."""

    class Clips(Smooth):
        def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
            return super().forward(x, t, y).clamp(-1, 1)

    schedule, x = linear_schedule(20, 0.01, 0.4), normal(4, 1, 4, 4).clamp(-1, 1)
    models = {
        "clipped": DiffusionModel(Smooth(scale=3.0), schedule, prediction_type="x0"),
        "clips": unclipped(Clips(scale=3.0), schedule, prediction_type="x0"),
        "free": unclipped(Smooth(scale=3.0), schedule, prediction_type="x0"),
    }
    bits = {name: model.bits_per_dimension(x, generator=torch.Generator().manual_seed(0))
            for name, model in models.items()}  # fmt: skip
    ends = {name: last(ddpm_sample(model, normal(4, 1, 4, 4), steps=20, generator=torch.Generator().manual_seed(0)))
            for name, model in models.items()}  # fmt: skip
    for of in (bits, ends):
        torch.testing.assert_close(of["clipped"], of["clips"], check_dtype=False, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(of["clipped"], of["free"], rtol=0.05)


@pytest.mark.parametrize(("share", "variance"), [(0.0, "small"), (1.0, "large")])
@pytest.mark.parametrize("T", [1, 2, 20])
def test_a_learned_variance_at_either_end_is_the_smaller_or_the_larger(
    share: float, variance: str, T: int
) -> None:
    class Ends(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.cat([0.3 * x, torch.full_like(x, 2 * share - 1)], dim=1)

    model = DiffusionModel(Ends(), linear_schedule(T, 0.01, 0.4), prediction_type="x0", learn_variance=True)
    x = normal(3, 1, 2, 2).clamp(-1, 1)
    learned, known = (model.bits_per_dimension(x, variance=v, generator=torch.Generator().manual_seed(0))
                      for v in ("learned", variance))  # fmt: skip
    assert learned.isfinite().all()
    torch.testing.assert_close(learned, known, rtol=1e-6, atol=1e-8)
    x_T = normal(3, 1, 2, 2)
    walks = (ddpm_sample(model, x_T, steps=T, variance=v, generator=torch.Generator().manual_seed(0))
             for v in ("learned", variance))  # fmt: skip
    torch.testing.assert_close(*map(last, walks), rtol=1e-5, atol=1e-6)


def test_a_schedule_of_one_step_by_hand() -> None:
    """x₁ = √ᾱ x₀ + √(1 - ᾱ) ε; the one step back is a Gaussian of the variance 1 - ᾱ around x̂₀."""

    class Zero(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            assert (t == 1).all()
            return torch.zeros(len(x), 2, *x.shape[2:])

    schedule, x = linear_schedule(1, 0.36, 0.36), torch.tensor([0.2, -1.0, 1.0]).view(3, 1, 1, 1)
    model = DiffusionModel(
        Zero(), schedule, prediction_type="x0", learn_variance=True, shape=(1, 1, 1), steps=1
    )
    gauss = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 0.6)
    low, high = (x.flatten().double() + d / 255 for d in (-1, 1))
    p = torch.stack([gauss.cdf(high[0]) - gauss.cdf(low[0]), gauss.cdf(high[1]), 1 - gauss.cdf(low[2])])
    a = 0.64
    at_T = 0.5 * (a * x.flatten().double().square() - a - math.log(1 - a))
    for variance in ("small", "large", "learned"):
        bits = model.bits_per_dimension(x, variance=variance)
        torch.testing.assert_close(bits, (at_T - p.log()) / math.log(2), rtol=1e-6, atol=0)
    loss = model.loss(x)
    assert loss.item() == pytest.approx(x.square().mean().item() - 0.001 * p.log().mean().item(), rel=1e-6)
    assert torch.equal(model.sample(2), torch.zeros(2, 1, 1, 1))


def test_the_bound_in_the_loss_counts_a_thousandth_of_all_steps() -> None:
    """The mean over times of the loss with the bound, less the loss without, is 0.001 of the bound but for its end."""

    class Half(nn.Module):
        def __init__(self, learned: bool) -> None:
            super().__init__()
            self.learned = learned

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.cat([0.5 * x, 0.4 * torch.ones_like(x)], dim=1) if self.learned else 0.5 * x

    schedule, n = linear_schedule(4, 0.05, 0.6), 20_000
    x = torch.full((n, 1, 1, 2), 51 / 255 * 2 - 1)
    with_bound, without = (
        DiffusionModel(Half(learned), schedule, prediction_type="x0", learn_variance=learned)
        .loss(x, generator=torch.Generator().manual_seed(0)).item()
        for learned in (True, False)
    )  # fmt: skip
    model = DiffusionModel(Half(True), schedule, prediction_type="x0", learn_variance=True)
    bits = model.bits_per_dimension(x, variance="learned", generator=torch.Generator().manual_seed(1)).mean()
    a = schedule.alpha_bar[-1].item()
    end = 0.5 * (a * x[0, 0, 0, 0].item() ** 2 - a - math.log1p(-a))
    assert with_bound - without == pytest.approx(0.001 * (bits.item() * math.log(2) - end), rel=0.03)


def test_a_bound_of_a_variance_that_is_not_learned_is_refused() -> None:
    model, x = DiffusionModel(Smooth(), linear_schedule(5)), normal(1, 1, 2, 2).clamp(-1, 1)
    with pytest.raises(ValueError, match="learn_variance=True"):
        model.bits_per_dimension(x, variance="learned")
    with pytest.raises(ValueError, match="allowed: small, large, learned"):
        model.bits_per_dimension(x, variance="tiny")
    with pytest.raises(ValueError, match="lie in"):
        model.bits_per_dimension(9 * torch.ones(1, 1, 2, 2))


def test_the_levels_of_the_decoder_sum_to_one() -> None:
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean, std in ((0.1, 0.02), (-0.97, 0.05), (1.0, 0.3)):
        p = log_level(levels, torch.tensor(mean).double(), torch.tensor(std).double()).exp()
        assert math.isclose(p.sum().item(), 1.0, abs_tol=1e-6)


# --- Walking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_walk_shows_each_step_and_needs_no_gradient(name: str) -> None:
    model, x_T = unclipped(_Takes(nn.Conv2d(1, 1, 3, padding=1)), SCHEDULES["cosine"]), normal(2, 1, 8, 8)
    steps = list(SAMPLERS[name](model, x_T, steps=4))
    expected = karras_time_steps(model.schedule, 1000, 4) if name == "heun" else [1000, 750, 500, 250, 0]
    assert [step.t for step in steps] == expected
    assert torch.equal(steps[0].x_t, x_T)
    assert steps[0].x0_hat is None
    for step in steps[1:]:
        assert not step.x_t.requires_grad
        assert step.x0_hat.shape == step.eps_hat.shape == x_T.shape
    torch.testing.assert_close(steps[-1].x_t, steps[-1].x0_hat, rtol=0, atol=1e-4)


def test_bad_arguments_of_samplers_are_refused_before_the_first_step() -> None:
    model, x = unclipped(Smooth(), SCHEDULES["linear"]), normal(1, 1, 4, 4)
    with pytest.raises(ValueError, match="steps=0"):
        ddim_sample(model, x, steps=0)
    with pytest.raises(ValueError, match="steps=1001"):
        ddim_sample(model, x, steps=1001)
    with pytest.raises(ValueError, match="eta=2"):
        ddim_sample(model, x, steps=5, eta=2.0)
    with pytest.raises(ValueError, match="allowed: small, large, learned"):
        ddpm_sample(model, x, steps=5, variance="tiny")
    with pytest.raises(ValueError, match="learn_variance=True"):
        ddpm_sample(model, x, steps=5, variance="learned")
    with pytest.raises(ValueError, match="start=1001"):
        ddim_sample(model, x, steps=5, start=1001)
    with pytest.raises(ValueError, match="start=0"):
        ddim_sample(model, x, steps=5, start=0)
    with pytest.raises(ValueError, match="steps=6"):
        ddim_sample(model, x, steps=6, start=5)
    with pytest.raises(ValueError, match=r"guidance=2\.0 needs a model with classes"):
        ddim_sample(model, x, steps=5, guidance=2.0)
    with pytest.raises(ValueError, match="guidance=nan must be a number"):
        ddim_sample(model, x, steps=5, guidance=math.nan)
    with pytest.raises(ValueError, match="x_T must be float"):
        ddim_sample(model, x.long(), steps=5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_walk_can_start_anywhere(name: str) -> None:
    """Data that were made noisy up to t = 300 and denoised from there are the data again."""
    schedule = SCHEDULES["cosine"]
    model = ideal(schedule, torch.full((1, 1, 1, 1), 0.5), 0.3)
    x0 = 0.5 + 0.3 * normal(10_000, 1, 1, 1)
    x_t = model.q_sample(x0, torch.full((10_000,), 300), normal(10_000, 1, 1, 1, seed=1))
    draw = torch.Generator().manual_seed(2)
    first, *_, end = SAMPLERS[name](model, x_t, steps=100, start=300, generator=draw)
    assert first.t == 300
    assert abs(end.x_t.mean().item() - 0.5) < 0.02
    assert math.isclose(end.x_t.std().item(), 0.3, rel_tol=0.03)


# --- Images that keep something of a given image ------------------------------------------------------------


@pytest.mark.parametrize("start", [100, 400, 700, 1000])
def test_an_image_made_from_an_image_keeps_as_much_of_it_as_theory_says(start: int) -> None:
    """x₀ ~ N(0, s²): x_t keeps ᾱ s² / (ᾱ s² + 1 - ᾱ) of its variance, and that is the new image's correlation."""
    schedule, std, n = SCHEDULES["cosine"], 0.6, 20_000
    x0 = std * normal(n, 1, 1, 1)
    walk = image_to_image(
        ideal(schedule, torch.zeros(1, 1, 1, 1), std), x0, start=start, steps=min(start, 200),
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    x = last(walk)
    a = schedule.alpha_bar[start].item()
    assert math.isclose(x.std().item(), std, rel_tol=0.03)
    kept = torch.corrcoef(torch.stack([x0.flatten(), x.flatten()]))[0, 1].item()
    assert abs(kept - a * std**2 / (a * std**2 + 1 - a)) < 0.02


def pairs(signs: list[tuple[float, float]], weights: list[float], std: float = 0.1) -> DiffusionModel:
    """Images of two pixels, one beside the other: a mixture of Gaussians around these points."""
    schedule = SCHEDULES["cosine"]
    net = IdealDenoiser(schedule, torch.tensor(signs).view(-1, 1, 1, 2), std, torch.tensor(weights))
    return unclipped(net, schedule, prediction_type="x0")


def test_inpainting_finds_what_fits_the_known_pixels_and_better_when_it_goes_back() -> None:
    """Left 1: right is 1 in 3 of 4. Left -1: right is always -1."""
    model = pairs([(1, 1), (1, -1), (-1, -1)], [0.3, 0.1, 0.6])
    mask = torch.tensor([True, False]).view(1, 1, 1, 2)
    for left, exact in ((1.0, 0.75), (-1.0, 0.0)):
        known = torch.full((1500, 1, 1, 2), torch.nan)
        known[..., 0] = left
        away = {}
        for resample in (1, 8):
            draw = torch.Generator().manual_seed(2)
            x = last(
                inpaint(
                    model,
                    normal(1500, 1, 1, 2),
                    known=known,
                    mask=mask,
                    steps=50,
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
        inpaint(model, x_T, known=given, mask=nothing, steps=100, generator=torch.Generator().manual_seed(0))
    )
    assert abs((x.mean(dim=3) > 0).double().mean().item() - 0.75) < 0.03


@pytest.mark.parametrize("resample", [1, 4])
def test_going_back_and_down_again_keeps_the_distribution(resample: int) -> None:
    """Where nothing is known, x_t ~ q(x_t) again after each turn: the data's spread comes out."""
    model = ideal(SCHEDULES["cosine"], torch.zeros(1, 1, 1, 2), 0.7)
    x_T, nothing = normal(4000, 1, 1, 2), torch.zeros(1, 1, 1, 2, dtype=torch.bool)
    draw = torch.Generator().manual_seed(1)
    x = last(
        inpaint(model, x_T, known=torch.zeros_like(x_T), mask=nothing, steps=100, resample=resample, generator=draw)
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
    model = unclipped(net := _Counts(), SCHEDULES["cosine"])
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
    model, x = unclipped(Smooth(), SCHEDULES["linear"]), normal(2, 1, 8, 8)
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
        student = unclipped(net, schedule, prediction_type="x0", steps=4)
        x = 0.4 + 0.5 * normal(64, 1, 1, 1)
        return distillation_loss(
            student, teacher, x, substeps=substeps, generator=torch.Generator().manual_seed(0)
        ).item()  # fmt: skip

    assert loss(_Leads(schedule, 4, substeps, 0.4, 0.5)) < 1e-8
    if substeps > 1:  # one that follows other steps has some
        assert loss(_Leads(schedule, 4, 1, 0.4, 0.5)) > 1e-4


class _Guided(Says):
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return 3 * super().forward(x, t, y)


def test_the_error_of_a_clean_image_counts_snr_plus_one_times() -> None:
    """With one substep the student is to say what the teacher says of x_t; SNR + 1 = 1 / (1 - ᾱ)."""
    schedule = SCHEDULES["cosine"]
    teacher = unclipped(Smooth(), schedule, prediction_type="x0")
    student = unclipped(Smooth(scale=0.5), schedule, prediction_type="x0", steps=2)
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
    teacher = unclipped(Says(), schedule, prediction_type="x0", num_classes=10)
    x, y = normal(50, 1, 2, 2), torch.arange(50) % 10
    for drop in (0.0, 0.5, 1.0):
        for net, right in ((_Guided(), True), (Says(), False)):
            student = unclipped(net, schedule, prediction_type="x0", num_classes=10, p_uncond=drop, steps=5)
            draw = torch.Generator().manual_seed(0)
            loss = distillation_loss(student, teacher, x, y, guidance=3.0, generator=draw).item()
            assert (loss < 1e-8) == (right or drop == 1.0), (drop, net, loss)


def test_the_teacher_is_followed_as_its_sampler_goes() -> None:
    """Its clean images within [-1, 1]: the student that says what one DDIM step of it sees has no loss."""
    schedule = SCHEDULES["cosine"]
    teacher = DiffusionModel(Smooth(scale=5.0), schedule, prediction_type="x0")

    class Follows(nn.Module):
        def __init__(self, clip: float):
            super().__init__()
            self.clip = clip

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return Smooth(scale=5.0)(x, t).clamp(-self.clip, self.clip)

    x = normal(64, 1, 4, 4).clamp(-1, 1)
    lost = [distillation_loss(DiffusionModel(Follows(clip), schedule, prediction_type="x0", steps=4), teacher, x,
                              substeps=1).item() for clip in (1.0, 9.0)]  # fmt: skip
    assert lost[0] < 1e-8
    assert lost[1] > 1


def test_a_student_that_cannot_follow_is_refused() -> None:
    def model(T: int, steps: int) -> DiffusionModel:
        return unclipped(Smooth(), cosine_schedule(T), prediction_type="x0", steps=steps)

    x = 3 * normal(2, 1, 2, 2)
    distillation_loss(model(10, 5), model(10, 5), x, substeps=2)
    with pytest.raises(ValueError, match="substeps=3 of each of the student's 5 steps"):
        distillation_loss(model(10, 5), model(10, 5), x, substeps=3)
    with pytest.raises(ValueError, match=r"T = 10,.*T = 20,"):
        distillation_loss(model(10, 5), model(20, 5), x)
    with pytest.raises(ValueError, match="lie in"):
        distillation_loss(DiffusionModel(Smooth(), cosine_schedule(10), steps=2), model(10, 5), x)


def test_distillation_moves_the_student_only() -> None:
    teacher, student = (
        unclipped(nn.Conv2d(1, 1, 3, padding=1), SCHEDULES["cosine"], prediction_type="v", steps=5)
        for _ in range(2)
    )
    for model in (teacher, student):
        model.net = _Takes(model.net)
    distillation_loss(student, teacher, normal(4, 1, 8, 8)).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in student.parameters())


# --- Drawing images -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_takes_the_models_own_steps_and_guidance(name: str) -> None:
    """x₀ says its label over 10; the last step ends at what is seen."""
    model, y = says(guidance=1.5, sampler=name), torch.tensor([2, 4])
    torch.testing.assert_close(model.sample(2, y)[:, 0, 0, 0], torch.tensor([0.3, 0.6]))
    runs = (
        2 * 3 - 1 - 1 if name == "heun" else 3
    )  # Heun's are two a step, but one in the first from σ = 20,000
    assert [len(asked) for asked in model.net.asked] == [4] * runs
    torch.testing.assert_close(model.sample(2, y, guidance=1.0)[:, 0, 0, 0], torch.tensor([0.2, 0.4]))
    each, all_alike = (
        model.sample(2, y, negative=torch.tensor([3, 3])),
        model.sample(2, y, negative=torch.tensor(3)),
    )
    torch.testing.assert_close(each[:, 0, 0, 0], torch.tensor([0.3 - 1.5 * 0.1, 0.3 + 1.5 * 0.1]))
    torch.testing.assert_close(each, all_alike)
    torch.testing.assert_close(model.sample(2, negative=torch.tensor(3)), torch.full((2, 1, 2, 2), -0.15))
    torch.testing.assert_close(model.sample(2), torch.zeros(2, 1, 2, 2))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_depends_on_its_generator_only(name: str) -> None:
    model = DiffusionModel(Smooth(), SCHEDULES["linear"], shape=(1, 4, 4), steps=3, sampler=name)
    state = torch.get_rng_state()
    one, same, other = (model.sample(2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "options", [{"guidance": -1.0}, {"steps": 0}, {"p_uncond": 1.5}, {"num_classes": 1}, {"weighting": "min"}]
)
def test_bad_arguments_of_a_model_are_named(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        DiffusionModel(Smooth(), SCHEDULES["linear"], **options)


def test_a_model_that_cannot_sample_says_so() -> None:
    with pytest.raises(ValueError, match="shape is None"):
        unclipped(Smooth(), SCHEDULES["linear"]).sample(1)
    with pytest.raises(ValueError, match="n=0"):
        unet_diffusion((1, 8, 8), width=16).sample(0)
    with pytest.raises(ValueError, match="allowed: ddpm, ddim"):
        unclipped(Smooth(), SCHEDULES["linear"], sampler="euler")


def test_a_unet_ddpm_draws_images_of_its_shape() -> None:
    model = unet_diffusion((3, 8, 12), width=16, num_classes=4, steps=2, guidance=1.5)
    x = model.sample(2, torch.tensor([0, 3]), generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 8, 12)
    assert x.abs().max() <= 1
