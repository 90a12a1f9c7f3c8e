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
# colour they have. The pores are routine, and come last. **Latent diffusion** (잠재 확산 모델) works like that. An
# autoencoder learns the routine once: to squeeze an image into a small map of codes, and to paint the image back. The
# costly part, diffusion, then only has to invent the sketch.
#
# Stable Diffusion is built this way. In this notebook we take it apart, and build all of its parts in small: an
# autoencoder, a U-Net, a text encoder, and the **cross-attention** (교차 어텐션) that joins words and image. At the end
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
# if what the text claims does not hold. It runs on a laptop without a GPU in about three minutes and needs no
# network. You need notebook 07, above all DDPM, guidance and the samplers; and the KL term of notebook 04.

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
from course_utils.viz import show_images, show_rows, table

# %% [markdown]
# ## 1 · A small world that can be described
#
# Text to image needs pictures with captions, and digits have none. So we draw our own world: one or two objects on a
# coloured ground, 64 × 64 pixels in colour. Each picture comes with a sentence.

# %%
train, test = load_images("scenes", "train", n=4000), load_images("scenes", "test", n=1000)
fig, axes = plt.subplots(2, 4, figsize=(11, 4.6), layout="constrained")
for ax, x, caption in zip(axes.flat, test.x, test.captions, strict=False):
    ax.imshow((x.movedim(0, 2) + 1) / 2)
    ax.set_title(fill(caption, 30), fontsize=8)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# Five shapes, six colours, two sizes, three styles, nine places for one object, four relations for two, and a ground
# of another colour: about half a million different sentences. "Large" and "filled" are the rule and are not said.
# Where exactly an object lies is drawn anew each time, so no picture comes twice.
#
# Since we know everything about these pictures, we can *measure* whether a generated one is what its caption says. A
# small classifier was trained to read them; `scene_accuracy` lets it read an image and compares with the caption,
# fact by fact. (`layout` is the place of one object or the relation of two; `all` says whether everything is right.) A
# judge must be checked before it judges:

# %%
facts = scene_accuracy(test.x, test.captions)
assert facts["all"].double().mean() > 0.99
wrong_captions = test.captions[1:] + test.captions[:1]
assert scene_accuracy(test.x, wrong_captions)["all"].double().mean() < 0.01
print("It reads real scenes right, and notices wrong captions:", ", ".join(facts))

# %% [markdown]
# And one more thing. Five pairs of shape and colour are **held out**: the training scenes have no red star, no green
# circle, no yellow square, no purple triangle and no blue cross. They do have stars, and red things. Whether a model
# can put together what it only saw apart is a question for section 7.

# %%
pairs = {(f"{colour}", f"{shape}") for shape, colour in scenes.HELD_OUT}
said = " ".join(train.captions)
assert not any(f"{colour} {shape}" in said for colour, shape in pairs)
print("Never in training:", ", ".join(" ".join(pair) for pair in sorted(pairs)))

# %% [markdown]
# ## 2 · First stage: compress (L1)
#
# The autoencoder of latent diffusion has another kind of code than those of notebooks 03 and 04: not a vector but a
# small *map*. The encoder halves the image's sides $\log_2 f$ times. With the factor $f = 4$, 64 × 64
# pixels in 3 colours become 16 × 16 places with 4 numbers each: 1,024 numbers in place of 12,288. Each number still
# knows where in the image it belongs.
#
# Its loss is that of a VAE, with two changes:
#
# $$L = \lVert \hat x - x \rVert^2 + \lambda \, P(\hat x, x) + \beta \, \mathrm{KL}\big(q(z \mid x) \,\Vert\, N(0, I)\big),
# \qquad \hat x = \mathrm{decode}(z),\; z \sim q(z \mid x).$$
#
# First, $\beta$ is tiny: 0.001, where the squared error and the KL term are sums over the image. The KL term does not
# make the codes *normal*, as in notebook 04: it only keeps them from growing without bound. The noise in $z$ sees to it
# that codes near each other decode to nearly the same image. To make codes out of normal numbers is the task of
# diffusion. Second, $P$ is a **perceptual distance** (지각적 거리), here with $\lambda = 100$: the images are also
# compared as a trained network sees them, so that an edge in its place counts more than the exact shade. (Stable
# Diffusion adds a GAN's discriminator, too.) After training we take the mean of $q(z \mid x)$ as the code.
#
# Training it took 15 minutes on two cores. We load it, and a second one with $f = 8$.

# %%
from course_utils.pretrained import load_pretrained

codecs = {
    4: load_pretrained("kl-autoencoder-scenes", "cpu"),
    8: load_pretrained("kl-autoencoder-f8-scenes", "cpu"),
}
with torch.no_grad():
    codes = {f: codec.encode(test.x[:500]) for f, codec in codecs.items()}
    decoded = {f: codecs[f].decode(z).clamp(-1, 1) for f, z in codes.items()}
difference = {f: (3 * (x_hat - test.x[:500])).clamp(-1, 1) for f, x_hat in decoded.items()}
show_rows({"image": test.x[:8], "f = 4": decoded[4][:8], "3 × its error": difference[4][:8],
           "f = 8": decoded[8][:8], "3 × its error ": difference[8][:8]}, scale=0.7)  # fmt: skip

# %% [markdown]
# Grey in the rows of errors means: no error. What little there is lies on edges and stripes: the **fine detail**. And
# it is more for $f = 8$, which keeps only 256 numbers an image.
#
# What does a code look like? Here are the four channels of one image. You can recognise the picture: a code map is a
# small, strange picture. That is why a U-Net, made for pictures, can work on it. The histogram holds all codes of 500
# images.

