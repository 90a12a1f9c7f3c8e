"""The metrics against torchmetrics, torch-fidelity and prdc on the same features, and against known answers.

Where a peer loses digits itself (a root of a singular covariance, sums that cancel, float32 inside), the reference is
a closed form, fractions or mpmath instead. The neighbour search is compared with a plain float64 loop.
"""

import functools
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction

import mpmath
import numpy as np
import prdc
import pytest
import torch
import torchmetrics.functional.image
import torchmetrics.image
from scipy import linalg, stats
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from course_utils import metrics
from course_utils.metrics import (
    FeatureStatistics,
    auroc,
    density_coverage,
    fid,
    frechet_distance,
    inception_score,
    kernel_inception_distance,
    manifold,
    perceptual_path_length,
    precision_recall,
)
from course_utils.nets import lerp


def features(n: int, d: int, *, number: int = 0, offset: float = 0.0) -> np.ndarray:
    """Features of different spreads that depend on each other: float64 (n, d)."""
    rng = np.random.default_rng(number)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + offset * rng.normal(size=d)


def pair(n: int, m: int, d: int, *, offset: float = 0.0, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Real and fake features that overlap: float64 (n, d) and (m, d)."""
    rng = np.random.default_rng(n + m + d)
    turn = rng.normal(size=(d, d)) / math.sqrt(d)
    real = rng.normal(size=(n, d)) @ turn + offset
    fake = 0.9 * rng.normal(size=(m, d)) @ turn + 0.1 * rng.normal(size=d) + offset
    return torch.from_numpy(scale * real), torch.from_numpy(scale * fake)


def of(f: np.ndarray) -> FeatureStatistics:
    return FeatureStatistics.of(torch.from_numpy(f))


def gaussian(mean: np.ndarray, cov: np.ndarray) -> FeatureStatistics:
    return FeatureStatistics(torch.from_numpy(mean), torch.from_numpy(cov))


def close(a: object, b: object, tolerance: float = 1e-12) -> None:
    """Equal up to a share of the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max()))


def same(ours: float, theirs: float, *, peer: str, tolerance: float) -> None:
    """Equal up to a share of the peer's value."""
    assert ours == pytest.approx(float(theirs), rel=tolerance, abs=0), peer


class Features(nn.Identity):
    """What torchmetrics takes for a network: the features themselves."""

    def __init__(self, d: int):
        super().__init__()
        self.num_features = d


both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
quiet = pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features:UserWarning")


# ------------------------------------------------------------------------------------------ Inception Score


def shuffled(y: Tensor, splits: int) -> Tensor:
    """The rows in the order that a generator of seed 0 gives them; a single part is left as it is."""
    return y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))] if splits > 1 else y


def logits(n: int, classes: int, *, scale: float = 2.0) -> Tensor:
    return torch.from_numpy(scale * np.random.default_rng(classes).normal(size=(n, classes)))


@both_precisions
@pytest.mark.parametrize("scale", [0.01, 1, 10], ids="scale {}".format)
@pytest.mark.parametrize(("n", "classes", "splits"), [(600, 10, 1), (600, 10, 10), (60, 100, 4), (30, 7, 30)])
def test_inception_score_is_that_of_torch_fidelity(
    n: int, classes: int, splits: int, scale: float, dtype: torch.dtype
) -> None:
    y = logits(n, classes, scale=scale)
    ours = inception_score(y.softmax(dim=1).to(dtype), splits, generator=torch.Generator().manual_seed(0))
    # Their parts are runs of rows, ours every splits-th row of the shuffled ones.
    mixed = shuffled(y, splits)
    in_runs = torch.cat([mixed[i::splits] for i in range(splits)])
    theirs = isc_features_to_metric(in_runs, splits, shuffle=False)
    same(ours.mean, theirs["inception_score_mean"], peer="torch-fidelity IS", tolerance=1e-6)
    assert ours.std == pytest.approx(theirs["inception_score_std"], rel=1e-5, abs=1e-9)


