"""Leaky clip: the stream itself inside -1..1, slope 0.1 outside; in front of a bottleneck network's blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bireal_hw.ir.anatomy import Anatomy, Parameters
from bireal_hw.ir.encoding import half, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, require, with_beats
from bireal_hw.ir.parts import Affine
from bireal_hw.ir.types import DataType, TensorType, ranged

ENDS = (("min", -1), ("max", 1))
LATENCY = 3
"""Pipeline stages: what lies inside and outside, product, sum."""


@dataclass(frozen=True, eq=False)
class LeakyClip(Op):
    """y = c + ((gain*(x - c) + half) >> shift) with c = x clipped to -limit..limit.

    Attributes:
        limit: 1 on the grid of x, 0 or more.
        gain: slope outside, times 2^shift; at most 16 bits signed, less than 2^shift.
        shift: 1 or more.
    """

    kind: ClassVar[str] = "leaky_clip"
    look: ClassVar[Look] = Look("#fbdfe0", "x inside -1..1, a flatter line outside", 7)
    limit: int
    gain: int
    shift: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(x.dtype.signed and not x.dtype.bipolar, f"leaky_clip: input is {x.dtype}; signed numbers are supported")
        require(self.limit >= 0, f"leaky_clip: limit={self.limit} must be 0 or more")
        require(
            0 <= self.gain < min(1 << self.shift, 1 << 15),
            f"leaky_clip: the slope {self.gain}/2^{self.shift} must be below 1, its gain below 2^15",
        )
        low, high = (int(end) for end in self.golden(np.array([x.low, x.high])))
        return TensorType(*x.shape, ranged(low, high, x.dtype.frac), low, high)

    def golden(self, *inputs: Array) -> Array:
        x = inputs[0].astype(np.int64)
        inside = np.clip(x, -self.limit, self.limit)
        return (inside + ((self.gain * (x - inside) + half(self.shift)) >> self.shift)).astype(np.int32)

    def summary(self) -> str:
        return f"slope {self.gain}/2^{self.shift} outside -{self.limit}..{self.limit}"

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        (x,), frac = inputs, types[0].dtype.frac
        ends = [write.constant(f"{name}_{end}", sign * self.limit * 2.0**-frac) for end, sign in ENDS]
        inside = write.node("Clip", f"{name}_clip", [x, *ends])
        outside = write.node("Sub", f"{name}_sub", [x, inside])
        slope = write.constant(f"{name}_slope", self.gain * 2.0**-self.shift)
        outside = write.node("Mul", f"{name}_mul", [outside, slope])
        outside = write.node("Add", f"{name}_add", [outside, write.constant(f"{name}_half", 2.0 ** -(frac + 1))])
        return write.node("Add", name, [inside, write.quant(f"{name}_quant", outside, 24, 2.0**-frac)])

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=LATENCY)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        (x,) = inputs
        return (Port("s_axis", fold.lanes, x.dtype),), Port("m_axis", fold.lanes, self.infer(x).dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        return Binding(
            "br_leaky_clip",
            {
                "Lanes": fold.lanes,
                "InWidth": x.dtype.width,
                "Limit": self.limit,
                "Gain": self.gain,
                "GWidth": signed_width(0, self.gain),
                "Shift": self.shift,
                "OutWidth": self.infer(x).dtype.width,
            },
            *self.rtl_ports(fold, x),
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    def engine(self, *inputs: TensorType) -> Affine:
        (x,) = inputs
        gain, bias = (np.full(x.channels, value, np.int64) for value in (self.gain, half(self.shift)))
        out = self.infer(x).dtype
        return Affine(gain, bias, self.shift, out.low, out.high, shortcut=0, sums=None, limit=self.limit)

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        return Anatomy({"in": p["Lanes"] * p["InWidth"], "out": p["Lanes"] * p["OutWidth"]}, dsp=p["Lanes"])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[LeakyClip, tuple[TensorType, ...], Fold]]:
        for channels, lanes in ((16, 1), (64, 1), (64, 2), (256, 4), (512, 2)):
            x = TensorType.full(8, 8, channels, DataType(16, frac=10))
            yield cls(1 << 10, 205, 11), (x,), Fold(lanes=lanes)
