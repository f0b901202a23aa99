"""From a generated network to a bitstream with open tools: Yosys, nextpnr, ecppack."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bireal_hw.boards import Board
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import Dataflow, Instance
from bireal_hw.synth import nextpnr, yosys
from bireal_hw.synth.board import BOARD, SYSTEM, Serial, board_text, gather, serial, system_text
from bireal_hw.synth.ecp5 import Device, Pll, device, oscillator_mhz, pins, pll
from bireal_hw.synth.nextpnr import Routed
from bireal_hw.synth.resources import NAMES, capacity, count, exceeded

BITSTREAM = "bireal.bit"
PINS = "board.lpf"
LINK = "link"
"""What a path through the serial link is said to belong to."""


@dataclass(frozen=True)
class Plan:
    """How a network is to be put on a board.

    Attributes:
        board, device, pins: what for.
        oscillator_mhz: what the board's clock input gets.
        pll: how the network's clock is made of it; None if it is the same.
        line: the serial line.
    """

    board: Board
    device: Device
    pins: Path
    oscillator_mhz: float
    pll: Pll | None
    line: Serial

    @property
    def mhz(self) -> float:
        """The network's clock."""
        return self.pll.mhz if self.pll else self.oscillator_mhz


def plan(board: Board, clock_mhz: float) -> Plan:
    """Decide clock and serial line.

    Raises:
        BirealError: no open tools build for the board, a tool is missing, or the board cannot make the clock.
    """
    file, part = pins(board), device(board.part)
    yosys.version()
    nextpnr.version()
    oscillator = oscillator_mhz(file)
    found = pll(oscillator, clock_mhz)
    return Plan(board, part, file, oscillator, found, serial(found.mhz if found else oscillator))


def synthesise(made: Plan, graph: Graph, flow: Dataflow, rtl: Path, folder: Path) -> None:
    """Write the sources into an empty folder and leave the netlist there.

    Args:
        made: how.
        graph: the network.
        flow: the graph's.
        rtl: folder that `bireal_hw.rtl.generate` wrote.
        folder: to work in.

    Raises:
        BirealError: Yosys stopped, or the design is larger than the board.
    """
    sources = gather(rtl, folder, system_text(graph, flow, made.line, made.mhz))
    (folder / f"{BOARD}.v").write_text(board_text(made.board.name, made.oscillator_mhz, made.pll))
    (folder / PINS).write_text(made.pins.read_text())
    yosys.run(folder, yosys.netlist_script(SYSTEM, sources, made.board.family, nextpnr.NETLIST, BOARD))
    used = count(yosys.cells(folder)[BOARD], made.board.family)
    if over := exceeded(used, made.board):
        have = capacity(made.board)
        amounts = ", ".join(f"{NAMES[kind]} {getattr(used, kind):,g} of {getattr(have, kind):,g}" for kind in over)
        raise BirealError(f"the network does not fit {made.board.name}: {amounts}; ask for a lower target_fps=")


@dataclass(frozen=True)
class Taken:
    """Time that a tool took, in seconds: by the clock, and of the processor."""

    seconds: float
    cpu_seconds: float


def build(
    made: Plan, graph: Graph, flow: Dataflow, rtl: Path, folder: Path, tell: Callable[[str], None]
) -> tuple[Routed, dict[str, Taken]]:
    """Make the bitstream in an empty folder; it is left out where the clock is not reached.

    Args:
        made: how.
        graph: the network.
        flow: the graph's.
        rtl: folder that `bireal_hw.rtl.generate` wrote.
        folder: to work in; keeps everything that the tools wrote.
        tell: called with what comes next.

    Returns:
        What nextpnr found, and the time of each tool.
    """
    taken: dict[str, Taken] = {}

    @contextmanager
    def timed(tool: str, words: str) -> Iterator[None]:
        tell(words)
        clock, cpu = time.monotonic(), _children()
        yield
        taken[tool] = Taken(round(time.monotonic() - clock, 1), round(_children() - cpu, 1))

    with timed("yosys", "synthesis"):
        synthesise(made, graph, flow, rtl, folder)
    with timed("nextpnr", "place and route"):
        routed = nextpnr.place_and_route(folder, made.device, folder / PINS, made.mhz)
    if routed.slowest.reached >= routed.slowest.requested:
        with timed("ecppack", "packing"):
            nextpnr.pack(folder, BITSTREAM)
    return routed, taken


def _children() -> float:
    """Return the processor's seconds of all processes that this one has started and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def layers_on(cells: Iterable[str], instances: Iterable[Instance]) -> list[str]:
    """Return the layers that the cells of a path belong to, in order; what is no layer's is the link's.

    >>> layers_on(["u_system.u_link.u_tags.count_q_LUT4", "reset_q"], [])
    ['link']
    """
    layers = {one.name: one.layer for one in instances}
    found: list[str] = []
    for cell in cells:
        match = re.search(r"\bu_network\.u_(\w+)", cell)
        layer = layers.get(match[1], match[1]) if match else LINK
        if layer not in found[-1:]:
            found.append(layer)
    return found
