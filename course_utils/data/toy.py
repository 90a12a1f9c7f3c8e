"""Densities of the plane, two of them with an exact log-density."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from course_utils.data.images import SPLITS, Images
from course_utils.inputs import check_at_least, check_codes

_TOY_PARTS = {"gaussians": 8, "moons": 2, "swiss_roll": 1, "checkerboard": 8}
TOYS = tuple(_TOY_PARTS)
_RING = 8, 2.0, 0.15  # number of gaussians, radius of the ring, standard deviation of each


def toy_points(name: str, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n points of a 2-D density, most of them within [-2.5, 2.5]².

    Args:
        name: `gaussians` (8 on a ring), `moons`, `swiss_roll`, `checkerboard`.
        n: how many, at least 1.
        generator: the source of randomness.

    Returns:
        Points float32 (n, 2) and the part of the density that each was drawn from, int64 (n,).
    """
    _check_toy(name, TOYS)
    check_at_least(1, n=n)
    u = torch.rand(n, generator=generator)
    noise = torch.randn(n, 2, generator=generator)
    if name == "gaussians":
        modes, radius, sigma = _RING
        y = torch.randint(modes, (n,), generator=generator)
        angle = 2 * math.pi * y / modes
        x = radius * torch.stack([angle.cos(), angle.sin()], dim=1) + sigma * noise
    elif name == "moons":
        y = torch.randint(2, (n,), generator=generator)
        angle = math.pi * u
        upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        x = 1.4 * torch.where(y[:, None] == 0, upper, -upper) + 0.1 * noise
    elif name == "swiss_roll":
        y = torch.zeros(n, dtype=torch.int64)
        angle = 1.5 * math.pi * (1 + 2 * u)
        x = angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1) / 6 + 0.05 * noise
    else:
        y = torch.randint(8, (n,), generator=generator)
        row, column = y // 2, 2 * (y % 2) + (y // 2) % 2
        x = torch.stack([column, row], dim=1) - 2 + torch.rand(n, 2, generator=generator)
    return x, y


def toy_log_prob(name: str, x: Tensor) -> Tensor:
    """The exact log-density of `gaussians` or `checkerboard` at points (N, 2), in nats: (N,)."""
    _check_toy(name, ("gaussians", "checkerboard"))
    check_codes(x, 2, "x")
    if name == "checkerboard":
        square = torch.floor(x)
        inside = (x.abs() < 2).all(dim=1) & (square.sum(dim=1) % 2 == 0)
        return torch.where(inside, -math.log(8.0), -math.inf).to(x.dtype)
    modes, radius, sigma = _RING
    angle = 2 * math.pi * torch.arange(modes, device=x.device, dtype=x.dtype) / modes
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    squared = (x[:, None] - centres).square().sum(dim=2)  # (N, modes)
    each = -squared / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
    return each.logsumexp(dim=1) - math.log(modes)


def _check_toy(name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        raise ValueError(f"name={name!r} is not among the toy densities allowed here: {', '.join(allowed)}")


def toy_images(name: str, split: str, size: int | None, n: int | None) -> Images:
    if size is not None:
        raise ValueError(f"size={size} has no meaning for toy:{name}, which are points; leave it out")
    generator = torch.Generator().manual_seed(SPLITS.index(split))
    x, y = toy_points(name, n or 2000, generator=generator)
    return Images(x, y, tuple(map(str, range(_TOY_PARTS[name]))))
