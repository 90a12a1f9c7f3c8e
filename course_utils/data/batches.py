"""Batches by their number: what training takes, step after step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.data import scenes
from course_utils.data.images import Images
from course_utils.inputs import check_at_least


@dataclass(frozen=True)
class EndlessScenes:
    """Scenes drawn when a batch of them is asked for, each only once.

    Attributes:
        label: what a batch has as y, of the facts of n scenes (see `scenes.sample_attributes`): (n, …).
        combinations: of shape and colour, see there.
    """

    label: Callable[[dict[str, Tensor]], Tensor]
    combinations: str = "seen"


class Batches(ABC):
    """A sequence of batches (x, y); number i depends on the seed and on i alone, so training can resume anywhere."""

    def __init__(self, batch_size: int, steps: int, seed: int):
        self.batch_size, self.steps, self.seed = batch_size, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        if not 0 <= step < self.steps:
            raise IndexError(f"batch {step} of {self.steps}")
        return self._make(step)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[step] for step in range(self.steps))

    @abstractmethod
    def _make(self, step: int) -> tuple[Tensor, Tensor]: ...


class _ShuffledImages(Batches):
    def __init__(self, data: Images, batch_size: int, steps: int, seed: int):
        super().__init__(batch_size, steps, seed)
        self.data = data
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def _make(self, step: int) -> tuple[Tensor, Tensor]:
        epoch, k = divmod(step, len(self.data) // self.batch_size)
        if epoch != self._epoch:
            shuffle = torch.Generator().manual_seed(self.seed + epoch)
            self._order, self._epoch = torch.randperm(len(self.data), generator=shuffle), epoch
        where = self._order[k * self.batch_size : (k + 1) * self.batch_size]
        return self.data.x[where], self.data.y[where]


class _FreshScenes(Batches):
    def __init__(self, data: EndlessScenes, batch_size: int, steps: int, seed: int):
        super().__init__(batch_size, steps, seed)
        self.data = data

    def _make(self, step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed((self.seed + step) % 2**63)
        facts = scenes.sample_attributes(
            self.batch_size, generator=generator, combinations=self.data.combinations
        )
        return scenes.render(facts), self.data.label(facts)


def batches(
    data: Images | EndlessScenes, batch_size: int, steps: int, *, generator: torch.Generator
) -> Batches:
    """Shuffled batches (x, y) for a number of steps, epoch after epoch; an incomplete last batch is left out.

    Raises:
        ValueError: no such data (of a tensor of images alone make Images), batch_size or steps below 1, or a batch
            larger than the data.
    """
    if not isinstance(data, Images | EndlessScenes):
        raise ValueError(f"data must be Images, as load_images gives them, not {type(data).__name__}")
    if not isinstance(generator, torch.Generator):
        raise ValueError(
            f"generator={generator!r} must be a torch.Generator: torch.Generator().manual_seed(0)"
        )
    check_at_least(1, steps=steps, batch_size=batch_size)
    if isinstance(data, Images) and batch_size > len(data):
        raise ValueError(f"batch_size={batch_size} must lie in 1 … {len(data)}, the number of images")
    seed = int(torch.randint(2**62, (), generator=generator))
    if isinstance(data, EndlessScenes):
        return _FreshScenes(data, batch_size, steps, seed)
    return _ShuffledImages(data, batch_size, steps, seed)
