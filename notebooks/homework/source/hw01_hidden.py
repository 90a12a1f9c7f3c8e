"""Hidden checks of homework 01 (see course_utils.grading.hidden)."""

import torch

from course_utils.checks import check_close, check_range, check_shape
from course_utils.grading.drawn import normal, seeded, whole
from course_utils.grading.hidden import same


def covariances_of(K, D, draw):
    """K covariances (K, D, D) of correlated coordinates, all different and far from singular."""
    rows = 0.5 * normal(K, D, D, draw=draw).tril(-1)
    L = rows + torch.diag_embed(0.5 + torch.rand(K, D, generator=draw, dtype=torch.float64))
    return L @ L.mT


def q1(answer, draw):
    """One class has a single point: S_k is 0. Then all points are of one class, in float32."""
    K, D = whole(3, 5, draw), whole(2, 4, draw)
    sizes = torch.randint(3, 15, (K,), generator=draw)
    sizes[whole(1, K - 2, draw)] = 1
    y = torch.arange(K).repeat_interleave(sizes)
    y = y[torch.randperm(len(y), generator=draw)]
    x = (normal(len(y), D, draw=draw) * (1 + y[:, None])) @ normal(D, D, draw=draw)
    x = x + 3 * normal(K, D, draw=draw)[y]
    pooling, alone = (0.1 + 0.8 * torch.rand(2, generator=draw)).tolist()
    labels, values = y.clone(), {}
    for share in (0.0, 1.0, pooling):
        given = x.clone()
        priors, means, covariances = answer.fit_classes(given, labels, K, share)
        what = f"of {K} classes, D = {D}, pooling {share:.2f},"
        values |= {f"the priors {what}": priors, f"the means {what}": means}
        values[f"the covariances {what}"] = covariances
    priors, means, covariances = answer.fit_classes(x.float(), torch.zeros_like(y), 1, alone)
    values |= {"the priors if there is only one class": priors, "its mean": means}
    values["the covariance if there is only one class"] = covariances
    values["x after the call, compared with x before it,"] = given
    values["y after the call, compared with y before it,"] = labels
    return values


def q2(answer, draw):
    """Points near the means, points 50 standard deviations off, and so many coordinates that det Σ is 0."""
    N, K, D = whole(6, 10, draw), whole(3, 5, draw), whole(2, 4, draw)
    priors = (0.7 * normal(K, draw=draw)).softmax(dim=0)
    means, covariances = normal(K, D, draw=draw), covariances_of(K, D, draw)
    x = means[torch.arange(N) % K] + normal(N, D, draw=draw)
    # Two classes that differ along one direction, and points far off along another, where neither is sure.
    along, off = torch.linalg.qr(normal(D, D, draw=draw)).Q[:2]
    scale = 0.5 + torch.rand((), generator=draw, dtype=torch.float64)
    two = scale * torch.stack([along, -along])
    equal = (scale**2 * torch.eye(D, dtype=torch.float64)).expand(2, D, D).clone()
    far = torch.tensor([0.0, 50.0, -55.0, 60.0], dtype=torch.float64)[:, None] * off
    far = scale * (far + 0.5 * normal(4, 1, draw=draw) * along)
    many = whole(150, 250, draw)
    small = 1e-4 * (0.5 + torch.rand((), generator=draw, dtype=torch.float64))
    tiny = small * torch.tensor([1.0, 1.02], dtype=torch.float64)[:, None, None] * torch.eye(many)
    tiny_x = small.sqrt() * normal(3, many, draw=draw)
    tiny_means = 0.1 * small.sqrt() * normal(2, many, draw=draw)
    return {
        f"p(y | x) of {N} points, D = {D}, K = {K},": answer.posterior(x, priors, means, covariances),
        "p(y | x) of one of these points alone": answer.posterior(x[1:2], priors, means, covariances),
        "far": answer.posterior(far, priors[:2] / priors[:2].sum(), two, equal),
        "tiny": answer.posterior(tiny_x, priors[1:3] / priors[1:3].sum(), tiny_means, tiny),
    }


