"""The repository's address moves by one command, to another and back again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_utils.authoring.address import move
from course_utils.authoring.notebooks import check, repository_address, with_links

ROOT = Path(__file__).resolve().parents[1]
OLD = repository_address(ROOT / "pyproject.toml")
NEW = f"{OLD}-2".replace("//github.com/", "//github.com/x")  # the old one is within it


def contents(folder: Path) -> dict[str, bytes]:
    """What git knows of a checkout, also what is not committed yet."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=folder, capture_output=True, check=True, text=True).stdout.split("\0")
    return {name: (folder / name).read_bytes() for name in names if name and (folder / name).is_file()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("copy")
    for name in contents(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    yield folder
    shutil.rmtree(folder)


def test_the_address_moves_and_comes_back_byte_for_byte(copy: Path) -> None:
    before = contents(copy)
    changed = [path.relative_to(copy).as_posix() for path in move(NEW, copy)]
    between = contents(copy)
    assert sorted(changed) == sorted(name for name in before if between[name] != before[name])
    assert {"README.md", "pyproject.toml", "notebooks/07_diffusion.ipynb"} <= set(changed)
    name = OLD.removeprefix("https://github.com/").encode()
    new_name = NEW.removeprefix("https://github.com/").encode()
    for file, content in between.items():
        assert name not in content.replace(new_name, b""), file
    for py in sorted(copy.glob("notebooks/[0-9]*.py")):
        assert check(py) == []
    for py in sorted(copy.glob("notebooks/homework/*/hw??.py")):
        if py.parent.name != "source":  # its links lead to what is handed out
            assert with_links(py.read_text(encoding="utf-8"), py.with_suffix(".ipynb")) == py.read_text(
                "utf-8"
            )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/programs/test_setup.py"]
    command += ["-k", "address or readme or yml or everywhere"]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert move(NEW, copy) == []
    move(OLD, copy)
    after = contents(copy)
    assert [file for file in before if after[file] != before[file]] == []


@pytest.mark.parametrize(
    "address",
    [
        "github.com/you/course",
        "http://github.com/you/course",
        "https://gitlab.com/you/course",
        "https://github.com/you/course/",
        "https://github.com/you/course.git",
        "https://github.com/you",
        "https://github.com/-you/course",
        "https://github.com/you/..",
        "https://github.com/you/a b",
        'https://github.com/you/a"b',
    ],
)
def test_what_is_no_address_changes_nothing(tmp_path: Path, address: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with pytest.raises(
        ValueError, match=r"must be that of a repository on GitHub, as https://github\.com/you/"
    ):
        move(address, tmp_path)
    assert (tmp_path / "pyproject.toml").read_bytes() == (ROOT / "pyproject.toml").read_bytes()


def test_only_the_whole_address_is_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/a/b"\n')
    text = "{0} {0}. {0}/x {0}-2 {0}.io {0}_ https://github.com/aa/b https://x.y/a/b `cd b`\r\n"
    (tmp_path / "README.md").write_bytes(text.format("https://github.com/a/b").encode())
    move("https://github.com/c/d", tmp_path)
    new, same = "https://github.com/c/d", "https://github.com/a/b"
    assert (tmp_path / "README.md").read_bytes().decode() == (
        f"{new} {new}. {new}/x {same}-2 {same}.io {same}_ https://github.com/aa/b https://x.y/a/b `cd d`\r\n"
    )
