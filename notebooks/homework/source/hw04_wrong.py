# %% [markdown]
# # Plausible wrong answers to homework 04
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the transpose of L
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=generator)
    return mu + (eps[:, None, :] @ L)[:, 0, :]


# %%
# WRONG q1: the covariance instead of its factor
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=generator)
    return mu + (L @ L.mT @ eps[:, :, None])[:, :, 0]


# %%
# WRONG q1: the diagonal only
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=generator)
    return mu + L.diagonal(dim1=1, dim2=2) * eps


# %%
# WRONG q1: one eps for the whole batch
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape[1], 1, generator=generator)
    return mu + (L @ eps)[:, :, 0]


# %%
# WRONG q1: one eps for a whole code
def draw_codes(mu, L, generator):
    eps = torch.randn(len(mu), 1, 1, generator=generator).expand(-1, mu.shape[1], 1)
    return mu + (L @ eps)[:, :, 0]


# %%
# WRONG q1: uniform noise of mean 0 and variance 1
def draw_codes(mu, L, generator):
    eps = (torch.rand(mu.shape, generator=generator) - 0.5) * 12**0.5
    return mu + (L @ eps[:, :, None])[:, :, 0]


# %%
# WRONG q1: no gradient
def draw_codes(mu, L, generator):
    with torch.no_grad():
        eps = torch.randn(mu.shape, generator=generator)
        return mu + (L @ eps[:, :, None])[:, :, 0]


# %%
# WRONG q1: no gradient to L
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=generator)
    return mu + (L.detach() @ eps[:, :, None])[:, :, 0]


# %%
# WRONG q1: the library's draw without a gradient
def draw_codes(mu, L, generator):
    return distributions.MultivariateNormal(mu, scale_tril=L).sample()


# %%
# WRONG q1: the library's draw, which does not use the generator
def draw_codes(mu, L, generator):
    return mu + (L @ torch.randn_like(mu)[:, :, None])[:, :, 0]


# %%
# WRONG q1: a seed of its own
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
    return mu + (L @ eps[:, :, None])[:, :, 0]


# %%
# WRONG q1: starts the generator again at each call
def draw_codes(mu, L, generator):
    generator.manual_seed(generator.initial_seed())
    eps = torch.randn(mu.shape, generator=generator)
    return mu + (L @ eps[:, :, None])[:, :, 0]


# %%
# WRONG q1: multiplies mu too
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=generator)
    return (L @ (mu + eps)[:, :, None])[:, :, 0]


# %%
# WRONG q1: a product entry by entry
def draw_codes(mu, L, generator):
    eps = torch.randn(mu.shape, generator=generator)
    return mu + (L * eps[:, None, :]).mean(dim=2)


# %%
# WRONG q1: the mean only
def draw_codes(mu, L, generator):
    return mu + 0 * L.sum(dim=2)


# %%
# WRONG q2: the sign
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return log_det - 0.5 * (squares - mu.shape[1])


# %%
# WRONG q2: forgets 1/2
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return squares - mu.shape[1] - log_det


# %%
# WRONG q2: half the logarithm of the determinant
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * (squares - mu.shape[1] - log_det)


# %%
# WRONG q2: the formula of a diagonal cloud
def kl_tilted(mu, L):
    s = L.diagonal(dim1=1, dim2=2)
    return 0.5 * (mu**2 + s**2 - 1 - 2 * s.log()).sum(dim=1)


# %%
# WRONG q2: the diagonal, not squared
def kl_tilted(mu, L):
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * ((mu**2).sum(dim=1) + L.diagonal(dim1=1, dim2=2).sum(dim=1) - mu.shape[1]) - log_det


# %%
# WRONG q2: the norm of L, not its square
def kl_tilted(mu, L):
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * ((mu**2).sum(dim=1) + L.norm(dim=(1, 2)) - mu.shape[1]) - log_det


# %%
# WRONG q2: forgets d
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * squares - log_det


# %%
# WRONG q2: subtracts 1 instead of d
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * (squares - 1) - log_det


# %%
# WRONG q2: averages over the dimensions
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return (0.5 * (squares - mu.shape[1]) - log_det) / mu.shape[1]


# %%
# WRONG q2: one number for the batch
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return (0.5 * (squares - mu.shape[1]) - log_det).mean()


# %%
# WRONG q2: mu is not squared
def kl_tilted(mu, L):
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return 0.5 * (mu.sum(dim=1) + (L**2).sum(dim=(1, 2)) - mu.shape[1]) - log_det


# %%
# WRONG q2: the trace of L plus its transpose
def kl_tilted(mu, L):
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    covariance = (L + L.mT) / 2
    return 0.5 * ((mu**2).sum(dim=1) + (covariance**2).sum(dim=(1, 2)) - mu.shape[1]) - log_det


# %%
# WRONG q2: the two distributions exchanged
def kl_tilted(mu, L):
    q = distributions.MultivariateNormal(mu, scale_tril=L)
    p = distributions.MultivariateNormal(torch.zeros_like(mu), torch.eye(mu.shape[1]))
    return distributions.kl_divergence(p, q)


# %%
# WRONG q2: cuts the gradient
def kl_tilted(mu, L):
    squares = (mu**2).sum(dim=1) + (L**2).sum(dim=(1, 2))
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return (0.5 * (squares - mu.shape[1]) - log_det).detach()


