"""The frame of the explorers: every explorer of every notebook at every width, enlarged, and its tools."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from course_utils.authoring.pages import to_html
from course_utils.explorers import Explorer, Pad, Panel

from .conftest import note_errors
from .hands import explorers_in, pixels, shown

NOTEBOOKS = [
    path
    for path in sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9]*.ipynb"))
    if explorers_in(path)
]
PHONE = {"width": 390, "height": 844}
OUTSIDE = """root => {
  const right = root.getBoundingClientRect().right + 1;
  return [...root.querySelectorAll("*")]
    .filter((node) => node.getBoundingClientRect().right > right && !node.closest(".cx-status, svg"))
    .map((node) => `${node.tagName}.${node.className}`);
}"""
# From the top of a section's pictures to the last of its controls, and to its read-outs where they come before.
SECTIONS = """root => [...root.querySelectorAll(".cx-section")].map((section) => {
  const [stage, controls] = [".cx-stage", ".cx-controls"].map((name) => section.querySelector(name));
  if (!stage || !controls) return section.getBoundingClientRect().height;
  return controls.getBoundingClientRect().bottom - stage.getBoundingClientRect().top;
})"""
STAGES = """root => [...root.querySelectorAll(".cx-stage")].map((stage) => {
  const width = stage.getBoundingClientRect().width;
  const rows = new Map();
  for (const picture of stage.querySelectorAll(".cx-tiles canvas.cx-tile, .cx-tiles img, .cx-board")) {
    const box = picture.getBoundingClientRect();
    const row = rows.get(Math.round(box.top)) ?? [];
    rows.set(Math.round(box.top), [...row, box]);
  }
  return {
    width,
    full: Math.max(0, ...[...rows.values()].map((row) => row.reduce((sum, box) => sum + box.width, 0))),
    wide: Math.max(0, ...[...rows.values()].flat().map((box) => box.width)),
    high: [...rows.values()].reduce((sum, row) => sum + Math.max(...row.map((box) => box.height)), 0),
  };
})"""
ENLARGED = """root => ({
  below: root.scrollHeight - root.clientHeight,
  beside: root.scrollWidth - root.clientWidth,
  cut: [...root.querySelectorAll(".cx-stage")].map((s) => s.scrollHeight - s.clientHeight),
  text: parseFloat(getComputedStyle(root).fontSize),
})"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of each notebook's page."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for path in NOTEBOOKS:
        file = folder / f"{path.stem}.html"
        file.write_text(to_html(path), encoding="utf-8")
        found[path.stem] = file.as_uri()
    return found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1400, "height": 900})
    yield made
    made.close()


def settled(page: Page) -> list[Locator]:
    """The explorers of a page, at their size."""
    page.wait_for_function("document.querySelectorAll('[data-widget-model]:not(:has(.cx))').length === 0")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator(".cx:has(.cx-stage)").all()


@pytest.mark.parametrize("stem", [path.stem for path in NOTEBOOKS])
def test_an_explorer_fits_and_fills_every_width(
    context: BrowserContext, pages: dict[str, str], stem: str
) -> None:
    """Nothing sticks out; on a phone control and result share a screen; on a wide page pictures are large."""
    tab = context.new_page()
    errors = note_errors(tab)
    tab.goto(pages[stem])
    for width, height in ((320, 700), (390, 844), (700, 450), (1000, 800), (1400, 900), (1920, 1080)):
        tab.set_viewport_size({"width": width, "height": height})
        for view in settled(tab):
            title = f"{view.locator('.cx-title').inner_text()} at {width}"
            assert view.evaluate(OUTSIDE) == [], title
            if width == PHONE["width"]:
                assert max(view.evaluate(SECTIONS)) <= PHONE["height"], title
            if width >= 1400:
                for stage in view.evaluate(STAGES):
                    large = (
                        stage["full"] > 0.85 * stage["width"]
                        or stage["wide"] > 950
                        or stage["high"] > 0.5 * height
                    )
                    assert large or not stage["full"], f"{title}: {stage}"
    assert not errors


@pytest.mark.parametrize("stem", [path.stem for path in NOTEBOOKS])
def test_enlarged_all_of_an_explorer_is_on_the_screen(
    context: BrowserContext, pages: dict[str, str], stem: str
) -> None:
    tab = context.new_page()
    errors = note_errors(tab)
    tab.goto(pages[stem])
    for width, height in ((1280, 720), (1920, 1080)):
        tab.set_viewport_size({"width": width, "height": height})
        for view in settled(tab):
            title = f"{view.locator('.cx-title').inner_text()} at {width}"
            view.scroll_into_view_if_needed()
            view.get_by_role("button", name="Enlarge").click()
            tab.wait_for_function("document.fullscreenElement !== null")
            tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            found = view.evaluate(ENLARGED)
            assert found["below"] <= 0, (title, found)
            assert found["beside"] <= 0, (title, found)
            assert max(found["cut"]) <= 1, (title, found)
            assert found["text"] >= 0.021 * height, title
            view.get_by_role("button", name="Back to the page").click()
            tab.wait_for_function("document.fullscreenElement === null")
    assert not errors


