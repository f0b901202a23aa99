"""The choices add up to the network: cycles and resources of any folding equal those of the elaborated dataflow."""

from __future__ import annotations

import random

import pytest

from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.cost import total
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import complete
from bireal_hw.synth.resources import KINDS
from tests.networks import tiny

GRAPHS = {
    "gray": tiny(base=8),
    "six channels": tiny(16, 8, 3, 6, seed=1),
    "max pool": tiny(64, 32, 3, 8, max_pool=True),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("seed", range(8))
def test_any_folding(graph: Graph, seed: int) -> None:
    choices, numbers = Choices(graph), random.Random(seed)
    chosen = {name: numbers.choice(some) for name, some in choices.convolutions.items()}
    flow = elaborate(graph, complete(graph, {name: choice.fold for name, choice in chosen.items()}))
    cycles, used = choices.evaluate(chosen)
    assert cycles == flow.cycles
    direct = total((one.binding.module, one.binding.parameters) for one in flow.instances)
    for kind in KINDS:
        assert getattr(used, kind) == pytest.approx(getattr(direct, kind))
