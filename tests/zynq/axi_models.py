"""What cocotb runs around br_ip with the models of cocotbext-axi: registers, images in, logits out."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource


def pauses(seed: int) -> Any:
    draw = random.Random(seed)
    while True:
        yield draw.random() < 0.4


@cocotb.test()
async def play(dut: Any) -> None:
    plan_file = Path(os.environ["BIREAL_SIM_PLAN"])
    plan = json.loads(plan_file.read_text())
    Clock(dut.aclk, 2, unit="step").start()
    dut.aresetn.value = 0
    around = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_control"), *around.values())
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *around.values())
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *around.values())
    await ClockCycles(dut.aclk, 8)
    dut.aresetn.value = 1
    await ClockCycles(dut.aclk, 8)
    if plan["stalled"]:
        for number, one in enumerate((source, sink, registers.write_if.aw_channel, registers.write_if.w_channel)):
            one.set_pause_generator(pauses(number))
    images, found = bytes.fromhex(plan["images"]), []
    at = plan["registers"]
    for count in plan["batches"]:
        await registers.write_dword(at["IMAGES"], count)
        await registers.write_dword(at["CONTROL"], 1)
        size = count * plan["image_bytes"]
        await source.send(AxiStreamFrame(images[:size]))
        images = images[size:]
        frame = await sink.recv()
        found.append(bytes(frame.tdata).hex())
        while not await registers.read_dword(at["STATUS"]) & 1:
            pass
    counters = {name: await registers.read_dword(address) for name, address in at.items()}
    assert sink.empty()
    (plan_file.parent / "result.json").write_text(json.dumps([found, counters]))
