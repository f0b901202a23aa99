"""Vitis HLS where it is installed: C synthesis of a generated project, and its report."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError
from bireal_hw.hls import SCRIPT, TOP

LOG = "vitis.log"
REPORT = Path("vitis") / "solution" / "syn" / "report" / f"{TOP}_csynth.xml"

_COMMANDS = {"vitis-run": ("--mode", "hls", "--tcl", SCRIPT), "vitis_hls": ("-f", SCRIPT)}
"""Programs that run the script, the newer first."""
_RESOURCES = {"lut": ("LUT",), "ff": ("FF",), "bram18": ("BRAM_18K",), "dsp": ("DSP", "DSP48E"), "uram": ("URAM",)}
"""Keys of our report, each with the tags that releases of the tool have used for it."""


def command(program: str | None = None) -> list[str]:
    """Return the command that runs the project's script in its folder, with the newest tool unless one is named."""
    program = program or next(iter(_COMMANDS))
    return [program, *_COMMANDS[program]]


def synthesise(project: Path, final: Path) -> dict[str, Any]:
    """Run C synthesis where a tool is on the PATH.

    Args:
        project: folder written by `bireal_hw.hls.generate`; receives the tool's files and its log.
        final: where the project will lie, for the command to run later.

    Returns:
        The contents of the report (see `read_report`) and `tool`; or, without a tool, `skipped` (why) and `command`
        (what to run later).

    Raises:
        BirealError: the tool fails or leaves no report.
    """
    program = next((name for name in _COMMANDS if shutil.which(name)), None)
    if program is None:
        return {
            "skipped": "neither vitis-run nor vitis_hls is on the PATH",
            "command": f"cd {final} && {' '.join(command())}",
        }
    with (project / LOG).open("w") as log:
        environment = os.environ | {"STEPS": "csynth"}
        done = subprocess.run(command(program), cwd=project, env=environment, stdout=log, stderr=log, check=False)
    if done.returncode:
        lines = [line for line in (project / LOG).read_text().splitlines() if "ERROR" in line] or ["no message"]
        raise BirealError(f"{program} ended with status {done.returncode}: {' '.join(lines[0].split())}")
    return {"tool": program, **read_report(project / REPORT)}


def read_report(path: Path) -> dict[str, Any]:
    """Read the XML report of C synthesis.

    Returns:
        clock_ns (wanted), estimated_clock_ns, and lut, ff, bram18, dsp, uram, each {used, available}; a resource that
        the report does not mention is left out.

    Raises:
        BirealError: the file is missing or is no such report.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise BirealError(f"{path} is no report of C synthesis: {error}") from None
    timing = root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    wanted = root.findtext("UserAssignments/TargetClockPeriod")
    if timing is None or wanted is None:
        raise BirealError(f"{path} is no report of C synthesis: it gives no clock period")
    report: dict[str, Any] = {"clock_ns": float(wanted), "estimated_clock_ns": float(timing)}
    for key, tags in _RESOURCES.items():
        used, available = (
            next((text for tag in tags if (text := root.findtext(f"AreaEstimates/{part}/{tag}")) is not None), None)
            for part in ("Resources", "AvailableResources")
        )
        if used is not None and available is not None:
            report[key] = {"used": int(used), "available": int(available)}
    return report
