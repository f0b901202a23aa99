"""What cocotb runs inside the simulator: the board's end of a serial line, and the host's own code at the other end.

The plan: `bit_cycles` of the module, and `runs`, each with

- `patience`: bits of silence after which a read gives up, for networks that compute longer than usual
- `ports`: values; `scale`: length of a bit, 1 as it should be; `line`: which one, where there are several
- `host`: image bytes and classes, for steps with an image
- `steps`: {"send": hex, "broken": positions of bytes without stop bit}, {"wait": bits}, {"ports": values}, or
  {"image": hex, "spoil": position of a byte that is altered on its way, "spoil_answer": the same for the answer}
- `read`: ports to read at the end

The result: for each run the `bytes` that came back, in hexadecimal, the `answers` to images (logits, or the error in
words), and the `ports`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, Event, First, Timer

from bireal_hw.synth.host import Link, LinkError

PERIOD = 1000
RESET_CYCLES = 40
PATIENCE_BITS = 400
"""Silence after which a read gives up: more than the board waits inside a frame."""


class SimulatedLine:
    """A serial line in the simulator, as the host's code sees one."""

    def __init__(self, dut: Any, number: int, bit: float, scale: float, patience: float) -> None:
        """Args: the bench, which of its lines, the length of a bit in steps, by how much the sender misses it, bits."""
        self.dut, self.number, self.exact, self.bit, self.patience = dut, number, bit, bit * scale, patience
        self.received, self.all = bytearray(), bytearray()
        self.arrived = Event()
        self.spoil: int | None = None
        self.spoil_answer: int | None = None
        self.listener = cocotb.start_soon(self.listen())

    def drive(self, level: int) -> None:
        """Set the board's input."""
        old = int(self.dut.rx_i.value)
        self.dut.rx_i.value = old & ~(1 << self.number) | level << self.number

    async def bits(self, count: float, length: float | None = None) -> None:
        await Timer(max(1, round(count * (length or self.bit))), unit="step")

    async def send(self, data: bytes, broken: list[int]) -> None:
        """Send bytes back to back; those at `broken` have a low stop bit."""
        for position, byte in enumerate(data):
            word = byte << 1 | (position not in broken) << 9
            for index in range(10):
                self.drive(word >> index & 1)
                await self.bits(1)
            self.drive(1)
            if position in broken:
                await self.bits(1)

    async def listen(self) -> None:
        """Collect what the board sends."""
        while True:
            while int(self.dut.tx_o.value) >> self.number & 1:
                await self.bits(0.25, self.exact)
            await self.bits(0.25, self.exact)
            byte = 0
            for index in range(8):
                await self.bits(1, self.exact)
                byte |= (int(self.dut.tx_o.value) >> self.number & 1) << index
            await self.bits(1, self.exact)
            assert int(self.dut.tx_o.value) >> self.number & 1, "no stop bit"
            if self.spoil_answer is not None:
                byte ^= 4 * (self.spoil_answer == 0)
                self.spoil_answer = self.spoil_answer - 1 if self.spoil_answer else None
            self.received.append(byte)
            self.all.append(byte)
            self.arrived.set()

    async def _write(self, data: bytes) -> None:
        if self.spoil is not None:
            data = bytes(byte ^ 0x10 * (position == self.spoil) for position, byte in enumerate(data))
            self.spoil = None
        await self.send(data, [])

    async def _read(self, size: int) -> bytes:
        while len(self.received) < size:
            self.arrived.clear()
            quiet = Timer(round(self.patience * self.bit), unit="step")
            if await First(self.arrived.wait(), quiet) is quiet:
                break
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def write(self, data: bytes, /) -> None:
        """Send bytes, from the host's thread."""
        resume(self._write)(data)

    def read(self, size: int, /) -> bytes:
        """Receive bytes, or fewer after a silence, from the host's thread."""
        return resume(self._read)(size)


async def play_run(dut: Any, run: dict[str, Any], cycles: int) -> dict[str, Any]:
    """Reset, do the steps of a run, and wait until the line is silent."""
    dut.rst_ni.value = 0
    dut.rx_i.value = (1 << len(dut.rx_i)) - 1
    for name, value in run.get("ports", {}).items():
        getattr(dut, name).value = value
    await ClockCycles(dut.clk_i, RESET_CYCLES)
    dut.rst_ni.value = 1
    patience = run.get("patience", PATIENCE_BITS)
    line = SimulatedLine(dut, run.get("line", 0), cycles * PERIOD, run.get("scale", 1), patience)
    await line.bits(2)
    link = Link(line, *run["host"]) if "host" in run else None
    answers: list[Any] = []
    for step in run["steps"]:
        if "send" in step:
            await line.send(bytes.fromhex(step["send"]), step.get("broken", []))
        elif "wait" in step:
            await line.bits(step["wait"])
        elif "ports" in step:
            for name, value in step["ports"].items():
                getattr(dut, name).value = value
        elif link:
            line.spoil, line.spoil_answer = step.get("spoil"), step.get("spoil_answer")
            try:
                answers.append(await bridge(link.logits)(bytes.fromhex(step["image"])))
            except LinkError as error:
                answers.append(str(error))
    while (await line._read(1)) != b"":
        pass
    line.listener.cancel()
    ends = {name: int(getattr(dut, name).value) for name in run.get("read", [])}
    return {"bytes": line.all.hex(), "answers": answers, "ports": ends}


@cocotb.test()
async def play(dut: Any) -> None:
    """Do all runs of the plan."""
    plan_file = Path(os.environ["BIREAL_SIM_PLAN"])
    plan = json.loads(plan_file.read_text())
    Clock(dut.clk_i, PERIOD, unit="step", impl="gpi").start()
    results = [await play_run(dut, run, run.get("bit_cycles", plan["bit_cycles"])) for run in plan["runs"]]
    (plan_file.parent / "result.json").write_text(json.dumps(results))
