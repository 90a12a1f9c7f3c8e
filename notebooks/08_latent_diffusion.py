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
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/08_latent_diffusion.ipynb)
#
# # 08 · Latent diffusion
#
# 잠재 확산 모델
#
# A painter does not begin with the pores of the skin. First comes a sketch: where things are, what they are, which
# colour they have. The pores are routine, and come last. **Latent diffusion** (잠재 확산 모델) works in a similar way.
# An autoencoder learns the routine once: it squeezes an image into a small map of codes, and paints the image back
# from them. Diffusion, the costly part, then only has to invent the sketch.
#
# Stable Diffusion is built this way. In this notebook we take it apart and build all of its parts on a small scale: an
# autoencoder, a U-Net, a text encoder, and the **cross-attention** (교차 어텐션) that joins words and image. In section 6
# you type a sentence and get a picture.
#
# After this notebook you can
#
# 1. say which part of Stable Diffusion does what, and show each of them at work;
# 2. measure what compression gains, and what it costs;
# 3. write cross-attention down, and draw where the network looks for each word;
# 4. steer with prompts, guidance and negative prompts, and say where the model fails;
# 5. change the style of a picture and keep its layout.
#
# Marks such as (L1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the notebook
# if what the text claims does not hold. It runs on a plain laptop without a GPU in less than five minutes and
# needs no network. You need notebook 07, above all DDPM, guidance and the samplers; and the KL term of notebook 04.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch

from course_utils.data import load_images, scenes
from course_utils.features import scene_accuracy
from course_utils.progress import counted
from course_utils.viz import show_images, show_rows, table

# %% [markdown]
# ## 1 · A small world that can be described
#
# Text to image needs pictures with captions, and our digits have none. So we draw our own world: one or two objects on
# a coloured ground, 64 × 64 pixels in colour. Each picture comes with a sentence.

# %%
train, test = load_images("scenes", "train", n=4000), load_images("scenes", "test", n=1000)
is_alone = test.attributes["place"] >= 0  # scenes of one object

# %% alt="Eight scenes of coloured shapes, each under its sentence, such as “a purple circle below an outlined yellow square on blue”." slide="A small world that can be described: each picture has its sentence" slide_points="Top left: “a purple circle below an outlined yellow square on blue”"
fig, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
for ax, x, caption in zip(axes.flat, test.x, test.captions, strict=False):
    ax.imshow((x.movedim(0, 2) + 1) / 2)
    ax.set_title(fill(caption, 30), fontsize=8)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# Five shapes, six colours, two sizes and three styles; nine places for a single object, four relations between two; and
# a ground of a colour that no object has. "Large" and "filled" are the default and go without saying. How many
# sentences does that make? And where exactly an object lies is drawn anew each time, so that even the same sentence
# does not mean the same picture.

# %% tags=["L2-world"]
kinds = len(scenes.SHAPES) * len(scenes.SIZES) * len(scenes.STYLES)  # of objects of one colour
colours, places, relations = len(scenes.COLOURS), len(scenes.PLACES), len(scenes.RELATIONS)
one = colours * kinds * places * (colours - 1)
alike = colours * kinds**2 * relations * (colours - 1)  # two objects of the same colour
unlike = colours * (colours - 1) * kinds**2 * relations * (colours - 2)
assert (one, alike + unlike) == (8100, 540_000)
assert len(set(train.captions)) < len(train)  # sentences come twice
assert len({x.numpy().tobytes() for x in train.x}) == len(train)  # pictures do not
print(f"{one:,} sentences about one object, {alike + unlike:,} about two.")

# %% [markdown]
# Since we know everything about these pictures, we can *measure* whether a generated one is what its caption says. A
# small classifier, the **reader**, was trained to recognise the facts of a scene. `scene_accuracy` lets it read an
# image and compares each fact with the caption. (`layout` is the place of one object or the relation of two; `all` says
# whether everything is right.)
#
# A judge must be checked before it judges: does it read real scenes right? And how often would a picture fit a caption
# by luck? To see the **chance level** (우연 수준), we judge each picture by the captions of nineteen others.

# %%
from course_utils.nets import over_batches
from course_utils.pretrained import load_pretrained

reader = load_pretrained("scene-reader", "cpu")


