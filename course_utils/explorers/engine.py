"""The widget: frames and numbers indexed by controls, shown by `explorer.js`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor

from course_utils.explorers.charts import Charts
from course_utils.explorers.parts import (
    Control,
    Pad,
    Panel,
    Readout,
    control_state,
    panel_state,
    readout_state,
    sizes_of,
)
from course_utils.explorers.sprites import Sprites, data_uri, picture_of, to_uint8
from course_utils.explorers.still import Frames, still_picture
from course_utils.explorers.widget import Widget


class Explorer(Widget):
    """Frames and numbers indexed by controls, shown by `explorer.js`.

    controls, panels, readouts: what to show, see `parts`; they share rows by their `group` (a heading).
    hint: one line that says what to try.
    index: the starting position of each control (default 0, a pad: its middle node).
    live: `(x, y) -> (C, H, W)` in [-1, 1] computes the frame of a pad panel between the nodes where there is a
    kernel; `live_panel` is that panel's title. Colour sprites can be made smaller with loss: drawings by `colors`, a
    palette of so many; images of all shades by `jpeg`, the quality 1..95 (80 halves what 32 colours take, and errs
    half as much). Sides of 8 or a multiple, as JPEG's blocks have, keep neighbouring frames apart.
    `index` follows what the reader does and can be set. Raises ValueError for parts that do not fit together.
    """

    _esm = Path(__file__).with_name("explorer.js")

    title = traitlets.Unicode().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)
    controls: traitlets.List[Any] = traitlets.List().tag(sync=True)
    panels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    readouts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    sprites: traitlets.List[Any] = traitlets.List().tag(sync=True)
    charts = traitlets.Unicode().tag(sync=True)  # packed: `Charts.pack`
    index: traitlets.List[Any] = traitlets.List().tag(sync=True, echo_update=False)
    position: traitlets.List[Any] = traitlets.List().tag(
        sync=True, echo_update=False
    )  # of the pad's cursor; [] without a pad
    live_panel = traitlets.Int(-1).tag(sync=True)
    live_frame = traitlets.Dict().tag(sync=True)  # {"position": [x, y], "src": data URI}

    _live: Callable[[float, float], Tensor | np.ndarray] | None = None

    def __init__(
        self,
        controls: Sequence[Control],
        panels: Sequence[Panel],
        readouts: Sequence[Readout] = (),
        *,
        title: str = "",
        hint: str = "",
        index: Sequence[int] | None = None,
        live: Callable[[float, float], Tensor | np.ndarray] | None = None,
        live_panel: str | None = None,
        colors: int | None = None,
        jpeg: int | None = None,
    ) -> None:
        sizes = sizes_of(controls)
        sprites, charts = Sprites(), Charts()
        titles = [panel.title for panel in panels]
        for readout in readouts:
            if readout.panel is not None and readout.panel not in titles:
                raise ValueError(f"readout {readout.label!r}: panel={readout.panel!r} is not one of {titles}")
        if live is not None and live_panel not in titles:
            raise ValueError(f"live_panel={live_panel!r} is not one of the panels {titles}")
        for name, value, most in (("colors", colors, 256), ("jpeg", jpeg, 95)):
            if value is not None and not 1 <= value <= most:
                raise ValueError(f"{name}={value} must be a whole number from 1 to {most}, or None")
        pads = [control for control in controls if isinstance(control, Pad)]
        if live is not None and not pads:
            raise ValueError("live needs a Pad among the controls")
        if index is None:
            index = [c.middle if isinstance(c, Pad) else 0 for c in controls]
        state = {
            "title": title,
            "hint": hint,
            "controls": [control_state(control, sizes, sprites) for control in controls],
            "panels": [panel_state(panel, sizes, sprites, charts) for panel in panels],
            "readouts": [readout_state(readout, sizes, titles) for readout in readouts],
        }
        self._live, self._charts = live, charts
        super().__init__(
            **state,
            sprites=sprites.pack(colors, jpeg),
            charts=charts.pack(),
            index=list(index),
            live_panel=titles.index(live_panel) if live is not None and live_panel is not None else -1,
        )
        if pads:
            self.position = self._node(self.index)

    @traitlets.validate("index")
    def _check_index(self, proposal: dict[str, Any]) -> list[int]:
        sizes = [control["size"] for control in self.controls]
        value = list(proposal["value"])
        if len(value) != len(sizes) or not all(
            isinstance(i, int | np.integer) and 0 <= i < n for i, n in zip(value, sizes, strict=True)
        ):
            names = ", ".join(f"{c['name']!r} 0..{c['size'] - 1}" for c in self.controls)
            raise traitlets.TraitError(f"index={value} must hold one whole number for each control: {names}")
        return [int(i) for i in value]

    @traitlets.observe("position")
    def _answer(self, change: dict[str, Any]) -> None:
        """Decode at the cursor. Positions that arrive meanwhile are merged by the front end: the latest wins."""
        position = change["new"]
        if self._live is None or len(position) != 2 or position == self._node(self.index):
            return
        frame = to_uint8("the frame that live returned", torch.as_tensor(self._live(*position))[None])[0]
        self.live_frame = {"position": list(position), "src": data_uri(picture_of(frame))}

    def _node(self, index: Sequence[int]) -> list[float]:
        """Where the pad's cursor stands for an index."""
        i, pad = next((i, c) for i, c in enumerate(self.controls) if c["kind"] == "pad")
        row, column = divmod(index[i], pad["columns"])
        (left, right), (bottom, top) = pad["x"], pad["y"]
        return [
            left + (right - left) * column / (pad["columns"] - 1),
            bottom + (top - bottom) * row / (pad["rows"] - 1),
        ]

    def frame(self, panel: str, index: Sequence[int] | None = None, *, nearest: int = 0) -> np.ndarray:
        """The frame that `panel` shows at `index` (default: the present one): uint8 (H, W, C); of a chart its image.

        nearest: the number of the pad's nearest point, for panels that follow it.
        """
        state = next((p for p in self.panels if p["title"] == panel), None)
        if state is None:
            raise ValueError(f"panel={panel!r} is not one of {[p['title'] for p in self.panels]}")
        where = [*(self.index if index is None else self._check_index({"value": index})), nearest]
        return Frames(self).of(state, where)

    def __repr__(self) -> str:
        names = " × ".join(f"{c['name']} ({c['size']})" for c in self.controls)
        return f"{type(self).__name__}({names})"

    def still(self) -> bytes:
        """A PNG of the explorer at its present index, drawn when it is first shown."""
        return still_picture(self)
