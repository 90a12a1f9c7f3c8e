"""Homework: a source's marks, the two notebooks made from it, which exercises pass, and wrong answers."""

from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from course_utils.authoring import homework, kernel
from course_utils.authoring import notebooks as notebook
from course_utils.authoring.homework import HomeworkError, Result
from course_utils.grading import cli

SOURCE = '''\
# %% [markdown]
# # Homework 99
# [Open in Colab](old)

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing")
    # %pip install -q "course-utils @ git+old"

# %%
from course_utils.checks import check_close

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


HIDDEN = """\
import torch


def q1(answer, draw):
    a, b = torch.randn(2, 5, generator=draw)
    return {"squared_error of five numbers": answer.squared_error(a, b)}


def q2(answer, draw):
    return {"pixels": answer.pixels}
"""


def make(folder: Path, source: str = SOURCE, wrong: str = WRONG, hidden: str = HIDDEN) -> Path:
    """A checkout's homework source, with its wrong answers and hidden checks."""
    path = folder / "notebooks" / "homework" / "source" / "hw99.py"
    path.parent.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/pictures"\n'
    )
    path.write_text(source)
    path.with_name("hw99_wrong.py").write_text(wrong)
    path.with_name("hw99_hidden.py").write_text(hidden)
    return path


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
    assert homework.results(solution) == {"q1": Result(True, ""), "q2": Result(True, "")}


def test_the_stub_fails_exactly_at_its_checks(
    built: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, run = [], kernel.run

    def watched(nb: nbformat.NotebookNode, *arguments: Path, **options: object) -> None:
        run(nb, *arguments, **options)
        failed.extend(
            cell.source[:10] for cell in nb.cells if cell.cell_type == "code" and kernel.failure(cell)
        )

    monkeypatch.setattr(kernel, "run", watched)
    done = CliRunner().invoke(cli.app, ["check", str(built[0])])
    assert done.exit_code == 1
    assert "q1  NotImplementedError: q1: write your solution here\nq2  q2: pixels is still" in done.output
    assert failed == ["# CHECK q1", "# CHECK q2"]


def test_a_student_is_told_which_exercise_fails_and_why(built: tuple[Path, Path], tmp_path: Path) -> None:
    nb = nbformat.read(built[0], as_version=4)
    for cell in nb.cells:
        cell.source = cell.source.replace("pixels = ...", "pixels = 28 * 2 * 28")
        cell.source = cell.source.replace(
            'raise NotImplementedError("q1: write your solution here")',
            "print(a.shape)\n    torch.tensor(a)\n    return ((a - b) ** 2).sum()",
        )
    failed = nbformat.v4.new_output(
        "error", ename="AssertionError", evalue="from an earlier run", traceback=[]
    )
    check = next(cell for cell in nb.cells if cell.source.startswith("# CHECK q1"))
    check.update(outputs=[failed], execution_count=4)
    mine = tmp_path / "[CS101] images" / "hw99[1].ipynb"
    mine.parent.mkdir()
    nbformat.write(nb, mine)
    found = homework.results(mine)
    assert found["q1"] == Result(True, "")
    assert not found["q2"].passed
    assert found["q2"].message.startswith("q2: pixels is 1568, should be 784. It is 2 times the right value")
    lines = homework.report(found).split("\n")
    assert lines[0] == "q1  passed"
    assert lines[2] == "1 of 2 pass"


def written(folder: Path, *cells: str) -> Path:
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(nb, folder / "mine.ipynb")
    return folder / "mine.ipynb"


def test_a_check_that_is_gone_or_moved_down_does_not_pass_what_is_wrong(tmp_path: Path) -> None:
    mine = written(
        tmp_path,
        "a, b = 1, 2",
        "\n# CHECK q1\nassert a == 7, 'a is 1'\nprint(a)",  # a blank line above it
        "# mine\n# CHECK q2\nassert a == 7, 'a is still 1'\nprint(a)",
        "# CHECK q4",  # emptied; q3 is deleted
        "# mine\n# CHECK q5\nassert b == 2\nprint(b)",
        "c = 3\n# CHECK q6\nassert c == 3\nprint(c)",  # merged with the answer
    )
    nb = nbformat.read(mine, as_version=4)
    nb.cells.append(nbformat.v4.new_code_cell("print(7)", metadata={"key": "check-q7"}))
    nb.cells.append(nbformat.v4.new_markdown_cell("## 8 · The last"))
    nb.cells.append(nbformat.v4.new_markdown_cell("## 10 · Open question"))
    nbformat.write(nb, mine)
    found = homework.results(mine)
    assert [key for key, result in found.items() if result.passed] == ["q5", "q6"]
    assert list(found) == [f"q{n}" for n in range(1, 9)]
    assert [found[key].message for key in ("q1", "q2")] == ["a is 1", "a is still 1"]
    assert {found[key].message[:12] for key in ("q3", "q4", "q7", "q8")} == {"has no check"}


def test_what_comes_after_a_cell_that_takes_too_long_does_not_pass(tmp_path: Path) -> None:
    cells = ["# CHECK q1\nprint(1)", "import time\ntime.sleep(60)", "# CHECK q2\nprint(2)"]
    found = homework.results(written(tmp_path, *cells), cell_timeout=2)
    assert found["q1"].passed
    assert found["q2"] == Result(False, "was not run: cell 2 takes longer than 2 s")


def test_a_solution_that_fails_changes_nothing(tmp_path: Path) -> None:
    source = make(tmp_path, SOURCE.replace("secret_difference = a - b", "raise IndexError('lost')"))
    with pytest.raises(notebook.NotebookError, match="IndexError: lost"):
        homework.build(source)
    assert [path.name for path in (tmp_path / "notebooks").rglob("*.ipynb")] == []


def test_what_is_no_homework_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(HomeworkError, match=r"mine\.ipynb is no homework: it has no check cells"):
        homework.results(written(tmp_path, "1"))
    (tmp_path / "mine.ipynb").write_text("not json")
    source = make(tmp_path, SOURCE.replace("# CHECK q2", "# CHECK q3"))
    for words, message in {
        ("check", tmp_path / "mine.ipynb"): "error: mine.ipynb is not a notebook",
        ("build", source): "error: hw99.py, line",
    }.items():
        done = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert done.exit_code == 2
        assert done.output.startswith(message)
        assert done.output.count("\n") == 1


# --- Wrong answers ------------------------------------------------------------------------------------------


def test_wrong_answers_that_are_not_caught_are_told(tmp_path: Path) -> None:
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
