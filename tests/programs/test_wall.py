"""The wall: what each attempt of `course homework doctor` does behind it and outside of it, and what is seen there."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from course_utils.grading import cli, doctor, sandbox, wall
from course_utils.grading.sandbox import Limits, run_limited
from course_utils.grading.wall import WallError

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap builds the wall on Linux"),
]


def behind(program: str, *arguments: str, limits: Limits = doctor.LIMITS) -> Any:
    """What a program that assigns `result` has found behind the wall."""
    text = f"import json, os, sys\n{program}\nopen(int(sys.argv[-1]), 'w').write(json.dumps(result))"
    ended = run_limited([sys.executable, "-c", text, *arguments], limits)
    assert ended.report, ended
    return json.loads(ended.report)


# --- What a submission must not be able to do ---------------------------------------------------------------


@pytest.fixture(scope="module")
def tried() -> dict[str, doctor.Tried]:
    return dict(doctor.try_the_wall())


@pytest.mark.parametrize("what", doctor.ATTEMPTS)
def test_the_wall_holds(what: str, tried: dict[str, doctor.Tried]) -> None:
    assert tried[what].held, tried[what].said
    assert tried[what].said.startswith("refused: ")


@pytest.mark.parametrize("what", doctor.ATTEMPTS)
def test_the_same_program_gets_through_where_there_is_no_wall(what: str) -> None:
    with doctor.bait() as it:
        said, left = outside(what, it)
    assert (said == "got through") != bool(left), (said, left)


def outside(what: str, it: dict[str, Any]) -> tuple[str, str]:
    """What an attempt says as a program like any other, and what it leaves."""
    read, write = os.pipe()
    subprocess.run([*doctor.command(what, it), str(write)], pass_fds=[write], check=True, timeout=60)
    os.close(write)
    with os.fdopen(read) as report:
        return report.read(), doctor.clear(it)


def test_doctor_prints_a_table_and_its_status_says_whether_something_got_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = ("reads a solution", "leaves a process behind")
    monkeypatch.setattr(doctor, "ATTEMPTS", {what: doctor.ATTEMPTS[what] for what in kept})
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert done.exit_code == 0, done.output
    first, second, last = done.output.splitlines()
    assert re.fullmatch(r"  ok  reads a solution +refused: FileNotFoundError: .*hw\d\d.ipynb'", first)
    assert re.fullmatch(r"  ok  leaves a process behind +refused: what it started ended with it", second)
    assert last == "the wall held against all 2"
    monkeypatch.setitem(doctor.ATTEMPTS, "computes", "6 * 7")
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert done.exit_code == 1
    assert re.fullmatch(r"  --  computes +got through", done.output.splitlines()[2])
    assert done.output.splitlines()[-1] == "1 of 3 got through"
    monkeypatch.setitem(doctor.ATTEMPTS, "computes", "6 *")  # what does not run was not refused
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert done.exit_code == 2
    assert done.output.startswith("error: the sandbox did not start: SyntaxError")


# --- What is seen there -------------------------------------------------------------------------------------


def test_nothing_of_the_environment_is_seen_not_even_in_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TOKEN", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "HTTPS_PROXY", "COURSE_DATA"):
        monkeypatch.setenv(name, "/secret")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/secret", os.environ.get("PYTHONPATH", "")]))
    program = """
result = [dict(os.environ), "".join(open(f"/proc/{n}/environ").read() for n in os.listdir("/proc") if n.isdigit())]
"""
    own, all_of_them = behind(program)
    assert set(own) <= {
        "PATH", "LANG", "HOME", "USER", "LOGNAME", "TMPDIR", "PYTHONPATH", "PYTHONUSERBASE", "PWD", *sandbox.THREADS
    }  # fmt: skip
    assert own["HOME"] == own["PWD"] == wall.HOME
    assert "secret" not in all_of_them
    assert "HOME=" in all_of_them


def test_it_has_processes_network_and_all_else_of_its_own() -> None:
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    program = f"""
import socket
links = {{kind: os.readlink(f"/proc/self/ns/{{kind}}") for kind in {kinds}}}
numbers = [n for n in os.listdir("/proc") if n.isdigit()]
result = links, numbers, [name for _, name in socket.if_nameindex()], socket.gethostname(), os.getuid()
"""
    links, numbers, interfaces, host, account = behind(program)
    assert [kind for kind in kinds if links[kind] == os.readlink(f"/proc/self/ns/{kind}")] == []
    assert (numbers, interfaces, host, account) == (["1"], ["lo"], "wall", 1000)


def test_only_its_own_small_folders_in_memory_can_be_written_to() -> None:
    program = """
