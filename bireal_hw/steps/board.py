"""Step `board`: the SystemVerilog as an IP for a Zynq, its system and driver, tried on a simulated board."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bireal_hw import golden
from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.results.board import BatchSpeed, BoardFile, DriverFile, FaultFound
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


def system_of(build: Build) -> System:
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


def recorded(build: Build, graph: Graph) -> tuple[Array, str]:
    """Return the images that lie beside the driver, and where they are from."""
    count = build.config.images
    return images_for(build.values, graph, count or IMAGES, or_fewer=count is None)


def tried(board: SimulatedBoard, graph: Graph, images: Array, hertz: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the session of `make board`; return what it found, and the part of the result that is in every file."""
    start, batches = time.perf_counter(), split(len(images))
    for file in ("bireal.bit", "bireal.hwh"):  # which no tool has made yet
        (board.files / file).touch()
    with Console(stderr=True).status("the driver on the simulated board"):
        found = board.run(asset("sim") / "board" / "session.py", hertz, batches=batches)
    want = golden.run(graph, images).reshape(len(images), -1)
    stalled = found["stalled"]
    return found, {
        "identity": board.shape.identity,
        "images": len(images),
        "batches": batches,
        "outputs_compared": want.size,
        "mismatches": int(np.count_nonzero(np.array(found["logits"]) != want)),
        "mismatches_stalled": int(np.count_nonzero(np.array(stalled) != want[: len(stalled)])),
        "faults": [FaultFound(**one) for one in found["faults"]],
        "seconds_run": round(time.perf_counter() - start, 1),
    }


def _board(build: Build, folder: Path) -> Figures:
    """Leave board.json, and the folder zynq: the IP, the script of the block design, what is copied to the board."""
    graph, folding = build.folded()
    flow, design = elaborate(graph, folding), system_of(build)
    images, origin = recorded(build, graph)
    board = build.board
    target = folder / board.name / "zynq"
    target.mkdir(parents=True)
    shape = generate(graph, flow, build.path / board.name / "rtl", target / IP)
    (target / SCRIPT).write_text(script(design, rtl_kernel(shape, IP), board.part, graph.name))
    rate = board.dram_bytes_per_cycle(design.clock_mhz)
    cycles = max(flow.cycles, math.ceil(flow.traffic / rate)) if flow.memory else flow.cycles
    network = about(graph, shape.identity, cycles, design.clock_mhz, view_of(build.values), flow.memory)
    write_files(target / OVERLAY, graph, network, images, flow.memory)
    hertz = 1e6 * design.clock_mhz
    with tempfile.TemporaryDirectory() as name:
        files = shutil.copytree(target / OVERLAY, Path(name) / OVERLAY)
        dram = dram_of(board, design.clock_mhz, stalled=False) if flow.memory else DRAM
        simulated = SimulatedBoard.of_ip(shape, target / IP, files, BUILD / "sim", dram)
        found, common = tried(simulated, graph, images, hertz)
    measured = found["measured"]
    result = BoardFile(
        **build.marks_of(graph),
        **common,
        board=board.name,
        images_from=origin,
        clock_mhz=design.clock_mhz,
        speeds=[
            BatchSpeed(images=count, cycles=all_, run_cycles=run, frames_per_second=round(count * hertz / all_, 1))
            for count, (all_, run) in zip(common["batches"], found["cycles"], strict=True)
        ],
        frames_per_second=round(measured["frames_per_second"], 1),
        network_frames_per_second=round(measured["network_frames_per_second"], 1),
        latency_ms=round(measured["latency_ms"], 4),
        cycles_per_frame=measured["cycles_per_frame"],
        cycles_to_first_logit=measured["cycles_to_first_logit"],
        memory_bytes_per_frame=measured.get("memory_bytes_per_frame"),
        memory_bytes_per_second=measured.get("memory_bytes_per_second"),
    )
    write(folder / board.name / BoardFile.file, result)
    own = result.network_frames_per_second
    speeds = (
        f"{one.frames_per_second:,.1f} in a batch of {one.images} ({result.share(one.frames_per_second):.1%})"
        for one in result.speeds
    )
    return {
        **compared(result),
        "frames per second": f"{', '.join(speeds)} at {design.clock_mhz:g} MHz; the network's own {own:,.1f}",
        **_memory(result),
        **faults(result),
    }


def compared(result: DriverFile) -> Figures:
    """Say how many logits differ."""
    return {
        "images": f"{result.images} ({result.images_from}), in batches of {', '.join(map(str, result.batches))}",
        "mismatches": f"{result.mismatches:,} of {result.outputs_compared:,}; with stalls {result.mismatches_stalled}",
    }


def faults(result: DriverFile) -> Figures:
    """Say how many faults were told."""
    usable = sum(one.usable for one in result.faults)
    return {"faults": f"{len(result.faults)} told, {usable} times usable afterwards"}


def _memory(result: BoardFile) -> Figures:
    """What the network's own ports move, if it has some."""
    if result.memory_bytes_per_frame is None or result.memory_bytes_per_second is None:
        return {}
    rate = result.memory_bytes_per_second / 1e6
    return {"memory": f"{result.memory_bytes_per_frame:,.0f} bytes a frame, {rate:,.1f} MB/s"}


def settings(build: Build) -> dict[str, Any]:
    """Return what the result depends on beside files."""
    return {"clock": build.clock_mhz, "images": build.config.images}


STEP = Step(
    name="board",
    needs=lambda build: "rtl",
    reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
    makes=("{board}/board.json", "{board}/zynq"),
    settings=settings,
    refuse=system_of,
    work=_board,
    module=__name__,
)
