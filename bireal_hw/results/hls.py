"""The file about a network as C++."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.hls.results import CppSimulation, VendorStages
from bireal_hw.results.base import OfBoard
from bireal_hw.schema import Number


class HlsFile(CppSimulation, VendorStages, OfBoard):
    """`<board>/hls.json`; `images_from` names the data set, or says `random`."""

    file: ClassVar[str] = "hls.json"
    images_from: str
    part: str = ""
    clock_mhz: Number = 0
