"""Dataflow: a graph and its folding become instances of modules joined by streams.

Between two layers stand, in this order: a register slice behind every layer that computes (it cuts the timing paths),
or a FIFO behind a pool, whose rows come in bursts; a fork where a tensor is read twice; a FIFO on the shortcut of every
identity block; width converters where the lanes differ. Both hardware backends read the result; it holds every
parameter and every memory word, and no text of either language. How deep the FIFOs are and why nothing can deadlock:
docs/dataflow.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Binding, Cost, Fold, Port, conv_lead
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import AvgPool, BinaryConv, MaxPool, Merge, RealConv
from bireal_hw.ops.binary_conv import LATENCY
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
    """

    name: str
    instances: tuple[Instance, ...]
    input: Stream
    output: Stream
    costs: dict[str, Cost]
    folding: Folding

    @property
    def cycles(self) -> int:
        """Cycles per frame in the steady state: those of the slowest part."""
        return max(cost.cycles for cost in self.costs.values())

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
        lanes = graph.input.channels
        source = Stream("s_axis", "s_axis", lanes, graph.input.dtype)
        self._fork(INPUT, source)
        for node in graph:
            output = self._layer(node)
            self._fork(node.name, output)
        self.result = Dataflow(graph.name, tuple(self.instances), source, output, self.costs, folding)

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
        for name, behind in tail(self.graph, node, binding):
            output = self._place(name, node.name, behind, [output])
        return output

    def _join(self, stream: Stream, node: Node, index: int, port: Port) -> Stream:
        """Place what stands in front of one input of a layer."""
        tensor = self.graph.types[node.inputs[index]]
        source = Port("", stream.lanes, stream.dtype)
        fold = self.folding[node.inputs[1]] if isinstance(node.op, Merge) else Fold()
        for name, binding in joint(self.graph, node, index, source, port.lanes, fold):
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


def tail(graph: Graph, node: Node, binding: Binding) -> list[Part]:
    """Return what stands behind a layer: a FIFO or a register slice, or nothing."""
    beats = burst_beats(graph, node, binding.output.lanes)
    if beats:
        return [(f"{node.name}_fifo", fifo(binding.output, beats))]
    return [(f"{node.name}_slice", register_slice(binding.output))] if node.op.registered else []


def joint(graph: Graph, node: Node, index: int, source: Port, wanted: int, fold: Fold) -> list[Part]:
    """Return what stands between a stream and one input of a layer: the FIFO of a shortcut, width converters.

    Args:
        graph: the network.
        node: the layer.
        index: of its input.
        source: lanes and format of the stream.
        wanted: lanes of the layer's port.
        fold: of the convolution whose sums a merge takes; without meaning for other layers.
    """
    parts: list[Part] = []
    if isinstance(node.op, Merge) and index == 0:
        depth = shortcut_beats(graph, node, source.lanes, wanted, fold)
        if depth:
            parts.append((f"{node.name}_fifo", fifo(source, depth)))
    stream = source
    for step, after in enumerate((math.gcd(source.lanes, wanted), wanted)):
        if after != stream.lanes:
            parts.append((f"{node.name}_in{index}_width{step}", converter(stream, after)))
            stream = parts[-1][1].output
    return parts


def burst_beats(graph: Graph, node: Node, lanes: int) -> int:
    """Depth of the FIFO behind a pool, 0 behind any other layer or where a register slice holds enough.

    A pool of stride 2 gives a row while it reads every second row, and nothing in between; its reader takes pixels
    evenly and has taken half of the row by its end. The other half waits here, less what the reader holds itself: a 1x1
    convolution three pixels.
    """
    (x, *_), out = graph.inputs_of(node), graph.types[node.name]
    if not isinstance(node.op, AvgPool | MaxPool) or out.pixels in (1, x.pixels):
        return 0
    readers = [reader.op for reader, _ in graph.consumers(node.name)]
    held = WINDOW_PIXELS if all(isinstance(op, RealConv) for op in readers) else 0
    pixels = (out.width + 1) // 2 + 1 - held
    return pixels * (out.channels // lanes) + SPARE if pixels > 0 else 0


def shortcut_beats(graph: Graph, merge: Node, lanes: int, wanted: int, fold: Fold) -> int:
    """Depth of the FIFO in front of a merge's shortcut input, 0 where none is needed.

    A convolution starts with pixel i when its buffer holds all pixels of that window, so a shortcut around it runs
    ahead by as many; and by what arrives until the first sums of the last convolution meet the shortcut. A pooled
    shortcut has its pixel i when the strided convolution has all of window i: that one adds nothing. A convolution on
    the shortcut holds some of the pixels itself.

    Args:
        graph: the network.
        merge: the layer.
        lanes: of the shortcut's stream.
        wanted: lanes of the merge.
        fold: of the convolution whose sums the merge takes.
    """
    path, out = detour(graph, merge), graph.types[merge.name]
    strided = max((place for place, (conv, _) in enumerate(path) if conv.stride > 1), default=-1)
    if len(path) == 1 and strided == 0:
        return 0
    pixels = float(sum(_lead(conv, x) for conv, x in path[strided + 1 :]))
    if strided < 0 and isinstance(graph.makers[merge.inputs[0]].op, RealConv) and not _direct(graph, merge):
        pixels -= WINDOW_PIXELS
    if strided > 0:  # what lies in front of it waits for pixels of the larger image
        conv, x = path[strided]
        missing = sum(_lead(*before) - 1 for before in path[:strided])
        pixels += strided / conv.stride**2 + out.width * math.ceil(missing / (conv.stride * x.width))
    conv, x = path[-1]
    beats = out.channels // lanes
    converters = (max(1, lanes // fold.simd) if lanes != fold.simd else 0) + (fold.pe != wanted)
    first_sums = conv.k // fold.simd + 1 + LATENCY + 1 + converters  # store, compute, slice
    waited = STAGES * (len(path) - 1) + first_sums
    arriving = (waited + 1) * beats * out.pixels // conv.cost(fold, x).cycles
    return max(math.ceil(pixels * beats) + max(arriving - 1, 0), 0)  # one waits in the fork


def detour(graph: Graph, merge: Node) -> list[tuple[BinaryConv | RealConv, TensorType]]:
    """Convolutions, with their inputs, that a merge's sums pass behind the tensor that its shortcut comes from too."""
    path: list[tuple[BinaryConv | RealConv, TensorType]] = []
    tensor = merge.inputs[1]
    while tensor not in graph.above[merge.inputs[0]]:
        node = graph.makers[tensor]
        if isinstance(node.op, BinaryConv | RealConv):
            path.insert(0, (node.op, graph.inputs_of(node)[0]))
        tensor = node.inputs[-1]
    return path


def _direct(graph: Graph, merge: Node) -> bool:
    """Tell whether the sums of a merge come from its shortcut's tensor."""
    return merge.inputs[0] in graph.above[merge.inputs[1]]


def _lead(conv: BinaryConv | RealConv, x: TensorType) -> int:
    """Pixels that a convolution stores before it reads its first window."""
    return conv_lead(x.height, x.width, conv.weights.shape[1], conv.pad)


WINDOW_PIXELS = 3
"""Pixels that the buffer of a 1x1 convolution holds, the one under way included."""
SPARE = 4
"""Beats beyond the pixels of a burst: those between a pool and its reader are not in step."""
STAGES = 16
"""Cycles from a pixel's last sums to the next convolution's buffer: affine or merge, slices, converters."""
