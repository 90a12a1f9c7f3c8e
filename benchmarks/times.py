"""How long each notebook takes, cell by cell, alone on this machine, and what that is on a plain laptop.

    python benchmarks/times.py                        # all of them, half an hour; writes benchmarks/times.md
    python benchmarks/times.py notebooks/04_vae.py    # these only; prints the report and writes nothing

A plain laptop, or Colab's free processor, is taken to be two cores that reach 85 GFLOP/s in a matrix product. The
product is timed with two threads before and after each notebook. It varies by half within an hour where the seconds of
a notebook do not, so the median of all is the machine's speed, and scales them. A notebook runs as a reader runs it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from machine import as_a_reader, header  # sets the number of threads, which libraries read when loaded
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
LAPTOP = 85  # GFLOP/s
DEAREST = 3  # cells that are named


@dataclass(frozen=True)
class Cell:
    """A code cell's first line, its seconds, when it ended, and whether it shows a picture or something to drag."""

    line: str
    seconds: float
    ended: float
    shows: bool


def speed() -> float:
    """GFLOP/s of float32 matrix products of 2048 × 2048, the median of nine."""
    import torch

    a, seconds = torch.randn(2048, 2048), []
    for _ in range(9):
        began = time.perf_counter()
        torch.mm(a, a)
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / statistics.median(seconds) / 1e9


def run(py: Path) -> list[Cell]:
    """The cells of a notebook's source, run in a fresh kernel."""
    from course_utils.authoring import kernel, notebooks

    nb, cells, last = notebooks.parse(py.read_text(encoding="utf-8")), [], 0.0

    def done(cell: NotebookNode, now: float) -> None:
        nonlocal last
        cells.append(Cell(cell.source.splitlines()[0], now - last, now, notebooks.shows(cell)))
        last = now

    with as_a_reader():
        kernel.run(nb, py.with_suffix(".ipynb"), done=done)
    return cells


def report(files: list[Path]) -> Iterator[str]:
    """Lines in Markdown."""
    speeds, runs = [], {}
    for py in files:
        before, runs[py], after = speed(), run(py), speed()
        speeds += [before, after]
        print(f"{py.stem}: {runs[py][-1].ended:.0f} s, {before:.0f} and {after:.0f} GFLOP/s", file=sys.stderr)
    machine = statistics.median(speeds)
    factor = machine / LAPTOP
    yield "# How long the notebooks take\n"
    yield from header(["torch", "matplotlib"])
    yield f"- Matrix product: {machine:.0f} GFLOP/s, the median of {min(speeds):.0f} to {max(speeds):.0f}"
    yield f"- Seconds on a plain laptop: those here, scaled to {LAPTOP} GFLOP/s\n"
    yield "| notebook | seconds here | on a laptop | its first picture | its dearest cells |"
    yield "| --- | --- | --- | --- | --- |"
    for py, cells in runs.items():
        first = next(cell.ended for cell in cells if cell.shows)
        dearest = sorted(cells, key=lambda cell: cell.seconds)[: -DEAREST - 1 : -1]
        named = "; ".join(f"{factor * cell.seconds:.0f}: `{cell.line[:60]}`" for cell in dearest)
        total = cells[-1].ended
        yield f"| {py.stem[:2]} | {total:.0f} | {factor * total:.0f} | {factor * first:.0f} | {named} |"


def main() -> None:
    chosen = [Path(name) for name in sys.argv[1:]]
    lines = []
    for line in report(chosen or sorted((ROOT / "notebooks").glob("[0-9]*.py"))):
        print(line, flush=True)
        lines.append(line)
    if not chosen:
        (ROOT / "benchmarks" / "times.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
