"""A page from a notebook's stored outputs: formulas, pictures and widgets without a network or a kernel."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import STATE, VIEW
from course_utils.authoring.pages import app, to_html

TEXT = r"""# Small
[Open in Colab](https://colab.research.google.com/x)

The loss is $\lVert x - \hat x\rVert^2 < 1$, not `$HOME`:

$$\begin{aligned} a &= b \\ c &= \underbrace{d}_{\text{loss}} \end{aligned}$$

<details><summary>The answer, with $z_1$</summary>

It is $\mathbb{E}_q[\mathcal{L}]$.

</details>
"""
FRONT = "export default { render({ model, el }) { el.append(model.get('n')); /* </script> */ } };"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def notebook(folder: Path, text: str = TEXT) -> Path:
    """A notebook with formulas, two widgets of one kind, of which only the first has a picture, and a plot."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    state = {}
    for n in (1, 2):
        state[f"{n:032x}"] = {"state": {"_esm": FRONT, "_css": ".counter { color: red; }", "n": n}}
        data = {VIEW: {"model_id": f"{n:032x}"}, "text/plain": f"Counter({n})"} | (
            {"image/png": PIXEL} if n == 1 else {}
        )
        nb.cells.append(
            nbformat.v4.new_code_cell("w", outputs=[nbformat.v4.new_output("display_data", data)])
        )
    plot = nbformat.v4.new_output("display_data", {"image/png": PIXEL})
    nb.cells.append(nbformat.v4.new_code_cell("plot", outputs=[plot]))
    nb.metadata["widgets"] = {STATE: {"state": state, "version_major": 2, "version_minor": 0}}
    nbformat.write(nb, folder / "small.ipynb")
    return folder / "small.ipynb"


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
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    text = to_html(notebook(tmp_path_factory.mktemp("page")))
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


def test_no_line_begins_with_the_full_stop_of_a_formula(tmp_path: Path) -> None:
    text = to_html(notebook(tmp_path, "Both $a$ and $b$, but not $c$. And $$d$$ alone."))
    kept = re.findall(r'<span class="course-formula"><math>.*?<mi>(.)</mi>.*?</math>(.)</span>', text)
    assert kept == [("b", ","), ("c", ".")]
    assert re.search(r"\.course-formula \{ white-space: nowrap", text)


def test_answers_stay_folded(page: tuple[str, Page]) -> None:
    (inside,) = re.findall(r"<details>(.*?)</details>", page[0], re.DOTALL)
    assert "The answer, with" in inside
    assert "It is" in inside


def test_a_formula_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    ipynb = notebook(tmp_path, r"# Small $\nonsense{x}$")
    with pytest.raises(NotebookError, match=r"the formula \$\\nonsense\{x\}\$"):
        to_html(ipynb)
    done = CliRunner().invoke(app, [str(ipynb)])
    assert done.exit_code == 1
    assert "nonsense" in done.output


def test_the_command_writes_the_page_where_it_is_told(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, [str(notebook(tmp_path)), "--out", str(tmp_path / "html")]).exit_code == 0
    assert (tmp_path / "html" / "small.html").read_text() == to_html(tmp_path / "small.ipynb")


def test_widgets_carry_their_front_end_once(page: tuple[str, Page]) -> None:
    text, parsed = page
    (content,) = (json.loads(script) for script in parsed.scripts if script.startswith("{"))
    assert len(content["modules"]) == len(content["styles"]) == 1
    assert sorted(model["state"]["n"] for model in content["models"].values()) == [1, 2]
    shown = re.findall(r'data-widget-model="(\w+)"', text)
    assert set(shown) == set(content["models"])
    assert "Counter(2)" in parsed.text  # for a page without scripts, as is the picture of the other
    assert 'alt="Counter(1)"' in text
