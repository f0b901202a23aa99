"""The boards a network can be built for: one TOML file each, named as the user types it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bireal_hw.errors import unknown

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Board:
    """What a board offers; the figures are the device's totals from its vendor's data sheet."""

    name: str
    #: Device, package and speed grade as the tool flow wants it.
    part: str
    #: Architecture: `7series`, `ultrascale+` (both LUT6) or `ecp5` (LUT4).
    family: str
    #: Tools that make its bitstream: `vivado`, or `nextpnr` (open).
    flow: str
    #: Look-up tables.
    lut: int
    #: Flip-flops.
    ff: int
    #: Block RAMs of 36 Kb; a memory of 18 Kb counts one half.
    bram36: int
    #: UltraRAMs of 288 Kb.
    uram: int
    #: Multiplier blocks.
    dsp: int
    #: Peak bandwidth of the external memory in 10^9 bytes per second.
    dram_gbytes_per_s: float
    #: Clock of the accelerator in MHz unless the user asks for another.
    clock_mhz: float


@cache
def names() -> tuple[str, ...]:
    """Return the names of all boards in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@cache
def board(name: str) -> Board:
    """Return the board of this name.

    Raises:
        BirealError: there is no such board.

    >>> board("pynq-z2").dsp
    220
    """
    if name not in names():
        raise unknown("board", name, names())
    return Board(name=name, **tomllib.loads((FOLDER / f"{name}.toml").read_text()))
