"""Homework: the checks' messages, a source's marks, the two notebooks made from it, and wrong answers."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from course_utils import grading, homework, nbval_run, notebook
from course_utils.homework import (
    HomeworkError,
    check_close,
    check_gradients,
    check_raises,
    check_range,
    check_shape,
)

SOURCE = '''\
# %% [markdown]
# # Homework 99
# [![Open in Colab](old)](old)

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing")
    # %pip install -q "course-utils @ git+old"

# %%
from course_utils.homework import check_close

# %% [markdown]
# ## q1 · The mean squared error

# %% key="q1" tags=["exercise"]
def squared_error(a, b):
    """Summed over each pair's values."""
    ### BEGIN SOLUTION
    secret_difference = a - b
    return (secret_difference**2).sum()
    ### END SOLUTION


# %% key="check-q1" tags=["check"]
# CHECK q1
import torch

got = squared_error(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0]))
check_close("q1: squared_error(a, b)", got, 5.0)
print("q1:", round(float(got), 3))

# %% [markdown]
# ## q2 · A number

# %% key="q2" tags=["exercise"]
### BEGIN SOLUTION
### STUB: # Pixels of a 28 by 28 image:
### STUB: pixels = ...
hidden_side = 28
pixels = hidden_side**2
### END SOLUTION

# %% key="check-q2" tags=["check"]
# CHECK q2
check_close("q2: pixels", pixels, 784)
print("q2:", float(pixels))

