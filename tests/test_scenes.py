"""Captions against a parser of their own, pictures against geometry."""

import itertools
import math
import re

import matplotlib.colors
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import seed
from scipy import ndimage, stats
from torch import Tensor

from course_utils.data import scenes

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS = ("red", "yellow", "green", "blue", "purple", "white")
PLACES = {  # where x points right and y down
    "at the top left": (-1, -1), "at the top": (0, -1), "at the top right": (1, -1),
    "at the left": (-1, 0), "in the middle": (0, 0), "at the right": (1, 0),
    "at the bottom left": (-1, 1), "at the bottom": (0, 1), "at the bottom right": (1, 1),
}  # fmt: skip
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}

OBJECT = rf"(an?) (?:(small) )?(?:(outlined|striped) )?({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"
ALONE = re.compile(rf"{OBJECT} ({'|'.join(PLACES)}) on ({'|'.join(COLOURS)})")
PAIR = re.compile(rf"{OBJECT} ({'|'.join(RELATIONS)}) {OBJECT} on ({'|'.join(COLOURS)})")


def sample(n: int, number: int = 0) -> dict[str, Tensor]:
    return scenes.sample_attributes(n, generator=seed(number))


def choose(attributes: dict[str, Tensor], which: Tensor | slice) -> dict[str, Tensor]:
    return {name: value[which] for name, value in attributes.items()}


def one(
    shape: str = "circle",
    colour: str = "red",
    size: str = "large",
    style: str = "filled",
    ground: str = "white",
    place: str = "in the middle",
    centre: tuple[float, float] = (0.0, 0.0),
) -> dict[str, Tensor]:
    """The attributes of a scene of one object, made by hand; there is no second one, wherever it is said to be."""
    numbers = {
        "shape": scenes.SHAPES.index(shape),
        "colour": list(scenes.COLOURS).index(colour),
        "size": scenes.SIZES.index(size),
        "style": scenes.STYLES.index(style),
    }
    return {name: torch.tensor([[number, -1]]) for name, number in numbers.items()} | {
        "ground": torch.tensor([list(scenes.COLOURS).index(ground)]),
        "place": torch.tensor([scenes.PLACES.index(place)]),
        "relation": torch.tensor([-1]),
        "centre": torch.tensor([[centre, (0.5, 0.5)]]),
    }


def rgb(colour: str) -> Tensor:
    """A colour in [-1, 1]."""
    return torch.tensor(scenes.COLOURS[colour]) * 2 - 1


def cover(attributes: dict[str, Tensor], size: int = 128) -> np.ndarray:
    """How far each pixel of a scene of one object has gone from the ground's colour to the object's, 0 … 1."""
    picture = scenes.render(attributes, size=size)[0]
    ground = rgb(COLOURS[attributes["ground"][0]])[:, None, None]
    way = rgb(COLOURS[attributes["colour"][0, 0]])[:, None, None] - ground
    return ((picture - ground) * way).sum(dim=0).div(way.square().sum()).double().numpy()


def area(covered: np.ndarray) -> float:
    """In units of the plane, where the picture is [-1, 1]²."""
    return covered.sum() * 4 / covered.size


# ------------------------------------------------------------------------------------------- attributes


def test_attributes_keep_to_the_conventions() -> None:
    facts = sample(300)
    two = facts["relation"] >= 0
    assert 0 < two.sum() < 300
    highest = {"shape": 5, "colour": 6, "size": 2, "style": 3}
    for name, count in highest.items():
        assert facts[name].dtype == torch.int64
        assert facts[name].shape == (300, 2)
        assert facts[name][:, 0].unique().tolist() == list(range(count))
        assert facts[name][two, 1].unique().tolist() == list(range(count))
        assert (facts[name][~two, 1] == -1).all()
    for name, where, count in (("place", ~two, 9), ("relation", two, 4), ("ground", two | ~two, 6)):
        assert facts[name].dtype == torch.int64
        assert facts[name].shape == (300,)
        assert facts[name][where].unique().tolist() == list(range(count))
        assert (facts[name][~where] == -1).all()
    assert facts["centre"].dtype == torch.float32
    assert facts["centre"].shape == (300, 2, 2)
    assert facts.keys() == {*highest, "place", "relation", "ground", "centre"}


