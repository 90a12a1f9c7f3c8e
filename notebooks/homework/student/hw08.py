# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/student/hw08.ipynb)
#
# # Homework 08 · Latent diffusion
#
# Six exercises and one open question, about an hour and a half. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in. When it is graded, your functions are also asked about other numbers, shapes and seeds than in
# the checks, where there are no files and no network. Lines with `%` or `!`, and statements that fail there, are left
# out. `course homework check` judges in the same way, and names them.
#
# No function may change its inputs. Codes are maps $z$ of the shape (N, c, h, w), and the decoder turns each code
# cell into a block of $f \times f$ pixels.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_close, check_gradients, check_raises, check_range, check_shape
from course_utils.data import load_images
from course_utils.data.scenes import WORDS
from course_utils.diffusion import Step, dpmpp_2m_sample
from course_utils.features import scene_accuracy
from course_utils.latent import LatentDiffusion
from course_utils.nets import seeded
from course_utils.pretrained import load_pretrained
from course_utils.recipes import scene_tokenizer
from course_utils.viz import show_rows

test = load_images("scenes", "test", n=200)
codec, tokenize = load_pretrained("kl-autoencoder-scenes", "cpu"), scene_tokenizer()
ldm = load_pretrained("ldm-scenes", "cpu")

# %% [markdown]
# ## 1 · The scale that was forgotten
#
# Diffusion mixes codes with noise of variance 1, so codes are divided by their standard deviation first. Suppose that
# somebody forgot to. The codes are $s z$, where $z$ has variance 1 and $s$ is their standard deviation, and
#
# $$x_t = \sqrt{\bar\alpha_t}\; s z + \sqrt{1 - \bar\alpha_t}\; \varepsilon .$$
#
# The first layers of a network soon normalise what they are given, so what counts is $x_t$ divided by its own standard
# deviation. That is again a mixture of $z$ and $\varepsilon$ whose two variances add up to 1,
# $\sqrt{\bar\alpha'_t}\; z + \sqrt{1 - \bar\alpha'_t}\; \varepsilon$: the forgotten scale amounts to *another
# schedule*. Find $\bar\alpha'_t$ and write two functions. `alpha_bar`, of the shape (T + 1,), holds
# $\bar\alpha_0 = 1, \bar\alpha_1, \dots, \bar\alpha_T$.
#
# - `schedule_seen(alpha_bar, scale)` returns all $\bar\alpha'_t$, (T + 1,).
# - `share_above(alpha_bar, ratio)` returns the share of the times $t = 1, \dots, T$ at which the signal-to-noise ratio
#   $\bar\alpha_t / (1 - \bar\alpha_t)$ is larger than `ratio`: one number. Where $\bar\alpha_t = 1$ there is no
#   noise, and the ratio is larger than any number.
#
# <details><summary>Hint 1</summary>
#
# $z$ and $\varepsilon$ are independent. What is the variance of $x_t$, and which part of it is due to $z$?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Dividing by a number changes signal and noise alike. So $\bar\alpha'_t / (1 - \bar\alpha'_t)$, the ratio of the two
# variances, is that of $x_t$ as it stands. Solve this for $\bar\alpha'_t$. Multiply the fraction so that
# nothing is divided by 0 where $\bar\alpha_t = 1$.
#
# </details>


# %% key="q1"
def schedule_seen(alpha_bar: Tensor, scale: float) -> Tensor:
    raise NotImplementedError("q1: write your solution here")


def share_above(alpha_bar: Tensor, ratio: float) -> Tensor:
    raise NotImplementedError("q1: write your solution here")


# %% key="check-q1" tags=["check"]
# CHECK q1
bars = torch.tensor([1.0, 0.8, 0.5, 0.2, 0.0], dtype=torch.float64)
before = bars.clone()
check_shape("q1: schedule_seen(alpha_bar, 2.0)", schedule_seen(bars, 2.0), (5,))
check_close("q1: alpha_bar, after schedule_seen(...),", bars, before, hint="Do not change the input.")
check_close(
    "q1: schedule_seen if the scale was not forgotten, s = 1,",
    schedule_seen(bars, 1.0),
    bars,
    hint="Codes of variance 1 are what the schedule was made for.",
)
for s, seen in ((2.0, [1, 16 / 17, 4 / 5, 1 / 2, 0]), (0.5, [1, 1 / 2, 1 / 5, 1 / 17, 0])):
    check_close(
        f"q1: schedule_seen for alpha_bar = 1, 0.8, 0.5, 0.2, 0, s = {s},",
        schedule_seen(bars, s),
        torch.tensor(seen),
        hint="The share of z in the variance of x_t. Signal and noise of what is seen must add up to 1.",
    )
