# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/student/hw05.ipynb)
#
# # Homework 05 · Generative adversarial networks
#
# Six exercises and one open question, about an hour and a half. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in. When it is graded, your functions are also asked about other numbers, shapes and seeds than in
# the checks, where there are no files and no network. Lines with `%` or `!`, and statements that fail there, are left
# out. `course homework check` judges in the same way, and names them.
#
# In all exercises the discriminator's network computes a **score** $s(x)$, any number, and its answer is
# $D(x) = \sigma(s(x))$ with the sigmoid $\sigma(s) = 1 / (1 + e^{-s})$. A batch of $N$ images or points has $N$ scores,
# of the shape (N,).

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import logsigmoid, relu, softplus

from course_utils.checks import check_close, check_gradients, check_raises, check_range, check_shape
from course_utils.data import batches, load_images
from course_utils.features import feature_extractor
from course_utils.gan import GAN, Discriminator, Generator
from course_utils.metrics import fid
from course_utils.nets import over_batches, seeded

# %% [markdown]
# ## 1 · The score of the best discriminator
#
# Let $p$ be the density of the data and $q$ the density of what the generator makes. Against a generator that stands
# still, the best discriminator answers (Goodfellow et al. 2014, proposition 1)
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}.$$
#
# Write its score: the number $s^*(x)$ with $\sigma(s^*(x)) = D^*(x)$. You get the two log-densities, `log_p` and
# `log_q`, of any shape, and return the scores in the same shape. They must be right far away from both densities, too,
# where $p$ and $q$ are both rounded to 0 although their logarithms are known.
#
# <details><summary>Hint 1</summary>
#
# Divide the numerator and the denominator of $D^*$ by $p$, and compare the result with $\sigma(s)$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# If you need `exp` anywhere, simplify further: $e^{-5000}$ is 0 on a computer, and a number cannot come back from 0.
#
# </details>


# %% key="q1"
def best_score(log_p: Tensor, log_q: Tensor) -> Tensor:
    raise NotImplementedError("q1: write your solution here")


# %% key="check-q1" tags=["check"]
# CHECK q1
low = torch.tensor([[-1.0, -2.5, -0.5], [-3.0, 0.7, -1.2]])
kept = low.clone()
check_shape("q1: best_score of log-densities of the shape (2, 3)", best_score(low, low), (2, 3))
check_close(
    "q1: the score where both densities are equal, D* = 1/2,", best_score(low, low), torch.zeros(2, 3)
)
check_close(
    "q1: the score where p = 0.6 and q = 0.2",
    best_score(torch.tensor(0.6).log(), torch.tensor(0.2).log()),
    1.098612,
    hint="There D* = 3/4. Which s has σ(s) = 3/4?",
)
x = torch.linspace(-4, 5, 19, dtype=torch.float64)
for p, q in ((Normal(0.0, 1.0), Normal(1.0, 2.0)), (Normal(-0.7, 0.8), Normal(0.4, 0.5))):
    likely_p, likely_q = p.log_prob(x).exp(), q.log_prob(x).exp()
    check_close(
        "q1: σ of your score, for two normal densities at 19 places,",
        best_score(p.log_prob(x), q.log_prob(x)).sigmoid(),
        likely_p / (likely_p + likely_q),
        hint="It must be p / (p + q).",
    )
check_close("q1: log_p after your function has run", low, kept, hint="Do not change what you are given.")
far, p, q = torch.tensor([-3000.0, 100.0, 2500.0], dtype=torch.float64), Normal(0.0, 1.0), Normal(1.0, 1.0)
check_close(
    "q1: the score for N(0, 1) and N(1, 1), which is 1/2 - x, at x = -3000, 100, 2500",
    best_score(p.log_prob(far), q.log_prob(far)),
    0.5 - far,
    hint="Both densities are rounded to 0 there. Stay with the logarithms.",
)
score = best_score(torch.tensor(-1000.0), torch.tensor(-1003.0))
print("The score where log p = -1000 and log q = -1003:", round(score.item(), 2))

