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
# The autoencoder of notebook 03 draws an image from 16 numbers, but nothing in its loss says how these numbers are
# distributed. To draw new images we had to fit a second model to the codes afterwards. The **variational
# autoencoder** (VAE, 변분 오토인코더) has the same shape, an encoder and a decoder, but it starts from the other end: it
# first decides how the codes are distributed, and then learns a decoder and an encoder that fit. That makes it a
# **generative model** (생성 모델), and one whose loss is an upper bound on the negative log-likelihood.
#
# After this notebook you can
#
# 1. say what the prior, the decoder's distribution and the approximate posterior are, and derive the loss from them;
# 2. estimate the gradient of a mean over random draws in two ways, and say why one is so much less noisy than the other;
# 3. train a VAE with a Bernoulli and with a Gaussian decoder, and judge its samples with the metrics of notebook 02;
# 4. check the bound against the exact value, and split what a code costs into information and misfit;
# 5. name its weaknesses, each seen: blur, inactive dimensions, a prior that does not quite fit.
#
# Marks such as (V1) in a heading name a claim of the lecture, and a line that begins with `assert` stops the notebook
# if what the text claims does not hold. It runs on a plain laptop without a GPU in less than four minutes and
# needs no network. You need notebooks 02 and 03, and the normal distribution.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import Tensor, distributions, nn

from course_utils.data import Images, batches, load_images
from course_utils.progress import Watch, counted
from course_utils.viz import PALETTE, show_images, show_rows, table

# %% alt="Ten handwritten digits, 0 to 9, from the test images."
train, test = load_images("digits", "train"), load_images("digits", "test")
some = test.x[:10]
show_images(some, columns=10, title="ten of the 1,000 test images")

# %% [markdown] slide="The VAE tells a story: draw a code from a normal distribution, then an image" slide_formulas=[1, 2] slide_points="The prior $p(z) = N(0, I)$ is chosen, not learned | For almost every $z$ the value of $p_\\theta(x \\mid z)$ is practically 0 | So an encoder guesses which codes could have made this $x$: a cloud, not a point"
# ## 1 · A story of how images come about (V1)
#
# The VAE begins with a story, told in two steps:
#
# 1. Draw a code $z$ of $d$ numbers from the **prior** (사전 분포) $p(z) = N(0, I)$: each number is standard normal,
#    independent of the others. Nothing is learned here.
# 2. Draw an image $x$ from $p_\theta(x \mid z)$, a distribution whose parameters a **decoder** network computes from
#    $z$; $\theta$ are its weights.
#
# So the probability of an image is an average over all codes that could have made it:
#
# $$p_\theta(x) = \int p_\theta(x \mid z)\, p(z)\, dz$$
#
# We would like to choose $\theta$ so that the training images become as probable as possible. But for almost every
# $z$ the value of $p_\theta(x \mid z)$ is practically 0, and to hit a good $z$ by chance we would have to try a very
# large number of them. What we lack is a good guess of which codes could have made *this* $x$. The exact answer, the
# **posterior** (사후 분포) $p_\theta(z \mid x)$, needs $p_\theta(x)$ itself. So a second network, the **encoder**, learns
# to guess it. For each image it gives a normal distribution, the **approximate posterior** (근사 사후 분포):
#
# $$q_\phi(z \mid x) = N\big(\mu(x),\ \operatorname{diag} \sigma^2(x)\big)$$
#
# $\phi$ are the encoder's weights. This is the difference from notebook 03: the encoder answers not with a point but
# with a small cloud, $\mu$ its centre and $\sigma$ its width in each dimension. The network gives $\log \sigma^2$,
# called `logvar` in the code, because a logarithm may be any number and a variance may not.
#
# With $d = 2$ we can look at it. The course ships an autoencoder and a VAE with codes of two numbers, both trained on
# MNIST. Here are 100 test images in each of them.

# %%
from course_utils.pretrained import load_pretrained

points_model, plane = load_pretrained("autoencoder-2d-mnist", "cpu"), load_pretrained("vae-2d-mnist", "cpu")
with torch.inference_mode():
    points = points_model.encode(test.x)  # (1000, 2)
    mu, logvar = plane.posterior(test.x)  # (1000, 2) each
sigma = (0.5 * logvar).exp()
radius = {
    share: math.sqrt(-2 * math.log(1 - share)) for share in (0.5, 0.95)
}  # of a disc with that share of N(0, I)

# %% alt="Two maps of codes, each drawn as its digit. The autoencoder's are points close together near the origin; the VAE's are small ellipses that fill most of the circle that holds 95 % of the prior." slide="The autoencoder's codes are points; the VAE's are clouds that spread over the prior"
from matplotlib.patches import Ellipse

turn = torch.linspace(0, 2 * math.pi, 200)

fig, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for ax, centres, title in zip(
    axes, (points, mu), ("autoencoder: points", "VAE: clouds, as ellipses of 2σ"), strict=True
):
    for k in range(10):
        own = centres[:100][test.y[:100] == k]
        ax.plot(*own.T, linestyle="", marker=f"${k}$", ms=6, color=PALETTE[k])
    for (share, r), style in zip(radius.items(), ("--", ":"), strict=True):
        ax.plot(r * turn.cos(), r * turn.sin(), "k", ls=style, lw=1, label=f"{100 * share:.0f} % of N(0, I)")
    ax.legend(loc="lower right", fontsize=8)
    ax.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="$z_1$", ylabel="$z_2$", title=title, aspect="equal")
for k in range(100):
    axes[1].add_patch(Ellipse(mu[k].tolist(), *(4 * sigma[k]).tolist(), color=PALETTE[test.y[k]], alpha=0.25))
plt.show()

# %% [markdown]
# Each image is drawn as its digit. On the left it is a point, on the right an ellipse that reaches two $\sigma$ to
# each side. The two circles hold 50 % and 95 % of the prior. The autoencoder's points lie where its loss put them
# (it has a mild penalty on codes far from the origin, see notebook 03), too close together for this prior. The VAE's
# clouds spread over the discs roughly as a standard normal would, with some empty places and a few more codes
# outside: this is what we will ask of the training. Let us count, with one code from each of the 1,000 clouds.

# %% tags=["V1", "nbval-ignore-output"]
from course_utils.autoencoders import reparameterise

codes = {"points": points, "clouds": reparameterise(mu, logvar, generator=torch.Generator().manual_seed(0))}
inside = {(name, share): (z.norm(dim=1) < r).double().mean().item()
          for name, z in codes.items() for share, r in radius.items()}  # fmt: skip
assert abs(inside["clouds", 0.5] - 0.5) < 0.1
assert 0.85 < inside["clouds", 0.95] < 0.93
assert inside["points", 0.5] > 0.65
rows = [["N(0, I)", *radius], *([name, *(inside[name, share] for share in radius)] for name in codes)]
table(["share of the codes in", "the inner disc", "the outer disc"], rows)

# %% [markdown] slide="The log-likelihood is the ELBO plus a KL divergence that is never negative" slide_formulas=[1, 2]
# ## 2 · The loss, derived (V2)
#
# Some notation. We write $q$ for $q_\phi(z \mid x)$, and $\mathbb{E}_q[f]$ for the mean of $f(z)$ over $z \sim q$.
# The probability of a code and an image together is $p_\theta(x, z) = p_\theta(x \mid z)\, p(z)$, and by Bayes' rule
# $p_\theta(z \mid x) = p_\theta(x, z) / p_\theta(x)$. How much a distribution $q$ differs from another, $p$, is
# measured by the **Kullback-Leibler divergence** (KL, 쿨백-라이블러 발산)
# $\mathrm{KL}(q \,\|\, p) = \mathbb{E}_q[\log q - \log p]$. It is never negative, and 0 only if the two are equal
# (question 2 asks why).
#
# The logarithm of $p_\theta(x)$ does not depend on $z$, so taking its mean over $z \sim q$ changes nothing. Insert
# $p_\theta(x) = p_\theta(x, z) / p_\theta(z \mid x)$, then multiply and divide by $q$:
#
# $$\log p_\theta(x)
# = \mathbb{E}_q\left[\log \frac{p_\theta(x, z)}{p_\theta(z \mid x)}\right]
# = \underbrace{\mathbb{E}_q\left[\log \frac{p_\theta(x, z)}{q_\phi(z \mid x)}\right]}_{\text{ELBO}}
# + \underbrace{\mathbb{E}_q\left[\log \frac{q_\phi(z \mid x)}{p_\theta(z \mid x)}\right]}_{\mathrm{KL}(q \,\|\, p_\theta(z \mid x))\ \ge\ 0}$$
#
# The second term says how far the guess is from the exact posterior. We cannot compute it, but it is at least 0. So
# the first term is a lower bound on $\log p_\theta(x)$, the **evidence lower bound** (ELBO, 증거 하한), and that one we
# can compute. With $p_\theta(x, z) = p_\theta(x \mid z)\, p(z)$ it splits into two parts:
#
# $$\text{ELBO} = \mathbb{E}_q\big[\log p_\theta(x \mid z)\big] - \mathrm{KL}\big(q_\phi(z \mid x) \,\|\, p(z)\big)$$
#
# - The first part asks that codes from the cloud decode back to $x$. With the sign changed, it is the reconstruction
#   (재구성, also 복원) error of notebook 03 in a new form.
# - The second part asks that the cloud stay close to the prior, $\mu$ near 0 and $\sigma$ near 1. It is the price of
#   a code: the farther out and the narrower the cloud, the more it costs (and one wider than the prior costs, too).
#   We count it in **nats**, the unit of the natural logarithm (1 nat = 1.44 bits).
#
# Raising the ELBO makes the images more probable, or the guess $q$ closer to the exact posterior, or both.
#
# ### The KL term has a closed form (V2)
#
# For two normal distributions the integral can be done by hand. In one dimension
# $\mathbb{E}_q[\log q] = -\frac12 (\log 2\pi\sigma^2 + 1)$ and
# $\mathbb{E}_q[\log p] = -\frac12 (\log 2\pi + \mu^2 + \sigma^2)$. Subtract the second from the first:
#
# $$\mathrm{KL}\big(N(\mu, \sigma^2) \,\|\, N(0, 1)\big) = \tfrac12 \left(\mu^2 + \sigma^2 - 1 - \log \sigma^2\right)$$
#
# The KL of the whole cloud is the sum over its dimensions. It is 0 only for $\mu = 0$, $\sigma = 1$.

# %% slide="The price of a code has a closed form" slide_code="def kl" slide_points="The farther out the cloud, the more it costs | The narrower the cloud, the more it costs; one wider than the prior costs, too | Only $\\mu = 0$, $\\sigma = 1$ is free; we count in nats"
from course_utils.autoencoders import kl_standard_normal


def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)


# %% tags=["V2"]
draw = torch.Generator().manual_seed(0)
m, s2 = torch.randn(5, 3, generator=draw), torch.randn(5, 3, generator=draw)  # mu and logvar, drawn to try it
q, prior = distributions.Normal(m, (0.5 * s2).exp()), distributions.Normal(0.0, 1.0)
z = m + (0.5 * s2).exp() * torch.randn(200_000, 5, 3, generator=draw)
by_hand, by_library = kl(m, s2), distributions.kl_divergence(q, prior).sum(dim=1)
by_drawing = (q.log_prob(z) - prior.log_prob(z)).sum(dim=2).mean(dim=0)  # its definition, E_q[log q - log p]
assert torch.allclose(by_hand, by_library, atol=1e-5)
assert torch.allclose(by_hand, by_drawing, atol=0.05)
assert torch.allclose(by_hand, kl_standard_normal(m, s2))
print("Our formula, torch.distributions, 200,000 draws and the package agree.")

