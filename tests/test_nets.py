"""Encoder, decoder, classifier, U-Net, augmentation: shapes, conventions, closed forms."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils import nets, scenes
from course_utils.nets import Classifier, CouplingFlow, Decoder, Encoder, PixelCNN, SceneReader, UNet


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


# --------------------------------------------------------------------------- grey levels, flow, autoregression


def random_weights(net: nn.Module, std: float = 0.3) -> nn.Module:
    """Weights far from the first ones, so that nothing is the identity or even by chance."""
    for weight in net.parameters():
        nn.init.normal_(weight, std=std, generator=seed(5))
    return net.eval()


def grey(levels: int) -> Tensor:
    return torch.linspace(-1, 1, levels)


@pytest.mark.parametrize("levels", [2, 3, 8, 256])
def test_quantise_finds_the_nearest_level(levels: int) -> None:
    assert nets.quantise(grey(levels), levels).tolist() == list(range(levels))
    x = random_images(500)
    away = (grey(levels)[nets.quantise(x, levels)] - x).abs()
    assert away.max() <= 1 / (levels - 1) + 1e-6
    assert nets.quantise(torch.tensor([-3.0, 3.0]), levels).tolist() == [0, levels - 1]


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_dequantised_levels_fill_intervals_of_their_own_evenly(levels: int) -> None:
    k = torch.arange(levels).repeat(4000 // levels + 1)
    v = nets.dequantise(grey(levels)[k], levels, generator=seed()).double()
    assert v.min() >= -1
    assert v.max() < 1
    place = (v + 1) * (levels / 2) - k
    assert place.min() > -1e-4
    assert place.max() < 1 + 1e-4
    assert stats.kstest(place.numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("dim", "levels"), [(2, None), (3, None), (5, None), (6, 4), (49, 8)])
def test_a_flow_can_be_undone(dim: int, levels: int | None, device: torch.device) -> None:
    if device.type == "mps":
        pytest.skip("no float64 on this accelerator")
    flow = random_weights(CouplingFlow(dim, hidden=16, levels=levels)).double().to(device)
    x = random_images(20, dim, device=device).double()
    z, log_det = flow(x)
    assert (z.shape, log_det.shape) == ((20, dim), (20,))
    assert (z - x).abs().max() > 0.1
    np.testing.assert_allclose(flow.inverse(z).detach().cpu(), x.cpu(), atol=1e-6)


@pytest.mark.parametrize(("dim", "levels"), [(2, None), (5, None), (6, 4)])
def test_the_log_density_is_that_of_the_full_jacobian(dim: int, levels: int | None) -> None:
    flow = random_weights(CouplingFlow(dim, hidden=16, levels=levels)).double()
    for x in random_images(4, dim).double():
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v[None])[0][0], x)
        z = flow(x[None])[0][0].detach().numpy()
        expected = stats.multivariate_normal(np.zeros(dim)).logpdf(z) + np.linalg.slogdet(jacobian.numpy())[1]
        assert flow.log_prob(x[None]).item() == pytest.approx(expected, rel=1e-9)


def over_the_plane(flow: CouplingFlow, extent: float, cells: int = 600) -> float:
    line = (torch.arange(cells) + 0.5) * (2 * extent / cells) - extent
    with torch.inference_mode():
        density = flow.log_prob(torch.cartesian_prod(line, line)).double().exp()
    return density.sum().item() * (2 * extent / cells) ** 2


@pytest.mark.parametrize("levels", [None, 4])
def test_the_density_integrates_to_one_before_and_after_training(levels: int | None) -> None:
    flow = CouplingFlow(2, layers=4, hidden=16, levels=levels)
    extent = 6.0 if levels is None else 1 + flow.margin
    assert over_the_plane(flow, extent) == pytest.approx(1, abs=5e-3)
    optimizer, draw = torch.optim.Adam(flow.parameters(), 1e-2), seed()
    points = torch.rand(256, 2, generator=draw) * torch.tensor([1.6, 0.5]) - torch.tensor([0.8, 0.0])
    first = flow.loss(points, generator=seed()).item()
    for _ in range(60):
        optimizer.zero_grad()
        flow.loss(points, generator=draw).backward()
        optimizer.step()
    assert flow.loss(points, generator=seed()).item() < first - 0.5
    assert over_the_plane(flow, extent) == pytest.approx(1, abs=5e-3)


def test_outside_the_interval_of_images_the_density_is_zero() -> None:
    flow = random_weights(CouplingFlow(3, hidden=8, levels=4))
    log_p = flow.log_prob(torch.tensor([[0.0, 0, 0], [0, 1.03, 0], [-1.02, 0, 0], [1.01, -1.01, 0]]))
    assert log_p.isneginf().tolist() == [False, True, True, False]
    assert not log_p.isnan().any()


def test_every_coordinate_moves_and_depends_on_every_other() -> None:
    flow = random_weights(CouplingFlow(6, layers=6, hidden=32)).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v[None])[0][0], torch.zeros(6).double())
    assert (jacobian.abs() > 1e-9).all()


def test_a_new_flow_is_the_standard_normal() -> None:
    x = torch.randn(10, 4, generator=seed())
    expected = stats.multivariate_normal(np.zeros(4)).logpdf(x.numpy())
    np.testing.assert_allclose(CouplingFlow(4).log_prob(x).detach(), expected, rtol=1e-5)


def test_samples_of_a_flow_follow_its_density() -> None:
    flow = random_weights(CouplingFlow(2, layers=4, hidden=8), std=0.5)
    x = flow.sample(20_000, generator=seed())
    edge = torch.linspace(-3, 3, 7)
    counts, _ = torch.histogramdd(x, [edge, edge])
    fine = (torch.arange(300) + 0.5) * (6 / 300) - 3
    with torch.inference_mode():
        density = flow.log_prob(torch.cartesian_prod(fine, fine)).exp().view(6, 50, 6, 50).sum(dim=(1, 3))
    expected = 20_000 * density * (6 / 300) ** 2
    well = expected > 10
    assert well.sum() > 10
    chi2 = ((counts - expected) ** 2 / expected)[well].sum().item()
    assert stats.chi2(int(well.sum())).sf(chi2) > 1e-4


def test_sampled_images_have_the_levels_of_the_flow() -> None:
    flow = random_weights(CouplingFlow(9, hidden=16, levels=4))
    x = flow.sample(200, generator=seed())
    assert x.shape == (200, 9)
    assert torch.cdist(x.reshape(-1, 1), grey(4)[:, None]).min(dim=1).values.max() < 1e-6
    assert len(x.unique()) == 4


def test_sampling_undoes_dequantisation() -> None:
    """With a flow that is only the logit, z of a dequantised image leads back to that image."""
    flow, x = CouplingFlow(4, levels=5), grey(5)[torch.randint(5, (50, 4), generator=seed())]
    z = flow(nets.dequantise(x, 5, generator=seed(1)))[0].detach()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda *shape, **kwargs: z)
        np.testing.assert_allclose(flow.sample(50), x, atol=1e-6)


def test_the_flow_bounds_the_probability_of_an_image_from_below() -> None:
    """E[log p(v)] + d log w ≤ log P(image), the integral of the density over the image's cell."""
    flow = random_weights(CouplingFlow(2, layers=4, hidden=8, levels=3), std=0.5)
    w = 2 / 3
    line = (torch.arange(200) + 0.5) * (w / 200)
    with torch.inference_mode():
        for k in torch.cartesian_prod(torch.arange(3), torch.arange(3)):
            cell = torch.cartesian_prod(-1 + k[0] * w + line, -1 + k[1] * w + line)
            log_p = flow.log_prob(cell).double()
            exact = math.log(log_p.exp().mean().item() * w**2)
            v = nets.dequantise(grey(3)[k].expand(20_000, 2), 3, generator=seed())
            bound = flow.log_prob(v).double().mean().item() + 2 * math.log(w)
            assert bound == pytest.approx(log_p.mean().item() + 2 * math.log(w), abs=0.05)
            assert bound < exact + 0.05


