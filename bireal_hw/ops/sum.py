"""Sum: two real-valued streams added and saturated, where neither is a convolution's sum (a merge adds those)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bireal_hw.ir.anatomy import Anatomy, Parameters
from bireal_hw.ir.encoding import saturate, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, require, with_beats
from bireal_hw.ir.types import DataType, TensorType

LATENCY = 2
"""Pipeline stages: operands, sum."""


@dataclass(frozen=True, eq=False)
class Sum(Op):
    """y = sat(a + b), element by element; both are on the grid of y, so nothing is rounded.

    Attributes:
        dtype: format of y.
    """

    kind: ClassVar[str] = "sum"
    look: ClassVar[Look] = Look("#c3e6c8", "adds two streams and saturates", 9)
    arity: ClassVar[int] = 2
    dtype: DataType

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        require(a.shape == b.shape, f"sum: the inputs are {a.shape} and {b.shape}")
        for x in (a.dtype, b.dtype):
            require(x.signed and not x.bipolar, f"sum: an input is {x}; signed numbers are supported")
            require(x.frac == self.dtype.frac, f"sum: an input has frac {x.frac}, the sum {self.dtype.frac}")
        low, high = a.low + b.low, a.high + b.high
        require(signed_width(low, high) <= 31, f"sum: sums {low}..{high} need more than 31 bits")
        return TensorType(*a.shape, self.dtype, max(low, self.dtype.low), min(high, self.dtype.high))

    def golden(self, *inputs: Array) -> Array:
        a, b = inputs
        return saturate(a.astype(np.int64) + b, self.dtype.width).astype(np.int32)

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        total = write.node("Add", f"{name}_add", inputs)
        return write.quant(name, total, self.dtype.width, 2.0**-self.dtype.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), LATENCY)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        a, b = inputs
        ports = Port("s_axis", fold.lanes, a.dtype), Port("s_axis_addend", fold.lanes, b.dtype)
        return ports, Port("m_axis", fold.lanes, self.dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        a, b = inputs
        parameters = {"Lanes": fold.lanes, "InWidth": a.dtype.width, "AddendWidth": b.dtype.width}
        return Binding(self.module(), parameters | {"OutWidth": self.dtype.width}, *self.rtl_ports(fold, a, b))

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        wide = max(p["InWidth"], p["AddendWidth"])
        sizes = {"in": p["InWidth"] + p["AddendWidth"], "sum": wide + 1, "out": p["OutWidth"]}
        sizes["saturate"] = p["OutWidth"] if p["OutWidth"] <= wide else 0
        return Anatomy({name: p["Lanes"] * size for name, size in sizes.items()})

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        for lanes, a, b, out in ((1, 16, 16, 16), (2, 16, 16, 16), (4, 12, 20, 16), (8, 8, 8, 9), (1, 20, 8, 12)):
            inputs = tuple(TensorType.full(8, 8, 64, DataType(width, frac=6)) for width in (a, b))
            yield cls(DataType(out, frac=6)), inputs, Fold(lanes=lanes)
