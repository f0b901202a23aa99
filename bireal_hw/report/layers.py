"""The table of layers: shape, folding, cycles and resources, a row for every layer of the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.passes.folding import Folding
from bireal_hw.synth.network import layer_of
from bireal_hw.synth.resources import Resources


@dataclass(frozen=True)
class LayerRow:
    """A row of the table.

    Attributes:
        name, kind: of the layer; `kind` says what it is where it is none of the graph (a fork of the input).
        output: shape and number format.
        folding: in words.
        cycles: a frame takes, the width converters in front of the layer included; None where nothing counts them.
        share: of the cycles per frame of the network.
        slowest: name of the part that takes these cycles, the layer or a width converter in front of it, if no other
            part of the network takes more; else empty.
        used: resources of the layer and what stands around it.
    """

    name: str
    kind: str
    output: str
    folding: str
    cycles: int | None
    share: float
    slowest: str
    used: Resources


def layers(graph: Graph, folding: Folding, flow: Dataflow, used: Mapping[str, Resources]) -> list[LayerRow]:
    """Return the rows, in the order of the data.

    Args:
        graph: the network.
        folding: of every node.
        flow: what both give.
        used: resources by the name of the layer; names that are not of the graph get rows of their own.
    """
    names = [node.name for node in graph]
    parts: dict[str, dict[str, int]] = {}
    for name, cost in flow.costs.items():
        parts.setdefault(layer_of(name, names), {})[name] = cost.cycles
    rows = [
        LayerRow(name, "between layers", "", "", None, 0.0, "", amount)
        for name, amount in used.items()
        if name not in names
    ]
    for node in graph:
        slowest, most = max(parts[node.name].items(), key=lambda part: (part[1], part[0] == node.name))
        rows.append(
            LayerRow(
                node.name,
                node.op.kind,
                str(graph.types[node.name]),
                node.op.fold_text(folding[node.name]),
                most,
                most / flow.cycles,
                slowest if most == flow.cycles else "",
                used.get(node.name, Resources()),
            )
        )
    return rows
