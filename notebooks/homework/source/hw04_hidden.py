"""Hidden checks of homework 04 (see course_utils.grading.hidden)."""

import torch

from course_utils.checks import check_close, check_shape
from course_utils.grading.hidden import same


def factors(n, d, draw):
    """n lower triangular matrices of d by d, with a positive diagonal."""
    rows = torch.randn(n, d, d, generator=draw)
    return rows.tril(-1) + torch.diag_embed(0.3 + torch.rand(n, d, generator=draw))


def q1(answer, draw):
    d = int(torch.randint(2, 5, (), generator=draw))
    mu, L = torch.randn(6, d, generator=draw), factors(6, d, draw)
    weights = torch.randn(30_000, d, generator=draw)
    mu.requires_grad_()
    L.requires_grad_()
    codes = answer.draw_codes(mu.repeat(5000, 1), L.repeat(5000, 1, 1), draw)
    to_mu, to_L = torch.autograd.grad((weights * codes).sum(), (mu, L))
    return {"codes": codes, "mu": mu, "L": L, "weights": weights, "gradient to mu": to_mu, "gradient to L": to_L}


def judge_q1(got, want):
    """In whatever order eps is drawn: it must be normal, each number of it independent of the others."""
    same(got, want, only=["gradient to mu"])
    n, d = want["mu"].shape
    check_shape("codes", got["codes"], (5000 * n, d))
    off = (got["codes"] - want["mu"].repeat(5000, 1))[:, :, None]
    eps = torch.linalg.solve_triangular(want["L"].repeat(5000, 1, 1), off, upper=False).view(5000, n * d)
    hint = "The code is mu + L eps with eps ~ N(0, I), drawn anew for each row."
    check_close("the means of L^-1 (codes - mu)", eps.mean(dim=0), torch.zeros(n * d), tol=0.08, hint=hint)
    check_close("the covariance of L^-1 (codes - mu)", eps.T.cov(), torch.eye(n * d), tol=0.12, hint=hint)
    check_close("their mean fourth power", eps.pow(4).mean(), 3.0, tol=0.05, hint="Is eps normal?")
    by_eps = torch.einsum("kni,knj->nij", want["weights"].view(5000, n, d), eps.view(5000, n, d)).tril()
    check_close("the gradient to L", got["gradient to L"].tril(), by_eps, tol=1e-2, hint="It is eps that L multiplies.")
