# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/solution/hw02.ipynb)
#
# # Homework 02 · Evaluation metrics
#
# Six exercises and one open question, about an hour and a half. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in. When it is graded, your functions are also asked about other numbers, shapes and seeds than in
# the checks, where there are no files and no network. Lines with `%` or `!`, and statements that fail there, are left
# out. `course homework check` judges in the same way, and names them.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
from collections.abc import Iterable, Sequence

import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from course_utils import metrics
from course_utils.checks import check_close, check_range, check_shape
from course_utils.data import load_images
from course_utils.features import feature_extractor
from course_utils.nets import blur
from course_utils.viz import table

train, test = load_images("digits", "train"), load_images("digits", "test")
see = feature_extractor("digits", "cpu")
seen, unseen = see(train.x), see(test.x)
train_features, test_features = seen.features.double(), unseen.features.double()  # (4000, 128), (1000, 128)
factors: list[list[object]] = []  # what the checks measure, for you to look at
quality: list[list[object]] = []
copied: list[list[object]] = []
endless: list[list[object]] = []


def vector(*values: float) -> Tensor:  # the checks write their small cases with these two
    return torch.tensor(values, dtype=torch.float64)


def column(*values: float) -> Tensor:
    return vector(*values)[:, None]


# %% [markdown]
# ## 1 · The two factors of Inception Score
#
# A classifier answers each of $N$ images $x_i$ with a probability $p(y \mid x_i)$ for each of $C$ classes $y$. Let
# $p(y)$ be the mean of these answers, and $H(p) = -\sum_y p(y) \log p(y)$ the entropy (natural logarithm). Inception
# Score (notebook 02, section 3) is a product of two factors, one for fidelity and one for diversity:
#
# $$\mathrm{IS} = \underbrace{\exp\Big( -\frac{1}{N} \sum_{i=1}^{N} H\big(p(y \mid x_i)\big) \Big)}_{\text{certainty}}
# \cdot \underbrace{\exp\big( H(p(y)) \big)}_{\text{breadth}}$$
#
# (First show on paper that this is the formula of the notebook: write the logarithm of the quotient as a difference.)
# Return certainty and breadth, in this order. `probs` (N, C) holds $p(y \mid x_i)$, one row per image. It may contain
# exact zeros, and a class may have the probability 0 for all images. Such terms count as 0; the result is never NaN.
#
# <details><summary>Hint</summary>
#
# `torch.special.xlogy(a, b)` is `a * log(b)`, and 0 where `a` is 0. Certainty lies between 1/C and 1.
#
# </details>


# %% key="q1"
def two_factors(probs: Tensor) -> tuple[Tensor, Tensor]:
    def entropy(p: Tensor) -> Tensor:
        return -torch.special.xlogy(p, p).sum(dim=-1)

    return (-entropy(probs).mean()).exp(), entropy(probs.mean(dim=0)).exp()


# %% key="check-q1" tags=["check"]
# CHECK q1
two = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
check_shape("q1: the pair that two_factors(probs) returns", two_factors(two), (2,))
check_close(
    "q1: certainty of the two answers (0.5, 0.5) and (1, 0)",
    two_factors(two)[0],
    0.5**0.5,
    hint="The entropies are log 2 and 0; their mean is taken inside the exponential.",
)
check_close(
    "q1: breadth of these two answers",
    two_factors(two)[1],
    4 / 3**0.75,
    hint="p(y) is (0.75, 0.25), and its entropy log 4 - 0.75 log 3, a natural logarithm.",
)
even = torch.full((3, 4), 0.25)
check_close(
    "q1: both factors if the classifier knows nothing, 4 classes,", two_factors(even), vector(0.25, 4)
)
once = torch.eye(5)[torch.arange(6) % 3]
check_close(
    "q1: both factors of certain answers if only 3 of the 5 classes occur, equally often,",
    two_factors(once),
    vector(1, 3),
    hint="A probability of 0 adds 0, and so does a class that no image has.",
)
answers = (2 * torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).softmax(
    dim=1
)
check_close(
    "q1: certainty times breadth, for 7 drawn answers and 4 classes,",
    two_factors(answers)[0] * two_factors(answers)[1],
    metrics.inception_score(answers, splits=1).mean,
    hint="The product is Inception Score.",
)
sets = {
    "real digits": train.x[:1000],
    "blurred digits": blur(train.x[:1000], 1.2),
    "0, 1, 2 only": train.x[train.y < 3][:1000],
    "upside down": train.x[:1000].flip(2),
}
factors.clear()
for name, x in sets.items():
    found = [float(value) for value in two_factors(see(x).probs.double())]
    factors.append([name, *found, found[0] * found[1]])
