"""The explorers as the notebooks store them: what a reader meets before moving anything."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course_utils.explorers.sprites import value_at

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
STATE = "application/vnd.jupyter.widget-state+json"


def stored() -> Iterator[Any]:
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        models = nbformat.read(path, as_version=4).metadata.get("widgets", {}).get(STATE, {}).get("state", {})
        for model in models.values():
            state = model["state"]
            if "_esm" in state and "controls" in state:
                yield pytest.param(state, id=f"{path.stem[:2]} {state['title']}")


EXPLORERS = list(stored())


def test_there_are_as_many_as_the_course_says() -> None:
    assert len(EXPLORERS) >= 24


@pytest.mark.parametrize("state", EXPLORERS)
def test_a_line_says_what_to_try(state: dict[str, Any]) -> None:
    assert state["title"]
    assert state["hint"].startswith("Try: ")
    assert len(state["hint"]) <= 100
    assert state["hint"][-1] in ".?"


@pytest.mark.parametrize("state", EXPLORERS)
def test_every_control_shows_something_where_the_explorer_opens(state: dict[str, Any]) -> None:
    idle = [
        control["name"]
        for c, control in enumerate(state["controls"])
        if not shows_something(state, state["index"], c)
    ]
    assert not idle, f"{idle} change nothing in the opening state {state['index']}"


@pytest.mark.parametrize("state", [one for one in EXPLORERS if one.values[0].get("charts")])
def test_a_hatch_differs_from_its_ground(state: dict[str, Any]) -> None:
    """Matplotlib draws it in the edge's colour, so with one colour for edge and face nothing is to be seen."""
    for svg in json.loads(gzip.decompress(base64.b64decode(state["charts"]))):
        for pattern in re.findall(r"<pattern.*?</pattern>", svg, re.DOTALL):
            ground, *lines = re.findall(r"(?:fill|stroke)(?:=\"|: )(#\w+)", pattern)
            assert ground not in lines


def test_a_control_that_shows_nothing_is_found() -> None:
    """Both samplers give the same at t = 0, as they did where the first edition's explorer opened."""
    controls = [{"name": "sampler", "size": 2, "kind": "choice"}, {"name": "t", "size": 2, "kind": "slider"}]
    panel = {"frames": [5, 6, 5, 7], "strides": [2, 1, 0], "count": 1, "strip": -1}
    state = {"controls": controls, "panels": [panel], "readouts": []}
    assert not shows_something(state, [0, 0], 0)
    assert shows_something(state, [0, 1], 0)
    assert shows_something(state, [0, 0], 1)


def shows_something(state: dict[str, Any], index: list[int], c: int) -> bool:
    """Whether a picture, a strip or a read-out changes as control c moves and all others stay."""
    return any(
        view(state, moved(index, c, k)) != view(state, index) for k in range(state["controls"][c]["size"])
    )


def moved(index: list[int], c: int, k: int) -> list[int]:
    return [*index[:c], k, *index[c + 1 :]]


def view(state: dict[str, Any], index: list[int]) -> list[Any]:
    """What is on the screen; a path over the map and the map's own cursor are not counted."""
    seen: list[Any] = []
    for panel in state["panels"]:
        strip = panel["strip"]
        places = (
            [index]
            if strip < 0
            else [moved(index, strip, k) for k in range(state["controls"][strip]["size"])]
        )
        for place in places:
            first = sum(i * s for i, s in zip([*place, 0], panel["strides"], strict=True))
            seen.append(panel["frames"][first : first + panel["count"]])
        seen.append(None if strip < 0 else index[strip])  # the frame that is marked
    return seen + [value_at(r["values"], r["strides"], [*index, 0]) for r in state["readouts"]]
