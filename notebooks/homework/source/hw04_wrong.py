# %% [markdown]
# # Plausible wrong answers to homework 04
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the variance in place of the standard deviation
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar) * torch.randn(mu.shape, generator=generator)


# %%
# WRONG q1: logvar in place of the standard deviation
def reparameterise(mu, logvar, generator):
    return mu + logvar * torch.randn(mu.shape, generator=generator)


# %%
# WRONG q1: exp(-logvar / 2)
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(-logvar / 2) * torch.randn(mu.shape, generator=generator)


# %%
# WRONG q1: torch.normal, whose gradient is 0
def reparameterise(mu, logvar, generator):
    return torch.normal(mu, torch.exp(logvar / 2), generator=generator)


# %%
# WRONG q1: no gradient at all
def reparameterise(mu, logvar, generator):
    with torch.no_grad():
        return mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=generator)


# %%
# WRONG q1: no gradient to logvar
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar.detach() / 2) * torch.randn(mu.shape, generator=generator)


# %%
# WRONG q1: one eps for the whole batch
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar / 2) * torch.randn(mu.shape[1], generator=generator)


# %%
# WRONG q1: one eps for a whole code
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar / 2) * torch.randn(len(mu), 1, generator=generator)


# %%
# WRONG q1: uniform noise
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar / 2) * torch.rand(mu.shape, generator=generator)


# %%
# WRONG q1: uniform noise of the right mean and variance
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar / 2) * (torch.rand(mu.shape, generator=generator) - 0.5) * 12**0.5


# %%
# WRONG q1: does not use the generator
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar / 2) * torch.randn_like(mu)


# %%
# WRONG q1: a seed of its own
def reparameterise(mu, logvar, generator):
    return mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))


# %%
# WRONG q1: starts the generator again at each call
def reparameterise(mu, logvar, generator):
    generator.manual_seed(generator.initial_seed())
    return mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=generator)


# %%
# WRONG q1: the mean only
def reparameterise(mu, logvar, generator):
    return mu + 0 * logvar


# %%
# WRONG q2: the sign
def kl_standard_normal(mu, logvar):
    return 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(dim=1)


# %%
# WRONG q2: the factor 1/2 is missing
def kl_standard_normal(mu, logvar):
    return (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)


# %%
# WRONG q2: averages over the dimensions
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean(dim=1)


# %%
# WRONG q2: sums over the batch
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=0)


# %%
# WRONG q2: one number for the whole batch
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1).mean()


# %%
# WRONG q2: takes logvar for log sigma
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + (2 * logvar).exp() - 1 - 2 * logvar).sum(dim=1)


# %%
# WRONG q2: log sigma in place of log sigma²
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar / 2).sum(dim=1)


# %%
# WRONG q2: forgets the 1
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - logvar).sum(dim=1)


# %%
# WRONG q2: mu is not squared
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu.abs() + logvar.exp() - 1 - logvar).sum(dim=1)


# %%
# WRONG q2: the two distributions exchanged
def kl_standard_normal(mu, logvar):
    return 0.5 * ((1 + mu**2) / logvar.exp() - 1 + logvar).sum(dim=1)


# %%
# WRONG q2: cuts the gradient
def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1).detach()


# %%
# WRONG q3: the logarithm of the sigmoid in two steps
def bernoulli_log_likelihood(x, logits):
    p = torch.sigmoid(logits)
    return (x * p.log() + (1 - x) * (1 - p).log()).sum(dim=(1, 2, 3))


# %%
# WRONG q3: a small number against the infinity
def bernoulli_log_likelihood(x, logits):
    p = torch.sigmoid(logits)
    return (x * (p + 1e-8).log() + (1 - x) * (1 - p + 1e-8).log()).sum(dim=(1, 2, 3))


# %%
# WRONG q3: clamps the logits
def bernoulli_log_likelihood(x, logits):
    logits = logits.clamp(-30, 30)
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(dim=(1, 2, 3))


# %%
# WRONG q3: binary cross-entropy with its own sign
def bernoulli_log_likelihood(x, logits):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2, 3))


