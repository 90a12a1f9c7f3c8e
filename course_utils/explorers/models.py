"""What explorers ask of models and sets of images, and how they run and choose them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from course_utils.explorers.sprites import check_frames
from course_utils.inputs import check_at_least, check_labels


class ImageSet(Protocol):
    """What `course_utils.data.load_images` returns: images x (N, C, H, W), labels y (N,) or None, class names."""

    x: Tensor
    y: Tensor | None
    classes: Sequence[str]


def check_image_set(name: str, images: ImageSet) -> None:
    """Raise ValueError unless images.x are (N, 1 or 3, H, W) in [-1, 1], and images.y classes among those named."""
    check_frames(f"{name}.x", images.x)
    if images.y is not None:
        check_labels(images.y, len(images.x), len(images.classes), f"{name}.y")


@contextmanager
def _evaluating(model: object) -> Iterator[None]:
    """Evaluation mode and no gradients inside; the model's own mode is put back after."""
    training = isinstance(model, torch.nn.Module) and model.training
    if isinstance(model, torch.nn.Module):
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if isinstance(model, torch.nn.Module):
            model.train(training)


def in_batches(
    model: object, function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 256
) -> Tensor:
    """function(x) on the model's device, batch by batch, back on the CPU as float32."""
    parameter = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    device = x.device if parameter is None else parameter.device
    dtype = x.dtype if parameter is None else parameter.dtype
    with _evaluating(model):
        parts = [function(part.to(device, dtype)).float().cpu() for part in x.split(batch_size)]
    return torch.cat(parts)


def pick(name: str, wanted: int | Sequence[int], total: int) -> Tensor:
    """Indices of images: so many, drawn without replacement (the same each time), or exactly those given."""
    if isinstance(wanted, int):
        check_at_least(1, **{name: wanted})
        drawn = torch.randperm(total, generator=torch.Generator().manual_seed(0))
        return drawn[:wanted].sort().values
    chosen = torch.as_tensor([int(i) for i in wanted])
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= total:
        raise ValueError(f"{name}={list(wanted)} must hold indices from 0 to {total - 1}, at least one")
    return chosen


def names_of(images: ImageSet, chosen: Tensor) -> list[str]:
    """A short name for each chosen image: its class, or its number."""
    if images.y is None:
        return [f"image {int(i)}" for i in chosen]
    return [str(images.classes[int(images.y[i])]) for i in chosen]
