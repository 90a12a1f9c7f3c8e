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
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/02_evaluation_metrics.ipynb)
#
# # 02 · How good are generated images?
#
# 생성 이미지의 평가 지표
#
# A classifier is easy to grade: each image has a right answer. A model that invents images has none. This notebook
# builds the measures that the field uses in its place, **Inception Score**, **Fréchet Inception Distance**,
# **precision and recall** and **perceptual path length**, each from its formula in a few lines. Then it breaks every
# one of them, because you can only trust a number when you know how it fails.
#
# After this notebook you can
#
# 1. say why judging generated images is hard, and which two things a judgement has to cover;
# 2. write each of the four metrics from scratch and explain every symbol in it;
# 3. build, for each, a set of bad images that it likes;
# 4. choose the metric that answers your question, and read a table of results in a paper with care.
#
# Marks such as (M1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the notebook if
# what the text claims does not hold. It runs on a laptop without a GPU in about a minute and needs no network. You need
# to know what a classifier and a covariance are.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import matplotlib.pyplot as plt
import torch

from course_utils.autoencoders import squared_error
from course_utils.data import load_images
from course_utils.nets import blur, over_batches
from course_utils.pretrained import load_pretrained
from course_utils.viz import show_images, show_rows, table

# %% [markdown]
# ## 1 · Why it is hard (M1)
#
# The real images here are `digits`: 4,000 handwritten digits to train on, 1,000 to test on, grey, 28×28 pixels, with
# values from -1 (black) to 1 (white). Below are ten of them, and ten that a model has made. It is the **autoencoder**
# (오토인코더) of notebook 03. One half of it, the encoder, turns an image into a **code** (잠재 코드) of 16 numbers; the other,
# the decoder, draws an image from 16 numbers. To make something new we draw the 16 numbers at random and decode them.

# %%
train, test = load_images("digits", "train"), load_images("digits", "test")
autoencoder = load_pretrained("autoencoder-mnist", "cpu")
with torch.inference_mode():
    generated = autoencoder.sample(1000, generator=torch.Generator().manual_seed(0))
show_rows({"real": test.x[:10], "generated": generated[:10]})

# %% [markdown]
# You see at once that the lower row is worse. How much worse? Three obvious ways to put a number on it all fail.
#
# ### There is no right answer to compare with (M1)
#
# Compare each image with a real one, pixel by pixel? Which one? Let us pick a real image and ask what comes closest to
# it, in squared error $\lVert x - x' \rVert^2$, the sum over the pixels: another real image of the same digit, or the
# grey mean of all digits?

# %% tags=["M1", "nbval-ignore-output"]
mean_image = train.x.mean(dim=0, keepdim=True)
same_digit = test.x.roll(10, dims=0)  # the classes come in turn, 0 … 9, 0 … 9
error = {
    "another real image of the same digit": squared_error(same_digit, test.x).mean().item(),
    "the mean of all digits": squared_error(mean_image.expand_as(test.x), test.x).mean().item(),
}
assert error["the mean of all digits"] < 0.8 * error["another real image of the same digit"]
show_rows({"real": test.x[:10], "same digit": same_digit[:10], "mean": mean_image.expand(10, -1, -1, -1)})
table(["compared with a real image", "squared error"], list(error.items()))

# %% [markdown]
# The grey smear wins. Whoever judges by the distance to *one* right answer will prefer a blurred image to a perfect one,
# because there are many right answers and the blur lies between them. Generated images have to be judged as a **set**
# against a set.
#
# ### Against the training data a copy looks perfect (M1)
#
# So compare sets. We need numbers that describe an image better than its pixels do, and take the 128 **features** (특징)
# that a classifier of digits computes in its last hidden layer. `see` gives, for a batch of images, these features and
# the classifier's probabilities. One of the measures below, the Fréchet distance, compares two sets of features; 0 means
# that it sees no difference. (Section 5 explains it. Here we only use it.)

# %%
from course_utils.features import feature_extractor
from course_utils.metrics import fid

see = feature_extractor("digits", "cpu")
seen, unseen = see(train.x), see(test.x)
print("features", tuple(unseen.features.shape), "probabilities", tuple(unseen.probs.shape))

# %% [markdown]
# Three "models" are judged against the training data: one that hands out copies of the training images, one that brings
# *new* real digits (the test set), and the autoencoder.

# %%
by_distance = {
    "copies of the training images": fid(real=seen.features, fake=seen.features.flip(0)),  # in another order
    "new real images": fid(real=seen.features, fake=unseen.features),
    "the autoencoder's samples": fid(real=seen.features, fake=see(generated).features),
}

# %% tags=["M1", "nbval-ignore-output"]
assert by_distance["copies of the training images"] < 0.1 * by_distance["new real images"]
assert by_distance["new real images"] < by_distance["the autoencoder's samples"]
held_out = fid(real=unseen.features, fake=seen.features)
assert held_out < 1.01 * by_distance["new real images"]
rows = [*by_distance.items(), ("copies again, against the test images", held_out)]
table(["model", "Fréchet distance to the training data"], rows)

# %% [markdown]
# The model that has learned nothing and copies everything has the perfect score 0. Judging against images that were held
# out does not expose it either (last row): its copies are as far from the test images as those are from the training
# images. To find copies one has to look for them: for each generated image, take the distance to the nearest training
# image.


# %%
def to_nearest(x: torch.Tensor) -> torch.Tensor:
    return torch.cdist(x.flatten(1), train.x.flatten(1)).min(dim=1).values


# %% tags=["M1", "nbval-ignore-output"]
nearest = {
    "copies": to_nearest(train.x[:500]),
    "new real images": to_nearest(test.x),
    "samples": to_nearest(generated),
}
assert nearest["copies"].max() < 0.1
assert min(nearest["new real images"].min(), nearest["samples"].min()) > 1
rows = [[name, found.min().item(), found.median().item()] for name, found in nearest.items()]
table(["distance to the nearest training image", "smallest", "median"], rows)

# %% [markdown]
# The autoencoder does not copy; its samples are as far from the training images as new real ones are.
#
# ### People do not agree, and often cannot know (M1)
#
# Then let people judge. Ten of these twenty images are real; the others went through an autoencoder. Mark the ones that
# you take for real before you look at the next figure.

# %%
order = torch.randperm(20, generator=torch.Generator().manual_seed(7))
pool = torch.cat([test.x[30:40], over_batches(autoencoder, test.x[30:40])])
show_images(pool[order], columns=20, title="which ten are real?")

# %%
is_real = (order < 10)[:, None, None, None]
blank = torch.ones_like(pool)
show_rows(
    {
        "real": torch.where(is_real, pool[order], blank),
        "through the autoencoder": torch.where(is_real, blank, pool[order]),
    },
    scale=0.4,
)

