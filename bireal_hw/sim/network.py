"""The whole network in the simulator: logits against the golden model, cycles against the prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bireal_hw import golden
from bireal_hw.engine.image import check_image
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array, Binding, Port
from bireal_hw.passes.dataflow import Dataflow, cycles_beside, elaborate
from bireal_hw.passes.folding import Folding
from bireal_hw.passes.streams import FIFO
from bireal_hw.rtl import CHECKS, FILE_LIST, MEMORIES, WEIGHTS
from bireal_hw.sim.results import FifoFill, Mismatch, Simulation, first_mismatch
from bireal_hw.sim.runner import DEFAULT_BUILDS, FREE, Dut, SimResult, StallMode, record, simulate

MIN_FRAMES = 4
"""Frames driven at least, so that the last ones show the steady state."""
MANY_FRAMES = 32
"""Frames driven to measure the cycles once more where the first ones did not show those predicted."""


def simulate_network(
    graph: Graph,
    folding: Folding,
    rtl_dir: Path,
    images: Array,
    stalls: Sequence[StallMode] = (FREE,),
    builds: Path = DEFAULT_BUILDS,
    waves: Path | None = None,
    dump: Path | None = None,
    min_frames: int = MIN_FRAMES,
) -> Simulation:
    """Run images back to back through a generated network, once per stall mode, and compare every logit.

    Args:
        graph: the network that the hardware was generated from.
        folding: the folding that it was generated with.
        rtl_dir: folder written by `bireal_hw.rtl.generate`.
        images: (N, H, W, C) uint8; repeated up to `min_frames` frames.
        stalls: one run each; cycles are taken from the first one that is free of stalls.
        builds: folder that keeps the built simulators.
        waves: file for the waveforms (FST).
        dump: folder for both tensors of the first layer that differs, written only on a mismatch.
        min_frames: frames driven at least.

    Returns:
        What was found. Cycles and fills are None where nothing was measured: no such run, or one frame.

    Raises:
        BirealError: as `simulate` does, or for images that do not fit the network.
    """
    golden.check_images(graph, images)
    if not len(images):
        raise BirealError("images=0 is out of range: simulate 1 or more")
    flow = elaborate(graph, folding)
    frames = np.resize(images, (max(len(images), min_frames), *images.shape[1:]))
    want = np.resize(golden.run(graph, images), (len(frames), graph.output.size))
    dut = network_dut(flow, rtl_dir)
    runs = _run(flow, graph, dut, frames, stalls, builds, waves)
    dram_rate = stalls[0].dram.bytes_per_cycle or math.inf
    wrong = [int(np.count_nonzero(run.outputs != want)) for run in runs]
    free = next((run for run, mode in zip(runs, stalls, strict=True) if mode.source == mode.sink == 0), None)
    stalled = [run for run, mode in zip(runs, stalls, strict=True) if mode.source or mode.sink]
    first = None
    if any(wrong):
        first = _first_mismatch(graph, flow, dut, frames, stalls[int(np.argmax(np.array(wrong) > 0))], builds, dump)
    interval = _interval(flow, free) if free and len(frames) > 1 else None
    predicted = cycles_beside(graph, flow, dram_rate)
    bound = flow.engine_bound or predicted > flow.cycles
    # Ends of frames come in a pattern, or it is not the steady state yet.
    if interval not in (None, flow.cycles) and not bound:
        many = np.resize(images, (max(len(frames), MANY_FRAMES), *images.shape[1:]))
        free_mode = next(mode for mode in stalls if mode.source == mode.sink == 0)
        free_again = _run(flow, graph, dut, many, (free_mode,), builds, None)[0]
        interval = _interval(flow, free_again)
    return Simulation(
        images=len(images),
        frames=len(frames),
        runs=len(runs),
        outputs_compared=len(runs) * want.size,
        mismatches=sum(wrong),
        first_mismatch=first,
        cycles_per_frame=math.ceil(interval) if interval else None,
        latency_cycles=free.tlast[0] - free.first_in if free else None,
        cycles_predicted=predicted,
        bottleneck=flow.bottleneck,
        bound=bound,
        bytes_per_frame=_moved(free) // len(frames) if free and flow.memory else None,
        bytes_predicted=flow.traffic if flow.memory else None,
        cycles_simulated=sum(run.cycles for run in runs),
        fifos=[
            FifoFill(
                name=name,
                depth=depth,
                highest_fill=free.fills[name] if free else None,
                highest_fill_stalled=max((run.fills[name] for run in stalled), default=None),
            )
            for name, depth in dut.fifos.items()
        ],
        seconds_build=round(runs[0].seconds_build, 2),
        seconds_run=round(runs[0].seconds_run, 2),
    )


def _interval(flow: Dataflow, run: SimResult) -> Fraction:
    """Cycles from one frame to the next; at the input where an engine's memory moves the ends of frames to and fro."""
    return Fraction(run.period_in) if flow.memory else run.interval


