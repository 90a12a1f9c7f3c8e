"""Attacks on the grader, and accidents: what each is worth, what it costs, and what it does to the next submission.

Each row of the table is an answer to the second of three exercises; the first and the third are right. After each
attack another submission is graded behind the same wall, which is right in all three.
"""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from test_grading import HEAD
from test_homework import make
from test_wall import as_an_ordinary_account

from course_utils.authoring import homework
from course_utils.grading import grade, wall
from course_utils.grading.sandbox import Limits

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap builds the wall on Linux"),
]
LIMITS = {"cell_seconds": 6, "seconds": 18, "memory": 3_000_000_000, "file": 30_000_000, "processes": 64}

# --- The homework -------------------------------------------------------------------------------------------

EXERCISE = """
# %% [markdown]
# ## @ · Squared error

# %% key="q@"
def f@(a, b):
    ### BEGIN SOLUTION
    unspeakable_7391 = (a - b) ** 2
    return unspeakable_7391.sum()
    ### END SOLUTION

# %% key="check-q@" tags=["check"]
# CHECK q@
got = f@(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0]))
check_close("q@: f@(a, b)", got, 5.0)
print("q@:", round(float(got), 3))
"""
SOURCE = HEAD.replace("98", "97") + "\ntrain = torch.arange(6.0)\n"
SOURCE += "".join(EXERCISE.replace("@", str(n)) for n in (1, 2, 3))
HIDDEN = "import torch\n" + "".join(
    f"""
def q{n}(answer, draw):
    a, b = torch.randn(2, 4, generator=draw)
    return {{"f{n} of two drawn rows": answer.f{n}(a, b), "train": answer.train.sum()}}
"""
    for n in (1, 2, 3)
)

# --- What attacks are made of -------------------------------------------------------------------------------

RIGHT = "def f@(a, b):\n    return ((a - b) ** 2).sum()\n"
WRONG = "def f@(a, b):\n    return torch.tensor(4242.0)\n"  # what the page says then shows that it came to its end
CELL = "\n# %%\n"  # another cell
TOOLS = """\
import builtins, ctypes, errno, gc, glob, json, linecache, os, re, resource, signal, socket, subprocess
import sys, threading, time, types
from course_utils.grading import hidden, values, worker
from safetensors.torch import save
libc, parent = ctypes.CDLL(None, use_errno=True), os.getppid()

def channel():
    links = [int(n) for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
    return next(n for n in links if os.readlink(f"/proc/self/fd/{n}").startswith("socket:"))

def send(text, tensors=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    body = len(text).to_bytes(8, "big") + text + (save({}) if tensors is None else tensors)
    with os.fdopen(os.dup(channel()), "wb") as file:
        file.write(len(body).to_bytes(8, "big") + body)

def held(number):
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def background(action):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            os.closerange(0, 100)
            action()
        os._exit(0)
"""


def does(code: str) -> str:
    """An answer that does something when it is called, and says how that ended."""
    lines = "".join(f"    {line}\n" for line in code.strip().split("\n"))
    return f"""{TOOLS}
def attempt(a, b):
{lines}
def f@(a, b):
    try:
        attempt(a, b)
    except Exception as error:
        raise AssertionError(f"refused: {{type(error).__name__}}: {{error}}") from None
    return torch.tensor(4242.0)
"""


def gives(value: str) -> str:
    """An answer that gives a value."""
    return f"{TOOLS}\ndef f@(a, b):\n    return {value}\n"


def first(code: str, answer: str = WRONG) -> str:
    """Code that is run when the answer is defined."""
    return f"{TOOLS}\n{code}\n{answer}"


@dataclass(frozen=True)
class Row:
    """An answer, and what comes of it: `mark`, of the third exercise too (`rest`), and what the page says."""

    code: str
    mark: str = "0"
    says: str = "is 4242, should be 5"
    rest: str = "1"


NO_VALUE = "sent something else than values"
OK = '{"dict": {"error": "", "values": {"dict": {"f2 of two drawn rows": 5.0, "train": 15.0}}}}'

FORGES = {
    "writes an answer before the worker's": Row(does(f"send({OK})"), says=NO_VALUE),
    "answers in place of the worker": Row(
        does("""
said = {"run": {"failed": []}, "check": {"error": ""}, "ask": {"error": "", "values": {}}}
send({"dict": {"error": "", "values": {"dict": {}}}})
reads, writes = os.fdopen(os.dup(channel()), "rb"), os.fdopen(os.dup(channel()), "wb")
while True:
    worker.write(writes, said[worker.read(reads)["do"]])
"""), says="other things were returned than were asked for", rest="0"),
    "announces 2^62 bytes": Row(
        does("os.write(channel(), (2**62).to_bytes(8, 'big')); time.sleep(60)"), says=f"{NO_VALUE}.*are announced"
    ),
    "announces 60 MB and sends none": Row(
        does("os.write(channel(), (60_000_000).to_bytes(8, 'big')); time.sleep(60)"), says="takes longer than 6 s"
    ),
    "sends half a length and leaves": Row(
        does("os.write(channel(), bytes(4)); os._exit(0)"), says=r"ended its process \(status 0\)"
    ),
    "deep JSON": Row(does("send(b'[' * 10**6 + b']' * 10**6)"), says=NO_VALUE),
    "60 MB of brackets": Row(does("send(b'[' + b'[],' * 20_000_000 + b'[]]')"), says=NO_VALUE),
    "a million tensors of nothing": Row(
        does("""
one = '"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
header = ("{" + ",".join(one % n for n in range(10**6)) + "}").encode()
send(b"0", len(header).to_bytes(8, "little") + header)
"""), says=NO_VALUE),
    "malformed safetensors": Row(
        does("""
header = b'{"0":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,4]}}'
send({"tensor": "0"}, len(header).to_bytes(8, "little") + header + bytes(4))
"""), says=NO_VALUE),
    "a tensor that is not there": Row(does("send({'tensor': '7'})"), says=NO_VALUE),
    "a number of 10,000 digits": Row(does("send(b'1' * 10_000)"), says=NO_VALUE),
    "a kind that is none": Row(does("send({'__class__': 'os.system'})"), says=NO_VALUE),
    "what failed is no list": Row(first("send({'dict': {'failed': 3}})"), says=NO_VALUE),
    "what failed has no lines": Row(first("send({'dict': {'failed': [['x', 'y']]}})"), says=NO_VALUE),
    "a line beyond all numbers": Row(
        first("send(b'{\"dict\": {\"failed\": [[' + b'9' * 4300 + b', \"x\"]]}}')"), says=NO_VALUE
    ),
    "a line at infinity": Row(first("send(b'{\"dict\": {\"failed\": [[1e999, \"x\"]]}}')"), says=NO_VALUE),
    "400,000 failed lines": Row(
        first("send({'dict': {'failed': [[n, 'x'] for n in range(4 * 10**5)]}})"), says=NO_VALUE
    ),
    "an error that is no text": Row(
        does("send({'dict': {'error': [[1] * 9] * 9, 'values': None}})"), says=NO_VALUE
    ),
    "answers ahead, and reads no more": Row(
        first("send({'dict': {'failed': []}})\ntime.sleep(600)") + CELL + f"x = '{'한' * 190_000}'",
        says="takes longer than 6 s|used up", rest="0",
    ),
    "pickles in its frames": Row(
        does("import pickle; os.write(channel(), pickle.dumps(print)); time.sleep(60)"), says=NO_VALUE
    ),
}  # fmt: skip

