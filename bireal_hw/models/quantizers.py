"""The quantizers of a Bi-Real network, each one autograd function behind Brevitas's quantizer interface.

A quantizer module maps a tensor to (value, scale, zero point, bit width), which is what Brevitas's proxies expect, so
`QuantConv2d`, `QuantIdentity` and the stock export handlers work unchanged. The injectors at the end are what layers
are given. All scales are powers of two; a grid is named by `frac`: value = integer * 2^-frac.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import FloatToIntImplType
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn
from torch.autograd import Function

Quantized = tuple[Tensor, Tensor, Tensor, Tensor]


def hard_sign(x: Tensor) -> Tensor:
    """Return +1 where x >= 0 (so for -0 too) and -1 elsewhere.

    Without a compiler, which merges it with what surrounds it, `torch.where` takes five times as long.
    """
    if torch.compiler.is_compiling():
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
    return torch.ge(x, 0, out=torch.empty_like(x)).mul_(2).sub_(1)


def _same(x: Tensor, y: Tensor) -> Tensor:
    """Return 1 where two tensors agree, as int8: without a compiler, comparisons and products of bools are slow."""
    if torch.compiler.is_compiling():
        return (x == y).to(torch.int8)
    return torch.eq(x, y, out=torch.empty_like(x)).to(torch.int8)


class ApproxSign(Function):
    """Take the sign of a, 0 and -0 giving +1; the gradient is that of a piecewise quadratic: max(0, 2 - 2|a|).

    Source: Bi-Real Net (ECCV 2018), approximation to the derivative of sign for activations.

    >>> a = torch.tensor([-1.0, -0.5, -0.0, 0.25, 2.0], requires_grad=True)
    >>> ApproxSign.apply(a).tolist()
    [-1.0, -1.0, 1.0, 1.0, 1.0]
    >>> ApproxSign.apply(a).sum().backward(); a.grad.tolist()
    [0.0, 1.0, 2.0, 1.5, 0.0]
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        return hard_sign(a)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (a,) = ctx.saved_tensors
        return torch.rsub(a.abs(), 2, alpha=2).clamp_(min=0).mul_(grad)


