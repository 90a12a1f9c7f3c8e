"""What people get from grading: the table, the students' pages, the teacher's page, and the points that come back."""

import ast
import csv
import io
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import nbformat
import pytest
from hostile import FORMULAS, TEXTS
from independent import ANCESTRAL, PENALTY
from test_homework import make

from course_utils.authoring import homework
from course_utils.authoring.homework import HomeworkError
from course_utils.grading import cells, grade, reading
from course_utils.grading.marks import CHANGED, GONE, NOT_READ, Mark, keep_marks, points, read_marks
from course_utils.grading.overview import Model, mistake, overview
from course_utils.grading.report import (
    Grade,
    page,
    page_name,
    table,
    table_parts,
    tame,
    visible,
    write_pages,
)
from course_utils.grading.sandbox import Limits
from course_utils.grading.similarity import ALL, OPEN, alike, code_tokens, pairs, runs, shared

ROOT = Path(__file__).parents[2]
HOMEWORK = ROOT / "notebooks" / "homework"
QUESTION = "## 7 · Open question\n\nWhy is $x_1$ so?\n\n*5 points.*"


def row(file: str = "kim.ipynb", *, answer: str = "Because.", q2: str = "q2: is 3", **more: object) -> Grade:
    """A graded submission to homework 04 with one exercise passed, and one if `q2` is empty."""
    return Grade(
        file,
        "hw04",
        {"q1": True, "q2": not q2},
        {"q1": "", "q2": q2},
        code={"q1": ["x = 1"], "q2": ["y = 2"]},
        open_answer=answer,
        open_question=QUESTION,
        **more,
    )


