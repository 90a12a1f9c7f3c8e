# %% [markdown]
# [Open in Colab](badge)
#
# # Homework 04 · Variational autoencoder
#
# Six exercises and one open question, about an hour and a half. Write your code where a cell says so; leave the check
# cells as they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all*
# before you hand it in: a notebook that does not run from top to bottom cannot be graded fairly. Beside plain Python,
# PyTorch and NumPy the grader runs what this notebook itself imports; other imports, files, `%`, `!` and names such as
# `_x` it refuses, and `course homework check` says so before.
#
# The symbols are those of notebook 04: $x$ an image, $z$ its code of $d$ numbers, $\log$ the natural logarithm.
# `logvar` is $\log \sigma^2$, and $N$ is the number of images in a batch.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+address"

# %%
import math

import torch
import torch.nn.functional as F
from torch import Tensor, distributions, nn

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.data import batches, load_images
from course_utils.nets import seeded
from course_utils.pretrained import load_pretrained

train, test = load_images("digits", "train"), load_images("digits", "test")

# %% [markdown]
# ## 1 · Chance outside, gradient inside
#
# The encoder gives $\mu$ and $\log \sigma^2$, both of the shape (N, d). Draw a code for each row (Kingma and Welling
# 2014):
#
# $$z = \mu + \sigma\, \epsilon, \qquad \epsilon \sim N(0, I).$$
#
# Each of the N · d numbers has its own $\epsilon$. All randomness comes from the generator that is given, and
# gradients flow from $z$ to $\mu$ and to $\log \sigma^2$.
#
# <details><summary>Hint 1</summary>
#
# $\sigma$ is the square root of $\sigma^2$. What does this root do to the logarithm?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.randn(mu.shape, generator=generator)` draws $\epsilon$. `torch.normal(mu, sigma)` has the right distribution
# too, but its gradient with respect to $\mu$ and $\sigma$ is 0.
#
# </details>


# %% key="q1"
def reparameterise(mu: Tensor, logvar: Tensor, generator: torch.Generator) -> Tensor:
    ### BEGIN SOLUTION
    eps = torch.randn(mu.shape, generator=generator)
    return mu + torch.exp(logvar / 2) * eps
    ### END SOLUTION


# %% key="check-q1" tags=["check"]
# CHECK q1
draw = torch.Generator().manual_seed(1)
mu, logvar = torch.randn(3, 4, generator=draw), torch.randn(3, 4, generator=draw)
z = reparameterise(mu, logvar, torch.Generator().manual_seed(2))
check_shape("q1: reparameterise(mu, logvar, generator) for mu of the shape (3, 4)", z, (3, 4))
if z.dtype != mu.dtype:
    raise AssertionError(f"q1: z is {z.dtype}, should be {mu.dtype} like mu. Draw eps in that dtype.")
