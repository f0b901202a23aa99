"""Clock of each layer of the demo network, by open tools."""

from __future__ import annotations

from bireal_hw import boards
from bireal_hw.analysis.plan import plan
from bireal_hw.bench.networks import demo
from bireal_hw.bench.page import Cell, Found
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.steps.synth import CACHE
from bireal_hw.synth import clock
from bireal_hw.synth.ecp5 import device

BOARD = "ulx3s-85f"


def clocks() -> Found:
    """Place and route every layer of the demo network alone."""
    graph = demo()
    board = boards.board(BOARD)
    flow = elaborate(graph, plan(graph, board, board.clock_mhz, None, None).folding)
    found = clock.measure(flow, device(board.part), clock.TARGET_MHZ, CACHE)
    rows: list[list[Cell]] = []
    figures = {}
    for one, count in clock.slowest(found):
        worst, used = one.routed.slowest, one.routed.used
        amounts = [used[kind][0] for kind in ("LUT4", "EBR", "MULT18")]
        rows.append([one.instance.binding.module, count, one.instance.name, *amounts, worst.reached, worst.path.ns])
        rows[-1].append(one.path)
        figures[f"mhz_{one.instance.binding.module}"] = round(worst.reached, 1)
    return Found(
        ["layer", "different ones", "slowest", "LUT4", "EBR", "MULT18", "MHz", "ns", "slowest path"],
        rows,
        {"mhz_slowest_layer": min(figures.values())} | figures,
        f"{BOARD}, {board.part}, the demo network at its solver's folding, each layer alone with registers around "
        f"it, placed for {clock.TARGET_MHZ:g} MHz; of each kind the slowest.",
    )
