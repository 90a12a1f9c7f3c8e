"""What several test files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


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


# What takes longest begins, so that two workers (`pytest -n 2 --dist loadgroup`) end at about the same time.
LONGEST = (
    "07_diffusion",
    "08_latent_diffusion",
    "browser",
    "02_",
    "06_",
    "01_",
    "test_grading",
    "05_",
    "04_",
    "03_",
)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A notebook's tests stay with one worker, which runs the notebook once for all of them; so do the tests that
    share a browser, and those of one file."""

    def group(item: pytest.Item) -> str:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        sources = [value.stem for value in values if isinstance(value, Path) and value.suffix == ".py"]
        folder = item.path.parent.name
        return sources[0] if sources else folder if folder == "browser" else item.path.stem

    def rank(item: pytest.Item) -> int:
        starts = (k for k, name in enumerate(LONGEST) if group(item).startswith(name))
        return next(starts, len(LONGEST))

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=rank)
