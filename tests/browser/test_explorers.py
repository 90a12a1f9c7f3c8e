"""Explorers driven by mouse and keyboard: in JupyterLab with and without a kernel, and as a page."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from playwright.sync_api import Browser, Locator, Page, expect

from course_utils.authoring.pages import to_html

from .hands import STATE, assert_answers, drag, explorers_in, panel, pixels

if TYPE_CHECKING:
    from .conftest import Lab

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

# A linear model whose decoded images are known in closed form: the left half's grey is z1, the right half's z2.
MODEL = """\
from types import SimpleNamespace
import torch

class Halves:
    def encode(self, x):
        return torch.stack([x[:, 0, :, :4].mean((1, 2)), x[:, 0, :, 4:].mean((1, 2))], dim=1)

    def decode(self, z):
        return z.clamp(-1, 1)[:, None, None, :].repeat_interleave(4, dim=3).expand(-1, 1, 8, 8)

z = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
images = SimpleNamespace(x=Halves().decode(z), y=(z[:, 0] > 0).long(), classes=("dark", "light"))
"""
SHOW = """\
from course_utils.explorers import LatentExplorer
explorer = LatentExplorer(Halves(), images, grid=9, live={live})
explorer
"""
NOISE = """\
from course_utils.explorers import NoiseExplorer
Halves.reconstruct = lambda self, x: self.decode(self.encode(x))
NoiseExplorer(Halves(), images)
"""


def toy_notebook(live: bool) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(code) for code in (MODEL, SHOW.format(live=live))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def shown_code(view: Locator | Page) -> tuple[float, float]:
    """The z that the caption names."""
    text = view.locator(".cx-caption").first.inner_text().replace("−", "-")
    numbers = re.findall(r"-?\d+\.\d+", text)
    return float(numbers[0]), float(numbers[1])


def assert_shows_its_code(view: Locator | Page, seconds: float = 10) -> None:
    """The decoded image is what the model gives for the z in the caption: half z1, half z2.

    A live frame of a moment before may still stand there; the last one has `seconds` to come.
    """
    until = time.monotonic() + seconds
    while True:
        seen = pixels(panel(view, "decoded image")).astype(float) / 127.5 - 1
        wanted = np.clip(np.repeat(shown_code(view), 4), -1, 1)[None, :, None]  # one value for each column
        if np.abs(seen - wanted).max() <= 0.012:  # two decimals, 8 bits
            return
        if time.monotonic() > until:
            np.testing.assert_allclose(seen, np.broadcast_to(wanted, seen.shape), atol=0.012)
        time.sleep(0.1)


@pytest.fixture(scope="module")
def executed() -> nbformat.NotebookNode:
    """The toy notebook with a second explorer, and the widget states that an execution stores."""
    notebook = toy_notebook(live=False)
    notebook.cells.append(nbformat.v4.new_code_cell(NOISE))
    NotebookClient(notebook, timeout=120).execute()
    assert STATE in notebook.metadata.widgets
    return notebook


def test_drag_with_a_kernel_and_after_it_is_gone(lab: Lab) -> None:
    shown = lab.open(lab.add(toy_notebook(live=True), "live.ipynb"))
    lab.run_all()
    view = shown.locator(".cx")
    expect(view).to_be_visible(timeout=60_000)
    board = view.locator(".cx-board")
    start = shown_code(view)
    before = pixels(panel(view, "decoded image"))

    drag(lab.page, board, (0.5, 0.5), (0.31, 0.22))
    expect(view.locator(".cx-live")).to_be_visible(timeout=10_000)
    live = shown_code(view)
    assert live[0] < start[0]
    assert live[1] > start[1]
    assert (pixels(panel(view, "decoded image")) != before).any()
    assert_shows_its_code(view)

    lab.stop_kernels()
    drag(lab.page, board, (0.31, 0.22), (0.82, 0.68))
    gone = shown_code(view)
    assert gone[0] > live[0] + 0.5
    assert gone[1] < live[1] - 0.5
    expect(view.locator(".cx-live")).to_have_count(0)
    assert_shows_its_code(view)


def test_live_code_lies_between_the_nodes(lab: Lab) -> None:
    """Not only a badge: with a kernel the shown z follows the pointer, closer than the grid's nodes allow."""
    shown = lab.open(lab.add(toy_notebook(live=True), "between.ipynb"))
    lab.run_all()
    view = shown.locator(".cx")
    expect(view).to_be_visible(timeout=60_000)
    pad = view.locator(".cx-board input").first
    ends = []
    for key in ("ArrowLeft", "ArrowRight"):
        for _ in range(8):
            pad.press(key)
        ends.append(shown_code(view)[0])
    nodes = np.linspace(*ends, 9)

    # The edge between two of the nine columns: as far from their nodes as z1 can be.
    drag(lab.page, view.locator(".cx-board"), (0.9, 0.5), (4 / 9, 0.5))
    expected = (nodes[3] + nodes[4]) / 2
    deadline = time.monotonic() + 10
    while abs(shown_code(view)[0] - expected) > 0.02:
        assert time.monotonic() < deadline, f"shows {shown_code(view)}, the pointer is at z1 = {expected:.3f}"
        time.sleep(0.05)
    assert_shows_its_code(view)


