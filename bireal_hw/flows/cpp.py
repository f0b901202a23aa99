"""The C++ of a run for Vitis HLS: written, run by g++, and synthesised where the tool is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bireal_hw import boards
from bireal_hw.errors import BirealError
from bireal_hw.flows.images import images_for
from bireal_hw.flows.network import BUILD
from bireal_hw.flows.rundir import write_json
from bireal_hw.hls import generate
from bireal_hw.hls.network import simulate_network
from bireal_hw.hls.vendor import synthesise
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import Folding

if TYPE_CHECKING:
    from bireal_hw.flows.steps import Build

IMAGES = 256
"""Images that C simulation computes, or as many as it can in two minutes."""


def write_cpp(build: Build, folder: Path, graph: Graph, folding: Folding) -> dict[str, str]:
    """Leave the project and hls.json: the comparison with the golden model, and what C synthesis found.

    Raises:
        BirealError: the tool does not build for the board, or as `simulate_network` and `synthesise` do.
    """
    board, clock = build.board, build.config.clock or build.board.clock_mhz
    if board.flow != "vivado":
        others = ", ".join(name for name in boards.names() if boards.board(name).flow == "vivado")
        raise BirealError(f"Vitis HLS does not build for board={board.name} ({board.part}): choose from {others}")
    count = build.config.images
    images, origin = images_for(build.values, graph, count or IMAGES, or_fewer=count is None)
    project = folder / board.name / "hls"
    project.parent.mkdir()
    generate(graph, folding, project, board.part, clock)
    result = simulate_network(graph, folding, project, images, BUILD / "sim", dump=project.parent / "hls_mismatch")
    if not result["mismatches"]:
        result["synthesis"] = synthesise(project, build.path / board.name / "hls")
    about = {"board": board.name, "part": board.part, "clock_mhz": clock, "images_from": origin}
    untrained = bool(graph.info.get("untrained", build.marks["untrained"]))
    write_json(project.parent / "hls.json", about | build.marks | {"untrained": untrained} | result)
    cycles = result["cycles_per_frame"]
    return {
        "images": f"{result['images']} ({origin})",
        "mismatches": f"{result['mismatches']:,} of {result['outputs_compared']:,}",
        "cycles per frame": f"{cycles:,}" if cycles else f"{result['cycles_predicted']:,} (predicted)",
    }


def synthesis(report: dict[str, Any]) -> str:
    """Say in one line what C synthesis found, or that it was left out and how to do it later, from hls.json."""
    found = report["synthesis"]
    if "skipped" in found:
        return f"C synthesis skipped: {found['skipped']}; to run it later: {found['command']}"
    used = ", ".join(
        f"{key} {value['used']:,} of {value['available']:,}" for key, value in found.items() if isinstance(value, dict)
    )
    return f"C synthesis by {found['tool']}: {used}; clock {found['estimated_clock_ns']} of {found['clock_ns']} ns"
