"""Frames per second on every board, by the solver."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bireal_hw import boards
from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.solver import Solution, Solver
from bireal_hw.bench.page import Cell, Found
from bireal_hw.export.random import random_network
from bireal_hw.models.spec import ModelSpec
from bireal_hw.synth.resources import NAMES, capacity

WIDTHS = (0.25, 0.5, 1.0)
SHOWN = ("lut", "bram36", "dsp")


def speed() -> Found:
    """Ask the solver for the fastest network on every board."""
    rows: list[list[Cell]] = []
    figures = {}
    graphs = {width: random_network(ModelSpec(width=width))[1] for width in WIDTHS}
    solved: dict[tuple[Any, ...], Solution | None] = {}
    for name in boards.names():
        board = boards.board(name)
        for width, graph in graphs.items():
            question = (width, *asdict(capacity(board)).values())  # two boards may have the same device
            if question not in solved:
                solved[question] = Solver(Choices(graph), board).most()
            found = solved[question]
            if found is None:
                continue
            fps = board.clock_mhz * 1e6 / found.cycles
            used = found.predicted.rounded()
            shares = [f"{100 * getattr(used, kind) / max(getattr(board, kind), 1):.0f} %" for kind in SHOWN]
            rows.append([name, width, board.clock_mhz, found.cycles, int(fps), *shares])
            figures[f"fps_{name}_width_{width:g}"] = int(fps)
    return Found(
        ["board", "width", "MHz", "cycles per frame", "frames per second", *(NAMES[kind] for kind in SHOWN)],
        rows,
        figures,
        "Bi-Real-18, 32x32 RGB, 10 classes, target_fps=max at the board's clock: what the solver predicts. Missing: "
        "what does not fit. On an ECP5 LUTs are counted as those of six inputs; it takes about 1.7 LUT4 for one.",
    )
