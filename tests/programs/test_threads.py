"""How many threads compute, whether torch and NumPy are loaded before the package or after it."""

import os
import subprocess
import sys

import pytest

AFTER = "import course_utils, torch, numpy, scipy.linalg, sklearn.cluster"
BEFORE = "import sklearn.cluster, scipy.linalg, numpy, torch; import course_utils"
READ_BY_LIBRARIES = ("OMP_", "MKL_", "OPENBLAS_")
SHOWN = {
    "torch": "torch.get_num_threads()",
    "BLAS and OpenMP": "max(library['num_threads'] for library in threadpoolctl.threadpool_info())",
}


def threads(imports: str, cores: int, of: str = SHOWN["torch"], **environment: str) -> int:
    """As a process sees it that may use so many cores, which needs no such machine: its own count stands in."""
    ours = f"import os; os.sched_getaffinity = lambda _: range({cores})"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_LIBRARIES)}
    done = subprocess.run(
        [sys.executable, "-c", f"{ours}; {imports}; import torch, threadpoolctl; print({of})"],
        env=kept | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there is only one thread to begin with")
@pytest.mark.parametrize("of", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("imports", [AFTER, BEFORE], ids=["after", "before"])
def test_one_of_two_cores_computes(imports: str, of: str) -> None:
    assert threads(imports, 2, of) == 1
    assert threads(imports, 3, of) == threads(imports.replace("course_utils", "os"), 3, of) > 1


@pytest.mark.parametrize("of", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("imports", [AFTER, BEFORE], ids=["after", "before"])
def test_what_the_reader_asked_for_stays(imports: str, of: str) -> None:
    assert threads(imports, 2, of, OMP_NUM_THREADS="2") == 2