check_close(
    "q1: z for logvar = -60, so that σ is almost 0 and z almost mu,",
    reparameterise(mu, torch.full((3, 4), -60.0), torch.Generator().manual_seed(2)),
    mu,
)
leaves = [mu.clone().requires_grad_(), logvar.clone().requires_grad_()]
z = reparameterise(*leaves, torch.Generator().manual_seed(2))
hint = "Compute it from mu and logvar: let only eps be drawn."
to_mu, to_logvar = check_gradients("q1: z", z.sum(), leaves, hint=hint)
what = "q1: the derivative of z with respect to mu"
check_close(
    what, to_mu, torch.ones(3, 4), hint="Draw only eps: what torch.normal draws has the derivative 0."
)
half, sigmas = (z - mu) / 2, torch.tensor([2.0, 0.5, 1.0, 0.1, 3.0])
mu = torch.tensor([1.5, -2.0, 0.0, 10.0, 3.0]).repeat(4000, 1)
logvar = sigmas.square().log().repeat(4000, 1)
z = reparameterise(mu, logvar, torch.Generator().manual_seed(3))
counts = torch.tensor([len(column[:100].unique()) for column in z.T])
what = "q1: the number of different z among 100 draws with the same mu and logvar"
check_range(what, counts, 90, 100, hint="Each row needs its own eps.")
check_close(
    "q1: the standard deviation of z for σ² = exp(logvar) = 4, 0.25, 1, 0.01 and 9",
    z.std(dim=0),
    sigmas,
    tol=0.06,
    hint="sigma is exp(logvar / 2), and eps is standard normal.",
)
check_close("q1: the derivative of z with respect to logvar, which is (z - mu) / 2,", to_logvar, half)
eps = (z - mu) / sigmas
check_range("q1: the mean of eps = (z - mu) / sigma in each column", eps.mean(dim=0), -0.09, 0.09)
check_range("q1: the share of eps between -1 and 1", (eps.abs() < 1).double().mean(), 0.66, 0.70)
pairs = eps.T.corrcoef()[~torch.eye(5, dtype=torch.bool)]
what = "q1: the correlation between two columns of eps"
check_range(what, pairs, -0.09, 0.09, hint="Each number of a code needs its own eps.")
again = reparameterise(mu, logvar, torch.Generator().manual_seed(3))
check_close("q1: z with the same seed again", again, z, hint="Use the generator for every draw.")
generator = torch.Generator().manual_seed(4)
for what in ("another seed", "a second call with one generator"):
    other = reparameterise(mu, logvar, generator)
    changed = (other != again).double().mean()
    check_range(f"q1: the share of z that {what} changes", changed, 0.9, 1, hint="Use the given generator.")
    again = other
small = reparameterise(torch.tensor([[1.0, -2.5]]), torch.full((1, 2), -60.0), generator)
print("z for σ = 0:", [round(v, 2) for v in small[0].tolist()])

# %% [markdown]
# ## 2 · The price of a code
#
# Compute for each row, in nats, how much the cloud $N(\mu, \operatorname{diag} \sigma^2)$ differs from the prior
# (Kingma and Welling 2014, appendix B):
#
# $$\mathrm{KL}\big(N(\mu, \operatorname{diag} \sigma^2) \,\|\, N(0, I)\big)
# = \frac12 \sum_{j=1}^{d} \left(\mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2\right).$$
#
# `mu` and `logvar` have the shape (N, d), the result has the shape (N,).
#
# <details><summary>Hint</summary>
#
# $\log \sigma^2$ is `logvar` itself, and $\sigma^2$ is its exponential. Only the whole sum is halved.
#
# </details>


# %% key="q2"
def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    ### END SOLUTION


# %% key="check-q2" tags=["check"]
# CHECK q2
zeros = torch.zeros(2, 5)
check_shape(
    "q2: kl_standard_normal(mu, logvar) for mu of the shape (2, 5)", kl_standard_normal(zeros, zeros), (2,)
)
check_close(
    "q2: the KL of the prior itself, mu = 0 and logvar = 0,", kl_standard_normal(zeros, zeros), zeros[:, 0]
)
check_close(
    "q2: the KL for mu = (1, 2) and (3, 0), with σ = 1,",
    kl_standard_normal(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.zeros(2, 2)),
    torch.tensor([2.5, 4.5]),
    hint="What is left is half the sum of squares of a row.",
)
four = torch.tensor([[math.log(4.0)]])
check_close(
    "q2: the KL for mu = 0 and one dimension with σ² = 4, so σ = 2,",
    kl_standard_normal(torch.zeros(1, 1), four),
    torch.tensor([1.5 - math.log(2.0)]),
    hint="logvar is log σ². Its exponential is σ², and logvar itself is subtracted.",
)
draw = torch.Generator().manual_seed(5)
mu, logvar = 2 * torch.randn(7, 3, generator=draw), torch.randn(7, 3, generator=draw)
q, prior = distributions.Normal(mu, (logvar / 2).exp()), distributions.Normal(0.0, 1.0)
z = mu + (logvar / 2).exp() * torch.randn(20_000, 7, 3, generator=draw)
by_drawing = (q.log_prob(z) - prior.log_prob(z)).sum(dim=2)  # the KL is the mean of this
check_range(
    "q2: the KL of 7 rows minus the mean of log q(z) - log p(z) over 20,000 draws z from q",
    kl_standard_normal(mu, logvar) - by_drawing.mean(dim=0),
    -0.2,
    0.2,
    hint="The mean is over z from q = N(mu, σ²), not from N(0, I).",
)
check_close(
    "q2: the KL of 7 rows of 3 numbers, beside torch.distributions.kl_divergence,",
    kl_standard_normal(mu, logvar),
    distributions.kl_divergence(q, prior).sum(dim=1),
)
leaves = [mu.clone().requires_grad_(), logvar.clone().requires_grad_()]
hint = "Compute it from mu and logvar with operations of torch only."
to_mu, to_logvar = check_gradients("q2: the KL", kl_standard_normal(*leaves).sum(), leaves, hint=hint)
check_close("q2: the derivative of the KL with respect to mu", to_mu, mu)
check_close("q2: the derivative of the KL with respect to logvar", to_logvar, (logvar.exp() - 1) / 2)
print("KL of N(1, 4) in nats:", round(kl_standard_normal(torch.ones(1, 1), four).item(), 2))

