"""Precision and recall, density and coverage: how the two sets lie among each other's neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from course_utils.inputs import check_whole, widest
from course_utils.metrics.score import pair


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
    real, fake = pair(real, fake)
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
    real, fake = pair(real, fake)
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
    check_whole(k=k)
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