# The tools, and other people's settings, on one explorer ---------------------------------------------------------


@pytest.fixture
def view(context: BrowserContext, pages: dict[str, str]) -> Locator:
    """The explorer “Drown a digit” of notebook 07."""
    tab = context.new_page()
    tab.goto(pages["07_diffusion"])
    return named(tab, "Drown a digit")


def named(tab: Page, title: str) -> Locator:
    view = tab.locator(".cx", has=tab.get_by_role("heading", name=title, exact=True))
    expect(view).to_be_visible()
    view.scroll_into_view_if_needed()
    return view


def test_escape_and_the_button_lead_back_where_there_is_no_full_screen(view: Locator) -> None:
    """As on an iPhone, or in a frame that may not ask for it: the window is filled instead."""
    view.evaluate("root => { root.requestFullscreen = () => Promise.reject(new Error('not here')); }")
    before = view.bounding_box()
    for leave in ("button", "key"):
        view.get_by_role("button", name="Enlarge").click()
        assert view.bounding_box() == {"x": 0, "y": 0, "width": 1400, "height": 900}
        assert view.evaluate("root => getComputedStyle(root).backgroundColor") == "rgb(255, 255, 255)"
        if leave == "button":
            view.get_by_role("button", name="Back to the page").click()
        else:
            view.page.keyboard.press("Escape")
        assert view.bounding_box() == before


def test_the_copied_picture_is_what_the_page_shows(view: Locator) -> None:
    view.get_by_role("slider", name="t", exact=True).press("ArrowRight")
    expect(view.get_by_role("status")).to_contain_text(
        view.locator(".cx-readout .cx-value").first.inner_text()
    )
    view.evaluate("root => { navigator.clipboard.write = () => Promise.reject(new Error('may not')); }")
    with view.page.expect_download() as download:
        view.get_by_role("button", name="Copy as a picture").click()
    assert download.value.suggested_filename == "drown-a-digit.png"
    expect(view.get_by_role("status")).to_have_text("Saved the picture as a file.")
    assert_shows(view, Image.open(download.value.path()))


def test_the_picture_goes_to_the_clipboard_where_it_may(context: BrowserContext, view: Locator) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.get_by_role("button", name="Copy as a picture").click()
    expect(view.get_by_role("status")).to_have_text("Copied the picture.")
    read = """async () => {
      const [item] = await navigator.clipboard.read();
      const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
      return btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
    }"""
    assert_shows(view, Image.open(io.BytesIO(base64.b64decode(view.page.evaluate(read)))))