def test_views_of_one_explorer_move_together(lab: Lab, executed: nbformat.NotebookNode) -> None:
    notebook = nbformat.from_dict(executed)
    again = nbformat.v4.new_code_cell("explorer", execution_count=4, outputs=notebook.cells[1].outputs)
    notebook.cells.append(again)
    shown = lab.open(lab.add(notebook, "twice.ipynb"))
    views = shown.locator(".cx")
    expect(views).to_have_count(3, timeout=60_000)
    first, other, second = views.all()
    before = pixels(panel(other, "clean"))
    drag(lab.page, first.locator(".cx-board"), (0.5, 0.5), (0.2, 0.2))
    assert_shows_its_code(second)
    assert shown_code(first) == shown_code(second)
    assert (pixels(panel(first, "decoded image")) == pixels(panel(second, "decoded image"))).all()
    assert (pixels(panel(other, "clean")) == before).all()
    for group in shown.get_by_role("radiogroup").all():  # the groups of different views do not mix
        assert sum(radio.is_checked() for radio in group.get_by_role("radio").all()) == 1


def test_keyboard(lab: Lab, executed: nbformat.NotebookNode) -> None:
    shown = lab.open(lab.add(executed, "keyboard.ipynb"))
    view = shown.locator(".cx").first
    expect(view).to_be_visible(timeout=60_000)  # JupyterLab asks the kernel before it shows a widget
    lab.stop_kernels()
    pad = view.locator(".cx-board input").first
    pad.focus()
    cell = shown.locator(".jp-Cell.jp-mod-active").element_handle()
    z1, z2 = shown_code(view)
    for key, sign in (
        ("ArrowRight", (1, 0)),
        ("ArrowUp", (0, 1)),
        ("ArrowLeft", (-1, 0)),
        ("ArrowDown", (0, -1)),
    ):
        pad.press(key)
        now = shown_code(view)
        assert tuple(np.sign(np.round(np.subtract(now, (z1, z2)), 3)).astype(int)) == sign, key
        assert pad.get_attribute("aria-valuetext") == view.locator(".cx-caption").inner_text()
        assert_shows_its_code(view)
        z1, z2 = now
    assert pad.evaluate("pad => pad === document.activeElement"), "the arrow keys took the focus from the pad"
    assert cell.evaluate("cell => cell.classList.contains('jp-mod-active')"), "the arrow keys left the cell"
    assert view.locator(".cx-board").evaluate("board => getComputedStyle(board).outlineStyle") == "solid"
    expect(view.get_by_role("status")).to_contain_text("nearest encoded image: class", timeout=5_000)

    slider = view.get_by_role("slider", name="t", exact=True)
    marked = view.locator(".cx-strip .cx-on")
    first = pixels(marked)
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "1"
    assert (pixels(marked) != first).any()

    to = view.get_by_role("radiogroup", name="to", exact=True).get_by_role("radio")
    last = pixels(marked)
    checked = [radio.is_checked() for radio in to.all()].index(True)
    to.nth(checked).press("ArrowLeft")
    assert to.nth(checked - 1).is_checked()
    assert (pixels(marked) != last).any()


