"""Upsampling: every pixel repeated, no cycle lost between rows or frames, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType
from bireal_hw.ops import Upsample
from tests.conformance import check_op


def naive(x: Array, factor: int) -> Array:
    n, height, width, channels = x.shape
    out = np.empty((n, height * factor, width * factor, channels), x.dtype)
    for row in range(height * factor):
        for column in range(width * factor):
            out[:, row, column] = x[:, row // factor, column // factor]
    return out


STREAM = DataType(16, frac=6)
CASES = {
    "smallest": ((1, 1, 1), STREAM, 2, Fold(lanes=1)),
    "one pixel wide, several beats": ((3, 1, 4), STREAM, 2, Fold(lanes=2)),
    "one beat a pixel": ((3, 4, 2), STREAM, 2, Fold(lanes=2)),
    "several beats a pixel": ((4, 5, 6), STREAM, 2, Fold(lanes=2)),
    "factor 3": ((2, 3, 3), STREAM, 3, Fold(lanes=1)),
    "factor 4, bits": ((2, 2, 8), BIPOLAR, 4, Fold(lanes=4)),
    "pixels": ((2, 5, 3), PIXEL, 2, Fold(lanes=3)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, dtype, factor, fold = CASES[case]
    check_op(Upsample(factor), [TensorType.full(*shape, dtype)], fold, lambda x: naive(x, factor), frames=4)


def test_a_factor_below_2_is_refused() -> None:
    with pytest.raises(BirealError) as error:
        Upsample(1).infer(TensorType.full(2, 2, 4, STREAM))
    assert str(error.value) == "upsample: factor=1 must be 2 or more"
