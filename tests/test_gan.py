"""Losses against the optima of their game, which are known; penalties against closed forms; networks and noise."""

import functools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from drawn import random_images, seed
from scipy import integrate, special, stats
from sklearn.metrics import hinge_loss
from torch import Tensor, nn
from torch.distributions import Bernoulli
from torch.nn import functional as F

from course_utils.gan import (
    CONDITIONS,
    GAN,
    LOSSES,
    Discriminator,
    Generator,
    discriminator_loss,
    draw_noise,
    generator_loss,
    gradient_penalty,
    other_classes,
    r1_penalty,
)
from course_utils.nets import seeded
from course_utils.training import Objective, Record, exponential_average, fit, warmup_cosine

LOGISTIC = ("minimax", "non-saturating")


def scores(n: int, number: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, generator=seed(number), dtype=dtype) * 3


@pytest.fixture(autouse=True)
def _quiet(one_thread: None) -> None:
    """The same first weights each time."""
    torch.manual_seed(0)


# -------------------------------------------------------------------------------- the optimal discriminator


class Affine(nn.Module):
    """Noise to N(mean, std²): a generator whose density is known."""

    latent_dim, num_classes = 1, None

    def __init__(self, mean: float, std: float):
        super().__init__()
        self.mean, self.std = nn.Parameter(torch.tensor(mean)), nn.Parameter(torch.tensor(std))

    def forward(self, z: Tensor) -> Tensor:
        return self.mean + self.std * z


def line_net(inputs: int = 1, number: int = 0) -> nn.Sequential:
    """A small network from a point of the line (and a class) to a score."""
    with seeded(number):
        return nn.Sequential(
            nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0)
        )


def descend(objectives: list[Objective], data: list[tuple[Tensor, ...]]) -> Iterator[int]:
    """The steps of `fit`, without what makes it safe: the least that trains."""
    source = seed(9)
    for step, batch in enumerate(data):
        for objective in objectives:
            objective.optimizer.zero_grad()
            objective.loss(*batch, generator=source).backward()
            (group,) = objective.optimizer.param_groups
            group["lr"] = group.setdefault("full", group["lr"]) * objective.schedule((step + 0.5) / len(data))
            objective.optimizer.step()
        yield step


def lower(gan: GAN, data: list[tuple[Tensor, ...]], lr: float = 1e-2) -> None:
    """Train the discriminator of a GAN whose generator stands still."""
    optimizer = torch.optim.Adam(gan.discriminator.parameters(), lr=lr)
    objective = Objective(gan.discriminator, gan.discriminator_loss, optimizer, schedule=warmup_cosine)
    list(descend([objective], data))


def p(x: float | np.ndarray) -> np.ndarray:
    """The density of the data: two bumps."""
    return 0.5 * stats.norm.pdf(x, -1.5, 0.6) + 0.5 * stats.norm.pdf(x, 1, 0.5)


def q(x: float | np.ndarray) -> np.ndarray:
    """The density of what is generated."""
    return stats.norm.pdf(x, 1.2, 1.1)


def draw_p(n: int, generator: torch.Generator) -> Tensor:
    left = torch.rand(n, 1, generator=generator) < 0.5
    noise = torch.randn(n, 1, generator=generator)
    return torch.where(left, -1.5 + 0.6 * noise, 1 + 0.5 * noise)


def integral(f: Callable[[float], float]) -> float:
    return integrate.quad(f, -8, 8, points=[-1.5, 1.0, 1.2], limit=200)[0]


def jensen_shannon() -> float:
    def density(x: float) -> float:
        mean = (p(x) + q(x)) / 2
        return (special.rel_entr(p(x), mean) + special.rel_entr(q(x), mean)) / 2

    return integral(density)


class Trained(NamedTuple):
    """What a discriminator has learned: its scores on a grid, and its loss on fresh samples."""

    scores: np.ndarray
    loss: float


GRID = np.linspace(-2.6, 2.6, 27)
BOTH = p(GRID) + q(GRID)  # at least 0.1: there are data everywhere on the grid


@functools.cache
def trained(kind: str) -> Trained:
    generator, net = seed(1), line_net()
    gan = GAN(Affine(1.2, 1.1), net, kind=kind)
    lower(gan, [(draw_p(1024, generator),) for _ in range(400)])
    with torch.no_grad():
        loss = gan.discriminator_loss(draw_p(400_000, generator), generator=generator)
        return Trained(net(torch.from_numpy(GRID).float()[:, None]).double().numpy(), loss.item())


# A ratio of densities from half a million points each, smoothed by the network: over five seeds the share was off by
# at most 0.023, the mean logarithm by 0.04. Generated taken for real would be off by 0.9.
@pytest.mark.parametrize("kind", LOGISTIC)
def test_the_sigmoid_of_the_score_becomes_the_share_of_real_among_both(kind: str) -> None:
    share = p(GRID) / BOTH
    assert share.min() < 0.15
    assert share.max() > 0.9
    np.testing.assert_allclose(special.expit(trained(kind).scores), share, atol=0.06)


@pytest.mark.parametrize("kind", LOGISTIC)
def test_the_score_becomes_the_log_of_the_ratio_of_densities(kind: str) -> None:
    off = trained(kind).scores - np.log(p(GRID) / q(GRID))
    assert np.average(np.abs(off), weights=BOTH) < 0.1


# 400,000 fresh ones of each: a standard error of 0.002. The loss above the optimum is of second order in the score.
@pytest.mark.parametrize("kind", LOGISTIC)
def test_minus_the_loss_becomes_twice_the_jensen_shannon_divergence_less_log_4(kind: str) -> None:
    assert 0.15 < jensen_shannon() < math.log(2)
    assert -trained(kind).loss == pytest.approx(2 * jensen_shannon() - math.log(4), abs=0.01)


def test_least_squares_scores_become_the_share_of_real_among_both() -> None:
    share = p(GRID) / BOTH
    np.testing.assert_allclose(trained("least-squares").scores, share, atol=0.12)  # five seeds: 0.064
    assert np.average(np.abs(trained("least-squares").scores - share), weights=BOTH) < 0.05
    optimum = integral(lambda x: p(x) * q(x) / (p(x) + q(x))) / 2
    assert trained("least-squares").loss == pytest.approx(optimum, abs=0.006)


def test_hinge_scores_take_the_sign_of_the_likelier_side() -> None:
    clear = np.abs(p(GRID) - q(GRID)) > 0.15 * BOTH
    assert 0.6 < clear.mean() < 1
    assert {-1.0, 1.0} == set(np.sign(p(GRID) - q(GRID))[clear])
    np.testing.assert_array_equal(np.sign(trained("hinge").scores)[clear], np.sign(p(GRID) - q(GRID))[clear])
    optimum = 2 * integral(lambda x: min(p(x), q(x)))  # of scores that jump from -1 to 1: no network's
    assert optimum - 0.01 < trained("hinge").loss < optimum + 0.12


