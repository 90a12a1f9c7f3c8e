"""What cannot be is refused everywhere alike: a table of all public functions, with what each argument is; from a
right call, wrong ones are made by the kind of the argument, and each must raise ValueError and name it.

A public function that is neither in the table nor among the exceptions fails the first test.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import re
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import seed
from no_waiting import as_on_an_accelerator
from torch import Tensor, nn

from course_utils import (
    autoencoders,
    data,
    diffusion,
    features,
    gan,
    inputs,
    latent,
    likelihood,
    metrics,
    nets,
    viz,
)
from course_utils.data import scenes, to_float, to_uint8
from course_utils.diffusion import DiffusionModel
from course_utils.recipes import scene_diffusion

pytestmark = pytest.mark.usefixtures("one_thread")


# ------------------------------------------------------------------------------------------------ the kinds


class Kind(NamedTuple):
    """A right value of an argument, and wrong ones by what is wrong with them."""

    right: Any
    wrong: dict[str, Any]


def maps(*shape: int, n: int = 12, free: int = 2) -> Kind:
    """A float batch (n, *shape) of any numbers, its last `free` sizes any."""
    x = torch.randn(n, *shape, generator=seed())
    wrong = {
        "one item, no batch": x[0],
        "one dimension more": x[None],
        "an empty batch": x[:0],
        "integers": x.round().long(),
        "NumPy": x.numpy(),
    }
    if free < len(shape):
        wrong["other channels"] = torch.cat([x, x], dim=1)
    if free == 0 and len(shape) > 1:
        wrong["another size"] = F.pad(x, (0, 4, 0, 4))
    return Kind(x, wrong)


def images(*shape: int, n: int = 12, free: int = 2) -> Kind:
    """Images (n, *shape) in [-1, 1]."""
    x = 2 * torch.rand(n, *shape, generator=seed()) - 1
    spoilt = x.clone()
    spoilt[-1, ..., -1] = math.nan
    wrong = maps(*shape, n=n, free=free).wrong | {
        "0 … 255": (x + 1) * 127.5,
        "0 … 1": (x + 1) / 2,
        "NaN": spoilt,
        "infinity": spoilt.nan_to_num(math.inf),
        "bytes": ((x + 1) * 127.5).to(torch.uint8),
    }
    return Kind(x, wrong)


def codes(d: int, *, n: int = 12, free: bool = False) -> Kind:
    """Finite codes or features (n, d); a width of its own, if it is free."""
    z = torch.randn(n, d, generator=seed())
    wrong = maps(d, n=n, free=1).wrong | {"NaN": z * math.nan, "infinity": z * math.inf}
    del wrong["one dimension more"]
    wrong["one dimension more"] = z[:, :, None]
    if not free:
        wrong["another width"] = z[:, 1:]
    return Kind(z, wrong)


def probs(n: int, num_classes: int) -> Kind:
    p = torch.randn(n, num_classes, generator=seed()).softmax(dim=1)
    negative = p.clone()
    negative[0, 0], negative[0, 1] = -0.1, p[0, :2].sum() + 0.1
    logits = {"logits": p.log(), "negative": negative, "sum 2": 2 * p}
    return Kind(p, codes(num_classes, n=n, free=True).wrong | logits)


def but(kind: Kind, *names: str) -> Kind:
    """The kind, but for some values that are wrong elsewhere."""
    return Kind(kind.right, {what: value for what, value in kind.wrong.items() if what not in names})


def labels(num_classes: int, *, n: int = 12) -> Kind:
    """A class for each of n images."""
    return tokens(num_classes, n=n)


def tokens(count: int, *shape: int, n: int = 12) -> Kind:
    """int64 (n, *shape), 0 … count - 1."""
    y = torch.arange(n * math.prod(shape)).view(n, *shape) % count
    below, above = y.clone(), y.clone()
    below[-1], above[0] = -1, count
    wrong = {
        "float": y.float(),
        "int32": y.int(),
        "bool": y > 0,
        "a list": y.tolist(),
        "NumPy": y.numpy(),
        "too few": y[:-1],
        "in a column": y[..., None],
        "-1": below,
        "the number of classes": above,
    }
    return Kind(y, wrong)


def times(T: int, *, first: int = 1, n: int = 12) -> Kind:
    t = first + torch.arange(n) % (T - first + 1)
    low, high = t.clone(), t.clone()
    low[0], high[-1] = first - 1, T + 1
    wrong = tokens(T, n=n).wrong
    return Kind(t, {name: wrong[name] for name in ("float", "int32", "a list", "too few", "in a column")}
                | {"before the first": low, "after T": high})  # fmt: skip


def moments(*, n: int = 12) -> Kind:
    """Times of a flow, float (n,) in [0, 1]."""
    t = torch.linspace(0, 1, n)
    before, after, spoilt = t - 0.1, t + 0.1, t.clone()
    spoilt[3] = math.nan
    wrong = {
        "integers": t.long(),
        "a list": t.tolist(),
        "NumPy": t.numpy(),
        "before 0": before,
        "after 1": after,
        "NaN": spoilt,
    }
    return Kind(t, wrong)


def a_moment_each(*, n: int = 12) -> Kind:
    kind = moments(n=n)
    return Kind(kind.right, kind.wrong | {"too few": kind.right[1:], "in a column": kind.right[:, None]})


def count(right: int = 2, *, least: int = 1, most: int | None = None) -> Kind:
    wrong = {str(least - 1): least - 1, "-1": -1, "2.5": 2.5, "True": True, "a word": "two"}
    return Kind(right, wrong if most is None else wrong | {str(most + 1): most + 1})


def number(right: float, *wrong: float) -> Kind:
    return Kind(right, {str(value): value for value in wrong})


def word(right: str) -> Kind:
    return Kind(right, {"unknown": "nonsense"})


# ------------------------------------------------------------------------------------------ small models


class Row(NamedTuple):
    """How a function is called, and of which kind its arguments are."""

    call: Callable[..., Any]
    arguments: dict[str, Kind]


def row(call: Callable[..., Any], **arguments: Kind) -> Row:
    return Row(call, arguments)


@functools.cache
def small() -> SimpleNamespace:
    """A small model of each family, for images of 8 × 8, which knows 5 classes if it knows any."""
    with nets.seeded(0):
        autoencoder = autoencoders.Autoencoder(3, size=8)
        denoising = autoencoders.DenoisingAutoencoder(3, size=8)
        for model in (autoencoder, denoising):
            model.fit_codes(images(1, 8, 8, n=40).right)
        generator, with_classes = (gan.Generator(3, num_classes=c, width=4, size=8) for c in (None, 5))
        judge, knowing_judge = (gan.Discriminator(num_classes=c, width=4, size=8) for c in (None, 5))
        unet = {c: diffusion.unet_diffusion((1, 8, 8), width=16, num_classes=c, steps=2) for c in (None, 5)}
        codec = autoencoders.KLAutoencoder(width=8)
        ldm = scene_diffusion(width=16, num_res_blocks=1, text_width=16, steps=2)
        return SimpleNamespace(
            autoencoder=autoencoder, denoising=denoising, vae=autoencoders.VAE(3, size=8),
            kl=codec, generator=generator, conditional=with_classes, judge=judge, knowing=knowing_judge,
            gan=gan.GAN(generator, judge), cgan=gan.GAN(with_classes, knowing_judge),
            ddpm=unet[None], classes=unet[5], ldm=ldm,
            straight=diffusion.FlowMatching(nets.UNet(width=16), shape=(1, 8, 8), steps=2),
            guided=diffusion.FlowMatching(nets.UNet(width=16, num_classes=5), num_classes=5, shape=(1, 8, 8), steps=2),
            flow=likelihood.CouplingFlow(64, hidden=8, levels=16), plane=likelihood.CouplingFlow(2, hidden=8),
            pixels=likelihood.PixelCNN(8, 8, channels=8, blocks=1),
            encoder=nets.Encoder(3, size=8), decoder=nets.Decoder(3, size=8), classifier=nets.Classifier(5),
            reader=nets.SceneReader(), unet=nets.UNet(width=16, num_classes=5),
            reading=nets.UNet(width=16, context_dim=6), cross=nets.CrossAttention(16, 6),
            text=latent.TextEncoder(9, width=8, length=4),
        )  # fmt: skip


def of(name: str, method: str) -> Callable[..., Any]:
    """A method of a small model, which is made when it is called."""
    return lambda **arguments: getattr(getattr(small(), name), method)(**arguments)


DIGIT, TOY = (1, 8, 8), (2,)
T = 1000


def sampler(function: Callable[..., Iterator[diffusion.Step]], **more: Kind) -> Row:
    def call(**arguments: Any) -> list[diffusion.Step]:
        return list(function(small().classes, guidance=2.0, generator=seed(), **arguments))

    return row(call, x_T=maps(1, 8, 8, n=3), y=labels(5, n=3), negative=labels(5, n=3),
               **{"steps": count(2, most=T)} | more)  # fmt: skip


def followed(function: Callable[..., Iterator[diffusion.Step]]) -> Row:
    def call(**arguments: Any) -> list[diffusion.Step]:
        return list(function(small().guided, **arguments))

    return row(call, x_1=maps(1, 8, 8, n=3), steps=count(2), y=labels(5, n=3), negative=labels(5, n=3),
               guidance=number(2.0, -1.0, math.nan, math.inf))  # fmt: skip


def inpainted(**arguments: Any) -> list[diffusion.Step]:
    mask = torch.arange(64).view(8, 8) % 2 == 1
    return list(diffusion.inpaint(small().classes, mask=mask, generator=seed(), **arguments))


def edited(**arguments: Any) -> list[diffusion.Step]:
    return list(diffusion.image_to_image(small().classes, generator=seed(), **arguments))


def enlarged(**arguments: Any) -> list[diffusion.Step]:
    return list(diffusion.super_resolve(small().classes, generator=seed(), **arguments))


def of_scenes(**arguments: Any) -> Any:
    facts = scenes.sample_attributes(2, generator=seed())
    return scenes.render(facts, **arguments)


ANY_TIMES = Kind(times(T).right, {key: times(T).wrong[key] for key in ("too few", "in a column")})
FLAT = but(codes(2), "one dimension more")
ANY_SHAPE = but(images(*DIGIT, free=3), "one item, no batch", "one dimension more")
KNOWN = but(images(*DIGIT), "0 … 1")  # of a part of the images it cannot be told
CENTRES = but(codes(2, n=3, free=True), "one item, no batch", "one dimension more", "integers")
FACTS = scenes.reading(scenes.sample_attributes(12, generator=seed()))
BIG = Kind(images(3, 64, 64).right, images(3, 64, 64, n=12, free=0).wrong)

TABLE: dict[str, Row] = {
    # ---- data
    "data.batches": row(
        lambda **a: data.batches(data.Images(torch.zeros(9, 1, 4, 4), torch.zeros(9).long(), ("a",)),
                                 generator=seed(), **a),
        batch_size=count(2, most=9), steps=count(3),
    ),
    "data.load_images": row(lambda **a: data.load_images("digits", **{"split": "train", **a}),
                            n=count(3), size=count(8), split=word("test")),
    "data.resize": row(data.resize, x=images(*DIGIT), size=count(4)),
    "data.to_float": row(data.to_float, x=Kind(np.zeros((2, 8, 8), np.uint8), {
        "float": np.zeros((2, 8, 8), np.float32), "16 bits": np.zeros((2, 8, 8), np.uint16),
        "one image, flat": np.zeros(8, np.uint8), "a list": [[0]], "a tensor": torch.zeros(2, 8, 8).byte()})),
    "data.to_uint8": row(data.to_uint8, x=maps(*DIGIT, free=3)),
    "data.toy_points": row(lambda **a: data.toy_points(generator=seed(), **a), name=word("moons"), n=count(3)),
    "data.toy_log_prob": row(data.toy_log_prob, name=word("gaussians"), x=codes(2)),
    "data.scenes.sample_attributes": row(
        lambda **a: scenes.sample_attributes(generator=seed(), **a), n=count(3), combinations=word("seen")
    ),
    "data.scenes.parse": row(scenes.parse, sentences=Kind(["a red star at the top on white"], {
        "none": [], "one string": "a red star at the top on white"})),
    "data.scenes.agreement": row(scenes.agreement, read=Kind(FACTS, {
        "one scene": FACTS[0], "too few facts": FACTS[:, 1:], "too few": FACTS[:-1]}),
        asked=Kind(FACTS, {"too few facts": FACTS[:, 1:], "too few": FACTS[:-1]})),
    "data.scenes.render": row(of_scenes, size=count(16)),
    # ---- nets
    "nets.Classifier": row(nets.Classifier, num_classes=count(3, least=2), in_channels=count(1)),
    "nets.Classifier.features": row(of("classifier", "features"), x=images(*DIGIT)),
    "nets.Classifier.forward": row(of("classifier", "__call__"), x=images(*DIGIT)),
    "nets.Classifier.loss": row(of("classifier", "loss"), x=images(*DIGIT), y=labels(5)),
    "nets.Encoder": row(nets.Encoder, out_features=count(3), in_channels=count(1), size=count(8, least=4)),
    "nets.Encoder.forward": row(lambda x: small().encoder(x), x=maps(*DIGIT, free=0)),
    "nets.Decoder": row(nets.Decoder, in_features=count(3), out_channels=count(1), size=count(8, least=4)),
    "nets.Decoder.forward": row(lambda z: small().decoder(z), z=codes(3)),
    "nets.Decoder.before_tanh": row(of("decoder", "before_tanh"), z=codes(3)),
    "nets.SceneReader.feature_maps": row(of("reader", "feature_maps"), x=maps(3, 64, 64, free=0)),
    "nets.SceneReader.features": row(of("reader", "features"), x=BIG),
    "nets.SceneReader.forward": row(of("reader", "__call__"), x=BIG),
    "nets.SceneReader.read": row(of("reader", "read"), x=BIG),
    "nets.SceneReader.loss": row(of("reader", "loss"), x=BIG, y=Kind(FACTS, {
        "one scene": FACTS[0], "too few": FACTS[:-1], "too few facts": FACTS[:, 1:], "float": FACTS.float(),
        "a list": FACTS.tolist(), "as many as there are kinds": FACTS + 60})),
    "nets.UNet": row(nets.UNet, in_channels=count(1), out_channels=count(2), width=count(16, least=16),
                     num_res_blocks=count(1), num_classes=count(3, least=2), context_dim=count(4)),
    "nets.UNet.forward": row(lambda **a: small().unet(**a), x_t=maps(*DIGIT),
                             t=ANY_TIMES, y=labels(6)),
    "nets.CrossAttention": row(nets.CrossAttention, width=count(8, least=4), context_dim=count(6)),
    "nets.blur": row(nets.blur, x=maps(*DIGIT, free=3), sigma=number(1.0, -1.0, math.nan, math.inf)),
    "nets.over_batches": row(lambda **a: nets.over_batches(torch.sin, torch.zeros(9, 2), **a), batch_size=count(5)),
    "nets.shift_and_turn": row(lambda **a: nets.shift_and_turn(generator=seed(), **a), x=images(*DIGIT, free=3)),
    "nets.sinusoids": row(nets.sinusoids, t=Kind(times(T).right, {"in a column": torch.zeros(3, 1)}),
                          width=count(4, least=2)),
    # ---- likelihood
    "likelihood.quantise": row(likelihood.quantise, x=ANY_SHAPE, levels=count(4, least=2)),
    "likelihood.dequantise": row(likelihood.dequantise, x=ANY_SHAPE, levels=count(4, least=2)),
    "likelihood.CouplingFlow": row(likelihood.CouplingFlow, dim=count(2, least=2), layers=count(2, least=2),
                                   hidden=count(4), levels=count(4, least=2)),
    "likelihood.CouplingFlow.forward": row(of("plane", "__call__"), x=codes(2)),
    "likelihood.CouplingFlow.inverse": row(of("plane", "inverse"), z=codes(2)),
    "likelihood.CouplingFlow.log_prob": row(of("plane", "log_prob"), x=codes(2)),
    "likelihood.CouplingFlow.loss": row(of("plane", "loss"), x=FLAT),
    "likelihood.CouplingFlow.sample": row(of("plane", "sample"), n=count()),
    "likelihood.PixelCNN": row(likelihood.PixelCNN, height=count(4), width=count(4), levels=count(4, least=2),
                               channels=count(4, least=2), blocks=count(1, least=0)),
    "likelihood.PixelCNN.forward": row(of("pixels", "__call__"), x=images(*DIGIT, free=0)),
    "likelihood.PixelCNN.log_prob": row(of("pixels", "log_prob"), x=images(*DIGIT, free=0)),
    "likelihood.PixelCNN.loss": row(of("pixels", "loss"), x=images(*DIGIT, free=0)),
    "likelihood.PixelCNN.sample": row(of("pixels", "sample"), n=count()),
    # ---- autoencoders
    "autoencoders.Autoencoder": row(autoencoders.Autoencoder, latent_dim=count(3), in_channels=count(1),
                                    size=count(8, least=4), code_penalty=number(0.5, -1.0, math.nan, math.inf)),
    "autoencoders.Autoencoder.encode": row(of("autoencoder", "encode"), x=maps(*DIGIT, free=0)),
    "autoencoders.Autoencoder.decode": row(of("autoencoder", "decode"), z=codes(3)),
    "autoencoders.Autoencoder.reconstruct": row(of("autoencoder", "reconstruct"), x=maps(*DIGIT, free=0)),
    "autoencoders.Autoencoder.forward": row(of("autoencoder", "__call__"), x=maps(*DIGIT, free=0)),
    "autoencoders.Autoencoder.fit_codes": row(of("autoencoder", "fit_codes"), x=images(*DIGIT, free=0)),
    "autoencoders.Autoencoder.sample": row(of("autoencoder", "sample"), n=count()),
    "autoencoders.Autoencoder.loss": row(of("autoencoder", "loss"), x=images(*DIGIT, free=0)),
    "autoencoders.DenoisingAutoencoder": row(
        autoencoders.DenoisingAutoencoder, latent_dim=count(3), in_channels=count(1), size=count(8, least=4),
        kind=word("dropout"), level=number(0.5, -1.0, 1.5, math.nan),
    ),
    "autoencoders.DenoisingAutoencoder.loss": row(of("denoising", "loss"), x=images(*DIGIT, free=0)),
    "autoencoders.squared_error": row(autoencoders.squared_error, x=maps(*DIGIT), x_hat=maps(*DIGIT)),
    "autoencoders.corrupt": row(autoencoders.corrupt, x=images(*DIGIT, free=3), kind=word("dropout"),
                                level=number(0.5, -1.0, 1.5, math.nan)),
    "autoencoders.check_corruption": row(autoencoders.check_corruption, kind=word("dropout"),
                                         level=number(0.5, -1.0, 1.5, math.nan)),
    "autoencoders.kl_standard_normal": row(autoencoders.kl_standard_normal, mu=maps(3, free=1), logvar=maps(3)),
    "autoencoders.kl_each_dimension": row(autoencoders.kl_each_dimension, mu=maps(3, free=1), logvar=maps(3)),
    "autoencoders.reparameterise": row(autoencoders.reparameterise, mu=maps(3, free=1), logvar=maps(3)),
    "autoencoders.binarise": row(autoencoders.binarise, x=images(*DIGIT, free=3)),
    "autoencoders.VAE": row(autoencoders.VAE, latent_dim=count(3), in_channels=count(1), size=count(8, least=4),
                            beta=number(1.0, -1.0, math.nan), free_bits=number(1.0, -1.0, math.nan),
                            likelihood=word("bernoulli")),
    "autoencoders.VAE.posterior": row(of("vae", "posterior"), x=maps(*DIGIT, free=0)),
    "autoencoders.VAE.encode": row(of("vae", "encode"), x=maps(*DIGIT, free=0)),
    "autoencoders.VAE.decode": row(of("vae", "decode"), z=codes(3)),
    "autoencoders.VAE.reconstruct": row(of("vae", "reconstruct"), x=maps(*DIGIT, free=0)),
    "autoencoders.VAE.forward": row(of("vae", "__call__"), x=maps(*DIGIT, free=0)),
    "autoencoders.VAE.log_likelihood": row(of("vae", "log_likelihood"), x=images(*DIGIT, free=0), z=codes(3)),
    "autoencoders.VAE.elbo": row(of("vae", "elbo"), x=images(*DIGIT, free=0)),
    "autoencoders.VAE.loss": row(of("vae", "loss"), x=images(*DIGIT, free=0)),
    "autoencoders.VAE.iwae_bound": row(of("vae", "iwae_bound"), x=images(*DIGIT, free=0), samples=count()),
    "autoencoders.VAE.sample": row(of("vae", "sample"), n=count()),
    "autoencoders.KLAutoencoder": row(
        autoencoders.KLAutoencoder, factor=Kind(4, {"3": 3, "2.5": 2.5}), latent_channels=count(2),
        in_channels=count(1), width=count(8, least=8), kl_weight=number(0.1, -1.0, math.nan),
    ),
    "autoencoders.KLAutoencoder.posterior": row(of("kl", "posterior"), x=images(3, 8, 8)),
    "autoencoders.KLAutoencoder.encode": row(of("kl", "encode"), x=images(3, 8, 8)),
    "autoencoders.KLAutoencoder.decode": row(of("kl", "decode"), z=maps(4, 2, 2)),
    "autoencoders.KLAutoencoder.reconstruct": row(of("kl", "reconstruct"), x=images(3, 8, 8)),
    "autoencoders.KLAutoencoder.forward": row(of("kl", "__call__"), x=images(3, 8, 8)),
    "autoencoders.KLAutoencoder.loss": row(of("kl", "loss"), x=images(3, 8, 8)),
    "autoencoders.KLAutoencoder.fit_scale": row(of("kl", "fit_scale"), x=images(3, 8, 8)),
    "autoencoders.perceptual_distance": row(
        lambda **a: autoencoders.perceptual_distance(lambda x: [x], **a), x=maps(*DIGIT), x_hat=maps(*DIGIT, free=0)
    ),
    # ---- gan
    "gan.Generator": row(gan.Generator, latent_dim=count(3), num_classes=count(3, least=2), width=count(4),
                         out_channels=count(1), size=count(8, least=4)),
    "gan.Generator.forward": row(of("conditional", "__call__"), z=codes(3), y=labels(5)),
    "gan.Generator.sample": row(of("conditional", "sample"), n=count(12), y=labels(5),
                                truncation=number(1.0, 0.0, -1.0, math.nan)),
    "gan.draw_noise": row(lambda **a: gan.draw_noise(like=torch.zeros(()), **a), n=count(), d=count(),
                          truncation=number(1.0, 0.0, -1.0, math.nan)),
    "gan.Discriminator": row(gan.Discriminator, num_classes=count(3, least=2), width=count(4), in_channels=count(1),
                             size=count(8, least=4), condition=word("embedding")),
    "gan.Discriminator.forward": row(of("knowing", "__call__"), x=maps(*DIGIT, free=0), y=labels(5)),
    "gan.discriminator_loss": row(gan.discriminator_loss, real=maps(free=0), fake=maps(free=0), wrong=maps(free=0),
                                  kind=word("hinge")),
    "gan.generator_loss": row(gan.generator_loss, fake=maps(free=0), kind=word("hinge")),
    "gan.r1_penalty": row(lambda **a: gan.r1_penalty(small().knowing, **a), x=maps(*DIGIT, free=0), y=labels(5)),
    "gan.gradient_penalty": row(lambda **a: gan.gradient_penalty(small().knowing, **a), real=maps(*DIGIT, free=0),
                                fake=maps(*DIGIT, free=0), y=labels(5)),
    "gan.GAN": row(lambda **a: gan.GAN(small().conditional, small().knowing, **a), kind=word("hinge"),
                   r1=number(1.0, -1.0, math.nan), penalty=number(1.0, -1.0, math.nan)),
    "gan.GAN.discriminator_loss": row(of("cgan", "discriminator_loss"), x=images(*DIGIT, free=0), y=labels(5)),
    "gan.GAN.generator_loss": row(of("cgan", "generator_loss"), x=images(*DIGIT, free=0), y=labels(5)),
    "gan.other_classes": row(gan.other_classes, num_classes=count(5, least=2), y=but(labels(5), "too few")),
    # ---- diffusion
    "diffusion.DiffusionModel": row(
        lambda **a: DiffusionModel(nets.UNet(width=16), diffusion.cosine_schedule(), **a),
        prediction_type=word("v"), weighting=word("simple"), num_classes=count(3, least=2), steps=count(2),
        p_uncond=number(0.1, -0.1, 1.1, math.nan), sampler=word("ddim"),
        guidance=number(1.0, -1.0, math.nan, math.inf),
    ),
    "diffusion.DiffusionModel.q_sample": row(of("ddpm", "q_sample"), x0=maps(*DIGIT), t=times(T, first=0),
                                             eps=maps(*DIGIT, free=0)),
    "diffusion.DiffusionModel.loss": row(of("classes", "loss"), x=images(*DIGIT), y=labels(5)),
    "diffusion.DiffusionModel.check_data": row(of("ddpm", "check_data"), x=images(*DIGIT)),
    "diffusion.DiffusionModel.check_condition": row(lambda **a: small().classes.check_condition(n=12, **a),
                                                    y=labels(5)),
    "diffusion.DiffusionModel.check_guidance": row(lambda **a: small().classes.check_guidance(labels(5).right, **a),
                                                   guidance=number(2.0, -1.0, math.nan, math.inf)),
    "diffusion.DiffusionModel.predict": row(
        of("classes", "predict"), x_t=maps(*DIGIT), t=times(T), y=labels(6), negative=labels(6),
        guidance=number(2.0, -1.0, math.nan, math.inf),
    ),
    "diffusion.DiffusionModel.sample": row(of("classes", "sample"), n=count(12), y=labels(5), negative=labels(5),
                                           guidance=number(2.0, -1.0, math.nan, math.inf)),
    "diffusion.DiffusionModel.bits_per_dimension": row(
        lambda **a: DiffusionModel(small().unet, diffusion.linear_schedule(2), num_classes=5,
                                   shape=DIGIT).bits_per_dimension(**a),
        x=images(*DIGIT), y=labels(5), variance=word("small"),
    ),
    "diffusion.FlowMatching": row(
        lambda **a: diffusion.FlowMatching(nets.UNet(width=16), **a), num_classes=count(3, least=2), steps=count(2),
        p_uncond=number(0.1, -0.1, 1.1, math.nan), guidance=number(1.0, -1.0, math.nan, math.inf),
    ),
    "diffusion.FlowMatching.q_sample": row(of("straight", "q_sample"), x0=maps(*DIGIT), t=a_moment_each(),
                                           eps=maps(*DIGIT, free=0)),
    "diffusion.FlowMatching.loss": row(of("guided", "loss"), x=images(*DIGIT), y=labels(5),
                                       noise=maps(*DIGIT, free=0)),
    "diffusion.FlowMatching.check_data": row(of("straight", "check_data"), x=images(*DIGIT)),
    "diffusion.FlowMatching.check_condition": row(lambda **a: small().guided.check_condition(n=12, **a), y=labels(5)),
    "diffusion.FlowMatching.check_guidance": row(lambda **a: small().guided.check_guidance(labels(5).right, **a),
                                                 guidance=number(2.0, -1.0, math.nan, math.inf)),
    "diffusion.FlowMatching.velocity": row(
        of("guided", "velocity"), x_t=maps(*DIGIT), t=a_moment_each(), y=labels(6), negative=labels(6),
        guidance=number(2.0, -1.0, math.nan, math.inf),
    ),
    "diffusion.FlowMatching.sample": row(of("guided", "sample"), n=count(12), y=labels(5), negative=labels(5),
                                         guidance=number(2.0, -1.0, math.nan, math.inf)),
    "diffusion.euler_sample": followed(diffusion.euler_sample),
    "diffusion.midpoint_sample": followed(diffusion.midpoint_sample),
    "diffusion.straight_alpha_bar": row(diffusion.straight_alpha_bar, t=moments()),
    "diffusion.straight_time": row(diffusion.straight_time, alpha_bar=moments()),
    "diffusion.velocity_to_x0_eps": row(diffusion.velocity_to_x0_eps, velocity=maps(*DIGIT, free=0),
                                        x_t=but(maps(*DIGIT, free=0), "another size"), t=a_moment_each()),
    "diffusion.IdealDenoiser": row(
        lambda **a: diffusion.IdealDenoiser(diffusion.cosine_schedule(), **a), means=CENTRES,
        std=number(0.5, -1.0, math.nan), weights=Kind(torch.tensor([0.2, 0.3, 0.5]), {
            "sum 2": torch.tensor([0.5, 0.5, 1.0]), "negative": torch.tensor([-0.5, 0.5, 1.0]),
            "too few": torch.tensor([0.5, 0.5])}),
    ),
    "diffusion.IdealDenoiser.forward": row(
        lambda **a: diffusion.IdealDenoiser(diffusion.cosine_schedule(), torch.zeros(3, 2), 0.5)(**a),
        x_t=maps(2, free=0), t=times(T, first=0),
    ),
    "diffusion.Schedule": row(diffusion.Schedule, alpha_bar=Kind(torch.tensor([1, 0.5, 0.1]).double(), {
        "float32": torch.tensor([1, 0.5, 0.1]), "rising": torch.tensor([1, 0.1, 0.5]).double(),
        "below 0": torch.tensor([1, 0.1, -0.5]).double(), "from 0.9": torch.tensor([0.9, 0.5]).double(),
        "of one": torch.ones(1).double(), "two dimensions": torch.ones(2, 2).double(),
        "NaN": torch.tensor([1, math.nan, 0.1]).double()})),
    "diffusion.Schedule.signal_noise": row(
        lambda **a: diffusion.cosine_schedule().signal_noise(like=torch.zeros(12, 1), **a), t=times(T, first=0)
    ),
    "diffusion.linear_schedule": row(diffusion.linear_schedule, T=count(9), first=number(0.01, 0.0, 0.5, math.nan),
                                     last=number(0.02, 1.0, math.nan)),
    "diffusion.cosine_schedule": row(diffusion.cosine_schedule, T=count(9), s=number(0.01, -1.0, math.nan),
                                     largest_beta=number(0.9, 0.0, 1.0, math.nan)),
    "diffusion.zero_terminal_snr": row(diffusion.zero_terminal_snr, schedule=Kind(diffusion.linear_schedule(9), {
        "a single step": diffusion.linear_schedule(1)})),
    "diffusion.ddpm_sample": sampler(diffusion.ddpm_sample, variance=word("small"), start=count(9, most=T)),
    "diffusion.ddim_sample": sampler(diffusion.ddim_sample, eta=number(0.5, -0.1, 1.1, math.nan)),
    "diffusion.dpmpp_2m_sample": sampler(diffusion.dpmpp_2m_sample),
    "diffusion.heun_sample": sampler(diffusion.heun_sample),
    "diffusion.image_to_image": row(edited, x0=images(*DIGIT), start=count(500, most=T), steps=count(2, most=500),
                                    y=labels(5)),
    "diffusion.inpaint": row(inpainted, x_T=maps(*DIGIT), known=KNOWN, steps=count(2, most=T), y=labels(5),
                             resample=count(1)),
    "diffusion.super_resolve": row(enlarged, x_T=maps(*DIGIT), small=images(1, 4, 4), steps=count(2, most=T),
                                   y=labels(5)),
    "diffusion.distillation_loss": row(
        lambda **a: diffusion.distillation_loss(small().classes, small().classes, **a), x=images(*DIGIT), y=labels(5),
        substeps=count(2, most=T), guidance=number(2.0, -1.0, math.nan, math.inf),
    ),
    "diffusion.karras_time_steps": row(lambda **a: diffusion.karras_time_steps(diffusion.cosine_schedule(), **a),
                                       start=count(9, most=T), steps=count(2, most=9), rho=number(7.0, 0.0, math.nan)),
    "diffusion.time_steps": row(diffusion.time_steps, start=count(9), steps=count(2, most=9)),
    "diffusion.loss_weight": row(lambda **a: diffusion.loss_weight(torch.rand(3), **a), prediction_type=word("v"),
                                 weighting=word("min-snr")),
    "diffusion.target": row(lambda **a: diffusion.target(*torch.rand(4, 3), **a), prediction_type=word("v")),
    "diffusion.to_x0_eps": row(lambda **a: diffusion.to_x0_eps(*torch.rand(4, 3), **a), prediction_type=word("v")),
    "diffusion.unet_diffusion": row(lambda **a: diffusion.unet_diffusion(DIGIT, **a), width=count(16, least=16),
                                    num_classes=count(3, least=2), prediction_type=word("v")),
    # ---- latent
    "latent.WordTokenizer": row(lambda **a: latent.WordTokenizer(**{"words": ["a", "b"], **a}), length=count(3),
                                words=Kind(["a", "b"], {"twice": ["a", "a"], "capitals": ["A"]})),
    "latent.TextEncoder": row(latent.TextEncoder, num_tokens=count(3), width=count(4, least=4), layers=count(1),
                              length=count(2)),
    "latent.TextEncoder.forward": row(of("text", "__call__"), tokens=but(tokens(10, 4), "too few")),
    "latent.TextUNet.forward": row(lambda **a: small().ldm.diffusion.net(**a), x_t=maps(4, 8, 8), t=ANY_TIMES,
        y=tokens(len(scenes.WORDS) + 1, 16)),
    "latent.attention_maps": row(lambda **a: latent.attention_maps(small().ldm.diffusion.net, **a),
                                 x_t=maps(4, 8, 8), t=Kind(times(T).right, {"too few": times(T).right[1:]}),
                                 y=tokens(len(scenes.WORDS) + 1, 16)),
    "latent.LatentDiffusion.loss": row(of("ldm", "loss"), x=images(3, 64, 64, n=12),
                                       y=tokens(len(scenes.WORDS) + 1, 16)),
    "latent.LatentDiffusion.sample": row(of("ldm", "sample"), n=count(3), y=tokens(len(scenes.WORDS) + 1, 16, n=3),
                                         negative=tokens(len(scenes.WORDS) + 1, 16, n=3),
                                         guidance=number(2.0, -1.0, math.nan, math.inf)),
    # ---- metrics
    "metrics.FeatureStatistics.of": row(metrics.FeatureStatistics.of, features=codes(4, free=True)),
    "metrics.fid": row(metrics.fid, real=codes(4, free=True), fake=codes(4, free=True)),
    "metrics.kernel_inception_distance": row(metrics.kernel_inception_distance, real=codes(4, free=True),
                                             fake=codes(4, free=True), subsets=count(2),
                                             subset_size=count(5, least=2, most=12)),
    "metrics.precision_recall": row(metrics.precision_recall, real=codes(4, free=True), fake=codes(4, free=True),
                                    k=count(2, most=11)),
    "metrics.density_coverage": row(metrics.density_coverage, real=codes(4, free=True), fake=codes(4, free=True),
                                    k=count(2, most=11)),
    "metrics.inception_score": row(metrics.inception_score, probs=probs(12, 3), splits=count(2, most=12)),
    "metrics.auroc": row(metrics.auroc, **{name: Kind(torch.randn(9), {
        "two dimensions": torch.randn(3, 3), "none": torch.randn(0), "NaN": torch.full((3,), math.nan),
        "NumPy": np.zeros(3), "a list": [1.0]}) for name in ("normal", "anomalous")}),
    "metrics.perceptual_path_length": row(
        lambda **a: metrics.perceptual_path_length(lambda z: z, lambda a, b: (a - b).square().sum(dim=1), **a),
        z0=codes(3), z1=codes(3), epsilon=number(0.1, 0.0, -1.0, math.nan), discard=number(0.1, -0.1, 0.5, math.nan),
        batch_size=count(5),
    ),
    # ---- features, viz
    "features.feature_extractor": row(lambda **a: features.feature_extractor(**{"device": "cpu", **a}),
                                      network=word("digits"), device=word("cpu")),
    "features.readability": row(lambda **a: features.readability(**a)(a["real"]), known=images(1, 28, 28, free=0),
                                real=images(1, 28, 28, free=0)),
    "features.scene_accuracy": row(features.scene_accuracy, images=BIG, captions=Kind(
        ["a red star at the top on white"] * 12, {"too few": ["a red star at the top on white"]})),
    "viz.tile": row(viz.tile, x=maps(*DIGIT, free=3), columns=count(4), gap=count(1, least=0)),
    "viz.show_images": row(lambda **a: drawn(viz.show_images, **a), x=maps(*DIGIT, free=3), columns=count(4),
                           scale=number(0.6, 0.0, -1.0, math.nan, math.inf)),
    "viz.show_rows": row(lambda rows, **a: drawn(viz.show_rows, rows={"rows": rows}, **a), rows=maps(*DIGIT, free=3),
                         scale=number(0.6, 0.0, -1.0, math.nan, math.inf)),
    "viz.table": row(lambda **a: viz.table(["a", "b"], **a), rows=Kind([["x", 1.0]], {"too short": [["x"]]})),
}  # fmt: skip

NOT_IN_THE_TABLE = {
    "viz.chart": "takes a figure, which Matplotlib checks",
    "data.Batches": "abstract: `batches` makes one and checks",
    "data.EndlessScenes": "only holds what `sample_attributes` checks",
    "data.Images": "a record; its lengths are compared in test_data",
    "data.data_root": "takes nothing",
    "data.mnist_for_training": "takes a folder",
    "data.scenes.captions": "takes the facts that `sample_attributes` and `parse` give",
    "data.scenes.reading": "takes the facts that `sample_attributes` and `parse` give",
    "nets.SceneReader": "takes nothing",
    "nets.CrossAttention.forward": "a part of a UNet, which checks",
    "nets.CrossAttention.queries_keys_values": "a part of a UNet, which checks",
    "nets.CrossAttention.attention": "a part of a UNet, which checks",
    "nets.lerp": "numbers of any shape that broadcast",
    "nets.slerp": "numbers of any shape that broadcast",
    "nets.seeded": "torch checks the seed",
    "diffusion.DiffusionModel.get_extra_state": "what torch calls for a state_dict",
    "diffusion.DiffusionModel.set_extra_state": "what torch calls for a state_dict; see test_diffusion",
    "diffusion.DiffusionModel.sizes": "a part of the checks of others",
    "diffusion.DiffusionModel.drop_condition": "a part of `loss`, which checks",
    "diffusion.DiffusionModel.check_state": "what `predict` and the samplers check, which are in the table",
    "diffusion.FlowMatching.check_state": "what `velocity` and the samplers check, which are in the table",
    "diffusion.FlowMatching.sizes": "a part of the checks of others",
    "diffusion.FlowMatching.drop_condition": "a part of `loss`, which checks",
    "diffusion.FlowMatching.known_velocity": "`velocity` for arguments that are known to be right",
    "diffusion.DiffusionModel.known_predict": "`predict` for arguments that are known to be right",
    "diffusion.DiffusionModel.clipped": "a part of samplers and bound, which check",
    "diffusion.Schedule.agrees": "compares any numbers",
    "diffusion.Schedule.known_signal_noise": "`signal_noise` for times that are known to be right",
    "diffusion.Schedule.at": "`signal_noise` for times that are known to be right",
    "diffusion.posterior": "a formula for numbers of any shape that broadcast",
    "latent.Codec": "describes what others are",
    "latent.Codec.encode": "describes what others are",
    "latent.Codec.decode": "describes what others are",
    "latent.TextUNet": "takes networks",
    "latent.LatentDiffusion": "takes networks; see test_latent",
    "latent.LatentDiffusion.train": "torch's own",
    "latent.DiffusersCodec": "takes a network of diffusers",
    "latent.DiffusersCodec.encode": "checked in test_latent, with a network of diffusers",
    "latent.DiffusersCodec.decode": "a network of diffusers",
    "latent.ClipText": "takes a network of transformers",
    "latent.ClipText.train": "torch's own",
    "latent.ClipText.forward": "a network of transformers",
    "metrics.frechet_distance": "takes FeatureStatistics, which `of` checks",
}

MODULES = (
    "data", "data.scenes", "nets", "likelihood", "autoencoders", "gan", "diffusion", "latent", "metrics", "features",
    "viz",
)  # fmt: skip


def drawn(function: Callable[..., None], **arguments: Any) -> None:
    try:
        function(**arguments)
    finally:
        plt.close("all")


def public_functions() -> set[str]:
    """All public functions, constructors and methods of these modules; the methods of a base class that a module keeps
    to itself are those of the classes made from it."""
    found = set()
    for name in MODULES:
        module = importlib.import_module(f"course_utils.{name}")
        own = [key for key, value in vars(module).items()
               if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__]  # fmt: skip
        public = getattr(module, "__all__", own)
        for key in public:
            value = getattr(module, key)
            if inspect.isfunction(value):
                found.add(f"{name}.{key}")
            elif inspect.isclass(value):
                if "__init__" in vars(value) and not hasattr(value, "__dataclass_fields__"):
                    found.add(f"{name}.{key}")
                kept = [base for base in value.__mro__[1:]
                        if base.__module__.startswith(module.__name__) and base.__name__ not in public]  # fmt: skip
                found |= {
                    f"{name}.{key}.{method}" for part in (value, *kept) for method, function in vars(part).items()
                    if not method.startswith("_") and inspect.isfunction(getattr(function, "__func__", function))
                }  # fmt: skip
    return found


def test_every_public_function_is_in_the_table_or_an_exception_with_a_reason() -> None:
    found = public_functions()
    assert len(found) > 100
    assert found - TABLE.keys() - NOT_IN_THE_TABLE.keys() == set()
    assert TABLE.keys() & NOT_IN_THE_TABLE.keys() == set()
    known = TABLE.keys() | NOT_IN_THE_TABLE.keys()
    dataclasses = {"data.Batches", "data.EndlessScenes", "data.Images"}
    assert known - found - dataclasses == set(), "in the table, but no public function any more"


@pytest.mark.parametrize("name", TABLE)
def test_every_argument_of_the_table_is_one_of_the_function(name: str) -> None:
    function: Any = importlib.import_module("course_utils")
    for part in name.split("."):
        function = getattr(function, part)
    assert TABLE[name].arguments.keys() <= inspect.signature(function).parameters.keys()


@pytest.mark.parametrize("name", TABLE)
def test_a_right_call_is_taken(name: str) -> None:
    call, arguments = TABLE[name]
    call(**{key: kind.right for key, kind in arguments.items()})


WRONG = [
    pytest.param(name, argument, value, id=f"{name}: {argument}: {what}")
    for name, (_, arguments) in TABLE.items()
    for argument, kind in arguments.items()
    for what, value in kind.wrong.items()
]


@pytest.mark.parametrize(("name", "argument", "value"), WRONG)
def test_a_wrong_call_is_refused_by_an_error_that_names_the_argument(
    name: str, argument: str, value: Any
) -> None:
    call, arguments = TABLE[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (what it says is looked at below)
        call(**{key: kind.right for key, kind in arguments.items()} | {argument: value})
    names = "y|tokens" if argument == "y" and name.startswith("latent.") else argument
    assert re.search(rf"\b({names})\b", str(caught.value)), str(caught.value)


TOGETHER = [
    ("metrics.fid", "real", "fake"),
    ("metrics.kernel_inception_distance", "real", "fake"),
    ("metrics.precision_recall", "real", "fake"),
    ("metrics.density_coverage", "real", "fake"),
]


@pytest.mark.parametrize(("name", "one", "other"), TOGETHER)
def test_features_of_two_widths_are_refused(name: str, one: str, other: str) -> None:
    call, arguments = TABLE[name]
    right = {key: kind.right for key, kind in arguments.items()}
    for argument in (one, other):
        with pytest.raises(ValueError, match=r"features differ in width: \d and \d"):
            call(**right | {argument: right[argument][:, 1:]})


ALIKE = [
    ("autoencoders.squared_error", "x_hat"),
    ("autoencoders.kl_standard_normal", "logvar"),
    ("autoencoders.reparameterise", "logvar"),
    ("autoencoders.perceptual_distance", "x_hat"),
    ("autoencoders.VAE.log_likelihood", "z"),
    ("gan.gradient_penalty", "fake"),
    ("gan.Generator.forward", "y"),
    ("diffusion.DiffusionModel.q_sample", "eps"),
    ("diffusion.FlowMatching.loss", "noise"),
    ("diffusion.FlowMatching.q_sample", "eps"),
    ("diffusion.FlowMatching.q_sample", "t"),
    ("diffusion.FlowMatching.velocity", "t"),
    ("diffusion.velocity_to_x0_eps", "t"),
    ("diffusion.velocity_to_x0_eps", "velocity"),
    ("diffusion.inpaint", "known"),
    ("diffusion.super_resolve", "small"),
    ("metrics.perceptual_path_length", "z1"),
    ("features.scene_accuracy", "captions"),
]


# Of one item, each would be stretched to all, and the mean of the wrong numbers be given without a word.
@pytest.mark.parametrize(("name", "argument"), ALIKE)
def test_nothing_is_stretched_over_the_batch(name: str, argument: str) -> None:
    call, arguments = TABLE[name]
    right = {key: kind.right for key, kind in arguments.items()}
    with pytest.raises(ValueError, match=rf"\b{argument}\b"):
        call(**right | {argument: right[argument][:1]})


# ------------------------------------------------------------------------------------ all families of models


class Family(NamedTuple):
    """A model's loss and sample, images that it takes, and labels if it knows any."""

    loss: Callable[..., Tensor]
    sample: Callable[..., Tensor]
    x: Kind
    y: Kind | None = None


