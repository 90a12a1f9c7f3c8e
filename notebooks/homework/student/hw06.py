# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/student/hw06.ipynb)
#
# # Homework 06 · Conditional GAN
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
import re
from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, recall_score
from torch import Tensor, nn
from torch.nn.functional import softplus

from course_utils.checks import check_close, check_gradients, check_raises, check_range, check_shape
from course_utils.data import load_images, toy_points
from course_utils.features import feature_extractor
from course_utils.gan import Discriminator, discriminator_loss
from course_utils.nets import seeded
from course_utils.pretrained import load_pretrained

test = load_images("digits", "test")

# %% [markdown]
# ## 1 · The condition joins the noise
#
# The simplest way to tell a generator the class needs no embedding: put the class behind the noise as a **one-hot**
# vector. (The first conditional GAN, Mirza and Osindero 2014, used one-hot vectors too, but sent noise and class through
# a layer each before it joined them.) For $C$ classes, the label $y$ becomes $C$ numbers, a 1 at place $y$ (counted from 0) and 0
# elsewhere:
#
# $$(z, y) \mapsto (z_1, \dots, z_d,\; 0, \dots, 0, \underbrace{1}_{\text{place } y}, 0, \dots, 0).$$
#
# Write it for a batch: noise `z` (N, d) and labels `y` (N,), int64, to (N, d + C), where C is `classes`. If any label
# is not one of 0, …, C - 1, raise a `ValueError` whose message names `y`, so that the caller learns which argument is
# wrong.
#
# <details><summary>Hint 1</summary>
#
# `F.one_hot(y, classes)` has the shape (N, C) and whole numbers; `torch.cat` needs the right `dim`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `((y < 0) | (y >= classes)).any()` finds labels on both sides. Do this before anything else: `F.one_hot` raises
# another kind of error, and `torch.eye(classes)[y]` accepts a label of -1 in silence.
#
# </details>


# %% key="q1"
def with_one_hot(z: Tensor, y: Tensor, classes: int) -> Tensor:
    raise NotImplementedError("q1: write your solution here")


