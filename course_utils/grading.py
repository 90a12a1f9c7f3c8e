"""Grade homework: any number of submissions, each in a sandbox of its own, by the teacher's check cells.

What a submission may do is decided three times. `gate` reads the student's code and lets plain Python and the
homework's own imports through. What passes runs under nbval in a process without network, with limits, that sees
neither the solutions nor other submissions. And between the student's cells and the checks a watch compares the
functions that checks use with what they were. Outputs, tags, check cells and everything else in a submission are
left aside: checks and what they must print come from the solution.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import html
import io
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import nbformat
import psutil
import typer
from nbformat import NotebookNode
from tqdm.auto import tqdm

from course_utils import nbval_run
from course_utils.homework import CHECK, HomeworkError, build, reason, report, results, uncaught
from course_utils.notebook import NotebookError, parse, write_text

T = TypeVar("T")
LARGEST = 20_000_000  # bytes of a submission

# --- The gate: what student code may say --------------------------------------------------------------------

MODULES = {
    "collections.abc", "dataclasses", "itertools", "math", "matplotlib.pyplot", "numpy", "torch",
    "torch.autograd", "torch.func", "torch.linalg", "torch.nn", "torch.nn.functional", "torch.optim", "typing",
}  # fmt: skip
METHODS = {"__init__", "__call__", "__len__", "__getitem__", "__iter__", "__next__"}
NAMES = {
    "breakpoint", "compile", "delattr", "eval", "exec", "exit", "get_ipython", "getattr", "globals", "help", "input",
    "locals", "memoryview", "object", "open", "quit", "setattr", "vars", "In", "Out",
}  # fmt: skip
# Attributes that are also names of standard modules, but common methods or functions.
HARMLESS = {
    "array", "chunk", "copy", "math", "numbers", "random", "select", "statistics", "test", "tokenize", "trace",
}  # fmt: skip
ATTRIBUTES = (set(sys.stdlib_module_names) - HARMLESS) | {
    # they read or write files
    "DataSource", "from_file", "fromfile", "fromregex", "genfromtxt", "hub", "imread", "imsave", "load",
    "load_state_dict_from_url", "loadtxt", "memmap", "open", "rc_file", "save", "savefig", "savetxt", "savez",
    "savez_compressed", "serialization", "tofile",
    # they change what others use
    "cpp_extension", "ctypeslib", "export", "f2py", "fx", "jit", "lib", "library", "load_library", "make_dataclass",
    "model_zoo", "multiprocessing", "onnx", "ops", "overrides", "package", "register_module_backward_hook",
    "register_module_forward_hook", "register_module_forward_pre_hook", "register_module_full_backward_hook",
    "set_default_device", "set_default_dtype", "set_default_tensor_type", "switch_backend", "testing",
    "update_wrapper", "use", "wraps",
    # they lead from a function or an error to everything else
    "ag_frame", "cr_frame", "f_back", "f_builtins", "f_globals", "f_locals", "gi_frame", "tb_frame", "tb_next",
    "with_traceback",
}  # fmt: skip
STORES = {"grad", "requires_grad"}  # x.grad = None


def gate(source: str, allowed: dict[str, set[str] | None]) -> list[str]:
    """Why a student's cell is not run; [] if it may be.

    Args:
        source: the cell.
        allowed: modules that may be imported, beside `MODULES`; the names that may be taken from them (None: all).
    """
    lines = [line for line in source.split("\n") if not re.match(r"\s*%matplotlib\b", line)]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f"is not plain Python ({error}); lines with % or ! are not run"]
    try:
        return [
            f"line {getattr(node, 'lineno', 1)}: {problem}"
            for node in ast.walk(tree)
            for problem in _problems(node, allowed)
        ]
    except RecursionError:
        return ["is nested too deeply"]


def _problems(node: ast.AST, allowed: dict[str, set[str] | None]) -> Iterator[str]:
    match node:
        case ast.Import():
            for alias in node.names:
                if not _may_import(alias.name, None, allowed):
                    yield f"`import {alias.name}` is not allowed in a homework"
        case ast.ImportFrom():
            for alias in node.names:
                if node.level or not _may_import(node.module or "", alias.name, allowed):
                    yield f"`from {node.module} import {alias.name}` is not allowed in a homework"
        case ast.Name(id=name):
            if name in NAMES or _is_inner(name):
                yield f"`{name}` is not allowed in a homework"
        case ast.Attribute(attr=name):
            initialises = name == "__init__" and ast.unparse(node.value) == "super()"
            if name in ATTRIBUTES or (name.startswith("_") and not initialises):
                yield f"`.{name}` is not allowed in a homework"
            if not isinstance(node.ctx, ast.Load) and name not in STORES:
                yield f"`.{name}` is set: a homework's code returns values and changes no object's attributes"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            if (name.startswith("_") and name not in METHODS) or name in NAMES:
                yield f"the name `{name}` is not allowed in a homework"
        case ast.arg(arg=name):
            if _is_inner(name):
                yield f"the name `{name}` is not allowed in a homework"
        case ast.Call(func=ast.Name(id="type"), args=arguments):
            if len(arguments) != 1:
                yield "`type` with more than one argument is not allowed in a homework"
        case ast.MatchClass():
            yield "a class pattern (`case Name(...)`) is not allowed in a homework"
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            if name in NAMES or _is_inner(name):
                yield f"the name `{name}` is not allowed in a homework"
        case ast.Global() | ast.Nonlocal() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
            yield f"`{type(node).__name__.lower()}` is not allowed in a homework"


def _is_inner(name: str) -> bool:
    """Whether a name begins with _; one that is nothing but _ is free for all."""
    return name.startswith("_") and name.strip("_") != ""


def _may_import(module: str, name: str | None, allowed: dict[str, set[str] | None]) -> bool:
    if name is not None and (name == "*" or name.startswith("_") or name in ATTRIBUTES | NAMES):
        return False
    if module in MODULES or (name is not None and f"{module}.{name}" in MODULES):
        return True
    names = allowed.get(module, set())
    return names is None or (name is not None and name in names)


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


NBVAL_MARK = re.compile(r"^[ \t]*#[# \t]*(?:NBVAL|PYTEST)_\w*[ \t]*$", re.MULTILINE)


def answers(nb: NotebookNode, homework: Homework) -> dict[str, list[str]]:
    """The student's code cells by exercise: by the key of the cell, where that was lost by the checks between them.

    Check cells, the cells before the first exercise and the install cell are the teacher's and are left out, and so
    are comments that nbval would obey.
    """
    keys = homework.keys
    given = [cell for exercise in homework.exercises for cell in exercise.given]
    own = {_bare(cell.source) for cell in [*homework.setup, *given, *homework.rest]}
    found: dict[str, list[str]] = {key: [] for key in keys}
    current = 0
    for cell in nb.cells:
        source = NBVAL_MARK.sub("#", cell.source)
        if cell.cell_type != "code" or not source.strip():
            continue
        check, key = CHECK.search(source), cell.metadata.get("key")
        if check is not None or (isinstance(key, str) and key.startswith("check-")):
            named = check["key"] if check is not None else key.removeprefix("check-")
            current = keys.index(named) + 1 if named in keys else current
            continue
        if _bare(source) in own or 'find_spec("course_utils")' in source:
            continue
        current = keys.index(key) if key in keys else current
        found[keys[min(current, len(keys) - 1)]].append(source)
    return found


def _bare(source: str) -> str:
    return re.sub(r"[\s#]+", " ", source).strip()


def open_answer(nb: NotebookNode) -> str:
    """The text that answers the open question: what follows its heading."""
    texts = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    start = next(
        (n for n, text in enumerate(texts) if re.search(r"^#+ .*open question", text, re.I | re.M)), None
    )
    return "" if start is None else "\n\n".join(texts[start:])[:20_000]


# --- Watching the checks' tools -----------------------------------------------------------------------------

# Runs in the kernel before the student's first cell. Nothing here has a name that the gate lets through.
WATCH = """
def __MAKE__():
    import builtins, math, sys, types

    import numpy, torch, torch._dynamo  # an optimiser would import it later, and it rebinds parts of torch

    roots = {"builtins", "course_utils", "math", "numpy", "scipy", "sklearn", "torch"}
    space = get_ipython().user_ns
    hooks = get_ipython().ast_transformers, list(get_ipython().ast_transformers)
    lazy = ("torch._dynamo", "torch._inductor", "torch._functorch", "torch.fx")  # these change by themselves
    modules = {n: m for n, m in list(sys.modules.items())
               if n.split(".")[0] in roots and not n.startswith(lazy) and isinstance(m, types.ModuleType)}
    kinds = [torch.Tensor, torch.nn.Module, torch.optim.Optimizer, torch.Generator]
    kinds += [k for n, m in modules.items() if n.startswith("course_utils") for k in vars(m).values()
              if isinstance(k, type) and k.__module__.startswith("course_utils")]
    called, check, equal = callable, sys.modules["course_utils.homework"].check_close, torch.equal
    watched = [(n, vars(m), {k: v for k, v in vars(m).items() if called(v) and k != "input"})
               for n, m in modules.items()]  # input: the kernel sets it for each cell
    classes = [(k, dict(vars(k))) for k in kinds]
    setup = {n: v for n, v in space.items() if not n.startswith("_") and n not in ("In", "Out")}
    data = [v for o in setup.values() for v in (o, getattr(o, "x", None), getattr(o, "y", None))
            if isinstance(v, torch.Tensor)]
    data = [(v, v.clone()) for v in data]
    gone, write, erase = object(), setattr, delattr

    def watch():
        changed = []
        for name, now, was in watched:
            lost = {k: v for k, v in was.items() if now.get(k, gone) is not v}
            changed += [f"{name}.{k}" for k in lost]
            now.update(lost)
        for kind, was in classes:
            for a, v in was.items():
                if vars(kind).get(a, gone) is not v and called(v):
                    changed.append(f"{kind.__name__}.{a}")
                    write(kind, a, v)
            for a in set(vars(kind)) - set(was):
                if called(vars(kind)[a]) and a.startswith("__"):
                    changed.append(f"{kind.__name__}.{a}")
                    erase(kind, a)
        if hooks[0] != hooks[1]:
            changed.append("the notebook's own machinery")
            hooks[0][:] = hooks[1]
        for v, was in data:
            if v.shape != was.shape or not equal(v, was):
                changed.append("the data")
                v.data = was.clone()
        space.update(setup)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        try:
            check("", torch.zeros(2), torch.ones(2))
        except AssertionError:
            pass
        else:
            changed.append("check_close")
        if changed:
            raise RuntimeError("the code replaced " + ", ".join(changed[:5]) + ", which the checks use")

    return watch

