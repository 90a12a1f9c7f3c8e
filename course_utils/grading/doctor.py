"""What tries the wall on this machine: small programs that each do what a submission must not be able to."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from course_utils.grading.sandbox import Limits, SandboxError, run_limited
from course_utils.grading.wall import PACKAGE, ROOT

# Small, so that a program that gets through them does no harm.
LIMITS = Limits(seconds=30, memory=200_000_000, file=20_000_000, processes=64)

# Each gets through if it comes to its end, and is refused if that fails. `it` holds what lies outside to be found.
ATTEMPTS = {
    # What it writes is looked for when it has ended: some of these are folders in memory behind the wall.
    "writes outside": """
errors = [LookupError('what it wrote was gone with it')]
for folder in it['folders']:
    try:
        open(folder + '/' + it['token'], 'w').close()
    except OSError as error:
        errors.append(error)
raise errors[-1]
""",
    "reads a solution": "any_of(read, it['solutions'])",
    "reads the home": "any_of(read, it['home'])",
    "reads .git": "any_of(read, it['git'])",
    "sees the teacher's environment": """
texts = [repr(dict(os.environ)).encode(), *map(contents, glob.glob('/proc/[0-9]*/environ'))]
if not any(it['token'].encode() in text for text in texts):
    raise LookupError('no environment that can be seen holds it')
""",
    "sees another process": """
if not any(it['other'].encode() in contents(path).split(b'\\0') for path in glob.glob('/proc/[0-9]*/cmdline')):
    raise LookupError('no process that can be seen is it')
""",
    "opens a socket to the network": """
def connect(address):
    local = isinstance(address, str)
    with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as plug:
        plug.settimeout(5)
        plug.connect('\\0' + address if local else tuple(address))

any_of(connect, it['addresses'])
""",
    "forks without end": """
children = []
try:
    for _ in range(2 * it['processes']):
        children.append(os.fork())
        if children[-1] == 0:
            time.sleep(60)
            os._exit(0)
finally:
    for child in children:
        os.kill(child, 9)
""",
    "uses up memory": "bytearray(2 * it['memory'])",
    "uses up memory that processes share": """
block, piece = mmap.mmap(-1, 2 * it['memory']), bytes(range(250)) * 4000
for start in range(0, len(block), len(piece)):
    block[start : start + len(piece)] = piece
time.sleep(3)
""",
    "writes a large file": """
with tempfile.TemporaryFile() as file:
    for _ in range(2 * it['file'] // 10**6):
        file.write(bytes(10**6))
""",
    "writes many files": """
with tempfile.TemporaryDirectory() as folder:
    for n in range(20):
        with open(f'{folder}/{n}', 'wb') as file:
            file.write(bytes(10**7))
""",
    # So is what it starts.
    "leaves a process behind": """
for name in [it['left']] * 2:
    subprocess.Popen([sys.executable, '-IS', '-c', 'import time; time.sleep(300)', name], start_new_session=True,
                     stdin=-3, stdout=-3, stderr=-3)
raise LookupError('what it started ended with it')
""",
    "gets a capability": """
status = dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines())
libc = ctypes.CDLL(None, use_errno=True)
# a setuid program would give some, and so would a user namespace of its own
if int(status['CapEff'], 16) == 0 and status['NoNewPrivs'] == '1' and libc.unshare(0x10000000) != 0:
    why = os.strerror(ctypes.get_errno())
    raise PermissionError('none at the start, and the system opens no namespace that would give some: ' + why)
""",
}
TRY = """
import ctypes, glob, json, mmap, os, socket, subprocess, sys, tempfile, time

_, program, it, report = sys.argv

def read(path):
    with open(path, 'rb') as file:
        file.read()

