"""Draw the picture on the front page, from what the shipped models make: `python docs/picture.py` writes front.png."""

import textwrap
from pathlib import Path

import torch
from matplotlib.figure import Figure

from course_utils.diffusion import ddim_sample
from course_utils.files import replacing
from course_utils.pretrained import load_pretrained
from course_utils.viz import tile

DIGITS, STATES = (3, 8), 10
PROMPTS = (
    "a striped red star left of a small blue circle on yellow",
    "a green triangle above an outlined purple square on white",
    "a small white cross at the bottom right on blue",
)


def from_noise(digits: tuple[int, ...], states: int) -> torch.Tensor:
    """One row a digit: what the diffusion model has before it at `states` times on the way from noise to image."""
    model = load_pretrained("ddpm-mnist", "cpu")
    x_T = torch.randn(len(digits), 1, 28, 28, generator=torch.Generator().manual_seed(4))
    *path, last = ddim_sample(model, x_T, steps=3 * states - 3, y=torch.tensor(digits), guidance=1.5)
    return torch.stack([step.x_t for step in [*path, last][::3]], dim=1).flatten(0, 1)


def scenes(prompts: tuple[str, ...], n: int) -> list[torch.Tensor]:
    """n scenes of each prompt."""
    model = load_pretrained("ldm-scenes", "cpu")
    draw = torch.Generator().manual_seed(1)
    return [model.sample(n, model.tokenize([prompt] * n), generator=draw) for prompt in prompts]


def picture() -> Figure:
    figure = Figure(figsize=(8, 3.3), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.95, 1.35))
    ax = above.subplots()
    ax.imshow(tile(from_noise(DIGITS, STATES).clamp(-1, 1), STATES), interpolation="nearest")
    ax.set_title("noise becomes a digit, step by step (notebook 07)", fontsize=10, loc="left")
    ax.axis("off")
    for ax, prompt, images in zip(below.subplots(1, len(PROMPTS)), PROMPTS, scenes(PROMPTS, 3), strict=True):
        ax.imshow(tile(images, 3, gap=2), interpolation="nearest")
        ax.set_title("\n".join(textwrap.wrap(f"“{prompt}”", 36)), fontsize=9, loc="left")
        ax.axis("off")
    return figure


if __name__ == "__main__":
    file = Path(__file__).with_name("front.png")
    with replacing(file) as scratch:
        picture().savefig(scratch, dpi=110)
    print(f"wrote {file}, {file.stat().st_size / 1000:.0f} kB")
