"""Small things that networks share: seeded first weights, convolution blocks, running over batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from course_utils.inputs import check_at_least


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block, new layers draw their first weights from this seed; torch's own state is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def conv_block(in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, normalised over the batch, and a ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU())


@torch.no_grad()
def over_batches(model: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 250) -> Tensor:
    """A model's output for any number of inputs (N, …), a batch at a time, without gradients."""
    check_at_least(1, batch_size=batch_size)
    if isinstance(model, nn.Module):
        x = x.to(next(model.parameters(), x).device)
    return torch.cat([model(part) for part in x.split(batch_size)])


def zero_init(layer: nn.Module) -> nn.Module:
    """The layer with all weights 0, so that a residual block begins as the identity."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer
