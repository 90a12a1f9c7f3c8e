"""Read what a teacher has, the executed solution with its checks, and a notebook that a student hands in."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_utils.authoring.homework import CHECK, HomeworkError, split
from course_utils.authoring.notebooks import parse
from course_utils.grading.hidden import Hidden

LARGEST = 20_000_000  # bytes of a submission
MOST_CODE = 200_000  # characters of a cell that is run
MOST_CODES = 1_000_000  # of all these together
MOST_CELLS = 5000
RULES = b"3"  # of grading: a row that was made by others is made anew

# --- The homework, as the teacher has it --------------------------------------------------------------------


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        key: `q1`.
        before: the teacher's cells before the answer.
        after: the teacher's cells between the answer and its check.
        answer: the solution's.
        check: the visible check, which says what is wrong.
        defines: the names that the solution's answer defines.
    """

    key: str
    before: list[NotebookNode]
    after: list[NotebookNode]
    answer: list[NotebookNode]
    check: NotebookNode
    defines: frozenset[str]

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
        hidden: the checks that decide.
        digest: of the solution, the hidden checks and the rules.
        texts: the teacher's markdown cells, as they are handed out.
    """

    name: str
    setup: list[NotebookNode]
    exercises: list[Exercise]
    rest: list[NotebookNode]
    hidden: Hidden
    digest: str
    texts: list[str]

    @property
    def keys(self) -> list[str]:
        return [exercise.key for exercise in self.exercises]


def read_homework(solution: Path | str, hidden: Path | str | None = None) -> Homework:
    """Read an executed solution, and the hidden checks.

    Args:
        solution: `solution/hwNN.ipynb`.
        hidden: `hwNN_hidden.py`, see `hidden`; by default the one in `source`, the folder beside the solution's.

    Raises:
        HomeworkError: the solution has no check cells, or was not executed; an exercise has no hidden check.
        FileNotFoundError: there is no such solution.
    """
    solution = Path(solution)
    data = solution.read_bytes()
    nb = nbformat.reads(data.decode(), as_version=4)
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    exercises: list[Exercise] = []
    setup: list[NotebookNode] = []
    before, answer, after = (list[NotebookNode]() for _ in range(3))
    for cell in cells:
        if match := CHECK.match(cell.source):
            if not cell.outputs:
                raise HomeworkError(
                    f"{solution.name}: the check of {match['key']} stores no output; build it again"
                )
            _require_python(cell.source, f"{solution.name}: the check of {match['key']}")
            defined = frozenset(name for own in answer for name in defines(own.source))
            exercises.append(Exercise(match["key"], before, after, answer, cell, defined))
            before, answer, after = [], [], []
        elif "key" in cell.metadata:
            answer.append(cell)
        elif "install" not in cell.metadata.get("tags", []):
            (after if answer else before if exercises else setup).append(cell)
    if not exercises:
        raise HomeworkError(f"{solution.name} has no check cells: none begins with '# CHECK q1'")
    source = solution.parent.parent / "source"
    asks = Hidden.read(Path(hidden or source / f"{solution.stem}_hidden.py"))
    keys = [exercise.key for exercise in exercises]
    for key in keys:
        if key not in asks.keys:
            raise HomeworkError(f"{asks.name} asks nothing of {key}: write {key}(answer, draw)")
    if more := [key for key in asks.keys if key not in keys]:
        raise HomeworkError(f"{asks.name} asks {more[0]}; the exercises are {', '.join(keys)}")
    texts = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    # What was handed out, from the source: the notebook in `student` may be one that somebody has filled in. Without
    # a source the solution's serve, but for the open question.
    with suppress(FileNotFoundError):
        handed_out, _ = split((source / f"{solution.stem}.py").read_text(encoding="utf-8"))
        texts = [cell.source for cell in parse(handed_out).cells if cell.cell_type == "markdown"] + texts
    told = "\n".join(texts)
    digest = hashlib.sha256(data + asks.text.encode() + told.encode() + RULES).hexdigest()[:16]
    return Homework(solution.stem, setup, exercises, [*before, *after], asks, digest, texts)


def defines(source: str) -> set[str]:
    """The functions, classes and variables that a cell's outermost level defines; none if it is not plain Python.

    A stub, a function that raises NotImplementedError or a variable that is `...`, defines nothing.
    """
    found: set[str] = set()
    for node in parsed(source):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not any(_is_stub(one) for one in ast.walk(node)):
                    found.add(node.name)
            case ast.Assign(targets=targets, value=value):
                if not (isinstance(value, ast.Constant) and value.value is ...):
                    nodes = [name for target in targets for name in ast.walk(target)]
                    found |= {name.id for name in nodes if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                found.add(name)
    return found


def _is_stub(node: ast.AST) -> bool:
    raised = node.exc if isinstance(node, ast.Raise) else None
    name = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(name, ast.Name) and name.id == "NotImplementedError"


def parsed(source: str) -> list[ast.stmt]:
    """The statements of a cell; none if it is no plain Python, or has more than `MOST_CODE` characters."""
    try:
        return ast.parse(source).body if len(source) <= MOST_CODE else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _require_python(source: str, what: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise HomeworkError(f"{what} is not plain Python: {error}") from None


# --- The submission -----------------------------------------------------------------------------------------


class SubmissionError(HomeworkError):
    """A submission cannot be read."""


def read_submission(path: Path | str) -> tuple[NotebookNode, str]:
    """The notebook in a file, and its digest.

    Raises:
        SubmissionError: it is a link, too large, not a notebook; the message is for the teacher's table.
    """
    path = Path(path)
    if path.is_symlink():
        raise SubmissionError("is a symbolic link; hand in the file itself")
    if not path.is_file():
        raise SubmissionError("is not a file")
    if path.stat().st_size > LARGEST:
        raise SubmissionError(f"has {path.stat().st_size / 1e6:.0f} MB; at most {LARGEST / 1e6:.0f} are read")
    return read_notebook(path.read_bytes(), path.name)


def read_notebook(data: bytes, name: str = "") -> tuple[NotebookNode, str]:
    """A notebook from a file's bytes, in any encoding of Unicode or in Korean Windows', and its digest.

    Args:
        data: the bytes.
        name: the file's, which may help to say what it is instead.

    Raises:
        SubmissionError: it is not a notebook.
    """
    if len(data) > LARGEST:
        raise SubmissionError(f"has more than {LARGEST / 1e6:.0f} MB")
    if problem := kind_of(data, name):
        raise SubmissionError(problem)
    try:
        content = _json(data)
        if not isinstance(content, dict) or "nbformat" not in content:
            raise SubmissionError("is not a notebook")
        if content["nbformat"] in (1, 2, 3):
            content = nbformat.convert(nbformat.from_dict(content), 4)
        elif content["nbformat"] != 4:
            raise SubmissionError(
                f"is not a notebook of a format that is read: {str(content['nbformat'])[:20]}"
            )
        nb = _plain(content)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise SubmissionError("is not a notebook: it does not hold JSON, or only a part of it") from None
    except RecursionError:
        raise SubmissionError("is not a notebook: it is nested too deeply") from None
    except SubmissionError:
        raise
    except Exception as error:  # whatever a library makes of a broken file
        raise SubmissionError(f"is not a notebook: {type(error).__name__}: {str(error)[:200]}") from None
    return nb, hashlib.sha256(data).hexdigest()[:16]


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, strict=False)  # finds UTF-8, -16 and -32, with or without a mark
    except UnicodeDecodeError:
        return json.loads(data.decode("cp949"), strict=False)


MAGIC = [
    (b"%PDF", "a PDF"), (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"),
    (b"RIFF", "a picture or a sound"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!", "a rar archive"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ", "an xz archive"),
    (b"\xd0\xcf\x11\xe0", "an old Word or Excel document"), (b"\0\5\x16\7", "what a Mac leaves beside a file"),
]  # fmt: skip
SUFFIXES = {
    ".pdf": "a PDF", ".docx": "a Word document", ".doc": "a Word document", ".hwp": "a Hangul document",
    ".hwpx": "a Hangul document", ".pptx": "a presentation", ".xlsx": "a spreadsheet", ".odt": "a text document",
    ".png": "a picture", ".jpg": "a picture", ".jpeg": "a picture", ".heic": "a picture", ".svg": "a picture",
    ".7z": "a 7z archive", ".rar": "a rar archive", ".tar": "a tar archive", ".gz": "a gzip archive",
    ".tgz": "a gzip archive", ".py": "a Python script", ".html": "a web page", ".htm": "a web page",
    ".md": "a text",
}  # fmt: skip
EXPORTED = re.compile(
    r"^# (?:%%|In ?\[[\d ]*\]:|\+)|^# -\*- coding.*\n\"\"\".*\.ipynb|generated by Colab", re.M
)


def kind_of(data: bytes, name: str) -> str:
    """Why a file is not read as a notebook, by its first bytes and its suffix; "" if it may be one."""
    start = data[:4000].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    suffix = PurePosixPath(name).suffix.lower()
    if not data.strip(b"\0 \t\r\n"):
        return "is not a notebook: it is empty"
    if start.startswith(b"{"):
        return ""
    kind = next((what for magic, what in MAGIC if data.startswith(magic)), "")
    if not kind and data.startswith(b"PK\3\4"):
        kind = SUFFIXES.get(suffix, "a zip archive under another name")
        if suffix == ".zip":
            return "is not a notebook: it is an archive; unpack it"
    kind = kind or SUFFIXES.get(suffix, "")
    if not kind:
        return ""
    if kind == "a Python script" and EXPORTED.search(data[:20_000].decode("utf-8", "replace")):
        return "is not a notebook: it is a script exported from one (Jupytext, Colab, VS Code); hand in the .ipynb"
    if "archive" in kind:
        return f"is not a notebook: it is {kind}; only .zip is opened. Unpack it"
    return f"is not a notebook: it is {kind}; hand in the .ipynb"


def _plain(content: dict[str, Any]) -> NotebookNode:
    """Only what grading needs of a notebook: each cell's kind, source and key."""
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise SubmissionError("is not a notebook: it has no list of cells")
    if len(cells) > MOST_CELLS:
        raise SubmissionError(f"has {len(cells)} cells; at most {MOST_CELLS} are read")
    nb = nbformat.v4.new_notebook()
    for number, cell in enumerate(cells, 1):
        source = cell.get("source", "") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise SubmissionError(f"is not a notebook: cell {number} has no source")
        source = (
            re.sub(r"\r\n?", "\n", source).removeprefix("\ufeff").encode("utf-8", "replace").decode("utf-8")
        )
        metadata = cell.get("metadata")
        key = metadata.get("key") if isinstance(metadata, dict) else None
        new = nbformat.v4.new_code_cell if cell.get("cell_type") == "code" else nbformat.v4.new_markdown_cell
        nb.cells.append(new(source, metadata={"key": key} if isinstance(key, str) else {}))
    codes = [len(cell.source) for cell in nb.cells if cell.cell_type == "code"]
    if (size := sum(size for size in codes if size <= MOST_CODE)) > MOST_CODES:
        raise SubmissionError(f"has {size} characters of code; at most {MOST_CODES} are read")
    return nb


TITLE = re.compile(r"^#+ .*\bhomework\s+(\d{1,2})\b", re.IGNORECASE | re.MULTILINE)
MENTION = re.compile(r"\bhomework\s+(\d{1,2})\b", re.IGNORECASE)
IN_NAME = re.compile(r"(?<![A-Za-z])(?:hw|homework)[\s_-]*(\d{1,2})(?!\d)", re.IGNORECASE)


def which_homework(name: str, nb: NotebookNode) -> str | None:
    """`hw04`, from the notebook's title, else from the name of the file or of what it lies in, else from its text."""
    texts = [(cell.cell_type, cell.source[:2000]) for cell in nb.cells]
    titles = [match for _, text in texts if (match := TITLE.search(text))]
    names = [match for part in reversed(re.split("[/›]", name)) if (match := IN_NAME.search(part))]
    mentions = [match for kind, text in texts if kind == "markdown" and (match := MENTION.search(text))]
    match = next(iter([*titles, *names, *mentions]), None)
    return f"hw{int(match[1]):02d}" if match else None
