"""Binary convolution: XNOR and popcount with exact zero padding (paper, sections 3.1 and 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bireal_hw.ir.encoding import limb_width, weight_words
from bireal_hw.ir.op import (
    Array,
    Binding,
    Cost,
    Fold,
    Memory,
    Op,
    Port,
    conv_lead,
    conv_output,
    conv_summary,
    require,
    require_divides,
)
from bireal_hw.ir.types import BIPOLAR, TensorType, ranged


@dataclass(frozen=True, eq=False)
class BinaryConv(Op):
    """dot[o] = sum over the taps inside the image of w[o] * x, with w and x in {-1, +1}.

    A tap outside the image adds nothing: it is neither -1 nor +1. In bits, dot = 2*popcount(xnor(w, x)) - valid.

    Attributes:
        weights: (Cout, kernel, kernel, Cin) int8, -1 or +1.
        stride: pixels between windows, both directions.
        pad: rows and columns of padding on each side.
    """

    kind: ClassVar[str] = "binary_conv"
    weights: Array
    stride: int = 1
    pad: int = 1

    @property
    def k(self) -> int:
        """Elements of one dot product, kernel * kernel * Cin."""
        return math.prod(self.weights.shape[1:])

    @cached_property
    def _bipolar(self) -> bool:
        """Whether all weights are -1 or +1."""
        return bool(np.all(np.abs(self.weights) == 1))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        cout, kernel, _, cin = self.weights.shape
        require(x.dtype.bipolar, f"binary_conv: input is {x.dtype}, not bits; put a sign before it")
        require(cin == x.channels, f"binary_conv: weights for {cin} channels, input has {x.channels}")
        require(self._bipolar, "binary_conv: weights must be -1 or +1")
        height, width = (conv_output(size, kernel, self.stride, self.pad) for size in (x.height, x.width))
        require(height > 0 and width > 0, f"binary_conv: a {kernel}x{kernel} window does not fit {x.height}x{x.width}")
        return TensorType(height, width, cout, ranged(-self.k, self.k, 0), -self.k, self.k)

    @cached_property
    def _packed_weights(self) -> NDArray[np.uint64]:
        return np.ascontiguousarray(np.moveaxis(_pack_channels(self.weights), 0, -1))  # (k, k, words, Cout)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        cout, kernel, _, cin = self.weights.shape
        height, width = (conv_output(size, kernel, self.stride, self.pad) for size in x.shape[1:3])
        dot = np.empty((len(x), height, width, cout), np.int32)
        _xnor_conv(_pack_channels(x), self._packed_weights, cin, self.stride, self.pad, dot)
        return dot

    def summary(self) -> str:
        return conv_summary(self.weights, self.stride)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        out = self.infer(x)
        chunks = self.k // fold.simd
        cycles = max(x.beats(fold.simd), out.beats(fold.pe) * chunks)
        lead = conv_lead(x.height, x.width, self.weights.shape[1], self.pad)
        return Cost(cycles, latency=lead * (x.channels // fold.simd) + chunks + LATENCY)

    def check_fold(self, fold: Fold, *inputs: TensorType) -> None:
        require_divides(self.kind, "pe", fold.pe, "out_channels", self.weights.shape[0])
        require_divides(self.kind, "simd", fold.simd, "in_channels", self.weights.shape[3])

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", fold.simd, BIPOLAR),), Port("m_axis", fold.pe, self.infer(*inputs).dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        out = self.infer(x)
        cout, kernel, _, cin = self.weights.shape
        return Binding(
            "br_binary_conv",
            {
                "Height": x.height,
                "Width": x.width,
                "InChannels": cin,
                "OutChannels": cout,
                "Kernel": kernel,
                "Stride": self.stride,
                "Pad": self.pad,
                "Pe": fold.pe,
                "Simd": fold.simd,
                "AccWidth": out.dtype.width,
            },
            *self.rtl_ports(fold, x),
            {
                "WeightFile": Memory(
                    fold.pe * fold.simd,
                    weight_words(self.weights, fold.pe, fold.simd, 1),
                    entry=limb_width(fold.simd),
                )
            },
        )


LATENCY = 3
"""Pipeline stages of br_binary_conv between its first window beat and its first sums."""


def _pack_channels(x: Array) -> NDArray[np.uint64]:
    """Pack -1/+1 along the last axis into uint64 words; missing channels of the last word are 0."""
    channels = x.shape[-1]
    words = np.zeros((*x.shape[:-1], -(-channels // 64)), np.uint64)
    _pack(np.ascontiguousarray(x, np.int8).reshape(-1, channels), words.reshape(-1, words.shape[-1]))
    return words


@njit(parallel=True, cache=True)
def _pack(x, words):  # type: ignore[no-untyped-def]
    """Set bit c % 64 of word c // 64 where x is +1; x (pixels, C), words (pixels, ceil(C / 64))."""
    pixels, channels = x.shape
    for pixel in prange(pixels):
        for word in range(words.shape[1]):
            bits = np.uint64(0)
            for c in range(64 * word, min(channels, 64 * word + 64)):
                bits |= np.uint64(x[pixel, c] > 0) << np.uint64(c - 64 * word)
            words[pixel, word] = bits


@njit(inline="always")
def _popcount(x):  # type: ignore[no-untyped-def]
    """Count the ones of a uint64 (LLVM recognises the pattern and emits its popcount instruction)."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(parallel=True, cache=True)
def _xnor_conv(x, weights, channels, stride, pad, dot):  # type: ignore[no-untyped-def]
    """Dot = valid*Cin - 2*mismatches; x (N, H, W, words), weights (k, k, words, Cout), dot (N, Ho, Wo, Cout)."""
    kernel, _, words, cout = weights.shape
    _, height, width, _ = x.shape
    frames, out_height, out_width, _ = dot.shape
    for row in prange(frames * out_height):
        n, oy = row // out_height, row % out_height
        mismatch = np.empty(cout, np.uint64)
        for ox in range(out_width):
            mismatch[:] = 0
            valid = 0
            for ky in range(kernel):
                iy = oy * stride - pad + ky
                if iy < 0 or iy >= height:
                    continue
                for kx in range(kernel):
                    ix = ox * stride - pad + kx
                    if ix < 0 or ix >= width:
                        continue
                    valid += channels
                    for word in range(words):
                        bits = x[n, iy, ix, word]
                        for o in range(cout):
                            mismatch[o] += _popcount(bits ^ weights[ky, kx, word, o])
            for o in range(cout):
                dot[n, oy, ox, o] = valid - 2 * np.int64(mismatch[o])
