"""Autoencoder, denoising autoencoder, variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.inputs import (
    Model,
    at_least_float32,
    check_at_least,
    check_choice,
    check_images,
    check_labels,
    check_maps,
    check_not_negative,
    is_whole,
    noise_like,
    uniform_like,
)
from course_utils.nets import Decoder, Encoder

CORRUPTIONS = ("gaussian", "masking", "dropout")


class Autoencoder(Model):
    """Encoder to a code z, decoder back; trained on squared error, without labels.

    Source: Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    Args:
        latent_dim: the number d of values in a code.
        code_penalty: weight λ ≥ 0 of ‖z‖² in the loss, which keeps the codes together, so that a map of them
            can be drawn (Ghosh et al., 2020, section 3); 0 is the plain autoencoder.
        in_channels, size: of the images, (N, in_channels, size, size); size divisible by 4.
    """

    code_mean: Tensor
    code_factor: Tensor

    def __init__(self, latent_dim: int, *, code_penalty: float = 0.0, in_channels: int = 1, size: int = 28):
        super().__init__()
        check_at_least(1, latent_dim=latent_dim)
        check_not_negative(code_penalty=code_penalty)
        self.latent_dim, self.code_penalty = latent_dim, code_penalty
        self.encoder = Encoder(latent_dim, in_channels=in_channels, size=size)
        self.decoder = Decoder(latent_dim, out_channels=in_channels, size=size)
        self.register_buffer("code_mean", torch.full((latent_dim,), torch.nan))  # until fit_codes is called
        self.register_buffer("code_factor", torch.full((latent_dim, latent_dim), torch.nan))

    def encode(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], also noisy ones that leave it, to codes (N, d)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, d) to images (N, C, H, W) in (-1, 1)."""
        return self.decoder(z)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images through the code and back: the same shape."""
        return self.decode(self.encode(x))

    forward = reconstruct

    @torch.no_grad()
    def fit_codes(self, x: Tensor) -> None:
        """Take the codes of images (N, C, H, W) as one Gaussian, for `sample` to draw from.

        Source: Ghosh et al., "From variational to deterministic autoencoders", 2020, section 4.

        Raises:
            ValueError: too few images for a covariance, N ≤ d.
        """
        check_images(x)
        z = torch.cat([self.encode(part) for part in x.split(1000)])
        if len(z) <= self.latent_dim:
            raise ValueError(f"x holds {len(z)} images; a covariance of {self.latent_dim} values needs more")
        factor, failed = torch.linalg.cholesky_ex(z.T.cov().reshape(self.latent_dim, self.latent_dim))
        if failed:
            raise ValueError(
                "the codes of x are too much alike for a covariance; give more and different images"
            )
        self.code_mean.copy_(z.mean(dim=0))
        self.code_factor.copy_(factor)

    def sample(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """Decode n codes drawn from the Gaussian of `fit_codes`: (n, C, H, W).

        An autoencoder has no prior of its own, and many of these images are no digits: that is its weakness.

        Raises:
            ValueError: `fit_codes` was not called, or classes y were asked for.
        """
        check_at_least(1, n=n)
        check_labels(y, n, None)
        if not self.code_mean.is_meta and self.code_mean.isnan().any():
            raise ValueError("the model knows no codes to draw from; call fit_codes(images) first")
        eps = noise_like(self.code_mean.expand(n, -1), generator)
        return self.decode(self.code_mean + eps @ self.code_factor.T)

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """‖x̂ - x‖² + λ ‖z‖², summed over pixels and code, averaged over the batch; labels are not used."""
        check_images(x)
        z = self.encode(x)
        return (squared_error(self.decode(z), x) + self.code_penalty * z.square().sum(dim=1)).mean()


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that sees a corrupted image and is to give back the clean one.

    Source: Vincent et al., "Extracting and composing robust features with denoising autoencoders", 2008.

    Args:
        kind, level: the corruption it is trained on; see `corrupt`.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        kind: str = "gaussian",
        level: float = 0.5,
        in_channels: int = 1,
        size: int = 28,
    ):
        super().__init__(latent_dim, in_channels=in_channels, size=size)
        check_corruption(kind, level)
        self.kind, self.level = kind, level

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """‖g(f(x̃)) - x‖² summed over pixels, averaged over the batch, x̃ drawn by `corrupt`."""
        check_images(x)
        x_tilde = corrupt(x, self.kind, self.level, generator=generator)
        return squared_error(self.reconstruct(x_tilde), x).mean()


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """‖x̂ - x‖² of each image: float (N, C, H, W) twice → (N,)."""
    check_maps(x, (None, None, None))
    check_maps(x_hat, (None, None, None), "x_hat")
    _check_alike(x_hat=x_hat, x=x)
    return (x_hat - x).square().flatten(1).sum(dim=1)


def corrupt(x: Tensor, kind: str, level: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw a corrupted image x̃ ~ q(x̃ | x) for each image.

    Args:
        x: images (N, C, H, W) in [-1, 1].
        kind: `gaussian` adds noise of standard deviation `level`; `masking` puts one square patch, at a random
            place, on the background -1; `dropout` sets each pixel to the background -1 by itself.
        level: for `gaussian` the standard deviation, ≥ 0; for `masking` the share of the image's area that the
            patch covers, in [0, 1]; for `dropout` the probability of a pixel to be lost, in [0, 1].
        generator: the source of randomness, on the device of x; None takes torch's own.

    Returns:
        (N, C, H, W); with `gaussian` the values may leave [-1, 1].

    Raises:
        ValueError: an unknown kind or a level outside its range.
    """
    check_images(x)
    check_corruption(kind, level)
    n, _, height, width = x.shape
    if kind == "gaussian":
        return x + level * noise_like(x, generator)
    if kind == "dropout":
        lost = uniform_like(x[:, :1], generator) < level
        return x.masked_fill(lost, -1.0)
    tall, wide = round(height * level**0.5), round(width * level**0.5)
    top, left = torch.rand(2, n, 1, generator=generator, device=x.device, dtype=x.dtype)
    top, left = (top * (height - tall + 1)).floor(), (left * (width - wide + 1)).floor()
    row, column = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    rows = (row >= top) & (row < top + tall)  # (N, H)
    columns = (column >= left) & (column < left + wide)  # (N, W)
    return x.masked_fill((rows[:, :, None] & columns[:, None, :]).unsqueeze(1), -1.0)


