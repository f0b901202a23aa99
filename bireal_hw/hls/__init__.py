"""Writes the HLS C++ project of a network: kernel calls joined by streams, memories, a test bench, a script.

The kernels are the hand-written headers in `hls/include/bireal`; this emitter only sets parameters, writes memories as
tables and wires streams, from the same dataflow as the SystemVerilog. The output depends on nothing but the graph, the
folding, the part, the clock and the version: the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2

from bireal_hw import __version__
from bireal_hw.assets import asset
from bireal_hw.files import replacing
from bireal_hw.hls.overlay import overlay
from bireal_hw.hls.tables import table, table_name
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Memory
from bireal_hw.passes import describe, streams
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.folding import Folding

TOP = "bireal_top"
PROJECT = "project.json"
WEIGHTS = "weights"
VECTORS = "vectors"
"""Folder of the test bench's images and logits."""
SCRIPT = "run_hls.tcl"
VITIS = "vitis/solution"
"""Where that script leaves the files of Vitis HLS."""
BLOCK_DESIGN = "run_vivado.tcl"
UTILISATION, TIMING = "utilisation.rpt", "timing.rpt"
"""Reports that it leaves."""
OVERLAY = "overlay"
"""Folder of what the board needs: bitstream, its description, driver."""
STREAM_DEPTH = 2
"""Depth of a stream between two kernels: what a register slice holds."""
LUT_WORDS = 64
"""Memories of at most so many words go into LUTs: a block RAM holds 512 words or more."""


@dataclass(frozen=True)
class Channel:
    """A stream of the top function."""

    name: str
    width: int
    depth: int


@dataclass(frozen=True)
class Table:
    """A memory of the top function."""

    name: str
    memory: Memory

    @property
    def storage(self) -> str:
        """Where it goes."""
        return "bram" if len(self.memory.words) > LUT_WORDS else "lutram"


@dataclass(frozen=True)
class Process:
    """One kernel call.

    Attributes:
        name: of the layer, or of what stands between layers.
        kernel: function of the namespace `bireal`.
        parameters: of its Config.
        inputs, outputs: names of streams.
        tables: memories in the order of the kernel's arguments.
        inner_width: bits of the widest word inside it.
    """

    name: str
    kernel: str
    parameters: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    inner_width: int = 0

    @property
    def arguments(self) -> str:
        """Arguments of the call; a fork has its outputs last, since their number is open."""
        tables = (table.name for table in self.tables)
        if self.kernel == "fork":
            return ", ".join((*self.inputs, "frames", *self.outputs))
        return ", ".join((*self.inputs, *self.outputs, *tables, "frames"))


