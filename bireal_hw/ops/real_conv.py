"""Real-valued convolution: 8-bit weights, for the stem, the 1x1 shortcuts, dense layers and the classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, log2
from typing import ClassVar, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bireal_hw.errors import out_of_range
from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Rom, index_bits
from bireal_hw.ir.encoding import FLOAT32_EXACT, field_words, shift_right, signed_width, weight_words
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
    conv_output,
    per_channel,
    require,
    require_divides,
    shared_lanes,
    window_ahead,
)
from bireal_hw.ir.parts import Affine, Products
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops.convolution import PADS, Convolution, pads_of, window

WEIGHT_WIDTH = 8

INPUT_WIDTHS = range(2, 17)
"""Bits of an input that are supported."""
PACKS = (1, 2)
"""Products that one multiplier can give at once."""
PACKED_WIDTH = 10
"""Bits of an input, at most, of which one multiplier gives two products (docs/datapath.md)."""

SHIFTS = (4, 9)
"""Right shifts of the outputs, lowest and highest, that the cost model is calibrated on: those of trained networks."""
DEEPEST = 4608
"""Words of the deepest weight memory where the cost model is calibrated on every folding."""

ENGINE_SPREAD = 14
"""Bits by which the shifts of a layer's channels may differ in the engine, whose gains have 16 bits."""

LATENCY = 8
"""Pipeline stages of br_real_conv from the last beat of a window to its first result, without the change of lanes."""


