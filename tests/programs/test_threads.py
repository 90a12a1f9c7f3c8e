"""Waiting threads sleep: what the OpenMP library says of itself, and the processor time that waiting takes."""

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="PyTorch's packages hold GNU's OpenMP on Linux only"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: nothing waits"),
]

# Fifty parallel sums with a pause after each, in which the second thread waits for more: seconds of processor time.
WAITING = """
import time, torch

torch.set_num_threads(2)
x = torch.linspace(0, 1, 200_000)

def waiting():
    x.sum()
    start = time.process_time()
    for _ in range(50):
        x.sum()
        time.sleep(0.01)
    return time.process_time() - start
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def test_torch_that_is_loaded_later_is_told():
    code = "from course_utils.threads import wait_asleep; assert wait_asleep(); import torch; assert wait_asleep()"
    told = run(code, OMP_DISPLAY_ENV="VERBOSE").stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told
    assert "GOMP_SPINCOUNT = '1000'" in told


def test_torch_that_is_loaded_already_waits_asleep_from_then_on():
    code = f"""{WAITING}
import threading
before = waiting(), x.sum().item()
from course_utils.threads import wait_asleep
assert wait_asleep()
threads = threading.active_count()
assert wait_asleep() and threading.active_count() == threads == 2
print(before[0], waiting(), before[1] == x.sum().item(), torch.get_num_threads())
"""
    code = code.replace("before = ", "import sys\nassert 'course_utils' not in sys.modules\nbefore = ")
    spinning, asleep, same, threads = run(code).stdout.split()
    assert float(spinning) > 0.03, "else there is nothing to save here"
    assert float(asleep) < 0.5 * float(spinning)
    assert (same, threads) == ("True", "2")


def test_what_the_reader_asked_for_stays():
    code = "from course_utils.threads import wait_asleep; print(wait_asleep())"
    assert run(code, OMP_WAIT_POLICY="ACTIVE").stdout.split() == ["False"]
    assert run(code, OMP_WAIT_POLICY="passive").stdout.split() == ["True"]
    spins = "import os; wait_asleep(); print(os.environ['GOMP_SPINCOUNT'])"
    assert run(f"{code}; {spins}", GOMP_SPINCOUNT="7").stdout.split() == ["True", "7"]
