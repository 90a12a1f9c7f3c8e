"""The command line: course homework build|check|wrong|progress|grade|doctor."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from course_utils.authoring.homework import (
    HomeworkError,
    Result,
    build,
    report,
    results,
    uncaught,
    wrong_answers,
)
from course_utils.authoring.kernel import NotebookError
from course_utils.grading.advice import advice, plain
from course_utils.grading.doctor import try_the_wall
from course_utils.grading.grade import check_out, grade, left_aside
from course_utils.grading.judging import judge, let_through, wanted
from course_utils.grading.reading import SubmissionError, read_homework, read_submission, which_homework
from course_utils.grading.sandbox import Limits
from course_utils.grading.session import alone

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Build homework, see which exercises pass, and grade what students hand in.",
)  # fmt: skip
Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)]
Seconds = Annotated[int, typer.Option(min=1, max=86_400, help="how long one cell may take")]
FOLDER = Path(__file__).parents[2] / "notebooks" / "homework"
STUDENT, SOLUTION = FOLDER / "student", FOLDER / "solution"


@app.command("build")
def build_command(sources: Files, timeout: Seconds = 300) -> None:
    """Make the student's and the solution's notebook of each source."""
    for source in sources:
        for ipynb in _or_exit(partial(build, source, timeout=timeout)):
            typer.echo(str(ipynb))


@app.command("check")
def check_command(notebooks: Files) -> None:
    """Say which exercises of each homework notebook pass, and what is wrong with the others."""
    passed = True
    for ipynb in notebooks:
        found, notes = _or_exit(partial(_checked, ipynb))
        typer.echo("\n".join([report(found), *notes]))
        passed = passed and all(result.passed for result in found.values())
    raise typer.Exit(0 if passed else 1)


def _checked(ipynb: Path) -> tuple[dict[str, Result], list[str]]:
    """Which exercises pass, judged as when graded where the homework's solution is at hand; what was left out, and
    what may not work where it is graded.
    """
    try:
        nb, _ = read_submission(ipynb)
    except SubmissionError as error:
        raise HomeworkError(f"{ipynb.name} {error}") from None
    solution = SOLUTION / f"{which_homework(ipynb.name, nb)}.ipynb"
    if not solution.is_file():
        return results(ipynb), []
    homework, limits = read_homework(solution), Limits(wall=False)
    start = partial(alone, limits)
    judged = judge(nb, homework, wanted(homework, start, secrets.randbelow(2**31)), start, limits)
    notes = [f"left out: {line}" for line in judged.left_out]
    notes += [
        f"may fail: cell {number}, line {line}: {why}"
        for number, cell in enumerate(nb.cells, 1)
        if cell.cell_type == "code"
        for line, why in advice(plain(cell.source)[0])
    ]
    return {key: Result(not message, message) for key, message in judged.messages.items()}, notes


@app.command("wrong")
def wrong_command(sources: Files) -> None:
    """Say which plausible wrong answers the checks of each source let through, the visible and the hidden ones."""
    problems = [
        problem
        for source in sources
        for problem in [*_or_exit(partial(uncaught, source)), *_or_exit(partial(_let_through, source))]
    ]
    typer.echo("\n".join(problems) or "every wrong answer is caught")
    raise typer.Exit(1 if problems else 0)


def _let_through(source: Path) -> list[str]:
    """The wrong answers that the hidden checks of a source's solution, as it was built last, do not catch."""
    homework = read_homework(source.parent.parent / "solution" / source.with_suffix(".ipynb").name)
    start = partial(alone, Limits(cell_seconds=300, wall=False))
    return let_through(homework, wrong_answers(source), start, secrets.randbelow(2**31))


@app.command("progress")
def progress_command(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)] = STUDENT) -> None:
    """A table of all your homework: which exercises pass. Runs every hwNN.ipynb of a folder, some minutes."""
    notebooks = sorted(folder.glob("hw[0-9][0-9].ipynb"))
    if not notebooks:
        typer.echo(f"error: {folder} holds no hw01.ipynb or the like", err=True)
        raise typer.Exit(2)
    done = of = 0
    for ipynb in notebooks:
        found, _ = _or_exit(partial(_checked, ipynb))
        passed = sum(result.passed for result in found.values())
        done, of = done + passed, of + len(found)
        marks = "  ".join(f"{key} {'✓' if result.passed else '·'}" for key, result in found.items())
        typer.echo(f"{ipynb.stem}  {passed} of {len(found)}  {marks}")
    typer.echo(f"{done} of {of} exercises pass")


@app.command("grade")
def grade_command(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="the submissions, at any depth")
    ],
    out: Annotated[
        Path,
        typer.Option(
            readable=False, help="the table; a page for each submission goes to the folder beside it"
        ),
    ],
    solutions: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="the executed solutions: notebooks/homework/solution in a checkout",
        ),
    ] = SOLUTION,
    hidden: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="the hidden checks hw01_hidden.py …; by default those of the course",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=256, help="at once; by default one a processor")
    ] = None,
    cell_seconds: Seconds = 60,
    seconds: Annotated[int, typer.Option(min=1, max=86_400, help="how long one submission may take")] = 600,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="of the hidden checks' inputs, to grade a row of a table again as it was",
        ),
    ] = None,
    without_sandbox: Annotated[
        bool, typer.Option("--without-sandbox", help="run submissions with all the rights of your account")
    ] = False,
) -> None:
    """Grade submissions by hidden checks, each in a sandbox; called again, it goes on where it stopped."""
    _or_exit(partial(check_out, out))
    if without_sandbox:
        typer.echo(
            "Without the sandbox nothing stands between what students wrote and your account: their code can read and "
            "change your files, other submissions and grades, and use the network.",
            err=True,
        )
    limits = Limits(cell_seconds=cell_seconds, seconds=seconds, wall=not without_sandbox)
    rows = _or_exit(
        partial(grade, folder, out, solutions=solutions, hidden=hidden, jobs=jobs, seed=seed, limits=limits)
    )
    not_graded = [row for row in rows if row.note]
    many = f"{len(rows)} submission{'s' * (len(rows) != 1)}"
    typer.echo(f"wrote {out}: {many}, {len(not_graded)} of them not graded")
    for row in not_graded:
        typer.echo(f"  {row.file}: {row.note}")
    for row in rows:
        if row.open_note and not row.note:
            typer.echo(f"  {row.file}: points for the open answer: {row.open_note}")
    if (aside := left_aside(out)).exists():
        names = aside.read_text(encoding="utf-8").splitlines()
        what = "1 file is" if len(names) == 1 else f"{len(names)} files are"
        first = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        typer.echo(f"{what} nobody's work: {first}; named in {aside}")


@app.command("doctor")
def doctor_command() -> None:
    """Try on this machine what a submission must not be able to do, behind the wall, and say what happened."""
    tried = _or_exit(lambda: list(try_the_wall()))
    width = max(len(what) for what, _ in tried)
    for what, result in tried:
        typer.echo(f"  {'ok' if result.held else '--'}  {what:{width}}  {result.said}")
    through = sum(not result.held for _, result in tried)
    typer.echo(
        f"{through} of {len(tried)} got through" if through else f"the wall held against all {len(tried)}"
    )
    raise typer.Exit(1 if through else 0)


def _or_exit(action: Callable[[], T]) -> T:
    """The action's result; an error that explains itself ends the program with one line and status 2."""
    try:
        return action()
    except (ValueError, NotebookError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