# %%
def judge(x: torch.Tensor, captions: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """The share of images in which a fact is right; and the same by chance, with the captions of 19 others."""
    read, asked = over_batches(reader.read, x, 200), scenes.reading(scenes.parse(captions))
    own = scenes.agreement(read, asked)
    others = [scenes.agreement(read, asked.roll(k, dims=0)) for k in range(1, 20)]
    luck = {fact: torch.stack([each[fact] for each in others]) for fact in own}
    return tuple({fact: right.double().mean().item() for fact, right in each.items()} for each in (own, luck))


# %% tags=["L2-reader", "nbval-ignore-output"] slide="The reader gets practically every fact right; another's caption almost never fits"
right, luck = judge(test.x, test.captions)
own = {fact: each.double().mean().item() for fact, each in scene_accuracy(test.x, test.captions).items()}
assert own == right  # our own count is that of `scene_accuracy`
assert min(right.values()) > 0.99
assert luck["all"] < 0.01
assert max(luck.values()) < 0.35
table(["captions", *right], [["its own", *right.values()], ["of 19 others", *luck.values()]])

# %% [markdown]
# In real scenes practically every fact is read right. By luck a single fact is right in at most about one picture in
# three, and all of them together almost never. We shall need the second row as soon as a model draws badly.
#
# One more thing. Five pairs of shape and colour are **held out**: the training scenes have no red star, no green
# circle, no yellow square, no purple triangle and no blue cross. They do have stars, and red things. Whether a model
# can combine things that it has only seen separately is a question for section 7.

# %% tags=["L2-unseen"]
held_out = {(f"{colour}", f"{shape}") for shape, colour in scenes.HELD_OUT}
said = " ".join(train.captions)
assert not any(f"{colour} {shape}" in said for colour, shape in held_out)
for colour, shape in held_out:  # but things of the colour, and the shape
    assert any(f"{colour} {other}" in said for other in scenes.SHAPES)
    assert f" {shape}" in said
print("Never in training:", ", ".join(" ".join(pair) for pair in sorted(held_out)))

# %% [markdown] slide="First stage: a small map of codes, and the loss of a VAE with two changes" slide_formulas=[1] slide_points="$f = 4$: 64 × 64 pixels become 16 × 16 places of 4 numbers each | $\\beta$ is tiny: it only keeps the codes from growing without bound | $P$ compares through the eyes of a trained network"
# ## 2 · First stage: compress (L1)
#
# The autoencoder of latent diffusion has another kind of code than those of notebooks 03 and 04: not a vector but a
# small *map*. The encoder halves the sides of the image $\log_2 f$ times. With the factor $f = 4$, an image of 64 × 64
# pixels in 3 colours becomes a map of 16 × 16 places with 4 numbers each: 1,024 numbers instead of 12,288. Each number
# still knows where in the image it belongs.
#
# Its loss is that of a VAE, with two changes:
#
# $$L = \lVert \hat x - x \rVert^2 + \lambda \, P(\hat x, x) + \beta \, \mathrm{KL}\big(q(z \mid x) \,\Vert\, N(0, I)\big),
# \qquad \hat x = \mathrm{decode}(z),\; z \sim q(z \mid x).$$
#
# Here $x$ is the image, $z$ its code, $\hat x$ the image painted from the code, and $q(z \mid x)$ the normal
# distribution that the encoder gives.
#
# First, $\beta$ is tiny: 0.001, where the squared error and the KL term are sums over the image. The KL term does not
# make the codes *normal*, as in notebook 04: it only keeps them from growing without bound. The noise in $z$ is there
# so that neighbouring codes decode to similar images. Turning normal random numbers into codes is left to diffusion.
#
# Second, $P$ is a **perceptual distance** (지각적 거리), here with the weight $\lambda = 100$: the images are also compared
# through the eyes of a trained network, here the reader, so that an edge in its place counts more than the exact shade.
# (The autoencoder of Stable Diffusion was also trained against a GAN's discriminator.) After training we take the mean
# of $q(z \mid x)$ as the code.
#
# Training took 15 minutes on two cores. We load the result, and a second autoencoder with $f = 8$.

# %% alt="Seven scenes, and what comes back from codes with f = 4 and f = 8. At this size no difference can be seen." slide="With 12 or 48 times fewer numbers hardly any difference can be seen"
codecs = {
    4: load_pretrained("kl-autoencoder-scenes", "cpu"),
    8: load_pretrained("kl-autoencoder-f8-scenes", "cpu"),
}
with torch.no_grad():
    codes = {f: codec.encode(test.x[:300]) for f, codec in counted(codecs.items(), "codecs, encoding")}
    decoded = {f: codecs[f].decode(z).clamp(-1, 1) for f, z in counted(codes.items(), "codecs, decoding")}
show_rows({"image": test.x[:7], "f = 4": decoded[4][:7], "f = 8": decoded[8][:7]}, scale=0.7)

# %% [markdown]
# At this size you will hardly find a difference. So enlarge: each column below is a crop of 20 × 20 pixels around a
# small striped or outlined object, every pixel drawn as a square. The rows of errors show three times the difference
# from the image; grey means no error.

# %%
thin = ("a small striped", "a small outlined")
detailed = [i for i, caption in enumerate(test.captions[:300]) if caption.startswith(thin)][:6]


# %%
def crop(x: torch.Tensor) -> torch.Tensor:  # 20 × 20 pixels around the first object of each
    middle = (32 * test.attributes["centre"][detailed, 0] + 32).round().long().clamp(10, 54)
    corners = zip(detailed, (middle - 10).tolist(), strict=True)
    return torch.stack([x[i, :, top : top + 20, left : left + 20] for i, (left, top) in corners])


# %% alt="Enlarged pieces of scenes and their reconstructions, with three times the error. With f = 4 errors are faint; with f = 8 contours are blurred; both err along lines and stripes." slide="Enlarged, the errors show: they lie along lines and stripes" slide_points="From above: image, $f = 4$, 3 × its error, $f = 8$, 3 × its error | About one pixel in seven lies on an edge or beside one; about nine tenths of the squared error lie there"
rows = {"image": crop(test.x), "f = 4": crop(decoded[4]), "f = 8": crop(decoded[8])}
error = {f: (3 * (rows[f"f = {f}"] - rows["image"])).clamp(-1, 1) for f in codecs}
show_rows(
    {
        "image": rows["image"],
        "f = 4": rows["f = 4"],
        "3 × its error": error[4],
        "f = 8": rows["f = 8"],
        "3 × its error ": error[8],
    },
    scale=1.25,
)

# %% [markdown]
# Now the difference shows. With $f = 4$ single pixels on the contours have another shade. With $f = 8$, which keeps
# only 256 numbers of an image, contours are blurred and thin lines lose some of their colour. The errors are
# strongest along lines and stripes, and weak on the flat ground around.
#
# Can that be said in numbers? Call a pixel an *edge* if not all of the 3 × 3 pixels around it have the same colour. How
# much of the image is edge, or one pixel beside it, and how much of the squared error lies there?

# %%
from torch.nn.functional import max_pool2d

x = test.x[:300]
spread = max_pool2d(x, 3, 1, 1) + max_pool2d(-x, 3, 1, 1)  # largest minus smallest of 3 × 3 pixels
edge = max_pool2d((spread.amax(dim=1, keepdim=True) > 0.1).float(), 3, 1, 1)[:, 0]
squared = {f: (x_hat - x).square().sum(dim=1) for f, x_hat in decoded.items()}

# %% tags=["L1-edges", "nbval-ignore-output"]
there = {f: ((each * edge).sum() / each.sum()).item() for f, each in squared.items()}
share_of_edges = edge.mean().item()
assert share_of_edges < 0.17  # one pixel in seven
assert min(there.values()) > 0.88
table(["", "edges and beside"], [["of the pixels", share_of_edges],
      *[[f"of the squared error, f = {f}", share] for f, share in there.items()]])  # fmt: skip

# %% [markdown]
# One pixel in seven is on an edge or beside one, and there lies nine tenths of the error: in the **fine detail**.
#
# What does a code look like? Here are the four channels of one image. You can recognise the picture: a code map is a
# small, strange picture. That is why a U-Net, made for pictures, can work on it. The histogram on the right holds all
# codes of 300 images.

# %% alt="A scene and the four channels of its code, small maps in which its shapes can be made out; and a histogram of all codes, centred at 0." slide="The four channels of a code: a small, strange picture of the scene" slide_points="That is why a U-Net, made for pictures, can work on it | Divided by their standard deviation, codes are about as large as the noise"
fig, axes = plt.subplots(1, 6, figsize=(11, 1.9), layout="constrained")
axes[0].imshow((test.x[1].movedim(0, 2) + 1) / 2)
axes[0].set_title("image", fontsize=9)
for k in range(4):
    axes[k + 1].imshow(codes[4][1, k], cmap="gray")
    axes[k + 1].set_title(f"channel {k + 1}", fontsize=9)
axes[5].hist(codes[4].flatten().numpy(), bins=60, color="0.5")
axes[5].set(title="all codes", xlabel="value", ylabel="how many")
for ax in axes[:5]:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# `encode` divides the codes by their standard deviation, which was measured once after training. Diffusion mixes them
# with noise of variance 1, so they should be about as large. (Stable Diffusion 1 multiplies by one over this number,
# 0.18215, which is called `scaling_factor`.)

# %% tags=["L1"]
for f, z in codes.items():
    assert z.shape[1:] == (4, 64 // f, 64 // f)
    assert 0.9 < z.std() < 1.1
    survived, _ = judge(decoded[f], test.captions[:300])
    assert survived["all"] > 0.97
print("12 and 48 times fewer numbers, of variance about 1; and what the pictures say has survived.")

# %% [markdown]
# ## 3 · What it costs (L3)
#
# The diffusion model only invents codes; it is the decoder that paints them. *No image can be better than the
# autoencoder can paint.* How good is that? Four measures of what is lost:
#
# - the squared error, as **PSNR** (최대 신호 대 잡음비) in decibels, $10 \log_{10} (2^2 / \text{mean squared error})$; the
#   2 is the range of our pixels, from −1 to 1;
# - *detail kept*: the energy of the fine detail (what a slight blur takes away), divided by that of the real images;
# - *detail error*: the energy of the fine detail of the *error*, divided by that of the real images (what is missing
#   counts here as well as what is wrong);
# - FID of notebook 02, in the features of the reader: between the decoded images and the very same images. (The reader
#   was in the loss of the autoencoders, so this measure favours them; the other three do not know it.)

# %%
from course_utils.metrics import fid
from course_utils.nets import blur


# %%
def detail(x: torch.Tensor) -> torch.Tensor:  # the energy of what a blur of one pixel takes away
    return (x - blur(x, 1.0)).square().mean()


def psnr(x_hat: torch.Tensor, x: torch.Tensor) -> float:
    return 10 * torch.log10(4 / (x_hat - x).square().mean()).item()


def measures(x_hat: torch.Tensor, x: torch.Tensor) -> list[float]:  # PSNR, detail kept, detail error, FID
    kept, wrong = detail(x_hat) / detail(x), detail(x_hat - x) / detail(x)
    real, fake = over_batches(reader.features, x), over_batches(reader.features, x_hat)
    return [psnr(x_hat, x), kept.item(), wrong.item(), fid(real=real, fake=fake)]


# %% [markdown]
# What would an obvious way of squeezing an image lose? As a baseline we shrink the images to 1,024 numbers as well, by
# averaging pixels, and enlarge them again: 18 × 18 pixels in 3 colours are 972 numbers, the 16 × 16 × 4 codes of
# $f = 4$ are 1,024.

# %%
from torch.nn.functional import interpolate


def shrunk(x: torch.Tensor) -> torch.Tensor:  # to 18 × 18 pixels, and back
    return interpolate(interpolate(x, size=18, mode="area"), size=64, mode="bicubic").clamp(-1, 1)


x = test.x[:300]
worn = {"f = 4": decoded[4], "f = 8": decoded[8], "shrunk": shrunk(x)}
cost = {name: measures(each, x) for name, each in counted(worn.items(), "ways measured")}

# %% tags=["L3", "nbval-ignore-output"] slide="Some fine detail is lost; merely shrinking the image loses nearly all of it"
(psnr_4, kept_4, wrong_4, fid_4), (psnr_8, kept_8, wrong_8, fid_8), (psnr_0, kept_0, wrong_0, fid_0) = (
    cost.values()
)
assert psnr_8 < psnr_4 - 2
assert 0.75 < kept_4 < 0.82  # about a fifth is gone
assert 0.62 < kept_8 < 0.70  # about a third
assert 0.1 < wrong_4 < wrong_8
assert 0 < fid_4 < fid_8
assert psnr_0 < psnr_8 - 2
assert wrong_0 > wrong_8
assert fid_0 > fid_8
assert kept_0 < 0.05
numbers = {"real images": 12288, "f = 4": 1024, "f = 8": 256, "shrunk": 972}
cost = {"real images": [float("inf"), 1.0, 0.0, 0.0]} | cost
table(["", "numbers per image", "PSNR, dB ↑", "detail kept", "detail error ↓", "FID ↓"],
      [[name, numbers[name], *values] for name, values in cost.items()])  # fmt: skip

# %% [markdown]
# With $f = 4$ about a fifth of the energy of the fine detail is gone, with $f = 8$ about a third, and the error holds
# more than a tenth as much fine detail as the image. Merely shrinking the picture, to nearly as many numbers as $f = 4$
# keeps, leaves next to nothing of the detail, and is worse in every measure even than $f = 8$ with its 256 numbers.
#
# Both autoencoders give good pictures all the same: the reader still reads practically every fact in them (section 2).
# That is the bargain of latent diffusion. What the picture *says* survives a compression by 12 or by 48; what is lost
# can hardly be seen unless it is enlarged. In our world that is fine. If you need small print, or a face in a crowd,
# you will run into this bound, however good the diffusion model is.
#
# One doubt remains. Perhaps only the encoder is clumsy, and the decoder *could* paint these images if it were given
# better codes? For eight of them we look for better codes ourselves, by gradient descent on the squared error: 30
# steps, starting from the encoder's code. What is left then is about what this decoder cannot paint.

# %%
x, errors = test.x[:8], {f: [] for f in codecs}
for f, codec in codecs.items():
    z = codes[f][:8].clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=0.05)
    for _ in counted(range(31), f"f = {f}, steps"):
        loss = (codec.decode(z) - x).square().mean()
        errors[f].append(loss.item())
        adam.zero_grad()
        loss.backward()
        adam.step()

# %% tags=["L3-bound", "nbval-ignore-output"] slide="Even with the best codes that we find, most of the error stays" slide_points="30 steps of gradient descent on the codes of eight images | The last ten gain next to nothing: as far as this search can tell, the rest is the decoder's | What the decoder cannot paint, no diffusion model in front of it can mend"
left = {f: each[-1] / each[0] for f, each in errors.items()}
lately = {f: each[-1] / each[-11] for f, each in errors.items()}
assert max(left.values()) < 0.95  # better codes help a little
assert min(left.values()) > 0.6  # most of the error stays
assert min(lately.values()) > 0.97  # and the last ten steps gain next to nothing
table(["", "squared error left", "the last ten steps: times"],
      [[f"f = {f}", left[f], lately[f]] for f in codecs])  # fmt: skip

# %% [markdown]
# The better codes remove between a quarter and a third of the squared error, and the descent has all but stopped. The
# rest, as far as this search can tell, is the decoder's: no diffusion model in front of it can help.
#
# ### Two photographs (L3)
#
# Twelve times fewer numbers, and hardly anything lost: how is that possible? Because this autoencoder knows its world.
# Its images hold six colours, flat areas and sharp contours, and it need not be able to paint anything else. So let us
# send it what it has never seen: two photographs, reduced to 64 × 64 pixels. (They come with scikit-learn: a pavilion
# by danielbuechele and a dahlia by vultilion, both CC BY 2.0.) Below them stand what the two autoencoders make of them,
# and the baseline.

# %% alt="Two photographs, a temple and a flower, and what comes back: with f = 4 and f = 8 the colours are wrong and detail is lost; merely shrunk and enlarged they are blurred, with the right colours." slide="On two photographs it fails: this autoencoder knows only its own world" slide_points="From above: photographs, $f = 4$, $f = 8$, merely shrunk | Contours survive; whatever is dark turns green | On scenes far better than shrinking, here far worse"
from sklearn.datasets import load_sample_images

square = [torch.from_numpy(photo[:, 106:533].copy()).movedim(2, 0) for photo in load_sample_images().images]
photos = interpolate(torch.stack(square).float() / 127.5 - 1, size=64, mode="area")
repainted = {"photographs": photos}
for f, codec in codecs.items():
    repainted[f"f = {f}"] = over_batches(codec, photos).clamp(-1, 1)
repainted["shrunk"] = shrunk(photos)
show_rows(repainted, scale=1.6)

# %% tags=["L3-photographs", "nbval-ignore-output"]
psnr_of = {
    name: [psnr(x_hat, photo) for x_hat, photo in zip(x, photos, strict=True)]
    for name, x in repainted.items()
    if name != "photographs"
}
assert max(psnr_of["f = 4"] + psnr_of["f = 8"]) < psnr_4 - 10  # much worse than scenes
for k in range(2):  # and worse than shrinking, which knows nothing of any world
    assert max(psnr_of["f = 4"][k], psnr_of["f = 8"][k]) < psnr_of["shrunk"][k] - 3
table(["PSNR, dB ↑", "pavilion", "dahlia"], [[name, *each] for name, each in psnr_of.items()])

# %% [markdown]
# Contours survive, but the sky behind the pavilion has lost its blue, and whatever is dark turns green: of the six
# colours green is the one nearest to black. On scenes the autoencoder was far better than shrinking; on these
# photographs it is far worse. An autoencoder compresses by *learning what images are like*, and beyond that it fails.
# That of Stable Diffusion was trained on photographs, and on very many of them.
#
# ### Try it: what gets lost (L3)
#
# Choose an image and move the slider between the image itself and the two factors. Where is the error? Compare flat
# ground, outlines and stripes. Why does one lose so much more than another?

# %% slide="Where is the error?"
from course_utils.explorers import Choice, Explorer, Panel, Readout, Slider

close = torch.stack([crop(test.x), crop(decoded[4]), crop(decoded[8])], dim=1)  # (image, decoded from, …)
whole = torch.stack([test.x[detailed], decoded[4][detailed], decoded[8][detailed]], dim=1)
wrong = (3 * (close - close[:, :1])).clamp(-1, 1)
by = ("image", "decoded from")
Explorer(
    [Choice("image", [str(k + 1) for k in range(len(detailed))], test.x[detailed]),
     Slider("decoded from", ["the image itself", "f = 4", "f = 8"])],
    [Panel("whole", whole, by), Panel("enlarged", close, by), Panel("3 × its error", wrong, by)],
    [Readout("numbers", [12288, 1024, 256], ("decoded from",)),
     Readout("squared error", (whole - whole[:, :1]).square().mean(dim=(2, 3, 4)), by)],
    title="What gets lost",
    hint="Try: move from the image to the two factors. Where is the error?", index=[0, 2], jpeg=80,
)  # fmt: skip

# %% [markdown] slide="Second stage: the same diffusion, on codes; there is nothing new to write" slide_points="Encode the training scenes, once | Train the diffusion model of lecture 7 on the codes: 4 channels instead of 3 | Draw codes, in many steps on a small map | Decode, once per image: the pixels are paid for only here"
# <details><summary>What you should have seen</summary>
#
# A flat area is one colour, whatever its size: a few numbers say it. An outline must be in its place to the pixel, and
# a stripe twice within a few pixels; one place of the code map stands for $f \times f$ pixels and has four numbers for
# all that happens in them. So the error gathers at the lines: nine tenths of it, as section 2 has counted.
#
# </details>
#
# ## 4 · Second stage: the same diffusion, on codes (L1, L2)
#
# Now the surprise: there is nothing new to write. `DiffusionModel` of notebook 07 does not care whether its "images"
# have 3 channels of colour or 4 of codes. Encode the training scenes once, train on the codes, sample codes, decode.
#
# ### What one step costs (L2)
#
# What does that buy? First the price of a single step of training. `text_diffusion` builds our model for any map: the
# U-Net and the text encoder, which section 5 explains. We take one image of 64, of 128 and of 256 pixels a side, and
# its codes with $f = 4$: 16, 32 and 64 places a side. (What is in the images does not matter for the price.) Two things
# are measured: the time of one processor for a loss with its gradient, and the memory that must be held for the
# gradient, that is, all that autograd stores on the way forward.

# %%
import time
from statistics import mean

from course_utils.diffusion import DiffusionModel, dpmpp_2m_sample, image_to_image
from course_utils.recipes import scene_tokenizer, text_diffusion

tokenize, asked = scene_tokenizer(), "a red star in the middle on blue"


# %%
class Nothing(torch.nn.Module):  # instead of attention
    def forward(self, x: torch.Tensor, e: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return x


# %%
def price(*shape: int, attention: bool = True) -> tuple[float, float]:
    """Seconds and megabytes of one training step with one image or code map of this shape."""
    ddpm, x, y = text_diffusion(shape, width=32, num_res_blocks=1), torch.randn(1, *shape), tokenize([asked])
    if not attention:
        ddpm.net.unet.middle[1] = Nothing()
    weights = {p.untyped_storage().data_ptr() for p in ddpm.parameters()}
    held, seconds = {}, []

    def keep(saved: torch.Tensor) -> torch.Tensor:  # each storage once, and the weights not at all
        storage = saved.untyped_storage()
        held.update({storage.data_ptr(): storage.nbytes()} if storage.data_ptr() not in weights else {})
        return saved

    for _ in range(1 + max(2, 2**13 // (shape[1] * shape[2]))):  # the clock may be coarse
        began = time.process_time()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            loss = ddpm.loss(x, y)
        loss.backward()
        seconds.append(time.process_time() - began)
        in_all = sum(held.values()) / 2**20
        held.clear()
    return mean(seconds[1:]), in_all


# %%
threads, costs = torch.get_num_threads(), {}
torch.set_num_threads(1)  # several that wait for each other would count their waiting
for side in (64, 128, 256):
    shapes = {
        "pixels": (3, side, side),
        "codes": (4, side // 4, side // 4),
        "pixels, no attention": (3, side, side),
    }
    costs[side] = {
        on: price(*shape, attention="no attention" not in on)
        for on, shape in counted(shapes.items(), f"side {side}, networks")
    }
torch.set_num_threads(threads)

# %% alt="Two charts against the side of the image: time and memory of one step. Pixels cost most and grow fastest, above all with attention; codes cost far less." slide="The larger the image, the more a step on codes saves, in time and in memory"
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3), layout="constrained")
for k, (ax, name) in enumerate(zip(axes, ("seconds for one step", "MB held for the gradient"), strict=True)):
    for on, marker in {"pixels": "o", "pixels, no attention": "^", "codes": "s"}.items():
        ax.loglog(list(costs), [cost[on][k] for cost in costs.values()], marker=marker, label=on)
    ax.set(xlabel="pixels a side of the image", ylabel=name)
    ax.set_xticks(list(costs), [str(side) for side in costs])
    ax.minorticks_off()
axes[0].legend()
plt.show()

# %%
(time_of, memory_of) = (
    {side: {on: each[k] for on, each in cost.items()} for side, cost in costs.items()} for k in (0, 1)
)
faster, smaller, attention = (
    {side: each[side]["pixels"] / each[side][on] for side in costs}
    for each, on in ((time_of, "codes"), (memory_of, "codes"), (time_of, "pixels, no attention"))
)

# %% tags=["L2-resolution", "nbval-ignore-output"]
assert time_of[256]["pixels"] > 4.5 * time_of[128]["pixels"]  # for four times as many pixels
assert attention[256] > 1.5  # a step with attention, as a multiple of one without
assert attention[256] > 1.3 * attention[64]
assert faster[256] > 10
assert faster[256] > 1.5 * faster[64]
assert faster[64] > 1.2
assert 13 < smaller[256] < 18  # f² = 16
assert 8 < smaller[64] < smaller[256]
assert time_of[256]["codes"] < 2 * time_of[64]["pixels"]
assert 0.9 < memory_of[256]["codes"] / memory_of[64]["pixels"] < 1.1
assert memory_of[256]["pixels"] < 1.2 * memory_of[256]["pixels, no attention"]
table(["", "pixels, s", "codes, s", "codes are faster, times", "pixels, MB", "codes, MB", "codes need less, times"],
      [[f"{side} × {side}", time_of[side]["pixels"], time_of[side]["codes"], faster[side],
        memory_of[side]["pixels"], memory_of[side]["codes"], smaller[side]] for side in costs])  # fmt: skip

# %% [markdown]
# Both axes are logarithmic: equal steps mean equal factors. Look first at the memory, on the right. Codes of an image
# of 256 × 256 pixels need as much as an image of 64 × 64, since they are a map of that size: about $f^2 = 16$ times
# less than the large image itself. (With small maps the factor is smaller, since the text encoder needs its share
# whatever the size.)
#
# Time says the same at 256 pixels: a step on codes is more than ten times faster. With small images the gain is
# smaller, probably because part of each step takes equally long for both. And the pixels' curve bends upwards: from 128
# to 256
# pixels a side, four times as many pixels, the time grows by more than 4.5. The dashed curve shows why: it is the same
# network without its single layer of attention among places. There each place looks at every other, and twice the
# sides means sixteen times as many pairs. Memory hardly notices, as this attention never stores its pairs. Higher
# resolution is where codes pay most.
#
# ### A race (L2)
#
# So a model on codes can take more steps in the same time. Do they lead to better pictures? Two models race, one on
# pixels and one on codes: the same scenes and captions, the same U-Net but for its first and last layer, the same
# settings, and the same time of the processor. So that a minute is enough, the task is easy: one large, filled object
# in the middle. What is left
# to choose is its shape, its colour and the ground. (As in notebook 07, `DiffusionModel` leaves out one caption in ten
# during training, for guidance.)

# %%
import copy

from course_utils.data import Images, batches
from course_utils.inputs import pick_device
from course_utils.nets import seeded
from course_utils.training import Objective, budget, exponential_average, fit


# %%
def large_in_the_middle(n: int, seed: int) -> tuple[torch.Tensor, list[str]]:
    """Pictures of one large, filled object in the middle, about n, and their sentences."""
    facts = scenes.sample_attributes(
        18 * n, generator=torch.Generator().manual_seed(seed), combinations="seen"
    )
    facts = {
        name: value[facts["place"] == scenes.PLACES.index("in the middle")] for name, value in facts.items()
    }
    facts["size"][:, 0], facts["style"][:, 0] = scenes.SIZES.index("large"), scenes.STYLES.index("filled")
    return scenes.render(facts), list(scenes.captions(facts))


# %%
train_x, train_captions = large_in_the_middle(1000, seed=0)
real_x, sentences = (each[:50] for each in large_in_the_middle(80, seed=1))
train_codes = over_batches(codecs[4].encode, train_x).clone()
words = tokenize(train_captions)

# %% [markdown]
# Images are drawn as in notebook 07, with DPM-Solver++ under guidance, in eight steps; `paint` is the decoder.


# %%
def sample_codes(
    model: DiffusionModel, sentences: list[str], seed: int, *, w: float = 2.0,
    noise: torch.Tensor | None = None, negative: torch.Tensor | None = None, said: str = "",
) -> torch.Tensor:  # fmt: skip
    if noise is None:
        noise = torch.randn(len(sentences), *model.shape, generator=torch.Generator().manual_seed(seed))
    y = tokenize(sentences)
    walk = dpmpp_2m_sample(model, noise, steps=8, y=y, guidance=w, negative=negative)
    *_, last = counted(walk, said) if said else walk
    return last.x_t


def paint(z: torch.Tensor) -> torch.Tensor:
    return over_batches(codecs[4].decode, z, 100).clamp(-1, 1)


# %% [markdown]
# The model on codes gets a fixed number of steps. How many steps of the model on pixels take as long? A short trial
# tells. While they train, six scenes are drawn every few seconds: in codes the ground comes first, then the colour of
# the shape; what comes first in pixels?


# %%
clock = time.process_time if pick_device().type == "cpu" else time.perf_counter


small = {"width": 16, "num_res_blocks": 1, "text_width": 32}


def up_and_down(done: float) -> float:  # the learning rate: mostly high, so that few steps are enough
    return min(1.0, done / 0.08, (1 - done) / 0.3)


# %%
def race(
    on: str, x: torch.Tensor, steps: int, *, progress: bool = True
) -> tuple[DiffusionModel, list[float]]:
    with seeded(0):
        ddpm = text_diffusion(x.shape[1:], **small, clip_x0=on == "pixels")
    adam = torch.optim.AdamW(ddpm.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.0)
    average = exponential_average(ddpm, 0.95)
    shuffled = batches(Images(x, words, ()), 24, steps, generator=torch.Generator().manual_seed(0))
    objective = Objective(ddpm, ddpm.loss, adam, schedule=up_and_down, ema=average)

    def six(ax: plt.Axes) -> None:
        z = sample_codes(copy.deepcopy(average.module).cpu().eval(), sentences[:6], seed=1)
        show_images(z.clamp(-1, 1) if on == "pixels" else paint(z), columns=6, ax=ax)

    ticks = [clock() for _ in fit(objective, shuffled, clip=1.0, progress=progress, picture=six)]
    return average.module.cpu().eval(), ticks


# %% tags=["nbval-ignore-output"] alt=["Training curve of the diffusion model on codes: the loss falls over several hundred steps. Below, six drawn scenes: blurred spots of the right colours on grounds of the right colours.", "Training curve of the diffusion model on pixels: in the same time far fewer steps, and the loss falls unevenly. Below, six drawn scenes: coloured noise."]
steps = {"codes": budget(420, 4200)}
racers, spent = {}, {}
racers["codes"], ticks = race("codes", train_codes, steps["codes"])
spent["codes"] = ticks[-1] - ticks[0]
_, trial = race("pixels", train_x, 6, progress=False)
steps["pixels"] = max(10, round(4 * spent["codes"] / (trial[-1] - trial[1])))
racers["pixels"], ticks = race("pixels", train_x, steps["pixels"])
spent["pixels"] = ticks[-1] - ticks[0]

# %% [markdown]
# Both then draw the same fifty sentences.

# %% alt="Six scenes: real; drawn through codes, a blurred spot of the right colour on the right ground; and drawn in pixels, coloured noise." slide="In the same time: on codes coloured blobs on the right ground; on pixels noise"
made, seconds = {"real": real_x}, {}
torch.set_num_threads(1)  # as above
for on, model in counted(racers.items(), "models"):
    began = time.process_time()
    z = sample_codes(model, sentences, seed=1)
    made[on] = z.clamp(-1, 1) if on == "pixels" else paint(z)
    seconds[on] = time.process_time() - began
torch.set_num_threads(threads)
show_rows({on: x[:6] for on, x in made.items()}, scale=0.95)
print(" · ".join(sentences[:6]))

# %% tags=["L2-race", "nbval-ignore-output"] slide="On codes ground and colour are learned, the shape is not; on pixels the colour lags"
shares = {on: judge(x, sentences) for on, x in made.items()}
(codes_right, codes_luck), (pixels_right, pixels_luck) = shares["codes"], shares["pixels"]
assert 0.6 < spent["pixels"] / spent["codes"] < 1.6
assert steps["codes"] > 420 or steps["codes"] > 2 * steps["pixels"]
assert seconds["pixels"] > 4 * seconds["codes"]  # to draw the fifty
assert codes_right["ground"] > codes_luck["ground"] + 0.5
assert codes_right["colour"] > codes_luck["colour"] + 0.3
assert steps["codes"] > 420 or codes_right["shape"] < codes_luck["shape"] + 0.25
assert steps["codes"] > 420 or pixels_right["colour"] < codes_right["colour"] - 0.25
assert steps["codes"] > 420 or detail(made["pixels"]) > 2 * detail(made["real"])  # noise
facts = ("ground", "colour", "shape")
table(["", "steps of training", "seconds to draw 50", *facts, *(f"{fact}, by chance" for fact in facts)],
      [[on, steps.get(on, ""), seconds.get(on, ""), *(own[fact] for fact in facts), *(luck[fact] for fact in facts)]
       for on, (own, luck) in shares.items()])  # fmt: skip

# %% [markdown]
# Each share stands beside its chance level, and the row "real" shows what the reader makes of real pictures. On codes
# the ground is learned, and most pictures have something of the colour that was asked for. The shape is
# not there yet: these are blobs, right about as often as by chance. On pixels the pictures are noise, at best
# tinted like the ground, and the colour of the object is far behind. In the same time that model took fewer than half
# the steps (the table says how many), and it takes more than four times as long to draw the fifty pictures. (With a
# GPU, `budget` gives the model on codes ten times as many steps. A GPU may be hardly faster on small maps than on large
# ones; then the distance is smaller. An assert that begins `steps["codes"] > 420 or` states what was seen with 420.)
#
# Drawing includes all that it takes: for codes also the decoder. It runs once per image, the U-Net 16 times (eight
# steps, twice each for guidance). That is the point: the many steps work on a small map, and the pixels are paid
# for only once.
#
# Three things the race leaves out. The autoencoder had to be trained first, 15 minutes, once for all models that will
# ever use its codes. The width of the network, the batch and the learning rate were chosen in trials on codes; the
# model on pixels had to take the same, and might do better with others. And the race is short: it does not tell which
# of the two would draw better in the end. The model of the next section has the same kind of U-Net, four times as wide
# and with twice the blocks, and was trained on codes for more than an hour.
#
# ## 5 · How words get in: cross-attention (L2)
#
# A sentence becomes numbers in two steps. The **tokenizer** (토크나이저) gives each word a number, and pads the sentence
# with "nothing" to a length of 16.

# %%
prompt = "a striped red star left of a small blue circle on yellow"
tokens = tokenize([prompt])
print(tokens[0].tolist())
print(" ".join(scenes.WORDS[k] if k < len(scenes.WORDS) else "·" for k in tokens[0]))

# %% [markdown] slide="Cross-attention: each place of the map asks, each word offers an answer" slide_formulas=[1] slide_points="**Query** $q$ from the image, **keys** $k_j$ and **values** $v_j$ from the words | A place takes more of the values whose keys fit its query | The context need not be words: a class or a layout will do"
# Then the **text encoder** (텍스트 인코더), a small Transformer, turns each number into a vector that also depends on the
# other words: the vector of "star" can tell that *this* star is red and striped. (Stable Diffusion 1 uses the text
# encoder of CLIP, trained beforehand on 400 million pictures with captions. Ours is trained together with the U-Net.)
# The result is called the **context** (컨텍스트): 16 vectors $c_1, \dots, c_{16}$, one for each word and one for each
# "nothing".
#
# Now the U-Net must look at them. Take one place of its map; let $h$ be its features, normalised. It makes a **query**
# (쿼리) $q = W_q h$; each word $j$ offers a **key** (키) $k_j = W_k c_j$ and a **value** (밸류) $v_j = W_v c_j$. ($q$ and
# $k$ are vectors here, not a distribution or a number.) The place takes a mixture of the values, with more of those
# whose keys fit its query:
#
# $$\text{taken} = \sum_j a_j\, v_j, \qquad a = \mathrm{softmax}\!\left( \frac{q \cdot k_1}{\sqrt d}, \dots, \frac{q \cdot k_{16}}{\sqrt d} \right).$$
#
# That is **cross-attention** (교차 어텐션): queries from the image, keys and values from the words. $d$ is how many
# numbers $q$ and $k_j$ have; dividing by its root keeps the softmax from saturating. Four *heads* do this side by side,
# each with its own $W_q$, $W_k$, $W_v$. (In the code they are stacked into one matrix, and the result is split; each
# matrix also adds a vector of its own, which the formulas leave out.) One more matrix
# mixes what the four have taken, and the result is added to the place's features. Nothing here asks for *words*:
# whatever can be written as a few vectors, a class, boxes of a layout, another picture, can be the context.
#
# We load the model that the course ships, a larger one than the racer and trained for more than an hour, and compute
# one of its layers by hand.

# %%
ldm = load_pretrained("ldm-scenes", "cpu")
unet, text = ldm.diffusion.net.unet, ldm.diffusion.net.text
layer = unet.up[-1]  # the last one; the U-Net first folds the 16 × 16 codes to 8 × 8 places
h = torch.randn(1, unet.width, 8, 8, generator=torch.Generator().manual_seed(2))
context = text(tokens)
print("context:", tuple(context.shape), " map:", tuple(h.shape))

# %% tags=["L2"] slide="The heart of cross-attention is one line: compare, weigh, mix" slide_code="taken =" slide_points="Queries from the 64 places of the map, keys and values from the 16 words | One more matrix mixes the heads; the result is added to the features | The package's layer gives the same"
with torch.no_grad():
    places = layer.norm(h).flatten(2).transpose(1, 2)[0]  # (64 places, width)
    q, (k, v) = layer.q(places), layer.kv(context[0]).chunk(2, dim=1)
    d = unet.width // 4  # four heads
    heads = zip(q.split(d, 1), k.split(d, 1), v.split(d, 1), strict=True)
    taken = [(q_i @ k_i.T / d**0.5).softmax(dim=1) @ v_i for q_i, k_i, v_i in heads]
    ours = h + layer.out(torch.cat(taken, dim=1)).T.reshape(h.shape)
    by_package = layer(h, None, context)  # None: the time is not used here
assert torch.allclose(ours, by_package, atol=1e-4)
print("Six lines, and the package's layer gives the same.")

# %% [markdown]
# ### Where is each word heard? (L2)
#
# The weights $a_j$ can be looked at. For each place of the map they say which words it attends to. So for each *word*
# they form a picture: where in the image it is heard, an **attention map** (어텐션 맵). `attention_maps` averages over
# the heads and over all layers with 8 × 8 places. We draw images of our prompt and look half-way through the eight steps.
# (It asks for a red star, one of the pairs that were never in training; section 7 comes back to that.)

# %%
from course_utils.latent import attention_maps


def draw_and_look(sentences: list[str], noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of sentences, and the maps of their words half-way through: (N, 3, 64, 64) and (N, 16, 8, 8)."""
    y = tokenize(sentences)
    walk = list(dpmpp_2m_sample(ldm.diffusion, noise, steps=8, y=y, guidance=2.0))
    halfway = walk[4]
    maps = attention_maps(ldm.diffusion.net, halfway.x_t, torch.full((len(y),), halfway.t), y)
    return paint(walk[-1].x_t), maps


# %%
noise = torch.randn(1, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(3))
images, maps = draw_and_look([prompt], noise)

# %% alt="A striped red star left of a small blue circle, and a map for each word of the sentence. “red” and “star” are bright at the star's place, the second “a” and “on” at the circle's; “blue” and “yellow” are bright everywhere." slide="Where each word is heard: some rather at an object, others nearly everywhere" slide_points="“red” and “star” are brightest on the star's side; on the circle's, the second “a” and “on” | “blue” and “yellow” take more than half of all the weight"
from matplotlib.colors import LogNorm

said = prompt.split()
fig, axes = plt.subplots(2, 7, figsize=(11, 3.6), layout="constrained")
axes[0, 0].imshow((images[0].movedim(0, 2) + 1) / 2)
axes[0, 0].set_title("the image", fontsize=9)
for j, ax in enumerate(axes.flat[1:]):
    drawn = ax.imshow(maps[0, j], cmap="gray", norm=LogNorm(0.003, 1))
    ax.set_title(f"{(*said, 'nothing')[j]}, {maps[0, j].mean():.3f}", fontsize=9)
for ax in axes.flat:
    ax.set_axis_off()
fig.colorbar(drawn, ax=axes, label="weight", shrink=0.9)
plt.show()

# %% [markdown]
# One scale for all maps, and a logarithmic one, since the largest weight is more than fifty times the smallest. Beside
# each word stands its mean weight over the 64 places. (If all 16 vectors were heard alike, each would have 0.063.)
#
# Look for the star's place on the left and the circle's on the right. "red" and "star" are brightest on the left, where
# the star is. On the right, where the circle is, it is the second "a" and "on", and more weakly "of", that are
# brightest, and not "circle", which is brightest on the left. And "blue" and "yellow" are bright nearly everywhere and
# take more than half of all the weight: the weights of a place must add up to 1, so a place that needs nothing must
# look somewhere.

# %% tags=["L2-maps"]
assert maps.max() > 50 * maps.min()
# "red", "star" and also "circle": brightest in one of the four left columns
assert all(maps[0, j].argmax() % 8 < 4 for j in (2, 3, 9))
assert all(maps[0, j].argmax() % 8 >= 4 for j in (6, 10))  # the second "a", "on": on the right
assert maps[0, [8, 11]].mean(dim=(1, 2)).sum() > 0.5  # "blue" and "yellow": more than half of all the weight

# %% [markdown]
# One picture proves nothing, however. We need many sentences, and a question whose answer can be no. For two objects,
# say "left of": the first is drawn in the left half, the second in the right one. *Which share of a word's weight lies
# in the half where its own object is drawn?* Then we exchange "left" and "right" in the sentence, keep the noise, and
# ask again. A word that is always heard at the same place, whatever the sentence says, gets 0.5 as the mean of the two:
# what it gains in one sentence it loses in the other. So 0.5 is chance, exactly. ("above" and "below" likewise, with
# the upper
# and the lower half.)

# %%
count = 60
facts = scenes.sample_attributes(4 * count, generator=torch.Generator().manual_seed(16), combinations="seen")
pairs = [c for c, r in zip(scenes.captions(facts), facts["relation"], strict=True) if r >= 0][:count]
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}


def exchanged(sentence: str) -> str:
    return " ".join(OPPOSITE.get(word, word) for word in sentence.split())


# %%
def kinds(sentence: str) -> list[str]:
    """What each of the 16 words of a sentence about two objects says: "style 1", "colour 1", "relation", …"""
    names = {"a": "article", "an": "article", "small": "size", "on": "on", "of": "of"}
    names |= dict.fromkeys(scenes.STYLES, "style") | dict.fromkeys(scenes.COLOURS, "colour")
    names |= dict.fromkeys(scenes.SHAPES, "shape") | dict.fromkeys(OPPOSITE, "relation")
    found, number = [], 1
    for word in sentence.split():
        number += word in OPPOSITE
        name = names[word]
        found.append(name if name in ("relation", "of", "on") else f"{name} {number}")
    return [*found[:-1], "ground"] + ["nothing"] * (16 - len(found))


print(pairs[0], "→", exchanged(pairs[0]))
print(kinds(pairs[0])[: len(pairs[0].split()) + 1])


# %%
def in_first_half(maps: torch.Tensor, sentences: list[str]) -> torch.Tensor:
    """Of each word's weight, the share in the half of the first object: (N, 16)."""
    halves = [maps[..., :4], maps[..., 4:], maps[:, :, :4], maps[:, :, 4:]]  # left of, right of, above, below
    shares = torch.stack([half.sum(dim=(2, 3)) for half in halves], dim=2) / maps.sum(dim=(2, 3))[..., None]
    relation = scenes.parse(sentences)["relation"]
    return shares.take_along_dim(relation[:, None, None], dim=2).squeeze(2)


# %%
noise = torch.randn(count, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(17))
heard = []  # for "as asked" and "exchanged": (sentences, images, maps)
for sentences in counted((pairs, [exchanged(sentence) for sentence in pairs]), "lots of sentences"):
    heard.append((sentences, *draw_and_look(sentences, noise)))
as_drawn = torch.stack([scene_accuracy(images, sentences)["layout"] for sentences, images, _ in heard])

# %% [markdown]
# Now all words of one kind are put together: the shares of the sentence and of its exchange averaged, then the mean
# over the sentences, with its standard error.


# %%
def by_word(heard: list) -> dict[str, tuple[float, float, float]]:
    """For each kind of word: the share in its object's half, its standard error, and the weight it takes in all."""
    shares = torch.stack([in_first_half(maps, sentences) for sentences, _, maps in heard]).mean(dim=0)
    weight = torch.stack([maps.mean(dim=(2, 3)) for *_, maps in heard]).mean(dim=0)
    of = np.array([kinds(sentence) for sentence in heard[0][0]])
    found = {}
    for kind in ORDER:
        there = torch.tensor(of == kind)
        own = 1 - shares if kind.endswith("2") else shares
        each = torch.stack([s[t].mean() for s, t in zip(own, there, strict=True) if t.any()])
        total = (weight * there).sum(dim=1)[there.any(dim=1)].mean()
        found[kind] = (each.mean().item(), each.std().item() / len(each) ** 0.5, total.item())
    return found


# %%
ORDER = ["article 1", "size 1", "style 1", "colour 1", "shape 1", "relation", "of",
         "article 2", "size 2", "style 2", "colour 2", "shape 2", "on", "ground", "nothing"]  # fmt: skip
words = by_word(heard)

# %% tags=["L2-attention"]
assert as_drawn.double().mean() > 0.95
for kind in ("shape 1", "colour 1", "article 2"):  # heard rather at their own object
    assert words[kind][0] > 0.57
alike = ["article 1", "style 1", "style 2", "colour 2", "ground", "nothing"]
for kind in alike:  # heard in both halves alike
    assert abs(words[kind][0] - 0.5) < 0.025
for kind in ("shape 2", "size 2"):  # heard rather at the other object
    assert words[kind][0] < 0.48
assert words["on"][0] < 0.4  # the first object's half; so it is heard at the second object
assert words["colour 2"][2] + words["ground"][2] > 0.5  # two words take more than half of all the weight

# %% tags=["nbval-ignore-output"]
rows = [[kind, *words[kind]] for kind in ORDER]
table(["word", "share in its object's half (0.5 is chance)", "standard error", "weight in all"], rows)

# %% alt="Left, the share of each word's weight in its object's half: above one half for the first object's colour and shape and the second article, below it for “on”. Right, the share of all weight: most goes to the second colour and the ground." slide="Shape 1 is heard rather at its own object, shape 2 at the other, the styles at both alike" slide_points="Words of no object, as “of”, “on” and “nothing”: the half is the first one's"
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
share, error, weight = np.array([words[kind] for kind in ORDER]).T
left.errorbar(share, ORDER, xerr=2 * error, fmt="o", color="k", capsize=3)
left.axvline(0.5, color="0.5", linestyle="--")
left.set(xlabel="share in its object's half, ± 2 standard errors", ylabel="word", xlim=(0.25, 0.75))
right.barh(ORDER, weight, color="0.5")
right.set(xlabel="share of all the weight")
left.invert_yaxis()
plt.show()

# %% [markdown]
# (For words that belong to no object, "relation", "of", "on", the ground and "nothing", the half is that of the first
# object.)
#
# So do the maps show where each word's object is? *For three kinds of words, yes:* shape and colour of the first
# object, and the article of the second. Between six and seven tenths of their weight lie in their object's half, and
# move with it.
# *For six kinds, no:* the styles, the first article, the second colour, the ground and "nothing" are heard in both
# halves alike. *And for two it is the other way round:* shape and size of the second object are heard rather at the
# *first*. The second object is heard at the article before it and at "on" after it, words that mean little by
# themselves. (The first size, the relation and "of" are in the table; nothing is claimed of them.)
#
# Remember what a text encoder does: each vector depends on all the words. What is known of "small blue circle" may sit
# in the vector of any word near it, and training had no reason to put it where *we* would look. The picture is right
# all the same: both objects are where the sentence wants them. So a map shows where the U-Net looks for a *vector*; it
# is not an explanation of the word. This holds for our small model, half-way through sampling. For Stable Diffusion
# Tang et al. ("Read on") report that the maps of nouns segment their objects fairly well, and that those of adjectives
# spread too widely; they, too, are maps of vectors that depend on the other words.
#
# The right panel shows that the second colour and the ground take more than half of all the weight. A map drawn on a
# scale of its own, as such maps often are, hides this.
#
# ## 6 · Ask for a picture (L2)
#
# All parts are together: tokens → context → U-Net, ten steps → decoder. `sample` does it in one call.

# %% alt="Four prompts with four pictures each, such as “a striped red star left of a small blue circle on yellow”. All pictures show what was asked for; positions vary a little." slide="Four sentences, four pictures each: what was asked for is there" slide_points="a striped red star left of a small blue circle on yellow | a small white cross at the top right on blue | an outlined green triangle above a purple square on white | a striped yellow circle in the middle on red"
prompts = [
    prompt,
    "a small white cross at the top right on blue",
    "an outlined green triangle above a purple square on white",
    "a striped yellow circle in the middle on red",
]
x = ldm.sample(16, tokenize(prompts).repeat_interleave(4, 0), generator=torch.Generator().manual_seed(4))
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
for ax, sentence, four in zip(axes, prompts, x.split(4), strict=True):
    show_images(four, columns=2, ax=ax)
    ax.set_title(fill(sentence, 30), fontsize=8)
plt.show()

# %% [markdown]
# Try your own: change `prompts` and run the cell again. A word that the model does not know raises an error that lists
# all the words it does know. What follows is the same with buttons.
#
# ### Try it: the prompt builder (L2)
#
# Build a sentence. The two pictures are drawn from two noise maps, the same two for all sentences. So watch, too, what
# stays when you change one word. (The red star, the green circle and the blue cross were never in training.)

# %%
articles = {"filled": "a", "striped": "a striped"}
colours, where = ["red", "green", "blue"], ["at the left", "at the top right"]
sentences = [f"{article} {colour} {shape} {place} on white" for article in articles.values()
             for colour in colours for shape in scenes.SHAPES for place in where]  # fmt: skip
noise = torch.randn(2, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(5))
lots = [sentences[k : k + 30] for k in range(0, 60, 30)]
z = [
    sample_codes(ldm.diffusion, [s for s in lot for _ in range(2)], 0, noise=noise.repeat(30, 1, 1, 1))
    for lot in counted(lots, "lots of sentences")
]
built = paint(torch.cat(z))
fulfilled = scene_accuracy(built, [s for s in sentences for _ in range(2)])["all"]

# %% slide="Change one word: what stays?"
by, sizes = ("style", "colour", "shape", "place"), (2, 3, 5, 2)
share = fulfilled.double().view(*sizes, 2).mean(dim=4)
Explorer(
    [Choice("style", list(articles)), Choice("colour", colours), Choice("shape", scenes.SHAPES), Choice("place", where)],
    [Panel("two noise maps", built.unflatten(0, (*sizes, 2)), by, columns=2)],
    [Readout("sentence", np.array(sentences).reshape(sizes), by), Readout("all facts right", share, by, maximum=1)],
    title="Prompt builder",
    hint="Try: change one word of the sentence. What stays, since the noise is the same?", index=[1, 0, 3, 0], jpeg=80,
)  # fmt: skip

# %% [markdown]
# ### Guidance (L2)
#
# Guidance works as in notebook 07: in each step the network is asked twice, with the sentence and with the empty one,
# and the answer is
#
# $$\hat v = v_\text{empty} + w\, (v_\text{sentence} - v_\text{empty}),$$
#
# so $w = 1$ is no guidance. ($v$ is what the network predicts, as in notebook 07, and no value of attention; $\hat v$
# is the answer that the sampler takes.) What does guidance do to accuracy, and to variety? We take sentences about two
# objects, which are harder than those about one, and draw each from four noise maps, the same four for every $w$.
# *Accuracy* is the share of
# pictures in which the reader finds all facts as asked. *Variety* is the standard deviation of the codes of the four
# pictures of one sentence, averaged over all numbers of the code. For comparison: four scenes of each sentence drawn by
# the program that drew the training data, where only the exact positions differ.

# %%
asked = pairs[:40]
repeated = [sentence for sentence in asked for _ in range(4)]
noise = torch.randn(len(repeated), *ldm.diffusion.shape, generator=torch.Generator().manual_seed(7))


def variety_of(z: torch.Tensor) -> torch.Tensor:  # (4 n, c, h, w) → (n,)
    return z.unflatten(0, (-1, 4)).std(dim=1).mean(dim=(1, 2, 3)).double()


# %%
weights, accuracy, variety = [1.0, 2.0, 5.0], [], []
for w in weights:
    z = sample_codes(ldm.diffusion, repeated, 0, w=w, noise=noise, said=f"w = {w:g}: states")
    accuracy.append(scene_accuracy(paint(z), repeated)["all"].double().view(-1, 4).mean(dim=1))
    variety.append(variety_of(z))

# %%
facts = scenes.parse(repeated)
jitter = 0.06 * (2 * torch.rand(len(repeated), 2, 2, generator=torch.Generator().manual_seed(18)) - 1)
real = scenes.render(facts | {"centre": facts["centre"] + jitter})
variety_real = variety_of(over_batches(codecs[4].encode, real))


# %%
def mean_and_error(values: torch.Tensor) -> tuple[float, float]:  # one value per sentence
    return values.mean().item(), values.std().item() / len(values) ** 0.5


def surely(values: torch.Tensor) -> bool:  # above 0 by more than two standard errors
    mean, error = mean_and_error(values)
    return mean > 2 * error


# %% alt="Two charts against guidance: the share of pictures with all facts right is highest at w = 2; the spread of the codes falls as w grows." slide="From w = 1 to 2 more pictures are right; at w = 5 they are less varied than at 1" slide_points="The same sentences and noise at each $w$: differences are surer than the bars"
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
for ax, values in ((left, accuracy), (right, variety)):
    means, errors = zip(*[mean_and_error(v) for v in values], strict=True)
    ax.errorbar(weights, means, yerr=[2 * e for e in errors], marker="o", capsize=3, color="k")
left.set(xlabel="guidance w", ylabel="all facts right", ylim=(0.6, 1.02))
right.axhline(variety_real.mean(), color="0.5", linestyle="--", label="drawn by the program")
right.set(xlabel="guidance w", ylabel="standard deviation of codes", ylim=(0, None))
right.legend(loc="lower right")
plt.show()

# %% tags=["L2-guidance"]
assert (accuracy[1] - accuracy[0]).mean() > 0.04  # w = 2 against 1, sentence by sentence
assert surely(accuracy[1] - accuracy[0])
assert (variety[0] - variety[2]).mean() > 0.04 * variety[0].mean()  # w = 5 against 1
assert surely(variety[0] - variety[2])
assert variety[0].mean() < 0.98 * variety_real.mean()

# %% tags=["nbval-ignore-output"]
rows = [
    [w, *mean_and_error(a), *mean_and_error(v)] for w, a, v in zip(weights, accuracy, variety, strict=True)
]
rows.append(["drawn by the program", "", "", *mean_and_error(variety_real)])
table(["w", "all facts right ↑", "standard error", "variety", "standard error "], rows)

# %% [markdown]
# The bars are two standard errors over the sentences. They are wide because some sentences are harder than others; but
# all points come from the same sentences and noise maps, so the *differences* are known better, and the cell tests those. A
# little guidance helps: from $w = 1$ to 2 more pictures are right than chance explains. It costs variety: with $w = 5$
# the pictures of one sentence differ less than without guidance. No more than that is shown, at three values of $w$. We
# claim nothing about accuracy from 2 to 5, and nothing about what lies between the points. Notice the dashed
# line, too. Even without guidance the model's pictures of one sentence are more alike than those of the program.
#
# Here, as for digits, small weights are enough. Stable Diffusion uses about 7.5. A likely reason: a caption from the
# web says little about its picture, so it changes the prediction little, and the difference has to be amplified more.
#
# ### A negative prompt (L2)
#
# A **negative prompt** (네거티브 프롬프트) takes the place of the empty sentence: we move away from *it*. Users of Stable
# Diffusion write "blurry, six fingers" there. Ours must be something that the model knows. In its last 6,000 steps of
# training one colour in ten was not said, so it also understands "a star in the middle on white": a star of any colour.
# We ask for each of the five shapes in this way and count the colours that turn up. For each colour that turns up at
# least four times in 16 pictures, we then name it in the negative prompt (`negative`): away from "a purple star in the
# middle on white". The noise is the same.
#
# Would the colour also go away if we moved away from something else? As a comparison we move away from a sentence that
# names no colour of an object at all: "a small striped circle at the top left on white" (for the circle itself, "a
# small striped square …").

# %%
COLOURS = list(scenes.COLOURS)
noise = torch.randn(16, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(8))


def draw(sentence: str, avoid: str | None = None) -> torch.Tensor:  # 16 pictures
    away = None if avoid is None else tokenize([avoid] * 16)
    return paint(sample_codes(ldm.diffusion, [sentence] * 16, 0, w=2.0, noise=noise, negative=away))


def colours_of(
    x: torch.Tensor,
) -> torch.Tensor:  # how many pictures have each of the six colours, as the reader sees them
    return torch.bincount(reader.read(x)[:, 3], minlength=6)


# %% tags=["nbval-ignore-output"]
loose = {shape: f"a {shape} in the middle on white" for shape in scenes.SHAPES}
free = {shape: draw(sentence) for shape, sentence in counted(loose.items(), "shapes")}
turned_up = {shape: colours_of(x) for shape, x in free.items()}
rows = [[sentence, *turned_up[shape].tolist()] for shape, sentence in loose.items()]
table(["asked for; no negative prompt", *COLOURS], rows)

# %%
avoided, compared = {}, {}
for shape, sentence in counted(loose.items(), "shapes"):
    other = "square" if shape == "circle" else "circle"
    compared[shape] = draw(sentence, f"a small striped {other} at the top left on white")
    for colour, count in zip(COLOURS, turned_up[shape].tolist(), strict=True):
        if count >= 4:
            avoided[shape, colour] = draw(sentence, sentence.replace(shape, f"{colour} {shape}"))

# %% alt="Rows of stars without and with a negative prompt. Without one, their colours are mixed; not red gives blue and green ones; not green and not blue give yellow, red and violet ones, and some squares." slide="A colour in the negative prompt nearly goes away; now and then the shape does, too"
shape = "star"
shown = {"no negative prompt": free[shape]} | {f"not {c}": x for (s, c), x in avoided.items() if s == shape}
show_rows({name: x[:6] for name, x in shown.items()}, scale=0.9)

# %%
rows = []
for (shape, colour), x in avoided.items():
    k, right = COLOURS.index(colour), scene_accuracy(x, [loose[shape]] * 16)
    others = colours_of(compared[shape])[k].item()
    kept = [right[fact].double().mean().item() for fact in ("shape", "layout", "ground", "style")]
    rows.append([f"{colour} {shape}", turned_up[shape][k].item(), colours_of(x)[k].item(), others, *kept])


def most_frequent(rows: list) -> list:  # for each shape, the row of the colour that turned up most
    by_shape = [[row for row in rows if row[0].endswith(shape)] for shape in scenes.SHAPES]
    return [max(each, key=lambda row: row[1]) for each in by_shape if each]


# %% tags=["L2-negative"]
assert len(rows) >= 5
assert sum(row[2] for row in rows) < 0.15 * sum(row[1] for row in rows)  # what is avoided nearly goes away …
assert all(row[2] <= 0.5 * row[1] for row in rows)
# … and the most frequent colour of each shape not just because anything is avoided:
assert sum(row[3] for row in most_frequent(rows)) > 0.5 * sum(row[1] for row in most_frequent(rows))
for k in (5, 6):  # place and ground stay, for each
    assert min(row[k] for row in rows) > 0.85
assert 0.8 < np.mean([row[4] for row in rows]) < 0.99  # the shape mostly
assert min(turned_up["circle"][0], turned_up["cross"][0]) > 10  # not any colour: mostly red

# %% tags=["nbval-ignore-output"]
head = [
    "away from",
    "of 16 without",
    "with",
    "away from the other sentence",
    "shape ↑",
    "place ↑",
    "ground ↑",
    "filled ↑",
]
table(head, rows)

# %% [markdown]
# The colours first. In the training scenes they are about equally frequent; here most circles and crosses are red. And
# look at the stars in the first row: many are of two colours at once, so that the reader, which must name one, has to
# choose. It seems that the model has learned that a colour may be missing, but not quite that *one* must then be
# chosen.
#
# Away from a colour, that colour nearly goes away if all rows are taken together, and at least half of it goes in
# each; place and ground stay what the sentence asks for. Would any negative prompt do that? Look at the most frequent
# colour of each shape. Away from the other sentence these five, taken together, keep more than half of their pictures;
# away from themselves, hardly any. So it is mostly the naming that drives the colour away, not the mere presence of a
# negative prompt. (For a single colour sixteen pictures are too few to tell.) The shape
# mostly stays, but not always: we move away from a whole sentence, and the shape is part of it. A negative prompt
# works, then, but it is not precise. (This holds for $w = 2$, one object, and colours; we have not tried to avoid a
# shape or a style.)
#
# ## 7 · New combinations (L2)
#
# Now the question of section 1. The model has never seen a red star, a green circle, a yellow square, a purple triangle
# or a blue cross. A model that has only learned pictures by heart cannot draw them. One that has learned "red" and
# "star" separately may. (The reader was trained on all pairs, so that it can judge; the autoencoder and the diffusion
# model were not.)

# %% alt="Five sentences that training never showed, such as “a purple triangle”, with five pictures each: shape and colour are right." slide="Never together in training, drawn all the same: a red star, a blue cross" slide_points="Training has stars, and red things, but no red star | All facts are right in more than three such pictures of four; by chance, nearly never"
never = [f"a {colour} {shape}" for shape, colour in scenes.HELD_OUT]
y = tokenize([f"{thing} in the middle on white" for thing in never]).repeat_interleave(5, 0)
x = ldm.sample(25, y, generator=torch.Generator().manual_seed(9))
show_rows(dict(zip(never, x.split(5), strict=True)), scale=0.85)

# %% [markdown]
# Now the count, for sentences drawn at random: one object or two, the first of a held-out pair ("unseen") or none of
# them ("seen"). A share $p$ of $n$ pictures has the standard error $\sqrt{p (1 - p) / n}$. The last row is chance: the
# same pictures, each compared with the sentence of another.

# %%
rows, all_right, chance = [], {}, []
for pairing in ("seen", "unseen"):
    facts = scenes.sample_attributes(150, generator=torch.Generator().manual_seed(10), combinations=pairing)
    sentences = list(scenes.captions(facts))
    x = paint(sample_codes(ldm.diffusion, sentences, seed=11, said=f"{pairing} pairs: states"))
    right, by_chance = scene_accuracy(x, sentences), scene_accuracy(x, sentences[1:] + sentences[:1])
    chance.append([by_chance[fact].double().mean().item() for fact in by_chance])
    for objects, which in (("one", facts["place"] >= 0), ("two", facts["place"] < 0)):
        shares = [right[fact][which].double().mean().item() for fact in right]
        p, n = shares[-1], int(which.sum())
        all_right[pairing, objects] = (p, (p * (1 - p) / n) ** 0.5, n)
        rows.append([f"{pairing}, {objects}", n, *shares, all_right[pairing, objects][1]])

# %%
shares = {fact: [row[2 + k] for row in rows] for k, fact in enumerate(right)}
by_fact = {fact: np.mean(each) for fact, each in shares.items()}
rows.append(["chance", "", *np.mean(chance, axis=0).tolist(), ""])

# %% tags=["L2-combinations"]
for objects in ("one", "two"):
    (p, error, n), (q, error_seen, _) = all_right["unseen", objects], all_right["seen", objects]
    assert p > 0.75
    assert q - p < 0.15  # at most a little less often than seen pairs
assert np.mean(chance, axis=0)[-1] < 0.02
assert min(share for fact, share in by_fact.items() if fact not in ("style", "all")) > by_fact["style"]

# %% tags=["nbval-ignore-output"]
table(["pairs, objects", "n", *[f"{fact} ↑" for fact in right], "error of all"], rows)

# %% [markdown]
# Red stars! With a held-out pair all facts are right in nearly all pictures of one object and in about nine of ten of
# two: at most fifteen in a hundred fewer than with the seen pairs, where chance would be nearly nothing. Whether their
# share is smaller at all this run cannot say: the difference is not much larger than its error. What fails most often
# is the *style*, perhaps because stripes and outlines are fine detail. The model does not only repeat the pictures that
# it has learned.
#
# A warning. Our world is small, and its sentences say almost everything. Models of photographs fail at such tasks far
# more often: ask one for "a green circle to the left of a yellow square", and see which colour ends up where.
#
# ## 8 · Another style, the same layout (G4-style-transfer)
#
# **Style transfer** (스타일 변환): keep *what* is there and *where*, change *how* it is drawn. We have the means from
# notebook 07, SDEdit: add noise up to a time $t_0$, so that the fine structure is lost and the coarse one is not, and
# walk back with another sentence. Now in the latent space: encode, add noise, walk back, decode. We take real pictures
# of filled objects and ask for striped and for outlined ones.
#
# There is a trap in measuring this. If the new sentence says "a striped yellow cross at the top left on blue", a
# yellow cross at the top left on blue proves nothing about the old picture: the sentence alone asks for it, and pure
# noise would give it, too. What comes *through the noisy code* shows only in what the sentence leaves out. So we ask in
# two ways, once with the colour and once without it. And there is one thing that no sentence says: where exactly the
# object lies.


# %%
filled = [i for i, c in enumerate(test.captions) if is_alone[i] and not ("striped" in c or "outlined" in c)]
plain = filled[:20]


# %%
def restyled(captions: list[str], style: str, *, colour: bool) -> list[str]:
    """The captions of one object in another style, with or without its colour."""
    facts = scenes.parse(captions)
    facts["style"][:, 0] = scenes.STYLES.index(style)
    if not colour:
        facts["colour"][:, 0] = -1
    return list(scenes.captions(facts))


# %%
old, said_or_not = [test.captions[i] for i in plain], {"colour said": True, "colour not said": False}
wished = {(name, style): restyled(old, style, colour=colour)
          for name, colour in said_or_not.items() for style in ("striped", "outlined")}  # fmt: skip
print(old[0], *[sentences[0] for sentences in wished.values()], sep="\n→ ")

# %%
starts = [100, 200, 500, 1000]
z_0 = over_batches(codecs[4].encode, test.x[plain])
styled = {}
for (name, style), sentences in wished.items():
    for t_0 in counted(starts, f"{name}, {style}: starts"):
        generator, y = torch.Generator().manual_seed(12), tokenize(sentences)
        *_, last = image_to_image(
            ldm.diffusion, z_0, start=t_0, steps=8, y=y, guidance=3.0, generator=generator
        )
        styled[name, style, t_0] = paint(last.x_t)


# %%
def middle(x: torch.Tensor) -> torch.Tensor:  # of all that is not ground, in pixels: (N, 2)
    away = ((x - x[:, :, :1, :1]).abs().sum(dim=1) > 0.7).float()
    line, area = torch.arange(64.0), away.sum(dim=(1, 2)).clamp_min(1)
    return torch.stack([away.sum(dim=1) @ line / area, away.sum(dim=2) @ line / area], dim=1)


# %%
colour_before = scenes.parse(old)["colour"][:, 0]


def judged(x: torch.Tensor, sentences: list[str]) -> torch.Tensor:
    """The new style, the other facts that the sentence names, the old colour, pixels moved: (4, N)."""
    right = scene_accuracy(x, sentences)
    named = right["layout"] & right["ground"] & right["shape"] & right["size"] & right["colour"]
    same = reader.read(x)[:, 3] == colour_before
    moved = (middle(x) - middle(test.x[plain])).norm(dim=1)
    return torch.stack([right["style"], named, same, moved]).double()


def measure(styled: dict) -> tuple[dict, dict, dict, dict]:
    """Over both styles, by (name, t₀): the shares of the first three, the median of the last."""
    found = {}
    for name in said_or_not:
        for t_0 in starts:
            both = [
                judged(styled[name, style, t_0], wished[name, style]) for style in ("striped", "outlined")
            ]
            *shares, moved = torch.cat(both, dim=1)
            found[name, t_0] = [*(share.mean().item() for share in shares), moved.median().item()]
    return tuple({key: values[k] for key, values in found.items()} for k in range(4))


# %%
style, named, colour, moved = measure(styled)

# %% tags=["G4-style-transfer"]
said, unsaid = said_or_not
assert style[said, 100] < 0.3  # too little noise: the old style stays
assert min(style[name, t_0] for name in said_or_not for t_0 in (500, 1000)) > 0.75  # enough: the new one
assert min(named.values()) > 0.85  # what is named is right for every t₀ …
assert min(colour[said, t_0] for t_0 in starts) > 0.9  # … so the colour, if named, even from pure noise
assert colour[unsaid, 200] > 0.9  # not named, it is kept at small t₀: the noisy code tells it
assert colour[unsaid, 200] > colour[unsaid, 500] + 0.15 > colour[unsaid, 1000] + 0.2  # and fades
assert colour[unsaid, 1000] < 0.5  # towards chance, which is one in five
assert max(min(style[unsaid, t_0], colour[unsaid, t_0]) for t_0 in starts) < 0.9  # never both
assert moved[unsaid, 500] < min(0.8, 0.6 * moved[unsaid, 1000])  # where exactly it lies is never named

# %% tags=["nbval-ignore-output"]
rows = [[f"{key[0]}, {key[1]}", style[key], named[key], colour[key], moved[key]] for key in style]
table(["sentence, t₀", "new style ↑", "other facts named ↑", "the old colour", "moved, pixels ↓"], rows)

# %% alt="Share of pictures against t₀. The new style appears between 200 and 500; a colour that the sentence says is kept throughout; one that it does not say is lost as t₀ grows." slide="More noise brings the new style, and loses the colour that nobody named"
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
ax.plot(starts, [style["colour not said", t_0] for t_0 in starts], marker="o", label="the new style")
ax.plot(starts, [colour["colour said", t_0] for t_0 in starts], marker="s", label="the old colour, said")
ax.plot(
    starts, [colour["colour not said", t_0] for t_0 in starts], marker="^", label="the old colour, not said"
)
ax.axhline(0.2, color="0.5", lw=1)
ax.set(xlabel="$t_0$", ylabel="share of pictures", ylim=(0, 1.05))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% alt="Six scenes redrawn as striped from three times. With t₀ = 200 hardly any stripes; with 500 stripes, mostly in place; with 1000 stripes, and other colours where the sentence says none." slide="Stripes come and the place nearly stays; from pure noise the unsaid colour goes"
show_rows(
    {"real": test.x[plain][:6]}
    | {f"striped, $t_0$ = {t_0}": styled["colour not said", "striped", t_0][:6] for t_0 in (200, 500, 1000)},
    scale=0.9,
)

# %% [markdown]
# With too little noise the old style stays. From $t_0 = 500$ on most pictures have the new one. What the sentence
# *names* is right for every $t_0$, also from pure noise ($t_0 = 1000$): so that column says nothing about the old
# picture. The two others do. The colour, if it is not said, is the old one in practically every picture up to
# $t_0 = 200$, and then fades. From pure noise it is right in fewer than half of the pictures; by chance it
# would be one in five if all colours were alike (there are five besides the ground's; the thin line). And the
# object's exact place, which nobody named: at $t_0 = 500$ half of the objects have moved by less than a pixel, from
# pure noise by clearly more.
#
# So there is a tension: where the style has surely changed, the colour is no longer surely kept. At no $t_0$ that we
# tried do both hold in nine pictures of ten. The remedy is simple: *say* what must stay. With the colour in the
# sentence it stays for every $t_0$.
#
# What we did is to edit an **attribute** that the captions name and that has three values. *Painting-style transfer* is
# something else: paint this photograph as that painting is painted. There the style is given by an example, not by a
# word; it is in the strokes, textures and palette of the whole picture; and no classifier can read off whether it
# succeeded. Gatys et al. (2016) matched statistics of a network's features; today one often writes "in the style of …"
# in a prompt and uses the same noising and denoising as here. Nothing measured above says how well that works.
#
# ### Try it: how much noise does it take? (G4-style-transfer)

# %%
ways = [
    ("striped", "colour said"),
    ("striped", "colour not said"),
    ("outlined", "colour said"),
    ("outlined", "colour not said"),
]
frames = torch.stack([torch.stack([styled[name, style, t_0][:8] for t_0 in starts]) for style, name in ways])
by = ("sentence", "t₀")
per_way = [[[share[name, t_0] for t_0 in starts] for _, name in ways] for share in (style, colour)]

# %% slide="How much noise does a new style take?"
Explorer(
    [Choice("image", [str(k + 1) for k in range(8)], test.x[plain[:8]]),
     Choice("sentence", [f"{style}, {name}" for style, name in ways]), Slider("t₀", starts, play=True, interval=0.6)],
    [Panel("with another sentence", frames.movedim(2, 0), ("image", *by))],
    [Readout("new style, share of all", np.array(per_way[0]), by, maximum=1),
     Readout("the old colour, share of all", np.array(per_way[1]), by, maximum=1)],
    title="Another style",
    hint="Try: raise the noise until the style changes. Is the colour still the same?", index=[0, 1, 2], jpeg=80,
)  # fmt: skip

# %% [markdown]
# ### Exchange one object (L2)
#
# **Inpainting** (인페인팅) works in the latent space, too, since the map of codes lies on the picture, place by place:
# keep the codes of the left half, with RePaint of notebook 07, and let the sentence say what is to appear on the right.
# The sentence describes the left object as well, so a *similar* object on the left would prove nothing. What is tested
# is whether the left half is the old one, pixel for pixel; the comparison is a picture of the same sentence from the same
# noise, without the known codes.

# %%
from course_utils.diffusion import inpaint

beside = [i for i, c in enumerate(test.captions) if " left of " in c and not c.endswith("white")][:16]
old = [test.captions[i] for i in beside]
sentences = [f"{c.split(' left of ')[0]} left of a striped white circle on {c.split()[-1]}" for c in old]

# %%
mask = (torch.arange(16) < 8).expand(1, 1, 16, 16)  # true: keep
known = over_batches(codecs[4].encode, test.x[beside])
noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(14))
*_, last = inpaint(ldm.diffusion, noise, known=known, mask=mask, steps=8, resample=3, y=tokenize(sentences), guidance=2.0,
                   generator=torch.Generator().manual_seed(15))  # fmt: skip
replaced, anew = paint(last.x_t), paint(sample_codes(ldm.diffusion, sentences, 0, noise=noise))
through = paint(known)  # the old pictures, only encoded and decoded

# %% alt="Six scenes with two objects: as they were, with a white striped circle in place of the right one, and drawn anew. The left object stays in both." slide="Another object on the right; the left half stays what it was"
rows = {"real": test.x[beside], "another on the right": replaced, "drawn anew": anew}
show_rows({name: x[:6] for name, x in rows.items()}, scale=0.9)


# %%
def off_on_the_left(x: torch.Tensor) -> float:  # squared error; near the border the decoder sees both sides
    return (x - test.x[beside])[..., :28].square().mean().item()


# %%
as_asked = scene_accuracy(replaced, sentences)["all"].double().mean().item()
before = scene_accuracy(test.x[beside], sentences)["all"].double().mean().item()
left_off = {name: off_on_the_left(x) for name, x in
            {"encoded and decoded": through, "another on the right": replaced, "drawn anew": anew}.items()}  # fmt: skip

# %% tags=["L2-exchange"]
assert before == 0.0  # no old picture is what the new sentence says
assert as_asked > 0.85
assert left_off["another on the right"] < 2 * left_off["encoded and decoded"]
assert left_off["drawn anew"] > 8 * left_off["another on the right"]

# %% tags=["nbval-ignore-output"]
table(["", "squared error on the left ↓"], list(left_off.items()))

# %% [markdown]
# Nearly always there is a white striped circle on the right, and the left half is the old one but for what the
# autoencoder loses in any case. Drawn anew from the same sentence, the left object looks the same at first sight; but
# it lies a pixel or two elsewhere, and the error is more than eight times as large.
#
# ## 9 · What lies between (L2)
#
# DPM-Solver++ adds no noise on the way, so the noise $z_T$ and the sentence decide the image. What lies between two
# noise maps? We turn one into the other, as in notebook 04. And between two sentences? Words cannot be mixed, but the
# vectors of the context can, the first with the first, the second with the second. `Mixed` stands in for the text
# encoder and goes from one context to the other in eleven mixtures. We do both for four noise maps (and four partners).

# %%
from course_utils.diffusion import cosine_schedule
from course_utils.latent import TextUNet
from course_utils.nets import slerp

share, shape = torch.linspace(0, 1, 11), ldm.diffusion.shape
ends = torch.randn(4, 2, *shape, generator=torch.Generator().manual_seed(13))
first, second = "a small striped red square at the left on white", "a green star at the right on white"
between = torch.stack([slerp(a.flatten(), b.flatten(), share).unflatten(1, shape) for a, b in ends])
by_noise = paint(sample_codes(ldm.diffusion, [first] * 44, 0, noise=between.flatten(0, 1)))


# %%
class Mixed(torch.nn.Module):
    def forward(self, y: torch.Tensor) -> torch.Tensor:  # guidance gives 44 sentences, then 44 empty ones
        context = text(y)
        a, b = text(tokenize([first, second]))
        context[:44] = torch.lerp(a, b, share.view(-1, 1, 1)).repeat(4, 1, 1)
        return context


# %% alt="Three walks of eleven pictures. Between noise maps the small striped square stays what it is; between two sentences it fades to nothing, and then a green star appears, also with another noise." slide="Between noise maps the picture stays as asked; half-way between sentences it fits neither" slide_points="There is no picture half-way between a square on the left and a star on the right"
mixed = DiffusionModel(
    TextUNet(unet, Mixed()),
    cosine_schedule(),
    prediction_type="v",
    num_classes=tokenize.nothing,
    condition_shape=(16,),
    clip_x0=False,
)
same_noise = ends[:, 0].repeat_interleave(11, 0)
by_words = paint(sample_codes(mixed, [first] * 44, 0, noise=same_noise))
show_rows({"between noise maps": by_noise[:11], "between sentences": by_words[:11],
           "another noise": by_words[11:22]}, scale=0.65)  # fmt: skip

# %%
noise_first = scene_accuracy(by_noise, [first] * 44)["all"].view(4, 11).double().mean(dim=0)
words_first = scene_accuracy(by_words, [first] * 44)["all"].view(4, 11).double().mean(dim=0)
words_second = scene_accuracy(by_words, [second] * 44)["all"].view(4, 11).double().mean(dim=0)

# %% tags=["L2-between"]
assert noise_first.min() > 0.7
assert noise_first.mean() > 0.9
assert words_first[0] > 0.7
assert words_second[-1] > 0.7
assert max(words_first[4:7].max(), words_second[4:7].max()) < 0.3  # half-way, neither

# %% tags=["nbval-ignore-output"]
rows = [["between noise maps: as the sentence says", *noise_first.tolist()],
        ["between sentences: as the first says", *words_first.tolist()],
        ["between sentences: as the second says", *words_second.tolist()]]  # fmt: skip
table(["of four pictures, the share", *[f"{s:.1f}" for s in share.tolist()]], rows)

# %% [markdown] slide="Latent against pixel: what changes" slide_points="Made noisy: the image, 12,288 numbers, or its codes, 1,024 | Words are heard at 32 × 32 and 16 × 16 places, or 8 × 8 and 4 × 4 | Steps per second: few, or many more | The best possible image: a real one, or what the decoder can paint"
# Between two noise maps practically all pictures are what the sentence says. Between two sentences they are what the first
# says, then what neither says, then what the second says. Look at the pictures half-way: here the square fades where it
# is, little or nothing is left, and the star comes up where it will be. There is no picture half-way between a square
# on the left and a star on the right, and the model was never trained to draw one.
#
# ## 10 · Latent against pixel (L1)
#
# | | diffusion on pixels | latent diffusion |
# | --- | --- | --- |
# | 1 · what is made noisy | the image, here 12,288 numbers | its codes, here 1,024 |
# | 2 · what is trained | U-Net and text encoder | an autoencoder first, then U-Net and text encoder on its codes |
# | 3 · words are heard at | 32 × 32 and 16 × 16 places | 8 × 8 and 4 × 4 places |
# | 4 · steps and images per second | few | many more (section 4) |
# | 5 · what the loss is spent on | all pixels alike, fine detail included | all codes alike, which hold less of the fine detail |
# | 6 · the best possible image | a real one | what the decoder can paint (section 3) |
# | 7 · fine detail | as good as the network | lost in part (section 3) |
# | 8 · words | by cross-attention | by cross-attention: they enter the U-Net, not the autoencoder |
#
# The numbers of our own parts can be counted.

# %%
from course_utils.nets import CrossAttention


def heard_at(model: DiffusionModel) -> list[int]:  # the sizes of the maps at which words are heard
    sizes = []
    layers = [layer for layer in model.net.unet.modules() if isinstance(layer, CrossAttention)]
    hooks = [
        layer.register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[2])) for layer in layers
    ]
    with torch.no_grad():
        model.net(torch.zeros(1, *model.shape), torch.tensor([500]), tokens)
    for hook in hooks:
        hook.remove()
    return sorted(set(sizes))


# %%
parts = {"autoencoder": ldm.codec, "text encoder": text, "U-Net": unet}
millions = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in parts.items()}
map_sizes = {
    "pixels": heard_at(text_diffusion((3, 64, 64), width=48, num_res_blocks=1)),
    "codes": heard_at(ldm.diffusion),
}

