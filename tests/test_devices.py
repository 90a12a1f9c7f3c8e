"""Everything runs on a device without float64, as Apple's GPUs are; a stand-in for one watches what is asked of it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils import (
    autoencoders,
    data,
    diffusion,
    features,
    gan,
    inputs,
    latent,
    metrics,
    nets,
    recipes,
    scores,
    viz,
)
from course_utils.autoencoders import VAE, Autoencoder, DenoisingAutoencoder, KLAutoencoder
from course_utils.data import scenes
from course_utils.diffusion import DiffusionModel
from course_utils.gan import GAN, Discriminator, Generator
from course_utils.likelihood import CouplingFlow, PixelCNN, dequantise
from course_utils.pretrained import load_pretrained, save_pretrained, shipped_models
from course_utils.training import Objective, exponential_average, fit, warmup_cosine

pytestmark = pytest.mark.usefixtures("one_thread")

DEVICE = torch.device("mps")


# -------------------------------------------------------------------------------------------- the stand-in


def here(x: Tensor) -> bool:
    """Whether a tensor lies on the device: its storage bears a mark, which views share."""
    return not x.is_meta and getattr(x.untyped_storage(), "here", False)


def is_device(value: object) -> bool:
    return isinstance(value, str | torch.device) and torch.device(value) == DEVICE


class DeviceGenerator(torch.Generator):
    """Random numbers of the stand-in's device, or of another."""

    def __new__(cls, device: str | torch.device = "cpu") -> DeviceGenerator:
        on_it = torch.device(device).type == DEVICE.type
        made = super().__new__(cls, "cpu" if on_it else device)
        made.here = on_it
        return made

    @property
    def device(self) -> torch.device:
        return DEVICE if self.here else super().device


F64 = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
MOVES = {"to", "cpu", "copy_", "type_as", "_foreach_copy_", "_has_compatible_shallow_copy_type"}
NEW = {"tensor", "as_tensor", "asarray"}  # their first argument is data, wherever they lie
JOINS = {"cat", "stack", "concat", "hstack", "vstack"}  # for which even a single number must lie there


@functools.cache
def operations() -> dict[str, str]:
    """What PyTorch's own list says of each of its operations: for which devices there is a kernel."""
    said = (
        Path(torch.__file__).parents[1]
        / "torchgen"
        / "packaged"
        / "ATen"
        / "native"
        / "native_functions.yaml"
    )
    blocks = said.read_text(encoding="utf-8").split("\n- func: ")[1:]
    return {block.split("(", 1)[0]: block for block in blocks}


@functools.cache
def runs_there(name: str) -> bool:
    """Whether an operation has a kernel for Apple's GPUs, or is made of others."""
    if "_for_cpu" in name:  # a kernel of the CPU's, in place of that of another device
        return True
    block = operations().get(name.removesuffix(".default"), "")
    if delegate := re.search(r"^  structured_delegate: (\S+)", block, re.MULTILINE):
        return runs_there(delegate[1])
    anywhere = r"^    [\w, ]*\b(MPS|CompositeImplicitAutograd|CompositeExplicitAutograd(NonFunctional)?)\b"
    return "\n  dispatch:" not in block or re.search(anywhere, block, re.MULTILINE) is not None


