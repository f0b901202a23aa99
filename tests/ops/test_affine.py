"""Affine: BatchNorm in exact integers where no shortcut is added, saturated once."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import DataType, TensorType, ranged
from bireal_hw.ops import Affine
from tests.conformance import check_op


def layer(channels: int, width: int, shift: int, gain: int) -> Affine:
    rng = np.random.default_rng(5)
    return Affine(
        rng.integers(-gain, gain + 1, channels).astype(np.int32),
        rng.integers(-(gain << 3), (gain << 3) + 1, channels).astype(np.int32),
        shift,
        DataType(width, frac=6),
    )


def naive(dot: Array, op: Affine) -> Array:
    out = np.zeros(dot.shape, int)
    for index in np.ndindex(*dot.shape):
        c = index[-1]
        t = floor(Fraction(int(op.gain[c]) * int(dot[index]) + int(op.bias[c]), 1 << op.shift))
        out[index] = min(max(t, op.dtype.low), op.dtype.high)
    return out


def sums(shape: tuple[int, int, int], k: int) -> TensorType:
    return TensorType(*shape, ranged(-k, k, 0), -k, k)


CASES = {
    "smallest": ((1, 1, 1), 1, layer(1, 16, 0, 3), Fold(lanes=1)),
    "one multiplier for 16 channels": ((4, 5, 16), 144, layer(16, 16, 6, 2000), Fold(lanes=1)),
    "8-bit output saturates": ((4, 4, 6), 36, layer(6, 8, 2, 60), Fold(lanes=3)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, k, op, fold = CASES[case]
    check_op(op, [sums(shape, k)], fold, lambda dot: naive(dot, op))


def test_messages_name_the_limits() -> None:
    for op, message in [
        (layer(3, 16, 2, 9), "affine: 3 gains for 4 channels"),
        (layer(4, 16, -1, 9), "affine: shift=-1 must be 0 or more"),
        (layer(4, 16, 2, 1 << 20), "affine: a gain needs more than 16 bits"),
    ]:
        with pytest.raises(BirealError) as error:
            op.infer(sums((2, 2, 4), 36))
        assert str(error.value) == message
