"""Hidden checks of homework 05 (see course_utils.grading.hidden)."""

import math

import torch
from torch import nn
from torch.nn.functional import softplus

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.grading.drawn import (
    between,
    check_even,
    check_noise,
    check_refused,
    outcome,
    plain,
    seeded,
    spread,
    two_sizes,
    whole,
)
from course_utils.grading.hidden import same


def q1(answer, draw):
    """Near both densities, and where exp rounds both to 0; there p / q is moderate in the first row only."""
    shape = torch.randint(2, 5, (whole(1, 4, draw),), generator=draw).tolist()
    log_p, log_q = 4 * torch.randn(2, *shape, generator=draw)
    far_p, far_q = -1e4 * (0.1 + torch.rand(2, 2, 5, generator=draw, dtype=torch.float64))
    far_q[0] = far_p[0] + 3 * torch.randn(5, generator=draw, dtype=torch.float64)
    one_p, one_q = torch.randn(2, generator=draw)
    return {
        f"the scores of log-densities of the shape {tuple(shape)}": answer.best_score(log_p, log_q),
        "the score of two numbers": answer.best_score(one_p, one_q),
        "the scores where both densities are rounded to 0": answer.best_score(far_p, far_q),
        "log_p after your function has run": log_p,
        "log_q after your function has run": log_q,
    }


UNKNOWN = (
    "hinges", "hing", "HINGE", "least_squares", "least", "Least-Squares", "squares", "cross-entropy", "",
)  # fmt: skip


def q2(answer, draw):
    n, m = two_sizes((3, 6), (9, 15), draw)
    scores = spread(n, -2, 4, draw), spread(m, -4, 2, draw)
    unknown = [UNKNOWN[int(k)] for k in torch.randperm(len(UNKNOWN), generator=draw)[:4]]
    values = {}
    for kind in ("least-squares", "hinge"):
        for k, name in enumerate(("L_D", "L_G")):
            real, fake = (s.clone().requires_grad_() for s in scores)
            values[f"{name} of the {kind} game"] = loss = answer.losses(real, fake, kind)[k]
            slopes = check_gradients(f"{name} of the {kind} game", loss, (real, fake))
            for of, slope in zip(("real", "generated"), slopes, strict=True):
                values[f"the gradient of {name} of the {kind} game by the scores of {of} images"] = slope
    values["unknown"] = {kind: outcome(lambda kind=kind: answer.losses(*scores, kind)) for kind in unknown}
    return values


def judge_q2(got, want):
    same(got, want, only=[name for name in want if name != "unknown"])
    for kind in want["unknown"]:
        message = check_refused(f"kind = {kind!r}", got["unknown"][kind])
        for allowed in ("least-squares", "hinge"):
            if allowed not in message:
                said = f"the message {message[:200]!r}, which does not list {allowed!r}."
                raise AssertionError(f"kind = {kind!r} raises {said}")


def q3(answer, draw):
    n, m = two_sizes((3, 6), (9, 15), draw)
    real, fake = spread(n, -3, 6, draw), spread(m, -8, 2, draw)
    large_real, large_fake = spread(n, -200, 200, draw), spread(m, -200, 200, draw)
    wrong = 60 + 140 * torch.rand(2, 1, generator=draw)
    sizes = f"{n} real and {m} generated scores"
    return {
        f"the bound from {sizes}": answer.jsd_bound(real, fake),
        f"the bound from {sizes} of up to ±200": answer.jsd_bound(large_real, large_fake),
        "the bound from one score each, both quite wrong": answer.jsd_bound(-wrong[0], wrong[1]),
    }


def penalty(answer, real, fake, W, a, left, given):
    """A penalty of s(x) = |x W|² / 2 + x · a, what the critic saw, and where gradients go.

    In W a gradient was left behind, in a none.
    """
    W, a = W.clone().requires_grad_(), a.clone().requires_grad_()
    W.grad, made = left.clone(), torch.zeros(real.shape[1:], requires_grad=True)
    seen = []

    def critic(x):
        seen.append(x.detach().clone())
        return (x.flatten(1) @ W).square().sum(dim=1) / 2 + x.flatten(1) @ a

    value = answer.gradient_penalty(critic, real.clone(), fake + made, given)
    after = W.grad.clone() if W.grad is not None else None, a.grad
    hint = "Did you set create_graph=True?"
    to_W, to_a, to_fake = check_gradients("the penalty", value, (W, a, made), hint=hint)
    return {
        "real": real, "fake": fake, "W": W, "a": a, "x_t": torch.cat(seen), "the penalty": value,
        "the gradient of the penalty with respect to the critic's weights": [to_W, to_a],
        "the gradient of the penalty with respect to what made `fake`": to_fake,
        "the .grad of the critic's weights after the penalty": after,
    }  # fmt: skip


