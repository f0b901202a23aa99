"""Upsample: every pixel repeated in both directions (nearest neighbour), as decoders of dense predictions have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Parameters, Ram, index_bits
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, require
from bireal_hw.ir.types import DataType, TensorType

LATENCY = 3
"""Cycles from a beat's arrival to its first copy: store, read, output register."""


@dataclass(frozen=True, eq=False)
class Upsample(Op):
    """y[i, j] = x[i // factor, j // factor].

    Attributes:
        factor: copies of a pixel along each side, 2 or more.
    """

    kind: ClassVar[str] = "upsample"
    look: ClassVar[Look] = Look("#dfd8f0", "each pixel repeated along both sides", 10)
    factor: int

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require(self.factor >= 2, f"upsample: factor={self.factor} must be 2 or more")
        return TensorType(x.height * self.factor, x.width * self.factor, x.channels, x.dtype, x.low, x.high)

    def golden(self, *inputs: Array) -> Array:
        (x,) = inputs
        return x.repeat(self.factor, axis=1).repeat(self.factor, axis=2)

    def summary(self) -> str:
        return f"{self.factor}x{self.factor}"

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        scales = write.constant(f"{name}_scales", [1.0, 1.0, self.factor, self.factor])
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return write.node("Resize", name, [*inputs, "", scales], **modes)

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(self.infer(*inputs).beats(fold.lanes), LATENCY)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        (x,) = inputs
        pixels = np.arange(x.pixels).reshape(x.height, x.width)
        return pixels.repeat(self.factor, axis=0).repeat(self.factor, axis=1).reshape(-1)

    def takes(self, *inputs: TensorType) -> NDArray[np.int64]:
        """A row beyond the oldest pixel that is still to be copied: the row's first one up to its last copies."""
        (x,) = inputs
        oldest = self.needs(x).reshape(x.height, self.factor, -1).copy()
        oldest[:, :-1] = oldest[:, :1, :1]
        return oldest.reshape(-1) + x.width

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        dtype = inputs[0].dtype
        return (Port("s_axis", fold.lanes, dtype),), Port("m_axis", fold.lanes, dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        (x,) = inputs
        sizes = {"Width": x.width, "Channels": x.channels, "Lanes": fold.lanes, "InWidth": x.dtype.width}
        return Binding(
            self.module(), sizes | {"FactorH": self.factor, "FactorW": self.factor}, *self.rtl_ports(fold, x)
        )

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        binding = super().hls(fold, *inputs)
        binding.parameters["Height"] = inputs[0].height
        return binding

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        groups, width = p["Channels"] // p["Lanes"], p["Lanes"] * p["InWidth"] + 1
        depth = (p["Width"] + 1) * groups
        counters = index_bits(groups) + index_bits(p["Width"]) + index_bits(p["FactorH"]) + index_bits(p["FactorW"])
        return Anatomy({"beat": width, "address": index_bits(depth), "counter": counters}, [Ram(depth, width, "row")])

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        for channels, side, lanes, factor in (
            (16, 8, 1, 2),
            (32, 16, 2, 2),
            (64, 28, 4, 2),
            (8, 8, 8, 4),
            (128, 7, 1, 3),
        ):
            yield cls(factor), (TensorType.full(side, side, channels, DataType(16, frac=6)),), Fold(lanes=lanes)
