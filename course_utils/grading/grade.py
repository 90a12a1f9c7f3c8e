"""Grade a folder of submissions."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock

from tqdm.auto import tqdm

from course_utils.authoring.homework import HomeworkError
from course_utils.authoring.notebooks import write_text
from course_utils.files import check_writable
from course_utils.grading import wall
from course_utils.grading.cells import answers, model_answer, open_answer, open_question, titles
from course_utils.grading.handed_in import INSIDE, File, handed_in
from course_utils.grading.judging import Wanted, judge, wanted
from course_utils.grading.marks import keep_marks, read_marks
from course_utils.grading.overview import NAME, Model, overview
from course_utils.grading.reading import (
    Homework,
    read_homework,
    read_notebook,
    read_submission,
    which_homework,
)
from course_utils.grading.report import Grade, page_name, table, write_pages
from course_utils.grading.sandbox import Limits, SandboxError
from course_utils.grading.session import Session, Start, Wall, alone

BYTE_ORDER_MARK = "\ufeff"  # without it Excel takes a table for one in the system's old encoding


def grade_file(file: File, homeworks: Homeworks, start: Start, limits: Limits) -> Grade:
    """The row of one submission, whatever it is; only what concerns all submissions is an error.

    Args:
        file: what was handed in.
        homeworks: those that it may answer.
        start: starts a process for it.
        limits: what it may use.

    Raises:
        SandboxError, WallError: there is no process.
        TeachersError: a solution or its hidden checks do not work.
    """
    began, row = time.monotonic(), Grade(file.name, note=file.problem)
    if row.note:
        return row
    try:
        nb, digest = read_notebook(file.read(), file.name)
        row.homework = which_homework(file.name, nb) or ""
        homework = homeworks.get(row.homework)
        if homework is None:
            unknown = "which homework is this? Neither title nor file name tells"
            row.note = f"there is no solution {row.homework}.ipynb" if row.homework else unknown
            return row
        row.digest = f"{digest}-{homework.digest}"
        row.code, row.open_answer = answers(nb, homework), open_answer(nb, homework)
        row.open_question = open_question(homework)
        judged = judge(nb, homework, homeworks.wanted(homework), start, limits)
        row.messages, row.left_out = judged.messages, judged.left_out
        row.passed = {key: not message for key, message in row.messages.items()}
        row.seconds, row.seed = round(time.monotonic() - began, 1), homeworks.seed
    except (SandboxError, wall.WallError, TeachersError):
        raise
    except HomeworkError as error:
        row.note = str(error)
    except OSError as error:
        row.note = f"could not be read: {error.strerror}"
    except Exception as error:  # the other submissions are graded all the same
        row.note = f"could not be graded: {type(error).__name__}: {error}"
    return row


class TeachersError(HomeworkError):
    """What the teacher has does not work: no submission is at fault."""


@contextmanager
def _of_the_teacher() -> Iterator[None]:
    try:
        yield
    except (SandboxError, wall.WallError):
        raise
    except HomeworkError as error:
        raise TeachersError(str(error)) from None


class Homeworks:
    """The homeworks as the teacher has them, each read and asked when it is first needed.

    Args:
        solutions: the folder of the executed solutions.
        hidden: the folder of the hidden checks, or None: `source` beside it.
        seed: of the inputs that they are asked.
        start: starts the process that answers.
    """

    def __init__(self, solutions: Path, hidden: Path | None, seed: int, start: Start) -> None:
        self.solutions, self.hidden, self.seed, self.start = solutions, hidden, seed, start
        self._read: dict[str, Homework | None] = {}
        self._wanted: dict[str, Wanted] = {}
        self._lock = Lock()

    def get(self, name: str) -> Homework | None:
        """The homework of this name, None if there is none.

        Raises:
            TeachersError: see `read_homework`.
        """
        with self._lock:
            if name not in self._read:
                solution = self.solutions / f"{name}.ipynb"
                checks = None if self.hidden is None else self.hidden / f"{name}_hidden.py"
                known = name and solution.is_file()
                with _of_the_teacher():
                    self._read[name] = read_homework(solution, checks) if known else None
            return self._read[name]

    def wanted(self, homework: Homework) -> Wanted:
        """What its solution gives; TeachersError if that fails."""
        with self._lock:
            if homework.name not in self._wanted:
                with _of_the_teacher():
                    self._wanted[homework.name] = wanted(homework, self.start, self.seed)
            return self._wanted[homework.name]


class Processes:
    """Processes for submissions, behind as many walls as run at once; without walls each is a program of its own."""

    def __init__(self, jobs: int, limits: Limits) -> None:
        self._limits = limits
        self._stopped = Event()
        self._walls = [Wall(limits) for _ in range(jobs)]
        self._free: SimpleQueue[Wall] = SimpleQueue()
        for one in self._walls:
            self._free.put(one)

    @contextmanager
    def start(self) -> Iterator[Session]:
        """A process for a submission; see `session`. SandboxError once they were stopped."""
        one = self._free.get()
        try:
            if self._stopped.is_set():
                raise SandboxError("the grading was stopped")
            with one.session() if self._limits.wall else alone(self._limits) as session:
                session.stopped = self._stopped
                yield session
        finally:
            self._free.put(one)

    def stop(self) -> None:
        """Let none go on: within a second whoever waits for one gets a StoppedError."""
        self._stopped.set()

    def close(self) -> None:
        """End them all."""
        for one in self._walls:
            one.close()


def grade(
    folder: Path | str,
    out: Path | str,
    *,
    solutions: Path | str,
    hidden: Path | str | None = None,
    jobs: int | None = None,
    seed: int | None = None,
    limits: Limits | None = None,
    progress: bool = True,
) -> list[Grade]:
    """Grade all submissions below a folder; write a table, a page for each, and one for the teacher, `index.html`.

    Rows that are done are kept in `<out>.rows.jsonl`: called again, it goes on where it stopped, and grades anew what
    was changed since. The points for open answers that the table holds by then stay in it (`marks`).

    Args:
        folder: the submissions, at any depth, in zips too (see `handed_in`).
        out: the CSV file; pages go to the folder beside it of the same name, and the names of files that get no row
            to `<out>.left-aside.txt`, where there are any. It may lie among the submissions.
        solutions: the folder of the executed solutions `hw01.ipynb` ….
        hidden: the folder of the hidden checks `hw01_hidden.py` … (default: `source` beside that of the solutions).
        jobs: submissions at once (default: one a processor).
        seed: of the inputs that the hidden checks draw, ≥ 0 (default: a new one).
        limits: what each may use.

    Raises:
        NotADirectoryError: `folder` or `solutions` is none.
        TeachersError: a solution or its hidden checks do not work; what was graded before is kept.
        HomeworkError: `folder` holds no submissions, `solutions` or `hidden` not what belongs there, or `out` does not
            end in .csv or is another table than this one.
        OSError: nothing can be written there; raised before anything is graded.
        WallError: there is no bubblewrap, or what submissions must not see lies where they look; nothing is graded.
        SandboxError: the sandbox does not start; what was graded before is kept.
    """
    folder, out, solutions = Path(folder).resolve(), Path(out).resolve(), Path(solutions).resolve()
    for path in (folder, solutions):
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is not a folder")
    jobs, limits = jobs or os.cpu_count() or 1, limits or Limits()
    if not any(solutions.glob("hw[0-9][0-9].ipynb")):
        raise HomeworkError(f"{solutions} holds no solutions: no hw01.ipynb or the like")
    if hidden is not None and not any(Path(hidden).glob("hw[0-9][0-9]_hidden.py")):
        raise HomeworkError(f"{hidden} holds no hidden checks: no hw01_hidden.py or the like")

    given, seed = seed, secrets.randbelow(2**31) if seed is None else seed
    pages, journal = out.with_suffix(""), _journal(out)
    kept = _read_journal(journal)
    ours = {out, journal, left_aside(out), pages / NAME, *(pages / page_name(name) for name in kept)}
    left = handed_in(folder)
    files = {file.name: file for file in left.files if folder / file.name not in ours}
    if not files:
        raise HomeworkError(f"{folder} holds no submissions: no file that is anybody's work")
    check_out(out)
    read_marks(out)
    if limits.wall:
        wall.bubblewrap()
        places = {(folder / name.partition(INSIDE)[0]).parent for name in files}
        wall.require_unseen([folder, *sorted(places), solutions, out])
        wall.compile_package()
    out.parent.mkdir(parents=True, exist_ok=True)
    journal.touch()
    with ExitStack() as stack:
        processes = Processes(jobs, limits)
        stack.callback(processes.close)
        homeworks = Homeworks(solutions, None if hidden is None else Path(hidden), seed, processes.start)
        right = {name: _still_right(file, kept, homeworks) for name, file in files.items()}
        rows = {name: row for name, row in right.items() if row and given in (None, row.seed)}
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        lines = stack.enter_context(journal.open("a", encoding="utf-8"))
        if journal.read_bytes()[-1:] not in (b"", b"\n"):  # the last line was cut off
            lines.write("\n")
        running = {
            pool.submit(grade_file, file, homeworks, processes.start, limits): name
            for name, file in files.items()
            if name not in rows
        }
        try:
            for done in tqdm(
                as_completed(running), total=len(running), disable=not progress, unit="submission"
            ):
                rows[running[done]] = row = done.result()
                lines.write(json.dumps(asdict(row)) + "\n")
                lines.flush()
        except BaseException:
            processes.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    ordered = [rows[name] for name in files]
    ordered += keep_marks(ordered, read_marks(out))  # read anew: somebody may have marked meanwhile
    written = write_pages(ordered, pages)
    used = {row.homework: own for row in ordered if row.passed and (own := homeworks.get(row.homework))}
    models = {name: _model(solutions / f"{name}.ipynb", own) for name, own in used.items()}
    write_text(pages / NAME, overview(ordered, written, models, out.name))
    write_text(out, BYTE_ORDER_MARK + table(ordered, written))
    for old in {page_name(name) for name in kept} - set(written):  # of submissions that are gone
        (pages / old).unlink(missing_ok=True)
    if left.junk:
        write_text(left_aside(out), "\n".join(left.junk) + "\n")
    else:
        left_aside(out).unlink(missing_ok=True)
    return ordered


def _model(solution: Path, homework: Homework) -> Model:
    code = {key: "\n\n".join(cells) for key, cells in answers(read_submission(solution)[0], homework).items()}
    return Model(titles(homework), code, *model_answer(homework))


def left_aside(out: Path) -> Path:
    """Where the names of the files stand that get no row."""
    return out.with_name(f"{out.name}.left-aside.txt")


def check_out(out: Path) -> None:
    """Raise HomeworkError or OSError unless the table, its pages and the journal can be written; makes nothing."""
    if out.suffix != ".csv":
        raise HomeworkError(f"out={out} must end in .csv; the folder of the pages has the name without it")
    check_writable(
        out=out, journal=_journal(out), pages=out.with_suffix("") / "x.html", aside=left_aside(out)
    )


def _journal(out: Path) -> Path:
    return out.with_name(f"{out.name}.rows.jsonl")


def _read_journal(journal: Path) -> dict[str, Grade]:
    """The last row of each submission; a line that was cut off is left out."""
    rows = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []:
        try:
            row = Grade(**json.loads(line))
        except (ValueError, TypeError):
            continue
        rows[row.file] = row
    return rows


def _still_right(file: File, kept: dict[str, Grade], homeworks: Homeworks) -> Grade | None:
    row = kept.get(file.name)
    if row is None or not row.passed or file.problem:
        return None
    try:
        digest, homework = read_notebook(file.read(), file.name)[1], homeworks.get(row.homework)
    except (HomeworkError, OSError):
        return None
    return row if homework is not None and row.digest == f"{digest}-{homework.digest}" else None
