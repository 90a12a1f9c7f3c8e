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
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/03_autoencoders.ipynb)
#
# # 03 · Autoencoder and denoising autoencoder
#
# 오토인코더와 잡음 제거 오토인코더
#
# A picture of a handwritten digit has 784 pixels, but a few facts nearly describe it: which digit, how
# slanted, how thick, how round. An **autoencoder** (오토인코더) finds such a short description by itself, from images
# without labels: it squeezes each image into a few numbers and learns to draw the image again from them.
#
# After this notebook you can
#
# 1. write an autoencoder from scratch, train it, and say what each symbol in its loss means;
# 2. measure what it is good for: compression, features for few labels, removing noise;
# 3. turn it into a **denoising autoencoder** (잡음 제거 오토인코더) and measure how robust its codes are, and to what;
# 4. show why you cannot simply draw a random code and decode it, which is the reason for the next notebook.
#
# Marks such as (A1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the
# notebook if what the text claims does not hold. The notebook runs on a plain laptop without a GPU in less than three minutes and needs no network. You should know what a convolution and a gradient step are.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

from course_utils.autoencoders import Autoencoder, DenoisingAutoencoder, corrupt, squared_error
from course_utils.data import batches, load_images
from course_utils.nets import over_batches, seeded
from course_utils.progress import Watch, counted
from course_utils.viz import show_images, show_rows, table

# %% [markdown]
# ## 1 · The images
#
# `digits` are 5,000 real handwritten digits of the MNIST set, 4,000 to train on and 1,000 to test on. They come
# with the course, so no download is needed. A batch of images is a tensor of the shape (N, 1, 28, 28): N images,
# one grey channel, 28 rows, 28 columns. Black is −1 and white is 1.

# %% alt="Twenty handwritten digits from the training set, 0 to 9 twice, white on black."
train, test = load_images("digits", "train"), load_images("digits", "test")
show_images(train.x[:20], title="twenty of the 4,000 training images")

# %% [markdown] slide="Squeeze an image into a few numbers, and learn to draw it again from them" slide_formulas=[1, 2] slide_points="No label appears in the loss | $d$ is much smaller than 784: the network cannot copy the image through"
# ## 2 · The idea
#
# Two networks, one after the other:
#
# $$x \;\xrightarrow{\;\text{encoder } f\;}\; z = f(x) \;\xrightarrow{\;\text{decoder } g\;}\; \hat{x} = g(z)$$
#
# - $x$ is an image, a point with 784 coordinates.
# - $f$, the **encoder** (인코더), maps it to its **code** $z$ (latent code, 잠재 코드), a short list of $d$ numbers.
# - $g$, the **decoder** (디코더), maps the code back to an image $\hat{x}$, the **reconstruction** (재구성, also 복원).
#
# Both are trained together to lower the squared distance between an image and its reconstruction, averaged over
# the $N$ images of a batch:
#
# $$L = \frac{1}{N} \sum_{i=1}^{N} \lVert x_i - g(f(x_i)) \rVert^2$$
#
# where $\lVert \cdot \rVert^2$ is the sum of squares over the 784 pixels. No label appears in it. Since $d$ is
# much smaller than 784, the network cannot copy the image through. What all images have in common it has to keep in its weights, so that the code need only hold what tells one image from another. This narrow place is called the **bottleneck** (병목).

# %% [markdown]
# ## 3 · From scratch
#
# The encoder: two convolutions with stride 2, each of which halves height and width; one that reduces 64 channels
# to 32; and two linear layers down to the code. We choose $d = 16$. The comments give the output shape of each
# layer.

# %% slide="The encoder narrows 784 pixels to 16 numbers" slide_code="encoder ="
with seeded(0):  # layers draw their first weights at random; this makes them the same each time
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 4, stride=2, padding=1),  # (N, 32, 14, 14)
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),  # (N, 64, 7, 7)
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, padding=1),  # (N, 32, 7, 7)
        nn.ReLU(),
        nn.Flatten(),  # (N, 1568)
        nn.Linear(32 * 7 * 7, 128),  # (N, 128)
        nn.ReLU(),
        nn.Linear(128, 16),  # (N, 16): the code z
    )

# %% [markdown]
# The decoder goes the same way back. A *transposed* convolution with stride 2 doubles height and width, where a
# convolution with stride 2 halves them (it does not undo one): each input pixel paints a 4×4 patch, and the patches
# are laid two pixels apart and added; `padding=1` then cuts one pixel off each side. The last layer is a `Tanh`,
# because pixels lie between −1 and 1.
#
# The last line sets the first guess for every pixel to $\tanh(-1) = -0.76$, about the mean brightness of a digit.
# Without it the first steps push all pixels towards the black background at once, often so far that `Tanh` is
# flat there, and where a function is flat no gradient leads back. (Try it: take the line away and run the cells from
# here to the forty steps again. Every output becomes the same black image, and the check fails.)

# %%
with seeded(1):
    decoder = nn.Sequential(
        nn.Linear(16, 128),  # (N, 128)
        nn.ReLU(),
        nn.Linear(128, 32 * 7 * 7),  # (N, 1568)
        nn.ReLU(),
        nn.Unflatten(1, (32, 7, 7)),  # (N, 32, 7, 7)
        nn.Conv2d(32, 64, 3, padding=1),  # (N, 64, 7, 7)
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # (N, 32, 14, 14)
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),  # (N, 1, 28, 28)
        nn.Tanh(),
    )
    nn.init.constant_(decoder[-2].bias, -1.0)

# %% [markdown]
# The loss is the formula above, in code. The sum runs over channel, row and column, the mean over the batch.


# %% slide="The loss in code: summed over the pixels, averaged over the batch" slide_points="The sum runs over channel, row and column | The target is the input itself: no label is needed" slide_code="def loss"
def loss(x: torch.Tensor) -> torch.Tensor:
    x_hat = decoder(encoder(x))
    return ((x - x_hat) ** 2).sum(dim=(1, 2, 3)).mean()


print("The loss of a batch is one number, so its shape is", tuple(loss(train.x[:100]).shape))

# %% [markdown]
# That is the whole model. The course package contains the same model, tested, as `Autoencoder`. From here on we use it; this cell shows that the two are identical: given our weights, it computes the same loss.

