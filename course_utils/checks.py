"""What check cells of the homework call: each raises an AssertionError that says what is wrong with a value."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor


def check_shape(name: str, got: Any, want: Sequence[int], *, hint: str = "") -> None:
    """Raise an AssertionError that says how a shape is wrong.

    Args:
        name: what is checked, in the student's words: `"q1: mask(x)"`.
        got: the student's value: a tensor, an array or a number.
        want: the right shape; () for one number.
        hint: added to the message.

    Raises:
        AssertionError: `got` is not numeric, or has another shape.
    """
    shape, want = tuple(_numbers(name, got, hint).shape), tuple(want)
    if shape == want:
        return
    guess = ""
    if shape == () and want:
        guess = ": everything was reduced to one number, which axes should stay?"
    elif sorted(shape) == sorted(want):
        guess = ": the axes are in another order"
    elif len(shape) > len(want):
        guess = ": an axis that should be summed or averaged over is still there"
    _fail(name, f"has shape {shape}, should have {want}{guess}", hint)


def check_range(name: str, got: Any, low: float, high: float, *, hint: str = "") -> None:
    """Raise an AssertionError if a value leaves [low, high].

    Args:
        name: what is checked, in the student's words.
        got: the student's value: a tensor, an array or a number.
        low: the smallest value allowed.
        high: the largest value allowed.
        hint: added to the message.

    Raises:
        AssertionError: `got` is not numeric, not finite, or leaves the range.
    """
    numbers = _finite(name, got, hint)
    smallest, largest = numbers.min().item(), numbers.max().item()
    if smallest < low or largest > high:
        what = f"runs from {smallest:.4g} to {largest:.4g}" if numbers.numel() > 1 else f"is {smallest:.4g}"
        _fail(name, f"{what}, should stay in [{low:g}, {high:g}]", hint)


def check_close(name: str, got: Any, want: Any, *, tol: float = 1e-4, hint: str = "") -> None:
    """Raise an AssertionError that says how a value is wrong: its shape, sign, a factor, an offset, or where.

    Args:
        name: what is checked, in the student's words: `"q2: the loss"`.
        got: the student's value: a tensor, an array or a number.
        want: the right value.
        tol: relative and absolute tolerance, > 0.
        hint: added to the message.

    Raises:
        AssertionError: `got` is not numeric, not finite, or not `want`.
    """
    right = _numbers(name, want, "")
    check_shape(name, got, right.shape, hint=hint)
    numbers = _finite(name, got, hint)

    def close(a: Tensor, b: Tensor) -> bool:
        return bool(((a - b).abs() <= tol + tol * b.abs()).all())

    if not close(numbers, right):
        _fail(name, _difference(numbers, right, close), hint)


def check_raises(name: str, call: Callable[[], Any], *, hint: str = "") -> str:
    """Raise an AssertionError unless a call raises a ValueError; returns what that says.

    Args:
        name: what is checked, in the student's words: `"q1: y = [0, 4] with classes = 4"`.
        call: the student's function, with input that it must refuse.
        hint: added to the message.

    Raises:
        AssertionError: the call returns, or raises something else.
    """
    raised: Exception | None = None
    try:
        call()
    except Exception as error:
        raised = error
    if raised is None:
        _fail(name, "passes, should raise a ValueError", hint)
    if not isinstance(raised, ValueError):
        _fail(name, f"raises {type(raised).__name__}, should raise ValueError", hint)
    return str(raised)


def check_gradients(name: str, value: Any, of: Sequence[Tensor], *, hint: str = "") -> tuple[Tensor, ...]:
    """The gradients of a value, or an AssertionError that says that it has none.

    Args:
        name: what is checked, in the student's words: `"q4: the loss"`.
        value: the student's value: a tensor with one number.
        of: with respect to these tensors; where the value does not depend on one, its gradient is 0.
        hint: added to the message.

    Raises:
        AssertionError: `value` is no tensor, or does not depend on anything that requires a gradient.
    """
    if not (isinstance(value, Tensor) and value.requires_grad):
        _fail(name, "has no gradient: something was detached, or made a plain number", hint)
    return torch.autograd.grad(value, list(of), allow_unused=True, materialize_grads=True)


def _difference(got: Tensor, want: Tensor, close: Callable[[Tensor, Tensor], bool]) -> str:
    """The simplest mistake that explains the difference of two tensors of one shape."""
    several = got.numel() > 1 and bool((want != want.flatten()[0]).any())
    if close(-got, want):
        return "has the wrong sign"
    if got.ndim == 2 and got.shape[0] == got.shape[1] and close(got.T, want):
        return "is transposed"
    if close(got.square(), want) and bool((want >= 0).all()):
        return "is the square root of the right value"
    if close(want.square(), got):
        return "is the square of the right value"
    factor = ((got * want).sum() / want.square().sum().clamp_min(1e-30)).item()
    whole = min((abs(f - round(f)) for f in (factor, 1 / factor) if round(f)), default=1.0) if factor else 1.0
    if factor and close(got, factor * want):
        if several:
            return f"is {factor:.4g} times the right value: a factor is missing or too many"
        if whole < 1e-4:
            both = f"is {got.flatten()[0]:.6g}, should be {want.flatten()[0]:.6g}"
            return f"{both}. It is {factor:.4g} times the right value: is a factor missing or too many?"
    offset = (got - want).mean().item()
    if several and close(got, want + offset):
        return f"differs from the right value by {offset:.4g} everywhere: a term is missing or too many"
    worst = int((got - want).abs().argmax())
    where = (
        ""
        if got.ndim == 0
        else f" at index {tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), got.shape))}"
    )
    return f"is {got.flatten()[worst]:.6g}{where}, should be {want.flatten()[worst]:.6g}"


def _numbers(name: str, value: Any, hint: str) -> Tensor:
    """The value as a float64 tensor on the CPU, or a failed check that says why it is none."""
    if value is None:
        _fail(name, "is None: is a `return` missing?", hint)
    if value is ...:
        _fail(name, "is still `...`: write your answer there", hint)
    try:
        return torch.as_tensor(value).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        _fail(name, f"is a {type(value).__name__}, should be a tensor or a number", hint)


def _finite(name: str, value: Any, hint: str) -> Tensor:
    numbers = _numbers(name, value, hint)
    bad = int((~numbers.isfinite()).sum())
    if bad:
        _fail(name, f"has {bad} of {numbers.numel()} values that are NaN or infinite", hint)
    if numbers.numel() == 0:
        _fail(name, "is empty", hint)
    return numbers


def _fail(name: str, problem: str, hint: str) -> NoReturn:
    end = "" if problem.endswith("?") else "."
    raise AssertionError(f"{name} {problem}{end}{f' {hint}' if hint else ''}")
