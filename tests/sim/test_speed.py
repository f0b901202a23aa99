"""How fast a network simulates: what is counted, and that every logit is compared."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw import golden
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.passes.folding import fold
from bireal_hw.sim import network
from bireal_hw.sim.speed import simulation_speed
from tests.conformance import BUILDS
from tests.networks import tiny

FRAMES = 6


@pytest.mark.rtl
def test_speed_counts_the_cycles_of_the_second_run(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tiny()
    folding = fold(graph, 2_000)
    speed = simulation_speed(graph, folding, FRAMES, BUILDS)
    assert (speed.outputs_compared, speed.mismatches) == ((1 + FRAMES) * 5, 0)
    assert FRAMES * speed.cycles_per_frame < speed.cycles < (FRAMES + 2) * speed.cycles_per_frame
    assert speed.cycles_predicted == speed.cycles_per_frame
    assert speed.first_frame_seconds > 0
    assert speed.cycles_per_second == speed.cycles / speed.seconds > 0

    right = golden.run

    def wrong(graph: Graph, images: Array) -> Array:
        return right(graph, images) + (np.arange(5) == 2)

    monkeypatch.setattr(golden, "run", wrong)
    monkeypatch.setattr(network, "_first_mismatch", lambda *_: None)  # which would build another simulator
    assert simulation_speed(graph, folding, 2, BUILDS).mismatches == 1 + 2
