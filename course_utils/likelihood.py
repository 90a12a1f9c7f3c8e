"""Models with an exact likelihood: a coupling flow, and autoregression pixel after pixel."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.inputs import (
    Model,
    can_look,
    check_at_least,
    check_codes,
    check_dtype,
    check_images,
    check_labels,
    check_maps,
    check_tensor,
    uniform_like,
)


def quantise(x: Tensor, levels: int) -> Tensor:
    """The nearest of `levels` even grey levels, 0 for -1 … levels - 1 for 1: (N, …) in [-1, 1] to int64 (N, …)."""
    check_at_least(2, levels=levels)
    check_tensor(x, "x")
    check_images(x, (None,) * max(0, x.ndim - 1))
    return ((x + 1) * ((levels - 1) / 2)).round().clamp(0, levels - 1).long()


def dequantise(x: Tensor, levels: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Spread each grey level evenly over an interval of its own, so that images have a density.

    Level k, of those that `quantise` counts, becomes a number drawn from [-1 + k w, -1 + (k + 1) w) with the width
    w = 2 / levels. For a density p the probability of an image of d pixels is then, by Jensen's inequality,
    at least exp(E[log p(v)] + d log w), v the numbers drawn.
    Source: Theis, van den Oord, Bethge, "A note on the evaluation of generative models", 2016, section 3.1.

    x: images or vectors (N, …) in [-1, 1]. Returns the same shape, in [-1, 1).
    """
    k = quantise(x, levels)
    u = uniform_like(x, generator)
    return ((k + u) * (2 / levels) - 1).clamp(max=1 - 1e-6)


