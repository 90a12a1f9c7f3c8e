# %% [markdown]
# # Plausible wrong answers to homework 07
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: nothing for t = 0
def alpha_bars(betas):
    return (1 - betas.double()).cumprod(dim=0)


# %%
# WRONG q1: a sum in place of the product
def alpha_bars(betas):
    return 1 - torch.cat([torch.zeros(1, dtype=torch.float64), betas.double().cumsum(dim=0)])


# %%
# WRONG q1: the product of the betas
def alpha_bars(betas):
    return torch.cat([torch.ones(1, dtype=torch.float64), betas.double().cumprod(dim=0)])


# %%
# WRONG q1: no product at all, alpha in place of alpha_bar
def alpha_bars(betas):
    return torch.cat([torch.ones(1, dtype=torch.float64), 1 - betas.double()])


# %%
# WRONG q1: one step late, two ones in front
def alpha_bars(betas):
    return torch.cat([torch.ones(2, dtype=torch.float64), (1 - betas.double()).cumprod(dim=0)[:-1]])


# %%
# WRONG q1: the 1 at the end
def alpha_bars(betas):
    return torch.cat([(1 - betas.double()).cumprod(dim=0), torch.ones(1, dtype=torch.float64)])


# %%
# WRONG q1: the roots, as they multiply the image
def alpha_bars(betas):
    alphas = 1 - betas.double()
    return torch.cat([torch.ones(1, dtype=torch.float64), alphas.cumprod(dim=0).sqrt()])


# %%
# WRONG q1: the type of the betas
def alpha_bars(betas):
    return torch.cat([torch.ones(1), (1 - betas).cumprod(dim=0)])


# %%
# WRONG q1: computes in float32, converts at the end
def alpha_bars(betas):
    return torch.cat([torch.ones(1), (1 - betas).cumprod(dim=0)]).double()


# %%
# WRONG q1: one factor at a time, and forgets the last one
def alpha_bars(betas):
    result = [1.0]
    for beta in betas.double()[:-1]:
        result.append(result[-1] * (1 - float(beta)))
    return torch.tensor([1.0, *result], dtype=torch.float64)


# %%
# WRONG q2: variances in place of standard deviations
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    return a * x0 + (1 - a) * eps


# %%
# WRONG q2: the noise by its variance
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a) * eps


# %%
# WRONG q2: 1 minus the root
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1)).sqrt()
    return a * x0 + (1 - a) * eps


# %%
# WRONG q2: image and noise exchanged
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    return (1 - a).sqrt() * x0 + a.sqrt() * eps


# %%
# WRONG q2: the times along the last axis
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


# %%
# WRONG q2: for images only
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None, None, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


# %%
# WRONG q2: one time for all
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t[0]]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


# %%
# WRONG q2: one step early, as if alpha_bar began with t = 1
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t - 1].view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


# %%
# WRONG q2: noise of its own
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * torch.randn(x0.shape)


