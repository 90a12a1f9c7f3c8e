"""The decks as a lecturer opens them, from the disk: each slide is readable from the last row, and whole."""

from __future__ import annotations

import base64
import io
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure
from nbformat import NotebookNode
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from course_utils.authoring import slides
from course_utils.authoring.pages import mathml
from course_utils.authoring.slides import Deck, Slide
from course_utils.authoring.stored import picture

from .conftest import opened
from .hands import assert_answers

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9]*.ipynb"))
MARKED = [path for path in NOTEBOOKS if slides.marks_of(path.with_suffix(".py"))]

FAULTS = Path(__file__).with_name("faults.js").read_text(encoding="utf-8")  # what is wrong with a slide


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("slides") / "slides"
    slides.build(NOTEBOOKS, out)
    return out


def show(tab: Page, path: Path) -> int:
    """Open a deck; how many slides it has."""
    tab.goto(path.as_uri())
    tab.wait_for_function("document.documentElement.dataset.ready === 'true'")
    return tab.locator(".slide").count()


def faults_of(tab: Page) -> dict[str, list[str]]:
    """What is wrong, by headline, as the pages are turned by a presenter's button."""
    found = {}
    for number in range(1, tab.locator(".slide").count() + 1):
        now = tab.locator(".slide.now")
        assert now.get_attribute("id") == f"slide-{number}"
        if faults := tab.evaluate(FAULTS):
            found[now.locator("> :is(h1, h2)").inner_text()] = faults
        tab.keyboard.press("PageDown")
    return found


@pytest.mark.parametrize("ipynb", MARKED, ids=lambda path: path.stem)
def test_every_slide_is_readable_whole_and_alive(browser: Browser, folder: Path, ipynb: Path) -> None:
    context, tab, wrong = opened(browser)
    tab.set_viewport_size({"width": 1280, "height": 720})
    show(tab, folder / f"{ipynb.stem}.html")
    assert faults_of(tab) == {}
    for slide in tab.locator(".slide:has(.stage)").all():
        tab.evaluate("number => { location.hash = number }", str(slide.get_attribute("id")).split("-")[1])
        expect(slide).to_be_visible()
        assert_answers(slide.locator(".cx"))
    context.close()
    assert wrong == []


def toy(folder: Path, *bodies: str) -> Path:
    """A deck of such slides; their notes are numbered."""
    slides.build([], folder)
    made = [Slide(f"Headline {k}", "", body, f"<p>Said {k}</p>") for k, body in enumerate(bodies, 1)]
    path = folder / "toy.html"
    path.write_text(slides.page_of(Deck("toy", "Toy", tuple(made), 0)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<div class="body"><p style="font-size: 1.49rem">Small</p></div>', "23.8 pixels"),
        ('<div class="body"><p style="font-size: 2rem; zoom: 0.7">Small</p></div>', "22.4 pixels"),
        ('<div class="body"><p style="font: 2rem serif; white-space: nowrap">' + "W " * 99 + "</p></div>", "cut off"),
        ('<div class="body"><div class="code"><pre>' + "x" * 90 + "</pre></div></div>", "cut off"),
        (f'<div class="body"><div class="formula">{mathml("x + " * 60 + "y", block=True)}</div></div>', "cut off"),
        ('<div class="body"><img class="course-figure" alt="lost" src="none.png"></div>', "not there"),
        ('<div class="body"></div>', "nothing is shown"),
        ('<div class="body under"><ul class="points">' + "<li>High</li>" * 20 + "</ul></div>", "cut off"),
        ('<div class="body"><p style="font-size: 2rem; margin-top: -3rem">Over</p></div>', "lies on|cut off"),
        (
            '<div class="body"><p style="font: 2rem serif; position: absolute">Other</p>'
            '<p style="font: 2rem serif; position: absolute">Over</p></div>',
            "lies on",
        ),
        (
            f'<div class="body"><div class="formula" style="position: absolute">{mathml("x + y", block=True)}</div>'
            '<p style="font: 2rem serif; position: absolute; margin: 0">Over</p></div>',
            "lies on",
        ),
    ],
    ids=["small", "zoomed", "wide", "code", "formula", "lost", "nothing", "high", "up", "over", "over a formula"],
)  # fmt: skip
def test_what_cannot_be_read_is_found(browser: Browser, tmp_path: Path, body: str, fault: str) -> None:
    context, tab, _ = opened(browser)
    tab.set_viewport_size({"width": 1280, "height": 720})
    fine = '<div class="body"><p style="font-size: 1.5rem">Fine</p></div>'
    show(tab, toy(tmp_path / "toy", fine, body))
    found = faults_of(tab)
    context.close()
    assert list(found) == ["Headline 2"]
    assert re.search(fault, " ".join(found["Headline 2"]))


