"""How long generation takes, for networks of 18 to 152 layers at full width."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bireal_hw import boards, hls, rtl
from bireal_hw.bench.page import Cell, Found
from bireal_hw.boards import Board
from bireal_hw.export.random import export_random
from bireal_hw.ir.graph import save
from bireal_hw.lowering import lower
from bireal_hw.models.spec import ModelSpec
from bireal_hw.passes.folding import fold
from bireal_hw.picture.drawing import svg

MODELS = ("bireal18", "bireal34", "bireal50", "bireal152")
BOARD = "alveo-u250"
CYCLES = 400_000
"""Of the folding, at most in a layer: with fewer, beats of the deeper networks are wider than Vitis HLS takes."""
PARTS = ("lower", "graph", "rtl", "hls")
"""What is timed."""


def generation() -> Found:
    """Generate the hardware of full-width networks for 224x224 pixels and 1000 classes."""
    rows: list[list[Cell]] = []
    figures = {}
    for model in MODELS:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "model.onnx"
            export_random(ModelSpec(model, image=(224, 224), classes=1000), path)
            seconds = generate_all(path, boards.board(BOARD), Path(name) / "out")
        total = sum(seconds.values())
        rows.append([model, *(seconds[part] for part in PARTS), total])
        figures[f"generation_seconds_{model}"] = round(total, 2)
    return Found(
        ["network", *PARTS, "together"],
        rows,
        figures,
        "Processor seconds, width 1, 224x224 RGB, 1000 classes. lower: QONNX to integer graph; graph: graph.json and "
        "picture; rtl: SystemVerilog; hls: C++. The solver's choice of the folding is not counted.",
    )


def generate_all(model: Path, board: Board, folder: Path) -> dict[str, float]:
    """Generate all that `lower`, `rtl` and `hls` do for a network, and time it.

    Counted is the work: `lower` reads the QONNX file into a verified graph, `graph` writes graph.json and the picture,
    `rtl` writes SystemVerilog and memories, `hls` the C++ project. Not counted: the start of the program, the choice of
    the folding (here the least that takes CYCLES in a layer, without the solver), g++ and simulation.

    Args:
        model: QONNX file.
        board: to generate for.
        folder: receives graph.json, graph.svg, rtl/ and hls/; made if it is not there.

    Returns:
        Processor seconds, user and system and of all threads, by the name in PARTS.

    Raises:
        BirealError: as `lower` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    started = time.process_time()

    def lap(part: str) -> None:
        nonlocal started
        seconds[part] = time.process_time() - started
        started = time.process_time()

    graph = lower(model)
    lap("lower")
    save(graph, folder / "graph.json")
    (folder / "graph.svg").write_text(svg(graph))
    lap("graph")
    folding = fold(graph, CYCLES)
    started = time.process_time()
    rtl.generate(graph, folding, folder / "rtl")
    lap("rtl")
    hls.generate(graph, folding, folder / "hls", board.part, board.clock_mhz, board.name)
    lap("hls")
    return seconds
