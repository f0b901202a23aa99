"""Duplicate: the channels of a stream several times, as a shortcut past a convolution that doubles them.

Source: ReActNet (arXiv:2003.03488), which has two convolutions side by side there, with the same shortcut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Parameters
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, require, with_beats
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops.upsample import LATENCY, Upsample


@dataclass(frozen=True, eq=False)
class Duplicate(Op):
    """y[..., c] = x[..., c mod C] for `copies` times the C channels of x.

    In hardware it is an upsampling along rows of one pixel: the beats of a pixel with twice the channels are those of
    the pixel twice. Where the channels allow it, its beats hold as many times the lanes of its input, so that it takes
    no more cycles than what it copies.

    Attributes:
        copies: 1 or more.
    """

    kind: ClassVar[str] = "duplicate"
    look: ClassVar[Look] = Look("#e8e4c9", "channels twice, for a convolution that doubles them", 12)
    copies: int = 2

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(self.copies >= 1, f"duplicate: copies={self.copies} must be 1 or more")
        return replace(x, channels=self.copies * x.channels)

    def golden(self, *inputs: Array) -> Array:
        return np.concatenate(inputs * self.copies, axis=-1)

    def summary(self) -> str:
        return f"{self.copies} times"

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        return replace(self, copies=max(1, channels // after.channels))

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        return write.node("Concat", name, inputs * self.copies, axis=1)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(self.infer(*inputs).beats(self._lanes(fold, *inputs)), LATENCY)

    def takes(self, *inputs: TensorType) -> NDArray[np.int64]:
        """The pixel behind the one that is copied."""
        return self.needs(*inputs) + 1

    def _lanes(self, fold: Fold, x: TensorType) -> int:
        wide = self.copies * fold.lanes
        return fold.lanes if x.channels % wide else wide

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        lanes, dtype = self._lanes(fold, *inputs), inputs[0].dtype
        return (Port("s_axis", lanes, dtype),), Port("m_axis", lanes, dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        ports, output = self.rtl_ports(fold, x)
        sizes = {"Channels": x.channels, "OutLanes": output.lanes, "InWidth": x.dtype.width, "Copies": self.copies}
        return Binding(self.module(), sizes, ports, output)

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        row = {"Width": 1, "Channels": p["Channels"], "Lanes": p["OutLanes"], "InWidth": p["InWidth"]}
        return Upsample.anatomy(row | {"FactorH": 1, "FactorW": p["Copies"]})

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        for channels, lanes, copies in ((32, 1, 2), (64, 2, 2), (512, 1, 2), (256, 8, 2), (16, 4, 4), (128, 128, 2)):
            x = TensorType.full(8, 8, channels, DataType(16, frac=6))
            yield cls(copies), (x,), Fold(lanes=lanes)