# %% [markdown] slide="The decoder is a distribution: each pixel a coin, or each pixel normal" slide_formulas=[1, 2] slide_points="**Bernoulli**: the decoder gives the probability $\\pi$ of white | **Gaussian**: the decoder gives the mean $\\hat{x}$; there is the squared error | In nats the two cannot be compared"
# ### Two decoders that are distributions (V2)
#
# What is $p_\theta(x \mid z)$? Two choices are usual. Seen as a function of $z$ (how well does this $z$ explain
# $x$?), it is called a **likelihood** (가능도).
#
# **Bernoulli.** Treat each pixel as a coin: white with probability $\pi$, black with $1 - \pi$. The decoder gives one
# $\pi$ for each pixel. Our pixels $x$ are $-1$ for black and $1$ for white; with $v = (x + 1) / 2$, which is 0 or 1,
#
# $$\log p_\theta(x \mid z) = \sum_{\text{pixels}} v \log \pi + (1 - v) \log(1 - \pi).$$
#
# Our digits are not quite black and white. A grey pixel $v = 0.7$ can be read as "white with probability 0.7". The
# formula is linear in $v$, so with $v = 0.7$ it gives the mean of $\log p_\theta(x \mid z)$ over all black-and-white
# versions of the image, each weighted by its probability. The network gives the **logit**
# $l = \log \frac{\pi}{1 - \pi}$, from which PyTorch computes both logarithms without rounding $\pi$ to 0 or 1.
#
# **Gaussian.** Pixels of a photograph are not coins. Take each pixel as normal around the decoded value $\hat{x}$,
# with one standard deviation $\sigma_x$ for all $D = 784$ pixels:
#
# $$\log p_\theta(x \mid z) = -\frac{\lVert x - \hat{x} \rVert^2}{2 \sigma_x^2} - D \log \sigma_x - \frac{D}{2} \log 2\pi$$
#
# There is the squared error of notebook 03, divided by $2 \sigma_x^2$.


# %%
def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:  # (N, C, H, W) twice → (N,)
    v = (x + 1) / 2
    cross_entropy = nn.functional.binary_cross_entropy_with_logits(logits, v, reduction="none")
    return -cross_entropy.sum(dim=(1, 2, 3))


def log_gaussian(x: Tensor, x_hat: Tensor, sigma_x: float) -> Tensor:
    D = x[0].numel()
    squared = ((x - x_hat) ** 2).sum(dim=(1, 2, 3))
    return -squared / (2 * sigma_x**2) - D * math.log(sigma_x) - D / 2 * math.log(2 * math.pi)


# %% [markdown]
# Both against PyTorch's own distributions: the Bernoulli for a black-and-white image, and for grey ones the mean over
# 2,000 black-and-white versions; the Gaussian for grey images as they are.

# %%
from course_utils.autoencoders import binarise

draw = torch.Generator().manual_seed(1)
logits = 3 * torch.randn(some.shape, generator=draw)
coin, normal = distributions.Bernoulli(logits=logits), distributions.Normal(torch.tanh(logits / 2), 0.3)
versions = torch.stack([binarise(some, generator=draw) for _ in range(2000)])  # (2000, 10, 1, 28, 28)
by_coins = coin.log_prob((versions + 1) / 2).sum(dim=(2, 3, 4))  # (2000, 10)

# %% tags=["V2"]
of_black_and_white, of_grey = log_bernoulli(versions[0], logits), log_bernoulli(some, logits)
of_gaussian = log_gaussian(some, torch.tanh(logits / 2), 0.3)
assert torch.allclose(of_black_and_white, by_coins[0], rtol=1e-4)
assert torch.allclose(of_grey, by_coins.mean(dim=0), atol=5 * by_coins.std(dim=0).max().item() / 2000**0.5)
assert torch.allclose(of_gaussian, normal.log_prob(some).sum(dim=(1, 2, 3)), rtol=1e-4)
print("Both decoders agree with torch.distributions.")

# %% [markdown] slide="Two ways to estimate the gradient of a mean over random draws"
# One warning. The two cannot be compared in nats. The Bernoulli decoder gives *probabilities* of black-and-white
# images, which are at most 1; the Gaussian one gives *densities* of grey images, which may be far above 1.
#
# ### A gradient through sampling (V2)
#
# The first part of the ELBO is a mean over $z \sim q$, and we want its gradient with respect to the parameters of $q$
# itself. Two ways are common.
#
# The **reparameterisation trick** (재매개변수화 기법) moves the randomness outside: draw $\epsilon \sim N(0, I)$, which
# depends on no weight, and compute
#
# $$z = \mu + \sigma\, \epsilon.$$
#
# Now $z$ has the right distribution and is an ordinary function of $\mu$ and $\sigma$, with
# $\partial z / \partial \mu = 1$ and $\partial z / \partial \sigma = \epsilon$.
#
# The **score-function estimator** (점수 함수 추정량, also called REINFORCE) does not differentiate the decoder at all. With
# $f(z)$ for $\log p_\theta(x \mid z)$ and $\nabla q = q\, \nabla \log q$,
#
# $$\nabla_\mu \mathbb{E}_q[f(z)] = \mathbb{E}_q\big[f(z)\, \nabla_\mu \log q(z)\big]
# = \mathbb{E}_q\left[f(z)\, \frac{z - \mu}{\sigma^2}\right].$$
#
# It works for any $q$, even for codes that are not continuous. Subtracting a constant from $f$, a **baseline** (기준값),
# leaves the mean as it is and lowers the noise, so we also try the score function with a simple baseline, the mean of
# $f$ over the draws. Both are tried on one image and the shipped VAE with 16 numbers (`vae-mnist`), 2,000 draws each.

# %%
shipped = load_pretrained("vae-mnist", "cpu")
image = test.x[:1].expand(2000, -1, -1, -1)
with torch.inference_mode():
    m, s2 = shipped.posterior(test.x[:1])
# 2,000 copies of one mu and one sigma: (2000, 16)
m, s = m.repeat(2000, 1).requires_grad_(), (0.5 * s2).exp().repeat(2000, 1)
z = m + s * torch.randn(m.shape, generator=torch.Generator().manual_seed(2))
f = shipped.log_likelihood(image, z)
(through_decoder,) = torch.autograd.grad(f.sum(), m)  # one gradient for each draw: (2000, 16)

# %%
f, log_q_slope = f.detach()[:, None], ((z - m) / s**2).detach()
estimates = {
    "reparameterised": through_decoder,
    "score function": f * log_q_slope,
    "score function with a baseline": (f - f.mean()) * log_q_slope,
}

# %% [markdown]
# A third way is tempting: `torch.normal(mu, sigma)` draws from the right distribution in one call. It even returns a
# tensor that asks for gradients. Look at what they are.

# %% tags=["V2", "nbval-ignore-output"] slide="Of the three that work, reparameterisation is the least noisy; torch.normal gives zero"
z = torch.normal(m, s, generator=torch.Generator().manual_seed(2))
assert z.requires_grad
(silent,) = torch.autograd.grad(shipped.log_likelihood(image, z).sum(), m)
noise = {name: g.var(dim=0).sum().sqrt().item() for name, g in estimates.items()}
apart = (estimates["score function with a baseline"] - through_decoder).mean(dim=0)
chance = math.hypot(noise["score function with a baseline"], noise["reparameterised"]) / 2000**0.5
assert apart.norm() < 2 * chance < through_decoder.mean(dim=0).norm()
assert noise["score function with a baseline"] > 1.5 * noise["reparameterised"]
assert noise["score function"] > 10 * noise["reparameterised"]
assert noise["score function"] / 2000**0.5 > 3 * through_decoder.mean(dim=0).norm()
assert (silent == 0).all()
rows = [[name, g.mean(dim=0).norm().item(), noise[name]] for name, g in estimates.items()]
table(["gradient", "length of the mean of 2,000", "noise of one draw"], [*rows, ["torch.normal", 0.0, 0.0]])

# %% [markdown]
# "Length" is the length of a vector of 16 numbers, the mean of the 2,000 gradients. "Noise" is the square root of the
# sum of the variances of these 16 numbers.
#
# The first three aim at the same gradient: within what chance explains, the means of the first and the third agree.
# (The length in the second row is mostly chance: the standard error of that mean, its noise divided by $\sqrt{2000}$,
# is several times as large as the true gradient.) But a training step sees few draws, and there the noise decides. A
# single draw of the score function is many times as noisy as a reparameterised one, and even with a baseline it is
# clearly noisier. The reason is what each of them knows: the reparameterised gradient asks the decoder in which
# direction to go, the other one only hears how good the place was.
#
# And `torch.normal`: no error, no warning, and every gradient is exactly 0. An encoder trained through it would learn
# from the KL term alone. When a part of a network does not learn, look at its gradient first.
#
# ### The loss, whole (V2)
#
# The encoder is the network of notebook 03 with twice as many outputs, for $\mu$ and $\log \sigma^2$; the decoder is
# the same. The mean over $q$ is replaced by one draw: it is right on average, and a batch averages over its images.
# The decoder's last layer is $\tanh(a)$, and a pixel's probability is
# $\pi = (1 + \tanh a) / 2 = \operatorname{sigmoid}(2a)$, so the logit is $2a$.

# %% slide="The whole loss: the price of the cloud minus the log-likelihood of one draw" slide_code="def loss" slide_points="One draw for each image; a batch averages over its images | Summed over pixels and over dimensions, never averaged"
from course_utils.nets import Decoder, Encoder, over_batches, seeded

d = 16
with seeded(0):
    encoder, decoder = Encoder(2 * d), Decoder(d)


def loss(x: Tensor, eps: Tensor) -> Tensor:
    mu, logvar = encoder(x).chunk(2, dim=1)  # (N, d) each
    z = mu + (0.5 * logvar).exp() * eps
    return (kl(mu, logvar) - log_bernoulli(x, 2 * decoder.before_tanh(z))).mean()


# %% tags=["V2"]
from course_utils.autoencoders import VAE

model = VAE(latent_dim=d)
model.encoder.load_state_dict(encoder.state_dict())
model.decoder.load_state_dict(decoder.state_dict())
eps = torch.randn(len(some), d, generator=torch.Generator().manual_seed(1))
with torch.inference_mode():
    ours, packaged = loss(some, eps), model.loss(some, generator=torch.Generator().manual_seed(1))
assert torch.isclose(ours, packaged)
print("The package's VAE gives the same loss.")

# %% [markdown]
# Both parts are summed, over pixels and over dimensions, and averaged over the batch. That matters. If one of the two
# were *averaged* over its dimensions, it would be divided by 784 or by 16, which no formula asks for.
#
# ## 3 · Train it, and judge its samples (V1)
#
# To train within seconds, the networks of this and the next sections are small: two linear layers each way in place
# of the convolutions. We make 600 steps with batches of 64. For comparison we also train the plain autoencoder of
# notebook 03, with the same layers, steps, batches and learning rate. `small` makes either of them, and `train_live`
# trains it.

# %%
from course_utils.autoencoders import Autoencoder
from course_utils.training import Objective, fit, warmup_cosine


class DenseDecoder(nn.Sequential):
    before_tanh = nn.Sequential.forward

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.before_tanh(z))


def small(kind: type, seed: int, **options):
    numbers = 2 * d if issubclass(kind, VAE) else d  # a VAE's encoder gives a mean and a log-variance
    with seeded(seed):
        model = kind(latent_dim=d, **options)
        model.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, numbers))
        out = nn.Linear(256, 784)
        model.decoder = DenseDecoder(nn.Linear(d, 256), nn.ReLU(), out, nn.Unflatten(1, (1, 28, 28)))
    nn.init.constant_(out.bias, -1.0)  # begin near the mean brightness, as in notebook 03
    return model


# %%
def train_live(model: VAE | Autoencoder, name: str) -> None:
    adam = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    objective = Objective(model, model.loss, adam, name, schedule=warmup_cosine)
    shuffled = batches(train, 64, steps=600, generator=torch.Generator().manual_seed(0))
    ten = torch.randn(10, 16, generator=torch.Generator().manual_seed(2))

    def three_rows(ax: plt.Axes) -> None:
        drawn = model.decode(ten.to(next(model.parameters()).device)).cpu()
        rows = {"image": some, "reconstructed": over_batches(model, some).cpu(), "code from N(0, I)": drawn}
        show_rows(rows, ax=ax)

    list(fit(objective, shuffled, picture=three_rows))  # fit yields after each step; list runs it to the end
    model.cpu()


# %% [markdown]
# While they are trained, the figure shows ten test images, their reconstructions, and what the decoder makes of ten
# codes from $N(0, I)$. Compare the last rows of the two figures when they are done.

# %% alt="The VAE's training curve: minus the ELBO falls steeply, then levels off. Below, ten digits, their soft reconstructions, and images from normal codes: soft shapes, many like digits."
vae = small(VAE, seed=0)
train_live(vae, "−ELBO (nats)")

# %% alt="The autoencoder's training curve: the squared error falls steeply, then levels off. Below, ten digits, their reconstructions, and images from normal codes: blots that are hardly ever digits."
plain = small(Autoencoder, seed=0)
train_live(plain, "squared error")

