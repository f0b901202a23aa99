"""Figures that need no simulator: logic and clock by the open tools, speed on every board by the solver."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict
from typing import Any

from bireal_hw import boards
from bireal_hw.analysis.choices import Choices
from bireal_hw.analysis.memories import memories
from bireal_hw.analysis.plan import plan
from bireal_hw.analysis.solver import Solution, Solver
from bireal_hw.bench.networks import demo, random_network
from bireal_hw.bench.page import Cell, Found
from bireal_hw.models.spec import ModelSpec
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.steps.synth import CACHE, progress
from bireal_hw.synth import clock
from bireal_hw.synth.datapath import matrix_unit
from bireal_hw.synth.ecp5 import device
from bireal_hw.synth.resources import NAMES, offered

FOLDINGS = ((1, 8), (4, 16), (8, 32), (16, 32), (32, 32), (8, 64))
HEADLINE = (8, 64)
"""Pe and Simd of the matrix unit whose figure stands at the head of the page."""
FAMILIES = {"7series": "LUT6", "ecp5": "LUT4"}
WIDTHS = (0.25, 0.5, 1.0)
OPEN_BOARD = "ulx3s-85f"
SHOWN = ("lut", "bram36", "dsp")
BOARD, MEMORY_FPS = "pynq-z2", 3000.0
ALL = "all"


def datapath() -> Found:
    """Synthesise matrix units alone."""
    rows: list[list[Cell]] = []
    figures = {}
    units = list(itertools.product(FOLDINGS, FAMILIES))
    luts: dict[tuple[tuple[int, int], str], float] = {}
    with progress() as advance:
        for fold, family in units:
            luts[fold, family] = matrix_unit(*fold, family)[0].lut
            advance(len(luts), len(units))
    for fold in FOLDINGS:
        row: list[Cell] = [f"{fold[0]} x {fold[1]}"]
        for family in FAMILIES:
            each = luts[fold, family] / math.prod(fold)
            row += [int(luts[fold, family]), each]
            if fold == HEADLINE:
                figures[f"{FAMILIES[family].lower()}_per_binary_mac"] = round(each, 3)
        rows.append(row)
    columns = ["Pe x Simd", *(word for lut in FAMILIES.values() for word in (lut, f"{lut} per MAC"))]
    note = (
        "The matrix unit of a 3x3 convolution with 64 channels: counters, accumulators and control. "
        "LUT6: 7-series and UltraScale+; LUT4: ECP5."
    )
    return Found(columns, rows, {"lut_per_binary_mac": figures["lut6_per_binary_mac"]} | figures, note)


def speed() -> Found:
    """Ask the solver for the fastest network on every board."""
    rows: list[list[Cell]] = []
    figures = {}
    graphs = {width: random_network(ModelSpec(width=width))[1] for width in WIDTHS}
    solved: dict[tuple[Any, ...], Solution | None] = {}
    for name in boards.names():
        board = boards.board(name)
        for width, graph in graphs.items():
            question = (width, *asdict(offered(board)).values())  # two boards may have the same device
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


def memory() -> Found:
    """Ask how much of the block RAM that networks take they fill."""
    board = boards.board(BOARD)
    rows: list[list[Cell]] = []
    figures = {}
    for name, graph, fps in (
        ("demo", demo(), None),
        ("width 0.5", random_network(ModelSpec(width=0.5))[1], MEMORY_FPS),
    ):
        flow = elaborate(graph, plan(graph, board, board.clock_mhz, fps, None).folding)
        held = [one for one in memories(flow, board.family) if one.style == "block"]
        for kind in (*dict.fromkeys(one.name for one in held), ALL):
            some = [one for one in held if kind in (one.name, ALL)]
            stored, occupied = (sum(getattr(one, bits) for one in some) for bits in ("stored_bits", "occupied_bits"))
            rows.append([name, kind, len(some), sum(one.bram36 for one in some), stored, occupied, stored / occupied])
        figures[f"block_ram_in_use_{name.replace(' ', '_')}"] = round(stored / occupied, 3)
    return Found(
        ["network", "memories", "number", "BRAM36", "bits stored", "bits occupied", "share"],
        rows,
        figures,
        f"Memories in block RAM, {BOARD}: weights of convolutions, window: line buffers, queue: FIFOs, sums of pools. "
        f"demo: 16x16 gray, without target_fps; width 0.5: Bi-Real-18, 32x32 RGB, target_fps={MEMORY_FPS:g}.",
    )


def clocks() -> Found:
    """Place and route every layer of the demo network alone."""
    graph = demo()
    board = boards.board(OPEN_BOARD)
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
        f"{OPEN_BOARD}, {board.part}, the demo network at its solver's folding, each layer alone with registers around "
        f"it, placed for {clock.TARGET_MHZ:g} MHz; of each kind the slowest.",
    )
