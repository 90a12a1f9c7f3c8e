"""The metrics beside scipy, torchmetrics, torch-fidelity and prdc: the same scores, in less time and memory.

    python benchmarks/metrics.py            # about a quarter of an hour on two cores; writes benchmarks/metrics.md
    python benchmarks/metrics.py --quick    # small sizes, to try it out; prints the report and writes nothing

Each measurement runs in a process of its own on two threads, after a warm-up on a few rows, and is repeated up to five
times or until 20 seconds are spent; the median counts. The features are made: Gaussian mixtures through a random
ReLU layer, float32, like those of a network's last pooling.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from machine import THREADS, header  # sets the number of threads, which libraries read when loaded

# isort: split

import numpy as np
import prdc
import psutil
import torch
import torchmetrics.image
from scipy import linalg
from torch import Tensor, nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from course_utils import metrics

Scores = tuple[float, ...]


# ------------------------------------------------------------------------------------------------ features


def features(n: int, d: int, *, fake: bool, number: int = 0) -> Tensor:
    """Features of n images, float32 (n, d): the fakes know fewer kinds, a little off, and vary less."""
    world = torch.Generator().manual_seed(0)
    kinds = torch.randn(20, 64, generator=world)
    weight, bias = torch.randn(64, d, generator=world) / 8, torch.randn(d, generator=world) / 2
    generator = torch.Generator().manual_seed(2 * number + fake + 1)
    if fake:
        kinds = kinds[:18] + 0.1 * torch.randn(18, 64, generator=generator)
    made = torch.empty(n, d)
    for part in made.split(1000):  # in parts, so that making them is not the peak of memory
        kind = torch.randint(len(kinds), (len(part),), generator=generator)
        z = kinds[kind] + (0.6 if fake else 0.7) * torch.randn(len(part), 64, generator=generator)
        part.copy_((z @ weight + bias).relu_())
    return made


def logits(n: int, classes: int) -> Tensor:
    """A classifier's logits, float32 (n, classes): mostly sure of one class."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(n, classes, generator=generator)
    y[torch.arange(n), torch.randint(classes, (n,), generator=generator)] += 8
    return y


# ------------------------------------------------------------------------------ the same score by each package


class Features(nn.Identity):
    """What torchmetrics takes for a network: the features themselves."""

    def __init__(self, d: int):
        super().__init__()
        self.num_features = d


def fid_ours(real: Tensor, fake: Tensor) -> Scores:
    return (metrics.fid(real=real, fake=fake),)


def fid_sqrtm(real: Tensor, fake: Tensor) -> Scores:
    x, y = real.double().numpy(), fake.double().numpy()
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(a @ b)
    return (
        float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root).real),
    )


def fid_closed_form(real: Tensor, fake: Tensor) -> Scores:
    """Without a covariance: tr (Σ_a Σ_b)^½ is the sum of the singular values of X Yᵀ, both centred and scaled."""
    x, y = real.double().numpy(), fake.double().numpy()
    apart = ((x.mean(0) - y.mean(0)) ** 2).sum()
    x, y = ((f - f.mean(0)) / (len(f) - 1) ** 0.5 for f in (x, y))
    return (float(apart + (x**2).sum() + (y**2).sum() - 2 * linalg.svdvals(x @ y.T).sum()),)


def fid_torchmetrics(real: Tensor, fake: Tensor) -> Scores:
    peer = torchmetrics.image.FrechetInceptionDistance(Features(real.shape[1]))
    peer.update(real, real=True)
    peer.update(fake, real=False)
    return (peer.compute().item(),)


def fid_fidelity(real: Tensor, fake: Tensor) -> Scores:
    a, b = fid_features_to_statistics(real), fid_features_to_statistics(fake)
    return (fid_statistics_to_metric(a, b, verbose=False)["frechet_inception_distance"],)


def kid_ours(real: Tensor, fake: Tensor, *, subsets: int = 100, size: int = 1000) -> Scores:
    score = metrics.kernel_inception_distance(real=real, fake=fake, subsets=subsets, subset_size=size)
    return (score.mean,)