# %% [markdown]
# To make a new image, draw $z$ from the prior and decode it. (We show the mean of $p_\theta(x \mid z)$, the
# probabilities $\pi$ as grey levels; sampled pixels would cover the picture with grain.) We compare them with the
# shipped models, which have the convolutions of notebook 03 and were trained on 59,000 digits of MNIST: `vae-mnist`
# for 12,000 steps with batches of 128, and `autoencoder-mnist` for 8,000 steps with batches of 256. An autoencoder
# has no prior. We give it three: the VAE's, $N(0, I)$; one Gaussian fitted to its codes of the training images; and,
# as at the end of notebook 03, ten Gaussians fitted to them.

# %%
from sklearn.mixture import GaussianMixture


def draw_codes(codes: Tensor, clouds: int) -> Tensor:
    """1,000 codes from a mixture of Gaussians that is fitted to codes (N, d)."""
    mixture = GaussianMixture(clouds, reg_covar=1e-3, random_state=0).fit(codes.double().numpy())
    drawn = torch.from_numpy(mixture.sample(1000)[0]).float()  # one Gaussian after the other
    return drawn[torch.randperm(1000, generator=torch.Generator().manual_seed(3))]


# %%
normal_codes = torch.randn(1000, d, generator=torch.Generator().manual_seed(3))
shipped_plain = load_pretrained("autoencoder-mnist", "cpu")
drawn = {
    "VAE": over_batches(vae.decode, normal_codes),
    "shipped VAE": over_batches(shipped.decode, normal_codes),
}
for name, model in {"AE": plain, "shipped AE": shipped_plain}.items():
    codes = over_batches(model.encode, train.x)
    drawn[f"{name}, N(0, I)"] = over_batches(model.decode, normal_codes)
    drawn |= {
        f"{name}, {k} Gaussian{'s' * (k > 1)}": over_batches(model.decode, draw_codes(codes, k))
        for k in (1, 10)
    }

# %% alt="Rows of sixteen images: real digits, and samples of two VAEs and of two autoencoders with three ways to draw codes. Drawn from a standard normal, the autoencoders give smears or black; with ten Gaussians fitted, mostly digits; the shipped VAE's are soft digits." slide="From N(0, I) the VAEs draw shapes like digits, the autoencoders smears or black"
show_rows({"real": test.x[:16]} | {name: x[:16] for name, x in drawn.items()}, scale=0.5)

# %% [markdown]
# What are these worth? Notebook 03 had a judge: an image is **readable** if the course's classifier gives one digit a
# probability above 95 %, and if its features lie close to those of some training image: no farther away than a limit
# that 95 % of the real test images meet. But a model that draws the same perfect 7 a thousand times would be
# perfectly readable. So we ask notebook 02 too: the Fréchet distance in the digit classifier's features (digit FID,
# less is better), precision and recall, density and coverage, each with 1,000 images against the 1,000 test images.
# Two more rows help to read them: 1,000 real training images, and a VAE that was never trained. The first is a little
# flattered in "readable", since training images are what the judge compares with; of the test images about 94 % are
# readable. And the last row is the shipped VAE with *two* numbers. (AE is the plain autoencoder.)

# %%
from course_utils.features import feature_extractor, readability
from course_utils.metrics import density_coverage, fid, precision_recall

is_readable, extract = readability(train.x, test.x), feature_extractor("digits", "cpu")
real = extract(test.x).features


def judge(x: Tensor) -> list[float]:
    fake = extract(x).features
    scores = [is_readable(x).double().mean().item(), fid(real=real, fake=fake)]
    return [*scores, *precision_recall(real=real, fake=fake), *density_coverage(real=real, fake=fake)]


# %%
with seeded(0):
    untrained = VAE(latent_dim=d).eval()
drawn["VAE, untrained"] = over_batches(untrained.decode, normal_codes)
drawn["shipped VAE, d = 2"] = over_batches(plane.decode, normal_codes[:, :2])
sets = {"real training images": train.x[:1000]} | drawn
scores = {name: judge(x) for name, x in counted(sets.items(), "sets judged")}

# %% tags=["V1", "nbval-ignore-output"] slide="With codes from N(0, I) the VAE is ahead; ten fitted Gaussians put the autoencoder ahead"
readable, distance = ({name: row[k] for name, row in scores.items()} for k in (0, 1))
recall = {name: row[3] for name, row in scores.items()}
of_test = is_readable(test.x).double().mean().item()
assert 0.92 < of_test < 0.96 < readable["real training images"]
assert readable["VAE"] > readable["VAE, untrained"] + 0.06
assert distance["VAE"] < 0.2 * distance["VAE, untrained"]
assert readable["VAE"] > readable["AE, N(0, I)"] + 0.02
assert max(readable["AE, N(0, I)"], readable["shipped AE, N(0, I)"]) < 0.12
assert distance["VAE"] < distance["AE, N(0, I)"]
assert readable["AE, 1 Gaussian"] > readable["VAE"]
assert distance["AE, 1 Gaussian"] < distance["VAE"]
assert readable["shipped VAE"] > readable["shipped AE, 1 Gaussian"] + 0.1
assert distance["shipped VAE"] < distance["shipped AE, 1 Gaussian"]
assert readable["shipped AE, 10 Gaussians"] > readable["shipped VAE"] + 0.1
assert distance["shipped AE, 10 Gaussians"] < 0.6 * distance["shipped VAE"]
assert abs(readable["shipped VAE, d = 2"] - readable["shipped VAE"]) < 0.2
assert recall["shipped VAE, d = 2"] < 0.1 < 0.5 < recall["shipped VAE"]
header = ["1,000 images", "readable", "digit FID", "precision", "recall", "density", "coverage"]
table(header, [[name, *row] for name, row in scores.items()])

# %% [markdown]
# Take your time with this table.
#
# - The prior does its work: with codes from $N(0, I)$ the VAE makes better images than the autoencoder, and more of
#   them are readable. The autoencoder's are hardly ever readable, after the short training as after the long one:
#   nothing in its loss mentions this prior.
# - But fit *one* Gaussian to the autoencoder's codes, and after our short training it is **ahead** of the VAE, in
#   readable images and in FID.
# - With far more steps, more data (59,000 images) and convolutions the order is reversed: the shipped VAE beats the
#   shipped autoencoder with one Gaussian. We cannot tell from this which of the three did it.
# - And the shipped autoencoder with *ten* Gaussians beats the shipped VAE in readable images and in FID. So a VAE is
#   not simply the better sampler. What it offers and the other does not: one model, trained in one go, with a prior
#   known beforehand and a likelihood that can be bounded. Section 8 shows what happens if the VAE too gets its prior
#   fitted afterwards.
# - The VAE with two numbers is nearly as readable as the one with 16, but its recall is almost 0: it covers hardly
#   any of the variety of real digits. "Readable" cannot see that.
#
# ## 4 · Is the bound a bound? (V2)
#
# The derivation says $\log p_\theta(x) = \text{ELBO} + \mathrm{KL}(q \,\|\, p_\theta(z \mid x))$. For a code of *two*
# numbers we can check it, because the integral over the plane can be done on a fine grid: evaluate
# $p_\theta(x \mid z)\, p(z)$ at 38,131 codes, add up, multiply by the area of a grid cell. We take `vae-2d-mnist`
# again and 20 test images, made black and white: `binarise` samples each pixel, black or white, because the Bernoulli
# decoder is a distribution over black-and-white images.
#
# (In the function below, $v \log \pi + (1 - v) \log (1 - \pi) = l\, v + \log(1 - \pi)$ with the logit $l$: one matrix
# product serves all codes and all images.)

# %%
x = binarise(test.x[:20], generator=torch.Generator().manual_seed(3))
v = (x.flatten(1) + 1) / 2


def log_joint(z: Tensor) -> Tensor:  # log p(x, z) for n codes (n, 2) and the 20 images: (n, 20)
    logits = 2 * over_batches(plane.decoder.before_tanh, z).flatten(1)
    log_black = nn.functional.logsigmoid(-logits).sum(dim=1, keepdim=True)  # log(1 - pi), summed over pixels
    return logits @ v.T + log_black + prior.log_prob(z).sum(dim=1, keepdim=True)


wide, high = torch.linspace(-4.5, 4.5, 181), torch.linspace(-4.5, 4.5, 271)  # finer along z_2: narrow clouds
grid, log_cell = torch.cartesian_prod(wide, high), ((wide[1] - wide[0]) * (high[1] - high[0])).log()
grid = grid[grid.norm(dim=1) < 4.5]  # a radius of 5.5 gives the same
joint = torch.cat(
    [log_joint(part) for part in counted(grid.split(10_000), "parts of the grid")]
)  # (38131, 20)
log_p = joint.logsumexp(dim=0) + log_cell  # (20,): log p(x), exact up to the grid

# %% [markdown]
# On the same grid we get the exact posterior, $p_\theta(x, z) / p_\theta(x)$, and its distance from the encoder's
# guess. The ELBO we take from the package, averaged over 150 draws of $z$.

# %%
with torch.inference_mode():
    mu, logvar = plane.posterior(x)
    draw = torch.Generator().manual_seed(4)
    draws = torch.stack([plane.elbo(x, generator=draw).total for _ in range(150)])  # (150, 20)
elbo, error = draws.mean(dim=0), draws.std(dim=0) / 150**0.5

# %% tags=["V2", "nbval-ignore-output"] slide="On the grid the bound holds: ELBO and gap add up to log p(x), up to chance"
q = distributions.Normal(mu, (0.5 * logvar).exp())
log_q = q.log_prob(grid[:, None, :]).sum(dim=2)  # (38131, 20)
gap = ((log_q + log_cell).exp() * (log_q - (joint - log_p))).sum(dim=0)  # KL(q || p(z|x))
covered = (log_q + log_cell).exp().sum(dim=0)  # how much of q the grid holds
assert (covered - 1).abs().max() < 0.1
assert (elbo < log_p + 3 * error).all()
assert ((elbo + gap - log_p).abs() < 5 * error + 0.15).all()
assert gap.median() < 2
assert (gap > 5).sum() <= 6
assert gap.max() > 10
rows = {"log p(x), grid": log_p, "ELBO, drawn": elbo, "KL(q ‖ p(z|x)), grid": gap}
table(["nats", "mean of 20 images", "median", "largest"],
      [[name, n.mean().item(), n.median().item(), n.max().item()] for name, n in rows.items()])  # fmt: skip

# %% [markdown]
# The bound holds for each image, and what is missing is the KL term, up to the chance in the draws. It is a nat or so
# for most images, and much more for a few. (In the table only the means add up, not the medians or the largest.) The
# pictures show why: the first five images, then the one with the largest gap. The contours stand at 10 % and 50 % of
# the peak; each panel has its own scale.

# %% alt="Six small maps, one an image: contours of the exact posterior and of the encoder's guess. In most they overlap; in some the guess lies beside the posterior." slide="The encoder's guess mostly overlaps the exact posterior; here and there it misses it" slide_points="Contours at 10 % and 50 % of the peak; each panel has its own scale"
from scipy.ndimage import zoom

chosen = [*range(5), int(gap.argmax())]
fig, axes = plt.subplots(1, 6, figsize=(11, 2.6), layout="constrained")
for k, ax in zip(chosen, axes, strict=True):
    best = grid[joint[:, k].argmax()]
    middle, reach = (mu[k] + best) / 2, 0.65 * (mu[k] - best).abs().max() + 0.2
    sides = middle[:, None] + torch.linspace(-1, 1, 121) * reach
    rough = log_joint(torch.cartesian_prod(*sides[:, ::3]))[:, k].view(41, 41)  # every third; splines between
    posterior = torch.from_numpy(zoom(rough, 121 / 41, mode="nearest"))
    guess = q.log_prob(torch.cartesian_prod(*sides)[:, None])[:, k].sum(dim=1).view(121, 121)
    for log_density, color, style in ((posterior, "C0", "solid"), (guess, "C1", "dashed")):
        density = (log_density - log_density.max()).exp().T
        ax.contour(*sides, density, levels=[0.1, 0.5], colors=color, linestyles=style)
    ax.set(title=f"a {test.y[k].item()}: gap {gap[k]:.1f} nats", xlabel="$z_1$")
fig.supylabel("$z_2$", fontsize=10)
for name, color, style in (("exact posterior", "C0", "solid"), ("the encoder's guess", "C1", "dashed")):
    axes[0].plot([], [], color=color, ls=style, label=name)
