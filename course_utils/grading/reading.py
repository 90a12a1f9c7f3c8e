"""Read what a teacher has, the executed solution with its checks, and what a student hands in."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_utils.authoring.homework import CHECK, HomeworkError
from course_utils.authoring.notebooks import parse

LARGEST = 20_000_000  # bytes of a submission
ARCHIVES = {".zip", ".7z", ".rar", ".tar", ".gz", ".tgz"}

# --- The homework, as the teacher has it --------------------------------------------------------------------


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        key: `q1`.
        before: the teacher's cells before the answer.
        after: the teacher's cells between the answer and its check.
        checks: what decides, the visible check first.
    """

    key: str
    before: list[NotebookNode]
    after: list[NotebookNode]
    checks: list[NotebookNode]

    @property
    def given(self) -> list[NotebookNode]:
        return [*self.before, *self.after]


@dataclass(frozen=True)
class Homework:
    """What a homework's solution says.

    Attributes:
        name: `hw04`.
        setup: the cells before the first exercise.
        exercises: in their order.
        rest: the cells after the last check, which decide nothing and are not run.
        allowed: what may be imported, see `gate`.
        digest: of the solution and the hidden checks.
    """

    name: str
    setup: list[NotebookNode]
    exercises: list[Exercise]
    rest: list[NotebookNode]
    allowed: dict[str, set[str] | None]
    digest: str

    @property
    def keys(self) -> list[str]:
        return [exercise.key for exercise in self.exercises]


def read_homework(solution: Path | str, hidden: Path | str | None = None) -> Homework:
    """Read an executed solution, and further checks that students do not see.

    Args:
        solution: `solution/hwNN.ipynb`.
        hidden: a py:percent file with cells that begin `# CHECK q1`; they run after that exercise's visible check.

    Raises:
        HomeworkError: the solution has no check cells, or was not executed; a hidden check has no exercise.
        FileNotFoundError: there is no such file.
    """
    solution = Path(solution)
    data = solution.read_bytes()
    cells = [cell for cell in nbformat.reads(data.decode(), as_version=4).cells if cell.cell_type == "code"]
    exercises: list[Exercise] = []
    setup: list[NotebookNode] = []
    given: tuple[list[NotebookNode], list[NotebookNode]] = [], []  # before the answer, after it
    answered = False
    for cell in cells:
        if match := CHECK.match(cell.source):
            if not cell.outputs:
                raise HomeworkError(
                    f"{solution.name}: the check of {match['key']} stores no output; build it again"
                )
            _require_python(cell.source, f"{solution.name}: the check of {match['key']}")
            exercises.append(Exercise(match["key"], *given, [cell]))
            given, answered = ([], []), False
        elif "key" in cell.metadata:
            answered = True
        elif "install" not in cell.metadata.get("tags", []):
            (given[1] if answered else given[0] if exercises else setup).append(cell)
    if not exercises:
        raise HomeworkError(f"{solution.name} has no check cells: none begins with '# CHECK q1'")
    if hidden is not None:
        text = Path(hidden).read_text(encoding="utf-8")
        data += text.encode()
        by_key = {exercise.key: exercise for exercise in exercises}
        for cell in parse(text).cells:
            match = CHECK.match(cell.source)
            if cell.cell_type == "code" and (match is None or match["key"] not in by_key):
                raise HomeworkError(
                    f"{Path(hidden).name}: a hidden check begins '# CHECK q1', one of {', '.join(by_key)}"
                )
            if match is not None:
                by_key[match["key"]].checks.append(cell)
    digest = hashlib.sha256(data).hexdigest()[:16]
    allowed = _imports(cell.source for cell in cells)
    return Homework(solution.stem, setup, exercises, [*given[0], *given[1]], allowed, digest)


