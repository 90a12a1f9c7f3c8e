"""Playgrounds: small networks of the plane that the page itself trains, by `playground.js`, without a kernel.

Their arithmetic is that of `course_utils.gan` and `course_utils.diffusion`; the tests compare both.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor, nn

from course_utils import style
from course_utils.data import toy_points
from course_utils.diffusion import DiffusionModel, ddim_sample, linear_schedule
from course_utils.explorers.widget import Widget
from course_utils.gan import GAN
from course_utils.inputs import check_choice
from course_utils.nets import seeded
from course_utils.nets.unet import sinusoids
from course_utils.training import Objective, exponential_average, fit

DATA = ("gaussians", "moons", "swiss_roll")
RATES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
STEPS = (1, 2, 3, 5, 10, 20, 50, 100)
PENALTIES = (0, 0.1, 0.3, 1, 3, 10, 20, 50)
TURNS = (1, 2, 3, 4, 5)
SEEDS = tuple(range(8))
FREQUENCIES = (1, 2, 4)
TRAINED = 300  # steps that the model of a still is trained for


class Playground(Widget):
    """What both have in common: the front end and its settings.

    The networks live in the view: two views of one playground, as JupyterLab's "Create New View for Output" makes
    them, open with the same settings and then train apart, so that two settings can be compared side by side. The
    notebook keeps those that were moved last.
    """

    _esm = Path(__file__).with_name("playground.js")

    title = traitlets.Unicode().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)
    settings: traitlets.Dict[Any, Any] = traitlets.Dict().tag(
        sync=True, echo_update=False
    )  # as the reader left them

    def __init__(self, kind: str, title: str, **settings: Any) -> None:
        check_choice(DATA, data=settings["density"])
        _check_on_slider(SEEDS, seed=settings["seed"])
        super().__init__(kind=kind, title=title, settings=settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.settings.items())})"


class GanPlayground(Playground):
    """A GAN of the plane that is trained in the page: both players, the discriminator's answer, the pull on points.

    data: `gaussians`, `moons` or `swiss_roll`. turns_d, turns_g: of each player in a round, 1 … 5. r1: γ of the R1
    penalty. lr_d, lr_g: learning rates. loss: the generator's, `non-saturating` or `minimax`. seed: 0 … 7.
    Each number is one that the reader's sliders have: TURNS, PENALTIES, RATES. Raises ValueError for others.
    Source: Goodfellow et al., 2014, algorithm 1; R1 as in `course_utils.gan.GAN`.
    """

    def __init__(
        self,
        data: str = "gaussians",
        *,
        turns_d: int = 1,
        turns_g: int = 1,
        r1: float = 1,
        lr_d: float = 1e-3,
        lr_g: float = 1e-3,
        loss: str = "non-saturating",
        seed: int = 0,
    ) -> None:
        _check_on_slider(TURNS, turns_d=turns_d, turns_g=turns_g)
        _check_on_slider(PENALTIES, r1=r1)
        _check_on_slider(RATES[:6], lr_d=lr_d, lr_g=lr_g)
        check_choice(("non-saturating", "minimax"), loss=loss)
        super().__init__(
            "gan", "A GAN, trained before your eyes", density=data, turnsD=turns_d, turnsG=turns_g, r1=r1, lrD=lr_d,
            lrG=lr_g, loss=loss, seed=seed,
        )  # fmt: skip

    def still(self) -> bytes:
        """A PNG: data, generated points and D's answer after `TRAINED` rounds."""
        s = self.settings
        with seeded(s["seed"]):
            generator = _PointGenerator(*_layers(2, 48, 2, nn.ReLU))
            discriminator = nn.Sequential(*_layers(2, 48, 1, nn.ReLU), nn.Flatten(0))
        game = GAN(generator, discriminator, kind=s["loss"], r1=s["r1"])
        d, g = (
            Objective(player, loss, torch.optim.Adam(player.parameters(), lr, (0.0, 0.9)), name)
            for name, player, loss, lr in (
                ("D", discriminator, game.discriminator_loss, s["lrD"]),
                ("G", generator, game.generator_loss, s["lrG"]),
            )
        )
        draw = torch.Generator().manual_seed(s["seed"])
        rounds = [(toy_points(s["density"], 128, generator=draw)[0],) for _ in range(TRAINED)]
        list(fit([d] * s["turnsD"] + [g] * s["turnsG"], rounds, progress=False, device="cpu"))
        across, up = torch.linspace(-3.6, 3.6, 49), torch.linspace(-2.7, 2.7, 37)
        with torch.no_grad():
            made = generator(torch.randn(400, 2, generator=draw))
            answer = discriminator(torch.cartesian_prod(across, up)).sigmoid().view(49, 37).T

        def paint(axes: Any) -> None:
            axes.contourf(across, up, answer, levels=torch.linspace(0, 1, 21), cmap="RdBu", alpha=0.6)
            axes.scatter(*made.T, s=12, marker="x", lw=0.9, color=style.PALETTE[1])

        said = "dots: real; crosses: generated; blue: D says real, red: D says generated"
        return _picture(self.title, f"after {TRAINED} rounds; {said}", s["density"], paint)


