"""Pixels of the sheets, and what matplotlib really draws."""

import re
from collections.abc import Callable
from datetime import datetime
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from torch import Tensor

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils import viz


def random_images(*shape: int) -> Tensor:
    """Bytes in [-1, 1] that are never white."""
    pixels = torch.randint(255, shape, generator=torch.Generator().manual_seed(0))
    return pixels / 127.5 - 1


def as_bytes(x: Tensor) -> np.ndarray:
    return ((x.double() + 1) * 127.5).round().to(torch.uint8).numpy()


def drawn(ax: Axes | None) -> Axes:
    """The axes drawn into: those given, or those of the only figure."""
    if ax is None:
        assert len(plt.get_fignums()) == 1
        (ax,) = plt.gcf().axes
    return ax


def rendered(ax: Axes) -> np.ndarray:
    """The figure as RGB bytes, with row 0 at its bottom as matplotlib counts."""
    ax.figure.canvas.draw()
    return np.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3]


def at(ax: Axes, x: float, y: float) -> np.ndarray:
    """The colour drawn at a point of the data."""
    picture = rendered(ax)
    column, row = ax.transData.transform((x, y))
    return picture[int(row), int(column)].astype(int)


# -------------------------------------------------------------------------------------------------- tile


@pytest.mark.parametrize("gap", [0, 1, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("n", "columns"), [(6, 3), (7, 3), (1, 1), (5, 5), (4, 1), (2, 10)])
def test_tile_puts_each_image_in_its_place(n: int, columns: int, channels: int, gap: int) -> None:
    x = random_images(n, channels, 4, 6)
    sheet = viz.tile(x, columns, gap=gap)
    across = min(n, columns)
    down = (n + across - 1) // across
    assert sheet.dtype == np.uint8
    assert sheet.shape == (4 * down + gap * (down - 1), 6 * across + gap * (across - 1), 3)
    left_over = np.ones(sheet.shape[:2], dtype=bool)
    for i, image in enumerate(as_bytes(x)):
        row, column = divmod(i, across)
        place = (
            slice(row * (4 + gap), row * (4 + gap) + 4),
            slice(column * (6 + gap), column * (6 + gap) + 6),
        )
        for channel in range(3):
            np.testing.assert_array_equal(sheet[place][..., channel], image[channel % channels])
        left_over[place] = False
    assert (sheet[left_over] == 255).all()
    assert left_over.sum() == sheet.shape[0] * sheet.shape[1] - n * 24


def test_tile_leaves_one_pixel_between_images() -> None:
    assert viz.tile(random_images(4, 1, 4, 6), 2).shape == (9, 13, 3)


def test_tile_clips_what_a_model_overshoots() -> None:
    assert viz.tile(torch.tensor([-3.0, 3.0]).view(1, 1, 1, 2), 1)[0, :, 0].tolist() == [0, 255]


def test_tile_takes_what_a_model_returns() -> None:
    x = random_images(2, 3, 4, 4).requires_grad_().contiguous(memory_format=torch.channels_last)
    assert viz.tile(x, 2).shape == (4, 9, 3)


@pytest.mark.gpu
def test_tile_takes_images_of_an_accelerator() -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator on this machine")
    x = random_images(2, 3, 4, 4)
    np.testing.assert_array_equal(viz.tile(x.to(torch.accelerator.current_accelerator()), 2), viz.tile(x, 2))


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (1, 4, 4), (4, 4)], ids=str)
def test_tile_refuses_what_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"x must have the shape (N, C, H, W), N ≥ 1, not {shape}")
    ):
        viz.tile(torch.zeros(shape), 2)


