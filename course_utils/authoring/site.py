"""The course as a site that needs no server, no network and no kernel: `make site` writes it into `site/`.

What is written for the site alone lies in `docs/site`; all else is made from the notebooks, the homework, the README,
the benchmarks and the package's docstrings.
"""

import base64
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbformat import NotebookNode
from sphinx.cmd.build import build_main

from course_utils.authoring import site_pages
from course_utils.authoring.notebooks import VIEW, repository_address, write_text
from course_utils.authoring.pages import WIDGET_SCRIPT
from course_utils.authoring.site_extension import mended
from course_utils.authoring.site_notebooks import mark_claims, mark_words, read_page, with_bar, words_of
from course_utils.authoring.slides import marks_of
from course_utils.authoring.stored import living, own_folder, scripts, take_widgets, write_states
from course_utils.explorers import DiffusionPlayground, GanPlayground
from course_utils.explorers.drawing import FRONT_END, drawing_state, still_picture

ROOT = Path(__file__).resolve().parents[2]
FRONT = ("08_latent_diffusion", "Prompt builder")
PAGES = ("index.md", "play.md", "draw.md", "start.md", "teaching.md")


def build(out: Path | str) -> None:
    """Write the site into a folder, in place of one written there before.

    Raises:
        NotebookError: the folder holds anything else, a formula cannot be shown, or a figure's alternative text is
            missing its figure.
        RuntimeError: Sphinx found a fault, which it has printed.
    """
    out = Path(out)
    with tempfile.TemporaryDirectory() as scratch:
        source, pages = Path(scratch) / "source", Path(scratch) / "pages"
        write_sources(source)
        if build_main(["-q", "-W", "--keep-going", "-b", "html", str(source), str(pages)]):
            raise RuntimeError("Sphinx found a fault; it is named above")
        for junk in (".doctrees", "_sources", "objects.inv", ".buildinfo"):
            path = pages / junk
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for page in pages.rglob("*.html"):
            page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
        own_folder(out)
        shutil.copytree(pages, out, dirs_exist_ok=True)


def write_sources(source: Path) -> None:
    """All that Sphinx reads."""
    shutil.copytree(ROOT / "docs" / "site", source)
    files = source / "_static"
    shutil.copy(ROOT / "docs" / "front.png", files / "card.png")
    write_text(files / "explorers.js", f"{{const page = window.courseExplorers;{WIDGET_SCRIPT}}}\n")
    repository = repository_address(ROOT)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [
        _notebook(path, source, repository) for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    ]
    for page in pages:
        plan = source / "lectures" / f"{page.number}.md"
        marks = marks_of(ROOT / "notebooks" / f"{page.name}.py")
        headlines = [page.title, *(mark.headline for mark in marks.values())]
        write_text(plan, site_pages.with_numbers(plan.read_text(encoding="utf-8"), headlines))
    for path in sorted((ROOT / "notebooks/homework/student").glob("hw*.ipynb")):
        nb, _ = read_page(path, files, "../_static")
        with_bar(nb, _links(repository, f"notebooks/homework/student/{path.name}"))
        _write(source / "homework" / path.name, nb)
    homework = (ROOT / "notebooks/homework/README.md").read_text(encoding="utf-8")
    raised = site_pages.section(homework, "For teachers").replace("\n### ", "\n## ")
    known = json.loads((source / "papers.json").read_text(encoding="utf-8"))
    texts = {
        "glossary": site_pages.glossary(pages),
        "references": site_pages.references(pages, known),
        "claims": site_pages.claims(readme, pages),
        "grading": f"# Changing and grading the homework\n\n{raised}",
        "homework/index": _homework(homework),
        "benchmarks/index": "# Benchmarks\n\nWhat was measured, on which machine, and by which script.\n\n"
        "```{toctree}\n:maxdepth: 1\n:glob:\n\n*\n```\n",
    }
    texts |= {
        f"benchmarks/{path.stem}": path.read_text(encoding="utf-8")
        for path in (ROOT / "benchmarks").glob("*.md")
    }
    texts |= {f"reference/{name}": text for name, text in site_pages.reference().items()}
    for name, text in texts.items():
        path = source / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        folder = {"homework": "notebooks/homework/", "grading": "notebooks/homework/", "reference": "docs/"}
        text = site_pages.with_links(text, repository, folder.get(name.partition("/")[0], ""))
        write_text(path, text.replace("docs/../", ""))
    values = {
        "front": _front(files),
        "drawing": _drawing(files),
        "play": _play(files),
        "table": _table(readme),
        "begin": site_pages.section(readme, "Begin here"),
        "need": site_pages.section(readme, "What you need to know").partition("\n| ")[0].strip(),
        "commands": site_pages.section(readme, "The command line"),
        "rest": site_pages.section(readme, "The rest"),
        "explorers": site_pages.explorers(pages),
        "colab": _links(repository, f"notebooks/{pages[0].name}.ipynb")[0][1],
        "first": f"/notebooks/{pages[0].name}.ipynb",
    }
    for name in PAGES:
        text = (source / name).read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"<!-- {key} -->", value)
        write_text(source / name, site_pages.with_links(text, repository))