class MagnitudeSign(Function):
    """Binarise weights to alpha_c * sign(w), alpha_c = mean |w| of output channel c; 0 and -0 count as +1.

    The gradient is grad * alpha_c * 1{|w| < 1}; alpha_c is a constant in it.
    Source: Bi-Real Net (ECCV 2018), magnitude-aware gradient with respect to weights.
    """

    @staticmethod
    def forward(ctx: Any, w: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(w, alpha)
        return hard_sign(w).mul_(alpha)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        w, alpha = ctx.saved_tensors
        return grad * alpha * (w.abs() < 1), None


class FixedPoint(Function):
    """Round x half up to multiples of `step`, a power of two (a tensor of no axes), saturated to [low, high] of them.

    The gradient passes where the rounded value lies in [low, high] and is 0 outside. Where the grid is known to hold
    every x, `fits` leaves clamp and mask out.

    >>> FixedPoint.apply(torch.tensor([0.25, -0.25, 3.0]), torch.tensor(0.5), -4, 3, False).tolist()
    [0.5, 0.0, 1.5]
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, low: int, high: int, fits: bool) -> Tensor:
        units = torch.mul(x, 1 / step).add_(0.5).floor_()
        ctx.fits = fits
        if not fits and ctx.needs_input_grad[0]:
            kept = units.clamp(low, high)
            ctx.save_for_backward(_same(kept, units))
            return kept.mul_(step)
        return units.mul_(step) if fits else units.clamp_(low, high).mul_(step)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        if not ctx.fits:
            grad = grad * ctx.saved_tensors[0]
        return grad, None, None, None, None


class ScaledRound(Function):
    """Round w to multiples of `step` (a tensor that broadcasts); the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, step: Tensor) -> Tensor:
        return (w / step).round_().mul_(step)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class _Quantizer(nn.Module):
    """Hold what every quantizer returns beside the value."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("bit_width", torch.tensor(float(bits)), persistent=False)
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("one", torch.tensor(1.0), persistent=False)

    bit_width: Tensor
    zero_point: Tensor
    one: Tensor


class ApproxSignQuant(_Quantizer):
    """Binarise activations to +-1 (`ApproxSign`); a training stage may put another `function` there (modes.py)."""

    def __init__(self) -> None:
        super().__init__(1)
        self.function: Callable[[Tensor], Tensor] = ApproxSign.apply

    def forward(self, x: Tensor) -> Quantized:
        return self.function(x), self.one, self.zero_point, self.bit_width


class MagnitudeSignQuant(_Quantizer):
    """Binarise the weights of a convolution (Cout, ...) to +-alpha_c (`MagnitudeSign`).

    A training stage may put another `function` of (w, alpha) there (modes.py).
    """

    def __init__(self) -> None:
        super().__init__(1)
        self.function: Callable[[Tensor, Tensor], Tensor] = MagnitudeSign.apply

    def forward(self, w: Tensor) -> Quantized:
        alpha = channel_mean(w.detach())
        return self.function(w, alpha), alpha, self.zero_point, self.bit_width


class RangeQuant(_Quantizer):
    """Quantize to signed fixed point on a power-of-two grid found by watching the values in training.

    bits      width of the integers; saturating
    headroom  room kept above the largest value seen lately: the grid is the finest one that holds peak * headroom
    frac      buffer: the grid is 2^-frac; it follows the peak while training and `observing`, and is frozen otherwise

    The grid moves before a batch is rounded to it, so that nothing saturates while it follows. Peak and grid stay on
    the device: no number of them is read in a step.
    """

    DECAY = 0.98
    FRAC_MAX = 24

    frac: Tensor
    peak: Tensor

    def __init__(self, bits: int, headroom: float) -> None:
        super().__init__(bits)
        self.headroom = headroom
        self.observing = True
        self.register_buffer("frac", torch.tensor(bits - 3))
        self.register_buffer("peak", torch.tensor(0.0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Quantized:
        x = x.float()  # a half-precision mantissa is shorter than the grid
        follows = self.training and self.observing
        if follows:
            self.observe(x.detach())
        limit = 2 ** (self.bits - 1)
        step = self.step
        return FixedPoint.apply(x, step, -limit, limit - 1, follows), step, self.zero_point, self.bit_width

    @property
    def step(self) -> Tensor:
        """The unit of the grid, 2^-frac, as a tensor."""
        return power_of_two(-self.frac)

    def observe(self, x: Tensor) -> None:
        """Take note of the largest |x| of a batch, in all processes that train together, and move the grid to fit.

        A batch that is not finite is passed over. One of zeros leaves the grid.
        """
        peak = torch.maximum(-x.amin(), x.amax()).double()  # aminmax in one call is six times slower
        if dist.is_initialized():
            dist.all_reduce(peak, dist.ReduceOp.MAX)
        peak = torch.where(peak.isfinite(), torch.maximum(peak, self.DECAY * self.peak), self.peak)
        self.peak.copy_(peak)
        # What is below high + 1/2 rounds to high at most: peak * headroom * 2^frac = mantissa * (high + 1/2).
        _, exponent = torch.frexp(peak * (self.headroom / (2 ** (self.bits - 1) - 0.5)))
        self.frac.copy_(torch.where(peak > 0, (-exponent).clamp(max=self.FRAC_MAX), self.frac))


class WeightQuant(_Quantizer):
    """Quantize real weights to 8 bits narrow (-127..127), with a power-of-two scale once `fold` is multiplied in.

    `fold` (Cout,) is the factor BatchNorm puts on each output channel, refreshed by the network before every use: the
    integers of w * fold are the ones the hardware will hold, so training sees the rounding of the folded weights.
    """

    fold: Tensor

    def __init__(self, bits: int, per_channel: bool, channels: int) -> None:
        super().__init__(bits)
        self.per_channel = per_channel
        self.register_buffer("fold", torch.ones(channels))

    def forward(self, w: Tensor) -> Quantized:
        shape = (-1, *[1] * (w.dim() - 1))
        fold = torch.where(self.fold == 0, self.one, self.fold).view(shape)
        step = weight_step(w.detach() * fold, 2 ** (self.bits - 1) - 1, self.per_channel) / fold
        return ScaledRound.apply(w, step), step.abs(), self.zero_point, self.bit_width


class GridQuant(_Quantizer):
    """Round down to the fixed grid 2^-frac and saturate: what the exported activations do, their half added before."""

    def __init__(self, bits: int, frac: int) -> None:
        super().__init__(bits)
        self.frac = frac

    def forward(self, x: Tensor) -> Quantized:
        limit = 2 ** (self.bits - 1)
        value = (x * 2.0**self.frac).floor_().clamp_(-limit, limit - 1).mul_(2.0**-self.frac)
        return value, self.one * 2.0**-self.frac, self.zero_point, self.bit_width


class GridWeightQuant(_Quantizer):
    """Round weights to multiples of a fixed `step`, a tensor that broadcasts; 8 bits."""

    step: Tensor

    def __init__(self, step: Tensor) -> None:
        super().__init__(8)
        self.register_buffer("step", step)

    def forward(self, w: Tensor) -> Quantized:
        return ScaledRound.apply(w, self.step), self.step, self.zero_point, self.bit_width


def power_of_two(exponent: Tensor) -> Tensor:
    """Return 2^exponent in float32, exactly, for integers from -126 to 127; the bits are set by hand.

    >>> power_of_two(torch.tensor([-3, 0, 10])).tolist()
    [0.125, 1.0, 1024.0]
    """
    return ((exponent + 127) << 23).to(torch.int32).view(torch.float32)


def channel_mean(w: Tensor) -> Tensor:
    """Return alpha_c = mean |w| over all but the first axis, shaped to broadcast over w."""
    return w.abs().mean(dim=tuple(range(1, w.dim())), keepdim=True)


def weight_step(w: Tensor, most: int, per_channel: bool) -> Tensor:
    """Return the smallest powers of two such that |w| <= most * step, per output channel or for the whole tensor.

    A channel of zeros gets the step 1.

    >>> weight_step(torch.tensor([[1.0, -127.0], [0.5, 0.25], [0.0, 0.0]]), 127, True).flatten().tolist()
    [1.0, 0.0078125, 1.0]
    """
    peak = w.abs().amax(dim=tuple(range(1, w.dim())), keepdim=True) if per_channel else w.abs().amax()
    # frexp gives peak/most = mantissa * 2^exponent with mantissa in [0.5, 1): exact, unlike a logarithm.
    mantissa, exponent = torch.frexp(peak.double() / most)
    exponent = exponent - (mantissa == 0.5).to(exponent.dtype)
    return torch.ldexp(torch.ones_like(mantissa), exponent).to(w.dtype).masked_fill(peak == 0, 1.0)


class _Act(ExtendedInjector):
    proxy_class = ActQuantProxyFromInjector
    signed = True
    narrow_range = False
    float_to_int_impl_type = FloatToIntImplType.FLOOR


class _Weight(ExtendedInjector):
    proxy_class = WeightQuantProxyFromInjector
    signed = True
    narrow_range = True
    float_to_int_impl_type = FloatToIntImplType.ROUND


class SignAct(_Act):
    """Activations to +-1."""

    tensor_quant = ApproxSignQuant


class SignWeight(_Weight):
    """Weights to +-alpha_c."""

    tensor_quant = MagnitudeSignQuant


class StreamAct(_Act):
    """The shortcut stream; `bits` is given by the layer."""

    tensor_quant = RangeQuant
    headroom = 1.5


class Act8(_Act):
    """The 8-bit input of a real-valued layer."""

    tensor_quant = RangeQuant
    bits = 8
    headroom = 1.0


class Weight8(_Weight):
    """8-bit weights, one scale per output channel; `channels` is given by the layer (`weight_channels=`)."""

    tensor_quant = WeightQuant
    bits = 8
    per_channel = True


class Weight8Shared(Weight8):
    """8-bit weights, one scale for the whole layer."""

    per_channel = False


class GridAct(_Act):
    """Activations of the deploy model; `bits` and `frac` are given by the layer."""

    tensor_quant = GridQuant


class GridWeight(_Weight):
    """8-bit weights of the deploy model; `step` is given by the layer (`weight_step=`)."""

    tensor_quant = GridWeightQuant


class BitWeight(_Weight):
    """Weights of the deploy model's 1-bit convolutions, +-1."""

    tensor_quant = ApproxSignQuant
