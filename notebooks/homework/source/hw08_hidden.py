"""Hidden checks of homework 08 (see course_utils.grading.hidden)."""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_close, check_range, check_shape
from course_utils.diffusion import Step
from course_utils.grading.drawn import (
    between,
    check_near,
    check_new,
    check_normal,
    check_refused,
    check_unrelated,
    outcome,
    seeded,
    whole,
)
from course_utils.grading.hidden import same


def q1(answer, draw):
    """Schedules from 1 to 0. For the shares some times are without noise, some have exactly the ratio 1."""
    T, clean, equal = whole(50, 99, draw), whole(2, 5, draw), whole(2, 5, draw)
    bars = torch.rand(T + 1, generator=draw, dtype=torch.float64).sort(descending=True).values
    bars[0], bars[T] = 1, 0
    shares = bars.clone()
    shares[1 : 1 + clean] = 1
    shares[shares.sub(0.5).abs().argsort()[:equal]] = 0.5
    shares = shares.sort(descending=True).values
    scales = [between(1.3, 7, draw), between(0.1, 0.8, draw)]
    wide = (shares[:-1] - shares[1:]).argsort(descending=True)[:6]
    middle = (shares[wide] + shares[wide + 1]) / 2  # alpha_bar in the six widest gaps
    ratios = [1.0, between(500, 2000, draw), *(middle / (1 - middle)).tolist()]
    single = shares.float()
    seen = {f"schedule_seen for s = {s:.3f}": answer.schedule_seen(bars, s) for s in scales}
    above = {f"share_above for the ratio {ratio:.3f}": answer.share_above(shares, ratio) for ratio in ratios}
    above["share_above for the ratio 1 in float32"] = answer.share_above(single, 1.0)
    return {**seen, **above, "alpha_bar afterwards": [bars, shares, single]}


class Codec(nn.Module):
    """Halves the sides; mu and log sigma² are mixtures of the channels, by its weight (2, c, C)."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_variance = torch.einsum("kcd,ndhw->knchw", self.weight, F.avg_pool2d(x, 2))
        return mu, log_variance


class Loss(nn.Module):
    """Two weights, times the mean square of the codes and the mean of the tokens; remembers both."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight, self.z, self.y = nn.Parameter(weight.clone()), [], []

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        self.z.append(z.detach().clone())
        self.y.append(y.clone())
        return self.weight[0] * z.square().mean() + self.weight[1] * y.float().mean()


def q2(answer, draw):
    """One generator for many images twice, then for a few many times; another that begins as it did."""
    c, h, w = (whole(2, 3, draw) for _ in range(3))
    n, length = 2 * whole(600, 800, draw), whole(4, 8, draw)
    mixture = torch.randn(2, c, 3, generator=draw) * torch.tensor([2.0, 1.0]).view(2, 1, 1)
    weight, x = 0.5 + torch.rand(2, generator=draw), torch.randn(n, 3, 2 * h, 2 * w, generator=draw)
    y, nothing = torch.randint(50, (n, length), generator=draw), whole(60, 99, draw)
    scale = between(0.2, 0.6, draw) if whole(0, 1, draw) else between(6, 9, draw)
    p, seed = between(0.15, 0.35, draw), whole(0, 2**31, draw)
    mu, log_variance = Codec(mixture).posterior(x)

    def step(n, p, generator):
        codec, loss = Codec(mixture), Loss(weight)
        value = answer.second_stage_loss(codec, scale, loss, x[:n], y[:n], nothing, p, generator)
        return value, codec, loss

    given = seeded(seed)
    value, codec, loss = step(n, p, given)
    if isinstance(value, Tensor) and value.requires_grad:
        value.backward()
    values = {
        "loss": value,
        "gradient": loss.weight.grad,
        "the gradient that reaches the codec's weight": codec.weight.grad,
        "whether the codec's weight still asks for gradients": codec.weight.requires_grad,
        "the codec's weight afterwards": codec.weight,
        "first": {"z": loss.z, "y": loss.y},
    }
    for name, generator in (("next", given), ("again", seeded(seed))):
        *_, loss = step(n, p, generator)
        values[name] = {"z": loss.z, "y": loss.y}
    for q in (0.0, 1.0):
        values[f"the tokens for p = {q}"] = step(9, q, given)[2].y
    values["a few"] = [step(6, p, given)[2].y for _ in range(400)]
    inputs = {"x afterwards": x, "y afterwards": y, "mu": mu, "log_variance": log_variance}
    return {**values, **inputs, "weight": weight, "scale": scale, "p": p, "nothing": nothing}


