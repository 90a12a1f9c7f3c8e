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
# WRONG q1: the score of made against real
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
# WRONG q2: the logarithm of a σ that is rounded to 0 or 1
def discriminator_loss(real, made):
    return -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(made)).mean()


# %%
# WRONG q2: a small number against log 0
def discriminator_loss(real, made):
    D_real, D_made = torch.sigmoid(real), torch.sigmoid(made)
    return -torch.log(D_real + 1e-8).mean() - torch.log(1 - D_made + 1e-8).mean()


# %%
# WRONG q2: cross-entropy from probabilities, which torch cuts off at 100
def discriminator_loss(real, made):
    D_real, D_made = torch.sigmoid(real), torch.sigmoid(made)
    of_real = F.binary_cross_entropy(D_real, torch.ones_like(real))
    return of_real + F.binary_cross_entropy(D_made, torch.zeros_like(made))


# %%
# WRONG q2: one mean over both batches
def discriminator_loss(real, made):
    return torch.cat([-logsigmoid(real), -logsigmoid(-made)]).mean()


# %%
# WRONG q2: twice the mean over both batches
def discriminator_loss(real, made):
    return 2 * torch.cat([-logsigmoid(real), -logsigmoid(-made)]).mean()


# %%
# WRONG q2: half of the sum
def discriminator_loss(real, made):
    return (-logsigmoid(real).mean() - logsigmoid(-made).mean()) / 2


# %%
# WRONG q2: the value of the game, not its negative
def discriminator_loss(real, made):
    return logsigmoid(real).mean() + logsigmoid(-made).mean()


# %%
# WRONG q2: takes made ones for real, too
def discriminator_loss(real, made):
    return -logsigmoid(real).mean() - logsigmoid(made).mean()


# %%
# WRONG q2: exchanges real and made
def discriminator_loss(real, made):
    return -logsigmoid(-real).mean() - logsigmoid(made).mean()


# %%
# WRONG q2: sums in place of means
def discriminator_loss(real, made):
    return -logsigmoid(real).sum() - logsigmoid(-made).sum()


# %%
# WRONG q2: cuts the made scores off from the gradient
def discriminator_loss(real, made):
    return -logsigmoid(real).mean() - logsigmoid(-made.detach()).mean()


# %%
# WRONG q2: returns a plain number
def discriminator_loss(real, made):
    return (-logsigmoid(real).mean() - logsigmoid(-made).mean()).item()


# %%
# WRONG q3: exchanges minimax and non-saturating
def generator_loss(made, kind):
    losses = {
        "minimax": softplus(-made),
        "non-saturating": -softplus(made),
        "hinge": -made,
        "least-squares": (made - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: the minimax loss as a positive number
def generator_loss(made, kind):
    losses = {
        "minimax": softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": (made - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: the discriminator's hinge
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": F.relu(1 - made),
        "least-squares": (made - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: least squares without the half
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": (made - 1) ** 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: least squares towards 0, as for the discriminator
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": made**2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: least squares of D, not of the score
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": (made.sigmoid() - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: the logarithm of a σ that is rounded to 0 or 1
def generator_loss(made, kind):
    D = torch.sigmoid(made)
    losses = {
        "minimax": torch.log(1 - D),
        "non-saturating": -torch.log(D),
        "hinge": -made,
        "least-squares": (made - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind].mean()


# %%
# WRONG q3: takes any unknown kind for least squares
def generator_loss(made, kind):
    if kind == "minimax":
        return -softplus(made).mean()
    if kind == "non-saturating":
        return softplus(-made).mean()
    if kind == "hinge":
        return -made.mean()
    return ((made - 1) ** 2).mean() / 2


# %%
# WRONG q3: a KeyError for an unknown kind
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": (made - 1) ** 2 / 2,
    }
    return losses[kind].mean()


# %%
# WRONG q3: a message that does not say what is allowed
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": (made - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"unknown kind: {kind}")
    return losses[kind].mean()


# %%
# WRONG q3: one loss an image
def generator_loss(made, kind):
    losses = {
        "minimax": -softplus(made),
        "non-saturating": softplus(-made),
        "hinge": -made,
        "least-squares": (made - 1) ** 2 / 2,
    }
    if kind not in losses:
        raise ValueError(f"kind={kind!r}; allowed: {list(losses)}")
    return losses[kind]


# %%
# WRONG q4: without the half
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma * gradient.flatten(1).square().sum(dim=1).mean()


# %%
# WRONG q4: without create_graph
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x)
    return gamma / 2 * gradient.flatten(1).square().sum(dim=1).mean()


# %%
# WRONG q4: the gradient of the mean score
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).mean(), x, create_graph=True)
    return gamma / 2 * gradient.flatten(1).square().sum(dim=1).mean()


# %%
# WRONG q4: the length without its square
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt().mean()


# %%
# WRONG q4: the mean over an image's numbers
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.square().mean()


# %%
# WRONG q4: the sum over the batch
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.square().sum()


# %%
# WRONG q4: sums over the channels only
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.square().sum(dim=1).mean()


# %%
# WRONG q4: the square of the mean gradient
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.flatten(1).mean(dim=0).square().sum()


# %%
# WRONG q4: wants the slope 1, as WGAN-GP does
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * (gradient.flatten(1).norm(dim=1) - 1).square().mean()


# %%
# WRONG q4: the slope of D, not of the score
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sigmoid().sum(), x, create_graph=True)
    return gamma / 2 * gradient.flatten(1).square().sum(dim=1).mean()