def test_the_names_are_those_of_the_field() -> None:
    assert tuple(scenes.COLOURS) == COLOURS
    assert scenes.SHAPES == SHAPES
    assert tuple(PLACES) == scenes.PLACES
    assert tuple(RELATIONS) == scenes.RELATIONS


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_is_nearest_to_its_name(name: str) -> None:
    def away(other: str) -> float:
        return math.dist(scenes.COLOURS[name], matplotlib.colors.to_rgb(other))

    assert min(COLOURS, key=away) == name


def test_no_object_has_the_colour_of_the_ground() -> None:
    facts = sample(5000)
    assert (facts["colour"] != facts["ground"][:, None]).all()


def test_every_fact_is_drawn_evenly() -> None:
    facts = sample(20_000, 1)
    two = facts["relation"] >= 0
    counts = [two.long().bincount(), facts["place"][~two].bincount(), facts["relation"][two].bincount()]
    counts += [facts["ground"].bincount()]
    for name in ("shape", "colour", "size", "style"):
        counts += [facts[name][:, 0].bincount(), facts[name][two, 1].bincount()]
    for count in counts:
        assert stats.chisquare(count.numpy()).pvalue > 1e-3


def test_facts_are_drawn_independently() -> None:
    facts = sample(20_000, 2)
    two = facts["relation"] >= 0
    first = {name: facts[name][two, 0] for name in ("shape", "colour", "size", "style")}
    second = {f"{name} 2": facts[name][two, 1] for name in first}
    columns = first | second | {"relation": facts["relation"][two]}
    for a, b in itertools.combinations(columns, 2):
        table = np.histogram2d(
            columns[a], columns[b], bins=[int(columns[a].max()) + 1, int(columns[b].max()) + 1]
        )
        assert stats.chi2_contingency(table[0]).pvalue > 1e-4, (a, b)


def test_the_place_drawn_is_moved_a_little() -> None:
    facts = sample(5000, 3)
    alone = choose(facts, facts["place"] == scenes.PLACES.index("in the middle"))["centre"][:, 0]
    assert alone.abs().max() < 0.1
    assert alone.std(dim=0).min() > 0.02
    assert len(alone.unique(dim=0)) == len(alone)


def test_attributes_follow_their_generator() -> None:
    generator = seed(1)
    first, second = (scenes.sample_attributes(50, generator=generator) for _ in range(2))
    again = sample(50, 1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], second[name]) for name in first)


def test_attributes_draw_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    sample(10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n", [0, -3])
def test_no_scenes_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}"):
        sample(n)


# --------------------------------------------------------------------------------------------- captions


def parse(words: tuple[str | None, ...]) -> dict[str, str]:
    article, size, style, colour, shape = words
    first = size or style or colour
    assert article == ("an" if first in ("outlined",) else "a")
    return {"size": size or "large", "style": style or "filled", "colour": colour, "shape": shape}


def test_captions_tell_the_attributes_and_nothing_else() -> None:
    facts = sample(600)
    names = {"shape": SHAPES, "colour": COLOURS, "size": ("small", "large"), "style": scenes.STYLES}
    sentences = scenes.captions(facts)
    assert len(sentences) == 600
    for i, sentence in enumerate(sentences):
        alone, pair = ALONE.fullmatch(sentence), PAIR.fullmatch(sentence)
        assert bool(alone) != bool(pair), sentence
        assert bool(pair) == (facts["relation"][i] >= 0)
        if alone:
            told = [parse(alone.groups()[:5])]
            assert list(PLACES).index(alone[6]) == facts["place"][i]
        else:
            told = [parse(pair.groups()[:5]), parse(pair.groups()[6:11])]
            assert list(RELATIONS).index(pair[6]) == facts["relation"][i]
        assert COLOURS.index((alone or pair).groups()[-1]) == facts["ground"][i]
        for k, thing in enumerate(told):
            for name, words in names.items():
                assert words.index(thing[name]) == facts[name][i, k], (sentence, name)