# %% [markdown]
# Ask two neighbours and you get three opinions: one looks at the edges of the strokes, the next at the shapes. Judgement
# by people is subjective, slow and dear. And it ends where their knowledge ends. You have read digits all your life. To
# see how a layman sees an X-ray, we shuffle the pixels of all images in one fixed way:

# %% tags=["M1"]
shuffle = torch.randperm(784, generator=torch.Generator().manual_seed(0))


def shuffled(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1)[:, shuffle].view_as(x)


show_rows({"A": shuffled(generated[:10]), "B": shuffled(test.x[:10])})
plain = fid(real=test.x.flatten(1), fake=generated.flatten(1))
in_disguise = fid(real=shuffled(test.x).flatten(1), fake=shuffled(generated).flatten(1))
assert abs(in_disguise / plain - 1) < 1e-3
print("The Fréchet distance between the two sets of pixels is the same as without shuffling.")

# %% [markdown]
# Which row is real, A or B? (It is B.) All the information is still there, and a distance between pixels does not care in
# which order they come: it is bound to find the difference that it found before. That is what we want metrics for: repeatable,
# and not tied to an eye. The price is that pixels say little about what an image *shows*. Features say more, and
# therefore all metrics below use them; but with the features comes a bias, that of the network they are taken from.
#
# ## 2 · The two things to judge (M2)
#
# - **Fidelity** (충실도): is each single image good?
# - **Diversity** (다양성): are the images as varied as the real ones?
#
# Neither implies the other. Four sets of 1,000 images each, made from real training images, show all combinations: all
# digits or only 0, 1 and 2; sharp or blurred.

# %%
few = train.x[train.y < 3][:1000]
sets = {
    "sharp, varied": train.x[:1000],
    "sharp, narrow": few,
    "soft, varied": blur(train.x[:1000], 1.2),
    "soft, narrow": blur(few, 1.2),
}
show_rows({name: x[:12] for name, x in sets.items()}, scale=0.5)

# %% [markdown]
# For a first pair of numbers let the classifier look. It answers with a probability $p(y \mid x)$ for each class $y$.
#
# - Fidelity: the share of images that it reads with more than 95 % certainty.
# - Diversity: how many classes the set holds. With $p(y)$, the mean of $p(y \mid x)$ over the images, and its **entropy**
#   (엔트로피) $H(p) = -\sum_y p(y) \log p(y)$, the number $e^{H(p)}$ is 10 where all ten classes are equally frequent
#   and 1 where there is only one.

# %% tags=["M2", "nbval-ignore-output"]
looks = {name: see(x) for name, x in sets.items()}
fidelity = {name: (s.probs.max(dim=1).values > 0.95).double().mean().item() for name, s in looks.items()}
diversity = {name: torch.special.entr(s.probs.mean(dim=0)).sum().exp().item() for name, s in looks.items()}
assert min(fidelity["sharp, varied"], fidelity["sharp, narrow"]) > 0.9
assert max(fidelity["soft, varied"], fidelity["soft, narrow"]) < 0.8
assert min(diversity["sharp, varied"], diversity["soft, varied"]) > 7
assert max(diversity["sharp, narrow"], diversity["soft, narrow"]) < 5
table(["set", "fidelity", "diversity"], [[name, fidelity[name], diversity[name]] for name in sets])

# %% [markdown]
# The first column separates sharp from soft, the second varied from narrow. Keep these four sets in mind: each metric
# below will have to say something about them.
#
# ## 3 · Inception Score (M3)
#
# The **Inception Score** (IS, 인셉션 스코어; Salimans et al., 2016) puts both into one number. A good image makes
# $p(y \mid x)$ a single high bar; a varied set makes $p(y)$ flat. The farther the two are apart, the better:
#
# $$\mathrm{IS} = \exp\Big( \frac{1}{N} \sum_{i=1}^{N} D_{\mathrm{KL}}\big(p(y \mid x_i) \,\Vert\, p(y)\big) \Big),
# \qquad D_{\mathrm{KL}}(p \,\Vert\, q) = \sum_y p(y) \log \frac{p(y)}{q(y)}.$$
#
# $D_{\mathrm{KL}}$, the **Kullback-Leibler divergence** (쿨백-라이블러 발산), is 0 where $p = q$ and grows as they differ.
# The name comes from the classifier of the paper, the Inception network with its 1,000 classes of photographs. Ours has
# ten classes of digits; the formula does not care.

