"""Streamed statistics against numpy, the Fréchet distance against scipy and closed forms."""

import functools

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from torch import Tensor

from course_utils.metrics import FeatureStatistics, frechet_distance


def features(n: int, d: int, *, number: int = 0, offset: float = 0.0) -> np.ndarray:
    """Features of different spreads that depend on each other: float64 (n, d)."""
    rng = np.random.default_rng(number)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + offset * rng.normal(size=d)


def of(f: np.ndarray) -> FeatureStatistics:
    return FeatureStatistics.of(torch.from_numpy(f))


def gaussian(mean: np.ndarray, cov: np.ndarray, n: int = 100) -> FeatureStatistics:
    return FeatureStatistics(n, torch.from_numpy(mean), torch.from_numpy(cov * (n - 1)))


def close(a: object, b: object, tolerance: float = 1e-12) -> None:
    """Equal up to a share of the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max()))


# -------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(("n", "d"), [(2, 1), (50, 7), (5, 20), (1000, 64)])
def test_mean_and_covariance_are_those_of_numpy(n: int, d: int) -> None:
    f = features(n, d, offset=3)
    statistics = of(f)
    assert statistics.n == n
    assert statistics.mean.dtype == statistics.covariance.dtype == torch.float64
    close(statistics.mean, f.mean(axis=0))
    close(statistics.covariance, np.atleast_2d(np.cov(f.T)))
    close(statistics.scatter, np.atleast_2d(np.cov(f.T)) * (n - 1))


@pytest.mark.parametrize(
    "cuts",
    [[500], [1], [999], [3], [100, 200, 300], list(range(1, 1000, 37)), [2, 3, 4, 990]],
    ids=str,
)
def test_merging_any_parts_gives_the_whole(cuts: list[int]) -> None:
    f = features(1000, 9, offset=5)
    parts = [of(part) for part in np.split(f, cuts)]
    whole = of(f)
    in_order = functools.reduce(FeatureStatistics.merge, parts)
    for merged in (in_order, functools.reduce(FeatureStatistics.merge, reversed(parts))):
        assert merged.n == 1000
        close(merged.mean, f.mean(axis=0))
        close(merged.covariance, np.cov(f.T))
        close(merged.scatter, whole.scatter)


def test_merging_one_at_a_time_gives_the_whole() -> None:
    f = features(200, 4, offset=5)
    merged = functools.reduce(FeatureStatistics.merge, (of(row[None]) for row in f))
    close(merged.mean, f.mean(axis=0))
    close(merged.covariance, np.cov(f.T))


def test_merging_leaves_its_parts_alone() -> None:
    a, b = of(features(10, 3)), of(features(20, 3, number=1))
    before = [value.clone() for value in (a.mean, a.scatter, b.mean, b.scatter)]
    merged = a.merge(b)
    assert (a.n, b.n, merged.n) == (10, 20, 30)
    assert all(map(torch.equal, before, (a.mean, a.scatter, b.mean, b.scatter)))


def test_a_large_mean_costs_no_digits() -> None:
    f = features(1000, 3)
    far = f + 1e6  # a sum of squares would keep four digits of the covariance
    merged = of(far[:300]).merge(of(far[300:]))
    close(merged.covariance, np.cov(f.T), 1e-8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sums_are_in_float64_whatever_the_features(dtype: torch.dtype, device: torch.device) -> None:
    if device.type == "mps" and dtype == torch.float64:
        pytest.skip("no float64 on this accelerator")
    f = torch.from_numpy(features(3000, 5, offset=4)).to(device, dtype)
    before = f.clone()
    statistics = FeatureStatistics.of(f[:1200]).merge(FeatureStatistics.of(f[1200:]))
    exact = before.cpu().double().numpy()
    close(statistics.mean.cpu(), exact.mean(axis=0))
    close(statistics.covariance.cpu(), np.cov(exact.T))
    assert torch.equal(f, before)


def test_the_covariance_is_symmetric_and_positive() -> None:
    merged = of(features(7, 30, offset=9)).merge(of(features(6, 30, number=1)))
    close(merged.covariance, merged.covariance.T)
    assert np.linalg.eigvalsh(merged.covariance).min() > -1e-10 * merged.covariance.abs().max()


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
    single = of(features(1, 3))
    with pytest.raises(ValueError, match="2 samples, not 1"):
        single.covariance  # noqa: B018
    assert single.merge(of(features(1, 3, number=1))).covariance.shape == (3, 3)


@pytest.mark.parametrize("other", [1, 4])
def test_statistics_of_different_widths_are_not_merged(other: int) -> None:
    with pytest.raises(ValueError, match=f"3 and {other}"):
        of(features(5, 3)).merge(of(features(5, other)))


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
    a, b = gaussian(mean, axes @ np.diag(s**2) @ axes.T), gaussian(other, axes @ np.diag(t**2) @ axes.T, n=7)
    expected = ((mean - other) ** 2).sum() + ((s - t) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


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


def test_a_single_sample_has_no_distance() -> None:
    with pytest.raises(ValueError, match="2 samples"):
        frechet_distance(of(features(9, 3)), of(features(1, 3)))


@pytest.mark.gpu
def test_an_accelerator_gives_the_same_distance() -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator on this machine")
    device = torch.accelerator.current_accelerator()
    sets = [torch.from_numpy(features(50, 8, number=k)).float() for k in range(2)]
    here, there = (
        frechet_distance(*(FeatureStatistics.of(x.to(where)) for x in sets)) for where in ("cpu", device)
    )
    assert there == pytest.approx(here, rel=1e-6)
