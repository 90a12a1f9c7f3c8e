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
# builds the measures that the field uses instead, **Inception Score**, **Fréchet Inception Distance**,
# **precision and recall** and **perceptual path length**, each from its formula in a few lines. Then it breaks every
# one of them, because you can only trust a number when you know how it fails.
#
# After this notebook you can
#
# 1. say why judging generated images is hard, and which two things a judgement has to cover;
# 2. write each of the four metrics from scratch, calculate small cases by hand, and explain every symbol;
# 3. build, for each metric, a set of bad images that it likes;
# 4. choose the metric that answers your question, and read a table of results in a paper with care.
#
# Marks such as (M1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the notebook if
# what the text claims does not hold. The notebook runs on a plain laptop without a GPU in less than three minutes
# and needs no network. You need to know what a classifier and a covariance are.

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
from course_utils.progress import counted
from course_utils.viz import show_images, show_rows, table

# %% [markdown]
# ## 1 · Why it is hard (M1)
#
# The real images here are `digits`: 4,000 handwritten digits to train on, 1,000 to test on, grey, 28×28 pixels, with
# values from −1 (black) to 1 (white). Below are ten of them, and ten that a model has made. The model is the
# **autoencoder** (오토인코더) of notebook 03. One half of it, the encoder, turns an image into a **code** (잠재 코드) of 16
# numbers; the other half, the decoder, draws an image from 16 numbers. To make something new we draw the 16 numbers at
# random and decode them. (This network, and the classifier below, come with the course. They have learned from 59,000
# digits of MNIST, our 4,000 among them, but not from our 1,000 test images.)


# %% alt="Ten real digits above ten generated ones. The generated ones are sharp in places, but several are fragments or mixtures of digits."
def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


train, test = load_images("digits", "train"), load_images("digits", "test")
autoencoder = load_pretrained("autoencoder-mnist", "cpu")
with torch.inference_mode():
    generated = autoencoder.sample(1000, generator=seeded(0)).clone()
show_rows({"real": test.x[:10], "generated": generated[:10]})

# %% [markdown]
# You see at once that the lower row is worse. How much worse? Three obvious ways to put a number on it all fail.
#
# ### There is no right answer to compare with (M1)
#
# Compare each image with a real one, pixel by pixel? Which one? Let us pick a real image and ask what comes closest to
# it in squared error $\lVert x - x' \rVert^2$, the sum of the squared differences over the pixels: another real image of
# the same digit, or the grey mean of all digits?

# %% tags=["M1", "nbval-ignore-output"] alt="Ten digits, another image of the same digit under each, and under that the mean of all digits, a grey smear." slide="Judged against one real image, the grey mean beats another image of the same digit"
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
# The grey smear wins. Anyone who judges by the distance to *one* right answer will prefer the mean to a perfect image,
# because there are many right answers and the blur lies between them. Generated images have to be judged as a **set**
# against a set.
#
# ### Against the training data a copy looks perfect (M1)
#
# So compare sets. We need numbers that describe an image better than its pixels do, and take the 128 **features** (특징)
# that a classifier of digits computes in its last hidden layer. `see` gives, for a batch of images, these features and
# the classifier's probabilities. A first, crude way to compare two sets is the *gap*, the squared distance between their
# mean features.

# %%
from course_utils.features import feature_extractor

see = feature_extractor("digits", "cpu")
seen, unseen = see(train.x), see(test.x)
print("features", tuple(unseen.features.shape), "probabilities", tuple(unseen.probs.shape))


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a.mean(dim=0) - b.mean(dim=0)).square().sum().item()


# %% [markdown]
# We split the training images at random into halves A and B of 2,000 and pretend that only A was there to learn from.
# Three "models" bring 2,000 images each: the first hands out copies of A; the second brings half B, *new* real digits;
# the third is the autoencoder (which in truth has learned from both halves and more). Each is compared with A and with
# the test images. One split says little about the test images, since chance favours one half or the other; for them we
# take the mean of ten splits.

# %%
splits = [torch.randperm(4000, generator=seeded(number)).split(2000) for number in range(10)]
half_a, half_b = splits[0]
with torch.inference_mode():
    many = see(autoencoder.sample(2000, generator=seeded(1))).features
brought = {"copies of A": seen.features[half_a], "half B: new real images": seen.features[half_b]}
brought["the autoencoder's samples"] = many

# %% tags=["M1", "nbval-ignore-output"] slide="Against the training data, a model that copies them looks perfect" slide_points="The held-out test images do not expose it either: a copy of a real image *is* a real image"
to_a = {name: gap(f, seen.features[half_a]) for name, f in brought.items()}
by_half = [[gap(seen.features[half], unseen.features) for half in split] for split in splits]
to_test = dict(zip(brought, torch.tensor(by_half).mean(dim=0).tolist(), strict=False))
to_test["the autoencoder's samples"] = gap(many, unseen.features)
assert to_a["copies of A"] < 0.001 * to_a["half B: new real images"]
assert 0.67 < to_test["copies of A"] / to_test["half B: new real images"] < 1.5
assert to_test["the autoencoder's samples"] > 10 * to_test["half B: new real images"]
table(["model", "gap to A", "gap to the test images"],
      [[name, to_a[name], to_test[name]] for name in brought])  # fmt: skip

# %% [markdown]
# The model that has learned nothing and copies everything has the perfect score, better than new real images. Judging
# against images that were held out does not expose it either (last column): the copies are about as close to the test
# images as new real images are. How could they not be? A *is* a set of real images.
#
# To find copies one has to look for them: for each image, take the distance to the nearest training image. Look for them
# cleverly, though. In the second row each copy is shifted by one pixel, and in the last two columns each image may be
# moved by up to a pixel in each direction before the nearest is sought.


# %%
def to_nearest(x: torch.Tensor, known: torch.Tensor = train.x) -> torch.Tensor:
    nearest = torch.cdist(x.flatten(1), known.flatten(1)).argmin(dim=1)
    return (x - known[nearest]).flatten(1).norm(dim=1)  # without the rounding of cdist


def over_shifts(x: torch.Tensor) -> torch.Tensor:
    moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return torch.stack([to_nearest(x.roll(move, dims=(2, 3))) for move in moves]).amin(dim=0)


# %%
suspects = {"copies": train.x[:500], "copies, shifted by one pixel": train.x[:500].roll(1, dims=3)}
suspects |= {"new real images": test.x[:500], "the autoencoder's samples": generated[:500]}
plain = {name: to_nearest(x) for name, x in suspects.items()}
shifted = {name: over_shifts(x) for name, x in suspects.items()}

# %% tags=["M1", "nbval-ignore-output"]
assert plain["copies"].max() == 0
assert plain["copies, shifted by one pixel"].median() > 0.8 * plain["new real images"].median()
assert shifted["copies, shifted by one pixel"].max() == 0
assert min(shifted["new real images"].min(), shifted["the autoencoder's samples"].min()) > 1
rows = [[name, *(f(row[name]).item() for row in (plain, shifted) for f in (torch.min, torch.median))]
        for name in suspects]  # fmt: skip
table(
    ["distance to the nearest training image", "smallest", "median", "over shifts: smallest", "over shifts: median"], rows
)  # fmt: skip

# %% [markdown]
# A plain copy lies at distance 0. Shift it by a pixel, and it lies as far from the training images as new real digits do
# and passes unnoticed, until we look for shifts. A copyist has many other disguises (a little noise, another contrast, a
# mirror), so "no copies found" always means "none of the kind that we looked for". Among these 4,000 images the
# autoencoder's samples have no original. It learned from 59,000 digits of MNIST, though, most of which we have not
# searched: a search for copies needs *all* the training data.
#
# ### People judge by taste, and only what they know (M1)
#
# Then let people judge. Ten of these twenty images are real; the others went through an autoencoder. Write the numbers
# of the ten that you take for real into the cell below the figure, and let a neighbour do the same.

# %% alt="Twenty digits in a row, numbered, under the question which ten are real. They are hard to tell apart." slide="Ten of these digits are real, ten went through an autoencoder: which?" slide_points="Two people, two lists: judgement by people is subjective, slow and expensive"
order = torch.randperm(20, generator=seeded(7))
pool = torch.cat([test.x[30:40], over_batches(autoencoder, test.x[30:40])])[order]
fig, ax = plt.subplots(figsize=(10, 1.1), layout="constrained")
show_images(pool, columns=20, title="which ten are real?", ax=ax)
ax.set_axis_on()
ax.set(xticks=[29 * i + 14 for i in range(20)], xticklabels=range(1, 21), yticks=[], xlabel="number")
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
plt.show()

# %%
mine: set[int] = set()  # for example {1, 4, 5, 8, 9, 11, 14, 15, 18, 20}
neighbours: set[int] = set()

real_ones = {i + 1 for i, n in enumerate(order.tolist()) if n < 10}
if mine and neighbours:
    print("right:", len(mine & real_ones), "and", len(neighbours & real_ones), "of 10")
    print("of ten marks each, both of you made", len(mine & neighbours))
else:
    print("Fill in both sets of marks and run this cell again.")

# %% [markdown]
# Guessing gets 5 of 10 right on average and shares 5 marks with a neighbour. How far above that are you, and how many of
# your marks does your neighbour share? Ask what each of you looked at: the edges of the strokes, or the shapes? (The
# answer: print `real_ones`.) Judgement by people is subjective, and it is slow and expensive.
#
# And it ends where their knowledge ends. You have read digits all your life. To see how a layman sees an X-ray, we
# shuffle the pixels of all images, each time in the same way:


# %% alt="Two rows, A and B, of ten images whose pixels were shuffled: white dots on black, in which nothing can be read." slide="With shuffled pixels we are laymen: which row is real?" slide_points="A classifier of digits guesses, too: fewer than one in five are right | A judge with 4,000 shuffled digits at hand names more than 85 % by the nearest: the information is there"
def shuffled(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1)[:, torch.randperm(784, generator=seeded(0))].view_as(x)


show_rows({"row A": shuffled(generated[:10]), "row B": shuffled(test.x[:10])})

# %% [markdown]
# Which row is real, A or B? (It is B.) Is the information gone, or are you just no expert? Ask two judges to name the
# digit. The first is the classifier above, an expert on digits that has never seen shuffled ones. The second is an expert in this field: it has 4,000 *shuffled* training images with their labels at hand and names the label of the nearest.

# %% tags=["M1", "nbval-ignore-output"]
known, asked = shuffled(train.x), shuffled(test.x)
by_layman = see(asked).probs.argmax(dim=1)
by_expert = train.y[torch.cdist(asked.flatten(1), known.flatten(1)).argmin(dim=1)]
right = {"expert on digits": by_layman, "expert on shuffled digits": by_expert}
right = {name: (answer == test.y).double().mean().item() for name, answer in right.items()}
assert right["expert on digits"] < 0.2
assert right["expert on shuffled digits"] > 0.85
table(["judge", "share of shuffled test images named correctly"], list(right.items()))

# %% [markdown]
# All the information is still there, but only for a judge who knows the field: the other one guesses (one in ten). The
# same holds for people and X-rays, and for a network that has only seen photographs.
#
# That is what we want metrics for: repeatable, and not tied to one person's eye. The price is that they see through the eye
# of a network and share its bias. Remember it; it comes back in sections 4 and 6.
#
# ## 2 · The two things to judge (M2)
#
# - **Fidelity** (충실도): is each single image good?
# - **Diversity** (다양성): are the images as varied as the real ones?
#
# Neither implies the other. Four sets of 1,000 images each, made from real training images, show all combinations: all
# digits or only 0, 1 and 2; sharp or blurred.

