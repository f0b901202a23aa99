"""Center: stored pixels p (0..255) to x = p - m_c, the signed input of the stem (design rule "edges")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bireal_hw.ir.anatomy import Anatomy, Parameters, Rom
from bireal_hw.ir.encoding import field_words, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Memory, Op, Port, QonnxWriter, require, with_beats
from bireal_hw.ir.types import PIXEL, DataType, TensorType

OFFSET_WIDTH = 9


@dataclass(frozen=True, eq=False)
class Center(Op):
    """x = p - offset_c on 8 bits (offset 128 everywhere) or 9 bits; nothing else normalises the input.

    Attributes:
        offset: (C,) integers 0..255, subtracted per channel.
        frac: fractional bits that x is read with (7: x in about -1..1).
    """

    kind: ClassVar[str] = "center"
    look: ClassVar[Look] = Look("#e4e7eb", "pixel minus its mean", 0)
    offset: Array
    frac: int = 7

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(len(self.offset) == x.channels, f"center: {len(self.offset)} offsets for {x.channels} channels")
        require(
            bool(np.all((self.offset >= 0) & (self.offset <= 255))),
            f"center: offsets {self.offset.tolist()} must lie in 0..255",
        )
        low, high = x.low - int(self.offset.max()), x.high - int(self.offset.min())
        dtype = DataType(max(8, signed_width(low, high)), frac=self.frac)
        return TensorType(*x.shape, dtype, low, high)

    def golden(self, *inputs: Array) -> Array:
        return inputs[0].astype(np.int32) - self.offset.astype(np.int32)

    def summary(self) -> str:
        values = self.offset.tolist()
        return f"pixel - {values[0] if len(set(values)) == 1 else tuple(values)}"

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        offset = write.constant(f"{name}_m", self.offset.reshape(1, -1, 1, 1))
        x = write.node("Sub", f"{name}_sub", [*inputs, offset])
        x = write.node("Mul", f"{name}_mul", [x, write.constant(f"{name}_step", 2.0**-self.frac)])
        out = self.infer(*types).dtype
        return write.quant(f"{name}_quant", x, out.width, 2.0**-out.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=1)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        (x,) = inputs
        return (Port("s_axis", fold.lanes, x.dtype),), Port("m_axis", fold.lanes, self.infer(x).dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        out = self.infer(x)
        words = field_words([(self.offset, OFFSET_WIDTH)], fold.lanes)
        return Binding(
            "br_center",
            {"Channels": x.channels, "Lanes": fold.lanes, "OutWidth": out.dtype.width},
            *self.rtl_ports(fold, x),
            {"OffsetFile": Memory(fold.lanes * OFFSET_WIDTH, words, OFFSET_WIDTH)},
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        groups = p["Channels"] // p["Lanes"]
        return Anatomy({"out": p["Lanes"] * p["OutWidth"]}, [Rom(groups, p["Lanes"] * OFFSET_WIDTH, "offsets")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Center, tuple[TensorType, ...], Fold]]:
        for channels, lanes in ((1, 1), (3, 3), (3, 1)):
            x = TensorType.full(8, 8, channels, PIXEL)
            yield cls(np.full(channels, 128, np.int32)), (x,), Fold(lanes=lanes)