# %%
fig, axes = plt.subplots(2, 4, figsize=(8, 3), layout="constrained", sharey="row", sharex=True)
for (upper, lower), (name, look) in zip(axes.T, looks.items(), strict=True):
    quartile = look.probs.max(dim=1).values.argsort()[len(look.probs) // 4]
    upper.bar(range(10), look.probs[quartile])
    lower.bar(range(10), look.probs.mean(dim=0), color="C1")
    upper.set(title=name, ylim=(0, 1))
    lower.set(xticks=range(10), ylim=(0, 0.4))
axes[0, 0].set_ylabel("p(y|x), one x")
axes[1, 0].set_ylabel("p(y)")
plt.show()

# %% [markdown]
# Upper row: the classifier's answer to one image of each set, the one of which a quarter of the set is less certain. Lower
# row: its mean answer. Only the first set has both one high bar above and a flat floor below. Note the bars of the soft sets:
# the blurred digits are often taken for an 8, and such misreadings count as diversity. From scratch it is three lines:

# %%
from course_utils.metrics import inception_score


def my_inception_score(p: torch.Tensor) -> float:
    p_y = p.mean(dim=0)  # (N, classes) -> (classes,)
    kl = (p * (p.clamp_min(1e-12) / p_y).log()).sum(dim=1)  # (N,)
    return kl.mean().exp().item()


# %% tags=["M3"]
for look in looks.values():
    assert (
        abs(my_inception_score(look.probs.double()) / inception_score(look.probs, splits=1).mean - 1) < 1e-6
    )
print("Three lines, and the package's inception_score says the same.")

# %% tags=["M3", "nbval-ignore-output"]
scores = {name: inception_score(look.probs, splits=1).mean for name, look in looks.items()}
assert scores["sharp, varied"] > 9
assert max(scores["sharp, narrow"], scores["soft, varied"], scores["soft, narrow"]) < 8
table(["set", "IS (1 … 10)"], list(scores.items()))

# %% [markdown]
# It can be no lower than 1 and no higher than the number of classes, 10, and real digits come close to that. "Soft, narrow"
# is said to be a little better than "sharp, narrow", because of the misreadings. (`splits=1` asks for the score of all images at
# once; with more splits the package scores parts, as the paper does, and adds how far they differ.)
#
# ## 4 · What Inception Score cannot see (M4)
#
# ### It only knows what its classifier was taught (M4)
#
# Mirror the digits from top to bottom, or print them black on white. They are as sharp and varied as before. And some grey
# drawings of shapes, flawless ones:

# %% tags=["M4", "nbval-ignore-output"]
shapes = load_images("scenes", "test", size=28, n=1000).x.mean(dim=1, keepdim=True)
unfamiliar = {"digits": test.x, "upside down": test.x.flip(2), "black on white": -test.x, "shapes": shapes}
unfamiliar_scores = {name: inception_score(see(x).probs, splits=1).mean for name, x in unfamiliar.items()}
assert unfamiliar_scores["upside down"] < 0.75 * unfamiliar_scores["digits"]
assert max(unfamiliar_scores["black on white"], unfamiliar_scores["shapes"]) < 4
show_rows({name: x[:10] for name, x in unfamiliar.items()})
table(["set", "IS"], list(unfamiliar_scores.items()))

# %% [markdown]
# Nothing was wrong with these images. The judge had never seen their like. The same happens when the Inception network,
# which was trained on photographs, scores faces, paintings or X-rays.
#
# ### One image a class is enough (M4)
#
# A generator that can make only ten images, one for each digit, has *collapsed* (**mode collapse**, 모드 붕괴). Take the
# training image of each class that the classifier is surest of, and repeat it a hundred times.

# %% tags=["M4", "nbval-ignore-output"]
surest = [(seen.probs[:, digit] * (train.y == digit)).argmax() for digit in range(10)]
ten = train.x[torch.stack(surest)]
collapsed = ten.repeat(100, 1, 1, 1)
collapsed_score = inception_score(see(collapsed).probs, splits=1).mean
real_score = inception_score(unseen.probs, splits=1).mean
assert collapsed_score > max(9.9, real_score)
show_images(ten, title="all that this generator can make")
table(["set", "IS"], [["1,000 real digits", real_score], ["ten images, repeated", collapsed_score]])

# %% [markdown]
# Ten images beat a thousand real ones and all but reach the maximum. Diversity *within* a class is invisible, since all
# that counts is $p(y)$.
#
# ### It looks at generated images only (M4)
#
# No real image occurs in the formula. Suppose the task is to generate digits that stand on their heads. A model that
# misses the point and makes upright ones scores far higher than the real data of the task do. The Fréchet distance of
# the next section compares with the data, and is not fooled:

# %% tags=["M4", "nbval-ignore-output"]
wanted = see(test.x.flip(2))
models = {
    "misses the point: upright": see(train.x[:1000]),
    "as wanted: upside down": see(train.x[:1000].flip(2)),
}
rows = [
    [name, inception_score(look.probs, splits=1).mean, fid(real=wanted.features, fake=look.features)]
    for name, look in models.items()
]
assert rows[0][1] > 1.5 * rows[1][1]
assert rows[0][2] > 5 * rows[1][2]
table(["model", "IS", "Fréchet distance to the data"], rows)

# %% [markdown]
# ### It can be raised on purpose (M4)
#
# **Replay.** A "generator" that hands out training images scores as well as real data do, far above the autoencoder that
# tried to make something new. **Attack.** The score needs a classifier that is certain, not an image that shows
# something. So take pure noise, choose a class for each image, and walk along the gradient of the classifier's loss:
#
# $$x \leftarrow x - \eta \, \frac{\nabla_x \ell(x)}{\lVert \nabla_x \ell(x) \rVert}, \qquad \ell(x) = -\log p(y_{\text{chosen}} \mid x),$$
#
# where $\eta$ is the length of a step; after each step the pixels are cut to [-1, 1]. The network, `judge`, is the one behind `see`.


# %%
judge = load_pretrained("classifier-mnist", "cpu")


def attack(x: torch.Tensor, chosen: torch.Tensor, steps: int, eta: float = 2.0) -> list[torch.Tensor]:
    path = [x]
    for _ in range(steps):
        x = path[-1].clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(judge(x), chosen, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
        path.append((x - eta * gradient / length[:, None, None, None]).detach().clamp(-1, 1))
    return path


noise = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
path = attack(noise, torch.arange(200) % 10, steps=20)
attacked = [see(x) for x in path]

# %% tags=["M4", "nbval-ignore-output"]
under_attack = [inception_score(look.probs, splits=1).mean for look in attacked]
assert under_attack[0] < 1.5
assert under_attack[-1] > 9
replayed, samples = (inception_score(look.probs, splits=1).mean for look in (seen, see(generated)))
assert replayed > samples + 1
rows = [
    ["autoencoder's samples", samples],
    ["training images, replayed", replayed],
    ["noise", under_attack[0]],
    ["noise after 20 steps of the attack", under_attack[-1]],
]
table(["set", "IS"], rows)

# %% [markdown]
# Move the slider through the attack, or press play. What do you see happen to the images, and what to the score?

# %%
from course_utils.explorers import Explorer, Panel, Readout, Slider

distances = [fid(real=unseen.features, fake=look.features) for look in attacked]
Explorer(
    [Slider("step of the attack", range(21), play=True)],
    [Panel("ten of the 200 images", torch.stack(path)[:, :10], ("step of the attack",), columns=5)],
    [
        Readout("Inception Score ↑", under_attack, ("step of the attack",), maximum=10),
        Readout("FID to real digits ↓", distances, ("step of the attack",)),
    ],
    title="Raising the score of noise",
)

# %% [markdown]
# Ripples run through the noise, as in a woodcut, but no digit appears, while the score climbs from the bottom to the top.
# (The ninth image hardly changes: the classifier took the noise for an 8 from the start.) The Fréchet distance falls at
# first too, since it uses the same network's features, and then stays, far above that of any set of digits. A metric that a model is
# *trained* to please is no measure of that model any more.
#
# ## 5 · Fréchet Inception Distance (M5)
#
# The **Fréchet Inception Distance** (FID, 프레셰 인셉션 거리; Heusel et al., 2017) compares with real images. It uses the
# classifier only as a maker of features $f(x) \in \mathbb{R}^d$ ($d = 128$ here, 2,048 for the Inception network), describes
# the features of the real images by a Gaussian with mean $\mu_r$ and covariance $\Sigma_r$, those of the generated ones
# by a Gaussian with $\mu_g$ and $\Sigma_g$, and takes the **Fréchet distance** between the two Gaussians:
#
# $$\mathrm{FID} = \lVert \mu_r - \mu_g \rVert^2 + \operatorname{tr}\big( \Sigma_r + \Sigma_g - 2\,(\Sigma_r \Sigma_g)^{1/2} \big)$$
#
# The first term says how far apart the centres lie, the second how much the clouds differ in shape. In one dimension it
# is simply $(\mu_r - \mu_g)^2 + (\sigma_r - \sigma_g)^2$, and where the coordinates are uncorrelated these terms add up,
# one pair for each coordinate. The trace $\operatorname{tr}$ sums the diagonal, and
# $\operatorname{tr} (\Sigma_r \Sigma_g)^{1/2}$ is the sum of the square roots of the eigenvalues of $\Sigma_r \Sigma_g$. (They are
# real and not negative, but for rounding, which the code cuts off.)


# %% tags=["M5"]
def my_fid(real: torch.Tensor, fake: torch.Tensor) -> float:
    real, fake = real.double(), fake.double()
    apart = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    cov_r, cov_g = real.T.cov(), fake.T.cov()
    cross = torch.linalg.eigvals(cov_r @ cov_g).real.clamp_min(0).sqrt().sum()
    return (apart + cov_r.trace() + cov_g.trace() - 2 * cross).item()


square = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
larger_and_away = 2 * square + torch.tensor([3.0, 4.0])
variance = 4 / 3  # of each coordinate of the square
by_hand = 3**2 + 4**2 + 2 * variance * (1 - 2) ** 2
assert abs(my_fid(square, larger_and_away) - by_hand) < 1e-6
for look in looks.values():
    assert (
        abs(my_fid(unseen.features, look.features) / fid(real=unseen.features, fake=look.features) - 1) < 1e-3
    )
print("The code gives what we know for two squares, and what the package's fid says in 128 dimensions.")

# %% [markdown]
# The four sets of section 2, judged by FID against the test images:

# %% tags=["M5", "nbval-ignore-output"]
fid_of_sets = {name: fid(real=unseen.features, fake=look.features) for name, look in looks.items()}
assert fid_of_sets["sharp, varied"] < 0.1 * min(v for k, v in fid_of_sets.items() if k != "sharp, varied")
table(["set", "FID"], list(fid_of_sets.items()))

# %% [markdown]
# The first is best by far. The others it does not take apart: a set is far off because it is blurred, or because it is narrow.
#
# A look at what is compared: the features of real test images and of two other sets, along the two directions in which
# the real ones vary most, each with the ellipse of its Gaussian (two standard deviations). Blue is real, orange the other.

# %%
mean_r, cov_r = unseen.features.mean(dim=0), unseen.features.T.cov()
directions = torch.linalg.eigh(cov_r).eigenvectors[:, -2:]  # (128, 2)
circle = torch.linspace(0, 2 * torch.pi, 100)
fig, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharex=True, sharey=True)
for ax, name in zip(axes, ("sharp, varied", "soft, varied", "sharp, narrow"), strict=True):
    for look, color in ((unseen, "C0"), (looks[name], "C1")):
        flat = (look.features - mean_r) @ directions
        # a circle, stretched by a root of the covariance
        ellipse = 2 * torch.stack([circle.cos(), circle.sin()], dim=1) @ torch.linalg.cholesky(flat.T.cov()).T
        ax.scatter(*flat[:400].T, s=3, color=color, alpha=0.5)
        ax.plot(*(flat.mean(dim=0) + ellipse).T, color=color, ls="-")
    ax.set_title(f"real, and {name}")
plt.show()

# %% [markdown]
# Left, other real images: the ellipses lie on each other. Middle, blurred ones: the cloud has moved and shrunk. Right,
# only three classes: three of the lumps, and an ellipse that shrinks and tilts. The digits form several lumps and are no Gaussian at all; FID sees nothing of
# that, only mean and covariance.
#
# Now more and more damage of three kinds. FID should rise with each step.

# %% tags=["M5"]
draw = torch.Generator().manual_seed(2)
base, grain = train.x[:1000], torch.randn(1000, 1, 28, 28, generator=draw)
damage = {
    "blur": [blur(base, sigma) for sigma in (0, 0.5, 1, 1.5)],
    "noise": [(base + sigma * grain).clamp(-1, 1) for sigma in (0, 0.2, 0.4, 0.6)],
    "classes left out": [train.x[train.y >= out][:1000] for out in (0, 2, 4, 6)],
}
curves = {
    kind: [fid(real=unseen.features, fake=see(x).features) for x in row] for kind, row in damage.items()
}
assert all((torch.tensor(curve).diff() > 0).all() for curve in curves.values())
fig, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
for kind, curve in curves.items():
    ax.plot(curve, marker="o", label=kind)
ax.set(xticks=range(4), xlabel="amount of damage", ylabel="FID", yscale="log")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# It does, for all three, also for classes left out. That agreement with the eye has made FID the standard.
#
# One trap: FID depends on the **number of images**. In the next figure both sets are real digits, drawn at random from
# the same training set; no generator can be fairer. Beside it stands a relative, the **Kernel Inception Distance** (KID, 커널
# 인셉션 거리; Bińkowski et al., 2018). A **kernel** (커널) $k(f, f')$ says how alike two features are, here
# $(f \cdot f' / d + 1)^3$. Two sets agree when pairs across the sets are as alike as pairs within each:
#
# $$\mathrm{KID} = \operatorname{mean} k(f_r, f_r') + \operatorname{mean} k(f_g, f_g') - 2 \operatorname{mean} k(f_r, f_g),$$
#
# with the means over pairs of different images. It is 0 on average where both sets come from one source, for any number.

# %% tags=["M5"]
from course_utils.metrics import kernel_inception_distance

draw, numbers, floor = (
    torch.Generator().manual_seed(3),
    (100, 200, 500, 1000, 2000),
    {"FID": [], "KID · 1000": []},
)
for n in numbers:
    pairs = [seen.features[torch.randperm(4000, generator=draw)[: 2 * n]].split(n) for _ in range(8)]
    floor["FID"].append([fid(real=a, fake=b) for a, b in pairs])
    kids = [kernel_inception_distance(real=a, fake=b, subsets=1, subset_size=n).mean for a, b in pairs]
    floor["KID · 1000"].append([1000 * kid for kid in kids])
floor = {name: torch.tensor(values) for name, values in floor.items()}
assert floor["FID"][0].mean() > 5 * floor["FID"][-1].mean()
assert floor["KID · 1000"][0].mean().abs() < floor["KID · 1000"][0].std()

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
for ax, (name, values) in zip(axes, floor.items(), strict=True):
    ax.errorbar(numbers, values.mean(dim=1), values.std(dim=1), marker="o", capsize=3)
    ax.axhline(0, color="grey", lw=0.5)
    ax.set(xscale="log", xlabel="images in each set, N", ylabel=f"{name}, real against real")
    ax.set_xticks(numbers, numbers)
    ax.minorticks_off()
plt.show()

# %% [markdown]
# The bars show the spread over eight draws. FID of *perfect* samples is the larger the fewer they are; with 100 it is what
# lightly damaged ones have with 1,000. (100 images cannot even fill a covariance of 128 features; what is missing counts as a
# difference.) Never compare two FIDs with different $N$; papers use 50,000. KID scatters with few images, but around 0.
#
# ## 6 · What FID cannot tell (M6)
#
# FID is one number for two things. Two models can then have the same FID for opposite reasons. The first makes sharp
# digits, but only 0 to 6. The second is the autoencoder: all digits, many of them broken. Its codes are drawn from a
# Gaussian, with the mean `code_mean` and a root `code_factor` of the covariance; the wider we draw (factor $s$ on the
# deviation), the worse they get. We look for the $s$ at which both models have the same FID, by halving an interval.

# %%
narrow = train.x[train.y < 7][:1000]
narrow_look = see(narrow)
target = fid(real=unseen.features, fake=narrow_look.features)
eps = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0)) @ autoencoder.code_factor.T


