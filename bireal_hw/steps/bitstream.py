"""Step `bitstream`: the network on a board, by open tools."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bireal_hw import ending, golden
from bireal_hw.assets import PREPROCESS
from bireal_hw.files import write_json
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.results.bitstream import BitstreamFile, Reached, SlowestPath, ToolTime
from bireal_hw.run.build import FOLDING, Build, Figures
from bireal_hw.run.engine import Step
from bireal_hw.run.images import images_for, view_of
from bireal_hw.run.network import BUILD
from bireal_hw.schema import write
from bireal_hw.synth import host, nextpnr, yosys
from bireal_hw.synth.bitstream import BITSTREAM, PINS, Plan, build, layers_on, plan
from bireal_hw.synth.board import BOARD, SYSTEM
from bireal_hw.synth.results import Share

CACHE = BUILD / "synth-cache"
IMAGES = 16
"""Test images beside the bitstream unless `images=` says otherwise."""
KEPT = (f"{SYSTEM}.sv", f"{BOARD}.v", PINS, "synth.ys", nextpnr.LOG, BITSTREAM)
"""Files that stay of those that the tools read and wrote."""
LINE_BITS = 10
"""Of a byte on the serial line, with start and stop bit."""


def _planned(run: Build) -> Plan:
    """Return how the run's network is to be put on its board; raises BirealError where that cannot be."""
    return plan(run.board, run.clock_mhz)


def _bitstream(run: Build, folder: Path) -> Figures:
    """Leave bitstream.json and the folder that goes to the board: bitstream, host script, test images."""
    graph, folding = run.folded()
    flow, made = elaborate(graph, folding), _planned(run)
    images, origin = images_for(run.values, graph, run.config.images or IMAGES, or_fewer=run.config.images is None)
    target = folder / run.board.name / "bitstream"
    target.mkdir(parents=True)
    with ending.workplace(CACHE) as work:  # stays if a tool stops: its message names a file in it
        console = Console(stderr=True)
        with console.status("") as status:
            tell = status.update if console.is_terminal else console.print  # these are minutes: a log shows them too
            routed, taken = build(made, graph, flow, run.path / run.board.name / "rtl", work, tell)
        for name in KEPT:
            if (work / name).exists():
                shutil.copyfile(work / name, target / name)
    write_host(graph, images, made.line.baud, target, view_of(run.values))
    slowest, file = routed.slowest, target / BITSTREAM
    layers = layers_on(slowest.path.cells, flow.instances)
    found = BitstreamFile(
        **run.marks_of(graph),
        board=run.board.name,
        part=run.board.part,
        clock_mhz=round(made.mhz, 3),
        max_mhz=round(slowest.reached, 2),
        cycles_per_frame=flow.cycles,
        frames_per_second=round(made.mhz * 1e6 / flow.cycles, 1),
        baud=made.line.baud,
        images_per_second_on_line=round(made.line.baud / LINE_BITS / frame_bytes(graph), 1),
        resources={kind: Share(used=used, available=have) for kind, (used, have) in routed.used.items()},
        clocks={
            name: Reached(wanted_mhz=round(one.requested, 2), max_mhz=round(one.reached, 2))
            for name, one in routed.clocks.items()
        },
        critical_path=SlowestPath(layers=layers, **asdict(slowest.path) | {"cells": list(slowest.path.cells)}),
        tools={tool: ToolTime(**asdict(time)) for tool, time in taken.items()},
        bitstream_bytes=file.stat().st_size if file.exists() else None,
        images_from=origin,
        packages={yosys.PACKAGE: yosys.version(), nextpnr.PACKAGE: nextpnr.version()},
    )
    write(folder / run.board.name / BitstreamFile.file, found)
    amounts = [f"{kind} {used:,} of {have:,}" for kind, (used, have) in routed.used.items()]
    return {
        "used": ", ".join(amounts),
        "clock": f"{made.mhz:g} MHz; at most {slowest.reached:.1f}",
        "critical path": f"{', '.join(layers)} ({slowest.path.ns} ns, {slowest.path.routing_ns} of them wires)",
        "tools": ", ".join(f"{tool} {time.cpu_seconds:,.0f} s" for tool, time in taken.items()) + " of the processor",
    }


def frame_bytes(graph: Graph) -> int:
    """Return how many bytes pass the line in its busier direction for an image."""
    image = graph.input.pixels * graph.input.channels
    return host.HEADER + max(image, 4 * graph.output.size) + host.CHECK


def write_host(graph: Graph, images: NDArray[np.uint8], baud: int, folder: Path, view: float = 1.0) -> None:
    """Leave the host's script, what it has to know of the network, and test images with the golden model's logits.

    `view` is the part of a picture's middle that the network is shown.
    """
    for module in (Path(host.__file__), PREPROCESS):
        shutil.copy(module, folder)
    classes = graph.output.size
    about = {
        "image": list(graph.input.shape),
        "class_names": graph.info.get("class_names") or [str(index) for index in range(classes)],
        "frac": graph.output.dtype.frac,
        "baud": baud,
        "view": view,
    }
    write_json(folder / "network.json", about)
    vectors = folder / "vectors"
    vectors.mkdir()
    (vectors / "images.bin").write_bytes(np.ascontiguousarray(images).tobytes())
    np.savetxt(vectors / "logits.txt", golden.run(graph, images), "%d")


STEP = Step(
    name="bitstream",
    needs=lambda build: "rtl",
    reads=("graph.json", f"{{board}}/{FOLDING}", "{board}/rtl"),
    makes=("{board}/bitstream.json", "{board}/bitstream"),
    settings=lambda build: {"clock": build.clock_mhz, "images": build.config.images},
    refuse=_planned,
    work=_bitstream,
    module=__name__,
)
