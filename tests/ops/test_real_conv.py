"""Real-valued convolution: plain integer loops, shift per channel, saturation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold, Pads, both_ends
from bireal_hw.ir.types import DataType, TensorType
from bireal_hw.ops import RealConv
from tests.conformance import check_op


def naive(x: Array, op: RealConv) -> Array:
    frames, height, width, _ = x.shape
    cout, kernel, _, _ = op.weights.shape
    top, left, bottom, right = op.pads
    rows = range(0, height + top + bottom - kernel + 1, op.stride)
    columns = range(0, width + left + right - kernel + 1, op.stride)
    out = np.zeros((frames, len(rows), len(columns), cout), int)
    for n, oy, ox, o in np.ndindex(*out.shape):
        total = int(op.bias[o])
        for ky, kx in np.ndindex(kernel, kernel):
            iy, ix = rows[oy] + ky - top, columns[ox] + kx - left
            if 0 <= iy < height and 0 <= ix < width:
                total += int(op.weights[o, ky, kx].astype(int) @ x[n, iy, ix].astype(int))
        shift = int(op.shift[o])
        total = total >> shift if shift >= 0 else total << -shift
        out[n, oy, ox, o] = min(max(total, op.dtype.low), op.dtype.high)
    return out


def layer(
    cout: int, kernel: int, cin: int, width: int, shifts: tuple[int, int], seed: int = 3, **conv: Any
) -> RealConv:
    rng = np.random.default_rng(seed)
    return RealConv(
        rng.integers(-127, 128, (cout, kernel, kernel, cin)).astype(np.int32),
        rng.integers(-5000, 5001, cout).astype(np.int32),
        rng.integers(shifts[0], shifts[1] + 1, cout).astype(np.int32),
        DataType(width, frac=4),
        **conv,
    )


CASES = {
    "smallest": ((1, 1, 1), layer(1, 1, 1, 16, (0, 0)), Fold(1, 1)),
    "3x3 over one pixel": ((1, 1, 1), layer(1, 3, 1, 16, (0, 0), pads=(1,) * 4), Fold(1, 1)),
    "stem 3x3, one channel": ((6, 8, 1), layer(4, 3, 1, 12, (2, 6), pads=(1,) * 4), Fold(2, 1, pack=2)),
    "stem 3x3, RGB, a row of taps a cycle": ((5, 6, 3), layer(6, 3, 3, 10, (4, 9), pads=(1,) * 4), Fold(3, 9, pack=2)),
    "stem 7x7 stride 2": ((12, 8, 3), layer(4, 7, 3, 16, (3, 8), stride=2, pads=(3,) * 4), Fold(2, 3)),
    "stem 7x7 stride 2, wide": ((10, 14, 3), layer(8, 7, 3, 16, (3, 8), stride=2, pads=(3,) * 4), Fold(8, 21)),
    "stem 7x7, 7 of 21": ((8, 8, 3), layer(4, 7, 3, 14, (0, 3), stride=2, pads=(3,) * 4), Fold(4, 7)),
    "shortcut 1x1, left shifts": ((4, 3, 8), layer(12, 1, 8, 20, (-3, 2)), Fold(4, 4, pack=2)),
    "1x1 fully parallel": ((3, 3, 4), layer(4, 1, 4, 8, (5, 7)), Fold(4, 4)),
    "1x1, more channels than a word holds": ((3, 3, 1024), layer(4, 1, 1024, 8, (8, 11), stride=2), Fold(2, 8)),
    "classifier": ((1, 1, 24), layer(10, 1, 24, 22, (0, 0)), Fold(5, 8, pack=2)),
    "a dense memory of weights": ((2, 3, 3), layer(128, 3, 3, 12, (2, 8), pads=(1,) * 4), Fold(2, 3, pack=2)),
    "5x5, stride 3": ((8, 7, 2), layer(2, 5, 2, 14, (1, 6), stride=3, pads=(2,) * 4), Fold(2, 5)),
    "2x2, padding at the end": ((4, 5, 3), layer(4, 2, 3, 12, (1, 6), pads=(0, 0, 1, 1)), Fold(2, 3, pack=2)),
    "padding above and left": ((4, 5, 2), layer(2, 3, 2, 12, (1, 6), pads=(2, 2, 0, 0)), Fold(1, 6)),
    "padding above and left, stride 2": (
        (5, 6, 1),
        layer(2, 3, 1, 12, (1, 6), stride=2, pads=(2, 2, 0, 0)),
        Fold(1, 1),
    ),
    "padding below and right": ((5, 4, 2), layer(2, 3, 2, 12, (1, 6), pads=(0, 0, 2, 2)), Fold(2, 2)),
    "four different pads": ((5, 6, 1), layer(3, 5, 1, 12, (1, 6), stride=2, pads=(3, 0, 1, 4)), Fold(1, 5)),
    "9-bit input": ((4, 4, 3), layer(4, 3, 3, 11, (2, 8), pads=(1,) * 4), Fold(4, 3, pack=2)),
    "more padding than image": ((3, 2, 1), layer(4, 5, 1, 12, (1, 6), pads=(1, 0, 3, 4)), Fold(1, 5)),
    "more padding than image, two beats": ((3, 3, 2), layer(4, 7, 2, 12, (1, 6), pads=(1, 0, 3, 5)), Fold(1, 7)),
    "10-bit input": ((4, 3, 2), layer(3, 3, 2, 11, (2, 8), pads=(1,) * 4), Fold(3, 2, pack=2)),
    "2-bit input": ((4, 3, 3), layer(4, 3, 3, 9, (0, 3), pads=(1,) * 4), Fold(4, 3, pack=2)),
    "4-bit input": ((2, 3, 4), layer(4, 1, 4, 8, (0, 3)), Fold(2, 2)),
    "16-bit input": ((5, 4, 3), layer(4, 3, 3, 14, (6, 12), pads=(1,) * 4), Fold(2, 9)),
    "16-bit input, 1x1": ((3, 3, 8), layer(6, 1, 8, 20, (4, 9)), Fold(3, 4)),
    "16-bit input, logits": ((1, 1, 64), layer(10, 1, 64, 31, (0, 0)), Fold(5, 16)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, op, fold = CASES[case]
    width = int(case.split("-bit")[0]) if "-bit" in case else 8
    dtype = DataType(width, frac=7)
    check_op(op, [TensorType.full(*shape, dtype)], fold, lambda x: naive(x, op))


@given(
    st.integers(0, 1 << 20),
    st.sampled_from([1, 3]),
    st.integers(1, 2),
    st.tuples(*[st.integers(0, 2)] * 4),
    st.sampled_from([2, 8, 16]),
)
def test_golden_equals_loops_and_stays_in_the_inferred_range(
    seed: int, kernel: int, stride: int, pads: Pads, bits: int
) -> None:
    assume(max(both_ends(pads)) < kernel)
    op = layer(3, kernel, 2, 10, (-2, 8), seed, stride=stride, pads=pads)
    dtype = DataType(bits)
    x = np.random.default_rng(seed).integers(dtype.low, dtype.high + 1, (2, 4, 3, 2))
    y = op.golden(x)
    np.testing.assert_array_equal(y, naive(x, op))
    out = op.infer(TensorType.full(4, 3, 2, dtype))
    assert out.low <= y.min()
    assert y.max() <= out.high


def test_range_is_reached_exactly() -> None:
    """The input that follows the signs of one channel's weights reaches the ends that infer gives."""
    op = RealConv(
        np.array([[[[127, -127]]], [[[5, 5]]]], np.int32),
        np.array([9, 0], np.int32),
        np.zeros(2, np.int32),
        DataType(24),
    )
    out = op.infer(TensorType.full(1, 1, 2, DataType(8)))
    assert out.high == int(op.golden(np.array([[[[127, -128]]]])).max()) == 127 * 127 + 127 * 128 + 9
    assert out.low == int(op.golden(np.array([[[[-128, 127]]]])).min()) == -(128 * 127 + 127 * 127) + 9


