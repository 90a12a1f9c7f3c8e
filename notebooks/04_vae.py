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
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/04_vae.ipynb)
#
# # 04 · Variational autoencoder
#
# 변분 오토인코더
#
# The autoencoder of notebook 03 draws an image from 16 numbers, but it cannot tell you *which* numbers. Draw them at
# random, and more than half of the images are no digits. The **variational autoencoder** (VAE, 변분 오토인코더) has the
# same shape, an encoder and a decoder, and one more idea: it decides first how the codes are to be distributed, and
# then learns a decoder, and an encoder, that fit. With that it becomes a **generative model** (생성 모델).
#
# After this notebook you can
#
# 1. say what the prior, the decoder's distribution and the approximate posterior are, and derive the loss from them;
# 2. check that loss: the KL term against its closed form, the bound against the exact value it bounds;
# 3. train a VAE with a Bernoulli and with a Gaussian decoder, and say what the variance of the Gaussian does;
# 4. walk through its latent space, and measure how well its codes fill the prior;
# 5. name its weaknesses, each seen: blur, dimensions that collapse, a likelihood that is fooled by simple images.
#
# Marks such as (V1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the
# notebook if what the text claims does not hold. It runs on a laptop without a GPU in about two minutes and needs
# no network. You need notebook 03, and the normal distribution.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import matplotlib.pyplot as plt
import torch
from torch import Tensor, distributions

from course_utils.autoencoders import VAE, binarise, kl_standard_normal, reparameterise
from course_utils.data import batches, load_images
from course_utils.nets import Decoder, Encoder, over_batches, seeded
from course_utils.viz import show_images, show_rows, table

# %%
train, test = load_images("digits", "train"), load_images("digits", "test")
some = test.x[:10]
show_images(some, columns=10, title="ten of the 1,000 test images")

# %% [markdown]
# ## 1 · A story of how images come about (V1)
#
# The VAE begins with a story, told in two steps:
#
# 1. Draw a code $z$ of $d$ numbers from the **prior** (사전 분포) $p(z) = N(0, I)$: each number is standard normal,
#    independent of the others. Nothing is learned here.
# 2. Draw an image $x$ from $p_\theta(x \mid z)$, a distribution whose parameters a **decoder** network computes from $z$;
#    $\theta$ are its weights.
#
# So the probability of an image is an average over all codes that could have made it:
#
# $$p_\theta(x) = \int p_\theta(x \mid z)\, p(z)\, dz$$
#
# We would like to choose $\theta$ so that the training images become as probable as possible. But for almost all $z$,
# $p_\theta(x \mid z)$ is practically 0: to hit a good one by chance we would have to try billions. What we lack is a
# good guess of which codes could have made *this* $x$. The exact answer, the **posterior** (사후 분포) $p_\theta(z \mid x)$,
# needs $p_\theta(x)$ itself. So a second network, the **encoder**, learns to guess it, as a normal distribution for
# each image, the **approximate posterior** (근사 사후 분포):
#
# $$q_\phi(z \mid x) = N\big(\mu(x),\ \operatorname{diag} \sigma^2(x)\big)$$
#
# Here is the difference to notebook 03: the encoder answers not with a point but with a small cloud, $\mu$ its middle and
# $\sigma$ its width in each dimension. The network gives $\log \sigma^2$, called `logvar` in the code, because a
# logarithm may be any number and a variance may not.

# %%
d = 16
with seeded(0):
    encoder = Encoder(2 * d)  # the network of notebook 03, with twice as many outputs: mu and logvar
    decoder = Decoder(d)
mu, logvar = encoder(some).chunk(2, dim=1)
print("mu", tuple(mu.shape), "logvar", tuple(logvar.shape))

# %% [markdown]
# ## 2 · The loss, derived (V2)
#
# Some notation. We write $q$ for $q_\phi(z \mid x)$, and $\mathbb{E}_q[f]$ for the mean of $f(z)$ over $z \sim q$. The probability of a
# code and an image together is $p_\theta(x, z) = p_\theta(x \mid z)\, p(z)$, and by Bayes' rule $p_\theta(z \mid x) = p_\theta(x, z) / p_\theta(x)$.
# How much a distribution $q$ differs from another, $p$, is measured by the **Kullback-Leibler divergence** (KL, 쿨백-라이블러 발산)
# $\mathrm{KL}(q \,\|\, p) = \mathbb{E}_q[\log q - \log p]$. It is never negative, and 0 only if the two are equal (question 2 asks why).
#
# The logarithm of $p_\theta(x)$ does not depend on $z$, so taking its mean over $z \sim q$ changes nothing.
# Insert $p_\theta(x) = p_\theta(x, z) / p_\theta(z \mid x)$ and divide and multiply by $q$:
#
# $$\log p_\theta(x)
# = \mathbb{E}_q\left[\log \frac{p_\theta(x, z)}{p_\theta(z \mid x)}\right]
# = \underbrace{\mathbb{E}_q\left[\log \frac{p_\theta(x, z)}{q_\phi(z \mid x)}\right]}_{\text{ELBO}}
# + \underbrace{\mathbb{E}_q\left[\log \frac{q_\phi(z \mid x)}{p_\theta(z \mid x)}\right]}_{\mathrm{KL}(q \,\|\, p_\theta(z \mid x))\ \ge\ 0}$$
#
# The second term is the divergence of the guess from the exact posterior. We cannot compute it, but it is at least 0. So the first term
# is a lower bound on $\log p_\theta(x)$, the **evidence lower bound** (ELBO, 증거 하한), and that one we can compute. With
# $p_\theta(x, z) = p_\theta(x \mid z)\, p(z)$ it falls into two parts:
#
# $$\text{ELBO} = \mathbb{E}_q\big[\log p_\theta(x \mid z)\big] - \mathrm{KL}\big(q_\phi(z \mid x) \,\|\, p(z)\big)$$
#
# - The first part asks that codes from the cloud decode back to $x$. It is the reconstruction error of notebook 03 in a new
#   form.
# - The second part asks that the cloud stay close to the prior, $\mu$ near 0 and $\sigma$ near 1. It is the price of a code:
#   the further and the narrower the cloud, the more it tells about $x$, and the more it costs. We count it in **nats**, the
#   unit of the natural logarithm (1 nat = 1.44 bits).
#
# Raising the ELBO makes the images more probable, or the guess $q$ closer to the exact posterior, or both.
#
# ### The KL term has a closed form
#
# For two normal distributions the integral can be done by hand. In one dimension
# $\mathbb{E}_q[\log q] = -\frac12 (\log 2\pi\sigma^2 + 1)$ and $\mathbb{E}_q[\log p] = -\frac12 (\log 2\pi + \mu^2 + \sigma^2)$. Subtract the second from the first:
#
# $$\mathrm{KL}\big(N(\mu, \sigma^2) \,\|\, N(0, 1)\big) = \tfrac12 \left(\mu^2 + \sigma^2 - 1 - \log \sigma^2\right)$$
#
# and the KL of the whole cloud is the sum. It is 0 only for $\mu = 0$, $\sigma = 1$.


