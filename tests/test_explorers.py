"""Explorers: what the front end will show, read back from the state by code of our own."""

from __future__ import annotations

import base64
import io
import itertools
import json
import math
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from drawn import random_images, seed
from IPython.core.formatters import DisplayFormatter
from ipywidgets import Widget
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import Tensor, nn

from course_utils import metrics
from course_utils.data import Images, load_images
from course_utils.explorers import (
    NEAREST,
    Choice,
    Explorer,
    LatentExplorer,
    MetricsExplorer,
    NoiseExplorer,
    Pad,
    Panel,
    Readout,
    Slider,
)
from course_utils.explorers.metrics import _mixed
from course_utils.explorers.still import with_few_colours
from course_utils.features import Features, feature_extractor
from course_utils.nets import blur, lerp, slerp

HALF_STEP = 0.5 / 127.5 + 1e-6  # rounding of [-1, 1] to 8 bits


class Linear(nn.Module):
    """encode = W x, decode = tanh(W' z): deterministic, but sees dropout unless it is put into eval mode."""

    def __init__(self, d: int, shape: tuple[int, int, int] = (1, 6, 5)) -> None:
        super().__init__()
        self.shape = shape
        weight = torch.randn(d, math.prod(shape), generator=seed(d)) / math.prod(shape) ** 0.5
        self.weight = nn.Parameter(weight)
        self.dropout = nn.Dropout(0.5)
        self.sizes: list[int] = []

    def encode(self, x: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        self.sizes.append(len(x))
        return self.dropout(x.flatten(1) @ self.weight.T * 5)

    def decode(self, z: Tensor) -> Tensor:
        self.sizes.append(len(z))
        return (z @ self.weight).tanh().unflatten(1, self.shape)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def codes_of(model: Linear, images: SimpleNamespace) -> np.ndarray:
    return (images.x.flatten(1) @ model.weight.detach().T * 5).numpy()


def decoded_by(model: Linear, z: np.ndarray) -> np.ndarray:
    return np.tanh(z @ model.weight.detach().numpy()).reshape(-1, *model.shape)


def image_set(n: int = 40, shape: tuple[int, int, int] = (1, 6, 5)) -> SimpleNamespace:
    return SimpleNamespace(x=random_images(n, *shape), y=torch.arange(n) % 7, classes=tuple("abcdefg"))


def shown(explorer: Explorer, title: str, nearest: int = 0, **where: int) -> np.ndarray:
    """The frame (C, H, W) in [-1, 1] that the front end shows in a panel: an own reading of the state."""
    panel = next(p for p in explorer.panels if p["title"] == title)
    names = [control["name"] for control in explorer.controls]
    dims = [where.get(name, explorer.index[i]) for i, name in enumerate(names)] + [nearest]
    assert set(where) <= set(names)
    number = panel["frames"][int(np.dot(dims, panel["strides"]))]
    sprite = explorer.sprites[panel["sprite"]]
    sheet = Image.open(io.BytesIO(base64.b64decode(sprite["src"].split("base64,", 1)[1])))
    (h, w), column, row = sprite["tile"], number % sprite["columns"], number // sprite["columns"]
    tile = sheet.convert("RGB").crop((column * w, row * h, (column + 1) * w, (row + 1) * h))
    frame = np.asarray(tile).astype(float).transpose(2, 0, 1) / 127.5 - 1
    return frame if sheet.mode in ("P", "RGB") else frame[:1]


# Interpolation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolate", [lerp, slerp])
def test_interpolation_starts_and_ends_at_its_ends(interpolate: Any) -> None:
    z0, z1 = torch.randn(2, 9, 5, generator=seed(), dtype=torch.float64)
    torch.testing.assert_close(interpolate(z0, z1, 0.0), z0)
    torch.testing.assert_close(interpolate(z0, z1, 1.0), z1)
    torch.testing.assert_close(interpolate(z0, z1, 0.3), interpolate(z1, z0, 0.7))


def test_lerp_is_the_point_on_the_segment() -> None:
    torch.testing.assert_close(
        lerp(torch.tensor([0.0, 4.0]), torch.tensor([8.0, 0.0]), 0.25), torch.tensor([2.0, 3.0])
    )


def test_slerp_halves_a_right_angle() -> None:
    z = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    torch.testing.assert_close(z, torch.full((2,), 0.5**0.5))


def test_slerp_turns_at_a_constant_speed_on_the_circle() -> None:
    turn = torch.linspace(0, 1, 7, dtype=torch.float64)
    start, angle, radius = 0.4, 2.0, 3.0
    on_circle = lambda a: radius * torch.stack([torch.cos(a), torch.sin(a)], dim=-1)  # noqa: E731
    ends = on_circle(torch.tensor([start, start + angle], dtype=torch.float64))
    torch.testing.assert_close(slerp(ends[0], ends[1], turn), on_circle(start + angle * turn))


def test_slerp_keeps_the_norm_of_vectors_of_equal_norm() -> None:
    z0, z1 = (
        nn.functional.normalize(torch.randn(2, 50, 16, generator=seed(), dtype=torch.float64), dim=-1) * 4
    )
    for t in (0.1, 0.5, 0.8):
        torch.testing.assert_close(slerp(z0, z1, t).norm(dim=-1), torch.full((50,), 4.0, dtype=torch.float64))
        assert (lerp(z0, z1, t).norm(dim=-1) < 4).all()


@pytest.mark.parametrize(
    ("z0", "z1"),
    [([1.0, 2.0], [2.0, 4.0]), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 0.0], [-2.0, 0.0]), ([0.0, 0.0], [3.0, 1.0])],
    ids=["parallel", "equal", "opposite", "zero"],
)
def test_slerp_without_an_angle_is_lerp(z0: list[float], z1: list[float]) -> None:
    a, b = torch.tensor(z0), torch.tensor(z1)
    torch.testing.assert_close(slerp(a, b, 0.3), a + 0.3 * (b - a))


