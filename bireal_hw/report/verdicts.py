"""What a run claims, and whether it holds: from the files that its commands have left."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from bireal_hw.hls.results import STAGES
from bireal_hw.ir.encoding import FLOAT32_EXACT
from bireal_hw.report.board import BoardArtifacts
from bireal_hw.report.page import State, Verdict
from bireal_hw.results.base import OfRun
from bireal_hw.results.board import DriverFile
from bireal_hw.results.checks import check_accuracy
from bireal_hw.results.hls import HlsFile
from bireal_hw.results.lower import LowerFile
from bireal_hw.results.network import DemoFile, ExportFile, TrainFile
from bireal_hw.results.sim import SimFile
from bireal_hw.results.synth import SynthFile
from bireal_hw.run.artifacts import Artifact
from bireal_hw.sim.results import Comparison
from bireal_hw.synth.resources import NAMES, number

Form = TypeVar("Form", bound=OfRun)


def of_network(
    train: Artifact[TrainFile] | None,
    export: Artifact[ExportFile] | None,
    lowered: Artifact[LowerFile],
    demo: Artifact[DemoFile],
    untrained: bool,
) -> list[Verdict]:
    """Judge the network: accuracy, the same integers in PyTorch, QONNX and the golden model, exactness of float32.

    Args:
        train: what the training left; None for a network that was not trained here.
        export: what the export left; None for a network that came as a file.
        lowered: what was found when the file became a graph.
        demo: what the demo left.
        untrained: whether the weights are random.
    """
    verdicts = []
    if train:
        if demo.content:
            verdicts += [
                Verdict(check.claim, check.found, _state(check.holds), file=demo.file)
                for check in demo.content.checks
                if check.about == "network"
            ]
        else:
            verdicts.append(_judged("deploy model no worse than the trained one", train, "", _loss))
            verdicts.append(_unknown("P = Q = G on every test image", demo, ""))
    else:
        why = "has random weights" if untrained else "came as a file"
        note = f"make demo checks this for a network that is trained here; this one {why}"
        verdicts.append(Verdict("P = Q = G on every test image", "", State.OPEN, note=note))
    verdicts.append(_judged("the golden model computes what the file says", lowered, "", _as_the_file))
    if export:
        verdicts.append(_judged("every intermediate value is exact in float32", export, "", _exact))
    return verdicts


def of_board(board: str, made: BoardArtifacts) -> list[Verdict]:
    """Judge the hardware for a board: the same integers as the golden model, the predicted cycles, its size.

    The driver is judged only where it was tried.
    """
    sim, hls = made.sim, made.hls
    verdicts = [
        _judged("R = G", sim, board, _equal),
        _judged("cycles per frame of the SystemVerilog as predicted", sim, board, _cycles),
    ]
    if hls:
        verdicts.append(_judged("H = G", hls, board, _equal))
        verdicts.append(_judged("cycles per frame of the C++ as predicted", hls, board, _cycles))
        stages = hls.content.stages if hls.content else {}
        done = [stage for stage, one in stages.items() if one.skipped is None]
        verdicts += [_judged(f"{STAGES[stage]} succeeds", hls, board, partial(_succeeds, stage)) for stage in done]
    for driver, kernel in ((made.driver, "SystemVerilog"), (made.driver_hls, "C++")):
        if driver and driver.content:
            verdicts.append(
                _judged(f"the driver with the {kernel} behind it, on the simulated board", driver, board, _driven)
            )
    return [*verdicts, _judged("fits the board", made.synth, board, _fits)]


def _state(holds: bool | None) -> State:
    return State.OPEN if holds is None else State.HOLDS if holds else State.FAILS


def _judged(claim: str, made: Artifact[Form], board: str, judge: Callable[[Form], tuple[str, bool | None]]) -> Verdict:
    """Judge a result; one that is missing or of something else is no verdict."""
    if made.content is None:
        return _unknown(claim, made, board)
    found, holds = judge(made.content)
    return Verdict(claim, found, _state(holds), board, made.file)


def _unknown(claim: str, made: Artifact[OfRun], board: str) -> Verdict:
    state = State.STALE if made.stale else State.OPEN
    return Verdict(claim, "", state, board, made.file, made.problem, made.command)


def _as_the_file(lowered: LowerFile) -> tuple[str, bool]:
    return lowered.found, True  # what differs by more than it was moved stops the step


def _loss(train: TrainFile) -> tuple[str, bool]:
    total = train.test_images
    check = check_accuracy(train.top1_trained, round((train.top1_deploy or 0) * total / 100), total)[-1]
    return f"{check.found} lost", check.holds


def _exact(export: ExportFile) -> tuple[str, bool]:
    layer, most = max(export.max_intermediate.items(), key=lambda item: item[1], default=("", 0))
    return f"at most {most:,} ({layer}), below {FLOAT32_EXACT:,}", most < FLOAT32_EXACT


def _equal(found: SimFile | HlsFile) -> tuple[str, bool]:
    wrong, total = found.mismatches, found.outputs_compared
    words = f"{wrong:,} of {total:,} outputs differ on {found.images:,} images ({found.images_from})"
    if isinstance(found, SimFile) and found.runs == 2:
        words += ", with and without stalls"
    return f"{words}; first: {found.where}" if wrong else words, wrong == 0 and total > 0


def _cycles(found: Comparison) -> tuple[str, bool | None]:
    measured, predicted = found.cycles_per_frame, found.cycles_predicted
    if measured is None:
        return f"not measured; {predicted:,} predicted", None
    return f"{measured:,} measured, {predicted:,} predicted", measured == predicted


def _succeeds(stage: str, hls: HlsFile) -> tuple[str, bool]:
    """Judge what a vendor's tool did."""
    found = hls.stages[stage]
    words = [f"by {found.tool}", *(f"{edge} slack {nanoseconds} ns" for edge, nanoseconds in found.slacks.items())]
    if found.failed is not None:
        words.append(found.failed)
    holds = found.failed is None and found.passed is not False and min(found.slacks.values(), default=0) >= 0
    return ", ".join(words), holds


def _driven(found: DriverFile) -> tuple[str, bool]:
    wrong = found.mismatches + found.mismatches_stalled
    good = sum(bool(one.told) and one.usable for one in found.faults)
    words = (
        f"{wrong:,} of {found.outputs_compared:,} logits differ, {good} of {len(found.faults)} faults told and survived"
    )
    return words, wrong == 0 < found.outputs_compared and good == len(found.faults)


def _fits(synth: SynthFile) -> tuple[str, bool]:
    shares = synth.shares
    used = [f"{NAMES[kind]} {number(one.used)} of {number(one.available)}" for kind, one in shares.items() if one.used]
    return ", ".join(used), all(one.used <= one.available for one in shares.values())
