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
# 5. test whether a generated image is new or a copy, and say which copies your test would miss.
#
# It has two halves, with a good place for a break between them: *two kinds of models* (sections 1 to 6) and *five
# families* (sections 7 to 12). Marks such as (G1) in a heading name a claim of the lecture, and a line that begins with
# `assert` stops the notebook if what the text claims does not hold. The notebook runs on a plain laptop without a GPU in less than three minutes
# and needs no network. You need to know what a probability density, a neural network and a gradient step are.

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
# a list of numbers, one for each pixel, from −1 (black) to 1 (white). The first row shows them as they are, 28 × 28
# pixels. Most of this notebook works with the second row, 14 × 14 pixels, so that everything trains in seconds.

# %% alt=["A row of twelve handwritten digits, white on black, of 28 × 28 pixels.", "The same twelve digits with 14 × 14 pixels: coarser, but all of them readable."]
train28, test28 = load_images("digits", "train"), load_images("digits", "test")
train, test = load_images("digits", "train", size=14), load_images("digits", "test", size=14)
show_rows({"28 × 28 pixels": train28.x[:12]})
show_rows({"14 × 14 pixels": train.x[:12]})

# %% [markdown]
# And here is where the course is going. One of these rows is real. The other three come from models that are shipped with the
# course and that you will build: a VAE (notebook 04), a GAN (05) and a diffusion model (07). Which row is real?

# %% alt="Four rows of sixteen digits, A to D. All look like handwriting; some strokes in A are broken, those in C are soft." slide="One of these rows was written by people, three were made by models: which is real?"
from course_utils.pretrained import load_pretrained

draw = torch.Generator().manual_seed(3)
asked = torch.randint(10, (16,), generator=draw)  # the diffusion model is told which digits to draw
made = {name: load_pretrained(name, "cpu").sample(16, y, generator=draw)
        for name, y in (("gan-mnist", None), ("vae-mnist", None), ("ddpm-4-steps-mnist", asked))}  # fmt: skip
some = test28.x[torch.randperm(1000, generator=draw)[:16]]
show_rows({"row A": made["gan-mnist"], "row B": some,
           "row C": made["vae-mnist"], "row D": made["ddpm-4-steps-mnist"]})  # fmt: skip

# %% [markdown] slide="A generative model learns how the data are spread, a discriminative one how to label them" slide_points="Nature draws pairs of image and label: $p(x, y)$ | **Generative**: learns $p(x) = \\sum_y p(x, y)$, or all of $p(x, y)$ | **Discriminative**: learns $p(y \\mid x) = p(x, y)\\, /\\, p(x)$ and nothing else"
# <details><summary>Answer</summary>
#
# B is real. A is the GAN, C the VAE, D the diffusion model. The VAE gives itself away by its soft strokes. No one wrote the digits in A, C and D.
#
# </details>
#
# ## 2 · Two questions to the same data
#
# Think of nature as drawing pairs $(x, y)$ at random from a **joint distribution** (결합 분포) $p(x, y)$. Two other distributions follow from it.
#
# - $p(x) = \sum_y p(x, y)$: how likely is this $x$, whatever its label? For images, $p(x)$ is high where $x$ looks like
#   a digit and practically zero elsewhere.
# - $p(y \mid x) = p(x, y)\,/\,p(x)$: given this $x$, how likely is each label?
#
# A **generative** model learns $p(x)$, or $p(x, y)$. A **discriminative** model learns $p(y \mid x)$ and nothing else.
#
# We begin where all answers are known: points $x$ in the plane and two classes, $y = 0$ and $y = 1$. Each class is a Gaussian with a mean
# $\mu_y$ of its own and the same covariance $\Sigma$. Both classes are equally frequent, $p(y) = \tfrac12$.

# %%
from torch.distributions import MultivariateNormal

mu, Sigma = torch.tensor([[-1.0, -0.4], [1.0, 0.4]]), torch.tensor([[1.0, 0.6], [0.6, 1.0]])


def draw_pairs(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=draw)
    noise = torch.randn(n, 2, generator=draw) @ torch.linalg.cholesky(Sigma).T
    return mu[y] + noise, y


x, y = draw_pairs(400, seed=0)

# %% [markdown] slide="The generative way: describe each class, then turn the description round" slide_points="Describe each class, $p(x \\mid y)$: here a Gaussian | Count how frequent it is, $p(y)$ | Bayes' rule: $p(y \\mid x) = p(y)\\, p(x \\mid y)\\, /\\, p(x)$"
# **The generative way.** Estimate what each class looks like, $p(x \mid y)$: a mean for each class and the covariance
# they share. Count how frequent each class is, $p(y)$. Together they are $p(x, y) = p(y)\, p(x \mid y)$. To classify,
# **Bayes' rule** (베이즈 정리) turns it around: $p(y \mid x) = p(y)\, p(x \mid y) \,/\, p(x)$. For Gaussians this is called *linear
# discriminant analysis* (선형 판별 분석), a misleading name for a generative model.

# %%
means = torch.stack([x[y == k].mean(dim=0) for k in (0, 1)])
covariance = (x - means[y]).T @ (x - means[y]) / (len(x) - 2)
prior = torch.stack([(y == k).double().mean() for k in (0, 1)]).float()


def log_joint(x: torch.Tensor) -> torch.Tensor:  # log p(x, y), one column for each y
    each = [MultivariateNormal(means[k], covariance).log_prob(x) for k in (0, 1)]
    return torch.stack(each, dim=1) + prior.log()


def log_p(x: torch.Tensor) -> torch.Tensor:  # log p(x), the sum over y
    return log_joint(x).logsumexp(dim=1)


# %% [markdown] slide="The discriminative way: write the probability of the label down, and train it" slide_formulas=[1] slide_points="Training raises the probability of the right labels | How the $x$ themselves are spread appears nowhere in it | $w \\cdot x + b = 0$ is a straight line: the decision boundary"
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
# Since we made the data, we know the best that *any* classifier can do: choose the class whose true density is
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

# %% alt="Two maps of the same points of two overlapping classes. Left, grey shows p(x), which fades towards the edges. Right, colour shows p(y = 1 | x): sure on both sides of a straight boundary, also in corners where no point lies." slide="The discriminative model is sure even in corners where no point lies"
line = torch.linspace(-4.5, 4.5, 181)
grid = torch.cartesian_prod(line, line)
with torch.inference_mode():
    p_y1 = logistic(grid)[:, 0].sigmoid()
maps = {"generative: p(x)": (log_p(grid).exp(), "Greys", None),
        "discriminative: p(y = 1 | x)": (p_y1, "RdBu_r", [0, 0.5, 1])}  # fmt: skip
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.9), layout="constrained")
for ax, (title, (values, colours, ticks)) in zip(axes, maps.items(), strict=True):
    picture = ax.pcolormesh(line, line, values.view(181, 181).T, cmap=colours, rasterized=True)
    picture.set_clim(0, 1 if ticks else None)
    fig.colorbar(picture, ax=ax, shrink=0.8, label=title.split(": ")[1], ticks=ticks)
    for k, marker in enumerate("os"):
        ax.scatter(*x[y == k][:150].T, s=14, marker=marker, color=PALETTE[k], edgecolor="white", linewidth=0.6,
                   label=f"y = {k}")  # fmt: skip
    ax.set(title=title, aspect="equal", xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), xlabel="$x_1$", ylabel="$x_2$")
axes[0].contour(line, line, log_joint(grid).diff(dim=1).view(181, 181).T, [0.0], colors="black")
axes[1].contour(line, line, p_y1.view(181, 181).T, [0.5], colors="black")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %% [markdown]
# Left, the generative model knows where points lie: $p(x)$ fades to nothing at the edges. Its boundary (black) is where
# the two classes are equally likely. Right, the discriminative model knows only the boundary and how sure it is on either side. Look at the upper left and lower right corners. No point lies there, and yet it answers there with great
# confidence. Nothing in $p(y \mid x)$ could tell it that these places are empty.

# %% tags=["D1"]
corners = torch.tensor([[-3.0, 3.0], [3.0, -3.0]])
sure = torch.special.expit(logistic(corners)[:, 0].detach().abs())
assert sure.min() > 0.99
assert log_p(corners).max() < log_p(x_new).min()
print("Surer than 99 % in two places where p(x) is lower than at any of 50,000 points.")

# %% [markdown]
# ### Try it: overlap two classes
#
# Now on a line instead of a plane, so that all curves can be drawn. The upper picture shows $p(x, y)$ for each class
# and their sum $p(x)$. The lower one shows $p(y = 1 \mid x)$; dashed vertical lines are the boundary. The grey area is the Bayes error: the probability that a point lies on the wrong side of even the best boundary. Push the classes together. Then make class 1 wider than class 0, and then rarer.

# %%
import numpy as np

from course_utils.explorers import Explorer, Panel, Readout, Slider
from course_utils.viz import Chart, chart

s = torch.linspace(-6, 6, 481)  # the line


def normal(mean: float, spread: float) -> torch.Tensor:
    return torch.exp(-((s - mean) ** 2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))


# %%
def overlap(distance: float, spread: float, prior: float) -> tuple[Chart, list[float]]:
    joint = torch.stack([(1 - prior) * normal(-distance / 2, 1), prior * normal(distance / 2, spread)])
    p_y1, wrong = joint[1] / joint.sum(dim=0), joint.min(dim=0).values
    fig, (above, below) = plt.subplots(2, 1, figsize=(3.7, 3.5), sharex=True)
    fig.subplots_adjust(0.17, 0.13, 0.98, 0.88, hspace=0.1)
    for k in (0, 1):
        above.plot(s, joint[k], **curve(k), label=f"p(x, y = {k})")
    above.plot(s, joint.sum(dim=0), color="black", ls="-", lw=0.8, label="p(x)")
    above.fill_between(s, wrong, color="0.45", label="on the wrong side")
    below.plot(s, p_y1, **curve(1))
    for place in s[1:][(p_y1[1:] > 0.5) != (p_y1[:-1] > 0.5)]:
        for ax in (above, below):
            ax.axvline(place, color="black", ls="--", lw=0.8)
    above.set(ylim=(0, 0.5), ylabel="density")
    below.set(ylim=(-0.05, 1.05), xlabel="x", ylabel="p(y = 1 | x)")
    fig.legend(frameon=False, fontsize=8.5, loc="upper center", ncols=2)
    return chart(fig), [wrong.sum().item() * 12 / 480, min(prior, 1 - prior)]


# %% slide="Push two classes together: what error remains?"
from course_utils.progress import counted

