"""Step `hls`: the C++ for Vitis HLS, run by g++, and taken to IP and bitstream where the tools are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from bireal_hw import boards
from bireal_hw.errors import BirealError, VerdictError
from bireal_hw.flows.build import FOLDING, Build, Figures
from bireal_hw.flows.engine import Step
from bireal_hw.flows.images import images_for
from bireal_hw.flows.network import BUILD
from bireal_hw.flows.rundir import write_json
from bireal_hw.hls import generate
from bireal_hw.hls.network import simulate_network
from bireal_hw.hls.vendor import STAGES, synthesise

IMAGES = 256
"""Images that C simulation computes, or as many as it can in two minutes."""


def _refuse(build: Build) -> None:
    """Raise BirealError for a board that Vitis HLS does not build for."""
    board = build.board
    if board.flow != "vivado":
        others = ", ".join(name for name in boards.names() if boards.board(name).flow == "vivado")
        raise BirealError(f"Vitis HLS does not build for board={board.name} ({board.part}): choose from {others}")


def _hls(build: Build, folder: Path) -> Figures:
    """Leave the project and hls.json: the comparison with the golden model, and what the vendor's tools found.

    Raises:
        BirealError: as `simulate_network` does.
    """
    graph, folding = build.folded()
    board, clock = build.board, build.clock_mhz
    count = build.config.images
    images, origin = images_for(build.values, graph, count or IMAGES, or_fewer=count is None)
    project = folder / board.name / "hls"
    project.parent.mkdir()
    generate(graph, folding, project, board.part, clock, board.name)
    with Console(stderr=True).status("C simulation") as status:
        result = simulate_network(graph, folding, project, images, BUILD / "sim", dump=project.parent / "hls_mismatch")
        if not result["mismatches"]:
            cosim = bool(build.config.cosim)
            result |= synthesise(project, build.path / board.name / "hls", cosim, status.update)
    about = {"board": board.name, "part": board.part, "clock_mhz": clock, "images_from": origin}
    write_json(project.parent / "hls.json", about | build.marks_of(graph) | result)
    cycles = result["cycles_per_frame"]
    return {
        "images": f"{result['images']} ({origin})",
        "mismatches": f"{result['mismatches']:,} of {result['outputs_compared']:,}",
        "cycles per frame": f"{cycles:,}" if cycles else f"{result['cycles_predicted']:,} (predicted)",
    }


def synthesis(report: dict[str, Any]) -> str:
    """Say what the vendor's tools found, from hls.json: a line for what was done, a line for what was left out.

    Raises:
        BirealError: a tool failed, or the design does not meet its clock.
    """
    stages = {stage: report[stage] for stage in STAGES if stage in report}
    for stage, found in stages.items():
        if "failed" in found:
            raise VerdictError(f"{STAGES[stage]} by {found['tool']}: {found['failed']} (log: {found['log']})")
    left_out: dict[str, list[str]] = {}
    lines = []
    for stage, found in stages.items():
        if "skipped" in found:
            later = f"; to run it later: {found['command']}" if "command" in found else ""
            left_out.setdefault(found["skipped"] + later, []).append(STAGES[stage])
        else:
            lines.append(f"{STAGES[stage]} by {found['tool']}: {_results(found)}")
    lines += [f"{' and '.join(what)} skipped: {why}" for why, what in left_out.items()]
    slack = min(report["bitstream"].get(f"{edge}_slack_ns", 0) for edge in ("setup", "hold"))
    if slack < 0:
        where = f"{report['bitstream']['clock_mhz']:g} MHz"
        raise VerdictError(f"timing is not met at {where}: the worst slack is {slack} ns; ask for less with clock=")
    return "\n".join(lines)


def _results(found: dict[str, Any]) -> str:
    """The figures of one stage."""
    words = [
        f"{key} {value['used']:,} of {value['available']:,}"
        for key, value in found.items()
        if isinstance(value, dict) and "used" in value
    ]
    if "estimated_clock_ns" in found:
        words.append(f"clock {found['estimated_clock_ns']} of {found['clock_ns']} ns")
    if "loops" in found:
        slower = f"all but {', '.join(found['slower_loops'])}" if found["slower_loops"] else "all"
        words.append(f"{found['loops']} loops, {slower} with an initiation interval of 1")
    if "passed" in found:
        cycles = found["latency_cycles"]
        words.append("the same logits" + (f" after {cycles:,} cycles" if cycles is not None else ""))
    if "setup_slack_ns" in found:
        words.append(f"slack {found['setup_slack_ns']} ns at {found['clock_mhz']:g} MHz; {found['files'][0]}")
    return ", ".join(words)


STEP = Step(
    name="hls",
    needs=lambda build: "fold",
    reads=("graph.json", f"{{board}}/{FOLDING}"),
    makes=("{board}/hls", "{board}/hls.json", "{board}/hls_mismatch"),
    settings=lambda build: {"clock": build.clock_mhz, "images": build.config.images},
    refuse=_refuse,
    work=_hls,
    module=__name__,
)