WORDS = tokens(len(scenes.WORDS) + 1, 16)


@functools.cache
def families() -> dict[str, Family]:
    s, digit = small(), images(*DIGIT)
    flat = but(digit, "other channels")
    return {
        "Autoencoder": Family(s.autoencoder.loss, s.autoencoder.sample, digit),
        "DenoisingAutoencoder": Family(s.denoising.loss, s.denoising.sample, digit),
        "VAE": Family(s.vae.loss, s.vae.sample, digit),
        "GAN, discriminator": Family(s.gan.discriminator_loss, s.generator.sample, digit),
        "GAN, generator": Family(s.gan.generator_loss, s.generator.sample, digit),
        "conditional GAN, discriminator": Family(
            s.cgan.discriminator_loss, s.conditional.sample, digit, labels(5)
        ),
        "conditional GAN, generator": Family(s.cgan.generator_loss, s.conditional.sample, digit, labels(5)),
        "DiffusionModel": Family(s.ddpm.loss, s.ddpm.sample, digit),
        "DiffusionModel with classes": Family(s.classes.loss, s.classes.sample, digit, labels(5)),
        "FlowMatching": Family(s.straight.loss, s.straight.sample, digit),
        "FlowMatching with classes": Family(s.guided.loss, s.guided.sample, digit, labels(5)),
        "LatentDiffusion": Family(s.ldm.loss, s.ldm.sample, images(3, 64, 64, n=12), WORDS),
        "CouplingFlow": Family(s.flow.loss, s.flow.sample, flat),
        "PixelCNN": Family(s.pixels.loss, s.pixels.sample, digit),
    }


