"""Max pooling 3x3, stride 2, padding 1: behind the 7x7 stem of large images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bireal_hw.ir.op import Array, Binding, Cost, Fold, Op, Port, require
from bireal_hw.ir.types import TensorType


@dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """Largest value of each 3x3 window, stride 2; padded taps never win. Height and width must be even."""

    kind: ClassVar[str] = "max_pool"

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(
            x.height % 2 == 0 and x.width % 2 == 0, f"max_pool: height and width must be even, not {x.height}x{x.width}"
        )
        return TensorType(x.height // 2, x.width // 2, x.channels, x.dtype, x.low, x.high)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        rows = _running_max(x, axis=1)
        return _running_max(rows, axis=2)

    def summary(self) -> str:
        return "3x3, stride 2"

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        return Cost(x.beats(fold.lanes), latency=(x.width + 1) * (x.channels // fold.lanes) + 4)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        dtype = inputs[0].dtype
        return (Port("s_axis", fold.lanes, dtype),), Port("m_axis", fold.lanes, dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        return Binding(
            "br_max_pool",
            {
                "Height": x.height,
                "Width": x.width,
                "Channels": x.channels,
                "Lanes": fold.lanes,
                "InWidth": x.dtype.width,
            },
            *self.rtl_ports(fold, x),
        )


def _running_max(x: Array, axis: int) -> Array:
    """Maximum of positions 2i-1, 2i, 2i+1 along an axis of even length."""
    even, odd = (np.take(x, range(start, x.shape[axis], 2), axis) for start in (0, 1))
    out = np.maximum(even, odd)
    later = (slice(None),) * axis + (slice(1, None),)
    before = (slice(None),) * axis + (slice(None, -1),)
    out[later] = np.maximum(out[later], odd[before])
    return out
