"""Building, running and comparing a small notebook that has a figure and widgets."""

import base64
import io
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from course_utils.authoring import kernel
from course_utils.authoring import notebooks as notebook
from course_utils.authoring.kernel import NotebookError

ADDRESS = "https://github.com/someone/pictures"

HEAD = """\
# %% [markdown]
# # Small
# [Open in Colab](old)

# %% tags=["install"]
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    print("Installing")
    # %pip install -q "course-utils @ git+old"
"""

SMALL = (
    HEAD
    + r"""
# %% [markdown]
# The loss is $x < 1$.

# %%
import sys

import anywidget
import matplotlib.pyplot as plt
import traitlets

assert sys.executable == INTERPRETER

# %% tags=["A1"]
plt.plot([1, 3, 2])
plt.show()


# %%
class Counter(anywidget.AnyWidget):
    _esm = "export default { render({ model, el }) { el.append(model.get('n')); /* </script> */ } };"
    _css = ".counter { color: red; }"
    n = traitlets.Int(0).tag(sync=True)

    def __repr__(self):
        return f"Counter({self.n})"


never_shown = Counter(n=987654)
Counter(n=1)

# %% key="second"
for number in range(3):
    print("out", number)
    print("err", number, file=sys.stderr, flush=True)
print(object())
Counter(n=2)
""".replace("INTERPRETER", repr(sys.executable))
)


def project(folder: Path, text: str, name: str = "01_small") -> Path:
    """A checkout with one notebook source."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{ADDRESS}"\n')
    py = folder / "notebooks" / f"{name}.py"
    py.write_text(text)
    return py


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The source of a built notebook, built where the kernel that is registered as python3 does not work."""
    folder = tmp_path_factory.mktemp("small")
    kernel = folder / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "broken", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        py = project(folder / "checkout", SMALL)
        notebook.build(py)
        yield py


# --- Building -----------------------------------------------------------------------------------------------


def test_a_second_build_gives_the_same_bytes(small: Path) -> None:
    ipynb = small.with_suffix(".ipynb")
    first = ipynb.read_bytes()
    ipynb.unlink()
    notebook.build(small)
    assert ipynb.read_bytes() == first


def test_a_built_notebook_is_valid_executed_and_in_sync(small: Path) -> None:
    nb = nbformat.read(small.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(nb)
    assert notebook.check(small) == []
    assert [c.execution_count for c in nb.cells if c.cell_type == "code"] == [1, 2, 3, 4, 5]
    assert nb.metadata.kernelspec.name == "python3"
    assert "version" not in nb.metadata.language_info
    assert any(
        "image/png" in output.get("data", {}) for cell in nb.cells for output in cell.get("outputs", [])
    )
    streams = {o.name: o.text for o in nb.cells[-1].outputs if o.output_type == "stream"}
    assert streams == {
        "stdout": "out 0\nout 1\nout 2\n<object object at ADDRESS>\n",
        "stderr": "err 0\nerr 1\nerr 2\n",
    }


def test_only_the_widgets_that_are_shown_are_stored(small: Path) -> None:
    nb = nbformat.read(small.with_suffix(".ipynb"), as_version=4)
    views = [o.data[notebook.VIEW]["model_id"] for c in nb.cells for o in c.get("outputs", []) if "data" in o
             and notebook.VIEW in o.data]  # fmt: skip
    models = nb.metadata.widgets[notebook.STATE]["state"]
    assert [models[view]["state"]["n"] for view in views] == [1, 2]
    layouts = {models[view]["state"]["layout"].removeprefix("IPY_MODEL_") for view in views}
    assert set(models) == layouts | set(views)
    assert sorted(int(name, 16) for name in models) == list(range(1, len(models) + 1))
    assert all(
        "987654" not in output.get("text", "") for cell in nb.cells for output in cell.get("outputs", [])
    )
    assert "987654" not in json.dumps(models)


def test_badge_and_install_line_come_from_pyproject(small: Path) -> None:
    place = "someone/pictures/blob/main/notebooks/01_small.ipynb"
    nb = nbformat.read(small.with_suffix(".ipynb"), as_version=4)
    assert f"(https://colab.research.google.com/github/{place})" in nb.cells[0].source
    assert f'    %pip install -q "course-utils @ git+{ADDRESS}"' in nb.cells[1].source.split("\n")
    compile(small.read_text(), "01_small.py", "exec")  # the .py stays Python: the magic is a comment in it
    assert notebook.refresh_links(small) is False


@pytest.mark.parametrize("lost", ["# [Open in Colab](old)\n", "    # %pip", ' tags=["install"]'])
def test_a_source_without_its_links_is_refused(tmp_path: Path, lost: str) -> None:
    assert lost in HEAD
    py = project(tmp_path, HEAD.replace(lost, "    pass  #" if "pip" in lost else ""))
    with pytest.raises(NotebookError, match=r"first (markdown|code) cell must"):
        notebook.build(py, execute=False)
    assert not py.with_suffix(".ipynb").exists()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("numbers = [1, 2]\nnumbers[7]", r"cell 3 fails\n\n(?s:.*)numbers\[7\](?s:.*)IndexError: list index"),
        ("import time\ntime.sleep(60)", r"cell 3 takes longer than 2 s\n\n(?s:.*)time.sleep\(60\)"),
        ("import os\nos._exit(1)", r"cell 3 ended the kernel"),
        ("import os\nprint(os.getcwd())", r"cell 3 prints a path of this machine"),
    ],
)
def test_a_failed_build_leaves_the_old_file(tmp_path: Path, cell: str, message: str) -> None:
    py = project(tmp_path, f"{HEAD}\n# %%\n{cell}\n")
    py.with_suffix(".ipynb").write_text("old")
    with pytest.raises(NotebookError, match=message):
        notebook.build(py, timeout=2)
    assert py.with_suffix(".ipynb").read_text() == "old"
    assert sorted(path.name for path in py.parent.iterdir()) == ["01_small.ipynb", "01_small.py"]


