# %% [markdown]
# # Plausible wrong answers to homework 07
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the sign of v in x0
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t + noise * v, noise * x_t + signal * v


# %%
# WRONG q1: the sign of v in eps
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t - noise * v, noise * x_t - signal * v


# %%
# WRONG q1: the two results exchanged
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return noise * x_t + signal * v, signal * x_t - noise * v


# %%
# WRONG q1: no roots
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    return a * x_t - (1 - a) * v, (1 - a) * x_t + a * v


# %%
# WRONG q1: takes v for the noise
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    return (x_t - (1 - a).sqrt() * v) / a.sqrt(), v


# %%
# WRONG q1: applies the definition again in place of inverting it
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t + noise * v, signal * v - noise * x_t


# %%
# WRONG q1: the times along the last axis
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    signal, noise = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    return signal * x_t - noise * v, noise * x_t + signal * v


# %%
# WRONG q1: divides by 0 at t = 0
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x_t.ndim - 1))
    signal, noise = a.sqrt(), (1 - a).sqrt()
    x0 = signal * x_t - noise * v
    return x0, (x_t - signal * x0) / noise


# %%
# WRONG q1: for images only
def x0_and_eps_from_v(x_t, v, t, alpha_bar):
    a = alpha_bar[t][:, None, None, None]
    signal, noise = a.sqrt(), (1 - a).sqrt()
    return signal * x_t - noise * v, noise * x_t + signal * v


# %%
# WRONG q2: the noise as the target
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = eps
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: the image as the target
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: the sign of v
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = (1 - a).sqrt() * x0 - a.sqrt() * eps
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: the velocity of the straight path as the target
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = eps - x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: never the last time
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar) - 1, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: the clean image among the times
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(0, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: one time for all
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (1,), generator=generator).expand(len(x0))
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: times that come in turn
def v_loss(net, x0, alpha_bar, generator):
    t = 1 + torch.arange(len(x0)) % (len(alpha_bar) - 1)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: one noise for all pixels of an image
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(len(x0), *[1] * (x0.ndim - 1), generator=generator).expand(x0.shape)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: other noise in the target
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * torch.randn(x0.shape, generator=generator) - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: no roots
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a * x0 + (1 - a) * eps
    v = a * eps - (1 - a) * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: image and noise exchanged
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = (1 - a).sqrt() * x0 + a.sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: a sum in place of the mean
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().sum()


# %%
# WRONG q2: summed over the pixels of an image
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().flatten(1).sum(dim=1).mean()


# %%
# WRONG q2: absolute values in place of squares
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).abs().mean()


# %%
# WRONG q2: the network is shown the clean image
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x0, t) - v).square().mean()


# %%
# WRONG q2: the network is told a time that is one too early
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t - 1) - v).square().mean()


# %%
# WRONG q2: the network is told the share in place of the time
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, alpha_bar[t]) - v).square().mean()


# %%
# WRONG q2: shows it float64
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: for images only
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype)[:, None, None, None]
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: the times along the last axis
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype)
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: without gradients
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t).detach() - v).square().mean()


# %%
# WRONG q2: a seed of its own
def v_loss(net, x0, alpha_bar, generator):
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: seeds the generator again
def v_loss(net, x0, alpha_bar, generator):
    generator.manual_seed(0)
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q2: does not use the generator for the noise
def v_loss(net, x0, alpha_bar, generator):
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape)
    a = alpha_bar[t].to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * eps
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    return (net(x_t, t) - v).square().mean()


# %%
# WRONG q3: beta in place of the smaller variance
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, 1 - alpha


# %%
# WRONG q3: the standard deviation
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, ((1 - then) / (1 - now) * (1 - alpha)).sqrt()


# %%
# WRONG q3: always a single step
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[t - 1]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %%
# WRONG q3: alpha of the last step alone
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / alpha_bar[t - 1]
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %%
# WRONG q3: alpha_bar in place of alpha
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %%
# WRONG q3: alpha_bar in place of alpha in the mean only
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x0 + now.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %%
# WRONG q3: x0 and x_t exchanged
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x_t + alpha.sqrt() * (1 - then) * x0) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %%
# WRONG q3: no roots
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then * (1 - alpha) * x0 + alpha * (1 - then) * x_t) / (1 - now)
    return mean, (1 - then) / (1 - now) * (1 - alpha)


