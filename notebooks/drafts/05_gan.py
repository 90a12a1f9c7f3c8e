# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/05_gan.ipynb)
#
# # 05 · Generative adversarial network
#
# 생성적 적대 신경망
#
# The decoders of the last two notebooks learned to draw by comparing each of their images with a given one, pixel by
# pixel, and their images came out soft. A **generative adversarial network** (GAN, 생성적 적대 신경망) has no image to
# compare with. It has a critic: a second network that looks at an image and says whether it is real or made. The first
# learns to deceive the second, the second learns not to be deceived, and both grow better by it.
#
# After this notebook you can
#
# 1. write both networks, their two losses and the two updates in turn, from scratch;
# 2. say what the best possible discriminator answers and what the game then measures, and check it where the answer is
#    known;
# 3. watch two distributions move towards each other, and put a number on it;
# 4. provoke mode collapse, count it, and mend it in two ways;
# 5. train a GAN on digits and judge it: quality, sharpness, copies, and how to trade diversity for fidelity;
# 6. say what a GAN cannot tell you.
#
# Marks such as (N1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the
# notebook if what the text claims does not hold. It runs on a laptop without a GPU in about two minutes and needs
# no network. You need to know what a gradient step is, and precision and recall from notebook 02.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from course_utils.data import toy_points
from course_utils.nets import seeded

# %% [markdown]
# ## 1 · Two players (N1)
#
# We begin in the plane, where we can see everything. The data are points $x = (x_1, x_2)$ on two half moons.

# %%
draw = torch.Generator().manual_seed(0)
real, _ = toy_points("moons", 2000, generator=draw)
fig, ax = plt.subplots(figsize=(3.6, 2.8), layout="constrained")
ax.scatter(*real.T, s=2, color="0.3")
ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), aspect="equal", title="the data")
plt.show()

# %% [markdown]
# There are two players, each a small network.
#
# - $G$, the **generator** (생성자), turns noise into a point: $\hat{x} = G(z)$. The noise $z$ is drawn from a standard normal, here
#   of two numbers: $z \sim N(0, I)$.
# - $D$, the **discriminator** (판별자), looks at a point and says how likely it is real: $D(x)$ lies between 0 (made) and 1 (real). Its
#   network computes any number, the **score** (점수) $s(x)$, and $D(x) = \sigma(s(x))$ with the sigmoid $\sigma(s) = 1 / (1 + e^{-s})$.


# %%
def layers(inputs: int, outputs: int, width: int = 64) -> list[nn.Module]:
    hidden = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return [*hidden, nn.Linear(width, outputs)]


class PointGenerator(nn.Sequential):
    latent_dim, classes = 2, None  # two numbers of noise; no classes (notebook 06 has some)


def two_players(seed: int) -> tuple[nn.Module, nn.Module]:
    with seeded(seed):
        generator = PointGenerator(*layers(2, 2))  # noise (N, 2) → points (N, 2)
        discriminator = nn.Sequential(*layers(2, 1), nn.Flatten(0))  # points (N, 2) → scores (N,)
    return generator, discriminator


# %% [markdown]
# The discriminator is a classifier with two classes, so its loss is the cross-entropy. For $N$ real points $x_i$ and $N$ made
# ones it is
#
# $$L_D = -\frac{1}{N} \sum_i \log D(x_i) - \frac{1}{N} \sum_i \log\big(1 - D(G(z_i))\big).$$
#
# The generator wants its points to be taken for real:
#
# $$L_G = -\frac{1}{N} \sum_i \log D(G(z_i)).$$
#
# Look at $L_G$: no real point appears in it. All that the generator ever learns about the data reaches it through the
# discriminator's gradient. In code, with $1 - \sigma(s) = \sigma(-s)$:


# %%
def loss_of_discriminator(x: torch.Tensor, x_hat: torch.Tensor) -> torch.Tensor:
    log_real = nn.functional.logsigmoid(discriminator(x))  # log D(x)
    log_made = nn.functional.logsigmoid(-discriminator(x_hat))  # log(1 - D(x̂))
    return -log_real.mean() - log_made.mean()


def loss_of_generator(x_hat: torch.Tensor) -> torch.Tensor:
    return -nn.functional.logsigmoid(discriminator(x_hat)).mean()


generator, discriminator = two_players(seed=0)

# %% [markdown]
# The package has the same: `discriminator_loss` and `generator_loss` take scores, and `GAN` holds two players and computes
# what each of them lowers. Given the same noise it must give the same numbers as our lines.

# %% tags=["N1"]
from course_utils.gan import GAN, discriminator_loss, generator_loss

