"""The C++ of a network on the simulated board: compiled by g++, behind the registers that Vitis HLS would give it."""

from __future__ import annotations

import shutil
from pathlib import Path

from bireal_hw.assets import asset
from bireal_hw.hls.design import Design, network_hash
from bireal_hw.hls.gpp import build_object
from bireal_hw.hls.project import TOP
from bireal_hw.ir.graph import Graph
from bireal_hw.zynq.ports import Shape
from bireal_hw.zynq.simulation import SimulatedBoard
from bireal_hw.zynq.system import DMA_BYTES

MODEL = "br_hls_model"
REGISTERS = {"CTRL": 0x00, "GIER": 0x04, "IP_IER": 0x08, "IP_ISR": 0x0C, "frames": 0x10}
"""Of an IP with one argument in AXI4-Lite beside its start (UG1399)."""


def simulated(graph: Graph, made: Design, project: Path, files: Path, folder: Path, builds: Path) -> SimulatedBoard:
    """Return a board with a network's C++ in its logic.

    Args:
        graph: the network.
        made: its kernels and streams.
        project: folder written by `bireal_hw.hls.generate` for both.
        files: folder that would be copied to the board.
        folder: receives the compiled kernel.
        builds: folder that keeps simulators.

    Raises:
        BirealError: a tool is missing, or the C++ does not compile.
    """
    source = folder / "kernel"
    shutil.copytree(project, source)
    shutil.copy(asset("sim") / "board" / "hls" / "kernel.cpp", source)
    kernel = build_object(source / "kernel.cpp", folder / "kernel.o")
    identity, flow = network_hash(made), made.flow
    shape = Shape(
        identity,
        DMA_BYTES,
        DMA_BYTES,
        graph.input.channels,
        graph.input.pixels,
        flow.output.lanes,
        flow.output.dtype.width,
        graph.output.size,
        flow.cycles,
    )
    parameters = {
        "PixelBytes": shape.pixel_bytes,
        "Pixels": shape.image_pixels,
        "LogitLanes": shape.logit_lanes,
        "Logits": shape.logits,
    }
    model = asset("sim") / "board" / "hls" / f"{MODEL}.sv"
    library = frozenset({"br_axil_slave", "br_gearbox"})
    vlnv = f"bireal:hls_{identity}:{TOP}:1.0"
    return SimulatedBoard(shape, MODEL, parameters, vlnv, REGISTERS, library, (model, kernel), folder, files, builds)
