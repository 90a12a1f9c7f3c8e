"""The teacher's side: a process that runs one submission's code, and how to speak with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import IO, Any

from course_utils.grading import wall, worker
from course_utils.grading.sandbox import (
    LOOKS_EVERY,
    Limits,
    SandboxError,
    kill,
    last_words,
    over_memory,
    start,
)

PATIENCE = 15.0  # seconds to end a submission and clean up
STARTS_WITHIN = 180.0  # seconds
ALONE = "from course_utils.grading.worker import alone; alone()"
WAIT = "import sys; from course_utils.grading.worker import wait_for_submissions as w; w(*sys.argv[1:])"


class StoppedError(Exception):
    """A submission's process has ended, or was ended; the message says how: "takes longer than 60 s"."""


class Session:
    """A process that runs one submission's code.

    Args:
        requests: where it is asked.
        replies: where it answers.
        limits: what it may use; the time of the whole submission begins now.
        over: says which limit is broken, "" if none; looked at twice a second.
        ended: says how the process has ended, which it has.

    Attributes:
        stopped: set by whoever wants no more replies.
    """

    def __init__(
        self,
        requests: IO[bytes],
        replies: IO[bytes],
        limits: Limits,
        over: Callable[[], str],
        ended: Callable[[], str],
    ) -> None:
        self._requests, self._replies, self._limits, self._over, self._ended = (
            requests, replies, limits, over, ended,
        )  # fmt: skip
        self._reader = ThreadPoolExecutor(1)
        self.stopped = Event()

    def run(self, source: str, name: str) -> list[tuple[int, str]]:
        """Run a student's cell, statement by statement; gives line and error of those that fail.

        Raises:
            StoppedError: it does not end, or ends the process.
        """
        reply = self._request(do="run", source=source, name=name)
        return [(line, error[: worker.MOST_TEXT]) for line, error in reply["failed"]]

    def check(self, source: str, name: str, *, keep: bool = False) -> str:
        """Run a teacher's cell; what its error says, "" if it ran to its end.

        Args:
            source: the cell.
            name: for tracebacks.
            keep: whether what it defines is put back before later checks, where an answer has redefined it.

        Raises:
            StoppedError: as above.
        """
        reply = self._request(do="check", source=source, name=name, keep=keep)
        return str(reply["error"])[: worker.MOST_TEXT]

    def ask(self, asks: str, key: str, seed: int) -> tuple[str, Any]:
        """What the answer to an exercise gives (`hidden.ask`): an error or "", and the values.

        Raises:
            StoppedError: as above.
        """
        reply = self._request(do="ask", asks=asks, key=key, seed=seed)
        return reply["error"][: worker.MOST_TEXT], reply["values"]

    def close(self) -> None:
        """Speak no more with it."""
        for channel in (self._requests, self._replies):
            with suppress(OSError):
                channel.close()
        self._reader.shutdown(wait=False)

    def _request(self, **what: Any) -> Any:
        try:
            reply = self._wait(self._reader.submit(self._speak, what))
            if not _is_reply(what["do"], reply):
                raise ValueError("the answer is none")
            return reply
        except (EOFError, OSError):
            raise StoppedError(self._ended()) from None
        except ValueError as error:
            raise StoppedError(f"sent something else than values ({error})") from None

    def _speak(self, what: dict[str, Any]) -> Any:
        worker.write(self._requests, what)  # waits where nobody reads
        return worker.read(self._replies)

    def _wait(self, reply: Future[Any]) -> Any:
        end = time.monotonic() + self._limits.cell_seconds
        while True:
            left = end - time.monotonic()
            try:
                return reply.result(timeout=max(0.0, min(left, LOOKS_EVERY)))
            except TimeoutError:
                if left <= 0:
                    raise StoppedError(f"takes longer than {self._limits.cell_seconds:g} s") from None
                if self.stopped.is_set():
                    raise StoppedError("was stopped with the grading") from None
                if over := self._over():
                    raise StoppedError(over) from None


def _is_reply(do: str, reply: Any) -> bool:
    """Whether a value is what `worker.Runner` replies: a submission may send any."""
    keys = {"run": {"failed"}, "check": {"error"}, "ask": {"error", "values"}}[do]
    if not isinstance(reply, dict) or set(reply) != keys:
        return False
    if do != "run":
        return type(reply["error"]) is str
    failed = reply["failed"]
    return (
        isinstance(failed, list)
        and len(failed) <= worker.MOST_NOTES
        and all(isinstance(one, list) and [type(part) for part in one] == [int, str] for one in failed)
        and all(0 < line < 10**9 for line, _ in failed)
    )