NAMES = (
    "Autoencoder", "DenoisingAutoencoder", "VAE", "GAN, discriminator", "GAN, generator",
    "conditional GAN, discriminator", "conditional GAN, generator", "DiffusionModel", "DiffusionModel with classes",
    "LatentDiffusion", "CouplingFlow", "PixelCNN",
)  # fmt: skip


@pytest.fixture(params=NAMES)
def family(request: pytest.FixtureRequest) -> Family:
    return families()[request.param]


def test_every_loss_and_every_sample_is_called_in_the_same_way(family: Family) -> None:
    for function, first in ((family.loss, "x"), (family.sample, "n")):
        parameters = list(inspect.signature(function).parameters.values())
        assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == [first, "y"]
        assert parameters[1].default is None
        by_name = {p.name: p.default for p in parameters[2:] if p.kind is p.KEYWORD_ONLY}
        assert len(by_name) == len(parameters) - 2
        assert by_name["generator"] is None
        assert all(default is not inspect.Parameter.empty for default in by_name.values())


def test_kl_autoencoder_is_called_as_the_others() -> None:
    """It draws no images: its codes have no prior of their own."""
    assert list(inspect.signature(small().kl.loss).parameters) == ["x", "y", "perceptual", "generator"]


def test_every_family_takes_images_with_labels_or_without(family: Family) -> None:
    y = None if family.y is None else family.y.right
    loss = family.loss(family.x.right, y, generator=seed())
    assert loss.shape == ()
    assert loss.isfinite()
    given = torch.zeros(12, dtype=torch.int64) if family.y is None else y
    assert (
        family.loss(family.x.right, given, generator=seed()) == loss
    )  # labels that are not needed do no harm


