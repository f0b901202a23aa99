"""Folding: how much of each layer is computed in a cycle.

A folding maps every node of a graph to a `Fold`. Only convolutions choose; every other layer takes the lanes at which
its input arrives, and merge the lanes that keep up with the sums of its convolution.
"""

from __future__ import annotations

import itertools

from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ir.op import Fold, divisors, shared_lanes
from bireal_hw.ops import Affine, BinaryConv, RealConv
from bireal_hw.ops.real_conv import PACKS

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
    return [node for node in graph if isinstance(node.op, BinaryConv | RealConv)]


def complete(graph: Graph, chosen: Folding) -> Folding:
    """Add the folds that follow from those of the convolutions, and check every one.

    Raises:
        BirealError: naming the node and the legal factors.
    """
    folding: Folding = {}
    lanes = {INPUT: graph.input.channels}
    for node in graph:
        op, inputs = node.op, graph.inputs_of(node)
        if isinstance(op, BinaryConv | RealConv):
            folding[node.name] = chosen[node.name]
        elif isinstance(op, Affine):
            conv = graph.makers[node.inputs[-1]]
            assert isinstance(conv.op, BinaryConv)
            source = folding[conv.name]
            folding[node.name] = Fold(lanes=shared_lanes(source.pe, source.simd, conv.op.k))
        else:
            folding[node.name] = Fold(lanes=lanes[node.inputs[0]])
        try:
            op.check_fold(folding[node.name], *inputs)
        except BirealError as error:
            raise BirealError(f"{node.name}: {error}") from None
        lanes[node.name] = op.rtl_ports(folding[node.name], *inputs)[1].lanes
    return folding


def legal_folds(node: Node) -> list[Fold]:
    """Return all foldings of a convolution, in ascending order of Pe, then Simd, then Pack."""
    pes, simds = factors(node)
    packs = PACKS if isinstance(node.op, RealConv) else (1,)
    return [Fold(pe=pe, simd=simd, pack=pack) for pe, simd, pack in itertools.product(pes, simds, packs) if pack <= pe]


def factors(node: Node) -> tuple[list[int], list[int]]:
    """Return what Pe and Simd of a convolution can be."""
    op = node.op
    assert isinstance(op, BinaryConv | RealConv)
    cout, kernel, _, cin = op.weights.shape
    row = kernel * cin if isinstance(op, RealConv) and kernel > 1 else cin
    return divisors(cout), divisors(row)


def _fold_conv(graph: Graph, node: Node, target_cycles: int) -> Fold:
    """The least Pe*Simd within the target, else the fastest."""
    choices = legal_folds(node)
    cycles = {choice: node.op.cost(choice, *graph.inputs_of(node)).cycles for choice in choices}
    fitting = [choice for choice in choices if cycles[choice] <= target_cycles]
    if not fitting:
        return min(choices, key=lambda c: (cycles[c], c.pe * c.simd, c.pe))
    return min(fitting, key=lambda c: (c.pe * c.simd, c.pe))
