"""Cells of a submission, wherever they went: a right answer keeps its point, a wrong one gains none."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import random
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from test_homework import make
from typer.testing import CliRunner

from course_utils.authoring import homework
from course_utils.grading import cells, cli, judging, reading
from course_utils.grading.advice import advice, plain
from course_utils.grading.sandbox import Limits
from course_utils.grading.session import Session, StoppedError, alone
from course_utils.grading.worker import Runner

pytestmark = pytest.mark.timeout(300)

EXERCISE = """
# %% [markdown]
# ## @ · A number
#
# Write `f@`.

# %% key="q@" tags=["exercise"]
def f@(a):
    ### BEGIN SOLUTION
    return a + @
    ### END SOLUTION

# %% key="check-q@" tags=["check"]
# CHECK q@
got = f@(10)
assert got == 10 + @, f"q@: {got} is wrong"
print("q@:", got)
"""
SOURCE = (
    """\
# %% [markdown]
# # Homework 97
# [Open in Colab](old)

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing")
    # %pip install -q "course-utils @ git+old"

# %%
import math
"""
    + "".join(EXERCISE.replace("@", str(n)) for n in (1, 2, 3))
    + """
# %% [markdown]
# ## 4 · Open question
#
# Why are there numbers?
#
# *5 points.*
#
# ### BEGIN SOLUTION
# Because of the unspeakable reason.
# ### END SOLUTION
"""
)


HIDDEN = "import torch\n" + "".join(
    f"""
def q{n}(answer, draw):
    return {{"f{n} of a drawn number": answer.f{n}(float(torch.rand((), generator=draw)))}}
"""
    for n in (1, 2, 3)
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A homework's folder, built."""
    folder = tmp_path_factory.mktemp("cells")
    source = make(folder, SOURCE, "", HIDDEN)
    source.with_name("hw99_hidden.py").rename(source.with_name("hw97_hidden.py"))
    homework.build(source.rename(source.with_name("hw97.py")))
    return folder / "notebooks" / "homework"


@pytest.fixture(scope="module")
def hw(checkout: Path) -> reading.Homework:
    return reading.read_homework(checkout / "solution" / "hw97.ipynb")


def right(n: int) -> str:
    return f"def f{n}(a):\n    return a + {n}"


def wrong(n: int) -> str:
    return f"def f{n}(a):\n    return a - {n}"


def stub(n: int) -> str:
    return f'def f{n}(a):\n    raise NotImplementedError("q{n}: write your solution here")'


@pytest.fixture
def nb(checkout: Path) -> NotebookNode:
    """The student's notebook, with right answers."""
    return answered(checkout, right)


def answered(checkout: Path, answer: Callable[[int], str]) -> NotebookNode:
    nb, _ = reading.read_submission(checkout / "student" / "hw97.ipynb")
    for n in (1, 2, 3):
        nb.cells[at(nb, f"q{n}")].source = answer(n)
    return nb


def at(nb: NotebookNode, key: str) -> int:
    """Where the cell of this key stands."""
    return next(n for n, cell in enumerate(nb.cells) if cell.metadata.get("key") == key)


class InProcess(Session):
    """Runs a submission in this process."""

    def __init__(self) -> None:
        self.runner = Runner({})

    def _request(self, **what: Any) -> Any:
        if "ends the process" in what.get("source", ""):
            raise StoppedError("ended its process (status 1)")
        with contextlib.redirect_stdout(io.StringIO()):
            return self.runner.reply(what)


@contextlib.contextmanager
def in_process() -> Iterator[Session]:
    yield InProcess()


def judged(nb: NotebookNode, hw: reading.Homework) -> judging.Judgement:
    return judging.judge(nb, hw, judging.wanted(hw, in_process, 7), in_process, Limits())


def marks(nb: NotebookNode, hw: reading.Homework) -> str:
    """1 where an exercise passes."""
    return "".join(str(int(not message)) for message in judged(nb, hw).messages.values())


# --- What happens to cells: each takes a notebook with some answers and changes it --------------------------


def merge(nb: NotebookNode, n: int) -> None:
    answer, check = nb.cells[at(nb, f"q{n}")], nb.cells[at(nb, f"check-q{n}")]
    answer.source += "\n\n" + check.source
    nb.cells.remove(check)


def merge_into_the_check(nb: NotebookNode, n: int) -> None:
    answer, check = nb.cells[at(nb, f"q{n}")], nb.cells[at(nb, f"check-q{n}")]
    check.source = answer.source + "\n" + check.source
    nb.cells.remove(answer)