class Kernels(TorchDispatchMode):
    """Raises where an operation is run that Apple's GPUs do not have."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not runs_there(str(func).removeprefix("aten.")):
            raise NotImplementedError(
                f"The operator '{func}' is not currently implemented for the MPS device"
            )
        return func(*args, **(kwargs or {}))


class DeviceWithoutFloat64(TorchFunctionMode):
    """Keeps account of which tensors lie on the device (they are the CPU's in truth) and raises where a real one
    would: a result in float64, tensors of two devices in one operation (but for single numbers on the CPU), a
    generator of another device, a NumPy array of what lies there, an operation that Apple's GPUs do not have."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return self._attribute(func, *args)
        if name in ("__set__", "backward"):
            with Kernels() if here(args[0]) else nullcontext():
                return func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_it = [here(x) for x in tensors]
        if name in ("numpy", "__array__", "__dlpack__") and any(on_it):
            raise TypeError("can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() first")
        if name not in MOVES | NEW:
            self._one_device(name, tensors, on_it, args)
        place, args, kwargs = self._place(name, args, kwargs, on_it)
        generator = kwargs.get("generator")
        if generator is not None and place != getattr(generator, "here", False):
            raise RuntimeError(
                f"Expected a device type for generator of the tensor, but found {generator.device}"
            )
        with Kernels() if place or any(on_it) else nullcontext():
            made = func(*args, **kwargs)
        for x in tree_leaves(made):
            if isinstance(x, Tensor) and not x.is_meta:
                if place and x.dtype == torch.float64:
                    raise TypeError(F64)
                if (
                    place
                    and not here(x)
                    and name in MOVES | NEW
                    and any(x is y or shares(x, y) for y in tensors)
                ):
                    made = x = made.clone()
                if not place and here(x):
                    made = x = made.clone()
                x.untyped_storage().here = place
        return made

    def _attribute(self, func: Any, x: Any, *rest: Any) -> Any:
        name = getattr(getattr(func, "__self__", None), "__name__", "")
        if isinstance(x, Tensor) and here(x):
            if name == "device":
                return DEVICE
            if name in ("is_mps", "is_cpu"):
                return name == "is_mps"
        made = func(x, *rest)
        if isinstance(made, Tensor) and isinstance(x, Tensor) and here(x):  # such as a gradient
            if made.dtype == torch.float64:
                raise TypeError(F64)
            made.untyped_storage().here = True
        return made

    def _one_device(self, name: str, tensors: list[Tensor], on_it: list[bool], args: Any) -> None:
        if not any(on_it) or all(on_it):
            return
        if name in ("__getitem__", "__setitem__") and here(args[0]):  # indices may lie on the CPU
            value = args[2] if name == "__setitem__" else None
            if not isinstance(value, Tensor) or here(value) or value.ndim == 0:
                return
        elsewhere = [x for x, there in zip(tensors, on_it, strict=True) if not there and not x.is_meta]
        if name in JOINS or any(x.ndim for x in elsewhere):
            raise RuntimeError(
                f"{name}: Expected all tensors to be on the same device, but found mps:0 and cpu!"
            )

    def _place(
        self, name: str, args: Any, kwargs: dict[str, Any], on_it: list[bool]
    ) -> tuple[bool, Any, Any]:
        """Whether the result lies on the device; and the arguments, in which it is the CPU."""
        place = bool(on_it) and any(on_it) and name not in NEW
        if name in ("copy_", "_foreach_copy_"):
            place = on_it[0]
        if name == "cpu":
            place = False
        if name == "as_tensor" and on_it:
            place = on_it[0]
        if name == "to" and len(args) > 1 and isinstance(args[1], Tensor):
            return on_it[1], args, kwargs
        if kwargs.get("device") is not None:
            place = is_device(kwargs["device"])
            kwargs["device"] = "cpu" if place else kwargs["device"]
        if name == "to":
            place = on_it[0] if kwargs.get("device") is None else place
            for given in args[1:]:
                if isinstance(given, str | torch.device):
                    place = is_device(given)
            args = tuple(torch.device("cpu") if is_device(given) else given for given in args)
        return place, args, kwargs


def shares(x: Tensor, y: Tensor) -> bool:
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine has one accelerator, and that has no float64."""
    rng = SimpleNamespace(
        get_rng_state=lambda: torch.zeros(8, dtype=torch.uint8), set_rng_state=lambda state: None
    )
    monkeypatch.setattr(torch, "Generator", DeviceGenerator)
    monkeypatch.setattr(torch, "get_device_module", lambda device=None: rng)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: DEVICE)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    with DeviceWithoutFloat64():
        yield


def seed(number: int = 0, device: torch.device = DEVICE) -> torch.Generator:
    return torch.Generator(device).manual_seed(number)


def images(n: int, channels: int = 1, size: int = 8) -> Tensor:
    return 2 * torch.rand(n, channels, size, size, generator=seed(), device=DEVICE) - 1


def classes(n: int, count: int = 5) -> Tensor:
    return torch.arange(n, device=DEVICE) % count


def check(*tensors: Tensor) -> None:
    """All of them lie on the device, and are numbers."""
    for x in tensors:
        assert x.device == DEVICE
        assert x.isfinite().all()


# ------------------------------------------------------------------------- the stand-in does what a device does


def test_what_lies_on_the_device_stays_there() -> None:
    x = torch.ones(3, 4).to(DEVICE)
    check(
        x, x + 1, x[0], x.T @ x, x.sum(), torch.zeros_like(x), x.new_zeros(2), torch.arange(3, device=DEVICE)
    )
    assert x.cpu().device == (x.cpu() + 1).device == x.to("cpu").device == torch.device("cpu")
    assert torch.ones(3).device == torch.device("cpu")
    assert (x * 2.0).tolist() == [[2.0] * 4] * 3
    y = torch.ones(3)
    y.to(DEVICE).add_(1)
    x.cpu().add_(1)
    assert y.sum() == 3  # a copy was changed
    assert x.sum() == 12


def test_weights_gradients_and_copies_lie_on_the_device() -> None:
    net = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net.to(DEVICE)
    net(torch.ones(4, 3, device=DEVICE)).sum().backward()
    average = exponential_average(net)
    optimizer.step()
    average.update_parameters(net)
    for weight in [*net.parameters(), *average.module.parameters()]:
        assert weight.device == DEVICE
    assert all(weight.grad.device == DEVICE for weight in net.parameters())
    with pytest.raises(RuntimeError, match="same device"):
        net(torch.ones(4, 3))
    assert net.cpu()(torch.ones(4, 3)).device.type == "cpu"


def old_signal(alpha_bar: Tensor, t: Tensor) -> Tensor:
    """How a schedule was once looked up, which no Apple GPU does."""
    return alpha_bar.to(t.device)[t].sqrt().float()


FAULTS: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "a table in float64 sent there": (
        lambda: old_signal(torch.ones(9).double(), torch.tensor([1, 2], device=DEVICE)), TypeError, "float64"),
    "made there in float64": (lambda: torch.zeros(2, dtype=torch.float64, device=DEVICE), TypeError, "float64"),
    "widened there": (lambda: images(1).double(), TypeError, "float64"),
    "widened by a sum": (lambda: images(1).sum(dtype=torch.float64), TypeError, "float64"),
    "widened by NumPy's numbers": (
        lambda: torch.tensor(np.ones(3), device=DEVICE), TypeError, "float64"),
    "a buffer in float64": (lambda: nn.BatchNorm1d(2).double().to(DEVICE), TypeError, "float64"),
    "a list of bools averaged": (lambda: (images(1) > 0).double().mean(), TypeError, "float64"),
    "two devices in a sum": (lambda: images(1) + torch.zeros(1, 1, 8, 8), RuntimeError, "same device"),
    "two devices joined": (lambda: torch.stack([torch.zeros(()), images(1).sum()]), RuntimeError, "same device"),
    "an index there for what is not": (
        lambda: torch.zeros(9)[torch.tensor([1], device=DEVICE)], RuntimeError, "same device"),
    "where": (lambda: torch.where(images(1) > 0, images(1), torch.zeros(1, 1, 8, 8)), RuntimeError, "same device"),
    "a generator of the CPU": (
        lambda: torch.randn(3, generator=seed(0, torch.device("cpu")), device=DEVICE), RuntimeError, "generator"),
    "a generator of the device for the CPU": (lambda: torch.randn(3, generator=seed()), RuntimeError, "generator"),
    "an operation without a kernel": (
        lambda: torch.linalg.eig(torch.eye(3, device=DEVICE)), NotImplementedError, "linalg_eig"),
    "NumPy": (lambda: images(1).numpy(), TypeError, "numpy"),
    "NumPy of it": (lambda: np.asarray(images(1)), TypeError, "numpy"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_a_device_refuses_is_refused(fault: tuple[Callable[[], object], type[Exception], str]) -> None:
    run, error, message = fault
    with pytest.raises(error, match=message):
        run()


def test_what_a_device_takes_is_taken() -> None:
    x = images(2)
    check(
        x * torch.tensor(2.0).double(),
        x + torch.tensor(1.0),
        x[torch.tensor([1])],
        x[torch.tensor([True, False])],
    )
    x[0] = 1.0
    x[torch.tensor([1])] = torch.tensor(0.5)
    x.copy_(torch.zeros(2, 1, 8, 8))
    check(torch.tensor([1.0, 2.0], device=DEVICE), torch.zeros(2).double().to(DEVICE, torch.float32))
    check(torch.randn(3, generator=seed(), device=DEVICE), x.new_zeros(3).normal_(generator=seed()))
    assert torch.tensor([x.sum(), x.sum()]).device.type == "cpu"


# ------------------------------------------------------------------------------------- a step of every model


def learn(module: nn.Module, loss: Callable[[], Tensor]) -> None:
    """Two steps of an optimiser; loss and gradients are numbers on the device."""
    optimizer = torch.optim.AdamW([weight for weight in module.parameters() if weight.requires_grad], lr=1e-4)
    for _ in range(2):
        value = loss()
        check(value)
        assert value.dtype == torch.float32
        optimizer.zero_grad()
        value.backward()
        check(*(weight.grad for weight in module.parameters() if weight.grad is not None))
        optimizer.step()
    check(*module.parameters())


AUTOENCODERS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: Autoencoder(3, size=8, code_penalty=0.1),
    "gaussian": lambda: DenoisingAutoencoder(3, size=8, kind="gaussian"),
    "patch": lambda: DenoisingAutoencoder(3, size=8, kind="patch"),
    "dropout": lambda: DenoisingAutoencoder(3, size=8, kind="dropout"),
    "VAE": lambda: VAE(3, size=8, free_bits=0.1),
    "gaussian VAE": lambda: VAE(3, size=8, likelihood="gaussian"),
    "flow": lambda: CouplingFlow(64, hidden=8, levels=16),
    "PixelCNN": lambda: PixelCNN(8, 8, channels=8, blocks=1),
}


@pytest.mark.parametrize("make", AUTOENCODERS.values(), ids=AUTOENCODERS)
def test_a_model_of_images(make: Callable[[], nn.Module]) -> None:
    model, x = make().to(DEVICE), images(6)
    learn(model, lambda: model.loss(x, generator=seed()))
    if isinstance(model, Autoencoder):
        model.fit_codes(images(40))
    check(model.sample(3, generator=seed()), model.sample(2))
    if isinstance(model, VAE):
        elbo = model.elbo(x, generator=seed())
        check(elbo.total, model.iwae_bound(x, 3, generator=seed()), model.reconstruct(x))
    if isinstance(model, CouplingFlow | PixelCNN):
        check(model.log_prob(x.flatten(1) if isinstance(model, CouplingFlow) else x))


def test_a_flow_of_the_plane() -> None:
    model = CouplingFlow(2, hidden=8).to(DEVICE)
    x = data.toy_points("gaussians", 16, generator=seed(0, torch.device("cpu")))[0].to(DEVICE)
    learn(model, lambda: model.loss(x))
    check(model.sample(3, generator=seed()), model.log_prob(x), data.toy_log_prob("gaussians", x))
    check(dequantise(images(2), 8, generator=seed()))


@pytest.mark.parametrize("factor", [4, 8])
def test_an_autoencoder_of_maps_with_a_reader_as_its_eye(factor: int) -> None:
    model, reader = KLAutoencoder(factor=factor, width=8).to(DEVICE), nets.SceneReader().to(DEVICE)
    x = images(2, 3, 64)

    def distance(x_hat: Tensor, x: Tensor) -> Tensor:
        return autoencoders.perceptual_distance(reader.feature_maps, x_hat, x)

    learn(model, lambda: model.loss(x, perceptual=distance, generator=seed()))
    model.fit_scale(x)
    check(model.reconstruct(x), model.scale)


@pytest.mark.parametrize("kind", gan.LOSSES)
@pytest.mark.parametrize("count", [None, 5])
def test_both_players_of_a_game(kind: str, count: int | None) -> None:
    generator = Generator(3, num_classes=count, width=4, size=8)
    judge = Discriminator(num_classes=count, width=4, size=8, spectral=True)
    game = GAN(generator, judge, kind=kind, r1=1.0, penalty=1.0, mismatched=count is not None).to(DEVICE)
    x, y = images(6), None if count is None else classes(6)
    learn(judge, lambda: game.discriminator_loss(x, y, generator=seed()))
    learn(generator, lambda: game.generator_loss(x, y, generator=seed()))
    check(generator.sample(3, generator=seed()), generator.sample(3, truncation=0.7, generator=seed()))
    check(generator.sample(2))


@pytest.mark.parametrize("condition", gan.CONDITIONS)
def test_a_discriminator_of_classes(condition: str) -> None:
    judge = Discriminator(num_classes=5, condition=condition, width=4, size=8).to(DEVICE)
    check(judge(images(6), classes(6)))


def test_networks_that_read() -> None:
    classifier, reader = nets.Classifier().to(DEVICE), nets.SceneReader().to(DEVICE)
    x, y = images(6), classes(6)
    learn(classifier, lambda: classifier.loss(x, y, generator=seed()))
    facts = scenes.sample_attributes(4, generator=seed(0, torch.device("cpu")))
    facts = {name: value.to(DEVICE) for name, value in facts.items()}
    drawn, read = scenes.render(facts), scenes.reading(facts)
    check(drawn, read)
    learn(reader, lambda: reader.loss(drawn, read, generator=seed()))
    agreement = scenes.agreement(reader.read(drawn), read)
    check(*agreement.values(), nets.over_batches(reader.read, drawn, 3))


# -------------------------------------------------------------------------------------------------- diffusion


def model(
    prediction_type: str = "v",
    weighting: str = "simple",
    count: int | None = 5,
    *,
    learn_variance: bool = False,
) -> DiffusionModel:
    net = nets.UNet(width=16, out_channels=2 if learn_variance else 1, num_classes=count)
    return DiffusionModel(
        net, diffusion.cosine_schedule(8), prediction_type=prediction_type, weighting=weighting, num_classes=count,
        learn_variance=learn_variance, shape=(1, 8, 8), steps=3, guidance=2.0,
    ).to(DEVICE)  # fmt: skip


@pytest.mark.parametrize("prediction_type", diffusion.PREDICTION_TYPES)
@pytest.mark.parametrize("weighting", diffusion.WEIGHTINGS)
@pytest.mark.parametrize("learn_variance", [False, True])
def test_the_loss_of_a_diffusion_model(prediction_type: str, weighting: str, learn_variance: bool) -> None:
    ddpm, x, y = model(prediction_type, weighting, learn_variance=learn_variance), images(4), classes(4)
    learn(ddpm, lambda: ddpm.loss(x, y, generator=seed()))
    if weighting != "simple":
        return  # of the loss alone
    check(ddpm.loss(x), ddpm.sample(2), ddpm.sample(4, y, generator=seed()))
    check(ddpm.sample(4, y, guidance=3.0, negative=(y + 1) % 5, generator=seed()))
    variances = diffusion.VARIANCES if learn_variance else diffusion.VARIANCES[:2]
    for variance in variances:
        check(ddpm.bits_per_dimension(x, y, variance=variance, generator=seed()))


@pytest.mark.parametrize("name", diffusion.SAMPLERS)
@pytest.mark.parametrize("prediction_type", diffusion.PREDICTION_TYPES)
def test_samplers(name: str, prediction_type: str) -> None:
    ddpm, y = model(prediction_type, learn_variance=name == "ddpm"), classes(4)
    more = {"ddpm": [{"variance": v} for v in diffusion.VARIANCES], "ddim": [{"eta": 0.0}, {"eta": 0.7}]}
    for settings in more.get(name, [{}]):
        for asked in ({}, {"y": y, "guidance": 2.0, "negative": (y + 1) % 5}):
            x_T = torch.randn(4, 1, 8, 8, generator=seed(), device=DEVICE)
            steps = diffusion.SAMPLERS[name](ddpm, x_T, steps=3, generator=seed(), **asked, **settings)
            for step in steps:
                check(step.x_t)


@pytest.mark.parametrize("count", [None, 5])
def test_flow_matching_and_what_it_is_as_a_diffusion(count: int | None) -> None:
    flow = diffusion.FlowMatching(
        nets.UNet(width=16, num_classes=count), num_classes=count, shape=(1, 8, 8), steps=3, guidance=2.0
    ).to(DEVICE)
    x, y = images(4), None if count is None else classes(4)
    learn(flow, lambda: flow.loss(x, y, generator=seed()))
    x_1, t = (
        torch.randn(4, 1, 8, 8, generator=seed(), device=DEVICE),
        torch.rand(4, generator=seed(), device=DEVICE),
    )
    learn(flow, lambda: flow.loss(x, y, noise=x_1, generator=seed()))
    check(flow.sample(2), flow.sample(4, y, generator=seed()), flow.q_sample(x, t, x_1))
    with torch.no_grad():
        v = flow.velocity(x, t, y)
    check(
        v,
        *diffusion.velocity_to_x0_eps(v, x, t)[:2],
        diffusion.straight_time(diffusion.straight_alpha_bar(t)),
    )
    asked = {} if y is None else {"y": y, "guidance": 2.0, "negative": (y + 1) % 5}
    for sampler in (diffusion.euler_sample, diffusion.midpoint_sample):
        for step in sampler(flow, x_1, steps=3, **asked):
            check(step.x_t)


def test_images_are_edited() -> None:
    ddpm, x, y = model(), images(3), classes(3)
    mask = torch.arange(8, device=DEVICE) < 4
    x_T = torch.randn(3, 1, 8, 8, generator=seed(), device=DEVICE)
    runs = [
        diffusion.image_to_image(ddpm, x, start=5, steps=3, y=y, guidance=2.0, generator=seed()),
        diffusion.inpaint(ddpm, x_T, known=x, mask=mask, steps=3, resample=2, y=y, generator=seed()),
        diffusion.super_resolve(ddpm, x_T, small=images(3, 1, 4), steps=3, y=y, generator=seed()),
    ]
    for run in runs:
        for step in run:
            check(step.x_t)


def test_a_student_learns_from_its_teacher() -> None:
    student, teacher = model("x0"), model("v")
    x, y = images(4), classes(4)
    learn(
        student, lambda: diffusion.distillation_loss(student, teacher, x, y, guidance=1.5, generator=seed())
    )


def test_the_ideal_denoiser_of_points() -> None:
    schedule = diffusion.cosine_schedule(8)
    means = torch.randn(4, 2, generator=seed(0, torch.device("cpu"))).double()
    for weights in (None, torch.tensor([0.1, 0.2, 0.3, 0.4]).double()):
        ideal = diffusion.IdealDenoiser(schedule, means.float(), 0.3, weights).to(DEVICE)
        points = DiffusionModel(ideal, schedule, prediction_type="x0", clip_x0=False, shape=(2,), steps=4)
        check(
            points.sample(5, generator=seed()),
            points.loss(torch.zeros(3, 2, device=DEVICE), generator=seed()),
        )
    there = diffusion.IdealDenoiser(schedule, means.float().to(DEVICE), 0.3)
    check(there(torch.zeros(3, 2, device=DEVICE), torch.full((3,), 7, device=DEVICE)))


def test_latent_diffusion_and_where_it_looks() -> None:
    ldm = recipes.scene_diffusion(width=16, num_res_blocks=1, text_width=16, steps=2, guidance=2.0).to(DEVICE)
    prompts = ["a red star at the top on white", "a blue circle left of a green star on yellow"]
    y = ldm.tokenize(prompts).to(DEVICE)
    x = images(2, 3, 64)
    learn(ldm.diffusion, lambda: ldm.loss(x, y, generator=seed()))
    check(ldm.sample(2), ldm.sample(2, y, generator=seed()))
    check(ldm.sample(2, y, negative=ldm.tokenize(["red"])[0].to(DEVICE), generator=seed()))
    z, t = ldm.codec.encode(x), torch.full((2,), 500, device=DEVICE)
    check(latent.attention_maps(ldm.diffusion.net, z, t, y))


# ------------------------------------------------------------------------------------- metrics and features


def test_metrics_of_features_on_the_device() -> None:
    real, fake = (torch.randn(40, 4, generator=seed(k), device=DEVICE) for k in range(2))
    cpu = torch.device("cpu")
    found = {
        "fid": lambda a, b: metrics.fid(real=a, fake=b),
        "kid": lambda a, b: metrics.kernel_inception_distance(
            real=a, fake=b, subsets=3, subset_size=20, generator=seed(0, cpu)).mean,
        "pr": lambda a, b: metrics.precision_recall(real=a, fake=b),
        "dc": lambda a, b: metrics.density_coverage(real=a, fake=b),
        "is": lambda a, b: metrics.inception_score(a.softmax(dim=1), 2, generator=seed(0, cpu)).mean,
        "auroc": lambda a, b: metrics.auroc(normal=a[:, 0], anomalous=b[:, 0]),
    }  # fmt: skip
    for name, metric in found.items():
        on_device, on_cpu = metric(real, fake), metric(real.cpu(), fake.cpu())
        assert on_device == pytest.approx(on_cpu, rel=1e-4), name
    gathered = metrics.FeatureStatistics.of(real)
    assert metrics.frechet_distance(gathered, metrics.FeatureStatistics.of(fake)) > 0


def test_metrics_of_near_ties_on_the_device() -> None:
    """Where float32 cannot decide, distances are computed again in float64."""
    grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)) + 1e4
    x = grid.to(DEVICE)
    assert metrics.precision_recall(real=x, fake=x) == metrics.precision_recall(real=grid, fake=grid)
    assert metrics.density_coverage(real=x, fake=x + 1) == metrics.density_coverage(real=grid, fake=grid + 1)


def test_path_lengths_on_the_device() -> None:
    z0, z1 = (torch.randn(9, 3, generator=seed(k), device=DEVICE) for k in range(2))
    length = metrics.perceptual_path_length(
        lambda z: z, lambda a, b: (a - b).square().sum(dim=1), z0, z1, epsilon=0.01, generator=seed()
    )
    assert length.mean > 0


def test_features_are_taken_on_the_device_unless_told() -> None:
    x = data.load_images("digits", n=60).x
    seen = features.feature_extractor("digits")(x)
    check(seen.features, seen.probs)
    assert features.feature_extractor("digits", "cpu")(x).features.device.type == "cpu"
    own = features.feature_extractor(nn.Flatten())(x.to(DEVICE))
    check(own.features)
    for images in (x, x.to(DEVICE)):
        readable = features.readability(images[:40], images[40:])(images)
        assert readable.float().mean() > 0.5
    drawn = data.load_images("scenes", "test", n=4)
    facts = features.scene_accuracy(drawn.x.to(DEVICE), drawn.captions)
    assert facts["all"].float().mean() > 0.5


def test_images_are_shown_from_the_device() -> None:
    x = images(4)
    viz.tile(x, 2)
    data.to_uint8(x)
    viz.show_rows({"some": x, "others": x})
    check(data.resize(x, 4), nets.blur(x, 1.0), nets.shift_and_turn(x, generator=seed()))
    z0, z1 = x.flatten(1)[:2]
    check(nets.slerp(z0, z1, 0.3), nets.lerp(z0, z1, torch.tensor(0.3, device=DEVICE)))


# ------------------------------------------------------------------- training, saving, loading, and the scores


def test_fit_trains_on_the_device_by_itself_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    def objective() -> Objective:
        ddpm = model().cpu()
        optimizer = torch.optim.AdamW(ddpm.parameters(), lr=1e-3)
        return Objective(ddpm, ddpm.loss, optimizer, schedule=warmup_cosine, ema=exponential_average(ddpm))

    batches = [(images(4).cpu(), classes(4).cpu())] * 4
    with nets.seeded(0):
        one = objective()
    settings: dict[str, Any] = {"progress": False, "clip": 1.0, "checkpoint": tmp_path / "run"}
    for record in fit(one, batches, **settings):
        if record.step == 2:
            break
    check(*one.module.parameters())
    with nets.seeded(1):
        other = objective()
    assert [record.step for record in fit(other, batches, **settings)] == [3, 4]
    check(*other.module.parameters(), *other.ema.module.parameters())
    check(other.ema.module.sample(2), other.module.sample(2, classes(2)))


def test_a_game_is_trained_on_the_device() -> None:
    game = GAN(Generator(3, width=4, size=8), Discriminator(width=4, size=8), r1=1.0)
    turns = [
        Objective(part, loss, torch.optim.Adam(part.parameters()), name)
        for name, part, loss in (
            ("discriminator", game.discriminator, game.discriminator_loss),
            ("generator", game.generator, game.generator_loss),
        )
    ]
    assert len(list(fit(turns, [(images(4).cpu(),)] * 2, progress=False))) == 2
    check(*game.parameters())


def test_a_model_is_saved_from_the_device_and_loaded_to_it(tmp_path: Path) -> None:
    saved = model()
    save_pretrained(saved, tmp_path / "mine")
    loaded = load_pretrained(tmp_path / "mine")
    x, t = images(2), torch.full((2,), 5, device=DEVICE)
    assert torch.equal(loaded.predict(x, t).x0, saved.predict(x, t).x0)
    assert load_pretrained(tmp_path / "mine", "cpu").sample(1).device.type == "cpu"


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_lie_on_the_device_and_draw_there(name: str) -> None:
    shipped = load_pretrained(name)
    check(*shipped.parameters())
    if hasattr(shipped, "sample"):
        if isinstance(shipped, latent.LatentDiffusion):
            shipped.diffusion.steps = 1
        drawn = shipped.sample(2)
        check(drawn)
        if not isinstance(shipped, latent.LatentDiffusion):
            y = classes(2) if getattr(shipped, "num_classes", None) else None
            losses = GAN(shipped, Discriminator(num_classes=shipped.num_classes).to(DEVICE)).generator_loss \
                if isinstance(shipped, Generator) else shipped.loss  # fmt: skip
            check(losses(drawn.clamp(-1, 1), y))


def test_pick_device_takes_the_accelerator_unless_told() -> None:
    assert inputs.pick_device() == DEVICE
    assert inputs.pick_device("cpu") == torch.device("cpu")
    assert inputs.widest_float(DEVICE) == torch.float32
    assert inputs.widest(images(1)).device.type == "cpu"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets of a few digits and scenes, whatever is asked for."""
    load, draw = functools.cache(data.load_images), scenes.sample_attributes

    def digits(name: str, split: str = "train", **asked: Any) -> data.Images:
        if name == "scenes":
            return load("scenes", split, n=8)
        few_digits = load("digits", split, n=30)
        return few_digits[torch.arange(10_000) % 30] if split == "train" else few_digits

    monkeypatch.setattr(scores, "load_images", digits)
    monkeypatch.setattr(scenes, "sample_attributes", lambda n, **asked: draw(min(n, 60), **asked))


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("score", "name"),
    [
        (scores.classifier_scores, "classifier-mnist"),
        (scores.reconstruction_scores, "autoencoder-mnist"),
        (scores.reconstruction_scores, "denoising-autoencoder-mnist"),
        (scores.reader_scores, "scene-reader"),
        (scores.scene_reconstruction_scores, "kl-autoencoder-scenes"),
    ],
)
def test_scores_of_shipped_models_are_taken_on_the_device(
    score: Callable[[Any], dict[str, float]], name: str
) -> None:
    shipped = load_pretrained(name)
    found = score(shipped)
    check(*shipped.parameters())
    assert found
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.usefixtures("few")
def test_scores_of_what_is_drawn_are_taken_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = load_pretrained("vae-2d-mnist")
    few_images = data.load_images("digits", n=5).x.to(DEVICE)
    monkeypatch.setattr(vae, "sample", lambda n, y=None, generator=None: few_images)
    assert all(math.isfinite(value) for value in scores.vae_scores(vae).values())
    cgan = load_pretrained("cgan-mnist")
    monkeypatch.setattr(scores, "feature_extractor", lambda network, place: lambda x: features.Features(
        x.flatten(1)[:, 300:304].to(place), x.flatten(1)[:, 300:310].to(place).softmax(dim=1)))  # fmt: skip
    monkeypatch.setattr(cgan, "sample", lambda n, y, generator=None: few_images[y % 5])
    assert "read as the class asked for" in scores.digit_scores(cgan)
    ldm = recipes.scene_diffusion(width=16, num_res_blocks=1, text_width=16, steps=1, guidance=2.0).to(DEVICE)
    assert all(0 <= value <= 1 for value in scores.scene_scores(ldm).values())
    assert recipes.encoded_scenes(ldm.codec, 8).x.device.type == "cpu"