class DiffusionPlayground(Playground):
    """A diffusion model of the plane that is trained in the page: its arrows beside the ideal ones, points going back.

    data: `gaussians`, `moons` or `swiss_roll`. steps: of the way back, one of STEPS. sampler: `ddim` or `ddpm`.
    lr: the learning rate, one of RATES from 0.0005. seed: 0 … 7. Raises ValueError for others.
    Source: Ho et al., 2020, equation 14; Song et al., 2021, equation 12.
    """

    def __init__(
        self, data: str = "moons", *, steps: int = 50, sampler: str = "ddim", lr: float = 5e-3, seed: int = 0
    ) -> None:
        _check_on_slider(STEPS, steps=steps)
        _check_on_slider(RATES[2:], lr=lr)
        check_choice(("ddim", "ddpm"), sampler=sampler)
        super().__init__(
            "diffusion", "Diffusion, trained before your eyes", density=data, steps=steps, sampler=sampler, lr=lr,
            seed=seed,
        )  # fmt: skip

    def still(self) -> bytes:
        """A PNG: data, and points that went back from noise, after `TRAINED` steps."""
        s = self.settings
        with seeded(s["seed"]):
            model = DiffusionModel(PointNet(), linear_schedule(), prediction_type="eps", clip_x0=False)
        draw = torch.Generator().manual_seed(s["seed"])
        adam = torch.optim.Adam(model.parameters(), s["lr"])
        average = exponential_average(model, 0.99)
        averaged: DiffusionModel = average.module  # type: ignore[assignment]
        batches = [(toy_points(s["density"], 128, generator=draw)[0],) for _ in range(TRAINED)]
        objective = Objective(model, model.loss, adam, ema=average)
        list(fit(objective, batches, progress=False, device="cpu"))
        eta = float(s["sampler"] == "ddpm")
        start = torch.randn(400, 2, generator=draw)
        back = ddim_sample(averaged, start, steps=s["steps"], eta=eta, generator=draw)
        paths = torch.stack([state.x_t for state in back])

        def paint(axes: Any) -> None:
            axes.plot(*paths[:, :30].permute(2, 0, 1), "-", lw=0.7, color=style.PALETTE[1], alpha=0.6)
            axes.scatter(*paths[-1].T, s=8, color=style.PALETTE[1])

        said = "grey: data; orange: back from noise, thirty of them with their path"
        return _picture(self.title, f"after {TRAINED} training steps; {said}", s["density"], paint)


class PointNet(nn.Module):
    """Noise in points of the plane: `net(x_t, t)`, (N, 2) and int64 (N,) to (N, 2), as the page's own network.

    Beside the time's sinusoids, sine and cosine of each coordinate enter, without which so small a network stays
    blurred (Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional domains",
    2020).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_layers(2 + 16 + 4 * len(FREQUENCIES), 64, 2, nn.SiLU))

    def entering(self, x_t: Tensor, t: Tensor) -> Tensor:
        """What the first layer gets: (N, 30)."""
        angles = [f * x_t[:, axis] for f in FREQUENCIES for axis in (0, 1)]
        waves = torch.stack([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
        return torch.cat([x_t, sinusoids(t, 16).to(x_t), waves], dim=1)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.layers(self.entering(x_t, t))


class _PointGenerator(nn.Sequential):
    latent_dim, num_classes = 2, None


def _layers(inputs: int, width: int, outputs: int, activation: type[nn.Module]) -> list[nn.Module]:
    hidden = [nn.Linear(inputs, width), activation(), nn.Linear(width, width), activation()]
    return [*hidden, nn.Linear(width, outputs)]


def _check_on_slider(values: tuple[float, ...], **given: float) -> None:
    for name, value in given.items():
        if value not in values:
            raise ValueError(f"{name}={value} is not on the slider; allowed: {', '.join(map(str, values))}")


def _picture(title: str, said: str, density: str, paint: Any) -> bytes:
    """A PNG of the plane with the data in grey and what `paint` draws, under its title."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    real, _ = toy_points(density, 400, generator=torch.Generator().manual_seed(2))
    with rc_context(style.rc()):
        figure = Figure(figsize=(8, 6.2), dpi=90, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.scatter(real[:, 0], real[:, 1], s=4, color="0.35", zorder=3)
        paint(axes)
        axes.set(xlim=(-3.6, 3.6), ylim=(-2.7, 2.7), xticks=[], yticks=[], aspect="equal")
        axes.set_title(title, fontsize=11, weight="bold", loc="left")
        axes.set_title(
            "A still. Run the notebook, or open its page, to train.", fontsize=8, color="0.4", loc="right"
        )
        axes.set_xlabel(said, fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
