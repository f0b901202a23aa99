"""Duplication of channels: every pixel's channels once more behind them, no cycle lost, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, PIXEL, DataType, TensorType
from bireal_hw.ops import Duplicate
from tests.conformance import check_op


def naive(x: Array, copies: int) -> Array:
    n, height, width, channels = x.shape
    out = np.empty((n, height, width, copies * channels), x.dtype)
    for channel in range(copies * channels):
        out[..., channel] = x[..., channel % channels]
    return out


STREAM = DataType(16, frac=6)
CASES = {
    "smallest": ((1, 1, 1), STREAM, 2, Fold(lanes=1)),
    "as networks have it, twice the lanes": ((4, 5, 8), STREAM, 2, Fold(lanes=1)),
    "all channels in two beats": ((3, 4, 8), STREAM, 2, Fold(lanes=4)),
    "all channels in a beat": ((3, 4, 4), STREAM, 2, Fold(lanes=4)),
    "an odd number of beats": ((2, 3, 6), DataType(9), 2, Fold(lanes=2)),
    "three copies": ((2, 2, 6), STREAM, 3, Fold(lanes=1)),
    "one copy": ((2, 3, 4), STREAM, 1, Fold(lanes=2)),
    "bits": ((2, 3, 8), BIPOLAR, 2, Fold(lanes=2)),
    "pixels": ((5, 2, 3), PIXEL, 4, Fold(lanes=3)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, dtype, copies, fold = CASES[case]
    check_op(Duplicate(copies), [TensorType.full(*shape, dtype)], fold, lambda x: naive(x, copies), frames=4)


@pytest.mark.parametrize(
    ("channels", "lanes", "copies", "wide"), [(8, 1, 2, 2), (8, 4, 2, 8), (8, 8, 2, 8), (6, 2, 2, 2), (6, 1, 3, 3)]
)
def test_it_takes_as_many_cycles_as_its_input_where_the_channels_allow_it(
    channels: int, lanes: int, copies: int, wide: int
) -> None:
    x, op = TensorType.full(3, 4, channels, STREAM), Duplicate(copies)
    (port,), output = op.rtl_ports(Fold(lanes=lanes), x)
    assert port.lanes == output.lanes == wide
    assert op.cost(Fold(lanes=lanes), x).cycles == x.beats(lanes) * (1 if wide > lanes else copies)


def test_no_copies_are_refused() -> None:
    with pytest.raises(BirealError) as error:
        Duplicate(0).infer(TensorType.full(2, 2, 4, STREAM))
    assert str(error.value) == "duplicate: copies=0 must be 1 or more"
