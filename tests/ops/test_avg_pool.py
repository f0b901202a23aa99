"""Average pooling: sums in fractions, rounded half up once."""

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
from bireal_hw.ops import AvgPool
from tests.conformance import check_op


def naive(x: Array, op: AvgPool) -> Array:
    frames, height, width, channels = x.shape
    kh, kw = op.kernel
    out = np.zeros((frames, height // kh, width // kw, channels), int)
    for n, oy, ox, c in np.ndindex(*out.shape):
        total = sum(int(x[n, oy * kh + ky, ox * kw + kx, c]) for ky, kx in np.ndindex(kh, kw))
        step = Fraction(2) ** op.shift
        rounded = floor(total / step + (Fraction(1, 2) if op.shift > 0 else 0))
        out[n, oy, ox, c] = min(max(rounded, op.dtype.low), op.dtype.high)
    return out


CASES = {
    "smallest": ((1, 1, 1), (1, 1), 0, 1, Fold(lanes=1)),
    "rounding only": ((3, 4, 6), (1, 1), 5, 16, Fold(lanes=2)),
    "2x2": ((4, 6, 8), (2, 2), 10, 16, Fold(lanes=2)),
    "2x2, one channel a beat": ((4, 4, 3), (2, 2), 8, 16, Fold(lanes=1)),
    "one channel, one lane": ((6, 4, 1), (2, 2), 8, 16, Fold(lanes=1)),
    "global": ((3, 5, 6), (3, 5), 11, 16, Fold(lanes=3)),
    "global, one channel": ((4, 4, 1), (4, 4), 9, 12, Fold(lanes=1)),
    "global of one pixel": ((1, 1, 4), (1, 1), 6, 16, Fold(lanes=4)),
    "left shift": ((2, 2, 4), (2, 2), -1, 6, Fold(lanes=4)),
    "no shift": ((2, 4, 2), (2, 2), 0, 7, Fold(lanes=1)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, kernel, shift, width, fold = CASES[case]
    op = AvgPool(kernel, shift, DataType(8, frac=2))
    check_op(op, [TensorType.full(*shape, DataType(width))], fold, lambda x: naive(x, op))


@given(st.integers(0, 1 << 20), st.integers(-2, 14), st.sampled_from([(2, 2), (4, 6), (1, 3)]))
def test_golden_equals_fractions_and_stays_in_the_inferred_range(
    seed: int, shift: int, kernel: tuple[int, int]
) -> None:
    op = AvgPool(kernel, shift, DataType(8))
    x = np.random.default_rng(seed).integers(-(1 << 15), 1 << 15, (2, 4, 6, 3))
    y = op.golden(x)
    np.testing.assert_array_equal(y, naive(x, op))
    out = op.infer(TensorType.full(4, 6, 3, DataType(16)))
    assert out.low <= y.min()
    assert y.max() <= out.high


@pytest.mark.rtl
def test_a_shortcut_is_pooled_to_its_own_grid() -> None:
    stream = DataType(16, frac=9)
    op = AvgPool((2, 2), 2, stream)
    check_op(op, [TensorType.full(4, 4, 6, stream)], Fold(lanes=3), lambda x: naive(x, op))


def test_a_tie_rounds_up() -> None:
    op = AvgPool((1, 1), 2, DataType(8))
    x = np.array([2, 6, -2, -6]).reshape(1, 1, 1, 4)
    assert op.golden(x).ravel().tolist() == [1, 2, 0, -1]


def test_window_that_does_not_tile_is_refused() -> None:
    with pytest.raises(BirealError) as error:
        AvgPool((2, 2), 0, DataType(8)).infer(TensorType.full(5, 4, 1, DataType(16)))
    assert str(error.value) == "avg_pool: a 2x2 window does not tile 5x4"