check_close(
    "q1: the score of real digits",
    factors[0][3],
    metrics.inception_score(seen.probs[:1000], 1).mean,
    tol=1e-3,
)
print(
    "Certainty and breadth of (0.5, 0.5) and (1, 0):", [round(float(value), 2) for value in two_factors(two)]
)

# %% tags=["nbval-ignore-output"]
table(["set", "certainty", "breadth", "Inception Score"], factors)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# The product hides which factor is to blame. Blurred digits and digits upside down keep most of the breadth and lose much
# certainty; 0, 1, 2 keep all certainty and lose breadth.
#
# </details>
#
# ## 2 · Statistics from a stream
#
# FID needs the mean and the covariance of the features of, say, 50,000 images. Nobody keeps all these features: programs
# see one batch at a time and keep sums. Write it: `batches` yields tensors $(n_b, d)$ of different lengths $n_b \ge 1$, all
# together $N \ge 2$ rows. You may go through it *once*. Return the mean (d,) and the covariance (d, d), with $N - 1$ in the
# denominator, of all rows together, both float64.
#
# The batches are float32, and features may lie far from 0: the check uses a mean of 1,000 beside a standard deviation of 1.
# Squares of about a million do not keep their last digits in float32, so sum in float64.
#
# <details><summary>Hint 1</summary>
#
# Three sums are enough: $N$, $\sum_i f_i$ and the matrix $\sum_i f_i f_i^\top$, which for a batch is `f.T @ f`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $\sum_i (f_i - \mu)(f_i - \mu)^\top = \sum_i f_i f_i^\top - N \mu \mu^\top$.
#
# </details>


# %% key="q2"
def stream_statistics(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    n, total, outer = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for f in batches:
        f = f.double()
        n, total, outer = n + len(f), total + f.sum(dim=0), outer + f.T @ f
    mean = total / n
    return mean, (outer - n * torch.outer(mean, mean)) / (n - 1)


# %% key="check-q2" tags=["check"]
# CHECK q2
mean, cov = stream_statistics(iter([torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0], [5.0, 8.0]])]))
check_shape("q2: the mean of batches of 2 numbers", mean, (2,))
check_shape("q2: their covariance", cov, (2, 2))
check_close("q2: the mean of (1, 0), (3, 4), (5, 8) in batches of 1 and 2 rows", mean, vector(3, 4),
            hint="Rows count alike, whatever batch they come in.")  # fmt: skip
check_close("q2: their covariance", cov, vector(4, 8, 8, 16).view(2, 2), hint="Divide by N - 1 = 2.")
f = (
    torch.randn(1000, 6, generator=torch.Generator().manual_seed(1)) @ torch.linspace(-1, 1, 36).view(6, 6)
    + 1000.0
)
mean, cov = stream_statistics(iter(f.split(128)))
exact = f.double()
check_close("q2: the mean of 1000 rows near 1000, less 1000,", mean - 1000, exact.mean(dim=0) - 1000, tol=1e-6,
            hint="Sum in float64.")  # fmt: skip