# --- The pair -----------------------------------------------------------------------------------------------


def ids(text: str) -> list[str]:
    return [cell.id for cell in notebook.parse(text).cells]


def test_a_cells_id_stays_when_other_cells_change() -> None:
    before = ids("# %%\na = 1\n\n# %%\nb = 2\n\n# %%\nb = 2\n\n# %% key='x'\nc = 3\n".replace("'", '"'))
    after = ids(
        "# %%\nnew = 0\n\n# %%\na = 10\n\n# %%\nb = 2\n\n# %%\nb = 2\n\n# %% key='x'\nc = 4\n".replace(
            "'", '"'
        )
    )
    assert len(set(before)) == 4
    assert after[2:] == before[1:]
    assert before[3] == "x"
    assert before[0] not in after


def test_keys_are_used_once() -> None:
    with pytest.raises(NotebookError, match="key='x' stands on two cells"):
        ids('# %% key="x"\na = 1\n\n# %% key="x"\nb = 1\n')
    with pytest.raises(NotebookError, match="key='a b'"):
        ids('# %% key="a b"\na = 1\n')


def swap_last_cells(text: str) -> str:
    *rest, a, b = re.split(r"(?m)^(?=# %%)", text)
    return "".join([*rest, b, a])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("[1, 3, 2]", "[1, 3, 4]"), r"cell 5, line 1: .*\[1, 3, 4\].*\[1, 3, 2\]"),
        (lambda text: text.replace('tags=["A1"]', 'tags=["A2"]'), r"cell 5: tags \['A2'\].*\['A1'\]"),
        (swap_last_cells, r"cell 6, line 1"),
        (lambda text: text + "\n# %%\nmore = 1\n", r"8 cells.*7"),
        (lambda text: text.replace("# The loss is", "# The cost is"), r"cell 3, line 1"),
        (
            lambda text: text.replace('# %% tags=["A1"]\n', '# %% [markdown] tags=["A1"]\n# '),
            r"cell 5: markdown",
        ),
    ],
    ids=["source", "tag", "moved", "added", "text", "type"],
)
def test_a_pair_that_differs_is_told(
    small: Path, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    other = tmp_path / "other.py"
    other.write_text(change(small.read_text()))
    differences = notebook.in_sync(other, small.with_suffix(".ipynb"))
    assert any(re.search(message, difference) for difference in differences), differences


def test_a_notebook_that_was_not_run_is_told(small: Path, tmp_path: Path) -> None:
    assert notebook.unexecuted(small.with_suffix(".ipynb")) == []
    py = project(tmp_path, SMALL)
    notebook.build(py, execute=False)
    assert len(notebook.unexecuted(py.with_suffix(".ipynb"))) == 5

    nb = nbformat.read(small.with_suffix(".ipynb"), as_version=4)
    nb.cells[-1].execution_count = 9
    nb.cells[-1].outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])]
    nbformat.write(nb, tmp_path / "changed.ipynb")
    assert notebook.unexecuted(tmp_path / "changed.ipynb") == [
        "code cell 5 has execution count 9",
        "code cell 5 stores an error: ValueError: no",
    ]


