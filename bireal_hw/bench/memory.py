"""How full the block RAM of networks is."""

from __future__ import annotations

from bireal_hw import boards
from bireal_hw.analysis.memories import memories, total
from bireal_hw.analysis.plan import plan
from bireal_hw.bench.networks import demo
from bireal_hw.bench.page import Cell, Found
from bireal_hw.export.random import random_network
from bireal_hw.models.spec import ModelSpec
from bireal_hw.passes.dataflow import elaborate

BOARD, FPS = "pynq-z2", 3000.0
ALL = "all"


def memory() -> Found:
    """Ask how much of the block RAM that networks take they fill."""
    board = boards.board(BOARD)
    rows: list[list[Cell]] = []
    figures = {}
    for name, graph, fps in (
        ("demo", demo(), None),
        ("width 0.5", random_network(ModelSpec(width=0.5))[1], FPS),
    ):
        flow = elaborate(graph, plan(graph, board, board.clock_mhz, fps, None).folding)
        held = [one for one in memories(flow, board.family) if one.style == "block"]
        for kind in (*dict.fromkeys(one.name for one in held), ALL):
            some = [one for one in held if kind in (one.name, ALL)]
            bits = total(some)
            share = bits.stored_bits / bits.occupied_bits
            amounts = len(some), sum(one.bram36 for one in some), bits.stored_bits, bits.occupied_bits
            rows.append([name, kind, *amounts, share])
        figures[f"block_ram_in_use_{name.replace(' ', '_')}"] = round(share, 3)
    return Found(
        ["network", "memories", "number", "BRAM36", "bits stored", "bits occupied", "share"],
        rows,
        figures,
        f"Memories in block RAM, {BOARD}: weights of convolutions, window: line buffers, queue: FIFOs, sums of pools. "
        f"demo: 16x16 gray, without target_fps; width 0.5: Bi-Real-18, 32x32 RGB, target_fps={FPS:g}.",
    )
