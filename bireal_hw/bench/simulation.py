"""How fast networks simulate, and how long a frame takes in clock cycles, predicted and measured."""

from __future__ import annotations

from bireal_hw import boards
from bireal_hw.analysis.plan import plan
from bireal_hw.bench.networks import demo
from bireal_hw.bench.page import Cell, Found
from bireal_hw.export.random import random_network
from bireal_hw.models.spec import ModelSpec
from bireal_hw.sim.network import MIN_FRAMES
from bireal_hw.sim.speed import Speed, simulation_speed

BOARD = "pynq-z2"
FRAMES = 16
OTHERS = {
    "Bi-Real-34, width 0.125, 16x24 RGB": ModelSpec("bireal34", width=0.125, image=(16, 24), classes=7),
    "Bi-Real-18, width 0.125, 96x64 RGB, 7x7 stem, max pool": ModelSpec(width=0.125, image=(96, 64)),
    "Bi-Real-50, width 0.125, 16x16 RGB": ModelSpec("bireal50", width=0.125, image=(16, 16)),
}
"""Networks that are simulated for `MIN_FRAMES` frames, beside the demo's."""


def simulation() -> Found:
    """Build simulators from nothing, and run them."""
    board = boards.board(BOARD)
    rows: list[list[Cell]] = []
    measured: dict[str, Speed] = {}
    networks = {"demo": (demo(), FRAMES)}
    networks |= {name: (random_network(spec)[1], MIN_FRAMES) for name, spec in OTHERS.items()}
    for name, (graph, frames) in networks.items():
        chosen = plan(graph, board, board.clock_mhz, None, None)
        speed = measured[name] = simulation_speed(graph, chosen.folding, frames)
        rows.append([name, speed.cycles_predicted, speed.cycles_per_frame, speed.first_frame_seconds])
        rows[-1] += [speed.cycles, speed.seconds, speed.cycles_per_second]
        rows[-1].append(f"{speed.mismatches} of {speed.outputs_compared:,}")
    return Found(
        [
            "network",
            "cycles per frame, predicted",
            "measured",
            "seconds to the first frame",
            "cycles",
            "seconds",
            "cycles per second",
            "wrong logits",
        ],
        rows,
        {
            "simulated_cycles_per_second": round(measured["demo"].cycles_per_second),
            "simulation_first_frame_seconds": round(measured["demo"].first_frame_seconds, 1),
        },
        f"At the solver's folding for {BOARD}, frames back to back without stalls; the demo network is trained, the "
        "others have random weights. Processor seconds of Verilator, g++ and simulator; those to the first frame "
        "compile Verilator's library as well.",
    )
