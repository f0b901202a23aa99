"""Rescale: one or two linear pieces for each channel in exact integers, rounded and clipped once."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import Rescale
from tests.conformance import check_op


def naive(x: Array, op: Rescale) -> Array:
    out = np.zeros(x.shape, int)
    for index in np.ndindex(*x.shape):
        c, value = index[-1], int(x[index])
        gain, bias = int(op.gain[c]), int(op.bias[c])
        if op.knee is not None and value < op.knee[c]:
            assert op.gain_below is not None
            assert op.bias_below is not None
            gain, bias = int(op.gain_below[c]), int(op.bias_below[c])
        y = floor(Fraction(gain * value + bias, 1 << op.shift))
        y = min(max(y, op.dtype.low), op.dtype.high)
        y = y if op.low is None else max(y, op.low)
        out[index] = y if op.high is None else min(y, op.high)
    return out


def layer(
    channels: int, width: int, shift: int, gain: int, bias: int, knee: int = 0, seed: int = 5, **limits: Any
) -> Rescale:
    """Random constants up to these sizes, both ends among them; two pieces where a knee is given."""
    rng = np.random.default_rng(seed)

    def numbers(limit: int) -> Array:
        drawn = rng.integers(-limit, limit, channels, endpoint=True)
        drawn[rng.integers(channels)] = limit
        return drawn

    below: dict[str, Any] = {}
    if knee:
        below = {"knee": numbers(knee), "gain_below": numbers(gain), "bias_below": numbers(bias)}
    return Rescale(numbers(gain), numbers(bias), shift, DataType(width, frac=6), **below, **limits)


def prelu(channels: int) -> Rescale:
    """Slope 1/4 below 0, as a PReLU behind a BatchNorm is: the pieces meet at the knee."""
    gain = np.arange(1, channels + 1) * 16
    knee = np.arange(channels) - 3
    bias = 8 - gain * knee
    below = gain // 4
    return Rescale(gain, bias, 4, DataType(12), knee, below, 8 - below * knee)


CASES = {
    "one channel": ((1, 1, 1), 8, layer(1, 16, 0, 3, 9), Fold(lanes=1)),
    "one multiplier for 16 channels": ((4, 5, 16), 16, layer(16, 16, 6, 2000, 90_000), Fold(lanes=1)),
    "8-bit output saturates": ((4, 4, 6), 10, layer(6, 8, 2, 60, 500), Fold(lanes=3)),
    "relu": ((3, 4, 4), 12, layer(4, 10, 5, 300, 4000, low=0), Fold(lanes=2)),
    "hardtanh": ((3, 4, 4), 12, layer(4, 10, 5, 300, 4000, low=-37, high=41), Fold(lanes=4)),
    "only one value is left": ((2, 2, 2), 8, layer(2, 10, 3, 300, 4000, low=5, high=5), Fold(lanes=1)),
    "two pieces": ((4, 5, 6), 12, layer(6, 14, 4, 700, 9000, knee=900), Fold(lanes=3)),
    "two pieces, limits": ((4, 3, 4), 12, layer(4, 14, 6, 700, 9000, knee=2000, low=-300, high=900), Fold(lanes=1)),
    "prelu": ((3, 3, 8), 6, prelu(8), Fold(lanes=2)),
    "knees beyond the input": ((2, 3, 4), 6, layer(4, 12, 3, 90, 900, knee=90), Fold(lanes=2)),
    "widest": ((3, 4, 4), 25, layer(4, 31, 14, (1 << 15) - 1, 1 << 45, knee=1 << 24), Fold(lanes=2)),
    "narrowest": ((4, 4, 2), 2, layer(2, 2, 0, 1, 1, knee=1), Fold(lanes=2)),
    "shifted out": ((2, 3, 2), 9, layer(2, 8, 30, 900, 1 << 36), Fold(lanes=1)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, width, op, fold = CASES[case]
    check_op(op, [TensorType.full(*shape, DataType(width))], fold, lambda x: naive(x, op))


@given(st.integers(0, 1 << 20), st.integers(0, 6), st.sampled_from([0, 2, 40]), st.integers(-9, 9), st.integers(0, 20))
def test_the_range_is_exactly_that_of_all_inputs(seed: int, shift: int, knee: int, low: int, more: int) -> None:
    op = layer(1, 9, shift, 9, 60, knee, seed)
    x = TensorType(1, 1, 1, DataType(6), low, low + more)
    for one in (op, replace(op, low=-20), replace(op, low=-3, high=17)):
        every = one.golden(np.arange(x.low, x.high + 1).reshape(-1, 1, 1, 1))
        out = one.infer(x)
        assert (out.low, out.high) == (every.min(), every.max())


def test_another_number_of_channels_repeats_the_constants() -> None:
    op, x = layer(3, 9, 2, 9, 60, 5), TensorType.full(2, 2, 3, DataType(8))
    for one in (op, layer(3, 9, 2, 9, 60)):
        more = one.resized(x, replace(x, channels=5), 5)
        values = np.arange(-8, 7).reshape(1, 1, 5, 3)
        both = np.concatenate([values, values[..., :2]], axis=-1)
        np.testing.assert_array_equal(more.golden(both)[..., :3], one.golden(values))


def test_messages_name_the_limits() -> None:
    op, two = layer(3, 10, 2, 9, 60), layer(3, 10, 2, 9, 60, 5)
    x = TensorType.full(2, 2, 3, DataType(8))
    for one, tensor, message in [
        (op, replace(x, channels=4), "rescale: 3 values of gain for 4 channels"),
        (
            op,
            TensorType.full(2, 2, 3, BIPOLAR),
            "rescale: input is bit; signed numbers of at most 25 bits are supported",
        ),
        (op, TensorType.full(2, 2, 3, DataType(26)), "rescale: input is s26.0; signed numbers of at most 25 bits"),
        (replace(op, dtype=DataType(8, signed=False)), x, "rescale: output is u8.0; signed numbers of at most 31 bits"),
        (replace(op, shift=-1), x, "rescale: shift=-1 must be 0 or more"),
        (replace(op, gain=op.gain << 14), x, "rescale: a gain needs 19 bits; 16 are supported"),
        (replace(op, bias=op.bias.astype(np.int64) << 41), x, "rescale: gain*x + bias needs 48 bits; 47 are supported"),
        (replace(op, knee=two.knee), x, "rescale: knee without the rest of knee, gain_below, bias_below"),
        (replace(two, knee=np.zeros(2, np.int32)), x, "rescale: 2 values of knee for 3 channels"),
        (replace(op, low=4, high=3), x, "rescale: no s10.6 lies in low=4..high=3; the format is -512..511"),
        (replace(op, low=600), x, "rescale: no s10.6 lies in low=600..high=None; the format is -512..511"),
    ]:
        with pytest.raises(BirealError) as error:
            one.infer(tensor)
        assert str(error.value).startswith(message)
