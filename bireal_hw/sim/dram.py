"""The memory beside the chip in the simulator (sim/br_dram.sv): how it behaves in a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bireal_hw.boards import Board
from bireal_hw.errors import BirealError
from bireal_hw.ir.op import STATUS_WIDTH, Binding

DRAM_BASE = 1 << 28
"""Address of the image of the weights; not 0, so that a module that forgets its base finds nothing."""
PAGE = 4096
"""Bytes to a multiple of which the maps' address, behind the image, is rounded up."""
PROBABILITY = 1 << 16
"""The simulator's models take probabilities in so many parts of one."""
PARTS = 256
"""The memory's model takes bandwidth in so many parts of a byte a cycle."""


@dataclass(frozen=True, slots=True)
class Dram:
    """How the memory behaves in a run; as it is, it holds nothing up.

    Attributes:
        latency: cycles from an address to its first beat, and from the last beat that is written to the response.
        bytes_per_cycle: of all ports together; 0 for a beat a cycle of every port and direction.
        refresh: (every, cycles): so many cycles of every so many in which nothing moves; (0, 0) for none.
        stall: probability (0 to below 1) that a channel of a port is held up, drawn every cycle.
        read_error, write_error: number of the burst, from 1 over all ports, that is answered with an error; 0 for none.
        read_lost, write_lost: number of the burst that is never answered; 0 for none.
    """

    latency: int = 20
    bytes_per_cycle: float = 0.0
    refresh: tuple[int, int] = (0, 0)
    stall: float = 0.0
    read_error: int = 0
    write_error: int = 0
    read_lost: int = 0
    write_lost: int = 0

    def __post_init__(self) -> None:
        every, cycles = self.refresh
        slow = 1 / PARTS <= self.bytes_per_cycle < 1 << 20
        bursts = ("read_error", "write_error", "read_lost", "write_lost")
        for name, fine, allowed in (
            ("latency", 1 <= self.latency < 1 << 20, "1 to 2^20 - 1 cycles"),
            ("bytes_per_cycle", slow or self.bytes_per_cycle == 0, f"0, or 1/{PARTS} to below 2^20"),
            ("refresh", 0 <= cycles < every or every == cycles == 0, "(every, cycles), fewer cycles than every"),
            ("stall", 0 <= self.stall < 1, "a probability from 0 to below 1"),
            *((name, getattr(self, name) >= 0, "1 or more, or 0 for none") for name in bursts),
        ):
            if not fine:
                raise BirealError(f"memory: {name}={getattr(self, name)} is out of range: {allowed}")

    def inputs(self) -> dict[str, int]:
        """Values of the inputs of br_dram of these names, with `_i`."""
        values = (
            *(self.latency, round(self.bytes_per_cycle * PARTS), *self.refresh, int(self.stall * PROBABILITY)),
            *(self.read_error, self.read_lost, self.write_error, self.write_lost),
        )
        return dict(zip(INPUTS, values, strict=True))


INPUTS = (
    *("latency", "rate", "refresh_every", "refresh_cycles", "stall"),
    *("read_error", "read_lost", "write_error", "write_lost"),
)
SENT = (
    *("araddr", "arlen", "arvalid", "rready", "awaddr", "awlen", "awvalid"),
    *("wdata", "wstrb", "wlast", "wvalid", "bready"),
)
GIVEN = ("arready", "rdata", "rresp", "rlast", "rvalid", "awready", "wready", "bresp", "bvalid")
"""Inputs of br_dram that make its behaviour; signals of a port that it gets, and that it drives."""
REFRESH = (7.8, 0.26)
"""Microseconds between two refreshes of DDR3, and of one (JESD79-3, 2 Gb)."""
LATENCY = 0.5
"""Microseconds from an address to its first beat, on a Zynq-7000 under load."""
STALL = 0.1
"""Probability that a channel of a port is held up, where the ends of the network are."""


def dram_of(board: Board, clock_mhz: float, stalled: bool) -> Dram:
    """Return how a board's memory behaves, of whose bandwidth a network takes no more than its share."""
    every, lasts = (max(1, round(one * clock_mhz)) for one in REFRESH)
    return Dram(
        latency=round(LATENCY * clock_mhz),
        bytes_per_cycle=board.dram_bytes_per_cycle(clock_mhz),
        refresh=(every, lasts),
        stall=STALL if stalled else 0.0,
    )


class Contents:
    """What lies behind the AXI ports of a module; nothing for one that has none."""

    def __init__(self, binding: Binding, image: bytes | Path, maps: int) -> None:
        """Lay out the memory.

        Args:
            binding: of the module.
            image: what the memory holds at weights_base_i, or a file with it.
            maps: bytes of the memory at maps_base_i, behind the image.

        Raises:
            BirealError: ports differ in their widths.
        """
        self.ports = binding.axi
        if not self.ports:
            return
        widths = {(port.data_width, port.address_width) for port in self.ports}
        if len(widths) > 1:
            raise BirealError(f"{binding.module}: AXI ports of different widths: {sorted(widths)} (data, address)")
        self.beat = self.ports[0].data_width // 8
        self.image = image.read_bytes() if isinstance(image, Path) else image
        self.maps = -(-len(self.image) // PAGE) * PAGE
        self.words = -(-(self.maps + maps) // self.beat)

    def write(self, folder: Path) -> None:
        """Write the image into the working folder of a simulation, a beat a line."""
        if self.ports:
            whole = self.image + bytes(-len(self.image) % self.beat)
            starts = range(0, len(whole), self.beat)
            lines = [whole[start : start + self.beat][::-1].hex() for start in starts]
            (folder / "dram.hex").write_text("\n".join([*lines, ""]))

    def inputs(self, dram: Dram) -> dict[str, int]:
        """Values of the bench's inputs for a run."""
        if not self.ports:
            return {}
        places = {"weights_base_i": DRAM_BASE, "maps_base_i": DRAM_BASE + self.maps}
        named = {f"dram_{name}_i": value for name, value in dram.inputs().items()}
        return {"words_i": self.words, "image_i": -(-len(self.image) // self.beat)} | places | named

    def render(self) -> dict[str, object]:
        """Values for the bench's template."""
        channels = {"sent": SENT, "given": GIVEN}
        # a power of two: weights of a different number need no other simulator
        most = 1 << max(10, (self.words - 1).bit_length()) if self.ports else 0
        size = {"words": most, "base": f"32'h{DRAM_BASE:08x}"}
        return size | {"dram_inputs": INPUTS, "dram_channels": channels, "status_width": STATUS_WIDTH}
