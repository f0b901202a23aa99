"""The file about a network on a simulated board."""

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


class BoardFile(OfBoard):
    """`<board>/board.json`: the driver on the simulated board; frames per second are those of the simulated clock."""

    file: ClassVar[str] = "board.json"
    identity: str
    clock_mhz: Number
    images: int
    images_from: str
    batches: list[int]
    outputs_compared: int
    mismatches: int
    mismatches_stalled: int
    frames_per_second: Number
    network_frames_per_second: Number
    latency_ms: Number
    cycles_per_frame: Number
    memory_bytes_per_frame: Number | None = None
    memory_bytes_per_second: Number | None = None
    faults: list[FaultFound]
    seconds_run: Number

    @property
    def share(self) -> float:
        """Frames per second of the whole system over the network's own."""
        return self.frames_per_second / self.network_frames_per_second

    def refuse(self) -> None:
        """Raise VerdictError if a logit differs, or a fault went unnoticed or left the board unusable."""
        if wrong := self.mismatches + self.mismatches_stalled:
            raise VerdictError(f"{wrong:,} logits behind the driver differ from the golden model's")
        if bad := [one.fault for one in self.faults if not (one.told and one.usable)]:
            raise VerdictError(f"not told, or not usable afterwards: {', '.join(bad)}")
