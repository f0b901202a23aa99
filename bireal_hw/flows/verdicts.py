"""What a run claims, and whether it holds: from the files that its commands have left."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bireal_hw.errors import VerdictError
from bireal_hw.flows.accuracy import DEPLOY, TRAINED
from bireal_hw.flows.demo import check_accuracy
from bireal_hw.flows.results import Result
from bireal_hw.hls.vendor import STAGES
from bireal_hw.report.page import State, Verdict
from bireal_hw.report.render import amount
from bireal_hw.synth.resources import KINDS, NAMES

FLOAT32_EXACT = 2**24
"""Every integer below it is exact in float32, in which PyTorch and QONNX compute."""

Content = dict[str, Any]


def of_network(train: Result | None, export: Result | None, demo: Result, untrained: bool) -> list[Verdict]:
    """Judge the network: accuracy, the same integers in PyTorch, QONNX and the golden model, exactness of float32.

    Args:
        train: what the training left; None for a network that was not trained here.
        export: what the export left; None for a network that came as a file.
        demo: what the demo left.
        untrained: whether the weights are random.
    """
    verdicts = []
    if train:
        if demo.content:
            verdicts += [
                Verdict(check["claim"], check["found"], _state(check["holds"]), file=demo.file)
                for check in demo.content["checks"]
                if check.get("about") == "network"
            ]
        else:
            verdicts.append(_judged("deploy model no worse than the trained one", train, "", _loss))
            verdicts.append(_unknown("P = Q = G on every test image", demo, ""))
    else:
        why = "has random weights" if untrained else "came as a file"
        note = f"make demo checks this for a network that is trained here; this one {why}"
        verdicts.append(Verdict("P = Q = G on every test image", "", State.OPEN, note=note))
    if export:
        verdicts.append(_judged("every intermediate value is exact in float32", export, "", _exact))
    return verdicts


def of_board(board: str, sim: Result, hls: Result | None, synth: Result) -> list[Verdict]:
    """Judge the hardware for a board: the same integers as the golden model, the predicted cycles, its size.

    Args:
        board: its name.
        sim: what the simulation left.
        hls: what the simulation of the C++ left; None if Vitis HLS does not build for the board.
        synth: what the synthesis left.
    """
    verdicts = [
        _judged("R = G", sim, board, _equal),
        _judged("cycles per frame of the SystemVerilog as predicted", sim, board, _cycles),
    ]
    if hls:
        verdicts.append(_judged("H = G", hls, board, _equal))
        verdicts.append(_judged("cycles per frame of the C++ as predicted", hls, board, _cycles))
        done = [stage for stage in STAGES if "skipped" not in (hls.content or {}).get(stage, {"skipped": ""})]
        verdicts += [_judged(f"{STAGES[stage]} succeeds", hls, board, partial(_succeeds, stage)) for stage in done]
    return [*verdicts, _judged("fits the board", synth, board, _fits)]


def first_mismatch(first: Content | None) -> str:
    """Write the first mismatch of a simulation in words."""
    if first is None:
        return "not found again layer by layer"
    return f"layer {first['layer']} at {first['index']}: wanted {first['want']}, got {first['got']}"


CYCLES = ("cycles_per_frame", "cycles_predicted", "bottleneck")
"""Keys of sim.json and hls.json that `refuse_other_cycles` reads."""
NAMED = 3
"""Full FIFOs that its error names."""


def refuse_other_cycles(content: Content) -> None:
    """Raise VerdictError if a simulation took other cycles per frame than predicted; none measured is no error."""
    measured, predicted = content["cycles_per_frame"], content["cycles_predicted"]
    if measured in (None, predicted):
        return
    full = [fifo["name"] for fifo in content.get("fifos", []) if fifo["highest_fill"] == fifo["depth"]]
    more = f" and {len(full) - NAMED} more" if len(full) > NAMED else ""
    words = f"{measured:,} cycles per frame, {predicted:,} predicted; the slowest part is {content['bottleneck']}"
    raise VerdictError(f"{words}; FIFOs that were full: {', '.join(full[:NAMED])}{more}" if full else words)


def _state(holds: bool | None) -> State:
    return State.OPEN if holds is None else State.HOLDS if holds else State.FAILS


def _judged(claim: str, result: Result, board: str, judge: Callable[[Content], tuple[str, bool | None]]) -> Verdict:
    """Judge a result; one that is missing or of something else is no verdict."""
    if result.content is None:
        return _unknown(claim, result, board)
    found, holds = judge(result.content)
    return Verdict(claim, found, _state(holds), board, result.file)


def _unknown(claim: str, result: Result, board: str) -> Verdict:
    state = State.STALE if result.stale else State.OPEN
    return Verdict(claim, "", state, board, result.file, result.problem, result.command)


def _loss(train: Content) -> tuple[str, bool]:
    total = train["test_images"]
    check = check_accuracy(train[TRAINED.key], round(train[DEPLOY.key] * total / 100), total)[-1]
    return f"{check.found} lost", check.holds


def _exact(export: Content) -> tuple[str, bool]:
    layer, most = max(export["max_intermediate"].items(), key=lambda item: item[1], default=("", 0))
    return f"at most {most:,} ({layer}), below {FLOAT32_EXACT:,}", most < FLOAT32_EXACT


def _equal(content: Content) -> tuple[str, bool]:
    wrong, total = content["mismatches"], content["outputs_compared"]
    found = f"{wrong:,} of {total:,} outputs differ on {content['images']:,} images ({content['images_from']})"
    if content.get("runs") == 2:
        found += ", with and without stalls"
    if wrong:
        found += f"; first: {first_mismatch(content['first_mismatch'])}"
    return found, wrong == 0 and total > 0


def _cycles(content: Content) -> tuple[str, bool | None]:
    measured, predicted = content["cycles_per_frame"], content["cycles_predicted"]
    if measured is None:
        return f"not measured; {predicted:,} predicted", None
    return f"{measured:,} measured, {predicted:,} predicted", measured == predicted


def _succeeds(stage: str, hls: Content) -> tuple[str, bool]:
    """Judge what a vendor's tool did."""
    found = hls[stage]
    slack = {edge: found[f"{edge}_slack_ns"] for edge in ("setup", "hold") if f"{edge}_slack_ns" in found}
    words = [f"by {found.get('tool')}", *(f"{edge} slack {nanoseconds} ns" for edge, nanoseconds in slack.items())]
    if "failed" in found:
        words.append(found["failed"])
    return ", ".join(words), "failed" not in found and found.get("passed", True) and min(slack.values(), default=0) >= 0


def _fits(synth: Content) -> tuple[str, bool]:
    used = [(NAMES[kind], synth[kind]["used"], synth[kind]["available"]) for kind in KINDS]
    found = ", ".join(f"{name} {amount(some)} of {amount(have)}" for name, some, have in used if some)
    return found, all(some <= have for _, some, have in used)