def judge_q2(got, want):
    """The codes are turned back into noise: any order of drawing is right.

    The bounds are six standard errors or more: at most 0.014 for the share of 1,200 sentences that is lost,
    and 8 % for the variance of how many of six are, in 400 calls.
    """
    same(got, want, only=["x afterwards", "y afterwards"])
    mu, tokens, p, nothing = want["mu"], want["y afterwards"], want["p"], want["nothing"]
    z, y, lost = {}, {}, {}
    for name in ("first", "next", "again"):
        check_close("how often diffusion_loss is asked", len(got[name]["z"]), 1)
        (z[name],), (y[name],) = got[name]["z"], got[name]["y"]
        check_shape("the codes that diffusion_loss gets", z[name], mu.shape)
        check_shape("the tokens that diffusion_loss gets", y[name], tokens.shape)
        lost[name] = (y[name] == nothing).all(dim=1)
    eps = {name: (want["scale"] * z[name] - mu) / (want["log_variance"] / 2).exp() for name in z}
    what = "(scale · code - mu) / sigma"
    hint = "The codes are (mu + sigma · noise) / scale, with new noise for each number."
    check_normal(what, eps["first"], hint)
    product = (eps["first"] * mu).mean() / mu.square().mean().sqrt()
    check_near(f"the mean product of {what} and mu", product, 0, 7 / mu.numel() ** 0.5, hint)
    if (kind := y["first"].dtype) != torch.int64:
        raise AssertionError(f"diffusion_loss gets tokens of the type {kind}, should be torch.int64.")
    right = tokens.masked_fill(lost["first"][:, None], nothing)
    hint = f"A sentence is lost as a whole, all its tokens become {nothing}, or it stays as it is."
    check_close("the tokens that diffusion_loss gets", y["first"], right, hint=hint)
    gone, own = lost["first"].double(), "Each sentence has a draw of its own, and is lost with probability p."
    check_near(f"the share of sentences lost for p = {p:.3f}", gone.mean(), p, 0.09, own)
    name = "of which sentences are lost, with mean and variance brought to 0 and 1"
    check_unrelated(name, (gone - p) / (p * (1 - p)) ** 0.5, own)

    error = want["weight"][0] * z["first"].square().mean() + want["weight"][1] * y["first"].float().mean()
    check_close("the loss", got["loss"], error, hint="It is what diffusion_loss gives.")
    if got["gradient"] is None:
        raise AssertionError("the loss has no gradient: something was detached, or made a plain number.")
    slopes = torch.stack([z["first"].square().mean(), y["first"].float().mean()])
    check_close("the gradient of the diffusion model's weights", got["gradient"], slopes)
    same(got, want, only=[name for name in want if "codec's weight" in name])

    hint = "Use the generator that is given for every draw."
    check_close("the codes with the same seed again", z["again"], z["first"], hint=hint)
    check_close("the tokens with the same seed again", y["again"], y["first"], hint=hint)
    check_new("the noise of two calls", eps["first"], eps["next"], hint)
    differ = (lost["first"] != lost["next"]).double().mean()
    name = "the share of sentences that the next call treats otherwise"
    check_near(name, differ, 2 * p * (1 - p), 0.09, hint)
    same(got, want, only=[name for name in want if "the tokens for" in name])
    for few in got["a few"]:
        check_shape("the tokens of six sentences that diffusion_loss gets", few[0], (6, tokens.shape[1]))
    counts = torch.stack([(few[0] == nothing).all(dim=1).sum() for few in got["a few"]]).double()
    name = "the variance of how many of 6 sentences are lost, divided by 6 p (1 - p),"
    check_near(name, counts.var() / (6 * p * (1 - p)), 1, 0.55, own)


