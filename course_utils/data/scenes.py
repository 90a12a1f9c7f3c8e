"""Captioned scenes: one or two objects on a coloured ground, drawn from signed distances.

There are 5 shapes × 6 colours × 2 sizes × 3 styles = 180 objects, hence 180 · 9 · 5 = 8,100 scenes of one
object (9 places, 5 grounds of another colour) and about 5 · 10⁵ of two. Where exactly an object lies is drawn anew
each time. Five pairs of shape and colour are held out: models are not trained on them, to see whether they can put
together what they have only seen apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.inputs import check_at_least, check_choice

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS = {
    "red": (0.86, 0.18, 0.18),
    "yellow": (0.97, 0.83, 0.20),
    "green": (0.20, 0.62, 0.30),
    "blue": (0.16, 0.36, 0.80),
    "purple": (0.55, 0.25, 0.68),
    "white": (0.96, 0.96, 0.94),
}
SIZES = ("small", "large")
STYLES = ("filled", "outlined", "striped")
PLACES = (
    "at the top left", "at the top", "at the top right",
    "at the left", "in the middle", "at the right",
    "at the bottom left", "at the bottom", "at the bottom right",
)  # fmt: skip
RELATIONS = ("left of", "right of", "above", "below")
WORDS = tuple(dict.fromkeys(" ".join(
    ["a", "an", "on", *SIZES[:1], *STYLES[1:], *COLOURS, *SHAPES, *PLACES, *RELATIONS]
).split()))  # all that captions are made of  # fmt: skip
HELD_OUT = (
    ("circle", "green"), ("square", "yellow"), ("triangle", "purple"), ("star", "red"), ("cross", "blue"),
)  # fmt: skip
COMBINATIONS = ("all", "seen", "unseen")

_RADIUS = torch.tensor([0.25, 0.42])  # of each size; the picture is the square [-1, 1]², y pointing down
_LINE, _STRIPE = 0.025, 0.2  # half the width of an outline; the period of the stripes, along x and along y


def sample_attributes(n: int, *, generator: torch.Generator, combinations: str = "all") -> dict[str, Tensor]:
    """Draw the facts of n scenes, half of them with one object, half with two.

    Args:
        combinations: of shape and colour: `all`; `seen`, none of HELD_OUT, what models are trained on; `unseen`, where
            the first object is of HELD_OUT and a second one of any.

    Returns:
        int64 (n, 2), one column an object, -1 where there is no second one: `shape`, `colour`, `size`,
        `style`; int64 (n,): `ground` (a colour that no object has), `place` (with one object, else -1),
        `relation` (of the first object to the second, else -1); float32 (n, 2, 2): `centre` (x, y).
    """
    check_at_least(1, n=n)
    check_choice(COMBINATIONS, combinations=combinations)

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator)

    two = draw(2, n).bool()
    held = torch.zeros(len(SHAPES), len(COLOURS))
    for shape_name, colour_name in HELD_OUT:
        held[SHAPES.index(shape_name), list(COLOURS).index(colour_name)] = 1
    any_of = torch.ones_like(held)
    first, second = {"all": (any_of, any_of), "seen": (1 - held, 1 - held), "unseen": (held, any_of)}[
        combinations
    ]
    pair = torch.stack(
        [torch.multinomial(w.flatten(), n, replacement=True, generator=generator) for w in (first, second)],
        dim=1,
    )
    shape, colour = pair // len(COLOURS), pair % len(COLOURS)
    taken = torch.zeros(n, len(COLOURS)).scatter_(1, colour, 1.0)
    ground = torch.multinomial(1 - taken, 1, generator=generator).squeeze(1)
    place = torch.where(two, -1, draw(len(PLACES), n))
    relation = torch.where(two, draw(len(RELATIONS), n), -1)
    facts = {"shape": shape, "colour": colour}
    facts |= {"size": draw(len(SIZES), n, 2), "style": draw(len(STYLES), n, 2)}
    for value in facts.values():
        value[~two, 1] = -1
    jitter = 0.06 * (2 * torch.rand(n, 2, 2, generator=generator) - 1)
    facts |= {"ground": ground, "place": place, "relation": relation}
    return facts | {"centre": _centres(place, relation) + jitter}


def _centres(place: Tensor, relation: Tensor) -> Tensor:
    """Where the objects lie before they are moved a little: (n, 2, 2)."""
    alone = 0.5 * torch.stack([place % 3 - 1, place // 3 - 1], dim=1)
    step = torch.tensor([[-1, 0], [1, 0], [0, -1], [0, 1]])[relation.clamp(min=0)] * 0.5
    first = torch.where((place >= 0)[:, None], alone, step)
    return torch.stack([first, -step], dim=1)


def captions(attributes: dict[str, Tensor]) -> tuple[str, ...]:
    """One sentence a scene, such as "a striped red star left of a small blue circle on yellow".

    "large" and "filled" are the rule and are not said. Nor is a colour of -1: "a star in the middle on white".
    """
    colours = tuple(COLOURS)
    rows = {name: value.tolist() for name, value in attributes.items()}

    def thing(i: int, k: int) -> str:
        size, style = SIZES[rows["size"][i][k]], STYLES[rows["style"][i][k]]
        colour, shape = rows["colour"][i][k], SHAPES[rows["shape"][i][k]]
        words = [size] * (size != "large") + [style] * (style != "filled")
        words += [colours[colour]] * (colour >= 0) + [shape]
        return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"

    def sentence(i: int) -> str:
        relation, ground = rows["relation"][i], colours[rows["ground"][i]]
        if relation < 0:
            return f"{thing(i, 0)} {PLACES[rows['place'][i]]} on {ground}"
        return f"{thing(i, 0)} {RELATIONS[relation]} {thing(i, 1)} on {ground}"

    return tuple(sentence(i) for i in range(len(rows["ground"])))


_THING = (
    rf"an? (?:({SIZES[0]}) )?(?:({'|'.join(STYLES[1:])}) )?(?:({'|'.join(COLOURS)}) )?({'|'.join(SHAPES)})"
)
_WHERE = rf"(?:({'|'.join(sorted(PLACES, key=len, reverse=True))})|({'|'.join(RELATIONS)}) {_THING})"
_SENTENCE = re.compile(rf"{_THING} {_WHERE} on ({'|'.join(COLOURS)})")


def parse(sentences: Sequence[str]) -> dict[str, Tensor]:
    """The attributes that captions tell, as `sample_attributes` gives them; the inverse of `captions`. Capital letters
    and a full stop at the end do not count. The colour of an object whose colour is not said is -1.

    `centre` is where the objects lie before they are moved a little, so that `render` can draw the scene.

    Raises:
        ValueError: a word that is not among WORDS; words in another order than the grammar's; a ground of the colour
            of an object, which would not be seen.
    """
    if isinstance(sentences, str):
        raise ValueError(f"sentences must be a list, not one string; write [{sentences!r}]")
    if not sentences:
        raise ValueError("sentences is empty; give at least one caption")
    rows = [_parse_one(sentence) for sentence in sentences]
    facts = {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}
    return facts | {"centre": _centres(facts["place"], facts["relation"])}


def _check_words(sentence: str) -> None:
    """Raise ValueError, naming what is allowed, for a word that is not among WORDS."""
    for word in sentence.split():
        if word not in WORDS:
            raise ValueError(f"{sentence!r}: the word {word!r} is unknown; allowed: {', '.join(WORDS)}")


def _parse_one(sentence: str) -> dict[str, int | list[int]]:
    sentence = " ".join(sentence.lower().rstrip(" .").split())
    _check_words(sentence)
    found = _SENTENCE.fullmatch(sentence)
    if found is None:
        raise ValueError(
            f"{sentence!r} is no caption; it must read like 'a small striped red star at the top left on white' or "
            "'an outlined red star left of a small blue circle on yellow'"
        )
    first, (place, relation), second, ground = (
        found.groups()[:4], found.groups()[4:6], found.groups()[6:10], found.group(11)
    )  # fmt: skip
    colours = list(COLOURS)
    if ground in (first[2], second[2]):
        raise ValueError(f"{sentence!r}: a {ground} object on {ground} would not be seen; change one of them")

    def numbers(small: str | None, style: str | None, colour: str | None, shape: str | None) -> list[int]:
        if shape is None:
            return [-1, -1, -1, -1]
        return [SIZES.index(small or "large"), STYLES.index(style or "filled"),
                -1 if colour is None else colours.index(colour), SHAPES.index(shape)]  # fmt: skip

    both = zip(numbers(*first), numbers(*second), strict=True)
    facts: dict[str, int | list[int]] = dict(
        zip(("size", "style", "colour", "shape"), map(list, both), strict=True)
    )
    return facts | {
        "ground": colours.index(ground),
        "place": -1 if place is None else PLACES.index(place),
        "relation": -1 if relation is None else RELATIONS.index(relation),
    }


LAYOUTS = (*PLACES, "side by side", "one above the other")
READING = {  # what can be read in a picture, and of how many kinds
    "layout": len(LAYOUTS), "ground": len(COLOURS),
    "shape 1": len(SHAPES), "colour 1": len(COLOURS), "size 1": len(SIZES), "style 1": len(STYLES),
    "shape 2": len(SHAPES), "colour 2": len(COLOURS), "size 2": len(SIZES), "style 2": len(STYLES),
}  # fmt: skip


def reading(attributes: dict[str, Tensor]) -> Tensor:
    """The attributes as a picture shows them: int64 (n, 10), in the order of READING, -1 for an object that is not.

    A picture does not tell "a star left of a circle" from "a circle right of a star": object 1 is the only one, the
    left one, or the upper one.
    """
    place, relation = attributes["place"], attributes["relation"]
    turned = (relation == RELATIONS.index("right of")) | (relation == RELATIONS.index("below"))
    layout = torch.where(relation < 0, place, len(PLACES) + relation.clamp(min=0) // 2)
    things = torch.stack([attributes[name] for name in ("shape", "colour", "size", "style")], dim=2)
    things = torch.where(turned[:, None, None], things.flip(1), things)  # (n, 2, 4)
    return torch.cat([layout[:, None], attributes["ground"][:, None], things.flatten(1)], dim=1)


def agreement(read: Tensor, asked: Tensor) -> dict[str, Tensor]:
    """Which facts of a picture are as asked: `read` and `asked` int64 (n, 10), as `reading` gives them. What was not
    asked for, -1, is right whatever it is.

    Returns:
        bool (n,) each: `layout`, `ground`; `shape`, `colour`, `size`, `style` (of both objects, where two are asked
        for); `all`.
    """
    if read.shape != asked.shape or read.ndim != 2 or read.shape[1] != len(READING):
        raise ValueError(
            f"read and asked must be (n, {len(READING)}), not {tuple(read.shape)} and {tuple(asked.shape)}"
        )
    same = (read == asked) | (asked < 0)
    facts = {"layout": same[:, 0], "ground": same[:, 1]}
    facts |= {
        name: same[:, 2 + k] & same[:, 6 + k] for k, name in enumerate(("shape", "colour", "size", "style"))
    }
    return facts | {"all": same.all(dim=1)}


def render(attributes: dict[str, Tensor], *, size: int = 64) -> Tensor:
    """Draw scenes, anti-aliased: float32 (n, 3, size, size) in [-1, 1], on the attributes' device.

    Raises:
        ValueError: an object without a colour (-1), such as `parse` gives for a caption that does not say it.
    """
    check_at_least(1, size=size)
    colourless = ((attributes["shape"] >= 0) & (attributes["colour"] < 0)).any(dim=1).nonzero()
    if len(colourless):
        raise ValueError(
            f"attributes['colour'] is -1 for an object of scene {colourless[0].item()}, so it cannot be drawn; "
            f"give it a colour, 0 … {len(COLOURS) - 1}"
        )
    device = attributes["ground"].device
    palette = torch.tensor(list(COLOURS.values()), device=device)
    line = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    # So many pixels hold an object and its edge.
    window = min(size, math.ceil((_RADIUS.max().item() + _LINE) * size) + 2)
    picture = palette[attributes["ground"]][:, :, None, None].expand(-1, -1, size, size).clone()
    for k in range(2):
        present = attributes["shape"][:, k] >= 0
        fact = {name: attributes[name][present, k] for name in ("shape", "colour", "size", "style", "centre")}
        first = ((fact["centre"] + 1) * (size / 2) - window / 2).floor().long().clamp(0, size - window)
        x, y = (first[:, :, None] + torch.arange(window, device=device)).unbind(dim=1)  # (n, window) each
        p = torch.stack(torch.broadcast_tensors(line[x][:, None, :], line[y][:, :, None]), dim=-1)
        cover = _coverage(fact, p - fact["centre"][:, None, None], 2 / size)[:, None]
        there = (
            present.nonzero()[:, :, None, None], torch.arange(3, device=device)[:, None, None],
            y[:, None, :, None], x[:, None, None, :],
        )  # fmt: skip
        picture[there] = torch.lerp(picture[there], palette[fact["colour"]][:, :, None, None], cover)
    return picture.mul_(2).sub_(1)


def _coverage(fact: dict[str, Tensor], p: Tensor, pixel: float) -> Tensor:
    """How much of each pixel an object covers, 0 … 1: pixels p (n, H, W, 2) as seen from its centre → (n, H, W)."""
    radius = _RADIUS.to(p.device)[fact["size"]][:, None, None]
    distance = torch.empty(p.shape[:3], device=p.device)
    for number, shape in enumerate(SHAPES):
        chosen = fact["shape"] == number
        distance[chosen] = _DISTANCE[shape](p[chosen], radius[chosen])
    inside = _soft(distance, pixel)
    outline = _soft((distance + _LINE).abs() - _LINE, pixel)
    wave = torch.cos((p[..., 0] + p[..., 1]) * (2 * math.pi / _STRIPE))
    stripes = _soft(wave * (_STRIPE / (2 * math.pi * math.sqrt(2))), pixel)
    styles = torch.stack([inside, outline, torch.maximum(outline, inside * stripes)])  # as in STYLES
    return styles[fact["style"], torch.arange(len(p), device=p.device)]


def _soft(distance: Tensor, pixel: float) -> Tensor:
    """Signed distance to the share of a pixel that is covered: half of it on the edge."""
    return (0.5 - distance / pixel).clamp(0, 1)


# Signed distances (negative inside) of points (n, H, W, 2) to shapes of a radius (n, 1, 1).
# The formulas are those of Inigo Quilez, "2D distance functions".


def _circle(p: Tensor, radius: Tensor) -> Tensor:
    return p.norm(dim=-1) - 0.9 * radius


def _box(p: Tensor, half_width: Tensor, half_height: Tensor) -> Tensor:
    dx, dy = p[..., 0].abs() - half_width, p[..., 1].abs() - half_height
    return torch.hypot(dx.clamp(min=0), dy.clamp(min=0)) + torch.maximum(dx, dy).clamp(max=0)


def _square(p: Tensor, radius: Tensor) -> Tensor:
    return _box(p, 0.8 * radius, 0.8 * radius)


def _cross(p: Tensor, radius: Tensor) -> Tensor:
    return torch.minimum(_box(p, radius, 0.33 * radius), _box(p, 0.33 * radius, radius))


def _polygon(p: Tensor, corners: Tensor) -> Tensor:
    """Distance to polygons with corners (n, K, 2), counted by crossings of their edges."""
    a = corners[:, None, None]  # (n, 1, 1, K, 2)
    b = a.roll(-1, dims=-2)
    edge, to_p = b - a, p.unsqueeze(-2) - a
    along = ((to_p * edge).sum(-1) / edge.square().sum(-1)).clamp(0, 1)
    distance = (to_p - along.unsqueeze(-1) * edge).norm(dim=-1).amin(-1)
    crosses = (a[..., 1] > p[..., None, 1]) != (b[..., 1] > p[..., None, 1])
    left = edge[..., 0] * to_p[..., 1] - edge[..., 1] * to_p[..., 0]
    odd = (crosses & ((left > 0) != (edge[..., 1] < 0))).sum(-1) % 2 == 1
    return torch.where(odd, -distance, distance)


def _regular(p: Tensor, radii: Tensor) -> Tensor:
    """Polygon whose corners lie at equal angles, the first one on top, at radii (n, K)."""
    k = radii.shape[1]
    angle = 2 * math.pi * torch.arange(k, device=p.device) / k
    return _polygon(p, radii[:, :, None] * torch.stack([angle.sin(), -angle.cos()], dim=1))


def _triangle(p: Tensor, radius: Tensor) -> Tensor:
    return _regular(p, radius[:, :, 0].expand(-1, 3))


def _star(p: Tensor, radius: Tensor) -> Tensor:
    dents = torch.tensor([1.0, 0.45], device=p.device).repeat(5)
    return _regular(p, radius[:, :, 0] * dents)


_DISTANCE = {"circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "cross": _cross}
