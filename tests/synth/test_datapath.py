"""LUTs of binary matrix units: the figure that docs/datapath.md is about, and messages."""

from __future__ import annotations

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.synth.datapath import main, matrix_unit


@pytest.mark.synth
def test_a_wide_unit_takes_fewer_luts_than_the_aim() -> None:
    used, carry = matrix_unit(8, 64, "7series")
    assert used.lut <= 1.35 * 8 * 64
    assert 4 * carry <= used.lut  # a slice of four LUTs has one piece of carry chain


@pytest.mark.synth
def test_the_tree_pays_with_luts_of_four_inputs_too() -> None:
    tree, plain = (matrix_unit(2, 32, "ecp5", plain)[0] for plain in (False, True))
    assert tree.lut < 0.75 * plain.lut


@pytest.mark.parametrize("word", ["8x0", "x8", "8x8x8", "virtex"])
def test_what_is_no_folding_is_named(word: str) -> None:
    with pytest.raises(BirealError, match=f"^'{word}' is no family and no folding: "):
        main([word])
