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
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/05_gan.ipynb)
#
# # 05 · Generative adversarial network
#
# 생성적 적대 신경망
#
# The decoders of the last two notebooks learned to draw by comparing each of their images with a given one, pixel by
# pixel, and their images came out soft. A **generative adversarial network** (GAN, 생성적 적대 신경망) has no image to
# compare with. It has a critic: a second network that looks at an image and says whether it is real or made. The
# first learns to deceive the second, the second learns not to be deceived, and both grow better by it.
#
# After this notebook you can
#
# 1. write both networks, their two losses and the two updates in turn, from scratch;
# 2. say what the best possible discriminator answers and what the game then measures, and check it where the answer
#    is known;
# 3. watch two distributions move towards each other, and put a number on it;
# 4. provoke mode collapse, count it, and mend it in two ways;
# 5. train a GAN on digits and judge it: quality, sharpness, copies, and how to trade diversity for fidelity;
# 6. say what a GAN cannot tell you.
#
# Marks such as (N1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the notebook
# if what the text claims does not hold. It runs on a laptop without a GPU in about two minutes and needs no network.
# You need to know what a gradient step is, and from notebook 02 precision, recall and FID (the distance between two
# sets of images, seen through the features of a classifier).

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

from course_utils.data import batches, load_images, toy_points
from course_utils.nets import blur, over_batches, seeded

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
# - $G$, the **generator** (생성자), turns noise into a point: $\hat{x} = G(z)$. The noise $z$ is drawn from a standard
#   normal, here of two numbers: $z \sim N(0, I)$.
# - $D$, the **discriminator** (판별자), looks at a point and says how likely it is real: $D(x)$ lies between 0 (made)
#   and 1 (real). Its network computes any number, the **score** (점수) $s(x)$, and $D(x) = \sigma(s(x))$ with the
#   sigmoid $\sigma(s) = 1 / (1 + e^{-s})$.


# %%
def layers(inputs: int, outputs: int, width: int = 64) -> list[nn.Module]:
    hidden = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return [*hidden, nn.Linear(width, outputs)]


class PointGenerator(nn.Sequential):
    latent_dim, num_classes = 2, None  # two numbers of noise; no classes (notebook 06 has some)


# %%
def two_players(seed: int) -> tuple[nn.Module, nn.Module]:
    with seeded(seed):
        generator = PointGenerator(*layers(2, 2))  # noise (N, 2) → points (N, 2)
        discriminator = nn.Sequential(*layers(2, 1), nn.Flatten(0))  # points (N, 2) → scores (N,)
    return generator, discriminator


# %% [markdown]
# The discriminator is a classifier with two classes, so its loss is the cross-entropy. For $N$ real points $x_i$ and
# $N$ made ones it is
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
# The package has the same: `discriminator_loss` and `generator_loss` take scores, and `GAN` holds two players and
# computes what each of them lowers. Given the same noise it must give the same numbers as our lines.

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
# Before we play, we need a number for how far two sets of points $x$ and $\hat{x}$ are apart. The **energy distance**
# (에너지 거리) compares the mean distance *between* the sets with the mean distances *within* them:
#
# $$E = 2\, \mathbb{E} \lVert x - \hat{x} \rVert - \mathbb{E} \lVert x - x' \rVert - \mathbb{E} \lVert \hat{x} - \hat{x}' \rVert,$$
#
# where $\mathbb{E}$ is the mean over all pairs, $x'$ is another real point and $\hat{x}'$ another made one. It is 0
# if and only if both come from the same distribution. (The code below also pairs each point with itself, at distance
# 0; among 2,000 that is one pair in 2,000.)


# %%
def energy_distance(x: torch.Tensor, x_hat: torch.Tensor) -> float:
    between = torch.cdist(x, x_hat).mean()
    within = torch.cdist(x, x).mean() + torch.cdist(x_hat, x_hat).mean()
    return (2 * between - within).item()


@torch.inference_mode()
def made() -> torch.Tensor:  # 2,000 points, always from the same noise
    return generator(torch.randn(2000, 2, generator=torch.Generator().manual_seed(2)))


# %% [markdown]
# Now the game: **each player is updated in turn**, while the other stands still. In the discriminator's turn `detach`
# cuts the path back to the generator; in the generator's turn only its own optimiser takes a step. (Momentum, the
# first of the two `betas`, is off: the other player changes the direction at each turn, and momentum would run on in
# the old one.)

# %% tags=["N1"]
adam_D = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.0, 0.9))
adam_G = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
start = made()
for _ in range(400):
    x, _ = toy_points("moons", 256, generator=draw)
    x_hat = generator(torch.randn(256, 2, generator=draw))
    adam_D.zero_grad()
    loss_of_discriminator(x, x_hat.detach()).backward()
    adam_D.step()
    adam_G.zero_grad()
    loss_of_generator(generator(torch.randn(256, 2, generator=draw))).backward()
    adam_G.step()
assert energy_distance(real, made()) < 0.5 * energy_distance(real, start)
print("After 400 turns each, the distance to the data is less than half of what it was.")

# %% [markdown]
# `fit`, the package's loop, does the same. A GAN simply has two objectives in place of one, and `fit` takes them in
# turn.

# %%
from course_utils.training import Objective, exponential_average, fit


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
# We start again from the same first weights and play 1,500 turns. At chosen moments we note the generator's points,
# the discriminator's answer on a grid, and both losses.

# %%
moments = [0, 10, 20, 30, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 600, 700, 850, 1000, 1250, 1500]
across, up = torch.linspace(-3, 3, 61), torch.linspace(-2.3, 2.3, 47)
grid = torch.cartesian_prod(across, up)


def look() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points = made().clone()
    some = points[:60].clone().requires_grad_()
    (slope,) = torch.autograd.grad(60 * loss_of_generator(some), some)  # of each point's own loss
    field = discriminator(grid).sigmoid().detach().view(61, 47).T
    return points, -slope, field


# %%
generator, discriminator = two_players(seed=0)
moons = [(toy_points("moons", 256, generator=draw)[0],) for _ in range(1500)]
film, losses = [look()], []
for record in fit(objectives(GAN(generator, discriminator)), moons, progress=False, device="cpu"):
    losses.append(list(record.losses.values()))
    if record.step in moments:
        film.append(look())

# %% [markdown]
# Do the two distributions move towards each other? The energy distance says so. Two samples of 2,000 real points mark
# the lowest value that can be expected of it.

# %% tags=["N3"]
distance = [energy_distance(real, points) for points, _, _ in film]
floor = energy_distance(real, toy_points("moons", 2000, generator=draw)[0])
assert min(distance[-3:]) < 0.1 * distance[0]

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
left.plot(moments, distance, "-o", ms=3)
left.axhline(floor, color="black", ls=":", lw=0.8)
left.set(yscale="log", xlabel="turn", ylabel="energy distance", title="real against made")
for name, values in zip(("discriminator", "generator"), zip(*losses, strict=True), strict=True):
    right.plot(values, lw=0.7, label=name)