# The general machine ----------------------------------------------------------------------------------------


def small_explorer(channels: int = 1, **options: Any) -> tuple[Explorer, Tensor]:
    frames = random_images(3, 4, channels, 5, 6)
    frames[1] = frames[0]  # equal frames
    controls = [Slider("t", [0.5, 1, 20.25, 3], play=True), Choice("which", ["one", "two", "three"])]
    values = torch.arange(12.0).reshape(3, 4)
    readouts = [Readout("score", values, ("which", "t")), Readout("name", ["x", "y", "z"], ("which",))]
    return Explorer(controls, [Panel("frames", frames, ("which", "t"))], readouts, **options), frames


@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_comes_back_from_the_sprite(channels: int) -> None:
    explorer, frames = small_explorer(channels)
    for which, t in itertools.product(range(3), range(4)):
        seen = shown(explorer, "frames", which=which, t=t)
        np.testing.assert_allclose(seen, frames[which, t].numpy(), atol=HALF_STEP)
        mine = explorer.frame("frames", [t, which]).transpose(2, 0, 1) / 127.5 - 1
        np.testing.assert_allclose(mine, frames[which, t].numpy(), atol=HALF_STEP)


def test_equal_frames_are_stored_once() -> None:
    explorer, _ = small_explorer()
    assert [sprite["count"] for sprite in explorer.sprites] == [8]  # two of three rows of four


def test_values_follow_their_controls() -> None:
    explorer, _ = small_explorer()
    score, name = explorer.readouts
    for which, t in itertools.product(range(3), range(4)):
        dims = [t, which, 0]
        assert score["values"][int(np.dot(dims, score["strides"]))] == 4 * which + t
        assert name["values"][int(np.dot(dims, name["strides"]))] == "xyz"[which]
    assert score["maximum"] == 11
    assert explorer.controls[0]["ticks"] == ["0.5", "1", "20.25", "3"]


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0.24, 177.4], 1), ([0.012, 0.5], 3), ([3, 400], 0), ([1500.5, 0.0], 1), ([0.0, 0.0], 0)],
)
def test_a_small_value_beside_large_ones_does_not_become_0(values: list[float], decimals: int) -> None:
    explorer = Explorer([T], [P], [Readout("r", values, ("t",))])
    assert explorer.readouts[0]["decimals"] == decimals
    for value, kept in zip(values, explorer.readouts[0]["values"], strict=True):
        assert f"{kept:.{decimals}f}" == f"{value:.{decimals}f}"


def test_a_bar_from_0_is_not_drawn_for_what_may_be_negative() -> None:
    readouts = [Readout("r", values, ("t",), maximum=3) for values in ([-1.7, 0.0], [1.7, 0.0])]
    explorer = Explorer([T], [P], readouts)
    assert ["maximum" in readout for readout in explorer.readouts] == [False, True]


def test_few_colours_lose_nothing_and_a_palette_limits_them() -> None:
    few = random_images(1, 3, 1, 1).expand(16, 3, 4, 4) * torch.linspace(-1, 1, 16)[:, None, None, None]
    many = random_images(16, 3, 8, 8)
    slider = [Slider("t", range(16))]
    exact = Explorer(slider, [Panel("p", few, ("t",))])
    limited = Explorer(slider, [Panel("p", many, ("t",))], colors=10)
    sheets = [
        Image.open(io.BytesIO(base64.b64decode(e.sprites[0]["src"].split(",")[1]))) for e in (exact, limited)
    ]
    assert [sheet.mode for sheet in sheets] == ["P", "P"]
    for t in range(16):
        np.testing.assert_allclose(shown(exact, "p", t=t), few[t].numpy(), atol=HALF_STEP)
    assert len(sheets[1].convert("RGB").getcolors()) <= 10


def test_jpeg_is_small_close_and_keeps_frames_apart() -> None:
    x = load_images("scenes", "test", n=36).x + 0.02 * random_images(36, 3, 64, 64)
    x, slider = x.clamp(-1, 1), [Slider("t", range(36))]
    exact, small = (Explorer(slider, [Panel("p", x, ("t",))], jpeg=quality) for quality in (None, 80))
    assert len(small.sprites[0]["src"]) < len(exact.sprites[0]["src"]) / 4
    for t in range(36):
        assert (shown(small, "p", t=t) - x[t].numpy()).std() < 2 / 30  # a thirtieth of the range


def test_index_can_be_set_and_is_checked() -> None:
    explorer, _ = small_explorer(index=[3, 1])
    explorer.index = [2, 0]
    assert explorer.index == [2, 0]
    for wrong in ([4, 0], [0, -1], [0], [0.5, 0]):
        with pytest.raises(Exception, match=r"'t' 0\.\.3, 'which' 0\.\.2"):
            explorer.index = wrong
    assert explorer.index == [2, 0]


def test_live_frame_answers_the_position() -> None:
    asked = []

    def decode(x: float, y: float) -> np.ndarray:
        asked.append((x, y))
        return np.full((1, 4, 4), x / 10, np.float32)

    pad = Pad("z", x=(-10, 10), y=(0, 4), columns=5, rows=3)
    frames = np.zeros((15, 1, 4, 4), np.float32)
    explorer = Explorer([pad], [Panel("p", frames, ("z",))], live=decode, live_panel="p")
    assert explorer.position == [0, 2]
    assert not asked, "the start is a node: its frame is stored"
    explorer.position = [7.5, 1.25]
    assert asked == [(7.5, 1.25)]
    assert explorer.live_frame["position"] == [7.5, 1.25]
    tile = Image.open(io.BytesIO(base64.b64decode(explorer.live_frame["src"].split(",")[1])))
    np.testing.assert_allclose(np.asarray(tile) / 127.5 - 1, np.full((4, 4), 0.75), atol=HALF_STEP)


def map_with(**options: Any) -> Explorer:
    """A map with three points."""
    return Explorer([Pad("z", (0, 1), (0, 1), 3, 3, **({"points": np.zeros((3, 2))} | options))], [])