# %% [markdown]
# ## 3 · The likelihood of coins
#
# From here on a pixel $x$ lies in [0, 1]: 0 is black, 1 is white, and a grey value counts as the probability of white.
# The decoder gives a **logit** $l$ for each pixel, and $\pi = \operatorname{sigmoid}(l) = 1 / (1 + e^{-l})$ is its
# probability of white. Return for each image
#
# $$\log p_\theta(x \mid z) = \sum_{\text{pixels}} x \log \pi + (1 - x) \log (1 - \pi).$$
#
# `x` and `logits` have the shape (N, C, H, W), the result has the shape (N,). It must be right for logits of $\pm 200$
# too. There $\pi$ or $1 - \pi$ is rounded to 0, and the logarithm of 0 is $-\infty$. Adding a small number to $\pi$
# hides this and gives a wrong value.
#
# <details><summary>Hint 1</summary>
#
# Do not compute $\pi$. Write $\log \pi$ as a function of $l$; `F.logsigmoid` computes it without rounding to 0.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $1 - \operatorname{sigmoid}(l) = \operatorname{sigmoid}(-l)$. (Or use `F.binary_cross_entropy_with_logits` with
# `reduction="none"`: which sign does it have?)
#
# </details>


# %% key="q3"
def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    each = x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)
    return each.sum(dim=(1, 2, 3))
    ### END SOLUTION


# %% key="check-q3" tags=["check"]
# CHECK q3
draw = torch.Generator().manual_seed(6)
x, logits = torch.rand(5, 3, 2, 4, generator=draw), 3 * torch.randn(5, 3, 2, 4, generator=draw)
check_shape(
    "q3: bernoulli_log_likelihood(x, logits) for images (5, 3, 2, 4)",
    bernoulli_log_likelihood(x, logits),
    (5,),
)
check_close(
    "q3: log p of 24 pixels if all logits are 0, so that each costs log 2 whatever its value,",
    bernoulli_log_likelihood(x, 0 * logits),
    torch.full((5,), -24 * math.log(2.0)),
    hint="The sum over the pixels of one image, negative because it is the logarithm of a probability.",
)
black_white = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
check_close(
    "q3: log p of a black pixel and of a white one if white has the probability 0.9",
    bernoulli_log_likelihood(black_white, torch.full((2, 1, 1, 1), math.log(9.0))),
    torch.tensor([math.log(0.1), math.log(0.9)]),
    hint="x = 1 is white; logits become probabilities by the sigmoid; x needs no rescaling.",
)
check_close(
    "q3: log p of grey images, beside torch.distributions.Bernoulli,",
    bernoulli_log_likelihood(x, logits),
    distributions.Bernoulli(logits=logits, validate_args=False).log_prob(x).sum(dim=(1, 2, 3)),
    hint="A grey pixel has two terms, weighted by x and by 1 - x.",
)
far = torch.tensor([200.0, -200.0, 200.0, -200.0, 200.0]).view(5, 1, 1, 1)
some = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.3]).view(5, 1, 1, 1)
check_close(
    "q3: log p of the pixels 1, 0, 0, 1, 0.3 for the logits 200, -200, 200, -200, 200",
    bernoulli_log_likelihood(some, far),
    torch.tensor([0.0, 0.0, -200.0, -200.0, -140.0]),
    hint="Take the logarithm of the sigmoid in one step, as a function of the logit.",
)
for name, pixels, ls in (("from -8 to 8", x, logits), ("of ±200", some, far)):
    leaf = ls.clone().requires_grad_()
    total, hint = bernoulli_log_likelihood(pixels, leaf).sum(), "Compute it with operations of torch only."
    check_close(
        f"q3: the derivative of log p with respect to logits {name}, which is x - π,",
        *check_gradients("q3: log p", total, [leaf], hint=hint),
        pixels - torch.sigmoid(ls),
    )
