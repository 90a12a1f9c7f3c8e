"""Networks packed for the browser, and the drawing explorer that carries them."""

from __future__ import annotations

import base64
import io
import json
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from course_utils.explorers import DrawingExplorer
from course_utils.explorers.packing import Packer


def weights_of(described: dict[str, int], content: bytes, floats: int) -> torch.Tensor:
    """A matrix, read back from what was packed."""
    values = np.frombuffer(content, "<f4", floats)
    numbers = np.frombuffer(content, np.int8, offset=4 * floats)
    rows, columns, at = described["rows"], described["columns"], described["at"]
    scales = values[described["scales"] : described["scales"] + rows]
    return torch.tensor(numbers[at : at + rows * columns].reshape(rows, columns) * scales[:, None])


def test_packed_weights_err_by_half_a_step_at_most() -> None:
    layers = [nn.Linear(7, 5), nn.Linear(5, 3)]
    nn.init.zeros_(layers[1].weight)
    packer = Packer()
    packed, deflated = packer.finish({"layers": packer.sequence(layers)})
    content = zlib.decompress(deflated)
    first, second = (
        weights_of(one["weight"], content, packed["floats"]) for one in packed["networks"]["layers"]
    )
    step = layers[0].weight.abs().amax(dim=1, keepdim=True) / 127
    assert ((first - layers[0].weight).abs() <= 0.5001 * step).all()
    assert (first != layers[0].weight).any()
    assert not second.any()


def test_the_packer_names_a_layer_that_the_front_end_lacks() -> None:
    with pytest.raises(ValueError, match="layers holds a Dropout"):
        Packer().sequence([nn.Linear(2, 2), nn.Dropout()])


def test_an_explorer_is_a_widget_and_a_picture() -> None:
    explorer = DrawingExplorer()
    bundle = explorer._repr_mimebundle_()
    assert bundle is not None
    assert bundle[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    picture = Image.open(io.BytesIO(base64.b64decode(bundle[0]["image/png"])))
    assert picture.width == 800
    assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    assert repr(explorer) == f"DrawingExplorer({len(explorer.weights) / 1e6:.1f} MB of weights)"


def test_what_is_sent_is_small() -> None:
    state = DrawingExplorer().get_state(["packed", "weights", "plane", "usual"])
    assert 2.2e6 < len(state.pop("weights")) < 2.35e6  # docs/site/draw.md says 2.3 MB,
    assert len(state["plane"]["codes"]) == 400  # and how many digits are on the map
    assert len(json.dumps(state)) < 50_000
