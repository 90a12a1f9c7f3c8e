"""Homework: one marked source gives the student's and the solution's notebook; which exercises of one pass.

A source is a py:percent file. What students must not see stands between `### BEGIN SOLUTION` and
`### END SOLUTION`; lines `### STUB: code` between the two are what students get instead. An exercise's cell
has a key, `# %% key="q1"`; its check follows, `# %% key="check-q1" tags=["check"]`, and begins `# CHECK q1`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils.authoring import kernel, notebooks


class HomeworkError(ValueError):
    """A homework's source or notebook is not as it must be."""


# --- From one source to two notebooks -----------------------------------------------------------------------

HEADER = re.compile(r'# %%(?P<markdown> \[markdown\])?(?: key="(?P<key>[^"]*)"| tags=(?P<tags>\[[^\]]*\]))*')
MARK = re.compile(r"### (BEGIN|END) SOLUTION|### STUB:(?: .*)?")
ALMOST_MARK = re.compile(r"(BEGIN|END)[\s_-]*SOLUTION|#\s*STUB\s*:", re.IGNORECASE)
CHECK = re.compile(r"(?m)^# CHECK (?P<key>[A-Za-z0-9_-]+)")
HEADING = re.compile(r"(?m)^#+ q?(\d{1,2}) · (?!Open question)")
WRONG = re.compile(r"# WRONG (?P<key>[A-Za-z0-9_-]+): (?P<what>.+)")


@dataclass
class _Cell:
    """A cell of a py:percent text, with the numbers of its lines."""

    header: str
    line: int
    markdown: bool
    key: str | None
    tags: list[str]
    lines: list[tuple[int, str]] = field(default_factory=list)

    @property
    def first(self) -> str:
        return next((line for _, line in self.lines if line.strip()), "")

    @property
    def source(self) -> str:
        return "\n".join(line for _, line in self.lines).strip("\n")


def _text(source: Path) -> str:
    """A source's text; one line says where it is none."""
    if source.suffix != ".py":
        raise HomeworkError(f"{source.name} is no homework's source: that is a .py file with '# %%' cells")
    try:
        return source.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise HomeworkError(f"{source.name} is not a text in UTF-8") from None


def _cells(text: str, name: str) -> list[_Cell]:
    cells: list[_Cell] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("# %%"):
            header = HEADER.fullmatch(line)
            if header is None:
                raise HomeworkError(
                    f'{name}, line {number}: {line!r}: a cell\'s line may carry [markdown], key="..." and '
                    "tags=[...] only; anything else would be handed out to students"
                )
            tags = json.loads(header["tags"] or "[]")
            cells.append(_Cell(line, number, header["markdown"] is not None, header["key"], tags))
        elif cells:
            cells[-1].lines.append((number, line))
        elif line.strip():
            raise HomeworkError(f"{name}, line {number}: text before the first '# %%' line")
    return cells


def split(text: str, *, name: str = "the source") -> tuple[str, str]:
    """The student's and the solution's py:percent text that a homework's source describes.

    Args:
        text: the source, with its marks.
        name: how messages call it.

    Raises:
        HomeworkError: a mark is misspelt, nested or unbalanced, a check or an exercise lacks the other, or a
            key stands on two cells; the message gives the line.
    """
    cells = _cells(text, name)
    student: list[str] = []
    solution: list[str] = []
    exercises: dict[str, _Cell] = {}
    for cell in cells:
        student.append(cell.header)
        solution.append(cell.header)
        if _split_cell(cell, name, student, solution) and not cell.markdown:
            if not cell.key:
                raise HomeworkError(f'{name}, line {cell.line}: an exercise needs a key: # %% key="q1"')
            exercises.setdefault(cell.key, cell)
    _require_checks(cells, exercises, name)
    return "\n".join(student).rstrip("\n") + "\n", "\n".join(solution).rstrip("\n") + "\n"


