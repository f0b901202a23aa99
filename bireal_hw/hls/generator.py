"""Writes the HLS C++ project of a network: kernel calls joined by streams, memories, a test bench, a script.

The kernels are the hand-written headers in `hls/include/bireal`; this emitter only sets parameters, writes memories as
tables and wires streams, from the same dataflow as the SystemVerilog. The output depends on nothing but the graph, the
folding, the part, the clock and the version: the same input gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jinja2

from bireal_hw import __version__
from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.files import replacing
from bireal_hw.hls.design import Design, Table, design, network_hash
from bireal_hw.hls.project import IMAGE, IP, PROJECT, SCRIPT, TOP, VECTORS, VITIS, WEIGHTS
from bireal_hw.hls.tables import table
from bireal_hw.ir.graph import Graph
from bireal_hw.passes import describe
from bireal_hw.passes.folding import Folding
from bireal_hw.zynq import system as zynq
from bireal_hw.zynq.files import about, write_files

WIDEST = 4096
"""Bits of an ap_int that Vitis HLS takes (UG1399)."""


def generate(
    graph: Graph,
    folding: Folding,
    out_dir: Path,
    part: str,
    clock_mhz: float,
    board: str | None = None,
    view: float = 1.0,
) -> Design:
    """Write the project of a network into a folder that appears whole or not at all.

    Leaves `top.hpp`, `top.cpp`, `weights/*.hpp`, `bireal/*.hpp` (the library), `tb.cpp`, `run_hls.tcl`,
    `README.md` and `project.json` (network hash, board, part, clock, kernels with parameters, streams with depths); for
    a board that a block design is written for, `run_vivado.tcl` and in `overlay/` what goes to the board. The test
    bench's images and logits come with `simulate_network`.

    Args:
        graph: the network.
        folding: a fold for every node (see `bireal_hw.passes.folding`).
        out_dir: replaced if it exists.
        part: device, package and speed grade.
        clock_mhz: clock to synthesise for.
        board: name of the board that the part is on, if any.
        view: part of a picture's middle that the driver shows to the network.

    Raises:
        BirealError: a beat or a word inside a kernel is wider than Vitis HLS takes.
    """
    made = design(graph, folding)
    _check_widths(graph, made)
    identity, system = network_hash(made), zynq.system(board, clock_mhz) if board and not made.memory else None
    context = {
        "design": made,
        "flow": made.flow,
        "graph": graph,
        "describe": describe,
        "comments": describe.comments(graph, made.flow),
        "layers": {instance.name: instance.layer for instance in made.flow.instances},
        "top": TOP,
        "version": __version__,
        "hash": identity,
        "part": part,
        "board": board,
        "overlay": system,
        "clock_mhz": clock_mhz,
        "period_ns": f"{1000 / clock_mhz:.3f}",
        "vectors": VECTORS,
        "weights": WEIGHTS,
        "image": IMAGE,
        "pointers": made.memory.pointers if made.memory else (),
        "script": SCRIPT,
        "vitis": VITIS,
        "block_design": zynq.SCRIPT,
        "utilisation": zynq.UTILISATION,
        "timing": zynq.TIMING,
        "folder": zynq.OVERLAY,
    }
    texts = ["top.hpp", "top.cpp", "tb.cpp", SCRIPT, "README.md"]
    with replacing(out_dir) as temporary:
        shutil.copytree(asset("hls/include") / "bireal", temporary / "bireal")
        (temporary / WEIGHTS).mkdir()
        for one in made.tables:
            (temporary / WEIGHTS / f"{one.name}.hpp").write_text(_table_text(one))
        if made.flow.memory:
            (temporary / IMAGE).write_bytes(made.flow.memory.image)
        for name in texts:
            (temporary / name).write_text(render(name, **context))
        if system:
            (temporary / zynq.SCRIPT).write_text(
                zynq.script(system, kernel(made, identity), part, f"{TOP}, {graph.name}")
            )
            network = about(graph, identity, made.flow.cycles, system.clock_mhz, view)
            write_files(temporary / zynq.OVERLAY, graph, network)
        (temporary / PROJECT).write_text(json.dumps(_describe(made, context), indent=1) + "\n")
    return made


def render(name: str, **context: Any) -> str:
    """Fill the template of a generated file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.hls", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{name}.j2").render(**context)


def kernel(made: Design, identity: str) -> zynq.Kernel:
    """Return the IP that Vitis HLS exports, as a block design joins it; its library names the network."""
    pixel, logit = made.flow.input.lanes, 4 * made.flow.output.lanes
    vlnv = f"bireal:hls_{identity}:{TOP}"
    return zynq.Kernel(vlnv, IP, SCRIPT, "ap_clk", "ap_rst_n", pixel, logit, zynq.DMA_BYTES, zynq.DMA_BYTES)


def _check_widths(graph: Graph, made: Design) -> None:
    """Raise BirealError where Vitis HLS would refuse a beat or a word only after an hour of its own work."""
    widths = {channel.name: channel.width for channel in made.channels} | {"m_axis": 32 * made.flow.output.lanes}
    layers = {instance.name: instance.layer for instance in made.flow.instances}
    folds = describe.folds(graph, made.flow)
    wide = {
        layers.get(process.name, process.name): bits
        for process in made.processes
        if (bits := max(process.inner_width, *(widths[name] for name in process.outputs))) > WIDEST
    }
    if not wide:
        return
    layer = max(wide, key=wide.__getitem__)
    how = f" ({folds[layer]})" if layer in folds else ""
    others = f", and {len(wide) - 1} more too wide" if len(wide) > 1 else ""
    raise BirealError(
        f"{layer}{how} makes words of {wide[layer]:,} bits{others}; Vitis HLS takes {WIDEST:,} at most: compute less "
        "in a cycle, with a lower target_fps="
    )


def _table_text(one: Table) -> str:
    words, width, entry = len(one.memory.words), one.memory.width, one.memory.entry
    about = f"// {one.name}: {words} words of {width} bits, entries of {entry} bits from the low bits up."
    return f'{about}\n#include "../bireal/common.hpp"\n\n{table(one.name, one.memory)}\n'


def _describe(made: Design, context: dict[str, Any]) -> dict[str, object]:
    """The contents of project.json."""
    return {
        "name": made.flow.name,
        "network": context["hash"],
        "version": __version__,
        "top": TOP,
        "board": context["board"],
        "part": context["part"],
        "clock_mhz": context["clock_mhz"],
        "overlay_clock_mhz": context["overlay"].clock_mhz if context["overlay"] else None,
        "cycles_per_frame": made.flow.cycles,
        "bottleneck": made.flow.bottleneck,
        "kernels": [
            {
                "name": process.name,
                "kernel": process.kernel,
                "parameters": process.parameters,
                "inputs": list(process.inputs),
                "outputs": list(process.outputs),
                "memories": {
                    one.name: {"words": len(one.memory.words), "width": one.memory.width} for one in process.tables
                },
            }
            for process in made.processes
        ],
        "streams": {one.name: {"width": one.width, "depth": one.depth} for one in made.channels},
    }
