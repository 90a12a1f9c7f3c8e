"""Generative adversarial networks: generator, discriminator, and the losses of their game."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from course_utils.inputs import (
    Model,
    at_least_float32,
    check_at_least,
    check_choice,
    check_codes,
    check_dtype,
    check_images,
    check_labels,
    check_maps,
    check_noisy_images,
    check_not_negative,
    check_num_classes,
    check_size,
    check_tensor,
    widest_float,
)

LOSSES = ("minimax", "non-saturating", "least-squares", "hinge", "wasserstein")
CONDITIONS = ("projection", "embedding")


class Generator(Model):
    """Noise to image: a linear layer to a map of a quarter of the size, then twice a transposed convolution.

    Source: Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative
    adversarial networks", 2016, figure 1 (here two steps up instead of four); the class joins the noise as in Mirza
    and Osindero, "Conditional generative adversarial nets", 2014, figure 1.

    Args:
        latent_dim: the number d of values in the noise z ~ N(0, I).
        num_classes: how many classes can be asked for; None: an unconditional generator.
        width: channels of the larger map; the smaller one has twice as many.
        out_channels, size: of the images, (N, out_channels, size, size); size divisible by 4.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        *,
        num_classes: int | None = None,
        width: int = 64,
        out_channels: int = 1,
        size: int = 28,
    ):
        super().__init__()
        check_size(size)
        check_at_least(1, latent_dim=latent_dim, width=width, out_channels=out_channels)
        check_num_classes(num_classes)
        self.latent_dim, self.num_classes = latent_dim, num_classes
        small, wide = size // 4, 2 * width
        self.embed = nn.Embedding(num_classes, latent_dim) if num_classes else None
        self.body = nn.Sequential(
            nn.Linear(2 * latent_dim if num_classes else latent_dim, wide * small**2, bias=False),
            nn.Unflatten(1, (wide, small, small)),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, out_channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Noise (N, d), and classes (N,) for a conditional generator, to images (N, C, H, W) in (-1, 1)."""
        check_codes(z, self.latent_dim)
        check_dtype(z, self, "z")
        check_labels(y, len(z), self.num_classes)
        if self.embed is not None:
            z = torch.cat([z, self.embed(y)], dim=1)
        return self.body(z)

    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        truncation: float = math.inf,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """n images from fresh noise: (n, C, H, W). A conditional generator draws the classes that are not given.

        truncation: see `draw_noise`.
        """
        weight = next(self.parameters())
        z = draw_noise(n, self.latent_dim, weight, truncation=truncation, generator=generator)
        if self.num_classes and y is None:
            y = torch.randint(self.num_classes, (n,), generator=generator, device=weight.device)
        return self(z, y)


def draw_noise(
    n: int, d: int, like: Tensor, *, truncation: float = math.inf, generator: torch.Generator | None = None
) -> Tensor:
    """n draws from N(0, I), each number given that its size is at most `truncation`: (n, d), where `like` lies.

    A small truncation keeps to the most likely noise: better images, less varied.
    Source: Brock, Donahue, Simonyan, "Large scale GAN training for high fidelity natural image synthesis", 2019,
    section 3.1. They draw anew what is too large; here the inverse of the distribution function does it at once.
    """
    check_at_least(1, n=n, d=d)
    if not truncation > 0:
        raise ValueError(f"truncation={truncation} must be above 0; inf leaves the noise as it is")
    if truncation == math.inf:
        return torch.randn(n, d, generator=generator, device=like.device, dtype=like.dtype)
    exact = widest_float(like.device)
    u = 2 * torch.rand(n, d, generator=generator, device=like.device, dtype=exact) - 1  # in [-1, 1)
    within = math.erf(truncation / math.sqrt(2))  # P(|z| ≤ truncation)
    return (math.sqrt(2) * torch.erfinv(u * within)).to(like.dtype).clamp(-truncation, truncation)


class Discriminator(Model):
    """Image to score s: real or generated? p(real) = sigmoid(s). Two convolutions halve the size; one hidden layer.

    Source: Radford et al., 2016. The condition enters as in Miyato and Koyama, "cGANs with projection discriminator",
    2018, equation 4 (`projection`: s = ψ(h) + ⟨v_y, h⟩ with the hidden layer h), or as a further channel that is
    learned for each class (`embedding`).

    Args:
        num_classes: how many classes there are; None: an unconditional discriminator.
        condition: `projection` or `embedding`.
        spectral: divide each weight by its largest singular value (Miyato et al., "Spectral normalization for
            generative adversarial networks", 2018), so that the score cannot change faster than the image.
        width: channels of the larger map; the smaller one has twice as many.
        in_channels, size: of the images, (N, in_channels, size, size); size divisible by 4.
    """

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        condition: str = "projection",
        spectral: bool = False,
        width: int = 64,
        in_channels: int = 1,
        size: int = 28,
    ):
        super().__init__()
        check_size(size)
        check_at_least(1, width=width, in_channels=in_channels)
        check_num_classes(num_classes)
        check_choice(CONDITIONS, condition=condition)
        self.num_classes, self.condition = num_classes, condition
        self.input_shape = in_channels, size, size
        by_channel = num_classes is not None and condition == "embedding"
        hidden = 2 * width
        norm: Callable[[nn.Module], nn.Module] = spectral_norm if spectral else (lambda layer: layer)
        self.body = nn.Sequential(
            norm(nn.Conv2d(in_channels + by_channel, width, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(width, hidden, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            norm(nn.Linear(hidden * (size // 4) ** 2, hidden)),
            nn.LeakyReLU(0.2),
        )
        self.head = norm(nn.Linear(hidden, 1))
        self.embed: nn.Module | None = None
        if num_classes:
            self.embed = norm(nn.Embedding(num_classes, size**2 if by_channel else hidden))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W), and classes (N,) for a conditional discriminator, to scores (N,)."""
        check_noisy_images(x, self.input_shape)
        check_dtype(x, self)
        check_labels(y, len(x), self.num_classes)
        if self.embed is None:
            return self.head(self.body(x)).squeeze(1)
        if self.condition == "embedding":
            channel = self.embed(y).view(len(x), 1, *x.shape[2:])
            return self.head(self.body(torch.cat([x, channel], dim=1))).squeeze(1)
        h = self.body(x)
        return self.head(h).squeeze(1) + (self.embed(y) * h).sum(dim=1)


# ------------------------------------------------------------------------------------------------ the losses


def discriminator_loss(
    real: Tensor, fake: Tensor, wrong: Tensor | None = None, *, kind: str = "non-saturating"
) -> Tensor:
    """What the discriminator lowers, from its scores (N,) of real and of generated images: a scalar.

    | kind | loss |
    | --- | --- |
    | minimax, non-saturating | -log σ(real) - log(1 - σ(fake)), σ the sigmoid |
    | least-squares | ½ (real - 1)² + ½ fake² |
    | hinge | max(0, 1 - real) + max(0, 1 + fake) |
    | wasserstein | fake - real (add `gradient_penalty`) |

    wrong: scores of real images beside a class that is not theirs; they count as generated ones, each kind half.

    Source: Goodfellow et al., "Generative adversarial nets", 2014, equation 1; Mao et al., "Least squares generative
    adversarial networks", 2017, equation 9; Lim and Ye, "Geometric GAN", 2017, equation 12 (hinge); Arjovsky et al.,
    "Wasserstein GAN", 2017, equation 2; the wrong pairs are Reed et al., "Generative adversarial text to image
    synthesis", 2016, algorithm 1.
    """
    _check_scores(real=real, fake=fake)
    as_real, as_fake = _sides(kind)
    false = as_fake(fake).mean()
    if wrong is not None:
        _check_scores(wrong=wrong)
        false = (false + as_fake(wrong).mean()) / 2
    return as_real(real).mean() + false


def _check_scores(**scores: Tensor) -> None:
    """Raise ValueError unless they are float (N,), or (N, 1) as a linear layer gives them, N ≥ 1."""
    for name, s in scores.items():
        check_tensor(s, name)
        check_maps(s[:, 0] if s.ndim == 2 and s.shape[1] == 1 else s, (), name)


def _sides(kind: str) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What a score costs the discriminator where "real" is the right answer, and where "generated" is."""
    if kind in ("minimax", "non-saturating"):
        return (lambda s: F.softplus(-s)), F.softplus
    if kind == "least-squares":
        return (lambda s: 0.5 * (s - 1).square()), (lambda s: 0.5 * s.square())
    if kind == "hinge":
        return (lambda s: F.relu(1 - s)), (lambda s: F.relu(1 + s))
    if kind == "wasserstein":
        return (lambda s: -s), (lambda s: s)
    raise ValueError(f"kind={kind!r} is unknown; allowed: {', '.join(LOSSES)}")


def generator_loss(fake: Tensor, *, kind: str = "non-saturating") -> Tensor:
    """What the generator lowers, from the discriminator's scores (N,) of its images: a scalar.

    | kind | loss |
    | --- | --- |
    | minimax | log(1 - σ(fake)): no gradient where the discriminator is sure |
    | non-saturating | -log σ(fake) |
    | least-squares | ½ (fake - 1)² |
    | hinge, wasserstein | -fake |

    Source: as `discriminator_loss`; the non-saturating loss is Goodfellow et al., 2014, section 3.
    """
    _check_scores(fake=fake)
    if kind == "minimax":
        return -F.softplus(fake).mean()
    if kind in ("hinge", "wasserstein"):
        return -fake.mean()
    as_real, _ = _sides(kind)
    return as_real(fake).mean()


def r1_penalty(discriminator: Callable[..., Tensor], x: Tensor, y: Tensor | None = None) -> Tensor:
    """E ‖∇ₓ D(x)‖² over real images (N, …): a scalar to be added to the discriminator's loss, times γ / 2.

    Source: Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually converge?", 2018, equation 9.
    """
    return _input_gradient(discriminator, x, y).square().sum(dim=1).mean()


def gradient_penalty(
    discriminator: Callable[..., Tensor],
    real: Tensor,
    fake: Tensor,
    y: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """E (‖∇ₓ D(x)‖ - 1)² at random points between pairs of real and generated images (N, …): a scalar.

    Source: Gulrajani et al., "Improved training of Wasserstein GANs", 2017, equation 3 (there times λ = 10).
    """
    check_tensor(real, "real")
    check_tensor(fake, "fake")
    check_maps(real, (None,) * max(1, real.ndim - 1), "real")
    check_maps(fake, (None,) * max(1, fake.ndim - 1), "fake")
    if real.shape != fake.shape:
        raise ValueError(f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have the same shape")
    t = torch.rand(len(real), generator=generator, device=real.device, dtype=real.dtype)
    x = torch.lerp(
        fake.to(real.dtype), real, t.view(-1, *[1] * (real.ndim - 1))
    )  # fake: bfloat16 under autocast
    return (_input_gradient(discriminator, x, y).norm(dim=1) - 1).square().mean()


def _input_gradient(discriminator: Callable[..., Tensor], x: Tensor, y: Tensor | None) -> Tensor:
    """∇ₓ of each image's score, flattened: (N, number of values); itself differentiable."""
    check_tensor(x, "x")
    check_maps(x, (None,) * max(1, x.ndim - 1))
    x = x.detach().requires_grad_()
    scores = discriminator(x) if y is None else discriminator(x, y)
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return gradient.flatten(1)


class GAN(nn.Module):
    """The two players and what each of them lowers, ready for two objectives of `training.fit`.

    Source: Goodfellow et al., 2014, algorithm 1.

    Args:
        generator: `generator(z, y)` → images, with `latent_dim` and `num_classes` (None: called with z alone).
        discriminator: `discriminator(x, y)` → scores (N,); called with x alone where there are no classes.
        kind: of both losses; see `discriminator_loss`.
        r1: weight γ ≥ 0 of γ/2 · `r1_penalty`, taken on the first quarter of each batch, which is a random one.
        penalty: weight λ ≥ 0 of `gradient_penalty`.
        mismatched: show the discriminator real images beside classes that are not theirs, too.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        kind: str = "non-saturating",
        r1: float = 0.0,
        penalty: float = 0.0,
        mismatched: bool = False,
    ):
        super().__init__()
        _sides(kind)
        check_not_negative(r1=r1, penalty=penalty)
        self.latent_dim: int = generator.latent_dim  # type: ignore[assignment]
        self.num_classes: int | None = generator.num_classes  # type: ignore[assignment]
        if mismatched and not self.num_classes:
            raise ValueError("mismatched=True needs a generator with classes")
        self.generator, self.discriminator, self.kind = generator, discriminator, kind
        self.r1, self.penalty, self.mismatched = r1, penalty, mismatched

    def discriminator_loss(
        self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """The discriminator's loss on real images x (N, …) of classes y and as many generated ones."""
        y = self._check(x, y)
        x_hat = self._generate(x, y, generator).detach()  # not no_grad, where arguments are read: a wait
        pairs = [(x, y), (x_hat, y)]
        if self.mismatched and self.num_classes and y is not None:  # the first implies the others
            pairs.append((x, other_classes(y, self.num_classes, generator)))
        loss = discriminator_loss(*self._scores(*pairs), kind=self.kind)
        if self.r1:
            n = max(1, len(x) // 4)
            loss = loss + self.r1 / 2 * r1_penalty(self.discriminator, x[:n], None if y is None else y[:n])
        if self.penalty:
            steep = gradient_penalty(self.discriminator, x, x_hat, y, generator=generator)
            loss = loss + self.penalty * steep
        return loss

    def generator_loss(
        self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """The generator's loss on as many images of its own as there are real ones, of the same classes."""
        y = self._check(x, y)
        (fake,) = self._scores((self._generate(x, y, generator), y))
        return generator_loss(fake, kind=self.kind)

    def _check(self, x: Tensor, y: Tensor | None) -> Tensor | None:
        """The classes that the players are shown, or a ValueError unless x are images, or points (N, d)."""
        if x.ndim == 2:
            check_maps(x, (None,))
        else:
            check_images(x)
        check_dtype(x, self.generator)
        if self.num_classes:
            check_labels(y, len(x), self.num_classes)
        return y if self.num_classes else None

    def _generate(self, x: Tensor, y: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """As many images as there are in x, of the same shape."""
        z = draw_noise(len(x), self.latent_dim, x, generator=generator)
        x_hat = self.generator(z) if y is None else self.generator(z, y)
        if x_hat.shape != x.shape:
            raise ValueError(
                f"x {tuple(x.shape)} and what the generator gives, {tuple(x_hat.shape)}, must be alike"
            )
        return x_hat

    def _scores(self, *pairs: tuple[Tensor, Tensor | None]) -> tuple[Tensor, ...]:
        """The scores (N,) of each pair of images and classes, in one run of the discriminator."""
        x = torch.cat([images for images, _ in pairs])
        labels = [y for _, y in pairs if y is not None]
        scores = self.discriminator(x, torch.cat(labels)) if labels else self.discriminator(x)
        return at_least_float32(scores).split([len(images) for images, _ in pairs])


def other_classes(y: Tensor, num_classes: int, generator: torch.Generator | None = None) -> Tensor:
    """For each class in y (N,) one of the others, all equally likely: int64 (N,)."""
    check_num_classes(num_classes)
    check_tensor(y, "y")
    check_labels(y, y.numel(), num_classes)
    return (y + torch.randint(1, num_classes, y.shape, generator=generator, device=y.device)) % num_classes
