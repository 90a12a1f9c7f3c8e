# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/student/hw03.ipynb)
#
# # Homework 03 · Autoencoders
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
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from course_utils.autoencoders import Autoencoder
from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.data import batches, load_images
from course_utils.features import readability
from course_utils.nets import over_batches, seeded
from course_utils.pretrained import load_pretrained

train, test = load_images("digits", "train"), load_images("digits", "test")

# %% [markdown]
# ## 1 · A training step that looks only at what was lost
#
# A masked autoencoder (He et al. 2022, "Masked autoencoders are scalable vision learners") sees only a part of each image
# and has to fill in the rest. What it is shown it could simply copy, and to copy teaches it nothing about images; so only
# the lost pixels count in the loss.
#
# Write one step that trains `model` like this. `x` (N, C, H, W) holds images in [-1, 1]. `lost` is true where a pixel is
# lost; its shape is (N, 1, H, W), where a pixel is lost with all its colours, or (N, C, H, W).
#
# - Forget old gradients.
# - Show the model `x` with 0, mid-grey, in all lost places. `x` itself must stay as it was.
# - The loss is the squared error between the model's answer and `x` at the lost values only, averaged over all lost values
#   of the whole batch: an image that has lost more counts more, and every colour of a lost pixel is a value.
# - Compute the gradient and let `optimizer` make one step.
# - Give back the loss *before* the step, as a plain number.
#
# <details><summary>Hint 1</summary>
#
# `x.masked_fill(lost, 0.0)` is a new tensor; one axis of length 1 in `lost` is stretched for it. For the loss,
# `lost.expand_as(x)` has one truth for each value of `x`, so that it can choose among the squared errors, and its sum is
# the number of lost values.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Gradients add up until they are told to be forgotten: `optimizer.zero_grad()`. And `loss.item()` is a plain number.
#
# </details>


# %% key="q1"
def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, lost: Tensor) -> float:
    raise NotImplementedError("q1: write your solution here")


