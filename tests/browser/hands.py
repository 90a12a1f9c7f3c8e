"""What a reader's hands and eyes do with an explorer: drag, move a slider, look."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

STATE = "application/vnd.jupyter.widget-state+json"


def panel(view: Locator | Page, title: str) -> Locator:
    return view.locator("figure", has=view.page.get_by_text(title, exact=True)).locator("canvas").first


def pixels(canvas: Locator, mode: str = "RGB") -> np.ndarray:
    """What a canvas shows, (H, W, channels of the mode)."""
    url = canvas.evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert(mode))


def drag(page: Page, board: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press at one place of the map and release at another, both as shares of its width and height."""
    board.scroll_into_view_if_needed()
    box: FloatRect | None = board.bounding_box()
    assert box is not None
    places = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=8)
    page.mouse.up()


def explorers_in(path: Path) -> int:
    notebook = nbformat.read(path, as_version=4)
    models = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {}).values()
    return sum("course_utils.explorers" in model["state"].get("_anywidget_id", "") for model in models)


def shown(view: Locator) -> list[object]:
    """What each picture of an explorer shows: a canvas's pixels, a chart's address."""
    return view.locator("figure canvas, figure img").evaluate_all(
        "pictures => pictures.map(p => p.tagName === 'IMG' ? p.src : p.toDataURL())"
    )


def assert_answers(view: Locator) -> None:
    """Drag the explorer's map, or else move its first slider or choice: a picture changes."""
    page = view.page
    expect(view).to_be_visible(timeout=60_000)
    view.scroll_into_view_if_needed()
    boards = view.locator(".cx-board")
    if boards.count():
        drag(page, boards.first, (0.5, 0.5), (0.3, 0.3))
        before = shown(view)
        drag(page, boards.first, (0.3, 0.3), (0.7, 0.6))
        assert shown(view) != before
        return
    slider, choices = view.locator(".cx-slide input").first, view.get_by_role("radio")
    moves = [lambda: slider.press("Home"), lambda: slider.press("End")]
    if not slider.count():
        moves = [lambda: choices.nth(0).check(force=True), lambda: choices.nth(1).check(force=True)]
    moves[0]()
    before = shown(view)
    moves[1]()
    assert shown(view) != before
