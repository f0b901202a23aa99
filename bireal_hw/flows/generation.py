"""From a QONNX file to the files of both hardware languages, step by step, each timed."""

from __future__ import annotations

import time
from pathlib import Path

from bireal_hw import hls, rtl
from bireal_hw.boards import Board
from bireal_hw.ir.graph import save
from bireal_hw.lowering import lower
from bireal_hw.passes.folding import fold
from bireal_hw.picture.drawing import svg

STEPS = ("lower", "graph", "rtl", "hls")


def generate_all(model: Path, board: Board, folder: Path) -> dict[str, float]:
    """Generate all that `lower`, `rtl` and `hls` do for a network, and time it.

    Counted is the work: `lower` reads the QONNX file into a verified graph, `graph` writes graph.json and the picture,
    `rtl` writes SystemVerilog and memories, `hls` the C++ project. Not counted: the start of the program, the choice of
    the folding (here the least that takes 100,000 cycles in a layer, without the solver), g++ and simulation.

    Args:
        model: QONNX file.
        board: to generate for.
        folder: receives graph.json, graph.svg, rtl/ and hls/; made if it is not there.

    Returns:
        Processor seconds, user and system and of all threads, by the name of the step.

    Raises:
        BirealError: as `lower` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    started = time.process_time()

    def lap(step: str) -> None:
        nonlocal started
        seconds[step] = time.process_time() - started
        started = time.process_time()

    graph = lower(model)
    lap("lower")
    save(graph, folder / "graph.json")
    (folder / "graph.svg").write_text(svg(graph))
    lap("graph")
    folding = fold(graph)
    started = time.process_time()
    rtl.generate(graph, folding, folder / "rtl")
    lap("rtl")
    hls.generate(graph, folding, folder / "hls", board.part, board.clock_mhz, board.name)
    lap("hls")
    return seconds
