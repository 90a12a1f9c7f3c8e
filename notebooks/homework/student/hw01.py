# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/student/hw01.ipynb)
#
# # Homework 01 · Generative and discriminative models
#
# Five exercises and one open question, about two hours. Write your code where a cell says so; leave the check cells as
# they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all* before you
# hand it in. When it is graded, your functions are also asked about other numbers, shapes and seeds than in the
# checks, where there are no files and no network. Lines with `%` or `!`, and statements that fail there, are left out.
# `course homework check` judges in the same way, and names them.
#
# $N$ is the number of points or images, $D$ the number of coordinates of a point $x$, $K$ the number of classes. The
# labels $y$ are 0, 1, …, $K - 1$. All logarithms are natural.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
from collections.abc import Callable
from math import log

import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from course_utils import metrics
from course_utils.checks import check_close, check_range, check_shape
from course_utils.data import load_images
from course_utils.viz import show_rows, table

train, test = load_images("digits", "train"), load_images("digits", "test")
pictures: dict[str, Tensor] = {}  # what the checks measure, for you to look at
rows: list[list[object]] = []
reading: dict[tuple[str, float], float] = {}

# %% [markdown]
# ## 1 · What each class looks like
#
# A generative classifier learns $p(x, y) = p(y)\, p(x \mid y)$. In section 2 of the notebook all classes had the same shape: one covariance for all. Now
# each class is a Gaussian $N(x; \mu_k, \Sigma_k)$ with a covariance of its own. That needs more data. With few images
# of a class its own covariance is a poor estimate, and the one of all classes together a better one. So mix the two, with a number
# $\lambda$ between 0 and 1, the *pooling* (after Friedman 1989, *Regularized discriminant analysis*, who weights the classes a little differently and shrinks towards a sphere as well):
#
# $$\Sigma_k = (1 - \lambda)\, S_k + \lambda \sum_{j} \frac{N_j}{N} S_j, \qquad
# S_k = \frac{1}{N_k} \sum_{i:\, y_i = k} (x_i - \mu_k)(x_i - \mu_k)^\top, \qquad
# \mu_k = \frac{1}{N_k} \sum_{i:\, y_i = k} x_i .$$
#
# Class $k$ has $N_k$ of the $N$ points, at least one, and $p(y = k) = N_k / N$. For `x` (N, D) and `y` (N,), with `classes` as $K$ and `pooling` as $\lambda$, return three things: the priors (K,), the means (K, D), the covariances $\Sigma_k$ (K, D, D).
#
# <details><summary>Hint 1</summary>
#
# `x[y == k]` are the points of class $k$. Centre them with their own mean; with the centred points as the rows of a matrix $A$, the
# sum of the outer products is $A^\top A$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The sum over $j$ weights each $S_j$ by the prior of its class. `priors[:, None, None] * each` has the shape (K, D, D).
#
# </details>


# %% key="q1"
def fit_classes(x: Tensor, y: Tensor, classes: int, pooling: float) -> tuple[Tensor, Tensor, Tensor]:
    raise NotImplementedError("q1: write your solution here")


# %% key="check-q1" tags=["check"]
# CHECK q1
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

draw = torch.Generator().manual_seed(0)
y = torch.tensor([0] * 5 + [1] * 20 + [2] * 9 + [3] * 16)[torch.randperm(50, generator=draw)]
mix = torch.randn(3, 3, generator=draw, dtype=torch.float64)
x = (torch.randn(50, 3, generator=draw, dtype=torch.float64) * (1 + y[:, None])) @ mix + 4.0 * y[:, None]
kept = x.clone()
fitted = fit_classes(x, y, 4, 0.5)
kind = type(fitted).__name__
assert isinstance(fitted, (tuple, list)), f"q1: fit_classes returns a {kind}, should return three tensors."
assert len(fitted) == 3, f"q1: fit_classes returns {len(fitted)} values: priors, means, covariances are 3."
names = ("priors", "means", "covariances")
for name, value, shape in zip(names, fitted, ((4,), (4, 3), (4, 3, 3)), strict=True):
    check_shape(f"q1: the {name} for N = 50, D = 3, K = 4", value, shape)