# %%
# WRONG q3: averages over the pixels
def bernoulli_log_likelihood(x, logits):
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").mean(dim=(1, 2, 3))


# %%
# WRONG q3: sums over the batch too
def bernoulli_log_likelihood(x, logits):
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="sum")


# %%
# WRONG q3: keeps the channels
def bernoulli_log_likelihood(x, logits):
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(2, 3))


# %%
# WRONG q3: sums over the batch in place of the columns
def bernoulli_log_likelihood(x, logits):
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(0, 1, 2))


# %%
# WRONG q3: the white pixels only
def bernoulli_log_likelihood(x, logits):
    return (x * F.logsigmoid(logits)).sum(dim=(1, 2, 3))


# %%
# WRONG q3: x and 1 - x exchanged
def bernoulli_log_likelihood(x, logits):
    return ((1 - x) * F.logsigmoid(logits) + x * F.logsigmoid(-logits)).sum(dim=(1, 2, 3))


# %%
# WRONG q3: takes x for pixels in [-1, 1]
def bernoulli_log_likelihood(x, logits):
    v = (x + 1) / 2
    return (v * F.logsigmoid(logits) + (1 - v) * F.logsigmoid(-logits)).sum(dim=(1, 2, 3))


# %%
# WRONG q3: the logits of tanh, as in the notebook
def bernoulli_log_likelihood(x, logits):
    return (x * F.logsigmoid(2 * logits) + (1 - x) * F.logsigmoid(-2 * logits)).sum(dim=(1, 2, 3))


# %%
# WRONG q3: makes grey pixels black or white first
def bernoulli_log_likelihood(x, logits):
    x = (x > 0.5).float()
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(dim=(1, 2, 3))


# %%
# WRONG q4: the ELBO, not its negative
def vae_loss(x, mu, logvar, logits, beta):
    return (bernoulli_log_likelihood(x, logits) - beta * kl_standard_normal(mu, logvar)).mean()


# %%
# WRONG q4: rewards the KL
def vae_loss(x, mu, logvar, logits, beta):
    return -(bernoulli_log_likelihood(x, logits) + beta * kl_standard_normal(mu, logvar)).mean()


# %%
# WRONG q4: beta on the reconstruction
def vae_loss(x, mu, logvar, logits, beta):
    return (kl_standard_normal(mu, logvar) - beta * bernoulli_log_likelihood(x, logits)).mean()


# %%
# WRONG q4: beta on both
def vae_loss(x, mu, logvar, logits, beta):
    return beta * (kl_standard_normal(mu, logvar) - bernoulli_log_likelihood(x, logits)).mean()


# %%
# WRONG q4: forgets beta
def vae_loss(x, mu, logvar, logits, beta):
    return (kl_standard_normal(mu, logvar) - bernoulli_log_likelihood(x, logits)).mean()


# %%
# WRONG q4: forgets the KL
def vae_loss(x, mu, logvar, logits, beta):
    return -bernoulli_log_likelihood(x, logits).mean()


# %%
# WRONG q4: sums over the batch
def vae_loss(x, mu, logvar, logits, beta):
    return (beta * kl_standard_normal(mu, logvar) - bernoulli_log_likelihood(x, logits)).sum()


# %%
# WRONG q4: one number for each image
def vae_loss(x, mu, logvar, logits, beta):
    return beta * kl_standard_normal(mu, logvar) - bernoulli_log_likelihood(x, logits)


# %%
# WRONG q4: averages over the pixels and over the dimensions
def vae_loss(x, mu, logvar, logits, beta):
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean()
    return F.binary_cross_entropy_with_logits(logits, x) + beta * kl


# %%
# WRONG q4: averages the KL over the dimensions
def vae_loss(x, mu, logvar, logits, beta):
    kl = kl_standard_normal(mu, logvar) / mu.shape[1]
    return (beta * kl - bernoulli_log_likelihood(x, logits)).mean()


