"""How Yosys maps a memory of the hardware library: logic, LUT RAM or block RAM, and how many blocks.

`memory_libmap` gives every way of building a memory a price and takes the cheapest. These are its prices for one
write port and one clocked read port, the only kinds of memory in `rtl/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, inf

from bireal_hw.ir.encoding import dense_shape, rom_shape


@dataclass(frozen=True, slots=True)
class BlockRam:
    """A kind of block RAM: its price, size in BRAM36, address bits at one bit a word, widths it can be used with."""

    price: int
    bram36: float
    address_bits: int
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LutRam:
    """A kind of LUT RAM: address bits, width, LUTs, and its price: a part of it grows with the bits in use."""

    address_bits: int
    width: int
    luts: int
    fixed_price: int
    bit_price: float


@dataclass(frozen=True, slots=True)
class Fabric:
    """What memories of a family can be made of."""

    blocks: tuple[BlockRam, ...]
    lut_rams: tuple[LutRam, ...]
    logic_price: float
    """Of a bit of a memory that is only read, in logic."""


XILINX_BLOCKS = (
    BlockRam(129, 0.5, 14, (1, 2, 4, 9, 18, 36)),
    BlockRam(257, 1.0, 15, (1, 2, 4, 9, 18, 36, 72)),
)
FABRICS = {
    "7series": Fabric(XILINX_BLOCKS, (LutRam(5, 6, 4, 1, 7 / 6), LutRam(6, 3, 4, 1, 7 / 3)), 1 / 64),
    "ultrascale+": Fabric(XILINX_BLOCKS, (LutRam(5, 14, 8, 0, 16 / 14), LutRam(6, 7, 8, 0, 16 / 7)), 1 / 64),
    "ecp5": Fabric((BlockRam(128, 0.5, 14, (1, 2, 4, 9, 18, 36)),), (LutRam(4, 4, 6, 4, 0),), 1),
}
"""By a board's family."""
BYTE = 9
"""A write enable of a block RAM governs this many bits."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a memory is built.

    Attributes:
        style: `logic`, `lut` or `block`.
        rows: cells above one another, between whose words a multiplexer selects.
        luts: LUTs that are memory.
        bram36: block RAM taken.
    """

    style: str
    rows: int = 1
    luts: int = 0
    bram36: float = 0


@cache
def map_memory(depth: int, width: int, writable: bool, family: str = "7series") -> Mapping:
    """Return the cheapest way to build a memory.

    >>> map_memory(1152, 512, writable=False).bram36
    21.5
    >>> map_memory(64, 128, writable=False).style
    'logic'
    """
    fabric = FABRICS[family]
    prices = [(inf if writable else depth * width * fabric.logic_price, Mapping("logic"))]
    for cell in fabric.lut_rams if writable else ():
        rows = ceil(depth / 2**cell.address_bits)
        units = ceil(rows * width / cell.width)
        price = units * cell.fixed_price + rows * width * cell.bit_price + _selection(rows, width, writable)
        prices.append((price, Mapping("lut", rows, luts=units * cell.luts)))
    for block in fabric.blocks:
        for index, unit in enumerate(block.widths):
            rows = ceil(depth / 2 ** (block.address_bits - index))
            padded = ceil(width / min(unit, BYTE)) * min(unit, BYTE) if writable else width
            units = ceil(rows * padded / unit)
            price = units * block.price + _selection(rows, width, writable)
            prices.append((price, Mapping("block", rows, bram36=units * block.bram36)))
    return min(prices, key=lambda one: one[0])[1]


def map_rom(depth: int, width: int, family: str = "7series") -> Mapping:
    """Return how the ROM of `br_constants` is built: lines of one or several words, so that no row lies above another.

    >>> map_rom(9216, 16)
    Mapping(style='block', rows=1, luts=0, bram36=4.0)
    >>> map_rom(1152, 512).bram36
    16.0
    """
    depth, width = dense_shape(depth, width)
    lines, words = rom_shape(depth, width)
    return map_memory(lines, words * width, writable=False, family=family)


def _selection(rows: int, width: int, writable: bool) -> float:
    """Price of choosing between rows: a multiplexer a bit, and a decoder of the write enable."""
    if rows == 1:
        return 0
    return ((rows - 1) * width + (rows if writable else 0)) / 2
