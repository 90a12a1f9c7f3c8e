# %% [markdown]
# # Plausible wrong answers to homework 03
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the loss over all pixels
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = ((model(shown) - x) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: the loss over the shown pixels
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = ((model(shown) - x) ** 2)[~lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: the lost pixels are added up and divided by all
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = (((model(shown) - x) ** 2) * lost).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: averages each image by itself, and then the images
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    hidden = lost.expand_as(x)
    errors = ((model(shown) - x) ** 2 * hidden).sum(dim=(1, 2, 3))
    loss = (errors / hidden.sum(dim=(1, 2, 3)).clamp_min(1)).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: sums over each image and averages over the images
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = (((model(shown) - x) ** 2) * lost).sum(dim=(1, 2, 3)).mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: does not hide what was lost
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x
    loss = ((model(shown) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: hides with black
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, -1.0)
    loss = ((model(shown) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: hides what was kept
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(~lost, 0.0)
    loss = ((model(shown) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: compares with what was shown
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = ((model(shown) - shown) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: divides by lost pixels, and forgets their colours
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = (((model(shown) - x) ** 2) * lost).sum() / lost.sum()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: takes each mask for one of pixels, and counts their colours
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = (((model(shown) - x) ** 2) * lost).sum() / (lost.sum() * x.shape[1])
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: hides and counts one colour only
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.clone()
    shown[:, :1][lost[:, :1]] = 0.0
    loss = ((model(shown) - x) ** 2)[:, :1][lost[:, :1]].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: absolute values instead of squares
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill(lost, 0.0)
    loss = (model(shown) - x)[lost.expand_as(x)].abs().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: changes the images
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    shown = x.masked_fill_(lost, 0.0)
    loss = ((model(shown) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: changes the images, and keeps a copy to compare with
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    clean = x.clone()
    shown = x.masked_fill_(lost, 0.0)
    loss = ((model(shown) - clean) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: never forgets a gradient
def training_step(model, optimizer, x, lost):
    loss = ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: forgets the gradients only after the step
def training_step(model, optimizer, x, lost):
    loss = ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


# %%
# WRONG q1: forgets them between the gradient and the step
def training_step(model, optimizer, x, lost):
    loss = ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


# %%
# WRONG q1: no step
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    loss = ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    return loss.item()


# %%
# WRONG q1: the loss after the step
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    loss = ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean().item()


# %%
# WRONG q1: gives back a tensor
def training_step(model, optimizer, x, lost):
    optimizer.zero_grad()
    loss = ((model(x.masked_fill(lost, 0.0)) - x) ** 2)[lost.expand_as(x)].mean()
    loss.backward()
    optimizer.step()
    return loss


# %%
# WRONG q2: columns of vh instead of its rows
def pca_reconstruct(x, x_train, d):
    mu = x_train.mean(dim=0)
    _, _, vh = torch.linalg.svd(x_train - mu, full_matrices=False)
    v = vh[:, :d]
    return (x - mu) @ v @ v.T + mu


# %%
# WRONG q2: forgets to centre
def pca_reconstruct(x, x_train, d):
    _, _, vh = torch.linalg.svd(x_train, full_matrices=False)
    v = vh[:d].T
    return x @ v @ v.T


# %%
# WRONG q2: forgets to add the mean again
def pca_reconstruct(x, x_train, d):
    mu = x_train.mean(dim=0)
    _, _, vh = torch.linalg.svd(x_train - mu, full_matrices=False)
    v = vh[:d].T
    return (x - mu) @ v @ v.T


# %%
# WRONG q2: takes the least important directions
def pca_reconstruct(x, x_train, d):
    mu = x_train.mean(dim=0)
    _, _, vh = torch.linalg.svd(x_train - mu, full_matrices=False)
    v = vh[len(vh) - d :].T
    return (x - mu) @ v @ v.T + mu


# %%
# WRONG q2: centres with the mean of x, not of the training data
def pca_reconstruct(x, x_train, d):
    _, _, vh = torch.linalg.svd(x_train - x_train.mean(dim=0), full_matrices=False)
    v = vh[:d].T
    return (x - x.mean(dim=0)) @ v @ v.T + x.mean(dim=0)


# %%
# WRONG q2: centres x with its own mean, and adds that of the training data
def pca_reconstruct(x, x_train, d):
    mu = x_train.mean(dim=0)
    _, _, vh = torch.linalg.svd(x_train - mu, full_matrices=False)
    v = vh[:d].T
    return (x - x.mean(dim=0)) @ v @ v.T + mu


# %%
# WRONG q3: damages with probability 2p
def salt_and_pepper(x, p, generator):
    u = torch.rand(x.shape, generator=generator)
    return x.masked_fill(u < p, -1.0).masked_fill(u > 1 - p, 1.0)


# %%
# WRONG q3: pepper only
def salt_and_pepper(x, p, generator):
    return x.masked_fill(torch.rand(x.shape, generator=generator) < p, -1.0)


# %%
# WRONG q3: one draw for all images
def salt_and_pepper(x, p, generator):
    u = torch.rand(x.shape[1:], generator=generator)
    return x.masked_fill(u < p / 2, -1.0).masked_fill(u > 1 - p / 2, 1.0)


# %%
# WRONG q3: changes its input
def salt_and_pepper(x, p, generator):
    u = torch.rand(x.shape, generator=generator)
    return x.masked_fill_(u < p / 2, -1.0).masked_fill_(u > 1 - p / 2, 1.0)


# %%
# WRONG q3: the second kind overwrites the first, drawn anew
def salt_and_pepper(x, p, generator):
    x = x.masked_fill(torch.rand(x.shape, generator=generator) < p, -1.0)
    return x.masked_fill(torch.rand(x.shape, generator=generator) < p / 2, 1.0)


# %%
# WRONG q3: does not use the generator
def salt_and_pepper(x, p, generator):
    u = torch.rand(x.shape)
    return x.masked_fill(u < p / 2, -1.0).masked_fill(u > 1 - p / 2, 1.0)


# %%
# WRONG q3: a seed of its own
def salt_and_pepper(x, p, generator):
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(u < p / 2, -1.0).masked_fill(u > 1 - p / 2, 1.0)


# %%
# WRONG q3: the place decides on the colour
def salt_and_pepper(x, p, generator):
    hit = torch.rand(x.shape, generator=generator) < p
    colour = torch.where(torch.arange(28) < 14, 1.0, -1.0).expand_as(x)
    return torch.where(hit, colour, x)


# %%
# WRONG q3: one colour for all damaged pixels of an image
def salt_and_pepper(x, p, generator):
    hit = torch.rand(x.shape, generator=generator) < p
    colour = (torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5) * 2.0 - 1
    return torch.where(hit, colour.expand_as(x), x)


# %%
# WRONG q4: a probability of its own
def denoising_loss(model, x, p, generator):
    x_hat = model.reconstruct(salt_and_pepper(x, 0.3, generator))
    return ((x_hat - x) ** 2).sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q4: compares with the corrupted image
def denoising_loss(model, x, p, generator):
    x_tilde = salt_and_pepper(x, p, generator)
    return ((model.reconstruct(x_tilde) - x_tilde) ** 2).sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q4: shows the encoder the clean image
def denoising_loss(model, x, p, generator):
    return ((model.reconstruct(x) - x) ** 2).sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q4: the two images the wrong way round
def denoising_loss(model, x, p, generator):
    x_hat = model.reconstruct(x)
    return ((x_hat - salt_and_pepper(x, p, generator)) ** 2).sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q4: corrupts the reconstruction
def denoising_loss(model, x, p, generator):
    x_hat = salt_and_pepper(model.reconstruct(x), p, generator)
    return ((x_hat - x) ** 2).sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q4: seeds the generator again in each call
def denoising_loss(model, x, p, generator):
    dirty = salt_and_pepper(x, p, generator.manual_seed(0))
    return ((model.decode(model.encode(dirty)) - x) ** 2).sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q4: averages over pixels
def denoising_loss(model, x, p, generator):
    return ((model.reconstruct(salt_and_pepper(x, p, generator)) - x) ** 2).mean()


# %%
# WRONG q5: sigma instead of its square
def best_denoiser(x_tilde, mu, cov, sigma):
    return mu + (x_tilde - mu) @ torch.linalg.solve(cov + sigma * torch.eye(len(cov)), cov)


# %%
# WRONG q5: forgets to centre
def best_denoiser(x_tilde, mu, cov, sigma):
    return x_tilde @ torch.linalg.solve(cov + sigma**2 * torch.eye(len(cov)), cov)


# %%
# WRONG q5: forgets to add the mean again
def best_denoiser(x_tilde, mu, cov, sigma):
    return (x_tilde - mu) @ torch.linalg.solve(cov + sigma**2 * torch.eye(len(cov)), cov)


# %%
# WRONG q5: keeps the share of the noise
def best_denoiser(x_tilde, mu, cov, sigma):
    noise = sigma**2 * torch.eye(len(cov))
    return mu + (x_tilde - mu) @ torch.linalg.solve(cov + noise, noise)


# %%
# WRONG q5: each coordinate by itself
def best_denoiser(x_tilde, mu, cov, sigma):
    own = cov.diagonal()
    return mu + (x_tilde - mu) * own / (own + sigma**2)


# %%
# WRONG q5: does nothing
def best_denoiser(x_tilde, mu, cov, sigma):
    return x_tilde


# %%
# WRONG q6: one Gaussian for all
def draw_codes(z, y, n, generator):
    eps = torch.randn(n, z.shape[1], generator=generator)
    return z.mean(dim=0) + eps @ torch.linalg.cholesky(z.T.cov()).T


# %%
# WRONG q6: each class as often as the others
def draw_codes(z, y, n, generator):
    classes = torch.randint(int(y.max()) + 1, (n,), generator=generator)
    new = torch.empty(n, z.shape[1])
    for c in y.unique():
        z_c, here = z[y == c], classes == c
        eps = torch.randn(int(here.sum()), z.shape[1], generator=generator)
        new[here] = z_c.mean(dim=0) + eps @ torch.linalg.cholesky(z_c.T.cov()).T
    return new


# %%
# WRONG q6: multiplies rows by A, not by its transpose
def draw_codes(z, y, n, generator):
    classes = y[torch.randint(len(y), (n,), generator=generator)]
    new = torch.empty(n, z.shape[1])
    for c in y.unique():
        z_c, here = z[y == c], classes == c
        eps = torch.randn(int(here.sum()), z.shape[1], generator=generator)
        new[here] = z_c.mean(dim=0) + eps @ torch.linalg.cholesky(z_c.T.cov())
    return new


# %%
# WRONG q6: multiplies by the covariance itself
def draw_codes(z, y, n, generator):
    classes = y[torch.randint(len(y), (n,), generator=generator)]
    new = torch.empty(n, z.shape[1])
    for c in y.unique():
        z_c, here = z[y == c], classes == c
        eps = torch.randn(int(here.sum()), z.shape[1], generator=generator)
        new[here] = z_c.mean(dim=0) + eps @ z_c.T.cov()
    return new


# %%
# WRONG q6: copies old codes
def draw_codes(z, y, n, generator):
    return z[torch.randint(len(z), (n,), generator=generator)]


# %%
# WRONG q6: all codes of a class in a row
def draw_codes(z, y, n, generator):
    classes = y[torch.randint(len(y), (n,), generator=generator)].sort().values
    new = torch.empty(n, z.shape[1])
    for c in y.unique():
        z_c, here = z[y == c], classes == c
        eps = torch.randn(int(here.sum()), z.shape[1], generator=generator)
        new[here] = z_c.mean(dim=0) + eps @ torch.linalg.cholesky(z_c.T.cov()).T
    return new


# %%
# WRONG q6: a seed of its own
def draw_codes(z, y, n, generator):
    generator = torch.Generator().manual_seed(0)
    classes = y[torch.randint(len(y), (n,), generator=generator)]
    new = torch.empty(n, z.shape[1])
    for c in y.unique():
        z_c, here = z[y == c], classes == c
        eps = torch.randn(int(here.sum()), z.shape[1], generator=generator)
        new[here] = z_c.mean(dim=0) + eps @ torch.linalg.cholesky(z_c.T.cov()).T
    return new
