# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/student/hw07.ipynb)
#
# # Homework 07 · Diffusion
#
# Six exercises and one open question, about ninety minutes. Write your code where a cell says so; leave the check cells
# as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all* before
# you hand it in: a notebook that does not run from top to bottom cannot be graded fairly. Beside plain Python, PyTorch
# and NumPy the grader runs what this notebook itself imports; other imports, files, `%`, `!` and names such as `_x` it
# refuses, and `course homework check` says so before.
#
# In all exercises the time steps are $t = 1, \dots, T$, and $t = 0$ is the clean image $x_0$. `alpha_bar` is a float64
# tensor of the shape (T + 1,) with `alpha_bar[t]` $= \bar\alpha_t$ and $\bar\alpha_0 = 1$. A batch holds $N$ images of
# any shape: (N, C, H, W), but also (N, 2) for points in the plane. No function may change its inputs.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from course_utils import diffusion
from course_utils.checks import check_close, check_range, check_shape
from course_utils.features import feature_extractor
from course_utils.pretrained import load_pretrained
from course_utils.viz import show_images

# %% [markdown]
# ## 1 · The schedule
#
# Step $t$ of the forward process adds noise of the variance $\beta_t$. Write a function that makes
# $\bar\alpha_0, \dots, \bar\alpha_T$ from $\beta_1, \dots, \beta_T$, given with the shape (T,):
#
# $$\bar\alpha_t = \prod_{s=1}^{t} (1 - \beta_s), \qquad \bar\alpha_0 = 1.$$
#
# The result has the shape (T + 1,) and is float64, also if the betas are float32. Convert them first: the rounding
# errors of a thousand factors add up.
#
# <details><summary>Hint 1</summary>
#
# `torch.cumprod(a, dim=0)` gives `a[0]`, `a[0] * a[1]`, `a[0] * a[1] * a[2]`, …
#
# </details>
# <details><summary>Hint 2</summary>
#
# The product over no factors is 1. Put it in front with `torch.cat`.
#
# </details>


# %% key="q1"
def alpha_bars(betas: Tensor) -> Tensor:
    raise NotImplementedError("q1: write your solution here")


# %% key="check-q1" tags=["check"]
# CHECK q1
three = torch.tensor([0.1, 0.2, 0.5])
check_shape(
    "q1: alpha_bars(betas) for 3 betas", alpha_bars(three), (4,), hint="alpha_bar_0 = 1 stands in front."
)
hint = "Do not change the input."
check_close("q1: betas, after alpha_bars(betas),", three, torch.tensor([0.1, 0.2, 0.5]), hint=hint)
check_close(
    "q1: alpha_bar_0, alpha_bar_1 for beta_1 = 0.1",
    alpha_bars(three)[:2],
    torch.tensor([1.0, 0.9]),
    hint="At t = 0 no noise was added; after one step 1 - beta_1 is left.",
)
check_close(
    "q1: alpha_bar for the betas 0.1, 0.2, 0.5",
    alpha_bars(three),
    torch.tensor([1.0, 0.9, 0.72, 0.36]),
    hint="Each step keeps the share 1 - beta of what was left before it.",
)
odd = torch.rand(7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
check_close(
    "q1: alpha_bar for seven other betas",
    alpha_bars(odd)[1:],
    torch.log1p(-odd).cumsum(dim=0).exp(),
    hint="The logarithm of the product is the sum of the logarithms.",
)
kind = torch.as_tensor(alpha_bars(three)).dtype
assert kind == torch.float64, f"q1: the result is {kind} if betas is float32, should be float64."
thousand = torch.linspace(1e-4, 0.02, 1000)
exact = torch.log1p(-thousand.double()).sum().exp()
check_range(
    "q1: the relative error of alpha_bar_1000 for a thousand betas in float32",
    (alpha_bars(thousand)[-1] / exact - 1).abs(),
    0,
    1e-9,
    hint="Convert the betas to float64 before you compute with them, not the result.",
)
check_close(
    "q1: the schedule of DDPM",
    alpha_bars(torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)),
    diffusion.linear_schedule(1000).alpha_bar,
    tol=1e-9,
)
print("What is left after beta = 0.1, 0.2, 0.5:", [round(v, 2) for v in alpha_bars(three).tolist()])