# %% tags=["V2"]
def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)


draw = torch.Generator().manual_seed(0)
mu, logvar = torch.randn(5, 3, generator=draw), torch.randn(5, 3, generator=draw)
q, prior = distributions.Normal(mu, (0.5 * logvar).exp()), distributions.Normal(0.0, 1.0)
by_library = distributions.kl_divergence(q, prior).sum(dim=1)
z = mu + (0.5 * logvar).exp() * torch.randn(200_000, 5, 3, generator=draw)
by_drawing = (q.log_prob(z) - prior.log_prob(z)).sum(dim=2).mean(dim=0)  # its definition, E_q[log q - log p]
assert torch.allclose(kl(mu, logvar), by_library, atol=1e-5)
assert torch.allclose(kl(mu, logvar), by_drawing, atol=0.05)
assert torch.allclose(kl(mu, logvar), kl_standard_normal(mu, logvar))
print("Our formula, torch.distributions, 200,000 draws and the package agree.")

# %% [markdown]
# ### A decoder that is a distribution: Bernoulli
#
# What is $p_\theta(x \mid z)$? The simplest choice treats each pixel as a coin: white with the probability $\pi$, black with
# $1 - \pi$. The decoder gives one $\pi = \pi(z)$ for each pixel. Our pixels $x$ are $-1$ for black and $1$ for white; with
# $v = (x + 1) / 2$, which is 0 or 1,
#
# $$\log p_\theta(x \mid z) = \sum_{\text{pixels}} v \log \pi + (1 - v) \log(1 - \pi).$$
#
# Our digits are not quite black and white. A grey pixel $v = 0.7$ can be read as "white with probability 0.7". The
# formula is linear in $v$, so with $v = 0.7$ it gives the mean of $\log p_\theta(x \mid z)$ over all black-and-white versions of the image, each
# weighted by its probability.
#
# The last layer of the decoder is $\tanh(a)$, and a pixel's probability is $\pi = (1 + \tanh a) / 2 = \operatorname{sigmoid}(2a)$.
# We give $2a = \log \frac{\pi}{1 - \pi}$, the **logit** of $\pi$, to PyTorch's function, which stays exact where $\pi$ is almost 0 or 1.
#
# ### A gradient through chance
#
# We replace the mean over $q$ by one draw: it is right on average, and a batch averages 128 of them. But how does a gradient get from
# $z$ back to $\mu$ and $\sigma$, if $z$ was drawn at random? `torch.normal(mu, sigma)` gives numbers without a gradient. The
# **reparameterisation trick** (재매개변수화 기법) puts the chance outside: draw $\epsilon \sim N(0, I)$, which depends on no weight, and compute
#
# $$z = \mu + \sigma\, \epsilon.$$
#
# Now $z$ has the right distribution and is an ordinary function of $\mu$ and $\sigma$, with $\partial z / \partial \mu = 1$ and
# $\partial z / \partial \sigma = \epsilon$. That is all there is to the loss, the negative ELBO:


# %%
def loss(x: Tensor, eps: Tensor) -> Tensor:
    mu, logvar = encoder(x).chunk(2, dim=1)
    z = mu + (0.5 * logvar).exp() * eps
    logits = 2 * decoder.before_tanh(z)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, (x + 1) / 2, reduction="none")
    return (bce.sum(dim=(1, 2, 3)) + kl(mu, logvar)).mean()


# %%
model = VAE(latent_dim=d)
model.encoder.load_state_dict(encoder.state_dict())
model.decoder.load_state_dict(decoder.state_dict())
eps = torch.randn(len(some), d, generator=torch.Generator().manual_seed(1))
assert torch.allclose(model.loss(some, generator=torch.Generator().manual_seed(1)), loss(some, eps))
print("The package's VAE gives the same loss.")

# %% [markdown]
# Both parts are summed, over pixels and over dimensions, and averaged over the batch. That matters. If one of the
# two were *averaged* over its dimensions, it would be divided by 784 or 16, which no formula asks for.
#
# ## 3 · Train it (V1)
#
# 1,000 steps with batches of 128, about 30 seconds on two cores.

# %%
from course_utils.training import Objective, fit, warmup_cosine


def train_live(model: VAE, steps: int, parameters: list | None = None) -> None:
    optimizer = torch.optim.Adam(parameters or model.parameters(), lr=2e-3)
    objective = Objective(model, model.loss, optimizer, "-ELBO, nats", schedule=warmup_cosine)
    shuffled = batches(train, 128, steps, generator=torch.Generator().manual_seed(0))
    list(fit(objective, shuffled))  # fit yields after each step; list runs it to the end
    model.cpu()


# %%
with seeded(0):
    vae = VAE(latent_dim=16)
train_live(vae, 1000)

# %% [markdown]
# To make a new image, draw $z$ from the prior and decode it. (We show the mean of $p_\theta(x \mid z)$, the probabilities
# $\pi$ as grey levels, not coins thrown for each pixel: the noise of the coins would hide the picture.) Beside it stands the
# shipped model `vae-mnist`, the same network trained on 59,000 digits of MNIST for 12,000 steps.

# %%
from course_utils.pretrained import load_pretrained

shipped = load_pretrained("vae-mnist", "cpu")
with torch.inference_mode():
    drawn = {
        "trained here": vae.sample(1000, generator=torch.Generator().manual_seed(2)),
        "shipped": shipped.sample(1000, generator=torch.Generator().manual_seed(2)),
    }
