# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/solution/hw05.ipynb)
#
# # Homework 05 · Generative adversarial networks
#
# Six exercises and one open question, about an hour and a half. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in: a notebook that does not run from top to bottom cannot be graded fairly. Beside plain Python,
# PyTorch and NumPy the grader runs what this notebook itself imports; other imports, files, `%`, `!` and names such as
# `_x` it refuses, and `course homework check` says so before.
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
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import logsigmoid, softplus

from course_utils.checks import check_close, check_gradients, check_raises, check_range, check_shape
from course_utils.data import toy_points
from course_utils.gan import Discriminator
from course_utils.nets import seeded

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
    return log_p - log_q


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
# ## 2 · The discriminator's loss
#
# From the scores of real and of made images, $s_\text{real}$ and $s_\text{made}$,
#
# $$L_D = -\,\mathbb{E} \log \sigma(s_\text{real}) - \mathbb{E} \log \big(1 - \sigma(s_\text{made})\big).$$
#
# Each $\mathbb{E}$ is the mean over its own batch: `real` (N,) and `made` (M,) may differ in size. The result is one
# number. It must be right for scores as large as ±200, where $\sigma(s)$ is rounded to 0 or 1.
#
# Two values are known. If all scores are 0, then $L_D = 2 \log 2$. With the scores of the best discriminator it is
# $\log 4 - 2\,\mathrm{JSD}(p, q)$, where JSD is the Jensen-Shannon divergence of notebook 05. The check computes JSD
# for known densities by a sum over a fine grid.
#
# <details><summary>Hint 1</summary>
#
# $1 - \sigma(s) = \sigma(-s)$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `logsigmoid(s)` is $\log \sigma(s)$, and `softplus(s)` is $\log(1 + e^s) = -\log \sigma(-s)$. Both are right for large
# scores; `torch.log(torch.sigmoid(s))` is not.
#
# </details>


# %% key="q2"
def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    return -logsigmoid(real).mean() + softplus(made).mean()


# %% key="check-q2" tags=["check"]
# CHECK q2
zeros = torch.zeros(5)
check_shape("q2: discriminator_loss(real, made)", discriminator_loss(zeros, zeros[:3]), ())
check_close(
    "q2: the loss if all scores are 0, 2 log 2,",
    discriminator_loss(zeros, zeros[:3]),
    1.386294,
    hint="Each of the two means is over its own batch.",
)
log_3 = math.log(3)  # σ(log 3) = 3/4
check_close(
    "q2: the loss if 5 real ones score log 3 and 3 made ones 0, log(4/3) + log 2,",
    discriminator_loss(zeros + log_3, zeros[:3]),
    0.980829,
    hint="A high score of a real image is right, and lowers the loss.",
)
check_close(
    "q2: the loss if 5 real ones score 0 and 3 made ones log 3, log 2 + log 4,",
    discriminator_loss(zeros, zeros[:3] + log_3),
    2.079442,
    hint="A high score of a made image is wrong, and raises the loss.",
)
real, made = torch.tensor([1.3, -0.4, 2.2, 0.9, 0.1]), torch.tensor([-1.7, 0.6])
bce = F.binary_cross_entropy_with_logits
check_close(
    "q2: the loss of 5 real and 2 made scores, compared with torch's cross-entropy,",
    discriminator_loss(real, made),
    bce(real, torch.ones(5)) + bce(made, torch.zeros(2)),
    hint="Each of the two means is over its own batch.",
)
for s_real, s_made, expected in ((-200.0, 200.0, 400.0), (200.0, 200.0, 200.0), (200.0, -200.0, 0.0)):
    check_close(
        f"q2: the loss if real ones score {s_real:.0f} and made ones {s_made:.0f}",
        discriminator_loss(torch.full((2,), s_real), torch.full((3,), s_made)),
        expected,
        hint="Do not compute σ first, and do not cut off: log σ(-200) is -200.",
    )
