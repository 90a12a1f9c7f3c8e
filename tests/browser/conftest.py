"""A real JupyterLab, started as `make lab` starts it, and a real Chromium for the tests in this folder.

One server, one browser and one JupyterLab page serve all tests; between two of them its notebooks are closed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    expect,
    sync_playwright,
)

from course_utils.authoring.browser import NAMES, find_chromium

FLAGS = (
    "no-sandbox",
    "disable-gpu",
    "disable-background-networking",
    "disable-sync",
    "disable-quic",
    "no-first-run",
)
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
VIEW = "application/vnd.jupyter.widget-view+json"
LAB = "import sys; from course_utils.authoring.lab import open_lab; open_lab(sys.argv[1], sys.argv[2:])"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.fail(
            f"NO BROWSER: none of {', '.join(NAMES)} is on the PATH, so the widgets cannot be tested.\n"
            "Install one:  apt-get install chromium",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[f"--{flag}" for flag in FLAGS])
        yield chromium
        chromium.close()


def note_errors(tab: Page) -> list[str]:
    """The errors that widgets put on the page's console from here on."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and is_ours(message):
            errors.append(f"{message.text}\n  at {message.location}")

    tab.on("console", note)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def is_ours(message: ConsoleMessage) -> bool:
    """JupyterLab itself reports what a stopped kernel or a missing file does not answer, and a widget that it asks
    for too early; tests that need the widget look for it.
    """
    its_own = (
        "Failed to load resource",
        "WebSocket connection to",
        "restore the debugger state",
        "Kernel is dead",
        "Could not send widget sync message Error: Cannot send",
        "widget model not found",
    )
    return not any(text in message.text for text in its_own)


def opened(
    browser: Browser, width: int = 1400, scheme: str = "light", **more: Any
) -> tuple[BrowserContext, Page, list[str]]:
    """A tab, and what goes wrong in it: messages, errors, requests that leave the disk."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on(
        "request",
        lambda sent: None if sent.url.startswith(("file:", "data:", "blob:")) else wrong.append(sent.url),
    )
    tab.on("requestfailed", lambda sent: wrong.append(f"failed: {sent.url}"))
    return context, tab, wrong


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own, which fails the test where a widget put an error on the console."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    tab = context.new_page()
    errors = note_errors(tab)
    yield tab
    context.close()
    assert not errors, "errors on the console:\n" + "\n".join(errors)


@dataclass
class Lab:
    """A running JupyterLab: its folder of notebooks, its signatures, and the page that shows it."""

    url: str
    token: str
    root: Path
    data: Path
    page: Page
    errors: list[str]
    refused: list[str] = field(default_factory=list)  # addresses beyond the server that the page asked for

    def api(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def stop_kernels(self) -> None:
        for session in self.api("GET", "sessions"):
            self.api("DELETE", f"sessions/{session['id']}")
        deadline = time.monotonic() + 30
        while self.api("GET", "kernels"):
            assert time.monotonic() < deadline, "the kernels did not stop"
            time.sleep(0.1)

    def add(self, notebook: nbformat.NotebookNode, name: str, *, trusted: bool = True) -> str:
        """Put a notebook into the server's folder; only a trusted one may run its widgets."""
        from nbformat.sign import NotebookNotary

        nbformat.write(notebook, self.root / name)
        if trusted:
            NotebookNotary(data_dir=str(self.data)).sign(nbformat.read(self.root / name, as_version=4))
        return name

    def command(self, name: str, **arguments: object) -> None:
        """One of JupyterLab's commands, done when it has ended."""
        run = "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)"
        self.page.evaluate(run, [name, arguments])

    def open(self, name: str) -> Locator:
        """Open a notebook and wait until its kernel waits for work."""
        self.command("docmanager:open", path=name)
        self.wait_until_idle()
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def wait_until_idle(self, timeout: float = 60_000) -> None:
        self.page.locator("#jp-main-statusbar >> text=/\\| Idle/").wait_for(timeout=timeout)

    def run_all(self) -> None:
        """Start all cells; they run when this returns."""
        self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def models(self, name: str) -> set[str]:
        """The explorers that the outputs of a saved notebook show."""
        cells = nbformat.read(self.root / name, as_version=4).cells
        data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        return {views[VIEW]["model_id"] for views in data if VIEW in views}

    def dirty(self) -> bool:
        """Whether JupyterLab takes the open notebook for changed."""
        return self.page.locator("#jp-main-dock-panel .lm-TabBar-tab.lm-mod-current.jp-mod-dirty").count() > 0

    def close_all(self) -> None:
        """Close what is open, without a question and without saving."""
        self.page.evaluate(
            """() => {
              for (const widget of [...window.jupyterapp.shell.widgets("main")]) {
                if (widget.context) widget.context.model.dirty = false;
                widget.close();
              }
            }"""
        )
        expect(self.page.locator(".jp-NotebookPanel")).to_have_count(0)


@pytest.fixture(scope="package")
def running_lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "notebooks"
    shutil.copytree(NOTEBOOKS, root, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"))
    startup = home / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("replay.py"), startup)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "IPYTHONDIR": str(home / "ipython"),
        "REPLAY": str(NOTEBOOKS),
        "OMP_NUM_THREADS": "1",
    }
    token = secrets.token_hex(16)
    command = [sys.executable, "-c", LAB, str(root), "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += ["--ServerApp.ip=127.0.0.1", "--LabApp.expose_app_in_browser=True"]
    log = home / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    tab = context.new_page()
    lab = Lab(f"http://127.0.0.1:{port}", token, root, home / "data", tab, note_errors(tab))

    def refuse(route: Route) -> None:
        lab.refused.append(route.request.url)
        route.abort("internetdisconnected")

    context.route(lambda address: not address.startswith((lab.url, "data:", "blob:")), refuse)
    try:
        _wait(lambda: lab.api("GET", "status"), server, log)
        tab.goto(f"{lab.url}/lab?reset&token={token}", timeout=180_000)
        tab.locator("#jp-main-statusbar").wait_for(timeout=180_000)
        tab.wait_for_function("() => window.jupyterapp")
        lab.close_all()
        yield lab
        lab.stop_kernels()
    finally:
        context.close()
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    """JupyterLab with nothing open; an error that a widget puts on its console fails the test."""
    running_lab.errors.clear()
    running_lab.refused.clear()
    yield running_lab
    running_lab.close_all()
    running_lab.stop_kernels()
    assert not running_lab.errors, "errors on the console:\n" + "\n".join(running_lab.errors)


def _wait(ready: Callable[[], object], server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            ready()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()}", pytrace=False)
            time.sleep(0.2)
