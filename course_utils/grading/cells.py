"""Which cells of a submission answer which exercise, wherever they stand and whatever was lost."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from nbformat import NotebookNode

from course_utils.authoring.homework import CHECK, HEADING
from course_utils.grading.advice import plain
from course_utils.grading.reading import MOST_CODE, Homework, defines, parsed

MOST_TRIES = 4  # versions of one answer
YOUR_ANSWER = re.compile(r"^\**Your answer:?\**:?\s*$", re.IGNORECASE | re.MULTILINE)
OPEN = re.compile(r"^#+ .*open question", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """A cell of the student's, or a part of one where it was merged with a check.

    Attributes:
        source: its code.
        cell: the cell's number in the notebook, from 1, markdown counted too.
        line: the first line's number in the cell.
        slot: the exercise before whose check it is run; "" where it stands below the last check.
        of: the exercises that it may answer, by its key or by the names that it defines.
        spare: whether it is run only where an answer is missing or wrong: code in a markdown cell or in a check.
    """

    source: str
    cell: int
    line: int
    slot: str = ""
    of: frozenset[str] = frozenset()
    spare: bool = False


def pieces(nb: NotebookNode, homework: Homework) -> list[Piece]:
    """The student's code in the order of the notebook.

    A cell belongs where its key says, else to the exercise in which it stands, between the headings and checks around
    it. Below its own check, the last copy of it, a cell is run with the next exercise: it comes too late for its own,
    but see `versions`. Checks, the cells before the first exercise, the install cell and the teacher's texts are left
    out, also where they were merged or have changed their kind.
    """
    return _placed(list(_elements(nb, homework)), homework.keys)


@dataclass(frozen=True)
class _Mark:
    """A check or a heading in the notebook."""

    kind: str
    key: str


def _elements(nb: NotebookNode, homework: Homework) -> Iterator[_Mark | tuple[Piece, str]]:
    """Marks, and pieces, each with the exercise that its key or the check below it in the same cell names."""
    keys, names = homework.keys, {exercise.key: exercise.defines for exercise in homework.exercises}
    given = [cell for exercise in homework.exercises for cell in exercise.given]
    teachers = {_bare(cell.source) for cell in [*homework.setup, *given, *homework.rest]}
    texts = {_bare(text) for text in homework.texts}
    checks = {exercise.key: exercise.check.source.strip() for exercise in homework.exercises}
    halves = [_bare(check) for check in checks.values()]

    def of(source: str) -> frozenset[str]:
        found = defines(plain(source)[0])
        return frozenset(key for key in keys if found & names[key])

    def spare(source: str, number: int, line: int, key: str) -> Iterator[tuple[Piece, str]]:
        code = _definitions(source)
        if meant := of(code) | (frozenset([key]) if key in keys and code else frozenset()):
            yield Piece(code, number, line, "", meant, spare=True), ""

    for number, cell in enumerate(nb.cells, 1):
        key, source = str(cell.metadata.get("key", "")), cell.source
        if (heading := HEADING.search(source)) and (cell.cell_type != "code" or source.startswith("#")):
            yield _Mark("heading", f"q{heading[1]}")
        if cell.cell_type != "code":
            yield from (_Mark("check", match["key"]) for match in CHECK.finditer(source))
            yield from spare(source, number, 1, key)
        elif key.startswith("check-") and not CHECK.search(source):  # what is left of a check
            yield _Mark("check", key.removeprefix("check-"))
            yield from spare(source, number, 1, "")
        elif len(source) > MOST_CODE:  # `plain` says so
            yield Piece(source, number, 1, "", frozenset([key]) & set(keys)), key
        elif _bare(source) not in texts:
            for code, line, check, edited in _around_checks(source, checks):
                bare = _bare(code)
                ours = bare in teachers or 'find_spec("course_utils")' in code
                part = of(code)
                ours = ours or (not part and key not in keys and any(bare in half for half in halves))
                if _has_code(code) and not ours:
                    meant = part | (frozenset([key]) if key in keys else frozenset())
                    first = len(code) - len(code.lstrip("\n"))
                    yield Piece(code.strip("\n"), number, line + first, "", meant), key or check
                key = ""
                if check:
                    yield _Mark("check", check)
                    yield from spare(edited, number, line, "")


def _placed(elements: list[_Mark | tuple[Piece, str]], keys: list[str]) -> list[Piece]:
    """The pieces, each with the exercise that it is run with."""
    last = {
        mark.key: n for n, mark in enumerate(elements) if isinstance(mark, _Mark) and mark.kind == "check"
    }
    placed, current = [], 0
    for n, element in enumerate(elements):
        if isinstance(element, _Mark):
            if element.key in keys:
                passed = element.kind == "check" and last[element.key] == n
                current = keys.index(element.key) + passed
            continue
        piece, named = element
        alone = [key for key in keys if key in piece.of and key not in last]
        own = named if named in keys else alone[0] if len(piece.of) == len(alone) == 1 else ""
        if own and last.get(own, n) >= n and not piece.spare:
            current = keys.index(own)
        placed.append(replace(piece, slot=keys[current] if current < len(keys) else ""))
    return placed


def versions(found: list[Piece], homework: Homework, key: str) -> list[list[Piece]]:
    """What may be run as the answer to an exercise, at most `MOST_TRIES`; the first with the solution's values counts.

    First what stands above the check. Then that with all that answers the exercise elsewhere: below the check, in a
    scratch cell, in a cell that became markdown. Then with one of these at a time, the last first.
    """
    names = next(exercise.defines for exercise in homework.exercises if exercise.key == key)
    above = [piece for piece in found if piece.slot == key and not piece.spare]
    seen = {_bare(piece.source) for piece in above}
    others = [piece for piece in found if key in piece.of and _bare(piece.source) not in seen]
    if not others:
        return [above]
    answered = any(defines(piece.source) & names for piece in above) or not names
    tries = [above] if answered else []
    tries.append([*above, *others])
    tries += [[*above, piece] for piece in reversed(others)] if len(others) > 1 else []
    return tries[:MOST_TRIES]


def answers(nb: NotebookNode, homework: Homework) -> dict[str, list[str]]:
    """The student's code by exercise, as it stands, for the page."""
    found: dict[str, list[str]] = {key: [] for key in homework.keys}
    for piece in pieces(nb, homework):
        of = [key for key in homework.keys if key in piece.of]
        found[of[0] if len(of) == 1 else piece.slot or homework.keys[-1]].append(piece.source)
    return found


