"""Controls: cells that make a notebook's claims false, to see that their checks fail.

Beside `notebooks/NN_name.py` lies `notebooks/controls/NN_name.py` (py:percent). A cell of it begins
`# %% claim="V1"` and puts something in the place of what that claim's asserts look at: an untrained model, noise,
shuffled labels. Where several cells with asserts carry the tag, `claim="V1.2"` is the second of them. When the
notebook is run for the tests, each control is run right after its claim's cell in a copy of the notebook's names, and
then the cell's asserts, one at a time: at least one must fail, and each must be brought down by at least one control.
"""

from __future__ import annotations

import ast
import contextlib
import io
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_utils.authoring import notebooks
from course_utils.authoring.kernel import NotebookError

TAG = "control"
CLAIM = re.compile(r"[A-Z]\d+(-[a-z-]+)?")


def controls_of(py: Path) -> dict[str, list[str]]:
    """The controls of a notebook's source, by the claim's cell; {} where it has none.

    Raises:
        NotebookError: a code cell names no claim.
    """
    path = py.parent / "controls" / py.name
    if not path.exists():
        return {}
    found = defaultdict(list)
    for cell in notebooks.parse(path.read_text(encoding="utf-8")).cells:
        if cell.cell_type == "code":
            claim = cell.metadata.get("claim")
            if claim is None:
                raise NotebookError(
                    f'{path}: a control begins # %% claim="V1", which this does not:\n\n{cell.source}'
                )
            found[claim].append(cell.source)
    return dict(found)


def claim_cells(nb: NotebookNode) -> dict[str, NotebookNode]:
    """The cells of claims that hold asserts: "V1", or "V1.1", "V1.2" … where there are several of one claim."""
    by_tag = defaultdict(list)
    for cell in nb.cells:
        if cell.cell_type == "code" and asserts(cell.source):
            for tag in cell.metadata.get("tags", []):
                if CLAIM.fullmatch(tag):
                    by_tag[tag].append(cell)
    return {
        tag if len(cells) == 1 else f"{tag}.{number}": cell
        for tag, cells in by_tag.items()
        for number, cell in enumerate(cells, 1)
    }


def asserts(source: str) -> list[str]:
    """The statements of a cell that assert something, each as it stands at the cell's left margin."""
    lines = [line if not line.lstrip().startswith(("%", "!")) else "" for line in source.splitlines()]
    tree = ast.parse("\n".join(lines))
    return [
        ast.unparse(statement)
        for statement in tree.body
        if any(isinstance(node, ast.Assert) for node in ast.walk(statement))
        and not isinstance(statement, ast.FunctionDef | ast.ClassDef)
    ]


def with_controls(nb: NotebookNode, py: Path) -> NotebookNode:
    """A copy of the notebook in which a cell with the tag `control` after each claim's cell sees to its controls.

    Raises:
        NotebookError: a control's claim is not in the notebook, or a claim has no control.
    """
    made, controls = nbformat.from_dict(nb), controls_of(py)
    claims = claim_cells(made) if controls else {}
    if unknown := sorted(set(controls) - set(claims)):
        raise NotebookError(
            f"controls/{py.name}: {', '.join(unknown)} not among the claims {', '.join(claims)}"
        )
    if without := sorted(set(claims) - set(controls)):
        raise NotebookError(f"controls/{py.name}: no control for {', '.join(without)}")
    after = defaultdict(list)
    for claim, cell in claims.items():
        source = (
            "from course_utils.authoring.controls import hold\n"
            f"hold(globals(), {claim!r}, {cell.source!r}, {controls[claim]!r})"
        )
        after[cell.id].append(_seen_to(source))
    made.cells = [c for cell in made.cells for c in (cell, *after[cell.id])]
    if controls:
        made.cells.insert(0, _seen_to("from course_utils.authoring import figures\nfigures.watch()"))
    return made


def _seen_to(source: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, metadata={"tags": [TAG, "nbval-ignore-output"]})


def hold(names: dict[str, Any], claim: str, source: str, controls: list[str]) -> None:
    """Run each control in a copy of `names`, then each assert of the cell `source`; none of it leaves a trace.

    Raises:
        AssertionError: an assert that no control brings down, or a control that brings down none.
        RuntimeError: a control, or an assert after it, stops with another error.
    """
    statements = asserts(source)
    fallen: set[str] = set()
    for number, control in enumerate(controls, 1):
        copy = dict(names)
        with _as_it_was():
            try:
                exec(compile(control, f"<control {number} of {claim}>", "exec"), copy)
                fell = {statement for statement in statements if _falls(statement, copy)}
            except Exception as error:
                raise RuntimeError(
                    f"{claim}, control {number}: {type(error).__name__}: {error}\n\n{control}"
                ) from error
        assert fell, f"{claim}: every assert holds under control {number}:\n\n{control}"
        fallen |= fell
    standing = [statement for statement in statements if statement not in fallen]
    assert not standing, f"{claim}: no control brings down\n\n" + "\n\n".join(standing)


def _falls(statement: str, names: dict[str, Any]) -> bool:
    try:
        exec(compile(statement, "<assert>", "exec"), names)
    except AssertionError:
        return True
    return False


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Random numbers go on afterwards as if nothing had been drawn; nothing is printed, no figure stays open."""
    import matplotlib.pyplot as plt
    import torch

    python, open_figures = random.getstate(), set(plt.get_fignums())
    with torch.random.fork_rng(), torch.enable_grad(), contextlib.redirect_stdout(io.StringIO()):
        try:
            yield
        finally:
            random.setstate(python)
            for number in set(plt.get_fignums()) - open_figures:
                plt.close(number)
