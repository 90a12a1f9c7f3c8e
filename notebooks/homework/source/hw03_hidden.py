"""Hidden checks of homework 03 (see course_utils.grading.hidden)."""

import torch
from torch import nn

from course_utils.checks import check_close, check_gradients, check_range, check_shape
from course_utils.grading.drawn import between, check_near, plain, seeded, share_different, whole
from course_utils.grading.hidden import same


class Convolution(nn.Module):
    """A small model that remembers what it is shown."""

    def __init__(self, colours, draw):
        super().__init__()
        self.layer, self.seen = nn.Conv2d(colours, colours, 3, padding=1), []
        for weights in self.parameters():
            weights.data = 0.3 * torch.randn(weights.shape, generator=draw)

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return self.layer(x)


def q1(answer, draw):
    """Two steps with momentum for each kind of mask, the first with an old gradient.

    Of the images one has lost nothing and one everything, so that means over images are other means.
    """
    n, colours, height, width = (whole(low, low + 2, draw) for low in (3, 2, 4, 5))
    x = 2 * torch.rand(n, colours, height, width, generator=draw) - 1
    kinds = {"pixels with all their colours": 1, "values of single colours": colours}
    often = 0.2 + 0.6 * torch.rand(n, 1, 1, 1, generator=draw)
    often[0], often[1] = 0, 1
    lost = [torch.rand(n, c, height, width, generator=draw) < often for c in kinds.values()]
    models = [Convolution(colours, draw) for _ in kinds]
    lr = between(0.2, 0.5, draw)
    found = {}
    for what, mask, model in zip(kinds, lost, models, strict=True):
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.5)
        for weights in model.parameters():
            weights.grad = torch.ones_like(weights)
        for step in (1, 2):
            images, places = x.clone(), mask.clone()
            model.seen.clear()
            loss = answer.training_step(model, optimizer, images, places)
            found[f"step {step}, where {what} are lost"] = {
                "the images, afterwards,": images,
                "the mask, afterwards,": places,
                "what the model is shown": torch.cat(model.seen or [x[:0]]),
                "the loss that comes back": plain(loss),
                "the weights, afterwards,": nn.utils.parameters_to_vector(model.parameters()),
            }
    return found


def judge_q1(got, want):
    hints = {
        "the images, afterwards,": "Work on a copy.",
        "the mask, afterwards,": "Work on a copy.",
        "what the model is shown": "Each image once, before the step: 0 where `lost` is true, x elsewhere.",
        "the loss that comes back": "All lost values of the batch count alike, and no others.",
        "the weights, afterwards,": "One step of the optimizer; gradients from before it are forgotten.",
    }
    for step, values in want.items():
        for name, value in values.items():
            check_close(f"{step}: {name}", got[step][name], value, hint=hints[name])
        if not isinstance(got[step]["the loss that comes back"], float):
            raise AssertionError(f"{step}: the loss that comes back is no plain number: loss.item().")


def q2(answer, draw):
    """More rows than numbers and fewer; x has another mean than x_train, several rows and one alone."""
    small, large = whole(4, 6, draw), whole(9, 12, draw)
    found = {}
    for m, size in ((whole(60, 120, draw), small), (whole(7, 8, draw), large)):
        turn = torch.linalg.qr(torch.randn(size, size, generator=draw)).Q
        spread = 4 * 0.6 ** torch.arange(size)
        x_train = torch.randn(m, size, generator=draw) * spread @ turn + 3 * torch.randn(size, generator=draw)
        x = x_train[:5] + 2 * torch.randn(5, size, generator=draw) + torch.randn(size, generator=draw)
        for d in (1, 2, 3, size)[: 4 if m > size else 3]:
            rows, data = x.clone(), x_train.clone()
            name = f"{m} rows of {size} numbers in x_train, d = {d}"
            found[f"{name}: the reconstruction of 5 rows"] = answer.pca_reconstruct(rows, data, d)
            found |= {f"{name}: x, afterwards,": rows, f"{name}: x_train, afterwards,": data}
            found[f"{name}: the reconstruction of one row"] = answer.pca_reconstruct(x[2:3], x_train, d)
    return found


def judge_q2(got, want):
    same(got, want, tol=1e-3)