__NAME__ = __MAKE__()
del __MAKE__
"""


def assemble(
    homework: Homework, code: dict[str, list[str]], without: Container[str] = ()
) -> tuple[NotebookNode, list[tuple[str, str]]]:
    """The notebook that is run for a submission, and what each of its cells is: (exercise or "", kind).

    Kinds are `setup`, `watch`, `answer`, `given`, `check` and `hidden`. Only the checks' outputs are compared.
    """
    watch_name = f"_watch_{secrets.token_hex(8)}"
    nb, kinds = nbformat.v4.new_notebook(), []

    def add(source: str, key: str, kind: str, outputs: list[NotebookNode] | None = None) -> None:
        metadata = {"tags": ["nbval-ignore-output"]} if outputs is None else {}
        cell = nbformat.v4.new_code_cell(source, metadata=metadata, execution_count=1, outputs=outputs or [])
        nb.cells.append(cell)
        kinds.append((key, kind))

    for cell in homework.setup:
        add(cell.source, "", "setup")
    add(WATCH.replace("__MAKE__", f"{watch_name}_make").replace("__NAME__", watch_name), "", "watch")
    for exercise in homework.exercises:
        if exercise.key in without:
            continue
        for cell in exercise.before:
            add(cell.source, exercise.key, "given")
        for source in code[exercise.key]:
            add(source, exercise.key, "answer")
        for cell in exercise.after:
            add(cell.source, exercise.key, "given")
        visible, *hidden = exercise.checks
        add(f"{watch_name}()", exercise.key, "watch")
        add(visible.source, exercise.key, "check", visible.outputs)
        add(f"{watch_name}()", exercise.key, "watch")
        for check in hidden:
            add(check.source, exercise.key, "hidden")
            add(f"{watch_name}()", exercise.key, "watch")
    return nb, kinds


# --- The sandbox --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What one submission may use: seconds a cell and in all, bytes of memory and of a file, processes, threads."""

    cell_seconds: float = 60
    seconds: float = 600
    memory: int = 4_000_000_000
    file: int = 64_000_000
    processes: int = 256
    threads: int = 1

    def of_process(self) -> dict[str, int]:
        """As the operating system names them."""
        return {
            "RLIMIT_DATA": self.memory, "RLIMIT_FSIZE": self.file, "RLIMIT_NPROC": self.processes,
            "RLIMIT_CPU": int(self.seconds) + 60, "RLIMIT_CORE": 0,
        }  # fmt: skip