result = {}
for line in open("/proc/self/mounts"):
    _, place, kind, options, *_ = line.split()
    if "rw" in options.split(","):
        result[place] = kind
"""
    devices = ("full", "null", "random", "tty", "urandom", "zero", "pts", "console")
    writable = {place: kind for place, kind in behind(program).items() if place != "/proc"}
    assert {p for p in writable if p not in {f"/dev/{name}" for name in devices}} == set(wall.WRITABLE)
    assert {writable[place] for place in wall.WRITABLE} == {"tmpfs"}
    seen = behind("result = os.listdir('/etc') + os.listdir('/dev')")
    assert not {"passwd", "shadow", "hostname", "machine-id", "ssh", "resolv.conf", "kmsg", "sda", "vda"} & {
        *seen
    }


# Where a mark stands in a name, but for the thousands of the system and the libraries; the course must be there.
LOOKS_FOR = """
import course_utils.checks
from course_utils.grading import wall

mark, *places = sys.argv[1:-1]
kept = ("/usr", "/proc", "/sys", *map(str, wall._sites()), os.path.dirname(os.__file__))
result = []
for place in places:
    for folder, folders, files in os.walk(place):
        folders[:] = [f for f in folders if os.path.join(folder, f) not in kept]
        result += [os.path.join(folder, name) for name in folders + files if mark in name]
"""
# Starts `LOOKS_FOR` behind the wall as the course of this checkout and this Python would start a submission.
STARTS = """
import sys
from course_utils.grading.sandbox import Limits, run_limited

