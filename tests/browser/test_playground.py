"""The playgrounds in a page opened as a file: they train, hold, start again, and obey the keyboard."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from course_utils.authoring.pages import WIDGET_SCRIPT, front_ends
from course_utils.explorers import DiffusionPlayground, GanPlayground

from .hands import pixels

ORANGE = np.array([0xDA, 0x77, 0x01])


def write(path: Path, *widgets: GanPlayground | DiffusionPlayground) -> str:
    """A page with these playgrounds; returns its address."""
    states = {
        f"w{k}": {n: v for n, v in w.get_state().items() if n != "layout"} for k, w in enumerate(widgets)
    }
    places = "".join(f'<div data-widget-model="{name}"></div>' for name in states)
    content = json.dumps(front_ends(states)).replace("<", "\\u003c")
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape('a page')}</title>{places}"
        f'<script type="module">const page = {content};{WIDGET_SCRIPT}</script>',
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens playgrounds; the test fails for any message on the console, and any request beyond the file."""
    contexts, seen = [], []

    def open_(
        *widgets: GanPlayground | DiffusionPlayground, width: int = 1400, height: int = 900, **more: str
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **more)  # type: ignore[arg-type]
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: seen.append(message.text))
        tab.on("pageerror", lambda error: seen.append(str(error)))
        tab.on(
            "request",
            lambda sent: seen.append(sent.url) if not sent.url.startswith(("file:", "blob:")) else None,
        )
        tab.goto(write(tmp_path / "page.html", *widgets))
        expect(tab.locator(".cx")).to_have_count(len(widgets), timeout=20_000)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert seen == []


def steps(page: Page) -> int:
    return int(page.locator(".cx-count").inner_text().split()[-1].replace(",", ""))


def said(page: Page, name: str) -> float:
    row = page.locator(".cx-readout", has=page.get_by_text(name, exact=True))
    return float(row.locator(".cx-value").inner_text().replace("−", "-").split()[0])


def reach(page: Page, least: int) -> None:
    page.wait_for_function(
        "least => Number(document.querySelector('.cx-count').textContent.replace(/[^0-9]/g, '')) >= least", arg=least,
        timeout=40_000,
    )  # fmt: skip


def test_the_game_trains_holds_and_starts_again(opened: Callable[..., Page]) -> None:
    page = opened(GanPlayground())
    pause, play = (page.get_by_role("button", name=f"{what} the training") for what in ("Pause", "Play"))
    begun = steps(page)
    assert begun >= 60  # it opens trained a little, and goes on by itself
    reach(page, begun + 60)
    pause.focus()
    page.keyboard.press("Space")
    expect(play).to_be_focused()
    page.wait_for_timeout(200)
    held, picture = steps(page), pixels(page.locator(".cx-plane").first)
    page.wait_for_timeout(500)
    assert steps(page) == held
    assert (pixels(page.locator(".cx-plane").first) == picture).all()

    page.get_by_role("button", name="Start again").press("Enter")
    expect(page.locator(".cx-count")).to_have_text("round 0")
    page.wait_for_timeout(100)
    untrained = said(page, "energy distance")
    assert said(page, "covered, of 8") <= 1
    for wanted in (1, 2):
        page.get_by_role("button", name="One step").click()
        expect(page.locator(".cx-count")).to_have_text(f"round {wanted}")
    page.get_by_label("speed").press("End")
    play.click()
    reach(page, 220)
    assert said(page, "energy distance") < 0.5 * untrained
    assert said(page, "covered, of 8") >= 4


