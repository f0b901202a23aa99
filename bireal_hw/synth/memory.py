"""How Yosys maps a memory of the hardware library to Xilinx cells: logic, LUT RAM or block RAM, and how many blocks.

`memory_libmap` gives every way of building a memory a price and takes the cheapest. These are its prices for one
write port and one clocked read port, the only kinds of memory in `rtl/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf


@dataclass(frozen=True, slots=True)
class Block:
    """A kind of block RAM: its price, size in BRAM36, address bits at one bit a word, widths it can be used with."""

    price: int
    bram36: float
    address_bits: int
    widths: tuple[int, ...]


BLOCKS = (
    Block(129, 0.5, 14, (1, 2, 4, 9, 18, 36)),
    Block(257, 1.0, 15, (1, 2, 4, 9, 18, 36, 72)),
)
BYTE = 9
"""A write enable of a block RAM governs this many bits."""
LUT_RAMS = ((5, 6), (6, 3))
"""(address bits, width) of a LUT RAM, which takes four LUTs."""
LOGIC_PER_ROM_BIT = 1 / 64


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a memory is built.

    Attributes:
        style: `logic`, `lut` or `block`.
        units: cells: LUT RAMs of four LUTs, or block RAMs of the kind chosen; 0 for logic.
        rows: cells above one another, between whose words a multiplexer selects.
        bram36: block RAM taken.
    """

    style: str
    units: int = 0
    rows: int = 1
    bram36: float = 0


def map_memory(depth: int, width: int, writable: bool) -> Mapping:
    """Return the cheapest way to build a memory.

    >>> map_memory(1152, 512, writable=False).bram36
    21.5
    >>> map_memory(64, 128, writable=False).style
    'logic'
    """
    prices: list[tuple[float, Mapping]] = [(inf if writable else depth * width * LOGIC_PER_ROM_BIT, Mapping("logic"))]
    if writable:
        for address_bits, unit in LUT_RAMS:
            rows = ceil(depth / 2**address_bits)
            units = ceil(rows * width / unit)
            price = units + 7 * rows * width / unit + _selection(rows, width, writable)
            prices.append((price, Mapping("lut", units, rows)))
    for block in BLOCKS:
        for index, unit in enumerate(block.widths):
            rows = ceil(depth / 2 ** (block.address_bits - index))
            padded = ceil(width / min(unit, BYTE)) * min(unit, BYTE) if writable else width
            units = ceil(rows * padded / unit)
            price = units * block.price + _selection(rows, width, writable)
            prices.append((price, Mapping("block", units, rows, units * block.bram36)))
    return min(prices, key=lambda one: one[0])[1]


def _selection(rows: int, width: int, writable: bool) -> float:
    """Price of choosing between rows: a multiplexer a bit, and a decoder of the write enable."""
    if rows == 1:
        return 0
    return ((rows - 1) * width + (rows if writable else 0)) / 2
