"""Sessions: one submission after another behind one wall, each as if it were alone; and what is said when one ends."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from course_utils.grading import session, worker
from course_utils.grading.sandbox import Limits, SandboxError
from course_utils.grading.session import Session, StoppedError, Wall, alone

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.timeout(300)]
walled = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap builds the wall on Linux")
LIMITS = Limits(cell_seconds=4)


@pytest.fixture(scope="module")
def wall() -> Iterator[Wall]:
    made = Wall(LIMITS)
    yield made
    made.close()


@pytest.fixture(params=["alone", pytest.param("behind the wall", marks=walled)])
def start(request: pytest.FixtureRequest) -> session.Start:
    if request.param == "alone":
        return partial(alone, LIMITS)
    return request.getfixturevalue("wall").session


# --- What is done -------------------------------------------------------------------------------------------


def test_cells_share_their_names_and_go_on_after_a_statement_that_fails(start: session.Start) -> None:
    with start() as one:
        code = "x = 3\ny = x / 0\nimport no_such_module\n\ndef f(a):\n    return a + x\nassert f(1) == 5, 'not five'"
        assert one.run(code, "cell 1") == [
            (2, "ZeroDivisionError: division by zero"),
            (3, "ModuleNotFoundError: No module named 'no_such_module'"),
            (7, "not five"),
        ]
        assert one.run("def (", "cell 2")[0][0] == 1
        assert one.run("exit()", "cell 3")[0][1].startswith("SystemExit")
        assert one.check("assert f(1) == 4", "a check") == ""
        assert one.check("assert f(1) == 5, 'is wrong'\nz = 1", "a check") == "is wrong"
        asks = "import torch\ndef q1(answer, draw):\n    return {'f': answer.f(torch.ones(2)), 'x': answer.x}"
        error, values = one.ask(asks, "q1", 1)
        assert error == ""
        assert torch.equal(values["f"], torch.full((2,), 4.0))
        assert one.ask(asks.replace("answer.x", "answer.y"), "q1", 1) == (
            "NameError: name 'y' is not defined",
            None,
        )


def test_what_a_cell_of_the_teachers_defines_is_put_back_and_so_are_torchs_settings(
    start: session.Start,
) -> None:
    with start() as one:
        one.check("import torch\ndata, kind = [1, 2], torch.float32", "setup", keep=True)
        one.check("passing = 1", "a check")
        one.run("data, passing, mine = None, 2, 3\ntorch.set_default_dtype(torch.float64)", "cell 1")
        one.run("torch.set_grad_enabled(False)", "cell 2")
        told = "assert (data, passing, mine, torch.ones(1).dtype) == ([1, 2], 2, 3, kind) and torch.is_grad_enabled()"
        assert one.check(told, "a check") == ""


def test_cells_find_what_a_notebook_has(start: session.Start) -> None:
    with start() as one:
        code = """
import dataclasses, inspect, pickle
import matplotlib.pyplot as plt
from torch.utils.data import DataLoader

@dataclasses.dataclass
class Point:
    x: int = 3

assert pickle.loads(pickle.dumps(Point())) == Point()
def f(x):
    return x