@pytest.mark.parametrize("shape", [(2, 3), (2,), (2, 1, 2, 2), ()], ids=str)
def test_a_flow_refuses_other_points(shape: tuple[int, ...]) -> None:
    flow = CouplingFlow(4)
    for method, name in ((flow.log_prob, "x"), (flow, "x"), (flow.inverse, "z")):
        with pytest.raises(ValueError, match=rf"{name} must .*" + re.escape(f"(N, 4), not {shape}")):
            method(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1}, "dim=1 must be at least 2"),
        ({"dim": 4, "layers": 1}, "layers=1"),
        ({"dim": 4, "levels": 1}, "levels=1"),
        ({"dim": 4, "hidden": 0}, "hidden=0"),
    ],
)
def test_a_flow_refuses_what_cannot_be(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CouplingFlow(**arguments)


def all_images(height: int, width: int, levels: int) -> Tensor:
    return torch.cartesian_prod(*[grey(levels)] * (height * width)).view(-1, 1, height, width)


@pytest.mark.parametrize(
    ("height", "width", "levels"), [(2, 2, 4), (3, 3, 2), (1, 2, 20), (2, 4, 2), (4, 2, 2)]
)
def test_the_probabilities_of_all_images_sum_to_one(height: int, width: int, levels: int) -> None:
    net = random_weights(PixelCNN(height, width, levels=levels, channels=8, blocks=2), std=0.8).double()
    log_p = net.log_prob(all_images(height, width, levels).double()).detach()
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert log_p.exp().max() > 3 * log_p.exp().mean()  # far from even


def test_a_pixel_changes_what_is_said_of_later_pixels_only() -> None:
    net = random_weights(PixelCNN(5, 6, levels=4, channels=8, blocks=3)).double()
    x = grey(4)[torch.randint(4, (1, 1, 5, 6), generator=seed())].double()
    told = net(x)[0].flatten(1)
    reached = 0
    for i in range(30):
        other = x.clone().view(-1)
        other[i] = -other[i]
        changed = ((net(other.view_as(x))[0].flatten(1) - told).abs() > 1e-12).any(dim=0)
        assert not changed[: i + 1].any(), i
        reached += int(changed[i + 1 : i + 2].any())
    assert reached >= 24  # the next pixel sees the one before it, but for the ends of rows


def test_the_first_pixel_depends_on_nothing_and_sees_the_rest_of_the_rows_above() -> None:
    net = random_weights(PixelCNN(4, 4, levels=3, channels=8, blocks=2)).double()
    x = random_images(30, 1, 4, 4).double()
    logits = net(x).detach()
    np.testing.assert_allclose(logits[:, :, 0, 0], logits[:1, :, 0, 0].expand(30, -1), atol=1e-12)
    assert logits[:, :, 3, 3].std(dim=0).min() > 1e-6


def test_frequencies_of_sampled_images_are_their_probabilities() -> None:
    net = random_weights(PixelCNN(2, 2, levels=3, channels=8, blocks=1), std=0.4)
    x = net.sample(20_000, generator=seed())
    number = (nets.quantise(x, 3).flatten(1) * torch.tensor([27, 9, 3, 1])).sum(dim=1)
    counts = torch.bincount(number, minlength=81).double().numpy()
    expected = 20_000 * net.log_prob(all_images(2, 2, 3)).double().exp().detach().numpy()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    predicted = np.append(expected[~rare], expected[rare].sum() + 1e-9)
    assert len(observed) > 20
    chi2 = ((observed - predicted) ** 2 / predicted).sum()
    assert stats.chi2(len(observed) - 1).sf(chi2) > 1e-4


def test_log_prob_is_the_sum_of_the_conditionals() -> None:
    net = random_weights(PixelCNN(3, 2, levels=5, channels=8, blocks=1)).double()
    x = random_images(6, 1, 3, 2).double()
    log_p = log_softmax(net(x).detach().numpy(), axis=1)
    k = nets.quantise(x, 5).numpy()
    expected = np.take_along_axis(log_p, k, axis=1).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(net.log_prob(x).detach(), expected, rtol=1e-9)
    assert net.loss(x).item() == pytest.approx(-expected.mean(), rel=1e-9)


def test_images_are_brought_to_the_nearest_level() -> None:
    net = random_weights(PixelCNN(2, 3, levels=4, channels=8, blocks=1))
    x = random_images(5, 1, 2, 3)
    np.testing.assert_allclose(net.log_prob(x).detach(), net.log_prob(grey(4)[nets.quantise(x, 4)]).detach())


def test_a_pixelcnn_learns_that_pixels_are_alike() -> None:
    net = PixelCNN(2, 2, levels=2, channels=8, blocks=1)
    x = torch.tensor([-1.0, 1.0]).repeat(32)[:, None, None, None].expand(-1, 1, 2, 2)
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(100):
        optimizer.zero_grad()
        net.loss(x).backward()
        optimizer.step()
    assert net.loss(x).item() == pytest.approx(math.log(2), abs=0.1)  # one coin decides all four


@pytest.mark.parametrize("shape", [(2, 1, 3, 4), (2, 3, 4, 3), (1, 4, 3), (4, 3)], ids=str)
def test_a_pixelcnn_refuses_other_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, 1, 4, 3), not {shape}")):
        PixelCNN(4, 3).log_prob(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0}, "height=0 must be at least 1"),
        ({"width": 0}, "width=0"),
        ({"levels": 1}, "levels=1 must be at least 2"),
        ({"channels": 1}, "channels=1"),
        ({"blocks": -1}, "blocks=-1"),
    ],
)
def test_a_pixelcnn_refuses_what_cannot_be(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PixelCNN(**({"height": 2, "width": 2} | arguments))


EXACT = [lambda: CouplingFlow(4, levels=3), lambda: PixelCNN(2, 2, levels=3)]


@pytest.mark.parametrize("build", EXACT, ids=["flow", "pixelcnn"])
def test_exact_models_sample_by_their_generator_and_leave_torch_s_alone(
    build: Callable[[], nn.Module],
) -> None:
    net = build()
    before = torch.get_rng_state()
    first, again, other = (net.sample(50, generator=seed(number)) for number in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.abs().max() <= 1
    assert not first.requires_grad
    assert not torch.equal(net.sample(50), net.sample(50))  # None takes torch's own
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        net.sample(0)


@pytest.mark.parametrize("build", EXACT, ids=["flow", "pixelcnn"])
def test_exact_models_follow_their_device_and_dtype(
    build: Callable[[], nn.Module], device: torch.device
) -> None:
    dtype = torch.float32 if device.type == "mps" else torch.float64
    net = build().to(device, dtype)
    x = net.sample(3, generator=seed(0, device))
    assert (x.dtype, x.device.type) == (dtype, device.type)
    loss = net.loss(x, torch.zeros(3), generator=seed(0, device))
    assert (loss.shape, loss.dtype, loss.device.type) == ((), dtype, device.type)
    loss.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in net.parameters())


def test_masked_convolutions_run_in_channels_last() -> None:
    convolutions = [m for m in PixelCNN(4, 4).modules() if isinstance(m, nn.Conv2d)]
    assert all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convolutions)


