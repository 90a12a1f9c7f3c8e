"""What several test files draw: seeded generators, and images of noise."""

import torch
from torch import Tensor


def seed(number: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(number)


def random_images(*shape: int, number: int = 0, device: str | torch.device = "cpu") -> Tensor:
    """Even in [-1, 1], the same on every device."""
    return (torch.rand(*shape, generator=seed(number)) * 2 - 1).to(device)