show_rows({"real": test.x[:20]} | {name: x[:20] for name, x in drawn.items()})

# %% [markdown]
# Are these digits? Notebook 03 had a judge: an image is **readable** if the course's classifier gives one digit more than
# 95 % of its belief, and if its features lie as close to those of some training image as 95 % of real test images'
# do. The package has it as `readability`. For the plain autoencoder we draw from a Gaussian fitted to its codes, as there.

# %% tags=["V1", "nbval-ignore-output"]
from course_utils.features import readability

is_readable = readability(train.x, test.x)
plain = load_pretrained("autoencoder-mnist", "cpu")
with torch.inference_mode():
    draw = torch.Generator().manual_seed(2)
    drawn["plain autoencoder, shipped"] = plain.sample(1000, generator=draw)
shares = {name: is_readable(x).double().mean().item() for name, x in drawn.items()}
shares["(real test images)"] = is_readable(test.x).double().mean().item()
assert shares["trained here"] > 0.25
assert shares["shipped"] > shares["plain autoencoder, shipped"] + 0.1
table(["images from codes drawn at random", "share readable"], list(shares.items()))

# %% [markdown]
# The plain autoencoder has no prior: the Gaussian was fitted afterwards, to codes that lie as they happened to. For the VAE the
# prior came first, and that is the main difference: its decoder was trained on codes that cover the prior, so codes drawn from it decode
# well far more often. Not always: real images are readable nearly twice as often. The model trained here, after half a minute on 4,000
# digits, is not as far.
#
# ## 4 · Is the bound a bound? (V2)
#
# The derivation says $\log p_\theta(x) = \text{ELBO} + \mathrm{KL}(q \,\|\, p_\theta(z \mid x))$. For a code of *two* numbers
# we can check it, because the integral over the plane can be done on a fine grid: evaluate $p_\theta(x \mid z)\, p(z)$ at 103,041
# codes, add up, multiply by the area of a grid cell. The shipped `vae-2d-mnist` has such a code. We take 20 test images, made black
# and white (`binarise` throws the coin for each pixel), since that is what the Bernoulli decoder is a distribution of.
#
# (In the function below, $v \log \pi + (1 - v) \log (1 - \pi) = 2a\, v + \log(1 - \pi)$ with the logit
# $2a = \log \frac{\pi}{1 - \pi}$: one matrix product serves all codes and all images.)

# %%
plane = load_pretrained("vae-2d-mnist", "cpu")
x = binarise(test.x[:20], generator=torch.Generator().manual_seed(3))
v = (x.flatten(1) + 1) / 2


def log_joint(z: Tensor) -> Tensor:  # log p(x, z) for codes (M, 2) and the 20 images: (M, 20)
    logits = 2 * over_batches(plane.decoder.before_tanh, z).flatten(1)
    log_black = torch.nn.functional.logsigmoid(-logits)  # log(1 - pi)
    log_likelihood = logits @ v.T + log_black.sum(dim=1, keepdim=True)
    return log_likelihood + prior.log_prob(z).sum(dim=1, keepdim=True)


side = torch.linspace(-4, 4, 321)
grid, log_cell = torch.cartesian_prod(side, side), 2 * (side[1] - side[0]).log()
joint = torch.cat([log_joint(part) for part in grid.split(10_000)])  # (103041, 20)
log_p = joint.logsumexp(dim=0) + log_cell  # (20,): log p(x), exact up to the grid

# %% [markdown]
# On the same grid we get the exact posterior, $p_\theta(x, z) / p_\theta(x)$, and its distance from the encoder's guess. The ELBO we
# take from the package, averaged over 300 draws of $z$.

# %% tags=["V2", "nbval-ignore-output"]
with torch.inference_mode():
    mu, logvar = plane.posterior(x)
    draw = torch.Generator().manual_seed(4)
    draws = torch.stack([plane.elbo(x, generator=draw).total for _ in range(300)])  # (300, 20)
elbo, error = draws.mean(dim=0), draws.std(dim=0) / 300**0.5
q = distributions.Normal(mu, (0.5 * logvar).exp())
log_q = q.log_prob(grid[:, None, :]).sum(dim=2)  # (103041, 20)
gap = ((log_q + log_cell).exp() * (log_q - (joint - log_p))).sum(dim=0)  # KL(q || p(z|x))
assert ((log_q + log_cell).exp().sum(dim=0) - 1).abs().max() < 0.05  # the grid is fine enough for q
assert (elbo < log_p + 3 * error).all()
assert ((elbo + gap - log_p).abs() < 5 * error + 0.15).all()
rows = {"log p(x), grid": log_p, "ELBO, drawn": elbo, "KL(q ‖ p(z|x)), grid": gap}
table(["nats", "mean of 20 images", "median", "largest"],
      [[name, n.mean().item(), n.median().item(), n.max().item()] for name, n in rows.items()])  # fmt: skip

# %% [markdown]
# The bound holds for each image, and what is missing is the KL term, up to the chance in the draws. It is about one nat for most
# images, but tens of nats for a few. The pictures show why. Blue: where the exact posterior has a tenth and a half of its height. Orange:
# the same for the encoder's guess. Five images as they come, then the one with the largest gap.

# %%
chosen = [*range(5), int(gap.argmax())]
fig, axes = plt.subplots(1, 6, figsize=(10, 2), layout="constrained")
for k, ax in zip(chosen, axes, strict=True):
    best = grid[joint[:, k].argmax()]
    middle, reach = (mu[k] + best) / 2, (mu[k] - best).abs().max() / 2 + 0.2
    ticks = torch.linspace(-1, 1, 61) * reach
    codes = torch.cartesian_prod(middle[0] + ticks, middle[1] + ticks)
    for log_density, color in (
        (log_joint(codes)[:, k], "C0"),
        (q.log_prob(codes[:, None])[:, k].sum(dim=1), "C1"),
    ):
        density = (log_density - log_density.max()).exp().view(61, 61).T
        ax.contour(middle[0] + ticks, middle[1] + ticks, density, levels=[0.1, 0.5], colors=color)
    ax.set_title(f"a {test.y[k].item()}: gap {gap[k]:.1f}")
