"""The command `course`: train, sample, evaluate, homework, lab, doctor. Each command imports only what it needs."""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MOST = 1_000_000
UsageError: Any = typer.BadParameter.__mro__[2]  # what all of typer's own errors are


class Commands(TyperGroup):
    """What the user can mend is said in one line, `error: …` on stderr, with exit status 2; Ctrl-C ends with 130."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """As of every command. A character that the console cannot show comes as its number."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if not (sys.argv[1:] if args is None else args):
            args = ["--help"]
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except UsageError as reason:
            where = getattr(reason, "ctx", None)
            help_at = f"; see {where.command_path} --help" if where else ""
            status = _say(reason.format_message().rstrip(". ") + help_at)
        if standalone_mode:
            sys.exit(status or 0)
        return status

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            typer.echo("\nstopped", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of our output, such as `head`, has enough
            raise
        except ModuleNotFoundError as reason:
            if (reason.name or "").startswith("course_utils"):
                raise
            how = "" if "pip install" in str(reason) else ": pip install -e '.[lab]'"
            raise typer.Exit(_say(str(reason) + how)) from reason
        except OSError as reason:
            named = reason.filename is not None and reason.strerror is not None
            why = f"{os.fsdecode(reason.filename)}: {reason.strerror}" if named else str(reason)
            raise typer.Exit(_say(why)) from reason
        except (ValueError, FloatingPointError) as reason:
            raise typer.Exit(_say(str(reason))) from reason
        except (RuntimeError, MemoryError) as reason:
            scarce = ("memory", "could not create a primitive")  # by PyTorch, and by its library oneDNN
            if isinstance(reason, RuntimeError) and not any(words in str(reason) for words in scarce):
                raise
            raise typer.Exit(_say("there is not enough memory; ask for less at a time")) from reason


def _say(what: str) -> int:
    """One line to the user; the exit status that goes with it."""
    typer.secho("error: " + " ".join(what.split()), fg="red", err=True)
    return 2


HELP = "Train the course's models, draw images from them, judge images, and see what this machine can do."
app = typer.Typer(
    name="course", cls=Commands, add_completion=False, pretty_exceptions_enable=False, help=HELP
)

Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps; by default the best that is here")]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="e.g. autoencoder-mnist; a wrong name lists them all")],
    out: Annotated[Path, typer.Option(readable=False, help="folder for the weights and the card")] = Path(
        "runs"
    ),
    steps: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="another number of steps in a round than the recipe's")
    ] = None,
    device: Device = None,
) -> None:
    """Train a model from its recipe; stopped with Ctrl-C and called again, it goes on where it was."""
    from course_utils.files import check_writable
    from course_utils.inputs import check_choice
    from course_utils.pretrained import save_pretrained
    from course_utils.recipes import RECIPES, checkpoints, train_recipe

    check_choice(tuple(RECIPES), recipe=recipe)
    place, checkpoint = _device(device), out / f"{recipe}.checkpoint"
    files = checkpoints(checkpoint, RECIPES[recipe].rounds)
    for file in (*files, *(out / (recipe + suffix) for suffix in (".safetensors", ".json"))):
        check_writable(out=file)
    try:
        model, training, scores = train_recipe(recipe, device=place, checkpoint=checkpoint, steps=steps)
    except KeyboardInterrupt:
        kept = [file for file in files if file.exists()]
        how = f"the same command goes on from {kept[-1]}" if kept else "too early for anything to be kept"
        typer.echo(f"\nstopped; {how}", err=True)
        raise typer.Exit(130) from None
    weights = save_pretrained(model, out / recipe, training=training, scores=scores)
    for file in files:
        file.unlink(missing_ok=True)
    typer.echo(f"wrote {weights} and its card")
    for name, value in scores.items():
        typer.echo(f"  {name}: {value:.4g}")


