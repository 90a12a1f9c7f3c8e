"""How many threads compute: on a machine of two cores, one."""

from __future__ import annotations

import os
import sys

__all__ = ["use_one_of_two_cores"]


def use_one_of_two_cores() -> None:
    """Let PyTorch, NumPy, SciPy and scikit-learn compute with one thread where there are two cores, unless
    OMP_NUM_THREADS says how many.

    Two threads that share a training step meet hundreds of times in it. By default the first to arrive spins until the
    other is there; where another program has the other's core, it spins away whole time slices. Asleep it would take
    nothing, but waking it takes as long as a small network's layer. In `benchmarks/threads.md` one thread is never far
    from the best choice; two that spin are on a busy machine, two that sleep are on a quiet one. Where there are more
    cores, the number of threads stays each library's own.
    """
    if "OMP_NUM_THREADS" in os.environ or _cores() != 2:
        return
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = "1"  # read by the libraries that are still to be loaded
    threadpool_limits(1)  # the BLAS and OpenMP of those that are
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