# %% key="check-q1" tags=["check"]
# CHECK q1
z = torch.tensor([[0.5, -1.5], [2.25, 0.75], [-0.25, 3.5]])
joined = with_one_hot(z, torch.tensor([3, 0, 1]), 4)
check_shape(
    "q1: with_one_hot(z, y, 4) for z of the shape (3, 2)", joined, (3, 6), hint="d + classes columns."
)
check_close("q1: the noise, the first d columns,", joined[:, :2], z, hint="First the noise, then the class.")
check_close(
    "q1: the part for the class, the last 4 columns, for y = 3, 0, 1",
    joined[:, 2:],
    torch.tensor([[0.0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]),
    hint="A 1 at place y, counted from 0.",
)
check_close(
    "q1: with_one_hot of one row with y = 1 of 3 classes",
    with_one_hot(z[:1], torch.tensor([1]), 3),
    torch.tensor([[0.5, -1.5, 0, 1, 0]]),
    hint="The number of columns must not depend on the labels in the batch.",
)
for labels, classes in (([0, 4, 1], 4), ([2, 0, -1], 4), ([-3, 1, 0], 3), ([5, 5, 5], 3)):
    where = f"q1: y = {labels} with classes = {classes}"
    call = partial(with_one_hot, z, torch.tensor(labels), classes)
    message = check_raises(where, call, hint=f"Allowed are 0 to {classes - 1}.")
    if not re.search(r"\by\b", message):
        raise AssertionError(f"{where} raises the message {message!r}, which does not name y.")
print("One row:", with_one_hot(torch.tensor([[0.5, -1.5]]), torch.tensor([2]), 3)[0].tolist())

# %% [markdown]
# ## 2 · The projection discriminator
#
# Miyato and Koyama (2018) let the class enter the discriminator at its last layer. Let $\phi(x)$ be the $d$ numbers of
# the last hidden layer (notebook 06 calls them $h$). Then the score of a pair is
#
# $$s(x, y) = \underbrace{w \cdot \phi(x) + b}_{\text{for all classes}}
# + \underbrace{v_y \cdot \phi(x)}_{\text{for class } y}$$
#
# with one weight vector $w$ and one bias $b$ for all classes, and a vector $v_y$ for each class. The dot is the inner
# product. You get `features` (N, d), the rows $\phi(x_i)$; `embedding` (C, d), the rows $v_0, \dots, v_{C-1}$; labels
# `y` (N,); `weight` (d,); and `bias`, one number of the shape (). Return one score for each image, (N,).
#
# <details><summary>Hint 1</summary>
#
# `embedding[y]` has the shape (N, d): in row i stands the vector of the class of image i.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The inner product of two rows is a product of their numbers, summed over the last axis. `a @ b.T` would pair each
# row with *all* rows.
#
# </details>


# %% key="q2"
def projection_score(features: Tensor, embedding: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    raise NotImplementedError("q2: write your solution here")


# %% key="check-q2" tags=["check"]
# CHECK q2
phi = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]])
v, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.5, 0.5]]), torch.tensor([2, 0, 3])
w, b = torch.tensor([0.5, -1.0]), torch.tensor(0.25)
check_shape("q2: projection_score of 3 images", projection_score(phi, v, y, w, b), (3,))
check_close(
    "q2: the score if all v_y are 0, which leaves w · φ + b,",
    projection_score(phi, 0 * v, y, w, b),
    torch.tensor([-1.25, 2.75, -3.5]),
    hint="This part of the score is the same for all labels.",
)
check_close(
    "q2: the score if w and b are 0, which leaves v_y · φ,",
    projection_score(phi, v, y, 0 * w, 0 * b),
    torch.tensor([4.0, 3.0, 2.25]),
    hint="Each image takes the row v_y of its own label, and the inner product sums over d only.",
)
check_close("q2: the score of 3 images", projection_score(phi, v, y, w, b), torch.tensor([2.75, 5.75, -1.25]))
check_close(
    "q2: the score of one image beside three labels",
    projection_score(phi[:1].expand(3, 2), v, torch.tensor([1, 1, 0]), w, b),
    torch.tensor([0.75, 0.75, -0.25]),
)
inputs = [t.clone().requires_grad_() for t in (phi, v, w, b)]
total = projection_score(inputs[0], inputs[1], y, *inputs[2:]).sum()
slopes = check_gradients("q2: the sum of the scores", total, inputs, hint="Compute with tensors throughout.")
rows = torch.stack([phi[1], 0 * phi[0], phi[0], phi[2]])
wanted = (w + v[y], rows, phi.sum(dim=0), torch.tensor(3.0))
for name, slope, expected in zip(("features", "embedding", "weight", "bias"), slopes, wanted, strict=True):
    check_close(f"q2: the gradient of the sum of the scores, {name},", slope, expected)
with seeded(0):
    its = Discriminator(num_classes=5, width=3)
x, y = test.x[:7], torch.tensor([4, 0, 4, 2, 1, 3, 3])
with torch.no_grad():
    check_close(
        "q2: the scores of 7 digits, compared with the course's discriminator,",
        projection_score(its.body(x), its.embed.weight, y, its.head.weight[0], its.head.bias[0]),
        its(x, y),
    )
print("The score of a small case:", round(projection_score(phi[:1], v, torch.tensor([3]), w, b).item(), 2))

# %% [markdown]
# ## 3 · Wrong labels
#
# Mismatched pairs need a wrong label $\tilde{y}$ for each image. Write a function that gives for each label in `y` (N,)
# one of the *other* classes out of 0, …, C - 1, where C is `classes`, at least 2:
#
# $$P(\tilde{y} = k \mid y) = \begin{cases} 0 & k = y \\ \frac{1}{C - 1} & k \neq y \end{cases}$$
#
# Each row has its own draw, and all randomness comes from the generator that is given. The result is int64 (N,); `y`
# must not be changed.
#
# <details><summary>Hint 1</summary>
#
# Draw how many places to go on from $y$. Which steps never lead back to $y$ on a circle of C places?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.randint(low, high, y.shape, generator=generator)` draws from low, …, high - 1. `%` brings you round the circle.
#
# </details>