def test_where_both_densities_are_one_the_best_loss_is_log_4() -> None:
    generator, net = seed(2), line_net()
    gan = GAN(Affine(1.2, 1.1), net)
    same = [(1.2 + 1.1 * torch.randn(2048, 1, generator=generator),) for _ in range(300)]
    with torch.no_grad():
        net[-2].bias.fill_(1.0)  # begin elsewhere than at the optimum
        before = gan.discriminator_loss(same[0][0], generator=generator).item()
    lower(gan, same)
    with torch.no_grad():
        x = 1.2 + 1.1 * torch.randn(400_000, 1, generator=generator)
        after = gan.discriminator_loss(x, generator=generator).item()
    assert before > math.log(4) + 0.1
    assert after == pytest.approx(math.log(4), abs=0.005)
    seen = GRID[q(GRID) > 0.05]
    assert net(torch.from_numpy(seen).float()[:, None]).abs().max() < 0.15


# Two points at the distance d: among slopes s the loss λ (s - 1)² - s d is least at s = 1 + d / 2λ.
@pytest.mark.parametrize(("distance", "weight"), [(2.0, 10.0), (2.0, 1.0), (0.5, 5.0)])
def test_wasserstein_between_two_points_finds_the_slope_that_the_penalty_allows(
    distance: float, weight: float
) -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0))
    nn.init.constant_(net[0].weight, 0.5)  # |s| keeps a slope below 0 from getting out
    gan = GAN(Affine(0.0, 0.0), net, kind="wasserstein", penalty=weight)
    real = torch.full((8, 1), distance)
    lower(gan, [(real,)] * 300, lr=0.05)
    slope = 1 + distance / (2 * weight)
    assert net[0].weight.item() == pytest.approx(slope, abs=0.01)
    loss = gan.discriminator_loss(real, generator=seed()).item()
    assert loss == pytest.approx(-distance - distance**2 / (4 * weight), abs=0.01)


# In the plane, since on the line a slope of -1 cannot turn into one of 1. Of a shift, the distance lies along it.
def test_wasserstein_with_its_penalty_approaches_the_distance_of_a_shift() -> None:
    generator, net, along = seed(3), line_net(2), torch.tensor([0.6, 0.8])
    flat = Affine(0.0, 0.7)
    flat.latent_dim = 2
    gan = GAN(flat, net, kind="wasserstein", penalty=20.0)
    data = [(2 * along + 0.7 * torch.randn(256, 2, generator=generator),) for _ in range(500)]
    lower(gan, data)
    real = 2 * along + 0.7 * torch.randn(100_000, 2, generator=generator)
    fake = 0.7 * torch.randn(100_000, 2, generator=generator)
    distance = stats.wasserstein_distance((real @ along).numpy(), (fake @ along).numpy())
    with torch.no_grad():
        found = -discriminator_loss(net(real), net(fake), kind="wasserstein").item()
    assert found == pytest.approx(distance, rel=0.08)  # above by d / 2λ = 5 %, as between two points


class LineNetOfClass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = line_net(1 + 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([x, F.one_hot(y, 3).to(x.dtype)], dim=1))


class AffineOfClass(nn.Module):
    """N(0, 1), N(½, 1), N(1, 1)."""

    latent_dim, num_classes = 1, 3

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return z + 0.5 * y[:, None]


# Real pairs are the classes' own points, N(-1, 0.8²), N(0, 0.8²) and N(1, 0.8²); wrong pairs those of the others.
@pytest.mark.parametrize("mismatched", [False, True])
def test_a_discriminator_with_classes_learns_the_densities_of_all_pairs(mismatched: bool) -> None:
    generator, judge = seed(4), LineNetOfClass()
    gan = GAN(AffineOfClass(), judge, mismatched=mismatched)
    data = []
    for _ in range(500):
        y = torch.randint(3, (1024,), generator=generator)
        data.append((y[:, None] - 1 + 0.8 * torch.randn(1024, 1, generator=generator), y))
    lower(gan, data)
    x = np.linspace(-2, 2, 17)
    real = np.stack([stats.norm.pdf(x, y - 1, 0.8) for y in range(3)])
    false = np.stack([stats.norm.pdf(x, 0.5 * y, 1) for y in range(3)])
    for y in range(3):
        others = np.delete(real, y, axis=0).mean(axis=0)
        seen_as_false = (false[y] + others) / 2 if mismatched else false[y]
        with torch.no_grad():
            found = judge(torch.from_numpy(x).float()[:, None], torch.full((17,), y)).sigmoid().numpy()
        enough = real[y] + seen_as_false > 0.08
        assert enough.sum() >= 10
        expected = real[y] / (real[y] + seen_as_false)
        np.testing.assert_allclose(found[enough], expected[enough], atol=0.05)  # five seeds: 0.017


# ------------------------------------------------------------------------------------- losses in closed form


@pytest.mark.parametrize("kind", LOGISTIC)
def test_logistic_losses_are_those_of_a_bernoulli_with_the_score_as_its_logit(kind: str) -> None:
    real, fake = scores(50), scores(60, 1)
    one, zero = torch.ones(()).double(), torch.zeros(()).double()
    right = Bernoulli(logits=real).log_prob(one).mean() + Bernoulli(logits=fake).log_prob(zero).mean()
    torch.testing.assert_close(discriminator_loss(real, fake, kind=kind), -right)
    cheated, caught = (Bernoulli(logits=fake).log_prob(answer).mean() for answer in (one, zero))
    torch.testing.assert_close(generator_loss(fake, kind=kind), caught if kind == "minimax" else -cheated)


def test_least_squares_losses_are_half_of_torch_s_squared_errors() -> None:
    real, fake = scores(50), scores(60, 1)
    ones, zeros = torch.ones(60).double(), torch.zeros(60).double()
    expected = F.mse_loss(real, ones[:50]) / 2 + F.mse_loss(fake, zeros) / 2
    torch.testing.assert_close(discriminator_loss(real, fake, kind="least-squares"), expected)
    torch.testing.assert_close(generator_loss(fake, kind="least-squares"), F.mse_loss(fake, ones) / 2)


def test_the_hinge_loss_is_twice_that_of_sklearn() -> None:
    real, fake = scores(50), scores(50, 1)
    of_both = hinge_loss([1] * 50 + [-1] * 50, torch.cat([real, fake]))
    assert discriminator_loss(real, fake, kind="hinge").item() == pytest.approx(2 * of_both)


@pytest.mark.parametrize("kind", ["hinge", "wasserstein"])
def test_a_generator_against_a_critic_raises_its_mean_score(kind: str) -> None:
    fake = scores(60)
    assert generator_loss(fake, kind=kind).item() == pytest.approx(-np.mean(fake.numpy()))


