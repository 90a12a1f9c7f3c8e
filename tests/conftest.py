"""What several test files share."""

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