P = Panel("p", random_images(2, 1, 4, 4), ("t",))
T = Slider("t", [0, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Explorer([], []), "controls is empty"),
        (lambda: Explorer([T, T], []), "different names"),
        (lambda: Explorer([Slider("t", [])], []), "'t' has no positions"),
        (lambda: Explorer([T], [Panel("p", P.frames, ("s",))]), r"'p'.*'s', not one of \['t'\]"),
        (lambda: Explorer([T], [Panel("p", P.frames, (NEAREST,))]), NEAREST),
        (lambda: Explorer([T], [Panel("p", random_images(3, 1, 4, 4), ("t",))]), r"\(3,\) must be \(2,\)"),
        (
            lambda: Explorer([T], [Panel("p", random_images(2, 2, 4, 4), ("t",))]),
            "frames of panel 'p' must have 1 or 3 channels",
        ),
        (lambda: Explorer([T], [Panel("p", P.frames * 3, ("t",))]), r"'p' holds .* must lie in \[-1, 1\]"),
        (lambda: Explorer([T], [Panel("p", P.frames * math.nan, ("t",))]), "'p' holds nan … nan"),
        (lambda: Explorer([T], [Panel("p", P.frames.int(), ("t",))]), "'p' must be float, not torch.int32"),
        (lambda: Explorer([T], [Panel("p", P.frames, ("t",), strip="s")]), "strip='s'"),
        (lambda: Explorer([T], [P], [Readout("r", [1, 2, 3], ("t",))]), r"'r'.*\(3,\) must be \(2,\)"),
        (lambda: Explorer([T], [P], [Readout("r", [1, math.inf], ("t",))]), "'r'.*finite"),
        (lambda: Explorer([T], [P], [Readout("r", [1, 2], ("t",), panel="q")]), r"panel='q'.*\['p'\]"),
        (lambda: Explorer([T], [P], live=lambda x, y: P.frames[0], live_panel="p"), "needs a Pad"),
        (lambda: Explorer([Pad("z", (0, 1), (0, 1), 1, 3)], []), "columns=1, rows=3 is too small"),
        (lambda: Explorer([Pad("z", (0, 0), (0, 1), 3, 3)], []), r"x=\(0, 0\) must be finite and increasing"),
        (lambda: Explorer([T], [P], [Readout("r", [1, 2], ("t",), maximum=-1)]), "'r': maximum=-1"),
        (lambda: Explorer([Slider("t", [0, 1], interval=0)], [P]), "'t': interval=0"),
        (lambda: Explorer([T], [P], jpeg=96), "jpeg=96 must be a whole number from 1 to 95"),
        (lambda: Explorer([T], [P], colors=0), "colors=0 must be a whole number from 1 to 256"),
        (
            lambda: map_with(points=np.zeros((3, 3))),
            r"points must have the shape \(\.\.\., N, 2\), not \(3, 3\)",
        ),
        (lambda: map_with(points=np.full((3, 2), np.nan)), "points must be finite"),
        (lambda: map_with(labels=[0, 1]), r"labels must be whole numbers \(3,\)"),
        (lambda: map_with(labels=[0.0, 1.0, 0.5]), r"labels must be whole numbers .* not float64"),
        (lambda: map_with(labels=[0, 1, 2], classes="ab"), "labels holds 0 … 2; allowed: 0 … 1"),
        (lambda: map_with(paths=np.zeros(2)), "paths must have the shape"),
        (lambda: map_with(mark="z"), "mark='z'.*give paths too"),
        (lambda: small_explorer()[0].frame("nothing"), r"panel='nothing' is not one of \['frames'\]"),
    ],
)
def test_parts_that_do_not_fit_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# LatentExplorer ---------------------------------------------------------------------------------------------


def test_map_shows_the_decoded_nodes() -> None:
    model, images = Linear(2), image_set()
    explorer = LatentExplorer(model, images, grid=7)
    pad = explorer.controls[0]
    xs, ys = np.linspace(*pad["x"], pad["columns"]), np.linspace(*pad["y"], pad["rows"])
    assert max(pad["columns"], pad["rows"]) == 7
    assert xs[1] - xs[0] == pytest.approx(ys[1] - ys[0])  # one scale on both axes
    for row, column in itertools.product(range(pad["rows"]), range(pad["columns"])):
        seen = shown(explorer, "decoded image", z=row * pad["columns"] + column)
        np.testing.assert_allclose(
            seen, decoded_by(model, np.array([xs[column], ys[row]]))[0], atol=HALF_STEP
        )
    low, high = codes_of(model, images).min(0), codes_of(model, images).max(0)
    assert (low > [pad["x"][0], pad["y"][0]]).all()
    assert (high < [pad["x"][1], pad["y"][1]]).all()


def test_dots_are_the_codes_with_their_images_and_classes() -> None:
    model, images = Linear(2), image_set()
    chosen = [3, 11, 30]
    explorer = LatentExplorer(model, images, grid=3, points=chosen)
    pad = explorer.controls[0]
    np.testing.assert_allclose(np.reshape(pad["points"], (-1, 2)), codes_of(model, images)[chosen], atol=2e-3)
    assert pad["labels"] == [i % 7 for i in chosen]
    for k, i in enumerate(chosen):
        seen = shown(explorer, "nearest encoded image", nearest=k)
        np.testing.assert_allclose(seen, images.x[i].numpy(), atol=HALF_STEP)
        assert explorer.readouts[0]["values"][k] == "abcdefg"[i % 7]


