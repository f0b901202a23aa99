"""Merge: affine of the dot product, addition of the real-valued shortcut (paper, section 3.2), PReLU on request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numba import njit, prange

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Rom, index_bits
from bireal_hw.ir.encoding import field_words, half, signed_width
from bireal_hw.ir.op import (
    Array,
    Binding,
    Cost,
    Draw,
    Fold,
    Look,
    Memory,
    Op,
    Port,
    QonnxWriter,
    per_channel,
    require,
    with_beats,
)
from bireal_hw.ir.parts import Affine
from bireal_hw.ir.types import DataType, TensorType, ranged

FIELDS = ("GWidth", "HWidth", "KWidth")
"""Parameters that hold the width of a constant, in the order of a memory word."""
SLOPE_SHIFT_MAX = 7
"""Largest k of a slope 2^-k."""


@dataclass(frozen=True, eq=False)
class Merge(Op):
    """r' = sat(f(r + ((gain*dot + bias) >> shift))), per channel; inputs are (shortcut r, dot).

    The sum needs no rounding: both terms are on the stream's grid. f is nothing, or a PReLU whose slopes are powers of
    two: f(u) = u for u >= 0, else (u + 2^(k-1)) >> k. Gain and bias hold BatchNorm and the weights' magnitude, bias
    also the rounding half.

    Attributes:
        gain: (C,) integers of at most 16 bits.
        bias: (C,) integers.
        shift: right shift of the affine, common to the layer, 0 or more.
        dtype: format of the shortcut stream.
        slope: (C,) the k of the PReLU, 0 to 7; None for no PReLU.
    """

    kind: ClassVar[str] = "merge"
    look: ClassVar[Look] = Look("#c3e6c8", "adds the shortcut r and saturates; G and H hold BatchNorm", 8)
    arity: ClassVar[int] = 2
    gain: Array
    bias: Array
    shift: int
    dtype: DataType
    slope: Array | None = None

    def reach(self, dot: TensorType) -> tuple[int, int]:
        """Exact range of t = (gain*dot + bias) >> shift; raises BirealError for constants that are not possible."""
        require(len(self.gain) == dot.channels, f"merge: {len(self.gain)} gains for {dot.channels} channels")
        require(self.shift >= 0, f"merge: shift={self.shift} must be 0 or more")
        width = signed_width(int(self.gain.min()), int(self.gain.max()))
        require(width <= 16, "merge: a gain needs more than 16 bits")
        gain, bias = self.gain.astype(np.int64), self.bias.astype(np.int64)
        ends = np.stack([gain * dot.low + bias, gain * dot.high + bias]) >> self.shift
        return int(ends.min()), int(ends.max())

    def infer(self, *inputs: TensorType) -> TensorType:
        r, dot = inputs
        require(r.shape == dot.shape, f"merge: shortcut is {r.shape}, convolution gives {dot.shape}")
        low, high = self.reach(dot)
        require(r.dtype.frac == self.dtype.frac, f"merge: shortcut has frac {r.dtype.frac}, stream {self.dtype.frac}")
        low, high = low + r.low, high + r.high
        require(signed_width(low, high) <= 31, f"merge: sums {low}..{high} need more than 31 bits")
        if self.slope is not None:
            require(len(self.slope) == r.channels, f"merge: {len(self.slope)} slopes for {r.channels} channels")
            require(
                bool(np.all((self.slope >= 0) & (self.slope <= SLOPE_SHIFT_MAX))),
                f"merge: slopes 2^-k have k from {self.slope.min()} to {self.slope.max()}; 0..{SLOPE_SHIFT_MAX}",
            )
            low, high = (int(self.activate(np.full(r.channels, end)).min()) for end in (low, high))
            high = max(high, 0)  # what is negative may be rounded up
        return TensorType(*r.shape, self.dtype, max(low, self.dtype.low), min(high, self.dtype.high))

    def activate(self, u: Array) -> Array:
        """Apply the PReLU to sums (..., C)."""
        assert self.slope is not None
        halves = np.array([half(k) for k in self.slope.tolist()])
        return np.where(u >= 0, u, (u + halves) >> self.slope)

    def golden(self, *inputs: Array) -> Array:
        r, dot = inputs
        out = np.empty(r.shape, np.int32)
        channels = r.shape[-1]
        slope = np.zeros(channels, np.int64) if self.slope is None else self.slope.astype(np.int64)
        _merge(
            np.ascontiguousarray(r, np.int32).reshape(-1, channels),
            np.ascontiguousarray(dot, np.int32).reshape(-1, channels),
            self.gain.astype(np.int64),
            self.bias.astype(np.int64),
            self.shift,
            slope,
            self.dtype.low,
            self.dtype.high,
            out.reshape(-1, channels),
        )
        return out

    def summary(self) -> str:
        return f"r + ((G*dot + H) >> {self.shift})" + ("" if self.slope is None else ", PReLU")

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        found = replace(self, gain=per_channel(self.gain, channels), bias=per_channel(self.bias, channels))
        return found if found.slope is None else replace(found, slope=per_channel(found.slope, channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        shortcut, dot = inputs
        step = 2.0 ** -(self.shift + self.dtype.frac)
        gain, bias = ((values * step).reshape(1, -1, 1, 1) for values in (self.gain, self.bias))
        t = write.node("Mul", f"{name}_mul", [dot, write.constant(f"{name}_g", gain)])
        t = write.node("Add", f"{name}_bias", [t, write.constant(f"{name}_h", bias)])
        t = write.quant(f"{name}_affine", t, 24, 2.0**-self.dtype.frac)
        total = write.node("Add", f"{name}_add", [shortcut, t])
        if self.slope is not None:
            slopes = write.constant(f"{name}_slope", np.exp2(-self.slope.astype(float)).reshape(-1, 1, 1))
            total = write.node("PRelu", f"{name}_prelu", [total, slopes])
            halves = write.constant(f"{name}_half", 2.0 ** -(self.dtype.frac + 1))
            total = write.node("Add", f"{name}_round", [total, halves])
        return write.quant(name, total, self.dtype.width, 2.0**-self.dtype.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=4 if self.slope is None else 5)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        r, dot = inputs
        ports = Port("s_axis_shortcut", fold.lanes, r.dtype), Port("s_axis", fold.lanes, dot.dtype)
        return ports, Port("m_axis", fold.lanes, self.dtype)

    def _constants(self) -> list[tuple[Array, int]]:
        """What a memory word holds of each channel, from the low bits up: (values, width)."""
        fields = [(values, signed_width(int(values.min()), int(values.max()))) for values in (self.gain, self.bias)]
        if self.slope is not None:
            fields.append((self.slope, max(1, int(self.slope.max()).bit_length())))
        return fields

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (r, dot), fields = inputs, self._constants()
        entry = sum(width for _, width in fields)
        return Binding(
            self.module(),
            {
                "Channels": dot.channels,
                "Lanes": fold.lanes,
                "DotWidth": dot.dtype.width,
                "ShortcutWidth": r.dtype.width,
                **{name: width for name, (_, width) in zip(FIELDS, fields, strict=False)},
                "Shift": self.shift,
                "OutWidth": self.dtype.width,
            },
            *self.rtl_ports(fold, *inputs),
            {"AffineFile": Memory(fold.lanes * entry, field_words(fields, fold.lanes), entry)},
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        binding = with_beats(super().hls(fold, *inputs), inputs[1])
        return replace(binding, parameters={**binding.parameters, "KWidth": binding.parameters.get("KWidth", 0)})

    def engine(self, *inputs: TensorType) -> Affine:
        limits = self.dtype.low, self.dtype.high
        return Affine(self.gain, self.bias, self.shift, *limits, self.slope, shortcut=0, sums=1)

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        lanes, product, slope = p["Lanes"], p["GWidth"] + p["DotWidth"], p.get("KWidth", 0)
        sizes: Features = {
            "shortcut": lanes * p["ShortcutWidth"],
            "dot": lanes * p["DotWidth"],
            "affine": lanes * max(product, p["HWidth"]),
            "out": lanes * p["OutWidth"],
            "counter": index_bits(p["Channels"] // lanes),
        }
        if slope:
            sizes["prelu"] = lanes * max(product, p["HWidth"], p["ShortcutWidth"]) * slope
        affine = Rom(p["Channels"] // lanes, lanes * (p["GWidth"] + p["HWidth"] + slope), "affine")
        return Anatomy(sizes, [affine], dsp=lanes)

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        stream = DataType(16, frac=10)
        for channels, taps in ((16, 144), (64, 576), (256, 2304), (512, 4608)):
            gain, bias = draw(-900, 900, channels), draw(-60_000, 60_000, channels)
            dot = TensorType(8, 8, channels, ranged(-taps, taps, 0), -taps, taps)
            for lanes in (1, 2, 4, 8):
                r = TensorType.full(8, 8, channels, stream if lanes != 2 else DataType(20, frac=10))
                yield Merge(gain, bias, 8, stream), (r, dot), Fold(lanes=lanes)
        for channels, taps, lanes in ((16, 144, 1), (64, 576, 1), (64, 576, 2), (256, 256, 4), (512, 4608, 2)):
            gain, bias = draw(-900, 900, channels), draw(-60_000, 60_000, channels)
            dot = TensorType(8, 8, channels, ranged(-taps, taps, 0), -taps, taps)
            slope, r = draw(0, 7, channels), TensorType.full(8, 8, channels, stream)
            yield Merge(gain, bias, 8, stream, slope), (r, dot), Fold(lanes=lanes)


@njit(parallel=True, cache=True)
def _merge(r, dot, gain, bias, shift, slope, low, high, out):  # type: ignore[no-untyped-def]
    """The definition, one pixel a row: all arrays (pixels, C) or (C,); a slope of 0 changes nothing."""
    for pixel in prange(r.shape[0]):
        for c in range(r.shape[1]):
            u = r[pixel, c] + ((gain[c] * dot[pixel, c] + bias[c]) >> shift)
            if u < 0:
                u = (u + ((1 << slope[c]) >> 1)) >> slope[c]
            out[pixel, c] = min(max(u, low), high)