# %%
# WRONG q3: the mean of q(x_s | x_0)
def posterior(x0, x_t, t, s, alpha_bar):
    then = alpha_bar[s]
    return then.sqrt() * x0, 1 - then


# %%
# WRONG q3: the mean only
def posterior(x0, x_t, t, s, alpha_bar):
    now, then = alpha_bar[t], alpha_bar[s]
    alpha = now / then
    mean = (then.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - then) * x_t) / (1 - now)
    return mean


# %%
# WRONG q4: adds no noise
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean
    return x


# %%
# WRONG q4: the variance in place of its root
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: the larger variance
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + (1 - alpha_bar[t] / alpha_bar[s]).sqrt() * torch.randn(
                x.shape, generator=generator, dtype=x.dtype
            )
    return x


# %%
# WRONG q4: the larger variance, none in the last step
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + (s > 0) * (1 - alpha_bar[t] / alpha_bar[s]).sqrt() * torch.randn(
                x.shape, generator=generator, dtype=x.dtype
            )
    return x


# %%
# WRONG q4: one noise for all pixels of an image
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(
                len(x), *[1] * (x.ndim - 1), generator=generator, dtype=x.dtype
            )
    return x


# %%
# WRONG q4: one noise for all images
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape[1:], generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: the time at which the step ends
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), s)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: stops one step early
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times[:-1]):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: the last prediction in place of the last state but one
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x0_hat * 1.0 + 0.5 * eps_hat


# %%
# WRONG q4: jumps back to the first guess
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x_T


# %%
# WRONG q4: the noise in the place of the image
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(eps_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: DDIM
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = alpha_bar[s].sqrt() * x0_hat + (1 - alpha_bar[s]).sqrt() * eps_hat
    return x


# %%
# WRONG q4: mixes the guess with new noise, and forgets x_t
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = alpha_bar[s].sqrt() * x0_hat + (1 - alpha_bar[s]).sqrt() * torch.randn(
                x.shape, generator=generator, dtype=x.dtype
            )
    return x


# %%
# WRONG q4: a seed of its own
def ancestral(net, x_T, times, alpha_bar, generator):
    generator = torch.Generator().manual_seed(0)
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: does not use the generator
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, dtype=x.dtype)
    return x


# %%
# WRONG q4: the same noise in each step
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(
                x.shape, generator=torch.Generator().manual_seed(generator.initial_seed()), dtype=x.dtype
            )
    return x


# %%
# WRONG q4: keeps gradients
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    if True:
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: walks in single steps
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(range(times[0], -1, -1)):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: clips the predicted image
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat.clamp(-1, 1), x, t, s, alpha_bar)
            x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


# %%
# WRONG q4: changes its input
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.no_grad():
        for t, s in pairwise(times):
            all_t = torch.full((len(x),), t)
            x0_hat, eps_hat = x0_and_eps_from_v(x, net(x, all_t), all_t, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
            x = x.copy_(mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype))
    return x


# %%
# WRONG q5: the clock of the notebook
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * x0 + each * eps
    return (net(x_tau, tau) - (eps - x0)).square().mean()


# %%
# WRONG q5: the sign of the velocity
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (eps - x0)).square().mean()


# %%
# WRONG q5: the image as the target
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0)).square().mean()


# %%
# WRONG q5: the noise as the target
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (eps)).square().mean()


# %%
# WRONG q5: uniform times
def flow_loss(net, x0, generator):
    tau = torch.rand(len(x0), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: the sigmoid of uniform numbers
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.rand(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: the logistic twice as steep
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(2 * torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: one time for all
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(1, generator=generator)).expand(len(x0))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: image and noise exchanged in x_tau
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * x0 + each * eps
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: roots, as in diffusion
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each).sqrt() * eps + each.sqrt() * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: other noise in the target
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - torch.randn(x0.shape, generator=generator))).square().mean()


