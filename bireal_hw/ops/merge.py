"""Merge: affine of the dot product, addition of the real-valued shortcut (paper, section 3.2), PReLU on request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numba import njit, prange

from bireal_hw.ir.encoding import half, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, per_channel, require
from bireal_hw.ir.types import DataType, TensorType, ranged
from bireal_hw.ops.affine import Affine

SLOPE_SHIFT_MAX = 7
"""Largest k of a slope 2^-k."""


@dataclass(frozen=True, eq=False)
class Merge(Affine):
    """r' = sat(f(r + ((gain*dot + bias) >> shift))), per channel; inputs are (shortcut r, dot).

    The sum needs no rounding: both terms are on the stream's grid. f is nothing, or a PReLU whose slopes are powers of
    two: f(u) = u for u >= 0, else (u + 2^(k-1)) >> k.

    Attributes:
        gain, bias, shift: of the affine (see `Affine`).
        dtype: format of the shortcut stream.
        slope: (C,) the k of the PReLU, 0 to 7; None for no PReLU.
    """

    kind: ClassVar[str] = "merge"
    look: ClassVar[Look] = Look("#c3e6c8", "adds the shortcut r and saturates; G and H hold BatchNorm", 8)
    arity: ClassVar[int] = 2
    slope: Array | None = None

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
        found = super().resized(before, after, channels)
        return found if found.slope is None else replace(found, slope=per_channel(found.slope, channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        shortcut, dot = inputs
        total = write.node("Add", f"{name}_add", [shortcut, self.qonnx_affine(write, name, dot)])
        if self.slope is not None:
            slopes = write.constant(f"{name}_slope", np.exp2(-self.slope.astype(float)).reshape(-1, 1, 1))
            total = write.node("PRelu", f"{name}_prelu", [total, slopes])
            halves = write.constant(f"{name}_half", 2.0 ** -(self.dtype.frac + 1))
            total = write.node("Add", f"{name}_round", [total, halves])
        return write.quant(name, total, self.dtype.width, 2.0**-self.dtype.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=4 if self.slope is None else 5)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        ports, output = super().rtl_ports(fold, *inputs)
        return (Port("s_axis_shortcut", fold.lanes, inputs[0].dtype), *ports), output

    def constants(self) -> list[tuple[Array, int]]:
        fields = super().constants()
        if self.slope is not None:
            fields.append((self.slope, max(1, int(self.slope.max()).bit_length())))
        return fields

    def widths(self, *inputs: TensorType) -> dict[str, int]:
        r, dot = inputs
        return {"DotWidth": dot.dtype.width, "ShortcutWidth": r.dtype.width} | super().widths(*inputs)

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        binding = super().hls(fold, *inputs)
        return replace(binding, parameters={**binding.parameters, "KWidth": binding.parameters.get("KWidth", 0)})

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        stream = DataType(16, frac=10)
        for channels, taps in ((16, 144), (64, 576), (256, 2304), (512, 4608)):
            gain, bias = draw(-900, 900, channels), draw(-60_000, 60_000, channels)
            dot = TensorType(8, 8, channels, ranged(-taps, taps, 0), -taps, taps)
            for lanes in (1, 2, 4, 8):
                r = TensorType.full(8, 8, channels, stream if lanes != 2 else DataType(20, frac=10))
                yield Merge(gain, bias, 8, stream), (r, dot), Fold(lanes=lanes)
        for op, (dot,), fold in super().calibration(draw):
            assert isinstance(op, Affine)
            slope, r = draw(0, 7, dot.channels), TensorType.full(8, 8, dot.channels, stream)
            yield Merge(op.gain, op.bias, op.shift, op.dtype, slope), (r, dot), fold


@njit(parallel=True, cache=True)
def _merge(r, dot, gain, bias, shift, slope, low, high, out):  # type: ignore[no-untyped-def]
    """The definition, one pixel a row: all arrays (pixels, C) or (C,); a slope of 0 changes nothing."""
    for pixel in prange(r.shape[0]):
        for c in range(r.shape[1]):
            u = r[pixel, c] + ((gain[c] * dot[pixel, c] + bias[c]) >> shift)
            if u < 0:
                u = (u + ((1 << slope[c]) >> 1)) >> slope[c]
            out[pixel, c] = min(max(u, low), high)