def test_exact_models_run_on_meta() -> None:
    with OnlyMeta(), torch.device("meta"):
        x = torch.empty(3, 1, 2, 3)
        flow, free, net = CouplingFlow(6, levels=4), CouplingFlow(6), PixelCNN(2, 3)
    with OnlyMeta():
        assert flow.loss(x, generator=torch.Generator("cpu")).shape == ()
        assert free.log_prob(x.flatten(1)).shape == net.log_prob(x).shape == (3,)
        net.loss(x).backward()
        assert flow.sample(5).shape == free.sample(5).shape == (5, 6)
        assert net.sample(5).shape == (5, 1, 2, 3)


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
    net = awake(UNet(channels=shape[0], width=16, blocks=blocks)).to(device)
    x, t = random_images(3, *shape, device=device), torch.tensor([1, 500, 1000], device=device)
    assert net(x, t).shape == x.shape
    both = UNet(channels=shape[0], outputs=2 * shape[0], width=16, blocks=blocks).to(device)
    assert both(x, t).shape == (3, 2 * shape[0], *shape[1:])


def test_the_unet_begins_with_zero() -> None:
    x = random_images(2, 1, 28, 28)
    assert torch.equal(UNet(width=16)(x, torch.tensor([1, 900])), torch.zeros_like(x))


