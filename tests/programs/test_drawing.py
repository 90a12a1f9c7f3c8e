"""The drawing explorer's networks as Node runs them, against PyTorch; and drawings made as MNIST's digits were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.data import load_images
from course_utils.diffusion import ddim_sample
from course_utils.explorers.drawing import NETWORKS, drawing_state
from course_utils.nets import over_batches
from course_utils.pretrained import load_pretrained

FRONT = Path(__file__).resolve().parents[2] / "front"
SIZE = 140


class Answers(NamedTuple):
    """What Node answers: of each image the networks' outputs, of each drawing the image made of it in [0, 1]."""

    outputs: list[dict[str, Any]]
    prepared: Tensor

    def of(self, *keys: str | int) -> Tensor:
        """One output of each image."""
        values: list[Any] = self.outputs
        for key in keys:
            values = [value[key] for value in values]
        return torch.tensor(values)


@pytest.fixture(scope="module")
def test_digits() -> Any:
    return load_images("digits", "test")


@pytest.fixture(scope="module")
def images(test_digits: Any) -> Tensor:
    """Digits, and what is none: noise, and an empty image."""
    noise = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.cat([test_digits.x[:9], noise, torch.full((1, 1, 28, 28), -1.0)])


@pytest.fixture(scope="module")
def eps() -> Tensor:
    return torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def pasted(x: Tensor, seed: int) -> Tensor:
    """Digits (N, 1, 28, 28) enlarged to 2 … 4.5 times their size, somewhere on a board: (N, 140, 140) in [0, 1]."""
    draw = np.random.default_rng(seed)
    boards = torch.zeros(len(x), SIZE, SIZE)
    for board, image in zip(boards, (x + 1) / 2, strict=True):
        side = int(draw.integers(56, 127))
        top, left = draw.integers(0, SIZE - side + 1, size=2)
        large = F.interpolate(image[None], size=(side, side), mode="bilinear")[0, 0]
        board[top : top + side, left : left + side] = large
    return boards


@pytest.fixture(scope="module")
def boards(test_digits: Any) -> Tensor:
    """The test digits as they are, moved and scaled, and redrawn so by a pen that knows no grey: (3, N, 140, 140)."""
    moved = pasted(test_digits.x, seed=2)
    exact = F.interpolate((test_digits.x + 1) / 2, scale_factor=5, mode="nearest")[:, 0]
    return torch.stack([exact, moved, (moved > 0.4).float()])


