# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/solution/hw07.ipynb)
#
# # Homework 07 · Diffusion
#
# Six exercises and one open question, about ninety minutes. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in. When it is graded, your functions are also asked about other numbers, shapes and seeds than in
# the checks, where there are no files and no network. Lines with `%` or `!`, and statements that fail there, are left
# out. `course homework check` judges in the same way, and names them.
#
# In all exercises but the fifth the time steps are $t = 1, \dots, T$, and $t = 0$ is the clean image $x_0$. `alpha_bar` is a float64
# tensor of the shape (T + 1,) with `alpha_bar[t]` $= \bar\alpha_t$ and $\bar\alpha_0 = 1$. A batch holds $N$ images of
# any shape: (N, C, H, W), but also (N, 2) for points in the plane. No function may change its inputs.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from course_utils import diffusion
from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.features import feature_extractor
from course_utils.pretrained import load_pretrained
from course_utils.viz import show_images

# %% [markdown]
# ## 1 · What v tells
#
# A network may also predict $v$, a mixture of noise and image (Salimans and Ho 2022):
#
# $$x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \varepsilon, \qquad
# v = \sqrt{\bar\alpha_t}\; \varepsilon - \sqrt{1 - \bar\alpha_t}\; x_0.$$
#
# These are two equations with two unknowns. Given $x_t$ and $v$, both (N, …), and $t$ (N,), return $x_0$
# and $\varepsilon$, in this order. Image $i$ has the time `t[i]`. The function must work for any image shape and for all
# $t$, also where $\bar\alpha_t$ is 0 or 1.
#
# <details><summary>Hint 1</summary>
#
# The squares of $\sqrt{\bar\alpha_t}$ and $\sqrt{1 - \bar\alpha_t}$ add up to 1, as those of a cosine and a sine do. So
# $(x_0, \varepsilon) \mapsto (x_t, v)$ is a rotation. How is a rotation undone?
#
# </details>
# <details><summary>Hint 2</summary>
#
# To find $x_0$, multiply the first equation by $\sqrt{\bar\alpha_t}$, the second by $\sqrt{1 - \bar\alpha_t}$, and
# take the difference. No division is needed.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `alpha_bar[t]` has the shape (N,). PyTorch aligns shapes at the *last* axis; `alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))` has
# the shape (N, 1, 1, 1) for images and (N, 1) for points.
#
# </details>