@pytest.mark.parametrize("d", [2, 5])
def test_interpolations_are_decoded_exactly(d: int) -> None:
    model, images, ends = Linear(d), image_set(), [0, 8, 21]
    explorer = LatentExplorer(model, images, grid=3, anchors=ends, steps=5)
    codes = codes_of(model, images)[ends].astype(float)
    for a, b, t in itertools.product(range(3), range(3), range(5)):
        z0, z1, share = codes[a], codes[b], t / 4
        straight = z0 + share * (z1 - z0)
        omega = math.acos(np.clip(z0 @ z1 / np.linalg.norm(z0) / np.linalg.norm(z1), -1, 1))
        turned = straight
        if a != b:
            turned = (math.sin((1 - share) * omega) * z0 + math.sin(share * omega) * z1) / math.sin(omega)
        for path, z in enumerate((straight, turned)):
            seen = shown(explorer, "decoded along the path", **{"from": a, "to": b, "path": path, "t": t})
            np.testing.assert_allclose(seen, decoded_by(model, z)[0], atol=HALF_STEP + 1e-5)


def test_path_on_the_map_is_the_interpolation() -> None:
    model, images, ends = Linear(2), image_set(), [0, 8, 21]
    explorer = LatentExplorer(model, images, grid=3, anchors=ends, steps=5)
    paths = explorer.controls[0]["paths"]
    xy = np.reshape(paths["xy"], (3, 3, 2, 5, 2))
    codes = torch.as_tensor(codes_of(model, images)[ends])
    for a, b, t in itertools.product(range(3), range(3), range(5)):
        for path, interpolate in enumerate((lerp, slerp)):
            expected = interpolate(codes[a], codes[b], t / 4)
            np.testing.assert_allclose(xy[a, b, path, t], expected, atol=2e-3)
    names = [control["name"] for control in explorer.controls]
    assert names[paths["mark"]] == "t"


class Doubled(Linear):
    """Its codes are twice as far apart."""

    def encode(self, x: Tensor) -> Tensor:
        return 2 * super().encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z / 2)


