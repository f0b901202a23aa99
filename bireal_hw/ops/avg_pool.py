"""Average pooling as an exact sum that is rounded once; kernel = image is the global pool, kernel = 1 rounds only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bireal_hw.ir.encoding import half, saturate, shift_right, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Fold, Op, Port, require
from bireal_hw.ir.types import DataType, TensorType


@dataclass(frozen=True, eq=False)
class AvgPool(Op):
    """q = sat((sum over the window + half) >> shift); windows do not overlap.

    The division by the number of pixels is part of the shift (2x2) or stays out (global pool: q is a rounded sum and
    the classifier's bias carries the factor).

    Attributes:
        kernel: (height, width) of the window, equal to the stride.
        shift: right shift with rounding half up; negative = left.
        dtype: format of q: 8 bits in front of a real-valued layer, that of the stream where it is added.
    """

    kind: ClassVar[str] = "avg_pool"
    kernel: tuple[int, int]
    shift: int
    dtype: DataType

    def _sum_range(self, x: TensorType) -> tuple[int, int]:
        area = self.kernel[0] * self.kernel[1]
        return area * x.low, area * x.high

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        kh, kw = self.kernel
        require(
            x.height % kh == 0 and x.width % kw == 0,
            f"avg_pool: a {kh}x{kw} window does not tile {x.height}x{x.width}",
        )
        low, high = (
            int(saturate(shift_right(np.array(end + half(self.shift)), self.shift), self.dtype.width))
            for end in self._sum_range(x)
        )
        return TensorType(x.height // kh, x.width // kw, x.channels, self.dtype, low, high)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        n, height, width, channels = x.shape
        kh, kw = self.kernel
        tiles = x.reshape(n, height // kh, kh, width // kw, kw, channels)
        total = tiles.sum(axis=(2, 4), dtype=np.int64)
        return saturate(shift_right(total + half(self.shift), self.shift), self.dtype.width).astype(np.int32)

    def summary(self) -> str:
        shift = f">> {self.shift}" if self.shift >= 0 else f"<< {-self.shift}"
        return f"{self.kernel[0]}x{self.kernel[1]}, sum {shift}"

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        before = (self.kernel[0] - 1) * x.width + self.kernel[1] - 1  # pixels before the first window is full
        return Cost(x.beats(fold.lanes), latency=before * (x.channels // fold.lanes) + 4)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        return (Port("s_axis", fold.lanes, inputs[0].dtype),), Port("m_axis", fold.lanes, self.dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        return Binding(
            "br_avg_pool",
            {
                "Height": x.height,
                "Width": x.width,
                "Channels": x.channels,
                "Lanes": fold.lanes,
                "InWidth": x.dtype.width,
                "KernelH": self.kernel[0],
                "KernelW": self.kernel[1],
                "SumWidth": signed_width(*self._sum_range(x)),
                "Shift": self.shift,
                "OutWidth": self.dtype.width,
            },
            *self.rtl_ports(fold, x),
        )
