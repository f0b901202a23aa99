"""Writes the SystemVerilog of a network: a top of named connections, memory files, the library, a file list.

The layers are hand-written modules in `rtl/`; this emitter only sets parameters, fills memories and wires streams. The
output depends on nothing but the graph, the folding and the version: the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import jinja2

from bireal_hw import __version__
from bireal_hw.assets import asset
from bireal_hw.errors import unknown
from bireal_hw.ir.encoding import rom_lines
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Memory
from bireal_hw.passes import describe
from bireal_hw.passes.dataflow import Dataflow, Instance, Stream, elaborate
from bireal_hw.passes.folding import Folding
from bireal_hw.passes.streams import FIFO

FILE_LIST = "files.f"
MEMORIES = "mem"
CHECKS = "sim/br_top_checks.sv"
"""Assertions on the streams of br_top, for simulators; no part of the file list."""


def generate(graph: Graph, folding: Folding, out_dir: Path) -> Dataflow:
    """Write the hardware of a network into a folder that appears whole or not at all.

    Leaves `br_top.sv`, `mem/*.mem`, `lib/*.sv` (the modules it uses), `files.f` (sources in compile order, relative to
    the folder), `dataflow.json` (instances, streams, predicted cycles) and, for simulators, `sim/br_top_checks.sv`.

    Args:
        graph: the network.
        folding: a fold for every node (see `bireal_hw.passes.folding`).
        out_dir: replaced if it exists.
    """
    flow = elaborate(graph, folding)
    temporary = out_dir.with_name(out_dir.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        (temporary / MEMORIES).mkdir(parents=True)
        for instance in flow.instances:
            for parameter, memory in instance.binding.memories.items():
                (temporary / memory_file(instance, parameter)).write_text(memory_text(memory))
        (temporary / "br_top.sv").write_text(top_text(graph, flow))
        (temporary / CHECKS).parent.mkdir()
        (temporary / CHECKS).write_text(checks_text(graph, flow))
        (temporary / "lib").mkdir()
        sources = closure({instance.binding.module for instance in flow.instances})
        for path in sources:
            shutil.copyfile(path, temporary / "lib" / path.name)
        (temporary / FILE_LIST).write_text("".join(f"lib/{path.name}\n" for path in sources) + "br_top.sv\n")
        (temporary / "dataflow.json").write_text(json.dumps(record(flow, folding), indent=1) + "\n")
        shutil.rmtree(out_dir, ignore_errors=True)
        temporary.replace(out_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return flow


def memory_file(instance: Instance, parameter: str) -> str:
    """Path of a memory file, relative to the generated folder; named by its contents."""
    digest = hashlib.sha256(memory_text(instance.binding.memories[parameter]).encode()).hexdigest()[:8]
    return f"{MEMORIES}/{instance.name}_{parameter.removesuffix('File').lower()}_{digest}.mem"


def memory_text(memory: Memory) -> str:
    """The lines of a memory in hexadecimal, as $readmemh reads them."""
    lines, width = rom_lines(memory.words, memory.width)
    digits = (width + 3) // 4
    return "".join(f"{line:0{digits}x}\n" for line in lines)


def top_text(graph: Graph, flow: Dataflow) -> str:
    """The text of br_top; `flow` is the graph's."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.rtl", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template("top.sv.j2")
    return template.render(
        graph=graph,
        flow=flow,
        describe=describe,
        comments=describe.comments(graph, flow),
        version=__version__,
        parameters=_parameters,
        connections=_connections,
    )