ended = run_limited([sys.executable, "-c", *sys.argv[1:]], Limits())
sys.exit(ended.report or ended.errors or ended.stopped)
"""
MARK = "not-for-students"


@pytest.mark.parametrize("layout", ["in the home", "by a link", "installed"])
def test_no_secret_is_seen_wherever_it_lies(layout: str, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    course, environment = home / "course", home / "course" / ".venv"
    venv.create(environment, symlinks=True)
    (sites,) = environment.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (sites / "others.pth").write_text("\n".join(others))
    package = (sites if layout == "installed" else course) / "course_utils"
    shutil.copytree(ROOT / "course_utils", package, ignore=shutil.ignore_patterns("__pycache__"))
    secrets = [
        home, home / ".ssh", course, course / ".git", course / "data", course / "notebooks" / "homework" / "solution",
        course / "hidden", course / "submissions", course / "submissions" / "kim", environment, sites.parent,
        sites.parent / "submissions", temporary, temporary / "grades",
    ]  # fmt: skip
    for folder in secrets:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{MARK}.ipynb").write_text("the answer")
    if layout == "by a link":
        (tmp_path / "link").symlink_to(course)
        course, environment = tmp_path / "link", tmp_path / "link" / ".venv"
    python = environment / "bin" / "python"
    text = f"import json, os, sys\n{LOOKS_FOR}\nopen(int(sys.argv[-1]), 'w').write(json.dumps(result))"
    done = subprocess.run(
        [python, "-c", STARTS, text, MARK, "/"], cwd=course, capture_output=True, text=True,
        env=os.environ | {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(package.parent)},
    )  # fmt: skip
    assert done.stderr == "[]\n"
    scope: dict[str, Any] = {}
    argv = ["", MARK, str(tmp_path), ""]
    exec(f"import os, types\nsys = types.SimpleNamespace(argv={argv})\n{LOOKS_FOR}", scope)
    assert len(scope["result"]) == len(secrets)  # it finds them where it can


def test_what_lies_where_submissions_look_is_not_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall.require_unseen([tmp_path, ROOT / "notebooks", ROOT / ".git", Path.home(), ROOT])
    for path in (Path("/usr/share/submissions"), wall.PACKAGE / "hw01.ipynb", Path("/bin/x")):
        with pytest.raises(WallError, match=r"lies in .*, which submissions can read: put it elsewhere"):
            wall.require_unseen([path])
    monkeypatch.setattr(wall, "PACKAGE", tmp_path)
    (tmp_path / "kim_hw01.ipynb").write_text("{}")
    done = CliRunner().invoke(cli.app, ["grade", str(tmp_path), "--out", str(tmp_path / "grades.csv")])
    assert done.exit_code == 2
    assert "which submissions can read" in done.output


def test_what_runs_ends_when_the_grader_is_killed(tmp_path: Path) -> None:
    mark = f"{23456.0 + os.getpid()}"
    sleep = "import sys, time; time.sleep(float(sys.argv[1]))"
    code = f"import sys; from course_utils.grading.sandbox import Limits, run_limited; sleep = {sleep!r}\n"
    code += "run_limited([sys.executable, '-c', sleep, sys.argv[1]], Limits())"

    def running() -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [p for p in found if p.pid != grader.pid and mark in (p.info["cmdline"] or [])]

    def wait(until: Callable[[], bool]) -> bool:
        end = time.monotonic() + 10
        while not until() and time.monotonic() < end:
            time.sleep(0.05)
        return until()

    grader = subprocess.Popen([sys.executable, "-c", code, mark], env=os.environ | {"TMPDIR": str(tmp_path)})
    assert wait(lambda: any(p.info["cmdline"][2:4] == [sleep, mark] for p in running()))
    grader.kill()
    grader.wait()
    assert wait(lambda: not running())


# --- Who may, and what happens where it cannot --------------------------------------------------------------


def as_an_ordinary_account(command: list[str], home: Path) -> list[str]:
    """The command as nobody, to whom root's folders on the way to the running Python are opened."""
    base = Path(sys.base_prefix).resolve()
    closed = next((p for p in (*reversed(base.parents), base) if not p.stat().st_mode & 0o001), None)
    words = [wall.bubblewrap(), "--dev-bind", "/", "/"]
    if closed is not None:
        words += ["--tmpfs", str(closed)]
        for folder in [p for p in reversed(base.parents) if p.is_relative_to(closed)]:
            words += ["--chmod", "0755", str(folder)] if folder == closed else ["--dir", str(folder)]
        words += ["--ro-bind", str(base), str(base)]
    shutil.chown(home, 65534, 65534)
    words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"]
    return [
        *words,
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
        *command,
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are run by an ordinary account already")
def test_it_holds_for_an_ordinary_account_too() -> None:
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        code = "import os; print(os.getuid()); from course_utils.grading.cli import app; app(['doctor'])"
        done = subprocess.run(
            as_an_ordinary_account([sys.executable, "-c", code], home), cwd=home, capture_output=True, text=True,
            env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        shutil.rmtree(home)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("65534", f"the wall held against all {len(doctor.ATTEMPTS)}")
    assert all(line.startswith("  ok  ") and "refused: " in line for line in lines[1:-1])


@pytest.fixture
def submissions(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "submissions"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / "homework" / "student" / "hw01.ipynb", folder)
    yield folder
    assert [path.name for path in tmp_path.rglob("*") if path.suffix in (".csv", ".html", ".jsonl")] == []


def test_without_bubblewrap_nothing_is_graded_and_one_line_says_how_to_get_it(
    submissions: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "course_utils", "homework", "grade", str(submissions), "--out"]
    (tmp_path / "bin").mkdir()
    done = subprocess.run(
        [*command, str(tmp_path / "grades.csv")], capture_output=True, text=True,
        env=os.environ | {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: bubblewrap is not installed. ")
    for word in ("apt install bubblewrap", "Fedora", "Arch", "macOS", "Windows", "WSL", "docker/Dockerfile"):
        assert word in done.stderr


@pytest.mark.parametrize(
    ("says", "expected"),
    [("bubblewrap 0.6.1", "is bubblewrap 0.6.1; 0.8 is needed"), ("", "is of no version; 0.8 is needed")],
)
def test_an_old_bubblewrap_is_refused(
    says: str, expected: str, submissions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bwrap"
    old.write_text(f"#!/bin/sh\necho {says}\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    done = CliRunner().invoke(cli.app, ["grade", str(submissions), "--out", str(tmp_path / "grades.csv")])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert f"error: {old} {expected}" in done.output


def test_where_bubblewrap_fails_its_own_words_come_out() -> None:
    """Behind the wall there are no more user namespaces to be had: so a wall behind the wall fails as on a machine
    that allows none."""
    code = "from course_utils.grading.cli import app; app(['doctor'])"
    ended = run_limited([sys.executable, "-c", code], Limits())
    assert ended.status == 2
    (line,) = ended.errors.splitlines()
    assert re.match(r"error: the sandbox did not start: bwrap: .*namespace", line)
    assert "No space left on device" in line or "ENOSPC" in line or "not permitted" in line