# %%
fig, axes = plt.subplots(1, 6, figsize=(11, 1.9), layout="constrained")
axes[0].imshow((test.x[1].movedim(0, 2) + 1) / 2)
for k in range(4):
    axes[k + 1].imshow(codes[4][1, k], cmap="gray")
    axes[k + 1].set_title(f"channel {k + 1}", fontsize=9)
axes[5].hist(codes[4].flatten().numpy(), bins=60, color="0.5")
axes[5].set_title("all codes", fontsize=9)
for ax in axes[:5]:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# `encode` divides the codes by their standard deviation, which was measured once after training. Diffusion mixes them
# with noise of variance 1, so they should have that size, too. In Stable Diffusion one over this number is called
# `scaling_factor`.

# %% tags=["L1"]
for f, z in codes.items():
    assert z.shape[2:] == (64 // f, 64 // f)
    assert 0.9 < z.std() < 1.1
    read = scene_accuracy(decoded[f], test.captions[:500])
    assert read["all"].double().mean() > 0.97
print("12 and 48 times fewer numbers, of variance 1; and what the pictures say has survived.")

# %% [markdown]
# ## 3 · What it costs (L3)
#
# Whatever the diffusion model will dream up: it is the decoder that paints it. *No image can be better than the
# autoencoder can paint.* How good is that? Four measures of what is lost:
#
# - the squared error, as **PSNR** (최대 신호 대 잡음비) in decibels, $10 \log_{10} (2^2 / \text{mean squared error})$,
#   for our pixels have a range of 2;
# - *detail kept*: the energy of the fine detail (what a slight blur takes away) against that of the real images;
# - *detail wrong*: the energy of the fine detail of the *error* against that of the real images;
# - FID of notebook 02, through the eyes of the reader: between decoded images and the very same images.

# %%
from course_utils.metrics import fid
from course_utils.nets import blur, over_batches

reader = load_pretrained("scene-reader", "cpu")


def detail(x: torch.Tensor) -> torch.Tensor:  # the energy of what a blur of one pixel takes away
    return (x - blur(x, 1.0)).square().mean()


# %%
x = test.x[:500]
seen = over_batches(reader.features, x)
rows = [["real images", 12288, float("inf"), 1.0, 0.0, 0.0]]
for f, x_hat in decoded.items():
    psnr = 10 * torch.log10(4 / (x_hat - x).square().mean()).item()
    kept, lost = detail(x_hat) / detail(x), detail(x_hat - x) / detail(x)
    distance = fid(real=seen, fake=over_batches(reader.features, x_hat))
    rows.append([f"f = {f}", codes[f][0].numel(), psnr, kept.item(), lost.item(), distance])

# %% [markdown]
# A last doubt. Perhaps the encoder is only clumsy, and the decoder *could* paint these images if it were given better
# codes? For 32 of them we look for better codes ourselves, by gradient descent on the squared error. What remains then
# is about what this decoder cannot paint.

# %% tags=["nbval-ignore-output"]
x, left = test.x[:32], {}
for f, codec in codecs.items():
    z, errors = codes[f][:32].clone().requires_grad_(), []
    adam = torch.optim.Adam([z], lr=0.02)
    for _ in range(60):
        loss = (codec.decode(z) - x).square().mean()
        errors.append(loss.item())
        adam.zero_grad()
        loss.backward()
        adam.step()
    left[f] = errors[-1] / errors[0]
print("Of the squared error stays:", ", ".join(f"{share:.0%} (f = {f})" for f, share in left.items()))

# %% tags=["L3", "nbval-ignore-output"]
real, four, eight = rows
assert eight[2] < four[2] - 2  # decibels
assert 0.05 < four[4] < eight[4]  # the share of the fine detail that comes out wrong
assert eight[3] < four[3] < 0.95  # fine detail is lost
assert 0 < four[5] < eight[5]  # FID between the decoded images and the very same images
assert all(0.5 < share < 1 for share in left.values())  # better codes help a little; most of the error stays
table(["", "numbers an image", "PSNR, dB ↑", "detail kept", "detail wrong ↓", "FID ↓"], rows)

# %% [markdown]
# With $f = 4$ a quarter of the energy of the fine detail is gone, with $f = 8$ a third, and some of what is there is
# wrong. Both are good pictures all the same: the reader still reads practically every fact in them. That is the
# bargain of latent diffusion. What the picture *says* survives a compression by 12 or 48; what is lost is what the
# eye forgives most easily. For us that is fine. Who wants to read small print, or a face in a crowd, hits this bound
# first, however good the diffusion model is.
#
# Better codes by gradient descent take away a quarter of the error or so. The rest stays, and is the decoder's: no
# diffusion model in front of it can help.

# %% [markdown]
# ### Try it: what gets lost (L3)
#
# Choose an image and slide between the image and the two factors. Where is the error? Compare flat ground,
# outlines and stripes. Why do they suffer so differently?

# %%
from course_utils.explorers import Choice, Explorer, Panel, Readout, Slider

detailed = [
    i for i, caption in enumerate(test.captions[:500]) if " small " in caption or "striped" in caption
]
shown = detailed[:8]
frames = torch.stack([test.x[shown], decoded[4][shown], decoded[8][shown]])
wrong = (3 * (frames - frames[0])).clamp(-1, 1)
by = ("decoded from", "image")
Explorer(
    [Choice("image", [str(k + 1) for k in range(8)], test.x[shown]),
     Slider("decoded from", ["the image itself", "f = 4", "f = 8"])],
    [Panel("decoded", frames, by), Panel("3 × its error", wrong, by)],
    [Readout("numbers", [12288, 1024, 256], ("decoded from",)),
     Readout("squared error", (frames - frames[0]).square().mean(dim=(2, 3, 4)), by)],
    title="What gets lost", index=[1, 2], jpeg=80,
)  # fmt: skip

# %% [markdown]
# ## 4 · Second stage: the same diffusion, on codes (L1, L2)
#
# Now the surprise: there is nothing new to write. `DiffusionModel` of notebook 07 does not care whether its "images" have 3
# channels of colour or 4 of codes. Encode the training scenes once, train on the codes, sample codes, decode.
#
# What does it buy? Two models race, one on pixels and one on codes: the same scenes and captions, the same kind of
# U-Net of the same width, 40 seconds each. `text_diffusion` builds them. (How the words get in is the subject of the next
# section. As in notebook 07, `DiffusionModel` leaves out one caption in ten during training, for guidance.)

# %%
import time

from course_utils.data import Images, batches
from course_utils.diffusion import DiffusionModel, dpmpp_2m_sample, image_to_image
from course_utils.nets import seeded
from course_utils.recipes import scene_tokenizer, text_diffusion
from course_utils.training import Objective, exponential_average, fit

tokenize = scene_tokenizer()
words = tokenize(train.captions)


def race(ddpm: DiffusionModel, x: torch.Tensor, seconds: float) -> tuple[DiffusionModel, int]:
    adam = torch.optim.AdamW(ddpm.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0)
    average = exponential_average(ddpm, 0.97)
    shuffled = batches(Images(x, words, ()), 64, 100_000, generator=torch.Generator().manual_seed(0))
    for record in fit(Objective(ddpm, ddpm.loss, adam, ema=average), shuffled, clip=1.0, progress=False):
        if record.seconds > seconds:
            break
    return average.module.cpu().eval(), record.step


# %%
racers, steps = {}, {}
train_codes = over_batches(codecs[4].encode, train.x).clone()
for name, x in {"pixels": train.x, "codes": train_codes}.items():
    with seeded(0):
        ddpm = text_diffusion(x.shape[1:], width=48, num_res_blocks=1, clip_x0=name == "pixels")
    racers[name], steps[name] = race(ddpm, x, 40)


# %% [markdown]
# Sampling as in notebook 07, with DPM-Solver++ in ten steps under guidance; `paint` is the decoder.


# %%
def sample_codes(
    model: DiffusionModel, sentences: list[str], seed: int, *, w: float = 2.0,
    noise: torch.Tensor | None = None, negative: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    if noise is None:
        noise = torch.randn(len(sentences), *model.shape, generator=torch.Generator().manual_seed(seed))
    y = tokenize(sentences)
    *_, last = dpmpp_2m_sample(model, noise, steps=10, y=y, guidance=w, negative=negative)
    return last.x_t


def paint(z: torch.Tensor) -> torch.Tensor:
    return over_batches(codecs[4].decode, z, 100).clamp(-1, 1)


# %%
is_alone = test.attributes["place"] >= 0  # one object: enough for a short race
alone = [caption for caption, one in zip(test.captions, is_alone, strict=True) if one]
made, seconds = {}, {}
for name, n in {"pixels": 20, "codes": 100}.items():  # on pixels 20 take long enough
    began = time.perf_counter()
    z = sample_codes(racers[name], alone[:n], seed=1)
    made[name] = z.clamp(-1, 1) if name == "pixels" else paint(z)
    seconds[name] = (time.perf_counter() - began) / n
show_rows({f"{name}, {steps[name]} steps": x[:8] for name, x in made.items()}, scale=0.7)

# %% tags=["L1", "L2", "nbval-ignore-output"]
rows = []
for name, x in made.items():
    right = scene_accuracy(x, alone[: len(x)])
    shares = [right[fact].double().mean().item() for fact in ("ground", "layout", "colour", "shape")]
    rows.append([name, steps[name], 1 / seconds[name], *shares])
pixels, small = rows
assert small[1] > 4 * pixels[1]  # steps of training in the same time
assert small[2] > 4 * pixels[2]  # images a second; about 10 on a quiet machine, less on a busy one
assert small[3] > pixels[3] + 0.2  # and what it has learned: to begin with, the ground's colour
table(["on", "steps ↑", "images a second ↑", "ground ↑", "layout ↑", "colour ↑", "shape ↑"], rows)

# %% [markdown]
# The last four columns are shares of images in which the fact is right. In the same time the model on codes takes
# eight to nine times as many steps of training, and then draws about ten times as many images a second, on the two cores
# where this was written. After 40 seconds it paints the ground that the sentence asks for; of objects there are at
# best a few marks. To draw them, the right one at the right place, takes longer: the model of the next section had
# 15,000 steps, an hour. The one on pixels has got so few steps that it still draws noise; at its pace the hour
# becomes a working day.
#
# The times of drawing include all that it takes, for codes also the decoder. It runs once an image, the U-Net twenty
# times (ten steps, twice each for guidance). That is the whole trick: the many steps work on a small map, and the
# pixels are paid for only once. What the table leaves out is the training of the autoencoder, 15 minutes once for all
# models that will ever use its codes.
#
# ## 5 · How words get in: cross-attention (L2)
#
# A sentence becomes numbers in two steps. The **tokenizer** (토크나이저) gives each word a number, and fills up with
# "nothing" to a length of 16.

# %%
prompt = "a striped red star left of a small blue circle on yellow"
tokens = tokenize([prompt])
print(tokens[0].tolist())
print(" ".join(scenes.WORDS[k] if k < len(scenes.WORDS) else "·" for k in tokens[0]))

# %% [markdown]
# Then the **text encoder** (텍스트 인코더), a small Transformer, turns each number into a vector that knows of the other
# words: the vector of "star" must tell that *this* star is red and striped. (Stable Diffusion takes the text encoder
# of CLIP, trained before on 400 million pictures with captions. Ours is trained along with the U-Net.) The result is
# called the **context**: 16 vectors $c_1, \dots, c_{16}$, one for each word and for each "nothing".
#
# Now the U-Net must look at them. Take one place of its map; let $h$ be its features, normalised. It makes a **query**
# $q = W_q h$; each word $j$ offers a **key** $k_j = W_k c_j$ and a **value** $v_j = W_v c_j$. ($q$ and $k$ are vectors
# here, not a distribution or a number.) The place takes from the values, and more from those whose keys fit its query:
#
# $$\text{taken} = \sum_j a_j\, v_j, \qquad a = \mathrm{softmax}\!\left( \frac{q \cdot k_1}{\sqrt d}, \dots, \frac{q \cdot k_{16}}{\sqrt d} \right).$$
#
# That is **cross-attention** (교차 어텐션): queries from the image, keys and values from the words. $d$ is the length
# of $q$ and $k_j$; dividing by its root keeps the softmax from saturating. Four *heads* do this side by side, each with
# its own $W_q$, $W_k$, $W_v$. (In the code they are stacked into one matrix, and the result is split.) One more matrix
# mixes what the four have taken, and it is added to the place's features. We load the model that the course ships,
# trained like the racer on codes but for an hour, and check one of its layers by hand.

# %%
ldm = load_pretrained("ldm-scenes", "cpu")
unet, text = ldm.diffusion.net.unet, ldm.diffusion.net.text
layer = unet.up[-1]  # the last one; the U-Net first folds the 16 × 16 codes to 8 × 8 places
h = torch.randn(1, unet.width, 8, 8, generator=torch.Generator().manual_seed(2))
context = text(tokens)
print("context:", tuple(context.shape), " map:", tuple(h.shape))

# %% tags=["L2"]
with torch.no_grad():
    places = layer.norm(h).flatten(2).transpose(1, 2)[0]  # (64 places, width)
    q, (k, v) = layer.q(places), layer.kv(context[0]).chunk(2, dim=1)
    d = unet.width // 4  # four heads
    heads = zip(q.split(d, 1), k.split(d, 1), v.split(d, 1), strict=True)
    taken = [(q_i @ k_i.T / d**0.5).softmax(dim=1) @ v_i for q_i, k_i, v_i in heads]
    ours = h + layer.out(torch.cat(taken, dim=1)).T.reshape(h.shape)
    assert torch.allclose(ours, layer(h, None, context), atol=1e-4)  # None: the time is not used here
print("Six lines: that is all of it.")

# %% [markdown]
# The weights $a_j$ can be looked at. For each place of the map they say which word it listens to; so for each *word*
# they are a picture: where in the image it was heard. `attention_maps` averages them over heads and layers. We sample
# our prompt sixteen times and look half-way down. (It asks for a red star, one of the pairs that were never in
# training. On purpose: see section 7.)

# %%
from course_utils.latent import attention_maps

noise = torch.randn(16, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(3))


def draw_and_look(sentence: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Sixteen images of a sentence, and the maps of its words half-way down: (16, words, 8, 8)."""
    y = tokenize([sentence]).expand(16, -1)
    walk = list(dpmpp_2m_sample(ldm.diffusion, noise, steps=10, y=y, guidance=2.0))
    maps = attention_maps(ldm.diffusion.net, walk[5].x_t, torch.full((16,), walk[5].t), y)
    return paint(walk[-1].x_t), maps


drawn = {sentence: draw_and_look(sentence) for sentence in (prompt, prompt.replace("left", "right"))}

# %%
said = prompt.split()
images, maps = drawn[prompt]
fig, axes = plt.subplots(2, 7, figsize=(9.5, 3), layout="constrained")
picture = (images[0].movedim(0, 2) + 1) / 2
for j, ax in enumerate(axes.flat):
    ax.imshow(picture, extent=(0, 8, 8, 0))
    if j:
        ax.imshow(maps[0, j - 1], extent=(0, 8, 8, 0), alpha=0.7, cmap="magma", interpolation="bilinear")
    ax.set_title(["the image", *said, "nothing"][j], fontsize=9)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# Each map has its own scale, from the least (dark) to the most (bright) that this word is heard. "red" and "star" light
# up on the left, where the red star is. So far, so good. But where is the *second* object heard? Not at "blue", and
# hardly at "circle": at the "of" and "a" before them, and at "on". Remember what a text encoder does: each vector knows
# of the other words. It seems to have put what it knows of the second object into these. The maps show where the U-Net
# *looks*, not what the word means to us. And "blue" and "yellow" are heard all over the ground: the weights of a place
# must add up to 1, so a place that needs nothing must look somewhere.
#
# Is it more than a pretty picture? Exchange "left" for "right" in the sentence, and the star is drawn in the other
# half. If the maps mean something, the place where "star" is heard must move with it.

# %% tags=["L2"]
heard_left = []  # the share of the left half
for sentence, (images, maps) in drawn.items():
    assert scene_accuracy(images, [sentence] * 16)["layout"].double().mean() > 0.9
    star = maps[:, said.index("star")]
    heard_left.append((star[..., :4].sum(dim=(1, 2)) / star.sum(dim=(1, 2))).mean())
assert heard_left[0] > 0.6
assert heard_left[1] < 0.4
print("Where the star is, there its word is heard.")

# %% [markdown]
# ## 6 · Ask for a picture (L2)
#
# All parts are together: tokens → context → U-Net, ten steps → decoder. `sample` does it in one call.

# %%
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
    at = sentence.index(" ", len(sentence) // 2)
    ax.set_title(f"{sentence[:at]}\n{sentence[at + 1 :]}", fontsize=8)
plt.show()

# %% [markdown]
# Try your own: change `prompts` and run the cell again. A word it does not know gets an error with all words it does
# know. What follows is the same with buttons.
#
# ### Try it: the prompt builder (L2)
#
# Build a sentence. The four pictures are drawn from four noises, the same four for all sentences. So watch, too, what
# stays when you change one word. (Three of its things, the red star for one, were never in training.)

# %%
articles = {"filled": "a", "outlined": "an outlined", "striped": "a striped"}
colours, where = ["red", "green", "blue"], ["at the left", "at the top right"]
sentences = [f"{article} {colour} {shape} {place} on white" for article in articles.values()
             for colour in colours for shape in scenes.SHAPES for place in where]  # fmt: skip
noise = torch.randn(4, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(5))
lots = [sentences[k : k + 30] for k in range(0, 90, 30)]
z = [
    sample_codes(ldm.diffusion, [s for s in lot for _ in range(4)], 0, noise=noise.repeat(30, 1, 1, 1))
    for lot in lots
]
built = paint(torch.cat(z))
fulfilled = scene_accuracy(built, [s for s in sentences for _ in range(4)])["all"]

# %%
by, sizes = ("style", "colour", "shape", "place"), (3, 3, 5, 2)
share = fulfilled.double().view(*sizes, 4).mean(dim=4)
Explorer(
    [Choice("style", list(articles)), Choice("colour", colours), Choice("shape", scenes.SHAPES), Choice("place", where)],
    [Panel("four noises", built.unflatten(0, (*sizes, 4)), by, columns=2)],
    [Readout("sentence", np.array(sentences).reshape(sizes), by), Readout("all facts right", share, by, maximum=1)],
    title="Prompt builder", index=[2, 0, 3, 0], jpeg=80,
)  # fmt: skip

# %% [markdown]
# ### Guidance (L2)
#
# Guidance works as in notebook 07: in each step the network is asked twice, with the sentence and with the empty one,
# and the answer is
#
# $$\hat v = v_\text{empty} + w\, (v_\text{sentence} - v_\text{empty}),$$
#
# so $w = 1$ is no guidance. What does it do to accuracy, and to variety? For accuracy we ask for 100 scenes of two
# objects, which are harder; for variety we draw `prompt` 40 times and look at how much its codes differ.

# %%
two = [caption for caption, one in zip(test.captions, is_alone, strict=True) if not one][:100]
weights, accuracy, variety = [1.0, 1.5, 2.0, 3.0, 5.0], [], []
for w in weights:
    right = scene_accuracy(paint(sample_codes(ldm.diffusion, two, seed=6, w=w)), two)
    accuracy.append(right["all"].double().mean().item())
    variety.append(sample_codes(ldm.diffusion, [prompt] * 40, seed=7, w=w).std(dim=0).mean().item())

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
left.plot(weights, accuracy, "o-")
left.set(title="two objects, all facts right", xlabel="guidance w", ylim=(0, 1.02))
right.plot(weights, variety, "o-", color="C1")
right.set(title="how much the codes of one sentence differ", xlabel="guidance w", ylim=(0, 1.1 * variety[0]))
plt.show()

# %% tags=["L2"]
assert max(accuracy[1:4]) > accuracy[0]
assert variety[0] > variety[1] > variety[2] > variety[3] > variety[4]
print("Guidance: more right, less varied.")

# %% [markdown]
# A little guidance helps. With more of it the variety goes on falling, and nothing is gained. (Each point on the left
# stands for 100 sentences, so a difference below 0.07 may be chance.) Here, as for digits, small weights are enough.
# Stable Diffusion uses 7.5. A caption from the web says little about its picture, so it changes the prediction little,
# and the difference has to be amplified more.
#
# ### A negative prompt (L2)
#
# A **negative prompt** (네거티브 프롬프트) takes the place of the empty sentence: we move away from *it*. Stable
# Diffusion's users write "blurry, six fingers" there. Ours: ask for "a star in the middle on white" without a colour,
# and move away from a red one, then from a blue one. (`negative` is that sentence, in place of the
# empty one.) Sentences without a colour were never in training, so the model fills in what it likes.

# %%
loose = "a star in the middle on white"
noise = torch.randn(60, *ldm.diffusion.shape, generator=torch.Generator().manual_seed(8))
stars = {"": paint(sample_codes(ldm.diffusion, [loose] * 60, 0, w=3.0, noise=noise))}
for colour in ("red", "blue"):
    avoided = tokenize([loose.replace("star", f"{colour} star")] * 60)
    stars[colour] = paint(sample_codes(ldm.diffusion, [loose] * 60, 0, w=3.0, noise=noise, negative=avoided))
show_rows({f"not {name}" if name else "no negative prompt": x[:8] for name, x in stars.items()}, scale=0.7)

# %% tags=["L2", "nbval-ignore-output"]
names = list(scenes.COLOURS)
for name, x in stars.items():
    seen = reader.read(x)[:, 3]  # the colour of the object
    counts = {colour: int((seen == names.index(colour)).sum()) for colour in names}
    assert counts.get(name, 0) < 5  # of 60
    print(f"not {name}:" if name else "no negative prompt:", counts)

# %% [markdown]
# Without a colour the model still draws something, greenish and grey; one in five the reader calls blue. Away from blue
# no star is blue any more. They are yellow, and some are no stars: "star" was in the negative prompt, too. Away from
# red they turn blue, although none was red before. So a negative prompt does keep away from what it names, but it takes
# other things along: we move away from a whole picture, not from one word.
#
# ## 7 · Put together what was only seen apart (L2)
#
# Now the question of section 1. The model has never seen a red star, a green circle, a yellow square, a purple
# triangle, a blue cross. A model that has learned pictures by heart cannot draw them. One that has understood "red"
# and "star" can. (The reader was trained on all pairs, so that it can judge; the autoencoder and the
# diffusion model were not.)

# %%
never = [f"a {colour} {shape}" for shape, colour in scenes.HELD_OUT]
y = tokenize([f"{thing} in the middle on white" for thing in never]).repeat_interleave(7, 0)
x = ldm.sample(35, y, generator=torch.Generator().manual_seed(9))
show_rows(dict(zip(never, x.split(7), strict=True)), scale=0.7)

# %%
rows = []
for pairs in ("seen", "unseen"):
    facts = scenes.sample_attributes(240, generator=torch.Generator().manual_seed(10), combinations=pairs)
    sentences = scenes.captions(facts)
    right = scene_accuracy(paint(sample_codes(ldm.diffusion, sentences, seed=11)), sentences)
    for objects, which in (("one", facts["place"] >= 0), ("two", facts["place"] < 0)):
        rows.append([pairs, objects, *[right[fact][which].double().mean().item() for fact in right]])

# %% tags=["L2", "nbval-ignore-output"]
all_right = {(pairs, objects): row[-1] for pairs, objects, *row in rows}
assert all_right["unseen", "one"] > 0.8
assert all_right["unseen", "two"] > 0.7
table(["pairs", "objects", *[f"{fact} ↑" for fact in right]], rows)

# %% [markdown]
# Red stars! All facts are right in at least seven of ten pictures, mostly in nine, nearly as often as for pairs that
# were seen. The model has not learned pictures by heart. What fails most often is the *style*, here and for the seen
# pairs: stripes and outlines are fine detail, for the U-Net as for the autoencoder.
#
# A warning. Our world is small, and its sentences say everything. Models of photographs fail at such tasks far more
# often: ask one for "a green circle to the left of a yellow square", and look where the colours have gone.
#
# ## 8 · Another style, the same layout (G4-style-transfer)
#
# **Style transfer** (스타일 변환): keep *what* is there and *where*, change *how* it is drawn. We have the means from
# notebook 07: add noise up to a time $t_0$, so that the fine is lost and the coarse is not, and walk back with
# another sentence. Now in the latent space: encode, add noise, walk back, decode. We take real pictures of filled
# objects and ask for striped and for outlined ones.


# %%
def restyled(caption: str, style: str) -> str:
    said = caption.split()
    said.insert(2 if said[1] == "small" else 1, style)
    return " ".join(["an" if said[1] == "outlined" else "a", *said[1:]])


filled = [i for i, c in enumerate(test.captions) if is_alone[i] and not ("striped" in c or "outlined" in c)]
plain = filled[:40]
wished = {style: [restyled(test.captions[i], style) for i in plain] for style in ("striped", "outlined")}
print(test.captions[plain[0]], "→", wished["striped"][0])

# %%
starts, styled = [50, 100, 200, 300, 400, 500, 700, 1000], torch.empty(2, 8, 40, 3, 64, 64)
z_0 = over_batches(codecs[4].encode, test.x[plain])
for i, sentences in enumerate(wished.values()):
    for k, t_0 in enumerate(starts):
        draw = torch.Generator().manual_seed(12)
        *_, last = image_to_image(
            ldm.diffusion, z_0, start=t_0, steps=10, y=tokenize(sentences), guidance=3.0, generator=draw
        )
        styled[i, k] = paint(last.x_t)

# %% [markdown]
# Three things are measured. The style must be the new one, and all the rest must stay: place, ground, shape, colour and
# size. The captions say only roughly where an object is; the pictures say it exactly. So we also compare where the
# middle of the object lies.


# %%
def middle(x: torch.Tensor) -> torch.Tensor:  # of all that is not ground, in pixels: (N, 2)
    away = ((x - x[:, :, :1, :1]).abs().sum(dim=1) > 0.7).float()
    line, area = torch.arange(64.0), away.sum(dim=(1, 2)).clamp_min(1)
    return torch.stack([away.sum(dim=1) @ line / area, away.sum(dim=2) @ line / area], dim=1)


# %%
rows = []
for k, t_0 in enumerate(starts):
    facts = [scene_accuracy(styled[i, k], wished[style]) for i, style in enumerate(wished)]
    style = torch.cat([f["style"] for f in facts]).double().mean().item()
    kept = torch.cat([f["layout"] & f["ground"] & f["shape"] & f["colour"] & f["size"] for f in facts])
    moved = (middle(styled[:, k].flatten(0, 1)) - middle(test.x[plain]).repeat(2, 1)).norm(dim=1)
    rows.append([t_0, style, kept.double().mean().item(), moved.median().item()])

# %% tags=["G4-style-transfer", "nbval-ignore-output"]
k = starts.index(400)
assert rows[0][1] < 0.3  # too little noise: the old style stays
assert rows[k][1] > 0.8  # enough of it: the new style
assert min(row[2] for row in rows) > 0.9  # and all the rest is as it was, for every t₀
assert rows[k][3] < 0.6 * rows[-1][3]  # and the object is nearer to its old place than if all is made anew
table(["t₀", "new style ↑", "all the rest kept ↑", "moved by, pixels ↓"], rows)

# %%
show_rows({"real": test.x[plain][:8], "striped": styled[0, k, :8], "outlined": styled[1, k, :8]}, scale=0.7)

# %% [markdown]
# These are the pictures for $t_0 = 400$. Shape, size, colour, ground and the rough place: all are kept, for every
# $t_0$, even from pure noise, for the sentence names them. What the sentence does *not* say is where exactly the
# object is. That must come from the noisy code, and the last column shows it fade: up to $t_0 = 400$ half of the
# objects move by less than half a pixel, from pure noise by almost two. With too little noise the old style shows
# through.
#
# ### Try it: how far up must one go? (G4-style-transfer)

# %%
by, frames = ("image", "style", "t₀"), styled[:, :, :8].permute(2, 0, 1, 3, 4, 5)
Explorer(
    [Choice("image", [str(k + 1) for k in range(8)], test.x[plain[:8]]), Choice("style", list(wished)),
     Slider("t₀", starts, play=True, interval=0.6)],
    [Panel("with another sentence", frames, by), Panel("all t₀", frames, by, strip="t₀")],
    [Readout("new style, share of all 80", [row[1] for row in rows], ("t₀",), maximum=1),
     Readout("the rest kept, share of all 80", [row[2] for row in rows], ("t₀",), maximum=1)],
    title="Another style", index=[0, 0, 4], jpeg=80,
)  # fmt: skip

# %% [markdown]
# ### Exchange one object
#
# Inpainting works in the latent space, too, since the map of codes lies on the picture, place by place: keep the
# codes of the left half, with RePaint of notebook 07, and let the sentence say what is to appear on the right.

# %%
from course_utils.diffusion import inpaint

beside = [i for i, c in enumerate(test.captions) if " left of " in c and not c.endswith("white")][:24]
old = [test.captions[i] for i in beside]
sentences = [f"{c.split(' left of ')[0]} left of a striped white circle on {c.split()[-1]}" for c in old]
mask = (torch.arange(16) < 8).expand(1, 1, 16, 16)  # true: keep
known = over_batches(codecs[4].encode, test.x[beside])
noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(14))
*_, last = inpaint(ldm.diffusion, noise, known=known, mask=mask, steps=10, resample=3, y=tokenize(sentences), guidance=2.0,
                   generator=torch.Generator().manual_seed(15))  # fmt: skip
exchanged = paint(last.x_t)
show_rows({"real": test.x[beside][:8], "another on the right": exchanged[:8]}, scale=0.75)

# %%
assert scene_accuracy(exchanged, sentences)["all"].double().mean() > 0.8
left_half = (
    (exchanged - test.x[beside])[..., :28].square().mean()
)  # near the border the decoder sees both sides
assert left_half < 2 * (decoded[4] - test.x[:500]).square().mean()
print("A white striped circle on the right; the left as it was, but for what the autoencoder loses.")

# %% [markdown]
# ## 9 · What lies between
#
# DPM-Solver++ adds no noise on the way, so the noise $z_T$ and the sentence decide the image. What lies between two
# noises? We turn one into the other, as in notebook 04. And between two sentences? Words cannot be mixed, but the
# vectors of the context can, the first with the first, the second with the second. `Mixed` stands in for the text
# encoder and gives ten steps from one context to the other.

# %%
from course_utils.diffusion import cosine_schedule
from course_utils.latent import TextUNet
from course_utils.nets import slerp

share, shape = torch.linspace(0, 1, 11), ldm.diffusion.shape
ends = torch.randn(2, *shape, generator=torch.Generator().manual_seed(13))
first, second = "a small striped red square at the left on white", "a green star at the right on white"
turned = slerp(ends[0].flatten(), ends[1].flatten(), share).unflatten(1, shape)
by_noise = paint(sample_codes(ldm.diffusion, [first] * 11, 0, noise=turned))


# %%
class Mixed(torch.nn.Module):
    def forward(self, y: torch.Tensor) -> torch.Tensor:  # guidance gives 11 sentences, then 11 empty ones
        context = text(y)
        a, b = text(tokenize([first, second]))
        context[:11] = torch.lerp(a, b, share.view(-1, 1, 1))
        return context


mixed = DiffusionModel(
    TextUNet(unet, Mixed()),
    cosine_schedule(),
    prediction_type="v",
    num_classes=tokenize.nothing,
    condition_shape=(16,),
    clip_x0=False,
)
by_words = paint(sample_codes(mixed, [first] * 11, 0, noise=ends[:1].expand(11, *shape)))
show_rows({"between noises": by_noise, "between sentences": by_words}, scale=0.75)

# %% [markdown]
# Between two noises all images fulfil the sentence, and where exactly the square lies wanders a little. Between two
# sentences the square fades where it is, and the star comes up where it will be, with little or nothing in the middle.
# There is no picture half-way between a square on the left and a star on the right, and the model was never asked for
# one.
#
# ## 10 · Latent against pixel (L1)
#
# | | diffusion on pixels | latent diffusion |
# | --- | --- | --- |
# | 1 · what is made noisy | the image, here 12,288 numbers | its codes, here 1,024 |
# | 2 · what is trained | one network | an autoencoder first, then a network on its codes |
# | 3 · the U-Net works at | 32 × 32 and 16 × 16 places | 8 × 8 and 4 × 4 places |
# | 4 · steps and images a second | few | many more (section 4) |
# | 5 · what the loss is spent on | all pixels alike, fine detail included | all codes alike, which hold less of the fine detail |
# | 6 · the best possible image | a real one | what the decoder can paint (section 3) |
# | 7 · fine detail | as good as the network | lost in part; the decoder fills in what is usual |
# | 8 · words | by cross-attention | by cross-attention: they enter the U-Net, not the autoencoder |
#
# And Stable Diffusion, part by part:
#
# | part | in Stable Diffusion 1.5 | here |
# | --- | --- | --- |
# | autoencoder | $f = 8$: 512 × 512 × 3 to 64 × 64 × 4; 84 million weights | $f = 4$: 64 × 64 × 3 to 16 × 16 × 4; 0.36 million |
# | size of codes | times 0.18215, the `scaling_factor` | divided by `scale`, measured |
# | tokenizer | CLIP's: 49,408 pieces of words, length 77 | 28 words, length 16 |
# | text encoder | CLIP's: 123 million weights, frozen | 0.23 million, trained along |
# | U-Net | 860 million weights, cross-attention at four sizes | 3 million, at two |
# | what it predicts | $\varepsilon$ (version 2.1 at 768 pixels: $v$) | $v$ |
# | guidance | 7.5 is usual | 2 or 3 |
# | sampler | any, 20 to 50 steps | any, 10 steps |
# | trained on | billions of pictures with captions, 256 GPUs | 100,000 scenes, two cores, about an hour |
#
# ### The real one in place of ours
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

# %% [markdown]
# ## 11 · Questions
#
# Think first, then unfold the answer.
#
# **1.** A U-Net's operations grow with the number of cells of its map. By which factor is a step on codes cheaper than
# one on pixels, for $f = 4$ and for $f = 8$? And why is the whole sampling faster by less than that?
#
# <details><summary>Answer</summary>
#
# The map has $f^2$ times fewer cells: 16 and 64. Attention among all cells saves even $f^4$. The decoder must run,
# too, once an image, and it works at large maps; with few steps its share is large. And small maps keep a processor
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
# stage to the first. Rombach et al. tried $f$ = 1 to 32: 4 and 8 are best.
#
# </details>
#
# **3.** What happens if the codes are not divided by `scale`? Say they had the standard deviation 5.
#
# <details><summary>Answer</summary>
#
# Then $x_t = \sqrt{\bar\alpha_t}\, z + \sqrt{1 - \bar\alpha_t}\, \varepsilon$ has a signal 5 times as large (25 times
# the power) at each $t$ as the schedule was made for: most time steps show a nearly clean code, and the network
# learns little about how to begin. Worse, at $t = T$ some of the code may still be left, while sampling starts from
# pure noise.
#
# </details>
#
# **4.** Shuffle the words of a prompt: "circle blue small a of left star red striped a yellow on". Do you expect the
# same picture? Try it, then take away `place` in `TextEncoder` in your mind: what then?
#
# <details><summary>Answer</summary>
#
# `show_images(ldm.sample(8, tokenize([...]).expand(8, -1)))`. Not the same: which colour belongs to which shape is
# said by the order alone. Without the vectors of `place` attention does not know any order: all orders of the same
# words would give the same vectors in another order, cross-attention sums over them whatever their order, and "a red
# star left of a blue circle" could not be told from "a blue star left of a red circle".
#
# </details>
#
# **5.** In section 8 the new sentence told everything about the picture. Leave place and ground out and ask only for "a
# striped yellow cross". What do you expect of the old place and ground as $t_0$ grows? And of the style? Try it.
#
# <details><summary>Answer</summary>
#
# In the cell that fills `styled`, replace `tokenize(sentences)` by `tokenize([s.split(" at ")[0].split(" in ")[0] for
# s in sentences])`. (The cell of the table will stop at its second assert: leave the asserts out.) Place and ground
# are kept until $t_0 = 700$ in 95 of 100 pictures or more (look at `f["layout"] & f["ground"]`), without being named:
# the noisy code tells them. From pure noise nothing can tell them, and they are as good as drawn by lot. But the
# style fails: in hardly one of 20 pictures up to $t_0 = 500$ is it the new one. All sentences in training named a
# place and a ground. One without is as strange to the text encoder as one without a colour was in section 6, and what
# it gives to the U-Net says little.
#
# </details>
#
# ## What to take home
#
# - Latent diffusion is an autoencoder, and inside it the unchanged DDPM: encode, diffuse, decode.
# - It gains speed, in training and in sampling, since each step works on a small map; and so higher resolution for the
#   same money.
# - It costs: no image is better than the decoder can paint, and fine detail goes first.
# - Words enter by cross-attention: queries from the places of the image, keys and values from the words. The weights
#   show where each word is heard.
# - Prompt, negative prompt and guidance: always two predictions of one network for two sentences, mixed.
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | latent diffusion | 잠재 확산 모델 | diffusion on an autoencoder's codes |
# | perceptual distance | 지각적 거리 | how differently a network sees two images |
# | PSNR | 최대 신호 대 잡음비 | how small the squared error is, in decibels |
# | tokenizer | 토크나이저 | sentence to numbers, one a word |
# | text encoder | 텍스트 인코더 | numbers to vectors that know of each other |
# | cross-attention | 교차 어텐션 | queries from the image, keys and values from the words |
# | prompt, negative prompt | 프롬프트, 네거티브 프롬프트 | what is wished for, what is led away from |
# | style transfer | 스타일 변환 | another way of drawing, the same content |
#
# ## Read on
#
# - R. Rombach et al., *High-resolution image synthesis with latent diffusion models*, CVPR 2022: the paper of Stable
#   Diffusion; sections 3 and 4.1, table 8 of the appendix for $f$.
# - A. Vaswani et al., *Attention is all you need*, NeurIPS 2017.
# - R. Zhang et al., *The unreasonable effectiveness of deep features as a perceptual metric*, CVPR 2018.
# - A. Radford et al., *Learning transferable visual models from natural language supervision*, ICML 2021: CLIP.
# - R. Tang et al., *What the DAAM: interpreting Stable Diffusion using cross attention*, ACL 2023.
# - C. Meng et al., *SDEdit*, ICLR 2022.
# - A. Hertz et al., *Prompt-to-prompt image editing with cross attention control*, ICLR 2023: style transfer that
#   keeps the layout by keeping the attention maps.
#
# This was the last notebook. Go back to 01 with what you know now: which family would *you* choose, for which task?
