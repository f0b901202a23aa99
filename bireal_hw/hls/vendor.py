"""Vitis HLS and Vivado where they are installed: from a generated project to an IP and, on some boards, a bitstream."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError
from bireal_hw.hls.project import IMAGE, IP, PROJECT, SCRIPT, TOP, VITIS
from bireal_hw.hls.reports import read_cosimulation, read_synthesis, read_timing, read_utilisation
from bireal_hw.hls.results import VendorStages
from bireal_hw.tools import environment as tool_environment
from bireal_hw.tools import first_error
from bireal_hw.zynq.system import OVERLAY, TIMING, UTILISATION, boards
from bireal_hw.zynq.system import SCRIPT as BLOCK_DESIGN

SYNTHESIS = Path(VITIS) / "syn" / "report" / f"{TOP}_csynth.xml"
COSIMULATION = Path(VITIS) / "sim" / "report" / f"{TOP}_cosim.rpt"
FILES = (f"{OVERLAY}/bireal.bit", f"{OVERLAY}/bireal.hwh")

_VITIS = {"vitis-run": ("--mode", "hls", "--tcl", SCRIPT), "vitis_hls": ("-f", SCRIPT)}
"""Programs that run the script of C synthesis, the newer first."""
_VIVADO = ("vivado", "-mode", "batch", "-source", BLOCK_DESIGN)
_QUIET = ("-nojournal", "-nolog", "-notrace")
_NO_DESIGN = {"skipped": f"a block design is written for {', '.join(boards())} only"}
_NO_ENGINE = {"skipped": "no block design is written for C++ with an engine; the SystemVerilog has one (make board)"}

Report = dict[str, Any]


@dataclass(frozen=True)
class _Workplace:
    """Where the tools run.

    Attributes:
        project: the folder of the project, with the tools' files and their logs.
        final: where it will lie, for what is said about it.
        note: is told what begins.
    """

    project: Path
    final: Path
    note: Callable[[str], object]

    def run(self, command: list[str], read: Callable[[], Report], **environment: str) -> Report:
        """Run a tool with its words in a log, and read its reports."""
        log = f"{command[0]}.out"
        about = {"tool": command[0], "log": str(self.final / log)}
        self.note(f"{command[0]} is at work; its words go to {self.project / log}")
        with (self.project / log).open("w") as words:
            # Without a terminal: Vitis HLS asks for commands once a script has failed.
            done = subprocess.run(
                command,
                cwd=self.project,
                env=tool_environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                check=False,
            )
        if not done.returncode:
            return about | self.read(read)
        return about | {"failed": f"it ended with status {done.returncode}: {first_error(self.project / log)}"}

    def read(self, read: Callable[[], Report]) -> Report:
        """Return what a tool left, or how it failed to leave it."""
        try:
            return read()
        except BirealError as error:
            return {"failed": str(error).replace(str(self.project), str(self.final))}


def synthesise(
    project: Path, final: Path, cosim: bool = False, note: Callable[[str], object] = lambda text: None
) -> VendorStages:
    """Run the tools that are on the PATH: C synthesis, co-simulation on request, IP export, block design, bitstream.

    Args:
        project: folder written by `bireal_hw.hls.generate`; receives the tools' files and their logs.
        final: where the project will lie, for what is said about it.
        cosim: simulate the SystemVerilog that C synthesis makes, on one image.
        note: is told what begins.

    Returns:
        synthesis (see `read_synthesis`; and `ip`), cosimulation (see `read_cosimulation`; only if asked for) and
        bitstream (see `read_utilisation` and `read_timing`; and `clock_mhz`, `files`), each with `tool` and `log`. A
        stage that was left out holds `skipped` (why) and, if that helps, `command` (what to run later); one that went
        wrong holds `failed` (how).
    """
    work = _Workplace(project, final, note)
    program = next((name for name in _VITIS if shutil.which(name)), None)
    steps = ["csynth", *(["cosim"] if cosim else []), "export"]
    design = (project / BLOCK_DESIGN).exists()
    no_design = _NO_ENGINE if (project / IMAGE).exists() else _NO_DESIGN
    if program is None:
        left_out = {
            "skipped": "neither vitis-run nor vitis_hls is on the PATH",
            "command": f"cd {final} && {_command(steps)}" + (f" && {' '.join(_VIVADO)}" if design else ""),
        }
        stages = ("synthesis", *(["cosimulation"] if cosim else []), *(["bitstream"] if design else []))
        results = dict.fromkeys(stages, left_out) | ({} if design else {"bitstream": no_design})
        return VendorStages.model_validate(results)

    def synthesis() -> Report:
        report = read_synthesis(project / SYNTHESIS)
        if not (project / IP / "component.xml").exists():
            raise BirealError(f"{project / IP} holds no IP")
        return report | {"ip": str(final / IP)}

    def cosimulation() -> Report:
        report = read_cosimulation(project / COSIMULATION)
        return report if report["passed"] else report | {"failed": "the SystemVerilog gives other logits"}

    def bitstream() -> Report:
        if missing := [name for name in FILES if not (project / name).exists()]:
            raise BirealError(f"{project / missing[0]} is missing")
        report = {"clock_mhz": json.loads((project / PROJECT).read_text())["overlay_clock_mhz"]}
        report |= read_utilisation(project / UTILISATION) | read_timing(project / TIMING)
        return report | {"files": [str(final / name) for name in FILES]}

    results = {"synthesis": work.run([program, *_VITIS[program]], synthesis, STEPS=" ".join(steps))}
    if cosim and "failed" not in results["synthesis"]:
        about = {key: results["synthesis"][key] for key in ("tool", "log")}
        results["cosimulation"] = about | work.read(cosimulation)
    if failed := next((stage for stage, result in results.items() if "failed" in result), None):
        results["bitstream"] = {"skipped": f"{failed} failed"}
    elif not design:
        results["bitstream"] = no_design
    elif not shutil.which(_VIVADO[0]):
        results["bitstream"] = {
            "skipped": "vivado is not on the PATH",
            "command": f"cd {final} && {' '.join(_VIVADO)}",
        }
    else:
        results["bitstream"] = work.run([*_VIVADO, *_QUIET], bitstream)
    return VendorStages.model_validate(results)


def _command(steps: list[str]) -> str:
    program = next(iter(_VITIS))
    return " ".join([f"STEPS='{' '.join(steps)}'", program, *_VITIS[program]])
