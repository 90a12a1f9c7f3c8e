"""Hidden checks: what every homework's ask for and catch, and the comparison of values itself."""

import math
import random
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course_utils.authoring.homework import HomeworkError, wrong_answers
from course_utils.grading import judging, reading
from course_utils.grading.hidden import Hidden, ask, refusal, same
from course_utils.grading.sandbox import Limits
from course_utils.grading.session import Start, Wall, alone
from course_utils.grading.values import Other, pack, unpack

FOLDER = Path(__file__).parents[2] / "notebooks" / "homework"
SOURCES = sorted((FOLDER / "source").glob("hw[0-9][0-9].py"))
LIMITS = Limits(cell_seconds=300, seconds=3600)
pytestmark = pytest.mark.timeout(900)
each_homework = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts a process."""
    if sys.platform != "linux":
        yield partial(alone, LIMITS)
        return
    wall = Wall(LIMITS)
    yield wall.session
    wall.close()


def read(source: Path) -> reading.Homework:
    return reading.read_homework(FOLDER / "solution" / f"{source.stem}.ipynb")


# --- Those of the homeworks ---------------------------------------------------------------------------------


def test_there_are_eight() -> None:
    assert [source.stem for source in SOURCES] == [f"hw0{n}" for n in range(1, 9)]


@each_homework
def test_every_wrong_answer_is_caught(source: Path, start: Start) -> None:
    assert judging.let_through(read(source), wrong_answers(source), start, seed=20) == []


# Answers that have learnt the visible check by heart: what the solution's functions give there, in that order.
BY_HEART = """
def recorded(function, told):
    def by_solution(*values, **named):
        told.append(function(*values, **named))
        return told[-1]
    return by_solution

def by_heart(told):
    calls = iter(told)
    def answer(*values, **named):
        nonlocal last
        last = next(calls, last)
        return last
    last = told[0] if told else None
    return answer