distances, spreads, priors = (0, 1, 2, 3, 4), (1, 3), (0.1, 0.5)
shown = [overlap(d, s1, p) for d in counted(distances, "distances") for s1 in spreads for p in priors]
frames = np.reshape([frame for frame, _ in shown], (5, 2, 2))
errors = torch.tensor([error for _, error in shown]).unflatten(0, (5, 2, 2))
names = "distance of the means", "spread of class 1", "share of class 1"
Explorer(
    [Slider(name, ticks) for name, ticks in zip(names, (distances, spreads, priors), strict=True)],
    [Panel("p(x, y), p(x) and p(y | x)", frames, names)],
    [Readout("error of the best boundary", errors[..., 0], names, maximum=0.5),
     Readout("error of always saying the more frequent class", errors[..., 1], names, maximum=0.5)],
    title="Overlap two classes",
    hint="Try: push the classes together; then make class 1 wider than class 0, and then rarer.", index=[3, 0, 1], colors=32,
)  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At distance 0 with equal spreads, $p(y = 1 \mid x)$ is flat: $x$ says nothing about $y$, and the error is that of always
# saying the more frequent class. With unequal spreads and equal shares there are *two* boundaries, even at distance 0, because far out, on both sides, the wide class is the more likely one. (At a large distance one of them lies outside the picture.) A rarer class 1 pushes the boundary towards itself: at distance 1
# and a share of 0.1 it lies at about 2.2, beyond the mean of class 1. At distance 0 with equal spreads and a rarer class 1
# there is no boundary at all: the best answer is then never "class 1".
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

# %% [markdown] slide="Two different worlds are labelled alike: from the labels alone neither can be drawn" slide_points="World 1: two Gaussians. World 2: points spread evenly over a square | In both, labels are drawn from the same $p(y \\mid x)$ | A model trained in each: on average the two differ by less than 0.03"
# Can we draw from $p(y \mid x)$ alone? No, and not because a clever method is missing: the information is not there. Here is a
# second world. Its points $x$ lie evenly over a square, quite unlike ours, and each gets its label from *the same*
# $p(y \mid x)$. We train a discriminative model in each world and compare the two.

# %% tags=["D2"]
from sklearn.linear_model import LogisticRegression

other_x = 6 * torch.rand(4000, 2, generator=draw) - 3
w = torch.linalg.solve(Sigma, mu[1] - mu[0])  # the true p(y | x) is logistic, with this w and b = 0
other_y = torch.rand(4000, generator=draw) < (other_x @ w).sigmoid()
ours, other = LogisticRegression().fit(*draw_pairs(4000, 3)), LogisticRegression().fit(other_x, other_y)
gap = abs(ours.predict_proba(grid) - other.predict_proba(grid))
assert gap.mean() < 0.03
assert gap.max() < 0.15
assert (true_log_p(other_x) > level).double().mean() < 0.8
print("Two different p(x), one p(y | x): on average the two models differ by less than 0.03.")

# %% [markdown]
# The two models answer alike, although more than a fifth of the second world's points lie where the first world has
# practically none. If you have only $p(y \mid x)$, you cannot know which of the two worlds it came from, and you cannot draw its points.
#
# What does that mean for images? The course ships a classifier that reads more than 99 % of MNIST's test digits correctly.
# It offers one obvious way to ask it for images: start somewhere and climb along the gradient of $\log p(y \mid x)$, towards
# images that it takes for a certain digit. We climb to forty images, four of each digit, from each of three places, with the same noise: from grey, from black, and from the mean of all training digits.

# %%
from course_utils.features import readability
from course_utils.nets import over_batches

classifier = load_pretrained("classifier-mnist", "cpu").requires_grad_(False)
asked = torch.arange(10).repeat(4)


def climb(start: torch.Tensor, name: str) -> torch.Tensor:
    x = start.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=0.05)
    for _ in counted(range(70), f"steps {name}"):
        adam.zero_grad()
        nn.functional.cross_entropy(classifier(x.clamp(-1, 1)), asked).backward()
        adam.step()
    return x.detach().clamp(-1, 1)


# %% alt="Ten images that the classifier takes for 0 to 9, climbed to from grey, from black and from the mean digit, above ten real ones. Those from grey and black are patterns of noise; those from the mean look a little like digits." slide="The classifier is sure of each climbed image; those from grey and black are noise"
noise28 = 0.1 * torch.randn(40, 1, 28, 28, generator=draw)
starts = {
    "from grey": noise28,
    "from black": noise28 - 1,
    "from the mean": 0.3 * noise28 + train28.x.mean(dim=0),
}
climbed = {name: climb(start, name) for name, start in starts.items()}
show_rows({name: x[:10] for name, x in climbed.items()} | {"real": test28.x[:10]})

# %% [markdown]
# The images were asked for as 0, 1, 2, …, 9. Who is to judge them? Here and later we call an image **readable** if the
# shipped classifier gives one digit a probability above 95 %, *and* the image lies, in the classifier's last
# layer, as close to some training image as 95 % of real test images do. A second judge knows nothing of the classifier: is the nearest training image, pixel by pixel, one of the digit that was asked for? (By chance one in ten is.)


# %%
reads28 = readability(train28.x, test28.x)


def judged(x: torch.Tensor) -> list[float]:
    belief = classifier(x).softmax(dim=1)[range(40), asked].min().item()
    neighbour = torch.cdist(x.flatten(1), train28.x.flatten(1)).argmin(dim=1)
    return [belief, reads28(x).double().mean().item(), (train.y[neighbour] == asked).double().mean().item()]


four_each = (
    torch.cat([test28.x[test28.y == k][:4] for k in range(10)])
    .view(10, 4, 1, 28, 28)
    .transpose(0, 1)
    .flatten(0, 1)
)
verdicts = {name: judged(x) for name, x in (climbed | {"real test images": four_each}).items()}

# %% tags=["D2", "nbval-ignore-output"]
beliefs, readable, neighbours = (
    dict(zip(verdicts, column, strict=True)) for column in zip(*verdicts.values(), strict=True)
)
assert min(beliefs[name] for name in climbed) > 0.9
assert readable["from grey"] < 0.1
assert readable["from black"] > 0.04
assert max(neighbours["from grey"], neighbours["from black"]) < 0.35
assert neighbours["from the mean"] > max(neighbours["from grey"], neighbours["from black"]) + 0.1
assert neighbours["real test images"] > neighbours["from the mean"] + 0.1
table(["images", "least p(asked digit | image)", "share readable", "nearest neighbour as asked"],
      [[name, *verdict] for name, verdict in verdicts.items()])  # fmt: skip

# %% [markdown]
# The classifier is more than 90 % sure of each climbed image. From grey and from black it has drawn nothing: for the second judge the asked digit is hardly more frequent there than by
# chance. The classifier was never asked whether $x$ looks like a digit. It was asked *which* digit, and it answers. (Note also that some of the specks in the second row are called
# readable. "Readable" is judged by the very network that was climbed, and a network cannot judge images that were made to please it. Keep this in mind for notebook 02.)
#
# The third row is more interesting: now you can see some digits, and the second judge finds the asked digit in about half of the forty. Where do they come from?
# What makes the 0 differ from the 7 is the classifier's. That the result looks like a digit at all is due to what we put in ourselves: the mean of all digits is a piece of
# knowledge about $p(x)$. Better starts, and classifiers trained to resist small changes, give better pictures still (Santurkar et al., 2019), and a classifier can be
# trained to be a generative model at the same time (Grathwohl et al., 2020). But then knowledge of $p(x)$ has been added elsewhere. $p(y \mid x)$ alone does
# not contain it; that is what the two worlds show.
#
# ## 4 · Who predicts better? (D2)
#
# If we only want to predict $y$, the discriminative model has an advantage: it spends everything on the boundary. The
# generative model must describe all of $x$, and where its description is wrong, its boundary suffers. On the other hand,
# a description needs few examples, and if it is right, nothing beats it. Ng and Jordan (2001) compared a pair of models that draw *the same kind of boundary* and differ only in what they learn. They found that the generative one needs fewer examples to get as good as it will ever be, and that the discriminative one ends at least as well.
#
# - **Naive Bayes** (나이브 베이즈), generative: each pixel is black or white and, given the digit, independent of the others,
#   $p(x \mid y) = \prod_j p(x_j \mid y)$, where $x_j$ is pixel number $j$. To train it is to count how often each pixel is white in
#   each class. (The counts of white and of black both begin at 1, so that no probability is 0.)
# - **Logistic regression**, discriminative, for ten classes: $p(y \mid x) \propto e^{w_y \cdot x + b_y}$. By Bayes' rule naive Bayes has the same form: $x_j$ is 0 or 1, so $\log p(x_j \mid y)$ is a straight-line function
#   of $x_j$, and so is the sum over all pixels. Only its $w_y$ and $b_y$ come from the counts.
#
# Counts that begin at 1 are a mild belief ("every pixel is sometimes white"), so it is fair to give logistic regression
# one as well. We run it twice: plain, and with a *penalty* $\tfrac12 \lVert w \rVert^2$, the belief that weights are small.
#
# And we run all three in two worlds. The first is real: digits of 7 × 7 black or white pixels. The second is made so that
# naive Bayes is *right*: each pixel comes from the real frequencies of its class, but is drawn by itself, independently of the others.

# %%
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.naive_bayes import BernoulliNB

warnings.simplefilter("ignore", ConvergenceWarning)  # close enough to the optimum for this comparison
ones, test_ones = ((resize(images.x, 7) > -0.5).flatten(1).float() for images in (train28, test28))
kinds = {
    "naive Bayes": lambda: BernoulliNB(alpha=1.0),
    "logistic regression": lambda: LogisticRegression(C=1e4, max_iter=100),
    "logistic regression, with a penalty": lambda: LogisticRegression(C=1.0),
}

# %%
frequency = torch.stack([ones[train.y == k].mean(dim=0) for k in range(10)])
of_class = train.y.view(400, 10).argsort(dim=1)  # the images come in the order 0, 1, …, 9, 0, 1, …
ten = torch.arange(10)


def real_world(n: int) -> tuple[torch.Tensor, torch.Tensor]:  # n images of each digit
    rows = torch.randperm(400, generator=draw)[:n]
    chosen = (10 * rows[:, None] + of_class[rows]).flatten()
    return ones[chosen], train.y[chosen]


