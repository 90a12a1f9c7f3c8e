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
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/01_generative_vs_discriminative.ipynb)
#
# # 01 · Generative and discriminative models
#
# 생성 모델과 판별 모델
#
# Two people look at the same thousands of handwritten digits. One learns to say which digit it is. The other learns
# to write. The first is a **discriminative model** (판별 모델), the second a **generative model** (생성 모델). This course
# is about the second kind. To see what makes it different, this notebook builds both, on the same data.
#
# After this notebook you can
#
# 1. say what $p(x)$, $p(x, y)$ and $p(y \mid x)$ are, and which model learns which;
# 2. show with a measurement when each kind classifies better, and why only one of them can draw a new image;
# 3. use a discriminative model for classification and to find what is not normal;
# 4. write each of the five families of generative models in a few lines, train it, and check it: VAE, GAN,
#    diffusion, flow, autoregressive;
# 5. test whether a generated image is new or a copy.
#
# Marks such as (G1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the
# notebook if what the text claims does not hold. It runs on a laptop without a GPU in about two minutes and needs
# no network. You need to know what a probability density, a neural network and a gradient step are.

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

from course_utils.data import load_images, resize
from course_utils.style import PALETTE, curve
from course_utils.viz import show_images, show_rows, table

# %% [markdown]
# ## 1 · The images
#
# `digits` are 5,000 real handwritten digits of the MNIST set, 4,000 to train on and 1,000 to test on. They come with
# the course. We write $x$ for an image and $y$ for its **label** (레이블), the digit that it shows. To a program, $x$ is
# a list of numbers, one for each pixel, from -1 (black) to 1 (white). The first row shows them as they are, 28 × 28
# pixels. Most of this notebook works with the second row, 14 × 14 pixels, so that everything trains in seconds.

# %%
train28, test28 = load_images("digits", "train"), load_images("digits", "test")
train, test = load_images("digits", "train", size=14), load_images("digits", "test", size=14)
show_images(train28.x[:12], columns=12)
show_images(train.x[:12], columns=12)

# %% [markdown]
# ## 2 · Two questions to the same data
#
# Think of nature as drawing pairs $(x, y)$ at random from a **joint distribution** (결합 분포) $p(x, y)$. Two others follow
# from it.
#
# - $p(x) = \sum_y p(x, y)$: how likely is this $x$, whatever its label? For images, $p(x)$ is high where $x$ looks like
#   a digit and practically zero elsewhere.
# - $p(y \mid x) = p(x, y)\,/\,p(x)$: given this $x$, how likely is each label?
#
# A **generative** model learns $p(x)$, or $p(x, y)$. A **discriminative** model learns $p(y \mid x)$ and nothing else.
#
# We begin where all answers are known. Points $x$ in the plane, two classes $y = 0, 1$, each a Gaussian with the mean
# $\mu_y$ and the same covariance $\Sigma$. Both classes are equally frequent, $p(y) = \tfrac12$.

# %%
from torch.distributions import MultivariateNormal

mu, Sigma = torch.tensor([[-1.0, -0.4], [1.0, 0.4]]), torch.tensor([[1.0, 0.6], [0.6, 1.0]])


def draw_pairs(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=draw)
    noise = torch.randn(n, 2, generator=draw) @ torch.linalg.cholesky(Sigma).T
    return mu[y] + noise, y


x, y = draw_pairs(400, seed=0)

# %% [markdown]
# **The generative way.** Estimate what each class looks like, $p(x \mid y)$: a mean for each class and the covariance
# they share; and how frequent it is, $p(y)$. Together they are $p(x, y) = p(y)\, p(x \mid y)$. If we want to classify,
# **Bayes' rule** (베이즈 정리) turns it around: $p(y \mid x) = p(y)\, p(x \mid y) \,/\, p(x)$. For Gaussians this is called *linear
# discriminant analysis* (선형 판별 분석), a misleading name for a generative model.

# %%
means = torch.stack([x[y == k].mean(dim=0) for k in (0, 1)])
covariance = (x - means[y]).T @ (x - means[y]) / (len(x) - 2)
prior = torch.stack([(y == k).double().mean() for k in (0, 1)]).float()


def log_joint(x: torch.Tensor) -> torch.Tensor:  # log p(x, y), one column for each y
    return (
        torch.stack([MultivariateNormal(means[k], covariance).log_prob(x) for k in (0, 1)], 1) + prior.log()
    )


def log_p(x: torch.Tensor) -> torch.Tensor:  # log p(x), the sum over y
    return log_joint(x).logsumexp(dim=1)


# %% [markdown]
# **The discriminative way (D1).** Write $p(y \mid x)$ down directly, as a function with weights to train. The simplest is
# **logistic regression** (로지스틱 회귀),
#
# $$p(y = 1 \mid x) = \frac{1}{1 + e^{-(w \cdot x + b)}},$$
#
# with a vector $w$ and a number $b$. Training raises the probability of the right labels. How the $x$ themselves are
# spread appears nowhere in it. Where $w \cdot x + b = 0$, both classes are equally likely: a straight line, the
# **decision boundary** (결정 경계).
#
# ### The boundary, learned directly (D1)

# %%
logistic = nn.Linear(2, 1)
nn.init.zeros_(logistic.weight), nn.init.zeros_(logistic.bias)
optimizer = torch.optim.Adam(logistic.parameters(), lr=0.1)
for _ in range(300):
    optimizer.zero_grad()
    nn.functional.binary_cross_entropy_with_logits(logistic(x)[:, 0], y.float()).backward()
    optimizer.step()

# %% [markdown]
# Since we made the data, we know the best that *any* classifier can do: decide for the class whose true density is
# higher. Even that is wrong where the classes overlap. Its error, the **Bayes error** (베이즈 오차), is here
# $\Phi(-\delta/2)$, where $\delta^2 = (\mu_1 - \mu_0)^{\!\top} \Sigma^{-1} (\mu_1 - \mu_0)$ measures how far apart the classes lie, and
# $\Phi$ is the distribution function of the standard normal. We count the errors of both models on 50,000 new points.

# %%
delta = (mu[1] - mu[0]) @ torch.linalg.solve(Sigma, mu[1] - mu[0])
best = torch.special.ndtr(-delta.sqrt() / 2).item()
x_new, y_new = draw_pairs(50_000, seed=1)
with torch.inference_mode():
    by_logistic = ((logistic(x_new)[:, 0] > 0) != y_new.bool()).double().mean().item()
by_gaussians = (log_joint(x_new).argmax(dim=1) != y_new).double().mean().item()

# %% tags=["D1", "nbval-ignore-output"]
assert best - 0.01 < by_logistic < best + 0.02
assert best - 0.01 < by_gaussians < best + 0.02
table(["classifier", "error"], [["the best possible", best], ["discriminative: logistic regression", by_logistic],
                                ["generative: a Gaussian for each class", by_gaussians]])  # fmt: skip

