"""The file about a bitstream."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.errors import VerdictError
from bireal_hw.results.base import OfBoard
from bireal_hw.schema import Number, Schema
from bireal_hw.synth.results import Share


class Reached(Schema):
    """A clock: what was asked for, and the most that the placed and routed design does."""

    wanted_mhz: Number
    max_mhz: Number


class SlowestPath(Schema):
    """The path that keeps the design from a faster clock: layers, cells from start to end, its time and the wires'."""

    layers: list[str]
    cells: list[str]
    ns: Number
    routing_ns: Number


class ToolTime(Schema):
    """What a tool took, by the clock on the wall and of the processor."""

    seconds: Number
    cpu_seconds: Number


class BitstreamFile(OfBoard):
    """`<board>/bitstream.json`: docs/bitstream.md.

    Attributes:
        clock_mhz, max_mhz: the network's clock, and the most that it would do.
        images_per_second_on_line: as many as pass the serial line.
        bitstream_bytes: None where the clock is not reached and no bitstream was made.
    """

    file: ClassVar[str] = "bitstream.json"
    part: str
    clock_mhz: Number
    max_mhz: Number
    cycles_per_frame: int
    frames_per_second: Number
    baud: int
    images_per_second_on_line: Number
    resources: dict[str, Share]
    clocks: dict[str, Reached]
    critical_path: SlowestPath
    tools: dict[str, ToolTime]
    bitstream_bytes: int | None
    images_from: str
    packages: dict[str, str]

    def refuse_slow(self) -> None:
        """Raise VerdictError if the network does not reach its clock."""
        if self.bitstream_bytes is None:
            raise VerdictError(
                f"the network reaches {self.max_mhz:g} of {self.clock_mhz:g} MHz on {self.board} "
                f"(slowest path: {', '.join(self.critical_path.layers)}): ask for clock={self.max_mhz // 1:.0f} or less"
            )