ONE, TWO = torch.zeros(1, 1, 4, 4), torch.zeros(2, 1, 4, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: viz.tile(TWO.expand(2, 2, 4, 4), 2), "x must have 1 or 3 channels, not 2"),
        (lambda: viz.tile(TWO.byte(), 2), "x must be float, not torch.uint8"),
        (lambda: viz.tile(TWO / 0, 2), "x must be finite"),
        (lambda: viz.tile(TWO, 0), "columns=0 must be a whole number of at least 1"),
        (lambda: viz.tile(TWO, 2, gap=-1), "gap=-1 must be a whole number of at least 0"),
        (lambda: viz.show_images(TWO, scale=0), "scale=0 must be a number above 0"),
        (lambda: viz.show_rows({}), "rows is empty"),
        (lambda: viz.show_rows({"a": TWO, "b": TWO[0]}), r"rows\['b'\] must have the shape"),
        (lambda: viz.show_rows({"a": ONE, "b": TWO}), r"one shape \(N, C, H, W\), not \(1, 1, .*, \(2, 1,"),
    ],
)
def test_what_cannot_be_drawn_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
    assert plt.get_fignums() == []


def plain_figure() -> Figure:
    """Left half red, right half black."""
    figure = Figure(figsize=(2, 1), facecolor="black")
    figure.add_axes((0, 0, 0.5, 1)).set_facecolor("red")
    figure.axes[0].set(xticks=[], yticks=[])
    figure.axes[0].spines[:].set_visible(False)
    return figure


def test_a_figure_becomes_a_chart() -> None:
    x = viz.chart(plain_figure()).image
    assert x.shape == (3, 80, 160)
    assert x[:, 5:-5, 5:75].flatten(1).T.unique(dim=0).tolist() == [[1, -1, -1]]
    assert (x[:, :, 85:] == -1).all()


def test_a_chart_keeps_text_as_text_and_places_to_a_tenth_of_a_point() -> None:
    figure = Figure(figsize=(2, 1))
    ax = figure.subplots()
    ax.plot([0, 1, 2, 3], [0, 1 / 3, 2 / 7, 1])
    ax.set_xlabel("time step t")
    root = ElementTree.fromstring(viz.chart(figure).svg)
    texts = ["".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "time step t" in texts
    paths = [node.get("d") for node in root.iter("{http://www.w3.org/2000/svg}path")]
    numbers = [n for path in paths for n in re.findall(r"-?[\d.]+", path or "")]
    assert len(numbers) > 20
    assert all(len(n.partition(".")[2]) <= 1 for n in numbers)
    assert [float(n) for n in root.get("viewBox", "").split()] == [0, 0, 144, 72]


def test_a_chart_is_the_same_each_time() -> None:
    one, again = viz.chart(plain_figure()), viz.chart(plain_figure())
    assert one.svg == again.svg
    assert str(datetime.now().year) not in one.svg


def test_a_chart_leaves_no_figure_open() -> None:
    figure, _ = plt.subplots()
    viz.chart(figure)
    assert not plt.fignum_exists(figure.number)


# ----------------------------------------------------------------------------------------------- pictures


def test_show_images_draws_the_sheet() -> None:
    x = random_images(5, 1, 6, 6)
    viz.show_images(x, columns=3, title="five")
    ax = drawn(None)
    assert ax.get_title() == "five"
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), viz.tile(x, 3))
    assert not ax.axison
    for column, row in ((0, 0), (5, 5), (7, 0), (0, 7)):  # the first images, upright, the first row on top
        assert np.abs(at(ax, column, row) - viz.tile(x, 3)[row, column]).max() <= 1


def test_show_images_has_ten_columns_unless_asked_otherwise() -> None:
    viz.show_images(random_images(12, 3, 4, 4))
    assert drawn(None).images[0].get_array().shape == (9, 49, 3)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_scale_is_the_height_of_an_image(scale: float) -> None:
    viz.show_images(random_images(8, 1, 20, 20), columns=4, scale=scale)
    width, height = plt.gcf().get_size_inches()
    assert width == pytest.approx(4 * scale, rel=0.05)
    assert height == pytest.approx(2 * scale, rel=0.05)


