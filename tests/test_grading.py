"""Grading: what the gate lets through, what the sandbox holds, and that no submission gains or costs anything."""

import csv
import os
import socket
import threading
from itertools import chain
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from test_homework import make
from typer.testing import CliRunner

from course_utils import grading, homework
from course_utils.grading import Limits, SubmissionError, gate
from course_utils.homework import HomeworkError

pytestmark = pytest.mark.timeout(600)
ALLOWED = {"course_utils.homework": {"check_close"}, "torch": None}
namespaces = pytest.mark.skipif(grading.isolation() != "namespace", reason="needs Linux namespaces")

# --- The gate -----------------------------------------------------------------------------------------------

FINE = """
%matplotlib inline
from collections.abc import Callable
import math
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import grad
from torch.func import vmap

class Net(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).mean(dim=1)

def f(x, y):
    a, *_ = x.split(2)
    total = {"a": [math.log(v) for v in range(1, 3)]}
    total["b"] = a.copy_(y).sum()
    x.grad = None
    with torch.no_grad():
        x += 1
    assert type(x) is Tensor and x[..., 0].numpy().copy().size
    match y:
        case "hinge" | ("x", *_):
            y = 1
        case {**rest}:
            pass
    try:
        return f"{x.shape}", np.random.default_rng(0).normal(), lambda z: -z @ y.T
    except ValueError as error:
        raise RuntimeError("no") from error
"""

REFUSED = {
    "reads a file": "open('solution/hw99.ipynb').read()",
    "writes a figure": "import matplotlib.pyplot as plt\nplt.savefig('x')",
    "reads a file by numpy": "import numpy as np\nnp.load('x')",
    "reads a file by torch": "torch.load('x')",
    "imports os": "import os",
    "imports it inside a function": "def f():\n    from os import fork",
    "imports it as a part of torch": "from torch import os",
    "reaches it through torch": "torch.os.fork()",
    "reaches it under another name": "t = torch\nt.sys.exit()",
    "imports the grader": "from course_utils import grading",
    "imports more of the checks": "from course_utils.homework import results",
    "imports everything": "from torch import *",
    "imports by name": "__import__('os')",
    "runs a text": "exec('x = 1')",
    "reads attributes by name": "getattr(torch, 'os')",
    "reaches globals": "check_close.__globals__",
    "reaches globals through a frame": "(x for x in []).gi_frame.f_back",
    "reaches a frame through an error": "try:\n    1 / 0\nexcept Exception as e:\n    e.with_traceback",
    "matches an attribute": "match torch:\n    case object(os=o):\n        pass",
    "matches into an inner name": "match 1:\n    case __builtins__:\n        pass",
    "matches into a name of Python": "match [1]:\n    case [*open]:\n        pass",
    "matches the rest into an inner name": "match {}:\n    case {**_x}:\n        pass",
    "imports more of PyTorch": "from torch.utils.cpp_extension import load",
    "patches torch.allclose": "torch.allclose = lambda *a, **k: True",
    "patches through self": "class A:\n    def f(self):\n        self.allclose = 1\nA.f(torch)",
    "deletes an attribute": "del torch.allclose",
    "takes the place of a value": "class A:\n    def __eq__(self, other):\n        return True",
    "takes torch's place": "class A:\n    def __torch_function__(self, *a):\n        return 1",
    "makes a class from parts": "type('A', (), {'__eq__': lambda a, b: True})",
    "uses the notebook's machinery": "get_ipython().ast_transformers.clear()",
    "runs a shell command": "!rm -rf .",
    "uses a magic": "%%javascript\nalert(1)",
    "hooks all modules": "torch.nn.modules.module.register_module_forward_hook(lambda *a: 0)",
    "replaces an operator": "torch.library.Library('aten', 'IMPL')",
    "copies attributes over": "import functools\nfunctools.update_wrapper(torch, f)",
    "sets the default type": "torch.set_default_dtype(torch.float16)",
    "is no Python": "def f(:",
    "holds a null character": "x = '\0'",
    "is nested too deeply": "(" * 5000 + ")" * 5000,
}


