"""Hidden checks of homework 07 (see course_utils.grading.hidden)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.grading.drawn import check_near, check_new, check_normal, check_unrelated, seeded, whole
from course_utils.grading.hidden import same


def signed(n, draw):
    """n numbers whose sizes lie in 0.5 … 1.5."""
    return (0.5 + torch.rand(n, generator=draw)) * (2 * torch.randint(2, (n,), generator=draw) - 1)


def schedule(T, draw):
    """alpha_bar, (T + 1,), float64: from 1 down in unequal steps, none small; a little is left at T."""
    steps = 0.5 + torch.rand(T + 1, generator=draw, dtype=torch.float64)
    return 1 - torch.cat([torch.zeros(1), steps[:T].cumsum(dim=0) / steps.sum()])


def two(pair):
    """The two things that are returned; None for what is missing."""
    return pair if isinstance(pair, tuple | list) and len(pair) == 2 else (pair, None)


class Net(nn.Module):
    """Answers slope · x + offset, its two weights; remembers what it is shown and told."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight, self.x, self.t = nn.Parameter(weight.clone()), [], []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.x.append(torch.as_tensor(x).detach().clone())
        self.t.append(torch.as_tensor(t).detach().clone())
        return self.weight[0] * x + self.weight[1]


def q1(answer, draw):
    """Three kinds of images, at times among which are t = 0 and t = T, where alpha_bar is 1 and 0."""
    T, n = whole(6, 30, draw), whole(5, 9, draw)
    bars = schedule(T, draw)
    bars[T] = 0
    c, h, w = (whole(2, 6, draw) for _ in range(3))
    cases = []
    for shape in [(n, c), (n, h, w), (n, c, h, w)]:
        t = torch.cat([torch.tensor([0, T]), torch.randint(T + 1, (n - 2,), generator=draw)])
        t = t[torch.randperm(n, generator=draw)]
        cases.append((torch.randn(shape, generator=draw), torch.randn(shape, generator=draw), t))
    values = {}
    for x_t, v, t in cases:
        x0, eps = two(answer.x0_and_eps_from_v(x_t, v, t, bars))
        what = f"for x_t of the shape {tuple(x_t.shape)}"
        values |= {f"x0 {what}": x0, f"eps {what}": eps}
    x_t, v, t = zip(*cases, strict=True)
    inputs = {"x_t afterwards": x_t, "v afterwards": v, "t afterwards": t, "alpha_bar afterwards": bars}
    return {**values, **inputs}


def batches(draw):
    """Points, for three calls; a few maps; many small images. Their mean square is 2.25, unlike that of ε."""
    c, h, w = (whole(2, 3, draw) for _ in range(3))
    points = 1.5 * torch.randn(2 * whole(150, 200, draw), c, generator=draw)
    maps = 1.5 * torch.randn(whole(5, 9, draw), h + 2, w, generator=draw)
    images = 1.5 * torch.randn(2 * whole(1500, 2000, draw), c, h, w, generator=draw)
    return {"points": points, "points, next": points, "maps": maps, "images": images, "points, again": points}


def calls(loss, x0, draw):
    """For each batch the loss, its gradient, and what the network was shown and told.

    All get one generator, the last call another that begins as it did.
    """
    weight, seed = signed(2, draw), whole(0, 2**31, draw)
    given, values = seeded(seed), {}
    for name, x in x0.items():
        net = Net(weight)
        value = loss(net, x, seeded(seed) if "again" in name else given)
        (gradient,) = check_gradients("the loss", value, [net.weight])
        values[name] = {"loss": value, "gradient": gradient, "x": net.x, "t": net.t}
    return {**values, "x0 afterwards": x0, "weight": weight}


def judge_shown(given, x0):
    """What the network was shown and told: once, and in these shapes."""
    what = f"for x0 of the shape {tuple(x0.shape)}"
    check_close(f"how often the network is asked, {what},", len(given["x"]), 1)
    (x,), (t,) = given["x"], given["t"]
    check_shape(f"what the network is shown, {what},", x, x0.shape)
    check_shape(f"the times that the network is told, {what},", t, x0.shape[:1], hint="One for each image.")
    check_range(f"what the network is shown, {what},", x, -100, 100)
    return x, t


