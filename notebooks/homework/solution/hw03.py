# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/solution/hw03.ipynb)
#
# # Homework 03 · Autoencoders
#
# Five exercises and one open question, about an hour. Write your code where a cell says so; leave the check cells as
# they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all* before you
# hand it in: a notebook that does not run from top to bottom cannot be graded fairly. Beside plain Python, PyTorch and
# NumPy the grader runs what this notebook itself imports; other imports, files, `%`, `!` and names such as `_x` it
# refuses, and `course homework check` says so before.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from course_utils.autoencoders import Autoencoder
from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.data import batches, load_images
from course_utils.nets import over_batches, seeded
from course_utils.pretrained import load_pretrained

train, test = load_images("digits", "train"), load_images("digits", "test")

# %% [markdown]
# ## 1 · The loss
#
# Write $L = \frac{1}{N} \sum_i \lVert x_i - \hat{x}_i \rVert^2$ for images and reconstructions of the shape (N, C, H, W):
# the sum of squares over everything that belongs to one image, the mean over the images.
#
# <details><summary>Hint</summary>
#
# `(x - x_hat) ** 2` has the shape (N, C, H, W). Sum over the axes 1, 2 and 3; what is left has the shape (N,).
#
# </details>


# %% key="q1"
def reconstruction_loss(x: Tensor, x_hat: Tensor) -> Tensor:
    return ((x - x_hat) ** 2).sum(dim=(1, 2, 3)).mean()


# %% key="check-q1" tags=["check"]
# CHECK q1
ones = torch.ones(4, 3, 2, 5)
check_shape("q1: reconstruction_loss(x, x_hat)", reconstruction_loss(ones, ones), ())
check_close(
    "q1: the loss of images that are all 1 and reconstructions that are all 3, (4, 3, 2, 5),",
    reconstruction_loss(ones, 3 * ones),
    120.0,
    hint="Each of the 30 values of an image is wrong by 2.",
)
check_close("q1: the loss of equal images", reconstruction_loss(ones, ones), 0.0)
one_wrong = torch.zeros(4, 3, 2, 5)
one_wrong[0, 0, 0, 0] = 2
check_close(
    "q1: the loss if 1 value of 1 image of 4 is wrong by 2", reconstruction_loss(one_wrong, 0 * ones), 1.0
)
leaf = one_wrong.clone().requires_grad_()
hint = "Return a tensor, without .item() or detach."
(slope,) = check_gradients("q1: the loss", reconstruction_loss(0 * ones, leaf), [leaf], hint=hint)
check_close(
    "q1: the derivative of the loss with respect to x_hat, 2 (x_hat - x) / N,", slope, leaf.detach() / 2
)
print(
    "The loss of white images with black reconstructions:",
    round(reconstruction_loss(torch.ones(2, 1, 28, 28), -torch.ones(2, 1, 28, 28)).item()),
)

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
    mu = x_train.mean(dim=0)
    _, _, vh = torch.linalg.svd(x_train - mu, full_matrices=False)
    v = vh[:d].T  # (D, d)
    return (x - mu) @ v @ v.T + mu


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
    u = torch.rand(x.shape, generator=generator)
    return x.masked_fill(u < p / 2, -1.0).masked_fill(u > 1 - p / 2, 1.0)


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
# Write one denoising step's loss: corrupt with `salt_and_pepper`, reconstruct with `model.reconstruct`, compare using
# your `reconstruction_loss`. The cell below then trains with it for 300 steps, about 15 seconds, and checks what came out.
#
# <details><summary>Hint</summary>
#
# Which image does the encoder see, and with which image is the result compared? If you take the same for both, it is an
# ordinary autoencoder.
#
# </details>


# %% key="q4"
def denoising_loss(model: Autoencoder, x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    return reconstruction_loss(x, model.reconstruct(salt_and_pepper(x, p, generator)))


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
for x, _ in batches(train, 128, 300, generator=torch.Generator().manual_seed(4)):
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
# ## 5 · A walk along the sphere
#
# Spherical interpolation (Shoemake 1985) between two codes $z_0, z_1$ of the shape (N, d), with the angle $\omega$ between
# them:
#
# $$z_t = \frac{\sin((1 - t)\,\omega)}{\sin \omega} z_0 + \frac{\sin(t\,\omega)}{\sin \omega} z_1, \qquad
# \cos \omega = \frac{z_0 \cdot z_1}{\lVert z_0 \rVert \lVert z_1 \rVert}$$
#
# Each row has its own angle. You may take for granted that the codes are not parallel.
#
# <details><summary>Hint</summary>
#
# Normalise the rows, multiply them, sum over the last axis with `keepdim=True`, then `torch.arccos`. With `keepdim` the angle
# has the shape (N, 1) and multiplies each row.
#
# </details>


# %% key="q5"
def slerp(z0: Tensor, z1: Tensor, t: float) -> Tensor:
    unit0, unit1 = (z / z.norm(dim=1, keepdim=True) for z in (z0, z1))
    omega = torch.arccos((unit0 * unit1).sum(dim=1, keepdim=True))
    return (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / torch.sin(omega)


# %% key="check-q5" tags=["check"]
# CHECK q5
east, north = torch.tensor([[2.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 3.0]])
check_shape("q5: slerp(z0, z1, t)", slerp(east, north, 0.5), (2, 2))
check_close("q5: slerp at t = 0", slerp(east, north, 0.0), east)
check_close("q5: slerp at t = 1", slerp(east, north, 1.0), north)
check_close(
    "q5: a third of a quarter turn from (2, 0) to (0, 2), which is at 30°,",
    slerp(east[:1], north[:1], 1 / 3),
    torch.tensor([[3**0.5, 1.0]]),
)
check_close(
    "q5: half-way from (1, 0) to (0, 3): the lengths differ, and the sum of the weighted codes",
    slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]), 0.5),
    torch.tensor([[0.5**0.5, 3 * 0.5**0.5]]),
)
draw = torch.Generator().manual_seed(6)
z0, z1 = torch.randn(5, 8, generator=draw), torch.randn(5, 8, generator=draw)
z0, z1 = (4 * z / z.norm(dim=1, keepdim=True) for z in (z0, z1))
check_close(
    "q5: the length on the way between codes of length 4",
    slerp(z0, z1, 0.3).norm(dim=1),
    torch.full((5,), 4.0),
    hint="Each row has its own angle, and the norm is that of a row.",
)
codes = over_batches(load_pretrained("autoencoder-mnist", "cpu").encode, test.x[:4])
check_close(
    "q5: walking back is the same way: slerp(z1, z0, 0.75)",
    slerp(codes[2:], codes[:2], 0.75),
    slerp(codes[:2], codes[2:], 0.25),
    tol=1e-3,
)
print("Half-way from (2, 0) to (0, 2):", [round(v, 2) for v in slerp(east[:1], north[:1], 0.5)[0].tolist()])

# %% [markdown]
# ## 6 · Open question
#
# Your friend wants to compress medical images with an autoencoder trained on photographs of healthy tissue, and look at the
# reconstructions only. What can go wrong, why does it follow from the loss, how would you notice (name a measurement),
# and what would that measurement miss? Five to ten sentences.
#
# *5 points: the effect 2, its cause 1, a measurement 1, the limit of that measurement 1.*
#
# *Your answer:*
