"""SystemVerilog: the text of a network's top, its memories, and the modules of the library that it needs."""

from bireal_hw.rtl.generator import CHECKS, FILE_LIST, WEIGHTS, generate
from bireal_hw.rtl.library import closure, library_sources
from bireal_hw.rtl.memories import MEMORIES, memory_text

__all__ = ["CHECKS", "FILE_LIST", "MEMORIES", "WEIGHTS", "closure", "generate", "library_sources", "memory_text"]