def test_the_wasserstein_loss_does_not_see_a_constant_added_to_all_scores() -> None:
    real, fake = scores(50), scores(60, 1)
    loss = discriminator_loss(real, fake, kind="wasserstein")
    assert loss.item() == pytest.approx(np.mean(fake.numpy()) - np.mean(real.numpy()))
    torch.testing.assert_close(discriminator_loss(real + 7, fake + 7, kind="wasserstein"), loss)


@pytest.mark.parametrize(
    ("kind", "discriminator", "generator"),
    [
        ("minimax", math.log(4), -math.log(2)),
        ("non-saturating", math.log(4), math.log(2)),
        ("least-squares", 0.5, 0.5),
        ("hinge", 2.0, 0.0),
        ("wasserstein", 0.0, 0.0),
    ],
)
def test_losses_where_the_score_is_0(kind: str, discriminator: float, generator: float) -> None:
    zeros = torch.zeros(5)
    assert discriminator_loss(zeros, zeros, kind=kind).item() == pytest.approx(discriminator)
    assert generator_loss(zeros, kind=kind).item() == pytest.approx(generator)


def slope(kind: str, score: float, n: int = 4) -> Tensor:
    fake = torch.full((n,), score, requires_grad=True)
    return torch.autograd.grad(generator_loss(fake, kind=kind), fake)[0]


@pytest.mark.parametrize("kind", LOGISTIC)
def test_at_0_both_logistic_losses_pull_the_generator_alike(kind: str) -> None:
    torch.testing.assert_close(slope(kind, 0.0), torch.full((4,), -0.5 / 4))


def test_where_the_discriminator_is_sure_only_the_minimax_gradient_vanishes() -> None:
    for score, limit in [(-10.0, 2e-5), (-40.0, 1e-17), (-1000.0, 0.0)]:
        assert slope("minimax", score).abs().max() <= limit
        torch.testing.assert_close(slope("non-saturating", score), torch.full((4,), -0.25), atol=2e-5, rtol=0)
    assert (slope("minimax", 1000.0) == -0.25).all()  # where it is fooled, it is the other way round
    assert (slope("non-saturating", 1000.0) == 0).all()


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_and_their_gradients_stay_finite_at_any_score(kind: str) -> None:
    real = torch.tensor([-1e4, -1.0, 0.0, 1.0, 1e4], requires_grad=True)
    fake = real.detach().flip(0).requires_grad_()
    losses = discriminator_loss(real, fake, kind=kind), generator_loss(fake, kind=kind)
    for loss in losses:
        assert loss.shape == ()
        assert loss.isfinite()
    for gradient in torch.autograd.grad(sum(losses), (real, fake)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", LOSSES)
def test_the_discriminator_wants_real_up_and_generated_down_and_the_generator_up(kind: str) -> None:
    real, fake = (torch.full((3,), 0.4, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(discriminator_loss(real, fake, kind=kind), (real, fake))
    assert (up < 0).all()
    assert (down > 0).all()
    assert (slope(kind, 0.4) < 0).all()


@pytest.mark.parametrize("kind", LOSSES)
def test_wrong_pairs_that_score_like_generated_ones_change_nothing(kind: str) -> None:
    real, fake = scores(50), scores(60, 1)
    alone = discriminator_loss(real, fake, kind=kind)
    torch.testing.assert_close(discriminator_loss(real, fake, fake, kind=kind), alone)


@pytest.mark.parametrize("kind", LOSSES)
def test_wrong_pairs_and_generated_ones_count_half_each(kind: str) -> None:
    real, fake, wrong = scores(50), scores(60, 1), scores(20, 2) + 1
    either = [discriminator_loss(real, false, kind=kind) for false in (fake, wrong)]
    together = discriminator_loss(real, fake, wrong, kind=kind)
    torch.testing.assert_close(together, sum(either) / 2)
    assert abs(either[0] - either[1]) > 0.05


@pytest.mark.parametrize(
    "refused",
    [lambda kind: discriminator_loss(torch.zeros(2), torch.zeros(2), kind=kind),
     lambda kind: generator_loss(torch.zeros(2), kind=kind),
     lambda kind: GAN(Generator(2, size=8, width=2), Discriminator(size=8, width=2), kind=kind)],
    ids=["discriminator", "generator", "GAN"],
)  # fmt: skip
def test_an_unknown_kind_is_named_and_the_known_ones_listed(refused: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match=f"kind='vanilla'.*{', '.join(LOSSES)}"):
        refused("vanilla")


# ------------------------------------------------------------------------------------------------- penalties


def linear(w: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x.flatten(1) @ w


@pytest.mark.parametrize("shape", [(5, 3), (8, 1, 4, 4), (1, 2)], ids=str)
def test_on_a_linear_score_the_penalties_are_those_of_its_slope(shape: tuple[int, ...]) -> None:
    w = torch.randn(math.prod(shape[1:]), generator=seed(), dtype=torch.float64)
    x, x_hat = (random_images(*shape, number=i).double() for i in range(2))
    norm, draw = np.linalg.norm(w), seed()
    assert r1_penalty(linear(w), x).item() == pytest.approx(norm**2)
    for factor in (1.0, 1 / norm):
        found = gradient_penalty(linear(factor * w), x, x_hat, generator=draw).item()
        assert found == pytest.approx((factor * norm - 1) ** 2, abs=1e-12)


def test_the_gradient_of_a_penalty_reaches_the_weights() -> None:
    w = torch.randn(6, generator=seed(), dtype=torch.float64, requires_grad=True)
    x, x_hat = (random_images(4, 6, number=i).double() for i in range(2))
    norm = w.detach().norm()
    (of_r1,) = torch.autograd.grad(r1_penalty(linear(w), x), w)
    torch.testing.assert_close(of_r1, 2 * w.detach())  # of ‖w‖²
    (between,) = torch.autograd.grad(gradient_penalty(linear(w), x, x_hat, generator=seed()), w)
    torch.testing.assert_close(between, 2 * (norm - 1) * w.detach() / norm)  # of (‖w‖ - 1)²


def test_r1_on_a_quadratic_score_has_a_known_value() -> None:
    matrix = torch.tensor([[2.0, 1.0], [1.0, -3.0]])
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])  # slopes M x: (2, 1) and (2, -6)
    penalty = r1_penalty(lambda x: 0.5 * ((x @ matrix) * x).sum(dim=1), x)
    assert penalty.item() == pytest.approx((5 + 40) / 2)


@pytest.mark.parametrize("y", [None, torch.tensor([0, 1, 2, 1, 0])], ids=["without classes", "with classes"])
def test_r1_is_what_torch_func_finds_image_by_image(y: Tensor | None) -> None:
    judge = Discriminator(num_classes=None if y is None else 3, width=4, size=8).double()
    x = random_images(5, 1, 8, 8).double()

    def score(image: Tensor, label: Tensor | None) -> Tensor:
        h = judge.body(image[None])
        return (judge.head(h) if label is None else judge.head(h) + judge.embed.weight[label] @ h[0]).sum()

    each = [torch.func.grad(score)(x[i], None if y is None else y[i]) for i in range(5)]
    expected = np.mean([gradient.square().sum().item() for gradient in each])
    assert r1_penalty(judge, x, y).item() == pytest.approx(expected)
    assert not x.requires_grad
    r1_penalty(judge, x, y).backward()
    assert judge.body[0].weight.grad.abs().max() > 0
    assert judge.head.weight.grad.abs().max() > 0


def test_the_points_of_the_gradient_penalty_lie_evenly_between_the_pairs() -> None:
    seen: list[Tensor] = []

    def judge(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(dim=1)

    real, fake = (random_images(4000, 1, 2, 2, number=i).double() for i in range(2))
    gradient_penalty(judge, real, fake, generator=seed())
    (x,) = seen
    share = ((x - fake) / (real - fake)).flatten(1)
    spread = share.amax(dim=1) - share.amin(dim=1)
    assert spread.max() < 1e-6  # one place for the whole image
    assert share.min() > -1e-6
    assert share.max() < 1 + 1e-6
    assert stats.kstest(share[:, 0].numpy(), "uniform").pvalue > 1e-3


def test_the_gradient_penalty_follows_its_generator_and_passes_labels_on() -> None:
    judge = Discriminator(num_classes=3, width=4, size=8)
    real, fake, y = random_images(6, 1, 8, 8), random_images(6, 1, 8, 8, number=1), torch.arange(6) % 3
    state = torch.get_rng_state()
    values = [gradient_penalty(judge, real, fake, y, generator=seed(number)).item() for number in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    assert gradient_penalty(judge, real, fake, 2 - y, generator=seed(1)).item() != values[0]
    assert torch.equal(torch.get_rng_state(), state)


def test_where_a_score_is_constant_the_penalties_have_a_finite_gradient() -> None:
    w = torch.zeros(4, requires_grad=True)
    x, x_hat = random_images(3, 4), random_images(3, 4, number=1)
    penalty = gradient_penalty(linear(w), x, x_hat, generator=seed()) + r1_penalty(linear(w), x)
    assert penalty.item() == pytest.approx(1)  # (0 - 1)² + 0
    assert torch.autograd.grad(penalty, w)[0].isfinite().all()


@pytest.mark.parametrize("shape", [(3, 1, 4, 8), (2, 1, 4, 4), (1, 1, 4, 4)], ids=str)
def test_the_gradient_penalty_refuses_images_of_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"fake {shape}")):
        gradient_penalty(linear(torch.ones(16)), torch.zeros(3, 1, 4, 4), torch.zeros(shape))


# ---------------------------------------------------------------------------------------------- the networks


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (1, 4)])
@pytest.mark.parametrize("classes", [None, 10])
def test_a_generator_makes_images_of_the_size_told(
    channels: int, size: int, classes: int | None, device: torch.device
) -> None:
    net = Generator(8, num_classes=classes, out_channels=channels, size=size, width=8).to(device)
    z = torch.randn(5, 8, generator=seed()).to(device)
    y = None if classes is None else torch.arange(5, device=device)
    x = net(z, y)
    assert x.shape == (5, channels, size, size)
    assert (x.dtype, x.device) == (torch.float32, z.device)
    assert x.abs().max() < 1
    sample = net.sample(3, generator=seed(0, device))
    assert sample.shape == (3, channels, size, size)
    assert sample.device == z.device


