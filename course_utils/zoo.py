"""The models that the course ships: the recipe of each, and how weights are written and read.

A model is two files: `NAME.safetensors`, the weights, and `NAME.json`, its card (recipe, constructor's arguments,
seed, digest, scores).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch as safe
import torch
from torch import Tensor, nn

from course_utils import __version__, metrics, scenes
from course_utils.autoencoders import (
    VAE,
    Autoencoder,
    DenoisingAutoencoder,
    KLAutoencoder,
    binarise,
    corrupt,
    perceptual_distance,
    squared_error,
)
from course_utils.data import (
    CHECKOUT,
    EndlessScenes,
    Images,
    batches,
    load_images,
    mnist_for_training,
    pick_device,
)
from course_utils.diffusion import DDPM, distillation_loss, unet_ddpm
from course_utils.gan import GAN, Discriminator, Generator
from course_utils.latent import LatentDiffusion, encoded_scenes, scene_diffusion
from course_utils.nets import Classifier, SceneReader, over_batches, seeded
from course_utils.train import Objective, exponential_average, fit, warmup_cosine

CARD_VERSION = 1
_SETTINGS = ("steps", "rounds", "batch_size", "lr", "weight_decay", "clip", "ema", "seed")


def alone(model: Any, recipe: Recipe) -> list[Objective]:
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
        players: the objectives to train; the last one's `ema` is the model that is kept.
        rounds: how many trainings of so many steps follow each other. Each begins with the averaged weights of the one
            before, and the learning rate rises and falls anew (Loshchilov and Hutter, "SGDR", 2017).
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
    seed: int = 0
    clip: float | None = None
    players: Callable[[Any, Recipe], list[Objective]] = alone
    finish: Callable[[Any, Any], None] = field(default=lambda model, images: None)


def adversaries(model: Generator, recipe: Recipe) -> list[Objective]:
    """A generator, and a discriminator of the same size that is not kept; non-saturating loss with R1, γ = 1."""
    with seeded(recipe.seed + 1):
        discriminator = Discriminator(classes=model.classes)
    game = GAN(model, discriminator, r1=1.0)

    def adam(player: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(player.parameters(), lr=recipe.lr, betas=(0.0, 0.99))

    judge, average = adam(discriminator), exponential_average(model, recipe.ema)
    return [
        Objective(discriminator, game.discriminator_loss, judge, "discriminator", warmup_cosine),
        Objective(model, game.generator_loss, adam(model), "generator", warmup_cosine, average),
    ]


def student_of(teacher: str, substeps: int, guidance: float) -> Callable[[DDPM, Recipe], list[Objective]]:
    """A DDPM that begins as a copy of the shipped one `teacher` and learns to do several of its steps in one."""

    def player(model: DDPM, recipe: Recipe) -> list[Objective]:
        known = load_pretrained(teacher, "cpu")
        model.load_state_dict(known.state_dict())

        def loss(x: Tensor, y: Tensor, *, generator: torch.Generator) -> Tensor:
            return distillation_loss(
                model, known.to(x.device), x, y, substeps=substeps, guidance=guidance, generator=generator
            )

        return [replace(objective, loss=loss) for objective in alone(model, recipe)]

    return player


def with_eye(eye: str, weight: float) -> Callable[[KLAutoencoder, Recipe], list[Objective]]:
    """A KLAutoencoder whose images are also compared through the eyes of the shipped reader `eye`."""

    def player(model: KLAutoencoder, recipe: Recipe) -> list[Objective]:
        reader = load_pretrained(eye, "cpu").requires_grad_(False)

        def distance(x_hat: Tensor, x: Tensor) -> Tensor:
            return weight * perceptual_distance(lambda x: reader.feature_maps(x)[:3], x_hat, x)

        def loss(x: Tensor, y: Tensor, *, generator: torch.Generator) -> Tensor:
            reader.to(x.device)
            return model.loss(x, perceptual=distance, generator=generator)

        return [replace(objective, loss=loss) for objective in alone(model, recipe)]

    return player


def behind(codec: str) -> Callable[[LatentDiffusion, Recipe], list[Objective]]:
    """A latent diffusion model over the codes of the shipped autoencoder `codec`, which is part of it from then on.

    The training images are codes already, see `latent.encoded_scenes`.
    """

    def player(model: LatentDiffusion, recipe: Recipe) -> list[Objective]:
        model.codec.load_state_dict(load_pretrained(codec, "cpu").state_dict())
        return [replace(objective, loss=model.ddpm.loss) for objective in alone(model, recipe)]

    return player


def fit_scale(model: KLAutoencoder, images: EndlessScenes) -> None:
    """Note the scale of the codes in the model, so that they come out with variance 1."""
    model.fit_scale(load_images("scenes", "train").x.to(next(model.parameters()).device))


def reader_scores(model: SceneReader) -> dict[str, float]:
    """The share of 10,000 new scenes whose facts it reads right."""
    facts = scenes.sample_attributes(10_000, generator=torch.Generator().manual_seed(1))
    read = over_batches(model.read, scenes.draw(facts).to(next(model.parameters()).device)).cpu()
    right = scenes.agreement(read, scenes.reading(facts))
    return {f"{name} read right": share.double().mean().item() for name, share in right.items()}


def scene_reconstruction_scores(model: KLAutoencoder) -> dict[str, float]:
    """How much of 2,000 new scenes comes through the codes."""
    reader = load_pretrained("scene-reader", next(model.parameters()).device)
    images = load_images("scenes", "test")
    x_hat = over_batches(model, images.x.to(next(model.parameters()).device), 200)
    mse = (x_hat.cpu() - images.x).square().mean().item()
    right = scenes.agreement(over_batches(reader.read, x_hat, 200).cpu(), scenes.reading(images.attributes))
    return {
        "mean squared error": mse,
        "PSNR, dB": 10 * math.log10(4 / mse),
        "all facts read right": right["all"].double().mean().item(),
    }


def scene_scores(model: LatentDiffusion) -> dict[str, float]:
    """The share of 500 prompts of each kind that are fulfilled in all facts, with the model's own sampler."""
    place = next(model.parameters()).device
    reader, draw = load_pretrained("scene-reader", place), torch.Generator(place).manual_seed(0)
    scores = {}
    for combinations in ("seen", "unseen"):
        generator = torch.Generator().manual_seed(2)
        facts = scenes.sample_attributes(1500, generator=generator, combinations=combinations)
        for objects, chosen in (("one object", facts["place"] >= 0), ("two objects", facts["place"] < 0)):
            where = chosen.nonzero()[:500, 0]
            asked = {name: value[where] for name, value in facts.items()}
            y = model.tokenize(scenes.captions(asked)).to(place)
            x = torch.cat([model.sample(len(part), part, generator=draw) for part in y.split(100)])
            right = scenes.agreement(over_batches(reader.read, x, 100).cpu(), scenes.reading(asked))
            for name, share in right.items():
                scores[f"{objects}, {combinations}, {name} right"] = share.double().mean().item()
    return scores