@app.command()
def sample(
    model: Annotated[
        str, typer.Argument(help="a shipped model, or the path of one that `course train` made: runs/NAME")
    ],
    out: Annotated[Path, typer.Option(readable=False, help="the .npz file to write")],
    n: Annotated[int, typer.Option(min=1, max=MOST, help="how many images")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="another one draws other images")] = 0,
    labels: Annotated[
        str | None,
        typer.Option(help="classes, in turn: 3, or 0-9, or 1,3,5; without, images of whatever class"),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="what to draw, for a model that reads: ldm-scenes")
    ] = None,
    device: Device = None,
) -> None:
    """Draw images into FILE.npz: images uint8 (N, H, W, C), and labels int64 (N,) where they were asked for."""
    import numpy as np
    import torch

    from course_utils.data import to_uint8
    from course_utils.files import check_writable, replacing
    from course_utils.pretrained import load_pretrained

    if out.suffix != ".npz":
        raise ValueError(f"--out {out} must end in .npz")
    check_writable(out=out)
    place = _device(device)
    net = load_pretrained(model, place)
    if not hasattr(net, "sample"):
        raise ValueError(f"{model} reads images and cannot make any; see `course doctor` for the others")
    reads, num_classes = hasattr(net, "tokenize"), getattr(net, "num_classes", None)
    wanted = None
    if labels is not None:
        if reads:
            raise ValueError(f"{model} knows no classes but reads; give --prompt instead of --labels")
        if num_classes is None:
            raise ValueError(f"{model} knows no classes; leave --labels out")
        chosen = parse_labels(labels, num_classes)
        if len(chosen) > n:
            raise ValueError(f"--labels {labels!r} are {len(chosen)} classes, --n {n} images; raise --n")
        wanted = torch.from_numpy(np.resize(chosen, n)).to(place)
    if prompt is not None:
        if not reads:
            raise ValueError(f"{model} cannot read; leave --prompt out, or take ldm-scenes")
        if not prompt.strip():
            raise ValueError("--prompt is empty; say what to draw, or leave it out")
        wanted = net.tokenize([prompt]).expand(n, -1).to(place)
    generator = torch.Generator(place).manual_seed(seed)
    images: list[np.ndarray] = []
    with torch.inference_mode():
        for start in range(0, n, 500):
            part = slice(start, min(start + 500, n))
            x = net.sample(part.stop - start, None if wanted is None else wanted[part], generator=generator)
            if x.ndim != 4:
                raise ValueError(f"{model} makes points {tuple(x.shape)}, no images; draw it in a notebook")
            images.append(to_uint8(x))
    arrays = {"images": np.concatenate(images)}
    if labels is not None and wanted is not None:
        arrays["labels"] = wanted.cpu().numpy()
    with replacing(out) as scratch:
        np.savez_compressed(scratch, **arrays)  # type: ignore[arg-type]
    typer.echo(f"wrote {n} images to {out}")
    if wanted is None and (reads or num_classes is not None):
        what = "prompt" if reads else "labels"
        typer.echo(f"no --{what}: they show whatever the model draws, and the file holds no labels")


def parse_labels(text: str, num_classes: int) -> list[int]:
    """ "0-3,7" → [0, 1, 2, 3, 7]; a ValueError unless all of them are classes, 0 … num_classes - 1."""
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", part.strip())
        if not ends:
            raise ValueError(
                f"--labels {text!r}: {part!r} is neither a class (3) nor a range of classes (0-9)"
            )
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first:
            raise ValueError(f"--labels {text!r}: the range {part!r} runs backwards; write {last}-{first}")
        if last >= num_classes:
            raise ValueError(f"--labels {text!r}: the classes of this model are 0-{num_classes - 1}")
        found += range(first, last + 1)
    return found


def _device(name: str | None) -> Any:
    """The torch.device of this name, on which numbers can be drawn; by default the best that is here."""
    import torch

    from course_utils.inputs import pick_device

    place = pick_device(name)
    try:
        torch.zeros(1, device=place).add_(1).item()
        torch.Generator(place)
    except (RuntimeError, NotImplementedError) as reason:  # such as `meta`
        raise ValueError(f"--device {name} holds no numbers; give cpu, or leave it out") from reason
    return place


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="an .npz file as `course sample` writes it")],
    against: Annotated[str, typer.Option(help="the data set to compare with")] = "digits",
    device: Device = None,
) -> None:
    """Compare images with a data set's test split: grey 28x28 ones as the digit classifier sees them, others by
    the Inception network. Beside each figure stands what as many real training images reach, of the same classes
    where the file has labels; where there are fewer, that is said."""
    import torch

    from course_utils import metrics
    from course_utils.data import load_images, to_float
    from course_utils.features import feature_extractor

    place = _device(device)
    pixels, labels = read_samples(file)
    images, real = to_float(pixels), load_images(against, "test")
    if images.shape[1:] != real.x.shape[1:]:
        raise ValueError(
            f"{file} holds images of {tuple(images.shape[1:])} and {against} of {tuple(real.x.shape[1:])}; "
            "only images of one shape can be compared"
        )
    if labels is not None and labels.max() >= len(real.classes):
        raise ValueError(f"{file}: labels hold {labels.max()}; {against} has 0 … {len(real.classes) - 1}")
    name = "digits" if images.shape[1:] == (1, 28, 28) else "inception"
    extract = feature_extractor(name, place)
    fake = extract(images)
    typer.echo(f"{len(images)} images, {len(real)} real ones of {against} test, features: {name}")
    if len(images) <= 5:
        typer.echo(
            f"FID, KID, precision and recall are left out: {len(images)} images are too few, 6 are needed"
        )
    else:
        train, test = load_images(against, "train"), extract(real.x).features
        chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
        if labels is not None:  # as many of each class, for what the distribution of classes does to FID
            y, wanted = train.y[chosen], torch.from_numpy(labels).bincount(minlength=len(train.classes))
            number = torch.nn.functional.one_hot(y, len(train.classes)).cumsum(dim=0)
            chosen = chosen[number.gather(1, y[:, None])[:, 0] <= wanted[y]]
        floor = extract(train.x[chosen[: len(images)]]).features
        size = min(1000, len(images), len(test), len(floor))

        def scores(f: Tensor) -> dict[str, float]:
            kid = metrics.kernel_inception_distance(real=test, fake=f, subset_size=size).mean
            precision, recall = metrics.precision_recall(real=test, fake=f)
            return {
                "FID": metrics.fid(real=test, fake=f),
                "1000 KID": 1000 * kid,
                "precision": precision,
                "recall": recall,
            }

        few = "" if len(floor) == len(images) else "; there are no more, and fewer images raise FID"
        same = "" if labels is None else ", of the same classes"
        typer.echo(f"in brackets: what {len(floor)} real images of {against} train reach{same}{few}")
        for (label, score), best in zip(scores(fake.features).items(), scores(floor).values(), strict=True):
            typer.echo(f"{label}: {score:.3f}  (real: {best:.3f})")
    if fake.probs is None or name != "digits":
        return
    typer.echo(f"Inception Score: {metrics.inception_score(fake.probs, splits=1).mean:.3f}")
    confidence, read = (part.cpu() for part in fake.probs.max(dim=1))
    typer.echo(f"read with more than 90 % confidence: {(confidence > 0.9).double().mean().item():.1%}")
    if labels is not None:
        right = (read == torch.from_numpy(labels)).double().mean().item()
        typer.echo(f"read as the class asked for: {right:.1%}")


