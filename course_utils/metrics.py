"""How good are generated images? Pure functions of features, computed in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class FeatureStatistics:
    """Mean and covariance of features, gathered a batch at a time in float64.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

    Attributes:
        n: how many samples were seen.
        mean: (d,).
        scatter: (d, d), the sum of (f - mean)(f - mean)ᵀ.
    """

    n: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> FeatureStatistics:
        """The statistics of features (N, d).

        Raises:
            ValueError: not (N, d) floats, or not finite.
        """
        if features.ndim != 2 or not len(features) or not features.is_floating_point():
            raise ValueError(
                f"features must be float (N, d), N ≥ 1, not {features.dtype} {tuple(features.shape)}"
            )
        if not features.isfinite().all():
            raise ValueError("features hold NaN or infinity")
        f = features.double()
        centred = f - f.mean(dim=0)
        return cls(len(f), f.mean(dim=0), centred.T @ centred)

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """The statistics of both sets together."""
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"the features differ in width: {len(self.mean)} and {len(other.mean)}")
        n, delta = self.n + other.n, other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(delta, delta) * (self.n * other.n / n)
        return FeatureStatistics(n, self.mean + delta * (other.n / n), scatter)

    @property
    def covariance(self) -> Tensor:
        """(d, d), with n - 1 in the denominator."""
        if self.n < 2:
            raise ValueError(f"a covariance needs at least 2 samples, not {self.n}")
        return self.scatter / (self.n - 1)


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """d² = ‖μ_a - μ_b‖² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½) between two Gaussians.

    The trace of (Σ_a Σ_b)^½ is that of the symmetric (Σ_a^½ Σ_b Σ_a^½)^½, whose eigenvalues are exact even
    where a covariance is singular.

    Source: Dowson and Landau, 1982; as FID: Heusel et al., 2017, equation 6.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"the features differ in width: {len(a.mean)} and {len(b.mean)}")
    eigenvalues, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * eigenvalues.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * cross
    return max(0.0, distance.item())