# %%
model = Autoencoder(latent_dim=16)
model.encoder.load_state_dict(encoder.state_dict())
model.decoder.load_state_dict(decoder.state_dict())
assert torch.allclose(model.loss(test.x), loss(test.x), rtol=1e-4)
print("The package's autoencoder is ours.")

# %% [markdown]
# Training is a loop of four lines: forget the last gradient, compute the loss, compute its gradient, take a step.
# `batches` returns a list of shuffled batches, each with images and labels; the labels (`_`) we do not use. It is
# shuffled by a random generator of its own, so that you get the same order again. Here are forty steps; `counted` goes
# through them one by one and says how many are done.

# %%
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
shuffled = batches(train, 128, steps=40, generator=torch.Generator().manual_seed(0))
before = loss(test.x).item()
for x, _ in counted(shuffled, "steps"):
    optimizer.zero_grad()
    batch_loss = loss(x)
    batch_loss.backward()
    optimizer.step()
assert loss(test.x).item() < min(250, 0.8 * before)
print("Forty steps take more than a fifth off the loss on the test images.")

# %% [markdown]
# The package's loop is `fit`. It does these four lines too, picks a GPU where there is one, shows a curve, and
# can go on after an interruption. An `Objective` tells it what to lower: a module, its loss, and the
# optimiser that moves its weights. After each step it *yields* a short record, so that the caller can look, plot
# or stop; `list` lets it run to the end. Forty steps with it, from the same start and with the same batches, lead
# to the same place.

# %% alt="Training curve of forty steps: the loss of each batch and its running mean fall."
from course_utils.training import Objective, fit, warmup_cosine

objective = Objective(model, model.loss, torch.optim.Adam(model.parameters(), lr=2e-3))
list(fit(objective, shuffled, device="cpu"))
assert abs(model.loss(test.x).item() / loss(test.x).item() - 1) < 0.02
print("Our loop and the package's arrive at the same loss.")

# %% [markdown]
# ## 4 · Train it
#
# Now for real: 720 steps with batches of 16 images, so each image is seen three times or so. The learning rate rises for
# a moment and then falls to zero along a cosine. On a plain laptop this takes half a minute. Meanwhile the figure is drawn
# anew: above, the loss, and how long it will still take; below, every few seconds, ten test images and what the network
# makes of them. Watch for two moments: when the blur first differs from image to image, and when you can read it.


# %% alt="Training curve: the squared error of each batch, and its running mean, which falls steeply, slows down near 200, and falls on. Below, ten test images and their reconstructions, most of them the same digit with softer strokes." slide="At first the code says little more than the mean image; then it tells images apart"
def train_live(model: Autoencoder, x: torch.Tensor) -> float:
    def both_rows(ax: plt.Axes) -> None:
        show_rows({"input": x, "output": over_batches(model, x)}, ax=ax)

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    objective = Objective(model, model.loss, optimizer, "squared error", schedule=warmup_cosine)
    shuffled = batches(train, 16, steps=720, generator=torch.Generator().manual_seed(0))
    records = list(fit(objective, shuffled, picture=both_rows))
    return records[-1].loss


with seeded(0):
    autoencoder = Autoencoder(latent_dim=16)
plain_loss = train_live(autoencoder, test.x[:10])
assert plain_loss < 80

# %% [markdown]
# The faint line is the loss of each batch, the strong one its running mean. Early on the curve slows down
# near 200. That is little better than to answer every input with the mean of all digits, whose error on the test images is 217 (see the table in section 5): the code says hardly anything yet. Then it begins to tell images apart, and the loss falls on.
#
# Below, images that the network has never seen, and what comes back after each has been squeezed into 16 numbers.

# %% alt="Ten test digits above their reconstructions from 16 numbers. Most are the same digit with softer strokes; a few have become another one." slide="Sixteen numbers bring most digits back, with softer strokes"
reconstruct = autoencoder.cpu().reconstruct
some = test.x[:10]
with torch.inference_mode():
    show_rows({"image": some, "16 numbers, back to $\\hat{x}$": reconstruct(some)})

# %% [markdown]
# Most of the digits can be read, though not every one is still the same digit: look at the 4 and the 5. The ends of strokes are soft, and unusual shapes become more usual. Squared error rewards soft, average answers. Suppose a pixel is white (1) in half of the images with a
# given code and black (−1) in the other half. The answer 1 has squared error 0 in one half and $(1 - (-1))^2 = 4$ in the other, 2 on average. The answer 0, grey, always has squared error 1, so it is better.
#
# ## 5 · What a code is good for (A1)
#
# ### Compression (A1)
#
# 16 numbers instead of 784. The classical way to do that is **principal component analysis** (PCA, 주성분 분석). It subtracts the mean image, finds the $d$ directions along which the images vary most, and keeps only the coordinates along these. PCA is the
# best *linear* encoder and decoder there is for squared error. Is a nonlinear one better at the same code size? (`over_batches(model, x)` applies a model to many images, a batch at a time and without gradients.)

# %%
from sklearn.decomposition import PCA

flat = train.x.flatten(1).numpy()
pca = PCA(16, random_state=0).fit(flat)


