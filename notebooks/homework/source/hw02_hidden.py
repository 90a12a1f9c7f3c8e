"""Hidden checks of homework 02 (see course_utils.grading.hidden)."""

from itertools import combinations

import torch

from course_utils import metrics
from course_utils.checks import check_close, check_range, check_shape
from course_utils.grading.drawn import normal, seeded, whole


def q1(answer, draw):
    """Also with exact zeros and a class that no image has, in float32, and one image alone."""
    N, C = whole(5, 12, draw), whole(4, 8, draw)
    probs = (2 * normal(N, C, draw=draw)).softmax(dim=1)
    zeros = (torch.rand(N, C, generator=draw) < 0.3).scatter(1, torch.arange(N)[:, None] % (C - 1), False)
    zeros[:, C - 1] = True
    some = probs.masked_fill(zeros, 0.0)
    some = (some / some.sum(dim=1, keepdim=True))[:, torch.randperm(C, generator=draw)].float()
    sets = {
        f"{N} answers, {C} classes,": probs,
        f"{N} answers with exact zeros, of {C} classes one never occurs,": some,
        "one answer alone": probs[:1],
    }
    values = {}
    for name, given in sets.items():
        certainty, breadth = answer.two_factors(given)
        values |= {f"certainty of {name}": certainty, f"breadth of {name}": breadth}
    return values


def q2(answer, draw):
    """Far from 0, in batches of drawn lengths, one of them a single row."""
    d = whole(2, 6, draw)
    lengths = torch.randint(2, 90, (whole(3, 6, draw),), generator=draw).tolist()
    lengths.insert(whole(0, len(lengths), draw), 1)
    far = 1000 + torch.randn(d, generator=draw)
    f = torch.randn(sum(lengths), d, generator=draw) @ torch.randn(d, d, generator=draw) + far
    batches = f.split(lengths)
    mean, covariance = answer.stream_statistics(part for part in batches)
    return {"mean": mean, "covariance": covariance, "batches": torch.cat(batches), "lengths": lengths}


def judge_q2(got, want):
    """As exact as the text asks, float64: the visible check's tolerances."""
    lengths = want["lengths"]
    rows = f"{sum(lengths)} rows near 1,000 in batches of {', '.join(map(str, lengths))}"
    check_shape(f"the mean of {rows},", got["mean"], want["mean"].shape)
    less, right = (torch.as_tensor(values["mean"]).double() - 1000 for values in (got, want))
    check_close(f"the mean of {rows}, less 1,000,", less, right, tol=1e-6, hint="Sum in float64.")
    hint = "Square and sum in float64; divide by N - 1, with the N of all batches."
    check_close(f"the covariance of {rows},", got["covariance"], want["covariance"], tol=1e-5, hint=hint)
    for name in ("mean", "covariance"):
        if (kind := getattr(got[name], "dtype", type(got[name]).__name__)) != torch.float64:
            raise AssertionError(f"the {name} is {kind}, should be torch.float64.")
    check_close("the batches, afterwards,", got["batches"], want["batches"], hint="Leave them as they were.")


def q3(answer, draw):
    """Coordinates are whole numbers: distances are exact however they are computed, also on a ball's edge.

    First on a small grid, with many points in one place and many on an edge; then spread out, with the fake
    points amid the real ones (density far above 1) and beside them.
    """
    N, M, k = whole(14, 18, draw), whole(20, 24, draw), whole(1, 3, draw)
    grid, fake_grid = (torch.randint(8, (n, 2), generator=draw).double() for n in (N, M))
    # With k = 1 the balls of these three hold their place alone: one fake point lies there, one beside it.
    grid[1:3] = grid[0]
    fake_grid[0], fake_grid[1] = grid[0], grid[0] + torch.eye(2)[0]
    cases = {f"{N} real and {M} fake points of a grid, k = {k},": (grid, fake_grid, k)}
    cases[f"{N} real and {M} fake points of a grid, k = 1,"] = grid, fake_grid, 1
    for where, scale, shift in (("amid", 30, 0), ("beside", 70, 50)):
        N, M, d, k = whole(30, 45, draw), whole(20, 29, draw), whole(3, 5, draw), whole(2, 5, draw)
        real = (100 * normal(N, d, draw=draw)).round()
        fake = (scale * normal(M, d, draw=draw) + shift).round()
        cases[f"{M} fake points {where} {N} real ones, k = {k},"] = real, fake, k
    values = {}
    for name, given in cases.items():
        density, coverage = answer.density_coverage(*given)
        values |= {f"density of {name}": density, f"coverage of {name}": coverage}
    return values


