"""What diffusion and flow matching share: a network that sees through noise, and may be asked for a condition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.inputs import (
    Model,
    at_least_float32,
    check_at_least,
    check_images,
    check_labels,
    check_maps,
    check_not_negative,
    check_num_classes,
    check_tensor,
    check_tokens,
    noise_like,
)


class Condition(NamedTuple):
    """What is asked for: see `DiffusionModel.predict`."""

    y: Tensor | None = None
    guidance: float = 1.0
    negative: Tensor | None = None


class Step(NamedTuple):
    """Where a sampler stands: at time t the image x_t, and what the network last saw in it (None at the start).

    t: a time step T … 0 of diffusion, or a time 1 … 0 of a flow.
    """

    t: float
    x_t: Tensor
    x0_hat: Tensor | None
    eps_hat: Tensor | None


class GuidedModel(Model):
    """A network `net(x_t, t)` or `net(x_t, t, y)`, the conditions y that it knows, and guidance by them.

    The conditions are left out at random in training, so that the network learns to do without: Ho and Salimans,
    "Classifier-free diffusion guidance", 2022. Arguments: see `DiffusionModel`.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int | None,
        condition_shape: tuple[int, ...],
        p_uncond: float,
        clip_x0: bool,
        shape: tuple[int, ...] | None,
        steps: int,
        guidance: float,
    ):
        super().__init__()
        check_num_classes(num_classes)
        check_at_least(1, steps=steps)
        check_not_negative(guidance=guidance)
        if not 0 <= p_uncond <= 1:
            raise ValueError(f"p_uncond={p_uncond} must lie in 0 … 1")
        known = getattr(net, "num_classes", num_classes)
        if known not in (None, num_classes):
            raise ValueError(f"num_classes={num_classes}, but the network was made for num_classes={known}")
        self.net, self.num_classes = net, num_classes
        self.condition_shape, self.p_uncond = tuple(condition_shape), p_uncond
        self.clip_x0 = clip_x0
        self.shape = None if shape is None else tuple(shape)
        self.steps, self.guidance = steps, guidance

    def drop_condition(self, y: Tensor | None, generator: torch.Generator | None) -> Tensor | None:
        """Conditions int64 (N, …), the share `p_uncond` of them replaced by "no class"; None for a model without."""
        if self.num_classes is None or y is None:
            return None
        dropped = torch.rand(len(y), generator=generator, device=y.device) < self.p_uncond
        return y.masked_fill(dropped.view(-1, *[1] * (y.ndim - 1)), self.num_classes)

    # ------------------------------------------------------------------------------------------- checks

    def check_data(self, x: Tensor, name: str = "x") -> Tensor:
        """x in float32 or wider, or ValueError unless it is a float batch (N, …): of images, if `clip_x0` says so."""
        check = check_images if self.clip_x0 else check_maps
        check(x, self.sizes(x), name)
        return at_least_float32(x)

    def sizes(self, x: Tensor) -> tuple[int | None, ...]:
        """What a batch must have after its N: as many sizes as `shape`, the first of them the channels."""
        return (
            (None,) * max(0, x.ndim - 1)
            if self.shape is None
            else (self.shape[0], *[None] * (len(self.shape) - 1))
        )

    def check_condition(self, y: Tensor | None, n: int, name: str = "y", *, nothing: bool = False) -> None:
        """Raise ValueError unless y is None, or a condition for each of n images that this model knows.

        nothing: whether a class may also be the number `num_classes`, "no class"; a word always may.
        """
        if y is None:
            return
        if self.num_classes is None:
            check_labels(y, n, None, name)
        else:
            count = self.num_classes + bool(nothing or self.condition_shape)
            check_tokens(y, (n, *self.condition_shape), count, name)

    def check_guidance(self, y: Tensor | None, guidance: float, negative: Tensor | None = None) -> None:
        """Raise ValueError unless guidance is a number that fits what is asked for and what is to be avoided."""
        if not 0 <= guidance < math.inf:
            raise ValueError(f"guidance={guidance} must be a number of at least 0")
        if guidance != 1 and (self.num_classes is None or (y is None and negative is None)):
            raise ValueError(f"guidance={guidance} needs a model with classes, and y or negative")
        if negative is not None and not guidance > 1:
            raise ValueError(
                f"negative was given, but guidance={guidance}; it leads away only above 1, try 2"
            )

    def check_state(self, x: Tensor, name: str, condition: Condition, *, nothing: bool = False) -> None:
        """Raise ValueError unless x is a float batch (N, …) of what this model sees, and the condition fits it."""
        check_maps(x, self.sizes(x), name)
        self.check_condition(condition.y, len(x), nothing=nothing)
        self.check_condition(condition.negative, len(x), "negative", nothing=nothing)
        self.check_guidance(*condition)

    # ------------------------------------------------------------------------------ what the network says

    def _guided(
        self, x_t: Tensor, t: Tensor, y: Tensor | None, guidance: float, negative: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """`_output` under guidance: without a condition, and from there w times the step to the one with it."""
        if guidance == 1:
            return self._output(x_t, t, y)
        if guidance == 0:
            return self._output(x_t, t, None)
        nothing = self._no_condition(len(x_t), t.device)
        both = torch.cat([nothing if y is None else y, nothing if negative is None else negative])
        output, more = self._output(torch.cat([x_t, x_t]), t.repeat(2), both)
        towards, away = output.chunk(2)
        return away + guidance * (towards - away), None if more is None else more[: len(x_t)]

    def _output(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the network says about x_t, of its shape; and what it says beside that, where it says more."""
        output = self._run(x_t, t, y)
        if output.shape != x_t.shape:
            raise ValueError(
                f"net gives {tuple(output.shape)} for x_t {tuple(x_t.shape)}; it must be the same"
            )
        return output, None

    def _run(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        """The network works in the dtype of its weights; what it says has that of x_t."""
        x = x_t.to(_dtype(self.net, x_t))
        if self.num_classes is None:
            output = self.net(x, t)
        else:
            output = self.net(x, t, self._no_condition(len(t), t.device) if y is None else y)
        return output.to(x_t.dtype)

    def _no_condition(self, n: int, device: torch.device) -> Tensor:
        """ "No class" for each of n images."""
        assert self.num_classes is not None
        return torch.full((n, *self.condition_shape), self.num_classes, device=device)

    # ------------------------------------------------------------------------------------------ sampling

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
        """n images (n, *shape) by the model's own sampler and number of steps, in the dtype of its weights.

        y: their conditions int64 (n, *condition_shape); None: without.
        guidance: see `DiffusionModel.predict`; None: the model's own, or 1 where there is nothing to lead to or away
            from.
        negative: see `DiffusionModel.predict`; int64 (n, *condition_shape), or one for all, (*condition_shape).
        """
        check_at_least(1, n=n)
        if self.shape is None:
            raise ValueError(
                "shape is None; give the model the shape of one image, or call a sampler with noise of it"
            )
        if guidance is None:
            guidance = 1.0 if y is None and negative is None else self.guidance
        if isinstance(negative, Tensor) and negative.ndim == len(self.condition_shape):
            negative = negative.expand(n, *self.condition_shape)
        weight = self._weight()
        noise = noise_like(at_least_float32(weight).expand(n, *self.shape), generator)
        *_, last = self._from_noise(noise, Condition(y, guidance, negative), generator)
        return last.x_t.to(weight.dtype)

    def _from_noise(
        self, noise: Tensor, condition: Condition, generator: torch.Generator | None
    ) -> Iterator[Step]:
        """The states of the model's own sampler, from noise."""
        raise NotImplementedError

    def _weight(self) -> Tensor:
        """A single number of the dtype and on the device of the weights; of the buffers where there are none."""
        for tensor in chain(self.parameters(), self.buffers()):
            if tensor.is_floating_point():
                return tensor.new_zeros(())
        return torch.zeros(())


def check_pair(
    x0: Tensor, eps: Tensor, sizes: tuple[int | None, ...], names: tuple[str, str] = ("x0", "eps")
) -> None:
    """Raise ValueError unless x0 is a float batch (N, *sizes), and eps one of the same shape."""
    check_maps(x0, sizes, names[0])
    check_tensor(eps, names[1])
    if eps.shape != x0.shape:
        raise ValueError(f"{names[1]} must be {tuple(x0.shape)} as {names[0]}, not {tuple(eps.shape)}")
    check_maps(eps, sizes, names[1])


def _dtype(net: nn.Module, x: Tensor) -> torch.dtype:
    """The dtype that a network works in: of its weights; of x for one that has none."""
    weight = next((p for p in net.parameters() if p.is_floating_point()), None)
    return x.dtype if weight is None else weight.dtype
