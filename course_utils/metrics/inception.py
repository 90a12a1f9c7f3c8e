"""The Inception Score."""

from __future__ import annotations

import torch
from torch import Tensor

from course_utils.inputs import check_probs, check_whole, widest
from course_utils.metrics.score import Score


def inception_score(probs: Tensor, splits: int = 10, *, generator: torch.Generator | None = None) -> Score:
    """exp of the mean KL(p(y|x) ‖ p(y)): high where each image is read with certainty, and as many classes.

    It lies between 1 and the number of classes. The images are shuffled before they are split, so that their order
    does no harm.

    Source: Salimans et al., "Improved techniques for training GANs", 2016, section 4.

    Args:
        probs: p(y|x) of each image by a classifier, (N, classes); rows sum to 1.
        splits: the number of parts to score one by one, 1 … N.
        generator: of the shuffle, on the CPU; None: torch's own.

    Raises:
        ValueError: not probabilities, not finite, or fewer images than splits.
    """
    p = widest(check_probs(probs))
    check_whole(splits=splits)
    if not 1 <= splits <= len(p):
        raise ValueError(f"splits={splits} must lie in 1 … {len(p)}, the number of images")
    if splits > 1:
        p = p[torch.randperm(len(p), generator=generator).to(p.device)]
    # KL averaged over images is the entropy of the mean less the mean of the entropies.
    parts = [p[i::splits] for i in range(splits)]
    entropy = torch.special.entr
    scores = torch.stack([(entropy(q.mean(dim=0)).sum() - entropy(q).sum(dim=1).mean()).exp() for q in parts])
    return Score(scores.mean().item(), scores.std(correction=0).item())
