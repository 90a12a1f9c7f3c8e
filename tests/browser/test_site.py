"""The course's site, built once and opened in Chromium as a reader opens it: from the disk, and from a sub-path."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import axe_playwright_python
import numpy as np
import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from .conftest import opened
from .hands import assert_answers, drag, explorers_in, pixels, shown

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
WIDTHS = (390, 1400, 1920)
VIEWS: list[tuple[int, Literal["light", "dark"]]] = [(w, s) for w in WIDTHS for s in ("light", "dark")]
EXPLORERS = ("draw.html", "play.html")
OVER = "document.documentElement.scrollWidth - innerWidth"

LOADED = re.compile(
    r"<(?:img|script|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)=\"(?!data:)([^\"]*)\""
)
LINKED = re.compile(r"<link\b(?![^>]*rel=\"(?:canonical|next|prev|index|search)\")[^>]*\bhref=\"([^\"]*)\"")
IN_STYLE = re.compile(r"url\(\s*['\"]?(?!data:|#)([^)'\"]*)|@import\s*['\"]([^'\"]*)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "course_utils.authoring.site", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab that fails the test for a message, an error or a request that leaves the disk."""
    context, tab, wrong = opened(browser)
    yield tab
    context.close()
    assert wrong == []


# --- Every page -------------------------------------------------------------------------------------------------


# axe compares the colours of each word of code with what is behind it, which takes most of its time. Words of one
# class that look the same are one case for it: the last of them stays on a page, the others become plain text.
ONE_OF_EACH = """() => {
  const still = document.createElement("style");
  still.textContent = "* {transition: none !important}";
  document.head.append(still);
  const seen = new Set();
  for (const word of [...document.querySelectorAll("pre span, .sig span")].reverse()) {
    if (word.childElementCount || word.id) continue;
    const look = [];
    for (let one = word; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      look.push(one.className, style.color, style.backgroundColor, style.opacity, style.fontSize, style.fontWeight);
    }
    if (seen.has(look.join())) word.replaceWith(...word.childNodes);
    else seen.add(look.join());
  }
  document.body.normalize();
}"""


