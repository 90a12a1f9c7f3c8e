"""What labels and mismatched pairs change in a conditional GAN: the games of notebook 06, longer and with three seeds.

    python benchmarks/labels.py            # about twenty minutes on one core; writes benchmarks/labels.md
    python benchmarks/labels.py --quick    # a few turns, to try it out; prints the report and writes nothing

The networks, batches and optimisers are the notebook's. A seed changes the first weights, the order of the batches,
the noise of the training and the noise that is judged. The images are 1,000 for each generator, 100 of each class,
judged against the 1,000 test images by the shipped classifier. 500 and 1,500 turns are two moments of one game. A
generator with 100 or 500 labels has an eleventh class, "unknown"; it is judged on requests for 0 to 9 only, never on
this one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as the notebook computes on two cores; read when torch is loaded

# isort: split

import torch
from torch import Tensor

from course_utils.data import batches, load_images
from course_utils.features import feature_extractor
from course_utils.gan import GAN, Discriminator, Generator
from course_utils.metrics import auroc, density_coverage, fid, precision_recall
from course_utils.nets import seeded
from course_utils.recipes import RECIPES, digits_with_labels, two_players
from course_utils.training import constant, fit

SEEDS = 0, 1, 2
SCORES = {
    "as asked ↑": "share of the images that the classifier reads as the class asked for",
    "FID ↓": "digit FID",
    "precision ↑": "share of generated images in a ball around a real one (k = 3)",
    "recall ↑": "share of real images in a ball around a generated one (k = 3)",
    "coverage ↑": "share of the real images' balls that hold a generated image (k = 5)",
    "radius": "median radius of the balls around generated images, over that of the balls around real ones",
    "recall, equal balls ↑": "recall if each ball around a generated image has the median radius of the real ones",
    "right first ↑": "share of the test images for which D scores the right class highest",
    "right above wrong ↑": "AUROC of right against wrong pairs",
    "D at wrong ↓": "mean of D(x, y) at wrong pairs",
}
# name: (labels kept, mismatched pairs)
GAMES = {
    "no labels": (0, False),
    "100 labels": (100, False),
    "500 labels": (500, False),
    "4,000 labels": (4000, False),
    "4,000 labels, mismatched pairs": (4000, True),
}

train, test = load_images("digits", "train"), load_images("digits", "test")
see = feature_extractor("digits", "cpu")
known = see(test.x).features


def radii(features: Tensor, k: int = 3) -> Tensor:
    """The distance of each image's features from those of its k-th nearest neighbour."""
    return torch.cdist(features, features).kthvalue(k + 1, dim=1).values


def judge_images(x: Tensor, asked: Tensor | None) -> list[float]:
    """The first seven numbers of SCORES."""
    seen = see(x)
    assert seen.probs is not None
    fake, median = seen.features, radii(known).median()
    as_asked = float("nan") if asked is None else (seen.probs.argmax(dim=1) == asked).double().mean().item()
    equal = (torch.cdist(known, fake) <= median).any(dim=1).double().mean().item()
    distance, coverage = fid(real=known, fake=fake), density_coverage(real=known, fake=fake).coverage
    spread = (radii(fake).median() / median).item()
    return [as_asked, distance, *precision_recall(real=known, fake=fake), coverage, spread, equal]


def judge(generator: Generator, discriminator: Discriminator, conditional: bool, seed: int) -> list[float]:
    """The numbers of SCORES, in their order; NaN where they have no meaning."""
    asked = torch.arange(len(test)) % 10 if conditional else None
    with torch.inference_mode():
        x = generator.sample(len(test), asked, generator=torch.Generator().manual_seed(7 + seed))
        if not conditional:
            return [*judge_images(x, None), *[float("nan")] * 3]
        s = torch.stack([discriminator(test.x, torch.full_like(test.y, y)) for y in range(10)], dim=1)
    right = torch.eye(10, dtype=torch.bool)[test.y]
    first = (s.argmax(dim=1) == test.y).double().mean().item()
    above = auroc(normal=s[~right], anomalous=s[right])
    return [*judge_images(x, asked), first, above, s[~right].sigmoid().mean().item()]


def play(labels: int, mismatched: bool, seed: int, moments: tuple[int, int]) -> dict[int, list[float]]:
    """A game of the notebook; its verdicts at these turns."""
    num_classes = {0: None, len(train): 10}.get(labels, 11)
    with seeded(seed):
        generator = Generator(16, num_classes=num_classes, width=16)
        discriminator = Discriminator(num_classes=num_classes, width=16)
    game = GAN(generator, discriminator, r1=1.0, mismatched=mismatched)
    players = two_players(game, RECIPES["gan-digits"], constant)
    average = players[-1].ema
    assert average is not None
    data = digits_with_labels(labels) if num_classes == 11 else train
    shuffled = batches(data, 64, moments[-1], generator=torch.Generator().manual_seed(seed))
    verdicts = {}
    for record in fit(players, shuffled, seed=seed, device="cpu", progress=False):
        if record.step in moments:
            mean = average.module.eval()
            assert isinstance(mean, Generator)
            verdicts[record.step] = judge(mean, discriminator, labels > 0, seed)
    return verdicts


def report(results: dict[tuple[str, int], list[list[float]]]) -> Iterator[str]:
    """In Markdown: a row for each game and moment, each number with those of the three seeds."""
    yield "# What labels and mismatched pairs change"
    yield ""
    yield "Made by `python benchmarks/labels.py`: the games of notebook 06, three seeds each. 500 and 1,500 turns are"
    yield 'two moments of one game. A generator with 100 or 500 labels has an eleventh class, "unknown"; it is judged'
    yield "on requests for 0 to 9 only, never on this one."
    yield ""
    yield f"- Date: {date.today()}"
    yield f"- Versions: Python {platform.python_version()}, torch {version('torch').split('+')[0]}; one thread"
    yield ""
    yield from (f"- {name}: {meaning}" for name, meaning in SCORES.items())
    yield ""
    yield "Mean, and in brackets seed 0, 1, 2 (for the real images: three different thousands of them)."
    for names in (list(SCORES)[:5], list(SCORES)[5:]):
        yield ""
        yield f"| game | turns | {' | '.join(names)} |"
        yield f"| --- |{' ---: |' * (len(names) + 1)}"
        for (game, turns), runs in results.items():
            columns = [[run[list(SCORES).index(name)] for run in runs] for name in names]
            cells = [_spread(values) for values in columns]
            yield f"| {game} | {turns:,} | {' | '.join(cells)} |"


def _spread(values: list[float]) -> str:
    if any(value != value for value in values):
        return "–"
    return f"{statistics.mean(values):.3g} ({', '.join(f'{value:.3g}' for value in values)})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few turns; write nothing")
    quick = parser.parse_args().quick
    real = [
        [*judge_images(train.x[k : k + 1000], train.y[k : k + 1000]), *[float("nan")] * 3]
        for k in (0, 1000, 2000)
    ]
    results: dict[tuple[str, int], list[list[float]]] = {("real training images, 1,000 of them", 0): real}
    for seed in SEEDS:
        for name, (labels, mismatched) in GAMES.items():
            for turn, verdict in play(labels, mismatched, seed, (5, 10) if quick else (500, 1500)).items():
                results.setdefault((name, turn), []).append(verdict)
                print(seed, name, turn, *[f"{value:.3g}" for value in verdict], flush=True)
    text = "\n".join(report(results)) + "\n"
    if quick:
        print(text)
    else:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
