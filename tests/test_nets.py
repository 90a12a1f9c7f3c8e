"""Encoder, decoder, classifier, U-Net, augmentation: shapes, conventions, closed forms."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from drawn import random_images, seed
from only_meta import OnlyMeta
from scipy import stats
from scipy.ndimage import gaussian_filter
from scipy.special import log_softmax
from torch import Tensor, nn

from course_utils import nets
from course_utils.data import scenes
from course_utils.nets import Classifier, Decoder, Encoder, SceneReader, UNet, unet


@pytest.fixture(autouse=True)
def _first_weights() -> None:
    torch.manual_seed(0)


# -------------------------------------------------------------------------------------- encoder, decoder


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 12, 28, 64])
def test_encoder_and_decoder_have_the_shapes_told(channels: int, size: int, device: torch.device) -> None:
    x = random_images(2, channels, size, size, device=device)
    z = Encoder(5, in_channels=channels, size=size).to(device)(x)
    assert z.shape == (2, 5)
    back = Decoder(5, out_channels=channels, size=size).to(device)(z)
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
    with pytest.raises(ValueError, match=re.escape(f"(N, 1, 28, 28), N ≥ 1, not {shape}")):
        Encoder(2)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (2,), (1, 2, 2), ()], ids=str)
def test_the_decoder_refuses_other_codes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, 2), N ≥ 1, not {shape}")):
        Decoder(2)(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("net", [Encoder(2), Classifier()], ids=["encoder", "classifier"])
def test_bytes_are_refused_with_advice(net: nn.Module, dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=rf"{dtype}.*to_float"):
        net(torch.zeros(2, 1, 28, 28, dtype=dtype))


@pytest.mark.parametrize("build", [lambda: Encoder(2), lambda: Decoder(2), Classifier])
def test_a_net_follows_the_dtype_it_is_given(build: Callable[[], nn.Module]) -> None:
    net = build().double()
    x = torch.zeros((2, 2) if isinstance(net, Decoder) else (2, 1, 28, 28), dtype=torch.float64)
    assert net(x).dtype == torch.float64


@pytest.mark.parametrize(
    "build", [lambda: Encoder(2, in_channels=3), lambda: Decoder(2, out_channels=3), Classifier]
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
    x = random_images(*(4, 3) if isinstance(net, Decoder) else (4, 1, 28, 28))
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
    net = Classifier(classes, in_channels=channels).to(device)
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


# ------------------------------------------------------------------------------------------------- U-Net


def awake(net: UNet) -> UNet:
    """The same network with weights where it begins with zeros, as after some training."""
    for weight in net.parameters():
        if not weight.abs().max() > 0:
            nn.init.normal_(weight, std=0.05)
    return net


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 4, 4), (4, 8, 20)], ids=str)
@pytest.mark.parametrize("blocks", [1, 2])
def test_the_unet_gives_back_the_shape_of_its_input(
    shape: tuple[int, ...], blocks: int, device: torch.device
) -> None:
    net = awake(UNet(in_channels=shape[0], width=16, num_res_blocks=blocks)).to(device)
    x, t = random_images(3, *shape, device=device), torch.tensor([1, 500, 1000], device=device)
    assert net(x, t).shape == x.shape
    both = UNet(in_channels=shape[0], out_channels=2 * shape[0], width=16, num_res_blocks=blocks).to(device)
    assert both(x, t).shape == (3, 2 * shape[0], *shape[1:])


def test_the_unet_begins_with_zero() -> None:
    x = random_images(2, 1, 28, 28)
    assert torch.equal(UNet(width=16)(x, torch.tensor([1, 900])), torch.zeros_like(x))


def test_the_unet_treats_each_image_alone_by_its_time_and_class() -> None:
    net = awake(UNet(width=16, num_classes=10)).eval()
    x, t, y = random_images(4, 1, 28, 28), torch.tensor([1, 2, 500, 1000]), torch.tensor([0, 9, 10, 3])
    together = net(x, t, y)
    alone = torch.cat([net(x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert (net(x, t + 7, y) - together).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    assert (net(x, t, (y + 1) % 11) - together).abs().amax(dim=(1, 2, 3)).min() > 1e-4


def test_every_weight_of_the_unet_learns() -> None:
    net = awake(UNet(width=16, num_classes=3, num_res_blocks=2))
    net(
        random_images(8, 1, 28, 28), torch.arange(8) * 100 + 1, torch.arange(8) % 4
    ).square().mean().backward()
    for name, weight in net.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name


def test_every_pixel_sees_the_whole_image() -> None:
    net = awake(UNet(width=16))
    x = random_images(1, 1, 28, 28).requires_grad_()
    (slope,) = torch.autograd.grad(net(x, torch.tensor([300]))[0, 0, 0, 0], x)
    assert (slope != 0).double().mean() > 0.99


def test_the_attention_is_that_of_torch() -> None:
    ours, theirs = unet._Attention(32), nn.MultiheadAttention(32, 4, batch_first=True)
    for mine, its in ((ours.qkv, (theirs.in_proj_weight, theirs.in_proj_bias)),
                      (ours.out, (theirs.out_proj.weight, theirs.out_proj.bias))):  # fmt: skip
        nn.init.normal_(mine.weight, std=0.2)
        nn.init.normal_(mine.bias)
        its[0].data.copy_(mine.weight)
        its[1].data.copy_(mine.bias)
    x = torch.randn(2, 32, 3, 5, generator=seed())
    places = ours.norm(x).flatten(2).transpose(1, 2)
    expected = x + theirs(places, places, places)[0].transpose(1, 2).view_as(x)
    torch.testing.assert_close(ours(x, torch.empty(2, 0)), expected, rtol=1e-4, atol=1e-5)


def test_the_time_embedding_tells_all_times_apart() -> None:
    e = nets.sinusoids(torch.arange(1, 1001), 64)
    assert e.shape == (1000, 64)
    angle = torch.arange(1, 1001)[:, None] / 10_000 ** (torch.arange(32) / 31)
    torch.testing.assert_close(e, torch.cat([angle.sin(), angle.cos()], dim=1), rtol=0, atol=1e-3)
    assert nn.functional.pdist(e).min() > 0.1


def test_the_unet_compiles_in_one_piece() -> None:
    net = awake(UNet(width=16, num_classes=10)).eval()
    x, t, y = random_images(2, 1, 28, 28), torch.tensor([5, 800]), torch.tensor([1, 10])
    whole = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(x, t, y), net(x, t, y))


def test_the_unet_stays_in_channels_last_and_in_half_precision() -> None:
    net = awake(UNet(width=16)).to(torch.bfloat16)
    seen = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    out = net(random_images(2, 1, 28, 28).to(torch.bfloat16), torch.tensor([3, 700]))
    assert out.dtype == torch.bfloat16
    assert seen
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in seen)


def test_the_unet_refuses_what_does_not_fit() -> None:
    x, t, y = random_images(2, 1, 28, 28), torch.tensor([1, 2]), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="width=24 must be a multiple of 16"):
        UNet(width=24)
    with pytest.raises(ValueError, match="num_res_blocks=0"):
        UNet(num_res_blocks=0)
    with pytest.raises(ValueError, match="divisible by 4"):
        UNet(width=16)(random_images(2, 1, 30, 28), t)
    with pytest.raises(ValueError, match="x_t must have the shape"):
        UNet(width=16)(random_images(2, 3, 28, 28), t)
    with pytest.raises(ValueError, match="y is missing"):
        UNet(width=16, num_classes=10)(x, t)
    with pytest.raises(ValueError, match="y was given"):
        UNet(width=16)(x, t, y)


# ------------------------------------------------------------------------------------------ meta, devices


def test_all_nets_run_on_meta() -> None:
    with OnlyMeta(), torch.device("meta"):
        x, y = torch.empty(4, 1, 28, 28), torch.empty(4, dtype=torch.int64)
        encoder, decoder, classifier, unet = Encoder(2), Decoder(2), Classifier(), UNet(num_classes=10)
    with OnlyMeta():  # what is not told a device now lies on the CPU
        assert decoder(encoder(x)).shape == x.shape
        assert classifier.features(x).shape == (4, 128)
        assert classifier.loss(x, y).shape == ()
        assert unet(x, y, y).shape == x.shape
        classifier.loss(x, y, generator=torch.Generator("cpu")).backward()
        assert nets.shift_and_turn(x, generator=torch.Generator("cpu")).shape == x.shape


def test_only_meta_notices_a_tensor_on_the_cpu() -> None:
    with pytest.raises(AssertionError, match="cpu"), OnlyMeta():
        torch.zeros(2)


# -------------------------------------------------------------------------------------------------- blur


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_blur_is_the_gaussian_filter_of_scipy(sigma: float) -> None:
    x = torch.rand(3, 2, 14, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=6)
    np.testing.assert_allclose(nets.blur(x, sigma), expected, atol=3e-4)  # ours ends at four deviations


def test_blur_leaves_what_it_must() -> None:
    x = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nets.blur(x, 0), x)
    torch.testing.assert_close(nets.blur(torch.full((1, 3, 8, 8), -0.7), 1.5), torch.full((1, 3, 8, 8), -0.7))
    with pytest.raises(ValueError, match="sigma=-1 must be a number of at least 0"):
        nets.blur(x, -1)


# ------------------------------------------------------------------------------------- the reader of scenes


def scene_pictures(n: int) -> tuple[Tensor, Tensor]:
    facts = scenes.sample_attributes(n, generator=torch.Generator().manual_seed(0))
    return scenes.render(facts), scenes.reading(facts)


def test_the_reader_gives_facts_of_every_kind_and_none_of_an_object_that_is_not_there() -> None:
    reader = SceneReader().eval()
    x, y = scene_pictures(40)
    assert reader(x).shape == (40, sum(scenes.READING.values()))
    assert reader.features(x).shape == (40, 256)
    read = reader.read(x)
    assert read.shape == y.shape
    alone = read[:, 0] < 9
    assert (read[alone, 6:] == -1).all()
    assert (read[~alone] >= 0).all()
    for column, kinds in enumerate(scenes.READING.values()):
        assert read[:, column].max() < kinds
    assert (reader.features(x) >= 0).all()
    assert [tuple(m.shape[1:]) for m in reader.feature_maps(x)] == [
        (32, 32, 32), (64, 16, 16), (96, 8, 8), (128, 4, 4),
    ]  # fmt: skip


def test_the_readers_loss_is_the_cross_entropy_of_the_facts_that_are_there() -> None:
    reader = SceneReader().eval()
    x, y = scene_pictures(12)
    log_p = [part.log_softmax(dim=1) for part in reader(x).split(list(scenes.READING.values()), dim=1)]
    expected = 0.0
    for i in range(12):
        expected -= sum(log_p[k][i, int(y[i, k])].item() for k in range(10) if y[i, k] >= 0)
    assert reader.loss(x, y).item() == pytest.approx(expected / 12, rel=1e-4)


def test_the_reader_trains_on_spoiled_images_and_learns() -> None:
    torch.manual_seed(0)
    reader = SceneReader()
    x, y = scene_pictures(24)
    adam = torch.optim.Adam(reader.parameters(), lr=1e-3)
    losses = []
    for step in range(20):
        loss = reader.loss(x, y, generator=torch.Generator().manual_seed(step))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    again = [reader.eval().loss(x, y, generator=torch.Generator().manual_seed(1)).item() for _ in range(2)]
    assert again[0] == again[1]
    assert again[0] != reader.loss(x, y).item()


def test_the_reader_refuses_images_of_another_size() -> None:
    for shape in ((2, 1, 64, 64), (2, 3, 32, 32)):
        with pytest.raises(ValueError, match="shape"):
            SceneReader()(torch.zeros(shape))


def test_the_reader_judges_images_only_and_helps_to_compare_any() -> None:
    reader, (x, y) = SceneReader().eval(), scene_pictures(12)
    for judge in (reader, reader.features, reader.read, lambda x: reader.loss(x, y)):
        for wrong in ((x + 1) * 127.5, (x + 1) / 2, x[:, :1], x[:, :, :32]):
            with pytest.raises(ValueError, match="x "):
                judge(wrong)
    assert torch.isfinite(reader.feature_maps(2 * x)[-1]).all()  # a decoder that learns leaves [-1, 1]
    with pytest.raises(ValueError, match=re.escape("y must be int64 (12, 10)")):
        reader.loss(x, y[:, :9])


# ------------------------------------------------------------------------- ranges, and what must fit together


@pytest.mark.parametrize(
    "scale", [lambda x: (x + 1) * 127.5, lambda x: (x + 1) / 2], ids=["0 … 255", "0 … 1"]
)
def test_images_in_another_range_are_refused(scale: Callable[[Tensor], Tensor]) -> None:
    net, x, y = Classifier().eval(), scale(random_images(20, 1, 28, 28)), torch.arange(20) % 10
    for take in (
        net,
        net.features,
        lambda x: net.loss(x, y),
        lambda x: net.loss(x, y, generator=seed()),
        lambda x: nets.shift_and_turn(x, generator=seed()),
    ):
        with pytest.raises(ValueError, match=r"\[-1, 1\]"):
            take(x)


def test_labels_that_are_none_are_refused() -> None:
    net, x = Classifier(4), random_images(3, 1, 28, 28)
    for y in (
        torch.tensor([0, 1, 4]),
        torch.tensor([0, -1, 1]),
        torch.zeros(3),
        torch.zeros(2, dtype=torch.int64),
    ):
        with pytest.raises(ValueError, match="y "):
            net.loss(x, y)


@pytest.mark.parametrize("shape", [(784,), (5, 784), (5, 1, 784)], ids=str)
def test_the_message_names_the_shape_of_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"x must have the shape (N, 1, H, W), N ≥ 1, not {shape}")
    ):
        Classifier().features(torch.zeros(shape))


def test_the_unet_asks_for_tokens_and_times_that_fit() -> None:
    net = UNet(width=16, context_dim=6)
    x, t = random_images(2, 1, 8, 8), torch.tensor([1, 2])
    assert net(x, t, context=torch.zeros(2, 5, 6)).shape == x.shape
    for context in (None, torch.zeros(1, 5, 6), torch.zeros(2, 5, 7), torch.zeros(2, 6)):
        with pytest.raises(ValueError, match=re.escape("context must be tokens (2, L, 6)")):
            net(x, t, context=context)
    with pytest.raises(ValueError, match="looks at no tokens"):
        UNet(width=16)(x, t, context=torch.zeros(2, 5, 6))
    for times in (torch.tensor(1), torch.tensor([1]), torch.ones(2, 1)):
        with pytest.raises(ValueError, match=re.escape("t must be (2,), a time for each image")):
            UNet(width=16)(x, times)


def test_over_batches_gives_ordinary_tensors_to_train_on() -> None:
    """A linear probe, which asks autograd to keep its input."""
    net, y = Classifier().eval(), torch.arange(40) % 2
    features = nets.over_batches(net.features, random_images(40, 1, 28, 28), 16)
    assert not features.is_inference()
    assert not features.requires_grad
    probe = nn.Linear(128, 2)
    nn.functional.cross_entropy(probe(features), y).backward()
    assert probe.weight.grad.abs().max() > 0
    with pytest.raises(ValueError, match="batch_size=0"):
        nets.over_batches(net, random_images(2, 1, 28, 28), 0)
