"""The process that runs a submission's code and answers what it is asked; and its parent, which imports but once.

It speaks with the teacher's process over a pair of pipes or a socket: a request, a reply, each a length and a plain
value (`values`). What it says of itself is believed by nobody: the teacher compares the values (`hidden`).
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import importlib
import json
import linecache
import os
import shutil
import signal
import socket
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import torch

from course_utils.grading.hidden import ask
from course_utils.grading.values import pack, unpack

WARM = (
    "course_utils.checks", "course_utils.pretrained", "matplotlib.pyplot", "scipy.linalg", "scipy.special",
    "scipy.stats", "sklearn.datasets", "torch._dynamo",  # the last by the first step of an optimiser
)  # fmt: skip
MOST_REPLY = 64_000_000  # bytes
MOST_TEXT = 4000  # characters of what an error says
MOST_NOTES = 20  # statements of a cell that failed
PR_SET_DUMPABLE = 4  # of Linux: whether others of the same account may read a process's memory and open files


def write(channel: IO[bytes], value: Any) -> None:
    """Send a value; in place of one that is too large, an error that says so."""
    data = pack(value)
    if len(data) > MOST_REPLY:
        said = f"the answer gives {len(data) / 1e6:.0f} MB; at most {MOST_REPLY / 1e6:.0f} MB are compared"
        data = pack({"error": said, "values": None})
    channel.write(len(data).to_bytes(8, "big") + data)
    channel.flush()


def read(channel: IO[bytes]) -> Any:
    """The next value.

    Raises:
        EOFError: the other side has ended.
        ValueError: what came is no value, or is too large.
    """
    head = channel.read(8)
    length = int.from_bytes(head, "big")
    if len(head) < 8:
        raise EOFError
    if length > MOST_REPLY:
        raise ValueError(f"{length} bytes are announced; at most {MOST_REPLY} are read")
    data = channel.read(length)
    if len(data) < length:
        raise EOFError
    return unpack(data)


# --- The submission's process -------------------------------------------------------------------------------


class Runner:
    """Runs cells in one namespace, and answers what it is asked.

    Args:
        names: the namespace.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self._kept: dict[str, Any] = {}  # what the teacher's cells have defined

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked: `run` (a student's cell), `check` (a teacher's cell) or `ask` (see `hidden`)."""
        if request["do"] == "run":
            return {"failed": run_statements(request["source"], request["name"], self.names)}
        self.names.update(self._kept)
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)  # a student's may have been a GPU
        torch.set_grad_enabled(True)
        if request["do"] == "ask":
            values: list[Any] = []
            ask_all = partial(ask, request["asks"], request["key"], self.names, request["seed"])
            error = error_of(lambda: values.append(ask_all()))
            return {"error": error, "values": values[0] if values else None}
        before = dict(self.names)
        error = error_of(partial(_execute, request["source"], request["name"], self.names))
        if request["keep"]:
            self._kept |= {n: value for n, value in self.names.items() if before.get(n, ...) is not value}
        return {"error": error}


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Reply until nothing more is asked."""
    main = types.ModuleType("__main__")  # where classes are looked for that are defined in a cell
    main.__dict__["display"] = print
    sys.breakpointhook = lambda *_, **__: None  # nobody is there to debug
    sys.modules["__main__"] = main
    runner = Runner(main.__dict__)
    while True:
        try:
            request = read(requests)
        except EOFError:
            return
        write(replies, runner.reply(request))


def run_statements(source: str, name: str, names: dict[str, Any]) -> list[list[Any]]:
    """Run a cell, and go on after a statement that fails; gives the line and the error of each that did."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [[getattr(error, "lineno", 1) or 1, f"{type(error).__name__}: {error}"[:MOST_TEXT]]]
    _remember(source, name)
    failed = []
    for node in tree.body:
        if said := error_of(partial(_execute, ast.Module([node], []), name, names)):
            failed.append([node.lineno, said])
    return failed[:MOST_NOTES]


def _execute(source: str | ast.Module, name: str, names: dict[str, Any]) -> None:
    exec(compile(source, name, "exec"), names)


def _remember(source: str, name: str) -> None:
    """Let tracebacks and `inspect` find a cell's lines."""
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name


def error_of(action: Callable[[], Any]) -> str:
    """What an action's error says: an AssertionError's own text, another's with its name; "" if there is none."""
    try:
        action()
    except BaseException as error:  # exit() too
        try:
            text = str(error).strip()
        except Exception as other:  # an error class of the student's
            return f"an error whose text is another error, {type(other).__name__}"
        said = text if isinstance(error, AssertionError) and text else f"{type(error).__name__}: {text}"
        return said.removesuffix(": ")[:MOST_TEXT]
    return ""