check_close(
    "q1: schedule_seen for s = 3 of schedule_seen for s = 2, compared with that for s = 6,",
    schedule_seen(schedule_seen(bars, 2.0), 3.0),
    schedule_seen(bars, 6.0),
)
draw = torch.Generator().manual_seed(0)
z, eps = torch.randn(2, 100_000, generator=draw, dtype=torch.float64)
for s in (5.0, 0.3):
    for t in (1, 2, 3):
        x_t = bars[t].sqrt() * s * z + (1 - bars[t]).sqrt() * eps
        check_close(
            f"q1: alpha_bar' for s = {s}, alpha_bar = {bars[t].item()}, against 100,000 drawn x_t,",
            schedule_seen(bars, s)[t],
            torch.corrcoef(torch.stack([x_t, z]))[0, 1] ** 2,
            tol=0.01,
            hint="It is the squared correlation of x_t and z.",
        )
some = torch.tensor([1.0, 0.9, 0.8, 0.5, 0.2], dtype=torch.float64)
check_shape("q1: share_above(alpha_bar, ratio)", share_above(some, 2.0), ())
for ratio, share in ((0.1, 1.0), (0.5, 0.75), (2.0, 0.5), (6.0, 0.25), (20.0, 0.0)):
    check_close(
        f"q1: the share of t = 1, …, 4 whose ratio 9, 4, 1, 0.25 is larger than {ratio}",
        share_above(some, ratio),
        share,
        hint="A share of the T times from 1 on, and the ratio of variances: alpha_bar / (1 - alpha_bar).",
    )
check_close(
    "q1: share_above for alpha_bar = 1, 1, 1, 0.5, ratio = 30,",
    share_above(torch.tensor([1.0, 1.0, 1.0, 0.5]), 30.0),
    2 / 3,
    hint="Without noise the ratio is larger than any number.",
)
betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
published = torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(dim=0)])
forgot = schedule_seen(published, 1 / 0.18215)
what = "q1: with Stable Diffusion's schedule, its scale forgotten:"
check_close(f"{what} alpha_bar' at T", forgot[-1], 0.1236, tol=0.005)
check_close(f"{what} the share of times whose ratio is above 10", share_above(forgot, 10.0), 0.52, tol=0.01)
print(
    "Stable Diffusion, the scale kept and forgotten: the correlation of x_T and z",
    [round(float(bars[-1] ** 0.5), 2) for bars in (published, forgot)],
    "· the share of times whose ratio is above 10",
    [round(float(share_above(bars, 10.0)), 2) for bars in (published, forgot)],
)

# %% [markdown]
# So two things go wrong. At $T$ much of the code is left, and the network learns to rely on it; but sampling starts
# from pure noise, in which there is none. And more than half of the times are spent on codes that are nearly clean,
# from which little can be learned.
#
# ## 2 · What the second stage learns from
#
# The autoencoder is trained first, and then frozen. In a step of the second stage it only turns images into codes;
# the diffusion model alone learns. Write the loss of that step.
#
# 1. `codec.posterior(x)` gives $\mu$ and $\log \sigma^2$ of the raw codes of the images `x` (N, C, H, W), both
#    (N, c, h, w). Draw raw codes from $N(\mu, \sigma^2)$, and divide them by `scale`, which was measured before.
# 2. The codec's weights may ask for gradients, but no gradient may reach them, and the codec is left as it is.
# 3. With probability `p` an image loses its *whole* sentence, each image independently of the others: all tokens of
#    its row in `y` (N, L) become `nothing`. (This is for guidance.)
# 4. Return `diffusion_loss(z, y)`, which is given: the diffusion model's loss for codes of variance 1 and their tokens.
#
# All randomness in 1 and 3 comes from the generator. (Stable Diffusion draws its codes like this. Our `ldm-scenes`
# learned from the means, as if $\sigma$ were 0.)
#
# <details><summary>Hint 1</summary>
#
# Inside `with torch.no_grad():` nothing is kept for gradients. What has to stand inside, and what must not?
#
# </details>
# <details><summary>Hint 2</summary>
#
# $\sigma = e^{\frac12 \log \sigma^2}$. And `torch.rand(n, 1, generator=generator) < p` has one truth for each row:
# `masked_fill` stretches it over the tokens.
#
# </details>