def test_play_runs_to_the_end_and_stops(lab: Lab, executed: nbformat.NotebookNode) -> None:
    shown = lab.open(lab.add(executed, "play.ipynb"))
    view = shown.locator(".cx").first
    expect(view).to_be_visible(timeout=60_000)
    view.get_by_role("button", name="Play t").click()
    view.get_by_role("button", name="Pause t").wait_for()
    view.get_by_role("button", name="Play t").wait_for(timeout=15_000)
    assert view.get_by_role("slider", name="t", exact=True).get_attribute("aria-valuetext") == "1"


def test_a_move_takes_less_than_a_frame(lab: Lab, executed: nbformat.NotebookNode) -> None:
    shown = lab.open(lab.add(executed, "latency.ipynb"))
    board = shown.locator(".cx-board")
    expect(board).to_be_visible(timeout=60_000)
    times = board.evaluate(DRAG_TIMES)
    assert len(times) == 200
    assert np.median(times) < 16, f"median {np.median(times):.2f} ms, slowest {max(times):.2f} ms"


DRAG_TIMES = """board => {
  const box = board.getBoundingClientRect();
  board.setPointerCapture = () => {};
  board.hasPointerCapture = () => true;
  const send = (type, k) => board.dispatchEvent(new PointerEvent(type, {
    bubbles: true, pointerId: 1, button: 0,
    clientX: box.left + box.width * (0.5 + 0.45 * Math.cos(k / 9)),
    clientY: box.top + box.height * (0.5 + 0.45 * Math.sin(k / 7)),
  }));
  send("pointerdown", 0);
  return Array.from({ length: 200 }, (_, k) => {
    const start = performance.now();
    send("pointermove", k);
    return performance.now() - start;
  });
}"""


# Saved notebooks and pages: nothing is run ------------------------------------------------------------------