# %%
# WRONG q3: the Bernoulli of the notebook
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    log_integral = torch.nn.functional.softplus(logits)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: the integral as it stands
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    log_integral = ((logits.exp() - 1) / logits).log()
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: the integral as it stands, and the limit at 0
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    log_integral = ((logits.exp() - 1) / logits).log()
    log_integral = torch.where(logits == 0, 0.0, log_integral)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: spoils the gradient at 0
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs()
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: no series near 0, a small number in its place
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs() + 1e-8
    log_integral = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: clamps the logits
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    logits = logits.clamp(-30, 30)
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: takes x for v
def log_continuous_bernoulli(x, logits):
    v = x
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: averages over the pixels
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).mean(dim=(1, 2, 3))


# %%
# WRONG q3: sums over the batch too
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum()


# %%
# WRONG q3: keeps the channels
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(2, 3))


# %%
# WRONG q3: the sign
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (log_integral - v * logits).sum(dim=(1, 2, 3))


# %%
# WRONG q3: forgets the sign of the logit
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = a + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: forgets to divide by l
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    log_integral = logits.clamp_min(0) + (-torch.expm1(-logits.abs().clamp_min(0.01))).log()
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: black and white exchanged
def log_continuous_bernoulli(x, logits):
    v = (1 - x) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: makes grey pixels black or white
def log_continuous_bernoulli(x, logits):
    v = (x > 0).float()
    a = logits.abs().clamp_min(0.01)
    near = logits / 2 + logits**2 / 24
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 0.01, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: a wrong second term near 0
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    a = logits.abs().clamp_min(0.01)
    near = logits / 2
    away = logits.clamp_min(0) + (-torch.expm1(-a)).log() - a.log()
    log_integral = torch.where(logits.abs() < 1.0, near, away)
    return (v * logits - log_integral).sum(dim=(1, 2, 3))


# %%
# WRONG q3: the library's Bernoulli
def log_continuous_bernoulli(x, logits):
    v = (x + 1) / 2
    return distributions.Bernoulli(logits=logits, validate_args=False).log_prob(v).sum(dim=(1, 2, 3))


# %%
# WRONG q4: raises the loss
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (log_likelihood - beta * kl).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: rewards the KL
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (-beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: beta on the likelihood
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (kl - beta * log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: beta on both
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * (kl - log_likelihood)).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: forgets beta
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: forgets the KL
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (-log_likelihood + 0 * beta * kl).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: sums over the batch
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).sum()
    kl = kl_tilted(mu, L).sum()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: sums the loss over the batch, returns means
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    ((beta * kl - log_likelihood) * len(x)).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: averages over the pixels
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean() / x[0].numel()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: decodes the mean, not a draw
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = mu
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: cuts the gradient at the code
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator).detach()
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: another generator
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, torch.Generator().manual_seed(0))
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: never forgets a gradient
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: forgets gradients only after the step
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    optimizer.zero_grad()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: forgets them between gradient and step
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    (beta * kl - log_likelihood).backward()
    optimizer.zero_grad()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: no step
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: two steps
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: returns tensors
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood, kl


# %%
# WRONG q4: returns the loss only
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return (beta * kl - log_likelihood).item()


# %%
# WRONG q4: returns them the other way round
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return kl.item(), log_likelihood.item()


# %%
# WRONG q4: returns the KL with beta
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), beta * kl.item()


# %%
# WRONG q4: returns the negative log-likelihood
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return -log_likelihood.item(), kl.item()


# %%
# WRONG q4: as they are after the step
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    mu, L = unpack(encoder(x))
    return log_continuous_bernoulli(x, decoder(z)).mean().item(), kl_tilted(mu, L).mean().item()


# %%
# WRONG q4: the KL without its gradient
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli(x, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl.detach() - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


# %%
# WRONG q4: pixels in [0, 1]
def training_step(encoder, decoder, optimizer, x, beta, generator):
    mu, L = unpack(encoder(x))
    z = draw_codes(mu, L, generator)
    log_likelihood = log_continuous_bernoulli((x + 1) / 2, decoder(z)).mean()
    kl = kl_tilted(mu, L).mean()
    optimizer.zero_grad()
    (beta * kl - log_likelihood).backward()
    optimizer.step()
    return log_likelihood.item(), kl.item()


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
# WRONG q5: over the images instead of the codes
def importance_weighted_bound(log_joint, log_q):
    return (log_joint - log_q).logsumexp(dim=1) - math.log(log_q.shape[1])


# %%
# WRONG q5: the number of images instead of K
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
# WRONG q6: the standard deviation instead of the variance
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x @ w) / sigma_x**2, variance.sqrt()


# %%
# WRONG q6: the inverse of the variance
def linear_gaussian_posterior(x, w, sigma_x):
    precision = 1 + w @ w / sigma_x**2
    return (x @ w) / sigma_x**2 / precision, precision


# %%
# WRONG q6: the factor of z instead of the mean
def linear_gaussian_posterior(x, w, sigma_x):
    return (x @ w) / sigma_x**2, 1 / (1 + w @ w / sigma_x**2)


# %%
# WRONG q6: forgets sigma_x in the mean
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w @ w / sigma_x**2)
    return variance * (x @ w), variance


# %%
# WRONG q6: the square of the sum instead of the sum of squares
def linear_gaussian_posterior(x, w, sigma_x):
    variance = 1 / (1 + w.sum() ** 2 / sigma_x**2)
    return variance * (x @ w) / sigma_x**2, variance


# %%
# WRONG q6: averages over the pixels instead of adding
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