def test_formulas_make_room_for_the_points_under_them(browser: Browser, tmp_path: Path) -> None:
    """They shrink together, and no farther than they must: not for an index that stands out of the last line."""
    mean, density = mathml(r"\frac{1}{N} \sum_{i = 1}^N x_i", block=True), mathml(r"p_\theta", block=False)
    high, point = f'<div class="formula">{mean}</div>', f"<li>What is meant by {density}</li>"
    bodies = [
        f'<div class="body under"><div class="shown column">{high * many}</div>'
        f'<ul class="points">{point * 2}</ul></div>'
        for many in (1, 3)
    ]
    context, tab, _ = opened(browser)
    tab.set_viewport_size({"width": 1280, "height": 720})
    show(tab, toy(tmp_path / "toy", *bodies))
    assert faults_of(tab) == {}
    fits = tab.locator(".points").evaluate_all("all => all.map(node => node.style.getPropertyValue('--fit'))")
    context.close()
    assert float(fits[0]) == 1 > float(fits[1])


def test_it_is_sharp_at_any_size(browser: Browser, folder: Path) -> None:
    """A slide fills the window's width or height, by larger text, not by a scaled picture of it."""
    context, tab, _ = opened(browser)
    show(tab, folder / f"{MARKED[0].stem}.html")
    for width, height, slide in (
        (1280, 720, 1280),
        (2560, 1440, 2560),
        (1920, 1200, 1920),
        (1024, 300, 533.3),
    ):
        tab.set_viewport_size({"width": width, "height": height})
        box = tab.locator(".slide.now").bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(slide, abs=1)
        assert box["height"] == pytest.approx(slide * 9 / 16, abs=1)
        size = tab.locator("footer").first.evaluate("footer => parseFloat(getComputedStyle(footer).fontSize)")
        assert size == pytest.approx(24 * slide / 1280, rel=0.01)
    context.close()


def test_the_speaker_sees_the_notes_and_turns_the_pages_from_there(browser: Browser, tmp_path: Path) -> None:
    context, tab, wrong = opened(browser)
    body = '<div class="body"><p style="font-size: 2rem">Shown</p></div>'
    show(tab, toy(tmp_path / "toy", body, body, body))
    with context.expect_page() as second:
        tab.keyboard.press("s")
    notes = second.value
    expect(notes.locator("main")).to_have_text("Said 1")
    expect(notes.locator("footer")).to_have_text("Next: Headline 2")
    expect(notes.locator("header")).to_have_css("display", "flex")  # the style is there, too
    notes.keyboard.press("PageDown")
    expect(tab.locator(".slide.now h2")).to_have_text("Headline 2")
    tab.keyboard.press("ArrowRight")
    expect(notes.locator("h1")).to_have_text("Headline 3")
    expect(notes.locator("main")).to_have_text("Said 3")
    expect(notes.locator("footer")).to_have_text("Next: the end")
    expect(notes.locator("output")).to_have_text(re.compile(r"0:0[1-9]"))
    context.close()
    assert wrong == []


def test_keys_belong_to_an_explorer_that_has_the_focus(browser: Browser, folder: Path) -> None:
    context, tab, _ = opened(browser)
    show(tab, folder / "04_vae.html")
    slide = tab.locator(".slide:has(.stage)").first
    number = str(slide.get_attribute("id")).split("-")[1]
    tab.evaluate("number => { location.hash = number }", number)
    slider = slide.locator("input[type=range]").first
    before = slider.input_value()
    slider.press("ArrowRight")
    assert slider.input_value() != before
    expect(slide).to_be_visible()
    slider.press("PageDown")
    expect(slide).to_be_hidden()
    tab.keyboard.press("ArrowLeft")
    expect(slide).to_be_visible()
    tab.keyboard.press("o")
    expect(tab.locator(".slide").first).to_be_visible()
    tab.locator(".slide").nth(2).click()
    expect(tab.locator("#slide-3")).to_have_class("slide now")
    expect(slide).to_be_hidden()
    context.close()