# %% [markdown]
# Why is the sum, not the mean, used?
#
# ### BEGIN SOLUTION
# Because of the unspeakable reason.
# ### END SOLUTION
'''

WRONG = """\
# %% [markdown]
# # Wrong answers to homework 99

# %%
# WRONG q1: averages
def squared_error(a, b):
    return ((a - b) ** 2).mean()


# %%
# WRONG q1: forgets the square
def squared_error(a, b):
    return (a - b).sum()


# %%
# WRONG q1: does not sum
def squared_error(a, b):
    return (a - b) ** 2


# %%
# WRONG q2: adds
pixels = 28 + 28

# %%
# WRONG q2: counts one side
pixels = 28

# %%
# WRONG q2: counts colours
pixels = 3 * 28 * 28
"""


def make(folder: Path, source: str = SOURCE, wrong: str = WRONG) -> Path:
    """A checkout's homework source, with its wrong answers."""
    path = folder / "notebooks" / "homework" / "source" / "hw99.py"
    path.parent.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/pictures"\n'
    )
    path.write_text(source)
    path.with_name("hw99_wrong.py").write_text(wrong)
    return path


# --- Checks -------------------------------------------------------------------------------------------------

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


# --- The source's marks -------------------------------------------------------------------------------------


def test_split_replaces_solutions_by_stubs() -> None:
    student, solution = homework.split(SOURCE)
    assert '    raise NotImplementedError("q1: write your solution here")\n' in student
    assert "# Pixels of a 28 by 28 image:\npixels = ...\n" in student
    assert "# *Your answer:*" in student
    for secret in ("secret_difference", "hidden_side", "unspeakable"):
        assert secret not in student
        assert secret in solution
    for text in (student, solution):
        assert "BEGIN SOLUTION" not in text
        assert "STUB" not in text
        assert '"""Summed over each pair\'s values."""' in text


CHECK_Q1 = '\n# %% key="check-q1" tags=["check"]\n# CHECK q1\nprint(1)\n'
DONE = "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('# %% key="q1"\nx = 1\n### BEGIN SOLUTION\nx = 2\n' + CHECK_Q1, "line 3: BEGIN SOLUTION has no END"),
        ('# %% key="q1"\n### END SOLUTION\n', "line 2: '### END SOLUTION' without a BEGIN"),
        ('# %% key="q1"\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n', "line 3: BEGIN SOLUTION inside"),
        ('# %% key="q1"\n### STUB: x = 1\n', "line 2: .* without a BEGIN"),
        ('# %% key="q1"\n# BEGIN SOLUTION\nx = 1\n', "line 2: '# BEGIN SOLUTION' is not a mark"),
        ('# %% key="q1"\n### BEGIN SOLUTION\n1\n### END SOLUTION\n' + CHECK_Q1, "line 2: a solution outside"),
        ("# %%\n" + DONE, "line 1: an exercise needs a key"),
        ('# %% key="q1"\n' + DONE, "line 1: exercise 'q1' has no check"),
        ('# %% key="q2"\n' + DONE + CHECK_Q1, "line 7: check of 'q1', but no exercise"),
        (CHECK_Q1 + '\n# %% key="q1"\n' + DONE, "line 2: the check of 'q1' stands before"),
        ('# %% key="q1"\n' + DONE + CHECK_Q1 + CHECK_Q1, "line 11: key 'check-q1' stands in line 7 too"),
        ('# %% key="q1"\n' + DONE + CHECK_Q1.replace('"check-q1"', '"c"'), "line 7: write # %% key="),
        ('# %% key="q1"\n' + DONE + CHECK_Q1.replace("print(1)", "1"), "line 7: a check must print"),
        ('# %% key="q1"\n' + DONE + CHECK_Q1.replace("# CHECK q1\n", ""), "line 7: a check's first line"),
        ('# %% key="q1" answer="return 1"\n' + DONE + CHECK_Q1, "line 1: .* may carry"),
        ("x = 1\n# %%\n", "line 1: text before the first"),
    ],
)  # fmt: skip
def test_a_malformed_source_is_refused_with_its_line(source: str, message: str) -> None:
    with pytest.raises(HomeworkError, match=f"^hw99.py, {message}"):
        homework.split(source, name="hw99.py")


# --- The two notebooks --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return homework.build(make(tmp_path_factory.mktemp("homework")))


def test_the_student_gets_no_solution(built: tuple[Path, Path]) -> None:
    student, solution = built
    for path in (student, student.with_suffix(".py")):
        for secret in ("secret_difference", "hidden_side", "784.0", "unspeakable", "SOLUTION", "STUB"):
            assert secret not in path.read_text(), f"{secret} in {path.name}"
    cells = nbformat.read(student, as_version=4).cells
    assert all(
        cell.execution_count is None and cell.outputs == [] for cell in cells if cell.cell_type == "code"
    )
    assert notebook.in_sync(student.with_suffix(".py"), student) == []
    assert "notebooks/homework/student/hw99.ipynb" in cells[0].source
    assert "unspeakable" in solution.read_text()


def test_the_solution_passes_and_is_executed(built: tuple[Path, Path]) -> None:
    _, solution = built
    assert notebook.check(solution.with_suffix(".py")) == []
    found = homework.results(solution, compare=True)
    assert found == {"q1": homework.Result(True, ""), "q2": homework.Result(True, "")}


def test_the_stub_fails_exactly_at_its_checks(built: tuple[Path, Path]) -> None:
    student, _ = built
    run = nbval_run.run_nbval(student, cell_timeout=60)
    assert [cell.passed for cell in run.cells] == [
        not cell.source.startswith("# CHECK") for cell in run.cells
    ]
    assert [cell.source[:10] for cell in run.cells if not cell.passed] == ["# CHECK q1", "# CHECK q2"]


def test_a_student_is_told_which_exercise_fails_and_why(built: tuple[Path, Path], tmp_path: Path) -> None:
    nb = nbformat.read(built[0], as_version=4)
    for cell in nb.cells:
        cell.source = cell.source.replace("pixels = ...", "pixels = 28 * 2 * 28")
        cell.source = cell.source.replace(
            'raise NotImplementedError("q1: write your solution here")', "return ((a - b) ** 2).sum()"
        )
    failed = nbformat.v4.new_output(
        "error", ename="AssertionError", evalue="from an earlier run", traceback=[]
    )
    check = next(cell for cell in nb.cells if cell.source.startswith("# CHECK q1"))
    check.update(outputs=[failed], execution_count=4)
    nbformat.write(nb, tmp_path / "mine.ipynb")
    found = homework.results(tmp_path / "mine.ipynb")
    assert found["q1"] == homework.Result(True, "")
    assert not found["q2"].passed
    assert found["q2"].message.startswith("q2: pixels is 1568, should be 784. It is 2 times the right value")
    lines = homework.report(found).split("\n")
    assert lines[0] == "q1  passed"
    assert lines[2] == "1 of 2 pass"


def test_the_command_line_exits_with_1_where_an_exercise_fails(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    runner = CliRunner()
    done = runner.invoke(grading.app, ["check", str(built[0])])
    assert done.exit_code == 1
    assert "q1  NotImplementedError: q1: write your solution here" in done.output
    source = make(tmp_path, SOURCE.replace("# CHECK q2", "# CHECK q3"))
    done = runner.invoke(grading.app, ["build", str(source)])
    assert done.exit_code == 1
    assert "hw99.py, line" in done.output


def test_a_solution_that_fails_changes_nothing(tmp_path: Path) -> None:
    source = make(tmp_path, SOURCE.replace("hidden_side = 28", "hidden_side = 27"))
    with pytest.raises(notebook.NotebookError, match="q2: pixels is 729, should be 784"):
        homework.build(source)
    assert [path.name for path in (tmp_path / "notebooks").rglob("*.ipynb")] == []


def test_a_notebook_without_checks_is_refused(tmp_path: Path) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "empty.ipynb")
    with pytest.raises(HomeworkError, match=r"empty\.ipynb has no check cells"):
        homework.results(tmp_path / "empty.ipynb")


# --- Wrong answers ------------------------------------------------------------------------------------------


def test_wrong_answers_are_caught(tmp_path: Path) -> None:
    assert homework.uncaught(make(tmp_path)) == []


def test_what_is_not_caught_is_told(tmp_path: Path) -> None:
    wrong = WRONG.replace("pixels = 28 + 28", "pixels = 28 * 28")
    wrong = wrong.replace("pixels = 3 * 28 * 28", "pixels = undefined")
    wrong = wrong.replace("return ((a - b) ** 2).mean()", "raise KeyError('a')")
    wrong = wrong.replace("# WRONG q1: does not sum", "# WRONG q2: belongs elsewhere")
    source = SOURCE.replace('check_close("q2: pixels", pixels, 784)', "assert pixels == 784")
    assert homework.uncaught(make(tmp_path, source, wrong)) == [
        "q1: 2 wrong answers, 3 needed",
        "q1: averages: its check stops with KeyError: 'a', instead of saying what is wrong",
        "q2: belongs elsewhere: its check stops with NameError: name 'pixels' is not defined, "
        "instead of saying what is wrong",
        "q2: adds: passes its check",
        "q2: counts one side: its check fails without saying why",
        "q2: counts colours: stops before its check with NameError: name 'undefined' is not defined",
    ]


def test_a_wrong_answer_names_its_exercise(tmp_path: Path) -> None:
    with pytest.raises(HomeworkError, match=r"hw99_wrong\.py, line 4: a wrong answer begins with"):
        homework.uncaught(make(tmp_path, wrong=WRONG.replace("# WRONG q1: averages", "# WRONG q7: averages")))