def inaccessible(tab: Page, path: Path) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds in a page as it is shown, by all of its rules."""
    found = tab.evaluate("axe.run(document, {preload: false, resultTypes: ['violations']})")["violations"]
    return [(path.name, one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_quiet_quick_fitting_and_accessible(
    browser: Browser, pages: list[Path], width: int
) -> None:
    """No message, no error, no request; the first paint in a second; nothing wider than the window, light or dark.

    And axe-core finds nothing; it looks at each page in one of the six views, at neighbours in different ones, and
    at the pages that are an explorer in all of them.
    """
    context, tab, wrong = opened(browser, width)
    faults, hindrances = [], []
    for number, path in enumerate(pages):
        looked_at_in, scheme = VIEWS[number % len(VIEWS)]
        tab.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        tab.goto(path.as_uri())
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
        tab.wait_for_function(f"{paint} !== null")
        if (first := tab.evaluate(paint)) > 1000:
            tab.reload()  # the machine may have been busy for a moment
            tab.wait_for_function(f"{paint} !== null")
            first = min(first, tab.evaluate(paint))
        over = [tab.evaluate(OVER)]
        tab.emulate_media(color_scheme=scheme)
        over.append(tab.evaluate(OVER))
        if wrong or max(over) > 0 or first > 1000:
            faults.append((path.name, round(first), over, [*wrong]))
        if width == looked_at_in or path.name in EXPLORERS:
            tab.evaluate(ONE_OF_EACH)
            tab.evaluate(AXE)
            hindrances += inaccessible(tab, path)
        if path.name in EXPLORERS:
            tab.emulate_media(color_scheme="dark" if scheme == "light" else "light")
            hindrances += inaccessible(tab, path)
        wrong.clear()
    context.close()
    assert faults == []
    assert hindrances == []


@pytest.mark.skipif("EVERY_VIEW" not in os.environ, reason="takes six minutes: set EVERY_VIEW=1")
def test_every_page_is_accessible_in_every_view(browser: Browser, pages: list[Path]) -> None:
    context, tab, _ = opened(browser)
    hindrances = []
    for path in pages:
        tab.goto(path.as_uri())
        tab.evaluate(ONE_OF_EACH)
        tab.evaluate(AXE)
        for width, scheme in VIEWS:
            tab.set_viewport_size({"width": width, "height": 900})
            tab.emulate_media(color_scheme=scheme)
            hindrances += [(width, scheme, *one) for one in inaccessible(tab, path)]
    context.close()
    assert hindrances == []


def test_a_word_of_code_that_is_hard_to_read_is_found(browser: Browser, site: Path) -> None:
    """Also where it is the only one of its class that looks so."""
    context, tab, _ = opened(browser)
    tab.goto((site / f"notebooks/{NOTEBOOKS[2].stem}.html").as_uri())
    shown_word = "[...document.querySelectorAll('pre span.k')].find((word) => word.checkVisibility())"
    tab.evaluate(f"{shown_word}.style.color = '#bbb'")
    tab.evaluate(ONE_OF_EACH)
    tab.evaluate(AXE)
    ((_, rule, nodes),) = inaccessible(tab, site)
    context.close()
    assert rule == "color-contrast"
    assert [node.startswith('<span class="k" style=') for node in nodes] == [True]


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(
    site: Path, pages: list[Path]
) -> None:
    texts = {path.resolve(): path.read_text(encoding="utf-8") for path in pages}
    ids = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    lost, loaded = [], []
    for path, text in texts.items():
        for address in re.findall(r'\b(?:href|src)="([^"]+)"', text):
            if re.match(r"(?:https?|data|mailto):", address):
                continue
            file, _, mark = address.partition("#")
            target = (path.parent / unquote(file.partition("?")[0])).resolve() if file else path
            if not target.is_file() or (mark and target in ids and unquote(mark) not in ids[target]):
                lost.append((path.name, address))
        loaded += LOADED.findall(text) + LINKED.findall(text)
        assert str(ROOT) not in text, path.name
        assert sys.prefix not in text, path.name
    assert lost == []
    assert len(loaded) > 100
    for path in site.rglob("*.css"):
        loaded += ["".join(found) for found in IN_STYLE.findall(path.read_text(encoding="utf-8"))]
    assert [address for address in loaded if re.match(r"(?:\w+:)?//|/", address)] == []


def test_every_picture_has_an_alternative_text(pages: list[Path]) -> None:
    pictures = [(path.name, tag) for path in pages for tag in re.findall(r"<img\b[^>]*>", path.read_text())]
    assert len(pictures) > 150
    assert [(name, tag) for name, tag in pictures if not re.search(r'\balt="[^"]{20,}"', tag)] == []


def test_every_page_has_a_picture_for_those_who_share_its_link(site: Path, pages: list[Path]) -> None:
    for path in pages:
        told = dict(
            re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', path.read_text(encoding="utf-8"))
        )
        assert told["url"].startswith("https://"), path
        base = told["url"].removesuffix(path.relative_to(site).as_posix())
        assert told["title"], path
        assert (site / told["image"].removeprefix(base)).is_file(), path


# --- What a reader does -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index", *(path.stem for path in NOTEBOOKS)])
def test_explorers_are_alive(tab: Page, site: Path, name: str) -> None:
    tab.goto((site / ("index.html" if name == "index" else f"notebooks/{name}.html")).as_uri())
    count = 1 if name == "index" else explorers_in(ROOT / "notebooks" / f"{name}.ipynb")
    views = tab.locator(".cx")
    expect(views).to_have_count(count)
    for one in views.all():
        assert_answers(one)


def test_from_the_front_page_to_the_first_explorer(tab: Page, site: Path) -> None:
    """An explorer is there at once; one click leads to the first notebook, and another to its first explorer."""
    tab.goto((site / "index.html").as_uri())
    explorer = tab.locator(".cx")
    box = explorer.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] / 2 < 900, "on the first screen"
    tab.get_by_role("radio", name="circle").check(force=True)
    expect(explorer).to_contain_text("circle at the left")
    tab.get_by_role("link", name="Begin here").click()
    expect(tab.locator("h1")).to_contain_text("01")
    tab.locator('.course-bar a[href="#explorer-1"]').click()
    expect(tab.locator(".cx").first).to_be_in_viewport(ratio=0.9)
    tab.goto((site / f"notebooks/{NOTEBOOKS[6].stem}.html").as_uri() + "#explorer-2")
    expect(tab.locator("#explorer-2 .cx")).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize(("stem", "number"), [("03_autoencoders", 2), ("07_diffusion", 4)])
def test_a_link_leads_another_reader_to_the_same_state(
    browser: Browser, site: Path, stem: str, number: int
) -> None:
    context, tab, wrong = opened(browser)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto((site / f"notebooks/{stem}.html").as_uri())
    view = tab.locator(f"#explorer-{number} .cx")
    opening = shown(view)
    if view.locator(".cx-board").count():
        drag(tab, view.locator(".cx-board"), (0.5, 0.5), (0.3, 0.4))
    view.get_by_role("slider", name="t", exact=True).press("End")
    assert shown(view) != opening
    view.get_by_role("button", name="Copy a link").click()
    expect(view.get_by_role("status")).to_have_text("Copied the link.")
    link = tab.evaluate("navigator.clipboard.readText()")
    other = context.new_page()
    other.goto(link)
    there = other.locator(f"#explorer-{number} .cx")
    expect(there).to_be_in_viewport(ratio=0.5)
    expect(there.locator(".cx-value").first).to_have_text(view.locator(".cx-value").first.inner_text())
    assert shown(there) == shown(view)
    first = other.locator("#explorer-1 .cx")
    assert shown(first) == shown(tab.locator("#explorer-1 .cx")), "the others stand as they open"
    for nonsense in ("index=99.99", "index=-1.0.0.0.0", "index=", "at=1e9,1e9", "index=__proto__"):
        third = context.new_page()
        third.goto(f"{link.split('?')[0]}?{nonsense}")
        expect(third.locator(f"#explorer-{number} .cx")).to_be_visible()
        assert shown(third.locator(f"#explorer-{number} .cx")) == opening, nonsense
        third.close()
    context.close()
    assert not wrong


SET = ".cx-controls input"
"""What the reader has set in a playground."""

HOW = "inputs => inputs.map(one => one.type === 'range' ? one.value : one.checked)"


@pytest.mark.parametrize(("name", "other"), [("gan", "diffusion"), ("diffusion", "gan")])
def test_a_link_gives_another_reader_the_same_playground(
    browser: Browser, site: Path, name: str, other: str
) -> None:
    """Its settings and its run; the other one on the page, and any for whom the address is wrong, open as ever."""
    context, tab, wrong = opened(browser, reduced_motion="reduce")  # each waits where it opens
    context.grant_permissions(["clipboard-read", "clipboard-write"])

    def place(page: Page, which: str) -> Locator:
        return page.locator(f'[data-share="{which}"] .cx')

    def settings(page: Page, which: str) -> list[object]:
        expect(place(page, which)).to_be_visible()
        return place(page, which).locator(SET).evaluate_all(HOW)

    tab.goto((site / "play.html").as_uri())
    view = place(tab, name)
    opening = {which: settings(tab, which) for which in (name, other)}
    view.get_by_role("radio", name="Swiss roll").check(force=True)
    view.get_by_role("radiogroup").last.get_by_role("radio").last.check(force=True)
    sliders = view.locator(".cx-controls input[type=range]").all()[
        :-1
    ]  # the last is the speed, the reader's own
    for slider in sliders:
        slider.press("ArrowRight")
    expect(view.get_by_label("seed")).to_have_value("1")
    view.get_by_label("seed").press("ArrowRight")
    moved = settings(tab, name)
    assert sum(a != b for a, b in zip(moved, opening[name], strict=True)) == len(sliders) + 4
    view.get_by_role("button", name="Copy a link to these settings").click()
    expect(view.get_by_role("status")).to_have_text("Copied the link.")
    link = tab.evaluate("navigator.clipboard.readText()")
    assert f"play.html#{name}?" in link

    there = context.new_page()
    there.goto(link)
    assert settings(there, name) == moved
    assert settings(there, other) == opening[other]
    expect(place(there, name)).to_be_in_viewport(ratio=0.5)
    losses = f'[data-share="{name}"] .cx-readout .cx-value'
    for k in range(2):
        expect(there.locator(losses).nth(k)).to_have_text(tab.locator(losses).nth(k).inner_text())
    there.goto(link.replace("swiss_roll", "moons"))  # the same page, another address
    expect(place(there, name).get_by_role("radio", name="two moons")).to_be_checked()

    changed = (
        ("density=swiss_roll", "density=__proto__"),
        ("seed=2", "seed=8"),
        ("seed=2", "seed=2e0"),
        ("&seed=2", ""),
    )
    for old, new in (*changed, (f"#{name}", f"#{other}")):
        third = context.new_page()
        third.goto(link.replace(old, new))
        assert [settings(third, which) for which in (name, other)] == [opening[name], opening[other]], new
        third.close()
    context.close()
    assert not wrong


def test_a_link_to_a_drawing_gives_the_same_pictures(browser: Browser, site: Path) -> None:
    """With the digit that was asked for, other noise, and the drawing as it stands."""
    context, tab, wrong = opened(browser)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto((site / "draw.html").as_uri())

    def pictures(page: Page) -> list[str]:
        """When all are there."""
        expect(page.locator(".dr-films .dr-under", has_text="read as")).to_have_count(3, timeout=20_000)
        expect(page.locator(".dr-old")).to_have_count(0)
        return page.locator("canvas.cx-tile, canvas.dr-map").evaluate_all(
            "all => all.map(one => one.toDataURL())"
        )

    opening = pictures(tab)
    board = tab.locator(".dr-board")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    tab.mouse.down()
    for turn in np.linspace(0, 5, 80):
        x, y = 0.4 + 0.2 * np.sin(turn), 0.2 + 0.11 * turn
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    tab.mouse.up()
    tab.get_by_role("radio", name="5", exact=True).press("Space")
    tab.get_by_role("button", name="Other noise").click(click_count=2)
    tab.get_by_role("checkbox", name="scale and centre").uncheck()
    seen = pictures(tab)
    assert all(one != before for one, before in zip(seen, opening, strict=True))
    tab.get_by_role("button", name="Copy a link to this drawing").click()
    expect(tab.locator(".cx-status")).to_have_text("Copied the link.")
    link = tab.evaluate("navigator.clipboard.readText()")
    assert len(link) < 1000

    there = context.new_page()
    there.goto(link)
    expect(there.get_by_role("radio", name="5", exact=True)).to_be_checked()
    expect(there.get_by_role("checkbox", name="scale and centre")).not_to_be_checked()
    assert pictures(there) == seen
    there.get_by_role("button", name="Copy a link to this drawing").click()
    expect(there.locator(".cx-status")).to_have_text("Copied the link.")
    assert there.evaluate("navigator.clipboard.readText()") == link
    third = context.new_page()
    third.goto(link.replace("&ask=5", "&ask=__proto__"))
    assert pictures(third) == opening
    context.close()
    assert not wrong


def test_where_nothing_can_be_copied_the_link_is_shown(browser: Browser, site: Path) -> None:
    """As on a page of a school's own server without https."""
    context, tab, wrong = opened(browser)
    tab.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    told: list[str] = []

    def note(dialog: Dialog) -> None:
        told.append(dialog.default_value)
        dialog.dismiss()

    tab.on("dialog", note)
    tab.goto((site / "index.html").as_uri())
    button = tab.locator(".cx").get_by_role("button", name="Copy a link")
    button.click()
    expect(button).not_to_have_class(re.compile("cx-done"))
    context.close()
    assert [re.search(r"#front\?index=", link) is not None for link in told] == [True]
    assert wrong == []