FAKED = "{'f2 of two drawn rows': torch.tensor(5.0), 'train': torch.tensor(15.0)}"
BY_HEART = "A check that is not in your notebook"
KNOWS = {
    "the visible check by heart": Row(gives("torch.tensor(5.0)"), says=BY_HEART),
    "the solution's values of another seed": Row(
        "def f@(a, b):\n    if a.numel() == 2:\n        return torch.tensor(5.0)\n"
        "    a, b = torch.randn(2, 4, generator=torch.Generator().manual_seed(7))\n    return ((a - b) ** 2).sum()",
        says=BY_HEART),
    "right only where it sees the visible check": Row(
        "import inspect\ndef f@(a, b):\n    seen = any('check of' in frame.filename for frame in inspect.stack())\n"
        "    return ((a - b) ** 2).sum() if seen else a", says=BY_HEART),
    "zeros where it sees that it is graded": Row(gives("a.sum() * 0 if a.numel() > 2 else 5.0"), says=BY_HEART),
    "a random value": Row(gives("torch.rand(())"), says="is 0"),
    "reads the ask and its arguments in the frames above": Row(
        does("""
frame = sys._getframe(2)
if a.numel() > 2 and (frame.f_code.co_name, frame.f_locals["draw"].initial_seed() > 0) != ("q2", True):
    raise LookupError("they are not there")
""")),
    "looks for the solution in all its memory": Row(
        does("""
if hasattr(sys, "looked"):
    return
name, text = "unspeakable" + "_7391", re.compile(rb"unspeakable_[7]391 = [(]a")
codes = [o for o in gc.get_objects() if isinstance(o, types.FunctionType) and name in o.__code__.co_varnames]
lines = [kept for kept in linecache.cache.values() if len(kept) > 2 and text.search("".join(kept[2]).encode())]
own, found = b"a mark of its own", 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if " rw" in line and end - begin < 2**26:
            memory.seek(begin)
            data = memory.read(end - begin)
            found += own in data
            codes += text.findall(data)
if not found:
    raise LookupError("its own memory cannot be read")
if codes or lines:
    raise SystemError("found the solution")
sys.looked = True
""")),
    "looks for the solution in all files": Row(
        does("""
names = {"hw97.ipynb", "hw97_hidden.py", "hw97.py", "hw01_hidden.py", "hw01.ipynb"}
for folder, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if f not in ("proc", "sys", "usr", "site-packages", "lib")]
    if names & set(files):
        raise SystemError(folder)
""")),
    "patches what asks": Row(
        first("hidden.kept = getattr(hidden, 'kept', worker.ask)\nworker.ask = lambda asks, key, names, seed: "
              f"{FAKED} if key == 'q2' else hidden.kept(asks, key, names, seed)")),
    "patches what packs": Row(
        first("hidden.kept = getattr(hidden, 'kept', worker.pack)\nworker.pack = lambda value: hidden.kept("
              f"dict(error='', values={FAKED}) if 'f2 of two' in str(value) else value)")),
    "patches JSON and safetensors": Row(
        first("hidden.kept = getattr(hidden, 'kept', json.dumps)\n"
              "json.dumps = lambda v, *a, **k: hidden.kept(v, *a, **k).replace('4242', '5')\n"
              "values.save = lambda tensors: save({n: t.clamp(max=5) for n, t in tensors.items()})"),
        says="is 5", rest="0",
    ),
    "patches torch.randn": Row(
        first("randn = torch.randn\ntorch.randn = lambda *a, **k: randn(*a, **k) * 0", "def f@(a, b):\n"
              "    torch.randn = randn\n    return ((a - b) ** 2).sum() if a.any() else a.sum()"), says=BY_HEART),
    "patches torch.Generator": Row(
        first("kept, torch.Generator = torch.Generator, lambda *a: (_ for _ in ())",
              "def f@(a, b):\n    return a\n"), says="manual_seed|shape", rest="0"),
    "patches torch.autograd.grad and torch.allclose": Row(
        first("torch.autograd.grad = torch.allclose = lambda *a, **k: True")),
    "patches what compares": Row(
        first("import course_utils.checks\nhidden.same = hidden._same = lambda *a, **k: None\n"
              "course_utils.checks.check_close = check_close = lambda *a, **k: None\n"
              "hidden.Hidden.judge = lambda *a: ''")),
    "replaces modules": Row(
        first("sys.modules['course_utils.checks'] = sys.modules['course_utils.grading.hidden'] = "
              "types.SimpleNamespace(check_close=print, ask=print)")),
    "redefines __main__": Row(first("sys.modules['__main__'] = types.ModuleType('__main__')")),
    "patches builtins": Row(
        first("builtins.abs = builtins.isinstance = builtins.bool = lambda *a: True"), says="."
    ),
    "an AssertionError that never is": Row(
        first("class AssertionError(Exception):\n    pass\nbuiltins.AssertionError = AssertionError"), says="4242"),
    "traces the ask": Row(
        first("def trace(frame, event, value):\n    if event == 'call' and frame.f_code.co_name == 'q2':\n"
              "        sys.settrace(None)\n        raise ZeroDivisionError('traced')\nsys.settrace(trace)"),
        says="4242|traced"),
    "recursion limit, handlers, atexit, faulthandler": Row(
        first("import atexit, faulthandler\natexit.register(os.abort)\nfaulthandler.enable()\n"
              "faulthandler.dump_traceback_later(1, repeat=True)\nsys.setrecursionlimit(10**6)\n"
              "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsys.excepthook = sys.unraisablehook = None")),
    "rewrites assert in a tree": Row(
        first("import ast\nparse = ast.parse\n"
              "ast.parse = lambda s, *a, **k: parse(s if 'CHECK' not in str(s) else 'pass')"), says="4242"),
    "a back door of dataclasses": Row(first("import dataclasses\ndataclasses.dataclass(torch.Tensor, repr=False)"),
                                      says="."),
}  # fmt: skip

EVIL = """
class Evil({base}):
    __eq__ = __ne__ = __lt__ = __le__ = lambda *a: True
    __hash__ = lambda self: 0
    __str__ = __repr__ = lambda self: 1 / 0
    __array__ = __float__ = __reduce__ = __len__ = __iter__ = lambda *a: os._exit(7)
    __class__ = property(lambda self: torch.Tensor)
"""
VALUES = {
    "NaN": Row(gives("torch.tensor(float('nan'))"), says="NaN or infinite"),
    "infinity": Row(gives("torch.tensor(float('inf'))"), says="NaN or infinite"),
    "None": Row(gives("None"), says="is None: is a `return` missing"),
    "complex": Row(gives("torch.tensor(4242j)"), says="."),
    "sparse": Row(gives("torch.eye(3).to_sparse()"), says="."),
    "quantised": Row(gives("torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)"), says="."),
    "a tensor without memory (meta)": Row(gives("torch.ones(3, device='meta')"), says="."),
    "float8": Row(gives("torch.ones(()).to(torch.float8_e4m3fn)"), says="is 1"),
    "10^5000": Row(gives("10**5000 if a.numel() > 2 else 5.0"), says="."),
    "a dict with other keys than strings": Row(gives("{(1, 2): 3}"), says="is a dict"),
    "10 GB": Row(gives("torch.zeros(1).expand(2_500_000_000)"), says="."),
    "100 MB": Row(gives("torch.zeros(25_000_000)"), says="."),
    "a list in itself": Row("def f@(a, b):\n    k = []\n    k.append(k)\n    return k", says="."),
    "a string of surrogates": Row(gives("'\\ud800' * 3"), says="."),
    "an error of surrogates": Row(
        "def f@(a, b):\n    raise AssertionError('\\udfff 4242 \\ud800 \\0 \\x1b[2J <b>')\n", says="4242"),
    "a class named with surrogates": Row(gives("type('\\ud800', (), {})()"), says="."),
    "equals everything": Row(TOOLS + EVIL.format(base="") + gives("Evil()"), says="."),
    "a float that equals everything": Row(TOOLS + EVIL.format(base="float") + gives("Evil(5)"), says="."),
    "a string that equals everything": Row(TOOLS + EVIL.format(base="str") + gives("Evil(5)"), says="."),
    "a tensor subclass that lies": Row(
        "class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n"
        "        return torch.tensor(5.0)\ndef f@(a, b):\n    return torch.ones(()).as_subclass(T)", says="."),
    "a metaclass whose name is none": Row(
        TOOLS + "class M(type):\n    __name__ = 7\nclass C(metaclass=M):\n    pass\n" + gives("C()"), says="."),
}  # fmt: skip

