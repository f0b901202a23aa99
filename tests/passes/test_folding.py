"""Folding: the least hardware within the target, every factor legal."""

from __future__ import annotations

import itertools

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Fold, divisors
from bireal_hw.passes.folding import complete, convolutions, fold
from tests.networks import tiny


@pytest.mark.parametrize("target", [100, 1_000, 10_000, 1_000_000])
def test_least_product_within_the_target(target: int) -> None:
    graph = tiny(base=8)
    folding = fold(graph, target)
    for node in convolutions(graph):
        (x,) = graph.inputs_of(node)
        cout, kernel, _, cin = node.op.weights.shape  # type: ignore[attr-defined]
        row = kernel * cin if node.op.kind == "real_conv" else cin
        legal = [Fold(pe, simd) for pe, simd in itertools.product(divisors(cout), divisors(row))]
        cycles = {choice: node.op.cost(choice, x).cycles for choice in legal}
        chosen = folding[node.name]
        if min(cycles.values()) > target:
            assert cycles[chosen] == min(cycles.values())
        else:
            assert cycles[chosen] <= target
            assert chosen.pe * chosen.simd == min(c.pe * c.simd for c in legal if cycles[c] <= target)


def test_every_node_has_a_fold_and_merge_keeps_up_with_its_convolution() -> None:
    graph = tiny(base=8)
    folding = fold(graph, 500)
    assert set(folding) == {node.name for node in graph}
    for name, conv in (("merge1", "conv1"), ("merge2", "conv2")):
        node = next(n for n in graph if n.name == name)
        source = next(n for n in graph if n.name == conv)
        merge = node.op.cost(folding[name], *graph.inputs_of(node)).cycles
        assert merge <= source.op.cost(folding[conv], *graph.inputs_of(source)).cycles


def test_illegal_factors_and_targets_are_named() -> None:
    graph = tiny()
    chosen = {node.name: Fold() for node in convolutions(graph)} | {"conv2": Fold(pe=3, simd=1)}
    with pytest.raises(BirealError) as error:
        complete(graph, chosen)
    assert str(error.value) == (
        "conv2: binary_conv: out_channels=8 is not a multiple of pe=3; choose pe from 1, 2, 4, 8; the nearest is 2"
    )
    with pytest.raises(BirealError) as error:
        fold(graph, 0)
    assert str(error.value) == "target_cycles=0 is out of range: 1 or more"
