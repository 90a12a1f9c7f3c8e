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
    tab.wait_for_function("/^#[13]$/.test(location.hash)")
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


def test_a_deck_is_printed_a_slide_a_page(browser: Browser, tmp_path: Path) -> None:
    body = '<div class="body"><p style="font-size: 2rem">Shown</p></div>'
    slides.print_page(browser, toy(tmp_path / "toy", body, body, body))
    pdf = (tmp_path / "toy" / "toy.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 3
    assert set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf)) == {
        b"0 0 960 540"
    }  # points: 1280 by 720 pixels