# %% alt="Four sets of digits: sharp and varied; sharp, but only 0, 1 and 2; blurred and varied; blurred and only 0, 1 and 2." slide="Fidelity and diversity: neither implies the other"
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
# - Fidelity, for now: the share of images that it reads with more than 95 % certainty.
# - Diversity, for now: how many classes the set holds. Let $p(y)$ be the mean of $p(y \mid x)$ over the images, and
#   $H(p) = -\sum_y p(y) \log p(y)$ its **entropy** (엔트로피). The number $e^{H(p)}$ is 10 where all ten classes are
#   equally frequent and 1 where there is only one.


# %%
def fidelity(probs: torch.Tensor) -> float:
    return (probs.max(dim=1).values > 0.95).double().mean().item()


def diversity(probs: torch.Tensor) -> float:
    return torch.special.entr(probs.mean(dim=0)).sum().exp().item()


# %%
looks = {name: see(x) for name, x in sets.items()}
good = {name: fidelity(look.probs) for name, look in looks.items()}
broad = {name: diversity(look.probs) for name, look in looks.items()}

# %% tags=["M2", "nbval-ignore-output"]
assert min(good["sharp, varied"], good["sharp, narrow"]) > 0.9
assert max(good["soft, varied"], good["soft, narrow"]) < 0.8
assert min(broad["sharp, varied"], broad["soft, varied"]) > 7
assert max(broad["sharp, narrow"], broad["soft, narrow"]) < 5
assert broad["soft, narrow"] > broad["sharp, narrow"] + 0.5
assert broad["soft, varied"] < broad["sharp, varied"] - 0.5
assert looks["soft, varied"].probs.mean(dim=0)[8] > 0.2
table(["set", "fidelity: share read with certainty", "diversity: classes"],
      [[name, good[name], broad[name]] for name in sets])  # fmt: skip

# %% [markdown] slide="Inception Score: be sure about each image, and undecided about the set" slide_formulas=[1] slide_points="A good image: $p(y \\mid x)$ is a single high bar | A varied set: $p(y)$, the mean of these, is flat | From 1 to the number of classes; higher is better"
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
# $x_1, \dots, x_N$ are the generated images. $D_{\mathrm{KL}}$, the **Kullback-Leibler divergence** (쿨백-라이블러 발산), is 0
# where $p = q$ and grows as they differ. The name comes from the classifier of the paper, the Inception network with its
# 1,000 classes of photographs. Ours has ten classes of digits; the formula is the same.

