"""Placement: which layers are a streaming pipeline, and which run one after another on the engine, from DRAM.

A folding says so: layers without a fold of their own are the engine's, and it has a fold of its own by the name
`engine`. The graph of a network knows nothing of it; `placed` makes the graph that is built.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from bireal_hw.engine.program import parts
from bireal_hw.errors import BirealError, unknown
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ops.engine import Engine
from bireal_hw.passes.folding import Folding

ENGINE = "engine"
"""Name of the engine's node."""


def cuts(graph: Graph) -> dict[str, str]:
    """Return where the engine can begin: the first of its layers, and the one tensor that it reads.

    The engine can compute all layers from there on, and the network has no other tensor that crosses.
    """
    found: dict[str, str] = {}
    for index in reversed(range(len(graph.nodes))):
        crossing = _crossing(graph, index)
        if len(crossing) == 1:
            try:
                parts(_tail(graph, index, crossing[0]))
            except BirealError:
                continue
            found[graph.nodes[index].name] = crossing[0]
    return dict(reversed(found.items()))


def place(graph: Graph, begin: str) -> Graph:
    """Return the graph in which all layers from `begin` on are one, the engine.

    Raises:
        BirealError: there is no such layer, or the engine cannot begin there; the text says why.
    """
    names = [node.name for node in graph]
    if begin not in names:
        raise unknown("layer", begin, names)
    index = names.index(begin)
    crossing = _crossing(graph, index)
    if len(crossing) > 1:
        raise BirealError(
            f"the engine cannot begin at {begin}: it would read {', '.join(crossing)}, and reads one tensor"
        )
    tail = _tail(graph, index, crossing[0])
    parts(tail)
    node = Node(ENGINE, Engine(tail), (crossing[0],))
    return replace(graph, nodes=(*graph.nodes[:index], node))


def placed(graph: Graph, folding: Folding) -> Graph:
    """Return the graph that a folding is of: with an engine in place of the layers that have no fold."""
    if ENGINE not in folding or any(node.name == ENGINE for node in graph):
        return graph
    begin = next((node.name for node in graph if node.name not in folding), None)
    if begin is None:
        raise BirealError("the folding has an engine and a fold for every layer: leave out those that it computes")
    return place(graph, begin)


def begin_of(graph: Graph) -> str:
    """Return the first layer that the engine of a graph computes."""
    return cast(Engine, graph.nodes[-1].op).graph.nodes[0].name


def candidates(graph: Graph) -> list[str]:
    """Return where it is worth while to let the engine begin, the latest first: where the size of maps changes."""
    latest = {graph.types[tensor].shape: begin for begin, tensor in cuts(graph).items()}
    return list(reversed(latest.values()))


def _crossing(graph: Graph, index: int) -> list[str]:
    """Tensors that layers from an index on read of those before it."""
    made = {node.name for node in graph.nodes[index:]}
    return list(dict.fromkeys(name for node in graph.nodes[index:] for name in node.inputs if name not in made))


def _tail(graph: Graph, index: int, source: str) -> Graph:
    """The layers from an index on as a graph of its own, which reads one tensor."""
    nodes = tuple(
        replace(node, inputs=tuple(INPUT if name == source else name for name in node.inputs))
        for node in graph.nodes[index:]
    )
    return Graph(graph.name, graph.types[source], nodes, graph.info)
