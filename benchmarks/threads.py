"""How many threads should compute, and how they should wait: training steps alone, and beside programs that compute.

    python benchmarks/threads.py            # seven minutes on two cores; writes benchmarks/threads.md
    python benchmarks/threads.py --quick    # one round; prints the report and writes nothing

Each setting is a process of its own. They take turns in short blocks, alone and beside processes that run
`while True: pass`. What strangers computed meanwhile is read from the operating system: a block beside which they took
more than a twentieth of a core is measured again while the time allows, and the report says how many are left.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from machine import header

SECONDS, ROUNDS, BUSY = 1.0, 5, (0, 1, 2)
STRANGERS = 0.05  # cores that strangers may take during a block
# name: (what it is, the net, its batch)
NETS = {
    "points": (
        "MLP of points in the plane, 2-128-128-2, 256 points",
        "nn.Sequential(nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))",
        "torch.rand(256, 2)",
    ),
    "MLP": (
        "MLP of digits, 784-256-256-784, 64 images",
        "nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 784))",
        "torch.rand(64, 784)",
    ),
    "convolutions": (
        "convolutional autoencoder of digits, 16 and 32 channels, 64 images",
        "nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), "
        "nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1))",
        "torch.rand(64, 1, 28, 28)",
    ),
    "U-Net": (
        "the digits' U-Net, width 32, 32 images",
        "UNet(in_channels=1, width=32)",
        "torch.rand(32, 1, 28, 28), torch.arange(32) * 30",
    ),
}

# name: (environment, what the process does once torch and the course are loaded)
TWO = {"OMP_NUM_THREADS": "2"}
SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "two threads, PyTorch's default": (TWO, ""),
    "two, OMP_WAIT_POLICY=PASSIVE": (TWO | {"OMP_WAIT_POLICY": "PASSIVE"}, ""),
    "two, GOMP_SPINCOUNT=1000": (TWO | {"GOMP_SPINCOUNT": "1000"}, ""),
    "two, GOMP_SPINCOUNT=10000": (TWO | {"GOMP_SPINCOUNT": "10000"}, ""),
    "as the course sets it": ({}, "assert torch.get_num_threads() == 1 or os.cpu_count() != 2"),
}
READ_BY_LIBRARIES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_")

WORKER = """
import json, os, sys, time
import torch
from torch import nn
from course_utils.nets import UNet
{prepare}
torch.manual_seed(0)

def step(net, adam, x, *t):
    adam.zero_grad()
    net(x, *t).sub(x).square().mean().backward()
    adam.step()

nets = [{nets}]
trainings = [(net, torch.optim.Adam(net.parameters(), 1e-3), *batch) for net, batch in nets]
for training in trainings:
    for _ in range(3):
        step(*training)
print("ready", flush=True)
for line in sys.stdin:
    means = []
    for training in trainings:
        step(*training)
        start, steps = time.perf_counter(), 0
        while time.perf_counter() < start + float(line):
            step(*training)
            steps += 1
        means.append((time.perf_counter() - start) / steps)
    print(json.dumps(means), flush=True)
"""


@dataclass
class Setting:
    """A process that trains when it is asked to, and what its blocks took."""

    process: subprocess.Popen[str]
    # How many are busy beside it: the seconds of each net's step, block by block.
    clean: dict[int, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    disturbed: dict[int, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))

    def steps(self) -> dict[str, float]:
        """The mean seconds of each net's step."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(SECONDS, file=self.process.stdin, flush=True)
        return dict(zip(NETS, json.loads(self.process.stdout.readline()), strict=True))


def start(environment: dict[str, str], prepare: str) -> Setting:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_LIBRARIES)}
    nets = ", ".join(f"({net}, ({batch},))" for _, net, batch in NETS.values())
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(prepare=prepare, nets=nets)],
        env=plain | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the process with {environment} {prepare} did not start")
    return Setting(process)


