"""Max pooling: the largest of the taps inside the image, of overlapping windows and of windows side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType
from bireal_hw.ops import MaxPool
from tests.conformance import check_op

NUMBER = DataType(12)


def naive(x: Array, op: MaxPool) -> Array:
    frames, height, width, channels = x.shape
    tops = range(-op.pad, height + op.pad - op.kernel[0] + 1, op.stride[0])
    lefts = range(-op.pad, width + op.pad - op.kernel[1] + 1, op.stride[1])
    out = np.zeros((frames, len(tops), len(lefts), channels), int)
    for n, oy, ox, c in np.ndindex(*out.shape):
        rows = range(max(0, tops[oy]), min(height, tops[oy] + op.kernel[0]))
        columns = range(max(0, lefts[ox]), min(width, lefts[ox] + op.kernel[1]))
        out[n, oy, ox, c] = max(int(x[n, iy, ix, c]) for iy in rows for ix in columns)
    return out


def tiles(height: int, width: int) -> MaxPool:
    return MaxPool((height, width), (height, width), 0)


CASES = {
    "smallest": (MaxPool(), (2, 2, 1), NUMBER, Fold(lanes=1)),
    "one channel": (MaxPool(), (4, 6, 1), NUMBER, Fold(lanes=1)),
    "not square, folded": (MaxPool(), (6, 4, 6), NUMBER, Fold(lanes=2)),
    "all channels in a beat": (MaxPool(), (4, 8, 4), NUMBER, Fold(lanes=4)),
    "odd sides": (MaxPool(), (5, 7, 2), NUMBER, Fold(lanes=1)),
    "odd width, bits": (MaxPool(), (4, 5, 4), BIPOLAR, Fold(lanes=4)),
    "one pixel": (MaxPool(), (1, 1, 2), NUMBER, Fold(lanes=1)),
    "2x2": (tiles(2, 2), (4, 6, 2), NUMBER, Fold(lanes=1)),
    "2x2 of bits": (tiles(2, 2), (6, 4, 6), BIPOLAR, Fold(lanes=3)),
    "2x2 of pixels": (tiles(2, 2), (4, 4, 1), PIXEL, Fold(lanes=1)),
    "2x2, a row and a column left over": (tiles(2, 2), (5, 7, 3), NUMBER, Fold(lanes=3)),
    "3x2, two rows left over": (tiles(3, 2), (8, 5, 2), NUMBER, Fold(lanes=1)),
    "the whole image": (tiles(5, 3), (5, 3, 4), NUMBER, Fold(lanes=2)),
    "a column": (tiles(4, 1), (9, 1, 1), NUMBER, Fold(lanes=1)),
    "a row": (tiles(1, 3), (3, 7, 2), NUMBER, Fold(lanes=2)),
    "nothing to compare": (tiles(1, 1), (2, 3, 2), NUMBER, Fold(lanes=1)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    op, shape, dtype, fold = CASES[case]
    check_op(op, [TensorType.full(*shape, dtype)], fold, lambda x: naive(x, op))


@given(st.integers(0, 1 << 20), st.integers(1, 8), st.integers(1, 8), st.integers(1, 4), st.integers(1, 4))
def test_golden_equals_loops(seed: int, height: int, width: int, rows: int, columns: int) -> None:
    x = np.random.default_rng(seed).integers(-100, 100, (2, height, width, 3))
    for op in (MaxPool(), tiles(min(rows, height), min(columns, width))):
        np.testing.assert_array_equal(op.golden(x), naive(x, op))


def test_a_pool_of_the_whole_image_grows_with_it() -> None:
    small, large = TensorType.full(3, 4, 2, NUMBER), TensorType.full(6, 5, 2, NUMBER)
    assert tiles(3, 4).resized(small, large, 2) == tiles(6, 5)
    assert tiles(3, 2).resized(small, large, 2) == tiles(3, 2)
    assert MaxPool().resized(TensorType.full(3, 3, 2, NUMBER), large, 2) == MaxPool()


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (
            MaxPool((3, 3), (2, 2), 0),
            "max_pool: kernel 3x3, stride 2x2, pad 0; supported are 3x3 with stride 2 and pad 1,",
        ),
        (MaxPool((2, 2), (2, 2), 1), "max_pool: kernel 2x2, stride 2x2, pad 1; supported"),
        (MaxPool((2, 2), (2, 1), 0), "max_pool: kernel 2x2, stride 2x1, pad 0; supported"),
        (tiles(4, 6), "max_pool: a 4x6 window does not fit 5x4"),
    ],
)
def test_messages_name_the_limits(op: MaxPool, message: str) -> None:
    with pytest.raises(BirealError) as error:
        op.infer(TensorType.full(5, 4, 1, NUMBER))
    assert str(error.value).startswith(message)
