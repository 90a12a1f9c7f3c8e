"""What goes between a submission and its judge: plain values, as bytes that can do nothing when they are read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

MOST_DEPTH = 20
MOST_TEXT = 4_000_000  # bytes of what is no tensor; a list in JSON takes forty times the memory
MOST_HEADER = 1_000_000  # bytes of what says which tensors there are


def pack(value: Any) -> bytes:
    """A value as bytes: JSON, then its tensors as safetensors.

    Numbers, strings, None, lists, tuples (as lists), dicts with string keys, tensors and NumPy's arrays are carried;
    of anything else the name of its type, which equals no value.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_plain(value, tensors, 0)).encode("utf-8", "replace")
    return len(text).to_bytes(8, "big") + text + save(tensors)


def unpack(data: bytes) -> Any:
    """The value in the bytes.

    Raises:
        ValueError: they are not those of a value.
    """
    try:
        length = int.from_bytes(data[:8], "big")
        tensors = data[8 + length :]
        if length > MOST_TEXT or int.from_bytes(tensors[:8], "little") > MOST_HEADER:
            raise ValueError("too much that is no tensor, or too many tensors")
        return _value(json.loads(data[8 : 8 + length].decode()), load(tensors), 0)
    except Exception as error:
        raise ValueError(f"these bytes hold no value: {type(error).__name__}: {str(error)[:200]}") from None


class Other:
    """A value that is not carried: the name of its type."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"a {self.name}"


def _plain(value: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    """As JSON can hold it: a list is [...], everything else that is no number or string {kind: …}."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        value = torch.as_tensor(np.array(value, order="C"))  # a number stays one
    if isinstance(value, Tensor) and not value.is_complex():
        tensors[name := str(len(tensors))] = value.detach().to("cpu").clone().contiguous()
        return {"tensor": name}
    if depth < MOST_DEPTH and isinstance(value, list | tuple):
        return [_plain(one, tensors, depth + 1) for one in value]
    if depth < MOST_DEPTH and isinstance(value, dict) and all(type(key) is str for key in value):
        return {"dict": {key: _plain(one, tensors, depth + 1) for key, one in value.items()}}
    return {"other": type(value).__name__}


def _value(plain: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth > MOST_DEPTH + 1:
        raise ValueError("nested too deeply")
    if isinstance(plain, list):
        return [_value(one, tensors, depth + 1) for one in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, what),) = plain.items()
    match kind:
        case "tensor":
            return tensors[what]
        case "dict":
            return {key: _value(one, tensors, depth + 1) for key, one in what.items()}
        case "other":
            return Other(str(what)[:100])
    raise ValueError(f"{kind[:100]!r} is no kind of value")
