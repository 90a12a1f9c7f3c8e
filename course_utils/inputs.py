"""What every public function shares at its entry: checks of arguments, the device to compute on, its widest float.

A check reads a tensor's shape and dtype always. Its values it reads where that costs no wait: on the CPU, and on an
accelerator where no gradients are recorded. So no training step waits for the device.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Self

import torch
from torch import Tensor, nn

# ------------------------------------------------------------------------------------------------ numbers


def check_at_least(least: int, **values: int) -> None:
    """Raise ValueError, naming it, for a value that is no whole number of at least `least`."""
    for name, value in values.items():
        if not is_whole(value) or value < least:
            raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or of NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_not_negative(**values: float) -> None:
    """Raise ValueError, naming it, for a value that is no finite number of at least 0."""
    for name, value in values.items():
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise ValueError(f"{name}={value!r} must be a number of at least 0")


def check_choice(allowed: tuple[str, ...], **values: str) -> None:
    """Raise ValueError, naming it, for a value that is not among those allowed."""
    for name, value in values.items():
        if value not in allowed:
            raise ValueError(f"{name}={value!r} is unknown; allowed: {', '.join(allowed)}")


def check_whole(**values: int) -> None:
    """Raise ValueError, naming it, for a value that is no whole number."""
    for name, value in values.items():
        if not is_whole(value):
            raise ValueError(f"{name}={value!r} must be a whole number")


def check_size(size: int) -> None:
    """Raise ValueError unless images of this size can be halved twice."""
    if not is_whole(size) or size < 4 or size % 4:
        raise ValueError(f"size={size} must be a whole number divisible by 4 (it is halved twice)")


def check_num_classes(num_classes: int | None) -> None:
    """Raise ValueError unless there are at least two classes, or None for a model without."""
    if num_classes is not None and not (is_whole(num_classes) and num_classes >= 2):
        raise ValueError(f"num_classes={num_classes} must be at least 2, or None for a model without classes")


# ------------------------------------------------------------------------------------------------ tensors


def check_tensor(x: object, name: str) -> None:
    """Raise ValueError for what is no tensor."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a tensor, not {type(x).__name__}; torch.as_tensor makes one")


def check_maps(x: Tensor, shape: tuple[int | None, ...], name: str = "x") -> None:
    """Raise ValueError unless x is a float batch (N, *shape) with N ≥ 1; None in `shape` stands for any size."""
    check_tensor(x, name)
    fits = x.ndim == len(shape) + 1 and x.numel() > 0
    if not fits or any(want not in (None, got) for want, got in zip(shape, x.shape[1:], strict=True)):
        letters = iter("CHW" if len(shape) == 3 else "dhw")
        sizes = [letter if want is None else str(want) for letter, want in zip(letters, shape, strict=False)]
        raise ValueError(
            f"{name} must have the shape ({', '.join(['N', *sizes])}), N ≥ 1, not {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise ValueError(f"{name} must be float, not {x.dtype}; data.to_float makes images of bytes")


def check_images(x: Tensor, shape: tuple[int | None, ...] = (None, None, None), name: str = "x") -> None:
    """Raise ValueError unless x is a float batch of images (N, *shape) in [-1, 1].

    A hundredth beyond is rounding. Ten images or more, of 2 × 2 pixels at least, of which nothing is below 0, are
    taken for images in [0, 1], unless they are bright ones made of bytes.
    """
    check_maps(x, shape, name)
    if not can_look(x):
        return
    low, high = (end.item() for end in x.detach().aminmax())
    if not (low >= -1.01 and high <= 1.01):  # also NaN
        raise ValueError(
            f"{name} holds {low:.4g} … {high:.4g}, but images must lie in [-1, 1]; "
            "data.to_float makes them of bytes, x.clamp(-1, 1) cuts off what lies outside"
        )
    if len(x) >= 10 and x.ndim > 2 and min(x.shape[-2:]) >= 2 and 0 <= low < high and not _of_bytes(x):
        raise ValueError(
            f"{name} holds {low:.4g} … {high:.4g}, nothing below 0: these look like images in [0, 1]; bring them to "
            "[-1, 1] by 2 * x - 1"
        )


def _of_bytes(x: Tensor) -> bool:
    """Whether x can be bytes k brought to [-1, 1]: k / 127.5 - 1 is an odd number of 255ths; k / 255 is any."""
    k = 255 * x.detach().float()
    return bool(((k - k.round()).abs() < 0.01).all() and (k.round() % 2 == 1).all())


def check_noisy_images(
    x: Tensor, shape: tuple[int | None, ...] = (None, None, None), name: str = "x"
) -> None:
    """Raise ValueError unless x is a float batch of images (N, *shape), which noise may have carried beyond [-1, 1]:
    nothing in it is as high as bytes are, above 20, or NaN."""
    check_maps(x, shape, name)
    if can_look(x, each_step=True) and not (highest := x.detach().abs().max().item()) <= 20:
        raise ValueError(
            f"{name} holds values up to {highest:.4g}, but images lie in [-1, 1]; data.to_float makes them of bytes"
        )


def check_dtype(x: Tensor, net: nn.Module, name: str = "x") -> None:
    """Raise ValueError unless x has the dtype of the network's weights, or autocast brings the two together."""
    weight = next(net.parameters(), x)
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"{name} is {x.dtype}, the network's weights are {weight.dtype}; write {name}.to({weight.dtype}), or "
            f"bring the network to {x.dtype} by .to({x.dtype})"
        )


