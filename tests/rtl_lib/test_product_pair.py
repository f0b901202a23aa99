"""Two products in one multiplier: every pair of weights with every input of 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bireal_hw.ir.op import Binding, Port
from bireal_hw.ir.types import DataType
from bireal_hw.rtl import closure
from bireal_hw.sim.runner import Dut, StallMode, simulate
from tests.conformance import BUILDS

HERE = Path(__file__).parent
LOWEST = -128


@pytest.mark.rtl
def test_every_product_is_exact() -> None:
    """The very lowest weight, which no quantizer here gives, is too much for the lower half of one x: counted."""
    w0, w1 = (side.ravel() for side in np.meshgrid(np.arange(LOWEST, 128), np.arange(LOWEST, 128)))
    number = w1 * 256 + w0
    fits = number >= -(1 << 15)
    w0, w1, number = w0[fits], w1[fits], number[fits]
    beats = np.stack([number.astype(np.int8), number >> 8, w0, w1], axis=1)
    binding = Binding(
        "product_pair_bench", {}, (Port("s_axis", 4, DataType(8)),), Port("m_axis", 1, DataType(9, signed=False))
    )
    dut = Dut(binding, (*closure({"br_product_pair"}), HERE / "product_pair_bench.sv"))
    stalls = (StallMode(source=0.1, sink=0.1, seed=7),)
    (result,) = simulate(dut, beats[None, :, None, :], output_beats=len(beats), stalls=stalls, builds=BUILDS)
    assert len(number) == 256 * 256 - 128
    np.testing.assert_array_equal(result.outputs.ravel(), w0 == LOWEST)