# %% [markdown]
# ## 2 · Two other games
#
# The cross-entropy is not the only loss for this game. In the *least-squares* game (Mao et al. 2017) the discriminator
# wants the score 1 for real and 0 for generated images; in the *hinge* game (Lim and Ye 2017) it wants at least 1 and at
# most -1, and does not care how much more. With the scores $s$ of real and $\hat{s}$ of generated images:
#
# | `kind` | $L_D$ | $L_G$ |
# | --- | --- | --- |
# | `"least-squares"` | $\tfrac12\, \mathbb{E} (s - 1)^2 + \tfrac12\, \mathbb{E}\, \hat{s}^2$ | $\tfrac12\, \mathbb{E} (\hat{s} - 1)^2$ |
# | `"hinge"` | $\mathbb{E} \max(0, 1 - s) + \mathbb{E} \max(0, 1 + \hat{s})$ | $-\,\mathbb{E}\, \hat{s}$ |
#
# Each $\mathbb{E}$ is the mean over its own batch: `real` (N,) and `fake` (M,) may differ in size. Return the pair
# $(L_D, L_G)$. For any other `kind` raise a `ValueError` whose message lists the two, so that whoever misspelt one sees
# what is allowed.
#
# <details><summary>Hint 1</summary>
#
# `relu(s)` is $\max(0, s)$, element by element.
#
# </details>
# <details><summary>Hint 2</summary>
#
# There is no maximum in the generator's hinge loss.
#
# </details>