def check_labels(
    y: Tensor | None, n: int, num_classes: int | None, name: str = "y", *, each_step: bool = False
) -> None:
    """Raise ValueError unless y holds a class 0 … num_classes - 1 for each of n images; None for a model without.

    each_step: see `can_look`.
    """
    if num_classes is None:
        if y is not None:
            raise ValueError(f"{name} was given, but this model knows no classes; leave the labels out")
        return
    if y is None:
        raise ValueError(f"{name} is missing: this model needs a class 0 … {num_classes - 1} for each image")
    check_tokens(y, (n,), num_classes, name, each_step=each_step)


def check_tokens(
    y: Tensor, shape: tuple[int, ...], count: int, name: str = "y", *, each_step: bool = False
) -> None:
    """Raise ValueError unless y is int64 of this shape, with values 0 … count - 1.

    each_step: see `can_look`.
    """
    check_tensor(y, name)
    if y.dtype != torch.int64 or tuple(y.shape) != shape:
        raise ValueError(f"{name} must be int64 {shape}, not {y.dtype} {tuple(y.shape)}")
    if y.numel() and can_look(y, each_step=each_step) and not 0 <= int(y.min()) <= int(y.max()) < count:
        raise ValueError(f"{name} holds {int(y.min())} … {int(y.max())}; allowed: 0 … {count - 1}")


def check_times(t: Tensor, n: int, T: int, first: int = 0) -> None:
    """Raise ValueError unless t holds a time step `first` … T for each of n images."""
    check_tensor(t, "t")
    if t.dtype != torch.int64 or t.shape != (n,):
        raise ValueError(f"t must be int64 ({n},), not {t.dtype} {tuple(t.shape)}")
    if n and can_look(t) and not first <= int(t.min()) <= int(t.max()) <= T:
        raise ValueError(f"t holds {int(t.min())} … {int(t.max())}; allowed: {first} … {T}")


def check_codes(z: Tensor, d: int, name: str = "z") -> None:
    """Raise ValueError unless z holds finite float codes (N, d), N ≥ 1."""
    check_maps(z, (d,), name)
    if can_look(z) and not z.detach().isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity")


