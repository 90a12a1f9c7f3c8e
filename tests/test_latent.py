"""Latent diffusion: text to tokens, cross-attention, the codec, and the parts of Stable Diffusion in their place."""

import math

import diffusers
import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

from course_utils import scenes
from course_utils.autoencoders import KLAutoencoder, perceptual_distance
from course_utils.diffusion import (
    DDPM,
    SAMPLERS,
    cosine_schedule,
    ddim_sample,
    image_to_image,
    inpaint,
)
from course_utils.latent import (
    ClipText,
    ClipTokenizer,
    DiffusersCodec,
    LatentDiffusion,
    TextEncoder,
    TextUNet,
    Tokenizer,
    attention_maps,
    scene_diffusion,
)
from course_utils.nets import CrossAttention, UNet, seeded

PROMPT = "a striped red star left of a small blue circle on yellow"


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def awake(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights that are not 0: what is added at the start is nothing, and would hide faults."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            noise = torch.randn(weight.shape, generator=draw)
            weight.copy_(noise / weight[0].numel() ** 0.5 if weight.ndim > 1 else weight + 0.2 * noise)
    return net.eval()


@pytest.fixture(scope="module")
def model() -> LatentDiffusion:
    with seeded(0):
        made = scene_diffusion(width=32, blocks=1, text_width=32, steps=3, guidance=2.0)
    awake(made.ddpm)
    return made.eval()


# ------------------------------------------------------------------------------------------------ text


def test_tokens_are_the_words_in_their_order() -> None:
    tokens = Tokenizer()([PROMPT, "star", ""])
    assert tokens.dtype == torch.int64
    assert tokens.shape == (3, 16)
    back = [[scenes.WORDS[k] for k in row.tolist() if k != Tokenizer.nothing] for row in tokens]
    assert back == [PROMPT.split(), ["star"], []]


def test_every_caption_has_room_and_is_told_by_its_tokens() -> None:
    facts = scenes.sample_attributes(3000, generator=torch.Generator().manual_seed(0))
    sentences = scenes.captions(facts)
    tokens = Tokenizer()(sentences)
    assert len(set(sentences)) == len(tokens.unique(dim=0))


def test_a_word_outside_the_grammar_gets_the_words_inside() -> None:
    with pytest.raises(ValueError, match="octagon") as error:
        Tokenizer()(["a red octagon on white"])
    assert all(word in str(error.value) for word in scenes.WORDS)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(ValueError, match="17 words; at most 16"):
        Tokenizer()(["star " * 17])


def test_the_encoder_knows_the_order_of_words() -> None:
    with seeded(0):
        text = awake(TextEncoder(28, width=32))
    one, other = Tokenizer()(["red star blue circle", "blue star red circle"]).split(1)
    a, b = text(one), text(other)
    assert a.shape == (1, 16, 32)
    assert not torch.allclose(a[0, 1], b[0, 1], atol=1e-4)  # "star" in both: it knows whose colour it has
    pair = text(torch.cat([one, other]))
    torch.testing.assert_close(pair, torch.cat([a, b]), rtol=1e-4, atol=1e-5)


def test_the_encoder_is_a_transformer_as_torch_has_it() -> None:
    """The same weights in torch's own layer give the same numbers."""
    with seeded(0):
        text = awake(TextEncoder(5, width=16, layers=1, length=6))
    ours = text.layers[0]
    theirs = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(ours.qkv.weight)
        theirs.self_attn.in_proj_bias.copy_(ours.qkv.bias)
        pairs = (
            (theirs.self_attn.out_proj, ours.out), (theirs.linear1, ours.mlp[0]), (theirs.linear2, ours.mlp[2]),
            (theirs.norm1, ours.norm1), (theirs.norm2, ours.norm2),
        )  # fmt: skip
        for to, source in pairs:
            to.load_state_dict(source.state_dict())
    h = normal(3, 6, 16)
    torch.testing.assert_close(theirs.eval()(h), ours(h), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "tokens", [torch.zeros(2, 15, dtype=torch.int64), torch.zeros(16, dtype=torch.int64), torch.zeros(2, 16)]
)
def test_tokens_of_another_kind_are_refused(tokens: Tensor) -> None:
    with pytest.raises(ValueError, match="tokens must be int64"):
        TextEncoder(28)(tokens)


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
    net = awake(UNet(channels=4, width=16, context=8))
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
        UNet(width=16, context=8)(x, t)


def test_attention_maps_say_how_the_places_share_their_look(model: LatentDiffusion) -> None:
    y = model.tokenize([PROMPT, "a red star on blue"])
    maps = attention_maps(model.ddpm.net, normal(2, 4, 16, 16), torch.tensor([300, 300]), y)
    assert maps.shape == (2, 16, 8, 8)
    assert (maps >= 0).all()
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 8, 8))
    assert not any(layer._forward_hooks for layer in model.modules())


