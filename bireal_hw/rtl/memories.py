"""Memory files, as $readmemh reads them."""

from __future__ import annotations

import hashlib

from bireal_hw.ir.encoding import rom_lines
from bireal_hw.ir.op import Memory
from bireal_hw.passes.dataflow import Instance

MEMORIES = "mem"
"""Their folder."""


def memory_file(instance: Instance, parameter: str) -> str:
    """Path of a memory file, relative to the generated folder; named by its contents."""
    digest = hashlib.sha256(memory_text(instance.binding.memories[parameter]).encode()).hexdigest()[:8]
    return f"{MEMORIES}/{instance.name}_{parameter.removesuffix('File').lower()}_{digest}.mem"


def memory_text(memory: Memory) -> str:
    """The lines of a memory in hexadecimal, as $readmemh reads them."""
    lines, width = rom_lines(memory.words, memory.width)
    digits = (width + 3) // 4
    return "".join(f"{line:0{digits}x}\n" for line in lines)