check_close("q1: x after the call, compared with x before it,", x, kept, hint="Work on a copy of x.")
line, of = torch.tensor([[12.0], [0.0], [10.0], [14.0], [2.0], [12.0]]), torch.tensor([1, 0, 1, 1, 0, 1])
priors, means, own = fit_classes(line, of, 2, 0.0)
check_close("q1: the priors if 2 of 6 points are of class 0", priors, torch.tensor([1 / 3, 2 / 3]))
check_close("q1: the means of {0, 2} and {10, 12, 12, 14}", means, torch.tensor([[1.0], [12.0]]))
check_close(
    "q1: the covariances of {0, 2} and {10, 12, 12, 14} without pooling",
    own,
    torch.tensor([[[1.0]], [[2.0]]]),
    hint="Centre each point with the mean of its own class and divide by the number of points of that class.",
)
pooled = fit_classes(line, of, 2, 1.0)[2]
check_close(
    "q1: the covariances of {0, 2} and {10, 12, 12, 14} with pooling 1, (2 + 8) / 6 for both,",
    pooled,
    torch.full((2, 1, 1), 10 / 6),
    hint="A class counts as much as it has points.",
)
half = fit_classes(line, of, 2, 0.25)[2]
check_close("q1: the covariances with pooling 0.25", half, 0.75 * own + 0.25 * pooled)
lda = LinearDiscriminantAnalysis(solver="lsqr").fit(x.numpy(), y.numpy())
check_close("q1: the priors of 4 classes, compared with sklearn,", fitted[0], lda.priors_)
check_close("q1: the means of 4 classes, compared with sklearn,", fitted[1], lda.means_)
hint = "With pooling 1 all classes share the one covariance of linear discriminant analysis."
shared = torch.from_numpy(lda.covariance_).expand(4, 3, 3)
check_close(
    "q1: the covariances with pooling 1, compared with sklearn,",
    fit_classes(x, y, 4, 1.0)[2],
    shared,
    hint=hint,
)
alone = torch.stack([x[y == k].T.cov(correction=0) for k in range(4)])
check_close(
    "q1: the covariances without pooling, compared with torch.cov,", fit_classes(x, y, 4, 0.0)[2], alone
)
single = fit_classes(x, torch.zeros(50, dtype=torch.int64), 1, 0.3)
check_close("q1: the covariance if there is only one class", single[2][0], x.T.cov(correction=0))
print(
    "Variances of {0, 2} and {10, 12, 12, 14}, alone and pooled:",
    own.flatten().tolist(),
    round(pooled[0].item(), 2),
)

# %% [markdown]
# ## 2 · From the classes to the label
#
# Bayes' rule turns $p(y)\, p(x \mid y)$ into $p(y \mid x)$. With the logarithms
#
# $$a_k = \log p(y = k) + \log N(x; \mu_k, \Sigma_k), \qquad
# \log N(x; \mu, \Sigma) = -\tfrac12 (x - \mu)^\top \Sigma^{-1} (x - \mu) - \tfrac12 \log \det (2 \pi \Sigma),$$
#
# it reads $p(y = k \mid x) = e^{a_k} / \sum_j e^{a_j}$. But $e^{a_k}$ is 0 in the computer if $x$ lies far from all
# means, and 0 / 0 is NaN. So compute with logarithms, and take the largest, $m = \max_j a_j$, out of the sum:
#
# $$\log p(y = k \mid x) = a_k - \log \sum_j e^{a_j}, \qquad \log \sum_j e^{a_j} = m + \log \sum_j e^{a_j - m} .$$
#
# This is called *log-sum-exp*. Write a function that returns $p(y = k \mid x)$, (N, K), for points `x` (N, D), also for points far away. `covariances` is (K, D, D).
#
# <details><summary>Hint 1</summary>
#
# Leave the logarithm of the density to `MultivariateNormal(means[k], covariances[k]).log_prob(x)`, one class after the
# other, or use `torch.linalg.solve` and `torch.logdet`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `a.logsumexp(dim=1, keepdim=True)` does the last formula. The determinants differ from class to class, so they do not cancel.
#
# </details>


