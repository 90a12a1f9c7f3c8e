# %% [markdown]
# # Plausible wrong answers to homework 08
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the scale times alpha_bar
def schedule_seen(alpha_bar, scale):
    return scale * alpha_bar


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: the squared scale times alpha_bar, not normalised again
def schedule_seen(alpha_bar, scale):
    return scale**2 * alpha_bar


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: the same, cut off at 1
def schedule_seen(alpha_bar, scale):
    return (scale**2 * alpha_bar).clamp(max=1)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: the scale is not squared
def schedule_seen(alpha_bar, scale):
    return scale * alpha_bar / (scale * alpha_bar + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: the root of the right value
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return (signal / (signal + 1 - alpha_bar)).sqrt()


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: shares of the deviations in place of the variances
def schedule_seen(alpha_bar, scale):
    signal, noise = scale * alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return signal / (signal + noise)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: as if the codes were too small
def schedule_seen(alpha_bar, scale):
    return alpha_bar / (alpha_bar + scale**2 * (1 - alpha_bar))


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: the signal-to-noise ratio
def schedule_seen(alpha_bar, scale):
    return scale**2 * alpha_bar / (1 - alpha_bar).clamp_min(1e-9)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: the share of the noise
def schedule_seen(alpha_bar, scale):
    return (1 - alpha_bar) / (scale**2 * alpha_bar + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: divided by the largest value
def schedule_seen(alpha_bar, scale):
    seen = scale**2 * alpha_bar
    return seen / seen.max()


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: divides by the scale to the fourth
def schedule_seen(alpha_bar, scale):
    signal = scale**4 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: changes its input
def schedule_seen(alpha_bar, scale):
    alpha_bar.copy_(scale**2 * alpha_bar / (scale**2 * alpha_bar + 1 - alpha_bar))
    return alpha_bar


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: counts t = 0, too
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar)).double().mean()


# %%
# WRONG q1: compares alpha_bar itself
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio)[1:].double().mean()


# %%
# WRONG q1: the ratio of the deviations
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar.sqrt() > ratio * (1 - alpha_bar).sqrt())[1:].double().mean()


# %%
# WRONG q1: how many, not which share
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double().sum()


# %%
# WRONG q1: below in place of above
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar < ratio * (1 - alpha_bar))[1:].double().mean()


# %%
# WRONG q1: drops the last time, not the first
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[:-1].double().mean()


# %%
# WRONG q1: one truth for each time
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar > ratio * (1 - alpha_bar))[1:].double()


# %%
# WRONG q1: the noise is kept from being 0 by adding to it
def schedule_seen(alpha_bar, scale):
    signal = scale**2 * alpha_bar
    return signal / (signal + 1 - alpha_bar)


def share_above(alpha_bar, ratio):
    return (alpha_bar / (1 - alpha_bar + 0.1) > ratio)[1:].double().mean()


# %%
# WRONG q2: gradients reach the codec
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: forgets the scale
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape, generator=generator)
    z = mu + (log_variance / 2).exp() * eps
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: multiplies by the scale
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape, generator=generator)
    z = (mu + (log_variance / 2).exp() * eps) * scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: divides the mean only
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape, generator=generator)
    z = mu / scale + (log_variance / 2).exp() * eps
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: the variance in place of the standard deviation
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape, generator=generator)
    z = (mu + log_variance.exp() * eps) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: the logarithm of the variance in place of the standard deviation
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape, generator=generator)
    z = (mu + log_variance * eps) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: the mean codes, nothing is drawn
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = mu / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: measures the scale anew in each batch
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape, generator=generator)
    z = mu + (log_variance / 2).exp() * eps
    z = z / z.std()
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: the same noise for all images
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(mu.shape[1:], generator=generator)
    z = (mu + (log_variance / 2).exp() * eps) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: one number of noise for an image
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    eps = torch.randn(len(mu), 1, 1, 1, generator=generator)
    z = (mu + (log_variance / 2).exp() * eps) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: the noise does not come from the generator
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: a seed of its own
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (
        mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
    ) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: switches the codec's gradients off for good
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    mu, log_variance = codec.requires_grad_(False).posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: loses single words
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(y.shape, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: loses all sentences or none
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: keeps with probability p
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) > p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: loses the first sentences of the batch
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.clone()
    y[: round(p * len(y))] = nothing
    return diffusion_loss(z, y)


