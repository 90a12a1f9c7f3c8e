"""From frames to sprites and back: each frame once, many frames in one picture."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_utils import data
from course_utils.inputs import check_images


class Sprites:
    """Collects frames; equal frames are stored once; one picture for each frame shape."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, ...], dict[bytes, int]] = {}

    def add(self, frames: np.ndarray) -> tuple[int, list[int]]:
        """Store uint8 frames (K, H, W, C); returns the sprite's number and each frame's tile number."""
        tiles = self.tiles.setdefault(frames.shape[1:], {})
        numbers = [tiles.setdefault(frame.tobytes(), len(tiles)) for frame in frames]
        return list(self.tiles).index(frames.shape[1:]), numbers

    def pack(self, colors: int | None, jpeg: int | None) -> list[dict[str, Any]]:
        return [self._pack_one(shape, tiles, colors, jpeg) for shape, tiles in self.tiles.items()]

    @staticmethod
    def _pack_one(
        shape: tuple[int, ...], tiles: dict[bytes, int], colors: int | None, jpeg: int | None
    ) -> dict[str, Any]:
        h, w, c = shape
        columns = math.ceil(math.sqrt(len(tiles) * h / w))
        rows = math.ceil(len(tiles) / columns)
        sheet = np.zeros((rows * columns, h, w, c), np.uint8)
        sheet[: len(tiles)] = np.stack([np.frombuffer(tile, np.uint8).reshape(shape) for tile in tiles])
        tiled = sheet.reshape(rows, columns, h, w, c).transpose(0, 2, 1, 3, 4)
        picture = picture_of(tiled.reshape(rows * h, columns * w, c), colors)
        src = data_uri(picture, jpeg if c == 3 else None)
        return {"src": src, "tile": [h, w], "columns": columns, "count": len(tiles)}


def data_uri(picture: Image.Image, jpeg: int | None = None) -> str:
    """The picture as PNG, or as JPEG of that quality with colour as sharp as brightness (no subsampling)."""
    buffer = io.BytesIO()
    if jpeg is None:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.convert("RGB").save(buffer, "JPEG", quality=jpeg, subsampling=0, optimize=True)
    kind = "png" if jpeg is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def array(values: Tensor | np.ndarray | Sequence[Any]) -> np.ndarray:
    """The values as a NumPy array, from whatever device."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def check_frames(name: str, x: Tensor | np.ndarray) -> Tensor:
    """Frames (N, 1 or 3, H, W) in [-1, 1] as a tensor, or a ValueError that says what is wrong with them."""
    x = torch.as_tensor(x)
    check_images(x, name=name)
    if x.shape[1] not in (1, 3):
        raise ValueError(f"{name} must have 1 or 3 channels (C in (N, C, H, W)), not {x.shape[1]}")
    return x


def to_uint8(name: str, x: Tensor | np.ndarray) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, H, W, C) in 0 ... 255."""
    return data.to_uint8(check_frames(name, x))


def picture_of(pixels: np.ndarray, colors: int | None = None) -> Image.Image:
    """uint8 (H, W, C) as a picture; up to 256 colours become a palette without loss, more at the caller's wish."""
    if pixels.shape[-1] == 1:
        return Image.fromarray(pixels[..., 0])
    used, numbers = colours_of(pixels)
    if len(used) > 256:
        whole = Image.fromarray(pixels)
        return whole if colors is None else whole.quantize(colors, dither=Image.Dither.NONE)
    return picture_with_palette(numbers, used)


def colours_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different colours (K, 3) of uint8 pixels (H, W, 3), and the number of each pixel's, (H, W)."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    used, numbers = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    return np.stack([used >> 16, used >> 8 & 255, used & 255], axis=1), numbers.reshape(pixels.shape[:2])


def picture_with_palette(numbers: np.ndarray, palette: np.ndarray) -> Image.Image:
    """A picture of palette numbers (H, W); palette: up to 256 colours (K, 3) in 0 ... 255."""
    picture = Image.frombytes("P", numbers.shape[::-1], numbers.astype(np.uint8).tobytes())
    picture.putpalette(palette.astype(np.uint8).tobytes())
    return picture


def sheet_of(sprite: Mapping[str, Any]) -> np.ndarray:
    """A sprite's pixels, (rows * H, columns * W, C)."""
    picture = Image.open(io.BytesIO(base64.b64decode(sprite["src"].split(",", 1)[1])))
    pixels = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _tile_of(sprite: Mapping[str, Any], sheet: np.ndarray, number: int) -> np.ndarray:
    (h, w), (row, column) = sprite["tile"], divmod(number, sprite["columns"])
    return sheet[row * h : (row + 1) * h, column * w : (column + 1) * w]


def frame_of(
    panel: Mapping[str, Any], sprite: Mapping[str, Any], sheet: np.ndarray, where: Sequence[int]
) -> np.ndarray:
    """What a panel shows for positions of the controls: one tile, or its tiles in columns, white between them."""
    first = sum(i * stride for i, stride in zip(where, panel["strides"], strict=True))
    tiles = [_tile_of(sprite, sheet, number) for number in panel["frames"][first : first + panel["count"]]]
    columns, (h, w, c) = panel["columns"], tiles[0].shape
    rows = -(-len(tiles) // columns)
    whole = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), 255, np.uint8)
    for k, tile in enumerate(tiles):
        top, left = k // columns * (h + 1), k % columns * (w + 1)
        whole[top : top + h, left : left + w] = tile
    return whole


def value_at(values: Sequence[Any], strides: Sequence[int], where: Sequence[int]) -> Any:
    """The one of `values` that belongs to the positions `where` of all controls."""
    return values[sum(i * stride for i, stride in zip(where, strides, strict=True))]
