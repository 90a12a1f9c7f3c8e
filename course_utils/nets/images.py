"""Images moved, blurred and quantised; codes interpolated. No weights."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.inputs import check_images, check_maps, check_not_negative, check_tensor, uniform_like


def shift_and_turn(
    x: Tensor, *, degrees: float = 10.0, shift: float = 0.07, scale: float = 0.1, generator: torch.Generator
) -> Tensor:
    """Move each image (N, C, H, W) a little: the augmentation that handwriting bears.

    Args:
        degrees: turned by up to this angle either way.
        shift: moved by up to this share of the width and height.
        scale: grown or shrunk by up to this share.
    """
    check_images(x)
    n = len(x)
    turn, dx, dy, grow = (2 * uniform_like(x.new_empty(4, n), generator) - 1).unbind()
    angle, size = torch.deg2rad(degrees * turn), 1 + scale * grow
    cos, sin = angle.cos() / size, angle.sin() / size
    theta = torch.stack([cos, -sin, 2 * shift * dx, sin, cos, 2 * shift * dy], dim=1).view(n, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1  # outside lies the background, -1


def blur(x: Tensor, sigma: float) -> Tensor:
    """Images (N, C, H, W) convolved with a Gaussian of `sigma` ≥ 0 pixels; edge pixels are repeated outwards.

    Raises:
        ValueError: sigma below 0.
    """
    check_maps(x, (None, None, None))
    check_not_negative(sigma=sigma)
    if sigma == 0:
        return x
    reach = math.ceil(4 * sigma)
    line = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = (-line.square() / (2 * sigma**2)).exp()
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    for size in ((reach, reach, 0, 0), (0, 0, reach, reach)):  # along the rows, then along the columns
        x = F.conv2d(F.pad(x, size, mode="replicate"), kernel, groups=x.shape[1])
        kernel = kernel.transpose(2, 3)
    return x


def lerp(z0: Tensor, z1: Tensor, t: float | Tensor) -> Tensor:
    """Linear interpolation (1 - t) z0 + t z1.

    z0, z1: (..., d). t: a number or a tensor of shape (...); 0 gives z0, 1 gives z1.
    Returns (..., d), broadcast.
    """
    t = _weight(z0, z1, t)
    return (1 - t) * z0 + t * z1


def slerp(z0: Tensor, z1: Tensor, t: float | Tensor) -> Tensor:
    """Spherical interpolation: turn z0 into z1 at a constant angular speed.

        sin((1 - t) w) / sin(w) z0 + sin(t w) / sin(w) z1,   w = the angle between z0 and z1

    z0, z1: (..., d). t: a number or a tensor of shape (...); 0 gives z0, 1 gives z1. Returns (..., d).
    Vectors of equal norm keep that norm on the way. Where the angle is undefined or the turn has no unique
    plane — (nearly) parallel or opposite vectors, or a zero vector — it falls back to `lerp`.
    Source: Shoemake 1985, "Animating rotation with quaternion curves"; for latent codes White 2016,
    arXiv:1609.04468, whose form (weights applied to vectors of any norm) this is.
    """
    t = _weight(z0, z1, t)
    norms = z0.norm(dim=-1, keepdim=True) * z1.norm(dim=-1, keepdim=True)
    cosine = ((z0 * z1).sum(-1, keepdim=True) / norms.clamp_min(torch.finfo(z0.dtype).tiny)).clamp(-1, 1)
    omega = torch.acos(cosine)
    flat = (norms == 0) | (1 - cosine.abs() < 1e-6)
    sine = torch.where(flat, torch.ones_like(omega), torch.sin(omega))
    turned = (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / sine
    return torch.where(flat, (1 - t) * z0 + t * z1, turned)


def _weight(z0: Tensor, z1: Tensor, t: float | Tensor) -> Tensor:
    """t as a tensor that broadcasts over the last axis of z0 and z1, or a ValueError unless all three fit together."""
    for name, z in (("z0", z0), ("z1", z1)):
        check_tensor(z, name)
        if not z.ndim or not z.is_floating_point():
            raise ValueError(f"{name} must be float (..., d), not {z.dtype} {tuple(z.shape)}")
    try:
        t = torch.as_tensor(t, dtype=z0.dtype, device=z0.device)
        torch.broadcast_shapes(t.shape, z0.shape[:-1], z1.shape[:-1])
    except (RuntimeError, TypeError, ValueError) as reason:
        raise ValueError(
            f"t must be a number, or of a shape that fits z0 {tuple(z0.shape)} and z1 {tuple(z1.shape)} ({reason})"
        ) from reason
    if z0.shape[-1] != z1.shape[-1]:
        raise ValueError(f"z0 {tuple(z0.shape)} and z1 {tuple(z1.shape)} must have codes of one length")
    return t.unsqueeze(-1) if t.ndim else t