# %%
line = torch.linspace(-4, 4, 161)
grid = torch.cartesian_prod(line, line)
with torch.inference_mode():
    maps = {
        "generative: p(x)": log_p(grid).exp(),
        "discriminative: p(y = 1 | x)": logistic(grid)[:, 0].sigmoid(),
    }
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for ax, (title, values), colours in zip(axes, maps.items(), ("Greys", "RdBu_r"), strict=True):
    picture = ax.pcolormesh(line, line, values.view(161, 161).T, cmap=colours, rasterized=True)
    fig.colorbar(picture, ax=ax, shrink=0.8)
    for k in (0, 1):
        ax.scatter(*x[y == k][:150].T, s=5, color=PALETTE[k], edgecolor="white", linewidth=0.2)
    ax.set(title=title, aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
axes[0].contour(line, line, log_joint(grid).diff(dim=1).view(161, 161).T, [0.0], colors="black")
axes[1].contour(line, line, maps["discriminative: p(y = 1 | x)"].view(161, 161).T, [0.5], colors="black")
plt.show()

# %% [markdown]
# Left, the generative model knows where points lie: $p(x)$ fades to nothing at the edges. Its boundary (black) is where
# the two classes are equally likely. Right, the discriminative model knows only the boundary and how sure to be on
# either side. Look at the upper left and lower right corners: no point ever lay there, yet it answers there with the same
# confidence as anywhere. Nothing in $p(y \mid x)$ could tell it that these places are empty.
#
# ### Try it: overlap two classes
#
# Now on a line instead of a plane, so that all curves can be drawn. The upper picture shows $p(x, y)$ for each class
# and their sum $p(x)$. The lower one shows $p(y = 1 \mid x)$; dashed lines are the boundary. The dark area is the Bayes error: what
# lies on the wrong side. Push the classes together. Then make class 1 wider than class 0, and then rarer.

# %%
from course_utils.explorers import Explorer, Panel, Readout, Slider
from course_utils.viz import rendered

s = torch.linspace(-6, 6, 481)  # the line


def normal(mean: float, spread: float) -> torch.Tensor:
    return torch.exp(-((s - mean) ** 2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))


# %%
def overlap(distance: float, spread: float, prior: float) -> tuple[torch.Tensor, list[float]]:
    joint = torch.stack([(1 - prior) * normal(-distance / 2, 1), prior * normal(distance / 2, spread)])
    p_y1, wrong = joint[1] / joint.sum(dim=0), joint.min(dim=0).values
    fig, (above, below) = plt.subplots(2, 1, figsize=(4.2, 3.4), sharex=True, layout="constrained")
    for k in (0, 1):
        above.plot(s, joint[k], **curve(k), label=f"p(x, y = {k})")
    above.plot(s, joint.sum(dim=0), color="black", ls="-", lw=0.8, label="p(x)")
    above.fill_between(s, wrong, color="0.45")
    below.plot(s, p_y1, **curve(1))
    for place in s[1:][(p_y1[1:] > 0.5) != (p_y1[:-1] > 0.5)]:
        for ax in (above, below):
            ax.axvline(place, color="black", ls="--", lw=0.8)
    above.set(ylim=(0, 0.5), yticks=[]), below.set(ylim=(-0.05, 1.05), xlabel="x", ylabel="p(y = 1 | x)")
    above.legend(frameon=False, fontsize=7, loc="upper left")
    return rendered(fig, dpi=72), [wrong.sum().item() * 12 / 480, min(prior, 1 - prior)]


# %%
distances, spreads, priors = (0, 1, 2, 3, 4, 5), (1, 2, 3), (0.5, 0.25, 0.1)
shown = [overlap(d, s1, p) for d in distances for s1 in spreads for p in priors]
frames = torch.stack([frame for frame, _ in shown]).unflatten(0, (6, 3, 3))
errors = torch.tensor([error for _, error in shown]).unflatten(0, (6, 3, 3))
names = "distance of the means", "spread of class 1", "share of class 1"
Explorer(
    [Slider(name, ticks) for name, ticks in zip(names, (distances, spreads, priors), strict=True)],
    [Panel("p(x, y), p(x) and p(y | x)", frames, names)],
    [Readout("error of the best boundary", errors[..., 0], names, maximum=0.5),
     Readout("error of always saying the more frequent class", errors[..., 1], names, maximum=0.5)],
    title="Overlap two classes", index=[3, 0, 0], colors=32,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At distance 0 with equal spreads, $p(y = 1 \mid x)$ is flat: $x$ says nothing about $y$, and the error is that of always
# saying the more frequent class. With unequal spreads there are *two* boundaries, even at distance 0: far out on either side only
# the wide class reaches. A rarer class 1 pushes the boundary towards itself: at distance 1
# and a share of 0.1 it lies at about 2.2, beyond the mean of class 1. Only at distance 0 with equal spreads and a rarer class 1 is
# there no boundary at all: the best answer is then never "class 1".
#
# </details>

# %% [markdown]
# ## 3 · What only a generative model can do (D2)
#
# Draw a label from $p(y)$, then a point from $p(x \mid y)$: the generative model makes new data. Are they good? By the true
# density, which we know, 99 % of real points lie above a certain level. Points from the model should too.

# %% tags=["D2"]
draw = torch.Generator().manual_seed(2)
labels = torch.multinomial(prior, 2000, replacement=True, generator=draw)
made = means[labels] + torch.randn(2000, 2, generator=draw) @ torch.linalg.cholesky(covariance).T


def true_log_p(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([MultivariateNormal(m, Sigma).log_prob(x) for m in mu]).logsumexp(0) - math.log(2)


level = true_log_p(x_new).quantile(0.01)
assert (true_log_p(made) > level).double().mean() > 0.95
print("More than 95 % of the generated points lie where 99 % of real points lie.")

# %% [markdown]
# Can we draw from $p(y \mid x)$ alone? No, and not for want of a clever method: the information is not there. Here is a
# second world. Its points $x$ lie evenly over a square, quite unlike ours, and each gets its label from *the same*
# $p(y \mid x)$. A discriminative model trained there learns the same thing.

# %% tags=["D2"]
from sklearn.linear_model import LogisticRegression

other_x = 6 * torch.rand(4000, 2, generator=draw) - 3
w = torch.linalg.solve(Sigma, mu[1] - mu[0])  # the true p(y | x) is logistic, with this w and b = 0
other_y = torch.rand(4000, generator=draw) < (other_x @ w).sigmoid()
ours, other = LogisticRegression().fit(*draw_pairs(4000, 3)), LogisticRegression().fit(other_x, other_y)
gap = abs(ours.predict_proba(grid) - other.predict_proba(grid)).mean()
assert gap < 0.05
assert (true_log_p(other_x) > level).double().mean() < 0.8
print("Two different p(x), one p(y | x): the two discriminative models agree within 0.05.")

# %% [markdown]
# So whoever holds only $p(y \mid x)$ cannot know which of the two worlds it came from, and cannot make its points.
#
# With images it looks like this. The course ships a classifier that reads more than 99 % of MNIST's test digits right. We ask it for an
# image in the only way it can answer: begin with noise, and climb along the gradient of $\log p(y \mid x)$ towards images
# that it takes for a certain digit.

# %%
from course_utils.nets import over_batches
from course_utils.pretrained import load_pretrained

classifier = load_pretrained("classifier-mnist", "cpu").requires_grad_(False)
asked = torch.arange(10)
climbed = (0.3 * torch.randn(10, 1, 28, 28, generator=draw)).requires_grad_()
climb = torch.optim.Adam([climbed], lr=0.05)
for _ in range(120):
    climb.zero_grad()
    nn.functional.cross_entropy(classifier(climbed.clamp(-1, 1)), asked).backward()
    climb.step()

# %% tags=["D2"]
climbed = climbed.detach().clamp(-1, 1)
belief = classifier(climbed).softmax(dim=1)[asked, asked]


def to_nearest(x: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    return torch.cdist(x.flatten(1), among.flatten(1)).min(dim=1).values


far = to_nearest(climbed, train28.x).min() / to_nearest(test28.x, train28.x).median()
assert belief.min() > 0.95
assert far > 1.5
show_rows({"asked for 0 … 9": climbed, "real": test28.x[:10]})

# %% [markdown]
# The classifier is more than 95 % sure of each image in the upper row, and none of them is a digit. Measured in
# pixels, the nearest real digit is more than one and a half times as far away as it is for a real test image. The classifier
# was never asked whether $x$ looks like a digit. It was asked *which* digit, and it answers.
#
# ## 4 · Who predicts better? (D2)
#
# If we only want to predict $y$, the discriminative model has an advantage: it spends everything on the boundary. The
# generative model must describe all of $x$, and where its description is wrong, its boundary suffers. On the other hand,
# a description, even a rough one, needs few examples. Ng and Jordan compared a pair of models that draw
# *the same kind of boundary* and differ only in what they learn.
#
# - **Naive Bayes** (나이브 베이즈), generative: each pixel is black or white and, given the digit, independent of the others,
#   $p(x \mid y) = \prod_j p(x_j \mid y)$, where $x_j$ is pixel number $j$. To train it is to count how often each pixel is white in
#   each class. (Both counts begin at 1, so that no probability is 0.)
# - **Logistic regression**, discriminative, for ten classes: $p(y \mid x) \propto e^{w_y \cdot x + b_y}$.
#
# By Bayes' rule naive Bayes has that very form too; only its $w_y$ and $b_y$ come from the counts. We use images of 7 × 7
# black or white pixels, and draw $n$ labelled images of each digit, five times over for each $n$.

# %%
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.naive_bayes import BernoulliNB

warnings.simplefilter("ignore", ConvergenceWarning)  # close enough to the optimum for this comparison
ones, test_ones = ((resize(images.x, 7) > -0.5).flatten(1).numpy() for images in (train28, test28))
kinds = {
    "naive Bayes": lambda: BernoulliNB(alpha=1.0),
    "logistic regression": lambda: LogisticRegression(C=1e4, max_iter=100),
    "logistic regression, with a penalty": lambda: LogisticRegression(C=1.0),
}

# %%
ns, draws = [2, 8, 24, 64, 150, 300], 5
error = {name: torch.zeros(len(ns), draws) for name in kinds}
of_class = train.y.view(400, 10).argsort(dim=1)  # the images come in the order 0, 1, …, 9, 0, 1, …
for i, n in enumerate(ns):
    for j in range(draws):
        rows = torch.randperm(400, generator=draw)[:n]
        chosen = (10 * rows[:, None] + of_class[rows]).flatten().numpy()
        for name, make in kinds.items():
            fitted = make().fit(ones[chosen], train.y[chosen])
            error[name][i, j] = 1 - fitted.score(test_ones, test.y)

# %% tags=["D2"]
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, values), style in zip(error.items(), ("-o", "-s", ":"), strict=True):
    ax.errorbar(ns, values.mean(dim=1), values.std(dim=1), fmt=style, ms=4, capsize=3, label=name)
ax.set(
    xscale="log",
    xticks=ns,
    xticklabels=ns,
    xlabel="labelled images of each digit",
    ylabel="error on test images",
)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
few = error["logistic regression"][2] - error["naive Bayes"][2]  # n = 24, five draws
many = error["logistic regression"][5] - error["naive Bayes"][5]  # n = 300
assert few.mean() > 0.03
assert many.mean() < -0.015
print("Few labels: the generative model errs less. Many labels: the discriminative one does.")

# %% [markdown]
# With 2 or 8 images of each digit the solid curves cannot be told apart (bars: standard deviation over the draws). At 24 and 64
# naive Bayes errs less: logistic regression can fit so few examples almost perfectly, in a way that does not carry over. Between
# 64 and 150 the curves cross. Naive Bayes learns fast and then stops: pixels of a digit are not independent, and no number of examples mends that. Logistic regression has no such wrong
# belief. Once there are enough labels it wins.
#
# The dotted curve is a warning against too simple a moral. It is logistic regression with a *penalty* on large weights,
# $\tfrac12 \lVert w \rVert^2$. That, too, is a belief about the answer ("weights are small"), and with it logistic regression does at least as well
# as naive Bayes at every $n$ here.
# What helps with few labels is a good prior belief. A generative model has one built in; a discriminative model can
# be given one.
#
# ## 5 · What discriminative models are used for (D3)
#
# ### Classification (D3)
#
# Where there are labels and the task is to predict them, use a discriminative model. More pixels and better features
# carry it far: logistic regression on all 784 pixels, and the convolutional network from above.

# %% tags=["D3", "nbval-ignore-output"]
on_pixels = LogisticRegression(C=0.01, max_iter=100).fit(train28.x.flatten(1), train28.y)
right = {"logistic regression on 784 pixels": on_pixels.score(test28.x.flatten(1), test28.y)}
read = over_batches(classifier, test28.x).argmax(dim=1)
right["convolutional network (59,000 labels)"] = (read == test28.y).double().mean().item()
assert right["logistic regression on 784 pixels"] > 0.85
assert right["convolutional network (59,000 labels)"] > 0.98
table(["classifier", "share of test digits read right"], list(right.items()))

# %% [markdown]
# ### Anomaly detection (D3)
#
# In a factory there are thousands of pictures of good parts and hardly any of broken ones. There is no second class to draw
# a boundary to. So draw it *around* the normal data, as tight as it will go. Whatever lies outside is an
# **anomaly** (이상). The **one-class SVM** (단일 클래스 SVM) does this with the function
#
# $$f(x) = \sum_i \alpha_i\, e^{-\gamma \lVert x - x_i \rVert^2} - \rho .$$
#
# Each training image $x_i$ raises a small hill of width $1/\sqrt{2\gamma}$; the weights $\alpha_i \geq 0$ and the level $\rho$ are chosen such that the
# level line $f(x) = 0$ leaves about a share $\nu$ of the training data outside. Only points on the edge or outside it get a weight at all. It never
# estimates a density, only this one boundary.
#
# First in two dimensions, to see it: images of a digit 0, reduced to two numbers: the coordinates along the two directions in
# which training images of all digits vary most (PCA, explained in section 6).

# %%
from sklearn.decomposition import PCA
from sklearn.svm import OneClassSVM

zeros, others = train.x[train.y == 0].flatten(1), test.x[test.y != 0].flatten(1)
plane = PCA(2, random_state=0).fit(train.x.flatten(1))
inside, outside = plane.transform(zeros), plane.transform(others)
around = OneClassSVM(nu=0.1, gamma=0.1).fit(inside)
side = torch.linspace(-5, 9, 120)
f = around.decision_function(torch.cartesian_prod(side, side)).reshape(120, 120).T

fig, ax = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
ax.contourf(side, side, f, levels=[0, 1e9], colors=["#dde8f3"])
ax.contour(side, side, f, levels=[0], colors="black")
ax.scatter(*outside[:400].T, s=5, color=PALETTE[1], label="other digits (not used in training)")
ax.scatter(*inside.T, s=5, color=PALETTE[0], label="zeros")
ax.legend(frameon=False, bbox_to_anchor=(0, 1.02), loc="lower left", fontsize=8)
plt.show()

# %% [markdown]
# The black line was drawn from the blue points alone. A tenth of them lies outside; most orange points do, too. Those
# inside look like a 0 to two coordinates. So use all 196 pixels.
#
# How good is it? Take $-f(x)$ as a score of anomaly. **AUROC** is the chance that a random anomaly gets a higher score
# than a random normal image: 0.5 is guessing, 1 is perfect. It needs no choice of a threshold. Each digit in turn is
# the normal one; the nine others are the anomalies.

# %% tags=["D3", "nbval-ignore-output"]
from course_utils.metrics import auroc

area, scores = {}, {}
for digit in range(10):
    around = OneClassSVM(nu=0.1, gamma=0.04).fit(train.x[train.y == digit].flatten(1))
    scores[digit] = -torch.from_numpy(around.score_samples(test.x.flatten(1)))
    normal_ones = test.y == digit
    area[digit] = auroc(normal=scores[digit][normal_ones], anomalous=scores[digit][~normal_ones])
assert sum(area.values()) / 10 > 0.9
assert min(area.values()) > 0.8
table(["normal digit", *area], [["AUROC", *area.values()]])

# %%
by_score = scores[3].argsort()
threes, rest = by_score[test.y[by_score] == 3], by_score[test.y[by_score] != 3]
show_rows({"3s, most normal": test.x[threes[:10]], "3s, most anomalous": test.x[threes[-10:]],
           "others, most normal": test.x[rest[:10]], "others, most anomalous": test.x[rest[-10:]]})  # fmt: skip

# %% [markdown]
# With 3 as the normal digit: what is taken for normal but is not (third row) are mostly digits with the curves of a 3,
# and the 3s that raise an alarm (second row) are unusual ones. The boundary is tight, but it is drawn in pixels; with
# better features it would be better.
#
# ## 6 · The assumption behind it all: few essential factors (G2)
#
# An image of 14 × 14 pixels with 8 grey levels each can be chosen in $8^{196} \approx 10^{177}$ ways. If digits were anywhere
# among them, learning $p(x)$ from 4,000 examples would be hopeless. They are not. This is the working assumption of all
# image generation: images come from few essential factors, such as which digit, how slanted, how thick, so a code of few
# numbers is enough to make them.
#
# Take three looks at it. **First**, choose every pixel at random, and count how often a digit comes out. We need someone
# to judge, for this and for the rest of the notebook. Let us call an image **readable** if the shipped classifier gives
# one digit more than 95 % of its belief, *and* the image lies, in the classifier's last layer, as close to some training
# image as 95 % of the real test images do. The classifier reads 28 × 28 pixels, so images are enlarged, with some contrast.


# %%
def enlarge(x: torch.Tensor) -> torch.Tensor:
    big = nn.functional.interpolate(x.clamp(-1, 1), size=28, mode="bicubic")
    return (1.6 * big + 0.3).clamp(-1, 1)


known = over_batches(classifier.features, enlarge(train.x))


def look(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    features = over_batches(classifier.features, enlarge(x))
    belief, digit = classifier.head(features).softmax(dim=1).max(dim=1)
    return belief, digit, torch.cdist(features, known).min(dim=1).values


# %%
limit = look(test.x)[2].quantile(0.95)


def is_readable(x: torch.Tensor) -> torch.Tensor:
    belief, _, distance = look(x)
    return (belief > 0.95) & (distance <= limit)


# %%
draw = torch.Generator().manual_seed(4)
noise = 2 * torch.rand(10_000, 1, 14, 14, generator=draw) - 1
shuffled = torch.stack(
    [column[torch.randperm(4000, generator=draw)] for column in train.x.flatten(1).T], dim=1
)
shuffled = shuffled.view_as(train.x)

# %% tags=["G2"]
assert is_readable(test.x).double().mean() > 0.8
assert is_readable(noise).sum() == 0
assert is_readable(shuffled).double().mean() < 0.02
show_rows(
    {"random pixels": noise[:12], "each pixel from another digit": shuffled[:12], "digits": train.x[:12]}
)

# %% [markdown]
# Of 10,000 images with random pixels, none is readable. For the second row each pixel was taken from a random training image of its own, so that
# every pixel by itself has just the right distribution. What is missing is what the pixels have to do with
# each other. That is what a generative model has to learn.
#
# **Second**, how many numbers does an image need? *Principal component analysis* (PCA, 주성분 분석) finds the $d$ directions
# along which images vary most; keep the coordinates along these and throw away the rest. Which share of the variance is left?


# %% tags=["G2"]
def kept(x: torch.Tensor) -> torch.Tensor:
    centred = x.flatten(1) - x.flatten(1).mean(dim=0)
    variance = torch.linalg.svdvals(centred) ** 2
    return (variance / variance.sum()).cumsum(dim=0)


shares = {
    "digits": kept(train.x),
    "each pixel from another digit": kept(shuffled),
    "random pixels": kept(noise),
}
assert shares["digits"][15] > 0.6
assert shares["random pixels"][15] < 0.15
assert shares["digits"][15] > 2 * shares["each pixel from another digit"][15]
fig, ax = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
for name, share in shares.items():
    ax.plot(range(1, 197), share, label=name)
ax.axvline(16, color="black", lw=0.8, ls=":")
ax.set(xlabel="numbers kept, of 196", ylabel="share of variance left", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# With 16 numbers (dotted line) PCA keeps most of a digit and very little of noise. And PCA can only use flat directions.
# The course ships an autoencoder (notebook 03), a curved code of 16 numbers. What does it keep?

# %%
autoencoder = load_pretrained("autoencoder-mnist", "cpu")
noise28 = 2 * torch.rand(1000, 1, 28, 28, generator=draw) - 1


def left(x: torch.Tensor) -> float:
    lost = ((over_batches(autoencoder, x) - x) ** 2).sum()
    return 1 - (lost / ((x - x.mean(dim=0)) ** 2).sum()).item()


# %% tags=["G2"]
assert left(test28.x) > 0.8
assert left(noise28) < 0.1
show_rows({"digits": test28.x[:10], "through 16 numbers": over_batches(autoencoder, test28.x[:10]),
           "noise": noise28[:10], "noise through 16 numbers": over_batches(autoencoder, noise28[:10])})  # fmt: skip
print("More than 80 % of a digit's variance is left, and less than a tenth of the noise's.")

# %% [markdown]
# **Third**, without any code: if the data lie on a curved sheet of few dimensions, distances tell. Let $r_1$ and $r_2$ be
# the distances from a point to its nearest and second nearest neighbour. In $d$ dimensions the number of points within a radius grows as
# $r^d$, so the larger $d$, the closer $r_2 / r_1$ is to 1. The estimate for $N$ points (Facco et al., 2017) is one line:
#
# $$\hat{d} = \frac{N}{\sum_i \log\,(r_2(i)\, /\, r_1(i))}.$$
#
# We try it on data whose dimension we know, 5 numbers bent into 196; then on digits and on noise.


# %%
def dimension(x: torch.Tensor) -> float:
    x = x.flatten(1).unique(dim=0).double()
    r = torch.cdist(x, x).topk(3, largest=False).values  # the first is the point itself
    return len(x) / (r[:, 2] / r[:, 1]).log().sum().item()


# %% tags=["G2", "nbval-ignore-output"]
five = torch.randn(4000, 5, generator=draw) @ torch.randn(5, 196, generator=draw)
d_hat = {"5 numbers, bent": dimension(five.sin()), "digits": dimension(train.x),
         "each pixel from another digit": dimension(shuffled), "random pixels": dimension(noise[:4000])}  # fmt: skip
assert 4 < d_hat["5 numbers, bent"] < 7
assert d_hat["digits"] < 20 < d_hat["each pixel from another digit"] < d_hat["random pixels"]
table(["data (196 pixels)", "estimated dimension"], list(d_hat.items()))

# %% [markdown]
# For digits the estimate is below 20 of 196. Take it as an order of magnitude: with 4,000 points the estimate is too low where the true
# dimension is high (random pixels have 196, and it says far less).
#
# ## 7 · Five families in the plane (G3)
#
# A generative model turns random numbers that are easy to draw into data. In four of the families they are $z \sim N(0, I)$; the
# autoregressive model draws one pixel after another instead. The families differ in how they learn to
# do it.
#
# | family | the idea | its density $p(x)$ | in full |
# | --- | --- | --- | --- |
# | VAE (변분 오토인코더) | a decoder makes $x$ from a code $z$; an encoder guesses the code | a lower bound | 04 |
# | GAN (생성적 적대 신경망) | a generator tries to fool a discriminator | none | 05, 06 |
# | diffusion (확산 모델) | undo noise in many small steps | a lower bound | 07, 08 |
# | flow (정규화 흐름 모델) | an invertible map between $z$ and $x$ | exact | here |
# | autoregressive (자기회귀 모델) | one piece after another, each given those before | exact | here |
#
# We build all five in miniature and train them on the same data, first in the plane: eight Gaussians on a ring,
# whose exact $\log p(x)$ the package knows (`toy_log_prob`). The networks are plain: linear layers with ReLU between.

# %%
from itertools import pairwise


def mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


# %% [markdown]
# ### VAE (G3)
#
# The encoder answers for each $x$ with the mean $\mu$ and the log-variance of a Gaussian over codes, written `mu` and `logvar`. We draw a
# code $z$ from it and decode. The loss has two parts: how badly $x$ is explained by a Gaussian with standard deviation $\sigma$ around the decoded
# point, and how far the codes are from $N(0, I)$, the *KL divergence* (KL 발산). Their sum is an upper bound of
# $-\log p(x)$. Notebook 04 derives it.


# %%
class VAE(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module, codes: int, sigma: float):
        super().__init__()
        self.encoder, self.decoder, self.codes, self.sigma = encoder, decoder, codes, sigma

    def loss(self, x, y=None, *, generator=None):
        x = x.flatten(1)
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z = mu + (logvar / 2).exp() * torch.randn(mu.shape, generator=generator)
        error = (x - self.decoder(z)) ** 2 / (2 * self.sigma**2) + math.log(
            self.sigma * math.sqrt(2 * math.pi)
        )
        kl = 0.5 * (mu**2 + logvar.exp() - logvar - 1)
        return (error.sum(dim=1) + kl.sum(dim=1)).mean()

    @torch.no_grad()
    def sample(self, n, *, generator):
        return self.decoder(torch.randn(n, self.codes, generator=generator))  # the mean of p(x | z)


# %% [markdown]
# ### GAN (G3)
#
# The **generator** makes $x$ from noise. The **discriminator** is a discriminative model: it learns to tell real from
# made, and its gradient teaches the generator. (The discriminator gives a score $s$, and
# $p(\text{real}) = 1 / (1 + e^{-s})$ as in logistic regression. With $\operatorname{softplus}(s) = \log(1 + e^s)$, $-\log p(\text{real})$ is
# $\operatorname{softplus}(-s)$ and $-\log p(\text{made})$ is $\operatorname{softplus}(s)$.) No density
# appears anywhere. Notebook 05.


# %%
class GAN(nn.Module):
    def __init__(self, generator: nn.Module, discriminator: nn.Module, codes: int):
        super().__init__()
        self.make, self.judge, self.codes = generator, discriminator, codes

    def draw(self, n, generator):
        return self.make(torch.randn(n, self.codes, generator=generator))

    def discriminator_loss(self, x, y=None, *, generator=None):
        real, fake = self.judge(x.flatten(1)), self.judge(self.draw(len(x), generator).detach())
        return (nn.functional.softplus(-real) + nn.functional.softplus(fake)).mean()

    def generator_loss(self, x, y=None, *, generator=None):
        return nn.functional.softplus(-self.judge(self.draw(len(x), generator))).mean()

    @torch.no_grad()
    def sample(self, n, *, generator):
        return self.draw(n, generator)


# %% [markdown]
# ### Diffusion (G3)
#
# Mix an image with noise, $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$, where $x_0$ is the data, $\epsilon \sim N(0, I)$ and $\bar\alpha_t$ falls from 1 at
# $t = 0$ to almost 0 at $t = T$. A network learns to guess $x_0$ from $x_t$. To sample, begin with pure noise at $t = T$. In each step guess $x_0$, work
# out which $\epsilon$ that implies, and mix the two again with a little less noise. Notebook 07 has the theory.


# %%
class Diffusion(nn.Module):
    def __init__(self, net: nn.Module, d: int, T: int = 50):
        super().__init__()
        self.net, self.d, self.T = net, d, T
        self.alpha_bar = torch.cos(torch.linspace(0, 1, T + 1) * math.pi / 2).square().clamp_min(1e-4)

    def guess_x0(self, xt, t):
        angle = math.pi * (t / self.T)[:, None] * torch.tensor([0.5, 1.0, 2.0, 4.0])
        return self.net(torch.cat([xt, angle.sin(), angle.cos()], dim=1))

    def loss(self, x, y=None, *, generator=None):
        x0, t = x.flatten(1), torch.randint(1, self.T + 1, (len(x),), generator=generator)
        a, eps = self.alpha_bar[t][:, None], torch.randn(len(x), self.d, generator=generator)
        return ((self.guess_x0(a.sqrt() * x0 + (1 - a).sqrt() * eps, t) - x0) ** 2).sum(dim=1).mean()

    @torch.no_grad()
    def sample(self, n, *, generator):
        x = torch.randn(n, self.d, generator=generator)
        for t in range(self.T, 0, -1):
            a, b = self.alpha_bar[t], self.alpha_bar[t - 1]
            x0 = self.guess_x0(x, torch.full((n,), t))
            x = b.sqrt() * x0 + (1 - b).sqrt() * (x - a.sqrt() * x0) / (1 - a).sqrt()
        return x


# %% [markdown]
# ### Flow (G3)
#
# A flow is an **invertible** map $z = f(x)$. Densities follow the *change of variables* (변수 변환): where $f$
# stretches space, the density grows by the same factor, the absolute determinant of the matrix of derivatives (Jacobian, 야코비 행렬),
#
# $$\log p(x) = \log N(f(x); 0, I) + \log \left| \det \frac{\partial f}{\partial x} \right|.$$
#
# How do you invert a neural network? You need not. An **affine coupling layer** (Dinh et al., 2017) leaves one part
# of the coordinates, $x_a$, as it is, and moves the others by numbers computed from it: $x_b \leftarrow x_b\, e^{s(x_a)} + t(x_a)$. The way back is
# $x_b \leftarrow (x_b - t(x_a))\, e^{-s(x_a)}$: the networks $s$ and $t$ never have to be inverted. The log-determinant is the sum of $s(x_a)$. The next layer moves the
# other part. `CouplingFlow` of the package stacks several of them; the cell checks its density against the full Jacobian.

# %%
from course_utils.likelihood import CouplingFlow, PixelCNN
from course_utils.nets import seeded

with seeded(0):
    flow = CouplingFlow(2, layers=8, hidden=64)
    for weights in flow.parameters():
        nn.init.normal_(weights, std=0.3)  # any weights will do
point = torch.tensor([0.7, -0.4])
jacobian = torch.autograd.functional.jacobian(lambda x: flow(x[None])[0][0], point)
z = flow(point[None])[0][0]
by_hand = -0.5 * (z @ z) - math.log(2 * math.pi) + jacobian.det().abs().log()
assert torch.allclose(by_hand, flow.log_prob(point[None])[0], atol=1e-3)
assert torch.allclose(flow.inverse(z[None])[0], point, atol=1e-3)
print("The flow's density is that of the change of variables, and its map can be undone.")

# %% [markdown]
# ### Autoregressive (G3)
#
# Any distribution can be written as a product, one coordinate (or pixel) after another:
#
# $$p(x) = p(x_1)\; p(x_2 \mid x_1)\; p(x_3 \mid x_1, x_2) \cdots$$
#
# Each factor is a classification: which level does the next pixel have, given those before? So this generative model is made of
# discriminative ones. `PixelCNN` computes all factors at once with **masked convolutions**, which see only the pixels above and to the left.
# A point of the plane is to it an image of 1 × 2 pixels, with 50 levels each.
#
# ### Train all five (G3)
#
# The loop is the package's `fit`: it goes through the batches and makes one step for each *objective*, that is a
# loss and the weights to change (a GAN has two, taken in turn). We stop at a few moments on the way and look at samples,
# always made from the same random numbers.

# %%
from course_utils.data import toy_log_prob, toy_points
from course_utils.training import Objective, constant, fit, warmup_cosine

moments = (0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1)


def aim(module: nn.Module, loss, lr: float, schedule=warmup_cosine, betas=(0.9, 0.999), name="loss"):
    return Objective(module, loss, torch.optim.Adam(module.parameters(), lr, betas), name, schedule)


def train_and_watch(objectives, data, sample, progress=False) -> torch.Tensor:
    stops, seen = {round(share * len(data)) for share in moments}, [sample()]
    for record in fit(objectives, data, device="cpu", progress=progress):
        if record.step in stops:
            seen.append(sample())
    return torch.stack(seen)  # (moments, n, …)


# %%
with seeded(0):
    vae = VAE(mlp(2, 128, 128, 4), mlp(2, 128, 128, 2), codes=2, sigma=0.2)
    gan = GAN(mlp(2, 128, 128, 2), mlp(2, 128, 128, 1), codes=2)
    diffusion = Diffusion(mlp(2 + 8, 128, 128, 128, 2), d=2)
    flow = CouplingFlow(2, layers=8, hidden=64)
    autoregressive = PixelCNN(1, 2, levels=50, channels=32, blocks=1)


def to_grid(x: torch.Tensor) -> torch.Tensor:
    return (x / 2.5).clamp(-1, 1).view(-1, 1, 1, 2)


def grid_loss(x: torch.Tensor, generator=None) -> torch.Tensor:
    return autoregressive.loss(to_grid(x))


# %%
steady = {"lr": 1e-3, "betas": (0.5, 0.9), "schedule": constant}
families = {  # model, objectives, steps
    "VAE": (vae, [aim(vae, vae.loss, 4e-3)], 1500),
    "GAN": (gan, [aim(gan.judge, gan.discriminator_loss, name="discriminator", **steady),
                  aim(gan.make, gan.generator_loss, name="generator", **steady)], 1500),
    "diffusion": (diffusion, [aim(diffusion, diffusion.loss, 3e-3)], 2500),
    "flow": (flow, [aim(flow, flow.loss, 5e-3)], 1000),
    "autoregressive": (autoregressive, [aim(autoregressive, grid_loss, 5e-3)], 1000),
}  # fmt: skip

# %%
draw = torch.Generator().manual_seed(5)
ring = [(toy_points("gaussians", 256, generator=draw)[0],) for _ in range(2500)]
films = {}
for name, (model, objectives, steps) in families.items():

    def points(model=model):
        return model.sample(1000, generator=torch.Generator().manual_seed(6)).view(-1, 2)

    films[name] = train_and_watch(objectives, ring[:steps], points)
films["autoregressive"] = 2.5 * films["autoregressive"]

# %% tags=["G3", "nbval-ignore-output"]
angle = torch.arange(8) * math.pi / 4
centres = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
held_out, _ = toy_points("gaussians", 5000, generator=draw)


def near(x: torch.Tensor) -> tuple[float, int]:
    distance, which = torch.cdist(x, centres).min(dim=1)
    hit = distance < 3 * 0.15  # within three standard deviations of a centre
    return hit.double().mean().item(), len(which[hit].unique())


square = 5 * torch.rand(5000, 2, generator=draw) - 2.5
found = {"real points": near(held_out), "evenly over the square": near(square)}
found |= {name: near(film[-1]) for name, film in films.items()}
for name in films:
    assert found[name][0] > 2 * found["evenly over the square"][0], name
    assert found[name][1] >= (6 if name == "GAN" else 8), name
table(
    ["points of", "share near a centre", "centres reached"], [[name, *pair] for name, pair in found.items()]
)

# %%
fig, axes = plt.subplots(1, 6, figsize=(11, 2.1), sharex=True, sharey=True, layout="constrained")
for ax, (name, x) in zip(
    axes, {"real": held_out[:1000], **{n: film[-1] for n, film in films.items()}}.items(), strict=True
):
    ax.scatter(*x.T, s=1, color="black" if name == "real" else PALETTE[0])
    ax.set(title=name, xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
plt.show()

# %% [markdown]
# All five find the ring, and each has its own way of being wrong. The VAE draws bridges between the clusters: its decoder is a
# continuous map of one blob of codes, and the Gaussian around each decoded point forgives bridges. The flow has thin threads,
# since a smooth invertible map cannot tear the one Gaussian of $z$ into eight. The autoregressive model works on levels, so its points
# lie on a fine grid. The GAN draws a thin line from cluster to cluster. The diffusion model parts the clusters better, in its fifty
# small steps, but within a cluster its points lie too close together.
#
# ### Exact likelihood (G3)
#
# Flow and autoregression give a number for $p(x)$. Is it a probability? The density of the flow has to integrate to 1 over the
# plane; the probabilities of the autoregressive model's 50 × 50 points have to sum to 1.

# %% tags=["G3"]
cells = (torch.arange(400) + 0.5) * (8 / 400) - 4
levels = torch.linspace(-1, 1, 50)
with torch.inference_mode():
    integral = flow.log_prob(torch.cartesian_prod(cells, cells)).exp().sum().item() * (8 / 400) ** 2
    total = autoregressive.log_prob(torch.cartesian_prod(levels, levels).view(-1, 1, 1, 2)).exp().sum().item()
assert abs(integral - 1) < 0.01
assert abs(total - 1) < 1e-3
print("The flow's density integrates to 1; the autoregressive probabilities sum to 1.")

# %% [markdown]
# So the two can be compared with the truth on new data: the mean of $\log p(x)$ over 5,000 held-out points, the **log-likelihood** (로그 가능도), in
# *nats* (the unit with natural logarithms). No model can score above the true density, except by chance; what it
# lacks is the KL divergence from the truth to the model. For the autoregressive model we divide the probability of a level by the area of its
# cell. For the VAE we have only a lower bound. A single Gaussian, fitted to the data, shows what no learning costs.

# %% tags=["G3", "nbval-ignore-output"]
one = MultivariateNormal(torch.zeros(2), ring[0][0].T.cov())
with torch.inference_mode():
    log_likelihood = {
        "the true density": toy_log_prob("gaussians", held_out).mean().item(),
        "flow": flow.log_prob(held_out).mean().item(),
        "autoregressive": autoregressive.log_prob(to_grid(held_out)).mean().item() - 2 * math.log(5 / 49),
        "VAE (at least)": -vae.loss(held_out, generator=draw).item(),
        "one Gaussian": one.log_prob(held_out).mean().item(),
    }
best, worst = log_likelihood["the true density"], log_likelihood["one Gaussian"]
for name in ("flow", "autoregressive"):
    assert worst + 1 < log_likelihood[name] < best + 0.02, name
assert log_likelihood["VAE (at least)"] < best
table(["model", "log-likelihood, nats a point"], list(log_likelihood.items()))

# %% [markdown]
# ## 8 · Five families on digits (G3)
#
# The same five, with the same losses, on real images. Only the networks grow: 196 numbers go in or come out in
# place of 2. The flow and the autoregressive model see 8 grey levels; for the flow each level is spread evenly over an interval
# (*dequantisation*), because a density needs numbers that vary continuously. Training all five takes most of a minute.

# %%
with seeded(0):
    vae = VAE(mlp(196, 512, 256, 32), nn.Sequential(*mlp(16, 256, 512, 196), nn.Tanh()), codes=16, sigma=0.4)
    paint = nn.Sequential(
        nn.Linear(16, 32 * 49), nn.BatchNorm1d(32 * 49), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1), nn.Tanh(), nn.Flatten(),
    )  # fmt: skip
    judge = nn.Sequential(
        nn.Unflatten(1, (1, 14, 14)), nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(0.2),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(64 * 16, 1),
    )  # fmt: skip
    gan = GAN(paint, judge, codes=16).to(memory_format=torch.channels_last)
    diffusion = Diffusion(mlp(196 + 8, 512, 512, 512, 196), d=196)
    flow = CouplingFlow(196, layers=8, hidden=256, levels=8)
    autoregressive = PixelCNN(14, 14, levels=8, channels=32, blocks=4)

# %%
from course_utils.data import batches

calm = {"betas": (0.5, 0.99)}
plans = {  # model, objectives, batch size, steps
    "VAE": (vae, [aim(vae, vae.loss, 2e-3)], 128, 900),
    "GAN": (gan, [aim(gan.judge, gan.discriminator_loss, 1e-3, name="discriminator", **calm),
                  aim(gan.make, gan.generator_loss, 2e-3, name="generator", **calm)], 64, 800),
    "diffusion": (diffusion, [aim(diffusion, diffusion.loss, 1e-3)], 128, 1500),
    "flow": (flow, [aim(flow, flow.loss, 1e-3)], 128, 700),
    "autoregressive": (autoregressive, [aim(autoregressive, autoregressive.loss, 5e-3)], 64, 450),
}  # fmt: skip


def learn(name: str) -> torch.Tensor:
    model, objectives, batch_size, steps = plans[name]
    shuffled = batches(train, batch_size, steps, generator=torch.Generator().manual_seed(7))

    def sample():
        return model.sample(10, generator=torch.Generator().manual_seed(8)).view(-1, 1, 14, 14).clamp(-1, 1)

    return train_and_watch(objectives, shuffled, sample, progress=True)


# %%
digit_films = {"VAE": learn("VAE")}

# %%
digit_films["GAN"] = learn("GAN")

# %%
digit_films["diffusion"] = learn("diffusion")

# %%
digit_films["flow"] = learn("flow")

# %%
digit_films["autoregressive"] = learn("autoregressive")

# %% [markdown]
# Read the curves with care: each loss has a scale of its own. The VAE's, the flow's and the autoregressive model's are in nats
# and ought to fall. The GAN's two are in a contest. When the discriminator can only guess, its loss is
# $2 \log 2 \approx 1.39$ and the generator's $\log 2 \approx 0.69$. Both hover about there and tell you little about the images. So look at them.

# %%
draw = torch.Generator().manual_seed(9)
new = {
    name: plan[0].sample(200, generator=draw).view(-1, 1, 14, 14).clamp(-1, 1) for name, plan in plans.items()
}
show_rows({"real": test.x[:16]} | {name: x[:16] for name, x in new.items()}, scale=0.5)

# %% tags=["G3", "nbval-ignore-output"]
readable = {"real test images": test.x, **new, "each pixel from another digit": shuffled}
readable = {name: is_readable(x).double().mean().item() for name, x in readable.items()}
for name in new:
    assert readable[name] > readable["each pixel from another digit"] + 0.03, name
assert readable["diffusion"] > 0.25
table(["images", "share readable"], list(readable.items()))

# %% [markdown]
# Within a minute on a laptop, each family has learned something of what a digit is. Their characters show: the VAE's are smooth
# and soft; the GAN's crisp, but most of them are not digits; the flow leaves specks; the autoregressive model draws clean strokes, but
# after so little training most of them do not join into a digit. Diffusion does best here. That order holds for *these miniatures and this
# minute*. It is no verdict on the families: the full ones come in the next notebooks, with better networks.
#
# Those with a likelihood can be compared in another way. In *bits per pixel* (the log-likelihood to base 2, divided by the number of
# pixels, with the sign turned): how many bits does it take to store a test image with the model's help? For the flow this is an upper bound, because of
# dequantisation. 8 levels need 3 bits without a model. A model of independent pixels, which only counts how often each has each level, sets the mark to beat.

# %% tags=["G3", "nbval-ignore-output"]
from course_utils.likelihood import dequantise, quantise

k_train, k_test = (quantise(images.x, 8).flatten(1) for images in (train, test))
counts = nn.functional.one_hot(k_train, 8).sum(dim=0) + 1.0  # (196, 8)
alone = (counts / counts.sum(dim=1, keepdim=True)).log()
per_pixel = {"independent pixels": alone[torch.arange(196), k_test].sum(dim=1).mean().item()}
with torch.inference_mode():
    v = dequantise(test.x.flatten(1), 8, generator=draw)
    per_pixel["flow (at most)"] = flow.log_prob(v).mean().item() + 196 * math.log(2 / 8)
    per_pixel["autoregressive"] = autoregressive.log_prob(test.x).mean().item()
bits = {name: -value / (196 * math.log(2)) for name, value in per_pixel.items()}
assert bits["autoregressive"] < bits["flow (at most)"] < bits["independent pixels"] < 3
table(["model", "bits per pixel"], list(bits.items()))

# %% [markdown]
# The autoregressive model needs the fewest bits by far, and yet its samples were not the most readable. A good likelihood and good-looking
# samples are two different things (Theis et al., 2016). How to measure the second is the subject of notebook 02.
#
# ### Try it: five families as training goes on
#
# Press play, or drag. The upper row shows 1,000 points of each model in the plane (the darker, the more points), the lower row ten
# digits of each. Which family finds the ring first, and which the clusters? Which draws strokes before it draws digits?

# %%
from course_utils.viz import tile


def as_picture(points: torch.Tensor) -> torch.Tensor:  # points of the plane, counted in 72 × 72 cells
    cells = ((points.clamp(-2.99, 2.99) + 3) * 12).long()
    counts = torch.bincount((71 - cells[:, 1]) * 72 + cells[:, 0], minlength=72 * 72).view(1, 72, 72)
    return (1 - 0.7 * counts).clamp_min(-1).repeat_interleave(2, 1).repeat_interleave(2, 2)


def as_sheet(x: torch.Tensor) -> torch.Tensor:  # ten digits in two rows, enlarged
    sheet = torch.from_numpy(tile(x, columns=5)[..., :1].copy()).movedim(2, 0) / 127.5 - 1
    return sheet.repeat_interleave(2, 1).repeat_interleave(2, 2)


by = ("share of training done",)
panels = [Panel(name, torch.stack([as_picture(x) for x in film]), by, group="in the plane")
          for name, film in films.items()]  # fmt: skip
panels += [Panel(f"{name}, digits", torch.stack([as_sheet(x) for x in film]), by, group="digits")
           for name, film in digit_films.items()]  # fmt: skip

# %%
slider = Slider(by[0], [f"{share:.0%}" for share in moments], play=True, interval=0.8)
Explorer([slider], panels, title="Five families", index=[len(moments) - 1])

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# In the plane, VAE, flow and GAN begin with a blob, diffusion with a point. VAE, diffusion and flow find the ring first and the
# clusters later: coarse before fine. The autoregressive model begins all over the square and goes straight to spots, at first in
# rows and columns that do not fit together, then the eight clusters. The GAN jumps about for long before it finds the ring. With
# digits, all begin with grey or noise. VAE and diffusion first draw one blurred average digit for everybody, then different
# ones; the flow's digits come out of noise, the autoregressive model's strokes out of single specks.
#
# </details>

# %% [markdown]
# ## 9 · New, not copied (G1)
#
# A model that stored the 4,000 training images and showed one of them each time would look perfect. It would have learned nothing. A generative model is to learn the *distribution*
# and draw *new* samples from it. To test that, find for each generated image the nearest training image, by the distance between
# their pixels. Then do the same for real test images, which surely are not copies. Here are ten from the diffusion model, with the nearest training images.

# %%
x = new["diffusion"]
nearest = torch.cdist(x.flatten(1), train.x.flatten(1)).argmin(dim=1)
show_rows({"generated": x[:10], "nearest training image": train.x[nearest[:10]]})

# %% [markdown]
# Similar, as there are only so many ways to write a 1, but not the same. Now in numbers. As a control we make a *copyist*: training images with a touch of noise.

# %% tags=["G1", "nbval-ignore-output"]
copyist = (train.x[:200] + 0.02 * torch.randn(200, 1, 14, 14, generator=draw)).clamp(-1, 1)
nearest_distance = {
    name: to_nearest(x, train.x) for name, x in {"test images": test.x, **new, "copyist": copyist}.items()
}
closest = nearest_distance["test images"].quantile(0.01)  # 99 % of the test images keep farther away
rows = [
    [name, d.median().item(), (d < closest / 2).double().mean().item()]
    for name, d in nearest_distance.items()
]
for name, _, copies in rows[:-1]:
    assert copies < 0.02, name
assert rows[-1][2] > 0.95
table(["images", "median distance to the nearest training image", "share suspiciously close"], rows)

# %%
fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
for number, (name, distances) in enumerate(nearest_distance.items()):
    style = {"color": "black", "lw": 2} if name == "test images" else {"color": PALETTE[number]}
    ax.ecdf(distances.numpy(), label=name, **style)
ax.set(xlabel="distance to the nearest training image", ylabel="share of images below")
ax.legend(frameon=False, bbox_to_anchor=(1, 1), fontsize=8)
plt.show()

# %% [markdown]
# None of the five models copies; the copyist stands by itself at the far left. GAN, flow and autoregressive model lie clearly to the right
# of the test images (black). A model that draws *farther* from the training data than real images are is not more creative; it
# is less accurate. VAE and diffusion cross the black curve and end up to its left: their images are smooth, and a smooth image
# is closer to everything. "Suspiciously close" means closer than half the distance that 99 % of the test images keep.
#
# That the samples are new is half of G1; that they follow the distribution of the data is the other half. In the plane we saw it in the likelihood. For digits,
# a simple test: does each digit come as often as it should?
#
# ## 10 · New images (G4)
#
# That is the first use of a generative model: new images. Here are sixty of the diffusion model, not selected, none of which existed before
# you ran this cell.

# %% tags=["G1", "G4"]
fresh = diffusion.sample(1000, generator=draw).view(-1, 1, 14, 14).clamp(-1, 1)
good = is_readable(fresh)
share = torch.bincount(look(fresh)[1], minlength=10) / 1000  # of each digit, real ones have 0.1
assert good.double().mean() > 0.25
assert len(look(fresh[good])[1].unique()) == 10
assert (share - 0.1).abs().sum() / 2 < 0.3
show_images(fresh[:60], columns=20)
print("All ten digits are among the readable ones.")

# %% [markdown]
# The check in the middle compares how often the classifier sees each digit with how often it occurs in the data, one tenth each: less than 30 % of the images would
# have to change their digit to make the shares equal.
#
# ### What else they are used for, and where you will see it
#
# | use | how | notebook |
# | --- | --- | --- |
# | new images | draw from $p(x)$ | here; 04, 05, 07 |
# | images of a given kind | draw from $p(x \mid y)$ | 06, 07 |
# | data augmentation (데이터 증강): more examples where labels are scarce | train a classifier on real and generated images | 06 |
# | super-resolution (초해상도): small image to large | draw from $p(x \mid \text{small } x)$ | 07 |
# | inpainting (인페인팅): fill in a missing part | draw from $p(x \mid \text{the rest})$ | 07 |
# | style transfer (스타일 변환): same content, another look | noise an image half way, denoise it under another condition | 08 |
# | an image from a sentence | draw from $p(x \mid \text{text})$ | 08 |
#
# And the course as a whole: 02 says how to judge generated images. 03 finds short codes for images. 04 to 07 take the families one by
# one, and 08 puts the codes of 03 and 04 and the diffusion of 07 together.
#
# ## 11 · Questions
#
# Think first, then unfold the answer.
#
# **1.** Someone gives you $p(x, y)$. How do you get $p(y \mid x)$? And someone else gives you $p(y \mid x)$. How do you get $p(x, y)$?
#
# <details><summary>Answer</summary>
#
# $p(y \mid x) = p(x, y) / \sum_{y'} p(x, y')$. The other way there is no way: $p(x, y) = p(y \mid x)\, p(x)$, and nothing tells you
# $p(x)$. Section 3 showed two worlds with the same $p(y \mid x)$.
#
# </details>
#
# **2.** Naive Bayes and logistic regression both cut the space by flat boundaries. Why do they not end at the same one, however many
# examples they get?
#
# <details><summary>Answer</summary>
#
# They choose it by different aims. Naive Bayes takes the flat boundary that *would* be right if pixels were independent
# within a class. Logistic regression takes the one under which the labels it saw are most probable. The two agree only if the assumption is true.
#
# </details>
#
# **3.** For the one-class SVM, why not train a two-class classifier "normal against abnormal" with the few anomalies you have?
#
# <details><summary>Answer</summary>
#
# It would learn the boundary to *those* anomalies. An anomaly of a new kind can lie anywhere, even far on the "normal" side of that
# boundary, like the empty corners in the first figure. If all anomalies of interest are of known kinds and you have enough of them, the two-class
# classifier is the better choice.
#
# </details>
#
# **4.** Why must a flow's $z$ have as many dimensions as $x$, and why is that at odds with section 6?
#
# <details><summary>Answer</summary>
#
# An invertible differentiable map cannot change the number of dimensions. But if data lie near a sheet of few dimensions, most directions
# of $z$ have to be squeezed almost flat, and each small error there shows as specks. VAE and GAN begin from a short code; they follow the assumption
# of few factors, and in return have no exact density.
#
# </details>
#
# **5.** A model generates images with a nearest-training-image distance of 0.3, ten times less than held-out real images have. Its authors call the images
# "extremely realistic". What do you say?
#
# <details><summary>Answer</summary>
#
# It almost certainly copies. Realistic images that were new would be about as far from the training set as real test images. Blur lowers the
# distance too, but not ten times. Look at pairs of a generated image and its nearest training image.
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | generative model | 생성 모델 | learns $p(x)$ or $p(x, y)$; can draw new data |
# | discriminative model | 판별 모델 | learns $p(y \mid x)$ |
# | joint distribution | 결합 분포 | $p(x, y)$, of data and labels together |
# | label | 레이블 | the answer $y$ that belongs to $x$ |
# | Bayes' rule | 베이즈 정리 | from $p(x \mid y)$ and $p(y)$ to $p(y \mid x)$ |
# | Bayes error | 베이즈 오차 | the error of the best possible classifier |
# | decision boundary | 결정 경계 | where two classes are equally likely |
# | naive Bayes | 나이브 베이즈 | a generative model with independent pixels in each class |
# | logistic regression | 로지스틱 회귀 | a discriminative model with flat boundaries |
# | linear discriminant analysis | 선형 판별 분석 | a Gaussian for each class, with one covariance |
# | anomaly | 이상, 이상치 (anomaly detection: 이상 탐지) | what does not belong to the normal data |
# | one-class SVM | 단일 클래스 SVM | a tight boundary around the normal data |
# | principal component analysis | 주성분 분석 | the best flat code of $d$ numbers |
# | variational autoencoder | 변분 오토인코더 | decoder and encoder, trained on a bound of $\log p(x)$ |
# | generative adversarial network | 생성적 적대 신경망 | a generator against a discriminator |
# | diffusion model | 확산 모델 | removes noise in many steps |
# | flow | 정규화 흐름(플로우) 모델 | an invertible map with an exact density |
# | autoregressive model | 자기회귀 모델 | one piece after another |
# | change of variables | 변수 변환 | how a density changes under an invertible map |
# | Jacobian | 야코비 행렬 | the matrix of derivatives of a map |
# | KL divergence | KL 발산 | how far one distribution is from another |
# | log-likelihood | 로그 가능도 | $\log p(x)$ of data under a model |
#
# ## Read on
#
# - A. Ng and M. Jordan, *On discriminative vs. generative classifiers: a comparison of logistic regression and naive Bayes*, NIPS 2001: section 4.
# - B. Schölkopf et al., *Estimating the support of a high-dimensional distribution*, Neural Computation 2001: the one-class SVM;
#   D. Tax and R. Duin, *Support vector data description*, Machine Learning 2004: the same with balls.
# - E. Facco et al., *Estimating the intrinsic dimension of datasets by a minimal neighborhood information*, Scientific Reports 2017.
# - D. Kingma and M. Welling, *Auto-encoding variational Bayes*, ICLR 2014. I. Goodfellow et al., *Generative adversarial nets*, NIPS 2014.
#   J. Ho, A. Jain, P. Abbeel, *Denoising diffusion probabilistic models*, NeurIPS 2020. L. Dinh, J. Sohl-Dickstein, S. Bengio,
#   *Density estimation using Real NVP*, ICLR 2017. A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, *Pixel recurrent neural
#   networks*, ICML 2016: the five families.
# - L. Theis, A. van den Oord, M. Bethge, *A note on the evaluation of generative models*, ICLR 2016: why likelihood and looks differ.
# - E. Nalisnick et al., *Do deep generative models know what they don't know?*, ICLR 2019: why a high $p(x)$ does not yet mean "normal".
#
# Next: **02 · Evaluation metrics.**
