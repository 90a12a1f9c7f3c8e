"""Marks of slides, what a slide shows, the notes, and the lecturers' pages; decks are opened in tests/browser."""

import base64
import html
import io
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_utils.authoring import browser, slides
from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import STATE, VIEW
from course_utils.authoring.slides import Deck, marks_of, read_deck, statement
from course_utils.authoring.stored import is_figure, own_folder

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
LECTURES = ROOT / "docs" / "site" / "lectures"
MARKED = [path.stem for path in NOTEBOOKS]  # a lecture of 90 minutes each, and in part of 45
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
marked = pytest.mark.parametrize("name", MARKED)


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deck]:
    out = tmp_path_factory.mktemp("slides")
    return {name: read_deck(ROOT / "notebooks" / f"{name}.ipynb", out) for name in MARKED}


# --- The course's decks -----------------------------------------------------------------------------------------


def test_the_marked_notebooks_are_those_that_are_looked_at() -> None:
    assert [path.stem for path in NOTEBOOKS if marks_of(path.with_suffix(".py"))] == MARKED


@marked
def test_a_deck_is_a_lecture_and_each_headline_a_sentence(decks: dict[str, Deck], name: str) -> None:
    headlines = [slide.headline for slide in decks[name].slides]
    assert 22 <= len(headlines) <= 36
    assert len(set(headlines)) == len(headlines)
    for headline in headlines:
        assert len(headline) <= 90, headline
        assert not headline.endswith("."), headline
        assert not re.search(r"\d\.\d", headline), f"a trained number may change: {headline}"
    assert decks[name].explorers >= 1


@marked
def test_each_mark_is_a_slide_with_something_to_see(decks: dict[str, Deck], name: str) -> None:
    marks = marks_of(ROOT / "notebooks" / f"{name}.py")
    assert [mark.headline for mark in marks.values()] == [slide.headline for slide in decks[name].slides[1:]]
    for slide in decks[name].slides:
        assert re.search(r"<img|<math|<table|<pre|<li>", slide.body), slide.headline
        code = re.findall(r"<pre>.*?</pre>", slide.body, re.DOTALL)
        assert sum(one.strip().count("\n") for one in code) <= 14, slide.headline


@marked
def test_all_that_the_notebook_says_is_said_once_beside_its_slide(decks: dict[str, Deck], name: str) -> None:
    """Sentences without marks of Markdown are looked for in the notes; an explorer's hint may repeat one."""
    own = [re.sub(r"^<p>Try: .*?</p>", "", slide.notes) for slide in decks[name].slides]
    notes = [" ".join(html.unescape(re.sub(r"<[^>]*>", "", note)).split()) for note in own]
    marks = list(marks_of(ROOT / "notebooks" / f"{name}.py"))
    found = 0
    for number, cell in enumerate(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells):
        text = " ".join(cell.source.partition("## Words\n")[0].split())
        for sentence in re.findall(r"(?<=[.?!] )[A-Z][A-Za-z ,'-]{40,}[.?!](?= )", text):
            if cell.cell_type == "markdown":
                place = sum(mark <= number for mark in marks)
                assert [k for k, note in enumerate(notes) if sentence in note] == [place], sentence
                found += 1
    assert found > 20


@marked
def test_the_lecturers_page_plans_by_headlines(decks: dict[str, Deck], name: str) -> None:
    """Two plans, for 45 and 90 minutes; each names slides of the deck, in their order, and fills its time."""
    text = (LECTURES / f"{name[:2]}.md").read_text(encoding="utf-8")
    headlines = [slide.headline for slide in decks[name].slides]
    for minutes in (45, 90):
        plan = text.partition(f"## {minutes} minutes\n")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| (\d+)–(\d+) \| (.+?) \| (.+?) \|$", plan, re.MULTILINE)
        ends = [int(end) for _, end, _, _ in rows]
        assert [int(start) for start, _, _, _ in rows] == [0, *ends[:-1]]
        assert ends[-1] == minutes
        named = [headline for row in rows for headline in re.findall(r"“(.+?)”", row[2])]
        assert [headline for headline in named if headline not in headlines] == []
        places = [headlines.index(headline) for headline in named]
        assert places == sorted(set(places))
        assert minutes / len(named) >= 1.75
        assert minutes == 45 or named == headlines, "all slides are shown in 90 minutes"
    for part in ("What to ask", "Where students stumble"):
        assert re.search(rf"^## {part}\n\n(- .+\n){{3,}}", text.replace("\n  ", " "), re.MULTILINE), part


def test_no_figure_has_smaller_text_than_a_magnified_one_is_sized_for() -> None:
    """deck.js takes 7 points at 100 dots an inch for the smallest; its widths and the sizes in the sources tell."""
    deck = (slides.LOOKS / "deck.js").read_text(encoding="utf-8")
    (least,) = re.findall(r"const SMALLEST = \((\d+) \* 100\) / 72;", deck)
    sources = [path.with_suffix(".py") for path in NOTEBOOKS]
    sources += [ROOT / "course_utils" / f"{name}.py" for name in ("viz", "style", "progress")]
    sizes = [
        size
        for path in sources
        for size in re.findall(r"(?:font|label)_?size\W*[=:]\s*([^,)\n]+)", path.read_text(encoding="utf-8"))
    ]
    assert len(sizes) > 20
    assert min(map(float, sizes)) >= float(least)
    dots = []
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            width = re.findall(r"figsize=\(([\d.]+), [\d.]+\)", cell.source)
            drawn = [out.data["image/png"] for out in cell.get("outputs", []) if is_figure(out)]
            if len(width) == len(drawn) == 1:
                dots.append(Image.open(io.BytesIO(base64.b64decode(drawn[0]))).width / float(width[0]))
    assert len(dots) > 50
    assert 98 < statistics.median(dots) < 105  # they are stored with a margin more and empty room less


# --- What a mark does -------------------------------------------------------------------------------------------


def notebook(folder: Path, marks: dict[int, str]) -> Path:
    """A small notebook: a title, a text with two formulas, code with a figure, code with a table, an explorer."""
    cells = [
        ("markdown", "# 09 · Small\n\n작은\n\nYou can\n\n1. see;\n2. say $x$."),
        (
            "markdown",
            "## 1 · Part (V1)\n\nSome *text*.\n\n$$a = b.$$\n\n$$c = \\frac{1}{2}\n= d, \\qquad e$$",
        ),
        ("code", "def f(x):\n    y = 2 * x  # twice\n    return y\n\n\nf(1)"),
        ("markdown", "What was seen."),
        ("code", "table"),
        ("code", "explorer"),
    ]
    lines, nb = [], nbformat.v4.new_notebook()
    for number, (kind, source) in enumerate(cells):
        head = "# %%" + (" [markdown]" if kind == "markdown" else "") + marks.get(number, "")
        body = [f"# {line}".rstrip() for line in source.split("\n")] if kind == "markdown" else [source]
        lines += [head, *body, ""]
        nb.cells.append(getattr(nbformat.v4, f"new_{kind}_cell")(source))
    nb.cells[2].outputs = [
        nbformat.v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
    ]
    table = {"text/markdown": "| name | value |\n| --- | ---: |\n| one | 1 |", "text/plain": ""}
    nb.cells[4].outputs = [nbformat.v4.new_output("display_data", table)]
    nb.cells[5].outputs = [
        nbformat.v4.new_output("display_data", {VIEW: {"model_id": "a"}, "image/png": PIXEL})
    ]
    parts = {"controls": [{"name": "t", "group": "Walk"}], "panels": [{"group": "Map"}], "readouts": []}
    state = {
        "a": {
            "state": {
                "_esm": "",
                "_anywidget_id": "course_utils.explorers.Explorer",
                "title": "T",
                "hint": "Try: drag.",
                **parts,
            }
        }
    }
    nb.metadata["widgets"] = {STATE: {"state": state, "version_major": 2, "version_minor": 0}}
    (folder / "09_small.py").write_text("\n".join(lines), encoding="utf-8")
    nbformat.write(nb, folder / "09_small.ipynb")
    return folder / "09_small.ipynb"


def test_what_is_shown_and_what_is_said(tmp_path: Path) -> None:
    marks = {
        1: ' slide="Formulas"',
        2: ' alt="A dot, which is white." slide="A figure" slide_code="y ="',
        4: ' slide="A table" slide_points="one | $p \\\\mid q$"',
        5: ' slide="Drag" slide_part="Map"',
    }
    deck = read_deck(notebook(tmp_path, marks), tmp_path / "out")
    first, formulas, figure, table, explorer = deck.slides
    assert (deck.title, first.headline, deck.explorers) == ("09 · Small", "09 · Small", 1)
    assert "작은" in first.body
    assert first.body.count("<li>") == 2
    assert formulas.section == figure.section == "1 · Part"
    assert formulas.body.count('<div class="formula">') == 2
    assert formulas.body.count("<math") == 4, "it may wrap before the second = and does at the wide space"
    assert formulas.body.count("<i></i>") == 1
    assert "Some <em>text</em>" in formulas.notes
    assert "What was seen" in figure.notes
    assert 'alt="A dot, which is white." src="files/figures/09_small-01.png"' in figure.body
    assert (tmp_path / "out" / "files" / "figures" / "09_small-01.png").is_file()
    code = re.sub(r"<[^>]*>", "", figure.body)
    assert code.strip() == "y = 2 * x  # twice"
    assert "<td" in table.body
    assert table.body.count("<li>") == 2
    assert table.body.count("<math") == 1
    assert 'class="stage part" data-fill' in explorer.body
    assert explorer.notes == "<p>Try: drag.</p>\n"
    stored = (tmp_path / "out" / "files" / "explorers" / "09_small.js").read_text(encoding="utf-8")
    assert '"panels": [{"group": ""}]' in stored
    assert '"group": "Walk"' in stored


def test_points_stand_instead_of_formulas_that_are_not_asked_for(tmp_path: Path) -> None:
    for marks, shown in (('slide_points="x"', 0), ('slide_points="x" slide_formulas=[2]', 1), ("", 2)):
        deck = read_deck(notebook(tmp_path, {1: f' slide="H" {marks}'}), tmp_path / "out")
        assert deck.slides[1].body.count('<div class="formula">') == shown


@pytest.mark.parametrize(
    ("number", "mark", "message"),
    [
        (1, 'slide_points="x"', r"09_small\.py, cell 2: slide_points needs a headline"),
        (1, 'slide="H" slide_text="x"', "cell 2: 'slide_text' is no mark of a slide"),
        (1, 'slide="H" slide_formulas=[3]', r"“H”: slide_formulas=\[3\], but the cell has 2"),
        (1, 'slide="H" slide_code=true', "“H”: slide_code shows code"),
        (2, 'slide="H" slide_code="z ="', "“H”: slide_code='z =': no statement of the cell begins so"),
        (2, 'slide="H" slide_formulas=[1]', "“H”: slide_formulas chooses among"),
        (3, 'slide="H"', "“H”: the slide would be empty"),
        (5, 'slide="H" slide_part="Way"', r"“H”: slide_part='Way': the explorer's headings are \['Map', 'Walk'\]"),
    ],
)  # fmt: skip
def test_a_mark_that_cannot_be_shown_is_named(tmp_path: Path, number: int, mark: str, message: str) -> None:
    with pytest.raises(NotebookError, match=message):
        read_deck(notebook(tmp_path, {number: f" {mark}"}), tmp_path / "out")


def test_a_notebook_with_other_cells_than_its_source_is_not_shown(tmp_path: Path) -> None:
    ipynb = notebook(tmp_path, {3: ' slide="H" slide_points="x"'})
    py = ipynb.with_suffix(".py")
    py.write_text(py.read_text(encoding="utf-8") + "\n# %%\nnew\n", encoding="utf-8")
    done = CliRunner().invoke(slides.app, [str(ipynb), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "build it first" in done.output


def test_a_statement_is_found_where_it_is_nested() -> None:
    source = "class A:\n    def f(self):\n        # so\n        return 1\n\n    x = 2\n"
    assert statement(source, "def f") == "def f(self):\n    # so\n    return 1"
    assert statement(source, "x =") == "x = 2"


def test_a_formula_stays_whole_inside_brackets() -> None:
    for formula, parts in (
        ("a\n= b", 2),
        ("\\left( a\n= b \\right)", 1),
        ("\\frac{a\n}{b}", 1),
        ("\\frac{a}\n{b}", 1),
        ("\\begin{aligned} a &= b \\\\\nc &= d \\end{aligned}", 1),
    ):
        assert slides._wrapping(formula).count("<math") == parts, formula


@pytest.mark.parametrize(
    ("formulas", "points", "heading"),
    [((1,), (), "First"), ((2,), (), "Second"), (None, (), "First"), (None, ("x",), "First")],
)
def test_a_slide_stands_under_the_heading_of_its_first_formula(
    formulas: tuple[int, ...] | None, points: tuple[str, ...], heading: str
) -> None:
    source = "Of the slide before.\n\n## First\n\n$$a$$\n\n## Second (V1)\n\n$$b$$"
    mark = slides.Mark("H", points, formulas, False, "")
    assert slides.heading_of(source, mark) == heading


def test_a_figure_is_shown_without_its_white_margin(tmp_path: Path) -> None:
    ipynb = notebook(tmp_path, {2: ' slide="H"'})
    nb = nbformat.read(ipynb, as_version=4)
    drawn = Image.new("RGB", (90, 60), "white")
    drawn.paste((250, 250, 255), (10, 20, 40, 30))
    file = io.BytesIO()
    drawn.save(file, "png")
    nb.cells[2].outputs[0].data["image/png"] = base64.b64encode(file.getvalue()).decode()
    nbformat.write(nb, ipynb)
    body = read_deck(ipynb, tmp_path / "out").slides[1].body
    assert 'width="30" height="10"' in body
    with Image.open(tmp_path / "out" / "files" / "figures" / "09_small-01.png") as shown:
        assert shown.getcolors() == [(300, (250, 250, 255))]


def test_a_figure_in_another_format_is_named(tmp_path: Path) -> None:
    ipynb = notebook(tmp_path, {2: ' slide="H"'})
    nb = nbformat.read(ipynb, as_version=4)
    nb.cells[2].outputs[0].data = {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}
    nbformat.write(nb, ipynb)
    with pytest.raises(NotebookError, match=r"cell 3, “H”: a figure is stored as image/svg\+xml alone"):
        read_deck(ipynb, tmp_path / "out")


def test_a_browser_of_any_name_prints_and_without_one_it_is_said_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotebookError, match=r"none of chromium, .*, chrome is on the PATH"):
        slides.print_decks(tmp_path, [])
    for name in reversed(browser.NAMES):  # those before it are preferred
        (tmp_path / name).touch(0o755)
        assert browser.find_chromium() == str(tmp_path / name)


def test_an_unmarked_notebook_has_no_deck(tmp_path: Path) -> None:
    ipynb = notebook(tmp_path, {})
    assert slides.build([ipynb], tmp_path / "out") == []
    assert [path.name for path in (tmp_path / "out").glob("*.html")] == ["index.html"]


def test_a_folder_that_somebody_else_has_filled_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "documents"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("all of it")
    for taken in (theirs, theirs / "thesis.tex"):
        with pytest.raises(NotebookError, match="has not written"):
            own_folder(taken)
    assert (theirs / "thesis.tex").read_text() == "all of it"
    for ours in (tmp_path / "a" / "slides", tmp_path / "a" / "slides"):  # made, and then emptied
        own_folder(ours)
        (ours / "page.html").touch()
    assert (tmp_path / "a" / "slides" / "page.html").exists()
    own_folder(tmp_path / "a" / "slides")
    assert not (tmp_path / "a" / "slides" / "page.html").exists()