def judge_loss(given, x, target, weight, hint):
    """The loss and its gradient, worked out from what the network was shown."""
    error = weight[0] * x + weight[1] - target
    what = f"of the network {weight[0]:.2f} x {weight[1]:+.2f}, for x0 of the shape {tuple(x.shape)}"
    check_close(f"the loss {what},", given["loss"], error.square().mean(), tol=1e-3, hint=hint)
    slopes = torch.stack([2 * (error * x).mean(), 2 * error.mean()])
    check_close(f"the gradient of the loss {what},", given["gradient"], slopes, tol=2e-3, hint=hint)


def judge_generator(x, t, eps):
    """Points that were drawn: from the generator, and anew in the next call."""
    hint = "Draw everything from the generator that is given."
    for name, shown in (("the times", t), ("what the network is shown", x)):
        check_close(f"{name}, with the same seed again,", shown["points, again"], shown["points"], hint=hint)
    hint = "Do not seed the generator again."
    check_new("ε and the ε of the next call", eps["points"], eps["points, next"], hint)


def q2(answer, draw):
    bars, x0 = schedule(whole(5, 10, draw), draw), batches(draw)
    values = calls(lambda net, x, generator: answer.v_loss(net, x, bars, generator), x0, draw)
    return {**values, "alpha_bar afterwards": bars}


def judge_q2(got, want):
    """With the time that the network was told, x_t is turned back into ε: any order of drawing is right.

    The standard error of a time's share is at most 0.0073. At each time there are at least 3,000 · 8 / 10 ·
    0.8 numbers; the mean square of their ε has the standard error 0.032, its mean product with x0 0.034.
    """
    same(got, want, only=["x0 afterwards", "alpha_bar afterwards"])
    bars, batch = want["alpha_bar afterwards"], want["x0 afterwards"]
    T, x, t, eps, v = len(bars) - 1, {}, {}, {}, {}
    for name, x0 in batch.items():
        x[name], t[name] = judge_shown(got[name], x0)
        kinds = t[name].dtype, x[name].dtype
        if kinds != (torch.int64, torch.float32):
            raise AssertionError(f"t and x_t are {kinds}, should be int64 and float32.")
        hint = "The times are 1 … T; T is len(alpha_bar) - 1."
        check_range(f"the times that the network is told, T = {T},", t[name], 1, T, hint=hint)
        a = bars[t[name]].view(-1, *[1] * (x0.ndim - 1))
        eps[name] = (x[name] - a.sqrt() * x0) / (1 - a).sqrt()
        v[name] = a.sqrt() * eps[name] - (1 - a).sqrt() * x0
    times = t["images"]
    share = times.bincount(minlength=T + 1)[1:] / len(times)
    check_near(f"the share of each time 1 … {T} among those drawn", share, 1 / T, 0.045, hint)
    even = (times - (T + 1) / 2) / ((T**2 - 1) / 12) ** 0.5
    hint = "Each image has a draw of its own."
    check_unrelated("of t with its mean and variance brought to 0 and 1", even, hint)
    hint = "x_t needs alpha_bar[t] of its own image, and the network is told that t."
    for what, other, right in (("square of", eps, 1), ("product with x0 of", batch, 0)):
        products = (eps["images"] * other["images"]).flatten(1).mean(dim=1)
        by_time = torch.stack([products[times == k].mean() for k in range(1, T + 1)])
        name = f"the mean {what} (x_t - √ᾱ x0) / √(1 - ᾱ), for each t of 1, …, {T},"
        check_near(name, by_time, right, 0.22, hint)
    check_normal("(x_t - √ᾱ x0) / √(1 - ᾱ)", eps["images"], "Each number has noise of its own.")
    hint = "The mean of squares, with the ε and the t that x_t was made with: v = √ᾱ ε - √(1 - ᾱ) x0."
    for name in batch:
        judge_loss(got[name], x[name], v[name], want["weight"], hint)
    judge_generator(x, t, eps)
    differ = (t["points, next"] != t["points"]).double().mean()
    name = "the share of points to which the next call gives another time"
    check_range(name, differ, 0.6, 1, hint="Do not seed the generator again.")


