"""What a hardware module consists of, for the cost model: sizes that its logic grows with, memories, multipliers.

A layer describes its module (`Op.anatomy`), `bireal_hw.passes.streams` the modules between layers. How memories are
built on a chip, and what a unit of each size costs, is known to `bireal_hw.synth` and `bireal_hw.analysis` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Parameters = Mapping[str, int]
"""Parameters of an instance, by name."""
Features = dict[str, float]
"""Sizes that LUTs and registers grow with, by name: adders with their bits, multiplexers with theirs."""


@dataclass(frozen=True)
class Rom:
    """A memory that is only read: its words stand in the bitstream."""

    depth: int
    width: int
    name: str = ""

    @property
    def bits(self) -> int:
        """What it keeps."""
        return self.depth * self.width


@dataclass(frozen=True)
class Ram:
    """A memory with one write and one read port.

    Attributes:
        words: that are needed, if less than there are addresses.
    """

    depth: int
    width: int
    name: str = ""
    words: int | None = None

    @property
    def bits(self) -> int:
        """What it keeps when it is full."""
        return (self.depth if self.words is None else self.words) * self.width


@dataclass(frozen=True)
class Anatomy:
    """What a module consists of.

    Attributes:
        features: sizes that LUT and FF grow with, by name.
        memories: all it holds, those of registers excepted.
        dsp: multipliers.
    """

    features: Features
    memories: list[Rom | Ram] = field(default_factory=list)
    dsp: int = 0


def index_bits(count: int) -> int:
    """Return the bits of an index 0 .. count-1, at least 1, as `br_pkg::idx_width` does.

    >>> index_bits(1), index_bits(16), index_bits(17)
    (1, 4, 5)
    """
    return max(1, (count - 1).bit_length())