LIVES = """
spared = os.getpid()

def lives():
    end = time.time() + 60
    while time.time() < end:
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid(), spared):
                try:
                    os.kill(int(name), 9)
                except OSError:
                    pass
        try:
            open("/tmp/mine", "w").close()
            os.chmod("/home/student", 0)
        except OSError:
            pass
"""
REFUSED = "refused: "
WALL = {
    "kills its parent, which is process 1": Row(does("for number in range(1, 65):\n    os.kill(parent, number)")),
    "kills all that it can": Row(does("os.kill(-1, 9)"), says=f"{REFUSED}ProcessLookupError"),
    "traces its parent": Row(does("held(libc.ptrace(16, parent, 0, 0))"), says=f"{REFUSED}PermissionError"),
    "reads its parent's memory": Row(does("open(f'/proc/{parent}/mem', 'rb')"), says=f"{REFUSED}PermissionError"),
    "reads its parent's open files": Row(does("os.listdir(f'/proc/{parent}/fd')"), says=f"{REFUSED}Permission"),
    "takes its parent's open files": Row(
        does("pidfd = os.pidfd_open(parent)\nheld(libc.syscall(438, pidfd, 3, 0))"), says=f"{REFUSED}Permission"),
    "takes its parent's limits": Row(
        does("""
resource.prlimit(parent, resource.RLIMIT_CPU, (20, 20))
resource.prlimit(parent, resource.RLIMIT_NPROC, (0, 0))
resource.prlimit(parent, resource.RLIMIT_NOFILE, (9, 9))
resource.prlimit(parent, resource.RLIMIT_FSIZE, (0, 10**6))
""")),
    "makes its parent slow": Row(
        does("os.setpriority(os.PRIO_PROCESS, parent, 19)\nos.sched_setscheduler(parent, 5, os.sched_param(0))")),
    "a signal for its parent that comes when others print": Row(
        does("""
import fcntl
for number in (0, 1, 2):
    try:
        fcntl.fcntl(number, fcntl.F_SETOWN, parent)
        fcntl.fcntl(number, 10, int(signal.SIGKILL))
        fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        pass
""")),
    "its standard files never wait, and hold little": Row(
        does("""
import fcntl
for number in (0, 1, 2):
    os.set_blocking(number, False)
    if os.readlink(f"/proc/self/fd/{number}").startswith("pipe:"):
        fcntl.fcntl(number, fcntl.F_SETPIPE_SZ, 4096)
""")),
    "a process that waits for the next submission": Row(first(LIVES + "background(lives)")),
    "many processes that wait for the next submission": Row(
        first("def sleeps():\n    time.sleep(600)\nfor _ in range(3):\n    background(sleeps)")),
    "a port and a name that stay taken": Row(
        first("def takes():\n    s, t = socket.socket(socket.AF_UNIX), socket.socket()\n    s.bind('\\0grading')\n"
              "    t.bind(('127.0.0.1', 5555))\n    t.listen()\n    time.sleep(600)\nbackground(takes)\n"
              "time.sleep(.2)")),
    "files that cannot be removed": Row(
        does("""
for place in ("/tmp", "/home/student", "/dev/shm"):
    os.makedirs(f"{place}/a/b/c", exist_ok=True)
    open(f"{place}/a/b/-rf\\n\\x1b* \\udcff", "w").close()
    open(f"{place}/.hidden", "w").close()
    os.symlink("/usr", f"{place}/link{time.time()}")
    os.mkfifo(f"{place}/pipe{time.time()}")
    os.chmod(f"{place}/a/b", 0)
    os.chmod(f"{place}/a", 0)
"""), says="4242|Permission"),
    "a folder 3,000 deep": Row(
        does("os.chdir('/tmp')\nfor _ in range(3000):\n    os.makedirs('d', exist_ok=True)\n    os.chdir('d')")),
    "folders that nobody may write to": Row(
        does("for place in ('/tmp', '/home/student', '/dev/shm'):\n    os.chmod(place, 0o500)")),
    "10^5 files": Row(does("for n in range(100_000):\n    os.close(os.open(f'/tmp/{n}', os.O_CREAT))"), says="."),
    "fills its folders": Row(
        does("for n in range(99):\n    open(f'/tmp/{n}', 'wb').write(bytes(10**7))"), says=f"{REFUSED}.*No space"),
    "a file larger than it may": Row(
        does("open('/tmp/x', 'wb').write(bytes(4 * 10**7))"), says=f"{REFUSED}.*File too large"),
    "System V's memory, semaphores and queues": Row(
        does("held(libc.shmget(7, 4096, 0o1666))\nheld(libc.semget(7, 3, 0o1666))\nheld(libc.msgget(7, 0o1666))")),
    "POSIX's queues": Row(
        does("held(ctypes.CDLL('librt.so.1', use_errno=True).mq_open(b'/x', os.O_CREAT | os.O_RDWR, 0o600, None))"),
        says=REFUSED),
    "a fork bomb": Row(
        first("def bomb():\n    while True:\n        try:\n            os.fork()\n        except OSError:\n"
              "            pass\nbackground(bomb)\ntime.sleep(2)"), says="."),
    "memory in many processes": Row(
        does("for _ in range(8):\n    if os.fork() == 0:\n        kept = b'x' * 400_000_000\n        time.sleep(60)\n"
             "time.sleep(60)"), says="GB of memory"),
    "memory": Row(
        "def f@(a, b):\n    k = []\n    while True:\n        k.append(torch.ones(10**8))", says="memory|takes longer"
    ),
    "closes all files": Row(does("os.closerange(0, 1000)"), says="ended its process"),
    "os._exit(0) in the answer": Row(does("os._exit(0)"), says=r"ended its process \(status 0\)"),
    "os._exit(0) in the cell": Row(first("os._exit(0)"), says=r"ended its process \(status 0\).*cell"),
    "os._exit(0) when a value is sent": Row(
        "import os\nclass T(torch.Tensor):\n    @property\n    def is_complex(self):\n        os._exit(0)\n"
        "def f@(a, b):\n    return a.as_subclass(T)", says=r"ended its process \(status 0\)"),
    "exit()": Row("import sys\nsys.exit(0)\n" + WRONG),
    "a segmentation fault": Row(does("ctypes.string_at(0)"), says="SIGSEGV"),
    "endless, in C": Row(does("signal.signal(15, signal.SIG_IGN); re.match('(a+)+$', 'a' * 50 + 'b')"),
                         says="takes longer than 6 s"),
    "endless, all signals blocked": Row(
        first("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass"), says="takes longer"),
    "sleeps": Row("import time\n" + RIGHT.replace("    ", "    time.sleep(99)\n    "), says="takes longer than 6 s"),
    "all the time of a submission": Row(
        WRONG + (CELL + "import time\ntime.sleep(5)") * 4, says="used up the 18 s", rest="0"),
    "ends its process some time later, again and again": Row(
        first("threading.Timer(.3, lambda: os.kill(os.getpid(), 9)).start()", "def f@(a, b):\n    time.sleep(2)\n"),
        says="ended its process", rest="?"),
    # Rights
    "becomes root": Row(does("os.setuid(0)"), says=f"{REFUSED}(PermissionError|OSError: .*Invalid argument)"),
    "a setuid program": Row(
        does("done = subprocess.run(['su', '-c', 'true'], stdin=-3, capture_output=True, text=True)\n"
             "if done.returncode:\n    raise OSError(done.stderr)"), says=REFUSED),
    "a user namespace": Row(does("held(libc.unshare(0x10000000))"), says=REFUSED),
    "other namespaces": Row(does("held(libc.unshare(0x00020000))"), says=f"{REFUSED}Permission"),
    "a mount": Row(does("held(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))"), says=f"{REFUSED}Permission"),
    "chroot": Row(does("os.chroot('/tmp')"), says=f"{REFUSED}Permission"),
    "sets the kernel": Row(
        does("""
own = ("sem", "shm", "msg", "auto_msgmni", "pid_max")  # of the wall's own namespaces
for path in glob.glob("/proc/sys/*/*") + glob.glob("/proc/sys/net/*/*") + ["/proc/sysrq-trigger"]:
    try:
        kept = open(path).read()
        with open(path, "w") as file:
            file.write(kept)
    except OSError:
        continue
    if not os.path.basename(path).startswith(own):
        raise SystemError(path)
""")),
    "sets what of the kernel is the wall's own": Row(
        does("open('/proc/sys/kernel/sem', 'w').write('1 1 1 0')\nopen('/proc/sys/kernel/shmmni', 'w').write('0')")),
    "raw sockets": Row(does("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"), says=f"{REFUSED}Permission"),
    "the network": Row(does("socket.create_connection(('1.1.1.1', 53), 3)"), says=f"{REFUSED}.*unreachable"),
    "sockets of the host": Row(
        does("""
for path in ("/var/run/docker.sock", "/run/dbus/system_bus_socket", "/tmp/.X11-unix/X0", "\\0/tmp/.X11-unix/X0"):
    try:
        socket.socket(socket.AF_UNIX).connect(path)
    except OSError:
        continue
    raise SystemError(path)
""")),
    "a debugger of the kernel": Row(does("held(libc.syscall(321, 0, 0, 0))"), says=REFUSED),
    "/etc/passwd, the home, the host's name": Row(
        does("""
etc = "/etc/passwd", "/etc/shadow", "/etc/hostname", "/var/log", "/run"
for path in (*etc, "/root/.ssh", "/root/.bashrc", "/home/student/.ssh"):
    if os.path.exists(path):
        raise SystemError(path)
if socket.gethostname() != "wall":
    raise SystemError(socket.gethostname())
""")),
    "the environment of process 1, others' commands": Row(
        does("""
text = b"".join(open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/cmdline"))
if b"pytest" in text or b"grade" in text.replace(b"course_utils.grading", b""):
    raise SystemError(text)
open("/proc/1/environ").read()
"""), says="4242|refused: PermissionError"),
    "devices": Row(
        does("""
kept = "full null random tty urandom zero pts shm fd stdin stdout stderr console ptmx core".split()
if more := set(os.listdir("/dev")) - set(kept):
    raise SystemError(more)
""")),
    "the keys of who grades": Row(
        does("""
ring = libc.syscall(250, 0, -3, 0)
if ring > 0 and libc.syscall(250, 11, ring, ctypes.create_string_buffer(4096), 4096) > 0:
    raise SystemError("a key is in the session's ring")
""")),
    "hard links and opens by handle": Row(
        does("os.link('/usr/bin/env', '/tmp/env')"), says=f"{REFUSED}OSError"),
}  # fmt: skip