print("log p of a grey 0.3 for the logit 200:", round(bernoulli_log_likelihood(some, far)[4].item()))

# %% [markdown]
# ## 4 · The loss, and a VAE trained with it
#
# The loss is the negative ELBO with a weight $\beta$ on the KL term (Higgins et al. 2017), averaged over the batch:
#
# $$L = \frac1N \sum_{i=1}^{N} \Big[ -\log p_\theta(x_i \mid z_i)
# + \beta\, \mathrm{KL}\big(q_\phi(z \mid x_i) \,\|\, p(z)\big) \Big],
# \qquad z_i \sim q_\phi(z \mid x_i).$$
#
# Use your `kl_standard_normal` and `bernoulli_log_likelihood`. `logits` (N, C, H, W) is what the decoder made of
# $z_i$, which was drawn already.
#
# The check then trains a small VAE for 600 steps with your functions of exercises 1 to 4. It should take less than 15
# seconds. As a comparison it takes the best model *without* a code: each pixel is an independent coin, whose
# probability of white is the mean of this pixel over the training images. A VAE whose code tells something must be far
# better. The difference is counted in nats, on the test images.
#
# <details><summary>Hint</summary>
#
# Both of your functions return one number for each image, (N,). The mean comes last, and it is the only division.
#
# </details>


# %% key="q4"
def vae_loss(x: Tensor, mu: Tensor, logvar: Tensor, logits: Tensor, beta: float) -> Tensor:
    ### BEGIN SOLUTION
    elbo = bernoulli_log_likelihood(x, logits) - beta * kl_standard_normal(mu, logvar)
    return -elbo.mean()
    ### END SOLUTION


# %% key="check-q4" tags=["check"]
# CHECK q4
ones = torch.ones(3, 2, 4, 5)
flat = vae_loss(ones, torch.zeros(3, 6), torch.zeros(3, 6), 0 * ones, 1.0)
check_shape("q4: vae_loss(x, mu, logvar, logits, beta)", flat, ())
check_close(
    "q4: the loss of images of 40 pixels if all logits are 0 and the KL is 0, which is 40 log 2,",
    flat,
    40 * math.log(2.0),
    hint="The mean over the images of the *negative* log-likelihood.",
)
for beta in (0.0, 1.0, 2.5):
    check_close(
        f"q4: the loss of the same images if each has a KL of 3 nats, for beta = {beta:g},",
        vae_loss(ones, torch.ones(3, 6), torch.zeros(3, 6), 0 * ones, beta),
        40 * math.log(2.0) + 3 * beta,
        hint="beta multiplies the KL term only, and the KL is added to the negative log-likelihood.",
    )
