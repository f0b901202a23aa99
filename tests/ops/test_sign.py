"""Sign: +1 at zero and above."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import DataType, TensorType, ranged
from bireal_hw.ops import Sign
from tests.conformance import check_op


def naive(x: Array) -> Array:
    return np.array([1 if value >= 0 else -1 for value in x.ravel()]).reshape(x.shape)


@pytest.mark.rtl
@pytest.mark.parametrize(("shape", "width", "lanes"), [((1, 1, 1), 8, 1), ((3, 4, 6), 16, 3)])
def test_naive_golden_and_rtl_agree(shape: tuple[int, int, int], width: int, lanes: int) -> None:
    check_op(Sign(), [TensorType.full(*shape, DataType(width))], Fold(lanes=lanes), naive)


def thresholds(channels: int, width: int) -> Array:
    """Both ends of the input's range and one beyond it, 0, and numbers between."""
    edges = [-(1 << (width - 1)), (1 << (width - 1)) - 1, 1 << (width - 1), 0]
    drawn = np.random.default_rng(3).integers(-20, 20, channels)
    return np.array([*edges, *drawn])[:channels].astype(np.int32)


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("shape", "width", "lanes"), [((1, 1, 1), 2, 1), ((3, 4, 6), 8, 3), ((2, 3, 8), 12, 8), ((2, 5, 5), 6, 1)]
)
def test_thresholds_agree(shape: tuple[int, int, int], width: int, lanes: int) -> None:
    op = Sign(thresholds(shape[2], width))

    def compare(x: Array) -> Array:
        assert op.threshold is not None
        return np.array([[1 if v >= t else -1 for v, t in zip(pixel, op.threshold, strict=True)]
                         for pixel in x.reshape(-1, shape[2])]).reshape(x.shape)  # fmt: skip

    check_op(op, [TensorType.full(*shape, DataType(width))], Fold(lanes=lanes), compare)


@pytest.mark.rtl
def test_thresholds_on_the_sums_of_a_convolution_agree() -> None:
    """A BatchNorm between two binary convolutions; sums of 27 products are odd, the ends of their range among them."""
    op = Sign(np.array([-27, 27, 28, 0, -3, 1], np.int32))
    sums = TensorType(3, 4, 6, ranged(-27, 27, 0), -27, 27)

    def compare(x: Array) -> Array:
        assert op.threshold is not None
        return np.array([1 if v >= op.threshold[i % 6] else -1 for i, v in enumerate(x.ravel())]).reshape(x.shape)

    check_op(op, [sums], Fold(lanes=2), compare)


def test_thresholds_count_is_named() -> None:
    with pytest.raises(BirealError) as error:
        Sign(np.zeros(3, np.int32)).infer(TensorType.full(2, 2, 4, DataType(8)))
    assert str(error.value) == "sign: 3 thresholds for 4 channels"


def test_zero_is_plus_one() -> None:
    assert Sign().golden(np.array([[[[-1, 0, 1]]]])).ravel().tolist() == [-1, 1, 1]
