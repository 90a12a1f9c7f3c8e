"""What is trained: a loss, the module whose weights lower it, its optimiser, its schedule, its average."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from course_utils.inputs import check_at_least, pick_device


def constant(done: float) -> float:
    """Learning-rate schedule: the optimiser's own rate throughout."""
    return 1.0


def warmup_cosine(done: float, warmup: float = 0.05) -> float:
    """Learning-rate schedule: up from 0 in a straight line, then down to 0 along a cosine; `done` in [0, 1].

    `fit` asks for the rate in the middle of each step, so the first step moves, and so does the last.
    """
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def budget(processor: int, accelerator: int) -> int:
    """How many steps (or images) a live cell takes: the first number on a CPU, the second where there is a GPU."""
    check_at_least(1, processor=processor, accelerator=accelerator)
    return processor if pick_device().type == "cpu" else accelerator


class BatchSequence(Protocol):
    """Batches by their number: `data.batches` makes one, and a list of tuples is one."""

    def __len__(self) -> int: ...
    def __getitem__(self, step: int, /) -> tuple[Tensor, ...]: ...


@dataclass
class Objective:
    """A loss, and the module whose weights one optimiser moves to lower it. A GAN has two of them.

    Attributes:
        module: the weights to train; `fit` moves it to the device.
        loss: `loss(*batch, generator=generator)` → a scalar, averaged over the batch. Draw all randomness
            from the generator, and it is the same again after a resume.
        optimizer: over `module.parameters()`.
        name: what records and curves call this loss.
        schedule: factor on the learning rate as a function of the share of steps done, 0 … 1; step i of n is taken
            with its value at (i - ½) / n. Between steps the optimiser has its own rate.
        ema: `exponential_average(module)`, updated after each step.
    """

    module: nn.Module
    loss: Callable[..., Tensor]
    optimizer: torch.optim.Optimizer
    name: str = "loss"
    schedule: Callable[[float], float] = constant
    ema: AveragedModel | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise ValueError(f"module must be an nn.Module, not a {type(self.module).__name__}")
        if not callable(self.loss):
            raise ValueError(f"loss must be a function, such as model.loss, not a {type(self.loss).__name__}")
        if not isinstance(self.optimizer, torch.optim.Optimizer):
            raise ValueError(
                f"optimizer must be one of torch.optim, made over module.parameters(), not {self.optimizer!r:.60}"
            )


@dataclass(frozen=True)
class Record:
    """What one step did: its number (from 1), each objective's loss and learning rate, seconds since the start."""

    step: int
    losses: dict[str, float]
    lr: dict[str, float]
    seconds: float

    @property
    def loss(self) -> float:
        """The loss of the first objective."""
        return next(iter(self.losses.values()))


class ExponentialAverage(AveragedModel):
    """See `exponential_average`."""

    def __init__(self, module: nn.Module, decay: float):
        super().__init__(module, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the module's present weights and buffers into the average."""
        t = int(self.n_averaged)
        decay = min(self.decay, (1 + t) / (10 + t)) if t else 0.0
        pairs = [
            (old, new.to(old.device))
            for old, new in zip(tensors_of(self.module), tensors_of(model), strict=True)
        ]
        means = [old for old, _ in pairs if old.is_floating_point()]
        torch._foreach_lerp_(means, [new for old, new in pairs if old.is_floating_point()], 1 - decay)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)
        self.n_averaged += 1


def exponential_average(module: nn.Module, decay: float = 0.999) -> ExponentialAverage:
    """A copy of the module that follows its weights and buffers: ema ← decay · ema + (1 - decay) · weights.

    At first it follows faster, or it would remember the untrained weights for 1 / (1 - decay) updates: update number
    t = 0, 1, … takes min(decay, (1 + t) / (10 + t)) for the decay, as TensorFlow's `ExponentialMovingAverage` does
    with `num_updates`, and the first is a plain copy. Until 1 - decay ≈ 9 / t that averages over the last ninth of
    all updates (a power-law profile, Karras et al., "EDM2", 2024, section 3.1, with γ = 8).

    Raises:
        ValueError: decay not in [0, 1].
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay={decay} must lie in 0 … 1, such as 0.999")
    return ExponentialAverage(module, decay)


def unique(turns: Sequence[Objective]) -> list[Objective]:
    """Each objective once, however many turns it has."""
    return list({id(objective): objective for objective in turns}.values())


def optimised(objective: Objective) -> list[Tensor]:
    return [weight for group in objective.optimizer.param_groups for weight in group["params"]]


def tensors_of(module: nn.Module | None) -> list[Tensor]:
    return [] if module is None else [*module.parameters(), *module.buffers()]
