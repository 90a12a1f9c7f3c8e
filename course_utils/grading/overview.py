"""The teacher's page: who was not graded, how each exercise went, what is alike, and the open answers to mark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from course_utils.grading.report import (
    NO_ANSWER,
    Grade,
    own_file,
    shown,
    table_parts,
    teachers_text,
    whole_page,
)
from course_utils.grading.similarity import ALL, OPEN, Pair, alike, shared

NAME = "index.html"
FIRST, MOST_PAIRS = 5, 40  # mistakes of an exercise that stand in the open; pairs that are shown


@dataclass(frozen=True)
class Model:
    """What the teacher's page takes from a homework's solution.

    Attributes:
        titles: of the exercises, by key.
        code: of the solution, by exercise.
        answer: to the open question.
        marking: how that is marked.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""
    marking: str = ""


@dataclass(frozen=True)
class Row:
    """A grade, the number of its line in the table, and its page."""

    grade: Grade
    line: int
    page: str

    @property
    def link(self) -> str:
        """The submission's name, leading to its page."""
        return f'<a class="name" dir="auto" href="{self.page}">{shown(self.grade.file, 120)}</a>'


def overview(
    grades: Sequence[Grade], pages: Sequence[str], models: Mapping[str, Model], table_name: str
) -> str:
    """The teacher's page, a whole HTML page that needs no other file but the students' pages beside it.

    Args:
        grades: the table's rows.
        pages: their pages.
        models: of the homeworks, by name.
        table_name: the CSV file's, under which the page saves it with the points that are typed.
    """
    rows = [Row(grade, n, page) for n, (grade, page) in enumerate(zip(grades, pages, strict=True), 1)]
    names = sorted({row.grade.homework for row in rows if row.grade.passed or row.grade.open_question})
    graded = sum(not row.grade.note for row in rows)
    body = [f"<header><h1>Grades</h1><p>{_many(len(rows), 'submission')}, {graded} of them graded.</p>"]
    links = [f'<a href="#{name}">Homework {name[2:]}</a>' for name in names]
    asked = {row.grade.homework for row in rows if row.grade.open_question}
    links += [f'<a href="#{name}-open">Open answers {name[2:]}</a>' for name in names if name in asked]
    body.append(f"<nav>{' '.join(links)}</nav>{PRIVATE}</header>")
    body.append(_attention(rows))
    for name in names:
        own = [row for row in rows if row.grade.homework == name]
        body.append(_homework(name, own, models.get(name, Model())))
    data = json.dumps({"name": table_name, "lines": table_parts(grades, pages)}).replace("<", "\\u003c")
    if asked:
        body.append(BAR)
    body.append(f'<script type="application/json" id="table">{data}</script>')
    style = own_file("feedback.css") + own_file("overview.css")
    return whole_page("Grades", "".join(body), style=style, script=own_file("overview.js"))


PRIVATE = (
    '<p class="dim">For teachers: this page holds model answers and everybody\'s work. Give students their own '
    "pages only.</p>"
    "<noscript><p><strong>Without its script this page can be read, but keeps no points.</strong></p></noscript>"
)
BAR = (
    '<div class="bar"><p id="refused" class="failed" hidden>This browser keeps nothing for this page: what you type '
    "is gone when you close it. Save the table before you do.</p>"
    '<button type="button" id="save">Save the table</button> <span id="says" role="status"></span></div>'
)


# --- What needs a person ------------------------------------------------------------------------------------


def _attention(rows: Iterable[Row]) -> str:
    """The submissions without a grade, and the points that should be looked at again."""
    parts, noted = [], [row for row in rows if row.grade.note]
    noted.sort(key=lambda row: row.grade.note.startswith("superseded"))
    if noted:
        lines = "".join(
            f'<li>{row.link}: <span class="says">{shown(row.grade.note)}</span></li>' for row in noted
        )
        parts.append(f'<section id="not-graded"><h2>Not graded: {len(noted)}</h2><ul>{lines}</ul></section>')
    if again := [row for row in rows if row.grade.open_note]:
        lines = "".join(
            f"<li>{row.link}: {shown(row.grade.open)} points; "
            f'<span class="says">{shown(row.grade.open_note)}</span></li>'
            for row in again
        )
        parts.append(f"<section><h2>Points to look at again: {len(again)}</h2><ul>{lines}</ul></section>")
    return "".join(parts)


# --- One homework -------------------------------------------------------------------------------------------


def _homework(name: str, rows: Sequence[Row], model: Model) -> str:
    graded = [row for row in rows if not row.grade.note]
    keys = list(dict.fromkeys(key for row in graded for key in row.grade.passed))
    parts = [f'<section id="{name}"><h2>Homework {name[2:]}</h2>']
    parts.append(f"<p>{_many(len(rows), 'submission')}, {len(graded)} graded.</p>")
    if graded:
        parts += [_histogram(graded, len(keys)), _matrix(name, rows, keys, model)]
        parts += [_mistakes(graded, keys, model), _similar(graded, model)]
    parts += [_open_answers(name, rows, model), "</section>"]
    return "".join(parts)