right.axhline(2 * math.log(2), color="C0", ls=":", lw=0.8)
right.axhline(math.log(2), color="C1", ls=":", lw=0.8)
right.set(xlabel="turn", title="the losses")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# Left: the distance falls to less than a tenth, not evenly but with setbacks. Right: the losses say nothing of the
# kind. They jump at first and then hover about the dotted lines, $2 \log 2$ and $\log 2$, which is what they are when
# the discriminator answers one half to everything. If you only saw the right picture, you could not tell whether
# training had gone well. Keep that in mind.
#
# ### Try it: the game, turn by turn (N3)
#
# Black are real points, orange are made ones. The colour of the ground is the discriminator's answer: blue where it
# says "real", red where it says "made". The arrows show where the generator's loss wants to move some of its points.
# Press play, then drag slowly through the first 200 turns.


# %%
from course_utils.explorers import Choice, Explorer, Pad, Panel, Readout, Slider
from course_utils.style import PALETTE
from course_utils.viz import rendered, show_images, show_rows, table


def draw_turn(points: torch.Tensor, pull: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    fig, ax = plt.subplots(figsize=(5.4, 4.0), layout="constrained")
    ax.contourf(across, up, field, levels=torch.linspace(0, 1, 21), cmap="RdBu", alpha=0.6)
    ax.scatter(*real[:400].T, s=3, color="black")
    ax.scatter(*points[:400].T, s=4, color=PALETTE[1])
    ax.quiver(*points[: len(pull)].T, *pull.T, angles="xy", scale_units="xy", scale=1.5, width=0.004)
    ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), xticks=[], yticks=[], aspect="equal")
    return rendered(fig, dpi=72)


# %%
by = ("turn",)
frames = torch.stack([draw_turn(*moment) for moment in film])
lately = [losses[max(0, m - 10) : max(m, 1)] for m in moments]  # at turn 0: the first turn's
of_D = [sum(value for value, _ in part) / len(part) for part in lately]
Explorer(
    [Slider("turn", moments, play=True, interval=0.6)],
    [Panel("black: real; orange: made; ground: D(x), blue = real, red = made", frames, by)],
    [
        Readout("energy distance to the data ↓", distance, by),
        Readout("discriminator's loss, mean of ten turns", of_D, by),
    ],
    title="The game in the plane", colors=64,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At turn 0 the made points are one heap and the ground is nearly white: the discriminator has no opinion. After 20
# turns the lower right is blue, for there are real points and no made ones, and the arrows lead there. By turn 60 the
# points have run past the moons, and are sent back. From turn 100 on the cloud takes the shape of the two moons; at
# 300 most points lie on them, and the arrows of the stragglers in between lead outwards. Where real and made points
# lie together the ground stays white, which is one half. Red is left only where hardly anybody is: in the corners,
# and in the gap.
#
# </details>

# %% [markdown]
# ## 3 · What the game is about (N2)
#
# Both players pull at one number, the **value** (가치) of the game,
#
# $$V(D, G) = \mathbb{E}_{x \sim p} \big[\log D(x)\big] + \mathbb{E}_{x \sim q} \big[\log (1 - D(x))\big],$$
#
# where $p$ is the density of the data and $q$ that of the generator's images. The discriminator **maximises** it
# (that is what lowering $L_D = -V$ does), the generator **minimises** it:
#
# $$\min_G \max_D V(D, G).$$
#
# This **min-max game** (최소최대 게임) has a known answer. Hold the generator still. At one place $x$ the discriminator can
# choose $D(x)$ freely, and $p \log D + q \log(1 - D)$ is largest where its derivative $p / D - q / (1 - D)$ is 0,
# that is at
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}.$$
#
# It is one half where both densities are equal. Put $D^*$ back into $V$ and sort the terms. With the Kullback-Leibler
# divergence $D_{\mathrm{KL}}(p \,\Vert\, m) = \int p \log (p / m)$ they are
#
# $$V(D^*, G) = 2\, \mathrm{JSD}(p, q) - \log 4, \qquad \mathrm{JSD}(p, q) = \tfrac12 D_{\mathrm{KL}}(p \,\Vert\, m) + \tfrac12 D_{\mathrm{KL}}(q \,\Vert\, m), \quad m = \tfrac12 (p + q).$$
#
# The **Jensen-Shannon divergence** (젠슨-섀넌 발산) JSD says how far two densities are apart. It is 0 if and only if they
# are equal, and at most $\log 2$, when they do not overlap. So a generator that minimises $V$ against the best
# discriminator moves $q$ to $p$, and at the end $V = -\log 4$. (The game of section 1 changes the generator's loss, for
# a reason that comes soon. What $D^*$ is stays the same, and so does the end: at $q = p$ neither player is pulled.)
#
# ### Check it where the answer is known (N2)
#
# Let $x$ be one number, $p$ two bumps, and $q$ the same two bumps, moved to the right by $\delta$. Both densities are
# known, so $D^*$ is known, and JSD is an integral that a sum over a fine grid gives.


# %%
def bump(x: torch.Tensor, mean: float, spread: float) -> torch.Tensor:
    return torch.exp(-((x - mean) ** 2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))


