"""Grey levels, the coupling flow and the autoregressive network: exact densities against closed forms."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from drawn import random_images, seed
from only_meta import OnlyMeta
from scipy import stats
from scipy.special import log_softmax
from torch import Tensor, nn

from course_utils.likelihood import CouplingFlow, PixelCNN, dequantise, quantise


@pytest.fixture(autouse=True)
def _first_weights() -> None:
    torch.manual_seed(0)


def random_weights(net: nn.Module, std: float = 0.3) -> nn.Module:
    """Weights far from the first ones, so that nothing is the identity or even by chance."""
    for weight in net.parameters():
        nn.init.normal_(weight, std=std, generator=seed(5))
    return net.eval()


def grey(levels: int) -> Tensor:
    return torch.linspace(-1, 1, levels)


@pytest.mark.parametrize("levels", [2, 3, 8, 256])
def test_quantise_finds_the_nearest_level(levels: int) -> None:
    assert quantise(grey(levels), levels).tolist() == list(range(levels))
    x = random_images(500)
    away = (grey(levels)[quantise(x, levels)] - x).abs()
    assert away.max() <= 1 / (levels - 1) + 1e-6
    assert quantise(torch.tensor([-1.005, 1.005]), levels).tolist() == [0, levels - 1]  # rounding
    with pytest.raises(ValueError, match=r"x holds -3 … 3, .*\[-1, 1\]"):
        quantise(torch.tensor([-3.0, 3.0]), levels)


def test_points_are_not_taken_for_images_of_another_range() -> None:
    assert quantise(torch.rand(20, 2, generator=seed()), 5).min() >= 2
    with pytest.raises(ValueError, match="2 \\* x - 1"):
        quantise(torch.rand(20, 1, 2, 2, generator=seed()), 5)


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_dequantised_levels_fill_intervals_of_their_own_evenly(levels: int) -> None:
    k = torch.arange(levels).repeat(4000 // levels + 1)
    v = dequantise(grey(levels)[k], levels, generator=seed()).double()
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
    z = flow(dequantise(x, 5, generator=seed(1)))[0].detach()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda *shape, **kwargs: z)
        np.testing.assert_allclose(flow.sample(50), x, atol=1e-6)


def test_the_flow_bounds_the_probability_of_an_image_from_below() -> None:
    """E[log p(v)] + d log w ≤ log P(image), the integral of the density over the image's cell."""
    flow = random_weights(CouplingFlow(2, layers=4, hidden=8, levels=3), std=0.5)
    w = 2 / 3
    line = (torch.arange(200) + 0.5) * (w / 200)
    cells = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    drawn = dequantise(grey(3)[cells].repeat_interleave(20_000, dim=0), 3, generator=seed()).split(20_000)
    with torch.inference_mode():
        for k, v in zip(cells, drawn, strict=True):
            cell = torch.cartesian_prod(-1 + k[0] * w + line, -1 + k[1] * w + line)
            log_p = flow.log_prob(cell).double()
            exact = math.log(log_p.exp().mean().item() * w**2)
            bound = flow.log_prob(v).double().mean().item() + 2 * math.log(w)
            assert bound == pytest.approx(log_p.mean().item() + 2 * math.log(w), abs=0.05)
            assert bound < exact + 0.05


@pytest.mark.parametrize("shape", [(2, 3), (2,), (2, 1, 2, 2), ()], ids=str)
def test_a_flow_refuses_other_points(shape: tuple[int, ...]) -> None:
    flow = CouplingFlow(4)
    for method, name in ((flow.log_prob, "x"), (flow, "x"), (flow.inverse, "z")):
        with pytest.raises(ValueError, match=rf"{name} must .*" + re.escape(f"(N, 4), N ≥ 1, not {shape}")):
            method(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1}, "dim=1 must be a whole number of at least 2"),
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
    number = (quantise(x, 3).flatten(1) * torch.tensor([27, 9, 3, 1])).sum(dim=1)
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
    k = quantise(x, 5).numpy()
    expected = np.take_along_axis(log_p, k, axis=1).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(net.log_prob(x).detach(), expected, rtol=1e-9)
    assert net.loss(x).item() == pytest.approx(-expected.mean(), rel=1e-9)


def test_images_are_brought_to_the_nearest_level() -> None:
    net = random_weights(PixelCNN(2, 3, levels=4, channels=8, blocks=1))
    x = random_images(5, 1, 2, 3)
    np.testing.assert_allclose(net.log_prob(x).detach(), net.log_prob(grey(4)[quantise(x, 4)]).detach())


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
    with pytest.raises(ValueError, match=re.escape(f"(N, 1, 4, 3), N ≥ 1, not {shape}")):
        PixelCNN(4, 3).log_prob(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0}, "height=0 must be a whole number of at least 1"),
        ({"width": 0}, "width=0"),
        ({"levels": 1}, "levels=1 must be a whole number of at least 2"),
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
    with pytest.raises(ValueError, match="n=0 must be a whole number of at least 1"):
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
