"""Writes what stands around a network on a board with open tools: the serial link, the clock, reset and pins."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import jinja2

from bireal_hw import __version__
from bireal_hw.errors import out_of_range
from bireal_hw.ir.graph import Graph
from bireal_hw.passes import describe
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.rtl import FILE_LIST, MEMORIES, closure
from bireal_hw.synth.ecp5 import Pll

SYSTEM, BOARD = "br_system", "br_board"
BAUDS = (1_000_000, 115_200, 57_600)
"""Speeds of the serial line, the first that the clock allows."""
MISS = 0.01
"""Share by which the line's speed may miss its nominal one."""
MIN_BIT_CYCLES = 8
"""Clock cycles of a bit, at least."""
TIMEOUT_BITS = 65_536
"""Pause inside a frame, in bits, after which the board gives it up."""


@dataclass(frozen=True)
class Serial:
    """The serial line: nominal speed, clock cycles of a bit, bits of silence that end a frame."""

    baud: int
    bit_cycles: int
    timeout_bits: int = TIMEOUT_BITS


def serial(mhz: float) -> Serial:
    """Return the fastest line that a clock allows.

    Raises:
        BirealError: it allows none.

    >>> serial(50).bit_cycles, serial(8.5).baud
    (50, 115200)
    """
    for baud in BAUDS:
        cycles = round(mhz * 1e6 / baud)
        if cycles >= MIN_BIT_CYCLES and abs(mhz * 1e6 / cycles - baud) <= MISS * baud:
            return Serial(baud, cycles)
    raise out_of_range("clock", f"{mhz:g}", f"a serial line of {BAUDS[-1]:,} baud needs a faster one")


def system_text(graph: Graph, flow: Dataflow, line: Serial, mhz: float) -> str:
    """Return br_system: the network and its link; `flow` is the graph's."""
    classes = graph.output.size
    return _template("system.sv.j2").render(
        graph=graph,
        flow=flow,
        serial=line,
        mhz=mhz,
        image_bytes=graph.input.pixels * graph.input.channels,
        classes=classes,
        class_bits=max(1, (classes - 1).bit_length()),
        describe=describe,
        version=__version__,
    )


def board_text(name: str, oscillator_mhz: float, pll: Pll | None) -> str:
    """Return br_board, in plain Verilog: a board's clock, reset and pins around br_system."""
    mhz = pll.mhz if pll else oscillator_mhz
    return _template("board.v.j2").render(
        board=name, oscillator_mhz=oscillator_mhz, pll=pll, mhz=mhz, version=__version__
    )


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.synth", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def gather(rtl: Path, folder: Path, system: str) -> list[str]:
    """Put a network's sources, the link's, br_system and the memories side by side into a folder.

    Returns:
        The SystemVerilog files in compile order.
    """
    shutil.copytree(rtl / MEMORIES, folder / MEMORIES)
    network = [rtl / name for name in (rtl / FILE_LIST).read_text().split()]
    paths = {path.name: path for path in [*closure({"br_link"}), *network]}  # the network's own copy wins
    for name, path in paths.items():
        shutil.copyfile(path, folder / name)
    (folder / f"{SYSTEM}.sv").write_text(system)
    packages = [name for name in paths if paths[name] in network and name.endswith("_pkg.sv")]
    return [*packages, *(name for name in paths if name not in packages), f"{SYSTEM}.sv"]