def kid_torchmetrics(real: Tensor, fake: Tensor, *, subsets: int = 100, size: int = 1000) -> Scores:
    peer = torchmetrics.image.KernelInceptionDistance(
        Features(real.shape[1]), subsets=subsets, subset_size=size
    )
    peer.update(real, real=True)
    peer.update(fake, real=False)
    return (peer.compute()[0].item(),)


def kid_fidelity(real: Tensor, fake: Tensor, *, subsets: int = 100, size: int = 1000) -> Scores:
    score = kid_features_to_metric(real, fake, kid_subsets=subsets, kid_subset_size=size, verbose=False)
    return (score["kernel_inception_distance_mean"],)


def pr_ours(real: Tensor, fake: Tensor) -> Scores:
    return metrics.precision_recall(real=real, fake=fake, k=3)


def prdc_ours(real: Tensor, fake: Tensor) -> Scores:
    return (*pr_ours(real, fake), *metrics.density_coverage(real=real, fake=fake, k=3))


def prdc_prdc(real: Tensor, fake: Tensor) -> Scores:
    with redirect_stdout(sys.stderr):
        scores = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=3)
    return tuple(float(scores[name]) for name in ("precision", "recall", "density", "coverage"))


def pr_fidelity(real: Tensor, fake: Tensor) -> Scores:
    scores = prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=10_000, save_cpu_ram=False, verbose=False
    )
    return scores["precision"], scores["recall"]


def is_ours(y: Tensor) -> Scores:
    return (metrics.inception_score(y.softmax(dim=1)).mean,)


def is_torchmetrics(y: Tensor) -> Scores:
    peer = torchmetrics.image.InceptionScore(Features(y.shape[1]))
    peer.update(y)
    return (peer.compute()[0].item(),)


def is_fidelity(y: Tensor) -> Scores:
    return (isc_features_to_metric(y)["inception_score_mean"],)


# -------------------------------------------------------------------------------------------------- parity


class Parity(NamedTuple):
    """One score by us and by a peer; `share` is the difference as a share of `of`, mostly the peer's value."""

    metric: str
    case: str
    peer: str
    ours: float
    theirs: float
    share: float


def parity() -> Iterator[Parity]:
    """Ours from float32 features; the peers get the same numbers in float64, so that they round in none."""

    def compare(metric: str, case: str, peer: str, ours: float, theirs: float, of: float = 0) -> Parity:
        return Parity(metric, case, peer, ours, theirs, abs(ours - theirs) / abs(of or theirs))

    sets = {
        "N > d (2,000 × 256)": (features(2000, 256, fake=False), features(2000, 256, fake=True)),
        "N < d (300 × 512)": (features(300, 512, fake=False), features(300, 512, fake=True)),
    }
    offset = torch.full((256,), 50.0)
    sets["N > d, mean + 50"] = tuple(f + offset for f in sets["N > d (2,000 × 256)"])
    same = sets["N > d (2,000 × 256)"][0]
    sets["equal sets (2,000 × 256)"] = (same, same)

    for case, (real, fake) in sets.items():
        a, b = real.double(), fake.double()
        peers = {"torchmetrics": fid_torchmetrics, "torch-fidelity": fid_fidelity}
        if "N > d" in case:
            peers["scipy sqrtm"] = fid_sqrtm
        if "N < d" in case:
            peers["closed form"] = fid_closed_form
        spread = a.var(dim=0).sum().item() if "equal" in case else 0  # the distance itself is 0
        for peer, theirs in peers.items():
            yield compare("FID", case, peer, *fid_ours(real, fake), *theirs(a, b), spread)
    for case, (real, fake) in sets.items():
        a, b, size = real.double(), fake.double(), len(real)
        for peer, theirs in (("torchmetrics", kid_torchmetrics), ("torch-fidelity", kid_fidelity)):
            ours = kid_ours(real, fake, subsets=1, size=size)
            yield compare("KID", case, peer, *ours, *theirs(a, b, subsets=1, size=size))
    names = "precision", "recall", "density", "coverage"
    for case, (real, fake) in sets.items():
        if "equal" in case:  # each point lies on borders, which prdc leaves out and the papers count in
            continue
        ours = prdc_ours(real, fake)
        for peer, theirs in (("prdc", prdc_prdc), ("torch-fidelity", pr_fidelity)):
            values = theirs(real.double(), fake.double())
            for name, mine, other in zip(names, ours, values, strict=False):
                yield compare(name, case, peer, mine, other)
    for case, y in (("N > classes (2,000 × 100)", logits(2000, 100)), ("N < classes", logits(500, 1000))):
        splits = 10
        draw = torch.Generator().manual_seed(0)
        ours = metrics.inception_score(y.softmax(dim=1), splits, generator=draw).mean
        mixed = y[torch.randperm(len(y), generator=draw.manual_seed(0))]
        in_runs = torch.cat([mixed[i::splits] for i in range(splits)])  # their parts are runs of rows
        theirs = isc_features_to_metric(in_runs, splits, shuffle=False)["inception_score_mean"]
        yield compare("IS", case, "torch-fidelity", ours, theirs)
        peer = torchmetrics.image.InceptionScore(Features(y.shape[1]), splits=1)  # it shuffles: one part
        peer.update(y.double())
        whole = metrics.inception_score(y.softmax(dim=1), splits=1).mean
        yield compare("IS, one part", case, "torchmetrics", whole, peer.compute()[0].item())


