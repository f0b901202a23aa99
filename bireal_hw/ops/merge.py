"""Merge: affine of the dot product and addition of the real-valued shortcut (paper, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit, prange

from bireal_hw.ir.encoding import field_words, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Fold, Memory, Op, Port, require, with_beats
from bireal_hw.ir.types import DataType, TensorType


@dataclass(frozen=True, eq=False)
class Merge(Op):
    """r' = sat(r + ((gain*dot + bias) >> shift)), per channel; inputs are (shortcut r, dot).

    Gain and bias hold BatchNorm and the weights' magnitude, bias also the rounding half. The sum needs no
    rounding: both terms are on the stream's grid.

    Attributes:
        gain: (C,) integers of at most 16 bits.
        bias: (C,) integers.
        shift: right shift, common to the layer, 0 or more.
        dtype: format of the shortcut stream.
    """

    kind: ClassVar[str] = "merge"
    arity: ClassVar[int] = 2
    gain: Array
    bias: Array
    shift: int
    dtype: DataType

    def _affine_range(self, dot: TensorType) -> tuple[int, int]:
        """Exact range of t = (gain*dot + bias) >> shift."""
        gain, bias = self.gain.astype(np.int64), self.bias.astype(np.int64)
        ends = np.stack([gain * dot.low + bias, gain * dot.high + bias]) >> self.shift
        return int(ends.min()), int(ends.max())

    def infer(self, *inputs: TensorType) -> TensorType:
        r, dot = inputs
        require(r.shape == dot.shape, f"merge: shortcut is {r.shape}, convolution gives {dot.shape}")
        require(len(self.gain) == r.channels, f"merge: {len(self.gain)} gains for {r.channels} channels")
        require(r.dtype.frac == self.dtype.frac, f"merge: shortcut has frac {r.dtype.frac}, stream {self.dtype.frac}")
        require(self.shift >= 0, f"merge: shift={self.shift} must be 0 or more")
        require(signed_width(int(self.gain.min()), int(self.gain.max())) <= 16, "merge: a gain needs more than 16 bits")
        low, high = self._affine_range(dot)
        low, high = low + r.low, high + r.high
        require(signed_width(low, high) <= 31, f"merge: sums {low}..{high} need more than 31 bits")
        return TensorType(*r.shape, self.dtype, max(low, self.dtype.low), min(high, self.dtype.high))

    def golden(self, *inputs: Array) -> Array:
        r, dot = inputs
        out = np.empty(r.shape, np.int32)
        channels = r.shape[-1]
        _merge(
            np.ascontiguousarray(r, np.int32).reshape(-1, channels),
            np.ascontiguousarray(dot, np.int32).reshape(-1, channels),
            self.gain.astype(np.int64),
            self.bias.astype(np.int64),
            self.shift,
            self.dtype.low,
            self.dtype.high,
            out.reshape(-1, channels),
        )
        return out

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=4)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        r, dot = inputs
        ports = Port("s_axis_shortcut", fold.lanes, r.dtype), Port("s_axis", fold.lanes, dot.dtype)
        return ports, Port("m_axis", fold.lanes, self.dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        r, dot = inputs
        gain_width = signed_width(int(self.gain.min()), int(self.gain.max()))
        bias_width = signed_width(int(self.bias.min()), int(self.bias.max()))
        words = field_words([(self.gain, gain_width), (self.bias, bias_width)], fold.lanes)
        entry = gain_width + bias_width
        return Binding(
            "br_merge",
            {
                "Channels": r.channels,
                "Lanes": fold.lanes,
                "DotWidth": dot.dtype.width,
                "ShortcutWidth": r.dtype.width,
                "GWidth": gain_width,
                "HWidth": bias_width,
                "Shift": self.shift,
                "OutWidth": self.dtype.width,
            },
            *self.rtl_ports(fold, r, dot),
            {"AffineFile": Memory(fold.lanes * entry, words, entry)},
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])


@njit(parallel=True, cache=True)
def _merge(r, dot, gain, bias, shift, low, high, out):  # type: ignore[no-untyped-def]
    """The definition, one pixel a row: all arrays (pixels, C) or (C,)."""
    for pixel in prange(r.shape[0]):
        for c in range(r.shape[1]):
            t = (gain[c] * dot[pixel, c] + bias[c]) >> shift
            out[pixel, c] = min(max(r[pixel, c] + t, low), high)