@dataclass(frozen=True, eq=False)
class RealConv(Convolution):
    """t[o] = sat((sum of w[o]*x + bias[o]) >> shift[o]); a padded tap is an ordinary 0.

    BatchNorm is folded into weights and bias before they are quantised, so no multiplier follows. The classifier is the
    case kernel 1 on a 1x1 image with shift 0.

    Attributes:
        weights: (Cout, kernel, kernel, Cin) integers, -127..127.
        bias: (Cout,) integers on the accumulator's grid; holds the rounding half of the shift.
        shift: (Cout,) right shift of each output channel, negative = left.
        dtype: format of the output; saturates where the exact range is wider.
        stride: pixels between windows, both directions.
        pads: rows and columns of padding, (top, left, bottom, right).
    """

    kind: ClassVar[str] = "real_conv"
    look: ClassVar[Look] = Look("#f7d9ae", "convolution with 8-bit weights, BatchNorm folded in", 1)
    weight_width: ClassVar[int] = WEIGHT_WIDTH
    weights: Array
    bias: Array
    shift: Array
    dtype: DataType
    stride: int = 1
    pads: Pads = (0, 0, 0, 0)

    @cached_property
    def _sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sums of the negative and of the positive weights of each output channel."""
        flat = self.weights.reshape(len(self.weights), -1)
        return np.minimum(flat, 0).sum(1, np.int64), np.maximum(flat, 0).sum(1, np.int64)

    @cached_property
    def _largest_weight(self) -> int:
        return int(np.abs(self.weights).max())

    def _accumulator(self, x: TensorType) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Exact range (low, high) of the sum, before the bias, per output channel; any partial sum lies inside."""
        negative, positive = self._sums
        low, high = min(x.low, 0), max(x.high, 0)
        return positive * low + negative * high, positive * high + negative * low

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        cout, _, _, cin = self.weights.shape
        require(cin == x.channels, f"real_conv: weights for {cin} channels, input has {x.channels}")
        require(
            x.dtype.signed and not x.dtype.bipolar and x.dtype.width in INPUT_WIDTHS,
            f"real_conv: input is {x.dtype}; {INPUT_WIDTHS[0]} to {INPUT_WIDTHS[-1]} bits signed are supported",
        )
        require(self._largest_weight <= 127, "real_conv: weights must lie in -127..127")
        low, high = self._range(x)
        return TensorType(
            *self.output_size(x.height, x.width), cout, self.dtype, max(low, self.dtype.low), min(high, self.dtype.high)
        )

    def largest(self, x: TensorType) -> int:
        """Largest magnitude of the sums, with and without bias, on the accumulator's grid."""
        low, high = self._accumulator(x)
        return int(max(np.abs(end).max() for end in (low, high, low + self.bias, high + self.bias)))

    def _range(self, x: TensorType) -> tuple[int, int]:
        """Exact range of the shifted sums, before saturation."""
        ends = [(end + self.bias.astype(np.int64)) for end in self._accumulator(x)]
        shifted = [[int(shift_right(v, int(s))) for v, s in zip(end, self.shift, strict=True)] for end in ends]
        return min(shifted[0]), max(shifted[1])

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        cout = len(self.weights)
        weights = np.abs(self.weights.astype(np.int64))
        largest = max(-int(x.min(initial=0)), int(x.max(initial=0)))
        bound = int(weights.reshape(cout, -1).sum(1).max()) * largest
        # Exact: no partial sum exceeds the bound, so they stay below 2^24 (float32) or 2^53 (float64).
        number = np.float32 if bound < FLOAT32_EXACT else np.float64
        kernel, (top, before, bottom, behind) = self.weights.shape[1], self.pads
        frames, height, width, channels = x.shape
        padded = np.zeros((frames, top + height + bottom, before + width + behind, channels), number)
        padded[:, top : top + height, before : before + width] = x
        shape = (conv_output(side, kernel, self.stride, 0) for side in padded.shape[1:3])
        out = np.empty((len(x), *shape, cout), np.int32)
        right, left = np.maximum(self.shift, 0).astype(np.int64), np.maximum(-self.shift, 0).astype(np.int64)
        _convolve(
            padded, self.weights.transpose(1, 2, 3, 0).astype(number, order="C"), self.stride,
            self.bias.astype(np.int64), left, right, self.dtype.low, self.dtype.high, out,
        )  # fmt: skip
        return out

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        found = super().resized(before, after, channels)
        return replace(found, bias=per_channel(self.bias, channels), shift=per_channel(self.shift, channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        (x,), exponents = inputs, -(self.shift + self.dtype.frac)  # the accumulator's grid 2^exponent, per channel
        scales = np.exp2(exponents + types[0].dtype.frac)
        weights = self.weights.transpose(0, 3, 1, 2) * scales.reshape(-1, 1, 1, 1)
        if last and types[0].pixels == 1:  # a classifier, whose sums go out as they are
            x = write.node("Flatten", f"{name}_flat", [x])
            raw = write.constant(f"{name}_raw", weights[:, :, 0, 0].T)
            w = write.quant(f"{name}_weight", raw, WEIGHT_WIDTH, float(scales[0]), "ROUND", narrow=1)
            acc = write.node("MatMul", name, [x, w])
            bias = write.constant(f"{name}_h", self.bias * np.exp2(exponents))
            return write.node("Add", f"{name}_add", [acc, bias])
        raw = write.constant(f"{name}_raw", weights)
        w = write.quant(f"{name}_weight", raw, WEIGHT_WIDTH, scales.reshape(-1, 1, 1, 1), "ROUND", narrow=1)
        acc = self.qonnx_conv(write, name, x, w)
        bias = write.constant(f"{name}_h", (self.bias * np.exp2(exponents)).reshape(1, -1, 1, 1))
        total = write.node("Add", f"{name}_add", [acc, bias])
        return write.quant(f"{name}_quant", total, self.dtype.width, 2.0**-self.dtype.frac)

    @property
    def row(self) -> int:
        _, kernel, _, cin = self.weights.shape
        return kernel * cin if kernel > 1 else cin

    def factors(self, *inputs: TensorType) -> dict[str, list[int]]:
        (x,) = inputs
        return super().factors(x) | {"pack": list(PACKS if x.dtype.width <= PACKED_WIDTH else PACKS[:1])}

    def folds(self, *inputs: TensorType) -> list[Fold]:
        return [fold for fold in super().folds(*inputs) if fold.pack <= fold.pe]

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        out, ((source,), sink) = self.infer(x), self.rtl_ports(fold, x)
        chunks = self.k // fold.simd
        cycles = max(x.beats(source.lanes), out.beats(fold.pe) * chunks, out.beats(sink.lanes))
        unfolding, first_window = self._unfolding(fold, x, out)
        return Cost(max(cycles, unfolding), latency=first_window + LATENCY + (fold.pe > sink.lanes))

    def _unfolding(self, fold: Fold, x: TensorType, out: TensorType) -> tuple[int, int]:
        """Cycles to unfold a frame, and cycles until the first window is stored and read.

        For kernel > 1 the buffer holds unfolded pixels of kernel * Cin elements, which arrive at most one per stride
        and one per `chunks` cycles. A row enters while the padding on the right of the one before leaves, and waits for
        it where the padding is wider than the row.
        """
        _, kernel, _, cin = self.weights.shape
        chunks = kernel * cin // fold.simd
        if kernel == 1:
            return 0, 2 * chunks
        lead_rows, lead = (kernel - 1 - before for before in self.pads[:2])
        last_row, last_column = (lead_rows, 0) if x.height > lead_rows else (x.height - 1, out.width - 1)
        pixel = max(self.stride, chunks)
        row = (out.width - 1) * pixel + max(x.width - (out.width - 1) * self.stride, chunks, lead + 1 - x.width)
        stored = lead + last_row * row + last_column * pixel + (chunks if chunks > 1 else 0)
        return x.height * row, stored + 1 + kernel * chunks

    def takes(self, *inputs: TensorType) -> NDArray[np.int64]:
        (x,), kernel = inputs, self.weights.shape[1]
        if kernel == 1:
            return super().takes(x)
        rows, columns = both_ends(self.pads)
        row = conv_output(x.width, kernel, self.stride, columns)  # unfolded pixels, one for every `stride` pixels
        ahead = window_ahead(x.height, row, (kernel, 1), (self.stride, 1), (rows, 0))
        return self.needs(x) + self.stride * ahead

    def check_fold(self, fold: Fold, *inputs: TensorType) -> None:
        cout, kernel, _, _ = self.weights.shape
        require_divides(self.kind, "pe", fold.pe, "out_channels", cout)
        total = "in_channels" if kernel == 1 else "kernel*in_channels"
        require_divides(self.kind, "simd", fold.simd, total, self.row)
        if fold.pack not in PACKS[: fold.pe]:
            raise out_of_range(f"{self.kind}: pack", fold.pack, "1, or 2 where pe is 2 or more")
        width = inputs[0].dtype.width
        require(
            fold.pack == 1 or width <= PACKED_WIDTH,
            f"{self.kind}: pack={fold.pack} takes inputs of at most {PACKED_WIDTH} bits, not {width}; choose pack=1",
        )

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        (x,) = inputs
        _, kernel, _, cin = self.weights.shape
        lanes = shared_lanes(fold.pe, fold.simd, self.k)
        return (Port("s_axis", cin if kernel > 1 else fold.simd, x.dtype),), Port("m_axis", lanes, self.dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        cout, kernel, _, cin = self.weights.shape
        lanes = shared_lanes(fold.pe, fold.simd, self.k)
        left = max(0, -int(self.shift.min()))
        low, high = self._accumulator(x)
        ends = np.concatenate([low, high, low + self.bias, high + self.bias])
        bias_width = signed_width(int(self.bias.min()), int(self.bias.max()))
        shift_width = max(1, int((self.shift + left).max()).bit_length())
        scale = field_words([(self.shift + left, shift_width), (self.bias, bias_width)], lanes)
        weights = self._halves(fold) if fold.pack == 2 else self.weights
        return Binding(
            "br_real_conv",
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
                "OutLanes": lanes,
                "InWidth": x.dtype.width,
                "AccWidth": signed_width(int(ends.min()), int(ends.max())),
                "HWidth": bias_width,
                "SWidth": shift_width,
                "LeftShift": left,
                "OutWidth": self.dtype.width,
                "Pack": fold.pack,
            },
            *self.rtl_ports(fold, x),
            {
                "WeightFile": Memory(
                    fold.pe * fold.simd * WEIGHT_WIDTH,
                    weight_words(weights, fold.pe, fold.simd, WEIGHT_WIDTH),
                    entry=WEIGHT_WIDTH,
                ),
                "ScaleFile": Memory(lanes * (shift_width + bias_width), scale, entry=shift_width + bias_width),
            },
        )

    def _halves(self, fold: Fold) -> Array:
        """The weights w0, w1 of two output lanes that share a multiplier as both halves of w1 * 2^8 + w0.

        The lower half is w0 as it is; where it is negative, the upper one is w1 - 1.
        """
        lanes = self.weights.reshape(-1, fold.pe, *self.weights.shape[1:]).copy()
        pairs = fold.pe // 2
        lanes[:, 1 : 2 * pairs : 2] -= lanes[:, : 2 * pairs : 2] < 0
        return lanes.reshape(self.weights.shape)

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        """As `rtl`, but for the multipliers: Vitis HLS packs them as it sees fit."""
        binding = super().hls(replace(fold, pack=1), *inputs)
        p = {key: value for key, value in binding.parameters.items() if key != "Pack"}
        row = p["Kernel"] * p["InChannels"] * p["InWidth"] if p["Kernel"] > 1 else 0  # that is unfolded
        inner = max(row, fold.pe * p["AccWidth"])
        return replace(binding, parameters=p, inner_width=inner)

    def engine(self, *inputs: TensorType) -> Products | None:
        """The sums are scaled by powers of two to one shift: ((a + H) * 2^(s - s_c)) >> s = (a + H) >> s_c."""
        shift = max(0, int(self.shift.max()))
        left = shift - self.shift.astype(np.int64)
        if left.max() > ENGINE_SPREAD:
            return None
        gain = np.int64(1) << left
        affine = Affine(gain, self.bias.astype(np.int64) * gain, shift, self.dtype.low, self.dtype.high)
        return Products(self.weights, False, self.stride, self.pads, affine)

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        kernel, channels, folds = p["Kernel"], p["InChannels"], p["OutChannels"] // p["Pe"]
        row, bits = kernel * channels, p["InWidth"]
        pad_rows, pad_columns = both_ends(pads_of(p))
        width = conv_output(p["Width"], kernel, p["Stride"], pad_columns) if kernel > 1 else p["Width"]
        chunks = row // p["Simd"]
        features, buffer = window(
            (p["Height"], width),
            chunks,
            p["Simd"] * bits,
            (kernel, 1),
            (p["Stride"], 1 if kernel > 1 else p["Stride"]),
            (pad_rows, 0),
        )
        depth, products, lanes = folds * kernel * chunks, p["Pe"] * p["Simd"], p["OutLanes"]
        pairs = p["Pe"] // 2 * p["Simd"] if p["Pack"] == 2 else 0
        full = p["AccWidth"] + p["LeftShift"]
        sizes: Features = {
            "counter": index_bits(depth) + index_bits(folds) + index_bits(chunks),
            "unfolded": row * bits if kernel > 1 else 0,
            "split": row * bits if kernel > 1 and chunks > 1 else 0,
            "mask": p["Simd"] * bits if pad_rows else 0,
            "carry_save": p["Pe"] * max(p["Simd"] - 2, 0) * (bits + WEIGHT_WIDTH),
            "add": p["Pe"] * min(p["AccWidth"], bits + WEIGHT_WIDTH + ceil(log2(p["Simd"]))) if p["Simd"] > 1 else 0,
            "sum": p["Pe"] * p["AccWidth"],
            "single": (products - 2 * pairs) * (bits + WEIGHT_WIDTH),  # registers of products outside the multipliers
            "pair": pairs,
            "share": p["Pe"] * p["AccWidth"] if p["Pe"] > lanes else 0,
            "lane": lanes * full,
            "shift": lanes * full * p["SWidth"],
            "out": lanes * p["OutWidth"],
        }
        scales = Rom(p["OutChannels"] // lanes, lanes * (p["SWidth"] + p["HWidth"]), "scales")
        weights = Rom(depth, products * WEIGHT_WIDTH, "weights")
        return Anatomy(features | sizes, [buffer, weights, scales], dsp=products - pairs)

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[RealConv, tuple[TensorType, ...], Fold]]:
        def one(
            out: int, kernel: int, cin: int, stride: int, dtype: DataType, fold: Fold, side: int, scaled: bool = True
        ) -> tuple[RealConv, tuple[TensorType, ...], Fold]:
            shift = draw(*SHIFTS, out) if scaled else np.zeros(out, np.int32)
            weights, bias = draw(-127, 127, out, kernel, kernel, cin), draw(-30_000, 30_000, out)
            x = TensorType.full(side, side, cin, DataType(8, frac=7))
            return cls(weights, bias, shift, dtype, stride, (kernel // 2,) * 4), (x,), fold

        stream, sums, logits = DataType(16, frac=10), DataType(20, frac=10), DataType(22, frac=12)
        stems = ((1, 1), (2, 1), (1, 3), (2, 3), (4, 3), (4, 9), (8, 9), (16, 9))
        for channels, side, kernel in ((1, 16, 3), (3, 32, 3), (3, 64, 7)):
            row = kernel * channels
            for pe, part in stems[: 5 if kernel == 7 else None]:
                for pack in PACKS[:pe]:
                    fold = Fold(pe, {1: 1, 3: kernel, 9: row}[part], pack=pack)
                    yield one(32, kernel, channels, 2 if kernel == 7 else 1, stream, fold, side)
        for channels, side in ((16, 8), (64, 8), (128, 4)):
            for pe, simd in ((1, 1), (1, 4), (2, 4), (4, 8), (8, 8), (4, 2), (16, 2), (16, 4)):
                if 2 * channels * channels <= DEEPEST * pe * simd:
                    yield one(2 * channels, 1, channels, 1, sums, Fold(pe, simd, pack=min(pe, 2)), side)
        for channels in (64, 256):
            for fold in (Fold(1, 1), Fold(2, 4, pack=2)):
                yield one(10, 1, channels, 1, logits, fold, 1, scaled=False)
        # As networks for large images or with many classes have it.
        yield one(32, 7, 3, 2, stream, Fold(8, 21, pack=2), 64)
        yield one(128, 1, 64, 1, sums, Fold(16, 16, pack=2), 28)
        for fold in (Fold(1, 1), Fold(4, 8, pack=2)):
            yield one(1000, 1, 64, 1, logits, fold, 1, scaled=False)


@njit(parallel=True, cache=True)
def _convolve(x, weights, stride, bias, left, right, low, high, out):  # type: ignore[no-untyped-def]
    """The definition: x (N, H, W, C) padded, weights (k, k, C, Cout), of each channel (Cout,), out (N, Ho, Wo, Cout).

    Not a library's product of matrices: its threads and those of the other layers' loops wait for each other.
    """
    kernel, _, channels, cout = weights.shape
    frames, height, width, _ = out.shape
    for row in prange(frames * height):
        n, oy = row // height, row % height
        sums = np.zeros((width, cout), x.dtype)  # a whole row, as each addition to one pixel would wait for the last
        for ky in range(kernel):
            for kx in range(kernel):
                for c in range(channels):
                    for ox in range(width):
                        value = x[n, oy * stride + ky, ox * stride + kx, c]
                        for o in range(cout):
                            sums[ox, o] += value * weights[ky, kx, c, o]
        for ox in range(width):
            for o in range(cout):
                t = ((np.int64(sums[ox, o]) + bias[o]) << left[o]) >> right[o]
                out[n, oy, ox, o] = min(max(t, low), high)
