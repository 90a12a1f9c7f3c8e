"""How the notebooks are run in tests: under nbval, without a network, once each."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from nbval_run import NbvalRun, run_nbval


@pytest.fixture(scope="session")
def run_once() -> Callable[[Path], NbvalRun]:
    """Runs a notebook under nbval without a network; the second call returns the first one's result."""
    return cache(run_nbval)
