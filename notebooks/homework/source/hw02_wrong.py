# %% [markdown]
# # Plausible wrong answers to homework 02
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: 0 log 0 becomes NaN
def two_factors(probs):
    p_y = probs.mean(dim=0)
    return (probs * probs.log()).sum(dim=1).mean().exp(), (-(p_y * p_y.log()).sum()).exp()


# %%
# WRONG q1: the factors exchanged
def two_factors(probs):
    h = -torch.special.xlogy(probs, probs).sum(dim=1).mean()
    return torch.special.entr(probs.mean(dim=0)).sum().exp(), (-h).exp()


# %%
# WRONG q1: the sign of the entropy
def two_factors(probs):
    h = torch.special.entr(probs).sum(dim=1).mean()
    return h.exp(), torch.special.entr(probs.mean(dim=0)).sum().exp()


# %%
# WRONG q1: the exponential of each image before the mean
def two_factors(probs):
    certainty = (-torch.special.entr(probs).sum(dim=1)).exp().mean()
    return certainty, torch.special.entr(probs.mean(dim=0)).sum().exp()


# %%
# WRONG q1: averages over the classes too
def two_factors(probs):
    certainty = (-torch.special.entr(probs).mean()).exp()
    return certainty, torch.special.entr(probs.mean(dim=0)).sum().exp()


# %%
# WRONG q1: the breadth of each image, averaged
def two_factors(probs):
    h = torch.special.entr(probs).sum(dim=1)
    return (-h.mean()).exp(), h.exp().mean()


# %%
# WRONG q1: certainty is the largest probability
def two_factors(probs):
    return probs.max(dim=1).values.mean(), torch.special.entr(probs.mean(dim=0)).sum().exp()


# %%
# WRONG q1: logarithms of base 2
def two_factors(probs):
    h = torch.special.entr(probs).sum(dim=1).mean() / torch.tensor(2.0).log()
    return (-h).exp(), (torch.special.entr(probs.mean(dim=0)).sum() / torch.tensor(2.0).log()).exp()


# %%
# WRONG q1: forgets the exponential
def two_factors(probs):
    return -torch.special.entr(probs).sum(dim=1).mean(), torch.special.entr(probs.mean(dim=0)).sum()


# %%
# WRONG q2: sums in float32
def stream_statistics(batches):
    n, total, outer = 0, 0.0, 0.0
    for f in batches:
        n, total, outer = n + len(f), total + f.sum(dim=0), outer + f.T @ f
    mean = total / n
    return mean.double(), ((outer - n * torch.outer(mean, mean)) / (n - 1)).double()


# %%
# WRONG q2: squares in float32 and sums in float64
def stream_statistics(batches):
    n, total, outer = 0, 0.0, 0.0
    for f in batches:
        n, total, outer = n + len(f), total + f.double().sum(dim=0), outer + (f.T @ f).double()
    mean = total / n
    return mean, (outer - n * torch.outer(mean, mean)) / (n - 1)


# %%
# WRONG q2: N in the denominator
def stream_statistics(batches):
    f = torch.cat([part.double() for part in batches])
    return f.mean(dim=0), f.T.cov(correction=0)


# %%
# WRONG q2: averages the batches' means and covariances
def stream_statistics(batches):
    parts = [part.double() for part in batches]
    covariances = [part.T.cov() for part in parts if len(part) > 1]
    return torch.stack([part.mean(dim=0) for part in parts]).mean(dim=0), torch.stack(covariances).mean(dim=0)


# %%
# WRONG q2: the covariance around each batch's own mean
def stream_statistics(batches):
    n, total, outer = 0, 0.0, 0.0
    for f in batches:
        f = f.double()
        centred = f - f.mean(dim=0)
        n, total, outer = n + len(f), total + f.sum(dim=0), outer + centred.T @ centred
    return total / n, outer / (n - 1)


# %%
# WRONG q2: goes through the batches twice
def stream_statistics(batches):
    n = total = 0
    for f in batches:
        n, total = n + len(f), total + f.double().sum(dim=0)
    mean, outer = total / n, torch.zeros(len(total), len(total)).double()
    for f in batches:
        outer = outer + (f.double() - mean).T @ (f.double() - mean)
    return mean, outer / (n - 1)


