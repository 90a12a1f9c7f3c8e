"""The wall: a command behind it finds what a homework needs, and nothing else of this machine.

Bubblewrap builds it, from nothing: an empty root, onto which the system's programs and libraries, the running Python
with its packages, the course's package and its weights are bound, to be read only. What is not named here is not
there: no home, no checkout, no submissions, no environment, no network, no other process.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from course_utils.authoring.homework import HomeworkError

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
HOME = "/home/student"  # where a command works, an empty folder
WRITABLE = {"/tmp": 64_000_000, HOME: 64_000_000, "/dev/shm": 64_000_000}  # in memory, bytes
ACCOUNT = 65534  # whose rights root's commands get
OLDEST = (0, 8)

# What the dynamic loader, fonts and local time need; no account, no key, no name of another machine.
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/fonts",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/sys/devices/system/cpu",
)  # fmt: skip

OWN = """
--unshare-user --disable-userns --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup
--uid 1000 --gid 1000 --hostname wall --cap-drop ALL --new-session --die-with-parent --proc /proc --dev /dev
--as-pid-1
"""  # no process of bubblewrap's own is there, which a submission could take over
# Process numbers of its own: when root's first process in it ends, so do all the others; a signal of root's without
# capabilities would not reach them.
STAGE = """
--unshare-pid --die-with-parent --dir /tmp --bind /proc /proc --dev-bind /dev /dev --remount-ro /
--cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID
"""
HOW = (
    "Submissions are run behind a wall that bubblewrap builds, on Linux: `apt install bubblewrap` (from Debian "
    "12 and Ubuntu 24.04 on), `dnf install bubblewrap` (Fedora), `pacman -S bubblewrap` (Arch). On macOS and "
    "Windows grade in the container (docker/Dockerfile) or in WSL. See notebooks/homework/README.md."
)


class WallError(HomeworkError):
    """There is no wall on this machine, or it would not hold; the message says what to do."""


def bubblewrap() -> str:
    """The path of bubblewrap's program.

    Raises:
        WallError: it is missing, or too old to build the wall.
    """
    path = shutil.which("bwrap") if sys.platform == "linux" else None
    if path is None:
        raise WallError(f"bubblewrap is not installed. {HOW}")
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WallError(f"{path} does not run: {error}. {HOW}") from None
    version = re.search(r"(\d+)\.(\d+)", done.stdout)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise WallError(f"{path} is {done.stdout.strip() or 'of no version'}; {oldest} is needed. {HOW}")
    return path


def behind(command: Sequence[str], environment: dict[str, str]) -> list[str]:
    """The command line that runs a command behind the wall; to be started with an empty environment of its own.

    It starts in `HOME`, with file descriptors 0, 1, 2 and those that are passed on. As root it first becomes an
    account without rights: the limit on processes does not hold for root, and root's own files do not refuse it.

    Args:
        command: the program and its arguments; the program must be visible there, as `sys.executable` is.
        environment: all the variables that it gets.

    Raises:
        WallError: see `bubblewrap`.
    """
    bwrap, seen = bubblewrap(), _seen()
    wall = [bwrap, *OWN.split()]
    for folder, size in WRITABLE.items():
        wall += ["--size", str(size), "--tmpfs", folder]
    wall += [*seen, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME, "--clearenv"]
    for name, value in environment.items():
        wall += ["--setenv", name, value]
    wall += ["--", *command]
    if os.geteuid() != 0:
        return wall
    # A folder that root alone may enter would stop the account: root lays the same things out for it first.
    become = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", "--inh-caps=-all"]
    return [bwrap, *seen, *STAGE.split(), "--", *become, "--", *wall]


def environment() -> dict[str, str]:
    """The variables that a Python behind the wall needs to be this one."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(ROOT), *(path for path in given if Path(path) in _sites())]
    found = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": HOME,
        "USER": "student", "LOGNAME": "student", "TMPDIR": "/tmp", "PYTHONPATH": os.pathsep.join(paths),
    }  # fmt: skip
    return found | ({"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {})


def require_unseen(paths: Iterable[Path]) -> None:
    """Raise WallError if one of these can be seen behind the wall: a folder of submissions in /usr, say."""
    needed = [place.resolve() for place in _needed()]
    for path in paths:
        own = path.resolve()
        for place in needed:
            if own.is_relative_to(place):
                raise WallError(f"{path} lies in {place}, which submissions can read: put it elsewhere")


def compile_package() -> None:
    """Write the package's bytecode beside it, once: behind the wall nothing can, and each submission would compile."""
    compileall.compile_dir(PACKAGE, quiet=2)


def _needed() -> list[Path]:
    """What is there behind the wall, each by the name that a program calls it by and by its own; none in another."""
    own, base = Path(sys.prefix), Path(sys.base_prefix)
    paths = [Path(path) for path in SYSTEM]
    paths += [base / "bin", base / "lib", base / "lib64", own / "bin", own / "pyvenv.cfg", *_sites()]
    paths += [Path(sysconfig.get_path("stdlib")), PACKAGE, ROOT / "data" / "models"]
    found = dict.fromkeys(name for path in paths if path.exists() for name in (path, path.resolve()))
    return sorted(p for p in found if not any(p.is_relative_to(other) for other in found if other != p))


def _sites() -> list[Path]:
    """The folders of installed packages that this Python imports from."""
    named = [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    return [*named, *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))]


def _seen() -> list[str]:
    """Bubblewrap's words for what is needed: links of the system as links, folders on the way open to all."""
    words: list[str] = []
    for path in _needed():
        for folder in reversed(path.parents[:-1]):
            words += ["--dir", str(folder)]
        if path.is_symlink() and str(path) in SYSTEM:
            words += ["--symlink", os.readlink(path), str(path)]
        else:
            words += ["--ro-bind", str(path), str(path)]
    return words
