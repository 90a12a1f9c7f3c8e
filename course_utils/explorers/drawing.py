"""A digit that the reader draws, and what the trained networks make of it while it is drawn."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from course_utils import style
from course_utils.autoencoders import squared_error
from course_utils.data import load_images
from course_utils.diffusion import ddim_sample, time_steps
from course_utils.explorers.packing import Packer
from course_utils.explorers.widget import Widget
from course_utils.nets import over_batches
from course_utils.pretrained import load_pretrained

FRONT_END = Path(__file__).with_name("drawing.js")
DOTS = 400  # test digits on the map
SHOWN = 2  # the test digit of the still picture
NETWORKS = {
    "classifier": "classifier-mnist",
    "autoencoder": "autoencoder-mnist",
    "vae": "vae-mnist",
    "plane": "vae-2d-mnist",
    "diffusion": "ddpm-4-steps-mnist",
}
"""The shipped networks that read a drawing, by the names that the front end has for them."""


class DrawingExplorer(Widget):
    """Draw a digit; a classifier, an autoencoder, a VAE and a diffusion model say what they make of it.

    The networks run in the browser, on weights rounded to 8 bits; the kernel computes nothing. All are the course's
    own, trained on MNIST without the test digits on the map.
    """

    _esm = FRONT_END

    title = traitlets.Unicode("Draw a digit").tag(sync=True)
    packed: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)
    plane: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    usual: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(**drawing_state())

    def __repr__(self) -> str:
        return f"DrawingExplorer({len(self.weights) / 1e6:.1f} MB of weights)"

    def still(self) -> bytes:
        """A PNG of what the networks make of a real digit."""
        return still_picture()


@cache
def shipped() -> dict[str, Any]:
    """The networks of NETWORKS."""
    return {role: load_pretrained(name, "cpu") for role, name in NETWORKS.items()}


@cache
def drawing_state() -> dict[str, Any]:
    """What the front end needs: the packed networks, the digits on the map, the usual errors."""
    nets, packer = shipped(), Packer()
    diffusion = nets["diffusion"]
    times = _times()
    networks = {
        "classifier": packer.classifier(nets["classifier"]),
        "autoencoder": packer.autoencoder(nets["autoencoder"]),
        "vae": packer.autoencoder(nets["vae"]),
        "plane": packer.sequence(nets["plane"].encoder),
        "unet": packer.unet(diffusion.net),
        "times": times,
        "alphaBar": diffusion.schedule.alpha_bar[times].tolist(),
    }
    packed, weights = packer.finish(networks)
    test = load_images("digits", "test")
    assert test.y is not None
    codes = over_batches(nets["plane"].encode, test.x[:DOTS])
    plane = {
        "codes": [[round(value, 2) for value in code] for code in codes.tolist()],
        "labels": test.y[:DOTS].tolist(),
        "palette": list(style.PALETTE),
    }
    usual = {
        role: round(squared_error(over_batches(nets[role].reconstruct, test.x), test.x).mean().item(), 1)
        for role in ("autoencoder", "vae")
    }
    return {"packed": packed, "weights": weights, "plane": plane, "usual": usual}


def _times() -> list[int]:
    """The times that the diffusion model knows, from T to 0."""
    model = shipped()["diffusion"]
    return time_steps(model.schedule.T, model.steps)


# ------------------------------------------------------------------------------------------------ the still picture


@cache
def still_picture() -> bytes:
    """A PNG of what the networks make of a real digit, since a still has no reader who draws."""
    from matplotlib import rc_context

    with rc_context(style.rc()):
        return _still()


@torch.no_grad()
def _still() -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    nets, state = shipped(), drawing_state()
    x = load_images("digits", "test").x[SHOWN, None]
    figure = Figure(figsize=(8, 3.7), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(
        "Draw a digit: what trained networks make of it", fontsize=10, weight="bold", x=0.005, ha="left"
    )
    grid = figure.add_gridspec(3, 5, height_ratios=[1.25, 0.95, 0.12])

    def show(place: Any, title: str, *images: Tensor) -> None:
        axes = figure.add_subplot(place)
        gaps = [torch.nn.functional.pad(image.reshape(28, 28), (0, 2), value=1.0) for image in images]
        axes.imshow(torch.cat(gaps, dim=1).numpy(), cmap="gray", vmin=-1, vmax=1)
        axes.set_axis_off()
        axes.set_title(title, fontsize=7.5, loc="left")

    show(grid[0, 0], "a digit", x)
    bars = figure.add_subplot(grid[0, 1])
    bars.barh(range(10), nets["classifier"](x).softmax(dim=1)[0].tolist(), color=style.ACCENT)
    bars.set(xlim=(0, 1), yticks=range(10))
    bars.invert_yaxis()
    bars.tick_params(labelsize=6)
    bars.set_title("the classifier", fontsize=7.5, loc="left")
    plane = figure.add_subplot(grid[0, 2])
    across, up = zip(*state["plane"]["codes"], strict=True)
    plane.scatter(across, up, s=2, c=[style.PALETTE[label] for label in state["plane"]["labels"]])
    plane.plot(*nets["plane"].encode(x)[0].tolist(), "o", color="black", markersize=8, fillstyle="none")
    plane.set(xticks=[], yticks=[], aspect="equal")
    plane.set_title("VAE of 2 numbers", fontsize=7.5, loc="left")
    for column, role in ((3, "autoencoder"), (4, "vae")):
        show(grid[0, column], {"vae": "VAE"}.get(role, role), nets[role].reconstruct(x))
    model, times = nets["diffusion"], _times()
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    films = grid[1, :].subgridspec(1, 3, width_ratios=[2, 3, 4])
    for k, start in enumerate(times[-2:0:-1]):
        noisy = model.q_sample(x, torch.full((1,), start), eps)
        walk = ddim_sample(model, noisy, steps=k + 1, start=start)
        seen = [step.x0_hat for step in walk if step.x0_hat is not None]
        show(films[k], f"t₀ = {start}, and back", noisy.clamp(-1, 1), *seen)
    how = "A still, of a real digit. Run the notebook, or open its page, to draw your own."
    foot = figure.add_subplot(grid[2, :])
    foot.set_axis_off()
    foot.text(0, 0.5, how, fontsize=7, color="0.4", va="center")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