# %% key="q2"
def posterior(x: Tensor, priors: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    raise NotImplementedError("q2: write your solution here")


# %% key="check-q2" tags=["check"]
# CHECK q2
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis


def doubles(*values: object) -> list[Tensor]:
    return [torch.as_tensor(value).double() for value in values]


half, even, ends = doubles([[0.5], [-1.0]], [0.5, 0.5], [[-1.0], [1.0]])
unit = torch.ones(2, 1, 1, dtype=torch.float64)
draw = torch.Generator().manual_seed(1)
m, x, mix = (torch.randn(n, 3, generator=draw, dtype=torch.float64) for n in (4, 7, 3))
sizes = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)[:, None, None]
p, C = doubles([0.1, 0.4, 0.2, 0.3], sizes * (mix @ mix.T + 0.5 * torch.eye(3)))
check_shape("q2: posterior(...) for N = 7, D = 3, K = 4", posterior(x, p, m, C), (7, 4))
hint = "They are probabilities of the classes, for each point."
check_close("q2: the sum over the classes", posterior(x, p, m, C).sum(dim=1), torch.ones(7), hint=hint)
right = torch.tensor([1.0, -2.0]).sigmoid()
check_close(
    "q2: p(y = 1 | x) at x = 0.5 and -1 for the means -1 and 1, variances 1, equal priors,",
    posterior(half, even, ends, unit)[:, 1],
    right,
    hint="It is 1 / (1 + exp(-2 x)).",
)
uneven = doubles([0.9, 0.1])[0]
check_close("q2: p(y | x) half-way between the means", posterior(0 * half[:1], uneven, ends, unit)[0], uneven)
check_close(
    "q2: p(y = 1 | x) at x = 0.5 and -1 for the means -1 and 1, variances 4, equal priors,",
    posterior(half, even, ends, 4 * unit)[:, 1],
    torch.tensor([0.25, -0.5]).sigmoid(),
    hint="The squared distance is divided by the variance.",
)
same, wide = 0 * ends, torch.tensor([1.0, 9.0], dtype=torch.float64)[:, None, None]
check_close(
    "q2: p(y = 1 | x) at the common mean of two classes with the variances 1 and 9, equal priors,",
    posterior(0 * half[:1], even, same, wide)[0, 1],
    0.25,
    hint="At its mean the wide class has a third of the narrow one's density: the determinant is part of it.",
)
joint = p * torch.stack(
    [torch.as_tensor(multivariate_normal(a, c).pdf(x)) for a, c in zip(m, C, strict=True)], dim=1
)
check_close(
    "q2: p(y | x) of 7 points, D = 3, K = 4, compared with scipy's densities,",
    posterior(x, p, m, C),
    joint / joint.sum(dim=1, keepdim=True),
    hint="Here the coordinates are correlated, and priors and covariances differ.",
)
y = torch.arange(90) % 5
x = torch.randn(90, 3, generator=draw, dtype=torch.float64) @ mix * (1 + y[:, None]) + y[:, None].sin()
lda = LinearDiscriminantAnalysis(solver="lsqr").fit(x.numpy(), y.numpy())
shared = torch.from_numpy(lda.covariance_).expand(5, 3, 3)
by_lda = posterior(x, *doubles(lda.priors_, lda.means_), shared)
check_close(
    "q2: p(y | x) with one covariance for all, compared with sklearn,", by_lda, lda.predict_proba(x.numpy())
)
qda = QuadraticDiscriminantAnalysis(store_covariance=True).fit(x.numpy(), y.numpy())
by_qda = posterior(x, *doubles(qda.priors_, qda.means_), torch.stack(doubles(*qda.covariance_)))
check_close(
    "q2: p(y | x) with a covariance for each class, compared with sklearn,",
    by_qda,
    qda.predict_proba(x.numpy()),
)
far = doubles([[-1000.0], [0.0], [40.0], [1000.0]])[0]
sure = doubles([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])[0]
hint = "exp(a_k) is 0 for every class out there. Subtract from each row its own log-sum-exp, then take exp."
check_close("q2: p(y | x) at x = -1000, 0, 40 and 1000", posterior(far, even, ends, unit), sure, hint=hint)
many, grey = doubles(torch.stack([torch.zeros(200), torch.full((200,), 1e-3)]), torch.full((1, 200), 5e-4))
small = 1e-4 * torch.eye(200, dtype=torch.float64).expand(2, 200, 200)
check_close(
    "q2: p(y | x) half-way between two means, in 200 coordinates of variance 1e-4,",
    posterior(grey, uneven, many, small),
    uneven[None],
    hint="det Σ = 1e-800 is 0 in the computer: compute its logarithm, with logdet.",
)
pca = PCA(20, random_state=0).fit(train.x.flatten(1).numpy())
codes, new = (torch.from_numpy(pca.transform(s.x.flatten(1).numpy())).double() for s in (train, test))
few = torch.cat([(train.y == k).nonzero()[:25, 0] for k in range(10)])  # 25 images of each digit
reading.clear()
for pooling in (0.0, 0.3, 1.0):
    for name, chosen in (("25 images of each digit", few), ("400 images of each digit", torch.arange(4000))):
        fitted = fit_classes(codes[chosen], train.y[chosen], 10, pooling)
        reading[name, pooling] = (posterior(new, *fitted).argmax(dim=1) == test.y).double().mean().item()