@quiet
@pytest.mark.parametrize(("n", "splits"), [(500, 1), (500, 10), (96, 4)])
def test_inception_score_is_that_of_torchmetrics(
    n: int, splits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = logits(n, 20)
    peer = torchmetrics.image.InceptionScore(Features(20), splits=splits)
    ours = inception_score(y.softmax(dim=1), splits, generator=torch.Generator().manual_seed(0))
    mixed = shuffled(y, splits)
    peer.update(torch.cat([mixed[i::splits] for i in range(splits)]))
    monkeypatch.setattr(torch, "randperm", lambda n: torch.arange(n))  # it shuffles without a seed
    with warnings.catch_warnings(action="ignore"):  # the deviation of one part
        mean, std = peer.compute()
    same(ours.mean, mean, peer="torchmetrics IS", tolerance=1e-12)
    if splits > 1:  # theirs has splits - 1 in the denominator
        assert ours.std == pytest.approx(std.item() * math.sqrt((splits - 1) / splits), rel=1e-9)


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_certain_and_balanced_images_score_the_number_of_classes(classes: int) -> None:
    certain = torch.eye(classes).repeat(3, 1)
    assert inception_score(certain, splits=1) == pytest.approx((classes, 0), rel=1e-12)


@pytest.mark.parametrize("splits", [1, 2, 10])
def test_images_that_say_nothing_score_one(splits: int) -> None:
    assert inception_score(torch.full((40, 5), 0.2), splits) == pytest.approx((1, 0), abs=1e-7)


def test_images_of_a_single_class_score_one() -> None:
    assert inception_score(torch.eye(10)[[4] * 50]).mean == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("order", ["0, 0, …, 1, 1, …", "0, 1, …, 9, 0, 1, …"])
@pytest.mark.parametrize("splits", [5, 10])
def test_the_order_of_the_images_does_no_harm(order: str, splits: int) -> None:
    certain = (
        torch.eye(10).repeat_interleave(500, dim=0)
        if order.startswith("0, 0")
        else torch.eye(10).repeat(500, 1)
    )
    # Of 500 images a part the classes are nearly balanced: exp of their entropy is off by about 9 / 2 n of itself.
    for score in (
        inception_score(certain, splits),
        inception_score(certain, splits, generator=torch.Generator()),
    ):
        assert score.mean == pytest.approx(10 * (1 - 4.5 * splits / 5000), rel=0.01)
        assert score.std < 0.1


def test_the_shuffle_follows_its_generator() -> None:
    probs = logits(60, 5).softmax(dim=1)

    def score(number: int) -> tuple[float, float]:
        return inception_score(probs, 4, generator=torch.Generator().manual_seed(number))

    assert score(1) == score(1)
    assert score(1) != score(2)
    torch.manual_seed(1)  # None is torch's own state
    assert inception_score(probs, 4) == score(1)


def test_the_score_of_parts_that_differ() -> None:
    """Four images, two parts: with whom the third one is, decides. exp of the entropies by hand."""
    rows = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    scores = {inception_score(rows, 2, generator=torch.Generator().manual_seed(k)) for k in range(20)}
    # Either both parts hold both classes, or each holds one.
    assert {tuple(round(value, 9) for value in score) for score in scores} == {(2, 0), (1, 0)}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.full((5, 4), 0.3), "probs must be probabilities"),
        (torch.randn(5, 4), "probs must be probabilities"),  # logits
        (torch.tensor([[1.5, -0.5]]), "probs must be probabilities"),
        (torch.tensor([[0.5, float("nan")]]), "probs hold NaN or infinity"),
        (torch.tensor([[0.5, float("inf")]]), "probs hold NaN or infinity"),
        (torch.tensor([0.5, 0.5]), r"probs must be float \(N, d\)"),
        (torch.zeros(0, 4), r"probs must be float \(N, d\)"),
        (torch.eye(4).long(), r"probs must be float \(N, d\), N ≥ 1, not torch.int64 \(4, 4\)"),
    ],
)
def test_what_are_no_probabilities_is_refused(bad: Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        inception_score(bad, splits=1)


@pytest.mark.parametrize("splits", [-1, 0, 6])
def test_more_parts_than_images_are_refused(splits: int) -> None:
    with pytest.raises(ValueError, match=f"splits={splits} must lie in 1 … 5"):
        inception_score(torch.eye(5), splits)


# -------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(("n", "d"), [(2, 1), (50, 7), (5, 20), (1000, 64)])
def test_mean_and_covariance_are_those_of_numpy(n: int, d: int) -> None:
    f = features(n, d, offset=3)
    statistics = of(f)
    assert statistics.mean.dtype == statistics.covariance.dtype == torch.float64
    close(statistics.mean, f.mean(axis=0))
    close(statistics.covariance, np.atleast_2d(np.cov(f.T)))


def test_a_large_mean_costs_no_digits() -> None:
    f = features(1000, 3)
    far = f + 1e6  # a sum of squares would keep four digits of the covariance
    close(of(far).covariance, np.cov(f.T), 1e-8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sums_are_in_float64_whatever_the_features(dtype: torch.dtype, device: torch.device) -> None:
    if device.type == "mps" and dtype == torch.float64:
        pytest.skip("no float64 on this accelerator")
    f = torch.from_numpy(features(3000, 5, offset=4)).to(device, dtype)
    before = f.clone()
    statistics = FeatureStatistics.of(f)
    exact = before.cpu().double().numpy()
    close(statistics.mean.cpu(), exact.mean(axis=0))
    close(statistics.covariance.cpu(), np.cov(exact.T))
    assert torch.equal(f, before)


def test_the_covariance_is_symmetric_and_positive() -> None:
    covariance = of(features(13, 30, offset=9)).covariance
    assert torch.equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-10 * covariance.abs().max()


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(5),
        torch.zeros(5, 3, 2),
        torch.zeros(0, 3),
        torch.zeros(5, 3, dtype=torch.int64),
        torch.zeros(5, 3, dtype=torch.uint8),
        torch.zeros(5, 3, dtype=torch.complex64),
        torch.tensor(1.0),
    ],
    ids=lambda bad: f"{bad.dtype} {tuple(bad.shape)}",
)
def test_what_is_no_table_of_features_is_refused(bad: Tensor) -> None:
    with pytest.raises(ValueError, match=r"features must be float \(N, d\)"):
        FeatureStatistics.of(bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused(bad: float) -> None:
    f = torch.zeros(5, 3)
    f[4, 2] = bad
    with pytest.raises(ValueError, match="features hold NaN or infinity"):
        FeatureStatistics.of(f)


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="2 samples, not 1"):
        of(features(1, 3))


def test_statistics_stay_on_the_device_of_the_features(device: torch.device) -> None:
    f = torch.from_numpy(features(50, 6)).float().to(device)
    statistics = FeatureStatistics.of(f)
    if device.type != "mps":  # which has no float64
        assert statistics.mean.device.type == statistics.covariance.device.type == device.type
    close(statistics.covariance.cpu(), np.cov(f.cpu().double().numpy().T))


# -------------------------------------------------------------------------------------- Fréchet distance


