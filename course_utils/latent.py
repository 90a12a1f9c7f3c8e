"""Latent diffusion: an autoencoder before and after the unchanged `diffusion.DDPM`, and text that steers it.

Two small interfaces join the parts, so that others can stand in for ours:

    codec   .encode(x) → z and .decode(z) → x; images in [-1, 1], codes of about variance 1
    text    tokens int64 (N, L) → context (N, L', width), what the U-Net's cross-attention looks at

A prompt goes through the samplers as their condition y: its tokens, int64 (N, L). The token `nothing` is no word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders import KLAutoencoder
from course_utils.data import Images
from course_utils.diffusion import DDPM, cosine_schedule
from course_utils.nets import CrossAttention, UNet, check_at_least
from course_utils.scenes import WORDS, captions, check_words, draw, sample_attributes


class Codec(Protocol):
    """Images (N, C, H, W) in [-1, 1] to codes (N, c, h, w) of about variance 1, and back."""

    def encode(self, x: Tensor, /) -> Tensor: ...
    def decode(self, z: Tensor, /) -> Tensor: ...


# ------------------------------------------------------------------------------------------------ text


class Tokenizer:
    """Captions of `scenes` to numbers, one a word: the number of the word in `scenes.WORDS`, then `nothing`.

    Calling it: n sentences to int64 (n, 16).

    Raises:
        ValueError: a word that is not in the grammar (the message lists those that are), or more than 16 words.
    """

    length = 16
    nothing = len(WORDS)

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        tokens = torch.full((len(sentences), self.length), self.nothing)
        for row, sentence in zip(tokens, sentences, strict=True):
            check_words(sentence)
            words = sentence.split()
            if len(words) > self.length:
                raise ValueError(f"{sentence!r} has {len(words)} words; at most {self.length} are allowed")
            row[: len(words)] = torch.tensor([WORDS.index(word) for word in words])
        return tokens


class TextEncoder(nn.Module):
    """Tokens int64 (N, L) → one vector for each that knows of the others, (N, L, width): a small transformer.

    Source: Vaswani et al., "Attention is all you need", 2017, the encoder, normalised before each part; trained along
    with the diffusion model as in Rombach et al., 2022, section 4.3.1.

    Args:
        kinds: how many tokens there are; `kinds` itself stands for no word.
        width: of the vectors, divisible by 4.
        length: L.
    """

    def __init__(self, kinds: int, *, width: int = 96, layers: int = 2, length: int = 16):
        super().__init__()
        check_at_least(1, kinds=kinds, layers=layers, length=length)
        if width < 4 or width % 4:
            raise ValueError(f"width={width} must be a multiple of 4, the number of heads")
        self.kinds, self.width, self.length = kinds, width, length
        self.embed = nn.Embedding(kinds + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        nn.init.normal_(self.embed.weight, std=0.02)
        self.layers = nn.ModuleList(_TextBlock(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.ndim != 2 or tokens.shape[1] != self.length or tokens.dtype != torch.int64:
            raise ValueError(
                f"tokens must be int64 (N, {self.length}), not {tokens.dtype} {tuple(tokens.shape)}"
            )
        h = self.embed(tokens) + self.place
        for layer in self.layers:
            h = layer(h)
        return self.norm(h)


class _TextBlock(nn.Module):
    """Each token takes from the others, then is worked on by itself."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.qkv, self.out = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(h)).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        h = h + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return h + self.mlp(self.norm2(h))


class TextUNet(nn.Module):
    """A U-Net that reads a prompt: `net(x_t, t, y)` as a `DDPM` calls it, y the tokens int64 (N, L).

    Args:
        unet: with `context`, the width that `text` gives.
        text: tokens to vectors: a `TextEncoder`, or a `ClipText`.
    """

    def __init__(self, unet: UNet, text: nn.Module):
        super().__init__()
        self.unet, self.text = unet, text

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return self.unet(x_t, t, context=self.text(y))