def wide(s: float) -> torch.Tensor:
    return over_batches(autoencoder.decode, autoencoder.code_mean + s * eps)


# %%
low, high = 1.2, 4.0
for _ in range(10):
    s = (low + high) / 2
    too_good = fid(real=unseen.features, fake=see(wide(s)).features) < target
    low, high = (s, high) if too_good else (low, s)

# %% tags=["M6", "nbval-ignore-output"]
from course_utils.metrics import precision_recall

broad = wide(s)
same = {"sharp but narrow": narrow_look.features, "broad but poor": see(broad).features}
distances = {name: fid(real=unseen.features, fake=f) for name, f in same.items()}
apart = {name: precision_recall(real=unseen.features, fake=f) for name, f in same.items()}
assert abs(distances["sharp but narrow"] / distances["broad but poor"] - 1) < 0.02
assert apart["sharp but narrow"].precision > apart["broad but poor"].precision + 0.2
assert apart["broad but poor"].recall > apart["sharp but narrow"].recall + 0.05
show_rows({"sharp but narrow": narrow[:12], "broad but poor": broad[:12]}, scale=0.5)
rows = [[name, distances[name], *apart[name]] for name in same]
table([f"model (s = {s:.2f})", "FID", "precision", "recall"], rows)

# %% [markdown]
# To FID the two rows are the same. The last two columns tell them apart, and are our next subject.
#
# ## 7 · Precision and recall (M7)
#
# ### The kind you know (M7)
#
# A detector for the digit 3 marks some of the images. With TP, the 3s that it marks, FP, other digits that it marks, and FN,
# the 3s that it misses:
#
# $$\text{precision (정밀도)} = \frac{TP}{TP + FP}, \qquad \text{recall (재현율)} = \frac{TP}{TP + FN}.$$
#
# Precision asks whether what was marked is right, recall whether what is right was marked.

