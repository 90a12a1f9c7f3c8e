"""Latent diffusion: an autoencoder before and after the unchanged `DiffusionModel`, and text that steers it.

Two small interfaces join the parts, so that others can stand in for ours:

    codec   .encode(x) → z and .decode(z) → x; images in [-1, 1], codes of about variance 1
    text    tokens int64 (N, L) → context (N, L', width), what the U-Net's cross-attention looks at

A prompt goes through the samplers as their condition y: its tokens, int64 (N, L). The token `nothing` is no word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from course_utils.diffusion import DiffusionModel, FlowMatching
from course_utils.inputs import Model, Rebuildable, check_at_least, check_images, check_tokens, is_whole
from course_utils.nets import CrossAttention, UNet


class Codec(Protocol):
    """Images (N, C, H, W) in [-1, 1] to codes (N, c, h, w) of about variance 1, and back."""

    def encode(self, x: Tensor, /) -> Tensor: ...
    def decode(self, z: Tensor, /) -> Tensor: ...


# ------------------------------------------------------------------------------------------------ text


class WordTokenizer(Rebuildable):
    """Sentences to numbers, one a word: the number of the word in `words`, then `nothing`.

    Calling it: n sentences to int64 (n, length). Capital letters and a full stop at the end do not count.

    Args:
        words: all that are known, each once, in small letters.
        length: L, the largest number of words in a sentence.

    Raises:
        ValueError: a word that is not known (the message lists those that are), or too many of them.
    """

    def __init__(self, words: Sequence[str], length: int = 16):
        check_at_least(1, length=length)
        self.words, self.length, self.nothing = tuple(words), length, len(words)
        if len(set(self.words)) < self.nothing or any(word != word.lower() for word in self.words):
            raise ValueError("words must be in small letters, each once")

    def __call__(self, sentences: Sequence[str]) -> Tensor:
        if isinstance(sentences, str):
            raise ValueError(f"sentences must be a list, not one string; write [{sentences!r}]")
        number = {word: k for k, word in enumerate(self.words)}
        tokens = torch.full((len(sentences), self.length), self.nothing)
        for row, sentence in zip(tokens, sentences, strict=True):
            words = sentence.lower().rstrip(" .").split()
            for word in words:
                if word not in number:
                    allowed = ", ".join(self.words)
                    raise ValueError(f"{sentence!r}: the word {word!r} is unknown; allowed: {allowed}")
            if len(words) > self.length:
                raise ValueError(f"{sentence!r} has {len(words)} words; at most {self.length} are allowed")
            row[: len(words)] = torch.tensor([number[word] for word in words])
        return tokens


class TextEncoder(Model):
    """Tokens int64 (N, L) → one vector for each that knows of the others, (N, L, width): a small transformer.

    Source: Vaswani et al., "Attention is all you need", 2017, the encoder, normalised before each part; trained along
    with the diffusion model as in Rombach et al., 2022, section 4.3.1.

    Args:
        num_tokens: how many there are; `num_tokens` itself stands for no word.
        width: of the vectors, divisible by 4, the number of heads.
        length: L.
    """

    def __init__(self, num_tokens: int, *, width: int = 96, layers: int = 2, length: int = 16):
        super().__init__()
        check_at_least(1, num_tokens=num_tokens, layers=layers, length=length)
        if not is_whole(width) or width < 4 or width % 4:
            raise ValueError(f"width={width} must be a multiple of 4, the number of heads")
        self.num_tokens, self.width, self.length = num_tokens, width, length
        self.embed = nn.Embedding(num_tokens + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        nn.init.normal_(self.embed.weight, std=0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        check_tokens(tokens, (len(tokens), self.length), self.num_tokens + 1, "tokens", each_step=True)
        h = self.embed(tokens) + self.place
        for layer in self.layers:
            h = layer(h)
        return self.norm(h)


class TextUNet(Model):
    """A U-Net that reads a prompt: `net(x_t, t, y)` as a `DiffusionModel` calls it, y the tokens int64 (N, L).

    Args:
        unet: with the `context_dim` that `text` gives.
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


class LatentDiffusion(Model):
    """Diffusion of an autoencoder's codes: images are encoded, `diffusion` learns and draws codes, codes are decoded.

    Source: Rombach et al., "High-resolution image synthesis with latent diffusion models", 2022, section 3.

    Args:
        codec: a trained `KLAutoencoder`, or a `DiffusersCodec`; it is not trained any more.
        diffusion: a `DiffusionModel` or `FlowMatching` of codes, so without `clip_x0`; its `shape` is theirs.
        tokenize: prompts to tokens int64 (n, L), the condition y.
    """

    def __init__(
        self,
        codec: nn.Module,
        diffusion: DiffusionModel | FlowMatching,
        tokenize: Callable[[Sequence[str]], Tensor],
    ):
        super().__init__()
        if diffusion.clip_x0:
            raise ValueError("diffusion has clip_x0=True, but codes lie outside [-1, 1]; make it with False")
        self.codec: Any = codec.requires_grad_(False).eval()
        self.diffusion, self.tokenize = diffusion, tokenize

    def train(self, mode: bool = True) -> LatentDiffusion:
        """As `nn.Module.train`, but the autoencoder stays as it is."""
        super().train(mode)
        self.codec.eval()
        return self

    def loss(self, x: Tensor, y: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """The loss of the diffusion model on the codes of images x (N, C, H, W), with tokens y (N, L)."""
        check_images(x)
        z = self.codec.encode(x).detach()  # its weights ask for no gradients
        return self.diffusion.loss(z, y, generator=generator)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        guidance: float | None = None,
        negative: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """n images (n, C, H, W) in [-1, 1], of the prompts whose tokens are y (n, L), if given.

        guidance, negative: see `DiffusionModel.sample`; for words, `negative` is known as a negative prompt.
        """
        z = self.diffusion.sample(n, y, guidance=guidance, negative=negative, generator=generator)
        return self.codec.decode(z).clamp(-1, 1)


# -------------------------------------------------------------------------------- the real one's parts


class DiffusersCodec(nn.Module):
    """A Stable Diffusion autoencoder as a codec: `DiffusersCodec(AutoencoderKL.from_pretrained(…))`.

    vae: a `diffusers.AutoencoderKL`; its `shift_factor`, if it has one, and its `scaling_factor` bring the codes to
    mean 0 and variance 1. It is not trained.
    """

    def __init__(self, vae: Any):
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)

    def encode(self, x: Tensor) -> Tensor:
        """The mean codes: images (N, 3, H, W) in [-1, 1] to (N, c, H / f, W / f)."""
        check_images(x)
        return (self.vae.encode(x).latent_dist.mode() - self._shift()) * self.vae.config.scaling_factor

    def decode(self, z: Tensor) -> Tensor:
        """Codes back to images (N, 3, f h, f w)."""
        return self.vae.decode(z / self.vae.config.scaling_factor + self._shift()).sample

    def _shift(self) -> float:
        return getattr(self.vae.config, "shift_factor", None) or 0.0


class ClipText(nn.Module):
    """CLIP's text embeddings as the text that a U-Net looks at: tokens int64 (N, L) → (N, L + 1, width).

    model: a `transformers.CLIPTextModel`; it is not trained.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.width = model.config.hidden_size

    def train(self, mode: bool = True) -> ClipText:
        """As `nn.Module.train`, but CLIP, which is not trained, stays as it is."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, tokens: Tensor) -> Tensor:
        start = torch.full_like(tokens[:, :1], self.model.config.bos_token_id)
        return self.model(torch.cat([start, tokens], dim=1)).last_hidden_state
