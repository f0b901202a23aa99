"""Step `rtl`: the SystemVerilog of the network for a board."""

from __future__ import annotations

from pathlib import Path

from bireal_hw.results.rtl import RtlFile
from bireal_hw.rtl import generate
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.schema import write


def _rtl(build: Build, folder: Path) -> Figures:
    graph, folding = build.folded()
    target = folder / build.board.name / "rtl"
    target.parent.mkdir()
    flow = generate(graph, folding, target)
    board = build.board
    about = RtlFile(
        **build.marks_of(graph),
        board=board.name,
        part=board.part,
        clock_mhz=build.clock_mhz,
        cycles_per_frame=flow.cycles,
        bottleneck=flow.bottleneck,
    )
    write(target / RtlFile.file, about)
    return {"instances": str(len(flow.instances)), "cycles per frame": f"{flow.cycles:,}", "slowest": flow.bottleneck}


STEP = Step(
    name="rtl",
    needs=lambda build: "fold",
    reads=("graph.json", f"{{board}}/{FOLDING}"),
    makes=("{board}/rtl",),
    settings=lambda build: {"clock": build.clock_mhz},
    work=_rtl,
    module=__name__,
)