# %%
# WRONG q2: for points and images only
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t][:, None] if x0.ndim == 2 else alpha_bar[t][:, None, None, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


# %%
# WRONG q2: changes its input
def noisy(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    x0 *= a.sqrt()
    return x0 + (1 - a).sqrt() * eps


# %%
# WRONG q3: beta in place of the smaller variance
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = now / before
    mean = (before.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, 1 - alpha


# %%
# WRONG q3: the standard deviation
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = now / before
    beta = 1 - alpha
    mean = (before.sqrt() * beta * x0 + alpha.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, ((1 - before) / (1 - now) * beta).sqrt()


# %%
# WRONG q3: alpha_bar in place of alpha
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    beta = 1 - now
    mean = (before.sqrt() * beta * x0 + now.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, (1 - before) / (1 - now) * beta


# %%
# WRONG q3: alpha_bar in place of alpha in the mean only
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    beta = 1 - now / before
    mean = (before.sqrt() * beta * x0 + now.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, (1 - before) / (1 - now) * beta


# %%
# WRONG q3: x0 and x_t exchanged
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = now / before
    beta = 1 - alpha
    mean = (before.sqrt() * beta * x_t + alpha.sqrt() * (1 - before) * x0) / (1 - now)
    return mean, (1 - before) / (1 - now) * beta


# %%
# WRONG q3: no roots
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = now / before
    beta = 1 - alpha
    mean = (before * beta * x0 + alpha * (1 - before) * x_t) / (1 - now)
    return mean, (1 - before) / (1 - now) * beta


# %%
# WRONG q3: one step late
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[min(t + 1, len(alpha_bar) - 1)], alpha_bar[t]
    alpha = now / before
    beta = 1 - alpha
    mean = (before.sqrt() * beta * x0 + alpha.sqrt() * (1 - before) * x_t) / (1 - now)
    return mean, (1 - before) / (1 - now) * beta


# %%
# WRONG q3: the mean of q(x_{t-1} | x_0)
def posterior(x0, x_t, t, alpha_bar):
    before = alpha_bar[t - 1]
    return before.sqrt() * x0, 1 - before


# %%
# WRONG q3: the mean only
def posterior(x0, x_t, t, alpha_bar):
    now, before = alpha_bar[t], alpha_bar[t - 1]
    alpha = now / before
    return (before.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - before) * x_t) / (1 - now)


# %%
# WRONG q4: the sign of v in x0
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t + noise * v, noise * x_t + signal * v


# %%
# WRONG q4: the sign of v in eps
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t - noise * v, noise * x_t - signal * v


# %%
# WRONG q4: the two results exchanged
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return noise * x_t + signal * v, signal * x_t - noise * v


# %%
# WRONG q4: no roots
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    return a * x_t - (1 - a) * v, (1 - a) * x_t + a * v


# %%
# WRONG q4: takes v for the noise
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    return (x_t - (1 - a).sqrt() * v) / a.sqrt(), v


# %%
# WRONG q4: applies the definition again in place of inverting it
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t + noise * v, signal * v - noise * x_t


# %%
# WRONG q4: the times along the last axis
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    return signal * x_t - noise * v, noise * x_t + signal * v


# %%
# WRONG q4: divides by 0 at t = 0
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    x0 = signal * x_t - noise * v
    return x0, (x_t - signal * x0) / noise


# %%
# WRONG q4: for images only
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t][:, None, None, None]
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t - noise * v, noise * x_t + signal * v


# %%
# WRONG q5: forgets to divide by the root of alpha_bar
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x0_hat = x_t - (1 - now).sqrt() * eps_hat
    return then.sqrt() * x0_hat + (1 - then).sqrt() * eps_hat


# %%
# WRONG q5: t and s exchanged
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[s], alpha_bar[t]
    x0_hat = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x0_hat + (1 - then).sqrt() * eps_hat


# %%
# WRONG q5: goes to t - 1, whatever s
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[t - 1]
    x0_hat = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x0_hat + (1 - then).sqrt() * eps_hat


# %%
# WRONG q5: the noise of t in the second mixture
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x0_hat = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x0_hat + (1 - now).sqrt() * eps_hat


# %%
# WRONG q5: leaves out the noise
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    return then.sqrt() * (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()


# %%
# WRONG q5: new noise in place of eps_hat
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x0_hat = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x0_hat + (1 - then).sqrt() * torch.randn(x_t.shape)


# %%
# WRONG q5: variances in place of standard deviations
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x0_hat = (x_t - (1 - now) * eps_hat) / now
    return then * x0_hat + (1 - then) * eps_hat


# %%
# WRONG q5: the sign of the noise
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x0_hat = (x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return then.sqrt() * x0_hat - (1 - then).sqrt() * eps_hat


# %%
# WRONG q5: clips the predicted image
def ddim_step(x_t, eps_hat, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    x0_hat = ((x_t - (1 - now).sqrt() * eps_hat) / now.sqrt()).clamp(-1, 1)
    return then.sqrt() * x0_hat + (1 - then).sqrt() * eps_hat


# %%
# WRONG q6: the paper's w
def guided(eps_with, eps_without, w):
    return (1 + w) * eps_with - w * eps_without


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


# %%
# WRONG q6: the two predictions exchanged
def guided(eps_with, eps_without, w):
    return eps_with + w * (eps_without - eps_with)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


# %%
# WRONG q6: starts from the conditional one
def guided(eps_with, eps_without, w):
    return eps_with + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


# %%
# WRONG q6: never goes beyond w = 1
def guided(eps_with, eps_without, w):
    return torch.lerp(eps_without, eps_with, min(w, 1.0))


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


# %%
# WRONG q6: keeps with probability p
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) > p, nothing)


# %%
# WRONG q6: changes its input
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    y[torch.rand(y.shape, generator=generator) < p] = nothing
    return y


# %%
# WRONG q6: one draw for all labels
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return torch.full_like(y, nothing) if torch.rand((), generator=generator) < p else y.clone()


# %%
# WRONG q6: always the same number of labels
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    y = y.clone()
    y[torch.randperm(len(y), generator=generator)[: round(p * len(y))]] = nothing
    return y


# %%
# WRONG q6: always the first labels
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.arange(len(y)) < p * len(y), nothing)


# %%
# WRONG q6: one draw for each class
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    of_class = torch.rand(int(y.max()) + 1, generator=generator) < p
    return y.masked_fill(of_class[y], nothing)


# %%
# WRONG q6: does not use the generator
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape) < p, nothing)


# %%
# WRONG q6: a seed of its own
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    generator = torch.Generator().manual_seed(0)
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


# %%
# WRONG q6: the number of digits in place of `nothing`
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, 10)


# %%
# WRONG q6: makes them float
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    keep = (torch.rand(y.shape, generator=generator) >= p).float()
    return keep * y + (1 - keep) * nothing


# %%
# WRONG q6: drops in tenths only
def guided(eps_with, eps_without, w):
    return eps_without + w * (eps_with - eps_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.randint(10, y.shape, generator=generator) < 10 * p, nothing)