def through_pca(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(pca.inverse_transform(pca.transform(x.flatten(1).numpy()))).view_as(x)


by_pca, by_autoencoder = through_pca(test.x), over_batches(autoencoder, test.x)
by_mean = train.x.mean(dim=0).expand_as(test.x)

# %% [markdown]
# And how much do more data and more steps help? The course ships the same network trained on 59,000 MNIST digits
# for 8,000 steps with batches of 256 (`autoencoder-mnist`). The 1,000 test images here were kept away from it.

# %% tags=["A1", "nbval-ignore-output"] slide="With 16 numbers the autoencoder errs less than PCA, the best linear way"
from course_utils.pretrained import load_pretrained

shipped = load_pretrained("autoencoder-mnist", "cpu")
by_shipped = over_batches(shipped, test.x)
decoded = {"always the mean": by_mean, "PCA": by_pca, "trained here": by_autoencoder, "shipped": by_shipped}
errors = {name: squared_error(x_hat, test.x).mean().item() for name, x_hat in decoded.items()}
assert errors["trained here"] < 0.9 * errors["PCA"]
assert errors["shipped"] < 0.4 * errors["PCA"]
table(["reconstruction", "squared error per image"], list(errors.items()))

# %% alt="Ten digits and their reconstructions. PCA leaves grey traces around blurred strokes; the autoencoder trained here gives clear digits on black; the shipped one comes closest." slide="PCA leaves grey traces; the autoencoder has learned that the background is black"
show_rows(
    {"image": some} | {name: x_hat[:10] for name, x_hat in decoded.items() if name != "always the mean"}
)

# %% [markdown]
# The first row of the table is the error of an answer that uses no code at all: the mean of the training images.
# In the figure, look at the backgrounds. PCA adds and subtracts fixed patterns, so faint grey traces of them remain around the digit. The autoencoder has learned that the background is black, whatever the code says. With 15 times the images, eleven times the steps and batches sixteen times as large, the error falls to about a third of ours. (Three things changed at once, so this does not say which of them helped most.)
#
# ### Features for few labels (A1)
#
# The code was learned without labels. If it puts images of the same digit close together, a classifier that sees
# codes instead of pixels should need fewer labels. Let us test it. We draw a few labelled images of each class
# and fit a *logistic regression* (로지스틱 회귀), which cuts the space of features by one flat boundary for each class.
# The features are the pixels, the 16 PCA coordinates, the 16 numbers of our autoencoder, or those of the shipped one. Each of the four is centred and divided by *one* number, so that the variance, averaged over its coordinates, is 1. The classifier's settings are scikit-learn's defaults for all four; we did not tune them for each. (To scale each coordinate by itself would
# be unfair to the pixels: it blows up those at the rim, which are hardly ever white.) We count how many of the 1,000
# test images are classified correctly. Everything is repeated for five different draws.

# %%
from sklearn.linear_model import LogisticRegression


def accuracy(features: dict, labels_a_class: int, seed: int) -> float:
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(train), generator=draw)
    chosen = torch.cat([order[train.y[order] == digit][:labels_a_class] for digit in range(10)])
    centre = features["train"].mean(axis=0)  # this and the next need no labels
    scale = (features["train"] - centre).std()
    few, many = ((part - centre) / scale for part in (features["train"][chosen], features["test"]))
    return LogisticRegression(max_iter=500).fit(few, train.y[chosen]).score(many, test.y)


# %% tags=["A1"]
makers = {
    "784 pixels": lambda x: x.flatten(1).numpy(),
    "PCA, 16 numbers": lambda x: pca.transform(x.flatten(1).numpy()),
    "code, trained here": lambda x: over_batches(autoencoder.encode, x).numpy(),
    "code, shipped": lambda x: over_batches(shipped.encode, x).numpy(),
}
features = {name: {"train": make(train.x), "test": make(test.x)} for name, make in makers.items()}
label_counts = (1, 2, 5, 10, 20)
reached = {
    name: torch.tensor([[accuracy(both, k, seed) for seed in range(5)] for k in label_counts])
    for name, both in counted(features.items(), "kinds of features")
}
means = {name: values.mean(dim=1) for name, values in reached.items()}
baseline = torch.maximum(means["784 pixels"], means["PCA, 16 numbers"])
assert (means["code, shipped"][:3] > baseline[:3] + 0.05).all()
assert means["code, trained here"][:3].mean() > baseline[:3].mean() + 0.01
print("With few labels per class, both codes beat pixels and PCA.")

# %% alt="Share of test digits classified correctly against labelled images per class, for pixels, PCA and two codes. All rise; the shipped code is highest throughout, the code trained here second." slide="With few labels, a code learned without labels is a better start than pixels or PCA"
fig, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for marker, (name, values) in zip("osD^", reached.items(), strict=True):
    ax.errorbar(label_counts, values.mean(dim=1), values.std(dim=1), marker=marker, capsize=3, label=name)
ax.set(xscale="log", xticks=label_counts, xticklabels=label_counts)
ax.set(xlabel="labelled images per class", ylabel="share classified correctly")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The bars are the spread over the five draws. On average both codes lie above pixels and PCA, the shipped one far above where labels are few. (The check asks this of the shipped code at one, two and five labels, and of ours for the mean of these three.) A likely reason: the images of digits lie near a curved surface in the space of pixels. PCA can only project it onto a flat space; the encoder can follow the curve. The encoder of the upper curve has also seen 15 times as many images, all without labels. That helps in practice, because images without labels are cheap.
#
# ### Removing noise (A1)
#
# Give the network a noisy image. Its code has room for a digit and none for 784 random numbers, so most of the
# noise cannot get through. We write $\tilde{x}$ for a **corrupted** image, here $\tilde{x} = x + \sigma
# \epsilon$ with $\epsilon$ drawn from a standard normal for each pixel, and $\sigma$ the strength of the noise.
#
# Is it good at that? A claim needs a comparison, so we also try four simple ways: to leave the noisy image as it is; to answer with the mean image, whatever the input; PCA through 16 numbers; and a **blur** (흐림)
# as wide as suits the noise best, chosen on training images.

# %%
from course_utils.nets import blur


def noisy(x: torch.Tensor, sigma: float) -> torch.Tensor:
    return corrupt(x, "gaussian", sigma, generator=torch.Generator().manual_seed(1))


def best_blur(sigma: float) -> float:
    x, x_tilde = train.x[:500], noisy(train.x[:500], sigma)
    return min((0.5, 0.7, 0.9, 1.1, 1.4), key=lambda width: squared_error(blur(x_tilde, width), x).mean())


def errors_of_noisy(sigma: float) -> dict[str, float]:
    x_tilde = noisy(test.x, sigma)
    cleaned = {
        "left as it is": x_tilde, "always the mean": by_mean, "PCA, 16 numbers": through_pca(x_tilde),
        "blur": blur(x_tilde, best_blur(sigma)), "autoencoder, trained here": over_batches(autoencoder, x_tilde),
        "autoencoder, shipped": over_batches(shipped, x_tilde),
    }  # fmt: skip
    return {name: squared_error(x, test.x).mean().item() for name, x in cleaned.items()}


# %% tags=["A1", "nbval-ignore-output"] slide="At weak noise a blur with one number to tune beats the shipped autoencoder"
weak, strong = errors_of_noisy(0.5), errors_of_noisy(1.0)
assert weak["autoencoder, shipped"] < 0.5 * min(weak["left as it is"], weak["always the mean"])
assert weak["blur"] < weak["autoencoder, shipped"]
assert min(strong["blur"], strong["PCA, 16 numbers"]) < 0.7 * strong["autoencoder, shipped"]
table(["squared error per image", "σ = 0.5", "σ = 1"], [[name, weak[name], strong[name]] for name in weak])