# %% key="q3"
def wrong_labels(y: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    raise NotImplementedError("q3: write your solution here")


# %% key="check-q3" tags=["check"]
# CHECK q3
y = torch.arange(30_000) % 5  # 6,000 of each class
y_tilde = wrong_labels(y, 5, torch.Generator().manual_seed(0))
check_shape("q3: wrong_labels(y, classes, generator)", y_tilde, (30_000,))
check_close("q3: y, afterwards,", y, torch.arange(30_000) % 5, hint="Work on a copy.")
assert y_tilde.dtype == torch.int64, f"q3: the labels have the type {y_tilde.dtype}, should be torch.int64."
check_range("q3: the labels drawn, of 5 classes,", y_tilde, 0, 4, hint="The classes are 0 to 4.")
check_close(
    "q3: the share of labels that are the right ones",
    (y_tilde == y).double().mean(),
    0.0,
    hint="A wrong label is never the right one.",
)
pair = torch.tensor([0, 1, 1, 0, 1, 1])
only = wrong_labels(pair, 2, torch.Generator().manual_seed(1))
check_close("q3: with 2 classes there is only one wrong label: the result", only, 1 - pair)
for classes, labels in ((5, y), (3, torch.arange(30_000) % 3)):
    drawn = wrong_labels(labels, classes, torch.Generator().manual_seed(2))
    p, n = 1 / (classes - 1), 30_000 / classes
    error = (p * (1 - p) / n) ** 0.5
    for right in range(classes):
        share = torch.bincount(drawn[labels == right], minlength=classes) / n
        check_range(
            f"q3: how often each of the other classes of {classes} is drawn for the label {right}",
            share[torch.arange(classes) != right],
            p - 5 * error,
            p + 5 * error,
            hint="All the others must be equally likely, with a draw of its own for each row.",
        )
alike = wrong_labels(torch.full((8000,), 6), 9, torch.Generator().manual_seed(3))
check_range(
    "q3: how often two neighbours with the same right label of 9 get the same wrong one",
    (alike[::2] == alike[1::2]).double().mean(),
    0.125 - 5 * (0.125 * 0.875 / 4000) ** 0.5,
    0.125 + 5 * (0.125 * 0.875 / 4000) ** 0.5,
    hint="Each row needs its own draw.",
)
again = wrong_labels(y, 5, torch.Generator().manual_seed(0))
check_close(
    "q3: the result with the same seed again", again, y_tilde, hint="Use the generator for every draw."
)
check_range(
    "q3: the share of labels that another seed changes",
    (wrong_labels(y, 5, torch.Generator().manual_seed(4)) != y_tilde).double().mean(),
    0.75 - 5 * (0.75 * 0.25 / 30_000) ** 0.5,
    0.75 + 5 * (0.75 * 0.25 / 30_000) ** 0.5,
    hint="Use the generator that is given.",
)
one = torch.Generator().manual_seed(0)
first, second = wrong_labels(y, 5, one), wrong_labels(y, 5, one)
check_range(
    "q3: the share of labels that a second call with the same generator changes",
    (first != second).double().mean(),
    0.75 - 5 * (0.75 * 0.25 / 30_000) ** 0.5,
    0.75 + 5 * (0.75 * 0.25 / 30_000) ** 0.5,
    hint="Draw from the generator itself; a seed taken from it begins anew each time.",
)
print("Of two classes:", wrong_labels(pair, 2, torch.Generator().manual_seed(5)).tolist())

# %% [markdown]
# ## 4 · The loss of the matching-aware discriminator
#
# Reed et al. (2016, algorithm 1) show the discriminator three kinds of pairs: real images beside the right label, made
# images beside the label that was asked for, and real images beside a wrong label. With the scores $s$ before the
# sigmoid $\sigma(s) = 1 / (1 + e^{-s})$,
#
# $$L_D = -\,\mathbb{E} \log \sigma(s_\text{right})
# - \tfrac12 \Big[ \mathbb{E} \log \big(1 - \sigma(s_\text{made})\big)
# + \mathbb{E} \log \big(1 - \sigma(s_\text{wrong})\big) \Big].$$
#
# Each $\mathbb{E}$ is the mean over its own batch; the three batches `real_right`, `made` and `real_wrong` hold scores
# and may differ in size. The result is one number. It and its gradient must be right for scores as large as ±200, too,
# where $\sigma(s)$ is rounded to 0 or 1. Write it yourself, without `discriminator_loss`.
#
# <details><summary>Hint 1</summary>
#
# $\log(1 - \sigma(s)) = \log \sigma(-s)$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `softplus(s)` is $\log(1 + e^s) = -\log \sigma(-s)$, computed without overflow.
#
# </details>


# %% key="q4"
def matching_loss(real_right: Tensor, made: Tensor, real_wrong: Tensor) -> Tensor:
    raise NotImplementedError("q4: write your solution here")


# %% key="check-q4" tags=["check"]
# CHECK q4
zeros = torch.zeros(6)
check_shape("q4: matching_loss(...)", matching_loss(zeros, zeros[:4], zeros[:3]), ())
check_close(
    "q4: the loss if all scores are 0, log 2 + (log 2 + log 2) / 2,",
    matching_loss(zeros, zeros[:4], zeros[:3]),
    1.386294,
    hint="Means, not sums; and the two kinds of false pairs have half of the weight each.",
)
log_3 = torch.tensor(3.0).log()  # σ(log 3) = 3/4
for n, (kind, expected, hint) in enumerate(
    (
        ("right", 0.980829, "Right pairs count as real, with the weight 1."),
        ("made", 1.732868, "Made pairs count as false, with the weight 1/2, however many they are."),
        ("wrong", 1.732868, "Wrong pairs count as false, with the weight 1/2, however many they are."),
    )
):
    scores = [zeros[:k] + (log_3 if n == place else 0) for place, k in enumerate((5, 2, 4))]
    check_close(
        f"q4: the loss if the {kind} pairs score log 3 and all others 0",
        matching_loss(*scores),
        expected,
        hint=hint,
    )
real_right, made = torch.tensor([1.3, -0.4, 2.2, 0.9, 0.1]), torch.tensor([-1.7, 0.6])
real_wrong = torch.tensor([0.8, -2.5, 3.1])
bce = F.binary_cross_entropy_with_logits
false = (bce(made, torch.zeros(2)) + bce(real_wrong, torch.zeros(3))) / 2
check_close(
    "q4: the loss of 5 right, 2 made and 3 wrong pairs, compared with torch's cross-entropy,",
    matching_loss(real_right, made, real_wrong),
    bce(real_right, torch.ones(5)) + false,
    hint="Each of the three means is over its own batch.",
)
check_close(
    "q4: the loss of the same pairs, compared with the course's function,",
    matching_loss(real_right, made, real_wrong),
    discriminator_loss(real_right, made, real_wrong),
)
scores = [torch.full((n,), log_3.item(), requires_grad=True) for n in (5, 2, 4)]
slopes = check_gradients("q4: the loss", matching_loss(*scores), scores)
for name, slope, expected in zip(("right", "made", "wrong"), slopes, (-0.05, 0.1875, 0.09375), strict=True):
    check_close(
        f"q4: the gradient at scores of log 3, {name} pairs,", slope, torch.full_like(slope, expected)
    )
high, low = torch.full((5,), 200.0), torch.full((3,), -200.0)
for what, scores, expected in (
    ("right pairs score 200, false ones -200", (high, low, low[:2]), 0.0),
    ("all score -200", (low, low[:2], low), 200.0),
    ("all score 200", (high, high[:2], high[:4]), 200.0),
    ("right pairs score 200, made 200, wrong -200", (high, high[:2], low), 100.0),
    ("right pairs score 200, made -200, wrong 200", (high, low, high[:2]), 100.0),
):
    check_close(
        f"q4: the loss if {what},",
        matching_loss(*scores),
        expected,
        hint="In float32 e^200 is infinite, and σ(±200) is rounded to 0 or 1: use softplus.",
    )
scores = [s.clone().requires_grad_() for s in (low, high[:2], high[:4])]
slopes = check_gradients("q4: the loss", matching_loss(*scores), scores)
for name, slope, expected in zip(("right", "made", "wrong"), slopes, (-1 / 3, 0.25, 0.125), strict=True):
    check_close(
        f"q4: the gradient where right pairs score -200 and false ones 200, {name} pairs,",
        slope,
        torch.full_like(slope, expected),
        hint="Use softplus: its gradient is right there, too.",
    )
print("The loss if all scores are 0:", round(matching_loss(zeros, zeros, zeros).item(), 2))

# %% [markdown]
# ## 5 · What mismatched pairs teach
#
# Notebook 06 (C2): where the generator obeys, nothing that the discriminator is shown says that a good image beside a
# wrong label is false. You will now measure it on points of the plane. There are eight classes, small clouds on a
# ring, and the generator is perfect and obeys: each of its points $\hat{x}$ is drawn from the cloud of the class that
# was asked for. The discriminator below is given; it scores with your `projection_score`.


# %%
class PointDiscriminator(nn.Module):
    """Points (N, 2) and labels (N,) to scores (N,)."""

    def __init__(self, num_classes: int, width: int = 64):
        super().__init__()
        self.num_classes = num_classes
        self.phi = nn.Sequential(
            nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)
        )
        self.embedding = nn.Parameter(torch.randn(num_classes, width))
        self.weight, self.bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return projection_score(self.phi(x), self.embedding, y, self.weight, self.bias)


