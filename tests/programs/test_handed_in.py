"""What an LMS leaves: every file ends in a row or is named as junk, and nobody's work is dropped in silence."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import stat
import sys
import unicodedata
import zipfile
from pathlib import Path

import nbformat
import pytest
from test_cells import SOURCE, answered, checkout, in_process, right, wrong  # noqa: F401  the fixture
from typer.testing import CliRunner

from course_utils.grading import cli, grade, handed_in, reading, sandbox
from course_utils.grading.handed_in import handed_in as read_folder

pytestmark = pytest.mark.timeout(300)
KOREAN = "김한글"
NFD = unicodedata.normalize("NFD", KOREAN)


@pytest.fixture(scope="module")
def good(checkout: Path) -> bytes:  # noqa: F811
    """A submission to homework 97 that passes."""
    return nbformat.writes(answered(checkout, right)).encode()


@pytest.fixture(scope="module")
def bad(checkout: Path) -> bytes:  # noqa: F811
    return nbformat.writes(answered(checkout, wrong)).encode()


def put(path: Path, data: bytes, changed: float = 1_700_000_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (changed, changed))
    return path


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def rows(folder: Path) -> dict[str, str]:
    """What is said of each file that gets a row: "" where it is a notebook that can be graded."""
    found = {}
    for file in read_folder(folder).files:
        problem = file.problem
        if not problem:
            try:
                nb, _ = reading.read_notebook(file.read(), file.name)
                problem = "" if reading.which_homework(file.name, nb) == "hw97" else "which homework?"
            except reading.SubmissionError as error:
                problem = str(error)
        found[file.name] = problem
    return found


def graded(folder: Path, out: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:  # noqa: F811  # fmt: skip
    """The table's rows."""
    monkeypatch.setattr(grade.Processes, "start", lambda self: in_process())
    limits = sandbox.Limits(wall=False)  # nothing is run
    grade.grade(folder, out, solutions=checkout / "solution", jobs=1, limits=limits, progress=False)
    with out.open(newline="", encoding="utf-8-sig") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


# --- Folders and archives of an LMS -------------------------------------------------------------------------

MOODLE = "Kim Min_12345_assignsubmission_file_"
LMS = {
    f"{MOODLE}/hw97.ipynb",
    "Lee_12346_assignsubmission_file_/hw97 (3).ipynb",
    "parkji_12347_67890_hw97-1.ipynb",
    "choisu_LATE_12348_67891_hw97.ipynb",
    f"{KOREAN}_12349_assignsubmission_file_/숙제 [마지막].ipynb",
    f"{NFD}_12350_assignsubmission_file_/hw97.ipynb",
}


def test_folders_and_the_one_zip_of_moodle_and_canvas(good: bytes, tmp_path: Path) -> None:
    for name in LMS:
        put(tmp_path / "unpacked" / name, good)
    put(tmp_path / "all.zip", zipped(dict.fromkeys(LMS, good)))
    each = {f"{n}_1000{n}_assignsubmission_file_/mine.zip": zipped({"hw97.ipynb": good}) for n in "ab"}
    put(tmp_path / "each.zip", zipped(each))
    found = rows(tmp_path)
    expected = {f"{place}{name}" for place in ("unpacked/", "all.zip › ") for name in LMS}
    expected |= {f"each.zip › {n}_1000{n}_assignsubmission_file_/mine.zip › hw97.ipynb" for n in "ab"}
    assert set(found) == {unicodedata.normalize("NFC", name) for name in expected}
    # the same students twice, as a folder and as the zip it came from: one of the two counts
    assert sorted(set(found.values()))[0] == ""
    assert sum(not problem for problem in found.values()) == len(LMS) + 2
    assert {problem.removeprefix("superseded by ") for problem in found.values() if problem} <= set(found)


def test_names_in_archives_of_korean_windows_are_read(good: bytes, tmp_path: Path) -> None:
    """Without a flag for UTF-8 the bytes are Korean Windows', or UTF-8 all the same."""
    for encoding in ("cp949", "utf-8"):
        raw = f"{KOREAN}.ipynb".encode(encoding)
        data = zipped({"x" * len(raw): good}).replace(b"x" * len(raw), raw)
        put(tmp_path / f"{encoding}.zip", data)
    assert rows(tmp_path) == {f"{encoding}.zip › {KOREAN}.ipynb": "" for encoding in ("cp949", "utf-8")}
    put(tmp_path / "windows.zip", zipped({"kim\\hw97.ipynb": good}))
    assert rows(tmp_path)["windows.zip › kim/hw97.ipynb"] == ""