@dataclass(frozen=True)
class Design:
    """A network as C++: its kernel calls in dataflow order, its streams, and the dataflow that it was made from."""

    flow: Dataflow
    processes: tuple[Process, ...]
    channels: tuple[Channel, ...]

    @property
    def headers(self) -> list[str]:
        """Library headers that the top includes."""
        kernels = {process.kernel for process in self.processes}
        return sorted({HEADERS.get(kernel, kernel) for kernel in kernels})

    @property
    def widest(self) -> int:
        """Bits of the widest beat, in a stream or inside a kernel, rounded up to 1024."""
        widths = [one.width for one in self.channels] + [one.inner_width for one in self.processes]
        return -(-max(widths) // 1024) * 1024

    @property
    def tables(self) -> list[Table]:
        """All memories."""
        return [table for process in self.processes for table in process.tables]


HEADERS = {"fork": "streams", "width_converter": "streams", "take_pixels": "axis", "give_logits": "axis"}
"""Headers of the kernels that are no layers; a layer's header has its name."""


def design(graph: Graph, folding: Folding) -> Design:
    """Turn a graph and its folding into kernel calls and streams.

    A register slice or a FIFO is no process here: it is the depth of the stream that passes through it.
    """
    flow = elaborate(graph, folding)
    layers = {node.name: node.op.hls(folding[node.name], *graph.inputs_of(node)) for node in graph}
    channels: dict[str, Channel] = {}
    source: dict[str, str] = {}  # stream of the dataflow -> channel

    def channel(stream: str, width: int) -> str:
        name = source[stream] = f"{stream}_out"
        channels[name] = Channel(name, width, STREAM_DEPTH)
        return name

    pixels, logits = flow.input, flow.output
    ends = {"Beats": graph.input.pixels, "Lanes": pixels.lanes}
    processes = [Process("image", "take_pixels", ends, ("s_axis",), (channel(pixels.name, pixels.width),))]
    beats = {pixels.name: graph.input.pixels}
    for instance in flow.instances:
        binding = instance.binding
        held = streams.channel_depth(binding)
        if held is not None:
            name = source[instance.outputs[0].name] = source[instance.inputs[0].name]
            channels[name] = replace(channels[name], depth=max(channels[name].depth, held))
            beats[instance.outputs[0].name] = beats[instance.inputs[0].name]
            continue
        inputs = tuple(source[stream.name] for stream in instance.inputs)
        outputs = tuple(channel(stream.name, stream.width) for stream in instance.outputs)
        if instance.name in layers:
            kernel, made = layers[instance.name], graph.types[instance.name].beats(binding.output.lanes)
        else:
            kernel, made = streams.kernel(binding, beats[instance.inputs[0].name])
        beats.update({stream.name: made for stream in instance.outputs})
        tables = tuple(
            Table(f"{instance.name}_{table_name(parameter)}", memory) for parameter, memory in kernel.memories.items()
        )
        parameters, inner = kernel.parameters, kernel.inner_width
        processes.append(Process(instance.name, kernel.module, parameters, inputs, outputs, tables, inner))
    ends = {"Beats": beats[logits.name], "Lanes": logits.lanes, "Width": logits.dtype.width}
    processes.append(Process("logits", "give_logits", ends, (source[logits.name],), ("m_axis",)))
    return Design(flow, tuple(processes), tuple(channels.values()))


def network_hash(made: Design) -> str:
    """Name a network with its folding: equal for equal kernels, streams and memories."""
    digest = hashlib.sha256(
        repr([(p.name, p.kernel, p.parameters, p.inputs, p.outputs) for p in made.processes]).encode()
    )
    digest.update(repr(made.channels).encode())
    for one in made.tables:
        digest.update(repr((one.name, one.memory.width, one.memory.entry)).encode())
        digest.update(b"".join(word.to_bytes(one.memory.width // 8 + 1, "little") for word in one.memory.words))
    return digest.hexdigest()[:16]


def generate(
    graph: Graph, folding: Folding, out_dir: Path, part: str, clock_mhz: float, board: str | None = None
) -> Design:
    """Write the project of a network into a folder that appears whole or not at all.

    Leaves `top.hpp`, `top.cpp`, `weights/*.hpp`, `include/bireal/*.hpp` (the library), `tb.cpp`, `run_hls.tcl`,
    `README.md` and `project.json` (network hash, board, part, clock, kernels with parameters, streams with depths); for
    a board that a block design is written for, `run_vivado.tcl` and `overlay/driver.py`. The test bench's images and
    logits come with `simulate_network`.

    Args:
        graph: the network.
        folding: a fold for every node (see `bireal_hw.passes.folding`).
        out_dir: replaced if it exists.
        part: device, package and speed grade.
        clock_mhz: clock to synthesise for.
        board: name of the board that the part is on, if any.
    """
    made = design(graph, folding)
    context = {
        "design": made,
        "flow": made.flow,
        "graph": graph,
        "describe": describe,
        "comments": describe.comments(graph, made.flow),
        "layers": {instance.name: instance.layer for instance in made.flow.instances},
        "top": TOP,
        "version": __version__,
        "hash": network_hash(made),
        "part": part,
        "board": board,
        "overlay": overlay(board, clock_mhz) if board else None,
        "clock_mhz": clock_mhz,
        "period_ns": f"{1000 / clock_mhz:.3f}",
        "vectors": VECTORS,
        "weights": WEIGHTS,
        "script": SCRIPT,
        "vitis": VITIS,
        "block_design": BLOCK_DESIGN,
        "utilisation": UTILISATION,
        "timing": TIMING,
        "folder": OVERLAY,
    }
    texts = ["top.hpp", "top.cpp", "tb.cpp", SCRIPT, "README.md"]
    if context["overlay"]:
        texts += [BLOCK_DESIGN, f"{OVERLAY}/driver.py"]
    with replacing(out_dir) as temporary:
        shutil.copytree(asset("hls/include"), temporary / "include")
        (temporary / WEIGHTS).mkdir()
        for one in made.tables:
            (temporary / WEIGHTS / f"{one.name}.hpp").write_text(_table_text(one))
        for name in texts:
            (temporary / name).parent.mkdir(exist_ok=True)
            (temporary / name).write_text(render(Path(name).name, **context))
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


def _table_text(one: Table) -> str:
    words, width, entry = len(one.memory.words), one.memory.width, one.memory.entry
    about = f"// {one.name}: {words} words of {width} bits, entries of {entry} bits from the low bits up."
    return f'{about}\n#include "bireal/common.hpp"\n\n{table(one.name, one.memory)}\n'


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