NAMESPACE = ["unshare", "-r", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
# A program that sets limits, which all it starts inherit, and becomes the command that follows them.
LIMITED = """
import json, os, resource, sys

for name, value in json.loads(sys.argv[1]).items():
    _, most = resource.getrlimit(getattr(resource, name))
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(getattr(resource, name), (value, value))
os.execv(sys.argv[2], sys.argv[2:])
"""


def isolation() -> str:
    """`namespace`: own network, processes and file systems; `guard`: Python refuses to connect, limits still hold."""
    complete = nbval_run.can_run(*NAMESPACE, "mount -t tmpfs none /tmp && ip link set lo up")
    return "namespace" if complete else "guard"


def run_sandboxed(nb: NotebookNode, hide: Sequence[Path | str], limits: Limits) -> list[nbval_run.CellRun]:
    """Run a notebook under nbval, without network, within limits, and without a sight of the folders `hide`.

    Returns:
        What is known of the cells, in order. After a crash, or when the time is over, those from the one that caused
        it are missing.
    """
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        work, handed_in = folder / "work", folder / "submission.ipynb"
        work.mkdir()
        nbformat.write(nb, handed_in)
        (folder / "sitecustomize.py").write_text(nbval_run.GUARD)
        read, write = os.pipe()
        command = nbval_run.nbval_command(
            work / "submission.ipynb", f"/dev/fd/{write}", folder, cell_timeout=limits.cell_seconds, sanitize=None,
            compare=True,
        )  # fmt: skip
        command = [sys.executable, "-c", LIMITED, json.dumps(limits.of_process()), *command]
        if isolation() == "namespace":
            command = _in_namespaces(command, work, handed_in, hide)
        else:
            shutil.copy(handed_in, work)
        process = subprocess.Popen(
            command, env=_environment(folder, work, limits.threads), cwd=work, pass_fds=[write],
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with ThreadPoolExecutor(1) as reader:
            report = reader.submit(_drain, read)
            try:
                process.wait(timeout=limits.seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _kill(process)
            return nbval_run.until_cut(nbval_run.read_report(report.result()))


def _in_namespaces(command: list[str], work: Path, handed_in: Path, hide: Sequence[Path | str]) -> list[str]:
    """The command with network, processes and file systems of its own: `work` holds the notebook, `hide` nothing."""
    hidden = [str(Path(path).resolve()) for path in hide if Path(path).is_dir()]
    steps = ['mount -t tmpfs -o size=64m,mode=777 none "$0"', 'cp "$1" "$0/"']
    steps += [f'mount -t tmpfs -o size=4k,ro none "${{{n}}}"' for n in range(2, 2 + len(hidden))]
    steps += ["ip link set lo up", f"shift {len(hidden) + 1}", 'cd "$0"', 'exec "$@"']
    return [*NAMESPACE, " && ".join(steps), str(work), str(handed_in), *hidden, *command]


def _environment(folder: Path, work: Path, threads: int) -> dict[str, str]:
    """What a submission's process finds in its environment: nothing of the teacher's but the programs' places."""
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    homes = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR",
             "JUPYTER_CONFIG_DIR", "XDG_CACHE_HOME")  # fmt: skip
    environment |= dict.fromkeys(homes, str(work))
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    paths = [str(folder), str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _drain(descriptor: int) -> str:
    """All that comes through a pipe, at most 50 MB of it."""
    with os.fdopen(descriptor, "rb") as pipe:
        data = pipe.read(50_000_000)
        while pipe.read(1_000_000):
            pass
    return data.decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that came from it."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


# --- Grading ------------------------------------------------------------------------------------------------


@dataclass
class Grade:
    """A row of the table.

    Attributes:
        file: the submission, relative to the folder that is graded.
        homework: `hw04`, or "" if unknown.
        passed: by exercise.
        messages: what is wrong, by exercise; "" where nothing is.
        note: why a submission was not graded; "" if it was.
        seconds: how long grading took.
        digest: of the submission and of the homework that it was graded by.
        code: the student's cells, by exercise.
        open_answer: the answer to the open question, as it was handed in.
    """

    file: str
    homework: str = ""
    passed: dict[str, bool] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    note: str = ""
    seconds: float = 0.0
    digest: str = ""
    code: dict[str, list[str]] = field(default_factory=dict)
    open_answer: str = ""

    @property
    def points(self) -> int:
        return sum(self.passed.values())


def refusals(code: dict[str, list[str]], homework: Homework) -> dict[str, str]:
    """What the gate says of the answers, by exercise; exercises that it lets through are not named."""
    found = {
        key: [p for source in sources for p in gate(source, homework.allowed)]
        for key, sources in code.items()
    }
    return {key: "; ".join(problems[:5]) for key, problems in found.items() if problems}


def grade_notebook(
    nb: NotebookNode, homework: Homework, *, hide: Sequence[Path | str] = (), limits: Limits | None = None
) -> dict[str, str]:
    """What is wrong with each exercise of a submission, by key; "" where it passes.

    A cell that ends its kernel, or uses up the time, costs its exercise: the rest is run again without it.

    Args:
        nb: as `read_submission` gives it.
        homework: what it is graded by.
        hide: folders that the submission must not see.
        limits: what it may use.

    Raises:
        HomeworkError: the homework's own cells fail.
    """
    code = answers(nb, homework)
    skipped = {key: f"The code was not run. {problems}" for key, problems in refusals(code, homework).items()}
    cells: list[nbval_run.CellRun] = []
    kinds: list[tuple[str, str]] = []
    while len(skipped) < len(homework.keys):
        assembled, kinds = assemble(homework, code, without=skipped)
        cells = run_sandboxed(assembled, hide, limits or Limits())
        if len(cells) == len(kinds):
            break
        key, _ = kinds[len(cells)]
        if not key:
            raise HomeworkError(
                f"{homework.name}: the cells before the first exercise did not end (memory? time?)"
            )
        skipped[key] = "The code ended the kernel, or used more time or memory than it may."

    failed: dict[str, list[tuple[str, str]]] = {}
    for (key, kind), cell in zip(
        kinds, cells, strict=False
    ):  # cells are missing if all exercises are skipped
        if not cell.passed:
            failed.setdefault(key, []).append((kind, _said(kind, cell)))
    if "" in failed:
        raise HomeworkError(f"{homework.name}: the cells before the first exercise fail: {failed[''][0][1]}")
    messages = {}
    for key in homework.keys:
        # A scratch cell that fails costs nothing.
        decides = any(kind != "answer" for kind, _ in failed.get(key, []))
        missing = "" if code[key] else "There is no code for this exercise. "
        messages[key] = skipped.get(key, missing + failed[key][0][1] if decides else "")
    return messages


def _said(kind: str, cell: nbval_run.CellRun) -> str:
    message = reason(cell.message)[-2000:]
    if kind == "hidden":
        return f"A check that is not in your notebook: {message}"
    if "Cell outputs differ" in cell.message:
        return "The check ran to its end, but what it prints from your answer is not what it should be."
    return message


def grade_file(
    path: Path,
    folder: Path,
    homeworks: Callable[[str], Homework | None],
    *,
    hide: Sequence[Path],
    limits: Limits,
) -> Grade:
    """The row of one submission, whatever it is."""
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
    """Grade all notebooks below a folder; write a table, and a page for each submission.

    Rows that are done are kept in `<out>.rows.jsonl`: called again, it goes on where it stopped, and grades anew what
    was changed since.

    Args:
        folder: the submissions, `.ipynb` files at any depth.
        out: the CSV file; pages go to the folder beside it of the same name.
        solutions: the folder of the executed solutions `hw01.ipynb` ….
        hidden: a folder of further checks, `hw01_hidden.py` …, or None.
        jobs: submissions at once (default: one a processor).
        limits: what each may use.

    Raises:
        NotADirectoryError: `folder` or `solutions` is none.
    """
    folder, out, solutions = Path(folder).resolve(), Path(out).resolve(), Path(solutions).resolve()
    for path in (folder, solutions):
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is not a folder")
    jobs, limits = jobs or os.cpu_count() or 1, limits or Limits()

    @cache
    def known(name: str) -> Homework | None:
        solution, extra = solutions / f"{name}.ipynb", Path(hidden or "") / f"{name}_hidden.py"
        if not solution.is_file():
            return None
        return read_homework(solution, extra if hidden is not None and extra.is_file() else None)

    files = [p for p in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts and p != out]
    journal = out.with_name(f"{out.name}.rows.jsonl")
    kept = _read_journal(journal)
    rows = {path: row for path in files if (row := _still_right(path, folder, kept, known)) is not None}
    hide = [folder, out.parent, solutions.parent]
    out.parent.mkdir(parents=True, exist_ok=True)
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
    pages = write_pages(ordered, out.with_suffix(""))
    write_text(out, table(ordered, pages))
    return ordered


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


# --- What the teacher and the students get ------------------------------------------------------------------


def table(rows: Sequence[Grade], pages: Sequence[str]) -> str:
    """The CSV: a row a submission."""
    keys = sorted({key for row in rows for key in row.passed}, key=lambda key: (len(key), key))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "homework", "points", "of", *keys, "note", "seconds", "page"])
    for row, page in zip(rows, pages, strict=True):
        marks = [int(row.passed[key]) if key in row.passed else "" for key in keys]
        cells = [row.file, row.homework, row.points, len(row.passed), *marks, row.note, row.seconds, page]
        writer.writerow([_tame(cell) for cell in cells])
    return text.getvalue()


def _tame(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets a quote in front; control characters go."""
    if not isinstance(cell, str):
        return cell
    cell = "".join(c if c.isprintable() else "?" for c in cell.encode("utf-8", "replace").decode("utf-8"))
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def write_pages(rows: Sequence[Grade], folder: Path) -> list[str]:
    """A page a submission; returns their names, which hold nothing but letters, digits, - and _."""
    names = []
    for row in rows:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", row.file.removesuffix(".ipynb")).strip("-")[:60]
        mark = hashlib.sha256(row.file.encode("utf-8", "replace")).hexdigest()[:8]
        names.append(f"{stem}-{mark}.html")
        write_text(folder / names[-1], page(row))
    return names


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem }
.passed { color: #176b2c } .failed { color: #a3181e }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: .85rem } .says { white-space: pre-wrap }
"""


def page(row: Grade) -> str:
    """One student's feedback, a whole HTML page."""
    parts = [f"<h1>{html.escape(_tame(row.file))}</h1>"]
    if row.note:
        parts.append(f'<p class="failed says">Not graded: {html.escape(_tame(row.note))}</p>')
    else:
        parts.append(f"<p>Homework {row.homework[2:]}: {row.points} of {len(row.passed)} exercises pass.</p>")
    for key, passed in row.passed.items():
        word = "passed" if passed else "not yet"
        parts.append(
            f'<h2 class="{"passed" if passed else "failed"}">{"✓" if passed else "✗"} {key}: {word}</h2>'
        )
        if not passed:
            parts.append(f'<p class="says">{html.escape(row.messages[key])}</p>')
        parts += [f"<pre>{html.escape(source[:20_000])}</pre>" for source in row.code.get(key, [])]
    if row.open_answer:
        parts.append(f'<h2>Open question</h2><p class="says">{html.escape(row.open_answer)}</p>')
    head = f'<meta charset="utf-8"><title>{html.escape(_tame(row.file))}</title><style>{STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


# --- Command line: course homework build|check|wrong|progress|grade -----------------------------------------

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Build homework, see which exercises pass, and grade what students hand in.",
)  # fmt: skip
Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)]
FOLDER = Path(__file__).parents[1] / "notebooks" / "homework"
STUDENT, SOLUTION = FOLDER / "student", FOLDER / "solution"


