"""Small integer networks with random constants: every layer type, no training, no torch."""

from __future__ import annotations

import numpy as np

from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Array
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Center, MaxPool, Merge, RealConv, Sign


def tiny(
    height: int = 8, width: int = 8, channels: int = 1, base: int = 4, max_pool: bool = False, seed: int = 0
) -> Graph:
    """Stem, an identity block, a downsample block, global pool, classifier with 5 classes."""
    rng = np.random.default_rng(seed)

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def bits(cout: int, cin: int) -> Array:
        return rng.choice(np.array([-1, 1], np.int8), (cout, 3, 3, cin))

    stream = DataType(12, frac=6)
    kernel = 7 if max_pool else 3
    stem = RealConv(
        numbers(127, base, kernel, kernel, channels),
        numbers(3000, base),
        rng.integers(3, 6, base).astype(np.int32),
        stream,
        stride=2 if max_pool else 1,
        pad=kernel // 2,
    )
    nodes = [Node("center", Center(np.full(channels, 128, np.int32)), (INPUT,)), Node("stem", stem, ("center",))]
    out_height, out_width = height, width
    if max_pool:
        nodes.append(Node("pool", MaxPool(), ("stem",)))
        out_height, out_width = height // 4, width // 4
    shortcut = nodes[-1].name
    nodes += [
        Node("sign1", Sign(), (shortcut,)),
        Node("conv1", BinaryConv(bits(base, base)), ("sign1",)),
        Node("merge1", Merge(numbers(200, base), numbers(2000, base), 4, stream), (shortcut, "conv1")),
        Node("sign2", Sign(), ("merge1",)),
        Node("conv2", BinaryConv(bits(2 * base, base), stride=2), ("sign2",)),
        Node("down", AvgPool((2, 2), 4, DataType(8, frac=4)), ("merge1",)),
        Node(
            "down_conv",
            RealConv(
                numbers(127, 2 * base, 1, 1, base),
                numbers(500, 2 * base),
                rng.integers(-1, 5, 2 * base).astype(np.int32),
                DataType(20, frac=6),
            ),
            ("down",),
        ),
        Node("merge2", Merge(numbers(200, 2 * base), numbers(2000, 2 * base), 5, stream), ("down_conv", "conv2")),
        Node("global_pool", AvgPool((out_height // 2, out_width // 2), 5, DataType(8, frac=1)), ("merge2",)),
        Node(
            "classifier",
            RealConv(numbers(127, 5, 1, 1, 2 * base), numbers(900, 5), np.zeros(5, np.int32), DataType(20, frac=8)),
            ("global_pool",),
        ),
    ]
    return verify(
        Graph("tiny", TensorType.full(height, width, channels, PIXEL), tuple(nodes), {"classes": list("abcde")})
    )


def random_images(graph: Graph, count: int, seed: int = 0) -> Array:
    """(count, H, W, C) uint8 images for a graph."""
    return np.random.default_rng(seed).integers(0, 256, (count, *graph.input.shape)).astype(np.uint8)
