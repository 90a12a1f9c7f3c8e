"""Losses against closed forms, corruptions against their statistics, the Gaussian of the codes against numpy."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from sklearn.metrics import mean_squared_error
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils.autoencoders import CORRUPTIONS, Autoencoder, DenoisingAutoencoder, corrupt, squared_error
from course_utils.data import load_images
from course_utils.nets import seeded


def seed(number: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(number)


def random_images(*shape: int, number: int = 0) -> Tensor:
    return torch.rand(*shape, generator=seed(number)) * 2 - 1


def build(
    model: type[Autoencoder] = Autoencoder, *, latent_dim: int = 3, number: int = 1, **arguments: object
) -> Autoencoder:
    with seeded(number):
        return model(latent_dim, **arguments)


def blank(model: Autoencoder) -> Autoencoder:
    """The same model, which now answers 0 to everything."""
    for weight in model.decoder.parameters():
        nn.init.zeros_(weight)
    return model


# ---------------------------------------------------------------------------------------------- the loss


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (2, 3, 8, 8)], ids=str)
@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_the_loss_sums_over_pixels_and_averages_over_the_batch(
    kind: type[Autoencoder], shape: tuple[int, ...]
) -> None:
    model = blank(build(kind, channels=shape[1], size=shape[2]))
    assert model.loss(torch.ones(shape)).item() == pytest.approx(math.prod(shape[1:]))
    x = torch.zeros(shape)
    x[0, 0, 0, 0], x[-1, 0, 1, 1] = 0.5, -1.0
    assert model.loss(x).item() == pytest.approx(1.25 / shape[0])


def test_the_loss_is_that_of_sklearn() -> None:
    model, x = build(), random_images(7, 1, 28, 28)
    flat, back = x.flatten(1).numpy(), model.reconstruct(x).detach().flatten(1).numpy()
    expected = 784 * mean_squared_error(flat, back)
    assert model.loss(x).item() == pytest.approx(expected, rel=1e-5)
    assert model.loss(x).shape == ()


def test_the_loss_of_a_batch_is_the_mean_over_its_images() -> None:
    model, x = build(), random_images(6, 1, 28, 28)
    each = [model.loss(image[None]).item() for image in x]
    assert model.loss(x).item() == pytest.approx(np.mean(each), rel=1e-5)


def test_an_autoencoder_needs_neither_labels_nor_randomness() -> None:
    model, x = build(), random_images(6, 1, 28, 28)
    before = torch.get_rng_state()
    assert model.loss(x, torch.arange(6), generator=seed()) == model.loss(x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_without_corruption_denoising_is_autoencoding(kind: str) -> None:
    denoising = build(DenoisingAutoencoder, kind=kind, level=0.0)
    plain = build()
    plain.load_state_dict(denoising.state_dict())
    x = random_images(6, 1, 28, 28)
    assert denoising.loss(x, generator=seed()).item() == pytest.approx(plain.loss(x).item(), rel=1e-6)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_denoising_compares_what_it_makes_of_the_corrupted_with_the_clean(kind: str) -> None:
    model = build(DenoisingAutoencoder, kind=kind, level=0.7)
    x = random_images(6, 1, 28, 28)
    seen: list[Tensor] = []
    model.encoder.register_forward_hook(lambda module, inputs, code: seen.append(inputs[0]))
    loss = model.loss(x, generator=seed(4))
    (x_tilde,) = seen
    assert torch.equal(x_tilde, corrupt(x, kind, 0.7, generator=seed(4)))
    assert not torch.equal(x_tilde, x)
    back = model.decode(model.encode(x_tilde)).detach().flatten(1).numpy()
    assert loss.item() == pytest.approx(784 * mean_squared_error(x.flatten(1).numpy(), back), rel=1e-5)


def test_the_loss_of_denoising_follows_its_generator() -> None:
    model, x = build(DenoisingAutoencoder), random_images(6, 1, 28, 28)
    assert model.loss(x, generator=seed(1)) == model.loss(x, generator=seed(1))
    assert model.loss(x, generator=seed(1)) != model.loss(x, generator=seed(2))


@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_every_weight_learns(kind: type[Autoencoder], device: torch.device) -> None:
    model = build(kind).to(device)
    model.loss(random_images(16, 1, 28, 28).to(device), generator=seed(0, device)).backward()
    for name, weight in model.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name


def test_squared_error_is_one_number_an_image() -> None:
    x, x_hat = random_images(4, 3, 5, 7), random_images(4, 3, 5, 7, number=1)
    expected = np.linalg.norm((x_hat - x).flatten(1).double(), axis=1) ** 2
    np.testing.assert_allclose(squared_error(x_hat, x), expected, rtol=1e-5)
    assert squared_error(x, x).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (3, 1, 4, 1), (3, 4, 4)], ids=str)
def test_squared_error_refuses_to_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="same shape"):
        squared_error(torch.zeros(shape), torch.zeros(3, 1, 4, 4))


# --------------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize(("latent_dim", "channels", "size"), [(1, 1, 28), (5, 3, 32), (16, 1, 8)])
def test_shapes(latent_dim: int, channels: int, size: int, device: torch.device) -> None:
    model = build(latent_dim=latent_dim, channels=channels, size=size).to(device)
    x = random_images(4, channels, size, size).to(device)
    z = model.encode(x)
    assert z.shape == (4, latent_dim)
    assert model.decode(z).shape == x.shape
    assert model.reconstruct(x).device == x.device
    assert model.reconstruct(x).abs().max() <= 1
    np.testing.assert_allclose(
        model(x).detach().cpu(), model.decode(model.encode(x)).detach().cpu(), atol=1e-5
    )


@pytest.mark.parametrize("latent_dim", [0, -2])
@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_a_code_of_no_values_is_refused(kind: type[Autoencoder], latent_dim: int) -> None:
    with pytest.raises(ValueError, match=f"latent_dim={latent_dim}"):
        kind(latent_dim)


@pytest.mark.parametrize("number", range(3))
def test_an_autoencoder_soon_beats_every_constant_image(number: int) -> None:
    x = load_images("digits").x[::62][:64]
    constant = (x - x.mean(dim=0)).square().sum(dim=(1, 2, 3)).mean().item()  # the best one is the mean
    model = build(latent_dim=16, number=number)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(150):
        optimiser.zero_grad()
        model.loss(x).backward()
        optimiser.step()
    assert model.loss(x).item() < 0.5 * constant


# --------------------------------------------------------------------------------------------- the codes


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> tuple[Autoencoder, np.ndarray]:
    """A model that gives the codes that it draws back undecoded, and the codes it was fitted to."""
    model = build()
    x = random_images(2300, 1, 28, 28) * torch.linspace(0.2, 1, 2300).view(-1, 1, 1, 1)
    model.fit_codes(x)
    with torch.inference_mode():
        z = model.encode(x).double().numpy()
    monkeypatch.setattr(model, "decode", lambda z: z)
    return model, z


def test_sampled_codes_have_the_mean_and_covariance_of_the_fitted(
    fitted: tuple[Autoencoder, np.ndarray],
) -> None:
    model, z = fitted
    n = 200_000
    drawn = model.sample(n, generator=seed()).double().numpy()
    mean, cov = z.mean(axis=0), np.cov(z.T)
    assert drawn.shape == (n, 3)
    off = np.linalg.solve(np.linalg.cholesky(cov), (drawn - mean).T)  # standard normal, if all is right
    assert (np.abs(off.mean(axis=1)) < 5 / math.sqrt(n)).all()
    spread = np.sqrt((1 + np.eye(3)) / n)  # the standard error of a covariance of standard normals
    assert (np.abs(np.cov(off) - np.eye(3)) < 5 * spread + 1e-3).all()
    for row in off[:, :20_000]:
        assert stats.kstest(row, "norm").pvalue > 1e-4


def test_samples_follow_their_generator(fitted: tuple[Autoencoder, np.ndarray]) -> None:
    model, _ = fitted
    state = torch.get_rng_state()
    first = model.sample(5, generator=seed(1))
    assert torch.equal(first, model.sample(5, generator=seed(1)))
    assert not torch.equal(first, model.sample(5, generator=seed(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_are_decoded_images(device: torch.device) -> None:
    model = build(channels=3, size=8).to(device)
    model.fit_codes(random_images(50, 3, 8, 8).to(device))
    x = model.sample(7, generator=seed(0, device))
    assert x.shape == (7, 3, 8, 8)
    assert x.device.type == device.type
    assert x.abs().max() <= 1
    assert model.sample(2).shape == (2, 3, 8, 8)


def test_the_fitted_codes_are_saved_with_the_weights() -> None:
    model, other = build(size=8), build(size=8)
    model.fit_codes(random_images(50, 1, 8, 8))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sample(3, generator=seed()), model.sample(3, generator=seed()))


def test_fitting_twice_forgets_the_first() -> None:
    model, other = build(size=8), build(size=8)
    model.fit_codes(random_images(50, 1, 8, 8, number=1))
    for each in (model, other):
        each.fit_codes(random_images(60, 1, 8, 8, number=2))
    assert torch.equal(model.sample(3, generator=seed()), other.sample(3, generator=seed()))


def test_a_fitted_model_can_be_trained_on() -> None:
    model = build(size=8)
    model.fit_codes(random_images(50, 1, 8, 8))
    model.loss(random_images(5, 1, 8, 8)).backward()
    model.sample(5, generator=seed()).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_without_fitted_codes_nothing_is_drawn() -> None:
    with pytest.raises(ValueError, match="fit_codes"):
        build().sample(3)


def test_labels_are_refused() -> None:
    model = build(size=8)
    model.fit_codes(random_images(50, 1, 8, 8))
    with pytest.raises(ValueError, match="y was given"):
        model.sample(3, torch.arange(3))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_images_make_no_covariance(n: int) -> None:
    with pytest.raises(ValueError, match=f"{n} images"):
        build().fit_codes(random_images(n, 1, 28, 28))


def test_images_all_alike_make_no_covariance() -> None:
    model = build(size=8)
    with pytest.raises(ValueError, match="covariance"):
        model.fit_codes(random_images(1, 1, 8, 8).expand(50, -1, -1, -1))
    with pytest.raises(ValueError, match="fit_codes"):  # nothing half fitted is drawn from
        model.sample(2)


# --------------------------------------------------------------------------------------------- corruption


@pytest.mark.parametrize("level", [0.1, 0.5, 3.0])
def test_gaussian_noise_has_its_standard_deviation(level: float, device: torch.device) -> None:
    x = random_images(40, 2, 28, 28).to(device)
    noise = ((corrupt(x, "gaussian", level, generator=seed(1, device)) - x) / level).cpu().double().numpy()
    n = noise.size
    assert abs(noise.mean()) < 4 / math.sqrt(n)
    assert noise.std() == pytest.approx(1, abs=4 / math.sqrt(2 * n))
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-4
    neighbours = [noise[:, 0] * noise[:, 1], noise[..., 1:] * noise[..., :-1], noise[1:] * noise[:-1]]
    for product in neighbours:  # channels, pixels, images: independent
        assert abs(product.mean()) < 4.5 / math.sqrt(product.size)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("channels", [1, 3])
def test_dropout_loses_its_share_of_pixels(level: float, channels: int, device: torch.device) -> None:
    x = (torch.rand(30, channels, 28, 28, generator=seed()) * 0.9).to(device)
    x_tilde = corrupt(x, "dropout", level, generator=seed(2, device))
    lost = x_tilde == -1
    assert torch.equal(x_tilde[~lost], x[~lost])
    assert torch.equal(lost, lost[:, :1].expand_as(lost))  # a pixel is lost in all its channels
    each = lost[:, 0].flatten(1).sum(dim=1).tolist()
    assert stats.binomtest(sum(each), 30 * 784, level).pvalue > 1e-4
    assert len(set(each)) > 5
    assert stats.kstest(each, stats.binom(784, level).cdf).pvalue > 1e-4  # by itself, not in patches
    pairs = (lost[:, 0, :, 1:] & lost[:, 0, :, :-1]).sum().item()
    expected, n = level**2, 30 * 28 * 27
    assert abs(pairs / n - expected) < 5 * math.sqrt(expected / n)


@pytest.mark.parametrize("level", [0.04, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size", [8, 28, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_masking_puts_one_square_of_its_share_on_the_background(
    level: float, size: int, channels: int, device: torch.device
) -> None:
    x = (torch.rand(20, channels, size, size, generator=seed()) * 0.9).to(device)
    x_tilde = corrupt(x, "masking", level, generator=seed(3, device))
    lost = x_tilde == -1
    assert torch.equal(x_tilde[~lost], x[~lost])
    assert torch.equal(lost, lost[:, :1].expand_as(lost))
    side = min(range(size + 1), key=lambda s: abs(s - size * math.sqrt(level)))
    for mask in lost[:, 0].cpu().numpy():
        (rows, columns), *others = ndimage.find_objects(ndimage.label(mask)[0])
        assert others == []
        assert mask[rows, columns].all()
        assert rows.stop - rows.start == columns.stop - columns.start == side


def test_masking_reaches_every_place_evenly() -> None:
    n = 10_000
    lost = corrupt(torch.zeros(n, 1, 8, 8), "masking", 0.25, generator=seed(4))[:, 0].numpy() == -1
    top, left = lost.any(axis=2).argmax(axis=1), lost.any(axis=1).argmax(axis=1)
    seen = np.histogram2d(top, left, bins=[range(9), range(9)])[0]
    assert (seen[:5, :5] > 0).all()
    assert seen[:5, :5].sum() == n
    assert stats.chisquare(seen[:5, :5].ravel()).pvalue > 1e-3


def test_masking_takes_its_share_of_other_formats() -> None:
    lost = corrupt(torch.zeros(50, 1, 20, 40), "masking", 0.25, generator=seed(5)) == -1
    assert lost.sum(dim=(1, 2, 3)).tolist() == [200] * 50


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_level_zero_changes_nothing(kind: str) -> None:
    x = random_images(10, 3, 12, 12)
    assert torch.equal(corrupt(x, kind, 0, generator=seed()), x)


@pytest.mark.parametrize("kind", ["masking", "dropout"])
def test_level_one_loses_everything(kind: str) -> None:
    assert (corrupt(random_images(200, 1, 28, 28), kind, 1, generator=seed()) == -1).all()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_image_is_corrupted_in_its_own_way(kind: str) -> None:
    x_tilde = corrupt(torch.zeros(50, 1, 28, 28), kind, 0.2, generator=seed())
    assert len(x_tilde.unique(dim=0)) > 40


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_follows_its_generator_and_leaves_the_images_alone(kind: str) -> None:
    x = random_images(6, 1, 28, 28)
    before, state = x.clone(), torch.get_rng_state()
    generator = seed(1)
    first, second = (corrupt(x, kind, 0.4, generator=generator) for _ in range(2))
    assert torch.equal(first, corrupt(x, kind, 0.4, generator=seed(1)))
    assert not torch.equal(first, second)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_without_a_generator_torch_s_own_is_taken(kind: str) -> None:
    x = random_images(6, 1, 28, 28)
    with seeded(7):
        first, second = corrupt(x, kind, 0.4), corrupt(x, kind, 0.4)
    with seeded(7):
        assert torch.equal(corrupt(x, kind, 0.4), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_corrupted_follow_the_images(kind: str, dtype: torch.dtype, device: torch.device) -> None:
    if device.type == "mps" and dtype == torch.float64:
        pytest.skip("no float64 on this accelerator")
    x = random_images(3, 2, 28, 28).to(device, dtype)
    x_tilde = corrupt(x, kind, 0.5, generator=seed(0, device))
    assert (x_tilde.shape, x_tilde.dtype, x_tilde.device) == (x.shape, dtype, x.device)


@pytest.mark.parametrize(
    "refused",
    [lambda kind, level: corrupt(torch.zeros(1, 1, 4, 4), kind, level),
     lambda kind, level: DenoisingAutoencoder(2, kind=kind, level=level)],
    ids=["corrupt", "model"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("kind", "level", "message"),
    [
        ("noise", 0.5, "kind='noise'.*gaussian, masking, dropout"),
        ("gaussian", -0.1, "level=-0.1"),
        ("masking", -0.1, "level=-0.1"),
        ("masking", 1.01, "level=1.01.*0 … 1"),
        ("dropout", 2, "level=2.*0 … 1"),
        ("gaussian", math.nan, "level=nan"),
        ("dropout", math.nan, "level=nan"),
    ],
)
def test_impossible_corruptions_are_refused(
    refused: Callable[[str, float], object], kind: str, level: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        refused(kind, level)


# -------------------------------------------------------------------------------------------------- meta


class OnlyMeta(TorchDispatchMode):
    """Fails where an operation makes a tensor on a device of flesh and blood."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            assert not isinstance(tensor, Tensor) or tensor.is_meta, (
                f"{func} made a tensor on {tensor.device}"
            )
        return made


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_models_run_on_meta(kind: str) -> None:
    with OnlyMeta(), torch.device("meta"):
        x = torch.empty(4, 1, 28, 28)
        models = Autoencoder(2), DenoisingAutoencoder(2, kind=kind)
    with OnlyMeta():  # what is not told a device now lies on the CPU
        for model in models:
            assert model(x).shape == x.shape
            model.loss(x, generator=torch.Generator("cpu")).backward()
        assert corrupt(x, kind, 0.5, generator=torch.Generator("cpu")).shape == x.shape


def test_sampling_runs_on_meta() -> None:
    with OnlyMeta(), torch.device("meta"):
        model = Autoencoder(2)
    with OnlyMeta():
        assert model.sample(5, generator=torch.Generator("cpu")).shape == (5, 1, 28, 28)