check_close("q2: their covariance", cov, exact.T.cov(), tol=1e-5, hint="Square and sum in float64.")
uneven = f.split([1, 2, 500, 497])
check_close(
    "q2: the covariance from batches of 1, 2, 500 and 497 rows",
    stream_statistics(iter(uneven))[1],
    cov,
    tol=1e-5,
)
kept = [part.clone() for part in uneven]
stream_statistics(iter(uneven))
check_close(
    "q2: the batches, afterwards,", torch.cat(uneven), torch.cat(kept), hint="Leave them as they were."
)
by_stream = metrics.FeatureStatistics(*stream_statistics(iter(seen.features.split(300))))
distance = metrics.frechet_distance(by_stream, metrics.FeatureStatistics.of(test_features))
check_close(
    "q2: FID of the digits from the stream",
    distance,
    metrics.fid(real=test_features, fake=train_features),
    tol=1e-3,
)
print(
    "Covariance of (1, 0), (3, 4), (5, 8):",
    stream_statistics([torch.tensor([[1.0, 0], [3, 4], [5, 8]])])[1].tolist(),
)

# %% [markdown]
# ## 3 · Density and coverage
#
# Notebook 02 takes density and coverage (Naeem et al. 2020) from the package. Write them. Each *real* point $r_i$ has a
# ball that reaches to its $k$-th nearest neighbour among the other real points, at the distance $\rho_i$. (Another point
# in the same place is a neighbour at distance 0.) With $N$ real points and $M$ generated points $g_j$:
#
# $$\text{density} = \frac{1}{k M} \sum_{j=1}^{M} \sum_{i=1}^{N} \mathbf{1}\big[\lVert g_j - r_i \rVert \le \rho_i\big],
# \qquad
# \text{coverage} = \frac{1}{N} \sum_{i=1}^{N} \mathbf{1}\big[\lVert g_j - r_i \rVert \le \rho_i \text{ for some } j\big]$$
#
# $\mathbf{1}[\cdot]$ is 1 where the condition holds, else 0. `real` is (N, d), `fake` (M, d). Return density and coverage
# in this order.
#
# <details><summary>Hint</summary>
#
# One matrix of N × M truths serves both: which real ball (row) holds which generated point (column)?
#
# </details>
#
# The check then measures four sets. Think first: what lowers which of the two numbers?


# %% key="q3"
def density_coverage(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor]:
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # the first is the point itself
    hit = torch.cdist(real, fake) <= radius[:, None]  # (N, M)
    return hit.double().sum() / (k * len(fake)), hit.any(dim=1).double().mean()


# %% key="check-q3" tags=["check"]
# CHECK q3
real, fake = column(0, 1, 3, 10), column(0.5, 4.5, 19, 25, 30)
case = "real 0, 1, 3, 10 and fake 0.5, 4.5, 19, 25, 30 on a line"
on_line = density_coverage(real, fake, 1)
check_shape("q3: the pair that density_coverage(real, fake, k) returns", on_line, (2,))
hint = "The balls of the real points reach over -1 … 1, 0 … 2, 1 … 5, 3 … 17: two hold 0.5, two hold 4.5."
check_close(f"q3: density for {case}, k = 1,", on_line[0], 4 / 5, hint=hint)
check_close(f"q3: coverage for {case}, k = 1,", on_line[1], 1.0, hint=hint)
on_line_2 = density_coverage(real, fake, 2)
hint = "The radii are now 3, 2, 3, 9. Divide by k. A point on the edge is inside."
check_close(f"q3: density for {case}, k = 2,", on_line_2[0], 6 / 10, hint=hint)
few = density_coverage(column(0, 0, 5, 9), column(0.5, 7), 1)
hint = "The two points at 0 are neighbours of each other, at distance 0: their balls hold nothing else."
check_close("q3: density for real 0, 0, 5, 9 and fake 0.5, 7, k = 1,", few[0], 1.0, hint=hint)
check_close("q3: coverage for real 0, 0, 5, 9 and fake 0.5, 7, k = 1,", few[1], 0.5, hint=hint)
draw = torch.Generator().manual_seed(2)
real, fake = (torch.randn(n, 4, generator=draw, dtype=torch.float64) for n in (40, 30))
fake = 0.8 * fake + 0.5
for k in (1, 3, 5):
    neighbours = NearestNeighbors(n_neighbors=k).fit(
        real.numpy()
    )  # asked so, it leaves each point out of its own
    inside = (real[:, None] - fake).norm(dim=2) <= torch.from_numpy(neighbours.kneighbors()[0][:, -1])[
        :, None
    ]
    got = density_coverage(real, fake, k)
    check_close(
        f"q3: density of 30 fake and 40 real points, k = {k},", got[0], inside.double().sum() / (30 * k)
    )
    check_close(f"q3: coverage of 30 fake and 40 real points, k = {k},", got[1], inside.any(dim=1).double().mean(),
                hint="Only real points have balls.")  # fmt: skip
