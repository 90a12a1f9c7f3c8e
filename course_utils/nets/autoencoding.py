"""Encoder and decoder of the autoencoders: image to code and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_utils.inputs import check_at_least, check_codes, check_dtype, check_noisy_images, check_size


class Encoder(nn.Sequential):
    """Image to code: two convolutions that halve the size, one that thins the channels, two linear layers.

    Shapes: (N, in_channels, size, size) → (N, out_features).

    Raises:
        ValueError: a size that is not divisible by 4.
    """

    def __init__(self, out_features: int, *, in_channels: int = 1, size: int = 28):
        check_size(size)
        check_at_least(1, out_features=out_features, in_channels=in_channels)
        super().__init__(
            nn.Conv2d(in_channels, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (size // 4) ** 2, 128),
            nn.ReLU(),
            nn.Linear(128, out_features),
        )
        self.input_shape = in_channels, size, size
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        check_noisy_images(x, self.input_shape)
        check_dtype(x, self)
        return super().forward(x)


class Decoder(nn.Sequential):
    """Code to image, the encoder in reverse: (N, in_features) → (N, out_channels, size, size) in (-1, 1).

    Raises:
        ValueError: a size that is not divisible by 4, or codes of another width.
    """

    def __init__(self, in_features: int, *, out_channels: int = 1, size: int = 28):
        check_size(size)
        check_at_least(1, in_features=in_features, out_channels=out_channels)
        small = size // 4
        super().__init__(
            nn.Linear(in_features, 128),
            nn.ReLU(),
            nn.Linear(128, 32 * small**2),
            nn.ReLU(),
            nn.Unflatten(1, (32, small, small)),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, out_channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        # Begin near the mean brightness of digits, tanh(-1) = -0.76. From 0, the step to the dark background can
        # carry all pixels into the flat part of tanh, where no gradient brings them back.
        last = self[-2]
        assert isinstance(last, nn.ConvTranspose2d)
        assert last.bias is not None
        nn.init.constant_(last.bias, -1.0)
        self.in_features = in_features
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.before_tanh(z))

    def before_tanh(self, z: Tensor) -> Tensor:
        """The image before its last layer, all numbers: atanh of what `forward` gives, but exact near ±1."""
        check_codes(z, self.in_features)
        z = z.to(next(self.parameters()).dtype)  # of a model in half precision, whose posterior is in float32
        for layer in self:
            if not isinstance(layer, nn.Tanh):
                z = layer(z)
        return z