def q3(answer, draw):
    """Four sentences, whose weights are 1, any, 0 for the last words, and all 0; once q · k / √d is some
    hundreds.

    Those loud words are the last ones, and loud in every other place: in the others they are at minus some
    hundreds.
    """
    heads, places, words = whole(2, 3, draw), whole(3, 6, draw), whole(5, 8, draw)
    d, d_v, last = whole(3, 9, draw), whole(2, 7, draw), whole(2, 3, draw)
    weight = 0.1 + 3 * torch.rand(4, words, generator=draw)
    weight[0], weight[2, words - last :], weight[3] = 1, 0, 0
    sizes = {"q": (places, d), "k": (words, d), "v": (words, d_v)}
    usual = {name: torch.randn(4, heads, *size, generator=draw) for name, size in sizes.items()}
    loud = {name: x.clone() for name, x in usual.items()}
    loud["q"][:] = torch.tensor([1.0, -1.0]).repeat(places)[:places, None]
    loud["k"][:, :, words - last :] += between(200, 400, draw) / d**0.5
    weight = weight[torch.randperm(4, generator=draw)]
    cases = {"": usual, ", if q · k / √d is some hundreds for some words,": loud}
    values = {case: answer.attend(**given, weight=weight) for case, given in cases.items()}
    return {"taken": values, "q, k, v afterwards": list(cases.values()), "weight afterwards": weight}


def judge_q3(got, want):
    same(got, want, only=[name for name in want if "afterwards" in name])
    for case, right in want["taken"].items():
        taken = got["taken"][case]
        check_shape("what is taken", taken, right.shape)
        for one, other, weight in zip(taken, right, want["weight afterwards"], strict=True):
            weights = ", ".join(f"{w:.2f}" for w in weight)
            check_close(f"what a sentence with the weights {weights} takes{case}", one, other, tol=1e-3)


