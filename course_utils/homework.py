"""Homework: one marked source gives the student's and the solution's notebook, and checks say what is wrong.

A source is a py:percent file. What students must not see stands between `### BEGIN SOLUTION` and
`### END SOLUTION`; lines `### STUB: code` between the two are what students get instead. An exercise's cell
has a key, `# %% key="q1"`; its check follows, `# %% key="check-q1" tags=["check"]`, and begins `# CHECK q1`.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor


class HomeworkError(ValueError):
    """A homework's source or notebook is not as it must be."""


# --- Checks: what a check cell calls ------------------------------------------------------------------------


def check_shape(name: str, got: Any, want: Sequence[int], *, hint: str = "") -> None:
    """Raise an AssertionError that says how a shape is wrong.

    Args:
        name: what is checked, in the student's words: `"q1: mask(x)"`.
        got: the student's value: a tensor, an array or a number.
        want: the right shape; () for one number.
        hint: added to the message.

    Raises:
        AssertionError: `got` is not numeric, or has another shape.
    """
    shape, want = tuple(_numbers(name, got, hint).shape), tuple(want)
    if shape == want:
        return
    guess = ""
    if shape == () and want:
        guess = ": everything was reduced to one number, which axes should stay?"
    elif sorted(shape) == sorted(want):
        guess = ": the axes are in another order"
    elif len(shape) > len(want):
        guess = ": an axis that should be summed or averaged over is still there"
    _fail(name, f"has shape {shape}, should have {want}{guess}", hint)


def check_range(name: str, got: Any, low: float, high: float, *, hint: str = "") -> None:
    """Raise an AssertionError if a value leaves [low, high].

    Args:
        name: what is checked, in the student's words.
        got: the student's value: a tensor, an array or a number.
        low: the smallest value allowed.
        high: the largest value allowed.
        hint: added to the message.

    Raises:
        AssertionError: `got` is not numeric, not finite, or leaves the range.
    """
    numbers = _finite(name, got, hint)
    smallest, largest = numbers.min().item(), numbers.max().item()
    if smallest < low or largest > high:
        what = f"runs from {smallest:.4g} to {largest:.4g}" if numbers.numel() > 1 else f"is {smallest:.4g}"
        _fail(name, f"{what}, should stay in [{low:g}, {high:g}]", hint)


def check_close(name: str, got: Any, want: Any, *, tol: float = 1e-4, hint: str = "") -> None:
    """Raise an AssertionError that says how a value is wrong: its shape, sign, a factor, an offset, or where.

    Args:
        name: what is checked, in the student's words: `"q2: the loss"`.
        got: the student's value: a tensor, an array or a number.
        want: the right value.
        tol: relative and absolute tolerance, > 0.
        hint: added to the message.

    Raises:
        AssertionError: `got` is not numeric, not finite, or not `want`.
    """
    right = _numbers(name, want, "")
    check_shape(name, got, right.shape, hint=hint)
    numbers = _finite(name, got, hint)

    def close(a: Tensor, b: Tensor) -> bool:
        return bool(((a - b).abs() <= tol + tol * b.abs()).all())

    if not close(numbers, right):
        _fail(name, _difference(numbers, right, close), hint)


def check_raises(name: str, call: Callable[[], Any], *, hint: str = "") -> str:
    """Raise an AssertionError unless a call raises a ValueError; returns what that says.

    Args:
        name: what is checked, in the student's words: `"q1: y = [0, 4] with classes = 4"`.
        call: the student's function, with input that it must refuse.
        hint: added to the message.

    Raises:
        AssertionError: the call returns, or raises something else.
    """
    raised: Exception | None = None
    try:
        call()
    except Exception as error:
        raised = error
    if raised is None:
        _fail(name, "passes, should raise a ValueError", hint)
    if not isinstance(raised, ValueError):
        _fail(name, f"raises {type(raised).__name__}, should raise ValueError", hint)
    return str(raised)


