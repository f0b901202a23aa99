"""Reports of the vendor's tools, read into plain dictionaries: C synthesis, co-simulation, utilisation, timing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError

_SYNTHESIS = {"lut": ("LUT",), "ff": ("FF",), "bram18": ("BRAM_18K",), "dsp": ("DSP", "DSP48E"), "uram": ("URAM",)}
"""Keys of a resource, each with the tags that releases of Vitis HLS have used for it."""
_UTILISATION = {
    "lut": ("Slice LUTs", "CLB LUTs"),
    "ff": ("Slice Registers", "CLB Registers"),
    "bram36": ("Block RAM Tile",),
    "dsp": ("DSPs",),
    "uram": ("URAM",),
}
"""The same with the names of Vivado's rows, for 7 series and UltraScale+; a RAMB18 is half a tile."""


def read_synthesis(path: Path) -> dict[str, Any]:
    """Read the XML report of C synthesis, and those of the functions beside it.

    Args:
        path: of the top function, `<top>_csynth.xml`; the others, `*_csynth.xml`, lie in the same folder.

    Returns:
        clock_ns (wanted), estimated_clock_ns; lut, ff, bram18, dsp, uram, each {used, available}, a resource that the
        report does not mention left out; loops (how many are pipelined) and slower_loops ("function/loop: interval" of
        those whose initiation interval is not 1).

    Raises:
        BirealError: a file is missing or is no such report.
    """
    root = _xml(path)
    timing = root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    wanted = root.findtext("UserAssignments/TargetClockPeriod")
    if timing is None or wanted is None:
        raise BirealError(f"{path} is no report of C synthesis: it gives no clock period")
    report: dict[str, Any] = {"clock_ns": float(wanted), "estimated_clock_ns": float(timing)}
    for key, tags in _SYNTHESIS.items():
        used, available = (
            next((text for tag in tags if (text := root.findtext(f"AreaEstimates/{part}/{tag}")) is not None), None)
            for part in ("Resources", "AvailableResources")
        )
        if used is not None and available is not None:
            report[key] = {"used": int(used), "available": int(available)}
    loops = dict(loop for file in sorted(path.parent.glob("*_csynth.xml")) for loop in _loops(_xml(file)))
    slower = [f"{name}: {interval}" for name, interval in loops.items() if interval > 1]
    return report | {"loops": len(loops), "slower_loops": slower}


def _loops(root: ElementTree.Element) -> Iterator[tuple[str, int]]:
    """The pipelined loops of a function with their initiation intervals; a loop is named by its element."""
    function = root.findtext("UserAssignments/TopModelName") or ""
    for loop in root.iterfind("PerformanceEstimates/SummaryOfLoopLatency//*[PipelineII]"):
        interval = loop.findtext("PipelineII") or ""
        if interval.isdigit():
            yield f"{function}/{loop.findtext('Name') or loop.tag}", int(interval)


def _xml(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise BirealError(f"{path} is no report of C synthesis: {error}") from None


def read_cosimulation(path: Path) -> dict[str, Any]:
    """Read the text report of co-simulation: a table with a row for each language.

    Returns:
        passed, and latency_cycles (largest of a call; None where the report has no number).

    Raises:
        BirealError: the file is missing or has no row of a simulated language.
    """
    for cells in _rows(_text(path, "co-simulation")):
        if cells[0] in ("Verilog", "VHDL") and cells[1] != "NA":
            latency = cells[4] if len(cells) > 4 else ""
            return {"passed": cells[1] == "Pass", "latency_cycles": int(latency) if latency.isdigit() else None}
    raise BirealError(f"{path} is no report of co-simulation: no language was simulated")


def read_utilisation(path: Path) -> dict[str, dict[str, float]]:
    """Read the text report of Vivado's `report_utilization`.

    Returns:
        lut, ff, bram36, dsp, uram, each {used, available}; what the report does not mention is left out.

    Raises:
        BirealError: the file is missing, or does not mention look-up tables.
    """
    report: dict[str, dict[str, float]] = {}
    columns: list[str] = []
    for cells in _rows(_text(path, "utilisation")):
        name = cells[0].rstrip("*")
        if name == "Site Type":
            columns = cells
        key = next((key for key, names in _UTILISATION.items() if name in names), None)
        if key and key not in report and {"Used", "Available"} <= set(columns) and len(cells) == len(columns):
            row = dict(zip(columns, cells, strict=True))
            report[key] = {"used": _number(row["Used"]), "available": _number(row["Available"])}
    if "lut" not in report:
        raise BirealError(f"{path} is no report of utilisation: it has no row of look-up tables")
    return report


def read_timing(path: Path) -> dict[str, float]:
    """Read the text report of Vivado's `report_timing_summary`.

    Returns:
        setup_slack_ns and hold_slack_ns, the worst of the design; negative where timing is not met.

    Raises:
        BirealError: the file is missing or has no such summary.
    """
    lines = _text(path, "timing").splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() == "| Design Timing Summary"), len(lines))
    for names, rule, values in zip(lines[start:], lines[start + 1 :], lines[start + 2 :], strict=False):
        if names.split()[:1] == ["WNS(ns)"] and not rule.strip(" -"):
            found = dict(zip(re.split(r"\s{2,}", names.strip()), values.split(), strict=False))
            try:
                return {"setup_slack_ns": float(found["WNS(ns)"]), "hold_slack_ns": float(found["WHS(ns)"])}
            except (KeyError, ValueError):
                break
    raise BirealError(f"{path} is no report of timing: it has no worst slacks")


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BirealError(f"{path} is no report of {what}: {error}") from None


def _rows(text: str) -> Iterator[list[str]]:
    """The rows of all tables drawn with bars, as cells without blanks."""
    for line in text.splitlines():
        if line.startswith("|") and line.count("|") > 2:
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def _number(text: str) -> float:
    """An integer where it is one; half a block RAM tile is not."""
    value = float(text)
    return int(value) if value == int(value) else value