def q4(answer, draw):
    """Margins as wide as the decoder sees, with tiles that do not fit; margins too narrow, where each cell
    more or less counts, with tiles that do; no margin; and a tile larger than the map.
    """
    cases, factors = [], (1 + torch.randperm(4, generator=draw)).tolist()
    for kind, f in zip(("wide", "narrow", "none", "large"), factors, strict=True):
        tile, margin = whole(2, 4, draw), 0 if kind == "none" else whole(2, 3, draw)
        sides = [tile * (2 + k) for k in torch.randperm(3, generator=draw)[:2].tolist()]
        if kind == "wide":
            sides = [side + whole(1, tile - 1, draw) for side in sides]
        tile += 12 * (kind == "large")
        sees = margin - 1 if kind == "wide" else margin  # beside one cell in the last layer
        c, out = whole(1, 3, draw), whole(1, 3, draw)
        shapes = [(5, c, 2 * sees + 1, 2 * sees + 1), (5, 5, f, f), (out, 5, 3, 3)]
        layers = [torch.randn(shape, generator=draw) / (shape[1] * shape[2]) for shape in shapes]
        cases.append((torch.randn(2, c, *sides, generator=draw), f, tile, margin, layers))

    values = {}
    for z, f, tile, margin, (first, middle, last) in cases:
        given = []

        def decode(z, f=f, first=first, middle=middle, last=last, given=given):
            given.append(list(z.shape[2:]))
            h = F.silu(F.conv2d(z, first, torch.ones(5), padding=first.shape[2] // 2))
            return 3 * F.conv2d(F.silu(F.conv_transpose2d(h, middle, stride=f)), last, padding=1)

        what = "{} × {} cells, f = {}, tiles of {} with a margin of {}".format(*z.shape[2:], f, tile, margin)
        picture = answer.decode_in_tiles(decode, z, f, tile, margin)
        values[what] = {"picture": picture, "sides": given, "most": tile + 2 * margin}
    return {"pictures": values, "z afterwards": [z for z, *_ in cases]}


def judge_q4(got, want):
    same(got, want, only=["z afterwards"])
    for name, right in want["pictures"].items():
        picture, sides = (got["pictures"][name][what] for what in ("picture", "sides"))
        hint = "Each cell gives f × f pixels; the margins are cut off, and the last tiles are kept."
        check_shape(f"{name}: the picture", picture, right["picture"].shape, hint=hint)
        hint = "At most `tile` cells, and `margin` more on either side."
        check_range(f"{name}: the cells side by side given to decode", sides, 1, right["most"], hint=hint)
        hint = "Decode a tile with `margin` cells around it, as far as the map goes, and cut them off again."
        check_close(f"{name}: the picture", picture, right["picture"], tol=1e-3, hint=hint)


def q5(answer, draw):
    """Cells that lose one pixel, or keep one; and a height, and a width, that f does not divide."""
    cases, unfit = [], []
    for f in (whole(2, 4, draw), whole(5, 8, draw), 1):
        shape = whole(2, 5, draw), whole(3, 7, draw), whole(3, 7, draw)
        one = F.one_hot(torch.randint(f * f, shape, generator=draw), f * f).bool()  # of each cell's pixels
        kept = torch.where(torch.rand(shape, generator=draw)[..., None] < 0.4, ~one, one)
        kept = kept | (torch.rand(shape, generator=draw) < 0.4)[..., None]
        mask = kept.unflatten(3, (f, f)).transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, None]
        cases.append((mask, f))
    for which in (0, 1):
        f = whole(3, 8, draw)
        sides = [f * whole(5, 9, draw), f * whole(5, 9, draw)]
        sides[which] += 100 * f + whole(1, f - 1, draw)
        unfit.append((sides, f, sides[which]))
    masks = [torch.ones(2, 1, *sides, dtype=torch.bool) for sides, *_ in unfit]

    values = {}
    for mask, f in cases:
        values[f"the mask of codes for a mask {tuple(mask.shape)}, f = {f},"] = answer.code_mask(mask, f)
    said = [
        outcome(lambda mask=m, f=f: answer.code_mask(mask, f))
        for m, (_, f, _) in zip(masks, unfit, strict=True)
    ]
    return {"masks": values, "said": said, "unfit": unfit, "mask afterwards": [mask for mask, _ in cases]}


def judge_q5(got, want):
    same(got, want, only=["mask afterwards"])
    for name, right in want["masks"].items():
        cells, hint = got["masks"][name], "A cell is kept only if all its pixels are."
        check_shape(name, cells, right.shape)
        if cells.dtype != torch.bool:
            raise AssertionError(f"{name} has the type {cells.dtype}, should be torch.bool.")
        check_close(f"{name} as 0 and 1,", cells, right, hint=hint)
    for ((height, width), f, side), said in zip(want["unfit"], got["said"], strict=True):
        case = f"code_mask of a mask of {height} × {width} with f = {f}"
        text = check_refused(case, said)
        if not re.search(rf"(?<!\d){side}(?!\d)", text):
            raise AssertionError(f"{case} raises a ValueError with {text!r}, should name the {side}.")


class Recorder:
    """Stands in for a sampler: remembers what it is given, and arrives at the codes `end`."""

    def __init__(self, end: Tensor):
        self.end, self.given = end, []

    def __call__(self, model, x_T, *, steps, y=None, guidance=1.0, negative=None, start=None, generator=None):
        given = {"steps": steps, "y": y, "guidance": guidance, "start": start}
        self.given.append({"model": type(model).__name__, "z_t": x_T.detach().clone(), **given})
        on_the_way = [Step(900, x_T, None, None), Step(400, 0.5 * x_T, x_T, x_T)]
        return iter([*on_the_way, Step(0, self.end, self.end, x_T)])


def q6(answer, draw):
    """Twice with one generator; then other images, and another t_0, with one that begins as it did."""
    n, seed, cases = whole(3, 4, draw), whole(0, 2**31, draw), []
    for low, high in ((20, 400), (500, 900)):
        images, said = torch.randperm(len(answer.test.x), generator=draw)[: 2 * n].view(2, n)
        x = answer.test.x[images] * between(0.6, 1, draw)
        sentences = [answer.test.captions[i] for i in said.tolist()]
        cases.append((x, sentences, whole(low, high, draw), between(1.2, 5, draw)))
    first, other = cases
    z = {"first": answer.ldm.codec.encode(first[0]), "again": answer.ldm.codec.encode(other[0])}
    end = 1.5 * torch.randn(z["first"].shape, generator=draw)
    given, values = seeded(seed), {}
    new = seeded(seed)
    for name, case, generator in (("first", first, given), ("next", first, given), ("again", other, new)):
        sampler = Recorder(end)
        with torch.no_grad():
            x_new = answer.restyle(answer.ldm, *case, sampler, generator)
        values[name] = {"sampler": sampler.given, "x_new": x_new}
    inputs = {"x afterwards": [x for x, *_ in cases], "sentences afterwards": [said for _, said, *_ in cases]}
    return {**values, **inputs, "z": z, "alpha_bar": answer.ldm.diffusion.schedule.alpha_bar}


def judge_q6(got, want):
    """z_t is turned back into the noise: any way to draw it is right, but one seed gives one noise for all
    images and all t_0, and so tells exactly whether z and ε have the right factors.
    """
    same(got, want, only=["x afterwards", "sentences afterwards"])
    hints = {
        "model": "The model is ldm.diffusion.", "start": "Pass start=t_0.", "guidance": "Pass guidance=w.",
        "y": "Pass the tokens of the new sentences as y.", "steps": "It takes ten steps.",
    }  # fmt: skip
    eps = {}
    for name in ("first", "next", "again"):
        (right,), z = want[name]["sampler"], want["z"]["again" if name == "again" else "first"]
        check_close("how often the sampler that is given is called", len(got[name]["sampler"]), 1)
        (given,), case = got[name]["sampler"], f"what the sampler gets for t_0 = {right['start']}:"
        for what, hint in hints.items():
            if given[what] is None:
                raise AssertionError(f"{case} no {what}. {hint}")
            try:
                same(given, right, only=[what])
            except AssertionError as error:
                raise AssertionError(f"{case} {str(error).rstrip('.')}. {hint}") from None
        check_shape(f"{case} z_t", given["z_t"], z.shape)
        if (kind := given["z_t"].dtype) != torch.float32:
            raise AssertionError(f"{case} {kind}, should be torch.float32: convert alpha_bar.")
        a = want["alpha_bar"][right["start"]]
        eps[name] = (given["z_t"] - a.sqrt() * z) / (1 - a).sqrt()
    what, hint = "(z_t - √ᾱ_t z) / √(1 - ᾱ_t)", "√ᾱ_t times the codes from `encode`, plus √(1 - ᾱ_t) times ε."
    check_normal(what, eps["first"], f"{hint} Each number has noise of its own.")
    alike = F.cosine_similarity(eps["first"].flatten(), eps["again"].flatten(), dim=0)
    name = f"the cosine similarity of {what} in two calls with one seed"
    own = "Draw ε with the generator that is given."
    check_range(name, alike, 0.3, 1.01, hint=own)
    name = f"{what} for other images and another t_0, with the same seed,"
    check_close(name, eps["again"], eps["first"], tol=1e-3, hint=hint)
    check_new(f"{what} in two calls", eps["first"], eps["next"], own)
    for name in ("first", "again"):
        x_new, right = got[name]["x_new"], want[name]["x_new"]
        check_shape("restyle(...)", x_new, right.shape)
        hint = "Decode x_t of the last step, and clamp the pixels after that."
        check_range("the brightness of the result's pixels", x_new, -1, 1, hint=hint)
        check_close("the picture", x_new, right, tol=1e-3, hint=hint)