# %% key="q2"
def losses(real: Tensor, fake: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    raise NotImplementedError("q2: write your solution here")


# %% key="check-q2" tags=["check"]
# CHECK q2
s, s_hat = torch.tensor([1.5, 0.5, -1.0, 3.0, 1.25]), torch.tensor([-2.0, 0.25])
small = {  # of these scores: L_D, L_G, and the derivatives of L_D by each score
    "least-squares": (1.871875, 2.390625, (s - 1) / 5, s_hat / 2),
    "hinge": (0.5 + 0.625, 0.875, -(s < 1).float() / 5, (s_hat > -1).float() / 2),
}
for kind, (of_D, of_G, by_real, by_fake) in small.items():
    real, fake = s.clone().requires_grad_(), s_hat.clone().requires_grad_()
    pair = losses(real, fake, kind)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise AssertionError(f"q2: losses(real, fake, {kind!r}) must be a pair, L_D and L_G.")
    for name, loss, expected in (("L_D", pair[0], of_D), ("L_G", pair[1], of_G)):
        check_shape(f"q2: {name} of the {kind} game", loss, ())
        check_close(
            f"q2: {name} of the {kind} game for the scores 1.5, 0.5, -1, 3, 1.25 and -2, 0.25",
            loss,
            expected,
            hint="Each mean is over its own batch.",
        )
    for name, scores, expected in (("real", real, by_real), ("generated", fake, by_fake)):
        check_close(
            f"q2: the gradient of L_D of the {kind} game by the scores of {name} images",
            *check_gradients(f"q2: L_D of the {kind} game", pair[0], [scores]),
            expected,
        )
for unknown in ("wasserstein", "Hinge", "least squares"):
    where = f"q2: kind = {unknown!r}"
    message = check_raises(where, lambda unknown=unknown: losses(s, s_hat, unknown), hint="Two are allowed.")
    if missing := [kind for kind in small if kind not in message]:
        raise AssertionError(f"{where} raises the message {message!r}, which does not list {missing[0]!r}.")
print(
    "The losses if all scores are 0:",
    {kind: [round(float(v), 2) + 0.0 for v in losses(0 * s, 0 * s, kind)] for kind in small},
)

# %% [markdown]
# ## 3 · A divergence from scores
#
# A discriminator measures. Its value $V = \mathbb{E} \log \sigma(s) + \mathbb{E} \log(1 - \sigma(\hat{s}))$ is
# $2\, \mathrm{JSD}(p, q) - \log 4$ if it is the best one, and less if it is not. So, on points that it was not trained
# on, the scores of any discriminator give (up to chance) a **lower bound** of the Jensen-Shannon divergence. Write it:
# from `real` (N,), scores of images from $p$, and `fake` (M,), scores of images from $q$, compute the bound, one
# number. It must be right for scores as large as ±200, where $\sigma(s)$ is rounded to 0 or 1.
#
# Two values are known: scores that are all 0 say nothing, and the bound is 0; scores that are right and entirely sure
# give $\log 2$.
#
# <details><summary>Hint 1</summary>
#
# Solve $V = 2\, \mathrm{JSD} - \log 4$ for JSD.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $1 - \sigma(s) = \sigma(-s)$. `logsigmoid(s)` is $\log \sigma(s)$ and right for large scores;
# `torch.log(torch.sigmoid(s))` is not.
#
# </details>


# %% key="q3"
def jsd_bound(real: Tensor, fake: Tensor) -> Tensor:
    raise NotImplementedError("q3: write your solution here")


# %% key="check-q3" tags=["check"]
# CHECK q3
zeros, log_3 = torch.zeros(5), math.log(3)  # σ(log 3) = 3/4
check_shape("q3: jsd_bound(real, fake)", jsd_bound(zeros, zeros[:3]), ())
check_close("q3: the bound if all scores are 0", jsd_bound(zeros, zeros[:3]), 0.0)
check_close(
    "q3: the bound if 5 real ones score log 3 and 3 generated ones 0",
    jsd_bound(zeros + log_3, zeros[:3]),
    0.202733,
    hint="It is log 2 + (log(3/4) + log(1/2)) / 2.",
)
check_close(
    "q3: the bound if 5 real ones score 0 and 3 generated ones log 3",
    jsd_bound(zeros, zeros[:3] + log_3),
    -0.346574,
    hint="A high score of a generated image is wrong, and lowers the bound.",
)
for s_real, s_fake, expected in ((200.0, -200.0, math.log(2)), (-200.0, 200.0, math.log(2) - 200)):
    check_close(
        f"q3: the bound if 2 real ones score {s_real:.0f} and 3 generated ones {s_fake:.0f}",
        jsd_bound(torch.full((2,), s_real), torch.full((3,), s_fake)),
        expected,
        hint="Do not compute σ first, and do not cut off: log σ(-200) is -200.",
    )
x = torch.arange(-30, 30, 0.001, dtype=torch.float64)
for p, q in ((Normal(0.0, 1.0), Normal(2.0, 1.5)), (Normal(0.0, 1.0), Normal(0.3, 3.0))):
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)  # of the density half-way between p and q
    jsd = (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum() * 0.001 / 2
    from_p, from_q = (
        density.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)
        for density, n in ((p, 20_000), (q, 30_000))
    )  # evenly likely points
    best = [p.log_prob(y) - q.log_prob(y) for y in (from_p, from_q)]
    check_close(
        "q3: the bound from the best scores of two normal densities, JSD,", jsd_bound(*best), jsd, tol=2e-3
    )
    for factor, what in ((0.3, "too timid"), (3.0, "too sure")):
        check_range(
            f"q3: how much scores that are {what} fall short of the JSD",
            float(jsd) - float(jsd_bound(*(factor * scores for scores in best))),
            0.001,
            5.0,
        )
print(
    "The bound from scores that are right and entirely sure:",
    round(float(jsd_bound(zeros + 200, zeros - 200)), 2),
)

