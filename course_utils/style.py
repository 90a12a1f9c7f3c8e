"""One palette and one Matplotlib style, for figures and explorers alike.

`course_utils.viz` applies the style when it is imported, so notebooks have it without a line of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PALETTE = (
    "#1874ee",  # blue
    "#da7701",  # orange
    "#155600",  # green
    "#df2f42",  # red
    "#b77dd3",  # lilac
    "#7c283f",  # maroon
    "#494070",  # slate
    "#818f9c",  # grey
    "#6a1d99",  # violet
    "#04a971",  # mint
)
"""The colour of class k, everywhere: `PALETTE[k % 10]`.

All have a contrast of 3:1 or more on white (WCAG 2.2, 1.4.11) and of 2:1 or more on a dark page (#111111), and stay
apart for readers with deuteranopia, protanopia or tritanopia.
"""

PATH = "#d6007a"
"""A path over a map."""

ACCENT = "#1976d2"
"""What is chosen among an explorer's controls, where the page has no colour of its own for it."""

DASHES: tuple[Any, ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
    (0, (9, 2, 3, 2)),
    (0, (4, 4)),
    (0, (6, 1.5, 1, 1.5, 1, 1.5, 1, 1.5)),
)
"""The line style of curve k, so that no two curves are told apart by hue only."""


def curve(k: int) -> dict[str, Any]:
    """How curve k is drawn, for `axes.plot(x, y, **curve(k))`: as the k-th call without a colour draws it."""
    return {"color": PALETTE[k % len(PALETTE)], "linestyle": DASHES[k % len(DASHES)]}


def rc() -> dict[Any, Any]:
    """The settings of Matplotlib.

    Curves take colour and line style in turn. A format like "o-" says "solid" for all of them; `marker="o"` leaves
    each its own. A colour alone leaves the line style to its turn: give `linestyle` or `**curve(k)` too.
    """
    from matplotlib.rcsetup import cycler

    return {
        "axes.prop_cycle": cycler(color=PALETTE, linestyle=DASHES),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",  # also on a dark page, whose text would be white as well
        "legend.edgecolor": "none",
    }


def use() -> None:
    """Draw all figures of this session in the course's style."""
    import matplotlib

    matplotlib.rcParams.update(rc())


@dataclass(frozen=True, eq=False)
class Chart:
    """A drawing as a frame of an explorer: `svg`, sharp at any size, and `image` (3, H, W) in [-1, 1] for stills."""

    svg: str
    image: Tensor