def read_samples(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The images uint8 (N, H, W, C) of an .npz file, and its labels int64 (N,) if it has any."""
    import numpy as np

    with file.open("rb") as opened:
        try:
            arrays = np.load(opened, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("it holds one array, as .npy files do")
            images, labels = arrays["images"], arrays.get("labels")
        except MemoryError:
            raise
        except Exception as reason:  # a file from anywhere makes NumPy, zipfile and zlib raise many kinds
            raise ValueError(f"{file} is no .npz file with an array `images` ({reason})") from reason
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size or images.shape[3] not in (1, 3):
        raise ValueError(
            f"{file}: images must be uint8 (N, H, W, C) with 1 or 3 channels, not {images.dtype} {images.shape}"
        )
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
    from course_utils.grading.cli import app as homework_app

    status = homework_app(context.args or ["--help"], prog_name="course homework", standalone_mode=False)
    if status == 130:  # Ctrl-C
        raise KeyboardInterrupt
    raise typer.Exit(status or 0)


@app.command()
def lab() -> None:
    """Open JupyterLab on the notebooks of this checkout: what `make lab` does once all is installed."""
    from course_utils.authoring.lab import open_lab

    open_lab()


@app.command()
def doctor() -> None:
    """Say what this machine has, and what of the course will work here."""
    import torch

    from course_utils.data import TORCHVISION, data_root, load_images
    from course_utils.inputs import pick_device
    from course_utils.pretrained import load_pretrained
    from course_utils.recipes import RECIPES

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
    here = Path(sys.executable).parent
    line(shutil.which("course") is not None, "`course` on the PATH", f"type {here / 'course'} instead")
    device = pick_device()
    typer.echo(f"Computes on {device}, threads: {torch.get_num_threads()}, cores: {os.cpu_count()}")
    line(device.type != "cpu", "a GPU", "none found; every notebook is made for a CPU")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    line(free > 5, f"{free:.0f} GB free on this disk", "a data set such as celeba needs more")

    typer.echo(f"Data in {data_root()}")
    try:
        load_images("digits")
        line(True, "digits (offline)")
    except (OSError, ModuleNotFoundError) as reason:
        line(False, "digits", str(reason))
    for name, source in TORCHVISION.items():
        line((data_root() / source.folder).exists(), name, "not here; downloaded on first use")
    online = _online()
    line(online, "a network", "none: what is not here cannot be downloaded; the notebooks need none of it")

    typer.echo("Models")
    for name in RECIPES:
        try:
            load_pretrained(name, "cpu")
            line(True, name)
        except (OSError, ValueError) as reason:
            line(False, name, str(reason))

    typer.echo("For those who teach, or work on the course")
    try:
        from course_utils.authoring.browser import find_chromium
        from course_utils.grading.wall import WallError, bubblewrap

        try:
            line(True, f"a wall to grade behind ({bubblewrap()}); `course homework doctor` tries it")
        except WallError as reason:
            line(False, "a wall to grade behind", str(reason))
        wanted = "the browser tests and printed slides need it: apt-get install chromium"
        line(find_chromium() is not None, "Chromium", wanted)
    except ModuleNotFoundError as reason:
        line(
            False, "a wall to grade behind", f"the package {reason.name} is missing: pip install -e '.[lab]'"
        )


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
