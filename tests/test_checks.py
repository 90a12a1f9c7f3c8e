"""What check cells call: a right value passes, a wrong one is told apart."""

import numpy as np
import pytest
import torch

from course_utils.checks import check_close, check_gradients, check_raises, check_range, check_shape

WANT = torch.tensor([[1.0, 2.0], [3.0, 5.0]])


@pytest.mark.parametrize(
    ("got", "message"),
    [
        (-WANT, "has the wrong sign"),
        (0.5 * WANT, "is 0.5 times the right value"),
        (WANT + 0.25, "by 0.25 everywhere"),
        (WANT.T, "is transposed"),
        (WANT.sqrt(), "is the square root"),
        (WANT**2, "is the square of"),
        (WANT + torch.tensor([[0, 0], [0.5, 0]]), r"is 3.5 at index \(1, 0\), should be 3"),
        (WANT.sum(), r"has shape \(\), should have \(2, 2\): everything was reduced"),
        (WANT[None], r"has shape \(1, 2, 2\).*still there"),
        (WANT * torch.nan, "4 of 4 values that are NaN"),
        (None, "is None: is a `return` missing"),
        (..., "is still `...`"),
        ("four", "is a str, should be a tensor"),
        (torch.zeros(2, 2), "is 0 at index"),
    ],
)
def test_a_wrong_value_is_told_apart(got: object, message: str) -> None:
    with pytest.raises(
        AssertionError, match=f"^q1: f.x. {'.*' if message[0] == 'b' or message[0] == '4' else ''}{message}"
    ):
        check_close("q1: f(x)", got, WANT)


def test_a_right_value_passes_in_any_numeric_type() -> None:
    check_close("x", WANT, WANT.numpy())
    check_close("x", WANT.requires_grad_(), WANT.tolist())
    check_close("x", np.float32(3), 3)
    check_close("x", torch.tensor([True, False]), [1, 0])
    check_close("x", WANT + 1e-6, WANT)
    with pytest.raises(AssertionError):
        check_close("x", WANT + 1e-3, WANT)


def test_a_scalars_factor_is_only_named_when_it_is_simple() -> None:
    with pytest.raises(AssertionError, match=r"is 0\.5 times the right value"):
        check_close("x", 2.5, 5)
    with pytest.raises(AssertionError, match=r"is 3\.7, should be 5\. Mind the log\."):
        check_close("x", 3.7, 5, hint="Mind the log.")


def test_shape_and_range() -> None:
    check_shape("x", torch.zeros(2, 3), (2, 3))
    with pytest.raises(AssertionError, match="axes are in another order"):
        check_shape("x", torch.zeros(3, 2), (2, 3))
    check_range("x", torch.tensor([0.0, 1.0]), 0, 1)
    with pytest.raises(AssertionError, match=r"runs from -1 to 0.5, should stay in \[0, 1\]"):
        check_range("x", torch.tensor([-1.0, 0.5]), 0, 1)
    with pytest.raises(AssertionError, match="NaN"):
        check_range("x", float("nan"), 0, 1)
    with pytest.raises(AssertionError, match="is empty"):
        check_range("x", [], 0, 1)


def test_a_call_that_must_be_refused() -> None:
    assert check_raises("q1: -1", lambda: int("x")).startswith("invalid literal")
    with pytest.raises(AssertionError, match=r"^q1: -1 passes, should raise a ValueError\. Only 0\.$"):
        check_raises("q1: -1", lambda: 7, hint="Only 0.")
    with pytest.raises(AssertionError, match=r"^q1: -1 raises KeyError, should raise ValueError\.$"):
        check_raises("q1: -1", lambda: {}["x"])


def test_gradients_of_a_value_or_why_it_has_none() -> None:
    a, b, unused = (torch.tensor(v, requires_grad=True) for v in (3.0, 4.0, 5.0))
    gradients = check_gradients("q1: the loss", a * b, [a, b, unused])
    assert [g.item() for g in gradients] == [4.0, 3.0, 0.0]
    for value in ((a * b).detach(), 12.0, None):
        with pytest.raises(AssertionError, match=r"^q1: the loss has no gradient: .*\. Detach nothing\.$"):
            check_gradients("q1: the loss", value, [a], hint="Detach nothing.")