@pytest.mark.parametrize("d", [1, 2, 10, 64])
def test_the_distance_is_that_of_scipy_s_square_root(d: int) -> None:
    f, g = features(4 * d + 9, d, offset=1), features(3 * d + 9, d, number=1)
    a, b = (np.atleast_2d(np.cov(x.T)) for x in (f, g))
    cross = np.trace(linalg.sqrtm(a @ b)).real
    expected = ((f.mean(axis=0) - g.mean(axis=0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * cross
    assert frechet_distance(of(f), of(g)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("d", [1, 5, 30])
def test_the_distance_of_commuting_gaussians(d: int) -> None:
    rng = np.random.default_rng(d)
    axes = stats.ortho_group.rvs(d, random_state=0) if d > 1 else np.eye(1)
    s, t = rng.uniform(0.1, 3, (2, d))  # standard deviations along common axes
    mean, other = rng.normal(size=(2, d))
    a, b = gaussian(mean, axes @ np.diag(s**2) @ axes.T), gaussian(other, axes @ np.diag(t**2) @ axes.T)
    expected = ((mean - other) ** 2).sum() + ((s - t) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_the_distance_of_gaussians_that_are_alike_along_the_wide_axes() -> None:
    """Cholesky succeeds here, but of the roots of eigenvalues only three digits are right."""
    axes, alike = stats.ortho_group.rvs(60, random_state=0), np.ones(20)
    s, t = np.r_[alike, np.full(40, 1e-5)], np.r_[alike, np.full(40, 1e-3)]
    a, b = (gaussian(np.zeros(60), axes @ np.diag(widths**2) @ axes.T) for widths in (s, t))
    assert frechet_distance(a, b) == pytest.approx(((s - t) ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(5, 9, 40), (2, 2, 10), (3, 200, 64), (30, 20, 64)])
def test_the_distance_of_singular_covariances(n: int, m: int, d: int) -> None:
    f, g = features(n, d, offset=1), features(m, d, number=1)
    centred = [(x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (f, g)]
    cross = linalg.svdvals(centred[0] @ centred[1].T).sum()  # the trace of the root, without a root
    expected = ((f.mean(axis=0) - g.mean(axis=0)) ** 2).sum() + sum((x**2).sum() for x in centred) - 2 * cross
    assert frechet_distance(of(f), of(g)) == pytest.approx(expected, rel=1e-6)


def test_between_points_the_distance_is_that_of_the_points() -> None:
    at, other = np.array([1.0, 2.0]), np.array([4.0, 6.0])
    still = np.zeros((2, 2))
    assert frechet_distance(gaussian(at, still), gaussian(other, still)) == pytest.approx(25)


@pytest.mark.parametrize(("n", "d"), [(200, 8), (5, 40), (2, 3)])
def test_the_distance_to_oneself_is_zero(n: int, d: int) -> None:
    statistics = of(features(n, d, offset=10))
    size = statistics.covariance.trace().item()
    assert 0 <= frechet_distance(statistics, statistics) < 1e-6 * size


@pytest.mark.parametrize(("n", "d"), [(200, 8), (5, 40)])
def test_the_distance_is_symmetric_and_never_negative(n: int, d: int) -> None:
    sets = [of(features(n + k, d, number=k, offset=0.1)) for k in range(4)]
    for a in sets:
        for b in sets:
            there, back = frechet_distance(a, b), frechet_distance(b, a)
            assert there == pytest.approx(back, rel=1e-6, abs=1e-4)
            assert there >= 0


def test_turning_and_moving_both_changes_nothing() -> None:
    f, g = features(100, 6, offset=1), features(90, 6, number=1)
    turn = stats.ortho_group.rvs(6, random_state=1)
    before, after = frechet_distance(of(f), of(g)), frechet_distance(of(f @ turn + 7), of(g @ turn + 7))
    assert after == pytest.approx(before, rel=1e-9)
    assert frechet_distance(of(3 * f), of(3 * g)) == pytest.approx(9 * before, rel=1e-9)


def test_the_root_of_the_distance_obeys_the_triangle_inequality() -> None:
    sets = [of(features(50, 5, number=k, offset=1)) for k in range(6)]
    away = [[frechet_distance(a, b) ** 0.5 for b in sets] for a in sets]
    for i in range(6):
        for j in range(6):
            for k in range(6):
                assert away[i][k] <= away[i][j] + away[j][k] + 1e-6


def test_samples_of_one_gaussian_come_close_as_they_grow() -> None:
    def distance(n: int) -> float:
        return frechet_distance(*(of(np.random.default_rng(k).normal(size=(n, 4))) for k in range(2)))

    assert distance(100_000) < 1e-3 < distance(100)


@pytest.mark.parametrize("other", [1, 4])
def test_different_widths_have_no_distance(other: int) -> None:
    with pytest.raises(ValueError, match=f"3 and {other}"):
        frechet_distance(of(features(9, 3)), of(features(9, other)))


def torchmetrics_fid(real: Tensor, fake: Tensor) -> float:
    peer = torchmetrics.image.FrechetInceptionDistance(Features(real.shape[1]))
    peer.update(real.double(), real=True)
    peer.update(fake.double(), real=False)
    return peer.compute().item()


def fidelity_fid(real: Tensor, fake: Tensor) -> float:
    a, b = (fid_features_to_statistics(f.double()) for f in (real, fake))
    return fid_statistics_to_metric(a, b, verbose=False)["frechet_inception_distance"]


@both_precisions
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6], ids="scale {}".format)
@pytest.mark.parametrize(("n", "m", "d"), [(500, 400, 8), (300, 300, 64), (40, 500, 3)])
def test_fid_is_that_of_the_peers(n: int, m: int, d: int, scale: float, dtype: torch.dtype) -> None:
    real, fake = (f.to(dtype) for f in pair(n, m, d, scale=scale))
    ours = fid(real=real, fake=fake)
    same(ours, torchmetrics_fid(real, fake), peer="torchmetrics FID", tolerance=1e-9)
    same(ours, fidelity_fid(real, fake), peer="torch-fidelity FID", tolerance=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 64), (5, 500, 64), (20, 20, 50)])
def test_fid_of_few_images_is_that_of_the_peers_to_six_digits(n: int, m: int, d: int) -> None:
    # They take the root of eigenvalues that are rounding, 1e-16 each; the closed form below goes further.
    real, fake = pair(n, m, d)
    ours = fid(real=real, fake=fake)
    same(ours, torchmetrics_fid(real, fake), peer="torchmetrics FID, N < d", tolerance=1e-6)
    same(ours, fidelity_fid(real, fake), peer="torch-fidelity FID, N < d", tolerance=1e-6)


def nuclear_fid(real: Tensor, fake: Tensor) -> float:
    """From the centred features themselves, without a covariance: tr (Σ_a Σ_b)^½ = ‖X Yᵀ‖_* / √((n-1)(m-1))."""
    x, y = real.double().numpy(), fake.double().numpy()
    apart = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    x, y = ((f - f.mean(axis=0)) / math.sqrt(len(f) - 1) for f in (x, y))
    return apart + (x**2).sum() + (y**2).sum() - 2 * linalg.svdvals(x @ y.T).sum()


@both_precisions
@pytest.mark.parametrize("offset", [0, 100, 1e4], ids="offset {}".format)
@pytest.mark.parametrize(
    "case", ["N > d", "N < d", "one set of low rank", "both of low rank", "dead features"]
)
def test_fid_keeps_its_digits_where_a_covariance_is_singular(
    case: str, offset: float, dtype: torch.dtype
) -> None:
    real, fake = pair(40, 30, 64) if case == "N < d" else pair(300, 200, 32)
    if "rank" in case:
        real[:, 4:] = real[:, :4] @ torch.randn(4, 28, generator=torch.Generator().manual_seed(0)).double()
    if case == "both of low rank":
        fake[:, 6:] = fake[:, :6] @ torch.ones(6, 26).double()
    if case == "dead features":
        real[:, ::2] = 0
        fake[:, ::3] = 0
    real, fake = (real + offset).to(dtype), (fake + offset).to(dtype)
    # Of low rank and rounded to float32, the rest of the spectrum is 1e-15 of its largest: as good as rounding.
    tolerance = 1e-7 if "rank" in case and dtype == torch.float32 else 1e-9
    same(fid(real=real, fake=fake), nuclear_fid(real, fake), peer=f"closed form, {case}", tolerance=tolerance)


@pytest.mark.parametrize("condition", [1e2, 1e8, 1e12])
def test_fid_of_an_ill_conditioned_covariance(condition: float) -> None:
    d = 6
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(d, d)) * np.geomspace(1, condition**-0.5, d) for _ in range(2))
    with mpmath.workdps(60):
        exact = [mpmath.matrix(x) * mpmath.matrix(x).T for x in (a, b)]
        roots = [mpmath.sqrt(abs(value)) for value in mpmath.eig(exact[0] * exact[1], right=False)]
        expected = sum(exact[0][i, i] + exact[1][i, i] for i in range(d)) - 2 * sum(roots)
    ours = frechet_distance(*(gaussian(np.zeros(d), x @ x.T) for x in (a, b)))
    same(ours, float(expected), peer="mpmath FID", tolerance=1e-7)