def test_the_command_line_names_what_is_wrong(small: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(notebook.app, ["check", str(small)]).exit_code == 0
    py = project(tmp_path, SMALL)
    done = runner.invoke(notebook.app, ["check", str(py)])
    assert done.exit_code == 1
    assert "01_small.ipynb does not exist" in done.output


def test_a_students_kernel_needs_none_of_the_notebook_tools() -> None:
    tools = {"jupytext", "nbformat", "nbclient", "nbconvert", "IPython", "typer"}
    code = f"import sys, course_utils.checks; print({tools} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- The run ------------------------------------------------------------------------------------------------


def cells(*sources: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_a_run_tells_each_cell_as_it_ends(tmp_path: Path) -> None:
    told: list[tuple[str, str, float]] = []
    nb = cells("print(2)", "1 / 0", "assert 1 == 2, 'no'", "x")
    nb.cells[3].metadata["tags"] = ["skip-execution"]
    nb.cells[3].outputs = [nbformat.v4.new_output("stream", text="forged")]
    kernel.run(
        nb, tmp_path / "a[1].ipynb", timeout=30, allow_errors=True,
        done=lambda cell, seconds: told.append((cell.source, kernel.reason(cell), seconds)),
    )  # fmt: skip
    reasons = ["", "ZeroDivisionError: division by zero", "no", "NameError: name 'x' is not defined"]
    assert [(source, reason) for source, reason, _ in told] == [
        (cell.source, reason) for cell, reason in zip(nb.cells, reasons, strict=True)
    ]
    seconds = [at for _, _, at in told]
    assert seconds == sorted(seconds)
    assert nb.cells[0].outputs[0].text == "2\n"


@pytest.mark.parametrize("kind", ["grey", "coloured", "transparent"])
def test_a_stored_picture_has_the_same_pixels_in_fewer_bytes(tmp_path: Path, kind: str) -> None:
    ramp = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    pixels = np.stack([ramp, ramp, ramp if kind == "grey" else ramp.T, np.full_like(ramp, 255)], axis=2)
    pixels[0, 0, 3] = 128 if kind == "transparent" else 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    nb = cells("x")
    data = {"image/png": base64.b64encode(file.getvalue()).decode()}
    nb.cells[0].outputs = [nbformat.v4.new_output("display_data", data)]
    notebook.save(nb, tmp_path / "a.ipynb")
    (output,) = nbformat.read(tmp_path / "a.ipynb", as_version=4).cells[0].outputs
    stored = base64.b64decode(output.data["image/png"])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored)).convert("RGBA")), pixels)
    assert (len(stored) < len(file.getvalue())) == (kind != "transparent")
    notebook.save(nb, tmp_path / "b.ipynb")  # packed once, it stays as it is
    assert (tmp_path / "b.ipynb").read_bytes() == (tmp_path / "a.ipynb").read_bytes()


def test_a_run_tells_when_the_page_changes(tmp_path: Path) -> None:
    """What is printed, displayed and changed in its place; a cell that only computes shows nothing."""
    shown: list[float] = []
    nb = cells(
        "x = 1", "import time\nfrom IPython.display import display\nhandle = display(1, display_id=True)",
        "for k in range(3):\n    time.sleep(0.4)\n    handle.update(k)",
    )  # fmt: skip
    kernel.run(nb, tmp_path / "a.ipynb", timeout=60, shown=shown.append)
    assert len(shown) == 4
    assert all(later - earlier > 0.3 for earlier, later in itertools.pairwise(shown[1:]))


def test_a_kernel_that_dies_is_noticed_at_once(tmp_path: Path) -> None:
    began, told = time.monotonic(), []
    with pytest.raises(kernel.StoppedError) as stopped:
        kernel.run(
            cells("x = 1", "import os\nos._exit(1)", "y = 1"), tmp_path / "a.ipynb", timeout=300,
            allow_errors=True, done=lambda cell, seconds: told.append(cell.source),
        )  # fmt: skip
    assert time.monotonic() - began < 30
    assert stopped.value.why == "ended the kernel (out of memory?)"
    assert told == ["x = 1"]
