"""Flatten: the numbers of an image in the order of the stream, as one pixel."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import Flatten
from tests.conformance import check_op


def naive(x: Array) -> Array:
    frames, height, width, channels = x.shape
    out = np.zeros((frames, 1, 1, height * width * channels), int)
    for n, row, column, c in np.ndindex(*x.shape):
        out[n, 0, 0, (row * width + column) * channels + c] = x[n, row, column, c]
    return out


CASES = {
    "one number": (TensorType.full(1, 1, 1, DataType(8)), Fold(lanes=1)),
    "not square, folded": (TensorType.full(3, 4, 6, DataType(12)), Fold(lanes=2)),
    "bits, all channels in a beat": (TensorType.full(4, 3, 5, BIPOLAR), Fold(lanes=5)),
    "one pixel": (TensorType.full(1, 1, 24, DataType(16)), Fold(lanes=4)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    x, fold = CASES[case]
    check_op(Flatten(), [x], fold, naive)


def test_shape_and_range() -> None:
    out = Flatten().infer(TensorType(3, 5, 4, DataType(8), -7, 9))
    assert out == TensorType(1, 1, 60, DataType(8), -7, 9)
