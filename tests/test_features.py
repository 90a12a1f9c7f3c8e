"""Feature extractors against the networks they stand for, and what they say when something is missing."""

import hashlib
from pathlib import Path

import pytest
import torch
from shipped import digits, shipped
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from course_utils import features, metrics
from course_utils.data import resize, scenes, to_uint8
from course_utils.features import feature_extractor, readability, scene_accuracy
from course_utils.nets import Classifier


def images(n: int, channels: int = 1, size: int = 28) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(n)) * 2 - 1


def test_digits_are_seen_by_the_shipped_classifier():
    x, classifier = digits("test").x[:230], shipped("classifier-mnist")
    seen = feature_extractor("digits", "cpu")(x)
    with torch.no_grad():
        torch.testing.assert_close(seen.features, classifier.features(x))
        torch.testing.assert_close(seen.probs, classifier(x).softmax(dim=1))
    assert seen.features.shape == (230, 128)


def test_a_classifier_of_ones_own_gives_features_and_probabilities(device: torch.device):
    x, own = images(5, channels=3, size=16), Classifier(4, in_channels=3).train()
    seen = feature_extractor(own, device)(x)
    assert seen.features.device.type == device.type
    with torch.no_grad():
        expected = own.eval().cpu()(x).softmax(dim=1)
    torch.testing.assert_close(seen.probs.cpu(), expected, rtol=1e-4, atol=1e-5)


def test_readable_are_real_digits_and_neither_noise_nor_one_digit_over_another():
    known, test = digits("train").x, digits("test").x
    is_readable = readability(known, test)
    share = {
        "real": is_readable(test),
        "noise": is_readable(images(200)),
        "black": is_readable(torch.full((5, 1, 28, 28), -1.0)),
        "mixed": is_readable(torch.maximum(test, test.roll(1, dims=0))),  # its neighbour is of another class
    }
    assert all(readable.dtype == torch.bool for readable in share.values())
    # 95 % lie close enough by definition; some of those are read with less than 95 % belief.
    assert 0.9 < share["real"].double().mean() <= 0.95
    assert not share["noise"].any()
    assert not share["black"].any()
    assert share["mixed"].double().mean() < 0.3
    assert is_readable(known).double().mean() > 0.95  # their own nearest neighbours, at distance 0
    assert torch.equal(is_readable(feature_extractor("digits", "cpu")(test)), share["real"])


def test_any_module_gives_features_without_probabilities():
    seen = feature_extractor(nn.Flatten(), "cpu")(images(3))
    assert torch.equal(seen.features, images(3).flatten(1))
    assert seen.probs is None


@pytest.mark.parametrize(
    ("network", "x", "message"),
    [
        ("digits", images(2, channels=3), "(N, 1, 28, 28)"),
        ("digits", images(2, size=32), "(N, 1, 28, 28)"),
        ("digits", torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "float"),
        ("digits", torch.zeros(28, 28), "shape"),
        (nn.Identity(), images(2), "(2, d)"),
    ],
)
def test_what_cannot_be_seen_is_refused(network: str | nn.Module, x: Tensor, message: str):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        feature_extractor(network, "cpu")(x)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="digits, inception"):
        feature_extractor("resnet", "cpu")