real, made = torch.full((5,), -200.0, requires_grad=True), torch.full((2,), log_3, requires_grad=True)
for kind, scores, expected in (("real", real, -0.2), ("made", made, 0.375)):
    check_close(
        f"q2: the gradient with respect to the {kind} scores, for 5 real ones of -200 and 2 made ones of log 3,",
        *check_gradients("q2: the loss", discriminator_loss(real, made), [scores]),
        torch.full_like(scores, expected),
    )
x = torch.arange(-30, 30, 0.001, dtype=torch.float64)
for p, q in ((Normal(0.0, 1.0), Normal(2.0, 1.5)), (Normal(0.0, 1.0), Normal(0.3, 3.0))):
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)  # of the density half-way between p and q
    jsd = (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum() * 0.001 / 2
    best = []
    for density, n in ((p, 20_000), (q, 30_000)):
        y = density.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)  # n points, evenly likely
        best.append((p.log_prob(y).exp() / (p.log_prob(y).exp() + q.log_prob(y).exp())).logit())
    check_close(
        "q2: the loss of the best discriminator of two normal densities, log 4 - 2 JSD,",
        discriminator_loss(*best),
        math.log(4) - 2 * jsd,
        tol=2e-3,
    )
print("The loss of scores that are all 0:", round(discriminator_loss(zeros, zeros).item(), 2))

# %% [markdown]
# ## 3 · Four losses of the generator
#
# The generator wants high scores for what it makes. Four ways to say so, all of them means over the batch of made
# scores $s$:
#
# | `kind` | $L_G$ | source |
# | --- | --- | --- |
# | `"minimax"` | $\mathbb{E} \log (1 - \sigma(s))$ | Goodfellow et al. 2014, equation 1 |
# | `"non-saturating"` | $-\,\mathbb{E} \log \sigma(s)$ | Goodfellow et al. 2014, section 3 |
# | `"hinge"` | $-\,\mathbb{E}\, s$ | Lim and Ye 2017 |
# | `"least-squares"` | $\tfrac12\, \mathbb{E} (s - 1)^2$ | Mao et al. 2017, equation 9 |
#
# The factor ½ of the last one is as in `course_utils.gan`; some programs leave it out. For any other `kind` raise a
# `ValueError` whose message lists the four kinds, so that whoever misspelt one sees what is allowed. Scores as large as
# ±200 must come out right here, too.
#
# <details><summary>Hint 1</summary>
#
# The minimax loss is *negative*: it is the second part of $L_D$ without its minus sign.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The hinge $\max(0, 1 - s)$ is in the *discriminator's* loss. The generator's has none.
#
# </details>


# %% key="q3"
def generator_loss(made: Tensor, kind: str) -> Tensor:
    if kind == "minimax":
        return logsigmoid(-made).mean()
    if kind == "non-saturating":
        return -logsigmoid(made).mean()
    if kind == "hinge":
        return -made.mean()
    if kind == "least-squares":
        return ((made - 1) ** 2).mean() / 2
    raise ValueError(f"kind={kind!r} is unknown; allowed: minimax, non-saturating, hinge, least-squares")


# %% key="check-q3" tags=["check"]
# CHECK q3
log_3 = math.log(3)  # σ(log 3) = 3/4, σ(-log 3) = 1/4
kinds = {  # the loss of three scores; the derivative by a score s; the loss of -200, 200, 200; a hint
    "minimax": (-1.020090, lambda s: -s.sigmoid(), -400 / 3, "The mean of log(1/4), log(1/4) and log(3/4)."),
    "non-saturating": (0.653886, lambda s: -(-s).sigmoid(), 200 / 3, "-log σ, where σ is 3/4, 3/4 and 1/4."),
    "hinge": (-0.366204, lambda s: -torch.ones(4), -200 / 3, "Minus the mean score, without a max."),
    "least-squares": (
        0.737270,
        lambda s: s - 1,
        (201**2 + 2 * 199**2) / 6,
        "Of s itself, towards 1, times ½.",
    ),
}
three, sure = torch.tensor([log_3, log_3, -log_3]), torch.tensor([-200.0, 200.0, 200.0])
for kind, (expected, _, _, hint) in kinds.items():
    check_shape(f"q3: generator_loss(made, {kind!r})", generator_loss(three, kind), ())
    check_close(
        f"q3: the {kind} loss of the scores log 3, log 3 and -log 3",
        generator_loss(three, kind),
        expected,
        hint=hint,
    )
