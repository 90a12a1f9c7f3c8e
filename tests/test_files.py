"""A file is the old one or the whole new one, whatever happens to who writes it."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from course_utils.files import replacing, sha256


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name", ["a.json", "a", ".hidden", "가나다 라.csv", "[1] *?.txt", "é" * 120 + ".npz"]
)
def test_a_file_is_written_and_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / "folder" / "inner" / name
    for text in ("one", "two"):
        with replacing(path) as scratch:
            scratch.write_text(text, encoding="utf-8")
            assert scratch.parent == path.parent
            assert scratch.suffix == path.suffix
            assert scratch.name.startswith(".")
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
        assert names(path.parent) == {name}


def test_a_writer_that_adds_a_missing_suffix_adds_none(tmp_path: Path) -> None:
    with replacing(tmp_path / "x.npz") as scratch:
        np.savez(scratch, a=np.arange(3))
    assert names(tmp_path) == {"x.npz"}
    assert np.load(tmp_path / "x.npz")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [True, False])
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException], before: bool
) -> None:
    path = tmp_path / "a.txt"
    if before:
        path.write_text("old")

    def write() -> None:
        with replacing(path) as scratch:
            scratch.write_text("half of the ne")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == ({"a.txt"} if before else set())
    assert not before or path.read_text() == "old"


KILLED = """
import sys
from pathlib import Path
from course_utils.files import replacing
path, after = Path(sys.argv[1]), int(sys.argv[2])
for i in range(2):
    with replacing(path) as scratch, scratch.open("w") as file:
        for part in range(200):
            file.write(str(i) * 100)
            file.flush()
            if i == 1 and part == after:
                print("now", flush=True)
                sys.stdin.read()
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for killed, after in enumerate((0, 100, 199), start=1):
        command = [sys.executable, "-c", KILLED, str(path), str(after)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"now\n"
            process.kill()
        assert path.read_text() == "0" * 20_000
        assert len(names(tmp_path) - {"a.txt"}) == killed, "each of the dead leaves what it had begun"
    day = 24 * 60 * 60
    for age, stay in ((day - 60, True), (day + 60, False)):  # what the dead left is cleared away after a day
        for file in tmp_path.glob(".part-a-*"):
            os.utime(file, (time.time() - age, time.time() - age))
        with replacing(path) as scratch:
            scratch.write_text("new")
        assert (names(tmp_path) != {"a.txt"}) == stay


def test_the_file_is_synced_before_it_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("sync"), sync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    with replacing(tmp_path / "a") as scratch:
        scratch.write_text("x")
    assert order == ["sync", "replace"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the one that ended last
    assert names(tmp_path) == {"a"}


@pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with replacing(link) as scratch:
        scratch.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        with replacing(tmp_path / "fresh") as scratch:
            scratch.write_text("x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


@pytest.fixture
def somebody() -> Iterator[Path]:
    """A folder in which this process may not write, as the superuser may everywhere."""
    folder = Path(tempfile.mkdtemp())
    (folder / "file").write_text("old")
    (folder / "file").chmod(0o444)
    folder.chmod(0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("name", ["file", "fresh", "folder/fresh"])
def test_where_nothing_may_be_written_is_said_at_once(somebody: Path, name: str) -> None:
    with pytest.raises(PermissionError, match=name.split("/")[0]), replacing(somebody / name):
        pytest.fail("the block has begun")
    assert names(somebody) == {"file"}
    assert (somebody / "file").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_read_only_file_in_an_open_folder_is_not_replaced(somebody: Path) -> None:
    if hasattr(os, "geteuid") and os.getuid() == 0:
        os.seteuid(0)
        somebody.chmod(0o777)
        os.seteuid(65534)
    else:
        somebody.chmod(0o777)
    with pytest.raises(PermissionError), replacing(somebody / "file"):
        pytest.fail("the block has begun")
    assert names(somebody) == {"file"}


def test_a_folder_and_a_file_in_the_way_are_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file" / "x"):
        with pytest.raises(OSError), replacing(path):  # noqa: PT011 (which one differs between systems)
            pytest.fail("the block has begun")
    assert names(tmp_path) == {"folder", "file"}
    assert names(tmp_path / "folder") == set()


def test_sha256_is_the_one_of_the_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()
    assert sha256(tmp_path / "x") != hashlib.sha256(content[:-1]).hexdigest()
