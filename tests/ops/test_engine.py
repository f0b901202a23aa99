"""Engine: a tail on one module or kernel equals its layers in plain loops; memory is a further source of stalls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Array, Fold, Op
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Engine, LeakyClip, Merge, RealConv, Sign
from bireal_hw.sim.dram import Dram
from bireal_hw.sim.runner import FREE, StallMode
from tests.conformance import check_op
from tests.ops import test_avg_pool, test_binary_conv, test_leaky_clip, test_merge, test_real_conv, test_sign

STREAM, EIGHT, SUMS = DataType(12, frac=6), DataType(8, frac=4), DataType(22, frac=4)


def tail(height: int, width: int, channels: int, seed: int) -> Engine:
    """A block, one with a shortcut convolution and PReLU, one behind a leaky clip, a global pool, a classifier."""
    rng = np.random.default_rng(seed)

    def numbers(limit: int, *shape: int) -> Array:
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def bits(cout: int, cin: int, stride: int = 1) -> BinaryConv:
        return BinaryConv(rng.choice(np.array([-1, 1], np.int8), (cout, 3, 3, cin)), stride)

    def merge(cout: int) -> Merge:
        return Merge(numbers(99, cout), numbers(2000, cout), 5, STREAM)

    wide, classes = 2 * channels, 5
    ones = np.zeros(wide, np.int32)
    down = RealConv(numbers(127, wide, 1, 1, channels), numbers(3000, wide), ones + rng.integers(2, 6, wide), STREAM)
    last = RealConv(numbers(127, classes, 1, 1, wide), numbers(3000, classes), np.zeros(classes, np.int32), SUMS)
    nodes = (
        Node("sign1", Sign(numbers(400, channels)), (INPUT,)),
        Node("conv1", bits(channels, channels), ("sign1",)),
        Node("merge1", merge(channels), (INPUT, "conv1")),
        Node("sign2", Sign(), ("merge1",)),
        Node("conv2", bits(wide, channels, 2), ("sign2",)),
        Node("pool", AvgPool((2, 2), 4, EIGHT), ("merge1",)),
        Node("down", down, ("pool",)),
        Node("merge2", replace(merge(wide), slope=np.resize([0, 1, 3, 7], wide).astype(np.int32)), ("down", "conv2")),
        Node("clip", LeakyClip(300, 205, 11), ("merge2",)),
        Node("sign3", Sign(), ("clip",)),
        Node("conv3", bits(wide, wide), ("sign3",)),
        Node("merge3", merge(wide), ("clip", "conv3")),
        Node("global", AvgPool((height // 2, width // 2), 6, EIGHT), ("merge3",)),
        Node("classifier", last, ("global",)),
    )
    return Engine(Graph("tail", TensorType.full(height, width, channels, STREAM), nodes))


def plain(op: Op, *inputs: Array) -> Array:
    """A layer in plain loops, as its own test has it."""
    x, y = inputs[0], inputs[-1]
    match op:
        case BinaryConv():
            return test_binary_conv.naive(x, op.weights, op.stride, op.pads)
        case RealConv():
            return test_real_conv.naive(x, op)
        case Merge():
            return test_merge.naive(x, y, op)
        case AvgPool():
            return test_avg_pool.naive(x, op)
        case LeakyClip():
            return test_leaky_clip.naive(x, op)
        case Sign(threshold=None):
            return test_sign.naive(x)
        case Sign():
            return test_sign.naive(x - np.asarray(op.threshold))
    raise AssertionError(op.kind)


def naive(x: Array, op: Engine) -> Array:
    tensors = {INPUT: x}
    for node in op.graph:
        tensors[node.name] = plain(node.op, *(tensors[name] for name in node.inputs))
    return tensors[op.graph.nodes[-1].name]


MODES = (
    FREE,
    StallMode(source=0.3, sink=0.5, seed=5, dram=Dram(latency=30, stall=0.3)),
    StallMode(seed=8, dram=Dram(latency=90, bytes_per_cycle=5, refresh=(780, 30))),
)
CASES = {
    "half a word of bits": ((4, 6, 8), Fold(pe=8, simd=32, lanes=8)),
    "words of four channels": ((4, 4, 8), Fold(pe=4, simd=16, lanes=4)),
    "several words of a pixel": ((2, 4, 32), Fold(pe=16, simd=16, lanes=16)),
}


@pytest.mark.rtl
@pytest.mark.hls
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_hls_and_rtl_agree(case: str) -> None:
    shape, fold = CASES[case]
    op = tail(*shape, seed=3)
    check_op(op, [op.graph.input], fold, lambda x: naive(x, op), stalls=MODES)


def test_another_input_is_refused() -> None:
    op = tail(4, 4, 8, seed=1)
    with pytest.raises(BirealError) as error:
        op.infer(TensorType.full(4, 4, 8, EIGHT))
    assert str(error.value) == "engine: input is 4x4x8 s8.4, its layers take 4x4x8 s12.6"
