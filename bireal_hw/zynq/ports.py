"""The ports of a network's IP as data: the Verilog top, component.xml and the block design are written from them.

The ports to memory of a network with an engine are those of `br_top`, by the same names.
"""

from __future__ import annotations

from dataclasses import dataclass

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import AxiPort
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.zynq.registers import ADDRESS_BITS

WIDEST = 16
"""Bytes of a beat of the DMA at most: what a memory port of the processor moves in a cycle."""
NARROWEST = 4
WIRES = ("valid", "ready", "last")
"""Ends of the names of those signals of a port to memory that are no vectors."""


@dataclass(frozen=True)
class Signal:
    """A port of the IP: name in the bus definition, direction, bits; None for a single wire."""

    logical: str
    direction: str
    width: int | None = None


@dataclass(frozen=True)
class Interface:
    """Ports that belong together.

    Attributes:
        name: of the interface; its signals are `<name>_<logical>` in lower case, or `wire` if there is one only.
        kind: of the bus: `axis`, `aximm`, `clock`, `reset` or `interrupt`.
        mode: `master` or `slave`.
        signals: its ports.
        parameters: of the interface, as the packager names them.
        wire: name of the only port of a clock, a reset or an interrupt.
    """

    name: str
    kind: str
    mode: str
    signals: tuple[Signal, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    wire: str = ""

    def port(self, signal: Signal) -> str:
        """Return the name of a signal's port."""
        return self.wire or f"{self.name}_{signal.logical.lower()}"


@dataclass(frozen=True)
class Shape:
    """A network as its IP's ports and parameters see it.

    Attributes:
        identity: hash of network and folding, 16 hexadecimal digits.
        in_bytes, out_bytes: of a beat of the DMA.
        pixel_bytes: channels of a pixel, a byte each.
        image_pixels: of an image.
        logit_lanes, logit_width: logits in a beat of the network, and their bits.
        logits: of an image.
        cycles: a frame, never stalled.
        memories: ports to memory, as those of `br_top`.
    """

    identity: str
    in_bytes: int
    out_bytes: int
    pixel_bytes: int
    image_pixels: int
    logit_lanes: int
    logit_width: int
    logits: int
    cycles: int
    memories: tuple[AxiPort, ...] = ()


def shape(graph: Graph, flow: Dataflow, identity: str, least: int = NARROWEST) -> Shape:
    """Return what the IP of a network has to be told; `flow` is the graph's.

    The DMA's beats are `least` bytes, more where images or logits would not come through in half the time of a frame.

    Raises:
        BirealError: no beat of the DMA is wide enough, or a logit wider than the 32 bits that it gets.
    """
    image, logits = graph.input.pixels * graph.input.channels, graph.output.size
    if flow.output.dtype.width > 32:
        raise BirealError(f"logits of {flow.output.dtype.width} bits do not fit the 32 that software reads")
    return Shape(
        identity,
        beat_bytes(image, flow.cycles, "an image", least),
        beat_bytes(4 * logits, flow.cycles, "its logits", least),
        graph.input.channels,
        graph.input.pixels,
        flow.output.lanes,
        flow.output.dtype.width,
        logits,
        flow.cycles,
        flow.memory.axi if flow.memory else (),
    )


def beat_bytes(frame: int, cycles: int, what: str, least: int = NARROWEST) -> int:
    """Return the bytes of a beat, a power of two, with which a frame's bytes need at most half of its cycles.

    >>> beat_bytes(32 * 32 * 3, 18_432, "an image"), beat_bytes(150_528, 50_176, "an image")
    (4, 8)
    """
    width = least
    while 2 * frame > cycles * width and width < WIDEST:
        width *= 2
    if frame > cycles * width:
        raise BirealError(
            f"{what} has {frame:,} bytes, a frame {cycles:,} cycles, and a DMA moves {WIDEST} bytes a cycle at most: "
            "ask for a lower target_fps="
        )
    return width


def interfaces(made: Shape) -> tuple[Interface, ...]:
    """Return the ports of the IP in the order of its top."""

    def stream(bytes_: int, forth: str, back: str) -> tuple[Signal, ...]:
        return (
            Signal("TDATA", forth, 8 * bytes_),
            Signal("TKEEP", forth, bytes_),
            Signal("TVALID", forth),
            Signal("TREADY", back),
            Signal("TLAST", forth),
        )

    memories = tuple(_memory_port(port) for port in made.memories)
    joined = ":".join(["s_axi_control", "s_axis", "m_axis", *(one.name for one in memories)])
    return (
        Interface(
            "aclk",
            "clock",
            "slave",
            (Signal("CLK", "in"),),
            (("ASSOCIATED_BUSIF", joined), ("ASSOCIATED_RESET", "aresetn")),
            "aclk",
        ),
        Interface("aresetn", "reset", "slave", (Signal("RST", "in"),), (("POLARITY", "ACTIVE_LOW"),), "aresetn"),
        Interface(
            "s_axi_control",
            "aximm",
            "slave",
            (
                Signal("AWADDR", "in", ADDRESS_BITS),
                Signal("AWVALID", "in"),
                Signal("AWREADY", "out"),
                Signal("WDATA", "in", 32),
                Signal("WSTRB", "in", 4),
                Signal("WVALID", "in"),
                Signal("WREADY", "out"),
                Signal("BRESP", "out", 2),
                Signal("BVALID", "out"),
                Signal("BREADY", "in"),
                Signal("ARADDR", "in", ADDRESS_BITS),
                Signal("ARVALID", "in"),
                Signal("ARREADY", "out"),
                Signal("RDATA", "out", 32),
                Signal("RRESP", "out", 2),
                Signal("RVALID", "out"),
                Signal("RREADY", "in"),
            ),
            (("PROTOCOL", "AXI4LITE"), ("DATA_WIDTH", "32"), ("ADDR_WIDTH", str(ADDRESS_BITS))),
        ),
        Interface("s_axis", "axis", "slave", stream(made.in_bytes, "in", "out"), _stream_parameters(made.in_bytes)),
        Interface("m_axis", "axis", "master", stream(made.out_bytes, "out", "in"), _stream_parameters(made.out_bytes)),
        Interface(
            "interrupt",
            "interrupt",
            "master",
            (Signal("INTERRUPT", "out"),),
            (("SENSITIVITY", "LEVEL_HIGH"),),
            "interrupt",
        ),
        *memories,
    )


def _memory_port(port: AxiPort) -> Interface:
    """A port to memory as an interface: bursts of 16 beats at most, as AXI3 has them."""
    signals = tuple(
        Signal(name[len(port.name) + 1 :].upper(), "out" if driven else "in", None if name.endswith(WIRES) else width)
        for name, width, driven in port.signals
    )
    mode = {(True, False): "READ_ONLY", (False, True): "WRITE_ONLY"}.get((port.reads, port.writes), "READ_WRITE")
    parameters = {
        "PROTOCOL": "AXI4",
        "DATA_WIDTH": port.data_width,
        "ADDR_WIDTH": port.address_width,
        "READ_WRITE_MODE": mode,
        "MAX_BURST_LENGTH": 16,
        "SUPPORTS_NARROW_BURST": 0,
    }
    return Interface(
        port.name, "aximm", "master", signals, tuple((name, str(value)) for name, value in parameters.items())
    )


def _stream_parameters(bytes_: int) -> tuple[tuple[str, str], ...]:
    return ("TDATA_NUM_BYTES", str(bytes_)), ("HAS_TKEEP", "1"), ("HAS_TLAST", "1"), ("HAS_TREADY", "1")