# %% tags=["L1-parts"] slide="Stable Diffusion has the same parts, larger" slide_points="**Autoencoder** of version 1.5: $f = 8$, 4 channels; here $f = 4$, 4 channels | **Codes**: 64 × 64 × 4 for 512 × 512 pixels; here 16 × 16 × 4 for 64 × 64 | **U-Net**: 0.86 billion weights; here 0.003 | **Text encoder**: CLIP, 77 tokens; here trained along, 16 tokens | Words get in by cross-attention, in both"
numbers = [test.x[0].numel(), codes[4][0].numel()]
assert numbers == [12288, 1024]
assert map_sizes == {"pixels": [16, 32], "codes": [4, 8]}
assert (len(scenes.WORDS), tokens.shape[1]) == (28, 16)
assert [round(millions[name], 2) for name in parts] == [0.36, 0.23, 2.99]
print({name: f"{count:.2f} million weights" for name, count in millions.items()})

# %% [markdown]
# And Stable Diffusion and its relatives, part by part. The numbers of the others are taken from their papers and, for
# SD 1.5 and FLUX.1, from their published code and model cards (see "Read on"); nothing of them is measured here. B is a
# billion.
#
# | | SD 1.5 (2022) | SDXL (2023) | SD 3 (2024) | FLUX.1-dev (2024) | here |
# | --- | --- | --- | --- | --- | --- |
# | usual size | 512 × 512 | 1024 × 1024 | 1024 × 1024 | 1024 × 1024 | 64 × 64 |
# | autoencoder | $f = 8$, 4 channels | $f = 8$, 4 channels | $f = 8$, 16 channels | $f = 8$, 16 channels | $f = 4$, 4 channels |
# | codes | 64 × 64 × 4 | 128 × 128 × 4 | 128 × 128 × 16 | 128 × 128 × 16 | 16 × 16 × 4 |
# | network | U-Net | U-Net | MM-DiT | MM-DiT, then a DiT on both kinds of tokens | U-Net |
# | its weights | 0.86 B | 2.6 B | 2 B or 8 B | 12 B | 0.003 B |
# | text encoder | CLIP L | CLIP L, OpenCLIP bigG | CLIP L, OpenCLIP bigG, T5-XXL | CLIP L, T5-XXL | ours, trained along |
# | text tokens | 77 | 77 | 77 of CLIP, 77 of T5 | up to 512 of T5 | 16 |
# | words get in by | cross-attention | cross-attention | joint attention | joint attention | cross-attention |
# | predicts | $\varepsilon$ | $\varepsilon$ | velocity of a rectified flow | velocity of a rectified flow | $v$ |
#
# Read it from left to right: the idea of this notebook stays, and nearly every part is replaced. The autoencoder keeps
# $f = 8$ but gets four times as many channels, because what it loses nobody can bring back (section 3). The noise
# prediction gives way to the straight paths of notebook 07. And the U-Net gives way to a Transformer, the **MM-DiT**
# (*multimodal diffusion transformer*): the codes are cut into patches of 2 × 2, each patch becomes a token, and image
# tokens and text tokens go through the *same* attention, each kind with weights of its own. There words look at the
# image, too; in our cross-attention only the image looks at the words. Moreover, FLUX.1-dev has been distilled from a
# model with guidance, so that it needs one run of the network per step instead of two.
#
# Size differs as much as design: Stable Diffusion 1 was trained on billions of pictures with captions, on 256 GPUs; our
# model on 200,000 scenes, on two cores, in less than two hours.
#
# ### The real autoencoder instead of ours
#
# The code above asks little of its parts: a codec has `encode` and `decode`, a text encoder turns tokens into
# vectors. So the real ones fit: `DiffusersCodec` and `ClipText` in `course_utils.latent` are a few lines each. With a
# GPU, the internet and the package `diffusers` the next cell enlarges four scenes to 512 pixels and sends them through
# the autoencoder of Stable Diffusion (335 MB). Anywhere else it says so and goes on. (`ClipText` would need a U-Net
# trained with it, so it is not shown.)