def _notebook(path: Path, source: Path, repository: str) -> site_pages.Page:
    nb, explorers = read_page(path, source / "_static", "../_static")
    words, marks, claims = words_of(nb), mark_words(nb), mark_claims(nb)
    reading = next(cell.source for cell in nb.cells if "## Read on\n" in cell.source)
    reading = reading.partition("## Read on\n")[2].strip().rpartition("\n\n")[0]
    with_bar(nb, _links(repository, f"notebooks/{path.name}"), explorers)
    title = next(line[2:] for line in nb.cells[0].source.split("\n") if line.startswith("# "))
    _write(source / "notebooks" / path.name, nb)
    return site_pages.Page(path.stem, title, words, marks, claims, explorers, reading)


def _write(path: Path, nb: NotebookNode) -> None:
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nb, path)


def _links(repository: str, place: str) -> list[tuple[str, str]]:
    colab = repository.replace("https://github.com/", "https://colab.research.google.com/github/", 1)
    return [
        ("Open in Colab", f"{colab}/blob/main/{place}"),
        ("The notebook's file", f"{repository}/blob/main/{place}"),
    ]


def _homework(text: str) -> str:
    names = "\n".join(path.stem for path in sorted((ROOT / "notebooks/homework/student").glob("hw*.ipynb")))
    head = text.partition("\n## ")[0]
    return (
        f"{head}\n\n## How to do it\n\n{site_pages.section(text, 'For students')}\n\n"
        f"## The homeworks\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    )


def _front(files: Path) -> str:
    """The explorer on the front page, alone with its own state."""
    name, title = FRONT
    nb = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    widgets = take_widgets(nb)
    model = next(model for model, state in widgets.items() if state["title"] == title)
    shown = next(
        output.data
        for cell in nb.cells
        for output in cell.get("outputs", [])
        if model in str(output.get("data", {}).get(VIEW))
    )
    place = living(model, widgets[model], shown, files / "figures" / "front", "_static/figures/front")
    write_states(files / "explorers" / "front.js", {model: widgets[model]})
    return f'<div data-share="front">{place}</div>' + scripts("_static/explorers/front.js", "_static")


def _drawing(files: Path) -> str:
    """The board to draw on, with the networks that it needs."""
    state = {**drawing_state(), "title": "Draw a digit"}
    state["weights"] = base64.b64encode(state["weights"]).decode()
    state["_esm"] = FRONT_END.read_text(encoding="utf-8")
    still = NotebookNode({"image/png": base64.b64encode(still_picture()).decode()})
    place = living("drawing", state, still, files / "figures" / "drawing", "_static/figures/drawing")
    write_states(files / "explorers" / "drawing.js", {"drawing": state})
    return f'<div data-share="drawing">{place}</div>' + scripts("_static/explorers/drawing.js", "_static")


def _play(files: Path) -> str:
    """Both playgrounds, which need no notebook: they train in the page."""
    widgets, parts = {}, []
    for name, heading, make in (
        ("gan", "Two players", GanPlayground),
        ("diffusion", "Back from noise", DiffusionPlayground),
    ):
        widget = make()
        png = base64.b64encode(widget.still()).decode()
        shown = nbformat.from_dict({"image/png": png})
        widgets[name] = {key: value for key, value in widget.get_state().items() if key != "layout"}
        there = living(name, widgets[name], shown, files / "figures" / name, f"_static/figures/{name}")
        parts.append(f'## {heading}\n\n<div data-share="{name}">{there}</div>\n')
    write_states(files / "explorers" / "play.js", widgets)
    return "\n".join(parts) + scripts("_static/explorers/play.js", "_static")


def _table(readme: str) -> str:
    """The README's table of notebooks, with the sentence under it about hours."""
    _, _, rest = site_pages.section(readme, "What you need to know").partition("\n| ")
    return f"| {rest.partition(chr(10) * 2 + 'To read without Python')[0]}"


# --- Command line: python -m course_utils.authoring.site -----------------------------------------------------

app = typer.Typer(add_completion=False)


@app.command()
def main(out: Annotated[Path, typer.Option(help="A folder, which is replaced.")] = ROOT / "site") -> None:
    """Write the site into a folder; open its index.html."""
    start = time.monotonic()
    build(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    typer.echo(f"{out / 'index.html'}  {time.monotonic() - start:.0f} s, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    app()
