"""A notebook as a source of the site: what it stores, and marks where its words and claims are explained."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import VIEW
from course_utils.authoring.pages import formulas
from course_utils.authoring.stored import (
    alternative_texts,
    is_figure,
    living,
    picture,
    scripts,
    take_widgets,
    texts_of_figures,
    write_states,
)

TO_COLAB = re.compile(r"^\[Open in Colab\]\([^)]*\)$", re.MULTILINE)
HEAD = re.compile(
    r"(# [^\n]+(?:\n\n[\uac00-\ud7a3][^\n]*(?=\n\n))?)(.*)", re.DOTALL
)  # also the title in Korean
SUMMARY = re.compile(r"<summary>.*?</summary>", re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
NO_MARK = re.compile(
    r"^[#|<][^\n]*$|^\S+$|\$\$.+?\$\$|\$[^$]+\$|`[^`]+`|\[[^\]]*\]\([^)]*\)|<[^>]*>", re.MULTILINE | re.DOTALL
)
CLAIM = re.compile(r"[A-Z]\d(?:-[a-z-]+)?")


class Word(NamedTuple):
    """A row of a notebook's list of words."""

    english: str
    korean: str
    meaning: str


class Explorer(NamedTuple):
    """An explorer on a page, and where it stands there."""

    title: str
    place: str


def words_of(nb: NotebookNode) -> list[Word]:
    """The rows of the table under "Words"."""
    for cell in nb.cells:
        _, found, rest = cell.source.partition("## Words\n")
        if found and cell.cell_type == "markdown":
            rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+) \|$", rest.partition("\n## ")[0], re.MULTILINE)
            return [Word(*row) for row in rows[2:]]
    return []


def slug(text: str) -> str:
    """A name of letters without accents, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def mark_words(nb: NotebookNode) -> dict[str, str]:
    """Put a mark where each word of the list is explained, in place; returns the marks by English word.

    A word is explained where its Korean stands behind bold English, else where the Korean, else where the English
    stands first. What is nowhere else is explained in the list itself.
    """
    marks = {}
    for word in words_of(nb):
        found = min(_places(nb, word), key=lambda place: place[0], default=None)
        if found is None:
            marks[word.english] = "words"
        else:
            _, cell, at = found
            marks[word.english] = f"word-{slug(word.english)}"
            cell.source = f'{cell.source[:at]}<span id="{marks[word.english]}"></span>{cell.source[at:]}'
    return marks


def _places(nb: NotebookNode, word: Word) -> Iterator[tuple[int, NotebookNode, int]]:
    """Where a word stands in a notebook's texts: how far from an explanation, the cell, the place in it."""
    first = [re.escape(re.split(r"[,(]", text)[0].strip()) for text in (word.korean, word.english)]
    korean, english = (text.replace(r"\ ", r"\s+") for text in first)
    pattern = re.compile(rf"(?<![가-힣])(?P<korean>{korean})(?![가-힣])|(?<![\w-])(?i:{english})(?![\w-])")
    for cell in nb.cells:
        if cell.cell_type != "markdown":
            continue
        text = cell.source.partition("## Words\n")[0]
        apart = [found.span() for found in NO_MARK.finditer(text)]
        for found in pattern.finditer(text):
            at = found.start()
            if any(start <= at < end for start, end in apart) or text.endswith("></span>", 0, at):
                continue
            bold = "**" in text[max(0, at - 60) : at] and found["korean"] is not None
            yield (0 if bold else 1 if found["korean"] else 2), cell, at


def mark_claims(nb: NotebookNode) -> dict[str, str]:
    """Put a mark before the heading above the first cell of each claim, in place; returns the marks by claim."""
    marks: dict[str, str] = {}
    above: NotebookNode | None = None
    before: dict[int, list[str]] = {}
    for cell in nb.cells:
        if cell.cell_type == "markdown" and HEADING.search(cell.source):
            above = cell
        for tag in cell.metadata.get("tags", []):
            if CLAIM.fullmatch(tag) and tag not in marks and above is not None:
                marks[tag] = f"claim-{slug(tag)}"
                before.setdefault(id(above), []).append(marks[tag])
    for cell in nb.cells:
        if id(cell) in before:
            *_, heading = HEADING.finditer(cell.source)
            spans = "".join(f'<span id="{mark}"></span>' for mark in before[id(cell)])
            cell.source = f"{cell.source[: heading.start()]}{spans}\n\n{cell.source[heading.start() :]}"
    return marks


def read_page(ipynb: Path, files: Path, root: str) -> tuple[NotebookNode, list[Explorer]]:
    """The notebook as a source of a page, whose files are written; and its explorers.

    Args:
        ipynb: the notebook; its source lies beside it.
        files: the folder of the site's own files.
        root: how the page gets to that folder's address, such as "../_static".

    Raises:
        NotebookError: a cell of the source names fewer or more alternative texts than it shows figures.
    """
    nb = nbformat.read(ipynb, as_version=4)
    py = ipynb.with_suffix(".py")
    texts = alternative_texts(py) if py.is_file() else {}
    widgets = take_widgets(nb)
    shown: list[Explorer] = []
    figures = 0
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            cell.source = SUMMARY.sub(lambda found: formulas(found[0]), cell.source)
            continue
        try:
            alts = texts_of_figures(cell, texts.get(number, []))
        except NotebookError as error:
            raise NotebookError(f"{py.name}, cell {number + 1}: {error}") from None
        for output in cell.outputs:
            data = output.get("data", {})
            if VIEW in data and data[VIEW]["model_id"] in widgets:
                model = data[VIEW]["model_id"]
                place = f"explorer-{len(shown) + 1}"
                still = f"{ipynb.stem}-{place}"
                shown.append(Explorer(widgets[model]["title"], place))
                place_of = living(
                    model, widgets[model], data, files / "figures" / still, f"{root}/figures/{still}"
                )
                output["data"] = {"text/html": f'<div id="{place}" data-share="{place}">{place_of}</div>'}
            elif is_figure(output):
                figures += 1
                name = f"{ipynb.stem}-{figures:02d}"
                tag = picture(data, files / "figures" / name, f"{root}/figures/{name}", next(alts))
                output["data"] = {"text/html": tag}
    if shown:
        write_states(files / "explorers" / f"{ipynb.stem}.js", widgets)
        nb.cells.append(nbformat.v4.new_markdown_cell(scripts(f"{root}/explorers/{ipynb.stem}.js", root)))
    return nb, shown


def with_bar(nb: NotebookNode, links: Iterable[tuple[str, str]], shown: Sequence[Explorer] = ()) -> None:
    """In place of the link to Colab above the title, a bar under it: links, the button that folds code, explorers.

    Raises:
        NotebookError: the notebook does not begin with a title.
    """
    first = nb.cells[0]
    head = HEAD.match(TO_COLAB.sub("", first.source).strip())
    if head is None:
        raise NotebookError(f"the notebook does not begin with a title:\n{first.source[:200]}")
    title, rest = head.groups()
    parts = [f'<a href="{address}">{label}</a>' for label, address in links]
    parts.append('<button type="button" class="course-fold" hidden>Hide the code</button>')
    bar = f'<div class="course-bar">{"".join(parts)}</div>'
    if shown:
        there = "".join(f'<a href="#{one.place}">{one.title}</a>' for one in shown)
        bar += f'\n<div class="course-bar"><span>To drag on this page:</span>{there}</div>'
    first.source = f"{title}\n\n{bar}\n\n{rest.strip()}"
