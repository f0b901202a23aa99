"""How fast a network simulates: processor seconds to its first logits, cycles per second from then on."""

from __future__ import annotations

import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import Folding
from bireal_hw.rtl import generate
from bireal_hw.sim.network import simulate_network
from bireal_hw.sim.results import Simulation


@dataclass(frozen=True)
class Speed:
    """What `simulation_speed` found; seconds are those of processors, user and system, of Verilator, g++ and simulator.

    Attributes:
        cycles_per_frame: of the network, as simulated.
        cycles_predicted: of a frame, by the folding.
        first_frame_seconds: to build the simulator and to simulate one frame.
        cycles: simulated by the simulator once built.
        seconds: that it took for them, its start included.
        outputs_compared, mismatches: logits of all frames, and those that differ from the golden model.
    """

    cycles_per_frame: int
    cycles_predicted: int
    first_frame_seconds: float
    cycles: int
    seconds: float
    outputs_compared: int
    mismatches: int

    @property
    def cycles_per_second(self) -> float:
        """Cycles that one processor simulates in a second."""
        return self.cycles / self.seconds


def simulation_speed(graph: Graph, folding: Folding, frames: int, builds: Path | None = None) -> Speed:
    """Simulate a network twice without stalls, one random frame and then several, every logit compared.

    Args:
        graph: the network.
        folding: a fold for every node.
        frames: of the second run, 2 or more.
        builds: folder that keeps simulators; if not given an empty one, so that Verilator's library is compiled too.

    Raises:
        BirealError: as `simulate` does.
    """
    images = np.random.default_rng(0).integers(0, 256, (frames, *graph.input.shape)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as name:
        rtl, kept = Path(name) / "rtl", builds or Path(name) / "sim"
        generate(graph, folding, rtl)
        seconds: list[float] = []
        found: list[Simulation] = []
        for count in (1, frames):
            before = _children()
            found.append(simulate_network(graph, folding, rtl, images[:count], builds=kept, min_frames=1))
            seconds.append(_children() - before)
    return Speed(
        cycles_per_frame=found[1].cycles_per_frame or 0,
        cycles_predicted=found[1].cycles_predicted,
        first_frame_seconds=seconds[0],
        cycles=found[1].cycles_simulated,
        seconds=seconds[1],
        outputs_compared=sum(one.outputs_compared for one in found),
        mismatches=sum(one.mismatches for one in found),
    )


def _children() -> float:
    """Processor seconds of all programs that this process has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