def _split_cell(cell: _Cell, name: str, student: list[str], solution: list[str]) -> bool:
    """Append a cell's lines to both texts; True if it holds a solution."""
    begun, found, stubs = 0, False, list[str]()
    indent = ""
    for number, line in cell.lines:
        prefix = "# " if cell.markdown and line.startswith("# ") else ""
        content = line.removeprefix(prefix).strip()
        if not MARK.fullmatch(content):
            if ALMOST_MARK.search(line):
                raise HomeworkError(
                    f"{name}, line {number}: {line.strip()!r} is not a mark. Marks stand alone in a line: "
                    "### BEGIN SOLUTION, ### END SOLUTION, ### STUB: code"
                )
            solution.append(line)
            if not begun:
                student.append(line)
        elif content == "### BEGIN SOLUTION":
            if begun:
                raise HomeworkError(f"{name}, line {number}: BEGIN SOLUTION inside the one of line {begun}")
            begun, found, stubs = number, True, []
            indent = prefix or line[: len(line) - len(line.lstrip())]
        elif not begun:
            raise HomeworkError(f"{name}, line {number}: {content!r} without a BEGIN SOLUTION in this cell")
        elif content == "### END SOLUTION":
            student += [
                (indent + stub).rstrip() for stub in stubs or [_default_stub(cell, indent, begun, name)]
            ]
            begun = 0
        else:
            stubs.append(content.removeprefix("### STUB:").removeprefix(" "))
    if begun:
        raise HomeworkError(f"{name}, line {begun}: BEGIN SOLUTION has no END SOLUTION in its cell")
    return found


def _default_stub(cell: _Cell, indent: str, line: int, name: str) -> str:
    if cell.markdown:
        return "*Your answer:*"
    if not indent:
        raise HomeworkError(
            f"{name}, line {line}: a solution outside a function needs a line such as "
            "'### STUB: answer = ...', so that the student's notebook runs on to the check"
        )
    return f'raise NotImplementedError("{cell.key}: write your solution here")'


def _require_checks(cells: list[_Cell], exercises: dict[str, _Cell], name: str) -> None:
    """Raise unless keys are unique and each exercise has one check, after it, which prints a value."""
    keys: dict[str, int] = {}
    checked: dict[str, int] = {}
    for cell in cells:
        if cell.key is not None:
            if cell.key in keys:
                raise HomeworkError(
                    f"{name}, line {cell.line}: key {cell.key!r} stands in line {keys[cell.key]} too"
                )
            keys[cell.key] = cell.line
        match = CHECK.fullmatch(cell.first.strip())
        if match is None:
            if "check" in cell.tags:
                raise HomeworkError(f"{name}, line {cell.line}: a check's first line must be '# CHECK q1'")
            continue
        key = match["key"]
        if key not in exercises:
            raise HomeworkError(f"{name}, line {cell.line}: check of {key!r}, but no exercise has this key")
        if exercises[key].line > cell.line:
            raise HomeworkError(f"{name}, line {cell.line}: the check of {key!r} stands before its exercise")
        if cell.key != f"check-{key}" or "check" not in cell.tags:
            raise HomeworkError(f'{name}, line {cell.line}: write # %% key="check-{key}" tags=["check"]')
        if "print(" not in cell.source:
            raise HomeworkError(
                f"{name}, line {cell.line}: a check must print a value computed from the answer"
            )
        checked[key] = cell.line
    for key, cell in exercises.items():
        if key not in checked:
            raise HomeworkError(f"{name}, line {cell.line}: exercise {key!r} has no check: '# CHECK {key}'")


def build(source: Path | str, *, timeout: float = 300) -> tuple[Path, Path]:
    """Make `student/hwNN.ipynb` (not run) and `solution/hwNN.ipynb` (run), with their .py, from a source.

    Args:
        source: the marked source, `source/hwNN.py`.
        timeout: seconds that one cell of the solution may take.

    Returns:
        The student's and the solution's notebook.

    Raises:
        HomeworkError: the source is not well-formed, or a check prints nothing.
        course_utils.authoring.kernel.NotebookError: the solution does not run; nothing is written then.
    """
    source = Path(source)
    student, solution = (
        source.parent.parent / kind / source.with_suffix(".ipynb").name for kind in ("student", "solution")
    )
    texts = split(_text(source), name=source.name)
    student_text, solution_text = (
        notebooks.with_links(text, ipynb) for text, ipynb in zip(texts, (student, solution), strict=True)
    )

    nb = notebooks.parse(solution_text)
    solution.parent.mkdir(parents=True, exist_ok=True)
    kernel.run(nb, solution, timeout=timeout)
    for cell in nb.cells:
        printed = any(output.output_type == "stream" for output in cell.get("outputs", []))
        if CHECK.match(cell.source) and not printed:
            raise HomeworkError(f"{source.name}: {cell.source.splitlines()[0]!r} printed nothing")
    notebooks.save(nb, solution)
    notebooks.write_text(solution.with_suffix(".py"), solution_text)
    notebooks.build_text(student_text, student, execute=False)
    notebooks.write_text(student.with_suffix(".py"), student_text)
    return student, solution


