"""Right answers to two exercises, ten each, written from the question alone in different hands."""

PENALTY = [  # homework 05, exercise 4
    """
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw)
    t = t.view(-1, *[1] * (real.ndim - 1))
    x_t = t * real + (1 - t) * fake
    x_t = x_t.detach()
    x_t.requires_grad_(True)
    scores = critic(x_t)
    grad = torch.autograd.grad(scores.sum(), x_t, create_graph=True)[0]
    norms = grad.view(len(real), -1).norm(dim=1)
    return torch.mean((norms - 1) ** 2)
""",
    """
def gradient_penalty(critic, real, fake, draw):
    # interpolate
    n = real.shape[0]
    shape = [n] + [1] * (len(real.shape) - 1)
    eps = torch.rand(shape, generator=draw)
    mixed = (real * eps + fake.detach() * (1 - eps)).requires_grad_(True)
    out = critic(mixed)
    gradients = torch.autograd.grad(
        outputs=out, inputs=mixed, grad_outputs=torch.ones_like(out), create_graph=True, retain_graph=True
    )[0]
    gradients = gradients.reshape(n, -1)
    length = torch.sqrt((gradients ** 2).sum(dim=1))
    return ((length - 1) ** 2).mean()
""",
    '''
def gradient_penalty(critic, real, fake, draw):
    """WGAN-GP."""
    alpha = torch.rand(real.size(0), generator=draw)
    while alpha.dim() < real.dim():
        alpha = alpha.unsqueeze(-1)
    with torch.no_grad():
        between = alpha * real + (1 - alpha) * fake
    between.requires_grad = True
    g, = torch.autograd.grad(critic(between).sum(), [between], create_graph=True)
    slope = g.flatten(start_dim=1).pow(2).sum(1).sqrt()
    penalty = (slope - 1).pow(2)
    return penalty.mean()
''',
    """
def gradient_penalty(critic, real, fake, draw):
    weights = torch.rand(len(real), generator=draw).reshape(-1, *(1 for _ in real.shape[1:]))
    point = torch.lerp(fake, real, weights).detach().requires_grad_()
    total = critic(point).sum()
    slopes = torch.autograd.grad(total, point, create_graph=True)[0]
    lengths = torch.linalg.vector_norm(slopes.flatten(1), dim=1)
    return (lengths - 1).square().mean()
""",
    """
def gradient_penalty(critic, real, fake, draw):
    B = len(real)
    t = torch.rand((B,), generator=draw).view(B, *([1] * (real.dim() - 1)))
    x = torch.autograd.Variable(fake.detach() + t * (real - fake.detach()), requires_grad=True)
    s = critic(x)
    dx = torch.autograd.grad(s, x, torch.ones(B), create_graph=True)[0]
    dims = tuple(range(1, dx.ndim))
    return ((dx.square().sum(dims).sqrt() - 1.0) ** 2).mean()
""",
    """
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw)
    mixed = torch.einsum("n,n...->n...", t, real) + torch.einsum("n,n...->n...", 1 - t, fake.detach())
    mixed = mixed.clone().detach().requires_grad_(True)

    def one(x):
        return critic(x).sum()

    jacobian = torch.autograd.functional.jacobian(one, mixed, create_graph=True)
    size = jacobian.flatten(1).norm(p=2, dim=1)
    error = size - torch.ones_like(size)
    return error.mul(error).mean()
""",
    """
def gradient_penalty(critic, real, fake, draw):
    a, b = real.detach(), fake.detach()
    u = torch.rand(a.shape[0], generator=draw)
    u = u[(...,) + (None,) * (a.ndim - 1)]
    path = b + u * (a - b)
    path.requires_grad_()
    score = torch.sum(critic(path))
    (slope,) = torch.autograd.grad(score, (path,), create_graph=True)
    deviations = [(row.norm() - 1) ** 2 for row in slope]
    return torch.stack(deviations).mean()
""",
    """
def gradient_penalty(critic, real, fake, draw):
    N = real.shape[0]
    t = torch.rand(N, generator=draw)
    t_flat = t[:, None]
    flat = t_flat * real.reshape(N, -1) + (1 - t_flat) * fake.reshape(N, -1)
    x_t = flat.detach().requires_grad_(True)
    y = critic(x_t.reshape(real.shape))
    grads = torch.autograd.grad(y.sum(), x_t, create_graph=True)[0]
    return torch.mean(torch.square(torch.norm(grads, dim=1) - 1))
""",
    """
def gradient_penalty(critic, real, fake, draw):
    ones = [1] * (real.dim() - 1)
    r = torch.rand(len(real), generator=draw).view(-1, *ones)
    x_hat = (r * real + (1 - r) * fake).detach()
    x_hat.requires_grad = True
    with torch.enable_grad():
        d = critic(x_hat)
        grad = torch.autograd.grad(outputs=d.sum(), inputs=x_hat, create_graph=True)[0]
    norm = grad.flatten(1).norm(2, dim=1)
    return torch.nn.functional.mse_loss(norm, torch.ones_like(norm))
""",
    """
def gradient_penalty(critic, real, fake, draw):
    batch = real.size(0)
    coefficient = torch.rand(batch, generator=draw)
    coefficient = coefficient.view(batch, *((1,) * (real.ndim - 1))).expand_as(real)
    line = coefficient * real.data + (1 - coefficient) * fake.data
    line = line.requires_grad_()
    g = torch.autograd.grad(critic(line), line, grad_outputs=torch.ones(batch), create_graph=True)
    g = g[0].view(batch, -1)
    return (((g * g).sum(-1) ** 0.5 - 1) ** 2).sum() / batch
""",
]

