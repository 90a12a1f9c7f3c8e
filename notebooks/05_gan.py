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
# pixel, and their images came out soft. A **generative adversarial network** (GAN, 생성적 적대 신경망) has no image to compare
# with. It has an opponent: a second network that looks at an image and says whether it is real or generated. The first
# network learns to deceive the second, the second learns not to be deceived, and if all goes well, both improve.
#
# After this notebook you can
#
# 1. write both networks, their two losses and the alternating updates, from scratch;
# 2. say what the best possible discriminator answers and what the game then measures, and check both where the answer
#    is known;
# 3. watch two distributions move towards each other, and put a number on it;
# 4. provoke mode collapse, measure it so that mere noise does not pass, and mend it in two ways;
# 5. train a GAN on digits and judge it fairly: quality, sharpness, copies, and the trade of diversity for fidelity;
# 6. say what a GAN cannot tell you, and where GANs are used today.
#
# Marks such as (N1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the notebook
# if what the text claims does not hold. It runs on a plain laptop without a GPU in less than four minutes and needs no
# network; with a GPU, the training on digits in section 5 goes on for longer by itself. You need to know what a gradient
# step is, and from notebook 02 precision, recall and FID (the distance between two sets of images, seen through the
# features of a classifier).

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
from course_utils.style import curve
from course_utils.viz import PALETTE, Chart, chart, show_images, show_rows, table

# %% [markdown]
# ## 1 · Two players (N1)
#
# We begin in the plane, where we can see everything. The data are points $x = (x_1, x_2)$ on two half moons.

# %% alt="The data: two interlocking half moons of points in the plane." slide="One player turns noise into points, the other says which points are real" slide_points="**Generator** $G$: noise $z \\sim N(0, I)$ in, a point $\\hat{x} = G(z)$ out | **Discriminator** $D$: a point in, how likely it is to be real out | $D(x) = \\sigma(s(x))$, where the score $s(x)$ is any number"
draw = torch.Generator().manual_seed(0)
real, _ = toy_points("moons", 2000, generator=draw)
fig, ax = plt.subplots(figsize=(3.6, 2.8), layout="constrained")
ax.scatter(*real.T, s=2, color="0.3")
ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), aspect="equal", title="the data", xlabel="$x_1$", ylabel="$x_2$")
plt.show()

# %% [markdown]
# There are two players, each a small network.
#
# - $G$, the **generator** (생성자), turns noise into a point: $\hat{x} = G(z)$. The noise $z$ is drawn from a standard
#   normal, here with two coordinates: $z \sim N(0, I)$. A point that $G$ makes is called *generated* (in code: `fake`).
# - $D$, the **discriminator** (판별자), looks at a point and says how likely it is to be real: $D(x)$ lies between 0
#   (generated) and 1 (real). Its network computes a number of any size, the **score** (점수) $s(x)$, and
#   $D(x) = \sigma(s(x))$ with the sigmoid $\sigma(s) = 1 / (1 + e^{-s})$.


# %%
def layers(inputs: int, outputs: int, width: int = 64) -> list[nn.Module]:
    hidden = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return [*hidden, nn.Linear(width, outputs)]


class PointGenerator(nn.Sequential):
    latent_dim, num_classes = 2, None  # two noise dimensions; no classes (notebook 06 has some)


# %%
def two_players(seed: int) -> tuple[nn.Module, nn.Module]:
    with seeded(seed):
        generator = PointGenerator(*layers(2, 2))  # noise (N, 2) → points (N, 2)
        discriminator = nn.Sequential(*layers(2, 1), nn.Flatten(0))  # points (N, 2) → scores (N,)
    return generator, discriminator


# %% [markdown] slide="No real point appears in the generator's loss" slide_formulas=[1, 2] slide_points="$G$ learns about the data only through the gradient of $D$"
# The discriminator is a classifier with two classes, so its loss is the cross-entropy. For $N$ real points $x_i$ and
# $N$ generated ones it is
#
# $$L_D = -\frac{1}{N} \sum_i \log D(x_i) - \frac{1}{N} \sum_i \log\big(1 - D(G(z_i))\big).$$
#
# The generator wants its points to be taken for real, so its loss is
#
# $$L_G = -\frac{1}{N} \sum_i \log D(G(z_i)).$$
#
# Look at $L_G$: no real point appears in it. All that the generator ever learns about the data reaches it through the
# discriminator's gradient. In code, with $1 - \sigma(s) = \sigma(-s)$:


# %%
def loss_of_discriminator(x: torch.Tensor, x_hat: torch.Tensor) -> torch.Tensor:
    log_real = nn.functional.logsigmoid(discriminator(x))  # log D(x)
    log_fake = nn.functional.logsigmoid(-discriminator(x_hat))  # log(1 - D(x_hat))
    return -log_real.mean() - log_fake.mean()


def loss_of_generator(x_hat: torch.Tensor) -> torch.Tensor:
    return -nn.functional.logsigmoid(discriminator(x_hat)).mean()


generator, discriminator = two_players(seed=0)

# %% [markdown]
# The package has the same losses: `discriminator_loss` and `generator_loss` take scores, and `GAN` holds two players and
# computes the loss that each of them minimises. Given the same noise, both must return our numbers.

# %% tags=["N1"]
from course_utils.gan import GAN, discriminator_loss, generator_loss

game = GAN(generator, discriminator)
z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
ours = torch.stack([loss_of_discriminator(real, generator(z)), loss_of_generator(generator(z))])
of_real, of_fake = discriminator(real), discriminator(generator(z))
from_scores = torch.stack([discriminator_loss(of_real, of_fake), generator_loss(of_fake)])
of_game = torch.stack(
    [
        loss(real, generator=torch.Generator().manual_seed(1))
        for loss in (game.discriminator_loss, game.generator_loss)
    ]
)
assert torch.allclose(ours, from_scores)
assert torch.allclose(ours, of_game)
print("Our two losses are the package's.")

# %% [markdown]
# Before we play, we need a number that says how far apart two sets of points $x$ and $\hat{x}$ are. The **energy distance**
# (에너지 거리) compares the mean distance *between* the sets with the mean distances *within* them:
#
# $$E = 2\, \mathbb{E} \lVert x - \hat{x} \rVert - \mathbb{E} \lVert x - x' \rVert - \mathbb{E} \lVert \hat{x} - \hat{x}' \rVert,$$
#
# where $\mathbb{E}$ is the mean over all pairs, $x'$ is another real point and $\hat{x}'$ another generated one. For
# endlessly many points it is 0 if and only if both sets come from the same distribution. (The code below also pairs each
# point with itself, at distance 0; with 2,000 points that is one pair in 2,000.)


# %%
def energy_distance(x: torch.Tensor, x_hat: torch.Tensor) -> float:
    between = torch.cdist(x, x_hat).mean()
    within = torch.cdist(x, x).mean() + torch.cdist(x_hat, x_hat).mean()
    return (2 * between - within).item()


@torch.inference_mode()
def generated() -> torch.Tensor:  # 2,000 points, always from the same noise
    return generator(torch.randn(2000, 2, generator=torch.Generator().manual_seed(2)))


# %% [markdown]
# Now the game: **the players are updated in turn**, and while one moves, the other stands still. In the discriminator's
# turn, `detach` cuts the path back to the generator; in the generator's turn, only its own optimiser takes a step.
# (Momentum, the first of the two `betas`, is switched off: with each turn of the opponent the right direction changes,
# and momentum would keep going in the old one.)

# %% tags=["N1"] slide="They move in turn: while one moves, the other stands still" slide_code="for _ in" slide_points="`detach`: the turn of $D$ sends no gradient to the generator"
from course_utils.progress import Watch, counted

adam_D = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.0, 0.9))
adam_G = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
start = generated()
for _ in counted(range(400), "turns"):
    x, _ = toy_points("moons", 256, generator=draw)
    x_hat = generator(torch.randn(256, 2, generator=draw))
    adam_D.zero_grad()
    loss_of_discriminator(x, x_hat.detach()).backward()
    adam_D.step()
    adam_G.zero_grad()
    loss_of_generator(generator(torch.randn(256, 2, generator=draw))).backward()
    adam_G.step()
after = generated()
assert energy_distance(real, after) < 0.5 * energy_distance(real, start)
print("After 400 turns each, the distance to the data is less than half of what it was.")

# %% [markdown]
# `fit`, the package's loop, does the same. A GAN simply has two objectives instead of one, and `fit` takes them in turn.

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
# We start again from the same first weights and play 1,000 turns. At chosen moments we keep the generator's points, the
# direction in which its loss would move them, and the discriminator's answer on a grid. The figure follows the game: the
# losses, and below them the generated points, drawn anew every few seconds.

# %%
moments = [0, 10, 20, 30, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 600, 700, 850, 1000]
across, up = torch.linspace(-3, 3, 61), torch.linspace(-2.3, 2.3, 47)
grid = torch.cartesian_prod(across, up)


def look() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points = generated().clone()
    some = points[:60].clone().requires_grad_()
    (slope,) = torch.autograd.grad(60 * loss_of_generator(some), some)  # of each point's own loss
    field = discriminator(grid).sigmoid().detach().view(61, 47).T
    return points, -slope, field


# %% alt="The losses of both players swing at first and then settle, the discriminator's near 1.4, the generator's near 0.7. Below, the generated points lie along the two half moons."
def show_points(ax: plt.Axes) -> None:
    ax.scatter(*real.T, s=2, color="0.8")
    ax.scatter(*generated().T, s=2, color=PALETTE[1])
    ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


generator, discriminator = two_players(seed=0)
moons = [(toy_points("moons", 256, generator=draw)[0],) for _ in range(1000)]
film, losses = [look()], []
for record in fit(objectives(GAN(generator, discriminator)), moons, picture=show_points, device="cpu"):
    losses.append(list(record.losses.values()))
    if record.step in moments:
        film.append(look())

# %% [markdown]
# Do the two distributions move towards each other? The energy distance tells us. Its value for two sets of 2,000 *real*
# points is about the lowest that we can expect. And what do the losses say?

# %% tags=["N3"]
distance = [energy_distance(real, points) for points, _, _ in film]
floor = energy_distance(real, toy_points("moons", 2000, generator=draw)[0])
of_players = torch.tensor(losses)  # (1000, 2): discriminator, generator
answer_half = torch.tensor([2 * math.log(2), math.log(2)])
smooth = of_players[100:].unfold(0, 50, 50).mean(dim=-1)  # means of fifty turns each, from turn 100 on
assert max(distance[-3:]) < 0.1 * distance[0]
assert (smooth - answer_half).abs().max() < 0.1
assert min(distance[10:]) < 0.5 * distance[7]  # from turn 200 on; at turn 100

# %% alt="Left, the energy distance to the real points falls steeply, then goes up and down a little, above the line of other real points. Right, the two losses swing at first and then stay at their dotted lines." slide="From turn 100 on the losses stay nearly level, yet the points still get closer"
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
left.plot(moments, distance, "-o", ms=3, label="generated points")
left.axhline(floor, color="black", ls=":", lw=0.8, label="other real points")
left.set(yscale="log", xlabel="turn", ylabel="energy distance", title="distance to the real points")
left.legend(frameon=False, fontsize=8)
for k, name in enumerate(("discriminator", "generator")):
    right.plot(of_players[:, k], lw=0.8, **curve(k))
    right.text(1040, answer_half[k], name, color=PALETTE[k], va="center", fontsize=8)
right.hlines(answer_half, 0, 1000, color="black", ls=":", lw=0.8)
right.set(xlabel="turn", ylabel="loss", title="the two losses")
plt.show()