def test_a_generator_stays_within_the_range_of_images_and_uses_all_of_it() -> None:
    x = Generator(8, width=8)(torch.randn(64, 8, generator=seed()) * 1000)
    assert x.abs().max() <= 1
    with torch.no_grad():
        net = Generator(8, width=8)
        net.body[-2].weight.mul_(100)
        x = net(torch.randn(64, 8, generator=seed()))
    assert x.abs().max() <= 1
    assert x.min() < -0.9 < 0.9 < x.max()


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (1, 4)])
@pytest.mark.parametrize("classes", [None, 10])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("spectral", [False, True])
def test_a_discriminator_gives_one_score_an_image(
    channels: int, size: int, classes: int | None, condition: str, spectral: bool, device: torch.device
) -> None:
    net = Discriminator(
        num_classes=classes, condition=condition, spectral=spectral, width=8, in_channels=channels, size=size
    ).to(device)
    x = random_images(5, channels, size, size).to(device)
    s = net(x) if classes is None else net(x, torch.arange(5, device=device))
    assert s.shape == (5,)
    assert (s.dtype, s.device) == (torch.float32, x.device)
    assert len(s.unique()) == 5


def test_noise_and_class_both_change_what_is_generated() -> None:
    net = Generator(8, num_classes=10, width=8).eval()
    z = torch.randn(1, 8, generator=seed())
    with torch.no_grad():
        by_class = net(z.expand(10, -1), torch.arange(10))
        by_noise = net(torch.randn(10, 8, generator=seed()), torch.zeros(10, dtype=torch.int64))
    for x in (by_class, by_noise):
        apart = torch.pdist(x.flatten(1))
        assert apart.min() > 0.01


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("spectral", [False, True])
def test_the_class_changes_the_score(condition: str, spectral: bool) -> None:
    net = Discriminator(num_classes=10, condition=condition, spectral=spectral, width=8).eval()
    x = random_images(1, 1, 28, 28).expand(10, -1, -1, -1)
    with torch.no_grad():
        assert len(net(x, torch.arange(10)).unique()) == 10


@pytest.mark.parametrize("condition", CONDITIONS)
def test_without_what_it_learned_of_classes_a_discriminator_is_an_unconditional_one(condition: str) -> None:
    net = Discriminator(num_classes=10, condition=condition, width=8)
    x, y = random_images(10, 1, 28, 28), torch.arange(10)
    nn.init.zeros_(net.embed.weight)
    plain = Discriminator(width=8)
    state = {key: value for key, value in net.state_dict().items() if not key.startswith("embed")}
    state["body.0.weight"] = state["body.0.weight"][:, :1]
    plain.load_state_dict(state)
    torch.testing.assert_close(net(x, y), plain(x))