def q3(answer, draw):
    """2,000 times a few images, all with one generator; 20 times with another that begins as it did."""
    x = 1.8 * torch.rand(whole(2, 3, draw), whole(2, 3, draw), 2, whole(3, 4, draw), generator=draw) - 0.9
    p, seed = between(0.3, 0.6, draw), whole(0, 2**31 - 1, draw)
    kept, given, alike = x.clone(), seeded(seed), seeded(seed)
    damaged = [torch.as_tensor(answer.salt_and_pepper(x, p, given)).clone() for _ in range(2000)]
    again = [torch.as_tensor(answer.salt_and_pepper(kept.clone(), p, alike)) for _ in range(20)]
    return {
        "the input": kept, "the input, afterwards,": x, "p": p,
        "damaged": torch.stack(damaged), "damaged again": torch.stack(again),
        "the result with p = 0": answer.salt_and_pepper(kept.clone(), 0.0, given),
        "the result with p = 1": answer.salt_and_pepper(kept.clone(), 1.0, given),
    }  # fmt: skip


def judge_q3(got, want):
    """In whatever order it is drawn: each value of each call must be damaged by itself, black as often as white.

    With 2,000 calls a share has a standard error of at most 0.011, a mean of 1 and -1 of 0.017, each of 2,600
    covariances of 0.022 (divided by what the variances should be), a variance of a sum of 0.032. Bounds are 7 of these.
    """
    x, p = want["the input"], want["p"]
    same(got, want, only=["the input, afterwards,", "the result with p = 0"])
    damaged, again, full = got["damaged"], got["damaged again"], got["the result with p = 1"]
    check_shape("the results of 2,000 calls", damaged, (2000, *x.shape))
    check_close("the size of all values with p = 1", full.abs(), torch.ones_like(x))
    hint = "All randomness comes from the generator that is given."
    check_close("20 results for a generator that begins alike", again, damaged[:20], hint=hint)
    moved = (damaged[1:] != damaged[:-1]).double().mean()
    check_range("the share of values that change from one call to the next", moved, 0.4, 0.75, hint=hint)
    colour = ((damaged == 1).double() - (damaged == -1).double()).flatten(1)  # 0: as it was
    hit, expected = colour.abs(), x.flatten().expand_as(colour)
    kept = torch.where(hit == 1, expected, damaged.flatten(1))
    check_close("what is neither 1 nor -1 afterwards", kept, expected, hint="It should stay as it was.")
    check_near(f"the share of damaged values for p = {p:.3f}", hit.mean(), p, 0.022)
    check_near("the mean of 1 for white, -1 for black and 0 for others", colour.mean(), 0.0, 0.035)
    hint = "Each call and each value draws anew from the generator that is given."
    check_near("how often each value is damaged in 2,000 calls", hit.mean(dim=0), p, 0.08, hint)
    check_near("the mean colour of each value in 2,000 calls", colour.mean(dim=0), 0.0, 0.13, hint)
    hint = "Each of the N · C · H · W values is damaged, black or white independently of the others."
    for what, values, variance in (("damage", hit, p * (1 - p)), ("black or white", colour, p)):
        between_two = (values.T.cov() / variance).fill_diagonal_(0)
        check_near(f"the correlation of {what} at two places", between_two, 0.0, 0.165, hint)
        ratio = values.sum(dim=1).var() / (x.numel() * variance)
        name = f"the variance of the sum of {what} in a batch, as a share of what it should be,"
        check_near(name, ratio, 1.0, 0.23, hint)


class Linear:
    """A small autoencoder that remembers what its encoder sees."""

    def __init__(self, down, up, shape):
        self.down, self.up, self.shape, self.seen = down, up, shape, []

    def encode(self, x):
        self.seen.append(x.detach().clone())
        return x.flatten(1) @ self.down

    def decode(self, z):
        return (z @ self.up).view(-1, *self.shape)

    def reconstruct(self, x):
        return self.decode(self.encode(x))

    __call__ = forward = reconstruct


def q4(answer, draw):
    """Four losses: with little damage, with much, the next one, and with a generator that begins as that did."""
    n, shape, d = whole(90, 110, draw), (whole(1, 3, draw), whole(4, 6, draw), 7), whole(2, 4, draw)
    x = 1.8 * torch.rand(n, *shape, generator=draw) - 0.9
    size = x[0].numel()
    down = (torch.randn(size, d, generator=draw) / size**0.5).requires_grad_()
    up = torch.randn(d, size, generator=draw).requires_grad_()
    little, much, seed = between(0.1, 0.2, draw), between(0.5, 0.8, draw), whole(0, 2**31 - 1, draw)
    first, given, alike = seeded(seed + 1), seeded(seed), seeded(seed)
    found = {"x": x.clone(), "down": down.detach().clone(), "up": up.detach().clone(), "p": [little, much]}
    calls = {"little": (little, first), "much": (much, given), "next": (much, given), "again": (much, alike)}
    for what, (p, generator) in calls.items():
        model, images = Linear(down, up, shape), x.clone()
        loss = answer.denoising_loss(model, images, p, generator)
        check_shape("the loss", loss, ())
        gradients = check_gradients("the loss", loss, [down, up])
        found[what] = {
            "seen": torch.cat(model.seen or [x[:0]]), "loss": loss, "gradients": gradients, "afterwards": images
        }  # fmt: skip
    return found


