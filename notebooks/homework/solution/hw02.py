# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/solution/hw02.ipynb)
#
# # Homework 02 · Evaluation metrics
#
# Six exercises and one open question, about an hour and a half. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in: a notebook that does not run from top to bottom cannot be graded fairly. Beside plain Python,
# PyTorch and NumPy the grader runs what this notebook itself imports; other imports, files, `%`, `!` and names such as
# `_x` it refuses, and `course homework check` says so before.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
from collections.abc import Callable, Sequence

import torch
from scipy.linalg import sqrtm
from scipy.stats import entropy
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from course_utils import metrics
from course_utils.checks import check_close, check_range, check_shape
from course_utils.data import load_images
from course_utils.features import feature_extractor
from course_utils.nets import blur, over_batches
from course_utils.pretrained import load_pretrained
from course_utils.viz import table

train, test = load_images("digits", "train"), load_images("digits", "test")
see = feature_extractor("digits", "cpu")
seen, unseen = see(train.x), see(test.x)
train_features, test_features = seen.features.double(), unseen.features.double()  # (4000, 128), (1000, 128)
quality: list[list[object]] = []  # what the checks measure, for you to look at
scatter: list[list[object]] = []


def vector(*values: float) -> Tensor:  # the checks write their small cases with these two
    return torch.tensor(values, dtype=torch.float64)


def column(*values: float) -> Tensor:
    return vector(*values)[:, None]


# %% [markdown]
# ## 1 · Inception Score
#
# A classifier answers each of $N$ images $x_i$ with a probability $p(y \mid x_i)$ for each of $C$ classes $y$. Let
# $p(y)$ be the mean of these answers over the images. The Inception Score (Salimans et al. 2016) is
#
# $$\mathrm{IS} = \exp\Big( \frac{1}{N} \sum_{i=1}^{N} D_{\mathrm{KL}}\big(p(y \mid x_i) \,\Vert\, p(y)\big) \Big),
# \qquad D_{\mathrm{KL}}(p \,\Vert\, q) = \sum_y p(y) \log \frac{p(y)}{q(y)}.$$
#
# `probs` (N, C) holds $p(y \mid x_i)$, one row an image. It may contain exact zeros, and a class may have the
# probability 0 for all images. Such terms count as 0, since $p \log p \to 0$ for $p \to 0$; the result is never NaN.
#
# <details><summary>Hint 1</summary>
#
# Write the logarithm of the quotient as a difference of two logarithms. `probs.mean(dim=0)` has the shape (C,) and
# fits to each row.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.special.xlogy(a, b)` is `a * log(b)`, and 0 where `a` is 0.
#
# </details>


# %% key="q1"
def inception_score(probs: Tensor) -> Tensor:
    p_y = probs.mean(dim=0)
    kl = (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, p_y)).sum(dim=1)
    return kl.mean().exp()


# %% key="check-q1" tags=["check"]
# CHECK q1
uncertain = torch.tensor([[0.2, 0.5, 0.3]]).repeat(4, 1)
check_shape("q1: inception_score(probs)", inception_score(uncertain), ())
check_close(
    "q1: the score of images that all get the same answer",
    inception_score(uncertain),
    1.0,
    hint="Here p(y|x) = p(y), so each divergence is 0, and exp(0) = 1.",
)
certain = torch.eye(5)[torch.tensor([0, 1, 2, 3, 4, 3, 2, 1, 0, 4])]
check_close(
    "q1: the score of certain answers, 2 for each of 5 classes,",
    inception_score(certain),
    5.0,
    hint="Each divergence, a sum over the classes, is log(1 / 0.2): a probability of 0 adds 0.",
)
two = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
check_close(
    "q1: the score of the two answers (0.5, 0.5) and (1, 0)",
    inception_score(two),
    (4 / 3) ** 0.75,
    hint="p(y) is (0.75, 0.25), and the divergences are 0.5 log(4/3) and log(4/3), natural logarithms.",
)
check_close(
    "q1: the score if only 3 of the 5 classes occur, equally often,",
    inception_score(torch.eye(5)[torch.arange(6) % 3]),
    3.0,
    hint="A class that no image has, p(y) = 0, adds 0.",
)
draw = torch.Generator().manual_seed(0)
answers = (2 * torch.randn(7, 4, generator=draw, dtype=torch.float64)).softmax(dim=1)
by_scipy = entropy(answers.numpy(), answers.mean(dim=0, keepdim=True).numpy(), axis=1)  # KL of each row
check_close(
    "q1: the score of 7 drawn answers for 4 classes",
    inception_score(answers),
    torch.tensor(by_scipy).mean().exp(),
    hint="The mean over the images is taken inside the exponential.",
)
check_close(
    "q1: the score of the test digits",
    inception_score(unseen.probs.double()),
    metrics.inception_score(unseen.probs, splits=1).mean,
    tol=1e-3,
)
print("The score of (0.5, 0.5) and (1, 0):", round(float(inception_score(two)), 2))