def test_a_projection_adds_a_product_with_the_class_to_the_score() -> None:
    net = Discriminator(num_classes=4, width=8)
    x, y = random_images(4, 1, 28, 28), torch.arange(4)
    (by_class,) = torch.autograd.grad(net(x, y).sum(), net.embed.weight)
    with torch.no_grad():
        once = net(x, y)
        net.embed.weight.mul_(3)
        thrice = net(x, y)
        net.embed.weight.zero_()
        never = net(x, y)
    torch.testing.assert_close(thrice - never, 3 * (once - never))  # linear in v_y
    x_other = random_images(4, 1, 28, 28, number=1)
    (other,) = torch.autograd.grad(net(x_other, y).sum(), net.embed.weight)
    assert (by_class - other).abs().max() > 1e-4  # and its factor is a feature of the image


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_class_learns_from_its_own_images_alone(condition: str) -> None:
    net = Discriminator(num_classes=5, condition=condition, width=8)
    net(random_images(3, 1, 28, 28), torch.tensor([1, 3, 3])).sum().backward()
    assert (net.embed.weight.grad.abs().sum(dim=1) > 0).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("classes", [None, 10])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("spectral", [False, True])
def test_every_weight_of_both_learns(
    classes: int | None, condition: str, spectral: bool, device: torch.device
) -> None:
    generator = Generator(8, num_classes=classes, width=8)
    judge = Discriminator(num_classes=classes, condition=condition, spectral=spectral, width=8)
    gan = GAN(generator, judge, r1=1.0, penalty=1.0, mismatched=classes is not None).to(device)
    x, y = random_images(20, 1, 28, 28).to(device), torch.arange(20, device=device) % 10
    gan.discriminator_loss(x, y, generator=seed(0, device)).backward()
    assert all(weight.grad is None for weight in generator.parameters())
    for name, weight in judge.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name
    gan.generator_loss(x, y, generator=seed(0, device)).backward()
    for name, weight in generator.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name


@pytest.mark.parametrize("classes", [None, 6])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_spectral_normalisation_brings_every_largest_singular_value_to_1(
    classes: int | None, condition: str
) -> None:
    net = Discriminator(num_classes=classes, condition=condition, spectral=True, width=6, size=8)
    layers = [net.body[0], net.body[2], net.body[5], net.head] + ([] if classes is None else [net.embed])
    with torch.no_grad():
        for layer in layers:
            layer.parametrizations.weight.original.mul_(7)  # else some begin near 1
        x, y = random_images(2, 1, 8, 8), None if classes is None else torch.tensor([0, 1])
        for _ in range(300):
            net(x, y)
        net.eval()
        for layer in layers:
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
            assert norm == pytest.approx(1, abs=0.01), layer
            assert torch.linalg.matrix_norm(layer.parametrizations.weight.original.flatten(1), 2) > 1.5
    assert sum(isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding) for m in net.modules()) == len(layers)


def test_spectral_normalisation_rests_in_eval_mode() -> None:
    net = Discriminator(spectral=True, width=6, size=8)
    x = random_images(2, 1, 8, 8)
    net.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert torch.equal(net(x), net(x))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    net.train()(x)
    assert not all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize(
    "build",
    [lambda: Generator(4, width=8, out_channels=3), lambda: Discriminator(width=8, in_channels=3),
     lambda: Discriminator(width=8, in_channels=3, spectral=True)],
    ids=["generator", "discriminator", "spectral"],
)  # fmt: skip
def test_convolutions_of_both_run_in_channels_last(build: Callable[[], nn.Module]) -> None:
    net = build()
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 2
    laid_out = []
    for convolution in convolutions:
        assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
        convolution.register_forward_hook(
            lambda module, args, made: laid_out.append(made.is_contiguous(memory_format=torch.channels_last))
        )
    net(random_images(2, 4) if isinstance(net, Generator) else random_images(2, 3, 28, 28))
    assert laid_out == [True] * 2


def test_the_generator_of_digits_takes_at_most_5_mb() -> None:
    state = {key: value.contiguous() for key, value in Generator(num_classes=10).state_dict().items()}
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}
    assert len(safetensors.torch.save(state)) <= 5e6


def test_a_generator_s_image_does_not_depend_on_its_batch_once_trained() -> None:
    net = Generator(4, num_classes=3, width=8).eval()
    z, y = torch.randn(4, 4, generator=seed()), torch.tensor([0, 1, 2, 0])
    with torch.inference_mode():
        whole = net(z, y)
        for i in range(4):
            np.testing.assert_allclose(net(z[i : i + 1], y[i : i + 1])[0], whole[i], atol=1e-5)


def test_the_weights_of_a_generator_give_the_same_images_in_a_fresh_one() -> None:
    net = Generator(4, num_classes=3, width=8)
    for number in range(3):  # so that its batch normalisation has seen something
        net(3 + 2 * torch.randn(20, 4, generator=seed(number)), torch.arange(20) % 3)
    other = Generator(4, num_classes=3, width=8).eval()
    y = torch.tensor([2, 0, 1])
    before = other.sample(3, y, generator=seed())
    other.load_state_dict(net.state_dict())
    after = other.sample(3, y, generator=seed())
    assert torch.equal(after, net.eval().sample(3, y, generator=seed()))
    assert not torch.equal(after, before)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_weights_of_a_spectral_discriminator_give_the_same_scores_in_a_fresh_one(condition: str) -> None:
    net, other = (Discriminator(num_classes=3, condition=condition, spectral=True, width=8) for _ in range(2))
    x, y = random_images(3, 1, 28, 28), torch.arange(3)
    net(x, y)
    assert not torch.equal(other.eval()(x, y), net.eval()(x, y))
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x, y), net(x, y))


@pytest.mark.parametrize("network", [Generator, Discriminator])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 30}, "size=30 .*divisible by 4"),
        ({"size": 2}, "size=2 "),
        ({"size": 0}, "size=0 "),
        ({"size": -4}, "size=-4 "),
        ({"num_classes": 1}, "num_classes=1 .*at least 2"),
        ({"num_classes": 0}, "num_classes=0 .*None"),
        ({"width": 0}, "width=0 "),
    ],
)
def test_impossible_networks_are_refused(
    network: type[nn.Module], arguments: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)


def test_images_of_no_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="out_channels=0 "):
        Generator(out_channels=0)
    with pytest.raises(ValueError, match="in_channels=0 "):
        Discriminator(in_channels=0)


@pytest.mark.parametrize("latent_dim", [0, -1])
def test_noise_of_no_values_is_refused(latent_dim: int) -> None:
    with pytest.raises(ValueError, match=f"latent_dim={latent_dim} "):
        Generator(latent_dim)


def test_an_unknown_condition_is_named_and_the_known_ones_listed() -> None:
    with pytest.raises(ValueError, match=r"condition='concat'.*projection, embedding"):
        Discriminator(num_classes=10, condition="concat")


@pytest.mark.parametrize("shape", [(3, 5), (3, 3), (4,), (3, 4, 1, 1), ()], ids=str)
def test_a_generator_refuses_other_noise(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, 4), N ≥ 1, not {shape}")):
        Generator(4, width=2, size=8)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (3, 1, 8, 12), (1, 8, 8), (3, 64)], ids=str)
