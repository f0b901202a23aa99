"""Max pooling 3x3 stride 2 padding 1: the largest of the taps inside the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import MaxPool
from tests.conformance import check_op


def naive(x: Array) -> Array:
    frames, height, width, channels = x.shape
    out = np.zeros((frames, height // 2, width // 2, channels), int)
    for n, oy, ox, c in np.ndindex(*out.shape):
        rows = range(max(0, 2 * oy - 1), min(height, 2 * oy + 2))
        columns = range(max(0, 2 * ox - 1), min(width, 2 * ox + 2))
        out[n, oy, ox, c] = max(int(x[n, iy, ix, c]) for iy in rows for ix in columns)
    return out


CASES = {
    "smallest": ((2, 2, 1), Fold(lanes=1)),
    "one channel": ((4, 6, 1), Fold(lanes=1)),
    "not square, folded": ((6, 4, 6), Fold(lanes=2)),
    "all channels in a beat": ((4, 8, 4), Fold(lanes=4)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, fold = CASES[case]
    check_op(MaxPool(), [TensorType.full(*shape, DataType(12))], fold, naive)


@given(st.integers(0, 1 << 20), st.integers(1, 4), st.integers(1, 4))
def test_golden_equals_loops(seed: int, rows: int, columns: int) -> None:
    x = np.random.default_rng(seed).integers(-100, 100, (2, 2 * rows, 2 * columns, 3))
    np.testing.assert_array_equal(MaxPool().golden(x), naive(x))


def test_odd_sides_are_refused() -> None:
    with pytest.raises(BirealError) as error:
        MaxPool().infer(TensorType.full(5, 4, 1, DataType(16)))
    assert str(error.value) == "max_pool: height and width must be even, not 5x4"
