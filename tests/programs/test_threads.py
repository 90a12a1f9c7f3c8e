"""How many threads compute, whether torch is loaded before the package or after it."""

import os
import subprocess
import sys

import pytest

AFTER = "import course_utils, torch"
BEFORE = "import torch; import course_utils"


def threads(imports: str, cores: int, **environment: str) -> int:
    """As a process sees it that may use so many cores, which needs no such machine: torch's own count stands in."""
    ours = f"import os; os.sched_getaffinity = lambda _: range({cores})"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", f"{ours}; {imports}; print(torch.get_num_threads())"],
        env=kept | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there is only one thread to begin with")
@pytest.mark.parametrize("imports", [AFTER, BEFORE])
def test_one_of_two_cores_computes(imports):
    assert threads(imports, 2) == 1
    assert threads(imports, 3) == threads("import torch", 3)


@pytest.mark.parametrize("imports", [AFTER, BEFORE])
def test_what_the_reader_asked_for_stays(imports):
    assert threads(imports, 2, OMP_NUM_THREADS="2") == 2