def independent_world(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.bernoulli(frequency[ten.repeat(n)], generator=draw), ten.repeat(n)


# %%
ns, draws = [1, 4, 16, 32, 64, 128, 300], 5
worlds = {
    "real pixels": (real_world, test_ones, test.y),
    "independent pixels": (independent_world, *independent_world(200)),
}
error = {world: {name: torch.zeros(len(ns), draws) for name in kinds} for world in worlds}
for world, (draw_world, x_test, y_test) in worlds.items():
    for i, n in enumerate(counted(ns, f"{world}, numbers of images")):
        for j in range(draws):
            x_few, y_few = draw_world(n)
            for name, make in kinds.items():
                error[world][name][i, j] = 1 - make().fit(x_few, y_few).score(x_test, y_test)

# %% alt="Two charts of the error against the number of labelled images of each digit, for naive Bayes and for logistic regression with and without a penalty. On real pixels naive Bayes is overtaken when labels are many; on independent pixels it stays in front." slide="Naive Bayes leads where it is right; on real digits logistic regression overtakes it"
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained")
for ax, (world, errors) in zip(axes, error.items(), strict=True):
    for (name, values), style in zip(errors.items(), ("-o", "--s", ":^"), strict=True):
        ax.errorbar(ns, values.mean(dim=1), values.std(dim=1), fmt=style, ms=4, capsize=3, label=name)
    ax.set(xscale="log", xticks=ns, xticklabels=ns, xlabel="labelled images of each digit", title=world)
    ax.minorticks_off()
axes[0].set_ylabel("error on test images")
axes[0].legend(frameon=False)
plt.show()

# %% tags=["D2"]
real, independent = (
    torch.stack([each.mean(dim=1) for each in error[world].values()]) for world in worlds
)  # (3 kinds, 7 numbers of images)
bayes, plain, penalised = range(3)
assert (independent[bayes, 2:6] + 0.01 < independent[1:, 2:6]).all()  # 16 to 128 images of each digit
assert (independent[1:, 6] - independent[bayes, 6]).max() < 0.03  # 300
assert real[:, 0].max() - real[:, 0].min() < 0.06  # 1
assert real[plain, 3] > real[bayes, 3] + 0.03  # 32
assert real[plain, 4] > real[bayes, 4]  # 64
assert real[plain, 5] < real[bayes, 5]  # 128
assert real[plain, 6] < real[bayes, 6] - 0.015  # 300
assert (real[penalised] < real[bayes] + 0.015).all()
print(
    "Where its assumption holds, the generative model learns fastest. On real digits it falls behind in the end."
)

# %% [markdown]
# Right, where pixels really are independent: from 16 images of each digit on, naive Bayes errs less than both others, until with
# 300 they have almost caught up. A correct description of the data is worth many labels.
#
# Left, on real digits. With one image of each digit nobody knows much and the three can hardly be told apart (bars: standard deviation over five
# draws). Plain logistic regression then lags behind, most of all around 32 images of each digit. A likely reason: there it can just fit its 320 examples almost perfectly, in a way that does not generalise. Between 64 and 128 it overtakes naive Bayes, which hardly improves any more: the pixels of a digit are *not* independent, and no number of examples mends that.
#
# The dotted curve warns against too simple a moral. With a penalty logistic regression is never clearly worse than naive Bayes on real digits, at any $n$. What helped here, with few labels, was a good prior belief. A generative model has one built in. Where it is true, it helps (right); where it is false, it holds the model back once labels are many (left). A discriminative model can be given one, too.
#
# ## 5 · What discriminative models are used for (D3)
#
# ### Classification (D3)
#
# Where there are labels and the task is to predict them, use a discriminative model. Three of them, from the same 4,000
# labels or from more: logistic regression on all 784 pixels; a support vector machine (SVM), whose curved boundary
# comes from comparing an image with training images; and the shipped classifier of section 3, a convolutional network, which learned its own
# features from 59,000 labels.

# %%
from sklearn.svm import SVC

flat28, flat_test28 = train28.x.flatten(1), test28.x.flatten(1)
right = {"always the same digit": 0.1}
right["logistic regression, 4,000 labels"] = LogisticRegression(C=0.01, max_iter=100).fit(flat28, train28.y).score(
    flat_test28, test28.y
)  # fmt: skip

# %% tags=["D3", "nbval-ignore-output"] slide="The curved boundary beats the flat one; the network, with more labels, beats both"
right["support vector machine, 4,000 labels"] = SVC(C=10).fit(flat28, train28.y).score(flat_test28, test28.y)
read = over_batches(classifier, test28.x).argmax(dim=1)
right["convolutional network, 59,000 labels"] = (read == test28.y).double().mean().item()
_, linear, curved, network = right.values()
assert linear > 0.85
assert curved > linear + 0.03
assert network > curved + 0.02
table(["classifier", "share of test digits classified correctly"], list(right.items()))

# %% [markdown] slide="With no second class, a boundary is drawn around the normal data" slide_formulas=[1] slide_points="Each training image raises a small hill; the level line $f(x) = 0$ is the boundary | It leaves about a share $\\nu$ of the training data outside"
# With equal labels the curved boundary beats the flat one. How much of the network's lead is due to its features and how much to its
# labels, this table cannot say: it has more of both.
#
# ### Anomaly detection (D3)
#
# In a factory there are thousands of pictures of good parts and hardly any of broken ones. There is no second class to draw
# a boundary to. So draw it *around* the normal data, as tight as it will go. Whatever lies outside is an
# **anomaly** (이상). The **one-class SVM** (단일 클래스 SVM) does this with the function
#
# $$f(x) = \sum_i \alpha_i\, e^{-\gamma \lVert x - x_i \rVert^2} - \rho .$$
#
# Each training image $x_i$ raises a small hill of width $1/\sqrt{2\gamma}$. The weights $\alpha_i \geq 0$ and the level $\rho$ are chosen such that the
# level line $f(x) = 0$ leaves about a share $\nu$ of the training data outside. Only points on the edge or outside it get a weight at all. The method does not estimate a density, only this one boundary. That makes it a borderline case of a discriminative model: like a generative model it says where data are, not which class they have, but all it knows is one line, and that is too little to draw from.
#
# First in two dimensions, to see it: images of a 0, reduced to two numbers, the coordinates along the two directions in
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

# %% tags=["D3"] alt="Images of 0 as dots and of other digits as crosses, in a plane. A closed black line is drawn tight around most dots; most crosses lie outside." slide="Drawn from zeros alone, the line leaves most other digits outside" slide_points="About a tenth of the zeros lie outside, as asked | To two coordinates, the crosses inside look like a 0 | With all 196 pixels it does better than the distance to the mean, for each digit"
fig, ax = plt.subplots(figsize=(4.6, 3.5), layout="constrained")
ax.contourf(side, side, f, levels=[0, 1e9], colors=["#dde8f3"])
ax.contour(side, side, f, levels=[0], colors="black")
ax.scatter(
    *outside[:400].T, s=14, marker="x", lw=0.8, color=PALETTE[1], label="other digits, not used in training"
)
ax.scatter(*inside.T, s=5, color=PALETTE[0], label="zeros")
ax.legend(frameon=False, bbox_to_anchor=(0, 1.02), loc="lower left", fontsize=8)
ax.set(xlabel="first coordinate", ylabel="second coordinate", ylim=(-5, 5))
plt.show()
assert 0.05 < (around.decision_function(inside) < 0).mean() < 0.15
assert (around.decision_function(outside) < 0).mean() > 0.5

# %% [markdown]
# In this plane, the black line was drawn from the dots alone. About a tenth of them lie outside, and so do most of the crosses. Those
# crosses that lie inside look like a 0 to two coordinates. So use all 196 pixels.
#
# How good is it? Take $-f(x)$ as a score of anomaly. **AUROC** (the area under the receiver operating characteristic) is the chance that a random anomaly gets a higher score
# than a random normal image: 0.5 is guessing, 1 is perfect. It needs no choice of a threshold. Each digit in turn is
# the normal one; the nine others are the anomalies. For comparison, there are two simple scores: the distance to the mean image of
# the normal digit, and the distance to its nearest training image.

# %%
from course_utils.metrics import auroc


def scores_of(digit: int) -> dict[str, torch.Tensor]:
    known, x = train.x[train.y == digit].flatten(1), test.x.flatten(1)
    svm = OneClassSVM(nu=0.1, gamma=0.04).fit(known)
    return {
        "one-class SVM": -torch.from_numpy(svm.score_samples(x)),
        "distance to the nearest": torch.cdist(x, known).min(dim=1).values,
        "distance to the mean": (x - known.mean(dim=0)).norm(dim=1),
    }


scores = [scores_of(digit) for digit in range(10)]

# %% tags=["D3", "nbval-ignore-output"]
area = {
    name: torch.tensor(
        [
            auroc(normal=scores[k][name][test.y == k], anomalous=scores[k][name][test.y != k])
            for k in range(10)
        ]
    )
    for name in scores[0]
}
svm, by_nearest, by_mean = area.values()
assert svm.min() > 0.85
assert (svm > by_mean).all()
assert abs(svm.mean() - by_nearest.mean()) < 0.03
table(
    ["AUROC, if the normal digit is", *range(10), "mean"],
    [[name, *a.tolist(), a.mean().item()] for name, a in area.items()],
)

# %% alt="Four rows of ten digits, sorted by the score of anomaly: the most normal 3s, the most unusual 3s, other digits that look most like a 3, and others that look least like one." slide="What passes as a 3 has a 3's curves; the 3s that raise an alarm are unusual"
by_score = scores[3]["one-class SVM"].argsort()
threes, rest = by_score[test.y[by_score] == 3], by_score[test.y[by_score] != 3]
show_rows({"3s, most normal first": test.x[threes[:10]], "3s, most anomalous first": test.x[threes.flip(0)[:10]],
           "others, most normal first": test.x[rest[:10]], "others, most anomalous first": test.x[rest.flip(0)[:10]]})  # fmt: skip

# %% [markdown]
# The boundary does better than the distance to the mean for every digit. On average it is about as good as looking up the nearest image, and it has to store only the training images on or outside the edge, not all of them. The pictures show the case in which 3 is normal. The other digits that look most like a 3 to it (third row) have a 3's curves; the 3s that raise an alarm (second row) are unusual ones. All three scores compare pixels. With better features they would probably be better.
#
# ## 6 · The assumption behind it all: few essential factors (G2)
#
# An image of 14 × 14 pixels with 8 grey levels each can be chosen in $8^{196} \approx 10^{177}$ ways. If digits were anywhere
# among them, learning $p(x)$ from 4,000 examples would be hopeless. They are not. This is the working assumption of all
# image generation: images come from few essential factors, such as which digit, how slanted, how thick, so a code of few
# numbers is enough to make them.
#
# Here are three ways to look at it. **First**, choose every pixel at random, and count how often a digit comes out. The judge is
# "readable" again. It looks at 28 × 28 pixels, so small images are enlarged, with some contrast.


# %%
def enlarge(x: torch.Tensor) -> torch.Tensor:
    big = nn.functional.interpolate(x.clamp(-1, 1), size=28, mode="bicubic")
    return (1.6 * big + 0.3).clamp(-1, 1)


reads_enlarged = readability(enlarge(train.x), enlarge(test.x))


def share_readable(x: torch.Tensor) -> float:
    return reads_enlarged(enlarge(x)).double().mean().item()


# %%
draw = torch.Generator().manual_seed(4)
noise = 2 * torch.rand(4000, 1, 14, 14, generator=draw) - 1
shuffled = torch.stack(
    [column[torch.randperm(4000, generator=draw)] for column in train.x.flatten(1).T], dim=1
)
shuffled = shuffled.view_as(train.x)

# %% tags=["G2"] alt="Three rows: pixels drawn at random, which are grey grain; each pixel from another digit, which are shapeless heaps in the middle; and real digits." slide="Pixels drawn one by one, even with the right greys, hardly ever make a digit"
chances = {"digits": share_readable(test.x), "random pixels": share_readable(noise[:1000])}
chances["each pixel from another digit"] = share_readable(shuffled[:1000])
assert chances["digits"] > 0.8
assert chances["random pixels"] == 0
assert chances["each pixel from another digit"] < 0.02
show_rows(
    {"random pixels": noise[:12], "each pixel from another digit": shuffled[:12], "digits": train.x[:12]}
)

# %% [markdown]
# Of 1,000 images with random pixels, none is readable. In the second row each pixel was taken from a different training image, drawn at random, so that
# every pixel by itself has just the right distribution. What is missing is how pixels depend on
# each other. That is what a generative model has to learn.
#
# **Second**, how many numbers does an image need? *Principal component analysis* (PCA, 주성분 분석) finds the $d$ directions
# along which images vary most; keep the coordinates along these and throw away the rest. What share of the variance is kept?


# %% tags=["G2"] alt="Share of the variance that is kept against the numbers kept, of 196. For digits the curve rises steeply and is high at 16; with pixels from different digits it rises slowly, with random pixels it is nearly straight." slide="Sixteen of 196 numbers keep most of the digits' variance, and little of the noise's"
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
ax.axvline(16, color="black", lw=0.8, ls="-")
ax.annotate("16", (16, 0.02), xytext=(3, 0), textcoords="offset points")
ax.set(xlabel="numbers kept, of 196", ylabel="share of variance kept", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# With 16 numbers PCA keeps most of a digit and very little of noise. And PCA can only use flat directions.
# The course ships an autoencoder (notebook 03): two neural networks, one from an image to 16 numbers and one back, so that what is kept may lie on a curved sheet. What does it keep?

# %%
autoencoder = load_pretrained("autoencoder-mnist", "cpu")
noise28 = 2 * torch.rand(1000, 1, 28, 28, generator=draw) - 1


def kept_by_code(x: torch.Tensor) -> float:
    lost = ((over_batches(autoencoder, x) - x) ** 2).sum()
    return 1 - (lost / ((x - x.mean(dim=0)) ** 2).sum()).item()


# %% tags=["G2", "nbval-ignore-output"] alt="Ten digits and what comes back from 16 numbers: nearly the same digits. Below, ten images of noise and what comes back: faint rounded strokes, all alike."
through_16 = {"digits": kept_by_code(test28.x), "noise": kept_by_code(noise28)}
by_pca = kept(train28.x)[15].item()
assert through_16["digits"] > by_pca + 0.1
assert through_16["noise"] < 0.1
show_rows({"digits": test28.x[:10], "through 16 numbers": over_batches(autoencoder, test28.x[:10]),
           "noise": noise28[:10], "noise through 16 numbers": over_batches(autoencoder, noise28[:10])})  # fmt: skip
table(["28 × 28 pixels, through 16 numbers", "share of variance kept"], [["digits, PCA", by_pca], ["digits, curved code", through_16["digits"]],
                                                     ["noise, curved code", through_16["noise"]]])  # fmt: skip

# %% [markdown]
# The curved code keeps more of a digit than the flat one. (PCA keeps less than in the figure above, because these images have 28 × 28 pixels.) It has no use for noise: it answers with strokes, and a negative
# share says that the plain mean of all noise images would be the better answer.
#
# **Third**, without any code: if the data lie on a curved sheet of few dimensions, the distances between them reveal how many. Let $r_1$ and $r_2$ be
# the distances from a point to its nearest and second nearest neighbour. In $d$ dimensions the number of points within a radius grows as
# $r^d$, so the larger $d$, the closer $r_2 / r_1$ is to 1. That is the idea of Facco et al. (2017), who fit a line to the ratios. We
# take the maximum-likelihood estimate, which for $N$ points is one line (Levina and Bickel, 2004; Denti et al., 2022):
#
# $$\hat{d} = \frac{N}{\sum_i \log\,(r_2(i)\, /\, r_1(i))}.$$
#
# We try it on data whose dimension we know, 5 numbers bent into 196; then on digits and on noise.


# %%
def dimension(x: torch.Tensor) -> float:
    x = x.flatten(1).unique(dim=0).double()
    r = torch.cdist(x, x).topk(3, largest=False).values  # the first is the point itself
    return len(x) / (r[:, 2] / r[:, 1]).log().sum().item()


# %% tags=["G2", "nbval-ignore-output"] slide="By the distances between them, digits seem to have about ten dimensions, not 196" slide_points="$\\hat{d} = N / \\sum_i \\log\\,(r_2(i)\\, /\\, r_1(i))$, from the nearest and second nearest | An order of magnitude: where the dimension is high, the estimate is too low"
five = torch.randn(4000, 5, generator=draw) @ torch.randn(5, 196, generator=draw)
d_hat = {"5 numbers, bent": dimension(five.sin()), "digits": dimension(train.x),
         "each pixel from another digit": dimension(shuffled), "random pixels": dimension(noise)}  # fmt: skip
assert 4 < d_hat["5 numbers, bent"] < 7
assert 8 < d_hat["digits"] < 11
assert 20 < d_hat["each pixel from another digit"] < d_hat["random pixels"]
table(["data (196 pixels)", "estimated dimension"], list(d_hat.items()))

# %% [markdown]
# For digits the estimate is about 9, of 196 possible. Take it as an order of magnitude: with 4,000 points the estimate is too low where the true
# dimension is high. (Random pixels have 196, and it says far less.)
#
# ## Halfway
#
# This is a good place for a break. What you have so far:
#
# - A discriminative model learns $p(y \mid x)$, or only a boundary. It does not learn how the data are spread, so it cannot draw
#   them. For prediction it usually wins once labels are plenty.
# - A generative model learns $p(x)$. That is a bold plan in 196 dimensions, and it is believed to work because images come from few factors.
#
# The second half builds five of them.

# %% [markdown] slide="To make the data likely is to bring the model's density close to theirs" slide_formulas=[1] slide_points="The entropy $H(p)$ of the data does not depend on the model | $\\mathrm{KL}(p \\,\\|\\, p_\\theta) \\geq 0$, and it is 0 only if $p_\\theta = p$"
# ## 7 · One aim: make the data likely (G1)
#
# Let $p_\theta(x)$ be a model's density, with weights $\theta$. The usual aim is **maximum likelihood** (최대 가능도): choose the $\theta$ under which the
# data $x_1, \dots, x_N$ are most probable. Take the logarithm and the mean, and for many data
#
# $$\frac{1}{N} \sum_{i=1}^{N} \log p_\theta(x_i) \;\to\; \mathbb{E}_{x \sim p} \log p_\theta(x) = -H(p) - \mathrm{KL}(p \,\|\, p_\theta).$$
#
# $H(p)$, the entropy of the data, does not depend on the model. The last term,
# $\mathrm{KL}(p \,\|\, p_\theta) = \mathbb{E}_{x \sim p} \log \frac{p(x)}{p_\theta(x)} \geq 0$, is the **KL divergence** (KL 발산), 0 only if $p_\theta = p$. So to
# make the data likely is to bring the model's density close to that of the data.
#
# On the line, let $p$ be two bumps and the model one Gaussian around 0, with its spread as the only weight. We measure, in *nats* (the unit that goes with natural logarithms), the mean
# log-likelihood of 20,000 draws from $p$, and compute $H$ and KL from the densities.

# %%
p = 0.5 * (normal(-2, 0.7) + normal(2, 0.7))
coin = (torch.rand(20_000, generator=draw) < 0.5).float()
drawn = 2 * (2 * coin - 1) + 0.7 * torch.randn(20_000, generator=draw)
ds = 12 / 480  # the step of s
entropy = -(p * p.log()).sum().item() * ds
widths = torch.linspace(1.2, 4, 57)
likelihood = torch.stack([torch.distributions.Normal(0, w).log_prob(drawn).mean() for w in widths])
kl = torch.stack([(p * (p / normal(0, w)).log()).sum() * ds for w in widths])

# %% tags=["G1"] alt="Left, the mean log-likelihood and −H(p) − KL against the spread of the model: one curve on the other, with one maximum. Right, the data's density has two bumps, and the most likely single Gaussian spreads over both and over the gap between them." slide="The most likely single Gaussian covers both bumps, and the gap between them"
assert (likelihood + entropy + kl).abs().max() < 0.03
assert abs(widths[likelihood.argmax()] - widths[kl.argmin()]) < 0.11
fig, (left, right_) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.plot(widths, likelihood, **curve(0), label="mean log-likelihood of the draws")
left.plot(widths, -entropy - kl, **curve(1), label="−H(p) − KL, from the densities")
left.set(xlabel="spread of the model", ylabel="nats")
left.legend(frameon=False)
right_.plot(s, p, color="black", ls="-", label="p, the data")
right_.plot(s, normal(0, widths[likelihood.argmax()].item()), **curve(0), label="the most likely model")
right_.set(xlabel="x", ylabel="density", ylim=(0, 0.42))
right_.legend(frameon=False)
plt.show()

# %% [markdown] slide="The score does not see the constant that is out of reach" slide_formulas=[1, 2] slide_points="Any network can be an energy: $p_\\theta(x) = e^{-E_\\theta(x)} / Z_\\theta$. Only $Z_\\theta$ is out of reach | Steps along the score, each with a little noise, draw samples (Langevin)"
# The two curves on the left coincide, and have their maximum at the same spread. On the right, what maximum likelihood does with a model that is too simple: it covers *both* bumps, and makes the empty middle likely too. (We fixed the mean at 0. Maximum likelihood would put it there anyway, at the mean of the data.) Missing data costs more than
# inventing some. We will meet that again in blurred images.
#
# So why is there more than one family? Because a density must be at least 0 and *integrate to 1* over all images. A network that
# puts out any number for $x$ is easy to build; its integral over 196 dimensions is out of reach. Each family has its own way around this.
#
# ### The way of energy and score (G3)
#
# Write $p_\theta(x) = e^{-E_\theta(x)} / Z_\theta$ with any network $E_\theta$, called the **energy** (에너지): low where data are. The trouble
# is all in the constant $Z_\theta$, the integral. But the gradient of $\log p$ does not see it:
#
# $$\nabla_x \log p_\theta(x) = -\nabla_x E_\theta(x).$$
#
# This field of arrows is the **score** (스코어). It points uphill, towards data, and in principle it is all that one needs to draw samples:
# take small steps along the score, each with a little noise (*Langevin dynamics*, 랑주뱅 동역학),
#
# $$x \leftarrow x + \tfrac{\eta}{2} \nabla_x \log p(x) + \sqrt{\eta}\; \xi, \qquad \xi \sim N(0, I),$$
#
# with a small step size $\eta$. We try it on the data of the coming sections: eight Gaussians on a ring, whose exact $\log p(x)$ the package knows (`toy_log_prob`).

# %%
from course_utils.data import toy_log_prob, toy_points


def score(x: torch.Tensor) -> torch.Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(toy_log_prob("gaussians", x).sum(), x)[0]


def langevin(x: torch.Tensor, steps: int, eta: float = 0.01) -> torch.Tensor:
    for _ in range(steps):
        x = x + eta / 2 * score(x) + math.sqrt(eta) * torch.randn(x.shape, generator=draw)
    return x


start = 5 * torch.rand(2000, 2, generator=draw) - 2.5
walked = langevin(start, 500)

# %%
angle = torch.arange(8) * math.pi / 4
centres = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
held_out, _ = toy_points("gaussians", 5000, generator=draw)


def near(x: torch.Tensor) -> tuple[float, int, float]:
    """The share of points near a centre, how many centres have any, the root mean square distance of those to it."""
    distance, which = torch.cdist(x, centres).min(dim=1)
    hit = distance < 3 * 0.15  # within three standard deviations
    return hit.double().mean().item(), len(which[hit].unique()), distance[hit].square().mean().sqrt().item()


# %% tags=["G3"] alt="Left, arrows of the score lead to eight centres on a ring. Middle, points spread evenly over a square. Right, after 500 steps, they lie in eight clusters on the ring." slide="Steps along the score, with a little noise, lead nearly all points to the eight centres"
share_near, reached, radius = near(walked)
assert share_near > 0.9
assert reached == 8
assert abs(radius / near(held_out)[2] - 1) < 0.15
few = torch.cartesian_prod(torch.linspace(-2.6, 2.6, 16), torch.linspace(-2.6, 2.6, 16))
arrow = score(few) / (1 + score(few).norm(dim=1, keepdim=True) / 8)  # long ones are drawn shorter
fig, axes = plt.subplots(1, 3, figsize=(9, 3.1), sharex=True, sharey=True, layout="constrained")
axes[0].quiver(*few.T, *arrow.T, angles="xy", color="0.3", width=0.006)
axes[1].scatter(*start.T, s=1, color=PALETTE[0])
axes[2].scatter(*walked.T, s=1, color=PALETTE[0])
for ax, title in zip(axes, ("the score", "2,000 random points …", "… after 500 steps"), strict=True):
    ax.set(title=title, aspect="equal", xlim=(-3, 3), ylim=(-3, 3), xlabel="$x_1$")
axes[0].set_ylabel("$x_2$")
plt.show()

# %% [markdown] slide="Five families turn random numbers into data, each in its own way" slide_points="**VAE**: a decoder makes $x$ from a code, an encoder guesses the code | **GAN**: a generator tries to fool a discriminator | **Diffusion**: learn to remove noise, then remove it in many small steps | **Flow**: an invertible map between $z$ and $x$; its density is exact | **Autoregressive**: one piece after another; its density is exact"
# The arrows know nothing of $Z$, and they lead almost every point home. The noise keeps the points from piling up at the peaks: they end about as widely spread around each centre as the data. How many end in each cluster is another matter: few ever cross from one to another, so it is decided by where they started. The many noise levels of diffusion cure that (07). A network can learn the score from data alone, by removing noise: notebook 03 shows
# how, and diffusion (07) lives on it.
#
# ## 8 · Five families in the plane (G3)
#
# A generative model turns random numbers that are easy to draw into data. The families differ in what they draw from and in how they learn.
#
# | family | the idea | its density $p(x)$ | notebook |
# | --- | --- | --- | --- |
# | VAE (변분 오토인코더) | a decoder makes $x$ from a code $z$; an encoder guesses the code | a lower bound | 04 |
# | GAN (생성적 적대 신경망) | a generator tries to fool a discriminator | none | 05, 06 |
# | diffusion (확산 모델) | learn to remove noise, then remove it in many small steps | a lower bound (not from the simple loss used here) | 07, 08 |
# | flow (정규화 흐름 모델) | an invertible map between $z$ and $x$ | exact | here |
# | autoregressive (자기회귀 모델) | one piece after another, each given those before | exact | here |
#
# (A younger relative of diffusion and flow is *flow matching*, 흐름 매칭: it learns the velocity with which noise has to move to become
# data.)
#
# We build all five in miniature and train them on the same data, first on the ring. The networks are plain: linear layers with ReLU between.

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
# point, and how far the codes are from $N(0, I)$, measured by the KL divergence. Their sum is an upper bound of
# $-\log p(x)$. Notebook 04 derives it. (`sample` gives the decoded point itself, the mean of $p(x \mid z)$. A true draw would add noise of size $\sigma$.)


# %%
class VAE(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module, codes: int, sigma: float):
        super().__init__()
        self.encoder, self.decoder, self.codes, self.sigma = encoder, decoder, codes, sigma

    def loss(self, x, y=None, *, generator=None):
        x = x.flatten(1)
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z = mu + (logvar / 2).exp() * torch.randn(mu.shape, generator=generator)
        log_norm = math.log(self.sigma * math.sqrt(2 * math.pi))
        error = (x - self.decoder(z)) ** 2 / (2 * self.sigma**2) + log_norm
        kl = 0.5 * (mu**2 + logvar.exp() - logvar - 1)
        return (error.sum(dim=1) + kl.sum(dim=1)).mean()

    @torch.no_grad()
    def sample(self, n, *, generator):
        return self.decoder(torch.randn(n, self.codes, generator=generator))


# %% [markdown]
# ### GAN (G3)
#
# The **generator** makes $x$ from noise. The **discriminator** is a discriminative model: it learns to tell real from
# made, and its gradient teaches the generator. (The discriminator gives a number $a$, a *logit*, and $p(\text{real}) = 1 / (1 + e^{-a})$ as in logistic regression. With $\operatorname{softplus}(a) = \log(1 + e^a)$, $-\log p(\text{real})$ is $\operatorname{softplus}(-a)$ and $-\log p(\text{made})$ is $\operatorname{softplus}(a)$.) No density
# appears anywhere. Notebook 05 has the details.


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


# %% slide="Diffusion samples: guess the image, then mix again with a little less noise" slide_code="def sample"
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


# %% [markdown] slide="A flow can be undone, so its density follows from a change of variables" slide_formulas=[1] slide_points="Coupling: $x_a$ stays, $x_b \\leftarrow x_b\\, e^{s(x_a)} + t(x_a)$ | The way back needs no inverse of the networks $s$ and $t$"
# ### Flow (G3)
#
# A flow is an **invertible** map $z = f(x)$. Densities follow the *change of variables* (변수 변환): where $f$ stretches a small volume, the density of $x$ is larger by the same factor, the absolute determinant of the matrix of derivatives (Jacobian, 야코비 행렬),
#
# $$\log p(x) = \log N(f(x); 0, I) + \log \left| \det \frac{\partial f}{\partial x} \right|.$$
#
# How do you invert a neural network? You need not. An **affine coupling layer** (Dinh et al., 2017) leaves one part
# of the coordinates, $x_a$, as it is, and moves the others by numbers computed from it: $x_b \leftarrow x_b\, e^{s(x_a)} + t(x_a)$. The way back is
# $x_b \leftarrow (x_b - t(x_a))\, e^{-s(x_a)}$: the networks $s$ and $t$ never have to be inverted. The log-determinant is the sum of the components of $s(x_a)$. The next layer moves the part that was left alone, and later layers divide the coordinates in other ways. `CouplingFlow` of the package stacks several of them; the cell checks its density against the full Jacobian.

# %% tags=["G3-flow"]
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

# %% [markdown] slide="Autoregression multiplies classifiers: each piece is predicted from those before" slide_formulas=[1] slide_points="Masked convolutions compute all factors at once | Drawing goes one pixel at a time"
# ### Autoregressive (G3)
#
# Any distribution can be written as a product, one coordinate (or pixel) after another:
#
# $$p(x) = p(x_1)\; p(x_2 \mid x_1)\; p(x_3 \mid x_1, x_2) \cdots$$
#
# Each factor is a classification: which level does the next pixel have, given those before? So this generative model is made of
# discriminative ones. `PixelCNN` computes all factors at once with **masked convolutions**, which see only the pixels in the rows above and those to the left in the same row. Drawing, however, goes one pixel at a time. A point of the plane is treated as an image of 1 × 2 pixels with 50 levels each.
#
# ### Train all five (G3)
#
# The loop is the package's `fit`: it goes through the batches and makes one step for each *objective*, that is, a
# loss and the weights to change (a GAN has two, taken in turn). We stop at a few moments on the way and look at samples,
# always made from the same random numbers. The budget is a few seconds for each; learning rates and numbers of steps were tried out for each family by itself.

# %%
from course_utils.progress import Watch
from course_utils.training import Objective, constant, fit, warmup_cosine

moments = (0, 0.03, 0.1, 0.3, 0.6, 1)


def aim(module: nn.Module, loss, lr: float, schedule=warmup_cosine, betas=(0.9, 0.999), name="loss (nats)"):
    return Objective(
        module, loss, torch.optim.Adam(module.parameters(), lr, betas, fused=True), name, schedule
    )


def train_and_watch(objectives, data, sample, step_done) -> torch.Tensor:
    stops, seen = {round(share * len(data)) for share in moments}, [sample()]
    for record in fit(objectives, data, device="cpu", progress=False):
        step_done(record.losses)
        if record.step in stops:
            seen.append(sample())
    return torch.stack(seen)  # (moments, n, …)


# %%
with seeded(0):
    vae = VAE(mlp(2, 64, 64, 4), mlp(2, 64, 64, 2), codes=2, sigma=0.2)
    gan = GAN(mlp(2, 128, 128, 2), mlp(2, 128, 128, 1), codes=2)
    diffusion = Diffusion(mlp(2 + 8, 128, 128, 128, 2), d=2)
    flow = CouplingFlow(2, layers=8, hidden=64)
    autoregressive = PixelCNN(1, 2, levels=50, channels=32, blocks=1)


def to_grid(x: torch.Tensor) -> torch.Tensor:
    return (x / 2.5).clamp(-1, 1).view(-1, 1, 1, 2)


def grid_loss(x: torch.Tensor, generator=None) -> torch.Tensor:
    return autoregressive.loss(to_grid(x))


# %%
steady = {"lr": 2e-3, "betas": (0.5, 0.9), "schedule": constant}
families = {  # model, objectives, steps
    "VAE": (vae, [aim(vae, vae.loss, 8e-3, name="VAE")], 700),
    "GAN": (gan, [aim(gan.judge, gan.discriminator_loss, name="discriminator", **steady),
                  aim(gan.make, gan.generator_loss, name="generator", **steady)], 700),
    "diffusion": (diffusion, [aim(diffusion, diffusion.loss, 5e-3, name="diffusion")], 700),
    "flow": (flow, [aim(flow, flow.loss, 5e-3, name="flow")], 500),
    "autoregressive": (autoregressive, [aim(autoregressive, grid_loss, 1e-2, name="autoregressive")], 250),
}  # fmt: skip

# %% [markdown]
# The figure below is drawn anew while the five are trained, one after the other. Above, the losses: the pale line is
# that of each batch, the strong one its running mean, and the steps of all five lie side by side. Below, a thousand
# points by the model that is being trained. Watch how each model's points move to the ring.

# %% alt="Above, the losses of the five families, trained one after the other; most fall at once and then stay level. Below, the points of the last model, on a grid, near the eight clusters of the ring."
draw = torch.Generator().manual_seed(5)
ring = [(toy_points("gaussians", 128, generator=draw)[0],) for _ in range(700)]
films, model = {}, vae


def points() -> torch.Tensor:
    x = model.sample(1000, generator=torch.Generator().manual_seed(6)).view(-1, 2)
    return 2.5 * x if model is autoregressive else x


def show_points(ax: plt.Axes) -> None:
    ax.scatter(*points().T, s=4, lw=0, alpha=0.25)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


with Watch(sum(steps for *_, steps in families.values()), show_points) as step_done:
    for name, (model, objectives, steps) in families.items():  # noqa: B007 points() samples from the model
        films[name] = train_and_watch(objectives, ring[:steps], points, step_done)

# %% tags=["G3", "nbval-ignore-output"]
turn = torch.arange(5000) * 2 * math.pi / 5000
even_ring = 2 * torch.stack([turn.cos(), turn.sin()], dim=1)
found = {"real points": near(held_out), "random points": near(start), "an even ring": near(even_ring)}
found |= {name: near(film[-1]) for name, film in films.items()}
for name in films:
    assert found[name][0] > 2 * found["random points"][0], name
    assert found[name][1] >= (6 if name == "GAN" else 8), name
for name in ("diffusion", "flow", "autoregressive"):
    assert found[name][0] > found["VAE"][0] + 0.1, name
table(["points of", "share near a centre", "centres reached", "root mean square distance to the centre"],
      [[name, *row] for name, row in found.items()])  # fmt: skip

# %% alt="Real points in eight clusters on a ring, and samples of a VAE, a GAN, diffusion, a flow and an autoregressive model. All find the ring; the VAE leaves points inside, the GAN and the flow leave threads between the clusters." slide="All five find the ring, and each is wrong in its own way"
fig, axes = plt.subplots(1, 6, figsize=(12, 2.5), sharex=True, sharey=True, layout="constrained")
ends = {"real": held_out[:1000]} | {name: film[-1] for name, film in films.items()}
for ax, (name, x) in zip(axes, ends.items(), strict=True):
    ax.scatter(*x.T, s=4, lw=0, alpha=0.25, color="black" if name == "real" else PALETTE[0])
    for centre in centres.tolist():
        ax.add_patch(plt.Circle(centre, 3 * 0.15, fill=False, color="0.6", lw=0.6))
    ax.set(title=name, xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="$x_1$")
axes[0].set_ylabel("$x_2$")
plt.show()

# %% [markdown]
# The grey circles show what counts as near a centre. All five find the ring, and each has its own way of being wrong. The VAE leaves many points between the clusters: its decoder is a
# continuous map of one blob of codes, and the Gaussian around each decoded point forgives bridges. The GAN likes to draw a line from cluster to cluster.
# The flow has thin threads, since a smooth invertible map cannot tear the one Gaussian of $z$ into eight. The autoregressive model works on levels, so its points
# lie on a fine grid. Diffusion draws a thin ring, but not an even one: it has far more of its points near the centres than a ring of evenly spread points (a row of the table) would have. Bridges remain, and near a centre its points lie too close to it: in the last column of the table its number is smaller than that of the real points.

# %% tags=["G3-narrow"]
assert found["diffusion"][0] > 0.8 > found["an even ring"][0] + 0.2
assert found["diffusion"][2] < 0.97 * found["real points"][2]

# %% [markdown]
# ### Exact likelihood (G3)
#
# Flow and autoregression give a number for $p(x)$. Is it a probability? The density of the flow has to integrate to 1 over the
# plane; the probabilities of the autoregressive model's 50 × 50 points have to sum to 1.

# %% tags=["G3-exact"]
cells = (torch.arange(400) + 0.5) * (8 / 400) - 4
levels = torch.linspace(-1, 1, 50)
with torch.inference_mode():
    integral = flow.log_prob(torch.cartesian_prod(cells, cells)).exp().sum().item() * (8 / 400) ** 2
    total = autoregressive.log_prob(torch.cartesian_prod(levels, levels).view(-1, 1, 1, 2)).exp().sum().item()
assert abs(integral - 1) < 0.01
assert abs(total - 1) < 1e-3
print("The flow's density integrates to 1; the autoregressive probabilities sum to 1.")

# %% [markdown]
# So the two can be compared with the truth on new data: the mean of $\log p(x)$ over 5,000 held-out points, the **log-likelihood** (로그 가능도), in nats. No model can do better than the true density, except by chance; the gap to it is the KL divergence $\mathrm{KL}(p \,\|\, p_\theta)$. For the autoregressive model we divide the probability of a pair of levels by the area of its cell. For the VAE we have only a lower bound. A single Gaussian, fitted to the data, is the baseline.

# %% tags=["G3-likelihood", "nbval-ignore-output"] slide="Flow and autoregression give their density: both beat one Gaussian on new points"
one = MultivariateNormal(torch.zeros(2), torch.cat([x for (x,) in ring]).T.cov())
with torch.inference_mode():
    log_likelihood = {
        "the true density": toy_log_prob("gaussians", held_out).mean().item(),
        "flow": flow.log_prob(held_out).mean().item(),
        "autoregressive": autoregressive.log_prob(to_grid(held_out)).mean().item() - 2 * math.log(5 / 49),
        "VAE (at least)": -vae.loss(held_out, generator=draw).item(),
        "one Gaussian": one.log_prob(held_out).mean().item(),
    }
best, *learned, worst = log_likelihood.values()
for value in learned[:2]:  # flow, autoregressive
    assert worst + 1 < value < best + 0.02
assert worst < learned[2] < best
table(["model", "log-likelihood, nats per point"], list(log_likelihood.items()))

# %% [markdown]
# ## 9 · Five families on digits (G3)
#
# The same five, with the same losses, on real images. Only the networks grow: 196 numbers go in or come out instead of 2.
# The flow and the autoregressive model see 8 grey levels; for the flow each level is spread evenly over an interval
# (**dequantisation**, 역양자화), because a density needs numbers that vary continuously. The budget is short
# for all: about five to twenty seconds each on a plain laptop. Above each curve stands the time that is left; below it,
# what the model draws, anew every few seconds, always from the same random numbers.

# %%
with seeded(0):
    vae = VAE(mlp(196, 256, 256, 32), nn.Sequential(*mlp(16, 256, 256, 196), nn.Tanh()), codes=16, sigma=0.4)
    paint = nn.Sequential(
        nn.Linear(16, 16 * 49), nn.BatchNorm1d(16 * 49), nn.ReLU(), nn.Unflatten(1, (16, 7, 7)),
        nn.ConvTranspose2d(16, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 1, 3, padding=1), nn.Tanh(), nn.Flatten(),
    )  # fmt: skip
    judge = nn.Sequential(
        nn.Unflatten(1, (1, 14, 14)), nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(32 * 16, 1),
    )  # fmt: skip
    gan = GAN(paint, judge, codes=16).to(memory_format=torch.channels_last)
    diffusion = Diffusion(mlp(196 + 8, 384, 384, 384, 196), d=196)
    flow = CouplingFlow(196, layers=6, hidden=128, levels=8)
    autoregressive = PixelCNN(14, 14, levels=8, channels=32, blocks=2)

# %%
from course_utils.data import batches

calm = {"betas": (0.5, 0.99)}
plans = {  # model, objectives, batch size, steps
    "VAE": (vae, [aim(vae, vae.loss, 2e-3, name="VAE: bound on −log p (nats)")], 64, 700),
    "GAN": (gan, [aim(gan.judge, gan.discriminator_loss, 1e-3, name="GAN: discriminator", **calm),
                  aim(gan.make, gan.generator_loss, 2e-3, name="GAN: generator", **calm)], 32, 500),
    "diffusion": (diffusion, [aim(diffusion, diffusion.loss, 2.5e-3, name="diffusion: squared error")], 64, 800),
    "flow": (flow, [aim(flow, flow.loss, 2e-3, name="flow: −log p (nats)")], 64, 500),
    "autoregressive": (autoregressive, [aim(autoregressive, autoregressive.loss, 8e-3, name="autoregressive: −log p (nats)")], 32, 250),
}  # fmt: skip


def learn(name: str) -> torch.Tensor:
    model, objectives, batch_size, steps = plans[name]
    mixed = batches(train, batch_size, steps, generator=torch.Generator().manual_seed(7))

    def sample():
        return model.sample(10, generator=torch.Generator().manual_seed(8)).view(-1, 1, 14, 14).clamp(-1, 1)

    with Watch(steps, lambda ax: show_images(sample(), ax=ax)) as step_done:
        return train_and_watch(objectives, mixed, sample, step_done)


# %% alt="The VAE's training curve: the loss falls steeply at first, then slowly. Below, ten of its samples: soft digits."
digit_films = {"VAE": learn("VAE")}

# %% alt="The GAN's training curves: after a short swing the discriminator's loss stays near 1.4 and the generator's near 0.7. Below, ten of its samples: blocky strokes."
digit_films["GAN"] = learn("GAN")

# %% alt="The diffusion model's training curve: it falls steeply, then levels off and stays noisy. Below, ten of its samples: most are digits."
digit_films["diffusion"] = learn("diffusion")

# %% alt="The flow's training curve: it falls steeply below zero, then slowly. Below, ten of its samples: shapes of grainy strokes."
digit_films["flow"] = learn("flow")

# %% alt="The autoregressive model's training curve: it falls steeply, then slowly. Below, ten of its samples: clean strokes, few of them digits."
digit_films["autoregressive"] = learn("autoregressive")

# %% [markdown]
# Read the curves with care: each loss has a scale of its own. The VAE's, the flow's and the autoregressive model's are nats
# per image and ought to fall. The flow's may be negative: its numbers vary continuously, and a density, unlike a probability, can be above 1. The GAN's two are in a contest. When the discriminator can only guess, its loss is
# $2 \log 2 \approx 1.39$ and the generator's $\log 2 \approx 0.69$. Both hover about there and tell you little about the images. So look at them.

# %% alt="Rows of sixteen digits: real ones, and samples of the five families. VAE and diffusion are soft, the GAN's are blocky, the flow's grainy, the autoregressive model's sharp, but often no digit." slide="After a short training, each family's digits have a look of their own"
draw = torch.Generator().manual_seed(9)
new = {
    name: plans[name][0].sample(200, generator=draw).view(-1, 1, 14, 14).clamp(-1, 1)
    for name in counted(plans, "families sampled")
}
show_rows({"real": test.x[:16]} | {name: x[:16] for name, x in new.items()}, scale=0.5)

# %% [markdown]
# How many can be read? Two rows are a scale: each pixel drawn by itself, and the shipped GAN of section 1, which had
# more time and a better network (its 28 × 28 pixels reduced to 14 × 14, then judged like all others).

# %% tags=["G3-digits", "nbval-ignore-output"] slide="The shipped GAN is read more often than the small one: no verdict on the families"
readable = {"real test images": chances["digits"]} | {name: share_readable(x) for name, x in new.items()}
readable["each pixel from another digit"] = chances["each pixel from another digit"]
shipped = resize(load_pretrained("gan-mnist", "cpu").sample(200, generator=draw), 14)
readable["the shipped GAN"] = share_readable(shipped)
for name in new:
    assert readable[name] > max(0.03, 5 * readable["each pixel from another digit"]), name
for name in ("GAN", "flow", "autoregressive"):
    assert readable["diffusion"] > readable[name] + 0.1, name
assert readable["the shipped GAN"] > readable["GAN"] + 0.1
table(["images", "share readable"], list(readable.items()))

# %% [markdown]
# In less than half a minute of training, each family draws at least five times as many readable images as there are among images whose pixels are drawn one by one. That is a low bar: most of the GAN's, the flow's and the autoregressive model's images are not digits. Their characters show. The VAE's images are smooth
# and soft, and remember that they are means: a true draw would be full of noise. The GAN's are crisp. The flow leaves specks. The autoregressive model
# draws clean strokes, which seldom join into a digit. Diffusion does best by this judge, which does not mind that its images are soft, too.
#
# That order holds for *these miniatures and this short training*; it is no verdict on the families. The shipped GAN shows what GANs can do with wider convolutions,
# a penalty that keeps the discriminator smooth, and a longer training (notebook 05). A flow gets better with convolutions inside its couplings and many more
# layers at several resolutions (Kingma and Dhariwal, 2018), and the autoregressive model with a deeper network that sees farther.
#
# Models with a likelihood can be compared in another way, in *bits per pixel*: how many bits per pixel does it take to store a test image with the model's help? It is the negative log-likelihood to base 2, divided by the number of pixels. For the flow this is an upper bound, because of
# dequantisation. 8 levels need 3 bits without a model. A model of independent pixels, which only counts how often each has each level, is the baseline.

# %% tags=["G3-bits", "nbval-ignore-output"] slide="Autoregression needs fewer bits than the flow's bound, but is not read much more often"
from course_utils.likelihood import dequantise, quantise

k_train, k_test = (quantise(images.x, 8).flatten(1) for images in (train, test))
counts = nn.functional.one_hot(k_train, 8).sum(dim=0) + 1.0  # (196, 8)
alone = (counts / counts.sum(dim=1, keepdim=True)).log()
per_image = {"independent pixels": alone[torch.arange(196), k_test].sum(dim=1).mean().item()}
with torch.inference_mode():
    v = dequantise(test.x.flatten(1), 8, generator=draw)
    per_image["flow (at most)"] = flow.log_prob(v).mean().item() + 196 * math.log(2 / 8)
    per_image["autoregressive"] = autoregressive.log_prob(test.x).mean().item()
bits = {name: -value / (196 * math.log(2)) for name, value in per_image.items()}
assert bits["autoregressive"] < bits["flow (at most)"] - 0.1
assert bits["flow (at most)"] < bits["independent pixels"] - 0.05
assert abs(readable["autoregressive"] - readable["flow"]) < 0.1
table(["model", "bits per pixel"], list(bits.items()))

# %% [markdown]
# The autoregressive model needs far fewer bits than the flow's bound, which is as many as the flow needs at most. And yet that does not show in how many of its samples can be read: in the table "share readable" above the two lie less than 0.1 apart, and with 200 images of each a part of that may be chance. A good likelihood and good-looking
# samples are two different things (Theis et al., 2016). How to measure the second is the subject of notebook 02.
#
# ### Try it: five families as training goes on
#
# Press play, or drag. The upper row shows 1,000 points of each model in the plane (the darker, the more points), the lower row ten
# digits of each. Which family finds the ring first, and which the clusters? Which draws strokes before it draws digits?

# %%
from course_utils.viz import tile


def as_picture(points: torch.Tensor) -> torch.Tensor:  # points of the plane, counted in 60 × 60 cells
    # as wide as a level of the autoregressive model
    cells = (points.clamp(-3.05, 3.05) * 49 / 5 + 30).long()
    counts = torch.bincount((59 - cells[:, 1]) * 60 + cells[:, 0], minlength=60 * 60).view(1, 60, 60)
    return (1 - 0.7 * counts).clamp_min(-1).repeat_interleave(2, 1).repeat_interleave(2, 2)


def as_sheet(x: torch.Tensor) -> torch.Tensor:  # ten digits in two rows, enlarged
    sheet = torch.from_numpy(tile(x, columns=5)[..., :1].copy()).movedim(2, 0) / 127.5 - 1
    return sheet.repeat_interleave(2, 1).repeat_interleave(2, 2)


by = ("share of training done",)
panels = [Panel(name, torch.stack([as_picture(x) for x in film]), by, group="in the plane")
          for name, film in films.items()]  # fmt: skip
panels += [Panel(name, torch.stack([as_sheet(x) for x in film]), by, group="digits")
           for name, film in digit_films.items()]  # fmt: skip

# %% slide="Which family finds the ring first?" slide_part="in the plane"
slider = Slider(by[0], [f"{share:.0%}" for share in moments], play=True, interval=0.8)
Explorer(
    [slider],
    panels,
    title="Five families",
    hint="Try: press play. Which family finds the ring first, and which the clusters?",
    index=[len(moments) - 1],
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# In the plane, all but the autoregressive model begin with a blob or a single point. Diffusion finds the ring early and gathers its points in clusters later, not quite parting them; the VAE
# first fills the whole disc: coarse before fine. The GAN swings from place to place before it finds the ring. The flow pulls its blob out into arms, then into
# clusters joined by threads. The autoregressive model begins all over the square and goes straight to spots, at first in rows and columns that do not
# fit together, then the eight clusters. With digits, VAE and diffusion first draw one blurred average digit for all, then different ones; the flow's digits come out of
# noise, the autoregressive model's strokes out of single specks. GAN and autoregressive model draw crisp strokes long before these are digits.
#
# </details>
#
# ## 10 · New, not copied (G1)
#
# A model that stored the 4,000 training images and showed one of them each time would look perfect. It would have learned nothing. A generative model should learn the *distribution* and draw *new* samples from it. To test that, find for each generated image the nearest training image, by the distance between
# their pixels. Then do the same for real test images, which surely are not copies. Here are ten from the diffusion model, with the nearest training images.

# %% alt="Ten digits of the diffusion model above the nearest training image of each: alike, but none the same." slide="Ten generated digits beside their nearest training images: alike, but are they copies?"
x = new["diffusion"]
nearest = torch.cdist(x.flatten(1), train.x.flatten(1)).argmin(dim=1)
show_rows({"generated": x[:10], "nearest training image": train.x[nearest[:10]]})

# %% [markdown]
# Similar, as there are only so many ways to write a digit, but none is the same image: strokes end elsewhere and are softer, and in some of the ten pairs the two look like different digits. Now in numbers. It would be no use to ask for a small *distance*
# alone: 1s lie close together anyway, 2s far apart. But a copy has *one* original. It is much nearer to it than to any other training image. So take the ratio of the distances
# to the nearest and to the second nearest, and call an image **suspicious** if its ratio is smaller than that of 99 % of the real test images. One honest image in a hundred is then
# suspected by mistake.
#
# A test is worth something only if it catches copies. So here are five copyists. They take training images and add a touch of noise; or more noise;
# or take away a fifth of the contrast; or blur a little; or move the image by one pixel.

# %% alt="Training digits and five kinds of copies of them: a little noise, more noise, less contrast, blurred, and moved by a pixel. All show the same digits in the same hand."

from course_utils.nets import blur

originals = train.x[:300]
noises = 0.02, 0.1
copyists = {
    f"copies, noise {size}": originals + size * torch.randn(originals.shape, generator=draw)
    for size in noises
}
copyists |= {
    "copies, less contrast": 0.8 * (originals + 1) - 1,
    "copies, blurred": blur(originals, 0.6),
    "copies, moved by a pixel": originals.roll(1, dims=-1),
}
show_rows(
    {"training images": originals[:10]} | {name: x[:10].clamp(-1, 1) for name, x in copyists.items()},
    scale=0.5,
)


def two_nearest(x: torch.Tensor) -> torch.Tensor:
    """The distances to the nearest and the second nearest training image: (n, 2)."""
    return torch.cdist(x.flatten(1), train.x.flatten(1)).topk(2, largest=False).values


# %% [markdown]
# Now a second test. It looks at each image in nine positions, moved by up to a pixel each way, and removes each image's mean and contrast before it
# measures the distances.


# %%
def standard(x: torch.Tensor) -> torch.Tensor:
    flat = x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True)
    return flat / flat.norm(dim=1, keepdim=True)


def two_nearest_moved(x: torch.Tensor) -> torch.Tensor:
    moved = [x.roll((i, j), dims=(-2, -1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    known = standard(train.x)
    distances = torch.stack([torch.cdist(standard(m), known) for m in moved]).min(dim=0).values
    return distances.topk(2, largest=False).values


# %%
groups = {"test images": test.x, **new, **copyists}
suspicious = {name: [] for name in groups}
for measure in (two_nearest, two_nearest_moved):
    ratio = {name: (d := measure(x))[:, 0] / d[:, 1] for name, x in groups.items()}
    limit = ratio["test images"].quantile(0.01)
    for name, r in ratio.items():
        suspicious[name].append((r < limit).double().mean().item())
distance = {name: two_nearest(x)[:, 0] for name, x in groups.items()}

# %% tags=["G1", "nbval-ignore-output"] slide="Each test lets some copies pass; of the models' images both suspect few"
assert max(share for name in new for share in suspicious[name]) < 0.1
slight, noisier, paler, blurred, moved = (suspicious[name] for name in copyists)
assert min(slight) > 0.95
assert moved[0] < 0.1
assert min(paler[1], moved[1]) > 0.95
assert min(noisier[1], blurred[1]) > 0.4
assert max(noisier[1], blurred[1]) < 0.95
rows = [[name, distance[name].median().item(), *suspicious[name]] for name in groups]
table(["images", "median distance to the nearest", "suspicious", "suspicious, moved and scaled"], rows)

# %% [markdown]
# Look at the copyists first. The first test catches the copyist with a touch of noise and lets the one who moves images by a pixel pass without an alarm. The second test
# catches both, and the one with less contrast. Of the copies with more noise and of the blurred ones it catches most, but not all, and a copyist who turns or
# bends the images would need a third test. So the honest conclusion is: *these tests* find no sign that the models copy. "It does not copy" is more than any test can say, a
# difficulty that we will meet again in notebook 02.

# %% alt="Share of images that lie nearer to a training image than a distance. VAE and diffusion lie close to the curve of real test images; GAN, flow, autoregressive model and copies moved by a pixel lie farther off."
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for number, (name, distances) in enumerate(distance.items()):
    style = {"color": "black", "lw": 2, "ls": "-"} if name == "test images" else curve(number)
    if name not in copyists or name == "copies, moved by a pixel":
        ax.ecdf(distances.numpy(), label=name, **style)
ax.set(xlabel="distance to the nearest training image\n(pixels from −1 to 1)", ylabel="share of images below")
ax.legend(frameon=False, bbox_to_anchor=(1, 1), fontsize=8, handlelength=4)
plt.show()

# %% [markdown]
# Why not the distance alone? GAN, flow and autoregressive model draw *farther* from the training data than real images (black) are. That does not make them more creative; here it goes with
# images that cannot be read. But copies that were moved by a pixel lie just as far. And VAE and diffusion lie close to the black curve, not because they are as good as real images: theirs are
# smooth, and a smooth image is closer to everything.

# %% tags=["G1-distance"]
median = {name: d.median().item() for name, d in distance.items()}
assert min(median[name] for name in ("GAN", "flow", "autoregressive")) > 1.05 * median["test images"]
assert median["copies, moved by a pixel"] > 1.2 * median["test images"]
assert all(0.8 < median[name] / median["test images"] < 1.2 for name in ("VAE", "diffusion"))

# %% [markdown]
# A generative model should draw samples that are new; that is one half. The other is that they follow the distribution of the data. In the plane, the likelihood measured that for the models that have one. For digits, the next section has a simple test: does each digit come as often as it should?
#
# ## 11 · New images (G4)
#
# The first use of a generative model is to make new images. Here are sixty from the diffusion model, not selected.

# %% tags=["G4", "nbval-ignore-output"] alt="Sixty digits from the diffusion model, not selected: many can be read, some are soft or shapeless." slide="Sixty new digits, not selected; over 1,000, the digits come less evenly than they should"
fresh = diffusion.sample(1000, generator=draw).view(-1, 1, 14, 14).clamp(-1, 1)
good = reads_enlarged(enlarge(fresh))
read_as = over_batches(classifier, enlarge(fresh)).argmax(dim=1)
share = torch.bincount(read_as, minlength=10) / 1000  # of each digit, real ones have 0.1
off = ((share - 0.1).abs().sum() / 2).item()
assert good.double().mean() > 0.3
assert len(read_as[good].unique()) == 10
assert off < 0.3
show_images(fresh[:60], columns=20)
faithful = (
    torch.multinomial(torch.full((10,), 0.1), 1000, replacement=True, generator=draw).bincount(minlength=10)
    / 1000
)
by_chance = ((faithful - 0.1).abs().sum() / 2).item()
assert off > 2 * by_chance
table(
    ["1,000 images", "share that would have to change"], [["the model", off], ["faithful draws", by_chance]]
)

# %% [markdown] slide="What else generative models are used for, and where you will see it" slide_points="**Images of a given kind**: draw from $p(x \\mid y)$ (06, 07) | **Data augmentation**: train a classifier on generated images, too (06) | **Super-resolution**, **inpainting**: draw given a small image, or the rest (07) | **Style transfer**: add noise half way, remove it under another condition (08) | **An image from a sentence**: draw from $p(x \\mid \\text{text})$ (08)"
# All ten digits are among the readable ones. The table compares how often the classifier sees each digit with how often it should, one time in ten: what share of the images would
# have to change their digit? Even faithful draws do not come out quite even. The model is clearly worse than that: it does not have the right shares yet.
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
# And the course as a whole: 02 says how to judge generated images. 03 finds short codes for images. 04 to 07 take three of the families (VAE, GAN, diffusion) one by one, and 08 puts the codes of 03 and 04 and the diffusion of 07 together.
#
# ## 12 · Questions
#
# Think first, then unfold the answer.
#
# **1.** Someone gives you $p(x, y)$. How do you get $p(y \mid x)$? And someone else gives you $p(y \mid x)$. How do you get $p(x, y)$?
#
# <details><summary>Answer</summary>
#
# $p(y \mid x) = p(x, y) / \sum_{y'} p(x, y')$. The other way round is impossible: $p(x, y) = p(y \mid x)\, p(x)$, and nothing tells you
# $p(x)$. Section 3 showed two worlds with the same $p(y \mid x)$.
#
# </details>
#
# **2.** Naive Bayes and logistic regression both cut the space by flat boundaries. Why do they in general not end at the same one, however many examples they get?
#
# <details><summary>Answer</summary>
#
# They choose it by different aims. Naive Bayes takes the flat boundary that *would* be right if pixels were independent
# within a class. Logistic regression takes the one under which the labels it saw are most probable. If the assumption is true, both end at the same boundary, as the right-hand figure of section 4 suggests, where their errors approach each other. If it is wrong, they agree only by luck.
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
# An invertible differentiable map cannot change the number of dimensions. But if data lie near a sheet of few dimensions, most directions of $z$ have to be squeezed almost flat, and each small error there probably shows as specks. VAE and GAN begin from a short code; they follow the assumption
# of few factors, and in return have no exact density.
#
# </details>
#
# **5.** In section 7 one Gaussian had to explain two bumps. Suppose you minimised $\mathrm{KL}(p_\theta \,\|\, p)$ instead, with the expectation over the
# *model's* own draws. Would it still cover both bumps?
#
# <details><summary>Answer</summary>
#
# No, if it is free to move. Now a draw of the model where $p$ is almost 0 is expensive, and to leave one of two bumps uncovered costs only $\log 2$. It settles on one of the two.
# Maximum likelihood fears missing data; the reverse fears implausible samples.
#
# </details>
#
# **6.** A model generates images whose distance to the nearest training image is a tenth of what held-out real images have. Its authors call the images
# "extremely realistic". What do you say?
#
# <details><summary>Answer</summary>
#
# The likeliest explanation is that it copies. First rule out that it draws only the easiest images: 1s lie much closer together than other digits, and blank images closer still. Blur lowers the distance, too, but not ten times. Then look at pairs of a generated image and its nearest training image.
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
# | AUROC | ROC 곡선 아래 면적 | how often an anomaly gets a higher score than a normal image |
# | principal component analysis | 주성분 분석 | the best flat code of $d$ numbers |
# | maximum likelihood | 최대 가능도 | choose the model under which the data are most probable |
# | log-likelihood | 로그 가능도 | $\log p(x)$ of data under a model |
# | KL divergence | KL 발산 | how far one distribution is from another |
# | energy | 에너지 | $-\log p(x)$ up to a constant |
# | score | 스코어 | $\nabla_x \log p(x)$, the direction in which data become more likely |
# | Langevin dynamics | 랑주뱅 동역학 | steps along the score with noise; in the long run they end in draws from $p(x)$ |
# | variational autoencoder | 변분 오토인코더 | decoder and encoder, trained on a bound of $\log p(x)$ |
# | generative adversarial network | 생성적 적대 신경망 | a generator against a discriminator |
# | diffusion model | 확산 모델 | removes noise in many steps |
# | flow | 정규화 흐름 모델 (플로우 모델) | an invertible map with an exact density |
# | flow matching | 흐름 매칭(플로우 매칭) | learns the velocity that moves noise to data |
# | data augmentation | 데이터 증강 | more examples, made from those there are |
# | super-resolution | 초해상도 | a small image made large |
# | inpainting | 인페인팅 | a missing part filled in |
# | style transfer | 스타일 변환 | the same content, another look |
# | autoregressive model | 자기회귀 모델 | one piece after another |
# | change of variables | 변수 변환 | how a density changes under an invertible map |
# | Jacobian | 야코비 행렬 | the matrix of derivatives of a map |
# | dequantisation | 역양자화 | grey levels spread over intervals, so that images have a density |
#
# ## Read on
#
# - A. Ng and M. Jordan, *On discriminative vs. generative classifiers: a comparison of logistic regression and naive Bayes*, NeurIPS 2001: section 4.
# - S. Santurkar et al., *Image synthesis with a single (robust) classifier*, NeurIPS 2019; W. Grathwohl et al., *Your classifier is secretly an
#   energy based model and you should treat it like one*, ICLR 2020: what a classifier can draw after all.
# - B. Schölkopf et al., *Estimating the support of a high-dimensional distribution*, Neural Computation 2001: the one-class SVM;
#   D. Tax and R. Duin, *Support vector data description*, Machine Learning 2004: the same with balls.
# - E. Facco et al., *Estimating the intrinsic dimension of datasets by a minimal neighborhood information*, Scientific Reports 2017;
#   E. Levina and P. Bickel, *Maximum likelihood estimation of intrinsic dimension*, NeurIPS 2004; F. Denti et al., *The generalized ratios
#   intrinsic dimension estimator*, Scientific Reports 2022.
# - D. Kingma and M. Welling, *Auto-encoding variational Bayes*, ICLR 2014. I. Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014.
#   J. Ho, A. Jain, P. Abbeel, *Denoising diffusion probabilistic models*, NeurIPS 2020. L. Dinh, J. Sohl-Dickstein, S. Bengio,
#   *Density estimation using Real NVP*, ICLR 2017. A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, *Pixel recurrent neural
#   networks*, ICML 2016: the five families. J. Song, C. Meng, S. Ermon, *Denoising diffusion implicit models*, ICLR 2021: the steps used here;
#   A. Nichol and P. Dhariwal, *Improved denoising diffusion probabilistic models*, ICML 2021: the cosine.
# - Y. Song and S. Ermon, *Generative modeling by estimating gradients of the data distribution*, NeurIPS 2019: the score. Y. Lipman et al., *Flow
#   matching for generative modeling*, ICLR 2023. D. Kingma and P. Dhariwal, *Glow: generative flow with invertible 1×1 convolutions*, NeurIPS 2018.
# - L. Theis, A. van den Oord, M. Bethge, *A note on the evaluation of generative models*, ICLR 2016: why likelihood and looks differ.
# - E. Nalisnick et al., *Do deep generative models know what they don't know?*, ICLR 2019: why a high $p(x)$ does not yet mean "normal".
#
# The homework to this notebook, `homework/student/hw01.ipynb`, asks you to build a generative classifier whose classes have shapes of their own, a flow's density, a sampler that draws pixel by pixel, and a detector of
# anomalies. Next: **02 · Evaluation metrics.**
