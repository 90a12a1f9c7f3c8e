"""What several test files share."""

import signal
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

SHOW = plt.show
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell begins its jobs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_next() -> Iterator[None]:
    """What a test changes for all of its process, it puts back; else the next one depends on the order of files."""
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    yield
    plt.close("all")
    show, plt.show = plt.show, SHOW
    assert show is SHOW, "plt.show is another one now"
    after = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    assert after == before, f"dtype, threads, gradients: {before} before, {after} now"


@pytest.fixture(params=["cpu", pytest.param("accelerator", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, and the accelerator where there is one."""
    if request.param == "cpu":
        return torch.device("cpu")
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator on this machine")
    return torch.accelerator.current_accelerator()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On networks so small one thread does as much as two, and more where others use the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# What takes longest begins, so that two workers (`pytest -n 2 --dist loadscope`) end at about the same time.
LONGEST = (
    *("07_", "06_", "04_", "05_", "08_", "browser", "01_", "03_", "02_", "tests/programs/test_grading"),
    *(
        f"tests/test_{room}"
        for room in ("devices", "training", "diffusion", "gan", "autoencoders", "metrics")
    ),
)


def scope(nodeid: str) -> str:
    """What stays with one worker: a notebook's tests, so that it runs once for all of them; those that share a
    browser; those of one file."""
    file, _, rest = nodeid.partition("::")
    if file.startswith("tests/browser"):
        return "browser"
    return (
        rest.partition("[")[2].removesuffix("]")
        if file.endswith("test_notebooks.py") and "[" in rest
        else file
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        starts = (k for k, name in enumerate(LONGEST) if scope(item.nodeid).startswith(name))
        return next(starts, len(LONGEST))

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    return Scheduling(config, log)
