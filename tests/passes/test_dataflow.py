"""Dataflow: every stream has one writer and one reader, lanes and widths agree, shortcuts have their FIFO."""

from __future__ import annotations

import math

import pytest

from bireal_hw.passes.dataflow import elaborate, interval
from bireal_hw.passes.folding import fold
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


@pytest.mark.parametrize("target", [1, 500, 2_000, 100_000])
def test_the_interval_is_that_of_the_slowest_layer_or_converter(target: int) -> None:
    for graph in (tiny(), tiny(8, 8, 3, 6), two_streams()):
        folding = fold(graph, target)
        assert interval(graph, folding) == elaborate(graph, folding).cycles


def test_converters_go_through_the_common_divisor() -> None:
    graph = tiny(8, 8, 3, 6)
    flow = elaborate(graph, fold(graph, 400))
    converters = [i.binding.parameters for i in flow.instances if i.binding.module == "br_width_converter"]
    assert converters
    for parameters in converters:
        small, large = sorted((parameters["InLanes"], parameters["OutLanes"]))
        assert large % small == 0
        assert small == math.gcd(small, large)