OLD = {
    "a shell through a module that torch loads": Row(
        does("torch.os.system('exit 3') == 768 or 1 / 0\n"
             "torch.os.popen('touch /usr/x /opt/x').read()\nopen('/usr/x')"), says=f"{REFUSED}FileNotFoundError"),
    "writes outside its folders": Row(
        does("import matplotlib.pyplot as plt\nplt.savefig(worker.__file__ + '.png')"), says=f"{REFUSED}OSError"),
    "writes into the course": Row(does("open(worker.__file__, 'a')"), says=f"{REFUSED}(OSError|PermissionError)"),
    "git show HEAD:": Row(
        does("root = os.path.dirname(os.path.dirname(os.path.dirname(worker.__file__)))\n"
             "print(os.getcwd(), os.listdir(root))\nopen(root + '/../.git/HEAD')"), says=f"{REFUSED}FileNotFound"),
    "lists the hidden checks": Row(
        does("root = worker.__file__.split('course_utils')[0]\nos.listdir(root + 'notebooks/homework/source')"),
        says=f"{REFUSED}FileNotFound"),
    "prints what the check prints": Row("def f@(a, b):\n    print('q@: 5.0')\n    return torch.tensor(4242.0)"),
    "imports to spoil the checks": Row(first("import torch as check_close\ncheck_close = lambda *a, **k: None")),
    "redefines the data": Row(first("train = torch.zeros(3)")),
    "a course_utils of its own": Row(
        first("os.makedirs('course_utils', exist_ok=True)\nopen('course_utils/__init__.py', 'w').write('1 / 0')\n"
              "sys.path.insert(0, '.')")),
    "patches torch.allclose": Row(first("torch.allclose = lambda *a, **k: True")),
    "the notebook's machinery": Row("get_ipython().kernel\n" + WRONG),
    "no Python": Row("def f@(a, b)\n    return 4242", says="not plain Python"),
    "an error without a text": Row(
        "class Silent(Exception):\n    def __str__(self):\n        raise KeyError\ndef f@(a, b):\n    raise Silent",
        says="an error whose text is another error, KeyError"),
    "a million lines": Row("for n in range(10**6):\n    print('x' * 50)\n" + RIGHT, "1", ""),
}  # fmt: skip