# %% [markdown]
# Write one training step of the discriminator `D`. It gets real points `x` with their labels `y`, made points `x_hat`
# with the labels `y_asked` that they were asked for, and a generator for the wrong labels.
#
# 1. Compute your `matching_loss` of three kinds of pairs: $(x, y)$; $(\hat{x}, y_\text{asked})$; and $(x, \tilde{y})$
#    with $\tilde{y}$ from your `wrong_labels` (the number of classes is `D.num_classes`).
# 2. With `mismatched=False` no wrong labels are shown: the made pairs stand in for the third kind, too. (Then $L_D$ is
#    the ordinary loss of a GAN: one half and one half of the same mean.)
# 3. Let `optimizer` take one step down this loss, and this loss only. (`D` may still hold gradients, such as those that
#    a step of the generator left behind.)
# 4. Return the loss as a number, as it was before the step.
#
# The check trains 300 steps with mismatched pairs and 300 without, a few seconds. Then it counts, over 1,000 real
# points and the seven wrong labels of each, how often the wrong label gets a lower score than the right one. Guessing
# gives 0.5. Before you run it: what do you expect without mismatched pairs? Afterwards look at `shares`.
#
# <details><summary>Hint 1</summary>
#
# `D(x_hat, y_asked)` are the scores of the second kind. In the third kind the points are the *real* ones.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A step in PyTorch is `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`. Without the first, the
# gradients of the steps before are added.
#
# </details>


