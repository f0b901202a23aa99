"""Networks that do not fit a board as they are: the solver lets the engine begin somewhere, or says what it can."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

from bireal_hw import boards
from bireal_hw.analysis.plan import plan
from bireal_hw.boards import Board
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.placement import ENGINE, placed
from tests.random_networks import graph_of

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of("bireal34", (24, 16), 3)


@pytest.fixture(scope="module")
def small() -> Board:
    """A board with fewer block RAMs than the network takes, and enough for a part of it and an engine."""
    return replace(boards.board("pynq-z2"), bram36=8)


def test_a_network_that_fits_has_no_engine(graph: Graph) -> None:
    assert ENGINE not in plan(graph, boards.board("pynq-z2"), 100, None, None).folding


def test_the_last_layers_of_one_that_does_not_fit_are_the_engines(graph: Graph, small: Board) -> None:
    found = plan(graph, small, 100, None, None)
    built = placed(graph, found.folding)
    flow = elaborate(built, found.folding)
    assert built.nodes[-1].name == ENGINE
    assert flow.cycles <= found.cycles
    assert found.predicted.bram36 <= 8
    assert flow.traffic / found.cycles <= small.dram_bytes_per_cycle(100)


def test_a_speed_out_of_reach_says_what_is_reachable(graph: Graph, small: Board) -> None:
    with pytest.raises(BirealError) as error:
        plan(graph, small, 100, 50_000.0, None)
    assert re.fullmatch(
        r"target_fps=50000 is out of reach on pynq-z2 at 100 MHz: at most [\d,]+ frames per second \([\d,]+ cycles\)"
        r" can be reached, with the layers from layer\w+ on from DRAM; the slowest part is engine",
        str(error.value),
    )


def test_a_share_of_bandwidth_that_is_too_small_is_named(graph: Graph, small: Board) -> None:
    with pytest.raises(BirealError) as error:
        plan(graph, replace(small, dram_share=0.001), 100, 1000.0, None)
    assert re.search(
        r"a frame moves [\d,]+ bytes, and a network may take 0% of the memory's 2.1 GB/s \(dram_share\)$",
        str(error.value),
    )


def test_a_board_without_a_way_to_its_memory_is_too_small(graph: Graph, small: Board) -> None:
    with pytest.raises(BirealError, match=r"does not fit pynq-z2 at any speed: .* what fits: board=pynq-z1, "):
        plan(graph, replace(small, dram_share=0), 100, None, None)


def test_a_slower_memory_takes_longer(graph: Graph, small: Board) -> None:
    folding = plan(graph, small, 100, None, None).folding
    op = placed(graph, folding).nodes[-1].op
    program = op.program(folding[ENGINE])  # type: ignore[attr-defined]
    cycles = [program.cycles(rate) for rate in (math.inf, 16.0, 8.0, 2.0, 0.5)]
    assert cycles == sorted(cycles)
    assert cycles[-1] >= program.traffic / 0.5
