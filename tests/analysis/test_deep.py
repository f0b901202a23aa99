"""The solver keeps to seconds for deep networks, whatever the board leaves of a choice."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.solver import Solver
from bireal_hw.boards import board
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Array
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, Center, MaxPool, Merge, RealConv, Sign
from bireal_hw.passes.folding import convolutions

STREAM = DataType(16, frac=6)


def deep(stages: tuple[int, ...], base: int, side: int) -> Graph:
    """A stem for large images, so many blocks in each stage, classifier with 1,000 classes; constants mean nothing."""

    def ones(*shape: int) -> Array:
        return np.ones(shape, np.int32)

    def real(out: int, kernel: int, channels: int, stride: int = 1) -> RealConv:
        return RealConv(ones(out, kernel, kernel, channels), ones(out), ones(out), STREAM, stride, (kernel // 2,) * 4)

    tensor, channels = "pool", base
    nodes = [
        Node("center", Center(128 * ones(3)), (INPUT,)),
        Node("stem", real(base, 7, 3, stride=2), ("center",)),
        Node("pool", MaxPool(), ("stem",)),
    ]
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            name, shortcut, out = f"_{stage}_{block}", tensor, base << stage
            stride = 2 if stage and not block else 1
            if stride == 2:
                nodes.append(Node(f"down{name}", AvgPool((2, 2), 4, DataType(8, frac=4)), (tensor,)))
                nodes.append(Node(f"widen{name}", real(out, 1, channels), (f"down{name}",)))
                shortcut = f"widen{name}"
            conv = BinaryConv(np.ones((out, 3, 3, channels), np.int8), stride)
            nodes += [
                Node(f"sign{name}", Sign(), (tensor,)),
                Node(f"conv{name}", conv, (f"sign{name}",)),
                Node(f"merge{name}", Merge(ones(out), ones(out), 4, STREAM), (shortcut, f"conv{name}")),
            ]
            tensor, channels = f"merge{name}", out
    nodes.append(Node("global_pool", AvgPool((side // 32, side // 32), 5, DataType(8, frac=1)), (tensor,)))
    nodes.append(Node("classifier", real(1_000, 1, channels), ("global_pool",)))
    return verify(Graph("deep", TensorType.full(side, side, 3, PIXEL), tuple(nodes), {}))


@pytest.mark.parametrize(("stages", "base"), [((4, 4, 4, 4), 64), ((9, 24, 108, 9), 16)], ids=["18", "152"])
def test_seconds(stages: tuple[int, ...], base: int) -> None:
    """Processor time, several times what it takes: a busy machine changes nothing. A board too small is included."""
    graph = deep(stages, base, 224)
    start = time.process_time()
    choices = Choices(graph)
    found, none = (Solver(choices, board(name)).least(200_000) for name in ("alveo-u250", "pynq-z2"))
    spent = time.process_time() - start
    assert len(choices.convolutions) == len(convolutions(graph)) == sum(stages) + 5
    assert found is not None
    assert found.cycles <= 200_000
    assert none is None
    assert spent < 60
