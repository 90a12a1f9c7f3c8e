# %% [markdown]
# [Open in Colab](https://colab.research.google.com/github/hands-on-image-generation/course/blob/main/notebooks/homework/solution/hw04.ipynb)
#
# # Homework 04 · Variational autoencoder
#
# Six exercises and one open question, about two hours. Write your code where a cell says so; leave the check cells as
# they are. A check says at once what is wrong. Nothing here needs a GPU or a network. *Restart and run all* before you
# hand it in. When it is graded, your functions are also asked about other numbers, shapes and seeds than in the
# checks, where there are no files and no network. Lines with `%` or `!`, and statements that fail there, are left out.
# `course homework check` judges in the same way, and names them.
#
# The symbols are those of notebook 04: $x$ an image with pixels in [-1, 1], $z$ its code of $d$ numbers, $N$ the number
# of images in a batch, $\log$ the natural logarithm. In exercises 1 to 4 you build a VAE whose two distributions are
# *not* the notebook's: its clouds may be tilted, and its pixels are neither coins nor normal.

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing the course …")
    # %pip install -q "course-utils @ git+https://github.com/hands-on-image-generation/course"

# %%
import math

import torch
from torch import Tensor, distributions, nn

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.data import batches, load_images
from course_utils.nets import seeded
from course_utils.pretrained import load_pretrained

train, test = load_images("digits", "train"), load_images("digits", "test")

# %% [markdown]
# ## 1 · A tilted cloud
#
# In notebook 04 the encoder's clouds are ellipses along the axes. Let them tilt: $q(z \mid x) = N(\mu, L L^\top)$,
# where $L$ is a lower triangular matrix with a positive diagonal (a Cholesky factor). Draw a code for each row, so that
# gradients flow from $z$ to $\mu$ and to $L$. `mu` has the shape (N, d), `L` (N, d, d), $z$ (N, d). All randomness
# comes from the generator that is given.
#
# <details><summary>Hint 1</summary>
#
# If $\epsilon \sim N(0, I)$, then $A \epsilon + b$ has the mean $b$ and the covariance $A A^\top$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `L @ v` multiplies N matrices (N, d, d) by N columns, if `v` has the shape (N, d, 1). `v[:, :, None]` adds an axis,
# and `[:, :, 0]` takes it away.
#
# </details>


# %% key="q1"
def draw_codes(mu: Tensor, L: Tensor, generator: torch.Generator) -> Tensor:
    eps = torch.randn(mu.shape, generator=generator)
    return mu + (L @ eps[:, :, None])[:, :, 0]


# %% key="check-q1" tags=["check"]
# CHECK q1
draw = torch.Generator().manual_seed(1)
mu = torch.randn(3, 4, generator=draw)
L = torch.randn(3, 4, 4, generator=draw).tril(-1) + torch.diag_embed(torch.rand(3, 4, generator=draw) + 0.5)
z = draw_codes(mu, L, torch.Generator().manual_seed(2))
check_shape("q1: draw_codes(mu, L, generator) for mu of the shape (3, 4)", z, (3, 4))
tiny = 1e-7 * torch.eye(4).expand(3, 4, 4)
check_close("q1: z for L = 0.0000001 I", draw_codes(mu, tiny, torch.Generator().manual_seed(2)), mu)
leaves = [mu.clone().requires_grad_(), L.clone().requires_grad_()]
z = draw_codes(*leaves, torch.Generator().manual_seed(2))
hint = "Compute it from mu and L: let only eps be drawn."
to_mu, to_L = check_gradients("q1: z", z.sum(), leaves, hint=hint)
check_close("q1: the derivative of the sum of z with respect to mu", to_mu, torch.ones(3, 4), hint=hint)
eps = torch.linalg.solve_triangular(L, (z.detach() - mu)[:, :, None], upper=False)[:, :, 0]
check_close(
    "q1: the derivative of the sum of z with respect to L, below and on the diagonal,",
    to_L.tril(),
    eps[:, None, :].expand(3, 4, 4).tril(),
    tol=1e-3,
    hint="With z = mu + L eps, row i and column j of it is eps of column j.",
)
n = 20_000
m, tilt = torch.tensor([1.5, -2.0, 10.0]), torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 0.3, 0.2]])
z = torch.as_tensor(draw_codes(m.expand(n, 3), tilt.expand(n, 3, 3), torch.Generator().manual_seed(3)))
counts = torch.tensor([len(column[:100].unique()) for column in z.T])
what = "q1: the number of different z among 100 draws with the same mu and L"
check_range(what, counts, 90, 100, hint="Each row needs its own eps.")
check_close("q1: the mean of 20,000 draws", z.mean(dim=0), m, tol=0.06)
hint = "The covariance of L eps is L Lᵀ. For rows of eps, that is eps @ L.T."
check_close("q1: the covariance of 20,000 draws", z.T.cov(), tilt @ tilt.T, tol=0.06, hint=hint)
eps = torch.linalg.solve_triangular(tilt, (z - m).T, upper=False)
check_range("q1: the share of eps between -1 and 1", (eps.abs() < 1).double().mean(), 0.67, 0.695)
generator = torch.Generator().manual_seed(4)
first = draw_codes(mu, L, generator)
again = draw_codes(mu, L, torch.Generator().manual_seed(4))
check_close("q1: z with the same seed again", again, first, hint="Use the generator for every draw.")
for what in ("a second call with one generator", "another seed"):
    changed = (draw_codes(mu, L, generator) != first).double().mean()
    check_range(f"q1: the share of z that {what} changes", changed, 0.9, 1, hint="Use the given generator.")
    generator = torch.Generator().manual_seed(5)
