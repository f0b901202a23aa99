"""Step `import`: a QONNX file of the user, or a network of the zoo, becomes the run's."""

from __future__ import annotations

from pathlib import Path

from bireal_hw import zoo
from bireal_hw.lowering import copy, lower
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.calibration import options_of
from bireal_hw.run.engine import Step
from bireal_hw.run.network import called, in_zoo


def _import(build: Build, folder: Path) -> Figures:
    assert build.file is not None
    if in_zoo(build.file):
        (folder / "model.onnx").write_bytes(zoo.unpack(build.file.stem))
    else:
        # A file that cannot be lowered replaces nothing, and the message names the user's own path.
        lower(build.file, options_of(build.values))
        copy(build.file, folder / "model.onnx")
    build.record_values()
    return {"from": called(build.file)}


STEP = Step(
    name="import",
    needs=lambda build: None,
    reads=(),
    makes=("model.onnx",),
    settings=lambda build: {},
    work=_import,
    origins=("file",),
    module=__name__,
)