def parsed(text: str, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


# --- The table ----------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_submission() -> None:
    rows = [row(seconds=1.5, seed=7, open="3.5"), Grade("a.pdf", note="is a PDF")]
    text = table(rows, ["kim.html", "a.html"])
    head = "file,homework,points,of,q1,q2,open,open of,open note,note,seconds,seed,page,answer"
    assert text.startswith(head + "\n")
    one, other = parsed(text)
    assert [one[name] for name in ("points", "of", "q1", "q2")] == ["1", "2", "1", "0"]
    assert [one[name] for name in ("open", "open of", "open note", "seed")] == ["3.5", "5", "", "7"]
    assert re.fullmatch("[a-z]{8}", one["answer"])
    assert {other[name] for name in head.split(",")} == {"a.pdf", "is a PDF", "a.html", ""}


def test_the_pieces_of_the_table_are_the_table_whatever_stands_in_it() -> None:
    rows = [row(f"{text}.ipynb", open=text, open_note=text, note=text) for text in TEXTS.values()]
    pages = [page_name(one.file) for one in rows]
    parts, lines = table_parts(rows, pages), table(rows, pages).splitlines(keepends=True)
    assert ["".join(line) for line in parts] == lines
    assert len(lines) == len(rows) + 1
    for n, (one, read) in enumerate(zip(rows, parsed("".join(lines)), strict=True), 1):
        assert (read["file"], read["open"], read["note"]) == (tame(one.file), tame(one.open), tame(one.note))
        one.open, one.open_note = "4", ""
        assert table(rows[n - 1 : n], pages[n - 1 : n]).splitlines(True)[1] == "".join(
            [parts[n][0], "4", parts[n][2], "", parts[n][4]]
        )


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_is_a_formula(text: str, separator: str) -> None:
    """Also where a spreadsheet splits the lines elsewhere."""
    one = row(text, open=text, open_note=text, note=text)
    for cells_of_line in csv.reader(io.StringIO(table([one], ["p.html"])), delimiter=separator):
        for cell in cells_of_line:
            assert not re.match(r'[\s"]*[=+@＝＋－＠-]', cell), cell
            assert cell.isprintable() or separator == "\t"


# --- Points come back ---------------------------------------------------------------------------------------

MARKED = [
    row("김학생_hw04.ipynb", open="3.5"),
    row('=1+1;"x".ipynb', open="0"),
    row("lee, jo.ipynb"),
    row("park.ipynb", open="see me", open_note="late; but well said"),
]


def written(separator: str = ",", quoting: int = csv.QUOTE_MINIMAL, end: str = "\n") -> str:
    """The table as a spreadsheet writes it."""
    rows = csv.reader(io.StringIO(table(MARKED, [page_name(one.file) for one in MARKED])))
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
    return text.getvalue()


SPREADSHEETS = {
    "as it was": written().encode(),
    "a mark": written().encode("utf-8-sig"),
    "Windows": written(end="\r\n").encode("utf-8-sig"),
    "an old Mac": written(end="\r").encode(),
    "semicolons": written(";", end="\r\n").encode(),
    "semicolons, a comma in numbers": written(";").replace("3.5", "3,5").encode(),
    "Excel's first line": b"sep=;\r\n" + written(";", end="\r\n").encode(),
    "all quoted": written(quoting=csv.QUOTE_ALL).encode(),
    "LibreOffice, texts quoted": written(";", csv.QUOTE_NONNUMERIC).encode(),
    "Excel's Unicode text": written("\t", end="\r\n").encode("utf-16"),
    "Korean Windows": written(";", end="\r\n").encode("cp949"),
    "names destroyed": written(";").encode("ascii", "replace"),
    "columns in another order": "".join(
        ",".join([line.split(",")[n] for n in (13, 6, 12, 8)]) + "\n"
        for line in written().replace("lee, ", "lee ").splitlines()
    ).encode(),
    "empty lines": b"\n\n" + written().replace("\n", "\n\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_points_come_back_from_what_a_spreadsheet_wrote(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "grades.csv"
    out.write_bytes(SPREADSHEETS[kind])
    rows = [replace(one, open="", open_note="") for one in MARKED]
    assert keep_marks(rows, read_marks(out)) == []
    assert [one.open for one in rows] == ["3.5", "0", "", "see me"]
    assert [one.open_note for one in rows[:3]] == ["", "", ""]
    assert rows[3].open_note == "not a number of points from 0 to 5 late; but well said"
    pages = [page_name(one.file) for one in rows]
    out.write_text(table(rows, pages))
    again = [replace(one, open="", open_note="") for one in MARKED]
    keep_marks(again, read_marks(out))
    assert table(again, pages) == table(rows, pages)


@pytest.mark.parametrize(
    ("text", "of", "wanted"),
    [
        ("0", 5, "0"), ("5", 5, "5"), ("3,5", 5, "3.5"), (" 3.50 ", 5, "3.5"), ("03", 5, "3"), ("6", 5, None),
        ("5.01", 5, None), ("-1", 5, None), ("1e1", 50, None), ("٣", 5, None), ("nan", 5, None), ("", 5, None),
        ("17", 0, "17"), ("3. May", 5, None),
    ],
)  # fmt: skip
def test_what_is_a_number_of_points(text: str, of: int, wanted: str | None) -> None:
    assert points(text, of) == wanted


def marked(rows: list[Grade]) -> list[Mark]:
    """What the rows' table says, through the file."""
    return [
        Mark(tame(one.file), page_name(one.file), one.homework, one.open, one.open_note, one.answer or one.open_for)
        for one in rows
    ]  # fmt: skip


def test_points_for_an_answer_that_changed_are_kept_and_noted() -> None:
    before, now = row(open="4"), row(answer="Because of that.")
    for _ in range(2):  # and stay so
        assert keep_marks([now], marked([before])) == []
        assert (now.open, now.open_note) == ("4", CHANGED)
        before, now = now, row(answer="Because of that.")
    third = row(answer="Because of this.")
    keep_marks([third], marked([before]))
    assert (third.open, third.open_note) == ("4", CHANGED)
    before.open_note = ""  # the teacher has seen to it
    keep_marks([now], marked([before]))
    assert (now.open, now.open_note) == ("4", "")


def test_points_of_a_submission_that_cannot_be_read_now_wait_for_it() -> None:
    first, damaged = row(open="4"), Grade("kim.ipynb", note="is not a notebook")
    keep_marks([damaged], marked([first]))
    assert (damaged.open, damaged.open_note) == ("4", NOT_READ)
    same, other = row(), row(answer="Another.")
    for now, note in ((same, ""), (other, CHANGED)):
        keep_marks([now], marked([damaged]))
        assert (now.open, now.open_note) == ("4", note)


def test_points_of_a_submission_that_is_gone_keep_their_row_until_it_is_deleted() -> None:
    here, away = row("here.ipynb"), row("=away.ipynb", open="4")
    (gone,) = keep_marks([here], marked([row("here.ipynb", open="2"), away, row("never marked.ipynb")]))
    assert (gone.note, gone.open, gone.homework, gone.open_for) == (GONE, "4", "hw04", away.answer)
    assert parsed(table([gone], ["p"]))[0]["points"] == ""
    (still,) = keep_marks([here], marked([here, gone]))
    assert still == gone
    back = row("=away.ipynb")
    assert keep_marks([here, back], marked([here, still])) == []
    assert (back.open, back.open_note, here.open) == ("4", "", "2")


@pytest.mark.parametrize("text", ["the points", "file,points\nkim.ipynb,3\n", "PK\x03\x04 an xlsx", '"open'])
def test_a_table_whose_points_cannot_be_read_is_not_overwritten(text: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "in" / "kim.ipynb")
    out = tmp_path / "grades.csv"
    out.write_text(text)
    with pytest.raises(HomeworkError, match=r"grades\.csv is there and is not a table of grades"):
        grade.grade(tmp_path / "in", out, solutions=HOMEWORK / "solution", limits=Limits(wall=False))
    assert out.read_text() == text


def test_grading_again_takes_the_points_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homework.build(make(tmp_path))
    solutions, folder = tmp_path / "notebooks" / "homework" / "solution", tmp_path / "in"
    folder.mkdir()
    for name in ("kim", "lee"):
        nbformat.write(nbformat.v4.new_notebook(), folder / f"{name}.ipynb")
    out = folder / "grades.csv"  # among the submissions

    def graded(file, homeworks, start, limits):
        return replace(row(file.name), homework="hw99")

    monkeypatch.setattr(grade, "grade_file", graded)
    limits = Limits(wall=False)
    rows = grade.grade(folder, out, solutions=solutions, limits=limits, progress=False)
    assert [one.open for one in rows] == ["", ""]
    out.write_text(out.read_text().replace("lee.ipynb,hw99,1,2,1,0,,", "lee.ipynb,hw99,1,2,1,0,4,"))
    rows = grade.grade(folder, out, solutions=solutions, limits=limits, progress=False)
    assert [one.open for one in rows] == ["", "4"]
    assert out.read_bytes().startswith(b"\xef\xbb\xbffile,")  # by the mark Excel knows UTF-8
    assert [one["open"] for one in parsed(out.read_text("utf-8-sig"))] == ["", "4"]
    pages = {path.name for path in (folder / "grades").iterdir()}
    assert pages == {"index.html", page_name("kim.ipynb"), page_name("lee.ipynb")}
    assert "4 of 5 points" in (folder / "grades" / page_name("lee.ipynb")).read_text()
    (folder / "lee.ipynb").unlink()
    rows = grade.grade(folder, out, solutions=solutions, limits=limits, progress=False)
    assert [(one.open, one.note) for one in rows] == [("", ""), ("4", GONE)]


# --- The pages ----------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def hostile(text: str) -> Grade:
    return Grade(
        f"{text}.ipynb",
        "hw04",
        {"q1": False, "q2": True},
        {"q1": text, "q2": ""},
        code={"q1": [text], "q2": [text, text]},
        open_answer=text,
        open_question=QUESTION,
        left_out=[text],
        open=text,
        open_note=text,
    )


HARMLESS = hostile("harmless")


@pytest.mark.parametrize("what", TEXTS)
def test_what_students_write_is_text_on_every_page(what: str) -> None:
    """The pages of a hostile submission have the tags and the attributes of a harmless one's."""
    evil = hostile(TEXTS[what])
    not_graded = Grade(TEXTS[what], note=TEXTS[what])
    for make_page in (
        lambda one, other: page(one),
        lambda one, other: page(other),
        lambda one, other: overview(
            [one, other], [page_name(one.file), page_name(other.file)], {"hw04": Model()}, "grades.csv"
        ),
    ):
        got = Tags(make_page(evil, not_graded))
        want = Tags(make_page(HARMLESS, Grade("harmless", note="harmless")))
        assert got.tags == want.tags
        assert [name for name, _ in got.attributes] == [name for name, _ in want.attributes]
        links = [value for name, value in got.attributes if name in ("href", "src", "action")]
        assert all(re.fullmatch(r"(?:[A-Za-z0-9_-]+\.html)?(?:#[\w-]+)?", link or "") for link in links), (
            links
        )
    for text in (page(evil), page(not_graded)):
        text.encode()
        assert len(text) < 2_000_000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"), ("한글\tα é\n", "한글\tα é\n"), ("a\x1bb", "a⟨U+001B⟩b"), ("\u202egpj", "⟨U+202E⟩gpj"),
        ("a\r\n", "a⟨U+000D⟩\n"), ("\ud800", "⟨U+D800⟩"), ("👩\u200d🔬", "👩\u200d🔬"), ("\u2028", "⟨U+2028⟩"),
        ("e\u0301", "e\u0301"), ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + "⟨U+0301⟩×2"),
    ],
)  # fmt: skip
def test_what_cannot_be_seen_is_shown_by_its_number(text: str, wanted: str) -> None:
    assert visible(text) == wanted


def test_a_students_page_holds_what_is_the_students_and_nothing_else() -> None:
    one = row(open="4", q2="q2: is 3, should be 5", left_out=["cell 3, line 1: `os` is not allowed"])
    one.code["q2"] = ["\n".join(f"x{n} = {n}" for n in range(40))]
    text = page(one)
    for part in (
        "1 of 2 exercises pass",
        "q2: is 3, should be 5",
        "<msub>",
        "Because.",
        "4 of 5 points.",
        "`os`",
    ):
        assert part in text
    assert text.count("<details>") == 1
    assert "40 lines of code" in text
    assert "<script" not in text
    assert "index.html" not in text
    assert "see me" not in page(row(open="see me", open_note="of me"))
    assert "points." not in page(row()).partition("Because.")[2]


def test_the_solutions_of_the_course_have_question_answer_and_marking() -> None:
    for solution in sorted((HOMEWORK / "solution").glob("hw*.ipynb")):
        own = reading.read_homework(solution)
        model, marking = cells.model_answer(own)
        question = cells.open_question(own)
        assert len(model) > 200
        assert len(marking) > 100
        assert "**" not in marking
        assert question[-40:] not in model
        assert Grade("", open_question=question).open_of == 5
        assert list(cells.titles(own)) == own.keys
        text = overview([row()], ["p.html"], {"hw04": Model(answer=model, marking=marking)}, "grades.csv")
        assert text.count("<math") == (QUESTION + model + marking).replace("$$", "$").count("$") // 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("q1: f(a) is 3.2, should be 5.1", "q1: f(a) is -4e-05, should be 12", True),
        ("q1: f has shape (3, 4), should have (3,)", "q1: f has shape (7,), should have (2, 2)", True),
        ("q1: x is nan at index (3, 4), should be 0.1", "q1: x is inf at index (0,), should be 0.2", True),
        ("q1: f fails Left out: cell 3", "q1: f fails Left out: cell 9, line 2", True),
        ("q1: f1(a) is 3", "q1: f2(a) is 3", False),
        ("NameError: name 'a' is not defined", "NameError: name 'b' is not defined", False),
        ("q1: has the wrong sign", "q1: is transposed", False),
    ],
)
def test_one_mistake_is_one_whatever_its_numbers(one: str, other: str, same: bool) -> None:
    assert (mistake(one) == mistake(other)) == same


def test_an_exercise_that_nobody_touched_is_no_mistake_and_stands_last() -> None:
    stub = "NotImplementedError: q2: write your solution here"
    rows = [row(f"{name}.ipynb", q2=stub) for name in "abc"] + [row("d.ipynb", q2="q2: is 3, should be 5")]
    text = overview(rows, [page_name(one.file) for one in rows], {}, "g.csv")
    listed = text[text.index("The commonest mistakes") :]
    assert listed.index("is 3, should be 5") < listed.index("<strong>3 ×</strong>")
    assert "not written" in listed
    assert stub not in listed


def test_the_overview_names_everybody_and_counts() -> None:
    rows = [
        row("a.ipynb", q2="q2: is 3, should be 5"),
        row("b.ipynb", q2="q2: is 4, should be 5"),
        row("c.ipynb", q2="", open="2", answer=""),
        Grade("old.ipynb", "hw04", note="superseded by a.ipynb"),
        Grade("d.pdf", note="is a PDF"),
        replace(row("e.ipynb"), homework="hw05"),
    ]
    pages = [page_name(one.file) for one in rows]
    text = overview(rows, pages, {"hw04": Model({"q2": "A number"}, {}, "The model.", "The rule.")}, "g.csv")
    first = text.partition("</section>")[0]
    assert first.index("d.pdf") < first.index("old.ipynb")
    assert "6 submissions, 4 of them graded" in text
    hw04 = text[text.index('<section id="hw04">') : text.index('<section id="hw05">')]
    assert "4 submissions, 3 graded" in hw04
    assert 'aria-label="Exercises passed. 1: 2 submissions; 2: 1 submission"' in hw04
    assert hw04.count(" ×</strong>") == 1
    assert "<strong>2 ×</strong>" in hw04
    assert "q2 · A number" in hw04
    assert "33 %" in hw04
    assert f'href="{pages[0]}#q2" aria-label="q2: not yet"' in hw04
    answers = hw04[hw04.index('id="hw04-open"') :]
    assert (
        answers.index("a.ipynb") < answers.index("b.ipynb") < answers.index("c.ipynb")
    )  # without an answer: last
    assert "The model." in answers
    assert "The rule." in answers
    data = json.loads(re.search(r'id="table">(.*?)</script>', text)[1])
    assert data["name"] == "g.csv"
    assert "".join(map("".join, data["lines"])) == table(rows, pages)


def test_pages_lie_where_the_overview_links_to(tmp_path: Path) -> None:
    rows = [hostile(text) for text in TEXTS.values()]
    names = write_pages(rows, tmp_path)
    text = overview(rows, names, {}, "grades.csv")
    linked = {link.partition("#")[0] for link in re.findall(r'href="([^"]+)"', text)} - {""}
    assert linked == {path.name for path in tmp_path.iterdir()} == set(names)


# --- What is alike ------------------------------------------------------------------------------------------


def solution_code(name: str) -> dict[str, str]:
    own = reading.read_homework(HOMEWORK / "solution" / f"{name}.ipynb")
    nb, _ = reading.read_submission(HOMEWORK / "solution" / f"{name}.ipynb")
    return {key: "\n\n".join(code) for key, code in cells.answers(nb, own).items()}


def renamed(code: str, n: int) -> str:
    """A copy with other names, another layout, other comments, and a line that does nothing."""
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    names = {name: f"my_{name}_{n}" for name in own}
    for node in nodes:
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
    function = tree.body[0]
    function.body.insert(n % len(function.body), ast.parse("print('here')").body[0])
    return "\n".join(f"{line}  # step" for line in ast.unparse(tree).split("\n"))


EXERCISES = [("hw05", "q4", PENALTY), ("hw07", "q4", ANCESTRAL)]


@pytest.mark.parametrize(("name", "key", "variants"), EXERCISES, ids=["penalty", "ancestral"])
def test_a_renamed_copy_is_found_and_independent_answers_are_not(
    name: str, key: str, variants: list[str]
) -> None:
    known = solution_code(name)
    assert alike([{key: code} for code in variants], known) == []
    for n, code in enumerate(variants):
        ((first, second, how),) = alike([{key: c} for c in [*variants, renamed(code, n)]], known)
        assert (first, second) == (n, 10)
        assert set(how) == {key, ALL}
    ring = [renamed(variants[2], n) for n in range(4)]  # five of fourteen
    found = {(first, second) for first, second, _ in alike([{key: c} for c in [*variants, *ring]], known)}
    assert found == set(combinations([2, 10, 11, 12, 13], 2))
    both = alike([{key: variants[0]}, {key: renamed(variants[0], 1)}], known)  # no others to compare with
    assert len(both) == 1


def test_wrong_answers_of_one_author_are_rarely_named() -> None:
    """They are the solution with one mistake each: what they share with it says nothing, and little else is left."""
    named = of = 0
    for wrong in sorted((HOMEWORK / "source").glob("hw*_wrong.py")):
        known = solution_code(wrong.name[:4])
        by_key: dict[str, list[str]] = {}
        for cell in wrong.read_text().split("# %%\n")[1:]:
            if match := re.match(r"# WRONG (q\d):", cell):
                by_key.setdefault(match[1], []).append(cell)
        for key, codes in by_key.items():
            named += len(pairs([runs(code, key) - runs(known[key], key) for code in codes]))
            of += len(codes) * (len(codes) - 1) // 2
    assert of > 5000
    assert named < of / 200


def test_right_short_answers_that_everybody_gives_are_not_named() -> None:
    known = solution_code("hw05")
    students = [{key: code.replace("t", "t").replace("    ", "  ") for key, code in known.items()}] * 12
    assert alike(students, known) == []
    idiom = "def f(x):\n    return x.square().sum(dim=1).sqrt().clamp(min=1e-6).log().mean().exp().item() + 1"
    assert alike([{"q1": idiom}] * 12, {}) == []


def test_open_answers_are_compared_by_their_words() -> None:
    question = "Why does the loss of the model fall so slowly here, and what would you measure to find out?"
    copied = (
        "The encoder gets no gradient because the code was drawn under no_grad, so I would look at the gradient of "
        "its first layer after one backward pass of the reconstruction alone."
    )
    others = [
        "I think the KL term is too large. One can make beta smaller and look if it rises on the test images.",
        "The learning rate could be too small, then training longer helps and the curves fall again after some time.",
        f"{question} Perhaps the decoder is too strong and needs no code at all, which sampling codes would show.",
        f"{question} It was not trained for long enough; I would train for ten times as many steps and compare.",
    ]
    changed = copied.replace("I would look at", "we look at").replace("The encoder", "My encoder").upper()
    answers = [{OPEN: text} for text in [*others, copied, changed]]
    ((first, second, how),) = alike(answers, {OPEN: question})
    assert (first, second, set(how)) == (4, 5, {OPEN})


def test_what_is_shared_is_marked() -> None:
    one = "a = torch.ones(3).cumsum(0).flip(0)\nb = 1"
    other = "x = 4\nmine = torch.ones(3).cumsum(0).flip(0)"
    assert [one[begin:end] for begin, end in shared(one, other, "q1")] == [one.split("\n")[0]]
    text = overview(
        [row("a.ipynb"), row("b.ipynb")], ["a.html", "b.html"], {}, "grades.csv"
    )  # a copy, but a short one
    assert "<mark>" not in text
    codes = [PENALTY[1], renamed(PENALTY[1], 3)]
    rows = [replace(row(f"{n}.ipynb"), code={"q1": [code]}) for n, code in enumerate(codes)]
    text = overview(rows, ["0.html", "1.html"], {}, "grades.csv")
    assert "<mark>" in text
    assert "A hint, never a verdict" in text


@pytest.mark.parametrize(
    "text", ['"' * 20_000, "'''" * 6667, '"\\' * 10_000, 'f"{' * 6000, "(" * 20_000, "#\n" * 9000]
)
def test_broken_code_is_compared_all_the_same(text: str) -> None:
    began = time.process_time()
    list(code_tokens(text))
    assert time.process_time() - began < 2


def test_a_hundred_submissions_are_compared_in_seconds() -> None:
    many = [*PENALTY, *ANCESTRAL]
    students = [
        {f"q{q}": renamed(many[(n + q) % 20], n) + f"\nx = {n}" * 30 for q in range(6)}
        | {OPEN: f"word{n} " * 300}
        for n in range(100)
    ]
    began = time.process_time()
    alike(students, {})
    assert time.process_time() - began < 10