def test_captions_say_where_the_centres_are() -> None:
    facts = sample(600, 4)
    for sentence, centre in zip(scenes.captions(facts), facts["centre"].tolist(), strict=True):
        if alone := ALONE.fullmatch(sentence):
            expected = [(0.5 * x, 0.5 * y) for x, y in [PLACES[alone[6]]]]
        else:
            x, y = RELATIONS[PAIR.fullmatch(sentence)[6]]
            expected = [(0.5 * x, 0.5 * y), (-0.5 * x, -0.5 * y)]
        np.testing.assert_allclose(centre[: len(expected)], expected, atol=0.061)


def test_scenes_of_one_object_have_captions_of_their_own() -> None:
    told: set[str] = set()
    for shape, colour, size, style in itertools.product(SHAPES, COLOURS, scenes.SIZES, scenes.STYLES):
        each = [
            one(shape, colour, size, style, ground, place)
            for ground in COLOURS
            for place in PLACES
            if ground != colour
        ]
        told.update(scenes.captions({name: torch.cat([facts[name] for facts in each]) for name in each[0]}))
    assert len(told) == 180 * 9 * 5


def test_a_caption_reads_well() -> None:
    facts = one("star", "yellow", "small", "outlined", "blue", "at the top right")
    assert scenes.captions(facts) == ("a small outlined yellow star at the top right on blue",)
    facts = one("cross", "red", "large", "outlined", "green", "at the left")
    assert scenes.captions(facts) == ("an outlined red cross at the left on green",)


# --------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("size", [32, 64])
def test_pictures_keep_to_the_conventions(size: int) -> None:
    x = scenes.render(sample(40), size=size)
    assert x.shape == (40, 3, size, size)
    assert x.dtype == torch.float32
    assert -1 <= x.min() < x.max() <= 1


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="size=0"):
        scenes.render(sample(2), size=0)


def test_pictures_are_64_pixels_wide_unless_asked_otherwise() -> None:
    assert scenes.render(sample(2)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("size", [32, 64])
def test_the_corners_show_the_ground(size: int) -> None:
    facts = sample(500)
    x = scenes.render(facts, size=size)
    expected = torch.stack([rgb(COLOURS[ground]) for ground in facts["ground"]])
    for row, column in itertools.product((0, -1), repeat=2):
        np.testing.assert_allclose(x[:, :, row, column], expected, atol=1e-6)


@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_picture_holds_the_colours_told_and_mixtures_of_them(colour: str, size: str) -> None:
    ground = "blue" if colour != "blue" else "yellow"
    facts = one("star", colour, size, "striped", ground)
    x = scenes.render(facts)[0].flatten(1).T
    away = rgb(colour) - rgb(ground)
    along = (x - rgb(ground)) @ away / away.square().sum()
    np.testing.assert_allclose(x, rgb(ground) + along[:, None] * away, atol=1e-5)
    assert along.min() == pytest.approx(0, abs=1e-6)
    assert along.max() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [(shape, 128) for shape in SHAPES] + [(shape, pixels) for shape in SHAPES[:2] for pixels in (32, 64)],
)
@pytest.mark.parametrize("size", scenes.SIZES)
def test_the_centre_shows_the_object_if_filled_and_the_ground_if_outlined(
    shape: str, size: str, pixels: int
) -> None:
    middle = pixels // 2
    filled, outlined = (cover(one(shape, size=size, style=style), pixels) for style in ("filled", "outlined"))
    assert filled[middle, middle] == pytest.approx(1, abs=1e-6)
    assert outlined[middle, middle] == pytest.approx(0, abs=1e-6)
    assert outlined.max() > 0.4  # the line may be thinner than a pixel


