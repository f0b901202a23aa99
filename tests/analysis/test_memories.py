"""What memories keep against what they are built of."""

from __future__ import annotations

import math

import pytest

from bireal_hw.analysis.cost import anatomy_of, block_ram
from bireal_hw.analysis.memories import BRAM36_BITS, Held, StoredBits, in_use, memories, record
from bireal_hw.ops import BinaryConv, RealConv
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from tests.networks import tiny

GRAPH = tiny(64, 64, 3, 16, max_pool=True)


@pytest.mark.parametrize("cycles", [4_000, 400_000])
def test_every_weight_and_every_block_ram_is_counted_once(cycles: int) -> None:
    flow = elaborate(GRAPH, fold(GRAPH, cycles))
    held = memories(flow, "7series")
    weights = {one.layer: one.stored_bits for one in held if one.name == "weights"}
    assert weights == {
        node.name: node.op.weights.size * (8 if isinstance(node.op, RealConv) else 1)
        for node in GRAPH
        if isinstance(node.op, BinaryConv | RealConv)
    }
    assert sum(one.bram36 for one in held) == sum(
        block_ram(anatomy_of(one.binding.module, one.binding.parameters)) for one in flow.instances
    )
    blocks = [one for one in held if one.style == "block"]
    assert sum(one.occupied_bits for one in blocks) == sum(one.bram36 for one in held) * BRAM36_BITS
    assert all(one.stored_bits <= one.occupied_bits for one in held if one.occupied_bits)


def test_a_window_keeps_the_lines_that_it_needs() -> None:
    flow = elaborate(GRAPH, fold(GRAPH, 400_000))
    node = next(node for node in GRAPH if node.name == "conv1")
    (window,) = (one for one in memories(flow, "7series") if (one.layer, one.name) == ("conv1", "window"))
    (x,) = GRAPH.inputs_of(node)
    pixels = 2 * x.width + 3  # two rows and three pixels; a column and the one that is written beside them
    assert pixels * x.channels <= window.stored_bits <= (pixels + 2) * x.channels
    assert window.depth == 2 ** math.ceil(math.log2(window.stored_bits / window.width))


def test_the_sums_are_those_of_the_memories() -> None:
    held = [
        Held("a", "a", "weights", 512, 72, "block", 1, 36_864, 36_864),
        Held("a", "a_fifo", "queue", 257, 36, "block", 0.5, 9_252, 18_432),
        Held("b", "b", "queue", 30, 6, "lut", 0, 180, 256),
        Held("b", "b", "affine", 4, 36, "logic", 0, 144, 0),
    ]
    found = record(held)
    assert found.block == StoredBits(stored_bits=46_116, occupied_bits=55_296)
    assert found.lut == StoredBits(stored_bits=180, occupied_bits=256)
    assert found.logic == StoredBits(stored_bits=144, occupied_bits=0)
    assert [one.instance for one in found.each] == ["a", "a_fifo", "b", "b"]
    assert in_use(held) == "46,116 of 55,296 bits (83%)"
    assert in_use(held[2:]) == ""
