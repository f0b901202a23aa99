"""What stands in for the two signs of a Bi-Real network in the stages of its training.

The activation of a binary convolution is a sign in the end; real-valued pre-training puts ReLU, a leaky clip, then a
clip there. Its weights are +-alpha_c in the end and real numbers in the first of two steps. Where the papers' text and
published code disagree about a gradient, the text's is the plain name and the others are named after their source.

Behind BatchNorm the factor alpha_c of a value changes nothing but the gradient, which BatchNorm divides by it: that of
the releases, without alpha_c, moves w by 1/alpha_c times as much as `unscaled` does. The text's alpha_c cancels the
1/alpha_c, and `binary` trains as `unscaled` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from bireal_hw.errors import unknown
from bireal_hw.models.layers import TrainedBinaryConv
from bireal_hw.models.quantizers import ApproxSign, ApproxSignQuant, MagnitudeSign, MagnitudeSignQuant, hard_sign

LEAK = 0.1
"""Slope of the leaky clip outside of [-1, 1]; the authors' Caffe release."""


def leaky_clip(x: Tensor) -> Tensor:
    """Return x inside [-1, 1], and a line of slope 0.1 through the corner outside.

    >>> [round(y, 6) for y in leaky_clip(torch.tensor([-3.0, -1.0, 0.5, 2.0])).tolist()]
    [-1.2, -1.0, 0.5, 1.1]
    """
    return torch.lerp(F.hardtanh(x), x, LEAK)


class StraightSign(Function):
    """Take the sign of a, 0 giving +1; the gradient passes where |a| <= 1: ApproxSign switched off."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        return hard_sign(a)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (a,) = ctx.saved_tensors
        return grad * (a.abs() <= 1)


class LarqSign(MagnitudeSign):
    """Binarise weights as `MagnitudeSign`; the mask of the gradient is |w| <= 1, so clipped weights can come back."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        w, alpha = ctx.saved_tensors
        return grad * alpha * (w.abs() <= 1), None


class PytorchSign(MagnitudeSign):
    """Binarise weights as `MagnitudeSign`; the gradient is grad * 1{|w| <= 1}, without alpha."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        w, _ = ctx.saved_tensors
        return grad * (w.abs() <= 1), None


class UnscaledSign(MagnitudeSign):
    """Binarise weights to +-1, without alpha; the gradient is grad * 1{|w| <= 1}: the plain sign of BinaryNet."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(w)
        return hard_sign(w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (w,) = ctx.saved_tensors
        return grad * (w.abs() <= 1), None


class CaffeSign(MagnitudeSign):
    """Binarise weights as `MagnitudeSign`; the gradient passes unchanged."""

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def _real(w: Tensor, alpha: Tensor) -> Tensor:
    return w


SIGNS: dict[str, Callable[[Tensor], Tensor]] = {"sign": ApproxSign.apply, "straight_sign": StraightSign.apply}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_clip": leaky_clip,
    "clip": F.hardtanh,
    **SIGNS,
}
"""What stands before a binary convolution; the two signs differ in their gradient only."""

BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary": MagnitudeSign.apply,
    "binary_larq": LarqSign.apply,
    "binary_pytorch": PytorchSign.apply,
    "binary_caffe": CaffeSign.apply,
    "unscaled": UnscaledSign.apply,
}
WEIGHTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"real": _real, **BINARY}
"""What a binary convolution multiplies with: itself, +-1, or +-alpha_c, these differing in their gradient only."""


def set_modes(model: nn.Module, activation: str = "sign", weights: str = "binary") -> None:
    """Choose what stands in for the signs of all binary convolutions of a network.

    Raises BirealError for a name that is not in ACTIVATIONS or WEIGHTS.
    """
    for kind, name, known in (("activation", activation, ACTIVATIONS), ("weights", weights, WEIGHTS)):
        if name not in known:
            raise unknown(kind, name, known)
    for module in model.modules():
        if isinstance(module, ApproxSignQuant):
            module.function = ACTIVATIONS[activation]
        elif isinstance(module, MagnitudeSignQuant):
            module.function = WEIGHTS[weights]
        elif isinstance(module, TrainedBinaryConv):
            module.signs = activation in SIGNS and weights in BINARY


def binary_convs(model: nn.Module) -> list[TrainedBinaryConv]:
    """Return the convolutions whose weights are signs in the end, in the order of the data."""
    return [module for module in model.modules() if isinstance(module, TrainedBinaryConv)]


def is_binary(model: nn.Module) -> bool:
    """Tell whether all activations and weights of the binary convolutions are signs, as the hardware has them."""
    return all(
        module.function in (SIGNS if isinstance(module, ApproxSignQuant) else BINARY).values()
        for module in model.modules()
        if isinstance(module, ApproxSignQuant | MagnitudeSignQuant)
    )