# ------------------------------------------------------------------------------------------ the codec


@pytest.mark.parametrize(("factor", "channels"), [(4, 4), (8, 6)])
def test_codes_keep_their_place(factor: int, channels: int) -> None:
    codec = awake(KLAutoencoder(factor=factor, latent_channels=channels, width=16))
    x = normal(2, 3, 64, 96)
    z = codec.encode(x)
    assert z.shape == (2, channels, 64 // factor, 96 // factor)
    assert codec.decode(z).shape == x.shape
    torch.testing.assert_close(codec(x), codec.decode(z))
    moved = x.clone()
    moved[:, :, :8, :8] += (
        1  # a corner of the image: the codes at the other end do not hear of it, but for the norms
    )
    change = (codec.encode(moved) - z).abs().mean(dim=(0, 1))
    assert change[:2, :2].mean() > 10 * change[-2:, -2:].mean()


def test_the_scale_brings_codes_to_variance_one() -> None:
    codec = awake(KLAutoencoder(width=16))
    x = normal(20, 3, 32, 32)
    before = codec(x)
    codec.fit_scale(x)
    assert codec.encode(x).std().item() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(codec(x), before, rtol=1e-3, atol=1e-5)  # what comes out stays


def test_the_loss_is_its_three_terms() -> None:
    codec, x = awake(KLAutoencoder(width=16, kl_weight=0.25)), normal(3, 3, 16, 16)
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
        KLAutoencoder(factor=8).encode(normal(1, 3, 60, 64))
    with pytest.raises(ValueError, match="shape"):
        KLAutoencoder().encode(normal(1, 1, 64, 64))
    with pytest.raises(ValueError, match="shape"):
        KLAutoencoder().decode(normal(1, 3, 16, 16))


# --------------------------------------------------------------------------------------- the whole model


def test_the_loss_is_that_of_the_ddpm_on_codes(model: LatentDiffusion) -> None:
    x, y = normal(4, 3, 64, 64), model.tokenize([PROMPT] * 4)
    loss = model.loss(x, y, generator=torch.Generator().manual_seed(3))
    expected = model.ddpm.loss(model.codec.encode(x), y, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(loss, expected)


def test_training_moves_everything_but_the_codec() -> None:
    with seeded(0):
        model = scene_diffusion(width=32, blocks=1, text_width=32)
    awake(model.ddpm)
    model.train()
    model.loss(normal(4, 3, 64, 64), model.tokenize([PROMPT] * 4)).backward()
    assert all(weight.grad is None for weight in model.codec.parameters())
    silent = [name for name, weight in model.ddpm.named_parameters() if not weight.grad.abs().sum() > 0]
    assert silent == []


def test_a_sample_is_the_decoded_draw_of_the_ddpm(model: LatentDiffusion) -> None:
    y = model.tokenize([PROMPT, "a red star on blue"])
    for condition in (y, None):
        x = model.sample(2, condition, generator=torch.Generator().manual_seed(0))
        z_T = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
        guidance = 1.0 if condition is None else 2.0
        *_, last = SAMPLERS[model.ddpm.sampler](model.ddpm, z_T, steps=3, y=condition, guidance=guidance)
        torch.testing.assert_close(x, model.codec.decode(last.x_t).clamp(-1, 1))


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_works_in_the_latent_space(model: LatentDiffusion, name: str) -> None:
    y, draw = model.tokenize([PROMPT] * 2), torch.Generator().manual_seed(0)
    z_T = normal(2, 4, 16, 16)
    *_, last = SAMPLERS[name](model.ddpm, z_T, steps=2, y=y, guidance=3.0, generator=draw)
    assert last.x_t.shape == z_T.shape
    assert last.x_t.isfinite().all()


def test_image_to_image_and_inpainting_work_in_the_latent_space(model: LatentDiffusion) -> None:
    y, z = model.tokenize([PROMPT] * 2), normal(2, 4, 16, 16, seed=1)
    draw = torch.Generator().manual_seed(0)
    *_, last = image_to_image(model.ddpm, z, start=400, steps=2, y=y, guidance=2.0, generator=draw)
    assert last.x_t.shape == z.shape
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., :8] = True
    *_, last = inpaint(
        model.ddpm, normal(2, 4, 16, 16), known=z, mask=mask, steps=2, y=y, generator=draw
    )  # fmt: skip
    assert torch.equal(last.x_t[..., :8], z[..., :8])


# -------------------------------------------------------------------- prompts as the condition of a DDPM


def test_guidance_leads_from_the_empty_prompt_or_from_a_negative_one(model: LatentDiffusion) -> None:
    """w (with - without) + without, by two runs of the network each."""
    x_t, t = normal(2, 4, 16, 16), torch.tensor([700, 700])
    y = model.tokenize([PROMPT, "a red star on blue"])
    empty, negative = model.tokenize(["", ""]), model.tokenize(["a white cross on red"] * 2)

    def eps(condition: Tensor | None) -> Tensor:
        return model.ddpm.predict_x0_eps(x_t, t, condition).eps

    torch.testing.assert_close(eps(None), eps(empty))
    for leader, without in ((model.ddpm, empty), (model.ddpm.away_from(negative[0]), negative)):
        expected = eps(without) + 2.5 * (eps(y) - eps(without))
        torch.testing.assert_close(
            leader.predict_x0_eps(x_t, t, y, 2.5).eps, expected, rtol=1e-3, atol=1e-4
        )  # fmt: skip
    assert model.ddpm.negative is None  # the model itself stays as it was
    assert not torch.allclose(eps(empty), eps(negative), atol=1e-3)


def test_a_prompt_is_dropped_as_a_whole(model: LatentDiffusion) -> None:
    y = model.tokenize([PROMPT]).expand(4000, -1)
    dropped = model.ddpm.drop_labels(y, torch.Generator().manual_seed(0))
    empty = (dropped == Tokenizer.nothing).all(dim=1)
    whole = (dropped == y).all(dim=1)
    assert (empty ^ whole).all()
    assert 0.08 < empty.double().mean() < 0.12


# ------------------------------------------------------------------------------- the parts of the real one


@pytest.fixture(scope="module")
def vae() -> diffusers.AutoencoderKL:
    """Stable Diffusion's autoencoder in small, with random weights."""
    with seeded(0):
        return diffusers.AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 8, 8, 16),
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4, layers_per_block=1, scaling_factor=0.18215,
        )  # fmt: skip


