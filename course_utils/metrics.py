"""How good are generated images? Pure functions of features and of a classifier's probabilities.

Features are float (N, d), one row an image; which network they come from is the caller's choice
(`features.feature_extractor` offers two). What is summed over images is summed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from course_utils.files import replacing
from course_utils.inputs import check_at_least, check_features, check_probs, widest
from course_utils.nets import slerp


class Score(NamedTuple):
    """A score measured on several parts of the images: its mean and its standard deviation over the parts."""

    mean: float
    std: float


# --------------------------------------------------------------------------------------- Inception Score


def inception_score(probs: Tensor, splits: int = 10, *, generator: torch.Generator | None = None) -> Score:
    """exp of the mean KL(p(y|x) ‖ p(y)): high where each image is read with certainty, and as many classes.

    It lies between 1 and the number of classes. The images are shuffled before they are split, so that their order
    does no harm.

    Source: Salimans et al., "Improved techniques for training GANs", 2016, section 4.

    Args:
        probs: p(y|x) of each image by a classifier, (N, classes); rows sum to 1.
        splits: the number of parts to score one by one, 1 … N.
        generator: of the shuffle, on the CPU; None: torch's own.

    Raises:
        ValueError: not probabilities, not finite, or fewer images than splits.
    """
    p = widest(check_probs(probs))
    if not 1 <= splits <= len(p):
        raise ValueError(f"splits={splits} must lie in 1 … {len(p)}, the number of images")
    if splits > 1:
        p = p[torch.randperm(len(p), generator=generator).to(p.device)]
    # KL averaged over images is the entropy of the mean less the mean of the entropies.
    scores = torch.stack(
        [
            (torch.special.entr(part.mean(dim=0)).sum() - torch.special.entr(part).sum(dim=1).mean()).exp()
            for part in (p[i::splits] for i in range(splits))
        ]
    )
    return Score(scores.mean().item(), scores.std(correction=0).item())


# --------------------------------------------------------------------------- Fréchet (Inception) Distance


@dataclass
class FeatureStatistics:
    """Mean and covariance of features, gathered a batch at a time in float64.

    `FeatureStatistics()` is empty; `update` takes batches, `merge` what was gathered elsewhere.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

    Attributes:
        n: how many samples were seen.
        mean: (d,).
        scatter: (d, d), the sum of (f - mean)(f - mean)ᵀ.
    """

    n: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    scatter: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))

    @classmethod
    def of(cls, features: Tensor) -> FeatureStatistics:
        """The statistics of features (N, d).

        Raises:
            ValueError: not (N, d) floats, or not finite.
        """
        f = check_features("features", features)
        f = f.cpu() if f.device.type == "mps" else f  # which has no float64
        mean, d = f.mean(dim=0, dtype=torch.float64), f.shape[1]
        scatter = torch.zeros(d, d, dtype=torch.float64, device=f.device)
        for part in f.split(1024):
            centred = part.double() - mean
            for i in range(0, d, 512):  # it is symmetric: only blocks on and right of the diagonal
                scatter[i : i + 512, i:].addmm_(centred[:, i : i + 512].T, centred[:, i:])
        return cls(len(f), mean, scatter.triu() + scatter.triu(1).T)

    def update(self, features: Tensor) -> FeatureStatistics:
        """Take features (N, d) in; returns itself. Raises as `of`."""
        whole = self.merge(FeatureStatistics.of(features))
        self.n, self.mean, self.scatter = whole.n, whole.mean, whole.scatter
        return self

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """The statistics of both sets together; neither is changed.

        Raises:
            ValueError: the features differ in width.
        """
        if not self.n or not other.n:
            full = other if other.n else self
            return FeatureStatistics(full.n, full.mean, full.scatter)
        _same_width(self.mean, other.mean)
        n, delta = self.n + other.n, other.mean.to(self.mean.device) - self.mean
        between = torch.outer(delta, delta) * (self.n * other.n / n)
        scatter = self.scatter + other.scatter.to(self.scatter.device) + between
        return FeatureStatistics(n, self.mean + delta * (other.n / n), scatter)

    @property
    def covariance(self) -> Tensor:
        """(d, d), with n - 1 in the denominator.

        Raises:
            ValueError: fewer than 2 samples.
        """
        if self.n < 2:
            raise ValueError(f"a covariance needs at least 2 samples, not {self.n}")
        return self.scatter / (self.n - 1)

    def save(self, path: str | Path) -> None:
        """Write to a safetensors file; one that was there is replaced as a whole."""
        from safetensors.torch import save_file

        tensors = {"n": torch.tensor(self.n), "mean": self.mean, "scatter": self.scatter}
        with replacing(Path(path)) as scratch:
            save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, scratch)

    @classmethod
    def load(cls, path: str | Path) -> FeatureStatistics:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or holds something else.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tensors = load_file(path)
            n, mean, scatter = int(tensors["n"]), tensors["mean"], tensors["scatter"]
        except (SafetensorError, KeyError) as reason:
            raise ValueError(
                f"{path} holds no feature statistics ({reason}); compute and save them anew"
            ) from reason
        whole = (
            mean.ndim == 1
            and scatter.shape == 2 * mean.shape
            and mean.dtype == scatter.dtype == torch.float64
        )
        if not whole:
            raise ValueError(f"{path} holds no feature statistics: mean {tuple(mean.shape)} {mean.dtype}, "
                             f"scatter {tuple(scatter.shape)}; compute and save them anew")  # fmt: skip
        return cls(n, mean, scatter)


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """d² = ‖μ_a - μ_b‖² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½) between two Gaussians.

    Source: Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982; as FID:
    Heusel et al., "GANs trained by a two time-scale update rule …", 2017, equation 6.

    Raises:
        ValueError: the features differ in width, or fewer than 2 samples.
    """
    _same_width(a.mean, b.mean)
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
    real, fake = _pair(real, fake)
    return frechet_distance(FeatureStatistics.of(real), FeatureStatistics.of(fake))


# --------------------------------------------------------------------------------- Kernel Inception Distance


def kernel_inception_distance(
    *,
    real: Tensor,
    fake: Tensor,
    subsets: int = 100,
    subset_size: int = 1000,
    generator: torch.Generator | None = None,
) -> Score:
    """The squared maximum mean discrepancy with the kernel (x·y/d + 1)³, estimated without bias on random subsets.

    Where both sets come from one distribution its expectation is 0, so single values may be negative.

    Source: Bińkowski et al., "Demystifying MMD GANs", 2018, section 4 and equation 4.

    Args:
        real, fake: features (N, d) and (M, d).
        subsets, subset_size: how many subsets are drawn without replacement, and how large.
        generator: draws the subsets, on the CPU; None: torch's own.

    Raises:
        ValueError: features that differ in width or are not finite floats; a subset that cannot be drawn.
    """
    real, fake = map(widest, _pair(real, fake))
    if not 2 <= subset_size <= min(len(real), len(fake)):
        raise ValueError(
            f"subset_size={subset_size} must lie in 2 … {min(len(real), len(fake))}, the size of the smaller set"
        )
    check_at_least(1, subsets=subsets)

    def draw(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=generator)[:subset_size].to(features.device)]

    values = torch.stack([_mmd2(draw(real), draw(fake)) for _ in range(subsets)])
    return Score(values.mean().item(), values.std(correction=0).item())


def _mmd2(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate of the squared maximum mean discrepancy; x, y (m, d)."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: Tensor) -> Tensor:  # without the pairs of an image with itself
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


# ------------------------------------------------------------- precision and recall, density and coverage


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]: of generated images inside the real manifold, of real ones inside the generated one."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density ≥ 0, near 1 for equal distributions; coverage in [0, 1]."""

    density: float
    coverage: float