def assert_shows(view: Locator, copied: Image.Image) -> None:
    """The picture has the explorer's digit at its place, all of its text's ink, and no tools."""
    box, frame = view.locator("figure canvas").bounding_box(), view.bounding_box()
    assert box is not None
    assert frame is not None
    assert (
        np.abs(np.array(copied.size) - 2 * np.array([frame["width"] + 24, frame["height"] + 24])).max() <= 2
    )
    left, top = 2 * (box["x"] - frame["x"] + 12), 2 * (box["y"] - frame["y"] + 12)
    digit = copied.crop(
        (round(left), round(top), round(left + 2 * box["width"]), round(top + 2 * box["height"]))
    )
    small = np.asarray(digit.convert("RGB").resize((28, 28), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - pixels(view.locator("figure canvas"))).mean() < 6
    page = (
        Image.open(io.BytesIO(view.screenshot()))
        .convert("L")
        .resize((round(frame["width"]), round(frame["height"])))
    )
    mine = np.asarray(
        copied.convert("L").crop((24, 24, copied.width - 24, copied.height - 24)).resize(page.size)
    )
    for part in (view.locator(".cx-title"), view.locator(".cx-label").first, view.locator(".cx-readouts")):
        where = part.bounding_box()
        assert where is not None
        x, y = round(where["x"] - frame["x"]), round(where["y"] - frame["y"])
        cut = (slice(y, y + round(where["height"])), slice(x, x + round(where["width"])))
        ink = (255 - np.asarray(page)[cut].astype(float)).sum()
        assert 0.75 * ink < (255 - mine[cut].astype(float)).sum() < 1.3 * ink


def test_a_finger_that_scrolls_leaves_the_slider(browser: Browser, pages: dict[str, str]) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    tab = context.new_page()
    tab.goto(pages["07_diffusion"])
    view = named(tab, "Drown a digit")
    slider = view.get_by_role("slider", name="t", exact=True)
    slider.scroll_into_view_if_needed()
    box, before = slider.bounding_box(), slider.input_value()
    assert box is not None
    x, y = box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2
    hand = context.new_cdp_session(tab)

    def swipe(dx: float, dy: float) -> None:
        hand.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for k in range(1, 11):
            point = {"x": x + dx * k / 10, "y": y + dy * k / 10}
            hand.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        hand.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        tab.wait_for_timeout(200)

    scrolled = tab.evaluate("scrollY")
    swipe(0, -200)
    assert tab.evaluate("scrollY") != scrolled, "the page scrolls"
    assert slider.input_value() == before
    tab.evaluate("at => scrollTo(0, at)", scrolled)
    swipe(-60, 0)
    assert slider.input_value() != before, "a finger that goes along the slider moves it"
    context.close()


def test_in_forced_colours_bars_buttons_and_choices_are_seen(browser: Browser, pages: dict[str, str]) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, forced_colors="active")
    tab = context.new_page()
    tab.goto(pages["07_diffusion"])
    view = named(tab, "Drown a digit")
    for part in (".cx-play", ".cx-bar", ".cx-words .cx-item:has(:checked)"):
        seen = np.asarray(Image.open(io.BytesIO(view.locator(part).first.screenshot())).convert("L")).astype(
            int
        )
        assert seen.max() - seen.min() > 120, part
    chosen, other = (view.locator(f".cx-words .cx-item:{kind}(:checked)").first for kind in ("has", "not"))
    colours = [
        item.locator("span").evaluate("n => getComputedStyle(n).backgroundColor") for item in (chosen, other)
    ]
    assert colours[0] != colours[1]
    context.close()


def test_where_less_motion_is_wanted_play_takes_a_second_a_step(
    browser: Browser, pages: dict[str, str]
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(pages["07_diffusion"])
    view = named(tab, "Drown a digit")
    slider = view.get_by_role("slider", name="t", exact=True)
    slider.press("Home")
    view.get_by_role("button", name="Play t").click()
    tab.wait_for_timeout(2500)
    assert 1 <= int(slider.input_value()) <= 2
    context.close()


def test_charts_are_sharp_and_change(context: BrowserContext, pages: dict[str, str]) -> None:
    tab = context.new_page()
    tab.goto(pages["01_generative_vs_discriminative"])
    view = named(tab, "Overlap two classes")
    tab.wait_for_function("document.querySelector('.cx-chart').src.startsWith('data:image/svg+xml')")
    before = shown(view)
    view.get_by_role("slider", name="distance of the means").press("Home")
    assert shown(view) != before
    # Vectors, and text as text.
    assert "<text" in tab.evaluate("decodeURIComponent(document.querySelector('.cx-chart').src)")


LIKE_JUPYTERLAB = """async ([code, state]) => {
  const front = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const set = (name, value) => { state[name] = value; };
  const model = { get: (name) => state[name], set, on() {}, off() {}, save_changes() {} };
  const el = document.createElement("div");
  front.default.render({ model, el });
  document.querySelector("details").append(el);
}"""


def test_drawn_before_it_is_on_the_page_an_explorer_has_the_page_s_colours(browser: Browser) -> None:
    """JupyterLab appends what a widget has drawn; here into what is closed. And nobody is told what nobody did."""
    explorer = Explorer(
        [Pad("z", (-1, 1), (-1, 1), 3, 3)], [Panel("image", np.zeros((9, 1, 8, 8), np.float32), ("z",))]
    )
    state = {name: value for name, value in explorer.get_state().items() if name != "layout"}
    tab = browser.new_page(viewport={"width": 800, "height": 900})
    tab.set_content("<body style='background: #111; color: #eee'><details><summary>More</summary></details>")
    tab.evaluate(LIKE_JUPYTERLAB, [state["_esm"], state])
    tab.locator("summary").click()
    view = tab.locator(".cx")
    expect(view).to_have_css("color-scheme", "dark")
    axes = pixels(view.locator(".cx-board canvas").first)
    assert axes.max() > 150, "lines and numbers as light as the text"
    tab.wait_for_timeout(800)
    expect(view.get_by_role("status")).to_have_text("")
    view.locator(".cx-board input").first.press("ArrowRight")
    expect(view.get_by_role("status")).to_have_text("z = (1.00, 0.00)")
    tab.close()
