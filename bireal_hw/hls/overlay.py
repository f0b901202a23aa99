"""What the block design around a network's IP needs to know of its board: the processor and its clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bireal_hw.toml import read_toml

PS7 = Path(__file__).with_name("ps7.toml")
IO_PLL_MHZ = 1000.0
"""What the PYNQ boards' clock for the logic, FCLK0, is divided from."""
DIVIDER = 63
"""Largest value of each of its two dividers (UG585, Zynq-7000 Technical Reference Manual)."""


@dataclass(frozen=True)
class Overlay:
    """The processor of a board.

    Attributes:
        board: its name.
        processor: parameters of the IP processing_system7.
        clock_mhz: of the network and everything around it.
    """

    board: str
    processor: dict[str, str]
    clock_mhz: float


@cache
def _processors() -> dict[str, dict[str, str]]:
    return read_toml(PS7, str(PS7))


def boards() -> tuple[str, ...]:
    """Return the names of the boards that a block design is written for."""
    return tuple(sorted(_processors().keys() - {"common"}))


def overlay(board: str, clock_mhz: float) -> Overlay | None:
    """Return what the block design for a board needs, or None if none is written for it.

    >>> overlay("pynq-z2", 150).clock_mhz
    142.857143
    """
    if board not in boards():
        return None
    clock = fclk_mhz(clock_mhz)
    processor = _processors()["common"] | _processors()[board] | {"PCW_FPGA0_PERIPHERAL_FREQMHZ": f"{clock:g}"}
    return Overlay(board, processor, clock)


def fclk_mhz(requested: float) -> float:
    """Return the highest clock, in MHz with 6 decimals, that FCLK0 can have without exceeding the requested one.

    >>> [fclk_mhz(mhz) for mhz in (100, 99, 142.857143, 1)]
    [100.0, 90.909091, 142.857143, 1.0]
    """
    divisors = (
        divisor
        for divisor in range(max(1, math.floor(IO_PLL_MHZ / requested)), DIVIDER**2 + 1)
        if round(IO_PLL_MHZ / divisor, 6) <= requested
        and any(divisor % first == 0 and divisor // first <= DIVIDER for first in range(1, DIVIDER + 1))
    )
    return round(IO_PLL_MHZ / next(divisors), 6)
