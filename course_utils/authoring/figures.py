"""What a reader could not tell in a figure: axes without a name, curves and points told apart by hue alone.

`watch` is run at the beginning of a notebook that is run for the tests; then a figure with a fault stops its cell.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

LIGHTER = 20  # of 100 steps of lightness: two greys that far apart are never mixed up


def faults(figure: Figure) -> list[str]:
    """One sentence for each fault; [] for a figure that can be read without colour."""
    return [fault for axes in figure.axes if axes.axison for fault in (*_unnamed(axes), *_by_hue_alone(axes))]


def watch() -> None:
    """From now on `plt.show()` stops with an AssertionError where an open figure has a fault."""
    import matplotlib.pyplot as plt

    show = plt.show

    def checked(*args: Any, **kwargs: Any) -> None:
        found = [fault for number in plt.get_fignums() for fault in faults(plt.figure(number))]
        assert not found, "; ".join(found)
        show(*args, **kwargs)

    plt.show = checked


def _unnamed(axes: Axes) -> Iterator[str]:
    """An axis with numbers needs a name: its own, that of an axes which shares it, or one for the whole figure."""
    figure = axes.get_figure()
    assert figure is not None
    for which, shared, whole in (
        ("x", axes.get_shared_x_axes(), figure.get_supxlabel()),
        ("y", axes.get_shared_y_axes(), figure.get_supylabel()),
    ):
        axis = getattr(axes, f"{which}axis")
        others = [getattr(other, f"{which}axis") for other in shared.get_siblings(axes)]
        named = whole or any(other.get_label_text() for other in (axis, *others))
        if axis.get_visible() and len(axis.get_ticklocs()) and not named and not _words(axis):
            yield f"the {which} axis of {axes.get_title() or 'a panel'!r} has no name"


def _words(axis: Any) -> bool:
    """Whether its ticks are labelled with words, which say for themselves what stands there."""
    texts = [re.sub(r"\$[^$]*\$", "", label.get_text()) for label in axis.get_majorticklabels()]
    return any(re.search(r"[^\W\d]{2}", text) for text in texts)


def _by_hue_alone(axes: Axes) -> Iterator[str]:
    drawn = [line for line in axes.get_lines() if line.get_visible() and line.get_marker() not in ("_", "|")]
    lines = [
        line for line in drawn if len(np.asarray(line.get_xdata())) > 2
    ]  # no ends of error bars, no single lines
    for a, b in itertools.combinations(lines, 2):
        if _look(a) == _look(b) and not _far(a.get_color(), b.get_color()):
            yield f"curves {a.get_label()!r} and {b.get_label()!r} of {axes.get_title()!r} differ in hue alone"
    dots: list[tuple[PathCollection, np.ndarray]] = [
        (c, np.asarray(c.get_facecolor())) for c in axes.collections if isinstance(c, PathCollection)
    ]
    for (p, one), (q, other) in itertools.combinations([pair for pair in dots if len(pair[1]) == 1], 2):
        alike = np.array_equal(np.asarray(p.get_paths()[0].vertices), np.asarray(q.get_paths()[0].vertices))
        if alike and not _far(one[0], other[0]):
            yield f"points {p.get_label()!r} and {q.get_label()!r} of {axes.get_title()!r} differ in hue alone"
    for _, each in dots:
        kinds = len(np.unique(each[:, :3], axis=0))
        if 2 < kinds <= 12 and len(axes.texts) < kinds:
            yield f"{kinds} kinds of points in {axes.get_title()!r} differ in hue alone; write their names beside them"


def _look(line: Line2D) -> tuple[Any, ...]:
    """What tells a curve from another without colour."""
    return line.get_linestyle(), line._dash_pattern, line.get_marker(), line.get_fillstyle()  # type: ignore[attr-defined]


def _far(a: Any, b: Any) -> bool:
    """Equal colours, which are meant to be one kind, and colours far apart in lightness."""
    return np.allclose(to_rgb(a), to_rgb(b)) or abs(_lightness(a) - _lightness(b)) >= LIGHTER


def _lightness(colour: Any) -> float:
    """L* of CIELAB, 0 to 100, which hardly changes with colour vision deficiency."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return float(116 * luminance ** (1 / 3) - 16) if luminance > 0.008856 else 903.3 * luminance