def test_the_unet_treats_each_image_alone_by_its_time_and_class() -> None:
    net = awake(UNet(width=16, classes=10)).eval()
    x, t, y = random_images(4, 1, 28, 28), torch.tensor([1, 2, 500, 1000]), torch.tensor([0, 9, 10, 3])
    together = net(x, t, y)
    alone = torch.cat([net(x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert (net(x, t + 7, y) - together).abs().amax(dim=(1, 2, 3)).min() > 1e-4
    assert (net(x, t, (y + 1) % 11) - together).abs().amax(dim=(1, 2, 3)).min() > 1e-4


def test_every_weight_of_the_unet_learns() -> None:
    net = awake(UNet(width=16, classes=3, blocks=2))
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
    ours, theirs = nets._Attention(32), nn.MultiheadAttention(32, 4, batch_first=True)
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
    net = awake(UNet(width=16, classes=10)).eval()
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
    with pytest.raises(ValueError, match="blocks=0"):
        UNet(blocks=0)
    with pytest.raises(ValueError, match="divisible by 4"):
        UNet(width=16)(random_images(2, 1, 30, 28), t)
    with pytest.raises(ValueError, match="x must have the shape"):
        UNet(width=16)(random_images(2, 3, 28, 28), t)
    with pytest.raises(ValueError, match="y is missing"):
        UNet(width=16, classes=10)(x, t)
    with pytest.raises(ValueError, match="y was given"):
        UNet(width=16)(x, t, y)


# ------------------------------------------------------------------------------------------ meta, devices


def test_all_nets_run_on_meta() -> None:
    with OnlyMeta(), torch.device("meta"):
        x, y = torch.empty(4, 1, 28, 28), torch.empty(4, dtype=torch.int64)
        encoder, decoder, classifier, unet = Encoder(2), Decoder(2), Classifier(), UNet(classes=10)
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
    with pytest.raises(ValueError, match="sigma=-1 must be at least 0"):
        nets.blur(x, -1)


# ------------------------------------------------------------------------------------- the reader of scenes


def scene_pictures(n: int) -> tuple[Tensor, Tensor]:
    facts = scenes.sample_attributes(n, generator=torch.Generator().manual_seed(0))
    return scenes.draw(facts), scenes.reading(facts)


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
    x, y = scene_pictures(64)
    adam = torch.optim.Adam(reader.parameters(), lr=1e-3)
    losses = []
    for step in range(30):
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