# %% tags=["M7"]
is_three = torch.tensor([1, 1, 1, 1, 1, 1, 0, 0], dtype=torch.bool)
marked = torch.tensor([1, 1, 1, 0, 0, 0, 1, 0], dtype=torch.bool)
tp, fp, fn = ((a & b).sum().item() for a, b in ((is_three, marked), (~is_three, marked), (is_three, ~marked)))
assert tp + fn == is_three.sum()
print(f"TP {tp}, FP {fp}, FN {fn}: precision {tp / (tp + fp)}, recall {tp / (tp + fn)}")

# %% [markdown]
# ### The generative kind (M7)
#
# The real images fill some region of the space of features, the generated ones another. Ask the same two questions of
# these regions:
#
# - **precision**: the share of generated images that lie in the *real* region: fidelity;
# - **recall**: the share of real images that lie in the *generated* region: diversity.
#
# ### Made exact: balls around neighbours (M7)
#
# A set of points has no region yet. *Improved precision and recall* (Kynkäänniemi et al., 2019) gives it one: around each
# point a ball that reaches to its $k$-th nearest neighbour ($k = 3$), and the region, or **manifold** (다양체), is all balls
# together. For a set $\Phi$ of features and the distance $r_k(\phi)$ from $\phi \in \Phi$ to its $k$-th nearest neighbour
# in $\Phi$:
#
# $$\operatorname{inside}(f, \Phi) = \begin{cases} 1 & \lVert f - \phi \rVert \le r_k(\phi) \text{ for some } \phi \in \Phi \\ 0 & \text{else} \end{cases}$$
#
# $$\text{precision} = \frac{1}{N_g} \sum_{f \in \Phi_g} \operatorname{inside}(f, \Phi_r), \qquad
# \text{recall} = \frac{1}{N_r} \sum_{f \in \Phi_r} \operatorname{inside}(f, \Phi_g)$$
#
# $\Phi_r$ holds the features of the $N_r$ real images, $\Phi_g$ those of the $N_g$ generated ones.


# %%
def inside(f: torch.Tensor, phi: torch.Tensor, k: int = 3) -> torch.Tensor:
    radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values  # the first is the point itself
    return (torch.cdist(f, phi) <= radius).any(dim=1)


# %% tags=["M7"]
exact = unseen.features.double()
for look in looks.values():
    fake = look.features.double()
    library = precision_recall(real=exact, fake=fake)
    assert abs(inside(fake, exact).double().mean() - library.precision) < 0.01
    assert abs(inside(exact, fake).double().mean() - library.recall) < 0.01
print("Two lines, and the package's precision_recall agrees.")

# %% [markdown]
# Our four sets in the plane of the two numbers, together with the autoencoder's samples:

# %% tags=["M7"]
places = {name: precision_recall(real=unseen.features, fake=look.features) for name, look in looks.items()}
places["autoencoder"] = precision_recall(real=unseen.features, fake=see(generated).features)
assert places["sharp, narrow"].precision > 0.7 > places["soft, varied"].precision
assert places["sharp, varied"].recall > places["sharp, narrow"].recall + 0.3
assert places["sharp, narrow"].recall > places["soft, narrow"].recall
fig, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
for name, place in places.items():
    ax.scatter(place.recall, place.precision, s=50, label=name)
