"""Dataflow: every stream has one writer and one reader, lanes and widths agree, shortcuts have their FIFO."""

from __future__ import annotations

import math

import pytest

from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from tests.networks import tiny


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


def test_every_merge_has_a_fifo_that_holds_the_window_s_lead() -> None:
    graph = tiny(8, 8, 1, 8)
    flow = elaborate(graph, fold(graph, 2_000))
    depth = {
        instance.name: (instance.binding.parameters["Depth"], instance.inputs[0].lanes)
        for instance in flow.instances
        if instance.name.startswith("merge") and instance.binding.module == "br_fifo"
    }
    assert set(depth) == {"merge1_fifo"}  # merge2 adds a pooled shortcut
    beats, lanes = depth["merge1_fifo"]
    assert beats >= (8 + 2) * 8 // lanes  # a 3x3 window needs pixel i + Width + 1 before it gives sum i


def test_converters_go_through_the_common_divisor() -> None:
    graph = tiny(8, 8, 3, 6)
    flow = elaborate(graph, fold(graph, 400))
    converters = [i.binding.parameters for i in flow.instances if i.binding.module == "br_width_converter"]
    assert converters
    for parameters in converters:
        small, large = sorted((parameters["InLanes"], parameters["OutLanes"]))
        assert large % small == 0
        assert small == math.gcd(small, large)