# %% [markdown]
# ## 2 · Fréchet distance
#
# FID compares two Gaussians, one fitted to the features of real images and one to those of generated images. For means
# $\mu_1, \mu_2$ of the shape (d,) and covariances $\Sigma_1, \Sigma_2$ of the shape (d, d) it is (Heusel et al. 2017)
#
# $$\lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}\big( \Sigma_1 + \Sigma_2 - 2\,(\Sigma_1 \Sigma_2)^{1/2} \big).$$
#
# $A^{1/2}$ is the root of a *matrix*: the matrix whose product with itself is $A$. It is not the root of each entry. A
# covariance may have a rank below $d$, as it does with fewer images than features. The inputs are float64; the result
# is one real number.
#
# <details><summary>Hint 1</summary>
#
# Only the trace of the root is needed: it is the sum of the square roots of the eigenvalues of $\Sigma_1 \Sigma_2$. Or
# use `sqrtm` of scipy, which takes and returns numpy arrays (and may warn where the rank is low).
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.linalg.eigvals` and sometimes `sqrtm` return complex numbers. The true values are real and not negative: take
# the real part, and of eigenvalues cut off what is below 0 (rounding) before the root.
#
# </details>


# %% key="q2"
def frechet_distance(mu1: Tensor, sigma1: Tensor, mu2: Tensor, sigma2: Tensor) -> Tensor:
    eigenvalues = torch.linalg.eigvals(sigma1 @ sigma2).real.clamp_min(0)
    spread = sigma1.trace() + sigma2.trace() - 2 * eigenvalues.sqrt().sum()
    return (mu1 - mu2).square().sum() + spread


# %% key="check-q2" tags=["check"]
# CHECK q2
zero, one = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
check_shape("q2: frechet_distance(mu1, sigma1, mu2, sigma2)", frechet_distance(zero, one, zero, one), ())
five = torch.eye(5, dtype=torch.float64)
check_close(
    "q2: the distance between covariances 4 I and 9 I in 5 dimensions, with equal means,",
    frechet_distance(five[0], 4 * five, five[0], 9 * five),
    5.0,
    hint="In each dimension it is (2 - 3)² = 4 + 9 - 2 · 6.",
)
check_close(
    "q2: the distance between means (0, 0, 0) and (1, 2, 4), with equal covariances,",
    frechet_distance(zero, one, vector(1, 2, 4), one),
    21.0,
    hint="The first term is the squared length of the difference.",
)
check_close(
    "q2: the distance between covariances diag(1.21, 0.25, 4) and diag(0.64, 2.25, 0)",
    frechet_distance(zero, vector(1.21, 0.25, 4).diag(), zero, vector(0.64, 2.25, 0).diag()),
    0.3**2 + 1 + 4,
    hint="On the diagonal it is the sum of (σ1 - σ2)². Add nothing to the covariances: even 1e-6 shows here.",
)
correlated, stretched = vector(2, 1, 1, 2).view(2, 2), vector(1, 0, 0, 4).view(2, 2)
check_close(
    "q2: the distance between covariances ((2, 1), (1, 2)) and ((1, 0), (0, 4))",
    frechet_distance(zero[:2], correlated, zero[:2], stretched),
    9 - 2 * (10 + 2 * 12**0.5) ** 0.5,
    hint="It is the root of the product, and that of a matrix: the root of each entry is something else.",
)
draw = torch.Generator().manual_seed(1)
a, b = (torch.randn(9, 4, generator=draw, dtype=torch.float64) @ vector(1, 2, 3, 4).diag() for _ in "ab")
root = torch.from_numpy(sqrtm((a.T.cov() @ b.T.cov()).numpy())).real
check_close(
    "q2: the distance between Gaussians fitted to drawn points",
    frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()),
    (a.mean(dim=0) - b.mean(dim=0)).square().sum() + (a.T.cov() + b.T.cov() - 2 * root).trace(),
)
few, fewer = (torch.randn(n, 6, generator=draw, dtype=torch.float64) for n in (4, 3))
few, fewer = few - few.mean(dim=0), fewer - fewer.mean(dim=0)
trace = torch.linalg.svdvals(few @ fewer.T).sum() / 6**0.5  # of the root, from the points themselves
low_rank = frechet_distance(few[0], few.T.cov(), few[0], fewer.T.cov())
check_close(
    "q2: the distance between covariances of 4 and of 3 points in 6 dimensions, which have a low rank,",
    low_rank,
    few.T.cov().trace() + fewer.T.cov().trace() - 2 * trace,
    hint="Eigenvalues that should be 0 may come out as -1e-17, whose root is NaN.",
)
check_close(
    "q2: the number of complex results in this case",
    float(torch.as_tensor(low_rank).is_complex()),
    0.0,
    hint="Take the real part.",
)
far = frechet_distance(zero[:2], correlated, zero[:2] + 3, stretched)
print("From ((2, 1), (1, 2)) at (0, 0) to ((1, 0), (0, 4)) at (3, 3):", round(float(far), 2))

# %% [markdown]
# ## 3 · Precision and recall
#
# Improved precision and recall (Kynkäänniemi et al. 2019) give a set $\Phi$ of features a region: around each point
# $\phi$ a ball that reaches to its $k$-th nearest neighbour in $\Phi$, at the distance $r_k(\phi)$. The point itself
# is not its own neighbour; another point in the same place is one, at distance 0.
#
# $$\operatorname{inside}(f, \Phi) = \begin{cases} 1 & \lVert f - \phi \rVert \le r_k(\phi) \text{ for some }
# \phi \in \Phi \\ 0 & \text{else} \end{cases}$$
#
# $$\text{precision} = \frac{1}{N_g} \sum_{f \in \Phi_g} \operatorname{inside}(f, \Phi_r), \qquad
# \text{recall} = \frac{1}{N_r} \sum_{f \in \Phi_r} \operatorname{inside}(f, \Phi_g)$$
#
# $\Phi_r$ holds the features `real` ($N_r$, d) of real images, $\Phi_g$ the features `fake` ($N_g$, d) of generated
# images. Return precision and recall in this order.
#
# <details><summary>Hint 1</summary>
#
# Write a function for "inside" first and call it twice. `torch.cdist(a, b)` (N, M) holds the distance of each row of
# `a` to each row of `b`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `distances.kthvalue(k, dim=1).values` is the k-th smallest of each row. In `torch.cdist(phi, phi)` the smallest is
# the distance of a point to itself, so count one further.
#
# </details>
#
# The check then measures three damaged sets: blurred digits, digits with half of the classes missing, and fifty images,
# twenty copies of each. Think first: what lowers which of the two numbers?


# %% key="q3"
def precision_recall(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor]:
    def inside(f: Tensor, phi: Tensor) -> Tensor:
        radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values  # the first is the point itself
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %% key="check-q3" tags=["check"]
# CHECK q3
real, fake = column(0, 1, 3, 10), column(0.5, 4.5, 19, 25, 30)
case = "real 0, 1, 3, 10 and fake 0.5, 4.5, 19, 25, 30 on a line"
on_line = precision_recall(real, fake, 1)
check_shape("q3: the pair that precision_recall(real, fake, k) returns", on_line, (2,))
check_close(
    f"q3: precision for {case}, k = 1,",
    on_line[0],
    0.4,
    hint="Precision is first. The balls around real points have the radii 1, 1, 2, 7: they cover -1 … 5 and 3 … 17.",
)
check_close(
    f"q3: recall for {case}, k = 1,",
    on_line[1],
    0.75,
    hint="The balls around fake points have the radii 4, 4, 6, 5, 5. Only the real point 10 lies outside all.",
)
check_close(
    f"q3: precision for {case}, k = 2,",
    precision_recall(real, fake, 2)[0],
    0.6,
    hint="The ball around 10 now has the radius 9 and ends at 19. A point on the edge is inside.",
)
check_close(
    "q3: precision for real 0, 0, 5, 9 and fake 0.5, 7, 12, k = 1,",
    precision_recall(column(0, 0, 5, 9), column(0.5, 7, 12), 1)[0],
    2 / 3,
    hint="The two points at 0 are neighbours of each other, at distance 0: their balls hold nothing else.",
)
draw = torch.Generator().manual_seed(2)
real, fake = (torch.randn(n, 6, generator=draw, dtype=torch.float64) for n in (40, 30))
fake = 0.8 * fake + 0.5
between = (real[:, None] - fake).norm(dim=2)  # (40, 30)
for k in (1, 3, 5):
    r_real, r_fake = (  # asked for no points of its own, sklearn leaves each point out of its neighbours
        torch.from_numpy(NearestNeighbors(n_neighbors=k).fit(f.numpy()).kneighbors()[0][:, -1])
        for f in (real, fake)
    )
    want = (between <= r_real[:, None]).any(dim=0), (between <= r_fake).any(dim=1)
    for name, got, right in zip(("precision", "recall"), precision_recall(real, fake, k), want, strict=True):
        check_close(
            f"q3: {name} of 30 fake and 40 real points in 6 dimensions, k = {k},",
            got,
            right.double().mean(),
            hint="Any of the balls will do, not only the nearest point's.",
        )
sets = {
    "real digits": train.x[:1000],
    "blurred digits": blur(train.x[:1000], 1.2),
    "digits with half of the classes missing": train.x[train.y < 5][:1000],
    "20 copies of 50 digits": train.x[:50].repeat(20, 1, 1, 1),
}
quality.clear()
for name, x in sets.items():
    got, right = (
        f(real=test_features, fake=see(x).features.double(), k=3)
        for f in (precision_recall, metrics.precision_recall)
    )
    check_close(f"q3: precision of {name}", got[0], right.precision, tol=2e-3)
    check_close(f"q3: recall of {name}", got[1], right.recall, tol=2e-3)
    quality.append([name, float(got[0]), float(got[1])])
print("Precision and recall on the line:", [round(float(value), 2) for value in on_line])

# %% tags=["nbval-ignore-output"]
table(["against 1,000 test digits, k = 3", "precision", "recall"], quality)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Blurred digits lose precision, and almost all recall: soft images lie beside the real ones, not among them. With half
# of the classes missing precision stays nearly that of real digits, and recall halves. The copies have a high
# precision, for each of the fifty is a real digit, and the recall 0: each copy has three neighbours at distance 0, so
# that its ball holds nothing else.
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
# ## 5 · Perceptual path length
#
# How fast does the image change on the way from code $z_0$ to code $z_1$? Perceptual path length (Karras et al. 2019)
# takes a small step $\epsilon$ at a place $t$ of the way and measures with a perceptual distance $d$ how far the image
# moves, for many pairs of codes. With the generator $g$:
#
# $$\mathrm{PPL} = \mathbb{E} \Big[ \tfrac{1}{\epsilon^2} \, d\big( g(z_t),\, g(z_{t+\epsilon}) \big) \Big],
# \qquad z_t = (1-t)\, z_0 + t\, z_1$$
#
# `z0` and `z1` have the shape (N, d), `t` the shape (N,): each row has its own place. `generate` turns codes (N, d)
# into images, `distance` turns two batches of images into N distances, and the expectation becomes the mean over the
# rows. ($d$ grows with the square of a small change, hence $1 / \epsilon^2$. And $t + \epsilon$ may exceed 1: do not cut
# it off.)
#
# <details><summary>Hint</summary>
#
# `t[:, None]` has the shape (N, 1) and multiplies each row of a code by its own number. A tensor of the shape (N,)
# would multiply columns, and without an error if N = d.
#
# </details>


# %% key="q5"
def path_length(
    generate: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    z0: Tensor,
    z1: Tensor,
    t: Tensor,
    eps: float,
) -> Tensor:
    def at(s: Tensor) -> Tensor:
        return generate((1 - s) * z0 + s * z1)

    t = t[:, None]
    return (distance(at(t), at(t + eps)) / eps**2).mean()


# %% key="check-q5" tags=["check"]
# CHECK q5
def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).sum(dim=1)


start = vector(1, 2, 3).diag()
end, t = vector(1, 2, 2, 4, 2, 3, 6, 2, 3).view(3, 3), vector(0, 0.5, 0.9)
straight = path_length(lambda z: z, squared, start, end, t, 0.1)
check_shape("q5: path_length(generate, distance, z0, z1, t, eps)", straight, ())
for eps in (0.1, 0.02):
    check_close(
        f"q5: the path length if generate(z) = z, the distance is squared, and eps = {eps},",
        path_length(lambda z: z, squared, start, end, t, eps),
        (8 + 25 + 40) / 3,
        hint="A step is eps (z1 - z0), so that each row has ‖z1 - z0‖² whatever t and eps: 8, 25 and 40.",
    )
check_close(
    "q5: the path length from 0 to (1, 1, 1), (2, 2, 2), (3, 3, 3) if generate(z) = z² and eps = 0.1",
    path_length(lambda z: z**2, squared, 0 * start, column(1, 2, 3).expand(3, 3), t, 0.1),
    0.1**2 + 16 * 1.1**2 + 81 * 1.9**2,
    hint="Each row has its own t, here 0, 0.5, 0.9, and steps from t to t + eps, where z_t = t z1.",
)
draw = torch.Generator().manual_seed(4)
z0, z1, matrix = (torch.randn(*n, generator=draw, dtype=torch.float64) for n in ((5, 2), (5, 2), (2, 12)))
weight = torch.arange(1, 4)[:, None, None]  # of the channels
check_close(
    "q5: the path length of 5 pairs of codes of 2 numbers, images (3, 2, 2), and channels weighted 1, 2, 3,",
    path_length(
        lambda z: (z @ matrix).view(-1, 3, 2, 2),
        lambda a, b: (weight * (a - b) ** 2).sum(dim=(1, 2, 3)),
        z0,
        z1,
        torch.linspace(0, 1, 5, dtype=torch.float64),
        0.01,
    ),
    (weight * ((z1 - z0) @ matrix).view(-1, 3, 2, 2) ** 2).sum(dim=(1, 2, 3)).mean(),
    hint="Compare the images, with the distance that is given.",
)
autoencoder = load_pretrained("autoencoder-mnist", "cpu")
z0 = over_batches(autoencoder.encode, test.x[:100])
place = torch.rand(100, generator=torch.Generator().manual_seed(5))
real_case = (
    autoencoder.decode,
    lambda a, b: squared(see(a).features, see(b).features),
    z0,
    z0.roll(1, dims=0),
)
with torch.inference_mode():
    got = path_length(*real_case, place, 0.01)
right = metrics.perceptual_path_length(
    *real_case,
    interpolate=lambda a, b, s: a + s[:, None] * (b - a),
    epsilon=0.01,
    discard=0,
    generator=torch.Generator().manual_seed(5),
)
check_close("q5: the path length of the course's autoencoder", got, right.mean, tol=0.02)
print("With generate(z) = z:", round(float(straight), 2))

# %% [markdown]
# ## 6 · FID of perfect samples
#
# What does FID say of a model that is perfect, one whose images come from the very distribution of the data? Measure
# it: draw $2N$ *different* rows of `features` (M, d) at random, take $N$ as "real" and the other $N$ as "generated",
# fit a Gaussian to each (the covariance with $N - 1$ in the denominator) and take your `frechet_distance`. Repeat it
# `draws` times, drawing anew each time, and average. Return the averages for all `sizes` $N$, a tensor of the shape
# (len(sizes),). All randomness comes from the generator that is given.
#
# There is an approximation to expect. If the features are normal with the covariance $\sigma^2 I$, then for $N$ much
# larger than $d$
#
# $$\mathbb{E}\,[\mathrm{FID}] \approx \frac{\sigma^2}{N} \Big( 2 d + \frac{d (d + 1)}{2} \Big),$$
#
# $2d$ from the means and the rest from the covariances. So FID has a **bias** that falls as $1/N$ and grows as $d^2$.
# The check measures it for such features and then for the digits. (It uses your `frechet_distance`: if exercise 2
# fails, so does this one.)
#
# <details><summary>Hint</summary>
#
# `features[torch.randperm(len(features), generator=generator)]` shuffles the rows: one half is its first N rows, the
# other its next N. `half.T.cov()` is the covariance (torch.cov wants one *column* a sample).
#
# </details>


# %% key="q6"
def bias_of_fid(features: Tensor, sizes: Sequence[int], draws: int, generator: torch.Generator) -> Tensor:
    def once(n: int) -> float:
        a, b = features[torch.randperm(len(features), generator=generator)[: 2 * n]].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %% key="check-q6" tags=["check"]
# CHECK q6
spike = torch.zeros(8, 3, dtype=torch.float64)
spike[-1] = vector(4, 2, -1)  # squared length 21


def seeded_bias(features: Tensor, sizes: Sequence[int], draws: int, seed: int) -> Tensor:
    return bias_of_fid(features, sizes, draws, torch.Generator().manual_seed(seed))


check_shape("q6: bias_of_fid(features, sizes, draws, generator)", seeded_bias(spike, (2, 3, 4), 2, 0), (3,))
for seed, draws in ((0, 1), (1, 2), (2, 7)):
    check_close(
        f"q6: the distance with N = 4 and 8 rows, one of them (4, 2, -1) and all others 0, draws = {draws},",
        seeded_bias(spike, (4,), draws, seed),
        torch.tensor([21 / 16 + 21 / 4]),
        hint="One half, and never both, holds that row: its mean has the squared length 21/4², its covariance the "
        "trace 21/4, and the other half has 0 and 0.",
    )
check_close(
    "q6: the distance with N = 2 of these 8 rows, the mean of 1000 draws,",
    seeded_bias(spike, (2,), 1000, 3),
    torch.tensor([(21 / 4 + 21 / 2) / 2]),
    tol=0.14,
    hint="Each time 4 rows are drawn anew from all 8: in half of the draws the row is there.",
)
cloud = torch.randn(4000, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
cloud = 2 * cloud + vector(5, 0, -3, 1)
check_close(
    "q6: N times the distance, for N = 100 and 400 of 4000 normal rows with σ = 2, d = 4,",
    torch.tensor([100, 400]) * seeded_bias(cloud, (100, 400), 200, 4),
    torch.full((2,), 4.0 * (2 * 4 + 4 * 5 / 2)),
    tol=0.2,
    hint="It should be about σ² (2d + d (d + 1) / 2). Each draw takes 2N rows from all 4000.",
)
once = seeded_bias(cloud, (50,), 1, 5)
check_close(
    "q6: the result with the same seed again",
    seeded_bias(cloud, (50,), 1, 5),
    once,
    hint="Use the generator for every draw.",
)
check_range(
    "q6: how far the results of two seeds are apart",
    (seeded_bias(cloud, (50,), 1, 6) - once).abs(),
    1e-4,
    10,
    hint="Use the generator that is given.",
)
floor = seeded_bias(train_features, (100, 400, 1600), 8, 7)
check_range(
    "q6: the distance between two sets of digits, N = 400 and 1600, as a share of that with a quarter of N,",
    floor[1:] / floor[:-1],
    0.02,
    0.65,
    hint="It must fall with N, about as 1/N.",
)
shuffle = torch.Generator().manual_seed(8)
pairs = [train_features[torch.randperm(4000, generator=shuffle)[:800]].split(400) for _ in range(16)]
by_course = sum(metrics.fid(real=a, fake=b) for a, b in pairs) / 16
check_range("q6: the one for N = 400, as a multiple of the course's fid,", floor[1] / by_course, 0.4, 2.5)
scatter.clear()
for n, mean in zip((100, 400, 1600), floor.tolist(), strict=True):
    scatter.append([n, *(float(seeded_bias(train_features, (n,), 1, seed)[0]) for seed in range(4)), mean])
print("With N = 4 of the 8 rows:", round(float(seeded_bias(spike, (4,), 1, 0)[0]), 2))

# %% [markdown]
# What it says of real digits, whose features have 128 numbers: four single draws, and the mean of eight others.

# %% tags=["nbval-ignore-output"]
table(["N", "draw 1", "draw 2", "draw 3", "draw 4", "mean of 8"], scatter)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# With four times as many images it is about a quarter, and single draws scatter around that. With the mean variance of
# the features for $\sigma^2$ the formula would say about ten times as much. It is meant for independent numbers, and
# these 128 are far from independent: almost all of their variance lies in few directions. And $N = 100$ is not larger
# than $d$.
#
# </details>
#
# ## 7 · Open question
#
# Two labs work on the same kind of images. One reports an FID of 7.2 for its model, the other 7.9 for its own. List
# what must be the same in both before the difference means anything, and say how you would find out if the first model
# is really better. Use what you measured above. Eight to twelve sentences.
#
# *5 points: the images and their number 1, the features and all that is done to an image before 1, how each model was
# sampled and chosen 1, how much the number scatters 1, an experiment that decides 1.*
#
# *Your answer:*
