"""Run a notebook under nbval: offline if wanted, timed cell by cell, a dead kernel noticed at once."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import Empty
from typing import Any, TextIO

from course_utils.notebook import ANSI, VIEW, NotebookError


@dataclass(frozen=True)
class CellRun:
    """What nbval saw of one code cell."""

    source: str
    passed: bool
    message: str  # "" when it passed
    ended: float  # seconds from the start of the kernel
    has_image: bool  # a picture or a widget came out


@dataclass(frozen=True)
class NbvalRun:
    """What nbval saw of a notebook."""

    cells: list[CellRun]
    seconds: float  # from the start of the kernel to the last cell
    isolation: str  # "none"; "guard": Python refuses to connect; "namespace": the system cannot either

    @property
    def failures(self) -> list[str]:
        """One text a cell that did not pass."""
        return [f"code cell {n}: {cell.message}" for n, cell in enumerate(self.cells, 1) if not cell.passed]


def run_nbval(
    ipynb: Path | str,
    *,
    cell_timeout: float,
    sanitize: Path | str | None = None,
    compare: bool = True,
    offline: bool = False,
    namespace: bool = True,
) -> NbvalRun:
    """Run a notebook under nbval in a process of its own; a kernel that dies is noticed at once.

    Args:
        ipynb: the notebook; the kernel works in its folder.
        cell_timeout: seconds that one cell may take.
        sanitize: nbval's file of patterns, or None.
        compare: compare outputs with the stored ones; if False only exceptions count.
        offline: cut the network off, but for the machine itself.
        namespace: with `offline`, add to the guard in Python a network namespace where the system allows one.

    Raises:
        NotebookError: nbval could not run at all.
    """
    if importlib.util.find_spec("nbval") is None:
        raise NotebookError("nbval is not installed: pip install 'course-utils[test]'")
    ipynb = Path(ipynb).resolve()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.jsonl"
        command = nbval_command(
            ipynb, report, Path(folder), cell_timeout=cell_timeout, sanitize=sanitize, compare=compare
        )
        environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        environment.pop("PYTEST_ADDOPTS", None)
        isolation = "none"
        if offline:
            isolation = "guard"
            (Path(folder) / "sitecustomize.py").write_text(GUARD)
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
            if namespace and can_run(*UNSHARE, "ip link set lo up"):
                isolation = "namespace"
                command = [*UNSHARE, 'ip link set lo up && exec "$@"', "sh", *command]
        done = subprocess.run(command, env=environment, cwd=ipynb.parent, capture_output=True, text=True)
        cells = read_report(report.read_text()) if report.exists() else []
        if not cells:
            raise NotebookError(f"nbval did not run on {ipynb.name}:\n{done.stdout}\n{done.stderr}")
    return NbvalRun(cells, max((cell.ended for cell in cells), default=0.0), isolation)


def nbval_command(
    ipynb: Path,
    report: Path | str,
    folder: Path,
    *,
    cell_timeout: float,
    sanitize: Path | str | None,
    compare: bool,
) -> list[str]:
    """The command that runs nbval on a notebook and writes a line to the file `report` as each cell ends.

    folder: takes a pytest.ini, so that no other one is found.
    """
    (folder / "pytest.ini").write_text("[pytest]\n")
    program = "import sys; from course_utils.nbval_run import _nbval_main; _nbval_main(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(report), str(int(compare)), str(ipynb), "-q"]
    command += ["-c", str(folder / "pytest.ini"), "--noconftest", "-p", "no:cacheprovider"]
    command += ["--color=no", "--nbval", "--nbval-current-env", f"--nbval-cell-timeout={cell_timeout:g}"]
    return command + ([f"--nbval-sanitize-with={Path(sanitize).resolve()}"] if sanitize else [])


def read_report(text: str) -> list[CellRun]:
    """What `nbval_command` has reported so far; a line that was cut off is left out."""
    return [CellRun(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]


DIED = "the kernel died in this cell (out of memory?)"
TOO_LONG = "a cell before this one took too long"


def until_cut(cells: list[CellRun]) -> list[CellRun]:
    """The cells before one that ended its kernel or took too long: what came after it says nothing."""
    for k, cell in enumerate(cells):
        if DIED in cell.message:
            return cells[:k]
        if cell.message == TOO_LONG:
            return cells[: max(0, k - 1)]
    return cells


UNSHARE = ["unshare", "-rn", "sh", "-c"]

# Put before everything else on a Python's path: it refuses to speak to another machine.
GUARD = """
import errno, socket

def refuse(address):
    host = address[0] if isinstance(address, tuple) else "localhost"  # a Unix socket's address is a text
    if host not in ("localhost", "", "0.0.0.0", "::", "::1") and not str(host).startswith("127."):
        raise OSError(errno.ENETUNREACH, f"the network is cut off: no connection to {host}")

def guarded(name):
    original = getattr(socket.socket, name)
    def method(self, *args):
        refuse(args[-1])
        return original(self, *args)
    return method

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, guarded(name))

look_up = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    refuse((host.decode() if isinstance(host, bytes) else host or "localhost",))
    return look_up(host, *args, **kwargs)
socket.getaddrinfo = getaddrinfo
"""


@cache
def can_run(*command: str) -> bool:
    """Whether this system runs a command, found by trying it once; for what some containers forbid."""
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _nbval_main(report: str, compare: str, *arguments: str) -> None:
    """Run pytest with nbval and `_Watch`, which writes what it sees to the file `report`."""
    import pytest

    with Path(report).open("w") as lines:
        pytest.main(list(arguments), plugins=[_Watch(compare == "1", lines)])


class _Watch:
    """A pytest plugin: times each cell, keeps what failed, and notices a dead kernel within two seconds."""

    def __init__(self, compare: bool, report: TextIO) -> None:
        self.compare, self.report = compare, report
        self.started = 0.0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        from nbval.kernel import RunningKernel

        original = RunningKernel.get_message

        def get_message(kernel: Any, stream: str, timeout: float | None = None) -> Any:
            deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
            while True:
                try:
                    return original(kernel, stream, timeout=min(1.0, max(0.0, deadline - time.monotonic())))
                except Empty:
                    if not kernel.is_alive():
                        raise RuntimeError(DIED) from None
                    if time.monotonic() >= deadline:
                        raise

        RunningKernel.get_message = get_message
        if not self.compare:
            for item in items:
                item.cell.outputs, item.cell.execution_count = [], None

    def pytest_sessionstart(self) -> None:
        self.started = time.monotonic()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "setup" and report.failed:
            raise RuntimeError(f"the kernel did not start:\n{report.longreprtext}")

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Note how a cell ended (an expected failure that passes, after a time-out, is not a pass)."""
        if call.when != "call":
            return
        message = "" if call.excinfo is None else ANSI.sub("", str(item.repr_failure(call.excinfo)))
        if any(mark.name == "xfail" for mark in item.iter_markers()):
            message = message or TOO_LONG
        kinds = {kind for output in item.test_outputs or [] for kind in output.get("data", {})}
        has_image = any(kind.startswith("image/") or kind == VIEW for kind in kinds)
        run = CellRun(item.cell.source, message == "", message, time.monotonic() - self.started, has_image)
        self.report.write(json.dumps(asdict(run)) + "\n")
        self.report.flush()
