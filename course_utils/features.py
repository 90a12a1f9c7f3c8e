"""From images to features: the networks by whose features the metrics judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.data import data_root, scenes, to_uint8
from course_utils.files import making, sha256
from course_utils.inputs import check_images, pick_device
from course_utils.nets import over_batches
from course_utils.pretrained import load_pretrained


class Features(NamedTuple):
    """What a network makes of images: features (N, d), and probabilities (N, num_classes) if it is a classifier."""

    features: Tensor
    probs: Tensor | None


def feature_extractor(
    network: str | nn.Module, device: str | torch.device | None = None
) -> Callable[[Tensor], Features]:
    """The function from images (N, C, H, W) in [-1, 1] to a network's features of them, a batch at a time.

    Args:
        network: `digits`, the shipped classifier, for grey 28×28 images, offline (128 features, 10 classes);
            `inception`, the Inception network of the published FID values, for grey or colour images of any size
            (2048 features, 1,008 classes; needs the package torch-fidelity, and a network the first time);
            or a module of your own: from images to features (N, d), or like `nets.Classifier`, from images to
            logits, with a method `features`.
        device: by default `pick_device()`; a module of your own is moved there.

    Raises:
        ValueError: an unknown name; when called: images of another shape, or features that are not (N, d).
        ModuleNotFoundError, ConnectionError: `inception` without torch-fidelity, or without its weights.
        OSError: the weights of `inception` are damaged.
    """
    place = pick_device(device)
    shape: tuple[int | None, ...] = (1, 28, 28) if network == "digits" else (None, None, None)
    if isinstance(network, nn.Module):
        embed = _own(network.to(place).eval())
    elif network == "digits":
        embed = _digits(place)
    elif network == "inception":
        embed = _inception(place)
    else:
        raise ValueError(
            f"network={network!r} is unknown; allowed: digits, inception, or a module of your own"
        )

    @torch.no_grad()
    def extract(x: Tensor) -> Features:
        check_images(x, shape)
        parts = [embed(part.to(place)) for part in x.split(100)]
        features = torch.cat([part.features for part in parts])
        probs = [part.probs for part in parts if part.probs is not None]
        return Features(features, torch.cat(probs) if probs else None)

    return extract


def readability(known: Tensor, real: Tensor) -> Callable[[Tensor | Features], Tensor]:
    """The function from digits (N, 1, 28, 28) in [-1, 1], or from what `feature_extractor("digits")` has made of them,
    to whether each can be read: bool (N,).

    An image is readable if the shipped classifier gives one digit a probability above 95 %, and if in its last
    layer the image lies as close to some of the `known` images as 95 % of the `real` ones do. The second is meant to
    rule out what is not a digit at all: a classifier is sure even about noise.

    known, real: training and test images (N, 1, 28, 28); neither may hold images of the other.
    """
    check_images(known, (1, 28, 28), "known")
    check_images(real, (1, 28, 28), "real")
    extract = feature_extractor("digits", known.device)
    landmarks = extract(known).features

    def distance(features: Tensor) -> Tensor:
        return torch.cdist(features, landmarks).min(dim=1).values

    limit = distance(extract(real).features).quantile(0.95)

    def is_readable(x: Tensor | Features) -> Tensor:
        seen = x if isinstance(x, Features) else extract(x)
        assert seen.probs is not None
        return (seen.probs.max(dim=1).values > 0.95) & (distance(seen.features) <= limit)

    return is_readable


def scene_accuracy(images: Tensor, captions: Sequence[str]) -> dict[str, Tensor]:
    """Which facts of their captions drawn scenes fulfil, as the shipped reader of scenes sees them.

    images: (n, 3, 64, 64) in [-1, 1]; captions: n sentences of the grammar of `scenes`.

    Returns:
        bool (n,) each: `layout`, `ground`, `shape`, `colour`, `size`, `style`, `all`; see `scenes.agreement`.

    Raises:
        ValueError: images of another shape, another number of captions, or a sentence that is no caption.
    """
    check_images(images, (3, 64, 64), "images")
    if len(images) != len(captions):
        raise ValueError(f"captions must be {len(images)}, one an image, not {len(captions)}")
    reader = load_pretrained("scene-reader", images.device)
    read = over_batches(reader.read, images.float(), 200).cpu()
    return scenes.agreement(read, scenes.reading(scenes.parse(captions)))


def _own(network: nn.Module) -> Callable[[Tensor], Features]:
    features: Any = getattr(network, "features", None)

    def embed(x: Tensor) -> Features:
        seen = Features(features(x), network(x).softmax(dim=1)) if features else Features(network(x), None)
        if seen.features.ndim != 2 or len(seen.features) != len(x):
            raise ValueError(
                f"network must give features ({len(x)}, d), one row an image, not {tuple(seen.features.shape)}; "
                "flatten or average them in the module"
            )
        return seen

    return embed


def _digits(place: torch.device) -> Callable[[Tensor], Features]:
    classifier = load_pretrained("classifier-mnist", place)

    def embed(x: Tensor) -> Features:
        features = classifier.features(x.float())
        return Features(features, classifier.head(features).softmax(dim=1))

    return embed


INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


def _inception(place: torch.device) -> Callable[[Tensor], Features]:
    """The network of Heusel et al., 2017, in the form that torch-fidelity has checked against TensorFlow's: it takes
    bytes, and resizes them to 299×299 as TensorFlow 1 did; features and logits (without bias) of its last layer."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as reason:
        raise ModuleNotFoundError("'inception' needs the package: pip install torch-fidelity") from reason
    path = str(_inception_weights())
    layers = ["2048", "logits_unbiased"]
    network = FeatureExtractorInceptionV3("inception", layers, feature_extractor_weights_path=path).to(place)

    def embed(x: Tensor) -> Features:
        if x.shape[1] not in (1, 3):
            raise ValueError(f"x must have 1 or 3 channels, not {x.shape[1]}")
        pixels = torch.from_numpy(to_uint8(x)).movedim(-1, 1).expand(-1, 3, -1, -1)
        features, logits = network(pixels.to(place))
        return Features(features, logits.softmax(dim=1))

    return embed


def _inception_weights() -> Path:
    """The file of weights, downloaded once; its digest is compared each time before it is read."""
    path = data_root() / INCEPTION_URL.rsplit("/", 1)[1]
    if not path.exists():
        try:
            with making(path.parent):
                torch.hub.download_url_to_file(
                    INCEPTION_URL, str(path), hash_prefix=INCEPTION_SHA256, progress=False
                )
        except (OSError, RuntimeError) as reason:
            raise ConnectionError(
                f"the weights of 'inception' are not in {path.parent} and could not be downloaded ({reason}). Connect "
                f"to the internet, or copy {path.name} there (COURSE_DATA names another place). "
                "feature_extractor('digits') needs no network."
            ) from reason
    if sha256(path) != INCEPTION_SHA256:
        raise OSError(f"{path} is damaged (its SHA-256 differs); delete it and try again to download it anew")
    return path
