"""Hidden checks of homework 04 (see course_utils.grading.hidden)."""

import torch

from course_utils.checks import check_close, check_range, check_shape


def factors(n, d, draw):
    """n lower triangular matrices of d by d, with a positive diagonal."""
    rows = torch.randn(n, d, d, generator=draw)
    return rows.tril(-1) + torch.diag_embed(0.3 + torch.rand(n, d, generator=draw))


def q1(answer, draw):
    """Twice with one generator, and once with another that begins as it did."""
    d = int(torch.randint(2, 5, (), generator=draw))
    mu, L = torch.randn(6, d, generator=draw), factors(6, d, draw)
    weights, seed = torch.randn(30_000, d, generator=draw), int(torch.randint(2**31, (), generator=draw))
    mu.requires_grad_()
    L.requires_grad_()
    given = torch.Generator().manual_seed(seed)
    codes = answer.draw_codes(mu.repeat(5000, 1), L.repeat(5000, 1, 1), given)
    to_mu, to_L = torch.autograd.grad((weights * codes).sum(), (mu, L))
    next_codes = answer.draw_codes(mu.repeat(5000, 1), L.repeat(5000, 1, 1), given)
    again = answer.draw_codes(mu.repeat(5000, 1), L.repeat(5000, 1, 1), torch.Generator().manual_seed(seed))
    return {
        "codes": codes, "next codes": next_codes, "codes again": again, "mu": mu, "L": L, "weights": weights,
        "the gradient to mu": to_mu, "the gradient to L": to_L,
    }  # fmt: skip


def judge_q1(got, want):
    """In whatever order eps is drawn: it must be normal, each number of it independent of the others.

    Each of 24 means of 5,000 has the standard error 0.014, each of 300 covariances at most 0.02.
    """
    n, d = want["mu"].shape
    check_shape("the codes of 30,000 rows", got["codes"], (5000 * n, d))
    check_close("the gradient to mu", got["the gradient to mu"], want["the gradient to mu"], tol=1e-3)
    off = (got["codes"] - want["mu"].repeat(5000, 1))[:, :, None]
    eps = torch.linalg.solve_triangular(want["L"].repeat(5000, 1, 1), off, upper=False).view(5000, n * d)
    hint = "The code is mu + L eps with eps ~ N(0, I), drawn anew for each row."
    check_close("the means of L^-1 (codes - mu)", eps.mean(dim=0), torch.zeros(n * d), tol=0.08, hint=hint)
    check_close("the covariance of L^-1 (codes - mu)", eps.T.cov(), torch.eye(n * d), tol=0.12, hint=hint)
    check_close("their mean fourth power", eps.pow(4).mean(), 3.0, tol=0.05, hint="Is eps normal?")
    by_eps = torch.einsum("kni,knj->nij", want["weights"].view(5000, n, d), eps.view(5000, n, d)).tril()
    check_close(
        "the gradient to L", got["the gradient to L"].tril(), by_eps, tol=1e-2, hint="L multiplies eps."
    )
    hint = "All randomness comes from the generator that is given."
    check_close("the codes for a generator that begins alike", got["codes again"], got["codes"], hint=hint)
    check_shape("the next codes of a generator", got["next codes"], (5000 * n, d))
    moved = (got["next codes"] - got["codes"]).abs().amax(dim=1)
    check_range("how far the next codes lie from the first ones", moved, 1e-6, 1e4, hint=hint)