# %% key="q1"
def x0_and_eps_from_v(x_t: Tensor, v: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t - noise * v, noise * x_t + signal * v


# %% key="check-q1" tags=["check"]
# CHECK q1
left = torch.tensor([1.0, 0.64, 0.36, 0.0], dtype=torch.float64)
ones, always_1 = torch.ones(4, 3, 5, 4), torch.ones(4, dtype=torch.int64)
x0, eps = torch.tensor([1.0, 3.0]).repeat(4, 3, 5, 2), torch.tensor([2.0, -1.0]).repeat(4, 3, 5, 2)
x_t, v = torch.tensor([2.0, 1.8]).repeat(4, 3, 5, 2), torch.tensor([1.0, -2.6]).repeat(4, 3, 5, 2)
both = x0_and_eps_from_v(x_t, v, always_1, left)
is_pair = isinstance(both, (tuple, list)) and len(both) == 2
assert is_pair, "q1: the function must return two things: x0, and eps."
for name, got in zip(("x0", "eps"), both, strict=True):
    check_shape(f"q1: {name} for images (4, 3, 5, 4)", got, (4, 3, 5, 4))
hint = "At even indices of the last axis x_t = 0.8 · 1 + 0.6 · 2 and v = 0.8 · 2 - 0.6 · 1. x0 is returned first."
check_close("q1: x0 for x_t = 2 or 1.8, v = 1 or -2.6, alpha_bar_t = 0.64", both[0], x0, hint=hint)
check_close("q1: eps for x_t = 2 or 1.8, v = 1 or -2.6, alpha_bar_t = 0.64", both[1], eps, hint=hint)
v_by_t = torch.tensor([-2.0, -2.2, -2.0, -1.0]).view(4, 1, 1, 1) * ones  # of x0 = 1 and eps = -2
x_by_t = torch.tensor([1.0, -0.4, -1.0, -2.0]).view(4, 1, 1, 1) * ones
both = x0_and_eps_from_v(x_by_t, v_by_t, torch.arange(4), left)
hint = "Image i has the time t[i]. At t = 0 v is eps; where alpha_bar is 0 it is -x0. Do not divide at all."
check_close("q1: x0 of four images with the times 0, 1, 2, 3", both[0], ones, hint=hint)
check_close("q1: eps of four images with the times 0, 1, 2, 3", both[1], -2 * ones, hint=hint)
draw = torch.Generator().manual_seed(2)
some_times, cosine = torch.tensor([20, 3, 0, 11, 7, 16]), diffusion.cosine_schedule(20).alpha_bar
for shape in [(6, 2), (6, 4, 5), (6, 3, 4, 5)]:
    x0, eps = (torch.randn(shape, generator=draw) for _ in range(2))
    bars = cosine[some_times].float().view(-1, *[1] * (len(shape) - 1))
    x_t, v = (
        bars.sqrt() * x0 + (1 - bars).sqrt() * eps,
        diffusion.target(x0, eps, bars.sqrt(), (1 - bars).sqrt(), "v"),
    )
    both = x0_and_eps_from_v(x_t, v, some_times, cosine)
    check_close(f"q1: x0 for drawn numbers of the shape {shape}", both[0], x0)
    check_close(f"q1: eps for drawn numbers of the shape {shape}", both[1], eps)
two = x0_and_eps_from_v(torch.tensor([[2.0]]), torch.tensor([[1.0]]), torch.tensor([1]), left)
print("x_t = 2 and v = 1 at alpha_bar = 0.64: x0 and eps are", [round(value.item(), 1) for value in two])

# %% [markdown]
# ## 2 · The loss of v
#
# Write the loss with which a network learns to predict $v$. For clean images `x0` (N, …):
#
# 1. draw a time for each image, uniformly from $1, \dots, T$, and noise $\varepsilon \sim N(0, I)$ of the shape of `x0`,
#    both from the generator that is given;
# 2. make $x_t$, and the $v$ of exercise 1 that belongs to it;
# 3. return the mean of $(v_\theta(x_t, t) - v)^2$ over all images and pixels, where $v_\theta(x_t, t)$ is `net(x_t, t)`.
#
# `net` wants `x_t` in float32, as `x0` is, and `t` as int64 of the shape (N,). It may have weights: gradients must reach
# them. The function must work for any image shape.
#
# <details><summary>Hint 1</summary>
#
# `torch.randint(low, high, (n,), generator=generator)` never gives `high`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `alpha_bar` is float64. `alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))` has the dtype of `x0` and is shaped to multiply
# it.
#
# </details>


# %% key="q2"
def v_loss(net: nn.Module, x0: Tensor, alpha_bar: Tensor, generator: torch.Generator) -> Tensor:
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %% key="check-q2" tags=["check"]
# CHECK q2
class Spy:
    """Stands in for a network: remembers what it is shown, and answers with one number everywhere."""

    def __init__(self, answer: float = 0.0):
        self.answer, self.x, self.t = answer, [], []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.x.append(x)
        self.t.append(t)
        return torch.full_like(x, self.answer)


class Knows(nn.Module):
    """The right answer, if all of x0 is c; times a weight, which is 1."""

    def __init__(self, c: float, alpha_bar: Tensor):
        super().__init__()
        self.c, self.alpha_bar = c, alpha_bar.float()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        a = self.alpha_bar[t].view(-1, *[1] * (x.ndim - 1))
        eps = (x - a.sqrt() * self.c) / (1 - a).sqrt()
        return self.weight * (a.sqrt() * eps - (1 - a).sqrt() * self.c)


cosine = diffusion.cosine_schedule(20).alpha_bar
spy, some = Spy(), torch.full((4, 3, 4, 4), 1.5)
value = v_loss(spy, some, cosine, torch.Generator().manual_seed(1))
check_shape("q2: v_loss(...)", value, ())
check_close("q2: how often the network is asked", len(spy.t), 1)
check_shape("q2: the times that it is told", spy.t[0], (4,))
kinds = spy.t[0].dtype, spy.x[0].dtype
assert kinds == (torch.int64, torch.float32), f"q2: t and x_t are {kinds}, should be int64 and float32."
value = v_loss(Knows(1.5, cosine), some, cosine, torch.Generator().manual_seed(1))
hint = "Each image has a time of its own, and v belongs to the x_t of that time. Look at the axes."
check_close("q2: the loss of a network that knows x0 = 1.5", value, 0.0, tol=1e-3, hint=hint)
spy, threes = Spy(), torch.full((4000, 1, 2, 3), 3.0)
v_loss(spy, threes, cosine, torch.Generator().manual_seed(0))
check_close(
    "q2: x0, after v_loss(...),", threes, torch.full((4000, 1, 2, 3), 3.0), hint="Do not change the input."
)
share = torch.bincount(spy.t[0].clamp(0, 20), minlength=21) / 4000
hint = "The times are 1 … T, each equally likely; T is len(alpha_bar) - 1."
check_close(
    "q2: how often each time 0 … 20 is drawn", share, torch.tensor([0.0] + [0.05] * 20), tol=0.016, hint=hint
)
for t in (1, 10, 20):
    here = spy.x[0][spy.t[0] == t]
    hint = "x_t needs alpha_bar[t] of its own image."
    check_close(
        f"q2: the mean of x_t at t = {t} for x0 = 3", here.mean(), 3 * cosine[t].sqrt(), tol=0.12, hint=hint
    )
    check_close(f"q2: the variance of x_t at t = {t}", here.var(), 1 - cosine[t], tol=0.12, hint=hint)
within = spy.x[0].var(dim=(1, 2, 3)).mean()
check_range(
    "q2: the variance of x_t within an image", within, 0.3, 0.8, hint="Each pixel has noise of its own."
)


for shape in [(4, 3, 4, 4), (50, 2), (6, 4, 6)]:
    for c in (1.5, -2.0):
        value = v_loss(Knows(c, cosine), torch.full(shape, c), cosine, torch.Generator().manual_seed(1))
        hint = (
            "v = √ᾱ ε - √(1 - ᾱ) x0, with the ε and the t that x_t was made with; the network is told that t."
        )
        check_close(
            f"q2: the loss of a network that knows x0 = {c}, shape {shape},", value, 0.0, tol=1e-3, hint=hint
        )
zero, one = (v_loss(Spy(k), threes, cosine, torch.Generator().manual_seed(2)) for k in (0.0, 1.0))
expected = (cosine[1:] + 9 * (1 - cosine[1:])).mean()
check_close(
    "q2: the loss of a network that answers 0, for x0 = 3",
    zero,
    expected,
    tol=0.06,
    hint="A mean of squares.",
)
more = 1 + 2 * 3 * (1 - cosine[1:]).sqrt().mean()
check_close("q2: by how much it is larger for the answer 1", one - zero, more, tol=0.06)
generator = torch.Generator().manual_seed(2)
first, second = (v_loss(Spy(), threes[:50], cosine, generator) for _ in range(2))
again = v_loss(Spy(), threes[:50], cosine, torch.Generator().manual_seed(2))
check_close("q2: the loss with the same seed again", again, first, hint="Draw everything from the generator.")
hint = "Do not seed the generator again."
check_range(
    "q2: how much the loss changes from one call to the next", abs(second - first), 0.001, 5, hint=hint
)
spies = Spy(), Spy()
for seed, each in enumerate(spies):
    v_loss(each, threes[:, 0, 0], cosine, torch.Generator().manual_seed(seed))
hint = "It needs as many axes of length 1 as one image has: do not write them out."
check_shape("q2: x_t for points (4000, 3)", spies[0].x[0], (4000, 3), hint=hint)
differ = (spies[0].t[0] != spies[1].t[0]).double().mean()
hint = "The times are drawn, from the generator that is given."
check_range("q2: the share of images to which another seed gives another time", differ, 0.9, 1.0, hint=hint)
half = Knows(1.0, cosine)
loss = v_loss(half, torch.ones(500, 1, 4, 4), cosine, torch.Generator().manual_seed(3))
check_gradients(
    "q2: the loss", loss, [half.weight], hint="Return a tensor, without .item(), detach or no_grad."
)
print("The loss of a network that always answers 0, for images that are all 3:", round(float(zero)))

# %% [markdown]
# ## 3 · A step back, as long as you like
#
# A sampler with few steps goes from $t$ to any earlier time $s$, not only to $t - 1$. If $x_0$ is known, this can be done
# exactly: $q(x_s \mid x_t, x_0)$ is normal. With $\alpha_{t \mid s} = \bar\alpha_t / \bar\alpha_s$, the share of the
# variance of $x_s$ that is left in $x_t$, its mean and variance are
#
# $$\tilde\mu = \frac{\sqrt{\bar\alpha_s}\, (1 - \alpha_{t \mid s})}{1 - \bar\alpha_t}\, x_0 +
# \frac{\sqrt{\alpha_{t \mid s}}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t, \qquad
# \tilde\sigma^2 = \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}\, (1 - \alpha_{t \mid s}).$$
#
# (For $s = t - 1$ these are equations 6 and 7 of Ho et al., 2020.) Here $t$ and $s$ are one number each for the whole
# batch, $0 \le s < t \le T$. Return the mean, (N, …), and the variance, one number.
#
# <details><summary>Hint</summary>
#
# At $s = 0$ the mean is $x_0$ and the variance 0. You need no case of its own for that.
#
# </details>


# %% key="q3"
def posterior(x0: Tensor, x_t: Tensor, t: int, s: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %% key="check-q3" tags=["check"]
# CHECK q3
left = torch.tensor([1.0, 0.64, 0.16, 0.11], dtype=torch.float64)
one, zero = torch.ones(4, 3, 2), torch.zeros(4, 3, 2)
both = posterior(one, zero, 2, 1, left)
is_pair = isinstance(both, (tuple, list)) and len(both) == 2
assert is_pair, "q3: posterior must return two things: the mean, and the variance."
check_shape("q3: the mean for images (4, 3, 2)", both[0], (4, 3, 2))
check_shape("q3: the variance", both[1], (), hint="It is the same for all images and pixels.")
for t in (1, 3):
    mean, variance = posterior(3 * one, zero, t, 0, left)
    check_close(
        f"q3: the variance from t = {t} to s = 0", variance, 0.0, hint="x_0 is known, and alpha_bar_0 is 1."
    )
    check_close(f"q3: the mean from t = {t} to s = 0", mean, 3 * one, hint="It must be x_0.")
hint = "There alpha_{t|s} = 0.16 / 0.64 = 0.25."
check_close("q3: the variance from alpha_bar_t = 0.16 to alpha_bar_s = 0.64", both[1], 9 / 28, hint=hint)
hint = "The first root is that of alpha_bar_s = 0.64."
check_close("q3: the mean of that step for x_0 = 1, x_t = 0", both[0], 5 / 7 * one, hint=hint)
hint = "The second root is that of alpha_{t|s} = 0.25, not of an alpha_bar."
check_close(
    "q3: the mean of that step for x_0 = 0, x_t = 1",
    posterior(zero, one, 2, 1, left)[0],
    3 / 14 * one,
    hint=hint,
)


def by_bayes(x0: float, x_t: float, t: int, s: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_s | x_0) q(x_t | x_s), normalised, on a grid of x_s."""
    grid = torch.linspace(-8, 8, 16001, dtype=torch.float64)
    alpha = alpha_bar[t] / alpha_bar[s]
    prior = Normal(alpha_bar[s].sqrt() * x0, (1 - alpha_bar[s]).sqrt()).log_prob(grid)
    seen = Normal(alpha.sqrt() * grid, (1 - alpha).sqrt()).log_prob(torch.tensor(x_t))
    share = (prior + seen).softmax(dim=0)
    mean = (share * grid).sum()
    return mean, (share * (grid - mean).square()).sum()


cosine = diffusion.cosine_schedule(20).alpha_bar
for bars, t, s, a, b in [(left, 3, 1, 0.7, -0.4), (cosine, 15, 5, -0.6, 2.1), (cosine, 19, 18, 1.3, 0.9)]:
    mean, variance = posterior(torch.tensor([[a, b]]), torch.tensor([[b, a]]), t, s, bars)
    means, variances = zip(by_bayes(a, b, t, s, bars), by_bayes(b, a, t, s, bars), strict=True)
    hint = "Bayes' rule on a grid says so."
    check_close(f"q3: the variance from {t} to {s} of {len(bars) - 1}", variance, variances[0], hint=hint)
    check_close(f"q3: the mean from {t} to {s} of {len(bars) - 1}", mean, torch.stack(means)[None], hint=hint)
print("Mean and variance for x_0 = 1, x_t = 0:", round(both[0][0, 0, 0].item(), 2), round(float(both[1]), 2))

# %% [markdown]
# ## 4 · The whole way back
#
# Write ancestral sampling. `net(x_t, t)` predicts $v$ (`t` is int64 of the shape (N,)). `times` is a list that falls from
# $T$ to 0, such as [1000, 750, 500, 250, 0]. Begin with `x_T`; for each $t$ and the $s$ that follows it in the list, let the network
# predict $v$, find $\hat x_0$ (exercise 1), and draw $x_s$ from the normal distribution of exercise 3, with $\hat x_0$
# instead of $x_0$. Return the end, $x_0$. All noise comes from the generator. No gradients are needed: keep none.
#
# <details><summary>Hint 1</summary>
#
# `pairwise(times)` gives (1000, 750), (750, 500), … It is imported above. And `torch.full((len(x),), t)` is the time $t$ for
# each image.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A draw from a normal distribution is the mean plus the *standard deviation* times standard normal noise.
#
# </details>


# %% key="q4"
def ancestral(
    net: nn.Module, x_T: Tensor, times: list[int], alpha_bar: Tensor, generator: torch.Generator
) -> Tensor:
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, _ = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %% key="check-q4" tags=["check"]
# CHECK q4
bars = diffusion.linear_schedule(1000).alpha_bar


class BestV(nn.Module):
    """The best v for data from N(mu, sigma²) in each pixel; remembers the times. Its weight is 1."""

    def __init__(self, mu: float, sigma: float):
        super().__init__()
        self.mu, self.sigma, self.seen = mu, sigma, []
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen.append(t.tolist())
        a = bars[t].view(-1, *[1] * (x.ndim - 1))
        eps = (1 - a).sqrt() * (x - a.sqrt() * self.mu) / (a * self.sigma**2 + 1 - a)
        return self.weight * (a.sqrt() * eps - (1 - a).sqrt() * (x - (1 - a).sqrt() * eps) / a.sqrt())


def variance_at_the_end(sigma: float, times: list[int]) -> float:
    """Of x_0, if x_T has the variance 1 and each step is drawn as it should be: worked out, not drawn."""
    variance = 1.0
    for t, s in pairwise(times):
        a, b = bars[t].item(), bars[s].item()
        guess = math.sqrt(a) * sigma**2 / (a * sigma**2 + 1 - a)  # how much x0_hat moves with x_t
        share = (math.sqrt(b) * (1 - a / b) * guess + math.sqrt(a / b) * (1 - b)) / (1 - a)
        variance = share**2 * variance + (1 - b) / (1 - a) * (1 - a / b)
    return variance


draw = torch.Generator().manual_seed(1)
x_T = torch.randn(4000, 1, 2, 2, generator=draw, dtype=torch.float64)
kept = x_T.clone()
times, net = [1000, 700, 400, 100, 0], BestV(2.0, 0.5)
end = ancestral(net, x_T, times, bars, torch.Generator().manual_seed(2))
check_shape("q4: ancestral(...)", end, (4000, 1, 2, 2))
check_close("q4: x_T, afterwards,", x_T, kept, hint="Do not change the input.")
hint = "One run of the network for each step, with the time that the step begins at."
check_close(
    "q4: the times that the network is told, for the first image,",
    [t[0] for t in net.seen],
    times[:-1],
    hint=hint,
)
check_close("q4: the time that it is told for the last image", net.seen[1][-1], 700)
assert not torch.as_tensor(end).requires_grad, "q4: the result keeps gradients; sample under torch.no_grad()."
for sigma, walk in [
    (0.5, times),
    (0.5, [1000, 500, 0]),
    (1.0, [1000, 600, 200, 0]),
    (0.5, [*range(1000, -1, -20)]),
]:
    end = ancestral(BestV(2.0, sigma), x_T, walk, bars, torch.Generator().manual_seed(3))
    hint = (
        "Data from N(2, σ²). Look at the variance of each step, at its root, and at the noise of each pixel."
    )
    what = f"of {len(walk) - 1} steps, for data from N(2, {sigma}²)"
    check_close(f"q4: the mean at the end {what}", end.mean(), 2.0, tol=0.02, hint=hint)
    expected = variance_at_the_end(sigma, walk)
    check_close(f"q4: the variance at the end {what}", end.var(), expected, tol=0.035, hint=hint)
    check_close(
        f"q4: the variance within an image {what}",
        end.var(dim=(1, 2, 3)).mean(),
        expected,
        tol=0.05,
        hint=hint,
    )
point = ancestral(BestV(-1.5, 0.0), x_T[:50], times, bars, torch.Generator().manual_seed(4))
hint = "The last step adds no noise: its variance is 0."
check_close("q4: the end, for data that are the point -1.5", point, torch.full_like(point, -1.5), hint=hint)
ends = [
    ancestral(BestV(0.0, 1.0), x_T[:50], times, bars, torch.Generator().manual_seed(s)) for s in (5, 5, 6)
]
check_close("q4: the end with the same seed again", ends[1], ends[0], hint="Use the generator that is given.")
hint = "Each step draws new noise from the generator."
check_range("q4: how far another seed moves the end", (ends[2] - ends[0]).square().mean(), 0.5, 4, hint=hint)
print("Variance at the end of two steps and of fifty:",
      round(variance_at_the_end(0.5, [1000, 500, 0]), 2), round(variance_at_the_end(0.5, [*range(1000, -1, -20)]), 2))  # fmt: skip

# %% [markdown]
# ## 5 · Flow matching, with the clock of Stable Diffusion 3
#
# Most papers on flow matching let time run the other way than our notebook: $\tau = 0$ is noise, $\tau = 1$ the image,
#
# $$x_\tau = (1 - \tau)\, \varepsilon + \tau\, x_0, \qquad \frac{dx_\tau}{d\tau} = x_0 - \varepsilon .$$
#
# And Stable Diffusion 3 (Esser et al. 2024) does not draw $\tau$ uniformly, but more often in the middle, where the
# task is hardest: $\tau = 1 / (1 + e^{-u})$ with $u \sim N(0, 1)$. Write the loss: for images `x0` (N, …) of any shape draw a $u$
# for each image and then the noise $\varepsilon$, both from the generator, and return the mean of
# $(u_\theta - (x_0 - \varepsilon))^2$ over images and pixels, where $u_\theta$ is `net(x_tau, tau)`, with `tau` of the shape (N,).
#
# <details><summary>Hint</summary>
#
# `torch.sigmoid(u)` is $1 / (1 + e^{-u})$. As in exercise 2, $\tau$ must be given axes of length 1 before it can
# multiply images; the network wants it without them.
#
# </details>


# %% key="q5"
def flow_loss(net: nn.Module, x0: Tensor, generator: torch.Generator) -> Tensor:
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %% key="check-q5" tags=["check"]
# CHECK q5
class Watch:
    """Stands in for a network: remembers what it is shown, and answers with one number everywhere."""

    def __init__(self, answer: float = 0.0):
        self.answer, self.x, self.tau = answer, [], []

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        self.x.append(x)
        self.tau.append(tau)
        return torch.full_like(x, self.answer)


fives, watch = torch.full((6000, 1, 2, 3), 5.0), Watch()
value = flow_loss(watch, fives, torch.Generator().manual_seed(0))
check_shape("q5: flow_loss(...)", value, ())
check_close(
    "q5: x0, after flow_loss(...),", fives, torch.full((6000, 1, 2, 3), 5.0), hint="Do not change the input."
)
check_close("q5: how often the network is asked", len(watch.tau), 1)
tau = watch.tau[0]
check_shape("q5: the times that it is told", tau, (6000,), hint="One for each image.")
u = torch.logit(tau.double())
hint = "u is standard normal, and tau = sigmoid(u)."
check_close("q5: the mean of u = log(tau / (1 - tau))", u.mean(), 0.0, tol=0.05, hint=hint)
check_close("q5: the standard deviation of u", u.std(), 1.0, tol=0.05, hint=hint)
check_close(
    "q5: the share of tau between 0.25 and 0.75",
    ((tau > 0.25) & (tau < 0.75)).double().mean(),
    0.728,
    tol=0.02,
)
rest = (watch.x[0] - tau.view(-1, 1, 1, 1) * 5) / (1 - tau.view(-1, 1, 1, 1))
hint = "x_tau = (1 - tau) ε + tau x0, with the tau that the network is told."
check_close("q5: the mean of the noise in x_tau", rest.mean(), 0.0, tol=0.03, hint=hint)
check_close("q5: the variance of the noise in x_tau", rest.var(), 1.0, tol=0.04, hint=hint)
check_close(
    "q5: the same within each image",
    rest.var(dim=(1, 2, 3)).mean(),
    1.0,
    tol=0.05,
    hint="New noise for each pixel.",
)


class Sure(nn.Module):
    """The right velocity, if all of x0 is c; times a weight, which is 1."""

    def __init__(self, c: float):
        super().__init__()
        self.c, self.weight = c, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, tau: Tensor) -> Tensor:
        tau = tau.view(-1, *[1] * (x.ndim - 1))
        return self.weight * (self.c - x) / (1 - tau)


for shape in [(4, 3, 4, 4), (50, 2), (6, 4, 6)]:
    value = flow_loss(Sure(1.5), torch.full(shape, 1.5), torch.Generator().manual_seed(1))
    hint = "From x_tau the velocity leads straight to the image, in the time 1 - tau that is left."
    check_close(
        f"q5: the loss of a network that knows x0 = 1.5, shape {shape},", value, 0.0, tol=1e-3, hint=hint
    )
zero, one = (flow_loss(Watch(k), fives, torch.Generator().manual_seed(2)) for k in (0.0, 1.0))
check_close(
    "q5: the loss of a network that answers 0, for x0 = 5", zero, 26.0, tol=0.02, hint="A mean of squares."
)
check_close(
    "q5: by how much it is smaller for the answer 1", zero - one, 9.0, tol=0.02, hint="The target is x0 - ε."
)
generator = torch.Generator().manual_seed(2)
first, second = (flow_loss(Watch(), fives[:50], generator) for _ in range(2))
again = flow_loss(Watch(), fives[:50], torch.Generator().manual_seed(2))
check_close("q5: the loss with the same seed again", again, first, hint="Draw everything from the generator.")
hint = "Do not seed the generator again."
check_range(
    "q5: how much the loss changes from one call to the next", abs(second - first), 0.001, 5, hint=hint
)
other = Watch()
flow_loss(other, fives[:, 0, 0], torch.Generator().manual_seed(4))
hint = "It needs as many axes of length 1 as one image has: do not write them out."
check_shape("q5: x_tau for points (6000, 3)", other.x[0], (6000, 3), hint=hint)
sure = Sure(1.0)
loss = flow_loss(sure, torch.ones(500, 1, 4, 4), torch.Generator().manual_seed(3))
check_gradients(
    "q5: the loss", loss, [sure.weight], hint="Return a tensor, without .item(), detach or no_grad."
)
print("The loss of a network that always answers 0, for images that are all 5:", round(float(zero)))

# %% [markdown]
# ## 6 · Labels left out, and guidance for a while
#
# **In training.** Classifier-free guidance needs one network that knows both, so some labels are left out. Write
# `drop_labels`: it replaces each label of `y` (N,), int64, by the number `nothing` with probability `p`, independently of
# the others. The input must not be changed, and all randomness comes from the generator that is given.
#
# **In sampling.** Kynkäänniemi et al. (2024) found that guidance does harm near pure noise, and little good near the
# image, so they apply it only at noise levels in between. Write `guided`: `v_with` and `v_without`, (N, …), are the
# network's answers with and without the class, $t$ is one number. Where `low` ≤ $t$ ≤ `high` return
#
# $$v^{w} = v(x_t) + w\, \big(v(x_t, y) - v(x_t)\big),$$
#
# and at all other times the answer with the class, unguided.
#
# Then the check puts your functions of exercises 1, 3, 4 and 6 together: from noise to 100 digits in twelve steps, with
# `ddpm-mnist`, the network that the course ships.
#
# <details><summary>Hint</summary>
#
# `torch.rand(y.shape, generator=generator) < p` is True with probability `p`, in each place anew. `masked_fill` without
# an underscore at its end gives a copy.
#
# </details>


# %% key="q6"
def drop_labels(y: Tensor, nothing: int, p: float, generator: torch.Generator) -> Tensor:
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with: Tensor, v_without: Tensor, w: float, t: int, low: int, high: int) -> Tensor:
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


# %% key="check-q6" tags=["check"]
# CHECK q6
draw = torch.Generator().manual_seed(3)
v_1, v_0 = (torch.randn(4, 3, 5, 2, generator=draw) for _ in range(2))
hint = "w = 0 is without the class, w = 1 with it."
check_close(
    "q6: guided with w = 1, compared with v_with,", guided(v_1, v_0, 1.0, 500, 0, 1000), v_1, hint=hint
)
check_close(
    "q6: guided with w = 0, compared with v_without,", guided(v_1, v_0, 0.0, 500, 0, 1000), v_0, hint=hint
)
for w, right in [(2.5, [6.0, -1.5]), (0.5, [2.0, 0.5])]:
    value = guided(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 1.0]), w, 300, 200, 700)
    hint = "From 1 go w times the way to v_with, also beyond it."
    check_close(
        f"q6: guided for v_with = 3 or 0, v_without = 1, w = {w}", value, torch.tensor(right), hint=hint
    )
for t, right in [
    (199, 3.0),
    (200, 6.0),
    (201, 6.0),
    (699, 6.0),
    (700, 6.0),
    (701, 3.0),
    (1, 3.0),
    (1000, 3.0),
]:
    value = guided(torch.tensor(3.0), torch.tensor(1.0), 2.5, t, 200, 700)
    hint = "Both ends belong to the interval; outside it the answer is v_with."
    check_close(f"q6: the same for w = 2.5, low = 200, high = 700, at t = {t}", value, right, hint=hint)

y = torch.arange(20_000) % 10


def drop(p: float, seed: int) -> Tensor:
    return drop_labels(y, 10, p, torch.Generator().manual_seed(seed))


dropped = drop(0.2, 4)
check_shape("q6: drop_labels(y, nothing, p, generator)", dropped, (20_000,))
check_close("q6: the input of drop_labels, afterwards,", y, torch.arange(20_000) % 10, hint="Work on a copy.")
kind = torch.as_tensor(dropped).dtype
assert kind == torch.int64, f"q6: the labels are {kind} after drop_labels, should be int64 as before."
gone = dropped == 10
known = (gone | (dropped == y)).double().mean()
check_close("q6: the share of labels that are `nothing` or as they were", known, 1.0)
hint = "Each label has a draw of its own."
check_close("q6: the share of labels dropped for p = 0.2", gone.double().mean(), 0.2, tol=0.0125, hint=hint)
other = (drop(0.35, 8) == 10).double().mean()
check_close("q6: the share of labels dropped for p = 0.35", other, 0.35, tol=0.0125, hint=hint)
of_class = gone.double().view(2000, 10).mean(dim=0)
check_range("q6: the share dropped of any one class for p = 0.2", of_class, 0.15, 0.25, hint=hint)
check_close("q6: the result of drop_labels for p = 0", drop(0.0, 4), y)
check_close("q6: the result of drop_labels for p = 1", drop(1.0, 4), torch.full_like(y, 10))
hint = "Use the generator that is given for every draw."
check_close("q6: the result of drop_labels with the same seed again", drop(0.2, 4), dropped, hint=hint)
differ = (drop(0.2, 5) != dropped).double().mean()
check_range("q6: the share of labels that another seed changes", differ, 0.2, 0.45, hint=hint)
draw = torch.Generator().manual_seed(6)
some = torch.tensor([0, 1, 2, 0, 1])
counts = torch.tensor([(drop_labels(some, 3, 0.2, draw) == 3).sum() for _ in range(2000)]).double()
check_close(
    "q6: how many of 5 labels become `nothing` = 3 if p = 0.2, on average,", counts.mean(), 1.0, tol=0.05
)
hint = "5 · p · (1 - p), with p = 0.2, if each is dropped independently of the others."
check_close("q6: the variance of how many of 5 labels are dropped", counts.var(), 0.8, tol=0.08, hint=hint)

shipped, see = load_pretrained("ddpm-mnist", "cpu"), feature_extractor("digits", "cpu")
bars, asked = shipped.schedule.alpha_bar, torch.arange(100) % 10
nobody = drop_labels(asked, shipped.num_classes, 1.0, torch.Generator().manual_seed(0))


def digits(w: float) -> Tensor:
    """100 digits by your sampler; the network's x0_hat, clipped, is turned into v."""

    def net(x: Tensor, t: Tensor) -> Tensor:
        a = bars[t].view(-1, 1, 1, 1)
        v_with, v_without = (
            (a.sqrt() * x - shipped.net(x.float(), t, y).clamp(-1, 1)) / (1 - a).sqrt()
            for y in (asked, nobody)
        )
        return guided(v_with, v_without, w, int(t[0]), 200, 1000)

    draw, times = torch.Generator().manual_seed(7), diffusion.time_steps(shipped.schedule.T, 12)
    x_T = torch.randn(100, 1, 28, 28, generator=draw, dtype=torch.float64)
    return ancestral(net, x_T, times, bars, draw).float().clamp(-1, 1)


drawn = {w: digits(w) for w in (0.0, 1.5)}
as_asked = {w: (see(x).probs.argmax(dim=1) == asked).double().mean() for w, x in drawn.items()}
check_range(
    "q6: the share of your digits that is classified as requested, with w = 1.5,", as_asked[1.5], 0.9, 1.0
)
check_range(
    "q6: the share of your digits that is classified as requested, with w = 0,", as_asked[0.0], 0.0, 0.5
)
show_images(drawn[1.5], columns=20)  # in each row 0, 1, …, 9 were asked for, twice
print(
    "With 3, without 1, w = 2.5:",
    round(guided(torch.tensor(3.0), torch.tensor(1.0), 2.5, 500, 0, 1000).item(), 1),
)

# %% [markdown]
# ## 7 · Open question
#
# A friend trained a diffusion model with $T = 1000$ and samples from it in 50 steps of DDIM. All images come out
# washed-out: little contrast, and mid-grey on average, though half of the training images are dark and half are bright.
# The training loss looks good. Give three possible causes, each of which explains both the low contrast and the grey
# mean, and, for each of them, a measurement that would tell it from the other two. Six to twelve sentences.
#
# *5 points.*
#
# **A model answer.** *First, a trace of the image is left at $T$.* If $\bar\alpha_T$ is not nearly 0, the network has
# learned to read the brightness of the whole image off $x_T$, where the mean over many pixels survives the noise. Sampling starts from pure noise,
# whose mean is near 0, so every image is taken for one of middling brightness, and dark and bright ones, which make the contrast
# within the set, are missing. I would print $\sqrt{\bar\alpha_T}$, and start the sampler from noisy *training* images at $T$ in place of pure
# noise: if dark and bright images come back, this is the cause. *Second, the pixels are scaled differently in two places.* If the
# images were trained in [0, 1] or standardised and are shown as if they were in [-1, 1], all values are squeezed towards the middle.
# I would compare the minimum, maximum and histogram of a training batch, as the network gets it, with those of the samples before they are shown; encoding and
# showing a *real* image through the same path shows the fault without any sampling. *Third, sampling stops before the noise is
# gone, or does not take its steps where it should:* for example the 50 times do not begin at $T$ or do not end at 0, or $\hat x_0$ is
# returned after the first step. At large $t$ the best guess is the mean of the data, which is grey and without contrast. I would print the times and plot the
# contrast of $\hat x_0$ along the walk: it should grow to the end; and I would sample with 1,000 steps, which mends neither of the other two.
#
# Other good causes: weights that are averaged with too slow a decay, so that they are still near their start (compare the
# averaged with the plain weights); the model was trained with a guidance that is now missing, or the guidance is below 1 (sample with $w = 2$);
# too strong a clipping or the wrong sign in the conversion of the prediction (compare one step from $x_t$ of a real image at small $t$ with that image).
#
# **Marking.** 1 point for each of three different causes that explains *both* symptoms (3 points). "It was not trained for long enough" counts only
# if it says why the loss looks good. 2 points for measurements: 1 if each can be carried out with what the friend has, 1 if each tells
# *its* cause from the other two. A measurement that would come out the same under two of the causes gets no point.
