"""Max pooling: the largest of the taps inside the image, of overlapping windows and of windows side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType
from bireal_hw.ops import MaxPool
from tests.conformance import check_op

NUMBER = DataType(12)
UNPADDED = (0, 0, 0, 0)


def naive(x: Array, op: MaxPool) -> Array:
    frames, height, width, channels = x.shape
    top, left, bottom, right = op.pads
    tops = range(-top, height + bottom - op.kernel[0] + 1, op.stride[0])
    lefts = range(-left, width + right - op.kernel[1] + 1, op.stride[1])
    out = np.zeros((frames, len(tops), len(lefts), channels), int)
    for n, oy, ox, c in np.ndindex(*out.shape):
        rows = range(max(0, tops[oy]), min(height, tops[oy] + op.kernel[0]))
        columns = range(max(0, lefts[ox]), min(width, lefts[ox] + op.kernel[1]))
        out[n, oy, ox, c] = max(int(x[n, iy, ix, c]) for iy in rows for ix in columns)
    return out


CASES = {
    "smallest": (MaxPool(), (2, 2, 1), NUMBER, Fold(lanes=1)),
    "one channel": (MaxPool(), (4, 6, 1), NUMBER, Fold(lanes=1)),
    "not square, folded": (MaxPool(), (6, 4, 6), NUMBER, Fold(lanes=2)),
    "all channels in a beat": (MaxPool(), (4, 8, 4), NUMBER, Fold(lanes=4)),
    "odd sides": (MaxPool(), (5, 7, 2), NUMBER, Fold(lanes=1)),
    "odd width, bits": (MaxPool(), (4, 5, 4), BIPOLAR, Fold(lanes=4)),
    "one pixel": (MaxPool(), (1, 1, 2), NUMBER, Fold(lanes=1)),
    "2x2": (MaxPool.tiled(2, 2), (4, 6, 2), NUMBER, Fold(lanes=1)),
    "2x2 of bits": (MaxPool.tiled(2, 2), (6, 4, 6), BIPOLAR, Fold(lanes=3)),
    "2x2 of pixels": (MaxPool.tiled(2, 2), (4, 4, 1), PIXEL, Fold(lanes=1)),
    "2x2, a row and a column left over": (MaxPool.tiled(2, 2), (5, 7, 3), NUMBER, Fold(lanes=3)),
    "3x2, two rows left over": (MaxPool.tiled(3, 2), (8, 5, 2), NUMBER, Fold(lanes=1)),
    "the whole image": (MaxPool.tiled(5, 3), (5, 3, 4), NUMBER, Fold(lanes=2)),
    "a column": (MaxPool.tiled(4, 1), (9, 1, 1), NUMBER, Fold(lanes=1)),
    "a row": (MaxPool.tiled(1, 3), (3, 7, 2), NUMBER, Fold(lanes=2)),
    "3x3, no padding, left over": (MaxPool(pads=UNPADDED), (4, 6, 2), NUMBER, Fold(lanes=1)),
    "3x3, no padding, to the edge": (MaxPool(pads=UNPADDED), (5, 7, 4), BIPOLAR, Fold(lanes=2)),
    "3x3, padding behind": (MaxPool(pads=(0, 0, 1, 1)), (4, 6, 2), NUMBER, Fold(lanes=2)),
    "3x3, padding before": (MaxPool(pads=(1, 1, 0, 0)), (5, 4, 2), NUMBER, Fold(lanes=1)),
    "3x3, padding above and on the right": (MaxPool(pads=(1, 0, 0, 1)), (4, 4, 1), NUMBER, Fold(lanes=1)),
    "3x3, one window": (MaxPool(pads=(0, 1, 0, 0)), (3, 2, 2), NUMBER, Fold(lanes=1)),
    "3x4 by 2x3": (MaxPool((3, 4), (2, 3), (0, 2, 1, 1)), (6, 8, 2), NUMBER, Fold(lanes=1)),
    "2x2, stride 1": (MaxPool((2, 2), (1, 1), (0, 0, 0, 0)), (3, 4, 1), NUMBER, Fold(lanes=1)),
    "2x2, over the edge": (MaxPool((2, 2), (2, 2), (0, 0, 1, 1)), (5, 3, 2), NUMBER, Fold(lanes=1)),
    "3x2, padded all around": (MaxPool((3, 2), (3, 2), (2, 1, 1, 1)), (6, 4, 2), NUMBER, Fold(lanes=2)),
    "nothing to compare": (MaxPool.tiled(1, 1), (2, 3, 2), NUMBER, Fold(lanes=1)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    op, shape, dtype, fold = CASES[case]
    check_op(op, [TensorType.full(*shape, dtype)], fold, lambda x: naive(x, op))


SIDES = st.tuples(st.integers(1, 8), st.integers(1, 8))


@given(st.integers(0, 1 << 20), SIDES, st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(0, 1), st.data())
def test_golden_equals_loops(
    seed: int, size: tuple[int, int], stride: tuple[int, int], overlap: int, data: st.DataObject
) -> None:
    x = np.random.default_rng(seed).integers(-100, 100, (2, *size, 3))
    top, left, bottom, right = (data.draw(st.integers(0, step - 1)) for step in stride * 2)
    kernel = (stride[0] + overlap, stride[1] + overlap)
    assume(size[0] + top + bottom >= kernel[0] and size[1] + left + right >= kernel[1])
    op = MaxPool(kernel, stride, (top, left, bottom, right))
    want = naive(x, op)
    np.testing.assert_array_equal(op.golden(x), want)
    assert op.infer(TensorType.full(*size, 3, NUMBER)).shape == want.shape[1:]


def test_a_pool_of_the_whole_image_grows_with_it() -> None:
    small, large = TensorType.full(3, 4, 2, NUMBER), TensorType.full(6, 5, 2, NUMBER)
    assert MaxPool.tiled(3, 4).resized(small, large, 2) == MaxPool.tiled(6, 5)
    assert MaxPool.tiled(3, 2).resized(small, large, 2) == MaxPool.tiled(3, 2)
    assert MaxPool().resized(TensorType.full(3, 3, 2, NUMBER), large, 2) == MaxPool()


def test_what_it_is_in_words() -> None:
    assert [MaxPool().summary(), MaxPool.tiled(2, 3).summary()] == ["3x3, stride 2", "2x3"]
    assert MaxPool((2, 3), (1, 2), (0, 1, 0, 0)).summary() == "2x3, stride 1x2, pads [0, 1, 0, 0]"


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (
            MaxPool((3, 3), (1, 1)),
            "max_pool: kernel 3x3, stride 1x1, pads [1, 1, 1, 1]; supported are strides of the kernel's",
        ),
        (MaxPool((2, 2), (2, 2), (0, 0, 2, 0)), "max_pool: kernel 2x2, stride 2x2, pads [0, 0, 2, 0]; supported"),
        (MaxPool(pads=(0, 2, 0, 0)), "max_pool: kernel 3x3, stride 2x2, pads [0, 2, 0, 0]; supported"),
        (MaxPool((2, 2), (2, 1), UNPADDED), "max_pool: kernel 2x2, stride 2x1, pads [0, 0, 0, 0]; supported"),
        (MaxPool.tiled(4, 6), "max_pool: a 4x6 window does not fit 5x4"),
    ],
)
def test_messages_name_the_limits(op: MaxPool, message: str) -> None:
    with pytest.raises(BirealError) as error:
        op.infer(TensorType.full(5, 4, 1, NUMBER))
    assert str(error.value).startswith(message)