NONSENSE = ("1.5", "-2", "Infinity", "words", "%")
SHOWN = '<div class="body"><p style="font-size: 2rem">Shown</p></div>'


def test_the_notes_go_with_the_page_that_opened_them(browser: Browser, tmp_path: Path) -> None:
    """Pages that are files may not reach into each other's windows: after a reload the notes must be new ones."""
    context, tab, wrong = opened(browser)
    show(tab, toy(tmp_path / "toy", SHOWN, SHOWN))
    with context.expect_page() as second:
        tab.keyboard.press("s")
    left = second.value
    tab.reload()
    tab.wait_for_function("document.documentElement.dataset.ready === 'true'")
    assert left.is_closed()
    with context.expect_page() as third:
        tab.keyboard.press("s")
    third.value.keyboard.press("PageDown")
    expect(tab.locator(".slide.now h2")).to_have_text("Headline 2")
    expect(third.value.locator("main")).to_have_text("Said 2")
    tab.keyboard.press("s")
    assert len(context.pages) == 2, "open notes are not opened again"
    with third.value.expect_event("close"):
        tab.goto("about:blank")
    context.close()
    assert wrong == []


def test_an_address_opens_its_slide_and_one_that_names_none_leads_to_one_all_the_same(
    browser: Browser, tmp_path: Path
) -> None:
    """Of a page that is opened the first, of one that is there the slide that is shown."""
    context, tab, wrong = opened(browser)
    path = toy(tmp_path / "toy", SHOWN, SHOWN, SHOWN)
    now = tab.locator(".slide.now")
    for place, shown in (("2", 2), ("slide-2", 2), ("99", 3), ("0", 1), ("", 1), *((p, 1) for p in NONSENSE)):
        tab.goto("about:blank")
        tab.goto(f"{path.as_uri()}#{place}")
        expect(now).to_have_attribute("id", f"slide-{shown}")
    tab.keyboard.press("ArrowRight")
    for place, shown in (("slide-3", 3), ("2", 2), *((p, 2) for p in NONSENSE), ("", 2), ("99", 3), ("0", 1)):
        tab.evaluate("place => { location.hash = place }", place)
        tab.wait_for_function("shown => location.hash === `#${shown}`", arg=shown)
        expect(now).to_have_attribute("id", f"slide-{shown}")
    context.close()
    assert wrong == []


def test_keys_of_other_alphabets_and_the_overview_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    context, tab, wrong = opened(browser)
    show(tab, toy(tmp_path / "toy", SHOWN, SHOWN, SHOWN))
    tab.evaluate(  # B on a keyboard that writes Korean
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ㅠ', code: 'KeyB', bubbles: true}))"
    )
    expect(tab.locator(".slide.now")).to_be_hidden()
    tab.keyboard.press("b")
    tab.keyboard.press("o")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    expect(tab.locator("#slide-2")).to_be_visible()
    expect(tab.locator("#slide-3")).to_be_hidden()
    tab.keyboard.press("Shift+Space")
    expect(tab.locator("#slide-1")).to_be_visible()
    for key, shown in (("3", 1), ("Enter", 3), ("ArrowLeft", 2), ("1", 2), ("b", 2), ("b", 2), ("Enter", 3)):
        tab.keyboard.press(key)  # a number that something else follows is forgotten
        expect(tab.locator(".slide.now")).to_have_attribute("id", f"slide-{shown}")
    tab.evaluate(
        "void (history.replaceState = () => { throw new DOMException('too often', 'SecurityError') })"
    )
    tab.keyboard.press("End")
    expect(tab.locator("#slide-3")).to_be_visible()
    context.close()
    assert wrong == []