for kind, (_, derivative, of_sure, _) in kinds.items():
    check_close(
        f"q3: the {kind} loss of the scores -200, 200 and 200",
        generator_loss(sure, kind),
        of_sure,
        hint="Do not compute σ first: log σ(-200) is -200.",
    )
    made = torch.tensor([-6.0, -0.5, 1.5, 200.0], requires_grad=True)
    check_close(
        f"q3: the gradient of the {kind} loss with respect to the scores -6, -0.5, 1.5 and 200, times 4,",
        4 * check_gradients(f"q3: the {kind} loss", generator_loss(made, kind), [made])[0],
        derivative(made.detach()),
    )
for unknown in ("saturating", "wgan", "minimum", "Hinge"):
    where = f"q3: kind = {unknown!r}"
    call = partial(generator_loss, three, unknown)
    message = check_raises(where, call, hint="Only four kinds are allowed.")
    if missing := [kind for kind in kinds if kind not in message]:
        raise AssertionError(f"{where} raises the message {message!r}, which does not list {missing[0]!r}.")
print(
    "Of a score of 2:", {kind: round(generator_loss(torch.tensor([2.0]), kind).item(), 2) for kind in kinds}
)

# %% [markdown]
# ## 4 · The R1 penalty
#
# R1 (Mescheder et al. 2018, equation 9) makes a steep score expensive at the real points:
#
# $$R_1 = \frac{\gamma}{2}\; \mathbb{E}_{x \sim p} \lVert \nabla_x\, s(x) \rVert^2.$$
#
# $\nabla_x\, s(x)$ is the gradient of one image's score with respect to that image. It has the shape of the image, and
# $\lVert \cdot \rVert^2$ is the sum of the squares of *all* its numbers. $\mathbb{E}$ is the mean over the batch, and
# $\gamma$, `gamma`, is a weight. Write it for `x` of any shape (N, …): (N, d) for points, (N, C, H, W) for images.
# `discriminator(x)` gives the scores, (N,).
#
# The penalty is a part of a loss, so it must itself have a gradient with respect to the discriminator's weights. And it
# is a measurement: afterwards `x` must be as it was (`x.requires_grad`, too), and the `.grad` of all weights as well.
#
# <details><summary>Hint 1</summary>
#
# Work on `x.detach().requires_grad_()`. Score i depends on image i only. So the gradient of the *sum* of the scores
# holds, in row i, the gradient of score i.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `(gradient,) = torch.autograd.grad(value, x, create_graph=True)`: with `create_graph` the gradient can be
# differentiated once more. `gradient.flatten(1)` has the shape (N, number of values of an image).
#
# </details>


# %% key="q4"
def r1_penalty(discriminator: Callable[[Tensor], Tensor], x: Tensor, gamma: float) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.flatten(1).square().sum(dim=1).mean()


# %% key="check-q4" tags=["check"]
# CHECK q4
w = torch.tensor([3.0, 4.0], requires_grad=True)
points = torch.tensor([[1.0, 0.5], [-2.0, 0.0], [0.3, 1.7], [2.5, -1.0], [0.0, 0.0]])
check_shape("q4: r1_penalty(...)", r1_penalty(lambda x: x @ w, points, 2.0), ())
for n, gamma in ((1, 2.0), (5, 2.0), (3, 0.5)):
    check_close(
        f"q4: the penalty of s(x) = 3 x₁ + 4 x₂ + 1 for N = {n} and γ = {gamma:g}",
        r1_penalty(lambda x: x @ w + 1, points[:n], gamma),
        25 * gamma / 2,
        hint="The gradient is (3, 4) at each point, of length 5, however many points there are.",
    )
if points.requires_grad:
    raise AssertionError("q4: x requires a gradient afterwards. Work on x.detach().requires_grad_() instead.")
