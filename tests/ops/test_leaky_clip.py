"""Leaky clip: unchanged inside the limit, the slope outside, rounded half up; never wider than its input."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import LeakyClip
from tests.conformance import check_op


def naive(x: Array, op: LeakyClip) -> Array:
    def one(value: int) -> int:
        core = min(max(value, -op.limit), op.limit)
        return core + floor(Fraction(op.gain, 1 << op.shift) * (value - core) + Fraction(1, 2))

    return np.array([one(int(value)) for value in x.ravel()]).reshape(x.shape)


CASES = {
    "smallest": ((1, 1, 1), 8, LeakyClip(16, 205, 11), Fold(lanes=1)),
    "as networks have it": ((4, 5, 6), 16, LeakyClip(1 << 12, 205, 11), Fold(lanes=2)),
    "limit beyond the input": ((2, 3, 4), 8, LeakyClip(1 << 12, 205, 11), Fold(lanes=4)),
    "limit 0, slope 1/2": ((2, 3, 4), 8, LeakyClip(0, 1, 1), Fold(lanes=1)),
    "slope 0": ((3, 3, 2), 10, LeakyClip(100, 0, 4), Fold(lanes=2)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, width, op, fold = CASES[case]
    check_op(op, [TensorType.full(*shape, DataType(width, frac=5))], fold, lambda x: naive(x, op))


@given(st.integers(0, 1 << 14), st.integers(1, 14), st.data())
def test_golden_equals_fractions_within_the_inferred_range(limit: int, shift: int, data: st.DataObject) -> None:
    op = LeakyClip(limit, data.draw(st.integers(0, (1 << shift) - 1)), shift)
    x = np.array(data.draw(st.lists(st.integers(-(1 << 15), (1 << 15) - 1), min_size=1, max_size=8)))
    y = op.golden(x)
    np.testing.assert_array_equal(y, naive(x, op))
    out = op.infer(TensorType.full(1, 1, 1, DataType(16)))
    assert out.low <= y.min()
    assert y.max() <= out.high
    assert out.dtype.width <= 16


def test_impossible_slopes_are_named() -> None:
    x = TensorType.full(2, 2, 4, DataType(8))
    with pytest.raises(BirealError) as error:
        LeakyClip(16, 16, 4).infer(x)
    assert str(error.value) == "leaky_clip: the slope 16/2^4 must be below 1, its gain below 2^15"
