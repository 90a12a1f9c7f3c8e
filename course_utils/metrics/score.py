"""What the metrics share: a score with its spread, and two sets of features that belong together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.inputs import check_features, widest_float


class Score(NamedTuple):
    """A score measured on several parts of the images: its mean and its standard deviation over the parts."""

    mean: float
    std: float


def pair(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets of features, checked, without gradients, on one device, which has float64."""
    real, fake = check_features("real features", real), check_features("fake features", fake)
    same_width(real[0], fake[0])
    place = real.device if widest_float(real.device) == torch.float64 else torch.device("cpu")
    return real.to(place), fake.to(place)


def same_width(a: Tensor, b: Tensor) -> None:
    """Raise ValueError unless two vectors (d,) are of one length."""
    if a.shape != b.shape:
        raise ValueError(f"the features differ in width: {len(a)} and {len(b)}; use one extractor for both")
