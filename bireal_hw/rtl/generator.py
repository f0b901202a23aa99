"""Writes the SystemVerilog of a network: a top of named connections, memory files, the library, a file list.

The layers are hand-written modules in `rtl/`; this emitter only sets parameters, fills memories and wires streams. The
output depends on nothing but the graph, the folding and the version: the same input gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bireal_hw import __version__
from bireal_hw.files import replacing
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.folding import Folding
from bireal_hw.rtl.library import closure
from bireal_hw.rtl.memories import MEMORIES, memory_file, memory_text
from bireal_hw.rtl.top import checks_text, top_text

FILE_LIST = "files.f"
WEIGHTS = "weights.bin"
"""What lies in DRAM: the image of the engine's weights."""
CHECKS = "sim/br_top_checks.sv"
"""Assertions on the streams of br_top, for simulators; no part of the file list."""


def generate(graph: Graph, folding: Folding, out_dir: Path) -> Dataflow:
    """Write the hardware of a network into a folder that appears whole or not at all.

    Leaves `br_top.sv`, `mem/*.mem`, `lib/*.sv` (the modules it uses), `files.f` (sources in compile order, relative to
    the folder), `dataflow.json` (instances, streams, predicted cycles), for simulators `sim/br_top_checks.sv`, and
    `weights.bin` where the network has an engine.

    Args:
        graph: the network.
        folding: a fold for every node (see `bireal_hw.passes.folding`).
        out_dir: replaced if it exists.
    """
    flow = elaborate(graph, folding)
    with replacing(out_dir) as temporary:
        (temporary / MEMORIES).mkdir(parents=True)
        for instance in flow.instances:
            for parameter, memory in instance.binding.memories.items():
                (temporary / memory_file(instance, parameter)).write_text(memory_text(memory))
        (temporary / "br_top.sv").write_text(top_text(graph, flow))
        (temporary / CHECKS).parent.mkdir()
        (temporary / CHECKS).write_text(checks_text(graph, flow))
        if flow.memory:
            (temporary / WEIGHTS).write_bytes(flow.memory.image)
        (temporary / "lib").mkdir()
        sources = closure({instance.binding.module for instance in flow.instances})
        for path in sources:
            shutil.copyfile(path, temporary / "lib" / path.name)
        (temporary / FILE_LIST).write_text("".join(f"lib/{path.name}\n" for path in sources) + "br_top.sv\n")
        (temporary / "dataflow.json").write_text(json.dumps(record(flow, folding), indent=1) + "\n")
    return flow


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
