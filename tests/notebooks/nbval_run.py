"""Run a notebook under nbval as a reader does, offline, with its controls, and read what it says of each cell."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import nbformat

from course_utils.authoring import controls, offline
from course_utils.authoring.notebooks import shows

SANITIZE = Path(__file__).with_name("sanitize.cfg")


@dataclass(frozen=True)
class CellRun:
    """What nbval says of one code cell."""

    source: str
    message: str  # "" when it passed
    ended: float  # seconds from the start of the kernel
    has_image: bool  # the notebook stores a picture or a widget, and so shows one

    @property
    def passed(self) -> bool:
        return not self.message


@dataclass(frozen=True)
class NbvalRun:
    """What nbval says of a notebook."""

    cells: list[CellRun]
    controls: list[
        str
    ]  # what its controls (see `authoring.controls`) say; nothing where each assert was seen to fail

    @property
    def seconds(self) -> float:
        """From the start of the kernel to the end of the last cell."""
        return self.cells[-1].ended

    @property
    def failures(self) -> list[str]:
        """One text a cell that did not pass."""
        return [f"code cell {n}: {cell.message}" for n, cell in enumerate(self.cells, 1) if cell.message]


def run_nbval(ipynb: Path, *, cell_timeout: float = 600.0) -> NbvalRun:
    """nbval's verdict on each cell, in a process without network, but for the machine itself, and in an empty folder.

    The controls of its claims run in the same kernel; they cost no time of the notebook's.
    """
    nb = nbformat.read(ipynb, as_version=4)
    whole = controls.with_controls(nb, ipynb.with_suffix(".py"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        nbformat.write(whole, folder / ipynb.name)
        command = [sys.executable, "-m", "pytest", "-q", ipynb.name, f"--junitxml={folder / 'report.xml'}"]
        command += ["-c", str(folder / "pytest.ini"), "--noconftest", "-p", "no:cacheprovider", "--nbval"]
        command += ["--nbval-current-env", f"--nbval-cell-timeout={cell_timeout:g}"]
        command += [f"--nbval-sanitize-with={SANITIZE}"]
        kept = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "PYTEST_ADDOPTS")}
        done = subprocess.run(
            offline.without_network(command), env=offline.guarded(kept, folder), cwd=folder,
            capture_output=True, text=True,
        )  # fmt: skip
        report = folder / "report.xml"
        cases = ElementTree.parse(report).findall(".//testcase") if report.exists() else []
        code = [cell for cell in whole.cells if cell.cell_type == "code"]
        assert len(cases) == len(code), f"nbval did not run on {ipynb.name}:\n{done.stdout}\n{done.stderr}"
    messages = [
        "\n".join(entry.text or "failed" for entry in case if entry.tag != "system-out") for case in cases
    ]
    if any("Timeout of" in message for message in messages):  # nbval expects the cells after it to fail
        late = next(n for n, message in enumerate(messages) if "Timeout of" in message)
        messages = [
            m or "a cell before this one took too long" if n > late else m for n, m in enumerate(messages)
        ]
    own = [controls.TAG not in cell.metadata.get("tags", []) for cell in code]
    seconds = [float(case.attrib["time"]) for case in cases]
    ended = accumulate(s if is_own else 0.0 for s, is_own in zip(seconds, own, strict=True))
    rows = list(zip(own, code, messages, ended, strict=True))
    cells = [CellRun(c.source, m, t, shows(c)) for is_own, c, m, t in rows if is_own]
    return NbvalRun(cells, [m for is_own, _, m, _ in rows if m and not is_own])