ax.set(xlabel="recall: diversity", ylabel="precision: fidelity", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
ax.legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Up is sharp; right is varied, as far as the images look real to the network. The soft sets fall in both directions, also the
# one with all ten digits: blurred features leave the real region, and the region they fill holds hardly any sharp image.
# Note where "sharp, varied" stands: real images, and yet not at (1, 1).
#
# Play with the balls. The points are a toy set in the plane: blue the real features, orange the generated ones. In the left
# picture the balls belong to the real points, and the share of orange points in blue balls is the precision. In the right
# picture it is the other way round. Move the generated cloud, change $k$, then add a single outlier.


# %%
def draw_balls(ax, centres: torch.Tensor, others: torch.Tensor, k: int, colors: tuple[str, str]) -> float:
    radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
    hit = inside(others, centres, k)
    for centre, r in zip(centres.tolist(), radius.tolist(), strict=True):
        ax.add_patch(plt.Circle(centre, r, color=colors[0], alpha=0.25, lw=0))
    ax.scatter(*centres.T, s=6, color=colors[0])
    ax.scatter(*others[hit].T, s=14, color=colors[1], ec="black", lw=0.6)
    ax.scatter(*others[~hit].T, s=14, facecolors="none", edgecolors=colors[1])
    ax.set(xlim=(-4.5, 7), ylim=(-4.2, 4.2), xticks=[], yticks=[], aspect="equal")
    return hit.double().mean().item()


# %%
from matplotlib.figure import Figure

from course_utils.explorers import Choice
from course_utils.viz import rendered

toy = torch.Generator().manual_seed(4)
real_points, cloud = torch.randn(50, 2, generator=toy), 0.3 * torch.randn(50, 2, generator=toy)
shifts, ks, extras = (0.0, 1.0, 2.0, 3.0, 4.0), (1, 3, 5), ("none", "among the real", "among the generated")
far_right, far_left = torch.tensor([[6.0, -1.5]]), torch.tensor([[-3.5, -1.5]])
frames, shares = [], []
for shift in shifts:
    for k in ks:
        for extra in extras:
            fig = Figure(figsize=(5.6, 2.2), layout="constrained")
            left, right = fig.subplots(1, 2)
            real = torch.cat([real_points, far_right]) if extra == extras[1] else real_points
            fake = cloud + torch.tensor([shift, 0.0])
            fake = torch.cat([fake, far_left]) if extra == extras[2] else fake
            precision = draw_balls(left, real, fake, k, ("C0", "C1"))
            recall = draw_balls(right, fake, real, k, ("C1", "C0"))
            shares.append([precision, recall])
            frames.append(rendered(fig))

# %%
controls = [Slider("shift of the generated cloud", shifts), Slider("k", ks), Choice("outlier", extras)]
by, axes_ = tuple(control.name for control in controls), (len(shifts), len(ks), len(extras))
pictures = torch.stack(frames).unflatten(0, axes_)
precisions, recalls = torch.tensor(shares).unflatten(0, axes_).unbind(dim=-1)
Explorer(
    controls,
    [Panel("filled: inside a ball; empty: outside", pictures, by)],
    [Readout("precision ↑", precisions, by, maximum=1), Readout("recall ↑", recalls, by, maximum=1)],
    index=[2, 1, 0],
    colors=24,
    title="Manifolds of balls",
)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Without a shift the generated cloud lies inside the real one: precision near 1, recall well below. As it moves away, recall
# falls from the first step, precision only when the cloud leaves the real region. A larger $k$ makes all balls larger and
# both numbers higher. One outlier among the generated points gets a huge ball, because even its nearest neighbours are far,
# and many real points lie in it: recall jumps although nothing got better. Move the cloud far to the right and put the
# outlier among the *real* points: now the same happens to precision.
#
# </details>
#
# ## 8 · What precision and recall cannot see (M8)
#
# ### One outlier inflates the manifold (M8)
#
# The same with real digits. A generator makes nothing but ones: precise, with almost no recall. Now replace some of its 400
# images by pure noise. Density and coverage in the table are explained below.

# %%
from course_utils.metrics import density_coverage

only_ones = seen.features[train.y == 1][:400]
junk = see(noise[:20]).features
counts = (0, 1, 2, 3, 4, 10)
spoiled = [torch.cat([only_ones[: 400 - n], junk[:n]]) for n in counts]
with_junk = [
    (*precision_recall(real=unseen.features, fake=f), *density_coverage(real=unseen.features, fake=f))
    for f in spoiled
]

# %% tags=["M8", "nbval-ignore-output"]
assert with_junk[0][1] < 0.2
assert with_junk[1][1] > 0.5
assert abs(with_junk[1][3] - with_junk[0][3]) < 0.02
table(["images of noise among 400", "precision", "recall", "density", "coverage"],
      [[n, *row] for n, row in zip(counts, with_junk, strict=True)])  # fmt: skip

# %% [markdown]
# One image of noise, and recall jumps from one tenth to most of the real digits, nines and all. The junk is so far from
# the ones that its ball swallows half the space. With four of them recall is back where it was: each now has $k = 3$
# neighbours among the junk, and their balls are small.
#
# ### Moving a few embeddings moves the score (M8)
#
# The score hangs on a few points. Move the embedding of that single outlier towards the centre of the ones, in steps; the
# other 399 stay where they are.

# %% tags=["M8"]
centre = only_ones.mean(dim=0)
ways = torch.linspace(0, 1, 6)
moved = [torch.cat([only_ones[:399], (junk[:1] + way * (centre - junk[:1]))]) for way in ways]
recalls = [precision_recall(real=unseen.features, fake=f).recall for f in moved]
assert max(recalls) - min(recalls) > 0.4
fig, ax = plt.subplots(figsize=(4.5, 2.6), layout="constrained")
ax.plot(ways, recalls, "-o")
ax.set(xlabel="the one outlier moved towards the centre", ylabel="recall", ylim=(0, 1))
plt.show()

# %% [markdown]
# ### The same distribution does not score 1 (M8)
#
# Draw two sets of real training images at random. They come from the very same distribution. Still, each leaves a share of
# the other outside:

# %% tags=["M8", "nbval-ignore-output"]
mixed = seen.features[torch.randperm(4000, generator=torch.Generator().manual_seed(3))]
halves = [(mixed[:n], mixed[n : 2 * n]) for n in (200, 500, 1000, 2000)]
of_halves = [[*precision_recall(real=a, fake=b), *density_coverage(real=a, fake=b)] for a, b in halves]
assert all(precision < 0.95 and recall < 0.95 for precision, recall, *_ in of_halves)
table(["images in each set", "precision", "recall", "density", "coverage"],
      [[len(a), *row] for (a, _), row in zip(halves, of_halves, strict=True)])  # fmt: skip

# %% [markdown]
# A precision of 0.88 is therefore what new real images get. A model above it is not better than reality; it avoids the rare
# images. Report the value of real against real beside that of a model.
#
# ### It is expensive (M8)
#
# Every image is compared with every other: $N^2$ distances, where FID needs sums over $N$ images and one computation with
# $d \times d$ matrices. Measured on random features:

# %% tags=["M8"]
import time


def seconds(metric, n: int) -> float:
    a, b = torch.randn(2, n, 128, generator=torch.Generator().manual_seed(n))
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        metric(real=a, fake=b)
        best = min(best, time.perf_counter() - start)
    return best


sizes = (500, 1000, 2000, 4000)
times = {metric.__name__: [seconds(metric, n) for n in sizes] for metric in (fid, precision_recall)}
growth = {name: row[-1] / row[0] for name, row in times.items()}
assert growth["precision_recall"] > 1.5 * growth["fid"]

# %%
fig, ax = plt.subplots(figsize=(4.5, 2.8), layout="constrained")
for name, row in times.items():
    ax.plot(sizes, row, marker="o", label=name)
ax.plot(sizes, [times["precision_recall"][0] * (n / sizes[0]) ** 2 for n in sizes], "k:", label="slope of N²")
ax.set(xscale="log", yscale="log", xlabel="images in each set, N", ylabel="seconds")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# On double logarithmic axes $N^2$ is the dotted line. For the 50,000 images and 2,048 features that papers use,
# `benchmarks/metrics.md` in the course's repository has measured figures.
#
# ### Two remedies (M8)
#
# **Density** (밀도) and **coverage** (커버리지; Naeem et al., 2020) use balls around *real* points only, so an outlier among the
# generated images cannot widen anything:
#
# - density: in how many real balls a generated image lies, on average, divided by $k$ ($k = 5$). It counts how many balls
#   hold an image where precision only asks if any does. It can exceed 1.
# - coverage: the share of real balls that hold at least one generated image.
#
# Look back at the table of outliers: where recall jumped, coverage did not move. And in the last table coverage of real
# against real is nearer to 1 than recall.
#
# ## 9 · Perceptual path length (M9)
#
# The metrics so far judge a bag of images. A generator also has a latent space, and we may ask how *smoothly* images
# change on a path through it, as in the walk between two codes below. Cut the path from code $z_0$ to code $z_1$ at a random place $t$, take a tiny step $\epsilon$, and
# measure how far the image moves. The **perceptual path length** (PPL, 지각적 경로 길이; Karras et al., 2019) is
#
# $$\mathrm{PPL} = \mathbb{E} \Big[ \tfrac{1}{\epsilon^2} \, d\big( g(z_t),\, g(z_{t+\epsilon}) \big) \Big],
# \qquad z_t = (1-t)\, z_0 + t\, z_1, \quad t \sim \mathcal{U}(0, 1)$$
#
# with the decoder $g$ and a **perceptual distance** $d$: the squared distance between features, so that it counts what a viewer
# notices and not what a pixel does. ($\epsilon^2$, because a squared distance shrinks with the square of the step. For codes
# from a normal distribution one walks along an arc, `slerp`, and not along the straight line, `lerp`.)

# %%
from course_utils.metrics import perceptual_path_length
from course_utils.nets import lerp


def d(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (see(a).features - see(b).features).square().sum(dim=1)


def ends(encode) -> tuple[torch.Tensor, torch.Tensor]:
    z = over_batches(encode, test.x)
    return z, z.roll(1, dims=0)  # the neighbour in the list shows another digit


# %% tags=["M9"]
z0, z1 = ends(autoencoder.encode)
t, epsilon = torch.rand(1000, generator=torch.Generator().manual_seed(0)), 1e-2
steps = [over_batches(autoencoder.decode, lerp(z0, z1, t + shift)) for shift in (0, epsilon)]
my_ppl = (d(*steps) / epsilon**2).mean()
same_t = {"generator": torch.Generator().manual_seed(0), "epsilon": epsilon, "discard": 0}
library = perceptual_path_length(autoencoder.decode, d, z0, z1, interpolate=lerp, **same_t)
assert abs(my_ppl / library.mean - 1) < 0.01
print("The package's perceptual_path_length agrees.")

# %% [markdown]
# Five decoders walk between the same pairs of test images. The first has codes of 16 numbers. The second has only two, so ten
# digits are packed into a plane with sharp borders (and some digits do not survive: look at its first image). The third answers
# each code with the nearest *test image*, a real digit each time, and jumps from one to the next. The fourth cross-fades the
# pixels of the two images. The last always shows the mean of all digits.

# %%
test_codes = over_batches(autoencoder.encode, test.x)
plane = load_pretrained("autoencoder-2d-mnist", "cpu")
decoders = {
    "16-D codes": (autoencoder.decode, z0, z1),
    "2-D codes": (plane.decode, *ends(plane.encode)),
    "nearest image": (lambda z: test.x[torch.cdist(z, test_codes).argmin(dim=1)], z0, z1),
    "cross-fade": (lambda z: z.view(-1, 1, 28, 28).clamp(-1, 1), *ends(lambda x: x.flatten(1))),
    "always the mean": (lambda z: mean_image.expand(len(z), -1, -1, -1), z0, z1),
}
walk = torch.linspace(0, 1, 15)
with torch.inference_mode():
    show_rows({name: g(lerp(a[4:5], b[4:5], walk)) for name, (g, a, b) in decoders.items()}, scale=0.5)

# %% [markdown]
# We take three lengths of the step. (The package leaves the longest and the shortest 1 % of the paths out, as the paper's code does.
# The jumps of the third decoder are few and long, so here we keep all: `discard=0`.)

# %% tags=["M9", "nbval-ignore-output"]
epsilons = (0.1, 0.03, 0.01)
lengths = {
    name: [perceptual_path_length(g, d, a, b, interpolate=lerp, epsilon=e, discard=0).mean for e in epsilons]
    for name, (g, a, b) in decoders.items()
}
assert lengths["16-D codes"][-1] < 0.5 * lengths["2-D codes"][-1]
assert lengths["16-D codes"][-1] < 0.3 * lengths["nearest image"][-1]
assert lengths["nearest image"][-1] > 3 * lengths["nearest image"][0]
assert lengths["always the mean"] == [0, 0, 0]
table(["PPL with ε of", *epsilons], [[name, *row] for name, row in lengths.items()])

# %% [markdown]
# The smooth space of 16 numbers scores far lower than the rough one of two. For both the number settles as the step gets
# smaller. The decoder that jumps has no such limit: a jump is as long however short the step, so its number grows as $1/\epsilon$,
# although each single image that it shows is a perfect, real digit, which FID and precision could not fault.
#
# PPL in turn is blind to quality. The cross-fade, whose images show two digits at once, scores better than the
# autoencoder, and the decoder that ignores its code has a perfect 0.
#
# ## 10 · The laboratory
#
# Here you are the generator. Your 1,000 images are real digits; spoil them as you like, in several ways at once, and see what
# each metric says in comparison with the 1,000 test images. Try to find
#
# 1. a change that IS does not notice but FID does;
# 2. a set with a fine FID that repeats itself;
# 3. a change for the worse that FID takes for an improvement;
# 4. what the number of images alone does to each metric;
# 5. a set for which one outlier changes recall.

# %%
from course_utils.explorers import MetricsExplorer

MetricsExplorer(train[:1000], test, see)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# 1. 100 different images instead of 1,000: IS stays, FID rises to more than three times what it was.
# 2. The same set: its FID of about 0.8 is lower than that of the lightest blur, 2.8, but each image occurs ten times. Recall
#    says so (0: equal images have balls of radius 0), and so does coverage.
# 3. Take one class, then turn the noise up by one step: FID gets a little *better*, while precision falls to nearly nothing.
#    Both sets are far off; a little noise moves the features of the one class towards the middle of all. More noise moves
#    them out on the other side, and FID doubles.
# 4. FID grows as $N$ falls, for images that are as good as before. KID is unbiased: it scatters about 0, here by about ±20
#    (times 1000) at $N$ = 100. Precision and recall change little.
# 5. One class and 1,000 images: recall goes from 0 to almost a fifth. With all classes the same outlier changes next to
#    nothing, since the region is full already.
#
# </details>
#
# ## 11 · Which metric to trust for what
#
# | metric | fidelity | diversity | notices copies | what fools it | use it for |
# | --- | --- | --- | --- | --- | --- |
# | Inception Score | by certainty | between classes only | no | one image a class; an attack; data the classifier does not know | comparing with old papers |
# | FID | yes, mixed | yes, mixed | no | sharp-but-narrow equals broad-but-poor; few images | the one overall number; always at the same $N$ |
# | KID | yes, mixed | yes, mixed | no | as FID, but not few images | small sets |
# | precision | yes | no | no | only typical images; an outlier among the real ones | *why* FID is bad |
# | recall | needs it | yes | no | an outlier among the generated images | *why* FID is bad |
# | density, coverage | density | coverage | no | density: only typical images | the same, more robustly |
# | PPL | no | no | no | a decoder that ignores its code | comparing latent spaces |
# | distance to the nearest training image | no | no | yes | small changes of a copied image | before you claim novelty |
#
# All but the last row see the images through the eyes of one network, and share its blind spots. Three rules follow. Report an overall number *and* the two sides, with real against real beside them. Judge with features
# that fit your images. Look at the images: none of these numbers replaces it.
#
# ## 12 · Questions
#
# Think first, then unfold the answer.
#
# **1.** A model of ten classes has IS = 5.0. Name two quite different sets of images that both score 5.
#
# <details><summary>Answer</summary>
#
# Perfectly sharp images of five classes in equal parts: $p(y \mid x)$ is one bar, $p(y)$ is flat over five, and the KL
# divergence of each image is $\log 5$. Or all ten classes, each image read as one of two digits with 50 % each: the
# divergence is $\log 10 - \log 2 = \log 5$ too (if the pairs, such as 0 or 1, 2 or 3, are spread evenly, so that $p(y)$ is
# flat). IS cannot tell half the classes from half the certainty.
#
# </details>
#
# **2.** You generate twice as many images as you need and throw away the best-looking half. Can FID be lower for it?
#
# <details><summary>Answer</summary>
#
# Yes, if the best-looking ones are the usual ones, and without them mean and covariance of the rest are nearer to those of
# the data. FID never looks at one image. The opposite happens more often: keeping only the finest images (truncation, in
# notebook 05) raises precision, lowers recall, and often makes FID worse.
#
# </details>
#
# **3.** To test a program, someone takes all 10,000 training images as "generated", each once, and measures them against the
# same 10,000. It reports precision 0.93 and recall 0.95. What must the true values be?
#
# <details><summary>Answer</summary>
#
# 1 and 1: each copy lies at distance 0 from its original, inside the ball around it, in both directions. The reported numbers point to an error, perhaps different pre-processing of the two sets.
# That is a good test of any metric's implementation, and the package's tests contain it.
#
# </details>
#
# **4.** Why is recall of a generator that repeats ten images (without the outlier) exactly 0 in the laboratory, and not small?
#
# <details><summary>Answer</summary>
#
# With more than $k$ equal images, the $k$-th neighbour of each lies at distance 0, so all balls have radius 0 and hold nothing
# but the image itself. No real test image equals it. With 100 images, ten times each, it is 0 as well: here recall measures
# repetition.
#
# </details>
#
# **5.** You generate X-rays. Which of the metrics can you use as they are, and what has to change?
#
# <details><summary>Answer</summary>
#
# The formulas carry over, the features do not: a network that was trained on photographs looks for fur and wheels. Take
# features of a network that was trained on X-rays (for diagnosis, or without labels, as in notebook 03). IS also needs
# classes that mean something for the data. And keep a radiologist: what the features do not encode, no distance between
# them can see.
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | fidelity | 충실도 | how good single images are |
# | diversity | 다양성 | how varied the set is |
# | features, embedding | 특징, 임베딩 | a network's description of an image, a vector |
# | entropy | 엔트로피 | how spread out a distribution is |
# | Kullback-Leibler divergence | 쿨백-라이블러 발산 | how far one distribution is from another |
# | covariance | 공분산 | how the coordinates of a vector vary together |
# | Inception Score | 인셉션 스코어 (점수) | certainty of each image, breadth of all, in one number |
# | Fréchet Inception Distance | 프레셰 인셉션 거리 | distance between Gaussians fitted to features |
# | Kernel Inception Distance | 커널 인셉션 거리 | the same question by a kernel, without bias |
# | precision, recall | 정밀도, 재현율 | generated in the real region, real in the generated one |
# | kernel | 커널 | a function that says how alike two vectors are |
# | nearest neighbour | 최근접 이웃 | the closest of the other points |
# | manifold | 다양체 | the region that a set of images fills |
# | outlier | 이상치 | a point far from all others |
# | density, coverage | 밀도, 커버리지 | precision and recall with balls around real points only |
# | latent space | 잠재 공간 | the space in which the codes lie |
# | perceptual path length | 지각적 경로 길이 | how fast images change along a path |
# | mode collapse | 모드 붕괴 | a generator that makes only a few images |
#
# ## Read on
#
# - T. Salimans et al., *Improved techniques for training GANs*, NeurIPS 2016: Inception Score, section 4.
# - S. Barratt and R. Sharma, *A note on the Inception Score*, 2018: its limits, among them the attack.
# - M. Heusel et al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, NeurIPS 2017: FID.
# - M. Bińkowski et al., *Demystifying MMD GANs*, ICLR 2018: KID, and why FID is biased.
# - T. Kynkäänniemi et al., *Improved precision and recall metric for assessing generative models*, NeurIPS 2019.
# - M. Naeem et al., *Reliable fidelity and diversity metrics for generative models*, ICML 2020: density and coverage.
# - T. Karras, S. Laine, T. Aila, *A style-based generator architecture for generative adversarial networks*, CVPR 2019: PPL.
# - G. Stein et al., *Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models*,
#   NeurIPS 2023: people against metrics, and better features.
#
# Next: **03 · Autoencoders.** From here on every model of the course is measured with these tools.