def density(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * bump(x, -1.2, 0.5) + 0.5 * bump(x, 1.2, 0.8)


def draw_points(n: int) -> torch.Tensor:  # (n, 1), from that density
    left, eps = torch.rand(n, 1, generator=draw) < 0.5, torch.randn(n, 1, generator=draw)
    return torch.where(left, -1.2 + 0.5 * eps, 1.2 + 0.8 * eps)


# %%
line = torch.linspace(-6, 12, 1801)


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> float:
    m = (p + q) / 2
    integrand = torch.xlogy(p, p) + torch.xlogy(q, q) - 2 * torch.xlogy(m, m)
    return integrand.sum().item() / 2 * 0.01  # the grid's step


# %% [markdown]
# For each $\delta$ we train a discriminator of its own, on fresh points in each step. It knows nothing of the
# formula. Its value is estimated on 100,000 points of each kind that it has not seen.


# %%
def train_discriminator(delta: float) -> nn.Module:
    with seeded(0):
        D = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(D.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    for _ in range(500):
        optimizer.zero_grad()
        discriminator_loss(D(draw_points(1000)), D(draw_points(1000) + delta)).backward()
        optimizer.step()
        schedule.step()
    return D.requires_grad_(False)


# %%
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
left.fill_between(line, p, color="C0", alpha=0.3, label="p")
left.fill_between(line, density(line - 2), color="C1", alpha=0.3, label="q")
left.plot(line, optimal[2.0], color="black", ls="-", lw=1, label="p / (p + q)")
left.plot(line, answers[2.0], "--", color="C3", label="D, trained")
left.set(xlim=(-4, 6), xlabel="x", title="δ = 2")
left.legend(frameon=False, fontsize=8)
right.plot(deltas, known_value.values(), color="black", ls="-", lw=1, label="2 JSD − log 4")
right.plot(deltas, value.values(), "o", color="C3", label="V of the trained D")
right.axhline(-math.log(4), color="0.5", ls=":")
right.legend(frameon=False, fontsize=8)
right.set(xlabel="δ, how far q is from p", title="the value of the game")
plt.show()

# %% [markdown]
# Left: nobody told the discriminator the two densities, yet its answer (dashed) lies on their ratio (black). A
# trained discriminator *is* a measurement of how much more likely a point is real than made. Right: its value follows
# the formula from 0, where $p$ and $q$ do not overlap, down to $-\log 4$ (dotted), where they are the same.
#
# Both statements have a condition: the discriminator must be powerful enough and trained to its best for this very
# $q$. In a real game it gets one step, then $q$ has moved.
#
# ### Where the gradient goes (N2)
#
# In the min-max game the generator lowers $V$, that is $\log(1 - D(\hat{x}))$ (the loss `minimax`). Section 1 used
# $-\log D(\hat{x})$ (the loss `non-saturating`). Both fall as $D$ rises. Why the change? Compare how strongly a score
# $s$ is pulled upwards, $-\partial L_G / \partial s$. For completeness we add three other losses in use:
# `least-squares` wants $s = 1$, `hinge` and `wasserstein` (question 5) lower $-s$.

# %% tags=["N2"]
from course_utils.gan import LOSSES

scores = torch.linspace(-6, 6, 121, requires_grad=True)
pulls = {kind: -torch.autograd.grad(121 * generator_loss(scores, kind=kind), scores)[0] for kind in LOSSES}
sure = scores < -5  # points that the discriminator has seen through: D < 0.007
assert pulls["minimax"][sure].max() < 0.01
assert min(pulls[kind][sure].min() for kind in LOSSES if kind != "minimax") > 0.99
print("At the far left the minimax pull is gone; the four others still pull.")

# %%
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for kind, pull in pulls.items():
    ax.plot(scores.detach(), pull, label=kind)
ax.set(
    xlabel="score s of a made image: sure that it is made ← → taken for real",
    ylabel="pull upwards",
    ylim=(-1.2, 3.2),
)
ax.legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Very early in training, after its first few steps, the discriminator sees through every image: scores are far to the
# left. There the minimax loss is flat (it **saturates**, 포화). The generator would learn least where it has most to
# learn. The non-saturating loss pulls at full strength there, and lets go on the right, where nothing is left to
# gain. Least squares pulls the harder the farther away a score is, and pulls *back* beyond 1. Hinge and Wasserstein
# (one line over the other) pull the same everywhere.
#
# The same on our example, with the discriminators that we trained. The "generator" has a single parameter, the shift
# $\delta$. How strongly does each loss pull it back to 0?


# %%
def pull_on_shift(delta: float, kind: str) -> float:
    shift = torch.tensor(delta, requires_grad=True)
    loss = generator_loss(trained[delta](draw_points(20_000) + shift), kind=kind)
    return torch.autograd.grad(loss, shift)[0].item()


# %% tags=["N2"]
by_shift = {kind: [pull_on_shift(delta, kind) for delta in deltas] for kind in ("minimax", "non-saturating")}
assert by_shift["minimax"][0] < 0.2 * by_shift["non-saturating"][0]
assert max(abs(pull[-1]) for pull in by_shift.values()) < 0.1

# %%
fig, ax = plt.subplots(figsize=(5, 2.6), layout="constrained")
for kind, pull in by_shift.items():
    ax.plot(deltas, pull, marker="o", ms=4, label=kind)
ax.set(xlabel="δ, how far q is from p", ylabel="pull towards δ = 0")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# At $\delta = 6$ the two densities hardly overlap and the discriminator is sure. The minimax loss has almost let go
# of the generator, although that is where it is farthest away; the other has not. At $\delta = 0$ both pulls vanish,
# as they should.
#
# ### Try it: move q towards p (N2)
#
# Above: $p$ (blue) and $q$ (orange). Below: the discriminator that was trained against this $q$, dashed, on
# $p / (p + q)$, black. Where does it answer one half? What does it answer when $q$ has arrived? Note how steep it is
# where $q$ lies: only a slope can pull $q$. (A slope of $D$, drawn here. The score $s$ is steeper where $D$ is near
# 0, and the non-saturating loss looks at $s$.)


# %%
def draw_shift(delta: float) -> torch.Tensor:
    fig, (above, below) = plt.subplots(2, 1, figsize=(5, 3.2), sharex=True, layout="constrained")
    above.fill_between(line, p, color="C0", alpha=0.4)
    above.fill_between(line, density(line - delta), color="C1", alpha=0.4)
    above.set(yticks=[], ylabel="p, q")
    below.plot(line, optimal[delta], color="black", ls="-", lw=1)
    below.plot(line, answers[delta], "--", color="C3")
    below.axhline(0.5, color="0.6", ls=":")
    below.set(xlim=(-4, 9), ylim=(-0.05, 1.05), xlabel="x", ylabel="D(x)")
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
# Far apart, the discriminator is a step between the two: sure on both sides, flat where $q$ lies, so that a generator
# that follows the slope of $\log(1 - D)$ feels almost nothing. As $q$ moves in, the answer takes the shape of the
# ratio, with a dent where a bump of $q$ meets the other bump of $p$. At $\delta = 0$ it is one half everywhere, and
# the value is $-\log 4$, about $-1.386$.
#
# </details>

# %% [markdown]
# ## 4 · Mode collapse, and two ways to mend it (N3)
#
# The data are now eight small Gaussians on a ring, so that we can count. A place where data are dense is a **mode**
# (모드). We say that a generator *covers* a mode if at least 1 % of its points lie within three standard deviations of
# its centre. (That deviation is 0.15; the centres are 2 from the origin.)

# %%
angle = torch.arange(8) * math.pi / 4
centres = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)


def coverage(points: torch.Tensor) -> tuple[int, float]:  # modes covered; share of the points near a mode
    distance, which = torch.cdist(points, centres).min(dim=1)
    near = distance < 3 * 0.15
    counts = torch.bincount(which[near], minlength=8)
    return (counts >= 0.01 * len(points)).sum().item(), near.double().mean().item()


real_ring, _ = toy_points("gaussians", 2000, generator=draw)
print("Real points cover", coverage(real_ring)[0], "of 8 modes.")

# %% [markdown]
# ### Provoke it (N3)
#
# By section 3 the generator ought to play against the *best* discriminator. Let us do the opposite and give the
# generator five turns for each turn of the discriminator. It then faces a discriminator that hardly moves. What is
# the best reply to a fixed $D$? To put *every* point where $D$ is highest: one place, whatever the noise. By the time
# the discriminator has learned to reject that place, the generator is off to another. This is **mode collapse** (모드
# 붕괴).
#
# ("Turn 100" in the pictures means the hundredth round of the game: one turn of the discriminator and five of the
# generator.) For `fit`, five turns are five times the same objective. We also play one turn to one, for comparison.
# `r1` and `packed` we shall need for the cures.


# %%
def play_ring(seed: int, turns: int = 5, r1: float = 0.0, packed: bool = False) -> torch.Tensor:
    generator, discriminator = two_players(seed)
    if packed:
        with seeded(seed):
            discriminator = Packed()
    critic, artist = objectives(GAN(generator, discriminator, r1=r1))
    points = torch.Generator().manual_seed(seed)
    ring = [(toy_points("gaussians", 256, generator=points)[0],) for _ in range(300)]
    z, film = torch.randn(1000, 2, generator=torch.Generator().manual_seed(3)), []
    for record in fit([critic] + turns * [artist], ring, seed=seed, progress=False, device="cpu"):
        if record.step % 20 == 0:
            film.append(generator(z).detach())
    return torch.stack(film)  # (15 moments, 1000, 2)


# %%
ring_films = {
    "one turn to one": torch.stack([play_ring(seed, turns=1) for seed in range(3)]),
    "five turns to one": torch.stack([play_ring(seed) for seed in range(3)]),
}

# %% [markdown]
# Five turns to one: three games, with different first weights, each seen at five moments (grey: where the data are).


# %%
def show_games(films: torch.Tensor) -> None:  # (3 games, 15 moments, 1000, 2)
    fig, axes = plt.subplots(3, 5, figsize=(7.5, 4.6), sharex=True, sharey=True, layout="constrained")
    for row, game_film in zip(axes, films, strict=True):
        for ax, moment in zip(row, (2, 5, 8, 11, 14), strict=True):
            ax.scatter(*centres.T, s=90, color="0.88")
            ax.scatter(*game_film[moment].T, s=1.5, color=PALETTE[1])
            ax.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xticks=[], yticks=[], aspect="equal")
    for ax, moment in zip(axes[0], (2, 5, 8, 11, 14), strict=True):
        ax.set_title(f"turn {20 * (moment + 1)}", fontsize=9)
    plt.show()