@contextmanager
def busy(count: int) -> Iterator[list[psutil.Process]]:
    """So many processes that compute without end."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield [psutil.Process(process.pid) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def machine_seconds() -> float:
    """Processor seconds that anything on this machine has used, or the host took away."""
    times = psutil.cpu_times()
    kinds = ("user", "system", "nice", "irq", "softirq", "steal")
    return sum(getattr(times, kind, 0.0) for kind in kinds)


def process_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def block(setting: Setting, beside: list[psutil.Process]) -> tuple[dict[str, float], float]:
    """The seconds of each net's step, and how many cores strangers took meanwhile."""
    ours = [psutil.Process(), psutil.Process(setting.process.pid), *beside]
    before, start = machine_seconds() - process_seconds(ours), time.perf_counter()
    seconds = setting.steps()
    strangers = machine_seconds() - process_seconds(ours) - before
    return seconds, strangers / (time.perf_counter() - start)


def measure(settings: dict[str, Setting], rounds: int, minutes: float, pause: float) -> None:
    """Blocks in turn until each setting has `rounds` clean ones beside each number of busy processes."""
    until = time.monotonic() + 60 * minutes
    first = True
    while first or time.monotonic() < until:
        for count in BUSY:
            wanting = {name: s for name, s in settings.items() if first or len(s.clean[count]) < rounds}
            if not wanting:
                continue
            for setting in wanting.values():
                time.sleep(pause)
                with busy(count) as beside:
                    step, strangers = block(setting, beside)
                    (setting.clean if strangers < STRANGERS else setting.disturbed)[count].append(step)
        first = False
        if all(len(s.clean[count]) >= rounds for s in settings.values() for count in BUSY):
            return


def report(settings: dict[str, Setting]) -> Iterator[str]:
    yield "# How many threads, and how they should wait"
    yield ""
    yield "Made by `python benchmarks/threads.py`, all settings in turn in one run."
    yield ""
    yield from header(["torch"])
    yield "- Step: forward, backward and Adam of"
    yield from (f"  - {name}: {text}" for name, (text, _, _) in NETS.items())
    yield ""
    yield "Milliseconds a step, the median of the blocks; in brackets over the best of the column. The last column is"
    yield "the largest of a row's brackets. A `*` marks a time with blocks in it beside which strangers computed too."
    for count in BUSY:
        yield ""
        yield ("Alone:", "Beside one busy process:", "Beside two:")[count]
        yield ""
        yield f"| setting | {' | '.join(NETS)} | worst |"
        yield f"| --- |{' ---: |' * (len(NETS) + 1)}"
        times = {
            (setting, net): statistics.median(b[net] for b in s.clean[count] or s.disturbed[count])
            for setting, s in settings.items()
            for net in NETS
        }
        best = {net: min(times[setting, net] for setting in settings) for net in NETS}
        for setting, s in settings.items():
            star = "" if s.clean[count] else " *"
            over = {net: times[setting, net] / best[net] for net in NETS}
            cells = [f"{1000 * times[setting, net]:.1f} ({over[net]:.2f}){star}" for net in NETS]
            yield f"| {setting} | {' | '.join(cells)} | {max(over.values()):.2f} |"
    yield ""
    kept = sum(len(s.clean[count]) for s in settings.values() for count in BUSY)
    dropped = sum(len(s.disturbed[count]) for s in settings.values() for count in BUSY)
    yield f"Blocks of {SECONDS} s a net: {kept} undisturbed, {dropped} with strangers on over {STRANGERS} of a core."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round; write nothing")
    parser.add_argument("--minutes", type=float, default=9, help="how long to wait for undisturbed blocks")
    parser.add_argument("--pause", type=float, default=0, help="seconds that others have between two blocks")
    arguments = parser.parse_args()
    settings = {name: start(*how) for name, how in SETTINGS.items()}
    try:
        rounds, minutes = (1, 0.0) if arguments.quick else (ROUNDS, arguments.minutes)
        measure(settings, rounds, minutes, arguments.pause)
    finally:
        for setting in settings.values():
            setting.process.kill()
    text = "\n".join(report(settings)) + "\n"
    if arguments.quick:
        print(text)
    else:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