def test_a_series_shows_each_model_s_own_codes_and_images() -> None:
    models, images, chosen, ends = {1: Linear(2), 2: Doubled(2)}, image_set(), [3, 11, 30], [0, 8, 21]
    explorer = LatentExplorer(models, images, grid=5, points=chosen, anchors=ends, steps=5, series="scale")
    slider, pad = explorer.controls[:2]
    assert (slider["name"], slider["ticks"]) == ("scale", ["1", "2"])
    dots, nodes = np.reshape(pad["points"], (2, 3, 2)), pad["columns"] * pad["rows"]
    xy = np.reshape(pad["paths"]["xy"], (2, 3, 3, 2, 5, 2))
    for k, scale in enumerate(models):
        codes = scale * codes_of(models[1], images)
        np.testing.assert_allclose(dots[k], codes[chosen], atol=2e-3)
        assert (codes.min(0) > [pad["x"][0], pad["y"][0]]).all()
        assert (codes.max(0) < [pad["x"][1], pad["y"][1]]).all()
        for node in range(nodes):
            at = {"scale": k, pad["name"]: node}
            z = [
                np.linspace(*pad[axis], pad[n])[i]
                for axis, n, i in (
                    ("x", "columns", node % pad["columns"]),
                    ("y", "rows", node // pad["columns"]),
                )
            ]
            seen = shown(explorer, "decoded image", **at)
            np.testing.assert_allclose(
                seen, decoded_by(models[1], np.array(z) / scale)[0], atol=HALF_STEP + 1e-5
            )
        for a, b in itertools.product(range(3), range(3)):
            middle = (codes[ends[a]] + codes[ends[b]]) / 2
            np.testing.assert_allclose(xy[k, a, b, 0, 2], middle, atol=2e-3)
            at = {"scale": k, "from": a, "to": b, "path": 0, "t": 2}
            seen = shown(explorer, "decoded along the path", **at)
            np.testing.assert_allclose(seen, decoded_by(models[1], middle / scale)[0], atol=HALF_STEP + 1e-5)


def test_a_live_series_decodes_with_the_chosen_model() -> None:
    models, images = {1: Linear(2), 2: Doubled(2)}, image_set()
    explorer = LatentExplorer(models, images, grid=5, live=True, series="scale")
    x, y = explorer.controls[1]["x"][1] * 0.3, explorer.controls[1]["y"][1] * 0.2
    frames = []
    for k in range(2):
        explorer.index = [k, *explorer.index[1:]]
        explorer.position = [x, y + 1e-4 * k]
        frames.append(explorer.live_frame["src"])
    assert frames[0] != frames[1]


def test_a_series_needs_codes_of_two_numbers() -> None:
    with pytest.raises(ValueError, match="d = 2"):
        LatentExplorer({1: Linear(3), 2: Linear(3)}, image_set())
    with pytest.raises(ValueError, match="no model"):
        LatentExplorer({}, image_set())


def test_more_dimensions_show_the_plane_of_the_principal_components() -> None:
    model, images = Linear(5), image_set(60)
    explorer = LatentExplorer(model, images, grid=4, points=range(60))
    codes = codes_of(model, images).astype(float)
    centred = codes - codes.mean(0)
    _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
    pad = explorer.controls[0]
    dots = np.reshape(pad["points"], (-1, 2))
    np.testing.assert_allclose(dots.var(0), singular[:2] ** 2 / 60, rtol=2e-3)
    # Lifted back, a dot is its code's projection onto the plane, whatever the signs of the axes.
    for i in (0, 17, 59):
        expected = codes.mean(0) + centred[i] @ vectors[:2].T @ vectors[:2]
        np.testing.assert_allclose(explorer.code(*dots[i]), expected, atol=5e-3)
    node = shown(explorer, "decoded image", **{pad["name"]: 0})
    z = explorer.code(pad["x"][0], pad["y"][0]).numpy()
    np.testing.assert_allclose(node, decoded_by(model, z)[0], atol=HALF_STEP)
    assert "principal components of the 5-D codes" in pad["group"]


def test_live_latent_explorer_decodes_between_the_nodes() -> None:
    model, images = Linear(2), image_set()
    explorer = LatentExplorer(model, images, grid=3, live=True)
    explorer.position = [0.123, -0.456]
    tile = Image.open(io.BytesIO(base64.b64decode(explorer.live_frame["src"].split(",")[1])))
    expected = decoded_by(model, np.array([0.123, -0.456]))[0, 0]
    np.testing.assert_allclose(np.asarray(tile) / 127.5 - 1, expected, atol=HALF_STEP)


def test_model_is_used_in_eval_mode_in_batches_and_left_as_it_was() -> None:
    model, images = Linear(2).train(), image_set(600)
    LatentExplorer(model, images, grid=20)
    assert model.training
    assert max(model.sizes) <= 256
    assert model.weight.grad is None


def test_images_without_labels_have_no_legend() -> None:
    images = image_set()
    images.y = None
    explorer = LatentExplorer(Linear(2), images, grid=3, anchors=[4, 0, 2])
    assert "labels" not in explorer.controls[0]
    assert explorer.controls[1]["options"] == ["image 4", "image 0", "image 2"]


def test_default_anchors_are_of_different_classes() -> None:
    explorer = LatentExplorer(Linear(2), image_set(), grid=3)
    assert explorer.controls[1]["options"] == list("abcdef")


def labelled(label: int) -> SimpleNamespace:
    """Images of seven classes, one of them labelled otherwise."""
    images = image_set()
    images.y = images.y.index_fill(0, torch.tensor([3]), label)
    return images


class Loud(Linear):
    def decode(self, z: Tensor) -> Tensor:
        return 2 + super().decode(z)


class Broken(Linear):
    def __init__(self, encoded: Any) -> None:
        super().__init__(2)
        self.encoded = encoded

    def encode(self, x: Tensor) -> Tensor:
        return self.encoded(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LatentExplorer(Linear(2), image_set(), grid=1),
            "grid=1 must be a whole number of at least 2",
        ),
        (
            lambda: LatentExplorer(Linear(2), image_set(), steps=1),
            "steps=1 must be a whole number of at least 2",
        ),
        (
            lambda: LatentExplorer(Linear(2), image_set(), points=0),
            "points=0 must be a whole number of at least 1",
        ),
        (lambda: LatentExplorer(Linear(2), image_set(), points=[40]), r"points=\[40\].*0 to 39"),
        (
            lambda: LatentExplorer(Linear(2), image_set(), anchors=0),
            "anchors=0 must be a whole number of at least 1",
        ),
        (lambda: LatentExplorer(Linear(2), image_set(), anchors=[-1]), r"anchors=\[-1\].*0 to 39"),
        (
            lambda: LatentExplorer(Linear(2), image_set(0)),
            r"images\.x must have the shape \(N, C, H, W\), N ≥ 1",
        ),
        (lambda: LatentExplorer(Linear(1), image_set()), r"shape \(40, d\), d >= 2; got \(40, 1\)"),
        (lambda: LatentExplorer(Broken(lambda x: x), image_set()), r"got \(40, 1, 6, 5\)"),
        (lambda: LatentExplorer(Broken(lambda x: x.flatten(1) * math.nan), image_set()), "encode.*finite"),
        (lambda: LatentExplorer(Loud(2), image_set()), r"model\.decode\(z\) holds .* must lie in \[-1, 1\]"),
        (lambda: LatentExplorer(Linear(2), labelled(7)), r"images\.y holds 0 … 7; allowed: 0 … 6"),
        (lambda: LatentExplorer(Linear(2), labelled(-1)), r"images\.y holds -1 … 6; allowed: 0 … 6"),
        (lambda: NoiseExplorer(Linear(2), labelled(7)), r"images\.y holds 0 … 7; allowed: 0 … 6"),
        (
            lambda: NoiseExplorer(Loud(2), image_set()),
            r"model\.reconstruct\(x\) holds .* must lie in \[-1, 1\]",
        ),
        (lambda: NoiseExplorer(Linear(2), image_set(), kinds=()), r"kinds=\(\)"),
        (lambda: NoiseExplorer(Linear(2), image_set(), kinds=("fog",)), "no entry for kind 'fog'"),
        (
            lambda: NoiseExplorer(Linear(2), image_set(), kinds="ab", levels={"a": [1], "b": [1, 2]}),
            "kinds='ab' must be a sequence",
        ),
        (
            lambda: NoiseExplorer(Linear(2), image_set(), kinds=["a", "b"], levels={"a": [1], "b": [1, 2]}),
            r"equally many.*\{'a': 1, 'b': 2\}",
        ),
        (lambda: noise_explorer(corrupt=lambda x, kind, level, generator: x[:1]), r"corrupt must.*got \(1, "),
    ],
)
def test_bad_input_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# NoiseExplorer ----------------------------------------------------------------------------------------------

LEVELS = {"gaussian": [0.0, 0.25, 1.0, 2.0], "zero": [0.0, 0.3, 0.6, 1.0]}


def corrupt(x: Tensor, kind: str, level: float, *, generator: torch.Generator) -> Tensor:
    if kind == "gaussian":
        return x + level * torch.randn(x.shape, generator=generator)
    return torch.where(torch.rand(x.shape, generator=generator) < level, torch.tensor(-1.0), x)


def noise_explorer(**options: Any) -> NoiseExplorer:
    options = {
        "kinds": list(LEVELS),
        "levels": LEVELS,
        "count": [2, 5],
        "corrupt": corrupt,
        "seed": 3,
    } | options
    return NoiseExplorer(Linear(2), image_set(), **options)


def errors(explorer: NoiseExplorer, panel: int) -> np.ndarray:
    """The read-outs under a panel: (images, kinds, levels)."""
    readout = next(r for r in explorer.readouts if r["panel"] == panel)
    return np.reshape(readout["values"], (2, 2, 4))