def test_a_swipe_turns_but_two_fingers_and_a_slanted_way_down_do_not(
    browser: Browser, tmp_path: Path
) -> None:
    path = toy(tmp_path / "toy", SHOWN, SHOWN, SHOWN)
    context = browser.new_context(viewport={"width": 844, "height": 390}, has_touch=True)
    tab = context.new_page()
    show(tab, path)
    swipe = """([fingers, to]) => {
      const deck = document.querySelector(".slide.now");
      const all = fingers.map(([x, y], k) => new Touch({identifier: k, target: deck, clientX: x, clientY: y}));
      const end = new Touch({identifier: 0, target: deck, clientX: to[0], clientY: to[1]});
      deck.dispatchEvent(new TouchEvent("touchstart", {touches: all, bubbles: true}));
      deck.dispatchEvent(new TouchEvent("touchend", {changedTouches: [end], bubbles: true}));
    }"""
    now = tab.locator(".slide.now")
    for fingers, to, shown in (
        ([(300, 200)], (200, 220), 2),
        ([(300, 200)], (200, 340), 2),
        ([(300, 200), (400, 200)], (200, 200), 2),
        ([(300, 200)], (400, 200), 1),
    ):
        tab.evaluate(swipe, [fingers, to])
        expect(now).to_have_attribute("id", f"slide-{shown}")
    context.close()


# --- A closer look ------------------------------------------------------------------------------------------------


def figure(folder: Path, name: str, width: float, height: float) -> str:
    """A figure of so many inches as a notebook stores it: a pale frame, in its middle an E of 7 points."""
    drawn = Figure(figsize=(width, height))
    drawn.add_axes((0, 0, 1, 1), xticks=[], yticks=[]).spines[:].set(color="0.8", visible=True)
    drawn.text(0.5, 0.5, "E", fontsize=7, ha="center")
    png = base64.b64encode(print_figure(drawn, base64=False)).decode()
    return picture(
        NotebookNode({"image/png": png}),
        folder / "files" / "figures" / name,
        f"files/figures/{name}",
        "An E.",
    )


def deck_with_figures(folder: Path) -> Path:
    """Three slides: text, two figures, of which one is wider and one higher than the window, and text."""
    path = toy(folder, SHOWN, "FIGURES", SHOWN)
    shown = figure(folder, "wide", 12, 2) + figure(folder, "high", 4, 6)
    body = f'<div class="body under"><div class="shown column">{shown}</div></div>'
    path.write_text(path.read_text(encoding="utf-8").replace("FIGURES", body), encoding="utf-8")
    return path


def size_of_text(tab: Page) -> float:
    """Pixels of the font in which the only E on the screen is drawn, whose capitals are 0.729 high."""
    grey = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("L"))
    rows = np.flatnonzero((grey < 128).any(axis=1))
    return (rows[-1] - rows[0] + 1) / 0.729


def reaches(tab: Page) -> list[bool]:
    """Which edges of the magnified figure are in the window: left, top, right, bottom."""
    box = tab.locator(".lens img").bounding_box()
    size = tab.viewport_size
    assert box is not None
    assert size is not None
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return [box["x"] >= 0, box["y"] >= 0, right <= size["width"] + 1, bottom <= size["height"] + 1]