def judge_q2(got, want):
    same(got, want, only=list(want)[:2])
    where = "a point between two means and of points 50 to 60 standard deviations off, in one batch,"
    hint = "exp(a_k) is 0 for every class out there."
    hint = f"{hint} Subtract from each row its own log-sum-exp, then take exp."
    check_close(f"p(y | x) of {where}", got["far"], want["far"], tol=1e-3, hint=hint)
    name = "p(y | x) in some 200 coordinates of variances about 1e-4"
    hint = "det Σ = 1e-800 is 0 in the computer: compute its logarithm, with logdet."
    check_close(name, got["tiny"], want["tiny"], tol=1e-3, hint=hint)


def guarded(name, function, shape):
    """The function, which refuses what has another shape than x_a."""

    def call(x_a):
        check_shape(f"what {name} is given", x_a, shape, hint="It gets x_a, x[:, :d].")
        return function(x_a)

    return call


def q3(answer, draw):
    """Several points, then a single one of which only the last coordinate moves."""
    D = whole(4, 7, draw)
    cases = []
    for N, d in ((whole(5, 9, draw), whole(1, D - 2, draw)), (1, D - 1)):
        A, B = normal(d, D - d, draw=draw), normal(d, D - d, draw=draw)
        cases.append((normal(N, D, draw=draw), d, A, B))
    values = {}
    for x, d, A, B in cases:
        given, what = x.clone(), f"for N = {len(x)}, D = {D}, d = {d}"
        log_scale = guarded("log_scale", lambda x_a, A=A: torch.sin(x_a @ A), (len(x), d))
        shift = guarded("shift", lambda x_a, B=B: torch.cos(x_a) @ B, (len(x), d))
        values[f"log p(x) {what}"] = answer.coupling_log_prob(given, d, log_scale, shift)
        values[f"x after the call {what}, compared with x before it,"] = given
    return values


def images(answer, conditional, shape, generator):
    """The student's images, and how often they ask for probabilities."""
    n, pixels, calls = shape[0], shape[1] * shape[2], []

    def watched_conditional(before):
        i = min(len(calls), pixels - 1)
        hint = f"Call {len(calls) + 1} is for pixel i = {i}: it gets the {i} pixels before that one."
        check_shape("what conditional is given", before, (n, i), hint=hint)
        calls.append(i)
        return conditional(torch.as_tensor(before).detach().float())

    return answer.sample_autoregressive(watched_conditional, shape, generator), len(calls)


def number(bits):
    """The number that each row of zeros and ones writes."""
    return (bits.long() * 2 ** torch.arange(bits.shape[1])).sum(dim=1)


def by_table(p):
    """A conditional that has a probability of its own for every past: 1 + 2 + 4 + … of them."""
    return lambda before: p[2 ** before.shape[1] - 1 + number(before)]


def q4(answer, draw):
    """Images without chance, each pixel by the parity of some earlier ones; then images by a table of
    probabilities, twice with one generator and once with another that begins as it did."""
    n, h, w = whole(3, 6, draw), whole(2, 4, draw), whole(5, 7, draw)
    begin = torch.randint(2, (n, h * w), generator=draw).float()
    chosen = torch.randint(2, (h * w, h * w), generator=draw).float()

    def sure(before):
        i = before.shape[1]
        return (begin[:, i] + before @ chosen[i, :i]) % 2

    p, shape = 0.3 + 0.4 * torch.rand(63, generator=draw), (8000, *((2, 3), (3, 2))[whole(0, 1, draw)])
    seed = whole(0, 2**31, draw)
    by_chance, given = by_table(p), seeded(seed)
    without_chance, calls = images(answer, sure, (n, h, w), seeded(seed))
    first, _ = images(answer, by_chance, shape, given)
    following, _ = images(answer, by_chance, shape, given)
    again, _ = images(answer, by_chance, shape, seeded(seed))
    return {
        "how often conditional is called": calls,
        f"each of {n} images of {h} × {w} if p is 0 or 1": without_chance,
        "images": first, "next images": following, "images again": again, "p": p,
    }  # fmt: skip


