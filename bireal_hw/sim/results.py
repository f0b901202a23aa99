"""What a simulation finds: the content of sim.json, and what hls.json has in common with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bireal_hw.errors import VerdictError
from bireal_hw.ir.op import Array
from bireal_hw.schema import Number, Schema

NAMED = 3
"""Full FIFOs that an error names."""


class Mismatch(Schema):
    """The first value that differs, in dataflow order.

    Attributes:
        layer: whose output it is in.
        index: frame, row, column, channel.
        want: the golden model's value.
        got: the hardware's.
    """

    layer: str
    index: tuple[int, ...]
    want: int
    got: int

    def __str__(self) -> str:
        return f"layer {self.layer} at {list(self.index)}: wanted {self.want}, got {self.got}"


def first_mismatch(layer: str, want: Array, got: Array, frame: int = 0, dump: Path | None = None) -> Mismatch | None:
    """Find the first element of a layer's output that differs.

    Args:
        layer: its name.
        want: (N, H, W, C) of the golden model, or (N, classes).
        got: the hardware's elements in the same order; fewer where its stream ended early, which is a mismatch with 0.
        frame: number of the first frame of both.
        dump: folder that receives both tensors if they differ.
    """
    flat, found = want.reshape(-1), got.reshape(-1)[: want.size]
    differs = np.flatnonzero(flat[: found.size] != found)
    if not differs.size and found.size == flat.size:
        return None
    at = int(differs[0]) if differs.size else found.size
    first, *rest = (int(i) for i in np.unravel_index(at, want.shape))
    if dump is not None:
        dump.mkdir(parents=True, exist_ok=True)
        np.save(dump / f"{layer}_want.npy", want)
        np.save(dump / f"{layer}_got.npy", got)
    value = int(found[at]) if at < found.size else 0
    return Mismatch(layer=layer, index=(frame + first, *rest), want=int(flat[at]), got=value)


class FifoFill(Schema):
    """A FIFO: its name, its depth, and the most beats that it held, without stalls and with (None: no such run)."""

    name: str
    depth: int
    highest_fill: int | None
    highest_fill_stalled: int | None = None


class Comparison(Schema):
    """Images through a simulated network, every output beside the golden model's.

    Attributes:
        images: that were given.
        outputs_compared: numbers, over all runs and frames.
        mismatches: those of them that differ.
        first_mismatch: None if all agree, or if it is not found again layer by layer.
        cycles_per_frame: measured in the steady state, without stalls, rounded up; None if it was not.
        cycles_predicted: by the cost of every layer.
        bottleneck: the part that takes the predicted cycles.
        bound: whether what is predicted is a bound: an engine waits for memory, more or less.
        seconds_build, seconds_run: of the clock on the wall.
    """

    images: int
    outputs_compared: int
    mismatches: int
    first_mismatch: Mismatch | None
    cycles_per_frame: int | None
    cycles_predicted: int
    bottleneck: str = ""
    bound: bool = False
    seconds_build: Number
    seconds_run: Number

    @property
    def exact(self) -> bool:
        """Whether every output equals the golden model's, in as many cycles as predicted."""
        return not self.mismatches and self.cycles_per_frame is not None and self.in_time

    @property
    def in_time(self) -> bool:
        """Whether the cycles measured are those predicted, or within the bound; true where none were measured."""
        measured, predicted = self.cycles_per_frame, self.cycles_predicted
        return measured is None or measured == predicted or (self.bound and measured < predicted)

    @property
    def where(self) -> str:
        """The first mismatch in words."""
        return str(self.first_mismatch) if self.first_mismatch else "not found again layer by layer"

    @property
    def full(self) -> list[str]:
        """FIFOs that were full without stalls; of C++ nothing is known."""
        return []

    def refuse(self) -> None:
        """Raise VerdictError if outputs differ, or other cycles were measured than predicted."""
        if self.mismatches:
            count = f"{self.mismatches} of {self.outputs_compared} outputs differ from the golden model"
            raise VerdictError(f"{count}; first: {self.where}")
        measured, predicted = self.cycles_per_frame, self.cycles_predicted
        if measured is None or self.in_time:
            return
        words = f"{measured:,} cycles per frame, {predicted:,} predicted; the slowest part is {self.bottleneck}"
        more = f" and {len(self.full) - NAMED} more" if len(self.full) > NAMED else ""
        raise VerdictError(
            f"{words}; FIFOs that were full: {', '.join(self.full[:NAMED])}{more}" if self.full else words
        )


class Simulation(Comparison):
    """The SystemVerilog of a network in Verilator.

    Attributes:
        frames: driven in each run, back to back.
        runs: one for each way of stalling.
        latency_cycles: from the first pixel to the last output of the first frame, without stalls; None without such
            a run.
        bytes_per_frame: moved to and from memory beside the chip, without stalls, what is read ahead included; None
            without such memory.
        bytes_predicted: by the program of the engine.
        cycles_simulated: of all runs.
        fifos: all there are; None in files of versions that did not record them.
    """

    frames: int
    runs: int
    bytes_per_frame: int | None = None
    bytes_predicted: int | None = None
    latency_cycles: int | None
    cycles_simulated: int = 0
    fifos: list[FifoFill] | None = None

    @property
    def full(self) -> list[str]:
        """FIFOs that were full without stalls."""
        return [fifo.name for fifo in self.fifos or () if fifo.highest_fill == fifo.depth]

    @property
    def fullest(self) -> str:
        """The FIFO that was closest to its depth in any run, in words."""

        def fill(fifo: FifoFill) -> int:
            return max(fifo.highest_fill or 0, fifo.highest_fill_stalled or 0)

        if not self.fifos:
            return "there is none"
        most = max(self.fifos, key=lambda fifo: fill(fifo) / fifo.depth)
        return f"{most.name}: {fill(most):,} of {most.depth:,} beats"