def check_gradients(name: str, value: Any, of: Sequence[Tensor], *, hint: str = "") -> tuple[Tensor, ...]:
    """The gradients of a value, or an AssertionError that says that it has none.

    Args:
        name: what is checked, in the student's words: `"q4: the loss"`.
        value: the student's value: a tensor with one number.
        of: with respect to these tensors; where the value does not depend on one, its gradient is 0.
        hint: added to the message.

    Raises:
        AssertionError: `value` is no tensor, or does not depend on anything that requires a gradient.
    """
    if not (isinstance(value, Tensor) and value.requires_grad):
        _fail(name, "has no gradient: something was detached, or made a plain number", hint)
    return torch.autograd.grad(value, list(of), allow_unused=True, materialize_grads=True)


def _difference(got: Tensor, want: Tensor, close: Callable[[Tensor, Tensor], bool]) -> str:
    """The simplest mistake that explains the difference of two tensors of one shape."""
    several = got.numel() > 1 and bool((want != want.flatten()[0]).any())
    if close(-got, want):
        return "has the wrong sign"
    if got.ndim == 2 and got.shape[0] == got.shape[1] and close(got.T, want):
        return "is transposed"
    if close(got.square(), want) and bool((want >= 0).all()):
        return "is the square root of the right value"
    if close(want.square(), got):
        return "is the square of the right value"
    factor = ((got * want).sum() / want.square().sum().clamp_min(1e-30)).item()
    whole = min((abs(f - round(f)) for f in (factor, 1 / factor) if round(f)), default=1.0) if factor else 1.0
    if factor and close(got, factor * want):
        if several:
            return f"is {factor:.4g} times the right value: a factor is missing or too many"
        if whole < 1e-4:
            both = f"is {got.flatten()[0]:.6g}, should be {want.flatten()[0]:.6g}"
            return f"{both}. It is {factor:.4g} times the right value: is a factor missing or too many?"
    offset = (got - want).mean().item()
    if several and close(got, want + offset):
        return f"differs from the right value by {offset:.4g} everywhere: a term is missing or too many"
    worst = int((got - want).abs().argmax())
    where = (
        ""
        if got.ndim == 0
        else f" at index {tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), got.shape))}"
    )
    return f"is {got.flatten()[worst]:.6g}{where}, should be {want.flatten()[worst]:.6g}"


def _numbers(name: str, value: Any, hint: str) -> Tensor:
    """The value as a float64 tensor on the CPU, or a failed check that says why it is none."""
    if value is None:
        _fail(name, "is None: is a `return` missing?", hint)
    if value is ...:
        _fail(name, "is still `...`: write your answer there", hint)
    try:
        return torch.as_tensor(value).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        _fail(name, f"is a {type(value).__name__}, should be a tensor or a number", hint)


def _finite(name: str, value: Any, hint: str) -> Tensor:
    numbers = _numbers(name, value, hint)
    bad = int((~numbers.isfinite()).sum())
    if bad:
        _fail(name, f"has {bad} of {numbers.numel()} values that are NaN or infinite", hint)
    if numbers.numel() == 0:
        _fail(name, "is empty", hint)
    return numbers


def _fail(name: str, problem: str, hint: str) -> NoReturn:
    end = "" if problem.endswith("?") else "."
    raise AssertionError(f"{name} {problem}{end}{f' {hint}' if hint else ''}")


# --- From one source to two notebooks -----------------------------------------------------------------------

HEADER = re.compile(r'# %%(?P<markdown> \[markdown\])?(?: key="(?P<key>[^"]*)"| tags=(?P<tags>\[[^\]]*\]))*')
MARK = re.compile(r"### (BEGIN|END) SOLUTION|### STUB:(?: .*)?")
ALMOST_MARK = re.compile(r"(BEGIN|END)[\s_-]*SOLUTION|#\s*STUB\s*:", re.IGNORECASE)
CHECK = re.compile(r"(?m)^# CHECK (?P<key>[A-Za-z0-9_-]+)")
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
        course_utils.notebook.NotebookError: the solution does not run; nothing is written then.
    """
    from course_utils import notebook

    source = Path(source)
    student, solution = (
        source.parent.parent / kind / source.with_suffix(".ipynb").name for kind in ("student", "solution")
    )
    texts = split(source.read_text(encoding="utf-8"), name=source.name)
    student_text, solution_text = (
        notebook.with_links(text, ipynb) for text, ipynb in zip(texts, (student, solution), strict=True)
    )

    nb = notebook.parse(solution_text)
    solution.parent.mkdir(parents=True, exist_ok=True)
    notebook.run(nb, solution, timeout=timeout)
    for cell in nb.cells:
        printed = any(output.output_type == "stream" for output in cell.get("outputs", []))
        if CHECK.match(cell.source) and not printed:
            raise HomeworkError(f"{source.name}: {cell.source.splitlines()[0]!r} printed nothing")
    notebook.save(nb, solution)
    notebook.write_text(solution.with_suffix(".py"), solution_text)
    notebook.build_text(student_text, student, execute=False)
    notebook.write_text(student.with_suffix(".py"), student_text)
    return student, solution


# --- Which exercises pass -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """How one exercise went; the message is its check's, "" when it passed."""

    passed: bool
    message: str


