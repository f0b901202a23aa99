"""Max pooling: windows side by side, or with a row and a column in common, as 3x3 with stride 2 behind a 7x7 stem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Features, Parameters, Ram, index_bits
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Pads, Port, QonnxWriter, conv_output, require
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType


@dataclass(frozen=True, eq=False)
class MaxPool(Op):
    """Largest value of each window, of numbers or of bits; padded taps never win.

    Windows stand side by side, or have a row and a column in common. Rows and columns that are left over behind the
    last window are dropped.

    Attributes:
        kernel: (height, width) of the window.
        stride: (height, width) from window to window: the kernel, or one less on both sides.
        pads: rows and columns of padding (top, left, bottom, right), each less than the stride.
    """

    kind: ClassVar[str] = "max_pool"
    look: ClassVar[Look] = Look("#dfd8f0", "largest value of a window", 2)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    pads: Pads = (1, 1, 1, 1)

    @classmethod
    def tiled(cls, height: int, width: int) -> Self:
        """Windows side by side, without padding."""
        return cls((height, width), (height, width), (0, 0, 0, 0))

    def scale(self, x: TensorType) -> int:
        return 1 if self.kernel == (x.height, x.width) else self.stride[0]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,), (kh, kw) = inputs, self.kernel
        overlap = {kernel - stride for kernel, stride in zip(self.kernel, self.stride, strict=True)}
        require(
            overlap in ({0}, {1})
            and min(self.stride) >= 1
            and all(0 <= pad < stride for pad, stride in zip(self.pads, self.stride * 2, strict=True)),
            f"max_pool: kernel {kh}x{kw}, stride {self.stride[0]}x{self.stride[1]}, pads {list(self.pads)}; supported"
            " are strides of the kernel's size or one less on both sides, and pads less than the stride",
        )
        rows, columns = self._output_size(x.height, x.width)
        require(rows > 0 and columns > 0, f"max_pool: a {kh}x{kw} window does not fit {x.height}x{x.width}")
        return TensorType(rows, columns, x.channels, x.dtype, x.low, x.high)

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        rows, columns = (
            conv_output(size, kernel, stride, self.pads[side] + self.pads[side + 2])
            for side, size, kernel, stride in zip((0, 1), (height, width), self.kernel, self.stride, strict=True)
        )
        return rows, columns

    def golden(self, *inputs: Array) -> Array:
        (x,), (kh, kw), (sh, sw), (top, left, _, _) = inputs, self.kernel, self.stride, self.pads
        rows, columns = self._output_size(*x.shape[1:3])
        out = np.full((len(x), rows, columns, x.shape[3]), x.min(), x.dtype)
        for ky, kx in np.ndindex(kh, kw):  # the outputs that have this tap inside the image, and the taps
            first = [-(-max(pad - tap, 0) // stride) for pad, tap, stride in ((top, ky, sh), (left, kx, sw))]
            taps = x[:, first[0] * sh - top + ky :: sh, first[1] * sw - left + kx :: sw]
            some = out[:, first[0] :, first[1] :]
            some = some[:, : taps.shape[1], : taps.shape[2]]
            np.maximum(some, taps[:, : some.shape[1], : some.shape[2]], out=some)
        return out

    def summary(self) -> str:
        kernel = f"{self.kernel[0]}x{self.kernel[1]}"
        sides = self.stride[: len({*self.stride})]
        stride = "" if self.stride == self.kernel else f", stride {'x'.join(map(str, sides))}"
        return kernel + stride + (f", pads {list(self.pads)}" if len({*self.pads}) > 1 else "")

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        whole, size = self.kernel == (before.height, before.width), (after.height, after.width)
        return replace(self, kernel=size, stride=size) if whole and not any(self.pads) else self

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        sizes = {"kernel_shape": list(self.kernel), "strides": list(self.stride), "pads": list(self.pads)}
        return write.node("MaxPool", name, inputs, **sizes)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        (x,) = inputs
        return Cost(x.beats(fold.lanes), latency=int(self.needs(x)[0]) * (x.channels // fold.lanes) + 4)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        (x,), last = inputs, [kernel - 1 - pad for kernel, pad in zip(self.kernel, self.pads[:2], strict=True)]
        rows, columns = (
            np.minimum(np.arange(count) * stride + tap, size - 1)
            for count, stride, tap, size in zip(
                self._output_size(x.height, x.width), self.stride, last, (x.height, x.width), strict=True
            )
        )
        return (rows[:, None] * x.width + columns).reshape(-1)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        dtype = inputs[0].dtype
        return (Port("s_axis", fold.lanes, dtype),), Port("m_axis", fold.lanes, dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        return Binding(
            self.module(),
            {
                "Height": x.height,
                "Width": x.width,
                "Channels": x.channels,
                "Lanes": fold.lanes,
                "InWidth": x.dtype.width,
                "Signed": int(x.dtype.signed and not x.dtype.bipolar),
                "KernelH": self.kernel[0],
                "KernelW": self.kernel[1],
                "Overlap": int(self.stride != self.kernel),
                **dict(zip(("PadTop", "PadLeft", "PadBottom", "PadRight"), self.pads, strict=True)),
            },
            *self.rtl_ports(fold, x),
        )

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        groups, width, overlap = p["Channels"] // p["Lanes"], p["Lanes"] * p["InWidth"], p["Overlap"]
        stride_h, stride_w = p["KernelH"] - overlap, p["KernelW"] - overlap
        windows = conv_output(p["Width"], p["KernelW"], stride_w, p["PadLeft"] + p["PadRight"]) * groups
        counters = (windows, groups, p["Width"], p["Height"], stride_w, stride_h)
        sizes: Features = {"counter": sum(map(index_bits, counters)), "beat": width, "overlap": width * overlap}
        sizes["compare"] = width if p["InWidth"] > 1 else 0
        return Anatomy(sizes, [Ram(groups, width, "row"), Ram(windows, width, "column")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[MaxPool, tuple[TensorType, ...], Fold]]:
        stream = DataType(16, frac=10)
        for channels, side, lanes in ((16, 16, 1), (32, 32, 1), (64, 16, 2), (64, 56, 4), (128, 8, 8), (256, 8, 1)):
            x = TensorType.full(side, side, channels, stream)
            yield cls(), (x,), Fold(lanes=lanes)
            yield cls.tiled(2, 2), (x,), Fold(lanes=lanes)
        for channels, side, lanes, kernel in ((32, 15, 1, 3), (64, 9, 2, 9), (16, 30, 1, 4)):
            x = TensorType.full(side, side, channels, DataType(8, frac=4))
            yield cls.tiled(kernel, kernel), (x,), Fold(lanes=lanes)
        for channels, side, lanes in ((64, 16, 8), (128, 8, 32), (256, 8, 64)):
            yield cls.tiled(2, 2), (TensorType.full(side, side, channels, BIPOLAR),), Fold(lanes=lanes)
