# %% [markdown]
# # Plausible wrong answers to homework 06
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the class before the noise
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([F.one_hot(y, classes), z], dim=1)


# %%
# WRONG q1: counts the classes from 1
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, F.one_hot((y - 1) % classes, classes)], dim=1)


# %%
# WRONG q1: as many columns as the batch happens to need
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, F.one_hot(y)], dim=1)


# %%
# WRONG q1: accepts negative labels
def with_one_hot(z, y, classes):
    if (y >= classes).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, torch.eye(classes)[y]], dim=1)


# %%
# WRONG q1: accepts the label C
def with_one_hot(z, y, classes):
    if ((y < 0) | (y > classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, F.one_hot(y, classes + 1)[:, :classes]], dim=1)


# %%
# WRONG q1: leaves the error to F.one_hot
def with_one_hot(z, y, classes):
    return torch.cat([z, F.one_hot(y, classes)], dim=1)


# %%
# WRONG q1: a message that does not say what is wrong
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError("only classes from the list")
    return torch.cat([z, F.one_hot(y, classes)], dim=1)


# %%
# WRONG q1: looks at the first label only
def with_one_hot(z, y, classes):
    if not 0 <= y[0] < classes:
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, torch.eye(classes + 1)[y][:, :classes]], dim=1)


# %%
# WRONG q1: the label as one number
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, y[:, None]], dim=1)


# %%
# WRONG q2: mean and variance of each image
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: mean and variance over the images only
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=0, keepdim=True)
    variance = (h - mean).square().mean(dim=0, keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: one mean and variance for all channels
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean()
    variance = (h - mean).square().mean()
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: mean and variance of each class
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    result = torch.empty_like(h)
    for k in y.unique():
        part = h[y == k]
        mean = part.mean(dim=(0, 2, 3), keepdim=True)
        variance = (part - mean).square().mean(dim=(0, 2, 3), keepdim=True)
        scaled = gamma[k][:, None, None] * (part - mean) / (variance + eps).sqrt()
        result[y == k] = scaled + beta[k][:, None, None]
    return result


# %%
# WRONG q2: divides by the count minus one
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = h.var(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: divides by the variance
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps) + shift


# %%
# WRONG q2: the small number outside the root
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance.sqrt() + eps) + shift


# %%
# WRONG q2: forgets the small number
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / variance.sqrt() + shift


# %%
# WRONG q2: forgets the mean
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * h / (variance + eps).sqrt() + shift


# %%
# WRONG q2: forgets the shift
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    return gamma[y][:, :, None, None] * (h - mean) / (variance + eps).sqrt()


