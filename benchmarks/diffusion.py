"""Diffusion beside diffusers and denoising-diffusion-pytorch: a training step, sampling, and what comes out.

    python benchmarks/diffusion.py            # about a quarter of an hour on two cores; writes benchmarks/diffusion.md
    python benchmarks/diffusion.py --quick    # few steps, to try it out; prints the report and writes nothing

Three U-Nets of about a million weights, the peers' from their own parts at 28, 14 and 7 pixels, each trained and
sampled by its own package's loop: the cosine schedule with T = 1,000, x₀ predicted (and clipped in sampling), classes
given, batches of 64 of the 4,000 digits. Times are medians of rounds in which the three take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from machine import THREADS, header  # sets the number of threads, which libraries read when loaded

# isort: split

import torch
from denoising_diffusion_pytorch import classifier_free_guidance as lucidrains
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.flop_counter import FlopCounterMode

from course_utils import metrics
from course_utils.data import batches, load_images
from course_utils.diffusion import ddim_sample, unet_diffusion
from course_utils.features import feature_extractor

BATCH, NFE, ROUNDS = 64, 10, 7


@dataclass
class Entrant:
    """A network, its loss of a batch, and its sampler of images of classes y in NFE runs."""

    net: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    sample: Callable[[Tensor], Tensor]
    train_seconds: list[float] = field(default_factory=list)
    sample_seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.0
        )

    def step(self, x: Tensor, y: Tensor) -> None:
        self.optimizer.zero_grad()
        self.loss(x, y).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()


def ours() -> Entrant:
    model = unet_diffusion((1, 28, 28), num_classes=10)

    def sample(y: Tensor) -> Tensor:
        *_, last = ddim_sample(model, torch.randn(len(y), 1, 28, 28), steps=NFE, y=y)
        return last.x_t

    return Entrant(model, model.loss, sample)


def diffusers() -> Entrant:
    net = UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        num_class_embeds=11,
    )
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=True,
        timestep_spacing="trailing",
    )

    def loss(x: Tensor, y: Tensor) -> Tensor:
        t, eps = torch.randint(1000, (len(x),)), torch.randn_like(x)
        y = y.masked_fill(torch.rand(len(y)) < 0.1, 10)
        return mse_loss(net(scheduler.add_noise(x, eps, t), t, class_labels=y).sample, x)

    @torch.no_grad()
    def sample(y: Tensor) -> Tensor:
        scheduler.set_timesteps(NFE)
        x = torch.randn(len(y), 1, 28, 28)
        for t in scheduler.timesteps:
            x = scheduler.step(net(x, t, class_labels=y).sample, t, x).prev_sample
        return x

    return Entrant(net, loss, sample)


class OneRunUnet(lucidrains.Unet):
    """Without guidance, cond_scale = 1, this version's sampler fails: it expects a pair."""

    def forward_with_cond_scale(
        self, x: Tensor, t: Tensor, classes: Tensor, **_: object
    ) -> tuple[Tensor, Tensor]:
        output = self.forward(x, t, classes, cond_drop_prob=0.0)
        return output, output


def denoising_diffusion_pytorch() -> Entrant:
    net = OneRunUnet(dim=24, num_classes=10, dim_mults=(1, 2, 2), channels=1, cond_drop_prob=0.1)
    diffusion = lucidrains.GaussianDiffusion(
        net, image_size=28, sampling_timesteps=NFE, objective="pred_x0", ddim_sampling_eta=0.0
    )

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return diffusion((x + 1) / 2, classes=y)

    def sample(y: Tensor) -> Tensor:
        return diffusion.sample(y, cond_scale=1.0) * 2 - 1

    return Entrant(net, loss, sample)


