"""Save a model and load it again: weights in safetensors, and beside them a card that says how to make the model.

A model is two files: `NAME.safetensors`, the weights, and `NAME.json`, its card (constructor's arguments, how it was
trained, scores, digest). Nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch as safe
import torch
from torch import Tensor, nn

from course_utils import __version__
from course_utils.data import CHECKOUT
from course_utils.files import replacing
from course_utils.inputs import Model, Rebuildable, pick_device
from course_utils.nets import seeded

__all__ = ["Model", "load_pretrained", "read_card", "save_pretrained", "shipped_models"]

CARD_VERSION = 2


def save_pretrained(
    model: nn.Module,
    path: str | Path,
    *,
    training: Mapping[str, Any] | None = None,
    scores: Mapping[str, float] | None = None,
) -> Path:
    """Write a model's weights and card; an older pair of the same name is replaced.

    Args:
        model: one of the course's, or of a class of your own that inherits from `Model`. What it was made of must be
            numbers, strings, tensors, and such models and schedules themselves.
        path: where to, without suffix: `runs/autoencoder-mnist` gives .safetensors and .json.
        training, scores: what you want to be known of it.

    Returns:
        The path of the weights.

    Raises:
        ValueError: a model that a card cannot describe.
    """
    path = Path(path)
    weights = safe.save({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()})
    card = {
        "version": CARD_VERSION,
        "model": _describe(model, "model"),
        "training": dict(training or {}),
        "scores": dict(scores or {}),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "made_with": {
            "course_utils": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    for suffix, content in ((".safetensors", weights), (".json", text.encode())):
        with replacing(path.with_name(path.name + suffix)) as scratch:
            scratch.write_bytes(content)
    return path.with_name(path.name + ".safetensors")


def load_pretrained(
    name: str | Path,
    device: str | torch.device | None = None,
    *,
    classes: Iterable[type[Rebuildable]] = (),
) -> Any:
    """Load a model that the course ships, or one of your own, ready to use (eval mode).

    Args:
        name: `autoencoder-mnist` and the like, or the path that was given to `save_pretrained`.
        device: by default `pick_device()`.
        classes: those of your own that the model is made of.

    Raises:
        FileNotFoundError: no such model, or one of its two files is missing.
        OSError: the weights are not the ones that the card describes.
        ValueError: the card is of another version of the course, not a card, or names a class that is not known.
    """
    path = _find(name)
    card = read_card(path)
    weights = path.with_name(path.name + ".safetensors").read_bytes()
    if hashlib.sha256(weights).hexdigest() != card["sha256"]:
        raise OSError(
            f"{path}.safetensors is damaged: its SHA-256 is not the one in {path.name}.json. "
            f"Nothing was loaded; restore the file ({_RESTORE})"
        )
    with seeded(0):  # torch's own random state stays as it is
        model = _make(card["model"], {own.__name__: own for own in classes}, path)
    model.load_state_dict(safe.load(weights))
    return model.to(pick_device(device)).eval()


_RESTORE = "git checkout, or install the course again; a model of your own: train it again"


def read_card(name: str | Path) -> dict[str, Any]:
    """The card of a model as `save_pretrained` wrote it; raises as `load_pretrained`."""
    path = _find(name)
    file = path.with_name(path.name + ".json")
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        version = card["version"]
        if version == CARD_VERSION:
            card["model"]["maker"], card["model"]["arguments"], card["sha256"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as reason:
        raise ValueError(f"{file} is no card of the course ({reason!r}); restore it ({_RESTORE})") from reason
    if version != CARD_VERSION:
        raise ValueError(
            f"{file} has version {version}, this course_utils ({__version__}) reads version {CARD_VERSION}; "
            "update the older of the two (git pull, or pip install --upgrade course-utils)"
        )
    return card


def shipped_models() -> list[str]:
    """The names of the models that lie ready on this machine."""
    return sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.json")})


_FOLDERS = (CHECKOUT / "data" / "models", Path(__file__).parent / "models")  # in a checkout; where installed


def _find(name: str | Path) -> Path:
    """The path of a model without suffix; both of its files are there."""
    given = Path(str(name).removesuffix(".safetensors").removesuffix(".json"))
    places = [given] if given.parent != Path() else [folder / given for folder in _FOLDERS]
    for path in places:
        there = [path.with_name(path.name + suffix).exists() for suffix in (".safetensors", ".json")]
        if all(there):
            return path
        if any(there):
            missing = path.with_name(path.name + (".json" if there[0] else ".safetensors"))
            raise FileNotFoundError(f"{missing} is missing beside its other half; restore it ({_RESTORE})")
    raise FileNotFoundError(
        f"no model {str(name)!r} ({places[0]}.safetensors is not there); "
        f"shipped are: {', '.join(shipped_models())}. "
        "A model of your own is named by its path, with a folder: runs/NAME"
    )


# -------------------------------------------------------------------------------- a model in words, and back


def _describe(value: Any, name: str) -> Any:
    """What a card says of a constructor's argument, in JSON."""
    if isinstance(value, Rebuildable):
        if not hasattr(value, "made_by"):
            raise ValueError(f"{name} is a copy that does not know how it was made; save the model itself")
        arguments = {key: _describe(part, f"{name}.{key}") for key, part in value.made_by.items()}
        return {"maker": f"{value.maker.__module__}:{value.maker.__qualname__}", "arguments": arguments}
    if isinstance(value, Tensor):
        return {"tensor": str(value.dtype).removeprefix("torch."), "values": value.tolist()}
    if isinstance(value, list | tuple):
        return [_describe(part, f"{name}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, dict):
        return {"dict": {str(key): _describe(part, f"{name}[{key!r}]") for key, part in value.items()}}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{name} is a {type(value).__name__}, which a card cannot describe; make its class inherit from "
        "course_utils.pretrained.Model, or give numbers, strings, tensors"
    )


def _make(said: Any, own: dict[str, type[Rebuildable]], path: Path) -> Any:
    """The inverse of `_describe`. Only Rebuildable classes and the schedules' makers are ever called."""
    if isinstance(said, list):
        return [_make(part, own, path) for part in said]
    if not isinstance(said, dict):
        return said
    if "tensor" in said:
        return torch.tensor(said["values"], dtype=getattr(torch, said["tensor"]))
    if "dict" in said:
        return {key: _make(part, own, path) for key, part in said["dict"].items()}
    module, _, name = said["maker"].partition(":")
    maker: Any = None
    if module.split(".")[0] == "course_utils":
        maker = getattr(importlib.import_module(module), name, None)
    elif name.split(".")[-1] in own:
        maker = own[name.split(".")[-1]]
    schedule = module == "course_utils.diffusion.schedule" and inspect.isfunction(maker)
    if not schedule and not (inspect.isclass(maker) and issubclass(maker, Rebuildable)):
        raise ValueError(
            f"{path.name}.json names the class {name!r} of {module!r}, which the course does not have; "
            f"give yours: load_pretrained({str(path)!r}, classes=[{name.split('.')[-1]}])"
        )
    return maker(**{key: _make(part, own, path) for key, part in said["arguments"].items()})
