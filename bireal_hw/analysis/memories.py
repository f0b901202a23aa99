"""The memories of a network: what each of them keeps, and how much of the memory that it is built of.

    python -m bireal_hw.analysis.memories build/RUN/graph.json build/RUN/BOARD/folding.toml

prints them all; `make fold` and `make synth` give the sum and write the rest to their files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bireal_hw import boards
from bireal_hw.analysis.cost import anatomy_of, mapping
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import load
from bireal_hw.passes.dataflow import Dataflow, elaborate
from bireal_hw.passes.folding_file import read_folding
from bireal_hw.schema import Number, Schema

BRAM36_BITS = 36_864
LUT_BITS = 64
BUILT_OF = {"block": "block RAM", "lut": "LUT RAM", "logic": "logic"}
"""Styles of `bireal_hw.synth.memory` as people write them."""


@dataclass(frozen=True)
class Held:
    """A memory of an instance.

    Attributes:
        layer, instance: whose it is.
        name: what it is for: `weights`, `window` (line buffer), `queue` (FIFO), `affine`, `thresholds`, ..
        depth, width: words and their bits.
        style: `block`, `lut` (LUT RAM) or `logic`.
        bram36: block RAM taken.
        stored_bits: what it keeps when it is full.
        occupied_bits: of the block RAMs or LUT RAMs taken; 0 in logic, which has as many LUTs as the words need.
    """

    layer: str
    instance: str
    name: str
    depth: int
    width: int
    style: str
    bram36: Number
    stored_bits: int
    occupied_bits: int


def memories(flow: Dataflow, family: str) -> list[Held]:
    """Return all memories of a network, in dataflow order, as Yosys maps them for a family of boards."""
    found = []
    for one in flow.instances:
        for memory in anatomy_of(one.binding.module, one.binding.parameters).memories:
            built = mapping(memory, family)
            occupied = round(built.bram36 * BRAM36_BITS) + built.luts * LUT_BITS
            shape = memory.depth, memory.width, built.style, built.bram36
            found.append(Held(one.layer, one.name, memory.name, *shape, memory.bits, occupied))
    return found


class StoredBits(Schema):
    """StoredBits that memories keep when they are full, and bits of the RAMs that they take."""

    stored_bits: int
    occupied_bits: int


class Memories(Schema):
    """The memories of a network, as they stand in synth.json: the sum for each style, and all of them."""

    block: StoredBits
    lut: StoredBits
    logic: StoredBits
    each: list[Held]


def record(held: Iterable[Held]) -> Memories:
    """Add memories up by their style."""
    every = list(held)
    return Memories(**{style: total(one for one in every if one.style == style) for style in BUILT_OF}, each=every)


def total(held: Iterable[Held]) -> StoredBits:
    """Add up the bits of memories."""
    every = list(held)
    return StoredBits(
        stored_bits=sum(one.stored_bits for one in every), occupied_bits=sum(one.occupied_bits for one in every)
    )


def in_use(held: Iterable[Held]) -> str:
    """Write how much of the block RAM that memories take they fill; nothing if they take none."""
    bits = total(one for one in held if one.style == "block")
    if not bits.occupied_bits:
        return ""
    share = bits.stored_bits / bits.occupied_bits
    return f"{bits.stored_bits:,} of {bits.occupied_bits:,} bits ({share:.0%})"


def table(held: Iterable[Held]) -> Table:
    """Return memories as a table, a row each."""
    result = Table(show_edge=False)
    for heading in ("instance", "memory", "built of"):
        result.add_column(heading)
    for heading in ("words x bits", "BRAM36", "bits stored", "bits occupied", "share"):
        result.add_column(heading, justify="right")
    for one in held:
        row = [one.instance, one.name, BUILT_OF[one.style], f"{one.depth:,} x {one.width:,}"]
        row += [f"{one.bram36:g}" if one.bram36 else "", f"{one.stored_bits:,}"]
        if one.occupied_bits:
            row += [f"{one.occupied_bits:,}", f"{one.stored_bits / one.occupied_bits:.0%}"]
        result.add_row(*row)
    return result


def main() -> None:
    """Print the table for the network and folding on the command line."""
    parser = argparse.ArgumentParser(description="What the memories of a network keep, and what they are built of.")
    parser.add_argument("graph", type=Path, help="graph.json of a run")
    parser.add_argument("folding", type=Path, help="folding.toml of the run's board")
    parser.add_argument("--board", default="pynq-z2", help="board (default pynq-z2)")
    arguments = parser.parse_args()
    graph = load(arguments.graph)
    flow = elaborate(graph, read_folding(arguments.folding, graph))
    held = memories(flow, boards.board(arguments.board).family)
    console = Console(width=160)
    console.print(table(held))
    console.print(f"block RAM: {in_use(held) or 'none'}", highlight=False)


if __name__ == "__main__":
    try:
        main()
    except BirealError as error:
        sys.exit(f"error: {error}")