@app.command("build")
def build_command(sources: Files, timeout: float = 300) -> None:
    """Make the student's and the solution's notebook of each source."""
    for source in sources:
        for ipynb in _or_exit(partial(build, source, timeout=timeout)):
            typer.echo(str(ipynb))


@app.command("check")
def check_command(notebooks: Files) -> None:
    """Say which exercises of each homework notebook pass, and what is wrong with the others."""
    passed = True
    for ipynb in notebooks:
        found = _or_exit(partial(results, ipynb))
        typer.echo(report(found))
        for key, why in _or_exit(partial(_would_be_refused, ipynb)).items():
            typer.echo(f"{key}  the grader will not run this: {why}")
        passed = passed and all(result.passed for result in found.values())
    raise typer.Exit(0 if passed else 1)


def _would_be_refused(ipynb: Path) -> dict[str, str]:
    """What the grader's gate says of a student's notebook, where the homework's solution is at hand."""
    nb, _ = read_submission(ipynb)
    name = which_homework(ipynb.name, nb)
    solution = SOLUTION / f"{name}.ipynb"
    if not solution.is_file():
        return {}
    own = read_homework(solution)
    return refusals(answers(nb, own), own)


@app.command("wrong")
def wrong_command(sources: Files) -> None:
    """Say which plausible wrong answers the checks of each source let through."""
    problems = [problem for source in sources for problem in _or_exit(partial(uncaught, source))]
    typer.echo("\n".join(problems) or "every wrong answer is caught")
    raise typer.Exit(1 if problems else 0)