fig.legend(loc="outside upper center", ncols=2)
plt.show()

# %% [markdown]
# The guess is an ellipse along the axes, because we gave $q$ one $\sigma$ for each dimension and no correlation. What
# would the *best* such ellipse miss? If the exact posterior were normal with covariance $C$, the best such ellipse
# would have the same mean and, in dimension $j$, the variance $1 / (C^{-1})_{jj}$. We use this one; the very best can
# only miss less.

# %% tags=["V2"]
weights = (joint - log_p + log_cell).exp()  # the exact posterior on the grid; each column sums to 1
mean = weights.T @ grid  # (20, 2)
outer = torch.einsum("mk,mi,mj->kij", weights, grid, grid) - mean[:, :, None] * mean[:, None, :]
best = distributions.Normal(mean, outer.inverse().diagonal(dim1=1, dim2=2).rsqrt())
log_best = best.log_prob(grid[:, None, :]).sum(dim=2)
least = ((log_best + log_cell).exp() * (log_best - (joint - log_p))).sum(dim=0)
assert least.median() < 0.25 * gap.median()
assert least.mean() < 0.25 * gap.mean()
print("This ellipse misses less than a quarter of what the encoder misses, on average.")

# %% [markdown]
# So the shape of the guess costs little. Most of the loss comes from the guess lying beside the right place, and far
# beside it for an unusual image. One network has to guess for all images, also for ones it was not trained on (these
# are test images, and black and white, while it learned from grey ones). What *one network for all* costs is called
# the **amortisation gap** (상각 격차; Cremer et al., 2018).
#
# For 16 numbers there is no grid. But the bound can be tightened by drawing several codes and averaging *inside* the
# logarithm (Burda et al., 2016):
#
# $$\mathbb{E}\left[\log \frac{1}{K} \sum_{k=1}^{K} \frac{p_\theta(x \mid z_k)\, p(z_k)}{q_\phi(z_k \mid x)}\right], \qquad z_1, \dots, z_K \sim q_\phi(z \mid x)$$
#
# For $K = 1$ this is the ELBO. With growing $K$ the encoder's misfit matters less and less, and the *mean* climbs to
# the exact value. Papers often report this bound, with $K$ in the thousands; the method is `iwae_bound`.