def test_a_discriminator_refuses_other_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, 1, 8, 8), N ≥ 1, not {shape}")):
        Discriminator(width=2, size=8)(torch.zeros(shape))
    with pytest.raises(ValueError, match="to_float"):
        Discriminator(width=2, size=8)(torch.zeros(3, 1, 8, 8, dtype=torch.uint8))


NETWORKS = {
    "generator": lambda classes, y: Generator(4, num_classes=classes, width=2, size=8)(torch.zeros(3, 4), y),
    **{
        condition: lambda classes, y, condition=condition: Discriminator(
            num_classes=classes, condition=condition, width=2, size=8
        )(torch.zeros(3, 1, 8, 8), y)
        for condition in CONDITIONS
    },
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(
    ("classes", "y", "message"),
    [
        (10, None, "y is missing.*0 … 9"),
        (None, torch.zeros(3, dtype=torch.int64), "y was given"),
        (10, torch.zeros(3), r"int64 \(3,\), not torch.float32"),
        (10, torch.zeros(3, dtype=torch.int32), "not torch.int32"),
        (10, torch.zeros(3, dtype=torch.bool), "not torch.bool"),
        (10, torch.zeros(2, dtype=torch.int64), r"\(3,\), not torch.int64 \(2,\)"),
        (10, torch.zeros(3, 1, dtype=torch.int64), r"not torch.int64 \(3, 1\)"),
        (10, torch.tensor([0, 10, 1]), "0 … 10; allowed: 0 … 9"),
        (10, torch.tensor([0, -1, 1]), "-1 … 1; allowed: 0 … 9"),
    ],
)
def test_impossible_classes_are_refused(
    network: Callable[[int | None, Tensor | None], Tensor],
    classes: int | None,
    y: Tensor | None,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        network(classes, y)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_first_and_last_class_are_taken(network: Callable[[int | None, Tensor | None], Tensor]) -> None:
    assert len(network(10, torch.tensor([0, 9, 4]))) == 3


# ---------------------------------------------------------------------------------------- noise and samples


@pytest.mark.parametrize("truncation", [0.05, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_truncated_noise_has_scipy_s_truncated_normal_distribution(
    truncation: float, dtype: torch.dtype
) -> None:
    z = draw_noise(10_000, 4, torch.zeros((), dtype=dtype), truncation=truncation, generator=seed())
    assert z.shape == (10_000, 4)
    assert z.dtype == dtype
    assert z.abs().max() <= truncation
    expected = stats.truncnorm(-truncation, truncation)
    assert stats.kstest(z.double().flatten().numpy(), expected.cdf).pvalue > 1e-3
    product = (z[:, 0] * z[:, 1]).double()
    assert abs(product.mean()) < 4.5 * product.std() / 100  # the values of one draw are independent


@pytest.mark.parametrize("truncation", [math.inf, 12.0, 60.0])
def test_noise_that_is_not_truncated_is_standard_normal(truncation: float) -> None:
    z = draw_noise(10_000, 4, torch.zeros(()), truncation=truncation, generator=seed())
    assert z.isfinite().all()
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-3
    assert z.abs().max() > 3.5


@pytest.mark.parametrize("truncation", [1e-6, 0.1, 0.7, 3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_truncated_noise_never_leaves_its_bounds(truncation: float, dtype: torch.dtype) -> None:
    z = draw_noise(100_000, 3, torch.zeros((), dtype=dtype), truncation=truncation, generator=seed())
    assert z.abs().max() <= torch.tensor(truncation, dtype=dtype)
    assert z.min() < -0.9 * truncation
    assert z.max() > 0.9 * truncation


@pytest.mark.parametrize("truncation", [math.inf, 1.0])
def test_noise_follows_its_generator(truncation: float) -> None:
    like, state = torch.zeros(()), torch.get_rng_state()
    first, again, other = (
        draw_noise(5, 4, like, truncation=truncation, generator=seed(number)) for number in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("truncation", [0.0, -1.0, -math.inf, math.nan])
def test_noise_without_room_is_refused(truncation: float) -> None:
    with pytest.raises(ValueError, match=f"truncation={truncation} "):
        draw_noise(2, 2, torch.zeros(()), truncation=truncation)
    with pytest.raises(ValueError, match=f"truncation={truncation} "):
        Generator(2, width=2, size=8).sample(2, truncation=truncation)


@pytest.fixture
def watched() -> Iterator[tuple[Generator, list[tuple[Tensor, Tensor]]]]:
    """A generator, and the noise and classes that it is called with."""
    net, seen = Generator(4, num_classes=5, width=2, size=4).eval(), []
    net.register_forward_pre_hook(lambda module, args: seen.append(args))
    with torch.no_grad():
        yield net, seen


def test_a_sample_without_classes_draws_them_all_evenly(
    watched: tuple[Generator, list[tuple[Tensor, Tensor]]],
) -> None:
    net, seen = watched
    net.sample(5000, generator=seed())
    ((z, y),) = seen
    assert stats.chisquare(y.bincount(minlength=5).numpy()).pvalue > 1e-3
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-3


def test_a_sample_honours_classes_and_truncation(
    watched: tuple[Generator, list[tuple[Tensor, Tensor]]],
) -> None:
    net, seen = watched
    y = torch.arange(500) % 3
    x = net.sample(500, y, truncation=0.3, generator=seed())
    ((z, given),) = seen
    assert torch.equal(given, y)
    assert 0.29 < z.abs().max() <= 0.3
    torch.testing.assert_close(x, net(z, y))
    net.sample(500, truncation=0.3, generator=seed())
    assert seen[-1][0].abs().max() <= 0.3


@pytest.mark.parametrize("classes", [None, 5])
@pytest.mark.parametrize("truncation", [math.inf, 0.5])
def test_samples_follow_their_generator(classes: int | None, truncation: float) -> None:
    net = Generator(4, num_classes=classes, width=2, size=8).eval()
    state = torch.get_rng_state()
    first, again, other = (
        net.sample(6, truncation=truncation, generator=seed(number)) for number in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sample_of_classes_that_are_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="y was given"):
        Generator(4, width=2, size=8).sample(2, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\(3,\), not torch.int64 \(2,\)"):
        Generator(4, num_classes=5, width=2, size=8).sample(3, torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_other_classes_are_all_the_others_evenly(classes: int) -> None:
    y = torch.arange(classes).repeat_interleave(2000)
    other = other_classes(y, classes, seed())
    assert other.shape == y.shape
    assert other.dtype == torch.int64
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (y.numpy(), other.numpy()), 1)
    assert (np.diag(counts) == 0).all()
    assert counts.sum() == 2000 * classes  # all within 0 … classes - 1
    if classes > 2:
        for own in range(classes):
            assert stats.chisquare(np.delete(counts[own], own)).pvalue > 1e-4
        assert not torch.equal(other, other_classes(y, classes, seed(1)))


# ------------------------------------------------------------------------------------------------ the players


class Watched(nn.Module):
    """A network that notes what it is called with and what it gives."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.calls: list[tuple[Tensor, ...]] = []
        self.made: list[Tensor] = []
        self.latent_dim = getattr(net, "latent_dim", None)
        self.num_classes = getattr(net, "num_classes", None)

    def forward(self, *args: Tensor) -> Tensor:
        self.calls.append(args)
        self.made.append(self.net(*args))
        return self.made[-1]


def small_gan(classes: int | None = None, *, spectral: bool = False, **arguments: object) -> GAN:
    with seeded(0):
        generator = Generator(4, num_classes=classes, width=4, size=8)
        judge = Discriminator(num_classes=classes, width=4, size=8, spectral=spectral)
    return GAN(Watched(generator), Watched(judge), **arguments)


def test_the_discriminator_sees_real_generated_and_wrong_pairs() -> None:
    gan = small_gan(5, mismatched=True)
    x, y = random_images(20, 1, 8, 8), torch.arange(20) % 5
    gan.discriminator_loss(x, y, generator=seed())
    ((z, asked),) = gan.generator.calls
    ((images, labels),) = gan.discriminator.calls
    assert z.shape == (20, 4)
    assert torch.equal(asked, y)
    assert torch.equal(images, torch.cat([x, gan.generator.made[0], x]))
    own, generated, wrong = labels.split(20)
    assert torch.equal(own, y)
    assert torch.equal(generated, y)
    assert (wrong != y).all()


def test_without_classes_both_networks_are_called_without_labels() -> None:
    gan = small_gan()
    x, y = random_images(20, 1, 8, 8), torch.arange(20) % 5
    gan.discriminator_loss(x, y, generator=seed())
    gan.generator_loss(x, y, generator=seed())
    gan.discriminator_loss(x, generator=seed())
    assert [len(call) for call in gan.generator.calls + gan.discriminator.calls] == [1] * 6


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("mismatched", [False, True])
def test_the_players_lower_the_losses_of_their_kind(kind: str, mismatched: bool) -> None:
    gan = small_gan(5, kind=kind, mismatched=mismatched)
    x, y = random_images(20, 1, 8, 8), torch.arange(20) % 5
    loss = gan.discriminator_loss(x, y, generator=seed())
    parts = gan.discriminator.made[0].split(20)
    assert len(parts) == 2 + mismatched
    torch.testing.assert_close(loss, discriminator_loss(*parts, kind=kind))
    loss = gan.generator_loss(x, y, generator=seed())
    torch.testing.assert_close(loss, generator_loss(gan.discriminator.made[1], kind=kind))
    assert torch.equal(gan.discriminator.calls[1][0], gan.generator.made[1])
    assert torch.equal(gan.discriminator.calls[1][1], y)


@pytest.mark.parametrize("name", ["discriminator_loss", "generator_loss"])
def test_the_losses_follow_their_generator(name: str) -> None:
    gan = small_gan(5, mismatched=True, penalty=1.0, r1=1.0).eval()
    x, y = random_images(20, 1, 8, 8), torch.arange(20) % 5
    state = torch.get_rng_state()
    first, again, other = (getattr(gan, name)(x, y, generator=seed(number)) for number in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)


class Bowl(nn.Module):
    """The score ½ ‖x‖², whose slope is x itself."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x.square().sum(dim=1)


@pytest.mark.parametrize(("n", "quarter"), [(1, 1), (3, 1), (8, 2), (11, 2)])
def test_r1_is_half_its_weight_on_the_first_quarter_of_the_real_images(n: int, quarter: int) -> None:
    x = 1 + torch.arange(n)[:, None].float()
    values = {r1: GAN(Affine(0.0, 1.0), Bowl(), r1=r1).discriminator_loss(x, generator=seed()).item()
              for r1 in (0.0, 3.0)}  # fmt: skip
    assert values[3.0] - values[0.0] == pytest.approx(1.5 * np.mean(np.arange(1, quarter + 1) ** 2), rel=1e-4)


# A score w x between data at d and images at 0: γ/2 w² - w d is least at w = d / γ.
@pytest.mark.parametrize(("distance", "weight"), [(1.0, 2.0), (1.0, 0.5)])
def test_wasserstein_with_r1_finds_the_slope_that_r1_allows(distance: float, weight: float) -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0))
    gan = GAN(Affine(0.0, 0.0), net, kind="wasserstein", r1=weight)
    lower(gan, [(torch.full((8, 1), distance),)] * 400, lr=0.05)
    assert net[0].weight.item() == pytest.approx(distance / weight, abs=0.02)


def test_r1_takes_the_labels_of_its_quarter() -> None:
    gan = small_gan(5, r1=1.0)
    x, y = random_images(20, 1, 8, 8), torch.arange(20) % 5
    gan.discriminator_loss(x, y, generator=seed())
    _, (images, labels) = gan.discriminator.calls
    assert torch.equal(images, x[:5])
    assert torch.equal(labels, y[:5])


def test_the_gradient_penalty_is_weighed_and_lies_between_real_and_generated() -> None:
    gan = small_gan(5, penalty=2.5).eval()
    x, y = random_images(20, 1, 8, 8), torch.arange(20) % 5
    loss = gan.discriminator_loss(x, y, generator=seed())
    _, (images, labels) = gan.discriminator.calls
    assert torch.equal(labels, y)
    x_hat = gan.generator.made[0]
    inside = (images >= torch.minimum(x, x_hat) - 1e-6) & (images <= torch.maximum(x, x_hat) + 1e-6)
    assert inside.all()
    gan.penalty = 0.0
    plain = gan.discriminator_loss(x, y, generator=seed())
    judge = gan.discriminator.net

    def score(image: Tensor, of_class: Tensor) -> Tensor:
        return (judge.body(image[None]) * (judge.head.weight + of_class)).sum()

    slopes = torch.func.vmap(torch.func.grad(score))(images, judge.embed.weight[y])
    expected = (slopes.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(loss - plain, 2.5 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["r1", "penalty"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_impossible_weights_of_penalties_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value} "):
        small_gan(**{name: value})


def test_wrong_pairs_need_classes() -> None:
    with pytest.raises(ValueError, match="mismatched=True"):
        small_gan(mismatched=True)


# ----------------------------------------------------------------------------------------------- the game


def players(gan: GAN, lr: float = 2e-3, ema: bool = False) -> list[Objective]:
    """Discriminator first, then the generator."""
    return [
        Objective(
            module,
            loss,
            torch.optim.Adam(module.parameters(), lr=lr, betas=(0.5, 0.999)),
            name=name,
            schedule=warmup_cosine,
            ema=exponential_average(module, 0.9) if ema and name == "generator" else None,
        )
        for module, loss, name in (
            (gan.discriminator, gan.discriminator_loss, "discriminator"),
            (gan.generator, gan.generator_loss, "generator"),
        )
    ]


def play(objectives: list[Objective], data: list[tuple[Tensor, ...]], **settings: object) -> list[Record]:
    return list(fit(objectives, data, progress=False, device="cpu", **settings))


def pairs(steps: int) -> list[tuple[Tensor, Tensor]]:
    return [(random_images(8, 1, 8, 8, number=step), (torch.arange(8) + step) % 3) for step in range(steps)]


def test_the_discriminator_s_loss_leaves_no_gradient_in_the_generator() -> None:
    gan = small_gan(3, r1=1.0, penalty=1.0, mismatched=True)
    loss = gan.discriminator_loss(*pairs(1)[0], generator=seed())
    loss.backward()
    assert all(weight.grad is None for weight in gan.generator.parameters())
    assert all(weight.grad is not None for weight in gan.discriminator.parameters())


def test_in_fit_the_generator_s_turn_leaves_the_discriminator_alone() -> None:
    gan = small_gan(3)
    both = players(gan)
    found: list[Tensor] = []
    plain = both[1].loss

    def loss(*batch: Tensor, generator: torch.Generator) -> Tensor:
        for weight in gan.discriminator.parameters():
            weight.grad = torch.full_like(weight, 7.0)  # another gradient would be added to it
            found.append(weight.detach().clone())
        return plain(*batch, generator=generator)

    both[1].loss = loss
    play(both, pairs(1))
    for weight, before in zip(gan.discriminator.parameters(), found, strict=True):
        assert (weight.grad == 7).all()
        assert torch.equal(weight, before)
    assert all(weight.grad.abs().max() > 0 for weight in gan.generator.parameters())


def test_a_step_of_the_game_moves_every_weight_of_both() -> None:
    gan = small_gan(3, mismatched=True)
    before = {name: value.detach().clone() for name, value in gan.named_parameters()}
    objectives = players(gan)
    for objective in objectives:
        objective.schedule = lambda done: 1.0
    records = play(objectives, pairs(1))
    assert set(records[0].losses) == {"discriminator", "generator"}
    for name, value in gan.named_parameters():
        assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    "arguments",
    [{}, {"spectral": True}, {"r1": 2.0}, {"spectral": True, "r1": 2.0, "mismatched": True, "kind": "hinge"},
     {"penalty": 10.0, "kind": "wasserstein"}],
    ids=str,
)  # fmt: skip
def test_a_game_that_was_left_goes_on_to_the_same_bits(arguments: dict[str, object], tmp_path: Path) -> None:
    def state(objectives: list[Objective]) -> dict[str, Tensor]:
        found = {}
        for objective in objectives:
            modules = {"module": objective.module} | ({"ema": objective.ema} if objective.ema else {})
            for part, module in modules.items():
                found |= {f"{objective.name}.{part}.{k}": v.clone() for k, v in module.state_dict().items()}
        return found

    whole = players(small_gan(3, **arguments), ema=True)
    records = play(whole, pairs(6), checkpoint=tmp_path / "whole", save_every=100)
    left = players(small_gan(3, **arguments), ema=True)
    for record in fit(left, pairs(6), progress=False, device="cpu", checkpoint=tmp_path / "left"):
        if record.step == 3:
            break
    gan = small_gan(3, **arguments)
    for weight in gan.parameters():
        nn.init.zeros_(weight)  # what is not read from the checkpoint will be missing
    again = players(gan, ema=True)
    resumed = play(again, pairs(6), checkpoint=tmp_path / "left")
    assert [(r.step, r.losses) for r in resumed] == [(r.step, r.losses) for r in records[3:]]
    expected, half, found = state(whole), state(left), state(again)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(value, found[key]), key
    moved = {key.split(".net.")[0] for key, value in expected.items() if not torch.equal(value, half[key])}
    assert moved > {"discriminator.module", "generator.module", "generator.ema.module"}


class Point(nn.Module):
    """A generator that knows one image, θ, and ignores the noise."""

    latent_dim, num_classes = 1, None

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), 1)


# Mescheder et al., 2018, sections 2 and 4: steps in turn circle around the solution (with the non-saturating loss,
# closing in more and more slowly); with R1 they reach it.
@pytest.mark.parametrize("kind", LOGISTIC)
@pytest.mark.parametrize(("r1", "reaches"), [(0.0, False), (1.0, True)])
def test_the_dirac_gan_circles_and_with_r1_reaches_its_solution(kind: str, r1: float, reaches: bool) -> None:
    line = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(line.weight)
    gan = GAN(Point(), nn.Sequential(line, nn.Flatten(0)), kind=kind, r1=r1)
    objectives = [
        Objective(module, loss, torch.optim.SGD(module.parameters(), lr=0.2), name=name)
        for module, loss, name in (
            (gan.discriminator, gan.discriminator_loss, "d"), (gan.generator, gan.generator_loss, "g")
        )
    ]  # fmt: skip
    radius, signs = [], set()
    for _ in descend(objectives, [(torch.zeros(4, 1),)] * 300):
        theta, psi = gan.generator.theta.item(), line.weight.item()
        radius.append(math.hypot(theta, psi))
        signs.add((theta > 0, psi > 0))
    assert (radius[-1] < 0.01) == reaches
    if not reaches:
        assert radius[-1] > 0.2
        assert len(signs) == 4


# Without wasserstein, whose critic would need several steps for each of the generator's.
@pytest.mark.parametrize("kind", LOSSES[:4])
def test_a_generator_of_the_right_form_finds_mean_and_spread_of_the_data(kind: str) -> None:
    gan, generator = GAN(Affine(0.0, 1.0), line_net(), kind=kind, r1=0.3), seed(5)
    data = [(1 + 0.5 * torch.randn(128, 1, generator=generator),) for _ in range(300)]
    list(descend(players(gan, lr=2e-2), data))
    assert gan.generator.mean.item() == pytest.approx(1, abs=0.1)
    assert gan.generator.std.item() == pytest.approx(0.5, abs=0.1)


def test_networks_with_classes_run_on_meta() -> None:
    with torch.device("meta"):
        y = torch.zeros(2, dtype=torch.int64)
        x = Generator(4, num_classes=3)(torch.zeros(2, 4), y)
        assert x.shape == (2, 1, 28, 28)
        assert Discriminator(num_classes=3)(x, y).shape == (2,)


def test_losses_under_autocast_keep_the_digits_of_float32() -> None:
    game = GAN(Generator(4, width=8), Discriminator(width=8), kind="least-squares")
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16):
        loss = game.discriminator_loss(x, generator=torch.Generator().manual_seed(1))
    assert loss.dtype == torch.float32
