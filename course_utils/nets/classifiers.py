"""Networks that read images: a digit classifier, and a reader of drawn scenes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.data.scenes import LAYOUTS, READING
from course_utils.inputs import (
    Model,
    can_look,
    check_at_least,
    check_dtype,
    check_images,
    check_labels,
    check_maps,
    check_tensor,
    noise_like,
    uniform_like,
)
from course_utils.nets.blocks import conv_block
from course_utils.nets.images import blur, shift_and_turn


class Classifier(Model):
    """A small convolutional classifier; its last hidden layer serves the metrics as features.

    Shapes: (N, in_channels, H, W) in [-1, 1] → logits (N, num_classes). 132,000 weights for grey digits.
    """

    width = 128  # of the features

    def __init__(self, num_classes: int = 10, *, in_channels: int = 1):
        super().__init__()
        check_at_least(1, in_channels=in_channels)
        check_at_least(2, num_classes=num_classes)
        self.in_channels, self.num_classes = in_channels, num_classes
        self.body = nn.Sequential(
            conv_block(in_channels, 32, kernel=5, stride=2),  # 28 → 14
            conv_block(32, 64),
            conv_block(64, 64, stride=2),  # 14 → 7
            conv_block(64, self.width),
        )
        self.head = nn.Linear(self.width, num_classes)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) to (N, 128), the mean of the last layer over the image."""
        check_images(x, (self.in_channels, None, None))
        check_dtype(x, self)
        return self.body(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def loss(self, x: Tensor, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Cross-entropy in nats, averaged over the batch; with a generator, of images moved by `shift_and_turn`."""
        check_images(x, (self.in_channels, None, None))
        check_labels(y, len(x), self.num_classes)
        if generator is not None:
            x = shift_and_turn(x, generator=generator)
        return F.cross_entropy(self(x), y)


class SceneReader(Model):
    """Reads drawn scenes: images (N, 3, 64, 64) in [-1, 1] → logits (N, 49) of the facts of `scenes.READING`.

    Its feature maps also serve as the eye that compares images in the loss of an autoencoder.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds = list(READING.values())
        self.stages = nn.ModuleList(
            [
                conv_block(3, 32, kernel=5, stride=2),  # 64 → 32
                nn.Sequential(conv_block(32, 64, stride=2), conv_block(64, 64)),  # → 16
                nn.Sequential(conv_block(64, 96, stride=2), conv_block(96, 96)),  # → 8
                conv_block(96, 128, stride=2),  # → 4
            ]
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(128 * 16, 256), nn.ReLU(), nn.Linear(256, sum(self.kinds))
        )
        self.to(memory_format=torch.channels_last)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """What each stage sees: (N, 32, 32, 32), (N, 64, 16, 16), (N, 96, 8, 8), (N, 128, 4, 4).

        The images may lie beyond [-1, 1], as those of a decoder do while it learns.
        """
        check_maps(x, (3, 64, 64))
        check_dtype(x, self)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def features(self, x: Tensor) -> Tensor:
        """What the last hidden layer sees, for metrics: images (N, 3, 64, 64) to (N, 256)."""
        check_images(x, (3, 64, 64))
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
        """Cross-entropy in nats, summed over the facts y (N, 10) that are there and averaged over the batch; with a
        generator, of images spoiled as generated ones are."""
        check_images(x, (3, 64, 64))
        check_tensor(y, "y")
        if y.shape != (len(x), len(self.kinds)) or y.dtype != torch.int64:
            want, got = (len(x), len(self.kinds)), f"{y.dtype} {tuple(y.shape)}"
            raise ValueError(f"y must be int64 {want}, the facts as scenes.reading gives them, not {got}")
        if can_look(y) and any(
            not -1 <= int(fact.min()) <= int(fact.max()) < kind
            for fact, kind in zip(y.T, self.kinds, strict=True)
        ):
            raise ValueError(
                f"y holds {y.amin(dim=0).tolist()} … {y.amax(dim=0).tolist()}; allowed: -1 (not there), and from 0 "
                f"to below {self.kinds}"
            )
        if generator is not None:
            x = _spoil(x, generator)
        logits = self.head(self.feature_maps(x)[-1]).split(self.kinds, dim=1)
        each = [
            F.cross_entropy(part, fact, ignore_index=-1, reduction="sum")
            for part, fact in zip(logits, y.unbind(dim=1), strict=True)
        ]
        return torch.stack(each).sum() / len(x)


def _spoil(x: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images blurred by up to a pixel, all of them with a little noise and colours moved a little."""

    def draw(*shape: int) -> Tensor:
        return uniform_like(x.new_empty(shape), generator)

    share = draw(len(x), 1, 1, 1) * (draw(len(x), 1, 1, 1) < 0.5)
    x = torch.lerp(x, blur(x, 1.0), share)
    x = x + 0.08 * (2 * draw(len(x), 3, 1, 1) - 1)
    noise = noise_like(x, generator)
    return x + 0.1 * draw(len(x), 1, 1, 1) * noise
