"""Weights and cards: round trips of every model and of students' own, damage of every kind, cards that mean harm."""

import copy
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from course_utils import autoencoders, diffusion, files, pretrained, recipes
from course_utils.autoencoders import VAE, Autoencoder
from course_utils.diffusion import DiffusionModel, FlowMatching, Schedule, cosine_schedule, zero_terminal_snr
from course_utils.likelihood import CouplingFlow, PixelCNN
from course_utils.nets import UNet
from course_utils.pretrained import Model, load_pretrained, read_card, save_pretrained, shipped_models
from course_utils.recipes import RECIPES
from course_utils.training import exponential_average


def randomised(model: nn.Module) -> nn.Module:
    """The model with weights of chance also where it begins with zeros or ones, so that nothing is hidden."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.copy_(0.1 * torch.rand(value.shape, generator=draw) + 0.01)
    return model


def settings(model: nn.Module) -> dict[str, Any]:
    """What a model and its parts are set to, beside the weights."""
    return {
        f"{name}.{key}": value
        for name, part in model.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, bool | int | float | str | tuple) and key != "training" and key[0] != "_"
    }


def assert_alike(one: nn.Module, other: nn.Module) -> None:
    assert type(one) is type(other)
    assert settings(one) == settings(other)
    state, its = one.state_dict(), other.state_dict()
    assert state.keys() == its.keys()
    for name, value in state.items():
        assert value.dtype == its[name].dtype, name
        assert torch.equal(value.cpu(), its[name].cpu()), name


# --------------------------------------------------------------------------------- the course's own models


@pytest.mark.parametrize("name", RECIPES)
def test_save_and_load_give_the_same_model(name: str, tmp_path: Path) -> None:
    model = randomised(RECIPES[name].model(**RECIPES[name].arguments))
    assert save_pretrained(model, tmp_path / "m") == tmp_path / "m.safetensors"
    again = load_pretrained(tmp_path / "m", "cpu")
    assert_alike(model, again)
    assert not any(part.training for part in again.modules())


def test_what_is_loaded_computes_the_same(tmp_path: Path) -> None:
    """Also what is no weight, such as the norms' running statistics, the layout and the schedule, has come through."""
    classifier, vae = RECIPES["classifier-mnist"].model(), VAE(2)
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    classifier.train()(x)
    for model in (classifier.eval(), vae):
        save_pretrained(model, tmp_path / "m")
        assert torch.equal(load_pretrained(tmp_path / "m", "cpu")(x), model(x))
    net = randomised(UNet(width=16, num_classes=3))
    model = DiffusionModel(net, zero_terminal_snr(cosine_schedule(40)), prediction_type="v", num_classes=3,
                           shape=(1, 8, 8), sampler="ddim", steps=3, guidance=1.5)  # fmt: skip
    flow = FlowMatching(net, num_classes=3, shape=(1, 8, 8), steps=3, guidance=1.5)
    for drawing in (model, flow):
        save_pretrained(drawing, tmp_path / "m")
        one, other = (
            m.sample(3, torch.arange(3), generator=torch.Generator().manual_seed(0))
            for m in (drawing, load_pretrained(tmp_path / "m", "cpu"))
        )
        assert torch.equal(one, other)


def test_every_shipped_model_is_what_its_card_says() -> None:
    for name in shipped_models():
        card = read_card(name)
        assert card["version"] == pretrained.CARD_VERSION
        assert card["scores"]
        assert all(math.isfinite(score) for score in card["scores"].values())
        assert load_pretrained(name, "cpu").state_dict()