def precision_recall(*, real: Tensor, fake: Tensor, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall: the manifold of a set is the union of a ball around each of its points, as
    wide as the distance to its k-th nearest neighbour.

    Source: Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", 2019,
    equations 1 and 2.

    Args:
        real, fake: features (N, d) and (M, d). Memory stays bounded: distances are computed in blocks.
        k: which neighbour, 1 … min(N, M) - 1.

    Raises:
        ValueError: features that differ in width or are not finite floats, or k out of range.
    """
    real, fake = _pair(real, fake)
    real_radii, fake_radii = _knn_radii("real", real, k), _knn_radii("fake", fake, k)
    distances = _Distances(real, fake)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled = 0
    for block in distances.blocks():
        precise |= block.within(real_radii[block.rows, None]).any(dim=0)
        recalled += int(block.within(fake_radii).any(dim=1).sum())
    return PrecisionRecall(precise.double().mean().item(), recalled / len(real))


def density_coverage(*, real: Tensor, fake: Tensor, k: int = 5) -> DensityCoverage:
    """Density: in how many of the real points' balls a generated image lies, over k. Coverage: the share of the
    real points' balls that hold a generated image. Only real points have balls, so no outlier among the generated
    ones can widen anything.

    Source: Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020, equations 3 and 4.

    Args:
        real, fake: features (N, d) and (M, d).
        k: which neighbour, 1 … N - 1.

    Raises:
        ValueError: features that differ in width or are not finite floats, or k out of range.
    """
    real, fake = _pair(real, fake)
    radii, distances = _knn_radii("real", real, k), _Distances(real, fake)
    hits = covered = 0
    for block in distances.blocks():
        inside = block.within(radii[block.rows, None])
        hits += int(inside.sum())
        covered += int(inside.any(dim=1).sum())
    return DensityCoverage(hits / (k * len(fake)), covered / len(real))


BLOCK = 2**22  # distances held at a time: 17 MB in float32, which memory allocators and caches like


class _Distances:
    """‖x_i - y_j‖² in blocks of rows: quick in float32, and exact wherever rounding could change an answer.

    ‖x‖² + ‖y‖² - 2 x·y is one matrix product, and off by at most e (‖x‖² + ‖y‖²), e = 2.2 (d + 16) 2⁻²⁴: the
    product by d 2⁻²⁴ in any order of summation (Higham, "Accuracy and stability of numerical algorithms", 2002,
    equation 3.5), the rest for rounding the inputs, the norms and the sums. A comparison that is closer than that
    is made again in float64 from the differences x - y.
    """

    def __init__(self, x: Tensor, y: Tensor):
        self.x, self.y = x, y
        wide = [f if f.dtype == torch.float64 else f.float() for f in (x, y)]
        centre = wide[0].mean(dim=0, keepdim=True)  # near 0 the norms, and so the bound, are small
        centred = [f - centre for f in (wide[:1] if y is x else wide)]
        ends = [end.item() for f in centred for end in f.aminmax()]
        self.unit = max(map(abs, ends)) or 1.0  # so that squares fit into float32
        self.x32 = centred[0].div_(self.unit).float()
        self.y32 = self.x32 if y is x else centred[1].div_(self.unit).float()
        self.xx, self.yy = map(_squared_norms, (self.x32, self.y32))
        self.e = 2.2 * (x.shape[1] + 16) * 2.0**-24

    def blocks(self) -> Iterator[_Block]:
        height = max(1, BLOCK // len(self.y))
        for start in range(0, len(self.x), height):
            rows = slice(start, min(start + height, len(self.x)))
            with _full_precision(self.x.device):
                quick = torch.addmm(self.yy, self.x32[rows], self.y32.T, alpha=-2).add_(self.xx[rows, None])
            yield _Block(self, rows, quick)

    def exact(self, i: Tensor, j: Tensor) -> Tensor:
        """‖x_i - y_j‖² in float64 for pairs of rows (P,)."""
        step = max(1, BLOCK // (4 * self.x.shape[1]))
        parts = [
            (widest(self.x[a]) - widest(self.y[b])).square().sum(dim=1)
            for a, b in zip(i.split(step), j.split(step), strict=True)
        ]
        return torch.cat(parts)


@dataclass
class _Block:
    """The distances of some rows of x to all of y. `quick` (rows, M) counts in `unit`² and is off by at most
    e (‖x‖² + ‖y‖²)."""

    of: _Distances
    rows: slice
    quick: Tensor

    def slack(self) -> Tensor:
        return self.of.e * (self.of.xx[self.rows, None] + self.of.yy)

    def within(self, squared_radii: Tensor) -> Tensor:
        """‖x_i - y_j‖² ≤ squared radii, float64, broadcast against the block: bool (rows, M)."""
        scaled = (squared_radii / self.of.unit**2).float()
        beyond, slack = self.quick - scaled, self.slack().add_(2.0**-22 * scaled)
        inside = beyond <= 0
        i, j = (beyond.abs_() <= slack).nonzero(as_tuple=True)
        if len(i):
            radii = squared_radii.expand(inside.shape)[i, j]
            inside[i, j] = self.of.exact(i + self.rows.start, j) <= radii
        return inside


def _squared_norms(f: Tensor) -> Tensor:
    """‖f_i‖², summed in float64 a part at a time: (N, d) to float32 (N,)."""
    return torch.cat([widest(part).square().sum(dim=1).float() for part in f.split(1024)]).to(f.device)


def _knn_radii(name: str, x: Tensor, k: int) -> Tensor:
    """The squared distance of each row of x (N, d) to its k-th nearest other row, exactly: float64 (N,)."""
    if not 1 <= k < len(x):
        raise ValueError(f"k={k} must lie in 1 … {len(x) - 1}, one less than the number of {name} features")
    distances = _Distances(x, x)
    # In one piece: small results kept between large blocks would stop the allocator from giving memory back.
    radii = widest(x.new_empty(len(x)))
    near = min(len(x) - 1, k + 5)  # more than k, so that rounding can hardly push a neighbour out
    for block in distances.blocks():
        rows = torch.arange(block.rows.start, block.rows.stop, device=x.device)
        block.quick[rows - block.rows.start, rows] = math.inf  # no point is its own neighbour
        lower = block.quick - block.slack()
        bounds, candidates = lower.topk(near, dim=1, largest=False)
        exact = distances.exact(rows.repeat_interleave(near), candidates.flatten()).view(-1, near)
        radius = exact.kthvalue(k, dim=1).values
        # Where a row left out may still be nearer (many near ties), all of the row is computed exactly.
        open_rows = (
            (bounds[:, -1].double() <= radius / distances.unit**2) & (radius > 0) & (near < len(x) - 1)
        )
        for i in open_rows.nonzero().flatten().tolist():
            others = torch.arange(len(x), device=x.device)
            others = others[others != rows[i]]
            radius[i] = distances.exact(rows[i].expand(len(others)), others).kthvalue(k).values
        radii[block.rows] = radius
    return radii


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Matrix products in true float32, whatever the caller has allowed (TF32, bfloat16)."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller uses torch's newer settings, one a backend; the two do not mix
        mkldnn: Any = torch.backends.mkldnn
        settings = [(matmul, matmul.fp32_precision) for matmul in (torch.backends.cuda.matmul, mkldnn.matmul)]
        for matmul, _ in settings:
            matmul.fp32_precision = "ieee"
    else:
        settings = []
        torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for matmul, value in settings:
            matmul.fp32_precision = value
        if not settings:
            torch.set_float32_matmul_precision(before)


# ------------------------------------------------------------------------------------ smoothness, anomalies


class PathLength(NamedTuple):
    """Perceptual path length: the mean over the paths, their standard deviation, and each path's length (n,)."""

    mean: float
    std: float
    each: Tensor


@torch.inference_mode()
def perceptual_path_length(
    decode: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    z0: Tensor,
    z1: Tensor,
    *,
    interpolate: Callable[[Tensor, Tensor, Tensor], Tensor] = slerp,
    epsilon: float = 1e-4,
    discard: float = 0.01,
    batch_size: int = 100,
    generator: torch.Generator | None = None,
) -> PathLength:
    """How fast images change along paths through the latent space: E[d(g(z_t), g(z_t+ε)) / ε²], t uniform.

    Source: Karras et al., "A style-based generator architecture for generative adversarial networks", 2019,
    equations 2 and 3; like its code, the most extreme paths are left out of mean and deviation.

    Args:
        decode: g, codes (B, d) to images.
        distance: d, two batches of images to (B,); it should grow with the square of a small change.
        z0, z1: the ends of the paths, (n, d) each.
        interpolate: `slerp` for normal codes, `lerp` for others: (z0, z1, t (B,)) to (B, d).
        epsilon: ε > 0.
        discard: the share of paths left out at either end, in [0, 0.5).
        generator: draws t, on the device of z0; None: torch's own.

    Raises:
        ValueError: ends of different shapes, no paths, numbers out of range, or distances that are not finite (B,).
    """
    if z0.ndim != 2 or z0.shape != z1.shape or not len(z0):
        raise ValueError(f"z0 {tuple(z0.shape)} and z1 {tuple(z1.shape)} must be (n, d) alike, n ≥ 1")
    if not (epsilon > 0 and 0 <= discard < 0.5 and batch_size >= 1):
        raise ValueError(
            f"epsilon={epsilon} must be above 0, discard={discard} in [0, 0.5), batch_size={batch_size} at least 1"
        )
    t = torch.rand(len(z0), generator=generator, device=z0.device, dtype=z0.dtype)
    parts = []
    for a, b, s in zip(z0.split(batch_size), z1.split(batch_size), t.split(batch_size), strict=True):
        moved = distance(decode(interpolate(a, b, s)), decode(interpolate(a, b, s + epsilon)))
        if moved.shape != s.shape or not moved.isfinite().all():
            got = str(tuple(moved.shape)) if moved.shape != s.shape else "NaN or infinity"
            raise ValueError(f"distance must return finite numbers ({len(s)},), not {got}")
        parts.append(widest(moved) / epsilon**2)
    each = torch.cat(parts)
    low, high = (
        each.quantile(discard, interpolation="lower"),
        each.quantile(1 - discard, interpolation="higher"),
    )
    kept = each[(each >= low) & (each <= high)]
    return PathLength(kept.mean().item(), kept.std(correction=0).item(), each)


def auroc(*, normal: Tensor, anomalous: Tensor) -> float:
    """The area under the ROC curve of an anomaly score: the chance that an anomalous sample scores above a normal
    one, ties counted as one half. 0.5 is guessing.

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve", 1982.

    Args:
        normal, anomalous: scores (N,) and (M,), higher for what looks more anomalous.

    Raises:
        ValueError: not one row of numbers each, none at all, or NaN.
    """
    for name, scores in (("normal", normal), ("anomalous", anomalous)):
        if scores.ndim != 1 or not len(scores) or scores.isnan().any():
            raise ValueError(f"{name} must be scores (N,), N ≥ 1, without NaN, not {tuple(scores.shape)}")
    ordered = widest(normal).sort().values
    anomalous = widest(anomalous).to(ordered.device)
    below = torch.searchsorted(ordered, anomalous)  # how many normal scores are smaller …
    up_to = torch.searchsorted(ordered, anomalous, right=True)  # … or smaller or equal
    return ((below + up_to).double().mean() / (2 * len(ordered))).item()


# ------------------------------------------------------------------------------------------------- checks


def _pair(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets of features, checked, on one device."""
    check_features("real features", real)
    check_features("fake features", fake)
    _same_width(real[0], fake[0])
    return real, fake.to(real.device)


def _same_width(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"the features differ in width: {len(a)} and {len(b)}; use one extractor for both")