print("Correlation of the first two numbers of a code:", round(z.T.corrcoef()[0, 1].item(), 1))

# %% [markdown]
# ## 2 · The price of a tilted cloud
#
# Derive, on paper, how much this cloud differs from the prior, and return it for each row, in nats, (N,):
#
# $$\mathrm{KL}\big(N(\mu, L L^\top) \,\|\, N(0, I)\big) = \mathbb{E}_q\big[\log q(z) - \log p(z)\big]$$
#
# For a diagonal $L$ it must become the formula of notebook 04. Do not call `torch.distributions` here, and do not draw
# anything: it has a closed form without an inverse and without a determinant that costs more than $d$ multiplications.
#
# <details><summary>Hint 1</summary>
#
# With $z = \mu + L \epsilon$, $\log q(z) = -\frac{d}{2} \log 2\pi - \log \det L - \frac12 \lVert \epsilon \rVert^2$.
# What is the mean of $\lVert \epsilon \rVert^2$?
#
# </details>
# <details><summary>Hint 2</summary>
#
# $\log p(z)$ holds $\lVert \mu + L \epsilon \rVert^2$. Multiply it out and take the mean: $\epsilon$ has mean 0 and
# covariance $I$, so $\mathbb{E} \lVert L \epsilon \rVert^2$ is the sum of the squares of all entries of $L$. And the
# determinant of a triangular matrix is the product of its diagonal.
#
# </details>


# %% key="q2"
def kl_tilted(mu: Tensor, L: Tensor) -> Tensor:
    d = mu.shape[1]
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * (squares - d) - log_det


# %% key="check-q2" tags=["check"]
# CHECK q2
eye, zeros = torch.eye(5).expand(2, 5, 5), torch.zeros(2, 5)
check_shape("q2: kl_tilted(mu, L) for mu of the shape (2, 5)", kl_tilted(zeros, eye), (2,))
check_close("q2: the KL of the prior itself, mu = 0 and L = I,", kl_tilted(zeros, eye), zeros[:, 0])
check_close(
    "q2: the KL for mu = (1, 2) and (3, 0), with L = I,",
    kl_tilted(torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.eye(2).expand(2, 2, 2)),
    torch.tensor([2.5, 4.5]),
    hint="What is left is half the sum of squares of a row.",
)
check_close(
    "q2: the KL for mu = 0 and one dimension with L = 2",
    kl_tilted(torch.zeros(1, 1), torch.full((1, 1, 1), 2.0)),
    torch.tensor([1.5 - math.log(2.0)]),
    hint="(σ² - 1) / 2 - log σ, with σ = 2.",
)
lean = torch.tensor([[[1.0, 0.0], [3.0, 1.0]]])
hint = "The entries below the diagonal count as well."
check_close(
    "q2: the KL for mu = 0 and L = (1 0; 3 1)",
    kl_tilted(torch.zeros(1, 2), lean),
    torch.tensor([4.5]),
    hint=hint,
)
draw = torch.Generator().manual_seed(5)
mu = 2 * torch.randn(7, 3, generator=draw)
L = torch.randn(7, 3, 3, generator=draw).tril(-1) + torch.diag_embed(torch.rand(7, 3, generator=draw) + 0.3)
prior = distributions.MultivariateNormal(torch.zeros(3), torch.eye(3))
q = distributions.MultivariateNormal(mu, scale_tril=L)
check_close(
    "q2: the KL of 7 rows of 3 numbers, beside torch.distributions.kl_divergence,",
    kl_tilted(mu, L),
    distributions.kl_divergence(q, prior),
    tol=1e-3,
)
leaves = [mu.clone().requires_grad_(), L.clone().requires_grad_()]
hint = "Compute it from mu and L with operations of torch only."
to_mu, to_L = check_gradients("q2: the KL", kl_tilted(*leaves).sum(), leaves, hint=hint)
check_close("q2: the derivative of the KL with respect to mu", to_mu, mu)
right = L - torch.diag_embed(1 / L.diagonal(dim1=1, dim2=2))
check_close("q2: the derivative of the KL with respect to L", to_L.tril(), right, tol=1e-3)
print("KL for mu = 0 and L = (1 0; 3 1):", round(kl_tilted(torch.zeros(1, 2), lean).item(), 2))

