"""The teacher's page in a browser: points are kept and saved, and nothing that students wrote comes to life."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import pytest
from hostile import TEXTS
from playwright.sync_api import Browser, Page, expect

from course_utils.grading.overview import Model, overview
from course_utils.grading.report import Grade, page_name, table, write_pages

QUESTION = "## 7 · Open question\n\nWhy is $x_1$ so?\n\n*5 points.*"
MODEL = Model({"q1": "A number"}, {"q1": "x = 1"}, "Because of $x_1$.", "1 point for all.")


def row(file: str, *, text: str = "Because.", **more: object) -> Grade:
    return Grade(
        file,
        "hw04",
        {"q1": True, "q2": False},
        {"q1": "", "q2": f"q2: is 3. {text}"},
        code={"q1": ["x = 1"], "q2": [text]},
        left_out=[text],
        open_question=QUESTION,
        **{"open_answer": text, **more},
    )


def write(folder: Path, rows: list[Grade]) -> str:
    """The pages; returns the overview's address."""
    names = write_pages(rows, folder)
    (folder / "index.html").write_text(overview(rows, names, {"hw04": MODEL}, "grades.csv"), encoding="utf-8")
    return (folder / "index.html").as_uri()


ROWS = [
    row("김, a.ipynb"),
    row('=1+1;"b".ipynb', open="2", open_note="the points were given for an earlier answer"),
    row("c.ipynb", open="see me"),
    row("d.ipynb", open_answer=""),
    Grade("e.pdf", note="is a PDF"),
]


@pytest.fixture
def at(tmp_path: Path, page: Page) -> str:
    """The address of a page with four answers, opened."""
    address = write(tmp_path, [replace(one) for one in ROWS])
    page.goto(address)
    return address


def boxes(page: Page) -> list:
    return page.locator("article input").all()


def saved(page: Page) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the table").click()
    assert download.value.suggested_filename == "grades.csv"
    data = Path(download.value.path()).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")  # by it Excel knows UTF-8
    return data.decode("utf-8-sig")


def as_python_writes(*points: str | None) -> str:
    """The table with these points; None: as they were."""
    rows = [replace(one) for one in ROWS]
    for one, given in zip(rows, points, strict=False):
        if given is not None:
            one.open, one.open_note = given, ""
    return table(rows, [page_name(one.file) for one in rows])


def test_the_table_that_is_saved_is_the_one_that_python_writes(at: str, page: Page) -> None:
    assert saved(page) == as_python_writes()
    first, second, third, last = boxes(page)
    first.fill("3,50")
    second.fill("2")  # the same again: looked at, so the note goes
    last.fill("0")
    assert saved(page) == as_python_writes("3.5", "2", None, "0")
    first.fill("")
    assert saved(page) == as_python_writes("", "2", None, "0")


def test_what_was_typed_is_there_again_after_the_page_was_closed(at: str, page: Page) -> None:
    expect(page.get_by_text("1 of 4 marked")).to_have_count(1)
    boxes(page)[0].fill("3.5")
    expect(page.get_by_text("2 of 4 marked")).to_have_count(1)
    expect(page.locator("#cell-1")).to_have_text("3.5")
    page.goto("about:blank")
    page.goto(at)
    expect(boxes(page)[0]).to_have_value("3.5")
    expect(page.get_by_text("2 of 4 marked")).to_have_count(1)
    assert saved(page) == as_python_writes("3.5")


def test_the_table_counts_where_it_was_changed_since(at: str, page: Page, tmp_path: Path) -> None:
    boxes(page)[0].fill("3")
    boxes(page)[1].fill("1")
    write(tmp_path, [replace(ROWS[0], open="4"), *ROWS[1:]])
    page.goto(at)
    expect(boxes(page)[0]).to_have_value("4")
    expect(page.get_by_text("You typed 3 here; the table was changed since.")).to_have_count(1)
    expect(boxes(page)[1]).to_have_value("1")
    write(tmp_path, [replace(ROWS[0], open_answer="Another answer."), *ROWS[1:]])
    page.goto(at)
    expect(boxes(page)[0]).to_have_value("")  # points belong to an answer


@pytest.mark.parametrize("wrong", ["6", "-1", "five", "1e0", "3;4", "=1", "0x1", "٣"])
def test_what_is_no_number_of_points_is_not_saved(wrong: str, at: str, page: Page) -> None:
    boxes(page)[0].fill(wrong)
    expect(page.get_by_text("A number from 0 to 5, please.")).to_have_count(2)  # and "see me"
    expect(boxes(page)[0]).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Save the table").click()
    expect(page.get_by_text("Not saved")).to_be_visible()
    expect(boxes(page)[0]).to_be_focused()
    boxes(page)[0].fill("5")
    assert saved(page) == as_python_writes("5")


