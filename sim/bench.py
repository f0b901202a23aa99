"""What cocotb runs inside the simulator: reset, start, wait, write down; once per stall pattern.

Beats are played and recorded by br_stream_source and br_stream_sink, so Python sleeps from reset to the end of a run.
The runs stand in the JSON file that BIREAL_SIM_PLAN names; results go to `result.json` beside it. See
bireal_hw/sim/runner.py, which writes the one and reads the other.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

PERIOD = 2
RESET_CYCLES = 4


def read(signal: Any) -> int:
    """Return a counter (signed) or a flag (0 or 1)."""
    return int(signal.value) if len(signal) == 1 else int(signal.value.to_signed())


@cocotb.test()
async def play(dut: Any) -> None:
    """Run every plan of the file and record the bench's counters."""
    plan_file = Path(os.environ["BIREAL_SIM_PLAN"])
    plan = json.loads(plan_file.read_text())
    dut.rst_ni.value = 0
    Clock(dut.clk_i, PERIOD, unit="step", impl="gpi").start()
    results = []
    for run in plan["runs"]:
        for name, value in run.items():
            getattr(dut, name).value = value
        await ClockCycles(dut.clk_i, RESET_CYCLES)
        dut.rst_ni.value = 1
        await RisingEdge(dut.done_o)
        results.append({name: read(getattr(dut, name)) for name in plan["counters"]})
        dut.rst_ni.value = 0
    await ClockCycles(dut.clk_i, RESET_CYCLES)  # reset closes the recorded files
    (plan_file.parent / "result.json").write_text(json.dumps(results))