def test_show_rows_draws_and_names_each_row() -> None:
    rows = {"clean": random_images(4, 1, 6, 6), "noisy": random_images(8, 1, 6, 6)[4:]}
    viz.show_rows(rows)
    ax = drawn(None)
    np.testing.assert_array_equal(ax.images[0].get_array(), viz.tile(torch.cat(list(rows.values())), 4))
    ax.figure.canvas.draw()
    said = {label.get_text(): tick for label, tick in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)}
    assert said.keys() == rows.keys()
    assert said["clean"] == pytest.approx(2.5, abs=1)  # the middle of its pixels, 0 … 5
    assert said["noisy"] == pytest.approx(9.5, abs=1)  # 7 … 12
    assert [label.get_text() for label in ax.get_xticklabels()] == []


# --------------------------------------------------------------------------------------------------- axes

DRAW: dict[str, Callable[[Axes | None], object]] = {
    "images": lambda ax: viz.show_images(torch.zeros(3, 1, 4, 4), ax=ax),
    "rows": lambda ax: viz.show_rows({"a": torch.zeros(3, 1, 4, 4)}, ax=ax),
}


@pytest.mark.parametrize("kind", DRAW)
def test_pictures_are_drawn_into_the_axes_given(kind: str) -> None:
    figure, (left, right) = plt.subplots(1, 2)
    DRAW[kind](right)
    assert plt.get_fignums() == [figure.number]
    assert right.images
    assert not left.images
    figure.canvas.draw()


@pytest.mark.parametrize("kind", DRAW)
def test_a_picture_of_its_own_is_shown_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a notebook shows it only at the end of the cell, below the table that belongs below it."""
    shown: list[list[int]] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    DRAW[kind](plt.figure().subplots())
    assert shown == []
    DRAW[kind](None)
    assert shown == [plt.get_fignums()]


@pytest.mark.parametrize("kind", DRAW)
def test_without_axes_each_picture_has_a_figure_of_its_own(kind: str) -> None:
    other = plt.figure()
    DRAW[kind](None)
    assert len(plt.get_fignums()) == 2
    assert other.axes == []
    (ax,) = plt.gcf().axes
    ax.figure.canvas.draw()
    assert ax.images


# -------------------------------------------------------------------------------------------------- table


def test_a_table_shows_its_rows() -> None:
    text = viz.table(["model", "error", "n"], [["plain", 12.3456, 7], ["denoising", 0.00012345, 12345]]).data
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["model", "error", "n"]
    assert all(set(cell) <= set("-:") and "---" in cell for cell in lines[1])
    assert [cell.endswith(":") for cell in lines[1]] == [False, True, True]
    assert lines[2:] == [["plain", "12.3", "7"], ["denoising", "0.000123", "12345"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9, "0.900"), (1.0, "1.00"), (10.0, "10.0"), (0.0, "0.00"), (-151.6, "−152"), (999.7, "1,000"),
     (98765.4, "98,765"), (-0.00051, "−0.000510"), (1, "1"), (-1, "-1"), ("0.9", "0.9")],
)  # fmt: skip
def test_a_table_keeps_the_zeros_of_what_was_measured(value: object, text: str) -> None:
    """Beside 0.954 a 0.9 looks counted, not measured, and a 1 looks exact."""
    assert viz.table(["x", "y"], [["b", value]]).data.splitlines()[-1] == f"| b | {text} |"


def test_a_bar_in_a_table_stays_in_its_cell() -> None:
    from markdown_it import MarkdownIt

    html = MarkdownIt("js-default").render(viz.table(["nats", "value"], [["KL(q ‖ p(z|x))", 1.5]]).data)
    assert re.findall("<t[hd][^>]*>(.*?)</t[hd]>", html) == ["nats", "value", "KL(q ‖ p(z|x))", "1.50"]


@pytest.mark.parametrize("row", [["a"], ["a", 1, 2]])
def test_a_table_refuses_rows_of_another_length(row: list) -> None:
    with pytest.raises(ValueError, match=r"rows must have 2 entries each.*got \[2, "):
        viz.table(["x", "y"], [["b", 2], row])
