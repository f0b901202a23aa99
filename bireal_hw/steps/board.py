"""Step `board`: the SystemVerilog as an IP for a Zynq, its system and driver, tried on a simulated board."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from bireal_hw import golden
from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.results.board import BoardFile, FaultFound
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.images import images_for, view_of
from bireal_hw.run.network import BUILD
from bireal_hw.schema import write
from bireal_hw.sim.dram import dram_of
from bireal_hw.zynq.files import about, write_files
from bireal_hw.zynq.ip import generate
from bireal_hw.zynq.simulation import DRAM, SimulatedBoard
from bireal_hw.zynq.system import OVERLAY, SCRIPT, System, boards, rtl_kernel, script, system

IMAGES = 64
IP = "ip"
BATCHES = (1, 7)
"""The first batches; the rest is one more."""


def _design(build: Build) -> System:
    """Return the system of the run's board; raises BirealError for a board without one."""
    board = build.board
    found = system(board.name, build.clock_mhz)
    if found is None:
        raise BirealError(f"board={board.name} has no PYNQ beside its logic: choose from {', '.join(boards())}")
    return found


def split(count: int) -> list[int]:
    """Cut a number of images into batches.

    >>> split(64), split(5)
    ([1, 7, 56], [1, 4])
    """
    batches: list[int] = []
    for batch in BATCHES:
        if count - sum(batches) > batch:
            batches.append(batch)
    return [*batches, count - sum(batches)]


def _board(build: Build, folder: Path) -> Figures:
    """Leave board.json, and the folder zynq: the IP, the script of the block design, what is copied to the board."""
    graph, folding = build.folded()
    flow, design = elaborate(graph, folding), _design(build)
    count = build.config.images
    images, origin = images_for(build.values, graph, count or IMAGES, or_fewer=count is None)
    board = build.board
    target = folder / board.name / "zynq"
    target.mkdir(parents=True)
    shape = generate(graph, flow, build.path / board.name / "rtl", target / IP)
    (target / SCRIPT).write_text(script(design, rtl_kernel(shape, IP), board.part, graph.name))
    rate = board.dram_bytes_per_cycle(design.clock_mhz)
    cycles = max(flow.cycles, math.ceil(flow.traffic / rate)) if flow.memory else flow.cycles
    network = about(graph, shape.identity, cycles, design.clock_mhz, view_of(build.values), flow.memory)
    write_files(target / OVERLAY, graph, network, images, flow.memory)
    batches, hertz = split(len(images)), 1e6 * design.clock_mhz
    start = time.perf_counter()
    with Console(stderr=True).status("the driver on the simulated board"), tempfile.TemporaryDirectory() as name:
        files = Path(name) / OVERLAY
        shutil.copytree(target / OVERLAY, files)
        for file in ("bireal.bit", "bireal.hwh"):  # which no tool has made yet
            (files / file).touch()
        dram = dram_of(board, design.clock_mhz, stalled=False) if flow.memory else DRAM
        simulated = SimulatedBoard.of_ip(shape, target / IP, files, BUILD / "sim", dram)
        found = simulated.run(asset("sim") / "board" / "session.py", hertz, batches=batches)
    want = golden.run(graph, images).reshape(len(images), -1)
    measured = found["measured"]
    result = BoardFile(
        **build.marks_of(graph),
        board=board.name,
        identity=shape.identity,
        clock_mhz=design.clock_mhz,
        images=len(images),
        images_from=origin,
        batches=batches,
        outputs_compared=want.size,
        mismatches=int(np.count_nonzero(np.array(found["logits"]) != want)),
        mismatches_stalled=int(np.count_nonzero(np.array(found["stalled"]) != want[: len(found["stalled"])])),
        frames_per_second=round(measured["frames_per_second"], 1),
        network_frames_per_second=round(measured["network_frames_per_second"], 1),
        latency_ms=round(measured["latency_ms"], 4),
        cycles_per_frame=measured["cycles_per_frame"],
        memory_bytes_per_frame=measured.get("memory_bytes_per_frame"),
        memory_bytes_per_second=measured.get("memory_bytes_per_second"),
        faults=[FaultFound(**one) for one in found["faults"]],
        seconds_run=round(time.perf_counter() - start, 1),
    )
    write(folder / board.name / BoardFile.file, result)
    return {
        "images": f"{result.images} ({origin}), in batches of {', '.join(map(str, batches))}",
        "mismatches": f"{result.mismatches:,} of {result.outputs_compared:,}; with stalls {result.mismatches_stalled}",
        "frames per second": f"{result.frames_per_second:,.1f} at {design.clock_mhz:g} MHz, {100 * result.share:.1f} % "
        f"of the network's own {result.network_frames_per_second:,.1f}",
        **_memory(result),
        "faults": f"{len(result.faults)} told, {sum(one.usable for one in result.faults)} times usable afterwards",
    }


def _memory(result: BoardFile) -> Figures:
    """What the network's own ports move, if it has some."""
    if result.memory_bytes_per_frame is None or result.memory_bytes_per_second is None:
        return {}
    rate = result.memory_bytes_per_second / 1e6
    return {"memory": f"{result.memory_bytes_per_frame:,.0f} bytes a frame, {rate:,.1f} MB/s"}


STEP = Step(
    name="board",
    needs=lambda build: "rtl",
    reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
    makes=("{board}/board.json", "{board}/zynq"),
    settings=lambda build: {"clock": build.clock_mhz, "images": build.config.images},
    refuse=_design,
    work=_board,
    module=__name__,
)
