"""Every command that a text of the course shows is run, in a fresh copy of the checkout, and its result looked at.

The texts are read for commands: whole lines of fenced blocks, words in backticks that begin like a command, and in
notebooks' code cells the lines with `%pip` and `!`. TABLE says how each is run; a command that is not in it, and a row
of it that no text shows, turn the first test red. Each row says with what small case a long command is run.
"""

import csv
import functools
import importlib.util
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from course_utils.features import scene_accuracy
from course_utils.pretrained import load_pretrained

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "notebooks" / "homework" / "README.md"]
NOTEBOOKS = sorted(
    [*(ROOT / "notebooks").glob("[0-9]*.ipynb"), *(ROOT / "notebooks/homework/student").glob("hw*.ipynb")]
)

BEGINS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:(?:course|make|pytest|pip|conda|jupyter|python)( |$)|\.venv[/\\])")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def shown_in_markdown(text: str) -> set[str]:
    """The commands of a text, without the comments behind them."""
    found = set()
    for language, block in FENCE.findall(text):
        if language in ("", "sh", "bash", "console", "powershell"):
            lines = (re.sub(r"(^|\s+)#.*", "", line) for line in block.splitlines())
            found |= {line.strip() for line in lines if line.strip()}
    for code in re.findall(r"`([^`]+)`", FENCE.sub("", text)):
        words = " ".join(code.split()).removeprefix("!")
        if BEGINS.match(words):
            found.add(words)
    return found


def shown_in_notebook(path: Path) -> set[str]:
    found = set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            found |= shown_in_markdown(cell.source)
        else:
            lines = (line.strip() for line in cell.source.splitlines())
            found |= {line for line in lines if line.startswith(("%pip", "!"))}
    return found


@functools.cache
def shown() -> dict[str, str]:
    """Each command, and a text that shows it."""
    found: dict[str, str] = {}
    for path in TEXTS:
        found |= dict.fromkeys(shown_in_markdown(path.read_text(encoding="utf-8")), path.name)
    for path in NOTEBOOKS:
        found |= dict.fromkeys(shown_in_notebook(path), path.name)
    return found


# --------------------------------------------------------------------------------------------- how they are run


class Said(NamedTuple):
    """What a command has left: the checkout that it ran in, and what it printed."""

    here: Path
    out: str


class Row(NamedTuple):
    """How a command is run and what of it is looked at.

    instead: the command that is run in its place, and why stands beside it in TABLE; "" runs it as it is written.
    status: the exit status it must have.
    after: another command of the table that makes what this one needs.
    before: makes what this one needs.
    """

    look: Callable[[Said], object]
    instead: str = ""
    status: int = 0
    after: str = ""
    before: Callable[[Path], object] = lambda here: None


class Parts(NamedTuple):
    """A command that no test can run (it installs, or starts what does not end): what it consists of is looked at."""

    look: Callable[[Path, str], object]


# A homework as small as one can be, in place of those that the course has.
SMALL = "hw99"
SOURCE = """\
# %% [markdown]
# # Homework 99
# [Open in Colab](old)

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing")
    # %pip install -q "course-utils @ git+old"

# %% [markdown]
# ## q1 · Twice

# %% key="q1" tags=["exercise"]
def twice(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% key="check-q1" tags=["check"]
# CHECK q1
assert twice(3) == 6, f"twice(3) is {twice(3)}, not 6"
print("q1:", twice(3))
"""
WRONG = """\
# %% [markdown]
# # Wrong answers to homework 99

# %%
# WRONG q1: adds
def twice(x):
    return 2 + x


# %%
# WRONG q1: squares
def twice(x):
    return x**2


# %%
# WRONG q1: prints it
def twice(x):
    print(2 * x)
"""
HIDDEN = """\
import torch


def q1(answer, draw):
    return {"twice a drawn number": answer.twice(float(torch.rand((), generator=draw)))}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh clone holds, with the changes that are not committed yet, and this environment as its .venv."""
    folder = tmp_path_factory.mktemp("clone") / "course"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    for name, content in ((".py", SOURCE), ("_wrong.py", WRONG), ("_hidden.py", HIDDEN)):
        path = folder / "notebooks" / "homework" / "source" / f"{SMALL}{name}"
        path.write_text(content, encoding="utf-8")
    return folder


