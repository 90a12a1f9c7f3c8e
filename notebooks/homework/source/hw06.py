# %% [markdown]
# [Open in Colab](badge)
#
# # Homework 06 · Conditional GAN
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
    # %pip install -q "course-utils @ git+address"

# %%
import re
from functools import partial

import torch
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix, recall_score
from torch import Tensor, nn
from torch.nn.functional import softplus

from course_utils.checks import check_close, check_gradients, check_raises, check_range, check_shape
from course_utils.data import batches, load_images
from course_utils.features import feature_extractor
from course_utils.gan import Discriminator, Generator, discriminator_loss, other_classes
from course_utils.nets import seeded
from course_utils.pretrained import load_pretrained

train, test = load_images("digits", "train"), load_images("digits", "test")

# %% [markdown]
# ## 1 · The condition joins the noise
#
# The simplest way to tell a generator the class needs no embedding: append the class to the noise as a **one-hot**
# vector. (The first conditional GAN, Mirza and Osindero 2014, used one-hot vectors too, but sent noise and class through
# a layer each before joining them.) For $C$ classes, the label $y$ becomes $C$ numbers, a 1 at place $y$ (counted from 0) and 0
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
    ### BEGIN SOLUTION
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y holds {y.min()} … {y.max()}; allowed: 0 … {classes - 1}")
    return torch.cat([z, F.one_hot(y, classes).to(z.dtype)], dim=1)
    ### END SOLUTION


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
# ## 2 · Conditional batch normalisation
#
# A generator can hear the class in every layer. Batch normalisation takes each channel of a layer to the mean 0 and the
# variance 1 over the batch; in its conditional form (notebook 06, section 3) the scale $\gamma$ and the shift $\beta$ that
# follow belong to the class. For image $n$ of class $y_n$, channel $c$ and pixel $(i, j)$:
#
# $$h_{ncij} \;\mapsto\; \gamma_{y_n c}\, \frac{h_{ncij} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_{y_n c}$$
#
# $\mu_c$ and $\sigma_c^2$ are the mean and the variance of channel $c$ over *all* images of the batch, whatever their
# class, and all pixels. The variance is the mean squared deviation (divided by the count, not by the count minus one), and
# the gradient passes through both. You get `h` (N, C, H, W), labels `y` (N,), `gamma` and `beta` (K, C) for K classes, and
# `eps`. Write it without PyTorch's own normalisations.
#
# <details><summary>Hint 1</summary>
#
# `h.mean(dim=(0, 2, 3), keepdim=True)` has the shape (1, C, 1, 1).
#
# </details>
# <details><summary>Hint 2</summary>
#
# `gamma[y]` has the shape (N, C); `[:, :, None, None]` makes it fit the map.
#
# </details>