def test_noise_panels_and_errors() -> None:
    baseline = Linear(4)
    explorer = noise_explorer(baseline=baseline)
    images, model = image_set(), Linear(2)
    titles = ["clean", "corrupted", "denoising autoencoder", "plain autoencoder"]
    assert [panel["title"] for panel in explorer.panels] == titles
    for i, kind, level in itertools.product(range(2), range(2), range(4)):
        where = {"image": i, "corruption": kind, "level": level}
        name = list(LEVELS)[kind]
        clean = images.x[[2, 5]]
        noisy = corrupt(clean, name, LEVELS[name][level], generator=seed(3))
        with torch.inference_mode():
            restored = [net.eval().reconstruct(noisy) for net in (model, baseline)]
        expected = [clean, noisy, *restored]
        for p, (title, batch) in enumerate(zip(titles, expected, strict=True)):
            seen = shown(explorer, title, **where)
            np.testing.assert_allclose(seen, batch[i].clamp(-1, 1).numpy(), atol=HALF_STEP + 1e-6)
            if p:
                error = float(((batch[i] - clean[i]) ** 2).sum())
                assert errors(explorer, p)[i, kind, level] == pytest.approx(error, abs=0.01)


def test_only_the_strength_of_the_noise_changes_with_its_level() -> None:
    gaussian = errors(noise_explorer(), 1)[:, 0]
    np.testing.assert_allclose(gaussian[:, 0], 0)
    growth = gaussian[:, 1:] / gaussian[:, 2:3]
    np.testing.assert_allclose(growth, np.square([LEVELS["gaussian"][1:]] * 2), rtol=0.01)


def test_the_seed_decides_the_noise() -> None:
    def drawn(**options: Any) -> list[dict[str, Any]]:
        return noise_explorer(**options).sprites

    assert drawn(seed=1) == drawn(seed=1)
    assert drawn(seed=1) != drawn(seed=2)
    assert drawn(generator=seed(1)) == drawn(generator=seed(1))
    assert drawn(generator=seed(1)) != drawn(generator=seed(2))


def test_level_names_follow_the_kind() -> None:
    level = noise_explorer().controls[2]
    ticks = np.reshape(level["ticks"], (2, 4))
    assert level["strides"][1:] == [4, 1, 0]
    assert ticks[0].tolist() == ["σ = 0", "σ = 0.25", "σ = 1", "σ = 2"]
    assert ticks[1].tolist() == ["0", "0.3", "0.6", "1"]


def test_noise_explorer_uses_the_courses_corruption_by_default() -> None:
    explorer = NoiseExplorer(Linear(2, (1, 28, 28)), image_set(shape=(1, 28, 28)))
    assert [c["size"] for c in explorer.controls] == [6, 3, 8]
    at_zero = [shown(explorer, "corrupted", corruption=k, level=0) for k in range(3)]
    for seen in at_zero:
        np.testing.assert_array_equal(seen, shown(explorer, "clean"))


# Display ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["latent", "latent 5-D", "noise", "plain"])
def explorer(request: pytest.FixtureRequest) -> Explorer:
    make = {
        "latent": lambda: LatentExplorer(Linear(2), image_set(), grid=5),
        "latent 5-D": lambda: LatentExplorer(Linear(5), image_set(), grid=5),
        "noise": noise_explorer,
        "plain": lambda: small_explorer(3)[0],
    }
    return make[request.param]()


def test_repr_is_short_and_without_an_address(explorer: Explorer) -> None:
    assert repr(explorer).startswith(type(explorer).__name__)
    assert len(repr(explorer)) < 100
    assert "0x" not in repr(explorer)


def test_bundle_has_the_widget_and_a_still_picture(explorer: Explorer) -> None:
    data, _ = explorer._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    assert data["text/plain"] == repr(explorer)
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width >= 600
    assert len(picture.convert("L").getcolors(256)) > 5, "nothing is drawn"
    assert explorer._repr_mimebundle_()[0] == data


