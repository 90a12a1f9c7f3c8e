"""Networks as a web page runs them: a description of the layers, and their weights as bytes.

Each matrix is stored with 8 bits a weight and a scale for each of its rows, biases and norms as they are; all of it
is deflated. Channels lie innermost, as `front/src/drawing/arithmetic.ts` has them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils.autoencoders import VAE, Autoencoder
from course_utils.nets import Classifier, UNet
from course_utils.nets.unet import HEADS

LARGEST = 127  # of a weight's 8 bits, either way


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (R, K) as whole numbers -127 … 127, int8 (R, K), and the scale of each row, float32 (R,)."""
    scales = rows.abs().amax(dim=1) / LARGEST
    scales = torch.where(scales == 0, 1.0, scales).float()
    return (rows / scales[:, None]).round().to(torch.int8), scales


class Packer:
    """Collects weights and says where each lies; `finish` gives them all."""

    def __init__(self) -> None:
        self._floats: list[np.ndarray] = []
        self._bytes: list[np.ndarray] = []

    def vector(self, values: Tensor) -> dict[str, int]:
        at = sum(map(len, self._floats))
        self._floats.append(values.detach().float().numpy().ravel())
        return {"at": at, "length": values.numel()}

    def matrix(self, rows: Tensor) -> dict[str, int]:
        numbers, scales = rounded(rows.detach())
        at = sum(part.size for part in self._bytes)
        self._bytes.append(numbers.contiguous().numpy())
        return {
            "rows": len(rows),
            "columns": rows.shape[1],
            "at": at,
            "scales": self.vector(scales)["at"],
        }

    def finish(self, networks: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The description for the front end, and the weights: float32 first, then the bytes, deflated."""
        floats = np.concatenate(self._floats)
        content = floats.astype("<f4").tobytes() + b"".join(part.tobytes() for part in self._bytes)
        return {"floats": len(floats), "networks": networks}, zlib.compress(content, 9)

    # ---------------------------------------------------------------------------------------------- layers

    def linear(
        self, layer: nn.Linear, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> dict[str, Any]:
        """weight, bias: instead of the layer's own."""
        weight, bias = (layer.weight if weight is None else weight), (layer.bias if bias is None else bias)
        return {"kind": "linear", "weight": self.matrix(weight), "bias": self.vector(bias)}

    def convolution(
        self, layer: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d | None = None
    ) -> dict[str, Any]:
        """A convolution, or its transpose; the norm after it, of fixed mean and variance, is in its weights."""
        weight, bias = layer.weight.detach(), layer.bias
        if norm is not None:
            assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight, bias = weight * factor[:, None, None, None], norm.bias - norm.running_mean * factor
        assert bias is not None
        up = isinstance(layer, nn.ConvTranspose2d)  # (in, out, k, k); a convolution has (out, in, k, k)
        rows = weight.permute(1, 2, 3, 0).flatten(0, 2) if up else weight.permute(0, 2, 3, 1).flatten(1)
        return {
            "kind": "grow" if up else "conv", "weight": self.matrix(rows), "bias": self.vector(bias),
            "kernel": layer.kernel_size[0], "stride": layer.stride[0],
            "padding": int(layer.padding[0]),
        }  # fmt: skip

    def sequence(self, layers: Iterable[nn.Module]) -> list[dict[str, Any]]:
        """Layers in a row. What flattens or unflattens a map goes into the linear layer beside it."""
        layers = [
            part for layer in layers for part in (layer if isinstance(layer, nn.Sequential) else [layer])
        ]
        described: list[dict[str, Any]] = []
        channels = 0  # of the last convolution
        for k, layer in enumerate(layers):
            before, after = layers[max(0, k - 1)], layers[k + 1 : k + 3]
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                norm = next((other for other in after[:1] if isinstance(other, nn.BatchNorm2d)), None)
                described.append(self.convolution(layer, norm))
                channels = layer.out_channels
            elif isinstance(layer, nn.Linear):
                weight, bias = layer.weight, layer.bias
                if isinstance(before, nn.Flatten):
                    side = math.isqrt(layer.in_features // channels)
                    weight = weight.unflatten(1, (channels, side, side)).permute(0, 2, 3, 1).flatten(1)
                for other in after:  # an activation may come first
                    if isinstance(other, nn.Unflatten):
                        weight, bias = (
                            part.unflatten(0, other.unflattened_size).movedim(0, 2).flatten(0, 2)
                            for part in (weight, bias)
                        )
                described.append(self.linear(layer, weight, bias))
            elif isinstance(layer, nn.Unflatten):
                count, height, width = layer.unflattened_size
                described.append({"kind": "reshape", "shape": [height, width, count]})
            elif isinstance(layer, nn.ReLU | nn.SiLU | nn.Tanh):
                described.append({"kind": type(layer).__name__.lower()})
            elif not isinstance(layer, nn.Flatten | nn.BatchNorm2d):
                raise ValueError(f"layers holds a {type(layer).__name__}, which the front end does not know")
        return described

    def classifier(self, model: Classifier) -> list[dict[str, Any]]:
        return [*self.sequence(model.body), {"kind": "mean"}, self.linear(model.head)]

    def autoencoder(self, model: Autoencoder | VAE) -> dict[str, Any]:
        return {"encoder": self.sequence(model.encoder), "decoder": self.sequence(model.decoder)}

    def unet(self, net: UNet) -> dict[str, Any]:
        """A `UNet` of grey images, with classes and without tokens."""

        def blocks(stage: Iterable[nn.Module]) -> list[dict[str, Any]]:
            return [self._time_block(b) if hasattr(b, "conv1") else self._attention(b) for b in stage]

        assert net.embed is not None
        assert isinstance(net.out, nn.Conv2d)
        return {
            "width": net.width, "heads": HEADS, "time": self.sequence(net.time),
            "embed": self.matrix(net.embed.weight),
            "stem": self.convolution(net.stem), "down": blocks(net.down),
            "toQuarter": self.convolution(net.to_quarter), "below": blocks(net.below), "middle": blocks(net.middle),
            "back": blocks(net.back), "toHalf": self.convolution(net.to_half), "up": blocks(net.up),
            "norm": self._norm(net.norm), "out": self.convolution(net.out),
        }  # fmt: skip

    def _time_block(self, block: Any) -> dict[str, Any]:
        return {
            "kind": "time", "norm": self._norm(block.norm1), "conv1": self.convolution(block.conv1),
            "conv2": self.convolution(block.conv2), "scaleShift": self.linear(block.scale_shift),
        }  # fmt: skip

    def _attention(self, block: Any) -> dict[str, Any]:
        return {
            "kind": "attention", "norm": self._norm(block.norm), "qkv": self.linear(block.qkv),
            "out": self.linear(block.out),
        }  # fmt: skip

    def _norm(self, norm: nn.GroupNorm) -> dict[str, Any]:
        return {"scale": self.vector(norm.weight), "shift": self.vector(norm.bias)}
