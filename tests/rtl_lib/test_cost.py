"""What the library costs in hardware: a FIFO's record of its highest fill is not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bireal_hw.ir.op import Binding, Port
from bireal_hw.ir.types import DataType
from bireal_hw.synth.resources import count
from bireal_hw.synth.units import synthesise, unit

pytestmark = pytest.mark.synth


def test_a_fifo_has_the_registers_that_it_needs_and_none_for_its_highest_fill(tmp_path: Path) -> None:
    width, depth = 16, 286
    ports = (Port("s_axis", 1, DataType(width)),), Port("m_axis", 1, DataType(width))
    fifo = unit(Binding("br_fifo", {"Width": width, "Depth": depth}, *ports))
    (cells,) = synthesise([fifo], "7series", tmp_path, lambda done, total: None)
    pointer = (depth - 1).bit_length()
    assert count(cells, "7series").ff == 3 * pointer + 2 + width + 1  # write, read, count; two flags; a beat with tlast