sets = {
    "real digits": train.x[:1000],
    "digits with half of the classes missing": train.x[train.y < 5][:1000],
    "the 200 that the classifier is surest of, 5 times each": train.x[
        seen.probs.max(dim=1).values.topk(200).indices
    ].repeat(5, 1, 1, 1),
    "blurred digits": blur(train.x[:1000], 1.2),
}
quality.clear()
for name, x in sets.items():
    got, right = (
        f(real=test_features, fake=see(x).features.double(), k=5)
        for f in (density_coverage, metrics.density_coverage)
    )
    check_close(f"q3: density of {name}", got[0], right.density, tol=2e-3)
    check_close(f"q3: coverage of {name}", got[1], right.coverage, tol=2e-3)
    quality.append([name, float(got[0]), float(got[1])])
print("Density and coverage on the line:", [round(float(value), 2) for value in on_line])

# %% tags=["nbval-ignore-output"]
table(["against 1,000 test digits, k = 5", "density", "coverage"], quality)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Without half of the classes coverage nearly halves, and density stays near that of real digits. The surest digits lie
# where real ones are thickest, so their density is *above* that of real digits: that is not better than real, it is more
# typical. And blurred digits lose both: they have all classes, but coverage needs fidelity too.
#
# </details>
#
# ## 4 · Kernel Inception Distance
#
# KID (Bińkowski et al. 2018) compares two sets of features by a **kernel** $k(f, f') = (f \cdot f' / d + 1)^3$, which
# says how alike two vectors of $d$ numbers are. It is an estimate of the squared **maximum mean discrepancy** (MMD).
# With real features $f_{r,i}$, $i = 1 \dots N_r$, and generated ones $f_{g,j}$, $j = 1 \dots N_g$:
#
# $$\mathrm{KID} = \frac{1}{N_r (N_r - 1)} \sum_{i \ne j} k(f_{r,i}, f_{r,j})
# + \frac{1}{N_g (N_g - 1)} \sum_{i \ne j} k(f_{g,i}, f_{g,j}) - \frac{2}{N_r N_g} \sum_{i, j} k(f_{r,i}, f_{g,j})$$
#
# Within a set the pairs of a vector with itself, $i = j$, are left out. This makes the estimate **unbiased**: where
# both sets come from one distribution it is 0 on average, so that many single values are negative. (Do not cut them
# off.) `real` has the shape ($N_r$, d), `fake` ($N_g$, d).
#
# <details><summary>Hint</summary>
#
# `a @ b.T` holds all dot products of the rows of `a` and `b`. The pairs $i = j$ stand on its diagonal: subtract the
# `trace()` of the kernel's matrix from its sum.
#
# </details>


# %% key="q4"
def kid(real: Tensor, fake: Tensor) -> Tensor:
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return within(real) + within(fake) - 2 * kernel(real, fake).mean()


# %% key="check-q4" tags=["check"]
# CHECK q4
check_shape("q4: kid(real, fake)", kid(column(0, 0), column(1, 1)), ())
check_close(
    "q4: KID of real features 0, 0 and fake features 1, 1 (d = 1)",
    kid(column(0, 0), column(1, 1)),
    7.0,
    hint="The kernel is 1 within the real ones, 8 within the fake ones and 1 across: 1 + 8 - 2 · 1.",
)
check_close(
    "q4: KID of real features 0, 2 and fake features 1, -1 (d = 1)",
    kid(column(0, 2), column(1, -1)),
    -13.0,
    hint="k(0, 2) = 1 and k(1, -1) = 0; across the kernel is 1, 1, 27, -1, with the mean 7: 1 + 0 - 2 · 7. "
    "No vector is paired with itself.",
)
draw = torch.Generator().manual_seed(3)
real, fake = (torch.randn(n, 5, generator=draw, dtype=torch.float64) for n in (4, 3))
total = 0.0
for first, second, sign in ((real, real, 1), (fake, fake, 1), (real, fake, -2)):
    pairs = [(a, b) for i, a in enumerate(first) for j, b in enumerate(second) if sign < 0 or i != j]
    total += sign * sum((float(a @ b) / 5 + 1) ** 3 for a, b in pairs) / len(pairs)
