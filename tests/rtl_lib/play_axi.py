"""What cocotb runs inside the simulator: memories of cocotbext-axi behind both AXI ports of axi_bench.sv.

The plan: `ports`, values of all runs, and `runs`, each with `ports`, `image` and `maps` (contents in hexadecimal, by
address), `pause` (probability that a channel is held up), `seed`, and `broken` (a range of addresses where an access
fails, or nothing). The result: for each run `maps` as it is in the end, and `status`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiRamRead, AxiRamWrite, AxiReadBus

SIZE = 1 << 16


class Breaks:
    """What a memory does where it is broken: cocotbext-axi answers with SLVERR where an access raises."""

    broken = range(0)

    def reach(self, address: int) -> None:
        """Raise where it is broken."""
        if address in self.broken:
            raise ValueError(f"broken at {address:#x}")


class Read(AxiRamRead, Breaks):
    """A memory to read from."""

    async def _read(self, address: int, length: int) -> bytes:
        self.reach(address)
        return await super()._read(address, length)


class Write(AxiRamWrite, Breaks):
    """A memory to write to."""

    async def _write(self, address: int, data: bytes) -> None:
        self.reach(address)
        await super()._write(address, data)


def pauses(probability: float, seed: int) -> Iterator[bool]:
    """Yield whether a channel is held up, cycle by cycle."""
    source = random.Random(seed)
    while True:
        yield source.random() < probability


@cocotb.test()
async def play(dut: Any) -> None:
    """Play the runs."""
    plan_file = Path(os.environ["BIREAL_SIM_PLAN"])
    plan = json.loads(plan_file.read_text())
    dut.rst_ni.value = 0
    Clock(dut.clk_i, 2, unit="step", impl="gpi").start()
    bus = AxiBus.from_prefix(dut, "m_axi_maps")
    memory = Write(bus.write, dut.clk_i, size=SIZE)
    maps = Read(bus.read, dut.clk_i, size=SIZE, mem=memory.mem)
    weights = Read(AxiReadBus.from_prefix(dut, "m_axi_weights"), dut.clk_i, size=SIZE, mem=memory.mem)
    channels = [memory.aw_channel, memory.w_channel, memory.b_channel]
    channels += [channel for one in (maps, weights) for channel in (one.ar_channel, one.r_channel)]
    results = []
    for number, run in enumerate(plan["runs"]):
        for name, value in (plan["ports"] | run["ports"] | {"run_i": number}).items():
            getattr(dut, name).value = value
        for name, base in (("image", "weights_base_i"), ("maps", "maps_base_i")):
            memory.write(plan["ports"][base], bytes.fromhex(plan[name]))
        for channel_number, channel in enumerate(channels):
            pattern = pauses(run["pause"], run["seed"] + channel_number) if run["pause"] else None
            channel.set_pause_generator(pattern)
        Breaks.broken = range(*run["broken"])
        await ClockCycles(dut.clk_i, 4)
        dut.rst_ni.value = 1
        await RisingEdge(dut.done_o)
        await ClockCycles(dut.clk_i, 100)
        end = memory.read(plan["ports"]["maps_base_i"], len(plan["maps"]) // 2)
        results.append({"maps": bytes(end).hex(), "status": int(dut.status_o.value)})
        dut.rst_ni.value = 0
        await ClockCycles(dut.clk_i, 4)
    (plan_file.parent / "result.json").write_text(json.dumps(results))
