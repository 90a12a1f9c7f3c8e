"""The models that the course ships: the recipe of each, and how weights are written and read.

A model is two files: `NAME.safetensors`, the weights, and `NAME.json`, its card (recipe, constructor's arguments,
seed, digest, scores).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch as safe
import torch
from torch import nn

from course_utils import __version__
from course_utils.autoencoders import Autoencoder, DenoisingAutoencoder, corrupt, squared_error
from course_utils.data import CHECKOUT, Images, batches, load_images, mnist_for_training, pick_device
from course_utils.nets import Classifier, over_batches, seeded
from course_utils.train import Objective, exponential_average, fit, warmup_cosine

CARD_VERSION = 1
_SETTINGS = ("steps", "batch_size", "lr", "weight_decay", "ema", "seed")


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        model: its class, and `arguments` for the constructor.
        data: gives the images to train on.
        score: the finished model's scores on images that it has not seen.
        finish: what is done after training, with the model and the training images.
    """

    model: Callable[..., Any]
    arguments: dict[str, Any]
    data: Callable[[], Images]
    score: Callable[[Any], dict[str, float]]
    steps: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    ema: float = 0.999
    seed: int = 0
    finish: Callable[[Any, Images], None] = field(default=lambda model, images: None)


def classifier_scores(model: Classifier) -> dict[str, float]:
    """Share of the test digits that it reads right."""
    scores = {}
    for name in ("mnist", "digits"):
        images = load_images(name, "test")
        right = over_batches(model, images.x).argmax(dim=1) == images.y
        scores[f"accuracy on {name} test"] = right.double().mean().item()
    return scores


def reconstruction_scores(model: Autoencoder) -> dict[str, float]:
    """‖x̂ - x‖² an image on MNIST's test set; from a corrupted image for a denoising autoencoder."""
    x = load_images("mnist", "test").x.to(next(model.parameters()).device)
    scores = {"squared error on mnist test": squared_error(over_batches(model, x), x).mean().item()}
    if isinstance(model, DenoisingAutoencoder):
        x_tilde = corrupt(x, model.kind, model.level, generator=torch.Generator(x.device).manual_seed(0))
        name = f"squared error on mnist test, from {model.kind} {model.level}"
        scores[name] = squared_error(over_batches(model, x_tilde), x).mean().item()
    return scores


def fit_codes(model: Autoencoder, images: Images) -> None:
    """Note the distribution of the codes in the model, so that `sample` can draw from it."""
    model.fit_codes(images.x.to(next(model.parameters()).device))


def _autoencoder(model: type[Autoencoder], **arguments: Any) -> Recipe:
    return Recipe(
        model, arguments, mnist_for_training, reconstruction_scores, 8000, 256, 2e-3, finish=fit_codes
    )


RECIPES = {
    "classifier-mnist": Recipe(
        Classifier, {}, mnist_for_training, classifier_scores, 5000, 200, 3e-3, weight_decay=0.05
    ),
    "autoencoder-mnist": _autoencoder(Autoencoder, latent_dim=16),
    "autoencoder-2d-mnist": _autoencoder(Autoencoder, latent_dim=2, code_penalty=0.5),
    "denoising-autoencoder-mnist": _autoencoder(
        DenoisingAutoencoder, latent_dim=16, kind="gaussian", level=1.0
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
        checkpoint: a file to resume from where it exists (see `train.fit`).
        steps: another number of steps than the recipe's, for a trial.
    """
    recipe = _recipe(name)
    images = recipe.data()
    with seeded(recipe.seed):
        model = recipe.model(**recipe.arguments)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    ema = exponential_average(model, recipe.ema)
    objective = Objective(model, model.loss, optimizer, schedule=warmup_cosine, ema=ema)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    steps = steps or recipe.steps
    for _ in fit(
        objective,
        batches(images, recipe.batch_size, steps, generator=shuffle),
        seed=recipe.seed,
        device=device,
        checkpoint=checkpoint,
    ):
        pass
    trained = ema.module.eval()
    recipe.finish(trained, images)
    return trained, recipe.score(trained) | {"steps": steps}


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
