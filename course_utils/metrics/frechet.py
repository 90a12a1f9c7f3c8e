"""The Fréchet (Inception) distance, with its digits where covariances are singular."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.inputs import check_features, widest_float
from course_utils.metrics.score import pair, same_width


class FeatureStatistics(NamedTuple):
    """Mean (d,) and covariance (d, d) of features, float64; n - 1 in the denominator."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> FeatureStatistics:
        """The statistics of features (N, d), summed in float64.

        Raises:
            ValueError: not (N, d) floats, not finite, or fewer than 2 samples.
        """
        f = check_features("features", features)
        if len(f) < 2:
            raise ValueError(f"a covariance needs at least 2 samples, not {len(f)}")
        f = f if widest_float(f.device) == torch.float64 else f.cpu()
        mean, d = f.mean(dim=0, dtype=torch.float64), f.shape[1]
        scatter = torch.zeros(d, d, dtype=torch.float64, device=f.device)
        for part in f.split(1024):
            centred = part.double() - mean
            for i in range(0, d, 512):  # it is symmetric: only blocks on and right of the diagonal
                scatter[i : i + 512, i:].addmm_(centred[:, i : i + 512].T, centred[:, i:])
        return cls(mean, (scatter.triu() + scatter.triu(1).T) / (len(f) - 1))


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """d² = ‖μ_a - μ_b‖² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½) between two Gaussians.

    Source: Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982; as FID:
    Heusel et al., "GANs trained by a two time-scale update rule …", 2017, equation 6.

    Raises:
        ValueError: the features differ in width.
    """
    same_width(a.mean, b.mean)
    sigma_a, sigma_b = a.covariance, b.covariance.to(a.mean.device)
    apart = (a.mean - b.mean.to(a.mean.device)).square().sum()
    spread = sigma_a.trace() + sigma_b.trace()
    cross, error = _quick_trace_of_root(sigma_a, sigma_b)
    distance = apart + spread - 2 * cross
    if not error < 3e-7 * distance:  # also where the quick way failed
        distance = apart + spread - 2 * torch.linalg.svdvals(_root(sigma_a).T @ _root(sigma_b)).sum()
    return max(0.0, distance.item())


def _quick_trace_of_root(sigma_a: Tensor, sigma_b: Tensor) -> tuple[Tensor, float]:
    """tr (Σ_a Σ_b)^½, the sum of the roots of the eigenvalues of Σ_a Σ_b, and how far off it may be.

    With Σ_a = L Lᵀ they are the eigenvalues λ of the symmetric Lᵀ Σ_b L. Rounding moves each by about δ, and its
    root by √δ or δ / 2√λ, whichever is less: too much where covariances are singular, as with fewer samples than
    features. The singular values of R_aᵀ R_b, R Rᵀ = Σ, are the roots themselves and keep their digits, but they
    cost four times as much.
    """
    factor, failed = torch.linalg.cholesky_ex(sigma_a)
    if failed:
        return sigma_a.new_zeros(()), math.inf
    roots = torch.linalg.eigvalsh(factor.T @ sigma_b @ factor).clamp(min=0).sqrt()
    delta = 10 * torch.finfo(sigma_a.dtype).eps * sigma_a.norm() * sigma_b.norm()
    return roots.sum(), torch.minimum(delta.sqrt(), delta / (2 * roots)).sum().item()


def _root(sigma: Tensor) -> Tensor:
    """R (d, rank) with R Rᵀ = Σ, from the eigenvectors whose eigenvalue is more than rounding."""
    eigenvalues, vectors = torch.linalg.eigh(sigma)
    kept = eigenvalues > len(sigma) * torch.finfo(sigma.dtype).eps * eigenvalues[-1].clamp(min=0)
    return vectors[:, kept] * eigenvalues[kept].sqrt()


def fid(*, real: Tensor, fake: Tensor) -> float:
    """The Fréchet distance between features of real and of generated images, (N, d) and (M, d); 0 is best.

    Raises:
        ValueError: features that differ in width, are not finite floats, or are fewer than 2.
    """
    real, fake = pair(real, fake)
    return frechet_distance(FeatureStatistics.of(real), FeatureStatistics.of(fake))