# %% [markdown]
# ## 4 · The gradient penalty
#
# WGAN-GP (Gulrajani et al. 2017, equation 3) asks the critic for slope 1 between real and generated images:
#
# $$\mathbb{E} \big( \lVert \nabla_{x_t}\, s(x_t) \rVert - 1 \big)^2, \qquad x_t = t\, x + (1 - t)\, \hat{x}, \qquad t \sim U(0, 1).$$
#
# Image $i$ of `real` is paired with image $i$ of `fake`; each pair has one $t$ of its own, drawn with `draw`.
# $\lVert \cdot \rVert$ is the length over *all* numbers of an image, and $\mathbb{E}$ the mean over the pairs. Write it
# for images of any shape (N, …). `critic(x)` gives the scores, (N,).
#
# The penalty is a part of the critic's loss, so it must have a gradient with respect to the critic's weights. It must
# have none with respect to `fake`: through it the generator would learn in the critic's turn. And it is a measurement:
# afterwards the `.grad` of all weights must be as it was.
#
# <details><summary>Hint 1</summary>
#
# `t = torch.rand(len(real), generator=draw)` has the shape (N,). For images it must become (N, 1, 1, 1), for points
# (N, 1): `t.view(-1, *[1] * (real.ndim - 1))`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Score $i$ depends on image $i$ only, so the gradient of the *sum* of the scores holds, in row $i$, the gradient of score
# $i$. `torch.autograd.grad(value, x_t, create_graph=True)` gives a gradient that can be differentiated once more; `x_t`
# must require a gradient, and know nothing of where it came from.
#
# </details>


# %% key="q4"
def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, draw: torch.Generator
) -> Tensor:
    raise NotImplementedError("q4: write your solution here")


# %% key="check-q4" tags=["check"]
# CHECK q4
def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


w = torch.tensor([3.0, 4.0], requires_grad=True)
points = torch.randn(6, 2, generator=seed(0))
check_shape("q4: gradient_penalty(...)", gradient_penalty(lambda x: x @ w, points, -points, seed(1)), ())
for n in (1, 6):
    check_close(
        f"q4: the penalty of s(x) = 3 x₁ + 4 x₂ + 1 for N = {n}",
        gradient_penalty(lambda x: x @ w + 1, points[:n], -points[:n], seed(1)),
        16.0,
        hint="The gradient is (3, 4) everywhere, of length 5, however many pairs there are.",
    )
penalty = gradient_penalty(lambda x: x @ w, points, -points, seed(1))
if w.grad is not None:
    raise AssertionError("q4: the weights have a .grad afterwards. Use torch.autograd.grad, not backward().")
check_close(
    "q4: the gradient of the penalty of s(x) = w · x with respect to w = (3, 4), which is 2 (‖w‖ - 1) w / ‖w‖,",
    *check_gradients("q4: the penalty", penalty, [w], hint="Did you set create_graph=True?"),
    torch.tensor([4.8, 6.4]),
)
brush = torch.linspace(-1, 1, 24).view(2, 3, 4)
check_close(
    "q4: the penalty of a linear score of 5 images (2, 3, 4)",
    gradient_penalty(
        lambda x: (brush * x).sum(dim=(1, 2, 3)), torch.ones(5, 2, 3, 4), torch.zeros(5, 2, 3, 4), seed(1)
    ),
    (brush.norm() - 1) ** 2,
    hint="The length is over all numbers of an image: channels, rows and columns.",
)
ones = torch.ones(20_000, 1)
check_close(
    "q4: the penalty of s(x) = x² / 2 between x = 3 and x̂ = 0, where it is E (3t - 1)² = 1,",
    gradient_penalty(lambda x: x.square().sum(dim=1) / 2, 3 * ones, 0 * ones, seed(1)),
    1.0,
    tol=0.03,
    hint="Each pair has a t of its own, uniform between 0 and 1.",
)
seen = []


def watching(x: Tensor) -> Tensor:
    seen.append(x.detach())
    return x.flatten(1).square().sum(dim=1)


images = torch.rand(400, 1, 2, 2, generator=seed(2)) + 1
gradient_penalty(watching, images, torch.zeros_like(images), seed(3))
share = torch.cat(seen) / images
check_range("q4: the share of the real image in what the critic sees", share, 0.0, 1.0)
check_close(
    "q4: how much that share varies within one image",
    share.flatten(1).std(dim=1),
    torch.zeros(400),
    hint="One t for the whole image.",
)
check_range("q4: the spread of that share over the images", share[:, 0, 0, 0].std(), 0.25, 0.33)
leaf = torch.zeros(6, 2).requires_grad_()
gradient_penalty(lambda x: (x @ w) ** 2, points, leaf, seed(1)).backward()
if leaf.grad is not None:
    raise AssertionError("q4: a gradient reaches `fake`, and so the generator. Detach x_t.")
