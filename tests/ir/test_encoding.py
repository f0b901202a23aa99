"""The conventions, against their definitions written out bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.ir import encoding

integers = st.integers(-(1 << 20), 1 << 20)


def test_sign_of_both_zeros_is_plus_one() -> None:
    assert encoding.sign(np.array([0.0, -0.0, -1e-30, 1e-30])).tolist() == [1, 1, -1, 1]


@given(integers, integers)
def test_signed_width_is_the_least_that_holds_both_ends(a: int, b: int) -> None:
    low, high = sorted((a, b))
    width = encoding.signed_width(low, high)
    assert -(1 << (width - 1)) <= low
    assert high < 1 << (width - 1)
    if width > 1:
        assert low < -(1 << (width - 2)) or high >= 1 << (width - 2)


@given(integers, st.integers(0, 12))
def test_shift_with_half_rounds_half_up(value: int, shift: int) -> None:
    rounded = int(encoding.shift_right(np.array(value + encoding.half(shift)), shift))
    assert (rounded - 0.5) * 2**shift <= value < (rounded + 0.5) * 2**shift


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 40), st.data())
def test_pack_words_puts_each_element_in_its_field(words: int, count: int, width: int, data: st.DataObject) -> None:
    element = st.integers(-(1 << (width - 1)), (1 << (width - 1)) - 1)
    rows = data.draw(st.lists(st.lists(element, min_size=count, max_size=count), min_size=words, max_size=words))
    packed = encoding.pack_words(np.array(rows), width)
    for row, word in zip(rows, packed, strict=True):
        assert [word >> (j * width) & ((1 << width) - 1) for j in range(count)] == [v % (1 << width) for v in row]
        assert word < 1 << (count * width)


@pytest.mark.parametrize(("width", "pe", "simd"), [(1, 2, 3), (8, 4, 6), (8, 1, 1), (1, 4, 2)])
def test_weight_words_follow_the_documented_address(width: int, pe: int, simd: int) -> None:
    rng = np.random.default_rng(1)
    shape = (4, 3, 3, 6)
    weights = rng.choice([-1, 1], shape) if width == 1 else rng.integers(-127, 128, shape)
    words = encoding.weight_words(weights, pe, simd, width)
    flat = weights.reshape(4, -1)
    chunks = flat.shape[1] // simd
    assert len(words) == 4 // pe * chunks
    for fold in range(4 // pe):
        for chunk in range(chunks):
            for p in range(pe):
                for j in range(simd):
                    field = words[fold * chunks + chunk] >> ((p * simd + j) * width) & ((1 << width) - 1)
                    value = int(flat[fold * pe + p, chunk * simd + j])
                    assert field == (value == 1 if width == 1 else value % 256)


def test_field_words_put_the_first_field_lowest() -> None:
    words = encoding.field_words([(np.array([1, 2, 3, -1]), 4), (np.array([-1, 5, 6, 7]), 5)], lanes=2)
    assert words == [1 | 31 << 4 | 2 << 9 | 5 << 13, 3 | 6 << 4 | 15 << 9 | 7 << 13]


@given(st.integers(1, 5), st.integers(1, 6), st.data())
def test_dense_lines_hold_every_word_and_no_bit_more(groups: int, bytes_: int, data: st.DataObject) -> None:
    """Read as the hardware does: the ninth word is gathered from above the eight before it."""
    width = 8 * bytes_
    word = st.integers(0, (1 << width) - 1)
    words = data.draw(st.lists(word, min_size=9 * groups, max_size=9 * groups))
    lines = encoding.dense_lines(words, width)
    assert len(lines) == 8 * groups
    assert max(line.bit_length() for line in lines) <= width + bytes_
    read = []
    for start in range(0, len(lines), 8):
        eight = lines[start : start + 8]
        read += [line & (1 << width) - 1 for line in eight]
        read.append(sum((line >> width) << i * bytes_ for i, line in enumerate(eight)))
    assert read == words
