"""Points that a teacher gave by hand come back from the table, however a spreadsheet has written it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils.authoring.homework import HomeworkError
from course_utils.grading.report import Grade, page_name, tame

END = len("01234567.html")  # of a page's name: this no spreadsheet changes, in whatever encoding it writes
CHANGED = "the points were given for an earlier answer"
NOT_READ = "the points were given for an answer that is not read now"
GONE = "is no longer handed in; it stays here for its points until you delete this row"
NO_POINTS = re.compile(r"not a number of points from 0 to \d+")


@dataclass(frozen=True)
class Mark:
    """What a row of a table says of an open answer.

    Attributes:
        file: the submission, as the table writes it.
        page: its page.
        homework: `hw04`, or "".
        points: as they stand there.
        note: on the points, ours or the teacher's.
        answer: to which answer they belong; "" if that is not known.
    """

    file: str
    page: str
    homework: str
    points: str
    note: str
    answer: str


def read_marks(out: Path) -> list[Mark]:
    """The points in a table that may have gone through a spreadsheet: other separators, quotes, encodings, line ends.

    Raises:
        HomeworkError: there is a table, but no points can be read from it: writing it anew might lose some.
    """
    data = out.read_bytes() if out.exists() else b""
    if not data.strip():
        return []
    lines = _lines(_text(data))
    if lines is None:
        raise HomeworkError(
            f"{out} is there and is not a table of grades with a column open; points in it would be lost: "
            "put it elsewhere"
        )
    head = [name.strip().casefold() for name in lines[0]]
    fields = {"file": "file", "page": "page", "homework": "homework", "open": "points"}
    fields |= {"open note": "note", "answer": "answer"}
    marks = []
    for line in lines[1:]:
        cells = {fields[name]: cell.strip() for name, cell in zip(head, line, strict=False) if name in fields}
        marks.append(Mark(**dict.fromkeys(fields.values(), "") | cells))
    return marks


def _text(data: bytes) -> str:
    """A text in Unicode with or without a mark, in Korean Windows' encoding, or in the western one."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("cp1252", "replace")


def _lines(text: str) -> list[list[str]] | None:
    """The cells by line from the header on, with the separator that makes one of the first lines the header."""
    for separator in ",;\t":
        try:
            lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if line]
        except csv.Error:
            continue
        for n, line in enumerate(lines[:2]):  # Excel's `sep=;` may stand first
            names = {name.strip().casefold() for name in line}
            if "open" in names and names & {"file", "page"}:
                return lines[n:]
    return None


def points(text: str, of: int) -> str | None:
    """Points as the table writes them, "3.5" for "3,50"; None if that is no number from 0 to what can be had.

    Args:
        text: as somebody wrote them.
        of: the most; 0 if that is not known.
    """
    match = re.fullmatch(r"([0-9]{1,3})(?:[.,]([0-9]{1,2}))?", text.strip())
    if match is None:
        return None
    number = float(f"{match[1]}.{match[2] or 0}")
    return f"{number:g}" if number <= (of or 999.99) else None


def keep_marks(rows: Sequence[Grade], marks: Sequence[Mark]) -> list[Grade]:
    """Give the rows the points of a former table; returns a row for each submission with points that is gone.

    Nothing is lost: points for another answer than the present one, and what is no number, stay and are noted.
    """
    pages = {page_name(row.file)[-END:]: row for row in rows}
    names = {tame(row.file): row for row in rows}
    gone = []
    for mark in marks:
        row = pages.get(mark.page[-END:]) or names.get(mark.file)
        if row is None:
            if not mark.points:
                continue
            homework = mark.homework if re.fullmatch(r"hw[0-9]{2}", mark.homework) else ""
            gone.append(row := Grade(mark.file, homework, note=GONE))
        row.open, row.open_note = mark.points, mark.note.replace(NOT_READ, "").strip()
        row.open_note = NO_POINTS.sub("", row.open_note).strip()
        if not mark.points:
            continue
        given = points(mark.points, row.open_of)
        row.open = mark.points if given is None else given
        if given is None:
            row.open_note = f"not a number of points from 0 to {row.open_of or 999} {row.open_note}".strip()
        if not row.answer:
            row.open_for = mark.answer
            row.open_note = row.open_note if row.note == GONE else f"{NOT_READ} {row.open_note}".strip()
        elif mark.answer not in ("", row.answer) and CHANGED not in row.open_note:
            row.open_note = f"{CHANGED} {row.open_note}".strip()
    return gone