SAVED = [None, *(path for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")) if explorers_in(path))]


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem if path else "toy")
def test_page_from_a_notebook(
    page: Page, tmp_path: Path, executed: nbformat.NotebookNode, path: Path | None
) -> None:
    """The exported page works from a file, with the network off: every explorer on it."""
    source = path or tmp_path / "toy.ipynb"
    if path is None:
        nbformat.write(executed, source)
    target = tmp_path / "page.html"
    target.write_text(to_html(source), encoding="utf-8")
    page.context.set_offline(True)
    page.goto(target.as_uri())
    expect(page.locator(".cx")).to_have_count(2 if path is None else explorers_in(path))
    for view in page.locator(".cx").all():
        assert_answers(view)


SERIES = """\
from course_utils.explorers import LatentExplorer

class Mirrored(Halves):
    def encode(self, x):
        return -super().encode(x)

    def decode(self, z):
        return super().decode(-z)

LatentExplorer({"as it is": Halves(), "mirrored": Mirrored()}, images, grid=9, anchors=2, series="space")
"""


def test_a_series_changes_dots_and_images_with_its_slider(page: Page, tmp_path: Path) -> None:
    notebook = toy_notebook(live=False)
    notebook.cells[1].source = SERIES
    NotebookClient(notebook, timeout=120).execute()
    nbformat.write(notebook, tmp_path / "series.ipynb")
    (tmp_path / "series.html").write_text(to_html(tmp_path / "series.ipynb"), encoding="utf-8")
    page.goto((tmp_path / "series.html").as_uri())
    view = page.locator(".cx")
    drag(page, view.locator(".cx-board"), (0.5, 0.5), (0.3, 0.25))
    assert_shows_its_code(view)
    board = view.locator(".cx-board canvas").first
    shown = [panel(view, "decoded image"), panel(view, "nearest encoded image"), board]
    before, code = [pixels(canvas) for canvas in shown], shown_code(view)

    view.get_by_role("slider", name="space").press("End")
    assert shown_code(view) == code
    after = [pixels(canvas) for canvas in shown]
    for was, now in zip(before, after, strict=True):
        assert (was != now).any()
    # The same code means the opposite image, and the dots lie mirrored at the map's middle.
    np.testing.assert_allclose(after[0].astype(int), 255 - before[0].astype(int), atol=2)
    assert (after[1].mean() > 127) == (after[0].mean() > 127), "the nearest image resembles the decoded one"


@pytest.fixture
def exported(tmp_path: Path, executed: nbformat.NotebookNode) -> str:
    """The address of the toy notebook's page."""
    nbformat.write(executed, tmp_path / "toy.ipynb")
    (tmp_path / "page.html").write_text(to_html(tmp_path / "toy.ipynb"), encoding="utf-8")
    return (tmp_path / "page.html").as_uri()


@pytest.mark.parametrize("width", [320, 400, 1000])
def test_nothing_sticks_out_on_a_narrow_page(page: Page, exported: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(exported)
    expect(page.locator(".cx")).to_have_count(2)
    for view in page.locator(".cx").all():
        inner, outer = view.evaluate("el => [el.scrollWidth, el.clientWidth]")
        assert inner <= outer <= width


def test_noise_readouts_are_the_errors_of_the_shown_images(page: Page, exported: str) -> None:
    page.emulate_media(reduced_motion="reduce")  # bars jump, so that their width can be measured
    page.goto(exported)
    view = page.locator(".cx").last
    widths: dict[float, int] = {}
    for kind in ("patch", "dropout"):  # these stay within the shown range
        view.get_by_role("radiogroup", name="corruption").get_by_role("radio", name=kind).check()
        for key in ("Home", "ArrowRight", "End"):
            view.get_by_role("slider", name="level").press(key)
            clean = pixels(panel(view, "clean")).astype(float)[..., 0]
            for title in ("corrupted", "reconstruction"):
                figure = view.locator("figure", has=page.get_by_text(title, exact=True))
                error = (((pixels(panel(view, title))[..., 0] - clean) / 127.5) ** 2).sum()
                assert float(figure.locator(".cx-value").inner_text()) == pytest.approx(
                    error, rel=0.02, abs=0.6
                )
                widths[round(error, 1)] = figure.locator(".cx-bar i").evaluate("bar => bar.clientWidth")
    assert len(widths) > 4
    rates = [width / error for error, width in widths.items() if width > 20]
    assert rates, "no bar is long enough to measure"
    assert max(rates) < 1.1 * min(rates), "the bars have one scale"
    assert all(width <= 1 for error, width in widths.items() if error == 0)


def test_touch_moves_the_cursor(browser: Browser, exported: str) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(exported)
    view = page.locator(".cx").first
    board = view.locator(".cx-board")
    board.scroll_into_view_if_needed()
    assert board.evaluate("board => getComputedStyle(board).touchAction") == "none"
    box = board.bounding_box()
    assert box is not None
    codes = []
    for u in (0.2, 0.8):
        page.touchscreen.tap(box["x"] + u * box["width"], box["y"] + 0.5 * box["height"])
        assert_shows_its_code(view)
        codes.append(shown_code(view))
    assert codes[0][0] < codes[1][0] - 0.5
    context.close()


def test_an_untrusted_notebook_shows_the_still_picture(lab: Lab, executed: nbformat.NotebookNode) -> None:
    """As on GitHub: no script runs, the picture stored beside the widget stands there."""
    notebook = nbformat.from_dict(executed)
    notebook.cells[1].source += "  # changed, so that no stored signature fits"
    shown = lab.open(lab.add(notebook, "untrusted.ipynb", trusted=False))
    pictures = shown.locator(".jp-OutputArea-output img")
    expect(pictures).to_have_count(2, timeout=30_000)
    expect(shown.locator(".cx")).to_have_count(0)
    for picture in pictures.all():
        assert picture.evaluate("picture => picture.naturalWidth") >= 600


def test_the_toy_model_is_what_the_tests_assume() -> None:
    space: dict = {}
    exec(MODEL, space)
    z = torch.tensor([[0.5, -0.25]])
    x = space["Halves"]().decode(z)
    assert x.shape == (1, 1, 8, 8)
    assert (x[..., :4] == 0.5).all()
    assert (x[..., 4:] == -0.25).all()
    torch.testing.assert_close(space["Halves"]().encode(x), z)