check_close(
    "q4: KID of 4 real and 3 fake vectors of 5 numbers, by a loop over pairs,",
    kid(real, fake),
    total,
    hint="Divide each dot product by d = 5, and each sum by its own number of pairs.",
)

check_close("q4: KID with real and fake exchanged", kid(fake, real), total)
check_close(
    "q4: KID if each of the 5 numbers occurs twice, so that the dot products and d double,",
    kid(real.repeat(1, 2), fake.repeat(1, 2)),
    total,
)
same = torch.randn(400, 50, 4, generator=draw, dtype=torch.float64)
estimates = torch.stack([torch.as_tensor(kid(f[:20], f[20:])) for f in same])
check_range(
    "q4: the mean of 400 estimates for two sets of one distribution, in standard errors,",
    estimates.mean() / (estimates.std() / 400**0.5),
    -5,
    5,
    hint="It must be 0 on average: leave out the pairs of a vector with itself, and do not cut off at 0.",
)
check_range("q4: the share of these estimates below 0", (estimates < 0).double().mean(), 0.3, 0.8)
soft = see(blur(test.x, 1.0)).features.double()
check_close(
    "q4: KID of sharp and blurred digits",
    kid(test_features, soft),
    metrics.kernel_inception_distance(real=test_features, fake=soft, subsets=1, subset_size=1000).mean,
    tol=1e-3,
)
print("KID of 0, 2 and 1, -1:", round(float(kid(column(0, 2), column(1, -1)))))

# %% [markdown]
# ## 5 · A test for copies
#
# A model that copies its training images gets a perfect FID (notebook 02, sections 1 and 5). The notebook looks for copies
# by the distance to the nearest training image. But which distance is small? Images of a 1 differ little from each other, so
# a *new* 1 lies near some training image too. So measure in a unit that fits the place: let $k$ be the training image that is
# nearest to $x$, and divide by the distance from $k$ to *its* nearest other training image,
#
# $$r(x) = \frac{\lVert x - k \rVert}{\min_{k' \ne k} \lVert k' - k \rVert}.$$
#
# A new image has an $r$ of about 1, wherever it lies; a copy has an $r$ near 0. Then compare with real images that were held
# out, as Meehan, Chaudhuri and Dasgupta (2020) do (with distances, within one region of the space at a time). Let $a_i$ be
# the ratios of the generated images and $b_j$ those of the held-out ones. The score is the probability that a generated image
# has the smaller ratio, ties counted as one half:
#
# $$C = \frac{1}{n m} \sum_{i=1}^{n} \sum_{j=1}^{m} \Big( \mathbf{1}[a_i < b_j] + \tfrac12\, \mathbf{1}[a_i = b_j] \Big)$$
#
# About ½: as near as new real images. Near 1: copies. Near 0: farther away than real images, for instance poor ones.
#
# Write it in two steps: `ratios(x, known)` gives $r$ for each row of `x` (n, d), where the rows of `known` (M, d), all
# different, were trained on; `copying(generated, held_out, training)`, three sets of rows, gives $C$, using it. An exact copy
# must have the ratio exactly 0. `nearest` below is the notebook's, and says also *which* row is nearest.


