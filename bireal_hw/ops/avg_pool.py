"""Average pooling as an exact sum that is rounded once; kernel = image is the global pool, kernel = 1 rounds only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Ram, index_bits
from bireal_hw.ir.encoding import half, saturate, shift_right, signed_width
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, require
from bireal_hw.ir.parts import Pool
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
    look: ClassVar[Look] = Look("#dfd8f0", "sum over a window, rounded to 8 bits", 3)
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
        out = np.empty((n, height // kh, width // kw, channels), np.int32)
        right, left = max(self.shift, 0), max(-self.shift, 0)
        _pool(x, kh, kw, half(self.shift), left, right, self.dtype.low, self.dtype.high, out)
        return out

    def summary(self) -> str:
        shift = f">> {self.shift}" if self.shift >= 0 else f"<< {-self.shift}"
        return f"{self.kernel[0]}x{self.kernel[1]}, sum {shift}"

    def scale(self, x: TensorType) -> int:
        return 1 if self.kernel == (x.height, x.width) else self.kernel[0]

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        whole = self.kernel == (before.height, before.width)
        return replace(self, kernel=(after.height, after.width)) if whole else self

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        (x,), frac = inputs, types[0].dtype.frac
        area = self.kernel[0] * self.kernel[1]
        mean = self.shift == frac + math.log2(area) - self.dtype.frac
        if mean:
            sizes = {"kernel_shape": list(self.kernel), "strides": list(self.kernel), "pads": [0] * 4}
            x = write.node("AveragePool", name, [x], **sizes)
        else:
            axes = write.constant(f"{name}_axes", np.array([2, 3], np.int64))
            x = write.node("ReduceSum", name, [x, axes], keepdims=1)
        step = 2.0**-frac / area if mean else 2.0**-frac
        x = write.node("Add", f"{name}_add", [x, write.constant(f"{name}_half", half(self.shift) * step)])
        return write.quant(f"{name}_quant", x, self.dtype.width, 2.0**-self.dtype.frac)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        before = (self.kernel[0] - 1) * x.width + self.kernel[1] - 1  # pixels before the first window is full
        return Cost(x.beats(fold.lanes), latency=before * (x.channels // fold.lanes) + 4)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        (x,), (kh, kw) = inputs, self.kernel
        return np.arange(x.pixels).reshape(x.height, x.width)[kh - 1 :: kh, kw - 1 :: kw].reshape(-1)

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

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        binding = super().hls(fold, *inputs)
        return replace(binding, inner_width=fold.lanes * binding.parameters["SumWidth"])

    def engine(self, *inputs: TensorType) -> Pool | None:
        return Pool(self.kernel, self.shift, self.dtype) if self.shift >= 0 else None

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        if p["KernelH"] * p["KernelW"] == 1:
            return Anatomy({"round": p["Lanes"] * p["InWidth"]})  # sums nothing
        groups = p["Channels"] // p["Lanes"]
        depth, width = p["Width"] // p["KernelW"] * groups, p["Lanes"] * p["SumWidth"]
        sizes: Features = {
            "counter": index_bits(depth) + index_bits(groups) + index_bits(p["KernelW"]) + index_bits(p["KernelH"]),
            "in": p["Lanes"] * p["InWidth"],
            "sum": width,
            "out": p["Lanes"] * p["OutWidth"],
            "address": index_bits(depth),
        }
        return Anatomy(sizes, [Ram(depth, width, "sums")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[AvgPool, tuple[TensorType, ...], Fold]]:
        stream, out = DataType(16, frac=10), DataType(8, frac=6)
        for channels, lanes in ((16, 1), (64, 1), (64, 2), (256, 4), (512, 2)):
            yield cls((1, 1), 4, out), (TensorType.full(8, 8, channels, stream),), Fold(lanes=lanes)
        for channels, side, lanes in ((16, 16, 1), (32, 32, 1), (64, 16, 2), (64, 56, 4), (128, 8, 8), (256, 8, 1)):
            x = TensorType.full(side, side, channels, stream)
            yield cls((2, 2), 4, out), (x,), Fold(lanes=lanes)
            yield cls((side, side), 9, out), (x,), Fold(lanes=lanes)


@njit(parallel=True, cache=True)
def _pool(x, kh, kw, half, left, right, low, high, out):  # type: ignore[no-untyped-def]
    """The definition, a row of windows at a time; x (N, H, W, C), out (N, H / kh, W / kw, C)."""
    frames, height, width, channels = out.shape
    for row in prange(frames * height):
        n, oy = row // height, row % height
        total = np.empty(channels, np.int64)
        for ox in range(width):
            total[:] = half
            for iy in range(oy * kh, oy * kh + kh):
                for ix in range(ox * kw, ox * kw + kw):
                    for c in range(channels):
                        total[c] += x[n, iy, ix, c]
            for c in range(channels):
                out[n, oy, ox, c] = min(max((total[c] << left) >> right, low), high)