def _require_python(source: str, what: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise HomeworkError(f"{what} is not plain Python: {error}") from None


def _imports(sources: Iterable[str]) -> dict[str, set[str] | None]:
    """What cells import: by module the names that are taken from it, None where it is imported whole."""
    found: dict[str, set[str] | None] = {}
    for source in sources:
        try:
            nodes = list(ast.walk(ast.parse(source)))
        except SyntaxError:  # the install cell's %pip
            continue
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name: None for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = found.setdefault(node.module, set())
                if names is not None:
                    names |= {alias.name for alias in node.names}
    return found


# --- The submission -----------------------------------------------------------------------------------------


class SubmissionError(HomeworkError):
    """A submission cannot be read."""


def read_submission(path: Path | str) -> tuple[NotebookNode, str]:
    """A submission's notebook and its digest.

    Raises:
        SubmissionError: it is a link, too large, not a notebook; the message is for the teacher's table.
    """
    path = Path(path)
    if path.is_symlink():
        raise SubmissionError("is a symbolic link; hand in the file itself")
    if not path.is_file():
        raise SubmissionError("is not a file")
    if path.suffix.lower() in ARCHIVES:
        raise SubmissionError("is an archive: unpack it and grade again")
    if path.stat().st_size > LARGEST:
        raise SubmissionError(f"has {path.stat().st_size / 1e6:.0f} MB; at most {LARGEST / 1e6:.0f} are read")
    data = path.read_bytes()
    try:
        content = json.loads(data.decode("utf-8"))
        if not isinstance(content, dict) or content.get("nbformat") not in (3, 4):
            raise SubmissionError("is not a notebook")
        if content["nbformat"] == 3:
            content = nbformat.convert(nbformat.from_dict(content), 4)
        nb = _plain(content)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise SubmissionError("is not a notebook: it does not hold JSON") from None
    except RecursionError:
        raise SubmissionError("is not a notebook: it is nested too deeply") from None
    except SubmissionError:
        raise
    except Exception as error:  # whatever a library makes of a broken file
        raise SubmissionError(f"is not a notebook: {type(error).__name__}: {str(error)[:200]}") from None
    return nb, hashlib.sha256(data).hexdigest()[:16]


def _plain(content: dict[str, Any]) -> NotebookNode:
    """Only what grading needs of a notebook: each cell's kind, source and key."""
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise SubmissionError("is not a notebook: it has no list of cells")
    nb = nbformat.v4.new_notebook()
    for number, cell in enumerate(cells, 1):
        source = cell.get("source", "") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise SubmissionError(f"is not a notebook: cell {number} has no source")
        metadata = cell.get("metadata")
        key = metadata.get("key") if isinstance(metadata, dict) else None
        new = nbformat.v4.new_code_cell if cell.get("cell_type") == "code" else nbformat.v4.new_markdown_cell
        nb.cells.append(new(source, metadata={"key": key} if isinstance(key, str) else {}))
    return nb


HOMEWORK = re.compile(r"\bhomework\s+(\d{1,2})\b", re.IGNORECASE)
IN_NAME = re.compile(r"(?<![A-Za-z])hw[\s_-]?(\d{1,2})(?!\d)", re.IGNORECASE)


def which_homework(name: str, nb: NotebookNode) -> str | None:
    """`hw04`, from the notebook's title, else from the file's name."""
    for cell in nb.cells:
        if cell.cell_type == "markdown" and (match := HOMEWORK.search(cell.source[:2000])):
            return f"hw{int(match[1]):02d}"
    match = IN_NAME.search(name)
    return f"hw{int(match[1]):02d}" if match else None


def answers(nb: NotebookNode, homework: Homework) -> dict[str, list[str]]:
    """The student's code by exercise: by the key of the cell, where that was lost by the checks between them.

    Checks, also where they were merged with an answer, the cells before the first exercise and the install cell are
    the teacher's and are left out.
    """
    keys = homework.keys
    given = [cell for exercise in homework.exercises for cell in exercise.given]
    teachers = {_bare(cell.source) for cell in [*homework.setup, *given, *homework.rest]}
    checks = {exercise.key: exercise.checks[0].source.strip() for exercise in homework.exercises}
    found: dict[str, list[str]] = {key: [] for key in keys}
    current = 0
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        key = str(cell.metadata.get("key", ""))
        if key.startswith("check-") and not CHECK.search(cell.source):  # what is left of a check
            named = key.removeprefix("check-")
            current = keys.index(named) + 1 if named in keys else current
            continue
        for code, check in _around_checks(cell.source, checks):
            if _has_code(code) and _bare(code) not in teachers and 'find_spec("course_utils")' not in code:
                own = next((name for name in (key, check) if name in keys), keys[min(current, len(keys) - 1)])
                found[own].append(code.strip("\n"))
                current = keys.index(own)
            key, current = "", keys.index(check) + 1 if check in keys else current
    return found


def _around_checks(source: str, checks: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The pieces of a cell that are no check, each with the key of the check that follows it ("": none).

    A check ends where the teacher's does; if it was edited, with the cell or at the next check.
    """
    start, found = 0, list(CHECK.finditer(source))
    for number, match in enumerate(found, 1):
        yield source[start : match.start()], match["key"]
        own = checks.get(match["key"])
        start = found[number].start() if number < len(found) else len(source)
        if own and source.startswith(own, match.start()):
            start = match.start() + len(own)
    yield source[start:], ""


def _has_code(source: str) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in source.splitlines())


def _bare(source: str) -> str:
    return re.sub(r"[\s#]+", " ", source).strip()


def open_answer(nb: NotebookNode) -> str:
    """The text that answers the open question: what follows its heading."""
    texts = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    start = next(
        (n for n, text in enumerate(texts) if re.search(r"^#+ .*open question", text, re.I | re.M)), None
    )
    return "" if start is None else "\n\n".join(texts[start:])[:20_000]
