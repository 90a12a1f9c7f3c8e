"""Save a model and load it again: weights in safetensors, and beside them a card that says how to make the model.

A model is two files: `NAME.safetensors`, the weights, and `NAME.json`, its card (constructor's arguments, how it was
trained, scores, digest). Nothing here unpickles, and nothing that a card names is called but models and schedules.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch as safe
import torch
from torch import Tensor, nn

from course_utils import __version__
from course_utils.data import CHECKOUT
from course_utils.diffusion import cosine_schedule, linear_schedule, zero_terminal_snr
from course_utils.files import replacing
from course_utils.inputs import Model, Rebuildable, pick_device
from course_utils.nets import seeded

__all__ = ["Model", "load_pretrained", "read_card", "save_pretrained", "shipped_models"]

CARD_VERSION = 2

_FOLDERS = (CHECKOUT / "data" / "models", Path(__file__).parent / "models")  # in a checkout; where installed
_RESTORE = "git checkout, or install the course again; a model of your own: train it again"


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
        ValueError: a model that could not be made again from its card, or the name of a shipped one.
    """
    path = _without_suffix(path)
    if path.parent == Path() and path.name in shipped_models():
        raise ValueError(
            f"path={str(path)!r} is the name of a shipped model; give a folder: runs/{path.name}"
        )
    model = _unwrapped(model)
    described = _checked_description(model)
    weights = safe.save(_weights(model))
    card = {
        "version": CARD_VERSION,
        "model": described,
        "training": dict(training or {}),
        "scores": {name: float(value) for name, value in (scores or {}).items()},
        "sha256": hashlib.sha256(weights).hexdigest(),
        "made_with": {
            "course_utils": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    try:
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    except TypeError as reason:
        raise ValueError(
            f"training holds what JSON cannot say ({reason}); give numbers and strings"
        ) from reason
    for suffix, content in ((".safetensors", weights), (".json", text.encode())):
        with replacing(_with(path, suffix)) as scratch:
            scratch.write_bytes(content)
    return _with(path, ".safetensors")


def load_pretrained(
    name: str | Path,
    device: str | torch.device | None = None,
    *,
    classes: Iterable[type[Rebuildable]] = (),
) -> Any:
    """Load a model that the course ships, or one of your own, ready to use (eval mode, dtype as saved).

    Args:
        name: `autoencoder-mnist` and the like, or the path that was given to `save_pretrained`.
        device: by default `pick_device()`.
        classes: those of your own that the model is made of.

    Raises:
        FileNotFoundError: no such model, or one of its two files is missing.
        OSError: the weights are not the ones that the card describes.
        ValueError: the card is of another version of the course, not a card, or names a class that is not known; the
            class has changed since.
    """
    place = pick_device(device)
    own = {}
    for given in classes if isinstance(classes, Iterable) else (classes,):
        if not (inspect.isclass(given) and issubclass(given, Rebuildable)):
            what = given if inspect.isclass(given) else f"a {type(given).__name__} instead of its class"
            raise ValueError(f"classes holds {what}; allowed: classes that inherit from Model")
        own[given.__name__] = given
    path = _find(name)
    card = read_card(path)
    weights = _with(path, ".safetensors").read_bytes()
    if hashlib.sha256(weights).hexdigest() != card["sha256"]:
        raise OSError(
            f"{path}.safetensors is damaged: its SHA-256 is not the one in {path.name}.json. "
            f"Nothing was loaded; restore the file ({_RESTORE})"
        )
    try:
        with seeded(0):  # torch's own random state stays as it is
            model = _make(card["model"], lambda maker: _known(maker, own))
        if not isinstance(model, nn.Module):
            raise ValueError(f"it describes a {type(model).__name__}, which is no model")
        _load_weights(model, safe.load(weights))
    except _UnknownClass:
        raise
    except (
        Exception
    ) as reason:  # a constructor may raise anything where its arguments are not what it was written for
        raise ValueError(
            f"{path.name}.json and {path.name}.safetensors give no model: {reason}. The card is damaged "
            f"({_RESTORE}), or a class has changed since the model was saved"
        ) from reason
    return model.to(place).eval()


def read_card(name: str | Path) -> dict[str, Any]:
    """The card of a model as `save_pretrained` wrote it; raises as `load_pretrained`."""
    file = _with(_find(name), ".json")
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        version = card["version"]
        if version == CARD_VERSION:
            card["model"]["maker"], card["model"]["arguments"], card["sha256"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError) as reason:
        raise ValueError(f"{file} is no card of the course ({reason!r}); restore it ({_RESTORE})") from reason
    if version != CARD_VERSION:
        raise ValueError(
            f"{file} has version {version}, this course_utils ({__version__}) reads version {CARD_VERSION}; "
            "update the older of the two (git pull, or install the course anew)"
        )
    return card


def shipped_models() -> list[str]:
    """The names of the models that lie ready on this machine."""
    return sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.json")})


# ------------------------------------------------------------------------------------------------- files


def _without_suffix(name: str | Path) -> Path:
    if not Path(name).name:
        raise ValueError(
            f"{str(name)!r} names no model; give the name of a shipped one, or a path such as runs/NAME"
        )
    return Path(str(name).removesuffix(".safetensors").removesuffix(".json"))


def _with(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)  # names have dots of their own: vae-2d-beta-0.1-mnist


def _find(name: str | Path) -> Path:
    """The path of a model without suffix; both of its files are there. A bare name is a shipped model's first."""
    given = _without_suffix(name)
    places = [folder / given for folder in _FOLDERS] if given.parent == Path() else []
    for path in (*places, given):
        there = [_with(path, suffix).exists() for suffix in (".safetensors", ".json")]
        if all(there):
            return path
        if any(there):
            missing = _with(path, ".json" if there[0] else ".safetensors")
            raise FileNotFoundError(f"{missing} is missing beside its other half; restore it ({_RESTORE})")
    raise FileNotFoundError(
        f"no model {str(name)!r} ({given}.safetensors is not there); shipped are: {', '.join(shipped_models())}. "
        "A model of your own is named by its path: runs/NAME"
    )


# ----------------------------------------------------------------------------------------------- weights


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model inside what `torch.compile`, an exponential average or a parallel wrapper puts around it."""
    while not isinstance(model, Rebuildable):
        inner = getattr(model, "_orig_mod", getattr(model, "module", None))
        if not isinstance(inner, nn.Module):
            break
        model = inner
    return model


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model on the CPU; a tensor that stands in two places is written twice."""
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"model has the extra state {name!r} of type {type(value).__name__}; make it a tensor"
            )
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _load_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put the weights into the model, which takes on their dtype."""
    for name, weight in model.named_parameters():
        if (
            name in weights and weights[name].dtype != weight.dtype
        ):  # it was saved after `.half()` or the like
            model.to(weights[name].dtype)
            break
    model.load_state_dict(weights)


# -------------------------------------------------------------------------------- a model in words, and back


def _checked_description(model: nn.Module) -> Any:
    """What the card says of the model, of which it was tried out that it makes this model again.

    A setting that was changed after the model was made, such as `model.guidance = 2`, is taken as it stands.
    """
    changed: set[str] = set()
    while True:
        makers: dict[str, Callable[..., Any]] = {}
        described = _describe(model, "model", changed, makers)
        with seeded(0):
            again = _make(described, makers.__getitem__)
        differ = set(_differences(model, again, "model"))
        if not differ:
            break
        if differ & changed:
            raise ValueError(
                f"{', '.join(sorted(differ & changed))} was changed after the model was made, and a model made with "
                "that value has another one; make the model with it instead"
            )
        changed |= differ
    try:
        again.load_state_dict(model.state_dict())
    except RuntimeError as reason:
        raise ValueError(
            f"model has other weights than one made anew of the same arguments ({reason}); add and replace layers in "
            "the constructor of a class of your own"
        ) from reason
    return described


def _describe(value: Any, name: str, changed: set[str], makers: dict[str, Callable[..., Any]]) -> Any:
    """What a card says of a constructor's argument, in JSON. Notes the makers."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Rebuildable):
        if not hasattr(value, "made_by"):
            raise ValueError(f"{name} does not know how it was made; its class must call no other's __new__")
        maker = f"{value.maker.__module__}:{value.maker.__qualname__}"
        makers[maker] = value.maker
        positional, arguments = _arguments(value, name, changed, makers)
        return {"maker": maker, **({"positional": positional} if positional else {}), "arguments": arguments}
    if isinstance(value, Tensor):
        return {"tensor": str(value.dtype).removeprefix("torch."), "values": value.tolist()}
    if isinstance(value, list | tuple):
        parts = [_describe(part, f"{name}[{i}]", changed, makers) for i, part in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    if isinstance(value, dict):
        pairs = [(key, _describe(part, f"{name}[{key!r}]", changed, makers)) for key, part in value.items()]
        if not all(map(_is_plain, value)):
            raise ValueError(f"{name} has keys that a card cannot describe; give numbers or strings")
        return {"dict": pairs}
    if _is_plain(value):
        return value
    raise ValueError(
        f"{name} is a {type(value).__name__}, which a card cannot describe; make its class inherit from "
        "course_utils.pretrained.Model, or give numbers, strings, tensors"
    )


def _arguments(
    value: Rebuildable, name: str, changed: set[str], makers: dict[str, Callable[..., Any]]
) -> tuple[list[Any], dict[str, Any]]:
    """With what the value was made, and what it left to defaults, which may be others one day: without a name, and
    by name."""
    made_by, positional, named = value.made_by, [], {}

    def say(key: str, given: Any) -> Any:
        if isinstance(given, Rebuildable) or f"{name}.{key}" in changed:
            given = _part(value, key)
        return _describe(given, f"{name}.{key}", changed, makers)

    parameters = _parameters(value.maker)
    many = any(p.kind is p.VAR_POSITIONAL and made_by.get(p.name) for p in parameters)
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            positional += [say(p.name, part) for part in made_by.get(p.name, ())]
        elif p.kind is p.VAR_KEYWORD:
            named.update({key: say(key, part) for key, part in made_by.get(p.name, {}).items()})
        elif p.kind is p.POSITIONAL_ONLY or (p.kind is p.POSITIONAL_OR_KEYWORD and many):
            if p.name in made_by or many:
                positional.append(say(p.name, made_by.get(p.name, p.default)))
        elif p.name in made_by or f"{name}.{p.name}" in changed:
            named[p.name] = say(p.name, made_by.get(p.name))
        elif p.default is not p.empty and _is_made_of_plain(p.default):
            named[p.name] = say(p.name, p.default)
    return positional, named


def _parameters(maker: Callable[..., Any]) -> list[inspect.Parameter]:
    """Of a function; of a class, those of its constructor without `self`."""
    if inspect.isclass(maker):
        return list(inspect.signature(maker.__init__).parameters.values())[1:]
    return list(inspect.signature(maker).parameters.values())


def _differences(one: Any, other: Any, name: str) -> Iterator[str]:
    """The settings, named as the constructor's arguments, in which two models differ."""
    keys = {p.name for p in _parameters(one.maker)}
    for p in _parameters(one.maker):
        if p.kind is p.VAR_KEYWORD:
            keys |= set(one.made_by.get(p.name, ()))
    for key in keys:
        a, b = _part(one, key), _part(other, key)
        if isinstance(a, Rebuildable) and isinstance(b, Rebuildable):
            yield from _differences(a, b, f"{name}.{key}")
        elif _is_plain(a) and _is_plain(b) and a != b and not (a != a and b != b):  # NaN is NaN
            yield f"{name}.{key}"


def _part(thing: Rebuildable, key: str) -> Any:
    """The attribute of an argument's name; what was given for it where there is no such part."""
    present, given = getattr(thing, key, None), thing.made_by.get(key)
    return given if isinstance(given, Rebuildable) and not isinstance(present, Rebuildable) else present


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_made_of_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_made_of_plain, (*value, *value.values())))
    return all(map(_is_made_of_plain, value)) if isinstance(value, list | tuple) else _is_plain(value)


