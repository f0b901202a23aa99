"""The SystemVerilog of a network as an IP for Vivado: a plain Verilog top, its sources, and component.xml.

Its ports are data: bireal_hw/zynq/ports.py.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import jinja2

from bireal_hw import __version__
from bireal_hw.files import replacing
from bireal_hw.ir.graph import Graph
from bireal_hw.passes import describe
from bireal_hw.passes.dataflow import Dataflow
from bireal_hw.rtl import FILE_LIST, MEMORIES, WEIGHTS, closure
from bireal_hw.zynq.component import LIBRARY, NAME, VENDOR, VERSION, component
from bireal_hw.zynq.ports import NARROWEST, Shape, interfaces, shape

SOURCES = "src"
COMPONENT = "component.xml"
GATED = ("arvalid", "arready", "awvalid", "awready", "wvalid", "wready")
"""Handshakes of a port to memory that go through br_axi_gate; the rest goes past it."""


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


def generate(graph: Graph, flow: Dataflow, rtl: Path, out_dir: Path, least: int = NARROWEST) -> Shape:
    """Write the IP of a network into a folder that appears whole or not at all: a repository of one IP for Vivado.

    Leaves component.xml and `src/`: the top, `bireal_ip.v`, the library, `br_top.sv`, memories; and `package.tcl`, by
    which Vivado packages it anew.

    Args:
        graph: the network.
        flow: the graph's.
        rtl: folder that `bireal_hw.rtl.generate` wrote for both.
        out_dir: replaced if it exists.
        least: bytes of a beat of the DMA at least.

    Raises:
        BirealError: see `shape`.
    """
    made = shape(graph, flow, identify(rtl), least)
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
    around = {"br_ip", "br_axi_gate"} if (rtl / WEIGHTS).exists() else {"br_ip"}
    paths = {path.name: path for path in [*closure(around), *network]}  # the network's own copy wins
    names = sorted(paths, key=lambda name: not name.endswith("_pkg.sv"))
    for name in names:
        text = paths[name].read_text()
        (folder / name).write_text(text.replace(f'"{MEMORIES}/', '"') if name == "br_top.sv" else text)
    for path in (rtl / MEMORIES).iterdir():
        shutil.copyfile(path, folder / path.name)
    return names


def top_text(graph: Graph, made: Shape) -> str:
    """Return bireal_ip, in plain Verilog, which a block design takes as a top."""
    return _render(f"{NAME}.v.j2", made, graph, ports=interfaces(made), gated=GATED)


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
