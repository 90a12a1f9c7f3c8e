"""What the benchmarks share: two threads, and a line on the machine. To be imported before numpy and torch."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path

THREADS = 2
_SET = dict.fromkeys((f"{library}_NUM_THREADS" for library in ("OMP", "MKL", "OPENBLAS")), str(THREADS))
os.environ.update(_SET)  # read once, when the library is loaded

import psutil  # noqa: E402


@contextmanager
def as_a_reader() -> Iterator[None]:
    """What is started meanwhile chooses its number of threads itself."""
    for name in _SET:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(_SET)


def header(packages: Iterable[str]) -> Iterator[str]:
    """Lines in Markdown: the date, the machine, the versions of these packages."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else name
    memory = f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    yield f"- Date: {date.today()}"
    yield f"- Machine: {name}, {THREADS} threads, {memory}, {platform.system()}"
    versions = ", ".join(f"{package} {version(package).split('+')[0]}" for package in packages)
    yield f"- Versions: Python {platform.python_version()}, {versions}"
