# %% [markdown]
# # Plausible wrong answers to homework 01
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: divides by N_k - 1
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / max(1, len(a) - 1) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: around the mean of all points
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - x.mean(dim=0)).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: divides each sum by N
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(x) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: pools without weights: small classes count as much as large ones
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = each.mean(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: the pooled covariance is that of all points
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = x.T.cov(correction=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: pooling the wrong way round
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, pooling * each + (1 - pooling) * pooled


# %%
# WRONG q1: no pooling at all
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    return priors, means, each


# %%
# WRONG q1: always pooled
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, pooled.expand(classes, -1, -1)


# %%
# WRONG q1: pools the standard deviations' way
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) ** 2 * each + pooling**2 * pooled


# %%
# WRONG q1: all classes equally likely
def fit_classes(x, y, classes, pooling):
    priors = torch.full((classes,), 1 / classes, dtype=x.dtype)
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: counts instead of shares
def fit_classes(x, y, classes, pooling):
    priors = torch.bincount(y, minlength=classes).to(x.dtype)
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] / len(x) * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: the sums of the classes are divided by N
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].sum(dim=0) / len(x) for k in range(classes)])
    each = torch.stack([(a := x[y == k] - means[k]).T @ a / len(a) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q1: variances only
def fit_classes(x, y, classes, pooling):
    priors = torch.stack([(y == k).to(x.dtype).mean() for k in range(classes)])
    means = torch.stack([x[y == k].mean(dim=0) for k in range(classes)])
    each = torch.stack([torch.diag((x[y == k] - means[k]).square().mean(dim=0)) for k in range(classes)])
    pooled = (priors[:, None, None] * each).sum(dim=0)
    return priors, means, (1 - pooling) * each + pooling * pooled


# %%
# WRONG q2: exp before the normalisation: 0 / 0 far away
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    joint = priors * torch.stack(log_p, dim=1).exp()
    return joint / joint.sum(dim=1, keepdim=True)


# %%
# WRONG q2: a small number against the NaN
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    joint = priors * torch.stack(log_p, dim=1).exp()
    return joint / (joint.sum(dim=1, keepdim=True) + 1e-12)


# %%
# WRONG q2: forgets the priors
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    return torch.stack(log_p, dim=1).softmax(dim=1)


# %%
# WRONG q2: adds the priors themselves to the logarithms
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    return (priors + torch.stack(log_p, dim=1)).softmax(dim=1)


# %%
# WRONG q2: normalises over the points
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    return (priors.log() + torch.stack(log_p, dim=1)).softmax(dim=0)


# %%
# WRONG q2: gives back the logarithm
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    return (priors.log() + torch.stack(log_p, dim=1)).log_softmax(dim=1)


# %%
# WRONG q2: p(x, y), not divided by p(x)
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    return (priors.log() + torch.stack(log_p, dim=1)).exp()


# %%
# WRONG q2: takes one maximum for all points out of the sum
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    a = priors.log() + torch.stack(log_p, dim=1)
    e = (a - a.max()).exp()
    return e / e.sum(dim=1, keepdim=True)


# %%
# WRONG q2: one covariance for all classes
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    log_p = [MultivariateNormal(mean, covariances[0]).log_prob(x) for mean in means]
    return (priors.log() + torch.stack(log_p, dim=1)).softmax(dim=1)


# %%
# WRONG q2: the covariance instead of its inverse
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    log_p = [
        MultivariateNormal(m, precision_matrix=c).log_prob(x) for m, c in zip(means, covariances, strict=True)
    ]
    return (priors.log() + torch.stack(log_p, dim=1)).softmax(dim=1)


# %%
# WRONG q2: the variances only
def posterior(x, priors, means, covariances):
    log_p = [MultivariateNormal(*shape).log_prob(x) for shape in zip(means, covariances, strict=True)]
    log_p = [
        MultivariateNormal(m, c.diag().diag()).log_prob(x) for m, c in zip(means, covariances, strict=True)
    ]
    return (priors.log() + torch.stack(log_p, dim=1)).softmax(dim=1)


# %%
# WRONG q2: leaves the determinant out
def posterior(x, priors, means, covariances):
    apart = x[:, None] - means
    squared = (torch.linalg.solve(covariances, apart[..., None])[..., 0] * apart).sum(dim=2)
    a = priors.log() - 0.5 * squared
    return a.softmax(dim=1)


# %%
# WRONG q2: forgets the half
def posterior(x, priors, means, covariances):
    apart = x[:, None] - means
    squared = (torch.linalg.solve(covariances, apart[..., None])[..., 0] * apart).sum(dim=2)
    a = priors.log() - squared - 0.5 * covariances.logdet()
    return a.softmax(dim=1)


# %%
# WRONG q2: the whole log-determinant instead of half of it
def posterior(x, priors, means, covariances):
    apart = x[:, None] - means
    squared = (torch.linalg.solve(covariances, apart[..., None])[..., 0] * apart).sum(dim=2)
    a = priors.log() - 0.5 * squared - covariances.logdet()
    return a.softmax(dim=1)


# %%
# WRONG q2: adds the determinant
def posterior(x, priors, means, covariances):
    apart = x[:, None] - means
    squared = (torch.linalg.solve(covariances, apart[..., None])[..., 0] * apart).sum(dim=2)
    a = priors.log() - 0.5 * squared + 0.5 * covariances.logdet()
    return a.softmax(dim=1)


# %%
# WRONG q2: the logarithm of a determinant that is 0
def posterior(x, priors, means, covariances):
    apart = x[:, None] - means
    squared = (torch.linalg.solve(covariances, apart[..., None])[..., 0] * apart).sum(dim=2)
    a = priors.log() - 0.5 * squared - 0.5 * torch.linalg.det(covariances).log()
    return a.softmax(dim=1)


# %%
# WRONG q3: the log-determinant with the wrong sign
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, x_b * s.exp() + shift(x_a)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) - s.sum(dim=1)


# %%
# WRONG q3: no log-determinant
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    z = torch.cat([x_a, x_b * log_scale(x_a).exp() + shift(x_a)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1)


# %%
# WRONG q3: the mean of s instead of its sum
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, x_b * s.exp() + shift(x_a)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) + s.mean(dim=1)


# %%
# WRONG q3: the scales instead of their logarithms
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, x_b * s.exp() + shift(x_a)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) + s.exp().sum(dim=1)