# %%
# WRONG q2: scale and shift of the first image for all
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y[0]][:, None, None], beta[y[0]][:, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: scale and shift averaged over the batch
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y].mean(dim=0)[:, None, None], beta[y].mean(dim=0)[:, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: adds one to the scale
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return (1 + scale) * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q2: shifts before it scales
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.mean(dim=(0, 2, 3), keepdim=True)
    variance = (h - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * ((h - mean) / (variance + eps).sqrt() + shift)


# %%
# WRONG q2: no gradient through the mean and the variance
def conditional_batch_norm(h, y, gamma, beta, eps=1e-5):
    mean = h.detach().mean(dim=(0, 2, 3), keepdim=True)
    variance = (h.detach() - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    scale, shift = gamma[y][:, :, None, None], beta[y][:, :, None, None]
    return scale * (h - mean) / (variance + eps).sqrt() + shift


# %%
# WRONG q3: forgets q(y)
def split_score(s, q_y):
    image_part = s.logsumexp(dim=1)
    return image_part, s.softmax(dim=1)


# %%
# WRONG q3: divides by q(y)
def split_score(s, q_y):
    joint = s - q_y.log()
    return joint.logsumexp(dim=1), joint.softmax(dim=1)


# %%
# WRONG q3: q(y) without a logarithm
def split_score(s, q_y):
    joint = s + q_y
    return joint.logsumexp(dim=1), joint.softmax(dim=1)


# %%
# WRONG q3: overflows
def split_score(s, q_y):
    joint = s.exp() * q_y
    return joint.sum(dim=1).log(), joint / joint.sum(dim=1, keepdim=True)


# %%
# WRONG q3: the mean of the scores as the image's part
def split_score(s, q_y):
    return s.mean(dim=1), (s + q_y.log()).softmax(dim=1)


# %%
# WRONG q3: the mean score under q(y) as the image's part
def split_score(s, q_y):
    return s @ q_y, (s + q_y.log()).softmax(dim=1)


# %%
# WRONG q3: p(x) / q(x) without its logarithm
def split_score(s, q_y):
    joint = s + q_y.log()
    return joint.logsumexp(dim=1).exp(), joint.softmax(dim=1)


# %%
# WRONG q3: log p(y | x)
def split_score(s, q_y):
    joint = s + q_y.log()
    return joint.logsumexp(dim=1), joint.log_softmax(dim=1)


# %%
# WRONG q3: a softmax over the images
def split_score(s, q_y):
    joint = s + q_y.log()
    return joint.logsumexp(dim=1), joint.softmax(dim=0)


# %%
# WRONG q3: the probability that each pair is real
def split_score(s, q_y):
    joint = s + q_y.log()
    return joint.logsumexp(dim=1), s.sigmoid()


# %%
# WRONG q3: the image's part with the wrong sign
def split_score(s, q_y):
    joint = s + q_y.log()
    return -joint.logsumexp(dim=1), joint.softmax(dim=1)


# %%
# WRONG q4: only real images have to be named by the discriminator
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: the generator is not asked for a class
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean()


# %%
# WRONG q4: the generator also pays for real images
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake + named_real


# %%
# WRONG q4: the generator hides its class
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() - named_fake


# %%
# WRONG q4: the discriminator wants generated images named wrongly
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real - named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: the minimax loss
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, -softplus(s_hat).mean() + named_fake


# %%
# WRONG q4: the signs of the scores exchanged
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(s).mean() + softplus(-s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: probabilities in the place of logits
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = (
        F.cross_entropy(logits.softmax(dim=1), y),
        F.cross_entropy(logits_hat.softmax(dim=1), y_hat),
    )
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: the logarithm of the softmax
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = (
        -logits.softmax(dim=1)[torch.arange(len(y)), y].log().mean(),
        -logits_hat.softmax(dim=1)[torch.arange(len(y_hat)), y_hat].log().mean(),
    )
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: the logarithm of the sigmoid
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = -s.sigmoid().log().mean() - (1 - s_hat.sigmoid()).log().mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: sums in place of means
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).sum() + softplus(s_hat).sum() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: one mean over both batches
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = (
        F.cross_entropy(torch.cat([logits, logits_hat]), torch.cat([y, y_hat])) * 2,
        F.cross_entropy(logits_hat, y_hat),
    )
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: the classes count half
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + (named_real + named_fake) / 2
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: no gradient through the generated images' classes
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named_real, named_fake = F.cross_entropy(logits, y), F.cross_entropy(logits_hat.detach(), y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + named_real + named_fake
    return loss_D, softplus(-s_hat).mean() + named_fake


# %%
# WRONG q4: the two losses exchanged
def acgan_losses(s, logits, y, s_hat, logits_hat, y_hat):
    named = F.cross_entropy(logits_hat, y_hat)
    loss_D = softplus(-s).mean() + softplus(s_hat).mean() + F.cross_entropy(logits, y) + named
    return softplus(-s_hat).mean() + named, loss_D


# %%
# WRONG q5: forgets the wrong labels
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    false = F.relu(1 + D(x_hat, y)).mean()
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: false pairs with the weight 1 each
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: the wrong labels beside the generated images
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x_hat, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: any label as a wrong one
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = torch.randint(G.num_classes, y.shape, generator=draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: always the next label
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = (y + 1) % G.num_classes
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: the generator is asked for wrong labels, too
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y_wrong), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: the generator's images beside wrong labels
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y_wrong).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: no hinge
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    loss_D = -D(x, y).mean() + (D(x_hat, y).mean() + D(x, y_wrong).mean()) / 2
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: a hinge for the generator
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = F.relu(1 - D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y)).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: softplus in the place of the hinge
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (softplus(D(x_hat, y)).mean() + softplus(D(x, y_wrong)).mean()) / 2
    loss_D = softplus(-D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: the generator wants low scores
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: the same images in both turns
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y)
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward(retain_graph=True)
    opt_D.step()
    loss_G = -D(x_hat, y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: the generator's images are detached in its own turn
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach(), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: forgets to clear the discriminator's gradients
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: forgets to clear the generator's gradients
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: forgets the generator's step
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: forgets the discriminator's step
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: moves the discriminator in the generator's turn
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    opt_D.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: noise from [0, 1]
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.rand(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.rand(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: noise from elsewhere
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q5: returns tensors
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D, loss_G


# %%
# WRONG q5: returns the generator's loss first
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_G.item(), loss_D.item()


# %%
# WRONG q5: the generator plays against the old discriminator
def play_round(G, D, opt_G, opt_D, x, y, draw):
    x_hat = G(torch.randn(len(x), G.latent_dim, generator=draw), y).detach()
    y_wrong = other_classes(y, G.num_classes, draw)
    false = (F.relu(1 + D(x_hat, y)).mean() + F.relu(1 + D(x, y_wrong)).mean()) / 2
    loss_D = F.relu(1 - D(x, y)).mean() + false
    loss_G = -D(G(torch.randn(len(x), G.latent_dim, generator=draw), y), y).mean()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    return loss_D.item(), loss_G.item()


# %%
# WRONG q6: NaN where nobody asked
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: divides by how often a class is read
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=0).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: divides by the number of all images
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / len(asked)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: only as many classes as were asked for
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    known = asked.unique()
    return per_class[known], instead.where(most > 0, -1)[known]


# %%
# WRONG q6: the mean probability in place of what is read
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    of_class = F.one_hot(asked, classes).float()
    per_class = (of_class * probs).sum(dim=0) / of_class.sum(dim=0).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: takes an image as read if the class has more than half of the probability
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    sure = F.one_hot(asked, classes) * (probs > 0.5)
    per_class = sure.sum(dim=0) / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: how often each class is read at all
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = F.one_hot(read, classes).double().mean(dim=0)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: the share read as anything else
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = 1 - right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: the overall share in place of what is read instead
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, (read == asked).double().mean()


# %%
# WRONG q6: the two in the other order
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return instead.where(most > 0, -1), per_class


# %%
# WRONG q6: the shares only
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class


# %%
# WRONG q6: counts the right class, too
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = table.max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: counts the right class, too, and gives -1 where it comes first
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = table.max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where((most > 0) & (instead != torch.arange(classes)), -1)


# %%
# WRONG q6: 0 in place of -1
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead


# %%
# WRONG q6: -1 only where nobody asked
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(table.sum(dim=1) > 0, -1)


# %%
# WRONG q6: -1 only where every image is read rightly
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(per_class < 1, -1)


# %%
# WRONG q6: the class itself where no image is read wrongly
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, torch.arange(classes))


# %%
# WRONG q6: the last among equals
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).flip(1).max(dim=1)
    instead = classes - 1 - instead
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: -1 where several are read equally often
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    several = (table - torch.diag(right) == most[:, None]).sum(dim=1) > 1
    return per_class, instead.where((most > 0) & ~several, -1)


# %%
# WRONG q6: how often in place of which
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, most.where(most > 0, -1)


# %%
# WRONG q6: the table read the other way round: asked for most often where c is read
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, instead = (table - torch.diag(right)).max(dim=0)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: the wrong class that is read most often of all, whatever was asked for
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, _ = (table - torch.diag(right)).max(dim=1)
    instead = (table - torch.diag(right)).sum(dim=0).argmax().expand(classes)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: the most probable wrong class, on average
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    most, _ = (table - torch.diag(right)).max(dim=1)
    of_class = F.one_hot(asked, classes).to(probs.dtype)
    instead = (of_class.T @ probs).fill_diagonal_(-1).argmax(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)


# %%
# WRONG q6: the runner-up of each image
def class_accuracy(probs, asked):
    read, classes = probs.argmax(dim=1), probs.shape[1]
    table = F.one_hot(asked, classes).T @ F.one_hot(read, classes)
    right = table.diagonal()
    second = F.one_hot(probs.topk(2, dim=1).indices[:, 1], classes)
    most, instead = (F.one_hot(asked, classes).T @ second).fill_diagonal_(0).max(dim=1)
    per_class = right / table.sum(dim=1).clamp_min(1)
    return per_class, instead.where(most > 0, -1)
