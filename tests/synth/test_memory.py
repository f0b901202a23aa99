"""How memories are built: the rule alone; tests/analysis/test_cost.py holds it against Yosys."""

from __future__ import annotations

import pytest

from bireal_hw.ir.encoding import dense
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


@pytest.mark.parametrize("width", [8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("depth", [576, 1152, 2304, 4608])
def test_a_dense_memory_fills_its_blocks(depth: int, width: int) -> None:
    plain = map_memory(depth, width, writable=False)
    if dense(depth, width):
        built = map_memory(depth // 9 * 8, width // 8 * 9, writable=False)
        assert built.style == plain.style == "block"
        assert built.bram36 * 36_864 == depth * width
        assert built.rows == 1
        assert built.bram36 < plain.bram36 or plain.rows == 9
    else:
        assert plain.bram36 <= 0.5


@pytest.mark.parametrize("depth", [288, 513, 648, 1024, 1728, 9216])
def test_other_memories_stay_as_they_are(depth: int) -> None:
    assert not dense(depth, 512)