def split(nb: NotebookNode, n: int) -> None:
    cell = nb.cells[at(nb, f"q{n}")]
    lines = cell.source.split("\n")
    nb.cells.insert(nb.cells.index(cell), new_code_cell(f"helper = {n}\nimport math"))
    cell.source = "\n".join([*lines, "assert helper"])


def split_the_check(nb: NotebookNode, n: int) -> None:
    check = nb.cells[at(nb, f"check-q{n}")]
    lines = check.source.split("\n")
    check.source = "\n".join(lines[:2])
    nb.cells.insert(nb.cells.index(check) + 1, new_code_cell("\n".join(lines[2:])))


def rename(nb: NotebookNode, n: int) -> None:
    nb.cells[at(nb, f"q{n}")].metadata.key = f"q{n}-copy"


def lose_the_key(nb: NotebookNode, n: int) -> None:
    for key in (f"q{n}", f"check-q{n}"):
        nb.cells[at(nb, key)].metadata = {}


def move_down(nb: NotebookNode, n: int) -> None:
    nb.cells.append(nb.cells.pop(at(nb, f"q{n}")))


def move_up(nb: NotebookNode, n: int) -> None:
    nb.cells.insert(2, nb.cells.pop(at(nb, f"q{n}")))


def move_down_without_key(nb: NotebookNode, n: int) -> None:
    nb.cells.append(new_code_cell(nb.cells.pop(at(nb, f"q{n}")).source))


def scratch_below_the_stub(nb: NotebookNode, n: int) -> None:
    cell = nb.cells[at(nb, f"q{n}")]
    nb.cells.append(new_code_cell("# tried\n" + cell.source))
    cell.source = stub(n)


def delete_the_check(nb: NotebookNode, n: int) -> None:
    nb.cells.pop(at(nb, f"check-q{n}"))


def double_the_check(nb: NotebookNode, n: int) -> None:
    place = at(nb, f"q{n}")
    nb.cells.insert(place, copy.deepcopy(nb.cells[at(nb, f"check-q{n}")]))
    nb.cells.insert(place, new_code_cell(wrong(n)))


def answer_in_the_check(nb: NotebookNode, n: int) -> None:
    nb.cells[at(nb, f"check-q{n}")].source = nb.cells.pop(at(nb, f"q{n}")).source


def answer_in_an_edited_check(nb: NotebookNode, n: int) -> None:
    check = nb.cells[at(nb, f"check-q{n}")]
    check.source = f"# CHECK q{n}\n" + nb.cells.pop(at(nb, f"q{n}")).source + f"\nprint(f{n}(1))"


def markdown(nb: NotebookNode, n: int) -> None:
    place = at(nb, f"q{n}")
    nb.cells[place] = new_markdown_cell(nb.cells[place].source, metadata=nb.cells[place].metadata)


def markdown_becomes_code(nb: NotebookNode, n: int) -> None:
    for place, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            nb.cells[place] = new_code_cell(cell.source)


def experiment_below(nb: NotebookNode, n: int) -> None:
    check = at(nb, f"check-q{n}")
    copied = copy.deepcopy(nb.cells[at(nb, f"q{n}")])
    copied.source = wrong(n)
    nb.cells.insert(check + 1, copied)


def magics(nb: NotebookNode, n: int) -> None:
    cell = nb.cells[at(nb, f"q{n}")]
    cell.source = "%%time\n" + cell.source + f"\n!pip install x \\\n   y\n%timeit f{n}(1)\nf{n}?\nfiles = !ls"


def mount(nb: NotebookNode, n: int) -> None:
    text = "import os, math\nfrom google.colab import drive\ndrive.mount('/content/drive')\n"
    text += "here = os.getcwd()\nprint(here)\n"
    cell = nb.cells[at(nb, f"q{n}")]
    cell.source = text + cell.source
    nb.cells.insert(2, new_code_cell("try:\n    import google.colab\nexcept ImportError:\n    pass"))


def harmless_imports(nb: NotebookNode, n: int) -> None:
    text = "from __future__ import annotations\nimport time, warnings, random, functools\n"
    text += "warnings.filterwarnings('ignore')\n"
    cell = nb.cells[at(nb, f"q{n}")]
    cell.source = text + "start = time.time()\n" + cell.source + "\nprint(time.time() - start)"