w.grad = None
square = [
    gradient_penalty(lambda x: x.square().sum(dim=1), points, -points, seed(k)).item() for k in (1, 1, 2)
]
check_close("q4: the penalty with the same seed again", square[1], square[0], hint="Draw t with `draw`.")
check_range("q4: how far another seed changes it", abs(square[2] - square[0]), 1e-4, 100, hint="Use `draw`.")
print(
    "The penalty of a critic with slope 1:",
    round(gradient_penalty(lambda x: x[:, 0], points, -points, seed(1)).item(), 2),
)

# %% [markdown]
# ## 5 · The generator's turn, in pieces
#
# A large batch does not always fit into memory. Write a training step of the generator that takes such a batch piece by
# piece. Draw the noise $z$ for all `n` images at once, `n` rows of `generator.latent_dim` standard normal numbers, with
# `draw`; then work through it in pieces of at most `piece` rows, the last one perhaps shorter. Call the generator once for
# each piece, and let go of each before the next: no more than `piece` images may wait for their gradient at any time.
#
# The gradient must be that of the mean over all `n`, of the non-saturating loss $-\,\mathbb{E} \log \sigma(s(G(z)))$;
# then `optimizer`, which holds the generator's weights, takes one step. Gradients that are left from an earlier turn must
# not count, and the discriminator's weights must not move. Return the loss of all `n` as it was *before* the step, as a
# plain number.
#
# At the end the check trains a small GAN on digits with **your** step, 200 turns, which takes about ten seconds. FID of
# its images must come down to less than a fifth of what it was. (There `n` and `piece` are both 32: that generator has
# batch normalisation, whose means are those of the piece it is shown, so smaller pieces would not give the same step.)
#
# <details><summary>Hint 1</summary>
#
# $-\log \sigma(s)$ is `softplus(-s)`. The gradient has to pass *through* the discriminator, so nothing is detached. Its
# weights may get gradients, but only `optimizer` takes a step.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `z.split(piece)` gives the pieces. Each `backward()` *adds* its gradient to what `.grad` holds. By which number must you
# divide the sum over each piece, so that all of them add up to one mean over `n`, though the last piece may be shorter?
#
# </details>


# %% key="q5"
def generator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    n: int,
    piece: int,
    draw: torch.Generator,
) -> float:
    raise NotImplementedError("q5: write your solution here")


# %% key="check-q5" tags=["check"]
# CHECK q5
class Shift(nn.Module):
    """G(z) = z + c. It remembers the noise that it gets, and how many images wait for their gradient."""

    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.c, self.seen = nn.Parameter(torch.tensor([0.3, -0.2, 1.0])), []
        self.waiting, self.most = 0, 0

    def forward(self, z: Tensor) -> Tensor:
        check_shape(
            "q5: the noise", z, (len(z), self.latent_dim), hint="It has generator.latent_dim columns."
        )
        self.seen.append(z.detach().clone())
        x = z + self.c
        if x.requires_grad:
            self.waiting += len(z)
            self.most = max(self.most, self.waiting)
            x.register_hook(lambda gradient: self.let_go(len(z)))
        return x

    def let_go(self, n: int) -> None:
        self.waiting -= n


with seeded(2):
    judge = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
