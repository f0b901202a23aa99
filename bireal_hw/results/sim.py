"""The file about a simulation."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.results.base import OfBoard
from bireal_hw.sim.results import Simulation


class SimFile(Simulation, OfBoard):
    """`<board>/sim.json`; `images_from` names the data set, or says `random`."""

    file: ClassVar[str] = "sim.json"
    images_from: str