def classifier_scores(model: Classifier) -> dict[str, float]:
    """Share of the test digits that it reads right."""
    scores = {}
    for name in ("mnist", "digits"):
        images = load_images(name, "test")
        right = over_batches(model, images.x).argmax(dim=1) == images.y
        scores[f"accuracy on {name} test"] = right.double().mean().item()
    return scores


def reconstruction_scores(model: Autoencoder | VAE) -> dict[str, float]:
    """‖x̂ - x‖² an image on MNIST's test set; from a corrupted image for a denoising autoencoder."""
    x = load_images("mnist", "test").x.to(next(model.parameters()).device)
    scores = {"squared error on mnist test": squared_error(over_batches(model, x), x).mean().item()}
    if isinstance(model, DenoisingAutoencoder):
        x_tilde = corrupt(x, model.kind, model.level, generator=torch.Generator(x.device).manual_seed(0))
        name = f"squared error on mnist test, from {model.kind} {model.level}"
        scores[name] = squared_error(over_batches(model, x_tilde), x).mean().item()
    return scores


def vae_scores(model: VAE) -> dict[str, float]:
    """Bounds on log p(x) of MNIST's test set, binarised as in the literature, and what codes of the prior give."""
    place = next(model.parameters()).device
    x = load_images("mnist", "test").x
    draw = torch.Generator(place).manual_seed(0)
    black_white = binarise(x, generator=torch.Generator().manual_seed(0)).to(place)
    with torch.inference_mode():
        parts = [model.elbo(part, generator=draw) for part in black_white.split(1000)]
        bounds = [model.log_prob(part, 100, generator=draw) for part in black_white[:2000].split(500)]
    scores = {
        "ELBO on binarised mnist test, nats": torch.cat([part.total for part in parts]).mean().item(),
        "of it KL, nats": torch.cat([part.kl for part in parts]).mean().item(),
        "log p(x) on 2,000 of them, 100 importance samples, nats": torch.cat(bounds).mean().item(),
    }
    return scores | reconstruction_scores(model) | digit_scores(model)


