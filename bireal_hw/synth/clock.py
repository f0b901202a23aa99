"""How fast each layer of a network can be clocked: placed and routed alone.

    python -m bireal_hw.synth.clock build/RUN/graph.json build/RUN/BOARD/folding.toml

prints for each module the slowest of its instances: what it takes, the clock that it reaches, and the path that keeps
it from a faster one; such a table stands in docs/bitstream.md. Every port of the module is registered, as it is between
other layers; the registers outside form two long shift registers, so that a module with any number of ports needs three
pins.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bireal_hw import boards, ending
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import load
from bireal_hw.passes.dataflow import Dataflow, Instance, elaborate
from bireal_hw.passes.folding_file import read_folding
from bireal_hw.rtl import closure, memory_text
from bireal_hw.synth import nextpnr, yosys
from bireal_hw.synth.ecp5 import Device, device
from bireal_hw.synth.nextpnr import Routed

TOP = "alone"
TARGET_MHZ = 120.0
"""What the placement aims for unless it is told otherwise."""
AT_ONCE = 8
"""Instances that are placed at the same time at most: each takes some hundred megabytes."""
CELLS = r"_(?:TRELLIS_FF|LUT4|CCU2C|PFUMX|L6MUX21|MULT18X18D|INV|DP16KD|PDPW16KD|TRELLIS_DPR16X4)(?:_.*|\$.*)?$"
"""What Yosys appends to the name of the wire that a cell drives."""


@dataclass(frozen=True)
class Alone:
    """A module by itself: the instance that stands for it, and what nextpnr found."""

    instance: Instance
    routed: Routed

    @property
    def path(self) -> str:
        """Where the critical path begins and ends, in the module's own names."""
        cells = self.routed.slowest.path.cells
        ends = (_wire(cells[0]), _wire(cells[-1]))
        return f"{ends[0]} to {ends[1]}"


def _wire(cell: str) -> str:
    """Return the wire that a cell is named after, inside the module.

    >>> _wire("u_unit.u_mvu.part_q_TRELLIS_FF_Q_3_DI_CCU2C_S0"), _wire("u_unit.u_weights.mem.0.5")
    ('u_mvu.part_q', 'u_weights.mem')
    """
    return re.sub(r"(?:\.\d+)+$", "", re.sub(CELLS, "", cell)).removeprefix("u_unit.")


def distinct(flow: Dataflow) -> list[Instance]:
    """Return the instances of a network that differ in more than constants, in dataflow order."""
    found: dict[object, Instance] = {}
    for instance in flow.instances:
        binding = instance.binding
        found.setdefault((binding.module, tuple(binding.parameters.items())), instance)
    return list(found.values())


def _ports(instance: Instance) -> Iterator[tuple[bool, str, int]]:
    """Yield whether it is an input, name and width of each port beside the clock."""
    yield True, "rst_ni", 1
    for port in instance.binding.inputs:
        yield True, f"{port.name}_tdata", port.width
        yield True, f"{port.name}_tvalid", 1
        yield True, f"{port.name}_tlast", 1
        yield False, f"{port.name}_tready", 1
    port, handshakes = instance.binding.output, len(instance.outputs)
    yield False, f"{port.name}_tdata", port.width
    yield False, f"{port.name}_tvalid", handshakes
    yield False, f"{port.name}_tlast", 1
    yield True, f"{port.name}_tready", handshakes


def harness(instance: Instance) -> str:
    """Return the module around an instance: inputs from a shift register, outputs into another."""
    ports = list(_ports(instance))
    offsets = {True: 0, False: 0}
    links = [".clk_i(clk_i)"]
    for inward, name, width in ports:
        links.append(f".{name}({'from_q' if inward else 'to'}[{offsets[inward]}+:{width}])")
        offsets[inward] += width
    binding = instance.binding
    parameters = [f".{name}({value})" for name, value in binding.parameters.items()]
    parameters += [f'.{name}("{name}.mem")' for name in binding.memories]
    inputs, outputs = offsets[True], offsets[False]
    return f"""module {TOP} (input wire clk_i, input wire serial_i, output wire serial_o);
  logic [{inputs - 1}:0] from_q;
  logic [{outputs - 1}:0] to, to_q;
  always_ff @(posedge clk_i) begin
    from_q <= {inputs}'({{from_q, serial_i}});
    to_q <= {outputs}'({{to_q, from_q[{inputs - 1}]}}) ^ to;
  end
  assign serial_o = to_q[{outputs - 1}];
  (* keep_hierarchy *) {binding.module} #({", ".join(parameters)}) u_unit ({", ".join(links)});
endmodule
"""


