"""How the notebooks are run in tests: under nbval, without a network, once each."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from course_utils.nbval_run import NbvalRun, run_nbval

SANITIZE = Path(__file__).with_name("sanitize.cfg")
CELL_TIMEOUT = 120.0  # seconds


@pytest.fixture(scope="session")
def run_once() -> Callable[[Path], NbvalRun]:
    """Runs a notebook under nbval without a network; the second call returns the first one's result."""

    @cache
    def run(ipynb: Path) -> NbvalRun:
        return run_nbval(ipynb, cell_timeout=CELL_TIMEOUT, sanitize=SANITIZE, offline=True)

    return run
