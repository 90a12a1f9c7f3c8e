"""The standard sets, read by torchvision: downloaded on first use, whole or not at all, digests compared."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_utils.data.images import SPLITS, Images, to_float
from course_utils.files import making, sha256


@dataclass(frozen=True)
class _Source:
    """Where a torchvision set lies below the root, and how it is built and read."""

    folder: str
    build: Callable[[Path, str, bool], Any]  # (root, split, download) -> torchvision's data set
    size: int | None = None  # images of many sizes are brought to this one
    sorted: bool = False  # by class on the disk: brought into an order of chance that is always the same
    classes: tuple[str, ...] = ()


def _tv(name: str) -> Any:
    from torchvision import datasets  # imported here: it costs a second that `digits` need not pay

    return getattr(datasets, name)


TORCHVISION = {
    "mnist": _Source(
        "MNIST",
        lambda root, split, load: _tv("MNIST")(root, train=split == "train", download=load),
        classes=tuple("0123456789"),
    ),
    "fashion_mnist": _Source(
        "FashionMNIST",
        lambda root, split, load: _tv("FashionMNIST")(root, train=split == "train", download=load),
    ),
    "cifar10": _Source(
        "cifar-10-batches-py",
        lambda root, split, load: _tv("CIFAR10")(root, train=split == "train", download=load),
    ),
    "flowers102": _Source(
        "flowers-102",
        lambda root, split, load: _tv("Flowers102")(root, split=split, download=load),
        size=64,
        sorted=True,
    ),
    "celeba": _Source(
        "celeba",
        lambda root, split, load: _tv("CelebA")(root, split=split, target_type="attr", download=load),
        size=64,
        classes=("not smiling", "smiling"),
    ),
}

# The digests of MNIST as LeCun, Cortes and Burges published it, unpacked.
_MNIST_SHA256 = {
    "raw/train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "raw/train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "raw/t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "raw/t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_DIGEST_FILE = "sha256.json"


def torchvision_images(name: str, split: str, size: int | None, n: int | None, root: Path) -> Images:
    """A set by its name, as `load_images` gives it; all of it at its own size where it is one array on the disk."""
    source = TORCHVISION[name]
    folder = root / source.folder
    if not folder.exists():
        with making(root):
            _download(name, source, root)
    _verify(name, folder)
    try:
        dataset = source.build(root, split, False)
    except (RuntimeError, OSError, ValueError, AssertionError) as reason:
        raise OSError(
            f"{name}: {folder} cannot be read ({reason}); delete that folder and load again"
        ) from reason
    classes = source.classes or tuple(dataset.classes)
    if source.size is None:  # the whole set is one array
        y = torch.as_tensor(dataset.targets, dtype=torch.int64)[:n]
        return Images(to_float(np.asarray(dataset.data)[:n]), y, classes)
    pixels, labels = [], []
    order = torch.arange(len(dataset))
    if source.sorted:
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    for i in order[:n].tolist():
        try:
            picture, target = dataset[i]
            pixels.append(_square(picture, size or source.size))
        except OSError as reason:
            raise OSError(
                f"{name}: a picture in {folder} cannot be read ({reason}). Nothing was loaded; "
                "delete that folder and load again to download it anew"
            ) from reason
        labels.append(int(target[dataset.attr_names.index("Smiling")]) if name == "celeba" else int(target))
    return Images(to_float(np.stack(pixels)), torch.tensor(labels), classes)


def _square(picture: Any, size: int) -> np.ndarray:
    """The middle square of a PIL picture at size × size, as bytes (size, size, 3)."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.LANCZOS))


def _download(name: str, source: _Source, root: Path) -> None:
    """Download into a folder of its own and move it into place when it is whole, never before."""
    scratch = Path(tempfile.mkdtemp(prefix=f".download-{name}-", dir=root))
    try:
        for split in SPLITS:
            source.build(scratch, split, True)
        folder = scratch / source.folder
        digests = {
            str(path.relative_to(folder)): sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        (folder / _DIGEST_FILE).write_text(json.dumps(digests, indent=0), encoding="utf-8")
        try:
            folder.replace(root / source.folder)
        except OSError:  # another process was quicker; what it put there is whole
            if not (root / source.folder).exists():
                raise
    except Exception as reason:  # torchvision raises many kinds here: URLError, RuntimeError, gdown's own …
        raise ConnectionError(
            f"{name} is not in {root} and could not be downloaded ({type(reason).__name__}: {reason}). "
            f"Connect to the internet, or copy the folder {source.folder}/ there from a machine that has it "
            "(COURSE_DATA names another place). load_images('digits') needs no network."
        ) from reason
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _verify(name: str, folder: Path) -> None:
    """Compare the files of a set with the digests that were written when it was downloaded."""
    manifest = folder / _DIGEST_FILE
    known = _MNIST_SHA256 if name == "mnist" else {}
    try:
        digests = dict(json.loads(manifest.read_text(encoding="utf-8"))) if manifest.exists() else known
    except (ValueError, TypeError) as reason:
        raise OSError(
            f"{name}: {manifest} is damaged. Nothing was loaded; "
            f"delete {folder} and load again to download it anew"
        ) from reason
    for file, digest in digests.items():
        path = folder / file
        if not path.exists() or _digest(path, path.stat().st_mtime_ns, path.stat().st_size) != digest:
            what = "is damaged" if path.exists() else "is missing"
            raise OSError(
                f"{name}: {path} {what}. Nothing was loaded; "
                f"delete {folder} and load again to download it anew"
            )


@functools.cache
def _digest(path: Path, changed: int, size: int) -> str:
    """The SHA-256 of a file, computed once for as long as its time and size stay the same."""
    return sha256(path)