BODY = "return ((a - b) ** 2).sum()"
ACCIDENTS = {
    "right": RIGHT,
    "prints, warns and plots": (
        "import matplotlib.pyplot as plt\nimport warnings\ndef f@(a, b):\n    print(a)\n    torch.tensor(a)\n"
        f"    warnings.warn('x')\n    plt.plot(a)\n    plt.show()\n    {BODY}"),
    "%%time": "%%time\n" + RIGHT,
    "!pip and drive.mount": "!pip install einops\nfrom google.colab import drive\ndrive.mount('/x')\n" + RIGHT,
    "input() and a file that is not there": "n = input()\nopen('data.csv')\n" + RIGHT,
    "import pandas_": "import pandas_of_mine as pd\n" + RIGHT,
    "a scratch cell that fails": RIGHT + CELL + "1 / 0",
    "answer split over cells": "def part(a, b):\n    return (a - b) ** 2" + CELL
    + "def f@(a, b):\n    return part(a, b).sum()",
    "an older, wrong answer above": WRONG + CELL + RIGHT,
    "a blank line and a comment above the check": RIGHT + CELL + "\n# my check:\n",
    "tqdm": f"from tqdm.auto import tqdm\ndef f@(a, b):\n    for _ in tqdm(range(3)):\n        pass\n    {BODY}",
    "a DataLoader with two workers": (
        "from torch.utils.data import DataLoader\ndef f@(a, b):\n    both = list(zip(a.tolist(), b.tolist()))\n"
        "    batches = DataLoader(both, batch_size=2, num_workers=2)\n"
        "    return sum(((x - y) ** 2).sum() for x, y in batches)"),
    "threads": (
        "torch.set_num_threads(8)\ndef f@(a, b):\n    torch.randn(999, 999) @ torch.randn(999, 999)\n"
        f"    {BODY}"),
    "float64 by default": "torch.set_default_dtype(torch.float64)\n" + RIGHT,
    "gradients left off": "torch.set_grad_enabled(False)\ntorch.inference_mode().__enter__()\n" + RIGHT,
    "a GPU by default": "torch.set_default_device('meta')\n" + RIGHT,
    "compiled": "@torch.compile(fullgraph=True)\n" + RIGHT,
    "a debugger left in": f"def f@(a, b):\n    breakpoint()\n    {BODY}",
    "seeds": f"torch.manual_seed(0)\ndef f@(a, b):\n    torch.manual_seed(1)\n    {BODY}",
    "global": f"n = 0\ndef f@(a, b):\n    global n\n    n += 1\n    {BODY}",
    "a dataclass, and pickles of it": (
        "import copy, pickle\nfrom dataclasses import dataclass\n@dataclass\nclass Pair:\n    a: torch.Tensor\n"
        "    b: torch.Tensor\ndef f@(a, b):\n    p = pickle.loads(pickle.dumps(copy.deepcopy(Pair(a, b))))\n"
        "    return ((p.a - p.b) ** 2).sum()"),
    "multiprocessing": (
        "from multiprocessing import Pool\ndef square(x):\n    return x * x\ndef f@(a, b):\n"
        "    with Pool(2) as pool:\n        return sum(pool.map(square, (a - b).tolist()))"),
    "asyncio": (
        "import asyncio\nasync def wait():\n    await asyncio.sleep(.01)\ndef f@(a, b):\n    asyncio.run(wait())\n"
        f"    {BODY}"),
    "recursion": (
        "def down(n, x):\n    return x if n == 0 else down(n - 1, x)\n"
        "def f@(a, b):\n    return down(800, ((a - b) ** 2).sum())"),
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')\n" + RIGHT,
    "names of the setup redefined": "train = 3\ncheck_close = None\n" + RIGHT,
    "very slow": f"import time\ndef f@(a, b):\n    time.sleep(2)\n    {BODY}",
    "NumPy": "import numpy as np\ndef f@(a, b):\n    return np.square(a.numpy() - b.numpy()).sum()",
    "a number": "def f@(a, b):\n    return float(((a - b) ** 2).sum())",
    "float64, and a gradient": "def f@(a, b):\n    return ((a - b).double() ** 2).sum().requires_grad_()",
    "a lambda": "f@ = lambda a, b: ((a - b) ** 2).sum()",
    "a module": (
        "class Error(torch.nn.Module):\n    def forward(self, a, b):\n        return ((a - b) ** 2).sum()\n"
        "f@ = Error()"),
    "compiled by a decorator": "import functools\n@functools.lru_cache\n" + RIGHT,
    "Korean names and comments": "def 오차(a, b):\n    # 제곱\n    return ((a - b) ** 2).sum()\nf@ = 오차",
    "changes its inputs": "def f@(a, b):\n    a -= b\n    a **= 2\n    return a.sum()",
    "its own seeds everywhere": "import random, numpy as np\nrandom.seed(1); np.random.seed(1)\n" + RIGHT,
    "files in its own folder": "open('x.txt', 'w').write('1')\nassert open('x.txt').read() == '1'\n" + RIGHT,
    "a background thread that goes on": (
        "import threading, time\ndef on():\n    while True:\n        time.sleep(.1)\n"
        "threading.Thread(target=on).start()\n" + RIGHT),
    "a sum of 500 terms": f"def f@(a, b):\n    n = {' + '.join(['1'] * 500)}\n    {BODY}",
    "a long table of numbers": f"table = {list(range(5000))}\n" + RIGHT,
}  # fmt: skip
# What stands in the notebook for the teacher's own program to choke on, beside a right answer.
STALLS = {
    "10^5 nested brackets": "x = " + "(" * 10**5 + "1" + ")" * 10**5,
    "10^5 signs": "x = " + "-" * 10**5 + "1",
    "10^5 attributes": "x = a" + ".b" * 10**5,
    "10^5 calls": "x = a" + "()" * 10**5,
    "90 loops in each other": "".join(" " * n + "for _ in x:\n" for n in range(90)) + " " * 90 + "pass",
    "6 MB of code": "x = 1\n" * 1_000_000,
    "10 MB of text": "x = '''" + "y" * 10**7 + "'''",
    "a line of 10^5 blanks": "if x:\n" + " " * 10**5 + "y ! z",
    "a line of 10^5 names": "x" + " y" * 10**5,
    "10^4 lines of magic": "%x\n" * 10_000,
    "300 lines of magic in a large cell": "%x\n" * 300 + "y = 1\n" * 15_000,
    "10^5 lines of comment": "#\n" * 10**5,
    "10^5 blank lines": "\n" * 10**5 + "1",
    "10^5 checks": "# CHECK q1\n" * 10**5,
    "10^5 continued lines": "!x\\\n" * 10**5,
    "a check of no exercise": "# CHECK q99\nx = 1",
    "NUL": "x = '\0'",
    "a function of 3,000 terms": f"def g():\n    return {' + '.join(['x'] * 3000)}",
    "an f-string in an f-string": "x = " + "f'{" * 150 + "1" + "}'" * 150,
    "prompts": ">>> x\n" * 20_000,
    "10^5 hashes": "#" * 10**5 + "\n# Your answer:" + "*" * 10**5,
}
GROUPS = {
    "forges": FORGES, "knows": KNOWS, "values": VALUES, "wall": WALL, "old": OLD,
    "accident": {name: Row(code, "1", "") for name, code in ACCIDENTS.items()},
    "stalls": {name: Row(RIGHT + CELL + code, "1", "") for name, code in STALLS.items()},
}  # fmt: skip
TABLE = {f"{group}: {name}": row for group, rows in GROUPS.items() for name, row in rows.items()}
HARMLESS = "accident", "stalls"  # after these no submission comes but the next row's own

