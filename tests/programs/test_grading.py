"""Grading: a folder of submissions from end to end, and the command line."""

import contextlib
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import nbformat
import pytest
from test_homework import HIDDEN, make
from typer.testing import CliRunner

from course_utils.authoring import homework
from course_utils.authoring.homework import HomeworkError
from course_utils.grading import cli, grade, judging, reading, session
from course_utils.grading.cells import answers
from course_utils.grading.reading import SubmissionError
from course_utils.grading.sandbox import Limits, SandboxError
from course_utils.grading.session import StoppedError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)
WALL = sys.platform == "linux"  # elsewhere what the limits hold is tried without it
walled = pytest.mark.skipif(not WALL, reason="bubblewrap builds the wall on Linux")

# --- Reading what is handed in ------------------------------------------------------------------------------

RIGHT = "def squared_error(a, b):\n    return ((a - b) ** 2).sum()"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one homework, built."""
    folder = tmp_path_factory.mktemp("checkout")
    homework.build(make(folder))
    return folder / "notebooks" / "homework"


@pytest.fixture(scope="module")
def hw(checkout: Path) -> reading.Homework:
    return reading.read_homework(checkout / "solution" / "hw99.ipynb")


def submission(checkout: Path, q1: str = RIGHT, q2: str = "pixels = 28 * 28") -> nbformat.NotebookNode:
    """The student's notebook with answers."""
    nb = nbformat.read(checkout / "student" / "hw99.ipynb", as_version=4)
    for cell in nb.cells:
        cell.source = {"q1": q1, "q2": q2}.get(cell.metadata.get("key"), cell.source)
    return nb


def test_cells_are_found_by_their_key_or_by_the_checks_around_them(
    checkout: Path, hw: reading.Homework
) -> None:
    nb = submission(checkout, q2="pixels = 3")
    nb.cells.insert(-1, nbformat.v4.new_code_cell("scratch = 1"))
    expected = {"q1": [RIGHT], "q2": ["pixels = 3", "scratch = 1"]}
    assert answers(nb, hw) == expected
    for cell in nb.cells:  # Colab may drop metadata
        cell.metadata = {}
    assert answers(nb, hw) == expected
    nb.cells = [cell for cell in nb.cells if "# CHECK" not in cell.source]
    assert [*chain(*answers(nb, hw).values())] == [*chain(*expected.values())]


def test_answers_merged_with_checks_are_found(checkout: Path, hw: reading.Homework) -> None:
    code = [cell for cell in submission(checkout).cells if cell.cell_type == "code"]
    by_key = {cell.metadata.get("key"): cell.source for cell in code}
    setup, q1, check1, q2, check2 = code[0].source, *(by_key[k] for k in ("q1", "check-q1", "q2", "check-q2"))
    expected = {"q1": [q1], "q2": [q2]}
    for cells in (
        [setup, f"{q1}\n\n{check1}", f"{q2}\n{check2}"],
        [setup, f"{q1}\n{check1}\n\n{q2}\n{check2}\n"],
        [setup, q1, f"\n# mine\n{check1}", q2, f"# mine\n\n{check2}"],
        [setup, q1, check1 + "\nprint('edited')" + f"\n{check1}", q2],
    ):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        found = answers(nb, hw)
        if "edited" not in "".join(cells):
            assert found == expected
        assert [source for source in chain(*found.values()) if "edited" not in source] == [q1, q2]


def test_every_exercise_has_a_hidden_check(checkout: Path, tmp_path: Path) -> None:
    solution, hidden = checkout / "solution" / "hw99.ipynb", tmp_path / "hw99_hidden.py"
    for text, message in (
        ("def q1(answer, draw): pass", r"hw99_hidden.py asks nothing of q2: write q2\(answer, draw\)"),
        (HIDDEN + "\ndef q7(answer, draw): pass", "hw99_hidden.py asks q7; the exercises are q1, q2"),
        (HIDDEN + "\ndef judge_q3(got, want): pass", "hw99_hidden.py: judge_q3 stands without q3"),
        ("import no_such_module", "hw99_hidden.py does not run: ModuleNotFoundError"),
        ("def q1(", "hw99_hidden.py does not run: SyntaxError"),
    ):
        hidden.write_text(text)
        with pytest.raises(HomeworkError, match=message):
            reading.read_homework(solution, hidden)
    with pytest.raises(HomeworkError, match=r"nowhere\.py: no hidden checks: No such file"):
        reading.read_homework(solution, tmp_path / "nowhere.py")
    with pytest.raises(HomeworkError, match=r"the check of q1 stores no output; build it again"):
        reading.read_homework(checkout / "student" / "hw99.ipynb")


