"""How PyTorch's threads wait for each other: asleep, so that they take no time that another process could use.

Two threads that share a training step meet hundreds of times in it. By default the first to arrive spins until the
other is there; where another process has the other's core, it may spin away whole time slices. How much sleeping saves
differs from machine to machine: in `benchmarks/threads.md`, told before torch is loaded (GOMP_SPINCOUNT=1000), it is
the fastest or within 4 % of it, alone and on a busy machine, and the default takes 1.11 to 1.14 times the best.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path

__all__ = ["wait_asleep"]

SPINS = "1000"  # about ten microseconds before a thread falls asleep

_parked: list[threading.Thread] = []


def wait_asleep() -> bool:
    """Let PyTorch's threads wait asleep, unless OMP_WAIT_POLICY says otherwise; True if they do from here on.

    Before torch is loaded, the environment tells it. Later, what GNU's OpenMP does by itself serves, which PyTorch's
    packages for Linux hold: while it has more threads than there are cores, all spin a hundred times and then sleep.
    So a pool that makes them too many is parked for good, asleep. With another OpenMP it is too late then.

    The number of threads that compute stays, and with it every result, bit for bit.
    """
    asked = os.environ.get("OMP_WAIT_POLICY")
    if asked is not None or _parked:
        return bool(_parked) or str(asked).upper() == "PASSIVE"
    if "torch" not in sys.modules:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        return True
    library = _gnu_openmp()
    if library is None:
        return False
    _park(library, threads=sys.modules["torch"].get_num_threads())
    return True


def _park(library: ctypes.CDLL, threads: int) -> None:
    """Start a pool that, with PyTorch's of so many threads, has one thread more than there are cores."""
    size = max(2, library.omp_get_num_procs() - threads + 2)
    parked = threading.Event()

    def park() -> None:
        # The pool belongs to this thread. All it ever does is to ask for its number.
        library.GOMP_parallel(ctypes.cast(library.omp_get_thread_num, ctypes.c_void_p), None, size, 0)
        parked.set()
        threading.Event().wait()

    _parked.append(threading.Thread(target=park, name="parked OpenMP pool", daemon=True))
    _parked[0].start()
    parked.wait()


def _gnu_openmp() -> ctypes.CDLL | None:
    """The GNU OpenMP that this process's PyTorch uses, if it uses one."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    loaded = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "/libgomp" in line}
    # Other packages bring copies of their own, under names that end in a digest.
    for path in sorted(loaded, key=lambda path: "/torch/" not in path):
        library = ctypes.CDLL(path)
        if hasattr(library, "GOMP_parallel"):
            return library
    return None