game = GAN(generator, discriminator)
z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
ours = loss_of_discriminator(real, generator(z)), loss_of_generator(generator(z))
of_real, of_made = discriminator(real), discriminator(generator(z))
assert torch.allclose(ours[0], discriminator_loss(of_real, of_made))
assert torch.allclose(ours[1], generator_loss(of_made))
for mine, its in zip(ours, (game.discriminator_loss, game.generator_loss), strict=True):
    assert torch.allclose(mine, its(real, generator=torch.Generator().manual_seed(1)))
print("Our two losses are the package's.")

# %% [markdown]
# Before we play, we need a number for how far two sets of points $x$ and $\hat{x}$ are apart. The **energy distance** (에너지 거리)
# compares the mean distance *between* the sets with the mean distances *within* them:
#
# $$E = 2\, \mathbb{E} \lVert x - \hat{x} \rVert - \mathbb{E} \lVert x - x' \rVert - \mathbb{E} \lVert \hat{x} - \hat{x}' \rVert,$$
#
# where $x'$ is another real point and $\hat{x}'$ another made one. It is 0 if and only if both come from the same distribution.


# %%
def energy_distance(x: torch.Tensor, x_hat: torch.Tensor) -> float:
    between, within = (
        torch.cdist(x, x_hat).mean(),
        torch.cdist(x, x).mean() + torch.cdist(x_hat, x_hat).mean(),
    )
    return (2 * between - within).item()


@torch.inference_mode()
def made() -> torch.Tensor:  # 2,000 points, always from the same noise
    return generator(torch.randn(2000, 2, generator=torch.Generator().manual_seed(2)))


# %% [markdown]
# Now the game: **each player is updated in turn**, while the other stands still. In the discriminator's turn `detach` cuts the path
# back to the generator; in the generator's turn only its own optimiser takes a step. (Momentum, the first of the two `betas`, is
# off. Section 4 shows what it would do.)

# %% tags=["N1"]
optimizers = [
    torch.optim.Adam(player.parameters(), lr=1e-3, betas=(0.0, 0.9)) for player in (discriminator, generator)
]
start = made()
for _ in range(400):
    x, _ = toy_points("moons", 256, generator=draw)
    x_hat = generator(torch.randn(256, 2, generator=draw))
    optimizers[0].zero_grad()
    loss_of_discriminator(x, x_hat.detach()).backward()
    optimizers[0].step()
    optimizers[1].zero_grad()
    loss_of_generator(generator(torch.randn(256, 2, generator=draw))).backward()
    optimizers[1].step()
assert energy_distance(real, made()) < 0.5 * energy_distance(real, start)
print("After 400 turns each, the distance to the data is less than half of what it was.")

# %% [markdown]
# `fit`, the package's loop, does the same. A GAN simply has two objectives in place of one, and `fit` takes them in turn.

# %%
from course_utils.train import Objective, fit


def objectives(game: GAN, lr: float = 1e-3, betas: tuple[float, float] = (0.0, 0.9)) -> list[Objective]:
    def objective(name: str, player: nn.Module, loss) -> Objective:
        return Objective(player, loss, torch.optim.Adam(player.parameters(), lr, betas), name)

    return [
        objective("discriminator", game.discriminator, game.discriminator_loss),
        objective("generator", game.generator, game.generator_loss),
    ]


# %% [markdown]
# ## 2 · Watch them play (N3)
#
# We start again from the same first weights and play 1,500 turns. At chosen moments we note the generator's points, the
# discriminator's answer on a grid, and both losses.

# %%
moments = [0, 10, 20, 30, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 600, 700, 850, 1000, 1250, 1500]
across, up = torch.linspace(-3, 3, 61), torch.linspace(-2.3, 2.3, 47)
grid = torch.cartesian_prod(across, up)


def look() -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return made(), discriminator(grid).sigmoid().view(61, 47).T


generator, discriminator = two_players(seed=0)
moons = [(toy_points("moons", 256, generator=draw)[0],) for _ in range(1500)]
film, losses = [look()], []
for record in fit(objectives(GAN(generator, discriminator)), moons, progress=False, device="cpu"):
    losses.append(list(record.losses.values()))
    if record.step in moments:
        film.append(look())

# %% [markdown]
# Do the two distributions move towards each other? The energy distance says so. Two samples of 2,000 real points mark the lowest value that
# can be expected of it.

