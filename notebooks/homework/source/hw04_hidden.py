"""Hidden checks of homework 04 (see course_utils.grading.hidden)."""

import torch
from torch import nn

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.grading.drawn import between, plain, seeded, share_different, whole
from course_utils.grading.hidden import same


def factors(n, d, draw):
    """n lower triangular matrices of d by d, with a positive diagonal."""
    rows = 0.7 * torch.randn(n, d, d, generator=draw)
    return rows.tril(-1) + torch.diag_embed(0.5 + torch.rand(n, d, generator=draw))


def q1(answer, draw):
    """Twice with one generator, and once with another that begins as it did; and codes of one number."""
    d = whole(2, 4, draw)
    mu, L = torch.randn(6, d, generator=draw), factors(6, d, draw)
    weights, seed = torch.randn(6000, d, generator=draw), whole(0, 2**31 - 1, draw)
    column = torch.randn(5, 1, generator=draw)
    leaves = mu.clone().requires_grad_(), L.clone().requires_grad_()
    many = leaves[0].repeat(1000, 1), leaves[1].repeat(1000, 1, 1)
    given, alike = seeded(seed), seeded(seed)
    codes = answer.draw_codes(*many, given)
    check_shape("the codes of 6,000 rows", codes, (6000, d))
    to_mu, to_L = check_gradients("the code", (weights * codes).sum(), leaves)
    return {
        "mu": mu, "L": L, "weights": weights, "the gradient to mu": to_mu, "the gradient to L": to_L,
        "mu, afterwards,": many[0][:6], "L, afterwards,": many[1][:6], "codes": codes,
        "next codes": answer.draw_codes(mu.repeat(1000, 1), L.repeat(1000, 1, 1), given),
        "codes again": answer.draw_codes(mu.repeat(1000, 1), L.repeat(1000, 1, 1), alike),
        "the codes of 5 rows of one number, for L = 0.00001,":
            answer.draw_codes(column, torch.full((5, 1, 1), 1e-5), given),
    }  # fmt: skip


def judge_q1(got, want):
    """In whatever order eps is drawn: it must be normal, each number of it independent of the others.

    Each of 24 means of 1,000 has the standard error 0.032, each of 300 covariances at most 0.045, the mean fourth power
    0.09. Bounds are 6 of these. Of 6,000 rows of eps, rounded to 0.001, some ten are there twice by chance.
    """
    n, d = want["mu"].shape
    same(got, want, only=["mu, afterwards,", "L, afterwards,"])
    same(got, want, only=[name for name in want if "one number" in name], tol=1e-3)
    check_shape("the codes of 6,000 rows", got["codes"], (1000 * n, d))
    check_close("the gradient to mu", got["the gradient to mu"], want["the gradient to mu"], tol=1e-3)
    off = (got["codes"] - want["mu"].repeat(1000, 1))[:, :, None]
    eps = torch.linalg.solve_triangular(want["L"].repeat(1000, 1, 1), off, upper=False).view(1000, n * d)
    hint = "The code is mu + L eps with eps ~ N(0, I), drawn anew for each row."
    check_range("the means of L^-1 (codes - mu)", eps.mean(dim=0), -0.2, 0.2, hint=hint)
    covariance = eps.T.cov() - torch.eye(n * d)
    check_range("the covariance of L^-1 (codes - mu), less I,", covariance, -0.3, 0.3, hint=hint)
    check_range("their mean fourth power", eps.pow(4).mean(), 2.4, 3.6, hint="Is eps normal?")
    share = share_different(eps.view(-1, d))
    check_range("the share of different eps, up to the sign,", share, 0.9, 1, hint=hint)
    by_eps = torch.einsum("kni,knj->nij", want["weights"].view(1000, n, d), eps.view(1000, n, d)).tril()
    to_L = got["the gradient to L"].tril()
    check_close("the gradient to L", to_L, by_eps, tol=1e-2, hint="L multiplies eps.")
    hint = "All randomness comes from the generator that is given."
    check_close("the codes for a generator that begins alike", got["codes again"], got["codes"], hint=hint)
    check_shape("the next codes of a generator", got["next codes"], (1000 * n, d))
    moved = (got["next codes"] - got["codes"]).abs().amax(dim=1)
    check_range("how far the next codes lie from the first ones", moved, 1e-6, 1e4, hint=hint)


def q2(answer, draw):
    """Some rows and one row, of several numbers, of many and of one, with gradients."""
    found = {}
    for n, d in ((whole(4, 9, draw), whole(2, 6, draw)), (1, whole(7, 10, draw)), (3, 1)):
        mu, L = 1.5 * torch.randn(n, d, generator=draw), factors(n, d, draw)
        weights = torch.randn(n, generator=draw)
        mu.requires_grad_()
        L.requires_grad_()
        kl = answer.kl_tilted(mu, L)
        what = f"{n} rows of {d} numbers"
        check_shape(f"the KL of {what}", kl, (n,))
        to_mu, to_L = check_gradients(f"the KL of {what}", (weights * kl).sum(), (mu, L))
        found[f"the KL of {what}"] = kl
        found[f"the gradient of a weighted sum of it to mu, {what},"] = to_mu
        found[f"the gradient of a weighted sum of it to L, {what},"] = to_L.tril()
    return found


