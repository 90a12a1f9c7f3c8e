"""The command `course`, as a user types it."""

import dataclasses
import inspect
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import nbformat
import numpy as np
import pytest
import torch
from typer.models import ArgumentInfo, OptionInfo
from typer.testing import CliRunner

from course_utils import data, pretrained, recipes
from course_utils.__main__ import app, parse_labels
from course_utils.autoencoders import Autoencoder
from course_utils.data import load_images, to_float, to_uint8
from course_utils.features import scene_accuracy
from course_utils.grading.cli import app as homework_app
from course_utils.likelihood import CouplingFlow
from course_utils.pretrained import load_pretrained, save_pretrained
from course_utils.progress import Watch
from course_utils.recipes import RECIPES

ROOT = Path(__file__).parents[2]


def course(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def refused(*words: object, charset: str = "utf-8") -> str:
    """The one line in which a command is refused; no file was made, changed or lost."""
    before = contents(Path())
    result = CliRunner(charset=charset).invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, (words, result.output, result.exception)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: "), line
    assert len(line) > len("error: ") + 10, "it says nothing"
    assert contents(Path()) == before
    return line


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes time is a programming fault."""

    def work(*args: object, **kwargs: object) -> None:
        raise AssertionError("work was begun before everything was checked")

    for module, names in {
        pretrained: ("load_pretrained",),
        recipes: ("train_recipe",),
        data: ("load_images",),
        sys.modules["course_utils.grading.cli"]: ("build", "results", "uncaught", "grade"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, work)


# ------------------------------------------------------- every command, and every number, path and word of it

# Each command as it is allowed, in a folder with the files a.npz, hw.ipynb and handed_in/.
ALLOWED = {
    "train": ["autoencoder-mnist"],
    "sample": ["autoencoder-mnist", "--out", "x.npz"],
    "evaluate": ["a.npz"],
    "homework": [],
    "lab": [],
    "doctor": [],
    "homework build": ["hw.ipynb"],
    "homework check": ["hw.ipynb"],
    "homework wrong": ["hw.ipynb"],
    "homework progress": ["handed_in"],
    "homework grade": ["handed_in", "--out", "grades.csv"],
    "homework doctor": [],
}


def commands() -> Iterator[tuple[str, Any]]:
    for start, group in (("", app), ("homework ", homework_app)):
        for info in group.registered_commands:
            yield start + (info.name or info.callback.__name__), info.callback


def parameters(kind: type) -> list[Any]:
    """(command, parameter) for each parameter that is read as such a thing."""
    found = []
    for command, function in commands():
        hints = get_type_hints(function, include_extras=True)
        for name in inspect.signature(function).parameters:
            read_as, *notes = get_args(hints[name]) if hasattr(hints[name], "__metadata__") else [hints[name]]
            if read_as is kind or kind in get_args(read_as):
                note = next((n for n in notes if isinstance(n, OptionInfo | ArgumentInfo)), None)
                found.append(pytest.param(command, name, note, id=f"{command} {name}"))
    return found


def with_value(command: str, name: str, note: Any, value: str) -> list[str]:
    """The command as it is allowed, but for this one value."""
    words = [*command.split(), *ALLOWED[command]]
    if isinstance(note, ArgumentInfo):
        words[len(command.split())] = value
        return words
    option = "--" + name.replace("_", "-")
    if option in words:
        words[words.index(option) + 1] = value
        return words
    return [*words, f"{option}={value}"]


@pytest.fixture
def allowed(here: Path) -> Path:
    np.savez(here / "a.npz", images=np.zeros((8, 28, 28, 1), np.uint8))
    (here / "hw.ipynb").write_text("{}")
    (here / "handed_in").mkdir()
    return here


def test_every_command_is_in_the_table():
    assert {command for command, _ in commands()} == set(ALLOWED)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("command", "name", "note"), [*parameters(int), *parameters(float)])
def test_numbers_are_checked_before_any_work(allowed: Path, command: str, name: str, note: Any):
    assert note is not None, "give it bounds: typer.Option(min=…, max=…)"
    assert None not in (note.min, note.max), "give it both bounds"
    numbers = (note.min - 1, note.max + 1, -1, 10**12, -(10**30), 10**30, 2**63)
    for value in (*(x for x in numbers if not note.min <= x <= note.max), "nan", "inf", "x", "", "1e999"):
        assert name in refused(*with_value(command, name, note, str(value))).replace("-", "_")


def not_writable(folder: Path, suffix: str) -> dict[str, str]:
    """Places where no file can be written, also not by root."""
    (folder / "file").write_text("")
    (folder / f"folder{suffix}").mkdir()
    return {
        "a folder": f"folder{suffix}",
        "below a file": f"file/x{suffix}",
        "far below a file": f"file/a/b/x{suffix}",
        "too long": "x" * 300 + suffix,
        "too long in a folder that is missing": "missing/" + "x" * 300 + f"/x{suffix}",
        "where the system lets nobody": f"/proc/x{suffix}",
        "no name": "\0" + suffix,
    }


OUTPUTS = [p for p in parameters(Path) if p.values[1] == "out"]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("command", "name", "note"), OUTPUTS)
def test_places_where_nothing_can_be_written_are_said_before_any_work(
    allowed: Path, command: str, name: str, note: Any
):
    suffix = Path(dict(zip(ALLOWED[command], ALLOWED[command][1:], strict=False)).get("--out", "")).suffix
    for what, place in not_writable(allowed, suffix).items():
        if (command, what) != ("train", "a folder"):  # which is what it asks for
            refused(*with_value(command, name, note, place))
    if suffix:
        for place in ("x.png", "x", f"x{suffix}.zip", "", ".", ".."):
            refused(*with_value(command, name, note, place))


@pytest.mark.usefixtures("no_work")
def test_train_needs_its_files_to_be_writable(allowed: Path):
    for name in ("autoencoder-mnist.safetensors", "autoencoder-mnist.json", "autoencoder-mnist.checkpoint"):
        (allowed / "runs" / name).mkdir(parents=True)
        assert name in refused("train", "autoencoder-mnist")
        (allowed / "runs" / name).rmdir()


@pytest.mark.parametrize(("command", "name", "note"), [p for p in parameters(Path) if p.values[1] != "out"])
def test_paths_that_are_not_what_is_read_are_said_in_one_line(
    allowed: Path, command: str, name: str, note: Any
):
    (allowed / "text.npz").write_text("no zip")
    (allowed / "zip.npz").write_bytes(b"PK\x03\x04 and nothing more")
    (allowed / "bytes.npz").write_bytes(bytes(range(256)) * 9)
    np.save(allowed / "x.npy", np.zeros((8, 28, 28, 1), np.uint8))
    folders = name in ("folder", "solutions", "hidden")
    if command == "homework progress":
        refused(*command.split(), "handed_in")  # there is none in it
    for place in ("missing", "x" * 300, "text.npz", "zip.npz", "bytes.npz", "x.npy", "text.npz/x", "\0"):
        refused(*with_value(command, name, note, place))
    for place in () if folders else ("handed_in", ""):
        refused(*with_value(command, name, note, place))


@pytest.mark.parametrize(("command", "name", "note"), parameters(str))
def test_words_that_mean_nothing_are_said_in_one_line(allowed: Path, command: str, name: str, note: Any):
    for value in ("nothing", "", " ", "σ·한글", "-", "a\nb", "x" * 5000, "../..", "cuda:99", "meta", "\0"):
        refused(*with_value(command, name, note, value))


@pytest.mark.parametrize(("command", "function"), list(commands()), ids=[c for c, _ in commands()])
def test_every_command_has_help_and_refuses_what_it_does_not_know(here: Path, command: str, function: Any):
    assert "Usage: course " + command in " ".join(course(*command.split(), "--help").split())
    refused(*command.split(), *ALLOWED[command], "--nonsense")
    refused(*command.split(), *ALLOWED[command], "nonsense", "nonsense")


# ----------------------------------------------------------------------------------- the commands one by one


def test_sample_writes_the_promised_arrays(tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        course("sample", "autoencoder-mnist", "--n", 600, "--seed", seed, "--out", tmp_path / f"{name}.npz")
    a, b, c = (np.load(tmp_path / f"{name}.npz") for name in "abc")
    assert list(a) == ["images"]
    assert a["images"].shape == (600, 28, 28, 1)
    assert a["images"].dtype == np.uint8
    assert (a["images"] == b["images"]).all()
    assert (a["images"] != c["images"]).any()
    assert len(np.unique(a["images"], axis=0)) == 600
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.npz", "b.npz", "c.npz"]


def test_sample_draws_the_classes_in_turn(tmp_path: Path):
    said = course("sample", "cgan-mnist", "--n", 25, "--labels", "0-9", "--out", tmp_path / "x.npz")
    assert "no --labels" not in said
    assert np.load(tmp_path / "x.npz")["labels"].tolist() == [*range(10), *range(10), *range(5)]


@pytest.mark.parametrize(("model", "option"), [("cgan-mnist", "labels"), ("ldm-scenes", "prompt")])
def test_sample_says_what_it_draws_when_nothing_is_asked_for(tmp_path: Path, model: str, option: str):
    assert f"no --{option}" in course("sample", model, "--n", 2, "--out", tmp_path / "x.npz")
    assert list(np.load(tmp_path / "x.npz")) == ["images"]
    assert "no --" not in course("sample", "gan-mnist", "--n", 2, "--out", tmp_path / "x.npz")


def test_sample_draws_the_prompt(tmp_path: Path):
    prompt = "a striped red star left of a small blue circle on yellow"
    course("sample", "ldm-scenes", "--prompt", prompt, "--n", 16, "--seed", 1, "--out", tmp_path / "x.npz")
    made = np.load(tmp_path / "x.npz")
    assert list(made) == ["images"]
    assert made["images"].shape == (16, 64, 64, 3)
    right = scene_accuracy(to_float(made["images"]), [prompt] * 16)
    assert right["ground"].double().mean() > 0.9
    assert right["all"].double().mean() > 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["autoencoder-mnist", "--labels", "3"], "knows no classes"),
        (["classifier-mnist"], "cannot make any"),
        (["gan-mnist", "--prompt", "a 3"], "cannot read"),
        (["ldm-scenes", "--labels", "3"], "give --prompt"),
        (["ldm-scenes", "--prompt", "a red octagon on white"], "octagon"),
        (["ldm-scenes", "--prompt", "red " * 17], "17 words"),
        (["nothing"], "shipped are: "),
        (["autoencoder-mnist", "--device", "cuda:99"], "cannot be used on this machine"),
        (["cgan-mnist", "--n", "3", "--labels", "0-9"], "10 classes, --n 3 images"),
        *(
            (["ddpm-4-steps-mnist", "--labels", labels], message)
            for labels, message in {
                "10": "are 0-9",
                "11": "are 0-9",
                "0-99999999999": "are 0-9",
                "0-" + "9" * 5000: "neither a class",
                "3-1": "backwards",
                "-1": "neither a class",
                "2.0": "neither a class",
                "²": "neither a class",
                "a-3": "neither a class",
                "1,,2": "neither a class",
            }.items()
        ),
    ],
)
def test_sample_refuses_what_the_model_cannot_do(here: Path, words: list[str], message: str):
    assert message in refused("sample", *words, "--out", "x.npz")


def test_sample_refuses_models_that_make_no_images(here: Path):
    save_pretrained(CouplingFlow(2, layers=2), here / "flow")
    assert "points" in refused("sample", here / "flow", "--out", "x.npz")
    save_pretrained(Autoencoder(latent_dim=2), here / "untrained")
    assert "fit_codes" in refused("sample", here / "untrained", "--out", "x.npz")


@pytest.mark.parametrize(
    "change", ["{", "[]", '{"version": 99}', "", "no arguments", "other arguments", "no class"]
)
def test_sample_refuses_a_damaged_card(here: Path, change: str):
    save_pretrained(Autoencoder(latent_dim=2), here / "own")
    card = json.loads((here / "own.json").read_text())
    if change == "no arguments":
        card["model"]["arguments"] = {"colour": 3}
    elif change == "other arguments":
        card["model"]["arguments"] = {"latent_dim": 3}
    elif change == "no class":
        card["model"]["maker"] = "course_utils.nothing:Nothing"
    (here / "own.json").write_text(json.dumps(card) if " " in change and change[0] != "{" else change)
    refused("sample", "./own", "--out", "x.npz")


def test_labels_are_read():
    assert parse_labels("0-3,7", 10) == [0, 1, 2, 3, 7]
    assert parse_labels("5", 10) == [5]


def test_evaluate_tells_good_from_bad(tmp_path: Path):
    test = load_images("digits", "test")
    blank = np.zeros((300, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "real.npz", images=to_uint8(test.x), labels=test.y.numpy())
    np.savez(tmp_path / "blank.npz", images=blank, labels=np.arange(300) % 10)
    real, bad = (course("evaluate", tmp_path / f"{name}.npz") for name in ("real", "blank"))

    def figure(output: str, line: str) -> float:
        text = next(x for x in output.splitlines() if x.startswith(line)).split(": ", 1)[1]
        return float(text.split()[0].rstrip("%"))

    assert figure(real, "FID") == pytest.approx(0, abs=1e-3)
    assert figure(bad, "FID") > 10
    assert figure(real, "1000 KID") < 1
    assert figure(bad, "1000 KID") > 100
    assert figure(real, "precision") == figure(real, "recall") == 1  # the test images themselves
    assert figure(bad, "recall") == 0
    assert "(real: 0.8" in next(x for x in real.splitlines() if x.startswith("precision"))
    assert figure(real, "Inception Score") > 9
    assert figure(bad, "Inception Score") == pytest.approx(1, abs=1e-3)
    assert figure(real, "read as the class asked for") > 99
    assert figure(bad, "read as the class asked for") == pytest.approx(10, abs=0.1)


def test_evaluate_compares_with_real_images_of_the_same_classes(tmp_path: Path):
    """All zeros and ones that the training set has: there are no other real ones to stand beside them."""
    train = load_images("digits", "train")
    some = train[train.y < 2]
    np.savez(tmp_path / "x.npz", images=to_uint8(some.x), labels=some.y.numpy())
    said = course("evaluate", tmp_path / "x.npz")
    assert f"what {len(some)} real images of digits train reach, of the same classes\n" in said
    fid = next(x for x in said.splitlines() if x.startswith("FID"))
    score, real = fid.removeprefix("FID: ").removesuffix(")").split("  (real: ")
    assert float(score) == pytest.approx(float(real), abs=1e-3)
    assert float(real) > 10, "eight classes are missing"


@pytest.mark.parametrize(("labels", "real"), [(3, 400), (None, 410)])
def test_evaluate_says_how_many_real_images_it_compares_with(tmp_path: Path, labels: int | None, real: int):
    """410 threes; the training set has 400."""
    train = load_images("digits", "train")
    threes = to_uint8(train.x[train.y == 3]).repeat(2, axis=0)[:410]
    more = {} if labels is None else {"labels": np.full(410, labels)}
    np.savez(tmp_path / "x.npz", images=threes, **more)
    said = course("evaluate", tmp_path / "x.npz")
    assert f"what {real} real images of digits train reach" in said
    assert ("there are no more" in said) == (real < 410)


@pytest.mark.parametrize("n", [1, 5, 6])
def test_evaluate_says_what_it_leaves_out(tmp_path: Path, n: int):
    np.savez(tmp_path / "x.npz", images=to_uint8(load_images("digits", "test").x[:n]))
    said = course("evaluate", tmp_path / "x.npz")
    assert ("FID, KID, precision and recall are left out" in said) == (n < 6)
    assert ("\nFID: " in said) == (n > 5)
    assert "Inception Score: " in said


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.zeros((2, 28, 28, 1), np.uint8)}, "no .npz file with an array"),
        ({"images": np.zeros((2, 28, 28, 1), np.float32)}, "must be uint8"),
        ({"images": np.zeros((0, 28, 28, 1), np.uint8)}, "must be uint8"),
        ({"images": np.zeros((2, 28, 28), np.uint8)}, "must be uint8"),
        ({"images": np.array([{}, []], dtype=object)}, "no .npz file with an array"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.zeros(3, np.int64)}, "labels must be"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.zeros(2)}, "labels must be"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.array([0, -1])}, "0 or more, not -1"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.array([0, 10])}, "labels hold 10"),
        ({"images": np.zeros((2, 28, 28, 3), np.uint8)}, "images of one shape"),
    ],
)
def test_evaluate_refuses_what_is_no_sample(arrays, message, here):
    np.savez(here / "x.npz", **arrays)
    assert message in refused("evaluate", "x.npz")


def test_evaluate_refuses_a_damaged_file(here: Path):
    rng = np.random.default_rng(0)
    np.savez_compressed(here / "whole.npz", images=rng.integers(0, 255, (9, 28, 28, 1), np.uint8))
    whole = (here / "whole.npz").read_bytes()
    for cut in (4, 40, len(whole) // 2, len(whole) - 8):
        (here / "x.npz").write_bytes(whole[:cut])
        assert "no .npz file" in refused("evaluate", "x.npz")
    for place in (30, len(whole) // 2, len(whole) - 60):
        (here / "x.npz").write_bytes(whole[:place] + b"\xff\x00\xff\x00" + whole[place + 4 :])
        assert "no .npz file" in refused("evaluate", "x.npz")


def test_evaluate_refuses_a_data_set_that_is_not_here(
    allowed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    from course_utils.data import standard

    def offline(*args: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("COURSE_DATA", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setitem(
        standard.TORCHVISION, "mnist", dataclasses.replace(standard.TORCHVISION["mnist"], build=offline)
    )
    assert "could not be downloaded" in refused("evaluate", "a.npz", "--against", "mnist")
    assert "could not be downloaded" in refused("train", "autoencoder-mnist", "--out", "runs")


# ---------------------------------------------------------------------------------------- stopped, and consoles


@pytest.mark.parametrize("command", ["sample", "evaluate", "doctor"])
def test_ctrl_c_says_one_line(allowed: Path, command: str, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    for module, name in ((pretrained, "load_pretrained"), (data, "load_images")):
        monkeypatch.setattr(module, name, interrupted)
    before = contents(allowed)
    result = CliRunner().invoke(app, [command, *ALLOWED[command]])
    assert result.exit_code == 130
    assert result.stderr.split() == ["stopped"]
    assert contents(allowed) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory")
@pytest.mark.parametrize(
    ("limit", "command", "message"),
    [
        (("FSIZE", 0.5), "train autoencoder-mnist --steps 2 --out runs", "File too large"),
        *(
            (("AS", more), "sample ddpm-mnist --n 300 --out x.npz", "not enough memory")
            for more in (10, 40, 80)
        ),
    ],
)
def test_what_the_machine_has_too_little_of_is_said_in_one_line(
    here: Path, limit: tuple[str, float], command: str, message: str
):
    """limit: of what, and megabytes; of memory, beyond what the program holds."""
    course = f"""
import dataclasses, resource
from pathlib import Path
from course_utils import data, recipes
from course_utils.__main__ import app
from course_utils.pretrained import load_pretrained
recipe = recipes.RECIPES["autoencoder-mnist"]
small = dataclasses.replace(recipe, data=lambda: data.load_images("digits"), batch_size=4)
recipes.RECIPES["autoencoder-mnist"] = small
load_pretrained("ddpm-mnist").sample(1)  # all that is loaded on first use, before there is no room for it
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
room = int({limit[1]} * 1e6) + held * ({limit[0]!r} == "AS")
resource.setrlimit(resource.RLIMIT_{limit[0]}, (room, room))
app()
"""
    words = [sys.executable, "-c", course, *command.split()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: "), done.stderr
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_ctrl_c_in_a_homework_that_runs_is_one_line(here: Path):
    nb = nbformat.v4.new_notebook()
    for source in (
        "# %% q1\nimport time\nopen('began', 'w').close()\ntime.sleep(100)",
        "# CHECK q1\nprint(1)",
    ):
        nb.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(nb, here / "hw99.ipynb")
    words = [sys.executable, "-m", "course_utils", "homework", "check", "hw99.ipynb"]
    run = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (here / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(run.pid, signal.SIGINT)
    out, error = run.communicate(timeout=60)
    assert (run.returncode, out, error.split()) == (130, "", ["stopped"])


def test_a_programming_fault_shows_where_it_is(here: Path, monkeypatch: pytest.MonkeyPatch):
    def wrong(*args: object, **kwargs: object) -> None:
        raise IndexError("of our making")

    monkeypatch.setattr(pretrained, "load_pretrained", wrong)
    result = CliRunner().invoke(app, ["sample", "autoencoder-mnist", "--out", "x.npz"])
    assert isinstance(result.exception, IndexError)


@pytest.mark.parametrize("charset", ["ascii", "cp949", "cp1252", "utf-8"])
def test_consoles_and_paths_of_all_kinds(here: Path, charset: str):
    """What a console cannot show comes as numbers; the file is the one that was named.

    To a console that calls itself ASCII, typer writes UTF-8.
    """
    path = here / "한글 σ" / "modell für.npz"

    def said(*words: object) -> str:
        result = CliRunner(charset=charset).invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout_bytes.decode(written)

    written = "utf-8" if charset == "ascii" else charset
    line = said("sample", "cgan-mnist", "--n", 8, "--labels", "0-3", "--out", path)
    shown = str(path).encode(written, "backslashreplace").decode(written)
    assert line == f"wrote 8 images to {shown}\n"
    assert np.load(path)["images"].shape == (8, 28, 28, 1)
    assert "precision" in said("evaluate", path)
    assert "ok  digits" in said("doctor")
    assert "--labels" in said("sample", "--help")
    assert "Usage" in said("homework", "--help")
    refused("sample", "ldm-scenes", "--prompt", "σ·한글", "--out", path, charset=charset)


@pytest.mark.skipif(sys.platform == "win32", reason="locales are named otherwise")
def test_a_system_without_utf_8(here: Path):
    """File names are bytes then, and Python's text of them holds surrogates."""
    environment = os.environ | {
        "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    for words in (["sample", "gan-mnist", "--n", "8", "--out", "한글/für.npz"], ["evaluate", "한글/für.npz"]):
        done = subprocess.run(
            [sys.executable, "-m", "course_utils", *words], capture_output=True, env=environment
        )
        assert done.returncode == 0, done.stderr
    assert (here / "한글" / "für.npz").exists()


def test_homework_without_its_extra_says_what_to_install(here: Path):
    """All else works without the extra `lab`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    missing = [line.split(">")[0].split("=")[0] for line in project["optional-dependencies"]["lab"]]
    assert "psutil" in missing
    code = f"""
import json, sys
for name in {missing}: sys.modules[name.replace("-", "_")] = None
from typer.testing import CliRunner
from course_utils.__main__ import app
for words in {
        [
            ["--help"],
            ["sample", "gan-mnist", "--n", "1", "--out", "x.npz"],
            ["doctor"],
            ["lab"],
            ["homework", "--help"],
            ["homework", "check", "x.ipynb"],
        ]
    }:
    result = CliRunner().invoke(app, words)
    print(json.dumps([result.exit_code, result.stderr, repr(result.exception)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    helps, sample, doctor, lab, *homework = map(json.loads, done.stdout.splitlines())
    assert [helps[0], sample[0], doctor[0]] == [0, 0, 0], (sample, doctor)
    for status, line, _ in (lab, *homework):
        assert status == 2
        assert line.startswith("error: ")
        assert line.count("\n") == 1
        assert "pip install" in line
        assert "[lab]" in line


def test_train_goes_on_after_ctrl_c_and_leaves_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(
        RECIPES,
        "autoencoder-2d-mnist",
        dataclasses.replace(
            RECIPES["autoencoder-2d-mnist"],
            batch_size=4,
            data=lambda: load_images("digits"),
            score=lambda model: {"pixels": 784.0},
        ),
    )
    steps = []
    show = Watch.__call__

    def interrupted(self, losses):
        show(self, losses)
        steps.append(self.done)
        if self.done == 203 and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "__call__", interrupted)
    words = ["train", "autoencoder-2d-mnist", "--out", tmp_path, "--steps", 206, "--device", "cpu"]
    assert "the same command goes on" in course(*words, code=130)
    assert (tmp_path / "autoencoder-2d-mnist.checkpoint").exists()
    assert "pixels: 784" in course(*words)
    assert not (tmp_path / "autoencoder-2d-mnist.checkpoint").exists()
    assert steps == [*range(1, 207)]
    assert sorted(f.suffix for f in tmp_path.iterdir()) == ["", ".json", ".safetensors"]
    model = load_pretrained(tmp_path / "autoencoder-2d-mnist", "cpu")
    assert model.sample(3).shape == (3, 1, 28, 28)
    card = pretrained.read_card(tmp_path / "autoencoder-2d-mnist")
    assert card["training"]["steps"] == 206
    assert card["scores"] == {"pixels": 784.0}


def test_train_leaves_no_checkpoint_of_any_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = dataclasses.replace(
        RECIPES["autoencoder-2d-mnist"],
        rounds=3,
        batch_size=4,
        data=lambda: load_images("digits"),
        score=lambda model: {"pixels": 784.0},
    )
    monkeypatch.setitem(RECIPES, "autoencoder-2d-mnist", recipe)
    course("train", "autoencoder-2d-mnist", "--out", tmp_path / "a" / "b", "--steps", 2, "--device", "cpu")
    left = sorted(f.name for f in (tmp_path / "a" / "b").iterdir())
    assert left == ["autoencoder-2d-mnist.json", "autoencoder-2d-mnist.safetensors"]


def test_doctor_names_what_is_here_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "chrome").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    output = course("doctor")
    assert "ok  Chromium" in output
    assert f"torch {torch.__version__.split('+')[0]}" in output
    assert "ok  digits (offline)" in output
    assert "--  cifar10: not here" in output
    for name in RECIPES:
        assert f"ok  {name}" in output


def test_module_and_script_are_the_same_command():
    script = Path(sys.executable).with_name("course")
    helps = [
        subprocess.run(
            [*command, "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": "100"}
        ).stdout
        for command in ([sys.executable, "-m", "course_utils"], [script])
    ]
    assert all(word in text for text in helps for word in ("train", "sample", "evaluate", "doctor"))
