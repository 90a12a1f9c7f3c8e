# %% [markdown]
# # Plausible wrong answers to homework 05
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: D* in place of its score
def best_score(log_p, log_q):
    return torch.sigmoid(log_p - log_q)


# %%
# WRONG q1: the logarithm of the quotient, by exp
def best_score(log_p, log_q):
    return torch.log(torch.exp(log_p - log_q))


# %%
# WRONG q1: changes its input
def best_score(log_p, log_q):
    log_p -= log_q
    return log_p


# %%
# WRONG q1: log D* in place of the score
def best_score(log_p, log_q):
    return log_p - torch.logaddexp(log_p, log_q)


# %%
# WRONG q1: the score of generated against real
def best_score(log_p, log_q):
    return log_q - log_p


# %%
# WRONG q1: by way of the densities, which underflow
def best_score(log_p, log_q):
    p, q = log_p.exp(), log_q.exp()
    return torch.logit(p / (p + q))


# %%
# WRONG q1: a small number against the underflow
def best_score(log_p, log_q):
    return torch.log(log_p.exp() + 1e-12) - torch.log(log_q.exp() + 1e-12)


# %%
# WRONG q1: the ratio of the logarithms
def best_score(log_p, log_q):
    return log_p / log_q


# %%
# WRONG q1: against the mean of both densities
def best_score(log_p, log_q):
    return log_p - torch.logaddexp(log_p, log_q) + math.log(2)


# %%
# WRONG q2: least squares without the half
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() + (fake**2).mean(), ((fake - 1) ** 2).mean()
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: the generator's least squares towards 0
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, (fake**2).mean() / 2
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: the discriminator's targets exchanged
def losses(real, fake, kind):
    if kind == "least-squares":
        return (real**2).mean() / 2 + ((fake - 1) ** 2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: least squares of D, not of the score
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real.sigmoid() - 1) ** 2).mean() / 2 + (fake.sigmoid() ** 2).mean() / 2, (
            (fake - 1) ** 2
        ).mean() / 2
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: one mean over both batches
def losses(real, fake, kind):
    if kind == "least-squares":
        return torch.cat([(real - 1) ** 2, fake**2]).mean(), ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return 2 * torch.cat([relu(1 - real), relu(1 + fake)]).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: a hinge in the generator's loss
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean(), relu(1 - fake).mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: the hinge the wrong way round
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return relu(1 + real).mean() + relu(1 - fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: a hinge at 0
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return relu(-real).mean() + relu(fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: no hinge at all
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return (1 - real).mean() + (1 + fake).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: the two losses exchanged
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((fake - 1) ** 2).mean() / 2, ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2
    if kind == "hinge":
        return -fake.mean(), relu(1 - real).mean() + relu(1 + fake).mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q2: takes any unknown kind for hinge
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()


# %%
# WRONG q2: a message that does not say what is allowed
def losses(real, fake, kind):
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()
    raise ValueError(f"unknown kind: {kind}")


# %%
# WRONG q2: a KeyError for an unknown kind
def losses(real, fake, kind):
    least = ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    hinge = relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()
    return {"least-squares": least, "hinge": hinge}[kind]


# %%
# WRONG q2: cuts the generated scores off from the gradient
def losses(real, fake, kind):
    cut = fake.detach()
    if kind == "least-squares":
        return ((real - 1) ** 2).mean() / 2 + (cut**2).mean() / 2, ((fake - 1) ** 2).mean() / 2
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + cut).mean(), -fake.mean()
    raise ValueError(f"kind={kind!r} is unknown; allowed: least-squares, hinge")


# %%
# WRONG q3: the logarithm of a σ that is rounded to 0 or 1
def jsd_bound(real, fake):
    return math.log(2) + (torch.log(real.sigmoid()).mean() + torch.log(1 - fake.sigmoid()).mean()) / 2


# %%
# WRONG q3: a small number against log 0
def jsd_bound(real, fake):
    return (
        math.log(2)
        + (torch.log(real.sigmoid() + 1e-8).mean() + torch.log(1 - fake.sigmoid() + 1e-8).mean()) / 2
    )


# %%
# WRONG q3: forgets the half
def jsd_bound(real, fake):
    return math.log(4) + logsigmoid(real).mean() + logsigmoid(-fake).mean()


# %%
# WRONG q3: the value of the game itself
def jsd_bound(real, fake):
    return logsigmoid(real).mean() + logsigmoid(-fake).mean()


# %%
# WRONG q3: log 4 in the place of log 2
def jsd_bound(real, fake):
    return math.log(4) + (logsigmoid(real).mean() + logsigmoid(-fake).mean()) / 2


# %%
# WRONG q3: takes generated ones for real, too
def jsd_bound(real, fake):
    return math.log(2) + (logsigmoid(real).mean() + logsigmoid(fake).mean()) / 2


# %%
# WRONG q3: exchanges real and generated
def jsd_bound(real, fake):
    return math.log(2) + (logsigmoid(-real).mean() + logsigmoid(fake).mean()) / 2


# %%
# WRONG q3: one mean over both batches
def jsd_bound(real, fake):
    return math.log(2) + torch.cat([logsigmoid(real), logsigmoid(-fake)]).mean()


# %%
# WRONG q3: cut off at 0
def jsd_bound(real, fake):
    return (math.log(2) + (logsigmoid(real).mean() + logsigmoid(-fake).mean()) / 2).clamp_min(0)


# %%
# WRONG q3: the sign of the loss
def jsd_bound(real, fake):
    return -math.log(2) - (logsigmoid(real).mean() + logsigmoid(-fake).mean()) / 2


# %%
# WRONG q4: one t for all pairs
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(1, generator=draw)
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: a t for each number of an image
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(real.shape, generator=draw)
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: a normal t
def gradient_penalty(critic, real, fake, draw):
    t = torch.randn(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: does not use draw
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real)).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: half-way, always
def gradient_penalty(critic, real, fake, draw):
    t = 0.5
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: at the real images
def gradient_penalty(critic, real, fake, draw):
    x_t = real.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: wants slope 0, as R1 does
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) ** 2).mean()