def timed(function: Callable[..., object], *arguments: Tensor) -> float:
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def operations(function: Callable[..., object], *arguments: Tensor) -> int:
    """Multiplications and additions of matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return counter.get_total_flops()


def matmul_peak() -> float:
    """Operations a second of a 4096² product, the best of five."""
    a, b = torch.randn(4096, 4096), torch.randn(4096, 4096)
    return 2 * 4096**3 / min(timed(torch.mm, a, b) for _ in range(5))


def report(*, quick: bool) -> str:
    """Measure, and the page in Markdown."""
    train, test = load_images("digits", "train"), load_images("digits", "test")
    see = feature_extractor("digits", "cpu")
    known = see(test.x).features
    torch.manual_seed(0)
    entrants = {
        "course_utils": ours(),
        "diffusers": diffusers(),
        "denoising-diffusion-pytorch": denoising_diffusion_pytorch(),
    }
    x, y = train.x[:BATCH], train.y[:BATCH]
    y_many = torch.arange(20 if quick else 200) % 10
    for entrant in entrants.values():  # warm up
        entrant.step(x, y)
        entrant.net.eval()
        entrant.sample(y)
    for _ in range(2 if quick else ROUNDS):
        for entrant in entrants.values():
            entrant.net.train()
            entrant.train_seconds.append(timed(entrant.step, x, y))
            entrant.net.eval()
            entrant.sample_seconds.append(timed(entrant.sample, y_many))
    peak = matmul_peak()

    steps, n = (5, 20) if quick else (400, 500)
    y_asked = torch.arange(n) % 10
    rows, first = [], entrants["course_utils"]
    own = statistics.median(first.train_seconds), statistics.median(first.sample_seconds)
    for name, entrant in entrants.items():
        train_flops = operations(entrant.step, x, y) / BATCH
        sample_flops = operations(entrant.sample, y_many) / len(y_many)
        entrant.net.train()
        for batch in batches(train, BATCH, steps, generator=torch.Generator().manual_seed(0)):
            entrant.step(*batch)
        entrant.net.eval()
        seen = see(entrant.sample(y_asked).clamp(-1, 1))
        read = (seen.probs.argmax(dim=1) == y_asked).double().mean().item()
        seconds = statistics.median(entrant.train_seconds), statistics.median(entrant.sample_seconds)
        weights = sum(p.numel() for p in entrant.net.parameters()) / 1e6
        rows.append(
            f"| {name} | {weights:.2f} | {1000 * seconds[0] / BATCH:.2f} | {seconds[0] / own[0]:.1f} "
            f"| {train_flops / 1e9:.2f} | {train_flops * BATCH / seconds[0] / peak:.0%} "
            f"| {1000 * seconds[1] / len(y_many):.2f} | {seconds[1] / own[1]:.1f} | {sample_flops / 1e9:.2f} "
            f"| {sample_flops * len(y_many) / seconds[1] / peak:.0%} | {read:.0%} "
            f"| {metrics.fid(real=known, fake=seen.features):.2f} |"
        )
    return (
        "\n".join(
            [
                "# Diffusion beside other packages",
                "",
                "Made by `python benchmarks/diffusion.py`, in one run; the packages take turns.",
                "",
                *header(["torch", "diffusers", "denoising-diffusion-pytorch"]),
                f"- Matrix product, 4096 × 4096, float32: {peak / 1e9:.0f} GFLOP/s",
                "",
                f"A training step on {BATCH} images of 28 × 28, and sampling in {NFE} DDIM steps; an image costs so "
                "many milliseconds and so many billion operations, which is so large a share of the matrix product's "
                f"speed. Then the quality after {steps} steps of training, alike for all: how many of {n} images are "
                "read as the class asked for, and their FID.",
                "",
                "| package | million weights | training, ms an image | ours = 1 | GFLOP an image | share of peak "
                "| sampling, ms an image | ours = 1 | GFLOP an image | share of peak | read as asked | FID |",
                "| --- |" + " ---: |" * 11,
                *rows,
            ]
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps; print the report, write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    text = report(quick=arguments.quick)
    print(text)
    if not arguments.quick:
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
