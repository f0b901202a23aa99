"""Memories as C++: a word is an array of entries, so the generated tables are plain integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Memory


def entries(memory: Memory) -> NDArray[np.uint64]:
    """Return a memory as (words, entries of a word), the entry in the low bits first.

    Raises:
        BirealError: an entry has more than 64 bits, or the entries do not fill the word.

    >>> [[hex(x) for x in word] for word in entries(Memory(12, [0x321, 0xABC], entry=4)).tolist()]
    [['0x1', '0x2', '0x3'], ['0xc', '0xb', '0xa']]
    """
    if memory.entry > 64 or memory.width % memory.entry:
        raise BirealError(f"a memory word of {memory.width} bits has no entries of {memory.entry} bits, at most 64")
    size = -(-memory.width // 8)
    raw = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in memory.words), np.uint8)
    bits = np.unpackbits(raw.reshape(-1, size), axis=1, bitorder="little")[:, : memory.width]
    padded = np.zeros((len(memory.words), memory.width // memory.entry, 64), np.uint8)
    padded[:, :, : memory.entry] = bits.reshape(len(memory.words), -1, memory.entry)
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8")[:, :, 0]


def table(name: str, memory: Memory) -> str:
    """Write a memory as a constant array, one word a line.

    >>> print(table("w", Memory(12, [0x321, 0xABC], entry=4)))
    static const bireal::Entry<4> w[2][3] = {
      {0x1, 0x2, 0x3},
      {0xc, 0xb, 0xa},
    };
    """
    values = entries(memory)
    suffix = "ull" if memory.entry > 32 else ""
    rows = "".join("  {" + ", ".join(f"{x:#x}{suffix}" for x in row) + "},\n" for row in values.tolist())
    return f"static const bireal::Entry<{memory.entry}> {name}[{len(memory.words)}][{values.shape[1]}] = {{\n{rows}}};"


def table_name(parameter: str) -> str:
    """The C++ name of a memory: WeightFile is weight."""
    return parameter.removesuffix("File").lower()
