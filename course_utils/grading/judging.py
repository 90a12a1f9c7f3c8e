"""What is wrong with each exercise of a submission: the one way from a notebook to its marks.

`course homework grade` and `course homework check` both go it; they differ in where the notebook is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from course_utils.authoring import kernel
from course_utils.authoring.homework import HomeworkError
from course_utils.grading.assembly import assemble, prints_the_right_thing
from course_utils.grading.cells import MOST_TRIES, Piece, pieces, versions
from course_utils.grading.gate import runnable
from course_utils.grading.reading import Homework, defines
from course_utils.grading.sandbox import CellRun, Run, cell_run

Runner = Callable[[NotebookNode, str], Run]  # of a notebook and the MIME type that is to be reported


@dataclass(frozen=True)
class Judgement:
    """How a submission did.

    Attributes:
        messages: what is wrong, by exercise; "" where it passes.
        left_out: what of its code was not run, with cell and line, and why.
    """

    messages: dict[str, str]
    left_out: list[str]


def judge(nb: NotebookNode, homework: Homework, run: Runner) -> Judgement:
    """Run a submission's answers between the teacher's cells.

    What cannot be run (`gate.runnable`) is left out, and the rest is run. An exercise passes if one of its `versions`
    does. A cell that does not end costs its exercise, unless that is answered without it.

    Args:
        nb: as `read_submission` gives it.
        homework: what it is judged by.
        run: runs a notebook; `run_here`, or the sandbox.

    Raises:
        HomeworkError: the homework's own cells fail.
    """
    every = pieces(nb, homework)
    found, notes = _runnable(every, homework)
    tries = {key: versions(found, homework, key) for key in homework.keys}
    taken = dict.fromkeys(homework.keys, 0)
    messages: dict[str, str] = {}
    for number in range(MOST_TRIES):
        one = _Trial(homework, {key: tries[key][taken[key]] for key in homework.keys}, run)
        for key, message in one.messages().items():
            if not message or key not in messages:
                messages[key] = message
        notes |= one.notes
        more = [key for key in homework.keys if messages[key] and number + 1 < len(tries[key])]
        if not more:
            break
        taken |= dict.fromkeys(more, number + 1)
    used = {piece.cell for several in tries.values() for version in several for piece in version}
    used |= {piece.cell for piece in every if piece.slot}
    for key, message in messages.items():
        own = [note for (cell, _, of), note in notes.items() if key == of and message]
        messages[key] += f" Left out: {'; '.join(own[:5])}" if own else ""
    return Judgement(messages, [note for (cell, _, _), note in sorted(notes.items()) if cell in used])


def run_here(nb: NotebookNode, said: str, *, cell_seconds: float = 60) -> Run:
    """Run a notebook in a kernel of this Python, in an empty folder, without a sandbox.

    Args:
        nb: the notebook.
        said: outputs of this MIME type are reported.
        cell_seconds: what one cell may take.

    Raises:
        StoppedError: the kernel does not start.
    """
    cells: list[CellRun] = []

    def done(cell: NotebookNode, seconds: float) -> None:
        cells.append(cell_run(cell, said))

    with tempfile.TemporaryDirectory(prefix="homework-", ignore_cleanup_errors=True) as folder:
        try:
            kernel.run(nb, Path(folder, "homework.ipynb"), timeout=cell_seconds, allow_errors=True, done=done)
        except kernel.StoppedError as error:
            if error.why.startswith(kernel.NOT_STARTED):
                raise
            return Run(cells, error.why)
    return Run(cells, "")


Notes = dict[tuple[int, int, str], str]  # by cell, line and exercise


def _runnable(found: list[Piece], homework: Homework) -> tuple[list[Piece], Notes]:
    """The pieces as they can be run, and what was left out of them."""
    kept, notes, gone = [], Notes(), set[str]()
    for piece in found:
        source, problems = runnable(piece.source, homework.allowed, gone)
        for line, problem in problems:
            at = piece.line + line - 1
            key = piece.slot or next(iter(sorted(piece.of)), "")
            notes[piece.cell, at, key] = f"cell {piece.cell}, line {at}: {problem}"
        if source.strip():
            kept.append(Piece(source, piece.cell, piece.line, piece.slot, piece.of, piece.spare))
    return kept, notes


class _Trial:
    """One choice of answers, run until it comes to its end."""

    def __init__(self, homework: Homework, chosen: dict[str, list[Piece]], run: Runner) -> None:
        self.homework, self.chosen, self.run = homework, {k: list(v) for k, v in chosen.items()}, run
        self.notes: Notes = {}

    def messages(self) -> dict[str, str]:
        """What is wrong, by exercise."""
        keys, stopped = self.homework.keys, dict[str, str]()
        while len(stopped) < len(keys):
            code = {key: [piece.source for piece in self.chosen[key]] for key in keys}
            made = assemble(self.homework, code, without=stopped)
            run = self.run(made.nb, made.said)
            if not run.stopped:
                return {key: stopped.get(key) or self._judged(made.kinds, run.cells, key) for key in keys}
            self._stop(made.kinds[: len(run.cells) + 1], run.stopped, stopped)
        return stopped

    def _stop(self, kinds: list[tuple[str, str]], why: str, stopped: dict[str, str]) -> None:
        """Take the cell that ended the run out; with it its exercise, unless that is answered without it."""
        key, kind = kinds[-1]
        if not key:
            raise HomeworkError(
                f"{self.homework.name}: the cells before the first exercise do not end: one {why}"
            )
        stopped[key] = f"The code was stopped: a cell {why}."
        if kind != "answer":
            return
        own = self.chosen[key]
        piece = own.pop(kinds.count((key, "answer")) - 1)
        stopped[key] += f" It is cell {piece.cell} of the notebook."
        names = next(exercise.defines for exercise in self.homework.exercises if exercise.key == key)
        if any(defines(other.source) & names for other in own):
            self.notes[piece.cell, piece.line, key] = f"cell {piece.cell}, line {piece.line}: it {why}"
            del stopped[key]

    def _judged(self, kinds: list[tuple[str, str]], cells: list[CellRun], key: str) -> str:
        """What is wrong with one exercise after a run that came to its end."""
        ran = [(of, kind, cell) for (of, kind), cell in zip(kinds, cells, strict=True)]
        for of, _, cell in ran:
            if not of and cell.error:
                raise HomeworkError(
                    f"{self.homework.name}: the cells before the first exercise fail: {cell.error}"
                )
        check = next(exercise for exercise in self.homework.exercises if exercise.key == key).checks[0]
        problems: list[tuple[str, str]] = []
        for of, kind, cell in ran:
            if of != key:
                continue
            if cell.error:
                hidden = "A check that is not in your notebook: " if kind == "hidden" else ""
                problems.append((kind, hidden + cell.error))
            elif kind == "check" and not prints_the_right_thing(check, cell.said):
                what = (
                    "The check ran to its end, but what it prints from your answer is not what it should be."
                )
                problems.append((kind, what))
        if all(kind == "answer" for kind, _ in problems):  # a scratch cell that fails costs nothing
            return ""
        return ("" if self.chosen[key] else "There is no code for this exercise. ") + problems[0][1]
