"""How deep the FIFOs of a network have to be: it is simulated with one FIFO at a time made shorter.

    python -m bireal_hw.sim.depths build/RUN/graph.json build/RUN/BOARD/folding.toml

prints the depth of every FIFO beside the least one at which the network still takes the predicted cycles per frame.
docs/dataflow.md holds such tables. One simulator is built; all depths are tried in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph, load
from bireal_hw.ir.op import Array
from bireal_hw.passes.dataflow import Dataflow, Instance
from bireal_hw.passes.folding import Folding
from bireal_hw.passes.folding_file import read_folding
from bireal_hw.passes.streams import FIFO
from bireal_hw.rtl import generate
from bireal_hw.rtl.top import top_text
from bireal_hw.sim.network import MIN_FRAMES, network_dut, timeout
from bireal_hw.sim.runner import DEFAULT_BUILDS, Dut, SimResult, StallMode, attempt

SHORT_FIFO = "br_short_fifo"


class Adjustable:
    """A network in the simulator whose FIFOs can be made shorter from run to run."""

    def __init__(self, graph: Graph, folding: Folding, folder: Path, builds: Path = DEFAULT_BUILDS) -> None:
        """Generate the network.

        Args:
            graph: the network.
            folding: a fold for every node.
            folder: receives the hardware; has to stay.
            builds: folder that keeps the built simulators.
        """
        self.graph, self.builds = graph, builds
        self.flow = generate(graph, folding, folder)
        (folder / "br_top.sv").write_text(top_text(graph, _adjustable(self.flow)))
        fixed = network_dut(self.flow, folder)
        module = asset("sim") / "depths" / f"{SHORT_FIFO}.sv"
        self.dut: Dut = replace(fixed, sources=(*fixed.sources[:-1], module, fixed.sources[-1]), adjustable=True)

    @property
    def depths(self) -> dict[str, int]:
        """Depth of every FIFO in beats, by name."""
        return self.dut.fifos

    def run(self, images: Array, stalls: Sequence[StallMode]) -> list[SimResult | BirealError]:
        """Simulate once per stall mode, whose depths must not exceed the FIFOs'; a deadlock comes back as its error."""
        return attempt(
            self.dut,
            images,
            output_beats=self.graph.output.beats(self.flow.output.lanes),
            stalls=stalls,
            builds=self.builds,
            timeout=timeout(self.flow),
        )

    def keeps_pace(self, result: SimResult | BirealError) -> bool:
        """Tell whether a run took the predicted cycles per frame."""
        return isinstance(result, SimResult) and result.interval <= self.flow.cycles

    def least(self, images: Array) -> dict[str, int]:
        """Return, for every FIFO, the least depth that keeps pace while all others have theirs.

        It is looked for close below the depth first, then by bisection.

        Raises:
            BirealError: the network does not keep pace as it is.
        """
        (result,) = self.run(images, [StallMode()])
        if isinstance(result, BirealError):
            raise result
        if not self.keeps_pace(result):
            raise BirealError(f"{self.graph.name}: {result.interval} cycles per frame, not {self.flow.cycles}")
        low, high, reach = dict.fromkeys(self.depths, 0), dict(self.depths), dict.fromkeys(self.depths, 1)
        while open_ := [name for name in high if high[name] - low[name] > 1]:
            tried = {name: max((low[name] + high[name]) // 2, high[name] - reach[name]) for name in open_}
            results = self.run(images, [StallMode(depths={name: depth}) for name, depth in tried.items()])
            for (name, depth), one in zip(tried.items(), results, strict=True):
                (high if self.keeps_pace(one) else low)[name] = depth
                reach[name] *= 2
        return high


def _adjustable(flow: Dataflow) -> Dataflow:
    """Return the dataflow with a FIFO of adjustable depth in place of each FIFO."""

    def exchanged(instance: Instance) -> Instance:
        if instance.binding.module != FIFO:
            return instance
        return replace(instance, binding=replace(instance.binding, module=SHORT_FIFO))

    return replace(flow, instances=tuple(exchanged(instance) for instance in flow.instances))


def main() -> None:
    """Print depths and least depths of the network and folding on the command line."""
    parser = argparse.ArgumentParser(description="Find the least depth of every FIFO by simulation.")
    parser.add_argument("graph", type=Path, help="graph.json of a run")
    parser.add_argument("folding", type=Path, help="folding.toml of the run's board")
    arguments = parser.parse_args()
    graph = load(arguments.graph)
    folding = read_folding(arguments.folding, graph)
    images = np.random.default_rng(0).integers(0, 256, (MIN_FRAMES, *graph.input.shape)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as name:
        network = Adjustable(graph, folding, Path(name) / "rtl")
        least = network.least(images)
    table = Table(title=f"{graph.name}: {network.flow.cycles:,} cycles per frame", title_justify="left")
    for column in ("FIFO", "bits a beat", "depth", "least"):
        table.add_column(column, justify="left" if column == "FIFO" else "right")
    widths = {instance.name: instance.inputs[0].width for instance in network.flow.instances}
    for fifo, depth in network.depths.items():
        table.add_row(fifo, str(widths[fifo]), f"{depth:,}", f"{least[fifo]:,}")
    bits = [sum(widths[fifo] * beats[fifo] for fifo in widths if fifo in beats) for beats in (network.depths, least)]
    table.add_section()
    table.add_row("bits of all", "", *(f"{total:,}" for total in bits))
    Console(width=100).print(table)


if __name__ == "__main__":
    try:
        main()
    except BirealError as error:
        sys.exit(f"error: {error}")
