"""The sandbox: run a program within limits, and behind the wall."""

from __future__ import annotations

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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from course_utils.authoring import offline
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
            "RLIMIT_CPU": int(self.seconds) + 60, "RLIMIT_CORE": 0, "RLIMIT_MSGQUEUE": 0,
        }  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status, the end of what it said as errors, what it reported, the limit it broke."""

    status: int
    errors: str
    report: str
    stopped: str


# A program that sets limits, which all it starts inherit, leaves the ring of keys that whoever grades has in the
# kernel, and becomes the command that follows.
LIMITED = """
import ctypes, json, os, platform, resource, sys

keyctl, join = {"x86_64": 250, "aarch64": 219}.get(platform.machine()), 1
if keyctl is not None:
    ctypes.CDLL(None).syscall(keyctl, join, None)
for name, value in json.loads(sys.argv[1]).items():
    _, most = resource.getrlimit(getattr(resource, name))
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(getattr(resource, name), (value, value))
os.execv(sys.argv[2], sys.argv[2:])
"""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MOST_TEXT = 4000  # characters that are kept of what a program says as errors
MOST_REPORTED = 50_000_000  # bytes
LOOKS_EVERY = 0.5  # seconds between two looks at the memory in use


def run_limited(command: Sequence[str], limits: Limits) -> Ended:
    """Run a program to its end, within limits, behind the wall; whatever it starts ends with it.

    Its last argument is the number of the open file that its report goes to.

    Args:
        command: a program that is visible behind the wall, and its arguments.
        limits: what it may use, all that it starts included.

    Raises:
        WallError: there is no bubblewrap.
    """
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True))
        ends = os.pipe()
        read, write = (stack.enter_context(os.fdopen(*end)) for end in zip(ends, ("rb", "wb"), strict=True))
        number = write.fileno()
        process = start([*command, str(number)], limits, Path(name).resolve(), open_there=[number])
        write.close()
        with ThreadPoolExecutor(2) as pool:
            errors = pool.submit(last_words, process)
            report = pool.submit(_first, read, MOST_REPORTED)
            try:
                stopped = _wait(process, limits)
            finally:
                kill(process)
        reported = report.result().decode("utf-8", "replace")
        return Ended(process.returncode, errors.result(), reported, stopped)


def start(
    command: Sequence[str],
    limits: Limits,
    folder: Path,
    *,
    open_there: Sequence[int] = (),
    talks: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program within limits, behind the wall if there is one, with a pipe for what it says as errors.

    Args:
        command: the program and its arguments.
        limits: what it may use, all that it starts included.
        folder: where it works if there is no wall.
        open_there: open files that it gets beside its own three.
        talks: whether there are pipes for what it reads and says, too.

    Raises:
        WallError: there is no bubblewrap.
    """
    threads = dict.fromkeys(THREADS, str(limits.threads))
    if sys.platform == "linux":
        command = [sys.executable, "-IS", "-c", LIMITED, json.dumps(limits.of_process()), *command]
    if limits.wall:
        command = wall.behind(command, wall.environment() | threads)
    plug = subprocess.PIPE if talks else subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=folder, pass_fds=open_there, start_new_session=True,
        env={} if limits.wall else _environment(folder) | threads,  # process 1 behind the wall shows it
        stdin=plug, stdout=plug, stderr=subprocess.PIPE,
    )  # fmt: skip


def _environment(folder: Path) -> dict[str, str]:
    """What a submission finds in its environment where there is no wall: the programs' places, a guard of Python's."""
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    homes = ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR",
             "JUPYTER_CONFIG_DIR", "XDG_CACHE_HOME")  # fmt: skip
    environment |= dict.fromkeys(homes, str(folder))
    paths = [str(wall.ROOT), os.environ.get("PYTHONPATH", "")]
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    return offline.guarded(environment, folder)


def _first(pipe: IO[bytes], most: int) -> bytes:
    """What comes first through a pipe; the rest is read and left."""
    data = pipe.read(most)
    while pipe.read(1_000_000):
        pass
    return data


def last_words(process: subprocess.Popen[bytes]) -> str:
    """What a program says last as errors; waits for its end."""
    assert process.stderr is not None
    data = b""
    with process.stderr as pipe:
        while more := os.read(pipe.fileno(), 65_536):
            data = (data + more)[-4 * MOST_TEXT :]
    return data.decode("utf-8", "replace")[-MOST_TEXT:]


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
            if over := over_memory(process, limits):
                return over


def over_memory(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """What to say where a process and all that came from it hold more memory than they may; else ""."""
    if _memory(process) <= limits.memory:
        return ""
    return f"used up the {limits.memory / 1e9:g} GB of memory of the whole submission"


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A process and all that came from it."""
    try:
        own = psutil.Process(process.pid)
        return [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory(process: subprocess.Popen[bytes]) -> int:
    """Bytes of memory that a process and all that came from it hold; what two of them share counts twice."""
    total = 0
    for child in _family(process):
        with suppress(psutil.Error):
            total += child.memory_info().rss
    return total


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that came from it."""
    family = _family(process)
    with suppress(
        ProcessLookupError, PermissionError, AttributeError
    ):  # Windows has no groups, macOS no dead ones
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    for child in family:
        with suppress(psutil.Error):
            child.kill()
    process.wait()
