"""A notebook as a source of the site: its stored figures with their alternative texts, its explorers, its marks.

Nothing is run. Figures and explorers' states become files beside the page, so that it is small and shows at once.
"""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode
from PIL import Image

from course_utils import explorers
from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import STATE, VIEW, parse, write_text
from course_utils.authoring.pages import formulas, front_ends

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


def alternative_texts(py: Path) -> dict[int, list[str]]:
    """What stands for the figures of each cell: the `alt="…"`, or `alt=["…", "…"]`, behind its `# %%`."""
    cells = parse(py.read_text(encoding="utf-8")).cells
    texts = {number: cell.metadata.get("alt", []) for number, cell in enumerate(cells)}
    return {number: [alt] if isinstance(alt, str) else list(alt) for number, alt in texts.items() if alt}


def is_figure(output: NotebookNode) -> bool:
    """Whether an output is a picture, and not the still of an explorer."""
    data = output.get("data", {})
    return VIEW not in data and any(kind.startswith("image/") for kind in data)


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
        pictures = [output for output in cell.outputs if is_figure(output)]
        alts = texts.get(number, [])
        if alts and len(alts) != len(pictures):
            raise NotebookError(
                f"{py.name}, cell {number + 1}: {len(alts)} alternative texts, {len(pictures)} figures"
            )
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
                alt = alts[pictures.index(output)] if alts else ""
                output["data"] = {
                    "text/html": picture(data, files / "figures" / name, f"{root}/figures/{name}", alt)
                }
    if shown:
        write_states(files / "explorers" / f"{ipynb.stem}.js", widgets)
        nb.cells.append(nbformat.v4.new_markdown_cell(scripts(f"{root}/explorers/{ipynb.stem}.js", root)))
    return nb, shown


def take_widgets(nb: NotebookNode) -> dict[str, Any]:
    """The states of a notebook's explorers, which it no longer has afterwards; their front end is today's."""
    models = nb.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    code = Path(explorers.__file__).with_name("explorer.js").read_text(encoding="utf-8")
    return {
        name: {**model["state"], "_esm": code} for name, model in models.items() if "_esm" in model["state"]
    }


def living(model: str, state: dict[str, Any], data: NotebookNode, file: Path, address: str) -> str:
    """Where an explorer comes to life; until then, and for a page without scripts, its still stands there."""
    controls = ", ".join(control["name"] for control in state["controls"])
    alt = f"Explorer “{state['title']}”, a still. To move: {controls}."
    return (
        f'<div class="course-explorer" data-widget-model="{model}">{picture(data, file, address, alt)}</div>'
    )


def picture(data: NotebookNode, file: Path, address: str, alt: str) -> str:
    """An output's picture as a file, and the tag that shows it."""
    kind = next(kind for kind in ("image/png", "image/jpeg", "image/gif") if kind in data)
    file = file.with_name(f"{file.name}.{kind[6:]}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(data[kind]))
    with Image.open(file) as opened:
        width, height = opened.size
    source = f'src="{address}{file.suffix}" width="{width}" height="{height}" loading="lazy" decoding="async"'
    return f'<img class="course-figure" alt="{html.escape(alt)}" {source}>'


def write_states(file: Path, widgets: dict[str, Any]) -> None:
    """What the explorers of one page show, as a script: a page opened as a file may load nothing else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, f"window.courseExplorers = {json.dumps(front_ends(widgets), ensure_ascii=False)};\n")


def scripts(states: str, root: str) -> str:
    """The tags that bring a page's explorers to life once it is there."""
    return f'<script defer src="{states}"></script><script defer src="{root}/explorers.js"></script>'


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