# %%
# WRONG q2: the mean is left in
def stream_statistics(batches):
    n, total, outer = 0, 0.0, 0.0
    for f in batches:
        f = f.double()
        n, total, outer = n + len(f), total + f.sum(dim=0), outer + f.T @ f
    return total / n, outer / (n - 1)


# %%
# WRONG q2: subtracts the mean's square once, not N times
def stream_statistics(batches):
    n, total, outer = 0, 0.0, 0.0
    for f in batches:
        f = f.double()
        n, total, outer = n + len(f), total + f.sum(dim=0), outer + f.T @ f
    mean = total / n
    return mean, (outer - torch.outer(mean, mean)) / (n - 1)


# %%
# WRONG q2: the variances only
def stream_statistics(batches):
    f = torch.cat([part.double() for part in batches])
    return f.mean(dim=0), f.var(dim=0).diag()


# %%
# WRONG q3: each point is its own first neighbour
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return hit.double().sum() / (k * len(fake)), hit.any(dim=1).double().mean()


# %%
# WRONG q3: does not divide by k
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return hit.double().sum() / len(fake), hit.any(dim=1).double().mean()


# %%
# WRONG q3: divides by the number of real points
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return hit.double().sum() / (k * len(real)), hit.any(dim=1).double().mean()


# %%
# WRONG q3: the share of generated points in any ball, which is precision
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return hit.any(dim=0).double().mean(), hit.any(dim=1).double().mean()


# %%
# WRONG q3: balls around generated points for coverage, which is recall
def density_coverage(real, fake, k):
    distance = torch.cdist(real, fake)
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    own = torch.cdist(fake, fake).kthvalue(k + 1, dim=1).values
    hit = distance <= radius[:, None]
    return hit.double().sum() / (k * len(fake)), (distance <= own).any(dim=1).double().mean()


# %%
# WRONG q3: coverage counts generated points
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return hit.double().sum() / (k * len(fake)), hit.any(dim=0).double().mean()


# %%
# WRONG q3: the edge of a ball is left out
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(real, fake) < radius[:, None]
    return hit.double().sum() / (k * len(fake)), hit.any(dim=1).double().mean()


# %%
# WRONG q3: the balls reach to the k-th generated neighbour
def density_coverage(real, fake, k):
    distance = torch.cdist(real, fake)
    hit = distance <= distance.kthvalue(k, dim=1, keepdim=True).values
    return hit.double().sum() / (k * len(fake)), hit.any(dim=1).double().mean()


# %%
# WRONG q3: leaves out all points at distance 0, also other ones in the same place
def density_coverage(real, fake, k):
    own = torch.cdist(real, real)
    radius = own.masked_fill(own == 0, torch.inf).kthvalue(k, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return hit.double().sum() / (k * len(fake)), hit.any(dim=1).double().mean()


# %%
# WRONG q3: cuts density off at 1
def density_coverage(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(real, fake) <= radius[:, None]
    return (hit.double().sum() / (k * len(fake))).clamp_max(1), hit.any(dim=1).double().mean()


# %%
# WRONG q4: the diagonal is left in
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    return kernel(real, real).mean() + kernel(fake, fake).mean() - 2 * kernel(real, fake).mean()


# %%
# WRONG q4: leaves the diagonal out of the sum, but not out of the number of pairs
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).mean()

    return within(real) + within(fake) - 2 * kernel(real, fake).mean()


# %%
# WRONG q4: does not divide by d
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1))

    return within(real) + within(fake) - 2 * kernel(real, fake).mean()


# %%
# WRONG q4: forgets the factor 2
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1))

    return within(real) + within(fake) - kernel(real, fake).mean()


# %%
# WRONG q4: cut off at 0
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1))

    return (within(real) + within(fake) - 2 * kernel(real, fake).mean()).clamp_min(0)


# %%
# WRONG q4: leaves out the pairs i = j across the sets too
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def without(a, b):
        k, n = kernel(a, b), min(len(a), len(b))
        return (k.sum() - k.diagonal().sum()) / (len(a) * len(b) - n)

    return without(real, real) + without(fake, fake) - 2 * without(real, fake)


# %%
# WRONG q4: divides by the number of rows
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[0] + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1))

    return within(real) + within(fake) - 2 * kernel(real, fake).mean()


# %%
# WRONG q4: the number of real pairs for the fake ones too
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    within = kernel(real, real).fill_diagonal_(0).sum() + kernel(fake, fake).fill_diagonal_(0).sum()
    return within / (len(real) * (len(real) - 1)) - 2 * kernel(real, fake).mean()