def test_the_cross_stays_under_the_pointer_on_another_screen(browser: Browser, site: Path) -> None:
    """A window moved from a fine screen to a projector: as many pixels of the page, half as many of the screen."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=2)
    tab = context.new_page()
    tab.goto((site / "notebooks" / "04_vae.html").as_uri())
    board = tab.locator("#explorer-1 .cx-board")
    drag(tab, board, (0.3, 0.3), (0.5, 0.5))
    screen = context.new_cdp_session(tab)
    size = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    screen.send("Emulation.setDeviceMetricsOverride", size)
    tab.wait_for_function("devicePixelRatio === 1")
    drag(tab, board, (0.5, 0.5), (0.8, 0.8))
    marks = board.locator("canvas").nth(1)
    black = pixels(marks, "RGBA")
    rows, columns = np.nonzero((black[..., :3] < 60).all(axis=2) & (black[..., 3] > 200))
    near = np.hypot(rows - 0.8 * black.shape[0], columns - 0.8 * black.shape[1]) < 30
    assert black.shape[1] == pytest.approx(board.evaluate("board => board.clientWidth"), abs=1)
    assert near.sum() > 20, "the cross"
    context.close()


def test_next_leads_through_all_notebooks(tab: Page, site: Path) -> None:
    tab.goto((site / f"notebooks/{NOTEBOOKS[0].stem}.html").as_uri())
    for path in NOTEBOOKS[1:]:
        tab.locator(".next-page").click()
        assert tab.url.endswith(f"/{path.stem}.html")
    tab.locator(".prev-page").click()
    assert tab.url.endswith(f"/{NOTEBOOKS[-2].stem}.html")


@pytest.mark.parametrize(
    ("words", "page"),
    [("posterior collapse", "04_vae"), ("bubblewrap", "grading"), ("사후 분포", "glossary")],
)
def test_search_works_from_the_disk(tab: Page, site: Path, words: str, page: str) -> None:
    """A result shows the words among those around them, and leads to that place."""
    tab.goto((site / "index.html").as_uri())
    box = tab.get_by_placeholder("Search")
    box.fill(words)
    box.press("Enter")
    result = tab.locator("#search-results li", has=tab.locator(f'a[href*="{page}.html"]')).first
    expect(result.locator(".context")).to_contain_text(words, ignore_case=True)
    expect(result.locator("mark").first).to_have_text(re.compile(words.split()[0], re.IGNORECASE))
    tab.evaluate(AXE)
    assert inaccessible(tab, site / "search.html") == []
    result.locator("a").first.click()
    place = tab.locator(f"[id='{unquote(tab.url.partition('#')[2])}']")
    expect(place).to_contain_text(words, ignore_case=True)
    expect(place).to_be_in_viewport()


def test_what_the_search_shows_stands_where_it_leads(site: Path) -> None:
    script = site / "_static" / "search-texts.js"
    assert script.stat().st_size < 1_000_000
    name, _, content = script.read_text(encoding="utf-8").partition(" = ")
    assert name == "window.courseTexts"
    texts = json.loads(content.removesuffix(";\n"))
    assert {"index", "glossary", "reference/nets", *(f"notebooks/{path.stem}" for path in NOTEBOOKS)} <= set(
        texts
    )
    for page, pieces in texts.items():
        ids = re.findall(r'\bid="([^"]+)"', (site / f"{page}.html").read_text(encoding="utf-8"))
        assert {mark for mark, _ in pieces} <= {*ids, ""}, page
        assert all(text for _, text in pieces), page


def test_code_folds_and_stays_folded(tab: Page, site: Path) -> None:
    tab.goto((site / f"notebooks/{NOTEBOOKS[0].stem}.html").as_uri())
    folded = tab.locator("details.course-code:not([open])")
    expect(folded).to_have_count(explorers_in(NOTEBOOKS[0]) + 1)  # and what installs the course
    code = tab.locator("details.course-code pre")
    expect(code.nth(1)).to_be_visible()
    tab.get_by_role("button", name="Hide the code").click()
    expect(tab.locator("details.course-code[open]")).to_have_count(0)
    tab.locator(".next-page").click()
    expect(code.first).to_be_hidden()
    tab.locator("details.course-code summary").first.click()
    expect(code.first).to_be_visible()
    expect(code.nth(1)).to_be_hidden()
    expect(tab.locator(".cx").first).to_be_visible()
    tab.get_by_role("button", name="Show the code").click()
    expect(folded).to_have_count(0)


def test_on_paper_answers_are_open_and_code_is_whole(tab: Page, site: Path) -> None:
    tab.emulate_media(media="print", color_scheme="dark")
    tab.set_viewport_size({"width": 700, "height": 1000})
    tab.goto((site / f"notebooks/{NOTEBOOKS[4].stem}.html").as_uri())
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(tab.locator("article details:not(.course-code):not([open])")).to_have_count(0)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    code = tab.locator("article pre")
    assert code.evaluate_all("all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length") == 0
    for gone in (".sidebar-drawer", ".toc-drawer", ".course-bar", ".related-pages", ".skip-to-content"):
        expect(tab.locator(gone).filter(visible=True)).to_have_count(0)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(tab.locator("article details:not(.course-code)[open]")).to_have_count(0)


@pytest.mark.parametrize("width", [1400, 1920])
def test_lines_have_about_seventy_characters(browser: Browser, site: Path, width: int) -> None:
    context, tab, _ = opened(browser, width)
    tab.goto((site / f"notebooks/{NOTEBOOKS[3].stem}.html").as_uri())
    lengths = tab.evaluate(
        """[...document.querySelectorAll("article p")].filter((p) => !p.querySelector("math")).map((p) => {
          const range = document.createRange();
          range.selectNodeContents(p);
          const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.bottom / 12))).size;
          return [p.textContent.length, lines];
        }).filter(([length, lines]) => lines > 4).map(([length, lines]) => length / (lines - 0.5))"""
    )
    context.close()
    lengths.sort()
    assert 60 <= lengths[len(lengths) // 2] <= 78, lengths


def test_on_a_phone_the_first_screen_says_where_to_begin(browser: Browser, site: Path) -> None:
    context, tab, wrong = opened(browser, 390)
    tab.set_viewport_size({"width": 390, "height": 664})  # an iPhone's, between the bars of its browser
    tab.goto((site / "index.html").as_uri())
    expect(tab.get_by_role("link", name="Begin here")).to_be_in_viewport(ratio=1)
    context.close()
    assert wrong == []


def test_on_a_phone_the_contents_open_by_keyboard(browser: Browser, site: Path) -> None:
    context, tab, wrong = opened(browser, 390)
    tab.goto((site / "glossary.html").as_uri())
    link = tab.get_by_role("link", name="04 · Variational autoencoder")
    expect(link).to_be_hidden()
    tab.locator("button[data-opens=__navigation]").press("Enter")
    expect(link).to_be_visible()
    link.click()
    expect(tab.locator("h1")).to_contain_text("04")
    assert wrong == []
    context.close()


def test_without_scripts_stills_and_code_are_there(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((site / f"notebooks/{NOTEBOOKS[4].stem}.html").as_uri())
    still = tab.get_by_alt_text("Explorer “The game in the plane”")
    still.scroll_into_view_if_needed()
    expect(still).to_be_visible()
    expect(tab.locator("details.course-code pre").nth(1)).to_be_visible()
    context.close()


def test_the_site_works_under_a_sub_path(browser: Browser, site: Path) -> None:
    handler = functools.partial(Quiet, directory=str(site.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_address[1]}/site/"
        context = browser.new_context()
        tab = context.new_page()
        wrong: list[str] = []
        tab.on("response", lambda got: None if got.ok or got.status == 304 else wrong.append(got.url))
        tab.on(
            "request",
            lambda sent: None if sent.url.startswith((home, "data:", "blob:")) else wrong.append(sent.url),
        )
        tab.on("console", lambda message: wrong.append(message.text))
        for name in ("", f"notebooks/{NOTEBOOKS[2].stem}.html", "reference/nets.html", "search.html?q=score"):
            tab.goto(home + name, wait_until="networkidle")
        expect(tab.locator("#search-results a").first).to_be_visible()
        context.close()
        server.shutdown()
    assert wrong == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
