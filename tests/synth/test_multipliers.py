"""Multipliers of real-valued matrix units: the figures that docs/datapath.md is about, and messages."""

from __future__ import annotations

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.synth.multipliers import main, matrix_unit


@pytest.mark.synth
def test_two_products_share_a_multiplier_at_no_cost() -> None:
    plain, packed = (matrix_unit(3, 2, pack, "7series") for pack in (1, 2))
    assert (plain.dsp, packed.dsp) == (6, 4)  # the third lane has no neighbour
    assert packed.lut <= plain.lut + 4
    assert packed.ff < plain.ff


@pytest.mark.parametrize("word", ["8x0", "x8", "8x8x8", "virtex"])
def test_what_is_no_folding_is_named(word: str) -> None:
    with pytest.raises(BirealError, match=f"^unknown family or folding '{word}'"):
        main([word])
