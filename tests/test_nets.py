"""Encoder, decoder, classifier, augmentation: shapes, conventions, closed forms."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils import nets
from course_utils.nets import Classifier, Decoder, Encoder


def seed(number: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(number)


@pytest.fixture(autouse=True)
def _first_weights() -> None:
    torch.manual_seed(0)


class OnlyMeta(TorchDispatchMode):
    """Fails where an operation makes a tensor on a device of flesh and blood."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            assert not isinstance(tensor, Tensor) or tensor.is_meta, (
                f"{func} made a tensor on {tensor.device}"
            )
        return made


def random_images(*shape: int, device: str | torch.device = "cpu") -> Tensor:
    return (torch.rand(*shape, generator=seed()) * 2 - 1).to(device)


# -------------------------------------------------------------------------------------- encoder, decoder


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 12, 28, 64])
def test_encoder_and_decoder_have_the_shapes_told(channels: int, size: int, device: torch.device) -> None:
    x = random_images(2, channels, size, size, device=device)
    z = Encoder(5, channels=channels, size=size).to(device)(x)
    assert z.shape == (2, 5)
    back = Decoder(5, channels=channels, size=size).to(device)(z)
    assert back.shape == x.shape
    assert (z.dtype, back.dtype) == (torch.float32, torch.float32)
    assert z.device == back.device == x.device


def test_the_decoder_stays_within_the_range_of_images() -> None:
    x = Decoder(2)(torch.randn(64, 2, generator=seed()) * 1000)
    assert x.abs().max() <= 1
    assert x.min() < -0.5 < 0.5 < x.max()


@pytest.mark.parametrize("net", [Encoder, Decoder])
@pytest.mark.parametrize("size", [30, 27, 2, 0, -4])
def test_a_size_that_cannot_be_halved_twice_is_refused(net: type[nn.Module], size: int) -> None:
    with pytest.raises(ValueError, match=rf"size={size} .*divisible by 4"):
        net(2, size=size)


@pytest.mark.parametrize(
    "shape", [(2, 3, 28, 28), (2, 1, 28, 32), (2, 1, 32, 32), (1, 28, 28), (28, 28), (2, 784), (5,)], ids=str
)
def test_the_encoder_refuses_other_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, 1, 28, 28), not {shape}")):
        Encoder(2)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (2,), (1, 2, 2), ()], ids=str)
def test_the_decoder_refuses_other_codes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, 2), not {shape}")):
        Decoder(2)(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("net", [Encoder(2), Classifier()], ids=["encoder", "classifier"])
def test_bytes_are_refused_with_advice(net: nn.Module, dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=rf"{dtype}.*to_float"):
        net(torch.zeros(2, 1, 28, 28, dtype=dtype))


def test_check_images_lets_images_pass() -> None:
    nets.check_images(torch.zeros(0, 3, 8, 8, dtype=torch.float64), (3, 8, 8))


@pytest.mark.parametrize("build", [lambda: Encoder(2), lambda: Decoder(2), Classifier])
def test_a_net_follows_the_dtype_it_is_given(build: Callable[[], nn.Module]) -> None:
    net = build().double()
    x = torch.zeros((2, 2) if isinstance(net, Decoder) else (2, 1, 28, 28), dtype=torch.float64)
    assert net(x).dtype == torch.float64


@pytest.mark.parametrize(
    "build", [lambda: Encoder(2, channels=3), lambda: Decoder(2, channels=3), Classifier]
)
def test_convolutions_run_in_channels_last(build: Callable[[], nn.Module]) -> None:
    net = build()
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) >= 3
    laid_out = []
    for convolution in convolutions:
        assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
        convolution.register_forward_hook(
            lambda module, args, made: laid_out.append(made.is_contiguous(memory_format=torch.channels_last))
        )
    net(torch.zeros((2, 2) if isinstance(net, Decoder) else (2, net_channels(net), 28, 28)))
    assert laid_out == [True] * len(convolutions)


def net_channels(net: nn.Module) -> int:
    return next(m for m in net.modules() if isinstance(m, nn.Conv2d)).in_channels