@pytest.mark.parametrize(("n", "d"), [(300, 10), (20, 64), (2, 5)])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_fid_of_a_set_with_itself_is_zero(n: int, d: int, offset: float) -> None:
    real, _ = pair(n, n, d, offset=offset)
    size = real.var(dim=0).sum().item()
    assert 0 <= fid(real=real, fake=real.clone()) < 1e-12 * size
    assert 0 <= fid(real=real, fake=real.flip(0)) < 1e-11 * size
    assert 0 <= fid(real=real.float(), fake=real.float()) < 1e-12 * size


def test_fid_of_gaussians_far_apart_is_the_distance_of_their_means() -> None:
    real, _ = pair(100, 100, 5)
    shift = torch.tensor([3.0, 0, -4, 0, 0]).double()
    assert fid(real=real, fake=real + shift) == pytest.approx(25, rel=1e-12)
    assert fid(real=real, fake=2 * (real - real.mean(dim=0)) + real.mean(dim=0)) == pytest.approx(
        real.var(dim=0).sum().item(), rel=1e-12
    )


@pytest.mark.parametrize("metric", [fid, kernel_inception_distance, precision_recall, density_coverage])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.zeros(9), r"fake features must be float \(N, d\)"),
        (torch.zeros(9, 3, 1), r"fake features must be float \(N, d\)"),
        (torch.zeros(0, 3), r"fake features must be float \(N, d\)"),
        (torch.zeros(9, 3, dtype=torch.uint8), r"fake features must be float .* torch.uint8 \(9, 3\)"),
        (torch.zeros(9, 3, dtype=torch.int64), r"fake features must be float .* torch.int64 \(9, 3\)"),
        (torch.full((9, 3), float("nan")), "fake features hold NaN or infinity"),
        (torch.full((9, 3), -float("inf")), "fake features hold NaN or infinity"),
        (torch.zeros(9, 4), "differ in width: 3 and 4"),
    ],
    ids=lambda value: f"{value.dtype} {tuple(value.shape)} {value.sum()}" if torch.is_tensor(value) else "",
)
def test_bad_features_are_refused(metric: Callable[..., object], bad: Tensor, says: str) -> None:
    good = torch.from_numpy(features(9, 3)).float()
    with pytest.raises(ValueError, match=says):
        metric(real=good, fake=bad)
    if "width" not in says:
        with pytest.raises(ValueError, match=says.replace("fake", "real")):
            metric(real=bad, fake=good)


def test_fid_needs_two_images() -> None:
    real, fake = pair(9, 1, 3)
    with pytest.raises(ValueError, match="at least 2 samples, not 1"):
        fid(real=real, fake=fake)


# --------------------------------------------------------------------------------- Kernel Inception Distance


def fidelity_kid(real: Tensor, fake: Tensor, size: int) -> float:
    scores = kid_features_to_metric(
        real.double(), fake.double(), kid_subsets=1, kid_subset_size=size, verbose=False
    )
    return scores["kernel_inception_distance_mean"]


def torchmetrics_kid(real: Tensor, fake: Tensor, size: int) -> float:
    peer = torchmetrics.image.KernelInceptionDistance(Features(real.shape[1]), subsets=1, subset_size=size)
    peer.update(real.double(), real=True)
    peer.update(fake.double(), real=False)
    return peer.compute()[0].item()


@quiet
@both_precisions
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3], ids="scale {}".format)
@pytest.mark.parametrize(("n", "d"), [(200, 8), (50, 300), (2, 5)])
def test_kid_is_that_of_the_peers(n: int, d: int, scale: float, dtype: torch.dtype) -> None:
    real, fake = (f.to(dtype) for f in pair(n, n, d, offset=1.5, scale=scale))
    ours = kernel_inception_distance(real=real, fake=fake, subsets=3, subset_size=n)  # all, in another order
    assert ours.std == pytest.approx(0, abs=1e-9 * abs(ours.mean) + 1e-12)
    same(ours.mean, torchmetrics_kid(real, fake, n), peer="torchmetrics KID", tolerance=1e-6)
    same(ours.mean, fidelity_kid(real, fake, n), peer="torch-fidelity KID", tolerance=1e-6)


@pytest.mark.parametrize("offset", [0, 1000], ids="offset {}".format)
def test_kid_is_that_of_fractions(offset: int) -> None:
    # With a large offset the kernels cancel to the ninth digit; fractions lose none.
    m, d = 7, 3
    x, y = np.random.default_rng(0).integers(-9, 9, (2, m, d)) + offset

    def kernel(a: np.ndarray, b: np.ndarray) -> Fraction:
        return (Fraction(int((a * b).sum()), d) + 1) ** 3

    within = [sum(kernel(f[i], f[j]) for i in range(m) for j in range(m) if i != j) for f in (x, y)]
    across = sum(kernel(a, b) for a in x for b in y)
    expected = sum(within) / (m * (m - 1)) - 2 * across / m**2
    ours = kernel_inception_distance(
        real=torch.from_numpy(x).float(), fake=torch.from_numpy(y).float(), subsets=1, subset_size=m
    )
    same(ours.mean, float(expected), peer="fractions KID", tolerance=1e-8)


@quiet
def test_kid_of_equal_sets_is_that_of_the_peers_and_negative() -> None:
    real, _ = pair(80, 80, 6)
    ours = kernel_inception_distance(real=real, fake=real, subsets=1, subset_size=80).mean
    same(ours, torchmetrics_kid(real, real, 80), peer="torchmetrics KID, equal sets", tolerance=1e-6)
    same(ours, fidelity_kid(real, real, 80), peer="torch-fidelity KID, equal sets", tolerance=1e-6)
    assert ours < 0  # without bias, so below 0 where the samples are the same ones


def test_kid_has_no_bias() -> None:
    rng = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, 2000, 4, generator=rng)
    score = kernel_inception_distance(real=real, fake=fake, subsets=400, subset_size=20, generator=rng)
    assert abs(score.mean) < 4 * score.std / math.sqrt(400)  # with the pairs of a point with itself it is 0.3
    assert score.std > 0.1


def test_kid_draws_without_replacement() -> None:
    values = torch.tensor([[0.0], [10.0], [100.0]])
    score = kernel_inception_distance(real=values, fake=values, subsets=50, subset_size=3)
    assert score.std == pytest.approx(0, abs=1e-9 * abs(score.mean))


def test_the_spread_of_kid_is_that_over_its_subsets() -> None:
    # Of three points there are three pairs, and of equal points one: the score takes three values.
    real, fake = torch.tensor([[0.0], [1], [2]]), torch.tensor([[5.0], [5], [5]])
    draw = torch.Generator().manual_seed(0)
    score = kernel_inception_distance(real=real, fake=fake, subsets=3000, subset_size=2, generator=draw)

    def mmd2(a: float, b: float) -> float:
        return (a * b + 1) ** 3 + 26**3 - (5 * a + 1) ** 3 - (5 * b + 1) ** 3

    values = [mmd2(0, 1), mmd2(0, 2), mmd2(1, 2)]
    assert score.mean == pytest.approx(np.mean(values), rel=0.01)
    assert score.std == pytest.approx(np.std(values), rel=0.03)


