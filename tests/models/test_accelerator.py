"""One pass of every notebook's training and sampling in bfloat16 and compiled: on an accelerator, and as far as the
CPU can stand in for one.

On the CPU autocast is switched on by hand, and `torch.compile` traces forward and backward pass without generating
code for them. What only an accelerator shows (its kernels, the code generated for it) is marked `gpu`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from course_utils import diffusion, recipes
from course_utils.autoencoders import VAE, Autoencoder, DenoisingAutoencoder, KLAutoencoder
from course_utils.gan import GAN, Discriminator, Generator
from course_utils.likelihood import CouplingFlow, PixelCNN
from course_utils.nets import UNet, seeded
from course_utils.training import Objective, fit

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = 3


@dataclass
class Live:
    """What a notebook trains: its players in the order of their turns, one batch, and how it samples."""

    players: list[tuple[nn.Module, Callable[..., Tensor]]]
    batch: tuple[Tensor, ...]
    sample: Callable[[torch.Generator], Tensor]


def digits(n: int = 8, channels: int = 1, size: int = 8) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def alone(model: nn.Module, *batch: Tensor) -> Live:
    return Live([(model, model.loss)], batch, lambda draw: model.sample(4, generator=draw))


def game(count: int | None = None, **settings: object) -> Live:
    players = GAN(
        Generator(4, num_classes=count, width=8, size=8),
        Discriminator(num_classes=count, width=8, size=8),
        **settings,
    )
    turns = [
        (players.discriminator, players.discriminator_loss),
        (players.generator, players.generator_loss),
    ]
    y = () if count is None else (torch.arange(8) % count,)
    return Live(turns, (digits(), *y), lambda draw: players.generator.sample(4, generator=draw))


def unet(prediction_type: str = "v") -> diffusion.DiffusionModel:
    return diffusion.DiffusionModel(
        UNet(width=16, num_classes=5), diffusion.cosine_schedule(8), prediction_type=prediction_type,
        num_classes=5, shape=(1, 8, 8), steps=3, guidance=2.0,
    )  # fmt: skip


def straight() -> diffusion.FlowMatching:
    return diffusion.FlowMatching(UNet(width=16, num_classes=5), num_classes=5, shape=(1, 8, 8), steps=3)


def distilled() -> Live:
    student, teacher = unet("x0"), unet().requires_grad_(False)

    def loss(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        return diffusion.distillation_loss(
            student, teacher.to(x.device), x, y, guidance=1.5, generator=generator
        )

    return Live(
        [(student, loss)], (digits(), torch.arange(8) % 5), lambda draw: student.sample(4, generator=draw)
    )


def autoencoder(model: Autoencoder) -> Live:
    x = digits()

    def sample(draw: torch.Generator) -> Tensor:
        model.fit_codes(x.to(draw.device))
        return model.sample(4, generator=draw)

    return Live([(model, model.loss)], (x,), sample)


def codec() -> Live:
    model, x = KLAutoencoder(factor=4, width=8), digits(2, 3, 32)
    return Live([(model, model.loss)], (x,), lambda draw: model.reconstruct(x.to(draw.device)))


def latent() -> Live:
    ldm = recipes.scene_diffusion(width=16, num_res_blocks=1, text_width=16, steps=2, guidance=2.0)
    y = ldm.tokenize(["a red star at the top on white", "a blue circle left of a green star on yellow"])
    codes = digits(2, 4, 16)
    return Live([(ldm.diffusion, ldm.diffusion.loss)], (codes, y), lambda draw: ldm.sample(2, generator=draw))


CASES: dict[str, Callable[[], Live]] = {
    "01 flow": lambda: alone(CouplingFlow(64, hidden=8, levels=16), digits()),
    "01 autoregressive": lambda: alone(PixelCNN(8, 8, channels=8, blocks=1), digits()),
    "03 autoencoder": lambda: autoencoder(Autoencoder(3, size=8)),
    "03 denoising": lambda: autoencoder(DenoisingAutoencoder(3, size=8, kind="gaussian")),
    "04 Bernoulli": lambda: alone(VAE(3, size=8), digits()),
    "04 Gaussian": lambda: alone(VAE(3, size=8, likelihood="gaussian"), digits()),
    "05 R1": lambda: game(r1=1.0),
    "05 WGAN-GP": lambda: game(kind="wasserstein", penalty=10.0),
    "06 mismatched pairs": lambda: game(5, r1=1.0, mismatched=True),
    "07 diffusion": lambda: alone(unet(), digits(), torch.arange(8) % 5),
    "07 flow matching": lambda: alone(straight(), digits(), torch.arange(8) % 5),
    "07 distillation": distilled,
    "08 codec": codec,
    "08 latent diffusion": latent,
}
TWICE = {
    "05 R1",
    "05 WGAN-GP",
    "06 mismatched pairs",
}  # their penalties need a gradient's gradient, which is not compiled


def trained(live: Live, device: torch.device) -> None:
    """A few steps on the same batch, and what is sampled after them: numbers, on the device, in float32."""
    before = [[weight.detach().cpu().clone() for weight in module.parameters()] for module, _ in live.players]
    turns = [
        Objective(module, loss, torch.optim.Adam(module.parameters(), lr=1e-3), f"player {k}")
        for k, (module, loss) in enumerate(live.players)
    ]
    records = list(fit(turns, [live.batch] * STEPS, device=device, progress=False))
    assert len(records) == STEPS
    for (module, _), old in zip(live.players, before, strict=True):
        weights = list(module.parameters())
        assert {weight.device.type for weight in weights} == {device.type}
        assert {weight.dtype for weight in weights} == {torch.float32}
        assert all(weight.isfinite().all() for weight in weights)
        moved = [
            not torch.equal(weight.detach().cpu(), was) for weight, was in zip(weights, old, strict=True)
        ]
        assert sum(moved) > 0.5 * len(moved)
    x = live.sample(torch.Generator(device).manual_seed(0))
    assert x.device.type == device.type
    assert x.dtype == torch.float32
    assert x.isfinite().all()


def compiled(live: Live, backend: str) -> Live:
    for module, _ in live.players:
        for part in module.children():
            part.compile(backend=backend)
    return live


def made(name: str) -> Live:
    torch.compiler.reset()
    with seeded(0):
        return CASES[name]()


@pytest.mark.parametrize("name", CASES)
def test_in_bfloat16(name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    if device.type == "cpu":  # an accelerator that has bfloat16 says so itself
        monkeypatch.setattr("course_utils.training.loop._has_bf16", lambda place: True)
    trained(made(name), device)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler looks at it itself
@pytest.mark.parametrize("name", [name for name in CASES if name not in TWICE])
def test_compiled(name: str, device: torch.device) -> None:
    trained(compiled(made(name), "aot_eager" if device.type == "cpu" else "inductor"), device)
