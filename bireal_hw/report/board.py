"""The section of a report about a board: folding, resources, layers, FIFOs, simulations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bireal_hw.analysis.cost import predict
from bireal_hw.analysis.plan import DEFAULT_FPS
from bireal_hw.hls.results import STAGES
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.streams import FIFO
from bireal_hw.report.layers import layers
from bireal_hw.report.page import Bar, BoardSection, Command, Facts, Fifo, Missing
from bireal_hw.results.base import OfRun
from bireal_hw.results.board import BoardFile, BoardHlsFile, DriverFile
from bireal_hw.results.hls import HlsFile
from bireal_hw.results.sim import SimFile
from bireal_hw.results.synth import SynthFile
from bireal_hw.run.artifacts import Artifact, artifact, command, outdated, refusal
from bireal_hw.run.build import FOLDING, Build
from bireal_hw.synth.network import layer_of
from bireal_hw.synth.resources import KINDS, NAMES, Resources, capacity, number


@dataclass(frozen=True)
class BoardArtifacts:
    """What was made for a board.

    Attributes:
        sim: the simulation.
        hls: the simulation of the C++; None if Vitis HLS does not build for the board.
        synth: the synthesis.
        driver, driver_hls: the driver on the simulated board, with SystemVerilog and with C++ behind it; None if the
            board has no processor for it.
    """

    sim: Artifact[SimFile]
    hls: Artifact[HlsFile] | None
    synth: Artifact[SynthFile]
    driver: Artifact[BoardFile] | None
    driver_hls: Artifact[BoardHlsFile] | None


def board_artifacts(build: Build) -> BoardArtifacts:
    """Return what was made for the board."""
    there = not refusal(build, "board")
    return BoardArtifacts(
        artifact(build, SimFile),
        artifact(build, HlsFile) if build.board.flow == "vivado" else None,
        artifact(build, SynthFile),
        artifact(build, BoardFile) if there else None,
        artifact(build, BoardHlsFile) if there else None,
    )


def missing_of(made: Mapping[str, Artifact[OfRun] | None]) -> dict[str, Missing]:
    """Return what is not there of some artifacts, by their names; None is one that nobody expects."""
    return {
        what: Missing(f"{one.file} is {one.problem}", one.command)
        for what, one in made.items()
        if one and one.content is None
    }


def board_section(build: Build) -> BoardSection:
    """Collect what there is about a board."""
    board = build.board
    section = BoardSection(board.name, board.part)
    if reason := outdated(build, "fold"):
        section.missing["folding"] = Missing(f"{FOLDING} is out of date: {reason}", command(build, "fold"))
        return section
    graph, folding = build.folded()
    flow = elaborate(graph, folding)
    made = board_artifacts(build)
    section.missing = missing_of({"resources": made.synth, "simulation": made.sim, "cpp": made.hls})
    sim, synth = made.sim.content, made.synth.content
    if not made.hls:
        section.missing["cpp"] = Missing(f"Vitis HLS does not build for {board.part}")
    if not sim or sim.fifos is None:
        section.missing["fifos"] = Missing("the highest fill is recorded by the simulation", made.sim.command)
    section.facts = _speed(build, flow, sim)
    _resources(section, build, flow, synth)
    used = (
        {layer.name: layer.used for layer in synth.layers} if synth else _predicted(flow, [node.name for node in graph])
    )
    section.layers = layers(graph, folding, flow, used)
    section.fifos = _fifos(flow, sim)
    section.simulation = _simulation(sim) if sim else {}
    section.cpp = _cpp(made.hls.content) if made.hls and made.hls.content else {}
    _driver(section, made)
    return section


def _speed(build: Build, flow: Dataflow, sim: SimFile | None) -> Facts:
    clock = build.clock_mhz
    facts = {
        "clock": f"{clock:g} MHz",
        "frames per second": f"{clock * 1e6 / flow.cycles:,.1f}",
        "requested": _requested(build.requested),
        "cycles per frame, predicted": f"{flow.cycles:,}",
        "slowest part": flow.bottleneck,
    }
    if sim and sim.cycles_per_frame is not None:
        facts["cycles per frame, measured"] = f"{sim.cycles_per_frame:,}"
    if sim and sim.latency_cycles is not None:
        facts["latency, measured"] = f"{sim.latency_cycles:,} cycles, {sim.latency_cycles / clock / 1000:.3g} ms"
    return facts


def _requested(requested: dict[str, Any]) -> str:
    """Write what a folding was made for."""
    if requested["folding"]:
        return f"the folding in {requested['folding']}"
    if requested["target_fps"] == "max":
        return "the most that fits"
    if requested["target_fps"] is None:
        return f"{DEFAULT_FPS:,} frames per second, or the most that fits"
    return f"{requested['target_fps']:,g} frames per second"


def _resources(section: BoardSection, build: Build, flow: Dataflow, synth: SynthFile | None) -> None:
    """Fill in the bars, and who counted them and the resources of the layers."""
    have = capacity(build.board)
    estimate = Resources()
    for one in flow.instances:
        estimate += predict(one.binding.module, one.binding.parameters)
    estimate = estimate.rounded()
    section.total = synth.used if synth else estimate
    section.columns = tuple(kind for kind in KINDS if getattr(have, kind) or getattr(section.total, kind))
    others = {"predicted": synth.predicted, "as one design": synth.whole} if synth else {}
    for kind in section.columns:
        notes = tuple(f"{name}: {number(getattr(used, kind))}" for name, used in others.items() if used)
        section.bars.append(Bar(NAMES[kind], getattr(section.total, kind), getattr(have, kind), notes))
    around = "A layer's row holds what stands around it too: registers, FIFOs, width converters."
    if synth:
        section.bars_source = f"Counted by Yosys {synth.yosys}, every instance on its own, and added up."
        section.layers_source = f"Resources counted by Yosys. {around}"
    else:
        section.bars_source = "Predicted by the cost model, not counted."
        section.layers_source = f"Resources predicted by the cost model, each row rounded. {around}"


def _predicted(flow: Dataflow, names: list[str]) -> dict[str, Resources]:
    used: dict[str, Resources] = {}
    for one in flow.instances:
        layer = layer_of(one.name, names)
        used[layer] = used.get(layer, Resources()) + predict(one.binding.module, one.binding.parameters)
    return {layer: some.rounded() for layer, some in used.items()}


def _fifos(flow: Dataflow, sim: SimFile | None) -> list[Fifo]:
    fills = {fifo.name: fifo.highest_fill for fifo in (sim.fifos if sim else None) or ()}
    return [
        Fifo(one.name, one.binding.parameters["Depth"], one.binding.parameters["Width"], fills.get(one.name))
        for one in flow.instances
        if one.binding.module == FIFO
    ]


def _simulation(sim: SimFile) -> Facts:
    return _comparison(sim) | {
        "frames": f"{sim.frames:,}, back to back",
        "runs": f"{sim.runs}, the second with random stalls" if sim.runs == 2 else str(sim.runs),
    }


def _cpp(hls: HlsFile) -> Facts:
    facts = _comparison(hls)
    for stage, found in hls.stages.items():
        what = STAGES[stage]
        if found.skipped is not None:
            facts[what] = f"not run: {found.skipped}"
            if found.command:
                facts[f"to run {what}"] = Command(found.command)
            continue
        for key, value in found.values.items():
            facts[f"{what}: {key.replace('_', ' ')}"] = _vendor_text(value)
    return facts


def _driver(section: BoardSection, made: BoardArtifacts) -> None:
    """Fill in what the driver did on the simulated board; the C++ is shown only where it was tried."""
    section.missing |= missing_of({"driver": made.driver})
    if made.driver and (found := made.driver.content):
        own = found.network_frames_per_second
        section.driver = _behind(found) | {
            "frames per second of the network": f"{own:,.1f} at {found.clock_mhz:g} MHz",
            "latency of one image": f"{found.latency_ms:.3g} ms",
            "first logit after": f"{found.cycles_to_first_logit:,} cycles",
        }
        section.speeds = [
            (one.images, one.frames_per_second, found.share(one.frames_per_second)) for one in found.speeds
        ]
        section.faults = found.faults
    if made.driver_hls and (behind := made.driver_hls.content):
        section.driver_hls = _behind(behind)


def _behind(found: DriverFile) -> Facts:
    usable = sum(one.usable for one in found.faults)
    return {
        "images": f"{found.images:,} ({found.images_from}), in batches of {', '.join(map(str, found.batches))}",
        "logits compared": f"{found.outputs_compared:,}",
        "mismatches": f"{found.mismatches:,}, with stalls {found.mismatches_stalled:,}",
        "faults of the hardware": f"{len(found.faults)} told, {usable} times usable afterwards",
    }


def _vendor_text(value: Any) -> str:
    """Write a figure of a vendor's tool: used and available, a list, or a single value."""
    if isinstance(value, dict):
        return " of ".join(map(str, value.values()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _comparison(found: SimFile | HlsFile) -> Facts:
    cycles = found.cycles_per_frame
    facts = {
        "images": f"{found.images:,} ({found.images_from})",
        "outputs compared": f"{found.outputs_compared:,}",
        "mismatches": f"{found.mismatches:,}",
        "cycles per frame": "not measured" if cycles is None else f"{cycles:,}",
        "cycles per frame, predicted": f"{found.cycles_predicted:,}",
        "time to build": f"{found.seconds_build:,.1f} s",
        "time to run": f"{found.seconds_run:,.1f} s",
    }
    if found.mismatches:
        facts["first mismatch"] = found.where
    return facts