# %% [markdown]
# Left: the distance falls to less than a tenth, though not evenly. Right: the losses swing at first. From turn 100 on,
# averaged over fifty turns, they stay near the dotted lines, $2 \log 2$ and $\log 2$, which are their values when the
# discriminator answers one half to everything. Yet the distance later falls to less than half of what it is at turn 100.
# The losses alone would not have told you. Keep that in mind for section 9.
#
# ### Try it: the game, turn by turn (N3)
#
# Black points are real, orange crosses generated. The background is the discriminator's answer: blue where it
# says "real", red where it says "generated". The arrows show where the generator's loss would move some of its points.
# Press play, then drag slowly through the first 200 turns.


# %%
from course_utils.explorers import Choice, Explorer, Pad, Panel, Readout, Slider


def draw_turn(points: torch.Tensor, pull: torch.Tensor, field: torch.Tensor) -> Chart:
    fig, ax = plt.subplots(figsize=(5.2, 3.9), layout="constrained")
    ax.contourf(across, up, field, levels=torch.linspace(0, 1, 21), cmap="RdBu", alpha=0.6)
    ax.scatter(*real[:400].T, s=3, color="black")
    ax.scatter(*points[:400].T, s=10, marker="x", lw=0.8, color=PALETTE[1])
    ax.quiver(*points[: len(pull)].T, *pull.T, angles="xy", scale_units="xy", scale=1.5, width=0.004)
    ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), xticks=[], yticks=[], aspect="equal")
    return chart(fig)


# %% slide="How do the points find the two moons?"
by = ("turn",)
frames = [draw_turn(*moment) for moment in film]
lately = [
    of_players[max(0, m - 10) : max(m, 1), 0].mean().item() for m in moments
]  # at turn 0: the first turn's
Explorer(
    [Slider("turn", moments, play=True, interval=0.6)],
    [Panel("dots: real; crosses: generated; blue: D says real", frames, by)],
    [
        Readout("energy distance to the data ↓", distance, by),
        Readout("discriminator's loss, mean of ten turns", lately, by),
    ],
    title="The game in the plane",
    hint="Try: press play, then drag slowly through the first 200 turns.", index=[moments.index(40)], colors=64,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At turn 0 the generated points are one heap and the background is nearly white: the discriminator has no opinion yet.
# In the first turns the places with real points and no generated ones turn blue, and the arrows lead there. The points
# run past the moons and are sent back. Little by little the cloud takes the shape of the two moons, and the arrows of
# the stragglers in between point to the moons. Where real and generated points lie together the background stays nearly
# white, which means one half. Strong colour is left only where there are hardly any points.
#
# </details>

# %% [markdown] slide="Against the best discriminator, lowering V lowers the Jensen-Shannon divergence"
# ## 3 · What the game is about (N2)
#
# Both players act on one number, the **value** (게임의 값) of the game,
#
# $$V(D, G) = \mathbb{E}_{x \sim p} \big[\log D(x)\big] + \mathbb{E}_{x \sim q} \big[\log (1 - D(x))\big],$$
#
# where $p$ is the density of the data and $q$ that of what the generator makes. The discriminator **maximises** it
# (that is what lowering $L_D = -V$ does), the generator **minimises** it:
#
# $$\min_G \max_D V(D, G).$$
#
# This **min-max game** (최소최대 게임) has a known answer. Hold the generator still. Suppose that the discriminator can
# choose its answer at each place $x$ freely. Then $p \log D + q \log(1 - D)$ is largest where its derivative
# $p / D - q / (1 - D)$ is 0, that is at
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}.$$
#
# It is one half where both densities are equal. Put $D^*$ back into $V$ and collect the terms. With the
# Kullback-Leibler divergence $D_{\mathrm{KL}}(p \,\Vert\, m) = \int p \log (p / m)$ from notebook 04, the result is
#
# $$V(D^*, G) = 2\, \mathrm{JSD}(p, q) - \log 4, \qquad \mathrm{JSD}(p, q) = \tfrac12 D_{\mathrm{KL}}(p \,\Vert\, m) + \tfrac12 D_{\mathrm{KL}}(q \,\Vert\, m), \quad m = \tfrac12 (p + q).$$
#
# The **Jensen-Shannon divergence** (젠슨-섀넌 발산) JSD says how different two densities are. It is 0 if and only if they are
# equal, and reaches its maximum $\log 2$ when they do not overlap. So a generator that minimises $V$ against the best
# discriminator makes $q$ equal to $p$, if it is powerful enough, and then $V = -\log 4$. (Section 1 used another loss
# for the generator, for a reason that comes soon. $D^*$ is the same for both, and so is the goal: at $q = p$ neither
# player is pulled away.)
#
# ### Check it where the answer is known (N2)
#
# Let $x$ be a single number, $p$ two bumps, and $q$ the same two bumps, moved to the right by $\delta$. Both densities are
# known, so $D^*$ is known, and the integrals in JSD can be computed as sums over a fine grid.


# %%
def bump(x: torch.Tensor, mean: float, spread: float) -> torch.Tensor:
    return torch.exp(-((x - mean) ** 2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))


def density(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * bump(x, -1.2, 0.5) + 0.5 * bump(x, 1.2, 0.8)


def draw_points(n: int) -> torch.Tensor:  # (n, 1), from that density
    left, eps = torch.rand(n, 1, generator=draw) < 0.5, torch.randn(n, 1, generator=draw)
    return torch.where(left, -1.2 + 0.5 * eps, 1.2 + 0.8 * eps)


# %%
line = torch.linspace(-6, 12, 1801, dtype=torch.float64)
p = density(line)


def kl(p: torch.Tensor, q: torch.Tensor) -> float:
    return (p * (p / q).log()).sum().item() * 0.01  # the grid's step


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> float:
    return kl(p, (p + q) / 2) / 2 + kl(q, (p + q) / 2) / 2


# %% [markdown]
# For each of eight shifts $\delta$ we train a separate discriminator, on fresh points in each step. It knows nothing of
# the formulas. We estimate its value on 100,000 new points of each kind. (`kind` and `penalty` are for later in this
# section.)

# %%
from course_utils.gan import gradient_penalty


def train_discriminator(delta: float, kind: str = "non-saturating", penalty: float = 0.0) -> nn.Module:
    with seeded(0):
        D = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    nn.init.zeros_(D[-1].weight)  # it begins without an opinion
    steps = 120 if penalty else 400
    optimizer = torch.optim.Adam(D.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x, x_hat = draw_points(300), draw_points(300) + delta
        loss = discriminator_loss(D(x), D(x_hat), kind=kind)
        if penalty:
            loss = loss + penalty * gradient_penalty(D, x, x_hat, generator=draw)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return D.requires_grad_(False)


# %%
deltas = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0]
trained = {delta: train_discriminator(delta) for delta in counted(deltas, "shifts")}

# %% tags=["N2"]
answers = {delta: D(line[:, None].float())[:, 0].sigmoid() for delta, D in trained.items()}
optimal = {delta: p / (p + density(line - delta)) for delta in deltas}
known_value = {delta: 2 * jensen_shannon(p, density(line - delta)) - math.log(4) for delta in deltas}
value = {
    delta: -discriminator_loss(D(draw_points(100_000)), D(draw_points(100_000) + delta)).item()
    for delta, D in trained.items()
}
where = {delta: p + density(line - delta) > 0.05 for delta in deltas}  # elsewhere D has hardly seen a point
off = torch.stack([(answers[d] - optimal[d])[where[d]].abs().mean() for d in deltas])
assert off.max() < 0.05
assert all(abs(value[delta] - known_value[delta]) < 0.03 for delta in deltas)
print("At all eight distances: where there are points, D is on average within 0.05 of p / (p + q),")
print("and V is within 0.03 of 2 JSD − log 4.")

# %% alt="Left, two overlapping densities and the trained discriminator's answer, which follows p / (p + q). Right, the value of the game at eight distances, on the exact curve from −log 4 up to 0." slide="Nobody told it p and q, yet the trained D follows p / (p + q), and V its exact curve"
shifts = torch.linspace(0, 6, 121).tolist()
exact_value = [2 * jensen_shannon(p, density(line - delta)) - math.log(4) for delta in shifts]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.fill_between(line, p, color=PALETTE[0], alpha=0.3, hatch="///", label="p, the data")
left.fill_between(line, density(line - 2), color=PALETTE[1], alpha=0.3, label="q, generated")
left.plot(line, optimal[2.0], color="black", ls="-", lw=1, label="p / (p + q)")
left.plot(line, answers[2.0], "--", color=PALETTE[3], label="D, trained")
left.set(xlim=(-4, 6), xlabel="x", ylabel="density; answer D(x)", title="δ = 2")
left.legend(frameon=False, fontsize=8)
right.plot(shifts, exact_value, color="black", ls="-", lw=1, label="2 JSD − log 4")
right.plot(deltas, value.values(), "o", color=PALETTE[3], label="V of the trained D")
right.axhline(-math.log(4), color="0.5", ls=":", label="− log 4")
right.legend(frameon=False, fontsize=8)
right.set(xlabel="δ, how far q is from p", ylabel="V", title="the value of the game")
plt.show()

# %% [markdown]
# Left: nobody told the discriminator the two densities, yet its answer (dashed) follows $p / (p + q)$ (black). A
# well-trained discriminator *measures* how much more likely a point is under $p$ than under $q$. Right: its value
# follows the exact curve from nearly 0, where $p$ and $q$ hardly overlap, down to $-\log 4$ (dotted), where they are the
# same.
#
# Both statements have a condition: the discriminator must be powerful enough, and fully trained for this very $q$. In
# a real game it takes one step, and then $q$ has moved.
#
# ### Where the gradient goes (N2)
#
# In the min-max game the generator lowers $V$, that is $\log(1 - D(\hat{x}))$ (the loss `minimax`). Section 1 used
# $-\log D(\hat{x})$ (the loss `non-saturating`). Both fall as $D(\hat{x})$ rises. Why the change? Compare how strongly the
# score $s$ of one generated point is pulled upwards, $-\partial L_G / \partial s$. We add three other losses that are in
# use: `least-squares` is $\tfrac12 (s - 1)^2$; `hinge` and `wasserstein` are both $-s$ for the generator.

# %% tags=["N2"]
from course_utils.gan import LOSSES

scores = torch.linspace(-6, 6, 121, requires_grad=True)
pulls = {kind: -torch.autograd.grad(121 * generator_loss(scores, kind=kind), scores)[0] for kind in LOSSES}
sure = scores < -5  # points that the discriminator has seen through: D < 0.007
assert pulls["minimax"][sure].max() < 0.01
assert min(pulls[kind][sure].min() for kind in LOSSES if kind != "minimax") > 0.99
print("At the far left the minimax pull is gone; the four others still pull.")

# %% alt="How strongly five losses pull a score upwards. Minimax is flat at the left, where the image is seen through; non-saturating is flat at the right; least-squares is a falling line; hinge and Wasserstein are constant." slide="At points that D has seen through, minimax hardly pulls; the other losses do"
fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for kind, marker in zip(LOSSES, ("", "", "", "", "s"), strict=True):
    ax.plot(scores.detach(), pulls[kind], marker=marker, markevery=15, ms=4, label=kind)
ax.set(
    xlabel="score s of a generated image: seen through ← → taken for real",
    ylabel="pull upwards, $-\\partial L_G / \\partial s$",
    title="how strongly each loss pulls a score",
    ylim=(-1.2, 3.2),
)
ax.legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown] slide="Against the best D, the pull is the slope of what the generator's loss descends" slide_formulas=[1] slide_points="**Minimax** descends $2\\, \\mathrm{JSD}$: flat where $p$ and $q$ hardly overlap | **Non-saturating** descends $D_{\\mathrm{KL}}(q \\,\\Vert\\, p) - 2\\, \\mathrm{JSD}$: not flat there | **Wasserstein**: the mean distance to move, here $\\delta$ itself; its critic must not be steeper than 1"
# Suppose that the discriminator sees through every generated image, as it easily does early on: all scores are far to
# the left. There the minimax loss is flat (it **saturates**, 포화): the generator would learn least where it has most to
# learn. The non-saturating loss pulls at full strength there, and lets go on the right, where nothing is left to gain.
# Least squares pulls harder the farther a score lies below 1, and pulls *back* beyond 1. Hinge and Wasserstein (two
# lines, one on top of the other) pull equally hard everywhere.
#
# ### The pull as a slope (N2)
#
# A pull on scores is not yet a pull on the generator. In our example the "generator" has a single parameter, the shift
# $\delta$, and it should go down to 0. We call the slope $\partial L_G / \partial \delta$ the pull towards 0. It is known
# exactly. At $D^*$ the value has its maximum in $D$; so if $\delta$ moves a little, the small change of $D^*$ does not
# count, and $V$ changes as if the discriminator stood still. The minimax pull against the best discriminator is
# therefore the **slope of the exact curve** above:
#
# $$\text{pull} = \frac{d}{d\delta} \big[ 2\, \mathrm{JSD}(p, q_\delta) - \log 4 \big].$$
#
# The non-saturating loss descends another quantity, $D_{\mathrm{KL}}(q \,\Vert\, p) - 2\, \mathrm{JSD}(p, q)$
# (Arjovsky and Bottou, 2017). Its first term grows without bound where $q$ has points that $p$ hardly allows, so it still
# has a slope where JSD has almost none.
#
# A third answer is to change the discriminator. The **Wasserstein distance** (바서슈타인 거리) is the smallest mean distance
# over which the points of $q$ must be moved to turn $q$ into $p$. Here it is simply $\delta$, with slope 1 everywhere.
# It is also the largest value of $\mathbb{E}_p\, s(x) - \mathbb{E}_q\, s(x)$ over all scores that are **1-Lipschitz**
# (1-립시츠): between two points, the score changes by no more than their distance, so its slope is never above 1. The
# discriminator, then called a *critic* (크리틱), is trained to raise that difference.
#
# **WGAN-GP** (Gulrajani et al., 2017) keeps the slope near 1 by a **gradient penalty** (그래디언트 페널티) in the critic's
# loss: $\lambda\, \mathbb{E}\, (\lVert \nabla_x s \rVert - 1)^2$ at random points between real and generated ones, with
# $\lambda = 10$. ($\nabla_x s$ is the gradient of the score with respect to the *input* $x$, not the weights.) In the
# function above it is one line. A critic gets only 120 steps, since each costs a second gradient; its best score is
# nearly a straight line, so that is enough.

