"""Networks of random weights, on which neither speed nor resources depend."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bireal_hw.ir.graph import Graph
from bireal_hw.lowering import lower
from bireal_hw.models.spec import ModelSpec

if TYPE_CHECKING:
    from bireal_hw.models.bireal import BiReal

SEED = 0
"""Of the weights."""


def random_network(spec: ModelSpec) -> tuple[BiReal, Graph]:
    """Return a network of random weights and its graph."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        return export_random(spec, path), lower(path)


def export_random(spec: ModelSpec, path: Path) -> BiReal:
    """Write a network of random weights as QONNX, and return it."""
    from bireal_hw.export.deploy import to_deploy
    from bireal_hw.export.qonnx import export_qonnx
    from bireal_hw.models.bireal import build_model
    from bireal_hw.models.randomise import randomise

    model = randomise(build_model(spec), spec, SEED)
    export_qonnx(to_deploy(model, spec), spec, path, [str(index) for index in range(spec.classes)])
    return model
