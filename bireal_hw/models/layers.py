"""Brevitas layers with a short way through training.

Brevitas wraps every quantized value in a tensor object and slices every weight, each step; in training nobody reads
either. These layers are Brevitas layers in every other respect: evaluation, export and inspection take its own paths.
"""

from __future__ import annotations

from brevitas.nn import QuantConv2d, QuantIdentity
from brevitas.quant_tensor import QuantTensor
from torch import Tensor

from bireal_hw.models.quantizers import Act8, SignAct, SignWeight, StreamAct, Weight8
from bireal_hw.models.sign_conv import SignConv, usable


class TrainedConv(QuantConv2d):
    """A QuantConv2d without bias that quantizes its weights directly while training."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.export_mode:
            return self._conv_forward(x, self.weight_quant.tensor_quant(self.weight)[0], None)
        return super().forward(x)


class TrainedBinaryConv(TrainedConv):
    """A TrainedConv of signs with weights +-alpha_c, whose sums a processor takes of integers (sign_conv.py).

    `signs` says that what it reads and its weights are signs; where a stage of the training has real numbers in the
    place of one of them (modes.py), it is a convolution like any other.
    """

    signs = True

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.signs and not self.export_mode and usable(x):
            weight = weight.value if isinstance(weight, QuantTensor) else weight
            return SignConv.apply(x, weight, self.stride, self.padding)
        return super()._conv_forward(x, weight, bias)


class TrainedAct(QuantIdentity):
    """A QuantIdentity that quantizes directly while training."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.export_mode:
            return self.act_quant.fused_activation_quant_proxy.tensor_quant(x)[0]
        return super().forward(x)


def binary_conv(cin: int, cout: int, kernel: int, stride: int) -> TrainedBinaryConv:
    """Make a convolution with weights +-alpha_c; zero padding, so a padded tap adds nothing."""
    return TrainedBinaryConv(cin, cout, kernel, stride=stride, padding=kernel // 2, bias=False, weight_quant=SignWeight)


def real_conv(cin: int, cout: int, kernel: int, stride: int = 1, padding: int = 0) -> TrainedConv:
    """Make a convolution with 8-bit weights and no bias."""
    return TrainedConv(
        cin, cout, kernel, stride=stride, padding=padding, bias=False, weight_quant=Weight8, weight_channels=cout
    )


def sign_act() -> TrainedAct:
    """Make the sign in front of a binary convolution."""
    return TrainedAct(act_quant=SignAct)


def stream_act(bits: int) -> TrainedAct:
    """Make the quantizer of a shortcut stream of `bits` bits."""
    return TrainedAct(act_quant=StreamAct, bits=bits)


def act8() -> TrainedAct:
    """Make the 8-bit quantizer in front of a real-valued layer."""
    return TrainedAct(act_quant=Act8)