own = points.clone().requires_grad_()
r1_penalty(lambda x: x @ w, own, 2.0)
if not own.requires_grad or own.grad is not None:
    raise AssertionError(
        "q4: an x that requires a gradient is changed afterwards. Work on x.detach() instead."
    )
if w.grad is not None:
    raise AssertionError("q4: the weights have a .grad afterwards. Use torch.autograd.grad, not backward().")
three = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.5, 0.0, 0.0, 0.0], [0.0, 3.0, -2.0, 1.0]])
check_close(
    "q4: the penalty of s(x) = ½ ‖x‖² for 3 points of 4 numbers and γ = 3, where ‖x‖² is 6, 0.25 and 14,",
    r1_penalty(lambda x: x.square().sum(dim=1) / 2, three, 3.0),
    10.125,
    hint="The gradient is x. Square, sum over each point's own numbers, then take the mean over the points.",
)
hint = "Did you set create_graph=True?"
check_close(
    "q4: the gradient of the penalty of s(x) = w · x with respect to w = (3, 4), for γ = 0.5, which is γ w,",
    *check_gradients("q4: the penalty", r1_penalty(lambda x: x @ w, points, 0.5), [w], hint=hint),
    torch.tensor([1.5, 2.0]),
)
a = torch.tensor(-1.5, requires_grad=True)
check_close(
    "q4: the gradient of the penalty of s(x) = ½ a ‖x‖² with respect to a = -1.5, for γ = 3,",
    *check_gradients("q4: the penalty", r1_penalty(lambda x: a * x.square().sum(dim=1) / 2, three, 3.0), [a]),
    -30.375,
    hint="It is γ a E ‖x‖².",
)
brush = torch.linspace(-1, 1, 24).view(2, 3, 4)
check_close(
    "q4: the penalty of a linear score of 5 images (2, 3, 4) for γ = 4",
    r1_penalty(lambda x: (brush * x).sum(dim=(1, 2, 3)), torch.zeros(5, 2, 3, 4), 4.0),
    2 * brush.square().sum(),
    hint="Sum over all numbers of an image: channels, rows and columns.",
)
with seeded(0):
    convolutional = Discriminator(width=3, in_channels=2, size=8).to(memory_format=torch.contiguous_format)
images = torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(0))
each = [torch.autograd.functional.jacobian(convolutional, x[None]).square().sum() for x in images]
check_close(
    "q4: the penalty of the course's discriminator for 5 images (2, 8, 8) and γ = 200, compared with its Jacobian,",
    r1_penalty(convolutional, images, 200.0),
    100 * torch.stack(each).mean(),
)
print(
    "The penalty of s(x) = x₁ + 2 x₂ for γ = 1:",
    round(r1_penalty(lambda x: x[:, 0] + 2 * x[:, 1], points, 1).item(), 2),
)

# %% [markdown]
# ## 5 · The discriminator's turn
#
# Write one step of the discriminator. It lowers
#
# $$L_D\big(s(x),\, s(G(z))\big) + \frac{\gamma}{2}\; \mathbb{E} \lVert \nabla_x\, s(x) \rVert^2$$
#
# for real points `x` (N, …) and noise `z` (M, d); use your `discriminator_loss` and your `r1_penalty`. The function
#
# 1. takes one step of `optimizer`, which holds the discriminator's weights, from fresh gradients. The generator's turns
#    leave gradients in the discriminator, and they must not count here;
# 2. leaves `x` and the generator alone: no gradient may reach the generator's weights (in the check its gradients are 7
#    before, and must be 7 after);
# 3. returns the loss as it was before the step, one number.
#
# <details><summary>Hint 1</summary>
#
# `generator(z).detach()` has the values of $G(z)$, but no path back to the generator.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The order is `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`.
#
# </details>


# %% key="q5"
def discriminator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    z: Tensor,
    gamma: float,
) -> Tensor:
    x_hat = generator(z).detach()
    loss = discriminator_loss(discriminator(x), discriminator(x_hat)) + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% key="check-q5" tags=["check"]
# CHECK q5
class Bowl(nn.Module):  # s(x) = a ‖x‖² / 2 + b, with the weights (a, b)
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.4, -0.7]))

    def forward(self, x: Tensor) -> Tensor:
        return self.weights[0] * x.square().sum(dim=1) / 2 + self.weights[1]