# %%
# WRONG q4: the square of the length, less 1
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).square().sum(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: without the square
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).abs().mean()


# %%
# WRONG q4: sums over the pairs
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).sum()


# %%
# WRONG q4: the length over the channels only
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: without create_graph
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: the gradient of the mean score
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).mean(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: lets a gradient through to the generator
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x_t).sum(), x_t, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q4: leaves gradients in the weights
def gradient_penalty(critic, real, fake, draw):
    t = torch.rand(len(real), generator=draw).view(-1, *[1] * (real.ndim - 1))
    x_t = (t * real + (1 - t) * fake).detach().requires_grad_()
    critic(x_t).sum().backward(create_graph=True)
    gradient = x_t.grad
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


# %%
# WRONG q5: uniform noise
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.rand(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: does not use draw
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: seeds draw again in each call
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=torch.Generator().manual_seed(0))
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: two noise dimensions whatever the generator has
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, 2, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: one noise for all
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(1, generator.latent_dim, generator=draw).expand(n, -1)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the noise of each piece by itself
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    optimizer.zero_grad()
    total = 0.0
    for begin in range(0, n, piece):
        part = torch.randn(min(piece, n - begin), generator.latent_dim, generator=draw)
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the same noise for each piece
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(piece, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for begin in range(0, n, piece):
        part = z[: n - begin]
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the minimax loss
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = -softplus(discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the discriminator's loss of generated images
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: sums over the batch
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum()
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the mean of each piece
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).mean()
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the right loss, but the gradient of each piece's mean
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).mean()
        loss.backward()
        total += loss.item() * len(part) / n
    optimizer.step()
    return total


