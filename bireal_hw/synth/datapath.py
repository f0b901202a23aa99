"""LUTs of binary matrix units alone, by folding: `python -m bireal_hw.synth.datapath [FAMILY] [plain] [PExSIMD ...]`.

The unit of a 3x3 convolution of 64 channels, or as many as Simd; `plain` leaves the counting to Yosys.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bireal_hw.errors import BirealError, nearest
from bireal_hw.ir.encoding import signed_width
from bireal_hw.rtl import closure
from bireal_hw.synth import yosys
from bireal_hw.synth.resources import Resources, count

FOLDINGS = ("1x8", "2x8", "4x16", "8x16", "8x32", "16x32", "32x32", "4x64", "8x64", "16x64")
KERNEL, CHANNELS = 3, 64
_CARRY = ("CARRY4", "CARRY8", "CCU2C")


def matrix_unit(pe: int, simd: int, family: str, plain: bool = False) -> tuple[Resources, int]:
    """Synthesise a br_binary_mvu.

    Returns:
        What it takes, the accumulators included and the memory of the weights not, and how many pieces of carry chain.

    Raises:
        BirealError: Yosys is missing or stopped.
    """
    elements = KERNEL * KERNEL * max(simd, CHANNELS)
    parameters = {
        "Pe": pe,
        "Simd": simd,
        "AccWidth": signed_width(-elements, elements),
        "Beats": elements // simd,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = closure({"br_binary_mvu"})
        for source in sources:
            text = source.read_text()
            unset = "`undef SYNTHESIS\n" if plain and source.stem == "br_popcount" else ""
            (folder / source.name).write_text(unset + text)
        options = " ".join(f"-G {key}={value}" for key, value in parameters.items())
        yosys.run(folder, yosys.script(f"br_binary_mvu {options}", [source.name for source in sources], family))
        cells = yosys.cells(folder)["br_binary_mvu"]
    return count(cells, family), sum(cells.get(cell, 0) for cell in _CARRY)


def main(arguments: list[str]) -> None:
    """Print the table.

    Raises:
        BirealError: an argument is no family and no folding, or Yosys is missing or stopped.
    """
    families = [word for word in arguments if word in yosys.FAMILIES]
    plain = "plain" in arguments
    foldings = [word for word in arguments if word not in families and word != "plain"]
    for word in foldings:
        if not all(part.isdecimal() and int(part) for part in word.split("x")) or word.count("x") != 1:
            names = [*yosys.FAMILIES, "plain"]
            near = nearest(word, names, cutoff=0.6)
            hint = f"did you mean '{near}'? " if near else ""
            raise BirealError(
                f"'{word}' is no family and no folding: {hint}give any of {', '.join(names)}, and foldings "
                f"as Pe x Simd, for example {FOLDINGS[-1]} (default {' '.join(FOLDINGS)})"
            )
    for family in families or ["7series"]:
        table = Table("Pe x Simd", "LUT", "LUT per MAC", "carry", "FF", title=f"{family}, Yosys {yosys.version()}")
        for word in foldings or FOLDINGS:
            pe, simd = map(int, word.split("x"))
            used, carry = matrix_unit(pe, simd, family, plain)
            table.add_row(word, f"{used.lut:,.0f}", f"{used.lut / (pe * simd):.2f}", str(carry), f"{used.ff:,.0f}")
        Console().print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BirealError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