def test_kid_draws_from_the_generator() -> None:
    real, fake = pair(60, 50, 4)

    def score(generator: torch.Generator | None) -> tuple[float, float]:
        return kernel_inception_distance(real=real, fake=fake, subsets=5, subset_size=20, generator=generator)

    generator = torch.Generator().manual_seed(5)
    first, second = score(generator), score(generator)
    assert first != second
    assert score(torch.Generator().manual_seed(5)) == first
    torch.manual_seed(5)  # None is torch's own state
    assert (score(None), score(None)) == (first, second)


def test_the_spread_of_two_subsets_is_half_their_difference() -> None:
    real, fake = pair(60, 50, 4)
    score = functools.partial(kernel_inception_distance, real=real, fake=fake, subset_size=20)
    generator = torch.Generator().manual_seed(5)
    one, other = (score(subsets=1, generator=generator).mean for _ in range(2))
    both = score(subsets=2, generator=torch.Generator().manual_seed(5))
    assert both == pytest.approx(((one + other) / 2, abs(one - other) / 2), rel=1e-12)


@pytest.mark.parametrize("size", [-1, 0, 1, 10])
def test_a_subset_that_cannot_be_drawn_is_refused(size: int) -> None:
    real, fake = pair(20, 9, 3)
    with pytest.raises(ValueError, match=f"subset_size={size} must lie in 2 … 9"):
        kernel_inception_distance(real=real, fake=fake, subset_size=size)
    with pytest.raises(ValueError, match="subsets=0 must be a whole number of at least 1"):
        kernel_inception_distance(real=real, fake=fake, subset_size=9, subsets=0)


# -------------------------------------------------------------- precision and recall, density and coverage


def all_four(real: Tensor, fake: Tensor, k: int) -> tuple[float, ...]:
    """Precision, recall, density and coverage."""
    return (
        *precision_recall(real=real, fake=fake, k=k),
        *density_coverage(real=real, fake=fake, k=k),
    )


def by_hand(real: Tensor, fake: Tensor, k: int) -> tuple[float, ...]:
    """The same from the papers' equations, in float64 from the differences, pair by pair."""
    x, y = real.double().numpy(), fake.double().numpy()

    def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.stack([((row - b) ** 2).sum(axis=1) for row in a])

    def radii(a: np.ndarray) -> np.ndarray:
        return np.array([np.sort(np.delete(row, i))[k - 1] for i, row in enumerate(squared(a, a))])

    across = squared(x, y)
    in_real, in_fake = across <= radii(x)[:, None], across <= radii(y)[None]
    return (
        in_real.any(axis=0).mean(),
        in_fake.any(axis=1).mean(),
        in_real.sum() / (k * len(y)),
        in_real.any(axis=1).mean(),
    )


@both_precisions
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(
    ("n", "m", "d", "offset", "scale"),
    [
        (300, 200, 6, 0, 1),
        (150, 250, 2, 0, 1),
        (40, 60, 200, 0, 1),  # N < d
        (200, 200, 5, 100, 1),
        (200, 200, 5, 0, 1e-6),
        (200, 200, 5, 0, 1e6),
    ],
)
def test_neighbours_are_those_of_the_peers(
    n: int, m: int, d: int, offset: float, scale: float, k: int, dtype: torch.dtype
) -> None:
    real, fake = (f.to(dtype).double() for f in pair(n, m, d, offset=offset, scale=scale))
    ours = all_four(real.to(dtype), fake.to(dtype), k)
    theirs = prdc.compute_prdc(real.numpy(), fake.numpy(), k)
    for value, name in zip(ours, ("precision", "recall", "density", "coverage"), strict=True):
        same(value, theirs[name], peer=f"prdc {name}", tolerance=1e-12)
    for save in (False, True):
        other = prc_features_to_metric(
            fake, real, prc_neighborhood=k, prc_batch_size=100, save_cpu_ram=save, verbose=False
        )
        for value, name in zip(ours[:2], ("precision", "recall"), strict=True):  # their mean is in float32
            same(value, other[name], peer=f"torch-fidelity {name}", tolerance=1e-6)


def grid(*shape: int, high: int, number: int = 0) -> Tensor:
    """Whole numbers 0 … high - 1, as float64: their squares add up exactly, in any order."""
    return torch.from_numpy(np.random.default_rng(number).integers(0, high, shape)).double()


def adversaries() -> Iterator[tuple[str, Tensor, Tensor]]:
    yield "ties and copies", grid(150, 4, high=3).float(), grid(120, 4, high=3, number=1).float()
    yield "mostly one point", grid(150, 40, high=2).cumprod(1), grid(120, 40, high=2, number=1).cumprod(1)
    step = 2.0**-10  # of float32 at 1e4: ten steps are a spread of 1e-2
    yield (
        "far away",
        (1e4 + step * grid(150, 9, high=10)).float(),
        1e4 + step * grid(90, 9, high=10, number=1),
    )
    two = 2.0**13 * (2 * grid(160, 1, high=2, number=2) - 1)  # no centre is near both
    yield (
        "two far clusters",
        (two + step * grid(160, 5, high=9)).float(),
        (two + step * grid(160, 5, high=9)) * -1,
    )
    # Distances that differ in the tenth digit, so in none of float32.
    shell = torch.eye(60).double() * (1 + grid(60, 1, high=1000) * 2.0**-30)
    yield "near ties", shell, torch.cat([0.75 * shell[:30], shell[30:] * (1 - 2.0**-32)])
    real, fake = pair(150, 150, 300)
    yield "wide", real.float(), fake.float()
    yield "one feature", grid(100, 1, high=10**6), grid(130, 1, high=10**6, number=1)
    yield "tiny", 1e-12 * real[:, :7], (1e-12 * fake[:, :7]).float()
    yield "huge", 1e12 * real[:, :7], (1e12 * fake[:, :7]).float()
    yield "an outlier", torch.cat([real[:, :4], torch.full((1, 4), 1e9).double()]), fake[:, :4].float()


