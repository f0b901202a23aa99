"""Concat: the channels of two streams behind each other, as one stream to what reads both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Anatomy, Parameters, index_bits
from bireal_hw.ir.op import Array, Binding, Cost, Draw, Fold, Look, Op, Port, QonnxWriter, divisors, require, with_beats
from bireal_hw.ir.types import DataType, TensorType


@dataclass(frozen=True, eq=False)
class Concat(Op):
    """The channels of a, then those of b, pixel by pixel, in a format that holds both.

    Integers stay as they are: b may be on another grid than a, whose frac the output has; what reads them knows.

    The streams are taken by turns, a pixel's beats of one and then of the other. Beats hold as many lanes as it takes
    not to be slower than b.
    """

    kind: ClassVar[str] = "concat"
    look: ClassVar[Look] = Look("#e8e4c9", "channels of two streams behind each other", 13)
    arity: ClassVar[int] = 2

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        require(a.shape[:2] == b.shape[:2], f"concat: the inputs are {a.shape} and {b.shape}")
        for x in inputs:
            require(x.dtype.signed and not x.dtype.bipolar, f"concat: an input is {x.dtype}; it takes signed numbers")
        dtype = DataType(max(a.dtype.width, b.dtype.width), frac=a.dtype.frac)
        return TensorType(*a.shape[:2], a.channels + b.channels, dtype, min(a.low, b.low), max(a.high, b.high))

    def golden(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=-1)

    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        a, b = inputs
        finer = types[1].dtype.frac - types[0].dtype.frac
        if finer:
            b = write.node("Mul", f"{name}_grid", [b, write.constant(f"{name}_finer", 2.0**finer)])
        return write.node("Concat", name, [a, b], axis=1)

    def check_fold(self, fold: Fold, *inputs: TensorType) -> None:
        super().check_fold(fold, inputs[1])

    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        return Cost(self.infer(*inputs).beats(_lanes(fold, *inputs)), 1)

    def takes(self, *inputs: TensorType) -> NDArray[np.int64]:
        """The pixel behind the one that is passed on."""
        return self.needs(*inputs) + 1

    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        (a, b), lanes = inputs, _lanes(fold, *inputs)
        ports = Port("s_axis", lanes, a.dtype), Port("s_axis_other", lanes, b.dtype)
        return ports, Port("m_axis", lanes, self.infer(a, b).dtype)

    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        a, b = inputs
        ports, output = self.rtl_ports(fold, a, b)
        sizes = {"Channels": a.channels, "OtherChannels": b.channels, "OutLanes": output.lanes}
        widths = {"InWidth": a.dtype.width, "OtherWidth": b.dtype.width, "OutWidth": output.dtype.width}
        return Binding(self.module(), sizes | widths, ports, output)

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        return with_beats(super().hls(fold, *inputs), inputs[0])

    @classmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        p = parameters
        beats = (p["Channels"] + p["OtherChannels"]) // p["OutLanes"]
        return Anatomy({"beat": p["OutLanes"] * p["OutWidth"], "counter": index_bits(beats)})

    @classmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        for lanes, channels, widths in (
            (1, (64, 256), (16, 16)),
            (2, (64, 256), (16, 16)),
            (4, (512, 128), (16, 12)),
            (8, (8, 8), (9, 16)),
            (1, (16, 32), (4, 8)),
        ):
            a, b = (
                TensorType.full(8, 8, count, DataType(width, frac=6))
                for count, width in zip(channels, widths, strict=True)
            )
            yield cls(), (a, b), Fold(lanes=lanes)


def _lanes(fold: Fold, a: TensorType, b: TensorType) -> int:
    """The fewest lanes with which both together take no more cycles than b with those of the fold, or the most."""
    possible = divisors(math.gcd(a.channels, b.channels))
    return next(
        (lanes for lanes in possible if lanes * b.channels >= fold.lanes * (a.channels + b.channels)), possible[-1]
    )
