# %% [markdown]
# # Plausible wrong answers to homework 08
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: one number for all images
def psnr(x_hat, x):
    return 10 * torch.log10(4 / ((x_hat - x) ** 2).mean().clamp_min(1e-10))


# %%
# WRONG q1: a peak of 1, as for pixels in [0, 1]
def psnr(x_hat, x):
    return 10 * torch.log10(1 / ((x_hat - x) ** 2).mean(dim=(1, 2, 3)).clamp_min(1e-10))


# %%
# WRONG q1: the natural logarithm
def psnr(x_hat, x):
    return 10 * torch.log(4 / ((x_hat - x) ** 2).mean(dim=(1, 2, 3)).clamp_min(1e-10))


# %%
# WRONG q1: 20 in place of 10
def psnr(x_hat, x):
    return 20 * torch.log10(4 / ((x_hat - x) ** 2).mean(dim=(1, 2, 3)).clamp_min(1e-10))


# %%
# WRONG q1: the fraction upside down
def psnr(x_hat, x):
    return 10 * torch.log10(((x_hat - x) ** 2).mean(dim=(1, 2, 3)).clamp_min(1e-10) / 4)


# %%
# WRONG q1: the sum of squares in place of the mean
def psnr(x_hat, x):
    return 10 * torch.log10(4 / ((x_hat - x) ** 2).sum(dim=(1, 2, 3)).clamp_min(1e-10))


# %%
# WRONG q1: the absolute error, squared after the mean
def psnr(x_hat, x):
    return 10 * torch.log10(4 / (x_hat - x).abs().mean(dim=(1, 2, 3)).square().clamp_min(1e-10))


# %%
# WRONG q1: infinite for equal images
def psnr(x_hat, x):
    return 10 * torch.log10(4 / ((x_hat - x) ** 2).mean(dim=(1, 2, 3)))


# %%
# WRONG q1: measures the peak on the image itself
def psnr(x_hat, x):
    peak = x.amax(dim=(1, 2, 3)) - x.amin(dim=(1, 2, 3)) + 1e-3
    return 10 * torch.log10(peak**2 / ((x_hat - x) ** 2).mean(dim=(1, 2, 3)).clamp_min(1e-10))


# %%
# WRONG q1: adds the bound in place of taking the larger
def psnr(x_hat, x):
    return 10 * torch.log10(4 / (((x_hat - x) ** 2).mean(dim=(1, 2, 3)) + 1e-10))


# %%
# WRONG q1: bounds each pixel in place of the mean
def psnr(x_hat, x):
    return 10 * torch.log10(4 / ((x_hat - x) ** 2).clamp_min(1e-10).mean(dim=(1, 2, 3)))


# %%
# WRONG q2: one number a channel
def scale_of(codes):
    return codes.std(dim=(0, 2, 3), keepdim=True)


def normalised(codes, scale):
    return codes / scale


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: the variance
def scale_of(codes):
    return codes.var()


def normalised(codes, scale):
    return codes / scale


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: the root of the mean square, around 0
def scale_of(codes):
    return codes.square().mean().sqrt()


def normalised(codes, scale):
    return codes / scale


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: the mean of the images' standard deviations
def scale_of(codes):
    return codes.std(dim=(1, 2, 3)).mean()


def normalised(codes, scale):
    return codes / scale


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: the mean of the channels' standard deviations
def scale_of(codes):
    return codes.std(dim=(0, 2, 3)).mean()


def normalised(codes, scale):
    return codes / scale


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: measures the scale anew in place of the one that is given
def scale_of(codes):
    return codes.std()


def normalised(codes, scale):
    return codes / codes.std()


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: takes the mean away, too
def scale_of(codes):
    return codes.std()


def normalised(codes, scale):
    return (codes - codes.mean()) / scale


def raw(z, scale):
    return z * scale


# %%
# WRONG q2: multiplies where it must divide, and the other way round
def scale_of(codes):
    return codes.std()


def normalised(codes, scale):
    return codes * scale


def raw(z, scale):
    return z / scale


# %%
# WRONG q2: changes its input
def scale_of(codes):
    return codes.std()


def normalised(codes, scale):
    return codes.div_(scale)


def raw(z, scale):
    return z * scale