assert inspect.getsource(f) == "def f(x):\\n    return x\\n"
assert __name__ == "__main__"
display(plt.plot([1, 2]))
plt.show()
print("x" * 10**6)
import sys; print("y" * 10**6, file=sys.stderr)
assert len(list(DataLoader([1, 2, 3, 4], num_workers=2, batch_size=2))) == 2
"""
        assert one.run(code, "cell 1") == []


def test_an_answer_that_gives_too_much_is_told_so(start: session.Start) -> None:
    with start() as one:
        asks = "import torch\ndef q1(answer, draw):\n    return torch.zeros(20_000_000)"
        assert one.ask(asks, "q1", 1) == ("the answer gives 80 MB; at most 64 MB are compared", None)
        assert one.run("x = 1", "cell 1") == []


# --- How it ends --------------------------------------------------------------------------------------------

ENDS = {
    "import os; os._exit(3)": r"ended its process \(status 3\)",
    "import os; os.kill(os.getpid(), 11)": r"ended its process \(SIGSEGV\)",
    "import ctypes; ctypes.string_at(0)": r"ended its process \(SIGSEGV\)",
    "while True: pass": "takes longer than 4 s",
    "import os, time\nos.closerange(3, 256)\ntime.sleep(300)": r"ended its process \(SIGKILL\)",
    "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: time.sleep(1)": (
        "takes longer than 4 s"
    ),
}


@pytest.mark.parametrize("code", ENDS)
def test_how_a_process_has_ended_is_told(code: str, start: session.Start) -> None:
    with start() as one, pytest.raises(StoppedError, match=ENDS[code]):
        one.run(code, "cell 1")
    with start() as one:
        assert one.run("x = 1", "cell 1") == []


def test_memory_is_held_for_one_process_and_for_all_of_them() -> None:
    limits = Limits(memory=1_500_000_000, cell_seconds=60, wall=sys.platform == "linux")
    made = Wall(limits)
    start = made.session if limits.wall else partial(alone, limits)
    shared = "import mmap, os, time\nblock = mmap.mmap(-1, 10**9)\nfor n in range(0, 10**9, 4096):\n    block[n] = 1\n"
    try:
        with start() as one:
            ((_, error),) = one.run("x = bytearray(6 * 10**9)", "cell 1")
            assert error == "MemoryError"
            with pytest.raises(StoppedError, match=r"used up the 1\.5 GB of memory of the whole submission"):
                one.run("import os\nos.fork()\n" + shared + "time.sleep(20)", "cell 2")
        with start() as one:
            assert one.run("x = 1", "cell 1") == []
    finally:
        made.close()


def test_memory_that_no_limit_of_the_system_holds_is_looked_at_without_a_wall_too() -> None:
    code = "import mmap, time\nblock = mmap.mmap(-1, 14 * 10**8)\n"
    code += "for n in range(0, len(block), 4096):\n    block[n] = 1\n"
    with (
        alone(Limits(memory=1_500_000_000, cell_seconds=60, wall=False)) as one,
        pytest.raises(StoppedError, match=r"used up the 1\.5 GB"),
    ):
        one.run(code + "time.sleep(20)", "cell 1")


def test_what_a_submission_starts_ends_with_it(start: session.Start) -> None:
    mark = f"{12345.0 + os.getpid()}"
    with start() as one:
        code = f"import subprocess, time; subprocess.Popen(['sleep', '{mark}']); time.sleep(1)"
        assert one.run(code, "cell 1") == []
        assert [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]
    time.sleep(0.2)
    assert not [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


# --- One after another behind one wall ----------------------------------------------------------------------

LEAVES = {
    "nothing": ("", True),
    "files": ("for f in ('/tmp', '/dev/shm', '.'): open(f + '/x', 'w').write('x')", True),
    "a closed folder": ("import os; os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a/b', 0)", False),
    "links": ("import os; os.symlink('/usr', '/tmp/a'); os.mkfifo('/tmp/b'); os.link('/tmp/b', '/tmp/c')", True),
    "odd names": ("for name in ('-rf', 'a\\nb', '\\udcff', '한글'): open(name, 'w')", True),
    "a deep tree": ("import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')", False),
    "a full disk": ("open('/tmp/x', 'wb').write(bytes(60 * 10**6))", True),
    "a process": ("import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)", True),
    "a daemon that ignores signals": (
        "import os, signal, time\nif os.fork() == 0:\n    os.setsid()\n"
        "    for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n    time.sleep(1000)", True,
    ),
    "a stopped process": ("import os, signal\nif os.fork() == 0: os.kill(os.getpid(), signal.SIGSTOP)", True),
    "shared memory of System V": ("import ctypes; assert ctypes.CDLL(None).shmget(7, 4096, 0o1666) >= 0", False),
    "signals to its parent": (
        "import os, time\nfor n in [1, 2, 3, 9, 15, 19, 31, 34, 64]: os.kill(os.getppid(), n)\ntime.sleep(0.5)", True,
    ),
}  # fmt: skip


@walled
@pytest.mark.parametrize("what", LEAVES)
def test_the_next_submission_finds_nothing_of_the_one_before(what: str, wall: Wall) -> None:
    code, stays = LEAVES[what]
    with wall.session() as one:
        look = "import glob, os\nfound = [sorted(os.listdir(f)) for f in ('/tmp', '/dev/shm', '.')]\n"
        look += "found.append(len(glob.glob('/proc/[0-9]*')))\n"
        look += "found += [open(f'/proc/sysvipc/{k}').read() for k in ('shm', 'sem', 'msg')]"
        show = "def q1(answer, draw):\n    return answer.found"
        assert one.run(look, "cell 1") == []
        new = one.ask(show, "q1", 1)
        bound = [ROOT.parts[2]] if ROOT.is_relative_to("/tmp") else []  # a checkout there is to be read
        assert new[1][:3] == [bound, [], []]
        first = wall._process
        assert one.run(code, "cell 2") == []
    with wall.session() as one:
        assert one.run(look, "cell 1") == []
        assert one.ask(show, "q1", 1) == new
        assert (wall._process is first) == stays


@walled
def test_a_submission_sees_neither_its_parent_nor_what_is_still_to_come(wall: Wall) -> None:
    """Neither in the memory nor in the open files of the process that it comes from, which holds the control."""
    code = """
import os
found = [path for path in os.listdir("/proc") if path.isdigit() and path not in ("1", str(os.getpid()))]
assert os.getppid() == 1
for path in ["mem", "environ", "maps", "auxv", "cwd", "root", "exe", *(f"fd/{n}" for n in range(20))]:
    try:
        os.stat(f"/proc/1/{path}"), os.close(os.open(f"/proc/1/{path}", os.O_RDONLY | os.O_NONBLOCK))
        found.append(path)
    except OSError:
        pass
mine = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
sockets = [path for path in mine if os.path.lexists(path) and os.readlink(path).startswith("socket")]
"""
    with wall.session() as one:
        assert one.run(code, "cell 1") == []
        _, (found, sockets) = one.ask(
            "def q1(answer, draw):\n    return [answer.found, answer.sockets]", "q1", 1
        )
    assert found == []
    assert len(sockets) == 1  # its own channel


def test_outside_of_the_wall_nothing_ends_all_processes() -> None:
    with pytest.raises(RuntimeError, match="it is for behind the wall"):
        worker.wait_for_submissions("0", "[]")


# --- Where it cannot start ----------------------------------------------------------------------------------


@walled
def test_a_sandbox_that_does_not_start_says_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Wall(Limits(memory=10_000_000))
    with pytest.raises(SandboxError, match=r"the sandbox did not start: .*[Mm]emory"), made.session():
        pass
    monkeypatch.setattr(session, "WAIT", "import torch_of_the_future")
    for start in (Wall(LIMITS).session, partial(alone, LIMITS)):
        monkeypatch.setattr(session, "ALONE", "import torch_of_the_future")
        message = "the sandbox did not start: ModuleNotFoundError: No module named 'torch_of_the_future'"
        given: AbstractContextManager[Session] = start()
        with pytest.raises(SandboxError, match=message), given:
            pass