MALFORMED = {
    "junk": (bytes(range(256)) * 100, "does not hold JSON"),
    "text": (b"hello", "does not hold JSON"),
    "empty": (b"", "it is empty"),
    "list": (b"[]", "is not a notebook"),
    "other": (b'{"a": 1}', "is not a notebook"),
    "no cells": (b'{"nbformat": 4}', "it has no list of cells"),
    "odd cells": (b'{"nbformat": 4, "cells": [3]}', "cell 1 has no source"),
    "odd source": (b'{"nbformat": 4, "cells": [{"source": [1]}]}', "cell 1 has no source"),
    "deep": (b"[" * 200_000, "nested too deeply"),
    "old": (b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": 7}', "is not a notebook"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_submissions_say_why(kind: str, tmp_path: Path) -> None:
    content, message = MALFORMED[kind]
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(SubmissionError, match=message):
        reading.read_submission(path)


def test_large_files_and_links_are_not_read(tmp_path: Path, checkout: Path) -> None:
    large = tmp_path / "large.ipynb"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(SubmissionError, match="has 200 MB; at most 20 are read"):
        reading.read_submission(large)
    link = tmp_path / "link.ipynb"
    link.symlink_to(checkout / "solution" / "hw99.ipynb")
    with pytest.raises(SubmissionError, match="symbolic link"):
        reading.read_submission(link)
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(SubmissionError, match="not a file"):
        reading.read_submission(tmp_path / "folder.ipynb")


# --- A whole folder -----------------------------------------------------------------------------------------

# Ten exercises alike: each is one attempt.
EXERCISE = """
# %% key="q@"
def f@(a, b):
    ### BEGIN SOLUTION
    return ((a - b) ** 2).sum()
    ### END SOLUTION

# %% key="check-q@" tags=["check"]
# CHECK q@
got = f@(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0]))
check_close("q@: f@(a, b)", got, 5.0)
print("q@:", round(float(got), 3))
"""
HEAD = """\
# %% [markdown]
# # Homework 98
# [Open in Colab](old)

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing")
    # %pip install -q "course-utils @ git+old"

# %%
import torch

from course_utils.checks import check_close
"""
MANY = HEAD + "".join(EXERCISE.replace("@", str(n)) for n in range(1, 11))
BODY = "return ((a - b) ** 2).sum()"
RIGHT_N = "def f@(a, b):\n    " + BODY
WRONG_N = "def f@(a, b):\n    return 7"
MANY_HIDDEN = "import torch\n" + "".join(
    f"""
def q{n}(answer, draw):
    return {{"f{n} of two drawn rows": answer.f{n}(*torch.randn(2, 4, generator=draw))}}
"""
    for n in range(1, 11)
)
# What is handed in as an exercise (@ is its number), and whether it must pass.
ATTEMPTS = {
    "is right": (RIGHT_N, True),
    "prints, warns and plots": (
        "import matplotlib.pyplot as plt\ndef f@(a, b):\n    print(a, end='')\n    torch.tensor(a)\n"
        f"    plt.plot(a)\n    plt.show()\n    {BODY}", True,
    ),
    "is wrong": ("def f@(a, b):\n    return ((a - b) ** 2).mean()", False),
    "is right, and a scratch cell fails": (RIGHT_N + "\n1 / 0", True),
    "is no Python": ("def f@(a, b)\n    return 0", False),
    "leaves its process": ("def f@(a, b):\n    raise SystemExit", False),
    "eats memory": ("def f@(a, b):\n    k = []\n    while True:\n        k.append(torch.ones(10**8))", False),
    "prints what the check prints": ("def f@(a, b):\n    print('q@: 5.0')\n    return a", False),
    "spoils what the checks import": (
        "def f@(a, b):\n    return a\nimport torch as check_close\ncheck_close = lambda *a, **k: None", False,
    ),
    "patches by a back door": (
        WRONG_N + "\nimport dataclasses, torch\ndataclasses.dataclass(torch.Tensor, repr=False)", False,
    ),
}  # fmt: skip
REFUSED_ATTEMPTS = {
    "patches": "import torch\ntorch.allclose = lambda *a, **k: True\n" + WRONG_N,
    "uses the notebook's machinery": "get_ipython()\n" + WRONG_N,
    "forks": "import os\nos.fork()\n" + WRONG_N,
    "reads the solution": "open('/solution/hw98.ipynb').read()\n" + WRONG_N,
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homework's folder; its source has no wrong answers."""
    folder = tmp_path_factory.mktemp("many")
    source = make(folder, MANY, "", MANY_HIDDEN)
    source.with_name("hw99_hidden.py").rename(source.with_name("hw98_hidden.py"))
    source = source.rename(source.with_name("hw98.py"))
    homework.build(source)
    return folder / "notebooks" / "homework"


def handed_in(many: Path, codes: list[str], title: str = "# Homework 98") -> nbformat.NotebookNode:
    """The student's notebook with these answers first; the others are right."""
    nb = nbformat.read(many / "student" / "hw98.ipynb", as_version=4)
    assert nb.cells[0].source.startswith("# Homework 98")
    nb.cells[0].source = title
    for n in range(1, 11):
        cell = next(cell for cell in nb.cells if cell.metadata.get("key") == f"q{n}")
        cell.source = (codes[n - 1] if n <= len(codes) else RIGHT_N).replace("@", str(n))
    return nb


@pytest.fixture(scope="module")
def graded(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """All attempts, beside malformed files, graded at once: the table's rows by name."""
    folder = tmp_path_factory.mktemp("handed in")
    nbformat.write(handed_in(many, [code for code, _ in ATTEMPTS.values()]), folder / "attempts.ipynb")
    all_refused = [*REFUSED_ATTEMPTS.values(), *["import os"] * 10][:10]
    nbformat.write(handed_in(many, all_refused), folder / "refused.ipynb")
    loop, flood = "\nwhile True:\n    pass", "\nfor _ in range(10**7):\n    print('x' * 100)"
    nbformat.write(handed_in(many, [RIGHT_N + loop, RIGHT_N + flood]), folder / "does not end.ipynb")

    nb = handed_in(many, [WRONG_N] * 5)
    check = {
        f"q{n}": cell for n in range(1, 11) for cell in nb.cells if cell.metadata.get("key") == f"check-q{n}"
    }
    answer = {f"q{n}": cell for n in range(1, 11) for cell in nb.cells if cell.metadata.get("key") == f"q{n}"}
    check["q1"].source = "# CHECK q1\nprint('q1: 5.0')"
    check["q1"].outputs = [nbformat.v4.new_output("stream", text="q1: 5.0\n")]
    nb.cells.remove(check["q2"])
    for cell in (answer["q3"], check["q3"]):
        cell.metadata["tags"] = ["nbval-skip", "nbval-ignore-output", "raises-exception", "skip-execution"]
        cell.source = "# NBVAL_SKIP\n" + cell.source
    nb.cells.insert(
        nb.cells.index(answer["q4"]), nbformat.v4.new_code_cell("def check_close(*a, **k):\n    pass")
    )
    check["q5"].source = "# mine\nassert True\n" + check["q5"].source
    answer["q6"].source += "\n\n" + check["q6"].source
    nb.cells.remove(check["q6"])
    check["q7"].source = "\n# mine\n" + check["q7"].source
    nbformat.write(nb, folder / "touches the checks.ipynb")
    (folder / "course_utils").mkdir()
    (folder / "course_utils" / "__init__.py").write_text("raise SystemExit")

    nbformat.write(handed_in(many, []), folder / "=1+1; ..%2f<b>한글 $(id).ipynb.txt")
    nbformat.write(handed_in(many, [], "# Nothing"), folder / "of nothing.ipynb")
    for name, (content, _) in MALFORMED.items():
        (folder / f"{name}.ipynb").write_bytes(content)
    (folder / "link.ipynb").symlink_to(many / "solution" / "hw98.ipynb")
    with zipfile.ZipFile(folder / "choi_hw98.zip", "w") as file:
        file.writestr("hw98.ipynb", "{}")
    (folder / "sub" / "__MACOSX").mkdir(parents=True)
    for junk in ("sub/__MACOSX/hw98.ipynb", "sub/._hw98.ipynb", "sub/notes.txt"):
        (folder / junk).write_bytes(b"\0\5\x16\7")
    for odd in ("lee hw98.ipynb.json", "sub/park_hw98.IPYNB"):
        (folder / odd).write_bytes(b"junk")

    out = tmp_path_factory.mktemp("out") / "grades.csv"
    limits = Limits(cell_seconds=6, seconds=90, memory=3_000_000_000, wall=WALL)
    grade.grade(folder, out, solutions=many / "solution", jobs=2, limits=limits, progress=False)
    with out.open(newline="", encoding="utf-8-sig") as file:
        rows = {row["file"].removeprefix("'").removesuffix(".ipynb"): row for row in csv.DictReader(file)}
    rows["/"] = {"folder": str(folder), "out": str(out)}
    return rows


def passed(row: dict[str, str]) -> str:
    assert row["note"] == ""
    marks = "".join(row[f"q{n}"] for n in range(1, 11))
    assert (row["points"], row["of"]) == (str(marks.count("1")), "10")
    return marks


def test_each_attempt_gets_what_it_is_worth(graded: dict[str, dict[str, str]]) -> None:
    marks = passed(graded["attempts"])
    got = {name: mark == "1" for name, mark in zip(ATTEMPTS, marks, strict=True)}
    assert got == {name: worth for name, (_, worth) in ATTEMPTS.items()}
    assert passed(graded["refused"]) == "0" * 10


def test_what_does_not_end_costs_its_exercise_only(graded: dict[str, dict[str, str]]) -> None:
    assert passed(graded["does not end"]) == "0" + "1" * 9  # a flood of prints costs nothing
    text = page_of(graded, "does not end")
    assert text.count("The code was stopped: a cell takes longer than 6 s.") == 1


def test_checks_come_from_the_teacher(graded: dict[str, dict[str, str]]) -> None:
    assert passed(graded["touches the checks"]) == "00000" + "11111"


NOT_GRADED = [
    *MALFORMED, "link", "of nothing", "choi_hw98.zip › hw98", "lee hw98.ipynb.json", "sub/park_hw98.IPYNB",
    "course_utils/__init__.py", "sub/notes.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", NOT_GRADED)
def test_what_cannot_be_graded_gets_a_row_with_the_reason_and_no_points(
    graded: dict[str, dict[str, str]], name: str
) -> None:
    row = graded[name]
    assert row["note"]
    assert {row[column] for column in ("points", "of", "q1", "q10")} == {""}


def test_nothing_else_gets_a_row(graded: dict[str, dict[str, str]]) -> None:
    run = {"attempts", "refused", "does not end", "touches the checks", "=1+1; ..%2f<b>한글 $(id).ipynb.txt"}
    assert set(graded) - {"/"} == run | set(NOT_GRADED)


def page_of(graded: dict[str, dict[str, str]], name: str) -> str:
    return (Path(graded["/"]["out"]).with_suffix("") / graded[name]["page"]).read_text()


def test_names_do_no_harm(graded: dict[str, dict[str, str]]) -> None:
    name = "=1+1; ..%2f<b>한글 $(id).ipynb.txt"
    assert graded[name]["file"].startswith("'=")
    assert passed(graded[name]) == "1" * 10
    text = page_of(graded, name)
    assert "<b>" not in text
    assert "&lt;b&gt;한글" in text


def test_the_page_says_what_is_wrong(graded: dict[str, dict[str, str]]) -> None:
    text = page_of(graded, "attempts")
    assert "Homework 98: 3 of 10 exercises pass" in text
    assert "q3: f3(a, b) is 2.5, should be 5. It is 0.5 times the right value" in text
    assert "return ((a - b) ** 2).mean()" in text


def test_it_goes_on_where_it_stopped_and_grades_anew_what_changed(
    graded: dict[str, dict[str, str]], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = Path(graded["/"]["folder"]), Path(graded["/"]["out"])
    journal = out.with_name("grades.csv.rows.jsonl")
    journal.write_text(journal.read_text() + '{"file": "cut o')
    before, ran = out.read_text(), []

    def counted(nb, homework, want, start, limits):
        ran.append(nb)
        raise HomeworkError("it failed")

    monkeypatch.setattr(grade, "judge", counted)
    again = partial(grade.grade, folder, out, solutions=many / "solution", jobs=1, progress=False)
    again(limits=Limits(wall=WALL))
    assert not ran
    assert sorted(out.read_text().splitlines()) == sorted(before.splitlines())
    nbformat.write(handed_in(many, [WRONG_N]), folder / "attempts.ipynb")
    rows = again(limits=Limits(wall=WALL))
    assert len(ran) == 1
    (row,) = (row for row in rows if row.file == "attempts.ipynb")
    assert '{"file": "cut o\n{' in journal.read_text()  # what follows is a line of its own
    assert row.note == "it failed"


def test_killed_at_any_moment_it_loses_nothing_but_what_is_being_graded(many: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "grades.csv"
    folder.mkdir()
    for n in range(12):
        nbformat.write(handed_in(many, [WRONG_N] * n), folder / f"student{n}_hw98.ipynb")
    command = [sys.executable, "-m", "course_utils", "homework", "grade", str(folder), "--out", str(out)]
    command += [
        "--solutions",
        str(many / "solution"),
        "--jobs",
        "1",
        *([] if WALL else ["--without-sandbox"]),
    ]
    journal, seen = out.with_name("grades.csv.rows.jsonl"), dict[str, str]()
    for rows in (1, 4, 9):
        with subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and len(lines := whole_lines(journal)) < rows:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -9
        lines = whole_lines(journal)
        assert {name: seen[name] for name in seen} == {
            name: line for name, line in lines.items() if name in seen
        }
        seen = lines
        assert len(seen) >= rows
    assert not out.exists()
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = whole_lines(journal)
    assert {name: lines[name] for name in seen} == seen  # graded once
    with out.open(newline="", encoding="utf-8-sig") as file:
        points = {row["file"]: row["points"] for row in csv.DictReader(file)}
    assert points == {f"student{n}_hw98.ipynb": str(10 - min(n, 10)) for n in range(12)}


@pytest.mark.parametrize("wall", [False, pytest.param(True, marks=walled)], ids=["alone", "behind the wall"])
def test_who_is_stopped_neither_waits_for_what_hangs_nor_starts_anew(wall: bool) -> None:
    processes = grade.Processes(1, Limits(wall=wall))
    with contextlib.closing(processes), ThreadPoolExecutor(1) as pool:
        with processes.start() as session:
            hanging = pool.submit(session.run, "while True: pass", "cell 1")
            processes.stop()
            with pytest.raises(StoppedError, match="was stopped with the grading"):
                hanging.result(timeout=10)
        with pytest.raises(SandboxError, match="the grading was stopped"), processes.start():
            pass


def test_a_row_is_graded_anew_with_another_seed_and_with_no_seed_stays(
    checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    nbformat.write(submission(checkout), tmp_path / "in" / "hw99.ipynb")
    arguments = ["grade", str(tmp_path / "in"), "--solutions", str(checkout / "solution")]
    arguments += ["--out", str(tmp_path / "grades.csv"), *([] if WALL else ["--without-sandbox"])]
    for given, seed in ((7, "7"), (None, "7"), (8, "8"), (8, "8"), (None, "8")):
        more = [] if given is None else ["--seed", str(given)]
        done = CliRunner().invoke(cli.app, [*arguments, *more])
        assert done.exit_code == 0, done.output
        assert "1 submission, 0 of them not graded" in done.output
        with (tmp_path / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
            (row,) = csv.DictReader(file)
        assert (row["seed"], row["points"]) == (seed, "2")
    assert len((tmp_path / "grades.csv.rows.jsonl").read_text().splitlines()) == 2


def whole_lines(journal: Path) -> dict[str, str]:
    """The journal's rows by submission, each as it was last written."""
    text = journal.read_text(encoding="utf-8") if journal.exists() else ""
    return {json.loads(line)["file"]: line for line in text.splitlines(keepends=True) if line.endswith("\n")}


def judged(nb: nbformat.NotebookNode, own: reading.Homework, **limits: float) -> judging.Judgement:
    """Judged behind the wall."""
    given = Limits(wall=WALL, **limits)
    processes = grade.Processes(1, given)
    try:
        return judging.judge(nb, own, judging.wanted(own, processes.start, 7), processes.start, given)
    finally:
        processes.close()


def test_hidden_checks_alone_decide(checkout: Path, hw: reading.Homework) -> None:
    by_heart = submission(checkout, "def squared_error(a, b):\n    return 5.0")
    messages = judged(by_heart, hw).messages
    assert re.match(
        r"A check that is not in your notebook: q1: squared_error of five numbers is 5, should be \d+\.\d+",
        messages["q1"],
    )
    assert messages["q2"] == ""


# --- The command line ---------------------------------------------------------------------------------------


@walled
@pytest.mark.parametrize("out", ["grades.csv", "../grades.csv"], ids=["in the checkout", "in its TMPDIR"])
def test_the_command_of_the_readme_grades_in_a_checkouts_root(
    out: str, checkout: Path, tmp_path: Path
) -> None:
    root = tmp_path / "home" / "course"
    shutil.copytree(
        ROOT / "course_utils", root / "course_utils", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(checkout, root / "notebooks" / "homework")
    (root / ".git").mkdir()
    (root / "submissions").mkdir()
    nbformat.write(submission(checkout, q2="pixels = 3"), root / "submissions" / "kim.ipynb")
    readme = (ROOT / "notebooks" / "homework" / "README.md").read_text()
    (line,) = re.findall(r"^course (homework grade submissions/ --out grades.csv)$", readme, re.M)
    words = line.replace("grades.csv", out).split()
    home = {"HOME": str(root.parent), "TMPDIR": str(root.parent), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", *words], cwd=root, env=os.environ | home, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (root / out).open(newline="", encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["note"], row["points"], row["of"], row["q1"], row["q2"]) == ("", "1", "2", "1", "0")
    compiled = {path.name.partition(".")[0] for path in (root / "course_utils").rglob("*.pyc")}
    assert compiled == {
        path.stem for path in (root / "course_utils").rglob("*.py")
    }  # none at each submission anew


def test_the_command_writes_the_table_and_names_what_was_not_graded(
    graded: dict[str, dict[str, str]], many: Path
) -> None:
    folder, out = graded["/"]["folder"], graded["/"]["out"]
    for path in Path(folder).rglob("attempts.ipynb"):
        path.unlink()
    arguments = ["grade", folder, "--out", out, "--solutions", str(many / "solution")]
    arguments += [] if WALL else ["--without-sandbox"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "not graded" in done.output
    assert "  link.ipynb: is a symbolic link" in done.output
    assert "  choi_hw98.zip › hw98.ipynb: is not a notebook" in done.output
    assert "2 files are nobody's work: sub/._hw98.ipynb, sub/__MACOSX/hw98.ipynb; named in " in done.output
    columns = ",".join(f"q{n}" for n in range(1, 11))
    assert Path(out).read_text("utf-8-sig").startswith(f"file,homework,points,of,{columns},open,open of,")


def test_without_the_sandbox_it_grades_only_where_it_is_told_to_and_says_what_that_means(
    checkout: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "grades.csv"
    folder.mkdir()
    nbformat.write(submission(checkout, q2="pixels = 3"), folder / "kim.ipynb")
    (tmp_path / "bin").mkdir()  # there is no bubblewrap
    command = [sys.executable, "-m", "course_utils", "homework", "grade", str(folder), "--out", str(out)]
    command += ["--solutions", str(checkout / "solution")]
    path = {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=os.environ | path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert not out.exists()
    command += ["--without-sandbox"]
    done = subprocess.run(command, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "can read and change your files, other submissions and grades, and use the network" in done.stderr
    with out.open(newline="", encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["note"], row["q1"], row["q2"]) == ("", "1", "0")


def test_what_stops_all_grading_is_one_line_and_status_2(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "in", tmp_path / "grades.csv"
    folder.mkdir()
    arguments = ["grade", str(folder), "--solutions", str(checkout / "solution"), "--out"]
    without = [] if WALL else ["--without-sandbox"]
    done = CliRunner().invoke(cli.app, [*arguments, str(out)])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "holds no submissions" in done.output
    nbformat.write(submission(checkout), folder / "hw99.ipynb")
    done = CliRunner().invoke(cli.app, [*arguments, str(tmp_path / "grades")])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "must end in .csv" in done.output
    (tmp_path / "empty").mkdir()
    for option, message in (("--solutions", "no hw01.ipynb"), ("--hidden", "no hw01_hidden.py")):
        done = CliRunner().invoke(cli.app, [*arguments, str(out), option, str(tmp_path / "empty")])
        assert (done.exit_code, done.output.count("\n")) == (2, 1)
        assert f"{tmp_path / 'empty'} holds no" in done.output
        assert message in done.output
    own = tmp_path / "own"
    own.mkdir()
    for text, message in (
        ("def q1(", "error: hw99_hidden.py does not run: SyntaxError"),
        (
            HIDDEN.replace("answer.squared_error", "nothing"),
            "error: hw99_hidden.py: q1 of the solution: NameError",
        ),
    ):
        (own / "hw99_hidden.py").write_text(text)
        done = CliRunner().invoke(cli.app, [*arguments, str(out), "--hidden", str(own), *without])
        assert done.exit_code == 2
        assert done.output.splitlines()[-1].startswith(message)
    monkeypatch.setattr(session, "WAIT", "raise OSError('no space left')")
    done = CliRunner().invoke(cli.app, [*arguments, str(out)])
    assert done.exit_code == 2
    assert done.output.splitlines()[-1] == "error: the sandbox did not start: OSError: no space left"
    assert not out.exists()


@pytest.mark.parametrize("missing", ["jupytext", "psutil"])
def test_a_missing_extra_is_one_line(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = ['homework', '--help']\n"
        "from course_utils.__main__ import app; app()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert missing in done.stderr
    assert "pip install -e '.[lab]'" in done.stderr


def test_check_judges_as_the_grader_does_and_says_what_was_left_out(
    checkout: Path, hw: reading.Homework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "SOLUTION", checkout / "solution")
    nb = submission(checkout, q1="import pandas_of_the_future\n" + RIGHT)
    nb.cells = [cell for cell in nb.cells if cell.metadata.get("key") not in ("q2", "check-q2")]
    nb.cells = [cell for cell in nb.cells if "## q2" not in cell.source]
    nbformat.write(nb, tmp_path / "hw99.ipynb")
    done = CliRunner().invoke(cli.app, ["check", str(tmp_path / "hw99.ipynb")])
    lines = done.output.splitlines()
    assert lines[0] == "q1  passed"
    assert lines[1] == "q2  There is no code for this exercise. NameError: name 'pixels' is not defined"
    assert lines[2] == "1 of 2 pass"
    missing = "ModuleNotFoundError: No module named 'pandas_of_the_future'"
    assert lines[3] == f"left out: cell 5, line 1: {missing}"
    by_grader = judged(nb, hw)
    assert [f"{key}  {message or 'passed'}" for key, message in by_grader.messages.items()] == lines[:2]
    assert [f"left out: {line}" for line in by_grader.left_out] == lines[3:4]
    assert lines[4:] == [
        "may fail: cell 5, line 1: `import pandas_of_the_future`: where this is graded it may not be installed"
    ]


def test_progress_is_a_line_a_homework_and_a_sum(checkout: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["progress", str(tmp_path)])
    assert done.exit_code == 2
    assert "holds no hw01.ipynb" in done.output
    nbformat.write(submission(checkout, q2="pixels = 3"), tmp_path / "hw99.ipynb")
    done = CliRunner().invoke(cli.app, ["progress", str(tmp_path)])
    assert done.output == "hw99  1 of 2  q1 ✓  q2 ·\n1 of 2 exercises pass\n"
    assert done.exit_code == 0
