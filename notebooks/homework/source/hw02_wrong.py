# %% [markdown]
# # Plausible wrong answers to homework 02
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: 0 log 0 becomes NaN
def inception_score(probs):
    return (probs * (probs / probs.mean(dim=0)).log()).sum(dim=1).mean().exp()


# %%
# WRONG q1: a class that no image has gives 0 times infinity
def inception_score(probs):
    return (probs * (probs.clamp_min(1e-12) / probs.mean(dim=0)).log()).sum(dim=1).mean().exp()


# %%
# WRONG q1: forgets the exponential
def inception_score(probs):
    p_y = probs.mean(dim=0)
    return (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, p_y)).sum(dim=1).mean()


# %%
# WRONG q1: the divergence the other way round
def inception_score(probs):
    p, p_y = probs.clamp_min(1e-12), probs.mean(dim=0).clamp_min(1e-12)
    return (p_y * (p_y / p).log()).sum(dim=1).mean().exp()


# %%
# WRONG q1: the mean over the classes in place of the images
def inception_score(probs):
    p_y = probs.mean(dim=1, keepdim=True)
    return (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, p_y)).sum(dim=1).mean().exp()


# %%
# WRONG q1: averages over the classes too
def inception_score(probs):
    p_y = probs.mean(dim=0)
    return (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, p_y)).mean().exp()


# %%
# WRONG q1: the exponential of each image before the mean
def inception_score(probs):
    p_y = probs.mean(dim=0)
    return (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, p_y)).sum(dim=1).exp().mean()


# %%
# WRONG q1: only the breadth of p(y), not the certainty of each image
def inception_score(probs):
    return torch.special.entr(probs.mean(dim=0)).sum().exp()


# %%
# WRONG q1: logarithms of base 2
def inception_score(probs):
    p, p_y = probs.clamp_min(1e-12), probs.mean(dim=0).clamp_min(1e-12)
    return (p * (p.log2() - p_y.log2())).sum(dim=1).mean().exp()


# %%
# WRONG q2: the root of each entry
def frechet_distance(mu1, sigma1, mu2, sigma2):
    root = (sigma1 @ sigma2).sqrt()
    return (mu1 - mu2).square().sum() + (sigma1 + sigma2 - 2 * root).trace()


# %%
# WRONG q2: the product of the roots in place of the root of the product
def frechet_distance(mu1, sigma1, mu2, sigma2):
    root = torch.from_numpy(sqrtm(sigma1.numpy()) @ sqrtm(sigma2.numpy())).real
    return (mu1 - mu2).square().sum() + (sigma1 + sigma2 - 2 * root).trace()


# %%
# WRONG q2: forgets the factor 2
def frechet_distance(mu1, sigma1, mu2, sigma2):
    root = torch.linalg.eigvals(sigma1 @ sigma2).real.clamp_min(0).sqrt()
    return (mu1 - mu2).square().sum() + (sigma1 + sigma2).trace() - root.sum()


# %%
# WRONG q2: the length of the difference without its square
def frechet_distance(mu1, sigma1, mu2, sigma2):
    root = torch.linalg.eigvals(sigma1 @ sigma2).real.clamp_min(0).sqrt()
    return (mu1 - mu2).norm() + (sigma1 + sigma2).trace() - 2 * root.sum()


# %%
# WRONG q2: the root of the trace in place of the trace of the root
def frechet_distance(mu1, sigma1, mu2, sigma2):
    spread = (sigma1 + sigma2).trace() - 2 * (sigma1 @ sigma2).trace().sqrt()
    return (mu1 - mu2).square().sum() + spread


# %%
# WRONG q2: takes the covariances for diagonal
def frechet_distance(mu1, sigma1, mu2, sigma2):
    spread = (sigma1.diagonal().sqrt() - sigma2.diagonal().sqrt()).square().sum()
    return (mu1 - mu2).square().sum() + spread