@pytest.mark.parametrize(("width", "least"), [(1280, 24), (1920, 36)])
def test_text_in_a_magnified_figure_is_as_large_as_the_slides(
    browser: Browser, tmp_path: Path, width: int, least: int
) -> None:
    """It is measured on the screen. The figure as it is on the slide has much smaller text."""
    context, tab, wrong = opened(browser)
    tab.set_viewport_size({"width": width, "height": width * 9 // 16})
    show(tab, deck_with_figures(tmp_path / "toy"))
    tab.keyboard.press("PageDown")
    tab.add_style_tag(content="h2, footer, .slide img + img { visibility: hidden }")
    assert size_of_text(tab) < least / 2
    tab.keyboard.press("z")
    for _ in range(4):
        tab.keyboard.press("ArrowRight")
    assert least - 1.4 <= size_of_text(tab) <= least + 2.8  # a pixel or two of the E
    context.close()
    assert wrong == []


def test_a_magnified_figure_is_moved_by_pointer_keys_and_finger_and_left_again(
    browser: Browser, tmp_path: Path
) -> None:
    context, tab, wrong = opened(browser)
    tab.set_viewport_size({"width": 1280, "height": 720})
    show(tab, deck_with_figures(tmp_path / "toy"))
    lens, now = tab.locator(".lens"), tab.locator(".slide.now")
    tab.keyboard.press("z")
    expect(lens).to_be_hidden()  # no figure on this slide
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("z")
    expect(lens).to_be_visible()
    assert reaches(tab) == [True, True, False, True]
    for _ in range(20):
        tab.keyboard.press("ArrowRight")
    assert reaches(tab) == [False, True, True, True]
    tab.keyboard.press("z")  # the other figure
    assert reaches(tab) == [True, True, True, False]
    for _ in range(20):
        tab.keyboard.press("ArrowDown")
    assert reaches(tab) == [True, False, True, True]
    expect(now).to_have_attribute("id", "slide-2")
    tab.keyboard.press("z")
    expect(lens).to_be_hidden()
    first = now.locator("img").first
    first.click(position={"x": 3, "y": 100})
    assert reaches(tab) == [True, True, False, True]
    tab.mouse.move(1270, 360)
    assert reaches(tab) == [False, True, True, True]
    tab.mouse.click(1270, 360)
    expect(lens).to_be_hidden()
    for key, place in (("Escape", "slide-2"), ("b", "slide-2"), ("b", "slide-2"), ("PageDown", "slide-3")):
        tab.keyboard.press("z")
        tab.keyboard.press(key)
        expect(lens).to_be_hidden()
        expect(now).to_have_attribute("id", place)
    tab.keyboard.press("PageUp")
    tab.keyboard.press("z")
    printed = tab.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 3
    expect(lens).to_be_hidden()
    tab.keyboard.press("o")
    tab.keyboard.press("z")
    expect(lens).to_be_hidden()
    context.close()
    assert wrong == []


def test_a_finger_magnifies_and_drags(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 844, "height": 390}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    show(tab, deck_with_figures(tmp_path / "toy"))
    tab.evaluate("location.hash = 2")
    tab.locator(".slide.now img").first.tap()
    lens = tab.locator(".lens")
    expect(lens).to_be_visible()
    finger = context.new_cdp_session(tab)
    for kind, x in (
        ("touchStart", 700),
        *(("touchMove", 700 - 40 * k) for k in range(1, 11)),
        ("touchEnd", None),
    ):
        place = [] if x is None else [{"x": x, "y": 200}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": place})
    tab.wait_for_function("document.querySelector('.lens').scrollLeft > 300")
    tab.wait_for_timeout(500)  # a tap on what still moves stops it
    expect(lens).to_be_visible()
    lens.tap()
    expect(lens).to_be_hidden()
    expect(tab.locator(".slide.now")).to_have_attribute("id", "slide-2")
    context.close()


# --- All slides at once: the overview, a telephone, no scripts ----------------------------------------------------

PARTS = """slides => slides.flatMap((slide) =>
  [...slide.querySelectorAll(".stage :is(.cx-tiles > *, .cx-controls)")].map((part) =>
    part.getBoundingClientRect().width / slide.getBoundingClientRect().width))"""


def test_the_overview_shows_explorers_as_their_slides_do(browser: Browser, folder: Path) -> None:
    """Each part takes the same share of its slide's width, also after the window was resized."""
    context, tab, wrong = opened(browser)
    tab.set_viewport_size({"width": 1280, "height": 720})
    show(tab, folder / "05_gan.html")
    slides = tab.locator(".slide")
    before = slides.evaluate_all(PARTS)
    assert len(before) > 10
    tab.keyboard.press("o")
    tab.wait_for_timeout(100)
    box = slides.first.bounding_box()
    assert box is not None
    assert box["width"] < 400
    assert slides.evaluate_all(PARTS) == pytest.approx(before, rel=0.02)
    for size in ({"width": 960, "height": 540}, {"width": 1280, "height": 720}):
        tab.set_viewport_size(size)
        tab.wait_for_timeout(100)
    assert slides.evaluate_all(PARTS) == pytest.approx(before, rel=0.02)
    tab.keyboard.press("o")
    assert slides.evaluate_all(PARTS) == pytest.approx(before, rel=0.02)
    context.close()
    assert wrong == []


SMALL = """() => {
  const found = [], walk = document.createTreeWalker(document.querySelector(".deck"), NodeFilter.SHOW_TEXT);
  for (let words = walk.nextNode(); words; words = walk.nextNode()) {
    const node = words.parentElement, size = parseFloat(getComputedStyle(node).fontSize);
    const read = words.data.trim() && !node.closest("math, svg, style, .cx-status, .notes") && node.checkVisibility();
    if (read && size < 12) found.push(`${size}: ${words.data}`);
  }
  return found;
}"""


def test_on_a_telephone_slides_are_a_page_and_turned_they_fill_the_screen(
    browser: Browser, folder: Path
) -> None:
    context, tab, wrong = opened(browser)
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto((folder / "index.html").as_uri())
    words = tab.locator("h1, li, p").evaluate_all(
        "all => all.map(n => parseFloat(getComputedStyle(n).fontSize))"
    )
    assert min(words) >= 16
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    path = folder / "05_gan.html"
    count = show(tab, path)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.evaluate(SMALL) == []
    boxes = tab.locator(".slide").evaluate_all(
        "all => all.map(slide => slide.getBoundingClientRect()).map(({left, top, right, bottom}) => "
        "({left, top, right, bottom}))"
    )
    assert len(boxes) == count
    assert all((box["left"], box["right"]) == (0, 390) for box in boxes)
    assert all(a["bottom"] <= b["top"] + 1 for a, b in pairwise(boxes))
    stage = tab.locator(".slide:has(.stage)").first
    assert_answers(stage.locator(".cx"))
    now = tab.locator(".slide.now")
    place = stage.get_attribute("id")
    expect(now).to_have_attribute("id", str(place))  # it was scrolled to
    tab.set_viewport_size({"width": 844, "height": 390})
    expect(tab.locator(".slide:visible")).to_have_count(1)
    expect(now).to_have_attribute("id", str(place))
    box = now.bounding_box()
    assert box is not None
    assert box["height"] == pytest.approx(390, abs=1)
    tab.wait_for_timeout(100)
    inside = "cx => cx.scrollHeight <= cx.clientHeight + 1 && cx.clientHeight <= cx.closest('.stage').clientHeight + 1"
    assert stage.locator(".cx").evaluate(inside)
    tab.set_viewport_size({"width": 390, "height": 844})
    expect(tab.locator(".slide:visible")).to_have_count(count)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    tab.goto("about:blank")
    tab.goto(f"{path.as_uri()}#{place}")
    tab.wait_for_function("document.documentElement.dataset.ready === 'true'")
    expect(now).to_have_attribute("id", str(place))
    width = "document.querySelector('.stage .cx').clientWidth"
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {width} }})")
    tab.pdf(prefer_css_page_size=True)
    assert 1200 < tab.evaluate("window.printed") < 1280, "on paper a slide is a slide"
    assert tab.evaluate(width) < 390
    context.close()
    assert wrong == []