def digit_scores(model: Any) -> dict[str, float]:
    """What the shipped classifier sees in 10,000 images that the model draws, against MNIST's test set.

    A model with classes is asked for those of 10,000 training images. There, and in the test set, ones are more
    frequent than fives; as many images of each class would be another distribution to FID. Those 10,000 training
    images themselves reach an FID of 0.037.
    """
    place = next(model.parameters()).device
    eye, real = load_pretrained("classifier-mnist", place), load_images("mnist", "test").x.to(place)
    y = load_images("mnist", "train").y[:10_000].to(place) if getattr(model, "classes", None) else None
    draw = torch.Generator(place).manual_seed(0)
    with torch.inference_mode():
        parts = [model.sample(500, None if y is None else y[i : i + 500], generator=draw)
                 for i in range(0, 10_000, 500)]  # fmt: skip
    fake = torch.cat(parts)
    seen, known = over_batches(eye.features, fake), over_batches(eye.features, real)
    confidence, read = over_batches(eye.head, seen).softmax(dim=1).max(dim=1)
    precision, recall = metrics.precision_recall(real=known, fake=seen)
    scores = {
        "digit FID to mnist test": metrics.fid(real=known, fake=seen),
        "precision": precision,
        "recall": recall,
        "read with more than 90 % confidence": (confidence > 0.9).double().mean().item(),
    }
    if y is not None:
        scores["read as the class asked for"] = (read == y).double().mean().item()
    return scores


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
        players=with_eye("scene-reader", 100.0), finish=fit_scale,
    )  # fmt: skip


def _gan(lr: float, **arguments: Any) -> Recipe:
    return Recipe(Generator, arguments, mnist_for_training, digit_scores, 4000, 64, lr, players=adversaries)


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
    "cgan-mnist": _gan(1e-3, classes=10),
    "ddpm-mnist": Recipe(
        unet_ddpm,
        {"shape": [1, 28, 28], "classes": 10},
        mnist_for_training,
        digit_scores,
        20000,
        64,
        2e-3,
        rounds=2,
        clip=1.0,
    ),
    "ddpm-4-steps-mnist": Recipe(
        unet_ddpm,
        {"shape": [1, 28, 28], "classes": 10, "sampler": "ddim", "steps": 4},
        mnist_for_training,
        digit_scores,
        2500,
        64,
        5e-4,
        clip=1.0,
        players=student_of("ddpm-mnist", 3, 1.15),
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
        players=behind("kl-autoencoder-scenes"),
    ),
}


