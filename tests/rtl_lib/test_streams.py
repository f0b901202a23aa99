"""FIFO, register slice, fork and width converter: nothing lost, reordered or delayed beyond the formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bireal_hw.ir.op import Array, Binding, Cost, Port
from bireal_hw.ir.types import DataType
from bireal_hw.rtl import library_sources
from bireal_hw.sim.runner import Dut, StallMode, simulate
from tests.conformance import BUILDS, FOUR_MODES, check_cycles

pytestmark = pytest.mark.rtl

HERE = Path(__file__).parent
BEATS = 40
MODES = (
    *FOUR_MODES,
    StallMode(sink=0.9, seed=21),  # fills every buffer
    StallMode(source=0.9, seed=22),  # empties it between beats
)


def repeat(module: str, parameters: dict[str, int], lanes: tuple[int, int], width: int, cost: Cost) -> list[Array]:
    """Send three frames through a module that keeps the order of elements; return the outputs of each run.

    Both ports carry elements of `width` bits, `lanes` (in, out) in a beat.
    """
    dtype = DataType(width)
    rng = np.random.default_rng(5)
    x = rng.integers(dtype.low, dtype.high + 1, (3, BEATS, 1, max(lanes)))
    binding = Binding(module, parameters, (Port("s_axis", lanes[0], dtype),), Port("m_axis", lanes[1], dtype))
    results = simulate(Dut(binding), x, output_beats=BEATS * max(lanes) // lanes[1], stalls=MODES, builds=BUILDS)
    check_cycles(results[0], cost)
    for stall, result in zip(MODES, results, strict=True):
        np.testing.assert_array_equal(result.outputs.reshape(x.shape), x, err_msg=str(stall))
    return [result.outputs for result in results]


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 33), (3, 8), (16, 5)])
def test_fifo_of_any_depth_keeps_order_and_counts_its_beats(depth: int, width: int) -> None:
    """The counts by br_fifo_check, in every simulation."""
    cycles = BEATS if depth > 1 else 2 * BEATS
    repeat("br_fifo", {"Width": width, "Depth": depth}, (1, 1), width, Cost(cycles, latency=1))


@pytest.mark.parametrize("width", [1, 12])
def test_register_slice_moves_a_beat_every_cycle(width: int) -> None:
    repeat("br_reg_slice", {"Width": width}, (1, 1), width, Cost(BEATS, latency=1))


@pytest.mark.parametrize(
    ("in_lanes", "out_lanes", "latency"), [(6, 2, 1), (2, 6, 3), (3, 3, 0)], ids=["split", "join", "wires"]
)
def test_width_converter_keeps_the_order_of_elements(in_lanes: int, out_lanes: int, latency: int) -> None:
    parameters = {"ElemWidth": 5, "InLanes": in_lanes, "OutLanes": out_lanes}
    cycles = BEATS * max(in_lanes, out_lanes) // min(in_lanes, out_lanes)
    repeat("br_width_converter", parameters, (in_lanes, out_lanes), 5, Cost(cycles, latency))


def test_fork_hands_every_beat_once_to_outputs_of_different_rhythm() -> None:
    dtype = DataType(9)
    x = np.random.default_rng(6).integers(dtype.low, dtype.high + 1, (3, BEATS, 1, 1))
    binding = Binding("fork_join", {"Width": 9}, (Port("s_axis", 1, dtype),), Port("m_axis", 3, dtype))
    dut = Dut(binding, (*library_sources(), HERE / "fork_join.sv"))
    results = simulate(dut, x, output_beats=BEATS, stalls=MODES, builds=BUILDS)
    for stall, result in zip(MODES, results, strict=True):
        want = np.repeat(x, 3, axis=-1)
        np.testing.assert_array_equal(result.outputs.reshape(want.shape), want, err_msg=str(stall))