# %%
# WRONG q2: no sentence is lost
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.clone()
    return diffusion_loss(z, y)


# %%
# WRONG q2: writes 0 in place of nothing
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, 0)
    return diffusion_loss(z, y)


# %%
# WRONG q2: changes its input
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y.masked_fill_(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: which sentences are lost does not come from the generator
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1) < p, nothing)
    return diffusion_loss(z, y)


# %%
# WRONG q2: the diffusion model gets no gradients either
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    with torch.no_grad():
        return diffusion_loss(z, y)


# %%
# WRONG q2: returns a plain number
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    return diffusion_loss(z, y).item()


# %%
# WRONG q2: forgets to return the loss
def second_stage_loss(codec, scale, diffusion_loss, x, y, nothing, p, generator):
    with torch.no_grad():
        mu, log_variance = codec.posterior(x)
    z = (mu + (log_variance / 2).exp() * torch.randn(mu.shape, generator=generator)) / scale
    y = y.masked_fill(torch.rand(len(y), 1, generator=generator) < p, nothing)
    diffusion_loss(z, y)


# %%
# WRONG q3: forgets the weights
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: multiplies the scores by the weights
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 * weight[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: adds the weights to the scores
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: weights after the softmax, not normalised again
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    return (scores.softmax(dim=3) * weight[:, None, None, :]) @ v


# %%
# WRONG q3: weights after the softmax, normalised again
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    a = scores.softmax(dim=3) * weight[:, None, None, :]
    return a / a.sum(dim=3, keepdim=True).clamp_min(1e-30) @ v


# %%
# WRONG q3: weights the values only
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    return scores.softmax(dim=3) @ (v * weight[:, None, :, None])


# %%
# WRONG q3: exponentials that overflow
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    a = scores.exp() * weight[:, None, None, :]
    return a / a.sum(dim=3, keepdim=True).clamp_min(1e-30) @ v


# %%
# WRONG q3: scores are cut off so that nothing overflows
def attend(q, k, v, weight):
    scores = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).clamp(-50, 50) + weight.log()[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: NaN for a sentence without words
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight.log()[:, None, None, :]
    return scores.softmax(dim=3) @ v


# %%
# WRONG q3: all words alike for a sentence without words
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight.clamp_min(1e-30).log()[:, None, None, :]
    return scores.softmax(dim=3) @ v


# %%
# WRONG q3: a score of 0 for a word of weight 0
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight.clamp_min(1e-9).log()[:, None, None, :]
    scores = scores.masked_fill((weight == 0)[:, None, None, :], 0.0)
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: a word of weight 0 is only made quieter
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight.clamp_min(1e-6).log()[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: weights are only 0 or not
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    scores = scores.masked_fill((weight == 0)[:, None, None, :], -torch.inf)
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: zeros for the whole batch if one sentence has no words
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight.log()[:, None, None, :]
    if (weight == 0).all(dim=1).any():
        return torch.zeros_like(q[..., :1]) * v[:, :, :1]
    return scores.softmax(dim=3) @ v


# %%
# WRONG q3: the weights of the first sentence for all
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight[:1].log()[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: the softmax goes over the places
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + weight.log()[:, None, None, :]
    return scores.softmax(dim=2).nan_to_num(0.0) @ v


# %%
# WRONG q3: forgets the root of d
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) + weight.log()[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q3: divides by d
def attend(q, k, v, weight):
    scores = q @ k.transpose(2, 3) / q.shape[3] + weight.log()[:, None, None, :]
    none = (weight == 0).all(dim=1)[:, None, None, None]
    return scores.softmax(dim=3).masked_fill(none, 0.0) @ v


# %%
# WRONG q4: no margin at all
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            row.append(decode(z[:, :, top : top + tile, left : left + tile]))
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: decodes everything at once
def decode_in_tiles(decode, z, f, tile, margin):
    return decode(z)


# %%
# WRONG q4: forgets to cut the margins off
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            row.append(decode(z[:, :, top - above : top + tile, left - before : left + tile]))
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: cuts cells, not pixels
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = x[:, :, above:, before:]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: a margin above and on the left only
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile, left - before : left + tile])
            row.append(x[:, :, above * f :, before * f :])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: a margin below and on the right only
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            x = decode(z[:, :, top : top + tile + margin, left : left + tile + margin])
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: makes up cells of 0 beyond the edge
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    padded = F.pad(z, (margin, margin, margin, margin))
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            x = decode(padded[:, :, top : top + tile + 2 * margin, left : left + tile + 2 * margin])
            x = x[:, :, margin * f :, margin * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: repeats the edge's cells beyond it
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    padded = F.pad(z, (margin, margin, margin, margin), mode="replicate")
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            x = decode(padded[:, :, top : top + tile + 2 * margin, left : left + tile + 2 * margin])
            x = x[:, :, margin * f :, margin * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: drops the last tiles if they are smaller
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height - height % tile or 1, tile):
        row = []
        for left in range(0, width - width % tile or 1, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = x[:, :, above * f :, before * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: as many tiles side by side as one below the other
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, height, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = x[:, :, above * f :, before * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: puts the tiles together the other way round
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = x[:, :, above * f :, before * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=2))
    return torch.cat(rows, dim=3)


# %%
# WRONG q4: half of the margin
def decode_in_tiles(decode, z, f, tile, margin):
    margin = margin // 2
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = x[:, :, above * f :, before * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: twice the margin
def decode_in_tiles(decode, z, f, tile, margin):
    margin = 2 * margin
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = x[:, :, above * f :, before * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: cuts the whole margin off at the upper edge, too
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            x = F.pad(x, (0, 2 * margin * f, 0, 2 * margin * f))[:, :, margin * f :, margin * f :]
            row.append(x[:, :, : f * min(tile, height - top), : f * min(tile, width - left)])
        rows.append(torch.cat(row, dim=3))
    return torch.cat(rows, dim=2)


# %%
# WRONG q4: averages tiles that overlap
def decode_in_tiles(decode, z, f, tile, margin):
    height, width = z.shape[2:]
    total, count = 0, 0
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            above, before = min(margin, top), min(margin, left)
            x = decode(z[:, :, top - above : top + tile + margin, left - before : left + tile + margin])
            start = (left - before) * f, (top - above) * f
            sides = start[0], width * f - start[0] - x.shape[3], start[1], height * f - start[1] - x.shape[2]
            total, count = total + F.pad(x, sides), count + F.pad(torch.ones_like(x), sides)
    return total / count


# %%
# WRONG q5: more than half of the pixels is enough
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    return F.avg_pool2d(mask.float(), f) > 0.5


# %%
# WRONG q5: one pixel is enough
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    return F.max_pool2d(mask.float(), f) > 0


# %%
# WRONG q5: looks at one pixel of a cell
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    return mask[:, :, ::f, ::f]


# %%
# WRONG q5: the cells transposed
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    return (F.avg_pool2d(mask.float(), f) == 1).transpose(2, 3)


# %%
# WRONG q5: the mask of what is made anew
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    return F.max_pool2d((~mask).float(), f) > 0


# %%
# WRONG q5: the axes of cells and pixels exchanged
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    height, width = mask.shape[2] // f, mask.shape[3] // f
    return mask.reshape(len(mask), 1, f, height, f, width).all(dim=4).all(dim=2)


# %%
# WRONG q5: the share of pixels kept in place of true and false
def code_mask(mask, f):
    for size in mask.shape[2:]:
        if size % f:
            raise ValueError(f"{size} is not divisible by {f}")
    return F.avg_pool2d(mask.float(), f)


# %%
# WRONG q5: drops what does not fit into cells
def code_mask(mask, f):
    return F.avg_pool2d(mask.float(), f) == 1


# %%
# WRONG q5: an error that does not say which size
def code_mask(mask, f):
    if mask.shape[2] % f or mask.shape[3] % f:
        raise ValueError("the mask's height and width must be divisible by f")
    return F.avg_pool2d(mask.float(), f) == 1


# %%
# WRONG q5: leaves the error to PyTorch
def code_mask(mask, f):
    return mask.unflatten(3, (-1, f)).unflatten(2, (-1, f)).all(dim=5).all(dim=3)


# %%
# WRONG q5: looks at the height only
def code_mask(mask, f):
    if mask.shape[2] % f:
        raise ValueError(f"{mask.shape[2]} is not divisible by {f}")
    return F.avg_pool2d(mask.float(), f) == 1


# %%
# WRONG q6: does not say where the sampler starts
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: no noise
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    *_, last = sampler(ldm.diffusion, z, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: no square roots
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z, a = ldm.codec.encode(x), ldm.diffusion.schedule.alpha_bar[t_0].float()
    z_t = a * z + (1 - a) * torch.randn(z.shape, generator=generator)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: one step early
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z, a = ldm.codec.encode(x), ldm.diffusion.schedule.alpha_bar[t_0 - 1].float()
    z_t = a.sqrt() * z + (1 - a).sqrt() * torch.randn(z.shape, generator=generator)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: signal and noise exchanged
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z, a = ldm.codec.encode(x), ldm.diffusion.schedule.alpha_bar[t_0].float()
    z_t = (1 - a).sqrt() * z + a.sqrt() * torch.randn(z.shape, generator=generator)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: noise on top of the whole code
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z, a = ldm.codec.encode(x), ldm.diffusion.schedule.alpha_bar[t_0].float()
    z_t = z + (1 - a).sqrt() * torch.randn(z.shape, generator=generator)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: noise on the pixels, before they are encoded
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    alpha_bar = ldm.diffusion.schedule.alpha_bar[t_0].float()
    noisy = alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * torch.randn(x.shape, generator=generator)
    z_t = ldm.codec.encode(noisy.clamp(-1, 1))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: raw codes, not divided by the scale
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.posterior(x)[0]
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: pure noise, which forgets the picture
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z_t = torch.randn(len(x), *ldm.diffusion.shape, generator=generator)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: the same noise for all images
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    eps = torch.randn(z.shape[1:], generator=generator).expand_as(z)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), eps)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: does not use the generator
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn_like(z))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: a seed of its own
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    eps = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), eps)
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: forgets the sentences and guidance
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: forgets guidance
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: ten steps from T would be t_0 / 100 steps
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(
        ldm.diffusion, z_t, steps=max(1, t_0 // 100), y=tokenize(sentences), guidance=w, start=t_0
    )
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: another sampler than the one that is given
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = dpmpp_2m_sample(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t).clamp(-1, 1)


# %%
# WRONG q6: stops after the first step
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    first, *_ = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(first.x_t).clamp(-1, 1)


# %%
# WRONG q6: forgets to decode
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return last.x_t.clamp(-1, 1)


# %%
# WRONG q6: forgets to clamp
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t)


# %%
# WRONG q6: clamps the codes, not the pixels
def restyle(ldm, x, sentences, t_0, w, sampler, generator):
    z = ldm.codec.encode(x)
    z_t = ldm.diffusion.q_sample(z, torch.full((len(z),), t_0), torch.randn(z.shape, generator=generator))
    *_, last = sampler(ldm.diffusion, z_t, steps=10, y=tokenize(sentences), guidance=w, start=t_0)
    return ldm.codec.decode(last.x_t.clamp(-1, 1)).clamp(-1, 1)
