"""A set of images that is spoiled in several ways, and what each metric says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from course_utils import metrics
from course_utils.explorers.engine import Explorer
from course_utils.explorers.models import ImageSet, check_image_set
from course_utils.explorers.parts import Choice, Control, Panel, Readout, Slider
from course_utils.features import Features
from course_utils.inputs import check_at_least, check_not_negative, noise_like
from course_utils.nets import blur
from course_utils.progress import counted


class MetricsExplorer(Explorer):
    """Spoil a set of real images in several ways at once, and read what each metric says.

    The set that plays the generated one is `images`; it is compared with `reference`, other real images. Both are
    shuffled, the first so that each part of it has all classes alike, in whatever order they come.
    extract: from images to features and probabilities, as `features.feature_extractor` gives it.
    blurs: standard deviations in pixels; noises: of the added noise, in units of [-1, 1]; kept: how many classes are
    left; different: how many different images there are, repeated to fill the set; sizes: images in either set.
    A setting that the images cannot fill (200 different zeros where there are 100) takes what there is.
    `values` holds what was measured: for each metric, float64 (blurs, noises, kept, different, outlier, sizes).
    Raises ValueError for images of a wrong shape or range, or fewer than the largest size.
    """

    METRICS = (
        "Inception Score ↑",
        "FID ↓",
        "KID · 1000 ↓",
        "precision ↑",
        "recall ↑",
        "density ↑",
        "coverage ↑",
    )

    def __init__(
        self,
        images: ImageSet,
        reference: ImageSet,
        extract: Callable[[Tensor], Features],
        *,
        blurs: Sequence[float] = (0.0, 0.8, 1.4),
        noises: Sequence[float] = (0.0, 0.3, 0.6),
        kept: Sequence[int] = (10, 5, 1),
        different: Sequence[int] = (1000, 100, 10),
        sizes: Sequence[int] = (1000, 300, 100),
        shown: int = 12,
        seed: int = 0,
        title: str = "A laboratory of metrics",
        hint: str = "Try: move one slider to its end. Which numbers notice? Then hide the damage with another.",
    ) -> None:
        for sigma in blurs:
            check_not_negative(blurs=sigma)
        for sigma in noises:
            check_not_negative(noises=sigma)
        for name, counts in {"kept": kept, "different": different, "sizes": sizes, "shown": [shown]}.items():
            check_at_least(1, **{name: min(counts, default=0)})
        for name, given in (("images", images), ("reference", reference)):
            check_image_set(name, given)
            if len(given.x) < max(sizes):
                raise ValueError(
                    f"{name} holds {len(given.x)} images; sizes={tuple(sizes)} needs {max(sizes)}"
                )
        if images.y is None:
            raise ValueError("images.y is None; labels are needed to leave classes out")
        if images.y.min() >= min(kept):
            raise ValueError(
                f"kept={tuple(kept)}: images has no class below {min(kept)}, so none would be left"
            )
        draw = torch.Generator().manual_seed(seed + 2)
        order, other = _mixed(images.y, draw), torch.randperm(len(reference.x), generator=draw)
        clean, labels, real = images.x[order], images.y[order], extract(reference.x[other[: max(sizes)]])
        # An image of noise: farther from all digits than they are from each other.
        outlier = (
            torch.rand(1, *images.x.shape[1:], generator=torch.Generator().manual_seed(seed + 1)) * 2 - 1
        )
        far = extract(outlier)
        if far.probs is None:
            raise ValueError(
                "extract gives no probabilities, which the Inception Score needs; take a classifier"
            )
        axes = (len(blurs), len(noises), len(kept), len(different), 2, len(sizes))
        self.values = {name: np.zeros(axes) for name in self.METRICS}
        frames = images.x.new_empty(*axes[:-1], shown, *images.x.shape[1:])
        for setting in counted(list(np.ndindex(axes)), "settings measured"):
            b, n, c, d, o, size = setting
            if not any(setting[2:]):
                x = blur(clean, blurs[b])
                x = (x + noises[n] * noise_like(x, torch.Generator().manual_seed(seed))).clamp(-1, 1)
                fake = extract(x)
            assert fake.probs is not None
            members = (labels < kept[c]).nonzero().flatten()[: different[d]]
            rows = members[torch.arange(sizes[size]) % len(members)]
            features, probs = fake.features[rows], fake.probs[rows]
            if o:
                features[-1:], probs[-1:] = far.features, far.probs
            if size == 0:
                frames[b, n, c, d, o] = x[rows[:shown]]
                if o:
                    frames[b, n, c, d, o, -1:] = outlier
            measured = _all_metrics(real.features[: sizes[size]], features, probs)
            for name, value in zip(self.METRICS, measured, strict=True):
                self.values[name][setting] = value
        by = ("blur", "noise", "classes left", "different images, at most", "outlier", "images, N")
        count = len(images.classes)
        controls: list[Control] = [
            Slider("blur", [f"σ = {v:g} px" if v else "none" for v in blurs]),
            Slider("noise", [f"σ = {v:g}" if v else "none" for v in noises]),
            Slider("classes left", [f"{min(v, count)} of {count}" for v in kept]),
            Slider("different images, at most", [str(v) for v in different]),
            Choice("outlier", ["none", "one"]),
            Slider("images, N", [str(v) for v in sizes]),
        ]
        full = {"FID ↓": None, "KID · 1000 ↓": None, "Inception Score ↑": float(count)}  # others are shares
        readouts = [
            Readout(name, value, by, maximum=full.get(name, 1.0) or max(0.0, float(np.quantile(value, 0.8))))
            for name, value in self.values.items()
        ]
        self._summary = f"{self.values[self.METRICS[0]].size} settings, {len(self.METRICS)} metrics"
        super().__init__(
            controls,
            [Panel("some of the images", frames, by[:-1], columns=6)],
            readouts,
            title=title,
            hint=hint,
        )

    def __repr__(self) -> str:
        return f"MetricsExplorer({self._summary})"


def _mixed(y: Tensor, generator: torch.Generator) -> Tensor:
    """A random order int64 (N,) in which one image of each class (N,) comes first, then the second of each …"""
    order = torch.randperm(len(y), generator=generator)
    turn = torch.nn.functional.one_hot(y[order]).cumsum(dim=0).gather(1, y[order, None]).squeeze(1)
    return order[turn.argsort(stable=True)]


def _all_metrics(real: Tensor, fake: Tensor, probs: Tensor) -> tuple[float, ...]:
    """The values of MetricsExplorer.METRICS."""
    size = min(len(real), len(fake))
    kid = metrics.kernel_inception_distance(real=real, fake=fake, subsets=1, subset_size=size).mean
    precision, recall = metrics.precision_recall(real=real, fake=fake)
    density, coverage = metrics.density_coverage(real=real, fake=fake)
    score = metrics.inception_score(probs, splits=1).mean
    return score, metrics.fid(real=real, fake=fake), 1000 * kid, precision, recall, density, coverage