# %%
def real_codec() -> object:
    from diffusers import AutoencoderKL

    from course_utils.latent import DiffusersCodec

    return DiffusersCodec(AutoencoderKL.from_pretrained("stabilityai/sd-vae-ft-mse")).cuda()


# %% tags=["nbval-ignore-output"]
try:
    if not torch.cuda.is_available():
        raise OSError("no GPU")
    real = real_codec()
    large = torch.nn.functional.interpolate(test.x[:4], scale_factor=8, mode="bilinear").cuda()
    back = real.decode(real.encode(large)).detach().clamp(-1, 1)
    show_rows({"enlarged": large.cpu(), "through the real one": back.cpu()}, scale=2.0)
except (ImportError, OSError) as reason:
    print(f"Left out here: {reason}.")

# %% [markdown] slide="Think first: five questions" slide_points="By which factor is a step on codes cheaper, for $f = 4$ and for $f = 8$? | Why not $f = 32$? | What if the codes are not divided by their standard deviation? | Shuffle the words of a prompt: the same picture? | A striped picture, and a sentence that names no style: do the stripes come through?"
# ## 11 · Questions
#
# Think first, then unfold the answer.
#
# **1.** A U-Net's operations grow with the number of places of its map. By which factor is a step on codes cheaper than
# one on pixels, for $f = 4$ and for $f = 8$? And why is the whole sampling faster by less than that?
#
# <details><summary>Answer</summary>
#
# The map has $f^2$ times fewer places: 16 and 64. Attention among all places saves even $f^4$. The decoder must run,
# too, once per image, and it works on large maps; with few steps its share is large. And small maps keep a processor
# less busy.
#
# </details>
#
# **2.** Why not $f = 32$? Our picture would become 2 × 2 places.
#
# <details><summary>Answer</summary>
#
# The bound of section 3: the more is compressed, the more is lost, and no diffusion model can bring it back. Also the
# decoder would have to know what pictures *say*, not only how edges look; then the hard part moves from the second
# stage to the first. Rombach et al. tried $f$ = 1 to 32: 4 and 8 gave the best images.
#
# </details>
#
# **3.** What happens if the codes are not divided by `scale`? Say they had the standard deviation 5.
#
# <details><summary>Answer</summary>
#
# At most times $t$ the codes drown the noise: there is little to learn about how to begin, although sampling begins
# with pure noise. Homework 08 works out how much.
#
# </details>
#
# **4.** Shuffle the words of a prompt: "circle blue small a of left star red striped a yellow on". Do you expect the
# same picture? Try it, then take away `place` in `TextEncoder` in your mind: what then?
#
# <details><summary>Answer</summary>
#
# `show_images(ldm.sample(8, tokenize([...]).expand(8, -1)))`. One should not expect it: which colour belongs to which
# shape is said by the order alone. Without the vectors of `place` attention does not know any order: all orders of the
# same
# words would give the same vectors in another order, cross-attention sums over them whatever their order, and "a red
# star left of a blue circle" could not be told from "a blue star left of a red circle".
#
# </details>
#
# **5.** In section 8 the unsaid *colour* of the old picture came through at small $t_0$. Now take a *striped* picture
# and ask for "a yellow cross at the top left on blue": no style is said. Will the stripes come through in the same way?
#
# <details><summary>Answer</summary>
#
# There is a difference in training. A colour that is not said was left out at random: the sentence fits any colour, so
# the model has no reason to change the one that it sees in the noisy code. A style that is not said always meant
# "filled": the sentence does say it, by saying nothing. So you should expect the stripes to stay only as long as too
# little noise is added, as for the filled objects of section 8. Try it: choose `filled` from the captions with
# "striped", and `restyled(old, "filled", colour=True)`.
#
# </details>
#
# ## What to take home
#
# - Latent diffusion is an autoencoder, and inside it the unchanged DDPM: encode, diffuse, decode.
# - It gains speed, in training and in sampling, since each step works on a small map; and so higher resolution at the
#   same cost.
# - It costs: no image is better than the decoder can paint, and fine detail goes first.
# - Words enter by cross-attention: queries from the places of the image, keys and values from the words.
#   The maps of the weights show where the U-Net looks for a word's *vector*. In our model that is the word's own object
#   for some words, both halves alike for others, and rather the other object for a few.
# - Prompt, negative prompt and guidance: always two predictions of one network, for two sentences, and a step from one
#   through the other and beyond.
# - When you judge an edit, ask what the sentence says and what it leaves out. Only the second can show what came from
#   the old picture.
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | latent diffusion | 잠재 확산 모델 | diffusion on an autoencoder's codes |
# | chance level | 우연 수준 | how often one is right by luck |
# | perceptual distance | 지각적 거리 | how differently a network sees two images |
# | PSNR | 최대 신호 대 잡음비 | how small the squared error is, in decibels |
# | tokenizer | 토크나이저 | sentence to numbers, one per word |
# | text encoder | 텍스트 인코더 | numbers to vectors, each of which depends on the other words |
# | context | 컨텍스트 | the vectors of all words, which the U-Net looks at |
# | cross-attention | 교차 어텐션 | queries from the image, keys and values from the words |
# | query, key, value | 쿼리, 키, 밸류 | what a place looks for; what a word offers for comparison; what is taken from it |
# | attention map | 어텐션 맵 | how much each place attends to one word |
# | prompt, negative prompt | 프롬프트, 네거티브 프롬프트 | what is asked for, what to avoid |
# | style transfer | 스타일 변환 | another way of drawing, the same content |
# | inpainting | 인페인팅 | filling a hole in an image |
#
# ## Read on
#
# - R. Rombach et al., *High-resolution image synthesis with latent diffusion models*, CVPR 2022: the paper of Stable
#   Diffusion; sections 3 and 4.1, table 8 of the appendix for $f$. What was built from it: the model card of Stable
#   Diffusion v1 (github.com/CompVis/stable-diffusion).
# - D. Podell et al., *SDXL: improving latent diffusion models for high-resolution image synthesis*, ICLR 2024: table 1.
# - P. Esser et al., *Scaling rectified flow transformers for high-resolution image synthesis*, ICML 2024: Stable
#   Diffusion 3, the MM-DiT, and why 16 channels.
# - Black Forest Labs, *FLUX.1*, 2024: announcement, model card of FLUX.1-dev, and code
#   (github.com/black-forest-labs/flux).
# - W. Peebles, S. Xie, *Scalable diffusion models with transformers*, ICCV 2023: the DiT.
# - A. Vaswani et al., *Attention is all you need*, NeurIPS 2017.
# - R. Zhang et al., *The unreasonable effectiveness of deep features as a perceptual metric*, CVPR 2018.
# - A. Radford et al., *Learning transferable visual models from natural language supervision*, ICML 2021: CLIP.
# - R. Tang et al., *What the DAAM: interpreting Stable Diffusion using cross attention*, ACL 2023.
# - S. Jain, B. Wallace, *Attention is not explanation*, NAACL 2019: why maps of attention should be read with care.
# - C. Meng et al., *SDEdit: guided image synthesis and editing with stochastic differential equations*, ICLR 2022.
# - A. Hertz et al., *Prompt-to-prompt image editing with cross attention control*, ICLR 2023: edits that keep the layout
#   by keeping the attention maps.
# - L. Gatys, A. Ecker, M. Bethge, *Image style transfer using convolutional neural networks*, CVPR 2016: the style of a
#   painting, without words.
#
# This was the last notebook. Go back to 01 with what you know now: which family would *you* choose, for which task?