# --------------------------------------------------------------------------------------------------- speed


class Race(NamedTuple):
    """One score on data of one size, by several packages; the first is ours."""

    title: str
    size: tuple[int, int]
    entrants: dict[str, Callable[..., Scores]]


FID = Race(
    "FID",
    (10_000, 2048),
    {
        "course_utils": fid_ours,
        "scipy.linalg.sqrtm": fid_sqrtm,
        "torchmetrics": fid_torchmetrics,
        "torch-fidelity": fid_fidelity,
    },
)
NEIGHBOURS = Race(
    "Precision and recall, k = 3",
    (10_000, 2048),
    {
        "course_utils": pr_ours,
        "prdc (with density and coverage)": prdc_prdc,
        "course_utils, with density and coverage": prdc_ours,
        "torch-fidelity": pr_fidelity,
    },
)
MANY = Race("Precision and recall, k = 3", (50_000, 2048), {"course_utils": pr_ours})
KID = Race(
    "KID, 100 subsets of 1,000",
    (10_000, 2048),
    {"course_utils": kid_ours, "torchmetrics": kid_torchmetrics, "torch-fidelity": kid_fidelity},
)
IS = Race(
    "IS from logits",
    (50_000, 1000),
    {"course_utils": is_ours, "torchmetrics": is_torchmetrics, "torch-fidelity": is_fidelity},
)
RACES = [FID, NEIGHBOURS, MANY, KID, IS]


class Result(NamedTuple):
    """Median seconds over some runs, the peak of memory over the features in GB, and the scores."""

    seconds: float
    runs: int
    memory: float
    scores: Scores


