"""Dataflow: a graph and its folding become instances of modules joined by streams.

Between two layers stand, in this order: a register slice behind every layer that computes (it cuts the timing paths),
or a FIFO behind a pool, whose rows come in bursts; a fork where a tensor is read twice; a FIFO on the shortcut of every
block; width converters where the lanes differ. Both hardware backends read the result; it holds every parameter and
every memory word, and no text of either language.

Why it cannot deadlock: the graph has no cycle, so only a fork whose branches meet again in a merge can block. Its
direct branch is a FIFO that holds every beat which the other branch takes in before it gives its first one for the same
pixel (`shortcut_beats`), so the fork never waits for the merge while the merge waits for the fork.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Binding, Cost, Port
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, MaxPool, Merge
from bireal_hw.passes.folding import Folding


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
    """

    name: str
    instances: tuple[Instance, ...]
    input: Stream
    output: Stream
    costs: dict[str, Cost]

    @property
    def cycles(self) -> int:
        """Cycles per frame in the steady state: those of the slowest part."""
        return max(cost.cycles for cost in self.costs.values())

    @property
    def bottleneck(self) -> str:
        """Name of the slowest part."""
        return max(self.costs, key=lambda name: self.costs[name].cycles)


SLICED = ("br_real_conv", "br_binary_conv", "br_merge", "br_avg_pool", "br_max_pool")
"""Modules with logic behind their last register or in front of their ready; the others pass beats through."""
CONVERTER = "br_width_converter"


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
        lanes = graph.input.channels
        source = Stream("s_axis", "s_axis", lanes, graph.input.dtype)
        self._fork(INPUT, source)
        for node in graph:
            output = self._layer(node)
            self._fork(node.name, output)
        self.result = Dataflow(graph.name, tuple(self.instances), source, output, self.costs)

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
        for name, behind in tail(node, binding, self.graph.types[node.name]):
            output = self._place(name, node.name, behind, [output])
        return output

    def _join(self, stream: Stream, node: Node, index: int, port: Port) -> Stream:
        """Place what stands in front of one input of a layer."""
        tensor = self.graph.types[node.inputs[index]]
        for name, binding in joint(self.graph, node, index, Port("", stream.lanes, stream.dtype), port.lanes):
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


Part = tuple[str, Binding]
"""Name and binding of an instance between two layers."""


def tail(node: Node, binding: Binding, out: TensorType) -> list[Part]:
    """Return what stands behind a layer: a FIFO or a register slice, or nothing."""
    beats = burst_beats(node, out, binding.output.lanes)
    if beats:
        return [(f"{node.name}_fifo", _pipe("br_fifo", binding.output, {"Depth": beats}))]
    if binding.module in SLICED:
        return [(f"{node.name}_slice", _pipe("br_reg_slice", binding.output, {}))]
    return []


def joint(graph: Graph, node: Node, index: int, source: Port, wanted: int) -> list[Part]:
    """Return what stands between a stream and one input of a layer: the FIFO of a shortcut, width converters.

    Args:
        graph: the network.
        node: the layer.
        index: of its input.
        source: lanes and format of the stream.
        wanted: lanes of the layer's port.
    """
    parts: list[Part] = []
    if isinstance(node.op, Merge) and index == 0:
        depth = shortcut_beats(graph, node, source.lanes)
        parts.append((f"{node.name}_fifo", _pipe("br_fifo", source, {"Depth": depth})))
    lanes = source.lanes
    for step, after in enumerate((math.gcd(source.lanes, wanted), wanted)):
        if after != lanes:
            ports = (Port("s_axis", lanes, source.dtype),), Port("m_axis", after, source.dtype)
            parameters = {"ElemWidth": source.dtype.width, "InLanes": lanes, "OutLanes": after}
            parts.append((f"{node.name}_in{index}_width{step}", Binding(CONVERTER, parameters, *ports)))
            lanes = after
    return parts


def converter_cycles(converter: Binding, tensor: TensorType) -> int:
    """Cycles a frame takes through a width converter."""
    return tensor.beats(min(converter.parameters["InLanes"], converter.parameters["OutLanes"]))


def fork(stream: Port, readers: int) -> Binding:
    """Return the fork that gives each of several readers its own handshake."""
    source, sink = (Port(name, stream.lanes, stream.dtype) for name in ("s_axis", "m_axis"))
    return Binding("br_fork", {"Width": stream.width, "Outputs": readers}, (source,), sink)


def _pipe(module: str, stream: Port, parameters: dict[str, int]) -> Binding:
    """A module that takes and gives the same stream."""
    source, sink = (Port(name, stream.lanes, stream.dtype) for name in ("s_axis", "m_axis"))
    return Binding(module, {"Width": stream.width, **parameters}, (source,), sink)


def burst_beats(node: Node, out: TensorType, lanes: int) -> int:
    """Depth of the FIFO behind a pool, 0 behind any other layer.

    A 2x2 pool gives a whole row while it reads every second row, and nothing in between; a layer that takes pixels
    evenly has taken half of the row by its end. The other half waits here instead of holding up what lies before.
    """
    if isinstance(node.op, MaxPool) or (isinstance(node.op, AvgPool) and out.pixels > 1):
        return ((out.width + 1) // 2 + 2) * (out.channels // lanes)
    return 0


def shortcut_beats(graph: Graph, merge: Node, lanes: int) -> int:
    """Depth of the FIFO in front of a merge's shortcut input.

    The convolution of a block gives its first sums for pixel i when its window buffer holds pixel i + pad*Width + pad,
    and its pipeline holds a few pixels more. So the identity shortcut runs ahead by that many pixels. A strided
    convolution reads while `stride` further rows are written, by which the pooled shortcut runs ahead one output row,
    and half of one more since those rows are produced in the second half of that time.
    """
    nodes = {node.name: node for node in graph}
    conv = nodes[merge.inputs[1]]
    assert isinstance(conv.op, BinaryConv)
    out = graph.types[merge.inputs[0]]
    if conv.op.stride == 1:
        pixels = conv.op.pad * (out.width + 1) + IN_FLIGHT
    else:
        pixels = out.width + (out.width + 1) // 2 + IN_FLIGHT
    return min(pixels, out.pixels + IN_FLIGHT) * (out.channels // lanes)


IN_FLIGHT = 6
"""Pixels between the fork and the merge beyond the window: window under way, sums, converters, slices."""
