"""How well a score tells what is normal from what is not."""

from __future__ import annotations

import torch
from torch import Tensor

from course_utils.inputs import widest


def auroc(*, normal: Tensor, anomalous: Tensor) -> float:
    """The area under the ROC curve of an anomaly score: the chance that an anomalous sample scores above a normal
    one, ties counted as one half. 0.5 is guessing.

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve", 1982.

    Args:
        normal, anomalous: scores (N,) and (M,), higher for what looks more anomalous.

    Raises:
        ValueError: not one row of numbers each, none at all, or NaN.
    """
    for name, scores in (("normal", normal), ("anomalous", anomalous)):
        if not isinstance(scores, Tensor):
            raise ValueError(
                f"{name} must be a tensor (N,), not {type(scores).__name__}; torch.tensor makes one"
            )
        if scores.ndim != 1 or not len(scores) or scores.isnan().any():
            raise ValueError(f"{name} must be scores (N,), N ≥ 1, without NaN, not {tuple(scores.shape)}")
    ordered = widest(normal).sort().values
    anomalous = widest(anomalous).to(ordered.device)
    below = torch.searchsorted(ordered, anomalous)  # how many normal scores are smaller …
    up_to = torch.searchsorted(ordered, anomalous, right=True)  # … or smaller or equal
    return ((below + up_to).double().mean() / (2 * len(ordered))).item()
