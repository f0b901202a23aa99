"""What real-valued matrix units take alone: `python -m bireal_hw.synth.multipliers [FAMILY] [PExSIMD ...]`.

Inputs and weights of 8 bits, sums of 24; a multiplier for each product, then one for each two (`Fold.pack`).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bireal_hw.errors import BirealError, unknown
from bireal_hw.rtl import closure
from bireal_hw.synth import yosys
from bireal_hw.synth.resources import Resources, count

FOLDINGS = ("2x1", "2x8", "4x9")
UNIT = "br_real_mvu"


def matrix_unit(pe: int, simd: int, pack: int, family: str) -> Resources:
    """Synthesise a br_real_mvu.

    Returns:
        What it takes, the accumulators included and the memory of the weights not.

    Raises:
        BirealError: Yosys is missing or stopped.
    """
    parameters = {"Pe": pe, "Simd": simd, "Pack": pack, "InWidth": 8, "AccWidth": 24}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = closure({UNIT})
        for source in sources:
            (folder / source.name).write_text(source.read_text())
        options = " ".join(f"-G {key}={value}" for key, value in parameters.items())
        yosys.run(folder, yosys.script(f"{UNIT} {options}", [source.name for source in sources], family))
        return count(yosys.cells(folder)[UNIT], family)


def main(arguments: list[str]) -> None:
    """Print the table.

    Raises:
        BirealError: an argument is no family and no folding, or Yosys is missing or stopped.
    """
    families = [word for word in arguments if word in yosys.FAMILIES]
    foldings = [word for word in arguments if word not in families]
    for word in foldings:
        if not all(part.isdecimal() and int(part) for part in word.split("x")) or word.count("x") != 1:
            raise unknown("family or folding", word, [*yosys.FAMILIES, *FOLDINGS])
    for family in families or ["7series"]:
        table = Table("Pe x Simd", "pack", "DSP", "LUT", "FF", title=f"{family}, Yosys {yosys.version()}")
        for word in foldings or FOLDINGS:
            pe, simd = map(int, word.split("x"))
            for pack in (1, 2):
                used = matrix_unit(pe, simd, pack, family)
                table.add_row(word, str(pack), f"{used.dsp:,.0f}", f"{used.lut:,.0f}", f"{used.ff:,.0f}")
        Console().print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BirealError as error:
        sys.exit(f"error: {error}")