# --- Which exercises pass -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """How one exercise went; the message is its check's, "" when it passed."""

    passed: bool
    message: str


def results(ipynb: Path | str, *, cell_timeout: float = 60) -> dict[str, Result]:
    """Which exercises of a homework notebook pass, by key, found by running it.

    An exercise passes if its check ran to its end and printed something. One whose check is gone does not: which
    exercises there are, the cells' keys, the headings and the numbers of the other checks tell. A cell that
    does not end, or that ends the kernel, costs the exercise of the next check; the rest is run again without the two.

    Args:
        ipynb: a student's or the solution's notebook.
        cell_timeout: seconds that one cell may take.

    Raises:
        HomeworkError: the file is not a notebook, or has no exercises.
    """
    ipynb = Path(ipynb)
    try:
        nb = nbformat.read(ipynb, as_version=4)
    except (ValueError, AttributeError, KeyError, nbformat.reader.NotJSONError) as error:
        raise HomeworkError(f"{ipynb.name} is not a notebook: {str(error)[:200]}") from None
    gone = Result(False, "has no check: copy its cell, which begins '# CHECK', anew from the homework")
    found = dict.fromkeys(_exercises(nb), gone)
    if not found or not any(_is_of_homework(cell) for cell in nb.cells):
        raise HomeworkError(
            f"{ipynb.name} is no homework: it has no check cells, none begins with '# CHECK q1'"
        )

    ended: list[NotebookNode] = []

    def done(cell: NotebookNode, seconds: float) -> None:
        ended.append(cell)
        for match in CHECK.finditer(cell.source):
            printed = any(output.output_type == "stream" for output in cell.outputs)
            why = kernel.reason(cell) or ("" if printed else gone.message)
            found[match["key"]] = Result(not why, why)

    stopped: dict[str, Result] = {}
    while True:
        ended.clear()
        try:
            kernel.run(nb, ipynb, timeout=cell_timeout, allow_errors=True, done=done)
        except kernel.StoppedError as error:
            cells = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]
            rest = cells[len(ended) :]
            if error.why.startswith(kernel.NOT_STARTED) or not rest:
                raise
            check = next((cell for cell in rest if CHECK.search(cell.source)), rest[-1])
            message = str(error).removeprefix(f"{ipynb.name}: ").split("\n")[0]
            why = Result(False, f"was not run: {message}")
            stopped |= {match["key"]: why for match in CHECK.finditer(check.source)}
            for cell in (rest[0], check):  # numbers of the other cells stay
                cell.source = ""
        else:
            return found | stopped


def _is_of_homework(cell: NotebookNode) -> bool:
    """Whether a cell stands in homework only: a check, what is left of one, or the title."""
    if cell.cell_type != "code":
        return re.search(r"(?im)^#+ .*\bhomework\s+\d", cell.source) is not None
    return CHECK.search(cell.source) is not None or str(cell.metadata.get("key", "")).startswith("check-")


def _exercises(nb: NotebookNode) -> list[str]:
    """The keys of the exercises that a notebook has or should have, in their order."""
    found = set[str]()
    for cell in nb.cells:
        key = str(cell.metadata.get("key", ""))
        if cell.cell_type == "code":
            found |= {match["key"] for match in CHECK.finditer(cell.source)}
            found |= {key.removeprefix("check-")} if key.startswith("check-") else set()
        elif heading := HEADING.search(cell.source):
            found.add(f"q{heading[1]}")
    last = max((int(key[1:]) for key in found if re.fullmatch(r"q\d{1,2}", key)), default=0)
    found |= {f"q{number}" for number in range(1, last + 1)}
    return sorted(found, key=lambda key: (len(key), key))


def report(found: dict[str, Result]) -> str:
    """A line for each exercise: passed, or what is wrong."""
    lines = [f"{key}  {'passed' if result.passed else result.message}" for key, result in found.items()]
    return "\n".join([*lines, f"{sum(result.passed for result in found.values())} of {len(found)} pass"])


# --- Wrong answers ------------------------------------------------------------------------------------------


