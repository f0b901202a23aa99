"""Placement: which layers are a streaming pipeline, and which run one after another on the engine, from DRAM.

A folding says so: layers without a fold of their own are the engine's, and it has a fold of its own by the name
`engine`. The graph of a network knows nothing of it; `placed` makes the graph that is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from bireal_hw.engine.program import parts
from bireal_hw.engine.tail import Tail
from bireal_hw.errors import BirealError, unknown
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.types import TensorType
from bireal_hw.ops.concat import Concat
from bireal_hw.ops.engine import Engine
from bireal_hw.passes.folding import Folding

ENGINE = "engine"
"""Name of the engine's node."""


def cuts(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return where the engine can begin: the first of its layers, and the tensors that these read of the others.

    The engine can compute all layers from there on.
    """
    found: dict[str, tuple[str, ...]] = {}
    for index, node in enumerate(graph.nodes):
        try:
            _, found[node.name] = _cut(graph, index)
        except BirealError:
            continue
    return found


def place(graph: Graph, begin: str) -> Graph:
    """Return the graph in which all layers from `begin` on are one, the engine.

    Several tensors that these read become one in front of it, by layers named after it. A merge behind `begin` whose
    sums are made in front of it stays in front.

    Raises:
        BirealError: there is no such layer, or the engine cannot begin there; the text says why.
    """
    names = [node.name for node in graph]
    if begin not in names:
        raise unknown("layer", begin, list(cuts(graph)))
    built, _ = _cut(graph, names.index(begin))
    return built


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


def candidates(graph: Graph) -> Iterator[str]:
    """Yield where it is worth while to let the engine begin, the latest first: where the size of maps changes.

    Of all places with maps of one size only the latest is built, as a cut of a deep network takes long.
    """
    known: set[frozenset[tuple[int, int, int]]] = set()
    for index in reversed(range(len(graph.nodes))):
        _, _, crossing = _split(graph, index)
        shapes = frozenset(graph.types[tensor].shape for tensor in crossing)
        if shapes in known:
            continue
        try:
            _cut(graph, index)
        except BirealError:
            continue
        known.add(shapes)
        yield graph.nodes[index].name


def _split(graph: Graph, index: int) -> tuple[list[Node], list[Node], tuple[str, ...]]:
    """The layers in front of an engine that begins at an index, its own, and the tensors that these read of others."""
    front = list(graph.nodes[:index])
    made = {INPUT, *(node.name for node in front)}
    for node in graph.nodes[index + 1 :]:
        if made.issuperset(node.inputs) and any(
            graph.makers[name].op.gives_sums for name in node.inputs if name != INPUT
        ):
            front.append(node)
            made.add(node.name)
    behind = [node for node in graph if node.name not in made]
    return front, behind, tuple(dict.fromkeys(name for node in behind for name in node.inputs if name in made))


def _cut(graph: Graph, index: int) -> tuple[Graph, tuple[str, ...]]:
    """The graph with an engine in place of the layers from an index on, and the tensors that these read of others."""
    begin = graph.nodes[index].name
    front, behind, crossing = _split(graph, index)
    source, joined, joints = crossing[0], graph.types[crossing[0]], list[Node]()
    for number, name in enumerate(crossing[1:], 1):
        joints.append(Node(f"{ENGINE}_concat{number}", Concat(), (source, name)))
        try:
            source, joined = joints[-1].name, joints[-1].op.infer(joined, graph.types[name])
        except BirealError as error:
            raise BirealError(
                f"the engine cannot begin at {begin}: it would read {', '.join(crossing)}: {error}"
            ) from error
    tail = _tail(graph, behind, crossing, joined)
    parts(tail)
    return replace(graph, nodes=(*front, *joints, Node(ENGINE, Engine(tail), (source,)))), crossing


def _tail(graph: Graph, nodes: list[Node], crossing: tuple[str, ...], joined: TensorType) -> Graph:
    """Layers as a graph of their own, which reads one tensor, or several by their names."""
    if len(crossing) > 1:
        given = tuple((name, graph.types[name]) for name in crossing)
        return Tail(graph.name, joined, tuple(nodes), graph.info, parts=given)
    own = (
        replace(node, inputs=tuple(INPUT if name == crossing[0] else name for name in node.inputs)) for node in nodes
    )
    return Graph(graph.name, joined, tuple(own), graph.info)
