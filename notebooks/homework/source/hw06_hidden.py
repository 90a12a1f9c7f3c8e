"""Hidden checks of homework 06 (see course_utils.grading.hidden)."""

import re
from functools import partial

import torch
from torch import nn
from torch.nn.functional import one_hot, relu

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.grading.drawn import (
    between,
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


def labels(n, classes, draw):
    return torch.randint(classes, (n,), generator=draw)


def q1(answer, draw):
    """Any labels, then one row; at last one label too large, of C or more, or negative, in any place."""
    n, d, classes = whole(4, 9, draw), whole(1, 5, draw), whole(3, 8, draw)
    z, y = torch.randn(n, d, generator=draw), labels(n, classes, draw)
    y[0], low = classes - 1, labels(n, classes - 1, draw)
    last, others = whole(0, classes - 2, draw), []
    for bad in (classes, classes + whole(1, 9, draw), -1, -whole(2, classes, draw)):
        others.append(low.clone())
        others[-1][whole(1, n - 1, draw)] = bad
    one = answer.with_one_hot(z[:1], torch.tensor([last]), classes)
    what, refused = f"with_one_hot(z, y, {classes}) for z of the shape {(n, d)} and y = {y.tolist()}", {}
    found = {
        what: answer.with_one_hot(z, y, classes),
        f"the same for y = {low.tolist()}": answer.with_one_hot(z, low, classes),
        f"with_one_hot of one row with y = {last} of {classes} classes": one,
    }
    for other in others:
        call = partial(answer.with_one_hot, z, other, classes)
        refused[f"y = {other.tolist()} with classes = {classes}"] = outcome(call)
    return {**found, "refused": refused}


def judge_q1(got, want):
    for name in [name for name in want if name != "refused"]:
        check_close(name, got[name], want[name], hint="First the noise, then a 1 at place y, counted from 0.")
    for where in want["refused"]:
        message = check_refused(where, got["refused"][where])
        if not re.search(r"\by\b", message):
            raise AssertionError(f"{where} raises the message {message[:200]!r}, which does not name y.")


def q2(answer, draw):
    """Channels of different scale, the usual eps and another one; at least one class that no image has."""
    n, c, k = whole(5, 9, draw), whole(2, 4, draw), whole(4, 6, draw)
    height, width = whole(2, 5, draw), whole(2, 5, draw)
    eps = between(0.5, 1.5, draw)
    y = torch.cat([torch.arange(2), labels(n - 2, k - 1, draw)])
    scale = torch.logspace(-1.7, 0.7, c)[torch.randperm(c, generator=draw), None, None]
    h = torch.randn(n, c, height, width, generator=draw) + torch.randn(n, c, 1, 1, generator=draw)
    h = scale * (h + y[:, None, None, None])
    gamma, beta, weights = (torch.randn(size, generator=draw) for size in ((k, c), (k, c), h.shape))
    values = {}
    for where, more in (("with the usual eps", ()), (f"with eps = {eps:.4g}", (eps,))):
        inputs = [t.clone().requires_grad_() for t in (h, gamma, beta)]
        result = answer.conditional_batch_norm(inputs[0], y, *inputs[1:], *more)
        values[f"the result for {n} maps, {c} channels of {height} × {width}, {where}"] = result
        slopes = check_gradients("the sum of results", (weights * result).sum(), inputs)
        for name, slope in zip(("h", "γ", "β"), slopes, strict=True):
            values[f"the gradient of a sum of results {where}, {name},"] = slope
    one = answer.conditional_batch_norm(h[:1], y[:1], gamma, beta, eps)
    return values | {f"the result for one map, with eps = {eps:.4g}": one}


def judge_q2(got, want):
    """In a channel of small numbers gradients are large, and float32 is off by up to 1e-5 of the largest."""
    for name in want:
        same(got, want, only=[name], tol=1e-3 if "gradient" in name else 1e-4)


def q3(answer, draw):
    """Scores of a few images, and large ones: all of an image, or some of them, near 200 or near -200."""
    n, c = whole(2, 6, draw), whole(3, 7, draw)
    s, q_y = 3 * torch.randn(n, c, generator=draw), (1.5 * torch.randn(c, generator=draw)).softmax(dim=0)
    side = torch.cat([torch.ones(1, c), -torch.ones(1, c), 2 * labels(n * c, 2, draw).view(n, c) - 1])
    large = side * (197 + 3 * torch.rand(side.shape, generator=draw))
    values = {}
    for where, scores in (("", s), (" for scores of up to ±200", large)):
        image_part, posterior = answer.split_score(scores, q_y)
        values |= {f"log p(x) / q(x){where}": image_part, f"p(y | x){where}": posterior}
    return values


def q4(answer, draw):
    """Moderate scores and logits, with gradients; then large ones, whose losses lie far from 0, too."""
    (n, m), c = two_sizes((3, 5), (8, 12), draw), whole(3, 6, draw)
    y, y_hat = labels(n, c, draw), labels(m, c, draw)
    moderate, large = (
        (
            spread(n, low, high, draw), spread(n * c, low, high, draw).view(n, c),
            spread(m, -high, -low, draw), spread(m * c, low, high, draw).view(m, c),
        )
        for low, high in ((-3, 5), (-200, 200))
    )  # fmt: skip
    values = {}
    for k, name in enumerate(("L_D", "L_G")):
        s, logits, s_hat, logits_hat = inputs = [t.clone().requires_grad_() for t in moderate]
        loss = answer.acgan_losses(s, logits, y, s_hat, logits_hat, y_hat)[k]
        values[f"{name} of {n} real and {m} generated images"] = loss
        slopes = check_gradients(name, loss, inputs)
        for of, slope in zip(("s", "logits", "ŝ", "logits of x̂"), slopes, strict=True):
            values[f"the gradient of {name}, {of},"] = slope
    s, logits, s_hat, logits_hat = large
    loss_D, loss_G = answer.acgan_losses(s, logits, y, s_hat, logits_hat, y_hat)
    where = "for scores and logits of up to ±200"
    return values | {f"L_D {where}": loss_D, f"L_G {where}": loss_G}


def score(x, y, a, b):
    return (a[y] * x).sum(dim=1) + b[y]


class Maker(nn.Module):
    """G(z, y) = z W + c_y. It remembers the noise and the labels that it gets."""

    def __init__(self, W, c):
        super().__init__()
        (self.latent_dim, _), self.num_classes = W.shape, len(c)
        self.W, self.c, self.seen = nn.Parameter(W.clone()), nn.Parameter(c.clone()), []

    def forward(self, z, y):
        check_shape("the noise", z, (len(y), self.latent_dim), hint="len(x) rows of G.latent_dim.")
        self.seen.append([z.detach().clone(), y.clone()])
        return z @ self.W + self.c[y]


class Scorer(nn.Module):
    """s(x, y) = ⟨a_y, x⟩ + b_y. It remembers the points and the labels that it gets."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b, self.seen = nn.Parameter(a.clone()), nn.Parameter(b.clone()), []

    def forward(self, x, y):
        self.seen.append([x.detach().clone(), y.clone()])
        return score(x, y, self.a, self.b)


def two_rounds(answer, weights, stale, rate, x, y, given):
    """Two rounds with one pair of optimisers, which have momentum; both networks hold earlier gradients."""
    W, c, a, b = weights
    maker, scorer = Maker(W, c), Scorer(a, b)
    players = maker.W, maker.c, scorer.a, scorer.b
    for weight, left in zip(players, stale, strict=True):
        weight.grad = left.clone()
    opt_G, opt_D = (torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9) for net in (maker, scorer))
    rounds = []
    for _ in range(2):
        maker.seen, scorer.seen = [], []
        loss_D, loss_G = answer.play_round(maker, scorer, opt_G, opt_D, x.clone(), y.clone(), given)
        rounds.append({
            "by G": maker.seen, "by D": scorer.seen, "losses": [plain(loss_D), plain(loss_G)],
            "weights": [weight.detach().clone() for weight in players],
            "requires a gradient": [w.requires_grad for w in (*maker.parameters(), *scorer.parameters())],
        })  # fmt: skip
    return {"weights": [W, c, a, b], "rate": rate, "x": x, "y": y, "rounds": rounds}


def q5(answer, draw):
    """With few points; and twice with many, where the weights stand still, and generators begin alike."""
    classes, d, latent = whole(3, 5, draw), whole(2, 4, draw), whole(2, 4, draw)
    seed = whole(0, 2**31 - 1, draw)
    sizes = (latent, d), (classes, d), (classes, d), (classes,)
    weights = [torch.randn(size, generator=draw) for size in sizes]
    stale = [3 * torch.randn(size, generator=draw) for size in sizes]
    rate, n = 0.1 + 0.2 * float(torch.rand((), generator=draw)), whole(7, 12, draw)
    few = stale, rate, 2 * torch.randn(n, d, generator=draw), labels(n, classes, draw)
    many = stale, 0.0, 2 * torch.randn(1000, d, generator=draw), labels(1000, classes, draw)
    return {
        name: two_rounds(answer, weights, *setting, seeded(seed))
        for name, setting in (("few", few), ("many", many), ("again", many))
    }


def judge_wrong_labels(seen, x, y):
    """The one wrong label beside each of the points x, among the pairs that D has seen."""
    which, found = {tuple(point): i for i, point in enumerate(x.tolist())}, [[] for _ in y]
    for points, beside in seen:
        for point, label in zip(points.tolist(), beside.tolist(), strict=True):
            i = which.get(tuple(point))
            if i is not None and label != y[i]:
                found[i].append(label)
    if any(len(wrong) != 1 for wrong in found):
        shown = f"{sum(map(len, found))} wrong pairs are shown to D in a round with {len(x)} real points"
        raise AssertionError(f"{shown}, should be one of each point.")
    return torch.tensor(found)[:, 0]


def judge_two_rounds(got, want):
    """Right for the noise and the wrong labels that were drawn; returns both."""
    x, y, n, drawn = want["x"].double(), want["y"], len(want["x"]), []
    W, c, a, b = players = [weight.double().requires_grad_() for weight in want["weights"]]
    opt_G, opt_D = (torch.optim.SGD(both, lr=want["rate"], momentum=0.9) for both in ((W, c), (a, b)))
    for number, (found, right) in enumerate(zip(got["rounds"], want["rounds"], strict=True), 1):
        where, calls = f"in round {number} with {n} points", found["by G"]
        if len(calls) != 2:
            raise AssertionError(f"the generator is called {len(calls)} times {where}, should be twice.")
        for turn, (noise, asked) in zip(("discriminator's", "generator's"), calls, strict=True):
            check_shape(f"the noise of the {turn} turn", noise, (n, len(W)))
            check_close(f"the labels that G is asked for in the {turn} turn", asked, y)
        z_1, z_2 = (noise.double() for noise, _ in calls)
        y_wrong = judge_wrong_labels(found["by D"], want["x"], y)
        generated = (z_1 @ W + c[y]).detach()
        false = relu(1 + score(generated, y, a, b)).mean() + relu(1 + score(x, y_wrong, a, b)).mean()
        loss_D = relu(1 - score(x, y, a, b)).mean() + false / 2
        opt_D.zero_grad()
        loss_D.backward()
        opt_D.step()
        loss_G = -score(z_2 @ W + c[y], y, a, b).mean()
        opt_G.zero_grad()
        loss_G.backward()
        opt_G.step()
        hint = "Three means; false pairs count half each."
        check_close(f"L_D before its step {where}", found["losses"][0], loss_D, hint=hint)
        hint = "Against the discriminator after its step."
        check_close(f"L_G before its step {where}", found["losses"][1], loss_G, hint=hint)
        if not all(isinstance(loss, float) for loss in found["losses"]):
            raise AssertionError("the two losses must be plain numbers: loss.item().")
        for k, (player, weight) in enumerate(zip(found["weights"], players, strict=True)):
            name, turn = ("generator", "opt_G down L_G") if k < 2 else ("discriminator", "opt_D down L_D")
            hint = f"One step of {turn} in its turn; gradients that were left behind must not count."
            check_close(f"the {name}'s weights after both steps {where}", player, weight, hint=hint)
        if list(found["requires a gradient"]) != right["requires a gradient"]:
            name = "weights no longer require a gradient after a round"
            raise AssertionError(f"{name}; leave them as they are.")
        drawn.append((z_1, z_2, y_wrong))
    return drawn


def judge_q5(got, want):
    """In whatever order noise and wrong labels are drawn: normal, all others alike, drawn anew each time.

    In 4,000 rows of noise a covariance has the standard error 0.016, a variance 0.022. A share p of the
    labels beside n points has (p (1 - p) / n)^(1/2); one of 40 is off by 6 such errors less than once in a
    million times.
    """
    drawn = {name: judge_two_rounds(got[name], want[name]) for name in want}
    hint = "All randomness comes from the generator that is given."
    names = "noise", "next noise", "wrong labels"
    for name, first, again in zip(names, drawn["many"][0], drawn["again"][0], strict=True):
        check_close(f"the {name} for a generator that begins alike", again, first, hint=hint)
    noise = torch.cat([z for one in drawn["many"] for z in one[:2]])
    fresh = len(noise.unique(dim=0))
    name = "how many different rows the noise of both turns of two rounds has"
    check_close(name, fresh, 4000, hint="New noise.")
    check_noise(noise, 0.12, "Standard normal: randn.")
    y, classes = want["many"]["y"], len(want["many"]["weights"][1])
    share, hint = 1 / (classes - 1), "Each label has others, all equally likely: use other_classes."
    for _, _, y_wrong in drawn["many"]:
        for k in range(classes):
            shares = one_hot(y_wrong[y == k], classes).double().mean(dim=0)
            off = shares - share * (torch.arange(classes) != k)
            most = 6 * (share * (1 - share) / int((y == k).sum())) ** 0.5
            name = f"how far the shares of the wrong labels beside class {k} are from {share:.3g}"
            check_range(name, off.abs(), 0, most, hint=hint)


def probabilities(read, classes, draw):
    """Probabilities whose largest one is at `read`; seldom more than a half."""
    probs, rows = torch.randn(len(read), classes, generator=draw).softmax(dim=1), torch.arange(len(read))
    top = probs.argmax(dim=1)
    probs[rows, read], probs[rows, top] = probs[rows, top], probs[rows, read]
    return probs


def q6(answer, draw):
    """A table drawn at random, but for four classes; then a few images.

    Nobody asks for the first of the four, the second is always right; the others are read as two wrong
    classes equally often, the third more often and the fourth less often than as itself.
    """
    classes = whole(6, 9, draw)
    table = torch.randint(4, (classes, classes), generator=draw)
    unasked, right, often, seldom = torch.randperm(classes, generator=draw)[:4].tolist()
    table[[unasked, right, often, seldom]] = 0
    table[right, right] = whole(1, 4, draw)
    for c, itself, other in ((often, 2, 3), (seldom, 5, 2)):
        table[c, c] = itself
        wrong = [k for k in torch.randperm(classes, generator=draw).tolist() if k != c]
        table[c, wrong[:2]] = other
    pairs = torch.cartesian_prod(torch.arange(classes), torch.arange(classes))
    pairs = pairs.repeat_interleave(table.flatten(), dim=0)
    asked, read = pairs[torch.randperm(len(pairs), generator=draw)].T
    few, fewer = whole(4, 8, draw), whole(2, 5, draw)
    sets = {
        f"for {len(pairs)} images of {classes} classes": (probabilities(read, classes, draw), asked),
        f"for {few} images of {fewer} classes":
            (torch.randn(few, fewer, generator=draw).softmax(dim=1), labels(few, fewer, draw)),
    }  # fmt: skip
    values = {}
    for where, (probs, wanted) in sets.items():
        per_class, instead = answer.class_accuracy(probs, wanted)
        values |= {f"per_class {where}": per_class, f"instead {where}": instead}
    return values


def judge_q6(got, want):
    for name, right in want.items():
        hint = "Only wrong classes count; of several read equally often, the lowest; -1 if there is none."
        if name.startswith("per_class"):
            hint = "Divide by how often the class was asked for; 0 if it never was."
        check_close(name, got[name], right, hint=hint)