# %%
critics = {delta: train_discriminator(delta, "wasserstein", penalty=10.0) for delta in deltas}


def pull_on_shift(D: nn.Module, delta: float, kind: str) -> float:
    shift = torch.tensor(delta, requires_grad=True)
    loss = generator_loss(D(draw_points(20_000) + shift), kind=kind)
    return torch.autograd.grad(loss, shift)[0].item()  # how much the loss grows with the shift


exact_kl = [kl(density(line - delta), p) for delta in shifts]
exact = {
    "minimax": torch.gradient(torch.tensor(exact_value), spacing=0.05)[0],
    "non-saturating": torch.gradient(torch.tensor(exact_kl) - torch.tensor(exact_value), spacing=0.05)[0],
    "wasserstein": torch.ones(len(shifts)),
}

# %% tags=["N2"]
by_shift = {
    kind: torch.tensor(
        [pull_on_shift((critics if kind == "wasserstein" else trained)[d], d, kind) for d in deltas]
    )
    for kind in exact
}
at = [round(delta / 0.05) for delta in deltas]
minimax, non_saturating, wasserstein = by_shift.values()
x = draw_points(2000).requires_grad_()
(at_rest,) = torch.autograd.grad(critics[0.0](x).sum(), x)  # the critic's slope where q has arrived
assert (minimax - exact["minimax"][at])[:-1].abs().max() < 0.06
assert (non_saturating - exact["non-saturating"][at])[5:7].abs().max() < 0.08  # δ = 1 and 0.5
assert (non_saturating < exact["non-saturating"][at] - 0.1)[:5].all()  # δ = 6 … 2
assert minimax[0] < 0.1 * non_saturating[0]
assert non_saturating[0] < non_saturating[1] - 0.1  # less at δ = 6 than at 5
assert max(abs(minimax[-1]), abs(non_saturating[-1])) < 0.1
assert (wasserstein - 1 - torch.tensor(deltas) / 20)[:-1].abs().max() < 0.1
assert at_rest.abs().mean() > 0.5

# %% alt="The pull on the generator against how far q is from p. Minimax follows its exact curve and vanishes far away; the non-saturating pull stays strong, below its exact line; Wasserstein's stays near 1." slide="Far away minimax hardly pulls, non-saturating still does, Wasserstein does not fade"
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for k, (kind, marker) in enumerate(zip(exact, "os^", strict=True)):
    ax.plot(shifts, exact[kind], lw=1, color=PALETTE[k], ls=("-", "--", ":")[k])
    ax.plot(deltas[: 7 if kind == "wasserstein" else 8], by_shift[kind][: 7 if kind == "wasserstein" else 8],
            marker, color=PALETTE[k], ms=5, label=f"{kind}, trained")  # fmt: skip
ax.plot([], [], "k-", lw=1, label="lines: exact")
ax.set(
    xlabel="δ, how far q is from p",
    ylabel="pull towards δ = 0",
    ylim=(-0.15, 2.4),
    title="the pull on the generator",
)
ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# The minimax pulls of the trained discriminators (circles) follow the slope of the exact curve, bends and all, and at
# $\delta = 6$, where the generator has the longest way to go, hardly anything is left. The non-saturating pull
# (squares) is still strong there (less than at 5, and far below its exact line, which leaves the frame near
# $\delta = 3$). Up to $\delta = 1$ it lies on its exact curve; farther out it stays below, because the best score is very
# steep where $q$ lies and $p$ is nearly 0, steeper than the trained one. At $\delta = 0$ both
# pulls vanish, as they should.
#
# The Wasserstein pull (triangles) does not fade, however far away $q$ is. It is a little more than 1, since a penalty
# is not a wall: a critic of slope $a$ gains $\delta a$ and pays $\lambda (a - 1)^2$, and the difference is largest
# at $a = 1 + \delta / (2 \lambda)$, here $1 + \delta / 20$. And at $\delta = 0$ (not drawn) the critic is not flat: the
# penalty asks for a slope of length 1 even when $q$ has arrived, in whichever direction.
#
# ### Try it: move q towards p (N2)
#
# Above: $p$ (hatched) and $q$ (plain). Below: the answer of the discriminator that was trained against this $q$
# (dashed), on $p / (p + q)$ (black). Where does it answer one half? What does it answer when $q$ has arrived? Note how
# steep it is where $q$ lies, since only a slope can pull $q$. (The picture shows $D$. Where $D$ is nearly 0 it looks
# flat, though its score $s$ may be steep; the non-saturating loss sees the score.)


# %%
def draw_shift(delta: float) -> Chart:
    x = line[::12]
    fig, (above, below) = plt.subplots(2, 1, figsize=(3.6, 3.2), sharex=True, layout="constrained")
    above.fill_between(x, p[::12], facecolor=(PALETTE[0], 0.4), edgecolor="white", lw=0, hatch="///")
    above.fill_between(x, density(x - delta), color=PALETTE[1], alpha=0.4)
    above.set(yticks=[], ylabel="p, q", title=f"δ = {delta:g}")
    below.plot(x, optimal[delta][::12], color="black", ls="-", lw=1.5)
    below.plot(x, answers[delta][::12], "--", color=PALETTE[3], lw=2)
    below.axhline(0.5, color="0.6", ls=":")
    below.set(xlim=(-4, 9), ylim=(-0.05, 1.05), yticks=[0, 0.5, 1], xlabel="x", ylabel="D(x)")
    return chart(fig)


# %% slide="What does D answer once q has arrived?"
by = ("shift δ",)
rounded = {kind: (pull.round(decimals=2) + 0.0).tolist() for kind, pull in by_shift.items()}  # no "-0.00"
Explorer(
    [Slider("shift δ", deltas, play=True, interval=0.9)],
    [Panel("p hatched, q plain; D dashed on p / (p + q)", [draw_shift(delta) for delta in deltas], by)],
    [
        Readout("value V of the trained D", [f"{value[delta]:.3f}" for delta in deltas], by),
        Readout("2 JSD − log 4", [f"{known_value[delta]:.3f}" for delta in deltas], by),
        Readout("pull on δ, minimax", rounded["minimax"], by, maximum=2),
        Readout("pull on δ, non-saturating", rounded["non-saturating"], by, maximum=2),
    ],
    title="Move q towards p",
    hint="Try: bring q to p. What does D answer when it has arrived?", colors=32,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# When $p$ and $q$ are far apart, the discriminator is a step between the two, sure on both sides and flat where $q$
# lies, so that a generator that follows the slope of $\log(1 - D)$ feels almost nothing. As $q$ moves in, the answer takes
# the shape of the ratio, with a dent where a bump of $q$ meets the other bump of $p$. At $\delta = 0$ it is one half
# everywhere, and the value is $-\log 4$, about $-1.386$.
#
# </details>

# %% [markdown]
# ## 4 · Mode collapse, and two ways to mend it (N3)
#
# The data are now eight small Gaussians on a ring, so that we can count. A place where data are dense is a **mode**
# (모드). Each Gaussian has the standard deviation 0.15, and its centre lies 2 from the origin. A point is *near* a mode if
# it lies within three standard deviations of the centre. We say that a generator *covers* a mode if at least 1 % of its
# points are near it.
#
# Could a cloud that knows nothing of the modes pass such a test? Let us ask before we play. Beside real points we
# judge noise of two widths and a plain ring of radius 2, by three numbers: modes covered, share of points near a mode,
# and energy distance to real points.

# %%
angle = torch.arange(8) * math.pi / 4
centres = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
real_ring, _ = toy_points("gaussians", 1000, generator=draw)


def measures(points: torch.Tensor) -> tuple[float, float, float]:
    distance, which = torch.cdist(points, centres).min(dim=1)
    near = distance < 3 * 0.15
    counts = torch.bincount(which[near], minlength=8)
    covered = (counts >= 0.01 * len(points)).sum().item()
    return covered, near.double().mean().item(), energy_distance(real_ring, points)


# %% tags=["N3", "nbval-ignore-output"] slide="Coverage alone proves nothing: wide noise reaches nearly all eight modes" slide_points="A cure must cover nearly all modes and put clearly more points near them than a plain ring"
turned = 2 * math.pi * torch.rand(1000, generator=draw)
known_clouds = {
    "other real points": toy_points("gaussians", 1000, generator=draw)[0],
    "noise, N(0, I)": torch.randn(1000, 2, generator=draw),
    "noise, 1.5 times as wide": 1.5 * torch.randn(1000, 2, generator=draw),
    "plain ring, no modes": 2 * torch.stack([turned.cos(), turned.sin()], dim=1),
}
judged_clouds = {name: measures(x) for name, x in known_clouds.items()}
assert min(judged_clouds["noise, 1.5 times as wide"][0], judged_clouds["plain ring, no modes"][0]) >= 7
assert judged_clouds["other real points"][1] > 0.95
assert 0.45 < judged_clouds["plain ring, no modes"][1] < 0.7
assert judged_clouds["noise, N(0, I)"][2] > 5 * judged_clouds["plain ring, no modes"][2]
assert judged_clouds["plain ring, no modes"][2] < 0.5 * judged_clouds["noise, 1.5 times as wide"][2]
table(["points", "modes covered", "share near a mode", "energy distance"],
      [[name, *values] for name, values in judged_clouds.items()])  # fmt: skip

# %% [markdown]
# Coverage alone is worthless: wide noise and the plain ring "cover" at least seven of the eight modes. The share near a
# mode tells them apart from the data: of real points nearly all are near a mode, of the plain ring only about half or a
# little more, by accident. The energy distance sees that noise is wrong, but puts the ring close to real points. So we
# shall say that a cure *mends* the game only if all three games cover nearly all modes **and** on average have a
# clearly larger share near them than a plain ring.
#
# ### Provoke it (N3)
#
# By section 3 the generator ought to play against the *best* discriminator. Let us do the opposite and favour the
# generator: five turns for each turn of the discriminator, and steps twice as long. It then faces a discriminator that
# hardly moves. What is the best reply to a fixed $D$? To put *every* point where $D$ is highest: one place, whatever
# the noise. As soon as the discriminator has learned to reject that place, the generator moves on to another. This is
# **mode collapse** (모드 붕괴).
#
# A single game may be luck, so we always play three, with different first weights. To save time they run side by side:
# each layer holds the weights of three networks, and the batched matrix product `baddbmm` lets each of them see only its
# own points.

# %%
GAMES = 3


class SideBySide(nn.Module):  # one linear layer for each game: (games, N, inputs) → (games, N, outputs)
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        first = [nn.Linear(inputs, outputs) for _ in range(GAMES)]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in first]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in first]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def networks(inputs: int, outputs: int, width: int = 64) -> nn.Module:
    first, second = SideBySide(inputs, width), SideBySide(width, width)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), SideBySide(width, outputs))


