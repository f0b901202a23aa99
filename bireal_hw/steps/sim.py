"""Step `sim`: the whole network in Verilator, every output and the cycles compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bireal_hw.analysis.cost import total as predicted_total
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import Folding
from bireal_hw.results.sim import SimFile
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.images import DEFAULT_IMAGES, images_for
from bireal_hw.run.network import BUILD
from bireal_hw.schema import write
from bireal_hw.sim.dram import dram_of
from bireal_hw.sim.network import MIN_FRAMES, simulate_network
from bireal_hw.sim.results import Simulation
from bireal_hw.sim.runner import FREE, STALLED
from bireal_hw.sim.verilator import waves_format

BYTES_OF_WAVES = {".fst": 0.1, ".gz": 0.1}
"""Bytes that waveforms take for each register and cycle; measured: 0.09 as packed VCD, 0.4 before it is packed."""


def _sim(build: Build, folder: Path) -> Figures:
    graph, folding = build.folded()
    images, origin = images_for(build.values, graph, build.config.images or DEFAULT_IMAGES)
    target = folder / build.board.name
    target.mkdir()
    waves = target / f"waves{waves_format()}" if build.config.waves else None
    rtl = build.path / build.board.name / "rtl"
    modes = (FREE,) if build.config.stalls is False else (FREE, STALLED)
    stalls = [replace(mode, dram=dram_of(build.board, build.clock_mhz, mode != FREE)) for mode in modes]
    dump = target / "mismatch"
    if waves:
        _announce(waves, graph, folding, max(len(images), MIN_FRAMES), len(stalls))
    result = simulate_network(graph, folding, rtl, images, stalls, BUILD / "sim", waves, dump)
    about = {"board": build.board.name, "images_from": origin, **build.marks_of(graph)}
    write(target / SimFile.file, SimFile(**about, **result.values))
    return {
        "images": f"{result.images} ({origin}), as {result.frames} frames in each of {result.runs} runs",
        "mismatches": f"{result.mismatches:,} of {result.outputs_compared:,}",
        "cycles per frame": f"{result.cycles_per_frame:,} (predicted {result.cycles_predicted:,})",
        "fullest FIFO": result.fullest,
    } | _memory(result, build)


def _memory(result: Simulation, build: Build) -> dict[str, str]:
    """What a network moves to and from memory beside the chip, beside what the board has."""
    if result.bytes_per_frame is None or result.bytes_predicted is None or not result.cycles_per_frame:
        return {}
    per_second = result.bytes_per_frame * build.clock_mhz / result.cycles_per_frame  # 10^6 bytes
    share = per_second / (build.board.dram_gbytes_per_s * 1e3)
    return {
        "DRAM": f"{result.bytes_per_frame:,} bytes a frame (predicted {result.bytes_predicted:,}),"
        f" {per_second:,.0f} MB/s, {share:.0%} of the board's peak"
    }


def _announce(waves: Path, graph: Graph, folding: Folding, frames: int, runs: int) -> None:
    """Say how much is about to be written as waveforms."""
    flow = elaborate(graph, folding)
    registers = predicted_total((one.binding.module, one.binding.parameters) for one in flow.instances).ff
    cycles = runs * (frames + 1) * flow.cycles
    size = BYTES_OF_WAVES[waves.suffix] * registers * cycles / 1e6
    fewer = "; stalls=0 halves it" if runs > 1 else ""
    line = f"{waves.name}: about {cycles:,} cycles, some {max(size, 1):,.0f} MB{fewer}"
    Console(highlight=False, soft_wrap=True).print(line)


STEP = Step(
    name="sim",
    needs=lambda build: "rtl",
    reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
    makes=("{board}/sim.json", "{board}/waves.fst", "{board}/waves.vcd.gz", "{board}/mismatch"),
    settings=lambda build: {"images": build.config.images or DEFAULT_IMAGES},
    work=_sim,
    module=__name__,
)