def q3(answer, draw):
    """A long step, a step of one, steps to 0, and the shortest of these."""
    T = whole(8, 30, draw)
    bars, s = schedule(T, draw), whole(1, T - 5, draw)
    c, h, w = (whole(2, 5, draw) for _ in range(3))
    times = [(whole(s + 3, T, draw), s), (s + 1, s), (whole(3, T, draw), 0), (1, 0)]
    shapes = [(whole(2, 5, draw), c), (whole(2, 5, draw), c, h, w)]
    cases = [
        (torch.randn(shape, generator=draw), torch.randn(shape, generator=draw), *pair)
        for shape in shapes
        for pair in times
    ]
    values = {}
    for x0, x_t, t, s in cases:
        mean, variance = two(answer.posterior(x0, x_t, t, s, bars))
        what = f"from t = {t} to s = {s}, T = {T}, for images of the shape {tuple(x0.shape)},"
        values |= {f"the mean {what}": mean, f"the variance {what}": variance}
    x0, x_t, *_ = zip(*cases, strict=True)
    return {**values, "x0 afterwards": x0, "x_t afterwards": x_t, "alpha_bar afterwards": bars}


def q4(answer, draw):
    """Images, points, and one step alone. The points get one generator twice, then one that begins alike."""
    T = whole(12, 40, draw)
    bars, weight, seed = schedule(T, draw), signed(2, draw), whole(0, 2**31, draw)
    between = 1 + torch.randperm(T - 1, generator=draw)[: whole(2, 3, draw)]
    times = [T, *sorted(between.tolist(), reverse=True), 0]
    n, c, h, w = 2 * whole(300, 400, draw), *(whole(2, 3, draw) for _ in range(3))
    points = torch.randn(n, c, generator=draw, dtype=torch.float64)
    images = torch.randn(n, c, h, w, generator=draw)
    walks = {
        "points": (points, times), "points, next": (points, times), "images": (images, times),
        "a single step": (images[:4], [T, 0]), "points, again": (points, times),
    }  # fmt: skip
    given, values = seeded(seed), {}
    for name, (x_T, walk) in walks.items():
        net = Net(weight)
        generator = seeded(seed) if "again" in name else given
        end = answer.ancestral(net, x_T, walk, bars, generator)
        keeps = end.requires_grad if isinstance(end, Tensor) else False
        values[name] = {"end": end, "x": net.x, "t": net.t, "keeps gradients": keeps}
    inputs = {"x_T and times afterwards": walks, "alpha_bar afterwards": bars}
    return {"walks": values, **inputs, "weight": weight}


def judge_walk(given, x_T, times, bars, weight, what):
    """The noise of each step but the last, (N, steps, …), from the states; the last step is compared."""
    hint = "Once in each step."
    check_close(f"{what}: how often the network is asked", len(given["x"]), len(times) - 1, hint=hint)
    for t, told in zip(times[:-1], given["t"], strict=True):
        hint = "The time that the step begins at, for each image."
        name = f"{what}: the times that the network is told"
        check_close(name, told, torch.full((len(x_T),), t), hint=hint)
    states = [*given["x"], given["end"]]
    for x, t in zip(states, times, strict=True):
        check_shape(f"{what}: x_t at t = {t}", x, x_T.shape)
        check_range(f"{what}: x_t at t = {t}", x, -1e4, 1e4)
    check_close(f"{what}: x_T, as the network is shown it,", states[0], x_T)
    noise = []
    for (t, s), (x, after) in zip(pairwise(times), pairwise(states), strict=True):
        now, then, x = bars[t], bars[s], x.double()
        x0 = now.sqrt() * x - (1 - now).sqrt() * (weight[0] * x + weight[1])
        kept = now / then
        mean = (then.sqrt() * (1 - kept) * x0 + kept.sqrt() * (1 - then) * x) / (1 - now)
        if s == 0:
            hint = "At s = 0 the mean is the x0 that the last v tells, and the variance is 0."
            check_close(f"{what}: the end, after the step from {t} to 0,", after, mean, tol=1e-3, hint=hint)
        else:
            noise.append((after - mean) / ((1 - then) / (1 - now) * (1 - kept)).sqrt())
            name = f"{what}: the mean square of (x_s - mean) / standard deviation, from t = {t} to s = {s},"
            hint = "Draw x_s as in exercise 3, with the x0 that v tells, and new noise for each number."
            check_near(name, noise[-1].square().mean(), 1, 9 / x.numel() ** 0.5, hint)
    return torch.stack(noise, dim=1) if noise else None


