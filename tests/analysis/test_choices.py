"""The choices add up to the network: cycles and resources of any folding equal those of the elaborated dataflow.

Its FIFOs are deeper by the beats under way, which the choices leave out.
"""

from __future__ import annotations

import random

import pytest

from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.cost import total
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.buffers import Buffers
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
    always, parts = Buffers(graph), []
    for one in flow.instances:
        parameters = one.binding.parameters
        if one.binding.module == "br_fifo":
            node, lanes = graph.makers[one.layer], one.inputs[0].lanes
            shortcut = node.op.arity > 1
            depth = always.waiting_beats(node, 0, lanes) if shortcut else always.burst_beats(node, lanes)
            assert 0 < depth <= parameters["Depth"]
            parameters = parameters | {"Depth": depth}
        parts.append((one.binding.module, parameters))
    direct = total(parts)
    for kind in KINDS:
        assert getattr(used, kind) == pytest.approx(getattr(direct, kind))
