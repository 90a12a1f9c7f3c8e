"""The training loop: one for every model of the course, on a CPU, a GPU, or many.

`fit` takes a step, gives back what happened, and takes the next when it is asked for it: who calls it decides what to
plot and when to stop. Under `accelerate launch` the same call runs on many devices.

A step is done whole or not at all. Where one is cut off (a loss that is not finite, Ctrl-C, an error), everything is
put back as it was before that step; so what is saved is always the state between two steps.
"""

from __future__ import annotations

import atexit
import math
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.files import check_writable
from course_utils.inputs import check_at_least, get_rng, pick_device, set_rng
from course_utils.progress import Watch, check_picture
from course_utils.training.checkpoint import Checkpoint, facts_of
from course_utils.training.objective import (
    BatchSequence,
    Objective,
    Record,
    optimised,
    tensors_of,
    unique,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fit(
    objectives: Objective | Sequence[Objective],
    batches: BatchSequence,
    *,
    seed: int = 0,
    clip: float | None = None,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    save_every: int = 200,
    run: Mapping[str, object] | None = None,
    progress: bool = True,
    picture: Callable[[Axes], object] | None = None,
) -> Training:
    """Train: for each batch, one optimiser step for each objective in turn.

    **Nothing is trained until the result is iterated**: `for record in fit(…):`, or `list(fit(…))`.

        objective = Objective(model, model.loss, torch.optim.Adam(model.parameters(), lr=2e-3))
        draw = torch.Generator().manual_seed(0)
        for record in fit(objective, batches(load_images("digits"), 64, steps=500, generator=draw)):
            ...  # record.step, record.loss

    In an objective's turn the weights of the others stand still and get no gradient. Whenever a record is
    yielded the modules are in eval mode. Where the device computes in bfloat16 natively, the losses run under
    autocast; weights and optimiser stay in float32.

    Args:
        objectives: one, or several to be updated in turn (discriminator, generator); the same one several times has
            several turns.
        batches: number i is trained on in step i + 1; each process takes its share of it.
        seed: of the generator that losses get, a new one for each step.
        clip: the largest gradient norm allowed, over all weights of an objective.
        device: by default `pick_device()`; under `accelerate launch` the process's own.
        checkpoint: a file. It is written every `save_every` steps, when the loop is left (by `break`, Ctrl-C or an
            error: with the last whole step) and at the end. Where it exists, training goes on from there, bit for bit
            as if it had not been interrupted; where that run is finished, no step is left and nothing is yielded.
        run: what else makes this run what it is and must be the same on resuming, such as the name of a recipe and
            its round: names and plain values (text, numbers, lists). Optimisers and their settings, schedules,
            averages, the number of steps, the batches' shape and seed, `seed` and `clip` are compared anyway.
        progress: show a bar with the time left; in a notebook the loss as it falls, see `Watch`.
        picture: what a notebook shows of the model every few seconds: a function that draws it into Matplotlib's axes,
            such as `lambda ax: show_images(model.sample(10), ax=ax)`.

    Raises:
        FloatingPointError: while it runs: a loss or a gradient that is not finite. All modules, averages and
            optimisers are as they were before that step.
        ValueError: at the call: an argument that cannot be, or a checkpoint of another run, with what differs. While
            it runs: a batch that the processes cannot share evenly, a loss that is no scalar.
        OSError: at the call: no file can be written at `checkpoint`.
    """
    if not isinstance(objectives, Objective | Sequence):
        raise ValueError(f"objectives={type(objectives).__name__} must be an Objective, or a list of them")
    if not isinstance(run, Mapping | None):
        raise ValueError(
            f"run={run!r} must be names and values, such as {{'recipe': 'vae-mnist', 'round': 2}}"
        )
    turns = [objectives] if isinstance(objectives, Objective) else list(objectives)
    _check(turns, batches, seed, clip, save_every)
    check_picture(picture)
    from accelerate import Accelerator  # imported here: it takes longer to import than torch itself

    accelerator = Accelerator()
    place = accelerator.device if accelerator.num_processes > 1 else pick_device(device)
    file = None
    if checkpoint is not None:
        if Path(checkpoint).is_dir():
            raise ValueError(f"checkpoint={str(checkpoint)!r} is a folder; name a file in it")
        check_writable(checkpoint=Path(checkpoint))
        file = Checkpoint(Path(checkpoint), turns, facts_of(turns, batches, seed, clip, run), place)
        if file.path.exists():
            file.check()
    return Training(
        _Loop(turns, batches, seed, clip, place, accelerator, file, save_every, progress, picture)
    )


def _check(
    turns: list[Objective], batches: BatchSequence, seed: int, clip: float | None, save_every: int
) -> None:
    for i, objective in enumerate(turns):
        if not isinstance(objective, Objective):
            raise ValueError(
                f"objectives[{i}] is a {type(objective).__name__}; allowed is an Objective: "
                "Objective(module, loss, optimizer)"
            )
        own = {id(weight) for weight in objective.module.parameters()}
        if any(id(weight) not in own for weight in optimised(objective)):
            raise ValueError(
                f"the optimizer of {objective.name!r} moves weights that its module does not have; "
                "make the optimizer over module.parameters()"
            )
        shapes, average = _shapes(objective.module), objective.ema
        if average is not None and _shapes(average.module) != shapes:
            raise ValueError(
                f"the ema of {objective.name!r} is of another module; make it by exponential_average(module)"
            )
        if not_kept := [key for key, shape in shapes.items() if shape is None]:
            raise ValueError(
                f"the module of {objective.name!r} has an extra state that is no tensor ({', '.join(not_kept)}), "
                "which no checkpoint holds; let its get_extra_state return one"
            )
    if not hasattr(batches, "__len__") or not hasattr(batches, "__getitem__"):
        raise ValueError(
            f"batches={type(batches).__name__} must have a length and give batch number i as batches[i]; "
            "data.batches(…) makes such a sequence, list(…) too"
        )
    if not turns or not len(batches):
        raise ValueError(f"nothing to train: {len(turns)} objectives, {len(batches)} batches")
    different = unique(turns)
    names = [objective.name for objective in different]
    if len(set(names)) < len(names):
        raise ValueError(f"objectives are named {names}; give each a name of its own, Objective(…, name=…)")
    check_at_least(0, seed=seed)
    check_at_least(1, save_every=save_every)
    if clip is not None and not 0 < clip < math.inf:
        raise ValueError(f"clip={clip} must be above 0 and finite, or None for gradients as they are")


def _shapes(module: nn.Module) -> dict[str, torch.Size | None]:
    """Of all that its state holds; None for what is no tensor."""
    return {key: getattr(value, "shape", None) for key, value in module.state_dict().items()}


_open: weakref.WeakSet[Training] = weakref.WeakSet()  # begun, and with a checkpoint to write


@atexit.register
def _leave_all() -> None:
    for training in list(_open):
        with suppress(ValueError):  # it is in the middle of a step, in a thread that dies with this process
            training.close()


class Training(Iterator[Record]):
    """What `fit` returns: an iterator that takes one step each time it is asked for the next record."""

    def __init__(self, loop: _Loop):
        self._loop, self._steps, self._asked = loop, loop.steps(), False

    def __next__(self) -> Record:
        if not self._asked and self._loop.file is not None:
            # Another one that was left in the middle may still be kept, by a notebook for its traceback. It writes
            # its checkpoint here, before its modules change, and not whenever it is collected.
            for other in list(_open):
                if other._loop.shares_with(self._loop):
                    other.close()
            _open.add(self)
        self._asked = True
        return next(self._steps)

    def close(self) -> None:
        """Stop here, as `break` does: the checkpoint is written."""
        self._asked = True
        self._steps.close()

    def __del__(self) -> None:
        if not getattr(self, "_asked", True):
            warnings.warn(f"fit(…) was never iterated, so nothing was trained: {_USE}", stacklevel=2)

    def __repr__(self) -> str:
        state = (
            f"{self._loop.done} of {len(self._loop.batches)} steps done"
            if self._asked
            else f"not begun; {_USE}"
        )
        return f"<training: {state}>"


_USE = "write `for record in fit(…):`, or `list(fit(…))`"


class _Loop:
    def __init__(
        self,
        turns: list[Objective],
        batches: BatchSequence,
        seed: int,
        clip: float | None,
        place: torch.device,
        accelerator: Any,
        file: Checkpoint | None,
        save_every: int,
        progress: bool,
        picture: Callable[[Axes], object] | None,
    ):
        self.turns, self.objectives, self.batches = turns, unique(turns), batches
        self.seed, self.clip, self.place, self.accelerator = seed, clip, place, accelerator
        self.file, self.save_every, self.progress, self.picture = file, save_every, progress, picture
        self.done = self.saved = 0
        self.moving: Objective | None = None  # whose weights are being moved

    def steps(self) -> Generator[Record, None, None]:
        self._begin()
        before = _Before(self.turns, self.place)
        main, last = self.accelerator.is_main_process, len(self.batches)
        began = time.perf_counter()
        with Watch(last, self.picture, start=self.done, enabled=self.progress and main) as step_done:
            try:
                for step in range(self.done + 1, last + 1):
                    # Between two steps: what looks after the machine (threads, memory) has its place here.
                    with _interrupts_wait():
                        before.take()
                    try:
                        losses, rates = self._step(step)
                    except BaseException:
                        if self.done < step:
                            with _interrupts_wait():
                                self._put_back(before)
                        raise
                    step_done(losses)
                    if step % self.save_every == 0 or step == last:
                        self._save()
                    yield Record(step, losses, rates, time.perf_counter() - began)
            finally:
                with _interrupts_wait():
                    for objective in self.objectives:
                        objective.module.eval()
                    self._save()

    def _begin(self) -> None:
        """Bring everything to its device and, where there is a checkpoint, to its state."""
        for objective in self.objectives:
            objective.module.to(self.place)
            if objective.ema is not None:
                objective.ema.module.to(self.place)  # the counter stays on the CPU: to read it is no wait
        if self.file is not None and self.file.path.exists():
            self.done = self.saved = self.file.load()
        wrap = self.accelerator.prepare_model
        self.losses = [wrap(_Loss(o.module, o.loss), device_placement=False) for o in self.turns]

    def shares_with(self, other: _Loop) -> bool:
        """Whether both have a checkpoint, and it or a module is the same."""
        if self.file is None or other.file is None:
            return False
        modules = {id(objective.module) for objective in self.objectives}
        return self.file.path.resolve() == other.file.path.resolve() or any(
            id(objective.module) in modules for objective in other.objectives
        )

    def _save(self) -> None:
        new = self.saved != self.done and self.moving is None
        if self.file is not None and new and self.accelerator.is_main_process:
            with _interrupts_wait():
                self.file.save(self.done)
                self.saved = self.done

    def _put_back(self, before: _Before) -> None:
        before.put_back()
        if any(objective is self.moving for objective in before.early):
            self.moving = None

    def _step(self, step: int) -> tuple[dict[str, float], dict[str, float]]:
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        batch = _share(self.batches[step - 1], rank, processes, self.place)
        for objective in self.objectives:
            objective.module.train()
        losses, rates = {}, {}
        for turn, objective in enumerate(self.turns):
            factor = objective.schedule((step - 0.5) / len(self.batches))
            if not 0 <= factor < math.inf:
                raise ValueError(
                    f"the schedule of {objective.name!r} gave {factor} at step {step}; allowed: 0 or more"
                )
            generator = _generator(self.place, self.seed, step, turn, rank)
            autocast = torch.autocast(self.place.type, torch.bfloat16, enabled=_has_bf16(self.place))
            with _only(objective, self.objectives), autocast:
                value = self.losses[turn](*batch, generator=generator)
            if not isinstance(value, Tensor) or value.numel() != 1:
                what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(
                    f"the loss of {objective.name!r} gave {what}; it must be one number, a scalar tensor"
                )
            objective.optimizer.zero_grad()
            self.accelerator.backward(value)
            losses[objective.name] = self._checked(objective, value, step)
            with _interrupts_wait():
                self.moving = objective
                rates[objective.name] = _move(objective, factor)
                self.moving = None
                if turn + 1 == len(self.turns):
                    self.done = step
        for objective in self.objectives:
            objective.module.eval()
        return losses, rates

    def _checked(self, objective: Objective, value: Tensor, step: int) -> float:
        """The loss as a number; clips the gradient. One wait for the device."""
        weights = [weight for weight in objective.module.parameters() if weight.grad is not None]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        mean = self.accelerator.reduce(value.detach(), "mean").reshape(())
        wide = torch.promote_types(mean.dtype, norm.dtype)
        loss, length = torch.stack([mean.to(wide), norm.to(mean.device, wide)]).tolist()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"{objective.name} is {loss} at step {step}; lower the learning rate or set clip"
            )
        if not math.isfinite(length):
            raise FloatingPointError(
                f"{objective.name} is {loss:.4g} at step {step}, but its gradient's norm is {length}; lower the "
                "learning rate, or look for a square root, logarithm or division at 0 in the loss"
            )
        if self.clip is not None:
            nn.utils.clip_grads_with_norm_(weights, self.clip, norm)
        return loss