# %%
# WRONG q4: squared error in place of the likelihood
def vae_loss(x, mu, logvar, logits, beta):
    error = ((torch.sigmoid(logits) - x) ** 2).sum(dim=(1, 2, 3))
    return (error + beta * kl_standard_normal(mu, logvar)).mean()


# %%
# WRONG q4: the KL without its gradient
def vae_loss(x, mu, logvar, logits, beta):
    kl = kl_standard_normal(mu, logvar).detach()
    return (beta * kl - bernoulli_log_likelihood(x, logits)).mean()


# %%
# WRONG q5: forgets 1/K
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).logsumexp(dim=0)


# %%
# WRONG q5: averages the logarithms, which is the ELBO
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).mean(dim=0)


# %%
# WRONG q5: the exponentials one by one
def importance_weighted_bound(log_joint, log_q):
    return (log_joint.exp() / log_q.exp()).mean(dim=0).log()


# %%
# WRONG q5: the exponential of the difference, not stable
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).exp().mean(dim=0).log()


# %%
# WRONG q5: over the images in place of the codes
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).logsumexp(dim=1) - math.log(log_q.shape[1])


# %%
# WRONG q5: the number of images in place of K
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).logsumexp(dim=0) - math.log(log_q.shape[1])


# %%
# WRONG q5: the quotient of the sums, not the sum of the quotients
def importance_weighted_bound(log_joint, log_q):
    return log_joint.logsumexp(dim=0) - log_q.logsumexp(dim=0)


# %%
# WRONG q5: the weights upside down
def importance_weighted_bound(log_joint, log_q):
    return (log_q - log_joint).logsumexp(dim=0) - math.log(len(log_q))


# %%
# WRONG q5: divides by K outside the logarithm
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).logsumexp(dim=0) / len(log_q)


# %%
# WRONG q5: the largest weight only
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).max(dim=0).values


# %%
# WRONG q5: the mean over the images too
def importance_weighted_bound(log_joint, log_q):
    return ((log_joint - log_q).logsumexp(dim=0) - math.log(len(log_q))).mean()


# %%
# WRONG q6: without the prior, least squares
def linear_gaussian_posterior(x, w, sigma_x):
    variance = sigma_x**2 / (w @ w + 1e-12)
    return x @ w / (w @ w + 1e-12), variance


# %%
# WRONG q6: sigma_x is not squared
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w @ w / sigma_x)
    return variance * (x @ w) / sigma_x, variance


# %%
# WRONG q6: the standard deviation in place of the variance
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x @ w) / sigma_x**2, variance.sqrt()


# %%
# WRONG q6: the inverse of the variance
def linear_gaussian_posterior(x, w, sigma_x):
    precision = 1 + w @ w / sigma_x**2
    return (x @ w) / sigma_x**2 / precision, precision


# %%
# WRONG q6: the factor of z in place of the mean
def linear_gaussian_posterior(x, w, sigma_x):
    return (x @ w) / sigma_x**2, 1 / (1 + w @ w / sigma_x**2)


# %%
# WRONG q6: forgets sigma_x in the mean
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x @ w), variance


# %%
# WRONG q6: the square of the sum in place of the sum of squares
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w.sum() ** 2 / sigma_x**2)
    return variance * (x @ w) / sigma_x**2, variance


# %%
# WRONG q6: averages over the pixels in place of adding
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + (w * w).mean() / sigma_x**2)
    return variance * (x * w).mean(dim=1) / sigma_x**2, variance


# %%
# WRONG q6: sums over the images
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x * w).sum(dim=0) / sigma_x**2, variance


# %%
# WRONG q6: one variance for each dimension of x
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w * w / sigma_x**2)
    return (variance * w * x).sum(dim=1) / sigma_x**2, variance


# %%
# WRONG q6: the mean only
def linear_gaussian_posterior(x, w, sigma_x):
    return (x @ w) / (sigma_x**2 + w @ w)


# %%
# WRONG q6: a prior variance of sigma_x²
def linear_gaussian_posterior(x, w, sigma_x):
    variance = sigma_x**2 / (1 + w @ w)
    return (x @ w) / (1 + w @ w), variance
