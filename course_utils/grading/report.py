"""What the teacher and the students get: a table, and a page for each submission."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.authoring.notebooks import write_text


@dataclass
class Grade:
    """A row of the table.

    Attributes:
        file: the submission, relative to the folder that is graded.
        homework: `hw04`, or "" if unknown.
        passed: by exercise.
        messages: what is wrong, by exercise; "" where nothing is.
        note: why a submission was not graded; "" if it was.
        seconds: how long grading took.
        seed: of the inputs that the hidden checks drew.
        digest: of the submission and of the homework that it was graded by.
        code: the student's cells, by exercise.
        open_answer: the answer to the open question, as it was handed in.
        open_question: the question, as it was handed out.
        left_out: what of the code was not run, and why.
    """

    file: str
    homework: str = ""
    passed: dict[str, bool] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    note: str = ""
    seconds: float = 0.0
    seed: int = 0
    digest: str = ""
    code: dict[str, list[str]] = field(default_factory=dict)
    open_answer: str = ""
    open_question: str = ""
    left_out: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(self.passed.values())


def table(rows: Sequence[Grade], pages: Sequence[str]) -> str:
    """The CSV: a row a submission."""
    keys = sorted({key for row in rows for key in row.passed}, key=lambda key: (len(key), key))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "homework", "points", "of", *keys, "note", "seconds", "page"])
    for row, page in zip(rows, pages, strict=True):
        marks = [int(row.passed[key]) if key in row.passed else "" for key in keys]
        points = ["", ""] if row.note else [row.points, len(row.passed)]  # not graded is no zero
        cells = [row.file, row.homework, *points, *marks, row.note, row.seconds, page]
        writer.writerow([_tame(cell) for cell in cells])
    return text.getvalue()


def _tame(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets a quote in front; control characters go."""
    if not isinstance(cell, str):
        return cell
    cell = "".join(c if c.isprintable() else "?" for c in cell.encode("utf-8", "replace").decode("utf-8"))
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def write_pages(rows: Sequence[Grade], folder: Path) -> list[str]:
    """A page a submission; returns their names, which hold nothing but letters, digits, - and _."""
    names = []
    for row in rows:
        names.append(page_name(row.file))
        write_text(folder / names[-1], page(row))
    return names


def page_name(file: str) -> str:
    """The page of a submission."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", file).removesuffix("-ipynb").strip("-")[:60]
    return f"{stem}-{hashlib.sha256(file.encode('utf-8', 'replace')).hexdigest()[:8]}.html"


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem }
.passed { color: #176b2c } .failed { color: #a3181e }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: .85rem } .says { white-space: pre-wrap }
.asked { color: #555; border-left: 3px solid #ccc; padding-left: .7rem }
"""


def page(row: Grade) -> str:
    """One student's feedback, a whole HTML page."""
    parts = [f"<h1>{html.escape(_tame(row.file))}</h1>"]
    if row.note:
        parts.append(f'<p class="failed says">Not graded: {html.escape(_tame(row.note))}</p>')
    else:
        parts.append(f"<p>Homework {row.homework[2:]}: {row.points} of {len(row.passed)} exercises pass.</p>")
    for key, passed in row.passed.items():
        word = "passed" if passed else "not yet"
        parts.append(
            f'<h2 class="{"passed" if passed else "failed"}">{"✓" if passed else "✗"} {key}: {word}</h2>'
        )
        if not passed:
            parts.append(f'<p class="says">{html.escape(row.messages[key])}</p>')
        parts += [f"<pre>{html.escape(source[:20_000])}</pre>" for source in row.code.get(key, [])]
    if row.left_out:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in row.left_out)
        parts.append(f"<h2>Left out when the code was run</h2><ul>{lines}</ul>")
    if row.open_question or row.open_answer:
        answer = html.escape(row.open_answer) if row.open_answer else "No answer was found."
        parts.append(f'<h2>Open question</h2><p class="says asked">{html.escape(row.open_question)}</p>')
        parts.append(f'<p class="says">{answer}</p>')
    head = f'<meta charset="utf-8"><title>{html.escape(_tame(row.file))}</title><style>{STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"