# %% key="check-q1" tags=["check"]
# CHECK q1
class Level(nn.Module):
    """Answers everywhere with one weight times the mean of the image it was shown, and remembers what that was."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.seen = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.weight * x.mean(dim=(1, 2, 3), keepdim=True).expand_as(x)


x = torch.ones(2, 3, 1, 4)  # two images of 4 pixels, 3 colours
x[1, :, :, 1:] = -1.0
lost = torch.tensor([[False, False, False, True], [False, True, True, True]]).view(2, 1, 1, 4)
shown = torch.tensor([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]).view(2, 1, 1, 4).expand(2, 3, 1, 4)
kept_x, kept_lost = x.clone(), lost.clone()
level = Level()
sgd = torch.optim.SGD(level.parameters(), lr=0.4)
value = training_step(level, sgd, x, lost)
check_close("q1: the images, afterwards,", x, kept_x, hint="Work on a copy.")
check_close("q1: the mask, afterwards,", lost, kept_lost, hint="Work on a copy.")
seen = torch.cat(level.seen or [x[:0]])
check_shape(
    "q1: what the model is shown",
    seen,
    x.shape,
    hint="Each image goes through the model once, before the step.",
)
check_close("q1: what the model is shown", seen, shown, hint="0 where `lost` is true, x elsewhere.")
hint = (
    "The first image shows ones and has lost a 1, the second shows a 1 and has lost three times -1. The means shown are "
    "0.75 and 0.25, twice that are the answers. So 3 lost values, with 3 colours, are wrong by 0.5, and 9 by 1.5: "
    "(3 · 0.25 + 9 · 2.25) / 12."
)
check_close("q1: the loss of two images of 4 pixels, of which 1 and 3 are lost,", value, 1.75, hint=hint)
assert isinstance(value, float), (
    f"q1: the loss is a {type(value).__name__}, should be a plain number: loss.item()."
)
hint = (
    "For a weight w the loss is (3 (0.75 w - 1)² + 9 (0.25 w + 1)²) / 12, and its derivative 3/8 w. The optimizer moves w "
    "by 0.4 of that, which leaves 0.85 w."
)
check_close("q1: the weight 2 after a step of plain gradient descent", level.weight, 0.85 * 2, hint=hint)
second = training_step(level, sgd, x, lost)
hint = "Each step forgets the gradients of the one before."
check_close("q1: the weight after a second step", level.weight, 0.85**2 * 2, hint=hint)
check_close(
    "q1: the loss that the second step gives back",
    second,
    (3 * 0.275**2 + 9 * 1.425**2) / 12,
    hint="The weight before that step was 1.7: 3 values are wrong by 0.275, and 9 by 1.425.",
)
level.weight.grad = torch.tensor(1e6)
training_step(level, sgd, 0 * x, lost)
check_close(
    "q1: how much grey images, which no weight gets wrong, move the weight",
    level.weight - 0.85**2 * 2,
    0.0,
    hint="Forget gradients that were there before the step.",
)
draw = torch.Generator().manual_seed(0)
x = 2 * torch.rand(4, 3, 5, 6, generator=draw) - 1
often = torch.tensor([0.0, 0.2, 0.5, 1.0]).view(4, 1, 1, 1)  # the first image loses nothing, the last one all
for colours, what in ((1, "pixels with all their colours"), (3, "values of single colours")):
    lost = torch.rand(4, colours, 5, 6, generator=draw) < often
    wrong = []
    for n in range(4):
        places = lost[n].expand(3, 5, 6)
        answer = 2 * x[n][~places].sum() / 90
        wrong += [float((answer - v) ** 2) for v in x[n][places]]
    level = Level()
    check_close(
        f"q1: the loss of four images that have lost between none and all of their values, {what},",
        training_step(level, torch.optim.SGD(level.parameters(), lr=0.4), x, lost),
        sum(wrong) / len(wrong),
        hint=f"All {len(wrong)} lost values of the batch count alike.",
    )
with seeded(0):
    model = Autoencoder(latent_dim=16)
adam = torch.optim.Adam(model.parameters(), lr=2e-3)
for x, _ in batches(train, 64, 60, generator=torch.Generator().manual_seed(0)):
    training_step(model, adam, x, torch.rand(x.shape, generator=draw) < 0.5)
lost = torch.rand(test.x.shape, generator=draw) < 0.5
wrong = (over_batches(model, test.x.masked_fill(lost, 0.0)) - test.x)[lost].square().mean()
check_range(
    "q1: the squared error at lost pixels of test digits, after 60 steps with a random half lost,",
    wrong,
    0.0,
    0.3,
    hint="An untrained model has about 0.39, and one that copies what it is shown 0.92.",
)
print("The loss of two images of which 1 and 3 pixels are lost:", round(value, 2))

# %% [markdown]
# ## 2 · The linear autoencoder
#
# Principal component analysis is an autoencoder without activation functions. For vectors $x$ (here: images, flattened)
# with mean $\mu$, let $V$ hold the first $d$ right singular vectors of the centred data as columns. Then
#
# $$z = V^\top (x - \mu), \qquad \hat{x} = V z + \mu.$$
#
# Write a function that fits $\mu$ and $V$ on `x_train` (M, D) and gives back the reconstructions of `x` (N, D) through $d$
# numbers, 1 ≤ d ≤ D.
#
# <details><summary>Hint 1</summary>
#
# `torch.linalg.svd(a, full_matrices=False)` returns `u, s, vh`; the *rows* of `vh` are the right singular vectors, the
# most important first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Center with the mean of the *training* data, for `x` too, and add it again at the end.
#
# </details>


# %% key="q2"
def pca_reconstruct(x: Tensor, x_train: Tensor, d: int) -> Tensor:
    raise NotImplementedError("q2: write your solution here")


# %% key="check-q2" tags=["check"]
# CHECK q2
draw = torch.Generator().manual_seed(0)
scales = torch.tensor([5.0, 4.0, 0.5, 0.3])
cloud = torch.randn(500, 4, generator=draw) * scales + torch.tensor([10.0, 0.0, -4.0, 2.0])
kept_cloud = cloud.clone()
check_shape("q2: pca_reconstruct(x, x_train, d)", pca_reconstruct(cloud[:7], cloud, 2), (7, 4))
check_close("q2: the input, afterwards,", cloud, kept_cloud, hint="Work on a copy.")
check_close(
    "q2: with d = D nothing is lost: the reconstruction of x",
    pca_reconstruct(cloud, cloud, 4),
    cloud,
    tol=1e-3,
)
spectrum = torch.linalg.eigvalsh(cloud.T.cov(correction=0))  # ascending
kept = []
for d in (1, 2, 3):
    lost = (torch.as_tensor(pca_reconstruct(cloud, cloud, d)) - cloud).square().sum(dim=1).mean()
    check_close(
        f"q2: the mean squared error through d = {d} numbers",
        lost,
        spectrum[: 4 - d].sum(),
        tol=1e-3,
        hint="It must be the sum of the eigenvalues of the covariance that were left out.",
    )
    kept.append(round((1 - lost / spectrum.sum()).item(), 2))
away = cloud[:50] + torch.tensor([1.0, -2.0, 3.0, 0.5])
pca = PCA(2).fit(cloud.numpy())
by_sklearn = torch.from_numpy(pca.inverse_transform(pca.transform(away.numpy())))
check_close(
    "q2: the reconstruction of data with another mean than x_train",
    pca_reconstruct(away, cloud, 2),
    by_sklearn,
    tol=1e-3,
    hint="Both the mean and V come from x_train; x is only projected.",
)
check_close(
    "q2: the reconstruction of one row alone", pca_reconstruct(away[:1], cloud, 2), by_sklearn[:1], tol=1e-3
)
print("Share of the variance that 1, 2, 3 numbers keep:", kept)

# %% [markdown]
# ## 3 · A corruption of your own
#
# *Salt and pepper*: each pixel (each of the N · C · H · W values counts as one) is damaged with probability `p`,
# independently of the others; a damaged pixel becomes white (1) or black (-1), each half of the time. All other pixels stay as they are. The input must not be changed, and all
# randomness comes from the generator that is given: the same seed gives the same damage.
#
# <details><summary>Hint</summary>
#
# Draw `u = torch.rand(x.shape, generator=generator)` once. What does `u < p / 2` choose? And `u > 1 - p / 2`?
#
# </details>


# %% key="q3"
def salt_and_pepper(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    raise NotImplementedError("q3: write your solution here")


# %% key="check-q3" tags=["check"]
# CHECK q3
grey = torch.full((50, 1, 28, 28), 0.25)
damaged = salt_and_pepper(grey, 0.4, torch.Generator().manual_seed(1))
check_shape("q3: salt_and_pepper(x, p, generator)", damaged, (50, 1, 28, 28))
check_close("q3: the input, afterwards,", grey, torch.full_like(grey, 0.25), hint="Work on a copy.")
known = (damaged == 1) | (damaged == -1) | (damaged == 0.25)
check_close("q3: the share of pixels that are 1, -1 or as they were", known.double().mean(), 1.0)
check_close(
    "q3: the share of damaged pixels for p = 0.4",
    (damaged != 0.25).double().mean(),
    0.4,
    tol=0.012,
    hint="p is the probability of damage of either kind.",
)
white = (damaged == 1).double()
check_close("q3: the share of white ones among them", white.sum() / (damaged != 0.25).sum(), 0.5, tol=0.02)
check_range(
    "q3: how often any one of the 28 columns of pixels is white",
    white.mean(dim=(0, 1, 2)),
    0.14,
    0.26,
    hint="Black or white must be drawn for each pixel.",
)
check_range(
    "q3: how often the pixels of a chessboard's fields are white",
    torch.stack([white[..., ::2, ::2].mean(), white[..., 1::2, ::2].mean()]),
    0.17,
    0.23,
)
per_pixel = (damaged != 0.25).double().mean(dim=0)
check_range(
    "q3: how often any one of the 784 pixels is damaged",
    per_pixel,
    0.1,
    0.75,
    hint="Each image and each pixel needs its own draw.",
)
per_image = (damaged != 0.25).double().mean(dim=(1, 2, 3))
check_range("q3: the share of damaged pixels of any one image", per_image, 0.3, 0.5)
check_range(
    "q3: the share of white ones among the damaged pixels of any one image",
    white.flatten(1).sum(dim=1) / (damaged != 0.25).flatten(1).sum(dim=1),
    0.35,
    0.65,
    hint="Black or white must be drawn for each pixel.",
)
check_close("q3: with p = 0 the result", salt_and_pepper(grey, 0.0, torch.Generator().manual_seed(1)), grey)
again = salt_and_pepper(grey, 0.4, torch.Generator().manual_seed(1))
check_close(
    "q3: the result with the same seed again", again, damaged, hint="Use the generator for every draw."
)
other_seed = salt_and_pepper(grey, 0.4, torch.Generator().manual_seed(2))
check_range(
    "q3: the share of pixels that another seed damages differently",
    (other_seed != damaged).double().mean(),
    0.4,
    0.7,
    hint="Use the generator that is given.",
)
print("Kinds of pixels in a damaged grey image:", len(damaged.unique()))

# %% [markdown]
# ## 4 · Teach an autoencoder to remove it
#
# Write one denoising step's loss: corrupt with `salt_and_pepper`, reconstruct with `model.reconstruct`, take the squared
# error, summed over each image and averaged over the images. The cell below then trains with it for 300 steps, and checks
# what came out.
#
# <details><summary>Hint</summary>
#
# Which image does the encoder see, and with which image is the result compared? If you take the same for both, it is an
# ordinary autoencoder.
#
# </details>


# %% key="q4"
def denoising_loss(model: Autoencoder, x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    raise NotImplementedError("q4: write your solution here")


# %% key="check-q4" tags=["check"]
# CHECK q4
class Copier:
    """Stands in for a model: gives back what it is given, and remembers it."""

    def __init__(self):
        self.parts = []

    def encode(self, x: Tensor) -> Tensor:
        self.parts.append(x)
        return x

    def decode(self, z: Tensor) -> Tensor:
        return z

    reconstruct = __call__ = encode


few = test.x[:100]
for p in (0.1, 0.6):
    copier = Copier()
    value = denoising_loss(copier, few, p, torch.Generator().manual_seed(2))
    check_shape("q4: denoising_loss(...)", value, ())
    seen = torch.cat(copier.parts or [few])
    check_shape("q4: what the encoder sees", seen, few.shape, hint="Each image goes through the model once.")
    damage = (seen - few).square().flatten(1).sum(dim=1)
    expected = p * ((few - 1).square() + (few + 1).square()).flatten(1).sum(dim=1).mean() / 2
    check_close(
        f"q4: how far the encoder's input is from the clean image, squared, for p = {p},",
        damage.mean(),
        expected,
        tol=0.1,
        hint="The encoder must see the image, corrupted with p.",
    )
    check_close(
        "q4: the loss of a model that copies its input",
        value,
        damage.mean(),
        tol=1e-3,
        hint="The result is to be compared with the clean image.",
    )
generator = torch.Generator().manual_seed(2)
first, second = (denoising_loss(Copier(), few, 0.6, generator) for _ in range(2))
check_close("q4: the loss with the same seed again", first, value, hint="Use the generator that is given.")
check_range(
    "q4: how much the loss of a copier changes from one call to the next",
    abs(second - first),
    0.01,
    300,
    hint="Use the generator that is given, and do not seed it again.",
)
with seeded(0):
    model = Autoencoder(latent_dim=16)
hint = "Return a tensor, without .item(), detach or no_grad."
loss = denoising_loss(model, few, 0.3, torch.Generator().manual_seed(2))
check_gradients("q4: the loss", loss, [*model.parameters()], hint=hint)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
noise = torch.Generator().manual_seed(3)
for x, _ in batches(train, 64, 300, generator=torch.Generator().manual_seed(4)):
    optimizer.zero_grad()
    denoising_loss(model, x, 0.3, noise).backward()
    optimizer.step()
dirty = salt_and_pepper(test.x, 0.3, torch.Generator().manual_seed(5))
before = (dirty - test.x).square().flatten(1).sum(dim=1).mean()
after = (over_batches(model, dirty) - test.x).square().flatten(1).sum(dim=1).mean()
hint = "Gradients must reach the encoder and the decoder."
check_range("q4: the error after denoising, as a share of that before,", after / before, 0.0, 0.4, hint=hint)
grey = torch.zeros(2, 1, 28, 28)
whole = denoising_loss(Copier(), grey, 1.0, torch.Generator().manual_seed(6))
print("The loss of a copier if every grey pixel is damaged:", round(whole.item()))

# %% [markdown]
# ## 5 · The best denoiser, where it is known
#
# A denoising autoencoder learns $E[x \mid \tilde{x}]$, the mean of all clean images that a noisy one may come from. For
# one distribution this mean has a formula. If $x$ is normal with mean $\mu$ and covariance $C$ (D × D), and
# $\tilde{x} = x + \sigma \epsilon$, then
#
# $$E[x \mid \tilde{x}] = \mu + C\,(C + \sigma^2 I)^{-1} (\tilde{x} - \mu).$$
#
# Write it for rows: `x_tilde` is (N, D), and each row is an $\tilde{x}$.
#
# <details><summary>Hint 1</summary>
#
# $C$ and $C + \sigma^2 I$ are symmetric and have the same eigenvectors, so the order of the two does not matter, nor
# does transposing their product. For rows it is `(x_tilde - mu) @ A`, with the matrix $A = C (C + \sigma^2 I)^{-1}$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.linalg.solve(M, B)` is $M^{-1} B$ without computing the inverse; `torch.eye(D)` is $I$.
#
# </details>


# %% key="q5"
def best_denoiser(x_tilde: Tensor, mu: Tensor, cov: Tensor, sigma: float) -> Tensor:
    raise NotImplementedError("q5: write your solution here")


# %% key="check-q5" tags=["check"]
# CHECK q5
mu, cov = torch.tensor([1.0, -2.0]), torch.tensor([[4.0, 0.0], [0.0, 0.25]])
place = torch.tensor([[3.0, 0.0], [1.0, -2.0]])
got = best_denoiser(place, mu, cov, 1.0)
check_shape("q5: best_denoiser(...)", got, (2, 2))
hint = "Along each axis what is kept is the share C / (C + σ²): 4/5 of 2, and 1/5 of 2."
check_close(
    "q5: the answer at (3, 0) and at the mean, for C = diag(4, 0.25) and σ = 1",
    got,
    torch.tensor([[2.6, -1.6], [1.0, -2.0]]),
    hint=hint,
)
check_close("q5: the answer without noise", best_denoiser(place, mu, cov, 0.0), place)
hint = "σ enters squared."
check_close(
    "q5: the answer at (3, 0) for σ = 2",
    best_denoiser(place[:1], mu, cov, 2.0),
    torch.tensor([[2.0, -2.0 + 2 * 0.25 / 4.25]]),
    hint=hint,
)
draw = torch.Generator().manual_seed(6)
tilt = torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 0.2]])
x = torch.randn(200_000, 3, generator=draw) @ tilt + torch.tensor([0.5, 0.0, -1.0])
x_tilde = x + 0.7 * torch.randn(x.shape, generator=draw)
mu, cov = x.mean(dim=0), x.T.cov()
x_hat = torch.as_tensor(best_denoiser(x_tilde, mu, cov, 0.7))
check_shape("q5: best_denoiser(...) of 200,000 points in space", x_hat, (200_000, 3))
away = x_hat - x
hint = "What is left of the error must not depend on x_tilde, or the answer could be better."
for k in range(3):
    check_range(
        f"q5: the covariance of the error with coordinate {k + 1} of x_tilde",
        (away * x_tilde[:, k : k + 1]).mean(dim=0),
        -0.01,
        0.01,
        hint=hint,
    )
print(
    "How much of the squared error of tilted points is gone:",
    round(1 - (away.square().sum() / (x_tilde - x).square().sum()).item(), 2),
)

# %% [markdown]
# ## 6 · Codes to draw from
#
# In notebook 03, one Gaussian fitted to all codes gave few readable images, since it also covers the space between the
# digits. Here the labels are known, so fit one Gaussian to the codes *of each class*. To draw a code, draw a class, with
# the frequency that it has in `y`, and then a code from that class's Gaussian.
#
# Write it: `z` (M, d) are codes, `y` (M,) their classes 0, 1, …; give back `n` new codes (n, d). All randomness comes from
# the generator. The covariance is `z_c.T.cov()`.
#
# <details><summary>Hint 1</summary>
#
# If $A A^\top = C$, then $\mu + A \epsilon$ with a standard normal $\epsilon$ has the covariance $C$.
# `torch.linalg.cholesky(C)` is such an $A$. For rows it is `eps @ A.T`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# To draw the classes, pick random places of `y`: `y[torch.randint(len(y), (n,), generator=generator)]`.
#
# </details>


# %% key="q6"
def draw_codes(z: Tensor, y: Tensor, n: int, generator: torch.Generator) -> Tensor:
    raise NotImplementedError("q6: write your solution here")


# %% key="check-q6" tags=["check"]
# CHECK q6
draw = torch.Generator().manual_seed(7)
y = (torch.rand(4000, generator=draw) < 0.25).long()
wide, flat = torch.tensor([[2.0, 0.0], [1.5, 0.5]]), torch.tensor([[0.3, 0.0], [0.0, 0.3]])
noise = torch.randn(4000, 2, generator=draw)
z = torch.where(y[:, None] == 0, noise @ wide.T, noise @ flat.T + torch.tensor([20.0, 0.0]))
new = torch.as_tensor(draw_codes(z, y, 20_000, torch.Generator().manual_seed(1)))
check_shape("q6: draw_codes(z, y, n, generator)", new, (20_000, 2))
right = new[:, 0] > 10
check_close(
    "q6: the share of class 1 among the codes, if it is that among y,",
    right.double().mean(),
    y.double().mean(),
    tol=0.02,
    hint="Classes are drawn as often as they occur.",
)
for c, part in ((0, new[~right]), (1, new[right])):
    check_close(f"q6: the mean of the codes of class {c}", part.mean(dim=0), z[y == c].mean(dim=0), tol=0.06)
    hint = "The covariance of A ε is A Aᵀ; for rows ε that is ε @ A.T."
    check_close(
        f"q6: the covariance of the codes of class {c}", part.T.cov(), z[y == c].T.cov(), tol=0.06, hint=hint
    )
check_range(
    "q6: the smallest distance from a new code to an old one, on average,",
    torch.cdist(new[:500], z).min(dim=1).values.mean(),
    0.005,
    1.0,
    hint="The codes are to be new ones.",
)
order = (new[1:] - new[:-1]).norm(dim=1)
check_range(
    "q6: how often two codes in a row are of different classes",
    (right[1:] != right[:-1]).double().mean(),
    0.3,
    0.45,
    hint="Draw the class of each code by itself.",
)
again, other = (torch.as_tensor(draw_codes(z, y, 100, torch.Generator().manual_seed(s))) for s in (1, 2))
check_close(
    "q6: the codes with the same seed again", draw_codes(z, y, 100, torch.Generator().manual_seed(1)), again
)
check_range(
    "q6: how far another seed moves the codes",
    (again - other).norm(dim=1).mean(),
    0.5,
    50.0,
    hint="Use the generator that is given.",
)
shipped = load_pretrained("autoencoder-mnist", "cpu")
codes = over_batches(shipped.encode, train.x)
drawn = draw_codes(codes, train.y, 500, torch.Generator().manual_seed(3))
is_readable = readability(train.x, test.x)
share = is_readable(over_batches(shipped.decode, drawn)).double().mean().item()
alone = draw_codes(codes, torch.zeros_like(train.y), 500, torch.Generator().manual_seed(3))
single = is_readable(over_batches(shipped.decode, alone)).double().mean().item()
check_range("q6: the share of readable images, less that of one Gaussian for all", share - single, 0.2, 1.0)
print(
    "Codes of which class occur in 100 draws from the two clouds:",
    sorted((again[:, 0] > 10).long().unique().tolist()),
)

# %% [markdown]
# ## 7 · Open question
#
# Your friend wants to compress medical images with an autoencoder trained on photographs of healthy tissue, and look at the
# reconstructions only. What can go wrong, why does it follow from the loss, how would you notice (name a measurement),
# and what would that measurement miss? Five to ten sentences.
#
# *5 points.*
#
# *Your answer:*
