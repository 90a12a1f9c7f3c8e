"""The sandbox: run a program within limits, and behind the wall; a notebook as such a program."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import nbformat
import psutil
from nbformat import NotebookNode

from course_utils.authoring import kernel, offline
from course_utils.authoring.homework import HomeworkError
from course_utils.grading import wall


class SandboxError(HomeworkError):
    """The sandbox did not start; the message holds what the system said."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use: seconds a cell and in all, bytes of memory and of a file, processes, threads.

    Each process is held to `memory` by the system; what they use together is measured twice a second.
    `wall`: whether there is a wall; without one, what it runs has all the rights of the account that grades.
    """

    cell_seconds: float = 60
    seconds: float = 600
    memory: int = 4_000_000_000
    file: int = 64_000_000
    processes: int = 256
    threads: int = 1
    wall: bool = True

    def of_process(self) -> dict[str, int]:
        """As the operating system names them."""
        return {
            "RLIMIT_DATA": self.memory, "RLIMIT_FSIZE": self.file, "RLIMIT_NPROC": self.processes,
            "RLIMIT_CPU": int(self.seconds) + 60, "RLIMIT_CORE": 0,
        }  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status, the end of what it said as errors, what it reported, the limit it broke."""

    status: int
    errors: str
    report: str
    stopped: str


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
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MOST_TEXT = 4000  # characters that are kept of what a cell says
MOST_REPORTED = 50_000_000  # bytes
PR_SET_DUMPABLE = 4  # of Linux: whether others of the same account may read a process's memory and open files
LOOKS_EVERY = 0.5  # seconds between two looks at the memory in use


