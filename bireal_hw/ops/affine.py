"""Affine: BatchNorm and the weights' magnitude on the dot product, where no shortcut is added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Rom, index_bits
from bireal_hw.ir.encoding import field_words, saturate, signed_width
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
from bireal_hw.ir.types import DataType, TensorType, ranged

FIELDS = ("GWidth", "HWidth", "KWidth")
"""Parameters that hold the width of a constant, in the order of a memory word."""


@dataclass(frozen=True, eq=False)
class Affine(Op):
    """r' = sat((gain*dot + bias) >> shift), per channel.

    Gain and bias hold BatchNorm and the weights' magnitude, bias also the rounding half.

    Attributes:
        gain: (C,) integers of at most 16 bits.
        bias: (C,) integers.
        shift: right shift, common to the layer, 0 or more.
        dtype: format of the output.
    """

    kind: ClassVar[str] = "affine"
    look: ClassVar[Look] = Look("#c3e6c8", "BatchNorm of the sums: (G*dot + H) >> s", 6)
    gain: Array
    bias: Array
    shift: int
    dtype: DataType

    def reach(self, dot: TensorType) -> tuple[int, int]:
        """Exact range of t = (gain*dot + bias) >> shift; raises BirealError for constants that are not possible."""
        require(len(self.gain) == dot.channels, f"{self.kind}: {len(self.gain)} gains for {dot.channels} channels")
        require(self.shift >= 0, f"{self.kind}: shift={self.shift} must be 0 or more")
        width = signed_width(int(self.gain.min()), int(self.gain.max()))
        require(width <= 16, f"{self.kind}: a gain needs more than 16 bits")
        gain, bias = self.gain.astype(np.int64), self.bias.astype(np.int64)
        ends = np.stack([gain * dot.low + bias, gain * dot.high + bias]) >> self.shift
        return int(ends.min()), int(ends.max())

    def infer(self, *inputs: TensorType) -> TensorType:
        (dot,) = inputs
        low, high = self.reach(dot)
        require(signed_width(low, high) <= 31, f"{self.kind}: values {low}..{high} need more than 31 bits")
        return TensorType(*dot.shape, self.dtype, max(low, self.dtype.low), min(high, self.dtype.high))

    def golden(self, *inputs: Array) -> Array:
        t = (inputs[0] * self.gain.astype(np.int64) + self.bias) >> self.shift
        return saturate(t, self.dtype.width).astype(np.int32)

    def summary(self) -> str:
        return f"(G*dot + H) >> {self.shift}"

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        return replace(self, gain=per_channel(self.gain, channels), bias=per_channel(self.bias, channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        return write.quant(name, self.qonnx_affine(write, name, inputs[-1]), self.dtype.width, 2.0**-self.dtype.frac)

    def qonnx_affine(self, write: QonnxWriter, name: str, dot: str) -> str:
        """Write the affine, on the grid of the output but not saturated to its width."""
        step = 2.0 ** -(self.shift + self.dtype.frac)
        gain, bias = ((values * step).reshape(1, -1, 1, 1) for values in (self.gain, self.bias))
        t = write.node("Mul", f"{name}_mul", [dot, write.constant(f"{name}_g", gain)])
        t = write.node("Add", f"{name}_bias", [t, write.constant(f"{name}_h", bias)])
        return write.quant(f"{name}_affine", t, 24, 2.0**-self.dtype.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[-1].beats(fold.lanes), latency=4)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", fold.lanes, inputs[-1].dtype),), Port("m_axis", fold.lanes, self.dtype)

    def constants(self) -> list[tuple[Array, int]]:
        """What a memory word holds of each channel, from the low bits up: (values, width)."""
        fields = (self.gain, self.bias)
        return [(values, signed_width(int(values.min()), int(values.max()))) for values in fields]

    def widths(self, *inputs: TensorType) -> dict[str, int]:
        """Bits of the inputs and of the constants."""
        names = {"DotWidth": inputs[-1].dtype.width}
        return names | {name: width for name, (_, width) in zip(FIELDS, self.constants(), strict=False)}

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        dot, fields = inputs[-1], self.constants()
        entry = sum(width for _, width in fields)
        return Binding(
            f"br_{self.kind}",
            {
                "Channels": dot.channels,
                "Lanes": fold.lanes,
                **self.widths(*inputs),
                "Shift": self.shift,
                "OutWidth": self.dtype.width,
            },
            *self.rtl_ports(fold, *inputs),
            {"AffineFile": Memory(fold.lanes * entry, field_words(fields, fold.lanes), entry)},
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[-1])

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        lanes, product, slope, shortcut = (
            p["Lanes"],
            p["GWidth"] + p["DotWidth"],
            p.get("KWidth", 0),
            p.get("ShortcutWidth", 0),
        )
        sizes: Features = {
            "shortcut": lanes * shortcut,
            "dot": lanes * p["DotWidth"],
            "affine": lanes * max(product, p["HWidth"]),
            "out": lanes * p["OutWidth"],
            "counter": index_bits(p["Channels"] // lanes),
        }
        if slope:
            sizes["prelu"] = lanes * max(product, p["HWidth"], shortcut) * slope
        affine = Rom(p["Channels"] // lanes, lanes * (p["GWidth"] + p["HWidth"] + slope), "affine")
        return Anatomy(sizes, [affine], dsp=lanes)

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        for channels, taps, lanes in ((16, 144, 1), (64, 576, 1), (64, 576, 2), (256, 256, 4), (512, 4608, 2)):
            gain, bias = draw(-900, 900, channels), draw(-60_000, 60_000, channels)
            dot = TensorType(8, 8, channels, ranged(-taps, taps, 0), -taps, taps)
            yield Affine(gain, bias, 8, DataType(16, frac=10)), (dot,), Fold(lanes=lanes)