def _moved(run: SimResult) -> int:
    """Bytes that a run moved to and from memory beside the chip."""
    return sum(run.bytes_read.values()) + sum(run.bytes_written.values())


def network_dut(flow: Dataflow, rtl_dir: Path) -> Dut:
    """Describe a generated network to the runner.

    Raises:
        BirealError: the folder does not hold a generated network.
    """
    try:
        names = (rtl_dir / FILE_LIST).read_text().split()
    except OSError as error:
        raise BirealError(f"{rtl_dir} holds no generated network: {error.strerror}") from error
    ports = (
        (Port("s_axis", flow.input.lanes, flow.input.dtype),),
        Port("m_axis", flow.output.lanes, flow.output.dtype),
    )
    sources = tuple(rtl_dir / name for name in [*names, CHECKS])
    top, files, depths = Binding("br_top", {}, *ports), {MEMORIES: rtl_dir / MEMORIES}, fifo_depths(flow)
    if not flow.memory:
        return Dut(top, sources, files, depths)
    check_image(rtl_dir / WEIGHTS, flow.memory.image)
    return Dut(replace(top, axi=flow.memory.axi), sources, files, depths, dram=rtl_dir / WEIGHTS, maps=flow.memory.maps)


def fifo_depths(flow: Dataflow) -> dict[str, int]:
    """Depth of every FIFO in beats, by name."""
    bindings = {instance.name: instance.binding for instance in flow.instances}
    return {name: one.parameters["Depth"] for name, one in bindings.items() if one.module == FIFO}


def _run(
    flow: Dataflow,
    graph: Graph,
    dut: Dut,
    frames: Array,
    stalls: Sequence[StallMode],
    builds: Path,
    waves: Path | None,
) -> list[SimResult]:
    return simulate(
        dut,
        frames,
        output_beats=graph.output.beats(flow.output.lanes),
        stalls=stalls,
        builds=builds,
        timeout=timeout(flow),
        waves=waves,
    )


def timeout(flow: Dataflow) -> int:
    """Cycles without a transfer at either end or into a FIFO that no working network needs: some frames' time."""
    return 8 * flow.cycles + 20_000


def _first_mismatch(
    graph: Graph, flow: Dataflow, dut: Dut, frames: Array, stall: StallMode, builds: Path, dump: Path | None
) -> Mismatch | None:
    """Run again with every layer's output recorded; find the first layer, in dataflow order, that differs."""
    ports = {instance.name: instance.binding.output for instance in flow.instances}
    with record(
        dut,
        frames,
        probes={node.name: ports[node.name] for node in graph},
        output_beats=graph.output.beats(flow.output.lanes),
        stall=stall,
        builds=builds,
        timeout=timeout(flow),
    ) as probe:
        for name, want in golden.tensors(graph, frames):
            if found := first_mismatch(name, want, probe(name), dump=dump):
                return found
    return None