# %%
# WRONG q5: divides by the length of the piece
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / len(part)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: divides by the length that a piece may have
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / piece
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the mean of the pieces' means
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).mean() / math.ceil(n / piece)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: the right gradient, but the loss of the last piece
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: the right gradient, but the mean of the pieces' losses
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    values = []
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        values.append(loss.item() * n / len(part))
    optimizer.step()
    return sum(values) / len(values)


# %%
# WRONG q5: drops what is left after the whole pieces
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for k in range(n // piece):
        part = z[k * piece : (k + 1) * piece]
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: so many pieces in place of so many rows
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.chunk(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: all at once
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    loss = softplus(-discriminator(generator(z))).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: keeps all pieces until one backward
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    loss = 0.0
    for part in z.split(piece):
        loss = loss + softplus(-discriminator(generator(part))).sum() / n
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: puts the images together again for the discriminator
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    x = torch.cat([generator(part) for part in z.split(piece)])
    loss = softplus(-discriminator(x)).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: detaches, as in the discriminator's turn
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part).detach())).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: never sets the gradients to zero
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: sets the gradients to zero for each piece
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        optimizer.zero_grad()
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q5: sets the gradients to zero between backward and step
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.zero_grad()
    optimizer.step()
    return total


# %%
# WRONG q5: a step for each piece
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        optimizer.zero_grad()
        loss.backward()
        total += loss.item()
        optimizer.step()
    return total


# %%
# WRONG q5: a step for each piece, with the gradients of those before
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
        optimizer.step()
    return total


# %%
# WRONG q5: forgets the step
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    return total


# %%
# WRONG q5: returns a tensor
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.detach()
    optimizer.step()
    return total


# %%
# WRONG q5: returns the loss after the step
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
    optimizer.step()
    with torch.no_grad():
        for part in z.split(piece):
            total += softplus(-discriminator(generator(part))).sum().item() / n
    return total


# %%
# WRONG q5: freezes the discriminator for good
def generator_step(generator, discriminator, optimizer, n, piece, draw):
    z = torch.randn(n, generator.latent_dim, generator=draw)
    discriminator.requires_grad_(False)
    optimizer.zero_grad()
    total = 0.0
    for part in z.split(piece):
        loss = softplus(-discriminator(generator(part))).sum() / n
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


# %%
# WRONG q6: the shares exchanged
def update_average(average, model, decay):
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), model.parameters(), strict=True):
            w_bar.lerp_(w, decay)
        for kept, fresh in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(fresh)


# %%
# WRONG q6: forgets the buffers
def update_average(average, model, decay):
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), model.parameters(), strict=True):
            w_bar.lerp_(w, 1 - decay)


# %%
# WRONG q6: averages the buffers
def update_average(average, model, decay):
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), model.parameters(), strict=True):
            w_bar.lerp_(w, 1 - decay)
        for kept, fresh in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(decay * kept + (1 - decay) * fresh)


# %%
# WRONG q6: moves the model, too
def update_average(average, model, decay):
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), model.parameters(), strict=True):
            w_bar.lerp_(w, 1 - decay)
            w.copy_(w_bar)
        for kept, fresh in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(fresh)


# %%
# WRONG q6: copies the model
def update_average(average, model, decay):
    average.load_state_dict(model.state_dict())


# %%
# WRONG q6: does nothing
def update_average(average, model, decay):
    return None


# %%
# WRONG q6: shares the model's weights
def update_average(average, model, decay):
    if decay == 0:
        average.load_state_dict(model.state_dict(), assign=True)
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), model.parameters(), strict=True):
            w_bar.lerp_(w, 1 - decay)
        for kept, fresh in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(fresh)


# %%
# WRONG q6: a plain mean of both
def update_average(average, model, decay):
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), model.parameters(), strict=True):
            w_bar.lerp_(w, 0.5)
        for kept, fresh in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(fresh)