ANCESTRAL = [  # homework 07, exercise 4
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T.clone()
    with torch.no_grad():
        for i in range(len(times) - 1):
            t, s = times[i], times[i + 1]
            tt = torch.full((x.shape[0],), t)
            v = net(x, tt)
            x0, eps = x0_and_eps_from_v(x, v, tt, alpha_bar)
            mean, var = posterior(x0, x, t, s, alpha_bar)
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            x = mean + torch.sqrt(var) * noise
    return x
""",
    """
@torch.no_grad()
def ancestral(net, x_T, times, alpha_bar, generator):
    state = x_T
    for now, then in zip(times, times[1:]):
        clock = torch.ones(len(state), dtype=torch.long) * now
        guess = x0_and_eps_from_v(state, net(state, clock), clock, alpha_bar)[0]
        mu, sigma2 = posterior(guess, state, now, then, alpha_bar)
        z = torch.empty_like(mu).normal_(generator=generator)
        state = mu + sigma2 ** 0.5 * z
    return state
""",
    '''
def ancestral(net, x_T, times, alpha_bar, generator):
    """From noise to image."""
    n = len(x_T)
    current = x_T.detach().clone()
    for step in range(1, len(times)):
        t = times[step - 1]
        s = times[step]
        with torch.no_grad():
            prediction = net(current, torch.tensor([t] * n))
        clean, _ = x0_and_eps_from_v(current, prediction, torch.tensor([t] * n), alpha_bar)
        m, v = posterior(clean, current, t, s, alpha_bar)
        current = m
        if s > 0:
            current = current + v.sqrt() * torch.randn(m.shape, generator=generator).to(m)
    return current.detach()
''',
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    with torch.inference_mode():
        previous = times[0]
        for s in times[1:]:
            batch_t = torch.full(x.shape[:1], previous, dtype=torch.int64)
            x0_hat = x0_and_eps_from_v(x, net(x, batch_t), batch_t, alpha_bar)[0]
            mean, variance = posterior(x0_hat, x, previous, s, alpha_bar)
            x = torch.normal(mean, variance.sqrt().expand_as(mean), generator=generator)
            previous = s
    return x.clone()
""",
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    def step(x, t, s):
        ts = torch.full((len(x),), t)
        estimate, _eps = x0_and_eps_from_v(x, net(x, ts), ts, alpha_bar)
        mean, variance = posterior(estimate, x, t, s, alpha_bar)
        return mean + torch.randn(mean.shape, generator=generator, dtype=mean.dtype) * variance.sqrt()

    with torch.no_grad():
        for t, s in pairwise(times):
            x_T = step(x_T, t, s)
    return x_T
""",
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    torch.set_grad_enabled(False)
    try:
        sample = x_T + 0
        todo = list(times)
        t = todo.pop(0)
        while todo:
            s = todo.pop(0)
            time = torch.zeros(sample.size(0), dtype=torch.long) + t
            out = net(sample, time)
            image, noise = x0_and_eps_from_v(sample, out, time, alpha_bar)
            centre, spread = posterior(image, sample, t, s, alpha_bar)
            sample = centre + spread.sqrt() * torch.randn(sample.size(), generator=generator, dtype=sample.dtype)
            t = s
    finally:
        torch.set_grad_enabled(True)
    return sample
""",
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    xs = [x_T]
    for (t, s) in list(zip(times[:-1], times[1:])):
        x = xs[-1]
        t_vec = torch.tensor(t).repeat(x.shape[0])
        with torch.no_grad():
            v_hat = net(x, t_vec)
            x0_hat, eps_hat = x0_and_eps_from_v(x, v_hat, t_vec, alpha_bar)
            mean, variance = posterior(x0_hat, x, t, s, alpha_bar)
        std = float(variance) ** 0.5
        xs.append(mean + std * torch.randn(*x.shape, dtype=x.dtype, generator=generator))
    return xs[-1]
""",
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    x = x_T
    for k, t in enumerate(times[:-1]):
        s = times[k + 1]
        t_all = torch.full((x.shape[0],), t)
        x0 = x0_and_eps_from_v(x, net(x, t_all).detach(), t_all, alpha_bar)[0]
        mean, variance = posterior(x0, x, t, s, alpha_bar)
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x
""",
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    a = alpha_bar
    x = x_T.double().to(x_T.dtype)
    pairs = [(times[j], times[j + 1]) for j in range(len(times) - 1)]
    with torch.no_grad():
        for big, small in pairs:
            long = torch.tensor([big]).expand(len(x))
            x_zero, _ = x0_and_eps_from_v(x, net(x, long), long, a)
            result = posterior(x_zero, x, big, small, a)
            xi = torch.randn(result[0].shape, generator=generator, dtype=x.dtype)
            x = result[0] + xi * result[1].sqrt()
    return x
""",
    """
def ancestral(net, x_T, times, alpha_bar, generator):
    with torch.no_grad():
        z = x_T.clone()
        for idx in range(0, len(times) - 1, 1):
            hi = times[idx]
            lo = times[idx + 1]
            vec = torch.full((z.shape[0],), hi, dtype=torch.long)
            denoised, _ = x0_and_eps_from_v(z, net(z, vec), vec, alpha_bar)
            mu, sigma_sq = posterior(denoised, z, hi, lo, alpha_bar)
            gaussian = torch.randn(z.shape, dtype=z.dtype, generator=generator)
            z = torch.sqrt(sigma_sq).mul(gaussian).add(mu)
        return z
""",
]