draw = torch.Generator().manual_seed(7)
x, logits = torch.rand(3, 2, 4, 5, generator=draw), torch.randn(3, 2, 4, 5, generator=draw)
mu, logvar = torch.randn(3, 6, generator=draw), torch.randn(3, 6, generator=draw)
q, prior = distributions.Normal(mu, (logvar / 2).exp()), distributions.Normal(0.0, 1.0)
likelihood = distributions.Bernoulli(logits=logits, validate_args=False).log_prob(x)
right = 1.5 * distributions.kl_divergence(q, prior).sum() / 3 - likelihood.sum() / 3
check_close("q4: the loss of drawn numbers, for beta = 1.5,", vae_loss(x, mu, logvar, logits, 1.5), right)
leaves = [mu.clone().requires_grad_(), logvar.clone().requires_grad_(), logits.clone().requires_grad_()]
hint = "Return a tensor, without .item() or detach."
slopes = check_gradients("q4: the loss", vae_loss(x, *leaves, 1.5), leaves, hint=hint)
truth = (1.5 * mu / 3, 0.75 * (logvar.exp() - 1) / 3, (torch.sigmoid(logits) - x) / 3)
for name, slope, want in zip(("mu", "logvar", "logits"), slopes, truth, strict=True):
    check_close(f"q4: the derivative of the loss with respect to {name}", slope, want, hint="Detach nothing.")

d, pixels = 8, {"train": (train.x + 1) / 2, "test": (test.x + 1) / 2}
with seeded(0):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 2 * d))
    decoder = nn.Sequential(nn.Linear(d, 128), nn.ReLU(), nn.Linear(128, 784), nn.Unflatten(1, (1, 28, 28)))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
noise = torch.Generator().manual_seed(8)
for x, _ in batches(train, 100, 600, generator=torch.Generator().manual_seed(9)):
    x = (x + 1) / 2
    mu, logvar = encoder(x).chunk(2, dim=1)
    logits = decoder(reparameterise(mu, logvar, noise))
    optimizer.zero_grad()
    vae_loss(x, mu, logvar, logits, 1.0).backward()
    optimizer.step()
with torch.inference_mode():
    mu, logvar = encoder(pixels["test"]).chunk(2, dim=1)
    logits = decoder(reparameterise(mu, logvar, noise))
    kl = distributions.kl_divergence(distributions.Normal(mu, (logvar / 2).exp()), prior).sum(dim=1).mean()
    elbo = bernoulli_log_likelihood(pixels["test"], logits).mean() - kl
    coins = (pixels["train"].sum(dim=0) + 0.5) / (len(train) + 1)  # never 0: the logarithm stays finite
    without = bernoulli_log_likelihood(pixels["test"], coins.logit().expand(len(test), 1, 28, 28)).mean()
check_range(
    "q4: the KL of the VAE trained with your loss, in nats,", kl, 8, 25, hint="The code must be used."
)
check_range("q4: its ELBO minus log p(x) without a code, in nats,", elbo - without, 55, 110)
three = vae_loss(ones, torch.ones(3, 6), torch.zeros(3, 6), 0 * ones, 4.0)
print("The loss of 40 pixels with a KL of 3 nats and beta = 4:", round(three.item(), 1))

# %% [markdown]
# ## 5 · A tighter bound
#
# Draw $K$ codes $z_1, \dots, z_K \sim q_\phi(z \mid x)$ for each image. The **importance-weighted bound**
# (Burda et al. 2016, equation 8) averages the weights *inside* the logarithm:
#
# $$\log \frac1K \sum_{k=1}^{K} \frac{p_\theta(x, z_k)}{q_\phi(z_k \mid x)}.$$
#
# Its mean over the draws is a lower bound of $\log p_\theta(x)$ (this mean is equation 8): for $K = 1$ the ELBO, and with
# $K \to \infty$ it approaches $\log p_\theta(x)$. A single value may by chance lie above it. You compute the value for
# codes that are already drawn. You get `log_joint` of the shape (K, N), with $\log p_\theta(x_n, z_k)$ in row $k$ and column $n$, and `log_q` (K, N) with
# $\log q_\phi(z_k \mid x_n)$. Each image has its own K codes. Return one number for each image, (N,). A
# $\log p_\theta(x, z)$ is often near $-1000$ or below: its exponential is rounded to 0, so the logarithms must not be
# undone one by one.
#
# The last two checks apply your function to the shipped VAE with codes of two numbers: for 100 test digits, the bound
# with $K = 50$ is about two and a half nats above the ELBO on average.
#
# <details><summary>Hint 1</summary>
#
# Divide before you add up: the logarithm of weight $k$ is a difference.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `a.logsumexp(dim=0)` is $\log \sum_k e^{a_k}$. It takes out the largest $a_k$ first, so nothing is rounded to 0 or
# $\infty$. What becomes of the factor $1 / K$ outside?
#
# </details>