def alone(instance: Instance, part: Device, mhz: float, cache: Path) -> Alone:
    """Synthesise, place and route one instance; its folder stays in `cache` if a tool stops.

    Raises:
        BirealError: a tool is missing or stopped.
    """
    with ending.workplace(cache) as folder:
        sources = closure({instance.binding.module})
        for source in sources:
            shutil.copy(source, folder)
        for name, memory in instance.binding.memories.items():
            (folder / f"{name}.mem").write_text(memory_text(memory))
        (folder / f"{TOP}.sv").write_text(harness(instance))
        names = [*(source.name for source in sources), f"{TOP}.sv"]
        yosys.run(folder, yosys.netlist_script(TOP, names, "ecp5", nextpnr.NETLIST))
        routed = nextpnr.place_and_route(folder, part, None, mhz)
    return Alone(instance, routed)


def measure(
    flow: Dataflow, part: Device, mhz: float, cache: Path, tell: Callable[[str], None] = lambda name: None
) -> list[Alone]:
    """Measure the distinct instances of a network, as many at a time as there are processors, up to `AT_ONCE`.

    Args:
        flow: the network.
        part: device.
        mhz: what the placement aims for.
        cache: folder to work in.
        tell: called with the name of each instance that is done.
    """
    yosys.version()
    nextpnr.version()

    def one(instance: Instance) -> Alone:
        found = alone(instance, part, mhz, cache)
        tell(instance.name)
        return found

    with ThreadPoolExecutor(min(os.cpu_count() or 1, AT_ONCE)) as pool:
        return list(pool.map(one, distinct(flow)))


def slowest(rows: Iterable[Alone]) -> list[tuple[Alone, int]]:
    """Return the slowest instance of each module and how many of that module were measured, from the slowest on."""
    kinds: dict[str, list[Alone]] = {}
    for row in rows:
        kinds.setdefault(row.instance.binding.module, []).append(row)
    worst = [(min(kind, key=lambda row: row.routed.slowest.reached), len(kind)) for kind in kinds.values()]
    return sorted(worst, key=lambda pair: pair[0].routed.slowest.reached)


def table(rows: Iterable[Alone]) -> Table:
    """Return the slowest instance of each module as a table."""
    result = Table(show_edge=False)
    for heading in ("module", "of", "slowest", "LUT4", "EBR", "MULT18", "MHz", "ns, of them wires"):
        result.add_column(heading, justify="left" if heading in ("module", "slowest") else "right")
    result.add_column("critical path", overflow="fold")
    for row, count in slowest(rows):
        clock, used = row.routed.slowest, row.routed.used
        amounts = (f"{used[kind][0]:,}" for kind in ("LUT4", "EBR", "MULT18"))
        time = f"{clock.path.ns:.1f}, {clock.path.routing_ns:.1f}"
        name, module = row.instance.name, row.instance.binding.module
        result.add_row(module, str(count), name, *amounts, f"{clock.reached:.0f}", time, row.path)
    return result


def main() -> None:
    """Print the table for the network and folding on the command line."""
    parser = argparse.ArgumentParser(description="Place and route each layer of a network alone.")
    parser.add_argument("graph", type=Path, help="graph.json of a run")
    parser.add_argument("folding", type=Path, help="folding.toml of the run's board")
    parser.add_argument("--board", default="ulx3s-85f", help="board (default ulx3s-85f)")
    parser.add_argument("--mhz", type=float, default=TARGET_MHZ, help=f"clock to aim for (default {TARGET_MHZ:g})")
    arguments = parser.parse_args()
    graph = load(arguments.graph)
    flow = elaborate(graph, read_folding(arguments.folding, graph))
    part = device(boards.board(arguments.board).part)
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("placed and routed", total=len(distinct(flow)))
        rows = measure(flow, part, arguments.mhz, Path("build/synth-cache"), lambda name: progress.advance(task))
    Console(width=160).print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except BirealError as error:
        sys.exit(f"error: {error}")