def check_corruption(kind: str, level: float) -> None:
    """Raise ValueError unless `corrupt` knows the kind and the level is in its range."""
    check_choice(CORRUPTIONS, kind=kind)
    highest = math.inf if kind == "gaussian" else 1
    if not 0 <= level <= highest:
        raise ValueError(f"level={level} must lie in 0 … {highest} for {kind}")


# ---------------------------------------------------------------------------- the variational autoencoder


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σⱼ (μⱼ² + σⱼ² - 1 - log σⱼ²) in nats, with logvar = log σ²: (N, d) twice → (N,).

    Source: Kingma and Welling, "Auto-encoding variational Bayes", 2014, appendix B.
    """
    return kl_each_dimension(mu, logvar).sum(dim=1)


def kl_each_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """The summands of `kl_standard_normal`, one for each dimension of the code: (N, d) twice → (N, d)."""
    check_maps(mu, (None,), "mu")
    _check_alike(mu=mu, logvar=logvar)
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def _check_alike(**tensors: Tensor) -> None:
    """Raise ValueError unless all are float batches of one shape, so that none is stretched to fit another."""
    for name, tensor in tensors.items():
        check_maps(tensor, (None,) * max(0, tensor.ndim - 1), name)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"{' and '.join(f'{name} {shape}' for name, shape in shapes.items())} must have one shape"
        )


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
        check_images(x)
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
    _check_alike(mu=mu, logvar=logvar)
    return mu + (0.5 * logvar).exp() * noise_like(mu, generator)


# ------------------------------------------------------------------- the autoencoder of latent diffusion


class KLAutoencoder(Model):
    """Image to a small map of codes, (N, C, H, W) → (N, c, H / f, W / f), and back: before and after latent diffusion.

    A VAE whose codes keep their place in the image, with so little weight on the KL term that it is there for the
    codes' scale and smoothness only. `encode` and `decode` speak of codes divided by their standard deviation, so that
    a diffusion model meets codes of variance 1.

    Source: Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022, section 3.1 and
    appendix G (the KL-regularised variant and its scale).

    Args:
        factor: f, by how much the sides shrink: 4 or 8.
        latent_channels: c.
        in_channels: C of the image.
        width: channels at half the image's size; twice as many below.
        kl_weight: of the KL divergence in `loss`.

    Raises:
        ValueError: another factor; a width that is not divisible by 8.
    """

    scale: Tensor  # the standard deviation of the codes, see `fit_scale`

    def __init__(
        self,
        *,
        factor: int = 4,
        latent_channels: int = 4,
        in_channels: int = 3,
        width: int = 32,
        kl_weight: float = 1e-3,
    ):
        super().__init__()
        if factor not in (4, 8):
            raise ValueError(f"factor={factor} is unknown; allowed: 4, 8")
        if not is_whole(width) or width < 8 or width % 8:
            raise ValueError(f"width={width} must be a multiple of 8")
        check_at_least(1, latent_channels=latent_channels, in_channels=in_channels)
        check_not_negative(kl_weight=kl_weight)
        self.factor, self.latent_channels, self.in_channels = factor, latent_channels, in_channels
        self.kl_weight = kl_weight
        wide = 2 * width
        deeper = [nn.Conv2d(wide, wide, 2, stride=2), _ResBlock(wide)] if factor == 8 else []
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(4 * in_channels, width, 3, padding=1), _ResBlock(width),  # 1/2
            nn.Conv2d(width, wide, 2, stride=2), _ResBlock(wide), *deeper,  # 1/4, 1/8
            _ResBlock(wide), nn.GroupNorm(8, wide), nn.SiLU(), nn.Conv2d(wide, 2 * latent_channels, 1),
        )  # fmt: skip
        higher = [nn.ConvTranspose2d(wide, wide, 2, stride=2), _ResBlock(wide)] if factor == 8 else []
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, wide, 3, padding=1), _ResBlock(wide), _ResBlock(wide), *higher,
            nn.ConvTranspose2d(wide, width, 2, stride=2), _ResBlock(width),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, 4 * in_channels, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip
        self.register_buffer("scale", torch.ones(()))
        self.to(memory_format=torch.channels_last)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """q(z|x), not scaled: images (N, C, H, W) to μ and log σ², (N, c, H / f, W / f) each."""
        check_images(x, (self.in_channels, None, None))
        if x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise ValueError(
                f"x is {x.shape[2]} × {x.shape[3]}; both must be divisible by the factor {self.factor}"
            )
        mu, logvar = at_least_float32(self.encoder(x)).chunk(2, dim=1)
        return mu, logvar.clamp(-20, 10)

    def encode(self, x: Tensor) -> Tensor:
        """The mean codes, of variance 1 over images: (N, C, H, W) in [-1, 1] to (N, c, H / f, W / f)."""
        return self.posterior(x)[0] / self.scale

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, c, h, w), of variance 1, to images (N, C, f h, f w), in about [-1, 1] if of images."""
        check_maps(z, (self.latent_channels, None, None), "z")
        return self.decoder((z * self.scale).to(self.scale.dtype))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images through the mean codes and back: the same shape."""
        return self.decode(self.encode(x))

    forward = reconstruct

    def loss(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """‖x̂ - x‖² + what `perceptual(x̂, x)` (N,) adds + kl_weight · KL, averaged over the batch; x̂ is decoded from
        codes drawn from q(z|x). Labels are not used."""
        mu, logvar = self.posterior(x)
        z = reparameterise(mu, logvar, generator=generator).to(self.scale.dtype)
        x_hat = at_least_float32(self.decoder(z))
        loss = squared_error(x_hat, x) + self.kl_weight * kl_standard_normal(mu.flatten(1), logvar.flatten(1))
        if perceptual is not None:
            loss = loss + perceptual(x_hat, x)
        return loss.mean()

    @torch.no_grad()
    def fit_scale(self, x: Tensor) -> None:
        """Note the standard deviation of the codes of images x (N, C, H, W)."""
        check_images(x)
        mu = torch.cat([self.posterior(part)[0] for part in x.split(500)])
        self.scale.copy_(mu.std())


def perceptual_distance(feature_maps: Callable[[Tensor], list[Tensor]], x_hat: Tensor, x: Tensor) -> Tensor:
    """How differently a network sees two images: (N, C, H, W) twice → (N,).

        Σ_l mean over places of ‖u_l(x̂) - u_l(x)‖²,   u_l: the channels of feature map l at a place, of norm 1

    feature_maps: images to the network's maps (N, C_l, H_l, W_l).
    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018, equation 1,
    without its learned weights.
    """
    _check_alike(x_hat=x_hat, x=x)
    total = x.new_zeros(len(x))
    for seen_hat, seen in zip(feature_maps(x_hat), feature_maps(x), strict=True):
        difference = F.normalize(seen_hat, dim=1) - F.normalize(seen, dim=1)
        total = total + difference.square().sum(dim=1).mean(dim=(1, 2))
    return total


class _ResBlock(nn.Module):
    """x + conv(norm(conv(norm(x)))); x itself at the start."""

    def __init__(self, width: int):
        super().__init__()
        last = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width), nn.SiLU(), last,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
