"""The original sampler's thousand steps, drawn and scored: how good is `ddpm-mnist` when it may take its time?

    python benchmarks/thousand_steps.py            # most of an hour on one core; writes benchmarks/thousand_steps.md
    python benchmarks/thousand_steps.py --quick    # 20 images, few steps, to try it out; prints the report only

Notebook 07 compares samplers with few steps, since a thousand take too long there. Here each way draws 150 images,
fifteen of each class, and is scored as in the notebook against the 1,000 test digits. The ways with few steps draw
five such sets, from five noises, to show how much the scores vary; the long ways draw the first of them. What is drawn
is kept in `data/thousand_steps/`, in parts, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_utils.data import load_images
from course_utils.diffusion import Step, ddim_sample, ddpm_sample, dpmpp_2m_sample
from course_utils.features import feature_extractor
from course_utils.metrics import fid, precision_recall
from course_utils.pretrained import load_pretrained

N, PART, DRAWS = 150, 50, 5
KEPT = Path(__file__).parents[1] / "data" / "thousand_steps"
large_variance = partial(ddpm_sample, variance="large")


class Way(NamedTuple):
    """One row of the table: a sampler with its steps, and how many sets of images it draws."""

    name: str
    sampler: Callable[..., Iterator[Step]]
    steps: int
    draws: int = DRAWS
    model: str = "ddpm-mnist"
    guidance: float = 1.0

    def part(self, seed: int, first: int, size: int) -> Tensor:
        """Images first … first + size of the set `seed`; the classes in turn."""
        model = load_pretrained(self.model, "cpu").to(memory_format=torch.channels_last)
        noise = torch.Generator().manual_seed(1000 * seed + first)
        x_T = torch.randn(size, 1, 28, 28, generator=noise)
        random = {} if self.sampler in (ddim_sample, dpmpp_2m_sample) else {"generator": noise}
        y = torch.arange(first, first + size) % 10
        *_, end = self.sampler(model, x_T, steps=self.steps, y=y, guidance=self.guidance, **random)
        return end.x_t.clamp(-1, 1)


def ways(longest: int) -> list[Way]:
    return [
        Way("DDPM, small variance", ddpm_sample, 10),
        Way("DDPM, large variance", large_variance, 10),
        Way("DDIM", ddim_sample, 10),
        Way("DPM-Solver++", dpmpp_2m_sample, 10),
        Way("DDIM, w = 1.15", ddim_sample, 4, guidance=1.15),
        Way("student", ddim_sample, 4, model="ddpm-4-steps-mnist"),
        Way("DDPM, small variance", ddpm_sample, min(100, longest), 1),
        Way("DDPM, large variance", large_variance, min(100, longest), 1),
        Way("DDPM, small variance", ddpm_sample, longest, 1),
        Way("DDPM, large variance", large_variance, longest, 1),
    ]


def drawn(way: Way, seed: int, n: int, folder: Path | None) -> Tensor:
    """A set of n images, part by part; with a folder each part is kept there and read if it lies there."""
    parts = []
    for first in range(0, n, PART):
        path = folder and folder / f"{way.name}-{way.steps}-{seed}-{first}.npy".replace(" ", "_")
        if path and path.exists():
            parts.append(torch.from_numpy(np.load(path)))
            continue
        began = time.perf_counter()
        parts.append(way.part(seed, first, min(PART, n - first)))
        print(f"{way.name}, {way.steps} steps, from {first}: {time.perf_counter() - began:.0f} s", flush=True)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, parts[-1].numpy())
    return torch.cat(parts)


def row(name: str, steps: str, scores: list[list[float]]) -> str:
    """Mean and standard deviation over the sets: read as asked, FID, precision, recall."""
    columns = torch.tensor(scores, dtype=torch.float64)
    cells = [
        f"{column.mean():.3f}" + (f" ± {column.std():.3f}" if len(column) > 1 else "") for column in columns.T
    ]
    return f"| {name} | {steps} | {len(scores)} | {' | '.join(cells)} |"


def report(*, quick: bool) -> str:
    """The table, in Markdown."""
    n, longest = (20, 12) if quick else (N, 1000)
    see, train, test = (
        feature_extractor("digits", "cpu"),
        load_images("digits", "train"),
        load_images("digits", "test"),
    )
    known = see(test.x).features

    def judge(x: Tensor, y: Tensor) -> list[float]:
        seen = see(x)
        as_asked = (seen.probs.argmax(dim=1) == y).double().mean().item()
        return [
            as_asked,
            fid(real=known, fake=seen.features),
            *precision_recall(real=known, fake=seen.features),
        ]

    rows = []
    for way in ways(longest):
        sets = [drawn(way, seed, n, None if quick else KEPT) for seed in range(way.draws)]
        rows.append(row(way.name, f"{way.steps:,}", [judge(x, torch.arange(n) % 10) for x in sets]))
        print(rows[-1], flush=True)
    real = []
    for seed in range(10):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        order = torch.cat([order[train.y[order] == digit][: n // 10] for digit in range(10)])
        real.append(judge(train.x[order], train.y[order]))
    rows.append(row(f"{n} real digits", "–", real))
    columns = ["sampler", "steps", "sets", "read as asked", f"FID, n = {n}", "precision", "recall"]
    return "\n".join(
        [
            "# A thousand steps of the original sampler",
            "",
            f"Made by `python benchmarks/thousand_steps.py` with PyTorch {torch.__version__.split('+')[0]}.",
            "",
            f"Each way draws sets of {n} digits, {n // 10} of each class, with the shipped networks; each set is",
            "compared with the 1,000 test digits. FID of so few images has a floor well above 0: see the last row,",
            "real training digits. Mean ± standard deviation over the sets, where there are several.",
            "",
            "| " + " | ".join(columns) + " |",
            "| --- | ---: | ---: |" + " ---: |" * (len(columns) - 3),
            *rows,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="few images and steps; print the report, write nothing"
    )
    arguments = parser.parse_args()
    text = report(quick=arguments.quick)
    print(text)
    if not arguments.quick:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
