"""A checkpoint: everything that the next step depends on, and what makes the run what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.files import replacing
from course_utils.inputs import Rebuildable, get_rng, set_rng
from course_utils.training.objective import BatchSequence, Objective, optimised, unique

_FORMAT = 3


def facts_of(
    turns: list[Objective],
    batches: BatchSequence,
    seed: int,
    clip: float | None,
    run: Mapping[str, object] | None,
) -> dict[str, Any]:
    """What makes a run what it is, in JSON's types."""
    facts: dict[str, Any] = {
        "run": dict(run or {}),
        "steps": len(batches),
        "shapes of a batch": [list(part.shape) for part in batches[0]],
        "first batch's means and deviations": [_summary(part) for part in batches[0]],
        "seed of the batches": getattr(batches, "seed", None),
        "seed": seed,
        "clip": clip,
        "turns": [objective.name for objective in turns],
        "objectives": {},
    }
    for objective in unique(turns):
        groups = [
            {key: value.tolist() if isinstance(value, Tensor) else value for key, value in group.items()}
            | {"params": len(group["params"])}
            for group in objective.optimizer.param_groups
        ]
        ema = objective.ema
        facts["objectives"][objective.name] = {
            "module": _made(objective.module),
            "dtypes": sorted({str(weight.dtype) for weight in objective.module.parameters()}),
            "optimizer": type(objective.optimizer).__name__,
            "groups": groups,
            "schedule at 0, ¼, ½, ¾, 1": [round(objective.schedule(k / 4), 6) for k in range(5)],
            "ema": None if ema is None else getattr(ema, "decay", type(ema).__name__),
        }
    try:
        return json.loads(json.dumps(facts))
    except TypeError as reason:
        raise ValueError(
            f"run={run!r} and the optimisers' settings are written into the checkpoint: they must be text, numbers, "
            f"lists or None ({reason})"
        ) from reason


def _summary(x: Tensor) -> list[float]:
    """By what other data are told from these, in three digits: another processor may round the last ones otherwise."""
    x = x.detach().cpu().double()
    return [float(f"{value:.3g}") for value in (x.mean().item(), x.std(correction=0).item())]


def _made(thing: object) -> Any:
    """The class of a module, and for a `Model` the arguments that it was made with."""
    if isinstance(thing, Rebuildable):
        arguments = {name: _made(value) for name, value in thing.made_by.items()}
        return {thing.maker.__qualname__: arguments} if arguments else thing.maker.__qualname__
    if isinstance(thing, Tensor):
        return _summary(thing) if thing.numel() else []
    if isinstance(thing, list | tuple):
        return [_made(value) for value in thing]
    if isinstance(thing, dict):
        return {str(name): _made(value) for name, value in thing.items()}
    if isinstance(thing, float):
        return repr(thing)  # NaN, as a number, would differ from itself
    return thing if thing is None or isinstance(thing, bool | int | str) else type(thing).__qualname__


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """What differs between two runs' facts, each with both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [key for key in {**there, **here} if there.get(key, ...) != here.get(key, ...)]
        if "optimizer" in keys:
            keys = [key for key in keys if key != "groups"]  # another class has other settings
        for key in keys:
            yield from _differences(there.get(key, "nothing"), here.get(key, "nothing"), f"{name} {key}")
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here) == 1:
        yield from _differences(there[0], here[0], name)
    elif there != here:
        yield f"{name.strip()}: {there} there, {here} here"


class Checkpoint:
    """Everything that the next step depends on, in one file: tensors, and as metadata the facts of the run."""

    def __init__(self, path: Path, turns: list[Objective], facts: dict[str, Any], place: torch.device):
        self.path, self.objectives, self.facts, self.place = path, unique(turns), facts, place

    def _modules(self) -> Iterator[tuple[str, Objective, nn.Module]]:
        """Every module and average, with the beginning of its tensors' names in the file."""
        for i, objective in enumerate(self.objectives):
            yield f"{i}.module.", objective, objective.module
            if objective.ema is not None:
                yield f"{i}.ema.", objective, objective.ema

    def save(self, step: int) -> None:
        """Replace the file by one with the present state, that after `step` steps."""
        from safetensors.torch import save

        tensors = get_rng(self.place)
        for prefix, _, module in self._modules():
            tensors |= {prefix + key: value for key, value in module.state_dict().items()}
        optimizers: list[dict[str, Any]] = []
        for i, objective in enumerate(self.objectives):
            state = objective.optimizer.state_dict()
            plain: dict[str, Any] = {}
            for weight, entries in state["state"].items():
                for key, value in entries.items():
                    if isinstance(value, Tensor):
                        tensors[f"{i}.optimizer.{weight}.{key}"] = value
                    else:
                        plain[f"{weight}.{key}"] = value
            optimizers.append(plain)
        notes = {"format": _FORMAT, "step": step, "facts": self.facts, "optimizers": optimizers}
        whole = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        content = save(whole, metadata={"course": json.dumps(notes)})
        with replacing(self.path) as scratch:
            scratch.write_bytes(
                content
            )  # where the disk is full this is an OSError, save_file's error is none

    def check(self) -> dict[str, Any]:
        """The notes of the file, or a ValueError unless it is a whole checkpoint of this run."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                notes = json.loads((file.metadata() or {})["course"])
                shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (not a dict)
            if notes["format"] != _FORMAT:
                raise ValueError(f"format {notes['format']}, not {_FORMAT}")
        except (SafetensorError, KeyError, TypeError, ValueError) as reason:
            raise ValueError(
                f"checkpoint {self.path} cannot be read ({reason}): it is damaged, of another version of the course, "
                "or no checkpoint; name another file, or move it away to start anew"
            ) from reason
        differences = list(_differences(notes["facts"], self.facts))
        for prefix, objective, module in self._modules():
            there = {key.removeprefix(prefix): s for key, s in shapes.items() if key.startswith(prefix)}
            here = {key: list(value.shape) for key, value in module.state_dict().items()}
            differences += list(_differences(there, here, f"{objective.name}'s weights"))[:3]
        if differences:
            raise ValueError(
                f"checkpoint {self.path} is of another run ({'; '.join(differences)}); with what is there it goes on. "
                "Or name another file, or move it away to start anew"
            )
        return notes

    def load(self) -> int:
        """Put the state of the file back; returns the number of steps that it had done."""
        from safetensors.torch import load_file

        notes, tensors = self.check(), load_file(self.path)
        for prefix, _, module in self._modules():
            module.load_state_dict(_below(tensors, prefix))
        for i, objective in enumerate(self.objectives):
            weights = optimised(objective)
            state: dict[int, dict[str, Any]] = {}
            for name, value in _below(tensors, f"{i}.optimizer.").items():
                index, key = name.split(".", 1)
                like = weights[int(index)]
                if value.shape == like.shape:
                    value = torch.empty_like(like).copy_(value)  # keeps the strides
                state.setdefault(int(index), {})[key] = value
            for name, value in notes["optimizers"][i].items():
                index, key = name.split(".", 1)
                state.setdefault(int(index), {})[key] = value
            groups = objective.optimizer.state_dict()["param_groups"]
            objective.optimizer.load_state_dict({"state": state, "param_groups": groups})
        set_rng(tensors, self.place)
        return notes["step"]


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