plt.show()

# %% [markdown]
# The guess is an ellipse along the axes, because we gave $q$ one $\sigma$ for each dimension and no correlation. What would the *best*
# such ellipse miss? Give it the exact posterior's mean and, so that it stays inside a tilted one, the inverse of the diagonal of its
# inverse covariance as variance.

# %% tags=["V2"]
weights = (joint - log_p + log_cell).exp()  # the exact posterior on the grid; each column sums to 1
mean = weights.T @ grid  # (20, 2)
outer = torch.einsum("mk,mi,mj->kij", weights, grid, grid) - mean[:, :, None] * mean[:, None, :]
best = distributions.Normal(mean, outer.inverse().diagonal(dim1=1, dim2=2).rsqrt())
log_best = best.log_prob(grid[:, None, :]).sum(dim=2)
least = ((log_best + log_cell).exp() * (log_best - (joint - log_p))).sum(dim=0)
assert least.median() < 0.25 * gap.median()
assert least.max() < 0.25 * gap.max()
print("The best ellipse misses less than a quarter of what the encoder misses.")

# %% [markdown]
# So the shape of the guess costs little. What costs is that *one* network guesses for all images, and its guess lies a little beside
# the right place: about one nat as a rule, and very much for an unusual image, for which it points somewhere else altogether. This is
# called the **amortisation gap** (상각 격차).
#
# For 16 numbers there is no grid. But the bound can be tightened by drawing several codes and averaging *inside* the
# logarithm (Burda et al., 2016):
#
# $$\mathbb{E}\left[\log \frac{1}{K} \sum_{k=1}^{K} \frac{p_\theta(x \mid z_k)\, p(z_k)}{q_\phi(z_k \mid x)}\right], \qquad z_1, \dots, z_K \sim q_\phi(z \mid x)$$
#
# For $K = 1$ this is the ELBO. With growing $K$ the encoder's misfit matters less and less, and the *mean* climbs to the exact value,
# more or less quickly; a single estimate may by chance lie above it. This is how VAEs are compared in papers; the method is
# `iwae_bound`.