x = torch.tensor([[1.0, 0.5], [-2.0, 0.3], [0.2, 1.7], [0.0, -0.4], [1.1, 1.2]])
z = torch.tensor([[0.3, -1.0, 0.8, 0.1], [1.5, 0.2, -0.6, 0.9], [-0.7, 0.4, 2.0, -1.1]])
for gamma, stale in ((0.0, None), (3.0, None), (0.8, 100.0)):
    with seeded(1):
        maker, bowl = nn.Linear(4, 2), Bowl()
    before, x_hat, (a, b) = maker.weight.detach().clone(), maker(z).detach(), bowl.weights.tolist()
    for weight in maker.parameters():
        weight.grad = torch.full_like(weight, 7.0)
    if stale:
        bowl.weights.grad = torch.full((2,), stale)
    loss = discriminator_step(maker, bowl, torch.optim.SGD(bowl.parameters(), lr=0.5), x, z, gamma)
    size, size_hat = x.square().sum(dim=1), x_hat.square().sum(dim=1)
    s, s_hat = a * size / 2 + b, a * size_hat / 2 + b
    check_close(
        f"q5: the loss of a small case with γ = {gamma:g}",
        loss,
        (1 + (-s).exp()).log().mean() + (1 + s_hat.exp()).log().mean() + gamma / 2 * a**2 * size.mean(),
        hint="L_D of the real and the made scores"
        + (
            ", and R1 at the real points. If q4 fails, mend that first."
            if gamma
            else ". If q2 fails, mend that first."
        ),
    )
    for weight in maker.parameters():
        check_close(
            "q5: a gradient of the generator, 7 before the discriminator's turn,",
            torch.zeros_like(weight) if weight.grad is None else weight.grad,
            torch.full_like(weight, 7.0),
            hint="Cut the path to the generator with detach.",
        )
    check_close("q5: the generator's weight matrix after the discriminator's turn", maker.weight, before)
    wrong, wrong_hat = (-s).sigmoid(), s_hat.sigmoid()  # 1 - D at real points, D at made ones
    by_a = -(wrong * size / 2).mean() + (wrong_hat * size_hat / 2).mean() + gamma * a * size.mean()
    by_b = -wrong.mean() + wrong_hat.mean()
    check_close(
        f"q5: the vector of the discriminator's weights (a, b) after a step of SGD with γ = {gamma:g}"
        + (", if gradients of an earlier turn are left in it," if stale else ""),
        bowl.weights,
        torch.stack([a - 0.5 * by_a, b - 0.5 * by_b]),
        hint="Set the gradients to zero before backward()."
        if stale
        else "One step downhill on the whole loss.",
    )
    if not all(weight.requires_grad for weight in maker.parameters()):
        raise AssertionError("q5: the generator's weights no longer require a gradient; detach G(z) instead.")
    if x.requires_grad:
        raise AssertionError("q5: x requires a gradient afterwards; it must stay as it was.")
print("The loss of the small case:", round(float(loss), 2))

# %% [markdown]
# ## 6 · Mend a game that collapses
#
# Section 4 of the notebook gave the generator five turns for each turn of the discriminator, and the game collapsed:
# all noises went to nearly one place. Here are its two players for points in the plane, and its measurement: how many
# of the eight Gaussians on the ring, the modes, hold at least 1 % of the points within three standard deviations.


# %%
def two_players(seed: int) -> tuple[nn.Module, nn.Module]:
    def layers(outputs: int) -> list[nn.Module]:
        hidden = [nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()]
        return [*hidden, nn.Linear(64, outputs)]

    with seeded(seed):
        generator = nn.Sequential(*layers(2))  # noise (N, 2) → points (N, 2)
        discriminator = nn.Sequential(*layers(1), nn.Flatten(0))  # points (N, 2) → scores (N,)
    return generator, discriminator


