"""Grade a folder of submissions."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from tqdm.auto import tqdm

from course_utils.authoring.homework import HomeworkError
from course_utils.authoring.notebooks import write_text
from course_utils.files import check_writable
from course_utils.grading import sandbox
from course_utils.grading.assembly import assemble, prints_the_right_thing
from course_utils.grading.gate import refusals
from course_utils.grading.reading import (
    ARCHIVES,
    Homework,
    answers,
    open_answer,
    read_homework,
    read_submission,
    which_homework,
)
from course_utils.grading.report import Grade, table, write_pages
from course_utils.grading.sandbox import Limits, SandboxError, what_to_hide


def grade_notebook(
    nb: NotebookNode, homework: Homework, *, hide: Iterable[Path] = (), limits: Limits | None = None
) -> dict[str, str]:
    """What is wrong with each exercise of a submission, by key; "" where it passes.

    A cell that ends its kernel, or uses up the time, costs its exercise: the rest is run again without it.

    Args:
        nb: as `read_submission` gives it.
        homework: what it is graded by.
        hide: files and folders that the submission must not see.
        limits: what it may use.

    Raises:
        HomeworkError: the homework's own cells fail.
        SandboxError: the sandbox does not start.
    """
    code = answers(nb, homework)
    found = refusals(code, homework.allowed)
    messages = {key: f"The code was not run. {problems}" for key, problems in found.items()}
    while len(messages) < len(homework.keys):
        made = assemble(homework, code, without=messages)
        run = sandbox.run_sandboxed(made.nb, made.said, hide, limits or Limits())
        if not run.stopped:
            return {
                key: _judged(homework, code, made.kinds, run.cells, messages, key) for key in homework.keys
            }
        key, _ = made.kinds[len(run.cells)]
        if not key:
            raise HomeworkError(
                f"{homework.name}: the cells before the first exercise do not end: one {run.stopped}"
            )
        messages[key] = f"The code was stopped: a cell {run.stopped}."
    return {key: messages[key] for key in homework.keys}


def _judged(
    homework: Homework,
    code: dict[str, list[str]],
    kinds: list[tuple[str, str]],
    cells: list[sandbox.CellRun],
    messages: dict[str, str],
    key: str,
) -> str:
    """What is wrong with one exercise after a run that came to its end."""
    ran = [(of, kind, cell) for (of, kind), cell in zip(kinds, cells, strict=True)]
    for of, _, cell in ran:
        if not of and cell.error:
            raise HomeworkError(f"{homework.name}: the cells before the first exercise fail: {cell.error}")
    if key in messages:
        return messages[key]
    check = next(exercise for exercise in homework.exercises if exercise.key == key).checks[0]
    problems: list[tuple[str, str]] = []
    for of, kind, cell in ran:
        if of != key:
            continue
        if cell.error:
            hidden = "A check that is not in your notebook: " if kind == "hidden" else ""
            problems.append((kind, hidden + cell.error))
        elif kind == "check" and not prints_the_right_thing(check, cell.said):
            what = "The check ran to its end, but what it prints from your answer is not what it should be."
            problems.append((kind, what))
    if all(kind == "answer" for kind, _ in problems):  # a scratch cell that fails costs nothing
        return ""
    return ("" if code[key] else "There is no code for this exercise. ") + problems[0][1]


def grade_file(
    path: Path,
    folder: Path,
    homeworks: Callable[[str], Homework | None],
    *,
    hide: Iterable[Path],
    limits: Limits,
) -> Grade:
    """The row of one submission, whatever it is; only a sandbox that does not start is an error."""
    began, row = time.monotonic(), Grade(path.relative_to(folder).as_posix())
    try:
        nb, digest = read_submission(path)
        row.homework = which_homework(path.name, nb) or ""
        homework = homeworks(row.homework) if row.homework else None
        if homework is None:
            row.note = f"which homework is this? {row.homework or 'Neither title nor file name'} tells"
            return row
        row.digest = f"{digest}-{homework.digest}"
        row.code, row.open_answer = answers(nb, homework), open_answer(nb)
        row.messages = grade_notebook(nb, homework, hide=hide, limits=limits)
        row.passed = {key: not message for key, message in row.messages.items()}
    except SandboxError:
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
        folder: the submissions, at any depth (see `submissions`).
        out: the CSV file; pages go to the folder beside it of the same name.
        solutions: the folder of the executed solutions `hw01.ipynb` ….
        hidden: a folder of further checks, `hw01_hidden.py` …, or None.
        jobs: submissions at once (default: one a processor).
        limits: what each may use.

    Raises:
        NotADirectoryError: `folder` or `solutions` is none.
        HomeworkError: `folder` holds no submissions, or `out` does not end in .csv.
        OSError: nothing can be written there; raised before anything is graded.
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

    files = submissions(folder)
    if not files:
        raise HomeworkError(
            f"{folder} holds no submissions: no file of it has .ipynb in its name, or is an archive"
        )
    check_out(out)
    pages, journal = out.with_suffix(""), _journal(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    journal.touch()
    kept = _read_journal(journal)
    rows = {path: row for path in files if (row := _still_right(path, folder, kept, known)) is not None}
    secret = [solutions, *([Path(hidden).resolve()] if hidden is not None else [])]
    hide = what_to_hide(
        [folder, pages, solutions.parent / "source", *_repository(solutions), *secret],
        [
            *files,
            out,
            journal,
            *pages.glob("*.html"),
            *(file for path in secret for file in path.glob("hw*")),
        ],
    )
    with ThreadPoolExecutor(jobs) as pool, journal.open("a", encoding="utf-8") as lines:
        running = {
            pool.submit(grade_file, path, folder, known, hide=hide, limits=limits): path
            for path in files
            if path not in rows
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
    ordered = [rows[path] for path in files]
    write_text(out, table(ordered, write_pages(ordered, pages)))
    return ordered


def check_out(out: Path) -> None:
    """Raise HomeworkError or OSError unless the table, its pages and the journal can be written; makes nothing."""
    if out.suffix != ".csv":
        raise HomeworkError(f"out={out} must end in .csv; the folder of the pages has the name without it")
    check_writable(out=out, journal=_journal(out), pages=out.with_suffix("") / "x.html")


def _journal(out: Path) -> Path:
    return out.with_name(f"{out.name}.rows.jsonl")


NOTEBOOK = re.compile(r"\.ipynb(\.|$)", re.IGNORECASE)


def submissions(folder: Path) -> list[Path]:
    """What is handed in below a folder: notebooks, also as browsers rename them (`.ipynb.txt`), and archives.

    What a Mac or Jupyter leaves beside the files (`__MACOSX`, `._hw01.ipynb`, `.ipynb_checkpoints`) is none.
    """
    return [
        path
        for path in sorted(folder.rglob("*"))
        if (NOTEBOOK.search(path.name) or path.suffix.lower() in ARCHIVES)
        and not path.name.startswith("._")
        and not {"__MACOSX", ".ipynb_checkpoints"} & set(path.relative_to(folder).parts)
    ]


def _repository(solutions: Path) -> list[Path]:
    """The `.git` that holds the solutions' history, in a list; [] where there is none."""
    return [path / ".git" for path in solutions.parents if (path / ".git").is_dir()][:1]


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
    path: Path, folder: Path, kept: dict[str, Grade], homeworks: Callable[[str], Homework | None]
) -> Grade | None:
    row = kept.get(path.relative_to(folder).as_posix())
    if row is None or not row.passed:
        return None
    try:
        digest, homework = read_submission(path)[1], homeworks(row.homework)
    except (HomeworkError, OSError):
        return None
    return row if homework is not None and row.digest == f"{digest}-{homework.digest}" else None
