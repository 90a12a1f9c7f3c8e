"""The U-Net of the diffusion models, and its attention."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.inputs import (
    Model,
    check_at_least,
    check_labels,
    check_maps,
    check_num_classes,
    check_tensor,
    is_whole,
)
from course_utils.nets.blocks import zero_init

HEADS = 4  # of every attention


class UNet(Model):
    """Noisy image x_t and time step t to an image of the same shape: (N, C, H, W), (N,) → (N, out_channels, H, W).

    The image is folded, 2 × 2 pixels to 4 channels, so that all work happens at a half and a quarter of its size.
    Source: Ronneberger, Fischer, Brox, "U-Net", 2015 (skips, here added); Ho, Jain, Abbeel, "Denoising diffusion
    probabilistic models", 2020, appendix B (blocks, time embedding, attention at the lower resolution); Dhariwal and
    Nichol, "Diffusion models beat GANs on image synthesis", 2021, section 3.1 (time and class scale and shift).

    Args:
        in_channels: C of the image.
        out_channels: of the output; None: as many.
        width: channels at half the size, divisible by 16; at a quarter there are twice as many.
        num_res_blocks: residual blocks at each place.
        num_classes: how many can be asked for; y may then also be `num_classes`, for "no class". None: no y.
        context_dim: width of the tokens, (N, L, context_dim), that the network takes from by cross-attention, as in
            Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022, section 3.3. None:
            no tokens.

    Raises:
        ValueError: a width that is not divisible by 16; images with other channels or a size not divisible by 4.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        out_channels: int | None = None,
        width: int = 64,
        num_res_blocks: int = 1,
        num_classes: int | None = None,
        context_dim: int | None = None,
    ):
        super().__init__()
        check_at_least(1, in_channels=in_channels, num_res_blocks=num_res_blocks)
        optional = {"out_channels": out_channels, "context_dim": context_dim}
        check_at_least(1, **{name: value for name, value in optional.items() if value is not None})
        check_num_classes(num_classes)
        if not is_whole(width) or width < 16 or width % 16:
            raise ValueError(f"width={width} must be a multiple of 16")
        self.in_channels, self.width, self.num_classes = in_channels, width, num_classes
        self.context_dim = context_dim
        emb, wide = 4 * width, 2 * width

        def stage(width: int) -> nn.ModuleList:
            cross = [] if context_dim is None else [CrossAttention(width, context_dim)]
            return nn.ModuleList([*(_TimeBlock(width, emb) for _ in range(num_res_blocks)), *cross])

        self.time = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.embed = nn.Embedding(num_classes + 1, emb) if num_classes else None
        self.stem = nn.Conv2d(4 * in_channels, width, 3, padding=1)
        self.down = stage(width)
        self.to_quarter = nn.Conv2d(width, wide, 2, stride=2)
        self.below = stage(wide)
        self.middle = nn.ModuleList([_TimeBlock(wide, emb), _Attention(wide), _TimeBlock(wide, emb)])
        self.back = stage(wide)
        self.to_half = nn.ConvTranspose2d(wide, width, 2, stride=2)
        self.up = stage(width)
        self.norm = nn.GroupNorm(8, width)
        self.out = zero_init(nn.Conv2d(width, 4 * (out_channels or in_channels), 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(
        self, x_t: Tensor, t: Tensor, y: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        check_maps(x_t, (self.in_channels, None, None), "x_t")
        if x_t.shape[2] % 4 or x_t.shape[3] % 4:
            raise ValueError(f"x_t is {x_t.shape[2]} × {x_t.shape[3]}; both must be divisible by 4")
        check_labels(y, len(x_t), None if self.num_classes is None else self.num_classes + 1, each_step=True)
        check_tensor(t, "t")
        if t.shape != (len(x_t),):
            raise ValueError(f"t must be ({len(x_t)},), a time for each image, not {tuple(t.shape)}")
        if self.context_dim is None and context is not None:
            raise ValueError("context was given, but this network looks at no tokens")
        if self.context_dim is not None and (
            context is None or context.shape[::2] != (len(x_t), self.context_dim)
        ):
            got = None if context is None else tuple(context.shape)
            raise ValueError(f"context must be tokens ({len(x_t)}, L, {self.context_dim}), not {got}")
        e = self.time(sinusoids(t, self.width).to(x_t.dtype))
        if self.embed is not None:
            e = e + self.embed(y)
        e = F.silu(e)
        h = self.stem(F.pixel_unshuffle(x_t, 2).contiguous(memory_format=torch.channels_last))
        for block in self.down:
            h = block(h, e, context)
        half = h
        h = self.to_quarter(h)
        for block in self.below:
            h = block(h, e, context)
        quarter = h
        for block in self.middle:
            h = block(h, e, context)
        h = h + quarter
        for block in self.back:
            h = block(h, e, context)
        h = self.to_half(h) + half
        for block in self.up:
            h = block(h, e, context)
        return F.pixel_shuffle(self.out(F.silu(self.norm(h))), 2)


def sinusoids(t: Tensor, width: int) -> Tensor:
    """Sines and cosines of the time steps t (N,), with periods from 2π to 20,000π: float32 (N, width).

    Source: Vaswani et al., "Attention is all you need", 2017, section 3.5.
    """
    check_at_least(2, width=width)
    if t.ndim != 1 or width % 2:
        raise ValueError(f"t must be (N,), not {tuple(t.shape)}, and width={width} even")
    frequency = torch.exp(torch.linspace(0, -math.log(10_000), width // 2, device=t.device))
    angle = t[:, None].float() * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class _TimeBlock(nn.Module):
    """x + conv(norm(conv(norm(x)))), the second norm scaled and shifted by the embedding e; x itself at the start."""

    def __init__(self, width: int, emb: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, width, affine=False)
        self.conv2 = zero_init(nn.Conv2d(width, width, 3, padding=1))
        self.scale_shift = zero_init(nn.Linear(emb, 2 * width))

    def forward(self, x: Tensor, e: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.scale_shift(e)[:, :, None, None].chunk(2, dim=1)
        return x + self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))


class _Attention(nn.Module):
    """x + attention among all places of the map, with HEADS heads; x itself at the start."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.qkv = nn.GroupNorm(8, width), nn.Linear(width, 3 * width)
        self.out = zero_init(nn.Linear(width, width))

    def forward(self, x: Tensor, e: Tensor, context: Tensor | None = None) -> Tensor:
        n, width, *size = x.shape
        places = self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)  # (N, H · W, width)
        q, k, v = self.qkv(places).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(seen).unflatten(1, size).permute(0, 3, 1, 2)


class CrossAttention(nn.Module):
    """x + what each place takes from the tokens (N, L, context_dim), with HEADS heads; x itself at the start."""

    def __init__(self, width: int, context_dim: int):
        super().__init__()
        check_at_least(1, context_dim=context_dim)
        if not is_whole(width) or width < 8 or width % 8:
            raise ValueError(f"width={width} must be a multiple of 8")
        self.norm, self.q = nn.GroupNorm(8, width), nn.Linear(width, width)
        self.kv = nn.Linear(context_dim, 2 * width)
        self.out = zero_init(nn.Linear(width, width))

    def forward(self, x: Tensor, e: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.queries_keys_values(x, context)
        taken = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(taken).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)

    def queries_keys_values(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """By head: of the places (N, heads, H · W, width / heads), of the tokens (N, heads, L, width / heads)."""
        q = self.q(self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)).unflatten(2, (HEADS, -1))
        k, v = self.kv(context).unflatten(2, (2, HEADS, -1)).unbind(dim=2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def attention(self, x: Tensor, context: Tensor) -> Tensor:
        """How much each place looks at each token, averaged over the heads, sum 1 over tokens: (N, H, W, L)."""
        q, k, _ = self.queries_keys_values(x, context)
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=3)
        return weights.mean(dim=1).unflatten(1, x.shape[2:])
