"""Beats as text: what is written is read back, and each bit lies where the stream format says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Port
from bireal_hw.ir.types import BIPOLAR, DataType
from bireal_hw.sim.packing import hex_beats, parse_beats


@given(st.integers(1, 40), st.integers(1, 9), st.booleans(), st.integers(0, 1 << 20))
def test_what_is_written_is_read_back(width: int, lanes: int, signed: bool, seed: int) -> None:
    port = Port("s_axis", lanes, DataType(width, signed))
    x = np.random.default_rng(seed).integers(port.dtype.low, port.dtype.high + 1, (2, 3, 1, lanes * 2))
    np.testing.assert_array_equal(parse_beats(hex_beats(x, port), port), x.reshape(-1, lanes))


@given(st.integers(1, 70), st.integers(0, 1 << 20))
def test_bits_are_written_and_read_back(lanes: int, seed: int) -> None:
    port = Port("s_axis", lanes, BIPOLAR)
    x = np.random.default_rng(seed).choice([-1, 1], (2, 2, 2, lanes))
    text = hex_beats(x, port)
    np.testing.assert_array_equal(parse_beats(text, port), x.reshape(-1, lanes))
    word = int(text.splitlines()[0], 16)
    assert [2 * (word >> lane & 1) - 1 for lane in range(lanes)] == x[0, 0, 0].tolist()


def test_lowest_channel_lies_in_the_low_bits() -> None:
    x = np.array([1, 2, -1, 0, 5, -8]).reshape(1, 1, 2, 3)
    assert hex_beats(x, Port("s_axis", 3, DataType(5))) == b"7c41\n60a0\n"


def test_values_and_shapes_that_do_not_fit_are_refused() -> None:
    port = Port("s_axis", 2, DataType(4))
    with pytest.raises(BirealError) as error:
        hex_beats(np.array([[[[0, 8]]]]), port)
    assert str(error.value) == "s_axis: values 0..8 do not fit s4.0, which holds -8..7"
    with pytest.raises(BirealError) as error:
        hex_beats(np.zeros((1, 1, 1, 3), int), port)
    assert str(error.value) == "s_axis: 3 channels are not a multiple of lanes=2"


def test_broken_recording_is_refused() -> None:
    port = Port("m_axis", 2, DataType(4))
    with pytest.raises(BirealError) as error:
        parse_beats(b"1x\n", port)
    assert str(error.value) == "m_axis: the recording is not lines of 2 hexadecimal digits"
    with pytest.raises(BirealError) as error:
        parse_beats(b"123", port)
    assert str(error.value) == "m_axis: the recording is not lines of 2 hexadecimal digits"