@pytest.fixture(scope="module")
def clip() -> transformers.CLIPTextModel:
    """CLIP's text model in small, with random weights."""
    config = transformers.CLIPTextConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=12, bos_token_id=62, eos_token_id=63, pad_token_id=63,
    )  # fmt: skip
    with seeded(0):
        return transformers.CLIPTextModel(config)


def test_the_autoencoder_of_diffusers_is_a_codec(vae: diffusers.AutoencoderKL) -> None:
    codec, x = DiffusersCodec(vae), normal(2, 3, 64, 64).clamp(-1, 1)
    z = codec.encode(x)
    assert z.shape == (2, 4, 8, 8)
    torch.testing.assert_close(z / 0.18215, vae.encode(x).latent_dist.mean)
    torch.testing.assert_close(codec.decode(z), vae.decode(vae.encode(x).latent_dist.mean).sample)


def test_clip_sees_what_it_would_have_seen(clip: transformers.CLIPTextModel) -> None:
    """Start of text, the words, end of text up to the end: the row that its own tokenizer makes."""
    own = torch.tensor([[62, 5, 9, 63, 63, 63], [62, 63, 63, 63, 63, 63]])
    text = ClipText(clip)
    context = text(own[:, 1:])
    assert context.shape == (2, 6, 16)
    torch.testing.assert_close(context, clip(own).last_hidden_state)


def test_the_clip_tokenizer_gives_rows_that_end_in_nothing() -> None:
    class Stub:
        """What `transformers.CLIPTokenizer` answers; its vocabulary has to be downloaded."""

        eos_token_id, model_max_length = 63, 6

        def __call__(self, sentences: list[str], **asked: object) -> object:
            assert asked == {
                "padding": "max_length",
                "truncation": True,
                "max_length": 6,
                "return_tensors": "pt",
            }
            rows = [[62, *range(len(s.split())), 63] for s in sentences]
            rows = [row + [0] * (6 - len(row)) for row in rows]  # some versions fill up with another token
            return transformers.BatchEncoding({"input_ids": torch.tensor(rows)})

    tokenize = ClipTokenizer(Stub())
    assert tokenize.nothing == 63
    assert tokenize(["one two three", ""]).tolist() == [[0, 1, 2, 63, 63], [63] * 5]


def test_a_model_of_the_real_parts_trains_and_samples(
    vae: diffusers.AutoencoderKL, clip: transformers.CLIPTextModel
) -> None:
    text = ClipText(clip)
    unet = awake(UNet(channels=4, width=16, context=text.width))
    ddpm = DDPM(
        TextUNet(unet, text),
        cosine_schedule(),
        predict="v",
        classes=63,
        condition=(11,),
        shape=(4, 8, 8),
        steps=2,
    )
    model = LatentDiffusion(DiffusersCodec(vae), ddpm, lambda sentences: torch.full((len(sentences), 11), 63))
    y = torch.tensor([[5, 9, *[63] * 9]] * 2)
    loss = model.loss(normal(2, 3, 64, 64), y)
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is None for part in (vae, clip) for weight in part.parameters())
    x = model.sample(2, y, generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 64, 64)
    z_T = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    *_, last = ddim_sample(ddpm, z_T, steps=2, y=y, guidance=2.0)
    assert last.x_t.isfinite().all()