# %% alt="Bar charts for the four sets. Above, the classifier's answer to one image: a single high bar for the sharp sets, several for the soft ones. Below, its mean answer: flat over ten classes where the set is varied, three high bars where it is narrow." slide="Only the sharp, varied set has one high bar above and a flat floor below"
fig, axes = plt.subplots(2, 4, figsize=(8, 3.4), layout="constrained", sharey="row", sharex=True)
for (upper, lower), (name, look) in zip(axes.T, looks.items(), strict=True):
    uncertain = look.probs.max(dim=1).values.argsort()[len(look.probs) // 10]
    upper.bar(range(10), look.probs[uncertain])
    lower.bar(range(10), look.probs.mean(dim=0), color="C1", hatch="//", ec="white")
    upper.set(title=name, ylim=(0, 1))
    lower.set(xticks=range(10), ylim=(0, 0.4), xlabel="class y")
axes[0, 0].set_ylabel("p(y|x) of one image")
axes[1, 0].set_ylabel("p(y), mean of all")
plt.show()

# %% [markdown]
# Upper row: the classifier's answer to one image of each set, a rather uncertain one (it is less certain about only a tenth of the set). Lower row: its mean answer over the whole set. Only the first set has both, one high bar above and a flat floor below. Note the lower bars of
# the soft sets: blurred digits are often taken for an 8. In the narrow set such misreadings count as diversity; in the
# varied one they make $p(y)$ less flat.
#
# **By hand.** A classifier with two classes looks at four images. It is certain of two, with the answers (1, 0) and
# (0, 1), and undecided about the other two: (½, ½) both. What is IS? (Take $0 \log 0 = 0$.)
#
# <details><summary>Answer</summary>
#
# $p(y)$ is the mean of the four answers, (½, ½). The two undecided images have $p(y \mid x) = p(y)$, so their divergence
# is 0. Each of the other two has $1 \cdot \log (1 / \tfrac12) = \log 2$. The mean of the four is $\tfrac12 \log 2$, and
# $\mathrm{IS} = e^{\frac12 \log 2} = \sqrt 2 \approx 1.41$, halfway (on a logarithmic scale) between the worst, 1, and the best, 2.
#
# </details>
#
# In code it is three lines. The check compares it with the result by hand, and with the package on our four sets.

# %% slide="Inception Score from scratch: three lines, and a case by hand" slide_points="Four images, two classes: two answers are sure, (1, 0) and (0, 1), two are (½, ½) | By hand: $p(y)$ = (½, ½), and $\\mathrm{IS} = e^{\\frac12 \\log 2} = \\sqrt 2$" slide_code="def my_inception_score"
from course_utils.metrics import inception_score


def my_inception_score(p: torch.Tensor) -> float:
    p_y = p.mean(dim=0)  # (N, classes) -> (classes,)
    kl = (p * (p.clamp_min(1e-12) / p_y).log()).sum(dim=1)  # (N,)
    return kl.mean().exp().item()


# %% tags=["M3"]
four = torch.tensor([[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5]], dtype=torch.float64)
assert abs(my_inception_score(four) - 2**0.5) < 1e-6
for look in looks.values():
    ours = my_inception_score(look.probs.double())
    assert abs(ours / inception_score(look.probs, splits=1).mean - 1) < 1e-6
print("Three lines give what we found by hand, and what the package's inception_score says.")

# %% tags=["M3", "nbval-ignore-output"]
scores = {name: inception_score(look.probs, splits=1).mean for name, look in looks.items()}
assert scores["sharp, varied"] > 9
assert max(scores["sharp, narrow"], scores["soft, varied"], scores["soft, narrow"]) < 8
assert scores["soft, narrow"] > scores["sharp, narrow"]
table(["set", "IS (1 … 10)"], list(scores.items()))

# %% [markdown]
# It can be no lower than 1 and no higher than the number of classes, 10, and sharp, varied digits come close to that.
# It even takes "soft, narrow" for a little better than "sharp, narrow", because of the misreadings. (`splits=1` asks
# for the score of all images at once; with more splits the package scores parts, as the paper's code does, and reports
# their spread.)
#
# ## 4 · What Inception Score cannot see (M4)
#
# ### It only knows what its classifier was taught (M4)
#
# Turn the digits upside down, or print them black on white. They are as sharp and varied as before. And add some grey
# drawings of shapes, flawless ones:

# %% tags=["M4", "nbval-ignore-output"] alt="Ten digits; the same upside down; the same black on white; and grey drawings of shapes." slide="What its classifier was never taught, Inception Score misjudges"
shapes = load_images("scenes", "test", size=28, n=1000).x.mean(dim=1, keepdim=True)
unfamiliar = {
    "digits": test.x,
    "upside down": test.x.flip((2, 3)),
    "black on white": -test.x,
    "shapes": shapes,
}
unfamiliar_scores = {name: inception_score(see(x).probs, splits=1).mean for name, x in unfamiliar.items()}
assert unfamiliar_scores["upside down"] < 0.75 * unfamiliar_scores["digits"]
assert max(unfamiliar_scores["black on white"], unfamiliar_scores["shapes"]) < 4
show_rows({name: x[:10] for name, x in unfamiliar.items()})
table(["set", "IS"], list(unfamiliar_scores.items()))

# %% [markdown]
# Nothing was wrong with these images. The judge had never seen anything like them. The same happens when the Inception
# network, which was trained on photographs, scores faces, paintings or X-rays.
#
# ### One image per class is enough (M4)
#
# A generator that can make only ten images, one for each digit, has *collapsed* (**mode collapse**, 모드 붕괴). Take the
# training image of each class that the classifier is surest of, and repeat it a hundred times.

# %% tags=["M4", "nbval-ignore-output"] alt="Ten digits, one of each class, very clear: all that this generator can make." slide="Ten images, each repeated a hundred times, score higher than 1,000 real ones"
surest = [(seen.probs[:, digit] * (train.y == digit)).argmax() for digit in range(10)]
ten = train.x[torch.stack(surest)]
collapsed_score = inception_score(see(ten.repeat(100, 1, 1, 1)).probs, splits=1).mean
real_score = inception_score(unseen.probs, splits=1).mean
assert collapsed_score > max(9.95, real_score)
show_images(ten, title="all that this generator can make")
table(["set", "IS"], [["1,000 real digits", real_score], ["ten images, repeated", collapsed_score]])

# %% [markdown]
# Ten images beat a thousand real ones and reach the maximum, 10, to three digits. Diversity *within* a class is invisible: each image
# enters the formula only through its class probabilities.
#
# ### It looks at generated images only (M4)
#
# No real image occurs in the formula. Suppose the task is to generate digits that stand on their heads. A model that
# misses the point makes upright ones. Another does just what was asked:

# %% tags=["M4", "nbval-ignore-output"]
answers = {"misses the point: upright": train.x[:1000], "as wanted: upside down": train.x[:1000].flip((2, 3))}
answers = {name: see(x) for name, x in answers.items()}
their_scores = {name: inception_score(look.probs, splits=1).mean for name, look in answers.items()}
assert their_scores["misses the point: upright"] > 1.5 * their_scores["as wanted: upside down"]
table(["model", "IS"], list(their_scores.items()))

# %% [markdown]
# IS never learns what the task was. A metric that compares with real images of the task would, and the next section
# has one.
#
# ### It can be raised on purpose (M4)
#
# **Replay.** A "generator" that hands out training images scores as well as real data do, far above the autoencoder that
# tried to make something new. **Attack.** The score needs a classifier that is certain, not an image that shows
# something. So take pure noise, choose a class for each image, and walk *against* the gradient of the classifier's loss:
#
# $$x \leftarrow x - \eta \, \frac{\nabla_x \ell(x)}{\lVert \nabla_x \ell(x) \rVert}, \qquad \ell(x) = -\log p(y_{\text{chosen}} \mid x),$$
#
# where $\eta$ is the length of a step; after each step the pixels are clipped to [−1, 1]. The network, `judge`, is the one
# behind `see`.


# %%
judge = load_pretrained("classifier-mnist", "cpu")


def attack(x: torch.Tensor, chosen: torch.Tensor, steps: int, eta: float = 2.0) -> list[torch.Tensor]:
    path = [x]
    for _ in counted(range(steps), "steps of the attack"):
        x = path[-1].clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(judge(x), chosen, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
        path.append((x - eta * gradient / length[:, None, None, None]).detach().clamp(-1, 1))
    return path


noise = torch.rand(200, 1, 28, 28, generator=seeded(0)) * 2 - 1
path = attack(noise, torch.arange(200) % 10, steps=20)
attacked = [see(x) for x in counted(path, "steps looked at")]

# %% [markdown]
# For comparison the noise also moves in a random direction, as far as the attack has moved it. Clipping shortens such a move, so we lengthen it until the distances match. All sets in the table have 200 images.

# %%
under_attack = [inception_score(look.probs, splits=1).mean for look in attacked]
direction = torch.randn(noise.shape, generator=seeded(1))
wanted, scale = (path[-1] - noise).flatten(1).norm(dim=1), torch.ones(200)
for _ in range(20):
    drifted = (noise + scale[:, None, None, None] * direction).clamp(-1, 1)
    scale *= wanted / (drifted - noise).flatten(1).norm(dim=1)
away = to_nearest(path[-1])

# %%
rivals = {"the autoencoder's samples": see(generated[:200]), "test images": see(test.x[:200])}
rivals |= {"training images, replayed": see(train.x[:200]), "noise": attacked[0]}
rivals |= {"noise, moved at random": see(drifted), "noise, attacked": attacked[-1]}
rivals = {name: inception_score(look.probs, splits=1).mean for name, look in rivals.items()}

# %% tags=["M4", "nbval-ignore-output"]
assert ((drifted - noise).flatten(1).norm(dim=1) / wanted - 1).abs().max() < 0.01
assert max(rivals["noise"], rivals["noise, moved at random"]) < 1.5
assert rivals["noise, attacked"] > 9
assert away.min() > 2 * plain["new real images"].median()
replayed = rivals["training images, replayed"]
assert replayed > max(rivals["test images"] - 0.3, rivals["the autoencoder's samples"] + 1)
table(["200 images", "IS"], list(rivals.items()))

# %% [markdown]
# Move the slider through the attack, or press play. What do you see happen to the images, and what to the score?

# %% slide="Noise under attack: what does the score do?"
from course_utils.explorers import Explorer, Panel, Readout, Slider

shown = range(0, 21, 2)
ticks = [f"step {step} · IS {under_attack[step]:.1f}" for step in shown]
distances = [to_nearest(path[step]).median().item() for step in shown]
frames = torch.stack([path[step][:10] for step in shown])
frames = frames.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)  # enlarged
Explorer(
    [Slider("attack", ticks, play=True)],
    [Panel("ten of the 200 images", frames, ("attack",), columns=5)],
    [
        Readout("Inception Score ↑", under_attack[::2], ("attack",), maximum=10),
        Readout("distance to the nearest training image", distances, ("attack",)),
    ],
    title="Raising the score of noise",
    hint="Try: follow the attack. What does the score do, and what do the images do?",
    index=[len(shown) - 1],
)

# %% [markdown] slide="FID takes real and generated features each as a Gaussian, and compares the two" slide_formulas=[1] slide_points="Features $f(x)$ from a classifier: here 128 numbers an image | First term: how far apart the centres lie; second: how much the clouds differ in shape | In one dimension: $(\\mu_r - \\mu_g)^2 + (\\sigma_r - \\sigma_g)^2$"
# <details><summary>What you should have seen</summary>
#
# Ripples run through the noise, as in a woodcut, but no digit appears: even at the end each image is more than twice as
# far from all training images as a new real digit usually is. Yet the score climbs from the bottom to the top. (The
# ninth image hardly changes: the classifier took the noise for an 8 from the start.)
#
# </details>
#
# A metric that images have been optimised for no longer measures them.
#
# ## 5 · Fréchet Inception Distance (M5)
#
# The **Fréchet Inception Distance** (FID, 프레셰 인셉션 거리; Heusel et al., 2017) compares with real images. It uses the
# classifier only as a maker of features $f(x) \in \mathbb{R}^d$ ($d = 128$ here, 2,048 for the Inception network),
# describes the features of the real images by a Gaussian with mean $\mu_r$ and covariance $\Sigma_r$, those of the
# generated ones by a Gaussian with $\mu_g$ and $\Sigma_g$, and, despite its name, is the *square* of the **Fréchet distance** (프레셰 거리) between the two Gaussians:
#
# $$\mathrm{FID} = \lVert \mu_r - \mu_g \rVert^2 + \operatorname{tr}\big( \Sigma_r + \Sigma_g - 2\,(\Sigma_r \Sigma_g)^{1/2} \big)$$
#
# The first term, the gap of section 1, says how far apart the centres lie; the second, how much the clouds differ in
# shape. In one dimension, with standard deviations $\sigma$, it is simply $(\mu_r - \mu_g)^2 + (\sigma_r - \sigma_g)^2$,
# and where the coordinates are uncorrelated in both Gaussians these terms add up, one pair for each coordinate.
#
# **By hand.** Let $d = 1$. The features of two real images are 1 and 3, those of two generated ones 4 and 10. What is FID?
# (Variances have $N - 1$ in the denominator.)
#
# <details><summary>Answer</summary>
#
# $\mu_r = 2$ and $\mu_g = 7$. The variances are $1^2 + 1^2 = 2$ and $3^2 + 3^2 = 18$, so $\sigma_r = \sqrt 2$ and
# $\sigma_g = 3 \sqrt 2$. FID $= 5^2 + (2 \sqrt 2)^2 = 25 + 8 = 33$.
#
# </details>
#
# In code: the trace $\operatorname{tr}$ sums the diagonal, and $\operatorname{tr} (\Sigma_r \Sigma_g)^{1/2}$ is the sum of
# the square roots of the eigenvalues of $\Sigma_r \Sigma_g$. (They are real and not negative, except for rounding, which
# the code cuts off.)


# %%
from course_utils.metrics import fid


def my_fid(real: torch.Tensor, fake: torch.Tensor) -> float:
    real, fake = real.double(), fake.double()
    apart = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    cov_r, cov_g = torch.atleast_2d(real.T.cov()), torch.atleast_2d(fake.T.cov())
    cross = torch.linalg.eigvals(cov_r @ cov_g).real.clamp_min(0).sqrt().sum()
    return (apart + cov_r.trace() + cov_g.trace() - 2 * cross).item()


# %% tags=["M5"]
assert abs(my_fid(torch.tensor([[1.0], [3.0]]), torch.tensor([[4.0], [10.0]])) - 33) < 1e-6
for look in looks.values():
    ours = my_fid(unseen.features, look.features)
    assert abs(ours / fid(real=unseen.features, fake=look.features) - 1) < 1e-3
print("The code gives what we found by hand, and what the package's fid says in 128 dimensions.")

# %% [markdown]
# Now it judges sets of 1,000 images, always against the 1,000 test images: the four sets of section 2, then the copies,
# the new real images and the autoencoder's samples of section 1.

# %%
judged = {name: look.features for name, look in looks.items()}
judged |= {name: f[:1000] for name, f in brought.items()}
fids = {name: fid(real=unseen.features, fake=f) for name, f in judged.items()}

# %% tags=["M5", "nbval-ignore-output"]
assert fids["sharp, varied"] < 0.1 * min(fids["sharp, narrow"], fids["soft, varied"], fids["soft, narrow"])
assert 0.67 < fids["copies of A"] / fids["half B: new real images"] < 1.5
assert fids["the autoencoder's samples"] > 10 * fids["half B: new real images"]
table(["1,000 images", "FID to the test images"], list(fids.items()))

# %% [markdown]
# Of the four sets of section 2, "sharp, varied" is best by far. The high FID of the other three does not say whether a
# set is blurred or narrow. And FID cannot see copies: they score as new real images do.
#
# Now what misled IS in section 4: the ten images, repeated; the two models of the task "upside down", against test
# images that stand on their heads; and the attacked noise, of which there are only 200 images, beside as many real
# ones.

# %%
upside_down = see(test.x.flip((2, 3))).features
misled = {"ten images, repeated": (see(ten).features.repeat(100, 1), "test images", unseen.features)}
misled |= {name: (look.features, "upside down", upside_down) for name, look in answers.items()}
misled |= {
    "noise, attacked": (attacked[-1].features, "test images", unseen.features),
    "training images": (seen.features[:200], "test images", unseen.features),
}
misled_fids = {name: fid(real=real, fake=fake) for name, (fake, _, real) in misled.items()}

# %% tags=["M5", "nbval-ignore-output"] slide="Three things that misled Inception Score do not mislead FID: it looks at real images"
assert misled_fids["ten images, repeated"] > 10 * fids["sharp, varied"]
assert misled_fids["misses the point: upright"] > 5 * misled_fids["as wanted: upside down"]
assert misled_fids["noise, attacked"] > 10 * misled_fids["training images"]
table(["set", "images", "compared with", "FID"],
      [[name, len(fake), to, misled_fids[name]] for name, (fake, to, _) in misled.items()])  # fmt: skip

# %% [markdown]
# Three things that misled IS do not mislead FID: it sees that ten images are not all there is, which model missed the
# point, and that the attacked noise is not a digit. (An attack aimed at the features themselves is another matter.)
#
# The next figure shows what FID compares. Its axes are the two directions in which the real features vary most. Each panel shows the real test images (dots) and one other set (crosses). The ellipses are the fitted Gaussians, drawn at two standard deviations: solid for the real images, dashed for the other set.

# %% alt="Three scatter plots of features with an ellipse for each set. Other real images: the ellipses coincide. Blurred ones: the cloud has moved and shrunk. Three classes only: three clumps and a narrower, tilted ellipse." slide="Other real images share the ellipse; blurred ones, or three classes only, have another" slide_points="A high FID does not say what is wrong, and copies score about as well as new real images"
mean_r, cov_r = unseen.features.mean(dim=0), unseen.features.T.cov()
directions = torch.linalg.eigh(cov_r).eigenvectors[:, -2:].flip(1)  # (128, 2)
circle = torch.linspace(0, 2 * torch.pi, 100)
fig, axes = plt.subplots(1, 3, figsize=(9, 3.7), layout="constrained", sharex=True, sharey=True)
for ax, name in zip(axes, ("sharp, varied", "soft, varied", "sharp, narrow"), strict=True):
    for f, marker, line, label in ((unseen.features, ".", "-", "real"), (judged[name], "x", "--", name)):
        flat, color = (f - mean_r) @ directions, "C0" if label == "real" else "C1"
        # a circle, stretched by a root of the covariance
        ellipse = 2 * torch.stack([circle.cos(), circle.sin()], dim=1) @ torch.linalg.cholesky(flat.T.cov()).T
        ax.scatter(*flat[:300].T, s=9, marker=marker, lw=0.7, color=color, alpha=0.6)
        ax.plot(*(flat.mean(dim=0) + ellipse).T, color=color, ls=line, label=label)
    ax.set(title=f"real and “{name}”", xlabel="first direction")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
axes[0].set_ylabel("second direction")
plt.show()

# %% [markdown]
# Left, other real images: the ellipses nearly coincide. Middle, blurred ones: the cloud has moved and shrunk. Right,
# only three classes: three of the clumps, and an ellipse of another shape.
#
# The digits form several clumps, and their distribution is not Gaussian at all. FID sees only mean and covariance. To
# see what it misses, draw 1,000 points from one Gaussian with the mean and the covariance of the training features. They are not the features of any image.

# %%
centre, covariance = seen.features.double().mean(dim=0), seen.features.double().T.cov()
values, vectors = torch.linalg.eigh(covariance)
root = vectors * values.clamp_min(0).sqrt()  # root @ root.T is the covariance
drawn = (centre + torch.randn(1000, 128, generator=seeded(0), dtype=torch.float64) @ root.T).float()
clouds = {"real: 1,000 training images": seen.features[:1000], "points of one Gaussian": drawn}
cloud_fids = {name: fid(real=unseen.features, fake=f) for name, f in clouds.items()}
nearest = {name: to_nearest(f, seen.features[1000:]).median().item() for name, f in clouds.items()}
lowest, negative = seen.features.min().item(), (drawn < 0).any(dim=1).double().mean().item()
real_cloud, gaussian = clouds

# %% tags=["M5", "nbval-ignore-output"]
assert cloud_fids[gaussian] < 1.5 * cloud_fids[real_cloud]
assert nearest[gaussian] > 2 * nearest[real_cloud]
assert lowest >= 0
assert negative > 0.9
table(["set", "FID", "median distance to the nearest other training image (features)"],
      [[name, cloud_fids[name], nearest[name]] for name in clouds])  # fmt: skip

# %% [markdown]
# To FID these points are about as good as real images, although they lie far from the features of every real image. Nearly all the points even have negative coordinates, which the features of an image never have here.
#
# Now more and more damage of three kinds. FID should rise with each step.

# %%
base, grain = train.x[:1000], torch.randn(1000, 1, 28, 28, generator=seeded(2))
damage = {
    "blur (σ = 0, 0.5, 1, 1.5 pixels)": [blur(base, sigma) for sigma in (0, 0.5, 1, 1.5)],
    "noise (σ = 0, 0.2, 0.4, 0.6)": [(base + sigma * grain).clamp(-1, 1) for sigma in (0, 0.2, 0.4, 0.6)],
    "0, 2, 4, 6 classes left out": [train.x[train.y >= out][:1000] for out in (0, 2, 4, 6)],
}

# %% tags=["M5"]
curves = {
    kind: [fid(real=unseen.features, fake=see(x).features) for x in row]
    for kind, row in counted(damage.items(), "kinds of damage")
}
assert all((torch.tensor(curve).diff() > 0).all() for curve in curves.values())

# %% alt="FID, on a logarithmic scale, rises with each of three steps of damage, for blur, for noise and for classes left out."
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for marker, (kind, curve) in zip("os^", curves.items(), strict=True):
    ax.plot(curve, marker=marker, label=kind)
ax.set(xticks=range(4), xlabel="step of the damage", ylabel="FID (logarithmic)", yscale="log")
ax.legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# It does, for all three kinds, including the classes left out. Such tests, in the paper too, made FID the standard. They compare
# steps of one kind of damage only; whether noise or blur is worse depends on the network (section 6).
#
# ## 6 · FID in practice (M5)
#
# You read "our model reaches FID 2.1" in a paper. What can you compare it with? Three experiments, and then the rules.
#
# ### The number of images (M5)
#
# In the next figure both sets are real digits, drawn at random from the same training set; no generator can do better.
# Beside FID stands a relative, the **Kernel Inception Distance** (KID, 커널 인셉션 거리; Bińkowski et al., 2018). A **kernel**
# (커널) $\kappa(f, f')$ says how alike two features are, here $(f \cdot f' / d + 1)^3$. Two sets agree when pairs across
# the sets are as alike as pairs within each:
#
# $$\mathrm{KID} = \operatorname{mean} \kappa(f_r, f_r') + \operatorname{mean} \kappa(f_g, f_g') - 2 \operatorname{mean} \kappa(f_r, f_g),$$
#
# with the means over pairs of different images. Where both sets come from one source it is 0 on average, however many
# images there are.

# %%
from course_utils.metrics import kernel_inception_distance

draw, numbers = seeded(3), (100, 200, 500, 1000, 2000)
fid_floor, kid_floor = torch.empty(5, 16), torch.empty(5, 16)
for row, n in enumerate(numbers):
    for column in counted(range(16), f"pairs of {n} images"):
        a, b = seen.features[torch.randperm(4000, generator=draw)[: 2 * n]].split(n)
        fid_floor[row, column] = fid(real=a, fake=b)
        kid = kernel_inception_distance(real=a, fake=b, subsets=1, subset_size=n)
        kid_floor[row, column] = 1000 * kid.mean

# %% tags=["M5"]
lightly_blurred = fid(real=unseen.features, fake=see(damage["blur (σ = 0, 0.5, 1, 1.5 pixels)"][1]).features)
assert fid_floor[0].mean() > 2 * lightly_blurred
assert fid_floor[0].mean() > 5 * fid_floor[-1].mean()
assert (kid_floor.mean(dim=1).abs() < 3 * kid_floor.std(dim=1) / 4).all()  # of 16 draws
assert kid_floor[0].std() > 5 * kid_floor[-1].std()

# %% alt="Two charts of real images against other real images. FID falls as the number of images grows, and for few it lies above the line of a blurred set. KID stays around zero, with wide bars for few images." slide="Real against real: FID punishes small sets, KID stays around zero" slide_points="Counted unequally, 100 perfect images lose to 1,000 slightly blurred ones"
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
for ax, name, values in zip(axes, ("FID", "KID, times 1,000"), (fid_floor, kid_floor), strict=True):
    ax.errorbar(numbers, values.mean(dim=1), values.std(dim=1), marker="o", capsize=3)
    ax.axhline(0, color="grey", lw=0.5)
    ax.set(title="real against real", xscale="log", xlabel="images in each set, N", ylabel=name)
    ax.set_xticks(numbers, numbers)
    ax.minorticks_off()
axes[0].axhline(lightly_blurred, color="C1", ls="--")
axes[0].annotate("blur, σ = 0.5, N = 1,000", (560, lightly_blurred + 0.08), color="C1", fontsize=8)
plt.show()

# %% [markdown]
# The bars show the spread (one standard deviation) of sixteen draws. The FID of *perfect* samples rises as their number falls. With 100 images it is more than twice as high as that of 1,000 *blurred* images (dashed line): counted unequally, perfect images lose to blurred ones. (The errors of the estimated
# means and covariances enter as squares: they never cancel, and they grow as N falls.) KID scatters widely where images
# are few, but around 0, as it should: it is **unbiased** (불편).
#
# ### How the images were resized (M5)
#
# The Inception network wants images of 299×299 pixels, so every image is resized on the way, and libraries do that in
# different ways. Here are 1,000 real digits, reduced to 14×14 in three ways and enlarged again in one. Two of the three
# go by the name "bilinear": the first weighs 4×4 pixels, as **antialiasing** (안티에일리어싱) asks, the second only the
# nearest 2×2. The third keeps every second pixel.


# %%
def through_14(x: torch.Tensor, **options) -> torch.Tensor:
    small = torch.nn.functional.interpolate(x, size=14, **options)
    return torch.nn.functional.interpolate(small, size=28, mode="bilinear").clamp(-1, 1)


# %%
resized = {
    "antialiased, 4 × 4": through_14(base, mode="bilinear", antialias=True),
    "bilinear, 2 × 2": through_14(base, mode="bilinear"),
    "every second pixel": through_14(base, mode="nearest"),
}

# %% tags=["M5", "nbval-ignore-output"] alt="The same ten digits reduced and enlarged in three ways. The rows differ only in how soft the strokes are." slide="The same images, resized in other ways, differ more to FID than two sets of real digits"
by_filter = {name: see(x).features for name, x in resized.items()}
from_antialiased = {name: fid(real=by_filter["antialiased, 4 × 4"], fake=f) for name, f in by_filter.items()}
assert (
    min(from_antialiased["bilinear, 2 × 2"], from_antialiased["every second pixel"])
    > 3 * cloud_fids[real_cloud]
)
show_rows({name: x[:10] for name, x in resized.items()})
table(["the same 1,000 images, resized", "FID to those antialiased"], list(from_antialiased.items()))

# %% [markdown]
# The rows differ a little in softness, and they *are* the same images. Still FID reports a difference several times
# as large as between two sets of different real digits (first row of the last table of section 5). A model can win or
# lose a comparison by the resizing of its evaluation. *clean-fid* (Parmar et al., 2022) is a library that always
# does this step in the same way, with antialiasing.
#
# ### Whose features (M5)
#
# FID is a formula; any network can supply the features. Take three judges: the classifier; the code of the *denoising*
# autoencoder of notebook 03, which was trained to see through noise; and the code of the very autoencoder whose samples
# are on trial.

# %%
denoiser = load_pretrained("denoising-autoencoder-mnist", "cpu")
judges = {
    "classifier (128)": lambda x: see(x).features,
    "denoising autoencoder (16)": lambda x: over_batches(denoiser.encode, x),
    "the autoencoder itself (16)": lambda x: over_batches(autoencoder.encode, x),
}
on_trial = {"real training images": base, "blur, σ = 1": blur(base, 1.0)}
on_trial |= {"noise, σ = 0.4": (base + 0.4 * grain).clamp(-1, 1), "the autoencoder's samples": generated}
verdicts = {
    judge: {name: fid(real=embed(test.x), fake=embed(x)) for name, x in on_trial.items()}
    for judge, embed in counted(judges.items(), "judges")
}

# %% tags=["M5", "nbval-ignore-output"] slide="To one network noise is far worse than blur, to another it is harmless"
by_classifier, by_denoiser, by_itself = verdicts.values()
assert by_classifier["noise, σ = 0.4"] > 3 * by_classifier["blur, σ = 1"]
assert by_denoiser["noise, σ = 0.4"] < 0.7 * by_denoiser["blur, σ = 1"]
assert by_denoiser["noise, σ = 0.4"] < 1.2 * by_denoiser["real training images"]
assert by_denoiser["the autoencoder's samples"] < 1.1 * by_denoiser["real training images"]
assert by_classifier["the autoencoder's samples"] > 5 * by_classifier["real training images"]
assert by_itself["the autoencoder's samples"] < by_itself["real training images"]
table(["FID to the test images, by", *verdicts],
      [[name, *(row[name] for row in verdicts.values())] for name in on_trial])  # fmt: skip

# %% [markdown] slide="An FID is a number only together with its recipe" slide_points="The recipe: network, resizing, reference images, number of images | *No FID of this course can be compared with one in a paper* | Equal $N$, and real against real beside it | Whether an image fits its text, FID does not ask: CLIPScore does"
# Read it by columns; the scales have nothing to do with each other. To the classifier, noise is far worse than blur. To the
# denoising autoencoder it is harmless, hardly different from real images, because that network has learned not to see it.
#
# Both autoencoders take the samples for real: to the denoising one they are as good as real images, to the autoencoder
# itself *better*. A short code keeps little of what makes a sample look broken. And never let a model be its own judge.
#
# ### The rules (M5)
#
# - **An FID is a number only together with its recipe**: network, resizing, reference images (training or test set?), and
#   the number of images. Ours use a classifier of digits with 128 features and 1,000 images. Papers use 2,048 features of
#   an Inception network trained on photographs and 50,000 images. *No FID of this course can be compared with one in a
#   paper*, and FIDs from two papers only if their recipes agree.
# - **Equal N**, and real against real beside it, so that the reader knows what a perfect model would get.
# - **Other features.** Inception's 1,000 classes of photographs make it blind to much. In pictures of faces it
#   responds to hats and ties (Kynkäänniemi et al., 2023). Newer work takes features of networks trained without labels, such as *DINOv2*,
#   which agree better with people (Stein et al., 2023), or of *CLIP*, which was trained on images with their captions,
#   with a kernel distance like KID (CMMD; Jayasumana et al., 2024).
# - **Does the image fit the text?** FID does not know the caption. *CLIPScore* (Hessel et al., 2021) does: with CLIP's
#   vectors $c$ of the caption and $v$ of the image it is $2.5 \max(\cos(c, v), 0)$, averaged over the images. It judges
#   single images and says nothing about diversity.
# - **How alike are two images?** That is another question again, with another tool, *LPIPS* (section 10).
#
# ## 7 · What FID cannot tell (M6)
#
# FID is one number for two things. Two models can then have the same FID for opposite reasons. The first makes sharp
# digits, but only 0 to 6. The second is the autoencoder: all digits, many of them broken. Its codes are drawn from a Gaussian with mean `code_mean`; `code_factor` is a matrix square root of its covariance. We multiply each deviation from the mean by a factor $s$: the farther $s$ rises above 1, the worse the images. We look for the $s$ at which both models have the same FID, by halving
# an interval.

# %%
narrow = train.x[train.y < 7][:1000]
narrow_look = see(narrow)
target = fid(real=unseen.features, fake=narrow_look.features)
eps = torch.randn(1000, 16, generator=seeded(0)) @ autoencoder.code_factor.T


def wide(s: float) -> torch.Tensor:
    return over_batches(autoencoder.decode, autoencoder.code_mean + s * eps)


# %%
low, high = 1.2, 4.0
for _ in counted(range(9), "halvings"):
    s = (low + high) / 2
    poor = wide(s)
    poor_look = see(poor)
    too_good = fid(real=unseen.features, fake=poor_look.features) < target
    low, high = (s, high) if too_good else (low, s)

# %%
pair = {"0 to 6 only": narrow_look, "broken, all digits": poor_look}
pair_fid = {name: fid(real=unseen.features, fake=look.features) for name, look in pair.items()}
pair_good = {name: fidelity(look.probs) for name, look in pair.items()}
pair_broad = {name: diversity(look.probs) for name, look in pair.items()}

# %% tags=["M6", "nbval-ignore-output"] alt="Above, digits from 0 to 6 only, well drawn; below, all digits, many of them broken." slide="Two models with the same FID: one sharp but narrow, one varied but broken"
assert abs(pair_fid["0 to 6 only"] / pair_fid["broken, all digits"] - 1) < 0.02
assert pair_good["0 to 6 only"] > pair_good["broken, all digits"] + 0.3
assert pair_broad["broken, all digits"] > pair_broad["0 to 6 only"] + 1
show_rows({"0 to 6 only": narrow[:12], "broken, all digits": poor[:12]}, scale=0.5)
table([f"model (s = {s:.2f})", "FID", "fidelity", "diversity"],
      [[name, pair_fid[name], pair_good[name], pair_broad[name]] for name in pair])  # fmt: skip

# %% [markdown] slide="Precision: how much of what was marked is right. Recall: how much was found" slide_formulas=[1] slide_points="TP: 3s that the detector of 3s marks | FP: other digits that it marks; FN: 3s that it misses"
# To FID the two are the same. The simple measures of section 2 tell them apart, but they only know the ten classes. The
# next section builds measures of fidelity and diversity that need no classes at all.
#
# ## 8 · Precision and recall (M7)
#
# ### The kind you know (M7)
#
# A detector for the digit 3 marks some of the images. With TP (true positives, 참 양성), the 3s that it marks, FP (false
# positives, 거짓 양성), other digits that it marks, and FN (false negatives, 거짓 음성), the 3s that it misses:
#
# $$\text{precision (정밀도)} = \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FP}}, \qquad \text{recall (재현율)} = \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FN}}.$$
#
# Precision asks how much of what was marked is right; recall, how much of what should be marked was. Our detector marks a test image if the classifier gives the 3 a probability above a threshold, strict or generous. (We add noise to the images; otherwise it would hardly ever err.)

# %%
grainy = (test.x + 0.4 * torch.randn(test.x.shape, generator=seeded(0))).clamp(-1, 1)
belief, is_three = see(grainy).probs[:, 3], test.y == 3
detectors = {}
for threshold in (0.5, 0.02):
    marked = belief > threshold
    tp, fp, fn = (is_three & marked).sum(), (~is_three & marked).sum(), (is_three & ~marked).sum()
    detectors[threshold] = [(tp / (tp + fp)).item(), (tp / (tp + fn)).item()]

# %% tags=["M7", "nbval-ignore-output"]
assert detectors[0.5][0] == 1 > 0.9 > detectors[0.02][0]
assert detectors[0.02][1] > 0.75 > detectors[0.5][1]
table(["threshold", "precision", "recall"], [[str(threshold), *row] for threshold, row in detectors.items()])

# %% [markdown] slide="For images: balls that reach to the third neighbour turn points into a region" slide_formulas=[1, 2]
# What the strict detector marks is here always a 3 (a precision of 1.00), but it misses many of them; the generous one finds more and errs more.
#
# ### The generative kind (M7)
#
# The real images fill some region of the space of features, the generated ones another. Ask the same two questions of
# these regions:
#
# - **precision**: the share of generated images that lie in the *real* region: fidelity;
# - **recall**: the share of real images that lie in the *generated* region: diversity.
#
# The idea is due to Sajjadi et al. (2018). They group the features of both sets into clusters and compare how often each
# set falls into each cluster, which gives not one pair of numbers but a whole curve of trade-offs. Most papers today
# report the following, simpler version.
#
# ### Made exact: balls around neighbours (M7)
#
# A set of points has no region yet. *Improved precision and recall* (Kynkäänniemi et al., 2019) gives it one: around
# each point a ball that reaches to its $k$-th **nearest neighbour** (최근접 이웃; $k = 3$), and the region, or **manifold**
# (다양체), is the union of all balls. For a set $\Phi$ of features and the distance $r_k(\phi)$ from $\phi \in \Phi$ to
# its $k$-th nearest neighbour in $\Phi$:
#
# $$\operatorname{inside}(f, \Phi) = \begin{cases} 1 & \lVert f - \phi \rVert \le r_k(\phi) \text{ for some } \phi \in \Phi \\ 0 & \text{otherwise} \end{cases}$$
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
from course_utils.metrics import precision_recall

exact = unseen.features.double()
for look in looks.values():
    fake = look.features.double()
    library = precision_recall(real=exact, fake=fake)
    assert abs(inside(fake, exact).double().mean() - library.precision) < 0.01
    assert abs(inside(exact, fake).double().mean() - library.recall) < 0.01
print("Two lines, and the package's precision_recall agrees.")

# %% [markdown]
# Our four sets in the plane of the two numbers, together with the autoencoder's samples and the two models that FID could
# not tell apart:

# %% tags=["M7"]
placed = {name: look.features for name, look in (looks | pair).items()}
placed["autoencoder"] = see(generated).features
places = {name: precision_recall(real=unseen.features, fake=f) for name, f in placed.items()}
assert places["sharp, narrow"].precision > 0.7 > 0.5 > places["soft, varied"].precision
assert places["sharp, varied"].recall > places["sharp, narrow"].recall + 0.3
assert max(places["soft, varied"].recall, places["soft, narrow"].recall) < 0.2
assert places["0 to 6 only"].precision > places["broken, all digits"].precision + 0.2
assert places["broken, all digits"].recall > places["0 to 6 only"].recall + 0.1

# %% alt="Seven sets placed by recall and precision. Sharp and varied is at the upper right; sharp and narrow is as high, but farther left; the broken set is farther right, but lower; both soft sets are at the lower left." slide="Precision and recall set apart two models of the same FID"
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for marker, (name, place) in zip("osD^vP*", places.items(), strict=True):
    ax.scatter(place.recall, place.precision, s=50, marker=marker)
    dy = {"sharp, varied": 13, "0 to 6 only": -13}.get(name, 0)
    side = "center" if dy else "right" if place.recall > 0.7 else "left"
    offset = {"center": 0, "right": -8, "left": 8}[side], dy
    ax.annotate(
        name, (place.recall, place.precision), offset, textcoords="offset points", ha=side, va="center"
    )
ax.set(xlabel="recall: diversity", ylabel="precision: fidelity", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
plt.show()

# %% [markdown]
# Higher is sharper; farther right is more varied, provided that the images look real to the network. "0 to 6 only" and
# "broken, all digits", which had the same FID, stand far apart. The soft sets are low *and* far left, even the one with all ten digits: blurred features leave the real region, and the region they fill holds hardly any sharp image. And
# note where "sharp, varied" stands: real images, and yet not at (1, 1).
#
# See the balls at work. The points are a toy set in the plane: real features are dots, generated ones squares. Those
# under test are filled where they lie inside a ball, hollow where not. Upper row: balls around the real points; the
# share of squares inside is the precision. Lower row: balls around the generated points; the share of dots inside is
# the recall.


# %%
from matplotlib.collections import EllipseCollection


def draw_balls(ax, real: torch.Tensor, fake: torch.Tensor, k: int, around_real: bool) -> float:
    centres, others = (real, fake) if around_real else (fake, real)
    diameter = 2 * torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values.numpy()
    hit = inside(others, centres, k)
    (mark, tint), (mark_of_others, tint_of_others) = (("o", "C0"), ("s", "C1"))[:: 1 if around_real else -1]
    place = {"units": "xy", "offsets": centres.numpy(), "offset_transform": ax.transData}
    for look in ({"fc": tint, "alpha": 0.15, "lw": 0}, {"fc": "none", "ec": tint, "alpha": 0.5, "lw": 0.6}):
        ax.add_collection(EllipseCollection(diameter, diameter, 0, **place, **look))
    ax.scatter(*centres.T, s=5, marker=mark, color=tint)
    ax.scatter(*others[hit].T, s=14, marker=mark_of_others, color=tint_of_others, ec="black", lw=0.6)
    ax.scatter(*others[~hit].T, s=14, marker=mark_of_others, facecolors="none", edgecolors=tint_of_others)
    ax.set(xlim=(-7, 9), ylim=(-5, 4.6), xticks=[], yticks=[], aspect="equal")
    return hit.double().mean().item()


# %%
toy = seeded(4)
real_points, cloud = torch.randn(50, 2, generator=toy), 0.3 * torch.randn(50, 2, generator=toy)
outliers = ("none", "among the real", "among the generated")


def toy_sets(shift: float, outlier: str) -> tuple[torch.Tensor, torch.Tensor]:
    fake = cloud + torch.tensor([shift, 0.0])
    if outlier == "among the generated":
        return real_points, torch.cat([fake, torch.tensor([[-3.5, -1.5]])])
    if outlier == "among the real":
        return torch.cat([real_points, torch.tensor([[6.0, -1.5]])]), fake
    return real_points, fake


# %% tags=["M7"] alt="Eight plots of a real and a generated cloud with balls around the points of one of them. A narrow cloud has high precision and low recall; a moved one has neither; one outlier's huge ball swallows many points and raises a score." slide="A narrow cloud has high precision, lower recall; one outlier's huge ball raises a score"
stories = {"a narrow cloud": (0.0, "none"), "the same, moved": (4.0, "none"),
           "one generated outlier": (0.0, outliers[2]), "moved, one real outlier": (4.0, outliers[1])}  # fmt: skip
fig, axes = plt.subplots(2, 4, figsize=(10, 4.1), layout="constrained")
told = {}
for column, (name, story) in zip(axes.T, stories.items(), strict=True):
    told[name] = [draw_balls(ax, *toy_sets(*story), 3, ax is column[0]) for ax in column]
    column[0].set_title(f"{name}\nprecision {told[name][0]:.2f}")
    column[1].set(title=f"recall {told[name][1]:.2f}", xlabel="feature 1")
axes[0, 0].set_ylabel("balls: real\nfeature 2")
axes[1, 0].set_ylabel("balls: generated\nfeature 2")
assert told["a narrow cloud"][0] > 0.9 > 0.5 > told["a narrow cloud"][1]
assert max(told["the same, moved"]) < 0.25
assert told["one generated outlier"][1] > told["a narrow cloud"][1] + 0.1
assert told["moved, one real outlier"][0] > told["the same, moved"][0] + 0.5
plt.show()

# %% [markdown]
# First column: the generated cloud is narrow but lies in the midst of the real one, so precision is high and recall low.
# Second: moved away, both are low. Third: one generated outlier. Even its nearest neighbours are far, so its ball is huge
# and swallows many real points: recall rises although nothing got better. Fourth: an outlier among the *real*
# points does the same to precision. (Its ball goes on beyond the picture.)
#
# Now play with them: move the generated cloud, change $k$, add an outlier. Which number falls first as the cloud moves?
# What does a larger $k$ do to both?

# %%
import numpy as np
from matplotlib.figure import Figure

from course_utils.explorers import Choice
from course_utils.viz import chart

shifts, ks = (0.0, 1.0, 2.0, 3.0, 4.0), (1, 3, 5)
settings = [(shift, k, outlier) for shift in shifts for k in ks for outlier in outliers]
frames, shares = {True: [], False: []}, {True: [], False: []}
for shift, k, outlier in counted(settings, "settings"):
    for around_real in (True, False):
        fig = Figure(figsize=(2.5, 1.75), layout="constrained")
        ax = fig.subplots()
        shares[around_real].append(draw_balls(ax, *toy_sets(shift, outlier), k, around_real))
        ax.set_xlabel("feature 1", fontsize=8)
        ax.set_ylabel("feature 2", fontsize=8)
        frames[around_real].append(chart(fig))

# %% slide="Shift the cloud, add an outlier: what notices it?"
controls = [Slider("shift of the generated cloud", shifts), Slider("k", ks), Choice("outlier", outliers)]
by, sizes = tuple(control.name for control in controls), (len(shifts), len(ks), len(outliers))
panels = [
    Panel(title, np.reshape(frames[around_real], sizes), by)
    for title, around_real in (
        ("balls around the real points", True),
        ("balls around the generated points", False),
    )
]
readouts = [
    Readout(name, torch.tensor(shares[around_real]).unflatten(0, sizes), by, maximum=1)
    for name, around_real in (("precision ↑", True), ("recall ↑", False))
]
Explorer(
    controls,
    panels,
    readouts,
    index=[0, 1, 0],
    colors=64,
    title="Manifolds of balls",
    hint="Try: shift the cloud away, then add an outlier: which of the two numbers notices what?",
)

# %% tags=["M7"]
values = {
    name: torch.tensor(shares[key]).view(sizes) for name, key in (("precision", True), ("recall", False))
}
by_shift = {name: value[:, 1, 0] for name, value in values.items()}  # k = 3, no outlier
assert by_shift["precision"][2] > 0.95 * by_shift["precision"][0]
assert by_shift["recall"][2] < 0.3 * by_shift["recall"][0]
assert all((value.diff(dim=1) >= 0).all() for value in values.values())  # k = 1, 3, 5
print("The answers below were checked against the numbers of this explorer.")

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Recall falls first: after two steps to the right it has lost three quarters, precision nothing. A larger $k$ makes all
# balls larger, and neither number can fall.
#
# </details>
#
# ## 9 · What precision and recall cannot see (M8)
#
# ### One outlier inflates the manifold (M8)
#
# The same with real digits. A generator makes nothing but ones: precise, with almost no recall. Now replace some of its 400
# images by pure noise. Beside precision and recall stands FID.

# %%
only_ones = seen.features[train.y == 1][:400]
junk, counts = see(noise[:20]).features, (0, 1, 2, 3, 4)
spoiled = {n: torch.cat([only_ones[: 400 - n], junk[:n]]) for n in counts}
with_junk = {
    n: (*precision_recall(real=unseen.features, fake=f), fid(real=unseen.features, fake=f))
    for n, f in spoiled.items()
}

# %% tags=["M8", "nbval-ignore-output"] slide="One image of noise among 400 lifts recall above one half; FID hardly moves"
assert with_junk[0][1] < 0.2
assert with_junk[1][1] > 0.5
assert max(abs(with_junk[n][2] / with_junk[0][2] - 1) for n in counts) < 0.1
assert with_junk[4][1] < 0.2
assert with_junk[4][2] < with_junk[1][2] < with_junk[0][2]
table(["images of noise among 400", "precision", "recall", "FID"],
      [[n, *row] for n, row in with_junk.items()])  # fmt: skip

# %% [markdown]
# A single image of noise lifts recall from one tenth to more than half, as if the model could also make all the other digits. The noise lies so far from the 1s that its ball covers most of the real images. With four of them recall is back where it was: each now has $k = 3$
# neighbours among the junk, and their balls are small. FID changes by less than a tenth, and in
# the wrong direction.
#
# ### Moving a few embeddings moves the score (M8)
#
# An outlier of pure noise would be noticed by eye. So do it without one. Take four of the 400 ones, one per cent, and move
# their **embeddings** (임베딩; another word for features) step by step to the places of four real training images of *other*
# digits. At the end every embedding is that of a flawless real digit. We draw the four at random, three times.


# %%
def with_four_moved(draw: int, way: float) -> torch.Tensor:
    g, others = seeded(draw), seen.features[train.y != 1]
    four, places_of_others = (
        torch.randperm(400, generator=g)[:4],
        torch.randperm(len(others), generator=g)[:4],
    )
    moved = only_ones.clone()
    moved[four] += way * (others[places_of_others] - moved[four])
    return moved


ways = torch.linspace(0, 1, 5)
after = [[with_four_moved(draw, way) for way in ways] for draw in range(3)]
recalls = torch.tensor(
    [[precision_recall(real=unseen.features, fake=f).recall for f in row] for row in after]
)

# %% tags=["M8"]
four_fids = torch.tensor([[fid(real=unseen.features, fake=f) for f in row] for row in after])
assert (recalls[:, -1] > recalls[:, 0] + 0.25).all()
assert ((four_fids[:, -1] / four_fids[:, 0] - 1).abs() < 0.1).all()

# %% alt="Recall against how far four of 400 embeddings were moved: in all three draws it rises from little to more than half." slide="Four of 400 embeddings, moved to other digits, lift recall in all three draws" slide_points="At the end each is the embedding of a flawless real digit | Lonely points have large balls | FID changes by less than a tenth"
fig, ax = plt.subplots(figsize=(4.5, 2.8), layout="constrained")
for draw, marker in enumerate("os^"):
    ax.plot(ways, recalls[draw], marker=marker, label=f"draw {draw + 1}")
ax.set(xlabel="share of the way moved (four of 400)", ylabel="recall", ylim=(0, 1))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# One per cent of the embeddings decides what recall says about the whole set. Four lonely points have large balls,
# because their nearest neighbours are far, and each covers many real digits. So recall answers "does each real image
# lie near *some* generated image, however few those are?" rather than "how much of the data does the model make?"
#
# ### The same distribution does not score 1 (M8)
#
# Draw two sets of 1,000 from the same source. Precision and recall of the one against the other ought to be 1, since
# nothing can be more alike. Three sources: the features of real training images, normal random points in the plane, and
# normal random points in 128 dimensions. Each is drawn three times, and the table shows the mean.
#
# Beside precision and recall it shows two remedies. **Density** (밀도) and **coverage** (커버리지; Naeem et al., 2020) use
# balls around *real* points only, so nothing among the generated images can widen a ball:
#
# - density: in how many real balls a generated image lies, on average, divided by $k$. It counts how many balls hold an
#   image where precision only asks if any does. It can exceed 1.
# - coverage: the share of real balls that hold at least one generated image.

# %%
from course_utils.metrics import density_coverage


def digits_twice(g: torch.Generator) -> torch.Tensor:
    return seen.features[torch.randperm(4000, generator=g)[:2000]]


sources = {
    "real digits": digits_twice,
    "normal, 2-D": lambda g: torch.randn(2000, 2, generator=g),
    "normal, 128-D": lambda g: torch.randn(2000, 128, generator=g),
}


def against_itself(source, k: int) -> torch.Tensor:
    rows = []
    for number in range(3):
        a, b = source(seeded(number)).split(1000)
        scores = (*precision_recall(real=a, fake=b, k=k), *density_coverage(real=a, fake=b, k=k))
        rows.append(torch.tensor(scores))
    return torch.stack(rows).mean(dim=0)


# %%
itself = {(name, k): against_itself(source, k) for name, source in sources.items() for k in (3, 5)}
recall_at_3, coverage_at_3 = (torch.stack([itself[name, 3][i] for name in sources]) for i in (1, 3))
coverage_at_5 = torch.stack([itself[name, 5][3] for name in sources])

# %% tags=["M8", "nbval-ignore-output"] slide="Two draws of the same digits do not score 1; coverage has a value known beforehand"
assert abs(itself["real digits", 3][0] - 0.88) < 0.03
assert recall_at_3.max() - recall_at_3.min() > 0.3
assert (coverage_at_3 - (1 - 2**-3)).abs().max() < 0.05
assert (coverage_at_5 - (1 - 2**-5)).abs().max() < 0.03
assert abs(coverage_at_3[0] - recall_at_3[0]) < 0.05
assert coverage_at_3[1] < recall_at_3[1] - 0.05
assert coverage_at_3[2] > recall_at_3[2] + 0.2
table(["against another draw of itself", "k", "precision", "recall", "density", "coverage"],
      [[*key, *row.tolist()] for key, row in itself.items()])  # fmt: skip

# %% [markdown]
# Real digits against real digits have a precision of 0.88 at $k = 3$. A model above that is not better than reality; it
# may simply keep to typical images. So report real against real beside the value of a model.
#
# What does a perfect model get? For recall that depends strongly on the data: compare the three rows with $k = 3$.
# Coverage need not be nearer to 1 than recall at the same $k$: it is about equal for the digits at $k = 3$, lower in
# 2-D, far higher in 128-D. Its advantage lies elsewhere: a *perfect* model with as many images as there are real ones gets
# on average the same value on any data, about $1 - 2^{-k}$. (Take the $k$ nearest neighbours of a real point among all the others, real and generated. Its ball holds no generated image only if all $k$ are real. Each is real with probability ½, so this happens with probability $2^{-k}$.) That is why its authors take $k = 5$,
# which gives 0.97.
#
# ### The remedy at work, and its own limit (M8)
#
# Back to the four embeddings, to the image of noise, and to the two models of section 7, all with $k = 3$:

# %%
trials = {
    "ones": only_ones,
    "ones, an image of noise among them": spoiled[1],
    "ones, four embeddings moved": after[0][-1],
}
trials |= {name: look.features for name, look in pair.items()}
trials = {
    name: (
        precision_recall(real=unseen.features, fake=f).recall,
        *density_coverage(real=unseen.features, fake=f, k=3),
    )
    for name, f in trials.items()
}

# %% tags=["M8", "nbval-ignore-output"] slide="Where recall jumps, coverage stays; but coverage needs fidelity, too"
ones, noisy_ones, moved_ones, sharp_model, poor_model = trials.values()
assert max(abs(noisy_ones[2] - ones[2]), abs(moved_ones[2] - ones[2])) < 0.03
assert poor_model[0] > sharp_model[0] + 0.1
assert poor_model[2] < sharp_model[2] - 0.2
spread = {
    name: torch.cdist(look.features, look.features).kthvalue(4, dim=1).values.median()
    for name, look in pair.items()
}
assert spread["broken, all digits"] > 1.3 * spread["0 to 6 only"]
table(["k = 3", "recall", "density", "coverage"], [[name, *row] for name, row in trials.items()])

# %% [markdown]
# Where recall jumped, coverage stays. But look at the last two rows: recall calls "broken, all digits" the more
# diverse, coverage the *less* diverse of the two. Which is right? "Broken, all digits" makes all ten digits, so in the sense of section 2 it is the more diverse. Recall says so, though partly for a bad reason: poor images lie far apart, so their balls are wide.
# Coverage needs an image *inside* the small ball of a real one, and poor images are inside few: **coverage needs
# fidelity too**. Neither number measures diversity alone.
#
# ### It is expensive (M8)
#
# Every image is compared with every other: $N^2$ distances, where FID needs sums over $N$ images and one computation with
# $d \times d$ matrices. Measured on random features:

# %%
import time


def seconds(metric, n: int) -> float:
    a, b = torch.randn(2, n, 128, generator=seeded(n))
    best = float("inf")
    for _ in range(3):
        start = time.process_time()  # of this program alone, whatever else runs
        metric(real=a, fake=b)
        best = min(best, time.process_time() - start)
    return best


# %% tags=["M8"]
numbers_of_images = (500, 1000, 2000, 4000)
times = {
    metric.__name__: [
        seconds(metric, n) for n in counted(numbers_of_images, f"{metric.__name__}, numbers of images")
    ]
    for metric in (fid, precision_recall)
}
growth = {name: row[-1] / row[0] for name, row in times.items()}
assert growth["precision_recall"] > 1.5 * growth["fid"]

# %% alt="Processor time against the number of images, both logarithmic. Precision and recall rise more steeply than FID, less steeply than N²." slide="From 500 to 4,000 images, the time of precision and recall grows more than FID's"
fig, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
square = [times["precision_recall"][0] * (n / 500) ** 2 for n in numbers_of_images]
lines = {"precision and recall": times["precision_recall"], "growing as N²": square, "FID": times["fid"]}
for marker, (name, row) in zip(("o", "", "s"), lines.items(), strict=True):
    ax.plot(numbers_of_images, row, marker=marker, label=name)
ax.set(xscale="log", yscale="log", xlabel="images in each set, N", ylabel="processor seconds")
ax.set_xticks(numbers_of_images, numbers_of_images)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# From 500 to 4,000 images the time of precision and recall grows clearly more than that of FID, though less than N² (dashed): with so few images the fixed costs still count. The square shows in larger sets. With 2,048 features and
# 10,000 images FID took 1.7 s, precision and recall 7.0 s; with 50,000 images, five times as many, the latter took 189 s, 27 times as long
# (`benchmarks/metrics.md` in the course's repository).
#
# ## 10 · Perceptual path length (M9)
#
# The metrics so far judge a bag of images. A generator also has a latent space, and we may ask how *smoothly* images change
# on a path through it. For that we need a distance between two images, and pixels are a bad one:

# %%


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (see(a).features - see(b).features).square().sum(dim=1)


changes = {"shifted by one pixel": test.x.roll(1, dims=3), "blurred, σ = 1": blur(test.x, 1.0)}
changes["noise, σ = 0.3"] = (test.x + 0.3 * torch.randn(test.x.shape, generator=seeded(0))).clamp(-1, 1)
in_pixels = {name: squared_error(x, test.x).mean().item() for name, x in changes.items()}
in_features = {name: distance(x, test.x).mean().item() for name, x in changes.items()}
one_pixel, *others = changes
blurred, noisy = others

# %% tags=["M9", "nbval-ignore-output"] alt="Ten digits; the same shifted by one pixel; blurred; and with noise. The shifted ones look the same as the originals." slide="Of three changes, a shift by one pixel is the largest in pixels, the smallest in features"
assert in_pixels[one_pixel] > 1.5 * max(in_pixels[name] for name in others)
assert in_features[one_pixel] < 0.3 * min(in_features[name] for name in others)
assert in_features[noisy] > 2 * in_features[blurred]
show_rows({"original": test.x[:10]} | {name: x[:10] for name, x in changes.items()})
table(["what was done", "squared distance of pixels", "squared distance of features"],
      [[name, in_pixels[name], in_features[name]] for name in changes])  # fmt: skip

# %% [markdown] slide="Perceptual path length: how much does an image change in a tiny step?" slide_formulas=[1] slide_points="$D$ is the squared distance of features, $g$ the decoder | Divided by $\\epsilon^2$, as a squared distance shrinks with the square of the step"
# A shift by one pixel, which nobody notices, is by far the largest change in pixels and by far the smallest in
# features. A distance in the features of a network is called a **perceptual distance** (지각적 거리). The one that papers
# use is *LPIPS* (Zhang et al., 2018): differences of the features of several layers, weighted so that they agree with
# people's judgements. Ours, $D$ (`distance` in the code), is the squared distance in the last hidden layer. It is no
# eye: it takes mild noise for the worst of the three.
#
# Now cut the path from code $z_0$ to code $z_1$ at a random place $t$, take a tiny step $\epsilon$, and measure how
# much the image changes. The **perceptual path length** (PPL, 지각적 경로 길이; Karras et al., 2019) is
#
# $$\mathrm{PPL} = \mathbb{E} \Big[ \tfrac{1}{\epsilon^2} \, D\big( g(z_t),\, g(z_{t+\epsilon}) \big) \Big],
# \qquad z_t = (1-t)\, z_0 + t\, z_1, \quad t \sim \mathcal{U}(0, 1)$$
#
# with the decoder $g$. (It is divided by $\epsilon^2$ because a squared distance shrinks with the square of the step. For
# codes from a normal distribution one walks along an arc, `slerp`, and not along the straight line, `lerp`.)

# %%
from course_utils.metrics import perceptual_path_length
from course_utils.nets import lerp


def ends(encode) -> tuple[torch.Tensor, torch.Tensor]:
    z = over_batches(encode, test.x)
    return z, z.roll(1, dims=0)  # the neighbour in the list shows another digit


# %%
z0, z1 = ends(autoencoder.encode)
t, epsilon = torch.rand(1000, generator=seeded(0)), 1e-2
steps = [over_batches(autoencoder.decode, lerp(z0, z1, t + shift)) for shift in (0, epsilon)]
my_ppl = (distance(*steps) / epsilon**2).mean()

# %% tags=["M9"]
same_t = {"generator": seeded(0), "epsilon": epsilon, "discard": 0}
library = perceptual_path_length(autoencoder.decode, distance, z0, z1, interpolate=lerp, **same_t)
assert abs(my_ppl / library.mean - 1) < 0.01
print("The package's perceptual_path_length agrees.")

# %% [markdown]
# Five decoders walk between the same pairs of test images. The first has codes of 16 numbers. The second has only two,
# so ten digits are packed into a plane with sharp borders (and some digits do not survive: look at its first image).
# The third answers each code with the nearest *training image*, a real digit each time, and jumps from one to the next.
# The fourth cross-fades the pixels of the two images. The last always shows the mean of all digits.

# %% alt="Five rows of images along a path from a 4 to a 3: decoded 16-number codes, decoded 2-number codes, nearest training images, which jump, a cross-fade with both digits visible, and the mean of all digits, which never changes." slide="Five decoders on the way between two images: which is the smoothest?"
train_codes = over_batches(autoencoder.encode, train.x)
plane = load_pretrained("autoencoder-2d-mnist", "cpu")
decoders = {
    "16-D codes": (autoencoder.decode, z0, z1),
    "2-D codes": (plane.decode, *ends(plane.encode)),
    "nearest image": (lambda z: train.x[torch.cdist(z, train_codes).argmin(dim=1)], z0, z1),
    "cross-fade": (lambda z: z.view(-1, 1, 28, 28).clamp(-1, 1), *ends(lambda x: x.flatten(1))),
    "always the mean": (lambda z: mean_image.expand(len(z), -1, -1, -1), z0, z1),
}
walk = torch.linspace(0, 1, 15)
fig, ax = plt.subplots(figsize=(9, 2.9), layout="constrained")
with torch.inference_mode():
    show_rows({name: g(lerp(a[4:5], b[4:5], walk)) for name, (g, a, b) in decoders.items()}, ax=ax)
ax.set_xticks([14, 29 * 7 + 14, 29 * 14 + 14], ["0", "½", "1"])
ax.set_xlabel("place t on the path")
plt.show()

# %% [markdown]
# We take two step sizes. (The package leaves out the longest and the shortest 1 % of the paths, as the paper's code
# does. The jumps of the third decoder are few and long, so here we keep all: `discard=0`.) The last column is the FID between the images halfway, at $t = \tfrac12$, and the test images.


# %%
def length(name: str, epsilon: float, seed: int = 0) -> float:
    g, a, b = decoders[name]
    options = {"epsilon": epsilon, "discard": 0, "generator": seeded(seed)}
    return perceptual_path_length(g, distance, a, b, interpolate=lerp, **options).mean


with torch.inference_mode():
    halfway = {name: see(over_batches(g, lerp(a, b, 0.5))).features for name, (g, a, b) in decoders.items()}
halfway_fid = {name: fid(real=unseen.features, fake=f) for name, f in halfway.items()}
lengths = {name: [length(name, 0.1), length(name, 0.01)] for name in counted(decoders, "decoders")}

# %% tags=["M9", "nbval-ignore-output"] slide="The 16-D space has shorter paths than the 2-D one; ignoring the code scores 0"
assert lengths["16-D codes"][1] < 0.5 * lengths["2-D codes"][1]
assert lengths["16-D codes"][1] < 0.3 * lengths["nearest image"][1]
assert lengths["nearest image"][1] > 3 * lengths["nearest image"][0]
assert lengths["16-D codes"][1] < 1.5 * lengths["16-D codes"][0]
assert lengths["2-D codes"][1] > 1.5 * lengths["2-D codes"][0]
assert halfway_fid["nearest image"] < 0.5 * min(v for k, v in halfway_fid.items() if k != "nearest image")
assert lengths["always the mean"] == [0, 0]
table(["decoder", "PPL, ε = 0.1", "PPL, ε = 0.01", "FID halfway"],
      [[name, *row, halfway_fid[name]] for name, row in lengths.items()])  # fmt: skip

# %% [markdown]
# The smooth 16-D space has a far lower PPL than the rough 2-D one, and its PPL depends little on the step: as $\epsilon$ shrinks, it settles at a limit.
# (The PPL of the plane still doubles: its borders are so steep that a step of 0.1 crosses them.) For the decoder that jumps there is no such limit: a jump stays just as long however short the step, so its PPL grows as the step shrinks. Yet each single image that it shows is a perfect, real digit, and its FID halfway is the best of all.
#
# PPL in turn is blind to quality. The decoder that ignores its code has a perfect 0. And the cross-fade? Its number is close
# to that of the 16-D codes, so let us measure both again with four draws of $t$.

# %% tags=["M9", "nbval-ignore-output"]
again = {
    name: torch.tensor([length(name, 0.01, seed) for seed in counted(range(1, 5), f"{name}, draws")])
    for name in ("16-D codes", "cross-fade")
}
longer = again["16-D codes"].mean() - again["cross-fade"].mean()
assert longer > 2 * (sum(v.var() for v in again.values()) / 4).sqrt()  # two standard errors
assert halfway_fid["cross-fade"] > 1.5 * halfway_fid["16-D codes"]
table(["decoder", "PPL, mean of four draws", "spread", "FID halfway"],
      [[name, v.mean().item(), v.std().item(), halfway_fid[name]] for name, v in again.items()])  # fmt: skip

# %% [markdown]
# The cross-fade has the shorter paths, by a little, although its images show two digits at once and have a far worse
# FID. A short path is good only if good images lie on it: report PPL beside FID, never alone.
#
# ## 11 · The laboratory
#
# Here you are the generator. Your 1,000 images are real digits; spoil them as you like, in several ways at once, and see
# what each metric says in comparison with the 1,000 test images. Try to find
#
# 1. a change that IS does not notice but FID does;
# 2. a set with a fine FID that repeats itself;
# 3. a change for the worse that FID takes for an improvement;
# 4. what the number of images alone does to each metric;
# 5. a set for which one outlier changes recall, and one for which it does not.
#
# (The slider $N$ sets the number of images. The laboratory uses $k = 3$ for precision and recall, $k = 5$ for density and coverage.) The table below it shows nine settings. Try it yourself first.

# %% slide="Spoil the images: what does each metric say?"
from course_utils.explorers import MetricsExplorer

laboratory = MetricsExplorer(
    train[:1000], test, see, blurs=(0.0, 0.8), noises=(0.0, 0.15, 0.3), sizes=(1000, 100)
)
laboratory

# %% tags=["nbval-ignore-output"]
settings = {  # the positions of blur, noise, classes, different images, outlier, number of images N
    "nothing": (0, 0, 0, 0, 0, 0), "100 images, ten times each": (0, 0, 0, 1, 0, 0), "blur, σ = 0.8": (1, 0, 0, 0, 0, 0),
    "one class": (0, 0, 2, 0, 0, 0), "one class, noise": (0, 2, 2, 0, 0, 0), "N = 100": (0, 0, 0, 0, 0, 1),
    "an outlier": (0, 0, 0, 0, 1, 0), "one class, an outlier": (0, 0, 2, 0, 1, 0), "one class, little noise": (0, 1, 2, 0, 0, 0),
}  # fmt: skip
lab = {
    name: {m[:-2]: v[where].item() for m, v in laboratory.values.items()} for name, where in settings.items()
}
table(["setting", *laboratory.METRICS], [[name, *row.values()] for name, row in lab.items()])

# %% [markdown]
# Two things deserve a closer look. Where only zeros are left, what does noise with $\sigma = 0.3$ do to the two terms
# of FID? And how large is the ball of the outlier, with all classes and with zeros? (Of the 1,000 digits 100 are zeros;
# the laboratory repeats each of them ten times. That is why its recall for one class begins at 0: see question 4 of section 13.)

# %%
zeros = train.x[:1000][train.y[:1000] == 0]
grainy_zeros = (zeros + 0.3 * torch.randn(zeros.shape, generator=seeded(0))).clamp(-1, 1)
terms = {}
for name, x in {"one class": zeros, "one class, noise": grainy_zeros}.items():
    f = see(x).features
    terms[name] = (gap(f, unseen.features), fid(real=unseen.features, fake=f) - gap(f, unseen.features))
outlier = see(torch.rand(1, 1, 28, 28, generator=seeded(1)) * 2 - 1).features
balls = {}
for name, f in {
    "an outlier": seen.features[:1000],
    "one class, an outlier": see(zeros.repeat(10, 1, 1, 1)).features,
}.items():
    radius = torch.cdist(outlier, f).kthvalue(3).values.item()
    balls[name] = radius, (torch.cdist(unseen.features, outlier) <= radius).double().mean().item()

# %% tags=["nbval-ignore-output"]
rows = [[name, *row, "", ""] for name, row in terms.items()] + [
    [name, "", "", *row] for name, row in balls.items()
]
table(
    ["setting", "FID: means", "FID: covariances", "radius of the outlier's ball", "test images in it"], rows
)

# %% tags=["M6"]
fine, repeated, one_class = lab["nothing"], lab["100 images, ten times each"], lab["one class"]
assert abs(repeated["Inception Score"] - fine["Inception Score"]) < 0.3
assert 2 * fine["FID"] < repeated["FID"] < 0.5 * lab["blur, σ = 0.8"]["FID"]
assert repeated["recall"] == 0
assert repeated["coverage"] < 0.6 * fine["coverage"]
assert lab["one class, noise"]["FID"] < one_class["FID"]
assert lab["one class, noise"]["KID · 1000"] > one_class["KID · 1000"]
assert lab["one class, little noise"]["KID · 1000"] < one_class["KID · 1000"]
assert max(terms["one class, noise"][i] - terms["one class"][i] for i in (0, 1)) < 0
assert lab["one class, noise"]["precision"] < 0.1 < 0.7 < one_class["precision"]
assert lab["N = 100"]["FID"] > 3 * fine["FID"]
assert abs(lab["N = 100"]["recall"] - fine["recall"]) < 0.1
assert lab["one class, an outlier"]["recall"] > one_class["recall"] + 0.1
assert abs(lab["an outlier"]["recall"] - fine["recall"]) < 0.02
assert balls["an outlier"][0] < 0.85 * balls["one class, an outlier"][0]
assert balls["an outlier"][1] < 0.01 < 0.1 < balls["one class, an outlier"][1]

# %% [markdown] slide="Report one overall number and both sides, with real against real, and look" slide_points="**FID**: the one overall number, always with its recipe; **KID** for small sets | **Precision, recall, density, coverage**: *why* an FID is bad | **Distance to the nearest training image**: before you claim novelty | All but that distance see through the eyes of one network: take features that fit your images | Look at the images: no number replaces it"
# <details><summary>What you should have seen</summary>
#
# 1. 100 different images instead of 1,000: IS stays, FID more than doubles.
# 2. The same set: its FID is less than half that of the blur with $\sigma = 0.8$, but each image occurs ten times. Recall
#    says so (0: equal images have balls of radius 0), and so does coverage.
# 3. Take one class, then turn the noise up to 0.3: FID gets a little *better*, while precision falls to nearly nothing.
#    Both sets are far off; the noise moves the mean of the one class slightly towards that of all and makes its covariance a
#    little less unlike, so both terms fall. KID gets worse at 0.3, but half as much noise deceives it too.
# 4. FID is more than three times as high at $N = 100$, for images that are as good as before. KID is unbiased: with so few
#    images it may lie well above or well below 0 (section 6 shows how far). Recall changes little.
# 5. One class: recall goes from 0 to more than a tenth. With all classes the same outlier changes next to nothing: some
#    digits lie nearer to the noise, so its ball is smaller and hardly holds a real image.
#
# </details>
#
# ## 12 · Which metric to trust for what
#
# | metric | fidelity | diversity | notices copies | what fools it | use it for |
# | --- | --- | --- | --- | --- | --- |
# | log-likelihood of test images (notebook 01) | hardly | yes | yes: copies do not explain new images | bad samples: see question 5 of section 13 | models that have one |
# | Inception Score | by certainty | between classes only | no | one image per class; an attack; data the classifier does not know | comparing with old papers |
# | FID | yes, mixed | yes, mixed | no | sharp but narrow equals broad but poor; few images; resizing | the one overall number; always with its recipe |
# | KID | yes, mixed | yes, mixed | no | as FID, except small sets | small sets |
# | precision | yes | no | no | only typical images; an outlier among the real ones | *why* FID is bad |
# | recall | only indirectly: blur lowers it, scattered images can raise it | yes | no | one per cent of well-placed images | *why* FID is bad |
# | density | yes | no | no | only typical images | as precision, more robustly |
# | coverage | only indirectly: poor images lower it | yes | no | poor but varied images look narrow | as recall, with a known value for a perfect model |
# | CLIPScore | fit to the text | no | no | one good image per caption, always the same | images from text |
# | LPIPS | no: a distance of two images | between samples | no | what its network does not see | reconstruction, editing |
# | PPL | no | no | no | a decoder that ignores its code | comparing latent spaces |
# | distance to the nearest training image | no | no | yes | a shift, noise, a mirror | before you claim novelty |
#
# All but the first and the last see the images through the eyes of one network, and share its blind spots. Three rules
# follow. Report an overall number *and* the two sides, with real against real beside them. Judge with features that fit
# your images. Look at the images: none of these numbers replaces it.
#
# ## 13 · Questions
#
# Think first, then unfold the answer. Questions 1 and 2 are to be calculated by hand.
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
# **2.** Features of one number. The real ones have mean 0 and standard deviation 2. Model A has mean 0 and standard
# deviation 1; model B has mean 1 and standard deviation 2. Which has the lower FID, and what would each model's images be
# like? What happens to the two FIDs if somebody multiplies all features by 10?
#
# <details><summary>Answer</summary>
#
# A: $0^2 + (2 - 1)^2 = 1$. B: $1^2 + 0^2 = 1$. They are equal: A is too narrow, its images are right in the middle but vary
# only half as much; B varies as it should but is off on average. That is section 7 in one dimension. Multiplying all
# features by 10 multiplies both FIDs by 100: the scale of the features sets the scale of FID.
#
# </details>
#
# **3.** To test a program, someone takes 10,000 training images as "real" and the same 10,000, each once, as "generated".
# It reports precision 0.93 and recall 0.95. What must the true values be?
#
# <details><summary>Answer</summary>
#
# 1 and 1: each copy lies at distance 0 from its original, inside the ball around it, in both directions. The reported
# numbers point to an error, perhaps different pre-processing of the two sets. Comparing a set with itself is a good test
# of any metric's implementation, and the package's tests contain it.
#
# </details>
#
# **4.** Why is the recall of a generator that repeats 100 images exactly 0 in the laboratory, and not just small?
#
# <details><summary>Answer</summary>
#
# With more than $k$ equal images, the $k$-th neighbour of each lies at distance 0, so all balls have radius 0 and hold nothing
# but the image itself. No real test image equals it. Here recall measures repetition.
#
# </details>
#
# **5.** A model draws a perfect image with probability 1 % and pure noise with 99 %. Your eyes, precision and FID are
# horrified. Show that its log-likelihood is almost that of the perfect model $p$. (Theis et al., 2016)
#
# <details><summary>Answer</summary>
#
# Its density is $0.01\, p(x) + 0.99\, q(x) \ge 0.01\, p(x)$, with $q$ the density of noise. So its log-likelihood of any image
# is lower than the perfect one by at most $\log 100 \approx 4.6$, while the log-likelihood of an image is a sum over hundreds
# or thousands of pixels and has a size of hundreds or thousands. Likelihood asks whether every real image is *possible* under
# the model, and hardly whether what the model draws is good.
#
# </details>
#
# **6.** You generate X-rays. Which of the metrics can you use as they are, and what has to change?
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
# | autoencoder | 오토인코더 | a network that writes an image down in a few numbers, and one that draws it from them |
# | latent code, latent space | 잠재 코드, 잠재 공간 | the short list of numbers an image is made from, and where it lies |
# | entropy | 엔트로피 | how spread out a distribution is |
# | Kullback-Leibler divergence | 쿨백-라이블러 발산 | how far one distribution is from another |
# | covariance | 공분산 | how the coordinates of a vector vary together |
# | Inception Score | 인셉션 스코어 (점수) | certainty of each image, breadth of all, in one number |
# | Fréchet distance, Fréchet Inception Distance | 프레셰 거리, 프레셰 인셉션 거리 | distance between Gaussians; its square, for Gaussians fitted to features |
# | Kernel Inception Distance | 커널 인셉션 거리 | the same question by a kernel, without bias |
# | kernel | 커널 | a function that says how alike two vectors are |
# | bias, unbiased | 편향, 불편 | being wrong on average; right on average |
# | antialiasing | 안티에일리어싱 | averaging before pixels are dropped |
# | true positive, false positive, false negative | 참 양성, 거짓 양성, 거짓 음성 | marked rightly, marked wrongly, missed |
# | precision, recall | 정밀도, 재현율 | generated in the real region, real in the generated one |
# | nearest neighbour | 최근접 이웃 | the closest of the other points |
# | manifold | 다양체 | the region that a set of images fills |
# | outlier | 이상치 | a point far from all others |
# | density, coverage | 밀도, 커버리지 | precision and recall with balls around real points only |
# | perceptual distance | 지각적 거리 | a distance between images in a network's features |
# | perceptual path length | 지각적 경로 길이 | how fast images change along a path |
# | log-likelihood | 로그 가능도 | the log-density that a model gives to an image |
# | mode collapse | 모드 붕괴 | a generator that makes only a few images |
#
# ## Read on
#
# - T. Salimans et al., *Improved techniques for training GANs*, NeurIPS 2016: Inception Score, section 4.
# - S. Barratt and R. Sharma, *A note on the Inception Score*, 2018: its limits, among them the attack.
# - M. Heusel et al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, NeurIPS 2017: FID.
# - M. Bińkowski et al., *Demystifying MMD GANs*, ICLR 2018: KID, and why FID is biased.
# - G. Parmar, R. Zhang, J.-Y. Zhu, *On aliased resizing and surprising subtleties in GAN evaluation*, CVPR 2022: clean-fid.
# - T. Kynkäänniemi et al., *The role of ImageNet classes in Fréchet Inception Distance*, ICLR 2023.
# - S. Jayasumana et al., *Rethinking FID: towards a better evaluation metric for image generation*, CVPR 2024: CMMD.
# - G. Stein et al., *Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models*,
#   NeurIPS 2023: people against metrics, and better features.
# - J. Hessel et al., *CLIPScore: a reference-free evaluation metric for image captioning*, EMNLP 2021.
# - R. Zhang et al., *The unreasonable effectiveness of deep features as a perceptual metric*, CVPR 2018: LPIPS.
# - M. S. M. Sajjadi et al., *Assessing generative models via precision and recall*, NeurIPS 2018.
# - T. Kynkäänniemi et al., *Improved precision and recall metric for assessing generative models*, NeurIPS 2019.
# - M. F. Naeem et al., *Reliable fidelity and diversity metrics for generative models*, ICML 2020: density and coverage.
# - T. Karras, S. Laine, T. Aila, *A style-based generator architecture for generative adversarial networks*, CVPR 2019: PPL.
# - L. Theis, A. van den Oord, M. Bethge, *A note on the evaluation of generative models*, ICLR 2016: likelihood and samples.
#
# Next: **03 · Autoencoders.** From here on every model of the course is measured with these tools. The homework to this
# notebook is `homework/student/hw02.ipynb`.