@pytest.mark.parametrize("what", images(*DIGIT).wrong)
def test_every_family_refuses_the_same_images(family: Family, what: str) -> None:
    if what not in family.x.wrong:
        pytest.skip("a flow counts the numbers of an image, not its channels")
    y = None if family.y is None else family.y.right
    with pytest.raises(ValueError, match=r"\bx\b"):
        family.loss(family.x.wrong[what], y, generator=seed())


def test_every_family_but_diffusion_asks_for_the_dtype_of_its_weights(family: Family) -> None:
    """Diffusion computes in float32 at least, whatever its data came in."""
    y = None if family.y is None else family.y.right
    try:
        assert family.loss(family.x.right.double(), y, generator=seed()).isfinite()
    except ValueError as error:
        assert re.search(r"^x is .*float64.*float32; write x\.to\(torch\.float32\)", str(error))  # noqa: PT017


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3", None])
def test_every_family_refuses_the_same_numbers_of_images(family: Family, n: object) -> None:
    with pytest.raises(ValueError, match=f"n={n!r} must be a whole number of at least 1"):
        family.sample(n, generator=seed())


@pytest.mark.parametrize("what", labels(5).wrong)
def test_every_family_refuses_the_same_labels(family: Family, what: str) -> None:
    wrong = (labels(5) if family.y is None else family.y).wrong[what]
    with pytest.raises(ValueError, match=r"\by\b"):
        family.sample(12, wrong, generator=seed())
    if family.y is not None:
        with pytest.raises(ValueError, match=r"\by\b"):
            family.loss(family.x.right, wrong, generator=seed())