def frame_beats(graph: Graph, flow: Dataflow) -> dict[Stream, int]:
    """Beats of a frame on every stream of br_top, in dataflow order."""
    elements = {flow.input: graph.input.pixels * graph.input.channels}
    for instance in flow.instances:
        layer = graph.types.get(instance.name)  # of a slice, FIFO, fork or converter: as many as come in
        count = layer.pixels * layer.channels if layer else elements[instance.inputs[0]]
        elements |= dict.fromkeys(instance.outputs, count)
    return {stream: count // stream.lanes for stream, count in elements.items()}


def checks_text(graph: Graph, flow: Dataflow) -> str:
    """The text that binds a check of tlast to every stream of br_top; `flow` is the graph's.

    That valid and data hold is checked where a stream leaves a module of the library: sim/br_checks.sv.
    """
    lines = [
        f"// br_top_checks: beats of a frame on every stream. Generated by bireal_hw {__version__}; do not edit.",
        "// Function       simulation stops where tlast does not stand on the last of them (br_frame_check)",
        "`ifdef BR_CHECK_ALL",
    ]
    for stream, beats in frame_beats(graph, flow).items():
        ports = f".tvalid_i({stream.name}_tvalid), .tready_i({stream.name}_tready), .tlast_i({stream.data}_tlast)"
        check = f"br_frame_check #(.Beats({beats})) u_frame_{stream.name}"
        lines.append(f"bind br_top {check} (.clk_i, .rst_ni, {ports});")
    return "\n".join([*lines, "`endif"]) + "\n"


def _parameters(instance: Instance) -> Iterator[tuple[str, str]]:
    """Parameter assignments of an instance."""
    yield from ((name, str(value)) for name, value in instance.binding.parameters.items())
    for parameter in instance.binding.memories:
        yield parameter, f'"{memory_file(instance, parameter)}"'


def _connections(instance: Instance) -> Iterator[tuple[str, str]]:
    """Port connections of an instance; a fork's handshakes are vectors, its first output in bit 0."""
    for port, stream in zip(instance.binding.inputs, instance.inputs, strict=True):
        yield f"{port.name}_tdata", f"{stream.data}_tdata"
        yield f"{port.name}_tvalid", f"{stream.name}_tvalid"
        yield f"{port.name}_tready", f"{stream.name}_tready"
        yield f"{port.name}_tlast", f"{stream.data}_tlast"
    port, streams = instance.binding.output, instance.outputs
    vector = "{%s}" if len(streams) > 1 else "%s"
    yield f"{port.name}_tdata", f"{streams[0].data}_tdata"
    yield f"{port.name}_tvalid", vector % ", ".join(f"{stream.name}_tvalid" for stream in reversed(streams))
    yield f"{port.name}_tready", vector % ", ".join(f"{stream.name}_tready" for stream in reversed(streams))
    yield f"{port.name}_tlast", f"{streams[0].data}_tlast"
    if instance.binding.module == FIFO:
        yield from (("usage_o", ""), ("max_fill_o", ""))


def library_sources() -> list[Path]:
    """All modules of the hand-written library, the package first, then by name."""
    root = asset("rtl")
    return [*sorted(root.glob("pkg/*.sv")), *sorted(root.glob("lib/*.sv")), *sorted(root.glob("layers/*.sv"))]


def closure(modules: set[str]) -> list[Path]:
    """Library files that the given modules need: all packages, themselves and what they instantiate, in compile order.

    Raises:
        BirealError: a module is not in the library.
    """
    paths = {path.stem: path for path in library_sources()}
    needed, pending = {name for name, path in paths.items() if path.parent.name == "pkg"}, set(modules)
    while pending:
        name = pending.pop()
        if name not in paths:
            raise unknown("module", name, paths)
        needed.add(name)
        used = re.findall(r"^\s*(br_\w+)\s+(?:#\(|\w+\s*\()", paths[name].read_text(), re.MULTILINE)
        pending |= {other for other in used if other in paths} - needed
    return [path for name, path in paths.items() if name in needed]


def record(flow: Dataflow, folding: Folding) -> dict[str, object]:
    """The dataflow as JSON values: what was instantiated with which parameters, and the cycles of each layer."""
    layers = {
        name: {"cycles": cost.cycles, **({"fold": _fold_dict(folding, name)} if name in folding else {})}
        for name, cost in flow.costs.items()
    }
    instances = [
        {
            "name": instance.name,
            "module": instance.binding.module,
            "parameters": instance.binding.parameters,
            "memories": {
                parameter: {"file": memory_file(instance, parameter), "depth": len(m.words), "width": m.width}
                for parameter, m in instance.binding.memories.items()
            },
            "inputs": [stream.name for stream in instance.inputs],
            "outputs": [stream.name for stream in instance.outputs],
        }
        for instance in flow.instances
    ]
    return {
        "name": flow.name,
        "version": __version__,
        "cycles_per_frame": flow.cycles,
        "bottleneck": flow.bottleneck,
        "layers": layers,
        "instances": instances,
    }


def _fold_dict(folding: Folding, name: str) -> dict[str, int]:
    fold = folding[name]
    return {"pe": fold.pe, "simd": fold.simd, "lanes": fold.lanes, "pack": fold.pack}
