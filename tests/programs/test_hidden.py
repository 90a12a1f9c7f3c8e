"""Hidden checks: what every homework's ask for and catch, and the comparison of values itself."""

import math
import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course_utils.authoring.homework import HomeworkError, wrong_answers
from course_utils.checks import check_range
from course_utils.grading import drawn, judging, reading
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


def a_value(draw: random.Random, depth: int = 0) -> Any:
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
            return [a_value(draw, depth + 1) for _ in range(draw.randrange(4))]
        case _:
            return {str(n): a_value(draw, depth + 1) for n in range(draw.randrange(4))}


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
    value = a_value(random.Random(seed))
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
    data = bytearray(pack(a_value(draw)))
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


# --- What they draw, and how drawn numbers are judged -------------------------------------------------------


def test_inputs_are_in_their_ranges_and_reach_all_of_them() -> None:
    draw = drawn.seeded(1)
    assert {drawn.whole(-2, 3, draw) for _ in range(300)} == set(range(-2, 4))
    numbers = [drawn.between(2.0, 5.0, draw) for _ in range(300)]
    assert 2 <= min(numbers) < 2.1
    assert 4.9 < max(numbers) <= 5
    assert drawn.normal(2, 3, draw=draw).dtype == torch.float64
    sizes = [drawn.two_sizes((3, 5), (8, 9), draw) for _ in range(300)]
    assert {tuple(sorted(pair)) for pair in sizes} == {(a, b) for a in (3, 4, 5) for b in (8, 9)}
    assert {a < b for a, b in sizes} == {True, False}


@pytest.mark.parametrize("n", [2, 5, 40])
def test_a_spread_has_both_ends_and_one_number_in_each_part(n: int) -> None:
    numbers = drawn.spread(n, -2, 6, drawn.seeded(n))
    assert (numbers.min(), numbers.max()) == (-2, 6)
    parts = ((numbers + 2) / 8 * n).floor().clamp(max=n - 1)
    assert parts.sort().values.tolist() == list(range(n))
    assert n < 9 or parts.tolist() != sorted(parts.tolist())


def test_generators_of_one_seed_begin_alike_and_leave_each_other_alone() -> None:
    one, other, third = drawn.seeded(3), drawn.seeded(3), drawn.seeded(4)
    first = torch.rand(5, generator=one)
    assert not torch.equal(torch.rand(5, generator=one), first)
    assert torch.equal(torch.rand(5, generator=other), first)
    assert not torch.equal(torch.rand(5, generator=third), first)


def test_numbers_become_plain_only_if_they_are_floats() -> None:
    assert type(drawn.plain(np.float64(2.5))) is float
    for value in (3, True, None, "x", torch.tensor(1.0), np.float32(1)):
        assert drawn.plain(value) is value


def test_only_a_value_error_is_a_refusal() -> None:
    def call(error: Exception | None = None) -> None:
        if error is not None:
            raise error

    class Worse(ValueError):
        pass

    for error in (ValueError("y is 4"), Worse("y is 4")):
        assert drawn.check_refused("f(4)", drawn.outcome(partial(call, error))) == "y is 4"
    with pytest.raises(AssertionError, match=r"^f\(4\) passes, should raise a ValueError\.$"):
        drawn.check_refused("f(4)", drawn.outcome(call))
    with pytest.raises(AssertionError, match=r"^f\(4\) raises KeyError, should raise a ValueError\.$"):
        drawn.check_refused("f(4)", drawn.outcome(partial(call, KeyError("y"))))


Judge = Callable[[torch.Tensor], None]
# Each is given 3,000 rows of 3 standard normal numbers, or what is none of these.
JUDGES: dict[str, Judge] = {
    "near": lambda x: drawn.check_near("the mean", x.mean(dim=0), 0, 6 / 3000**0.5),
    "even": lambda x: drawn.check_even("the numbers", torch.special.ndtr(x).flatten(), ""),
    "noise": lambda x: drawn.check_noise(x, 0.15, ""),
    "unrelated": lambda x: drawn.check_unrelated("of the numbers", x, ""),
    "normal": lambda x: drawn.check_normal("the numbers", x, ""),
    "new": lambda x: drawn.check_new("two halves", x[:1500], x[1500:], ""),
    "different": lambda x: check_range("the share of different rows", drawn.share_different(x), 0.9, 1),
}
WRONG: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "half of the rows twice": (lambda x: x[:1500].repeat(2, 1), "unrelated normal new different"),
    "each row twice": (lambda x: x[:1500].repeat_interleave(2, dim=0), "unrelated normal different"),
    "antithetic": (lambda x: torch.cat([x[:1500], -x[:1500]]), "unrelated normal new different"),
    "one number a row": (lambda x: x[:, :1].expand(-1, 3), "noise unrelated normal"),
    "one row for all": (lambda x: x[:1].expand(3000, -1), "even noise normal different"),
    "uniform, of the same variance": (
        lambda x: 12**0.5 * (torch.special.ndtr(x) - 0.5),
        "even noise normal",
    ),
    "of the mean 0.2": (lambda x: x + 0.2, "near even noise normal"),
    "of the variance 1.7": (lambda x: 1.3 * x, "even noise normal"),
    "only positive": (lambda x: x.abs(), "near even noise unrelated normal new"),
    "zeros": (lambda x: 0 * x, "even noise normal different"),
}


@pytest.mark.parametrize("judge", JUDGES)
def test_what_was_drawn_as_it_should_be_passes(judge: str) -> None:
    for seed in range(200):
        JUDGES[judge](torch.randn(3000, 3, generator=drawn.seeded(seed)))


@pytest.mark.parametrize(
    ("judge", "wrong"), [(judge, wrong) for wrong, (_, by) in WRONG.items() for judge in by.split()]
)
def test_what_was_not_drawn_as_it_should_be_does_not(judge: str, wrong: str) -> None:
    for seed in range(20):
        with pytest.raises(AssertionError):
            JUDGES[judge](WRONG[wrong][0](torch.randn(3000, 3, generator=drawn.seeded(seed))))


def test_a_mean_is_near_up_to_its_bound_and_every_one_of_several_must_be() -> None:
    drawn.check_near("the mean", torch.tensor([0.4, 0.6]), torch.tensor(0.5), 0.101)
    for means in (0.61, torch.tensor([0.5, 0.39])):
        with pytest.raises(AssertionError, match=r"^the mean .*should stay in \[0\.4, 0\.6\]\. Why\?$"):
            drawn.check_near("the mean", means, 0.5, 0.1, "Why?")