# %% key="q2"
def conditional_batch_norm(h: Tensor, y: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    ### BEGIN SOLUTION
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift
    ### END SOLUTION


# %% key="check-q2" tags=["check"]
# CHECK q2
two = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(2, 1, 1, 2)  # mean 4, variance 5
gamma, beta = torch.tensor([[2.0], [10.0]]), torch.tensor([[1.0], [-1.0]])
by_hand = conditional_batch_norm(two, torch.tensor([0, 1]), gamma, beta, eps=4.0)  # the root of 5 + 4 is 3
check_shape("q2: conditional_batch_norm of two maps of 1 × 2", by_hand, (2, 1, 1, 2))
check_close(
    "q2: a channel 1, 3 of class 0 and 5, 7 of class 1, with eps = 4,",
    by_hand.flatten(),
    torch.tensor([-1.0, 1 / 3, 7 / 3, 9.0]),
    hint="The mean is 4, the variance 5, so the first value is 2 · (1 - 4) / 3 + 1.",
)
draw = torch.Generator().manual_seed(0)
h = torch.randn(12, 3, 4, 5, generator=draw) * torch.tensor([0.1, 1.0, 5.0]).view(3, 1, 1) + 2
y = torch.arange(12) % 4
h = h + y[:, None, None, None]  # each class has its own mean
gamma, beta = torch.randn(5, 3, generator=draw), torch.randn(5, 3, generator=draw)
same = F.batch_norm(h, None, None, gamma[2], beta[2], training=True)
check_close(
    "q2: the result if all images have class 2, compared with torch's batch normalisation,",
    conditional_batch_norm(h, torch.full_like(y, 2), gamma, beta),
    same,
    hint="The mean over images and pixels, for each channel by itself.",
)
plain = conditional_batch_norm(h, y, torch.ones(5, 3), torch.zeros(5, 3))
check_close(
    "q2: the mean of each channel with γ = 1, β = 0",
    plain.mean(dim=(0, 2, 3)),
    torch.zeros(3),
    hint="Over the batch.",
)
check_range(
    "q2: the mean of class 3 in the channels with γ = 1, β = 0",
    plain[y == 3].mean(dim=(0, 2, 3)),
    0.1,
    2.0,
    hint="Mean and variance are those of the whole batch, not of each class or each image.",
)
wanted = gamma[y][:, :, None, None] * F.batch_norm(h, None, None, training=True) + beta[y][:, :, None, None]
check_close("q2: the result for four classes", conditional_batch_norm(h, y, gamma, beta), wanted)
inputs = [t.clone().requires_grad_() for t in (h, gamma, beta)]
weights = torch.randn(h.shape, generator=draw)
total = (weights * conditional_batch_norm(inputs[0], y, *inputs[1:])).sum()
slopes = check_gradients("q2: the result", total, inputs, hint="Compute with tensors throughout.")
again = [t.clone().requires_grad_() for t in (h, gamma, beta)]
norm = F.batch_norm(again[0], None, None, training=True)
total = (weights * (again[1][y][:, :, None, None] * norm + again[2][y][:, :, None, None])).sum()
for name, slope, expected in zip(("h", "γ", "β"), slopes, torch.autograd.grad(total, again), strict=True):
    check_close(
        f"q2: the gradient of a sum of results, {name},",
        slope,
        expected,
        tol=1e-3,
        hint="The gradient passes through the mean and the variance, too." if name == "h" else "",
    )
print("A class that no image has gets the gradient", slopes[1][4].tolist())

# %% [markdown]
# ## 3 · A classifier inside the discriminator
#
# A generator is asked for class $y$ with the frequency $q(y)$, but takes no notice of it: $q(x, y) = q(x)\, q(y)$. Its
# images may be good or bad. By section 2 of notebook 06 the best discriminator then has the scores
#
# $$s(x, y) = \log \frac{p(x)}{q(x)} + \log \frac{p(y \mid x)}{q(y)}.$$
#
# So whoever has this discriminator has two things more: the image's part $\log \frac{p(x)}{q(x)}$, and a classifier
# $p(y \mid x)$. Find them. You get `s` (N, C), the scores of N images beside each of the C classes, and `q_y` (C,), the
# numbers $q(y)$, all above 0. Return the image's part, (N,), and $p(y \mid x)$, (N, C). Scores may be as large as ±200.
#
# <details><summary>Hint 1</summary>
#
# $\sum_y p(y \mid x) = 1$. Solve the formula for $p(y \mid x)$ and sum over $y$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $\log \sum_y e^{a_y}$ is `a.logsumexp(dim=1)`, without overflow.
#
# </details>


# %% key="q3"
def split_score(s: Tensor, q_y: Tensor) -> tuple[Tensor, Tensor]:
    ### BEGIN SOLUTION
    joint = s + q_y.log()  # log p(x) / q(x) + log p(y | x)
    image_part = joint.logsumexp(dim=1)
    return image_part, (joint - image_part[:, None]).exp()
    ### END SOLUTION


# %% key="check-q3" tags=["check"]
# CHECK q3
def two_parts(where: str, s: Tensor, q_y: Tensor) -> tuple[Tensor, Tensor]:
    answer = split_score(s, q_y)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise AssertionError(f"{where}: split_score must return two values, the image's part and p(y | x).")
    check_shape(f"{where}: the image's part", answer[0], s.shape[:1])
    check_shape(f"{where}: p(y | x)", answer[1], s.shape)
    return answer[0], answer[1]


p_x, q_x = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.25, 0.3, 0.45])
p_given_x = torch.tensor([[0.7, 0.2, 0.1, 0.0001], [0.25, 0.25, 0.25, 0.25], [0.05, 0.9, 0.02, 0.03]])
p_given_x = p_given_x / p_given_x.sum(dim=1, keepdim=True)
for name, q_y in (
    ("all q(y) alike", torch.full((4,), 0.25)),
    ("different q(y)", torch.tensor([0.1, 0.2, 0.3, 0.4])),
):
    s = (p_x / q_x).log()[:, None] + (p_given_x / q_y).log()
    image_part, posterior = two_parts(f"q3: three images and four classes, {name}", s, q_y)
    check_close(
        f"q3: log p(x) / q(x) of three images, {name},",
        image_part,
        (p_x / q_x).log(),
        hint="The sum of q(y) e^s over the classes is p(x) / q(x).",
    )
    check_close(
        f"q3: p(y | x) of three images, {name},", posterior, p_given_x, hint="Take q(y) into account."
    )
