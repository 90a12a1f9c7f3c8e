"""Charts as frames: each once, all of an explorer in one packed text."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from course_utils import data
from course_utils.style import Chart


class Charts:
    """Collects charts; equal ones are stored once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.images: list[np.ndarray] = []

    def add(self, what: str, charts: Sequence[Chart]) -> tuple[list[int], list[int]]:
        """Store charts; returns their size in pixels, [height, width], and the number of each."""
        sizes = {tuple(chart.image.shape[1:]) for chart in charts}
        if len(sizes) != 1:
            raise ValueError(
                f"{what}: charts must be of one size, got {sorted(sizes)} pixels (height, width)"
            )
        for chart in charts:
            if chart.svg not in self.numbers:
                self.numbers[chart.svg] = len(self.images)
                self.images.append(data.to_uint8(chart.image[None])[0])
        return list(sizes.pop()), [self.numbers[chart.svg] for chart in charts]

    def pack(self) -> str:
        """Base64 of the gzipped JSON list of the SVG texts; empty if there are none."""
        if not self.numbers:
            return ""
        text = json.dumps(list(self.numbers), ensure_ascii=False)
        return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def charts_of(frames: Any) -> np.ndarray | None:
    """The frames as an array of charts; None if they are images."""
    if isinstance(frames, Chart):
        return np.array(frames, dtype=object)
    if isinstance(frames, Sequence) or (isinstance(frames, np.ndarray) and frames.dtype == object):
        charts = np.array(frames, dtype=object)
        return charts if all(isinstance(chart, Chart) for chart in charts.ravel()) else None
    return None
