"""Sign: +1 at zero and above."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import Sign
from tests.conformance import check_op


def naive(x: Array) -> Array:
    return np.array([1 if value >= 0 else -1 for value in x.ravel()]).reshape(x.shape)


@pytest.mark.rtl
@pytest.mark.parametrize(("shape", "width", "lanes"), [((1, 1, 1), 8, 1), ((3, 4, 6), 16, 3)])
def test_naive_golden_and_rtl_agree(shape: tuple[int, int, int], width: int, lanes: int) -> None:
    check_op(Sign(), [TensorType.full(*shape, DataType(width))], Fold(lanes=lanes), naive)


def test_zero_is_plus_one() -> None:
    assert Sign().golden(np.array([[[[-1, 0, 1]]]])).ravel().tolist() == [-1, 1, 1]