# %% tags=["V2"]
Ks = (1, 3, 10, 30, 100, 300, 1000)
draw = torch.Generator().manual_seed(5)
missing = []
for K in Ks:
    runs = [log_p - plane.iwae_bound(x, K, generator=draw) for _ in range(max(1, 30 // K))]
    missing.append(torch.stack(runs).mean(dim=0))
missing = torch.stack(missing)  # (7, 20): exact minus estimate
assert missing[0].median() > missing[2].median() > missing[-1].median()
assert missing[-1].median() < 0.3
assert missing[-1].min() > -0.5  # not above the exact value, but for chance

fig, ax = plt.subplots(figsize=(5, 2.5), layout="constrained")
ax.plot(Ks, missing, color="C0", ls="-", alpha=0.3, lw=1)
ax.plot(Ks, missing.median(dim=1).values, "ko-", label="median")
ax.set(xscale="log", yscale="symlog", xlabel="$K$", ylabel="missing nats")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Each thin line is an image (the vertical axis is logarithmic, but lets 0 and negative values pass). Most come within a fraction of a
# nat. For a few the cloud lies beside the right region, and it takes hundreds of codes to hit it. For one it lies so far away that a
# thousand are not enough. An estimate of a likelihood is only as good as its proposals.

# %% [markdown]
# ## 5 · The other decoder: Gaussian (V2)
#
# Pixels of a photograph are not coins. The other usual choice takes each pixel as normal around the decoded value
# $g(z)$, with one standard deviation $\sigma_x$ for all $D = 784$ pixels:
#
# $$\log p_\theta(x \mid z) = -\frac{\lVert x - g(z) \rVert^2}{2 \sigma_x^2} - D \log \sigma_x - \frac{D}{2} \log 2\pi$$
#
# There is the squared error of notebook 03, divided by $2 \sigma_x^2$. So $\sigma_x$ sets a rate of exchange: one nat of KL is worth
# $2 \sigma_x^2$ of squared error. With a large $\sigma_x$ errors are cheap and codes are expensive. One can fix $\sigma_x$ by hand, or learn it
# like a weight. The derivative with respect to $\sigma_x$ is zero where
#
# $$\sigma_x^2 = \frac{1}{D}\, \mathbb{E} \lVert x - g(z) \rVert^2,$$
#
# the mean taken over training images and over codes $z$ from their clouds. So the learned one ought to settle at the root mean squared
# error of a pixel. Two short trainings, 400 steps each. The model
# keeps $\log \sigma_x$ as one weight, and we give it ten times the learning rate: it begins at $\sigma_x = 1$, has a long way to go
# and few steps.

# %%
gaussian = {}
for name, sigma in (("σ = 1, fixed", 1.0), ("σ learned", None)):
    with seeded(0):
        model = VAE(latent_dim=16, likelihood="gaussian", sigma=sigma)
    weights = [*model.encoder.parameters(), *model.decoder.parameters()]
    train_live(model, 400, [{"params": weights}, {"params": [model.log_sigma], "lr": 2e-2}])
    gaussian[name] = model

# %% tags=["V2", "nbval-ignore-output"]
from course_utils.autoencoders import squared_error


def report(model: VAE) -> list[float]:
    draw = torch.Generator().manual_seed(6)
    with torch.inference_mode():
        kl = model.elbo(test.x, generator=draw).kl.mean().item()
        readable = is_readable(model.sample(1000, generator=draw)).double().mean().item()
    return [squared_error(over_batches(model, test.x), test.x).mean().item(), kl, readable]


decoders = {"Bernoulli, 1,000 steps": vae}
decoders |= {f"Gaussian, {name}": model for name, model in gaussian.items()}
reports = {name: report(model) for name, model in decoders.items()}
header = ["decoder", "squared error", "KL, nats", "random codes readable"]
table(header, [[name, *values] for name, values in reports.items()])

# %% tags=["V2"]
learned = gaussian["σ learned"]
with torch.inference_mode():
    z = reparameterise(*learned.posterior(train.x), generator=torch.Generator().manual_seed(7))
    rms = (learned.decode(z) - train.x).square().mean().sqrt().item()
assert abs(learned.log_sigma.exp().item() / rms - 1) < 0.1
assert reports["Gaussian, σ learned"][0] < 0.8 * reports["Gaussian, σ = 1, fixed"][0]
assert reports["Gaussian, σ learned"][1] > 1.5 * reports["Gaussian, σ = 1, fixed"][1]
assert reports["Gaussian, σ learned"][2] < reports["Gaussian, σ = 1, fixed"][2] + 0.05
show_rows({"image": some} | {name: over_batches(model, some) for name, model in decoders.items()})

# %% [markdown]
# The learned $\sigma_x$ agrees with the closed form within a tenth. It is far below 1, so squared error counts for more: the
# reconstructions are better and the codes tell more (a higher KL). Its random codes are not more readable for that: the more the clouds
# tell, the smaller they are, and the harder it is to fill the prior with them. (The first row was trained for longer; compare the other
# two.)
#
# One warning. The two likelihoods (가능도, $p_\theta(x \mid z)$ as a measure of how well $z$ explains $x$) cannot be compared in nats. The Bernoulli decoder gives *probabilities* of black-and-white
# images, at most 1, the Gaussian one *densities* of grey images, which may be far above 1.

# %% [markdown]
# ## 6 · Posterior collapse, and two cures
#
# At the start of training the decoder does not use the code yet. Any information in the code costs KL at
# once and does not help yet. So the cheapest first move is to make all clouds equal to the prior: $\mu = 0$, $\sigma = 1$ for every image. If the
# decoder then learns to live without a code, it is hard to find the way back. A dimension whose KL is almost 0 says nothing about $x$; we
# call it **inactive**, and this failure **posterior collapse** (사후 분포 붕괴). It threatens where the KL term is strong or the
# decoder powerful. We provoke it with a KL term that counts tenfold: the loss becomes
# $-\mathbb{E}_q[\log p_\theta(x \mid z)] + \beta\, \mathrm{KL}$ with $\beta = 10$.
#
# Two cures:
#
# - **Warm-up** (워밍업) of $\beta$ (not of the learning rate): begin with $\beta = 0$ and raise it during the first half of the training. The decoder learns to use the code
#   before the code is taxed.
# - **Free bits** (자유 비트; Kingma et al., 2016): the first $\lambda$ nats of each dimension are free. The loss counts
#   $\beta \sum_j \max(\lambda, \mathrm{KL}_j)$, where $\mathrm{KL}_j$ is averaged over the batch; below $\lambda$ its gradient is 0. We take
#   $\lambda = 0.5$.
#
# `fit` gives back control after each step, so a warm-up is one line in the loop.


# %%
def train_taxed(free_bits: float = 0.0, warmup: int = 0, steps: int = 300) -> VAE:
    with seeded(0):
        model = VAE(latent_dim=16, beta=10.0, free_bits=free_bits)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    objective = Objective(model, model.loss, optimizer, schedule=warmup_cosine)
    shuffled = batches(train, 128, steps, generator=torch.Generator().manual_seed(0))
    if warmup:
        model.beta = 0.0
    for record in fit(objective, shuffled, progress=False):
        if warmup:
            model.beta = 10.0 * min(1.0, record.step / warmup)
    return model.cpu()


taxed = {
    "β = 10": train_taxed(),
    "with warm-up": train_taxed(warmup=150),
    "with free bits": train_taxed(free_bits=0.5),
}

# %% tags=["nbval-ignore-output"]
from course_utils.autoencoders import kl_each_dimension


def kl_of_dimensions(model: VAE, x: Tensor = test.x) -> Tensor:
    with torch.inference_mode():
        return kl_each_dimension(*model.posterior(x)).mean(dim=0).sort(descending=True).values


def taxed_loss(model: VAE) -> float:  # the same for all three: without free bits
    with torch.inference_mode():
        parts = model.elbo(test.x, generator=torch.Generator().manual_seed(8))
    return (10 * parts.kl - parts.log_likelihood).mean().item()


each = {name: kl_of_dimensions(model) for name, model in taxed.items()}
losses = {name: taxed_loss(model) for name, model in taxed.items()}
active = {name: int((kl > 0.1).sum()) for name, kl in each.items()}
assert each["β = 10"].sum() < 0.8 * each["with warm-up"].sum()
assert losses["with warm-up"] < losses["β = 10"] - 0.5
assert active["β = 10"] <= 4
assert ((each["with free bits"] - 0.5).abs() < 0.15).all()
table(["training", "KL, nats", "dimensions with KL > 0.1", "loss with β = 10"],
      [[name, each[name].sum().item(), active[name], losses[name]] for name in taxed])  # fmt: skip

# %%
show_rows({"image": some} | {name: over_batches(model, some) for name, model in taxed.items()})

# %% [markdown]
# Collapsed, the model draws nearly the same shape for every image: the average digit. With warm-up the same loss, with the same
# weight on KL, ends *lower*: what the collapsed model found was not the best for its loss, and by the end of the training it had not
# found the way out. Free bits change the loss itself. All 16 dimensions settle near the half nat that costs nothing, and the code tells
# most.
#
# ## 7 · How much should a code tell? A series over β
#
# Used with care, $\beta$ is a useful dial (Higgins et al., 2017). It trades the two parts of the ELBO against each other: how
# much a code tells (KL, the *rate*, 율) against how badly it decodes ($-\log p_\theta(x \mid z)$, the *distortion*, 왜곡). The course ships
# the two-number VAE trained at four values of $\beta$, each on 59,000 digits.

# %% tags=["nbval-ignore-output"]
series = {
    0.1: load_pretrained("vae-2d-beta-0.1-mnist", "cpu"),
    1: plane,
    4: load_pretrained("vae-2d-beta-4-mnist", "cpu"),
    16: load_pretrained("vae-2d-beta-16-mnist", "cpu"),
}
draw = torch.Generator().manual_seed(9)
with torch.inference_mode():
    parts = {beta: model.elbo(test.x, generator=draw) for beta, model in series.items()}
rate = [part.kl.mean().item() for part in parts.values()]
distortion = [-part.log_likelihood.mean().item() for part in parts.values()]
assert rate == sorted(rate, reverse=True)
assert distortion == sorted(distortion)
assert rate[1] + distortion[1] == min(r + d for r, d in zip(rate, distortion, strict=True))
rows = [[f"{beta:g}", r, d, -r - d] for beta, r, d in zip(series, rate, distortion, strict=True)]
table(["β", "rate, nats", "distortion, nats", "ELBO"], rows)

# %% [markdown]
# The ELBO is best at $\beta = 1$: it is what that model was trained for.
#
# Now look at the spaces. **Move the slider** and watch the dots, the means $\mu(x)$ of 300 test images. **Drag** over the
# map to decode a point. Then walk between two images.

# %%
from course_utils.explorers import Choice, Explorer, LatentExplorer, Panel, Readout, Slider

title = "Two numbers, four values of β"
LatentExplorer(series, test, series="β", grid=15, points=300, anchors=4, title=title)

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At $\beta = 0.1$ the dots spread far beyond the prior, whose bulk lies within 3 of the origin: nats are cheap, so the model buys
# room. Codes drawn from $N(0, I)$ reach only the middle of that map. At $\beta = 1$ the dots fill a disc like a sample of the
# prior. At 4 and 16 they draw together, classes overlap, and the decoder answers with fewer and more average digits. At 16 most of
# the map decodes to much the same shape.
#
# </details>

# %% [markdown]
# ## 8 · Do the codes cover the prior? (V1)
#
# We draw new codes from $p(z)$. The decoder was trained on codes of another distribution: take a training image at random, then a
# code from its cloud. The mixture of all clouds is the **aggregate posterior** (집계 사후 분포)
#
# $$q(z) = \frac{1}{N} \sum_{i=1}^{N} q_\phi(z \mid x_i).$$
#
# If it equals the prior, there are no holes. Let us compare, dimension by dimension, for the shipped VAE with 16 numbers.

# %%
with torch.inference_mode():
    mu, logvar = shipped.posterior(train.x)
aggregate = reparameterise(mu, logvar, generator=torch.Generator().manual_seed(10))
order = kl_each_dimension(mu, logvar).mean(dim=0).argsort(descending=True)
bell = torch.linspace(-4, 4, 100)

fig, axes = plt.subplots(2, 8, figsize=(10, 3), sharex=True, sharey=True, layout="constrained")
for rank, (j, ax) in enumerate(zip(order, axes.flat, strict=True), start=1):
    ax.hist(aggregate[:, j], bins=40, range=(-4, 4), density=True, color="C0", alpha=0.4)
    ax.hist(mu[:, j], bins=40, range=(-4, 4), density=True, color="C1", histtype="step")
    ax.plot(bell, prior.log_prob(bell).exp(), "k-", lw=1)
    ax.set(title=f"$z_{{{rank}}}$, σ ≈ {(0.5 * logvar[:, j]).exp().mean():.2f}", ylim=(0, 1))
plt.show()

# %% tags=["V1"]
codes = over_batches(plain.encode, train.x)
assert (aggregate.mean(dim=0).abs() < 0.15).all()
assert ((aggregate.var(dim=0) - 1).abs() < 0.2).all()
off_diagonal = torch.corrcoef(aggregate.T) - torch.eye(16)
assert off_diagonal.abs().max() < 0.25
assert torch.corrcoef(codes.T).sub(torch.eye(16)).abs().max() > off_diagonal.abs().max()
print("Mean near 0, variance near 1, little correlation; the plain autoencoder's codes have more.")

# %% [markdown]
# Blue: codes from the clouds; black: the prior; orange: the middles $\mu$ alone, which are narrower, for a cloud has a width of
# its own. The dimensions are sorted by their KL. The most telling ones come first, with narrow clouds. The last ones are inactive:
# $\mu$ is near 0 for every image, $\sigma$ is near 1, and they carry nothing. The model has found that it needs fewer than 16 numbers.
#
# By the eye, each dimension looks like the prior. That is necessary, not sufficient: 16 dimensions can be normal one by one and still leave
# holes together. The share of readable images in section 3 is the test that counts. The VAE's is not that of real images either:
# between the islands of the digits some shapes are neither, and the decoder, being continuous, must draw something there.
#
# ## 9 · From one image to another
#
# A straight walk between codes is $z_t = (1 - t)\, z_A + t\, z_B$. Now that the prior is known we can ask where it leads. Draws from
# $N(0, I)$ in 16 dimensions nearly all lie at a distance of about $\sqrt{16} = 4$ from the origin. The middle of two independent
# ones lies at about $4 / \sqrt2 \approx 2.8$: nearer to the origin than almost any code the decoder was trained on. The
# **spherical** walk keeps the distance:
#
# $$z_t = \frac{\sin((1 - t)\,\omega)}{\sin \omega}\, z_A + \frac{\sin(t\,\omega)}{\sin \omega}\, z_B,
# \qquad \omega = \text{the angle between } z_A \text{ and } z_B.$$

# %%
from course_utils.nets import lerp, slerp

ts = torch.linspace(0, 1, 11)
draw = torch.Generator().manual_seed(11)
z_a, z_b = torch.randn(500, 16, generator=draw), torch.randn(500, 16, generator=draw)
walks = {
    "linear": torch.stack([lerp(z_a, z_b, t) for t in ts.tolist()]),
    "spherical": torch.stack([slerp(z_a, z_b, t) for t in ts.tolist()]),
}

# %% tags=["nbval-ignore-output"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.4), layout="constrained")
for name, z in walks.items():
    readable = [is_readable(over_batches(shipped.decode, step)).double().mean() for step in z]
    left.plot(ts, z.norm(dim=2).mean(dim=1), marker="o", label=name)
    right.plot(ts, readable, marker="o", label=name)
left.set(xlabel="$t$", ylabel="mean distance from the origin", ylim=(0, 5))
right.set(xlabel="$t$", ylabel="share readable", ylim=(0, 1))
left.legend(frameon=False)
middle = {name: z[5].norm(dim=1).mean().item() for name, z in walks.items()}
assert abs(middle["spherical"] - 4) < 0.2
assert abs(middle["linear"] - 4 / 2**0.5) < 0.2
plt.show()

# %%
halfway = {name: over_batches(shipped.decode, z[5]) for name, z in walks.items()}
assert halfway["linear"].var(dim=0).sum() < 0.9 * halfway["spherical"].var(dim=0).sum()
show_rows({f"{name} {pair}": over_batches(shipped.decode, z[:, pair])
           for pair in (0, 1) for name, z in walks.items()})  # fmt: skip

# %% [markdown]
# Both walks change one digit into the other without a cut. On the straight one the images in the middle resemble each other more: a code
# near the origin decodes to something average. It is the *most likely* code under the prior and yet *untypical*, a trap of many
# dimensions. Which walk is more readable, the right plot says; here it makes no great difference.
#
# ## 10 · One dimension at a time
#
# Take the code of an image, change one of its 16 numbers, leave the others, decode. Choose an image and one of the eight most telling
# dimensions, and move the value. The ninth choice is an inactive one: nothing will happen.

# %%
picks = [int((test.y == k).nonzero()[2]) for k in range(6)]
kept = [*order[:8].tolist(), int(order[-1])]
values = torch.linspace(-3, 3, 13)
z = shipped.encode(test.x[picks]).detach()
moved = z[:, None, None, :].repeat(1, len(kept), len(values), 1)  # (6, 9, 13, 16)
for k, j in enumerate(kept):
    moved[:, k, :, j] = values
frames = over_batches(shipped.decode, moved.flatten(0, 2)).unflatten(0, moved.shape[:3])
own = (z[:, kept] * 10).round() / 10

# %%
names = [f"number {rank}" for rank in range(1, 9)] + ["an inactive one"]
image = Choice("image", [str(k) for k in range(6)], test.x[picks])
dimension = Choice("dimension", names)
value = Slider("value", [f"{v:g}" for v in values.tolist()], play=True)
Explorer(
    [image, dimension, value],
    [Panel("decoded", frames, ("image", "dimension", "value")),
     Panel("all values", frames, ("image", "dimension", "value"), strip="value")],
    [Readout("the image's own value", own, ("image", "dimension"), maximum=3)],
    title="One number of the code", index=[2, 0, 6],
)  # fmt: skip

# %% tags=["nbval-ignore-output"]
change = (frames[:, :, 8] - frames[:, :, 4]).square().sum(dim=(2, 3, 4)).mean(dim=0)
assert change[:2].mean() > 1.2 * change[6:8].mean()
assert change[-1] < 0.05 * change[7]
table(["number", *range(1, 9), "inactive"], [["squared change of the image", *change.tolist()]])

# %% [markdown]
# The table: how far the image moves when the number goes from -1 to 1. Some numbers have a meaning one can name: slant, width, thickness, or a move from one digit to another. Nobody asked for that. Which
# meaning falls to which number changes with the seed; nothing in the loss says that one number should have one meaning.
#
# ## 11 · Its images are blurred (V3)
#
# How do you measure blur? Blur an image with a small Gaussian and see how much of it was lost: the energy of $x - \mathrm{blur}(x)$
# is what the image has in edges and fine detail, its **high-frequency energy** (고주파 에너지). We compare with real test images, and with
# the shipped GAN of the next notebook. To leave out that some images have more ink, we divide by the energy of the whole image (its
# squared distance from black).

# %%
from course_utils.nets import blur

gan = load_pretrained("gan-mnist", "cpu")
draw = torch.Generator().manual_seed(12)
with torch.inference_mode():
    compared = {
        "real": test.x,
        "VAE, reconstructed": over_batches(shipped, test.x),
        "VAE, from the prior": shipped.sample(1000, generator=draw),
        "GAN": gan.sample(1000, generator=draw),
    }


def detail(x: Tensor) -> float:
    return ((x - blur(x, 1.0)).square().sum() / (x + 1).square().sum()).item()


# %% tags=["V3", "nbval-ignore-output"]
compared["VAE, coins thrown"] = binarise(compared["VAE, from the prior"], generator=draw)
details = {name: detail(x) for name, x in compared.items()}
assert details["VAE, coins thrown"] > 1.3 * details["real"]
assert details["VAE, from the prior"] < 0.8 * details["real"]
assert details["VAE, reconstructed"] < 0.85 * details["real"]
assert details["GAN"] > 1.15 * details["VAE, from the prior"]
table(["images", "high-frequency energy", "of the real one"],
      [[name, value, value / details["real"]] for name, value in details.items()])  # fmt: skip

# %%
show_rows({name: x[:12] for name, x in compared.items()}, scale=0.7)

# %% [markdown]
# The VAE's images lack about a third of the fine detail, the GAN's only a small part. The reason is in the decoder. A code leaves
# things open, such as where exactly a stroke ends, and for each pixel the decoder gives its *mean* over all that is open. A mean of
# sharp edges at different places is a soft edge. It cannot do better, since it treats the pixels as independent: to draw a sharp edge at
# a random place, all pixels would have to agree on the place. (Throwing the coins does not help. Then the edge is not soft but grainy, far
# more so than in a real image: the last row.) A GAN pays no price for each pixel; it is asked only whether the whole image looks real.
#
# ## 12 · The ELBO as an alarm
#
# A model of $p(x)$ can say which images are unusual. Score an image by its negative ELBO and compute the AUROC (notebook 01): the
# probability that an anomalous image gets a higher score than a normal one. Normal are test digits. The anomalies: digits turned by half
# a circle, mirrored ones (in both cases of classes that are no digit then), pixels in disorder. And two that make trouble: digits with thinner strokes,
# and a black image.

# %%
from course_utils.metrics import auroc


def surprise(x: Tensor) -> Tensor:
    with torch.inference_mode():
        return -shipped.elbo(x, generator=torch.Generator().manual_seed(13)).total


lopsided = test.x[torch.isin(test.y, torch.tensor([3, 4, 7]))]
pixels = torch.randperm(784, generator=torch.Generator().manual_seed(14))
thin = -torch.nn.functional.max_pool2d(-test.x, 2, 1)  # the darkest of four pixels: (1000, 1, 27, 27)
anomalies = {
    "upside down": lopsided.rot90(2, dims=(2, 3)),
    "mirrored": lopsided.flip(3),
    "pixels in disorder": test.x.flatten(1)[:, pixels].view_as(test.x),
    "thin strokes": torch.nn.functional.pad(thin, (0, 1, 0, 1), value=-1.0),
    "all black": torch.full((100, 1, 28, 28), -1.0),
}

# %% tags=["nbval-ignore-output"]
alarm = {name: auroc(normal=surprise(test.x), anomalous=surprise(x)) for name, x in anomalies.items()}
assert alarm["upside down"] > 0.75
assert alarm["pixels in disorder"] > 0.99
assert abs(alarm["thin strokes"] - 0.5) < 0.15
assert alarm["all black"] < 0.1
table(["anomaly", "AUROC"], list(alarm.items()))

# %%
show_rows({name: x[:10] for name, x in anomalies.items()})

# %% [markdown]
# Digits in the wrong pose and disorder raise the alarm. Thin strokes do not: an AUROC near one half is no better than guessing. And a
# black image gets a *better* score than almost any real digit, although the model has never seen one. The likelihood of an image is not its familiarity. An image with few details is cheap: most pixels
# are black, and that is a safe bet everywhere. (About half of a digit's score is the cost of its grey pixels, whose coins no model can
# foresee; a black image has none.) To detect anomalies, one has to compare with what such an image *ought* to cost (see
# Read on, Xiao et al.).
#
# ## 13 · Questions
#
# Think first, then unfold the answer.
#
# **1.** Leave out the KL term ($\beta = 0$). What does the encoder do with its $\sigma$, and what have you got?
#
# <details><summary>Answer</summary>
#
# Noise on the code only harms the reconstruction, so $\sigma$ goes to 0 and the cloud becomes a point: the autoencoder of notebook 03. Its
# codes may lie anywhere, and there is again nothing to draw from.
#
# </details>
#
# **2.** Why is $\mathrm{KL}(q \,\|\, p_\theta(z \mid x)) \ge 0$? (Use $\log u \le u - 1$.)
#
# <details><summary>Answer</summary>
#
# $-\mathrm{KL} = \mathbb{E}_q[\log (p / q)] \le \mathbb{E}_q[p / q - 1] = \int p\, dz - \int q\, dz = 1 - 1 = 0$, with equality only where
# $p = q$.
#
# </details>
#
# **3.** Someone averages the squared error over the 784 pixels and the KL over the 16 dimensions and adds the two. Which $\beta$ is that?
#
# <details><summary>Answer</summary>
#
# $\frac{1}{784} \lVert \cdot \rVert^2 + \frac{1}{16} \mathrm{KL} = \frac{1}{784} \left( \lVert \cdot \rVert^2 + 49\, \mathrm{KL} \right)$: beside the squared
# error the KL weighs 49. With a Gaussian decoder of $\sigma_x$ the squared error stands with the factor $1 / 2\sigma_x^2$; so this is
# $\beta = 1$ with $\sigma_x^2 = 24.5$, or $\beta = 49$ with $\sigma_x^2 = 0.5$. Either way the code will collapse.
#
# </details>
#
# **4.** Change it and run again: train the 16-number VAE of section 3 with `beta=4`. What happens to the random codes' share readable, and to
# the reconstructions? Which two effects are at work?
#
# <details><summary>Answer</summary>
#
# In our runs the share readable hardly changed, while the squared error of reconstructions rose by more than a half. Two effects work
# against each other: the clouds grow and overlap, so a random code is more often near one that the decoder was trained on; but clouds
# that overlap cannot be told apart, so the decoder answers with averages.
#
# </details>
#
# **5.** The encoder is thrown away when we sample. Why train it?
#
# <details><summary>Answer</summary>
#
# To make the training possible. To raise $p_\theta(x)$ we must find codes that could have made $x$; the encoder proposes them. Without it,
# nearly every code drawn from the prior would give a likelihood, and a gradient, of 0.
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | variational autoencoder | 변분 오토인코더 | an autoencoder that is a generative model with a prior |
# | prior | 사전 분포 | $p(z)$, the distribution of codes, fixed before training |
# | posterior | 사후 분포 | $p_\theta(z \mid x)$, which codes could have made this image |
# | approximate posterior | 근사 사후 분포 | $q_\phi(z \mid x)$, the encoder's guess of it |
# | evidence lower bound | 증거 하한 | ELBO, a bound on $\log p_\theta(x)$ that can be computed |
# | Kullback-Leibler divergence | 쿨백-라이블러 발산 | how much one distribution differs from another, in nats |
# | reparameterisation trick | 재매개변수화 기법 | $z = \mu + \sigma \epsilon$: chance outside, gradient inside |
# | posterior collapse | 사후 분포 붕괴 | clouds equal to the prior; the code says nothing |
# | warm-up | 워밍업 | raise the weight of the KL term slowly |
# | free bits | 자유 비트 | the first nats of each dimension cost nothing |
# | rate, distortion | 율, 왜곡 | what a code tells; how badly it decodes |
# | aggregate posterior | 집계 사후 분포 | the mixture of all images' clouds |
# | high-frequency energy | 고주파 에너지 | what an image has in edges and fine detail |
#
# ## Read on
#
# - D. Kingma and M. Welling, *Auto-encoding variational Bayes*, ICLR 2014: the paper. Appendix B has the KL term.
# - D. Rezende, S. Mohamed, D. Wierstra, *Stochastic backpropagation and approximate inference in deep generative models*, ICML 2014: the
#   same idea at the same time.
# - Y. Burda, R. Grosse, R. Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016: the tighter bound.
# - I. Higgins et al., *β-VAE*, ICLR 2017; A. Alemi et al., *Fixing a broken ELBO*, ICML 2018: rate and distortion.
# - D. Kingma et al., *Improved variational inference with inverse autoregressive flow*, NeurIPS 2016: free bits.
# - O. Rybkin, K. Daniilidis, S. Levine, *Simple and effective VAE training with calibrated decoders*, ICML 2021: the learned $\sigma_x$.
# - Z. Xiao, Q. Yan, Y. Amit, *Likelihood regret*, NeurIPS 2020: why the ELBO fails as an alarm, and a remedy.
#
# Next: **05 · Generative adversarial network**, which asks for no likelihood at all.