def broken_scratch(nb: NotebookNode, n: int) -> None:
    place = at(nb, f"q{n}")
    for text in (
        "def (",
        "%%bash\nls",
        "1 / 0",
        "open('x')",
        "x = (",
        "raise SystemError",
        "ends the process = 1",
    ):
        nb.cells.insert(place, new_code_cell(text))


def scratch_that_ends_the_process(nb: NotebookNode, n: int) -> None:
    nb.cells.insert(at(nb, f"q{n}"), new_code_cell("x = 'ends the process'"))


def prompts_and_indents(nb: NotebookNode, n: int) -> None:
    cell = nb.cells[at(nb, f"q{n}")]
    cell.source = "\n".join("    " + line for line in cell.source.split("\n"))


CHANGES = [
    merge, merge_into_the_check, split, split_the_check, rename, lose_the_key, move_down, move_up,
    move_down_without_key, scratch_below_the_stub, delete_the_check, double_the_check, answer_in_the_check,
    answer_in_an_edited_check, markdown, markdown_becomes_code, experiment_below, magics, mount, harmless_imports,
    broken_scratch, scratch_that_ends_the_process, prompts_and_indents,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_right_answer_keeps_its_point_and_a_wrong_one_gains_none(
    change: Callable[[NotebookNode, int], None], checkout: Path, hw: reading.Homework
) -> None:
    for number in (1, 2, 3):
        good, bad = answered(checkout, right), answered(checkout, wrong)
        change(good, number)
        change(bad, number)
        assert marks(good, hw) == "111", number
        assert marks(bad, hw) == "000", number


@pytest.mark.parametrize("seed", range(60))
def test_any_two_changes_at_any_place_cost_nothing(seed: int, checkout: Path, hw: reading.Homework) -> None:
    """Changes on different exercises, and cells of nobody's anywhere."""
    draw = random.Random(seed)
    numbers = draw.sample((1, 2, 3), 2)
    changes = [draw.choice(CHANGES) for _ in numbers]
    for answer, expected in ((right, "111"), (wrong, "000")):
        nb = answered(checkout, answer)
        for change, number in zip(changes, numbers, strict=True):
            change(nb, number)
        for _ in range(3):
            text = draw.choice(["print(1)", "import os", "!ls", "x = f1", "1 / 0", "# nothing", "got = 3"])
            nb.cells.insert(draw.randrange(2, len(nb.cells) + 1), new_code_cell(text))
        assert marks(nb, hw) == expected, [change.__name__ for change in changes]


def test_an_answer_that_a_cell_of_the_teachers_below_it_does_not_survive_costs_its_exercise_only(
    checkout: Path, hw: reading.Homework
) -> None:
    nb, want = answered(checkout, right), judging.wanted(hw, in_process, 7)
    first, *others = hw.exercises
    after = [new_code_cell("'ends the process'")]
    below = dataclasses.replace(hw, exercises=[dataclasses.replace(first, after=after), *others])
    messages = judging.judge(nb, below, want, in_process, Limits(seconds=10)).messages
    assert messages == {
        "q1": "The code was stopped: a cell ended its process (status 1).", "q2": "", "q3": "",
    }  # fmt: skip


def test_everything_lost_but_the_code(checkout: Path, hw: reading.Homework) -> None:
    """No keys, no headings, no checks, other order, one cell: the names of the functions are left."""
    for answer, expected in ((right, "111"), (wrong, "000")):
        codes = [new_code_cell(answer(n)) for n in (3, 1, 2)]
        assert marks(nbformat.v4.new_notebook(cells=codes), hw) == expected
        one = new_code_cell("\n\n".join(answer(n) for n in (3, 1, 2)))
        assert marks(nbformat.v4.new_notebook(cells=[one]), hw) == expected


def test_a_later_version_below_the_check_counts_where_the_one_above_is_wrong(
    checkout: Path, hw: reading.Homework
) -> None:
    nb = answered(checkout, wrong)
    for text in (right(2), wrong(2)):  # fixed, then tried something else
        nb.cells.insert(len(nb.cells) - 1, new_code_cell(text))
    assert marks(nb, hw) == "010"
    nb = answered(checkout, wrong)
    for n in range(1, 10):  # guesses are limited
        nb.cells.append(new_code_cell(f"def f1(a):\n    return a * {n} + 1" if n != 1 else right(1)))
    assert marks(nb, hw) == "000"


def test_what_is_left_out_is_named_with_cell_and_line(checkout: Path, hw: reading.Homework) -> None:
    nb = answered(checkout, right)
    place = at(nb, "q2")
    nb.cells[place].source = "x = 1\nfrom google.colab import drive\n!ls\n" + wrong(2)
    nb.cells.insert(place, new_code_cell("y = 1\ndef (:"))
    found = judged(nb, hw)
    assert found.left_out[0].startswith(f"cell {place + 1}, line 2: is not plain Python (")
    expected = [
        f"cell {place + 2}, line 2: ModuleNotFoundError: No module named 'google'",
        f"cell {place + 2}, line 3: `!ls` is not run: no line with % or ! is",
    ]
    assert found.left_out[1:] == expected
    assert found.messages["q1"] == ""
    assert found.messages["q2"].startswith("q2: 8 is wrong Left out: ")
    for line in found.left_out:
        assert line in found.messages["q2"]


def test_an_answer_that_builds_on_a_wrong_one_is_told_so(checkout: Path, hw: reading.Homework) -> None:
    nb = answered(checkout, right)
    nb.cells[at(nb, "q1")].source = wrong(1)
    nb.cells[at(nb, "q3")].source = "def f3(a):\n    return f1(a) + 2"
    messages = judged(nb, hw).messages
    assert messages["q3"] == "q3: 11 is wrong It uses `f1` of q1, which does not pass either."
    assert messages["q1"].endswith("is wrong")


def test_lines_keep_their_numbers_when_those_of_the_notebook_are_left_out() -> None:
    text, left = plain(
        "x = 1\n%matplotlib inline\n!pip install x \\\n   y\nfor n in x:\n    %time f(n)\ny = 3"
    )
    assert text == "x = 1\npass\npass\n\nfor n in x:\n    pass\ny = 3"
    assert [line for line, _ in left] == [3, 6]
    own = "x = '\u2028\x0c'\ny = '''\n%time'''"
    assert plain(own) == (own, [])
    for text in ("%%bash\nls", "def (:", "\0", "(" * 5000 + ")" * 5000):
        kept, ((line, why),) = plain(text)
        assert (kept, line) == ("", 1)
        assert "is not run" in why or "are not run" in why
    assert plain("") == ("", [])


def test_a_student_is_told_what_may_not_work_where_it_is_graded() -> None:
    text = "import os, numpy.linalg, pandas\nfrom google.colab import drive\nfrom . import x\nx = pandas.read_csv('a')"
    assert [line for line, _ in advice(text)] == [1, 2, 4]
    said = [why for _, why in advice(text)]
    assert "`import pandas`: where this is graded it may not be installed" in said
    assert "`read_csv` reads a file: where this is graded there are no files and no network" in said
    assert advice("") == advice("def load(x):\n    return x.reload()") == []


def test_no_solution_and_no_wrong_answer_is_advised_against() -> None:
    """What teachers thought of as an answer may be handed in."""
    sources = sorted((Path(__file__).parents[2] / "notebooks" / "homework" / "source").glob("hw*.py"))
    cells = [cell for path in sources for cell in path.read_text().split("# %%")[1:]]
    code = [text for cell in cells if (text := plain(cell.partition("\n")[2])[0])]
    assert len(code) > 500
    assert [found for text in code for found in advice(text)] == []


def test_the_page_shows_question_and_answer(checkout: Path, hw: reading.Homework) -> None:
    nb = answered(checkout, right)
    assert cells.open_question(hw) == "## 4 · Open question\n\nWhy are there numbers?\n\n*5 points.*"
    assert cells.open_answer(nb, hw) == ""
    (place,) = (n for n, cell in enumerate(nb.cells) if "Open question" in cell.source)
    nb.cells[place].source += "\nBecause we count."
    assert cells.open_answer(nb, hw) == "Because we count."
    nb.cells[place] = new_code_cell(nb.cells[place].source)  # became code
    assert cells.open_answer(nb, hw) == "Because we count."
    nb.cells[place] = new_markdown_cell("Because we *must* count.")  # the heading is gone
    nb.cells += [new_code_cell("x = 1"), new_code_cell("And so on, and on")]
    assert cells.open_answer(nb, hw) == "Because we *must* count.\n\nAnd so on, and on"
    nb.cells.append(new_code_cell("# In a cell of code,\n# as comments."))
    nb.cells.append(new_code_cell("#" + "\n" * 200_000))  # and this in no time
    assert cells.open_answer(nb, hw).endswith("on\n\nIn a cell of code,\nas comments.")


def test_what_somebody_wrote_into_the_students_notebook_costs_nobody_an_answer(tmp_path: Path) -> None:
    """A teacher tries the homework where it lies; students hand in the same words."""
    source = make(tmp_path, SOURCE, "", HIDDEN)
    source.with_name("hw99_hidden.py").rename(source.with_name("hw97_hidden.py"))
    homework.build(source.rename(source.with_name("hw97.py")))
    folder = tmp_path / "notebooks" / "homework"
    student, solution = (folder / which / "hw97.ipynb" for which in ("student", "solution"))
    before = reading.read_homework(solution)
    nb, _ = reading.read_submission(student)
    (place,) = (n for n, cell in enumerate(nb.cells) if "Open question" in cell.source)
    nb.cells.insert(place + 1, new_markdown_cell("Because we count."))
    nbformat.write(nb, student)
    after = reading.read_homework(solution)
    assert cells.open_answer(nb, after) == "Because we count."
    assert before.digest == after.digest
    student.unlink()
    assert reading.read_homework(solution).texts == after.texts


# --- The command ---------------------------------------------------------------------------------------------


def test_a_loop_costs_its_exercise_only_in_check_too(
    checkout: Path, hw: reading.Homework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nb = answered(checkout, right)
    nb.cells[at(nb, "q1")].source += "\nwhile True:\n    pass"
    nb.cells.insert(at(nb, "q3"), new_code_cell("while True:\n    pass"))
    limits = Limits(cell_seconds=3, wall=False)
    start = partial(alone, limits)
    found = judging.judge(nb, hw, judging.wanted(hw, start, 7), start, limits)
    cell = at(nb, "q1") + 1
    assert found.messages == {
        "q1": f"The code was stopped: a cell takes longer than 3 s. It is cell {cell} of the notebook.",
        "q2": "", "q3": "",
    }  # fmt: skip
    lines = [f"cell {n}, line 1: it takes longer than 3 s" for n in (cell, at(nb, "q3"))]
    assert found.left_out == lines
    nbformat.write(nb, tmp_path / "mine.ipynb")  # no solution at hand
    alone_found = homework.results(tmp_path / "mine.ipynb", cell_timeout=3)
    assert {key: result.passed for key, result in alone_found.items()} == {
        "q1": False,
        "q2": True,
        "q3": False,
    }
    assert alone_found["q1"].message == f"was not run: cell {cell} takes longer than 3 s"


def test_what_is_no_homework_is_one_clear_line(tmp_path: Path, checkout: Path) -> None:
    (tmp_path / "text.ipynb").write_text("hello")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("hw97.ipynb", "{}")
    nbformat.write(nbformat.v4.new_notebook(cells=[new_code_cell("1")]), tmp_path / "lecture.ipynb")
    lecture = [new_markdown_cell("## 1 · A section"), new_code_cell("1", metadata={"key": "A1"})]
    nbformat.write(nbformat.v4.new_notebook(cells=lecture), tmp_path / "01.ipynb")
    (tmp_path / "empty.py").write_text("# %%\nx = 1\n")
    (tmp_path / "latin.py").write_bytes(b"\xe9\xff")
    source = checkout / "source" / "hw97.py"
    (tmp_path / "hw96.py").write_text(source.read_text())
    wrong_file = checkout / "source" / "hw97_wrong.py"
    wrong_file.write_text("# %%\nx = 1\n")
    for words, message in {
        ("check", tmp_path / "text.ipynb"): "text.ipynb is not a notebook: it does not hold JSON",
        ("check", tmp_path / "all.zip"): "all.zip is not a notebook: it is an archive; unpack it",
        ("check", source): "hw97.py is not a notebook: it is a script exported from one",
        ("check", tmp_path / "lecture.ipynb"): "lecture.ipynb is no homework: it has no check cells",
        ("check", tmp_path / "01.ipynb"): "01.ipynb is no homework: it has no check cells",
        ("wrong", tmp_path / "lecture.ipynb"): "lecture.ipynb is no homework's source: that is a .py file",
        ("wrong", tmp_path / "empty.py"): "empty.py is no homework's source: no cell begins with",
        ("wrong", tmp_path / "latin.py"): "latin.py is not a text in UTF-8",
        ("wrong", tmp_path / "hw96.py"): "there is no hw96_wrong.py beside hw96.py",
        ("wrong", wrong_file): "hw97_wrong.py holds wrong answers: give the homework's source, hw97.py",
    }.items():
        done = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert (done.exit_code, done.output.count("\n")) == (2, 1), words
        assert done.output.startswith(f"error: {message}"), done.output
