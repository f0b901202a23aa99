"""The words of a ROM in order, around and around, however they lie in block RAMs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.ir.encoding import dense, dense_shape, rom_lines, rom_shape
from bireal_hw.ir.op import Binding, Cost, Memory, Port
from bireal_hw.ir.types import DataType
from bireal_hw.rtl import closure
from bireal_hw.sim.runner import Dut, simulate
from bireal_hw.synth.memory import map_memory, map_rom
from tests.conformance import BUILDS, FOUR_MODES, check_cycles

SHAPES = ((1, 5), (33, 7), (4608, 4), (2500, 18), (1100, 40), (9216, 16), (576, 32), (4608, 16))
"""Depth and width of the memories in constants_bench.sv."""


@pytest.mark.rtl
def test_words_come_in_order_and_again_under_stalls() -> None:
    numbers = random.Random(6)
    words = [[numbers.getrandbits(width) for _ in range(depth)] for depth, width in SHAPES]
    memories = {f"File{i}": Memory(width, words[i]) for i, (_, width) in enumerate(SHAPES)}
    bit = DataType(1, signed=False)
    binding = Binding(
        "constants_bench",
        {},
        (Port("s_axis", 1, bit),),
        Port("m_axis", len(SHAPES), DataType(40, signed=False)),
        memories,
    )
    beats = 10_300
    dut = Dut(binding, (*closure({"br_constants"}), Path(__file__).with_name("constants_bench.sv")))
    asked = np.zeros((2, beats // 2, 1, 1), np.uint8)
    results = simulate(dut, asked, output_beats=beats // 2, stalls=FOUR_MODES, builds=BUILDS)
    want = np.array([[of[i % len(of)] for of in words] for i in range(beats)])
    for stall, result in zip(FOUR_MODES, results, strict=True):
        np.testing.assert_array_equal(result.outputs.reshape(want.shape), want, err_msg=str(stall))
    check_cycles(results[0], Cost(beats // 2, latency=1))


@pytest.mark.parametrize("width", [1, 4, 9, 16, 18, 40, 64, 512])
@pytest.mark.parametrize("depth", [1, 200, 512, 600, 1152, 4608, 9216, 12_500])
def test_lines_hold_every_word_once_in_no_more_block_rams(depth: int, width: int) -> None:
    numbers = random.Random(depth * width)
    words = [numbers.getrandbits(width) for _ in range(depth)]
    lines, bits = rom_lines(words, width)
    deep, wide = dense_shape(depth, width)
    shape = rom_shape(deep, wide)
    assert (len(lines), bits) == (shape[0], shape[1] * wide)
    rows = [line >> row * wide & (1 << wide) - 1 for row in range(shape[1]) for line in lines][:deep]
    assert (read_dense(rows, width) if dense(depth, width) else rows) == words
    folded, plain = map_rom(depth, width), map_memory(depth, width, writable=False)
    assert folded.rows == 1
    assert (folded.style, folded.bram36) <= (plain.style, plain.bram36)


def read_dense(lines: list[int], width: int) -> list[int]:
    """Take a ninth word out of the bits above the eight before it."""
    words = []
    for start in range(0, len(lines), 8):
        eight = lines[start : start + 8]
        words += [line & (1 << width) - 1 for line in eight]
        words.append(sum((line >> width) << i * width // 8 for i, line in enumerate(eight)))
    return words