def test_enter_goes_to_the_next_answer_without_points(at: str, page: Page) -> None:
    first, _, _, last = boxes(page)
    first.focus()
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(last).to_be_focused()


@pytest.mark.parametrize(
    "storage",
    [
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})",
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }",
        "const set = Storage.prototype.setItem;"
        "Storage.prototype.setItem = function (k, v) { if (v) throw new DOMException('full'); set.call(this, k, v); }",
    ],
    ids=["forbidden", "full", "full later"],
)
def test_where_the_browser_keeps_nothing_the_page_says_so(storage: str, page: Page, tmp_path: Path) -> None:
    page.add_init_script(storage)
    page.goto(write(tmp_path, ROWS))
    boxes(page)[0].fill("3")
    expect(page.get_by_text("This browser keeps nothing")).to_be_visible()
    assert saved(page) == as_python_writes("3")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.close(run_before_unload=True)
    page.wait_for_event("close") if not page.is_closed() else None
    assert asked == ["beforeunload"]


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    rows = [row(f"{text}.ipynb", text=text, open=text, open_note=text) for text in TEXTS.values()]
    rows += [Grade(text, note=text) for text in TEXTS.values()]
    rows += [row("kim.ipynb"), *(replace(one, file=f"copy {one.file}") for one in rows[:3])]
    write(folder, rows)
    return folder


@pytest.fixture(params=[(390, "light"), (1400, "dark")], ids=["narrow", "wide"])
def watched(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of one of two sizes, which fails the test for a request beyond the folder, a dialog, a message."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    seen: list[str] = []
    tab.on("request", lambda sent: seen.append(sent.url) if not sent.url.startswith("file:") else None)
    tab.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    tab.on("console", lambda message: seen.append(message.text))
    tab.on("pageerror", lambda error: seen.append(str(error)))
    tab.on("popup", lambda other: seen.append(other.url))
    yield tab
    context.close()
    assert seen == []


def assert_tame(tab: Page, address: str) -> None:
    """Nothing ran, nothing is hidden or too wide, no link leaves the folder."""
    assert tab.evaluate("window.owned === undefined && parent.owned === undefined")
    assert tab.url.partition("#")[0] == address
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (
        tab.evaluate("document.querySelectorAll('iframe, object, img, form, textarea, base, style').length")
        == 1
    )
    links = tab.evaluate("[...document.querySelectorAll('a')].map((a) => a.href)")
    here = urljoin(address, ".")
    for link in links:
        assert re.fullmatch(re.escape(here) + r"[\w-]+\.html(#[\w-]+)?", link), link
        assert Path(link.partition("#")[0].removeprefix("file://")).is_file()
    expect(tab.locator("h1")).to_be_visible()


def test_nothing_that_students_wrote_comes_to_life_on_the_teachers_page(
    watched: Page, hostile_folder: Path
) -> None:
    address = (hostile_folder / "index.html").as_uri()
    watched.goto(address)
    watched.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert_tame(watched, address)
    for box in boxes(watched)[:3]:
        box.fill("3")
    watched.mouse.wheel(0, 20_000)
    watched.wait_for_timeout(200)
    assert_tame(watched, address)
    text = saved(watched)
    assert not re.search(r"(?m)^[=+@-]", text)


def test_nothing_that_students_wrote_comes_to_life_on_their_pages(
    watched: Page, hostile_folder: Path
) -> None:
    for path in sorted(hostile_folder.glob("*-????????.html")):
        watched.goto(path.as_uri())
        assert_tame(watched, path.as_uri())


def test_the_policy_of_the_page_holds_where_escaping_would_fail(page: Page, tmp_path: Path) -> None:
    """The control: the same script, put into the page as it is, does not run; without the policy it does."""
    file = tmp_path / "index.html"
    write(tmp_path, ROWS)
    whole = file.read_text()
    evil = whole.replace(
        "<body>", "<body><script>window.owned = 1</script><svg onload='window.owned = 1'></svg>"
    )
    file.write_text(evil)
    messages: list[str] = []
    context = page.context.browser.new_context()
    tab = context.new_page()
    tab.on("console", lambda message: messages.append(message.text))
    tab.goto(file.as_uri())
    assert tab.evaluate("window.owned === undefined")
    assert any("Content Security Policy" in message for message in messages)
    file.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", evil))
    tab.goto(file.as_uri())
    assert tab.evaluate("window.owned") == 1
    context.close()
