"""Paired notebooks: build the executed .ipynb from its py:percent source, and check it.

The .py file is the source of truth; the .ipynb beside it is made from it by `build`. A second build of the
same source gives the same bytes, except for what the code itself measures.
"""

import base64
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import jupytext
import nbformat
import typer
from nbformat import NotebookNode
from PIL import Image

from course_utils.authoring.kernel import NotebookError, run
from course_utils.files import replacing

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
MODEL_ID = re.compile(r"[0-9a-f]{32}")


# --- Reading and comparing the pair -----------------------------------------------------------------------


def parse(text: str) -> NotebookNode:
    """The notebook that a py:percent text describes, with stable cell ids, without outputs.

    Args:
        text: a .py file's content in Jupytext's percent format; a cell may carry `key="q1"`, `tags=["A1"]`.

    Raises:
        NotebookError: a code cell is empty, or two cells have the same key.
    """
    nb: NotebookNode = jupytext.reads(text, fmt="py:percent")
    nb.metadata = NotebookNode()
    seen: dict[str, int] = {}
    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code" and not cell.source.strip():
            raise NotebookError(f"cell {number} is an empty code cell: fill it or delete its '# %%' line")
        for noise in [name for name in cell.metadata if name.startswith("lines_to_")]:
            del cell.metadata[noise]
        cell.id = _cell_id(cell, seen)
    return nb


def _cell_id(cell: NotebookNode, seen: dict[str, int]) -> str:
    """The cell's key, or a digest of what it says: it stays when other cells change."""
    key = cell.metadata.get("key")
    if key is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", key):
        raise NotebookError(f"key={key!r}: a cell's key has 1 to 64 letters, digits, '-' or '_'")
    name = key or hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
    seen[name] = seen.get(name, 0) + 1
    if key is not None and seen[name] > 1:
        raise NotebookError(f"key={key!r} stands on two cells: every key is used once")
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def in_sync(py: Path | str, ipynb: Path | str) -> list[str]:
    """How the two files of a pair differ in cell types, sources and tags; [] when they agree."""
    ours = parse(Path(py).read_text(encoding="utf-8")).cells
    theirs = nbformat.read(ipynb, as_version=4).cells
    differences = []
    if len(ours) != len(theirs):
        differences.append(f"{Path(py).name} has {len(ours)} cells, {Path(ipynb).name} has {len(theirs)}")
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1):
        if a.cell_type != b.cell_type:
            differences.append(f"cell {number}: {a.cell_type} in the .py, {b.cell_type} in the .ipynb")
        if a.source != b.source:
            lines = zip_longest(a.source.split("\n"), b.source.split("\n"), fillvalue="(nothing)")
            line, (x, y) = next((n, pair) for n, pair in enumerate(lines, 1) if pair[0] != pair[1])
            differences.append(f"cell {number}, line {line}: {x!r} in the .py, {y!r} in the .ipynb")
        if a.metadata.get("tags", []) != b.metadata.get("tags", []):
            tags = f"{a.metadata.get('tags', [])} in the .py, {b.metadata.get('tags', [])} in the .ipynb"
            differences.append(f"cell {number}: tags {tags}")
    return differences


