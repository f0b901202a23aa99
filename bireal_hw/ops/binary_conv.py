"""Binary convolution: XNOR and popcount, padding that adds nothing or is -1 or +1 (paper, sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil
from typing import ClassVar, Self

import numpy as np
from numba import njit, prange
from numba.extending import intrinsic
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Ram, Rom, index_bits
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
    per_channel,
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

    A tap outside the image adds nothing: it is neither -1 nor +1. In bits, dot = 2*popcount(xnor(w, x)) - valid. With a
    border it is a pixel like any other, whose bits are the border's.

    Attributes:
        weights: (Cout, kernel, kernel, Cin) int8, -1 or +1.
        stride: pixels between windows, both directions.
        pads: rows and columns of padding, (top, left, bottom, right).
        border: (Cin,) int8, -1 or +1, the bits of every tap outside the image; None where it adds nothing.
    """

    kind: ClassVar[str] = "binary_conv"
    look: ClassVar[Look] = Look("#a5cdf0", "1-bit convolution, XNOR and popcount; padding is exact", 5)
    gives_sums: ClassVar[bool] = True
    weight_width: ClassVar[int] = 1
    weights: Array
    stride: int = 1
    pads: Pads = (1, 1, 1, 1)
    border: Array | None = None

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
        if self.border is not None:
            require(len(self.border) == cin, f"binary_conv: a border of {len(self.border)} bits for {cin} channels")
            require(bool(np.all(np.abs(self.border) == 1)), "binary_conv: the bits of a border must be -1 or +1")
        return TensorType(*self.output_size(x.height, x.width), cout, ranged(-self.k, self.k, 0), -self.k, self.k)

    @cached_property
    def _packed_weights(self) -> NDArray[np.uint64]:
        kernel = self.weights.shape[1]
        rows = _row_windows(self.weights, kernel, 1, 0, 1)  # (Cout, k, 1, words)
        return np.ascontiguousarray(np.moveaxis(rows[:, :, 0], 0, -1))  # (k, words, Cout)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        cout, kernel, _, cin = self.weights.shape
        if self.border is not None:
            return replace(self, pads=(0, 0, 0, 0), border=None).golden(_surrounded(x, self.border, self.pads))
        height, width = self.output_size(x.shape[1], x.shape[2])
        (top, left), dot = self.pads[:2], np.empty((len(x), height, width, cout), np.int32)
        windows = _row_windows(x, kernel, self.stride, left, width)
        masks, taps = _taps_inside(x.shape[2], cin, kernel, self.stride, left, width)
        _xnor_conv(windows, masks, taps, self._packed_weights, self.stride, top, dot)
        return dot

    def summary(self) -> str:
        bits = set() if self.border is None else set(self.border.tolist())
        return super().summary() + (
            f", a border of {' and '.join(f'{bit:+d}' for bit in sorted(bits))}" if bits else ""
        )

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        resized = super().resized(before, after, channels)
        return resized if self.border is None else replace(resized, border=per_channel(self.border, after.channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        """Write a Conv; in front of it a Pad where there is a border, of +1 or -1 in channels turned alike."""
        (x,), conv = inputs, self
        if self.border is not None:
            one = float(self.border[0])
            turn = one * self.border
            if np.any(turn < 0):
                x = write.node("Mul", f"{name}_turn", [x, write.constant(f"{name}_bits", turn.reshape(1, -1, 1, 1))])
            top, left, bottom, right = self.pads
            pads = write.constant(f"{name}_pads", [0, 0, top, left, 0, 0, bottom, right])
            x = write.node("Pad", f"{name}_pad", [x, pads, write.constant(f"{name}_border", one)])
            conv = replace(self, weights=self.weights * turn.astype(np.int8), pads=(0, 0, 0, 0), border=None)
        raw = write.constant(f"{name}_raw", conv.weights.transpose(0, 3, 1, 2) * 0.5)
        w = write.node("BipolarQuant", f"{name}_weight", [raw, write.constant(f"{name}_one", 1.0)])
        return conv.qonnx_conv(write, name, x, w)

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
        border: dict[str, Memory] = {}
        if self.border is not None:
            words = weight_words(self.border.reshape(1, 1, 1, -1), 1, fold.simd, 1)
            border["BorderFile"] = Memory(fold.simd, words, limb_width(fold.simd))
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
                **({"Border": 1} if border else {}),
            },
            *self.rtl_ports(fold, x),
            {
                "WeightFile": Memory(
                    fold.pe * fold.simd,
                    weight_words(self.weights, fold.pe, fold.simd, 1),
                    entry=limb_width(fold.simd),
                ),
                **border,
            },
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        binding = super().hls(fold, *inputs)
        return replace(binding, inner_width=fold.pe * binding.parameters["AccWidth"])

    def engine(self, *inputs: TensorType) -> Products | None:
        return None if self.border is not None else Products(self.weights, True, self.stride, self.pads)

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
        memories: list[Rom | Ram] = [buffer, Rom(depth, product, "weights")]
        if p.get("Border"):
            memories.append(Rom(chunks, p["Simd"], "border"))
        return Anatomy(features | sizes, memories)

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


def _surrounded(x: Array, border: Array, pads: Pads) -> Array:
    """Images (N, H, W, C) with a pixel of these bits (C,) as their border."""
    top, left, bottom, right = pads
    frames, height, width, channels = x.shape
    whole = np.empty((frames, top + height + bottom, left + width + right, channels), np.int8)
    whole[:] = border
    whole[:, top : top + height, left : left + width] = x
    return whole


def _row_windows(x: Array, kernel: int, stride: int, left: int, columns: int) -> NDArray[np.uint64]:
    """Pack the bits of every row of every window, +1 as 1, into words of 64.

    A row of a window is `kernel` pixels, whose channels, filled up to whole bytes, lie one behind the other in a row of
    the image: so it is a view of the packed image. Behind the row come bits of the pixels to its right.

    Args:
        x: (N, H, W, C) of -1 and +1.
        kernel: pixels of the row.
        stride: pixels between windows.
        left: columns of padding; its bits are 0.
        columns: windows beside each other.

    Returns:
        (N, H, columns, ceil(kernel * ceil(C / 8) / 8)), words not aligned.
    """
    frames, height, width, channels = x.shape
    size = -(-channels // 8)  # bytes of a pixel
    words = -(-kernel * size // 8)
    pixels = max(left + width, (columns - 1) * stride + -(-8 * words // size))
    bits = np.zeros((frames, height, pixels, 8 * size), np.bool_)
    np.greater(x, 0, out=bits[:, :, left : left + width, :channels])
    packed = np.packbits(bits.reshape(frames, height, -1), axis=-1, bitorder="little")
    shape, strides = (frames, height, columns, words), (*packed.strides[:2], stride * size, 8)
    return np.ndarray(shape, "<u8", packed.data, 0, strides)


@lru_cache(maxsize=256)
def _taps_inside(
    width: int, channels: int, kernel: int, stride: int, left: int, columns: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return which bits of the row windows of an image are taps inside it, (columns, words), and their numbers."""
    inside = np.ones((1, 1, max(width, kernel), channels), np.int8)
    window = _row_windows(inside[:, :, :kernel], kernel, 1, 0, 1)
    masks = _row_windows(inside[:, :, :width], kernel, stride, left, columns) & window
    return masks[0, 0], np.bitwise_count(masks[0, 0]).sum(axis=1, dtype=np.int64)


@intrinsic
def _popcount(typing, x):  # type: ignore[no-untyped-def]
    """Count the ones of a word with the processor's own instruction; numba sees none in numpy's bitwise_count."""
    return x(x), lambda context, builder, signature, values: builder.ctpop(values[0])


@njit(parallel=True, cache=True)
def _xnor_conv(x, masks, taps, weights, stride, top, dot):  # type: ignore[no-untyped-def]
    """Dot = taps inside the image - 2*mismatches among them.

    Rows of windows x (N, H, Wo, words), bits that count masks (Wo, words), their number taps (Wo,), weights
    (k, words, Cout), dot (N, Ho, Wo, Cout).
    """
    kernel, words, cout = weights.shape
    height, (frames, out_height, out_width, _) = x.shape[1], dot.shape
    for row in prange(frames * out_height):
        n, oy = row // out_height, row % out_height
        first = max(0, top - oy * stride)
        last = max(first, min(kernel, height + top - oy * stride))
        mismatch = np.zeros((out_width, cout), np.uint64)  # of a whole row: see `_convolve` of the real-valued one
        for ky in range(first, last):
            for word in range(words):
                for ox in range(out_width):
                    bits, mask = x[n, oy * stride - top + ky, ox, word], masks[ox, word]
                    for o in range(cout):
                        mismatch[ox, o] += _popcount((bits ^ weights[ky, word, o]) & mask)  # type: ignore[call-arg]
        for ox in range(out_width):
            for o in range(cout):
                dot[n, oy, ox, o] = (last - first) * taps[ox] - 2 * np.int64(mismatch[ox, o])
