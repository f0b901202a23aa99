"""The simulated board: a network's IP with models of processor, DMA and memory in Verilator, and the driver on top.

A session is a Python file with a function `session(board, driver)`; sim/board/play_board.py says what a board can do.
The driver is the very file that is copied to a board.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.sim import verilator
from bireal_hw.zynq.component import NAME, SPIRIT
from bireal_hw.zynq.ip import COMPONENT
from bireal_hw.zynq.ports import Shape, interfaces
from bireal_hw.zynq.registers import ADDRESS_BITS


@dataclass(frozen=True)
class SimulatedBoard:
    """A board with a network in its logic.

    Attributes:
        shape: of the network.
        ip: folder of the IP, as `bireal_hw.zynq.ip.generate` wrote it.
        files: folder that would be copied to the board: driver, network.json, vectors.
        builds: folder that keeps simulators.
    """

    shape: Shape
    ip: Path
    files: Path
    builds: Path

    def run(self, session: Path, hertz: float, **plan: Any) -> Any:
        """Run a session and return what it returned.

        Args:
            session: Python file with the function `session(board, driver)`.
            hertz: simulated clock.
            plan: JSON values, which the session finds in `board.plan`.

        Raises:
            BirealError: a tool is missing, the simulator broke off, or the session raised an error.
        """
        registers, sources = _component(self.ip / COMPONENT)
        models = sorted((asset("sim") / "board").glob("*.sv"))
        files = [self.ip / name for name in sources if name.endswith((".v", ".sv"))]
        bench, _ = verilator.build("board", self._bench(), [*files, *models, asset("sim") / "br_stall.sv"], self.builds)
        with tempfile.TemporaryDirectory(prefix="run-", dir=bench) as name:
            folder = Path(name)
            for path in (self.ip / "src").glob("*.mem"):
                (folder / path.name).symlink_to(path.absolute())
            about = {
                "files": str(self.files.absolute()),
                "session": str(session.absolute()),
                "hertz": hertz,
                "type": f"bireal:rtl:{NAME}:1.0",
                "registers": registers,
                "in_bytes": self.shape.in_bytes,
                "out_bytes": self.shape.out_bytes,
            }
            result = verilator.play(bench, folder, asset("sim") / "board" / "play_board.py", about | plan)
        if "raised" in result:
            raise BirealError(f"the session on the simulated board failed:\n{result['raised']}")
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
            top=NAME,
            ports=interfaces(self.shape),
            address_bits=ADDRESS_BITS,
            in_bytes=self.shape.in_bytes,
            out_bytes=self.shape.out_bytes,
        )


def _component(path: Path) -> tuple[dict[str, int], list[str]]:
    """Return registers with their addresses, and files, as component.xml has them: what a design's tool goes by."""
    root, space = ElementTree.parse(path).getroot(), f"{{{SPIRIT}}}"
    registers = {
        str(one.findtext(f"{space}name")): int(str(one.findtext(f"{space}addressOffset")), 0)
        for one in root.iter(f"{space}register")
    }
    return registers, [str(one.findtext(f"{space}name")) for one in root.iter(f"{space}file")]