@pytest.mark.parametrize("k", [1, 3, 40])
@pytest.mark.parametrize(("real", "fake"), [pytest.param(a, b, id=name) for name, a, b in adversaries()])
def test_neighbours_are_those_of_a_plain_loop(real: Tensor, fake: Tensor, k: int) -> None:
    assert all_four(real, fake, k) == pytest.approx(by_hand(real, fake, k), rel=1e-12, abs=0)
    assert all_four(fake, real, k) == pytest.approx(by_hand(fake, real, k), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    "scale",
    [
        1e-30,
        1e-22,
        1e-15,
        1e15,
        1e20,
        1e60,
    ],
)
def test_no_scale_of_the_features_is_too_small_or_too_large(scale: float) -> None:
    real, fake = pair(60, 50, 8, scale=scale)
    assert all_four(real, fake, 3) == pytest.approx(by_hand(real, fake, 3), rel=1e-12, abs=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("offset", [0, 100], ids="offset {}".format)
def test_features_of_half_precision_are_taken_as_they_are(dtype: torch.dtype, offset: float) -> None:
    real, fake = (f.to(dtype) for f in pair(200, 150, 8, offset=offset))
    assert all_four(real, fake, 3) == pytest.approx(by_hand(real, fake, 3), rel=1e-12, abs=0)
    assert fid(real=real, fake=fake) == pytest.approx(nuclear_fid(real, fake), rel=1e-9)


@pytest.mark.parametrize("block", [1, 100, 350, 10_000])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("far away", "ties and copies", "wide")
    sets = [(real[:60], fake[:50]) for name, real, fake in adversaries() if name in names]
    whole = [all_four(real, fake, 3) for real, fake in sets]
    monkeypatch.setattr(manifold, "BLOCK", block)
    assert [all_four(real, fake, 3) for real, fake in sets] == whole


def test_features_far_from_zero_need_no_more_work(monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    exact = manifold._Distances.exact

    def count(self: manifold._Distances, i: Tensor, j: Tensor) -> Tensor:
        again.append(len(i))
        return exact(self, i, j)

    monkeypatch.setattr(manifold._Distances, "exact", count)
    for offset in (0, 1000):
        real, fake = (f.float() for f in pair(500, 400, 16, offset=offset))
        again.clear()
        all_four(real, fake, 3)
        assert sum(again) < 0.1 * (500 * 500 + 400 * 400 + 500 * 400)  # of all the distances


@pytest.mark.parametrize("precision", ["medium", "high"])
def test_what_the_caller_allows_matrix_products_changes_nothing(precision: str, device: torch.device) -> None:
    real, fake = (f.float().to(device) for f in pair(400, 300, 500))
    before = torch.get_float32_matmul_precision()
    expected = all_four(real, fake, 3)

    def kid_of_both() -> tuple[float, float]:
        draw = torch.Generator().manual_seed(0)
        return kernel_inception_distance(real=real, fake=fake, subset_size=300, subsets=10, generator=draw)

    try:
        torch.set_float32_matmul_precision(precision)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            assert all_four(real, fake, 3) == expected
            assert (real @ real.T).dtype == torch.bfloat16  # still on
            kid = kid_of_both()
            distance = fid(real=real, fake=fake)
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert kid == kid_of_both()
    assert distance == fid(real=real, fake=fake)


def test_neighbours_with_torch_s_newer_setting_of_precision() -> None:
    # In a process of its own, for torch keeps in mind which of its two ways was used.
    code = """
import torch
from course_utils.metrics import precision_recall
torch.backends.cuda.matmul.fp32_precision = "tf32"
x = torch.randn(20, 3)
assert precision_recall(real=x, fake=x) == (1, 1)
assert torch.backends.cuda.matmul.fp32_precision == "tf32"
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_neighbours_are_sought_in_full_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not every processor has products that "medium" makes coarse; so see what is in force while they are made.
    seen: set[str] = set()
    addmm = torch.addmm

    def look(*arguments: object, **options: object) -> Tensor:
        seen.add(torch.get_float32_matmul_precision())
        return addmm(*arguments, **options)

    before = torch.get_float32_matmul_precision()
    real, fake = pair(20, 20, 3)
    try:
        torch.set_float32_matmul_precision("medium")
        monkeypatch.setattr(torch, "addmm", look)
        all_four(real, fake, 3)
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == {"highest"}


def test_matrix_products_are_as_before_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    before = torch.get_float32_matmul_precision()
    real, fake = pair(20, 20, 3)
    try:
        torch.set_float32_matmul_precision("medium")
        monkeypatch.setattr(torch, "addmm", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            precision_recall(real=real, fake=fake)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("d", [1, 3, 64, 333, 2048])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_border_of_a_ball_belongs_to_it(d: int, k: int) -> None:
    # A generated set that copies the real one: in each ball lie its centre and k neighbours, the k-th on the border.
    real = torch.randn(50, d, generator=torch.Generator().manual_seed(d))
    assert density_coverage(real=real, fake=real.clone(), k=k) == ((k + 1) / k, 1)
    assert precision_recall(real=real, fake=real.clone(), k=k) == (1, 1)
    strict = prdc.compute_prdc(real.double().numpy(), real.double().numpy(), k)
    assert strict["density"] == pytest.approx(1)  # prdc leaves the border out


def test_balls_of_repeated_images_hold_their_copies() -> None:
    real = torch.eye(6).repeat_interleave(4, dim=0)  # three copies of each: the radius for k = 3 is 0
    fake = torch.cat([torch.eye(6)[:3], torch.eye(6)[:3] + 0.01]).repeat_interleave(4, dim=0)
    assert precision_recall(real=real, fake=fake, k=3) == (0.5, 0.5)
    assert density_coverage(real=real, fake=fake, k=3) == (pytest.approx(0.5 * 4 / 3), 0.5)
    assert prdc.compute_prdc(real.numpy(), fake.numpy(), 3)["precision"] == 0  # nothing is nearer than 0


def test_a_collapsed_generator_has_precision_and_no_recall() -> None:
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(500, 4, generator=rng)
    collapsed = 0.01 * torch.randn(400, 4, generator=rng)  # all in the middle of the real ones
    precision, recall = precision_recall(real=real, fake=collapsed)
    assert precision > 0.95
    assert recall < 0.05
    assert density_coverage(real=real, fake=collapsed).coverage < 0.2


def test_a_generator_of_everything_has_recall_and_no_precision() -> None:
    rng = torch.Generator().manual_seed(0)
    real = 0.1 * torch.randn(500, 4, generator=rng)
    everything = 6 * torch.rand(400, 4, generator=rng) - 3
    precision, recall = precision_recall(real=real, fake=everything)
    assert precision < 0.05
    assert recall > 0.95
    assert density_coverage(real=real, fake=everything).density < 0.05


def test_sets_far_apart_share_nothing_and_equal_distributions_most() -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 1000, 4, generator=rng)
    assert all_four(real, fake + 100, 3) == (0, 0, 0, 0)
    precision, recall, density, coverage = all_four(real, fake, 5)
    assert min(precision, recall, coverage) > 0.85
    assert density == pytest.approx(1, abs=0.1)


def test_an_outlier_widens_recall_but_not_coverage() -> None:
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(300, 2, generator=rng)
    fake = torch.cat([0.1 * torch.randn(300, 2, generator=rng) + 20, torch.tensor([[-100.0, 0]])])
    assert precision_recall(real=real, fake=fake).recall == 1
    assert density_coverage(real=real, fake=fake) == (0, 0)


def test_neighbours_of_five_points_on_a_line() -> None:
    real, fake = torch.tensor([[0.0], [1], [3], [7], [15]]), torch.tensor([[-1.0], [-4], [11], [40]])
    # k = 2: radii of the real ones 3, 2, 3, 6, 12; of the generated ones 12, 15, 15, 41.
    assert precision_recall(real=real, fake=fake, k=2) == (2 / 4, 1)
    assert density_coverage(real=real, fake=fake, k=2) == (4 / (2 * 4), 4 / 5)


def test_features_are_left_as_they_were() -> None:
    real, fake = pair(50, 40, 3)
    before = real.clone(), fake.clone()
    all_four(real, fake, 3)
    fid(real=real, fake=fake)
    kernel_inception_distance(real=real, fake=fake, subset_size=30)
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])


@pytest.mark.parametrize("k", [-1, 0, 9, 100])
def test_a_neighbour_that_is_not_there_is_refused(k: int) -> None:
    few, many = pair(9, 200, 3)
    with pytest.raises(ValueError, match=f"k={k} must lie in 1 … 8, .* real features"):
        precision_recall(real=few, fake=many, k=k)
    with pytest.raises(ValueError, match=f"k={k} must lie in 1 … 8, .* real features"):
        density_coverage(real=few, fake=many, k=k)
    if k > 0:
        with pytest.raises(ValueError, match=f"k={k} must lie in 1 … 8, .* fake features"):
            precision_recall(real=many, fake=few, k=k)
        assert (
            density_coverage(real=many, fake=few, k=k).density > 0
        )  # it has no balls around generated images


def test_one_image_has_no_neighbour() -> None:
    one, many = pair(1, 9, 3)
    with pytest.raises(ValueError, match="k=3 must lie in"):
        precision_recall(real=one, fake=many)
    with pytest.raises(ValueError, match="k=5 must lie in"):
        density_coverage(real=one, fake=many)
    assert density_coverage(real=many, fake=one).density >= 0


# ------------------------------------------------------------------------------------ perceptual path length


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).sum(dim=1)


def ends(n: int, d: int) -> tuple[Tensor, Tensor]:
    z = torch.randn(2, n, d, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    return z[0], z[1]


def test_a_linear_decoder_has_the_length_of_its_lines() -> None:
    z0, z1 = ends(60, 4)
    matrix = torch.from_numpy(features(4, 4))
    path = perceptual_path_length(lambda z: z @ matrix, squared, z0, z1, interpolate=lerp, discard=0)
    expected = ((z1 - z0) @ matrix).square().sum(dim=1).numpy()
    np.testing.assert_allclose(path.each.numpy(), expected, rtol=1e-8)
    assert path.mean == pytest.approx(expected.mean(), rel=1e-8)
    assert path.std == pytest.approx(expected.std(), rel=1e-8)


@pytest.mark.parametrize("epsilon", [1e-4, 0.1])
def test_slerp_turns_at_a_constant_speed(epsilon: float) -> None:
    z0, z1 = (nn.functional.normalize(z, dim=1) for z in ends(200, 3))
    path = perceptual_path_length(lambda z: z, squared, z0, z1, epsilon=epsilon)  # slerp by default
    angle = torch.acos((z0 * z1).sum(dim=1))
    chord = (2 * torch.sin(angle * epsilon / 2)).square() / epsilon**2  # near angle² for small steps
    np.testing.assert_allclose(path.each.numpy(), chord.numpy(), rtol=1e-7)


def test_the_steps_are_taken_all_along_the_paths() -> None:
    z0, z1 = torch.zeros(4000, 1).double(), torch.ones(4000, 1).double()
    path = perceptual_path_length(lambda z: z**2, squared, z0, z1, interpolate=lerp, discard=0)
    t = path.each.sqrt() / 2  # d(t²)/dt = 2 t
    assert stats.kstest(t.numpy(), "uniform").pvalue > 0.01
    assert path.mean == pytest.approx(4 / 3, rel=0.05)


@pytest.mark.parametrize(
    ("n", "discard"), [(101, 0.01), (250, 0.05), (10, 0.3), (7, 0), (1, 0.01), (3, 0.49)]
)
def test_the_most_extreme_paths_are_left_out(n: int, discard: float) -> None:
    lengths = torch.from_numpy(np.random.default_rng(n).permutation(n) + 1.0)
    z0 = torch.zeros(n, 1).double()
    path = perceptual_path_length(
        lambda z: z, squared, z0, lengths[:, None].sqrt(), interpolate=lerp, discard=discard
    )
    each = np.sort(lengths.numpy())
    out = math.floor(discard * (n - 1) + 1e-9)  # how many at either end lie beyond the percentiles
    kept = each[out : n - out]
    assert path.mean == pytest.approx(kept.mean(), rel=1e-7)
    assert path.std == pytest.approx(kept.std(), rel=1e-7, abs=1e-7)
    np.testing.assert_allclose(path.each.numpy(), lengths.numpy(), rtol=1e-7)  # in the order of the paths


class Decoder(nn.Module):
    """A linear decoder that torchmetrics takes for a generator."""

    def __init__(self, *codes: Tensor):
        super().__init__()
        self.codes = list(codes)
        self.matrix = nn.Parameter(torch.from_numpy(features(4, 6)))

    def sample(self, n: int) -> Tensor:
        return self.codes.pop(0)[:n]

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.matrix


class Squared(nn.Module):
    """On images that torchmetrics has moved from [0, 255] to [-1, 1]."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return squared(a * 255 / 2, b * 255 / 2)


@pytest.mark.parametrize("discard", [None, 0.05])
def test_path_length_is_that_of_torchmetrics(discard: float | None) -> None:
    # Theirs starts each step at z0; of a straight line through a linear decoder that is as good as any place. Their
    # upper percentile is rounded down where ours (and StyleGAN's) is rounded up: with 101 paths it is a path.
    # (torch-fidelity's cannot be called with codes and a distance of one's own.)
    z0, z1 = ends(101, 4)
    decoder = Decoder(z0, z1)
    mean, std, _ = torchmetrics.functional.image.perceptual_path_length(
        decoder,
        num_samples=101,
        batch_size=20,
        lower_discard=discard,
        upper_discard=discard and 1 - discard,
        sim_net=Squared(),
    )
    ours = perceptual_path_length(decoder, squared, z0, z1, interpolate=lerp, discard=discard or 0)
    kept = 101 - 2 * round(100 * (discard or 0))
    same(ours.mean, mean.item(), peer="torchmetrics PPL", tolerance=1e-7)
    assert ours.std == pytest.approx(std.item() * math.sqrt((kept - 1) / kept), rel=1e-7)
    assert not ours.each.requires_grad


def test_the_size_of_a_batch_changes_nothing() -> None:
    z0, z1 = ends(25, 3)
    sizes: list[int] = []

    def decode(z: Tensor) -> Tensor:
        sizes.append(len(z))
        return z.tanh()[:, :, None, None]

    def path(size: int) -> metrics.PathLength:
        draw = torch.Generator().manual_seed(0)
        return perceptual_path_length(decode, squared, z0, z1, batch_size=size, generator=draw)

    paths = [path(size) for size in (1, 10, 25, 100)]
    for path in paths[:-1]:
        np.testing.assert_allclose(path.each.numpy(), paths[-1].each.numpy(), rtol=1e-9)
    assert sizes == [1] * 50 + [10, 10, 10, 10, 5, 5] + [25] * 4


def test_path_length_draws_from_the_generator(device: torch.device) -> None:
    z0, z1 = (z.float().to(device) for z in ends(20, 3))

    def measure(generator: torch.Generator | None) -> Tensor:
        return perceptual_path_length(torch.tanh, squared, z0, z1, generator=generator).each

    generator = torch.Generator(device).manual_seed(3)
    first, second = measure(generator), measure(generator)
    assert not torch.equal(first, second)
    assert torch.equal(measure(torch.Generator(device).manual_seed(3)), first)
    torch.manual_seed(3)  # None is torch's own state
    assert torch.equal(measure(None), first)
    assert not first.is_inference()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"z1": torch.zeros(5, 4)}, r"z0 \(5, 3\) and z1 \(5, 4\) must be of one shape \(n, d\)"),
        ({"z1": torch.zeros(4, 3)}, r"z0 \(5, 3\) and z1 \(4, 3\) must be of one shape \(n, d\)"),
        ({"z0": torch.zeros(3), "z1": torch.zeros(3)}, r"z0 must be float \(N, d\)"),
        ({"z0": torch.zeros(0, 3), "z1": torch.zeros(0, 3)}, r"z0 must be float \(N, d\), N ≥ 1"),
        ({"z1": torch.full((5, 3), float("inf"))}, "z1 hold NaN or infinity"),
        ({"epsilon": 0}, "epsilon=0 must be above 0"),
        ({"epsilon": -1.0}, "epsilon=-1.0 must be above 0"),
        ({"discard": 0.5}, r"discard=0.5 in \[0, 0.5\)"),
        ({"discard": -0.1}, r"discard=-0.1 in \[0, 0.5\)"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number of at least 1"),
        ({"distance": lambda a, b: squared(a, b).sum()}, r"distance must return finite numbers \(5,\)"),
        ({"distance": lambda a, b: squared(a, b)[:, None]}, r"distance must return finite numbers \(5,\)"),
        ({"distance": lambda a, b: squared(a, b) / 0}, "distance must return finite numbers"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_paths_that_have_no_length_are_refused(changes: dict[str, object], says: str) -> None:
    z0, z1 = (z.float() for z in ends(5, 3))
    arguments = {"decode": lambda z: z, "distance": squared, "z0": z0, "z1": z1} | changes
    with pytest.raises(ValueError, match=says):
        perceptual_path_length(**arguments)


# ---------------------------------------------------------------------------------------------------- AUROC


@both_precisions
@pytest.mark.parametrize("case", ["all different", "ties", "one value", "infinities", "one each"])
def test_auroc_is_that_of_sklearn(case: str, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    normal, anomalous = rng.normal(size=300), rng.normal(size=200) + 0.7
    if case == "ties":
        normal, anomalous = normal.round(), anomalous.round()
    if case == "one value":
        normal, anomalous = normal * 0, anomalous * 0
    if case == "one each":
        normal, anomalous = normal[:1], anomalous[:1]
    scores = np.concatenate([normal, anomalous])
    if case == "infinities":  # a likelihood of 0; sklearn takes finite scores only, and ranks are enough
        normal[:30], normal[30:40], anomalous[:60], anomalous[60:70] = -np.inf, np.inf, np.inf, -np.inf
        scores = np.nan_to_num(np.concatenate([normal, anomalous]), posinf=1e9, neginf=-1e9)
    expected = roc_auc_score(np.arange(len(scores)) >= len(normal), scores.astype(np.float32))
    ours = auroc(normal=torch.from_numpy(normal).to(dtype), anomalous=torch.from_numpy(anomalous).to(dtype))
    same(ours, expected, peer="sklearn AUROC", tolerance=1e-12)


def test_auroc_of_what_is_told_apart_and_of_what_is_not() -> None:
    low, high = torch.arange(5.0), torch.arange(10.0, 20.0)
    assert auroc(normal=low, anomalous=high) == 1
    assert auroc(normal=high, anomalous=low) == 0
    assert auroc(normal=low, anomalous=low.flip(0)) == 0.5
    assert auroc(normal=torch.tensor([1.0, 2.0]), anomalous=torch.tensor([2.0])) == 0.75


def test_auroc_compares_scores_of_any_type_as_they_are() -> None:
    whole, between = torch.tensor([0, 1, 2]), torch.tensor([0.5, 1.5, 2.5])
    assert auroc(normal=whole, anomalous=between) == pytest.approx(6 / 9)
    assert auroc(normal=between, anomalous=whole) == pytest.approx(3 / 9)
    fine = torch.tensor([1 + 1e-12], dtype=torch.float64)
    assert auroc(normal=torch.ones(1), anomalous=fine) == 1


@pytest.mark.parametrize(
    "bad", [torch.zeros(3, 1), torch.zeros(0), torch.tensor(1.0), torch.tensor([float("nan")])]
)
def test_scores_that_are_none_are_refused(bad: Tensor) -> None:
    with pytest.raises(ValueError, match=r"normal must be scores \(N,\)"):
        auroc(normal=bad, anomalous=torch.zeros(3))
    with pytest.raises(ValueError, match=r"anomalous must be scores \(N,\)"):
        auroc(normal=torch.zeros(3), anomalous=bad)


# -------------------------------------------------------------------------------------------- on a GPU


@pytest.mark.gpu
def test_an_accelerator_gives_the_same_scores() -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator on this machine")
    device = torch.accelerator.current_accelerator()
    real, fake = (f.float() for f in pair(300, 200, 12))
    for metric in (
        fid,
        lambda **sets: kernel_inception_distance(
            **sets, subset_size=100, generator=torch.Generator().manual_seed(0)
        ),
        precision_recall,
        density_coverage,
    ):
        here, there = metric(real=real, fake=fake), metric(real=real.to(device), fake=fake.to(device))
        assert there == pytest.approx(here, rel=1e-6)
        assert metric(real=real.to(device), fake=fake) == pytest.approx(here, rel=1e-6)
    probs = logits(100, 5).float().softmax(dim=1)
    here, there = (
        inception_score(p, generator=torch.Generator().manual_seed(0)) for p in (probs, probs.to(device))
    )
    assert there == pytest.approx(here, rel=1e-6)
    scores = real[:, 0], fake[:, 0]
    assert auroc(normal=scores[0].to(device), anomalous=scores[1].to(device)) == auroc(
        normal=scores[0], anomalous=scores[1]
    )