class _Loss(nn.Module):
    """A loss as a module, so that Accelerate can wrap it and average the gradients of many processes."""

    def __init__(self, module: nn.Module, loss: Callable[..., Tensor]):
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, *batch: Tensor, generator: torch.Generator) -> Tensor:
        return self.loss(*batch, generator=generator)


class _Before:
    """What a step can change, as it was before it.

    The weights of the last objective need no copy: they are moved when nothing can go wrong any more.
    """

    def __init__(self, turns: list[Objective], place: torch.device):
        self.objectives, self.early, self.place = unique(turns), unique(turns[:-1]), place

    def take(self) -> None:
        modules = [objective.module for objective in self.objectives]
        self.rng = get_rng(self.place)
        self.trained = [p for module in modules for p in module.parameters() if p.requires_grad]
        tensors = [buffer for module in modules for buffer in module.buffers()]
        self.states = []
        for objective in self.early:
            tensors += optimised(objective) + tensors_of(objective.ema)
            for weight in optimised(objective):
                state = objective.optimizer.state.get(weight)
                self.states.append((objective.optimizer, weight, None if state is None else dict(state)))
                tensors += [value for value in (state or {}).values() if isinstance(value, Tensor)]
        self.copies = [(tensor, tensor.detach().clone()) for tensor in tensors]

    @torch.no_grad()
    def put_back(self) -> None:
        for tensor, copy in self.copies:
            tensor.copy_(copy)
        for optimizer, weight, state in self.states:
            if state is None:
                optimizer.state.pop(weight, None)
            else:
                optimizer.state[weight] = state
        for objective in self.objectives:
            objective.optimizer.zero_grad()
        for weight in self.trained:  # those of the other objectives may stand still just then
            weight.requires_grad_(True)
        set_rng(self.rng, self.place)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C waits until the block has come to its end."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is None:
        yield  # Ctrl-C reaches the main thread only; None: another language's handler
        return
    came = []
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _only(objective: Objective, objectives: list[Objective]) -> Iterator[None]:
    """Freeze the weights of the other objectives while this one has its turn."""
    own = {id(p) for p in objective.module.parameters()}
    others = [
        p for other in objectives for p in other.module.parameters() if p.requires_grad and id(p) not in own
    ]
    for weight in others:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in others:
            weight.requires_grad_(True)


def _move(objective: Objective, factor: float) -> float:
    """One step of the optimiser, at its own rate times the factor, and of the average; returns the rate."""
    groups = objective.optimizer.param_groups
    own = [group["lr"] for group in groups]
    for group in groups:
        group["lr"] = group["lr"] * factor
    rate = float(groups[0]["lr"])
    try:
        objective.optimizer.step()
    finally:
        for group, lr in zip(groups, own, strict=True):
            group["lr"] = lr
    if objective.ema is not None:
        objective.ema.update_parameters(objective.module)
    return rate


def _share(batch: Sequence[Tensor], rank: int, processes: int, place: torch.device) -> tuple[Tensor, ...]:
    """This process's part of a batch, on its device."""
    if len(batch[0]) % processes:
        raise ValueError(f"a batch of {len(batch[0])} cannot be shared evenly by {processes} processes")
    return tuple(part[rank::processes].to(place) for part in batch)


def _generator(place: torch.device, *key: int) -> torch.Generator:
    state = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.Generator(place).manual_seed(state >> 1)


def _has_bf16(place: torch.device) -> bool:
    return place.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
