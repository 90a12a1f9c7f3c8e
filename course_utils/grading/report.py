"""What the teacher and the students get: a table, and a page for each submission."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import write_text
from course_utils.authoring.pages import markdown_to_html

POINTS = re.compile(r"^\*(\d{1,3}) points?\.\*\s*$", re.MULTILINE)  # in an open question


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
        open: the points that the teacher gave for the open answer, as the table has them; "" if none.
        open_note: what the teacher should know of these points, or noted on them.
        open_for: the answer that they belong to (`answer`), where this row has none.
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
    open: str = ""
    open_note: str = ""
    open_for: str = ""

    @property
    def points(self) -> int:
        return sum(self.passed.values())

    @property
    def open_of(self) -> int:
        """How many points the open question is worth; 0 if there is none or it does not say."""
        match = POINTS.search(self.open_question)
        return int(match[1]) if match else 0

    @property
    def answer(self) -> str:
        """Eight letters that change with the open answer: to which one points belong. "" without a question."""
        if not self.open_question:
            return ""
        digest = hashlib.sha256(self.open_answer.encode("utf-8", "replace")).digest()
        return "".join(
            chr(ord("a") + byte % 26) for byte in digest[:8]
        )  # no spreadsheet takes it for a number


# --- The table ----------------------------------------------------------------------------------------------


def table(rows: Sequence[Grade], pages: Sequence[str]) -> str:
    """The CSV: a row a submission."""
    return "".join("".join(line) for line in table_parts(rows, pages))


def table_parts(rows: Sequence[Grade], pages: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    """The table's lines, the header first, each in five pieces, of which the second and the fourth are cells.

    The second is the points for the open answer, the fourth the note on them; all joined are the line.
    """
    keys = sorted({key for row in rows for key in row.passed}, key=lambda key: (len(key), key))
    head = _cells(["file", "homework", "points", "of", *keys])
    lines = [(f"{head},", "open", ",open of,", "open note", ",note,seconds,seed,page,answer\n")]
    for row, page in zip(rows, pages, strict=True):
        marks = [int(row.passed[key]) if key in row.passed else "" for key in keys]
        points = ["", ""] if row.note else [row.points, len(row.passed)]  # not graded is no zero
        before = _cells([row.file, row.homework, *points, *marks])
        of_run = ["", ""] if row.note else [row.seconds, row.seed]
        after = _cells([row.note, *of_run, page, row.answer or row.open_for])
        lines.append(
            (
                f"{before},",
                _cells([row.open]),
                f",{row.open_of or ''},",
                _cells([row.open_note]),
                f",{after}\n",
            )
        )
    return lines


def _cells(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(
        [*(tame(cell) for cell in cells), 0]
    )  # one alone: quoted if empty
    return text.getvalue()[:-2]


FORMULA = re.compile(r"(^|[;\t|])(?=[\s\"]*[=+\-@＝＋－＠])")  # a quote behind a separator opens a cell


def tame(cell: Any) -> Any:
    """What a spreadsheet would take for a formula, also quoted or behind a semicolon, gets a quote; controls go."""
    if not isinstance(cell, str):
        return cell
    cell = "".join(c if c.isprintable() else "?" for c in cell.encode("utf-8", "replace").decode("utf-8"))
    return FORMULA.sub(r"\1'", cell)


# --- The pages ----------------------------------------------------------------------------------------------


def write_pages(rows: Sequence[Grade], folder: Path) -> list[str]:
    """A page a submission; returns their names, which hold nothing but letters, digits, - and _."""
    names = []
    for row in rows:
        names.append(page_name(row.file))
        write_text(folder / names[-1], page(row))
    return names


def page_name(file: str) -> str:
    """The page of a submission."""
    stem = re.sub(r"[^\w-]+", "-", file).removesuffix("-ipynb").strip("-")[:60]
    return f"{stem}-{hashlib.sha256(file.encode('utf-8', 'replace')).hexdigest()[:8]}.html"


MOST = 20_000  # characters of a text on a page
LONG = 24  # lines of code from which on it is folded


def shown(text: str, most: int = MOST) -> str:
    """A text of a student's as HTML that is text and nothing else, wherever between tags or in an attribute it stands.

    What cannot be seen or turns other text around (controls, direction marks, lone surrogates) is shown by its number.
    """
    seen = html.escape(visible(text[:most]))
    return seen if len(text) <= most else f"{seen} … ({len(text) - most:,} more characters)"


def visible(text: str) -> str:
    """A text with the number in place of each character that cannot be seen, and of too many accents on one letter."""
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text
    seen, accents = [], 0
    for c in text:
        kind = unicodedata.category(c)
        accents = accents + 1 if kind in ("Mn", "Me") else 0
        hidden = kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and c not in "\n\t\u200c\u200d"
        seen.append(f"⟨U+{ord(c):04X}⟩" if hidden or accents > 4 else c)
    return re.sub(r"(⟨U\+\w+⟩)\1+", lambda run: f"{run[1]}×{len(run[0]) // len(run[1])}", "".join(seen))


def teachers_text(text: str) -> str:
    """A text of the homework's own, Markdown with formulas, as HTML."""
    try:
        return markdown_to_html(text)
    except NotebookError:  # a formula that cannot be converted
        return f'<p class="says">{html.escape(text)}</p>'


