"""Variational autoencoder."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders.plain import check_alike
from course_utils.inputs import (
    Model,
    at_least_float32,
    check_at_least,
    check_choice,
    check_images,
    check_labels,
    check_maps,
    check_not_negative,
    noise_like,
    uniform_like,
)
from course_utils.nets import Decoder, Encoder


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σⱼ (μⱼ² + σⱼ² - 1 - log σⱼ²) in nats, with logvar = log σ²: (N, d) twice → (N,).

    Source: Kingma and Welling, "Auto-encoding variational Bayes", 2014, appendix B.
    """
    return kl_each_dimension(mu, logvar).sum(dim=1)


def kl_each_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """The summands of `kl_standard_normal`, one for each dimension of the code: (N, d) twice → (N, d)."""
    check_maps(mu, (None,), "mu")
    check_alike(mu=mu, logvar=logvar)
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def binarise(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw each pixel black (-1) or white (1), white with the probability (x + 1) / 2, its brightness.

    Source: Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", 2008, section 4: the
    data that log-likelihoods of MNIST in nats are stated for.

    x: (N, C, H, W) in [-1, 1]. Returns the same shape, values -1 and 1.
    """
    check_images(x)
    return (uniform_like(x, generator) < (x + 1) / 2).to(x.dtype) * 2 - 1


class Elbo(NamedTuple):
    """The two parts of the evidence lower bound, in nats: ELBO = E_q[log p(x|z)] - KL(q(z|x) ‖ p(z))."""

    log_likelihood: Tensor
    kl: Tensor

    @property
    def total(self) -> Tensor:
        """log_likelihood - kl."""
        return self.log_likelihood - self.kl


LIKELIHOODS = ("bernoulli", "gaussian")


class VAE(Model):
    """Variational autoencoder: prior p(z) = N(0, I), decoder p(x|z), encoder q(z|x) = N(μ(x), diag σ²(x)).

    Source: Kingma and Welling, "Auto-encoding variational Bayes", 2014, equations 3 and 10. β is Higgins et al.,
    "β-VAE", 2017, equation 4; free bits are Kingma et al., "Improved variational inference with inverse autoregressive
    flow", 2016, equation 15; the learned σ is Rybkin et al., "Simple and effective VAE training with calibrated
    decoders", 2021, section 3.1.

    Args:
        latent_dim: the number d of values in a code.
        likelihood: `bernoulli`: each pixel is black or white; a grey one counts as white with the probability
            (x + 1) / 2, so that log p(x|z) is the mean over all ways to binarise it. `gaussian`: each pixel is normal
            around the decoded image with the standard deviation `sigma`.
        sigma: of the Gaussian, > 0, in the units of pixels in [-1, 1]; None: one number, learned with the weights.
        beta: weight β ≥ 0 of the KL term in `loss`; 1 is the ELBO. May be changed between steps (warm-up).
        free_bits: λ ≥ 0 in nats. A dimension whose KL, averaged over the batch, is below λ is not pushed lower.
        in_channels, size: of the images, (N, in_channels, size, size); size divisible by 4.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        likelihood: str = "bernoulli",
        sigma: float | None = None,
        beta: float = 1.0,
        free_bits: float = 0.0,
        in_channels: int = 1,
        size: int = 28,
    ):
        super().__init__()
        check_at_least(1, latent_dim=latent_dim)
        check_choice(LIKELIHOODS, likelihood=likelihood)
        if sigma is not None and (likelihood == "bernoulli" or not 0 < sigma < math.inf):
            raise ValueError(f"sigma={sigma} must be a number above 0, and for the gaussian likelihood only")
        check_not_negative(beta=beta, free_bits=free_bits)
        self.latent_dim, self.likelihood = latent_dim, likelihood
        self.beta, self.free_bits = beta, free_bits
        self.encoder = Encoder(2 * latent_dim, in_channels=in_channels, size=size)
        self.decoder = Decoder(latent_dim, out_channels=in_channels, size=size)
        start = torch.tensor(0.0 if sigma is None else math.log(sigma))
        self.log_sigma = nn.Parameter(start, requires_grad=likelihood == "gaussian" and sigma is None)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z|x): images (N, C, H, W) to μ and log σ², (N, d) each; log σ² is kept in [-20, 10]."""
        mu, logvar = at_least_float32(self.encoder(x)).chunk(2, dim=1)
        return mu, logvar.clamp(-20, 10)

    def encode(self, x: Tensor) -> Tensor:
        """The mean μ of q(z|x): (N, C, H, W) to codes (N, d)."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z): codes (N, d) to images (N, C, H, W) in (-1, 1)."""
        return self.decoder(z)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images through the mean code and back: the same shape."""
        return self.decode(self.encode(x))

    forward = reconstruct

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over pixels: images (N, C, H, W) and codes (N, d) → (N,)."""
        check_images(x)
        raw = at_least_float32(self.decoder.before_tanh(z))
        if raw.shape != x.shape:
            raise ValueError(
                f"x {tuple(x.shape)} and the decoded codes z {tuple(raw.shape)} must have one shape"
            )
        if self.likelihood == "bernoulli":  # the decoded mean is tanh(a); (1 + tanh(a)) / 2 = sigmoid(2a)
            each = -F.binary_cross_entropy_with_logits(2 * raw, (x + 1) / 2, reduction="none")
        else:
            standardised = (x - torch.tanh(raw)) / self.log_sigma.exp()
            each = -0.5 * standardised.square() - self.log_sigma - 0.5 * math.log(2 * math.pi)
        return each.flatten(1).sum(dim=1)

    def elbo(self, x: Tensor, *, generator: torch.Generator | None = None) -> Elbo:
        """The evidence lower bound on log p(x), with one code z ~ q(z|x) drawn for each image: two parts (N,)."""
        mu, logvar = self.posterior(x)
        return Elbo(
            self.log_likelihood(x, reparameterise(mu, logvar, generator=generator)),
            kl_standard_normal(mu, logvar),
        )

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """-E_q[log p(x|z)] + β KL in nats, averaged over the batch (with free bits: Σⱼ max(λ, KLⱼ), KLⱼ averaged over
        the batch first); labels are not used."""
        mu, logvar = self.posterior(x)
        z = reparameterise(mu, logvar, generator=generator)
        kl = kl_each_dimension(mu, logvar).mean(dim=0)
        return self.beta * kl.clamp_min(self.free_bits).sum() - self.log_likelihood(x, z).mean()

    @torch.no_grad()
    def iwae_bound(
        self, x: Tensor, samples: int = 100, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """The importance-weighted bound on log p(x) in nats, tighter than the ELBO: (N,).

            log 1/K Σₖ p(x|zₖ) p(zₖ) / q(zₖ|x),   zₖ ~ q(z|x)

        Source: Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2016, equation 8.

        samples: K ≥ 1; with 1 it is an ELBO, with K → ∞ it goes to log p(x).
        """
        check_at_least(1, samples=samples)
        mu, logvar = self.posterior(x)
        log_weights = []
        for _ in range(samples):
            z = reparameterise(mu, logvar, generator=generator)
            log_prior = -0.5 * z.square().sum(dim=1)  # both lack the same d/2 log 2π
            log_q = -0.5 * ((z - mu).square() / logvar.exp() + logvar).sum(dim=1)
            log_weights.append(self.log_likelihood(x, z) + log_prior - log_q)
        return torch.stack(log_weights).logsumexp(dim=0) - math.log(samples)

    def sample(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """Decode n codes drawn from the prior N(0, I), each to the mean of p(x|z): (n, C, H, W).

        Raises:
            ValueError: classes y were asked for.
        """
        check_at_least(1, n=n)
        check_labels(y, n, None)
        weight = self.log_sigma
        z = torch.randn(n, self.latent_dim, generator=generator, device=weight.device, dtype=weight.dtype)
        return self.decode(z)


def reparameterise(mu: Tensor, logvar: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """A draw from N(μ, diag σ²) that gradients pass through: z = μ + σ ε, ε ~ N(0, I); (N, d) thrice.

    Source: Kingma and Welling, 2014, section 2.4.
    """
    check_alike(mu=mu, logvar=logvar)
    return mu + (0.5 * logvar).exp() * noise_like(mu, generator)