w, b = judge[0].weight.detach().clone()[0], judge[0].bias.item()
moved, value_of = {}, {}
for n, piece, stale in ((7, 7, 0.0), (7, 3, 0.0), (7, 1, 0.0), (5, 2, 100.0), (2, 4, 0.0)):
    where = f"with n = {n} and piece = {piece}"
    maker, steps = Shift(), []
    sgd, c = torch.optim.SGD(maker.parameters(), lr=0.5), maker.c.detach().clone()
    sgd.register_step_post_hook(lambda *given, steps=steps: steps.append(1))
    maker.c.grad = torch.full((3,), stale)
    value = generator_step(maker, judge, sgd, n, piece, seed(1))
    rows = [len(z) for z in maker.seen]
    if len(rows) != math.ceil(n / piece):
        raise AssertionError(
            f"q5: the generator is called {len(rows)} times in a step {where}, should be {math.ceil(n / piece)}."
        )
    if max(rows) > piece:
        raise AssertionError(f"q5: the generator gets {max(rows)} rows at once {where}.")
    if maker.most > piece:
        raise AssertionError(
            f"q5: {maker.most} images wait for their gradient at once {where}. Call backward() for each piece."
        )
    if len(steps) != 1:
        raise AssertionError(f"q5: the optimizer takes {len(steps)} steps {where}, should take one.")
    noise = torch.cat(maker.seen)
    check_shape(f"q5: the noise of all pieces {where}", noise, (n, 3))
    score = (noise + c) @ w + b
    check_close(
        f"q5: the loss before a step {where}",
        value,
        (1 + (-score).exp()).log().mean(),
        hint="The mean over all n images, however they are cut.",
    )
    if not isinstance(value, float):
        raise AssertionError(
            f"q5: the loss is a {type(value).__name__}, should be a plain number: loss.item()."
        )
    check_close(
        f"q5: the step of the generator's weights {where}"
        + (" if gradients of an earlier turn are left in them" if stale else ""),
        maker.c - c,
        0.5 * (-score).sigmoid().mean() * w,
        hint="Set the gradients to zero once, before the first backward()."
        if stale
        else "Downhill on the mean over all n. Each backward() adds a gradient, zero_grad() forgets them all.",
    )
    moved[n, piece], value_of[n, piece] = maker.c - c, value
    check_close("q5: the discriminator's weights after the generator's turn", judge[0].weight[0], w)
for piece in (3, 1):
    hint = "Draw the noise for all n images at once, with `draw`, and cut it then."
    for name, of in (("loss", value_of), ("step", moved)):
        where = f"q5: the {name} with n = 7 and piece = {piece}, compared with one piece of the same seed,"
        check_close(where, of[7, piece], of[7, 7], hint=hint)
if not all(weight.requires_grad for weight in judge.parameters()):
    raise AssertionError(
        "q5: the discriminator's weights no longer require a gradient; leave them as they are."
    )
drawn = []
for number in (4, 4, 5):
    maker = Shift()
    generator_step(maker, judge, torch.optim.SGD(maker.parameters(), lr=0.0), 20_000, 6_000, seed(number))
    drawn.append(torch.cat(maker.seen))
check_close("q5: the mean of the noise", drawn[0].mean(), 0.0, tol=0.03, hint="The noise is normal: randn.")
check_close("q5: the variance of the noise", drawn[0].var(), 1.0, tol=0.03, hint="randn, not rand.")
check_close("q5: the noise with the same seed again", drawn[1], drawn[0], hint="Use `draw`.")
check_range("q5: how far another seed changes the noise", (drawn[2] - drawn[0]).abs().mean(), 0.5, 2)
train, test = load_images("digits", "train"), load_images("digits", "test")
see = feature_extractor("digits", "cpu")
known, noise = see(test.x).features, torch.randn(500, 8, generator=seed(6))
with seeded(0):
    G, D = Generator(latent_dim=8, width=16), Discriminator(width=16)
game, draw = GAN(G, D, r1=1.0), seed(0)
untrained = fid(real=known, fake=see(over_batches(G, noise)).features)
for_G, for_D = (torch.optim.Adam(player.parameters(), lr=3e-3, betas=(0.0, 0.99)) for player in (G, D))
for x, _ in batches(train, 32, 200, generator=seed(1)):
    for_D.zero_grad()
    game.discriminator_loss(x, generator=draw).backward()
    for_D.step()
    generator_step(G, D, for_G, 32, 32, draw)
trained = fid(real=known, fake=see(over_batches(G, noise)).features)
check_range("q5: FID after 200 turns on digits, as a share of that before,", trained / untrained, 0.0, 0.2)
print("Has the generator learned to draw something like digits?", trained < untrained / 5)