@pytest.mark.parametrize("pe", [2, 3, 6])
def test_two_lanes_hold_both_halves_of_a_number(pe: int) -> None:
    """w1 * 2^8 + w0, put together again from the memory's bytes; a last lane without a neighbour holds its weight."""
    op = layer(6, 1, 4, 16, (0, 0))
    (source,) = types = (TensorType.full(1, 1, 4, DataType(8)),)
    words = op.rtl(Fold(pe, 2, pack=2), source).memories["WeightFile"].words
    plain = op.rtl(Fold(pe, 2), *types).memories["WeightFile"].words
    packed, single = (
        np.array([list(word.to_bytes(2 * pe, "little")) for word in some], np.uint8).reshape(len(some), pe, 2)
        for some in (words, plain)
    )
    weights, even = single.view(np.int8).astype(int), pe - pe % 2
    numbers = packed[:, 1:even:2].view(np.int8).astype(int) * 256 + packed[:, 0:even:2]
    np.testing.assert_array_equal(numbers, weights[:, 1:even:2] * 256 + weights[:, 0:even:2])
    np.testing.assert_array_equal(packed[:, even:], single[:, even:])


def test_messages_name_the_limits() -> None:
    op = layer(4, 3, 2, 10, (0, 1), pads=(1,) * 4)
    for call, message in [
        (
            lambda: op.infer(TensorType.full(4, 4, 2, DataType(17))),
            "real_conv: input is s17.0; 2 to 16 bits signed are supported",
        ),
        (
            lambda: op.check_fold(Fold(2, 6, pack=2), TensorType.full(4, 4, 2, DataType(11))),
            "real_conv: pack=2 takes inputs of at most 10 bits, not 11; choose pack=1",
        ),
        (
            lambda: op.check_fold(Fold(1, 4), TensorType.full(4, 4, 2, DataType(8))),
            "real_conv: kernel*in_channels=6 is not a multiple of simd=4; choose simd from 1, 2, 3, 6",
        ),
        (
            lambda: op.check_fold(Fold(1, 6, pack=2), TensorType.full(4, 4, 2, DataType(8))),
            "real_conv: pack=2 is out of range: 1, or 2 where pe is 2 or more",
        ),
    ]:
        with pytest.raises(BirealError) as error:
            call()
        assert str(error.value).startswith(message)
