"""What can be chosen in a network, and what each choice costs.

Only convolutions choose (Pe, Simd). Every other layer follows one of them, its owner: a merge the convolution whose
sums it takes, the rest the layer in front. What stands between two layers (width converters, the shortcut's FIFO)
depends on the lanes on both sides; so on two owners at most. What a FIFO holds while layers compute depends on the
whole network and is left out, a few beats of many; `elaborate` adds it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from bireal_hw.analysis.cost import total
from bireal_hw.ir.anatomy import Parameters
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Binding, Fold, Port
from bireal_hw.passes.buffers import Buffers
from bireal_hw.passes.dataflow import Part, joint, tail
from bireal_hw.passes.streams import CONVERTER, converter_cycles, fork
from bireal_hw.synth.resources import Resources

FIXED = ""
"""Owner of layers that nothing can change: those in front of the first convolution."""


@dataclass(frozen=True)
class Choice:
    """One way to build a convolution and all that follow it.

    Attributes:
        fold: of the convolution.
        cycles: of the slowest of these layers.
        resources: of all of them, with what stands behind each.
        lanes: of every stream they give, by tensor, and of every port, by (node, input index).
    """

    fold: Fold
    cycles: int
    resources: Resources
    lanes: dict[str | tuple[str, int], int]


@dataclass(frozen=True)
class Link:
    """A connection between layers of two owners.

    Attributes:
        node, index: the reading layer and its input.
        source, sink: the owners.
    """

    node: Node
    index: int
    source: str
    sink: str


@dataclass
class Choices:
    """The choices in a graph.

    Attributes:
        graph: the network.
        bytes_per_cycle: that memory beside the chip may give and take, on average.
    """

    graph: Graph
    bytes_per_cycle: float = math.inf
    _joints: dict[tuple[str, int, int, int], tuple[int, Resources]] = field(default_factory=dict)

    @cached_property
    def owners(self) -> dict[str, str]:
        """Owner of every layer by name."""
        owners: dict[str, str] = {INPUT: FIXED}
        for node in self.graph:
            # Of a merge, the convolution.
            chooses = bool(node.op.factors(*self.graph.inputs_of(node)))
            owners[node.name] = node.name if chooses else owners[node.inputs[-1]]
        return owners

    @cached_property
    def links(self) -> list[Link]:
        """All connections between layers of different owners."""
        found = [
            Link(node, index, self.owners[source], self.owners[node.name])
            for node in self.graph
            for index, source in enumerate(node.inputs)
        ]
        return [link for link in found if link.source != link.sink]

    @cached_property
    def _buffers(self) -> Buffers:
        """What has to wait however fast the layers are."""
        return Buffers(self.graph)

    @cached_property
    def _readers(self) -> Counter[str]:
        """How often every tensor is read."""
        return Counter(source for node in self.graph for source in node.inputs)

    @cached_property
    def _bindings(self) -> dict[str, Binding]:
        """A binding of every layer; its parameters but for the folding are those of all foldings."""
        bindings = {}
        for node in self.graph:
            types = self.graph.inputs_of(node)
            folds = node.op.folds(*types) if node.op.factors(*types) else [Fold()]
            fold = max(folds, key=lambda one: (-one.pe, one.simd))
            bindings[node.name] = node.op.rtl(fold, *types)
        return bindings

    @cached_property
    def fixed(self) -> Choice:
        """The layers in front of the first convolution."""
        return self._choice(FIXED, Fold())

    @cached_property
    def convolutions(self) -> dict[str, list[Choice]]:
        """All choices of every convolution."""
        return {
            node.name: [self._choice(node.name, fold) for fold in node.op.folds(*self.graph.inputs_of(node))]
            for node in self.graph
            if self.owners[node.name] == node.name
        }

    def _choice(self, owner: str, fold: Fold) -> Choice:
        lanes: dict[str | tuple[str, int], int] = {INPUT: self.graph.input.channels} if owner == FIXED else {}
        cycles, parts, paces = 0, [], {INPUT: self.graph.input.channels}
        if owner == FIXED:
            parts += self._fork(INPUT, Port("", self.graph.input.channels, self.graph.input.dtype))
        for node in self.graph:
            if self.owners[node.name] != owner:
                continue
            own = fold if node.name == owner else Fold(lanes=paces[node.inputs[-1]])
            types = self.graph.inputs_of(node)
            paces[node.name] = node.op.pace(own, *types)
            inputs, output = node.op.rtl_ports(own, *types)
            waits = node.op.memory_cycles(own, self.bytes_per_cycle, *types)
            cycles = max(cycles, node.op.cost(own, *types).cycles, waits)
            lanes[node.name] = output.lanes
            for index, (source, port) in enumerate(zip(node.inputs, inputs, strict=True)):
                lanes[node.name, index] = port.lanes
                if source in lanes:
                    slowest, between = self._joint(node, index, lanes[source], port.lanes)
                    cycles, parts = max(cycles, slowest), parts + between
            binding = self._bindings[node.name]
            parameters = node.op.refolded(binding.parameters, own, *types)
            parts.append((binding.module, parameters))
            refolded = Binding(binding.module, parameters, inputs, output)
            depth = self._buffers.burst_beats(node, output.lanes)
            parts += [(part.module, part.parameters) for _, part in tail(node, refolded, depth)]
            parts += self._fork(node.name, output)
        return Choice(fold, cycles, total(parts), lanes)

    def _fork(self, tensor: str, stream: Port) -> list[tuple[str, Parameters]]:
        readers = self._readers[tensor]
        return [("br_fork", fork(stream, readers).parameters)] if readers > 1 else []

    def _joint(self, node: Node, index: int, source: int, sink: int) -> tuple[int, list[tuple[str, Parameters]]]:
        """Cycles and instances between a stream of so many lanes and an input."""
        tensor = self.graph.types[node.inputs[index]]
        depth = self._buffers.waiting_beats(node, index, source)
        parts: list[Part] = joint(node, index, Port("", source, tensor.dtype), sink, depth)
        slowest = max((converter_cycles(part, tensor) for _, part in parts if part.module == CONVERTER), default=0)
        return slowest, [(part.module, part.parameters) for _, part in parts]

    def between(self, link: Link, source: int, sink: int) -> tuple[int, Resources]:
        """Cycles and resources of a link between a stream of `source` lanes and a port: its `Choice.lanes`."""
        key = link.node.name, link.index, source, sink
        if key not in self._joints:
            slowest, parts = self._joint(link.node, link.index, source, sink)
            self._joints[key] = slowest, total(parts)
        return self._joints[key]

    def evaluate(self, chosen: dict[str, Choice]) -> tuple[int, Resources]:
        """Return cycles and resources of a whole network."""
        every = {FIXED: self.fixed, **chosen}
        cycles = max(choice.cycles for choice in every.values())
        used = Resources()
        for choice in every.values():
            used += choice.resources
        for link in self.links:
            slowest, more = self.between(link, *self.sides(link, every))
            cycles, used = max(cycles, slowest), used + more
        return cycles, used

    def sides(self, link: Link, chosen: dict[str, Choice]) -> tuple[int, int]:
        """Lanes on both sides of a link, as `between` takes them."""
        return (
            chosen[link.source].lanes[link.node.inputs[link.index]],
            chosen[link.sink].lanes[link.node.name, link.index],
        )