def judge_q4(got, want):
    """In whatever way a pixel is drawn: each image of 6 pixels must come as often as p(x) says, and no image
    may say anything of another.

    Of 8,000 images each of the 64 is expected 5.8 times or more: one leaves 7 standard errors less than once
    in a million. How alike the chance is in images that lie a given number of places apart, both calls in one
    row, is normal with deviation 1, or 1.4 for half of the row: one of 16,000 passes 8 less than once in a
    million.
    """
    calls, without_chance = list(want)[:2]
    hint = "Where p = 1 the pixel is always 1, where p = 0 it is 0. The order is row by row."
    check_close(without_chance, got[without_chance], want[without_chance], hint=hint)
    same(got, want, only=[calls])
    shape = want["images"].shape
    names = "images", "next images", "images again"
    for name in names:
        check_shape(f"the {name}", got[name], shape)
    first, following, again = (torch.as_tensor(got[name]).double().flatten(1) for name in names)
    x = torch.cat([first, following])
    check_close("the share of pixels that are 0 or 1", ((x == 0) | (x == 1)).double().mean(), 1.0)
    conditional = by_table(want["p"].double())
    pixels = torch.arange(64)[:, None] // 2 ** torch.arange(6) % 2  # all images
    ones = torch.stack([conditional(pixels[:, :i]) for i in range(6)], dim=1)
    exact = len(first) * torch.where(pixels == 1, ones, 1 - ones).prod(dim=1)
    errors = (torch.bincount(number(first), minlength=64) - exact) / exact.sqrt()
    name = f"how often each image of {shape[1]} × {shape[2]} comes, minus p(x), in standard errors,"
    hint = "Draw a 1 with the probability p: each pixel of each image with a number of its own."
    check_range(name, errors, -7, 7, hint=hint)
    hint = "Use the generator that is given for every draw."
    check_close("the images for a generator that begins alike", again, first, hint=hint)
    changed = (following != first).double().mean()
    check_range("the share of pixels that the next call with it changes", changed, 0.35, 0.6, hint=hint)
    p = torch.stack([conditional(x[:, :i]) for i in range(6)], dim=1)
    chance = (x - p) / (p * (1 - p)).sqrt()
    alike = torch.fft.irfft(torch.fft.rfft(chance, dim=0).abs().square(), dim=0).sum(dim=1)[1:]
    name = "how alike the chance in two images of a batch is, in standard errors,"
    hint = "The images of a batch are independent of each other."
    check_range(name, alike / chance.numel() ** 0.5, -8, 8, hint=hint)


def q5(answer, draw):
    """Scores with many ties, and with none; the Gaussian also far off, where p(x) is 0, and for one point."""
    n, m, levels = whole(20, 40, draw), whole(45, 60, draw), whole(4, 8, draw)
    tied = torch.randint(1, levels + 1, (n,), generator=draw).float()
    tied_below = torch.randint(levels, (m,), generator=draw).float()
    scores, scores_below = 1 + torch.randn(m, generator=draw), 1.5 * torch.randn(n, generator=draw)
    D = whole(2, 4, draw)
    M = whole(4 * D, 6 * D, draw)
    mix = covariances_of(1, D, draw)[0]
    known = normal(M, D, draw=draw) @ mix + 3 * normal(1, D, draw=draw)
    x, far = 2 * normal(whole(4, 8, draw), D, draw=draw), 200 * normal(3, D, draw=draw)
    return {
        f"AUROC of {n} and {m} scores, whole numbers up to {levels},": answer.auroc(tied, tied_below),
        f"AUROC of {m} and {n} scores without ties": answer.auroc(scores, scores_below),
        "AUROC if the positive ones are lower": answer.auroc(scores_below - 1, scores),
        f"-log p(x) of {len(x)} points, D = {D}, M = {M},": answer.surprise(x, known),
        "-log p(x) of one point alone": answer.surprise(x[2:3], known),
        "-log p(x) of points that lie far away": answer.surprise(far, known),
    }