# %% key="q5"
def importance_weighted_bound(log_joint: Tensor, log_q: Tensor) -> Tensor:
    ### BEGIN SOLUTION
    log_weights = log_joint - log_q
    return log_weights.logsumexp(dim=0) - math.log(len(log_weights))
    ### END SOLUTION


# %% key="check-q5" tags=["check"]
# CHECK q5
one = torch.tensor([[-3.0, -1.0, -2.5]])
flat = importance_weighted_bound(torch.zeros(4, 3), torch.ones(4, 3))
check_shape("q5: importance_weighted_bound of tensors (4, 3)", flat, (3,))
check_close(
    "q5: the bound for K = 1, log p(x, z) = -3, -1, -2.5 and log q(z|x) = -1, -2, 0.5",
    importance_weighted_bound(one, torch.tensor([[-1.0, -2.0, 0.5]])),
    torch.tensor([-2.0, 1.0, -3.0]),
    hint="For K = 1 it is log p(x, z) - log q(z|x).",
)
check_close(
    "q5: the bound if all K = 5 codes have log p(x, z) = -3 and log q(z|x) = -1",
    importance_weighted_bound(torch.full((5, 2), -3.0), torch.full((5, 2), -1.0)),
    torch.tensor([-2.0, -2.0]),
    hint="The mean of K equal weights is that weight: where is 1/K?",
)
joint = torch.tensor([[1.0, 8.0, 2.0], [6.0, 1.0, 0.5]]).log()  # p(x, z): two codes, three images
proposal = torch.tensor([[1.0, 2.0, 4.0], [2.0, 0.5, 1.0]]).log()
check_close(
    "q5: the bound if the K = 2 weights of three images are 1 and 3, 4 and 2, 0.5 and 0.5",
    importance_weighted_bound(joint, proposal),
    torch.tensor([2.0, 3.0, 0.5]).log(),
    hint="The logarithm of the mean of the weights; a weight is one quotient.",
)
given = torch.tensor([[1.0, 8.0, 2.0], [6.0, 1.0, 0.5]])
check_close("q5: p(x, z), afterwards,", joint.exp(), given, hint="Do not change log_joint: work on a copy.")
check_close(
    "q5: the same if every log p(x, z) is 2000 lower",
    importance_weighted_bound(joint - 2000, proposal) + 2000,
    torch.tensor([2.0, 3.0, 0.5]).log(),
    tol=1e-3,
    hint="exp(-2000) is rounded to 0: use logsumexp of the differences.",
)
# A model in which log p(x) is known: z ~ N(0, 1) and x ~ N(2 z, 1), so x ~ N(0, 5). The guess q is N(x / 2, 1).
x, draw = torch.tensor([0.5, -3.0, 4.0]), torch.Generator().manual_seed(10)
exact = distributions.Normal(0.0, 5**0.5).log_prob(x)
z = x / 2 + torch.randn(100_000, 3, generator=draw)
log_joint = distributions.Normal(0.0, 1.0).log_prob(z) + distributions.Normal(2 * z, 1.0).log_prob(x)
log_q = distributions.Normal(x / 2, 1.0).log_prob(z)
missing = {}  # log p(x) minus the mean of 5,000 bounds
for K in (1, 4, 20):
    parts = (a[: 5000 * K].reshape(K, 15_000) for a in (log_joint, log_q))
    missing[K] = exact - importance_weighted_bound(*parts).view(5000, 3).mean(dim=0)
check_range("q5: log p(x) minus the mean bound for K = 20, in a small model,", missing[20], 0.0, 0.1)
check_range("q5: the mean bound for K = 4 minus that for K = 1", missing[1] - missing[4], 0.3, 3)
check_range("q5: the mean bound for K = 20 minus that for K = 4", missing[4] - missing[20], 0.01, 1)
whole = importance_weighted_bound(log_joint, log_q)
check_close("q5: the bound for K = 100,000, which is nearly log p(x),", whole, exact, tol=0.01)