Start = Callable[[], AbstractContextManager[Session]]


@contextmanager
def alone(limits: Limits) -> Iterator[Session]:
    """A process of this account, without a wall: for a student's own code, and where no wall is wanted.

    Raises:
        SandboxError: it does not start.
    """
    command = [sys.executable, "-c", ALONE]
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="homework-", ignore_cleanup_errors=True)
        )
        process = start(command, replace(limits, wall=False), Path(folder).resolve(), talks=True)
        assert process.stdin is not None
        assert process.stdout is not None
        said = stack.enter_context(ThreadPoolExecutor(1)).submit(last_words, process)
        session = Session(
            process.stdin,
            process.stdout,
            limits,
            over=lambda: over_memory(process, limits),
            ended=lambda: _ended(process),
        )
        stack.callback(session.close)
        stack.callback(kill, process)
        try:
            worker.read(process.stdout)
        except (EOFError, ValueError):
            kill(process)
            raise SandboxError(_not_started(said.result(), process.returncode)) from None
        yield session


class Wall:
    """A wall behind which one submission after another is run, each forked from a process that has imported torch.

    After each all that it started is ended and what it wrote is removed. Where that does not work, or the process
    behind the wall is no more, the next submission gets a wall of its own.

    Args:
        limits: what each submission may use.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A process for a submission.

        Raises:
            SandboxError: nothing starts behind the wall; the message holds what the system said.
            WallError: there is no bubblewrap.
        """
        process = self._begun()
        mine, theirs = socket.socketpair()
        with mine:
            with theirs:
                socket.send_fds(self._control, [b"n"], [theirs.fileno()])
            how: list[str] = []

            def ended() -> str:
                if not how:
                    how.append(self._end())
                return how[0]

            session = Session(
                mine.makefile("wb"),
                mine.makefile("rb"),
                self._limits,
                lambda: over_memory(process, self._limits),
                ended,
            )
            try:
                yield session
            finally:
                ended()
                session.close()

    def close(self) -> None:
        """Take the wall down, and all behind it."""
        if self._process is not None:
            kill(self._process)
            self._process = None
        self._stack.close()

    def _begun(self) -> subprocess.Popen[bytes]:
        """The process that forks, started if it is not there."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._control, theirs = socket.socketpair()
        self._stack.enter_context(self._control)
        self._control.settimeout(PATIENCE)
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="grading-"))
        with theirs:
            command = [sys.executable, "-c", WAIT, str(theirs.fileno()), json.dumps(list(wall.WRITABLE))]
            process = start(command, self._limits, Path(folder).resolve(), open_there=[theirs.fileno()])
        self._process = process
        said = self._stack.enter_context(ThreadPoolExecutor(1)).submit(last_words, process)
        self._control.settimeout(STARTS_WITHIN)
        try:
            ready = self._control.recv(1)
        except OSError:
            ready = b""
        self._control.settimeout(PATIENCE)
        if ready != b"r":
            kill(process)
            words = said.result()
            self.close()
            raise SandboxError(_not_started(words, process.returncode))
        return process

    def _end(self) -> str:
        """End a submission and clean up after it, or take the wall down; says how the submission had ended."""
        try:
            self._control.sendall(b"e")
            length = int.from_bytes(_exactly(self._control, 4), "big")
            said = json.loads(_exactly(self._control, min(length, 100_000)))
            if said["left"]:
                self.close()
            return _how(os.waitstatus_to_exitcode(said["status"]))
        except (OSError, EOFError, ValueError):
            self.close()
            return "ended the sandbox"


def _exactly(plug: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        if not (more := plug.recv(length - len(data))):
            raise EOFError
        data += more
    return data


def _ended(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)  # it may only have closed its pipes
    kill(process)
    return _how(process.returncode)


def _how(status: int) -> str:
    """How a process has ended, in words."""
    if status < 0:
        with suppress(ValueError):
            return f"ended its process ({signal.Signals(-status).name})"
    return f"ended its process (status {status})"


def _not_started(said: str, status: int) -> str:
    words = said.strip() or f"it ended with status {status} and said nothing"
    return f"the sandbox did not start: {words.splitlines()[-1]}"