# %% key="q5"
def train_step(
    D: PointDiscriminator, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, x_hat: Tensor,
    y_asked: Tensor, generator: torch.Generator, mismatched: bool = True,
) -> float:  # fmt: skip
    raise NotImplementedError("q5: write your solution here")


# %% key="check-q5" tags=["check"]
# CHECK q5
def weights(D: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(D.parameters()).detach().clone()


draw = torch.Generator().manual_seed(0)
x, x_hat = torch.randn(5, 2, generator=draw), 2 * torch.randn(5, 2, generator=draw)
y, y_asked = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([1, 1, 0, 0, 0])
for mismatched in (False, True):
    with seeded(1):
        D = PointDiscriminator(2)  # with two classes the wrong label is 1 - y
    sgd = torch.optim.SGD(D.parameters(), lr=0.1)
    for p in D.parameters():  # as if the generator's step had left gradients behind
        p.grad = torch.ones_like(p)
    for step, n in (("first", 5), ("second", 3)):
        before, copy = weights(D), deepcopy(D)
        real, made = copy(x, y), copy(x_hat[:n], y_asked[:n])
        third = copy(x, 1 - y) if mismatched else made
        expected = softplus(-real).mean() + softplus(made).mean() / 2 + softplus(third).mean() / 2
        loss = train_step(D, sgd, x, y, x_hat[:n], y_asked[:n], torch.Generator().manual_seed(2), mismatched)
        where = f"q5: with mismatched={mismatched},"
        check_shape(f"{where} what train_step returns", loss, ())
        pairs = "The pairs are (x, y), (x_hat, y_asked) and " + (
            "(x, a wrong label)." if mismatched else "once more (x_hat, y_asked)."
        )
        check_close(f"{where} the loss of the {step} step", loss, expected, hint=pairs)
        slope = torch.cat([g.flatten() for g in torch.autograd.grad(expected, list(copy.parameters()))])
        check_close(
            f"{where} how far SGD moves the weights in the {step} step",
            weights(D) - before,
            -0.1 * slope,
            hint="Clear the gradients of the step before, then go down the gradient of this loss, once.",
        )
with seeded(1):
    D = PointDiscriminator(8)
stay = torch.optim.SGD(D.parameters(), lr=0.0)
losses = [
    train_step(D, stay, x, y, x_hat, y_asked, torch.Generator().manual_seed(s)) for s in (0, 0, 1, 2, 3)
]
check_close("q5: the loss with the same seed again", losses[1], losses[0], hint="Use the generator.")
several = len({round(torch.as_tensor(loss).item(), 5) for loss in losses[1:]})
assert several == 4, (
    f"q5: four seeds give {several} different losses, should give 4. Use the generator given."
)
shares = {}
for mismatched in (True, False):
    with seeded(0):
        D = PointDiscriminator(8)
    adam = torch.optim.Adam(D.parameters(), lr=2e-3)
    draw, noise = torch.Generator().manual_seed(3), torch.Generator().manual_seed(4)
    for _ in range(300):
        real, made = (toy_points("gaussians", 256, generator=draw) for _ in range(2))
        train_step(D, adam, *real, *made, noise, mismatched)
    x, y = toy_points("gaussians", 1000, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        s = torch.stack([D(x, torch.full_like(y, label)) for label in range(8)], dim=1)  # (1000, 8)
    lower = s < s.gather(1, y[:, None])  # never true at the right label itself
    shares[mismatched] = lower.double().sum().item() / 7000
share = "q5: the share of wrong labels that score lower than the right one, trained"
check_range(
    f"{share} with mismatched pairs,", shares[True], 0.95, 1.0, hint="(x, wrong label) counts as false."
)
check_range(f"{share} without them,", shares[False], 0.0, 0.8, hint="Show no wrong labels then.")
answers = ["yes" if shares[key] > 0.9 else "no" for key in (True, False)]
print("Nine wrong labels in ten score lower? With mismatched pairs:", answers[0], "· without:", answers[1])

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# With mismatched pairs practically every wrong label scores lower. Without them about half do: nothing pushes on the
# scores at wrong labels, and what they are comes from the first weights. With other seeds it was 0.3 to 0.54.
#
# </details>
#
# ## 6 · Do you get what you ask for?
#
# A judge, a classifier that took no part in the game, gives each made image $\hat{x}_i$ a probability
# $p_{ik}$ for each of the $C$ classes, and reads it as the class with the largest one. Let $y_i$ be the class asked
# for. The share read as asked for, overall and among the images asked for as class $c$, is
#
# $$a = \frac{1}{N} \sum_{i=1}^{N} \big[\arg\max_k p_{ik} = y_i\big], \qquad
# a_c = \frac{\sum_i [\,y_i = c\,] \, [\arg\max_k p_{ik} = c\,]}{\sum_i [\,y_i = c\,]},$$
#
# where $[\dots]$ is 1 if what stands inside is true and 0 if not. For a class that nobody asked for, $a_c$ would be
# 0 / 0: return 0 there, no NaN. Write a function of `probs` (N, C) and `asked` (N,) that returns the pair $a$, of the
# shape (), and $(a_0, \dots, a_{C-1})$, of the shape (C,).
#
# <details><summary>Hint 1</summary>
#
# `F.one_hot(asked, C)` is a table (N, C) of $[\,y_i = c\,]$. Sums over its columns count. (A loop over the classes is
# as good.)
#
# </details>
# <details><summary>Hint 2</summary>
#
# Where the denominator is 0 the numerator is 0, too: then it may be divided by 1, `count.clamp_min(1)`.
#
# </details>


# %% key="q6"
def class_accuracy(probs: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    raise NotImplementedError("q6: write your solution here")


# %% key="check-q6" tags=["check"]
# CHECK q6
probs = torch.tensor(
    [
        [0.6, 0.3, 0.1, 0.0],
        [0.2, 0.5, 0.2, 0.1],
        [0.1, 0.4, 0.3, 0.2],
        [0.7, 0.1, 0.1, 0.1],
        [0.3, 0.4, 0.2, 0.1],
    ]
)  # read as 0, 1, 1, 0, 1
asked = torch.tensor([0, 1, 0, 0, 2])  # nobody asked for 3
pair = class_accuracy(probs, asked)
kind = type(pair).__name__
assert isinstance(pair, (tuple, list)), f"q6: class_accuracy returns a {kind}, should return two values."
assert len(pair) == 2, f"q6: class_accuracy returns {len(pair)} values, should return 2: overall, per class."
check_shape("q6: the overall share", pair[0], ())
check_shape("q6: the shares per class, for 4 classes of which one is not asked for,", pair[1], (4,))
check_close(
    "q6: the overall share if 3 of 5 images are read as asked for",
    pair[0],
    0.6,
    hint="All images count alike, however many of their class there are.",
)
check_close(
    "q6: the share of class 3, which nobody asked for,", pair[1][3], 0.0, hint="Catch the division by 0."
)
check_close(
    "q6: the share of class 0, asked for 3 times and got twice,",
    pair[1][0],
    2 / 3,
    hint="Divide by how often the class was asked for.",
)
check_close("q6: the shares of all 4 classes", pair[1], torch.tensor([2 / 3, 1.0, 0.0, 0.0]))
always_seven = class_accuracy(torch.eye(10)[torch.full((20,), 7)], torch.arange(20) % 10)
check_close("q6: the overall share of a generator that draws nothing but sevens", always_seven[0], 0.1)
check_close("q6: its shares per class", always_seven[1], torch.eye(10)[7])
draw = torch.Generator().manual_seed(0)
probs, asked = torch.rand(91, 6, generator=draw).softmax(dim=1), torch.randint(5, (91,), generator=draw)
overall, per_class = class_accuracy(probs, asked)
read = probs.argmax(dim=1)
check_close("q6: the overall share, compared with sklearn,", overall, accuracy_score(asked, read))
by_sklearn = recall_score(asked, read, labels=range(6), average=None, zero_division=0)
check_close("q6: the shares per class, compared with sklearn,", per_class, by_sklearn)
shipped, see = load_pretrained("cgan-mnist", "cpu"), feature_extractor("digits", "cpu")
asked = torch.arange(500) % 10
with torch.no_grad():
    made = shipped.sample(500, asked, generator=torch.Generator().manual_seed(1))
probs = see(made).probs.clone()
overall, per_class = class_accuracy(probs, asked)
check_range("q6: the share of the course's cgan-mnist", overall, 0.9, 1.0)
check_range("q6: its shares per class", per_class, 0.75, 1.0)
overall, per_class = class_accuracy(probs, (asked + 1) % 10)
check_range("q6: its share if it is always asked for the next class", overall, 0.0, 0.1)
print(
    "A generator that draws nothing but sevens:",
    [round(a, 2) for a in torch.as_tensor(always_seven[1]).tolist()],
)

# %% [markdown]
# ## 7 · Open question
#
# Your conditional GAN draws perfect digits, all ten equally often, but takes no notice of the digit that was asked for.
# Which terms of the loss allowed it, and how would you find out before the customer does? Say, too, why the *best* discriminator would not have let it pass, and
# what your measurement cannot see. Five to ten sentences.
#
# *5 points: the terms of the two losses that a score which looks at the image only can satisfy 2, why the best
# discriminator would object 1, a measurement for each class by a judge that took no part 1, what that measurement
# cannot see 1.*
#
# *Your answer:*