def q4(answer, draw):
    """Of many points, twice with one generator, once with another that begins alike; and of a few images."""
    d, shape = whole(2, 4, draw), torch.randint(2, 5, (whole(2, 3, draw),), generator=draw).tolist()
    inputs = []
    for size in ((3000, d), (whole(1, 5, draw), *shape)):
        real, fake = 1.5 + torch.randn(size, generator=draw), torch.randn(size, generator=draw) - 1.5
        W = torch.randn(math.prod(size[1:]), 3, generator=draw) / math.prod(size[1:]) ** 0.5
        a, left = 0.3 * torch.randn(len(W), generator=draw), torch.randn(W.shape, generator=draw)
        inputs.append((real, fake, W, a, left))
    points, images = inputs
    seed = whole(0, 2**31 - 1, draw)
    given = seeded(seed)
    return {
        "points": penalty(answer, *points, given),
        "next": penalty(answer, *points, given),
        "again": penalty(answer, *points, seeded(seed)),
        "images": penalty(answer, *images, given),
    }


def judge_one_penalty(where, got, want):
    """Right for what the critic saw, which must lie between the two images; returns t."""
    real, fake, W, a = (want[name].double() for name in ("real", "fake", "W", "a"))
    hint = "Image i of `real` is paired with image i of `fake`, and the critic takes them in their own shape."
    check_shape(f"the x_t that the critic sees {where}", got["x_t"], real.shape, hint=hint)
    x_t, line = got["x_t"].double(), real - fake
    t = ((x_t - fake) * line).flatten(1).sum(dim=1) / line.square().flatten(1).sum(dim=1)
    on_line = fake + t.view(-1, *[1] * (real.ndim - 1)) * line
    hint = "x_t = t x + (1 - t) x̂, with one t for all numbers of an image."
    name = f"the x_t that the critic sees {where}, beside the nearest point between both,"
    check_close(name, x_t, on_line, hint=hint)
    check_range(f"t {where}", t, -1e-5, 1 + 1e-5, hint="t ~ U(0, 1).")
    W.requires_grad_()
    a.requires_grad_()
    slope = x_t.flatten(1) @ W @ W.T + a
    right = (slope.norm(dim=1) - 1).square().mean()
    hint = f"It is the mean of (‖∇s‖ - 1)² over {len(real)} pairs, ‖·‖ over all numbers of an image."
    name = f"the penalty {where}, for the x_t that the critic saw,"
    check_close(name, got["the penalty"], right, tol=1e-3, hint=hint)
    name = "the gradient of the penalty with respect to the critic's weights"
    same(got, {name: list(torch.autograd.grad(right, (W, a)))}, tol=2e-3)
    name = "the gradient of the penalty with respect to what made `fake`"
    check_close(name, got[name], torch.zeros(real.shape[1:]), hint="Detach x_t.")
    same(got, want, only=["the .grad of the critic's weights after the penalty"])
    return t


def judge_q4(got, want):
    """In whatever order t is drawn, be it t or 1 - t: uniform, one for each pair, drawn anew each time.

    The mean of |t - t'| of 3,000 pairs is 1/3, with the standard error 0.0043.
    """
    where = {"points": "of points", "next": "of points", "again": "of points", "images": "of images"}
    shape = tuple(want["images"]["real"].shape)
    where["images"] = f"of images of the shape {shape}"
    t = {name: judge_one_penalty(where[name], got[name], want[name]) for name in want}
    check_even("t", t["points"], "Each pair has a t of its own, uniform between 0 and 1.")
    hint = "Draw t with `draw`, and with nothing else."
    check_close("t for a generator that begins alike", t["again"], t["points"], hint=hint)
    off = (t["next"] - t["points"]).abs().mean()
    check_range("how far the next t of a generator lie from the first ones", off, 0.3, 0.37, hint=hint)


