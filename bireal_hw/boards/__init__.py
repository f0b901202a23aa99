"""The boards a network can be built for: one TOML file each, named as the user types it.

A file that is added to this folder is a board like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError, unknown
from bireal_hw.toml import read_toml

FOLDER = Path(__file__).parent
FAMILIES = ("7series", "ultrascale+", "ecp5")
FLOWS = ("vivado", "nextpnr")


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
    #: Share of that bandwidth that a network may take; 0 where a network has no way to the memory.
    dram_share: float
    #: Clock of the accelerator in MHz unless the user asks for another.
    clock_mhz: float

    def dram_bytes_per_cycle(self, clock_mhz: float) -> float:
        """Bytes that a network may move to and from the memory, on average, in a cycle of its clock."""
        return self.dram_share * self.dram_gbytes_per_s * 1e3 / clock_mhz


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "part": (lambda value: isinstance(value, str) and value != "", "the device's name as a string"),
    "family": (lambda value: value in FAMILIES, f"one of {', '.join(FAMILIES)}"),
    "flow": (lambda value: value in FLOWS, f"one of {', '.join(FLOWS)}"),
    **dict.fromkeys(("lut", "ff", "bram36", "uram", "dsp"), (_count, "a whole number from 0")),
    **dict.fromkeys(("dram_gbytes_per_s", "clock_mhz"), (_positive, "a number above 0")),
    "dram_share": (_share, "a number from 0 to 1"),
}
"""What each field of a file can be, and how to say so."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of all boards in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@cache
def board(name: str) -> Board:
    """Return the board of this name.

    Raises:
        BirealError: there is no such board, or its file is wrong.

    >>> board("pynq-z2").dsp
    220
    """
    if name not in names():
        raise unknown("board", name, names())
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> Board:
    """Read a board's file, which names the board.

    Raises:
        BirealError: it cannot be read, lacks fields, has foreign ones, or one has an impossible value.
    """
    content = read_toml(path, f"board file {path}")
    if missing := [name for name in _RULES if name not in content]:
        raise BirealError(f"board file {path} lacks {', '.join(missing)}: every board has {', '.join(_RULES)}")
    for name, value in content.items():
        if name not in _RULES:
            raise BirealError(f"board file {path}: {unknown('field', name, _RULES)}")
        possible, words = _RULES[name]
        if not possible(value):
            raise BirealError(f"board file {path}: {name}={value!r} must be {words}")
    return Board(name=path.stem, **content)