@app.command("progress")
def progress_command(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)] = STUDENT) -> None:
    """A table of all your homework: which exercises pass. Runs every hwNN.ipynb of a folder, some minutes."""
    notebooks = sorted(folder.glob("hw[0-9][0-9].ipynb"))
    if not notebooks:
        typer.echo(f"{folder} holds no hw01.ipynb or the like", err=True)
        raise typer.Exit(1)
    done = of = 0
    for ipynb in notebooks:
        found = _or_exit(partial(results, ipynb))
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
        Path, typer.Option(help="the table; a page for each submission goes to the folder beside it")
    ],
    solutions: Annotated[Path, typer.Option(exists=True, file_okay=False)] = SOLUTION,
    hidden: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="further checks: hw01_hidden.py …")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="at once; by default one a processor")] = None,
    cell_seconds: Annotated[float, typer.Option(help="how long one cell may take")] = 60,
    seconds: Annotated[float, typer.Option(help="how long one submission may take")] = 600,
) -> None:
    """Grade submissions by the solution's checks, each in a sandbox; called again, it goes on where it stopped."""
    if isolation() != "namespace":
        typer.echo(
            "This system gives no namespaces (Linux with `unshare` does): submissions are held by the gate and by "
            "limits only, and could read files. See notebooks/homework/README.md.",
            err=True,
        )
    limits = Limits(cell_seconds=cell_seconds, seconds=seconds)
    rows = _or_exit(partial(grade, folder, out, solutions=solutions, hidden=hidden, jobs=jobs, limits=limits))
    not_graded = [row for row in rows if row.note]
    typer.echo(f"wrote {out}: {len(rows)} submissions, {len(not_graded)} of them not graded")
    for row in not_graded:
        typer.echo(f"  {row.file}: {row.note}")


def _or_exit(action: Callable[[], T]) -> T:
    """The action's result; an error that explains itself ends the program without a traceback."""
    try:
        return action()
    except (HomeworkError, NotebookError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
