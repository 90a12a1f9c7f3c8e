"""Networks that several models share: encoder, decoder, digit classifier.

Convolutions run in `channels_last`, which on a CPU trains more than twice as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        _check_size(size)
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
        _check_size(size)
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
        if z.ndim != 2 or z.shape[1] != self.inputs:
            raise ValueError(f"z must have the shape (N, {self.inputs}), not {tuple(z.shape)}")
        return super().forward(z)


def _check_size(size: int) -> None:
    if size < 4 or size % 4:
        raise ValueError(f"size={size} must be divisible by 4 (the encoder halves it twice)")


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


@torch.inference_mode()
def over_batches(model: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 1000) -> Tensor:
    """A model's output for any number of inputs (N, …), a batch at a time, without gradients."""
    if isinstance(model, nn.Module):
        x = x.to(next(model.parameters()).device)
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