# %% alt="Ten digits, the same under noise, and what the autoencoder makes of the noisy ones: no grain, but some digits have changed shape." slide="Through the code the grain is gone, but some digits change their shape"
x_tilde = noisy(some, 0.5)
show_rows(
    {
        "image $x$": some,
        "with noise $\\tilde{x}$": x_tilde,
        "through the code": over_batches(shipped, x_tilde),
    }
)

# %% [markdown] slide="The encoder sees a corrupted image; the error is measured against the clean one" slide_formulas=[1] slide_points="Nothing else changes: same network, same images | The corruption $q$ is drawn anew each time"
# The third row, from the shipped autoencoder, has no grain left, and at $\sigma = 0.5$ its error is less than half that of the noisy image. But compare the rows: some digits became other shapes. And the table is sobering. A blur, of which only the width was chosen on digits, does better, and at $\sigma = 1$ so does PCA. PCA has not seen noise either, but it is a projection: of the noise in 784 directions it keeps only that in 16, which adds about $16\,\sigma^2$ to its error. A nonlinear encoder has no such guarantee: nothing in its training says where a noisy image should go. A narrow code removes the grain; it does not ensure that the right digit comes out. But that can be taught.
#
# ## 6 · The denoising autoencoder (A2)
#
# Change one thing in the loss: the encoder sees the corrupted image, but the error is measured against the *clean*
# one.
#
# $$L = \frac{1}{N} \sum_{i=1}^{N} \lVert x_i - g(f(\tilde{x}_i)) \rVert^2,
# \qquad \tilde{x}_i \sim q(\tilde{x} \mid x_i)$$
#
# $q(\tilde{x} \mid x)$ is the **corruption** (손상): a random way to damage an image, drawn anew each time. Three
# kinds:

# %% alt="Ten digits clean, with Gaussian noise, with many pixels set to black, and with a black square over a part of the image." slide="Three ways to corrupt an image: noise, lost pixels, a covered patch"
kinds = {"gaussian": 0.5, "dropout": 0.4, "patch": 0.15}
draw = torch.Generator().manual_seed(2)
rows = {f"{kind}, {level}": corrupt(some, kind, level, generator=draw) for kind, level in kinds.items()}
show_rows({"clean": some} | rows)

# %% [markdown]
# - `gaussian` adds noise of standard deviation 0.5.
# - `dropout` sets each pixel to black with probability 0.4, as dropout does with the inputs of a layer (but to
#   −1, our background, and without rescaling). Vincent et al. (2010) call this *masking noise*.
# - `patch` covers 15 % of the area with one black square; you see it where it cuts a stroke.
#
# We train two denoising autoencoders, one on noise of strength $\sigma = 1$, stronger than in the figure, and one on dropout with probability 0.4. The network, the images and the number of steps are those of the plain autoencoder. From scratch, the loss is one line; the cell shows that the package's is the same.

# %%
with seeded(0):
    on_noise = DenoisingAutoencoder(16, kind="gaussian", level=1.0)
with seeded(0):
    on_dropout = DenoisingAutoencoder(16, kind="dropout", level=0.4)
x_tilde = corrupt(some, "gaussian", 1.0, generator=torch.Generator().manual_seed(3))
by_hand = ((some - on_noise(x_tilde)) ** 2).sum(dim=(1, 2, 3)).mean()
assert torch.isclose(by_hand, on_noise.loss(some, generator=torch.Generator().manual_seed(3)))
print("One line by hand is the package's loss.")

# %% alt="Training curve of the denoising autoencoder on Gaussian noise: it falls steeply, then more slowly. Below, ten test images under noise, and what the network makes of them: digits without noise."
noise_loss = train_live(on_noise, x_tilde)
assert noise_loss < 100

# %% tags=["nbval-ignore-output"] alt="Training curve of the denoising autoencoder on dropout: it falls steeply, then more slowly. Below, ten test images with pixels missing, and what the network makes of them: whole digits."
x_tilde = corrupt(some, "dropout", 0.4, generator=torch.Generator().manual_seed(3))
dropout_loss = train_live(on_dropout, x_tilde)
assert dropout_loss < 100
table(["trained on", "loss at the end"],
      [["clean images", plain_loss], ["noise", noise_loss], ["dropout", dropout_loss]])  # fmt: skip

# %% [markdown]
# The table shows the loss of the last batch, the same 16 images for all three. Here both end higher than the plain one, as expected: their task is harder. Now clean up noise with $\sigma = 1$, half of the way
# from black to white, beside the plain autoencoder and the blur.

# %% tags=["A2", "nbval-ignore-output"] alt="Digits under strong noise. The plain autoencoder makes confused shapes of them, the blur grey blotches, the denoising autoencoder clean digits, most of them those of the last row, the clean originals." slide="Under strong noise the plain autoencoder is lost; the denoising one draws clean digits"
on_noise.cpu(), on_dropout.cpu()
x_tilde = noisy(test.x, 1.0)
plain, denoised = over_batches(autoencoder, x_tilde), over_batches(on_noise, x_tilde)
simple_ways = {name: strong[name] for name in ("PCA, 16 numbers", "blur", "always the mean")}
simplest = min(simple_ways, key=simple_ways.get)
simple = simple_ways[simplest]
assert squared_error(denoised, test.x).mean() < 0.7 * squared_error(plain, test.x).mean()
assert squared_error(denoised, test.x).mean() < 0.85 * simple
by_plain, by_denoising = (squared_error(x, test.x).mean() for x in (plain, denoised))
print(f"squared error: autoencoder {by_plain:.0f}, denoising autoencoder {by_denoising:.0f}")
print(f"best of the simple ways ({simplest}): {simple:.0f}")
show_rows({"with noise": x_tilde[:10], "autoencoder": plain[:10], "blur": blur(x_tilde[:10], best_blur(1.0)),
           "denoising autoencoder": denoised[:10], "clean": some});  # fmt: skip

# %% [markdown] slide="A robust code: a damaged image lands near the clean one" slide_formulas=[1] slide_points="$r = 0$: the code does not notice the damage | $r = 1$: it moves as far as to another image | Divided by the distance between images, since the scale of a code is arbitrary"
# The plain autoencoder is lost here. The denoising one draws clean digits, most of these ten the right ones (not all: look at the 4). Over all test images its error is at least 15 % below that of every simple way, after less than a minute of training.
#
# ### Its code is robust (A2)
#
# Why does it work? The layers are the same, so the training must have changed what they do. One thing we can measure is where the encoder puts a damaged image: ideally, where it puts the clean one. We measure how far the code moves. The unit is the mean distance between the codes of two different images:
#
# $$r = \frac{\text{mean of } \lVert f(\tilde{x}_i) - f(x_i) \rVert}
# {\text{mean of } \lVert f(x_i) - f(x_j) \rVert}, \qquad i \neq j$$
#
# $r = 0$ means that the code does not notice the damage; $r = 1$, that it moves as far as to another image; above
# 1, farther than that.

# %%
from course_utils.nets import shift_and_turn

draw = torch.Generator().manual_seed(5)
deformed = {
    "noise 0.5": corrupt(test.x, "gaussian", 0.5, generator=draw),
    "dropout 0.3": corrupt(test.x, "dropout", 0.3, generator=draw),
    "patch of 5 %": corrupt(test.x, "patch", 0.05, generator=draw),
    "shift up to 1 pixel": shift_and_turn(test.x, degrees=0, shift=1 / 28, scale=0, generator=draw),
}

order = torch.randperm(len(test), generator=draw)


def moved(model: Autoencoder, x_tilde: torch.Tensor) -> float:
    z, z_tilde = over_batches(model.encode, test.x), over_batches(model.encode, x_tilde)
    unit = (z[order] - z[order.roll(1)]).norm(dim=1).mean()  # never an image with itself
    return ((z_tilde - z).norm(dim=1).mean() / unit).item()


# %% tags=["A2", "nbval-ignore-output"] slide="Each code is robust to the damage it was trained on, and pays for it with the other"
models = {"autoencoder": autoencoder, "denoising, noise": on_noise, "denoising, dropout": on_dropout}
r = {name: {what: moved(model, x) for what, x in deformed.items()} for name, model in models.items()}
assert r["denoising, noise"]["noise 0.5"] < 0.6 * r["autoencoder"]["noise 0.5"]
assert r["denoising, dropout"]["dropout 0.3"] < 0.7 * r["autoencoder"]["dropout 0.3"]
assert r["denoising, noise"]["dropout 0.3"] > 1.05 * r["autoencoder"]["dropout 0.3"]
assert r["denoising, dropout"]["noise 0.5"] > 1.05 * r["autoencoder"]["noise 0.5"]
for unseen in ("patch of 5 %", "shift up to 1 pixel"):
    assert max(row[unseen] for row in r.values()) < 1.7 * min(row[unseen] for row in r.values())
table(["r of", *deformed], [[name, *values.values()] for name, values in r.items()])

# %% [markdown] slide="The best denoiser's arrow towards the data is the score, up to a factor" slide_formulas=[1] slide_points="For one noisy point there are many answers; for squared error the best is their mean | So each place $\\tilde{x}$ gets an arrow, from it to that mean"
# Read the table by columns. Against noise, the one that saw noise moves least by far; against lost pixels, the
# one that saw lost pixels. For a patch and a shift, which none of them saw, the three differ much less (the check allows a factor of 1.7). And each of the
# two is disturbed *more* than the plain autoencoder by the other's damage: the one trained on dropout is thrown off
# by noise. In this experiment a code is robust to the kind of damage it was trained on, and it pays for that elsewhere. The three have the same architecture, so the difference comes from $q$.
#
# ### What it learns is an arrow (A2)
#
# Removing noise turns out to be more than cleaning: it is a way to *make* images (notebook 07). To see why, look at it in the plane, where everything can be drawn. The
# points are two half moons; noise of strength $\sigma = 0.3$ moves each somewhere, and a small network learns to say
# where it came from. For one noisy point there are many answers, and for squared error the best is their mean,
# $E[x \mid \tilde{x}]$. So a well-trained network gives every place $\tilde{x}$ an arrow towards the data, from $\tilde{x}$ to the network's answer; our small network puts out this arrow directly. It is more than a picture. Write $p_\sigma$ for the density of the noisy points. The ideal arrow divided by $\sigma^2$ is the gradient of $\log p_\sigma$, called the **score** (스코어). This is Tweedie's formula; Vincent (2011) connected it with denoising autoencoders, and Alain and Bengio (2014) studied the limit of weak noise:
#
# $$\frac{E[x \mid \tilde{x}] - \tilde{x}}{\sigma^2} = \nabla_{\tilde{x}} \log p_\sigma(\tilde{x})$$
#
# If the data are a list of points, $p_\sigma$ is the average of Gaussians of width $\sigma$, one around each point, so we can compute the right side exactly, and compare. While the network learns, the figure shows noisy points in grey, and where its arrows send them.

# %% alt="The loss falls and then stays level. Below, noisy points and the places where the arrows send them, which lie on two thin half moons."
points, sigma, steps = load_images("toy:moons", n=2000).x, 0.3, 800
with seeded(0):
    arrow = nn.Sequential(nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))
adam, draw = torch.optim.Adam(arrow.parameters()), torch.Generator().manual_seed(7)
some_tilde = points + sigma * torch.randn(points.shape, generator=torch.Generator().manual_seed(9))