def _histogram(rows: Sequence[Row], of: int) -> str:
    """How many pass how many exercises, as bars with their numbers."""
    counts = [sum(row.grade.points == n for row in rows) for n in range(of + 1)]
    width, most = 100 / len(counts), max(counts)
    bars = []
    for n, count in enumerate(counts):
        left, height = n * width, 32 * count / most
        bars.append(
            f'<rect x="{left + width * 0.12:.2f}" y="{40 - height:.2f}" '
            f'width="{width * 0.76:.2f}" height="{height:.2f}"/>'
            f'<text x="{left + width / 2:.2f}" y="{39 - height:.2f}">{count or ""}</text>'
            f'<text x="{left + width / 2:.2f}" y="45">{n}</text>'
        )
    said = "; ".join(f"{n}: {_many(count, 'submission')}" for n, count in enumerate(counts) if count)
    picture = (
        f'<svg role="img" aria-label="Exercises passed. {said}" viewBox="0 0 100 47">{"".join(bars)}</svg>'
    )
    caption = '<figcaption class="dim">Submissions by how many exercises they pass</figcaption>'
    return f"<figure>{picture}{caption}</figure>"


def _matrix(name: str, rows: Sequence[Row], keys: Sequence[str], model: Model) -> str:
    """Submissions by exercises, each cell leading to the place on the student's page."""
    graded = [row.grade for row in rows if not row.grade.note]
    head = "".join(
        f'<th scope="col" title="{shown(model.titles.get(key, key), 200)}">{key}<br>'
        f'<span class="dim">{_share(sum(grade.passed.get(key, False) for grade in graded), len(graded))}</span></th>'
        for key in keys
    )
    lines = []
    for row in rows:
        cells = []
        for key in keys:
            if row.grade.note or key not in row.grade.passed:
                cells.append("<td>–</td>")
                continue
            kind, sign, word = ("good", "✓", "passed") if row.grade.passed[key] else ("bad", "✗", "not yet")
            cells.append(
                f'<td class="{kind}"><a href="{row.page}#{key}" aria-label="{key}: {word}">{sign}</a></td>'
            )
        points = "–" if row.grade.note else str(row.grade.points)
        given = f'<td id="cell-{row.line}">{shown(row.grade.open or "–", 20)}</td>'
        lines.append(f'<tr><th scope="row">{row.link}</th><td>{points}</td>{"".join(cells)}{given}</tr>')
    return (
        '<h3>Who passes what</h3><div class="wide" tabindex="0" role="region" '
        f'aria-label="Who passes what, homework {name[2:]}">'
        f'<table><thead><tr><th scope="col">Submission</th><th scope="col">of {len(keys)}</th>{head}'
        f'<th scope="col">open</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


NUMBERS = re.compile(r"(?<![\w.])[-−+]?(?:\d[\d,]*\.?\d*(?:e[-+]?\d+)?|inf|nan)\b", re.IGNORECASE)


def mistake(message: str) -> str:
    """A message's words, the same for all who make one mistake: without numbers and what is theirs alone."""
    words = NUMBERS.sub("0", message.partition(" Left out: ")[0])
    return " ".join(re.sub(r"\(0(?:, 0)*,?\)", "(0)", words).split())[:500]


def _mistakes(rows: Sequence[Row], keys: Sequence[str], model: Model) -> str:
    """What the checks said, by exercise, the commonest first."""
    parts = ["<h3>The commonest mistakes</h3>"]
    for key in keys:
        failed = [row for row in rows if row.grade.messages.get(key)]
        groups: dict[str, list[Row]] = {}
        for row in failed:
            groups.setdefault(mistake(row.grade.messages[key]), []).append(row)
        ordered = sorted(groups.values(), key=lambda group: (_untouched(group[0], key), -len(group)))
        lines = [_mistake(group, key) for group in ordered]
        parts.append(
            f"<h4>{key} · {shown(model.titles.get(key, ''), 200)} "
            f'<span class="dim">{_share(len(rows) - len(failed), len(rows))} pass</span></h4>'
        )
        parts.append(f"<ul>{''.join(lines[:FIRST])}</ul>" if lines else "")
        if rest := lines[FIRST:]:
            parts.append(f"<details><summary>{len(rest)} more</summary><ul>{''.join(rest)}</ul></details>")
    return "".join(parts)


def _untouched(row: Row, key: str) -> bool:
    """Whether nobody wrote an answer: what stands there is what was handed out."""
    return row.grade.messages[key].startswith("NotImplementedError: q")


def _mistake(group: Sequence[Row], key: str) -> str:
    who = ", ".join(
        f'<a class="name" href="{row.page}#{key}">{shown(row.grade.file, 60)}</a>' for row in group
    )
    message = "not written" if _untouched(group[0], key) else shown(group[0].grade.messages[key], 600)
    return (
        f'<li><strong>{len(group)} ×</strong> <span class="says">{message}</span>'
        f"<details><summary>who</summary>{who}</details></li>"
    )


def _share(some: int, of: int) -> str:
    return f"{100 * some / of:.0f} %"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# --- What is alike ------------------------------------------------------------------------------------------

HINT = """<p class="dim">A hint, never a verdict. A pair is named if at least 60 % of the shorter answer's runs of six
tokens of code (three words of text) stand in the other one, too. Comments, layout and the names that one may choose do
not count, nor does what the solution has; what others have, too, counts less. So of two short answers nothing can be
said, and what a third of all have in common is not noticed. Students who worked together, or from one page of the web,
look like this as well: talk with both.</p>"""


def _similar(rows: Sequence[Row], model: Model) -> str:
    answers = [_answers(row.grade) for row in rows]
    question = next((row.grade.open_question for row in rows if row.grade.open_question), "")
    known = {**model.code, OPEN: f"{question}\n{model.answer}\n{model.marking}"}
    found = alike(answers, known)
    parts = [f"<h3>Alike: {_many(len(found), 'pair')}</h3>"]
    if found:
        parts.append(HINT)
    for first, second, how in found[:MOST_PAIRS]:
        words = ", ".join(f"{part} ({pair.share:.0%})" for part, pair in how.items())
        parts.append(
            f"<details><summary>{shown(rows[first].grade.file, 80)} and {shown(rows[second].grade.file, 80)}: "
            f"{words}</summary><p>{rows[first].link} and {rows[second].link}</p>"
        )
        parts.append(_beside(answers[first], answers[second], how) + "</details>")
    if len(found) > MOST_PAIRS:
        parts.append(f"<p>And {_many(len(found) - MOST_PAIRS, 'weaker pair')}.</p>")
    return "".join(parts)


def _answers(grade: Grade) -> dict[str, str]:
    return {**{key: "\n\n".join(code) for key, code in grade.code.items()}, OPEN: grade.open_answer}


def _beside(one: Mapping[str, str], other: Mapping[str, str], how: Mapping[str, Pair]) -> str:
    """The answers that are alike side by side, what they share marked."""
    wanted = [part for part in one if part in how or (ALL in how and part != OPEN)]
    parts = []
    for part in wanted:
        left, right = one[part], other.get(part, "")
        kind = ' class="says"' if part == OPEN else ""
        if left and right:
            columns = "".join(
                f"<pre{kind}>{_marked(text, shared(text, against, part))}</pre>"
                for text, against in ((left, right), (right, left))
            )
            parts.append(f'<h5>{part}</h5><div class="beside">{columns}</div>')
    return "".join(parts)


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, at = [], 0
    for begin, end in spans:
        parts.append(f"{shown(text[at:begin])}<mark>{shown(text[begin:end])}</mark>")
        at = end
    return "".join(parts) + shown(text[at:])


# --- The open answers ---------------------------------------------------------------------------------------


def _open_answers(name: str, rows: Sequence[Row], model: Model) -> str:
    """Every answer with a box for its points, beside the question and how it is marked; the missing ones last."""
    asked = sorted(
        (row for row in rows if row.grade.open_question), key=lambda row: not row.grade.open_answer
    )
    if not asked:
        return ""
    sides = [f"<div>{teachers_text(asked[0].grade.open_question)}</div>"]
    for what, text in (("Marking", model.marking), ("A model answer", model.answer)):
        if text:
            sides.append(f"<h4>{what}</h4>{teachers_text(text)}")
    return (
        f'<h3 id="{name}-open">Open answers <span class="dim" data-progress="{name}"></span></h3>'
        f'<div class="marking"><aside tabindex="0" aria-label="Question and model answer"><details open>'
        f"<summary>Question, marking, model answer</summary>{''.join(sides)}</details></aside>"
        f"<div>{''.join(_open_answer(name, row) for row in asked)}</div></div>"
    )


def _open_answer(name: str, row: Row) -> str:
    grade, of = row.grade, row.grade.open_of
    answer = f'<p class="says" dir="auto">{shown(grade.open_answer)}</p>' if grade.open_answer else NO_ANSWER
    note = shown(grade.open_note)
    box = (
        f'<input inputmode="decimal" autocomplete="off" size="5" value="{shown(grade.open, 100)}" '
        f'data-line="{row.line}" data-homework="{name}" data-of="{of or 999}" '
        f'data-answer="{row.page} {grade.answer}">'
    )
    worth = f" of {of}" if of else ""
    return (
        f'<article id="answer-{row.line}"><h4><a class="name" dir="auto" href="{row.page}#open">'
        f"{shown(grade.file, 120)}</a></h4>"
        f"{answer}<p><label>Points {box}{worth}</label> "
        f'<span class="failed" role="status" id="note-{row.line}" data-text="{note}">{note}</span></p></article>'
    )
