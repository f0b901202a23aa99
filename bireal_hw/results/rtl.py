"""The file about generated SystemVerilog."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.results.base import OfBoard
from bireal_hw.schema import Number


class RtlFile(OfBoard):
    """`<board>/rtl/build.json`: what the SystemVerilog was generated for."""

    file: ClassVar[str] = "build.json"
    part: str
    clock_mhz: Number
    cycles_per_frame: int
    bottleneck: str