def _around_checks(source: str, checks: dict[str, str]) -> Iterator[tuple[str, int, str, str]]:
    """The pieces of a cell that are no check: each with its line, the key of the check that follows it ("": none), and
    what that check holds where it is not the teacher's.

    A check ends where the teacher's does; if it was edited, with the cell or at the next check.
    """
    start, found = 0, list(CHECK.finditer(source))
    for number, match in enumerate(found, 1):
        before, line = source[start : match.start()], source.count("\n", 0, start) + 1
        own = checks.get(match["key"])
        start = found[number].start() if number < len(found) else len(source)
        edited = source[match.start() : start]
        if own and source.startswith(own, match.start()):
            start, edited = match.start() + len(own), ""
        yield before, line, match["key"], edited
    yield source[start:], source.count("\n", 0, start) + 1, "", ""


def _definitions(source: str) -> str:
    """Of a text that is plain Python what defines functions and classes, and its imports; else nothing."""
    body = parsed(source)
    kinds = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    if not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body):
        return ""
    try:
        return "\n\n".join(ast.unparse(node) for node in body if isinstance(node, kinds))
    except RecursionError:
        return ""


def _has_code(source: str) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in source.splitlines())


def _bare(source: str) -> str:
    return re.sub(r"[\s#]+", " ", source).strip()


# --- The open question --------------------------------------------------------------------------------------


def open_question(homework: Homework) -> str:
    """The question as it was handed out; "" where only the solution is at hand, whose cell holds an answer too."""
    asked = (text for text in homework.texts if OPEN.search(text) and YOUR_ANSWER.search(text))
    return YOUR_ANSWER.split(next(asked, ""))[0].strip()


def model_answer(homework: Homework) -> tuple[str, str]:
    """The solution's answer to the open question, and how answers are marked; "" where it has none."""
    for text in homework.texts:
        if OPEN.search(text) and not YOUR_ANSWER.search(text):
            lines = _question(text)
            answer = "\n".join(line for line in text.split("\n") if line not in lines or not line).strip()
            model, _, marking = answer.partition("**Marking.**")
            return model.removeprefix("**A model answer.**").strip(), marking.strip()
    return "", ""


def titles(homework: Homework) -> dict[str, str]:
    """What the exercises are called, by key."""
    found = (match for text in homework.texts for match in HEADING.finditer(text))
    return {f"q{match[1]}": match.string[match.end() :].split("\n")[0].strip() for match in found}


def open_answer(nb: NotebookNode, homework: Homework) -> str:
    """What a student wrote below the open question's heading, or after the last check where that is gone.

    The question's own lines and the code are left out; a cell of text that became code, and one of comments, is not.
    """
    lines = {line.strip() for text in homework.texts if OPEN.search(text) for line in _question(text)}
    found, code = [], {piece.cell for piece in pieces(nb, homework)}
    start = next((n for n, cell in enumerate(nb.cells) if OPEN.search(cell.source)), None)
    if start is None:
        start = max((n + 1 for n, cell in enumerate(nb.cells) if CHECK.search(cell.source)), default=None)
    teachers = {_bare(text) for text in homework.texts}
    for number, cell in enumerate(nb.cells if start is not None else [], 1):
        text = cell.source
        if number <= (start or 0) or _bare(text) in teachers or CHECK.search(text):
            continue
        if cell.cell_type == "code":
            stripped = [line.strip() for line in text.split("\n")]
            if all(not line or line.startswith("#") for line in stripped):
                text = "\n".join(line.lstrip("#").removeprefix(" ") for line in stripped)
            elif number not in code or plain(text)[0]:
                continue
        found.append("\n".join(line for line in text.split("\n") if line.strip() not in lines or not line))
    text = YOUR_ANSWER.sub("", "\n\n".join(found))
    return re.sub(r"\n{3,}", "\n\n", text).strip()[:20_000]


def _question(text: str) -> list[str]:
    """The lines of the question, not those of an answer below it."""
    parts = (
        re.split(r"(?m)^(\*\d+ points?\.\*)$", text, maxsplit=1) if not YOUR_ANSWER.search(text) else [text]
    )
    return [line for part in parts[:2] for line in part.split("\n") if line.strip()]
