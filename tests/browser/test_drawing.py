"""The board to draw on, by mouse, finger and keyboard, on a page of the disk."""

from __future__ import annotations

import base64
import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest
from ipywidgets import Widget
from playwright.sync_api import Browser, Locator, Page, expect

from course_utils.authoring.pages import WIDGET_SCRIPT, front_ends, to_html
from course_utils.explorers import DrawingExplorer

from .hands import STATE, panel, pixels

if TYPE_CHECKING:
    from .conftest import Lab

VIEW = "application/vnd.jupyter.widget-view+json"


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> list[tuple[float, float]]:
    """Part of an ellipse; degrees clockwise from the right."""
    turns = np.radians(np.linspace(start, end, 10))
    return [(x + rx * math.cos(turn), y + ry * math.sin(turn)) for turn in turns]


# Ten digits by another hand than the front end's own, as shares of the board.
STROKES = [
    [arc(0.5, 0.5, 0.22, 0.33, -60, 300)],
    [[(0.5, 0.15), (0.5, 0.85)]],
    [[(0.3, 0.3), (0.4, 0.17), (0.6, 0.18), (0.66, 0.32), (0.55, 0.5), (0.3, 0.8), (0.7, 0.8)]],
    [[(0.32, 0.2), (0.65, 0.22), (0.47, 0.42), (0.65, 0.55), (0.62, 0.75), (0.45, 0.83), (0.3, 0.75)]],
    [[(0.4, 0.18), (0.3, 0.55), (0.72, 0.53)], [(0.6, 0.3), (0.58, 0.85)]],
    [
        [(0.4, 0.2), (0.36, 0.48), (0.6, 0.5), (0.66, 0.65), (0.56, 0.8), (0.33, 0.8)],
        [(0.4, 0.2), (0.7, 0.18)],
    ],
    [[(0.55, 0.15), (0.36, 0.4), (0.33, 0.65)], arc(0.48, 0.68, 0.15, 0.14, 180, 540)],
    [[(0.3, 0.2), (0.7, 0.2), (0.58, 0.45), (0.42, 0.85)]],
    [arc(0.5, 0.34, 0.14, 0.16, 90, 450), arc(0.5, 0.67, 0.17, 0.17, -90, 270)],
    [arc(0.48, 0.36, 0.16, 0.16, 0, 360), [(0.64, 0.36), (0.62, 0.6), (0.54, 0.86)]],
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook in which the explorer was stored, exported."""
    explorer = DrawingExplorer()
    stored = Widget.get_manager_state(widgets=[explorer])["state"]
    shown = nbformat.v4.new_output("display_data", {VIEW: {"model_id": explorer.model_id}})
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("DrawingExplorer()", outputs=[shown])])
    nb.metadata["widgets"] = {STATE: {"state": stored, "version_major": 2, "version_minor": 0}}
    file = tmp_path_factory.mktemp("drawing") / "drawing.ipynb"
    nbformat.write(nb, file)
    file.with_suffix(".html").write_text(to_html(file), encoding="utf-8")
    return file.with_suffix(".html")


@pytest.fixture(params=[1400, 390])
def view(request: pytest.FixtureRequest, browser: Browser, page: Path) -> Iterator[Locator]:
    """The explorer in a window of this width; the test fails for a message, an error or a request to elsewhere."""
    context = browser.new_context(viewport={"width": request.param, "height": 900}, has_touch=True)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on(
        "request",
        lambda sent: None if sent.url[:5] in ("file:", "blob:", "data:") else wrong.append(sent.url),
    )
    tab.goto(page.as_uri())
    yield tab.locator(".cx")
    expect(tab.get_by_role("alert")).to_be_hidden()
    context.close()
    assert wrong == []


def draw(view: Locator, strokes: list[list[tuple[float, float]]]) -> None:
    box = view.locator(".dr-board").bounding_box()
    assert box is not None
    mouse = view.page.mouse
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        mouse.move(*places[0])
        mouse.down()
        for place in places[1:]:
            mouse.move(*place)
        mouse.up()


def swipe(tab: Page, board: Locator, stroke: list[tuple[float, float]]) -> None:
    """Draw with a finger."""
    box = board.bounding_box()
    assert box is not None
    touch = tab.context.new_cdp_session(tab)
    kinds = ["touchStart", *["touchMove"] * (len(stroke) - 1)]
    for kind, (x, y) in zip(kinds, stroke, strict=True):
        place = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def expect_read(view: Locator, digit: int) -> None:
    expect(view.locator(".dr-best > span").first).to_have_text(str(digit), timeout=15_000)


def test_a_drawn_digit_is_read_and_changes_every_picture(view: Locator) -> None:
    expect_read(view, 4)  # the opening
    for film in view.locator(".dr-films figure").all():
        expect(film.locator(".dr-under")).to_contain_text("read as", timeout=15_000)
    pictures = view.locator("canvas.cx-tile, canvas.dr-map").all()
    assert len(pictures) == 7
    before = [pixels(picture) for picture in pictures]
    draw(view, STROKES[1])  # in place of the opening
    expect_read(view, 1)
    expect(view.locator(".dr-old")).to_have_count(0, timeout=15_000)
    for picture, old in zip(pictures, before, strict=True):
        assert (pixels(picture) != old).any(), picture.get_attribute("aria-label")

    view.get_by_role("button", name="Clear").click()
    expect(view.locator(".dr-best")).to_have_count(0)
    assert not pixels(panel(view, "what they see")).any()
    view.get_by_role("button", name="Undo").click()
    expect_read(view, 1)

    tab = view.page
    view.get_by_role("button", name="Clear").click()
    before_scroll = tab.evaluate("scrollY")
    swipe(tab, view.locator(".dr-board"), STROKES[7][0])
    expect_read(view, 7)
    assert tab.evaluate("scrollY") == before_scroll
    view.get_by_role("button", name="Eraser").click()
    draw(view, [[(0.25, 0.2), (0.5, 0.2)]])
    assert pixels(view.locator(".dr-board canvas"))[100:130, 150:260].sum() == 0

    board = view.locator(".dr-board")
    board.press("3")
    expect_read(view, 3)
    moved = pixels(view.locator(".dr-board canvas"))
    board.press("ArrowLeft")
    assert (pixels(view.locator(".dr-board canvas")) != moved).any()
    assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("view", [1400], indirect=True)
def test_what_changes_the_drawing_ends_a_stroke_that_is_under_way(view: Locator) -> None:
    """A pen that goes on after Delete draws nothing, and breaks nothing."""
    board, mouse = view.locator(".dr-board"), view.page.mouse
    expect_read(view, 4)
    box = board.bounding_box()
    assert box is not None
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    mouse.down()
    board.press("Delete")
    empty = pixels(board.locator("canvas"))
    mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    mouse.up()
    assert (pixels(board.locator("canvas")) == empty).all()
    draw(view, STROKES[1])
    expect_read(view, 1)


@pytest.mark.parametrize("view", [1400], indirect=True)
def test_the_networks_understand_all_ten_digits(view: Locator) -> None:
    for digit, strokes in enumerate(STROKES):
        view.get_by_role("button", name="Clear").click()
        draw(view, strokes)
        expect_read(view, digit)


@pytest.mark.parametrize("view", [1400], indirect=True)
def test_the_digit_that_is_asked_for_is_made_where_little_is_left_of_the_drawing(view: Locator) -> None:
    first, last = view.locator(".dr-films .dr-under").first, view.locator(".dr-films .dr-under").last
    expect(last).to_contain_text("read as 9", timeout=15_000)
    view.get_by_role("radio", name="5", exact=True).press("Space")
    expect(last).to_contain_text("read as 5", timeout=15_000)
    expect(first).to_contain_text("read as 4")


def test_a_page_that_may_have_no_worker_computes_by_itself(browser: Browser, page: Path) -> None:
    tab = browser.new_page()
    tab.add_init_script("window.Worker = class { constructor() { throw new Error('forbidden'); } }")
    tab.goto(page.as_uri())
    view = tab.locator(".cx")
    expect_read(view, 4)
    view.locator(".dr-board").press("8")
    expect_read(view, 8)
    expect(view.locator(".dr-films .dr-under").last).to_contain_text("read as", timeout=15_000)
    tab.close()


def broken(tmp_path: Path, change: str) -> str:
    """The address of a page with an explorer whose weights or description are not what they should be."""
    state = copy.deepcopy({k: v for k, v in DrawingExplorer().get_state().items() if k != "layout"})
    weights, networks = bytes(state["weights"]), state["packed"]["networks"]
    if change == "cut off":
        weights = weights[: len(weights) // 2]
    elif change == "too few":
        state["packed"]["floats"] *= 100
    elif change == "no weights":
        weights = b""
    elif change == "an unknown layer":
        networks["classifier"][0]["kind"] = "wavelet"
    else:
        del networks["unet"]["stem"]["weight"]
    state["weights"] = base64.b64encode(weights).decode()
    content = json.dumps(front_ends({"w": state})).replace("<", "\\u003c")
    path = tmp_path / "page.html"
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>a page</title>'
        f'<div data-widget-model="w"></div><script type="module">const page = {content};{WIDGET_SCRIPT}</script>',
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.mark.parametrize("worker", [True, False])
@pytest.mark.parametrize("change", ["cut off", "too few", "no weights", "an unknown layer", "a film's layer"])
def test_what_goes_wrong_in_the_networks_is_said(
    browser: Browser, tmp_path: Path, change: str, worker: bool
) -> None:
    tab = browser.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    if not worker:
        tab.add_init_script("window.Worker = class { constructor() { throw new Error('forbidden'); } }")
    tab.goto(broken(tmp_path, change))
    warning = tab.get_by_role("alert")
    at_start = change in ("cut off", "too few", "no weights")
    told = "The networks cannot be read" if at_start else "Something went wrong in the networks"
    expect(warning).to_contain_text(told, timeout=15_000)
    expect(warning).to_contain_text("Error")  # what the browser calls it
    expect(tab.get_by_text("being computed")).to_have_count(0)
    expect(tab.locator(".dr-class .cx-value", has_text="–")).to_have_count(10)  # no class is claimed
    tab.locator(".dr-board").press("3")
    expect(warning).to_contain_text(told)
    if not at_start:
        tab.locator(".dr-board").press("Delete")  # nothing to compute
        expect(warning).to_be_hidden()
        tab.locator(".dr-board").press("2")
        expect(warning).to_contain_text(told)
    tab.close()
    assert errors == []


@pytest.mark.parametrize("view", [1400], indirect=True)
def test_a_drawing_that_changes_under_the_pen_does_not_catch_it(view: Locator) -> None:
    """It is cleared or replaced in the middle of a stroke; the pen is lifted where the page sees nothing."""
    tab, board = view.page, view.locator(".dr-board")
    box = board.bounding_box()
    assert box is not None

    def move(x: float, y: float) -> None:
        assert box is not None
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)

    def ink() -> np.ndarray:
        return pixels(view.locator(".dr-board canvas"))

    for key, elsewhere in (("3", (0.9, 0.1)), ("Delete", (0.8, 0.8))):
        move(0.2, 0.2)
        tab.mouse.down()
        move(0.4, 0.4)
        tab.keyboard.press(key)
        left = ink()
        move(*elsewhere)
        assert (ink() == left).all(), key
        tab.mouse.up()
        assert (ink() == left).all(), key

    move(0.5, 0.3)
    tab.mouse.down()
    move(0.5, 0.4)
    board.evaluate("board => board.releasePointerCapture(1)")
    tab.mouse.move(2, 2)
    tab.mouse.up()
    line = ink()
    move(0.9, 0.9)
    assert (ink() == line).all(), "it draws only while it is pressed"
    draw(view, [[(0.5, 0.4), (0.5, 0.8)]])
    assert (ink() != line).any(), "and it draws again"
    tab.keyboard.press("Delete")
    draw(view, [[(0.5, 0.5)]])
    assert ink()[270:290, 270:290].min() == 255, "a dot is seen"


@pytest.mark.parametrize("view", [1400], indirect=True)
def test_a_line_looks_the_same_while_it_is_drawn_and_afterwards(view: Locator) -> None:
    draw(view, [arc(0.5, 0.5, 0.3, 0.3, 0, 300)])
    canvas = view.locator(".dr-board canvas")
    as_drawn = pixels(canvas).astype(int)
    view.locator(".dr-board").press("ArrowLeft")
    view.locator(".dr-board").press("Backspace")
    off = np.abs(pixels(canvas) - as_drawn)
    assert as_drawn.max() == 255
    assert off.mean() < 1  # where two pieces meet, the edge is a little fuller


def test_the_whole_board_is_on_an_enlarged_screen(browser: Browser, page: Path) -> None:
    """A window of 1280 by 720 pixels at 200 %."""
    tab = browser.new_page(viewport={"width": 640, "height": 360})
    tab.goto(page.as_uri())
    box = tab.locator(".dr-board").bounding_box()
    assert box is not None
    assert 220 < box["height"] <= 0.76 * 360
    tab.close()


def test_with_a_kernel_and_after_it_is_gone(lab: Lab) -> None:
    """A kernel sends the weights as bytes; from then on nothing is asked of it."""
    cell = nbformat.v4.new_code_cell("from course_utils.explorers import DrawingExplorer\nDrawingExplorer()")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    shown = lab.open(lab.add(notebook, "drawing.ipynb"))
    lab.run_all()
    view = shown.locator(".cx")
    expect(view).to_be_visible(timeout=60_000)
    expect_read(view, 4)
    lab.stop_kernels()
    view.locator(".dr-board").press("2")
    expect_read(view, 2)