def _make(said: Any, find: Callable[[str], Callable[..., Any]]) -> Any:
    """The inverse of `_describe`; `find` gives a maker by its name."""
    if isinstance(said, list):
        return [_make(part, find) for part in said]
    if not isinstance(said, dict):
        return said
    match said:
        case {"tensor": str(name), "values": values} if isinstance(
            dtype := getattr(torch, name, None), torch.dtype
        ):
            return torch.tensor(values, dtype=dtype)
        case {"tuple": list(parts)}:
            return tuple(_make(part, find) for part in parts)
        case {"dict": list(pairs)}:
            return {key: _make(part, find) for key, part in pairs}
        case {"maker": str(maker), "arguments": dict(arguments)}:
            positional = [_make(part, find) for part in said.get("positional", [])]
            return find(maker)(*positional, **{key: _make(part, find) for key, part in arguments.items()})
    raise ValueError(f"nothing is described by {list(said)}")


_SCHEDULES = {
    f"{f.__module__}:{f.__name__}": f for f in (linear_schedule, cosine_schedule, zero_terminal_snr)
}
_ROOMS = (["autoencoders"], ["diffusion"], ["gan"], ["latent"], ["likelihood"], ["nets"])  # where models are


class _UnknownClass(ValueError):
    pass


def _known(maker: str, own: Mapping[str, type[Rebuildable]]) -> Callable[..., Any]:
    """The class of a model, or the function that makes a schedule, by the name that stands in a card; nothing else."""
    module, _, name = maker.partition(":")
    if maker in _SCHEDULES:
        return _SCHEDULES[maker]
    package, *rooms = module.split(".")
    found: Any = None
    if package == "course_utils":
        with suppress(ModuleNotFoundError):
            found = getattr(importlib.import_module(module), name, None) if rooms[:1] in _ROOMS else None
    else:
        found = own.get(name.split(".")[-1])
    if not (inspect.isclass(found) and issubclass(found, Rebuildable)):
        raise _UnknownClass(
            f"the card names {name!r} of {module!r}, which is no model of the course; if it is one of yours, give it: "
            f"load_pretrained(…, classes=[{name.split('.')[-1]}])"
        )
    return found