def own_file(name: str) -> str:
    """A style or a script that lies beside this module."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def whole_page(title: str, body: str, *, style: str, script: str = "") -> str:
    """An HTML page that may load nothing, and runs no script but the given one.

    Args:
        title: plain text.
        body: HTML.
        style: CSS.
        script: JavaScript, without `</script>`.
    """
    policy = f"default-src 'none'; style-src {_allowed(style)}; base-uri 'none'; form-action 'none'"
    policy += f"; script-src {_allowed(script)}" if script else ""
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{shown(title, 200)}</title><style>{style}</style>"
    )
    end = f"<script>{script}</script>" if script else ""
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}{end}</body></html>\n'


def _allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page(row: Grade) -> str:
    """One student's feedback, a whole HTML page: nothing of others, and no model answer."""
    parts = [f'<h1 class="name" dir="auto">{shown(row.file, 300)}</h1>']
    if row.note:
        parts.append(f'<p class="failed says">Not graded: {shown(row.note)}</p>')
    else:
        parts.append(f"<p>Homework {row.homework[2:]}: {row.points} of {len(row.passed)} exercises pass.</p>")
    for key, passed in row.passed.items():
        kind, word = ("passed", "✓ {}: passed") if passed else ("failed", "✗ {}: not yet")
        parts.append(f'<h2 id="{key}" class="{kind}">{word.format(key)}</h2>')
        if not passed:
            parts.append(f'<p class="says wrong">{shown(row.messages[key])}</p>')
        parts += [_code(source) for source in row.code.get(key, [])]
    if row.left_out:
        lines = "".join(f'<li class="says">{shown(line)}</li>' for line in row.left_out)
        parts.append(f"<h2>Left out when the code was run</h2><ul>{lines}</ul>")
    if row.open_question or row.open_answer:
        answer = f'<p class="says" dir="auto">{shown(row.open_answer)}</p>' if row.open_answer else NO_ANSWER
        parts.append(f'<div class="asked" id="open">{teachers_text(row.open_question)}</div>{answer}')
        if NUMBER.fullmatch(row.open):
            parts.append(f"<p><strong>{row.open} of {row.open_of or '?'} points.</strong></p>")
    return whole_page(row.file, "".join(parts), style=own_file("feedback.css"))


NO_ANSWER = '<p class="dim">No answer was found.</p>'
NUMBER = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,2})?")  # points as the table has them


def _code(source: str) -> str:
    source = source.strip("\n")
    lines = source.count("\n") + 1
    code = f"<pre>{shown(source)}</pre>"
    return code if lines < LONG else f"<details><summary>{lines} lines of code</summary>{code}</details>"
