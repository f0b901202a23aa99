"""How memories are built: the rule alone; tests/analysis/test_cost.py holds it against Yosys."""

from __future__ import annotations

import pytest

from bireal_hw.synth.memory import map_memory


@pytest.mark.parametrize(
    ("depth", "width", "writable", "style", "bram36"),
    [
        (64, 128, False, "logic", 0),
        (144, 64, False, "logic", 0),
        (512, 72, False, "block", 1),
        (288, 128, False, "block", 2),
        (512, 1024, False, "block", 14.5),
        (1152, 512, False, "block", 21.5),
        (1024, 18, True, "block", 0.5),
        (16, 16, True, "lut", 0),
    ],
)
def test_styles(depth: int, width: int, writable: bool, style: str, bram36: float) -> None:
    mapping = map_memory(depth, width, writable)
    assert (mapping.style, mapping.bram36) == (style, bram36)


@pytest.mark.parametrize("width", [1, 7, 18, 36, 100])
def test_no_memory_shrinks_as_it_grows(width: int) -> None:
    for writable in (False, True):
        blocks = [map_memory(depth, width, writable).bram36 for depth in range(512, 8192, 512)]
        assert blocks == sorted(blocks)
        assert all(blocks[index] * 36_864 >= width * 512 * (index + 1) for index in range(len(blocks)) if blocks[index])


def test_a_lut_ram_counts_its_cells() -> None:
    mapping = map_memory(128, 6, writable=True)
    assert (mapping.style, mapping.rows, mapping.luts) == ("lut", 2, 16)