# %%
Ks = (1, 3, 10, 30, 100, 300)
draw = torch.Generator().manual_seed(5)
missing = []
for K in Ks:
    runs = [log_p - plane.iwae_bound(x, K, generator=draw) for _ in range(max(1, 30 // K))]
    missing.append(torch.stack(runs).mean(dim=0))

# %% tags=["V2"] alt="What is missing from log p(x) against the number of codes: the median falls close to zero; a few of twenty lines stay high." slide="With 300 codes the bound is nearly exact for most of 20 images, not for all"
missing = torch.stack(missing)  # (6, 20): exact minus estimate
assert missing[0].median() > missing[2].median() > missing[-1].median()
assert missing[-1].median().abs() < 0.3
assert (missing[-1].abs() < 1).sum() >= 14
assert missing[-1].max() > 1

fig, ax = plt.subplots(figsize=(5, 2.5), layout="constrained")
ax.plot(Ks, missing, color="0.6", ls="-", lw=1)
ax.plot(Ks, missing.median(dim=1).values, "ko-", label="median")
ax.set(xscale="log", xlabel="number of codes $K$", ylabel="missing from log p(x), nats")
ax.set_yscale("symlog", linthresh=2)
ax.set_xticks(Ks, [str(K) for K in Ks])
ax.set_yticks([-2, -1, 0, 1, 2, 5, 10, 20], ["−2", "−1", "0", "1", "2", "5", "10", "20"])
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Each thin line is an image. (The vertical axis is linear between −2 and 2 and logarithmic beyond. A single estimate
# may by chance lie above the exact value, and then its line goes below 0.) With 300 codes most come within a fraction
# of a nat. For a few the cloud lies so far beside the right region that even 300 codes miss it. Such an estimate of a
# likelihood is only as good as the distribution its codes are drawn from, here the encoder's guess.
#
# ## 5 · Bernoulli or Gaussian? (V2)
#
# In the Gaussian decoder $\sigma_x$ sets a rate of exchange: one nat of KL is worth $2 \sigma_x^2$ of squared error.
# With a large $\sigma_x$ errors are cheap and codes are expensive. One can fix $\sigma_x$ by hand, or learn it like a
# weight. The derivative with respect to $\sigma_x$ is zero where
#
# $$\sigma_x^2 = \frac{1}{D}\, \mathbb{E} \lVert x - \hat{x} \rVert^2,$$
#
# the mean taken over training images and over codes $z$ from their clouds. So the learned one ought to settle at the
# root mean squared error of a pixel.
#
# We compare three decoders: Bernoulli, which is the VAE of section 3, Gaussian with $\sigma_x = 1$, Gaussian with
# $\sigma_x$ learned. All have the same networks and the same first weights, and get 600 steps with 64 images each. The
# learned $\log \sigma_x$ gets ten times the learning rate: it begins at $\sigma_x = 1$ and has a long way to go.


# %%
def train_small(
    name: str, model: VAE, steps: int, watch: Watch, warmup: int = 0, images: Images = train
) -> None:
    networks = [weight for name, weight in model.named_parameters() if name != "log_sigma"]
    groups = [{"params": networks, "lr": 2e-3}, {"params": [model.log_sigma], "lr": 2e-2}]
    adam, beta = torch.optim.Adam(groups, fused=True), model.beta
    rate = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: warmup_cosine((step + 0.5) / steps))
    draw = torch.Generator().manual_seed(0)
    for step, (x, _) in enumerate(batches(images, 64, steps, generator=draw), start=1):
        if warmup:  # of the KL term's weight, see section 6
            model.beta = beta * min(1.0, step / warmup)
        adam.zero_grad()
        loss_of_batch = model.loss(x, generator=draw)
        loss_of_batch.backward()
        adam.step()
        rate.step()
        watch({name: loss_of_batch.item()})


def show_models(models: dict[str, VAE], x: Tensor, ax: plt.Axes) -> None:
    show_rows({"image": x} | {name: over_batches(model, x) for name, model in models.items()}, ax=ax)


# %% [markdown]
# `Watch` draws the figure that `fit` has drawn so far, for a loop of our own: the losses of the two trainings one after
# the other, and what the models make of ten test images.

# %% alt="The losses of two trainings one after the other: that with σ = 1 is nearly level from the start, that with a learned σ falls steeply. Below, ten digits and their reconstructions by both models."
trained = {
    "Gaussian, σ = 1": small(VAE, 0, likelihood="gaussian", sigma=1.0),
    "Gaussian, σ learned": small(VAE, 0, likelihood="gaussian"),
}
with Watch(2 * 600, lambda ax: show_models(trained, some, ax)) as watch:
    for name, model in trained.items():
        train_small(name, model, 600, watch)
trained = {"Bernoulli": vae} | trained

# %%
from course_utils.autoencoders import squared_error


@torch.inference_mode()
def report(model: VAE) -> list[float]:
    error = squared_error(over_batches(model, test.x), test.x).mean().item()
    rate = kl_standard_normal(*model.posterior(test.x)).mean().item()
    return [error, rate, fid(real=real, fake=extract(model.decode(normal_codes)).features)]


# %% tags=["V2", "nbval-ignore-output"] slide="Of three decoders, the one that reconstructs best is not the best sampler"
reports = {name: report(model) for name, model in trained.items()}
error, rate, distance = torch.tensor(list(reports.values())).unbind(dim=1)  # (3 decoders) each
assert error[2] < error[0] < error[1]
assert rate[2] > 1.5 * rate[0]
assert rate[0] > 1.1 * rate[1]
assert (distance[0] < distance[1:]).all()
table(["decoder", "squared error", "KL, nats", "digit FID"], [[name, *row] for name, row in reports.items()])

# %% [markdown]
# Learning $\sigma_x$ brings the lowest squared error, and it pays for it with the highest KL: its codes cost the
# most. The decoder with $\sigma_x = 1$ is the opposite, and the Bernoulli decoder lies between the two. A better
# reconstruction is not a better sampler: the lowest FID belongs to the one in the middle. This holds for these small
# networks and 600 steps; from two other seeds the order was the same. Here are reconstructions.

# %% alt="Ten digits and their reconstructions by three VAEs, Bernoulli, Gaussian with σ = 1, and Gaussian with a learned σ. They look much alike; those with σ = 1 are faintest."
show_rows({"image": some} | {name: over_batches(model, some) for name, model in trained.items()})

# %% [markdown]
# The three look much alike; with $\sigma_x = 1$ they are faintest. The table's differences are hard to see here.
#
# And does the learned $\sigma_x$ settle where the formula says?

# %% tags=["V2"]
learned = trained["Gaussian, σ learned"]
with torch.inference_mode():
    z = reparameterise(*learned.posterior(train.x), generator=torch.Generator().manual_seed(7))
    rms = (learned.decode(z) - train.x).square().mean().sqrt()
    ratio = learned.log_sigma.exp() / rms
assert abs(ratio - 1) < 0.1
print("The learned σ agrees with the root mean squared error within a tenth.")

# %% [markdown] slide="At first the cheapest code says nothing; if it stays so, that is posterior collapse" slide_points="Cheapest first move: every cloud equal to the prior, $\\mu = 0$, $\\sigma = 1$ | **Warm-up**: begin with $\\beta$ near 0, raise it slowly | **Free bits**: the first nats of each dimension cost nothing | First ask: is there something to cure, or is it only early?"
# ## 6 · When the code falls silent: posterior collapse (V2)
#
# At the start of training the decoder does not use the code yet. Any information in the code costs KL at once and
# does not help yet. So the cheapest first move is to make all clouds equal to the prior: $\mu = 0$, $\sigma = 1$ for
# every image. A dimension whose KL is almost 0 says nothing about $x$; we call it **inactive**. When all or nearly
# all are, and stay so, one speaks of **posterior collapse** (사후 분포 붕괴). We provoke it with a KL term that counts
# tenfold: the loss becomes $-\mathbb{E}_q[\log p_\theta(x \mid z)] + \beta\, \mathrm{KL}$ with $\beta = 10$.
#
# Two cures are well known:
#
# - **Warm-up** (웜업; Bowman et al., 2016) of $\beta$, not of the learning rate: begin with $\beta$ near 0 and raise it
#   during the first half of the training. The decoder learns to use the code before the code is taxed.
# - **Free bits** (자유 비트; Kingma et al., 2016): the first $\lambda$ nats of each dimension are free. The loss counts
#   $\beta \sum_j \max(\lambda, \mathrm{KL}_j)$, where $\mathrm{KL}_j$ is averaged over the batch; below $\lambda$ its
#   gradient is 0. We take $\lambda = 0.5$.
#
# But first ask whether there is something to cure. A code that is silent after a short training may just need more
# time. So the plain training and warm-up are each run twice, for 300 and for 800 steps; free bits once, for 300.
# The network is the small one of section 3, and each run starts from the same seed. Watch the rows of images: as long as
# all images of a row are the same, the code is silent.

# %% alt="The losses of five trainings one after the other. Below, ten digits and their reconstructions by the five models; after 300 steps those with β = 10 alone are all the same blur."
taxed = {
    (name, steps): small(VAE, 0, beta=10.0) for steps in (300, 800) for name in ("β = 10", "with warm-up")
}
taxed["with free bits", 300] = small(VAE, 0, beta=10.0, free_bits=0.5)
named = {f"{name}, {steps} steps": model for (name, steps), model in taxed.items()}
with Watch(sum(steps for _, steps in taxed), lambda ax: show_models(named, some, ax)) as watch:
    for (name, steps), model in taxed.items():
        warmup = steps // 2 if name == "with warm-up" else 0
        train_small(f"{name}, {steps} steps", model, steps, watch, warmup)

# %%
from course_utils.autoencoders import kl_each_dimension


@torch.inference_mode()
def kl_of_dimensions(model: VAE, x: Tensor = test.x) -> Tensor:
    return kl_each_dimension(*model.posterior(x)).mean(dim=0).sort(descending=True).values


@torch.inference_mode()
def taxed_loss(model: VAE) -> float:  # the same for all: without free bits
    draw = torch.Generator().manual_seed(8)
    parts = [model.elbo(test.x, generator=draw) for _ in range(3)]
    return sum((10 * part.kl - part.log_likelihood).mean().item() for part in parts) / 3


# %% tags=["V2-collapse", "nbval-ignore-output"]
each = {key: kl_of_dimensions(model) for key, model in taxed.items()}
losses = {key: taxed_loss(model) for key, model in taxed.items()}
active = {key: int((kl > 0.1).sum()) for key, kl in each.items()}
assert each["β = 10", 300].sum() < 1.5 < each["with warm-up", 300].sum()
assert losses["with warm-up", 300] < losses["β = 10", 300] - 2
assert each["β = 10", 800].sum() > each["β = 10", 300].sum() + 0.5
assert losses["β = 10", 800] < losses["β = 10", 300] - 4
behind = {steps: losses["β = 10", steps] - losses["with warm-up", steps] for steps in (300, 800)}
assert behind[800] < 0.75 * behind[300]
assert ((each["with free bits", 300] - 0.5).abs() < 0.2).all()
assert losses["with free bits", 300] > losses["β = 10", 300] + 5
rows = [
    [f"{name}, {steps} steps", each[name, steps].sum().item(), active[name, steps], losses[name, steps]]
    for name, steps in taxed
]
table(["training", "KL, nats", "dimensions with KL > 0.1", "loss with β = 10"], rows)

# %% alt="Ten digits and reconstructions by five trainings with β = 10. After 300 plain steps nearly all are the same grey smear; with warm-up, with free bits or after 800 steps they are soft digits." slide="At β = 10, 300 plain steps leave smears; warm-up, free bits or more steps do not"
show_rows(
    {"image": some}
    | {f"{name}, {steps} steps": over_batches(model, some) for (name, steps), model in taxed.items()},
    scale=0.5,
)

# %% [markdown]
# After 300 steps the plain training looks nearly collapsed: it tells a 0 from a 1, but most other digits come out as
# much the same smear. Warm-up reaches a clearly lower value of the same loss. But after 800 steps the plain one has
# woken up by itself, and the difference between the two losses is smaller. So in this run we saw a slow start more
# than a trap, and warm-up was a short cut through it. (It is one seed; with another one the numbers change.) What
# remains silent after 800 steps may be right to be silent: at ten times the price, few dimensions are worth having.
# Free bits change the loss itself. All 16 dimensions settle near the half nat that costs nothing, so the code tells
# more and the images are clearer. But the last column charges every nat tenfold, and by that loss they do worst.
#
# Collapse of another kind comes from a decoder that hardly needs the code. Let each pixel also see the pixels before
# it, in the order in which one reads: one more weight matrix, lower triangular, adds to the logits. That is an
# *autoregressive* (자기회귀) decoder.

# In section 2 a grey pixel stood for the mean over black-and-white versions. That no longer works here: the next
# pixels must see the outcome of the coin, black or white, and not its probability. So all training and test images
# are first made black and white, and the decoder with independent pixels is trained again on these.


# %%
from dataclasses import replace


class ReadingVAE(VAE):
    def __init__(self, latent_dim: int):
        super().__init__(latent_dim)
        self.before = nn.Parameter(torch.zeros(784, 784))  # pixel j sees pixel i < j with weight [j, i]

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        seen = x.flatten(1) @ self.before.tril(-1).T
        return log_bernoulli(x, 2 * self.decoder.before_tanh(z) + seen.view_as(x))


# %% alt="The losses of three trainings one after the other. Below, ten digits in black and white and what the decoder makes of their codes alone: soft digits where pixels are independent, fainter ones where pixels see those before."
coins = replace(train, x=binarise(train.x, generator=torch.Generator().manual_seed(11)))
test_coins = binarise(test.x, generator=torch.Generator().manual_seed(18))
judged = {"pixels independent, 400 steps": small(VAE, 0)}
judged |= {f"pixels see those before, {steps} steps": small(ReadingVAE, 0) for steps in (200, 400)}
with Watch(400 + 200 + 400, lambda ax: show_models(judged, coins.x[:10], ax)) as watch:
    for (name, model), steps in zip(judged.items(), (400, 200, 400), strict=True):
        train_small(name, model, steps, watch, images=coins)

# %%
rate, bound = {}, {}
for name, model in judged.items():
    with torch.inference_mode():
        parts = model.elbo(test_coins, generator=torch.Generator().manual_seed(8))
    rate[name], bound[name] = parts.kl.mean().item(), parts.total.mean().item()

# %% tags=["V2-collapse", "nbval-ignore-output"]
independent, short, long = judged
assert rate[short] < 0.75 * rate[independent]
assert rate[long] < 0.75 * rate[independent]
assert bound[long] > bound[independent] + 10
assert bound[long] > bound[short] + 5
assert rate[long] > rate[short] + 1
table(["decoder, β = 1", "KL, nats", "ELBO, nats"], [[name, rate[name], bound[name]] for name in judged])

# %% [markdown] slide="What codes cost on average is what they tell plus how far they lie from the prior"
# After the same 400 steps the ELBO is better, and the code costs far less. From 200 to 400 steps the ELBO rises, and
# the code's cost rises again too, but stays clearly below that with independent pixels. Nothing is wrong here with the
# training: what a pixel can learn from its neighbours need not be told by the code. With a still stronger decoder, of
# text for instance, the code can fall silent altogether; Bowman et al. (2016) then weaken the decoder as well, by
# hiding words from it.
#
# ## 7 · How much should a code tell? (V1)
#
# Used with care, $\beta$ is a useful dial (Higgins et al., 2017; Alemi et al., 2018). It trades the two parts of the
# ELBO against each other: what a code costs (KL, the *rate*, 율) against how badly it decodes
# ($-\log p_\theta(x \mid z)$, the *distortion*, 왜곡). The course ships the two-number VAE trained at four values of
# $\beta$, each on 59,000 digits.
#
# Is the rate what a code *tells* about its image? No, only an upper bound on it. Let $q(z)$ be the mixture of all
# clouds, the **aggregate posterior** (집계 사후 분포): take an image at random, then a code from its cloud. With the $N$
# images $x_1, \dots, x_N$,
#
# $$q(z) = \frac{1}{N} \sum_{i=1}^{N} q_\phi(z \mid x_i), \qquad
# \underbrace{\frac1N \sum_i \mathrm{KL}\big(q_\phi(z \mid x_i) \,\|\, p(z)\big)}_{\text{rate}}
# = \underbrace{\frac1N \sum_i \mathbb{E}_{q_\phi(z \mid x_i)}\Big[\log \frac{q_\phi(z \mid x_i)}{q(z)}\Big]}_{I(x;\, z)\text{, information}}
# + \underbrace{\mathrm{KL}\big(q(z) \,\|\, p(z)\big)}_{\text{gap}}$$
#
# (add and subtract $\log q(z)$; Hoffman and Johnson, 2016). The first part, the **mutual information** (상호 정보량), says
# how well a code picks out its image among the $N$. The second says how far the codes are from the prior, from which
# we are going to draw. One code per image is enough to estimate both.


# %%
@torch.inference_mode()
def split_rate(model: VAE, x: Tensor) -> list[float]:  # rate, information, gap; share of codes far out
    mu, logvar = model.posterior(x)
    z = reparameterise(mu, logvar, generator=torch.Generator().manual_seed(9))
    q = distributions.Normal(mu, (0.5 * logvar).exp())
    log_own = q.log_prob(z).sum(dim=1)  # log q(z_i | x_i)
    log_all = torch.cat([q.log_prob(part[:, None]).sum(dim=2) for part in z.split(50)])  # log q(z_i | x_j)
    log_mixture = log_all.logsumexp(dim=1) - math.log(len(x))  # log q(z_i)
    parts = kl_standard_normal(mu, logvar), log_own - log_mixture, log_mixture - prior.log_prob(z).sum(dim=1)
    outside = (z.norm(dim=1) > radius[0.95]).float()
    return [part.mean().item() for part in (*parts, outside)]


series = {0.1: load_pretrained("vae-2d-beta-0.1-mnist", "cpu"), 1: plane}
series |= {beta: load_pretrained(f"vae-2d-beta-{beta}-mnist", "cpu") for beta in (4, 16)}

# %%
rows = []
for beta, model in counted(series.items(), "values of β"):
    with torch.inference_mode():
        part = model.elbo(test.x, generator=torch.Generator().manual_seed(9))
    on_test = [-part.log_likelihood.mean().item(), part.total.mean().item()]
    rows.append([f"{beta:g}", *on_test, *split_rate(model, train.x)])

# %% tags=["V1-rate", "nbval-ignore-output"] slide="Cheaper codes decode worse; of four values of β, 1 has the best ELBO on test images"
distortion, elbo, rate, information, gap, outside = (
    torch.tensor(column) for column in list(zip(*rows, strict=True))[1:]
)
few = torch.tensor([split_rate(model, train.x[:1000]) for model in series.values()])  # with 1,000 images
of_sixteen = split_rate(shipped, train.x[:1000])
assert (rate.diff() < -0.5).all()
assert (distortion.diff() > 0.5).all()
assert elbo.argmax() == 1
assert (information + gap - rate).abs().max() < 0.15
assert (gap.diff() < 0).all()
assert rate[0] - math.log(4000) > 0.5 * gap[0]
assert outside[0] > 0.15 > outside[1]
assert (few[:3, 2] > gap[:3] + 0.03).all()
assert of_sixteen[1] > 0.99 * math.log(1000)
columns = ["distortion, test", "ELBO, test", "rate", "information", "gap", "codes outside the 95 % disc"]
table(["β", *columns], rows)

# %% [markdown]
# Distortion and ELBO are measured on the test images; rate, information, gap and the last column on the training
# images; all but the last are in nats. Going down the table, codes get cheaper and decode worse. The ELBO on test
# images is best at $\beta = 1$: it is what that model was trained for. And the rate is information plus gap,
# up to 0.15 nats: these two are estimated from one draw per image, the rate is not.
# At $\beta = 0.1$ nats are cheap, and the codes spread beyond the prior: more than 15 % lie outside the disc that
# holds 95 % of it. Codes drawn from $p(z)$ then reach only part of what the decoder has learned.
#
# A caution about information and gap. They are measured with $N = 4000$ images, and a code cannot pick out one of
# 4,000 with more than $\log 4000 = 8.3$ nats. At $\beta = 0.1$ the rate alone is above 8.3 nats: whatever lies above
# it must be gap, so most of that gap comes from $N$ being small. With 1,000 images the gap comes out larger in the
# first three rows (checked in the cell above): part of it is only that so few small clouds cannot cover the plane.
# Read the gap as an upper limit for all of MNIST. With 16 numbers this measurement fails: there every cloud is by
# itself, and the information is practically $\log N$ (checked in the cell above). Section 8 has to do without it.
#
# Now look at the spaces. **Move the slider** for $\beta$ and watch the dots, the means $\mu(x)$ of 300 test images:
# how far do they spread? Some colours look alike: press a digit in the legend below the map, and its dots stand out.
# **Drag** over the map to decode a point; beside it stands the nearest of the 300 images, with its class. Then walk
# between two images, a 0 and a 3 to begin with. What lies between the two, and what becomes of the whole walk at
# $\beta = 16$? The table below the map gives two shares for the same 300 images: of dots far out, and of
# reconstructions that can be read.

# %% slide="Move β: how far do the codes spread?" slide_part="Drag over the latent space"
from course_utils.explorers import Choice, Explorer, LatentExplorer, Panel, Readout, Slider

maps = LatentExplorer(
    series,
    test,
    series="β",
    grid=15,
    points=300,
    anchors=4,
    title="Two numbers, four values of β",
    hint="Try: change β and look at the map; then drag over it, and let t run.",
)
maps.index = [1, maps.index[1], 0, 3, 0, 5]  # β = 1; half of the way from a 0 to a 3
maps

# %% tags=["V1-maps", "nbval-ignore-output"]
far, legible = {}, {}
for beta, model in series.items():
    with torch.inference_mode():
        mu, _ = model.posterior(test.x[:300])
    far[beta] = (mu.norm(dim=1) > 3).double().mean().item()
    legible[beta] = is_readable(over_batches(model.decode, mu)).double().mean().item()
assert far[0.1] > 0.1
assert max(far[1], far[4], far[16]) < 0.05
assert legible[16] < 0.2
assert min(legible[0.1], legible[1], legible[4]) > 0.4
assert rate[3] < math.log(10)
table(["β", "dots farther than 3 from the origin", "reconstructions readable"],
      [[f"{beta:g}", far[beta], legible[beta]] for beta in series])  # fmt: skip

# %% [markdown]
# <details><summary>What you should have seen</summary>
#
# At $\beta = 0.1$ the dots spread beyond the prior, most of all along one axis: about one in six lies farther than 3
# from the origin (of draws from $N(0, I)$, one in ninety). So draws from the prior hardly ever reach that part. At
# $\beta = 1$ the dots lie in a disc, roughly as draws from the prior do, and at 4 not much changes. At 16 the rate is
# 1.3 nats, less than the $\log 10 = 2.3$ nats that it takes to name one of ten digits: the classes overlap, and few
# of the decoded images can be read. (Where the page cannot run: the picture shows $\beta = 1$ and the walk from a 0
# to a 3. On the way lies a region of sixes.)
#
# </details>

# %% [markdown]
# ## 8 · Do the codes cover the prior? (V1)
#
# New codes come from $p(z)$, but the decoder was trained on codes from $q(z)$. If the two were equal, there would be
# no *holes*: no regions from which we draw codes but in which the decoder was never trained. For the shipped VAE with
# 16 numbers, look at them dimension by dimension first.

# %%
with torch.inference_mode():
    mu, logvar = shipped.posterior(train.x)
aggregate = reparameterise(mu, logvar, generator=torch.Generator().manual_seed(10))  # 4,000 codes from q(z)
kl_of = kl_each_dimension(mu, logvar).mean(dim=0)
order = kl_of.argsort(descending=True)
bell = torch.linspace(-4, 4, 100)

# %% alt="Histograms of the sixteen numbers of the code, ranked by their KL. The codes follow the standard normal curve; the centres alone are narrower the smaller the KL; in the last two they are a spike at 0." slide="One by one, the numbers of the code look like the prior"
fig, axes = plt.subplots(2, 8, figsize=(11, 3.4), sharex=True, sharey=True, layout="constrained")
for rank, (j, ax) in enumerate(zip(order, axes.flat, strict=True), start=1):
    ax.hist(aggregate[:, j], bins=40, range=(-4, 4), density=True, color="C0", alpha=0.4, label="codes")
    ax.hist(mu[:, j], bins=40, range=(-4, 4), density=True, color="C1", histtype="step", label="centres μ")
    ax.plot(bell, prior.log_prob(bell).exp(), "k-", lw=1, label="N(0, 1)")
    ax.set_title(f"rank {rank}: {kl_of[j]:.2f} nats", fontsize=9)
    ax.set_ylim(0, 1)
    ax.set_xticks([-3, 0, 3])
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
fig.supxlabel("value", fontsize=10)
fig.supylabel("density", fontsize=10)
plt.show()

# %% [markdown]
# Filled: codes from the clouds. Outlined: the centres $\mu$ alone. Thin line: the prior. The dimensions are ranked by
# their KL, which stands above each. Where the KL is small, the centres are narrower than the prior, and the clouds'
# own width makes up for it. The last two are inactive: $\mu$ is 0 for every image, or nearly (a spike, cut off at 1),
# and they carry nothing. The model has found that it needs fewer than 16 numbers.
#
# By eye, each dimension of the codes looks much like the prior (rank 2 leans a little to the right). That is
# necessary, not sufficient: 16 dimensions can be normal one by one and still leave holes together. Even a VAE that
# was never trained passes this test: its clouds *are* the prior, or nearly.


# %% tags=["V1", "nbval-ignore-output"]
def against_prior(
    z: Tensor,
) -> list[float]:  # how far mean, variance and correlations are from N(0, I), at worst
    parts = z.mean(dim=0), z.var(dim=0) - 1, z.T.corrcoef() - torch.eye(d)
    return [part.abs().max().item() for part in parts]


with torch.inference_mode():
    idle = reparameterise(*untrained.posterior(train.x), generator=torch.Generator().manual_seed(10))
one_by_one = {
    "shipped VAE": against_prior(aggregate),
    "VAE, untrained": against_prior(idle),
    "shipped AE": against_prior(over_batches(shipped_plain.encode, train.x)),
}
for name in ("shipped VAE", "VAE, untrained"):
    assert max(one_by_one[name]) < 0.3
assert one_by_one["shipped AE"][1] > 1
assert kl_of.max() > 1
assert (kl_of[order[-2:]] < 0.05).all()
table(["at worst", "mean", "variance minus 1", "correlation"], [[n, *v] for n, v in one_by_one.items()])

# %% [markdown]
# So decode. Below, the same VAE is given codes from four places: clouds of training images, $q(z)$; the prior,
# $p(z)$; one Gaussian fitted to the codes; and ten Gaussians fitted to them, just as we did for the autoencoder in
# section 3.

# %%
places = {
    "clouds of training images, q(z)": aggregate[:1000],
    "the prior, p(z)": normal_codes,
    "one Gaussian fitted to the codes": draw_codes(aggregate, 1),
    "ten Gaussians fitted to the codes": draw_codes(aggregate, 10),
}

# %% tags=["V1", "nbval-ignore-output"] slide="Ten Gaussians fitted to the codes close over half of the gap between prior and clouds"
from_clouds, from_prior, from_one, from_ten = found = [
    scores["shipped VAE"] if z is normal_codes else judge(over_batches(shipped.decode, z))  # as in section 3
    for z in counted(places.values(), "kinds of codes")
]
with torch.inference_mode():
    z = reparameterise(*shipped.posterior(test.x), generator=torch.Generator().manual_seed(10))
of_test_clouds = is_readable(over_batches(shipped.decode, z)).double().mean().item()
assert abs(from_clouds[0] - of_test) < 0.06
assert abs(of_test_clouds - from_clouds[0]) < 0.05
assert from_clouds[0] > from_prior[0] + 0.25
assert from_clouds[1] < 0.6 * from_prior[1]
assert abs(from_one[0] - from_prior[0]) < 0.1
assert from_one[1] > 0.7 * from_prior[1]
assert from_ten[0] > (from_prior[0] + from_clouds[0]) / 2
assert from_ten[1] < (from_prior[1] + from_clouds[1]) / 2
assert from_ten[3] < from_prior[3] - 0.03
assert abs(from_ten[3] - from_clouds[3]) < 0.05
assert abs(from_ten[0] - scores["shipped AE, 10 Gaussians"][0]) < 0.1
assert scores["shipped AE, 10 Gaussians"][1] < from_ten[1]
assert scores["shipped AE, 10 Gaussians"][3] > from_ten[3]
table(
    ["codes of the shipped VAE from", *header[1:]],
    [[name, *row] for name, row in zip(places, found, strict=True)],
)

# %% alt="Four rows of decoded images: from the clouds of training images, nearly all digits; from the prior and from one fitted Gaussian, some shapeless; from ten fitted Gaussians, mostly digits." slide="From its own clouds the VAE draws digits; from the prior, some are shapeless"
show_rows({name: over_batches(shipped.decode, z[:16]) for name, z in places.items()}, scale=0.5)

# %% [markdown]
# Here is the gap, in pictures. From its own clouds the VAE draws images about as readable as real ones (from clouds
# of the *test* images nearly the same share); from the prior, far less readable ones. One fitted Gaussian changes
# little: in mean and covariance the codes *are* nearly standard normal already. Ten Gaussians, which can follow the
# islands of the digits, close more than half of the gap in readable images and in FID. Recall is a little lower than
# from the prior, and about as low as from the clouds of real images (first row). Strange images lie far apart and
# raise recall (notebook 02, section 9), so this need not mean less variety.
#
# And they bring the shipped VAE about as many readable images as they brought the shipped autoencoder in section 3;
# in FID and recall the autoencoder is even a little ahead. With a prior fitted afterwards, the VAE has no advantage
# here.
#
# This is the road to notebook 08. There the autoencoder's KL term is kept only as a light touch on the codes' scale,
# and the prior is learned afterwards by the strongest model we have, a diffusion model.
#
# ## 9 · From one image to another (V1)
#
# A straight walk between codes is $z_t = (1 - t)\, z_A + t\, z_B$. Draws from $N(0, I)$ in 16 dimensions nearly all
# lie at a distance of about $\sqrt{16} = 4$ from the origin. The middle of two independent ones lies at about
# $4 / \sqrt2 \approx 2.8$: nearer to the origin than almost any code the decoder was trained on. The **spherical**
# walk (구면 보간) keeps the distance:
#
# $$z_t = \frac{\sin((1 - t)\,\omega)}{\sin \omega}\, z_A + \frac{\sin(t\,\omega)}{\sin \omega}\, z_B,
# \qquad \omega = \text{the angle between } z_A \text{ and } z_B.$$
#
# We walk between codes of real images of different digits.

# %%
from course_utils.nets import lerp, slerp

ts = torch.linspace(0, 1, 9)
z_a, z_b = aggregate[:400], aggregate[1001:1401]
different = train.y[:400] != train.y[1001:1401]
walks = {
    name: torch.stack([walk(z_a[different], z_b[different], t) for t in ts.tolist()])
    for name, walk in (("linear", lerp), ("spherical", slerp))
}
frames = {
    name: over_batches(shipped.decode, z.flatten(0, 1)).unflatten(0, z.shape[:2]) for name, z in walks.items()
}

# %%
length = {name: z.norm(dim=2).mean(dim=1) for name, z in walks.items()}
share = {name: torch.stack([is_readable(x).double().mean() for x in steps]) for name, steps in frames.items()}

# %% tags=["V1-walks"] alt="Two charts along the walk from one code to another. The linear walk dips towards the origin, the spherical one keeps its distance. The share of readable images dips in the middle of both." slide="The straight walk dips towards the origin; half-way it is somewhat less often readable"
assert abs(length["spherical"][4] - 4) < 0.4
assert abs(length["linear"][4] - 4 / 2**0.5) < 0.4
for name in walks:
    assert share[name][4] < share[name][[0, -1]].min() - 0.2
assert (share["linear"] - share["spherical"]).abs().max() < 0.2
assert share["spherical"][4] > share["linear"][4] + 0.03
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.4), layout="constrained")
for (name, marker), color in zip({"linear": "o", "spherical": "s"}.items(), ("C0", "C1"), strict=True):
    style = {"marker": marker, "color": color, "ls": "-" if marker == "o" else "--", "label": name}
    left.plot(ts, length[name], **style)
    right.plot(ts, share[name], **style)
left.set(xlabel="$t$", ylabel="mean distance\nfrom the origin", ylim=(0, 5))
right.set(xlabel="$t$", ylabel="share readable", ylim=(0, 1))
left.legend(frameon=False)
plt.show()

# %% alt="Two walks, from a 0 to a 1 and from a 1 to a 2, each linear and spherical: the digits change smoothly, through shapes that are neither."
show_rows({f"{name} {pair + 1}": x[:, pair] for pair in (0, 1) for name, x in frames.items()})

# %% [markdown]
# The straight walk dips towards the origin, the spherical one does not. Somewhere on the way each walk passes through
# images that are not clearly one digit, as any continuous change from one digit to another must. The right plot shows
# which share of the images is readable at each $t$.
#
# The origin is the *most likely* code under the prior and yet *untypical*: hardly any draw lies near it. Does the
# straight walk suffer for it? Hardly: the two curves on the right are nearly the same, and only in the middle is the
# spherical walk a little more often readable. What lies between two digits matters more here than the distance from
# the origin.
#
# ## 10 · One dimension at a time
#
# Take the code of an image, change one of its 16 numbers, leave the others, decode. Choose an image and one of the
# eight most informative dimensions (their ranks are those of section 8), and move the value. The ninth choice is the
# dimension with the smallest KL. The row shows the decoded images for all values, and the picture below it what changed
# at the chosen one: white where the image became brighter than its reconstruction, black where darker.

# %%
picks = [int((test.y == k).nonzero()[2]) for k in range(6)]
kept = [*order[:8].tolist(), int(order[-1])]
values = torch.linspace(-2.5, 2.5, 11)
z = shipped.encode(test.x[picks]).detach()
moved = z[:, None, None, :].repeat(1, len(kept), len(values), 1)  # (6, 9, 11, 16)
for k, j in enumerate(kept):
    moved[:, k, :, j] = values
frames = over_batches(shipped.decode, moved.flatten(0, 2)).unflatten(0, moved.shape[:3])
changed = (frames - over_batches(shipped.decode, z)[:, None, None]) / 2
own = [[f"{round(v, 1) + 0:.1f}".replace("-", "−") for v in row] for row in z[:, kept].tolist()]

# %% slide="Change one number of the code: what changes?"
controls = [
    Choice("image", [str(k) for k in range(6)], test.x[picks]),
    Choice("dimension", [f"rank {rank}" for rank in range(1, 9)] + ["rank 16, the least informative"]),
    Slider("value", [f"{v:g}".replace("-", "−") for v in values.tolist()], play=True),
]
depends = ("image", "dimension", "value")
panels = [Panel("decoded", frames, depends, strip="value"), Panel("what changed", changed, depends)]
readout = Readout("the image's own value", own, ("image", "dimension"))
Explorer(
    controls,
    panels,
    [readout],
    title="One number of the code",
    hint="Try: turn one number of the code up and down, then another. Which of them change the digit?",
    index=[2, 0, 5],
)

# %% tags=["V1-dimensions", "nbval-ignore-output"]
change = (frames[:, :, 7] - frames[:, :, 3]).square().sum(dim=(2, 3, 4)).mean(dim=0)  # from -1 to 1
assert change[:2].mean() > 1.2 * change[6:8].mean()
assert change[-1] < 0.3 * change[:8].min()
table(["rank", *range(1, 9), 16], [["squared change of the image", *change.tolist()]])

# %% [markdown]
# The table shows how much the image changes when one number goes from −1 to 1, the same step for each. In the number
# of rank 1 you may find wide, round digits at its lower end (the 4 and the 5 become a 0) and narrow, slanted ones at
# its upper end (the 2 becomes a 1). Is it an accident that a single number does something one can name? The ELBO with
# a full covariance would not care how the axes of the code are turned, but a $q$ with a *diagonal* covariance does:
# it favours axes along which the decoder's main directions of change lie (Rolínek et al., 2019). Still, nothing in
# the loss says that one number should have one *human* meaning, and without any labels or assumptions it cannot be
# guaranteed (Locatello et al., 2019). Which change falls to which number may change with the seed.
#
# **Draw a digit of your own**, and see how this VAE changes it where a plain autoencoder copies it: add a cell with
# `from course_utils.explorers import DrawingExplorer; DrawingExplorer()`.
#
# ## 11 · Its images are blurred (V3)
#
# How do you measure blur? Blur an image with a small Gaussian and see how much of it was lost: the energy of
# $x - \mathrm{blur}(x)$ is what the image has in edges and fine detail, its **high-frequency energy** (고주파 에너지). So
# that images with more ink do not score higher, we divide by the energy of the whole image (its squared distance from
# black). We compare the VAE's images with real ones, with those of the GAN of the next notebook, and with the plain
# autoencoder's reconstructions.

# %%
from course_utils.nets import blur

gan = load_pretrained("gan-mnist", "cpu")
draw = torch.Generator().manual_seed(12)
with torch.inference_mode():
    compared = {
        "real": test.x,
        "VAE, reconstructed": over_batches(shipped, test.x),
        "VAE, from the prior": drawn["shipped VAE"],
        "real, sampled pixels": binarise(test.x, generator=draw),
        "VAE, sampled pixels": binarise(drawn["shipped VAE"], generator=draw),
        "autoencoder, reconstructed": over_batches(shipped_plain, test.x),
        "GAN": gan.sample(1000, generator=draw),
    }


# %%
def detail(x: Tensor) -> float:
    return ((x - blur(x, 1.0)).square().sum() / (x + 1).square().sum()).item()


# %% tags=["V3", "nbval-ignore-output"]
details = {name: detail(x) for name, x in compared.items()}
relative = {name: value / details["real"] for name, value in details.items()}
assert 0.62 < relative["VAE, from the prior"] < 0.74
assert 0.69 < relative["VAE, reconstructed"] < 0.8
assert relative["autoencoder, reconstructed"] < 0.93
assert relative["GAN"] > 1.15 * relative["VAE, from the prior"]
assert relative["real, sampled pixels"] > 1.5
assert relative["VAE, sampled pixels"] > 1.1 * relative["real, sampled pixels"]
table(["images", "high-frequency energy", "of the real one"],
      [[name, value, relative[name]] for name, value in details.items()])  # fmt: skip

# %% alt="Rows of digits: real; reconstructed and sampled by the VAE, which are softer; real and VAE with sampled pixels, which are grainy; the autoencoder's, a little soft; the GAN's, sharp." slide="The VAE's digits are soft, the GAN's sharper"
show_rows({name: x[:12] for name, x in compared.items()}, scale=0.6)

# %% [markdown]
# The VAE's images lack a quarter (reconstructions) to a third (samples) of the fine detail, the GAN's less. The plain
# autoencoder's lack some too, so the KL term is not the only cause. Another is that 16 numbers cannot say everything:
# a code leaves things open, such as where exactly a stroke ends, and for each pixel the decoder gives its *mean* over
# all that is open. A mean of sharp edges at different places is a soft edge. For a given code, a decoder that treats
# the pixels as independent cannot do better: to draw a sharp edge at a random place, all pixels would have to agree
# on the place. Sampling the pixels does not help. It makes any image grainy, even a real one, and the VAE's more so.
# The measure counts grain as fine detail, so values above 1 are not sharpness. A GAN pays no price for each pixel; it
# is asked only whether the whole image looks real. All this is about this decoder, not about every VAE: with several
# levels of codes (section 13) a VAE can draw sharp images.
#
# ## 12 · The ELBO as an alarm (V2)
#
# A model of $p(x)$ can say which images are unusual. Score an image by its negative ELBO and compute the AUROC
# (notebook 01): the probability that an anomalous image gets a higher score than a normal one. The normal images are
# test digits. There are five kinds of anomaly. The first two are digits turned upside down and mirrored digits. For
# these we use only 3, 4 and 7, which then are no longer digits, and compare them with the same digits upright. The
# third is shuffled pixels. The last two cause trouble: digits with thinner strokes, and a black image.

# %%
from course_utils.metrics import auroc


@torch.inference_mode()
def surprise(x: Tensor) -> Tensor:
    return -shipped.elbo(x, generator=torch.Generator().manual_seed(13)).total


# %% alt="Five rows of images that are unlike the training data in one way: upside down, mirrored, with pixels in disorder, with thin strokes, and all black."
lopsided = test.x[torch.isin(test.y, torch.tensor([3, 4, 7]))]
pixels = torch.randperm(784, generator=torch.Generator().manual_seed(14))
thin = -nn.functional.max_pool2d(-test.x, 2, 1)  # the darkest of four pixels: (1000, 1, 27, 27)
anomalies = {
    "upside down": lopsided.rot90(2, dims=(2, 3)),
    "mirrored": lopsided.flip(3),
    "pixels in disorder": test.x.flatten(1)[:, pixels].view_as(test.x),
    "thin strokes": nn.functional.pad(thin, (0, 1, 0, 1), value=-1.0),
    "all black": torch.full((100, 1, 28, 28), -1.0),
}
show_rows({name: x[:10] for name, x in anomalies.items()})

# %% tags=["V2-alarm", "nbval-ignore-output"] slide="The ELBO notices disorder, not thin strokes, and praises a black image"
scored = {name: surprise(x) for name, x in ({"normal": test.x} | anomalies).items()}
of_normal = dict.fromkeys(anomalies, scored["normal"])
of_normal |= dict.fromkeys(("upside down", "mirrored"), surprise(lopsided))
alarm = {name: auroc(normal=of_normal[name], anomalous=scored[name]) for name in anomalies}
assert alarm["upside down"] > 0.75
assert alarm["mirrored"] > 0.75
assert alarm["pixels in disorder"] > 0.99
assert abs(alarm["thin strokes"] - 0.5) < 0.15
assert alarm["all black"] < 0.05
table(["anomaly", "AUROC"], list(alarm.items()))

# %% [markdown] slide="Relatives: told the label, with many levels, with a codebook" slide_points="**Conditional VAE**: encoder and decoder are told the label, the code keeps the style | **Hierarchical VAE**: several codes, coarse to fine; diffusion is one with very many | **VQ-VAE**: the code is a small map of whole numbers, its prior learned afterwards"
# Digits in the wrong pose and disorder raise the alarm. Thin strokes do not: an AUROC near one half is no better than
# guessing. And a black image gets a *better* score than almost any real digit, although the model has never seen one.
# The likelihood of an image is not its familiarity. An image with few details is cheap: most pixels are black, and
# that is a safe bet everywhere (Nalisnick et al., 2019, found the same kind of failure with photographs). To detect
# anomalies, one has to compare with what such an image *ought* to cost; one way is the likelihood regret of Xiao et
# al. (2020).
#
# ## 13 · Relatives (V1)
#
# **Conditional VAE** (조건부 VAE). Give the label $y$ to the encoder and to the decoder: $q_\phi(z \mid x, y)$,
# $p_\theta(x \mid z, y)$. Then the code need not tell the class, only the style, and one can ask for a class (Sohn et
# al., 2015). Notebook 06 does the same for a GAN.
#
# **Hierarchical VAE** (계층적 VAE). Use several codes, coarse to fine, in the simplest case
# $p(z^{(1)})\, p(z^{(2)} \mid z^{(1)}) \cdots p(x \mid z^{(L)})$, each a network. The lower ones need not be standard
# normal, since the ones above predict them; so the prior can fit far better (Vahdat and Kautz's NVAE, 2020; Child,
# 2021). A diffusion model is such a VAE with very many levels, in which the encoder is fixed: it adds noise (notebook
# 07).
#
# **VQ-VAE** (vector quantisation, 벡터 양자화; van den Oord et al., 2017). The code is a small *map* of whole numbers. The
# encoder gives a vector $z_e$ for each of 7 × 7 places; it is replaced by the nearest of $M$ learned vectors
# $e_1, \dots, e_M$, the **codebook** (코드북), and only the number $m$ of that vector is the code. There is no cloud,
# and no KL term: with a uniform prior over the $M$ entries it would be the constant $49 \log M$. Choosing the nearest
# has no useful gradient, so the gradient of the decoder's input is copied to $z_e$ as if nothing had happened
# (*straight-through*). With $\operatorname{sg}$ for "no gradient through this", the loss is
#
# $$\lVert x - \hat{x} \rVert^2 + \lVert \operatorname{sg}[z_e] - e_m \rVert^2 + 0.25\, \lVert z_e - \operatorname{sg}[e_m] \rVert^2 .$$
#
# The second term moves the codebook to the encoder's vectors, the third holds these to the codebook. A VQ-VAE is
# small enough to train here.


# %%
class VQVAE(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module, codebook: Tensor):
        super().__init__()
        self.encoder, self.decoder, self.codebook = encoder, decoder, nn.Parameter(codebook)  # (M, width)

    def numbers(self, z_e: Tensor) -> Tensor:  # (N, width, 7, 7) → the nearest entry at each place, (N, 7, 7)
        return torch.cdist(z_e.movedim(1, 3).flatten(0, 2), self.codebook).argmin(dim=1).view(-1, 7, 7)

    def decode(self, m: Tensor) -> Tensor:  # (N, 7, 7) → images
        return self.decoder(self.codebook[m].movedim(3, 1))

    def loss(self, x: Tensor) -> Tensor:
        z_e = self.encoder(x)
        e_m = self.codebook[self.numbers(z_e)].movedim(3, 1)
        x_hat = self.decoder(z_e + (e_m - z_e).detach())  # the value of e_m, the gradient of z_e
        pull = (z_e.detach() - e_m) ** 2 + 0.25 * (z_e - e_m.detach()) ** 2
        return squared_error(x_hat, x).mean() + pull.sum(dim=(1, 2, 3)).mean()


# %%
with seeded(0):
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, 8, 1),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1), nn.Tanh(),
    )  # fmt: skip
    vq = VQVAE(encoder, decoder, codebook=torch.randn(32, 8)).to(memory_format=torch.channels_last)
