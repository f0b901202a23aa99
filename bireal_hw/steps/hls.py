"""Step `hls`: the C++ for Vitis HLS, run by g++, and taken to IP and bitstream where the tools are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from bireal_hw import boards
from bireal_hw.errors import BirealError
from bireal_hw.hls import generate
from bireal_hw.hls.network import simulate_network
from bireal_hw.hls.results import VendorStages
from bireal_hw.hls.vendor import synthesise
from bireal_hw.results.hls import HlsFile
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.images import images_for, view_of
from bireal_hw.run.network import BUILD
from bireal_hw.schema import write

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
    generate(graph, folding, project, board.part, clock, board.name, view_of(build.values))
    with Console(stderr=True).status("C simulation") as status:
        result = simulate_network(graph, folding, project, images, BUILD / "sim", dump=project.parent / "hls_mismatch")
        stages = VendorStages()
        if not result.mismatches:
            stages = synthesise(project, build.path / board.name / "hls", bool(build.config.cosim), status.update)
    about: dict[str, Any] = {"board": board.name, "part": board.part, "clock_mhz": clock, "images_from": origin}
    found = HlsFile(**about, **build.marks_of(graph), **result.values, **stages.values)
    write(project.parent / HlsFile.file, found)
    cycles = result.cycles_per_frame
    return {
        "images": f"{result.images} ({origin})",
        "mismatches": f"{result.mismatches:,} of {result.outputs_compared:,}",
        "cycles per frame": f"{cycles:,}" if cycles else f"{result.cycles_predicted:,} (predicted)",
    }


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