def contents(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError:
        return b''

def any_of(action, values):
    error = LookupError('there is none to try')
    for value in values:
        try:
            return action(value)
        except OSError as another:
            error = another
    raise error

try:
    exec(program, globals() | {'it': json.loads(it)})
    said = 'got through'
except (OSError, MemoryError, LookupError) as error:
    said = 'refused: ' + f'{type(error).__name__}: {error}'.removesuffix(': ').removeprefix('LookupError: ')
with open(int(report), 'w') as file:
    file.write(said)
"""


@dataclass(frozen=True)
class Tried:
    """What came of an attempt: whether the wall held, and what happened in words."""

    held: bool
    said: str


def command(what: str, it: dict[str, Any]) -> list[str]:
    """The command line of an attempt; its last argument, a file to report to, is still missing."""
    return [sys.executable, "-IS", "-c", TRY, ATTEMPTS[what], json.dumps(it)]


def try_the_wall(limits: Limits = LIMITS) -> Iterator[tuple[str, Tried]]:
    """Try each attempt behind the wall, one after the other.

    Raises:
        SandboxError: nothing runs behind it; the message holds what the system said.
        WallError: there is no bubblewrap.
    """
    with bait(limits) as it:
        for what in ATTEMPTS:
            ended = run_limited(command(what, it), limits)
            said = ended.report or (ended.stopped and f"refused: it {ended.stopped}")
            if not said:
                last = (ended.errors.strip().splitlines() or [f"ended with status {ended.status}"])[-1]
                raise SandboxError(f"the sandbox did not start: {last}")
            if left := clear(it):
                said = f"left behind: {left}"
            yield what, Tried(said.startswith("refused"), said)


@contextmanager
def bait(limits: Limits = LIMITS) -> Iterator[dict[str, Any]]:
    """Lay out what is to be found outside, as JSON names it: files, a variable, a process, two sockets that listen."""
    token = f"course-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=token)))
        (folder / ".git").mkdir()
        files = [folder / "hw01.ipynb", folder / ".git" / "HEAD"]
        with suppress(OSError, RuntimeError):  # there is no home, or it cannot be written to
            home = stack.enter_context(tempfile.NamedTemporaryFile(prefix=f".{token}", dir=Path.home()))
            files.append(Path(home.name))
        for file in files:
            file.write_text(token)
        waits = [sys.executable, "-IS", "-c", "import sys; sys.stdin.read()", f"{token}-other"]
        other = stack.enter_context(subprocess.Popen(waits, stdin=subprocess.PIPE))
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        local.bind(f"\0{token}")
        local.listen()
        os.environ["COURSE_DOCTOR"] = token
        stack.callback(os.environ.pop, "COURSE_DOCTOR", None)
        it = {
            "token": token, "left": f"{token}-left", "other": f"{token}-other",
            "processes": limits.processes, "memory": limits.memory, "file": limits.file,
            "solutions": [str(files[0]), *map(str, ROOT.glob("notebooks/homework/solution/hw*.ipynb"))],
            "git": [str(files[1]), str(ROOT / ".git" / "HEAD")], "home": list(map(str, files[2:])),
            "addresses": [token, ["127.0.0.1", port], ["1.1.1.1", 53]],
            "folders": [str(f) for f in (folder, *(file.parent for file in files[2:]), Path.cwd(), ROOT, "/var/tmp",
                                         "/etc", "/usr", PACKAGE, sysconfig.get_path("purelib"))],
        }  # fmt: skip
        try:
            yield it
        finally:
            clear(it)
            assert other.stdin is not None
            other.stdin.close()


def clear(it: dict[str, Any]) -> str:
    """End and remove what an attempt has left outside; says what that was, "" if nothing was."""
    found = [str(path) for folder in it["folders"] if (path := Path(folder, it["token"])).exists()]
    for name in found:
        Path(name).unlink(missing_ok=True)
    started = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [""])[-1] == it["left"]]
    for process in psutil.wait_procs(started, timeout=1)[1]:  # a moment to end with the sandbox
        found.append(f"process {process.pid}")
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return ", ".join(found)