def test_points_come_back_from_noise_while_it_trains(opened: Callable[..., Page]) -> None:
    page = opened(DiffusionPlayground())
    begun, loss = steps(page), said(page, "loss, last 100 steps")
    reach(page, begun + 120)
    assert said(page, "loss, last 100 steps") < loss
    assert said(page, "best possible loss") < said(page, "loss, last 100 steps") + 0.02
    page.get_by_role("button", name="Pause the training").click()
    time = page.get_by_label("time t")
    canvas = page.locator(".cx-plane").first
    shown = {}
    for key in ("Home", "End"):
        time.press(key)
        page.wait_for_timeout(300)
        shown[key] = pixels(canvas)
        spread = np.argwhere(np.abs(shown[key].astype(int) - ORANGE).sum(axis=2) < 30)
        shown[key] = spread[:, 0].std()  # of the points, up and down
    assert time.get_attribute("aria-valuetext") == "0"
    assert abs(shown["Home"] - shown["End"]) > 0.1 * shown["Home"]
    expect(page.get_by_role("button", name="Play the way back")).to_be_visible()
    page.get_by_role("radio", name="8 Gaussians").check(force=True)
    assert steps(page) < begun + 120  # a new network, for the new data
    expect(page.get_by_role("radio", name="8 Gaussians")).to_be_checked()


def test_who_wants_no_motion_starts_it_by_hand(opened: Callable[..., Page]) -> None:
    page = opened(GanPlayground(), reduced_motion="reduce")
    page.wait_for_timeout(500)
    assert steps(page) == 60
    page.get_by_role("button", name="Play the training").click()
    reach(page, 62)


def test_what_is_not_on_the_screen_does_not_train(opened: Callable[..., Page]) -> None:
    page = opened(GanPlayground(), height=700)
    page.evaluate("document.body.style.paddingBottom = '3000px'; scrollTo(0, 2500)")
    page.wait_for_timeout(300)
    gone = steps(page)
    page.wait_for_timeout(500)
    assert steps(page) == gone
    page.evaluate("scrollTo(0, 0)")
    reach(page, gone + 5)


@pytest.mark.parametrize(("width", "height", "scheme"), [(390, 844, "dark"), (1400, 900, "light")])
def test_picture_and_controls_fit(opened: Callable[..., Page], width: int, height: int, scheme: str) -> None:
    """Nothing scrolls sideways; the picture is the largest thing, and its buttons are on the same screen."""
    for widget in (GanPlayground(), DiffusionPlayground()):
        page = opened(widget, width=width, height=height, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture = page.locator(".cx-plane").first.bounding_box()
        transport = page.locator(".cx-transport").bounding_box()
        assert picture is not None
        assert transport is not None
        assert picture["width"] > (0.9 * width if width < 500 else 0.5 * width)
        assert transport["y"] + transport["height"] < height
        if width < 500:  # the first sliders, too
            slider = page.locator(".cx-controls input[type=range]").first.bounding_box()
            assert slider is not None
            assert slider["y"] + slider["height"] - picture["y"] < height
        page.close()


def test_enlarged_on_a_phone_the_picture_stays_as_large_and_all_can_be_scrolled_to(
    opened: Callable[..., Page],
) -> None:
    page = opened(DiffusionPlayground(), width=390, height=844)
    view, picture = page.locator(".cx"), page.locator(".cx-plane").first
    before = picture.bounding_box()
    assert before is not None
    page.get_by_role("button", name="Enlarge").click()
    page.wait_for_function("document.fullscreenElement !== null")
    page.wait_for_timeout(300)
    after = picture.bounding_box()
    assert after is not None
    assert after["width"] > 0.9 * before["width"]
    assert view.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    assert view.locator(".cx-stage").evaluate("stage => stage.scrollHeight - stage.clientHeight") <= 1
    last = view.locator(".cx-readout").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1000, 500)])
def test_enlarged_on_a_small_screen_the_buttons_are_whole(
    opened: Callable[..., Page], width: int, height: int
) -> None:
    for widget in (GanPlayground(), DiffusionPlayground()):
        page = opened(widget, width=width, height=height)
        page.get_by_role("button", name="Enlarge").click()
        page.wait_for_timeout(500)
        places = [
            page.locator(part).bounding_box() for part in (".cx-stage", ".cx-transport", ".cx-readouts")
        ]
        stage, transport, readouts = (place for place in places if place is not None)
        assert transport["y"] + transport["height"] <= stage["y"] + stage["height"] + 1
        assert readouts["y"] >= transport["y"] + transport["height"] - 1
        if width < 500:
            controls = page.locator(".cx-controls").bounding_box()
            assert controls is not None
            assert readouts["y"] >= controls["y"] + controls["height"] - 1
        page.close()