def size_of(race: Race, *, quick: bool) -> tuple[int, int]:
    n, d = race.size
    return (n // 5, d // 8) if quick else (n, d)


def measure(race: Race, entrant: str, *, quick: bool) -> Result:
    """In this process: make the data, warm up, run a few times."""
    n, d = size_of(race, quick=quick)
    data = (logits(n, d),) if race is IS else (features(n, d, fake=False), features(n, d, fake=True))
    score = race.entrants[entrant]
    before = (
        psutil.Process().memory_info().rss
    )  # before the warm-up too, which leaves memory for the runs to use
    score(*(f[:1200, :256] for f in data))
    seconds: list[float] = []
    while len(seconds) < (2 if quick else 5) and sum(seconds) < 20:
        start = time.perf_counter()
        scores = score(*data)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Result(statistics.median(seconds), len(seconds), max(0, peak - before) / 1e9, tuple(scores))


def in_a_process(*arguments: str) -> Any:
    """What this script prints as its last line, as JSON, when it is called with the arguments."""
    command = [sys.executable, __file__, *arguments]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


# -------------------------------------------------------------------------------------------------- report


def row_title(race: Race, *, quick: bool) -> str:
    n, d = size_of(race, quick=quick)
    return f"{race.title} | {n:,} × {d}"


def report(scores: list[Parity], results: dict[str, dict[str, Result]], *, quick: bool) -> str:
    """The page in Markdown."""
    packages = ("torch", "numpy", "scipy", "torchmetrics", "torch-fidelity", "prdc", "scikit-learn")
    fid, neighbours, many = (results[row_title(race, quick=quick)] for race in (FID, NEIGHBOURS, MANY))

    def speed(race: dict[str, Result], peer: str) -> float:
        return race[peer].seconds / race["course_utils"].seconds

    worst = max(scores, key=lambda row: row.share)
    many_ours = many["course_utils"]
    lines = [
        "# The metrics beside other packages",
        "",
        "Made by `python benchmarks/metrics.py`, in one run, each measurement in a process of its own.",
        "",
        *header(packages),
        "- Features: Gaussian mixtures through a random ReLU layer, float32, seeded",
        "",
        "| what | aim | reached |",
        "| --- | --- | --- |",
        f"| scores as the peers' | 1e-6 relative | {worst.share:.0e} at worst ({worst.metric}, {worst.peer}) |",
        f"| FID from 10,000 × 2048 against `scipy.linalg.sqrtm` | 10 × as fast | "
        f"{speed(fid, 'scipy.linalg.sqrtm'):.1f} × as fast |",
        f"| … against torchmetrics | not slower | {speed(fid, 'torchmetrics'):.1f} × as fast |",
        f"| precision and recall, 10,000 × 2048, against prdc | 2 × as fast | "
        f"{speed(neighbours, 'prdc (with density and coverage)'):.1f} × as fast |",
        f"| … 50,000 × 2048: memory over the features | under 3 GB | {many_ours.memory:.2f} GB |",
        "",
        "## Speed and memory",
        "",
        "Seconds: the median of the runs. Memory: the peak over what the process held with its features made; what "
        "the libraries load at their first use and the allocator keeps is in it.",
        "",
        "| score | size | package | seconds | runs | time, ours = 1 | memory (GB) |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for title, race in results.items():
        for entrant, result in race.items():
            ratio = result.seconds / race["course_utils"].seconds
            lines.append(
                f"| {title} | {entrant} | {result.seconds:.2f} | {result.runs} | {ratio:.2f} "
                f"| {result.memory:.2f} |"
            )
    lines += [
        "",
        "prdc computes all four scores from the distances that precision and recall need. Ours sums KID and IS in "
        "float64; of the peers, only torch-fidelity does, and only for IS.",
        "",
        "## Parity",
        "",
        "Ours from float32 features; the peers get the same numbers in float64. The difference is a share of the "
        "peer's value; for the FID of equal sets, which is 0, of the trace of the covariance. KID is on one subset, "
        "the whole set, so that nothing is drawn.",
        "",
        "| score | case | peer | ours | the peer's | relative difference |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in scores:
        lines.append(
            f"| {row.metric} | {row.case} | {row.peer} | {row.ours:.9g} | {row.theirs:.9g} | {row.share:.1e} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; print the report, write nothing")
    parser.add_argument("--measure", nargs=2, metavar=("RACE", "ENTRANT"), help=argparse.SUPPRESS)
    parser.add_argument("--parity", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="torchmetrics|torch")
    torch.set_num_threads(THREADS)

    if arguments.parity:
        print(json.dumps(list(parity())))
        return
    if arguments.measure:
        race, entrant = arguments.measure
        print(json.dumps(measure(RACES[int(race)], entrant, quick=arguments.quick)))
        return

    scores = [Parity(*row) for row in in_a_process("--parity")]
    results: dict[str, dict[str, Result]] = {}
    for index, race in enumerate(RACES):
        title = row_title(race, quick=arguments.quick)
        of_race = results.setdefault(title, {})
        for entrant in race.entrants:
            quick = ["--quick"] if arguments.quick else []
            of_race[entrant] = Result(*in_a_process("--measure", str(index), entrant, *quick))
            print(title, entrant, of_race[entrant], file=sys.stderr)
    page = report(scores, results, quick=arguments.quick)
    if arguments.quick:
        print("Small sizes, for trying: the aims are for 10,000 × 2048 and 50,000 × 2048.\n\n" + page)
    else:
        Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
