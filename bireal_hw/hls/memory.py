"""Memory beside the chip as C++ sees it: a pointer for each direction of an AXI port."""

from __future__ import annotations

from dataclasses import dataclass

from bireal_hw.ir.op import Binding

IMAGE = "weights"
"""The port that reads the image; the others see the maps."""


@dataclass(frozen=True)
class Pointer:
    """An argument of a kernel and of the top.

    Attributes:
        name: of the argument.
        bundle: of the AXI port, which is m_axi_<bundle> as in the SystemVerilog.
        writes: whether it is written through; else it is read.
        memory: the array behind it, `weights` or `maps`.
        words: of 64 bits, that it reaches.
    """

    name: str
    bundle: str
    writes: bool
    memory: str
    words: int

    @property
    def declaration(self) -> str:
        """As a parameter."""
        return f"{'' if self.writes else 'const '}std::uint64_t* {self.name}"


def pointers(binding: Binding) -> tuple[Pointer, ...]:
    """Return the pointers of a kernel, in the order of its arguments."""
    found = []
    for port in binding.axi:
        bundle = port.name.removeprefix("m_axi_")
        memory, size = (bundle, len(binding.image)) if bundle == IMAGE else ("maps", binding.maps)
        both = port.reads and port.writes
        for writes, name, there in ((False, "_read", port.reads), (True, "_write", port.writes)):
            if there:
                found.append(Pointer(bundle + name * both, bundle, writes, memory, -(-size // 8)))
    return tuple(found)
