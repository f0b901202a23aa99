"""Merge: the affine in exact integers, the shortcut added, saturated once."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import DataType, TensorType, ranged
from bireal_hw.ops import Merge
from tests.conformance import check_op


def naive(r: Array, dot: Array, op: Merge) -> Array:
    out = np.zeros(r.shape, int)
    for index in np.ndindex(*r.shape):
        c = index[-1]
        u = int(r[index]) + floor(Fraction(int(op.gain[c]) * int(dot[index]) + int(op.bias[c]), 1 << op.shift))
        if op.slope is not None and u < 0:
            u = floor(Fraction(u, 1 << int(op.slope[c])) + Fraction(1, 2))
        out[index] = min(max(u, op.dtype.low), op.dtype.high)
    return out


def layer(channels: int, width: int, shift: int, gain: int, seed: int = 2) -> Merge:
    rng = np.random.default_rng(seed)
    return Merge(
        rng.integers(-gain, gain + 1, channels).astype(np.int32),
        rng.integers(-(gain << 3), (gain << 3) + 1, channels).astype(np.int32),
        shift,
        DataType(width, frac=6),
    )


def prelu(op: Merge, slopes: list[int]) -> Merge:
    return replace(op, slope=np.resize(np.array(slopes, np.int32), len(op.gain)))


def types(shape: tuple[int, int, int], k: int, r: DataType) -> list[TensorType]:
    return [TensorType.full(*shape, r), TensorType(*shape, ranged(-k, k, 0), -k, k)]


W16, W20 = DataType(16, frac=6), DataType(20, frac=6)
CASES = {
    "smallest": ((1, 1, 1), 1, W16, layer(1, 16, 0, 3), Fold(lanes=1)),
    "one multiplier for 16 channels": ((4, 5, 16), 144, W16, layer(16, 16, 6, 2000), Fold(lanes=1)),
    "three lanes of six": ((3, 3, 6), 27, W16, layer(6, 16, 4, 300), Fold(lanes=3)),
    "unsaturated branch as shortcut": ((2, 3, 8), 72, W20, layer(8, 16, 8, 20000), Fold(lanes=4)),
    "PReLU, every slope": ((3, 4, 8), 72, W16, prelu(layer(8, 16, 6, 900), list(range(8))), Fold(lanes=2)),
    "PReLU, slopes 1 and 1/2": ((2, 3, 4), 36, W16, prelu(layer(4, 16, 4, 300), [0, 1]), Fold(lanes=1)),
    "PReLU, narrow sums": ((2, 3, 2), 1, DataType(3, frac=6), prelu(layer(2, 3, 0, 1), [7, 3]), Fold(lanes=2)),
    "PReLU, 8-bit stream saturates": (
        (4, 4, 4),
        36,
        DataType(8, frac=6),
        prelu(layer(4, 8, 2, 60), [2, 0, 1, 1]),
        Fold(lanes=4),
    ),
    "8-bit stream saturates": ((4, 4, 4), 36, DataType(8, frac=6), layer(4, 8, 2, 60), Fold(lanes=4)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, k, r, op, fold = CASES[case]
    check_op(op, types(shape, k, r), fold, lambda r, dot: naive(r, dot, op))


@given(st.integers(0, 1 << 20), st.integers(0, 12), st.integers(8, 16), st.none() | st.lists(st.integers(0, 7)))
def test_golden_equals_fractions(seed: int, shift: int, width: int, slopes: list[int] | None) -> None:
    op = layer(5, width, shift, 1500, seed)
    op = prelu(op, slopes) if slopes else op
    rng = np.random.default_rng(seed)
    r = rng.integers(op.dtype.low, op.dtype.high + 1, (1, 2, 2, 5))
    dot = rng.integers(-4608, 4609, (1, 2, 2, 5))
    np.testing.assert_array_equal(op.golden(r, dot), naive(r, dot, op))


def test_sum_that_lands_on_each_end_is_kept_and_one_beyond_saturates() -> None:
    op = Merge(np.array([1], np.int32), np.array([0], np.int32), 0, DataType(8))
    r = np.array([120, 120, -120, -120]).reshape(1, 1, 4, 1)
    dot = np.array([7, 8, -8, -9]).reshape(1, 1, 4, 1)
    assert op.golden(r, dot).ravel().tolist() == [127, 127, -128, -128]


def test_messages_name_the_limits() -> None:
    shape = (2, 2, 4)
    wide = Merge(np.full(4, 1 << 15, np.int32), np.zeros(4, np.int32), 0, W16)
    for call, message in [
        (lambda: wide.infer(*types(shape, 36, W16)), "merge: a gain needs more than 16 bits"),
        (
            lambda: layer(4, 16, 2, 9).infer(*types(shape, 36, DataType(16, frac=5))),
            "merge: shortcut has frac 5, stream 6",
        ),
        (
            lambda: prelu(layer(4, 16, 2, 9), [8]).infer(*types(shape, 36, W16)),
            "merge: slopes 2^-k have k from 8 to 8; 0..7",
        ),
        (lambda: layer(3, 16, 2, 9).infer(*types(shape, 36, W16)), "merge: 3 gains for 4 channels"),
    ]:
        with pytest.raises(BirealError) as error:
            call()
        assert str(error.value) == message
