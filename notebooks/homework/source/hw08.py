# %% [markdown]
# [Open in Colab](badge)
#
# # Homework 08 · Latent diffusion
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
    # %pip install -q "course-utils @ git+address"

# %%
from collections.abc import Callable, Iterator
from functools import partial
from math import log, prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_close, check_raises, check_range, check_shape
from course_utils.data import load_images
from course_utils.data.scenes import WORDS
from course_utils.diffusion import Step, dpmpp_2m_sample
from course_utils.features import scene_accuracy
from course_utils.latent import LatentDiffusion
from course_utils.nets import over_batches
from course_utils.pretrained import load_pretrained
from course_utils.recipes import scene_tokenizer
from course_utils.viz import show_rows

test = load_images("scenes", "test", n=200)
codecs = {
    4: load_pretrained("kl-autoencoder-scenes", "cpu"),
    8: load_pretrained("kl-autoencoder-f8-scenes", "cpu"),
}
ldm, tokenize = load_pretrained("ldm-scenes", "cpu"), scene_tokenizer()

# %% [markdown]
# ## 1 · What the autoencoder loses
#
# The peak signal-to-noise ratio (PSNR) says in decibels how small the squared error of an image is. Our pixels lie in
# [-1, 1], so the largest possible error is 2, and for an image $x$ and its reconstruction $\hat x$
#
# $$\mathrm{PSNR}(\hat x, x) = 10 \log_{10} \frac{2^2}{e}, \qquad
# e = \frac{1}{C H W} \sum_{c, i, j} (\hat x_{cij} - x_{cij})^2.$$
#
# Write it for images of the shape (N, C, H, W), one number an image, shape (N,). For equal images $e$ would be 0 and
# the PSNR infinite: where $e$ is smaller than $10^{-10}$, take $10^{-10}$.
#
# <details><summary>Hint 1</summary>
#
# `(x_hat - x) ** 2` has the shape (N, C, H, W). Which axes belong to one image?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.log10` is the logarithm with base 10 (`torch.log` has base e), and `clamp_min` puts a bound below.
#
# </details>


