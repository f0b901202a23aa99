"""How fast the demo network simulates."""

from __future__ import annotations

from bireal_hw import boards
from bireal_hw.analysis.plan import plan
from bireal_hw.flows.bench.networks import demo
from bireal_hw.flows.bench.page import Found
from bireal_hw.sim.speed import simulation_speed

BOARD = "pynq-z2"
FRAMES = 16


def simulation() -> Found:
    """Build the simulator of the demo network from nothing, and run it."""
    graph, board = demo(), boards.board(BOARD)
    speed = simulation_speed(graph, plan(graph, board, board.clock_mhz, None, None).folding, FRAMES)
    return Found(
        ["cycles per frame", "seconds to the first frame", "cycles", "seconds", "cycles per second", "wrong logits"],
        [
            [
                speed.cycles_per_frame,
                speed.first_frame_seconds,
                speed.cycles,
                speed.seconds,
                speed.cycles_per_second,
                f"{speed.mismatches} of {speed.outputs_compared:,}",
            ]
        ],
        {
            "simulated_cycles_per_second": round(speed.cycles_per_second),
            "simulation_first_frame_seconds": round(speed.first_frame_seconds, 1),
        },
        f"The demo network at its solver's folding for {BOARD}, without stalls. Processor seconds of Verilator, g++ "
        "and simulator; those to the first frame compile Verilator's library as well.",
    )