# %%
# WRONG q3: softmax over the places
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=2)
    return (a @ v).transpose(1, 2).flatten(2), a


# %%
# WRONG q3: forgets the root of d
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3)).softmax(dim=3)
    return (a @ v).transpose(1, 2).flatten(2), a


# %%
# WRONG q3: divides by the root of all heads' length
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / len(Wq) ** 0.5).softmax(dim=3)
    return (a @ v).transpose(1, 2).flatten(2), a


# %%
# WRONG q3: divides by d
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / q.shape[3]).softmax(dim=3)
    return (a @ v).transpose(1, 2).flatten(2), a


# %%
# WRONG q3: the rows of the heads lie interleaved
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (-1, heads)).permute(0, 3, 1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3)
    return (a @ v).permute(0, 2, 3, 1).flatten(2), a


# %%
# WRONG q3: reshapes without bringing the axes into order
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3)
    return (a @ v).reshape(len(h), h.shape[1], -1), a


# %%
# WRONG q3: takes from the keys
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k = (m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T))
    a = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3)
    return (a @ k).transpose(1, 2).flatten(2), a


# %%
# WRONG q3: one head only
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = h @ Wq.T, context @ Wk.T, context @ Wv.T
    a = (q @ k.transpose(1, 2) / (len(Wq) / heads) ** 0.5).softmax(dim=2)
    return a @ v, a.unsqueeze(1).expand(-1, heads, -1, -1)


# %%
# WRONG q3: the mean of the heads' weights
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    a = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3)
    return (a @ v).transpose(1, 2).flatten(2), a.mean(dim=1)


# %%
# WRONG q3: forgets to return the weights
def cross_attention(h, context, Wq, Wk, Wv, heads):
    q, k, v = (
        m.unflatten(2, (heads, -1)).transpose(1, 2) for m in (h @ Wq.T, context @ Wk.T, context @ Wv.T)
    )
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


# %%
# WRONG q4: begins at the sentence
def guided(v_sentence, v_away, w):
    return v_sentence + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize(sentences)), net(x_t, t, tokenize([away] * len(x_t))), w)


# %%
# WRONG q4: the two exchanged in the formula
def guided(v_sentence, v_away, w):
    return v_sentence + w * (v_away - v_sentence)


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize(sentences)), net(x_t, t, tokenize([away] * len(x_t))), w)


# %%
# WRONG q4: takes away w times the negative prompt
def guided(v_sentence, v_away, w):
    return v_sentence - w * v_away


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize(sentences)), net(x_t, t, tokenize([away] * len(x_t))), w)


# %%
# WRONG q4: w - 1 in place of w
def guided(v_sentence, v_away, w):
    return v_away + (w - 1) * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize(sentences)), net(x_t, t, tokenize([away] * len(x_t))), w)


# %%
# WRONG q4: away from the empty sentence
def guided(v_sentence, v_away, w):
    return v_away + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize(sentences)), net(x_t, t, tokenize([""] * len(x_t))), w)


# %%
# WRONG q4: the two exchanged in the call
def guided(v_sentence, v_away, w):
    return v_away + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize([away] * len(x_t))), net(x_t, t, tokenize(sentences)), w)


# %%
# WRONG q4: mixes the tokens in place of the predictions
def guided(v_sentence, v_away, w):
    return v_away + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    y, y_away = tokenize(sentences), tokenize([away] * len(x_t))
    return net(x_t, t, guided(y, y_away, w).round().long().clamp(0, tokenize.nothing))


# %%
# WRONG q4: forgets guidance
def guided(v_sentence, v_away, w):
    return v_away + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    return net(x_t, t, tokenize(sentences))


# %%
# WRONG q4: the first sentence for all codes
def guided(v_sentence, v_away, w):
    return v_away + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    y, y_away = tokenize(sentences[:1]).expand(len(x_t), -1), tokenize([away]).expand(len(x_t), -1)
    return guided(net(x_t, t, y), net(x_t, t, y_away), w)


# %%
# WRONG q4: one row of tokens in place of one for each code
def guided(v_sentence, v_away, w):
    return v_away + w * (v_sentence - v_away)


def guided_v(net, x_t, t, sentences, away, w):
    return guided(net(x_t, t, tokenize(sentences)), net(x_t, t, tokenize([away])), w)


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
