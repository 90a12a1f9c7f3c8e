"""What hidden checks draw inputs with, and how drawn numbers are judged.

Inputs are drawn behind the wall, where this module can be read: it says nothing of any answer. The checks below are
called outside of it, by the functions `judge_q1` … (see `hidden`). A right answer, in whatever order it draws its
numbers, fails one of them about once in a million times or less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from course_utils.checks import check_close, check_range

# --- Inputs -------------------------------------------------------------------------------------------------


def whole(low: int, high: int, draw: Generator) -> int:
    """A whole number, each from `low` to `high` equally likely, both of them too."""
    return int(torch.randint(low, high + 1, (), generator=draw))


def between(low: float, high: float, draw: Generator) -> float:
    """A number, uniform between two."""
    return low + (high - low) * float(torch.rand((), generator=draw))


def normal(*shape: int, draw: Generator) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


def spread(n: int, low: float, high: float, draw: Generator) -> Tensor:
    """Numbers (n,) from `low` to `high`, both of them, and one in each of n parts of equal length, in any order."""
    places = (torch.arange(n) + torch.rand(n, generator=draw)) / n
    places[0], places[-1] = 0, 1
    return (low + (high - low) * places)[torch.randperm(n, generator=draw)]


def two_sizes(small: tuple[int, int], large: tuple[int, int], draw: Generator) -> list[int]:
    """The sizes of two batches in either order, one from each range: means over one are not means over the other."""
    sizes = [whole(*small, draw), whole(*large, draw)]
    return sizes if torch.rand((), generator=draw) < 0.5 else sizes[::-1]


def seeded(seed: int) -> Generator:
    """A generator of its own for an answer; those of one seed begin alike."""
    return torch.Generator().manual_seed(seed)


# --- What answers return ------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A float, NumPy's too, as a float; anything else as it is."""
    return float(value) if isinstance(value, float) else value


def outcome(call: Callable[[], Any]) -> list[str]:
    """What a call that should raise a ValueError raises, and the message; two empty texts if it raises nothing."""
    try:
        call()
    except Exception as error:
        return ["ValueError" if isinstance(error, ValueError) else type(error).__name__, str(error)]
    return ["", ""]


def check_refused(name: str, result: Sequence[str]) -> str:
    """The message of the ValueError that a call has raised.

    Args:
        name: which call it was.
        result: its `outcome`.

    Raises:
        AssertionError: it has passed, or has raised something else.
    """
    raised, message = result
    if raised != "ValueError":
        raise AssertionError(
            f"{name} {f'raises {raised}' if raised else 'passes'}, should raise a ValueError."
        )
    return message


# --- Numbers that were drawn --------------------------------------------------------------------------------


def check_near(name: str, got: Any, want: Any, bound: float, hint: str = "") -> None:
    """Raise an AssertionError if a mean of many draws, or one of several, is off by more than a bound.

    Args:
        name: what is checked.
        got: the mean, or several.
        want: the number that each should be.
        bound: some six standard errors; it and `want` are rounded to 0.001 together.
        hint: added to the message.
    """
    check_range(name, got, round(float(want) - bound, 3), round(float(want) + bound, 3), hint=hint)


def check_even(name: str, shares: Tensor, hint: str) -> None:
    """Raise an AssertionError unless numbers (n,) are distributed as independent ones, uniform between 0 and 1.

    The share of n such numbers below any x is further than d from x with a probability of at most
    2 exp(-2 n d²) (Dvoretzky, Kiefer and Wolfowitz): twice in a million times for this d.
    """
    n = len(shares)
    off = (shares.sort().values - (torch.arange(n) + 0.5) / n).abs().max()
    name = f"how far the distribution of {name} is from what it should be"
    check_range(name, off, 0, (7 / n) ** 0.5, hint=hint)


def check_noise(noise: Tensor, tol: float, hint: str) -> None:
    """Raise an AssertionError unless rows (n, d) are standard normal, and their columns uncorrelated.

    The standard error of a covariance is 1 / √n, that of a variance √(2 / n).

    Args:
        noise: the rows; each must be there once, which this does not see.
        tol: of a covariance; of a variance twice as much. At least seven of the first of these errors.
        hint: added to the message.
    """
    check_even("the noise", torch.special.ndtr(noise).flatten(), hint)
    covariance, unit = noise.T.cov(), torch.eye(noise.shape[1])
    check_close("the covariance of the columns of the noise", covariance, unit, tol=tol, hint=hint)


def check_unrelated(name: str, x: Tensor, hint: str) -> None:
    """Raise an AssertionError if numbers of mean 0 and variance 1 depend on neighbours, or on those half a batch away.

    The mean product of two of n has the standard error 1 / √n, or √(2 / n) where every pair is met twice.
    """
    bound = 9 / x.numel() ** 0.5
    for axis, size in enumerate(x.shape):
        for shift in sorted({1, size // 2} if axis == 0 else {1}):
            if 0 < shift < size:
                which = f"neighbours along axis {axis}" if shift == 1 else "two half a batch apart"
                product = (x * x.roll(shift, axis)).mean()
                check_near(f"the mean product of {which}, {name},", product, 0, bound, hint)


def check_normal(name: str, eps: Tensor, hint: str) -> None:
    """Raise an AssertionError unless n numbers, of any shape, are independent draws from N(0, 1).

    The standard errors are 1 / √n for the mean, √(2 / n) for the mean square, √(96 / n) for the mean fourth
    power. The bounds are six of them, but 4.5 below the last, which is skewed: a right answer fails less than
    once in a million times.
    """
    root = eps.numel() ** 0.5
    check_near(f"the mean square of {name}", eps.square().mean(), 1, 9 / root, hint)
    check_near(f"the mean of {name}", eps.mean(), 0, 6 / root, hint)
    check_unrelated(f"of {name}", eps, hint)
    fourth, low, high = eps.pow(4).mean(), round(3 - 45 / root, 3), round(3 + 64 / root, 3)
    check_range(f"the mean fourth power of {name}", fourth, low, high, hint="Is it normal?")


def check_new(name: str, eps: Tensor, other: Tensor, hint: str) -> None:
    """Raise an AssertionError if noise depends on other noise of the same shape, number by number.

    The mean product of n pairs has the standard error 1 / √n; the bound is seven of these.
    """
    check_near(f"the mean product of {name}", (eps * other).mean(), 0, 7 / eps.numel() ** 0.5, hint)


def share_different(rows: Tensor) -> float:
    """The share of rows (n, d) that are different, rounded to 0.001 and up to the sign: 1/2 if each is there twice."""
    return len((1000 * rows.abs()).round().unique(dim=0)) / len(rows)
