"""Flatten: an image as one pixel of all its numbers, in front of a dense layer; the beats stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Parameters
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, with_beats
from bireal_hw.ir.types import DataType, TensorType


@dataclass(frozen=True, eq=False)
class Flatten(Op):
    """y[0, 0, (i*W + j)*C + c] = x[i, j, c]: rows from the top, pixels from the left, channels ascending.

    A file in (N, C, H, W) has its numbers in another order; whoever reads it turns the weights behind.
    """

    kind: ClassVar[str] = "flatten"
    look: ClassVar[Look] = Look("#e4e7eb", "an image as one pixel of all its numbers", 11)
    registered: ClassVar[bool] = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        return TensorType(1, 1, x.size, x.dtype, x.low, x.high)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        return x.reshape(len(x), 1, 1, -1)

    def scale(self, x: TensorType) -> int:
        return 1

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        """Write a Transpose to the order of the beats and a Reshape."""
        turned = write.node("Transpose", f"{name}_turn", inputs, perm=[0, 2, 3, 1])
        return write.node("Reshape", name, [turned, write.constant(f"{name}_shape", [0, types[0].size, 1, 1])])

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(inputs[0].beats(fold.lanes), latency=0)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        """The image's first pixel, with which the one pixel begins; the others pass one by one."""
        return np.zeros(1, np.int64)

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        dtype = inputs[0].dtype
        return (Port("s_axis", fold.lanes, dtype),), Port("m_axis", fold.lanes, dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        return Binding(self.module(), {"Lanes": fold.lanes, "InWidth": x.dtype.width}, *self.rtl_ports(fold, x))

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        return Anatomy({})

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        for lanes in (1, 4):
            yield cls(), (TensorType.full(4, 4, 16, DataType(8)),), Fold(lanes=lanes)
