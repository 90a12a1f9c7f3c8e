"""Building, comparing, running and exporting a small notebook that has a figure, widgets and formulas."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from course_utils import nbval_run, notebook
from course_utils.notebook import NotebookError
from course_utils.page import app as page_app
from course_utils.page import to_html

ADDRESS = "https://github.com/someone/pictures"

HEAD = """\
# %% [markdown]
# # Small
# [![Open in Colab](old)](old)

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
# The loss is $\lVert x - \hat x\rVert^2 < 1$, not `$HOME`:
#
# $$\begin{aligned} a &= b \\ c &= \underbrace{d}_{\text{loss}} \end{aligned}$$
#
# <details><summary>The answer, with $z_1$</summary>
#
# It is $\mathbb{E}_q[\mathcal{L}]$.
#
# </details>

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


@pytest.mark.parametrize("lost", ["# [![Open in Colab](old)](old)\n", "    # %pip", ' tags=["install"]'])
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


def test_the_command_line_checks_and_exports(small: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(notebook.app, ["check", str(small)]).exit_code == 0
    assert runner.invoke(page_app, [str(small), "--out", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "01_small.html").stat().st_size > 10_000
    py = project(tmp_path, SMALL)
    done = runner.invoke(notebook.app, ["check", str(py)])
    assert done.exit_code == 1
    assert "01_small.ipynb does not exist" in done.output


def test_the_package_does_not_load_the_notebook_tools() -> None:
    tools = {"jupytext", "nbformat", "nbclient", "nbconvert"}
    code = f"import sys, course_utils, course_utils.homework; assert not {tools} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_tool_is_named() -> None:
    code = "import sys; sys.modules['jupytext'] = None; import course_utils.notebook"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs 'jupytext'" in done.stderr
    assert "pip install 'course-utils[lab]'" in done.stderr


# --- Export -------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would load by itself, and the text it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "srcset", "data") and tag != "a"
        ]
        self.loads += [value or "" for name, value in attrs if name == "href" and tag == "link"]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts[-1] += data
        elif self.tags and self.tags[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def page(small: Path) -> tuple[str, Page]:
    text = to_html(small.with_suffix(".ipynb"))
    parsed = Page()
    parsed.feed(text)
    return text, parsed


def test_the_page_loads_nothing_from_elsewhere(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert [load[:60] for load in parsed.loads if not load.startswith("data:")] == []
    assert re.findall(r"url\(\s*['\"]?(?!data:)\w+:[^)]*|@import[^;]*", text) == []
    assert re.findall(r"\b(?:import|fetch|require)\(['\"][^)]*", "".join(parsed.scripts)) == []
    assert any(load.startswith("data:image/png") for load in parsed.loads)


def test_formulas_are_mathml(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert parsed.tags.count("math") == 4
    assert "mtable" in parsed.tags
    assert "munder" in parsed.tags
    assert "details" in parsed.tags
    assert "𝔼" in parsed.text
    assert "&lt;</mo>" in text
    assert parsed.text.count("$") == 1  # the one in `code`, which is no formula


def test_answers_stay_folded(page: tuple[str, Page]) -> None:
    (inside,) = re.findall(r"<details>(.*?)</details>", page[0], re.DOTALL)
    assert "The answer, with" in inside
    assert "It is" in inside


def test_a_formula_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    py = project(tmp_path, HEAD.replace("# # Small", r"# # Small $\nonsense{x}$"))
    with pytest.raises(NotebookError, match=r"the formula \$\\nonsense\{x\}\$"):
        to_html(notebook.build(py, execute=False))


def test_widgets_carry_their_front_end_once(page: tuple[str, Page]) -> None:
    text, parsed = page
    (content,) = (json.loads(script) for script in parsed.scripts if script.startswith("{"))
    assert len(content["modules"]) == len(content["styles"]) == 1
    assert sorted(model["state"]["n"] for model in content["models"].values()) == [1, 2]
    shown = re.findall(r'data-widget-model="(\w+)"', text)
    assert set(shown) == set(content["models"])
    assert "Counter(1)" in parsed.text  # for a page without scripts


# --- nbval --------------------------------------------------------------------------------------------------

OFFLINE = """\
# %%
print("words")

# %%
import socket

try:
    socket.create_connection(("192.0.2.1", 80), timeout=3)
    print("connected")
except OSError as error:
    print("cut off" in str(error))

# %%
server = socket.create_server(("127.0.0.1", 0))
print(socket.create_connection(server.getsockname()).getpeername()[0])

# %%
import matplotlib.pyplot as plt

plt.plot([1, 2])
plt.show()

# %% tags=["nbval-ignore-output"]
from pathlib import Path

devices = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
assert devices == ["lo"] or WITHOUT_NAMESPACE
"""


@pytest.mark.parametrize("namespace", [False, True])
def test_nbval_passes_without_a_network(tmp_path: Path, namespace: bool) -> None:
    namespace = namespace and nbval_run.can_run(*nbval_run.UNSHARE, "ip link set lo up")
    ipynb = tmp_path / "offline.ipynb"
    nb = notebook.parse(OFFLINE.replace("WITHOUT_NAMESPACE", str(not namespace)))
    expected = ["words\n", "True\n", "127.0.0.1\n"]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    for count, (cell, text) in enumerate(zip(code, [*expected, "", ""], strict=True), 1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
    code[3].outputs = [
        nbformat.v4.new_output(
            "display_data", {"image/png": "", "text/plain": "<Figure size 640x480 with 1 Axes>"}
        )
    ]
    nbformat.write(nb, ipynb)
    run = nbval_run.run_nbval(ipynb, cell_timeout=30, offline=True, namespace=namespace)
    assert run.failures == []
    assert run.isolation == ("namespace" if namespace else "guard")
    assert [cell.has_image for cell in run.cells] == [False, False, False, True, False]
    ended = [cell.ended for cell in run.cells]
    assert ended == sorted(ended)
    assert 0 < ended[0] < run.seconds == ended[-1] < 60


def stored(folder: Path, *cells: tuple[str, str]) -> Path:
    """An executed notebook, made by hand, of cells and the text each has printed."""
    nb = nbformat.v4.new_notebook()
    for count, (source, text) in enumerate(cells, 1):
        outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
        nb.cells.append(nbformat.v4.new_code_cell(source, execution_count=count, outputs=outputs))
    nbformat.write(nb, folder / "made.ipynb")
    return folder / "made.ipynb"


def test_nbval_tells_another_output_and_can_be_told_not_to_compare(tmp_path: Path) -> None:
    ipynb = stored(tmp_path, ("print(2)", "2\n"), ("print(3)", "4\n"), ("1 / 0", ""))
    assert [cell.passed for cell in nbval_run.run_nbval(ipynb, cell_timeout=30).cells] == [True, False, False]
    run = nbval_run.run_nbval(ipynb, cell_timeout=30, compare=False)
    assert [cell.passed for cell in run.cells] == [True, True, False]
    assert "ZeroDivisionError" in run.failures[0]


def test_nbval_notices_a_dead_kernel_at_once(tmp_path: Path) -> None:
    ipynb = stored(tmp_path, ("import os\nos._exit(1)", ""), ("x = 1", ""))
    start = time.monotonic()
    run = nbval_run.run_nbval(ipynb, cell_timeout=300)
    assert time.monotonic() - start < 30
    assert [cell.passed for cell in run.cells] == [False, False]
    assert "the kernel died" in run.failures[0]


def test_nbval_passes_no_cell_after_a_time_out(tmp_path: Path) -> None:
    ipynb = stored(tmp_path, ("x = 0\nwhile True:\n    x += 1", ""), ("y = 1", ""))
    run = nbval_run.run_nbval(ipynb, cell_timeout=1)
    assert [cell.passed for cell in run.cells] == [False, False]
    assert "Timeout of 1 seconds" in run.failures[0]


def test_nbval_needs_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "broken.ipynb").write_text("not json")
    with pytest.raises(NotebookError, match=r"nbval did not run on broken\.ipynb"):
        nbval_run.run_nbval(tmp_path / "broken.ipynb", cell_timeout=5)