# %%
# WRONG q4: the root, MMD instead of its square
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1))

    return (within(real) + within(fake) - 2 * kernel(real, fake).mean()).sqrt()


# %%
# WRONG q5: the rounding of cdist
def ratios(x, known):
    distance, index = torch.cdist(x, known).min(dim=1)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: distances alone
def ratios(x, known):
    return nearest(x, known)[0]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: distances in units of the mean one
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit.mean()


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: each training image is its own neighbour
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: leaves out what is at distance 0, which rounding makes larger
def ratios(x, known):
    distance, index = nearest(x, known)
    between = torch.cdist(known, known)
    unit = between.masked_fill(between == 0, torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the third nearest, itself counted
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).kthvalue(3, dim=1).values
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the two training images nearest to x
def ratios(x, known):
    two = torch.cdist(x, known).topk(2, dim=1, largest=False).values
    return nearest(x, known)[0] / two[:, 1]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the nearest other row of x
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(x, x).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: squared distances
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return (distance / unit[index]) ** 2


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the ratio upside down
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return unit[index] / distance


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the difference instead of the ratio
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance - unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the nearest of x for each known row
def ratios(x, known):
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return nearest(known, x)[0] / unit


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: ties count 0
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return (a < b).double().mean()


# %%
# WRONG q5: ties count 1
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return (a <= b).double().mean()


# %%
# WRONG q5: the other way round
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training)[:, None], ratios(held_out, training)
    return ((a > b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: compares distances, and has the ratios for nothing
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = nearest(generated, training)[0][:, None], nearest(held_out, training)[0]
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: compares with the median of the held-out ratios only
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, training), ratios(held_out, training).median()
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the held-out images instead of the training images
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    a, b = ratios(generated, held_out)[:, None], ratios(held_out, training)
    return ((a < b).double() + 0.5 * (a == b).double()).mean()


# %%
# WRONG q5: the difference of the mean ratios
def ratios(x, known):
    distance, index = nearest(x, known)
    unit = torch.cdist(known, known).fill_diagonal_(torch.inf).amin(dim=1)
    return distance / unit[index]


def copying(generated, held_out, training):
    return ratios(held_out, training).mean() - ratios(generated, training).mean()


# %%
# WRONG q6: the line goes over N
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(float(n))
            v.append(metrics.fid(real=real, fake=fake[torch.randperm(len(fake), generator=generator)[:n]]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)


# %%
# WRONG q6: the first rows instead of random ones
def fid_infinity(real, fake, sizes, draws, generator):
    u = torch.tensor([1 / n for n in sizes for _ in range(draws)]).double()
    v = torch.tensor([metrics.fid(real=real, fake=fake[:n]) for n in sizes for _ in range(draws)]).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)


# %%
# WRONG q6: draws with replacement
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[torch.randint(len(fake), (n,), generator=generator)]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)


# %%
# WRONG q6: real images are drawn too
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            some, others = (f[torch.randperm(len(f), generator=generator)[:n]] for f in (real, fake))
            u.append(1 / n)
            v.append(metrics.fid(real=some, fake=others))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)


# %%
# WRONG q6: the line must go through 0
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[torch.randperm(len(fake), generator=generator)[:n]]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    return 0.0, float((u * v).sum() / u.square().sum())


# %%
# WRONG q6: the value of the largest N instead of the limit
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[torch.randperm(len(fake), generator=generator)[:n]]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v[-draws:].mean()), float(slope)


# %%
# WRONG q6: slope and limit exchanged
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[torch.randperm(len(fake), generator=generator)[:n]]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(slope), float(v.mean() - slope * u.mean())


# %%
# WRONG q6: does not use the generator
def fid_infinity(real, fake, sizes, draws, generator):
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[torch.randperm(len(fake))[:n]]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)


# %%
# WRONG q6: a seed of its own
def fid_infinity(real, fake, sizes, draws, generator):
    generator = torch.Generator().manual_seed(0)
    u, v = [], []
    for n in sizes:
        for _ in range(draws):
            u.append(1 / n)
            v.append(metrics.fid(real=real, fake=fake[torch.randperm(len(fake), generator=generator)[:n]]))
    u, v = torch.tensor(u).double(), torch.tensor(v).double()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum()
    return float(v.mean() - slope * u.mean()), float(slope)
