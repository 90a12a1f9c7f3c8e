"""The autoencoder of latent diffusion: images to a small map of codes, and a distance that a network sees."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders.plain import check_alike, squared_error
from course_utils.autoencoders.vae import kl_standard_normal, reparameterise
from course_utils.inputs import (
    Model,
    at_least_float32,
    check_at_least,
    check_dtype,
    check_images,
    check_maps,
    check_not_negative,
    is_whole,
)


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
        check_dtype(x, self)
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
    check_alike(x_hat=x_hat, x=x)
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