# %% [markdown]
# One round of the game is one turn of the discriminator and `turns` of the generator. In the last third of the rounds the
# steps become shorter, down to 0 (`LambdaLR`), so that the last pictures do not show the jitter of long steps. (`r1` and
# `pack` belong to the two cures; we come to them in a moment.)

# %%
from course_utils.gan import r1_penalty

ROUNDS, Z = 510, torch.randn(GAMES, 1000, 2, generator=torch.Generator().manual_seed(3))


def take_step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def side_by_side(games: torch.Tensor, ax: plt.Axes) -> None:  # (games, n, 2)
    for k, x in enumerate(games):
        ax.scatter(*(centres + torch.tensor([8.0 * k, 0.0])).T, s=60, color="0.85")
        ax.scatter(x[:, 0] + 8 * k, x[:, 1], s=1.5, color=PALETTE[1])
    ax.set(xlim=(-4, 8 * len(games) - 4), ylim=(-3.5, 3.5), aspect="equal", xticks=[], ylabel="$x_2$")


# %%
def play_ring(seed: int, turns: int = 5, lr_G: float = 2e-3, r1: float = 0.0, pack: int = 1) -> torch.Tensor:
    with seeded(seed):
        G, D = networks(2, 2), networks(2 * pack, 1)
    both = [
        torch.optim.Adam(player.parameters(), lr, betas=(0.0, 0.9)) for player, lr in ((D, 1e-3), (G, lr_G))
    ]
    shorter = [torch.optim.lr_scheduler.LambdaLR(adam, lambda k: min(1, 3 - 3 * k / ROUNDS)) for adam in both]
    draw, film = torch.Generator().manual_seed(seed), []

    def score(x: torch.Tensor) -> torch.Tensor:  # `pack` points get one score together
        return D(x.reshape(GAMES, -1, 2 * pack)).flatten()

    with Watch(ROUNDS, lambda ax: side_by_side(G(Z), ax)) as round_done:
        for round_ in range(1, ROUNDS + 1):
            x = toy_points("gaussians", GAMES * 128, generator=draw)[0].view(GAMES, 128, 2)
            loss = discriminator_loss(score(x), score(G(torch.randn(x.shape, generator=draw)).detach()))
            loss = loss + (r1 / 2 * r1_penalty(score, x) / 128 if r1 else 0.0)  # the mean over 128 points
            take_step(both[0], loss)
            for _ in range(turns):
                take_step(both[1], generator_loss(score(G(torch.randn(x.shape, generator=draw)))))
            for schedule in shorter:
                schedule.step()
            if round_ % (ROUNDS // 15) == 0:
                film.append(G(Z).detach())
            round_done({"discriminator": loss.item()})
    return torch.stack(film, dim=1)  # (games, 15 moments, 1000, 2)


# %% alt=["The discriminator's loss in the game of one turn to one. Below, three rings of eight grey discs side by side, one for each game: in some the generated points lie along the ring, in others off it.", "The discriminator's loss in the game of five turns to one. Below, the same three rings; the generated points sit in a few clumps."]
ring_films = {"one to one": play_ring(0, turns=1, lr_G=1e-3), "five to one": play_ring(0)}
moments_of_ring = range(ROUNDS // 15, ROUNDS + 1, ROUNDS // 15)

# %% [markdown]
# Below are the three games of five turns to one, each at five moments. Grey discs show where the data are; a number
# above a picture counts the points outside its frame.


# %%
def show_games(films: torch.Tensor, title: str) -> None:
    fig, axes = plt.subplots(3, 5, figsize=(7.5, 4.8), sharex=True, sharey=True, layout="constrained")
    for k, (row, game_film) in enumerate(zip(axes, films, strict=True), 1):
        for ax, moment in zip(row, (2, 5, 8, 11, 14), strict=True):
            x = game_film[moment]
            ax.scatter(*centres.T, s=90, color="0.85")
            ax.scatter(*x.T, s=1.5, color=PALETTE[1])
            ax.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal")
            if outside := (x.abs() > 3.5).any(dim=1).sum().item():
                ax.text(3.5, 3.6, f"{outside} outside", ha="right", va="bottom", fontsize=7)
        row[0].set_ylabel(f"game {k}\n$x_2$")
    for ax, moment in zip(axes[0], (2, 5, 8, 11, 14), strict=True):
        ax.set_title(f"round {moments_of_ring[moment]}", fontsize=9, pad=12)
    for ax in axes[-1]:
        ax.set_xlabel("$x_1$")
    fig.suptitle(title, fontsize=10)
    plt.show()


# %% alt="Three games at five moments: grey discs mark eight modes on a ring, and the generated points form one small heap that wanders from place to place." slide="Mode collapse: in most pictures the points cover at most two modes, and they wander"
show_games(ring_films["five to one"], "the generator favoured: collapse")

# %% tags=["N3"]
collapsed = ring_films["five to one"]
few = torch.tensor([measures(x)[0] <= 2 for x in collapsed.flatten(0, 1)])  # 3 games at 15 moments
walked = collapsed.mean(dim=2).diff(dim=1).norm(dim=-1)  # by the middle of the points, between two moments
assert few.double().mean() > 0.6
assert walked.median() > 2

# %% [markdown] slide="The smallest GAN has two numbers: a generated point θ and the slope ψ of the score" slide_formulas=[1] slide_points="All data are the point 0; the solution is $\\theta = \\psi = 0$ | Each player takes a step down its own loss; $\\gamma$ belongs to a penalty, for now it is 0"
# In most of the pictures a thousand different noise vectors end in one clump or along one thread, which covers no
# more than two modes, and often none: the clump overshoots. (The cell above counts all fifteen moments of the three
# games; a single game may break free at some time.) And the clump does not stay: from one moment to the next its middle
# typically moves by more than 2, the radius of the ring.
#
# The obvious cure is to restore the balance, one turn each; you find it in the table below. But with large networks you
# cannot always see what upset the balance. Two cures help even against a favoured generator. To understand the first,
# we look at a much smaller game.
#
# ### Why it wanders: the smallest GAN there is (N3)
#
# Why does the clump move on instead of settling? A game with only two numbers shows one reason (Mescheder et al., 2018).
# All data are the single point 0. The generator has one parameter: it always makes the point $\theta$. The
# discriminator has one, too: its score is $s(x) = \psi x$. The solution is $\theta = \psi = 0$. With step size $\eta$ the
# two turns are
#
# $$\psi \leftarrow \psi - \eta \big( \theta\, \sigma(\psi \theta) + \gamma \psi \big), \qquad \theta \leftarrow \theta + \eta\, \psi\, \sigma(\psi \theta).$$
#
# (This is the min-max game. The non-saturating loss has $\sigma(-\psi \theta)$ in the last place, which is nearly the same
# close to the solution.) The number $\gamma$ belongs to a penalty that comes next; for now it is 0. If $\theta$ is too
# far to the right, $\psi$ becomes negative and pushes it left; but when $\theta$ arrives at 0, $\psi$ is still negative
# and pushes on.

# %%
sigmoid = torch.sigmoid


def dirac_gan(gamma: float, eta: float = 0.1, turns: int = 600) -> torch.Tensor:
    theta, psi = torch.tensor(1.5), torch.tensor(0.0)
    path = [torch.stack([theta, psi])]
    for _ in range(turns):
        psi = psi - eta * (theta * sigmoid(psi * theta) + gamma * psi)
        theta = theta + eta * psi * sigmoid(psi * theta)
        path.append(torch.stack([theta, psi]))
    return torch.stack(path)  # (turns + 1, 2)


# %% tags=["N3"]
paths = {gamma: dirac_gan(gamma) for gamma in (0.0, 0.3)}
radius = {gamma: path.norm(dim=1) for gamma, path in paths.items()}
rounds_of = torch.atan2(paths[0.0][:, 1], paths[0.0][:, 0]).diff().abs().gt(3).sum().item()
assert radius[0.0].min() > 1.4  # they began at 1.5
assert rounds_of >= 3
assert radius[0.3][-1] < 0.01

# %% alt="Two maps of the smallest GAN, with arrows. Without a penalty the path is a circle around the solution; with R1 it is a spiral that ends there." slide="Without a penalty the two players circle the solution; with R1 they end there"
fig, axes = plt.subplots(1, 2, figsize=(8.3, 3.4), sharey=True, layout="constrained")
theta, psi = torch.meshgrid(torch.linspace(-2, 2, 15), torch.linspace(-2, 2, 15), indexing="xy")
for ax, (gamma, path) in zip(axes, paths.items(), strict=True):
    push = psi * sigmoid(psi * theta), -theta * sigmoid(psi * theta) - gamma * psi
    ax.quiver(theta, psi, *push, color="0.6")
    ax.plot(*path.T, lw=1.2, ls="-", color=PALETTE[0])
    ax.plot(*path[0], "o", color=PALETTE[3], label="start")
    ax.plot(0, 0, "k*", ms=10, label="solution")
    ax.set(
        xlabel="θ, the generated point",
        xlim=(-2.6, 2.6),
        ylim=(-2.6, 2.6),
        title="without penalty" if gamma == 0 else f"R1, γ = {gamma}",
        aspect="equal",
    )
axes[0].set_ylabel("ψ, slope of the score")
axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
plt.show()

# %% [markdown] slide="R1 asks the discriminator to be flat where the data are" slide_formulas=[1] slide_points="In the smallest GAN it is $\\frac{\\gamma}{2} \\psi^2$: it bends the circle into a spiral | WGAN-GP asks for slope 1, R1 for slope 0; at the solution $D$ should be flat | The price: a second gradient for each step of the discriminator"
# Left: the players go round and round the solution and come no closer to it. The arrows are tangents of circles, and
# none of them points inwards. Neither player makes a mistake: each step lowers the loss of the player who takes it. Yet
# together they get nowhere.
#
# ### First cure: a penalty on the discriminator's slope (N3)
#
# At the solution the discriminator should be flat, since real and generated points are alike. **R1** (Mescheder et al.,
# 2018) makes a slope expensive. It adds to $L_D$ the squared length of the gradient of the score with respect to
# its *input*, at real points:
#
# $$\frac{\gamma}{2}\; \mathbb{E}_{x \sim p} \lVert \nabla_x\, s(x) \rVert^2 .$$
#
# The number $\gamma$, `r1` in the code, says how much the slope costs. In the small game the penalty is
# $\frac{\gamma}{2} \psi^2$, and its gradient $\gamma \psi$ bends the circle into a spiral that ends at the solution
# (right). Unlike WGAN-GP, R1 asks for slope 0 at the data, not 1. In code it takes two lines:

# %% tags=["N3"]
x = real_ring[:200].clone().requires_grad_()
(gradient,) = torch.autograd.grad(discriminator(x).sum(), x)
r1_by_hand = gradient.square().sum(dim=1).mean()
assert torch.allclose(r1_by_hand, r1_penalty(discriminator, real_ring[:200]))
print("The package's r1_penalty agrees.")

# %% [markdown]
# Now the same three games on the ring, the generator favoured as before, with R1:

# %% alt=["The discriminator's loss with the R1 penalty. Below, three rings side by side; the generated points reach nearly all discs.", "Three games at five moments with the R1 penalty: the generated points spread along the ring, and at the end they pass through nearly all eight modes."]
r1 = 20.0
ring_films["five to one, R1"] = play_ring(0, r1=r1)
show_games(ring_films["five to one, R1"], f"the generator favoured, R1 with γ = {r1:g}")

# %% [markdown]
# ### Second cure: let the discriminator see two at once (N3)
#
# A discriminator that looks at one point at a time cannot know that all points are the same. So show it two at a time,
# both real or both generated, and let it give the pair one score (**packing**, 패킹, Lin et al., 2018). Two generated points
# in one clump give the generator away, since two real ones seldom lie so close together.

# %% alt=["The discriminator's loss with packing. Below, three rings side by side; the generated points reach nearly all discs.", "Three games at five moments with packing: the generated points cover the ring and reach nearly all eight modes."]
ring_films["five to one, packed"] = play_ring(0, pack=2)
show_games(ring_films["five to one, packed"], "the generator favoured, packed: two points per score")

# %% [markdown]
# In numbers, each the mean over the last five of the fifteen moments. Modes and share are given for each of the three
# games; the energy distance is the mean over the three.

# %%
measured = {
    way: torch.tensor([[measures(x) for x in game_film] for game_film in films])
    for way, films in ring_films.items()
}  # each (3 games, 15 moments, 3 measures)
late = {way: values[:, -5:].mean(dim=1) for way, values in measured.items()}  # each (3 games, 3 measures)
cured = torch.stack([late["five to one, R1"], late["five to one, packed"]])

# %% tags=["N3", "nbval-ignore-output"] slide="Both cures pass the test that noise and a plain ring fail"
plain_share = judged_clouds["plain ring, no modes"][1]
noise_away = judged_clouds["noise, N(0, I)"][2]
assert late["five to one"][:, 0].median() < 1  # of three games
assert late["five to one"][:, 2].median() > 4 * noise_away
assert cured[..., 0].min() > 6.5
assert cured[..., 1].mean(dim=1).min() > plain_share + 0.08
assert cured[..., 2].max() < 0.4 * noise_away
assert late["one to one"][:, 2].mean() < 0.8 * late["five to one"][:, 2].mean()
rows = [[way, ", ".join(f"{n:.1f}" for n in values[:, 0]), ", ".join(f"{share:.2f}" for share in values[:, 1]),
         values[:, 2].mean().item()] for way, values in late.items()]  # fmt: skip
table(["points", "modes covered, of 8", "share near a mode", "energy distance"],
      rows + [[name, f"{n}", f"{share:.2f}", away] for name, (n, share, away) in judged_clouds.items()])  # fmt: skip

# %% [markdown]
# Five to one, at least two of the three games cover on average less than one mode, and at least two lie much farther
# from the data than noise, N(0, I), does: by the energy distance more than four times as far. With either cure all
# three games cover nearly all modes, on average over the three clearly more of their points lie near a mode than of a
# plain ring's, and the energy distance is far below that of noise, N(0, I). (By the energy distance alone a plain ring
# would pass, too: it hardly sees the modes. That is why we ask for the share as well.) So these cures mend the game,
# and not by blurring out. They are not perfect: of real points nearly all lie near a mode.
#
# One turn each is nearer to the data than five to one, but look at its three numbers of modes: in short games like
# these, balance alone may save one game and not the next. (It has had fewer turns of the generator, too. Give it more
# rounds, and see.)
#
# Both cures have a price: R1 costs the discriminator a second gradient, and packing makes its task larger.
#
# ### Try it: collapse and cures (N3)
#
# Dark cells hold generated points, light grey ones real points. (The frame is that of the figures above; points outside
# it are left out.) Choose a way and press play. Where does the collapsed generator go next? Which of the eight modes
# are found last?


# %%
def as_picture(points: torch.Tensor) -> torch.Tensor:  # points of the plane, counted in 64 × 64 cells
    def count(x: torch.Tensor) -> torch.Tensor:
        cells = ((x[(x.abs() < 3.5).all(dim=1)] + 3.5) * (64 / 7)).long().clamp_max(63)
        return torch.bincount((63 - cells[:, 1]) * 64 + cells[:, 0], minlength=64 * 64).view(1, 64, 64)

    ground = 1 - 0.3 * (count(real_ring) > 0)  # light grey: the data
    cells = (ground - 0.6 * count(points)).clamp_min(-1).repeat_interleave(3, 1).repeat_interleave(3, 2)
    cells[:, [0, -1]] = cells[:, :, [0, -1]] = 0.4  # a grey frame
    return cells


# %% slide="How do R1 and packing change the game?"
by = ("way", "round")
pictures = torch.stack([as_picture(x) for films in ring_films.values() for x in films.flatten(0, 1)])
pictures = pictures.unflatten(0, (4, GAMES, 15))
of_games = torch.stack(list(measured.values())).mean(dim=1)  # (4 ways, 15 moments, 3 measures)
Explorer(
    [Choice("way", list(ring_films)), Slider("round", moments_of_ring, play=True, interval=0.5)],
    [Panel(f"game {k + 1}", pictures[:, k], by) for k in range(GAMES)],
    [
        Readout("modes covered, of 8, mean of three games", of_games[..., 0], by, maximum=8),
        Readout("share near a mode, mean of three games", of_games[..., 1], by, maximum=1),
    ],
    title="Collapse and cures",
    hint="Try: choose a way, press play, and watch where the points go.", index=[1, 14],
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Five to one, the points are a clump or a thread at most moments, and it wanders. With R1 and with packing the points
# spread out to a ring, and the ring begins to break up into knots at the modes. One to one, the games differ.
#
# </details>

# %% [markdown]
# ### Try it: play the game yourself
#
# The same game once more, but now your browser trains both players, without a kernel. Press *start again*, slow down,
# and watch where the arrows lead. Then give $G$ five turns a round, set R1 to 0 and start again; then R1 to 20, and
# start again. The net is the square of noise between −2 and 2 in both directions, as $G$ bends it: where does it tear
# when the data come in eight pieces? (A player has two hidden layers of 48. R1 is taken on a quarter of each batch.)

# %%
from course_utils.explorers import GanPlayground

GanPlayground()

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# With one turn each and a little R1, after 600 rounds all eight modes are covered, and more than half of the points are
# near one. With five turns of $G$ and no penalty the points run together: after 300 rounds they cover two modes at
# most. With R1 at 20, and all else the same, seven or eight are covered after 400 rounds. (We tried three seeds of
# each.) The net cannot tear, since $G$ is continuous: between two modes it is stretched.
#
# </details>

# %% [markdown]
# ## 5 · Digits (N1)
#
# Now the same game with images. Both players become convolutional: the generator maps noise to 64 channels of 7 × 7 and
# doubles height and width twice, with *transposed* convolutions (notebook 03) and batch normalisation (배치 정규화); the
# discriminator halves them twice. This is a small **DCGAN** (Radford et al., 2016). The noise has only $d = 8$
# dimensions, since digits come from few essential factors (notebook 01, G2). Question 3 tries more.

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
# sure of an image *and* finds it close to some real one (notebook 03).
#
# ### How steep is a discriminator? Lipschitz, in practice (N2)
#
# A Wasserstein critic needs a bounded slope: without a bound, its loss can fall for ever, simply by multiplying all
# scores. WGAN-GP pays for the bound with a second gradient. **Spectral normalisation** (스펙트럼 정규화, Miyato et al.,
# 2018) builds it into the network: each layer's weights, written as a matrix, are divided by their largest singular
# value. A linear map with largest singular value 1 never increases a distance. Nor does a (leaky) ReLU, and so neither
# does a chain of them: such a score is 1-Lipschitz.
#
# For convolutions this is not quite exact, because the kernel's matrix stands in for the whole map. In ours each pixel
# lies in four patches, so that a distance can be stretched by up to $\sqrt 4 = 2$. With two convolutions the bound is
# about 4. (About, because the singular value is only estimated, and the estimate lags behind weights that change fast.)
#
# To see it, three critics learn for 40 steps to tell real digits from the images of an untrained generator, with the
# Wasserstein loss. Then we measure $\lVert \nabla_x s \rVert$ at 200 real test images.


# %%
def slopes(spectral: bool = False, penalty: float = 0.0) -> torch.Tensor:
    with seeded(0):
        G, D = Generator(latent_dim=8, width=32), Discriminator(spectral=spectral, width=32)
    critic, _ = objectives(GAN(G, D, kind="wasserstein", penalty=penalty), lr=2e-3, betas=(0.0, 0.99))
    shuffled = batches(train, 32, steps=40, generator=torch.Generator().manual_seed(0))
    list(fit(critic, shuffled, progress=False, device="cpu"))
    x = test.x[:200].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x)
    return gradient.flatten(1).norm(dim=1)


# %% tags=["N2", "nbval-ignore-output"] slide="A free critic becomes steep; a penalty or spectral normalisation holds its slope" slide_points="Slope of the score at real test images, after 40 steps | Spectral normalisation divides each layer's weights by their largest singular value"
critics_of_digits: list[dict] = [{}, {"penalty": 10.0}, {"spectral": True}]
free, with_penalty, spectral = (slopes(**how) for how in counted(critics_of_digits, "critics"))
assert free.mean() > 5000
assert 0.5 < with_penalty.mean() < 4
assert 0.5 < spectral.mean() < 8
table(["critic", "mean slope", "largest slope"],
      [[name, x.mean().item(), x.max().item()] for name, x in
       {"free": free, "gradient penalty": with_penalty, "spectral normalisation": spectral}.items()])  # fmt: skip

# %% [markdown]
# After 40 steps the slope of the free critic is far above 1,000. The two others keep the order of magnitude that they
# promise: on average below 4 with the penalty (which asks for slope 1 between real and generated images, not at the
# real ones), and below 8 with spectral normalisation. In `course_utils` each of them takes one keyword: `penalty=10.0`
# for the `GAN`, `spectral=True` for the `Discriminator`. Neither is used below; R1 is enough there.
#
# ### Train it
#
# Now the game itself, with the losses of section 1 and R1 (which `GAN`, to save time, takes on a quarter of each
# batch). One thing is new: an **exponential moving average** (지수 이동 평균, EMA) of the generator's weights. The two
# players circle around each other; a mean over about the last hundred turns is meant to cancel part of that. Both
# networks are half as wide as those of the shipped GAN. 500 turns with 32 images each
# take a minute or two on a plain laptop; with a GPU, `budget` makes it 2,000 turns. (An assert that begins
# `turns > 500 or` states what was seen with 500.) At fifteen moments we keep the images of 500 fixed noise vectors. Ten
# of them are drawn below the losses every few seconds, by the averaged generator.

# %%
from course_utils.training import budget

turns = budget(500, 2000)
with seeded(0):
    generator, discriminator = Generator(latent_dim=8, width=32), Discriminator(width=32)
turn_of_D, turn_of_G = objectives(GAN(generator, discriminator, r1=1.0), lr=3e-3, betas=(0.0, 0.99))
turn_of_G.ema = exponential_average(generator, 0.99)
z500 = torch.randn(500, 8, generator=torch.Generator().manual_seed(6))
stops = [turns * k // 15 for k in range(1, 16)]
growth, digit_losses = [], []


# %% alt="Training curves of discriminator and generator: noisy, and level after the first steps. Below, ten images by the generator, most of them digits."
def show_ten(ax: plt.Axes) -> None:
    show_images(over_batches(turn_of_G.ema.module.eval(), z500[:10]), ax=ax)


shuffled = batches(train, 32, steps=turns, generator=torch.Generator().manual_seed(0))
for record in fit([turn_of_D, turn_of_G], shuffled, picture=show_ten):
    digit_losses.append(list(record.losses.values()))
    if record.step in stops:
        growth.append(over_batches(turn_of_G.ema.module.eval(), z500).cpu())
generator, discriminator = turn_of_G.ema.module.cpu().eval(), discriminator.cpu().eval()

# %% [markdown]
# ### Try it: digits growing (N1)
#
# Press play and follow one place in the grid. When do strokes appear, and when digits? Does each place keep its digit?
# Compare the two readouts.

# %%
growing_fid = [fid(real=known, fake=see(x).features) for x in growth]
of_D = torch.tensor(digit_losses)[:, 0]
recent = [of_D[stop - stops[0] : stop].mean().item() for stop in stops]

# %% slide="When do strokes appear, and when digits?"
by = ("turn",)
Explorer(
    [Slider("turn", stops, play=True, interval=0.7)],
    [Panel("images of 24 fixed noise vectors", torch.stack(growth)[:, :24], by, columns=8)],
    [
        Readout("FID of 500 images ↓", [f"{value:.1f}" for value in growing_fid], by),
        Readout("discriminator's loss, mean of the turns since the last picture", recent, by, maximum=2),
    ],
    title="Digits growing",
    hint="Try: press play and follow one place in the grid: when do strokes appear, and when a digit?", index=[len(stops) - 1],
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# First a grey cloud, then strokes, then shapes that become digits. Many places settle on a digit early and only clean it
# up; some change to another one. FID falls steeply; the discriminator's loss moves little after the first pictures.
#
# </details>
#
# ### How good are they? (N1)
#
# We draw 1,000 images and judge them against the 1,000 test images. Beside them stand 1,000 real training images; images
# of the shipped GAN (`gan-mnist`, twice as wide, with 16 noise dimensions, trained for 4,000 turns on 59,000 MNIST
# digits); of the shipped decoders of the last two notebooks, with codes drawn at random; and pure noise.

# %%
shipped = load_pretrained("gan-mnist", "cpu")
models = {
    "GAN, trained here": generator,
    "GAN, shipped": shipped,
    "VAE, shipped": load_pretrained("vae-mnist", "cpu"),
    "autoencoder, shipped": load_pretrained("autoencoder-mnist", "cpu"),
}
drawn = {"real training images": train.x[:1000]}
with torch.inference_mode():
    for name, model in models.items():
        drawn[name] = model.sample(1000, generator=torch.Generator().manual_seed(7))
drawn["noise"] = torch.randn(test.x.shape, generator=torch.Generator().manual_seed(7)).clamp(-1, 1)

# %%
measured_by = ("FID ↓", "precision ↑", "recall ↑", "share readable ↑")


def judged(x: torch.Tensor) -> list[float]:
    seen = see(x)
    readable = is_readable(seen).double().mean().item()
    return [fid(real=known, fake=seen.features), *precision_recall(real=known, fake=seen.features), readable]


# %% tags=["N1", "nbval-ignore-output"] slide="Real digits beat both GANs in all but recall: there the shipped GAN is ahead of them"
scores = {name: judged(x) for name, x in drawn.items()}
real_row, ours, theirs = (
    scores[name] for name in ("real training images", "GAN, trained here", "GAN, shipped")
)
assert ours[0] < 12
assert min(ours[1:3]) > 0.3
assert ours[3] > 0.2
assert turns > 500 or ours[3] < 0.5
assert real_row[0] < 0.5 * min(ours[0], theirs[0])
assert max(ours[1], theirs[1]) < real_row[1] - 0.05
of_test = is_readable(test.x).double().mean().item()  # the judge knows the training images
assert max(ours[3], theirs[3]) < of_test - 0.15
assert theirs[2] > real_row[2]
table(["1,000 images of", *measured_by], [[name, *row] for name, row in scores.items()])  # fmt: skip

# %% alt="Rows of fourteen images: real digits; the GAN trained here, rough digits and some shapes that are none; the shipped GAN, sharp digits; the shipped VAE and autoencoder, softer ones; and noise." slide="The GAN trained here draws digits, and shapes that are none"
show_rows({name: x[:14] for name, x in drawn.items()}, scale=0.6)

# %% [markdown]
# In FID, in precision and in readable images the real ones are clearly ahead of both GANs. (In the last column the
# training images are a little flattered, since they are what the judge compares with, see notebook 04. The assert
# therefore takes the test images, and they, too, are clearly ahead.) Of our own GAN's images fewer than half can be
# read; 500 turns are few. (In one run with the 2,000 turns of a GPU it was about six in ten.) Now look at
# the column of recall: there the shipped GAN is *ahead* of real images. Is it more varied than reality? Recall asks
# which test images lie within the generated manifold, the union of balls around the generated images, and each ball
# reaches to the third nearest of the other images (notebook 02). So let us look at the size of these balls, and then
# ask again with balls of one size for all, the median radius for real images.

# %% tags=["N1", "nbval-ignore-output"] slide="With balls of one size, real digits reach more of the test images than the shipped GAN"
features = {name: see(x).features for name, x in drawn.items() if name != "noise"}
radius_of = {
    name: torch.cdist(f, f).kthvalue(4, dim=1).values.median().item() for name, f in features.items()
}
size = radius_of["real training images"]
reached = {
    name: (torch.cdist(known, f) < size).any(dim=1).double().mean().item() for name, f in features.items()
}
assert radius_of["GAN, shipped"] > 1.15 * size
assert reached["GAN, shipped"] < reached["real training images"] - 0.05
assert scores["autoencoder, shipped"][2] > real_row[2] - 0.03
assert reached["autoencoder, shipped"] < 0.5 * reached["real training images"]
table(["1,000 images of", "radius of the balls, median", "test images in balls of one size"],
      [[name, radius_of[name], reached[name]] for name in features])  # fmt: skip

# %% [markdown]
# The balls around the GAN's images are larger. With balls of one size the order turns round: then the real images reach
# more of the test images than the GAN's. So the high recall is no proof of more variety. The autoencoder shows it best:
# its recall is as high as that of real images, yet with balls of one size it reaches less than half as many test
# images. Images that scatter widely, bad ones among them, make a wide manifold, and a wide manifold catches much. Read
# recall together with precision, and beside the row of real images, which does not reach 1 either.
#
# Do not read the table as a verdict on GANs, VAEs and autoencoders, since these models were not trained alike. (And FID
# depends on the number of images, so compare it only within this table.)
#
# ### Try it: a walk through the noise
#
# Each image belongs to a point of the noise space. Sixteen normal numbers form a vector of a length near $\sqrt{16} = 4$,
# so most noise vectors lie close to a sphere, and we walk on it. The pad is a map of a sphere in three directions,
# cut open at its left and right edges. **Drag** slowly. Where does one digit turn into another, and are there places
# with no digit at all? Compare the left edge with the right one.

# %% slide="Where does one digit turn into another?"
axes_of_sphere = torch.linalg.qr(torch.randn(16, 3, generator=torch.Generator().manual_seed(8))).Q.T


@torch.inference_mode()
def on_sphere(east: float, north: float) -> torch.Tensor:
    direction = [math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)]
    return shipped((4 * torch.tensor(direction) @ axes_of_sphere)[None])[0]


pad = Pad("place", (-math.pi, math.pi), (-1.2, 1.2), columns=25, rows=11, axes=("east", "north"))
map_of_digits = torch.stack([on_sphere(*node) for node in pad.nodes().tolist()])
Explorer([pad], [Panel("the image there", map_of_digits, ("place",))], title="A walk through the noise",
    hint="Try: drag slowly: where does one digit turn into another, and where is there none?",
         live=on_sphere, live_panel="the image there")  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Small moves change the image a little: the digit leans, thickens, closes a loop. Between two digits there is a short
# stretch of shapes that are neither. The left and the right edge are the same places. No loss asked for this
# smoothness. The generator is a continuous function, so its images cannot jump; that they change so slowly is not
# guaranteed. A GAN has no encoder, so you cannot simply look up the place of a given image on the map (you would have
# to search for it).
#
# </details>
#
# ## 6 · Sharp images (N3)
#
# Notebook 04 found the images of a VAE to be soft. How sharp are those of a GAN? **First**, we take the same measure as
# there: the energy of what a small blur takes away from an image, as a share of the image's energy. With $b(x)$ for the
# image blurred by a Gaussian of one pixel, and the energy counted from black, which is $-1$:
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
sharpness = {name: detail(x) / detail(test.x) for name, x in (compared | {"noise": drawn["noise"]}).items()}
assert 0.85 < sharpness["GAN, shipped"] < 1.15
assert sharpness["GAN, shipped"] > sharpness["VAE, shipped"] + 0.1
assert sharpness["GAN, shipped"] > sharpness["autoencoder, shipped"] + 0.05
assert abs(sharpness["VAE, shipped"] - sharpness["real, blurred by half a pixel"]) < 0.1
assert sharpness["noise"] > 1.5
assert turns > 500 or sharpness["GAN, trained here"] > sharpness["GAN, shipped"] - 0.15
assert turns > 500 or ours[3] < theirs[3] - 0.15
table(["images", "detail, real = 1"], list(sharpness.items()))

# %% [markdown]
# The shipped GAN's images have nearly the detail of real ones, and the VAE's are about as soft as real images blurred
# by half a pixel. But a single number for all detail can deceive: by it, noise is sharper than real digits. Nor is
# sharp the same as good: the GAN trained here has about as much detail as the shipped one, and after 500 turns far
# fewer readable images. **Second**, then: at which scale is detail missing? The Fourier transform writes an image as a
# sum of waves. We draw the mean power of the waves against their number of periods across the image, coarse on the
# left, fine on the right.


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
assert fine["VAE, shipped"] < ratio["VAE, shipped"][:4].mean() - 0.1
assert ratio["GAN, shipped"].min() > 0.75
assert ratio["GAN, shipped"].max() < 1.25
assert turns > 500 or ratio["GAN, trained here"][-1] > ratio["GAN, trained here"].min() + 0.1

# %% alt="Power of each spatial frequency, real = 1. VAE, autoencoder and blurred images sink towards high frequencies; the shipped GAN stays near 1; the GAN trained here dips in the middle and rises at the end." slide="The VAE loses power in the fine waves; the shipped GAN stays close to real at each scale"
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, values), marker in zip(ratio.items(), "*osD^v", strict=True):
    ax.plot(range(1, 15), values, marker=marker, ms=4, label=name)
ax.set(
    xlabel="periods across the image", ylabel="power, real = 1", ylim=(0, 1.6), title="power, scale by scale"
)
ax.legend(frameon=False, bbox_to_anchor=(1, 1), fontsize=8)
plt.show()

# %% [markdown]
# The VAE's line sinks like that of the blurred images: of the fine waves much more power is missing than of the coarse
# ones. The shipped GAN stays within a quarter of the real power at every frequency drawn. The line of the GAN trained
# here rises at its right end. But power there need not be detail: transposed convolutions easily leave a faint pattern
# that repeats every two pixels (Odena et al., 2016). Along rows or columns that is the wave of 14 periods, at the right
# end.
#
# **Third**, why? A squared error rewards the mean of all images that fit the same code, and the mean is soft. The
# discriminator compares with no mean. It can learn that soft edges do not occur in the data. Show it real test images,
# and the same ones blurred by one pixel. (This is the discriminator trained here; the shipped GAN comes without its
# own.)

# %% tags=["N3"]
seen_as = {"as they are": test.x, "blurred by a pixel": blur(test.x, 1.0)}
score_of = {name: over_batches(discriminator, x) for name, x in seen_as.items()}
caught = (score_of["blurred by a pixel"] < score_of["as they are"]).double().mean()
assert caught > 0.9  # of twelve untrained discriminators none got beyond 0.8
print("Blurred by one pixel, more than nine in ten test images get a lower score than before.")

# %% alt="Two overlapping histograms of the discriminator's scores: blurred images lie lower than the same images as they are." slide="Blurred by a pixel, nearly every real digit gets a lower score: softness costs"
fig, ax = plt.subplots(figsize=(4.6, 2.6), layout="constrained")
for (name, values), style in zip(score_of.items(), ("stepfilled", "step"), strict=True):
    ax.hist(values, bins=40, histtype=style, alpha=0.6 if style == "stepfilled" else 1.0, lw=1.5, label=name)
ax.set(xlabel="score s of the discriminator", ylabel="test images", title="real images, sharp and blurred")
ax.legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# The two histograms overlap: from the score alone you could not say of every image whether it was blurred. But nearly
# every image scores lower once blurred. So softness costs, and the generator is pulled away from it. That is the
# difference from the last two notebooks: the loss itself is learned.
#
# ## 7 · Are they copies?
#
# As in notebook 01, we take the distance in pixels from each image to the nearest of the 4,000 training images, and
# compare it with that of real test images, which cannot be copies. We call an image *suspiciously close* if it is
# closer than half the distance that 99 % of the test images keep.


# %%
def to_nearest(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    nearest = torch.cdist(x.flatten(1), train.x.flatten(1)).min(dim=1)
    return nearest.values, nearest.indices


# %% tags=["N1-copies", "nbval-ignore-output"] alt="Generated images above the nearest training image of each: similar in some pairs, copies in none." slide="Beside their nearest training images: by distance hardly any is a copy"
x = drawn["GAN, trained here"]
far, which = to_nearest(x)
far_test, _ = to_nearest(test.x)
close = far_test.quantile(0.01) / 2
assert (far < close).double().mean() < 0.01
assert far.median() > 0.75 * far_test.median()
show_rows({"generated": x[:14], "nearest training image": train.x[which[:14]]}, scale=0.6)
table(["images", "median distance to the nearest training image", "share suspiciously close"],
      [[name, d.median().item(), (d < close).double().mean().item()]
       for name, d in {"real test images": far_test, "GAN, trained here": far}.items()])  # fmt: skip

# %% [markdown]
# By this measure hardly any of the 1,000 images is a copy. (Distance in pixels would miss a copy that is shifted.) The
# generator has never seen a training image, only the slopes of a discriminator. That alone does not prevent copying: a
# discriminator that knows its images by heart can lead a generator to them. And distance is no merit in itself; noise
# is far from every training image.
#
# ## 8 · Fidelity against diversity
#
# Can we trade one for the other after training, without changing the networks? Here are two ways.
#
# **Ask the discriminator.** Draw many images and keep those with the highest scores. So that every set has 1,000 images,
# we take all of the first 1,000; the better half of the first 2,000; and so on, up to the best eighth of 8,000.

# %%
z = torch.randn(8000, 8, generator=torch.Generator().manual_seed(9))
pool = over_batches(generator, z)
pool_scores = over_batches(discriminator, pool)
parts = [1, 2, 4, 8]  # keep one in so many
kept = [pool[pool_scores[: 1000 * k].topk(1000).indices.sort().values] for k in parts]

# %% [markdown]
# **Truncate the noise** (절단). Brock et al. (2019) draw each number of $z$ from a normal distribution cut off at
# $\pm t$: only numbers near the middle of the bell, in the hope of typical images. `sample` calls it `truncation`. We
# try it on two shipped models: `gan-mnist`, and `cgan-mnist`, a GAN whose generator is also told which digit to draw
# (it is the subject of the next notebook; here each digit is equally likely).

# %%
cuts = [math.inf, 1.0, 0.5]


@torch.inference_mode()
def truncated(model: nn.Module) -> list[torch.Tensor]:  # 1,000 images for each cut
    return [model.sample(1000, truncation=t, generator=torch.Generator().manual_seed(10)) for t in cuts]


# %%
told = load_pretrained("cgan-mnist", "cpu")
tried = {
    "the discriminator's choice": kept,
    "noise truncated, class given": truncated(told),
    "noise truncated, no class": truncated(shipped),
}
verdict = {
    name: torch.tensor([judged(x)[1:] for x in counted(sets, f"{name}, sets")])
    for name, sets in tried.items()
}

# %% tags=["N1-trade"]
by_choice, with_class, without_class = verdict.values()  # each (sets, 3): precision, recall, readable
of_digit = [torch.bincount(see(x).probs.argmax(dim=1), minlength=10) for x in (kept[0], kept[-1])]
assert by_choice[-1, 1] < by_choice[0, 1] - 0.05
assert by_choice[-1, 2] > by_choice[0, 2] + 0.06
assert turns > 500 or (of_digit[1] / of_digit[0]).min() < 0.6
assert with_class[1, 0] > with_class[0, 0] + 0.06
assert with_class[1, 1] < with_class[0, 1] - 0.25
assert with_class[1, 2] > with_class[0, 2] + 0.04
assert (without_class[:, [0, 2]] < without_class[0, [0, 2]] + 0.05).all()
assert (without_class[-1] < without_class[0] - 0.2).all()

# %% alt="Share of readable images against recall for three ways to leave images out. With the class given fidelity stays high and recall falls; by the discriminator's choice more is readable at less recall; without a class both fall." slide="Leaving images out trades diversity for fidelity; cutting noise without a class does not"
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for (name, values), marker in zip(verdict.items(), "o^s", strict=True):
    ax.plot(values[:, 1], values[:, 2], marker=marker, ms=4, label=name)
    ax.plot(values[0, 1], values[0, 2], marker="o", ms=12, mfc="none", mec="black")
    end, rise = ("best eighth", 4) if marker == "o" else ("t = 0.5", -11)
    ax.annotate(end, values[-1, 1:], xytext=(4, rise), textcoords="offset points", fontsize=8)
ax.plot(real_row[2], real_row[3], "k*", ms=10, ls="none", label="real training images")
ax.set(
    xlabel="recall: diversity",
    ylabel="share readable: fidelity",
    xlim=(0, 1),
    ylim=(0, 1.05),
    title="fidelity against diversity (rings: nothing left out)",
)
ax.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Follow each line from its ring, where nothing is left out. In the best eighth by the discriminator's choice more
# images are readable, and recall is lower. That is the trade. Its price can be seen in the digits, too: at least one of
# the ten is found less than 0.6 times as often as without a choice. (Precision is not drawn. In three runs with
# different seeds the discriminator's choice raised it by 0.03 to 0.08, less than the share of readable images.)
#
# Cutting the noise makes the same trade for the model that is told the class, and there precision rises as well. For the
# model without a class it makes none: neither the share of readable images nor precision rises by more than 0.05 at
# either cut, and at 0.5 both have fallen, and recall with them. Why?
#
# Truncated noise is *short*, since all its numbers are small. So let us shrink some noise vectors, down to nothing.

# %% alt="Rows of digits drawn from noise that is made shorter and shorter. With the class given they become the same clean digit each time; without a class they fade to black." slide="Noise shrunk to nothing: told the class, a digit is left; not told, black"
lengths = {"z": 1.0, "z / 2": 0.5, "z / 4": 0.25, "0": 0.0}
z, digits = torch.randn(12, 64, generator=torch.Generator().manual_seed(11)), torch.arange(12) % 10
with torch.inference_mode():
    with_digit = {f"class given, {name}": told(share * z, digits) for name, share in lengths.items()}
    without = {f"no class, {name}": shipped(share * z[:, :16]) for name, share in lengths.items()}
show_rows({**with_digit, **without}, scale=0.6)

# %% tags=["N1-zero"]
first_of = {"class given": told.body[0], "no class": shipped.body[0]}  # both without a bias
zero = torch.zeros(12, 64)
with torch.inference_mode():
    entering = {
        "class given": first_of["class given"](torch.cat([zero, told.embed(digits)], dim=1)),
        "no class": first_of["no class"](zero[:, :16]),
    }
assert (entering["no class"] == 0).all()
assert entering["class given"].abs().mean() > 0.05
assert (see(with_digit["class given, 0"]).probs.argmax(dim=1) == digits).all()
assert (without["no class, 0"] < -0.9).double().mean() > 0.95  # black

# %% [markdown]
# Neither generator was ever trained on noise of length 0: in 16 dimensions noise is nearly always about
# $\sqrt{16} = 4$ long, in 64 dimensions about 8. What differs is what still enters at $z = 0$. The first layer of both is
# linear, without a bias. If it gets nothing but $z$, it hands on nothing but zeros, and no discriminator ever judged
# what becomes of these; here it is black. In the other model the class joins the noise as a vector of 64 learned
# numbers, and at $z = 0$ that vector is left: it draws a digit, here the right one for all ten classes.
#
# The two models differ in other ways as well (in their noise dimensions, for example). So this explains what happens at
# 0, and is only a likely reason for what happens on the way there. Brock et al. also tell of models that do not
# tolerate truncation. A trick from a famous paper works under its own conditions; measure before you believe.
#
# ### Try it: two knobs
#
# The first knob belongs to the model trained here. Which digits become rare? The second belongs to the two shipped
# models. The more you cut, what becomes of the handwriting where the class is given, and of the strokes where it is
# not?


# %% slide="Keep the best: which digits become rare?"
def knob(slider: Slider, names: list[str], title: str, start: int) -> Explorer:
    return Explorer(
        [slider],
        [Panel(name, torch.stack(tried[name])[:, :30], (slider.name,), columns=6) for name in names],
        [Readout(measure, verdict[name][:, i], (slider.name,), maximum=1, panel=name)
         for name in names for i, measure in enumerate(measured_by[1:])],
        title=title, hint="Try: turn the knob. What do the images gain, and what do they lose?", index=[start],
    )  # fmt: skip


first, *truncations = tried
knob(
    Slider("keep the best one in", parts),
    [first],
    "Fidelity against diversity: the discriminator's choice",
    start=3,
)

# %%
knob(
    Slider("cut the noise at", ["∞", *cuts[1:]]),
    truncations,
    "Fidelity against diversity: noise truncated",
    start=1,
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# In the best eighth more images are clean digits, and some of the ten digits have become rare: the discriminator throws
# them out. Where the class is given, cutting the noise leaves ten tidy digits, always in the same handwriting.
# Without a class the images smear and then fade to black.
#
# </details>
#
# ## 9 · What goes wrong
#
# **The losses do not tell you the quality.** While the digits were trained, from the fourth picture to the last, FID
# fell to less than half. The discriminator's loss ended within a quarter of where it had been: the opponent
# may have kept pace. A loss that hardly moves does not mean that nothing happens. To choose settings, or the moment to
# stop, you need a measure from outside the game.

# %% tags=["N3-losses"]
early, end = 3, 14  # the fourth and the last of fifteen moments
assert growing_fid[end] < 0.5 * growing_fid[early]
assert abs(recent[end] / recent[early] - 1) < 0.25

# %% alt="Left, FID falls over the turns of training. Right, the discriminator's loss stays level meanwhile." slide="FID falls to less than half; the discriminator's loss changes by less than a quarter"
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
left.plot(stops[3:], growing_fid[3:], "-o", ms=3)
left.set(xlabel="turn", ylabel="FID of 500 images ↓", title="FID, lower is better", ylim=(0, None))
right.plot(stops[3:], recent[3:], "-o", ms=3)
right.set(xlabel="turn", ylabel="loss", title="discriminator's loss", ylim=(0, 2))
plt.show()

# %% [markdown]
# **The balance is delicate.** In section 4 more turns and longer steps of the generator were enough to make it
# collapse. Learning rates, momentum and the sizes of the networks matter as well.
#
# **There is no likelihood.** A GAN can draw from its $q(x)$, but it cannot say what $q(x)$ is for a given image. (From
# 8 noise dimensions it reaches only a thin sheet among the images, at most 8-dimensional; nearly all images have no
# density at all.) And it has no encoder. Is the discriminator's score not a measure of how real an image is? Only in
# comparison with what the generator happens to make. Here is something that it was not trained to judge: digits lying
# on their side.

# %% tags=["N3-sideways", "nbval-ignore-output"] alt="Fourteen digits turned on their side, sharp as before." slide="Digits on their side: the discriminator was never trained to judge them" slide_points="After our 500 turns a good part of them score higher than the upright ones | $D^* = p / (p + q)$ says nothing where both densities are 0 | A GAN has no likelihood and no encoder; its score only compares with what $G$ happens to make"
on_their_side = test.x.rot90(1, dims=(2, 3))
fooled = (over_batches(discriminator, on_their_side) > score_of["as they are"]).double().mean().item()
assert turns > 500 or 0.2 < fooled < 0.8
show_images(on_their_side[:14], columns=14, scale=0.5)
print(
    f"{100 * fooled:.0f} % of the digits on their side score higher than the upright ones they were made from."
)

# %% [markdown] slide="Today the adversarial loss helps others: it says how real, another loss says what" slide_points="**One-step distillation**: do in one step or a few what a diffusion model does in many | **Autoencoders of latent diffusion**: a discriminator looks at patches of the reconstruction | **Perceptual codecs**: compress strongly, let the decoder invent plausible texture | For images from scratch diffusion has largely taken over: steadier, and it tends to cover more modes"
# Guessing would give a half, and the share is not far from it. (Of the blurred digits in section 6, fewer than one in
# ten scored higher.) We have no reason to think that the generator makes many such images (a 0 or an 8 on its side may
# pass for an upright one), so the discriminator hardly had to learn that they are wrong. $D^* = p / (p + q)$ says
# nothing where both $p$ and $q$ are zero, and little where both are tiny.
#
# ## 10 · What came after
#
# **Better images.** In StyleGAN (Karras et al., 2019) the noise does not enter at the first layer. A small network
# turns it into a *style*, which sets scale and shift of the channels at each resolution: coarse layers decide pose and
# shape, fine ones colour and texture. It drew megapixel faces that were hard to tell from photographs, and was trained
# with two ingredients that you have used here, the non-saturating loss and R1.
#
# **An image as the input.** In pix2pix (Isola et al., 2017) the generator gets a sketch or a map instead of noise, and
# the discriminator sees input and output as a pair. CycleGAN (Zhu et al., 2017) needs no pairs, only one collection of
# pictures of horses and another of zebras: a second generator must be able to turn each image back into the one it
# came from. (Conditions are the subject of notebook 06.)
#
# **Where GANs live today.** For drawing images from scratch, diffusion models (notebook 07) have largely taken over:
# their training is steadier, and they tend to cover more modes. But they need many steps per image. Where sharp images
# are wanted in one step or a few, an adversarial loss is often added to something else:
#
# - one-step distillation: a student network learns to do in one step or a few what a diffusion model does in many, and a
#   discriminator keeps its images sharp (adversarial diffusion distillation, Sauer et al., 2024; DMD2, Yin et al., 2024);
# - the autoencoders of latent diffusion (notebook 08): VQGAN (Esser et al., 2021) and that of Stable Diffusion are
#   trained with a discriminator that looks at patches of the reconstruction;
# - perceptual codecs: HiFiC (Mentzer et al., 2020) compresses photographs strongly and lets the decoder invent plausible
#   texture.
#
# In all three, another loss says *what* to draw, which helps to guard against mode collapse; the adversarial loss says
# how *real* it has to look.
#
# ## 11 · Questions
#
# Think first, then unfold the answer.
#
# **1.** What does the generator's loss become if the discriminator answers one half to everything, and what is its
# gradient then?
#
# <details><summary>Answer</summary>
#
# $-\log \tfrac12 = \log 2$. A constant discriminator has slope zero everywhere, so the generator gets no gradient. At the
# end of the game that is as it should be. At the beginning it would mean that the discriminator has learned nothing, and
# the generator cannot learn from it either.
#
# </details>
#
# **2.** Change this and run it again: in section 4, set `r1 = 20.0` to 2, then to 200, and run from there to the table.
# (Put a `#` before the asserts above the table: they state what holds for 20.) What do you find?
#
# <details><summary>Answer</summary>
#
# In our runs most games stayed collapsed with 2: so gentle a penalty does not hold against a favoured generator. With 200
# most modes were covered, but fewer points lay near one than of a plain ring: so flat a discriminator teaches the
# generator little in each round. The right $\gamma$ depends on the scale of the data and on what it has to hold against.
# For the digits, with one turn each, we used 1.
#
# </details>
#
# **3.** Change this and run it again: in section 5, give the generator 64 noise dimensions (in
# `generator, discriminator = …` and in `z500`, without the asserts above the table; section 8 would need it as well).
# Is it better or worse after 500 turns?
#
# <details><summary>Answer</summary>
#
# It depends on what you ask. In two runs of ours fewer images could be read, less than a quarter instead of about a
# third, and FID was higher, so by both they were worse. But recall was higher. Were they more varied, or only more
# scattered? Section 5 shows how to find out.
#
# </details>
#
# **4.** A friend multiplies all of the discriminator's scores by 10 after training. Is $D = \sigma(s)$ still near
# $p / (p + q)$? What happens to FID, and to the discriminator's choice in section 8?
#
# <details><summary>Answer</summary>
#
# $D = \sigma(10 s)$ is far too sure and no longer $p / (p + q)$. FID looks only at the generator's images and does not
# change. The choice keeps the highest scores; since their order is the same, it does not change either.
#
# </details>
#
# **5.** In the smallest GAN of section 4, replace R1 by the gradient penalty of WGAN-GP, $\lambda (|\psi| - 1)^2$. Can the
# game come to rest at $\theta = \psi = 0$?
#
# <details><summary>Answer</summary>
#
# No. The penalty pushes $|\psi|$ towards 1, and a critic with slope $1$ or $-1$ pushes $\theta$ away from 0 even when it is
# there. You saw it in section 3: at $\delta = 0$ the critic was still steep. Mescheder et al. (2018) prove that WGAN-GP
# does not converge in this game. With small steps it may still end near the solution.
#
# </details>
#
# **6.** R1 and packing mend the same collapse. Which of them makes the reply "all points to the one best place" a bad one,
# and what does the other do?
#
# <details><summary>Answer</summary>
#
# Packing does: two points in the same place are seen together, and the discriminator can give such a pair a low score
# wherever it lies. R1 does not; all points in the one best place would still be the best reply. But R1, we think, keeps
# the peak of $D$ low and broad, and a few steps along so gentle a slope do not bring all points to it before the
# discriminator moves.
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | generative adversarial network | 생성적 적대 신경망 | a generator and a discriminator that train against each other |
# | generator | 생성자 | turns noise into an image |
# | discriminator | 판별자 | says whether an image is real or generated |
# | score | 점수 | the discriminator's number $s$; $D = \sigma(s)$ |
# | energy distance | 에너지 거리 | how far apart two sets of points are |
# | value of the game | 게임의 값 | the number on which both players act, $V(D, G)$ |
# | min-max game | 최소최대 게임 | one player lowers what the other raises |
# | Jensen-Shannon divergence | 젠슨-섀넌 발산 | how different two densities are, between 0 and $\log 2$ |
# | to saturate | 포화 | to be flat, so without gradient, where a gradient is needed |
# | Wasserstein distance | 바서슈타인 거리 | the smallest mean distance over which points must be moved to turn one distribution into another |
# | 1-Lipschitz | 1-립시츠 | changing no faster than the input: the slope is at most 1 |
# | critic | 크리틱 | a discriminator whose mean scores, real minus generated, estimate the Wasserstein distance |
# | gradient penalty | 그래디언트 페널티 | keeps the discriminator's slope small (R1) or near 1 (WGAN-GP) |
# | spectral normalisation | 스펙트럼 정규화 | divides each layer's weights by their largest singular value |
# | mode | 모드 | a place where data are dense |
# | mode collapse | 모드 붕괴 | the generator reaches only a few of the modes |
# | packing | 패킹 | the discriminator scores several images together |
# | batch normalisation | 배치 정규화 | brings each channel to mean 0 and variance 1 over the batch |
# | exponential moving average | 지수 이동 평균 | a mean of the weights in which older ones count less and less |
# | truncation | 절단 | drawing noise without its large numbers |
#
# ## Read on
#
# - I. Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014: the game, $D^*$ and the Jensen-Shannon divergence,
#   on nine pages.
# - A. Radford, L. Metz, S. Chintala, *Unsupervised representation learning with deep convolutional generative
#   adversarial networks*, ICLR 2016: DCGAN.
# - L. Metz et al., *Unrolled generative adversarial networks*, ICLR 2017: mode collapse on a ring of Gaussians, and
#   the generator's reply to a fixed discriminator.
# - M. Arjovsky and L. Bottou, *Towards principled methods for training generative adversarial networks*, ICLR 2017:
#   what the two losses of the generator descend.
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN*, ICML 2017, and I. Gulrajani et al., *Improved training of
#   Wasserstein GANs*, NeurIPS 2017.
# - L. Mescheder, A. Geiger, S. Nowozin, *Which training methods for GANs do actually converge?*, ICML 2018: R1, on
#   examples small enough to solve by hand.
# - T. Miyato et al., *Spectral normalization for generative adversarial networks*, ICLR 2018; Z. Lin et al., *PacGAN:
#   the power of two samples in generative adversarial networks*, NeurIPS 2018.
# - A. Odena, V. Dumoulin, C. Olah, *Deconvolution and checkerboard artifacts*, Distill, 2016: the grid of section 6.
# - A. Brock, J. Donahue, K. Simonyan, *Large scale GAN training for high fidelity natural image synthesis*, ICLR
#   2019: truncation, and when it fails; S. Azadi et al., *Discriminator rejection sampling*, ICLR 2019.
# - P. Isola et al., *Image-to-image translation with conditional adversarial networks*, CVPR 2017; J.-Y. Zhu et al.,
#   *Unpaired image-to-image translation using cycle-consistent adversarial networks*, ICCV 2017.
# - T. Karras, S. Laine, T. Aila, *A style-based generator architecture for generative adversarial networks*, CVPR 2019.
# - P. Esser, R. Rombach, B. Ommer, *Taming transformers for high-resolution image synthesis*, CVPR 2021: VQGAN;
#   F. Mentzer et al., *High-fidelity generative image compression*, NeurIPS 2020.
# - A. Sauer et al., *Adversarial diffusion distillation*, ECCV 2024; T. Yin et al., *Improved distribution matching
#   distillation for fast image synthesis*, NeurIPS 2024.
#
# Next: **06 · Conditional GAN.** The homework to this notebook is `homework/student/hw05.ipynb`.
