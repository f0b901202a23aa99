"""Dataflow: a graph and its folding become instances of modules joined by streams.

Between two layers stand, in this order: a register slice behind every layer that computes (it cuts the timing paths),
or a FIFO behind one that gives its pixels in bursts, such as a pool; a fork where a tensor is read twice; a FIFO on an
input that comes earlier than the other one of its layer, such as a shortcut; width converters where the lanes differ.
Both hardware backends read the result; it holds every parameter and every memory word, and no text of either language.
How deep the FIFOs are: bireal_hw/passes/buffers.py; why that is enough and nothing can deadlock: docs/dataflow.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Binding, Cost, Port
from bireal_hw.ir.types import DataType
from bireal_hw.passes.buffers import Buffers
from bireal_hw.passes.folding import Folding
from bireal_hw.passes.streams import CONVERTER, converter, converter_cycles, fifo, fork, register_slice


@dataclass(frozen=True)
class Stream:
    """A handshake between two instances.

    Attributes:
        name: of its tvalid and tready wires.
        data: name of its tdata and tlast wires (the branches of a fork share them).
        lanes: channels of a beat.
        dtype: format of one channel.
    """

    name: str
    data: str
    lanes: int
    dtype: DataType

    @property
    def width(self) -> int:
        """Bits of tdata."""
        return self.lanes * self.dtype.width


@dataclass(frozen=True)
class Instance:
    """One module instance.

    Attributes:
        name: of the instance.
        layer: node of the graph that it computes or stands around; the graph's input for a fork of the image.
        binding: module, parameters, memories.
        inputs, outputs: streams on its input ports and on its output (several for a fork).
    """

    name: str
    layer: str
    binding: Binding
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]


@dataclass(frozen=True)
class Dataflow:
    """A network in hardware.

    Attributes:
        name: of the network.
        instances: in dataflow order.
        input: stream of pixels.
        output: stream of logits.
        costs: cycles of each layer and of each converter that is slower than its neighbours could be, by name.
        folding: of each layer.
        traffic: bytes of a frame between the chip and memory beside it.
    """

    name: str
    instances: tuple[Instance, ...]
    input: Stream
    output: Stream
    costs: dict[str, Cost]
    folding: Folding
    traffic: int = 0

    @property
    def cycles(self) -> int:
        """Cycles per frame in the steady state: those of the slowest part."""
        return max(cost.cycles for cost in self.costs.values())

    @property
    def memory(self) -> Binding | None:
        """The binding of the one instance with ports to memory beside the chip, if there is one.

        Raises:
            BirealError: there are several; they would share the ports of the network.
        """
        found = [instance for instance in self.instances if instance.binding.axi]
        if len(found) > 1:
            names = ", ".join(instance.name for instance in found)
            raise BirealError(f"{self.name}: {names} all have ports to memory; one layer of a network can")
        return found[0].binding if found else None

    @property
    def engine_bound(self) -> bool:
        """Whether the slowest part has ports to memory beside the chip: then its cycles are a bound."""
        return any(one.binding.axi and self.costs[one.name].cycles >= self.cycles for one in self.instances)

    @property
    def bottleneck(self) -> str:
        """Name of the slowest part."""
        return max(self.costs, key=lambda name: self.costs[name].cycles)


def elaborate(graph: Graph, folding: Folding) -> Dataflow:
    """Turn a graph and its folding into instances and streams."""
    return _Elaboration(graph, folding).result


class _Elaboration:
    """Walks the graph once; holds the streams made so far."""

    def __init__(self, graph: Graph, folding: Folding) -> None:
        self.graph, self.folding = graph, folding
        self.instances: list[Instance] = []
        self.costs: dict[str, Cost] = {}
        self.branches: dict[tuple[str, str, int], Stream] = {}  # (tensor, reader, input index) -> stream
        self.always = Buffers(graph)
        self.timed = Buffers(graph, folding, interval(graph, folding))
        lanes = graph.input.channels
        source = Stream("s_axis", "s_axis", lanes, graph.input.dtype)
        self._fork(INPUT, source)
        for node in graph:
            output = self._layer(node)
            self._fork(node.name, output)
        traffic = sum(node.op.traffic(folding[node.name], *graph.inputs_of(node)) for node in graph)
        self.result = Dataflow(graph.name, tuple(self.instances), source, output, self.costs, folding, traffic)

    def _layer(self, node: Node) -> Stream:
        """Place a layer and the register slice behind it; return its stream."""
        fold, types = self.folding[node.name], self.graph.inputs_of(node)
        binding = node.op.rtl(fold, *types)
        inputs = [
            self._join(self.branches[source, node.name, i], node, i, port)
            for i, (source, port) in enumerate(zip(node.inputs, binding.inputs, strict=True))
        ]
        self.costs[node.name] = node.op.cost(fold, *types)
        output = self._place(node.name, node.name, binding, inputs)
        lanes = binding.output.lanes
        depth = max(self.always.burst_beats(node, lanes), self.timed.burst_beats(node, lanes))
        for name, behind in tail(node, binding, depth):
            output = self._place(name, node.name, behind, [output])
        return output

    def _join(self, stream: Stream, node: Node, index: int, port: Port) -> Stream:
        """Place what stands in front of one input of a layer."""
        tensor = self.graph.types[node.inputs[index]]
        source = Port("", stream.lanes, stream.dtype)
        depth = max(buffers.waiting_beats(node, index, stream.lanes) for buffers in (self.always, self.timed))
        for name, binding in joint(node, index, source, port.lanes, depth):
            if binding.module == CONVERTER:
                self.costs[name] = Cost(converter_cycles(binding, tensor), latency=0)
            stream = self._place(name, node.name, binding, [stream])
        return stream

    def _place(self, name: str, layer: str, binding: Binding, inputs: list[Stream]) -> Stream:
        """Add an instance with one output."""
        output = Stream(name, name, binding.output.lanes, binding.output.dtype)
        self.instances.append(Instance(name, layer, binding, tuple(inputs), (output,)))
        return output

    def _fork(self, tensor: str, stream: Stream) -> None:
        """Give every reader of a tensor its own handshake."""
        readers = self.graph.consumers(tensor)
        if len(readers) < 2:
            self.branches.update({(tensor, node.name, i): stream for node, i in readers})
            return
        binding = fork(Port("", stream.lanes, stream.dtype), len(readers))
        name = f"{stream.name}_fork"
        outputs = [Stream(f"{tensor}_to_{node.name}", name, stream.lanes, stream.dtype) for node, _ in readers]
        self.instances.append(Instance(name, tensor, binding, (stream,), tuple(outputs)))
        for (node, i), output in zip(readers, outputs, strict=True):
            self.branches[tensor, node.name, i] = output


def cycles_beside(graph: Graph, flow: Dataflow, bytes_per_cycle: float) -> int:
    """Return the cycles per frame of a network beside a memory that gives and takes so much: of an engine, a bound."""
    waits = (node.op.memory_cycles(flow.folding[node.name], bytes_per_cycle, *graph.inputs_of(node)) for node in graph)
    return max(flow.cycles, *waits)


Part = tuple[str, Binding]
"""Name and binding of an instance between two layers."""


def interval(graph: Graph, folding: Folding) -> int:
    """Return the cycles per frame of a network: those of its slowest layer or width converter."""
    cycles, lanes = 1, {INPUT: graph.input.channels}
    for node in graph:
        fold, types = folding[node.name], graph.inputs_of(node)
        inputs, output = node.op.rtl_ports(fold, *types)
        lanes[node.name] = output.lanes
        cycles = max(cycles, node.op.cost(fold, *types).cycles)
        for source, port, tensor in zip(node.inputs, inputs, types, strict=True):
            if lanes[source] != port.lanes:
                cycles = max(cycles, tensor.beats(math.gcd(lanes[source], port.lanes)))
    return cycles


def tail(node: Node, binding: Binding, depth: int) -> list[Part]:
    """Return what stands behind a layer: a FIFO where a depth is given, else a register slice, or nothing."""
    if depth:
        return [(f"{node.name}_fifo", fifo(binding.output, depth))]
    return [(f"{node.name}_slice", register_slice(binding.output))] if node.op.registered else []


def joint(node: Node, index: int, source: Port, lanes: int, depth: int) -> list[Part]:
    """Return what stands between a stream and one input of a layer: a FIFO, width converters.

    Args:
        node: the layer.
        index: of its input.
        source: lanes and format of the stream.
        lanes: of the layer's port.
        depth: of the FIFO in beats, 0 for none.
    """
    parts: list[Part] = []
    if depth:
        name = f"{node.name}_in{index}_fifo" if index else f"{node.name}_fifo"
        parts.append((name, fifo(source, depth)))
    stream = source
    for step, after in enumerate((math.gcd(source.lanes, lanes), lanes)):
        if after != stream.lanes:
            parts.append((f"{node.name}_in{index}_width{step}", converter(stream, after)))
            stream = parts[-1][1].output
    return parts