# %%
# WRONG q3: forgets the exp: s is the scale
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, x_b * s + shift(x_a)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) + s.abs().log().sum(dim=1)


# %%
# WRONG q3: the way back instead of the way there
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, (x_b - shift(x_a)) * (-s).exp()], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) - s.sum(dim=1)


# %%
# WRONG q3: forgets the 2π
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, x_b * s.exp() + shift(x_a)], dim=1)
    return -0.5 * z.square().sum(dim=1) + s.sum(dim=1)


# %%
# WRONG q3: the normal density of x, not of z
def coupling_log_prob(x, d, log_scale, shift):
    return Normal(0.0, 1.0).log_prob(x).sum(dim=1) + log_scale(x[:, :d]).sum(dim=1)


# %%
# WRONG q3: leaves out the part that does not move
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    return (Normal(0.0, 1.0).log_prob(x_b * s.exp() + shift(x_a)) + s).sum(dim=1)


# %%
# WRONG q3: shifts before it scales
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, (x_b + shift(x_a)) * s.exp()], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) + s.sum(dim=1)


# %%
# WRONG q3: s and t of the wrong part
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_b)
    z = torch.cat([x_a, x_b * s.exp() + shift(x_b)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum(dim=1) + s.sum(dim=1)


# %%
# WRONG q3: one number for the whole batch
def coupling_log_prob(x, d, log_scale, shift):
    x_a, x_b = x[:, :d], x[:, d:]
    s = log_scale(x_a)
    z = torch.cat([x_a, x_b * s.exp() + shift(x_a)], dim=1)
    return Normal(0.0, 1.0).log_prob(z).sum() + s.sum()


# %%
# WRONG q4: column by column
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = (torch.rand(n, generator=generator) < conditional(x[:, :i])).to(x.dtype)
    return x.view(n, w, h).transpose(1, 2)


# %%
# WRONG q4: shows the function the pixel itself
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = (torch.rand(n, generator=generator) < conditional(x[:, : i + 1])).to(x.dtype)
    return x.view(n, h, w)


# %%
# WRONG q4: shows the function the pixels of the same row only
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h, w)
    for i in range(h):
        for j in range(w):
            x[:, i, j] = (torch.rand(n, generator=generator) < conditional(x[:, i, :j])).to(x.dtype)
    return x


# %%
# WRONG q4: shows the function an empty image
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    p = [conditional(torch.zeros(n, i)) for i in range(h * w)]
    return torch.bernoulli(torch.stack(p, dim=1), generator=generator).view(n, h, w)


# %%
# WRONG q4: the more likely value instead of a draw
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = (conditional(x[:, :i]) > 0.5).to(x.dtype)
    return x.view(n, h, w)


# %%
# WRONG q4: the probabilities instead of draws
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = conditional(x[:, :i])
    return x.view(n, h, w)


# %%
# WRONG q4: draws a 1 with probability 1 - p
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = (torch.rand(n, generator=generator) > conditional(x[:, :i])).to(x.dtype)
    return x.view(n, h, w)


# %%
# WRONG q4: one draw for all images
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = (torch.rand(1, generator=generator) < conditional(x[:, :i])).to(x.dtype)
    return x.view(n, h, w)


# %%
# WRONG q4: one draw for all pixels of an image
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x, u = torch.zeros(n, h * w), torch.rand(n, generator=generator)
    for i in range(h * w):
        x[:, i] = (u < conditional(x[:, :i])).to(x.dtype)
    return x.view(n, h, w)


# %%
# WRONG q4: does not use the generator
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x = torch.zeros(n, h * w)
    for i in range(h * w):
        x[:, i] = torch.bernoulli(conditional(x[:, :i]))
    return x.view(n, h, w)


# %%
# WRONG q4: a seed of its own
def sample_autoregressive(conditional, shape, generator):
    n, h, w = shape
    x, generator = torch.zeros(n, h * w), torch.Generator().manual_seed(0)
    for i in range(h * w):
        x[:, i] = torch.bernoulli(conditional(x[:, :i]), generator=generator)
    return x.view(n, h, w)


# %%
# WRONG q5: ties count nothing
def auroc(positive, negative):
    return (positive[:, None] > negative).double().mean()


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: ties count one
def auroc(positive, negative):
    return (positive[:, None] >= negative).double().mean()


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: the two groups exchanged
def auroc(positive, negative):
    above, equal = positive[:, None] < negative, positive[:, None] == negative
    return (above.double() + 0.5 * equal.double()).mean()


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: the share of right answers at a threshold
def auroc(positive, negative):
    threshold = (positive.mean() + negative.mean()) / 2
    return ((positive > threshold).double().mean() + (negative < threshold).double().mean()) / 2


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: by ranks, where ties are ordered at random
def auroc(positive, negative):
    ranks = torch.cat([positive, negative]).argsort().argsort()[: len(positive)].double() + 1
    n, m = len(positive), len(negative)
    return (ranks.sum() - n * (n + 1) / 2) / (n * m)


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: a share for each positive score
def auroc(positive, negative):
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return (above.double() + 0.5 * equal.double()).mean(dim=1)


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: log p(x) without the minus
def auroc(positive, negative):
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return (above.double() + 0.5 * equal.double()).mean()


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return MultivariateNormal(means[0], covariances[0]).log_prob(x)


# %%
# WRONG q5: the distance from the mean instead of the density
def auroc(positive, negative):
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return (above.double() + 0.5 * equal.double()).mean()


def surprise(x, normal):
    return (x - normal.mean(dim=0)).square().sum(dim=1)


# %%
# WRONG q5: only the quadratic term
def auroc(positive, negative):
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return (above.double() + 0.5 * equal.double()).mean()


def surprise(x, normal):
    _, means, covariances = fit_classes(normal, torch.zeros(len(normal), dtype=torch.int64), 1, 0.0)
    return 0.5 * ((x - means[0]) @ torch.linalg.inv(covariances[0]) * (x - means[0])).sum(dim=1)


# %%
# WRONG q5: fits the Gaussian to the points that it is to judge
def auroc(positive, negative):
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return (above.double() + 0.5 * equal.double()).mean()


def surprise(x, normal):
    _, means, covariances = fit_classes(x, torch.zeros(len(x), dtype=torch.int64), 1, 0.0)
    return -MultivariateNormal(means[0], covariances[0] + 1e-6 * torch.eye(x.shape[1])).log_prob(x)
