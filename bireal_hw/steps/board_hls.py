"""Step `board_hls`, for `board kernel=hls`: the driver with the C++ for Vitis HLS behind it, as g++ compiles it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from rich.console import Console

from bireal_hw.errors import BirealError
from bireal_hw.hls import generate
from bireal_hw.hls.board import simulated
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.results.board import BoardHlsFile
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.images import view_of
from bireal_hw.run.network import BUILD
from bireal_hw.schema import write
from bireal_hw.steps.board import compared, faults, recorded, settings, system_of, tried
from bireal_hw.zynq.files import write_files
from bireal_hw.zynq.system import OVERLAY


def _board_hls(build: Build, folder: Path) -> Figures:
    """Leave board_hls.json: what the driver of the project for Vitis HLS found, with the project's C++ behind it.

    Raises:
        BirealError: the folding has an engine, whose memory this kernel's model lacks; or as `simulated` does.
    """
    graph, folding = build.folded()
    board, clock = build.board, build.clock_mhz
    if elaborate(graph, folding).memory:
        raise BirealError("kernel=hls knows no memory beside the chip: take kernel=rtl, or a folding without [engine]")
    images, origin = recorded(build, graph)
    (folder / board.name).mkdir()
    with tempfile.TemporaryDirectory() as name:
        project = Path(name) / "hls"
        made = generate(graph, folding, project, board.part, clock, board.name, view_of(build.values))
        files = project / OVERLAY
        network = json.loads((files / "network.json").read_text())
        write_files(files, graph, network, images)
        with Console(stderr=True).status("compiling the C++"):
            kernel = simulated(graph, made, project, files, Path(name), BUILD / "sim")
        _, common = tried(kernel, graph, images, 1e6 * network["clock_mhz"])
    result = BoardHlsFile(**build.marks_of(graph), **common, board=board.name, images_from=origin)
    write(folder / board.name / BoardHlsFile.file, result)
    return compared(result) | faults(result)


STEP = Step(
    name="board_hls",
    words="board kernel=hls",
    needs=lambda build: "fold",
    reads=("graph.json", f"{{board}}/{FOLDING}"),
    makes=("{board}/board_hls.json",),
    settings=settings,
    refuse=system_of,
    work=_board_hls,
    module=__name__,
)