def show_sent(ax: plt.Axes) -> None:
    ax.scatter(*some_tilde.T, s=2, color="0.8")
    ax.scatter(*(some_tilde + arrow(some_tilde)).T, s=2)
    ax.set(xlim=(-3, 3), ylim=(-2.3, 2.3), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


with Watch(steps, show_sent) as step_done:
    for step in range(steps):
        x = points[torch.randint(len(points), (1000,), generator=draw)]
        x_tilde = x + sigma * torch.randn(x.shape, generator=draw)
        adam.param_groups[0]["lr"] = 0.01 * (1 - step / steps)
        adam.zero_grad()
        loss_here = (
            (x_tilde + arrow(x_tilde) - x).square().sum(dim=1).mean()
        )  # the denoised point, the clean one
        loss_here.backward()
        adam.step()
        step_done(loss_here.item())

# %% tags=["A2", "nbval-ignore-output"] alt="Arrows over points on two half moons, learned on the left, exact on the right. Both point to the moons and agree near them; in the corners the learned ones differ." slide="Where noisy points lie, the learned arrows agree well with the exact ones"


def exact_score(x_tilde: torch.Tensor) -> torch.Tensor:
    log_p = -torch.cdist(x_tilde, points).square() / (2 * sigma**2)  # of each point, up to a constant
    return (log_p.softmax(dim=1) @ points - x_tilde) / sigma**2


def learned_score(x_tilde: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return arrow(x_tilde) / sigma**2


places = points + sigma * torch.randn(points.shape, generator=draw)
away = (learned_score(places) - exact_score(places)).square().sum() / exact_score(places).square().sum()
assert away < 0.2
print(f"squared difference, as a share of the squared length: {away:.2f}")

grid = torch.cartesian_prod(torch.linspace(-2.8, 2.8, 15), torch.linspace(-1.8, 1.8, 11))
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, score, title in zip(axes, (learned_score, exact_score), ("learned", "exact"), strict=True):
    ax.plot(*points[:500].T, ".", ms=3, color="C1")
    arrows = sigma**2 * score(grid)
    ax.quiver(*grid.T, *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.003, alpha=0.5)
    ax.set(title=f"{title} arrows, $\\sigma^2$ times the score", xlabel="$x_1$", ylabel="$x_2$")
plt.show()

# %% [markdown]
# The arrows point towards the data. Where noisy points lie, the learned ones agree well with the exact ones: averaged over such points, the squared difference is at most a fifth of the squared length. Far out, in the corners of the map, they differ, because the network saw hardly any points there. Following such arrows with images, from strong noise to weak, is the idea of a diffusion model: notebook 07.
#
# ### Try it
#
# The shipped denoising autoencoder was trained on noise of strength $\sigma = 1$ with all of MNIST. Choose an
# image and a kind of corruption, and move the level. Watch where the reconstruction stops being the same digit.
# Which of the two models copes better with lost pixels?

# %% slide="Where does it stop being the same digit?"
from course_utils.explorers import LatentExplorer, NoiseExplorer

denoiser = load_pretrained("denoising-autoencoder-mnist", "cpu")
NoiseExplorer(denoiser, test, baseline=shipped)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# Against noise the denoising autoencoder keeps the digit even beyond the level it was trained on, while for many images the plain one begins to lose it at about $\sigma = 0.6$. With a black patch the denoising one often does a little better. With lost pixels it is usually the *plain* one: compare the squared errors from $p = 0.4$ on. A likely reason: the denoising one has learned to average a pixel with its neighbours, and where many pixels of a stroke are black this average makes the stroke fade.
#
# </details>
#
# **Draw a digit of your own**, or a letter, and see what an autoencoder with 16 numbers makes of it: add a cell with
# `from course_utils.explorers import DrawingExplorer; DrawingExplorer()`.

# %% [markdown]
# ## 7 · The space of codes
#
# With $d = 2$ each code is a point in the plane, and we can look at all of them at once. That is a hard squeeze:
# 784 numbers to two. The shipped `autoencoder-2d-mnist` was trained for it. Its loss has one more term,
# $0.5\,\lVert z \rVert^2$, which keeps the codes near the origin; without it a few digits fly far out and the
# rest crowd into a corner of the map.
#
# Each dot is one of 400 test images, coloured by its digit; the network has never seen these labels. Some colours look
# alike: press a digit in the legend below the map, and its dots stand out. **Drag** over the map and watch what the
# decoder makes of each point; beside it stands the nearest test image, with its class. Then choose two images and walk
# from the code $z_A$ of one to the code $z_B$ of the other. A straight walk (linear interpolation, 선형 보간) is
#
# $$z_t = (1 - t)\, z_A + t\, z_B, \qquad 0 \le t \le 1.$$
#
# A *spherical* one (구면 보간) goes along an arc around the origin. Here there is no strong reason for it: the extra term only keeps the codes from running off. In the next notebook there will be one.

# %% slide="Drag over the plane: what lies between digits?" slide_part="Drag over the latent space"
plane = load_pretrained("autoencoder-2d-mnist", "cpu")
LatentExplorer(plane, test, live=True)

# %% [markdown]
# Things to find: digits with a region of their own (the 0s, the 1s) and digits that are crowded together in the middle; borders where one digit turns into another through shapes that are
# neither; regions without dots, where the decoder still draws something, and what it draws there.
#
# The same for the 16 numbers. A screen has two dimensions, so the map shows a plane through the space of codes,
# the one along which they vary most (PC 1 and PC 2 are the first two directions of a PCA of the codes). The walk between two images uses all 16.

# %%
LatentExplorer(shipped, test)

# %% [markdown] slide="To draw a new digit we need a code: which one?" slide_points="Nothing in the loss says how the codes should lie | A simple guess: fit one Gaussian to the codes of the training images, and draw from it | The judge: **readable** is what a classifier is sure of *and* what lies as near to a training image as 95 % of real ones do"
# ## 8 · Why this is not a generative model yet (A3)
#
# To make a *new* digit we would need a code to decode. Which one? Nothing in the loss of the 16-number model says
# how its codes should lie. Let us try a simple guess: fit one Gaussian to the codes of the training images (their mean
# and covariance), draw from it, decode. The shipped model stores such a Gaussian, and `sample` draws from it.
#
# Who judges the result? The course ships a classifier that is right on at least 99.3 % of MNIST's test digits.
# But it must choose one of ten digits, and it can be sure even about an image that shows none. So we ask two things of a **readable**
# image: the classifier gives one digit a probability above 95 %, *and* in the classifier's last hidden layer the image lies as close to some training image as 95 % of the real test images do. The second is meant to rule out what is not a digit at all. By construction one real test image in twenty fails it. Note what is *not* asked: that a reconstruction shows the same digit as its original.

# %%
judge = load_pretrained("classifier-mnist", "cpu")
known = over_batches(judge.features, train.x)  # (4000, 128)


def distance(features: torch.Tensor) -> torch.Tensor:
    return torch.cdist(features, known).min(dim=1).values


limit = distance(over_batches(judge.features, test.x)).quantile(0.95)


def is_readable(x: torch.Tensor) -> torch.Tensor:
    features = over_batches(judge.features, x)
    sure = over_batches(judge.head, features).softmax(dim=1).max(dim=1).values
    return (sure > 0.95) & (distance(features) <= limit)


# %% tags=["A3", "nbval-ignore-output"] slide="Reconstructions are read far more often than images from random codes"
draw = torch.Generator().manual_seed(6)
with torch.inference_mode():
    drawn = shipped.sample(1000, generator=draw)
pictures = {
    "real test images": test.x,
    "their reconstructions": over_batches(shipped, test.x),
    "codes drawn at random": drawn,
    "pure noise": torch.randn(test.x.shape, generator=draw).clamp(-1, 1),
}
shares = {name: is_readable(x).double().mean().item() for name, x in pictures.items()}
assert shares["their reconstructions"] > 0.85
assert shares["codes drawn at random"] < 0.6
assert shares["pure noise"] < 0.05
table(["images", "share readable"], list(shares.items()))

# %% [markdown]
# The judge is in the package too, since later notebooks ask it again: `readability(train.x, test.x)` gives the function.

# %%
from course_utils.features import readability

readable = is_readable(drawn)
assert torch.equal(readability(train.x, test.x)(drawn), readable)

# %% alt=["Twenty images decoded from random codes that the judge can read: digits, some a little odd.", "Twenty images decoded from random codes that the judge cannot read: fragments and mixtures of digits."] slide="Random codes decode to some digits, and to many fragments and mixtures" slide_points="Above, twenty that the judge can read; below, twenty that it cannot"
show_images(drawn[readable][:20], columns=20, title="random codes: readable")
show_images(drawn[~readable][:20], columns=20, title="random codes: not readable")

# %% [markdown]
# A reconstruction is readable about as often as a real image; a decoded random code far less often. The lower row
# shows what the others are: many are fragments and mixtures of digits. (The judge is a network, and in both rows you may disagree with it on single images.) The decoder was never trained on such codes. If in 16 dimensions the codes of each digit form an island, as those of the 0s and 1s do in the first map of section 7, one Gaussian covers the islands *and* the space between them. These empty regions,
# where likely codes have no training image near them, are called **holes** (빈 곳).
#
# Holes can be measured: how far is a code from the nearest code of a training image?

# %% tags=["A3", "nbval-ignore-output"] slide="Random codes lie farther off than test codes; the farther half is less often readable"
from course_utils.metrics import auroc

known_codes, test_codes = (over_batches(shipped.encode, x) for x in (train.x, test.x))
eps = torch.randn(1000, 16, generator=torch.Generator().manual_seed(8))
random_codes = shipped.code_mean + eps @ shipped.code_factor.T  # as `shipped.sample` draws them
away = [torch.cdist(z, known_codes).min(dim=1).values for z in (test_codes, random_codes)]
near, far = random_codes[away[1].argsort()].split(500)
hits = [is_readable(over_batches(shipped.decode, z)).double().mean().item() for z in (near, far)]
farther = auroc(normal=away[0], anomalous=away[1])
assert farther > 0.85
assert 0.5 > hits[0] > hits[1] + 0.05
table(["random codes", "share readable"], [["the nearer half", hits[0]], ["the farther half", hits[1]]])

# %% [markdown]
# A random code lies farther away than the code of a test image in about nine of ten pairs (`farther`, an AUROC), and the
# nearer half of the random codes is readable more often than the farther half. But even of the nearer half most are
# not: the distance alone does not explain it.
#
# So is it the autoencoder that fails, or our guess? A better guess is a **mixture** (혼합 모형) of Gaussians, several small
# clouds instead of one large one. Its images might be mere copies of the 4,000 images to whose codes it was fitted; so the table also shows the distance in pixel space from an image to the nearest of these, on average. (One Gaussian is the guess from before, fitted again to these 4,000.)

# %% tags=["A3", "nbval-ignore-output"] slide="Images from ten small clouds of codes are read far more often than from one large cloud"
from sklearn.mixture import GaussianMixture

codes = known_codes.double().numpy()


def nearest(x: torch.Tensor) -> float:
    return torch.cdist(x.flatten(1), train.x.flatten(1)).min(dim=1).values.mean().item()


rows = [
    ["reconstructed test images", shares["their reconstructions"], nearest(pictures["their reconstructions"])]
]
for clouds in counted((1, 3, 10, 30), "mixtures"):
    mixture = GaussianMixture(clouds, reg_covar=1e-3, random_state=0).fit(codes)
    x = over_batches(shipped.decode, torch.from_numpy(mixture.sample(1000)[0]).float())
    name = f"codes from {clouds} Gaussian{'s' * (clouds > 1)}"
    rows.append([name, is_readable(x).double().mean().item(), nearest(x)])
assert rows[3][1] > rows[1][1] + 0.25
assert rows[1][1] < rows[2][1] < rows[3][1]
assert rows[4][2] > 0.9 * rows[0][2]
table(["images", "share readable", "distance to the nearest training image"], rows)

# %% [markdown]
# The share grows with the number of clouds: here about eight in ten images are readable with ten clouds and almost nine in ten with thirty. On average they lie about as far from the nearest of the 4,000 images as reconstructions of test images do, so they are not in general copies of these. (The decoder has seen 55,000 more, to which we do not compare.) So a plain autoencoder *can* be made to draw, if a
# second model learns afterwards where its codes lie (Ghosh et al. call it *ex-post density estimation*). The holes are
# no defect of the decoder; they show that our guess of how codes are distributed, called the **prior**, does not fit. There are two roads from here. One builds the prior into the training, so that a single simple Gaussian should fit: the next notebook. The other learns the prior
# afterwards, and takes a stronger model for it than a mixture: that is latent diffusion, notebook 08.
#
# A second look, between real images. Take pairs of test images, go straight from one code to the other, and ask
# the judge along the way, once for pairs of the same digit and once for pairs of different ones. To compare, mix
# the pixels of the two images in the same way. (The test images come in the order 0, 1, …, 9, 0, 1, …, so ten places back there is the same digit, and one place back a different one: 1 with 0, 2 with 1, …, 0 with 9.)

# %%
ends = test.x[:300]
z = test_codes[:300]
ts = torch.linspace(0, 1, 7)


def along(points: torch.Tensor, shift: int, decode) -> list[float]:
    others = points.roll(shift, dims=0)
    return [
        is_readable(decode((1 - t) * points + t * others)).double().mean().item()
        for t in counted(ts, "places on the way")
    ]


walks = {}
for name, shift in (("same digit", 10), ("different digits", 1)):
    walks[f"{name}: codes"] = along(z, shift, lambda z: over_batches(shipped.decode, z))
    walks[f"{name}: pixels"] = along(ends, shift, lambda x: x)

# %% tags=["A3"] alt="Share of readable images along the way between two images. Between codes of the same digit it stays high; between different digits it dips deeply in the middle, for codes less than for mixed pixels." slide="Between codes of different digits, fewer images half-way can be read"
assert walks["same digit: codes"][3] > walks["same digit: pixels"][3] + 0.05
assert walks["different digits: codes"][3] < 0.7 * walks["different digits: codes"][0]

fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for number, (name, shares) in enumerate(walks.items()):
    marker, line = "os"[number // 2], "-" if "codes" in name else "--"
    ax.plot(ts, shares, marker=marker, ls=line, color=f"C{number // 2}", ms=4, label=name)
ax.set(xlabel="t, from one image (0) to the other (1)", ylabel="share readable", ylim=(0, 1))
ax.legend(frameon=False, bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown] slide="Two roads lead from here; and five questions to think about" slide_points="**The VAE** builds the prior into the training (04); **latent diffusion** learns it afterwards (08) | What would happen with $d = 784$? | Without activation functions, which known method do you get? | Why are reconstructions soft at the edges? | Why is $r$ divided by the distance between images? | What does a denoiser learn if the noise leaves nothing of the image?"
# Along the codes between two images of the same digit hardly anything is lost, and half-way the decoded codes are
# readable more often than the mixed pixels. This fits the picture of one island per digit in the space of 16 numbers.
# Between different digits far fewer are readable half-way, as if the way led through empty regions. Here too the
# codes stay above the pixels. (Any continuous way from a 3 to an 8 must pass through shapes that are neither. A
# generative model only has to make sure that it is seldom drawn.)
#
# The **variational autoencoder** (VAE, 변분 오토인코더) of the next notebook takes the first road. Its encoder answers
# with a small cloud instead of a point, and its loss pulls each cloud towards a standard normal, so that all codes together come closer to a distribution we know, and likely codes lie near codes that were decoded in training. How well this works is measured there.
#
# ## 9 · Questions
#
# Think first, then unfold the answer.
#
# **1.** What would happen with $d = 784$?
#
# <details><summary>Answer</summary>
#
# If its other layers were wide enough too (ours pass through 128 numbers), the network could learn to copy every
# pixel, with almost no loss, and would have learned nothing about digits. Either the bottleneck or a corruption
# has to make copying useless. A denoising autoencoder may have a large code: copying its noisy input is no good
# answer.
#
# </details>
#
# **2.** Take away all activation functions, and give it unlimited time to train. Which known method do you get?
#
# <details><summary>Answer</summary>
#
# Encoder and decoder are then linear maps (with an offset; the final `Tanh` must go as well). The best linear
# reconstruction through $d$ numbers is PCA's. At the minimum of the loss the network's reconstructions are the
# same, though its code need not have PCA's axes.
#
# </details>
#
# **3.** Why are reconstructions soft at the edges?
#
# <details><summary>Answer</summary>
#
# For squared error the best answer to an uncertain pixel is its mean given the code. Where a stroke may end a
# little earlier or later, the mean of the possible edges is a grey ramp.
#
# </details>
#
# **4.** In the measure of robustness, why divide by the distance between the codes of different images?
#
# <details><summary>Answer</summary>
#
# Because the scale of a code is arbitrary. If every code is multiplied by 0.01 and the first layer of the decoder
# multiplies by 100, the autoencoder does exactly what it did, but all distances shrink a hundredfold. Without the
# denominator such a network would look a hundred times as robust.
#
# </details>
#
# **5.** A friend says: "I train the denoising autoencoder with noise so strong that nothing is left of the
# image." What does it learn?
#
# <details><summary>Answer</summary>
#
# The input then says nothing about $x$, so the best output is the same for all: the mean image. Between no noise
# (copying) and too much (the mean) lies a range in which the network must know what digits look like. Diffusion
# models (notebook 07) use that whole range at once, and follow the arrows of section 6 through it.
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | autoencoder | 오토인코더 | a network that encodes its input and decodes it again |
# | encoder, decoder | 인코더, 디코더 | image to code, code to image |
# | latent code | 잠재 코드 | the short list of numbers $z$ in between |
# | latent space | 잠재 공간 | the space in which the codes lie |
# | bottleneck | 병목 | the narrow place that forbids copying |
# | reconstruction | 재구성, 복원 | the decoded image $\hat{x}$ |
# | squared error | 제곱 오차 | sum of squared differences over the pixels |
# | corruption | 손상 | a random damage $q(\tilde{x} \mid x)$ to the input |
# | score | 스코어 | the gradient of the log-density, an arrow towards the data |
# | mixture of Gaussians | 가우시안 혼합 모형 | several Gaussian clouds, each drawn from with its own probability |
# | denoising autoencoder | 잡음 제거 오토인코더 | reconstructs the clean image from a corrupted one |
# | principal component analysis | 주성분 분석 | the best linear code |
# | blur | 흐림 | each pixel becomes a mean over its neighbours |
# | logistic regression | 로지스틱 회귀 | one flat boundary for each class |
# | hole | 빈 곳 | a region where codes are drawn, but where no training image has its code |
# | linear, spherical interpolation | 선형 보간, 구면 보간 | a straight way between two codes; one along an arc |
# | variational autoencoder | 변분 오토인코더 | an autoencoder with a prior: notebook 04 |
#
# ## Read on
#
# - G. Hinton and R. Salakhutdinov, *Reducing the dimensionality of data with neural networks*, Science 2006: the
#   autoencoder against PCA.
# - P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, *Extracting and composing robust features with denoising
#   autoencoders*, ICML 2008.
# - P. Vincent et al., *Stacked denoising autoencoders*, JMLR 2010: kinds of noise, and what each teaches.
# - P. Vincent, *A connection between score matching and denoising autoencoders*, Neural Computation 2011.
# - G. Alain and Y. Bengio, *What regularized auto-encoders learn from the data-generating distribution*, JMLR
#   2014: why denoising learns the shape of the data; the bridge to diffusion.
# - P. Ghosh, M. Sajjadi, A. Vergari, M. Black, B. Schölkopf, *From variational to deterministic autoencoders*,
#   ICLR 2020: how good samples get when a density is fitted to the codes afterwards.
#
# Next: **04 · Variational autoencoder.** The homework to this notebook is `homework/student/hw03.ipynb`.