# ------------------------------------------------------------------------------------------ what must be taken


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "x",
    [
        images(*DIGIT).right,
        images(*DIGIT).right.sign(),
        1.009 * images(*DIGIT).right,
        torch.ones(3, 1, 8, 8),
        torch.zeros(3, 1, 8, 8),
        torch.full((3, 1, 8, 8), 0.5),
        torch.ones(12, 1, 8, 8),
        torch.zeros(12, 1, 8, 8),
        torch.full((12, 1, 8, 8), -1.0),
        (images(*DIGIT).right + 1)[:9] / 2,
    ],
    ids=["images", "black and white", "a hundredth beyond", "white", "grey", "light grey", "12 white", "12 grey",
         "12 black", "nine light ones"],
)  # fmt: skip
def test_images_that_are_right_are_taken(x: Tensor, dtype: torch.dtype) -> None:
    inputs.check_images(x.to(dtype), (1, None, None))


@pytest.mark.parametrize("beyond", [1.02, 1.1, 2.0, 127.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_images_that_lie_beyond_are_refused(beyond: float, dtype: torch.dtype) -> None:
    for sign in (-1, 1):
        x = torch.zeros(12, 1, 8, 8)
        x[3, 0, 2, 1] = sign * beyond
        with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]"):
            inputs.check_images(x.to(dtype))


def test_codes_beyond_images_are_taken_by_latent_models() -> None:
    s, z = small(), 5 * torch.randn(12, 4, 8, 8, generator=seed())
    ldm = s.ldm.diffusion
    assert ldm.loss(z, WORDS.right, generator=seed()).isfinite()
    assert ldm.predict(z, times(T).right, WORDS.right).x0.isfinite().all()
    assert s.kl.decode(z).isfinite().all()
    assert s.decoder(5 * torch.randn(12, 3, generator=seed())).isfinite().all()


def test_noisy_images_are_taken_by_networks() -> None:
    s, x = small(), 3 * torch.randn(12, 1, 8, 8, generator=seed())
    noisy = autoencoders.corrupt(images(*DIGIT).right, "gaussian", 3.0, generator=seed())
    for model in (s.denoising, s.autoencoder):
        assert model.reconstruct(noisy).isfinite().all()
    assert s.unet(x, times(T).right, labels(5).right).isfinite().all()
    assert s.ddpm.predict(x, times(T).right).x0.isfinite().all()
    assert s.straight.velocity(x, moments().right).isfinite().all()
    assert s.judge(x).isfinite().all()
    assert all(seen.isfinite().all() for seen in s.reader.feature_maps(3 * torch.randn(2, 3, 64, 64)))
    assert s.reader.loss(BIG.right, FACTS, generator=seed()).isfinite()  # which spoils them


def test_images_a_hundredth_beyond_are_taken_by_classifiers() -> None:
    assert small().classifier.features(1.01 * images(*DIGIT).right.sign()).isfinite().all()


def test_points_of_the_plane_are_taken() -> None:
    points, _ = data.toy_points("gaussians", 64, generator=seed())
    schedule = diffusion.cosine_schedule()
    assert points.abs().max() > 2
    model = DiffusionModel(diffusion.IdealDenoiser(schedule, torch.zeros(3, 2), 1.0), schedule, clip_x0=False,
                           prediction_type="x0", shape=(2,), steps=2)  # fmt: skip
    assert model.loss(points, generator=seed()).isfinite()
    assert model.sample(3, generator=seed()).shape == (3, 2)

    class Still(nn.Module):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return x

    straight = diffusion.FlowMatching(Still(), clip_x0=False, shape=(2,), steps=2)
    assert straight.loss(points, generator=seed()).isfinite()
    assert straight.sample(3, generator=seed()).shape == (3, 2)
    assert small().plane.loss(points).isfinite()

    class Plane(nn.Module):
        latent_dim, num_classes = 2, None

        def forward(self, z: Tensor) -> Tensor:
            return z

    net = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    assert gan.GAN(Plane(), net).discriminator_loss(points, generator=seed()).isfinite()


@pytest.mark.parametrize("name", ["autoencoder", "denoising", "vae", "ddpm", "straight", "pixels"])
def test_models_in_bfloat16_take_images_in_bfloat16(name: str) -> None:
    model, x = getattr(small(), name), images(*DIGIT).right.bfloat16()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        model.bfloat16()
        assert model.loss(x, generator=seed()).isfinite()
        assert model.sample(2, generator=seed()).dtype == torch.bfloat16
    finally:
        model.float()
        model.load_state_dict(before)


@pytest.mark.parametrize("n", [3, np.int64(3), np.int32(3)])
def test_whole_numbers_of_numpy_count_too(n: int) -> None:
    assert len(small().vae.sample(n, generator=seed())) == 3


# ------------------------------------------------------------------------- a training step waits for no device


class Elsewhere(Tensor):
    """A tensor that claims to lie on an accelerator, and fails where somebody reads its values."""

    @staticmethod
    def __new__(cls, x: Tensor) -> Elsewhere:
        return torch.Tensor._make_subclass(cls, x, x.requires_grad)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == torch.Tensor.device.__get__:
            return torch.device("cuda")
        made = super().__torch_function__(func, types, args, kwargs or {})
        waits = func in (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.__bool__, torch.Tensor.__int__,
                         torch.Tensor.__float__, torch.Tensor.nonzero, torch.Tensor.cpu)  # fmt: skip
        if waits:
            raise AssertionError(f"{func.__name__} waits for the device")
        return made


CHECKS: dict[str, Callable[[Callable[[Tensor], Tensor]], None]] = {
    "check_maps": lambda on: inputs.check_maps(on(images(*DIGIT).right), DIGIT),
    "check_images": lambda on: inputs.check_images(on(images(*DIGIT).right), DIGIT),
    "check_labels": lambda on: inputs.check_labels(on(labels(5).right), 12, 5),
    "check_tokens": lambda on: inputs.check_tokens(on(WORDS.right), (12, 16), 99),
    "check_times": lambda on: inputs.check_times(on(times(T).right), 12, T),
    "check_codes": lambda on: inputs.check_codes(on(codes(3).right), 3),
}


def test_a_training_step_of_every_family_waits_for_no_device(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On the CPU alone torch's own one_hot reads what it is given.
    monkeypatch.setattr(F, "one_hot", lambda k, count: (k[..., None] == torch.arange(count)).long())
    y = None if family.y is None else family.y.right
    with as_on_an_accelerator():
        family.loss(family.x.right, y, generator=seed()).backward()


def test_a_training_step_of_what_reads_waits_for_no_device() -> None:
    with as_on_an_accelerator():
        small().classifier.loss(images(*DIGIT).right, labels(5).right, generator=seed()).backward()
        small().reader.loss(BIG.right, FACTS, generator=seed()).backward()


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_no_check_of_a_training_step_reads_an_accelerator(check: Callable[..., None]) -> None:
    check(Elsewhere)


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "check_maps"])
def test_without_gradients_an_accelerator_is_read(name: str) -> None:
    with torch.no_grad(), pytest.raises(AssertionError, match="waits for the device"):
        CHECKS[name](Elsewhere)


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "check_maps"])
def test_on_the_cpu_values_are_always_read(name: str) -> None:
    """A value that cannot be is found with gradients recorded and without."""
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded), pytest.raises(ValueError, match="hold"):
            CHECKS[name](lambda x: x * 1000 if x.dtype == torch.int64 else x * math.inf)