class CouplingFlow(Model):
    """A chain of affine coupling layers: an invertible map x ↔ z to a standard normal, with an exact density.

        log p(x) = log N(z; 0, I) + log |det ∂z/∂x|,   z = f(x)

    Each layer leaves a part of the coordinates as it is and moves the others, v ← v · exp(s) + t, where s and t are
    computed from the part left alone. Layer by layer the parts change: coordinate i is left alone where a bit of the
    number i is 0, in the layer after that where it is 1, then comes the next bit.

    Source: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, equations 3 to 8; the logit, its
    section 4.1.

    Args:
        dim: the number d ≥ 2 of coordinates.
        layers: how many couplings, at least 2, so that each coordinate is moved.
        hidden: width of the networks that compute s and t.
        levels: None for points anywhere in the plane or space. For images in [-1, 1], the number of grey levels ≥ 2:
            `loss` dequantises them, and a logit, which is part of f and of the Jacobian, takes the interval
            (-1.02, 1.02) to all numbers. The density is that of dequantised images; outside the interval it is 0.
    """

    margin = 0.02
    spread = 2.0  # logits of pixels are about so wide; divided by it, the couplings begin near width 1
    widest = 2.0  # |s| stays below it, so that no layer can blow up
    kept: Tensor  # (layers, d): 1 where the coordinate is left alone

    def __init__(self, dim: int, *, layers: int = 8, hidden: int = 64, levels: int | None = None):
        super().__init__()
        check_at_least(2, dim=dim, layers=layers, levels=2 if levels is None else levels)
        check_at_least(1, hidden=hidden)
        self.dim, self.levels = dim, levels
        self.nets = nn.ModuleList(_coupling_net(dim, hidden) for _ in range(layers))
        bit = [(k // 2) % (dim - 1).bit_length() for k in range(layers)]
        kept = [[((i >> bit[k]) + k) % 2 == 0 for i in range(dim)] for k in range(layers)]
        self.register_buffer("kept", torch.tensor(kept, dtype=torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """f: points (N, d) to (z (N, d), log |det ∂z/∂x| (N,)); for images, x inside (-1.02, 1.02)."""
        check_codes(x, self.dim, "x")
        check_dtype(x, self)
        log_det = x.new_zeros(len(x))
        if self.levels is not None:
            edge = 1 + self.margin
            if can_look(x) and not x.detach().abs().max() < edge:
                raise ValueError(
                    f"x must lie inside (-{edge:g}, {edge:g}), where images are; not all of it does"
                )
            above, below = (edge + x).log(), (edge - x).log()
            x = above - below
            log_det = (math.log(2 * edge) - above - below).sum(dim=1)
            x, log_det = x / self.spread, log_det - self.dim * math.log(self.spread)
        for net, kept in zip(self.nets, self.kept, strict=True):
            s, t = self._move(net, x, kept)
            x = x * s.exp() + t
            log_det = log_det + s.sum(dim=1)
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """f⁻¹: (N, d) to (N, d), the couplings undone in reverse order."""
        check_codes(z, self.dim)
        check_dtype(z, self, "z")
        for net, kept in zip(reversed(self.nets), self.kept.flip(0), strict=True):
            s, t = self._move(net, z, kept)
            z = (z - t) * (-s).exp()
        return z if self.levels is None else (1 + self.margin) * torch.tanh(z * self.spread / 2)

    def _move(self, net: nn.Module, x: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """s and t (N, d) each, 0 where the coordinate is left alone; they depend on those alone."""
        s, t = net(x * kept).chunk(2, dim=1)
        return self.widest * torch.tanh(s / self.widest) * (1 - kept), t * (1 - kept)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of points (N, d), in nats: (N,)."""
        check_codes(x, self.dim, "x")
        inside = None
        if self.levels is not None:
            inside = (x.abs() < 1 + self.margin).all(dim=1)
            x = torch.where(inside[:, None], x, torch.zeros_like(x))
        z, log_det = self(x)
        log_p = log_det - 0.5 * (z.square().sum(dim=1) + self.dim * math.log(2 * math.pi))
        return log_p if inside is None else log_p.masked_fill(~inside, -math.inf)

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """-log p(x) in nats, averaged over the batch; images (N, C, H, W) are flattened and dequantised first."""
        check_tensor(x, "x")
        check_maps(x, (None,) * max(1, x.ndim - 1))
        if self.levels is not None:
            x = dequantise(x, self.levels, generator=generator)
        return -self.log_prob(x.flatten(1)).mean()

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """n points f⁻¹(z), z ~ N(0, I): (n, d); for images brought back to the grey levels, in [-1, 1]."""
        check_at_least(1, n=n)
        check_labels(y, n, None)
        z = torch.randn(n, self.dim, generator=generator, device=self.kept.device, dtype=self.kept.dtype)
        x = self.inverse(z)
        if self.levels is None:
            return x
        k = ((x + 1) * (self.levels / 2)).floor().clamp(0, self.levels - 1)  # undoes `dequantise`
        return k * (2 / (self.levels - 1)) - 1


def _coupling_net(dim: int, hidden: int) -> nn.Sequential:
    """(N, d) → (N, 2d); 0 at first, so that a new flow begins as the identity."""
    last = nn.Linear(hidden, 2 * dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
    )  # fmt: skip


class PixelCNN(Model):
    """An image as a sequence of pixels, row by row, each drawn given those before it; exact probabilities.

        p(x) = ∏ᵢ p(xᵢ | x₁, …, xᵢ₋₁)

    Masked convolutions see only pixels above, and to the left in the same row: the first one (mask A) not the pixel
    itself, the later ones (mask B) what is known about it by then. A 1 × 2 "image" is a point of the plane, its two
    coordinates the pixels.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel recurrent neural networks", 2016, equation 1 and sections
    3.3 to 3.5. The levels go in one-hot, and each place has a bias of its own.

    Args:
        height, width: of the images.
        levels: the number of grey levels ≥ 2, evenly over [-1, 1]; images are brought to the nearest.
        channels: width of the network; in the residual blocks it is halved.
        blocks: how many residual blocks.
    """

    def __init__(self, height: int, width: int, *, levels: int = 8, channels: int = 64, blocks: int = 4):
        super().__init__()
        check_at_least(1, height=height, width=width)
        check_at_least(2, levels=levels, channels=channels)
        check_at_least(0, blocks=blocks)
        self.height, self.width, self.levels = height, width, levels
        kernel = min(7, 2 * max(height, width) - 1)  # more would only see padding
        self.first = _MaskedConv2d(levels, channels, kernel, itself=False)
        self.place = nn.Parameter(torch.zeros(1, channels, height, width))
        self.blocks = nn.ModuleList(_CausalBlock(channels) for _ in range(blocks))
        self.last = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(),
                                  nn.Conv2d(channels, levels, 1))  # fmt: skip
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 1, H, W) in [-1, 1] to the logits of each pixel given those before it: (N, levels, H, W)."""
        check_images(x, (1, self.height, self.width))
        return self._logits(quantise(x, self.levels)[:, 0])

    def _logits(self, k: Tensor) -> Tensor:
        """Levels int64 (N, rows, W), the first rows of images, to (N, levels, rows, W)."""
        seen = F.one_hot(k, self.levels).to(self.place.dtype).movedim(3, 1)
        h = self.first(seen) + self.place[:, :, : k.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.last(h)

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability of images (N, 1, H, W) in [-1, 1], brought to the levels, in nats: (N,)."""
        return -F.cross_entropy(self(x), quantise(x, self.levels)[:, 0], reduction="none").sum(dim=(1, 2))

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """-log p(x) in nats, averaged over the batch; labels and generator are not used."""
        return -self.log_prob(x).mean()

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """n images, pixel after pixel, one run of the network for each: (n, 1, H, W) in [-1, 1]."""
        check_at_least(1, n=n)
        check_labels(y, n, None)
        k = torch.zeros(n, self.height, self.width, dtype=torch.int64, device=self.place.device)
        for row in range(self.height):
            for column in range(self.width):  # rows below cannot matter: they are left out
                logits = self._logits(k[:, : row + 1])[:, :, row, column]
                k[:, row, column] = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
        return (k.to(self.place.dtype) * (2 / (self.levels - 1)) - 1).unsqueeze(1)


class _MaskedConv2d(nn.Conv2d):
    """A convolution that sees rows above and, in its own row, what lies to the left; and itself (mask B) or not."""

    mask: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, itself: bool):
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)
        seen = [i < kernel * kernel // 2 + itself for i in range(kernel * kernel)]
        mask = torch.tensor(seen, dtype=self.weight.dtype).view(1, 1, kernel, kernel)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class _CausalBlock(nn.Module):
    """h + 1×1, masked 3×3, 1×1 at half the width (figure 5 of the paper)."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, half, 1),
            nn.ReLU(), _MaskedConv2d(half, half, 3, itself=True),
            nn.ReLU(), nn.Conv2d(half, channels, 1),
        )  # fmt: skip

    def forward(self, h: Tensor) -> Tensor:
        return h + self.body(h)