# %% tags=["N3"]
distance = [energy_distance(real, points) for points, _ in film]
floor = energy_distance(real, toy_points("moons", 2000, generator=draw)[0])
assert min(distance[-3:]) < 0.1 * distance[0]
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
left.plot(moments, distance, "-o", ms=3)
left.axhline(floor, color="black", ls=":", lw=0.8)
left.set(yscale="log", xlabel="turn", ylabel="energy distance", title="real against made")
for name, values in zip(("discriminator", "generator"), zip(*losses, strict=True), strict=True):
    right.plot(values, lw=0.7, label=name)
(
    right.axhline(2 * math.log(2), color="C0", ls=":", lw=0.8),
    right.axhline(math.log(2), color="C1", ls=":", lw=0.8),
)
right.set(xlabel="turn", title="the losses"), right.legend(frameon=False)
plt.show()

# %% [markdown]
# Left: the distance falls to less than a tenth, not evenly but with setbacks. Right: the losses say nothing of the kind. They jump at
# first and then hover about the dotted lines, $2 \log 2$ and $\log 2$, which is what they are when the discriminator answers one half to
# everything. If you only saw the right picture, you could not tell whether training had gone well. Keep that in mind.
#
# ### Try it: the game, turn by turn (N3)
#
# Black are real points, orange are made ones. The colour of the ground is the discriminator's answer: blue where it says "real", red
# where it says "made". The arrows show where the generator's loss wants to move some of its points. Press play, then drag slowly
# through the first 200 turns.


# %%
from course_utils.explorers import Explorer, Panel, Readout, Slider
from course_utils.viz import rendered


def draw_turn(points: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    fig, ax = plt.subplots(figsize=(5.4, 4.0), layout="constrained")
    ax.contourf(across, up, field, levels=torch.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
    ax.scatter(*real[:400].T, s=3, color="black")
    ax.scatter(*points[:400].T, s=4, color="#e76300")
    slope_up, slope_right = torch.gradient(torch.logit(field, eps=1e-4))
    column = ((points[:40, 0] + 3) * 10).long().clamp(0, 60)
    row = ((points[:40, 1] + 2.3) * 10).long().clamp(0, 46)
    pull = (1 - field)[row, column] * torch.stack([slope_right, slope_up])[:, row, column]
    ax.quiver(*points[:40].T, *(pull / (pull.norm(dim=0) + 0.1)), angles="xy", scale=18, width=0.004)
    ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), xticks=[], yticks=[], aspect="equal")
    return rendered(fig, dpi=72)


# %%
by = ("turn",)
frames = torch.stack([draw_turn(*moment) for moment in film])
of_D = [math.log(4)] + [
    sum(value for value, _ in losses[max(0, m - 10) : m]) / min(10, m) for m in moments[1:]
]
Explorer(
    [Slider("turn", moments, play=True, interval=0.6)],
    [Panel("black: real; orange: made; ground: D(x), blue = real, red = made", frames, by)],
    [
        Readout("energy distance to the data ↓", distance, by),
        Readout("discriminator's loss, mean of ten turns", of_D, by),
    ],
    title="The game in the plane", colors=40,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# TODO
#
# </details>

# %% [markdown]
# ## 3 · What the game is about (N2)
#
# Both players pull at one number, the **value** (가치) of the game,
#
# $$V(D, G) = \mathbb{E}_{x \sim p} \big[\log D(x)\big] + \mathbb{E}_{x \sim q} \big[\log (1 - D(x))\big],$$
#
# where $p$ is the density of the data and $q$ that of the generator's images. The discriminator **maximises** it (that is what lowering
# $L_D = -V$ does), the generator **minimises** it:
#
# $$\min_G \max_D V(D, G).$$
#
# This **min-max game** (최소최대 게임) has a known answer. Hold the generator still. At one place $x$ the discriminator can choose $D(x)$
# freely, and $p \log D + q \log(1 - D)$ is largest where its derivative $p / D - q / (1 - D)$ is 0, that is at
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}.$$
#
# It is one half where both densities are equal. Put $D^*$ back into $V$ and sort the terms:
#
# $$V(D^*, G) = 2\, \mathrm{JSD}(p, q) - \log 4, \qquad \mathrm{JSD}(p, q) = \tfrac12 D_{\mathrm{KL}}(p \,\Vert\, m) + \tfrac12 D_{\mathrm{KL}}(q \,\Vert\, m), \quad m = \tfrac12 (p + q).$$
#
# The **Jensen-Shannon divergence** (젠슨-섀넌 발산) JSD says how far two densities are apart. It is 0 if and only if they are equal, and at
# most $\log 2$, when they do not overlap. ($D_{\mathrm{KL}}(p \,\Vert\, m) = \int p \log (p / m)$ is the Kullback-Leibler divergence.) So a
# generator that minimises $V$ against the best discriminator moves $q$ to $p$, and at the end $V = -\log 4$.
#
# ### Check it where the answer is known (N2)
#
# Let $x$ be one number, $p$ two bumps, and $q$ the same two bumps, moved to the right by $\delta$. Both densities are known, so $D^*$ is
# known, and JSD is an integral that a sum over a fine grid gives.


