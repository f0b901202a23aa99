"""Max pooling 3x3, stride 2, padding 1: behind the 7x7 stem of large images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Ram, index_bits
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, require
from bireal_hw.ir.types import DataType, TensorType


@dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """Largest value of each 3x3 window, stride 2; padded taps never win. Height and width must be even."""

    kind: ClassVar[str] = "max_pool"
    look: ClassVar[Look] = Look("#dfd8f0", "largest value of a window", 2)

    def scale(self, x: TensorType) -> int:
        return 2

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

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        return write.node("MaxPool", name, inputs, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        return Cost(x.beats(fold.lanes), latency=(x.width + 1) * (x.channels // fold.lanes) + 4)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        (x,) = inputs
        return np.arange(x.pixels).reshape(x.height, x.width)[1::2, 1::2].reshape(-1)

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

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        groups, width = p["Channels"] // p["Lanes"], p["Lanes"] * p["InWidth"]
        pairs = p["Width"] // 2 * groups
        sizes: Features = {"counter": index_bits(pairs) + index_bits(groups) + index_bits(p["Height"]), "beat": width}
        return Anatomy(sizes, [Ram(groups, width, "row"), Ram(pairs, width, "column")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[MaxPool, tuple[TensorType, ...], Fold]]:
        for channels, side, lanes in ((16, 16, 1), (32, 32, 1), (64, 16, 2), (64, 56, 4), (128, 8, 8), (256, 8, 1)):
            yield cls(), (TensorType.full(side, side, channels, DataType(16, frac=10)),), Fold(lanes=lanes)


def _running_max(x: Array, axis: int) -> Array:
    """Maximum of positions 2i-1, 2i, 2i+1 along an axis of even length."""
    even, odd = (np.take(x, range(start, x.shape[axis], 2), axis) for start in (0, 1))
    out = np.maximum(even, odd)
    later = (slice(None),) * axis + (slice(1, None),)
    before = (slice(None),) * axis + (slice(None, -1),)
    out[later] = np.maximum(out[later], odd[before])
    return out