# %% [markdown]
# ## 3 · A likelihood for grey pixels
#
# Notebook 04 reads a grey pixel $v = (x + 1) / 2$ as a probability, because as a *density* of $v$ in [0, 1] the
# Bernoulli formula is not one: it does not integrate to 1. Loaiza-Ganem and Cunningham (2019) mend this by dividing by
# the integral. In terms of the decoder's logit $l$ the density of their **continuous Bernoulli** is
#
# $$p(v \mid l) = \frac{e^{v l}}{\int_0^1 e^{u l}\, du}, \qquad 0 \le v \le 1.$$
#
# Solve the integral, and return $\log p_\theta(x \mid z) = \sum_{\text{pixels}} \log p(v \mid l)$ for each image, (N,).
# `x` (pixels in [-1, 1]) and `logits` have the shape (N, C, H, W). It must be right for logits of $\pm 200$, for logits
# near 0, and for exactly 0; and so must its gradient.
#
# <details><summary>Hint 1</summary>
#
# The integral is $(e^l - 1) / l$. For $l \ge 0$ its logarithm is $l + \log \frac{1 - e^{-l}}{l}$, in which nothing can
# overflow. With $a = |l|$, one formula serves both signs: $\max(l, 0) + \log \frac{1 - e^{-a}}{a}$. `torch.expm1`
# computes $e^u - 1$ without rounding.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Near 0 use the series $\log \int_0^1 e^{ul} du = \frac{l}{2} + \frac{l^2}{24} + \dots$, say for $|l| < 0.01$, and
# choose with `torch.where`.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `torch.where` computes both branches, and a branch that is not chosen can still spoil the *gradient* with
# $0 \cdot \infty$. So keep the branch away from 0: put `a = logits.abs().clamp_min(0.01)` into it.
#
# </details>


# %% key="q3"
def log_continuous_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    near = logits / 2 + logits**2 / 24
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %% key="check-q3" tags=["check"]
# CHECK q3
draw = torch.Generator().manual_seed(6)
x, logits = 2 * torch.rand(5, 3, 2, 4, generator=draw) - 1, 3 * torch.randn(5, 3, 2, 4, generator=draw)
value = log_continuous_bernoulli(x, logits)
check_shape("q3: log_continuous_bernoulli(x, logits) for images (5, 3, 2, 4)", value, (5,))
hint = "For l = 0 the density is 1 everywhere in [0, 1], so its logarithm is 0."
check_close(
    "q3: log p if all logits are 0", log_continuous_bernoulli(x, 0 * logits), torch.zeros(5), hint=hint
)
grid = (torch.arange(20_000) + 0.5) / 20_000  # v, at the middles of 20,000 cells
for logit in (-30.0, -4.0, -0.5, 0.004, 0.02, 3.0, 30.0):
    pixels = (2 * grid - 1).view(-1, 1, 1, 1)
    density = torch.as_tensor(log_continuous_bernoulli(pixels, torch.full_like(pixels, logit))).exp()
    hint = "A density integrates to 1. With v in [0, 1]: are the pixels in [-1, 1] turned into v first?"
    check_close(
        f"q3: the integral over v of the density for l = {logit:g}", density.mean(), 1.0, tol=1e-3, hint=hint
    )