# %%
# WRONG q5: one noise for all pixels of an image
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(len(x0), *[1] * (x0.ndim - 1), generator=generator).expand(x0.shape)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: tells the network u
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, torch.logit(tau)) - (x0 - eps)).square().mean()


# %%
# WRONG q5: tells it the time left
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, 1 - tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: tells it the time with the axes of an image
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, each) - (x0 - eps)).square().mean()


# %%
# WRONG q5: a sum in place of the mean
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().sum()


# %%
# WRONG q5: absolute values
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).abs().mean()


# %%
# WRONG q5: for images only
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau[:, None, None, None]
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: without gradients
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau).detach() - (x0 - eps)).square().mean()


# %%
# WRONG q5: a seed of its own
def flow_loss(net, x0, generator):
    generator = torch.Generator().manual_seed(0)
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: seeds the generator again
def flow_loss(net, x0, generator):
    generator.manual_seed(0)
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape, generator=generator)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q5: does not use the generator for the noise
def flow_loss(net, x0, generator):
    tau = torch.sigmoid(torch.randn(len(x0), generator=generator))
    eps = torch.randn(x0.shape)
    each = tau.view(-1, *[1] * (x0.ndim - 1))
    x_tau = (1 - each) * eps + each * x0
    return (net(x_tau, tau) - (x0 - eps)).square().mean()


# %%
# WRONG q6: the paper's w
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return (1 + w) * v_with - w * v_without


# %%
# WRONG q6: the two predictions exchanged
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_with + w * (v_without - v_with)


# %%
# WRONG q6: starts from the one with the class
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_with + w * (v_with - v_without)


# %%
# WRONG q6: never goes beyond w = 1
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return torch.lerp(v_without, v_with, min(w, 1.0))


# %%
# WRONG q6: guides at all times
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    return v_without + w * (v_with - v_without)


# %%
# WRONG q6: guides outside the interval
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


# %%
# WRONG q6: without the class outside the interval
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_without
    return v_without + w * (v_with - v_without)


# %%
# WRONG q6: leaves out the ends of the interval
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if not low < t < high:
        return v_with
    return v_without + w * (v_with - v_without)


# %%
# WRONG q6: no upper end
def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


def guided(v_with, v_without, w, t, low, high):
    if t < low:
        return v_with
    return v_without + w * (v_with - v_without)


# %%
# WRONG q6: keeps with probability p
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) > p, nothing)


# %%
# WRONG q6: changes its input
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    y[torch.rand(y.shape, generator=generator) < p] = nothing
    return y


# %%
# WRONG q6: one draw for all labels
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    return torch.full_like(y, nothing) if torch.rand((), generator=generator) < p else y.clone()


# %%
# WRONG q6: always the same number of labels
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    y = y.clone()
    y[torch.randperm(len(y), generator=generator)[: round(p * len(y))]] = nothing
    return y


# %%
# WRONG q6: always the first labels
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.arange(len(y)) < p * len(y), nothing)


# %%
# WRONG q6: one draw for each class
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    of_class = torch.rand(int(y.max()) + 1, generator=generator) < p
    return y.masked_fill(of_class[y], nothing)


# %%
# WRONG q6: does not use the generator
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape) < p, nothing)


# %%
# WRONG q6: a seed of its own
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    generator = torch.Generator().manual_seed(0)
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)


# %%
# WRONG q6: the number of digits in place of `nothing`
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.rand(y.shape, generator=generator) < p, 10)


# %%
# WRONG q6: makes them float
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    keep = (torch.rand(y.shape, generator=generator) >= p).float()
    return keep * y + (1 - keep) * nothing


# %%
# WRONG q6: drops in tenths only
def guided(v_with, v_without, w, t, low, high):
    if not low <= t <= high:
        return v_with
    return v_without + w * (v_with - v_without)


def drop_labels(y, nothing, p, generator):
    return y.masked_fill(torch.randint(10, y.shape, generator=generator) < 10 * p, nothing)