# The shipped VAE with codes of two numbers, on 100 test digits: the ELBO, and what 50 codes instead of one are worth.
vae, x, draw = load_pretrained("vae-2d-mnist", "cpu"), test.x[:100], torch.Generator().manual_seed(11)
log_joint, log_q = torch.empty(50, 100), torch.empty(50, 100)
with torch.inference_mode():
    mu, logvar = vae.posterior(x)
    q, prior = distributions.Normal(mu, (logvar / 2).exp()), distributions.Normal(0.0, 1.0)
    for k in range(50):
        z = mu + (logvar / 2).exp() * torch.randn(100, 2, generator=draw)
        log_joint[k] = vae.log_likelihood(x, z) + prior.log_prob(z).sum(dim=1)
        log_q[k] = q.log_prob(z).sum(dim=1)
    by_course = vae.iwae_bound(x, 50, generator=torch.Generator().manual_seed(11))
tight, elbo = importance_weighted_bound(log_joint, log_q), (log_joint - log_q).mean(dim=0)
check_close("q5: the bound of 100 digits, K = 50, beside VAE.iwae_bound,", tight, by_course, tol=1e-3)
check_range("q5: the bound of 100 digits, K = 50, minus the ELBO: the mean", (tight - elbo).mean(), 0.3, 20)
log_mean = importance_weighted_bound(joint, proposal)[0].item()
print("log of the mean of the weights 1 and 3:", round(log_mean, 2))

# %% [markdown]
# ## 6 · A posterior in closed form
#
# For a decoder network the exact posterior $p_\theta(z \mid x)$ is unknown. For a linear decoder it can be derived.
# Let the code $z$ be *one* number, the image $x$ have $D$ numbers, $w$ be a vector of $D$ weights, and $\sigma_x$ the
# noise of a pixel:
#
# $$p(z) = N(0, 1), \qquad p(x \mid z) = N(w z,\ \sigma_x^2 I).$$
#
# Derive $p(z \mid x)$ on paper. It is a normal distribution; return its mean for each image and its variance, which is
# the same for all images. `x` has the shape (N, D), `w` (D,), `sigma_x` is a number above 0; the mean has the shape
# (N,), the variance is one number of the shape ().
#
# The check uses your `importance_weighted_bound` too: if $q$ is the exact posterior, a single code gives $\log p(x)$
# exactly, whatever code it is.
#
# <details><summary>Hint 1</summary>
#
# $p(z \mid x)$ is proportional to $p(x, z) = p(x \mid z)\, p(z)$. Write down $\log p(x, z)$, and collect the terms
# with $z^2$ and those with $z$. All others do not depend on $z$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# $\log N(z; m, v) = -\frac{1}{2v} z^2 + \frac{m}{v} z + \text{a constant}$. Compare: the factor of $z^2$ gives $v$,
# then the factor of $z$ gives $m$.
#
# </details>
# <details><summary>Hint 3</summary>
#
# The factor of $z^2$ is $-\frac12 (1 + w \cdot w / \sigma_x^2)$: the 1 comes from the prior. The factor of $z$ is
# $w \cdot x / \sigma_x^2$.
#
# </details>


# %% key="q6"
def linear_gaussian_posterior(x: Tensor, w: Tensor, sigma_x: float) -> tuple[Tensor, Tensor]:
    ### BEGIN SOLUTION
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x @ w) / sigma_x**2, variance
    ### END SOLUTION


# %% key="check-q6" tags=["check"]
# CHECK q6
def mean_and_variance(x: Tensor, w: Tensor, sigma_x: float) -> tuple[Tensor, Tensor]:
    answer = linear_gaussian_posterior(x, w, sigma_x)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise AssertionError("q6: linear_gaussian_posterior should return two things: mean, variance.")
    hint = "The mean comes first, then the variance."
    check_shape(f"q6: the mean for x of the shape {tuple(x.shape)}", answer[0], (len(x),), hint=hint)
    check_shape("q6: the variance", answer[1], (), hint="It does not depend on x.")
    return torch.as_tensor(answer[0]), torch.as_tensor(answer[1])