_ = nn.init.constant_(decoder[-2].bias, -1.0)  # begin near the mean brightness


# %% alt="The loss of the model with a codebook swings at first, then falls and levels off. Below, ten digits and what comes back through the map of code numbers: the same digits, a little softer."
def through(x: Tensor) -> Tensor:
    return vq.decode(vq.numbers(vq.encoder(x)))


adam = torch.optim.Adam(vq.parameters(), lr=2e-3, fused=True)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 350)
shuffled = batches(train, 32, steps=350, generator=torch.Generator().manual_seed(0))
with Watch(
    350, lambda ax: show_rows({"image": some, "through the codes": through(some)}, ax=ax)
) as step_done:
    for x, _ in shuffled:
        adam.zero_grad()
        loss_of_batch = vq.loss(x)
        loss_of_batch.backward()
        adam.step()
        cosine.step()
        step_done(loss_of_batch.item())

# %%
with torch.inference_mode():
    maps_of_codes = {"train": vq.numbers(vq.encoder(train.x)), "test": vq.numbers(vq.encoder(test.x))}
    through_codes = vq.decode(maps_of_codes["test"])

# %% [markdown]
# Below: images, their maps of codes (a shade and a number for each entry of the codebook), and what the decoder makes
# of the maps.

# %% alt="Six digits, the 7 × 7 map of code numbers of each, most of them the number of the black ground, and the digits decoded from these maps." slide="A VQ-VAE writes a digit as a 7 × 7 map of codebook entries"
fig, axes = plt.subplots(3, 6, figsize=(9, 4.6), layout="constrained")
for column, (top, middle, bottom) in enumerate(axes.T):
    top.imshow(test.x[column, 0], cmap="gray", vmin=-1, vmax=1)
    middle.imshow(maps_of_codes["test"][column], cmap="Greys", vmin=0, vmax=40)
    for place, k in enumerate(maps_of_codes["test"][column].flatten().tolist()):
        ink = "white" if k > 24 else "black"
        middle.text(place % 7, place // 7, k, ha="center", va="center", fontsize=7.5, color=ink)
    bottom.imshow(through_codes[column, 0], cmap="gray", vmin=-1, vmax=1)
for ax, name in zip(axes[:, 0], ("image", "7 × 7 codes", "decoded"), strict=True):
    ax.set_ylabel(name)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# How do you draw a *new* map? The VQ-VAE has no prior worth the name yet. Let us try the simplest: at each of the 49
# places draw a number with the frequency it has there in the training images, each place independently.

# %%
of_train = maps_of_codes["train"].flatten(1)  # (4000, 49)
chosen = torch.randint(len(of_train), (1000, 49), generator=torch.Generator().manual_seed(15))
with torch.inference_mode():
    independent = vq.decode(of_train.gather(0, chosen).view(-1, 7, 7))

# %% tags=["V1-codebook", "nbval-ignore-output"]
used = int((torch.bincount(of_train.flatten(), minlength=32) > 100).sum())
error = squared_error(through_codes, test.x).mean().item()
by_mean = squared_error(train.x.mean(dim=0).expand_as(test.x), test.x).mean().item()
quality = {"reconstructed": is_readable(through_codes).double().mean().item(),
           "places drawn independently": is_readable(independent).double().mean().item()}  # fmt: skip
assert error < 0.35 * by_mean
assert quality["reconstructed"] > 0.7
assert quality["places drawn independently"] < 0.15
assert used < 28
print(f"{used} of the 32 entries are used more than 100 times in {of_train.numel():,} places.")
table(["maps", "share readable"], list(quality.items()))

# %% alt="Images decoded from maps whose places were drawn independently: pieces of strokes that do not fit together." slide="Entries drawn independently decode to strokes that do not fit together"
show_images(
    independent[:12], columns=12, title="each place drawn independently: pieces of strokes that do not fit"
)

# %% [markdown] slide="Think first: five questions" slide_points="Leave out the KL term: what does the encoder do with its $\\sigma$? | The squared error averaged over pixels, the KL over dimensions: which $\\beta$ is that? | A thousand Gaussians fitted to 4,000 codes: which measurement tells what went wrong? | The encoder is thrown away when we sample. Why train it? | Why can a VQ-VAE not use the reparameterisation trick?"
# Most reconstructions are readable, although some of the 32 entries are (almost) never used, which is this method's
# own kind of collapse. But maps drawn place by place decode into pieces that do not belong together. What is missing
# is a model of which codes go with which: a *learned prior* over maps. In the paper it is autoregressive, like the
# models of notebook 01. In latent diffusion, notebook 08, the codes are again a small map, there of continuous
# numbers, and the prior is a diffusion model. Autoencoder first, strong prior afterwards: it is the plan that section
# 8 arrived at.
#
# ## 14 · Questions
#
# Think first, then unfold the answer.
#
# **1.** Leave out the KL term ($\beta = 0$). What does the encoder do with its $\sigma$, and what have you got?
#
# <details><summary>Answer</summary>
#
# Noise on the code only harms the reconstruction, so $\sigma$ goes to 0 and the cloud becomes a point: the plain
# autoencoder. Its codes may lie anywhere, and the prior plays no part any more.
#
# </details>
#
# **2.** Why is $\mathrm{KL}(q \,\|\, p_\theta(z \mid x)) \ge 0$? (Use $\log u \le u - 1$.)
#
# <details><summary>Answer</summary>
#
# Write $p$ for $p_\theta(z \mid x)$. Then
# $-\mathrm{KL} = \mathbb{E}_q[\log (p / q)] \le \mathbb{E}_q[p / q - 1] = \int p\, dz - \int q\, dz = 1 - 1 = 0$,
# with equality only where $p = q$.
#
# </details>
#
# **3.** Someone averages the squared error over the 784 pixels and the KL over the 16 dimensions and adds the two.
# Which $\beta$ is that?
#
# <details><summary>Answer</summary>
#
# $\frac{1}{784} \lVert \cdot \rVert^2 + \frac{1}{16} \mathrm{KL} = \frac{1}{784} \left( \lVert \cdot \rVert^2 + 49\, \mathrm{KL} \right)$:
# beside the squared error the KL weighs 49. With a Gaussian decoder of $\sigma_x$ the squared error stands with the
# factor $1 / 2\sigma_x^2$; so this is $\beta = 1$ with $\sigma_x^2 = 24.5$, or $\beta = 49$ with $\sigma_x^2 = 0.5$.
# At such a price few dimensions, if any, will be worth having.
#
# </details>
#
# **4.** Ten Gaussians fitted to the codes help a lot. A friend fits a thousand to the 4,000 codes. What will the
# samples look like, and which measurement would tell you what went wrong?
#
# <details><summary>Answer</summary>
#
# With about four codes to each Gaussian, the mixture hardly does more than store the training codes. The samples will
# be as readable as reconstructions, because they nearly are reconstructions of training images. Readability and FID
# will praise them. The distance to the nearest *training* image, compared with that of test images, shows the copying
# (notebooks 02 and 03); so does the log-likelihood of the *test* codes under the mixture.
#
# </details>
#
# **5.** The encoder is thrown away when we sample. Why train it?
#
# <details><summary>Answer</summary>
#
# To make the training possible. To raise $p_\theta(x)$ we must find codes that could have made $x$; the encoder
# proposes them. Without it, nearly every code drawn from the prior would give a likelihood, and a gradient, of
# practically 0.
#
# </details>
#
# **6.** Why can the codes of a VQ-VAE not be trained with the reparameterisation trick? What could one do instead of
# the straight-through copy?
#
# <details><summary>Answer</summary>
#
# A whole number does not change by a small amount when the encoder's output does: the derivative is 0 almost
# everywhere and does not exist at the jumps. The score-function estimator works for discrete codes (with its noise);
# another way is to replace the choice by a soft one that is made harder and harder (the Gumbel-softmax of Jang et
# al., 2017).
#
# </details>
#
# ## Words
#
# | English | Korean | meaning |
# | --- | --- | --- |
# | variational autoencoder | 변분 오토인코더 | an autoencoder that is a generative model with a prior |
# | generative model | 생성 모델 | learns the distribution of the data and draws from it |
# | prior | 사전 분포 | $p(z)$, the distribution of codes, fixed before training |
# | posterior | 사후 분포 | $p_\theta(z \mid x)$, which codes could have made this image |
# | approximate posterior | 근사 사후 분포 | $q_\phi(z \mid x)$, the encoder's guess of it |
# | likelihood | 가능도 | $p_\theta(x \mid z)$ as a measure of how well $z$ explains $x$ |
# | reconstruction | 재구성, 복원 | the decoded image $\hat{x}$ |
# | evidence lower bound | 증거 하한 | ELBO, a bound on $\log p_\theta(x)$ that can be computed |
# | Kullback-Leibler divergence | 쿨백-라이블러 발산 | how much one distribution differs from another, in nats |
# | reparameterisation trick | 재매개변수화 기법 | $z = \mu + \sigma \epsilon$: randomness outside, gradient inside |
# | score-function estimator | 점수 함수 추정량 | a gradient from the values of $f$ alone: $f(z)\, \nabla \log q(z)$ |
# | baseline | 기준값 | a constant taken off $f$, which lowers the noise |
# | amortisation gap | 상각 격차 | what is lost because one network guesses for all images |
# | posterior collapse | 사후 분포 붕괴 | clouds equal to the prior; the code says nothing |
# | warm-up | 웜업 | raise the weight of the KL term slowly |
# | free bits | 자유 비트 | the first nats of each dimension cost nothing |
# | autoregressive | 자기회귀 | each pixel, or code, predicted from those before it |
# | rate, distortion | 율, 왜곡 | what a code costs; how badly it decodes |
# | mutual information | 상호 정보량 | what a code tells about its image |
# | aggregate posterior | 집계 사후 분포 | $q(z)$, the mixture of all images' clouds |
# | spherical interpolation | 구면 보간 | a way between two codes that keeps the distance from the origin |
# | high-frequency energy | 고주파 에너지 | what an image has in edges and fine detail |
# | conditional VAE | 조건부 VAE | a VAE that is told the label |
# | hierarchical VAE | 계층적 VAE | several codes, coarse to fine, each predicting the next |
# | vector quantisation, codebook | 벡터 양자화, 코드북 | replace a vector by the nearest of a learned list; the list |
#
# ## Read on
#
# - D. Kingma and M. Welling, *Auto-encoding variational Bayes*, ICLR 2014: the paper. Appendix B has the KL term.
# - D. Rezende, S. Mohamed, D. Wierstra, *Stochastic backpropagation and approximate inference in deep generative
#   models*, ICML 2014: the same idea at the same time.
# - Y. Burda, R. Grosse, R. Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016: the tighter bound.
# - C. Cremer, X. Li, D. Duvenaud, *Inference suboptimality in variational autoencoders*, ICML 2018: the amortisation
#   gap.
# - S. Bowman et al., *Generating sentences from a continuous space*, CoNLL 2016: collapse with a strong decoder, and
#   warm-up.
# - D. Kingma et al., *Improved variational inference with inverse autoregressive flow*, NeurIPS 2016: free bits.
# - O. Rybkin, K. Daniilidis, S. Levine, *Simple and effective VAE training with calibrated decoders*, ICML 2021: the
#   learned $\sigma_x$.
# - I. Higgins et al., *β-VAE*, ICLR 2017; A. Alemi et al., *Fixing a broken ELBO*, ICML 2018: rate and distortion.
# - M. Hoffman and M. Johnson, *ELBO surgery*, NeurIPS 2016 workshop *Advances in Approximate Bayesian Inference*: the
#   rate split in two.
# - M. Rolínek, D. Zietlow, G. Martius, *Variational autoencoders pursue PCA directions (by accident)*, CVPR 2019; F.
#   Locatello et al., *Challenging common assumptions in the unsupervised learning of disentangled representations*,
#   ICML 2019: what axes mean.
# - E. Nalisnick et al., *Do deep generative models know what they don't know?*, ICLR 2019; Z. Xiao, Q. Yan, Y. Amit,
#   *Likelihood regret*, NeurIPS 2020: the likelihood fails as an alarm (the first), and a remedy (the second).
# - K. Sohn, H. Lee, X. Yan, *Learning structured output representation using deep conditional generative models*,
#   NeurIPS 2015; A. Vahdat and J. Kautz, *NVAE*, NeurIPS 2020; R. Child, *Very deep VAEs*, ICLR 2021: conditional and
#   hierarchical ones.
# - A. van den Oord, O. Vinyals, K. Kavukcuoglu, *Neural discrete representation learning*, NeurIPS 2017: the VQ-VAE.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-softmax*, ICLR 2017: gradients for discrete
#   codes.
#
# Next: **05 · Generative adversarial network**, which asks for no likelihood at all. The homework to this notebook is
# `homework/student/hw04.ipynb`.
