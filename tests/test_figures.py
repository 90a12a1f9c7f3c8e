"""Figures that cannot be read without colour, or whose axes have no name, are found."""

import re

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from course_utils.authoring import figures
from course_utils.style import PALETTE, curve, rc


@plt.rc_context(rc())
def drawn(how: str) -> Figure:
    figure, axes = plt.subplots(1, 2, sharey=True)
    axes[0].set(xlabel="x", ylabel="y", title="left")
    axes[1].set(xlabel="x")
    x = [0, 1, 2, 3]
    exec(how, {"axes": axes, "figure": figure, "x": x, "curve": curve, "PALETTE": PALETTE, "plt": plt})
    plt.close(figure)
    return figure


@pytest.mark.parametrize(
    "how",
    [
        "",
        "axes[0].plot(x, x, **curve(0)); axes[0].plot(x, x, **curve(1))",
        "axes[0].plot(x, x); axes[0].plot(x, x)",
        "axes[0].plot(x, x, 'o-'); axes[0].plot(x, x, 's-')",
        "axes[0].errorbar(x, x, x, fmt='o-', capsize=2); axes[0].errorbar(x, x, x, fmt='s--', capsize=2)",
        "axes[0].plot(x, x, '-', color='black'); axes[0].plot(x, x, '-', color='0.7')",
        "axes[0].plot(x, x, '-', color='red'); axes[0].plot(x, x, '-', color='red')",
        "axes[0].axvline(1, color=PALETTE[0]); axes[0].axvline(2, color=PALETTE[1])",
        "axes[0].scatter(x, x, marker='o', color=PALETTE[0]); axes[0].scatter(x, x, marker='x', color=PALETTE[1])",
        "axes[0].scatter(x, x, color=PALETTE[:4]); [axes[0].text(k, k, str(k)) for k in x]",
        "axes[1].set_xlabel(''); axes[1].set_axis_off()",
        "axes[1].set_xlabel(''); axes[1].set_xticks([])",
        "axes[1].set_xlabel(''); figure.supxlabel('x')",
        "axes[1].set_xlabel(''); axes[1].set_xticks(x, ['clean', 'noisy', 'blurred', 'real'])",
        "axes[1].set_xlabel(''); axes[1].set_xticks(x, ['image $x$', '$\\\\hat x$', '$z$', '3'])",
    ],
)
def test_a_figure_that_can_be_read_has_no_faults(how: str) -> None:
    assert figures.faults(drawn(how)) == []


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("axes[1].set_xlabel('')", "x axis of 'a panel' has no name"),
        ("axes[1].set_xlabel(''); axes[1].set_xticks(x, ['1', '2', '3', '4 x'])", "has no name"),
        ("axes[0].set_ylabel('')", "y axis of 'left' has no name"),
        (
            "axes[0].plot(x, x, '-', color=PALETTE[0]); axes[0].plot(x, x, '-', color=PALETTE[1], label='b')",
            "curves .* and 'b' of 'left' differ in hue alone",
        ),
        (
            "axes[0].plot(x, x, 'o-', color='red'); axes[0].plot(x, x, 'o-', color='green')",
            "differ in hue alone",
        ),
        (
            "axes[0].scatter(x, x, color=PALETTE[0], label='a'); axes[0].scatter(x, x, color=PALETTE[1])",
            "points 'a' .* differ in hue alone",
        ),
        ("axes[0].scatter(x, x, color=PALETTE[:4])", "4 kinds of points in 'left' differ in hue alone"),
    ],
)
def test_a_fault_is_named(how: str, what: str) -> None:
    found = figures.faults(drawn(how))
    assert found
    assert re.search(what, found[0]), found


def test_lightness_is_that_of_cielab() -> None:
    """Against known values of the CIE's scale."""
    for colour, value in {
        "white": 100,
        "black": 0,
        "#777777": 50.03,
        "#ff0000": 53.24,
        "#0000ff": 32.30,
    }.items():
        assert figures._lightness(colour) == pytest.approx(value, abs=0.05), colour


def test_a_watched_figure_stops_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())))
    figures.watch()
    figure, axes = plt.subplots()
    try:
        with pytest.raises(AssertionError, match="has no name"):
            plt.show()
        axes.set(xlabel="x", ylabel="y")
        plt.show()
    finally:
        plt.close(figure)
    assert len(shown) == 1
