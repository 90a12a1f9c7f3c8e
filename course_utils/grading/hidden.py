"""Hidden checks: what is asked of an answer behind the wall, and what its values are compared with outside of it.

`hwNN_hidden.py` is a module with two functions an exercise. `q1(answer, draw)` asks: it draws inputs, gives them to
the student's functions and returns what they give, by name. It is run behind the wall, with the student's code and, on
the same inputs, with the solution's. `judge_q1(got, want)` compares the two in the teacher's process; without one,
`same` does. What several of them draw and judge with is in `drawn`. Nothing in the first needs to be secret: whoever
can say what the solution says of inputs that are drawn anew for each grading has solved the exercise.
"""

from __future__ import annotations

import ast
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.authoring.homework import HomeworkError
from course_utils.checks import check_close

JUDGE = "judge_"
MOST_SAID = 2000  # characters of what is wrong; a judge may cite what the answer gave


class Answers:
    """The names that a submission has defined: `answer.q(x)` calls its function `q`."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        try:
            return self._names[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None


class Hidden:
    """The hidden checks of one homework.

    Args:
        text: the module; "" for none.
        name: how messages call it.

    Raises:
        HomeworkError: it is not plain Python, or judges what it does not ask.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name, self.text = name, text
        try:
            tree = ast.parse(text, name)
            self._judges: dict[str, Any] = {}
            exec(compile(tree, name, "exec"), self._judges)
        except Exception as error:
            raise HomeworkError(f"{name} does not run: {type(error).__name__}: {error}") from None
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        asks = [node for node in tree.body if not getattr(node, "name", "").startswith(JUDGE)]
        self.asks = ast.unparse(ast.Module(asks, []))
        self.keys = [function for function in functions if function[:1] == "q" and function[1:].isdigit()]
        judged = {function.removeprefix(JUDGE) for function in functions if function.startswith(f"{JUDGE}q")}
        if more := sorted(judged - set(self.keys)):
            raise HomeworkError(f"{name}: {JUDGE}{more[0]} stands without {more[0]}")

    @classmethod
    def read(cls, path: Path) -> Hidden:
        """The hidden checks in a file.

        Raises:
            HomeworkError: there is no such file, or see above.
        """
        try:
            return cls(path.read_text(encoding="utf-8"), path.name)
        except OSError as error:
            raise HomeworkError(f"{path}: no hidden checks: {error.strerror}") from None

    def judge(self, key: str, got: Any, want: Any) -> str:
        """What is wrong with an answer's values; "" if they are the solution's."""
        judge: Callable[[Any, Any], None] = self._judges.get(f"{JUDGE}{key}", same)
        try:
            if not isinstance(got, dict) or list(got) != list(want):
                raise AssertionError("other things were returned than were asked for")
            judge(got, want)
            return ""
        except AssertionError as error:
            said = str(error).strip() or "is wrong"
        except Exception as error:  # values that no comparison was written for
            said = f"what the answer gives cannot be compared ({type(error).__name__}: {error})"
        return f"{key}: {said}"[:MOST_SAID]


def ask(asks: str, key: str, names: Mapping[str, Any], seed: int) -> Any:
    """Behind the wall: what the answers in `names` give to an exercise's inputs.

    Args:
        asks: `Hidden.asks`.
        key: the exercise.
        names: what the submission has defined.
        seed: the inputs', and what torch's, NumPy's and Python's own generators begin with.
    """
    begun = int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:7], "big")
    torch.manual_seed(begun)
    np.random.seed(begun % 2**32)  # noqa: NPY002  the generator that a student may use
    random.seed(begun)
    space: dict[str, Any] = {"__name__": "hidden"}
    exec(compile(asks, "<hidden>", "exec"), space)
    with torch.enable_grad():
        return space[key](Answers(names), torch.Generator().manual_seed(begun))


def refusal(call: Callable[[], Any]) -> str:
    """The name of the exception that a call raises; "" if it raises none."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return ""


def same(got: Any, want: Any, *, tol: float = 1e-4, only: Sequence[str] | None = None) -> None:
    """Raise an AssertionError unless all values are the solution's.

    Args:
        got: an answer's values, by name.
        want: the solution's.
        tol: of numbers, relative and absolute.
        only: the names that are compared; by default all.

    Raises:
        AssertionError: one is not; the message says which, and how.
    """
    for name in want if only is None else only:
        _same(name, got[name], want[name], tol)


def _same(name: str, got: Any, want: Any, tol: float) -> None:
    if isinstance(want, dict):
        if not isinstance(got, dict) or set(got) != set(want):
            raise AssertionError(f"{name}: is {_kind(got)}, should have {', '.join(map(str, want))}")
        for key in want:
            _same(f"{name}: {key}", got[key], want[key], tol)
    elif isinstance(want, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(want):
            raise AssertionError(f"{name}: is {_kind(got)}, should be {len(want)} values")
        for number, (one, other) in enumerate(zip(got, want, strict=True), 1):
            _same(f"{name}, value {number}", one, other, tol)
    elif want is None or isinstance(want, str):
        if type(got) is not type(want) or got != want:
            raise AssertionError(f"{name}: is {_kind(got)}, should be {_kind(want)}")
    else:
        check_close(name, got, want, tol=tol)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:100])
    if isinstance(value, Tensor):
        return f"a tensor of the shape {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"{len(value)} values"
    return f"a {type(value).__name__}" if value is not None else "None"
