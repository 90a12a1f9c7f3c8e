"""How each model that the course ships is made: its class and arguments, its data, its training, its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.autoencoders import (
    VAE,
    Autoencoder,
    DenoisingAutoencoder,
    KLAutoencoder,
    perceptual_distance,
)
from course_utils.data import EndlessScenes, Images, batches, load_images, mnist_for_training, scenes
from course_utils.diffusion import DiffusionModel, cosine_schedule, distillation_loss, unet_diffusion
from course_utils.gan import GAN, Discriminator, Generator
from course_utils.inputs import check_at_least, check_choice
from course_utils.latent import LatentDiffusion, TextEncoder, TextUNet, WordTokenizer
from course_utils.nets import Classifier, SceneReader, UNet, seeded
from course_utils.pretrained import load_pretrained
from course_utils.scores import (
    classifier_scores,
    digit_scores,
    reader_scores,
    reconstruction_scores,
    scene_reconstruction_scores,
    scene_scores,
    vae_scores,
)
from course_utils.training import Objective, constant, exponential_average, fit, warmup_cosine

_SETTINGS = ("steps", "rounds", "batch_size", "lr", "weight_decay", "clip", "ema", "seed")


def single_objective(model: Any, recipe: Recipe) -> list[Objective]:
    """A model that lowers one loss of its own."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    average = exponential_average(model, recipe.ema)
    return [Objective(model, model.loss, optimizer, schedule=warmup_cosine, ema=average)]


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        model: its class, and `arguments` for the constructor.
        data: gives the images to train on.
        score: the finished model's scores on images that it has not seen.
        objectives: what is trained; the last one's `ema` is the model that is kept.
        rounds: how many trainings of so many steps follow each other. Each begins with the averaged weights of the one
            before, and the learning rate rises and falls anew (Loshchilov and Hutter, "SGDR", 2017).
        later: what is different in the rounds after the first, such as `data` and `steps`.
        clip: the largest gradient norm.
        finish: what is done after training, with the model and the training images.
    """

    model: Callable[..., Any]
    arguments: dict[str, Any]
    data: Callable[[], Images | EndlessScenes]
    score: Callable[[Any], dict[str, float]]
    steps: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    ema: float = 0.999
    rounds: int = 1
    later: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    clip: float | None = None
    objectives: Callable[[Any, Recipe], list[Objective]] = single_objective
    finish: Callable[[Any, Any], None] = field(default=lambda model, images: None)


def two_players(game: GAN, recipe: Recipe, schedule: Callable[[float], float]) -> list[Objective]:
    """A discriminator, and a generator whose average is kept."""

    def adam(player: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(player.parameters(), lr=recipe.lr, betas=(0.0, 0.99))

    average = exponential_average(game.generator, recipe.ema)
    judge, player = adam(game.discriminator), adam(game.generator)
    return [
        Objective(game.discriminator, game.discriminator_loss, judge, "discriminator", schedule),
        Objective(game.generator, game.generator_loss, player, "generator", schedule, average),
    ]


def gan_objectives(model: Generator, recipe: Recipe) -> list[Objective]:
    """A generator, and a discriminator of the same size that is not kept; non-saturating loss with R1, γ = 1."""
    with seeded(recipe.seed + 1):
        discriminator = Discriminator(num_classes=model.num_classes)
    return two_players(GAN(model, discriminator, r1=1.0), recipe, warmup_cosine)


def small_gan_objectives(model: Generator, recipe: Recipe) -> list[Objective]:
    """The game of notebook 06. As there, one seed gives the generator's first weights and then the discriminator's."""
    with seeded(recipe.seed):
        recipe.model(**recipe.arguments)  # the generator once more, for what is drawn after it
        discriminator = Discriminator(num_classes=model.num_classes, width=16)
    return two_players(GAN(model, discriminator, r1=1.0), recipe, constant)


def distillation_objective(
    teacher: str, substeps: int, guidance: float
) -> Callable[[DiffusionModel, Recipe], list[Objective]]:
    """A diffusion model that begins as the shipped `teacher` and learns to do several of its steps in one."""

    def objectives(model: DiffusionModel, recipe: Recipe) -> list[Objective]:
        known = load_pretrained(teacher, "cpu")
        model.load_state_dict(known.state_dict())

        def loss(x: Tensor, y: Tensor, *, generator: torch.Generator) -> Tensor:
            return distillation_loss(
                model, known.to(x.device), x, y, substeps=substeps, guidance=guidance, generator=generator
            )

        return [replace(objective, loss=loss) for objective in single_objective(model, recipe)]

    return objectives


def perceptual_objective(
    reader_name: str, weight: float
) -> Callable[[KLAutoencoder, Recipe], list[Objective]]:
    """A KLAutoencoder whose images are also compared in the feature maps of a shipped reader."""

    def objectives(model: KLAutoencoder, recipe: Recipe) -> list[Objective]:
        reader = load_pretrained(reader_name, "cpu").requires_grad_(False)

        def distance(x_hat: Tensor, x: Tensor) -> Tensor:
            return weight * perceptual_distance(lambda x: reader.feature_maps(x)[:3], x_hat, x)

        def loss(x: Tensor, y: Tensor, *, generator: torch.Generator) -> Tensor:
            reader.to(x.device)
            return model.loss(x, perceptual=distance, generator=generator)

        return [replace(objective, loss=loss) for objective in single_objective(model, recipe)]

    return objectives


def latent_objective(codec: str) -> Callable[[LatentDiffusion, Recipe], list[Objective]]:
    """A latent diffusion model over the codes of the shipped autoencoder `codec`, which is part of it from then on.

    The training images are codes already, see `encoded_scenes`.
    """

    def objectives(model: LatentDiffusion, recipe: Recipe) -> list[Objective]:
        model.codec.load_state_dict(load_pretrained(codec, "cpu").state_dict())
        return [
            replace(objective, loss=model.diffusion.loss) for objective in single_objective(model, recipe)
        ]

    return objectives


def digits_with_labels(n: int) -> Images:
    """The 4,000 training digits: the first n repeated until they are half of all, the others labelled "unknown"."""
    train = load_images("digits", "train")
    times, unknown = (len(train) - n) // n, torch.full((len(train) - n,), 10)
    x = torch.cat([train.x[:n].repeat(times, 1, 1, 1), train.x[n:]])
    return Images(x, torch.cat([train.y[:n].repeat(times), unknown]), (*train.classes, "unknown"))


def fit_scale(model: KLAutoencoder, images: EndlessScenes) -> None:
    """Note the scale of the codes in the model, so that they come out with variance 1."""
    model.fit_scale(load_images("scenes", "train").x.to(next(model.parameters()).device))


def scene_tokenizer() -> WordTokenizer:
    """Captions of `scenes` to tokens int64 (n, 16)."""
    return WordTokenizer(scenes.WORDS, length=16)


def text_diffusion(
    shape: tuple[int, int, int],
    *,
    width: int = 64,
    num_res_blocks: int = 2,
    text_width: int = 96,
    clip_x0: bool = False,
    **sampling: Any,
) -> DiffusionModel:
    """A diffusion model of images or codes of this shape (C, H, W) that is asked for by captions of `scenes`, not
    trained yet: a `TextUNet` of this width that predicts v, and the cosine schedule.

    clip_x0: True for images. sampling: `sampler`, `steps` and `guidance`.
    """
    tokenize = scene_tokenizer()
    text = TextEncoder(len(tokenize.words), width=text_width, length=tokenize.length)
    unet = UNet(in_channels=shape[0], width=width, num_res_blocks=num_res_blocks, context_dim=text_width)
    return DiffusionModel(
        TextUNet(unet, text), cosine_schedule(), prediction_type="v", num_classes=tokenize.nothing,
        condition_shape=(tokenize.length,), clip_x0=clip_x0, shape=tuple(shape), **sampling,
    )  # fmt: skip


def scene_diffusion(*, factor: int = 4, latent_channels: int = 4, **diffusion: Any) -> LatentDiffusion:
    """Text to scenes of 64 × 64: a `KLAutoencoder` and a `text_diffusion` of its codes, not trained yet.

    diffusion: arguments of `text_diffusion` after the shape.
    """
    side = 64 // factor
    codec = KLAutoencoder(factor=factor, latent_channels=latent_channels)
    return LatentDiffusion(
        codec, text_diffusion((latent_channels, side, side), **diffusion), scene_tokenizer()
    )


@torch.no_grad()
def encoded_scenes(codec: KLAutoencoder, n: int, *, seed: int = 0, unsaid: float = 0.0) -> Images:
    """n training scenes, encoded once so that training need not do it again.

    unsaid: the share of objects whose colour the caption leaves out, 0 … 1.

    Returns:
        As x their codes (n, c, h, w), as y the tokens of their captions, int64 (n, 16).
    """
    if not 0 <= unsaid <= 1:
        raise ValueError(f"unsaid={unsaid} must be a share, from 0 to 1")
    place, tokenize = next(codec.parameters()).device, scene_tokenizer()
    draw = torch.Generator().manual_seed(seed)
    facts = scenes.sample_attributes(n, generator=draw, combinations="seen")
    codes = []
    for start in range(0, n, 500):
        part = {name: value[start : start + 500] for name, value in facts.items()}
        codes.append(codec.encode(scenes.render(part).to(place)).cpu())
    left_out = torch.rand(n, 2, generator=draw) < unsaid
    told = facts | {"colour": facts["colour"].masked_fill(left_out, -1)}
    return Images(torch.cat(codes), tokenize(scenes.captions(told)), ())


def fit_codes(model: Autoencoder, images: Images) -> None:
    """Note the distribution of the codes in the model, so that `sample` can draw from it."""
    model.fit_codes(images.x.to(next(model.parameters()).device))


def _autoencoder(model: type[Autoencoder], **arguments: Any) -> Recipe:
    return Recipe(
        model, arguments, mnist_for_training, reconstruction_scores, 8000, 256, 2e-3, finish=fit_codes
    )


def _vae(latent_dim: int, beta: float, steps: int) -> Recipe:
    arguments = {"latent_dim": latent_dim, "beta": beta}
    return Recipe(VAE, arguments, mnist_for_training, vae_scores, steps, 128, 2e-3)


def _kl_autoencoder(factor: int, latent_channels: int) -> Recipe:
    arguments = {"factor": factor, "latent_channels": latent_channels}
    images = lambda: EndlessScenes(lambda facts: facts["ground"])  # noqa: E731 (labels are not used)
    return Recipe(
        KLAutoencoder, arguments, images, scene_reconstruction_scores, 4000, 32, 2e-3, clip=1.0,
        objectives=perceptual_objective("scene-reader", 100.0), finish=fit_scale,
    )  # fmt: skip


def _gan(lr: float, **arguments: Any) -> Recipe:
    return Recipe(
        Generator, arguments, mnist_for_training, digit_scores, 4000, 64, lr, objectives=gan_objectives
    )


def _small_gan(data: Callable[[], Images], num_classes: int | None) -> Recipe:
    arguments = {"latent_dim": 16, "num_classes": num_classes, "width": 16}
    score = partial(digit_scores, against="digits", n=1000)
    return Recipe(Generator, arguments, data, score, 500, 64, 2e-3, ema=0.99, objectives=small_gan_objectives)


RECIPES = {
    "classifier-mnist": Recipe(
        Classifier, {}, mnist_for_training, classifier_scores, 5000, 200, 3e-3, weight_decay=0.05
    ),
    "autoencoder-mnist": _autoencoder(Autoencoder, latent_dim=16),
    "autoencoder-2d-mnist": _autoencoder(Autoencoder, latent_dim=2, code_penalty=0.5),
    "denoising-autoencoder-mnist": _autoencoder(
        DenoisingAutoencoder, latent_dim=16, kind="gaussian", level=1.0
    ),
    "vae-mnist": _vae(16, 1.0, 12000),
    "vae-2d-mnist": _vae(2, 1.0, 5000),
    "vae-2d-beta-0.1-mnist": _vae(2, 0.1, 5000),
    "vae-2d-beta-4-mnist": _vae(2, 4.0, 5000),
    "vae-2d-beta-16-mnist": _vae(2, 16.0, 5000),
    "gan-mnist": _gan(2e-3, latent_dim=16),
    "cgan-mnist": _gan(1e-3, num_classes=10),
    "gan-digits": _small_gan(lambda: load_images("digits", "train"), None),
    "cgan-100-labels-digits": _small_gan(lambda: digits_with_labels(100), 11),
    "ddpm-mnist": Recipe(
        unet_diffusion,
        {"shape": [1, 28, 28], "num_classes": 10},
        mnist_for_training,
        digit_scores,
        20000,
        64,
        2e-3,
        rounds=2,
        clip=1.0,
    ),
    "ddpm-4-steps-mnist": Recipe(
        unet_diffusion,
        {"shape": [1, 28, 28], "num_classes": 10, "sampler": "ddim", "steps": 4},
        mnist_for_training,
        digit_scores,
        2500,
        64,
        5e-4,
        clip=1.0,
        objectives=distillation_objective("ddpm-mnist", 3, 1.15),
    ),
    "scene-reader": Recipe(
        SceneReader,
        {},
        lambda: EndlessScenes(scenes.reading, combinations="all"),
        reader_scores,
        4000,
        64,
        2e-3,
        weight_decay=0.05,
    ),
    "kl-autoencoder-scenes": _kl_autoencoder(4, 4),
    "kl-autoencoder-f8-scenes": _kl_autoencoder(8, 4),
    "ldm-scenes": Recipe(
        scene_diffusion,
        {"sampler": "dpm-solver++", "steps": 10, "guidance": 2.0},
        lambda: encoded_scenes(load_pretrained("kl-autoencoder-scenes"), 100_000),
        scene_scores,
        15000,
        64,
        1e-3,
        clip=1.0,
        objectives=latent_objective("kl-autoencoder-scenes"),
        # A second, shorter round on other scenes, one colour in ten unsaid, so that such prompts can be understood.
        rounds=2,
        later={
            "data": lambda: encoded_scenes(
                load_pretrained("kl-autoencoder-scenes"), 100_000, seed=1, unsaid=0.1
            ),
            "steps": 6000,
            "lr": 5e-4,
        },
    ),
}


def train_recipe(
    name: str,
    *,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    steps: int | None = None,
) -> tuple[nn.Module, dict[str, Any], dict[str, float]]:
    """Train the model of a recipe from nothing; returns it, in eval mode, how it was trained, and its scores.

    Args:
        name: a key of RECIPES.
        device: by default `pick_device()`.
        checkpoint: a file to resume from where it exists (see `training.fit`); later rounds have files of their own,
            see `checkpoints`.
        steps: another number of steps in a round than the recipe's, for a trial.
    """
    check_choice(tuple(RECIPES), name=name)
    recipe = RECIPES[name]
    rounds = [recipe] + [replace(recipe, **recipe.later)] * (recipe.rounds - 1)
    if steps is not None:
        check_at_least(1, steps=steps)
        rounds = [replace(each, steps=steps) for each in rounds]
    training: dict[str, Any] = {"recipe": name} | {key: getattr(rounds[0], key) for key in _SETTINGS}
    if changed := {key: getattr(rounds[-1], key) for key in _SETTINGS if key in recipe.later}:
        training["later"] = changed
    files: list[Path] | list[None]
    files = [None] * recipe.rounds if checkpoint is None else checkpoints(checkpoint, recipe.rounds)
    for before, file in pairwise(files):
        if before is not None and file is not None and file.exists() and not before.exists():
            raise ValueError(f"checkpoint {file} is there without {before}, on which it is built; remove it")
    with seeded(recipe.seed):
        model = recipe.model(**recipe.arguments)
    for turn, (now, file) in enumerate(zip(rounds, files, strict=True)):
        images, objectives = now.data(), now.objectives(model, now)
        seed = recipe.seed + turn
        shuffle = torch.Generator().manual_seed(seed)
        for _ in fit(
            objectives,
            batches(images, now.batch_size, now.steps, generator=shuffle),
            seed=seed,
            clip=now.clip,
            device=device,
            checkpoint=file,
            run=training | {"round": turn + 1},
        ):
            pass
        average = objectives[-1].ema
        assert average is not None
        model = average.module.eval()
    recipe.finish(model, images)
    return model, training, recipe.score(model)


def checkpoints(checkpoint: str | Path, rounds: int) -> list[Path]:
    """The file of each round: `X`, `X.2`, `X.3`, …"""
    first = Path(checkpoint)
    return [first if turn == 0 else first.with_name(f"{first.name}.{turn + 1}") for turn in range(rounds)]
