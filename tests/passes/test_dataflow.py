"""Dataflow: every stream has one writer and one reader, lanes and widths agree, shortcuts have their FIFO."""

from __future__ import annotations

import math

import pytest

from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Fold
from bireal_hw.ops import Merge
from bireal_hw.passes.dataflow import detour, elaborate
from bireal_hw.passes.folding import Folding, complete, convolutions, fold
from tests.networks import tiny, two_streams


@pytest.mark.parametrize("target", [100, 2_000, 100_000])
@pytest.mark.parametrize(("base", "max_pool"), [(4, False), (6, False), (8, True)])
def test_streams_join_ports_of_equal_lanes_and_format(base: int, max_pool: bool, target: int) -> None:
    graph = tiny(16, 16, 3, base, max_pool)
    flow = elaborate(graph, fold(graph, target))
    written = {flow.input.name: flow.input}
    read: list[str] = []
    for instance in flow.instances:
        for port, stream in zip(instance.binding.inputs, instance.inputs, strict=True):
            assert written[stream.name] == stream, "a stream is read before it is written"
            assert (port.lanes, port.dtype) == (stream.lanes, stream.dtype)
            read.append(stream.name)
        for stream in instance.outputs:
            assert (instance.binding.output.lanes, instance.binding.output.dtype) == (stream.lanes, stream.dtype)
            assert stream.name not in written
            written[stream.name] = stream
    assert sorted([*read, flow.output.name]) == sorted(written)
    names = [instance.name for instance in flow.instances]
    assert len(set(names)) == len(names)
    layers = {node.name: node.op.cost(fold(graph, target)[node.name], *graph.inputs_of(node)).cycles for node in graph}
    assert flow.cycles >= max(layers.values())


def depths(graph: Graph, folding: Folding) -> dict[str, int]:
    parameters = {one.name: one.binding.parameters for one in elaborate(graph, folding).instances}
    return {name: values["Depth"] for name, values in parameters.items() if "Depth" in values}


def test_the_shortcut_holds_a_window_s_pixels_and_what_arrives_until_its_sums() -> None:
    graph = tiny(16, 16, base=16)
    chosen = {node.name: Fold(1, 1) for node in convolutions(graph)} | {"conv1": Fold(4, 16), "stem": Fold(4, 1)}
    # 18 pixels of 16 beats; 9 cycles for the sums, 5 for the pipeline, 1 each for two converters; a pixel in 36 cycles.
    # The merge of the downsample block has none; its pool: 8 / 2 + 1 - 3 pixels of 16 beats, and 4.
    assert depths(graph, complete(graph, chosen)) == {"merge1_fifo": 18 * 16 + 17 * 16 // 36 - 1, "down_fifo": 36}
    chosen["conv1"] = Fold(1, 1)
    assert depths(graph, complete(graph, chosen))["merge1_fifo"] == 18 * 16


def test_a_shortcut_goes_around_all_convolutions_between_it_and_its_merge() -> None:
    graph = two_streams()
    around = {
        node.name: [(conv.weights.shape[1], conv.stride) for conv, _ in detour(graph, node)]
        for node in graph
        if isinstance(node.op, Merge)
    }
    assert around["merge1"] == [(3, 1)]
    assert around["merge5"] == [(1, 1), (3, 2), (1, 1)]
    assert around["merge8"] == [(1, 1), (3, 1), (1, 1)]
    assert around["merge10"] == [(3, 1), (3, 1)]
    assert depths(graph, fold(graph, 1_000))["merge10_fifo"] >= 2 * (4 + 2) * 8


def test_converters_go_through_the_common_divisor() -> None:
    graph = tiny(8, 8, 3, 6)
    flow = elaborate(graph, fold(graph, 400))
    converters = [i.binding.parameters for i in flow.instances if i.binding.module == "br_width_converter"]
    assert converters
    for parameters in converters:
        small, large = sorted((parameters["InLanes"], parameters["OutLanes"]))
        assert large % small == 0
        assert small == math.gcd(small, large)