def judge_q4(got, want):
    """What the network is shown are the states, which tell the noise: any order of drawing is right."""
    same(got, want, only=["x_T and times afterwards", "alpha_bar afterwards"])
    bars, walks, noise = want["alpha_bar afterwards"], got["walks"], {}
    for name, (x_T, times) in want["x_T and times afterwards"].items():
        noise[name] = judge_walk(walks[name], x_T, times, bars, want["weight"], name)
        keeps, hint = walks[name]["keeps gradients"], "Sample under torch.no_grad()."
        check_close(f"{name}: whether the end keeps gradients", keeps, False, hint=hint)
    for name in ("images", "points"):
        hint = "Each number has noise of its own, in each step."
        check_normal(f"(x_s - mean) / standard deviation in all steps of the {name}", noise[name], hint)
    hint = "Use the generator that is given."
    end, again = walks["points"]["end"], walks["points, again"]["end"]
    check_close("the end with the same seed again", again, end, hint=hint)
    hint = "Each call draws new noise from the generator."
    check_new("the noise of one call and of the next", noise["points"], noise["points, next"], hint)


def q5(answer, draw):
    return calls(answer.flow_loss, batches(draw), draw)


def judge_q5(got, want):
    """With the time that the network was told, x_τ is turned back into ε: any order of drawing is right."""
    same(got, want, only=["x0 afterwards"])
    batch, x, tau, eps = want["x0 afterwards"], {}, {}, {}
    for name, x0 in batch.items():
        x[name], tau[name] = judge_shown(got[name], x0)
        hint = "τ = 1 / (1 + e^-u)."
        check_range("the times that the network is told", tau[name], 1e-4, 1 - 1e-4, hint=hint)
        each = tau[name].double().view(-1, *[1] * (x0.ndim - 1))
        eps[name] = (x[name] - each * x0) / (1 - each)
    hint = "u is standard normal, τ = 1 / (1 + e^-u), and each image has a draw of its own."
    u = tau["images"].double().logit()
    check_normal("u = log(τ / (1 - τ))", u, hint)
    hint = "x_τ = (1 - τ) ε + τ x0, with the τ that the network is told, and new noise for each number."
    check_normal("ε = (x_τ - τ x0) / (1 - τ)", eps["images"], hint)
    squares, products = ((eps["images"] * other["images"]).flatten(1).mean(dim=1) for other in (eps, batch))
    bound = 8 / len(u) ** 0.5
    check_near("the mean product of u and ε²", (u * squares).mean(), 0, bound, hint)
    check_near("the mean product of ε and x0", products.mean(), 0, bound, hint)
    hint = "The mean of squares of u_θ - (x0 - ε), with the ε that x_τ was made with."
    for name, x0 in batch.items():
        judge_loss(got[name], x[name], x0 - eps[name], want["weight"], hint)
    judge_generator(x, tau, eps)
    moved = (tau["points, next"] - tau["points"]).abs().mean()
    name = "how far τ moves from one call to the next, on average,"
    check_range(name, moved, 0.1, 0.5, hint="Do not seed the generator again.")