"""


@each_homework
def test_who_knows_the_visible_check_or_another_seed_by_heart_gets_nothing(
    source: Path, start: Start
) -> None:
    hw = read(source)
    want, other, again = (judging.wanted(hw, start, seed) for seed in (21, 22, 21))
    with start() as session:
        for cell in [*hw.setup]:
            assert session.check(cell.source, "setup") == ""
        assert session.check(BY_HEART, "by heart") == ""
        for exercise in hw.exercises:
            key, judge = exercise.key, hw.hidden.judge
            assert judge(key, again.values[key], want.values[key]) == ""
            assert judge(key, other.values[key], want.values[key]), f"{key}: values of another seed pass"
            for cell in [*exercise.before, *exercise.answer, *exercise.after]:
                assert session.check(cell.source, "teacher's") == ""
            names = [name for name in exercise.defines if f"def {name}(" in exercise.answer[0].source]
            assert names
            for name in names:
                assert session.check(f"own_{name}, told_{name} = {name}, []", "save") == ""
                assert session.check(f"{name} = recorded(own_{name}, told_{name})", "record") == ""
            assert session.check(exercise.check.source, "the check") == ""
            for what, made in (
                ("by heart", "by_heart(told_{0})"),
                ("nothing", "lambda *values, **named: None"),
            ):
                for name in names:
                    assert session.check(f"{name} = {made.format(name)}", what) == ""
                for cell in exercise.after:
                    session.check(cell.source, "teacher's")
                error, values = session.ask(hw.hidden.asks, key, 21)
                assert error or judge(key, values, want.values[key]), f"{key}: {what} passes"
            for name in names:
                assert session.check(f"{name} = own_{name}", "restore") == ""
            for cell in exercise.after:
                session.check(cell.source, "teacher's")


# --- Values -------------------------------------------------------------------------------------------------


def drawn(draw: random.Random, depth: int = 0) -> Any:
    """A plain value of any kind."""
    kinds = ["number", "text", "none", "tensor", "array", "bool"] + (["list", "dict"] if depth < 4 else [])
    match draw.choice(kinds):
        case "number":
            return draw.choice([draw.randrange(-(10**20), 10**20), draw.random(), math.inf, -math.inf])
        case "text":
            return "".join(
                chr(draw.choice([draw.randrange(128), draw.randrange(0xD800), 0xDC80])) for _ in range(9)
            )
        case "none":
            return None
        case "bool":
            return draw.random() < 0.5
        case "tensor":
            kind = draw.choice(
                [torch.float32, torch.float64, torch.int64, torch.bool, torch.bfloat16, torch.uint8]
            )
            return torch.randint(0, 2, [draw.randrange(3) for _ in range(draw.randrange(4))]).to(kind)
        case "array":
            return np.random.default_rng(draw.randrange(99)).normal(size=(2, draw.randrange(3)))
        case "list":
            return [drawn(draw, depth + 1) for _ in range(draw.randrange(4))]
        case _:
            return {str(n): drawn(draw, depth + 1) for n in range(draw.randrange(4))}


def equal(a: Any, b: Any) -> bool:
    if isinstance(b, torch.Tensor | np.ndarray):
        b = torch.as_tensor(b)
        return isinstance(a, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(b, dict):
        return isinstance(a, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in b)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("seed", range(50))
def test_plain_values_come_through_whole(seed: int) -> None:
    value = drawn(random.Random(seed))
    assert equal(unpack(pack(value)), value)


def test_numbers_of_numpy_stay_numbers_and_views_come_whole() -> None:
    for value in (np.float64(2.5), np.float32(2.5), np.array(2.5)):
        got = unpack(pack(value))
        assert (got.shape, got.item()) == ((), 2.5)
    shared = torch.ones(3)
    assert equal(unpack(pack([shared, shared, shared[1:], shared.expand(2, 3)]))[3], torch.ones(2, 3))
    turned = np.arange(6.0).reshape(2, 3).T[::-1]
    assert equal(unpack(pack(turned)), turned.copy())


def test_what_is_no_plain_value_comes_as_the_name_of_its_type() -> None:
    class Number(float):
        pass

    class Liar:
        __class__ = float  # type: ignore[assignment]

    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    for value in (
        Number(1),
        Liar(),
        object(),
        {1: 2},
        3j,
        torch.ones(2, dtype=torch.complex64),
        {1},
        b"x",
        deep,
    ):
        got = unpack(pack([value]))[0]
        while isinstance(got, list):
            (got,) = got
        assert isinstance(got, Other)
    assert repr(unpack(pack(object()))) == "a object"


@pytest.mark.parametrize("seed", range(200))
def test_bytes_that_are_no_value_are_refused_or_are_one(seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(pack(drawn(draw)))
    for _ in range(draw.randrange(1, 5)):
        match draw.randrange(3):
            case 0 if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
            case 1 if data:
                del data[draw.randrange(len(data)) :]
            case _:
                data[8:8] = draw.randbytes(draw.randrange(9))
    try:
        unpack(bytes(data))
    except ValueError as error:
        assert str(error).startswith("these bytes hold no value: ")  # noqa: PT017  a few are values still


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, (2).to_bytes(8, "big") + b"{}", b"[" * 10**6])
def test_bytes_that_are_certainly_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="these bytes hold no value"):
        unpack(data)


# --- The comparison -----------------------------------------------------------------------------------------

RIGHT = {"x": torch.tensor([1.0, 2.0]), "more": [1, "a", None], "of": {"a": 3.0}}


@pytest.mark.parametrize(
    ("got", "message"),
    [
        (RIGHT | {"x": torch.tensor([1.0, 2.1])}, r"x is 2\.1 at index \(1,\), should be 2"),
        (RIGHT | {"x": torch.tensor([math.nan, 2.0])}, "x has 1 of 2 values that are NaN"),
        (RIGHT | {"x": None}, "x is None: is a `return` missing"),
        (RIGHT | {"x": Other("Tensor")}, "x is a Other"),
        (RIGHT | {"x": "1"}, "x is a str"),
        (RIGHT | {"x": torch.ones(1, 2)}, r"x has shape \(1, 2\), should have \(2,\)"),
        (RIGHT | {"more": [1, "a"]}, "more: is 2 values, should be 3 values"),
        (RIGHT | {"more": [1, "b", None]}, "more, value 2: is 'b', should be 'a'"),
        (RIGHT | {"more": [1, "a", 0]}, "more, value 3: is a int, should be None"),
        (RIGHT | {"of": {"b": 3.0}}, "of: is a dict, should have a"),
        ({"x": RIGHT["x"]}, "other things were returned than were asked for"),
        (None, "other things were returned than were asked for"),
    ],
)
def test_what_is_not_the_same_is_told(got: Any, message: str) -> None:
    hidden = Hidden("def q1(answer, draw): ...", "hw99_hidden.py")
    assert hidden.judge("q1", RIGHT, RIGHT) == ""
    assert hidden.judge("q1", {"x": [1, 2], "more": (1.0, "a", None), "of": {"a": 3}}, RIGHT) == ""
    said = hidden.judge("q1", got, RIGHT)
    assert said.startswith("q1: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(said)


def test_a_judge_is_not_sent_behind_the_wall_and_what_it_raises_is_the_answers_fault() -> None:
    text = "import torch\ndef q1(answer, draw):\n    return {'a': answer.f(torch.rand(2, generator=draw))}\n"
    text += "def judge_all(got, want):\n    assert got['a'].sum() == want['a'].sum(), 'the sum'\n"
    hidden = Hidden(text + "def judge_q1(got, want):\n    judge_all(got, want)\n", "hw99_hidden.py")
    assert "judge" not in hidden.asks
    want = ask(hidden.asks, "q1", {"f": lambda x: 2 * x}, 3)
    assert hidden.judge("q1", ask(hidden.asks, "q1", {"f": lambda x: x + x}, 3), want) == ""
    assert hidden.judge("q1", ask(hidden.asks, "q1", {"f": lambda x: x}, 3), want) == "q1: the sum"
    assert hidden.judge("q1", {"a": 7.0}, want).startswith(
        "q1: what the answer gives cannot be compared (Attrib"
    )
    with pytest.raises(NameError, match="name 'f' is not defined"):
        ask(hidden.asks, "q1", {}, 3)


def test_inputs_are_those_of_the_seed_whatever_was_drawn_before() -> None:
    text = "import torch, random, numpy\ndef q1(answer, draw):\n    return [torch.rand(1).item(), random.random(), "
    text += "numpy.random.rand(), torch.rand(1, generator=draw).item()]\ndef q2(answer, draw):\n    return q1(0, draw)"
    asks = Hidden(text, "hw99_hidden.py").asks
    first = ask(asks, "q1", {}, 3)
    torch.rand(5)
    assert ask(asks, "q1", {}, 3) == first
    for other in (ask(asks, "q1", {}, 4), ask(asks, "q2", {}, 3)):
        assert not set(other) & set(first)


def test_a_refusal_is_the_name_of_the_error() -> None:
    assert refusal(lambda: int("x")) == "ValueError"
    assert refusal(lambda: int("1")) == ""
    same({"a": "ValueError"}, {"a": "ValueError"})
    with pytest.raises(AssertionError, match="a: is '', should be 'ValueError'"):
        same({"a": ""}, {"a": "ValueError"})


def test_hidden_checks_that_fail_with_the_solution_stop_the_grading(start: Start) -> None:
    hw = read(SOURCES[0])
    for text, message in (
        ("def q1(answer, draw):\n    return answer.nothing", "hw99_hidden.py: q1 of the solution: NameError"),
        ("def q1(answer, draw):\n    1 / 0", "hw99_hidden.py: q1 of the solution: ZeroDivisionError"),
    ):
        hidden = Hidden(text, "hw99_hidden.py")
        broken = reading.Homework(hw.name, hw.setup, hw.exercises[:1], [], hidden, "", [])
        with pytest.raises(HomeworkError, match=message):
            judging.wanted(broken, start, 1)
