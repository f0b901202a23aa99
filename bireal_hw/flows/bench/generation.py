"""How long generation takes, for networks of 18 to 152 layers at full width."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bireal_hw import boards
from bireal_hw.flows.bench.networks import export_random
from bireal_hw.flows.bench.page import Cell, Found
from bireal_hw.flows.generation import STEPS, generate_all
from bireal_hw.models.spec import ModelSpec

MODELS = ("bireal18", "bireal34", "bireal50", "bireal152")
BOARD = "alveo-u250"


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
        rows.append([model, *(seconds[step] for step in STEPS), total])
        figures[f"generation_seconds_{model}"] = round(total, 2)
    return Found(
        ["network", *STEPS, "together"],
        rows,
        figures,
        "Processor seconds, width 1, 224x224 RGB, 1000 classes. lower: QONNX to integer graph; graph: graph.json and "
        "picture; rtl: SystemVerilog; hls: C++. The solver's choice of the folding is not counted.",
    )