def results(ipynb: Path | str, *, compare: bool = False, cell_timeout: float = 60) -> dict[str, Result]:
    """Which exercises of a homework notebook pass, by key, found by running it under nbval.

    Args:
        ipynb: a student's or the solution's notebook.
        compare: also compare what cells print with what the notebook stores; for the solution.
        cell_timeout: seconds that one cell may take.

    Raises:
        HomeworkError: the notebook has no check cells.
        course_utils.notebook.NotebookError: nbval could not run.
    """
    from course_utils import nbval_run

    found = {}
    for cell in nbval_run.run_nbval(ipynb, cell_timeout=cell_timeout, compare=compare).cells:
        if match := CHECK.match(cell.source):
            found[match["key"]] = Result(cell.passed, reason(cell.message))
    if not found:
        raise HomeworkError(f"{Path(ipynb).name} has no check cells: none begins with '# CHECK q1'")
    return found


def reason(message: str) -> str:
    """The end of nbval's report on a cell: the exception's own text."""
    return message.strip().rsplit("\n\n", 1)[-1].removeprefix("AssertionError: ").strip()


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
        HomeworkError: a wrong answer names no exercise, or the solution itself fails.
        FileNotFoundError: there is no `hwNN_wrong.py`.
    """
    import nbformat

    from course_utils import notebook

    source = Path(source)
    wrong_file = source.with_name(f"{source.stem}_wrong.py")
    nb = notebook.parse(split(source.read_text(encoding="utf-8"), name=source.name)[1])
    solution = [cell for cell in nb.cells if cell.cell_type == "code"]
    exercises = [match["key"] for cell in solution if (match := CHECK.match(cell.source))]
    wrong: dict[str, list[tuple[str, str]]] = {key: [] for key in exercises}
    for cell in _cells(wrong_file.read_text(encoding="utf-8"), wrong_file.name):
        if cell.markdown:
            continue
        match = WRONG.fullmatch(cell.first.strip())
        if match is None or match["key"] not in wrong:
            raise HomeworkError(
                f"{wrong_file.name}, line {cell.line}: a wrong answer begins with '# WRONG q1: what is "
                f"wrong with it', with one of {', '.join(exercises)}"
            )
        wrong[match["key"]].append((match["what"], cell.source))

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
    notebook.run(nb, source, timeout=timeout, allow_errors=True)

    for cell in solution:
        if failure := _error(cell):
            raise HomeworkError(
                f"{source.name}: the solution fails with {failure[0]}: {failure[1]}\n\n{cell.source}"
            )
    problems = [
        f"{key}: {len(answers)} wrong answers, {least} needed"
        for key, answers in wrong.items()
        if len(answers) < least
    ]
    return problems + [f"{what}: {problem}" for what, trial in trials if (problem := _not_caught(trial))]


def _error(cell: Any) -> tuple[str, str] | None:
    return next(((o.ename, o.evalue) for o in cell.outputs if o.output_type == "error"), None)


def _not_caught(trial: Sequence[Any]) -> str:
    """Why a trial (the wrong cell, …, the check) does not count as caught; "" if it does."""
    own, check = _error(trial[0]), _error(trial[-1])
    if own is not None:
        return f"stops before its check with {own[0]}: {own[1]}"
    if check is None:
        return "passes its check"
    if check[0] != "AssertionError":
        return f"its check stops with {check[0]}: {check[1]}, instead of saying what is wrong"
    return "" if check[1].strip() else "its check fails without saying why"
