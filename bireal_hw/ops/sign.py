"""Sign: the fixed-point stream to bits, +1 where x is at least 0, or a threshold of its channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bireal_hw.ir import encoding
from bireal_hw.ir.op import Array, Binding, Cost, Fold, Memory, Op, Port, require, with_beats
from bireal_hw.ir.types import BIPOLAR, TensorType


@dataclass(frozen=True, eq=False)
class Sign(Op):
    """b = +1 if x >= threshold else -1, element by element; the shape stays.

    Source: sign, paper, section 3.1; RSign, which has thresholds, arXiv:2003.03488.

    Attributes:
        threshold: (C,) integers on the grid of x; None for 0 everywhere, which needs no comparison.
    """

    kind: ClassVar[str] = "sign"
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