# %% key="q1"
def psnr(x_hat: Tensor, x: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    error = ((x_hat - x) ** 2).mean(dim=(1, 2, 3)).clamp_min(1e-10)
    return 10 * torch.log10(4 / error)
    ### END SOLUTION


# %% key="check-q1" tags=["check"]
# CHECK q1
grey = torch.zeros(3, 2, 4, 5)
errors = torch.tensor([2.0, 0.2, 0.02]).view(3, 1, 1, 1)
check_shape("q1: psnr(x_hat, x) for x of the shape (3, 2, 4, 5)", psnr(grey + errors, grey), (3,))
check_close(
    "q1: the PSNR of three images whose values are all wrong by 2, by 0.2 and by 0.02",
    psnr(grey + errors, grey),
    torch.tensor([0.0, 20.0, 40.0]),
    hint="10 · log10(2² / e), where e is the mean of the squares. A tenth of the error is 20 dB more.",
)
two_wrong = torch.zeros(3, 2, 4, 5)
two_wrong[1, 0, 0, :2] = torch.tensor([2.0, -1.0])
check_close(
    "q1: the PSNR of an image of 40 values, one of them wrong by 2 and one by -1,",
    psnr(two_wrong, grey)[1],
    10 * np.log10(32),
    hint="e is (2² + 1²) / 40: square first, then take the mean.",
)
check_close(
    "q1: the PSNR of equal images",
    psnr(grey + 0.3, grey + 0.3),
    torch.full((3,), 106.0206),
    hint="Where e is below 1e-10, take 1e-10.",
)
near = grey.clone()
near[:, 0, 0, 0] = 1.2e-4  # e = 3.6e-10
check_close(
    "q1: the PSNR of images of 40 values, one of them wrong by 0.00012,",
    psnr(near, grey),
    torch.full((3,), 100.4576),
    hint="Take 1e-10 only where e itself is smaller; do not add it.",
)
draw = torch.Generator().manual_seed(0)
a, b = (torch.rand(4, 3, 5, 7, generator=draw) * 2 - 1 for _ in range(2))
lengths = np.linalg.norm((a - b).double().numpy().reshape(4, -1), axis=1)  # √(C H W e)
check_close(
    "q1: the PSNR of four pairs of random images",
    psnr(a, b),
    20 * np.log10(2) - 20 * np.log10(lengths) + 10 * np.log10(prod((3, 5, 7))),
    hint="Each image has its own error.",
)
four, eight = (
    psnr(over_batches(codec.reconstruct, test.x).clamp(-1, 1), test.x) for codec in codecs.values()
)
check_range(
    "q1: how many decibels the shipped autoencoder with f = 4 is better than that with f = 8, on average,",
    (four - eight).mean(),
    2.0,
    4.0,
)
print("Decibels if all values are wrong by 0.3:", round(psnr(grey + 0.3, grey)[0].item(), 1))

# %% [markdown]
# ## 2 · One number for the scale
#
# Diffusion mixes codes $z$ with noise of variance 1, $x_t = \sqrt{\bar\alpha_t}\, z + \sqrt{1 - \bar\alpha_t}\,
# \varepsilon$. So $z$ should have variance 1, too; then $x_t$ has variance 1 for every $t$. The encoder's raw codes do
# not. They are divided by their standard deviation, *one* number for all images, channels and places (Rombach et al.
# 2022), measured once on many codes and then kept.
#
# Write three functions. `scale_of(codes)` measures the number: the standard deviation over everything.
# `normalised(codes, scale)` is what diffusion sees: codes divided by a scale that was measured before, perhaps on
# other codes. `raw(z, scale)` is its inverse, for the decoder. The inputs must not be changed.
#
# <details><summary>Hint</summary>
#
# `scale_of` takes the codes (N, c, h, w) and gives one number, with the shape (). The other two need nothing but the
# codes and the scale. A standard deviation does not depend on the mean, and the mean is left as it is.
#
# </details>


# %% key="q2"
def scale_of(codes: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    return codes.std()
    ### END SOLUTION


def normalised(codes: Tensor, scale: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    return codes / scale
    ### END SOLUTION


def raw(z: Tensor, scale: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    return z * scale
    ### END SOLUTION


# %% key="check-q2" tags=["check"]
# CHECK q2
flips = 1 - 2 * (torch.arange(16 * 3 * 10 * 20).view(16, 3, 10, 20) % 2).float()  # 1, -1, 1, …
check_shape(
    "q2: scale_of(codes)", scale_of(flips), (), hint="One number for all images, channels and places."
)
check_close("q2: the scale of codes that are half 1 and half -1", scale_of(flips), 1.0, tol=2e-3)
check_close(
    "q2: the scale of codes that are half 5 and half -1",
    scale_of(3 * flips + 2),
    3.0,
    tol=2e-3,
    hint="The standard deviation: how far the codes are from their own mean, not from 0.",
)
channels = flips + torch.tensor([-(24**0.5) / 2, 0.0, 24**0.5 / 2]).view(1, 3, 1, 1)
images = flips + torch.tensor([-(8**0.5), 8**0.5]).repeat(8).view(16, 1, 1, 1)
for name, codes, want in (("channels", channels, 5**0.5), ("images", images, 3.0)):
    check_close(
        f"q2: the scale of codes whose {name} lie around different means",
        scale_of(codes),
        want,
        tol=2e-3,
        hint="Take all numbers together; a mean of several standard deviations is something else.",
    )
few = torch.tensor([[[[2.0, 8.0, -1.0]], [[0.5, 3.0, 4.0]]]])  # (1, 2, 1, 3)
before = few.clone()
for scale in (4.0, 0.5):
    z = normalised(few, torch.tensor(scale))
    check_close(
        f"q2: normalised(codes, {scale})",
        z,
        torch.tensor([[[[2.0, 8.0, -1.0]], [[0.5, 3.0, 4.0]]]]) / scale,
        hint="Divide by the scale that is given, and leave the mean as it is.",
    )
    check_close(
        f"q2: the input, after normalised(codes, {scale}),", few, before, hint="Do not change the input."
    )
    check_close(f"q2: raw(z, {scale})", raw(before, torch.tensor(scale)), before * scale)
    check_close(f"q2: raw(normalised(codes, {scale}), {scale})", raw(z, torch.tensor(scale)), before)
for f, codec in codecs.items():
    with torch.no_grad():
        mu, _ = codec.posterior(test.x)
    check_close(f"q2: the scale of the codes of 200 scenes, f = {f},", scale_of(mu), codec.scale, tol=0.03)
    z, draw = normalised(mu, scale_of(mu)), torch.Generator().manual_seed(1)
    for t in (1, 300, 700, 1000):
        x_t = ldm.diffusion.q_sample(z, torch.full((200,), t), torch.randn(z.shape, generator=draw))
        check_close(f"q2: the variance of x_t at t = {t}, f = {f},", x_t.var(), 1.0, tol=0.02)
print("The scale of codes that are half 5 and half -1:", round(float(scale_of(3 * flips + 2)), 1))

# %% [markdown]
# ## 3 · Cross-attention
#
# Cross-attention (Vaswani et al. 2017; for text to image Rombach et al. 2022) lets each place of the U-Net's map take
# from the words. A place with the features $h$ makes a query $q = W_q h$; each word $c_j$ of the context offers a key
# $k_j = W_k c_j$ and a value $v_j = W_v c_j$:
#
# $$a = \mathrm{softmax}\!\left( \frac{q \cdot k_1}{\sqrt d}, \dots, \frac{q \cdot k_L}{\sqrt d} \right), \qquad
# \text{taken} = \sum_j a_j v_j.$$
#
# Several heads do this side by side. Their matrices lie one below the other in one: with $d$ rows a head, rows 0 to
# $d - 1$ of `Wq`, `Wk` and `Wv` are those of the first head, the next $d$ rows of the second, and so on. What the heads
# take is put together again in this order.
#
# `h` is (N, places, width), `context` is (N, words, width_c), `Wq` is (heads · d, width), `Wk` and `Wv` are (heads ·
# d, width_c). Return two things: what is taken (N, places, heads · d), and the weights $a$ (N, heads, places, words).
#
# <details><summary>Hint 1</summary>
#
# With features in rows, $W_q h$ for all places is `h @ Wq.T`, of the shape (N, places, heads · d).
#
# </details>
# <details><summary>Hint 2</summary>
#
# `q.unflatten(2, (heads, d)).transpose(1, 2)` has the shape (N, heads, places, d): now each head is a matrix product
# of its own. `transpose(1, 2).flatten(2)` leads back at the end.
#
# </details>
# <details><summary>Hint 3</summary>
#
# The weights of one place add up to 1 over the words: over which axis of (N, heads, places, words) goes the softmax?
#
# </details>


# %% key="q3"
def cross_attention(
    h: Tensor, context: Tensor, Wq: Tensor, Wk: Tensor, Wv: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    ### BEGIN SOLUTION
    q, k, v = (
        given.unflatten(2, (heads, -1)).transpose(1, 2)
        for given in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3)
    return (a @ v).transpose(1, 2).flatten(2), a
    ### END SOLUTION


# %% key="check-q3" tags=["check"]
# CHECK q3
draw = torch.Generator().manual_seed(2)
sizes = {"h": (2, 6, 5), "context": (2, 7, 8), "Wq": (12, 5), "Wk": (12, 8), "Wv": (12, 8)}
given = {name: torch.randn(size, generator=draw) for name, size in sizes.items()}
returned = cross_attention(**given, heads=3)
two = isinstance(returned, (tuple, list)) and len(returned) == 2
assert two, "q3: cross_attention must return two tensors: what is taken, and the weights."
taken, a = returned
check_shape("q3: what is taken, for N = 2, 6 places, 7 words, 3 heads and d = 4,", taken, (2, 6, 12))
check_shape("q3: the weights, for N = 2, 6 places, 7 words and 3 heads,", a, (2, 3, 6, 7))
check_close(
    "q3: the sum of each place's weights over the words",
    a.sum(dim=3),
    torch.ones(2, 3, 6),
    hint="The softmax goes over the words.",
)
# By hand. Head 1: q = (1, 1), k₁ = (s, s), k₂ = 0, so that a = softmax(2s / √2, 0). Head 2: both keys are 0.
h, context = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[1.0], [0.0]]])
Wq, Wv = torch.tensor([[0.5, 3.0]]).repeat(4, 1), torch.tensor([[4.0], [8.0], [-2.0], [6.0]])
for odds in (3.0, 9.0):  # head 1 hears word 1 so many times as much as word 2
    s = log(odds) / 2**0.5
    taken, a = cross_attention(h, context, Wq, torch.tensor([[s], [s], [0.0], [0.0]]), Wv, 2)
    first, even = odds / (1 + odds), 0.5
    check_close(
        f"q3: two heads by hand, q · k is {2 * s:.4f} and 0 in head 1, 0 and 0 in head 2: the weight of a word",
        a[0, :, 0],
        torch.tensor([[first, 1 - first], [even, even]]),
        hint="Divide q · k by √d, where d is the length of one head's query, here 2; rows 0 to d - 1 are head 1.",
    )
    check_close(
        "q3: two heads by hand, the values are (4, 8), (0, 0) in head 1, (-2, 6), (0, 0) in head 2: what is taken",
        taken[0, 0],
        torch.tensor([4 * first, 8 * first, -2 * even, 6 * even]),
        hint="Sum the values with the weights of their own head; first comes all of head 1.",
    )
for heads in (3, 1, 4):
    taken, a = cross_attention(**given, heads=heads)
    rows = F.linear(given["h"], given["Wq"]), F.linear(given["context"], given["Wk"])
    rows += (F.linear(given["context"], given["Wv"]),)
    q, k, v = (torch.stack(x.chunk(heads, dim=2), dim=1) for x in rows)
    words = torch.eye(7).expand(2, heads, 7, 7)  # taking from these gives the weights
    by_torch = F.scaled_dot_product_attention(q, k, words)
    check_close(f"q3: a weight of one of {heads} heads, against PyTorch's own,", a, by_torch, tol=1e-3)
    by_torch = torch.cat(F.scaled_dot_product_attention(q, k, v).unbind(dim=1), dim=2)
    hint = "Before heads and d are flattened into one axis they must stand next to each other: (N, places, heads, d)."
    check_close(f"q3: what {heads} heads take, against PyTorch's own,", taken, by_torch, tol=1e-3, hint=hint)
order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
shuffled = cross_attention(**given | {"context": given["context"][:, order]}, heads=4)
check_close("q3: what is taken if the words come in another order", shuffled[0], taken, tol=1e-3)
check_close(
    "q3: the weight of a word if the words come in another order", shuffled[1], a[..., order], tol=1e-3
)
_, a = cross_attention(h, context, Wq, torch.tensor([[1.0], [1.0], [0.0], [0.0]]) * log(3) / 2**0.5, Wv, 2)
print("Weights of two words that one head hears 3 to 1:", [round(x, 2) for x in a[0, 0, 0].tolist()])

# %% [markdown]
# ## 4 · Away from a sentence
#
# Classifier-free guidance (Ho and Salimans 2022) asks the network twice, with the sentence and with the empty one. A
# negative prompt takes the place of the empty sentence: with $v_\text{away}$, the prediction for the sentence to be
# avoided,
#
# $$\hat v = v_\text{away} + w\, (v_\text{sentence} - v_\text{away}).$$
#
# Write the formula as `guided`. Then write `guided_v`, which asks the network: `net(x_t, t, y)` gives $v$ for noisy
# codes `x_t` (N, c, h, w), their times `t` (N,) and the prompts' tokens `y` (N, 16). It is given N sentences, one for
# each code, and *one* sentence `away` for all of them. `tokenize(sentences)` turns a list of N sentences into tokens
# (N, 16).
#
# <details><summary>Hint</summary>
#
# Both calls get the same `x_t` and `t`. `tokenize` wants a list, and the network one row of tokens for each code: how
# many times must `away` stand in the list?
#
# </details>


# %% key="q4"
def guided(v_sentence: Tensor, v_away: Tensor, w: float) -> Tensor:
    ### BEGIN SOLUTION
    return v_away + w * (v_sentence - v_away)
    ### END SOLUTION


def guided_v(net: nn.Module, x_t: Tensor, t: Tensor, sentences: list[str], away: str, w: float) -> Tensor:
    ### BEGIN SOLUTION
    v_sentence = net(x_t, t, tokenize(sentences))
    v_away = net(x_t, t, tokenize([away] * len(x_t)))
    return guided(v_sentence, v_away, w)
    ### END SOLUTION


# %% key="check-q4" tags=["check"]
# CHECK q4
draw = torch.Generator().manual_seed(3)
v_sentence, v_away = torch.randn(3, 4, 2, 5, generator=draw), torch.randn(3, 4, 2, 5, generator=draw)
check_shape("q4: guided(v_sentence, v_away, w)", guided(v_sentence, v_away, 2.0), (3, 4, 2, 5))
for w, want in ((0.0, 2.0), (1.0, 5.0), (2.0, 8.0), (3.5, 12.5)):
    check_close(
        f"q4: guided if the sentence gives 5 and the negative prompt 2, w = {w},",
        guided(torch.tensor(5.0), torch.tensor(2.0), w),
        want,
        hint="Begin at v_away and go w times the way from there to v_sentence.",
    )
check_close("q4: guided with w = 1, the sentence alone,", guided(v_sentence, v_away, 1.0), v_sentence)
check_close("q4: guided with w = 0, the negative prompt alone,", guided(v_sentence, v_away, 0.0), v_away)


class WordCounter(nn.Module):
    """Stands in for a network: x_t, plus the number of words in the prompt, plus t / 100."""

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        assert y.shape == (len(x_t), 16), (
            f"q4: the tokens have the shape {tuple(y.shape)}, should have ({len(x_t)}, 16): one row for each code."
        )
        words = (y != tokenize.nothing).sum(dim=1)
        return x_t + (words + t / 100).view(-1, 1, 1, 1)


sentences = [
    "a red star at the top on white",
    "a blue cross on white",
    "a small striped green star in the middle",
]
x_t, t = torch.randn(3, 4, 2, 5, generator=draw), torch.tensor([100, 300, 700])
check_shape("q4: guided_v(...)", guided_v(WordCounter(), x_t, t, sentences, "a star", 3.0), (3, 4, 2, 5))
for away, words, w in (
    ("a star", 2, 1.0),
    ("a star", 2, 0.0),
    ("a red star on blue", 5, 3.0),
    ("a star", 2, 1.5),
):
    check_close(
        f"q4: with a network that gives the number of words, here 8, 5 and 8, away from {away!r}, w = {w}: guided_v",
        (guided_v(WordCounter(), x_t, t, sentences, away, w) - x_t)[:, 0, 0, 0] - t / 100,
        words + w * (torch.tensor([8.0, 5.0, 8.0]) - words),
        hint="Ask the network with the sentences and with `away` at the same x_t and t, and put both into `guided`.",
    )
z_t, t = torch.randn(3, *ldm.diffusion.shape, generator=draw), torch.tensor([250, 500, 900])
for away in ("a red star in the middle on white", "a small blue cross at the left on green"):
    with torch.no_grad():
        v = guided_v(ldm.diffusion.net, z_t, t, sentences, away, 3.0)
        avoided = tokenize([away] * len(z_t))
        seen = ldm.diffusion.predict(z_t, t, tokenize(sentences), guidance=3.0, negative=avoided)
    signal, noise = ldm.diffusion.schedule.signal_noise(t, z_t)
    want = signal * seen.eps - noise * seen.x0
    check_close(f"q4: v of the shipped model, away from {away!r},", v, want, tol=1e-3)
print(
    "Guided, from 2 towards 5 with w = 2:", round(guided(torch.tensor(5.0), torch.tensor(2.0), 2.0).item(), 2)
)

# %% [markdown]
# ## 5 · From a mask of pixels to a mask of codes
#
# Inpainting in the latent space needs to know which *codes* are to be kept. One code cell stands for a block of
# $f \times f$ pixels. Given a mask of pixels (N, 1, H, W), bool, True where a pixel is to be kept, give the mask of
# code cells (N, 1, H / f, W / f), bool: a cell is kept only if *all* its $f \times f$ pixels are. If H or W is not
# divisible by f, raise a `ValueError` whose message names the height or width that is not.
#
# (This is the least that is needed. Through the encoder's convolutions a cell also knows something of the pixels
# around its block.)
#
# <details><summary>Hint 1</summary>
#
# `mask.unflatten(3, (-1, f))` splits the last axis: (N, 1, H, W / f, f). Do the same with axis 2.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Or ask the other way round: a cell is lost if any of its pixels is lost, and *any* is the largest of zeros and ones.
# `F.max_pool2d(a, f)` takes the largest of each block of floats.
#
# </details>


# %% key="q5"
def code_mask(mask: Tensor, f: int) -> Tensor:
    ### BEGIN SOLUTION
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"a side of {size} pixels cannot be divided into cells of f = {f}")
    blocks = mask.unflatten(3, (-1, f)).unflatten(2, (-1, f))  # (N, 1, H / f, f, W / f, f)
    return blocks.all(dim=5).all(dim=3)
    ### END SOLUTION


# %% key="check-q5" tags=["check"]
# CHECK q5
everything = torch.ones(3, 1, 8, 12, dtype=torch.bool)
kept = code_mask(everything, 4)
check_shape("q5: code_mask(mask, 4) of a mask of the shape (3, 1, 8, 12)", kept, (3, 1, 2, 3))
assert kept.dtype == torch.bool, f"q5: the mask of codes has the type {kept.dtype}, should be torch.bool."
check_close("q5: the mask of codes, as 0 and 1, if all pixels are kept", kept, torch.ones(3, 1, 2, 3))
check_close(
    "q5: the mask of codes, as 0 and 1, if no pixel is kept",
    code_mask(~everything, 4),
    torch.zeros(3, 1, 2, 3),
)
for f in (2, 4):
    i = torch.arange(96)  # mask i has lost pixel i, counted row by row
    one_lost = (i[:, None] != i).view(96, 1, 8, 12)
    want = torch.ones(96, 1, 8 // f, 12 // f)
    want[i, 0, i // 12 // f, i % 12 // f] = 0
    check_close(
        f"q5: 96 masks of 8 × 12, each with one pixel lost, f = {f}: the mask of codes, as 0 and 1,",
        code_mask(one_lost, f),
        want,
        hint="A cell with a lost pixel, wherever in its block, is lost; all others are kept.",
    )
draw = torch.Generator().manual_seed(4)
for f, height, width in ((3, 9, 15), (8, 16, 40), (1, 5, 2)):
    mask = torch.rand(4, 1, height, width, generator=draw) < 1 - 0.7 / f**2
    lost = F.max_pool2d((~mask).float(), f)
    check_close(
        f"q5: a random mask of {height} × {width}, f = {f}: the mask of codes, as 0 and 1,",
        code_mask(mask, f),
        1 - lost,
    )
for height, width, f, size in ((6, 8, 4, "6"), (8, 10, 4, "10"), (15, 9, 5, "9")):
    case = f"q5: code_mask of a mask of {height} × {width} with f = {f}"
    said = check_raises(case, partial(code_mask, torch.ones(2, 1, height, width, dtype=torch.bool), f))
    assert size in said, f"{case} raises a ValueError with {said!r}, should name the {size}."
left = (torch.arange(64) < 30).expand(1, 1, 64, 64)
print("Codes kept of 16 × 16, if the 30 left columns of 64 are kept:", int(code_mask(left, 4).sum()))

# %% [markdown]
# ## 6 · Another style, the same layout
#
# SDEdit (Meng et al. 2022) in the latent space: a real picture becomes noisy up to a time $t_0$, so that the fine is
# lost and the coarse is not, and the way back is walked with another sentence. Write `restyle`:
#
# 1. encode the images $x$ (N, 3, 64, 64) to codes $z$ of variance 1, with `ldm.codec.encode`;
# 2. add noise up to $t_0$: $z_{t_0} = \sqrt{\bar\alpha_{t_0}}\, z + \sqrt{1 - \bar\alpha_{t_0}}\, \varepsilon$, with
#    $\varepsilon$ from the generator; `ldm.diffusion.schedule.alpha_bar[t]` is $\bar\alpha_t$, a float64 number; $z_{t_0}$
#    must be float32, as the network is;
# 3. walk back from $t_0$ in ten steps with the sampler that is given, for the new sentences, with guidance $w$;
# 4. decode where it arrives, and clamp to [-1, 1].
#
# A sampler is one of the functions of `course_utils.diffusion`, all called alike:
# `sampler(model, z_t, steps=..., y=..., guidance=..., start=...)`, where `y` are tokens and `start` is the time of
# `z_t`; without it, it takes `z_t` for pure noise. It goes through its steps one by one; each has a field `x_t`, and
# the last one is where it arrives.
#
# <details><summary>Hint 1</summary>
#
# `torch.randn(z.shape, generator=generator)` is $\varepsilon$, and `tokenize(sentences)` is `y`. The model is
# `ldm.diffusion`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `*_, last = sampler(...)` runs through all steps and keeps the last one.
#
# </details>
#
# The next cell makes the new sentences for 39 pictures, each of a single filled object: `wished["outlined"]` and
# `wished["striped"]`. When your function passes, look at what it does. Try other times:
# `compare(real, restyle(ldm, real, wished["striped"], 500, 3.0, dpmpp_2m_sample, torch.Generator()))`.


# %%
def restyled(caption: str, style: str) -> str:
    said = caption.split()
    said.insert(2 if said[1] == "small" else 1, style)
    return " ".join(["an" if said[1] == "outlined" else "a", *said[1:]])


def compare(x: Tensor, x_new: Tensor) -> None:
    show_rows({"real": x[:8], "restyled": x_new[:8]}, scale=0.75)


is_alone = (test.attributes["place"] >= 0).tolist()
plain = [i for i, c in enumerate(test.captions) if is_alone[i] and "striped" not in c and "outlined" not in c]
real, real_captions = test.x[plain], [test.captions[i] for i in plain]
wished = {style: [restyled(caption, style) for caption in real_captions] for style in ("outlined", "striped")}
print(real_captions[0], "→", wished["striped"][0])


# %% key="q6"
def restyle(
    ldm: LatentDiffusion,
    x: Tensor,
    sentences: list[str],
    t_0: int,
    w: float,
    sampler: Callable[..., Iterator[Step]],
    generator: torch.Generator,
) -> Tensor:
    ### BEGIN SOLUTION
    z = ldm.codec.encode(x)
    alpha_bar = ldm.diffusion.schedule.alpha_bar[t_0].float()
    eps = torch.randn(z.shape, generator=generator)
    z_t = alpha_bar.sqrt() * z + (1 - alpha_bar).sqrt() * eps
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)
    ### END SOLUTION


# %% key="check-q6" tags=["check"]
# CHECK q6
class Recorder:
    """Stands in for a sampler: remembers what it is given, and arrives at the codes `end`."""

    def __init__(self, end: Tensor):
        self.end, self.given = end, {}

    def __call__(self, model, x_T, *, steps, y=None, guidance=1.0, start=None, generator=None):
        self.given = {"x_T": x_T.detach(), "steps": steps, "y": y, "guidance": guidance, "start": start}
        steps = [Step(1000, x_T, None, None), Step(500, 0 * x_T, x_T, x_T), Step(0, self.end, self.end, x_T)]
        return iter(steps)


with torch.no_grad():
    z = ldm.codec.encode(real)
    for style, t_0, w in (("striped", 10, 2.0), ("striped", 400, 3.0), ("outlined", 700, 1.5)):
        recorder, a = Recorder(1.5 * z.flip(0)), ldm.diffusion.schedule.alpha_bar[t_0].item()
        x_new = restyle(ldm, real, wished[style], t_0, w, recorder, torch.Generator().manual_seed(1))
        got, case = recorder.given, f"t_0 = {t_0},"
        assert got, "q6: the sampler that is given was not called."
        assert got["start"] is not None, "q6: the sampler was not told where it starts: pass start=t_0."
        assert got["y"] is not None, "q6: the sampler was not told what to draw: pass the tokens as y."
        check_close(f"q6: the sampler's start, {case}", got["start"], t_0)
        check_close("q6: the tokens y that the sampler gets", got["y"], tokenize(wished[style]))
        check_close(f"q6: the sampler's guidance, w = {w},", got["guidance"], w, hint="Pass guidance=w.")
        check_close("q6: the sampler's number of steps", got["steps"], 10)
        check_shape("q6: what the sampler gets, for 39 images,", got["x_T"], (39, 4, 16, 16))
        kind = got["x_T"].dtype
        assert kind == torch.float32, (
            f"q6: the sampler gets {kind}, should be torch.float32, as the network is: convert alpha_bar."
        )
        factor = (got["x_T"] * z).sum() / z.square().sum()
        hint = "√ᾱ_t times the codes of the clean images, from `encode`, plus √(1 - ᾱ_t) times ε."
        check_close(f"q6: the factor of z in z_t, {case}", factor, a**0.5, tol=0.02, hint=hint)
        eps = (got["x_T"] - a**0.5 * z) / (1 - a) ** 0.5
        name = "q6: the standard deviation of the noise in z_t, divided by √(1 - ᾱ_t),"
        check_close(f"{name} {case}", eps.std(), 1.0, tol=0.02, hint=hint)
        alike = F.cosine_similarity(eps[:1].flatten(1), eps[1:].flatten(1))
        hint = "Draw ε anew for each image."
        check_range("q6: the cosine similarity of the noise of two images", alike, -0.2, 0.2, hint=hint)
        for seed, says, low, high in ((1, "the same", 0.0, 0.0), (2, "another", 0.9, 1.0)):
            restyle(ldm, real, wished[style], t_0, w, recorder, torch.Generator().manual_seed(seed))
            changed = ((recorder.given["x_T"] - got["x_T"]).abs() > 1e-3).double().mean()
            name = f"q6: the share of numbers in z_t that change if it is called again with {says} seed"
            check_range(name, changed, low, high, hint="Draw ε with the generator that is given.")
        check_shape("q6: restyle(...) for 39 images", x_new, (39, 3, 64, 64))
        check_range(
            "q6: the brightness of the result's pixels", x_new, -1.0, 1.0, hint="Clamp what is decoded."
        )
        want = ldm.codec.decode(recorder.end).clamp(-1, 1)
        hint = "Decode x_t of the last step, and clamp after that."
        check_close("q6: the decoded picture", x_new, want, tol=1e-3, hint=hint)
    facts, both = {}, [*wished["outlined"], *wished["striped"]]
    for t_0 in (20, 500):
        draw, twice = torch.Generator().manual_seed(6), real.repeat(2, 1, 1, 1)
        facts[t_0] = scene_accuracy(restyle(ldm, twice, both, t_0, 3.0, dpmpp_2m_sample, draw), both)
share = {t_0: fact["style"].double().mean() for t_0, fact in facts.items()}
check_range("q6: the share of pictures with the new style, t_0 = 20: nearly nothing", share[20], 0.0, 0.2)
check_range("q6: the share of pictures with the new style, t_0 = 500,", share[500], 0.7, 1.0)
for fact in ("layout", "ground", "colour", "shape"):
    check_range(f"q6: the share with the old {fact}, t_0 = 500,", facts[500][fact].double().mean(), 0.9, 1.0)
asked = [WORDS[k] for k in got["y"][0] if k != tokenize.nothing]
print("The sampler was asked for:", " ".join(asked), "· from t =", got["start"], "· steps:", got["steps"])

# %% [markdown]
# ## 7 · Open question
#
# A team wants a latent diffusion model with $f = 8$ to repair blurred photographs of a car park, so that licence
# plates can be read in the repaired images. A plate is about 40 × 10 pixels large, a letter 5 × 8. What is lost, and
# in which part of the model? Someone proposes 200 sampling steps in place of 20: why will that not help? What would you
# measure in an afternoon, before anything is built or trained, and which question would that measurement leave open?
# Suppose the repaired letters look sharp: what does that prove? Five to ten sentences.
#
# *5 points: what is lost, and where 1, why more steps do not help 1, what sharp letters prove 1, the measurement 1,
# what it leaves open 1.*
#
# *Your answer:*
