"""Tails of networks for the engine, made by hand: of all that it computes, in small."""

from __future__ import annotations

import numpy as np

from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, LeakyClip, Merge, RealConv, Rescale, Sign
from bireal_hw.ops.engine import Engine

STREAM = DataType(12, frac=6)
WIDE = DataType(20, frac=6)
EIGHT = DataType(8, frac=3)


def tail(height: int, width: int, channels: int, seed: int = 1, classes: int = 5, leaky: bool = False) -> Graph:
    """A block with thresholds and a PReLU, a downsampling one, one of 1x1 without a shortcut, pool and classifier.

    Args:
        height, width: of the input, even.
        channels: of the input; the second block has twice as many.
        seed: of all constants.
        classes: of the output.
        leaky: whether a leaky clip stands in front of the downsampling shortcut.
    """
    rng = np.random.default_rng(seed)
    twice = 2 * channels

    def bits(cout: int, kernel: int, cin: int, stride: int = 1) -> BinaryConv:
        pad = kernel // 2
        weights = rng.choice(np.array([-1, 1], np.int8), (cout, kernel, kernel, cin))
        return BinaryConv(weights, stride, (pad,) * 4)

    def constants(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(-90, 90, count).astype(np.int32), rng.integers(-4000, 4000, count).astype(np.int32)

    def numbers(cout: int, cin: int, dtype: DataType, spread: int) -> RealConv:
        weights = rng.integers(-127, 128, (cout, 1, 1, cin)).astype(np.int32)
        shift = rng.integers(3 - spread, 3 + spread + 1, cout).astype(np.int32)
        return RealConv(weights, rng.integers(-4000, 4000, cout).astype(np.int32), shift, dtype)

    theta = rng.integers(-300, 300, channels).astype(np.int32)
    slope = rng.integers(0, 8, channels).astype(np.int32)
    pooled = "clip" if leaky else "merge0"
    nodes = [
        Node("sign0", Sign(theta), (INPUT,)),
        Node("conv0", bits(channels, 3, channels), ("sign0",)),
        Node("merge0", Merge(*constants(channels), 4, STREAM, slope), (INPUT, "conv0")),
        Node("sign1", Sign(), ("merge0",)),
        Node("conv1", bits(twice, 3, channels, 2), ("sign1",)),
        *([Node("clip", LeakyClip(60, 205, 11), ("merge0",))] if leaky else []),
        Node("pool1", AvgPool((2, 2), 4, EIGHT), (pooled,)),
        Node("down1", numbers(twice, channels, WIDE, 2), ("pool1",)),
        Node("merge1", Merge(*constants(twice), 3, STREAM), ("down1", "conv1")),
        Node("sign2", Sign(), ("merge1",)),
        Node("conv2", bits(twice, 1, twice), ("sign2",)),
        Node("scale2", Rescale(*constants(twice), 3, STREAM), ("conv2",)),
        Node("sign3", Sign(), ("scale2",)),
        Node("conv3", bits(twice, 3, twice), ("sign3",)),
        Node("merge3", Merge(*constants(twice), 2, STREAM), ("merge1", "conv3")),
        Node("pool", AvgPool((height // 2, width // 2), 6, EIGHT), ("merge3",)),
        Node("classifier", numbers(classes, twice, DataType(18, frac=4), 0), ("pool",)),
    ]
    return Graph("tail", TensorType.full(height, width, channels, STREAM), tuple(nodes))


def pooled(height: int, width: int, channels: int, seed: int = 2, classes: int = 5) -> Graph:
    """A block whose values are pooled on the stream's grid; a sign and a shortcut read what comes of it."""
    rng = np.random.default_rng(seed)

    def block(name: str, source: str) -> list[Node]:
        weights = rng.choice(np.array([-1, 1], np.int8), (channels, 3, 3, channels))
        gain, bias = rng.integers(-90, 90, channels), rng.integers(-4000, 4000, channels)
        return [
            Node(f"sign{name}", Sign(rng.integers(-200, 200, channels).astype(np.int32)), (source,)),
            Node(f"conv{name}", BinaryConv(weights), (f"sign{name}",)),
            Node(
                f"merge{name}", Merge(gain.astype(np.int32), bias.astype(np.int32), 3, STREAM), (source, f"conv{name}")
            ),
        ]

    weights, bias = rng.integers(-127, 128, (classes, 1, 1, channels)), rng.integers(-4000, 4000, classes)
    last = RealConv(weights.astype(np.int32), bias.astype(np.int32), np.zeros(classes, np.int32), DataType(20, frac=4))
    nodes = [
        *block("0", INPUT),
        Node("half", AvgPool((2, 2), 2, STREAM), ("merge0",)),
        *block("1", "half"),
        Node("pool", AvgPool((height // 2, width // 2), 6, EIGHT), ("merge1",)),
        Node("classifier", last, ("pool",)),
    ]
    return Graph("pooled", TensorType.full(height, width, channels, STREAM), tuple(nodes))


def engine(*sizes: int, **more: int) -> Engine:
    """The engine of a tail."""
    return Engine(tail(*sizes, **more))  # type: ignore[arg-type]