# %%
show_games(ring_films["five turns to one"])

# %% [markdown]
# Each time a thousand different noises go to nearly one place, and that place moves about. The simplest cure is to
# give the turns back: one to one all eight modes are found, as the table below will show. But suppose that the
# balance is lost and you cannot see why, as happens with large networks. Two cures help even against five turns.
#
# ### First cure: a penalty on the discriminator's slope (N3)
#
# Where the discriminator is steep and bends, one turn leads the generator past its goal, however Adam scales the
# step, and the next turn leads it back or elsewhere. **R1** (Mescheder et al., 2018) adds to $L_D$ the squared length
# of the gradient of the score with respect to its *input*, at real points:
#
# $$\frac{\gamma}{2}\; \mathbb{E}_{x \sim p} \lVert \nabla_x\, s(x) \rVert^2 .$$
#
# The number $\gamma$, `r1` in the code, says how much the slope costs. The discriminator may still tell real from made,
# but it has to do so gently, above all near the data, where it should come to rest.

# %% tags=["N3"]
from course_utils.gan import r1_penalty

x = real_ring[:200].clone().requires_grad_()
(gradient,) = torch.autograd.grad(discriminator(x).sum(), x)
assert torch.allclose(gradient.square().sum(dim=1).mean(), r1_penalty(discriminator, real_ring[:200]))
print("Two lines, and the package's r1_penalty agrees.")
ring_films["five to one, R1"] = torch.stack([play_ring(seed, r1=20.0) for seed in range(3)])
show_games(ring_films["five to one, R1"])

# %% [markdown]
# ### Second cure: let the discriminator see several at once (N3)
#
# A discriminator that looks at one point at a time cannot know that all points are the same. Show it four together,
# four real ones or four made ones (**packing**, Lin et al., 2018). Four made points in one heap give the generator
# away at once, since four real ones hardly ever lie so.