@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_outlined_lies_within_striped_within_filled(shape: str, size: str) -> None:
    filled, outlined, striped = (cover(one(shape, size=size, style=style)) for style in scenes.STYLES)
    assert (outlined <= striped + 1e-6).all()
    assert (striped <= filled + 1e-6).all()
    assert area(outlined) < area(striped) < area(filled)


@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_styles_can_be_told_apart(shape: str, size: str) -> None:
    styles = [cover(one(shape, size=size, style=style), 64) for style in scenes.STYLES]
    for a, b in itertools.combinations(styles, 2):
        assert np.abs(a - b).sum() > 8  # pixels


@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_outline_is_one_closed_line(shape: str, size: str) -> None:
    outlined = cover(one(shape, size=size, style="outlined"), 256) > 0.5
    assert ndimage.label(outlined, structure=np.ones((3, 3)))[1] == 1
    regions = ndimage.label(~outlined)[0]
    assert (np.bincount(regions[~outlined]) > 9).sum() == 2  # its inside and its outside, but for lone pixels


def test_stripes_take_half_of_the_inside() -> None:
    filled, _, striped = (cover(one("square", style=style), 256) for style in scenes.STYLES)
    inside = ndimage.binary_erosion(filled > 0.5, iterations=20)
    assert striped[inside].mean() == pytest.approx(0.5, abs=0.1)
    assert ndimage.label((striped > 0.5) & inside)[1] >= 3


@pytest.mark.parametrize("shape", SHAPES)
def test_large_holds_small(shape: str) -> None:
    small, large = (cover(one(shape, size=size)) for size in ("small", "large"))
    assert (small <= large + 1e-6).all()
    assert area(large) > 2 * area(small)


# The second moment of area about an axis through the centroid, divided by the squared area.
MOMENTS = {"circle": 1 / (4 * math.pi), "square": 1 / 12, "triangle": math.sqrt(3) / 18}


@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize("shape", MOMENTS)
def test_a_shape_has_the_moments_of_its_name(shape: str, size: str) -> None:
    covered = cover(one(shape, size=size), 256)
    line = (np.arange(256) + 0.5) / 128 - 1
    for axis in range(2):
        along = covered.sum(axis=axis) / covered.sum()
        centroid = along @ line
        assert centroid == pytest.approx(0, abs=0.002)
        assert along @ (line - centroid) ** 2 / area(covered) == pytest.approx(MOMENTS[shape], rel=0.01)