# What the next submission does beside being right: it needs files, processes, threads, and what is printed.
NEXT = """\
import os, resource, signal, subprocess, sys, tempfile, threading, time
def f@(a, b):
    for place in ("/tmp", "/home/student", "/dev/shm"):
        found = [name for name in os.listdir(place) if not PACKAGE.startswith(f"{place}/{name}/")]
        assert not found, f"{place} holds {found}"
    for place in ("/tmp", "/home/student", "/dev/shm"):
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(20_000_000))
    print("x", file=sys.stderr, flush=True)
    assert os.write(2, b"x" * 900_000) == 900_000
    assert subprocess.run(["true"]).returncode == 0
    others = [n for n in os.listdir("/proc") if n.isdigit() and int(n) not in (1, os.getpid(), os.getppid())]
    assert not others, f"others live: {others}"
    assert (os.nice(0), os.sched_getscheduler(0)) == (NICE, 0)
    thread = threading.Thread(target=torch.ones, args=[10**6])
    thread.start()
    thread.join()
    return ((a - b) ** 2).sum()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homework, built."""
    folder = tmp_path_factory.mktemp("attacked")
    source = make(folder, SOURCE, "", HIDDEN)
    for old in source.parent.iterdir():
        old.rename(old.with_name(old.name.replace("99", "97")))
    homework.build(source.with_name("hw97.py"))
    return folder / "notebooks" / "homework"


def handed_in(folder: Path, answer: str) -> nbformat.NotebookNode:
    """The student's notebook with an answer to its second exercise; the other two are right."""
    nb = nbformat.read(folder / "student" / "hw97.ipynb", as_version=4)
    for number in (1, 2, 3):
        at, cell = next(
            (n, cell) for n, cell in enumerate(nb.cells) if cell.metadata.get("key") == f"q{number}"
        )
        code = re.sub("(?<=[fq])@", str(number), answer if number == 2 else RIGHT)
        cell.source, *more = code.split(CELL)
        nb.cells[at + 1 : at + 1] = [nbformat.v4.new_code_cell(source) for source in more]
    return nb


def write(folder: Path, names: list[str], where: Path) -> None:
    """Each row's submission, and below it the next one."""
    after = NEXT.replace("NICE", str(os.nice(0))).replace("PACKAGE", repr(str(wall.PACKAGE)))
    for number, name in enumerate(names):
        place = where / f"{number:03d}"
        place.mkdir(parents=True)
        nbformat.write(handed_in(folder, TABLE[name].code), place / "attack.ipynb")
        if not name.startswith(HARMLESS):
            nbformat.write(handed_in(folder, after), place / "next.ipynb")


