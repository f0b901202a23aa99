"""The network that the other tools see, and the file that holds it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.crosscheck.network import refuse_padding, unpadded
from bireal_hw.crosscheck.padding import padded_block
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.errors import BirealError
from bireal_hw.golden import run, tensors
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import lower
from bireal_hw.ops import AvgPool, BinaryConv, Merge, RealConv
from tests.networks import random_images, tiny


@pytest.mark.parametrize("integer", [False, True])
def test_the_file_means_the_network(integer: bool, tmp_path: Path) -> None:
    graph = unpadded(integer)
    write(graph, tmp_path / "net.onnx")
    images = random_images(graph, 16)
    assert np.array_equal(run(lower(tmp_path / "net.onnx"), images), run(graph, images))


def test_integer_form_neither_shifts_nor_saturates() -> None:
    graph = unpadded(integer=True)
    for node in graph:
        out = graph.types[node.name]
        if isinstance(node.op, Merge):
            assert node.op.shift == 0
            assert out.dtype.low < out.low
            assert out.high < out.dtype.high
        elif isinstance(node.op, RealConv):
            assert not node.op.shift.any()
    assert len({graph.types[node.name].dtype.frac for node in graph if isinstance(node.op, Merge)}) == 1


def test_the_other_form_has_what_a_trained_network_has() -> None:
    graph = unpadded()
    images = random_images(graph, 64)
    merges = {node.name: node.op for node in graph if isinstance(node.op, Merge)}
    assert all(op.shift > 0 for op in merges.values())
    assert len({op.dtype.frac for op in merges.values()}) == 2
    saturated = 0
    for name, values in tensors(graph, images):
        if name in merges:
            saturated += int((values == merges[name].dtype.high).sum())
    assert saturated > 0
    assert len(set(run(graph, images).argmax(axis=1))) > 3


def test_kernels_and_pools_of_all_kinds() -> None:
    ops = [node.op for node in unpadded()]
    assert [op.weights.shape[1] for op in ops if isinstance(op, BinaryConv)] == [1, 2, 3]
    assert [op.kernel for op in ops if isinstance(op, AvgPool)] == [(2, 2), (1, 1), (4, 4)]


@pytest.mark.parametrize(("graph", "layer"), [(tiny(), "conv1"), (padded_block(), "conv")])
def test_padding_is_refused(graph: Graph, layer: str) -> None:
    with pytest.raises(BirealError, match=rf"^{layer} pads its bits by 1: .* turn the 0 into -1; .* pad 0$"):
        refuse_padding(graph)


def test_a_border_of_bits_is_refused() -> None:
    graph = padded_block()
    conv = graph.makers["conv"]
    assert isinstance(conv.op, BinaryConv)
    bordered = replace(conv, op=replace(conv.op, border=np.ones(4, np.int8)))
    with pytest.raises(BirealError, match=r"^conv pads its bits by 1: hls4ml and finn-plus pad with 0 and would turn"):
        refuse_padding(replace(graph, nodes=tuple(bordered if node is conv else node for node in graph)))


def test_no_padding_is_accepted() -> None:
    refuse_padding(unpadded())