@torch.no_grad()
def attention_maps(net: TextUNet, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """Where the U-Net looks for each token: (N, L, H / 2, W / 2), sum 1 over the L tokens.

    The mean over the heads of all cross-attentions at half the size, as in Tang et al., "What the DAAM: interpreting
    Stable Diffusion using cross attention", 2023, section 3.

    x_t: noisy codes (N, c, H, W); t: int64 (N,); y: tokens int64 (N, L).
    """
    maps: list[Tensor] = []

    def note(layer: Any, given: tuple[Any, ...], _: Tensor) -> None:
        h, _, context = given
        if h.shape[2] == x_t.shape[2] // 2:
            maps.append(layer.attention(h, context))

    layers = [layer for layer in net.unet.modules() if isinstance(layer, CrossAttention)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        net(x_t, t, y)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(maps).mean(dim=0).movedim(3, 1)


# --------------------------------------------------------------------------------------- the whole model


class LatentDiffusion(nn.Module):
    """Diffusion of an autoencoder's codes: images are encoded, `ddpm` learns and draws codes, codes are decoded.

    Source: Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022, section 3.

    Args:
        codec: a trained `KLAutoencoder`, or a `DiffusersCodec`; it is not trained any more.
        ddpm: of codes; its `shape` is theirs.
        tokenize: prompts to tokens int64 (n, L), the condition y.
    """

    def __init__(self, codec: nn.Module, ddpm: DDPM, tokenize: Callable[[Sequence[str]], Tensor]):
        super().__init__()
        self.codec: Any = codec.requires_grad_(False)
        self.ddpm, self.tokenize = ddpm, tokenize

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """The loss of the DDPM on the codes of images x (N, C, H, W), with tokens y (N, L)."""
        with torch.no_grad():
            z = self.codec.encode(x)
        return self.ddpm.loss(z, y, generator=generator)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """n images (n, C, H, W) in [-1, 1], of the prompts whose tokens y (n, L) are, if given."""
        return self.codec.decode(self.ddpm.draw(n, y, generator=generator)).clamp(-1, 1)


def text_ddpm(
    shape: tuple[int, int, int], *, width: int = 64, blocks: int = 2, text_width: int = 96, **sampling: Any
) -> DDPM:
    """A DDPM of images or codes of this shape (C, H, W) that is asked for by captions of `scenes`, not trained yet.

    A `TextUNet` of this width that predicts v, and the cosine schedule. sampling: `sampler`, `steps` and `guidance`.
    """
    text = TextEncoder(len(WORDS), width=text_width, length=Tokenizer.length)
    unet = UNet(channels=shape[0], width=width, blocks=blocks, context=text_width)
    return DDPM(
        TextUNet(unet, text), cosine_schedule(), predict="v", classes=Tokenizer.nothing,
        condition=(Tokenizer.length,), shape=tuple(shape), **sampling,
    )  # fmt: skip


def scene_diffusion(*, factor: int = 4, latent_channels: int = 4, **ddpm: Any) -> LatentDiffusion:
    """Text to scenes of 64 × 64: a `KLAutoencoder` and a `text_ddpm` of its codes, not trained yet.

    ddpm: arguments of `text_ddpm` after the shape.
    """
    side = 64 // factor
    codec = KLAutoencoder(factor=factor, latent_channels=latent_channels)
    return LatentDiffusion(codec, text_ddpm((latent_channels, side, side), **ddpm), Tokenizer())


@torch.no_grad()
def encoded_scenes(codec: KLAutoencoder, n: int, *, seed: int = 0) -> Images:
    """n training scenes, encoded once so that training need not do it again.

    Returns:
        As x their codes (n, c, h, w), as y the tokens of their captions, int64 (n, 16).
    """
    place, tokenize = next(codec.parameters()).device, Tokenizer()
    facts = sample_attributes(n, generator=torch.Generator().manual_seed(seed), combinations="seen")
    codes = []
    for start in range(0, n, 500):
        part = {name: value[start : start + 500] for name, value in facts.items()}
        codes.append(codec.encode(draw(part).to(place)).cpu())
    return Images(torch.cat(codes), tokenize(captions(facts)), ())


# -------------------------------------------------------------------------------- the real one's parts


class DiffusersCodec(nn.Module):
    """A Stable Diffusion autoencoder as a codec: `DiffusersCodec(AutoencoderKL.from_pretrained(…))`.

    vae: a `diffusers.AutoencoderKL`; its `scaling_factor` brings the codes to variance 1.
    """

    def __init__(self, vae: Any):
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)

    def encode(self, x: Tensor) -> Tensor:
        """The mean codes: images (N, 3, H, W) in [-1, 1] to (N, c, H / f, W / f)."""
        return self.vae.encode(x).latent_dist.mode() * self.vae.config.scaling_factor

    def decode(self, z: Tensor) -> Tensor:
        """Codes back to images (N, 3, f h, f w)."""
        return self.vae.decode(z / self.vae.config.scaling_factor).sample


class ClipTokenizer:
    """Any sentences to CLIP's tokens, without the first one, "start of text", which `ClipText` puts back.

    So the end-of-text token, which fills a short sentence up, is `nothing`: a row of it is the empty prompt.

    tokenizer: a `transformers.CLIPTokenizer`.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer, self.nothing = tokenizer, int(tokenizer.eos_token_id)

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        length = self.tokenizer.model_max_length
        tokens = self.tokenizer(
            list(sentences), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).input_ids[:, 1:]
        ended = (tokens == self.nothing).cumsum(dim=1) > 0
        return tokens.masked_fill(ended, self.nothing)


class ClipText(nn.Module):
    """CLIP's text embeddings as the text that a U-Net looks at: tokens int64 (N, L) → (N, L + 1, width).

    model: a `transformers.CLIPTextModel`; it is not trained.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.width = model.config.hidden_size

    def forward(self, tokens: Tensor) -> Tensor:
        start = torch.full_like(tokens[:, :1], self.model.config.bos_token_id)
        return self.model(torch.cat([start, tokens], dim=1)).last_hidden_state