# %% key="q2"
def second_stage_loss(
    codec: nn.Module,
    scale: float,
    diffusion_loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    nothing: int,
    p: float,
    generator: torch.Generator,
) -> Tensor:
    raise NotImplementedError("q2: write your solution here")


# %% key="check-q2" tags=["check"]
# CHECK q2
class StandInCodec(nn.Module):
    """Halves the sides; mu is 6 × the image's mean, sigma is 3 in the first of two channels, 0.5 in the second."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(6.0))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.weight * F.avg_pool2d(x.mean(dim=1, keepdim=True), 2).expand(-1, 2, -1, -1)
        log_variance = 2 * torch.tensor([3.0, 0.5]).log().view(1, 2, 1, 1) + 0 * mu
        return mu, log_variance


class StandInLoss(nn.Module):
    """Remembers codes and tokens; the loss is its weight times the mean square of the codes."""

    def __init__(self):
        super().__init__()
        self.weight, self.z, self.y = nn.Parameter(torch.tensor(2.0)), [], []

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        self.z.append(z)
        self.y.append(y)
        return self.weight * z.square().mean()


halves = torch.ones(4000, 3, 4, 6) * torch.tensor([1.0, -0.5]).repeat(2000).view(-1, 1, 1, 1)
tokens = torch.arange(5).repeat(4000, 1)


def one_step(scale: float, p: float, seed: int) -> tuple[Tensor, StandInLoss, StandInCodec]:
    mine, frozen = StandInLoss(), StandInCodec()
    draw = torch.Generator().manual_seed(seed)
    value = second_stage_loss(frozen, scale, mine, halves, tokens, 77, p, draw)
    check_close("q2: how often diffusion_loss is asked", len(mine.z), 1)
    return value, mine, frozen


loss, mine, frozen = one_step(4.0, 0.2, 1)
check_shape("q2: second_stage_loss(...)", loss, ())
z, y = mine.z[0], mine.y[0]
check_shape("q2: the codes that diffusion_loss gets, for 4000 images of 4 × 6", z, (4000, 2, 2, 3))
hint = "(mu + sigma · noise) / scale: the noise is divided, too."
for scale in (4.0, 0.5):
    of = one_step(scale, 0.2, 2)[1].z[0]
    for which, mu in ((0, 6.0), (1, -3.0)):
        part = of[which::2]
        what = f"of the codes for mu = {mu}, sigma = 3 and 0.5, scale = {scale}"
        check_close(
            f"q2: scale × the mean {what}", scale * part.mean(dim=(0, 2, 3)), [mu, mu], tol=0.05, hint=hint
        )
        spread = scale * part.transpose(0, 1).flatten(1).std(dim=1)
        check_close(f"q2: scale × the standard deviation {what}", spread, [3.0, 0.5], tol=0.04, hint=hint)
within = 4 * z[:, 0].std(dim=(1, 2)).mean()
check_range(
    "q2: 4 × the standard deviation within one image, sigma = 3,",
    within,
    2.6,
    3.2,
    hint="Each number has noise of its own.",
)
apart = 4 * z[::2, 0, 0, 0].std()
check_close(
    "q2: 4 × the standard deviation from image to image, sigma = 3,",
    apart,
    3.0,
    tol=0.06,
    hint="Each image has noise of its own.",
)
assert not z.requires_grad, (
    "q2: the codes carry gradients on to the codec. Encode inside torch.no_grad(), or detach the codes."
)
(slope,) = check_gradients(
    "q2: the loss",
    loss,
    [mine.weight],
    hint="The diffusion model must learn: no .item(), and no no_grad around its loss.",
)
check_close("q2: the gradient of the diffusion model's weight", slope, z.square().mean(), tol=1e-3)
assert frozen.weight.grad is None, "q2: a gradient reached the codec's weight, or was computed in between."
check_close(
    "q2: whether the codec's weight still asks for gradients",
    frozen.weight.requires_grad,
    True,
    hint="Leave the codec as it was.",
)
check_close(
    "q2: the tokens y, after second_stage_loss(...),",
    tokens,
    torch.arange(5).repeat(4000, 1),
    hint="Work on a copy.",
)
check_shape("q2: the tokens that diffusion_loss gets", y, (4000, 5))
assert y.dtype == torch.int64, f"q2: diffusion_loss gets tokens of the type {y.dtype}, should be torch.int64."
gone, kept = (y == 77).all(dim=1), (y == tokens).all(dim=1)
hint = "A sentence is lost as a whole or not at all; its tokens become `nothing`."
check_close(
    "q2: the share of sentences that are lost as a whole or kept as a whole",
    (gone | kept).double().mean(),
    1.0,
    hint=hint,
)
hint = "Each sentence has a draw of its own, and is lost with probability p."
check_close("q2: the share of sentences lost for p = 0.2", gone.double().mean(), 0.2, tol=0.025, hint=hint)
for p, seed in ((0.0, 3), (1.0, 3)):
    lost = (one_step(4.0, p, seed)[1].y[0] == 77).double().mean()
    check_close(f"q2: the share of tokens lost for p = {p}", lost, p)
same, other = one_step(4.0, 0.2, 1)[1], one_step(4.0, 0.2, 9)[1]
hint = "Use the generator that is given for every draw."
check_close("q2: the codes with the same seed again", same.z[0], z, hint=hint)
check_close("q2: the tokens with the same seed again", same.y[0], y, hint=hint)
check_range(
    "q2: how far another seed moves the codes, on average,",
    (other.z[0] - z).abs().mean(),
    0.1,
    2.0,
    hint=hint,
)
differ = (other.y[0] != y).any(dim=1).double().mean()
check_range("q2: the share of sentences that another seed changes, p = 0.2,", differ, 0.2, 0.45, hint=hint)


class Larger(nn.Module):
    """The shipped autoencoder, if its raw codes were five times as large, and drawn with next to no noise."""

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, _ = codec.posterior(x)
        return 5 * mu, torch.full_like(mu, -20.0)


def shipped_loss(scale: float) -> Tensor:
    """The shipped diffusion model's loss on 100 scenes, with the codes of `Larger`."""

    def by_times(z: Tensor, y: Tensor) -> Tensor:
        return ldm.diffusion.loss(z, y, generator=torch.Generator().manual_seed(4))

    x, y, draw = test.x[:100], tokenize(test.captions[:100]), torch.Generator().manual_seed(3)
    with torch.no_grad():
        return second_stage_loss(Larger(), scale, by_times, x, y, tokenize.nothing, 0.1, draw)


