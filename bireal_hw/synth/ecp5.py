"""What open tools have to know of an ECP5 board: the device, its pins, and how its PLL makes a clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bireal_hw import boards
from bireal_hw.boards import Board
from bireal_hw.errors import BirealError, out_of_range

VCO_MHZ = (400.0, 800.0)
"""Range of the PLL's oscillator (ECP5 and ECP5-5G Family Data Sheet, FPGA-DS-02012)."""
PLL_MHZ = (3.125, 400.0)
"""Range of the PLL's outputs, as there."""
DIVIDER = 128
"""Largest value of each of its dividers."""


@dataclass(frozen=True)
class Device:
    """A part as nextpnr's options name it: size (`85k`), package (`CABGA381`), speed grade (6, 7 or 8)."""

    size: str
    package: str
    speed: int


@dataclass(frozen=True)
class Pll:
    """Factors of the PLL: its oscillator runs at `multiplier` times the input, the clock is that over `divider`."""

    input_mhz: float
    multiplier: int
    divider: int

    @property
    def vco_mhz(self) -> float:
        """Frequency of the PLL's oscillator."""
        return self.input_mhz * self.multiplier

    @property
    def mhz(self) -> float:
        """The clock that comes out."""
        return self.vco_mhz / self.divider


def device(part: str) -> Device:
    """Read a part's name.

    Raises:
        BirealError: it is not an ECP5 without transceivers in a package of that kind.

    >>> device("LFE5U-85F-6BG381C")
    Device(size='85k', package='CABGA381', speed=6)
    """
    match = re.fullmatch(r"LFE5U-(12|25|45|85)F-([678])BG(\d+)[CI]", part)
    if not match:
        raise BirealError(f"part {part} is not one that nextpnr is asked for here: write it like LFE5U-85F-6BG381C")
    return Device(f"{match[1]}k", f"CABGA{match[3]}", int(match[2]))


def with_pins() -> tuple[str, ...]:
    """Return the names of the boards whose pins are known."""
    return tuple(name for name in boards.names() if _pins(name).exists())


def _pins(name: str) -> Path:
    return boards.FOLDER / f"{name}.lpf"


def pins(board: Board) -> Path:
    """Return the file that says where br_board's ports are on a board, and how fast its oscillator is.

    Raises:
        BirealError: no open tools build for the board, or its pins are not known.
    """
    if board.flow != "nextpnr":
        raise BirealError(
            f"no open tools make a bitstream for board={board.name} ({board.part}): "
            f"choose from {', '.join(with_pins())}, or use make hls"
        )
    path = _pins(board.name)
    if not path.exists():
        raise BirealError(f"board={board.name} lacks its pins: write {path} like that of {', '.join(with_pins())}")
    return path


def oscillator_mhz(path: Path) -> float:
    """Return the frequency of a board's oscillator from its file of pins.

    Raises:
        BirealError: it does not stand there.
    """
    match = re.search(r'^FREQUENCY PORT "clk_i" ([\d.]+) MHZ;', path.read_text(), re.MULTILINE)
    if not match:
        raise BirealError(f'{path} does not say how fast the oscillator is: FREQUENCY PORT "clk_i" <number> MHZ;')
    return float(match[1])


def pll(input_mhz: float, wanted_mhz: float) -> Pll | None:
    """Return how to make the highest clock that is not above the wanted one; None if that is the oscillator's own.

    Raises:
        BirealError: the PLL cannot make it.

    >>> pll(25, 50), pll(25, 25)
    (Pll(input_mhz=25, multiplier=24, divider=12), None)
    >>> round(pll(25, 121).mhz, 3)
    120.833
    """
    if wanted_mhz == input_mhz:
        return None
    low, high = PLL_MHZ
    if not low <= wanted_mhz <= high:
        raise out_of_range("clock", f"{wanted_mhz:g}", f"the board's PLL makes {low:g} to {high:g} MHz")
    found = [
        Pll(input_mhz, multiplier, divider)
        for multiplier in range(1, DIVIDER + 1)
        if VCO_MHZ[0] <= input_mhz * multiplier <= VCO_MHZ[1]
        for divider in range(1, DIVIDER + 1)
        if low <= input_mhz * multiplier / divider <= wanted_mhz
    ]
    middle = sum(VCO_MHZ) / 2
    return max(found, key=lambda one: (one.mhz, -abs(one.vco_mhz - middle)))
