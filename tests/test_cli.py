"""The command `course`, as a user types it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from course_utils.__main__ import app, parse_labels
from course_utils.data import load_images, to_float, to_uint8
from course_utils.features import scene_accuracy
from course_utils.zoo import RECIPES, load_pretrained


def course(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


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
        (["sample", "autoencoder-mnist", "--out", "x.png"], "must end in .npz"),
        (["sample", "autoencoder-mnist", "--labels", "3", "--out", "x.npz"], "knows no classes"),
        (["sample", "autoencoder-mnist", "--labels", "a-3", "--out", "x.npz"], "neither a class"),
        (["sample", "classifier-mnist", "--out", "x.npz"], "cannot make any"),
        (["sample", "gan-mnist", "--prompt", "a 3", "--out", "x.npz"], "cannot read"),
        (["sample", "ldm-scenes", "--labels", "3", "--out", "x.npz"], "give --prompt"),
        (["sample", "ldm-scenes", "--prompt", "a red octagon on white", "--out", "x.npz"], "octagon"),
        (["sample", "nothing", "--out", "x.npz"], "shipped are: "),
        (
            ["sample", "autoencoder-mnist", "--device", "cuda:99", "--out", "x.npz"],
            "cannot be used on this machine",
        ),
        (["train", "nothing"], "is no recipe"),
        (["evaluate", "missing.npz"], "missing.npz"),
    ],
)
def test_mistakes_are_said_in_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = course(*words, code=2)
    assert message in output
    assert "Traceback" not in output
    assert not [f for f in tmp_path.iterdir() if f.suffix == ".npz"]


def test_labels_are_read():
    assert parse_labels("0-3,7") == [0, 1, 2, 3, 7]
    assert parse_labels("5") == [5]


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
    assert figure(real, "KID") < 1
    assert figure(bad, "KID") > 100
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
    fid = next(x for x in course("evaluate", tmp_path / "x.npz").splitlines() if x.startswith("FID"))
    score, real = fid.removeprefix("FID: ").removesuffix(")").split("  (real: ")
    assert float(score) == pytest.approx(float(real), abs=1e-3)
    assert float(real) > 10, "eight classes are missing"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.zeros((2, 28, 28, 1), np.uint8)}, "no .npz file with an array"),
        ({"images": np.zeros((2, 28, 28, 1), np.float32)}, "must be uint8"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.zeros(3, np.int64)}, "labels must be"),
        ({"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.array([0, -1])}, "0 or more, not -1"),
        ({"images": np.zeros((2, 28, 28, 3), np.uint8)}, "images of one shape"),
    ],
)
def test_evaluate_refuses_what_is_no_sample(arrays, message, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    assert message in course("evaluate", tmp_path / "x.npz", code=2)


def test_evaluate_refuses_a_damaged_file(tmp_path: Path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 and nothing more")
    assert "no .npz file" in course("evaluate", tmp_path / "x.npz", code=2)


def test_train_goes_on_after_ctrl_c_and_leaves_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import dataclasses

    from course_utils import train as loop

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
    show = loop._Progress.update

    def interrupted(self, record):
        show(self, record)
        steps.append(record.step)
        if record.step == 203 and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Progress, "update", interrupted)
    words = ["train", "autoencoder-2d-mnist", "--out", tmp_path, "--steps", 206, "--device", "cpu"]
    assert "the same command goes on" in course(*words, code=130)
    assert (tmp_path / "autoencoder-2d-mnist.checkpoint").exists()
    assert "pixels: 784" in course(*words)
    assert not (tmp_path / "autoencoder-2d-mnist.checkpoint").exists()
    assert steps == [*range(1, 204), *range(201, 207)]
    model = load_pretrained(tmp_path / "autoencoder-2d-mnist", "cpu")
    assert model.sample(3).shape == (3, 1, 28, 28)


def test_doctor_names_what_is_here_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    output = course("doctor")
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