check_close(
    "q3: log p of a black pixel (-1) and of a white one (1) if l = log 9",
    log_continuous_bernoulli(
        torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1), torch.full((2, 1, 1, 1), math.log(9.0))
    ),
    torch.tensor([math.log(math.log(9.0) / 8), math.log(9 * math.log(9.0) / 8)]),
    hint="The integral is (e^l - 1) / l = 8 / log 9.",
)
check_close(
    "q3: log p of grey images, beside torch.distributions.ContinuousBernoulli,",
    value,
    distributions.ContinuousBernoulli(logits=logits).log_prob((x + 1) / 2).sum(dim=(1, 2, 3)),
    tol=1e-3,
    hint="The sum over the pixels of one image.",
)
far = torch.tensor([200.0, -200.0, 200.0, -200.0, 200.0]).view(5, 1, 1, 1)
some = torch.tensor([1.0, -1.0, -1.0, 1.0, 0.0]).view(5, 1, 1, 1)
check_close(
    "q3: log p of the pixels 1, -1, -1, 1, 0 for the logits 200, -200, 200, -200, 200",
    log_continuous_bernoulli(some, far),
    math.log(200.0) - torch.tensor([0.0, 0.0, 200.0, 200.0, 100.0]),
    hint="exp(200) is infinite: take out the largest part before the logarithm.",
)
zero = torch.zeros(5, 3, 2, 4)
for name, pixels, ls in (
    ("from -8 to 8", x, logits),
    ("of ±200", some, far),
    ("of 0", x, zero),
    ("of 0.003", x, zero + 0.003),
):
    leaf = ls.clone().requires_grad_()
    total, wide = log_continuous_bernoulli(pixels, leaf).sum(), ls.double()
    near = 0.5 + wide / 12
    mean = torch.where(wide.abs() < 0.01, near, 1 / -torch.expm1(-wide) - 1 / wide).float()  # of v
    hint = "Compute it with operations of torch only; and see hint 3."
    check_close(
        f"q3: the derivative of log p with respect to logits {name}, which is v less its mean,",
        *check_gradients("q3: log p", total, [leaf], hint=hint),
        (pixels + 1) / 2 - mean,
        tol=1e-3,
    )
print("log p of a white pixel for the logit 200:", round(log_continuous_bernoulli(some, far)[0].item(), 1))

# %% [markdown]
# ## 4 · A training step
#
# Write one step that trains a VAE on a batch of images `x`, with your three functions. `unpack`, which is given, turns
# the encoder's outputs into $\mu$ and $L$; `decoder(z)` gives the logits. The loss is the negative ELBO with a weight
# $\beta$ on the KL term (Higgins et al. 2017), averaged over the batch:
#
# $$\frac1N \sum_{i=1}^{N} \Big[ -\log p_\theta(x_i \mid z_i)
# + \beta\, \mathrm{KL}\big(q_\phi(z \mid x_i) \,\|\, p(z)\big) \Big],
# \qquad z_i \sim q_\phi(z \mid x_i).$$
#
# `optimizer` holds the weights of both networks. Return two plain numbers, as they were *before* the step: the mean of
# $\log p_\theta(x_i \mid z_i)$ and the mean KL, the latter without $\beta$.
#
# The check then trains a small VAE for 600 steps, in less than 20 seconds, and asks whether its code tells something:
# images should be far more probable under their own code than under another image's. (It shows them with a tenth less
# contrast, $0.9\,x$. A pixel that is exactly black in every image could otherwise raise its density without limit.)
#
# <details><summary>Hint</summary>
#
# Seven lines: encode and unpack, draw, two means, forget old gradients, gradients of the loss, step, and what is
# returned. All three functions return one number for each image or one code for each image; the two means over the
# batch are the only divisions.
#
# </details>


# %%
def unpack(h: Tensor) -> tuple[Tensor, Tensor]:
    """The encoder's outputs (N, d + d (d + 1) / 2) as mu (N, d) and L (N, d, d) with a positive diagonal."""
    d = round((math.sqrt(9 + 8 * h.shape[1]) - 3) / 2)
    filled = h.new_zeros(len(h), d, d)
    row, column = torch.tril_indices(d, d)
    filled[:, row, column] = h[:, d:]
    return h[:, :d], filled.tril(-1) + torch.diag_embed(filled.diagonal(dim1=1, dim2=2).exp())


# %% key="q4"
def training_step(
    encoder: nn.Module,
    decoder: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    beta: float,
    generator: torch.Generator,
) -> tuple[float, float]:
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %% key="check-q4" tags=["check"]
# CHECK q4
class Always(nn.Module):
    """Stands in for a network: gives the same outputs for whatever it is given, and remembers that."""

    def __init__(self, outputs: list[float], shape: tuple[int, ...]):
        super().__init__()
        self.outputs, self.shape, self.given = nn.Parameter(torch.tensor(outputs)), shape, []

    def forward(self, given: Tensor) -> Tensor:
        self.given.append(given.detach())
        return self.outputs.expand(len(given), *self.shape)


