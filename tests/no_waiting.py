"""What would make a training step wait for its device, made to fail on the CPU, where nothing waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils import inputs, likelihood
from course_utils.diffusion import flow, process
from course_utils.nets import classifiers


class NoWaiting(TorchDispatchMode):
    """Refuses to read a value of a tensor, and to find out how many of its values are not 0."""

    WAITS: ClassVar = {
        "_local_scalar_dense",
        "item",
        "is_nonzero",
        "nonzero",
        "equal",
        "unique",
        "masked_select",
    }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(i, Tensor) and i.dtype == torch.bool
            for i in (args[1] if isinstance(args[1], list) else ())
        )
        if name in self.WAITS or by_mask:
            raise AssertionError(f"{name} waits for the device")
        return func(*args, **(kwargs or {}))


def as_if_elsewhere(x: Tensor, *, each_step: bool = False) -> bool:
    return not (each_step or torch.is_grad_enabled())


@contextmanager
def as_on_an_accelerator() -> Iterator[None]:
    """Arguments are looked at as on another device than the CPU, and nothing may wait."""
    with pytest.MonkeyPatch.context() as patch, NoWaiting():
        for module in (inputs, process, flow, classifiers, likelihood):
            patch.setattr(module, "can_look", as_if_elsewhere)
        yield
