"""Latent diffusion: text to tokens, cross-attention, the codec, and the parts of Stable Diffusion in their place."""

import math
from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
import torch.nn.functional as F
import transformers
from no_waiting import NoWaiting, as_on_an_accelerator
from torch import Tensor, nn

from course_utils.autoencoders import KLAutoencoder, perceptual_distance
from course_utils.data import scenes
from course_utils.diffusion import (
    SAMPLERS,
    DiffusionModel,
    FlowMatching,
    cosine_schedule,
    image_to_image,
    inpaint,
)
from course_utils.latent import (
    ClipText,
    DiffusersCodec,
    LatentDiffusion,
    TextEncoder,
    TextUNet,
    WordTokenizer,
    attention_maps,
)
from course_utils.nets import CrossAttention, UNet, seeded
from course_utils.recipes import scene_tokenizer, text_diffusion

PROMPT = "a striped red star left of a small blue circle on yellow"


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).clamp(-1, 1)


def awake(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights that are not 0: what is added at the start is nothing, and would hide faults."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            noise = torch.randn(weight.shape, generator=draw)
            weight.copy_(noise / weight[0].numel() ** 0.5 if weight.ndim > 1 else weight + 0.2 * noise)
    return net.eval()


def small_model() -> LatentDiffusion:
    """Text to pictures of 32 × 32 by codes of 8 × 8, with weights that are not 0."""
    with seeded(0):
        diffusion = text_diffusion(
            (4, 8, 8), width=16, num_res_blocks=1, text_width=16, steps=2, guidance=2.0
        )
        made = LatentDiffusion(KLAutoencoder(width=16), diffusion, scene_tokenizer())
    awake(made.diffusion)
    return made.eval()


@pytest.fixture(scope="module")
def model() -> LatentDiffusion:
    return small_model()


# ------------------------------------------------------------------------------------------------ text


def test_tokens_are_the_words_in_their_order() -> None:
    tokens = scene_tokenizer()([PROMPT, "star", ""])
    assert tokens.dtype == torch.int64
    assert tokens.shape == (3, 16)
    back = [[scenes.WORDS[k] for k in row.tolist() if k != scene_tokenizer().nothing] for row in tokens]
    assert back == [PROMPT.split(), ["star"], []]


def test_every_caption_has_room_and_is_told_by_its_tokens() -> None:
    facts = scenes.sample_attributes(3000, generator=torch.Generator().manual_seed(0))
    sentences = scenes.captions(facts)
    tokens = scene_tokenizer()(sentences)
    assert len(set(sentences)) == len(tokens.unique(dim=0))


def test_a_word_outside_the_grammar_gets_the_words_inside() -> None:
    with pytest.raises(ValueError, match="octagon") as error:
        scene_tokenizer()(["a red octagon on white"])
    assert all(word in str(error.value) for word in scenes.WORDS)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(ValueError, match="17 words; at most 16"):
        scene_tokenizer()(["star " * 17])


def test_capital_letters_and_a_full_stop_do_not_count() -> None:
    one, other = scene_tokenizer()(["A red star on Blue.", "a red star on blue"])
    assert torch.equal(one, other)


def test_other_words_make_another_tokenizer() -> None:
    tokenize = WordTokenizer(["cat", "dog"], length=3)
    assert tokenize(["dog cat", ""]).tolist() == [[1, 0, 2], [2, 2, 2]]
    assert tokenize.nothing == 2


@pytest.mark.parametrize(
    ("words", "length", "what"),
    [(["cat", "cat"], 3, "each once"), (["Cat"], 3, "small letters"), (["cat"], 0, "length=0")],
)
def test_words_that_could_not_be_told_are_refused(words: list[str], length: int, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        WordTokenizer(words, length)


def test_one_string_is_no_list_of_sentences() -> None:
    with pytest.raises(ValueError, match=r"write \['a red star'\]"):
        scene_tokenizer()("a red star")


def test_the_encoder_knows_the_order_of_words() -> None:
    with seeded(0):
        text = awake(TextEncoder(28, width=32))
    one, other = scene_tokenizer()(["red star blue circle", "blue star red circle"]).split(1)
    a, b = text(one), text(other)
    assert a.shape == (1, 16, 32)
    assert not torch.allclose(a[0, 1], b[0, 1], atol=1e-4)  # "star" in both: it knows whose colour it has
    pair = text(torch.cat([one, other]))
    torch.testing.assert_close(pair, torch.cat([a, b]), rtol=1e-4, atol=1e-5)


def test_every_weight_of_the_encoder_learns() -> None:
    with seeded(0):
        text = awake(TextEncoder(5, width=16, layers=2, length=6))
    text(torch.tensor([[0, 1, 2, 3, 4, 5]])).square().sum().backward()
    assert [name for name, weight in text.named_parameters() if not weight.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("options", [{"num_tokens": 0}, {"layers": 0}, {"length": 0}, {"width": 18}])
def test_bad_arguments_of_the_encoder_are_named(options: dict[str, int]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        TextEncoder(**{"num_tokens": 5, **options})


@pytest.mark.parametrize(
    "tokens", [torch.zeros(2, 15, dtype=torch.int64), torch.zeros(16, dtype=torch.int64), torch.zeros(2, 16)]
)
def test_tokens_of_another_kind_are_refused(tokens: Tensor) -> None:
    with pytest.raises(ValueError, match="tokens must be int64"):
        TextEncoder(28)(tokens)


def test_a_token_outside_is_refused() -> None:
    text = TextEncoder(5, width=8, length=2)
    assert text(torch.tensor([[0, 5]])).shape == (1, 2, 8)  # 5 is no word
    for token in (-1, 6):
        with pytest.raises(ValueError, match="allowed: 0 … 5"):
            text(torch.tensor([[0, token]]))


# ----------------------------------------------------------------------------------------- cross-attention


def test_cross_attention_is_softmax_of_queries_and_keys() -> None:
    """By hand, head by head."""
    with seeded(0):
        layer = awake(CrossAttention(16, 12))
    x, context = normal(2, 16, 4, 6), normal(2, 5, 12, seed=1)
    places = layer.norm(x).flatten(2).transpose(1, 2)  # (N, 24, 16)
    q, (k, v) = layer.q(places), layer.kv(context).chunk(2, dim=2)
    heads, weights = [], []
    for h in range(4):
        part = slice(4 * h, 4 * h + 4)
        weight = (q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(4)).softmax(dim=2)
        heads.append(weight @ v[..., part])
        weights.append(weight)
    expected = x + layer.out(torch.cat(heads, dim=2)).transpose(1, 2).reshape(2, 16, 4, 6)
    torch.testing.assert_close(layer(x, x, context), expected, rtol=1e-4, atol=1e-5)
    mean = torch.stack(weights).mean(dim=0).reshape(2, 4, 6, 5)
    torch.testing.assert_close(layer.attention(x, context), mean, rtol=1e-4, atol=1e-6)


def test_each_image_looks_at_its_own_tokens() -> None:
    net = awake(UNet(in_channels=4, width=16, context_dim=8))
    x, t, context = normal(2, 4, 8, 8), torch.tensor([10, 500]), normal(2, 3, 8, seed=1)
    both = net(x, t, context=context)
    alone = torch.cat([net(x[i : i + 1], t[i : i + 1], context=context[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(both, alone, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(both, net(x, t, context=context.flip(0)), atol=1e-3)


def test_a_unet_without_tokens_takes_none_and_one_with_them_needs_some() -> None:
    x, t = normal(1, 1, 8, 8), torch.tensor([1])
    with pytest.raises(ValueError, match="looks at no tokens"):
        UNet(width=16)(x, t, context=normal(1, 3, 8))
    with pytest.raises(ValueError, match="context must be tokens"):
        UNet(width=16, context_dim=8)(x, t)


def test_attention_maps_are_the_mean_of_what_the_layers_at_half_the_size_see(model: LatentDiffusion) -> None:
    y, net = model.tokenize([PROMPT, "a red star on blue"]), model.diffusion.net
    z, t, seen = normal(2, 4, 8, 8), torch.tensor([300, 300]), []
    layers = [layer for layer in net.unet.modules() if isinstance(layer, CrossAttention)]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: seen.append((layer, *given))) for layer in layers
    ]
    maps = attention_maps(net, z, t, y)
    for hook in hooks:
        hook.remove()
    assert maps.shape == (2, 16, 4, 4)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 4, 4))
    wide = [layer.attention(h, context) for layer, h, _, context in seen if h.shape[2] == 4]
    assert len(seen) == 4
    assert len(wide) == 2
    torch.testing.assert_close(maps.permute(0, 2, 3, 1), sum(wide) / 2)
    assert not any(layer._forward_hooks for layer in model.modules())


# ------------------------------------------------------------------------------------------ the codec


@pytest.mark.parametrize(("factor", "channels"), [(4, 4), (8, 6)])
def test_codes_keep_their_place(factor: int, channels: int) -> None:
    codec = awake(KLAutoencoder(factor=factor, latent_channels=channels, width=16))
    x = 0.4 * pictures(2, 3, 64, 96)
    z = codec.encode(x)
    assert z.shape == (2, channels, 64 // factor, 96 // factor)
    assert codec.decode(z).shape == x.shape
    torch.testing.assert_close(codec(x), codec.decode(z))
    moved = x.clone()
    moved[:, :, :8, :8] += 0.6  # a corner: the codes at the other end do not hear of it, but for the norms
    change = (codec.encode(moved) - z).abs().mean(dim=(0, 1))
    assert change[:2, :2].mean() > 10 * change[-2:, -2:].mean()


def test_the_scale_brings_codes_to_variance_one() -> None:
    codec = awake(KLAutoencoder(width=16))
    x = pictures(20, 3, 32, 32)
    before = codec(x)
    codec.fit_scale(x)
    assert codec.encode(x).std().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(codec(x), before, rtol=1e-3, atol=1e-5)  # what comes out stays


def test_the_loss_is_its_three_terms() -> None:
    codec, x = awake(KLAutoencoder(width=16, kl_weight=0.25)), pictures(3, 3, 16, 16)
    mu, logvar = codec.posterior(x)
    draw = torch.Generator().manual_seed(7)
    z = mu + (logvar / 2).exp() * torch.randn(mu.shape, generator=draw)
    x_hat = codec.decode(z / codec.scale)
    q = torch.distributions.Normal(mu, (logvar / 2).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(dim=(1, 2, 3))
    expected = ((x_hat - x) ** 2).sum(dim=(1, 2, 3)) + 0.25 * kl + 3.0
    loss = codec.loss(x, perceptual=lambda a, b: torch.full((len(a),), 3.0),
                      generator=torch.Generator().manual_seed(7))  # fmt: skip
    torch.testing.assert_close(loss, expected.mean(), rtol=1e-4, atol=1e-3)


def test_the_perceptual_distance_counts_directions_of_features() -> None:
    def maps(x: Tensor) -> list[Tensor]:
        return [x, 5 * x[:, :, :2, :2]]

    x = normal(2, 3, 4, 4)
    torch.testing.assert_close(perceptual_distance(maps, x, x), torch.zeros(2))
    torch.testing.assert_close(perceptual_distance(maps, 7 * x, x), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        perceptual_distance(maps, -x, x), torch.full((2,), 8.0)
    )  # ‖-u - u‖² = 4, twice
    turned = 2 - 2 * F.cosine_similarity(x, x.flip(1), dim=1).mean(dim=(1, 2))
    only = perceptual_distance(lambda x: [x], x, x.flip(1))
    torch.testing.assert_close(only, turned, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [({"factor": 2}, "factor=2"), ({"width": 12}, "width=12"), ({"latent_channels": 0}, "latent_channels=0"),
     ({"kl_weight": -1.0}, "kl_weight=-1.0")],
)  # fmt: skip
def test_arguments_outside_their_range_are_named(arguments: dict[str, float], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        KLAutoencoder(**arguments)


def test_images_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="divisible by the factor 8"):
        KLAutoencoder(factor=8).encode(pictures(1, 3, 60, 64))
    with pytest.raises(ValueError, match="shape"):
        KLAutoencoder().encode(pictures(1, 1, 64, 64))
    with pytest.raises(ValueError, match="shape"):
        KLAutoencoder().decode(normal(1, 3, 16, 16))


# --------------------------------------------------------------------------------------- the whole model


def test_the_loss_is_that_of_the_diffusion_of_codes(model: LatentDiffusion) -> None:
    """Encoded by the mean, divided by the scale."""
    x, y = pictures(4, 3, 32, 32), model.tokenize([PROMPT] * 4)
    model.codec.fit_scale(x)
    loss = model.loss(x, y, generator=torch.Generator().manual_seed(3))
    codes = model.codec.posterior(x)[0] / model.codec.scale
    assert codes.std().item() == pytest.approx(1, abs=1e-3)
    expected = model.diffusion.loss(codes, y, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(loss, expected)
    with pytest.raises(ValueError, match="lie in"):
        model.loss(9 * x, y)


def test_a_flow_learns_codes_as_a_diffusion_model_does() -> None:
    """The codes of its pictures are known to LeadsThere, so its velocity is ε - z₀ wherever the tokens are kept."""
    y = scene_tokenizer()(["a red star on blue", "red star blue"])
    z = torch.tensor([1.25, 0.75]).view(2, 1, 1, 1)
    model = LatentDiffusion(Repeats(), SAY["flow"](shape=(3, 2, 2), p_uncond=0.0), scene_tokenizer())
    x = (z / 4).expand(2, 3, 8, 8)
    assert model.loss(x, y).item() < 1e-6
    other = model.loss(x, y.flip(0), generator=torch.Generator().manual_seed(0)).item()
    t = torch.rand(2, generator=torch.Generator().manual_seed(0))
    assert other == pytest.approx((0.5 / t).square().mean().item(), rel=1e-3)  # half a code off, over t


def test_training_moves_everything_but_the_codec() -> None:
    model = small_model().train()
    model.loss(pictures(4, 3, 32, 32), model.tokenize([PROMPT] * 4)).backward()
    assert all(weight.grad is None for weight in model.codec.parameters())
    silent = [name for name, weight in model.diffusion.named_parameters() if not weight.grad.abs().sum() > 0]
    assert silent == []


def test_training_leaves_the_autoencoder_in_eval_mode() -> None:
    """Whatever it is made of: here a layer that is another one in training."""

    class Codec(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(0.5)

        def encode(self, x: Tensor) -> Tensor:
            return self.dropout(F.avg_pool2d(x, 4))

        def decode(self, z: Tensor) -> Tensor:
            return F.interpolate(z, scale_factor=4)

    net = nn.Conv2d(3, 3, 1)
    model = LatentDiffusion(
        Codec(), DiffusionModel(Unasked(net), cosine_schedule(), clip_x0=False), scene_tokenizer()
    )
    for _ in range(2):
        assert model.train() is model
        assert model.training
        assert model.diffusion.net.training
        assert not any(module.training for module in model.codec.modules())
        model.eval()
    x = pictures(2, 3, 8, 8)
    torch.testing.assert_close(model.train().codec.encode(x), F.avg_pool2d(x, 4))


class Unasked(nn.Module):
    """A layer of x alone, called with t as well."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.layer(x)


def test_codes_are_not_clipped() -> None:
    with pytest.raises(ValueError, match="clip_x0=True, but codes lie outside"):
        LatentDiffusion(
            KLAutoencoder(width=16),
            DiffusionModel(Unasked(nn.Identity()), cosine_schedule()),
            scene_tokenizer(),
        )


class Says(nn.Module):
    """Codes that say how many words they were asked for, over 4."""

    def forward(self, z: Tensor, t: Tensor, y: Tensor) -> Tensor:
        words = (y != scene_tokenizer().nothing).sum(dim=1) / 4
        return words.view(-1, 1, 1, 1).expand(z.shape).to(z.dtype)


class LeadsThere(Says):
    """The velocity on the straight path that ends in those codes."""

    def forward(self, z: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return (z - super().forward(z, t, y)) / (t / 1000).view(-1, 1, 1, 1)


WORDS: dict[str, Any] = {"num_classes": scene_tokenizer().nothing, "condition_shape": (16,), "clip_x0": False}
SAY: dict[str, Callable[..., DiffusionModel | FlowMatching]] = {
    "diffusion": lambda **options: DiffusionModel(
        Says(), cosine_schedule(), prediction_type="x0", **WORDS, **options
    ),
    "flow": lambda **options: FlowMatching(LeadsThere(), **WORDS, **options),
}


class Repeats(nn.Module):
    """A codec: codes are pixels of a quarter of the size, over 4."""

    def encode(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 4)

    def decode(self, z: Tensor) -> Tensor:
        return F.interpolate(z / 4, scale_factor=4)


@pytest.mark.parametrize("kind", SAY)
def test_a_sample_is_what_guidance_makes_of_the_prompt_decoded(kind: str) -> None:
    """Codes of 5 words are 1.25, of 3 words 0.75; at guidance 2 twice that, and cut at 1 in the picture only."""
    diffusion = SAY[kind](shape=(3, 2, 2), steps=2, guidance=2.0)
    model = LatentDiffusion(Repeats(), diffusion, scene_tokenizer())
    y = model.tokenize(["a red star on blue", "red star blue"])
    no = model.tokenize(["star"])
    for options, expected in (
        ({}, [2.5 / 4, 1.5 / 4]), ({"guidance": 1.0}, [1.25 / 4, 0.75 / 4]), ({"guidance": 9.0}, [1.0, 1.0]),
        ({"negative": no[0]}, [2.25 / 4, 1.25 / 4]), ({"negative": no.expand(2, 16)}, [2.25 / 4, 1.25 / 4]),
    ):  # fmt: skip
        x = model.sample(2, y, **options)
        assert x.shape == (2, 3, 8, 8)
        torch.testing.assert_close(x, torch.tensor(expected).view(2, 1, 1, 1).expand(x.shape))
    torch.testing.assert_close(model.sample(2), torch.zeros(2, 3, 8, 8))
    torch.testing.assert_close(model.sample(1, negative=no[0]), torch.full((1, 3, 8, 8), -0.25 / 4))
    with pytest.raises(ValueError, match=r"negative was given, but guidance=1\.0"):
        model.sample(2, y, guidance=1.0, negative=no[0])


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_works_in_the_latent_space(model: LatentDiffusion, name: str) -> None:
    y, draw = model.tokenize([PROMPT] * 2), torch.Generator().manual_seed(0)
    z_T = normal(2, 4, 8, 8)
    *_, last = SAMPLERS[name](model.diffusion, z_T, steps=2, y=y, guidance=3.0, generator=draw)
    assert last.x_t.shape == z_T.shape
    assert last.x_t.isfinite().all()


def test_image_to_image_and_inpainting_work_in_the_latent_space(model: LatentDiffusion) -> None:
    y, z = model.tokenize([PROMPT] * 2), normal(2, 4, 8, 8, seed=1)
    draw = torch.Generator().manual_seed(0)
    *_, last = image_to_image(model.diffusion, z, start=400, steps=2, y=y, guidance=2.0, generator=draw)
    assert last.x_t.shape == z.shape
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    *_, last = inpaint(
        model.diffusion, normal(2, 4, 8, 8), known=z, mask=mask, steps=2, y=y, generator=draw
    )  # fmt: skip
    assert torch.equal(last.x_t[..., :4], z[..., :4])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_whole_model_samples_in_the_dtype_of_its_weights(dtype: torch.dtype) -> None:
    model = small_model()
    y = model.tokenize([PROMPT] * 2)
    reference = model.sample(2, y, generator=torch.Generator().manual_seed(0))
    x = model.to(dtype).sample(2, y, generator=torch.Generator().manual_seed(0))
    assert x.dtype == dtype
    assert x.isfinite().all()
    if dtype != torch.float64:  # another dtype, another draw
        assert (x.float() - reference).square().mean().sqrt() < 0.1 * reference.std()


def test_a_training_step_does_not_wait_for_its_device() -> None:
    """Neither where pictures are encoded nor where tokens are read."""
    model = small_model()
    x, y = pictures(2, 3, 32, 32), model.tokenize([PROMPT] * 2)
    with as_on_an_accelerator():
        model.loss(x, y).backward()
    with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
        model.loss(x, y)  # on the CPU both are looked at


# ------------------------------------------------------- prompts as the condition of a diffusion model


def test_guidance_leads_from_the_empty_prompt_or_from_a_negative_one(model: LatentDiffusion) -> None:
    """w (with - without) + without, by two runs of the network each."""
    z_t, t = normal(2, 4, 8, 8), torch.tensor([700, 700])
    y = model.tokenize([PROMPT, "a red star on blue"])
    empty, negative = model.tokenize(["", ""]), model.tokenize(["a white cross on red"] * 2)

    def eps(condition: Tensor | None) -> Tensor:
        return model.diffusion.predict(z_t, t, condition).eps

    torch.testing.assert_close(eps(None), eps(empty))
    assert not torch.allclose(eps(empty), eps(negative), atol=1e-3)
    for asked, avoided in ((y, None), (y, negative), (None, negative)):
        towards, away = (eps(empty if tokens is None else tokens) for tokens in (asked, avoided))
        seen = model.diffusion.predict(z_t, t, asked, guidance=2.5, negative=avoided)
        torch.testing.assert_close(seen.eps, away + 2.5 * (towards - away), rtol=1e-3, atol=1e-4)


def test_a_prompt_is_dropped_as_a_whole(model: LatentDiffusion) -> None:
    y = model.tokenize([PROMPT]).expand(4000, -1)
    dropped = model.diffusion.drop_condition(y, torch.Generator().manual_seed(0))
    empty = (dropped == scene_tokenizer().nothing).all(dim=1)
    whole = (dropped == y).all(dim=1)
    assert (empty ^ whole).all()
    assert abs(empty.double().mean().item() - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 4000)


NOTHING = scene_tokenizer().nothing
WRONG_TOKENS = [
    (torch.full((2, 16), NOTHING + 1), f"allowed: 0 … {NOTHING}"),
    (torch.full((2, 16), -1), f"allowed: 0 … {NOTHING}"),
    (torch.zeros(2, 15, dtype=torch.int64), r"must be int64 \(2, 16\), not torch.int64 \(2, 15\)"),
    (torch.zeros(3, 16, dtype=torch.int64), r"must be int64 \(2, 16\), not torch.int64 \(3, 16\)"),
    (torch.zeros(2, 16), r"must be int64 \(2, 16\), not torch.float32"),
    (torch.tensor([1, 2]), r"must be int64 \(2, 16\), not torch.int64 \(2,\)"),
]


@pytest.mark.parametrize(("y", "what"), WRONG_TOKENS)
def test_tokens_that_are_none_are_refused_before_the_network_runs(
    model: LatentDiffusion, y: Tensor, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def runs(*given: Any) -> Tensor:
        raise AssertionError("the network ran")

    monkeypatch.setattr(model.diffusion.net, "forward", runs)
    z, t, good = normal(2, 4, 8, 8), torch.tensor([1, 2]), model.tokenize([PROMPT] * 2)
    calls: list[Callable[[], object]] = [
        lambda: model.loss(pictures(2, 3, 32, 32), y),
        lambda: model.sample(2, y),
        lambda: model.diffusion.predict(z, t, y),
        *(lambda sampler=sampler: sampler(model.diffusion, z, steps=2, y=y) for sampler in SAMPLERS.values()),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=f"y .*{what}"):
            call()
    if y.ndim == 2:
        with pytest.raises(ValueError, match=f"negative .*{what}"):
            model.sample(2, good, negative=y)


# ------------------------------------------------------------------------------- the parts of the real one


def small_vae(**config: float) -> diffusers.AutoencoderKL:
    """Stable Diffusion's autoencoder in small, with random weights."""
    with seeded(0):
        return diffusers.AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 8, 16),
            down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4, layers_per_block=1, **config,
        )  # fmt: skip


@pytest.fixture(scope="module")
def vae() -> diffusers.AutoencoderKL:
    return small_vae(scaling_factor=0.18215)


@pytest.fixture(scope="module")
def clip() -> transformers.CLIPTextModel:
    """CLIP's text model in small, with random weights."""
    config = transformers.CLIPTextConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=12, bos_token_id=62, eos_token_id=63, pad_token_id=63,
    )  # fmt: skip
    with seeded(0):
        return transformers.CLIPTextModel(config)


@pytest.mark.parametrize("shift", [None, 0.1159])
def test_the_autoencoder_of_diffusers_is_a_codec(shift: float | None) -> None:
    """As its pipelines do it: codes are (z - shift) · scale; the numbers are those of Stable Diffusion 1 and FLUX."""
    scale = 0.18215 if shift is None else 0.3611
    vae = small_vae(scaling_factor=scale, shift_factor=shift)
    codec, x = DiffusersCodec(vae), pictures(2, 3, 32, 32)
    z, own = codec.encode(x), vae.encode(x).latent_dist.mean
    assert z.shape == (2, 4, 8, 8)
    torch.testing.assert_close(z / scale + (shift or 0), own)
    torch.testing.assert_close(codec.decode(z), vae.decode(own).sample, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="lie in"):
        codec.encode(9 * x)


def test_clip_sees_what_it_would_have_seen(clip: transformers.CLIPTextModel) -> None:
    """Start of text, the words, end of text up to the end: the row that its own tokenizer makes."""
    own = torch.tensor([[62, 5, 9, 63, 63, 63], [62, 63, 63, 63, 63, 63]])
    text = ClipText(clip)
    context = text(own[:, 1:])
    assert context.shape == (2, 6, 16)
    torch.testing.assert_close(context, clip(own).last_hidden_state)


def test_clip_stays_as_it_is_in_training(clip: transformers.CLIPTextModel) -> None:
    net = TextUNet(UNet(width=16, context_dim=16), ClipText(clip)).train()
    assert net.unet.training
    assert not any(module.training for module in clip.modules())


def test_a_model_of_the_real_parts_trains_and_samples(
    vae: diffusers.AutoencoderKL, clip: transformers.CLIPTextModel
) -> None:
    text = ClipText(clip)
    unet = awake(UNet(in_channels=4, width=16, context_dim=text.width))
    diffusion = DiffusionModel(
        TextUNet(unet, text), cosine_schedule(), prediction_type="v", num_classes=63, condition_shape=(11,),
        clip_x0=False, shape=(4, 8, 8), steps=2, guidance=2.0,
    )  # fmt: skip
    model = LatentDiffusion(
        DiffusersCodec(vae), diffusion, lambda sentences: torch.full((len(sentences), 11), 63)
    )
    y = torch.tensor([[5, 9, *[63] * 9]] * 2)
    loss = model.train().loss(pictures(2, 3, 32, 32), y)
    loss.backward()
    assert loss.isfinite()
    assert not any(module.training for part in (vae, clip) for module in part.modules())
    assert all(weight.grad is None for part in (vae, clip) for weight in part.parameters())
    assert all(weight.grad is not None for weight in unet.parameters())
    x = model.sample(2, y, generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 32, 32)
    assert x.abs().max() <= 1