def q4(answer, draw):
    """KID of a set with itself is negative, since the pairs i = j count across the sets."""
    cases = []
    for low, high in ((3, 5), (20, 40)):
        n, d = whole(low, high, draw), whole(3, 8, draw)
        fake = 1.3 * normal(n + whole(2, 9, draw), d, draw=draw) + 0.5
        cases.append((normal(n, d, draw=draw), fake))
    values = {}
    for real, fake in cases:
        sizes = f"{len(real)} real and {len(fake)} fake vectors of {real.shape[1]} numbers"
        values[f"KID of {sizes}"] = answer.kid(real, fake)
        values[f"KID of {sizes}, exchanged,"] = answer.kid(fake, real)
        values[f"KID of these {len(real)} vectors with themselves"] = answer.kid(real, real.flip(0))
    return values


def q5(answer, draw):
    """Copies among vectors for which cdist rounds; then a line with exact ratios and many ties."""
    M, n, d = whole(60, 90, draw), whole(20, 30, draw), whole(20, 30, draw)
    known = torch.randn(M, d, generator=draw) + 5
    new, copies = torch.randn(n, d, generator=draw) + 5, torch.randperm(M, generator=draw)[:40]
    # Pairs of training points, 4, 8 or 16 apart, far from the others. Ratios are whole numbers of quarters.
    units = 2.0 ** torch.randint(2, 5, (6,), generator=draw)
    places = 1000.0 * torch.randperm(6, generator=draw)
    line = torch.stack([places, places + units], dim=1).double().flatten()[:, None]

    def out(count, most):
        pair = torch.randint(6, (count,), generator=draw)
        steps = (torch.rand(count, generator=draw) * most * 4).floor() / 4
        return (places[pair] - steps * units[pair]).double()[:, None]

    generated, held_out = out(whole(9, 12, draw), 1.2), out(whole(13, 16, draw), 1.5)
    p, q, r = (normal(whole(20, 40, draw), 4, draw=draw) for _ in range(3))
    return {
        "ratios of new rows": answer.ratios(new, known),
        "ratios of copies": answer.ratios(known[copies], known),
        "ratios on a line": answer.ratios(held_out, line),
        "C on a line": answer.copying(generated, held_out, line), "C": answer.copying(0.9 * p, q, r),
    }  # fmt: skip


def judge_q5(got, want):
    """C of drawn points may differ by the pairs that rounding exchanges, one or two of more than 400."""
    hint = "Take the distance from `nearest`; cdist rounds."
    name = "the ratios of 40 copies"
    check_close(name, got["ratios of copies"], want["ratios of copies"], tol=1e-9, hint=hint)
    hint = "Divide by the distance from the nearest training row to its nearest other one."
    for name in ("ratios of new rows", "ratios on a line"):
        check_close(f"the {name}", got[name], want[name], tol=1e-3, hint=hint)
    hint = "Each generated ratio is compared with each held-out one; a tie counts one half."
    check_close("C of points on a line, with many ties,", got["C on a line"], want["C on a line"], hint=hint)
    check_close("C of drawn points", got["C"], want["C"], tol=3e-3, hint=hint)


CHOICES = list(combinations(range(5), 3))