def q3(answer, draw):
    """Logits of every size: for those near 0 and far from it the gradients tell most."""
    n, size = whole(3, 7, draw), (whole(1, 3, draw), whole(2, 4, draw), whole(5, 6, draw))

    def signs(*shape):
        return 2.0 * torch.randint(2, shape, generator=draw) - 1

    def drawn(*shape):
        return torch.rand(*shape, generator=draw)

    logits = {
        "logits from -10 to 10": 3 * torch.randn(n, *size, generator=draw),
        "logits near 0": signs(n, *size) * 10 ** (-3 + 2 * drawn(n, *size)),
        "logits of 0": torch.zeros(n, *size),
        "logits of almost 0": signs(n, *size) * 10 ** (-8 + 1.5 * drawn(n, *size)),
        "logits of about ±200": signs(n, *size) * (150 + 100 * drawn(n, *size)),
        "logits of some 10 and 0": signs(n, *size) * 40 * drawn(n, *size) * (drawn(n, *size) < 0.7),
        "one logit of about ±200 an image": signs(8, 1, 1, 1) * (150 + 100 * drawn(8, 1, 1, 1)),
    }
    found = {}
    for what, some in logits.items():
        x, weights = (3 * drawn(*some.shape) - 1.5).clamp(-1, 1), 0.5 + drawn(len(some))
        pixels, leaf = x.clone(), some.clone().requires_grad_()
        value = answer.log_continuous_bernoulli(pixels, leaf)
        check_shape(f"log p of images {tuple(x.shape)}", value, (len(x),))
        (slope,) = check_gradients("log p", (weights * value).sum(), [leaf])
        found[f"log p for {what}"] = value
        found[f"the gradient of a weighted sum of log p to {what}"] = slope
        found[f"x, after log p for {what}"] = pixels
    return found


def judge_q3(got, want):
    """The gradient holds 1 / l less another such number: with l = 0.001 and float32, 0.0002 of it is rounding."""
    for name in want:
        same(got, want, only=[name], tol=2e-3 if name.startswith("the gradient") else 2e-4)


class Decoder(nn.Module):
    """A small decoder that remembers what it is given."""

    def __init__(self, d, shape):
        super().__init__()
        self.layer, self.shape, self.given = nn.Linear(d, shape[0] * shape[1] * shape[2]), shape, []

    def forward(self, z):
        self.given.append(z.detach().clone())
        return self.layer(z).view(-1, *self.shape)


def q4(answer, draw):
    """Two steps with momentum, the first with an old gradient; then the first again, in the same way."""
    n, d = whole(200, 250, draw), whole(2, 3, draw)
    shape = whole(1, 3, draw), whole(2, 3, draw), 4
    x = 2 * torch.rand(n, *shape, generator=draw) - 1
    size, outputs = x[0].numel(), d + d * (d + 1) // 2
    shapes = (outputs, size), (outputs,), (size, d), (size,)
    scales = 0.1, 0.3, 0.5, 0.5
    weights = [scale * torch.randn(s, generator=draw) for scale, s in zip(scales, shapes, strict=True)]
    lr, beta, seed = between(0.05, 0.1, draw), between(2.0, 4.0, draw), whole(0, 2**31 - 1, draw)
    found = {"x": x.clone(), "weights": [w.clone() for w in weights], "lr": lr, "beta": beta, "d": d}
    for what, steps in (("steps", 2), ("again", 1)):
        encoder, decoder = nn.Sequential(nn.Flatten(), nn.Linear(size, outputs)), Decoder(d, shape)
        parts = [*encoder.parameters(), *decoder.parameters()]
        for part, w in zip(parts, weights, strict=True):
            part.data, part.grad = w.clone(), torch.ones_like(w)
        sgd, generator = torch.optim.SGD(parts, lr=lr, momentum=0.5), seeded(seed)
        found[what] = []
        for _ in range(steps):
            images = x.clone()
            decoder.given.clear()
            numbers = answer.training_step(encoder, decoder, sgd, images, beta, generator)
            if isinstance(numbers, list | tuple):
                numbers = [plain(number) for number in numbers]
            found[what].append({
                "numbers": numbers, "codes": torch.cat(decoder.given or [x[:0, 0, 0, :d]]), "images": images,
                "weights": [part.detach().clone() for part in parts],
            })  # fmt: skip
    return found


