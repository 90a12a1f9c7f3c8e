"""Grade a folder of submissions."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from tqdm.auto import tqdm

from course_utils.authoring.homework import HomeworkError
from course_utils.authoring.notebooks import write_text
from course_utils.files import check_writable
from course_utils.grading import sandbox, wall
from course_utils.grading.cells import answers, open_answer, open_question
from course_utils.grading.handed_in import INSIDE, File, handed_in
from course_utils.grading.judging import Judgement, judge
from course_utils.grading.reading import Homework, read_homework, read_notebook, which_homework
from course_utils.grading.report import Grade, page_name, table, write_pages
from course_utils.grading.sandbox import Limits, SandboxError


def grade_notebook(nb: NotebookNode, homework: Homework, *, limits: Limits | None = None) -> Judgement:
    """Judge a submission (`judging.judge`) in the sandbox.

    Args:
        nb: as `read_submission` gives it.
        homework: what it is graded by.
        limits: what it may use.

    Raises:
        HomeworkError: the homework's own cells fail.
        SandboxError, WallError: the sandbox does not start.
    """
    return judge(nb, homework, lambda made, said: sandbox.run_sandboxed(made, said, limits or Limits()))


def grade_file(
    file: File,
    homeworks: Callable[[str], Homework | None],
    *,
    limits: Limits,
) -> Grade:
    """The row of one submission, whatever it is; only a sandbox that does not start is an error."""
    began, row = time.monotonic(), Grade(file.name, note=file.problem)
    if row.note:
        return row
    try:
        nb, digest = read_notebook(file.read(), file.name)
        row.homework = which_homework(file.name, nb) or ""
        homework = homeworks(row.homework) if row.homework else None
        if homework is None:
            row.note = f"which homework is this? {row.homework or 'Neither title nor file name'} tells"
            return row
        row.digest = f"{digest}-{homework.digest}"
        row.code, row.open_answer = answers(nb, homework), open_answer(nb, homework)
        row.open_question = open_question(homework)
        judged = grade_notebook(nb, homework, limits=limits)
        row.messages, row.left_out = judged.messages, judged.left_out
        row.passed = {key: not message for key, message in row.messages.items()}
    except (SandboxError, wall.WallError):
        raise
    except HomeworkError as error:
        row.note = str(error)
    except OSError as error:
        row.note = f"could not be read: {error.strerror}"
    except Exception as error:  # the other submissions are graded all the same
        row.note = f"could not be graded: {type(error).__name__}: {error}"
    row.seconds = round(time.monotonic() - began, 1)
    return row


def grade(
    folder: Path | str,
    out: Path | str,
    *,
    solutions: Path | str,
    hidden: Path | str | None = None,
    jobs: int | None = None,
    limits: Limits | None = None,
    progress: bool = True,
) -> list[Grade]:
    """Grade all submissions below a folder; write a table, and a page for each.

    Rows that are done are kept in `<out>.rows.jsonl`: called again, it goes on where it stopped, and grades anew what
    was changed since.

    Args:
        folder: the submissions, at any depth, in zips too (see `handed_in`).
        out: the CSV file; pages go to the folder beside it of the same name, and the names of files that get no row
            to `<out>.left-aside.txt`, where there are any. It may lie among the submissions.
        solutions: the folder of the executed solutions `hw01.ipynb` ….
        hidden: a folder of further checks, `hw01_hidden.py` …, or None.
        jobs: submissions at once (default: one a processor).
        limits: what each may use.

    Raises:
        NotADirectoryError: `folder` or `solutions` is none.
        HomeworkError: `folder` holds no submissions, or `out` does not end in .csv.
        OSError: nothing can be written there; raised before anything is graded.
        WallError: there is no bubblewrap, or what submissions must not see lies where they look; nothing is graded.
        SandboxError: the sandbox does not start; what was graded before is kept.
    """
    folder, out, solutions = Path(folder).resolve(), Path(out).resolve(), Path(solutions).resolve()
    for path in (folder, solutions):
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is not a folder")
    jobs, limits = jobs or os.cpu_count() or 1, limits or Limits()

    @cache
    def known(name: str) -> Homework | None:
        solution, more = solutions / f"{name}.ipynb", Path(hidden or "") / f"{name}_hidden.py"
        if not solution.is_file():
            return None
        return read_homework(solution, more if hidden is not None and more.is_file() else None)

    pages, journal = out.with_suffix(""), _journal(out)
    kept = _read_journal(journal)
    ours = {out, journal, left_aside(out), *(pages / page_name(name) for name in kept)}
    left = handed_in(folder)
    files = {file.name: file for file in left.files if folder / file.name not in ours}
    if not files:
        raise HomeworkError(f"{folder} holds no submissions: no file that is anybody's work")
    check_out(out)
    if limits.wall:
        wall.bubblewrap()
        places = {(folder / name.partition(INSIDE)[0]).parent for name in files}
        hidden_checks = [Path(hidden)] if hidden is not None else []
        wall.require_unseen([folder, *sorted(places), solutions, out, *hidden_checks])
        wall.compile_package()
    out.parent.mkdir(parents=True, exist_ok=True)
    journal.touch()
    rows = {name: row for name, file in files.items() if (row := _still_right(file, kept, known)) is not None}
    with ThreadPoolExecutor(jobs) as pool, journal.open("a", encoding="utf-8") as lines:
        running = {
            pool.submit(grade_file, file, known, limits=limits): name
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
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    ordered = [rows[name] for name in files]
    written = write_pages(ordered, pages)
    write_text(out, table(ordered, written))
    for old in {page_name(name) for name in kept} - set(written):  # of submissions that are gone
        (pages / old).unlink(missing_ok=True)
    if left.junk:
        write_text(left_aside(out), "\n".join(left.junk) + "\n")
    else:
        left_aside(out).unlink(missing_ok=True)
    return ordered


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


def _still_right(
    file: File, kept: dict[str, Grade], homeworks: Callable[[str], Homework | None]
) -> Grade | None:
    row = kept.get(file.name)
    if row is None or not row.passed or file.problem:
        return None
    try:
        digest, homework = read_notebook(file.read(), file.name)[1], homeworks(row.homework)
    except (HomeworkError, OSError):
        return None
    return row if homework is not None and row.digest == f"{digest}-{homework.digest}" else None
