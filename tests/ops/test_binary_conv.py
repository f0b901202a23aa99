"""Binary convolution: plain loops over -1/+1 with padded taps left out, or holding a border's bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Fold, Pads, both_ends
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import BinaryConv
from tests.conformance import check_op


def naive(x: Array, weights: Array, stride: int, pads: Pads, border: Array | None = None) -> Array:
    frames, height, width, _ = x.shape
    cout, kernel, _, _ = weights.shape
    top_pad, left_pad, bottom_pad, right_pad = pads
    rows = range(0, height + top_pad + bottom_pad - kernel + 1, stride)
    columns = range(0, width + left_pad + right_pad - kernel + 1, stride)
    out = np.zeros((frames, len(rows), len(columns), cout), int)
    for n in range(frames):
        for oy, top in enumerate(rows):
            for ox, left in enumerate(columns):
                for ky in range(kernel):
                    for kx in range(kernel):
                        iy, ix = top + ky - top_pad, left + kx - left_pad
                        if 0 <= iy < height and 0 <= ix < width:
                            out[n, oy, ox] += weights[:, ky, kx].astype(int) @ x[n, iy, ix].astype(int)
                        elif border is not None:
                            out[n, oy, ox] += weights[:, ky, kx].astype(int) @ border
    return out


def random_weights(cout: int, kernel: int, cin: int, seed: int = 5) -> Array:
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (cout, kernel, kernel, cin))


CASES: dict[str, tuple[tuple[int, int, int], int, int, int, int | Pads, Fold]] = {
    "smallest": ((1, 1, 1), 1, 1, 1, 0, Fold(1, 1)),
    "3x3 over one pixel": ((1, 1, 1), 1, 3, 1, 1, Fold(1, 1)),
    "one channel, 3x3": ((4, 5, 1), 1, 3, 1, 1, Fold(1, 1)),
    "fully parallel": ((6, 6, 16), 8, 3, 1, 1, Fold(8, 16)),
    "not square, odd counts": ((5, 7, 6), 10, 3, 1, 1, Fold(5, 3)),
    "stride 2": ((8, 6, 8), 16, 3, 2, 1, Fold(2, 4)),
    "stride 2, odd sides": ((7, 9, 4), 6, 3, 2, 1, Fold(3, 2)),
    "no padding": ((6, 5, 4), 4, 3, 1, 0, Fold(2, 4)),
    "1x1": ((3, 4, 12), 9, 1, 1, 0, Fold(3, 4)),
    "1x1 at one pixel a cycle": ((4, 4, 8), 4, 1, 1, 0, Fold(4, 8)),
    "input is the bottleneck": ((8, 8, 16), 2, 3, 2, 1, Fold(2, 16)),
    "5x5": ((6, 6, 2), 3, 5, 1, 2, Fold(1, 2)),
    "one column": ((5, 1, 4), 4, 3, 1, 1, Fold(2, 4)),
    "a dense memory of weights": ((2, 3, 16), 128, 3, 1, 1, Fold(2, 16)),
    "a dense memory, two beats a tap": ((3, 2, 16), 128, 3, 2, 1, Fold(2, 8)),
    "2x2 image": ((2, 2, 16), 16, 3, 1, 1, Fold(4, 8)),
    "stride 3": ((8, 10, 4), 6, 3, 3, 1, Fold(3, 2)),
    "stride 3, no padding": ((9, 7, 4), 4, 3, 3, 0, Fold(4, 4)),
    "5x5, stride 3": ((9, 8, 4), 4, 5, 3, 2, Fold(2, 4)),
    "7x7": ((8, 9, 2), 2, 7, 1, 3, Fold(2, 2)),
    "7x7 over a small image": ((3, 2, 3), 2, 7, 1, 3, Fold(1, 3)),
    "1x1, stride 3": ((7, 4, 6), 4, 1, 3, 0, Fold(2, 3)),
    "2x2, padding at the end": ((5, 4, 4), 4, 2, 1, (0, 0, 1, 1), Fold(2, 4)),
    "padding above and left": ((4, 6, 4), 4, 3, 1, (2, 2, 0, 0), Fold(2, 2)),
    "padding below and right, stride 2": ((6, 7, 4), 4, 3, 2, (0, 0, 2, 2), Fold(4, 4)),
    "four different pads": ((5, 6, 2), 3, 5, 2, (3, 0, 1, 4), Fold(3, 1)),
    "dense layer of 784 inputs": ((1, 1, 784), 12, 1, 1, 0, Fold(3, 49)),
    "dense layer of 1,024 inputs": ((1, 1, 1024), 10, 1, 1, 0, Fold(5, 128)),
    "dense layer, one input a cycle": ((1, 1, 100), 4, 1, 1, 0, Fold(1, 1)),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", CASES)
def test_naive_golden_and_rtl_agree(case: str) -> None:
    shape, cout, kernel, stride, pad, fold = CASES[case]
    pads = (pad,) * 4 if isinstance(pad, int) else pad
    op = BinaryConv(random_weights(cout, kernel, shape[2]), stride, pads)
    check_op(op, [TensorType.full(*shape, BIPOLAR)], fold, lambda x: naive(x, op.weights, stride, pads))


BOTH = (1, -1, -1)
BORDERED: dict[str, tuple[tuple[int, int, int], int, int, int, Pads, Fold, tuple[int, ...]]] = {
    "one pixel, one channel": ((1, 1, 1), 1, 3, 1, (1, 1, 1, 1), Fold(1, 1), (1,)),
    "of +1": ((4, 5, 6), 4, 3, 1, (1, 1, 1, 1), Fold(2, 2), (1,)),
    "of -1, one beat a tap": ((5, 4, 8), 4, 3, 1, (1, 1, 1, 1), Fold(4, 8), (-1,)),
    "one beat a tap": ((5, 4, 8), 4, 3, 1, (1, 1, 1, 1), Fold(4, 8), BOTH),
    "three beats a tap, stride 2": ((6, 7, 6), 2, 3, 2, (1, 1, 1, 1), Fold(1, 2), BOTH),
    "even sides as TensorFlow pads them": ((6, 8, 4), 4, 3, 2, (0, 0, 1, 1), Fold(2, 2), BOTH),
    "four different pads": ((5, 6, 2), 3, 5, 2, (3, 0, 1, 4), Fold(3, 1), BOTH),
    "5x5 over a small image": ((2, 1, 4), 2, 5, 1, (2, 2, 2, 2), Fold(2, 2), BOTH),
    "odd lanes, input the bottleneck": ((7, 5, 9), 1, 3, 3, (1, 0, 0, 1), Fold(1, 3), BOTH),
    "that nothing reads": ((3, 4, 4), 2, 3, 1, (0, 0, 0, 0), Fold(2, 2), BOTH),
    "words in several entries": ((3, 2, 192), 2, 3, 1, (1, 1, 1, 1), Fold(2, 96), BOTH),
}


@pytest.mark.rtl
@pytest.mark.parametrize("case", BORDERED)
def test_a_border_of_bits(case: str) -> None:
    shape, cout, kernel, stride, pads, fold, bits = BORDERED[case]
    border = np.resize(np.array(bits, np.int8), shape[2])
    op = BinaryConv(random_weights(cout, kernel, shape[2]), stride, pads, border)
    check_op(op, [TensorType.full(*shape, BIPOLAR)], fold, lambda x: naive(x, op.weights, stride, pads, border))


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 70)),
    st.integers(1, 5),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
    st.tuples(*[st.integers(0, 2)] * 4),
    st.booleans(),
    st.integers(0, 1 << 20),
)
def test_golden_equals_loops(
    shape: tuple[int, int, int], cout: int, kernel: int, stride: int, pads: Pads, bordered: bool, seed: int
) -> None:
    rows, columns = both_ends(pads)
    assume(max(rows, columns) < kernel <= min(shape[0] + rows, shape[1] + columns))
    rng = np.random.default_rng(seed)
    x = rng.choice(np.array([-1, 1], np.int8), (2, *shape))
    weights = random_weights(cout, kernel, shape[2], seed)
    border = rng.choice(np.array([-1, 1], np.int8), shape[2]) if bordered else None
    want = naive(x, weights, stride, pads, border)
    np.testing.assert_array_equal(BinaryConv(weights, stride, pads, border).golden(x), want)


@pytest.mark.parametrize("value", [-1, 1])
def test_all_equal_inputs_reach_the_ends_of_the_range(value: int) -> None:
    op = BinaryConv(np.ones((2, 3, 3, 5), np.int8))
    x = np.full((1, 3, 3, 5), value, np.int8)
    dot = op.golden(x)
    assert dot[0, 1, 1].tolist() == [45 * value] * 2
    assert dot[0, 0, 0].tolist() == [20 * value] * 2  # four taps inside: a padded tap is neither -1 nor +1
    out = op.infer(TensorType.full(3, 3, 5, BIPOLAR))
    assert (out.low, out.high, out.dtype.width) == (-45, 45, 7)


def test_messages_name_the_limits() -> None:
    op, ones = BinaryConv(random_weights(4, 3, 6)), np.ones(6, np.int8)
    bits = TensorType.full(4, 4, 6, BIPOLAR)
    for call, message in [
        (lambda: op.infer(TensorType.full(4, 4, 6, DataType(8))), "binary_conv: input is s8.0, not bits"),
        (lambda: op.infer(TensorType.full(4, 4, 5, BIPOLAR)), "binary_conv: weights for 6 channels, input has 5"),
        (lambda: replace(op, border=ones[1:]).infer(bits), "binary_conv: a border of 5 bits for 6 channels"),
        (lambda: replace(op, border=0 * ones).infer(bits), "binary_conv: the bits of a border must be -1 or +1"),
        (
            lambda: replace(op, pads=(1, 2, 1, 1)).infer(bits),
            "binary_conv: pads (top, left, bottom, right) = (1, 2, 1, 1) of a 3x3 kernel; top + bottom and left + right"
            " must each be 0 to 2",
        ),
        (
            lambda: replace(op, stride=4).infer(bits),
            "binary_conv: stride=4 of a 3x3 kernel; it must be 1 to 3, so that windows leave out no pixels",
        ),
        (
            lambda: op.check_fold(Fold(3, 1), bits),
            "binary_conv: out_channels=4 is not a multiple of pe=3; choose pe from 1, 2, 4",
        ),
        (
            lambda: op.check_fold(Fold(1, 4), bits),
            "binary_conv: in_channels=6 is not a multiple of simd=4; choose simd from 1, 2, 3, 6",
        ),
    ]:
        with pytest.raises(BirealError) as error:
            call()
        assert str(error.value).startswith(message)
