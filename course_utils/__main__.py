"""The command `course`: train, sample, evaluate, homework, doctor. Each command imports only what it needs."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

HELP = "Train the course's models, draw images from them, judge images, and see what this machine can do."
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)

Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps, …; by default the best that is here")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a subcommand; what the user can mend is said in one line, without a traceback."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except (ValueError, OSError, ModuleNotFoundError) as reason:
            typer.secho(f"error: {reason}", fg="red", err=True)
            raise typer.Exit(2) from reason

    return app.command()(guarded)


@command
def train(
    recipe: Annotated[str, typer.Argument(help="e.g. autoencoder-mnist; a wrong name lists them all")],
    out: Annotated[Path, typer.Option(help="folder for the weights and the card")] = Path("runs"),
    steps: Annotated[int | None, typer.Option(help="fewer or more steps than the recipe's")] = None,
    device: Device = None,
) -> None:
    """Train a model from its recipe; stopped with Ctrl-C and called again, it goes on where it was."""
    from course_utils import zoo

    checkpoint = out / f"{recipe}.checkpoint"
    try:
        model, scores = zoo.train_recipe(recipe, device=device, checkpoint=checkpoint, steps=steps)
    except KeyboardInterrupt:
        kept = (
            f"the same command goes on from {checkpoint}" if checkpoint.exists() else "too early to be kept"
        )
        typer.echo(f"\nstopped; {kept}", err=True)
        raise typer.Exit(130) from None
    weights = zoo.save_pretrained(model, out / recipe, recipe=recipe, scores=scores)
    checkpoint.unlink(missing_ok=True)
    typer.echo(f"wrote {weights} and its card")
    for name, value in scores.items():
        typer.echo(f"  {name}: {value:.4g}")


@command
def sample(
    model: Annotated[str, typer.Argument(help="a shipped model, or the path of your own: runs/NAME")],
    out: Annotated[Path, typer.Option(help="the .npz file to write")],
    n: Annotated[int, typer.Option(min=1, help="how many images")] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    labels: Annotated[str | None, typer.Option(help="classes in equal parts: 3, or 0-9, or 1,3,5")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="what to draw, for a model that reads: ldm-scenes")
    ] = None,
    device: Device = None,
) -> None:
    """Draw images into FILE.npz: images uint8 (N, H, W, C), and labels int64 (N,) where there are any."""
    import numpy as np
    import torch

    from course_utils import zoo
    from course_utils.data import pick_device, to_uint8

    if out.suffix != ".npz":
        raise ValueError(f"--out {out} must end in .npz")
    place = pick_device(device)
    net = zoo.load_pretrained(model, place)
    if not hasattr(net, "sample"):
        raise ValueError(f"{model} reads images and cannot make any; see `course doctor` for the others")
    if labels is not None and hasattr(net, "tokenize"):
        raise ValueError(f"{model} knows no classes but reads; give --prompt in place of --labels")
    wanted = None if labels is None else torch.from_numpy(np.resize(parse_labels(labels), n)).to(place)
    if prompt is not None:
        if not hasattr(net, "tokenize"):
            raise ValueError(f"{model} cannot read; leave --prompt out, or take ldm-scenes")
        wanted = net.tokenize([prompt]).expand(n, -1).to(place)
    generator = torch.Generator(place).manual_seed(seed)
    images: list[np.ndarray] = []
    with torch.inference_mode():
        for start in range(0, n, 500):
            part = slice(start, min(start + 500, n))
            y = None if wanted is None else wanted[part]
            images.append(to_uint8(net.sample(part.stop - start, y, generator=generator)))
    arrays = {"images": np.concatenate(images)}
    if wanted is not None and prompt is None:
        arrays["labels"] = wanted.cpu().numpy()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{out.name}.part.npz")
    np.savez_compressed(scratch, **arrays)  # type: ignore[arg-type]
    scratch.replace(out)
    typer.echo(f"wrote {n} images to {out}")


def parse_labels(text: str) -> list[int]:
    """ "0-3,7" → [0, 1, 2, 3, 7]."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(
                f"--labels {text!r}: {part!r} is neither a class (3) nor a range of classes (0-9)"
            )
        found += range(int(first), int(last if dash else first) + 1)
    if not found:
        raise ValueError(f"--labels {text!r} names no class")
    return found


