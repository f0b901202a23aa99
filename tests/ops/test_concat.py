"""Concat of two streams: channels behind each other, whatever their widths and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType
from bireal_hw.ops import Concat
from tests.conformance import check_op


def naive(a: Array, b: Array) -> Array:
    channels = a.shape[-1] + b.shape[-1]
    out = np.empty((*a.shape[:-1], channels), np.int64)
    for channel in range(channels):
        out[..., channel] = a[..., channel] if channel < a.shape[-1] else b[..., channel - a.shape[-1]]
    return out


CASES = {
    "smallest": ((1, 1), (1, 1), (2, 2), Fold(lanes=1)),
    "narrow first": ((3, 4), (4, 16), (16, 16), Fold(lanes=2)),
    "wide first": ((2, 3), (24, 8), (9, 12), Fold(lanes=1)),
    "the first has more bits": ((4, 2), (3, 3), (12, 4), Fold(lanes=1)),
    "as many as there are": ((2, 2), (8, 12), (5, 6), Fold(lanes=12)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    size, channels, widths, fold = CASES[case]
    types = [
        TensorType.full(*size, count, DataType(width, frac=3)) for count, width in zip(channels, widths, strict=True)
    ]
    check_op(Concat(), types, fold, naive)


@pytest.mark.parametrize(("lanes", "cycles"), [(1, 32 + 8), (2, 16 + 4), (4, 8 + 2), (8, 4 + 1), (16, 4 + 1)])
def test_it_is_no_slower_than_the_second_stream_where_channels_allow_it(lanes: int, cycles: int) -> None:
    """Of a pixel of 16 and 64 channels, the second in beats of so many lanes."""
    a, b = (TensorType.full(1, 1, channels, DataType(16, frac=6)) for channels in (16, 64))
    assert Concat().cost(Fold(lanes=lanes), a, b).cycles == cycles
    assert cycles <= 64 // lanes or lanes == 16


def test_the_range_holds_both() -> None:
    a = TensorType(1, 1, 2, DataType(12, frac=6), -900, 5)
    b = TensorType(1, 1, 3, DataType(9, frac=6), -7, 200)
    assert Concat().infer(a, b) == TensorType(1, 1, 5, DataType(12, frac=6), -900, 200)
    assert Concat().infer(b, a) == TensorType(1, 1, 5, DataType(12, frac=6), -900, 200)
    other = TensorType(1, 1, 3, DataType(9, frac=4), -7, 200)
    assert Concat().infer(a, other) == TensorType(1, 1, 5, DataType(12, frac=6), -900, 200)


STREAM = TensorType.full(2, 3, 4, DataType(8, frac=3))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (TensorType.full(3, 2, 4, DataType(8, frac=3)), "concat: the inputs are (2, 3, 4) and (3, 2, 4)"),
        (TensorType.full(2, 3, 4, BIPOLAR), "concat: an input is bit; it takes signed numbers"),
        (TensorType.full(2, 3, 4, PIXEL), "concat: an input is u8.0; it takes signed numbers"),
    ],
)
def test_what_does_not_go_together_is_named(other: TensorType, message: str) -> None:
    with pytest.raises(BirealError) as error:
        Concat().infer(STREAM, other)
    assert str(error.value) == message
