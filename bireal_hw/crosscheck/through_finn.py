"""A network in integer form through finn-plus: executed behind its transformations, its cycles estimated.

finn-plus pins packages that contradict ours, so it lives in an environment of its own, `.venv-finn`, and is run there
by `finn_runner.py`. Its builder goes as far as the estimate reports, which need no vendor tool.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bireal_hw.crosscheck import finn_file, finn_runner
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.ops import BinaryConv, RealConv
from bireal_hw.passes.folding import Folding, convolutions
from bireal_hw.tools import first_error

ENVIRONMENT = Path(".venv-finn")
COMMAND = "make setup-finn"

ESTIMATES = "step_generate_estimate_reports"
CLOCK_NS = 10.0


@dataclass(frozen=True)
class FinnBuild:
    """What finn-plus made of a network.

    Attributes:
        version: of finn-plus.
        outputs: step of its builder -> (N, outputs) integers that the network gives behind it.
        cycles: convolution -> cycles a frame of its matrix unit and of its window generator (None without one).
        slowest: layer and cycles of its slowest node.
        too_narrow: outputs of matrix units (layer, type, low, high) outside the type that its builder gave them.
    """

    version: str
    outputs: dict[str, NDArray[np.int64]]
    cycles: dict[str, dict[str, int | None]]
    slowest: dict[str, Any]
    too_narrow: list[dict[str, Any]]


def python(environment: Path = ENVIRONMENT) -> Path:
    """Return the environment's interpreter; raises BirealError, with the command that adds it, if there is none."""
    path = environment / "bin" / "python"
    if not path.exists() or not list(environment.glob("lib/*/site-packages/finn/builder")):
        raise BirealError(f"finn-plus is not in {environment}: {COMMAND} puts it there")
    return path


def build(
    graph: Graph,
    images: Array,
    folding: Folding,
    folder: Path,
    part: str,
    environment: Path = ENVIRONMENT,
    last_step: str = ESTIMATES,
) -> FinnBuild:
    """Run the builder of finn-plus.

    Args:
        graph: a network in integer form.
        images: (N, H, W, C) uint8.
        folding: Pe and Simd of the convolutions.
        folder: where everything goes; what is in it is replaced.
        part: FPGA that the estimates are for.
        environment: with finn-plus in it.
        last_step: of the builder.

    Raises:
        BirealError: the environment is missing, the network has another form, or finn-plus stopped.
    """
    interpreter = python(environment)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    finn_file.write(graph, folder / "model.onnx")
    np.save(folder / "images.npy", images.astype(np.float32))
    nodes = convolutions(graph)
    weights = {node.name: finn_file.matrix(node.op) for node in nodes if isinstance(node.op, BinaryConv | RealConv)}
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]
    folds = {node.name: {"pe": folding[node.name].pe, "simd": folding[node.name].simd} for node in nodes}
    job = {"part": part, "clock_ns": CLOCK_NS, "folding": folds, "last_step": last_step}
    (folder / "job.json").write_text(json.dumps(job))
    log = folder / "finn.log"
    with log.open("w") as stream:
        # -I: the runner's own folder, and whatever PYTHONPATH names, stay out of its imports.
        command = [str(interpreter.absolute()), "-I", finn_runner.__file__, str(folder.absolute())]
        status = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder, check=False).returncode
    if status:
        raise BirealError(f"finn-plus stopped: {first_error(log)}; all of it in {log}")
    result = json.loads((folder / "result.json").read_text())
    outputs = {step: values.astype(np.int64) for step, values in np.load(folder / "outputs.npz").items()}
    empty: dict[str, Any] = {"cycles": {}, "slowest": {}, "too_narrow": []}
    return FinnBuild(outputs=outputs, **(empty | result))
