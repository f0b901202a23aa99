"""Step `export`: the deploy model as a QONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from bireal_hw.lowering import METADATA
from bireal_hw.results.network import ExportFile
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.network import spec
from bireal_hw.schema import write


def _export(build: Build, folder: Path) -> Figures:
    from bireal_hw.export.deploy import to_deploy
    from bireal_hw.export.qonnx import export_qonnx
    from bireal_hw.models.bireal import build_model
    from bireal_hw.models.randomise import randomise
    from bireal_hw.training.checkpoint import load_checkpoint

    if build.origin == "trained":
        model, described, info = load_checkpoint(build.path / "checkpoint.ckpt")
        names = info.get("class_names") or [str(index) for index in range(described.classes)]
    else:
        described = spec(build.values)
        described.check_sums()  # before the minutes that follow at large sizes
        build.record_values()
        model = randomise(build_model(described), described, build.values["seed"])
        names = [str(index) for index in range(described.classes)]
    path = folder / "model.onnx"
    report = export_qonnx(to_deploy(model, described), described, path, names)
    _mark(path, build.marks | {"model": described.model, "width": described.width, "class_names": names})
    write(folder / ExportFile.file, ExportFile(**build.marks, **report))
    return {"nodes": str(len(onnx.load(str(path)).graph.node)), "size": f"{path.stat().st_size / 1e6:.2f} MB"}


def _mark(path: Path, info: dict[str, Any]) -> None:
    """Write what the file says about itself into its metadata, as JSON values."""
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {METADATA + key: json.dumps(value) for key, value in info.items()})
    onnx.save(model, str(path))


STEP = Step(
    name="export",
    needs=lambda build: "train" if build.origin == "trained" else None,
    reads=("checkpoint.ckpt",),
    makes=("model.onnx", "export.json"),
    settings=lambda build: build.marks,
    work=_export,
    origins=("trained", "untrained"),
    module=__name__,
)
