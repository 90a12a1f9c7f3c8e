"""What the site is made of: alternative texts, words, links, docstrings. Its pages are opened in tests/browser."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from course_utils.authoring import site_pages
from course_utils.authoring.kernel import NotebookError
from course_utils.authoring.notebooks import STATE
from course_utils.authoring.site_extension import escaped, in_korean, mended, plain
from course_utils.authoring.site_notebooks import (
    mark_claims,
    mark_words,
    read_page,
    with_bar,
    words_of,
)
from course_utils.authoring.stored import alternative_texts, is_figure, take_widgets

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
notebook = pytest.mark.parametrize("ipynb", NOTEBOOKS, ids=lambda path: path.stem)


def texts_of(ipynb: Path) -> list[str]:
    """The alternative texts of all figures; a figure without one gives ""."""
    given = alternative_texts(ipynb.with_suffix(".py"))
    found = []
    for number, cell in enumerate(nbformat.read(ipynb, as_version=4).cells):
        figures = sum(is_figure(output) for output in cell.get("outputs", []))
        found += given.get(number, [""] * figures)
        assert len(given.get(number, [])) in (0, figures), cell.source
    return found


@notebook
def test_each_figure_has_an_alternative_text_of_its_own(ipynb: Path) -> None:
    """A sentence that says what is seen, and not the same one twice."""
    texts = texts_of(ipynb)
    assert texts
    for text in texts:
        assert 30 <= len(text) <= 330, text
        assert text.endswith("."), text
        assert not re.search(r"\d\.\d{2,}", text), f"a trained number may change: {text}"
        assert not re.match(r"(?i)(an? )?(figure|image|picture|chart)\b", text), (
            f"a reader says that itself: {text}"
        )
    assert len(set(texts)) == len(texts)


@notebook
def test_each_word_leads_to_where_it_is_explained(ipynb: Path) -> None:
    nb = nbformat.read(ipynb, as_version=4)
    words = words_of(nb)
    assert len(words) > 10
    marks = mark_words(nb)
    assert set(marks) == {word.english for word in words}
    text = "\n".join(cell.source for cell in nb.cells)
    for word in words:
        if marks[word.english] != "words":
            assert text.count(f'id="{marks[word.english]}"') == 1
            after = " ".join(text.partition(f'id="{marks[word.english]}"></span>')[2][:60].split()).lower()
            assert after.startswith(tuple(re.split("[,(]", part)[0].strip().lower() for part in word[:2])), (
                word
            )
    assert list(marks.values()).count("words") <= len(words) / 5


def test_a_word_is_explained_where_bold_english_stands_before_its_korean() -> None:
    table = "## Words\n\n| English | Korean | meaning |\n| --- | --- | --- |\n| a mode | 모드 | $x$ |\n\n## Read on\n"
    cells = ["모드\n\nThe 모드들 and 모드 here.", "# 모드\n\nA **mode**\n(모드) is `모드`.", table]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in cells])
    assert mark_words(nb) == {"a mode": "word-a-mode"}
    assert nb.cells[1].source == '# 모드\n\nA **mode**\n(<span id="word-a-mode"></span>모드) is `모드`.'
    assert nb.cells[0].source == cells[0]


def test_all_claims_of_the_readme_lead_to_a_place() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = site_pages.CLAIM_ROW.findall(readme)
    assert len(rows) > 40
    for ipynb in NOTEBOOKS:
        nb = nbformat.read(ipynb, as_version=4)
        marks = mark_claims(nb)
        text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
        for claim, _, number in rows:
            if number == ipynb.name[:2]:
                assert text.count(f'<span id="{marks[claim]}"></span>') == 1
                assert re.search(rf'id="{marks[claim]}"></span>(<span[^>]*></span>)*\n\n#+ \S', text)


def test_a_title_leads_to_its_paper_or_to_a_search() -> None:
    page = site_pages.Page(
        "01_a", "01 · A", [], {}, {}, [], "- X, *Known\n  title*, 2020; workshop *W*; **b** *New?*."
    )
    text = site_pages.references([page], {"Known title": "https://arxiv.org/abs/1"})
    assert "[*Known title*](https://arxiv.org/abs/1)" in text
    assert "workshop *W*" in text
    assert "[*New?*](https://scholar.google.com/scholar?q=%22New%3F%22)" in text


# Where a paper's own page stays; others are one by one below.
LASTING = re.compile(
    r"https://(?:arxiv\.org/abs/\d{4}\.\d{4,5}|doi\.org/10\.\d{4,5}/[\w.:-]+|openreview\.net/forum\?id=\w+"
    r"|proceedings\.neurips\.cc/paper/\d{4}/hash/[0-9a-f]{32}-Abstract\.html|www\.jmlr\.org/papers/v\d+/\w+\.html)"
)
ELSEWHERE = {
    "https://approximateinference.org/2016/accepted/HoffmanJohnson2016.pdf",
    "https://github.com/black-forest-labs/flux",  # there is no paper
}


def test_the_addresses_of_papers_are_used_and_look_right() -> None:
    known = json.loads((ROOT / "docs" / "site" / "papers.json").read_text(encoding="utf-8"))
    text = " ".join(
        " ".join(path.with_suffix(".py").read_text(encoding="utf-8").replace("\n# ", " ").split())
        for path in NOTEBOOKS
    )
    for title, address in known.items():
        assert f"*{title}*" in text
        assert LASTING.fullmatch(address) or address in ELSEWHERE
    assert len(set(known.values())) == len(known)


def test_links_of_the_checkout_lead_to_pages_or_to_the_repository() -> None:
    text = "[a](notebooks/01_a.ipynb) [b](benchmarks/t.md) [c](LICENSE) [d](https://x.y) "
    text += "[e](notebooks/controls) ![f](docs/f.png)"
    new = "[a](/notebooks/01_a.ipynb) [b](/benchmarks/t.md) [c](R/blob/main/LICENSE) [d](https://x.y) "
    assert (
        site_pages.with_links(text, "R")
        == new + "[e](R/blob/main/notebooks/controls) ![f](R/blob/main/docs/f.png)"
    )
    assert site_pages.with_links("[a](source/hw.py)", "R", "notebooks/homework/") == (
        "[a](R/blob/main/notebooks/homework/source/hw.py)"
    )


def test_a_lecturers_plan_tells_the_numbers_of_slides() -> None:
    plan = "| 0–2 | “The title”, “Both” | Say “Both”. |"
    numbered = "| 0–2 | 1 “The title”, 3 “Both” | Say 3 “Both”. |"
    assert site_pages.with_numbers(plan, ["The title", "Another", "Both"]) == numbered


def test_a_section_ends_at_the_next_heading() -> None:
    assert site_pages.section("# T\n## A\nx\n### B\ny\n## C\nz", "A") == "x\n### B\ny"
    with pytest.raises(ValueError, match="no heading 'D'"):
        site_pages.section("## A\n", "D")


def test_figures_become_files_and_a_missing_figure_is_named(tmp_path: Path) -> None:
    output = nbformat.v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
    cell = nbformat.v4.new_code_cell("plot()", outputs=[output])
    head = nbformat.v4.new_markdown_cell("[Open in Colab](x)\n\n# T\n\n제목\n\nText.")
    nbformat.write(nbformat.v4.new_notebook(cells=[head, cell]), tmp_path / "a.ipynb")
    (tmp_path / "a.py").write_text(
        '# %% [markdown]\n# x\n\n# %% alt="What is \\u201cseen\\u201d & <more>."\nplot()\n'
    )
    nb, explorers = read_page(tmp_path / "a.ipynb", tmp_path / "files", "../_static")
    assert explorers == []
    (shown,) = [output.data["text/html"] for output in nb.cells[1].outputs]
    assert 'alt="What is “seen” &amp; &lt;more&gt;."' in shown
    assert 'src="../_static/figures/a-01.png" width="1" height="1"' in shown
    assert (tmp_path / "files" / "figures" / "a-01.png").is_file()
    with_bar(nb, [("Open in Colab", "x")])
    assert re.fullmatch(
        r'# T\n\n제목\n\n<div class="course-bar"><a href="x">.*</div>\n\nText\.', nb.cells[0].source
    )
    (tmp_path / "a.py").write_text('# %% [markdown]\n# x\n\n# %% alt=["One.", "Two."]\nplot()\n')
    with pytest.raises(NotebookError, match=r"a\.py, cell 2: 2 alternative texts, 1 figures"):
        read_page(tmp_path / "a.ipynb", tmp_path / "files", "../_static")


def test_figures_that_are_alike_have_each_its_own_text(tmp_path: Path) -> None:
    output = nbformat.v4.new_output("display_data", {"image/png": PIXEL})
    cells = [nbformat.v4.new_code_cell("plot()", outputs=[output, output])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    (tmp_path / "a.py").write_text('# %% alt=["One.", "Two."]\nplot()\n')
    nb, _ = read_page(tmp_path / "a.ipynb", tmp_path / "files", "../_static")
    shown = [output.data["text/html"] for output in nb.cells[0].outputs]
    assert [re.findall('alt="(.*?)"', tag) for tag in shown] == [["One."], ["Two."]]


def test_the_bytes_of_a_stored_explorer_are_taken_with_its_state() -> None:
    """As of the board to draw on, whose weights lie beside its state."""
    state = {"_esm": "old", "_anywidget_id": "course_utils.explorers.DrawingExplorer", "title": "Draw"}
    model = {"state": state, "buffers": [{"path": ["weights"], "data": "AAEC", "encoding": "base64"}]}
    nb = nbformat.v4.new_notebook(metadata={"widgets": {STATE: {"state": {"a": model}}}})
    taken = take_widgets(nb)["a"]
    assert taken["weights"] == "AAEC"
    assert "DecompressionStream" in taken["_esm"]
    assert "widgets" not in nb.metadata


def test_docstrings_are_plain_text() -> None:
    assert escaped("(N, *) |x| `a_b` x_ and **kw") == r"(N, \*) \|x\| `a_b` x\_ and \*\*kw"
    lines = ["One line is", "    y = a * b", "and goes on.", "", "Args:", "    x: images (N, *)."]
    assert plain(lines) == [
        "One line is", "", "::", "", "    y = a * b", "", "and goes on.", "", "Args:", r"    x: images (N, \*).",
    ]  # fmt: skip


def test_what_the_theme_leaves_out_is_mended() -> None:
    page = '<aside class="sidebar-drawer"><label class="nav-overlay-icon" for="__navigation"><i></i></label>'
    assert mended(page) == (
        '<aside class="sidebar-drawer" aria-label="Contents of the course"><button type="button" '
        'aria-label="Contents of the course" data-opens="__navigation" class="nav-overlay-icon"><i></i></button>'
    )
    assert (
        in_korean('<p title="모드">a 사후 분포 (모드)</p>')
        == '<p title="모드">a <span lang="ko">사후 분포 (모드</span>)</p>'
    )


def test_the_reference_has_a_page_for_each_room() -> None:
    pages = site_pages.reference()
    rooms = {path.stem for path in (ROOT / "course_utils").iterdir() if not path.name.startswith("_")}
    assert set(pages) == rooms | {"index"}
    assert ".. automodule:: course_utils.diffusion.samplers\n   :members:" in pages["diffusion"]