def check_features(name: str, f: Tensor) -> Tensor:
    """The features themselves, without gradients, or a ValueError unless they are finite floats (N, d), N ≥ 1."""
    check_tensor(f, name)
    if f.ndim != 2 or not f.numel() or not f.is_floating_point():
        raise ValueError(f"{name} must be float (N, d), N ≥ 1, not {f.dtype} {tuple(f.shape)}")
    if not f.isfinite().all():
        raise ValueError(f"{name} hold NaN or infinity")
    return f.detach()


def check_probs(p: Tensor, name: str = "probs") -> Tensor:
    """The probabilities (N, num_classes) themselves, or a ValueError unless each row is one distribution."""
    p = check_features(name, p)
    if (p < 0).any() or ((widest(p).sum(dim=1) - 1).abs() > (1e-3 if p.dtype.itemsize > 2 else 2e-2)).any():
        raise ValueError(
            f"{name} must be probabilities: not negative, each row with the sum 1 (softmax of logits)"
        )
    return p


def can_look(x: Tensor, *, each_step: bool = False) -> bool:
    """Whether the values can be read without a wait in a training step.

    each_step: a sampler, too, asks for this at each of its steps, and must not wait either.
    """
    if x.is_meta or torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" or not (each_step or torch.is_grad_enabled())


# ------------------------------------------------------------------------------------- devices and dtypes


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to compute on: the one given, else this machine's accelerator, else the CPU.

    Raises:
        ValueError: the device given is not on this machine.
    """
    if device is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        picked = torch.device(device)
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError, ImportError) as reason:
        raise ValueError(
            f"device={str(device)!r} cannot be used on this machine ({str(reason).splitlines()[0]}); "
            "leave it out to have one picked, or give 'cpu'"
        ) from reason
    return picked


NO_FLOAT64 = ("mps",)  # devices that have none: Apple's GPUs


def get_rng(place: torch.device) -> dict[str, Tensor]:
    """The state of torch's own random numbers, which dropout draws from."""
    states = {"rng.cpu": torch.get_rng_state()}
    if place.type != "cpu":
        states["rng.device"] = torch.get_device_module(place).get_rng_state()
    return states


def set_rng(states: Mapping[str, Tensor], place: torch.device) -> None:
    torch.set_rng_state(states["rng.cpu"])
    if "rng.device" in states and place.type != "cpu":
        torch.get_device_module(place).set_rng_state(states["rng.device"])


def widest_float(device: torch.device) -> torch.dtype:
    """float64, or float32 on a device that has no float64."""
    return torch.float32 if device.type in NO_FLOAT64 else torch.float64


def widest(x: Tensor) -> Tensor:
    """x in float64; on the CPU where its device has none. For sums and scores, not for training."""
    return (x.cpu() if widest_float(x.device) != torch.float64 else x).double()


def at_least_float32(x: Tensor) -> Tensor:
    """The same numbers, in float32 where they came in half precision: losses and samplers need the digits."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def noise_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise of the shape, dtype and device of x."""
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def uniform_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Uniform noise in [0, 1) of the shape, dtype and device of x."""
    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)


# ------------------------------------------------------------------------- objects that can be made again


class Rebuildable:
    """Remembers how it was made, so that a card can make it again: its `maker`, which is its class or a function,
    and the arguments that the maker was called with, `made_by`. These may be Rebuildable themselves.

    The same idea as huggingface_hub's `PyTorchModelHubMixin`.
    """

    maker: Callable[..., Any]
    made_by: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        try:
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        except TypeError:  # wrong arguments, of which __init__ will say so; or a copy, which has no arguments
            return self
        given = {name: value for name, value in bound.arguments.items() if name != "self"}
        object.__setattr__(self, "maker", cls)
        object.__setattr__(self, "made_by", given)
        return self


class Model(Rebuildable, nn.Module):
    """An `nn.Module` that can be saved and loaded with its constructor's arguments, which are noted by themselves:

    class Mine(Model):
        def __init__(self, width: int = 8):
            super().__init__()
            self.layer = nn.Linear(width, 2)

    save_pretrained(Mine(16), "runs/mine")
    again = load_pretrained("runs/mine", classes=[Mine])
    """
