"""Images and their labels as tensors, and the way from bytes and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.inputs import check_at_least, check_images, check_noisy_images

SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Images:
    """Images with their labels; for `toy:*`, points in the plane.

    Attributes:
        x: float32 (N, C, H, W) in [-1, 1]; for toy densities (N, 2).
        y: int64 (N,), an index into `classes`.
        classes: the name of each class.
        captions: for `scenes`, one sentence an image.
        attributes: for `scenes`, the exact facts that the captions tell (see `scenes.sample_attributes`).
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    captions: tuple[str, ...] = ()
    attributes: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        many = {len(part) for part in (self.x, self.y, *self.attributes.values())}
        many |= {len(self.captions)} if self.captions else set()
        if len(many) > 1:
            raise ValueError(f"x, y, captions and attributes must be of one length, not {sorted(many)}")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | Tensor) -> Images:
        """The images at a slice, a boolean mask (N,) or an int64 index."""
        if not isinstance(index, slice | Tensor):
            raise TypeError(
                f"index must be a slice or a tensor (images stay a batch), not {type(index).__name__}; "
                "for a single image write images.x[i]"
            )
        where = torch.arange(len(self))[index]
        if where.ndim != 1:
            raise TypeError(
                f"index must have one dimension, not {where.ndim}; for a single image write images.x[i]"
            )
        captions = tuple(self.captions[i] for i in where) if self.captions else ()
        attributes = {name: value[where] for name, value in self.attributes.items()}
        return Images(self.x[where], self.y[where], self.classes, captions, attributes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Images):
            return NotImplemented
        same = self.classes == other.classes and self.captions == other.captions
        same = same and torch.equal(self.x, other.x) and torch.equal(self.y, other.y)
        same = same and self.attributes.keys() == other.attributes.keys()
        return same and all(
            torch.equal(value, other.attributes[name]) for name, value in self.attributes.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.x.shape))
        return f"Images({shape}, {len(self.classes)} classes)"


def resize(x: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) at size × size pixels, smoothed before they shrink (no aliasing)."""
    check_images(x)
    check_at_least(1, size=size)
    return F.interpolate(x, size=(size, size), mode="bilinear", antialias=True).clamp(-1, 1)


def to_float(x: np.ndarray) -> Tensor:
    """Bytes (N, H, W) or (N, H, W, C) in 0 … 255 to float32 (N, C, H, W) in [-1, 1].

    Raises:
        ValueError: other numbers than uint8, another number of dimensions, or of channels than 1 and 3.
    """
    if not isinstance(x, np.ndarray):
        raise ValueError(f"x must be a numpy array, not {type(x).__name__}; numpy.asarray makes one")
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        raise ValueError(f"x must have 1 or 3 channels, and have them last, (N, H, W, C); not {x.shape}")
    if x.dtype != np.uint8 or x.ndim not in (3, 4):
        raise ValueError(
            f"x must be uint8 (N, H, W) or (N, H, W, C), not {x.dtype} {x.shape}; of 16-bit images take "
            "(x // 257).astype(numpy.uint8), of floats in [0, 1] torch.from_numpy(2 * x - 1)"
        )
    pixels = torch.tensor(x)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.movedim(-1, 1)
    return pixels.to(torch.float32).div_(127.5).sub_(1).contiguous()


def to_uint8(x: Tensor) -> np.ndarray:
    """Images (N, C, H, W) in [-1, 1] to bytes (N, H, W, C); values outside, as noise has them, are clipped.

    Raises:
        ValueError: values as high as those of bytes, above 20, or NaN.
    """
    check_noisy_images(x)
    return (
        ((x.detach().cpu().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()
    )