def test_without_scripts_all_slides_are_there(browser: Browser, tmp_path: Path) -> None:
    path = toy(tmp_path / "toy", SHOWN, SHOWN, SHOWN)
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())
    tops = []
    for slide in tab.locator(".slide").all():
        expect(slide).to_be_visible()
        box = slide.bounding_box()
        assert box is not None
        tops.append(box["y"])
    assert tops[0] < tops[1] < tops[2]
    context.close()


@pytest.mark.parametrize("key", ["", "o", "b"], ids=["as it is", "overview", "dark"])
def test_a_large_window_is_printed_whole(browser: Browser, folder: Path, tmp_path: Path, key: str) -> None:
    """Also from the overview and the dark screen. Explorers are laid out for the paper, then for the screen again."""
    context, tab, _ = opened(browser, 1920)
    tab.set_viewport_size({"width": 1920, "height": 1080})
    count = show(tab, folder / "04_vae.html")
    parts = ".cx-fill .cx-tiles, .cx-fill .cx-tiles > *"
    widths = f"[...document.querySelectorAll('{parts}')].map(part => part.offsetWidth)"
    before = tab.evaluate(widths)
    if key:
        tab.keyboard.press(key)
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {widths} }})")
    tab.pdf(path=tmp_path / "deck.pdf", prefer_css_page_size=True, print_background=True)
    pdf = (tmp_path / "deck.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == count
    assert len(pdf) > 300_000, "the figures are in it"
    printed = tab.evaluate("window.printed")
    assert printed == pytest.approx([width / 1.5 for width in before], abs=12)
    if key:
        tab.keyboard.press(key)
    tab.wait_for_timeout(200)
    assert tab.evaluate(widths) == before
    context.close()


def test_a_deck_is_printed_a_slide_a_page(browser: Browser, tmp_path: Path) -> None:
    body = '<div class="body"><p style="font-size: 2rem">Shown</p></div>'
    slides.print_page(browser, toy(tmp_path / "toy", body, body, body))
    pdf = (tmp_path / "toy" / "toy.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 3
    assert set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf)) == {
        b"0 0 960 540"
    }  # points: 1280 by 720 pixels