def test_the_gate_lets_ordinary_code_through() -> None:
    assert gate(FINE, ALLOWED) == []
    assert gate("from course_utils.homework import check_close", ALLOWED) == []


def test_the_gate_lets_the_methods_of_tensors_and_modules_through() -> None:
    """Some are called as a module of the standard library is (`x.chunk(2)`), in one version of Python or another."""
    methods = {
        name for kind in (torch.Tensor, torch.nn.Module) for name in dir(kind) if not name.startswith("_")
    }
    assert [name for name in sorted(methods) if gate(f"x.{name}(2)", ALLOWED)] == []


@pytest.mark.parametrize("what", REFUSED)
def test_the_gate_refuses(what: str) -> None:
    problems = gate(REFUSED[what], ALLOWED)
    assert problems
    assert all("is " in problem for problem in problems)


def test_the_gate_lets_every_solution_and_every_wrong_answer_through() -> None:
    """What teachers thought of as an answer may be handed in."""
    folder = Path(__file__).parents[1] / "notebooks" / "homework"
    seen = 0
    for solution in sorted((folder / "solution").glob("hw*.ipynb")):
        own = grading.read_homework(solution)
        nb, _ = grading.read_submission(solution)
        wrong = (folder / "source" / f"{solution.stem}_wrong.py").read_text().split("# %%\n")[1:]
        for source in [*chain(*grading.answers(nb, own).values()), *wrong]:
            assert gate(source, own.allowed) == [], source
            seen += 1
    assert seen > 20


def test_every_solution_is_run_as_it_stands() -> None:
    """Each cell of a solution once, in its order, with the watch around the checks."""
    solutions = sorted((Path(__file__).parents[1] / "notebooks" / "homework" / "solution").glob("hw*.ipynb"))
    assert solutions
    for solution in solutions:
        own, (nb, _) = grading.read_homework(solution), grading.read_submission(solution)
        assembled, kinds = grading.assemble(own, grading.answers(nb, own))
        ran = [cell.source for cell, (_, kind) in zip(assembled.cells, kinds, strict=True) if kind != "watch"]
        code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
        last = max(n for n, source in enumerate(code) if source.startswith("# CHECK"))
        assert ran == code[1 : last + 1]  # the first installs the course
        for n, (key, kind) in enumerate(kinds):
            if kind == "check":
                assert kinds[n - 1] == kinds[n + 1] == (key, "watch")


# --- Reading what is handed in ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one homework, built."""
    folder = tmp_path_factory.mktemp("checkout")
    homework.build(make(folder))
    return folder / "notebooks" / "homework"


@pytest.fixture(scope="module")
def hw(checkout: Path) -> grading.Homework:
    return grading.read_homework(checkout / "solution" / "hw99.ipynb")


def submission(checkout: Path, q1: str | None = None, q2: str | None = None) -> nbformat.NotebookNode:
    """The student's notebook with answers (None: the solution's)."""
    nb = nbformat.read(checkout / "student" / "hw99.ipynb", as_version=4)
    right = {"q1": "def squared_error(a, b):\n    return ((a - b) ** 2).sum()", "q2": "pixels = 28 * 28"}
    for cell in nb.cells:
        key = cell.metadata.get("key")
        if key in right:
            cell.source = {"q1": q1, "q2": q2}[key] or right[key]
    return nb