def q6(answer, draw):
    """`guided` inside, outside and at the ends; `drop_labels` of many labels, and many times of a few."""
    c, h, w = (whole(2, 5, draw) for _ in range(3))
    cases = []
    for shape in [(whole(2, 6, draw), c), (whole(2, 6, draw), c, h, w)]:
        low, high = whole(100, 300, draw), whole(400, 800, draw)
        v_with, v_without = (torch.randn(shape, generator=draw) for _ in range(2))
        weights = torch.rand(2, generator=draw) * torch.tensor([0.9, 4]) + torch.tensor([0, 1.2])
        times = [low, high, whole(low + 1, high - 1, draw), low - 1, high + 1, whole(1, 99, draw), 1000]
        cases += [(v_with, v_without, w_, t, low, high) for w_ in weights.tolist() for t in times]
    classes, nothing = whole(4, 9, draw), whole(13, 40, draw)
    y, few = (torch.randint(classes, (n,), generator=draw) for n in (20_000, whole(5, 8, draw)))
    p = (whole(1, 5, draw) + 0.5 + 0.2 * float(torch.rand((), generator=draw)) - 0.1) / 10
    seed = whole(0, 2**31, draw)

    guided = {}
    for v_with, v_without, w_, t, low, high in cases:
        what = f"for w = {w_:.3f}, t = {t}, low = {low}, high = {high}, images {tuple(v_with.shape)}"
        guided[what] = answer.guided(v_with, v_without, w_, t, low, high)
    given = seeded(seed)
    dropped = {
        "some": answer.drop_labels(y[:2000], nothing, p, given),
        "some, next": answer.drop_labels(y[:2000], nothing, p, given),
        "some, again": answer.drop_labels(y[:2000], nothing, p, seeded(seed)),
        "all": answer.drop_labels(y, nothing, p, given),
        "drop_labels for p = 0": answer.drop_labels(y[:99], nothing, 0.0, given),
        "drop_labels for p = 1": answer.drop_labels(y[:99], nothing, 1.0, given),
        "a few": [answer.drop_labels(few, nothing, p, given) for _ in range(500)],
    }
    inputs = {"v_with": [case[0] for case in cases[::14]], "v_without": [case[1] for case in cases[::14]]}
    inputs |= {"y": y, "a few labels": few}
    inputs = {f"{name} afterwards": of for name, of in inputs.items()}
    return {"guided": guided, **dropped, **inputs, "nothing": nothing, "p": p}


def judge_q6(got, want):
    """The bounds are six standard errors or more: those of the share of 20,000 labels that are dropped, of
    the share of a class (0.5 / √2,000), of the share of 2,000 that differ (0.5 / √2,000), and of the
    variance of 500 counts (7 %).
    """
    same(got, want, only=["guided", *(name for name in want if name.endswith("afterwards"))])
    y, few, p, nothing = want["y afterwards"], want["a few labels afterwards"], want["p"], want["nothing"]
    gone = {}
    for name in ("some", "some, next", "some, again", "all"):
        right = y if name == "all" else y[:2000]
        check_shape("drop_labels(y, nothing, p, generator)", got[name], right.shape)
        if (kind := got[name].dtype) != torch.int64:
            raise AssertionError(f"the labels are {kind} after drop_labels, should be int64 as before.")
        gone[name] = got[name] == nothing
        right = right.masked_fill(gone[name], nothing)
        check_close(f"the labels after drop_labels, where they are not {nothing},", got[name], right)
    missing, own = gone["all"].double(), "Each label has a draw of its own."
    check_near(f"the share of labels dropped for p = {p:.3f}", missing.mean(), p, 0.022, own)
    of_class = torch.stack([missing[y == k].mean() for k in y.unique()])
    check_near(f"the share dropped of each class for p = {p:.3f}", of_class, p, 0.07, own)
    name = "of which labels are dropped, with mean and variance brought to 0 and 1"
    check_unrelated(name, (missing - p) / (p * (1 - p)) ** 0.5, own)
    hint = "Use the generator that is given for every draw."
    check_close("drop_labels with the same seed again", got["some, again"], got["some"], hint=hint)
    differ = (gone["some, next"] != gone["some"]).double().mean()
    check_near("the share of labels that the next call treats otherwise", differ, 2 * p * (1 - p), 0.07, hint)
    same(got, want, only=["drop_labels for p = 0", "drop_labels for p = 1"])
    n = len(few)
    for row in got["a few"]:
        check_shape(f"drop_labels of {n} labels", row, (n,))
    counts = (torch.stack(got["a few"]) == nothing).double().sum(dim=1)
    name = f"the variance of how many of {n} labels are dropped, divided by {n} p (1 - p),"
    check_near(name, counts.var() / (n * p * (1 - p)), 1, 0.5, own)
