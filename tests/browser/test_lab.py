"""What a reader meets in JupyterLab as `make lab` starts it: every notebook opened, run, saved and opened again."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, expect

from .hands import assert_answers, explorers_in

if TYPE_CHECKING:
    from .conftest import Lab

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9]*.ipynb"))


def assert_alive(notebook: Locator, count: int) -> None:
    """All explorers of an open notebook are there, and each answers."""
    views = notebook.locator(".cx")
    expect(views).to_have_count(count, timeout=60_000)
    expect(notebook.get_by_text("model not found")).to_have_count(0)
    for view in views.all():
        assert_answers(view)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_alive_when_opened_and_when_opened_again(lab: Lab, path: Path) -> None:
    """First as a fresh clone has it, with the network off; then run, saved, its kernel gone, and opened once more.

    The kernel gives what the cells gave when the notebook was built (see `replay`), explorers as widgets of its own.
    """
    count = explorers_in(path)
    assert count, "every notebook has something to drag"
    notebook = lab.open(path.name)
    assert_alive(notebook, count)
    assert not lab.dirty(), "it was only opened"
    assert lab.refused == [], "nothing needs a network"
    for image in notebook.locator("img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.complete && image.naturalWidth > 0"), image.get_attribute("src")

    shipped = lab.models(path.name)
    lab.run_all()
    last = notebook.locator(".jp-CodeCell .jp-InputPrompt").last
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=60_000)
    lab.wait_until_idle()
    expect(notebook.locator(".cx")).to_have_count(count, timeout=60_000)
    assert lab.dirty(), "it was run"
    lab.command("docmanager:save")
    made = lab.models(path.name)
    assert len(made) == count
    assert not made & shipped, "the kernel has made the explorers anew"
    assert explorers_in(lab.root / path.name) == count, "those of before are not kept"
    lab.close_all()
    lab.stop_kernels()

    notebook = lab.open(path.name)
    expect(notebook.locator(".cx")).to_have_count(count, timeout=60_000)
    lab.stop_kernels()
    assert_alive(notebook, count)


def notebook_of(source: str) -> NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=[new_code_cell(source)], metadata={"kernelspec": kernel})


def test_an_edit_makes_a_notebook_dirty(lab: Lab) -> None:
    """Only what JupyterLab itself writes on opening is passed over."""
    lab.open(lab.add(notebook_of("1"), "edited.ipynb"))
    time.sleep(1)
    assert not lab.dirty()
    editor = lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .cm-content").first
    editor.click()
    editor.press("2")
    expect(lab.page.locator(".lm-TabBar-tab.lm-mod-current.jp-mod-dirty")).to_have_count(1)


def test_the_list_of_files_shows_notebooks_and_no_sources(lab: Lab) -> None:
    (lab.root / "mine.py").touch()
    names = [entry["name"] for entry in lab.api("GET", "contents/")["content"]]
    assert {path.name for path in NOTEBOOKS} <= set(names)
    assert [name for name in names if name.endswith(".py")] == ["mine.py"]
    assert "controls" not in names
    homework = {entry["name"] for entry in lab.api("GET", "contents/homework")["content"]}
    assert {"student", "README.md"} <= homework
    assert "source" not in homework
    student = [entry["name"] for entry in lab.api("GET", "contents/homework/student")["content"]]
    assert student
    assert all(name.endswith(".ipynb") for name in student)


def test_terminals_and_kernels_find_the_commands_of_the_course(lab: Lab) -> None:
    """What a reader's own .bashrc puts before them is the reader's: of `course` there is one."""
    scripts = Path(sys.executable).parent
    lab.command("terminal:create-new")
    lab.page.locator(".jp-Terminal .xterm-screen").wait_for()
    found = lab.root / "found.txt"
    deadline = time.monotonic() + 30
    while not found.exists() or not found.read_text():
        assert time.monotonic() < deadline, "the terminal does not find it"
        lab.page.locator(".jp-Terminal textarea").press_sequentially(f"command -v course > {found}\n")
        time.sleep(1)
    assert Path(found.read_text().strip()) == scripts / "course"

    lab.open(lab.add(notebook_of("!command -v course; command -v pytest"), "commands.ipynb"))
    lab.run_all()
    output = lab.page.locator(".jp-OutputArea-output")
    expect(output).to_contain_text("pytest", timeout=30_000)
    assert output.inner_text().split() == [str(scripts / "course"), str(scripts / "pytest")]
