"""Losses against closed forms, corruptions against their statistics, the Gaussian of the codes against numpy; the
VAE's parts against torch.distributions, its bounds against a model whose likelihood is known."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from drawn import random_images, seed
from only_meta import OnlyMeta
from scipy import ndimage, stats
from sklearn.metrics import mean_squared_error
from torch import Tensor, nn
from torch import distributions as dist

from course_utils.autoencoders import (
    CORRUPTIONS,
    LIKELIHOODS,
    VAE,
    Autoencoder,
    DenoisingAutoencoder,
    Elbo,
    KLAutoencoder,
    binarise,
    corrupt,
    kl_each_dimension,
    kl_standard_normal,
    reparameterise,
    squared_error,
)
from course_utils.data import load_images, resize
from course_utils.nets import seeded


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
    model = blank(build(kind, in_channels=shape[1], size=shape[2]))
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
    with pytest.raises(ValueError, match="x_hat"):
        squared_error(torch.zeros(shape), torch.zeros(3, 1, 4, 4))


# --------------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize(("latent_dim", "channels", "size"), [(1, 1, 28), (5, 3, 32), (16, 1, 8)])
def test_shapes(latent_dim: int, channels: int, size: int, device: torch.device) -> None:
    model = build(latent_dim=latent_dim, in_channels=channels, size=size).to(device)
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


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """64 digits of 16 × 16 pixels."""
    return resize(load_images("digits").x[::62][:64], 16)


def train(model: Autoencoder | VAE, data: list[Tensor], lr: float) -> None:
    optimiser, source = torch.optim.Adam(model.parameters(), lr=lr), seed(9)
    for x in data:
        optimiser.zero_grad()
        model.loss(x, generator=source).backward()
        optimiser.step()


@pytest.mark.usefixtures("one_thread")
def test_an_autoencoder_soon_beats_every_constant_image(digits: Tensor) -> None:
    constant = (
        squared_error(digits.mean(dim=0).expand_as(digits), digits).mean().item()
    )  # the best is the mean
    model = build(latent_dim=16, size=16)
    train(model, [digits] * 120, lr=2e-3)
    assert model.loss(digits).item() < 0.5 * constant


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
    model = build(in_channels=3, size=8).to(device)
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
    x = (random_images(30, channels, 28, 28) * 0.9).to(device)
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
def test_a_patch_puts_one_square_of_its_share_on_the_background(
    level: float, size: int, channels: int, device: torch.device
) -> None:
    x = (random_images(20, channels, size, size) * 0.9).to(device)
    x_tilde = corrupt(x, "patch", level, generator=seed(3, device))
    lost = x_tilde == -1
    assert torch.equal(x_tilde[~lost], x[~lost])
    assert torch.equal(lost, lost[:, :1].expand_as(lost))
    side = min(range(size + 1), key=lambda s: abs(s - size * math.sqrt(level)))
    for mask in lost[:, 0].cpu().numpy():
        (rows, columns), *others = ndimage.find_objects(ndimage.label(mask)[0])
        assert others == []
        assert mask[rows, columns].all()
        assert rows.stop - rows.start == columns.stop - columns.start == side


def test_a_patch_reaches_every_place_evenly() -> None:
    n = 10_000
    lost = corrupt(torch.zeros(n, 1, 8, 8), "patch", 0.25, generator=seed(4))[:, 0].numpy() == -1
    top, left = lost.any(axis=2).argmax(axis=1), lost.any(axis=1).argmax(axis=1)
    seen = np.histogram2d(top, left, bins=[range(9), range(9)])[0]
    assert (seen[:5, :5] > 0).all()
    assert seen[:5, :5].sum() == n
    assert stats.chisquare(seen[:5, :5].ravel()).pvalue > 1e-3


def test_a_patch_takes_its_share_of_other_formats() -> None:
    lost = corrupt(torch.zeros(50, 1, 20, 40), "patch", 0.25, generator=seed(5)) == -1
    assert lost.sum(dim=(1, 2, 3)).tolist() == [200] * 50


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_level_zero_changes_nothing(kind: str) -> None:
    x = random_images(10, 3, 12, 12)
    assert torch.equal(corrupt(x, kind, 0, generator=seed()), x)


@pytest.mark.parametrize("kind", ["patch", "dropout"])
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
        ("noise", 0.5, "kind='noise'.*gaussian, patch, dropout"),
        ("gaussian", -0.1, "level=-0.1"),
        ("patch", -0.1, "level=-0.1"),
        ("patch", 1.01, "level=1.01.*0 … 1"),
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


# ------------------------------------------------------------------------------ the variational autoencoder


def build_vae(latent_dim: int = 3, *, number: int = 1, **arguments: object) -> VAE:
    with seeded(number):
        return VAE(latent_dim, **arguments)


def codes(*shape: int, number: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seed(number), dtype=torch.float64)


def diagonal(mu: Tensor, logvar: Tensor) -> dist.Independent:
    return dist.Independent(dist.Normal(mu, (0.5 * logvar).exp()), 1)


def test_the_kl_is_that_of_torch_distributions() -> None:
    mu, logvar = 2 * codes(50, 7), 2 * codes(50, 7, number=1)
    prior = dist.Independent(dist.Normal(torch.zeros(7).double(), torch.ones(7).double()), 1)
    expected = dist.kl_divergence(diagonal(mu, logvar), prior)
    torch.testing.assert_close(kl_standard_normal(mu, logvar), expected)
    each = dist.kl_divergence(dist.Normal(mu, (0.5 * logvar).exp()), dist.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_each_dimension(mu, logvar), each)
    torch.testing.assert_close(kl_each_dimension(mu, logvar).sum(dim=1), expected)


@pytest.mark.parametrize("number", range(3))
def test_the_kl_is_the_mean_log_ratio_of_posterior_to_prior(number: int) -> None:
    mu, logvar = codes(1, 4, number=number), codes(1, 4, number=10 + number)
    q = stats.norm(mu.numpy(), np.exp(logvar.numpy() / 2))
    z = q.rvs((400_000, 4), random_state=number)
    ratio = (q.logpdf(z) - stats.norm.logpdf(z)).sum(axis=1)
    error = ratio.std() / math.sqrt(len(ratio))
    assert kl_standard_normal(mu, logvar).item() == pytest.approx(ratio.mean(), abs=4.5 * error)


def test_the_kl_of_the_prior_to_itself_is_0_and_nowhere_less() -> None:
    zeros = torch.zeros(3, 5)
    assert (kl_each_dimension(zeros, zeros) == 0).all()
    grid = torch.cartesian_prod(torch.linspace(-3, 3, 31), torch.linspace(-3, 3, 31)).double()
    kl = kl_each_dimension(grid[:, :1], grid[:, 1:])
    assert (kl >= 0).all()
    assert (grid[kl.argmin()].abs() < 1e-6).all()


@pytest.mark.parametrize(
    ("mu", "logvar"),
    [((3, 2), (3, 1)), ((3, 2), (1, 2)), ((3, 2), (2,)), ((2,), (2,)), ((1, 3, 2), (1, 3, 2))],
)
@pytest.mark.parametrize("kl", [kl_standard_normal, kl_each_dimension])
def test_the_kl_refuses_to_broadcast(
    kl: Callable[..., Tensor], mu: tuple[int, ...], logvar: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"mu (must|.* and logvar)"):
        kl(torch.zeros(mu), torch.zeros(logvar))


def test_a_draw_from_the_posterior_has_its_mean_and_spread(device: torch.device) -> None:
    mu, logvar = torch.tensor([-2.0, 0.0, 5.0]), torch.tensor([-4.0, 0.0, 2.0])
    wide = (mu.expand(20_000, -1).to(device), logvar.expand(20_000, -1).to(device))
    z = reparameterise(*wide, generator=seed(0, device))
    assert z.device == wide[0].device
    for j, (mean, std) in enumerate([(-2, math.exp(-2)), (0, 1), (5, math.e)]):
        assert stats.kstest(z[:, j].cpu().numpy(), stats.norm(mean, std).cdf).pvalue > 1e-4
    assert np.abs(np.corrcoef(z.T.cpu().numpy()) - np.eye(3)).max() < 4.5 / math.sqrt(20_000)


# For z ~ N(μ, σ²), E z² = μ² + σ²: its slope is 2 μ in μ, and σ² in log σ².
def test_gradients_of_an_expectation_pass_through_the_draw() -> None:
    mu = torch.tensor([-1.0, 0.5, 2.0]).double().requires_grad_()
    logvar = torch.tensor([-2.0, 0.0, 1.0]).double().requires_grad_()
    n = 400_000
    z = reparameterise(mu.expand(n, -1), logvar.expand(n, -1), generator=seed())
    of_mu, of_logvar = torch.autograd.grad(z.square().mean(dim=0).sum(), (mu, logvar))
    np.testing.assert_allclose(of_mu, 2 * mu.detach(), atol=5 * 2 * math.exp(0.5) / math.sqrt(n))
    variance = logvar.detach().exp()
    # z ∂z/∂log σ² = (μ + σ ε) σ ε: standard deviation at most σ |μ| + √2 σ²
    error = variance.sqrt() * mu.detach().abs() + math.sqrt(2) * variance
    assert ((of_logvar - variance).abs() < 5 * error / math.sqrt(n)).all()


def test_a_draw_follows_its_generator() -> None:
    mu, logvar = torch.zeros(4, 3), torch.zeros(4, 3)
    state = torch.get_rng_state()
    first, again, other = (reparameterise(mu, logvar, generator=seed(number)) for number in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------------------------------- binary images


def test_binary_images_are_as_bright_as_the_grey_ones_on_average(device: torch.device) -> None:
    x = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).to(device)
    n = 20_000
    drawn = binarise(x.expand(n, -1, -1, -1), generator=seed(0, device)).cpu()
    assert drawn.unique().tolist() == [-1, 1]
    white = (drawn == 1).sum(dim=0).flatten().tolist()
    brightness = np.linspace(0, 1, 64)
    for count, expected in zip(white, brightness, strict=True):
        assert stats.binomtest(count, n, expected).pvalue > 1e-5
    neighbours = (drawn[..., 1:] * drawn[..., :-1]).mean(dim=0).flatten()
    expected = (x[..., 1:] * x[..., :-1]).cpu().flatten()  # pixels are drawn each by itself
    assert (neighbours - expected).abs().max() < 4.5 / math.sqrt(n)


def test_black_and_white_images_stay_as_they_are() -> None:
    x = torch.randint(2, (500, 3, 8, 8), generator=seed()).float() * 2 - 1
    assert torch.equal(binarise(x, generator=seed(1)), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_binary_images_follow_generator_and_dtype(dtype: torch.dtype) -> None:
    x = random_images(6, 3, 8, 8).to(dtype)
    before, state = x.clone(), torch.get_rng_state()
    first, again, other = (binarise(x, generator=seed(number)) for number in (1, 1, 2))
    assert (first.shape, first.dtype) == (x.shape, dtype)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


# -------------------------------------------------------------------------------------- the likelihoods


def wide_awake(model: VAE) -> VAE:
    """The same model in float64, decoding to all brightnesses."""
    model = model.double()
    with torch.no_grad():
        model.decoder[-2].weight.mul_(40)
    return model


def test_the_bernoulli_likelihood_is_that_of_torch_distributions() -> None:
    model = wide_awake(build_vae(in_channels=3, size=8))
    x, z = binarise(random_images(20, 3, 8, 8).double(), generator=seed()), codes(20, 3)
    decoded = model.decode(z)
    assert decoded.min() < -0.5 < 0.5 < decoded.max()
    pixels = dist.Independent(dist.Bernoulli((decoded + 1) / 2), 3)
    torch.testing.assert_close(model.log_likelihood(x, z), pixels.log_prob((x + 1) / 2))


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_the_gaussian_likelihood_is_that_of_torch_distributions(sigma: float) -> None:
    model = wide_awake(build_vae(likelihood="gaussian", sigma=sigma, in_channels=3, size=8))
    x, z = random_images(20, 3, 8, 8).double(), codes(20, 3)
    pixels = dist.Independent(dist.Normal(model.decode(z), sigma), 3)
    torch.testing.assert_close(model.log_likelihood(x, z), pixels.log_prob(x), rtol=1e-6, atol=1e-4)


def test_a_learned_sigma_is_the_one_of_the_likelihood() -> None:
    model = wide_awake(build_vae(likelihood="gaussian", size=8))
    x, z = random_images(20, 1, 8, 8).double(), codes(20, 3)
    for sigma in (1.0, 0.3):  # 1 is where it starts
        pixels = dist.Independent(dist.Normal(model.decode(z), sigma), 3)
        torch.testing.assert_close(model.log_likelihood(x, z), pixels.log_prob(x), rtol=1e-6, atol=1e-4)
        nn.init.constant_(model.log_sigma, math.log(0.3))


def test_the_probabilities_of_all_binary_images_sum_to_1() -> None:
    model = wide_awake(build_vae(size=4))
    bits = torch.arange(2**16)[:, None] >> torch.arange(16) & 1
    x = (bits * 2.0 - 1).double().view(-1, 1, 4, 4)
    raw = model.decoder.before_tanh(codes(1, 3))
    model.decoder = Fixed(raw)
    total = model.log_likelihood(x, codes(1, 3).expand(len(x), -1)).logsumexp(dim=0)
    assert total.item() == pytest.approx(0, abs=1e-9)


class Fixed(nn.Module):
    """A decoder that knows one image."""

    def __init__(self, raw: Tensor):
        super().__init__()
        self.raw = raw.detach()

    def before_tanh(self, z: Tensor) -> Tensor:
        return self.raw.expand(len(z), -1, -1, -1)


def test_a_grey_image_is_as_likely_as_its_binary_ones_on_average() -> None:
    model = wide_awake(build_vae(size=8))
    x, z = random_images(1, 1, 8, 8).double(), codes(1, 3)
    n = 20_000
    model.decoder = Fixed(model.decoder.before_tanh(z))
    binary = binarise(x.expand(n, -1, -1, -1), generator=seed())
    each = model.log_likelihood(binary, z.expand(n, -1))
    error = each.std().item() / math.sqrt(n)
    assert each.mean().item() == pytest.approx(model.log_likelihood(x, z).item(), abs=4.5 * error)
    assert error < 0.2


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_likelihoods_stay_finite_where_the_decoder_is_sure(likelihood: str) -> None:
    model = build_vae(likelihood=likelihood, size=4)
    model.decoder = Fixed(torch.tensor([-1e4, 1e4]).repeat(8).view(1, 1, 4, 4))
    x = torch.tensor([-1.0, 1.0]).repeat(8).view(1, 1, 4, 4)
    right, wrong = (model.log_likelihood(image, torch.zeros(1, 3)) for image in (x, -x))
    assert right.isfinite().all()
    assert wrong.isfinite().all()
    assert wrong.item() < right.item() - 30
    if likelihood == "bernoulli":
        assert right.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 3, 8, 8), (2, 1, 4, 4), (2, 64)], ids=str)
def test_a_likelihood_refuses_to_broadcast(likelihood: str, shape: tuple[int, ...]) -> None:
    model = build_vae(likelihood=likelihood, size=8)
    with pytest.raises(ValueError, match=r"x (must|.* and the decoded codes z \(2, 1, 8, 8\))"):
        model.log_likelihood(torch.zeros(shape), torch.zeros(2, 3))


def test_before_its_tanh_the_decoder_gives_the_number_that_its_image_is_the_tanh_of() -> None:
    net = build_vae(in_channels=3, size=8).decoder
    z = torch.randn(5, 3, generator=seed()) * 3
    raw = net.before_tanh(z)
    torch.testing.assert_close(nn.Sequential.forward(net, z), net(z))
    torch.testing.assert_close(torch.atanh(net(z).double()), raw.double(), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        net[-2].weight.mul_(1000)
        net[-2].bias.zero_()
        sure = net.before_tanh(z)  # 1000 times what the weights gave: where float32 rounds the tanh to 1
    assert (net(z).abs() == 1).any()
    torch.testing.assert_close(sure, 1000 * (raw + 1), rtol=1e-3, atol=1e-2)
    with pytest.raises(ValueError, match=r"\(N, 3\).*not \(5, 2\)"):
        net.before_tanh(z[:, :2])


# ------------------------------------------------------------- the bounds, where log p(x) is known exactly


class LinearDecoder(nn.Module):
    """An image of mean A z + b."""

    def __init__(self, matrix: Tensor, offset: Tensor):
        super().__init__()
        self.matrix, self.offset = matrix, offset

    def before_tanh(self, z: Tensor) -> Tensor:
        return torch.atanh(z @ self.matrix.T + self.offset).view(-1, 1, 4, 4)


class LinearEncoder(nn.Module):
    """The mean G (x - b) + shift, and a fixed log σ²."""

    def __init__(self, gain: Tensor, offset: Tensor, shift: Tensor, logvar: Tensor):
        super().__init__()
        self.gain, self.offset, self.shift, self.logvar = gain, offset, shift, logvar

    def forward(self, x: Tensor) -> Tensor:
        mu = (x.flatten(1) - self.offset) @ self.gain.T + self.shift
        return torch.cat([mu, self.logvar.expand_as(mu)], dim=1)


class Known(NamedTuple):
    """A VAE that is factor analysis, x = A z + b + σ ε: images, their log p(x), and KL(q ‖ p(z|x))."""

    model: VAE
    x: Tensor
    log_p: np.ndarray
    gap: float


def known(*, poor: bool, n: int = 200, sigma: float = 0.1) -> Known:
    """With the encoder that is the posterior, or a poor one, shifted and with three times the variance.

    The columns of A are orthogonal, so that p(z|x) has a diagonal covariance.
    """
    rng = np.random.default_rng(0)
    matrix = np.linalg.qr(rng.standard_normal((16, 2)))[0] * [0.15, 0.05]
    offset = rng.uniform(-0.2, 0.2, 16)
    joint = stats.multivariate_normal(offset, matrix @ matrix.T + sigma**2 * np.eye(16))
    x = joint.rvs(n, random_state=1)
    precision = np.eye(2) + matrix.T @ matrix / sigma**2
    gain = np.linalg.solve(precision, matrix.T) / sigma**2
    exact = -torch.from_numpy(precision).diagonal().log()
    logvar = exact + math.log(3) if poor else exact
    shift = torch.tensor([0.4, -0.6] if poor else [0.0, 0.0]).double()
    model = build_vae(2, likelihood="gaussian", sigma=sigma, size=4).double()
    nn.init.constant_(model.log_sigma, math.log(sigma))  # in float64
    tensors = [torch.from_numpy(array) for array in (matrix, offset, gain)]
    model.decoder = LinearDecoder(*tensors[:2])
    model.encoder = LinearEncoder(tensors[2], tensors[1], shift, logvar)
    gap = dist.kl_divergence(diagonal(shift, logvar), diagonal(torch.zeros(2).double(), exact))
    return Known(model, torch.from_numpy(x).view(n, 1, 4, 4), joint.logpdf(x), gap.item())


def elbo_less_log_p(model: VAE, x: Tensor, log_p: np.ndarray, n: int = 200) -> tuple[float, float]:
    """The mean of n draws of each image, and its standard error."""
    off = model.elbo(x.repeat(n, 1, 1, 1), generator=seed()).total.numpy() - np.tile(log_p, n)
    return off.mean(), off.std() / math.sqrt(off.size)


def test_with_the_exact_posterior_every_sample_knows_log_p() -> None:
    model, x, log_p, gap = known(poor=False)
    assert gap == 0
    assert log_p.std() > 1
    for samples in (1, 7):
        found = model.iwae_bound(x, samples, generator=seed())
        np.testing.assert_allclose(found, log_p, rtol=1e-9)


@pytest.mark.usefixtures("one_thread")
def test_with_the_exact_posterior_the_elbo_is_log_p_on_average() -> None:
    model, x, log_p, _ = known(poor=False)
    off, error = elbo_less_log_p(model, x, log_p)
    assert abs(off) < 4.5 * error
    assert error < 0.02


@pytest.mark.usefixtures("one_thread")
def test_the_elbo_lies_below_log_p_by_the_kl_to_the_posterior() -> None:
    model, x, log_p, gap = known(poor=True)
    off, error = elbo_less_log_p(model, x, log_p)
    assert gap > 0.5
    assert off == pytest.approx(-gap, abs=4.5 * error)
    assert error < 0.02


@pytest.mark.usefixtures("one_thread")
def test_the_importance_weighted_bound_rises_with_its_samples_from_the_elbo_to_log_p() -> None:
    model, x, log_p, gap = known(poor=True, n=4000)
    means, errors = [], []
    for samples in (1, 3, 10, 100):
        off = model.iwae_bound(x, samples, generator=seed(samples)).numpy() - log_p
        means.append(off.mean())
        errors.append(off.std() / math.sqrt(len(off)))
    assert means[0] == pytest.approx(-gap, abs=4.5 * errors[0])
    assert all(np.diff(means) > 0)
    assert means[1] > means[0] + 0.2
    assert abs(means[-1]) < 0.03
    assert means[-1] < 4.5 * errors[-1]


@pytest.mark.usefixtures("one_thread")
def test_with_many_samples_the_bound_is_log_p_image_by_image() -> None:
    model, x, log_p, _ = known(poor=True, n=20)
    np.testing.assert_allclose(model.iwae_bound(x, 5000, generator=seed()), log_p, atol=0.15)
    few = model.iwae_bound(x, 1, generator=seed()).numpy()
    assert np.abs(few - log_p).max() > 0.5


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_bound_of_a_real_network_lies_above_its_elbo(likelihood: str) -> None:
    model = build_vae(likelihood=likelihood, size=8)
    with torch.no_grad():
        model.encoder[-1].bias[3:] = 1.0  # posteriors too wide
        model.decoder[-2].weight.mul_(20)
    x = random_images(1, 1, 8, 8).expand(200, -1, -1, -1)
    with torch.no_grad():
        elbo = model.elbo(x, generator=seed()).total
    bound = model.iwae_bound(x, 20, generator=seed(1))
    error = math.hypot(elbo.std().item(), bound.std().item()) / math.sqrt(200)
    assert bound.mean().item() > elbo.mean().item() + 4.5 * error
    assert not bound.requires_grad


@pytest.mark.parametrize("logvar", [100.0, 1e30, -1e30])
@pytest.mark.parametrize("model", [lambda: build_vae(size=8), lambda: KLAutoencoder(width=8, in_channels=1)])
def test_a_variance_out_of_all_bounds_gives_a_finite_loss(
    model: Callable[[], VAE | KLAutoencoder], logvar: float
) -> None:
    net, x = model(), random_images(2, 1, 8, 8)
    last = net.encoder[-1]
    with torch.no_grad():
        last.bias[len(last.bias) // 2 :].fill_(logvar)
    assert net.posterior(x)[1].unique().tolist() == [10.0 if logvar > 0 else -20.0]
    loss = net.loss(x, generator=seed())
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in net.parameters())


@pytest.mark.parametrize("samples", [0, -1])
def test_a_bound_needs_a_sample(samples: int) -> None:
    with pytest.raises(ValueError, match=f"samples={samples} "):
        build_vae(size=8).iwae_bound(random_images(2, 1, 8, 8), samples)


# ---------------------------------------------------------------------------------------- the VAE's loss


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_loss_is_minus_the_mean_elbo(likelihood: str) -> None:
    model, x = build_vae(likelihood=likelihood), random_images(6, 1, 28, 28)
    elbo = model.elbo(x, generator=seed(3))
    assert (elbo.log_likelihood.shape, elbo.kl.shape, elbo.total.shape) == ((6,), (6,), (6,))
    assert model.loss(x, generator=seed(3)).item() == pytest.approx(-elbo.total.mean().item(), rel=1e-6)
    assert model.loss(x, generator=seed(3)).shape == ()


def test_the_elbo_s_kl_is_that_of_the_posterior_to_the_prior() -> None:
    model, x = build_vae(), random_images(6, 1, 28, 28)
    mu, logvar = model.posterior(x)
    prior = dist.Independent(dist.Normal(torch.zeros(3), torch.ones(3)), 1)
    torch.testing.assert_close(model.elbo(x).kl, dist.kl_divergence(diagonal(mu, logvar), prior))
    torch.testing.assert_close(model.encode(x), mu)
    assert torch.equal(Elbo(torch.tensor([5.0]), torch.tensor([2.0])).total, torch.tensor([3.0]))


def test_beta_weighs_the_kl_alone() -> None:
    model, x = build_vae(), random_images(6, 1, 28, 28)
    with torch.no_grad():
        model.encoder[-1].bias.add_(1)  # so that the KL can be told from rounding
        elbo = model.elbo(x, generator=seed())
        loss = {}
        for beta in (0.0, 0.5, 4.0):
            model.beta = beta
            loss[beta] = model.loss(x, generator=seed()).item()
    kl = elbo.kl.mean().item()
    assert kl > 1
    assert loss[0.0] == pytest.approx(-elbo.log_likelihood.mean().item(), rel=1e-6)
    for beta in (0.5, 4.0):
        assert loss[beta] - loss[0.0] == pytest.approx(beta * kl, rel=1e-3)


def slopes(model: VAE, x: Tensor) -> list[Tensor]:
    model.zero_grad()
    model.loss(x, generator=seed()).backward()
    return [weight.grad.clone() for weight in model.encoder.parameters()]


def test_below_its_free_bits_the_kl_pulls_at_nothing() -> None:
    model, x = build_vae(size=8).double(), random_images(6, 1, 8, 8).double()
    pulled = slopes(model, x)
    model.free_bits = 50.0
    free = slopes(model, x)
    loss = model.loss(x, generator=seed()).item()
    model.free_bits, model.beta = 0.0, 0.0
    for with_free_bits, without_kl, with_kl in zip(free, slopes(model, x), pulled, strict=True):
        torch.testing.assert_close(with_free_bits, without_kl)
        assert not torch.allclose(with_kl, without_kl)
    of_pixels = model.loss(x, generator=seed()).item()
    assert loss == pytest.approx(of_pixels + 3 * 50)  # λ for each dimension


class Posterior(nn.Module):
    """An encoder that gives two images codes of its own choice."""

    def __init__(self, mu: list[list[float]]):
        super().__init__()
        self.mu = nn.Parameter(torch.tensor(mu))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.mu, torch.zeros_like(self.mu)], dim=1)


# With σ = 1 the KL of a dimension is μ² / 2: (2, 0), (0.02, 0.02) and (0, 0) nats in the two images.
@pytest.mark.parametrize(("free_bits", "pulled", "kl"), [(0.9, [True, False, False], 1 + 0.9 + 0.9),
                                                         (0.01, [True, True, False], 1 + 0.02 + 0.01),
                                                         (1.1, [False, False, False], 3.3)])  # fmt: skip
def test_free_bits_are_of_each_dimension_over_the_batch(
    free_bits: float, pulled: list[bool], kl: float
) -> None:
    model, x = build_vae(free_bits=free_bits, beta=2.0, size=8), random_images(2, 1, 8, 8)
    model.encoder = Posterior([[2.0, 0.2, 0.0], [0.0, -0.2, 0.0]])
    model.decoder = Fixed(torch.zeros(1, 1, 8, 8))  # what is left for the encoder is the KL's gradient
    loss = model.loss(x, generator=seed())
    loss.backward()
    assert (model.encoder.mu.grad.abs().sum(dim=0) > 0).tolist() == pulled
    flat = 64 * math.log(2)  # of pixels that are black or white with probability ½
    assert loss.item() == pytest.approx(flat + 2 * kl, rel=1e-5)


def test_free_bits_change_nothing_above_them() -> None:
    model, x = build_vae(size=8), random_images(6, 1, 8, 8)
    with torch.no_grad():
        model.encoder[-1].bias.add_(2)
    plain = model.loss(x, generator=seed())
    assert kl_each_dimension(*model.posterior(x)).mean(dim=0).min() > 0.5
    model.free_bits = 0.5
    torch.testing.assert_close(model.loss(x, generator=seed()), plain)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_weight_of_a_vae_learns(likelihood: str, device: torch.device) -> None:
    model = build_vae(likelihood=likelihood).to(device)
    model.loss(random_images(16, 1, 28, 28).to(device), generator=seed(0, device)).backward()
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert weight.grad.isfinite().all(), name
            assert weight.grad.abs().max() > 0, name
    learned = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert learned == (["log_sigma"] if likelihood == "bernoulli" else [])


def test_a_vae_needs_no_labels_and_follows_its_generator() -> None:
    model, x = build_vae(), random_images(6, 1, 28, 28)
    state = torch.get_rng_state()
    assert model.loss(x, torch.arange(6), generator=seed(1)) == model.loss(x, generator=seed(1))
    assert model.loss(x, generator=seed(1)) != model.loss(x, generator=seed(2))
    bounds = [model.iwae_bound(x, 3, generator=seed(number)) for number in (1, 1, 2)]
    assert torch.equal(bounds[0], bounds[1])
    assert not torch.equal(bounds[0], bounds[2])
    assert torch.equal(torch.get_rng_state(), state)


# Of pure noise nothing can be decoded but its mean, 0: what is left is its standard deviation.
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("std", [0.2, 0.5])
def test_a_learned_sigma_goes_to_that_of_the_noise_in_the_images(std: float) -> None:
    model = build_vae(1, likelihood="gaussian", size=4)
    source, reach = seed(2), math.sqrt(3) * std  # of even noise
    data = [reach * (2 * torch.rand(64, 1, 4, 4, generator=source) - 1) for _ in range(100)]
    train(model, data, lr=2e-2)
    assert model.log_sigma.exp().item() == pytest.approx(std, rel=0.05)


@pytest.mark.usefixtures("one_thread")
def test_a_fixed_sigma_stays() -> None:
    model = build_vae(likelihood="gaussian", sigma=0.25, size=8)
    before = model.log_sigma.clone()
    assert before.exp().item() == pytest.approx(0.25)
    weight = model.decoder[0].weight.detach().clone()
    train(model, [random_images(8, 1, 8, 8)] * 3, lr=1e-2)
    assert torch.equal(model.log_sigma, before)
    assert not torch.equal(model.decoder[0].weight, weight)


# Without a code, the best that a decoder can do is one brightness, or one mean and σ, for each pixel or all of them.
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_vae_soon_beats_the_best_that_there_is_without_codes(likelihood: str, digits: Tensor) -> None:
    digits = digits[:16]
    white = ((digits + 1) / 2).mean(dim=0).double()
    spread = (digits - digits.mean(dim=0)).square().mean().sqrt()
    constant = {
        "bernoulli": dist.Bernoulli(white).entropy().sum().item(),
        "gaussian": 256 * dist.Normal(0.0, spread).entropy().item(),
    }[likelihood]
    model = build_vae(8, likelihood=likelihood, size=16)
    train(model, [digits] * 200, lr=5e-3)
    assert model.loss(digits, generator=seed()).item() < constant - 5  # three seeds: 8 and more


# ----------------------------------------------------------------------------------------- the VAE as a model


@pytest.mark.parametrize(("latent_dim", "channels", "size"), [(1, 1, 28), (5, 3, 32), (16, 1, 8)])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_shapes_of_a_vae(
    latent_dim: int, channels: int, size: int, likelihood: str, device: torch.device
) -> None:
    model = build_vae(latent_dim, in_channels=channels, size=size, likelihood=likelihood).to(device)
    x = random_images(4, channels, size, size).to(device)
    mu, logvar = model.posterior(x)
    assert mu.shape == logvar.shape == model.encode(x).shape == (4, latent_dim)
    assert model.decode(mu).shape == model.reconstruct(x).shape == x.shape
    assert model.reconstruct(x).abs().max() <= 1
    back = model.decode(model.encode(x)).detach().cpu()
    np.testing.assert_allclose(model(x).detach().cpu(), back, atol=1e-5)
    elbo = model.elbo(x, generator=seed(0, device))
    assert elbo.total.shape == model.iwae_bound(x, 2, generator=seed(0, device)).shape == (4,)
    assert elbo.total.device == x.device
    sample = model.sample(7, generator=seed(0, device))
    assert sample.shape == (7, channels, size, size)
    assert sample.device == x.device
    assert sample.abs().max() <= 1


def test_samples_of_a_vae_are_decoded_from_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_vae()
    monkeypatch.setattr(model, "decode", lambda z: z)
    z = model.sample(20_000, generator=seed())
    assert z.shape == (20_000, 3)
    for row in z.T:
        assert stats.kstest(row.numpy(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(z.T.numpy()) - np.eye(3)).max() < 4.5 / math.sqrt(20_000)


def test_samples_of_a_vae_follow_their_generator() -> None:
    model = build_vae(size=8)
    state = torch.get_rng_state()
    first, again, other = (model.sample(5, generator=seed(number)) for number in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_vae_refuses_labels() -> None:
    with pytest.raises(ValueError, match="y was given"):
        build_vae(size=8).sample(3, torch.arange(3))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_weights_of_a_vae_make_another_the_same(likelihood: str) -> None:
    model, other = (build_vae(likelihood=likelihood, size=8, number=number) for number in (1, 2))
    with torch.no_grad():
        if likelihood == "gaussian":
            model.log_sigma.fill_(-1.5)
    x = random_images(5, 1, 8, 8)
    assert not torch.equal(other.iwae_bound(x, 2, generator=seed()), model.iwae_bound(x, 2, generator=seed()))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.iwae_bound(x, 2, generator=seed()), model.iwae_bound(x, 2, generator=seed()))
    assert torch.equal(other.sample(3, generator=seed()), model.sample(3, generator=seed()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": 0}, "latent_dim=0 "),
        ({"latent_dim": -3}, "latent_dim=-3 "),
        ({"likelihood": "poisson"}, "likelihood='poisson'.*bernoulli, gaussian"),
        ({"likelihood": "gaussian", "sigma": 0.0}, "sigma=0.0 .*above 0"),
        ({"likelihood": "gaussian", "sigma": -1.0}, "sigma=-1.0 "),
        ({"likelihood": "gaussian", "sigma": math.nan}, "sigma=nan "),
        ({"likelihood": "gaussian", "sigma": math.inf}, "sigma=inf "),
        ({"sigma": 0.5}, "sigma=0.5 .*gaussian likelihood only"),
        ({"beta": -0.1}, "beta=-0.1 "),
        ({"beta": math.nan}, "beta=nan "),
        ({"beta": math.inf}, "beta=inf "),
        ({"free_bits": -0.1}, "free_bits=-0.1 "),
        ({"free_bits": math.nan}, "free_bits=nan "),
        ({"size": 30}, "size=30 "),
    ],
)
def test_impossible_vaes_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAE(**{"latent_dim": 2} | arguments)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_vaes_run_on_meta(likelihood: str) -> None:
    with OnlyMeta(), torch.device("meta"):
        x = torch.empty(4, 1, 28, 28)
        model = VAE(2, likelihood=likelihood)
    with OnlyMeta():
        assert model(x).shape == x.shape
        model.loss(x, generator=torch.Generator("cpu")).backward()
        assert model.iwae_bound(x, 2, generator=torch.Generator("cpu")).shape == (4,)
        assert model.sample(5, generator=torch.Generator("cpu")).shape == (5, 1, 28, 28)
        assert binarise(x, generator=torch.Generator("cpu")).shape == x.shape
