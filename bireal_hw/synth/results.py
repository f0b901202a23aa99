"""What a network takes of a board, counted by Yosys: the content of synth.json as far as synthesis makes it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bireal_hw.schema import Number, Schema
from bireal_hw.synth.resources import KINDS, Resources


class Share(Schema):
    """What is used of a resource, what the board has of it, and who counted."""

    used: Number
    available: Number
    source: str = ""


class LayerResources(Schema):
    """A layer with what stands around it: registers, FIFOs, width converters; `instances` has each of these alone."""

    name: str
    lut: Number
    ff: Number
    bram36: Number
    uram: Number
    dsp: Number
    instances: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def used(self) -> Resources:
        """The amounts."""
        return Resources(*(getattr(self, kind) for kind in KINDS))


class Utilisation(Schema):
    """A network's instances, counted one by one and added up, against a board.

    Attributes:
        part: the board's.
        fits: whether the board has as much of everything.
        lut, ff, bram36, uram, dsp: of the whole network; a block RAM of 18 Kb counts one half.
        layers: the same of each, in the order of the data.
        yosys: its version.
    """

    part: str = ""
    fits: bool
    lut: Share
    ff: Share
    bram36: Share
    uram: Share
    dsp: Share
    layers: list[LayerResources]
    yosys: str

    @property
    def shares(self) -> dict[str, Share]:
        """What is used and available, by kind."""
        return {kind: getattr(self, kind) for kind in KINDS}

    @property
    def used(self) -> Resources:
        """What the network takes."""
        return Resources(*(share.used for share in self.shares.values()))
