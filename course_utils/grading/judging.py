"""What is wrong with each exercise of a submission: the one way from a notebook to its marks.

`course homework grade` and `course homework check` both go it; they differ in where the submission's process runs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nbformat import NotebookNode

from course_utils.authoring.homework import HomeworkError
from course_utils.grading.advice import plain
from course_utils.grading.cells import Piece, pieces, versions
from course_utils.grading.reading import Exercise, Homework, defines
from course_utils.grading.sandbox import Limits
from course_utils.grading.session import Session, Start, StoppedError

NOT_YOURS = "A check that is not in your notebook: "


@dataclass(frozen=True)
class Judgement:
    """How a submission did.

    Attributes:
        messages: what is wrong, by exercise; "" where it passes.
        left_out: what of its code was not run, with cell and line, and why.
    """

    messages: dict[str, str]
    left_out: list[str]


@dataclass(frozen=True)
class Wanted:
    """What the solution's answers give to the hidden checks, by exercise, for the inputs of a seed."""

    seed: int
    values: dict[str, Any]


def wanted(homework: Homework, start: Start, seed: int) -> Wanted:
    """Ask the solution, in a process as a submission's.

    Args:
        homework: the homework.
        start: starts the process.
        seed: of the inputs, ≥ 0.

    Raises:
        HomeworkError: the homework's own cells fail, or a hidden check does.
    """
    values: dict[str, Any] = {}
    try:
        with start() as session:
            _teachers(session, homework, homework.setup)
            for exercise in homework.exercises:
                _teachers(session, homework, [*exercise.before, *exercise.answer, *exercise.after])
                error, values[exercise.key] = session.ask(homework.hidden.asks, exercise.key, seed)
                if error:
                    raise HomeworkError(f"{homework.hidden.name}: {exercise.key} of the solution: {error}")
    except StoppedError as error:
        raise HomeworkError(f"{homework.name}: the solution does not run: a cell {error}") from None
    return Wanted(seed, values)


def judge(nb: NotebookNode, homework: Homework, want: Wanted, start: Start, limits: Limits) -> Judgement:
    """Run a submission's answers between the teacher's cells, and ask each what the solution was asked.

    An exercise passes if one of its `versions` gives the solution's values. If none does, its visible check says what
    is wrong, or the hidden one where that passes. A statement that fails is left out, and the rest of its cell is
    run. A cell that does not end, or ends its process, is left out of another process.

    Args:
        nb: as `read_submission` gives it.
        homework: what it is judged by.
        want: what the solution gives.
        start: starts a process for the submission.
        limits: what it may use.

    Raises:
        HomeworkError: the homework's own cells fail.
    """
    submission = _Submission(nb, homework, want, limits)
    while not submission.done:
        began = time.monotonic()
        try:
            with start() as session:
                submission.end += time.monotonic() - began  # a new wall is no time of its own
                submission.go(session)
        except StoppedError as error:
            submission.stop(str(error))
    return submission.judgement()


def let_through(
    homework: Homework, wrong: Mapping[str, Sequence[tuple[str, str]]], start: Start, seed: int
) -> list[str]:
    """The wrong answers that the hidden checks do not catch; [] if they catch all.

    Args:
        homework: the homework.
        wrong: by exercise what is wrong, and the code (`authoring.homework.wrong_answers`).
        start: starts a process.
        seed: of the inputs, ≥ 0.

    Raises:
        HomeworkError: see `wanted`.
        StoppedError: an answer ends the process.
    """
    want, passed = wanted(homework, start, seed), list[str]()
    with start() as session:
        _teachers(session, homework, homework.setup)
        for exercise in homework.exercises:
            key = exercise.key
            _teachers(session, homework, exercise.before)
            for what, code in wrong.get(key, []):
                for source in (code, *(cell.source for cell in exercise.after)):
                    session.check(source, "a wrong answer")
                error, values = session.ask(homework.hidden.asks, key, seed)
                if not (error or homework.hidden.judge(key, values, want.values[key])):
                    passed.append(f"{key}: {what}: passes its hidden check")
            _teachers(session, homework, [*exercise.answer, *exercise.after])
    return passed


def _teachers(session: Session, homework: Homework, cells: Sequence[NotebookNode]) -> None:
    for cell in cells:
        if error := session.check(cell.source, "a cell of the homework", keep=True):
            raise HomeworkError(f"{homework.name}: a cell of the homework's own fails: {error}")