# %% [markdown]
# ## 6 · An average of the weights
#
# The two players circle around each other, so where the generator's weights are after a given turn is partly luck. GANs
# are therefore often judged by an **exponential moving average** of the weights. There is a second network of the same
# shape, `average`, and after each turn every weight $\bar{w}$ of it becomes
#
# $$\bar{w} \leftarrow \beta\, \bar{w} + (1 - \beta)\, w,$$
#
# where $w$ is the same weight of `model`, and $\beta$, `decay`, lies between 0 and 1. What a network keeps beside its
# weights (its *buffers*, such as the running means of batch normalisation) is copied from `model` as it is. `model` must
# not change, and no gradient is involved.
#
# At the end the check lets two weights go round a circle, and looks at where your average stays.
#
# <details><summary>Hint 1</summary>
#
# `zip(average.parameters(), model.parameters(), strict=True)` goes through both at once; `buffers()` likewise.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Under `torch.no_grad()`, `a.lerp_(b, 1 - decay)` moves `a` towards `b` in place, and `a.copy_(b)` copies.
#
# </details>


# %% key="q6"
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    raise NotImplementedError("q6: write your solution here")


# %% key="check-q6" tags=["check"]
# CHECK q6
net, average = nn.Linear(2, 1), nn.Linear(2, 1)
for layer, number in ((net, 5.0), (average, 1.0)):
    nn.init.constant_(layer.weight, number)
    nn.init.constant_(layer.bias, -number)
update_average(average, net, 0.75)
hint = "It is 0.75 · 1 + 0.25 · 5."
check_close("q6: the average of 1 with 5 at decay 0.75", average.weight, torch.full((1, 2), 2.0), hint=hint)
check_close("q6: the average of -1 with -5 at decay 0.75, in the bias,", average.bias, torch.tensor([-2.0]))
update_average(average, net, 0.75)
check_close("q6: the average after a second update", average.weight, torch.full((1, 2), 2.75))
check_close(
    "q6: the model's weight afterwards", net.weight, torch.full((1, 2), 5.0), hint="Change the average only."
)
if average.weight.grad_fn is not None or not average.weight.requires_grad:
    raise AssertionError(
        "q6: the average's weights are no longer leaves that require a gradient: use no_grad."
    )
update_average(average, net, 0.0)
nn.init.constant_(net.weight, 9.0)
check_close(
    "q6: the average if the model moves on afterwards",
    average.weight,
    torch.full((1, 2), 5.0),
    hint="Copy values.",
)
norm, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
norm(torch.tensor([[10.0, -10.0], [12.0, -12.0]]))
update_average(average, norm, 0.9)
check_close(
    "q6: the running mean of the average", average.running_mean, norm.running_mean, hint="Buffers are copied."
)
check_close("q6: the number of batches that the average has seen", average.num_batches_tracked, 1)

player, average = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
farthest = {}
for decay in (0.5, 0.98):
    nn.init.zeros_(average.weight)
    away = []
    for turn in range(400):  # 62.8 turns a round
        with torch.no_grad():
            player.weight.copy_(torch.tensor([[math.cos(turn / 10), math.sin(turn / 10)]]))
        update_average(average, player, decay)
        away.append(average.weight.norm().item())
    farthest[decay] = max(away[-63:])  # in the last round
for decay, found in farthest.items():
    # As complex numbers, each turn multiplies the weight by e^0.1i; then an average of size
    # (1 - β) / |1 - β e^-0.1i| goes round behind it.
    expected = (1 - decay) / math.hypot(1 - decay * math.cos(0.1), decay * math.sin(0.1))
    check_close(
        f"q6: how far an average at decay {decay} stays from the middle of a circle of radius 1",
        found,
        expected,
        tol=0.02,
    )
print(
    "The distance from the middle at each decay:", {decay: round(far, 2) for decay, far in farthest.items()}
)

# %% [markdown]
# ## 7 · Open question
#
# The loss of a GAN's discriminator has been flat for an hour; you are not told at which value. Name three different
# states of the game that this fits, and say for each why the loss is flat in it. Then describe for each a measurement
# that would tell it from the other two, and say what you expect it to show. Five to ten sentences.
#
# *5 points.*
#
# *Your answer:*