def judge_q4(got, want):
    """In whatever order it is drawn: from what the encoder saw the loss follows.

    Of at least 2,520 values a share has a standard error of at most 0.01, of 90 images at one place 0.053.
    """
    x, n = want["x"], len(want["x"])
    for name, p in zip(("little", "much", "next", "again"), want["p"] + want["p"][1:] * 2, strict=True):
        one, seen = got[name], got[name]["seen"]
        check_close("the images, afterwards,", one["afterwards"], x, hint="Work on a copy.")
        check_shape("what the encoder sees", seen, x.shape, hint="Each image goes through the model once.")
        hit = (seen.abs() == 1).double()
        hint = "The encoder must see the image, corrupted with p."
        check_close("what it sees in places without damage", torch.where(hit == 1, x, seen), x, hint=hint)
        check_near(f"the share of damage in it for p = {p:.3f}", hit.mean(), p, 0.07, hint)
        check_near("the share of images that are damaged at one place", hit.mean(dim=0), p, 0.38, hint)
        check_near("the share of white among damage", (seen == 1).sum() / hit.sum(), 0.5, 0.22, hint)
        down, up = want["down"].clone().requires_grad_(), want["up"].clone().requires_grad_()
        errors = (seen.flatten(1) @ down @ up - x.flatten(1)) ** 2
        loss = errors.sum() / n
        hint = "Squared errors to the clean image, summed over each image and averaged over the images."
        check_close("the loss", one["loss"], loss, tol=1e-3, hint=hint)
        rights = torch.autograd.grad(loss, (down, up))
        for part, mine, right in zip(("encoder", "decoder"), one["gradients"], rights, strict=True):
            check_close(f"the gradient of the loss to the {part}'s weights", mine, right, tol=1e-3)
    much, after, again = (got[what]["seen"] for what in ("much", "next", "again"))
    hint = "All randomness comes from the generator that is given."
    check_close("what the encoder sees for a generator that begins alike", again, much, hint=hint)
    share = (after != much).double().mean()
    check_range("the share of values that differ in the next call", share, 0.2, 1.0, hint=hint)


def q5(answer, draw):
    """Many numbers, one number, one row, no noise."""
    found = {}
    size = whole(3, 6, draw)
    for n, d, noise in ((whole(4, 9, draw), size, 1), (1, size, 1), (3, 1, 1), (size, size, 1), (2, size, 0)):
        factor, mu = torch.randn(d, d, generator=draw), 2 * torch.randn(d, generator=draw)
        cov = factor @ factor.T / d + torch.diag(0.2 + torch.rand(d, generator=draw))
        x_tilde, sigma = mu + 2 * torch.randn(n, d, generator=draw), noise * between(1.3, 2.5, draw)
        name = f"{n} rows of {d} numbers, sigma = {sigma:.3f},"
        found[f"the answer for {name}"] = answer.best_denoiser(x_tilde, mu, cov, sigma)
        found |= {f"x_tilde, after {name}": x_tilde, f"mu, after {name}": mu, f"C, after {name}": cov}
    return found


def q6(answer, draw):
    """New codes in 200 calls of about 50, all with one generator; codes of classes that lie far apart."""
    d, classes, n = whole(2, 3, draw), whole(2, 4, draw), whole(45, 55, draw)
    sizes = 20 * (1 + torch.randperm(classes, generator=draw)) + whole(15, 25, draw)
    centres = 5 * torch.randn(classes, d, generator=draw)
    centres[:, 0] = 40 * torch.randperm(classes, generator=draw)
    sign = 2.0 * torch.randint(2, (classes, d, d), generator=draw) - 1
    factor = (sign * (0.8 + torch.rand(classes, d, d, generator=draw))).tril(-1)
    factor = factor + torch.diag_embed(0.4 + torch.rand(classes, d, generator=draw))
    y = torch.arange(classes).repeat_interleave(sizes)[torch.randperm(int(sizes.sum()), generator=draw)]
    z = centres[y] + (factor[y] @ torch.randn(len(y), d, 1, generator=draw))[:, :, 0]
    old, labels, seed = z.clone(), y.clone(), whole(0, 2**31 - 1, draw)
    given, alike = seeded(seed), seeded(seed)
    new = [torch.as_tensor(answer.draw_codes(z, y, n, given)) for _ in range(200)]
    again = [torch.as_tensor(answer.draw_codes(old.clone(), labels.clone(), n, alike)) for _ in range(5)]
    return {
        "z": old, "y": labels, "n": n, "the codes z, afterwards,": z, "the classes y, afterwards,": y,
        "the new codes": torch.stack(new), "the new codes again": torch.stack(again),
        "one new code": answer.draw_codes(old.clone(), labels.clone(), 1, given),
        "the new codes of a single class": answer.draw_codes(old.clone(), 0 * labels, 5000, given),
    }  # fmt: skip


