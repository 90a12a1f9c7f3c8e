"""The decks as a lecturer opens them, from the disk: each slide is readable from the last row, and whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from course_utils.authoring import slides
from course_utils.authoring.pages import mathml
from course_utils.authoring.slides import Deck, Slide

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


def test_each_deck_has_notes_of_its_own(browser: Browser, tmp_path: Path) -> None:
    """A page loaded anew, as the next deck, closes the window of the one before and opens another."""
    context, tab, wrong = opened(browser)
    body = '<div class="body"><p style="font-size: 2rem">Shown</p></div>'
    path = toy(tmp_path / "toy", body, body)
    for _ in range(2):
        show(tab, path)
        with context.expect_page() as second:
            tab.keyboard.press("s")
        notes = second.value
        expect(notes.locator("main")).to_have_text("Said 1")
        notes.keyboard.press("PageDown")
        expect(tab.locator(".slide.now h2")).to_have_text("Headline 2")
        expect(notes.locator("main")).to_have_text("Said 2")
        assert len(context.pages) == 2
        with notes.expect_event("close"):
            tab.goto("about:blank")
    context.close()
    assert wrong == []


@pytest.mark.parametrize("place", ["", "0", "1.5", "-2", "Infinity", "words", "%", "99"])
def test_an_address_that_names_no_slide_leads_to_one_all_the_same(
    browser: Browser, tmp_path: Path, place: str
) -> None:
    context, tab, wrong = opened(browser)
    body = '<div class="body"><p style="font-size: 2rem">Shown</p></div>'
    path = toy(tmp_path / "toy", body, body, body)
    show(tab, path)
    tab.keyboard.press("ArrowRight")
    tab.evaluate("place => { location.hash = place }", place)
    tab.wait_for_function("/^#[123]$/.test(location.hash)")
    expect(tab.locator(".slide.now")).to_have_count(1)
    tab.goto("about:blank")
    tab.goto(f"{path.as_uri()}#{place}")
    expect(tab.locator(".slide.now")).to_have_attribute("id", "slide-3" if place == "99" else "slide-1")
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
    context.close()
    assert wrong == []


@pytest.mark.parametrize(
    ("mark", "shown"), [("2", 2), ("slide-2", 2), ("99", 3), ("0", 1), ("2.5", 1), ("abc", 1), ("", 1)]
)
def test_an_address_opens_its_slide_and_nonsense_the_first(
    browser: Browser, tmp_path: Path, mark: str, shown: int
) -> None:
    context, tab, wrong = opened(browser)
    path = toy(tmp_path / "toy", SHOWN, SHOWN, SHOWN)
    tab.goto(f"{path.as_uri()}#{mark}")
    tab.wait_for_function("document.documentElement.dataset.ready === 'true'")
    now = tab.locator(".slide.now")
    expect(now).to_have_attribute("id", f"slide-{shown}")
    for nonsense in ("2.5", "abc", "-3"):
        tab.evaluate("mark => { location.hash = mark }", nonsense)
        tab.wait_for_timeout(50)
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