far = torch.tensor([[200.0, 199.0, -200.0], [-200.0, -201.0, -200.0], [0.0, 0.0, 0.0]])
image_part, posterior = two_parts("q3: scores of ±200", far, torch.full((3,), 1 / 3))
check_close(
    "q3: the image's part for scores of ±200",
    image_part.double(),
    (far.double().logsumexp(dim=1) - torch.tensor(3.0).double().log()),
    hint="e^200 is infinite in float32: use logsumexp.",
)
check_close("q3: p(y | x) for scores of ±200", posterior.sum(dim=1), torch.ones(3))
check_close("q3: p(y | x) where all scores are 0", posterior[2], torch.full((3,), 1 / 3))

# A discriminator on digits, beside a generator with perfect images that takes no notice of y: real images with labels
# drawn at random, class 0 as often as all others together.
q_y = torch.tensor([0.5, *[0.5 / 9] * 9])
with seeded(0):
    D = Discriminator(num_classes=10, width=8)
adam, draw = torch.optim.Adam(D.parameters(), lr=2e-3), torch.Generator().manual_seed(1)
for x, y in batches(train, 128, 120, generator=torch.Generator().manual_seed(2)):
    y_hat = torch.multinomial(q_y, 128, replacement=True, generator=draw)
    x_hat = train.x[torch.randint(len(train), (128,), generator=draw)]
    adam.zero_grad()
    discriminator_loss(D(x, y), D(x_hat, y_hat)).backward()
    adam.step()
with torch.no_grad():
    s = torch.stack([D(test.x, torch.full_like(test.y, label)) for label in range(10)], dim=1)
image_part, posterior = two_parts("q3: the scores of 1,000 digits", s, q_y)
right = (posterior.argmax(dim=1) == test.y).double().mean().item()
check_range("q3: the share of test digits that the classifier inside D names", right, 0.8, 1.0)
zeros = (posterior.argmax(dim=1)[test.y != 0] == 0).double().mean().item()
check_range("q3: how often it calls another digit a zero", zeros, 0.0, 0.05, hint="Take q(y) into account.")
print("Is there a classifier inside the discriminator?", right > 0.8)

# %% [markdown]
# ## 4 · The discriminator names the class
#
# In AC-GAN (Odena, Olah and Shlens, 2017) the discriminator is not told the class. It looks at the image alone and gives
# two answers: a score $s$, as always, and `logits` (N, C), from which $P(y \mid x)$ is the softmax. Let $s_i$ and $P(\cdot
# \mid x_i)$ belong to real images of the classes $y_i$, and $\hat{s}_j$ and $P(\cdot \mid \hat{x}_j)$ to generated ones
# that were asked for as $\hat{y}_j$. Both players are rewarded for a class that is named rightly:
#
# $$L_D = -\,\mathbb{E} \log \sigma(s_i) - \mathbb{E} \log \big(1 - \sigma(\hat{s}_j)\big)
# - \mathbb{E} \log P(y_i \mid x_i) - \mathbb{E} \log P(\hat{y}_j \mid \hat{x}_j)$$
#
# $$L_G = -\,\mathbb{E} \log \sigma(\hat{s}_j) - \mathbb{E} \log P(\hat{y}_j \mid \hat{x}_j)$$
#
# Each $\mathbb{E}$ is the mean over its own batch; the two batches may differ in size. Return the pair $L_D$, $L_G$. Both
# must be right for scores and logits as large as ±200.
#
# <details><summary>Hint 1</summary>
#
# `F.cross_entropy(logits, y)` is $-\,\mathbb{E} \log P(y \mid x)$ from the logits.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `softplus(s)` is $\log(1 + e^s) = -\log(1 - \sigma(s))$.
#
# </details>


