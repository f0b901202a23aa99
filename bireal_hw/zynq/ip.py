"""The SystemVerilog of a network as an IP for Vivado: a plain Verilog top, its sources, and component.xml.

The ports of the IP are data (`interfaces`): the top, component.xml and the block design are written from them. A port
that reads weights from memory is one more `Interface` there, with the name of its signals on `br_top`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import jinja2

from bireal_hw import __version__
from bireal_hw.errors import BirealError
from bireal_hw.files import replacing
from bireal_hw.ir.graph import Graph
from bireal_hw.passes import describe
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.rtl import FILE_LIST, MEMORIES, closure
from bireal_hw.zynq.registers import ADDRESS_BITS

VENDOR, LIBRARY, NAME, VERSION = "bireal", "rtl", "bireal_ip", "1.0"
SOURCES = "src"
COMPONENT = "component.xml"
WIDEST = 16
"""Bytes of a beat of the DMA at most: what a memory port of the processor moves in a cycle."""
NARROWEST = 4


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


def shape(graph: Graph, flow: Dataflow, identity: str) -> Shape:
    """Return what the IP of a network has to be told; `flow` is the graph's.

    The DMA's beats are 4 bytes, more where images or logits would not come through in half the time of a frame.

    Raises:
        BirealError: no beat of the DMA is wide enough, or a logit wider than the 32 bits that it gets.
    """
    image, logits = graph.input.pixels * graph.input.channels, graph.output.size
    if flow.output.dtype.width > 32:
        raise BirealError(f"logits of {flow.output.dtype.width} bits do not fit the 32 that software reads")
    return Shape(
        identity,
        beat_bytes(image, flow.cycles, "an image"),
        beat_bytes(4 * logits, flow.cycles, "its logits"),
        graph.input.channels,
        graph.input.pixels,
        flow.output.lanes,
        flow.output.dtype.width,
        logits,
        flow.cycles,
    )


def beat_bytes(frame: int, cycles: int, what: str) -> int:
    """Return the bytes of a beat, a power of two, with which a frame's bytes need at most half of its cycles.

    >>> beat_bytes(32 * 32 * 3, 18_432, "an image"), beat_bytes(150_528, 50_176, "an image")
    (4, 8)
    """
    width = NARROWEST
    while 2 * frame > cycles * width and width < WIDEST:
        width *= 2
    if frame > cycles * width:
        raise BirealError(
            f"{what} has {frame:,} bytes, a frame {cycles:,} cycles, and a DMA moves {WIDEST} bytes a cycle at most: "
            "ask for a lower target_fps="
        )
    return width


def identify(rtl: Path) -> str:
    """Return the hash of generated SystemVerilog with its memories: of a network and its folding.

    The library's text is not in it, nor comments: the same network at the same folding stays the same network.
    """
    digest = hashlib.sha256()
    top = re.sub(r"//.*", "", (rtl / "br_top.sv").read_text())
    digest.update(re.sub(r"\s+", " ", top).encode())
    for path in sorted((rtl / MEMORIES).iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


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

    return (
        Interface(
            "aclk",
            "clock",
            "slave",
            (Signal("CLK", "in"),),
            (("ASSOCIATED_BUSIF", "s_axi_control:s_axis:m_axis"), ("ASSOCIATED_RESET", "aresetn")),
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
        *memory_ports(),
    )


def memory_ports() -> tuple[Interface, ...]:
    """Return the ports that read weights from memory: none, as all of them are in the network's own memories.

    The top joins such a port, signal by signal, to the ports of `br_top` of the same names.
    """
    return ()


def _stream_parameters(bytes_: int) -> tuple[tuple[str, str], ...]:
    return ("TDATA_NUM_BYTES", str(bytes_)), ("HAS_TKEEP", "1"), ("HAS_TLAST", "1"), ("HAS_TREADY", "1")


def generate(graph: Graph, flow: Dataflow, rtl: Path, out_dir: Path) -> Shape:
    """Write the IP of a network into a folder that appears whole or not at all: a repository of one IP for Vivado.

    Leaves component.xml and `src/`: the top, `bireal_ip.v`, the library, `br_top.sv`, memories; and `package.tcl`, by
    which Vivado packages it anew.

    Args:
        graph: the network.
        flow: the graph's.
        rtl: folder that `bireal_hw.rtl.generate` wrote for both.
        out_dir: replaced if it exists.

    Raises:
        BirealError: see `shape`.
    """
    from bireal_hw.zynq.component import component

    made = shape(graph, flow, identify(rtl))
    with replacing(out_dir) as temporary:
        sources = temporary / SOURCES
        sources.mkdir(parents=True)
        names = gather(rtl, sources)
        (sources / f"{NAME}.v").write_text(top_text(graph, made))
        files = [*(f"{SOURCES}/{name}" for name in [*names, f"{NAME}.v"])]
        files += sorted(f"{SOURCES}/{path.name}" for path in sources.glob("*.mem"))
        (temporary / COMPONENT).write_bytes(component(graph, made, files))
        (temporary / "package.tcl").write_text(_render("package.tcl.j2", made, graph, files=files))
    return made


def gather(rtl: Path, folder: Path) -> list[str]:
    """Put the sources side by side; memories too, as a tool finds those of an IP by their name alone.

    Returns:
        The SystemVerilog files in compile order.
    """
    network = [rtl / name for name in (rtl / FILE_LIST).read_text().split()]
    paths = {path.name: path for path in [*closure({"br_ip"}), *network]}  # the network's own copy wins
    names = sorted(paths, key=lambda name: not name.endswith("_pkg.sv"))
    for name in names:
        text = paths[name].read_text()
        (folder / name).write_text(text.replace(f'"{MEMORIES}/', '"') if name == "br_top.sv" else text)
    for path in (rtl / MEMORIES).iterdir():
        shutil.copyfile(path, folder / path.name)
    return names


def top_text(graph: Graph, made: Shape) -> str:
    """Return bireal_ip, in plain Verilog, which a block design takes as a top."""
    ports = interfaces(made)
    return _render(f"{NAME}.v.j2", made, graph, ports=ports, memories=memory_ports())


def _render(name: str, made: Shape, graph: Graph, **context: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.zynq", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    about = {"vendor": VENDOR, "library": LIBRARY, "name": NAME, "ip_version": VERSION, "version": __version__}
    return environment.get_template(name).render(shape=made, graph=graph, describe=describe, **about, **context)