def train_recipe(
    name: str,
    *,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    steps: int | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """Train the model of a recipe from nothing; returns it, in eval mode, and its scores.

    Args:
        name: a key of RECIPES.
        device: by default `pick_device()`.
        checkpoint: a file to resume from where it exists (see `train.fit`); later rounds add their number to its name.
        steps: another number of steps in a round than the recipe's, for a trial.
    """
    recipe = _recipe(name)
    images = recipe.data()
    with seeded(recipe.seed):
        model = recipe.model(**recipe.arguments)
    steps = steps or recipe.steps
    for turn in range(recipe.rounds):
        objectives = recipe.players(model, recipe)
        seed = recipe.seed + turn
        shuffle = torch.Generator().manual_seed(seed)
        for _ in fit(
            objectives,
            batches(images, recipe.batch_size, steps, generator=shuffle),
            seed=seed,
            clip=recipe.clip,
            device=device,
            checkpoint=f"{checkpoint}.{turn + 1}" if checkpoint and turn else checkpoint,
        ):
            pass
        average = objectives[-1].ema
        assert average is not None
        model = average.module.eval()
    recipe.finish(model, images)
    return model, recipe.score(model) | {"steps": steps}


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise ValueError(f"name={name!r} is no recipe; allowed: {', '.join(RECIPES)}")
    return RECIPES[name]


# ---------------------------------------------------------------------------------- save and load weights


def save_pretrained(model: nn.Module, path: str | Path, *, recipe: str, scores: dict[str, float]) -> Path:
    """Write a model's weights and card; an older pair of the same name is replaced.

    Args:
        path: where to, without suffix: `runs/autoencoder-mnist` gives .safetensors and .json.
        recipe: the key of RECIPES that the model was made by.
        scores: what was measured on it.

    Returns:
        The path of the weights.
    """
    made_by, path = _recipe(recipe), Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = safe.save({k: v.cpu().contiguous() for k, v in model.state_dict().items()})
    card = {
        "version": CARD_VERSION,
        "recipe": recipe,
        "arguments": made_by.arguments,
        "training": {key: getattr(made_by, key) for key in _SETTINGS},
        "scores": scores,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "made_with": {
            "course_utils": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    for suffix, content in ((".safetensors", weights), (".json", text.encode())):
        scratch = path.with_name(f".{path.name}{suffix}.part")
        scratch.write_bytes(content)
        os.replace(scratch, path.with_name(path.name + suffix))
    return path.with_name(path.name + ".safetensors")


def load_pretrained(name: str | Path, device: str | torch.device | None = None) -> Any:
    """Load a model that the course ships, or one of your own, ready to use (eval mode).

    Args:
        name: `autoencoder-mnist` and the like, or the path that was given to `save_pretrained`.
        device: by default `pick_device()`.

    Raises:
        FileNotFoundError: no such model, or one of its two files is missing.
        OSError: the weights are not the ones that the card describes.
        ValueError: the card is of a newer version of the course, or not a card.
    """
    path = _find(name)
    card = read_card(path)
    weights = path.with_name(path.name + ".safetensors").read_bytes()
    if hashlib.sha256(weights).hexdigest() != card["sha256"]:
        raise OSError(
            f"{path}.safetensors is damaged: its SHA-256 is not the one in {path.name}.json. "
            f"Nothing was loaded; restore the file ({_RESTORE})"
        )
    model = _recipe(card["recipe"]).model(**card["arguments"])
    model.load_state_dict(safe.load(weights))
    return model.to(pick_device(device)).eval()


_RESTORE = "git checkout, or install the course again; a model of your own: train it again"


def read_card(name: str | Path) -> dict[str, Any]:
    """The card of a model as `save_pretrained` wrote it; raises as `load_pretrained`."""
    path = _find(name)
    file = path.with_name(path.name + ".json")
    try:
        card = json.loads(file.read_text())
        version = card["version"]
        if version <= CARD_VERSION:
            card["recipe"], card["arguments"], card["sha256"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as reason:
        raise ValueError(f"{file} is no card of the course ({reason!r}); restore it ({_RESTORE})") from reason
    if version > CARD_VERSION:
        raise ValueError(
            f"{file} has version {version}, this course_utils ({__version__}) reads up to {CARD_VERSION}; "
            "update the course (git pull, or pip install --upgrade course-utils)"
        )
    return card


def shipped_models() -> list[str]:
    """The names of the models that lie ready on this machine."""
    return sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.json")})


_FOLDERS = (CHECKOUT / "data" / "models", Path(__file__).parent / "models")  # in a checkout; where installed


def _find(name: str | Path) -> Path:
    """The path of a model without suffix; both of its files are there."""
    given = Path(str(name).removesuffix(".safetensors").removesuffix(".json"))
    places = [given] if given.parent != Path() else [folder / given for folder in _FOLDERS]
    for path in places:
        there = [path.with_name(path.name + suffix).exists() for suffix in (".safetensors", ".json")]
        if all(there):
            return path
        if any(there):
            missing = path.with_name(path.name + (".json" if there[0] else ".safetensors"))
            raise FileNotFoundError(f"{missing} is missing beside its other half; restore it ({_RESTORE})")
    raise FileNotFoundError(
        f"no model {str(name)!r} ({places[0]}.safetensors is not there); "
        f"shipped are: {', '.join(shipped_models())}. "
        "A model of your own is named by its path, with a folder: runs/NAME"
    )
