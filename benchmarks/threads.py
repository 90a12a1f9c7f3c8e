"""How threads should wait: a training step of the digits' U-Net alone, and beside processes that compute.

    python benchmarks/threads.py            # a quarter of an hour on two cores; writes benchmarks/threads.md
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

STEPS, ROUNDS, BUSY = 6, 3, (0, 1, 2)
STRANGERS = 0.05  # cores that strangers may take during a block

# name: (environment, what the process does once torch is loaded)
SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "default": ({}, ""),
    "OMP_WAIT_POLICY=PASSIVE": ({"OMP_WAIT_POLICY": "PASSIVE"}, ""),
    "GOMP_SPINCOUNT=100": ({"GOMP_SPINCOUNT": "100"}, ""),
    "GOMP_SPINCOUNT=1000": ({"GOMP_SPINCOUNT": "1000"}, ""),
    "GOMP_SPINCOUNT=10000": ({"GOMP_SPINCOUNT": "10000"}, ""),
    "`wait_asleep()` after torch": ({}, "from course_utils.threads import wait_asleep; assert wait_asleep()"),
    "one thread": ({}, "torch.set_num_threads(1)"),
}
READ_BY_LIBRARIES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_")

WORKER = """
import json, sys, time
import torch
{}
from course_utils.diffusion import unet_diffusion
torch.manual_seed(0)
net = unet_diffusion((1, 28, 28), num_classes=10).to(memory_format=torch.channels_last).train()
adam = torch.optim.Adam(net.parameters(), 1e-3)
x, y = torch.rand(64, 1, 28, 28) * 2 - 1, torch.arange(64) % 10

def step():
    adam.zero_grad()
    net.loss(x, y, generator=torch.Generator().manual_seed(0)).backward()
    adam.step()

for _ in range(3):
    step()
print("ready", flush=True)
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)
"""


@dataclass
class Setting:
    """A process that trains when it is asked to, and what its blocks took."""

    process: subprocess.Popen[str]
    clean: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # busy: seconds a step
    disturbed: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def steps(self, count: int) -> list[float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(count, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def start(environment: dict[str, str], prepare: str) -> Setting:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_LIBRARIES)}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(prepare)],
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


def block(setting: Setting, beside: list[psutil.Process], steps: int) -> tuple[float, float]:
    """The median seconds of a step, and how many cores strangers took meanwhile."""
    ours = [psutil.Process(), psutil.Process(setting.process.pid), *beside]
    before, start = machine_seconds() - process_seconds(ours), time.perf_counter()
    seconds = setting.steps(steps)
    strangers = machine_seconds() - process_seconds(ours) - before
    return statistics.median(seconds), strangers / (time.perf_counter() - start)


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
                    step, strangers = block(setting, beside, STEPS)
                    (setting.clean if strangers < STRANGERS else setting.disturbed)[count].append(step)
        first = False
        if all(len(s.clean[count]) >= rounds for s in settings.values() for count in BUSY):
            return


def report(settings: dict[str, Setting]) -> Iterator[str]:
    yield "# How threads should wait"
    yield ""
    yield "Made by `python benchmarks/threads.py`, all settings in turn in one run."
    yield ""
    yield from header(["torch"])
    yield "- Step: forward, backward and Adam of the digits' U-Net, 64 images"
    yield ""
    yield "Milliseconds a step, the median of the blocks; in brackets over the best of the column."
    yield "A `*` marks a time with blocks in it beside which strangers computed too."
    yield ""
    yield "| setting | alone | beside one busy process | beside two |"
    yield "| --- | ---: | ---: | ---: |"
    times = {(name, count): statistics.median(s.clean[count] or s.disturbed[count])
             for name, s in settings.items() for count in BUSY}  # fmt: skip
    for name, s in settings.items():
        cells = []
        for count in BUSY:
            best = min(times[other, count] for other in settings)
            star = "" if s.clean[count] else " *"
            cells.append(f"{1000 * times[name, count]:.0f} ({times[name, count] / best:.2f}){star}")
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    kept = sum(len(s.clean[count]) for s in settings.values() for count in BUSY)
    dropped = sum(len(s.disturbed[count]) for s in settings.values() for count in BUSY)
    yield f"Blocks of {STEPS} steps: {kept} undisturbed, {dropped} with strangers on over {STRANGERS} of a core."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round; write nothing")
    parser.add_argument("--minutes", type=float, default=15, help="how long to wait for undisturbed blocks")
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