check_range(
    "q2: the share of test digits classified correctly, 400 images of each, no pooling,",
    reading["400 images of each digit", 0.0],
    0.92,
    0.96,
)
check_range(
    "q2: the share of test digits classified correctly, 400 images of each, pooling 1,",
    reading["400 images of each digit", 1.0],
    0.82,
    0.88,
)
low, middle, high = (reading["25 images of each digit", pooling] for pooling in (0.0, 0.3, 1.0))
check_range("q2: the share classified correctly, 25 images of each, no pooling,", low, 0.6, 0.76)
check_range("q2: the share classified correctly, 25 images of each, pooling 0.3,", middle, 0.81, 0.89)
check_range("q2: the share classified correctly, 25 images of each, pooling 1,", high, 0.74, 0.83)
print("p(y = 1 | x) at 0.5 and -1:", [round(v, 2) for v in posterior(half, even, ends, unit)[:, 1].tolist()])

# %% [markdown]
# What was measured: your classifier on test digits, each reduced to 20 numbers by PCA.

# %% tags=["nbval-ignore-output"]
table(
    ["share of test digits classified correctly", "pooling 0", "0.3", "1"],
    [
        [name, *(reading[name, pooling] for pooling in (0.0, 0.3, 1.0))]
        for name in dict.fromkeys(name for name, _ in reading)
    ],
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# With 400 images of each digit the most flexible model, without pooling, is best. With 25 it is worst: a covariance of 20 numbers is 210 different numbers, estimated
# from 25 images. A bit of pooling is then better than either end. What a generative model assumes decides how much it learns from few data.
#
# </details>
#
# ## 3 · A coupling layer and its density
#
# An affine coupling layer (Dinh et al. 2017, equations 4 and 5) leaves the first $d$ of $D$ coordinates, $x_a$, as they
# are, and moves the other $D - d$, called $x_b$, by numbers that two functions $s$ and $t$ compute from $x_a$:
#
# $$z_a = x_a, \qquad z_b = x_b \odot e^{s(x_a)} + t(x_a),$$
#
# where $\odot$ multiplies coordinate by coordinate. If $z$ is to be standard normal, the change of variables gives the
# density of $x$:
#
# $$\log p(x) = \log N(z; 0, I) + \log \left| \det \frac{\partial z}{\partial x} \right|, \qquad
# \log N(z; 0, I) = -\tfrac12 \sum_{j=1}^{D} z_j^2 - \tfrac{D}{2} \log 2 \pi .$$
#
# Write $\log p(x)$, (N,), for `x` (N, D). `log_scale` is $s$ and `shift` is $t$; both take $x_a$ (N, d) of all points at
# once and return (N, D - d).
#
# <details><summary>Hint 1</summary>
#
# Sort the coordinates into $a$ and $b$. The derivatives are a matrix with zeros above its diagonal: $z_a$ does not
# depend on $x_b$. The determinant is then the product of the diagonal.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The diagonal holds $d$ ones, then $e^{s_1}, e^{s_2}, \dots$. What is the logarithm of their product?
#
# </details>


# %% key="q3"
def coupling_log_prob(
    x: Tensor, d: int, log_scale: Callable[[Tensor], Tensor], shift: Callable[[Tensor], Tensor]
) -> Tensor:
    raise NotImplementedError("q3: write your solution here")


# %% key="check-q3" tags=["check"]
# CHECK q3
def log_p(x: Tensor, d: int, s: Callable[[Tensor], Tensor], t: Callable[[Tensor], Tensor]) -> Tensor:
    """The student's log p(x), with s and t that look at what they are given."""

    def guarded(name: str, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def call(given: Tensor) -> Tensor:
            check_close(f"q3: what {name} is given", given, x[:, :d], hint="It gets x_a, x[:, :d].")
            return function(given)

        return call

    kept = x.clone()
    value = coupling_log_prob(x, d, guarded("log_scale", s), guarded("shift", t))
    check_close(
        "q3: x after the call, compared with x before it,", x, kept, hint="Work on a copy, x.clone()."
    )
    return value


def constant(*values: float) -> Callable[[Tensor], Tensor]:
    return lambda x_a: torch.tensor(values, dtype=torch.float64).expand(len(x_a), -1)


draw = torch.Generator().manual_seed(2)
x, A, B = (torch.randn(n, k, generator=draw, dtype=torch.float64) for n, k in ((7, 5), (2, 3), (2, 3)))
zero, plain, ln2 = constant(0, 0, 0), Normal(0.0, 1.0), log(2)
got = log_p(x, 2, zero, zero)
check_shape("q3: coupling_log_prob(...) for 7 points, D = 5, d = 2", got, (7,))
hint = "log N(z; 0, I) is a sum over all D coordinates, each with -log(2π) / 2."
check_close("q3: log p(x) for s = 0 and t = 0", got, plain.log_prob(x).sum(dim=1), hint=hint)
moved = plain.log_prob(x[:, :2]).sum(dim=1) + Normal(-3.0, 1.0).log_prob(x[:, 2:]).sum(dim=1)
hint = "z is then x_b + 3, so x_b is normal with the mean -3."
check_close("q3: log p(x) for s = 0 and t = 3", log_p(x, 2, zero, constant(3, 3, 3)), moved, hint=hint)
for s in ((ln2, ln2, ln2), (-1.0, 0.5, 2.0)):
    z = torch.cat([x[:, :2], x[:, 2:] * torch.tensor(s).exp()], dim=1)
    check_close(
        f"q3: the log-determinant, log p(x) - log N(z; 0, I), for s = {tuple(round(v, 2) for v in s)}, t = 0,",
        log_p(x, 2, constant(*s), zero) - plain.log_prob(z).sum(dim=1),
        torch.full((7,), sum(s)),
        hint="∂z_b / ∂x_b is exp(s). Where the map stretches space, s > 0, the log-determinant is positive, and it is added.",
    )


def closed_form(x: Tensor, d: int, s: Callable[[Tensor], Tensor], t: Callable[[Tensor], Tensor]) -> Tensor:
    x_a, x_b = x[:, :d], x[:, d:]
    narrow = (-s(x_a)).exp()
    return plain.log_prob(x_a).sum(dim=1) + Normal(-t(x_a) * narrow, narrow).log_prob(x_b).sum(dim=1)


layer = (lambda x_a: torch.sin(x_a @ A)), (lambda x_a: x_a.square() @ B)
hint = "Given x_a, x_b is normal with the mean -t exp(-s) and the standard deviation exp(-s)."
check_close("q3: log p(x) for D = 5, d = 2", log_p(x, 2, *layer), closed_form(x, 2, *layer), hint=hint)
banana = (lambda x_a: 0.5 * torch.tanh(x_a)), (lambda x_a: 0.5 * x_a.square() - 1)
grid = torch.cartesian_prod(*(torch.arange(low, 8, 0.05, dtype=torch.float64) for low in (-6, -16)))
total = log_p(grid, 1, *banana).exp().sum() * 0.05**2
check_close("q3: the integral of p(x) over the plane", total, 1.0, tol=1e-3, hint="log p(x) is not p(x).")
at_zero = [log_p(torch.zeros(1, 2), 1, constant(s), constant(0.0)).item() for s in (0.0, 1.0)]
print("log p(0, 0) for s = 0 and s = 1:", [round(v, 2) for v in at_zero])

# %% [markdown]
# ## 4 · One pixel after another
#
# Number the pixels of an image of H × W in *raster order*: the first row from left to right, then the second, and so
# on, $i = 0, 1, \dots, H W - 1$. Each pixel is 0 or 1. An autoregressive model is a function for the factors of
#
# $$p(x) = \prod_{i=0}^{HW - 1} p(x_i \mid x_0, \dots, x_{i-1}) .$$
#
# Here it is `conditional(before)`. `before` (N, i) holds the first $i$ pixels of $N$ images, as numbers 0.0 and 1.0,
# and the result (N,) is $p(x_i = 1 \mid x_0, \dots, x_{i-1})$ for each image. For $i = 0$ the shape of `before` is
# (N, 0).
#
# Draw `shape` = (N, H, W) images of zeros and ones. Call `conditional` once for each $i$. All randomness comes from the
# generator, and each pixel of each image has a draw of its own.
#
# <details><summary>Hint 1</summary>
#
# Fill `x = torch.zeros(n, h * w)` column by column, and `view` it as images at the end. `x[:, :i]` is `before`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.rand(n, generator=generator) < p` is True with the probabilities `p`. So is
# `torch.bernoulli(p, generator=generator)` equal to 1.
#
# </details>
#
# The next cell needs nothing from you, and you need not read it. For an experiment, it learns a `conditional` from 4,000
# real digits of 14 × 14 pixels, by counting. For
# each place $i$ it looks at six earlier neighbours, which can be black or white in $2^6 = 64$ ways, and counts how
# often pixel $i$ was white after each of them.

# %%
bits = (load_images("digits", "train", size=14).x > 0).flatten(1).float()  # (4000, 196)
often = (bits.sum(dim=0) + 1) / (len(bits) + 2)  # how often each pixel is white


def way(before: Tensor) -> Tensor:
    """Which of the 64 ways the neighbours of pixel i are black and white: (N,)."""
    row, column = divmod(before.shape[1], 14)
    number = torch.zeros(len(before), dtype=torch.int64)
    for up, right in ((0, -1), (0, -2), (1, -1), (1, 0), (1, 1), (2, 0)):
        number = 2 * number
        if row >= up and 0 <= column + right < 14:
            number = number + before[:, before.shape[1] - 14 * up + right].long()
    return number


ways = [way(bits[:, :i]) for i in range(196)]
white = torch.stack([torch.bincount(w, bits[:, i], minlength=64) for i, w in enumerate(ways)])
seen = torch.stack([torch.bincount(w, minlength=64) for w in ways])
share_white = (white + often[:, None]) / (seen + 1)  # (196, 64); for ways that were never seen, `often`


def by_neighbours(before: Tensor) -> Tensor:
    return share_white[before.shape[1]][way(before)]


def by_place(before: Tensor) -> Tensor:
    return often[before.shape[1]].expand(len(before))


# %% key="q4"
def sample_autoregressive(
    conditional: Callable[[Tensor], Tensor], shape: tuple[int, int, int], generator: torch.Generator
) -> Tensor:
    raise NotImplementedError("q4: write your solution here")


# %% key="check-q4" tags=["check"]
# CHECK q4
def drawn(
    p: Callable[[Tensor], Tensor], shape: tuple[int, int, int], seed: int
) -> tuple[Tensor, list[Tensor]]:
    """The student's images, and what the function for the probabilities was given, call by call."""
    given: list[Tensor] = []

    def watched(before: Tensor) -> Tensor:
        name, width = "q4: what conditional is given", min(len(given), shape[1] * shape[2] - 1)
        hint = f"Call {len(given) + 1} is for pixel i = {width}: it gets the {width} pixels before that one."
        check_shape(name, before, (shape[0], width), hint=hint)
        given.append(torch.as_tensor(before).detach().clone().float())
        return p(given[-1])

    images = sample_autoregressive(watched, shape, torch.Generator().manual_seed(seed))
    check_shape(f"q4: sample_autoregressive(...) for (N, H, W) = {shape}", images, shape)
    check_close("q4: how often conditional is called", len(given), shape[1] * shape[2])
    return torch.as_tensor(images).detach().float(), given


def chain(before: Tensor) -> Tensor:
    last = before[:, -1] if before.shape[1] else None
    return torch.full((len(before),), 0.3) if last is None else torch.where(last == 1, 0.8, 0.1)


for pattern in ([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]):
    picture = torch.tensor(pattern)
    h, w = picture.shape
    sure, _ = drawn(lambda before, x=picture: x.flatten()[before.shape[1]].expand(len(before)), (4, h, w), 0)
    hint = "Where p = 1 the pixel is always 1, where p = 0 it is 0. The order is row by row."
    check_close(f"q4: each image if p is 0 or 1, {h} × {w},", sure, picture.expand(4, h, w), hint=hint)
x, given = drawn(chain, (4000, 2, 3), 1)
flat = x.flatten(1)
check_close("q4: the share of pixels that are 0 or 1", ((x == 0) | (x == 1)).double().mean(), 1.0)
check_close("q4: the share of ones at i = 0, for p = 0.3,", flat[:, 0].mean(), 0.3, tol=0.03)
for i in range(6):
    name = f"q4: what conditional is given for i = {i}, compared with the pixels that were drawn,"
    if i:
        check_close(name, given[i], flat[:, :i], hint="Each pixel is drawn once and then stays.")
now, last = flat[:, 1:], flat[:, :-1]
for value, p in ((1, 0.8), (0, 0.1)):
    hint = "Draw a 1 with the probability p: each pixel of each image with a number of its own."
    name = f"q4: the share of ones after a {value}, for p = {p},"
    check_close(name, now[last == value].mean(), p, tol=0.02, hint=hint)
x, _ = drawn(chain, (8000, 2, 2), 2)
every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)  # all 16 images
factors = [torch.where(every[:, i] == 1, chain(every[:, :i]), 1 - chain(every[:, :i])) for i in range(4)]
exact = torch.stack(factors).prod(dim=0)
found = torch.bincount((x.flatten(1) @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long(), minlength=16) / 8000
errors = (found - exact) / (exact * (1 - exact) / 8000).sqrt()
name = "q4: how often each of the 16 images of 2 × 2 pixels comes, minus p(x), in standard errors,"
check_range(name, errors, -5.5, 5.5)
alike = (x[1:] == x[:-1]).flatten(1).all(dim=1).double().mean()
hint = "The images of a batch are independent of each other."
check_close("q4: how often an image is like the one before", alike, exact.square().sum(), tol=0.03, hint=hint)
hint = "Use the generator that is given for every draw."
check_close("q4: the result with the same seed again", drawn(chain, (8000, 2, 2), 2)[0], x, hint=hint)
changed = (drawn(chain, (8000, 2, 2), 3)[0] != x).double().mean()
check_range("q4: the share of pixels that another seed changes", changed, 0.3, 0.5, hint=hint)
for name, p in (("six neighbours", by_neighbours), ("no neighbour", by_place)):
    pictures[name] = drawn(p, (1000, 14, 14), 4)[0]
    share = pictures[name].mean()
    check_close(f"q4: the share of white in digits drawn with {name}", share, bits.mean(), tol=0.01)
print("An image without chance:", sure[0].long().tolist())

# %% [markdown]
# What it draws. Only the second row has neighbours to look at; in the third each pixel is drawn by itself.

# %% tags=["nbval-ignore-output"]
digits = {"real": bits.view(-1, 14, 14), **pictures}
show_rows({name: 2 * x[:16, None] - 1 for name, x in digits.items()}, scale=0.5)

# %% [markdown]
# ## 5 · Who does not belong here?
#
# A score is good at telling two groups apart if the *positive* ones get higher scores than the *negative* ones. AUROC,
# the area under the ROC curve, is the probability that a random positive one scores higher than a random negative one; a
# tie counts one half (Hanley and McNeil 1982). With scores $a_1, \dots, a_n$ of positives and $b_1, \dots, b_m$ of
# negatives,
#
# $$\text{AUROC} = \frac{1}{n m} \sum_{i=1}^{n} \sum_{j=1}^{m}
# \begin{cases} 1 & a_i > b_j \\ \tfrac12 & a_i = b_j \\ 0 & a_i < b_j \end{cases}$$
#
# Write `auroc(positive, negative)` for scores (n,) and (m,). Do it yourself, without sklearn.
#
# Then a score of anomaly. Fit a Gaussian to `normal` (M, D), with its mean and its maximum-likelihood covariance, and
# return $-\log p(x)$, (N,), for `x` (N, D): the less likely, the higher. Here the whole density is asked for, with
# all its terms. Your `fit_classes` can do the fit: all points are of one class.
#
# <details><summary>Hint 1</summary>
#
# `positive[:, None] > negative` compares all pairs and has the shape (n, m).
#
# </details>
# <details><summary>Hint 2</summary>
#
# `MultivariateNormal(mean, covariance).log_prob(x)`.
#
# </details>


# %% key="q5"
def auroc(positive: Tensor, negative: Tensor) -> Tensor:
    raise NotImplementedError("q5: write your solution here")


def surprise(x: Tensor, normal: Tensor) -> Tensor:
    raise NotImplementedError("q5: write your solution here")


# %% key="check-q5" tags=["check"]
# CHECK q5
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score


def sets(*values: list[float]) -> list[Tensor]:
    return [torch.tensor(value) for value in values]


check_shape("q5: auroc(positive, negative)", auroc(*sets([3.0, 1.0], [2.0, 0.0, 5.0])), ())
hint = "It is the share of pairs in which the positive one is higher."
check_close(
    "q5: AUROC of {3, 1} against {2, 0, 5}, 3 of 6 pairs,", auroc(*sets([3.0, 1.0], [2.0, 0.0, 5.0])), 0.5
)
check_close("q5: AUROC of {3, 1} against {2, 0}", auroc(*sets([3.0, 1.0], [2.0, 0.0])), 0.75, hint=hint)
check_close(
    "q5: AUROC if all positives are higher", auroc(*sets([7.0, 9.0], [2.0, 5.0, 6.0])), 1.0, hint=hint
)
hint = "A pair of equal scores counts one half."
check_close("q5: AUROC of {1, 1} against {1, 0}", auroc(*sets([1.0, 1.0], [1.0, 0.0])), 0.75, hint=hint)
check_close("q5: AUROC if all scores are equal", auroc(torch.ones(4), torch.ones(3)), 0.5, hint=hint)
draw = torch.Generator().manual_seed(5)
for levels in (6, 10_000):
    a, b = (torch.randint(levels, (n,), generator=draw).float() for n in (41, 26))
    a = a + 0.2 * levels
    by_sklearn = roc_auc_score([1] * 41 + [0] * 26, torch.cat([a.floor(), b]))
    name = f"q5: AUROC of 41 and 26 scores, whole numbers below {1.2 * levels:.0f}, compared with sklearn,"
    check_close(name, auroc(a.floor(), b), by_sklearn, hint=hint)
check_close("q5: AUROC, compared with the course's,", auroc(a, b), metrics.auroc(normal=b, anomalous=a))

mix = torch.randn(3, 3, generator=draw, dtype=torch.float64)
normal = torch.randn(12, 3, generator=draw, dtype=torch.float64) @ mix + torch.tensor([1.0, -2.0, 4.0])
x = 2 * torch.randn(5, 3, generator=draw, dtype=torch.float64)
right = -multivariate_normal(normal.mean(dim=0), normal.T.cov(correction=0)).logpdf(x)
check_shape("q5: surprise(x, normal) for x (5, 3) and normal (12, 3)", surprise(x, normal), (5,))
hint = "It is -log p(x) of the Gaussian with the mean of `normal` and its covariance, divided by M."
check_close("q5: -log p(x) of 5 points, compared with scipy,", surprise(x, normal), right, hint=hint)
check_close("q5: -log p(x) of one point alone", surprise(x[2:3], normal), right[2:3], hint=hint)


def areas(digit: int, directions: Tensor, anomalies: Tensor) -> float:
    """AUROC of `anomalies` among test images of the digit, in the code of PCA fitted on `directions`."""
    pca = PCA(20, random_state=0).fit(directions.flatten(1).numpy())
    known, good, bad = (
        torch.from_numpy(pca.transform(x.flatten(1).numpy())).double()
        for x in (train.x[train.y == digit], test.x[test.y == digit], anomalies)
    )
    return float(auroc(surprise(bad, known), surprise(good, known)))


torn = test.x.flatten(1)[:, torch.randperm(784, generator=draw)].view_as(test.x)
rows.clear()
for digit in range(10):
    others, own = test.x[test.y != digit], train.x[train.y == digit]
    rows.append(
        [digit, areas(digit, train.x, others), areas(digit, own, others), areas(digit, train.x, torn)]
    )
found = torch.tensor([row[1] for row in rows])
check_range("q5: the AUROC of other digits, for the ten digits,", found, 0.9, 1.0)
check_range("q5: the mean of the ten", found.mean(), 0.96, 0.99)
print("{3, 1} against {2, 0}:", round(float(auroc(*sets([3.0, 1.0], [2.0, 0.0]))), 2))

# %% [markdown]
# What was measured. In each row one digit is the normal one, and the Gaussian was fitted to 400 images of it, reduced
# to 20 numbers by PCA. PCA was fitted on all 4,000 training digits, without their labels. The second column has other
# digits as anomalies. So has the third, but there PCA, too, was fitted on the normal digit alone. In the fourth, the
# anomalies are test images whose 784 pixels were put into another order, the same for all: nobody would call them
# digits.

# %% tags=["nbval-ignore-output"]
table(
    ["normal digit", "other digits", "other digits, PCA of this digit alone", "pixels in another order"],
    [[str(row[0]), *row[1:]] for row in rows],
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# The second column is high: about 0.98 on average. The third is much lower, except for 1. PCA keeps the directions in
# which the normal digit varies, and what tells a 2 from an 8 lies mostly in those it throws away. The fourth is near
# guessing for some digits, and for 2, 3 and 5 it is below 0.5: the disordered images seem more normal than the real
# ones. Measured by the Gaussian, their codes lie no further from its mean than those of real images, and $p(x)$ of a
# code says nothing about what the code left out. Only for the 1, whose codes vary least, do disordered images lie far
# outside.
#
# </details>
#
# ## 6 · Open question
#
# A classifier reads handwritten postcodes and is right for 99 % of the digits. Name two things that a generative
# model of the same digits, $p(x, y)$ or $p(x)$, can do and this classifier cannot, and say for each why. What does
# the generative model cost, and when is it worth it? Use what you measured in exercises 2 and 5, also where a model disappointed you. Six to
# twelve sentences.
#
# *5 points.*
#
# *Your answer:*