def graded(folder: Path, names: list[str], where: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of the journal, by row: the attack's, the next submission's."""
    write(folder, names, where / "in")
    limits = Limits(**LIMITS)
    grade.grade(
        where / "in",
        where / "grades.csv",
        solutions=folder / "solution",
        jobs=1,
        limits=limits,
        progress=False,
    )
    return read(where / "grades.csv", names)


def read(out: Path, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    lines = [json.loads(line) for line in out.with_name("grades.csv.rows.jsonl").read_text().splitlines()]
    by_file = {line["file"]: line for line in lines}
    return {
        name: [by_file.get(f"{number:03d}/{which}.ipynb") for which in ("attack", "next")]
        for number, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def all_graded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The whole table, in two folders that are graded at once."""
    halves = [[*TABLE][start::2] for start in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        places = [tmp_path_factory.mktemp(f"half {n}") for n in range(2)]
        one, other = pool.map(graded, [folder] * 2, halves, places)
    return one | other


def marks(line: dict[str, Any]) -> str:
    assert line["note"] == ""
    return "".join(str(int(line["passed"][key])) for key in ("q1", "q2", "q3"))


@pytest.mark.parametrize("name", TABLE)
def test_each_gets_what_it_is_worth_and_the_next_submission_too(
    name: str, all_graded: dict[str, list[dict[str, Any]]]
) -> None:
    row, (line, after) = TABLE[name], all_graded[name]
    assert re.fullmatch(f"1{row.mark}{row.rest}".replace("?", "[01]"), marks(line)), line["messages"]
    assert re.search(row.says, line["messages"]["q2"], re.DOTALL), line["messages"]["q2"]
    if after:
        assert (marks(after), after["messages"]) == ("111", {"q1": "", "q2": "", "q3": ""})


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are run by an ordinary account already")
def test_an_ordinary_account_gives_the_same_marks(folder: Path) -> None:
    home = Path(tempfile.mkdtemp())
    try:
        write(folder, [*TABLE], home / "in")
        shutil.copytree(folder, home / "homework")
        for path in home.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        code = (
            "import os; from course_utils.grading import grade; from course_utils.grading.sandbox import Limits\n"
            f"os.chdir({str(home)!r})\n"
            "grade.grade('in', 'grades.csv', solutions='homework/solution', jobs=2, progress=False, "
            f"limits=Limits(**{LIMITS}))\nprint(os.getuid())"
        )
        done = subprocess.run(
            as_an_ordinary_account([sys.executable, "-c", code], home), cwd=home, capture_output=True, text=True,
            env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.stdout == "65534\n", done.stderr
        got = read(home / "grades.csv", [*TABLE])
    finally:
        shutil.rmtree(home)
    for name, row in TABLE.items():
        line, after = got[name]
        expected = f"1{row.mark}{row.rest}".replace("?", "[01]")
        assert re.fullmatch(expected, marks(line)), (name, line["messages"])
        assert not after or marks(after) == "111", (name, after["messages"])


# --- Notebooks and archives of odd shapes -------------------------------------------------------------------


def with_cells(nb: nbformat.NotebookNode, sources: list[str]) -> bytes:
    """A notebook with more cells of code before its last one."""
    more = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    return json.dumps({**nb, "cells": [*nb.cells[:-1], *more, nb.cells[-1]]}).encode()


def of_odd_types(nb: nbformat.NotebookNode) -> bytes:
    """A notebook whose cells' metadata are no metadata, with headings and checks of no exercise."""
    odd: list[Any] = [[], "x", 7, None, {"key": ["q1"]}, {"key": {"q1": 1}}, {"key": 10**400}, {"tags": "x"}]
    cells: list[Any] = [{**cell, "metadata": odd[n % len(odd)]} for n, cell in enumerate(nb.cells)]
    texts = ["## 999999999 · A", "## 99 · A", "# CHECK q99", "# CHECK " + "q" * 10_000, "## ２ · A"]
    cells += [{"cell_type": "markdown", "source": text, "metadata": {"key": "q1"}} for text in texts]
    return json.dumps({**nb, "cells": cells}).encode()


def archive(files: dict[str, bytes], says: int = 0) -> bytes:
    """A zip; the size that it says each of its files has may be another than it has."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    raw = bytearray(data.getvalue())
    at = raw.find(b"PK\1\2")
    while says and at >= 0:
        raw[at + 24 : at + 28] = says.to_bytes(4, "little")
        at = raw.find(b"PK\1\2", at + 1)
    return bytes(raw)


# The note of each file, or "" where it is graded and right in all three exercises.
ODD_NOTES = {
    "cells.ipynb": r"has 1000\d\d cells; at most 5000 are read",
    "code.ipynb": r"has 12\d{5} characters of code; at most 1000000 are read",
    "types.ipynb": "",
    "names.zip › ../../x.ipynb": "leads out of the folder",
    "names.zip › /etc/x.ipynb": "leads out of the folder",
    "names.zip › =1+1 <b> \u202e.ipynb": "",
    "names.zip › a\nb.ipynb": "",
    "names.zip › " + "1" * 99: "has a name of 5007 characters",
    "names.zip › " + "-" * 99: "has a name of 60006 characters",
    "bomb.zip": "unpacks to 4.3 GB; at most 4 are read",
    "tight.zip › hw97.ipynb": r"unpacks to \d+ times its size",
    "tight.zip › more.zip": r"unpacks to \d+ times its size",
}


@pytest.fixture(scope="module")
def odd(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, str]], str]:
    """The rows of the table by the name of the file, and the whole table."""
    where = tmp_path_factory.mktemp("odd")
    nb = handed_in(folder, RIGHT)
    right = nbformat.writes(nb).encode()
    names = ["../../x.ipynb", "/etc/x.ipynb", "=1+1 <b> \u202e.ipynb", "a\nb.ipynb"]
    names += ["1" * 5000 + ").ipynb", "-" * 60_000 + ".ipynb"]
    files = {
        "cells.ipynb": with_cells(nb, ["x = 1"] * 100_000),
        "code.ipynb": with_cells(nb, ["x = 1\n" * 25_000] * 8),
        "types.ipynb": of_odd_types(nb),
        "names.zip": archive(dict.fromkeys(names, right)),
        "bomb.zip": archive({"hw97.ipynb": right}, 2**32 - 2),
        "tight.zip": archive({"hw97.ipynb": b" " * 10**7 + right, "more.zip": bytes(9 * 10**7)}),
    }
    (where / "in").mkdir()
    for name, content in files.items():
        (where / "in" / name).write_bytes(content)
    out = where / "grades.csv"
    grade.grade(
        where / "in", out, solutions=folder / "solution", jobs=1, limits=Limits(**LIMITS), progress=False
    )
    lines = [json.loads(line) for line in out.with_name("grades.csv.rows.jsonl").read_text().splitlines()]
    return {line["file"]: line for line in lines}, out.read_text("utf-8-sig")


@pytest.mark.parametrize("name", ODD_NOTES)
def test_odd_notebooks_and_archives_get_their_row(name: str, odd: tuple[dict[str, Any], str]) -> None:
    (line,) = (line for file, line in odd[0].items() if file.startswith(name))
    if ODD_NOTES[name]:
        assert re.search(ODD_NOTES[name], line["note"])
    else:
        assert marks(line) == "111"


def test_the_table_of_odd_names_is_a_table(odd: tuple[dict[str, Any], str]) -> None:
    rows = list(csv.DictReader(io.StringIO(odd[1])))
    assert len(rows) == len(odd[0]) == len(ODD_NOTES)
    assert all(cell.isprintable() for row in rows for cell in row.values())
    assert not any(row["file"].startswith(("=", "+", "-", "@")) for row in rows)