class _Submission:
    """One submission on its way; what is decided stays so when its process has to be started again."""

    def __init__(self, nb: NotebookNode, homework: Homework, want: Wanted, limits: Limits) -> None:
        self.homework, self.want, self.limits = homework, want, limits
        self.end = time.monotonic() + limits.seconds
        self.notes: dict[tuple[int, int, str], str] = {}  # what is left out, by cell, line and exercise
        self.every = pieces(nb, homework)
        found = [piece for one in self.every if (piece := self._plain(one)) is not None]
        self.tries = {key: versions(found, homework, key) for key in homework.keys}
        self.messages: dict[str, str] = {}
        self.chosen: dict[str, list[Piece]] = {}  # the version that a decided exercise is run with
        self.given_up: set[Any] = set()  # pieces, asks (exercise, version) and checks that were stopped
        self.stopped: dict[str, str] = {}
        self.at: tuple[str, Any] = "", None  # what is being run, and what is given up if it is stopped

    @property
    def done(self) -> bool:
        return len(self.messages) == len(self.homework.keys)

    def go(self, session: Session) -> None:
        """From the first cell to the last check."""
        self._step("", None)
        _teachers(session, self.homework, self.homework.setup)
        self.unchecked: list[Exercise] = []  # those above whose visible check was not run in this process
        for exercise in self.homework.exercises:
            key = exercise.key
            self._before(session, exercise)
            if key not in self.messages:
                self._decide(session, exercise)
            else:
                self._run(session, exercise, self.chosen[key])
            self.unchecked.append(exercise)

    def _before(self, session: Session, exercise: Exercise) -> None:
        """Run the teacher's cells above an answer; what fails there was broken by an answer further above."""
        this = exercise.key, "given"
        for cell in exercise.before if this not in self.given_up else []:
            self._step(exercise.key, this)
            session.check(cell.source, "a cell of the homework", keep=True)

    def _decide(self, session: Session, exercise: Exercise) -> None:
        key, message = exercise.key, ""
        for number, version in enumerate(self.tries[key]):
            problem = self._ask(session, exercise, version, number)
            if problem and self.unchecked:  # an answer may use what a check above has defined
                self._catch_up(session)
                problem = self._ask(session, exercise, version, number)
            if not problem:
                self.messages[key], self.chosen[key] = "", version
                return
            message = message or self._words(session, exercise, problem)
        self.messages[key], self.chosen[key] = self._complete(key, message), self.tries[key][0]
        self._run(session, exercise, self.chosen[key])

    def _ask(self, session: Session, exercise: Exercise, version: list[Piece], number: int) -> str:
        """What is wrong with a version of an answer; "" if its values are the solution's."""
        key = exercise.key
        if {(key, number), (key, number, "after"), (key, "given")} & self.given_up:
            return self.stopped[key]
        self._run(session, exercise, version, number)
        self._step(key, (key, number))
        error, values = session.ask(self.homework.hidden.asks, key, self.want.seed)
        return error or self.homework.hidden.judge(key, values, self.want.values[key])

    def _run(self, session: Session, exercise: Exercise, version: list[Piece], number: int = 0) -> None:
        """Run the cells of a version, and the teacher's below them."""
        key = exercise.key
        for piece in version:
            if piece not in self.given_up:
                self._step(key, piece)
                for line, error in session.run(piece.source, f"cell {piece.cell}"):
                    self._leave_out(piece, line, error, key)
        below = key, number, "after"
        for cell in exercise.after if below not in self.given_up else []:
            self._step(key, below)
            session.check(cell.source, "a cell of the homework")

    def _catch_up(self, session: Session) -> None:
        for exercise in self.unchecked:
            self._check(session, exercise)
        self.unchecked = []

    def _check(self, session: Session, exercise: Exercise) -> str:
        """What the visible check says; "" if it passes, or if the answer was stopped before."""
        this = exercise.key, "check"
        if this in self.given_up or exercise.key in self.stopped:
            return ""
        self._step(exercise.key, this)
        return session.check(exercise.check.source, f"the check of {exercise.key}")

    def _words(self, session: Session, exercise: Exercise, problem: str) -> str:
        if problem == self.stopped.get(exercise.key):
            return problem
        return self._check(session, exercise) or NOT_YOURS + problem

    def _complete(self, key: str, message: str) -> str:
        if key in self.stopped:
            return self.stopped[key] + self._built_on(key)
        own = [note for (_, _, of), note in sorted(self.notes.items()) if of == key]
        start = "" if self.tries[key][0] else "There is no code for this exercise. "
        return f"{start}{message}{self._built_on(key)}" + (f" Left out: {'; '.join(own[:5])}" if own else "")

    def _built_on(self, key: str) -> str:
        """Which functions of exercises that fail the answer to another one uses."""
        words = {word for piece in self.tries[key][0] for word in re.findall(r"\w+", piece.source)}
        for exercise in self.homework.exercises:
            if self.messages.get(exercise.key) and (used := sorted(words & exercise.defines)):
                return f" It uses `{used[0]}` of {exercise.key}, which does not pass either."
        return ""

    def _step(self, key: str, what: Any) -> None:
        self.at = key, what
        if time.monotonic() > self.end:
            raise StoppedError(f"used up the {self.limits.seconds:g} s of the whole submission")

    def stop(self, why: str) -> None:
        """Give up what has ended the process; the exercise with it, unless it is answered without it."""
        key, what = self.at
        said = f"The code was stopped: a cell {why}."
        if time.monotonic() > self.end:
            for other in self.homework.keys:
                self.messages.setdefault(other, said)
            return
        if not key:
            raise HomeworkError(
                f"{self.homework.name}: the cells before the first exercise do not end: one {why}"
            )
        self.given_up.add(what)
        if isinstance(what, Piece):
            self._leave_out(what, 1, f"it {why}", key)
            said += f" It is cell {what.cell} of the notebook."
        exercise = next(exercise for exercise in self.homework.exercises if exercise.key == key)
        if not isinstance(what, Piece) or defines(what.source) & exercise.defines:
            self.stopped.setdefault(key, said)

    def _plain(self, piece: Piece) -> Piece | None:
        """A piece without the lines that only a notebook knows; None if nothing is left."""
        source, left = plain(piece.source)
        for line, problem in left:
            self._leave_out(piece, line, problem, piece.slot or min(piece.of, default=""))
        return replace(piece, source=source) if source.strip() else None

    def _leave_out(self, piece: Piece, line: int, why: str, key: str) -> None:
        at = piece.line + line - 1
        self.notes[piece.cell, at, key] = f"cell {piece.cell}, line {at}: {why}"

    def judgement(self) -> Judgement:
        used = {piece.cell for tries in self.tries.values() for version in tries for piece in version}
        used |= {piece.cell for piece in self.every if piece.slot}
        notes = dict.fromkeys(note for (cell, _, _), note in sorted(self.notes.items()) if cell in used)
        return Judgement({key: self.messages[key] for key in self.homework.keys}, list(notes))