def alone() -> None:
    """Serve over standard input and output; what the code prints goes nowhere."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _say_nothing()
    _warm()
    with contextlib.suppress(BrokenPipeError):
        write(replies, "ready")
        serve(requests, replies)


def _say_nothing() -> None:
    """Open the three standard files anew: what is set on an open file holds for all processes that share it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


# --- Its parent, behind the wall ----------------------------------------------------------------------------


def wait_for_submissions(number: str, folders: str) -> None:
    """Fork a child for each submission; when it is done with, end all that it started and remove what it wrote.

    Args:
        number: of an open socket. The teacher sends `n` and the child's own socket, later `e`; the answer to that
            is how the child ended, and what could not be cleaned up.
        folders: those that can be written to, as JSON.
    """
    if os.getpid() != 1:
        raise RuntimeError("this ends every process that it sees: it is for behind the wall")
    _warm()
    control = socket.socket(fileno=int(number))
    places = [Path(folder) for folder in json.loads(folders)]
    dumpable(False)  # no child looks into this process: it holds the control
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # no other signal of a child's reaches process 1
    _clean(places)
    new = _state(places)
    control.sendall(b"r")
    while True:
        word, sockets, _, _ = socket.recv_fds(control, 1, 1)
        if word != b"n":
            return
        child = os.fork()
        if child == 0:
            control.close()
            _be_a_submission(socket.socket(fileno=sockets[0]))
        os.close(sockets[0])
        if control.recv(1) != b"e":
            return
        status = _end_all(child)
        _clean(places)
        said = json.dumps({"status": status, "left": sorted(_state(places) ^ new)[:5]})
        control.sendall(len(said).to_bytes(4, "big") + said.encode())


def dumpable(yes: bool) -> None:
    """Let processes of the same account look into this one, or not."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(yes), 0, 0, 0)


def _be_a_submission(plug: socket.socket) -> None:
    try:
        _say_nothing()
        dumpable(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        serve(plug.makefile("rb"), plug.makefile("wb"))
    finally:
        os._exit(0)


def _end_all(child: int) -> int:
    """End every other process behind the wall; gives the child's status as `waitpid` does."""
    done, status = os.waitpid(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # none is left: what has lost its parent is process 1's
        while True:
            ended, how = os.waitpid(-1, 0)
            if ended == child and not done:
                status = how
    return status


def _clean(folders: list[Path]) -> None:
    """Remove what was written, as far as that is possible."""
    for folder in folders:
        folder.chmod(0o755)
        for path in folder.iterdir():
            with contextlib.suppress(OSError, RecursionError):  # a tree may be deeper than that
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def _state(folders: list[Path]) -> set[str]:
    """What a submission could leave to the next one: files, System V's objects, this process's limits and rank, and
    what of the kernel is the wall's own.

    What is bound into a folder, as a checkout below /tmp is, cannot be written to and is not looked into.
    """
    import resource  # not on Windows

    found, places = set(), [str(folder) for folder in folders]
    while places:
        place = places.pop()
        try:
            inside = list(os.scandir(place))
        except OSError as error:  # closed, or too deep
            found.add(f"{place}: {error}")
            continue
        found |= {one.path for one in inside}
        deeper = [one for one in inside if one.is_dir(follow_symlinks=False)]
        places += [
            one.path for one in deeper if one.stat(follow_symlinks=False).st_dev == os.stat(place).st_dev
        ]
    for kind in ("shm", "sem", "msg"):  # which no process needs to hold
        with contextlib.suppress(OSError):
            found |= set(Path("/proc/sysvipc", kind).read_text().splitlines()[1:])
    for path in (path for folder in ("kernel", "fs/mqueue") for path in Path("/proc/sys", folder).glob("*")):
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_uid == os.getuid():
                found.add(f"{path}: {path.read_text()}")
    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    found |= {f"{name}: {resource.getrlimit(getattr(resource, name))}" for name in limits}
    rank = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))
    return found | {f"rank: {rank}"}


def _warm() -> None:
    """Import what homework uses, draw to no screen, and work in one thread: a process with more cannot be forked."""
    for module in WARM:
        importlib.import_module(module)
    import matplotlib

    matplotlib.use("Agg")
    torch.set_num_threads(1)
    torch.compiler.set_stance("force_eager")  # compiling takes the time of a cell, and a compiler
