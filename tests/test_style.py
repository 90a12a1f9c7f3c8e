"""The palette under simulated colour-vision deficiency, and what Matplotlib draws in the course's style."""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from course_utils import explorers, style, viz


@pytest.fixture
def axes() -> Iterator[Axes]:
    """Axes in the course's style, whatever other tests have set."""
    with matplotlib.rc_context(style.rc()):
        figure, ax = plt.subplots(figsize=(8, 2), dpi=100)
        yield ax
        plt.close(figure)


# ------------------------------------------------------------------------------------------------ colours

SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""IEC 61966-2-1, D65."""

VISION = {
    "full": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Machado, Oliveira & Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
table 1, severity 1.0: matrices on linear RGB."""

NOTICED = 5.349 + 2.871 / 0.17
"""22.2: a CIELAB distance that half of the readers notice between two dots of a map, in whatever direction it lies.

Stone, Szafir & Setlur 2014, "An engineering model for color difference as a function of size": half notice a
difference of 5.079 + 0.751/s in L*, 5.339 + 1.541/s in a*, 5.349 + 2.871/s in b* (the largest) between patches of s
degrees. A map's dot of 5.6 pixels, 1.5 mm, seen from 50 cm, has 0.17 degrees. (They measured from 1/3 degree on.)
"""


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB to CIELAB, the white point that of RGB (CIE 15:2004)."""
    xyz = SRGB_TO_XYZ @ rgb.clip(0, 1) / SRGB_TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2."""
    low, high = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(c)) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def test_the_yardsticks_give_known_values() -> None:
    np.testing.assert_allclose(lab(linear("#ff0000")), [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose(lab(linear("#808080")), [53.59, 0, 0], atol=0.02)
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    for matrix in VISION.values():  # greys stay grey
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    red, green = (VISION["deuteranopia"] @ linear(c) for c in ("#ff7f0e", "#bcbd22"))
    assert np.linalg.norm(lab(red) - lab(green)) < NOTICED, "Matplotlib's own orange and olive are confused"


@pytest.mark.parametrize("vision", VISION)
def test_ten_classes_stay_apart(vision: str) -> None:
    seen = {colour: lab(VISION[vision] @ linear(colour)) for colour in style.PALETTE}
    apart = {
        pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]])
        for pair in itertools.combinations(style.PALETTE, 2)
    }
    closest = min(apart, key=apart.__getitem__)
    assert len(apart) == 45
    assert apart[closest] > NOTICED, closest


@pytest.mark.parametrize(("page", "least"), [("#ffffff", 3.0), ("#111111", 2.0)])
def test_each_colour_shows_on_the_page(page: str, least: float) -> None:
    """On white what WCAG 2.2 asks of graphics; on JupyterLab's dark page less, since one colour cannot have both
    for ten classes that stay apart."""
    for colour in (*style.PALETTE, style.PATH):
        assert contrast(colour, page) >= least, colour


def test_a_class_has_one_colour_in_figures_and_explorers() -> None:
    assert viz.PALETTE is style.PALETTE
    labels = torch.arange(12)
    pad = explorers.Pad(
        "z", (0, 1), (0, 1), 2, 2, points=torch.rand(12, 2), labels=labels, classes="abcdefghijkl"
    )
    state = explorers.Explorer([pad], []).controls[0]
    assert state["palette"] == list(style.PALETTE)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("explorer", {style.PATH}),
        ("drawing", {"#999"}),  # "draw here", on black
        ("playground", {style.PALETTE[0], style.PALETTE[1], style.PALETTE[3]}),
    ],
)
def test_the_front_ends_have_the_colours_of_the_style(name: str, own: set[str]) -> None:
    source = Path(explorers.__file__).with_name(f"{name}.js").read_text(encoding="utf-8")
    written = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", source))
    assert written == {style.ACCENT, "#000", "#fff"} | own


# ------------------------------------------------------------------------------------------------- curves


def dash_lengths(ax: Axes, k: int) -> tuple[int, ...]:
    """The lengths, in pixels, of inked and blank stretches of the k-th line style, drawn level and in black."""
    ax.set_axis_off()
    ax.set_position((0, 0, 1, 1))
    ax.plot([0, 1], [0, 0], color="black", linestyle=style.DASHES[k], linewidth=4)
    ax.set(xlim=(0, 1), ylim=(-1, 1))
    ax.figure.canvas.draw()
    row = np.asarray(ax.figure.canvas.buffer_rgba())[100, :, 0] < 128
    edges = np.flatnonzero(np.diff(row))[1:-1]
    return tuple(np.diff(edges)[:12].tolist())


def test_ten_curves_differ_without_their_colours(axes: Axes) -> None:
    drawn = []
    for k in range(10):
        axes.clear()
        drawn.append(dash_lengths(axes, k))
    assert drawn[0] == (), "the first is solid"
    for one, other in itertools.combinations(range(10), 2):
        if len(drawn[one]) == len(drawn[other]):
            difference = np.abs(np.subtract(drawn[one], drawn[other])).max()
            assert difference > 3, (one, other)  # pixels, of a line 5.6 wide


def test_curves_take_colour_and_line_style_in_turn(axes: Axes) -> None:
    lines = [axes.plot([0, 1], [k, k])[0] for k in range(10)]
    again = [axes.plot([0, 1], [k, k], **style.curve(k))[0] for k in range(10)]
    assert [to_hex(line.get_color()) for line in lines] == list(style.PALETTE)
    for line, same in zip(lines, again, strict=True):
        assert line.get_color() == same.get_color()
        assert line._unscaled_dash_pattern == same._unscaled_dash_pattern
        assert line.get_marker() == "None"  # hundreds of points do not become hundreds of marks


def test_a_marker_leaves_each_curve_its_line_style(axes: Axes) -> None:
    lines = [axes.plot([0, 1, 2], [k, k, k], marker="o")[0] for k in range(3)]
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 3


def test_importing_viz_applies_the_style() -> None:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        assert matplotlib.rcParams["axes.spines.top"]
        importlib.reload(viz)
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(style.PALETTE)
        assert not matplotlib.rcParams["axes.spines.top"]


def test_the_still_picture_has_the_style_without_viz() -> None:
    """Two explorers of one state give one picture, whatever the session's settings are."""
    values = SimpleNamespace(x=torch.rand(3, 1, 4, 4) - 0.5)
    explorer = explorers.Explorer([explorers.Slider("t", range(3))], [explorers.Panel("p", values.x, ("t",))])
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        first = explorers.engine.still_picture(explorer)
        style.use()
        assert explorers.engine.still_picture(explorer) == first