# %%
def bump(x: torch.Tensor, mean: float, spread: float) -> torch.Tensor:
    return torch.exp(-((x - mean) ** 2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))


def density(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * bump(x, -1.2, 0.5) + 0.5 * bump(x, 1.2, 0.8)


def draw_points(n: int) -> torch.Tensor:  # (n, 1), from that density
    left, eps = torch.rand(n, 1, generator=draw) < 0.5, torch.randn(n, 1, generator=draw)
    return torch.where(left, -1.2 + 0.5 * eps, 1.2 + 0.8 * eps)


line = torch.linspace(-6, 12, 1801)


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> float:
    m = (p + q) / 2
    integrand = torch.xlogy(p, p) + torch.xlogy(q, q) - 2 * torch.xlogy(m, m)
    return integrand.sum().item() / 2 * 0.01  # the grid's step


# %% [markdown]
# For each $\delta$ we train a discriminator of its own, on fresh points in each step. It knows nothing of the formula. Its value is
# estimated on 100,000 points of each kind that it has not seen.


# %%
def train_discriminator(delta: float) -> nn.Module:
    with seeded(0):
        D = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(D.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    for _ in range(500):
        optimizer.zero_grad()
        discriminator_loss(D(draw_points(1000)), D(draw_points(1000) + delta)).backward()
        optimizer.step(), schedule.step()
    return D.requires_grad_(False)


deltas = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0]
trained = {delta: train_discriminator(delta) for delta in deltas}

# %% tags=["N2"]
p, answers, optimal, value, known_value = density(line), {}, {}, {}, {}
for delta, D in trained.items():
    q = density(line - delta)
    answers[delta], optimal[delta] = D(line[:, None])[:, 0].sigmoid(), p / (p + q)
    where = p + q > 0.05  # elsewhere it has hardly seen a point
    assert (answers[delta] - optimal[delta])[where].abs().max() < 0.2
    assert (answers[delta] - optimal[delta])[where].abs().mean() < 0.05
    value[delta] = -discriminator_loss(D(draw_points(100_000)), D(draw_points(100_000) + delta)).item()
    known_value[delta] = 2 * jensen_shannon(p, q) - math.log(4)
    assert abs(value[delta] - known_value[delta]) < 0.03
print("D is p / (p + q), and V is 2 JSD - log 4, at all eight distances.")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
(
    left.fill_between(line, p, color="C0", alpha=0.3, label="p"),
    left.fill_between(line, density(line - 2), color="C1", alpha=0.3, label="q"),
)
(
    left.plot(line, optimal[2.0], color="black", lw=1, label="p / (p + q)"),
    left.plot(line, answers[2.0], "--", color="C3", label="D, trained"),
)
left.set(xlim=(-4, 6), xlabel="x", title="δ = 2"), left.legend(frameon=False, fontsize=8)
right.plot(deltas, known_value.values(), color="black", lw=1, label="2 JSD − log 4")
right.plot(deltas, value.values(), "o", color="C3", label="V of the trained D")
right.axhline(-math.log(4), color="0.5", ls=":"), right.legend(frameon=False, fontsize=8)
right.set(xlabel="δ, how far q is from p", title="the value of the game")
plt.show()

# %% [markdown]
# Left: nobody told the discriminator the two densities, yet its answer (dashed) lies on their ratio (black). A trained discriminator
# *is* a measurement of how much more likely a point is real than made. Right: its value follows the formula from 0, where $p$ and $q$ do
# not overlap, down to $-\log 4$ (dotted), where they are the same.
#
# Both statements have a condition: the discriminator must be powerful enough and trained to its best for this very $q$. In a real game it
# gets one step, then $q$ has moved.
#
# ### Where the gradient goes (N2)
#
# In the min-max game the generator lowers $V$, that is $\log(1 - D(\hat{x}))$ (the loss `minimax`). Section 1 used $-\log D(\hat{x})$ (the
# loss `non-saturating`). Both fall as $D$ rises. Why the change? Compare how strongly a score $s$ is pulled upwards, $-\partial L_G / \partial s$.
# For completeness we add three other losses in use: `least-squares` wants $s = 1$, `hinge` and `wasserstein` lower $-s$.

# %% tags=["N2"]
from course_utils.gan import LOSSES

scores = torch.linspace(-6, 6, 121, requires_grad=True)
pulls = {kind: -torch.autograd.grad(121 * generator_loss(scores, kind=kind), scores)[0] for kind in LOSSES}
sure = scores < -5  # points that the discriminator has seen through: D < 0.007
assert pulls["minimax"][sure].max() < 0.01
assert min(pulls[kind][sure].min() for kind in LOSSES if kind != "minimax") > 0.99
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (kind, pull), style in zip(pulls.items(), ("-", "-", "-.", "-", "--"), strict=True):
    ax.plot(scores.detach(), pull, style, label=kind)
ax.set(
    xlabel="score s of a made image: sure that it is made ← → taken for real",
    ylabel="pull upwards",
    ylim=(-1.2, 3.2),
)
ax.legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()
print("At the far left the minimax pull is gone; the four others still pull.")

# %% [markdown]
# At the start of training the discriminator sees through every image: scores are far to the left. There the minimax loss is flat
# (it **saturates**, 포화). The generator would learn least where it has most to learn. The non-saturating loss pulls at full strength there, and
# lets go on the right, where nothing is left to gain. Least squares pulls the harder the farther away a score is, and pulls *back* beyond 1. Hinge and
# Wasserstein (one line over the other) pull the same everywhere.
#
# The same on our example, with the discriminators that we trained. The "generator" has a single parameter, the shift $\delta$. How strongly does
# each loss pull it back to 0?


# %%
def pull_on_shift(delta: float, kind: str) -> float:
    shift = torch.tensor(delta, requires_grad=True)
    loss = generator_loss(trained[delta](draw_points(20_000) + shift), kind=kind)
    return torch.autograd.grad(loss, shift)[0].item()


# %% tags=["N2"]
by_shift = {kind: [pull_on_shift(delta, kind) for delta in deltas] for kind in ("minimax", "non-saturating")}
assert by_shift["minimax"][0] < 0.2 * by_shift["non-saturating"][0]
assert max(abs(pull[-1]) for pull in by_shift.values()) < 0.1
fig, ax = plt.subplots(figsize=(5, 2.6), layout="constrained")
for kind, pull in by_shift.items():
    ax.plot(deltas, pull, "-o", ms=4, label=kind)
ax.set(xlabel="δ, how far q is from p", ylabel="pull towards δ = 0")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# At $\delta = 6$ the two densities hardly overlap and the discriminator is sure. The minimax loss has almost let go of the generator, although
# that is where it is farthest away; the other has not. At $\delta = 0$ both pulls vanish, as they should.
#
# ### Try it: move q towards p (N2)
#
# Above: $p$ (blue) and $q$ (orange). Below: the discriminator that was trained against this $q$, dashed, on $p / (p + q)$, black. Where does it
# answer one half? What does it answer when $q$ has arrived? Note how its steepness, which is what pulls $q$, changes.


# %%
def draw_shift(delta: float) -> torch.Tensor:
    fig, (above, below) = plt.subplots(2, 1, figsize=(5, 3.2), sharex=True, layout="constrained")
    (
        above.fill_between(line, p, color="C0", alpha=0.4),
        above.fill_between(line, density(line - delta), color="C1", alpha=0.4),
    )
    below.plot(line, optimal[delta], color="black", lw=1), below.plot(line, answers[delta], "--", color="C3")
    below.axhline(0.5, color="0.6", ls=":")
    (
        above.set(yticks=[], ylabel="p, q"),
        below.set(xlim=(-4, 9), ylim=(-0.05, 1.05), xlabel="x", ylabel="D(x)"),
    )
    return rendered(fig, dpi=72)


# %%
by = ("shift δ",)
Explorer(
    [Slider("shift δ", deltas, play=True, interval=0.9)],
    [Panel("p and q; D and p / (p + q)", torch.stack([draw_shift(delta) for delta in deltas]), by)],
    [
        Readout("value V of the trained D", [f"{value[delta]:.3f}" for delta in deltas], by),
        Readout("2 JSD − log 4", [f"{known_value[delta]:.3f}" for delta in deltas], by),
        Readout("pull on δ, minimax", by_shift["minimax"], by, maximum=2),
        Readout("pull on δ, non-saturating", by_shift["non-saturating"], by, maximum=2),
    ],
    title="Move q towards p", colors=32,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Far apart, the discriminator is a step between the two: sure on both sides, flat where $q$ lies, so that a generator that follows the
# slope of $\log(1 - D)$ feels almost nothing. As $q$ moves in, the answer takes the shape of the ratio, with a dent where a bump of $q$
# meets the other bump of $p$. At $\delta = 0$ it is one half everywhere, and the value is $-\log 4$, about $-1.386$.
#
# </details>
