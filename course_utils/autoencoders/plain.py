"""Autoencoder and denoising autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from course_utils.inputs import (
    Model,
    check_at_least,
    check_choice,
    check_images,
    check_labels,
    check_maps,
    check_not_negative,
    check_tensor,
    noise_like,
    uniform_like,
)
from course_utils.nets import Decoder, Encoder

CORRUPTIONS = ("gaussian", "patch", "dropout")


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
    check_alike(x_hat=x_hat, x=x)
    return (x_hat - x).square().flatten(1).sum(dim=1)


def corrupt(x: Tensor, kind: str, level: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw a corrupted image x̃ ~ q(x̃ | x) for each image.

    Args:
        x: images (N, C, H, W) in [-1, 1].
        kind: `gaussian` adds noise of standard deviation `level`; `patch` puts one square patch, at a random
            place, on the background -1; `dropout` sets each pixel to the background -1 by itself.
        level: for `gaussian` the standard deviation, ≥ 0; for `patch` the share of the image's area that the
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
    check_not_negative(level=level)
    if kind != "gaussian" and level > 1:
        raise ValueError(f"level={level} must lie in 0 … 1 for {kind}")


def check_alike(**tensors: Tensor) -> None:
    """Raise ValueError unless all are float batches of one shape, so that none is stretched to fit another."""
    for name, tensor in tensors.items():
        check_tensor(tensor, name)
        check_maps(tensor, (None,) * max(0, tensor.ndim - 1), name)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"{' and '.join(f'{name} {shape}' for name, shape in shapes.items())} must have one shape"
        )
