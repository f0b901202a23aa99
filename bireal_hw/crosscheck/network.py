"""The network that other tools are asked about: a small Bi-Real network whose binary convolutions have no padding."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import half
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Op
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Center, Merge, RealConv, Sign

SIDE = 14
CLASSES = 10


def unpadded(integer: bool = False, seed: int = 0) -> Graph:
    """Build the network with random constants: 14x14 grey pixels in, 10 logits out, about 5,000 weights.

    A stem and three blocks, one for each way in which a Bi-Real block can do without padding: 1x1, the shortcut is the
    stream itself; 2x2 of stride 2 with the usual shortcut of a smaller stage, an average pool and a real 1x1
    convolution; 3x3, whose shortcut crosses a real 3x3 convolution, so that it shrinks alike.

    Args:
        integer: the shortcut stream has one grid, no shift and room for every sum, so that a merge is plainly
            r + gain*dot + bias; otherwise 16 bits on two grids, with the shifts and saturation of a trained network.
        seed: of the constants.
    """
    return _Builder(integer, np.random.default_rng(seed)).build()


def refuse_padding(graph: Graph) -> None:
    """Raise BirealError if a binary convolution pads: the other tools compute something else there."""
    for node in graph:
        if isinstance(node.op, BinaryConv) and any(node.op.pads):
            reason = "know no bit that adds nothing and would turn the 0 into -1"
            if node.op.border is not None:
                reason = "pad with 0 and would turn it into -1"
            raise BirealError(
                f"{node.name} pads its bits by {max(node.op.pads)}: hls4ml and finn-plus {reason};"
                " crosscheck takes networks whose binary convolutions have pad 0"
            )


class _Builder:
    """Adds nodes one after the other; every constant comes from one random generator."""

    def __init__(self, integer: bool, rng: np.random.Generator) -> None:
        self.integer = integer
        self.rng = rng
        self.nodes: list[Node] = []

    def build(self) -> Graph:
        early, late = DataType(16, frac=8), DataType(16, frac=7)
        if self.integer:
            early = late = DataType(24, frac=14)
        x = self.add("center", Center(np.full(1, 128, np.int32)), INPUT)
        r = self.add("stem", self.real(8, 3, 1, early, shift=1), x)
        r = self.merge(1, r, r, 8, self.bits(8, 1, 8), early)
        pooled = self.add("pool2", self.pool(2, early, 10 if self.integer else 8), r)
        shortcut = self.add("shortcut2", self.real(16, 1, 8, DataType(24, frac=late.frac), shift=0), pooled)
        r = self.merge(2, r, shortcut, 16, self.bits(16, 2, 8, stride=2), late)
        rounded = self.add("pool3", self.pool(1, late, 8 if self.integer else 7), r)
        shortcut = self.add("shortcut3", self.real(16, 3, 16, DataType(24, frac=late.frac), shift=1), rounded)
        r = self.merge(3, r, shortcut, 16, self.bits(16, 3, 16), late)
        pooled = self.add("global_pool", self.pool(4, late, 12 if self.integer else 11), r)
        weights, bias = self.numbers(127, CLASSES, 1, 1, 16), self.numbers(900, CLASSES)
        self.add("classifier", RealConv(weights, bias, np.zeros(CLASSES, np.int32), DataType(20, frac=8)), pooled)
        image = TensorType.full(SIDE, SIDE, 1, PIXEL)
        return verify(Graph("unpadded", image, tuple(self.nodes), {"classes": [str(i) for i in range(CLASSES)]}))

    def add(self, name: str, op: Op, *inputs: str) -> str:
        self.nodes.append(Node(name, op, inputs))
        return name

    def numbers(self, limit: int, *shape: int) -> NDArray[np.int32]:
        return self.rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def bits(self, cout: int, kernel: int, cin: int, stride: int = 1) -> BinaryConv:
        return BinaryConv(
            self.rng.choice(np.array([-1, 1], np.int8), (cout, kernel, kernel, cin)), stride, (0, 0, 0, 0)
        )

    def real(self, cout: int, kernel: int, cin: int, dtype: DataType, shift: int) -> RealConv:
        """A real convolution whose channels shift by `shift` to `shift` + 2, or not at all in integer form."""
        weights, bias = self.numbers(127, cout, kernel, kernel, cin), self.numbers(3000, cout)
        shifts = self.rng.integers(shift, shift + 3, cout).astype(np.int32) * (not self.integer)
        halves = np.array([half(int(one)) for one in shifts], np.int32)
        return RealConv(weights, bias + halves, shifts, dtype)

    def pool(self, side: int, x: DataType, shift: int) -> AvgPool:
        """A mean over side x side pixels (one pixel: only the rounding to 8 bits)."""
        return AvgPool((side, side), shift, DataType(8, frac=x.frac + int(math.log2(side * side)) - shift))

    def merge(self, number: int, r: str, shortcut: str, channels: int, conv: BinaryConv, dtype: DataType) -> str:
        """Sign, binary convolution and merge with the shortcut."""
        sign = self.add(f"sign{number}", Sign(), r)
        dot = self.add(f"conv{number}", conv, sign)
        shift = 0 if self.integer else 6
        gain = self.numbers(2000 if self.integer else 20_000, channels)
        bias = self.numbers(1000 << shift, channels) + half(shift)
        return self.add(f"merge{number}", Merge(gain, bias, shift, dtype), shortcut, dot)