column = torch.tensor([[2.0], [-1.0], [0.5]])
mean, variance = mean_and_variance(column, torch.tensor([0.0]), 1.0)
what = "q6: the variance for w = 0, where x says nothing about z,"
check_close(what, variance, 1.0, hint="The prior belongs to p(x, z).")
check_close("q6: the mean for w = 0", mean, torch.zeros(3))
mean, variance = mean_and_variance(column, torch.tensor([1.0]), 1.0)
check_close("q6: the variance for w = 1 and σ_x = 1", variance, 0.5, hint="Prior and pixel count the same.")
check_close("q6: the mean for w = 1 and σ_x = 1, half-way between 0 and x,", mean, column[:, 0] / 2)
w, x = torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 1.0], [2.0, -1.0], [0.0, 5.0]])
mean, variance = mean_and_variance(x, w, 2.0)
check_close(
    "q6: the variance for w = (3, 4) and σ_x = 2",
    variance,
    4 / 29,
    hint="1 / variance is the sum of what the prior and the D pixels give, with w · w = 25 and σ_x² = 4.",
)
check_close(
    "q6: the mean for w = (3, 4), σ_x = 2 and x = (1, 1), (2, -1), (0, 5)",
    mean,
    torch.tensor([7.0, 2.0, 20.0]) / 29,
    hint="It is the variance times the factor of z in log p(x, z).",
)
draw = torch.Generator().manual_seed(12)
w, x, sigma_x = torch.randn(6, generator=draw), torch.randn(4, 6, generator=draw), 1.7
mean, variance = mean_and_variance(x, w, sigma_x)
z = torch.linspace(-8, 8, 4001)  # a fine grid of codes
likelihood = distributions.Normal(w * z.view(-1, 1, 1), sigma_x).log_prob(x).sum(dim=2)
log_joint = likelihood + distributions.Normal(0.0, 1.0).log_prob(z)[:, None]  # (4001, 4)
weights = log_joint.softmax(dim=0)  # p(z|x) on the grid
mean_of_grid = (weights * z[:, None]).sum(dim=0)
variance_of_grid = (weights * (z[:, None] - mean_of_grid).square()).sum(dim=0)
check_close("q6: the variance for drawn w, on a fine grid of z,", variance, variance_of_grid.mean(), tol=1e-3)
check_close("q6: the mean for drawn w and x, on a fine grid of z,", mean, mean_of_grid, tol=1e-3)
covariance = torch.outer(w, w) + sigma_x**2 * torch.eye(6)
log_p = distributions.MultivariateNormal(torch.zeros(6), covariance).log_prob(x)
for code in (1400, 2000, 2300):  # z = -2.4, 0, 1.2
    log_q = distributions.Normal(mean, variance**0.5).log_prob(z[code])
    check_close(
        f"q6: your bound for K = 1 with your posterior as q and z = {z[code]:.1f}, which is log p(x),",
        importance_weighted_bound(log_joint[code : code + 1], log_q[None]),
        log_p,
        tol=1e-3,
    )
mean, variance = linear_gaussian_posterior(torch.tensor([[1.0, 1.0]]), torch.tensor([3.0, 4.0]), 2.0)
print("w = (3, 4), σ_x = 2, x = (1, 1): mean", round(float(mean), 3), "variance", round(float(variance), 3))

# %% [markdown]
# ## 7 · Open question
#
# A friend trains the VAE of exercise 4 with $\beta = 20$. The loss falls and settles. But the reconstructions all look
# alike, an average digit, and the KL is below half a nat. Explain from the loss why this happens. Name two remedies and
# say for each what you would measure, on which images, to know that it helped. (Not graded: raising $\beta$ slowly from
# 0 to 20 during the training hardly lowers the loss, and the KL stays below one nat. Why?) Five to ten sentences; you may try things out in a copy of exercise 4.
#
# *5 points: why it is cheapest, with this loss, for the code to tell almost nothing 1, why the decoder then draws an
# average 1, two remedies that change this 1 each, measurements that do not depend on β or on the remedy (such as KL and
# log-likelihood on the test images) 1.*
#
# *Your answer:*