def unexecuted(ipynb: Path | str) -> list[str]:
    """What shows that a notebook was not run from top to bottom without an error; [] when it was."""
    problems = []
    code = [cell for cell in nbformat.read(ipynb, as_version=4).cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        if cell.execution_count != number:
            problems.append(f"code cell {number} has execution count {cell.execution_count}")
        expected = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            if output.output_type == "error" and not expected:
                problems.append(f"code cell {number} stores an error: {output.ename}: {output.evalue}")
    return problems


# --- The repository's address, the Colab badge and the install cell -----------------------------------------

BADGE = re.compile(r"^# \[Open in Colab\]\([^)]*\)$", re.MULTILINE)  # words: a picture would need a network
INSTALL = re.compile(r'^(?P<indent> *)# %pip install -q "course-utils @ git\+[^"]*"$', re.MULTILINE)


def _checkout(path: Path) -> Path | None:
    """The nearest folder above that has a pyproject.toml."""
    return next((p for p in path.resolve().parents if (p / "pyproject.toml").is_file()), None)


def repository_address(near: Path | str = __file__) -> str:
    """The repository's address, from the pyproject.toml above `near`, else from the installed package.

    Raises:
        NotebookError: neither names a Repository.
    """
    root = _checkout(Path(near))
    if root is not None:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        address = project.get("urls", {}).get("Repository")
        if address is None:
            raise NotebookError(f"{root / 'pyproject.toml'} has no Repository under [project.urls]")
        return str(address).rstrip("/")
    for entry in metadata.metadata("course-utils").get_all("Project-URL", []):
        label, _, address = entry.partition(", ")
        if label == "Repository":
            return str(address).rstrip("/")
    raise NotebookError("course-utils was installed without its Repository address: install it again")


def with_links(text: str, ipynb: Path | str) -> str:
    """A notebook's py:percent text with its badge and install line made from the repository's address.

    Args:
        text: the py:percent source.
        ipynb: where the notebook lies (or will lie); the badge opens this file on Colab.

    Raises:
        NotebookError: the first markdown cell lacks the badge, or the first code cell the install line.
    """
    ipynb = Path(ipynb)
    address = repository_address(ipynb)
    root = _checkout(ipynb)
    place = ipynb.resolve().relative_to(root).as_posix() if root else f"notebooks/{ipynb.name}"
    target = address.replace("https://github.com/", "https://colab.research.google.com/github/", 1)
    badge = f"# [Open in Colab]({target}/blob/main/{place})"
    install = f'# %pip install -q "course-utils @ git+{address}"'

    text, badges = BADGE.subn(lambda match: badge, text)
    text, installs = INSTALL.subn(lambda match: match["indent"] + install, text)
    cells = parse(text).cells
    markdown = next((cell for cell in cells if cell.cell_type == "markdown"), None)
    code = next((cell for cell in cells if cell.cell_type == "code"), None)
    if badges != 1 or markdown is None or badge[2:] not in markdown.source.split("\n"):
        raise NotebookError(f"{ipynb.stem}: the first markdown cell must have one badge line:\n{badge}")
    tagged = code is not None and "install" in code.metadata.get("tags", [])
    if installs != 1 or code is None or not tagged or install[2:] not in code.source:
        raise NotebookError(
            f"{ipynb.stem}: the first code cell must install the package where it is missing:\n"
            '# %% tags=["install"]\nimport importlib.util\n\n'
            'if importlib.util.find_spec("course_utils") is None:\n'
            f'    print("Installing the course …")\n    {install}'
        )
    return text


def refresh_links(py: Path | str, *, ipynb: Path | str | None = None) -> bool:
    """Rewrite a source's Colab badge and install line from the repository's address; True if it changed.

    Args:
        py: the py:percent source.
        ipynb: the notebook that the badge opens; default: the one beside `py`.

    Raises:
        NotebookError: the source lacks one of the two lines.
    """
    py = Path(py)
    old = py.read_text(encoding="utf-8")
    new = with_links(old, ipynb or py.with_suffix(".ipynb"))
    if new != old:
        write_text(py, new)
    return new != old


# --- Building -----------------------------------------------------------------------------------------------


def shows(cell: NotebookNode) -> bool:
    """Whether an executed code cell stores a picture or something to drag."""
    kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
    return any(kind.startswith("image/") or kind == VIEW for kind in kinds)


def build(py: Path | str, *, execute: bool = True, timeout: float = 600) -> Path:
    """Make the .ipynb beside a py:percent source; a failure leaves the previous one as it was.

    Args:
        py: the source, `NN_name.py`.
        execute: run the cells; if False the notebook has no outputs.
        timeout: seconds that one cell may take.

    Raises:
        NotebookError: a cell fails or takes too long, or the source lacks its badge or install cell.
    """
    py = Path(py)
    ipynb = py.with_suffix(".ipynb")
    refresh_links(py)
    return build_text(py.read_text(encoding="utf-8"), ipynb, execute=execute, timeout=timeout)


def build_text(text: str, ipynb: Path | str, *, execute: bool = True, timeout: float = 600) -> Path:
    """Like `build`, for a py:percent text that need not lie in a file."""
    nb = parse(text)
    if execute:
        run(nb, ipynb, timeout=timeout)
    save(nb, ipynb)
    return Path(ipynb)


def save(nb: NotebookNode, ipynb: Path | str) -> None:
    """Write a notebook without anything that differs between two runs of the same code on the same machine.

    Args:
        nb: the notebook, executed or not; it is normalised in place.
        ipynb: the file, which is written whole or not at all.

    Raises:
        NotebookError: an output shows a path of this machine.
    """
    _normalise(nb, Path(ipynb))
    write_text(ipynb, nbformat.writes(nb, version=4) + "\n")


def write_text(path: Path | str, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")


# --- Normalising: the same run gives the same bytes ---------------------------------------------------------

# What a rerun may change in texts, and what is stored instead.
RUN_NOISE = [
    (re.compile(r"(?<= at )0x[0-9a-fA-F]{6,}"), "ADDRESS"),
    (re.compile(r"(?:/|\w:\\)[^\s\"'<>]*ipykernel_\d+[/\\]\d+\.py"), "<cell>"),
    (re.compile(r"(?:/|\w:\\)[^\s\"'<>]*[/\\]site-packages[/\\]"), "<site-packages>/"),
]
BEFORE_CARRIAGE_RETURN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)


def _normalise(nb: NotebookNode, place: Path) -> None:
    """Number the cells, merge streams, and remove ids, paths and versions that a rerun would change."""
    count = 0
    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type != "code":
            continue
        count += 1
        if cell.execution_count is not None:
            cell.execution_count = count
        cell.outputs = _merge_streams(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            _map_texts(output, _without_run_noise)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = _packed(output.data["image/png"])
        _refuse_machine_paths(cell, number, place)
    nb.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={
            "codemirror_mode": {"name": "ipython", "version": 3},
            "file_extension": ".py",
            "mimetype": "text/x-python",
            "name": "python",
            "nbconvert_exporter": "python",
            "pygments_lexer": "ipython3",
        },
        **({"widgets": nb.metadata.widgets} if "widgets" in nb.metadata else {}),
    )
    _normalise_widgets(nb)


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One stdout and one stderr between two other outputs: how a stream is cut into messages is chance."""
    merged: list[NotebookNode] = []
    open_streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type != "stream":
            open_streams = {}
            merged.append(output)
        elif output.name in open_streams:
            open_streams[output.name].text += output.text
        else:
            open_streams[output.name] = output
            merged.append(output)
            if output.name == "stdout" and "stderr" in open_streams:  # which came first is chance too
                merged[-2:] = merged[:-3:-1]
    for output in merged:
        if output.output_type == "stream":
            output.text = BEFORE_CARRIAGE_RETURN.sub("", output.text)
    return merged


def _map_texts(output: NotebookNode, change: Callable[[str], str]) -> None:
    """Apply a change to every readable text of an output."""
    if output.output_type == "stream":
        output.text = change(output.text)
    elif output.output_type == "error":
        output.evalue = change(output.evalue)
        output.traceback = [change(line) for line in output.traceback]
    else:
        for kind, value in output.data.items():
            if kind.startswith("text/") and isinstance(value, str):
                output.data[kind] = change(value)


def _without_run_noise(text: str) -> str:
    for pattern, word in RUN_NOISE:
        text = pattern.sub(word, text)
    return text


def _packed(png: str) -> str:
    """The same pixels in fewer bytes: one channel where all are grey, none for transparency where all is opaque."""
    before = base64.b64decode(png)
    if not before.startswith(b"\x89PNG"):
        return png
    image = Image.open(io.BytesIO(before)).convert("RGBA")
    *colours, opaque = image.split()
    if opaque.getextrema() != (255, 255):
        return png
    grey = len({colour.tobytes() for colour in colours}) == 1
    file = io.BytesIO()
    image.convert("L" if grey else "RGB").save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode() + "\n" if file.tell() < len(before) else png


def _refuse_machine_paths(cell: NotebookNode, number: int, place: Path) -> None:
    """Raise where an output shows where this machine keeps the checkout, the Python or temporary files."""
    here = [str(_checkout(place) or place.resolve().parent), sys.prefix, tempfile.gettempdir()]
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    for output in cell.outputs:
        if output.output_type != "error":
            _map_texts(output, collect)
    for path in here:
        if any(f"{path}{os.sep}" in text or text.strip().endswith(path) for text in texts):
            raise NotebookError(
                f"{place.name}: cell {number} prints a path of this machine ({path}…); the reader's is "
                f"another. Print a name or a path relative to the notebook.\n\n{cell.source}"
            )


def _normalise_widgets(nb: NotebookNode) -> None:
    """Keep the widget models that an output shows, and number them in the order they were made."""
    models = nb.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    shown: set[str] = set()
    to_visit = []
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(VIEW)
            if view is None:
                continue
            if view["model_id"] in models:
                to_visit.append(view["model_id"])
            else:
                del output.data[VIEW]  # closed since: the text beside it stays
    while to_visit:
        model = to_visit.pop()
        if model in models and model not in shown:
            shown.add(model)
            to_visit += MODEL_ID.findall(json.dumps(models[model]))

    nb.metadata.pop("widgets", None)
    if shown:
        kept = {name: model for name, model in models.items() if name in shown}
        nb.metadata.widgets = {STATE: {"state": kept, "version_major": 2, "version_minor": 0}}
    numbers = {name: f"{number:032x}" for number, name in enumerate((m for m in models if m in shown), 1)}
    if numbers:
        old = json.dumps([nb.cells, nb.metadata])
        new = MODEL_ID.sub(lambda match: numbers.get(match[0], match[0]), old)
        nb.cells, nb.metadata = nbformat.from_dict(json.loads(new))


# --- Command line: python -m course_utils.authoring.notebooks build|check FILES ------------------------------

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Build and check paired notebooks.")
Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="The notebooks' .py files.")]


@app.command("build")
def build_command(files: Files, execute: bool = True, timeout: float = 600) -> None:
    """Execute each .py and write the .ipynb beside it."""
    for py in files:
        start = time.monotonic()
        try:
            ipynb = build(py, execute=execute, timeout=timeout)
        except NotebookError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
        typer.echo(f"{ipynb}  {time.monotonic() - start:.0f} s, {ipynb.stat().st_size / 1e6:.2f} MB")


@app.command("check")
def check_command(files: Files) -> None:
    """Say whether each pair agrees, was executed, and has its links."""
    failed = False
    for file in files:
        for problem in check(file.with_suffix(".py")):
            failed = True
            typer.echo(f"{file}: {problem}", err=True)
    if failed:
        typer.echo(
            f"Build these again: {sys.executable} -m course_utils.authoring.notebooks build FILES", err=True
        )
        raise typer.Exit(1)


def check(py: Path | str) -> list[str]:
    """What is wrong with a pair: it differs, was not executed, or its links are stale; [] if nothing."""
    py = Path(py)
    ipynb = py.with_suffix(".ipynb")
    if not ipynb.exists():
        return [f"{ipynb.name} does not exist"]
    try:
        text = py.read_text(encoding="utf-8")
        stale = [] if with_links(text, ipynb) == text else ["the badge or install line has another address"]
        return in_sync(py, ipynb) + unexecuted(ipynb) + stale
    except NotebookError as error:
        return [str(error)]


if __name__ == "__main__":
    app()
