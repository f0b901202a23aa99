"""What depth and width cost where the last layers run on the engine: cycles, DRAM, area, time of generation.

python -m bireal_hw.bench.engine FILE.png    draws it, from the figures of `bench engine`
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bireal_hw import boards, rtl
from bireal_hw.analysis.cost import total
from bireal_hw.analysis.plan import plan
from bireal_hw.bench.page import Cell, Found
from bireal_hw.boards import Board
from bireal_hw.export.random import export_random
from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import lower
from bireal_hw.models.spec import ModelSpec
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.placement import ENGINE, begin_of, placed

BOARD = "pynq-z2"
NETWORKS = (
    ("bireal18", 0.5),
    ("bireal18", 0.75),
    ("bireal18", 1.0),
    ("react18", 1.0),
    ("bireal34", 1.0),
    ("bireal50", 1.0),
    ("bireal101", 1.0),
    ("bireal152", 1.0),
)
"""Models and their width."""
COLUMNS = (
    "network",
    "engine begins",
    "cycles per frame",
    "frames per second",
    "MB per frame",
    "share of peak",
    "LUT",
    "BRAM36",
    "DSP",
    "seconds",
)


def engine() -> Found:
    """Fold networks of 224x224 pixels and 1,000 classes for a board that cannot hold them."""
    board, rows, figures = boards.board(BOARD), list[list[Cell]](), dict[str, Any]()
    for model, width in NETWORKS:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "model.onnx"
            export_random(ModelSpec(model, width, (224, 224), classes=1000), path)
            found = measure(lower(path), board, Path(name) / "rtl")
        title = f"{model}, width {width:g}"
        rows.append([title, *found.values()])
        figures |= {f"engine_{key}_{model}_{width:g}": value for key, value in found.items()}
    return Found(
        COLUMNS,
        rows,
        figures,
        f"{board.name} at {board.clock_mhz:g} MHz, 224x224 RGB, 1,000 classes, as fast as they fit; a network may"
        f" take {board.dram_share:.0%} of the memory's peak. Predicted; docs/engine.md says which were simulated."
        " seconds: of a processor, for folding, SystemVerilog and the image of the weights.",
    )


def measure(graph: Graph, board: Board, folder: Path) -> dict[str, Cell]:
    """Fold a network for a board, generate it into a folder, and return the cells behind its name."""
    started = time.process_time()
    found = plan(graph, board, board.clock_mhz, "max", None)
    folding = found.folding
    built = placed(graph, folding)
    flow = elaborate(built, folding)
    rtl.generate(built, folding, folder)
    seconds = time.process_time() - started
    used = total((one.binding.module, one.binding.parameters) for one in flow.instances).rounded()
    fps = board.clock_mhz * 1e6 / found.cycles
    return {
        "begin": begin_of(built) if ENGINE in folding else "nowhere",
        "cycles": found.cycles,
        "fps": round(fps, 1),
        "megabytes": round(flow.traffic / 1e6, 2),
        "share": round(flow.traffic * fps / board.dram_gbytes_per_s / 1e9, 2),
        "lut": round(used.lut),
        "bram36": used.bram36,
        "dsp": round(used.dsp),
        "seconds": round(seconds, 1),
    }


DRAWN = {
    "cycles": "cycles per frame, 10$^6$",
    "megabytes": "MB of DRAM per frame",
    "lut": "LUT, 10$^3$",
    "seconds": "seconds to generate",
}
"""Figures of the picture, by key, and how they are called."""


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the figures of the networks of full width against their depth."""
    from matplotlib.figure import Figure

    depths = [18, 34, 50, 101, 152]
    canvas = Figure(figsize=(9, 2.6), layout="constrained")
    for axis, (key, label) in zip(canvas.subplots(1, len(DRAWN)), DRAWN.items(), strict=True):
        scale = {"cycles": 1e6, "lut": 1e3}.get(key, 1)
        values = [figures[f"engine_{key}_bireal{depth}_1"] / scale for depth in depths]
        axis.plot(depths, values, "o-", color="#3b6ea8")
        axis.set_title(label, fontsize=9)
        axis.set_xlabel("layers", fontsize=8)
        axis.set_xticks(depths, [str(depth) for depth in depths], fontsize=7)
        axis.set_ylim(0, 1.15 * max(values))
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, dpi=150)


if __name__ == "__main__":
    draw(json.loads(Path("build/bench/bench.json").read_text()), Path(sys.argv[1]))
