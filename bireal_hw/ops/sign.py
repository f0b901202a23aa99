"""Sign: the fixed-point stream to bits, +1 where x is at least 0, or a threshold of its channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from bireal_hw.ir import encoding
from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Rom, index_bits
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
from bireal_hw.ir.parts import Compare
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType


@dataclass(frozen=True, eq=False)
class Sign(Op):
    """b = +1 if x >= threshold else -1, element by element; the shape stays.

    Source: sign, paper, section 3.1; RSign, which has thresholds, arXiv:2003.03488.

    Attributes:
        threshold: (C,) integers on the grid of x; None for 0 everywhere, which needs no comparison.
    """

    kind: ClassVar[str] = "sign"
    look: ClassVar[Look] = Look("#dceaf8", "+1 where x >= 0, else -1", 4)
    registered: ClassVar[bool] = False
    threshold: Array | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        count = x.channels if self.threshold is None else len(self.threshold)
        require(count == x.channels, f"sign: {count} thresholds for {x.channels} channels")
        return TensorType.full(*x.shape, BIPOLAR)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        return encoding.sign(x if self.threshold is None else x.astype(np.int64) - self.threshold)

    def summary(self) -> str:
        return "" if self.threshold is None else "thresholds per channel"

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        return self if self.threshold is None else replace(self, threshold=per_channel(self.threshold, channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        (x,) = inputs
        if self.threshold is not None:
            threshold = (self.threshold * 2.0 ** -types[0].dtype.frac).reshape(1, -1, 1, 1)
            x = write.node("Sub", f"{name}_sub", [x, write.constant(f"{name}_theta", threshold)])
        return write.node("BipolarQuant", name, [x, write.constant(f"{name}_one", 1.0)])

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=0 if self.threshold is None else 1)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", fold.lanes, inputs[0].dtype),), Port("m_axis", fold.lanes, BIPOLAR)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        parameters = {"Lanes": fold.lanes, "InWidth": x.dtype.width}
        binding = Binding("br_sign", parameters, *self.rtl_ports(fold, x))
        if self.threshold is None:
            return binding
        width = encoding.signed_width(int(self.threshold.min()), int(self.threshold.max()))
        words = encoding.field_words([(self.threshold, width)], fold.lanes)
        return replace(
            binding,
            parameters=parameters | {"Channels": x.channels, "TWidth": width},
            memories={"ThresholdFile": Memory(fold.lanes * width, words, width)},
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    def engine(self, *inputs: TensorType) -> Compare:
        return Compare(self.threshold)

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        threshold = p.get("TWidth", 0)
        if not threshold:
            return Anatomy({"lane": p["Lanes"]})
        groups = p["Channels"] // p["Lanes"]
        sizes: Features = {"compare": p["Lanes"] * max(threshold, p["InWidth"]), "counter": index_bits(groups)}
        return Anatomy(sizes, [Rom(groups, p["Lanes"] * threshold, "thresholds")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Sign, tuple[TensorType, ...], Fold]]:
        stream = DataType(16, frac=10)
        for channels, lanes in ((16, 1), (64, 1), (64, 2), (256, 4), (512, 2)):
            x = TensorType.full(8, 8, channels, stream)
            yield cls(draw(-9_000, 9_000, channels)), (x,), Fold(lanes=lanes)
        for channels, side, lanes in ((16, 16, 1), (32, 32, 1), (64, 16, 2), (64, 56, 4), (128, 8, 8), (256, 8, 1)):
            yield cls(), (TensorType.full(side, side, channels, stream),), Fold(lanes=lanes)