def images_of(z, W, c):
    return (z @ W).tanh() + c


def scores_of(x, A, b):
    return (x @ A).tanh() @ b


class Maker(nn.Module):
    """G(z) = tanh(z W) + c. It remembers each call's noise, and how many images then wait for a gradient."""

    def __init__(self, W, c):
        super().__init__()
        self.latent_dim, self.W, self.c = len(W), nn.Parameter(W.clone()), nn.Parameter(c.clone())
        self.noise, self.waits, self.waiting = [], [], 0

    def forward(self, z):
        check_shape("the noise", z, (len(z), self.latent_dim), hint="It has generator.latent_dim columns.")
        x = images_of(z, self.W, self.c)
        if x.requires_grad:
            self.waiting += len(z)
            x.register_hook(lambda gradient: self.let_go(len(z)))
        self.noise.append(z.detach().clone())
        self.waits.append(self.waiting)
        return x

    def let_go(self, n):
        self.waiting -= n


class Scorer(nn.Module):
    def __init__(self, A, b):
        super().__init__()
        self.A, self.b = nn.Parameter(A.clone()), nn.Parameter(b.clone())

    def forward(self, x):
        return scores_of(x, self.A, self.b)


def two_turns(answer, weights, n, piece, given):
    """Two turns with one optimiser, which has momentum; the generator holds gradients of an earlier turn."""
    W, c, A, b, left, rate = weights
    maker, scorer = Maker(W, c), Scorer(A, b)
    maker.W.grad, maker.c.grad = left.clone(), left[0].clone()
    optimizer = torch.optim.SGD(maker.parameters(), lr=rate, momentum=0.9)
    turns = []
    for _ in range(2):
        maker.noise, maker.waits, maker.waiting = [], [], 0
        loss = answer.generator_step(maker, scorer, optimizer, n, piece, given)
        turns.append({
            "noise": maker.noise, "waits": maker.waits, "loss": plain(loss),
            "generator": [maker.W.detach().clone(), maker.c.detach().clone()],
            "discriminator": [scorer.A.detach().clone(), scorer.b.detach().clone()],
            "requires a gradient": [w.requires_grad for w in (*maker.parameters(), *scorer.parameters())],
        })  # fmt: skip
    return {"n": n, "piece": piece, "weights": [W, c, A, b], "rate": rate, "turns": turns}


def q5(answer, draw):
    """With few images, cut in four ways; and with many, cut in two ways, with generators that begin alike."""
    d, k = whole(3, 5, draw), whole(2, 5, draw)
    W, c = torch.randn(d, k, generator=draw), torch.randn(k, generator=draw)
    A, b = torch.randn(k, 4, generator=draw), 2 * torch.randn(4, generator=draw)
    weights = W, c, A, b, torch.randn(d, k, generator=draw), between(0.3, 1.3, draw)
    piece = whole(3, 5, draw)
    rest, pieces, seed = whole(1, piece - 1, draw), whole(2, 4, draw), whole(0, 2**31 - 1, draw)
    cuts = {
        "rest": (pieces * piece + rest, piece), "no rest": (pieces * piece, piece),
        "one each": (pieces + 1, 1),
        "one piece": (piece, piece + rest),
        "many": (3000, whole(1100, 1400, draw)), "again": (3000, whole(600, 900, draw)),
    }  # fmt: skip
    return {name: two_turns(answer, weights, n, size, seeded(seed)) for name, (n, size) in cuts.items()}