@command
def evaluate(
    file: Annotated[Path, typer.Argument(help="an .npz file as `course sample` writes it")],
    against: Annotated[str, typer.Option(help="the data set to compare with")] = "digits",
    device: Device = None,
) -> None:
    """Compare images with a data set's test split: grey 28×28 ones as the digit classifier sees them, others by
    the Inception network. Beside each figure stands what as many real training images reach, of the same classes
    where the file has labels."""
    import torch

    from course_utils import metrics
    from course_utils.data import load_images, to_float
    from course_utils.features import feature_extractor

    pixels, labels = read_samples(file)
    images, real = to_float(pixels), load_images(against, "test")
    if images.shape[1:] != real.x.shape[1:]:
        raise ValueError(
            f"{file} holds images of {tuple(images.shape[1:])} and {against} of {tuple(real.x.shape[1:])}; "
            "only images of one shape can be compared"
        )
    name = "digits" if images.shape[1:] == (1, 28, 28) else "inception"
    see = feature_extractor(name, device)
    train, test, fake = load_images(against, "train"), see(real.x).features, see(images)
    typer.echo(f"{len(images)} images, {len(real)} real ones of {against} test, features: {name}")
    if len(images) > 5:
        chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
        if labels is not None:  # as many of each class, for what the distribution of classes does to FID
            y, wanted = train.y[chosen], torch.from_numpy(labels).bincount(minlength=len(train.classes))
            number = torch.nn.functional.one_hot(y, len(train.classes)).cumsum(dim=0)
            chosen = chosen[number.gather(1, y[:, None])[:, 0] <= wanted[y]]
        floor = see(train.x[chosen[: len(images)]]).features
        size = min(1000, len(images), len(test), len(floor))

        def scores(f: Tensor) -> dict[str, float]:
            kid = metrics.kernel_inception_distance(real=test, fake=f, subset_size=size).mean
            precision, recall = metrics.precision_recall(real=test, fake=f)
            return {
                "FID": metrics.fid(real=test, fake=f),
                "KID · 1000": 1000 * kid,
                "precision": precision,
                "recall": recall,
            }

        for (label, score), best in zip(scores(fake.features).items(), scores(floor).values(), strict=True):
            typer.echo(f"{label}: {score:.3f}  (real: {best:.3f})")
    if fake.probs is None or name != "digits":
        return
    typer.echo(f"Inception Score: {metrics.inception_score(fake.probs, splits=1).mean:.3f}")
    confidence, read = fake.probs.max(dim=1)
    typer.echo(f"read with more than 90 % confidence: {(confidence > 0.9).double().mean().item():.1%}")
    if labels is not None:
        right = (read.cpu() == torch.from_numpy(labels)).double().mean().item()
        typer.echo(f"read as the class asked for: {right:.1%}")


def read_samples(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The images uint8 (N, H, W, C) of an .npz file, and its labels int64 (N,) if it has any."""
    import zipfile

    import numpy as np

    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays.get("labels")
    except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as reason:
        raise ValueError(f"{file} is no .npz file with an array `images` ({reason})") from reason
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(f"{file}: images must be uint8 (N, H, W, C), not {images.dtype} {images.shape}")
    if labels is not None and (labels.dtype != np.int64 or labels.shape != images.shape[:1]):
        raise ValueError(f"{file}: labels must be int64 ({len(images)},), not {labels.dtype} {labels.shape}")
    if labels is not None and labels.min() < 0:
        raise ValueError(f"{file}: labels must be 0 or more, not {labels.min()}")
    return images, labels


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def homework(context: typer.Context) -> None:
    """Build homework, see which exercises pass, and grade submissions: `course homework --help`."""
    from course_utils.grading import app as homework_app

    homework_app(context.args, prog_name="course homework")


@command
def doctor() -> None:
    """Say what this machine has, and what of the course will work here."""
    import torch

    from course_utils import data, zoo

    def line(good: bool, text: str, otherwise: str = "") -> None:
        typer.echo(
            f"  {'ok' if good else '--'}  {text}" + ("" if good or not otherwise else f": {otherwise}")
        )

    typer.echo(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for package in ("torch", "torchvision", "accelerate", "ipywidgets", "anywidget", "jupyterlab", "nbval"):
        try:
            line(True, f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            line(False, package, "missing: pip install -e '.[lab,test]'")
    device = data.pick_device()
    typer.echo(f"Computes on {device}, {torch.get_num_threads()} threads, {os.cpu_count()} cores")
    line(device.type != "cpu", "a GPU", "none found; every notebook is made for a CPU")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    line(free > 5, f"{free:.0f} GB free on this disk", "a data set such as celeba needs more")

    typer.echo(f"Data in {data.data_root()}")
    try:
        data.load_images("digits")
        line(True, "digits (offline)")
    except (OSError, ModuleNotFoundError) as reason:
        line(False, "digits", str(reason))
    for name, source in data.TORCHVISION.items():
        line((data.data_root() / source.folder).exists(), name, "not here; downloaded on first use")
    online = _online()
    line(online, "a network", "none: what is not here cannot be downloaded; the notebooks need none of it")

    typer.echo("Models")
    for name in zoo.RECIPES:
        try:
            zoo.load_pretrained(name, "cpu")
            line(True, name)
        except (OSError, ValueError) as reason:
            line(False, name, str(reason))

    typer.echo("For those who work on the course")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    line(chromium is not None, "Chromium", "the browser tests need it: apt-get install chromium")


def _online(timeout: float = 3.0) -> bool:
    """Whether the host that the course itself comes from can be reached."""
    addresses = importlib.metadata.metadata("course-utils").get_all("Project-URL") or []
    host = urlsplit(addresses[0].split(", ")[1]).hostname if addresses else None
    try:
        socket.create_connection((host or "", 443), timeout=timeout).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(app())
