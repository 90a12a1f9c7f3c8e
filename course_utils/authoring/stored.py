"""What a notebook stores, as files and tags of a page: figures with their alternative texts, explorers that live.

Nothing is run. Figures and explorers' states become files beside the page, so that it is small and shows at once.
"""

import base64
import html
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from PIL import Image

from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import STATE, VIEW, parse, write_text
from course_utils.authoring.pages import front_ends, state_of


def alternative_texts(py: Path) -> dict[int, list[str]]:
    """What stands for the figures of each cell: the `alt="…"`, or `alt=["…", "…"]`, behind its `# %%`."""
    cells = parse(py.read_text(encoding="utf-8")).cells
    texts = {number: cell.metadata.get("alt", []) for number, cell in enumerate(cells)}
    return {number: [alt] if isinstance(alt, str) else list(alt) for number, alt in texts.items() if alt}


def is_figure(output: NotebookNode) -> bool:
    """Whether an output is a picture, and not the still of an explorer."""
    data = output.get("data", {})
    return VIEW not in data and any(kind.startswith("image/") for kind in data)


def texts_of_figures(cell: NotebookNode, alts: list[str]) -> Iterator[str]:
    """The alternative text of each figure of a cell in turn; empty where the cell has none.

    Raises:
        NotebookError: there are fewer or more texts than figures.
    """
    figures = sum(map(is_figure, cell.outputs))
    if alts and len(alts) != figures:
        raise NotebookError(f"{len(alts)} alternative texts, {figures} figures")
    return iter(alts or [""] * figures)


MARK = ".written-by-the-course"
PICTURES = ("image/png", "image/jpeg", "image/gif")


def own_folder(out: Path) -> None:
    """Empty a folder that was written before, or make it; what is anybody else's is left alone.

    Raises:
        NotebookError: the folder holds what was not written here.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).exists())):
        raise NotebookError(
            f"{out} holds something that this command has not written; name another folder with --out, or remove it"
        )
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).touch()


def take_widgets(nb: NotebookNode) -> dict[str, Any]:
    """The states of a notebook's explorers, which it no longer has afterwards."""
    models = nb.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    return {name: state_of(model) for name, model in models.items() if "_esm" in model["state"]}


def living(model: str, state: dict[str, Any], data: NotebookNode, file: Path, address: str) -> str:
    """Where an explorer comes to life; until then, and for a page without scripts, its still stands there."""
    controls = ", ".join(control["name"] for control in state.get("controls", []))
    alt = f"Explorer “{state['title']}”, a still." + (f" To move: {controls}." if controls else "")
    return (
        f'<div class="course-explorer" data-widget-model="{model}">{picture(data, file, address, alt)}</div>'
    )


def picture(data: NotebookNode, file: Path, address: str, alt: str) -> str:
    """An output's picture as a file, and the tag that shows it.

    Raises:
        NotebookError: it is stored in other formats only, as SVG.
    """
    kind = next((kind for kind in PICTURES if kind in data), None)
    if kind is None:
        stored = ", ".join(kind for kind in data if kind.startswith("image/"))
        raise NotebookError(
            f"a figure is stored as {stored or 'text'} alone; one of {', '.join(PICTURES)} is needed: "
            "let the cell show it by plt.show()"
        )
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
