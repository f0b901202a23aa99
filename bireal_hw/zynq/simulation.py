"""The simulated board: a network's IP with models of processor, DMA and memory in Verilator, and the driver on top.

A session is a Python file with a function `session(board, driver)`; sim/board/play_board.py says what a board can do.
The driver is the very file that is copied to a board.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.rtl import closure
from bireal_hw.sim import verilator
from bireal_hw.sim.dram import GIVEN, INPUTS, SENT, Dram
from bireal_hw.zynq.component import NAME, SPIRIT
from bireal_hw.zynq.ip import COMPONENT, SOURCES
from bireal_hw.zynq.ports import Shape, interfaces
from bireal_hw.zynq.registers import ADDRESS_BITS

DRAM = Dram()
"""Holds nothing up."""
MEMORY_BASE = 1 << 20
"""Address from which on the stand-in for pynq allocates."""
MEMORY_TIMES = 4
"""Times the weights and maps of a network that its ports find memory for."""
BEAT = 8
"""Bytes of a beat of memory."""


@dataclass(frozen=True)
class SimulatedBoard:
    """A board with a network in its logic.

    Attributes:
        shape: of the network.
        top: module with the ports of `interfaces`.
        parameters: of it.
        vlnv: what the design's description calls the cell.
        registers: their addresses by name, as the description gives them.
        library: modules of the SystemVerilog library that the sources need beside them.
        sources: files in compile order, objects among them.
        memories: folder with the files that the sources read.
        files: folder that would be copied to the board: driver, network.json, vectors.
        builds: folder that keeps simulators.
        dram: how memory behaves for a network with ports to it.
    """

    shape: Shape
    top: str
    parameters: dict[str, int]
    vlnv: str
    registers: dict[str, int]
    library: frozenset[str]
    sources: tuple[Path, ...]
    memories: Path
    files: Path
    builds: Path
    dram: Dram = DRAM

    @classmethod
    def of_ip(cls, shape: Shape, ip: Path, files: Path, builds: Path, dram: Dram = DRAM) -> SimulatedBoard:
        """Return a board with the IP in a folder that `bireal_hw.zynq.ip.generate` wrote."""
        vlnv, registers, names = _component(ip / COMPONENT)
        sources = tuple(ip / name for name in names if name.endswith((".v", ".sv")))
        return cls(shape, NAME, {}, vlnv, registers, frozenset(), sources, ip / SOURCES, files, builds, dram)

    def run(self, session: Path, hertz: float, **plan: Any) -> Any:
        """Run a session and return what it returned.

        Args:
            session: Python file with the function `session(board, driver)`.
            hertz: simulated clock.
            plan: JSON values, which the session finds in `board.plan`.

        Raises:
            BirealError: a tool is missing, the simulator broke off, or the session raised an error.
        """
        models = sorted((asset("sim") / "board").glob("*.sv"))
        sources = [*closure(set(self.library)), *self.sources, *models, asset("sim") / "br_stall.sv"]
        if self.shape.memories:
            sources += [asset("sim") / f"{name}.sv" for name in ("br_dram", "br_stream_check", "br_cycles")]
        bench, _ = verilator.build("board", self._bench(), sources, self.builds)
        with tempfile.TemporaryDirectory(prefix="run-", dir=bench) as name:
            folder = Path(name)
            for path in self.memories.glob("*.mem"):
                (folder / path.name).symlink_to(path.absolute())
            about = {
                "files": str(self.files.absolute()),
                "session": str(session.absolute()),
                "hertz": hertz,
                "type": self.vlnv,
                "registers": self.registers,
                "in_bytes": self.shape.in_bytes,
                "out_bytes": self.shape.out_bytes,
            }
            if self.shape.memories:
                (folder / "dram.hex").write_text("0\n")
                about |= {"dram": self.dram.inputs(), "memory": [MEMORY_BASE, self._memory_words() * BEAT]}
            result = verilator.play(bench, folder, asset("sim") / "board" / "play_board.py", about | plan)
        if "raised" in result:
            raise BirealError(f"the session on the simulated board failed: {result['raised'].strip().splitlines()[-1]}")
        return result["returned"]

    def _bench(self) -> str:
        template = jinja2.Template(
            (asset("sim") / "board" / "br_board_bench.sv.j2").read_text(),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        return template.render(
            top=self.top,
            parameters=self.parameters,
            ports=interfaces(self.shape),
            address_bits=ADDRESS_BITS,
            in_bytes=self.shape.in_bytes,
            out_bytes=self.shape.out_bytes,
            memories=self.shape.memories,
            memory_words=self._memory_words(),
            memory_base=f"32'h{MEMORY_BASE:08x}",
            dram_inputs=INPUTS,
            dram_sent=SENT,
            dram_given=GIVEN,
        )

    def _memory_words(self) -> int:
        """Beats of the memory that the network's ports see: room for several networks' weights and maps."""
        about = json.loads((self.files / "network.json").read_text()).get("memory", {})
        size = about.get("bytes", 0) + about.get("maps", 0)
        return 1 << (MEMORY_TIMES * size // BEAT).bit_length()


def _component(path: Path) -> tuple[str, dict[str, int], list[str]]:
    """Return name, addresses of registers, and files, as component.xml has them: what a design's tool goes by."""
    root, space = ElementTree.parse(path).getroot(), f"{{{SPIRIT}}}"
    vlnv = ":".join(str(root.findtext(f"{space}{part}")) for part in ("vendor", "library", "name", "version"))
    registers = {
        str(one.findtext(f"{space}name")): int(str(one.findtext(f"{space}addressOffset")), 0)
        for one in root.iter(f"{space}register")
    }
    return vlnv, registers, [str(one.findtext(f"{space}name")) for one in root.iter(f"{space}file")]
