"""The training loop: one for every model of the course, on a CPU, a GPU, or many.

`fit` is a generator. It takes a step, yields what happened, and takes the next when it is asked for it: who
calls it decides what to plot and when to stop. Under `accelerate launch` the same call runs on many devices.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from course_utils.data import pick_device


def constant(done: float) -> float:
    """Learning-rate schedule: the optimiser's own rate throughout."""
    return 1.0


def warmup_cosine(done: float, warmup: float = 0.05) -> float:
    """Learning-rate schedule: up in a straight line, then down to 0 along a cosine; `done` in [0, 1]."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


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
        schedule: factor on the learning rate as a function of the share of steps done, 0 … 1.
        ema: `exponential_average(module)`, updated after each step.
    """

    module: nn.Module
    loss: Callable[..., Tensor]
    optimizer: torch.optim.Optimizer
    name: str = "loss"
    schedule: Callable[[float], float] = constant
    ema: AveragedModel | None = None


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


def exponential_average(module: nn.Module, decay: float = 0.999) -> AveragedModel:
    """A copy of the module that follows its weights and buffers: ema ← decay · ema + (1 - decay) · weights."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def fit(
    objectives: Objective | Sequence[Objective],
    batches: BatchSequence,
    *,
    seed: int = 0,
    clip: float | None = None,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    save_every: int = 200,
    tensorboard: str | Path | None = None,
    progress: bool = True,
) -> Iterator[Record]:
    """Train: for each batch, one optimiser step for each objective in turn.

    In an objective's turn the weights of the others stand still and get no gradient. Whenever a record is
    yielded the modules are in eval mode. Where the device computes in bfloat16 natively, the losses run under
    autocast; weights and optimiser stay in float32.

    Args:
        objectives: one, or several to be updated in turn (discriminator, generator).
        batches: number i is trained on in step i + 1; each process takes its share of it.
        seed: of the generator that losses get, a new one for each step.
        clip: the largest gradient norm allowed, over all weights of an objective.
        device: by default `pick_device()`; under `accelerate launch` the process's own.
        checkpoint: a file. It is written every `save_every` steps, when the loop is left and at the end; where
            it exists, training goes on from there, bit for bit as if it had not been interrupted.
        tensorboard: a folder to write the losses to.
        progress: show a bar with the time left; in a notebook also the loss curve as it grows.

    Raises:
        FloatingPointError: a loss that is not finite; the weights are still those of the step before.
        ValueError: no batches, a batch that the processes cannot share evenly, or a checkpoint of a run with
            other modules or another seed.
    """
    from accelerate import Accelerator  # imported here: it takes longer to import than torch itself

    players = [objectives] if isinstance(objectives, Objective) else list(objectives)
    if not players or not len(batches):
        raise ValueError(f"nothing to train: {len(players)} objectives, {len(batches)} batches")
    accelerator = Accelerator()
    place = accelerator.device if accelerator.num_processes > 1 else pick_device(device)
    for player in players:
        player.module.to(place)
        if player.ema is not None:
            player.ema.to(place)
    start = _load(Path(checkpoint), players, seed, place) if checkpoint and Path(checkpoint).exists() else 0
    losses = [accelerator.prepare_model(_Loss(p.module, p.loss), device_placement=False) for p in players]
    show = _Progress(start, len(batches), enabled=progress and accelerator.is_main_process)
    writer = _tensorboard(tensorboard) if tensorboard and accelerator.is_main_process else None
    began, step = time.perf_counter(), start

    def save() -> None:
        if checkpoint and accelerator.is_main_process:
            _save(Path(checkpoint), players, seed, step, place)

    try:
        for step in range(start + 1, len(batches) + 1):
            batch = _share(batches[step - 1], accelerator.process_index, accelerator.num_processes, place)
            for player in players:
                player.module.train()
            values, rates = {}, {}
            for turn, (player, loss) in enumerate(zip(players, losses, strict=True)):
                generator = _generator(place, seed, step, turn, accelerator.process_index)
                with (
                    _only(player, players),
                    torch.autocast(place.type, torch.bfloat16, enabled=_has_bf16(place)),
                ):
                    value = loss(*batch, generator=generator)
                mean = float(accelerator.reduce(value.detach(), "mean"))
                if not math.isfinite(mean):
                    raise FloatingPointError(
                        f"{player.name} is {mean} at step {step}; lower the learning rate or set clip"
                    )
                rates[player.name] = _set_rate(player, (step - 1) / len(batches))
                player.optimizer.zero_grad()
                accelerator.backward(value)
                if clip is not None:
                    nn.utils.clip_grad_norm_(player.module.parameters(), clip)
                player.optimizer.step()
                if player.ema is not None:
                    player.ema.update_parameters(player.module)
                values[player.name] = mean
            for player in players:
                player.module.eval()
            record = Record(step, values, rates, time.perf_counter() - began)
            show.update(record)
            if writer is not None:
                for name, number in values.items():
                    writer.add_scalar(name, number, step)
            if step % save_every == 0 or step == len(batches):
                save()
            try:
                yield record
            except GeneratorExit:  # the caller stops here, after a whole step
                save()
                raise
    finally:
        show.close()
        if writer is not None:
            writer.close()


class _Loss(nn.Module):
    """A loss as a module, so that Accelerate can wrap it and average the gradients of many processes."""

    def __init__(self, module: nn.Module, loss: Callable[..., Tensor]):
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, *batch: Tensor, generator: torch.Generator) -> Tensor:
        return self.loss(*batch, generator=generator)


@contextmanager
def _only(player: Objective, players: list[Objective]) -> Iterator[None]:
    """Freeze the weights of the other objectives while this one has its turn."""
    own = {id(p) for p in player.module.parameters()}
    others = [
        p for other in players for p in other.module.parameters() if p.requires_grad and id(p) not in own
    ]
    for weight in others:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in others:
            weight.requires_grad_(True)


def _set_rate(player: Objective, done: float) -> float:
    for group in player.optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * player.schedule(done)
    return player.optimizer.param_groups[0]["lr"]


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


def _tensorboard(folder: str | Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as reason:
        raise ModuleNotFoundError("tensorboard= needs the package: pip install tensorboard") from reason
    return SummaryWriter(str(folder))


# ------------------------------------------------------------------------------------------ checkpoints


def _save(path: Path, players: list[Objective], seed: int, step: int, place: torch.device) -> None:
    """Everything that the next step depends on, in one file that is replaced as a whole."""
    from safetensors.torch import save_file

    tensors = {"rng.cpu": torch.get_rng_state()}
    optimizers: list[dict[str, Any]] = []
    if place.type != "cpu":
        tensors["rng.device"] = torch.get_device_module(place).get_rng_state()
    for i, player in enumerate(players):
        state = player.optimizer.state_dict()
        plain: dict[str, Any] = {}
        for weight, entries in state["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{i}.optimizer.{weight}.{key}"] = value
                else:
                    plain[f"{weight}.{key}"] = value
        optimizers.append({"param_groups": state["param_groups"], "plain": plain})
        tensors |= {f"{i}.module.{key}": value for key, value in player.module.state_dict().items()}
        if player.ema is not None:
            tensors |= {f"{i}.ema.{key}": value for key, value in player.ema.state_dict().items()}
    facts = {"step": step, "seed": seed, "optimizers": optimizers}
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    whole = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    save_file(whole, scratch, metadata={"course": json.dumps(facts)})
    os.replace(scratch, path)


def _load(path: Path, players: list[Objective], seed: int, place: torch.device) -> int:
    """Put the state of a checkpoint back; returns the number of steps that it had done."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["course"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, ValueError) as reason:
        raise ValueError(
            f"checkpoint {path} cannot be read ({reason}); move it away to start anew"
        ) from reason
    if facts["seed"] != seed or len(facts["optimizers"]) != len(players):
        raise ValueError(
            f"checkpoint {path} is of a run with seed={facts['seed']} and {len(facts['optimizers'])} objectives, "
            f"not seed={seed} and {len(players)}; name another file, or move it away to start anew"
        )
    for i, player in enumerate(players):
        try:
            player.module.load_state_dict(_below(tensors, f"{i}.module."))
            if player.ema is not None:
                player.ema.load_state_dict(_below(tensors, f"{i}.ema."))
        except RuntimeError as reason:
            raise ValueError(f"checkpoint {path} is of other modules: {reason}") from reason
        weights = [p for group in player.optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, value in _below(tensors, f"{i}.optimizer.").items():
            index, key = name.split(".", 1)
            like = weights[int(index)]
            state.setdefault(int(index), {})[key] = (
                torch.empty_like(like).copy_(value)
                if value.shape == like.shape
                else value  # keeps the strides
            )
        stored = facts["optimizers"][i]
        for name, value in stored["plain"].items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        player.optimizer.load_state_dict({"state": state, "param_groups": stored["param_groups"]})
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.device" in tensors and place.type != "cpu":
        torch.get_device_module(place).set_rng_state(tensors["rng.device"])
    return facts["step"]


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


# --------------------------------------------------------------------------------------------- progress


class _Progress:
    """A bar with the time left in a terminal; in a notebook the bar and the loss curve, drawn once a second."""

    def __init__(self, start: int, steps: int, *, enabled: bool):
        self.notebook = enabled and _in_notebook()
        self.steps: list[int] = []
        self.curves: dict[str, list[float]] = {}
        self.drawn = time.perf_counter()
        sink = io.StringIO() if self.notebook else None  # in a notebook we only borrow the bar's text
        columns = 80 if self.notebook else None
        self.bar = tqdm(ncols=columns, initial=start, total=steps, disable=not enabled, file=sink)
        self.display: Any = None

    def update(self, record: Record) -> None:
        if self.bar.disable:
            return
        self.bar.update()
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in record.losses.items()}, refresh=False)
        if self.notebook:
            self.steps.append(record.step)
            for name, value in record.losses.items():
                self.curves.setdefault(name, []).append(value)
            if time.perf_counter() - self.drawn > 1:
                self._show(self._draw(str(self.bar)))

    def close(self) -> None:
        self.bar.close()
        if self.notebook and self.steps:
            self._show(self._draw())

    def _show(self, picture: str) -> None:
        from IPython.display import display

        data = {"image/png": picture, "text/plain": "training curve"}
        if self.display is None:
            self.display = display(data, raw=True, display_id=True)
        else:
            self.display.update(data, raw=True)
        self.drawn = time.perf_counter()

    def _draw(self, title: str = "") -> str:
        """The curves as a PNG in base64: each loss, faint, and its running mean over 5 % of the steps."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 2.2), layout="constrained")
        axes = figure.subplots()
        window = max(1, len(self.steps) // 20)
        for i, (name, values) in enumerate(self.curves.items()):
            axes.plot(self.steps, values, color=f"C{i}", alpha=0.25, lw=0.8)
            smooth = np.convolve(values, np.full(window, 1 / window), mode="valid")
            middle = self.steps[window // 2 :][: len(smooth)]
            axes.plot(middle, smooth, color=f"C{i}", label=name)
        axes.set(xlabel="step", ylabel="loss")
        axes.set_title(title, loc="left", family="monospace", size=7)
        axes.spines[["top", "right"]].set_visible(False)
        if len(self.curves) > 1:
            axes.legend(frameon=False)
        file = io.BytesIO()
        FigureCanvasAgg(figure).print_png(file)
        return base64.b64encode(file.getvalue()).decode()


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
