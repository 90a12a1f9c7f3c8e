"""Autoencoder, denoising autoencoder, variational autoencoder, and the one of latent diffusion."""

from course_utils.autoencoders.kl import KLAutoencoder, perceptual_distance
from course_utils.autoencoders.plain import (
    CORRUPTIONS,
    Autoencoder,
    DenoisingAutoencoder,
    check_corruption,
    corrupt,
    squared_error,
)
from course_utils.autoencoders.vae import (
    LIKELIHOODS,
    VAE,
    Elbo,
    binarise,
    kl_each_dimension,
    kl_standard_normal,
    reparameterise,
)

__all__ = [
    "CORRUPTIONS", "LIKELIHOODS", "VAE",
    "Autoencoder", "DenoisingAutoencoder", "Elbo", "KLAutoencoder",
    "binarise", "check_corruption", "corrupt", "kl_each_dimension", "kl_standard_normal", "perceptual_distance",
    "reparameterise", "squared_error",
]  # fmt: skip