# %%
class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(*layers(4 * 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (N, 2) → scores (N,), the same for all four
        return self.net(x.reshape(-1, 8)).flatten().repeat_interleave(4)


ring_films["five to one, packed"] = torch.stack([play_ring(seed, packed=True) for seed in range(3)])
show_games(ring_films["five to one, packed"])

# %% [markdown]
# In numbers: modes covered, the mean over the last five of the moments, for each of the three games; and the share of
# the points that lie near a mode.

# %%
covered = {
    way: torch.tensor([[coverage(x) for x in game_film] for game_film in films])
    for way, films in ring_films.items()
}
rows = [
    [way, *[f"{modes:.1f}" for modes in both[:, -5:, 0].mean(dim=1)], both[:, -5:, 1].mean().item()]
    for way, both in covered.items()
]

# %% tags=["N3", "nbval-ignore-output"]
late = {way: both[:, -5:, 0].mean().item() for way, both in covered.items()}
assert late["five turns to one"] < 4
assert min(late["five to one, R1"], late["five to one, packed"]) > 6
assert late["one turn to one"] > 6
table(["turns of the generator", "game 1", "game 2", "game 3", "share near a mode"],
      [*rows, ["real points", "8", "8", "8", coverage(real_ring)[1]]])  # fmt: skip

# %% [markdown]
# Five turns to one: from one mode or two to practically all eight, with each of the cures, in all three games. Which
# is better? With R1 more of the points lie near a mode; the packed game leaves more of them on the way between.
# Neither is perfect: five turns to one is a bad start. And both have a price: R1 costs the discriminator a second
# gradient, and a $\gamma$ too small does not help (question 2); packing makes its task larger.
#
# ### Try it: collapse and cures (N3)
#
# Dark: where the 1,000 points are. Choose a way, press play. Where does the collapsed generator go next? Which of the
# eight modes are found last?


# %%
def as_picture(points: torch.Tensor) -> torch.Tensor:  # points of the plane, counted in 64 × 64 cells
    def count(x: torch.Tensor) -> torch.Tensor:
        cells = ((x.clamp(-3.19, 3.19) + 3.2) * 10).long()
        return torch.bincount((63 - cells[:, 1]) * 64 + cells[:, 0], minlength=64 * 64).view(1, 64, 64)

    ground = 1 - 0.3 * (count(real_ring) > 0)  # light grey: the data
    return (ground - 0.6 * count(points)).clamp_min(-1).repeat_interleave(3, 1).repeat_interleave(3, 2)


# %%
by = ("way", "game", "turn")
pictures = torch.stack([as_picture(x) for films in ring_films.values() for x in films.flatten(0, 1)])
measured = torch.stack(list(covered.values()))
Explorer(
    [
        Choice("way", list(ring_films)),
        Slider("game", [1, 2, 3]),
        Slider("turn", range(20, 301, 20), play=True, interval=0.5),
    ],
    [Panel("the generator's points (dark), the data (light)", pictures.unflatten(0, (4, 3, 15)), by)],
    [Readout("modes covered, of 8", measured[..., 0], by, maximum=8), Readout("share near a mode", measured[..., 1], by, maximum=1)],
    title="Collapse and cures", index=[1, 0, 14],
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Five turns to one, the points are a clump or a thread at every moment; it wanders, often to the other side of the
# ring, and never opens. One turn to one, they scatter over the plane and then gather on the ring. With R1 the cloud
# closes to a ring early, and the ring breaks up into knots at the modes. Packed, it ends as a ring, too, with fewer
# knots.
#
# </details>

# %% [markdown]
# ## 5 · Digits (N1)
#
# The same game with images. Both players become convolutional: the generator maps noise to 128 channels of 7 × 7 and
# doubles the size twice, with *transposed* convolutions (notebook 03) and batch normalisation (배치 정규화); the
# discriminator halves it twice. This is the shape of **DCGAN** (Radford et al., 2016). The noise has only $d = 8$
# numbers. Digits come from few essential factors (notebook 01, G2), and the fewer numbers there are, the sooner a
# short training fills their space.
#
# R1 and no momentum keep the game steady, and one thing more: an **exponential moving average** (지수 이동 평균, EMA) of
# the generator's weights. The two players circle around each other; the mean over about the last eighty turns
# is better than any single turn.

# %%
from course_utils.features import feature_extractor, readability
from course_utils.gan import Discriminator, Generator
from course_utils.metrics import fid, precision_recall
from course_utils.pretrained import load_pretrained

train, test = load_images("digits", "train"), load_images("digits", "test")
see, is_readable = feature_extractor("digits", "cpu"), readability(train.x, test.x)
known = see(test.x).features

# %% [markdown]
# `see` gives the 128 features of the shipped classifier (notebook 02). `is_readable` says whether that classifier is
# sure of an image *and* finds it close to some real one (notebook 03). At some moments on the way we keep 500 images
# of fixed noises. 750 turns with 64 images each take about a minute.

# %%
with seeded(0):
    generator, discriminator = Generator(latent_dim=8), Discriminator()
critic, artist = objectives(GAN(generator, discriminator, r1=1.0), lr=2e-3, betas=(0.0, 0.99))
artist.ema = exponential_average(generator, 0.99)
z500 = torch.randn(500, 8, generator=torch.Generator().manual_seed(6))
stops = [20, *range(50, 751, 50)]
growth, digit_losses = [], []

# %%
shuffled = batches(train, 64, steps=750, generator=torch.Generator().manual_seed(0))
for record in fit([critic, artist], shuffled):
    digit_losses.append(list(record.losses.values()))
    if record.step in stops:
        growth.append(over_batches(artist.ema.module.eval(), z500).cpu())
generator, discriminator = artist.ema.module.cpu().eval(), discriminator.cpu().eval()

# %% [markdown]
# ### Try it: digits growing (N1)
#
# Press play and follow one place in the grid. When do strokes appear, when digits? Does a place stay what it was?
# Compare the two readouts.

# %%
growing_fid = [fid(real=known, fake=see(x).features) for x in growth]
of_D = torch.tensor(digit_losses)[:, 0]
recent = [of_D[max(0, stop - 50) : stop].mean().item() for stop in stops]

# %%
by = ("turn",)
Explorer(
    [Slider("turn", stops, play=True, interval=0.7)],
    [Panel("images of twenty fixed noises", torch.stack(growth)[:, :20], by, columns=10)],
    [
        Readout("FID of 500 images ↓", [f"{value:.1f}" for value in growing_fid], by),
        Readout("discriminator's loss, mean of the last 50 turns", recent, by, maximum=2),
    ],
    title="Digits growing", index=[len(stops) - 1],
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# First one pattern for all twenty, then clouds; at about 200 turns strokes, from about 300 on digits. Most places
# settle on a digit early and clean it up, some change their mind. From turn 100 on FID falls all the way, from the
# hundreds to a few. The discriminator's loss hardly moves after the first 200 turns.
#
# </details>
#
# ### How good are they? (N1)
#
# We ask for 1,000 images and judge them against the 1,000 test images, beside those of others: real training images;
# the shipped GAN (`gan-mnist`, the same networks with 16 numbers of noise, trained for 4,000 turns on 59,000 MNIST
# digits); and the shipped decoders of the last two notebooks, with codes drawn at random.

# %%
shipped = load_pretrained("gan-mnist", "cpu")
others = {
    "VAE, shipped": load_pretrained("vae-mnist", "cpu"),
    "autoencoder, shipped": load_pretrained("autoencoder-mnist", "cpu"),
}
models = {"GAN, trained here": generator, "GAN, shipped": shipped, **others}
drawn = {"real training images": train.x[:1000]}
with torch.inference_mode():
    for name, model in models.items():
        drawn[name] = model.sample(1000, generator=torch.Generator().manual_seed(7))

# %% tags=["N1", "nbval-ignore-output"]
scores = {}
for name, x in drawn.items():
    features = see(x).features
    readable = is_readable(x).double().mean().item()
    scores[name] = [fid(real=known, fake=features), *precision_recall(real=known, fake=features), readable]
assert scores["GAN, trained here"][0] < 6
assert min(scores["GAN, trained here"][1:]) > 0.3
assert scores["GAN, shipped"][0] < scores["GAN, trained here"][0]
table(["1,000 images of", "FID ↓", "precision ↑", "recall ↑", "share readable ↑"],
      [[name, *row] for name, row in scores.items()])  # fmt: skip

# %%
show_rows({name: x[:14] for name, x in drawn.items()}, scale=0.6)

# %% [markdown]
# About half of the images of one minute's training can be read; with the shipped model it is about three in five.
# Real images are far better in every column: neither GAN is perfect. Where the two decoders of the notebooks before
# stand depends on the column; do not read the table as a verdict on the families, for their training differs. (FID
# depends on the number of images, so compare only within this table.)
#
# ### Try it: a walk through the noise
#
# Each image belongs to a point of the noise space. Noise of 16 normal numbers has a length near $\sqrt{16} = 4$, so
# likely points lie near a sphere, and we walk on it: the pad is a map of a sphere in three of its dimensions, cut
# open at the left and right edges. **Drag** slowly. Where does a digit turn into another, and are there places with
# no digit at all? Compare the left edge with the right one.

# %%
axes_of_sphere = torch.linalg.qr(torch.randn(16, 3, generator=torch.Generator().manual_seed(8))).Q.T


@torch.inference_mode()
def on_sphere(east: float, north: float) -> torch.Tensor:
    direction = [math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)]
    return shipped((4 * torch.tensor(direction) @ axes_of_sphere)[None])[0]


pad = Pad("place", (-math.pi, math.pi), (-1.2, 1.2), columns=25, rows=11, axes=("east", "north"))
map_of_digits = torch.stack([on_sphere(*node) for node in pad.nodes().tolist()])
Explorer([pad], [Panel("the image there", map_of_digits, ("place",))], title="A walk through the noise",
         live=on_sphere, live_panel="the image there")  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Small moves change the image a little: the digit leans, thickens, closes a loop. Between two digits there is a short
# stretch of shapes that are neither. The two edges are the same places. Nobody asked for this smoothness: the
# generator is a continuous function, and the discriminator saw only single images. A GAN has no encoder, so for a
# given image you cannot look up its place on the map.
#
# </details>
#
# ## 6 · Sharp images (N3)
#
# Notebook 04 found the images of a VAE to be soft. How sharp are these? **First**, the energy of what a small blur
# takes away from an image, as a share of the image's energy, as there. With $b(x)$, the image blurred by a Gaussian
# of one pixel, and the energy counted from black, which is -1:
#
# $$\text{detail}(x) = \frac{\sum \lVert x - b(x) \rVert^2}{\sum \lVert x + 1 \rVert^2}.$$


# %%
def detail(x: torch.Tensor) -> float:
    return ((x - blur(x, 1.0)).square().sum() / (x + 1).square().sum()).item()


# %% tags=["N3", "nbval-ignore-output"]
compared = {
    "real test images": test.x,
    **{name: drawn[name] for name in models},
    "real, blurred by half a pixel": blur(test.x, 0.5),
}
sharpness = {name: detail(x) / detail(test.x) for name, x in compared.items()}
assert sharpness["GAN, trained here"] > 0.75
assert sharpness["GAN, shipped"] > sharpness["VAE, shipped"] + 0.1
assert sharpness["GAN, shipped"] > sharpness["autoencoder, shipped"] + 0.05
table(["images", "detail, real = 1"], list(sharpness.items()))

# %% [markdown]
# All in all the shipped GAN's images have nearly the detail of real ones, and the VAE's are as soft as real images
# blurred by half a pixel. One number for all detail can deceive, as the next figure will show for the GAN trained here.
# **Second**, where is it missing? The Fourier transform writes an image as a sum of waves. We draw the mean power of
# the waves against their number of periods across the image: coarse on the left, fine on the right.


# %%
frequency = torch.fft.fftfreq(28, 1 / 28)
periods = (frequency[:, None] ** 2 + frequency[None] ** 2).sqrt().round().long().flatten()  # of each wave
in_ring = torch.bincount(periods).double()


def spectrum(x: torch.Tensor) -> torch.Tensor:
    power = torch.fft.fft2(x[:, 0]).abs().square().mean(dim=0).flatten().double()
    return (torch.bincount(periods, weights=power) / in_ring)[1:15]


# %% tags=["N3"]
ratio = {name: spectrum(x) / spectrum(test.x) for name, x in compared.items()}
fine = {name: values[8:].mean().item() for name, values in ratio.items()}  # 9 … 14 periods
assert fine["GAN, shipped"] > fine["VAE, shipped"] + 0.1

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for name, values in ratio.items():
    ax.plot(range(1, 15), values, label=name)
ax.set(xlabel="periods across the image", ylabel="power, real = 1", ylim=(0, 1.5))
ax.legend(frameon=False, bbox_to_anchor=(1, 1), fontsize=8)
plt.show()

# %% [markdown]
# The VAE's line sinks steadily, just as that of the blurred images does: the finer the waves, the more of them are
# missing. The shipped GAN keeps about nine tenths at every frequency. The GAN trained here sinks, too, and then rises
# at the right end: that is no detail but a faint grid, one pixel on, one off, which transposed convolutions leave
# (Odena et al., 2016) and which a longer training has time to remove.
#
# **Third**, why? A squared error rewards the mean of all possible images, and the mean is soft. The discriminator
# does not know the mean; but it knows that soft edges do not occur in the data. Show it real test images and the same
# ones blurred a little:

# %% tags=["N3"]
with torch.inference_mode():
    score_of = {
        name: over_batches(discriminator, x)
        for name, x in {"as they are": test.x, "blurred": blur(test.x, 1.0)}.items()
    }
caught = (score_of["blurred"] < score_of["as they are"]).double().mean()
assert caught > 0.65
print("Blurred by one pixel, most test images get a lower score than before.")

# %%
fig, ax = plt.subplots(figsize=(4.6, 2.4), layout="constrained")
for name, values in score_of.items():
    ax.hist(values, bins=40, alpha=0.6, label=name)
ax.set(xlabel="score of the discriminator", yticks=[])
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The two heaps overlap: this short-trained discriminator is not sure of a single image. But most images lose by the
# blur, so on the whole softness costs, and a generator is pulled away from it. That is the difference to the last two
# notebooks: the loss itself is learned, and it has learned to look at edges.
#
# ## 7 · Are they copies?
#
# As in notebook 01: the distance in pixels from each image to the nearest of the 4,000 training images, compared with
# that of real test images, which surely are no copies. *Suspiciously close* is closer than half the distance that 99
# % of the test images keep.


# %%
def to_nearest(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    nearest = torch.cdist(x.flatten(1), train.x.flatten(1)).min(dim=1)
    return nearest.values, nearest.indices


# %% tags=["nbval-ignore-output"]
x = drawn["GAN, trained here"]
far, which = to_nearest(x)
far_test, _ = to_nearest(test.x)
copies, copies_test = [(d < far_test.quantile(0.01) / 2).double().mean().item() for d in (far, far_test)]
assert copies < 0.01
assert far.median() > 0.8 * far_test.median()
show_rows({"generated": x[:14], "nearest training image": train.x[which[:14]]}, scale=0.6)
table(["images", "median distance to the nearest training image", "share suspiciously close"],
      [["real test images", far_test.median().item(), copies_test], ["GAN, trained here", far.median().item(), copies]])  # fmt: skip

# %% [markdown]
# The GAN does not copy. Its generator has never seen a training image, only the slopes of a discriminator. That makes
# copying hard, though not impossible: a discriminator that knows its images by heart can lead a generator to them.
#
# ## 8 · Fidelity against diversity
#
# Can we trade one for the other after training, without changing the networks? Two ways.
#
# **Ask the discriminator.** Draw many images and keep those with the highest scores. We draw 8,000 and keep 1,000, so
# that every set has 1,000 images: all of the first 1,000; the better half of the first 2,000; and so on, up to the
# best eighth of 8,000.

# %%
z = torch.randn(8000, 8, generator=torch.Generator().manual_seed(9))
pool = over_batches(generator, z)
pool_scores = over_batches(discriminator, pool)
parts = [1, 2, 3, 4, 6, 8]  # keep one in so many
kept = [pool[pool_scores[: 1000 * k].topk(1000).indices.sort().values] for k in parts]

# %% [markdown]
# **Truncate the noise.** Brock et al. (2019) draw each number of $z$ from a normal distribution cut off at $\pm t$:
# only numbers near the middle of the bell, in the hope of only typical images. `sample` has it as `truncation`. We
# try it on two shipped models: `gan-mnist`, and `cgan-mnist`, a GAN whose generator is also told which digit to draw
# (it is the subject of the next notebook; here we let it draw all ten equally often).

# %%
cuts = [math.inf, 2.0, 1.5, 1.0, 0.7, 0.5]


@torch.inference_mode()
def truncated(model: nn.Module) -> list[torch.Tensor]:  # 1,000 images for each cut
    return [model.sample(1000, truncation=t, generator=torch.Generator().manual_seed(10)) for t in cuts]


def judged(x: torch.Tensor) -> list[float]:
    return [*precision_recall(real=known, fake=see(x).features), is_readable(x).double().mean().item()]


# %%
told = load_pretrained("cgan-mnist", "cpu")
tried = {"the discriminator's choice": kept, "cut noise, class given": truncated(told), "cut noise, no class": truncated(shipped)}  # fmt: skip
verdict = {name: torch.tensor([judged(x) for x in sets]) for name, sets in tried.items()}

# %%
by_choice, with_class, without_class = verdict.values()  # each (6, 3): precision, recall, readable
assert by_choice[-1, 0] > by_choice[0, 0] + 0.03
assert by_choice[-1, 1] < by_choice[0, 1] - 0.05
assert by_choice[-1, 2] > by_choice[0, 2] + 0.08
assert with_class[3, 0] > with_class[0, 0] + 0.06
assert with_class[3, 1] < with_class[0, 1] - 0.25
assert without_class[:, 0].max() < without_class[0, 0] + 0.05
assert without_class[-1, 0] < without_class[0, 0] - 0.3

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for (name, values), marker in zip(verdict.items(), "o^s", strict=True):
    ax.plot(values[:, 1], values[:, 0], marker=marker, ms=4, label=name)
_, precision, recall, _ = scores["real training images"]
ax.plot(recall, precision, "k*", ms=10, label="real training images")
ax.set(xlabel="recall: diversity", ylabel="precision: fidelity", ylim=(0.1, 1.05))
ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Follow each line from its right end, where nothing is left out. The discriminator's choice goes up and to the left:
# better images, less varied. That is the trade. Cutting the noise makes the same trade, and a far stronger one, for
# the model that is told the class. For the model without a class it makes none: first nothing happens, then
# everything falls. Why?
#
# Cut noise is *short*: all its numbers are small. So let us shrink some noises, to nothing in the end.

# %%
lengths = {"z": 1.0, "z / 2": 0.5, "z / 4": 0.25, "0": 0.0}
z, digits = torch.randn(12, 64, generator=torch.Generator().manual_seed(11)), torch.arange(12) % 10
with torch.inference_mode():
    with_digit = {f"class given, {name}": told(share * z, digits) for name, share in lengths.items()}
    without = {f"no class, {name}": shipped(share * z[:, :16]) for name, share in lengths.items()}
show_rows({**with_digit, **without}, scale=0.6)
assert (see(with_digit["class given, 0"]).probs.argmax(dim=1) == digits).all()
assert (without["no class, 0"] < -0.9).double().mean() > 0.95  # black

# %% [markdown]
# A generator that is told the class still knows what to draw when the noise is zero: a typical digit of that class,
# the middle of all its shapes. The other one has nothing else than its noise. Each *number* of it is most likely near
# 0, but the noise as a whole is not: in 16 dimensions it is almost always about $\sqrt{16} = 4$ long. So short noise
# is not typical but *unknown* to this generator. What it draws for it was never judged; here it is black. The two
# models differ in more than the class (64 numbers of noise against 16, for one), so this is an explanation that fits,
# not a proof. Brock et al. tell of models that cannot be truncated, too. A trick from a famous paper works under its
# conditions; measure before you believe.
#
# ### Try it: two knobs
#
# Move each slider to its ends. The images above belong to the model trained here, those below to the two shipped
# ones. With the first knob, look for digits that disappear. With the second, watch what becomes of the same cut with
# and without a class.

# %%
best, cut, here, there = "keep the best one in", "cut the noise at", "trained here", "shipped"
knobs = [(best, here), (cut, there), (cut, there)]
measures = ("precision ↑", "recall ↑", "share readable ↑")
Explorer(
    [Slider(best, parts, group=here), Slider(cut, ["∞", *cuts[1:]], group=there)],
    [Panel(name, torch.stack(sets)[:, :30], (knob,), columns=15, group=group)
     for (name, sets), (knob, group) in zip(tried.items(), knobs, strict=True)],
    [Readout(measure, values[:, i], (knob,), maximum=1, panel=name, group=group)
     for (name, values), (knob, group) in zip(verdict.items(), knobs, strict=True)
     for i, measure in enumerate(measures)],
    title="Fidelity against diversity",
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# In the best eighth most images are clean digits, but 2, 5 and 8 have become rare: digits that this short training
# draws badly, so the discriminator throws them out. Cutting the noise where the class is given leaves ten tidy digits
# in ever the same handwriting; without a class the images smear, then go out.
#
# </details>
#
# ## 9 · What goes wrong
#
# **The losses do not tell the quality.** Between turn 300 and the end, FID fell to less than half. The
# discriminator's loss stayed where it was: as the images got better, so did the discriminator. A falling loss is no
# progress, and a flat one no standstill. To choose settings, or when to stop, you need a measure from outside.

# %%
turn_300, end = stops.index(300), -1
assert growing_fid[end] < 0.5 * growing_fid[turn_300]
assert abs(recent[end] / recent[turn_300] - 1) < 0.25
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.4), layout="constrained")
left.plot(stops[6:], growing_fid[6:], "-o", ms=3)
left.set(xlabel="turn", title="FID", ylim=(0, None))
right.plot(stops[6:], recent[6:], "-o", ms=3)
right.set(xlabel="turn", title="discriminator's loss", ylim=(0, 2))
plt.show()

# %% [markdown]
# **The balance is delicate.** In section 4 one number, the generator's turns, made the difference between eight modes
# and one. Learning rates, momentum and the sizes of the networks can do the same.
#
# **There is no likelihood.** A GAN can draw from its $q(x)$, but it cannot say what $q(x)$ is for a given image.
# (From 8 numbers of noise it can even reach only a thin 8-dimensional sheet among the images; nearly all images have
# no density at all.) And it has no encoder. Is the discriminator's score not a measure of what is real? Only against
# what the generator happens to make. Here is something that was neither in the data nor among the generated images,
# dark digits on a white ground:

# %%
inverted = over_batches(discriminator, -test.x)
fooled = (inverted > score_of["as they are"]).double().mean()
assert fooled > 0.25
show_images(-test.x[:14], columns=14, scale=0.5)
print("Many inverted digits get a better score than the real digits they were made from.")

# %% [markdown]
# The generator never makes such images, so the discriminator never had to learn that they are wrong.
# $D^* = p / (p + q)$ says nothing where both $p$ and $q$ are zero.
#
# ## 10 · Questions
#
# Think first, then unfold the answer.
#
# **1.** What does the generator's loss become if the discriminator answers one half to everything, and what is its
# gradient then?
#
# <details><summary>Answer</summary>
#
# $-\log \tfrac12 = \log 2$. If the discriminator is constant, its slope is zero everywhere and the generator gets no
# gradient. At the end of the game that is as it should be. At the beginning it would mean that the discriminator has
# learned nothing, and the generator cannot learn from it either.
#
# </details>
#
# **2.** Change this and run again: in section 4, set `r1=20.0` to 5, 1, and 200, and run from there to the table.
# (Put a `#` before the asserts above the table: they state what holds for 20.) What do you find?
#
# <details><summary>Answer</summary>
#
# With 5 two games are mended and one stays collapsed; with 1 all three stay collapsed: five turns are too much for so
# gentle a penalty. With 200 the games are under way, five to seven modes after 300 turns, but slowly: so flat a
# discriminator learns little in each. The right $\gamma$ depends on the scale of the data and on what it has to hold
# against; for the digits, with one turn to one, 1 was enough.
#
# </details>
#
# **3.** Change this and run again: in section 5, give the generator 64 numbers of noise (three places; again without
# the asserts above the table). Better or worse after 750 turns?
#
# <details><summary>Answer</summary>
#
# Worse: about a third of the images can be read in place of about a half. There is 64-dimensional noise to arrange
# and the same short time. With a long training a larger $d$ costs less, but even for the shipped model 16 turned out
# better than 64.
#
# </details>
#
# **4.** A friend multiplies all discriminator scores by 10 after training. Is $D = \sigma(s)$ still near
# $p / (p + q)$? What happens to FID, and to the choice of section 8?
#
# <details><summary>Answer</summary>
#
# $D = \sigma(10 s)$ is far too sure and no longer $p / (p + q)$. FID looks at the generator's images alone and does
# not change. The choice keeps the highest scores; their order is the same, so it does not change either.
#
# </details>
#
# **5.** The Jensen-Shannon divergence of two distributions that do not overlap is $\log 2$, however far apart they
# are. Why is that bad for learning, and how does a Wasserstein loss differ?
#
# <details><summary>Answer</summary>
#
# A measure that is constant has no slope: it cannot say whether the two come nearer. In section 3 the value is close
# to 0 from $\delta = 5$ on, and the minimax pull with it. (The non-saturating loss is a way out that no longer
# minimises the Jensen-Shannon divergence.) The Wasserstein distance says how far one distribution would have to be
# moved to become the other, so it grows with the distance ($\delta$, in our example). Its critic must have a bounded
# slope, which the gradient penalty of Gulrajani et al. enforces.
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | generative adversarial network | 생성적 적대 신경망 | a generator and a discriminator that train against each other |
# | generator | 생성자 | noise to image |
# | discriminator | 판별자 | real or made? |
# | score | 점수 | the discriminator's number $s$; $D = \sigma(s)$ |
# | energy distance | 에너지 거리 | how far two sets of points are apart |
# | min-max game | 최소최대 게임 | one player lowers what the other raises |
# | value of the game | 게임의 가치 | the number they fight over, $V(D, G)$ |
# | Jensen-Shannon divergence | 젠슨-섀넌 발산 | a distance of two densities, between 0 and $\log 2$ |
# | saturating loss | 포화하는 손실 | flat, so without gradient, where it is needed |
# | mode, mode collapse | 모드, 모드 붕괴 | a place where data are dense; a generator that reaches only few of them |
# | gradient penalty | 기울기 벌점 | keeps the discriminator from being steep |
# | exponential moving average | 지수 이동 평균 | a mean of the weights in which older ones count less and less |
# | batch normalisation | 배치 정규화 | brings each channel to mean 0 and variance 1 over the batch |
# | high-frequency detail | 고주파 성분 | edges and fine strokes, the short waves of an image |
# | truncation | 절단 | drawing noise without its large numbers |
#
# ## Read on
#
# - I. Goodfellow et al., *Generative adversarial nets*, NIPS 2014: the game, $D^*$ and the Jensen-Shannon divergence,
#   on nine pages.
# - A. Radford, L. Metz, S. Chintala, *Unsupervised representation learning with deep convolutional generative
#   adversarial networks*, ICLR 2016: DCGAN.
# - L. Metz et al., *Unrolled generative adversarial networks*, ICLR 2017: mode collapse on a ring of Gaussians, and
#   the generator's reply to a fixed discriminator.
# - A. Odena, V. Dumoulin, C. Olah, *Deconvolution and checkerboard artifacts*, Distill, 2016: the grid of section 6.
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN*, ICML 2017, and I. Gulrajani et al., *Improved training of
#   Wasserstein GANs*, NIPS 2017.
# - L. Mescheder, A. Geiger, S. Nowozin, *Which training methods for GANs do actually converge?*, ICML 2018: R1, on
#   examples small enough to solve by hand.
# - T. Miyato et al., *Spectral normalization for generative adversarial networks*, ICLR 2018; Z. Lin et al., *PacGAN:
#   the power of two samples in generative adversarial networks*, NeurIPS 2018.
# - A. Brock, J. Donahue, K. Simonyan, *Large scale GAN training for high fidelity natural image synthesis*, ICLR
#   2019: truncation, and when it fails.
# - S. Azadi et al., *Discriminator rejection sampling*, ICLR 2019: choosing by the discriminator, so that the kept
#   images follow $p$.
#
# Next: **06 · Conditional GAN.**