# %% key="q4"
def acgan_losses(
    s: Tensor, logits: Tensor, y: Tensor, s_hat: Tensor, logits_hat: Tensor, y_hat: Tensor
) -> tuple[Tensor, Tensor]:
    ### BEGIN SOLUTION
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake
    ### END SOLUTION


# %% key="check-q4" tags=["check"]
# CHECK q4
def two_losses(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    answer = acgan_losses(*arguments)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise AssertionError("q4: acgan_losses must return two values, the losses of D and of G.")
    for name, loss in zip(("L_D", "L_G"), answer, strict=True):
        check_shape(f"q4: {name}", loss, ())
    return answer[0], answer[1]


y, y_hat = torch.tensor([0, 3, 1, 2, 2]), torch.tensor([1, 1, 0])
blank = (torch.zeros(5), torch.zeros(5, 4), y, torch.zeros(3), torch.zeros(3, 4), y_hat)
loss_D, loss_G = two_losses(*blank)
check_close(
    "q4: L_D if nothing is known, 2 log 2 + 2 log 4,", loss_D, 4.158883, hint="Four terms, each a mean."
)
check_close("q4: L_G if nothing is known, log 2 + log 4,", loss_G, 2.079442, hint="Two terms, each a mean.")
draw = torch.Generator().manual_seed(0)
s, s_hat = 2 * torch.randn(5, generator=draw), 2 * torch.randn(3, generator=draw)
logits, logits_hat = 3 * torch.randn(5, 4, generator=draw), 3 * torch.randn(3, 4, generator=draw)
log_P = (logits - logits.logsumexp(dim=1, keepdim=True))[torch.arange(5), y]
log_P_hat = (logits_hat - logits_hat.logsumexp(dim=1, keepdim=True))[torch.arange(3), y_hat]
terms = {
    "log σ(s)": -s.sigmoid().log().mean(),
    "log (1 - σ(ŝ))": -(1 - s_hat.sigmoid()).log().mean(),
    "log P(y | x)": -log_P.mean(),
    "log P(ŷ | x̂)": -log_P_hat.mean(),
}
loss_D, loss_G = two_losses(s, logits, y, s_hat, logits_hat, y_hat)
check_close("q4: L_D of 5 real and 3 generated images", loss_D, sum(terms.values()))
check_close(
    "q4: L_G of the same images",
    loss_G,
    -s_hat.sigmoid().log().mean() + terms["log P(ŷ | x̂)"],
    hint="The generator wants high scores, and its class named; real images are not its business.",
)
inputs = [t.clone().requires_grad_() for t in (s, logits, s_hat, logits_hat)]
both = two_losses(inputs[0], inputs[1], y, inputs[2], inputs[3], y_hat)
P, P_hat = logits.softmax(dim=1), logits_hat.softmax(dim=1)
in_D = (
    -(-s).sigmoid() / 5, (P - F.one_hot(y, 4)) / 5, s_hat.sigmoid() / 3, (P_hat - F.one_hot(y_hat, 4)) / 3,
)  # fmt: skip
in_G = (torch.zeros(5), torch.zeros(5, 4), -(-s_hat).sigmoid() / 3, in_D[3])
for name, loss, expected in zip(("L_D", "L_G"), both, (in_D, in_G), strict=True):
    slopes = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
    for of, slope, want in zip(("s", "logits", "ŝ", "logits of x̂"), slopes, expected, strict=True):
        check_close(f"q4: the gradient of {name}, {of},", slope, want)
far = (torch.full((5,), -200.0), 200 * F.one_hot((y + 1) % 4, 4).float(), y, torch.full((3,), 200.0))
loss_D, loss_G = two_losses(*far, 200 * F.one_hot(y_hat, 4).float(), y_hat)
check_close(
    "q4: L_D where s = -200, ŝ = 200 and real classes are named wrongly", loss_D, 600.0, hint="softplus"
)
check_close("q4: L_G there", loss_G, 0.0)
print("If nothing is known, the generator's loss is", round(two_losses(*blank)[1].item(), 2))

# %% [markdown]
# ## 5 · A round of the conditional game
#
# Write a whole round: one step of the discriminator, then one step of the generator, with the **hinge loss**. With scores
# $s(x, y)$, wrong labels $\tilde{y}$ and $[a]_+ = \max(0, a)$ the two lower
#
# $$L_D = \mathbb{E}\,[1 - s(x, y)]_+ + \tfrac12\, \mathbb{E}\,[1 + s(G(z, y), y)]_+ + \tfrac12\, \mathbb{E}\,[1 + s(x, \tilde{y})]_+,
# \qquad L_G = -\,\mathbb{E}\, s(G(z, y), y).$$
#
# You get real images `x` with labels `y`, the two networks `G(z, y)` and `D(x, y)`, an optimiser for each, and `draw`, a
# `torch.Generator` from which all randomness comes.
#
# 1. The discriminator's turn. Draw noise $z$ (`len(x)` rows of `G.latent_dim` standard normal numbers) and wrong labels, with
#    `other_classes(y, G.num_classes, draw)`. Take one step of `opt_D` down $L_D$.
# 2. The generator's turn. Draw *new* noise. Take one step of `opt_G` down $L_G$, against the discriminator as it is now.
#
# Both are asked for the labels `y`. Gradients left behind by an earlier turn must not count. Return the two losses, as they
# were before their steps, as plain numbers.
#
# The check trains a small conditional GAN on digits with your round. That takes about ten seconds.
#
# <details><summary>Hint 1</summary>
#
# In the discriminator's turn `.detach()` keeps the generator out. In the generator's turn nothing may be detached.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The generator's `backward()` leaves gradients in the discriminator, and the other way round if you do not detach. So call
# `zero_grad()` right before each `backward()`.
#
# </details>


# %% key="q5"
def play_round(
    G: nn.Module, D: nn.Module, opt_G: torch.optim.Optimizer, opt_D: torch.optim.Optimizer, x: Tensor, y: Tensor,
    draw: torch.Generator,
) -> tuple[float, float]:  # fmt: skip
    ### BEGIN SOLUTION
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()
    ### END SOLUTION


# %% key="check-q5" tags=["check"]
# CHECK q5
class Maker(nn.Module):
    """G(z, y) = z + c_y. It remembers the noise and the labels that it gets."""

    latent_dim, num_classes = 2, 2

    def __init__(self, num_classes: int = 2):
        super().__init__()
        self.num_classes, self.seen = num_classes, []
        self.c = nn.Parameter(torch.arange(2.0 * num_classes).view(num_classes, 2) / 5)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        self.seen.append((z.detach().clone(), y.clone()))
        return z + self.c[y]


class Scorer(nn.Module):
    """s(x, y) = ⟨a_y, x⟩. It remembers the labels beside each point."""

    def __init__(self, num_classes: int = 2):
        super().__init__()
        self.a, self.seen = nn.Parameter(torch.linspace(-0.4, 0.5, 2 * num_classes).view(num_classes, 2)), []

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        self.seen += [(*point, label) for point, label in zip(x.tolist(), y.tolist(), strict=True)]
        return (self.a[y] * x).sum(dim=1)


def score(a: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return (a[y] * x).sum(dim=1)


def numbers_of(answer: object) -> tuple[float, float]:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise AssertionError("q5: play_round must return two values, the losses of D and of G.")
    if not all(isinstance(loss, float) for loss in answer):
        raise AssertionError("q5: the two losses must be plain numbers: loss.item().")
    return answer[0], answer[1]


draw = torch.Generator().manual_seed(0)
x, y = 2 * torch.randn(6, 2, generator=draw), torch.tensor([0, 1, 1, 0, 1, 0])
for stale in (0.0, 50.0):
    maker, scorer = Maker(), Scorer()  # with two classes the wrong label is 1 - y
    opt_G, opt_D = (torch.optim.SGD(player.parameters(), lr=0.3) for player in (maker, scorer))
    for weight in (maker.c, scorer.a):
        weight.grad = torch.full_like(weight, stale)
    c, a = maker.c.detach().clone(), scorer.a.detach().clone().requires_grad_()
    losses = numbers_of(play_round(maker, scorer, opt_G, opt_D, x, y, torch.Generator().manual_seed(1)))
    calls = len(maker.seen)
    if calls != 2:
        raise AssertionError(f"q5: the generator is called {calls} times in a round, should be twice.")
    (z_1, y_1), (z_2, y_2) = maker.seen
    for turn, (z, labels) in zip(("discriminator's", "generator's"), maker.seen, strict=True):
        check_shape(f"q5: the noise of the {turn} turn", z, (6, 2), hint="len(x) rows of G.latent_dim.")
        check_close(f"q5: the labels that G is asked for in the {turn} turn", labels, y)
    check_range(
        "q5: how far the noise of the two turns differs", (z_1 - z_2).abs().mean(), 0.3, 3, hint="New noise."
    )
    false = (F.relu(1 + score(a, z_1 + c[y], y)).mean() + F.relu(1 + score(a, x, 1 - y)).mean()) / 2
    loss_D = F.relu(1 - score(a, x, y)).mean() + false
    check_close(
        "q5: L_D before its step", losses[0], loss_D, hint="Three means; false pairs count half each."
    )
    (slope,) = torch.autograd.grad(loss_D, a)
    after = f" if gradients of {stale:g} were left behind" if stale else ""
    hint = "zero_grad() before backward()." if stale else "One step of opt_D down L_D, and this loss only."
    check_close(f"q5: the discriminator's step{after}", scorer.a - a, -0.3 * slope, hint=hint)
    a = scorer.a.detach()
    c = c.requires_grad_()
    loss_G = -score(a, z_2 + c[y], y).mean()
    check_close(
        "q5: L_G before its step", losses[1], loss_G, hint="Against the discriminator after its step."
    )
    (slope,) = torch.autograd.grad(loss_G, c)
    hint = "zero_grad() before backward()." if stale else "One step of opt_G down L_G."
    check_close(f"q5: the generator's step{after}", maker.c - c, -0.3 * slope, hint=hint)
    if not scorer.a.requires_grad:
        raise AssertionError("q5: D's weights no longer require a gradient; leave them as they are.")
maker, scorer, five = Maker(5), Scorer(5), torch.arange(200) % 5
x = torch.randn(200, 2, generator=draw)
stay = [torch.optim.SGD(player.parameters(), lr=0.0) for player in (maker, scorer)]
results = [
    numbers_of(play_round(maker, scorer, *stay, x, five, torch.Generator().manual_seed(k))) for k in (0, 0, 1)
]
check_close("q5: the losses with the same seed again", results[1], results[0], hint="Use `draw` everywhere.")
check_range(
    "q5: how far another seed changes L_D", abs(results[2][0] - results[1][0]), 1e-4, 1.0, hint="Use `draw`."
)
beside = {tuple(point): [] for point in x.tolist()}
for *point, label in scorer.seen:
    if tuple(point) in beside:
        beside[tuple(point)].append(label)
wrong = [
    (k, label)
    for point, k in zip(x.tolist(), five.tolist(), strict=True)
    for label in beside[tuple(point)]
    if label != k
]
check_close(
    "q5: how many wrong pairs three rounds show", len(wrong), 600, hint="Each real image once a round."
)
hint = "Each label has four wrong ones, and all of them must come up: use other_classes."
check_close("q5: how many different wrong pairs of classes there are", len(set(wrong)), 20, hint=hint)
noise = torch.cat([z for z, _ in maker.seen])
check_range("q5: the mean of the noise", noise.mean(), -0.15, 0.15, hint="Standard normal: randn.")
check_range("q5: the variance of the noise", noise.var(), 0.8, 1.2, hint="Standard normal: randn.")

see, asked = feature_extractor("digits", "cpu"), torch.arange(200) % 10
with seeded(0):
    G, D = Generator(16, num_classes=10, width=12), Discriminator(num_classes=10, width=12)
opt_G, opt_D = (torch.optim.Adam(player.parameters(), lr=2e-3, betas=(0.0, 0.99)) for player in (G, D))
draw = torch.Generator().manual_seed(1)
for x, y in batches(train, 32, 300, generator=torch.Generator().manual_seed(2)):
    play_round(G, D, opt_G, opt_D, x, y, draw)
with torch.no_grad():
    drawn = G.eval().sample(200, asked, generator=torch.Generator().manual_seed(3))
obeyed = (see(drawn).probs.argmax(dim=1) == asked).double().mean().item()
check_range("q5: the share of images classified as requested after 300 rounds", obeyed, 0.4, 1.0)
print("Does the generator obey more often than by chance (0.1)?", obeyed > 0.4)

# %% [markdown]
# ## 6 · Do you get what you ask for?
#
# And if not, what instead? A judge, a classifier that took no part in the game, gives each generated image $\hat{x}_i$ a
# probability $p_{ik}$ for each of the $C$ classes, and reads it as the class with the largest one,
# $r_i = \arg\max_k p_{ik}$. Let $y_i$ be the class asked for. Among the images asked for as class $c$, the share read as
# asked for, and the *wrong* class that they are read as most often, are
#
# $$a_c = \frac{\sum_i [\,y_i = c\,] \, [\,r_i = c\,]}{\sum_i [\,y_i = c\,]}, \qquad
# b_c = \arg\max_{k \ne c} \sum_i [\,y_i = c\,] \, [\,r_i = k\,],$$
#
# where $[\dots]$ is 1 if what stands inside is true and 0 if not. For a class that nobody asked for, $a_c$ would be
# 0 / 0: return 0 there, no NaN. If several wrong classes are read equally often, $b_c$ is the lowest of them; if no image
# asked for as $c$ is read as a wrong class, it is -1.
#
# Write a function of `probs` (N, C) and `asked` (N,) that returns the pair `per_class`, $(a_0, \dots, a_{C-1})$, and
# `instead`, $(b_0, \dots, b_{C-1})$, both of the shape (C,).
#
# <details><summary>Hint 1</summary>
#
# `F.one_hot(asked, C)` is a table (N, C) of $[\,y_i = c\,]$, `F.one_hot(read, C)` one of $[\,r_i = k\,]$. One product of
# matrices makes of both the table (C, C) that holds for each $c$ how often it is read as each $k$. (A loop over the
# classes is as good.)
#
# </details>
# <details><summary>Hint 2</summary>
#
# Where the denominator is 0 the numerator is 0, too: then it may be divided by 1, `count.clamp_min(1)`. And before you
# look for the most frequent wrong class, take the right ones out of the table. Among equals, `max(dim=1)` finds the first.
#
# </details>


# %% key="q6"
def class_accuracy(probs: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    ### BEGIN SOLUTION
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)  # (C, C): asked for, read as
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    return right / table.sum(dim=1).clamp_min(1), instead.where(most > 0, -1)
    ### END SOLUTION


# %% key="check-q6" tags=["check"]
# CHECK q6
def two_lists(where: str, probs: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    pair = class_accuracy(probs, asked)
    kind, classes = type(pair).__name__, probs.shape[1]
    assert isinstance(pair, (tuple, list)), (
        f"q6: class_accuracy returns a {kind}, should return two values: per_class, instead."
    )
    assert len(pair) == 2, (
        f"q6: class_accuracy returns {len(pair)} values, should return 2: per_class, instead."
    )
    for name, values in zip(("per_class", "instead"), pair, strict=True):
        check_shape(f"q6: {name} {where}", values, (classes,), hint="One number for each of the C classes.")
    return torch.as_tensor(pair[0]), torch.as_tensor(pair[1])


def check_instead(got: Tensor, want: list[int], what: str, hint: str = "") -> None:
    for c, (found, right) in enumerate(zip(got.tolist(), want, strict=True)):
        if found != right:
            raise AssertionError(f"q6: instead[{c}] is {found:g}, should be {right}, {what}. {hint}".rstrip())


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
shares, instead = two_lists("for 4 classes of which one is not asked for", probs, asked)
check_close(
    "q6: the share of class 3, which nobody asked for,", shares[3], 0.0, hint="Catch the division by 0."
)
check_close(
    "q6: the share of class 0, asked for 3 times and got twice,",
    shares[0],
    2 / 3,
    hint="Divide by how often the class was asked for.",
)
check_close("q6: the shares of all 4 classes", shares, torch.tensor([2 / 3, 1.0, 0.0, 0.0]))
hint = "Only wrong classes count, and the most frequent of them. Where there is none it is -1: 0 is a class."
what = "if class 0 is read as 0, 0 and 1, classes 1 and 2 as 1, and nobody asks for 3"
check_instead(instead, [1, -1, 1, -1], what, hint)
for of_2, want in (([4, 1, 4, 1, 3, 2], 1), ([3, 4, 2, 2, 2, 4], 4), ([0, 3, 3, 0, 3, 0], 0)):
    reads = [[3], [4, 4], of_2, [4, 3], [4, 3, 3]]
    probs = torch.eye(5)[torch.tensor([r for each in reads for r in each])]
    asked = torch.tensor([c for c, each in enumerate(reads) for _ in each])
    what = f"if the classes 0 to 4 are read as {', '.join(map(str, reads))}"
    hint = "Only wrong classes count; of several that are read equally often, the lowest."
    check_instead(two_lists(what, probs, asked)[1], [3, 4, want, 4, 3], what, hint)
sevens = two_lists("for nothing but sevens", torch.eye(10)[torch.full((20,), 7)], torch.arange(20) % 10)
check_close("q6: the shares of a generator that draws nothing but sevens", sevens[0], torch.eye(10)[7])
check_instead(sevens[1], [7] * 7 + [-1] + [7] * 2, "for a generator that draws nothing but sevens")
draw = torch.Generator().manual_seed(0)
for n in (91, 13):
    probs, asked = torch.rand(n, 6, generator=draw).softmax(dim=1), torch.randint(5, (n,), generator=draw)
    shares, instead = two_lists(f"for {n} random images", probs, asked)
    read = probs.argmax(dim=1)
    by_sklearn = recall_score(asked, read, labels=range(6), average=None, zero_division=0)
    check_close(f"q6: the shares of {n} random images, compared with sklearn,", shares, by_sklearn)
    wrong = torch.as_tensor(confusion_matrix(asked, read, labels=range(6))).fill_diagonal_(0)
    first = [row.index(max(row)) if any(row) else -1 for row in wrong.tolist()]
    check_instead(instead, first, f"for {n} random images, by sklearn's table")
shipped, see = load_pretrained("cgan-mnist", "cpu"), feature_extractor("digits", "cpu")
asked = torch.arange(500) % 10
with torch.no_grad():
    drawn = shipped.sample(500, asked, generator=torch.Generator().manual_seed(1))
probs = see(drawn).probs.clone()
shares, _ = two_lists("of the course's cgan-mnist", probs, asked)
check_range("q6: the shares of the course's cgan-mnist", shares, 0.75, 1.0)
shares, instead = two_lists("if it is always asked for the next class", probs, (asked + 1) % 10)
check_range("q6: its shares if it is always asked for the next class", shares, 0.0, 0.25)
check_instead(instead, [9, 0, 1, 2, 3, 4, 5, 6, 7, 8], "if it is always asked for the next class")
print(
    "A generator that draws nothing but sevens:",
    [round(a, 2) for a in sevens[0].tolist()],
    "and instead",
    [round(b) for b in sevens[1].tolist()],
)

# %% [markdown]
# ## 7 · Open question
#
# Your conditional GAN draws perfect digits, all ten equally often, but takes no notice of the digit that was asked for.
# Which terms of the game allowed it, and which should have prevented it? How would you find out before your customer
# does, and what can your measurement not see? Five to ten sentences.
#
# *5 points.*
#
# ### BEGIN SOLUTION
# **A model answer.** The real pairs and the generated pairs hold the same images, only the labels stand differently beside
# them. A discriminator whose score looks at the image alone, such as $s = \psi(h)$ with all $v_y$ alike, sees no difference,
# so the term for real pairs and the term for generated pairs are as good as they can be without the label: $D$ is one half
# everywhere, and the generator's own term gives it no push, since a score that does not depend on $y$ has the same
# gradient whatever was asked for. The same two terms should have prevented it: the best discriminator has $s^*(x, y) = \log p(y \mid x) -
# \log q(y)$ here, which is far below zero at a 3 that was asked for as a 7, and it reaches a higher value than
# the blind one. So the discriminator was not the best: too few turns, too weak a way in for the label, or nothing that
# taught it to use the label. Mismatched pairs would have, since a blind score has to pay for every one of them. I would
# ask for each class, say, 100 times and let a classifier that took no part in the game read the images, and report the share
# classified as requested each class by itself, beside the 10 % of chance; FID, precision and recall would show nothing, as they never
# see the request. What this share cannot see: whether the images within a class vary (one perfect image for each class scores
# 100 %), whether they look like digits to people (the classifier has to answer with one of ten), and mistakes that the
# classifier makes itself.
#
# **Marking.** 2 points for the terms: both terms of $L_D$, and $L_G$, can be satisfied by a score that sees only the image (1), with a reason why no
# gradient then tells the generator (1). 1 for what should have prevented it: the best score contains $\log p(y \mid x) / q(y)$, or mismatched pairs
# force the discriminator to look. 1 for a measurement for each class, by a judge that took no part, with its chance level. 1 for a limit of *that* measurement.
# An answer that proposes FID or looking at a few images gets none of the last two.
# ### END SOLUTION