def environment(here: Path) -> dict[str, str]:
    """That of JupyterLab's terminal: the command on the PATH. No proxy leads to a network, one thread computes.

    What `make test` sets for the make that it calls is not in it: that one would print the folders it enters.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "PYTEST_", "MAKE", "MFLAGS"))}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | proxies | threads | {
        "PATH": f"{here / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(here),
    }  # fmt: skip


def run(here: Path, words: str, status: int = 0) -> Said:
    done = subprocess.run(words, shell=True, cwd=here, env=environment(here), capture_output=True, text=True)
    assert done.returncode == status, (words, done.stdout[-2000:], done.stderr[-2000:])
    assert "WARNING" not in done.stderr, done.stderr[-2000:]
    return Said(here, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def said(here: Path) -> Callable[[str], Said]:
    """A command of the table, run once."""

    @functools.cache
    def once(command: str) -> Said:
        row = TABLE[command]
        assert isinstance(row, Row)
        if row.after:
            once(row.after)
        row.before(here)
        return run(here, row.instead or command, row.status)

    return once


# ------------------------------------------------------------------------------------------- what is looked at


def holds(name: str, shape: tuple[int, ...], labels: list[int] | None = None) -> Callable[[Said], None]:
    """An .npz file of such images, of more than one kind, and with such labels."""

    def look(said: Said) -> None:
        arrays = np.load(said.here / name)
        assert arrays["images"].shape == shape
        assert arrays["images"].dtype == np.uint8
        assert arrays["images"].std(axis=0).max() > 10, "all the same"
        assert (arrays["labels"].tolist() if "labels" in arrays else None) == labels

    return look


def as_asked(said: Said) -> None:
    holds("scenes.npz", (16, 64, 64, 3))(said)
    from course_utils.data import to_float

    prompt = "a striped red star left of a small blue circle on yellow"
    right = scene_accuracy(to_float(np.load(said.here / "scenes.npz")["images"]), [prompt] * 16)
    assert right["all"].double().mean() > 0.5


def scored(said: Said) -> None:
    """FID beside that of as many real digits, and four of five read as what they were asked to be."""
    fid, real = map(float, re.search(r"^FID: (\S+)  \(real: (\S+)\)", said.out, re.M).groups())
    assert 0 < real < fid < 100
    assert "what 1000 real images of digits train reach, of the same classes\n" in said.out
    assert float(re.search(r"asked for: (\S+)%", said.out)[1]) > 80


def trained(said: Said) -> None:
    assert load_pretrained(said.here / "runs" / "autoencoder-mnist", "cpu").sample(2).shape == (2, 1, 28, 28)
    assert not list((said.here / "runs").glob("*.checkpoint*"))


def plays_anew(said: Said) -> None:
    assert load_pretrained(said.here / "runs" / "gan-digits", "cpu").sample(2).shape == (2, 1, 28, 28)
    assert "digit FID to digits test" in said.out


def picture(said: Said) -> None:
    """The file that the front page shows: the same size as the one that is there, and not larger than a page bears."""
    shown_at = re.search(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))[1]
    drawn, kept = said.here / shown_at, ROOT / shown_at
    with Image.open(drawn) as one, Image.open(kept) as other:
        assert one.size == other.size
    assert drawn.stat().st_size < 150_000
    assert kept.stat().st_size < 150_000


def text(*parts: str) -> Callable[[Said], None]:
    def look(said: Said) -> None:
        for part in parts:
            assert part in said.out

    return look


def only_checks_fail(said: Said) -> None:
    """Each failed cell is the check of an answer that is not there."""
    failed = re.findall(r"^FAILED .*::Cell (\d+)", said.out, re.M)
    nb = nbformat.read(said.here / "notebooks" / "homework" / "student" / f"{SMALL}.ipynb", as_version=4)
    code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    assert [code[int(number)].splitlines()[0] for number in failed] == ["# CHECK q1"]


def a_submission(here: Path) -> None:
    (here / "submissions").mkdir()
    shutil.copy(
        here / "notebooks" / "homework" / "solution" / f"{SMALL}.ipynb", here / "submissions" / "ada.ipynb"
    )


def one_homework(here: Path) -> None:
    for path in (here / "notebooks" / "homework" / "student").glob("hw*"):
        if path.stem != SMALL:
            path.unlink()


def in_docker(here: Path, command: str) -> None:
    """The image holds what grading needs, and the words after its name are words of the command's."""
    lines = (here / "docker" / "Dockerfile").read_text().splitlines()
    listed = (here / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    needed = {line.removeprefix("!") for line in listed if line.startswith("!")}
    assert all((here / path).exists() for path in needed)
    homework = {f"notebooks/homework/{folder}" for folder in ("solution", "student")}
    assert {"course_utils", "data/models", "constraints.txt", *homework} <= needed
    assert lines[-1] == 'ENTRYPOINT ["course"]'
    words = shlex.split(command)
    if words[1] == "run":
        assert words[words.index("course") :][:3] == ["course", "homework", "grade"]
        folder = words[words.index("--volume") + 1].partition(":")[2]
        assert f"WORKDIR {folder}" in lines
        assert all(word.startswith(f"{folder}/") for word in (words[-1], words[-3]))


def graded(said: Said) -> None:
    with (said.here / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["file"] == "ada.ipynb"
    assert row["homework"] == SMALL
    assert float(row["points"]) == float(row["of"]) == 1
    assert len(list((said.here / "grades").glob("*.html"))) == 2  # the student's and the teacher's
    page = said.here / "grades" / row["page"]
    assert "twice" in page.read_text(encoding="utf-8")


def built(said: Said) -> None:
    for kind, answered in (("student", False), ("solution", True)):
        nb = nbformat.read(said.here / "notebooks" / "homework" / kind / f"{SMALL}.ipynb", as_version=4)
        assert any("return 2 * x" in cell.source for cell in nb.cells) == answered


# ------------------------------------------------------------------------------------------------- by its parts


def recipe(here: Path, command: str) -> list[str]:
    """The lines that make would run, without those that set .venv up; each program, module and file in it is there."""
    words = [word for word in shlex.split(command) if "=" not in word or not word.startswith("PIP_")]
    ready = [word for name in ("lab", "site", "test", "front") for word in ("-o", f".venv/{name}")]
    dry = run(here, shlex.join([words[0], "-n", *ready, *words[1:]]))
    lines = [line.split("  #")[0] for line in dry.out.replace("\\\n", " ").splitlines()]
    assert lines
    for line in lines:
        program, *rest = itertools.dropwhile(lambda word: "=" in word, shlex.split(line))
        assert (here / program).exists() or shutil.which(program, path=environment(here)["PATH"]), line
        if rest[:1] == ["-m"]:
            assert importlib.util.find_spec(rest[1]) is not None, line
        for word in rest:
            if "/" in word and not word.startswith("-"):
                assert list(here.glob(word)), f"{line}: there is no {word}"
    return lines


def by_make(*parts: str) -> Parts:
    """What make would run; its lines hold these parts in this order."""

    def look(here: Path, command: str) -> None:
        lines = "\n".join(recipe(here, command))
        places = [lines.find(part) for part in parts]
        assert -1 not in places, lines
        assert places == sorted(places)

    return Parts(look)


def set_up(here: Path, command: str) -> None:
    """With the index of PyTorch's small packages in pip's environment; and what `make lab` does."""
    assert command.startswith("PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu ")
    by_make("course_utils.authoring.lab").look(here, command)
    install = run(here, "make -n -W pyproject.toml -W constraints.txt .venv/lab").out
    assert (
        ".venv/bin/python -m pip install --quiet --editable '.[lab]' --constraint constraints.txt" in install
    )


def same_as_make(here: Path, command: str) -> None:
    """Each of PowerShell's lines is one of make's, with the program's place on Windows; `course lab` is `make lab`."""
    words = command.replace("\\", "/").replace("/Scripts/", "/bin/").replace("py -m venv", "-m venv")
    if command.endswith("course lab"):
        assert "course_utils.authoring.lab" in recipe(here, "make lab")[-1]
        assert "JupyterLab" in run(here, words + " --help").out
    else:
        install = run(here, "make -n -W pyproject.toml -W constraints.txt .venv/lab .venv/site").out
        lines = install.replace("'", '"').replace("--quiet ", "").splitlines()
        lines += recipe(here, "make homework HW=03") + recipe(here, "make site")
        lines = [line.removesuffix(" || test $? -eq 1") for line in lines]  # that not all pass is no error
        assert any(f" {line}".rstrip().endswith(f" {words}") for line in lines), lines


def installs(here: Path, command: str) -> None:
    """A requirement that names the package of pyproject.toml, its extras, and its address."""
    project = tomllib.loads((here / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirement = Requirement(shlex.split(command)[-1])
    assert requirement.name == project["name"]
    assert requirement.extras <= set(project["optional-dependencies"])
    assert requirement.url in (None, "git+" + project["urls"]["Repository"])


def by_conda(here: Path, command: str) -> None:
    import yaml

    named = yaml.safe_load((here / "environment.yml").read_text(encoding="utf-8"))["name"]
    assert command in ("conda env create -f environment.yml", f"conda activate {named}")


def the_same(here: Path, command: str) -> None:
    """The program that `course` is in the lab's terminal; TABLE runs it by that name."""
    program, rest = command.split(" ", 1)
    assert shutil.which("course", path=environment(here)["PATH"]) == str(here / program)
    assert "course " + rest in TABLE


def opens_the_lab(here: Path, command: str) -> None:
    """It does not end by itself; tests/browser opens JupyterLab by the function that it calls."""
    assert "JupyterLab" in run(here, command + " --help").out


DOCKER_BUILD = "docker build --tag course --file docker/Dockerfile ."
DOCKER_RUN = (
    "docker run --rm --network none --memory 8g --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    '--security-opt systempaths=unconfined --user "$(id -u):$(id -g)" --volume "$PWD/grading:/grading" '
    "course homework grade /grading/submissions --out /grading/grades.csv"
)
BUILD = "course homework build notebooks/homework/source/hw04.py"
NBVAL = ".venv/bin/pytest --nbval --nbval-current-env --nbval-cell-timeout=120 notebooks/homework/student/hw04.ipynb"
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"][
    "Repository"
]
MOVE = ".venv/bin/python -m course_utils.authoring.address https://github.com/you/course"
EVERY_VIEW = "EVERY_VIEW=1 .venv/bin/pytest tests/browser/test_site.py -k every_view"
DIGITS = [*range(10)] * 100

# Trains on the digits, as nothing else is here without a network, and scores nothing: both are MNIST's.
TRAIN_ON_DIGITS = """python -c "
import dataclasses, sys
from course_utils import recipes
from course_utils.__main__ import app
from course_utils.data import load_images
name = sys.argv[2]
recipes.RECIPES[name] = dataclasses.replace(
    recipes.RECIPES[name], data=lambda: load_images('digits'), score=lambda model: {})
app()
" """

TABLE: dict[str, Row | Parts] = {
    # README.md
    "make lab": by_make("course_utils.authoring.lab"),
    "make test": by_make("ruff check .", "ruff format --check .", "mypy", "-m pytest"),
    "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make lab": Parts(set_up),
    "py -m venv .venv": Parts(same_as_make),
    '.venv\\Scripts\\python -m pip install --editable ".[lab]" --constraint constraints.txt': Parts(
        same_as_make
    ),
    ".venv\\Scripts\\course lab": Parts(same_as_make),
    ".venv\\Scripts\\course homework check notebooks\\homework\\student\\hw03.ipynb": Parts(same_as_make),
    '.venv\\Scripts\\python -m pip install --editable ".[site]" --constraint constraints.txt': Parts(
        same_as_make
    ),
    ".venv\\Scripts\\python -m course_utils.authoring.site": Parts(same_as_make),
    "conda env create -f environment.yml": Parts(by_conda),
    "conda activate course": Parts(by_conda),
    "course lab": Parts(opens_the_lab),
    "make html": by_make(
        "course_utils.authoring.pages --out html notebooks/"
    ),  # tests/test_pages.py makes a page
    "make site": by_make("-m course_utils.authoring.site"),  # tests/browser/test_site.py builds and opens it
    "make slides": by_make(
        "-m course_utils.authoring.slides"
    ),  # tests/browser/test_slides.py opens the decks
    "make slides-pdf": by_make("-m course_utils.authoring.slides --pdf"),
    "make homework HW=03": by_make("course homework check notebooks/homework/student/hw03.ipynb"),
    "course doctor": Row(text("ok  digits (offline)", "ok  ldm-scenes", "ok  `course` on the PATH")),
    ".venv/bin/course doctor": Parts(the_same),
    ".venv/bin/course": Row(text("Usage: course")),
    "course sample autoencoder-mnist --n 64 --seed 1 --out ae.npz": Row(holds("ae.npz", (64, 28, 28, 1))),
    "course sample cgan-mnist --n 64 --labels 0-9 --out cgan.npz": Row(
        holds("cgan.npz", (64, 28, 28, 1), DIGITS[:64])
    ),
    "course sample ddpm-4-steps-mnist --n 1000 --labels 0-9 --out ddpm.npz": Row(
        holds("ddpm.npz", (1000, 28, 28, 1), DIGITS)
    ),
    "course sample ldm-scenes --prompt "
    '"a striped red star left of a small blue circle on yellow" --n 16 --out scenes.npz': Row(as_asked),
    "course evaluate ddpm.npz --against digits": Row(
        scored, after="course sample ddpm-4-steps-mnist --n 1000 --labels 0-9 --out ddpm.npz"
    ),
    # 8,000 steps with all of MNIST: three, with the digits.
    "course train autoencoder-mnist --out runs": Row(
        trained, instead=TRAIN_ON_DIGITS + "train autoencoder-mnist --out runs --steps 3"
    ),
    # 500 steps: three.
    "course train gan-digits --out runs": Row(
        plays_anew, instead="course train gan-digits --out runs --steps 3"
    ),
    # CONTRIBUTING.md
    "make check": by_make(
        "ruff check .", "mypy", "-m pytest", "--ignore tests/notebooks --ignore tests/browser"
    ),
    "make notebooks": by_make(
        "course_utils.authoring.notebooks build notebooks/", "course homework build notebooks/"
    ),
    # A minute or more: what it says of itself.
    ".venv/bin/python -m course_utils.authoring.notebooks build notebooks/04_vae.py": Row(
        text("Execute each .py and write the .ipynb beside it"),
        instead=".venv/bin/python -m course_utils.authoring.notebooks build --help",
    ),
    "make lint": by_make(
        "ruff check .", "ruff format --check .", "mypy", "lint-imports", "run --silent check", "test --silent"
    ),
    "make front": by_make("run --silent fix", "run --silent build"),
    "make times": by_make("benchmarks/times.py"),
    ".venv/bin/pre-commit install": Row(lambda said: (said.here / ".git/hooks/pre-commit").stat()),
    # A quarter of an hour: what it says of itself.
    ".venv/bin/python benchmarks/metrics.py": Row(
        text("--quick"), instead=".venv/bin/python benchmarks/metrics.py --help"
    ),
    # MNIST is not here, nor a network: it says so, and where it would have been put.
    "COURSE_DATA=… .venv/bin/course train NAME --out data/models": Row(
        text("error: mnist is not in sets and could not be downloaded"),
        instead="COURSE_DATA=sets .venv/bin/course train vae-mnist --out data/models",
        status=2,
    ),
    ".venv/bin/python docs/picture.py": Row(picture),
    # Ten minutes: the test is there.
    EVERY_VIEW: Row(text("every_view"), instead=f"{EVERY_VIEW} --collect-only --quiet"),
    # There and back, for the other commands run here too; tests/test_address.py looks at what it leaves.
    MOVE: Row(
        text("README.md\n", "notebooks/07_diffusion.ipynb\n", " files changed\n"),
        instead=f"{MOVE} && {MOVE.rpartition(' ')[0]} {ADDRESS}",
    ),
    # notebooks/homework/README.md, with a homework of one exercise
    "make homework": by_make("course homework check notebooks/homework/student/hw03.ipynb"),
    "make homework HW=04": by_make("course homework check notebooks/homework/student/hw04.ipynb"),
    BUILD: Row(built, instead=BUILD.replace("hw04", SMALL)),
    "course homework progress": Row(
        text("hw99  0 of 1", "0 of 1 exercises pass"), after=BUILD, before=one_homework
    ),
    NBVAL: Row(only_checks_fail, instead=NBVAL.replace("hw04", SMALL), status=1, after=BUILD),
    "course homework wrong notebooks/homework/source/hw04.py": Row(
        text("every wrong answer is caught"),
        instead=f"course homework wrong notebooks/homework/source/{SMALL}.py",
    ),
    "course homework grade submissions/ --out grades.csv": Row(graded, after=BUILD, before=a_submission),
    "course homework doctor": Row(text("ok  reads a solution", "refused: ", "the wall held against all")),
    DOCKER_BUILD: Parts(in_docker),
    DOCKER_RUN: Parts(in_docker),
    # notebooks and homeworks
    f'%pip install -q "course-utils @ git+{ADDRESS}"': Parts(installs),
    "course homework check": Row(text("Missing argument"), status=2),
}


def test_every_command_that_is_shown_is_in_the_table_and_no_other():
    missing = {command: where for command, where in shown().items() if command not in TABLE}
    assert not missing, "nobody runs these; say in TABLE how they are run"
    assert not set(TABLE) - set(shown()), "no text shows these any more"


def test_commands_are_found():
    page = "Type `make\nx` or `course` (`course_utils` is no command).\n```\na --b c   # d\n\n# e\n```\n"
    page += "```python\nno\n```\n`!course doctor`, `.venv/bin/x y`, `A=1 make z`, `makes`, `other`"
    assert shown_in_markdown(page) == {
        "make x", "course", "a --b c", "course doctor", ".venv/bin/x y", "A=1 make z"
    }  # fmt: skip


@pytest.mark.parametrize("command", TABLE)
def test_command(command: str, here: Path, said: Callable[[str], Said]):
    row = TABLE[command]
    if isinstance(row, Parts):
        row.look(here, command)
    else:
        row.look(said(command))