# %%
# WRONG q2: the result is complex
def frechet_distance(mu1, sigma1, mu2, sigma2):
    root = torch.linalg.eigvals(sigma1 @ sigma2).sqrt()
    return (mu1 - mu2).square().sum() + (sigma1 + sigma2).trace() - 2 * root.sum()


# %%
# WRONG q2: makes the covariances invertible with too much on the diagonal
def frechet_distance(mu1, sigma1, mu2, sigma2):
    more = 0.01 * torch.eye(len(mu1), dtype=sigma1.dtype)
    root = sqrtm(((sigma1 + more) @ (sigma2 + more)).numpy()).real
    return (mu1 - mu2).square().sum() + (sigma1 + sigma2).trace() - 2 * root.trace()


# %%
# WRONG q2: the mean of the squares
def frechet_distance(mu1, sigma1, mu2, sigma2):
    root = torch.linalg.eigvals(sigma1 @ sigma2).real.clamp_min(0).sqrt()
    return (mu1 - mu2).square().mean() + (sigma1 + sigma2).trace() - 2 * root.sum()


# %%
# WRONG q3: each point is its own first neighbour
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(k, dim=1).values
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: one neighbour too far
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(min(k + 2, len(phi)), dim=1).values
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: precision and recall exchanged
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(real, fake).double().mean(), inside(fake, real).double().mean()


# %%
# WRONG q3: balls around the points that are judged
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(f, f).kthvalue(k + 1, dim=1, keepdim=True).values
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: the edge of a ball is left out
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values
        return (torch.cdist(f, phi) < radius).any(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: leaves out all points at distance 0, also other ones in the same place
def precision_recall(real, fake, k):
    def inside(f, phi):
        distances = torch.cdist(phi, phi)
        radius = distances.masked_fill(distances == 0, torch.inf).kthvalue(k, dim=1).values
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: asks for a place in all balls
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values
        return (torch.cdist(f, phi) <= radius).all(dim=1)

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: the number of points inside, not their share
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values
        return (torch.cdist(f, phi) <= radius).any(dim=1)

    return inside(fake, real).sum(), inside(real, fake).sum()


# %%
# WRONG q3: looks at the nearest point's ball only
def precision_recall(real, fake, k):
    def inside(f, phi):
        radius = torch.cdist(phi, phi).kthvalue(k + 1, dim=1).values
        distance, nearest = torch.cdist(f, phi).min(dim=1)
        return distance <= radius[nearest]

    return inside(fake, real).double().mean(), inside(real, fake).double().mean()


# %%
# WRONG q3: the balls of the real points for recall too
def precision_recall(real, fake, k):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    hit = torch.cdist(fake, real) <= radius
    return hit.any(dim=1).double().mean(), hit.any(dim=0).double().mean()


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
# WRONG q4: the root, MMD in place of its square
def kid(real, fake):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        return kernel(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1))

    return (within(real) + within(fake) - 2 * kernel(real, fake).mean()).sqrt()


# %%
# WRONG q5: divides by eps, not its square
def path_length(generate, distance, z0, z1, t, eps):
    a, b = ((1 - s) * z0 + s * z1 for s in (t[:, None], t[:, None] + eps))
    return distance(generate(a), generate(b)).mean() / eps


# %%
# WRONG q5: does not divide
def path_length(generate, distance, z0, z1, t, eps):
    a, b = ((1 - s) * z0 + s * z1 for s in (t[:, None], t[:, None] + eps))
    return distance(generate(a), generate(b)).mean()


# %%
# WRONG q5: t multiplies the columns
def path_length(generate, distance, z0, z1, t, eps):
    a, b = ((1 - s) * z0 + s * z1 for s in (t, t + eps))
    return distance(generate(a), generate(b)).mean() / eps**2


# %%
# WRONG q5: one place for all rows
def path_length(generate, distance, z0, z1, t, eps):
    a, b = ((1 - s) * z0 + s * z1 for s in (t.mean(), t.mean() + eps))
    return distance(generate(a), generate(b)).mean() / eps**2