def test_weights_do_not_load_under_another_schedule(tmp_path: Path) -> None:
    save_pretrained(DiffusionModel(UNet(width=16), cosine_schedule(40)), tmp_path / "m")
    card = json.loads((tmp_path / "m.json").read_text())
    card["model"]["arguments"]["schedule"]["arguments"]["s"] = 0.1
    (tmp_path / "m.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="under another schedule"):
        load_pretrained(tmp_path / "m", "cpu")


def test_loading_and_saving_leave_torch_s_own_state_alone(tmp_path: Path) -> None:
    model = Autoencoder(2)
    before = torch.get_rng_state()
    save_pretrained(model, tmp_path / "m")
    load_pretrained(tmp_path / "m", "cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_training_and_scores_are_in_the_card(tmp_path: Path) -> None:
    save_pretrained(Autoencoder(2), tmp_path / "m", training={"steps": 7}, scores={"a": torch.tensor(0.5)})
    card = read_card(tmp_path / "m")
    assert (card["training"], card["scores"]) == ({"steps": 7}, {"a": 0.5})
    with pytest.raises(ValueError, match="training holds what JSON cannot say"):
        save_pretrained(Autoencoder(2), tmp_path / "other", training={"x": torch.zeros(2)})
    assert not (tmp_path / "other.safetensors").exists()


# ------------------------------------------------------------------------------------------ students' own


class Head(Model):
    def __init__(self, width: int = 3):
        super().__init__()
        self.width = width
        self.layer = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Everything(Model):
    """Arguments of every kind."""

    def __init__(
        self,
        first: int,
        /,
        second: tuple[int, ...],
        *rest: float,
        head: Head | None = None,
        table: Tensor | None = None,
        words: dict[int, str] | None = None,
        **more: str,
    ):
        super().__init__()
        self.kept = first, second, rest, words, more
        self.weight = nn.Parameter(torch.zeros(first, *second))
        self.head = head
        self.register_buffer("table", table)


class Wider(Autoencoder):
    """Another constructor, which hands what it does not know on."""

    def __init__(self, widths: list[int], **more: Any):
        super().__init__(sum(widths), **more)


class Twice(Model):
    """The attribute of an argument's name is not the argument."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.width = 2 * width
        self.layer = nn.Linear(self.width, 1)


class Tied(Model):
    def __init__(self) -> None:
        super().__init__()
        self.there, self.back = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.back.weight = self.there.weight


class Net(Model):
    """A diffusion network that is no U-Net."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.body(torch.cat([x_t, (t / 100).to(x_t).view(-1, 1, 1, 1).expand_as(x_t)], dim=1))


OWN = (Everything, Head, Wider, Twice, Tied, Net)
FULL: dict[str, Any] = {
    "head": Head(5),
    "table": torch.tensor([[0.1, 2.0]], dtype=torch.float64),
    "words": {3: "a", 0: "b"},
    "extra": "x",
}


@pytest.mark.parametrize(
    "make",
    [
        Head,
        lambda: Head(7),
        lambda: Head(width=7),
        lambda: Everything(2, (3,)),
        lambda: Everything(2, second=(3, 1)),
        lambda: Everything(2, (3, 4), 0.5, 0.1, **FULL),
        lambda: Wider([1, 2], code_penalty=0.5, size=12),
        lambda: Twice(5),
        Tied,
        lambda: CouplingFlow(4, layers=2, levels=3),
        lambda: PixelCNN(2, 3, levels=3, channels=8, blocks=1),
    ],
)
def test_models_of_ones_own_come_back(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = randomised(make())
    save_pretrained(model, tmp_path / "m")
    again = load_pretrained(tmp_path / "m", "cpu", classes=OWN)
    assert_alike(model, again)


def test_a_default_that_changes_later_does_not_change_what_was_saved(tmp_path: Path) -> None:
    save_pretrained(Head(), tmp_path / "m")

    class Later(Head):
        def __init__(self, width: int = 64):
            super().__init__(width)

    Later.__name__ = "Head"
    assert load_pretrained(tmp_path / "m", "cpu", classes=[Later]).width == 3


def test_a_diffusion_model_built_by_hand_comes_back(tmp_path: Path) -> None:
    ours = Schedule(torch.linspace(1, 0.01, 31, dtype=torch.float64) ** 1.5)
    model = DiffusionModel(Net(8), ours, shape=(1, 12, 12), steps=4)
    save_pretrained(model, tmp_path / "m")
    again = load_pretrained(tmp_path / "m", "cpu", classes=[Net])
    assert torch.equal(again.schedule.alpha_bar, ours.alpha_bar)
    one, other = (m.sample(2, generator=torch.Generator().manual_seed(0)) for m in (model, again))
    assert torch.equal(one, other)


def test_settings_changed_after_the_model_was_made_are_kept(tmp_path: Path) -> None:
    vae = VAE(2, beta=0.1)
    vae.beta = 4.0  # warmed up
    save_pretrained(vae, tmp_path / "vae")
    assert load_pretrained(tmp_path / "vae", "cpu").beta == 4
    recipe = RECIPES["ldm-scenes"]
    ldm = recipe.model(**recipe.arguments)
    flow = FlowMatching(UNet(width=16))
    flow.guidance, flow.steps, flow.p_uncond, flow.clip_x0 = 5.0, 7, 0.2, False
    save_pretrained(flow, tmp_path / "flow")
    assert_alike(load_pretrained(tmp_path / "flow", "cpu"), flow)
    ldm.diffusion.guidance, ldm.diffusion.steps, ldm.diffusion.p_uncond = 5.0, 7, 0.2
    save_pretrained(ldm, tmp_path / "ldm")
    assert_alike(load_pretrained(tmp_path / "ldm", "cpu"), ldm)
    wider = Wider([2], code_penalty=0.5)
    wider.code_penalty = 0.25
    save_pretrained(wider, tmp_path / "wider")
    assert load_pretrained(tmp_path / "wider", "cpu", classes=OWN).code_penalty == 0.25


def test_what_could_not_be_made_again_is_not_saved(tmp_path: Path) -> None:
    changed = Head()
    changed.layer = nn.Linear(3, 7)
    more = Head()
    more.last = nn.Linear(2, 2)
    twice = Twice()
    twice.width = 5
    tries = {
        "model has other weights than one made anew": [changed, more],
        "model.width was changed after the model was made": [twice],
        r"model is a Sequential, which a card cannot describe; make its class inherit": [nn.Sequential()],
        r"model.net is a Linear, which a card cannot": [DiffusionModel(nn.Linear(2, 2), cosine_schedule(9))],
        r"model.words\[1\] is a type, which a card cannot": [Everything(1, (1,), words={1: nn.ReLU})],
        "model.words has keys that a card cannot": [Everything(1, (1,), words={(1, 2): "x"})],
    }
    for message, models in tries.items():
        for model in models:
            with pytest.raises(ValueError, match=message):
                save_pretrained(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_copies_are_saved_like_the_model(tmp_path: Path) -> None:
    model = randomised(Everything(2, (3,), head=Head(4)))
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.head.layer.weight.add_(1)
    save_pretrained(twin, tmp_path / "m")
    assert_alike(load_pretrained(tmp_path / "m", "cpu", classes=OWN), twin)


@pytest.mark.parametrize("wrap", [lambda average: average, lambda average: average.module])
def test_the_average_of_a_training_is_saved(wrap: Callable[[Any], nn.Module], tmp_path: Path) -> None:
    model = randomised(Autoencoder(2))
    average = exponential_average(model, 0.9)
    for _ in range(3):
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(1)
        average.update_parameters(model)
    save_pretrained(wrap(average), tmp_path / "m")
    again = load_pretrained(tmp_path / "m", "cpu")
    assert_alike(again, average.module)
    assert not torch.equal(next(again.parameters()), next(model.parameters()))


def test_a_compiled_model_is_saved(tmp_path: Path) -> None:
    model = Head()
    save_pretrained(torch.compile(model, backend="eager"), tmp_path / "m")
    assert_alike(load_pretrained(tmp_path / "m", "cpu", classes=OWN), model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_dtype_of_the_weights_is_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    for model in (
        CouplingFlow(2, layers=2),
        DiffusionModel(UNet(width=16), cosine_schedule(30), shape=(1, 4, 4)),
        FlowMatching(UNet(width=16), shape=(1, 4, 4)),
    ):
        save_pretrained(model.to(dtype), tmp_path / "m")
        again = load_pretrained(tmp_path / "m", "cpu")
        assert_alike(again, model)
        assert again.sample(2).dtype == dtype  # also what is no weight has it


def test_a_model_is_saved_from_its_device_and_loaded_to_another(device: torch.device, tmp_path: Path) -> None:
    model = randomised(Autoencoder(2)).to(device)
    save_pretrained(model, tmp_path / "m")
    assert_alike(load_pretrained(tmp_path / "m", "cpu"), copy.deepcopy(model).cpu())
    assert next(load_pretrained(tmp_path / "m", device).parameters()).device.type == device.type


def test_a_class_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    save_pretrained(DiffusionModel(Net(8), cosine_schedule(9)), tmp_path / "m")
    for classes in ((), (Head,)):
        with pytest.raises(ValueError, match=r"names 'Net' of 'test_pretrained'.*classes=\[Net\]"):
            load_pretrained(tmp_path / "m", "cpu", classes=classes)
    assert type(load_pretrained(tmp_path / "m", "cpu", classes=Net).net) is Net
    for classes in ([nn.Linear], [Net(8)], Net(8)):
        with pytest.raises(ValueError, match=r"classes holds .*; allowed: classes that inherit from Model"):
            load_pretrained(tmp_path / "m", "cpu", classes=classes)


def test_a_class_that_has_changed_is_said(tmp_path: Path) -> None:
    save_pretrained(Head(), tmp_path / "m")

    class Other(Head):
        def __init__(self, features: int):
            super().__init__(features)

    class Larger(Head):
        def __init__(self, width: int):
            super().__init__(width)
            self.last = nn.Linear(2, 2)

    for changed, reason in ((Other, "width"), (Larger, r"Missing key.*last\.weight")):
        changed.__name__ = "Head"
        with pytest.raises(ValueError, match=rf"(?s){reason}.*a class has changed since"):
            load_pretrained(tmp_path / "m", "cpu", classes=[changed])


# ------------------------------------------------------------------------------------------ names and files


def test_a_bare_name_lies_where_you_are_and_a_shipped_one_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_pretrained(Autoencoder(5), "mine")
    assert load_pretrained("mine", "cpu").latent_dim == 5
    with pytest.raises(
        ValueError, match="'autoencoder-mnist' is the name of a shipped model; give a folder: runs/"
    ):
        save_pretrained(Autoencoder(5), "autoencoder-mnist")
    save_pretrained(Autoencoder(5), "runs/autoencoder-mnist")
    assert load_pretrained("runs/autoencoder-mnist", "cpu").latent_dim == 5
    assert load_pretrained("autoencoder-mnist", "cpu").latent_dim == 16


@pytest.mark.parametrize("name", ["m", "m.safetensors", "m.json"])
@pytest.mark.parametrize("again", ["m", "m.safetensors", "m.json"])
def test_a_suffix_may_be_written(name: str, again: str, tmp_path: Path) -> None:
    save_pretrained(Head(), str(tmp_path / name))
    assert {file.name for file in tmp_path.iterdir()} == {"m.safetensors", "m.json"}
    load_pretrained(str(tmp_path / again), "cpu", classes=OWN)


def test_a_name_with_dots_is_kept_whole(tmp_path: Path) -> None:
    save_pretrained(Head(), tmp_path / "beta-0.1")
    save_pretrained(Head(4), tmp_path / "beta-0.2")
    assert [load_pretrained(tmp_path / f"beta-0.{k}", "cpu", classes=OWN).width for k in (1, 2)] == [3, 4]


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(FileNotFoundError, match=r"classifier-mnist.*runs/NAME"):
        load_pretrained("no-such-model")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_pretrained(Autoencoder(2), tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.parametrize("place", [0, 0.001, 0.5, 1])
def test_a_changed_byte_is_refused(saved: Path, place: float) -> None:
    file = saved.with_suffix(".safetensors")
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    file.write_bytes(content)
    with pytest.raises(OSError, match=r"m\.safetensors is damaged.*restore"):
        load_pretrained(saved, "cpu")


def test_a_cut_file_is_refused(saved: Path) -> None:
    file = saved.with_suffix(".safetensors")
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(OSError, match="damaged"):
        load_pretrained(saved, "cpu")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_missing_half_is_named(saved: Path, suffix: str) -> None:
    saved.with_suffix(suffix).unlink()
    with pytest.raises(FileNotFoundError, match=rf"m\{suffix} is missing"):
        load_pretrained(saved, "cpu")


@pytest.mark.parametrize("version", [1, 99])
def test_a_card_of_another_version_is_refused(saved: Path, version: int) -> None:
    file = saved.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": version}))
    with pytest.raises(ValueError, match=rf"version {version}.*update the older of the two"):
        load_pretrained(saved, "cpu")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "5", '{"version": 2}', '{"version": 2, "model": []}', "\udcff"]
)
def test_what_is_no_card_is_refused(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="no card"):
        load_pretrained(saved, "cpu")


# --------------------------------------------------------------------------------------- cards that mean harm


def rewrite(path: Path, model: Any) -> None:
    file = path.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": model}))


HARMFUL = [
    "os:system", "subprocess:run", "builtins:exec", "shutil:rmtree", "torch:load", "importlib:import_module",
    "course_utils.recipes:train_recipe", "course_utils.recipes:text_diffusion", "course_utils.files:replacing",
    "course_utils.pretrained:load_pretrained", "course_utils.autoencoders:binarise", "course_utils.nets:over_batches",
    "course_utils.diffusion.schedule:_made_by", "course_utils.diffusion.schedule:check_at_least",
    "course_utils.diffusion:cosine_schedule", "course_utils.inputs:Rebuildable", "course_utils.inputs:Model",
    "course_utils.data:Images", "course_utils.gan:nn", "course_utils.nowhere:VAE", "course_utils.gan.deeper:VAE",
    "course_utils:VAE", ":VAE", "VAE", "", "course_utils.gan:", "torch.nn:Linear",
]  # fmt: skip


@pytest.mark.parametrize("maker", HARMFUL)
@pytest.mark.parametrize("inside", [False, True], ids=["the model", "a part of it"])
def test_nothing_but_models_and_schedules_is_ever_called(
    maker: str, inside: bool, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    spies = [(os, "system"), (recipes, "train_recipe"), (recipes, "text_diffusion"), (files, "replacing"),
             (pretrained, "load_pretrained"), (autoencoders, "binarise"), (diffusion.schedule, "_made_by"),
             (diffusion.schedule, "check_at_least")]  # fmt: skip
    for module, name in spies:
        monkeypatch.setattr(module, name, lambda *_, name=name, **__: called.append(name))
    harmful = {"maker": maker, "arguments": {}, "positional": [f"touch {saved.parent / 'done'}"]}
    plain = {"maker": "course_utils.autoencoders:Autoencoder", "arguments": {"latent_dim": harmful}}
    rewrite(saved, plain if inside else harmful)
    with pytest.raises(ValueError, match="which is no model of the course"):
        load_pretrained(saved, "cpu", classes=OWN)
    assert not called
    assert not (saved.parent / "done").exists()


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a card's model."""
    yield path
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from places(value[key], (*path, key))


def test_a_card_with_anything_in_any_place_gives_a_model_or_a_value_error(tmp_path: Path) -> None:
    schedule = Schedule(torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64))
    save_pretrained(DiffusionModel(Net(2), schedule, shape=(1, 4, 4)), tmp_path / "m")
    whole = json.loads((tmp_path / "m.json").read_text())["model"]
    weights = load_pretrained(tmp_path / "m", "cpu", classes=OWN).state_dict()
    messages: list[str] = []
    for path in places(whole):
        for junk in (
            None,
            -1,
            1.5,
            "x",
            [],
            {},
            [[]],
            {"tensor": "load", "values": 3},
            {"tuple": 3},
            {"dict": [1]},
        ):
            card = copy.deepcopy({"model": whole})
            *to, last = ("model", *path)
            where: Any = card
            for key in to:
                where = where[key]
            where[last] = junk
            rewrite(tmp_path / "m", card["model"])
            try:
                model = load_pretrained(tmp_path / "m", "cpu", classes=OWN)
            except ValueError as reason:
                messages.append(str(reason))
            else:
                assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert len(messages) > 100
    assert all("m.json" in message or "no model of the course" in message for message in messages)


class Fills(Model):
    def __init__(self, fill: float = math.nan, width: int = 2, scale: tuple[float, ...] = (1.0, 2.0)):
        super().__init__()
        self.fill, self.width, self.scale = fill, width, scale
        self.layer = nn.Linear(width, 2)


def test_numbers_of_every_kind_are_written_into_a_card(tmp_path: Path):
    save_pretrained(Fills(width=np.int64(3)), tmp_path / "own")
    again = load_pretrained(tmp_path / "own", "cpu", classes=[Fills])
    assert math.isnan(again.fill)
    assert again.layer.in_features == 3


def test_a_default_that_changes_later_changes_no_saved_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_pretrained(Fills(), tmp_path / "own")
    monkeypatch.setattr(Fills.__init__, "__defaults__", (0.0, 5, (7.0, 8.0)))
    again = load_pretrained(tmp_path / "own", "cpu", classes=[Fills])
    assert again.scale == (1.0, 2.0)
    assert again.width == 2


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_name_that_is_none_is_refused(name: str):
    with pytest.raises(ValueError, match="names no model"):
        load_pretrained(name)
    with pytest.raises(ValueError, match="names no model"):
        save_pretrained(Fills(), name)