# %% [markdown]
# ## 2 · Noise in one jump
#
# A training batch has another time for each image. For images $x_0$ (N, …), times $t$ (N,) in $0, \dots, T$ and noise
# $\varepsilon \sim N(0, I)$ with the shape of $x_0$, write (Ho et al. 2020, equation 4)
#
# $$x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \varepsilon.$$
#
# Image $i$ has the time `t[i]`. The function must work for any image shape.
#
# <details><summary>Hint 1</summary>
#
# `alpha_bar[t]` has the shape (N,). PyTorch aligns shapes at the *last* axis, so (N,) times (N, C, H, W) is an error, or,
# if W happens to be N, gives each column of pixels its own time.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))` has the shape (N, 1, 1, 1) for images and (N, 1) for points.
#
# </details>


# %% key="q2"
def noisy(x0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    raise NotImplementedError("q2: write your solution here")


# %% key="check-q2" tags=["check"]
# CHECK q2
left = torch.tensor([1.0, 0.64, 0.36, 0.0], dtype=torch.float64)
ones, always_1 = torch.ones(4, 3, 5, 4), torch.ones(4, dtype=torch.int64)
check_shape(
    "q2: noisy(x0, t, eps, alpha_bar) for images (4, 3, 5, 4)",
    noisy(ones, always_1, ones, left),
    (4, 3, 5, 4),
)
hint = "Do not change the input."
check_close("q2: x0, after noisy(x0, t, eps, alpha_bar),", ones, torch.ones(4, 3, 5, 4), hint=hint)
check_close(
    "q2: what x0 = 1 becomes with eps = 0 and alpha_bar_t = 0.64",
    noisy(ones, always_1, 0 * ones, left),
    0.8 * ones,
    hint="x0 is multiplied by the root of alpha_bar[t]; alpha_bar[0] is that of t = 0.",
)
check_close(
    "q2: what eps = 1 adds to x0 = 0 if alpha_bar_t = 0.64",
    noisy(0 * ones, always_1, ones, left),
    0.6 * ones,
    hint="1 - alpha_bar is the variance of the noise, and eps is multiplied by the standard deviation.",
)
by_hand = torch.tensor([1.0, -0.4, -1.0, -2.0])
check_close(
    "q2: x_t for x0 = 1, eps = -2 and the times 0, 1, 2, 3 of the four images",
    noisy(ones, torch.arange(4), -2 * ones, left),
    by_hand.view(4, 1, 1, 1).expand(4, 3, 5, 4),
    hint="Image i has the time t[i], in all its channels, rows and columns; alpha_bar[t] belongs to t.",
)
check_shape(
    "q2: noisy(x0, t, eps, alpha_bar) for points (4, 2)",
    noisy(ones[:, 0, 0, :2], torch.arange(4), ones[:, 0, 0, :2], left),
    (4, 2),
    hint="How many axes of length 1 do you need? As many as one image has.",
)
check_close(
    "q2: x_t for three points, x0 = 1, eps = -2 and the times 3, 1, 1",
    noisy(torch.ones(3, 2), torch.tensor([3, 1, 1]), torch.full((3, 2), -2.0), left),
    torch.tensor([[-2.0, -2.0], [-0.4, -0.4], [-0.4, -0.4]]),
)
check_close(
    "q2: x_t for arrays (4, 2, 5), x0 = 1, eps = -2 and the times 0, 1, 2, 3",
    noisy(torch.ones(4, 2, 5), torch.arange(4), torch.full((4, 2, 5), -2.0), left),
    by_hand.view(4, 1, 1).expand(4, 2, 5),
    hint="Any number of axes: do not write them out.",
)
draw = torch.Generator().manual_seed(1)
x0, eps = (torch.randn(6, 3, 4, 5, generator=draw) for _ in range(2))
some_times = torch.tensor([50, 1, 17, 0, 33, 8])
schedule = diffusion.linear_schedule(50)
check_close(
    "q2: x_t for images (6, 3, 4, 5) at six times",
    noisy(x0, some_times, eps, schedule.alpha_bar),
    diffusion.DiffusionModel(nn.Identity(), schedule).q_sample(x0, some_times, eps),
)
row = noisy(torch.ones(4, 1), torch.arange(4), torch.full((4, 1), -2.0), left)
print("x0 = 1 and eps = -2 at t = 0, 1, 2, 3:", [round(v, 1) for v in row[:, 0].tolist()])

# %% [markdown]
# ## 3 · One step back
#
# Who knows $x_0$ can go back exactly: $q(x_{t-1} \mid x_t, x_0)$ is normal, with the mean and the variance (Ho et al.
# 2020, equations 6 and 7)
#
# $$\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\, \beta_t}{1 - \bar\alpha_t}\, x_0 +
# \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\, x_t, \qquad
# \tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\, \beta_t,$$
#
# with $\alpha_t = 1 - \beta_t$. Here $t$ is one number for the whole batch, $1 \le t \le T$. Return the mean, (N, …),
# and the variance, one number. Only `alpha_bar` is given: find $\alpha_t$ from it.
#
# <details><summary>Hint</summary>
#
# $\bar\alpha_t = \bar\alpha_{t-1}\, \alpha_t$, so $\alpha_t$ is a quotient.
#
# </details>


# %% key="q3"
def posterior(x0: Tensor, x_t: Tensor, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    raise NotImplementedError("q3: write your solution here")


# %% key="check-q3" tags=["check"]
# CHECK q3
left = torch.tensor([1.0, 0.64, 0.16, 0.11], dtype=torch.float64)
one, zero = torch.ones(4, 3, 2), torch.zeros(4, 3, 2)
both = posterior(one, zero, 2, left)
is_pair = isinstance(both, (tuple, list)) and len(both) == 2
assert is_pair, "q3: posterior must return two things: the mean, and the variance."
check_shape("q3: the mean for images (4, 3, 2)", both[0], (4, 3, 2))
check_shape("q3: the variance", both[1], (), hint="It is the same for all images and pixels.")
check_close(
    "q3: the variance at t = 1",
    posterior(one, zero, 1, left)[1],
    0.0,
    hint="x_{t-1} is x_0 there, and x_0 is known; alpha_bar_0 is 1.",
)
check_close("q3: the mean at t = 1", posterior(3 * one, zero, 1, left)[0], 3 * one, hint="It must be x_0.")
check_close(
    "q3: the variance at t = 2 for alpha_bar_1 = 0.64, alpha_bar_2 = 0.16",
    both[1],
    9 / 28,
    hint="There alpha_2 = 0.25 and beta_2 = 0.75.",
)
check_close(
    "q3: the mean at t = 2 for x_0 = 1, x_t = 0",
    both[0],
    5 / 7 * one,
    hint="The root is that of alpha_bar_1 = 0.64.",
)
check_close(
    "q3: the mean at t = 2 for x_0 = 0, x_t = 1",
    posterior(zero, one, 2, left)[0],
    3 / 14 * one,
    hint="The root is that of alpha_2 = 0.25, not of an alpha_bar.",
)


def by_bayes(x0: float, x_t: float, t: int, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_{t-1} | x_0) q(x_t | x_{t-1}), normalised, on a grid of x_{t-1}."""
    grid = torch.linspace(-8, 8, 16001, dtype=torch.float64)
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    prior = Normal(alpha_bar[t - 1].sqrt() * x0, (1 - alpha_bar[t - 1]).sqrt()).log_prob(grid)
    seen = Normal(alpha.sqrt() * grid, (1 - alpha).sqrt()).log_prob(torch.tensor(x_t))
    share = (prior + seen).softmax(dim=0)
    mean = (share * grid).sum()
    return mean, (share * (grid - mean).square()).sum()


cosine = diffusion.cosine_schedule(20).alpha_bar
for bars, t, a, b in [(left, 3, 0.7, -0.4), (cosine, 2, 1.3, 0.9), (cosine, 15, -0.6, 2.1)]:
    mean, variance = posterior(torch.tensor([[a, b]]), torch.tensor([[b, a]]), t, bars)
    means, variances = zip(by_bayes(a, b, t, bars), by_bayes(b, a, t, bars), strict=True)
    hint = "Bayes' rule on a grid says so."
    check_close(f"q3: the variance at t = {t} of {len(bars) - 1}", variance, variances[0], hint=hint)
    check_close(f"q3: the mean at t = {t} of {len(bars) - 1}", mean, torch.stack(means)[None], hint=hint)
print(
    "t = 2, x_0 = 1, x_t = 0: mean",
    round(both[0][0, 0, 0].item(), 2),
    "and variance",
    round(float(both[1]), 2),
)

# %% [markdown]
# ## 4 · What v tells
#
# A network may also predict $v$, a mixture of noise and image (Salimans and Ho 2022):
#
# $$x_t = \sqrt{\bar\alpha_t}\; x_0 + \sqrt{1 - \bar\alpha_t}\; \varepsilon, \qquad
# v = \sqrt{\bar\alpha_t}\; \varepsilon - \sqrt{1 - \bar\alpha_t}\; x_0.$$
#
# These are two equations with two unknowns. Given $x_t$ and $v$, both (N, …), and $t$ (N,) as in exercise 2, return
# $x_0$ and $\varepsilon$, in this order. It must work for all $t$, also where $\bar\alpha_t$ is 0 or 1.
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


# %% key="q4"
def x0_and_eps_from_v(x_t: Tensor, v: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    raise NotImplementedError("q4: write your solution here")


# %% key="check-q4" tags=["check"]
# CHECK q4
left = torch.tensor([1.0, 0.64, 0.36, 0.0], dtype=torch.float64)
ones, always_1 = torch.ones(4, 3, 5, 4), torch.ones(4, dtype=torch.int64)
x0, eps = torch.tensor([1.0, 3.0]).repeat(4, 3, 5, 2), torch.tensor([2.0, -1.0]).repeat(4, 3, 5, 2)
x_t, v = torch.tensor([2.0, 1.8]).repeat(4, 3, 5, 2), torch.tensor([1.0, -2.6]).repeat(4, 3, 5, 2)
both = x0_and_eps_from_v(x_t, v, always_1, left)
is_pair = isinstance(both, (tuple, list)) and len(both) == 2
assert is_pair, "q4: the function must return two things: x0, and eps."
for name, got in zip(("x0", "eps"), both, strict=True):
    check_shape(f"q4: {name} for images (4, 3, 5, 4)", got, (4, 3, 5, 4))
hint = "At even indices of the last axis x_t = 0.8 · 1 + 0.6 · 2 and v = 0.8 · 2 - 0.6 · 1. x0 is returned first."
check_close("q4: x0 for x_t = 2 or 1.8, v = 1 or -2.6, alpha_bar_t = 0.64", both[0], x0, hint=hint)
check_close("q4: eps for x_t = 2 or 1.8, v = 1 or -2.6, alpha_bar_t = 0.64", both[1], eps, hint=hint)
v_by_t = torch.tensor([-2.0, -2.2, -2.0, -1.0]).view(4, 1, 1, 1) * ones  # of x0 = 1 and eps = -2
x_by_t = torch.tensor([1.0, -0.4, -1.0, -2.0]).view(4, 1, 1, 1) * ones
both = x0_and_eps_from_v(x_by_t, v_by_t, torch.arange(4), left)
hint = "Image i has the time t[i]. At t = 0 v is eps; where alpha_bar is 0 it is -x0. Do not divide at all."
check_close("q4: x0 of four images with the times 0, 1, 2, 3", both[0], ones, hint=hint)
check_close("q4: eps of four images with the times 0, 1, 2, 3", both[1], -2 * ones, hint=hint)
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
    check_close(f"q4: x0 for drawn numbers of the shape {shape}", both[0], x0)
    check_close(f"q4: eps for drawn numbers of the shape {shape}", both[1], eps)
two = x0_and_eps_from_v(torch.tensor([[2.0]]), torch.tensor([[1.0]]), torch.tensor([1]), left)
print("x_t = 2 and v = 1 at alpha_bar = 0.64: x0 and eps are", [round(value.item(), 1) for value in two])

# %% [markdown]
# ## 5 · A step of DDIM
#
# DDIM without noise (Song, Meng, Ermon 2021, equation 12 with $\sigma = 0$; their $\alpha_t$ is our $\bar\alpha_t$) goes
# from time $t$ to any earlier time $s$. It takes the noise $\hat\varepsilon$ that the network sees in $x_t$, finds the clean image $\hat x_0$ that goes with
# it, and mixes the two anew:
#
# $$\hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\; \hat\varepsilon}{\sqrt{\bar\alpha_t}}, \qquad
# x_s = \sqrt{\bar\alpha_s}\; \hat x_0 + \sqrt{1 - \bar\alpha_s}\; \hat\varepsilon.$$
#
# $t$ and $s$ are one number each for the whole batch, $0 \le s < t \le T$. Write the step.
#
# The check walks with it from noise to data whose best $\hat\varepsilon$ is known: data that are all one point, and
# data from $N(\mu, \sigma^2)$.
#
# <details><summary>Hint</summary>
#
# At $s = 0$ the result is $\hat x_0$, since $\bar\alpha_0 = 1$. You need no case of its own for that.
#
# </details>


# %% key="q5"
def ddim_step(x_t: Tensor, eps_hat: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    raise NotImplementedError("q5: write your solution here")


# %% key="check-q5" tags=["check"]
# CHECK q5
left = torch.tensor([1.0, 0.64, 0.36, 0.04], dtype=torch.float64)
ones = torch.ones(4, 3, 5, 2)
check_shape("q5: ddim_step(...) for images (4, 3, 5, 2)", ddim_step(ones, ones, 2, 1, left), (4, 3, 5, 2))
check_close("q5: x_t, after ddim_step(...),", ones, torch.ones(4, 3, 5, 2), hint="Do not change the input.")
x0, eps = torch.tensor([1.0, 3.0]) * ones, torch.tensor([2.0, -1.0]) * ones
check_close(
    "q5: x_s for s = 0, x_t = 2 or 1.8, eps_hat = 2 or -1, alpha_bar_t = 0.64",
    ddim_step(0.8 * x0 + 0.6 * eps, eps, 1, 0, left),
    x0,
    hint="At s = 0 it is the predicted x0: (2 - 0.6 · 2) / 0.8 at index 0 of the last axis.",
)
check_close(
    "q5: x_s for x_t = 2.2 or 1, eps_hat = 2 or -1, from alpha_bar_t = 0.36 to alpha_bar_s = 0.64",
    ddim_step(0.6 * x0 + 0.8 * eps, eps, 2, 1, left),
    0.8 * x0 + 0.6 * eps,
    hint="The predicted x0 is 1 or 3. Mix it with eps_hat in the shares of s.",
)
check_close(
    "q5: x_s from t = 3 straight to s = 0 for eps_hat = 0",
    ddim_step(0.2 * x0, 0 * x0, 3, 0, left),
    x0,
    hint="s may be any time before t.",
)
bars = diffusion.linear_schedule(1000).alpha_bar
x_T = Normal(0.0, 1.0).icdf(
    torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
)  # as N(0, 1), not drawn


def walk(mu: float, sigma: float, times: list[int]) -> Tensor:
    """From x_T along the times, by ddim_step with the best eps_hat for data from N(mu, sigma²)."""
    x = x_T
    for t, s in pairwise(times):
        variance = bars[t] * sigma**2 + 1 - bars[t]  # of x_t, whose mean is √bars[t] · mu
        x = ddim_step(x, (1 - bars[t]).sqrt() * (x - bars[t].sqrt() * mu) / variance, t, s, bars)
    return x


for times in ([1000, 0], [1000, 700, 300, 0]):
    end = walk(-1.5, 0.0, times)
    check_close(
        f"q5: data that are the point -1.5: the end of the walk {times}", end, torch.full_like(end, -1.5)
    )
check_close(
    "q5: data from N(0, 1): the end of the walk", walk(0.0, 1.0, [*range(1000, -1, -2)]), x_T, tol=0.02
)
fine, coarse, single = (walk(2.0, 0.5, diffusion.time_steps(1000, n)) for n in (500, 10, 1))
check_close("q5: data from N(2, 0.5²): the mean at the end of 500 steps", fine.mean(), 2.0, tol=0.01)
check_close("q5: data from N(2, 0.5²): the standard deviation at their end", fine.std(), 0.5, tol=0.01)
check_range("q5: the standard deviation at the end of one jump", single.std(), 0.0, 0.1)
errors = torch.stack([(walked.std() - 0.5).abs() for walked in (single, coarse, fine)])
check_range(
    "q5: by how much the error of the standard deviation shrinks from 1 to 10 and from 10 to 500 steps",
    errors[1:] / errors[:-1],
    0.0,
    0.6,
    hint="The smaller the steps, the more exact the walk.",
)
print(
    "From x_t = 2.2 with eps_hat = 2:",
    round(ddim_step(2.2 * ones, 2 * ones, 2, 1, left)[0, 0, 0, 0].item(), 1),
)

# %% [markdown]
# ## 6 · Guidance
#
# Classifier-free guidance (Ho and Salimans 2022) needs two things.
#
# **In sampling.** $\hat\varepsilon(x_t, y)$ is the noise that the network sees when it is told the class $y$,
# $\hat\varepsilon(x_t)$ the noise that it sees without. With the guidance $w$ of the course (the paper's $w$ is ours
# minus 1) write
#
# $$\hat\varepsilon^{\,w} = \hat\varepsilon(x_t) + w\, \big(\hat\varepsilon(x_t, y) - \hat\varepsilon(x_t)\big).$$
#
# **In training.** One network learns both, because some labels are left out. Write a function that replaces each label
# of `y` (N,), int64, by the number `nothing` with probability `p`, independently of the others. The input must not be
# changed, and all randomness comes from the generator that is given.
#
# Then the check puts your functions of exercises 4, 5 and 6 together: from noise to 100 digits in ten steps, with
# `ddpm-mnist`, the network that the course ships. It predicts $\hat x_0$; the check turns that into
# $v = (\sqrt{\bar\alpha_t}\, x_t - \hat x_0) / \sqrt{1 - \bar\alpha_t}$ and gives it to your function of exercise 4.
#
# <details><summary>Hint</summary>
#
# `torch.rand(y.shape, generator=generator) < p` is True with probability `p`, in each place anew. `masked_fill` without
# an underscore at its end gives a copy.
#
# </details>


# %% key="q6"
def guided(eps_with: Tensor, eps_without: Tensor, w: float) -> Tensor:
    raise NotImplementedError("q6: write your solution here")


def drop_labels(y: Tensor, nothing: int, p: float, generator: torch.Generator) -> Tensor:
    raise NotImplementedError("q6: write your solution here")


# %% key="check-q6" tags=["check"]
# CHECK q6
draw = torch.Generator().manual_seed(3)
eps_1, eps_0 = (torch.randn(4, 3, 5, 2, generator=draw) for _ in range(2))
hint = "w = 0 is without the class, w = 1 with it. The paper's w is one less."
check_close("q6: guided with w = 1, compared with eps_with,", guided(eps_1, eps_0, 1.0), eps_1, hint=hint)
check_close("q6: guided with w = 0, compared with eps_without,", guided(eps_1, eps_0, 0.0), eps_0, hint=hint)
for w, right in [(2.5, [6.0, -1.5]), (0.5, [2.0, 0.5])]:
    value = guided(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 1.0]), w)
    hint = "From 1 go w times the way to eps_with, also beyond it."
    check_close(
        f"q6: guided for eps_with = 3 or 0, eps_without = 1, w = {w}", value, torch.tensor(right), hint=hint
    )

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


@torch.no_grad()
def eps_hat(x_t: Tensor, t: int, y: Tensor) -> Tensor:
    all_t = torch.full((len(y),), t)
    v = (bars[t].sqrt() * x_t - shipped.net(x_t.float(), all_t, y)) / (1 - bars[t]).sqrt()
    return x0_and_eps_from_v(x_t, v, all_t, bars)[1]


def digits(w: float) -> Tensor:
    draw, times = torch.Generator().manual_seed(7), diffusion.time_steps(shipped.schedule.T, 10)
    x = torch.randn(100, 1, 28, 28, generator=draw, dtype=torch.float64)
    nobody = drop_labels(asked, shipped.num_classes, 1.0, draw)
    for t, s in pairwise(times):
        x = ddim_step(x, guided(eps_hat(x, t, asked), eps_hat(x, t, nobody), w), t, s, bars)
    return x.float().clamp(-1, 1)


drawn = {w: digits(w) for w in (0.0, 1.5)}
as_asked = {w: (see(x).probs.argmax(dim=1) == asked).double().mean() for w, x in drawn.items()}
check_range("q6: the share of your digits that is read as asked for, with w = 1.5,", as_asked[1.5], 0.9, 1.0)
check_range("q6: the share of your digits that is read as asked for, with w = 0,", as_asked[0.0], 0.0, 0.35)
show_images(drawn[1.5], columns=20)  # in each row 0, 1, …, 9 were asked for, twice
print("With 3, without 1, w = 2.5:", round(guided(torch.tensor(3.0), torch.tensor(1.0), 2.5).item(), 1))

# %% [markdown]
# ## 7 · Open question
#
# A friend trained a diffusion model with $T = 1000$ and samples from it in 50 steps of DDIM. All images come out
# washed-out: little contrast, and mid-grey on average, though half of the training images are dark and half are bright.
# The training loss looks good. Give three possible causes, each of which explains both the low contrast and the grey
# mean, and, for each of them, a measurement that would tell it from the other two. Six to twelve sentences.
#
# *5 points: three different causes that explain the symptom 3 (one each), measurements that tell them apart 2.*
#
# *Your answer:*