def run_limited(command: Sequence[str], limits: Limits, *, given: bytes = b"") -> Ended:
    """Run a program to its end, within limits, behind the wall; whatever it starts ends with it.

    Its last argument is the number of the open file that its report goes to.

    Args:
        command: a program that is visible behind the wall, and its arguments.
        limits: what it may use, all that it starts included.
        given: what it reads from its standard input.

    Raises:
        WallError: there is no bubblewrap.
    """
    threads = dict.fromkeys(THREADS, str(limits.threads))
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True))
        folder = Path(name).resolve()
        ends = os.pipe()
        read, write = (stack.enter_context(os.fdopen(*end)) for end in zip(ends, ("rb", "wb"), strict=True))
        number = str(write.fileno())
        limited = [sys.executable, "-IS", "-c", LIMITED, json.dumps(limits.of_process()), *command, number]
        if limits.wall:
            limited = wall.behind(limited, wall.environment() | threads)
        process = subprocess.Popen(
            limited, cwd=folder, pass_fds=[write.fileno()], start_new_session=True,
            env={} if limits.wall else _environment(folder) | threads,  # process 1 behind the wall shows it
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        write.close()
        with ThreadPoolExecutor(3) as pool:
            pool.submit(_feed, process.stdin, given)
            errors = pool.submit(_last, process.stderr, 4 * MOST_TEXT)
            report = pool.submit(_first, read, MOST_REPORTED)
            try:
                stopped = _wait(process, limits)
            finally:
                _kill(process)
        said, reported = (future.result().decode("utf-8", "replace") for future in (errors, report))
        return Ended(process.returncode, said[-MOST_TEXT:], reported, stopped)


def run_sandboxed(nb: NotebookNode, said: str, limits: Limits) -> Run:
    """Run a notebook within limits and behind the wall.

    Args:
        nb: the notebook; no file of it lies in the sandbox.
        said: outputs of this MIME type are reported.
        limits: what the notebook may use.

    Raises:
        SandboxError: not even the kernel started.
        WallError: there is no bubblewrap.
    """
    command = [sys.executable, "-c", INSIDE, said, f"{limits.cell_seconds:g}"]
    ended = run_limited(command, limits, given=nbformat.writes(nb).encode())
    lines = [json.loads(line) for line in ended.report.splitlines(keepends=True) if line.endswith("\n")]
    cells = [CellRun(**line) for line in lines if "error" in line]
    whys = [line["stopped"] for line in lines if "stopped" in line]
    if whys and whys[0].startswith(kernel.NOT_STARTED):
        raise SandboxError(f"the sandbox did not start: {whys[0]}")
    stopped = ended.stopped or "".join(whys)
    if not whys and not stopped:  # the program inside came to no end
        words = ended.errors.strip() or f"it ended with status {ended.status} and said nothing"
        last = words.splitlines()[-1]
        if not lines:
            raise SandboxError(f"the sandbox did not start: {last}")
        stopped = f"ended the sandbox ({last})"
    return Run(cells, stopped)


def cell_run(cell: NotebookNode, said: str) -> CellRun:
    """How a cell went that has come to its end; `said` is the MIME type of the outputs that are reported."""
    texts = [str(output.data[said]) for output in cell.outputs if said in output.get("data", {})]
    return CellRun(kernel.reason(cell)[-MOST_TEXT:], "".join(texts)[:MOST_TEXT])


def inside(said: str, cell_seconds: str, report: str) -> None:
    """In the sandbox: run the notebook that comes in; write a line to the report as each cell ends, and at the end.

    The kernel cannot look into this process, which holds the checks that are still to come.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    with os.fdopen(int(report), "w", encoding="utf-8") as lines:

        def tell(**line: str) -> None:
            lines.write(json.dumps(line) + "\n")
            lines.flush()

        def done(cell: NotebookNode, seconds: float) -> None:
            tell(**asdict(cell_run(cell, said)))

        nb = nbformat.reads(sys.stdin.buffer.read().decode(), as_version=4)
        try:
            kernel.run(nb, "submission.ipynb", timeout=float(cell_seconds), allow_errors=True, done=done)
        except kernel.StoppedError as error:
            tell(stopped=error.why)
        else:
            tell(stopped="")


def _environment(folder: Path) -> dict[str, str]:
    """What a submission finds in its environment where there is no wall: the programs' places, a guard of Python's."""
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    homes = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR",
             "JUPYTER_CONFIG_DIR", "XDG_CACHE_HOME")  # fmt: skip
    environment |= dict.fromkeys(homes, str(folder))
    paths = [str(wall.ROOT), os.environ.get("PYTHONPATH", "")]
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return offline.guarded(environment, folder)


def _feed(pipe: IO[bytes] | None, data: bytes) -> None:
    assert pipe is not None
    with suppress(OSError), pipe:  # it may have ended
        pipe.write(data)


def _first(pipe: IO[bytes], most: int) -> bytes:
    """What comes first through a pipe; the rest is read and left."""
    data = pipe.read(most)
    while pipe.read(1_000_000):
        pass
    return data


def _last(pipe: IO[bytes] | None, most: int) -> bytes:
    """What comes last through a pipe."""
    assert pipe is not None
    data = b""
    with pipe:
        while more := os.read(pipe.fileno(), 65_536):
            data = (data + more)[-most:]
    return data


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """Wait for its end; the limit that it broke before, "" if none."""
    end = time.monotonic() + limits.seconds
    while True:
        left = end - time.monotonic()
        try:
            process.wait(timeout=max(0, min(left, LOOKS_EVERY)))
            return ""
        except subprocess.TimeoutExpired:
            if left <= 0:
                return f"used up the {limits.seconds:g} s of the whole submission"
            if _memory(process) > limits.memory:
                return f"used up the {limits.memory / 1e9:g} GB of memory of the whole submission"


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """All that came from a process."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _memory(process: subprocess.Popen[bytes]) -> int:
    """Bytes of memory that all that came from a process hold; what two of them share counts twice."""
    total = 0
    for child in _family(process):
        with suppress(psutil.Error):
            total += child.memory_info().rss
    return total


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that came from it."""
    family = _family(process)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
