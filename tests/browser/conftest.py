"""A real JupyterLab server and a real Chromium for the tests in this folder."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "no-sandbox",
    "disable-gpu",
    "disable-background-networking",
    "disable-sync",
    "disable-quic",
    "no-first-run",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail(
            f"NO BROWSER: none of {', '.join(BROWSERS)} is on the PATH, so the widgets cannot be tested.\n"
            "Install one:  apt-get install chromium",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[f"--{flag}" for flag in FLAGS])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test where a widget put an error on the console."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    tab = context.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and is_ours(message):
            errors.append(f"{message.text}\n  at {message.location}")

    tab.on("console", note)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert not errors, "errors on the console:\n" + "\n".join(errors)


def is_ours(message: ConsoleMessage) -> bool:
    """JupyterLab itself reports what a stopped kernel or a missing file does not answer."""
    its_own = (
        "Failed to load resource",
        "WebSocket connection to",
        "restore the debugger state",
        "Kernel is dead",
    )
    return not any(text in message.text for text in its_own)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab, its notebooks' folder and its signatures."""

    url: str
    token: str
    root: Path
    data: Path

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

    def open(self, page: Page, name: str) -> None:
        """Open a notebook in a workspace of its own and wait until its kernel waits for work."""
        page.goto(f"{self.url}/lab/workspaces/{Path(name).stem}/tree/{name}?reset&token={self.token}")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
        page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/", timeout=60_000)

    def run_all(self, page: Page) -> None:
        page.locator(".jp-NotebookPanel .jp-Cell").first.click(position={"x": 5, "y": 5})
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("jupyter")
    folders = {name: home / name.lower() for name in ("ROOT", "CONFIG", "DATA", "RUNTIME", "WORKSPACES")}
    for folder in folders.values():
        folder.mkdir()
    news = folders["CONFIG"] / "lab-settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folders["CONFIG"]),
        "JUPYTER_DATA_DIR": str(folders["DATA"]),
        "JUPYTER_RUNTIME_DIR": str(folders["RUNTIME"]),
        "JUPYTERLAB_WORKSPACES_DIR": str(folders["WORKSPACES"]),
        "JUPYTERLAB_SETTINGS_DIR": str(folders["CONFIG"] / "lab-settings"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folders['ROOT']}"]
    command += ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    token = secrets.token_hex(16)
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    log = home / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    lab = Lab(f"http://127.0.0.1:{port}", token, folders["ROOT"], folders["DATA"])
    try:
        _wait(lambda: lab.api("GET", "status"), server, log)
        yield lab
        lab.stop_kernels()
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(ready: Callable[[], object], server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            ready()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()}", pytrace=False)
            time.sleep(0.2)
