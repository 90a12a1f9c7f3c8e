"""The sandbox: run a notebook without network, within limits, without a sight of solutions and other submissions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from course_utils.authoring import kernel, offline
from course_utils.authoring.homework import HomeworkError


class SandboxError(HomeworkError):
    """The sandbox did not start; the message holds what the system said."""


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


@dataclass(frozen=True)
class CellRun:
    """How a cell went: "" or what its error says, and what it has printed as the MIME type that was asked for."""

    error: str
    said: str


@dataclass(frozen=True)
class Run:
    """The cells that came to their end, in order, and why the next one did not ("": all did)."""

    cells: list[CellRun]
    stopped: str


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
INSIDE = "import sys; from course_utils.grading.sandbox import inside; inside(*sys.argv[1:])"
MOST_TEXT = 4000  # characters that are kept of what a cell says


def isolation() -> str:
    """`namespace`: own network, processes and file systems; `guard`: Python refuses to connect, limits still hold."""
    complete = offline.can_run(*NAMESPACE, "mount -t tmpfs none /tmp && ip link set lo up")
    return "namespace" if complete else "guard"


def run_sandboxed(nb: NotebookNode, said: str, hide: Iterable[Path], limits: Limits) -> Run:
    """Run a notebook without network, within limits, and without a sight of the files and folders `hide`.

    Args:
        nb: the notebook.
        said: outputs of this MIME type are reported.
        hide: what is not there (`what_to_hide`).
        limits: what the notebook may use.

    Raises:
        SandboxError: not even the kernel started.
    """
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        work, handed_in, errors = folder / "work", folder / "submission.ipynb", folder / "errors.txt"
        work.mkdir()
        nbformat.write(nb, handed_in)
        read, write = os.pipe()
        command = [sys.executable, "-c", LIMITED, json.dumps(limits.of_process())]
        command += [
            sys.executable,
            "-c",
            INSIDE,
            "submission.ipynb",
            str(write),
            said,
            f"{limits.cell_seconds:g}",
        ]
        if isolation() == "namespace":
            command = _in_namespaces(command, work, handed_in, hide)
        else:
            shutil.copy(handed_in, work)
        with errors.open("wb") as stderr:
            process = subprocess.Popen(
                command, env=_environment(folder, work, limits.threads), cwd=work, pass_fds=[write],
                start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            )  # fmt: skip
        os.close(write)
        with ThreadPoolExecutor(1) as reader:
            report = reader.submit(_drain, read)
            try:
                process.wait(timeout=limits.seconds)
                stopped = ""
            except subprocess.TimeoutExpired:
                stopped = f"used up the {limits.seconds:g} s of the whole submission"
            finally:
                _kill(process)
            lines = [
                json.loads(line) for line in report.result().splitlines(keepends=True) if line.endswith("\n")
            ]
        cells = [CellRun(**line) for line in lines if "error" in line]
        whys = [line["stopped"] for line in lines if "stopped" in line]
        if whys and whys[0].startswith(kernel.NOT_STARTED):
            raise SandboxError(f"the sandbox did not start: {whys[0]}")
        if not whys and not stopped:  # the program inside came to no end
            with errors.open("rb") as file:
                file.seek(max(0, errors.stat().st_size - MOST_TEXT))
                words = file.read().decode("utf-8", "replace").strip().splitlines()
            last = words[-1] if words else f"it ended with status {process.returncode} and said nothing"
            if not lines:
                raise SandboxError(f"the sandbox did not start: {last}")
            stopped = f"ended the sandbox ({last})"
        return Run(cells, stopped or "".join(whys))


def inside(ipynb: str, report: str, said: str, cell_seconds: str) -> None:
    """In the sandbox: run a notebook and write a line to the open file `report` as each cell ends, and at the end."""
    with os.fdopen(int(report), "w", encoding="utf-8") as lines:

        def tell(**line: str) -> None:
            lines.write(json.dumps(line) + "\n")
            lines.flush()

        def done(cell: NotebookNode, seconds: float) -> None:
            texts = [str(output.data[said]) for output in cell.outputs if said in output.get("data", {})]
            tell(error=kernel.reason(cell)[-MOST_TEXT:], said="".join(texts)[:MOST_TEXT])

        nb = nbformat.read(ipynb, as_version=4)
        try:
            kernel.run(nb, ipynb, timeout=float(cell_seconds), allow_errors=True, done=done)
        except kernel.StoppedError as error:
            tell(stopped=error.why)
        else:
            tell(stopped="")


def what_to_hide(folders: Iterable[Path], files: Iterable[Path], needed: Iterable[Path] = ()) -> list[Path]:
    """The folders and files that a submission must not see; never a folder that holds something the sandbox needs.

    Args:
        folders: to be hidden whole, if nothing needed lies in them.
        files: to be hidden each for itself, where they do not lie in a hidden folder.
        needed: what must stay, beside the package, the interpreter, what is imported and temporary files.
    """
    own: list[str | Path] = [__file__, sys.executable, sys.prefix, sys.base_prefix, tempfile.gettempdir()]
    kept = [Path(path).resolve() for path in (*own, *filter(None, sys.path), *needed)]
    hidden: list[Path] = []
    for folder in {Path(folder).resolve() for folder in folders}:
        if folder.is_dir() and not any(path.is_relative_to(folder) for path in kept):
            hidden.append(folder)
    outer = [folder for folder in hidden if not any(folder.is_relative_to(h) for h in hidden if h != folder)]
    single = {Path(file).resolve() for file in files}
    return sorted(outer) + sorted(
        file for file in single if file.is_file() and not any(file.is_relative_to(folder) for folder in outer)
    )


def _in_namespaces(command: list[str], work: Path, handed_in: Path, hide: Iterable[Path]) -> list[str]:
    """The command with network, processes and file systems of its own: `work` holds the notebook, `hide` nothing."""
    hidden = [path for path in hide if path.exists()]
    steps = ['mount -t tmpfs -o size=64m,mode=777 none "$0"', 'cp "$1" "$0/"']
    for n, path in enumerate(hidden, 2):
        over = f'"${{{n}}}"'
        empty = f"mount -t tmpfs -o size=4k,ro none {over}"
        steps.append(empty if path.is_dir() else f"mount --bind /dev/null {over}")
    steps += ["ip link set lo up", f"shift {len(hidden) + 1}", 'cd "$0"', 'exec "$@"']
    return [*NAMESPACE, " && ".join(steps), str(work), str(handed_in), *map(str, hidden), *command]


def _environment(folder: Path, work: Path, threads: int) -> dict[str, str]:
    """What a submission's process finds in its environment: nothing of the teacher's but the programs' places."""
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    homes = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR",
             "JUPYTER_CONFIG_DIR", "XDG_CACHE_HOME")  # fmt: skip
    environment |= dict.fromkeys(homes, str(work))
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return offline.guarded(environment, folder)


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
