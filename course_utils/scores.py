"""How good a shipped model is: scores on images that it has not seen, by their names, for its card."""

from __future__ import annotations

import math
from typing import Any

import torch

from course_utils import metrics
from course_utils.autoencoders import (
    VAE,
    Autoencoder,
    DenoisingAutoencoder,
    KLAutoencoder,
    binarise,
    corrupt,
    squared_error,
)
from course_utils.data import load_images, scenes
from course_utils.features import feature_extractor
from course_utils.latent import LatentDiffusion
from course_utils.nets import Classifier, SceneReader, over_batches
from course_utils.pretrained import load_pretrained


def classifier_scores(model: Classifier) -> dict[str, float]:
    """Share of the test digits that it reads right."""
    scores = {}
    for name in ("mnist", "digits"):
        images = load_images(name, "test")
        right = over_batches(model, images.x).argmax(dim=1).cpu() == images.y
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
    # The order of MNIST's test set is none of chance: `classifier-mnist` misreads 36 digits of its first half and 19
    # of its second. So a part is drawn from all of it.
    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:2000].to(place)
    with torch.no_grad():
        parts = [model.elbo(part, generator=draw) for part in black_white.split(1000)]
        bounds = [model.iwae_bound(part, 100, generator=draw) for part in black_white[chosen].split(500)]
    scores = {
        "ELBO on binarised mnist test, nats": torch.cat([part.total for part in parts]).mean().item(),
        "of it KL, nats": torch.cat([part.kl for part in parts]).mean().item(),
        "log p(x) on 2,000 of them, 100 importance samples, nats": torch.cat(bounds).mean().item(),
    }
    return scores | reconstruction_scores(model) | digit_scores(model)


def digit_scores(model: Any, against: str = "mnist", n: int = 10_000) -> dict[str, float]:
    """What the shipped classifier sees in n images that the model draws, against the test set of `mnist` or `digits`.

    A model with classes is asked for those of n training images. In MNIST ones are more frequent than fives; as many
    images of each class would be another distribution to FID. The first 10,000 training images of MNIST themselves
    reach an FID of 0.037, the first 1,000 of `digits` 0.24.
    """
    place = next(model.parameters()).device
    extract, real = feature_extractor("digits", place), load_images(against, "test").x
    y = load_images(against, "train").y[:n].to(place) if getattr(model, "num_classes", None) else None
    draw = torch.Generator(place).manual_seed(0)
    with torch.no_grad():
        parts = [model.sample(500, None if y is None else y[i : i + 500], generator=draw)
                 for i in range(0, n, 500)]  # fmt: skip
    fake, known = extract(torch.cat(parts)), extract(real).features
    assert fake.probs is not None
    confidence, read = (part.cpu() for part in fake.probs.max(dim=1))
    precision, recall = metrics.precision_recall(real=known, fake=fake.features)
    scores = {
        f"digit FID to {against} test": metrics.fid(real=known, fake=fake.features),
        "precision": precision,
        "recall": recall,
        "read with more than 90 % confidence": (confidence > 0.9).double().mean().item(),
    }
    if y is not None:
        scores["read as the class asked for"] = (read == y.cpu()).double().mean().item()
    return scores


def reader_scores(model: SceneReader) -> dict[str, float]:
    """The share of 10,000 new scenes whose facts it reads right."""
    facts = scenes.sample_attributes(10_000, generator=torch.Generator().manual_seed(1))
    read = over_batches(model.read, scenes.render(facts).to(next(model.parameters()).device)).cpu()
    right = scenes.agreement(read, scenes.reading(facts))
    return {f"{name} read right": share.double().mean().item() for name, share in right.items()}


def scene_reconstruction_scores(model: KLAutoencoder) -> dict[str, float]:
    """How much of 2,000 new scenes comes through the codes."""
    reader = load_pretrained("scene-reader", next(model.parameters()).device)
    images = load_images("scenes", "test")
    x_hat = over_batches(model, images.x.to(next(model.parameters()).device), 200)
    mse = (x_hat.cpu() - images.x).square().mean().item()
    read = over_batches(reader.read, x_hat.clamp(-1, 1), 200).cpu()
    right = scenes.agreement(read, scenes.reading(images.attributes))
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