def modes_covered(points: Tensor) -> int:
    angle = torch.arange(8) * math.pi / 4
    distance, which = torch.cdist(points, 2 * torch.stack([angle.cos(), angle.sin()], dim=1)).min(dim=1)
    counts = torch.bincount(which[distance < 3 * 0.15], minlength=8)
    return (counts >= 0.01 * len(points)).sum().item()


# %% [markdown]
# Two helpers of the check, which you need not read. `one_round` plays one round with players so small that every step
# can be computed by hand. `game` plays 300 rounds with the settings of the notebook.


# %%
class Shift(nn.Module):
    # G(z) = z + c. It remembers each z that it gets, and the weights of both players at that moment.
    def __init__(self, judge: nn.Linear):
        super().__init__()
        self.c, self.judge, self.seen = nn.Parameter(torch.tensor([0.3, -0.2])), [judge], []

    def look(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.c.detach().clone(), *(weight.detach().clone() for weight in self.judge[0].parameters())

    def forward(self, z: Tensor) -> Tensor:
        self.seen.append((z.detach().clone(), *self.look()))
        return z + self.c


def one_round(n: int, gamma: float, turns: int, seed: int = 0) -> tuple[Tensor, ...]:
    with seeded(2):
        judge = nn.Linear(2, 1)
    maker, draw = Shift(judge), torch.Generator().manual_seed(seed)
    x, _ = toy_points("moons", n, generator=torch.Generator().manual_seed(7))
    for_G, for_D = (torch.optim.SGD(player.parameters(), lr=0.5) for player in (maker, judge))
    play_round(maker, nn.Sequential(judge, nn.Flatten(0)), for_G, for_D, x, gamma, turns, draw)
    maker.seen.append((torch.zeros(n, 2), *maker.look()))  # how it ends
    if not all(weight.requires_grad for weight in judge.parameters()):
        raise AssertionError(
            "q6: the discriminator's weights no longer require a gradient after a round. "
            "Nothing needs to be frozen: only optimizer_G takes a step in the generator's turns."
        )
    if (times := len(maker.seen) - 1) != turns + 1:
        raise AssertionError(
            f"q6: the generator makes points {times} times in a round with turns = {turns}, should be "
            f"{turns + 1} times: once for the discriminator's turn, and once for each turn of its own."
        )
    for noise, *_ in maker.seen:
        check_shape(f"q6: the noise of a turn with {n} real points", noise, (n, 2))
    z, c, w, b = (torch.stack(values) for values in zip(*maker.seen, strict=True))
    return x, z[:-1], c, w[:, 0], b[:, 0]


def game(seed: int, gamma: float) -> float:  # the modes covered, mean over the last five of 15 moments
    generator, discriminator = two_players(seed)
    adam_G, adam_D = (
        torch.optim.Adam(player.parameters(), lr=1e-3, betas=(0.0, 0.9))
        for player in (generator, discriminator)
    )
    draw, covered = torch.Generator().manual_seed(seed), []
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(3))
    for turn in range(1, 301):
        x, _ = toy_points("gaussians", 256, generator=draw)
        play_round(generator, discriminator, adam_G, adam_D, x, gamma, 5, draw)
        if turn % 20 == 0:
            covered.append(modes_covered(generator(z).detach()))
    return sum(covered[-5:]) / 5


# %% [markdown]
# Write one round of the game:
#
# 1. one turn of the discriminator on the real points `x` (N, 2), with your `discriminator_step` and the weight `gamma`;
# 2. then `turns` turns of the generator. Each is one step of `optimizer_G` that lowers the non-saturating
#    $L_G = -\,\mathbb{E} \log \sigma(s(G(z)))$, from fresh gradients. The discriminator's weights stand still.
#
# Each of these 1 + `turns` turns draws noise of its own: $N$ pairs $z \sim N(0, I)$, a tensor (N, 2), from the
# generator of random numbers `draw`. The function returns nothing.
#
# The check looks at single rounds first. Then it plays 300 rounds with five turns of the generator, in two games
# without R1 ($\gamma = 0$) and two with $\gamma = 20$, about 10 seconds in all. On average over both games and their
# last rounds the points should cover at most four modes without R1, and at least six with it.
#
# <details><summary>Hint 1</summary>
#
# `torch.randn(len(x), 2, generator=draw)`, once for each turn.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In the generator's turn the gradient has to pass *through* the discriminator, so nothing is detached. Its weights get
# gradients, too, but only `optimizer_G` takes a step.
#
# </details>