def test_each_class_has_its_own_colour_in_the_still_picture() -> None:
    """Also among thousands of greys, which take the most of a palette."""
    digits = load_images("digits", "test")
    explorer = LatentExplorer(PCA(digits.x, 2), digits)
    still = Image.open(io.BytesIO(base64.b64decode(explorer._repr_mimebundle_()[0]["image/png"])))
    used = {colour: count for count, colour in still.convert("RGB").getcolors(1 << 24)}
    for label, colour in enumerate(explorer.controls[0]["palette"]):
        dots = explorer.controls[0]["labels"].count(label)
        drawn = used.get(tuple(bytes.fromhex(colour[1:])), 0)
        assert drawn >= 4 * dots > 0, (label, colour)  # pixels inside the dots
    greys = [colour for colour in used if max(colour) - min(colour) < 3]
    assert len(greys) > 60, "the decoded digits keep their shades"


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts of the figures that are saved, in the order in which they were drawn."""
    found: list[str] = []
    save = Figure.savefig

    def spy(figure: Figure, *args: Any, **kwargs: Any) -> None:
        found.extend(t.get_text() for t in figure.findobj(Text) if t.get_text())
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return found


def charts(sizes: tuple[int, ...], *, width: int) -> Explorer:
    """An explorer with a slider `s`, a choice `c`, one panel of both and a read-out of both."""
    n, m = sizes
    frames = torch.linspace(-1, 1, n * m).view(n, m, 1, 1, 1).expand(n, m, 1, width // 2, width)
    values = np.arange(n * m).reshape(n, m) / 10
    return Explorer(
        [Slider("s", range(n)), Choice("c", [f"way {k}" for k in range(m)])],
        [Panel("a chart", frames, ("s", "c"))],
        [Readout("error", values, ("s", "c"))],
        title="Charts",
        index=[3, 1],
    )


def test_the_still_picture_says_what_it_shows(texts: list[str]) -> None:
    charts((9, 2), width=300)._repr_mimebundle_()
    assert {"Charts", "s: 3   c: way 1", "a chart", "error"} <= set(texts)
    assert any("drag" in text for text in texts)
    row = texts[texts.index("error") + 1 :]
    head = texts[texts.index("s") + 1 : texts.index("error")]
    assert head[0] == "0"
    assert head[-1] == "8"
    assert "3" in head
    assert row[: len(head)] == [f"{(2 * int(k) + 1) / 10:.2f}" for k in head]


@pytest.mark.parametrize(("width", "most", "least"), [(28, 9, 9), (300, 4, 3), (1000, 2, 1)])
def test_frames_of_a_still_picture_stay_readable(texts: list[str], width: int, most: int, least: int) -> None:
    """Small images are shown all; of charts, as many as keep two thirds of their size."""
    explorer = charts((9, 2), width=width)
    explorer._repr_mimebundle_()
    ticks = {text for text in texts[: texts.index("a chart")] if text.isdigit()}
    assert least <= len(ticks) <= most
    assert "3" in ticks or len(ticks) == 2


def test_a_strip_is_drawn_in_the_still_picture(texts: list[str]) -> None:
    """Along the control that the panel names, here a choice, and not along the slider."""
    frames = torch.linspace(-1, 1, 27).view(9, 3, 1, 1, 1).expand(9, 3, 1, 8, 8)
    controls = [Slider("s", range(9)), Choice("c", ["blur", "noise", "none"])]
    Explorer(
        controls, [Panel("all of them", frames, ("s", "c"), strip="c")], index=[4, 0]
    )._repr_mimebundle_()
    assert {"blur", "noise", "none"} <= set(texts)
    assert not {"0", "8"} & set(texts)


def test_what_a_strip_shows_is_not_shown_twice(texts: list[str]) -> None:
    """A panel of the present frame, above a strip of the same frames, and above one of others."""
    frames = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 1, 8, 8)
    found = []
    for strip in (frames, frames.flip(0)):
        texts.clear()
        panels = [Panel("now", frames, ("s",)), Panel("all of them", strip, ("s",), strip="s")]
        Explorer([Slider("s", [f"s = {k}" for k in range(5)])], panels, index=[4])._repr_mimebundle_()
        found.append([texts.count(f"s = {k}") for k in range(5)])
    assert found[1] == [2 * k for k in found[0]]
    assert min(found[0]) > 0


def test_a_small_patch_keeps_its_colour_in_the_still_picture() -> None:
    """Red, blue and green shades on a few pixels, beside all greys on many."""
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(0, 256, (300, 300, 1)), 3, axis=2).astype(np.uint8)
    shades = np.linspace(40, 255, 16).astype(np.uint8)
    for k in range(3):
        pixels[10 * k : 10 * k + 2, :16] = 0
        pixels[10 * k : 10 * k + 2, :16, k] = shades
    few = with_few_colours(Image.fromarray(pixels), np.zeros((0, 3), int))
    assert len(few.getcolors()) <= 160
    off = np.abs(np.asarray(few.convert("RGB")).astype(int) - pixels)
    assert off.max() <= 16


def test_an_explorer_is_known_by_its_name_in_the_package(explorer: Explorer) -> None:
    """Under which notebooks store its state, whatever file the class is in."""
    assert explorer._anywidget_id == f"course_utils.explorers.{type(explorer).__name__}"


def test_display_sends_the_bundle(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython's own formatter finds it, also where widgets display themselves as they do in ipywidgets 7."""
    by_themselves: list[Any] = []
    monkeypatch.setattr(Widget, "_ipython_display_", lambda self: by_themselves.append(self), raising=False)
    data, _ = DisplayFormatter().format(explorer)
    assert not by_themselves
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= data.keys()


def test_state_is_json(explorer: Explorer) -> None:
    keys = (
        "title",
        "controls",
        "panels",
        "readouts",
        "sprites",
        "index",
        "position",
        "live_panel",
        "live_frame",
    )
    state = explorer.get_state(keys)
    assert set(state) == set(keys)
    assert json.loads(json.dumps(state, allow_nan=False)) == state


def smooth(images: Tensor) -> Tensor:
    """Images blurred a little: grey edges, like those that a decoder makes."""
    return nn.functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)


class PCA:
    """The best linear autoencoder of a set of images: `decode` gives grey, blurred digits, no two alike."""

    def __init__(self, x: Tensor, d: int) -> None:
        flat = x.flatten(1)
        self.mean, self.shape = flat.mean(0), x.shape[1:]
        self.basis = torch.linalg.svd(flat - self.mean, full_matrices=False)[2][:d]

    def encode(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.mean) @ self.basis.T

    def decode(self, z: Tensor) -> Tensor:
        return (self.mean + z @ self.basis).clamp(-1, 1).unflatten(1, self.shape)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def test_the_state_stays_small() -> None:
    """For digits, front end included: 0.7 MB and 0.6 MB."""
    digits = load_images("digits", "test")
    model = PCA(digits.x, 16)
    for explorer, limit in (
        (LatentExplorer(model, digits, live=True), 700_000),
        (NoiseExplorer(model, digits, baseline=PCA(digits.x, 4)), 600_000),
    ):
        state = {k: v for k, v in explorer.get_state().items() if k != "layout"}
        assert len(json.dumps(state)) < limit, repr(explorer)


def test_import_is_quick() -> None:
    """Drawing and training libraries are not loaded before they are needed."""
    code = "import sys, course_utils.explorers; print(*{'matplotlib', 'accelerate', 'torchvision'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# Panels in columns, and the laboratory of metrics ---------------------------------------------------------------


def test_a_panel_in_columns_lays_its_images_out_in_rows() -> None:
    frames = random_images(3, 5, 1, 4, 6)  # three positions of five images each
    explorer = Explorer([Slider("step", range(3))], [Panel("all", frames, ("step",), columns=2)], index=[1])
    shown = explorer.frame("all").astype(float) / 127.5 - 1
    assert shown.shape == (3 * 4 + 2, 2 * 6 + 1, 1)  # three rows, two columns, one pixel between them
    for k, image in enumerate(frames[1]):
        top, left = k // 2 * 5, k % 2 * 7
        np.testing.assert_allclose(shown[top : top + 4, left : left + 6, 0], image[0], atol=HALF_STEP)
    assert (shown[10:, 7:] == 1).all(), "the place that is left over is white"
    assert (explorer.frame("all", [2]) != explorer.frame("all")).any()


