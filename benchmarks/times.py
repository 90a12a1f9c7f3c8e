"""How long each notebook takes, cell by cell, alone on this machine, and what that is on a plain laptop.

    python benchmarks/times.py                        # all of them, half an hour; writes benchmarks/times.md
    python benchmarks/times.py notebooks/04_vae.py    # these only; prints the report and writes nothing

A plain laptop, or Colab's free processor, is taken to be two cores with AVX2 that reach 85 GFLOP/s in a matrix product
and 68 in a step of training a 3×3 convolution (on a laptop that reached 110 in the first, it was 88 in the second). So
the libraries are held to AVX2 here, too: AVX-512 doubles the speed of some operations and not of others, and then no
single number could scale them all. Both speeds are timed with two threads before and after each notebook. The medians
are the machine's, and the one that is farther ahead of the laptop's scales the seconds. A notebook runs as a reader
runs it.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from machine import as_a_reader, header  # sets the number of threads, which libraries read when loaded
from nbformat import NotebookNode

for library in ("ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"):
    os.environ[library] = "AVX2"
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"  # PyTorch's own loops

ROOT = Path(__file__).parents[1]
LAPTOP = {"matrix product": 85, "convolution": 68}  # GFLOP/s
DEAREST = 3  # cells that are named


@dataclass(frozen=True)
class Cell:
    """A code cell's first line, its seconds, when it ended, whether it shows a picture or something to drag, and the
    longest time in which nothing changed on the page."""

    line: str
    seconds: float
    ended: float
    shows: bool
    silent: float


def speeds() -> dict[str, float]:
    """GFLOP/s in float32, medians of fifteen: of a matrix product of 2048 × 2048; of a convolution and its gradients
    (3 × 3, 64 channels, 64 images of 14 × 14, channels last)."""
    import torch
    from torch import nn

    a = torch.randn(2048, 2048)
    convolve = nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(64, 64, 14, 14).to(memory_format=torch.channels_last).requires_grad_()
    ones = torch.ones_like(convolve(x))
    work = {"matrix product": lambda: torch.mm(a, a), "convolution": lambda: convolve(x).backward(ones)}
    operations = {"matrix product": 2 * 2048**3, "convolution": 3 * 2 * x.numel() * 64 * 9}
    return {name: operations[name] / statistics.median(_seconds(work[name])) / 1e9 for name in work}


def _seconds(do: Callable[[], object]) -> Iterator[float]:
    for _ in range(15):
        began = time.perf_counter()
        do()
        yield time.perf_counter() - began


def run(py: Path) -> list[Cell]:
    """The cells of a notebook's source, run in a fresh kernel."""
    from course_utils.authoring import kernel, notebooks

    nb, cells, seen = notebooks.parse(py.read_text(encoding="utf-8")), [], [0.0]

    def done(cell: NotebookNode, now: float) -> None:
        seen.append(now)
        silent = max(later - earlier for earlier, later in pairwise(seen))
        cells.append(Cell(cell.source.splitlines()[0], now - seen[0], now, notebooks.shows(cell), silent))
        seen[:] = [now]

    with as_a_reader():
        kernel.run(nb, py.with_suffix(".ipynb"), done=done, shown=seen.append)
    return cells


def report(files: list[Path]) -> Iterator[str]:
    """Lines in Markdown."""
    measured, runs = [], {}
    for py in files:
        before, runs[py], after = speeds(), run(py), speeds()
        measured += [before, after]
        print(f"{py.stem}: {runs[py][-1].ended:.0f} s, GFLOP/s {before} and {after}", file=sys.stderr)
    factors = []
    yield "# How long the notebooks take\n"
    yield from header(["torch", "matplotlib"])
    for name, laptop in LAPTOP.items():
        each = [speed[name] for speed in measured]
        machine = statistics.median(each)
        factors.append(machine / laptop)
        yield (
            f"- {name.capitalize()}: {machine:.0f} GFLOP/s, the median of {min(each):.0f} to {max(each):.0f}; "
            f"a plain laptop: {laptop}"
        )
    factor = max(factors)
    yield f"- Seconds on a plain laptop: those here, times {factor:.2f}"
    yield "- The longest silence is scaled, too; in a watched training a clock sets it: 3 s and a step at most\n"
    yield "| notebook | seconds here | on a laptop | its first picture | longest silence | its dearest cells |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for py, cells in runs.items():
        first = next(cell.ended for cell in cells if cell.shows)
        dearest = sorted(cells, key=lambda cell: cell.seconds)[: -DEAREST - 1 : -1]
        named = "; ".join(f"{factor * cell.seconds:.0f}: `{cell.line[:60]}`" for cell in dearest)
        total = cells[-1].ended
        silent = max(cells, key=lambda cell: cell.silent)
        silence = f"{factor * silent.silent:.0f}: `{silent.line[:60]}`"
        yield (
            f"| {py.stem[:2]} | {total:.0f} | {factor * total:.0f} | {factor * first:.0f} | {silence} | {named} |"
        )


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
