"""Binary convolution: XNOR and popcount with exact zero padding (paper, sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import ClassVar

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Rom, index_bits
from bireal_hw.ir.encoding import limb_width, weight_words
from bireal_hw.ir.op import (
    Array,
    Binding,
    Cost,
    Draw,
    Fold,
    Look,
    Memory,
    Pads,
    Port,
    QonnxWriter,
    both_ends,
    conv_lead,
    require,
    require_divides,
    shared_lanes,
)
from bireal_hw.ir.parts import Products
from bireal_hw.ir.types import BIPOLAR, TensorType, ranged
from bireal_hw.ops.convolution import PADS, Convolution, pads_of, window

DEEPEST = 4608
"""Words of the deepest weight memory where the cost model is calibrated on every folding."""


@dataclass(frozen=True, eq=False)
class BinaryConv(Convolution):
    """dot[o] = sum over the taps inside the image of w[o] * x, with w and x in {-1, +1}.

    A tap outside the image adds nothing: it is neither -1 nor +1. In bits, dot = 2*popcount(xnor(w, x)) - valid.

    Attributes:
        weights: (Cout, kernel, kernel, Cin) int8, -1 or +1.
        stride: pixels between windows, both directions.
        pads: rows and columns of padding, (top, left, bottom, right).
    """

    kind: ClassVar[str] = "binary_conv"
    look: ClassVar[Look] = Look("#a5cdf0", "1-bit convolution, XNOR and popcount; padding adds nothing", 5)
    gives_sums: ClassVar[bool] = True
    weight_width: ClassVar[int] = 1
    weights: Array
    stride: int = 1
    pads: Pads = (1, 1, 1, 1)

    @cached_property
    def _bipolar(self) -> bool:
        """Whether all weights are -1 or +1."""
        return bool(np.all(np.abs(self.weights) == 1))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        cout, _, _, cin = self.weights.shape
        require(x.dtype.bipolar, f"binary_conv: input is {x.dtype}, not bits; put a sign before it")
        require(cin == x.channels, f"binary_conv: weights for {cin} channels, input has {x.channels}")
        require(self._bipolar, "binary_conv: weights must be -1 or +1")
        return TensorType(*self.output_size(x.height, x.width), cout, ranged(-self.k, self.k, 0), -self.k, self.k)

    @cached_property
    def _packed_weights(self) -> NDArray[np.uint64]:
        return np.ascontiguousarray(np.moveaxis(_pack_channels(self.weights), 0, -1))  # (k, k, words, Cout)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        cout, _, _, cin = self.weights.shape
        dot = np.empty((len(x), *self.output_size(x.shape[1], x.shape[2]), cout), np.int32)
        _xnor_conv(_pack_channels(x), self._packed_weights, cin, self.stride, self.pads[0], self.pads[1], dot)
        return dot

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        raw = write.constant(f"{name}_raw", self.weights.transpose(0, 3, 1, 2) * 0.5)
        w = write.node("BipolarQuant", f"{name}_weight", [raw, write.constant(f"{name}_one", 1.0)])
        return self.qonnx_conv(write, name, inputs[0], w)

    @property
    def row(self) -> int:
        return self.weights.shape[3]

    def pace(self, fold: Fold, *inputs: TensorType) -> int:
        return shared_lanes(fold.pe, fold.simd, self.k)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        out = self.infer(x)
        chunks = self.k // fold.simd
        cycles = max(x.beats(fold.simd), out.beats(fold.pe) * chunks)
        lead = conv_lead(x.height, x.width, self.weights.shape[1], self.pads)
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
                **dict(zip(PADS, self.pads, strict=True)),
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

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        binding = super().hls(fold, *inputs)
        return replace(binding, inner_width=fold.pe * binding.parameters["AccWidth"])

    def engine(self, *inputs: TensorType) -> Products:
        return Products(self.weights, True, self.stride, self.pads)

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        kernel, chunks, folds = p["Kernel"], p["InChannels"] // p["Simd"], p["OutChannels"] // p["Pe"]
        features, buffer = window(
            (p["Height"], p["Width"]),
            chunks,
            p["Simd"],
            (kernel, kernel),
            (p["Stride"], p["Stride"]),
            both_ends(pads_of(p)),
        )
        depth, product = folds * kernel * kernel * chunks, p["Pe"] * p["Simd"]
        luts, registers = popcount_size(p["Simd"])
        sizes: Features = {
            "counter": index_bits(depth) + index_bits(folds) + index_bits(chunks),
            "popcount": p["Pe"] * luts,
            "sum": p["Pe"] * p["AccWidth"],
            "count": p["Pe"] * registers,
        }
        return Anatomy(features | sizes, [buffer, Rom(depth, product, "weights")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[BinaryConv, tuple[TensorType, ...], Fold]]:
        def one(out: int, cin: int, stride: int, side: int, fold: Fold) -> tuple[BinaryConv, tuple[TensorType], Fold]:
            weights = (2 * draw(0, 1, out, 3, 3, cin) - 1).astype(np.int8)
            return cls(weights, stride), (TensorType.full(side, side, cin, BIPOLAR),), fold

        for channels, side in ((16, 16), (32, 32), (64, 16), (128, 8), (256, 7), (64, 56)):
            for pe, simd in ((1, 2), (1, 8), (2, 8), (4, 16), (8, 16), (16, 16), (8, 32), (16, 32), (4, 64)):
                if simd <= channels and 9 * channels * channels <= DEEPEST * pe * simd:
                    stride = 2 if (pe + simd) % 5 == 0 else 1
                    yield one(channels * stride, channels, stride, side, Fold(pe, simd))
        # As networks for large images have it.
        for channels, side, fold in ((128, 16, Fold(16, 64)), (128, 28, Fold(8, 128)), (256, 14, Fold(2, 32))):
            yield one(channels, channels, 1, side, fold)


LATENCY = 3
"""Pipeline stages of br_binary_conv between its first window beat and its first sums."""


def popcount_size(positions: int) -> tuple[int, int]:
    """br_popcount: LUTs of six inputs, registers.

    >>> popcount_size(16), popcount_size(64)
    ((15, 5), (73, 20))
    """
    luts, registers = _tree_size(positions - 1)
    return 1 + luts, 1 + registers


def _tree_size(positions: int) -> tuple[int, int]:
    """br_popcount_tree: LUTs of six inputs, registers."""
    if positions <= 1:
        luts = positions
    elif positions <= 3:
        luts = 2
    elif positions <= 7:
        luts = 4 + max(positions - 5, 0)
    elif positions <= 15:
        luts = 4 + 2 * ceil(positions / 3)
    else:
        first = (positions - 1) // 2
        halves = _tree_size(first), _tree_size(positions - 1 - first)
        luts, registers = (sum(amounts) for amounts in zip(*halves, strict=True))
        return 1 + luts + index_bits(first + 1), 1 + registers
    return luts, positions.bit_length()


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
def _xnor_conv(x, weights, channels, stride, top, left, dot):  # type: ignore[no-untyped-def]
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
                iy = oy * stride - top + ky
                if iy < 0 or iy >= height:
                    continue
                for kx in range(kernel):
                    ix = ox * stride - left + kx
                    if ix < 0 or ix >= width:
                        continue
                    valid += channels
                    for word in range(words):
                        bits = x[n, iy, ix, word]
                        for o in range(cout):
                            mismatch[o] += _popcount(bits ^ weights[ky, kx, word, o])
            for o in range(cout):
                dot[n, oy, ox, o] = valid - 2 * np.int64(mismatch[o])