@pytest.fixture(scope="module")
def answers(images: Tensor, eps: Tensor, boards: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("node")
    state = drawing_state()
    (folder / "packed.json").write_text(json.dumps(state["packed"]))
    (folder / "weights.bin").write_bytes(state["weights"])
    for name, values in {"images": images, "noise": eps, "ink": boards}.items():
        (folder / f"{name}.bin").write_bytes(values.contiguous().numpy().astype("<f4").tobytes())
    node = Path(sys.executable).with_name("node")
    done = subprocess.run(
        [node, FRONT / "test/networks.ts", folder], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    prepared = np.fromfile(folder / "prepared.bin", "<f4")
    return Answers(
        json.loads((folder / "outputs.json").read_text()),
        torch.from_numpy(prepared).view(*boards.shape[:2], 1, 28, 28),
    )


# --- Networks -----------------------------------------------------------------------------------------------------


def round_weights(model: nn.Module, largest: int = 127) -> nn.Module:
    """The model with each row of weights in so many steps either way, norms over the batch taken into the weights."""

    def rounded(weight: Tensor, *rows: int) -> Tensor:
        """rows: the dimensions that number the rows."""
        others = [d for d in range(weight.ndim) if d not in rows]
        scale = weight.abs().amax(dim=others, keepdim=True).clamp_min(1e-30) / largest
        return (weight / scale).round() * scale

    for part in list(model.modules()):
        if isinstance(part, nn.Sequential):
            for k in range(1, len(part)):
                convolution, norm = part[k - 1], part[k]
                if isinstance(norm, nn.BatchNorm2d):
                    part[k - 1] = nn.utils.fuse_conv_bn_eval(convolution, norm)
                    part[k] = nn.Identity()
    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding):
            part.weight.data = rounded(part.weight.data, 0)
        elif isinstance(part, nn.ConvTranspose2d):
            part.weight.data = rounded(part.weight.data, 1, 2, 3)
    return model


def networks(largest: int | None = 127) -> dict[str, Any]:
    """The shipped networks with their weights rounded, or with None as they are."""
    loaded = {role: load_pretrained(name, "cpu") for role, name in NETWORKS.items()}
    return loaded if largest is None else {role: round_weights(net, largest) for role, net in loaded.items()}


@pytest.fixture(scope="module")
def rounded() -> dict[str, Any]:
    return networks()


@pytest.fixture(scope="module")
def original() -> dict[str, Any]:
    return networks(None)


@torch.no_grad()
def outputs_of(nets: dict[str, Any], x: Tensor, eps: Tensor) -> dict[tuple[str | int, ...], Tensor]:
    """The outputs that Node gives, by their keys there."""
    model = nets["diffusion"]
    noisy = model.q_sample(x, torch.full((len(x),), 750), eps.expand_as(x))
    steps = list(ddim_sample(model, noisy, steps=3, y=torch.arange(len(x)) % 10, start=750))
    return {
        ("classes",): nets["classifier"](x).softmax(dim=1),
        **{(role, 0): nets[role].encode(x) for role in ("autoencoder", "vae")},
        **{(role, 1): nets[role].reconstruct(x).flatten(1) for role in ("autoencoder", "vae")},
        ("plane",): nets["plane"].encode(x),
        **{
            ("seen", k): step.x0_hat.flatten(1) for k, step in enumerate(steps[1:]) if step.x0_hat is not None
        },
    }


def test_node_runs_the_networks_as_torch_does(
    answers: Answers, rounded: dict[str, Any], images: Tensor, eps: Tensor
) -> None:
    """With the same rounded weights: to 1e-4."""
    for keys, wanted in outputs_of(rounded, images[:10], eps).items():
        torch.testing.assert_close(answers.of(*keys)[:10], wanted, atol=1e-4, rtol=1e-4, msg=str(keys))


def test_the_model_asked_for_no_class(
    answers: Answers, rounded: dict[str, Any], images: Tensor, eps: Tensor
) -> None:
    """Node asked for class 10, none, with the eleventh image."""
    model = rounded["diffusion"]
    noisy = model.q_sample(images[10:], torch.full((1,), 750), eps)
    *_, last = ddim_sample(model, noisy, steps=3, start=750)
    torch.testing.assert_close(answers.of("seen", 2)[10:], last.x0_hat.flatten(1), atol=1e-4, rtol=1e-4)


def faults(few: dict[str, Any], full: dict[str, Any], digits: Any, eps: Tensor) -> dict[str, float]:
    """How far networks with rounded weights are from those as trained, on real digits."""
    with torch.no_grad():
        read = [over_batches(nets["classifier"], digits.x).softmax(dim=1) for nets in (few, full)]
        rebuilt = {
            role: [over_batches(nets[role].reconstruct, digits.x) for nets in (few, full)]
            for role in ("autoencoder", "vae")
        }
    noisy = full["diffusion"].q_sample(digits.x[:50], torch.full((50,), 750), eps.expand(50, -1, -1, -1))
    made = [list(ddim_sample(nets["diffusion"], noisy, steps=3, start=750))[-1].x_t for nets in (few, full)]
    pairs = rebuilt | {"diffusion": made}
    differences = {role: (a - b).square().mean().sqrt().item() for role, (a, b) in pairs.items()}
    disagree = (read[0].argmax(dim=1) != read[1].argmax(dim=1)).float().mean().item()
    return {"classes": disagree, "classes by": (read[0] - read[1]).abs().max().item(), **differences}


BOUNDS = {"classes": 0.0005, "classes by": 0.05, "autoencoder": 0.015, "vae": 0.01, "diffusion": 0.02}


def test_eight_bits_change_little(
    rounded: dict[str, Any], original: dict[str, Any], test_digits: Any, eps: Tensor
) -> None:
    """Root mean squares of pixels in [-1, 1]; of the classifier its answers and its probabilities."""
    found = faults(rounded, original, test_digits, eps)
    assert all(found[name] <= bound for name, bound in BOUNDS.items()), found


def test_four_bits_would_change_too_much(original: dict[str, Any], test_digits: Any, eps: Tensor) -> None:
    found = faults(networks(7), original, test_digits, eps)
    assert all(found[name] > bound for name, bound in BOUNDS.items()), found


@torch.no_grad()
def test_how_much_of_a_drawing_the_diffusion_model_keeps(original: dict[str, Any], test_digits: Any) -> None:
    """From 250 and 500 the digit stays, whatever is asked for; from 750 mostly, and a wish in three comes true."""
    x, y, model = test_digits.x[:40], test_digits.y[:40], original["diffusion"]
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))

    def read(start: int, wish: int) -> Tensor:
        """The digits that are made from there; wish: 10 is none."""
        noisy = model.q_sample(x, torch.full((40,), start), eps)
        asked = None if wish == 10 else torch.full((40,), wish)
        *_, last = ddim_sample(model, noisy, steps=start // 250, y=asked, start=start)
        return original["classifier"](last.x_t.clamp(-1, 1)).argmax(dim=1)

    kept = {
        start: [(read(start, wish) == y).float().mean().item() for wish in (3, 5, 10)] for start in (250, 500)
    }
    assert all(np.mean(shares) > 0.95 for shares in kept.values()), kept
    assert 0.6 < (read(750, 10) == y).float().mean() < 0.95
    met = [(read(750, wish) == wish)[y != wish].float().mean().item() for wish in range(0, 10, 2)]
    assert 0.2 < np.mean(met) < 0.5, met


# --- Drawings -----------------------------------------------------------------------------------------------------


def test_a_digit_of_mnist_comes_back_as_it_was(answers: Answers, test_digits: Any) -> None:
    """Enlarged five times without loss, its box is found, and it is put where it was: nearly all pixel by pixel, the
    others without a row of nearly black pixels at their edge."""
    exact = answers.prepared[0] * 2 - 1
    wrong = (exact - test_digits.x).abs().flatten(1).amax(dim=1)
    assert (wrong < 1e-6).float().mean() > 0.95, wrong.sort().values[-60:]
    assert wrong.max() < 0.05


def test_a_drawn_digit_is_read_wherever_and_however_large_it_was_drawn(
    answers: Answers, boards: Tensor, test_digits: Any, original: dict[str, Any]
) -> None:
    """Moved and scaled digits are read nearly as the originals if they are made as MNIST's were, and else not."""

    def accuracy(x: Tensor) -> float:
        logits = over_batches(original["classifier"], x.clamp(0, 1) * 2 - 1)
        return (logits.argmax(dim=1) == test_digits.y).float().mean().item()

    as_they_stand = F.avg_pool2d(boards[:, :, None].flatten(0, 1), 5).unflatten(0, boards.shape[:2])
    read = {
        name: [accuracy(x) for x in some]
        for name, some in (("made", answers.prepared), ("not", as_they_stand))
    }
    assert read["made"][0] > 0.99, read
    assert read["made"][1] > 0.985, read  # moved and scaled
    assert read["made"][2] > 0.98, read  # and redrawn by a pen
    assert max(read["not"][1:]) < 0.8, read