def test_a_seed_costs_no_more_at_ten_turns_a_round(opened: Callable[..., Page]) -> None:
    page = opened(GanPlayground())
    for turns in ("D’s turns a round", "G’s turns a round"):
        page.get_by_label(turns).press("End")
    page.get_by_role("button", name="Pause the training").click()
    page.get_by_label("seed").press("ArrowRight")
    expect(page.locator(".cx-count")).to_have_text("round 12")


def test_two_views_of_one_playground_train_apart(browser: Browser, tmp_path: Path) -> None:
    address = write(tmp_path / "page.html", GanPlayground(seed=3))
    path = tmp_path / "page.html"
    place = '<div data-widget-model="w0"></div>'
    path.write_text(path.read_text(encoding="utf-8").replace(place, 2 * place), encoding="utf-8")
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(address)
    views = page.locator(".cx")
    expect(views).to_have_count(2)
    one, other = views.all()
    for view in (one, other):
        expect(view.get_by_label("seed")).to_have_value("3")
        expect(view.locator(".cx-count")).to_have_text("round 60")
    one.get_by_label("seed").press("Home")
    one.get_by_role("button", name="One step").click()
    expect(one.locator(".cx-count")).to_have_text("round 61")
    expect(other.locator(".cx-count")).to_have_text("round 60")
    expect(other.get_by_label("seed")).to_have_value("3")
    context.close()


CONTRAST = """root => {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return color.startsWith("color(") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
  };
  const over = (top, alpha, ground) => ground.map((value, k) => alpha * top[k] + (1 - alpha) * value);
  const light = (c) => c.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const words = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (words.nextNode()) {
    const { parentElement: holder, data } = words.currentNode;
    if (!/[\\p{L}\\p{N}]/u.test(data) || !holder.checkVisibility() || holder.closest("style")) continue;
    let ground = dark ? [17, 17, 17] : [255, 255, 255];
    let shown = 1;
    const line = [];
    for (let at = holder; at; at = at.parentElement) line.unshift(getComputedStyle(at));
    for (const style of line) {
      shown *= Number(style.opacity);
      const [r, g, b, a] = parse(style.backgroundColor);
      ground = over([r, g, b], a * shown, ground);
    }
    const ink = parse(line.at(-1).color);
    const [low, high] = [light(over(ink, ink[3] * shown, ground)), light(ground)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), data.trim()]);
  }
  return found.sort(([a], [b]) => a - b).slice(0, 1)[0];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_every_state(opened: Callable[..., Page], scheme: str) -> None:
    """4.5 to 1 (WCAG 2.2, 1.4.3) as it stands, under the pointer, and at the dimmed ends of a slider."""
    page = opened(GanPlayground(), color_scheme=scheme, reduced_motion="reduce")
    ground, ink = ("#111", "#ddd") if scheme == "dark" else ("#fff", "#000")
    page.add_style_tag(content=f"body {{ background: {ground}; color: {ink}; }}")
    view = page.locator(".cx")
    view.locator(".cx-control").first.evaluate(
        "one => one.insertAdjacentHTML('beforeend', '<div class=\"cx-ends\"><span>first</span></div>')"
    )
    assert view.evaluate(CONTRAST)[0] >= 4.5
    for button in view.get_by_role("button").all():
        button.hover()
        assert view.evaluate(CONTRAST)[0] >= 4.5, button.inner_text()
    page.add_style_tag(content=".cx .cx-ends { opacity: 0.4; }")  # the control
    assert view.evaluate(CONTRAST) == [pytest.approx(view.evaluate(CONTRAST)[0]), "first"]
    assert view.evaluate(CONTRAST)[0] < 4.5
