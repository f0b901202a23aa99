"""Folding: how much of each layer is computed in a cycle.

A folding maps every node of a graph to a `Fold`. Only layers with factors choose, the convolutions; every other layer
takes the lanes that keep up with the last of its inputs (`Op.pace`), a merge so with the sums of its convolution.
"""

from __future__ import annotations

from bireal_hw.errors import BirealError, out_of_range, unknown
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Fold

TARGET_CYCLES = 100_000
"""Cycles per frame that no layer exceeds, where the layer can be unfolded that far."""

Folding = dict[str, Fold]


def fold(graph: Graph, target_cycles: int = TARGET_CYCLES) -> Folding:
    """Give every convolution the least Pe*Simd with at most `target_cycles` a frame, the widest Simd among equals.

    Wide Simd is the cheaper way to the same product: fewer accumulators and narrower sums stream. A layer that cannot
    reach the target is unfolded as far as it goes.

    Raises:
        BirealError: if target_cycles is below 1.
    """
    if target_cycles < 1:
        raise out_of_range("target_cycles", target_cycles, "1 or more")
    return complete(graph, {node.name: _fold_conv(graph, node, target_cycles) for node in convolutions(graph)})


def convolutions(graph: Graph) -> list[Node]:
    """Nodes with a choice of Pe and Simd."""
    return [node for node in graph if node.op.factors(*graph.inputs_of(node))]


def complete(graph: Graph, chosen: Folding) -> Folding:
    """Add the folds that follow from those of the convolutions, and check every one.

    Raises:
        BirealError: naming the node and the legal factors.
    """
    folding: Folding = {}
    paces = {INPUT: graph.input.channels}
    for node in graph:
        op, inputs = node.op, graph.inputs_of(node)
        own = folding[node.name] = chosen.get(node.name) or Fold(lanes=paces[node.inputs[-1]])
        try:
            op.check_fold(own, *inputs)
        except BirealError as error:
            raise BirealError(f"{node.name}: {error}") from None
        paces[node.name] = op.pace(own, *inputs)
    return folding


def verify_folding(graph: Graph, folding: Folding) -> None:
    """Check a folding that a person has made or changed.

    Raises:
        BirealError: naming the layer that is missing, unknown or folded as it cannot be.
    """
    names = [node.name for node in graph]
    for name in folding:
        if name not in names:
            raise unknown("layer", name, names)
    for node in graph:
        if node.name not in folding:
            raise BirealError(f"the folding lacks '{node.name}': every layer has a Fold")
        try:
            node.op.check_fold(folding[node.name], *graph.inputs_of(node))
        except BirealError as error:
            raise BirealError(f"{node.name}: {error}") from None


def _fold_conv(graph: Graph, node: Node, target_cycles: int) -> Fold:
    """The least Pe*Simd within the target, else the fastest."""
    types = graph.inputs_of(node)
    choices = node.op.folds(*types)
    cycles = {choice: node.op.cost(choice, *types).cycles for choice in choices}
    fitting = [choice for choice in choices if cycles[choice] <= target_cycles]
    if not fitting:
        return min(choices, key=lambda c: (cycles[c], c.pe * c.simd, c.pe))
    return min(fitting, key=lambda c: (c.pe * c.simd, c.pe))
