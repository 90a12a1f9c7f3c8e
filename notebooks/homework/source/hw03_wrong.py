# %% [markdown]
# # Plausible wrong answers to homework 03
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: averages over everything, which hides a factor of C·H·W
def reconstruction_loss(x, x_hat):
    return ((x - x_hat) ** 2).mean()


# %%
# WRONG q1: sums over the batch too
def reconstruction_loss(x, x_hat):
    return ((x - x_hat) ** 2).sum()


# %%
# WRONG q1: absolute values in place of squares
def reconstruction_loss(x, x_hat):
    return (x - x_hat).abs().sum(dim=(1, 2, 3)).mean()


# %%
# WRONG q1: the norm without its square
def reconstruction_loss(x, x_hat):
    return (x - x_hat).flatten(1).norm(dim=1).mean()


# %%
# WRONG q1: one loss an image
def reconstruction_loss(x, x_hat):
    return ((x - x_hat) ** 2).sum(dim=(1, 2, 3))


# %%
# WRONG q1: the mean over the places of an image, the sum over the images
def reconstruction_loss(x, x_hat):
    return ((x - x_hat) ** 2).mean(dim=(2, 3)).sum()


# %%
# WRONG q2: columns of vh in place of its rows
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
    return reconstruction_loss(x, model.reconstruct(salt_and_pepper(x, 0.3, generator)))


# %%
# WRONG q4: compares with the corrupted image
def denoising_loss(model, x, p, generator):
    x_tilde = salt_and_pepper(x, p, generator)
    return reconstruction_loss(x_tilde, model.reconstruct(x_tilde))


# %%
# WRONG q4: shows the encoder the clean image
def denoising_loss(model, x, p, generator):
    return reconstruction_loss(x, model.reconstruct(x))


# %%
# WRONG q4: the two images the wrong way round
def denoising_loss(model, x, p, generator):
    return reconstruction_loss(salt_and_pepper(x, p, generator), model.reconstruct(x))


# %%
# WRONG q4: corrupts the reconstruction
def denoising_loss(model, x, p, generator):
    return reconstruction_loss(x, salt_and_pepper(model.reconstruct(x), p, generator))


# %%
# WRONG q4: seeds the generator again in each call
def denoising_loss(model, x, p, generator):
    dirty = salt_and_pepper(x, p, generator.manual_seed(0))
    return reconstruction_loss(x, model.decode(model.encode(dirty)))


# %%
# WRONG q5: one angle for the whole batch
def slerp(z0, z1, t):
    omega = torch.arccos((z0 * z1).sum() / (z0.norm() * z1.norm()))
    return (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / torch.sin(omega)


# %%
# WRONG q5: t and 1 - t exchanged
def slerp(z0, z1, t):
    unit0, unit1 = (z / z.norm(dim=1, keepdim=True) for z in (z0, z1))
    omega = torch.arccos((unit0 * unit1).sum(dim=1, keepdim=True))
    return (torch.sin(t * omega) * z0 + torch.sin((1 - t) * omega) * z1) / torch.sin(omega)


# %%
# WRONG q5: linear
def slerp(z0, z1, t):
    return (1 - t) * z0 + t * z1


# %%
# WRONG q5: the cosine in place of the angle
def slerp(z0, z1, t):
    unit0, unit1 = (z / z.norm(dim=1, keepdim=True) for z in (z0, z1))
    omega = (unit0 * unit1).sum(dim=1, keepdim=True) + 1e-6
    return (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / torch.sin(omega)


# %%
# WRONG q5: interpolates the directions and loses the length
def slerp(z0, z1, t):
    z0, z1 = (z / z.norm(dim=1, keepdim=True) for z in (z0, z1))
    omega = torch.arccos((z0 * z1).sum(dim=1, keepdim=True))
    return (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / torch.sin(omega)


# %%
# WRONG q5: interpolates direction and length apart
def slerp(z0, z1, t):
    length = (1 - t) * z0.norm(dim=1, keepdim=True) + t * z1.norm(dim=1, keepdim=True)
    z0, z1 = (z / z.norm(dim=1, keepdim=True) for z in (z0, z1))
    omega = torch.arccos((z0 * z1).sum(dim=1, keepdim=True))
    return length * (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / torch.sin(omega)