# --- Names, encodings, formats -------------------------------------------------------------------------------

NAMES = [
    "hw97.ipynb", "hw97.ipynb.txt", "hw97.ipynb.json", "HW97.IPYNB", "hw97", "hw97.json", "hw97.txt", "a hw97 b.ipynb",
    "[hw97] (kim).ipynb", f"{KOREAN}.ipynb", f"{NFD}2.ipynb", "w" * 240 + ".ipynb", "hw97.ipynb.download",
    "=1+1.ipynb", "-rf.ipynb", "a\nb.ipynb", "…/../hw97.ipynb".replace("/", "∕"), "x.ipynb ", "hw97.backup",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_read_whatever_it_is_called(name: str, good: bytes, tmp_path: Path) -> None:
    put(tmp_path / "in" / name, good)
    assert rows(tmp_path / "in") == {unicodedata.normalize("NFC", name): ""}
    put(tmp_path / "zip" / "all.zip", zipped({name: good}))
    assert rows(tmp_path / "zip") == {f"all.zip › {unicodedata.normalize('NFC', name)}": ""}


def version(data: bytes, minor: int) -> bytes:
    nb = json.loads(data) | {"nbformat_minor": minor}
    for cell in nb["cells"]:
        if minor < 5:
            cell.pop("id", None)
    return json.dumps(nb).encode()


def old(data: bytes) -> bytes:
    return nbformat.writes(nbformat.convert(nbformat.reads(data.decode(), 4), 3), version=3).encode()


def by_colab(data: bytes) -> bytes:
    nb = json.loads(data)
    nb["metadata"] = {"colab": {"provenance": [], "gpuType": "T4"}, "accelerator": "GPU"}
    for n, cell in enumerate(nb["cells"]):
        cell["metadata"] = {
            "id": f"{n}abc",
            "colab": {"base_uri": "https://localhost:8080/"},
            "cellView": "form",
        }
        cell.pop("id", None)
    return json.dumps(nb | {"nbformat_minor": 0}).encode()


def by_vscode(data: bytes) -> bytes:
    nb = json.loads(data)
    for cell in nb["cells"]:
        cell["metadata"] |= {"vscode": {"languageId": "python"}}
        cell["source"] = "".join(cell["source"])
    return json.dumps(nb).encode()


def in_korean(data: bytes) -> bytes:
    return data.replace(b"import math", "import math  # 한글".encode())


FORMS = {
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda data: data.decode().encode("utf-16-le"),
    "UTF-32": lambda data: data.decode().encode("utf-32"),
    "BOM": lambda data: b"\xef\xbb\xbf" + data,
    "CRLF between": lambda data: data.replace(b"\n", b"\r\n"),
    "CRLF within": lambda data: data.replace(rb"\n", rb"\r\n"),
    "Korean Windows": lambda data: in_korean(data).decode().encode("cp949"),
    "half a character": lambda data: data.replace(b"import math", rb"import math  # \ud800"),
    "blank lines before it": lambda data: b"\n\n " + data,
    "nbformat 3": old,
    "Colab": by_colab,
    "VS Code": by_vscode,
    **{f"nbformat 4.{minor}": (lambda data, minor=minor: version(data, minor)) for minor in range(6)},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_notebook_is_graded(
    form: str, good: bytes, bad: bytes, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    put(tmp_path / "in" / "good.ipynb", FORMS[form](good))
    put(tmp_path / "in" / "bad.ipynb", FORMS[form](bad))
    table = graded(tmp_path / "in", tmp_path / "out.csv", checkout, monkeypatch)
    assert [table[f"{name}.ipynb"]["points"] for name in ("good", "bad")] == ["3", "0"]


# --- What is no notebook -------------------------------------------------------------------------------------

OTHERS = {
    "hw97.pdf": (b"%PDF-1.7 ...", "it is a PDF"),
    "hw97.ipynb.pdf": (b"%PDF-1.7 ...", "it is a PDF"),
    "pdf.ipynb": (b"%PDF-1.7 ...", "it is a PDF"),
    "hw97.docx": (zipped({"word/document.xml": b"<x/>"}), "it is a Word document"),
    "hw97.hwp": (b"\xd0\xcf\x11\xe0....", "it is an old Word"),
    "photo.JPG": (b"\xff\xd8\xff\xe0", "it is a picture"),
    "plain.py": (b"def f():\n    return 1\n", "it is a Python script; hand in the .ipynb"),
    "jupytext.py": (b"# %%\nx = 1\n", "a script exported from one"),
    "vscode.py": (b"# In[1]:\nx = 1\n", "a script exported from one"),
    "colab.py": (
        b'# -*- coding: utf-8 -*-\n"""hw97.ipynb\n\nAutomatically generated by Colab.\n"""\n',
        "exported from",
    ),
    "page.html": (b"<html>", "it is a web page"),
    "hw97.7z": (b"7z\xbc\xaf\x27\x1c\0\4", "it is a 7z archive; only .zip is opened"),
    "hw97.rar": (b"Rar!\x1a\7", "it is a rar archive"),
    "hw97.tar.gz": (b"\x1f\x8b\x08", "it is a gzip archive"),
    "another name.ipynb": (zipped({"a.ipynb": b"{}"}), "a zip archive under another name"),
    "empty.ipynb": (b"", "it is empty"),
    "zeros.ipynb": (bytes(1000), "it is empty"),
    "half.ipynb": (b'{"cells": [', "or only a part of it"),
    "notes": (b"I could not do it.", "it does not hold JSON"),
    "data.json": (b'{"a": 1}', "is not a notebook"),
    "newer.ipynb": (b'{"nbformat": 5, "cells": []}', "of a format that is read: 5"),
    "tiny.zip": (b"PK\3\4", "is a damaged archive"),
    "text.zip": (b"hello", "is a damaged archive: File is not a zip file"),
    "nothing.zip": (zipped({}), "without a file in it"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_notebook_gets_a_row_that_says_what_it_is(name: str, tmp_path: Path) -> None:
    content, message = OTHERS[name]
    put(tmp_path / name, content)
    (problem,) = rows(tmp_path).values()
    assert message in problem
    put(tmp_path / "again" / "all.zip", zipped({name: content}))
    (problem,) = rows(tmp_path / "again").values()
    assert message in problem


def encrypted(data: bytes) -> bytes:
    """The flag alone, in both headers."""
    data = bytearray(data)
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def claims(data: bytes, size: int) -> bytes:
    """A zip whose headers say another size."""
    real = len(zipfile.ZipFile(io.BytesIO(data)).read("hw97.ipynb")).to_bytes(4, "little")
    return data.replace(real, size.to_bytes(4, "little"))


def test_archives_that_do_harm_are_a_row_with_the_reason(good: bytes, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    put(tmp_path / "bomb.zip", zipped({"hw97.ipynb": bytes(30_000_000)}))
    put(tmp_path / "liar.zip", claims(zipped({"hw97.ipynb": bytes(30_000_000)}), 1000))
    put(
        tmp_path / "paths.zip",
        zipped({"../../hw97.ipynb": good, "/tmp/hw97.ipynb": good, "C:/hw97.ipynb": good}),
    )
    put(tmp_path / "secret.zip", encrypted(zipped({"hw97.ipynb": good})))
    twice = zipped({"b.zip": zipped({"c.zip": zipped({"hw97.ipynb": good})})})
    put(tmp_path / "twice.zip", twice)
    whole = zipped({"hw97.ipynb": good})
    put(tmp_path / "cut.zip", whole[: len(whole) // 2])
    put(tmp_path / "spoilt.zip", whole[:60] + b"junk" + whole[64:])
    put(tmp_path / "many.zip", zipped({f"{n}.ipynb": b"" for n in range(handed_in.MOST_FILES + 1)}))
    found = rows(tmp_path)
    for name, message in {
        "link.zip › link.ipynb": "is a symbolic link",
        "bomb.zip › hw97.ipynb": "has 30 MB; at most 20 are read",
        "liar.zip › hw97.ipynb": "is damaged in its archive",
        "paths.zip › ../../hw97.ipynb": "leads out of the folder",
        "paths.zip › /tmp/hw97.ipynb": "leads out of the folder",
        "paths.zip › C:/hw97.ipynb": "leads out of the folder",
        "secret.zip › hw97.ipynb": "is encrypted",
        "twice.zip › b.zip › c.zip": "is an archive in an archive in an archive: unpack it",
        "cut.zip": "is a damaged archive: File is not a zip file",
        "spoilt.zip › hw97.ipynb": "is damaged in its archive",
        "many.zip": "is an archive of 20001 files",
    }.items():
        assert message in found[name], (name, found[name])
    assert not [*tmp_path.parent.glob("*.ipynb"), *tmp_path.rglob("*.ipynb")]  # nothing was unpacked


def test_an_archive_that_unpacks_to_too_much_is_not_opened(
    good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handed_in, "LARGEST_ARCHIVE", 100_000)
    put(tmp_path / "a.zip", zipped({f"{n}.ipynb": bytes(30_000) for n in range(4)}))
    assert rows(tmp_path)["a.zip"].startswith("is an archive that unpacks to 0.0 GB")


# --- Junk, and which of several counts -----------------------------------------------------------------------


def test_junk_is_named_and_gets_no_row(good: bytes, tmp_path: Path) -> None:
    junk = [
        "__MACOSX/kim/._hw97.ipynb", "kim/._hw97.ipynb", "kim/.DS_Store", "Thumbs.db", "kim/__pycache__/a.pyc",
        "kim/.git/HEAD", "kim/.ipynb_checkpoints/hw97-checkpoint.ipynb",
    ]  # fmt: skip
    twin = b"\0\5\x16\7\0\2\0\0Mac OS X"
    files = {name: good if "checkpoint" in name else twin for name in junk} | {"kim/hw97.ipynb": good}
    for name, content in files.items():
        put(tmp_path / "in" / name, content)
    put(tmp_path / "zip" / "all.zip", zipped(files))
    assert rows(tmp_path / "in") == {"kim/hw97.ipynb": ""}
    assert read_folder(tmp_path / "in").junk == sorted(junk)
    assert rows(tmp_path / "zip") == {"all.zip › kim/hw97.ipynb": ""}
    assert read_folder(tmp_path / "zip").junk == sorted(f"all.zip › {name}" for name in junk)


def test_a_checkpoint_counts_where_it_is_the_only_one(good: bytes, bad: bytes, tmp_path: Path) -> None:
    put(tmp_path / "a" / "kim/.ipynb_checkpoints/hw97-checkpoint.ipynb", good)
    put(tmp_path / "a" / ".ipynb_checkpoints/lee-checkpoint.ipynb", good)
    assert rows(tmp_path / "a") == {
        "kim/.ipynb_checkpoints/hw97-checkpoint.ipynb": "", ".ipynb_checkpoints/lee-checkpoint.ipynb": "",
    }  # fmt: skip
    put(
        tmp_path / "b" / ".ipynb_checkpoints/hw97-checkpoint.ipynb", good, 2e9
    )  # nobody's, but beside its notebook
    put(tmp_path / "b" / "hw97.ipynb", bad)
    assert rows(tmp_path / "b") == {"hw97.ipynb": ""}
    put(tmp_path / "c" / "kim/.ipynb_checkpoints/hw97-checkpoint.ipynb", good)
    put(tmp_path / "c" / "kim/hw97.ipynb", b"damaged")  # what cannot be read is no rival
    assert rows(tmp_path / "c")["kim/.ipynb_checkpoints/hw97-checkpoint.ipynb"] == ""


RIVALS = {
    "Canvas: its number, not the time": (
        {"kim_1_500_hw97.ipynb": 9e8, "kim_1_501_hw97-1.ipynb": 8e8}, "kim_1_501_hw97-1.ipynb",
    ),
    "Canvas: late, another name": (
        {"kim_1_500_hw97.ipynb": 9e8, "kim_LATE_1_777_mine.ipynb": 8e8}, "kim_LATE_1_777_mine.ipynb",
    ),
    "Moodle: the time": (
        {f"{MOODLE}/hw97.ipynb": 9e8, f"{MOODLE}/hw97 (1).ipynb": 8e8, f"{MOODLE}/x.ipynb": 7e8},
        f"{MOODLE}/hw97.ipynb",
    ),
    "a folder: the time, then the copy's number": (
        {"kim/hw97.ipynb": 9e8, "kim/hw97 (1).ipynb": 9e8, "kim/hw97 (2).ipynb": 8e8}, "kim/hw97 (1).ipynb",
    ),
    "names": ({"kim_hw97.ipynb": 8e8, "kim_hw97 (1).ipynb": 9e8, "kim hw97-2.ipynb": 7e8}, "kim_hw97 (1).ipynb"),
}  # fmt: skip


@pytest.mark.parametrize("case", RIVALS)
def test_of_one_students_files_the_newest_counts(case: str, good: bytes, tmp_path: Path) -> None:
    files, newest = RIVALS[case]
    for name, changed in files.items():
        put(tmp_path / name, good, changed)
    assert rows(tmp_path) == {name: "" if name == newest else f"superseded by {newest}" for name in files}


def test_of_different_students_or_homeworks_none_is_superseded(good: bytes, tmp_path: Path) -> None:
    other = good.replace(b"Homework 97", b"Homework 96")
    names = [
        "hw97.ipynb", "hw97 (1).ipynb", "hw97-2.ipynb",  # downloaded from e-mails, perhaps
        "kim_hw97.ipynb", "lee_hw97.ipynb", "lee_hw97b.ipynb", "s/kim_hw97.ipynb", "a/hw97.ipynb", "b/hw97.ipynb",
        "kim_1_500_hw97.ipynb", "kim_2_501_hw97.ipynb",
    ]  # fmt: skip
    for name in names:
        put(tmp_path / name, good)
    put(tmp_path / "a/hw96.ipynb", other)
    assert rows(tmp_path) == dict.fromkeys(names, "") | {"a/hw96.ipynb": "which homework?"}


# --- The whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_files_in_are_rows_and_junk(seed: int, good: bytes, bad: bytes, tmp_path: Path) -> None:
    """Any names with any contents, in folders and zips, so deep: none is missing, none counted twice."""
    draw, count = random.Random(seed), 0
    letters = "ab ()[]._-1한é가\u0301'%&#;=~$" + NFD[:2]
    contents = [good, bad, b"", b"junk", b"\0\5\x16\7", b"%PDF", zipped({}), good[:500]]
    suffixes = [".ipynb", ".ipynb.txt", "", ".pdf", ".PY", ".json", ".IPYNB"]

    def name() -> str:
        stem = "".join(draw.choices(letters, k=draw.randint(1, 12))).strip(". ") or "x"
        return draw.choice(["", "hw97 ", "._", "kim_1_2_"]) + stem + draw.choice(suffixes)

    def folder() -> str:
        parts = draw.choices(
            ["kim", "__MACOSX", ".ipynb_checkpoints", MOODLE, KOREAN, "[x]"], k=draw.randint(0, 3)
        )
        return "".join(f"{part}/" for part in parts)

    def files() -> dict[str, bytes]:
        return {folder() + name(): draw.choice(contents) for _ in range(draw.randint(1, 12))}

    for path, content in files().items():
        put(tmp_path / path, content)
        count += 1
    for n in range(3):
        inner = files()
        count += len(inner)
        deeper = files() if draw.random() < 0.5 else {}
        count += len(deeper)
        within = {folder() + "deep.zip": zipped(deeper)} if deeper else {}
        if any("__MACOSX" in name for name in within):  # not looked into: one file of junk
            count += 1 - len(deeper)
        put(tmp_path / f"{n}.zip", zipped(inner | within))
    found = read_folder(tmp_path)
    names = [file.name for file in found.files] + found.junk
    assert len(names) == len(set(names)) == count
    for file, problem in rows(tmp_path).items():
        old = re.fullmatch("superseded by (.*)", problem, re.DOTALL)
        assert old is None or rows(tmp_path)[old[1]] in ("", "which homework?"), file


def test_the_table_has_a_row_for_each_and_forgets_what_was_removed(
    good: bytes, bad: bytes, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    folder, out = tmp_path / "in", tmp_path / "grades.csv"
    put(folder / "kim_1_500_hw97.ipynb", bad)
    put(folder / "kim_1_501_hw97-1.ipynb", good)
    put(folder / "lee.pdf", b"%PDF")
    put(folder / "all.zip", zipped({"choi/hw97.ipynb": good, "__MACOSX/choi/._hw97.ipynb": b"\0"}))
    table = graded(folder, out, checkout, monkeypatch)
    assert {name: (row["points"], row["note"]) for name, row in table.items()} == {
        "all.zip › choi/hw97.ipynb": ("3", ""),
        "kim_1_500_hw97.ipynb": ("", "superseded by kim_1_501_hw97-1.ipynb"),
        "kim_1_501_hw97-1.ipynb": ("3", ""),
        "lee.pdf": ("", "is not a notebook: it is a PDF; hand in the .ipynb"),
    }
    aside = out.with_name("grades.csv.left-aside.txt")
    assert aside.read_text() == "all.zip › __MACOSX/choi/._hw97.ipynb\n"
    pages = {path.name for path in out.with_suffix("").iterdir()}
    assert pages == {row["page"] for row in table.values()} | {"index.html"}
    text = (out.with_suffix("") / table["all.zip › choi/hw97.ipynb"]["page"]).read_text()
    assert "Why are there numbers?" in text
    assert "unspeakable" not in text

    journal = out.with_name("grades.csv.rows.jsonl").read_text()
    mine = put(out.with_suffix("") / "the teacher's own.html", b"x")
    (folder / "all.zip").unlink()
    (folder / "kim_1_501_hw97-1.ipynb").unlink()
    table = graded(folder, out, checkout, monkeypatch)
    assert {name: row["points"] for name, row in table.items()} == {
        "kim_1_500_hw97.ipynb": "0",
        "lee.pdf": "",
    }
    left = {path.name for path in out.with_suffix("").iterdir()}
    assert left == {row["page"] for row in table.values()} | {mine.name, "index.html"}
    assert out.with_name("grades.csv.rows.jsonl").read_text().startswith(journal)
    assert not aside.exists()


def test_the_table_may_lie_among_the_submissions(
    good: bytes, tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    put(tmp_path / "kim_hw97.ipynb", good)
    put(tmp_path / "._kim_hw97.ipynb", b"\0\5\x16\7")
    put(tmp_path / "grades" / "lee.html", b"<p>what Lee found</p>")
    for _ in range(2):
        found = graded(tmp_path, tmp_path / "grades.csv", checkout, monkeypatch)
        assert list(found) == ["grades/lee.html", "kim_hw97.ipynb"]
    assert (tmp_path / "grades.csv.left-aside.txt").read_text() == "._kim_hw97.ipynb\n"


def test_links_and_folders_that_cannot_be_read_are_a_row(good: bytes, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "hw97.ipynb", good)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.ipynb").symlink_to(tmp_path / "elsewhere" / "hw97.ipynb")
    (folder / "to a folder").symlink_to(tmp_path / "elsewhere")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.ipynb")
    assert rows(folder) == {
        **dict.fromkeys(
            ["link.ipynb", "to a folder", "broken"], "is a symbolic link; hand in the file itself"
        ),
        "pipe.ipynb": "is not a file",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf_8_are_shown_as_they_were_meant(good: bytes, tmp_path: Path) -> None:
    for raw in (f"{KOREAN}.ipynb".encode("cp949"), b"\xff\xfe.ipynb", b".DS_Store\xff.pyc"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw)).write_bytes(good)
    assert rows(tmp_path) == {f"{KOREAN}.ipynb": "", "??.ipynb": ""}
    assert read_folder(tmp_path).junk == [".DS_Store?.pyc"]


def test_a_folder_with_nothing_but_junk_is_said(tmp_path: Path, checkout: Path) -> None:  # noqa: F811
    put(tmp_path / "in" / ".DS_Store", b"x")
    arguments = ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "x.csv"), "--solutions"]
    done = CliRunner().invoke(cli.app, [*arguments, str(checkout / "solution")])
    assert done.exit_code == 2
    assert "holds no submissions" in done.output