# %%
# WRONG q5: t counts from the other end
def path_length(generate, distance, z0, z1, t, eps):
    a, b = (s * z0 + (1 - s) * z1 for s in (t[:, None], t[:, None] + eps))
    return distance(generate(a), generate(b)).mean() / eps**2


# %%
# WRONG q5: a step backwards
def path_length(generate, distance, z0, z1, t, eps):
    a, b = ((1 - s) * z0 + s * z1 for s in (t[:, None], t[:, None] - eps))
    return distance(generate(a), generate(b)).mean() / eps**2


# %%
# WRONG q5: mixes the images, not the codes
def path_length(generate, distance, z0, z1, t, eps):
    g0, g1 = generate(z0), generate(z1)
    s = t.view(-1, *[1] * (g0.ndim - 1))
    a, b = ((1 - s) * g0 + s * g1 for s in (s, s + eps))
    return distance(a, b).mean() / eps**2


# %%
# WRONG q5: a distance of its own
def path_length(generate, distance, z0, z1, t, eps):
    a, b = (generate((1 - s) * z0 + s * z1) for s in (t[:, None], t[:, None] + eps))
    return (a - b).square().flatten(1).sum(dim=1).mean() / eps**2


# %%
# WRONG q5: the distance between the codes
def path_length(generate, distance, z0, z1, t, eps):
    a, b = ((1 - s) * z0 + s * z1 for s in (t[:, None], t[:, None] + eps))
    return (a - b).square().sum(dim=1).mean() / eps**2


# %%
# WRONG q5: the sum over the paths
def path_length(generate, distance, z0, z1, t, eps):
    a, b = (generate((1 - s) * z0 + s * z1) for s in (t[:, None], t[:, None] + eps))
    return distance(a, b).sum() / eps**2


# %%
# WRONG q5: one length a path
def path_length(generate, distance, z0, z1, t, eps):
    a, b = (generate((1 - s) * z0 + s * z1) for s in (t[:, None], t[:, None] + eps))
    return distance(a, b) / eps**2


# %%
# WRONG q6: draws the two sets independently, so that they share rows
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = (features[torch.randperm(len(features), generator=generator)[:n]] for _ in range(2))
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: draws with replacement
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randint(len(features), (2 * n,), generator=generator)].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: takes the first 2N rows and shuffles only those
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randperm(2 * n, generator=generator)].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: N is the number of both halves together
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randperm(len(features), generator=generator)[: n // 2 * 2]].split(n // 2)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(max(n, 4)) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: the covariance with N in the denominator
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randperm(len(features), generator=generator)[: 2 * n]].split(n)
        covariances = (half.T.cov(correction=0) for half in (a, b))
        return float(frechet_distance(a.mean(dim=0), next(covariances), b.mean(dim=0), next(covariances)))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: the sum over the draws
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randperm(len(features), generator=generator)[: 2 * n]].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) for n in sizes])


# %%
# WRONG q6: one draw, counted several times
def bias_of_fid(features, sizes, draws, generator):
    mixed = features[torch.randperm(len(features), generator=generator)]

    def once(n):
        a, b = mixed[: 2 * n].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: compares N rows with all rows
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randperm(len(features), generator=generator)[:n]], features
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: does not use the generator
def bias_of_fid(features, sizes, draws, generator):
    def once(n):
        a, b = features[torch.randperm(len(features))[: 2 * n]].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])


# %%
# WRONG q6: a seed of its own
def bias_of_fid(features, sizes, draws, generator):
    generator = torch.Generator().manual_seed(0)

    def once(n):
        a, b = features[torch.randperm(len(features), generator=generator)[: 2 * n]].split(n)
        return float(frechet_distance(a.mean(dim=0), a.T.cov(), b.mean(dim=0), b.T.cov()))

    return torch.tensor([sum(once(n) for _ in range(draws)) / draws for n in sizes])