def judge_q4(got, want):
    """In whatever order eps is drawn: with the eps that the decoder's codes show, the steps are made again here.

    Of at least 400 numbers of eps in a step the mean has a standard error of 0.05, the mean square one of 0.07.
    """
    x, d, n, hint = want["x"].double(), want["d"], len(want["x"]), "A code for each image: mu + L eps."
    weights = [w.double().requires_grad_() for w in want["weights"]]
    sgd, noise = torch.optim.SGD(weights, lr=want["lr"], momentum=0.5), []
    for number, step in enumerate(got["steps"], 1):
        name = f"step {number}: "
        mu, L = judge_unpack(x.flatten(1) @ weights[0].T + weights[1], d)
        codes = step["codes"][:n].double()
        check_shape(f"{name}what the decoder sees", codes, (n, d), hint=hint)
        with torch.no_grad():
            eps = torch.linalg.solve_triangular(L, (codes - mu)[:, :, None], upper=False)
        check_range(f"{name}the mean of L^-1 (code - mu)", eps.mean(), -0.35, 0.35, hint=hint)
        check_range(f"{name}the mean square of L^-1 (code - mu)", eps.square().mean(), 0.6, 1.5, hint=hint)
        noise.append(eps)
        logits = (mu + (L @ eps)[:, :, 0]) @ weights[2].T + weights[3]
        log_p = ((x.flatten(1) + 1) / 2 * logits - (torch.expm1(logits) / logits).log()).sum(dim=1).mean()
        log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        kl = (0.5 * (mu.square().sum(dim=1) + L.square().sum(dim=(1, 2)) - d) - log_det).mean()
        check_close(f"{name}the images, afterwards,", step["images"], x, hint="Work on a copy.")
        judge_numbers(name, step["numbers"], log_p, kl)
        sgd.zero_grad()
        (want["beta"] * kl - log_p).backward()
        sgd.step()
        names = "encoder's weights", "encoder's bias", "decoder's weights", "decoder's bias"
        for part, mine, right in zip(names, step["weights"], weights, strict=True):
            of = "One step along the gradient of the loss; gradients from before it are forgotten."
            check_close(f"{name}the {part}, afterwards,", mine, right, hint=of)
    hint = "All randomness comes from the generator that is given."
    again, first = got["again"][0]["codes"], got["steps"][0]["codes"]
    check_close("what the decoder sees for a generator that begins alike", again, first, hint=hint)
    moved = (noise[1] - noise[0]).abs().mean()
    check_range("the mean change of eps from one step to the next", moved, 0.8, 1.5, hint=hint)


def judge_unpack(h, d):
    row, column = torch.tril_indices(d, d)
    L = h.new_zeros(len(h), d, d).index_put((torch.arange(len(h))[:, None], row, column), h[:, d:])
    return h[:, :d], L.tril(-1) + torch.diag_embed(L.diagonal(dim1=1, dim2=2).exp())


def judge_numbers(name, numbers, log_p, kl):
    if not isinstance(numbers, list) or len(numbers) != 2 or not all(isinstance(n, float) for n in numbers):
        raise AssertionError(f"{name}two plain numbers should come back: log-likelihood, KL (.item()).")
    hint = "As it was before the step, averaged over the batch."
    check_close(f"{name}the mean log-likelihood that comes back", numbers[0], log_p, tol=1e-3, hint=hint)
    check_close(f"{name}the mean KL that comes back", numbers[1], kl, tol=1e-3, hint=f"{hint} Without beta.")


def q5(answer, draw):
    """log p(x, z) near 0, far above and far below; a single image, and a single code."""
    found = {}
    many, some = whole(6, 9, draw), whole(5, 7, draw)
    for n, codes, shift in ((5, many, 0.0), (4, some, 1.0), (1, 3, -1.0), (3, 1, -1.0)):
        log_q = 2 * torch.randn(codes, n, generator=draw) - 3
        log_joint = log_q + 2 * torch.randn(codes, n, generator=draw)
        log_joint += shift * (700 + 800 * torch.rand(n, generator=draw))
        kept = log_joint.clone(), log_q.clone()
        name = f"K = {codes} codes for {n} images, with log p(x, z) of about {log_joint.mean():.4g},"
        found[f"the bound for {name}"] = answer.importance_weighted_bound(*kept)
        found |= {f"log_joint, after {name}": kept[0], f"log_q, after {name}": kept[1]}
    return found


def judge_q5(got, want):
    same(got, want, tol=2e-5)


def pair(values):
    if isinstance(values, list | tuple) and len(values) == 2:
        return dict(zip(("the mean", "the variance"), values, strict=True))
    return values


def q6(answer, draw):
    """Some images, one image, images of one number, and w = 0."""
    found = {}
    some, many = whole(4, 7, draw), whole(8, 12, draw)
    for n, d, size in ((some, many, 1), (1, 3, 1), (4, 4, 2), (3, 1, 1), (2, 5, 0)):
        x, w = torch.randn(n, d, generator=draw), size * torch.randn(d, generator=draw)
        kept, sigma = x.clone(), between(1.3, 2.5, draw) if n > 2 else between(0.3, 0.7, draw)
        name = f"{n} images of {d} numbers, sigma_x = {sigma:.3f}" + (", w = 0" if size == 0 else "")
        found[name] = pair(answer.linear_gaussian_posterior(kept, w, sigma))
        found[f"x, after {name}"] = kept
    return found
