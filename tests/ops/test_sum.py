"""Sum of two streams: saturated, on a common grid, whatever the widths of its inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import Sum
from tests.conformance import check_op


def naive(a: Array, b: Array, width: int) -> Array:
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    sums = [min(max(int(x) + int(y), low), high) for x, y in zip(a.ravel(), b.ravel(), strict=True)]
    return np.array(sums).reshape(a.shape)


CASES = {
    "smallest": ((1, 1, 1), (2, 2, 2), Fold(lanes=1)),
    "as networks have it": ((4, 5, 6), (16, 16, 16), Fold(lanes=2)),
    "unlike widths": ((2, 3, 4), (9, 20, 12), Fold(lanes=4)),
    "wide enough to hold every sum": ((3, 2, 8), (8, 8, 9), Fold(lanes=8)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, (a, b, out), fold = CASES[case]
    types = [TensorType.full(*shape, DataType(width, frac=3)) for width in (a, b)]
    check_op(Sum(DataType(out, frac=3)), types, fold, lambda x, y: naive(x, y, out))


@given(st.integers(2, 16), st.integers(2, 16), st.integers(2, 16), st.data())
def test_golden_stays_in_the_inferred_range(a: int, b: int, out: int, data: st.DataObject) -> None:
    types = [TensorType.full(1, 1, 4, DataType(width)) for width in (a, b)]
    x, y = (
        np.array(data.draw(st.lists(st.integers(t.low, t.high), min_size=4, max_size=4))).reshape(1, 1, 1, 4)
        for t in types
    )
    op = Sum(DataType(out))
    total, inferred = op.golden(x, y), op.infer(*types)
    np.testing.assert_array_equal(total, naive(x, y, out))
    assert inferred.low <= total.min()
    assert total.max() <= inferred.high


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 2, 4), (2, 2, 3), "sum: the inputs are (2, 2, 4) and (2, 2, 3)"),
        ((2, 2, 4), (2, 2, 4), "sum: an input has frac 2, the sum 3"),
    ],
)
def test_what_cannot_be_added_is_named(a: tuple[int, int, int], b: tuple[int, int, int], message: str) -> None:
    left, right = TensorType.full(*a, DataType(8, frac=3)), TensorType.full(*b, DataType(8, frac=2))
    with pytest.raises(BirealError) as error:
        Sum(DataType(8, frac=3)).infer(left, right)
    assert str(error.value) == message


def test_bits_are_no_addends() -> None:
    x = TensorType.full(2, 2, 4, BIPOLAR)
    with pytest.raises(BirealError) as error:
        Sum(DataType(8, frac=0)).infer(x, x)
    assert str(error.value) == "sum: an input is bit; signed numbers are supported"
