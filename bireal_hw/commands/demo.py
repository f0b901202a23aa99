"""The demonstration: one network from training to simulated hardware, and a verdict on every claim made about it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bireal_hw.commands.verb import OF_FOLDING, conclude, of_run, summary
from bireal_hw.errors import BirealError
from bireal_hw.files import content_hash
from bireal_hw.golden import classify, run
from bireal_hw.ir.graph import Graph, load
from bireal_hw.report.page import State
from bireal_hw.results.checks import SIMULATED, Check, check_accuracy, check_hardware, check_same
from bireal_hw.results.network import COMPARED, DemoCheck, DemoFile, TrainFile
from bireal_hw.results.sim import SimFile
from bireal_hw.run.build import Build
from bireal_hw.run.engine import ensure
from bireal_hw.run.images import DEFAULT_IMAGES, load_dataset, to_pixels
from bireal_hw.run.network import Start
from bireal_hw.schema import read, write

if TYPE_CHECKING:
    from bireal_hw.training.data import Data


def demo(build: Build) -> list[Check]:
    """Make what is out of date of a trained network, simulate it, and check it; leaves demo.json.

    P is the deploy model in PyTorch, Q the QONNX file run by qonnx, G the golden model, R the simulated hardware.
    """
    if (build.config.images or DEFAULT_IMAGES) < SIMULATED:
        raise BirealError(f"images={build.config.images} is out of range: demo simulates at least {SIMULATED}")
    ensure(build, "train")
    ensure(build, "lower", asked=False)
    network = check_numbers(build)
    build.config = replace(build.config, stalls=True)
    ensure(build, "sim")
    hardware = check_hardware(read(build.path / build.board.name / SimFile.file, SimFile))
    about = {"network": network, "hardware": hardware}
    found = DemoFile(
        **build.marks,
        board=build.board.name,
        holds=all(check.holds for check in network + hardware),
        checks=[DemoCheck(about=what, **asdict(check)) for what, checks in about.items() for check in checks],
        made_from={name: content_hash(build.path / name) for name in COMPARED},
    )
    write(build.path / DemoFile.file, found)
    return network + hardware


def check_numbers(build: Build) -> list[Check]:
    """Check the accuracy, and P = Q = G, on the whole test set."""
    graph = load(build.path / "graph.json")
    data = load_dataset(build.values, graph.input.shape)
    golden = run(graph, to_pixels(data.test_images[:]))
    right = int((classify(golden) == data.test_labels.numpy()).sum())
    trained = read(build.path / TrainFile.file, TrainFile).top1_trained
    upstream = logits_upstream(build, graph, data)
    return check_accuracy(trained, right, len(golden)) + [
        check_same(name, logits, golden) for name, logits in upstream.items()
    ]


def logits_upstream(build: Build, graph: Graph, data: Data) -> dict[str, NDArray[np.int64]]:
    """Compute the integer logits (N, classes) of PyTorch's deploy model (P) and of the QONNX file (Q)."""
    from bireal_hw.export.deploy import to_deploy
    from bireal_hw.export.qonnx import run_qonnx
    from bireal_hw.training.checkpoint import load_checkpoint
    from bireal_hw.training.evaluate import predict

    model, spec, _ = load_checkpoint(build.path / "checkpoint.ckpt")
    logits = {
        "P": predict(to_deploy(model, spec), data.test_images).numpy(),
        "Q": run_qonnx(build.path / "model.onnx", data.test_images[:].numpy()),
    }
    return {name: as_integers(values, graph.output.dtype.frac) for name, values in logits.items()}


def as_integers(logits: NDArray[np.float32], frac: int) -> NDArray[np.int64]:
    """Return logits * 2^frac, which are whole numbers.

    Raises:
        BirealError: one of them is not: the network left its grid.
    """
    scaled = logits.astype(np.float64) * 2.0**frac
    whole = scaled.astype(np.int64)
    if (whole != scaled).any():
        raise BirealError(f"logit {logits[whole != scaled][0]} is not a multiple of 2^-{frac}")
    return whole


def _task(build: Build) -> int:
    checks = demo(build)
    summary(build)
    states = [State.HOLDS if check.holds else State.FAILS for check in checks]
    conclude("the demo", [(check.claim, check.found, state) for check, state in zip(checks, states, strict=True)])
    return 0


VERB = of_run(
    "demo",
    "train to sim on one network, then a verdict on every claim",
    (*OF_FOLDING, "images", "waves"),
    _task,
    takes_file=False,
    may_start=Start.ALWAYS,
)
