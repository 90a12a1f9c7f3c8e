"""What several test files draw: seeded generators, images of noise, and a network that says what it was asked for."""

import torch
from torch import Tensor, nn


def seed(number: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(number)


def random_images(*shape: int, number: int = 0, device: str | torch.device = "cpu") -> Tensor:
    """Even in [-1, 1], the same on every device."""
    return (torch.rand(*shape, generator=seed(number)) * 2 - 1).to(device)


class Says(nn.Module):
    """Its answer is the label over 10, whatever is asked; "no class" (10) is 0. It notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        self.asked.append(y)
        return torch.where(y == 10, 0, y / 10).to(x).view(-1, 1, 1, 1).expand(x.shape)
