"""A network on the simulated board, as `make board` builds it, for tests."""

from __future__ import annotations

import json
from pathlib import Path

from bireal_hw.hls import generate as generate_hls
from bireal_hw.hls.board import simulated as hls_board
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Fold
from bireal_hw.passes.folding import Folding, complete, convolutions, fold
from bireal_hw.passes.placement import ENGINE, place
from bireal_hw.rtl import generate as generate_rtl
from bireal_hw.sim.dram import Dram
from bireal_hw.zynq.files import about, write_files
from bireal_hw.zynq.ip import generate as generate_ip
from bireal_hw.zynq.simulation import DRAM, SimulatedBoard
from tests.conformance import BUILDS
from tests.networks import random_images, tiny

HERTZ = 100e6
SESSIONS = Path(__file__).with_name("sessions")


def with_engine(seed: int = 0) -> tuple[Graph, Folding]:
    """A network of which all behind the stem runs on an engine, and its folding."""
    graph = place(tiny(channels=3, seed=seed), "sign1")
    chosen = fold(graph, 2_000) | {ENGINE: Fold(4, 16, 4)}
    return graph, complete(graph, {node.name: chosen[node.name] for node in convolutions(graph)})


def simulated(
    graph: Graph,
    folder: Path,
    target: int = 2_000,
    images: int = 16,
    least: int = 4,
    folding: Folding | None = None,
    dram: Dram = DRAM,
) -> SimulatedBoard:
    """A board with a network in its logic, and with vectors of random images."""
    flow = generate_rtl(graph, folding or fold(graph, target), folder / "rtl")
    shape = generate_ip(graph, flow, folder / "rtl", folder / "ip", least)
    files = folder / "board"
    network = about(graph, shape.identity, flow.cycles, HERTZ / 1e6, memory=flow.memory)
    write_files(files, graph, network, random_images(graph, images), flow.memory)
    for name in ("bireal.bit", "bireal.hwh"):
        (files / name).touch()
    return SimulatedBoard.of_ip(shape, folder / "ip", files, BUILDS, dram)


def simulated_hls(graph: Graph, folder: Path, target: int = 2_000, images: int = 16) -> SimulatedBoard:
    """The same with the network's C++."""
    made = generate_hls(graph, fold(graph, target), folder / "hls", "xc7z020clg400-1", HERTZ / 1e6, "pynq-z2")
    files = folder / "hls" / "overlay"
    write_files(files, graph, json.loads((files / "network.json").read_text()), random_images(graph, images))
    for name in ("bireal.bit", "bireal.hwh"):
        (files / name).touch()
    return hls_board(graph, made, folder / "hls", files, folder, BUILDS)