def judge_two_turns(got, want):
    """Right for the noise that the generator got; returns the different rows of each turn's, in one order."""
    n, piece, drawn = want["n"], want["piece"], []
    W, c, A, b = (weight.double() for weight in want["weights"])
    players = W.requires_grad_(), c.requires_grad_()
    optimizer = torch.optim.SGD(players, lr=want["rate"], momentum=0.9)
    for number, (turn, right) in enumerate(zip(got["turns"], want["turns"], strict=True), 1):
        where = f"in turn {number} with n = {n} and piece = {piece}"
        rows = [len(z) for z in turn["noise"]]
        if len(rows) != (pieces := math.ceil(n / piece)):
            raise AssertionError(f"the generator is called {len(rows)} times {where}, should be {pieces}.")
        if max(rows) > piece:
            raise AssertionError(f"the generator gets {max(rows)} rows at once {where}.")
        z = torch.cat(turn["noise"]).double()
        check_shape(f"the noise of all pieces {where}", z, (n, len(W)))
        loss = softplus(-scores_of(images_of(z, W, c), A, b)).mean()
        hint = "The mean over all n images."
        check_close(f"the loss before the step {where}", turn["loss"], loss, hint=hint)
        if not isinstance(turn["loss"], float):
            raise AssertionError("the loss should be a plain number: loss.item().")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        hint = "One step down the mean over all n; gradients of an earlier turn must not count."
        for weight, found in zip(players, turn["generator"], strict=True):
            check_close(f"the generator's weights after the step {where}", found, weight, hint=hint)
        for weight, found in zip((A, b), turn["discriminator"], strict=True):
            check_close("the discriminator's weights after the generator's turn", found, weight)
        if len(turn["waits"]) != len(rows) or max(turn["waits"]) > piece:
            waits = f"{max(turn['waits'])} images wait for their gradient at once {where}."
            raise AssertionError(f"{waits} Call backward() for each piece.")
        if list(turn["requires a gradient"]) != right["requires a gradient"]:
            name = "weights no longer require a gradient after the turn"
            raise AssertionError(f"{name}; leave them as they are.")
        drawn.append(z.unique(dim=0))
    return drawn


def judge_q5(got, want):
    """In whatever order noise is drawn and pieces are taken: normal, each number by itself, new in each turn.

    Of 3,000 rows: each covariance has the standard error 0.018, each variance 0.026.
    """
    noise = {name: judge_two_turns(got[name], want[name]) for name in want}
    first, second = noise["many"]
    check_close("how many different rows the noise of 3,000 images has", len(first), 3000)
    hint = "All n rows are standard normal numbers: randn."
    check_noise(first, 0.15, hint)
    hint = "Draw the noise for all n images at once, with `draw`, and cut it then."
    cut = "in other pieces, for a generator that begins alike,"
    check_close(f"the noise {cut}", noise["again"][0], first, hint=hint)
    check_close(f"the next noise {cut}", noise["again"][1], second, hint=hint)
    fresh = len(torch.cat([first, second]).unique(dim=0))
    hint = "The noise is drawn anew in each turn, with `draw`."
    check_close("how many different rows the noise of two turns has", fresh, 6000, hint=hint)


def fill(net, values):
    """Put these values into a network's weights and buffers, in place."""
    with torch.no_grad():
        for tensor, value in zip((*net.parameters(), *net.buffers()), values, strict=True):
            tensor.copy_(value)


def held(net):
    return {name: tensor.detach().clone() for name, tensor in (*net.named_parameters(), *net.named_buffers())}


def q6(answer, draw):
    """Three updates, after each of which the model moves on; at the last, decay is 0."""
    a, b, c = torch.randint(1, 5, (3,), generator=draw).tolist()
    model, average = (
        nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.Linear(b, c, bias=False)) for _ in range(2)
    )
    tensors = [*model.parameters(), *model.buffers()]
    begun, *values, last = [[50 * torch.rand(w.shape, generator=draw) for w in tensors] for _ in range(5)]
    fast, slow = (float(torch.rand((), generator=draw)) for _ in range(2))
    decays = 0.1 + 0.3 * fast, 0.6 + 0.35 * slow, 0.0
    fill(average, begun)
    found = {}
    for number, (decay, value) in enumerate(zip(decays, values, strict=True), 1):
        fill(model, value)
        answer.update_average(average, model, decay)
        found[f"the average after update {number}, at decay {decay:.4g}"] = held(average)
        found[f"the model after update {number}"] = held(model)
        found[f"leaves after update {number}"] = [w.is_leaf and w.requires_grad for w in average.parameters()]
    fill(model, last)
    found["the average after the model has moved on"] = held(average)
    return found


def judge_q6(got, want):
    for name in want:
        if not name.startswith("leaves"):
            same(got, want, only=[name])
        elif list(got[name]) != want[name]:
            what = "the average's weights are no longer leaves that require a gradient"
            raise AssertionError(f"{what}: use no_grad.")