# ------------------------------------------------------------------------------------------- Inception


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FeatureExtractorInceptionV3]:
    """A file with random weights in the format of the published ones, and torch-fidelity's network with them."""
    path = tmp_path_factory.mktemp("weights") / features.INCEPTION_URL.rsplit("/", 1)[1]
    layers = ["2048", "logits_unbiased"]
    with pytest.MonkeyPatch.context() as patch:  # the constructor insists on loading something
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        patch.setattr(
            "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {}
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = FeatureExtractorInceptionV3("reference", layers)
            for weight in network.parameters():
                if weight.ndim == 4:  # so that features neither vanish nor explode
                    nn.init.kaiming_normal_(weight, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return path, network


@pytest.fixture
def installed(reference: tuple[Path, FeatureExtractorInceptionV3], monkeypatch: pytest.MonkeyPatch) -> Path:
    path = reference[0]
    monkeypatch.setenv("COURSE_DATA", str(path.parent))
    monkeypatch.setattr(features, "INCEPTION_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_inception_sees_what_torch_fidelity_sees(
    installed: Path, reference: tuple[Path, FeatureExtractorInceptionV3]
):
    x = images(3, channels=3, size=32)
    seen = feature_extractor("inception", "cpu")(x)
    expected, logits = reference[1](torch.from_numpy(to_uint8(x)).movedim(-1, 1))
    assert seen.features.shape == (3, 2048)
    torch.testing.assert_close(seen.features, expected)
    torch.testing.assert_close(seen.probs, logits.softmax(dim=1))
    assert seen.features.std(dim=0).mean() > 1e-3, "the random network must tell the images apart"


def test_inception_resizes_as_tensorflow_did_and_not_as_we_do(installed: Path):
    see, x = feature_extractor("inception", "cpu"), images(2, channels=3, size=40)
    theirs, ours = see(x).features, see(resize(x, 299)).features
    assert (theirs - ours).abs().mean() > 1e-3 * theirs.abs().mean()


def test_inception_takes_grey_images_as_grey_colour_ones(installed: Path):
    see, x = feature_extractor("inception", "cpu"), images(2)
    torch.testing.assert_close(see(x).features, see(x.expand(-1, 3, -1, -1)).features)
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        see(images(2, channels=2))


def test_damaged_weights_are_not_read(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    damaged = bytearray(installed.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / installed.name).write_bytes(damaged)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(OSError, match=r"is damaged.*delete it"):
        feature_extractor("inception", "cpu")


def test_without_a_network_it_says_where_to_put_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(features, "INCEPTION_URL", "http://127.0.0.1:9/weights.pth")  # nothing listens there
    with pytest.raises(ConnectionError, match=r"weights\.pth there.*digits"):
        feature_extractor("inception", "cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_not_the_weights_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "weights.pth").write_bytes(b"a page that asks you to log in")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(features, "INCEPTION_URL", (tmp_path / "served" / "weights.pth").as_uri())
    with pytest.raises(ConnectionError, match="could not be downloaded"):
        feature_extractor("inception", "cpu")
    assert not (tmp_path / "data").exists()


def test_scene_accuracy_names_the_facts_that_the_image_lacks():
    drawn = [
        "a red star left of a small blue circle on white",
        "an outlined green cross at the top on purple",
    ]
    told = [
        "a red star left of a small blue square on white",
        "an outlined green cross at the bottom on yellow",
    ]
    x = scenes.render(scenes.parse(drawn))
    assert scene_accuracy(x, drawn)["all"].all()
    right = scene_accuracy(x, told)
    wrong = [{name for name, fulfilled in right.items() if not fulfilled[i]} for i in range(2)]
    assert wrong == [{"shape", "all"}, {"layout", "ground", "all"}]


def test_scene_accuracy_refuses_what_does_not_belong_together():
    x = scenes.render(scenes.parse(["a red star at the left on white"]))
    with pytest.raises(ValueError, match="captions must be 1, one an image, not 2"):
        scene_accuracy(x, ["a red star at the left on white"] * 2)
    with pytest.raises(ValueError, match="is no caption"):
        scene_accuracy(x, ["a red star"])
    with pytest.raises(ValueError, match="shape"):
        scene_accuracy(x[:, :, :32, :32], ["a red star at the left on white"])


# ------------------------------------------------------------------------------------ ranges, linear probes


@pytest.mark.parametrize("network", ["digits", "own"])
def test_images_in_another_range_are_refused(network: str) -> None:
    extract = feature_extractor(nn.Flatten() if network == "own" else network, "cpu")
    x = digits("test").x[:200]
    for wrong, message in (
        ((x + 1) * 127.5, "0 … 255"),
        ((x + 1) / 2, "nothing below 0"),
        (x * float("nan"), "nan"),
    ):
        with pytest.raises(ValueError, match=rf"{message}.*\[-1, 1\]"):
            extract(wrong)
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        readability(x, (x + 1) * 127.5)
    with pytest.raises(ValueError, match=r"images holds .*\[-1, 1\]"):
        scene_accuracy(
            127.5 * scenes.render(scenes.parse(["a red star at the left on white"])),
            ["a red star at the left on white"],
        )


def test_a_linear_probe_learns_on_features() -> None:
    images = digits("train")[:500]
    seen = feature_extractor("digits", "cpu")(images.x)
    assert seen.probs is not None
    assert not any(part.is_inference() or part.requires_grad for part in seen)
    torch.manual_seed(0)
    probe = nn.Linear(128, 10)
    adam = torch.optim.Adam(probe.parameters(), lr=0.02)
    for _ in range(60):
        adam.zero_grad()
        nn.functional.cross_entropy(probe(seen.features), images.y).backward()
        adam.step()
    assert (probe(seen.features).argmax(dim=1) == images.y).double().mean() > 0.95


def test_the_inception_score_of_digits_does_not_follow_their_order() -> None:
    """The digits go 0, 1, …, 9, 0, 1, …: ten parts of every tenth image would hold one class each and score 1."""
    probs = feature_extractor("digits", "cpu")(digits("test").x).probs
    whole = metrics.inception_score(probs, splits=1).mean
    parts = metrics.inception_score(probs, generator=torch.Generator().manual_seed(0)).mean
    assert whole > 9
    assert parts == pytest.approx(whole, rel=0.08)
