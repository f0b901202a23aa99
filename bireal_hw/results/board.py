"""The files about a network on a simulated board, that of the SystemVerilog and that of the C++ for Vitis HLS."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.errors import VerdictError
from bireal_hw.results.base import OfBoard
from bireal_hw.schema import Number, Schema


class FaultFound(Schema):
    """A fault of the hardware: what the driver said of it, after how long, and whether the next run was right."""

    fault: str
    told: str
    seconds: Number
    usable: bool


class BatchSpeed(Schema):
    """Speed of a batch.

    Attributes:
        images: of the batch.
        cycles: from the driver's call to its end.
        run_cycles: of them, those from the network's start to its last logit.
        frames_per_second: by `cycles`.
    """

    images: int
    cycles: int
    run_cycles: int
    frames_per_second: Number


class DriverFile(OfBoard):
    """What the driver found, whatever the kernel behind it."""

    identity: str
    images: int
    images_from: str
    batches: list[int]
    outputs_compared: int
    mismatches: int
    mismatches_stalled: int
    faults: list[FaultFound]
    seconds_run: Number

    def refuse(self) -> None:
        """Raise VerdictError if a logit differs, or a fault went unnoticed or left the board unusable."""
        if wrong := self.mismatches + self.mismatches_stalled:
            raise VerdictError(f"{wrong:,} logits behind the driver differ from the golden model's")
        if bad := [one.fault for one in self.faults if not (one.told and one.usable)]:
            raise VerdictError(f"not told, or not usable afterwards: {', '.join(bad)}")


class BoardFile(DriverFile):
    """`<board>/board.json`: the SystemVerilog's IP; frames per second are those of the simulated clock."""

    file: ClassVar[str] = "board.json"
    clock_mhz: Number
    speeds: list[BatchSpeed]
    frames_per_second: Number
    network_frames_per_second: Number
    latency_ms: Number
    cycles_per_frame: Number
    cycles_to_first_logit: int
    memory_bytes_per_frame: Number | None = None
    memory_bytes_per_second: Number | None = None

    def share(self, frames_per_second: float) -> float:
        """Return what a speed is of the network's own."""
        return frames_per_second / self.network_frames_per_second


class BoardHlsFile(DriverFile):
    """`<board>/board_hls.json`: the C++ for Vitis HLS as g++ compiles it, whose cycles say nothing."""

    file: ClassVar[str] = "board_hls.json"