def q6(answer, draw):
    """First, rows that are the corners of a simplex: their FID depends on N alone, whichever are drawn.

    Then 3 of 5 rows. A line through FID with these and with all 5, drawn once each, has at N = 3 the FID of
    the three that were drawn, and so tells which they were.
    """
    M, a, b, c = whole(12, 16, draw), *(0.5 + torch.rand(3, generator=draw)).tolist()
    fake, real = 3 * a * torch.eye(M, dtype=torch.float64), 3 * b * torch.eye(M, dtype=torch.float64) + c
    sizes = (2 + torch.randperm(M - 2, generator=draw)[: whole(3, 5, draw)]).tolist()
    seed, draws = whole(0, 2**31, draw), whole(2, 3, draw)
    some, few = normal(8, 1, draw=draw), 2 * normal(5, 2, draw=draw)
    some = torch.cat([some, 1.5 * normal(8, 1, draw=draw)], dim=1)
    given = seeded(seed)

    def lines(count, draws, generator):
        pairs = [answer.fid_infinity(some, few, (3, 5), draws, generator) for _ in range(count)]
        return torch.tensor([[float(limit), float(slope)] for limit, slope in pairs], dtype=torch.float64)

    limit, slope = answer.fid_infinity(real, fake, sizes, draws, seeded(seed))
    return {
        "limit": limit, "slope": slope, "sizes": sizes, "real": some, "fake": few,
        "one": lines(150, 1, given), "three": lines(30, 3, given),
        "again": lines(10, 1, seeded(seed)),
    }  # fmt: skip


def judge_q6(got, want):
    """In whatever order rows are drawn: each of the 10 choices of 3 of 5 must come equally often.

    Of 150, each is expected 15 times. The sum of the squared differences, over 15, is chi-squared with 9
    degrees of freedom: it passes 60 less than once in 10 millions. The mean of three is that of one about
    once in 100 times.
    """
    sizes = ", ".join(map(str, want["sizes"]))
    hint = "Draw different rows of `fake`, take all of `real`, and fit a line over 1/N to all points."
    check_close(f"FID∞ for N = {sizes},", got["limit"], want["limit"], tol=1e-3, hint=hint)
    check_close(f"the slope c for N = {sizes},", got["slope"], want["slope"], tol=1e-3, hint=hint)
    for name in ("one", "three", "again"):
        check_shape(f"{len(want[name])} results for N = 3 and 5", got[name], want[name].shape)
        check_range(f"{len(want[name])} results for N = 3 and 5", got[name], -1e6, 1e6)
    real, fake = want["real"], want["fake"]
    of_all = metrics.fid(real=real, fake=fake)
    ends = got["one"] @ torch.tensor([1.0, 1 / 5], dtype=torch.float64)
    hint = "With N = 5 all rows are drawn, each once."
    name = "the line's value at N = 5, for N = 3 and 5 of 5 rows,"
    check_close(name, ends, torch.full((150,), of_all), tol=1e-3, hint=hint)
    hint = "Use the generator that is given for every draw."
    name = "the results of a generator that begins alike"
    check_close(name, got["again"], got["one"][:10], tol=1e-6, hint=hint)
    every = torch.tensor([metrics.fid(real=real, fake=fake[list(rows)]) for rows in CHOICES]).double()
    one, three = (got[name] @ torch.tensor([1.0, 1 / 3], dtype=torch.float64) for name in ("one", "three"))
    which = (one[:, None] - every).abs().argmin(dim=1)
    hint = "At N = 3 it is the FID of three different rows."
    name = "the line's value at N = 3, for N = 3 and 5 of 5 rows,"
    check_close(name, one, every[which], tol=1e-3, hint=hint)
    found = torch.bincount(which, minlength=10)
    hint = "The rows are drawn at random, anew each time."
    name = "how unequally often each 3 of 5 rows are drawn in 150 times, as chi squared,"
    check_range(name, (found - 15).square().sum() / 15, 0, 60, hint=hint)
    apart = (three[:, None] - every).abs().amin(dim=1)
    name = "how often, of 30, the mean FID of three draws is that of one draw"
    check_range(name, (apart < 1e-4).sum(), 0, 12, hint="Each of the `draws` takes other rows.")
