"""The file about resources."""

from __future__ import annotations

from typing import ClassVar

from bireal_hw.analysis.memories import Memories
from bireal_hw.errors import VerdictError
from bireal_hw.results.base import OfBoard
from bireal_hw.schema import Number
from bireal_hw.synth.resources import Resources
from bireal_hw.synth.results import Utilisation


class SynthFile(Utilisation, OfBoard):
    """`<board>/synth.json`: resources, beside those that the cost model predicts, and memories.

    Attributes:
        predicted: of the whole network.
        whole: synthesised as one design, if it was.
        memories: what each of them keeps.
    """

    file: ClassVar[str] = "synth.json"
    clock_mhz: Number = 0
    cycles_per_frame: int = 0
    frames_per_second: Number = 0
    predicted: Resources
    whole: Resources | None = None
    memories: Memories

    def refuse_overflow(self) -> None:
        """Raise VerdictError if the network is larger than its board."""
        over = {kind: share for kind, share in self.shares.items() if share.used > share.available}
        if over:
            amounts = ", ".join(f"{kind} {share.used:,} of {share.available:,}" for kind, share in over.items())
            raise VerdictError(f"the network does not fit {self.board}: {amounts}; ask for a lower target_fps=")