# Other processes share the machine: it is compared with work of the same kind, done in the same moment.
@pytest.mark.parametrize("shape", [(64, 1, 28, 28), (128, 3, 64, 64)], ids=str)
def test_a_check_of_images_costs_about_one_reading_of_them(shape: tuple[int, ...]) -> None:
    x = 2 * torch.rand(shape, generator=seed()) - 1

    def least(work: Callable[[], object]) -> float:
        spent = []
        for _ in range(30):
            began = time.perf_counter()
            work()
            spent.append(time.perf_counter() - began)
        return min(spent)

    assert least(lambda: inputs.check_images(x)) < 5 * least(x.aminmax) + 2e-4


def test_bright_images_of_bytes_are_images_and_those_in_0_to_1_are_not() -> None:
    for low, high in ((128, 256), (130, 256), (200, 210)):
        data = np.random.default_rng(low).integers(low, high, (20, 8, 8, 3), dtype=np.uint8)
        inputs.check_images(to_float(data))
        with pytest.raises(ValueError, match="2 \\* x - 1"):
            inputs.check_images(torch.from_numpy(data).movedim(3, 1) / 255)


TENSOR, ALONE = torch.zeros(2, 3), [1.0]
MISTAKES = {
    "scores in a list": (lambda: gan.discriminator_loss(ALONE, ALONE), "real must be a tensor"),
    "means in a list": (lambda: autoencoders.reparameterise(ALONE, ALONE), "mu must be a tensor"),
    "images in a list": (lambda: gan.r1_penalty(lambda x: x, ALONE), "x must be a tensor"),
    "a schedule in a list": (lambda: diffusion.Schedule([1, 0.5]), "alpha_bar must be a tensor"),
    "weights in a list": (
        lambda: diffusion.IdealDenoiser(diffusion.cosine_schedule(9), TENSOR, weights=[0.5, 0.5]),
        "weights must be a tensor",
    ),
    "time 0 without spread": (
        lambda: diffusion.IdealDenoiser(diffusion.cosine_schedule(9), TENSOR)(TENSOR, torch.tensor([0, 3])),
        "t holds 0 … 3; allowed: 1 … 9",
    ),
    "an interpolation of a list": (lambda: nets.slerp(ALONE, ALONE, 0.5), "z0 must be a tensor"),
    "of whole numbers": (lambda: nets.lerp(TENSOR.long(), TENSOR, 0.5), "z0 must be float"),
    "of codes of two lengths": (lambda: nets.slerp(TENSOR, torch.zeros(2, 4), 0.5), "of one length"),
    "to three places of two": (lambda: nets.slerp(TENSOR, TENSOR, torch.zeros(3)), "t must be a number"),
    "to a word": (lambda: nets.lerp(TENSOR, TENSOR, "half"), "t must be a number"),
    "outputs of another shape": (
        lambda: diffusion.to_x0_eps(TENSOR, TENSOR[:, 0], TENSOR, TENSOR, "v"),
        "must have one shape",
    ),
    "targets of another shape": (
        lambda: diffusion.target(TENSOR, TENSOR[:, 0], TENSOR, TENSOR, "v"),
        "must have one shape",
    ),
    "points outside of a flow of images": (
        lambda: likelihood.CouplingFlow(4, levels=8)(torch.full((2, 4), 1.5)),
        "must lie inside",
    ),
    "facts below none": (
        lambda: small().reader.loss(BIG.right, torch.full_like(FACTS, -2)),
        "y holds .*allowed: -1",
    ),
    "channels in the wrong place": (lambda: to_float(np.zeros((5, 3, 8, 8), np.uint8)), "have them last"),
    "bytes as images": (lambda: to_uint8(torch.full((2, 1, 8, 8), 200.0)), "up to 200"),
    "an infinite level": (
        lambda: autoencoders.corrupt(torch.zeros(2, 1, 8, 8), "gaussian", math.inf),
        "level=inf",
    ),
    "a level in words": (
        lambda: autoencoders.corrupt(torch.zeros(2, 1, 8, 8), "gaussian", "much"),
        "level='much'",
    ),
    "classes of another number": (
        lambda: DiffusionModel(
            nets.UNet(width=16, num_classes=20), diffusion.cosine_schedule(), num_classes=10
        ),
        "num_classes=10, but the network was made for num_classes=20",
    ),
    "a teacher of other classes": (
        lambda: diffusion.distillation_loss(
            of_classes(5), of_classes(10), torch.zeros(2, 1, 8, 8), torch.ones(2).long()
        ),
        "know 5 and 10 classes",
    ),
    "a mask in a list": (lambda: inpainted([True]), "mask must be a tensor"),
    "a mask that does not fit": (lambda: inpainted(torch.ones(3, 3, dtype=torch.bool)), "broadcasts"),
}


def of_classes(count: int) -> DiffusionModel:
    net = nets.UNet(width=16, num_classes=count)
    return DiffusionModel(net, diffusion.cosine_schedule(), num_classes=count, steps=5)


def inpainted(mask: object) -> object:
    x = torch.zeros(2, 1, 8, 8)
    return list(diffusion.inpaint(of_classes(5), x, known=x, mask=mask, steps=2))


@pytest.mark.parametrize("what", MISTAKES)
def test_what_a_reader_of_the_code_tried(what: str) -> None:
    call, message = MISTAKES[what]
    with pytest.raises(ValueError, match=message):
        call()