def test_cells_are_found_by_their_key_or_by_the_checks_around_them(
    checkout: Path, hw: grading.Homework
) -> None:
    nb = submission(checkout, q2="pixels = 3")
    nb.cells.insert(-1, nbformat.v4.new_code_cell("scratch = 1"))
    expected = {
        "q1": ["def squared_error(a, b):\n    return ((a - b) ** 2).sum()"],
        "q2": ["pixels = 3", "scratch = 1"],
    }
    assert grading.answers(nb, hw) == expected
    for cell in nb.cells:  # Colab may drop metadata
        cell.metadata = {}
    assert grading.answers(nb, hw) == expected
    nb.cells = [cell for cell in nb.cells if "# CHECK" not in cell.source]
    assert [*chain(*grading.answers(nb, hw).values())] == [*chain(*expected.values())]


def test_hidden_checks_belong_to_an_exercise(checkout: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hw99_hidden.py"
    hidden.write_text("# %%\n# CHECK q7\nassert True\n")
    with pytest.raises(HomeworkError, match=r"a hidden check begins '# CHECK q1', one of q1, q2"):
        grading.read_homework(checkout / "solution" / "hw99.ipynb", hidden)
    with pytest.raises(HomeworkError, match=r"the check of q1 stores no output; build it again"):
        grading.read_homework(checkout / "student" / "hw99.ipynb")


def test_what_any_cell_imports_may_be_imported(tmp_path: Path) -> None:
    sources = [
        "import math\nfrom scipy.linalg import sqrtm",
        "# CHECK q1\nfrom scipy.linalg import eigh\nfrom dataclasses import dataclass\nprint(1)",
    ]
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nb.cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    nbformat.write(nb, tmp_path / "hw98.ipynb")
    allowed = grading.read_homework(tmp_path / "hw98.ipynb").allowed
    assert gate("from scipy.linalg import eigh, sqrtm\nfrom dataclasses import field", allowed) == []
    assert gate("from scipy.linalg import lu", allowed)


MALFORMED = {
    "junk": (bytes(range(256)) * 100, "does not hold JSON"),
    "text": (b"hello", "does not hold JSON"),
    "empty": (b"", "does not hold JSON"),
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
        grading.read_submission(path)


def test_large_files_and_links_are_not_read(tmp_path: Path, checkout: Path) -> None:
    large = tmp_path / "large.ipynb"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(SubmissionError, match="has 200 MB; at most 20 are read"):
        grading.read_submission(large)
    link = tmp_path / "link.ipynb"
    link.symlink_to(checkout / "solution" / "hw99.ipynb")
    with pytest.raises(SubmissionError, match="symbolic link"):
        grading.read_submission(link)
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(SubmissionError, match="not a file"):
        grading.read_submission(tmp_path / "folder.ipynb")


# --- The sandbox, without the gate --------------------------------------------------------------------------


def sandboxed(cells: list[str], hide: list[Path], **limits: float) -> tuple[list[str], bool]:
    """What each cell says when it fails ("" if it does not), and whether the notebook came to its end."""
    nb = nbformat.v4.new_notebook()
    nb.cells = [
        nbformat.v4.new_code_cell(c, execution_count=1, metadata={"tags": ["nbval-ignore-output"]})
        for c in cells
    ]
    runs = grading.run_sandboxed(nb, hide, Limits(**limits))
    return [run.message for run in runs], len(runs) == len(cells)


FILLS_THE_DISK = """
import tempfile

with tempfile.TemporaryFile() as file:
    for _ in range(10_000):
        file.write(bytes(10**6))
"""


@namespaces
def test_the_sandbox_sees_neither_network_nor_solutions_nor_what_others_handed_in(tmp_path: Path) -> None:
    secret = tmp_path / "solution" / "hw99.ipynb"
    secret.parent.mkdir()
    secret.write_text("the answer")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        messages, whole = sandboxed(
            [
                f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)",
                f"print(open({str(secret)!r}).read())",
                f"open({str(tmp_path / 'solution' / 'mine')!r}, 'w').write('x')",
                "import os; os.kill(os.getppid(), 0) or open('/proc/1/cmdline').read().index('jupyterlab')",
                FILLS_THE_DISK,
                "data = bytearray(6 * 10**9)",
                "print('still here')",
            ],
            [secret.parent],
        )
    assert whole
    reasons = ["ConnectionRefusedError", "FileNotFoundError", "OSError", "", "OSError", "MemoryError", ""]
    for message, reason in zip(messages, reasons, strict=True):
        assert reason in message if reason else "ValueError" in message or not message, (
            reason,
            message[-500:],
        )
    assert list(secret.parent.iterdir()) == [secret]


def test_what_a_cell_starts_ends_with_it(tmp_path: Path) -> None:
    mark = f"{12345.0 + os.getpid()}"
    cells = [
        f"import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True)",
        "import os; os._exit(0)",
    ]
    messages, whole = sandboxed(cells, [])
    assert not whole
    assert messages[0] == ""
    assert not [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


def test_a_loop_that_cannot_be_interrupted_ends_with_the_time(tmp_path: Path) -> None:
    loop = "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"
    messages, whole = sandboxed(["x = 1", loop, "y = 2"], [], cell_seconds=3, seconds=20)
    assert messages[:1] == [""]
    assert not whole or all(messages[1:])


# --- A whole folder -----------------------------------------------------------------------------------------

RIGHT = "def squared_error(a, b):\n    return ((a - b) ** 2).sum()"
EATS = """
import torch

def squared_error(a, b):
    kept = []
    while True:
        kept.append(torch.ones(10**8))
"""
# What is handed in as q1 and q2; which of the two must pass.
HANDED_IN = {
    "right": (None, None, "11"),
    "wrong, and a scratch cell fails": (
        "def squared_error(a, b):\n    return ((a - b) ** 2).mean()", "pixels = 784\n1 / 0", "01",
    ),
    "no Python, and nothing": ("def squared_error(a, b)\n    return 0", "...", "00"),
    "leaves the kernel": ("def squared_error(a, b):\n    raise SystemExit", None, "01"),
    "endless loop": (RIGHT + "\nwhile True:\n    pass", None, "01"),
    "eats memory": (EATS, None, "01"),
    "nothing that can be run to its end": ("import os", "pixels = 784\nwhile True:\n    pass", "00"),
    "huge output": (RIGHT, "pixels = 784\nfor _ in range(10**7):\n    print('x' * 100)", "10"),
    "prints what the check prints": (
        "def squared_error(a, b):\n    print('q1: 5.0')\n    return a", "print('q2: 784.0')\npixels = 1", "00",
    ),
    "spoils what the checks import": (
        RIGHT + "\nimport torch as check_close", "check_close = lambda *a, **k: None\npixels = 1", "10",
    ),
    "patches by a back door": (
        RIGHT + "\nimport dataclasses, torch\ndataclasses.dataclass(torch.Tensor, repr=False)", "pixels = 1", "00",
    ),
    "patches": ("import torch\ntorch.allclose = lambda *a, **k: True\n" + RIGHT, "get_ipython()\npixels = 784", "00"),
    "forks and reads": ("import os\nos.fork()", "pixels = len(open('/solution/hw99.ipynb').read())", "00"),
}  # fmt: skip


@pytest.fixture(scope="module")
def graded(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """All of them, beside malformed files, graded at once: the table's rows by name."""
    folder = tmp_path_factory.mktemp("handed in")
    for name, (q1, q2, _) in HANDED_IN.items():
        nbformat.write(submission(checkout, q1, q2), folder / f"{name}.ipynb")
    for name, (content, _) in MALFORMED.items():
        (folder / f"{name}.ipynb").write_bytes(content)

    nb = submission(checkout, "def squared_error(a, b):\n    return 7")
    for cell in nb.cells:
        if "# CHECK q1" in cell.source:
            cell.source = "# CHECK q1\nprint('q1: 5.0')"
            cell.outputs = [nbformat.v4.new_output("stream", text="q1: 5.0\n")]
    nbformat.write(nb, folder / "edits the check.ipynb")
    nb.cells = [cell for cell in nb.cells if "# CHECK" not in cell.source]
    nbformat.write(nb, folder / "deletes the checks.ipynb")
    nb = submission(checkout, "def squared_error(a, b):\n    return 7")
    for cell in nb.cells:
        cell.metadata["tags"] = ["nbval-skip", "nbval-ignore-output", "raises-exception"]
        cell.source = "# NBVAL_SKIP\n" + cell.source if cell.cell_type == "code" else cell.source
    nbformat.write(nb, folder / "tags.ipynb")
    nb = submission(checkout, q2="pixels = 1")
    nb.cells.insert(2, nbformat.v4.new_code_cell("def check_close(*a, **k):\n    pass"))
    (folder / "course_utils").mkdir()
    (folder / "course_utils" / "__init__.py").write_text("raise SystemExit")
    (folder / "course_utils" / "homework.py").write_text("check_close = print")
    nbformat.write(nb, folder / "brings its own checks.ipynb")
    nbformat.write(submission(checkout), folder / "=1+1; ..%2f<b>한글 $(id).ipynb")
    nb = submission(checkout)
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    nbformat.write(nb, folder / "of nothing.ipynb")
    (folder / "link.ipynb").symlink_to(checkout / "solution" / "hw99.ipynb")
    (folder / "sub" / "deeper").mkdir(parents=True)
    nbformat.write(submission(checkout), folder / "sub" / "deeper" / "hw99.ipynb")

    out = tmp_path_factory.mktemp("out") / "grades.csv"
    limits = Limits(cell_seconds=6, seconds=90, memory=3_000_000_000)
    grading.grade(folder, out, solutions=checkout / "solution", jobs=2, limits=limits, progress=False)
    with out.open(newline="") as file:
        rows = {row["file"].removeprefix("'").removesuffix(".ipynb"): row for row in csv.DictReader(file)}
    rows["/"] = {"folder": str(folder), "out": str(out)}
    return rows


@pytest.mark.parametrize("name", HANDED_IN)
def test_each_gets_what_its_answers_are_worth(graded: dict[str, dict[str, str]], name: str) -> None:
    row = graded[name]
    assert row["note"] == ""
    assert row["q1"] + row["q2"] == HANDED_IN[name][2]
    assert row["points"] == str(HANDED_IN[name][2].count("1"))


@pytest.mark.parametrize("name", ["edits the check", "deletes the checks", "tags"])
def test_checks_come_from_the_teacher(graded: dict[str, dict[str, str]], name: str) -> None:
    assert (graded[name]["q1"], graded[name]["q2"]) == ("0", "1")


def test_own_checks_gain_nothing(graded: dict[str, dict[str, str]]) -> None:
    assert (graded["brings its own checks"]["q1"], graded["brings its own checks"]["q2"]) == ("1", "0")


@pytest.mark.parametrize("name", [*MALFORMED, "link", "of nothing"])
def test_what_cannot_be_read_gets_a_row_with_the_reason(graded: dict[str, dict[str, str]], name: str) -> None:
    assert graded[name]["points"] == "0"
    assert graded[name]["note"]


def test_names_do_no_harm(graded: dict[str, dict[str, str]]) -> None:
    row = graded["=1+1; ..%2f<b>한글 $(id)"]
    assert row["file"].startswith("'=")
    assert row["points"] == "2"
    page = Path(graded["/"]["out"]).with_suffix("") / row["page"]
    text = page.read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;한글" in text
    assert graded["sub/deeper/hw99"]["points"] == "2"


def test_the_page_says_what_is_wrong(graded: dict[str, dict[str, str]]) -> None:
    folder = Path(graded["/"]["out"]).with_suffix("")
    text = (folder / graded["wrong, and a scratch cell fails"]["page"]).read_text()
    assert "1 of 2 exercises pass" in text
    assert "is 0.5 times the right value" in text
    assert "return ((a - b) ** 2).mean()" in text
    assert "`import os` is not allowed" in (folder / graded["forks and reads"]["page"]).read_text()
    assert "used more time or memory than it may" in (folder / graded["endless loop"]["page"]).read_text()


def test_it_goes_on_where_it_stopped_and_grades_anew_what_changed(
    graded: dict[str, dict[str, str]], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = Path(graded["/"]["folder"]), Path(graded["/"]["out"])
    journal = out.with_name("grades.csv.rows.jsonl")
    journal.write_text(journal.read_text() + '{"file": "cut o')
    before = out.read_text()
    ran = []
    real, lock = grading.run_sandboxed, threading.Lock()

    def counted(nb, *arguments):
        with lock:
            ran.append(nb)
        return real(nb, *arguments)

    monkeypatch.setattr(grading, "run_sandboxed", counted)
    grading.grade(folder, out, solutions=checkout / "solution", jobs=1, progress=False)
    assert not ran
    assert sorted(out.read_text().splitlines()) == sorted(before.splitlines())
    nbformat.write(submission(checkout, q2="pixels = 2"), folder / "right.ipynb")
    rows = grading.grade(folder, out, solutions=checkout / "solution", jobs=1, progress=False)
    assert len(ran) == 1
    assert next(row for row in rows if row.file == "right.ipynb").passed == {"q1": True, "q2": False}


def test_hidden_checks_count(checkout: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hw99_hidden.py"
    hidden.write_text(
        '# %%\n# CHECK q1\ncheck_close("q1: of zeros", squared_error(torch.zeros(3), torch.zeros(3)), 0.0)\n'
    )
    own = grading.read_homework(checkout / "solution" / "hw99.ipynb", hidden)
    by_heart = submission(checkout, "def squared_error(a, b):\n    return 5.0")
    messages = grading.grade_notebook(by_heart, own)
    assert messages["q1"].startswith("A check that is not in your notebook: q1: of zeros is 5")
    assert messages["q2"] == ""
    assert grading.grade_notebook(submission(checkout), own) == {"q1": "", "q2": ""}


# --- The command line ---------------------------------------------------------------------------------------


def test_the_command_writes_the_table_and_names_what_was_not_graded(
    graded: dict[str, dict[str, str]], checkout: Path
) -> None:
    folder, out = graded["/"]["folder"], graded["/"]["out"]
    arguments = ["grade", folder, "--out", out, "--solutions", str(checkout / "solution")]
    done = CliRunner().invoke(grading.app, arguments)
    assert done.exit_code == 0, done.output
    assert "not graded" in done.output
    assert "  link.ipynb: is a symbolic link" in done.output
    assert Path(out).read_text().startswith("file,homework,points,of,q1,q2,note,seconds,page\n")


def test_check_says_what_the_grader_would_refuse(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "SOLUTION", checkout / "solution")
    nbformat.write(submission(checkout, q2="import os\npixels = 784"), tmp_path / "hw99.ipynb")
    done = CliRunner().invoke(grading.app, ["check", str(tmp_path / "hw99.ipynb")])
    assert "q2  passed" in done.output
    assert "q2  the grader will not run this: line 1: `import os` is not allowed in a homework" in done.output


def test_progress_is_a_line_a_homework_and_a_sum(checkout: Path, tmp_path: Path) -> None:
    nbformat.write(submission(checkout, q2="pixels = 3"), tmp_path / "hw99.ipynb")
    done = CliRunner().invoke(grading.app, ["progress", str(tmp_path)])
    assert done.output == "hw99  1 of 2  q1 ✓  q2 ·\n1 of 2 exercises pass\n"
    assert done.exit_code == 0
    (tmp_path / "hw99.ipynb").unlink()
    done = CliRunner().invoke(grading.app, ["progress", str(tmp_path)])
    assert done.exit_code == 1
    assert "holds no hw01.ipynb" in done.output
