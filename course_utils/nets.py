"""Networks that several models share: encoder, decoder, classifiers, flow, PixelCNN, U-Net.

Convolutions run in `channels_last`, which on a CPU trains more than twice as fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.scenes import LAYOUTS, READING


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block, new layers draw their first weights from this seed; torch's own state is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Encoder(nn.Sequential):
    """Image to code: two convolutions that halve the size, one that thins the channels, two linear layers.

    Shapes: (N, channels, size, size) in [-1, 1] → (N, outputs).

    Raises:
        ValueError: a size that is not divisible by 4.
    """

    def __init__(self, outputs: int, *, channels: int = 1, size: int = 28):
        check_size(size)
        super().__init__(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (size // 4) ** 2, 128),
            nn.ReLU(),
            nn.Linear(128, outputs),
        )
        self.input_shape = channels, size, size
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.input_shape)
        return super().forward(x)


class Decoder(nn.Sequential):
    """Code to image, the encoder in reverse: (N, inputs) → (N, channels, size, size) in (-1, 1).

    Raises:
        ValueError: a size that is not divisible by 4, or codes of another width.
    """

    def __init__(self, inputs: int, *, channels: int = 1, size: int = 28):
        check_size(size)
        small = size // 4
        super().__init__(
            nn.Linear(inputs, 128),
            nn.ReLU(),
            nn.Linear(128, 32 * small**2),
            nn.ReLU(),
            nn.Unflatten(1, (32, small, small)),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        # Begin near the mean brightness of digits, tanh(-1) = -0.76. From 0, the step to the dark background can
        # carry all pixels into the flat part of tanh, where no gradient brings them back.
        last = self[-2]
        assert isinstance(last, nn.ConvTranspose2d)
        assert last.bias is not None
        nn.init.constant_(last.bias, -1.0)
        self.inputs = inputs
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.before_tanh(z))

    def before_tanh(self, z: Tensor) -> Tensor:
        """The image before its last layer, all numbers: atanh of what `forward` gives, but exact near ±1."""
        if z.ndim != 2 or z.shape[1] != self.inputs:
            raise ValueError(f"z must have the shape (N, {self.inputs}), not {tuple(z.shape)}")
        for layer in self:
            if not isinstance(layer, nn.Tanh):
                z = layer(z)
        return z


def check_size(size: int) -> None:
    """Raise ValueError unless images of this size can be halved twice."""
    if size < 4 or size % 4:
        raise ValueError(f"size={size} must be divisible by 4 (it is halved twice)")


def check_at_least(least: int, **values: int) -> None:
    """Raise ValueError, naming it, for a value below `least`."""
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name}={value} must be at least {least}")


def check_not_negative(**values: float) -> None:
    """Raise ValueError, naming it, for a value that is no finite number of at least 0."""
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}={value} must be a number of at least 0")


def check_images(x: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless x is a float batch (N, *shape)."""
    if x.ndim != 4 or tuple(x.shape[1:]) != shape:
        raise ValueError(f"x must have the shape (N, {', '.join(map(str, shape))}), not {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"x must be float in [-1, 1], not {x.dtype}; data.to_float makes it from bytes")


class Classifier(nn.Module):
    """A small convolutional classifier; its last hidden layer serves the metrics as features.

    Shapes: (N, channels, H, W) in [-1, 1] → logits (N, classes). 132,000 weights for grey digits.
    """

    width = 128  # of the features

    def __init__(self, classes: int = 10, *, channels: int = 1):
        super().__init__()
        self.channels = channels
        self.body = nn.Sequential(
            _block(channels, 32, kernel=5, stride=2),  # 28 → 14
            _block(32, 64),
            _block(64, 64, stride=2),  # 14 → 7
            _block(64, self.width),
        )
        self.head = nn.Linear(self.width, classes)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """Images (N, channels, H, W) to features (N, 128), the mean of the last layer over the image."""
        check_images(x, (self.channels, *x.shape[2:]))
        return self.body(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def loss(self, x: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy of labels y (N,) in nats, averaged over the batch; the images are moved a little if a
        generator is given (see `shift_and_turn`)."""
        if generator is not None:
            x = shift_and_turn(x, generator=generator)
        return F.cross_entropy(self(x), y)


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class SceneReader(nn.Module):
    """Reads drawn scenes: images (N, 3, 64, 64) in [-1, 1] → logits (N, 49) of the facts of `scenes.READING`.

    Its feature maps also serve as the eye that compares images in the loss of an autoencoder.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds = list(READING.values())
        self.stages = nn.ModuleList(
            [
                _block(3, 32, kernel=5, stride=2),  # 64 → 32
                nn.Sequential(_block(32, 64, stride=2), _block(64, 64)),  # → 16
                nn.Sequential(_block(64, 96, stride=2), _block(96, 96)),  # → 8
                _block(96, 128, stride=2),  # → 4
            ]
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(128 * 16, 256), nn.ReLU(), nn.Linear(256, sum(self.kinds))
        )
        self.to(memory_format=torch.channels_last)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """What each stage sees: (N, 32, 32, 32), (N, 64, 16, 16), (N, 96, 8, 8), (N, 128, 4, 4)."""
        check_images(x, (3, 64, 64))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def features(self, x: Tensor) -> Tensor:
        """What the last hidden layer sees, for metrics: images (N, 3, 64, 64) to (N, 256)."""
        return self.head[:3](self.feature_maps(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.head[3](self.features(x))

    def read(self, x: Tensor) -> Tensor:
        """The likeliest facts, int64 (N, 10), as `scenes.reading` gives them; -1 for an object that is not there."""
        facts = torch.stack([part.argmax(dim=1) for part in self(x).split(self.kinds, dim=1)], dim=1)
        alone = facts[:, 0] < LAYOUTS.index("side by side")
        facts[:, 6:] = facts[:, 6:].masked_fill(alone[:, None], -1)
        return facts

    def loss(self, x: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy in nats, summed over the facts y (N, 10) and averaged over the batch; facts of an object that
        is not there do not count. With a generator the images are first spoiled as generated ones are: out of focus,
        noisy, of slightly other colours."""
        if generator is not None:
            x = _spoil(x, generator)
        each = [
            F.cross_entropy(part, fact, ignore_index=-1, reduction="sum")
            for part, fact in zip(self(x).split(self.kinds, dim=1), y.unbind(dim=1), strict=True)
        ]
        return torch.stack(each).sum() / len(x)


def _spoil(x: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images blurred by up to a pixel, all of them with a little noise and colours moved a little."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)

    share = draw(len(x), 1, 1, 1) * (draw(len(x), 1, 1, 1) < 0.5)
    x = torch.lerp(x, blur(x, 1.0), share)
    x = x + 0.08 * (2 * draw(len(x), 3, 1, 1) - 1)
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + 0.1 * draw(len(x), 1, 1, 1) * noise


def at_least_float32(x: Tensor) -> Tensor:
    """The same numbers, in float32 where they came in half precision out of an autocast: losses need the digits."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


@torch.inference_mode()
def over_batches(model: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 1000) -> Tensor:
    """A model's output for any number of inputs (N, …), a batch at a time, without gradients."""
    if isinstance(model, nn.Module):
        x = x.to(next(model.parameters(), x).device)
    return torch.cat([model(part) for part in x.split(batch_size)])


def shift_and_turn(
    x: Tensor, *, degrees: float = 10.0, shift: float = 0.07, scale: float = 0.1, generator: torch.Generator
) -> Tensor:
    """Move each image (N, C, H, W) a little: the augmentation that handwriting bears.

    Args:
        degrees: turned by up to this angle either way.
        shift: moved by up to this share of the width and height.
        scale: grown or shrunk by up to this share.
    """
    n, device = len(x), x.device
    turn, dx, dy, grow = (
        2 * torch.rand(4, n, generator=generator, device=device, dtype=x.dtype) - 1
    ).unbind()
    angle, size = torch.deg2rad(degrees * turn), 1 + scale * grow
    cos, sin = angle.cos() / size, angle.sin() / size
    theta = torch.stack([cos, -sin, 2 * shift * dx, sin, cos, 2 * shift * dy], dim=1).view(n, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1  # outside lies the background, -1


def blur(x: Tensor, sigma: float) -> Tensor:
    """Images (N, C, H, W) convolved with a Gaussian of `sigma` ≥ 0 pixels; edge pixels are repeated outwards.

    Raises:
        ValueError: sigma below 0.
    """
    if sigma < 0:
        raise ValueError(f"sigma={sigma} must be at least 0")
    if sigma == 0:
        return x
    reach = math.ceil(4 * sigma)
    line = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = (-line.square() / (2 * sigma**2)).exp()
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    for size in ((reach, reach, 0, 0), (0, 0, reach, reach)):  # along the rows, then along the columns
        x = F.conv2d(F.pad(x, size, mode="replicate"), kernel, groups=x.shape[1])
        kernel = kernel.transpose(2, 3)
    return x


def lerp(z0: Tensor, z1: Tensor, t: float | Tensor) -> Tensor:
    """Linear interpolation (1 - t) z0 + t z1.

    z0, z1: (..., d). t: a number or a tensor of shape (...); 0 gives z0, 1 gives z1.
    Returns (..., d), broadcast.
    """
    t = _weight(z0, t)
    return (1 - t) * z0 + t * z1


def slerp(z0: Tensor, z1: Tensor, t: float | Tensor) -> Tensor:
    """Spherical interpolation: turn z0 into z1 at a constant angular speed.

        sin((1 - t) w) / sin(w) z0 + sin(t w) / sin(w) z1,   w = the angle between z0 and z1

    z0, z1: (..., d). t: a number or a tensor of shape (...); 0 gives z0, 1 gives z1. Returns (..., d).
    Vectors of equal norm keep that norm on the way. Where the angle is undefined or the turn has no unique
    plane — (nearly) parallel or opposite vectors, or a zero vector — it falls back to `lerp`.
    Source: Shoemake 1985, "Animating rotation with quaternion curves"; for latent codes White 2016,
    arXiv:1609.04468, whose form (weights applied to vectors of any norm) this is.
    """
    t = _weight(z0, t)
    norms = z0.norm(dim=-1, keepdim=True) * z1.norm(dim=-1, keepdim=True)
    cosine = ((z0 * z1).sum(-1, keepdim=True) / norms.clamp_min(torch.finfo(z0.dtype).tiny)).clamp(-1, 1)
    omega = torch.acos(cosine)
    flat = (norms == 0) | (1 - cosine.abs() < 1e-6)
    sine = torch.where(flat, torch.ones_like(omega), torch.sin(omega))
    turned = (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / sine
    return torch.where(flat, (1 - t) * z0 + t * z1, turned)


def _weight(z: Tensor, t: float | Tensor) -> Tensor:
    """t as a tensor that broadcasts over the last axis of z."""
    t = torch.as_tensor(t, dtype=z.dtype, device=z.device)
    return t.unsqueeze(-1) if t.ndim else t


# ---------------------------------------------------------------------- exact likelihood: flow, autoregression


def quantise(x: Tensor, levels: int) -> Tensor:
    """The nearest of `levels` even grey levels, 0 for -1 … levels - 1 for 1: (N, …) in [-1, 1] to int64 (N, …)."""
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
    u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return ((k + u) * (2 / levels) - 1).clamp(max=1 - 1e-6)


class CouplingFlow(nn.Module):
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
        self._check("x", x)
        log_det = x.new_zeros(len(x))
        if self.levels is not None:
            edge = 1 + self.margin
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
        self._check("z", z)
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
        self._check("x", x)
        inside = None
        if self.levels is not None:
            inside = (x.abs() < 1 + self.margin).all(dim=1)
            x = torch.where(inside[:, None], x, torch.zeros_like(x))
        z, log_det = self(x)
        log_p = log_det - 0.5 * (z.square().sum(dim=1) + self.dim * math.log(2 * math.pi))
        return log_p if inside is None else log_p.masked_fill(~inside, -math.inf)

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """-log p(x) in nats, averaged over the batch; images (N, C, H, W) are flattened and dequantised first."""
        x = x.flatten(1)
        if self.levels is not None:
            x = dequantise(x, self.levels, generator=generator)
        return -self.log_prob(x).mean()

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n points f⁻¹(z), z ~ N(0, I): (n, d); for images brought back to the grey levels, in [-1, 1]."""
        check_at_least(1, n=n)
        z = torch.randn(n, self.dim, generator=generator, device=self.kept.device, dtype=self.kept.dtype)
        x = self.inverse(z)
        if self.levels is None:
            return x
        k = ((x + 1) * (self.levels / 2)).floor().clamp(0, self.levels - 1)  # undoes `dequantise`
        return k * (2 / (self.levels - 1)) - 1

    def _check(self, name: str, x: Tensor) -> None:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"{name} must have the shape (N, {self.dim}), not {tuple(x.shape)}")


def _coupling_net(dim: int, hidden: int) -> nn.Sequential:
    """(N, d) → (N, 2d); 0 at first, so that a new flow begins as the identity."""
    last = nn.Linear(hidden, 2 * dim)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
    )  # fmt: skip


class PixelCNN(nn.Module):
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
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n images, pixel after pixel, one run of the network for each: (n, 1, H, W) in [-1, 1]."""
        check_at_least(1, n=n)
        k = torch.zeros(n, self.height, self.width, dtype=torch.int64, device=self.place.device)
        for row in range(self.height):
            for column in range(self.width):  # rows below cannot matter: they are left out
                logits = self._logits(k[:, : row + 1])[:, :, row, column]
                k[:, row, column] = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
        return (k.to(self.place.dtype) * (2 / (self.levels - 1)) - 1).unsqueeze(1)


class _MaskedConv2d(nn.Conv2d):
    """A convolution that sees rows above and, in its own row, what lies to the left; and itself (mask B) or not."""

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, *, itself: bool):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
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


# ------------------------------------------------------------------------------------------------ the U-Net


class UNet(nn.Module):
    """Noisy image x_t and time step t to an image of the same shape: (N, C, H, W), (N,) → (N, outputs, H, W).

    The image is folded, 2 × 2 pixels to 4 channels, so that all work happens at a half and a quarter of its size.
    Source: Ronneberger, Fischer, Brox, "U-Net", 2015 (skips, here added); Ho, Jain, Abbeel, "Denoising diffusion
    probabilistic models", 2020, appendix B (blocks, time embedding, attention at the lower resolution); Dhariwal and
    Nichol, "Diffusion models beat GANs on image synthesis", 2021, section 3.1 (time and class scale and shift).

    Args:
        channels: C of the image.
        outputs: channels of the output; None: as many.
        width: channels at half the size, divisible by 16; at a quarter there are twice as many.
        blocks: residual blocks at each place.
        classes: how many can be asked for; y may then also be `classes`, which stands for "no class". None: no y.
        context: width of the tokens, (N, L, context), that the network looks at by cross-attention, as in Rombach et
            al., "High-resolution image synthesis with latent diffusion models", 2022, section 3.3. None: no tokens.

    Raises:
        ValueError: a width that is not divisible by 16; images with other channels or a size not divisible by 4.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        outputs: int | None = None,
        width: int = 64,
        blocks: int = 1,
        classes: int | None = None,
        context: int | None = None,
    ):
        super().__init__()
        check_at_least(1, channels=channels, blocks=blocks)
        if width < 16 or width % 16:
            raise ValueError(f"width={width} must be a multiple of 16")
        self.channels, self.width, self.classes, self.context = channels, width, classes, context
        emb, wide = 4 * width, 2 * width

        def stage(width: int) -> nn.ModuleList:
            look = [] if context is None else [CrossAttention(width, context)]
            return nn.ModuleList([*(_TimeBlock(width, emb) for _ in range(blocks)), *look])

        self.time = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.embed = nn.Embedding(classes + 1, emb) if classes else None
        self.stem = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.down = stage(width)
        self.to_quarter = nn.Conv2d(width, wide, 2, stride=2)
        self.below = stage(wide)
        self.middle = nn.ModuleList([_TimeBlock(wide, emb), _Attention(wide), _TimeBlock(wide, emb)])
        self.back = stage(wide)
        self.to_half = nn.ConvTranspose2d(wide, width, 2, stride=2)
        self.up = stage(width)
        self.norm = nn.GroupNorm(8, width)
        self.out = _zero(nn.Conv2d(width, 4 * (outputs or channels), 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(
        self, x_t: Tensor, t: Tensor, y: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        check_images(x_t, (self.channels, *x_t.shape[2:]))
        if x_t.shape[2] % 4 or x_t.shape[3] % 4:
            raise ValueError(f"x_t is {x_t.shape[2]} × {x_t.shape[3]}; both must be divisible by 4")
        if (y is None) != (self.embed is None):
            raise ValueError(
                "y is missing" if y is None else "y was given, but this network knows no classes"
            )
        if (context is None) != (self.context is None):
            raise ValueError(
                f"context must be tokens ({len(x_t)}, L, {self.context})"
                if context is None
                else "context was given, but this network looks at no tokens"
            )
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
    frequency = torch.exp(torch.linspace(0, -math.log(10_000), width // 2, device=t.device))
    angle = t[:, None].float() * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class _TimeBlock(nn.Module):
    """x + conv(norm(conv(norm(x)))), the second norm scaled and shifted by the embedding e; x itself at the start."""

    def __init__(self, width: int, emb: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = (
            nn.GroupNorm(8, width, affine=False),
            _zero(nn.Conv2d(width, width, 3, padding=1)),
        )
        self.scale_shift = _zero(nn.Linear(emb, 2 * width))

    def forward(self, x: Tensor, e: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.scale_shift(e)[:, :, None, None].chunk(2, dim=1)
        return x + self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))


class _Attention(nn.Module):
    """x + attention among all places of the map, with four heads; x itself at the start."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.qkv = nn.GroupNorm(8, width), nn.Linear(width, 3 * width)
        self.out = _zero(nn.Linear(width, width))

    def forward(self, x: Tensor, e: Tensor, context: Tensor | None = None) -> Tensor:
        n, width, *size = x.shape
        places = self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)  # (N, H · W, width)
        q, k, v = self.qkv(places).unflatten(2, (3, 4, width // 4)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(seen).unflatten(1, size).permute(0, 3, 1, 2)


class CrossAttention(nn.Module):
    """x + what each place of the map takes from the tokens (N, L, context), with four heads; x itself at the start."""

    def __init__(self, width: int, context: int):
        super().__init__()
        self.norm, self.q = nn.GroupNorm(8, width), nn.Linear(width, width)
        self.kv = nn.Linear(context, 2 * width)
        self.out = _zero(nn.Linear(width, width))

    def forward(self, x: Tensor, e: Tensor, context: Tensor) -> Tensor:
        q, k, v = self.queries_keys_values(x, context)
        taken = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(taken).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)

    def queries_keys_values(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of four heads each: of the places (N, 4, H · W, width / 4), of the tokens (N, 4, L, width / 4)."""
        width = x.shape[1]
        q = self.q(self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)).unflatten(2, (4, width // 4))
        k, v = self.kv(context).unflatten(2, (2, 4, width // 4)).unbind(dim=2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def attention(self, x: Tensor, context: Tensor) -> Tensor:
        """How much each place looks at each token, averaged over the heads, sum 1 over tokens: (N, H, W, L)."""
        q, k, _ = self.queries_keys_values(x, context)
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=3)
        return weights.mean(dim=1).unflatten(1, x.shape[2:])


def _zero(layer: nn.Module) -> nn.Module:
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer
