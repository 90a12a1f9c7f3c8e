"""Each notebook as a lecture: `make slides` writes one page a notebook into `slides/`; open its index.html.

What is shown is marked in the notebook's source, behind the `# %%` of a cell (CONTRIBUTING.md says how). Nothing is
run: a slide shows figures, tables and explorers that the notebook stores; what is said is the notebook's own prose.
"""

import ast
import base64
import html
import io
import os
import re
import shutil
import textwrap
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import nbformat
import typer
from nbconvert.filters.highlight import Highlight2HTML
from nbformat import NotebookNode
from PIL import Image, ImageChops

from course_utils.authoring.browser import NAMES, find_chromium
from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import VIEW, parse, write_text
from course_utils.authoring.pages import MATH, WIDGET_SCRIPT, formulas, markdown_to_html, mathml
from course_utils.authoring.site_notebooks import HEADING, SUMMARY, TO_COLAB
from course_utils.authoring.stored import (
    alternative_texts,
    is_figure,
    living,
    own_folder,
    picture,
    scripts,
    take_widgets,
    texts_of_figures,
    write_states,
)

ROOT = Path(__file__).resolve().parents[2]
LOOKS = ROOT / "docs" / "slides"
KEYS = ("slide", "slide_points", "slide_formulas", "slide_code", "slide_part")
SIZE = re.compile(r'width="(\d+)" height="(\d+)"')
CLAIMS = re.compile(r"\s*\([A-Z]\d[^)]*\)$")
OF_WORDS = re.compile(r"^## Words\n.*", re.DOTALL | re.MULTILINE)  # the list of words is for reading


class Mark(NamedTuple):
    """What the source says of a slide, see `marks_of`."""

    headline: str
    points: tuple[str, ...]
    formulas: tuple[int, ...] | None  # which of the cell's display formulas, from 1; None: all
    code: bool | tuple[str, ...]  # all of the cell's, or the statements that begin so
    part: str  # the heading in an explorer whose part alone is shown, with what has no heading; "": all of it


class Slide(NamedTuple):
    """One slide, in HTML but for the headline and the section, which are text with formulas."""

    headline: str
    section: str
    body: str
    notes: str


class Deck(NamedTuple):
    """A notebook's slides, the first of which bears its title."""

    name: str
    title: str
    slides: tuple[Slide, ...]
    explorers: int


def marks_of(py: Path | str) -> dict[int, Mark]:
    """The marked cells of a py:percent source, by their number from 0.

    Raises:
        NotebookError: a mark without a headline, or one that says nothing that a slide knows.
    """
    found = {}
    for number, cell in enumerate(parse(Path(py).read_text(encoding="utf-8")).cells):
        given = {key: value for key, value in cell.metadata.items() if key.startswith("slide")}
        where = f"{Path(py).name}, cell {number + 1}"
        if unknown := sorted(set(given) - set(KEYS)):
            raise NotebookError(f"{where}: {unknown[0]!r} is no mark of a slide; there are {', '.join(KEYS)}")
        if not given:
            continue
        headline = given.get("slide")
        if not isinstance(headline, str) or not headline.strip():
            raise NotebookError(f'{where}: {next(iter(given))} needs a headline: slide="What is seen"')
        points, code, chosen = (given.get(key) for key in ("slide_points", "slide_code", "slide_formulas"))
        found[number] = Mark(
            headline,
            tuple(points.split(" | ") if isinstance(points, str) else points or ()),
            None if chosen is None else tuple(chosen),
            code is True or ((code,) if isinstance(code, str) else tuple(code or ())),
            given.get("slide_part", ""),
        )
    return found


def read_deck(ipynb: Path, out: Path) -> Deck:
    """The slides of a notebook, whose figures and explorers are written below `out`; no slides without marks.

    Raises:
        NotebookError: the notebook has other cells than its source, or a slide would be empty or cannot be shown.
    """
    py = ipynb.with_suffix(".py")
    marks = marks_of(py)
    nb = nbformat.read(ipynb, as_version=4)
    title = next(line[2:] for line in nb.cells[0].source.split("\n") if line.startswith("# "))
    if not marks:
        return Deck(ipynb.stem, title, (), 0)
    kinds = [cell.cell_type for cell in parse(py.read_text(encoding="utf-8")).cells]
    if kinds != [cell.cell_type for cell in nb.cells]:
        raise NotebookError(f"{ipynb.name} has other cells than {py.name}: build it first")
    pages = _Pages(ipynb.stem, out, take_widgets(nb), alternative_texts(py))
    slides: list[Slide] = []
    section = ""
    shown, said = (title, section, _title(nb.cells[0].source)), [nb.cells[0].source]
    for number, cell in enumerate(nb.cells):
        headings = HEADING.findall(cell.source) if number and cell.cell_type == "markdown" else []
        if number in marks:
            slides.append(Slide(*shown, _notes(said)))
            headline = marks[number].headline
            try:
                body = pages.body(number, cell, marks[number])
            except NotebookError as error:
                raise NotebookError(f"{py.name}, cell {number + 1}, “{headline}”: {error}") from None
            said = [pages.hint] if pages.hint else []
            shown = headline, heading_of(cell.source, marks[number]) if headings else section, body
        if headings:
            section = CLAIMS.sub("", headings[-1])
        if number and cell.cell_type == "markdown":
            said.append(cell.source)
    slides.append(Slide(*shown, _notes(said)))
    if pages.living:
        write_states(out / "files" / "explorers" / f"{ipynb.stem}.js", pages.living)
    return Deck(ipynb.stem, title, tuple(slides), len(pages.living))


class _Pages:
    """What the cells of one notebook show."""

    def __init__(self, name: str, out: Path, widgets: dict[str, Any], alts: dict[int, list[str]]) -> None:
        self.name, self.files, self.widgets, self.alts = name, out / "files", widgets, alts
        self.living: dict[str, Any] = {}
        self.figures = 0
        self.hint = ""  # what to try in the explorer of the last slide: the speaker says it

    def body(self, number: int, cell: NotebookNode, mark: Mark) -> str:
        """What stands under the headline."""
        code, self.hint = cell.cell_type == "code", ""
        if code and mark.formulas is not None:
            raise NotebookError("slide_formulas chooses among the formulas of a text; this is a cell of code")
        if not code and mark.code:
            raise NotebookError("slide_code shows code; this is a cell of text")
        shown = self._outputs(number, cell, mark.part) if code else [_formulas(cell.source, mark)]
        shown = [*([_code(cell.source, mark.code)] if mark.code else []), *filter(None, shown)]
        points = "".join(f"<li>{_inline(point)}</li>" for point in mark.points)
        if not shown and not points:
            raise NotebookError(
                "the slide would be empty: no figure, no table, no formula; give slide_points"
            )
        beside = bool(shown) and all(_aspect(part) < 1.6 for part in shown)
        parts = f'<div class="shown {_arranged(shown)}">{"".join(shown)}</div>' if shown else ""
        parts += f'<ul class="points">{points}</ul>' if points else ""
        return f'<div class="body {"beside" if beside and points else "under"}">{parts}</div>'

    def _outputs(self, number: int, cell: NotebookNode, part: str) -> list[str]:
        shown = []
        alts = texts_of_figures(cell, self.alts.get(number, []))
        for output in cell.outputs:
            data = output.get("data", {})
            if VIEW in data and data[VIEW]["model_id"] in self.widgets:
                model = data[VIEW]["model_id"]
                self.living[model] = _part(self.widgets[model], part) if part else self.widgets[model]
                self.hint = self.widgets[model].get("hint", "")
                still = f"{self.name}-explorer-{len(self.living)}"
                place = living(
                    model, self.widgets[model], data, self.files / "figures" / still, f"files/figures/{still}"
                )
                shown.append(f'<div class="stage{" part" if part else ""}" data-fill>{place}</div>')
            elif is_figure(output):
                self.figures += 1
                name = f"{self.name}-{self.figures:02d}"
                tag = picture(
                    _trimmed(data), self.files / "figures" / name, f"files/figures/{name}", next(alts)
                )
                shown.append(
                    tag.replace(' loading="lazy" decoding="async"', "")
                )  # turning a page must not wait
            elif "text/markdown" in data:
                shown.append(_table(data["text/markdown"]))
        return shown


def _trimmed(data: NotebookNode) -> NotebookNode:
    """An output whose PNG has no white margin: the slide has one."""
    if "image/png" not in data:
        return data
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    file = io.BytesIO()
    image.crop(ImageChops.invert(image.convert("L")).getbbox()).save(file, "png")
    return NotebookNode(data | {"image/png": base64.b64encode(file.getvalue()).decode()})


def _part(state: dict[str, Any], heading: str) -> dict[str, Any]:
    """An explorer in which what stood under a heading stands under none; the other headings are hidden."""
    kinds = ("controls", "panels", "readouts")
    headings = {item["group"] for kind in kinds for item in state[kind]} - {""}
    if heading not in headings:
        raise NotebookError(
            f"slide_part={heading!r}: the explorer's headings are {sorted(headings) or 'none'}"
        )
    moved = {kind: [i | {"group": ""} if i["group"] == heading else i for i in state[kind]] for kind in kinds}
    return state | moved


def heading_of(source: str, mark: Mark) -> str:
    """The heading of a text's slide: the last one above the first formula that is shown; of points, the first one."""
    starts = [match.start() for match in MATH.finditer(source) if match["block"]]
    first = mark.formulas[0] if mark.formulas else 0 if mark.points else 1
    above = HEADING.findall(source[: starts[first - 1]]) if 0 < first <= len(starts) else []
    return CLAIMS.sub("", (above or HEADING.findall(source))[-1 if above else 0])


def _formulas(source: str, mark: Mark) -> str:
    found = [match["block"] for match in MATH.finditer(source) if match["block"]]
    chosen = mark.formulas if mark.formulas is not None else () if mark.points else range(1, len(found) + 1)
    if chosen and max(chosen) > len(found):
        raise NotebookError(
            f"slide_formulas={list(chosen)}, but the cell has {len(found)} formulas on a line"
        )
    return "".join(f'<div class="formula">{_wrapping(found[k - 1])}</div>' for k in chosen)


def _wrapping(formula: str) -> str:
    """A display formula without its full stop, which may wrap where its source has a new line.

    At a wide space it does. What would fall between two brackets stays together.
    """
    lines, wide = [""], [False]
    for piece in re.split(r"(\n(?!\s*\{)|\\qquad)", formula.strip().removesuffix(r"\ .").rstrip(".,; ")):
        pairs = (("{", "}"), (r"\left", r"\right"))
        if piece not in ("\n", r"\qquad"):
            lines[-1] += piece
        elif r"\begin" not in formula and all(lines[-1].count(a) == lines[-1].count(b) for a, b in pairs):
            lines.append("")
            wide.append(piece != "\n")
        else:
            lines[-1] += piece
    shown = ""
    for line, apart in zip(lines, wide, strict=True):
        shown += "<i></i>" if apart else ""
        if line.strip():
            begun = "{}" if line.strip()[0] in "=+-" else ""  # else it would be the sign of a number
            shown += mathml(begun + line.strip().removesuffix(","), block=True)
    return shown


def _code(source: str, chosen: bool | tuple[str, ...]) -> str:
    if chosen is not True:
        assert chosen is not False
        source = "\n\n\n".join(statement(source, beginning) for beginning in chosen)
    return f'<div class="code">{Highlight2HTML()(source)}</div>'


def statement(source: str, beginning: str) -> str:
    """The first statement of a piece of code that begins with these words, without its indentation.

    Raises:
        NotebookError: none does.
    """
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and lines[node.lineno - 1].strip().startswith(beginning):
            return textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    raise NotebookError(f"slide_code={beginning!r}: no statement of the cell begins so")


def _table(text: str) -> str:
    """A table whose first column is not squeezed by the others."""
    widest = max((len(line.split("|")[1].strip()) for line in text.split("\n") if "|" in line), default=0)
    return (
        f'<div class="table" style="--first: {min(widest, 20)}ch">{markdown_to_html(_together(text))}</div>'
    )


def _together(text: str) -> str:
    return re.sub(" ([×=<>]) ", "\u00a0\\1\u00a0", text)


def _inline(text: str) -> str:
    return re.sub(r"^<p>(.*)</p>\s*$", r"\1", markdown_to_html(text).strip(), flags=re.DOTALL)


def _aspect(part: str) -> float:
    """Width over height; wide where it is not known."""
    size = SIZE.search(part) if part.startswith("<img") else None
    return int(size[1]) / int(size[2]) if size else 9.0


def _arranged(shown: list[str]) -> str:
    """Side by side, or one above the other: as it leaves figures larger, on a slide about twice as wide as high."""
    aspects = [_aspect(part) for part in shown]  # the larger the height of each, the better
    across, down = min(1, 2.2 / sum(aspects)), min(1 / len(aspects), 2.2 / max(aspects))
    return "row" if across > down else "column"


def _title(source: str) -> str:
    """The title slide: the Korean title, and what one can do after this notebook."""
    korean = re.search(r"^# .+\n\n([\uac00-\ud7a3].*)$", source, re.MULTILINE)
    can = re.findall(r"^\d\. (.+(?:\n   .+)*)$", source, re.MULTILINE)
    points = "".join(f"<li>{_inline(' '.join(text.split()).rstrip(';.'))}</li>" for text in can)
    name = f'<p class="korean" lang="ko">{korean[1]}</p>' if korean else ""
    return f'<div class="body title">{name}<p>After this lecture you can</p><ol class="points">{points}</ol></div>'


def _notes(cells: list[str]) -> str:
    texts = (OF_WORDS.sub("", TO_COLAB.sub("", source)) for source in cells)
    texts = (SUMMARY.sub(lambda found: formulas(found[0]), text) for text in texts)
    return "".join(map(markdown_to_html, texts)).replace("<details>", "<details open>")


# --- Pages ----------------------------------------------------------------------------------------------------


def page_of(deck: Deck) -> str:
    """The page that shows a deck."""
    sections = []
    for number, slide in enumerate(deck.slides, 1):
        level = "h1" if number == 1 else "h2"
        headline = _together(slide.headline)
        place = (
            f"<span>{formulas(html.escape(slide.section))}</span><span>{number} / {len(deck.slides)}</span>"
        )
        sections.append(
            f'<section class="slide" id="slide-{number}" aria-label="Slide {number} of {len(deck.slides)}">'
            f"<{level}>{formulas(html.escape(headline, quote=False))}</{level}>{slide.body}"
            f'<footer>{place}</footer><aside class="notes" hidden>{slide.notes}</aside></section>'
        )
    ends = scripts(f"files/explorers/{deck.name}.js", "files") if deck.explorers else ""
    tags = '<script defer src="files/deck.js"></script>' + ends
    lens = '<dialog class="lens" aria-label="The figure, magnified"></dialog>'
    return _html(deck.title, f'<main class="deck">{chr(10).join(sections)}</main>{lens}', tags)


def _index(decks: list[Deck]) -> str:
    rows = "".join(
        f'<li><a href="{deck.name}.html">{html.escape(deck.title)}</a> ({len(deck.slides)} slides)</li>'
        for deck in decks
    )
    keys = (
        "Arrow keys, space or a presenter's buttons turn the pages; S opens the speaker's notes in a second "
        "window, O the overview, F the full screen, B darkens the screen; a number and Enter lead to that slide."
    )
    look = (
        "Z, a click or a tap on a figure magnifies it until its smallest text is as large as the slide's; pointer, "
        "finger or arrow keys move over it, Escape, a click or a tap lead back. Z once more shows the next figure of "
        "the slide. In full screen Escape leaves that first; Z leads back."
    )
    told = f"<p>{keys}</p><p>{look}</p>"
    return _html("Slides", f'<main class="index"><h1>Slides</h1><ul>{rows}</ul>{told}</main>', "")


def _html(title: str, body: str, tags: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{html.escape(title)}</title><link rel="stylesheet" href="files/deck.css">{tags}</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def build(notebooks: list[Path], out: Path) -> list[Deck]:
    """Write the decks of those notebooks that have marks into a folder, in place of those written there before.

    Raises:
        NotebookError: the folder holds anything else; see also `read_deck`.
    """
    own_folder(out)
    shutil.copytree(LOOKS, out / "files")
    write_text(out / "files" / "explorers.js", f"{{const page = window.courseExplorers;{WIDGET_SCRIPT}}}\n")
    decks = [deck for deck in (read_deck(path, out) for path in notebooks) if deck.slides]
    for deck in decks:
        write_text(out / f"{deck.name}.html", page_of(deck))
    write_text(out / "index.html", _index(decks))
    return decks


def print_decks(out: Path, decks: list[Deck]) -> None:
    """Print each deck into `NAME.pdf` beside its page, explorers as they are first drawn.

    Raises:
        NotebookError: there is no Playwright, or no Chromium.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise NotebookError("to print slides Playwright is needed: pip install -e '.[test]'") from None
    path = find_chromium()
    if path is None:
        raise NotebookError(
            f"to print slides Chromium is needed, but none of {', '.join(NAMES)} is on the PATH"
        )
    with sync_playwright() as playwright:
        as_root = getattr(os, "geteuid", lambda: 1)() == 0  # then Chromium has no sandbox and says so
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=not as_root)
        for deck in decks:
            print_page(browser, out / f"{deck.name}.html")
        browser.close()


def print_page(browser: Any, page: Path) -> None:
    """Print a deck's page with a browser of Playwright's, a slide a page of 13⅓ by 7½ inches."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, device_scale_factor=2)
    tab = context.new_page()
    tab.goto(page.resolve().as_uri())
    tab.wait_for_function("document.documentElement.dataset.ready === 'true'")
    tab.pdf(path=page.with_suffix(".pdf"), prefer_css_page_size=True, print_background=True)
    context.close()


# --- Command line: python -m course_utils.authoring.slides ----------------------------------------------------

app = typer.Typer(add_completion=False)


@app.command()
def main(
    files: Annotated[list[Path] | None, typer.Argument(help="Notebooks, .ipynb; default: all.")] = None,
    out: Annotated[Path, typer.Option(help="A folder, which is replaced.")] = ROOT / "slides",
    pdf: Annotated[bool, typer.Option("--pdf", help="Also print each deck.")] = False,
) -> None:
    """Write each notebook's slides; open the folder's index.html."""
    try:
        decks = build(files or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")), out)
        if pdf:
            print_decks(out, decks)
    except NotebookError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for deck in decks:
        printed = f", and {deck.name}.pdf" if pdf else ""
        typer.echo(f"{out / deck.name}.html  {len(deck.slides)} slides, {deck.explorers} explorers{printed}")


if __name__ == "__main__":
    app()
