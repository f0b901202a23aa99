"""The demonstration: one network from training to simulated hardware, and a verdict on every claim made about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.flows.accuracy import DEPLOY, TRAINED
from bireal_hw.flows.build import Build
from bireal_hw.flows.engine import ensure
from bireal_hw.flows.images import DEFAULT_IMAGES, dataset_of, to_pixels
from bireal_hw.flows.rundir import content_hash, read_json, write_json
from bireal_hw.golden import classify, run
from bireal_hw.ir.graph import Graph, load

if TYPE_CHECKING:
    from bireal_hw.training.data import Data

ACCURACY = 95.0
"""Percent of the test images that both models classify right, at least."""
LOST, LOST_SHARE = 3, 0.002
"""Test images by which the deploy model may be worse, or the share of them where that is more."""
COMPARED = ("checkpoint.ckpt", "model.onnx", "graph.json")
"""Files that P, Q and G stand in: what the checks of the network are about."""
SIMULATED = 4
"""Images that the simulated hardware computes, at least."""


@dataclass(frozen=True)
class Check:
    """One line of the verdict: a claim, what was found, and whether it holds."""

    claim: str
    found: str
    holds: bool


def demo(build: Build) -> list[Check]:
    """Bring every step of a trained network up to date, simulate it, and check it; leaves demo.json.

    P is the deploy model in PyTorch, Q the QONNX file run by qonnx, G the golden model, R the simulated hardware.
    """
    if (build.config.images or DEFAULT_IMAGES) < SIMULATED:
        raise BirealError(f"images={build.config.images} is out of range: demo simulates at least {SIMULATED}")
    ensure(build, "train")
    ensure(build, "lower", asked=False)
    network = check_numbers(build)
    build.config = replace(build.config, stalls=True)
    ensure(build, "sim")
    hardware = check_hardware(read_json(build.path / build.board.name / "sim.json"))
    report: dict[str, Any] = {"holds": all(check.holds for check in network + hardware)}
    report["checks"] = [{"about": "network", **asdict(check)} for check in network]
    report["checks"] += [{"about": "hardware", **asdict(check)} for check in hardware]
    report["made_from"] = {name: content_hash(build.path / name) for name in COMPARED}
    write_json(build.path / "demo.json", report | build.marks | {"board": build.board.name})
    return network + hardware


def check_numbers(build: Build) -> list[Check]:
    """Check the accuracy, and P = Q = G, on the whole test set."""
    graph = load(build.path / "graph.json")
    data = dataset_of(build.values, graph)
    golden = run(graph, to_pixels(data.test_images[:]))
    right = int((classify(golden) == data.test_labels.numpy()).sum())
    trained = read_json(build.path / "train.json", TRAINED.key)[TRAINED.key]
    upstream = logits_upstream(build, graph, data)
    return check_accuracy(trained, right, len(golden)) + [
        check_same(name, logits, golden) for name, logits in upstream.items()
    ]


def check_accuracy(top1_trained: float, right: int, total: int) -> list[Check]:
    """Check the trained accuracy (percent), the deploy accuracy (`right` of `total` answers), and what is lost.

    `right` may be counted on the golden model: that it and the deploy model agree is checked beside it.
    """
    lost = round(top1_trained * total / 100) - right
    allowed = max(LOST, int(LOST_SHARE * total))
    found = {TRAINED: top1_trained, DEPLOY: 100 * right / total}
    return [
        *(
            Check(f"{one.title} >= {ACCURACY:g} %", f"{top1:.2f} % of {total:,}", top1 >= ACCURACY)
            for one, top1 in found.items()
        ),
        Check(f"at most {allowed} images lost", f"{lost} of {total:,}", lost <= allowed),
    ]


def check_same(name: str, logits: NDArray[np.int64], golden: NDArray[np.integer]) -> Check:
    """Check that the integer logits (N, classes) of a model equal the golden model's."""
    wrong = int((logits != golden).any(axis=1).sum())
    return Check(f"{name} = G on every test image", f"{wrong:,} of {len(golden):,} differ", wrong == 0)


def check_hardware(report: dict[str, Any]) -> list[Check]:
    """Check R = G and the cycles from the content of sim.json."""
    measured, predicted = report["cycles_per_frame"], report["cycles_predicted"]
    wrong, total, count, runs = (report[key] for key in ("mismatches", "outputs_compared", "images", "runs"))
    return [
        Check(
            f"R = G on at least {SIMULATED} images, stalled and not",
            f"{wrong:,} of {total:,} outputs differ, {count} images",
            wrong == 0 and count >= SIMULATED and total > 0 and runs == 2,
        ),
        Check("cycles per frame measured = predicted", f"{measured:,} and {predicted:,}", measured == predicted),
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