right, raw = shipped_loss(5 * float(codec.scale)), shipped_loss(1.0)
check_range("q2: the loss of the shipped model, with codes divided by their scale,", right, 0.05, 0.3)
check_range("q2: how many times larger it is if the scale is forgotten, s = 4.4,", raw / right, 3.0, 1000.0)
print(
    "For mu = 6 and sigma = 3, mean and deviation of the codes times scale:",
    [round(float(4 * part)) for part in (z[::2, 0].mean(), z[::2, 0].std())],
)

# %% [markdown]
# ## 3 · Words that count more, and words that do not count
#
# A batch holds sentences of different lengths, and the short ones are padded, and the padding should not be
# looked at. And users of Stable Diffusion like to say that a word counts more than the others: `a (red:1.5) star`.
# One formula does both. In cross-attention each word $j$ gets a weight $w_j \ge 0$:
#
# $$a_j = \frac{w_j\, e^{q \cdot k_j / \sqrt d}}{\sum_i w_i\, e^{q \cdot k_i / \sqrt d}}, \qquad
# \text{taken} = \sum_j a_j v_j .$$
#
# With all $w_j = 1$ this is the usual attention. A word of weight 2 counts as if it stood in the sentence twice; a
# word of weight 0 as if it were not there. If *all* weights of a sentence are 0, nothing is taken: return zeros.
#
# `q` is (N, heads, places, d), `k` is (N, heads, words, d), `v` is (N, heads, words, d_v), and `weight` is (N,
# words). Return what is taken, (N, heads, places, d_v). Be careful: the numbers $q \cdot k_j / \sqrt d$ may reach
# some hundreds, and $e^{300}$ is no number any more in float32. That a weight is 0 does not make its word's $k_j$
# small.
#
# <details><summary>Hint 1</summary>
#
# $w\, e^a = e^{a + \log w}$. So weights can be *added* to the scores before a softmax. What is the logarithm of 0 in
# PyTorch, and what does `softmax` make of it?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `weight[:, None, None, :]` has the shape (N, 1, 1, words), to be stretched over heads and places. Where all scores
# are minus infinity, softmax gives NaN; `torch.where`, `masked_fill` or `nan_to_num` puts zeros there.
#
# </details>