def stand_ins(lr: float) -> tuple[Always, Always, torch.optim.Optimizer]:
    networks = Always([1.0, 2.0, 0.0, 0.0, 0.0], (5,)), Always([0.0], (3, 4, 5))
    return *networks, torch.optim.SGD([*networks[0].parameters(), *networks[1].parameters()], lr=lr)


def two_numbers(answer: object) -> tuple[float, float]:
    if (
        not isinstance(answer, (tuple, list))
        or len(answer) != 2
        or not all(isinstance(n, float) for n in answer)
    ):
        raise AssertionError(
            "q4: training_step should return two plain numbers: log-likelihood, KL (.item())."
        )
    return answer


white, beta = torch.ones(8, 3, 4, 5), 2.0
encoder, decoder, sgd = stand_ins(0.01)
likelihood, kl = two_numbers(
    training_step(encoder, decoder, sgd, white, beta, torch.Generator().manual_seed(7))
)
check_close("q4: the mean log-likelihood if all logits are 0, before the step,", likelihood, 0.0)
check_close("q4: the mean KL for mu = (1, 2) and L = I, before the step,", kl, 2.5, hint="Without beta.")
check_close("q4: what the encoder sees", encoder.given[0], white)
right = draw_codes(
    torch.tensor([[1.0, 2.0]]).expand(8, 2), torch.eye(2).expand(8, 2, 2), torch.Generator().manual_seed(7)
)
check_shape("q4: what the decoder sees", decoder.given[0], (8, 2))
check_close(
    "q4: what the decoder sees", decoder.given[0], right, hint="A code drawn with the given generator."
)
hint = (
    "Each of 60 white pixels has the derivative 1 - 1/2; a step of 0.01 raises the logit by 0.01 · 60 · 1/2."
)
check_close(
    "q4: the logit after a step of plain gradient descent, for white images,",
    decoder.outputs,
    torch.tensor([0.3]),
    hint=hint,
)
hint = "The derivative of beta · KL with respect to mu is 2 · (1, 2)."
check_close("q4: mu after a step with beta = 2", encoder.outputs[:2], torch.tensor([0.98, 1.96]), hint=hint)
before = encoder.outputs.detach()[:2].clone()
likelihood, _ = two_numbers(
    training_step(encoder, decoder, sgd, white, beta, torch.Generator().manual_seed(8))
)
right = 60 * (0.3 - math.log(math.expm1(0.3) / 0.3))
check_close("q4: the mean log-likelihood of white images if all logits are 0.3", likelihood, right, tol=1e-3)
hint = "Each step forgets the gradients of the one before."
check_close("q4: mu after a second step", encoder.outputs[:2], 0.98 * before, hint=hint)
encoder, decoder, sgd = stand_ins(0.01)
decoder.outputs.grad = torch.tensor([1e6])
training_step(encoder, decoder, sgd, white, 0.0, torch.Generator().manual_seed(9))
check_close(
    "q4: the logit after a step that began with an old gradient", decoder.outputs, torch.tensor([0.3])
)
check_close("q4: mu after a step with beta = 0", encoder.outputs[:2], torch.tensor([1.0, 2.0]))

d = 8
with seeded(0):
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, d + d * (d + 1) // 2)
    )
    decoder = nn.Sequential(nn.Linear(d, 128), nn.ReLU(), nn.Linear(128, 784), nn.Unflatten(1, (1, 28, 28)))
adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
noise = torch.Generator().manual_seed(8)
for x, _ in batches(train, 100, 600, generator=torch.Generator().manual_seed(9)):
    training_step(encoder, decoder, adam, 0.9 * x, 1.0, noise)
with torch.inference_mode():
    mu, L = unpack(encoder(0.9 * test.x))
    codes = draw_codes(mu, L, noise)
    own = log_continuous_bernoulli(0.9 * test.x, decoder(codes))
    others = log_continuous_bernoulli(0.9 * test.x, decoder(codes.roll(1, dims=0)))