@pytest.mark.parametrize(
    ("shape", "columns"), [((3, 5, 1, 4, 4), 0), ((3, 5, 1, 4, 4), 6), ((1, 4, 4), 2)], ids=str
)
def test_columns_that_do_not_fit_are_refused(shape: tuple[int, ...], columns: int) -> None:
    with pytest.raises(ValueError, match="columns"):
        Explorer(
            [Slider("step", range(3))], [Panel("all", random_images(*shape), ("step",), columns=columns)]
        )


@pytest.fixture(scope="module")
def laboratory() -> tuple[MetricsExplorer, Images, Images]:
    real, reference = load_images("digits", "train", n=200), load_images("digits", "test", n=200)
    settings = {"blurs": (0.0, 1.0), "noises": (0.0, 0.5), "kept": (10, 2), "different": (200, 10)}
    extract = feature_extractor("digits", "cpu")
    return MetricsExplorer(real, reference, extract, **settings, sizes=(200, 50)), real, reference


def value(explorer: MetricsExplorer, metric: str, *index: int) -> float:
    """What the explorer reads out; index as its controls."""
    readout = next(r for r in explorer.readouts if r["label"].startswith(metric))
    return readout["values"][sum(i * s for i, s in zip((*index, 0), readout["strides"], strict=True))]


def test_the_laboratory_measures_what_it_shows(laboratory: tuple[MetricsExplorer, Images, Images]) -> None:
    """Each value, taken anew by the plain calls from the images of the setting."""
    explorer, real, reference = laboratory
    draw = seed(2)
    real = real[_mixed(real.y, draw)]
    reference = reference[torch.randperm(len(reference), generator=draw)]
    extract = feature_extractor("digits", "cpu")
    of = extract(reference.x[:50]).features
    noise = torch.randn(real.x.shape, generator=seed())
    for index, x in {
        (0, 0, 0, 0, 0, 1): real.x[:50],
        (1, 0, 0, 0, 0, 1): blur(real.x, 1.0)[:50],
        (0, 1, 0, 0, 0, 1): (real.x + 0.5 * noise)[:50].clamp(-1, 1),
        (0, 0, 1, 1, 0, 1): real.x[real.y < 2][:10].repeat(5, 1, 1, 1),
    }.items():
        seen = extract(x)
        precision, recall = metrics.precision_recall(real=of, fake=seen.features)
        for name, expected in {
            "Inception": metrics.inception_score(seen.probs, splits=1).mean,
            "FID": metrics.fid(real=of, fake=seen.features),
            "precision": precision,
            "recall": recall,
            "coverage": metrics.density_coverage(real=of, fake=seen.features).coverage,
        }.items():
            assert value(explorer, name, *index) == pytest.approx(expected, rel=0.01, abs=0.02), (name, index)
    np.testing.assert_allclose(
        explorer.frame("some of the images", [0] * 6)[:28, :28, 0] / 127.5 - 1, real.x[0, 0], atol=HALF_STEP
    )


def test_the_laboratory_does_not_follow_the_order_of_its_images() -> None:
    sets = [load_images("digits", split, n=300) for split in ("train", "test")]
    extract = feature_extractor("digits", "cpu")
    small = {"blurs": (0.0,), "noises": (0.0,), "different": (300, 20), "sizes": (300, 60)}
    given, ordered = (
        MetricsExplorer(*parts, extract, **small).values
        for parts in (sets, [part[part.y.argsort(stable=True)] for part in sets])
    )
    for name in ("FID ↓", "Inception Score ↑"):
        np.testing.assert_allclose(ordered[name][0, 0, 0, :, 0], given[name][0, 0, 0, :, 0], rtol=0.35)


def test_the_laboratory_shows_the_weaknesses_of_each_metric(
    laboratory: tuple[MetricsExplorer, Images, Images],
) -> None:
    explorer, *_ = laboratory
    clean = (0, 0, 0, 0, 0, 0)
    repeated, narrow, noisy = (0, 0, 0, 1, 0, 0), (0, 0, 1, 0, 0, 0), (0, 1, 0, 0, 0, 0)
    assert value(explorer, "Inception", *repeated) > 0.9 * value(explorer, "Inception", *clean)
    assert value(explorer, "recall", *repeated) == 0
    assert value(explorer, "precision", *narrow) > value(explorer, "precision", *noisy) + 0.3
    assert value(explorer, "FID", *narrow) > 5 * value(explorer, "FID", *clean)
    assert explorer.values["FID ↓"][0, 0, 0, 0, 0].argmin() == 0, "fewer images, larger FID"


def test_the_laboratory_refuses_what_it_cannot_fill(
    laboratory: tuple[MetricsExplorer, Images, Images],
) -> None:
    _, real, reference = laboratory
    with pytest.raises(ValueError, match=r"reference holds 200 images; sizes=\(300,\) needs 300"):
        MetricsExplorer(load_images("digits", n=300), reference, feature_extractor("digits"), sizes=(300,))
    unlabelled = SimpleNamespace(x=real.x, y=None, classes=())
    with pytest.raises(ValueError, match="labels are needed"):
        MetricsExplorer(unlabelled, reference, feature_extractor("digits"), sizes=(100,))
    nines = real[real.y == 9]
    for name, wrong in {"kept": (5,), "blurs": (-1.0,), "different": (0,), "shown": 0}.items():
        with pytest.raises(ValueError, match=f"{name}="):
            MetricsExplorer(nines, reference, extract_nothing, **{"sizes": (10,), name: wrong})


def extract_nothing(x: Tensor) -> Features:
    raise AssertionError("settings are checked before anything is measured")