@pytest.mark.parametrize("net", [Encoder(3), Decoder(3), Classifier().eval()], ids=lambda n: type(n).__name__)
def test_an_image_does_not_depend_on_its_batch(net: nn.Module) -> None:
    x = torch.randn((4, 3) if isinstance(net, Decoder) else (4, 1, 28, 28), generator=seed())
    with torch.inference_mode():
        whole = net(x)
        for i in range(4):
            np.testing.assert_allclose(net(x[i : i + 1])[0], whole[i], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_over_batches_gives_what_the_model_gives_at_once(batch_size: int, device: torch.device) -> None:
    net, x = Encoder(2).to(device), random_images(7, 1, 28, 28)
    seen: list[int] = []
    net.register_forward_hook(lambda module, inputs, made: seen.append(len(inputs[0])))
    made = nets.over_batches(net, x, batch_size)
    assert seen == [min(batch_size, 7 - start) for start in range(0, 7, batch_size)]
    assert made.device.type == device.type
    assert not made.requires_grad
    np.testing.assert_allclose(
        made.cpu(), net(x.to(device)).detach().cpu(), atol=1e-2 if device.type != "cpu" else 1e-6
    )


def test_over_batches_takes_any_function() -> None:
    assert nets.over_batches(lambda part: part * 2, torch.arange(5), 2).tolist() == [0, 2, 4, 6, 8]


# ------------------------------------------------------------------------------------------------ seeded


def weights(number: int) -> Tensor:
    with nets.seeded(number):
        return torch.cat([weight.detach().flatten() for weight in Encoder(2).parameters()])


def test_the_seed_alone_decides_the_weights() -> None:
    first = weights(3)
    torch.rand(7)
    assert torch.equal(weights(3), first)
    assert not torch.equal(weights(4), first)


def test_seeded_puts_torch_s_state_back() -> None:
    before = torch.get_rng_state()
    weights(3)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError), nets.seeded(5):
        torch.rand(3).tolist().append(1 // 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_may_be_nested() -> None:
    with nets.seeded(1):
        first, second = torch.rand(2)
    with nets.seeded(1):
        assert torch.rand(1) == first
        with nets.seeded(2):
            torch.rand(5)
        assert torch.rand(1) == second


@pytest.mark.gpu
def test_seeded_leaves_the_accelerator_s_state_alone() -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator on this machine")
    device = torch.accelerator.current_accelerator()
    generator_state = torch.get_device_module(device).get_rng_state
    torch.rand(1, device=device)
    before = generator_state()
    weights(3)
    assert torch.equal(generator_state(), before)


# -------------------------------------------------------------------------------------------- classifier


@pytest.mark.parametrize(("channels", "classes", "size"), [(1, 10, 28), (3, 7, 32), (1, 2, 64)])
def test_the_classifier_has_the_shapes_told(
    channels: int, classes: int, size: int, device: torch.device
) -> None:
    net = Classifier(classes, channels=channels).to(device)
    x = random_images(3, channels, size, size, device=device)
    assert net(x).shape == (3, classes)
    assert net.features(x).shape == (3, Classifier.width) == (3, 128)


def test_the_logits_are_linear_in_the_features() -> None:
    net = Classifier().eval()
    x = random_images(40, 1, 28, 28)
    with torch.inference_mode():
        features, logits = net.features(x).double().numpy(), net(x).double().numpy()
    assert features.std() > 0
    design = np.hstack([net.head.weight.detach().numpy(), net.head.bias.detach().numpy()[:, None]])
    np.testing.assert_allclose(np.hstack([features, np.ones((40, 1))]) @ design.T, logits, atol=1e-4)


def on_a_ground(stroke: Tensor, size: int, top: int, left: int) -> Tensor:
    x = torch.full((1, 1, size, size), -1.0)
    x[..., top : top + len(stroke), left : left + len(stroke)] = stroke
    return x


def test_features_are_a_mean_over_the_image() -> None:
    net, stroke = Classifier().eval(), random_images(8, 8)

    def change(size: int, top: int, left: int) -> Tensor:
        """What a stroke adds to the features of an empty image."""
        with torch.inference_mode():
            drawn, empty = on_a_ground(stroke, size, top, left), torch.full((1, 1, size, size), -1.0)
            return (net.features(drawn) - net.features(empty))[0]

    here = change(64, 28, 24)
    assert here.abs().max() > 1e-4
    np.testing.assert_allclose(change(64, 24, 32), here, atol=1e-5)  # moved by a multiple of the strides
    np.testing.assert_allclose(4 * change(128, 64, 48), here, atol=1e-5)  # on a ground of four times the area


@pytest.mark.parametrize("classes", [2, 10])
def test_the_loss_of_a_guess_is_the_logarithm_of_the_number_of_classes(classes: int) -> None:
    net = Classifier(classes)
    nn.init.zeros_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    loss = net.loss(random_images(6, 1, 28, 28), torch.arange(6) % classes)
    assert loss.item() == pytest.approx(math.log(classes), rel=1e-6)


def test_the_loss_is_that_of_scipy() -> None:
    net = Classifier().eval()
    nn.init.normal_(net.head.weight, std=10, generator=seed(1))
    x, y = random_images(20, 1, 28, 28), torch.arange(20) % 10
    expected = -log_softmax(net(x).detach().double().numpy(), axis=1)[np.arange(20), y].mean()
    assert net.loss(x, y).item() == pytest.approx(expected, rel=1e-5)
    assert net.loss(x, y).shape == ()


def test_a_generator_moves_the_images_of_the_loss() -> None:
    net = Classifier().eval()
    x, y = random_images(8, 1, 28, 28), torch.arange(8)
    plain, moved = net.loss(x, y), net.loss(x, y, generator=seed(1))
    assert moved != plain
    assert net.loss(x, y, generator=seed(1)) == moved
    assert net.loss(x, y, generator=seed(2)) != moved


@pytest.mark.parametrize(
    "shape", [(2, 3, 28, 28), (1, 28, 28), (28, 28), (2, 1, 1, 28, 28), (784,), ()], ids=str
)
def test_the_classifier_refuses_other_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x must have the shape \(N, 1"):
        Classifier()(torch.zeros(shape))


def test_the_classifier_is_small_and_as_large_as_it_says() -> None:
    net = Classifier()
    assert sum(value.numel() * value.element_size() for value in net.state_dict().values()) < 1_000_000
    said = int(re.search(r"([\d,]+) weights for grey digits", Classifier.__doc__)[1].replace(",", ""))
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(said, rel=0.01)


def test_every_weight_of_the_classifier_learns() -> None:
    net = Classifier()
    net.loss(random_images(16, 1, 28, 28), torch.arange(16) % 10).backward()
    for name, weight in net.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name


# ---------------------------------------------------------------------------------------- shift_and_turn

SPOTS = torch.tensor([[0.35, 0.1], [-0.2, 0.3], [-0.1, -0.35]])  # (x, y), one a channel


def spots(n: int, size: int = 64) -> Tensor:
    """A soft spot in each of three channels, so that its centre can be measured: (n, 3, size, size)."""
    line = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    away = (x - SPOTS[:, 0, None, None]) ** 2 + (y - SPOTS[:, 1, None, None]) ** 2
    return (2 * torch.exp(-away / 0.01) - 1).expand(n, -1, -1, -1)


def centres(x: Tensor) -> np.ndarray:
    """Where the spots lie: (n, 3) complex numbers x + iy in [-1, 1]²."""
    weight = (x.double() + 1).numpy()
    size = weight.shape[-1]
    line = (np.arange(size) + 0.5) * 2 / size - 1
    total = weight.sum(axis=(2, 3))
    return (weight.sum(axis=2) @ line + 1j * (weight.sum(axis=3) @ line)) / total


START = SPOTS[:, 0].numpy() + 1j * SPOTS[:, 1].numpy()
STILL = {"degrees": 0.0, "shift": 0.0, "scale": 0.0}


def move(n: int = 400, number: int = 0, **amplitudes: float) -> np.ndarray:
    return centres(nets.shift_and_turn(spots(n), generator=seed(number), **(STILL | amplitudes)))


def spread_evenly(values: np.ndarray, low: float, high: float) -> bool:
    slack = 0.02 * (high - low)
    within = (low - slack <= values).all() and (values <= high + slack).all()
    return bool(within and stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3)


def test_no_amplitude_changes_nothing() -> None:
    x = random_images(5, 2, 12, 20)
    moved = nets.shift_and_turn(x, generator=seed(), **STILL)
    np.testing.assert_allclose(moved, x, atol=1e-4)


@pytest.mark.parametrize("shift", [0.05, 0.15])
def test_a_shift_is_a_share_of_the_width(shift: float) -> None:
    by = move(shift=shift) - START
    np.testing.assert_allclose(by, np.broadcast_to(by[:, :1], by.shape), atol=1e-3)  # all spots alike
    assert spread_evenly(by[:, 0].real / 2, -shift, shift)
    assert spread_evenly(by[:, 0].imag / 2, -shift, shift)
    assert abs(stats.pearsonr(by[:, 0].real, by[:, 0].imag).statistic) < 0.2


@pytest.mark.parametrize("degrees", [10.0, 90.0, 180.0])
def test_a_turn_goes_about_the_centre_either_way(degrees: float) -> None:
    by = move(degrees=degrees) / START
    np.testing.assert_allclose(by, np.broadcast_to(by[:, :1], by.shape), atol=1e-2)
    np.testing.assert_allclose(np.abs(by), 1, atol=1e-2)
    assert spread_evenly(np.degrees(np.angle(by[:, 0])), -degrees, degrees)


@pytest.mark.parametrize("scale", [0.1, 0.4])
def test_a_scale_grows_or_shrinks_by_its_share(scale: float) -> None:
    by = move(scale=scale) / START
    np.testing.assert_allclose(by, np.broadcast_to(by[:, :1], by.shape), atol=1e-2)
    assert spread_evenly(by[:, 0].real, 1 - scale, 1 + scale)
    np.testing.assert_allclose(by.imag, 0, atol=1e-2)


def test_all_together_is_a_similarity() -> None:
    after = move(degrees=40, shift=0.1, scale=0.2)
    by = (after - after[:, :1])[:, 1:] / (START - START[0])[1:]  # one complex number an image
    np.testing.assert_allclose(by[:, 0], by[:, 1], atol=1e-2)
    assert spread_evenly(np.abs(by[:, 0]), 0.8, 1.2)
    assert spread_evenly(np.degrees(np.angle(by[:, 0])), -40, 40)


def test_each_image_moves_by_itself_by_default_a_little() -> None:
    after = centres(nets.shift_and_turn(spots(300), generator=seed()))
    assert len(np.unique(after[:, 0].round(6))) == 300
    assert 0.02 < np.abs(after - START).mean() < 0.2


def test_the_background_comes_in_from_outside() -> None:
    white = torch.ones(50, 1, 16, 16)
    moved = nets.shift_and_turn(white, degrees=0, scale=0, shift=0.5, generator=seed())
    assert moved.min() == -1
    assert moved.max() == pytest.approx(1, abs=1e-6)
    black = nets.shift_and_turn(-white, generator=seed())
    assert (black == -1).all()


def test_moving_follows_its_generator_and_leaves_the_images_alone() -> None:
    x = random_images(4, 1, 28, 28)
    before, state = x.clone(), torch.get_rng_state()
    generator = seed(1)
    first, second = (nets.shift_and_turn(x, generator=generator) for _ in range(2))
    assert torch.equal(first, nets.shift_and_turn(x, generator=seed(1)))
    assert not torch.equal(first, second)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_moved_images_follow_those_given(dtype: torch.dtype, device: torch.device) -> None:
    if device.type == "mps" and dtype == torch.float64:
        pytest.skip("no float64 on this accelerator")
    x = random_images(4, 3, 28, 28, device=device).to(dtype)
    moved = nets.shift_and_turn(x, generator=seed(0, device))
    assert (moved.shape, moved.dtype, moved.device) == (x.shape, dtype, x.device)


# ------------------------------------------------------------------------------------------ meta, devices


def test_all_nets_run_on_meta() -> None:
    with OnlyMeta(), torch.device("meta"):
        x, y = torch.empty(4, 1, 28, 28), torch.empty(4, dtype=torch.int64)
        encoder, decoder, classifier = Encoder(2), Decoder(2), Classifier()
    with OnlyMeta():  # what is not told a device now lies on the CPU
        assert decoder(encoder(x)).shape == x.shape
        assert classifier.features(x).shape == (4, 128)
        assert classifier.loss(x, y).shape == ()
        classifier.loss(x, y, generator=torch.Generator("cpu")).backward()
        assert nets.shift_and_turn(x, generator=torch.Generator("cpu")).shape == x.shape


def test_only_meta_notices_a_tensor_on_the_cpu() -> None:
    with pytest.raises(AssertionError, match="cpu"), OnlyMeta():
        torch.zeros(2)
