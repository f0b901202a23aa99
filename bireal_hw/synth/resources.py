"""What hardware is made of: counted in a netlist, predicted by the cost model, on a board."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from bireal_hw.boards import Board
from bireal_hw.schema import Number


@dataclass(frozen=True, slots=True)
class Resources:
    """Amounts of each kind; a block RAM of 18 Kb counts one half of `bram36`."""

    lut: Number = 0
    ff: Number = 0
    bram36: Number = 0
    uram: Number = 0
    dsp: Number = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.lut + other.lut,
            self.ff + other.ff,
            self.bram36 + other.bram36,
            self.uram + other.uram,
            self.dsp + other.dsp,
        )

    def __mul__(self, times: float) -> Resources:
        return Resources(*(times * amount for amount in astuple(self)))

    def rounded(self) -> Resources:
        """Whole LUTs, flip-flops, UltraRAMs and DSPs, whole halves of block RAM."""
        return Resources(round(self.lut), round(self.ff), round(2 * self.bram36) / 2, round(self.uram), round(self.dsp))


KINDS = tuple(item.name for item in fields(Resources))

NAMES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}
"""The kinds as people write them."""


def number(amount: float) -> str:
    """Write an amount with at most one decimal.

    >>> number(1_728_000), number(70.5), number(0)
    ('1,728,000', '70.5', '0')
    """
    return f"{amount:,.1f}".removesuffix(".0")


def capacity(board: Board) -> Resources:
    """Return what a board has."""
    return Resources(*(getattr(board, kind) for kind in KINDS))


def exceeded(used: Resources, board: Board) -> list[str]:
    """Return the kinds of which a board has too little, the scarcest first."""
    have = capacity(board)
    over = [kind for kind in KINDS if getattr(used, kind) > getattr(have, kind)]
    return sorted(over, key=lambda kind: -getattr(used, kind) / max(getattr(have, kind), 1))


XILINX: dict[str, Resources] = {
    **{f"LUT{inputs}": Resources(lut=1) for inputs in range(1, 7)},
    "INV": Resources(lut=1),  # what is left of them is a LUT of one input
    **dict.fromkeys(("SRL16E", "SRLC32E", "RAM32X1S", "RAM64X1S"), Resources(lut=1)),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), Resources(lut=2)),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), Resources(lut=4)),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM256X1D", "RAM512X1S"), Resources(lut=8)),
    **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), Resources(ff=1)),
    **dict.fromkeys(("RAMB18E1", "RAMB18E2"), Resources(bram36=0.5)),
    **dict.fromkeys(("RAMB36E1", "RAMB36E2"), Resources(bram36=1)),
    **dict.fromkeys(("URAM288", "URAM288_BASE"), Resources(uram=1)),
    **dict.fromkeys(("DSP48E1", "DSP48E2"), Resources(dsp=1)),
    # Beside the LUTs, in the same slices:
    **dict.fromkeys(("MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8", "GND", "VCC"), Resources()),
}
ECP5: dict[str, Resources] = {
    "LUT4": Resources(lut=1),
    "INV": Resources(lut=1),
    "CCU2C": Resources(lut=2),
    "TRELLIS_DPR16X4": Resources(lut=6),  # 4 bits of memory and the pair that writes them
    "TRELLIS_FF": Resources(ff=1),
    **dict.fromkeys(("DP16KD", "PDPW16KD"), Resources(bram36=0.5)),
    "MULT18X18D": Resources(dsp=1),
    **dict.fromkeys(("PFUMX", "L6MUX21", "ALU54B", "EHXPLLL"), Resources()),
}
"""What each cell of a netlist stands for."""


def count(cells: dict[str, int], family: str) -> Resources:
    """Add up the cells of a netlist by type.

    Raises:
        KeyError: a cell that is not in the table: a latch or a black box would be a fault of the hardware library.
    """
    table = ECP5 if family == "ecp5" else XILINX
    total = Resources()
    for cell, number in cells.items():
        if not cell.startswith("$"):  # notes of Yosys, no hardware
            total += table[cell] * number
    return total
