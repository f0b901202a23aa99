"""Sign: the fixed-point stream to bits, +1 where x >= 0 (paper, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bireal_hw.ir import encoding
from bireal_hw.ir.op import Array, Binding, Cost, Fold, Op, Port, with_beats
from bireal_hw.ir.types import BIPOLAR, TensorType


@dataclass(frozen=True, eq=False)
class Sign(Op):
    """b = +1 if x >= 0 else -1, element by element; the shape stays."""

    kind: ClassVar[str] = "sign"

    def infer(self, *inputs: TensorType) -> TensorType:
        return TensorType.full(*inputs[0].shape, BIPOLAR)

    def golden(self, *inputs: Array) -> Array:
        return encoding.sign(inputs[0])

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=0)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", fold.lanes, inputs[0].dtype),), Port("m_axis", fold.lanes, BIPOLAR)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        return Binding(
            "br_sign",
            {"Lanes": fold.lanes, "InWidth": x.dtype.width},
            *self.rtl_ports(fold, x),
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])