@pytest.mark.parametrize("pixels", [32, 64, 128])
@pytest.mark.parametrize("size", scenes.SIZES)
@pytest.mark.parametrize(("shape", "share"), [("circle", math.pi / 4), ("square", 1.0)])
def test_circle_and_square_have_the_area_of_their_width(
    shape: str, share: float, size: str, pixels: int
) -> None:
    centre = 1 / pixels  # the middle of a pixel
    covered = cover(one(shape, size=size, centre=(centre, centre)), pixels)
    across, down = covered[pixels // 2].sum() * 2 / pixels, covered[:, pixels // 2].sum() * 2 / pixels
    assert across == pytest.approx(down, rel=1e-4)
    assert area(covered) == pytest.approx(share * across * down, rel=0.8 / pixels)


def test_the_triangle_points_up() -> None:
    covered = cover(one("triangle"), 256)
    widths = covered.sum(axis=1)
    top, bottom = (ndimage.binary_dilation(widths > 0.5).nonzero()[0][k] for k in (0, -1))
    assert np.all(np.diff(widths[top + 2 : bottom - 2]) > 0)
    assert (128 - top) / (bottom - 128) == pytest.approx(2, abs=0.1)  # its centroid parts the height 2 : 1


TURNS = {  # degrees that leave a shape as it is, and degrees that don't
    "circle": (37, None),
    "square": (90, 45),
    "triangle": (120, 180),
    "star": (72, 36),
    "cross": (90, 45),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_the_symmetry_of_its_name(shape: str) -> None:
    covered = cover(one(shape), 256)
    kept, lost = TURNS[shape]

    def change(degrees: float) -> float:
        turned = ndimage.rotate(covered, degrees, reshape=False, order=1)
        return np.abs(turned - covered).sum() / covered.sum()

    assert change(kept) < 0.02
    assert lost is None or change(lost) > 0.1
    np.testing.assert_allclose(covered[:, ::-1], covered, atol=1e-4)


def test_star_and_cross_have_dents_the_others_do_not() -> None:
    def share_of_hull(shape: str) -> float:
        from scipy.spatial import ConvexHull

        covered = cover(one(shape), 256)
        return area(covered) / (ConvexHull(np.argwhere(covered > 0.5)).volume * 4 / 256**2)

    shares = {shape: share_of_hull(shape) for shape in SHAPES}
    assert min(shares[shape] for shape in ("circle", "square", "triangle")) > 0.97
    assert max(shares[shape] for shape in ("star", "cross")) < 0.8


def test_an_object_moves_with_its_centre() -> None:
    shift = 16  # pixels of 128, hence 0.25 of the plane
    there = cover(one("star", style="striped", centre=(0.25, -0.125)))
    plain, moved = cover(one("star")), cover(one("star", centre=(0.25, -0.125)))
    np.testing.assert_allclose(moved, np.roll(plain, (-shift // 2, shift), axis=(0, 1)), atol=1e-4)
    assert (there <= moved + 1e-6).all()


def test_objects_are_whole_and_apart() -> None:
    facts = sample(400, 5)
    facts = choose(facts, facts["relation"] >= 0)
    facts["style"] = torch.zeros_like(facts["style"])
    facts["ground"] = torch.full_like(facts["ground"], COLOURS.index("white"))
    facts["colour"] = torch.full_like(facts["colour"], COLOURS.index("red"))
    away = []
    for k in range(2):
        alone = {name: facts[name].clone() for name in facts}
        for name in ("shape", "colour", "size", "style", "centre"):
            alone[name][:, 0] = facts[name][:, k]
        for name in ("shape", "colour", "size", "style"):
            alone[name][:, 1] = -1
        away.append((scenes.render(alone) - rgb("white")[:, None, None]).abs().sum(dim=1))
    assert (torch.minimum(*away) < 1e-5).all()
    both = (scenes.render(facts) - rgb("white")[:, None, None]).abs().sum(dim=1)
    np.testing.assert_allclose(both, away[0] + away[1], atol=1e-5)
    for k in range(2):
        shape, size = facts["shape"][:, k], facts["size"][:, k]
        for kind in range(len(SHAPES)):
            for width in range(2):
                total = away[k][(shape == kind) & (size == width)].sum(dim=(1, 2))
                np.testing.assert_allclose(total, total.mean(), rtol=0.03)  # none is cut off by the edge


def test_the_picture_shows_the_relation() -> None:
    facts = sample(600, 6)
    facts = choose(facts, (facts["relation"] >= 0) & (facts["colour"][:, 0] != facts["colour"][:, 1]))
    assert len(facts["ground"]) > 200
    pictures = scenes.render(facts).movedim(1, -1)
    line = (torch.arange(64) + 0.5) / 32 - 1
    for i, picture in enumerate(pictures):
        centroids = []
        for k in range(2):
            own = ((picture - rgb(COLOURS[facts["colour"][i, k]])).abs().amax(dim=-1) < 0.25).float()
            assert own.sum() > 3
            centroids.append(((own.sum(0) @ line) / own.sum(), (own.sum(1) @ line) / own.sum()))
        dx, dy = (centroids[0][axis] - centroids[1][axis] for axis in range(2))
        x, y = RELATIONS[scenes.RELATIONS[facts["relation"][i]]]
        assert dx * x + dy * y > 0.7
        assert abs(dx * y) + abs(dy * x) < 0.3


@pytest.mark.parametrize("place", PLACES)
def test_the_picture_shows_the_place(place: str) -> None:
    facts = sample(900, 7)
    facts = choose(facts, facts["place"] == scenes.PLACES.index(place))
    facts = choose(facts, slice(12))
    away = scenes.render(facts) - torch.stack([rgb(COLOURS[g]) for g in facts["ground"]])[:, :, None, None]
    weight = away.abs().sum(dim=1)
    line = (torch.arange(64) + 0.5) / 32 - 1
    x = (weight.sum(dim=1) @ line) / weight.sum(dim=(1, 2))
    y = (weight.sum(dim=2) @ line) / weight.sum(dim=(1, 2))
    expected = 0.5 * torch.tensor(PLACES[place])
    np.testing.assert_allclose(torch.stack([x, y], dim=1), expected.expand(12, 2), atol=0.15)


def test_a_scene_does_not_depend_on_those_drawn_with_it() -> None:
    facts = sample(20, 8)
    whole = scenes.render(facts, size=32)
    for i in range(20):
        np.testing.assert_allclose(
            scenes.render(choose(facts, slice(i, i + 1)), size=32)[0], whole[i], atol=1e-6
        )


def test_drawing_leaves_the_attributes_alone() -> None:
    facts = sample(10, 9)
    before = {name: value.clone() for name, value in facts.items()}
    first, again = scenes.render(facts, size=32), scenes.render(facts, size=32)
    assert torch.equal(first, again)
    assert all(torch.equal(facts[name], before[name]) for name in before)


def test_a_small_picture_is_a_large_one_smoothed() -> None:
    facts = sample(100, 10)
    pooled = F.avg_pool2d(scenes.render(facts, size=64), 2)
    small = scenes.render(facts, size=32)
    assert (pooled - small).abs().mean() < 0.01
    assert (pooled.roll(1, dims=-1) - small).abs().mean() > 0.02  # what the bound makes of one pixel


def test_edges_are_smooth() -> None:
    covered = cover(one("circle"), 64)
    perimeter = math.pi * covered[32].sum()  # in pixels
    assert ((covered > 0.02) & (covered < 0.98)).sum() > 0.6 * perimeter


@pytest.mark.gpu
def test_an_accelerator_draws_the_same() -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator on this machine")
    device = torch.accelerator.current_accelerator()
    facts = sample(100)
    there = scenes.render({name: value.to(device) for name, value in facts.items()})
    assert there.device.type == device.type
    assert scenes.captions({name: value.to(device) for name, value in facts.items()}) == scenes.captions(
        facts
    )
    assert (there.cpu() - scenes.render(facts)).abs().mean() < 1e-5


# ------------------------------------------------------------------------- captions read back, combinations


@pytest.mark.parametrize("combinations", scenes.COMBINATIONS)
def test_captions_are_read_back(combinations: str) -> None:
    facts = scenes.sample_attributes(1000, generator=seed(5), combinations=combinations)
    told = scenes.parse(scenes.captions(facts))
    assert told.keys() == facts.keys()
    for name in facts:
        if name != "centre":
            assert torch.equal(told[name], facts[name]), name
    present = facts["shape"] >= 0
    assert (told["centre"] - facts["centre"])[present].abs().max() < 0.061
    assert scenes.captions(told) == scenes.captions(facts)
    assert scenes.render(told, size=16).shape == (1000, 3, 16, 16)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("a red octagon on white", "the word 'octagon' is unknown"),
        ("red star", "is no caption"),
        ("a red star at the top right", "is no caption"),
        ("a red small star at the top on white", "is no caption"),
        ("a red star above a blue circle at the left on white", "is no caption"),
        ("a red star at the top on red", "a red object on red"),
        ("a red star above a blue circle on blue", "a blue object on blue"),
    ],
)
def test_what_is_no_caption_is_refused(sentence: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        scenes.parse(["a red star at the top on white", sentence])
    assert repr(sentence) in str(error.value)


def test_a_colour_that_is_not_known_is_not_said_and_read_back_as_not_known() -> None:
    facts = sample(400, 11)
    told = facts | {"colour": facts["colour"].masked_fill(torch.rand(400, 2, generator=seed(12)) < 0.5, -1)}
    sentences = scenes.captions(told)
    for sentence, full, colour, shape in zip(
        sentences, scenes.captions(facts), told["colour"], told["shape"], strict=True
    ):
        words = sentence.split()
        left_out = sum(k >= 0 and c < 0 for k, c in zip(shape.tolist(), colour.tolist(), strict=True))
        assert len(full.split()) - len(words) == left_out
        for article, word in itertools.pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (word == "outlined")
    again = scenes.parse(sentences)
    for name in ("shape", "colour", "size", "style", "ground", "place", "relation"):
        assert torch.equal(again[name], told[name]), name
    assert scenes.captions(one("star", "red"))[0].replace(" red", "") == "a star in the middle on white"


def test_what_was_not_asked_for_is_right_whatever_it_is() -> None:
    read = scenes.reading(scenes.parse([f"a {colour} star at the top on white" for colour in COLOURS[:5]]))
    asked = scenes.reading(scenes.parse(["a star at the top on white"] * 4 + ["a cross at the top on white"]))
    right = scenes.agreement(read, asked)
    assert right["colour"].all()
    assert right["all"].tolist() == [True] * 4 + [False]


def test_an_object_without_a_colour_is_not_drawn() -> None:
    facts = scenes.parse(["a red star at the top on white", "a red star above a circle on white"])
    with pytest.raises(ValueError, match=r"attributes\['colour'\] is -1 for an object of scene 1.*give it"):
        scenes.render(facts)


def test_an_unknown_word_gets_the_words_allowed() -> None:
    with pytest.raises(ValueError, match="gold") as error:
        scenes.parse(["a gold star at the top on white"])
    assert all(word in str(error.value) for word in (*SHAPES, *COLOURS, "outlined", "above", "middle"))


def test_the_words_are_those_of_captions() -> None:
    said = {word for sentence in scenes.captions(sample(3000)) for word in sentence.split()}
    assert said == set(scenes.WORDS)
    assert len(scenes.WORDS) == len(set(scenes.WORDS))


def test_held_out_pairs_are_drawn_only_when_asked() -> None:
    def held(facts: dict[str, Tensor]) -> Tensor:
        pairs = torch.tensor(
            [(SHAPES.index(shape), COLOURS.index(colour)) for shape, colour in scenes.HELD_OUT]
        )
        drawn = torch.stack([facts["shape"], facts["colour"]], dim=2)
        return (drawn[:, :, None] == pairs).all(dim=3).any(dim=2)  # (n, 2)

    assert {shape for shape, _ in scenes.HELD_OUT} == set(SHAPES)  # each shape, and five of the colours
    assert len({colour for _, colour in scenes.HELD_OUT}) == 5
    drawn = {name: scenes.sample_attributes(6000, generator=seed(1), combinations=name)
             for name in scenes.COMBINATIONS}  # fmt: skip
    assert not held(drawn["seen"]).any()
    assert held(drawn["unseen"])[:, 0].all()
    two = drawn["unseen"]["relation"] >= 0
    for share in (held(drawn["unseen"])[two, 1], held(drawn["all"])[:, 0]):
        assert stats.binomtest(int(share.sum()), len(share), 5 / 30).pvalue > 1e-3
    for facts in drawn.values():  # the other facts are drawn as before
        assert stats.chisquare(facts["size"][:, 0].bincount().numpy()).pvalue > 1e-3
        assert (facts["colour"] != facts["ground"][:, None]).all()
    seen = drawn["seen"]
    assert stats.chisquare((6 * seen["shape"][:, 0] + seen["colour"][:, 0]).bincount(minlength=30)
                           .numpy()[[k for k in range(30) if (SHAPES[k // 6], COLOURS[k % 6]) not in scenes.HELD_OUT]]
                           ).pvalue > 1e-3  # fmt: skip


def test_an_unknown_combination_is_refused() -> None:
    with pytest.raises(ValueError, match="combinations='new' is unknown; allowed: all, seen, unseen"):
        scenes.sample_attributes(3, generator=seed(), combinations="new")


def test_two_sentences_for_one_picture_have_one_reading() -> None:
    same = [
        (
            "a red star left of a small blue circle on white",
            "a small blue circle right of a red star on white",
        ),
        ("a striped red star above a blue cross on white", "a blue cross below a striped red star on white"),
    ]
    for pair in same:
        one_way, other_way = scenes.reading(scenes.parse(pair))
        assert torch.equal(one_way, other_way)
        pictures = scenes.render(scenes.parse(pair), size=64)
        torch.testing.assert_close(pictures[0], pictures[1])


def test_different_pictures_have_different_readings() -> None:
    facts = scenes.parse(tuple(dict.fromkeys(scenes.captions(sample(3000, 6)))))
    pictures = scenes.render(facts, size=32).flatten(1)
    readings = scenes.reading(facts)
    for way in (readings, pictures.mul(100).round()):
        assert way.ndim == 2
    _, by_reading = readings.unique(dim=0, return_inverse=True)
    _, by_picture = pictures.mul(100).round().unique(dim=0, return_inverse=True)
    pairs = torch.stack([by_reading, by_picture], dim=1).unique(dim=0)
    assert len(pairs) == len(by_reading.unique()) == len(by_picture.unique())  # one to one


def test_a_reading_keeps_to_its_kinds() -> None:
    readings = scenes.reading(sample(3000, 7))
    assert readings.dtype == torch.int64
    assert readings.shape == (3000, len(scenes.READING))
    alone = readings[:, 0] < 9
    assert (readings[alone, 6:] == -1).all()
    for column, kinds in enumerate(scenes.READING.values()):
        values = readings[:, column][readings[:, column] >= 0]
        assert values.unique().tolist() == list(range(kinds))


def test_agreement_names_the_facts_that_differ() -> None:
    asked = scenes.reading(scenes.parse(["a red star left of a small blue circle on white"] * 6))
    read = scenes.reading(
        scenes.parse(
            [
                "a red star left of a small blue circle on white",
                "a red star above a small blue circle on white",
                "a red star left of a blue circle on white",
                "a red star left of a small blue circle on green",
                "a blue star left of a small red circle on white",
                "an outlined red cross left of a small blue circle on white",
            ]
        )
    )
    wrong = [
        {name for name, right in scenes.agreement(read, asked).items() if not right[i]} - {"all"}
        for i in range(6)
    ]
    assert wrong == [set(), {"layout"}, {"size"}, {"ground"}, {"colour"}, {"style", "shape"}]
    assert scenes.agreement(read, asked)["all"].tolist() == [True] + [False] * 5


def test_a_second_object_that_was_not_asked_for_is_a_wrong_layout() -> None:
    asked = scenes.reading(scenes.parse(["a red star at the left on white"]))
    read = scenes.reading(scenes.parse(["a red star left of a small blue circle on white"]))
    right = scenes.agreement(read, asked)
    assert not right["layout"]
    assert not right["all"]


def test_readings_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        scenes.agreement(torch.zeros(3, 10, dtype=torch.int64), torch.zeros(3, 9, dtype=torch.int64))