# %% key="q3"
def attend(q: Tensor, k: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    raise NotImplementedError("q3: write your solution here")


# %% key="check-q3" tags=["check"]
# CHECK q3
draw = torch.Generator().manual_seed(2)
sizes = {"q": (2, 3, 6, 4), "k": (2, 3, 7, 4), "v": (2, 3, 7, 5)}
given = {name: torch.randn(size, generator=draw) for name, size in sizes.items()}
ones = torch.ones(2, 7)
check_shape(
    "q3: what is taken, for N = 2, 3 heads, 6 places, 7 words, d_v = 5,",
    attend(**given, weight=ones),
    (2, 3, 6, 5),
)
# One place, two words, d = 4: q · k₁ / √4 = log 3 and q · k₂ = 0. The values are such that the weights a are taken.
q_1, k_2 = torch.ones(1, 1, 1, 4), torch.tensor([[math.log(3) / 2] * 4, [0.0] * 4]).view(1, 1, 2, 4)
a_of = torch.eye(2).view(1, 1, 2, 2)
for pair, odds in (((1.0, 1.0), (3, 1)), ((2.0, 1.0), (6, 1)), ((1.0, 3.0), (1, 1)), ((0.5, 0.0), (1, 0))):
    check_close(
        f"q3: a of two words whose exponentials are 3 and 1, with the weights {pair[0]} and {pair[1]}:",
        attend(q_1, k_2, a_of, torch.tensor([pair]))[0, 0, 0],
        torch.tensor(odds) / sum(odds),
        hint="Divide q · k by √d, here 2. Each weight multiplies its own exponential, above and below.",
    )
usual = F.scaled_dot_product_attention(**dict(zip(("query", "key", "value"), given.values(), strict=True)))
check_close(
    "q3: what is taken with all weights 1, against PyTorch's own,",
    attend(**given, weight=ones),
    usual,
    tol=1e-3,
)
weight = torch.rand(2, 7, generator=draw) * 3 + 0.1
weighted, before = attend(**given, weight=weight), weight.clone()
check_close("q3: `weight`, after attend(...),", weight, before, hint="Do not change the input.")
check_close(
    "q3: what is taken if all weights are ten times as large",
    attend(**given, weight=10 * weight),
    weighted,
    tol=1e-3,
    hint="Only the ratios of the weights matter: the sum below the line has them, too.",
)
twice = torch.tensor([0, 1, 2, 2, 3, 4, 5, 6])
doubled = torch.tensor([1.0, 1, 2, 1, 1, 1, 1]).repeat(2, 1)
by_hand = F.scaled_dot_product_attention(given["q"], given["k"][:, :, twice], given["v"][:, :, twice])
check_close(
    "q3: what is taken if the third word has weight 2, compared with saying it twice,",
    attend(**given, weight=doubled),
    by_hand,
    tol=1e-3,
)
for n, length in ((0, 3), (1, 5)):  # sentences of 3 and of 5 words
    padded = (torch.arange(7) < torch.tensor([[3], [5]])).float()
    short = {name: x[n : n + 1] if name == "q" else x[n : n + 1, :, :length] for name, x in given.items()}
    check_close(
        f"q3: what sentence {n + 1} takes, with {7 - length} words of weight 0, compared with leaving them out,",
        attend(**given, weight=padded)[n],
        F.scaled_dot_product_attention(short["q"], short["k"], short["v"])[0],
        tol=1e-3,
        hint="Each sentence has weights of its own; a word of weight 0 must not count in the sum below the line.",
    )
loud = {**given, "q": torch.full((2, 3, 6, 4), 1.0), "k": given["k"].clone()}
loud["k"][:, :, :4] += 150  # q · k / √d is about 300 for the first four words
check_close(
    "q3: what is taken if q · k / √d is about 300 for some words, all weights 1,",
    attend(**loud, weight=ones),
    F.scaled_dot_product_attention(loud["q"], loud["k"], loud["v"]),
    tol=1e-3,
    hint="e^300 is infinite in float32. Let softmax do it, which takes out the largest number first.",
)
quiet = torch.tensor([0.0, 0, 0, 0, 1, 1, 1]).repeat(2, 1)
check_close(
    "q3: what is taken if q · k / √d is about 300 for words of weight 0 only",
    attend(**loud, weight=quiet),
    F.scaled_dot_product_attention(loud["q"], loud["k"][:, :, 4:], loud["v"][:, :, 4:]),
    tol=1e-3,
    hint="The weights must go in before the softmax: after it the others are already rounded to 0.",
)
half = torch.stack([torch.zeros(7), weight[1]])
check_close(
    "q3: what sentence 1 takes if all its weights are 0",
    attend(**given, weight=half)[0],
    torch.zeros(3, 6, 5),
    hint="Nothing is taken: zeros.",
)
check_close(
    "q3: what sentence 2 takes if all weights of sentence 1 are 0",
    attend(**given, weight=half)[1],
    weighted[1],
    tol=1e-3,
)
a = attend(q_1, k_2, a_of, torch.tensor([[1.5, 1.0]]))[0, 0, 0]
print("Two words that are heard 3 to 1, the first with weight 1.5:", [round(x, 2) for x in a.tolist()])

# %% [markdown]
# ## 4 · A picture too large for the decoder
#
# A diffusion model may draw codes of a picture so large that the decoder runs out of memory: its maps are at full
# size and have many channels. So the codes are decoded in tiles. Tiles that are simply put side by side show seams,
# since a convolution needs to see beyond the tile's edge. The remedy: decode each tile together with a margin of
# cells around it, and cut the margin off the decoded pixels.
#
# Write `decode_in_tiles`. `decode` turns codes (n, c, h, w) of any height and width into pixels (n, C, f · h, f · w).
# Split the map into tiles of `tile` × `tile` cells; the last ones may be smaller. Decode each with up to `margin`
# more cells on each of its four sides: only cells that exist, none are made up beyond the edge of the map. Return the
# whole picture. `decode` must never be given more than `tile` + 2 · `margin` cells side by side.
#
# <details><summary>Hint 1</summary>
#
# For a tile that starts in row `top`, the rows given to `decode` start at `max(top - margin, 0)`: a negative number
# in a slice would count from the end. A slice that ends beyond the map is cut by Python itself.
#
# </details>
# <details><summary>Hint 2</summary>
#
# How many cells of margin stand above the tile: `margin`, or fewer at the upper edge? Their pixels are f times as
# many. `torch.cat(rows, dim=2)` puts pictures one below the other, `dim=3` side by side.
#
# </details>


# %% key="q4"
def decode_in_tiles(decode: Callable[[Tensor], Tensor], z: Tensor, f: int, tile: int, margin: int) -> Tensor:
    raise NotImplementedError("q4: write your solution here")


# %% key="check-q4" tags=["check"]
# CHECK q4
class Painter(nn.Module):
    """A decoder of convolutions that sees two cells in each direction, and remembers the sides of what it is given."""

    def __init__(self, f: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.SiLU(), nn.ConvTranspose2d(6, 6, f, stride=f), nn.SiLU(),
            nn.Conv2d(6, 3, 3, padding=1),
        )  # fmt: skip
        self.sides = []

    def forward(self, z: Tensor) -> Tensor:
        self.sides += z.shape[2:]
        return 3 * self.layers(z)


draw = torch.Generator().manual_seed(5)
with torch.no_grad(), seeded(0):
    for f, height, width, tile, margin in (
        (2, 12, 20, 4, 2), (3, 20, 12, 4, 2), (2, 12, 13, 5, 2), (1, 9, 7, 3, 3), (4, 6, 10, 2, 4), (2, 5, 6, 8, 2)
    ):  # fmt: skip
        painter, z = Painter(f), torch.randn(2, 2, height, width, generator=draw)
        whole, before = painter(z), z.clone()
        painter.sides = []
        case = f"q4: {height} × {width} cells, f = {f}, tiles of {tile} with a margin of {margin}:"
        got = decode_in_tiles(painter, z, f, tile, margin)
        hint = f"Each cell gives {f} × {f} pixels; the margins are cut off, and the last tiles are kept."
        check_shape(f"{case} the picture", got, (2, 3, f * height, f * width), hint=hint)
        hint = "At most `tile` cells, and `margin` more on either side."
        check_range(
            f"{case} the cells side by side given to decode", painter.sides, 1, tile + 2 * margin, hint=hint
        )
        hint = "Where is the tile's first pixel? Beyond the map's own edge decode must be given nothing."
        check_close(
            f"{case} the picture, compared with decoding it at once,", got, whole, tol=1e-3, hint=hint
        )
        check_close(f"{case} the codes z, afterwards,", z, before, hint="Do not change the input.")
    painter, z = Painter(2), torch.randn(1, 2, 8, 12, generator=draw)
    blocks = [torch.cat([painter(part) for part in row.split(4, dim=3)], dim=3) for row in z.split(4, dim=2)]
    got = decode_in_tiles(painter, z, 2, 4, 0)
    check_close(
        "q4: with margin 0, compared with tiles put side by side,",
        got,
        torch.cat(blocks, dim=2),
        tol=1e-3,
        hint="Use the margin that is given.",
    )
    # 24 scenes side by side in four large pictures, for the shipped decoder
    large = test.x[:24].view(4, 2, 3, 3, 64, 64).permute(0, 3, 1, 4, 2, 5).reshape(4, 3, 128, 192)
    z, wrong = codec.encode(large), {}
    for margin in (0, 2, 8):
        tiled = decode_in_tiles(codec.decode, z, 4, 16, margin)
        wrong[margin] = float((tiled - codec.decode(z)).square().mean().sqrt())
check_range(
    "q4: the shipped decoder, the mean error of tiles of 16 with margin 0 or 2,",
    [wrong[0], wrong[2]],
    0.02,
    0.1,
)
check_range(
    "q4: the shipped decoder, the same with margin 8, as a share of that with margin 0,",
    wrong[8] / wrong[0],
    0.2,
    0.9,
)
print(
    "The shipped decoder in tiles of 16, error by margin:", {m: round(error, 2) for m, error in wrong.items()}
)

# %% [markdown]
# With the convolutions of the check, tiles are exact as soon as the margin is as wide as the decoder sees. With the
# shipped decoder they become better but never exact: its group normalisation divides by the spread of the *whole* map
# it is given, so each tile is normalised a little differently. Programs that decode large pictures in tiles blend the
# overlaps, so that such differences do not show as seams.

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
    raise NotImplementedError("q5: write your solution here")


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
    raise NotImplementedError("q6: write your solution here")


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
    check_range(
        f"q6: the share with the {fact} that the sentence names, t_0 = 500,",
        facts[500][fact].double().mean(),
        0.9,
        1.0,
    )
asked = [WORDS[k] for k in got["y"][0] if k != tokenize.nothing]
print("The sampler was asked for:", " ".join(asked), "· from t =", got["start"], "· steps:", got["steps"])

# %% [markdown]
# ## 7 · Open question
#
# A team wants a latent diffusion model with $f = 8$ to repair blurred photographs of a car park, so that licence
# plates can be read in the repaired images. In a sharp photograph a plate is about 40 × 10 pixels, a letter 5 × 8.
# Which part of the model sets a limit here, and why? Someone proposes 200 sampling steps in place of 20: would that
# help? What would you measure in an afternoon, before anything is trained, and which question would that measurement
# leave open? Suppose in the end that the repaired letters look sharp: what would you tell a court that asks whether
# they are right? Five to ten sentences.
#
# *5 points.*
#
# *Your answer:*