def judge_q6(got, want):
    """In whatever order it is drawn: classes as often as in y, and within each (codes - mean) / A must be normal.

    Of at least 9,000 codes and 1,100 in a class: a share has a standard error of at most 0.0053, a mean of 0.03, a
    covariance of 0.043, the mean fourth power of all of 0.073, how often classes change one of 0.007. The variance of
    200 counts has one of 10 %. Bounds are about 7 of these.
    """
    z, y, n = want["z"].double(), want["y"], want["n"]
    d, classes = z.shape[1], int(y.max()) + 1
    same(got, want, only=["the codes z, afterwards,", "the classes y, afterwards,"])
    check_shape(f"the new codes of 200 calls with n = {n}", got["the new codes"], (200, n, d))
    check_shape("the new codes with n = 1", got["one new code"], (1, d))
    check_shape("the new codes with n = 5000", got["the new codes of a single class"], (5000, d))
    new, single = got["the new codes"].double(), got["the new codes of a single class"].double()
    check_range("the new codes", new, -1e4, 1e4)
    hint = "All randomness comes from the generator that is given."
    again = got["the new codes again"]
    check_close("the new codes for a generator that begins alike", again, new[:5], hint=hint)
    moved = (new[1:] - new[:-1]).abs().amax(dim=(1, 2))
    check_range("the largest change from one call to the next", moved, 0.01, 1e4, hint=hint)
    new = new.view(-1, d)
    read = torch.cdist(new, torch.stack([z[y == c].mean(dim=0) for c in range(classes)])).argmin(dim=1)
    often = (y[:, None] == torch.arange(classes)).double().mean(dim=0)
    hint = "A class is drawn with the frequency that it has in y."
    for c in range(classes):
        share = (read == c).double().mean()
        check_near(f"the share of class {c} among new codes", share, often[c], 0.037, hint)
    parts = [judge_noise(f"class {c}", new[read == c], z[y == c]) for c in range(classes)]
    eps = torch.cat(parts)
    fourth = eps.pow(4).mean()
    check_near("the mean fourth power of A^-1 (new codes - mean)", fourth, 3.0, 0.5, "Is it normal?")
    judge_noise("a single class", single, z)
    hint = "Codes are to be new, each with noise of its own."
    share = share_different(eps)
    check_range("the share of different codes among the new ones", share, 0.9, 1.0, hint=hint)
    nearest = torch.cdist(new[:1000], z).amin(dim=1).mean()
    check_range("the mean distance from a new code to the nearest old one", nearest, 0.03, 5.0, hint=hint)
    hint = "Draw the class of each code by itself."
    read = read.view(200, n)
    switch = (read[:, 1:] != read[:, :-1]).double().mean()
    expected = 1 - often.square().sum()
    check_near("how often two codes in a row are of different classes", switch, expected, 0.05, hint)
    ratio = (read == 0).sum(dim=1).double().var() / (n * often[0] * (1 - often[0]))
    name = "the variance of the number of codes of class 0, as a share of what it should be,"
    check_near(name, ratio, 1.0, 0.75, hint)


def judge_noise(what, new, old):
    """The eps of new codes, if those of a class are mean + A eps: with mean 0 and covariance I."""
    mean, factor = old.mean(dim=0), torch.linalg.cholesky(old.T.cov())
    eps = torch.linalg.solve_triangular(factor, (new - mean).T, upper=False).T
    hint = "They have the mean and the covariance A Aᵀ of its old codes; for rows eps it is eps @ A.T."
    check_near(f"the mean of A^-1 (new codes of {what} - mean)", eps.mean(dim=0), 0.0, 0.22, hint)
    off = eps.T.cov() - torch.eye(old.shape[1])
    check_near(f"the covariance of A^-1 (new codes of {what} - mean), less I,", off, 0.0, 0.31, hint)
    return eps