# %%
# WRONG q4: changes x
def r1_penalty(discriminator, x, gamma):
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.flatten(1).square().sum(dim=1).mean()


# %%
# WRONG q4: leaves gradients in the weights
def r1_penalty(discriminator, x, gamma):
    x = x.detach().requires_grad_()
    discriminator(x).sum().backward(create_graph=True)
    return gamma / 2 * x.grad.flatten(1).square().sum(dim=1).mean()


# %%
# WRONG q4: switches the flag of an x off that had it on
def r1_penalty(discriminator, x, gamma):
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    x.requires_grad_(False)
    return gamma / 2 * gradient.square().flatten(1).sum(dim=1).mean()


# %%
# WRONG q5: forgets detach
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z)))
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q5: freezes the generator for good in place of detach
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    generator.requires_grad_(False)
    loss = discriminator_loss(discriminator(x), discriminator(generator(z)))
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


# %%
# WRONG q5: forgets detach, and wipes the generator's gradients out
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z)))
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    generator.zero_grad()
    return loss.detach()


# %%
# WRONG q5: forgets the penalty
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q5: the penalty at the made points
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    x_hat = generator(z).detach()
    loss = discriminator_loss(discriminator(x), discriminator(x_hat))
    loss = loss + r1_penalty(discriminator, x_hat, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q5: γ counts twice
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    loss = loss + gamma * r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q5: the penalty is in what is returned, but not in what is lowered
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    penalty = r1_penalty(discriminator, x, gamma).detach()
    optimizer.zero_grad()
    (loss + penalty).backward()
    optimizer.step()
    return loss + penalty


# %%
# WRONG q5: never sets the gradients to zero
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    loss = loss + r1_penalty(discriminator, x, gamma)
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q5: sets the gradients to zero between backward and step
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    loss = loss + r1_penalty(discriminator, x, gamma)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


# %%
# WRONG q5: forgets the step
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    return loss


# %%
# WRONG q5: exchanges real and made
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(generator(z).detach()), discriminator(x))
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q5: returns nothing
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z).detach()))
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %%
# WRONG q5: returns the loss after the step
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    def loss():
        s, s_hat = discriminator(x), discriminator(generator(z).detach())
        return discriminator_loss(s, s_hat) + r1_penalty(discriminator, x, gamma)

    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
    return loss()


# %%
# WRONG q5: detaches the discriminator's score, not the generator's points
def discriminator_step(generator, discriminator, optimizer, x, z, gamma):
    loss = discriminator_loss(discriminator(x), discriminator(generator(z)).detach())
    loss = loss + r1_penalty(discriminator, x, gamma)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q6: the same noise in all turns
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    for _ in range(turns):
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: the generator's turns share their noise
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    z = torch.randn(len(x), 2, generator=draw)
    for _ in range(turns):
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: steps both players in the generator's turn
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()
        optimizer_D.step()


# %%
# WRONG q6: the minimax loss
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z)), "minimax")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: the gradients of all turns add up
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    optimizer_G.zero_grad()
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        generator_loss(discriminator(generator(z)), "non-saturating").backward()
        optimizer_G.step()


# %%
# WRONG q6: detaches in the generator's turn, too
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z).detach()), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: the generator begins
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)


# %%
# WRONG q6: one turn of the discriminator for each of the generator's
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: one turn of the generator only
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    z = torch.randn(len(x), 2, generator=draw)
    loss = generator_loss(discriminator(generator(z)), "non-saturating")
    optimizer_G.zero_grad()
    loss.backward()
    optimizer_G.step()


# %%
# WRONG q6: a γ of its own
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = torch.randn(len(x), 2, generator=draw)
    discriminator_step(generator, discriminator, optimizer_D, x, z, 20.0)
    for _ in range(turns):
        z = torch.randn(len(x), 2, generator=draw)
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: uniform noise
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    z = 2 * torch.rand(len(x), 2, generator=draw) - 1
    discriminator_step(generator, discriminator, optimizer_D, x, z, gamma)
    for _ in range(turns):
        z = 2 * torch.rand(len(x), 2, generator=draw) - 1
        loss = generator_loss(discriminator(generator(z)), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()


# %%
# WRONG q6: does not use the generator of random numbers
def play_round(generator, discriminator, optimizer_G, optimizer_D, x, gamma, turns, draw):
    discriminator_step(generator, discriminator, optimizer_D, x, torch.randn(len(x), 2), gamma)
    for _ in range(turns):
        loss = generator_loss(discriminator(generator(torch.randn(len(x), 2))), "non-saturating")
        optimizer_G.zero_grad()
        loss.backward()
        optimizer_G.step()