# %% key="q6"
def play_round(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_G: torch.optim.Optimizer,
    optimizer_D: torch.optim.Optimizer,
    x: Tensor,
    gamma: float,
    turns: int,
    draw: torch.Generator,
) -> None:
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %% key="check-q6" tags=["check"]
# CHECK q6
for n, gamma, turns in ((7, 0.0, 3), (5, 0.6, 1), (6, 0.3, 4)):
    x, z, c, w, b = one_round(n, gamma, turns)
    case = f"in a round with turns = {turns} and γ = {gamma:g}"
    if (different := len(z.flatten(1).unique(dim=0))) != turns + 1:
        raise AssertionError(
            f"q6: {different} of {turns + 1} turns have noise of their own {case}. Draw it anew for each turn."
        )
    wrong, wrong_hat = (-(x @ w[0] + b[0])).sigmoid(), ((z[0] + c[0]) @ w[0] + b[0]).sigmoid()
    by_w = -(wrong[:, None] * x).mean(dim=0) + (wrong_hat[:, None] * (z[0] + c[0])).mean(dim=0) + gamma * w[0]
    check_close(
        f"q6: the discriminator's weight vector as the generator's first turn finds it {case}",
        w[1],
        w[0] - 0.5 * by_w,
        hint="The discriminator's turn comes first, with γ.",
    )
    check_close(
        f"q6: the change of the discriminator's weights during the generator's turns {case}",
        torch.cat([w, b[:, None]], dim=1)[2:] - torch.cat([w, b[:, None]], dim=1)[1],
        torch.zeros(turns, 3),
        hint="One turn of the discriminator a round. In the generator's turns only optimizer_G takes a step.",
    )
    for k in range(1, turns + 1):
        if (c[k + 1] == c[k]).all():
            raise AssertionError(
                f"q6: turn {k} of the generator does not change its weights {case}. Nothing is detached here."
            )
        to_learn = (-((z[k] + c[k]) @ w[1] + b[1])).sigmoid().mean()  # 1 - D at the made points
        check_close(
            f"q6: the step of the generator's weights in its turn {k} {case}",
            c[k + 1] - c[k],
            0.5 * to_learn * w[1],
            hint="The non-saturating loss, and gradients of this turn only: zero_grad before backward.",
        )
_, z, *_ = one_round(4000, 0.0, 3)
check_close("q6: the mean of the noise", z.mean(), 0.0, tol=0.03, hint="The noise is normal: randn.")
check_close(
    "q6: the variance of the noise", z.var(), 1.0, tol=0.03, hint="The noise is normal: randn, not rand."
)
check_close("q6: the noise with the same seed again", one_round(4000, 0.0, 3)[1], z, hint="Use `draw`.")
other = one_round(4000, 0.0, 3, seed=1)[1]
check_range(
    "q6: how far another seed changes the noise", (other - z).abs().mean(), 0.5, 2, hint="Use `draw`."
)
for name, gamma, low, high in (("without R1", 0.0, 0, 4), ("with R1, γ = 20,", 20.0, 6, 8)):
    covered = sum(game(seed, gamma) for seed in (0, 1)) / 2
    check_range(f"q6: the modes covered at the end of a game {name} mean of two games,", covered, low, high)
print("Batches of noise in a round with five turns of the generator:", len(one_round(4, 1.0, 5)[1]))

# %% [markdown]
# ## 7 · Open question
#
# The loss of a GAN's discriminator has been flat for an hour; you are not told at which value. Name three different
# states of the game that this fits, and say for each why the loss is flat in it. Then describe for each a measurement
# that would tell it from the other two, and say what you expect it to show. Five to ten sentences.
#
# *5 points: three states that fit a flat loss, each with the reason why the loss is flat 3 (one each), measurements
# that tell each from the others 2.*
#
# *Your answer:*