def uncaught(source: Path | str, *, least: int = 3, timeout: float = 300) -> list[str]:
    """What is not caught of the plausible wrong answers in `hwNN_wrong.py` beside a source; [] if all are.

    A wrong answer is a code cell that begins with `# WRONG q1: what is wrong with it` and stands in for the
    exercise's cell. It is caught if it runs and its check then raises an AssertionError with a message.

    Args:
        source: the marked source, hwNN.py.
        least: how many wrong answers an exercise must have.
        timeout: seconds that one cell may take.

    Raises:
        HomeworkError: the file is no homework's source, a wrong answer names no exercise, or the solution fails.
        FileNotFoundError: there is no `hwNN_wrong.py`.
    """
    source = Path(source)
    wrong = wrong_answers(source)
    nb = notebooks.parse(split(_text(source), name=source.name)[1])
    solution = [cell for cell in nb.cells if cell.cell_type == "code"]

    # One kernel for all: before an exercise's own cell each wrong one runs, and what follows up to the check.
    cells = []
    trials = []
    for position, original in enumerate(solution):
        key = original.metadata.get("key")
        until = next((n for n, c in enumerate(solution) if c.metadata.get("key") == f"check-{key}"), position)
        for what, code in wrong.get(key, []):
            sources = [code, *(c.source for c in solution[position + 1 : until + 1])]
            trial = [nbformat.v4.new_code_cell(code) for code in sources]
            cells += trial
            trials.append((f"{key}: {what}", trial))
        cells.append(original)
    nb.cells = cells
    kernel.run(nb, source, timeout=timeout, allow_errors=True)

    for cell in solution:
        if failed := kernel.failure(cell):
            raise HomeworkError(
                f"{source.name}: the solution fails with {failed[0]}: {failed[1]}\n\n{cell.source}"
            )
    problems = [
        f"{key}: {len(answers)} wrong answers, {least} needed"
        for key, answers in wrong.items()
        if len(answers) < least
    ]
    return problems + [f"{what}: {problem}" for what, trial in trials if (problem := _not_caught(trial))]


def wrong_answers(source: Path | str) -> dict[str, list[tuple[str, str]]]:
    """What is wrong with each plausible wrong answer beside a source, and its code, by exercise.

    Args:
        source: the marked source, hwNN.py.

    Raises:
        HomeworkError: the file is no homework's source, or a wrong answer names no exercise.
        FileNotFoundError: there is no `hwNN_wrong.py`.
    """
    source = Path(source)
    wrong_file = source.with_name(f"{source.stem}_wrong.py")
    if source.stem.endswith("_wrong"):
        own = source.with_name(source.name.replace("_wrong", ""))
        raise HomeworkError(f"{source.name} holds wrong answers: give the homework's source, {own.name}")
    cells = notebooks.parse(split(_text(source), name=source.name)[1]).cells
    exercises = [
        match["key"] for cell in cells if cell.cell_type == "code" and (match := CHECK.match(cell.source))
    ]
    if not exercises:
        raise HomeworkError(f"{source.name} is no homework's source: no cell begins with '# CHECK q1'")
    if not wrong_file.is_file():
        raise FileNotFoundError(f"there is no {wrong_file.name} beside {source.name}")
    wrong: dict[str, list[tuple[str, str]]] = {key: [] for key in exercises}
    for cell in _cells(_text(wrong_file), wrong_file.name):
        if cell.markdown:
            continue
        match = WRONG.fullmatch(cell.first.strip())
        if match is None or match["key"] not in wrong:
            raise HomeworkError(
                f"{wrong_file.name}, line {cell.line}: a wrong answer begins with '# WRONG q1: what is "
                f"wrong with it', with one of {', '.join(exercises)}"
            )
        wrong[match["key"]].append((match["what"], cell.source))
    return wrong


def _not_caught(trial: Sequence[NotebookNode]) -> str:
    """Why a trial (the wrong cell, …, the check) does not count as caught; "" if it does."""
    own, check = kernel.failure(trial[0]), kernel.failure(trial[-1])
    if own is not None:
        return f"stops before its check with {own[0]}: {own[1]}"
    if check is None:
        return "passes its check"
    if check[0] != "AssertionError":
        return f"its check stops with {check[0]}: {check[1]}, instead of saying what is wrong"
    return "" if check[1].strip() else "its check fails without saying why"
