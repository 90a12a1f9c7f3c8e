"""Controls: a check that cannot fail is told, and what a control does leaves no trace."""

import random
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch

from course_utils.authoring.controls import asserts, claim_cells, controls_of, hold, with_controls
from course_utils.authoring.kernel import NotebookError

CELL = """
share = model + 0.5
assert share > 0.6
assert abs(share) < 2, "far off"
for k in range(2):
    assert share > k / 2
"""


def names() -> dict[str, object]:
    return {"model": 0.4, "share": 0.9}


def test_each_assert_must_fall() -> None:
    hold(names(), "V1", CELL, ["share = 0.1", "share = 3.0"])
    with pytest.raises(AssertionError, match=r"V1: no control brings down\n\nassert abs\(share\) < 2"):
        hold(names(), "V1", CELL, ["share = 0.1"])
    with pytest.raises(AssertionError, match="control 2:"):
        hold(names(), "V1", CELL, ["share = -3", "other = 1"])


def test_an_assert_that_cannot_fail_is_told() -> None:
    with pytest.raises(AssertionError, match="assert 1 == 1"):
        hold(names(), "V1", "assert share > 0.6\nassert 1 == 1", ["share = 0"])


@pytest.mark.parametrize("control", ["share = None", "shares = unknown", "share =", "assert False, 1 / 0"])
def test_a_control_that_stops_otherwise_is_an_error(control: str) -> None:
    with pytest.raises(RuntimeError, match=r"V1, control 1: (Type|Name|Syntax|ZeroDivision)Error"):
        hold(names(), "V1", CELL, [control])


def test_controls_leave_no_trace() -> None:
    control = """
import random, torch, matplotlib.pyplot
random.random(), torch.rand(1), matplotlib.pyplot.figure(), print("seen")
share = 9 if torch.is_grad_enabled() else 0.9
more = 1
"""
    before, given = (random.getstate(), torch.get_rng_state()), names()
    figures = plt.get_fignums()
    with torch.no_grad():
        hold(given, "V1", "assert share < 2", [control])
    assert given == names()
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert plt.get_fignums() == figures


def test_asserts_are_the_statements_that_hold_one() -> None:
    assert len(asserts(CELL)) == 3
    assert asserts("def f():\n    assert 1\n%matplotlib inline\nx = 2") == []


def notebook() -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell
    sources = {
        "x = 1": [],
        "assert x": ["V1"],
        "assert x > 0": ["V2"],
        "x = 2": ["V2"],
        "assert x == 2": ["V2", "slow"],
    }
    return nbformat.v4.new_notebook(cells=[cell(s, metadata={"tags": tags}) for s, tags in sources.items()])


def written(folder: Path, text: str) -> Path:
    (folder / "controls").mkdir(exist_ok=True)
    (folder / "controls" / "09_x.py").write_text(text)
    return folder / "09_x.py"


def test_a_control_stands_behind_the_cell_of_its_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plt, "show", plt.show)  # the first cell changes it
    nb = notebook()
    assert list(claim_cells(nb)) == ["V1", "V2.1", "V2.2"]
    assert [c.source for c in with_controls(nb, tmp_path / "09_x.py").cells] == [c.source for c in nb.cells]
    text = "".join(f'# %% claim="{claim}"\nx = 0\n\n' for claim in ("V2.1", "V1", "V2.2", "V1"))
    py = written(tmp_path, "# %% [markdown]\n# Why.\n\n" + text)
    assert controls_of(py) == {"V2.1": ["x = 0"], "V1": ["x = 0", "x = 0"], "V2.2": ["x = 0"]}
    scope: dict[str, object] = {}
    for cell in with_controls(nb, py).cells:
        exec(cell.source, scope)
    tags = ["control" in cell.metadata.tags for cell in with_controls(nb, py).cells]
    assert tags == [True, False, False, True, False, True, False, False, True]  # the first watches figures


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# %% claim="V3"\nx = 0\n', "V3 not among the claims V1, V2.1, V2.2"),
        ('# %% claim="V1"\nx = 0\n', "no control for V2.1, V2.2"),
        ("# %%\nx = 0\n", "a control begins"),
    ],
)
def test_controls_that_do_not_fit_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=message):
        with_controls(notebook(), written(tmp_path, text))