# %%
def nearest(x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The distance from each row of x to the nearest row of known, and the place of that row in known."""
    index = torch.cdist(x, known).argmin(dim=1)
    return (x - known[index]).norm(dim=1), index  # without the rounding of cdist


# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `torch.cdist(known, known)` has the distances between training images, and on its diagonal each meets itself. That one does
# not count: put `torch.inf` there with `fill_diagonal_`, or take the second smallest of a row. (Do not look for zeros: for
# large sets `cdist` rounds, and the distance of an image to itself is a little more than 0.)
#
# </details>
# <details><summary>Hint 2</summary>
#
# `a[:, None] < b` compares each with each, (n, m).
#
# </details>


# %% key="q5"
def ratios(x: Tensor, known: Tensor) -> Tensor:
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated: Tensor, held_out: Tensor, training: Tensor) -> Tensor:
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %% key="check-q5" tags=["check"]
# CHECK q5
known = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 16.0]])
x = torch.tensor([[0.0, 1.0], [3.0, 4.0], [3.0, 7.0], [3.0, 22.0]])
check_shape("q5: ratios(x, known)", ratios(x, known), (4,))
check_close(
    "q5: the ratios of (0, 1), (3, 4), (3, 7), (3, 22), if (0, 0), (3, 4), (3, 16) were trained on,",
    ratios(x, known),
    vector(1 / 5, 0, 3 / 5, 6 / 12),
    hint="(0, 0) and (3, 4) are each other's nearest, 5 apart; the nearest other of (3, 16) is (3, 4), 12 away.",
)
images = train.x.flatten(1)
hint = "Take the distance from `nearest`; cdist rounds."
check_close("q5: the largest ratio of 300 training images", ratios(images[:300], images).max(), 0.0,
            tol=1e-9, hint=hint)  # fmt: skip
held_out = test.x.flatten(1)[:500]
neighbours = NearestNeighbors(n_neighbors=1).fit(images[:1000].double().numpy())
away, index = neighbours.kneighbors(held_out[:200].double().numpy())
unit = neighbours.kneighbors()[0][index[:, 0]]  # asked so, it leaves each point out of its own
check_close(
    "q5: the ratios of 200 test digits, if 1,000 digits were trained on,",
    ratios(held_out[:200], images[:1000]),
    torch.from_numpy(away / unit)[:, 0],
    tol=1e-3,
    hint="No training image is its own neighbour, also where cdist rounds.",
)
check_shape("q5: copying(generated, held_out, training)", copying(x, x, known), ())
training = column(0, 10, 14)
hint = "The generated ones have the ratios 3/10, 0 and 4/4, the held-out ones 1/4 and 10/10: 1, 2 and ½ of 6."
check_close("q5: C of generated 3, 10, 18 and held-out 9, -10, if 0, 10, 14 were trained on,",
            copying(column(3, 10, 18), column(9, -10), training), 3.5 / 6, hint=hint)  # fmt: skip
check_close(
    "q5: C if all lie on training points",
    copying(column(0, 10), column(14, 14, 0), training),
    0.5,
    hint="Ties count one half.",
)
draw = torch.Generator().manual_seed(4)
p, q, r = (torch.randn(n, 5, generator=draw, dtype=torch.float64) for n in (300, 200, 100))
check_close("q5: C with generated and held-out exchanged, and C itself, together,",
            copying(p, q, r) + copying(q, p, r), 1.0, hint="Each is compared with each.")  # fmt: skip
check_range("q5: C of 300 and 200 points of one distribution", copying(p, q, r), 0.4, 0.6)
order = torch.randperm(4000, generator=draw)
half_a, half_b = images[order[:2000]], images[order[2000:]]
first = train.x[order[:500]]  # of half A
copied.clear()
for name, x in {
    "half of them copies": torch.cat([half_a[:250], half_b[:250]]),
    "new real digits": half_b[:500],
    "new real digits, nothing but 1s": half_b[train.y[order[2000:]] == 1],
    "copies, one shade darker": half_a[:500] - 0.01,
    "copies, shifted by one pixel": first.roll(1, dims=3).flatten(1),
    "copies, blurred": blur(first, 1.0).flatten(1),
}.items():
    by_distance = (nearest(x, half_a)[0][:, None] < nearest(held_out, half_a)[0]).double().mean()
    copied.append([name, float(by_distance), float(copying(x, held_out, half_a))])
check_range("q5: C of a set of which one half is copied", copied[0][2], 0.7, 0.8)
check_range("q5: C of new real digits", copied[1][2], 0.4, 0.6)
check_range(
    "q5: C of new real digits, nothing but 1s,", copied[2][2], 0.4, 0.7, hint="Compare ratios, not distances."
)
print("C of 3, 10, 18 and 9, -10:", round(float(copying(column(3, 10, 18), column(9, -10), training)), 3))

# %% tags=["nbval-ignore-output"]
table(["half A of the training set is known", "C of distances alone", "C"], copied)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Half of the copies move $C$ from ½ to about ¾. A model that draws nothing but new 1s copies nothing, yet distances alone
# accuse it: its images are nearer than most held-out ones, since 1s lie close together. The ratio lets it go. A shade darker,
# and copies are still found: they are nearer than any real image. Shifted by one pixel they are almost as far as new images,
# and $C$ hardly sees them: a test for copies is as good as its distance.
#
# </details>
#
# ## 6 · FID for endlessly many images
#
# FID falls as the number $N$ of generated images grows, for one and the same model. Chong and Forsyth (2020) found that,
# seen over $1/N$, it is nearly a straight line:
#
# $$\mathrm{FID}_N \approx \mathrm{FID}_\infty + \frac{c}{N}$$
#
# So measure FID at several $N$, fit a line over $1/N$ by least squares, and read off its value at $1/N = 0$: an estimate of
# FID without bias of this kind, which can be compared across papers with different $N$.
#
# Write it. For each $N$ in `sizes`, and `draws` times anew, draw $N$ *different* rows of `fake` (M, d) at random and take
# `metrics.fid(real=real, fake=...)`; `real` stays whole. Fit the line to all len(sizes) · draws points and return two
# numbers, $\mathrm{FID}_\infty$ and the slope $c$. All randomness comes from the generator.
#
# <details><summary>Hint 1</summary>
#
# `torch.randperm(len(fake), generator=generator)[:n]` are n different places.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Slope = covariance of $1/N$ and FID, divided by the variance of $1/N$; the line passes through the two means. Or
# `torch.linalg.lstsq` with a column of ones beside $1/N$.
#
# </details>


# %% key="q6"
def fid_infinity(
    real: Tensor, fake: Tensor, sizes: Sequence[int], draws: int, generator: torch.Generator
) -> tuple[float, float]:
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            rows = torch.randperm(len(fake), generator=generator)[:n]
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[rows]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)


# %% key="check-q6" tags=["check"]
# CHECK q6
def seeded_line(real: Tensor, fake: Tensor, sizes: Sequence[int], draws: int, seed: int) -> Tensor:
    return torch.tensor(fid_infinity(real, fake, sizes, draws, torch.Generator().manual_seed(seed)))


draw = torch.Generator().manual_seed(5)
cloud = torch.randn(4000, 4, generator=draw, dtype=torch.float64)
moved = 2 * torch.randn(4000, 4, generator=draw, dtype=torch.float64) + vector(1, 0, 0, 0)
pair = seeded_line(cloud, moved, (50, 100, 400), 3, 0)
check_shape("q6: the pair that fid_infinity(...) returns", pair, (2,))
whole = metrics.fid(real=cloud, fake=moved)
check_close("q6: FID∞ if all rows are taken each time, beside half of them,",
            seeded_line(cloud, moved, (2000, 4000), 1, 1)[0], whole, tol=0.1)  # fmt: skip
lines = torch.stack([seeded_line(cloud, moved, (50, 100, 400), 20, seed) for seed in range(2)])
at_50, at_400 = (lines[:, 0] + lines[:, 1] / n for n in (50, 400))
real_50, real_400 = (
    sum(metrics.fid(real=cloud, fake=moved[torch.randperm(4000, generator=draw)[:n]]) for _ in range(60)) / 60
    for n in (50, 400)
)
hint = "The line goes over 1/N, not over N."
check_close("q6: the line's value at N = 50", at_50.mean(), real_50, tol=0.08, hint=hint)
check_close("q6: the line's value at N = 400", at_400.mean(), real_400, tol=0.08, hint=hint)
check_close("q6: FID∞ of 4000 normal points, mean of two,", lines[:, 0].mean(), whole, tol=0.08,
            hint="The value at 1/N = 0.")  # fmt: skip
half, rest = moved.split(2000)
alike = seeded_line(half, rest, (50, 100, 400), 20, 2) * vector(1, 1 / 50)
fids = [metrics.fid(real=half, fake=rest[torch.randperm(2000, generator=draw)[:50]]) for _ in range(60)]
check_close("q6: the line's value at N = 50 for two sets of one distribution", alike.sum(), sum(fids) / 60, tol=0.08,
            hint="All of `real` is used each time.")  # fmt: skip
eight = torch.randn(8, 2, generator=draw, dtype=torch.float64)
hint = (
    "With N = 8 all rows are drawn, each once. (The line goes through both points, since there are only two.)"
)
check_close("q6: the line's value at N = 8, for sizes 4 and 8 of 8 rows that are also the real ones,",
            sum(seeded_line(eight, eight, (4, 8), 1, 2) * vector(1, 1 / 8)), 0.0, tol=0.001, hint=hint)  # fmt: skip
again, other = (seeded_line(cloud, moved, (50, 100), 1, seed) for seed in (3, 4))
check_close("q6: the result with the same seed again", seeded_line(cloud, moved, (50, 100), 1, 3), again,
            hint="Use the generator for every draw.")  # fmt: skip
check_range("q6: how far the results of two seeds are apart", (again - other).abs().max(), 1e-4, 1000,
            hint="Use the generator that is given.")  # fmt: skip
soft = see(blur(train.x, 0.8)).features.double()
endless.clear()
for name, fake in {"real training digits": train_features, "blurred digits": soft}.items():
    found = seeded_line(test_features, fake, (250, 500, 1000), 8, 6)
    values = [metrics.fid(real=test_features, fake=fake[:n]) for n in (250, 1000, 4000)]
    endless.append([name, *values, float(found[0])])
check_range(
    "q6: FID∞ of real digits, less their FID with 250 images,", endless[0][4] - endless[0][1], -10, -0.01
)
print("FID∞ of the two clouds is below FID with N = 50:", bool(pair[0] < real_50))

# %% tags=["nbval-ignore-output"]
table(["against 1,000 test digits", "N = 250", "N = 1000", "N = 4000", "FID∞ from N ≤ 1000"], endless)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# From at most 1,000 images the line comes nearer to what 4,000 give than a single measurement with 250 does. A bias remains:
# the 1,000 *real* images are few as well, and that part does not go away with more generated ones.
#
# </details>
#
# ## 7 · Open question
#
# Two labs work on the same kind of images. One reports an FID of 7.2 for its model, the other 7.9 for its own. List
# what must be the same in both before the difference means anything, and say how you would find out if the first model
# is really better. Use what you measured above and in the notebook. Eight to twelve sentences.
#
# *5 points.*
#
# **A model answer.** First the reference: the same real images, and as many of them; a model compared with its training
# images profits from having memorised them, so they should be held out. Then the number of generated images: fewer raise FID
# for the same model (exercise 6), and a difference of 0.7 may be nothing else. Then the features: the same network with the
# same weights, and the same layer; another network can turn the order around, as the denoising autoencoder did in the
# notebook. Then everything that is done to an image before: size, filter of the resizing, antialiasing, file format, range of
# the pixels; two "bilinear" filters made a difference larger than that between two sets of real digits. The models must have
# been sampled in comparable ways, without picking the best images, with stated truncation or guidance, and the reported
# checkpoint must not be the luckiest of many. Then I need the spread: FID of several draws of images and, better, of several
# trainings; a difference of 0.7 means something only if it is large against that. To decide I would take both models, draw
# 50,000 images from each several times, and compute FID with one program against one held-out set, with real against real
# beside it. I would add precision and recall or density and coverage to see *why* one is better, KID or FID∞ against the bias,
# and features of another network. If the order holds in all of these beyond the spread, and no copies are found, I would believe
# it; and I would look at the images.
#
# **Marking.** 1 point: the same reference images and the same number of images, real and generated. 1: the same features and
# the same pre-processing (one concrete example needed, such as resizing). 1: how the models were sampled and chosen. 1: the
# spread, over draws or trainings, against which 0.7 is to be judged. 1: an experiment that could be carried out and would
# decide, with more than one number. "Use the same N" alone does not earn the first point; "test for significance" without saying
# over what varies does not earn the fourth.