check_range("q4: the mean KL of the VAE trained with your step, in nats,", kl_tilted(mu, L).mean(), 11, 30)
check_range("q4: by how many nats an image is likelier under its own code", (own - others).mean(), 300, 900)
off = L.tril(-1).abs().sum(dim=(1, 2)) / L.abs().sum(dim=(1, 2))
check_range(
    "q4: the share of L below the diagonal", off.mean(), 0.02, 0.9, hint="Gradients must reach all of L."
)
encoder, decoder, sgd = stand_ins(0.0)
step = training_step(encoder, decoder, sgd, white, 4.0, noise)
print("log-likelihood and KL of the stand-ins:", *(round(n, 2) for n in step))

# %% [markdown]
# ## 5 · A tighter bound
#
# Draw $K$ codes $z_1, \dots, z_K \sim q_\phi(z \mid x)$ for each image. The **importance-weighted bound** (Burda et al.
# 2016, equation 8) averages the weights *inside* the logarithm:
#
# $$\log \frac1K \sum_{k=1}^{K} \frac{p_\theta(x, z_k)}{q_\phi(z_k \mid x)}.$$
#
# Its mean over the draws is a lower bound of $\log p_\theta(x)$ (this mean is equation 8): for $K = 1$ the ELBO, and
# with $K \to \infty$ it approaches $\log p_\theta(x)$. A single value may by chance lie above it. You compute the value
# for codes that are already drawn. You get `log_joint` of the shape (K, N), with $\log p_\theta(x_n, z_k)$ in row $k$
# and column $n$, and `log_q` (K, N) with $\log q_\phi(z_k \mid x_n)$. Each image has its own K codes. Return one number
# for each image, (N,). A $\log p_\theta(x, z)$ is often near $-1000$ or below: its exponential is rounded to 0, so the
# logarithms must not be undone one by one.
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
    log_weights = log_joint - log_q
    return log_weights.logsumexp(dim=0) - math.log(len(log_weights))


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
# For a decoder network the exact posterior $p_\theta(z \mid x)$ is unknown. For a linear decoder it can be derived. Let
# the code $z$ be *one* number, the image $x$ have $D$ numbers, $w$ be a vector of $D$ weights, and $\sigma_x$ the noise
# of a pixel:
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
# $p(z \mid x)$ is proportional to $p(x, z) = p(x \mid z)\, p(z)$. Write down $\log p(x, z)$, and collect the terms with
# $z^2$ and those with $z$. All others do not depend on $z$.
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
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x @ w) / sigma_x**2, variance


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
# A friend shows you the curve of a VAE with 16 numbers: the loss fell for a while and has settled. The reconstructions
# all look alike, an average digit, and the KL is 0.2 nats. Your friend says: "posterior collapse". Name three
# *different* causes that could look exactly like this, of which at least one is a mistake in the program. For each,
# describe one cheap experiment or measurement that tells it from the other two, and what you would see. Five to ten
# sentences.
#
# *5 points.*
#
# **A model answer.** (a) *It has not been trained for long enough.* The first move of any VAE is to make the clouds
# equal to the prior, because the decoder does not use the code yet. I would train on, or several times as long, with
# the same loss, and watch the KL on test images: if it rises by itself and the loss falls again, it was only slow. (b)
# *The price is right for silence*: the KL term weighs too much (a large β, a large σ of a Gaussian decoder, or a
# reconstruction averaged over 784 pixels beside a KL that is summed, which is β = 784), or the decoder is so strong
# that it needs no code. Longer training changes nothing then. I would evaluate the same loss for a model trained with
# warm-up: if it uses its code and has a *higher* loss, silence really is the cheaper answer. Or lower β, and see the KL
# rise. The KL alone is compared here, on test images, never the loss at different β. (c) *No gradient reaches the
# encoder* from the reconstruction: the code was drawn with `torch.normal`, or under `no_grad`, or detached. Then only
# the KL term trains the encoder, and the clouds become the prior. One backward pass of the log-likelihood alone tells:
# the gradient of the encoder's weights is exactly 0 here, and in (a) and (b) it is not.
#
# **Marking.** 1 point for each cause that could really give this picture (at most 3, one of them a mistake in the
# program); 1 if the experiments tell the three apart, not only from a healthy model; 1 for stating what is measured on
# what (KL or log-likelihood on test images, gradient of one part of the loss), independent of β. Others that count: the
# decoder is not given z at all (vary z and look whether the output changes); dead ReLUs or a saturated last layer
# (gradients 0 for the decoder too); an encoder's learning rate of 0. "Posterior collapse" under three names is one
# cause. "Look at the images" gets nothing: they look alike in all.
