"""What cocotb runs inside the simulated board: a stand-in for `pynq` around the models, and a session with the driver.

The plan names the folder that would be copied to a board, and a Python file whose function `session(board, driver)` is
called in a thread of its own, with the driver file imported as it is; what it returns goes to `result.json`. Time, for
the driver, is that of the simulated clock.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import Timer

PERIOD = 2
BUS_CYCLES = 12
"""What an access to a register of the DMA takes, as for the network's."""
RESET_CYCLES = 8
DMA_REGISTERS = {
    "MM2S_DMACR": 0x00, "MM2S_DMASR": 0x04, "MM2S_SA": 0x18, "MM2S_SA_MSB": 0x1C, "MM2S_LENGTH": 0x28,
    "S2MM_DMACR": 0x30, "S2MM_DMASR": 0x34, "S2MM_DA": 0x48, "S2MM_DA_MSB": 0x4C, "S2MM_LENGTH": 0x58,
}  # fmt: skip
"""Of the AXI DMA without scatter-gather (PG021)."""
FAULTS = (
    "mm2s_cut_i", "mm2s_extra_i", "mm2s_stop_at_i", "mm2s_sparse_at_i", "mm2s_error_at_i", "mm2s_idle_i",
    "s2mm_stop_at_i", "s2mm_error_at_i", "s2mm_stall_i", "seed_i",
)  # fmt: skip
"""Inputs of the bench that a session may set; see br_dma_read and br_dma_write. A plan with `dram` has its too."""
MEMORY_BASE, ALIGNED = 1 << 20, 64
"""Address from which on memory is allocated, and what its addresses are a multiple of: a cache line."""

NUMBERED = {
    "dram_read_error": "dram_reads_o", "dram_read_lost": "dram_reads_o",
    "dram_write_error": "dram_writes_o", "dram_write_lost": "dram_writes_o",
}  # fmt: skip
"""Numbers of bursts, and how many there were."""


class Buffer(np.ndarray):
    """Memory that processor and logic share; each sees its own copy until a flush or an invalidate."""

    device_address: int
    memory: np.ndarray
    board: Board

    def flush(self) -> None:
        """Write the processor's cache to memory."""
        self.memory[:] = np.asarray(self).reshape(-1).view(np.uint8)
        self.board.load(self)

    def invalidate(self) -> None:
        """Forget the processor's cache."""
        np.asarray(self).reshape(-1).view(np.uint8)[:] = self.memory

    def freebuffer(self) -> None:
        """Give the memory back."""
        self.board.buffers = [one for one in self.board.buffers if one is not self]


class Cell:
    """A cell of the design that has registers."""

    def __init__(self, read: Callable[[int], int], write: Callable[[int, int], None]) -> None:
        self.read, self.write = read, write


class Board:
    """The board as a session sees it.

    Attributes:
        buffers: memory that is allocated.
        loads: bitstreams that were loaded.
        interrupt_at: number of the next pause of the driver that Ctrl-C ends; 0 for none.
        limit: bytes that can be allocated at once.
        cells: of the design, with their types and registers, as PYNQ reads them from the .hwh.
    """

    def __init__(self, dut: Any, plan: dict[str, Any]) -> None:
        self.dut, self.plan = dut, plan
        self.folder = Path(plan["files"])
        self.buffers: list[Buffer] = []
        self.loads = self.interrupt_at = 0
        self.limit = 1 << 27
        self.cells: dict[str, Any] = {
            "network": {"type": plan["type"], "registers": _addresses(plan["registers"])},
            "dma": {"type": "xilinx.com:ip:axi_dma:7.1", "registers": _addresses(DMA_REGISTERS)},
        }
        self._dma = dict.fromkeys(DMA_REGISTERS.values(), 0)
        self._errors = {"mm2s": 0, "s2mm": 0}
        self._ended = {"mm2s": 0, "s2mm": 0}
        self._target: Buffer | None = None
        self.dram = {f"dram_{name}_i": value for name, value in plan.get("dram", {}).items()}

    # ---- what a session may do besides ------------------------------------------------------------------------------

    def fault(self, **values: int) -> None:
        """Set inputs of the models of DMA and memory; names as in FAULTS and of br_dram without their _i.

        The bursts that memory answers with an error, or never, count from now on.
        """
        for name, value in values.items():
            assert f"{name}_i" in (*FAULTS, *self.dram), name
            if name in NUMBERED:
                value += int(resume(self._get)(NUMBERED[name]))
            resume(self._set)(f"{name}_i", value)

    def no_faults(self) -> None:
        """Let the DMA work as it should, without a pause."""
        for name in FAULTS:
            resume(self._set)(name, int(name == "seed_i"))
        for name, value in self.dram.items():
            resume(self._set)(name, value)

    def load(self, buffer: Buffer) -> None:
        """Let the network's own ports see what was flushed."""
        if not self.dram or buffer.device_address + buffer.nbytes > sum(self.plan["memory"]):
            return
        offset = buffer.device_address - MEMORY_BASE
        data = np.zeros(-(-buffer.nbytes // 8) * 8, np.uint8)
        data[: buffer.nbytes] = buffer.memory
        text = data.reshape(-1, 8)[:, ::-1].tobytes().hex("\n", 8)
        Path(self.plan["folder"], "dram.hex").write_text(text + "\n")
        resume(self._load)(offset // 8, (offset + len(data)) // 8 - 1)

    def waits(self) -> bool:
        """Return whether an address of the network's ports is offered and not taken."""
        return bool(resume(self._get)("dram_waits_o"))

    def owed(self) -> int:
        """Return the bursts that the network's ports wait for."""
        return int(resume(self._get)("dram_owed_o"))

    def cycles(self) -> int:
        """Return the clock cycles so far."""
        return int(resume(self._get)("cycle_o"))

    def interrupt(self) -> bool:
        """Return whether the network's interrupt is raised."""
        return bool(resume(self._get)("interrupt_o"))

    def wait(self, cycles: int) -> None:
        """Let time pass."""
        resume(self._pass)(cycles)

    # ---- what pynq does ---------------------------------------------------------------------------------------------

    def pynq(self) -> ModuleType:
        """Return the stand-in."""
        module: Any = ModuleType("pynq")
        module.Overlay, module.allocate, module.__version__ = self.overlay, self.allocate, "3.0"
        return module

    def overlay(self, path: str) -> Any:
        """Load a bitstream: nothing else than a reset of all logic."""
        self.download()
        cells = {"network": Cell(self.read, self.write), "dma": Cell(self.read_dma, self.write_dma)}
        return SimpleNamespace(ip_dict=self.cells, download=self.download, **cells)

    def download(self) -> None:
        """Load the bitstream again."""
        self.loads += 1
        self._stop_dma()
        resume(self._reset)("rst_ni")

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> Buffer:
        """Return memory for the DMA; it holds what was there before."""
        buffer = np.full(shape, 77, dtype).view(Buffer)
        if buffer.nbytes + sum(one.nbytes for one in self.buffers) > self.limit:
            raise RuntimeError("Failed to allocate Memory!")
        buffer.board, buffer.device_address = self, self._place(buffer.nbytes)
        buffer.memory = np.full(buffer.nbytes, 99, np.uint8)
        self.buffers.append(buffer)
        return buffer

    def read(self, address: int) -> int:
        """Read a register of the network."""
        return int(resume(self._access)(address, None))

    def write(self, address: int, value: int) -> None:
        """Write a register of the network."""
        resume(self._access)(address, value)

    def read_dma(self, address: int) -> int:
        """Read a register of the DMA."""
        self.wait(BUS_CYCLES)
        if address not in (DMA_REGISTERS["MM2S_DMASR"], DMA_REGISTERS["S2MM_DMASR"]):
            return self._dma[address]
        read = address == DMA_REGISTERS["MM2S_DMASR"]
        name = "mm2s" if read else "s2mm"
        running = self._dma[DMA_REGISTERS["MM2S_DMACR" if read else "S2MM_DMACR"]] & 1
        get = resume(self._get)
        ended = int(get("mm2s_sent_o" if read else "s2mm_taken_o"))
        errors = (
            self._errors[name] | 32 * int(get(f"{name}_error_o")) | (0 if read else 16 * int(get("s2mm_too_long_o")))
        )
        if not read and ended > self._ended[name]:
            self._arrived()
        if ended > self._ended[name]:
            self._ended[name] = ended
            self._dma[address] |= 2
        return errors | (0 if running and not errors else 1) | (self._dma[address] & 2 if running and not errors else 0)

    def write_dma(self, address: int, value: int) -> None:
        """Write a register of the DMA; writing a length begins a transfer."""
        self.wait(BUS_CYCLES)
        name = next(name for name, at in DMA_REGISTERS.items() if at == address)
        channel = name[:4].lower()
        if name.endswith("DMACR") and value & 4:
            self._stop_dma()
            resume(self._reset)("dma_rst_ni")
        elif name.endswith("LENGTH"):
            self._begin(channel, value)
        else:
            self._dma[address] = value

    def _place(self, size: int) -> int:
        """The lowest address at which so many bytes are free."""
        address = MEMORY_BASE + ALIGNED
        for one in sorted(self.buffers, key=lambda buffer: buffer.device_address):
            if one.device_address - address >= size:
                break
            address = one.device_address + -(-one.nbytes // ALIGNED) * ALIGNED
        return address

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _stop_dma(self) -> None:
        self._dma = dict.fromkeys(DMA_REGISTERS.values(), 0)
        self._errors = {"mm2s": 0, "s2mm": 0}
        self._ended = {"mm2s": 0, "s2mm": 0}
        self._target = None

    def _begin(self, channel: str, length: int) -> None:
        upper = channel.upper()
        if not self._dma[DMA_REGISTERS[f"{upper}_DMACR"]] & 1:
            return  # a stopped channel takes no notice
        pointer = f"{upper}_{'SA' if channel == 'mm2s' else 'DA'}"
        address = self._dma[DMA_REGISTERS[pointer]] | self._dma[DMA_REGISTERS[f"{pointer}_MSB"]] << 32
        buffer = next((one for one in self.buffers if one.device_address == address), None)
        if length == 0:
            self._errors[channel] = 1 << 4
        elif buffer is None or length > buffer.nbytes:
            self._errors[channel] = 1 << 6
        else:
            self._dma[DMA_REGISTERS[f"{upper}_DMASR"]] &= ~2
            if channel == "mm2s":
                self._write_beats(buffer.memory[:length])
            else:
                self._target = buffer
            resume(self._go)(channel, length)

    def _write_beats(self, data: np.ndarray) -> None:
        width = self.plan["in_bytes"]
        padded = np.zeros(-(-len(data) // width) * width, np.uint8)
        padded[: len(data)] = data
        text = padded.reshape(-1, width)[:, ::-1].tobytes().hex()
        lines = (text[at : at + 2 * width] for at in range(0, len(text), 2 * width))
        Path(self.plan["folder"], "pixels.hex").write_text("\n".join(lines) + "\n")

    def _arrived(self) -> None:
        assert self._target is not None
        width, length = self.plan["out_bytes"], int(resume(self._get)("s2mm_bytes_o"))
        lines = Path(self.plan["folder"], "logits.hex").read_text().split()
        data = np.frombuffer(bytes.fromhex("".join(lines)), np.uint8).reshape(-1, width)[:, ::-1].reshape(-1)
        self._target.memory[:length] = data[:length]

    async def _set(self, name: str, value: int) -> None:
        getattr(self.dut, name).value = value
        await Timer(PERIOD, unit="step")

    async def _get(self, name: str) -> int:
        signal = getattr(self.dut, name)
        return int(signal.value) if len(signal) == 1 else int(signal.value.to_unsigned())

    async def _pass(self, cycles: int) -> None:
        await Timer(cycles * PERIOD, unit="step")

    async def _reset(self, name: str) -> None:
        getattr(self.dut, name).value = 0
        await Timer(RESET_CYCLES * PERIOD, unit="step")
        getattr(self.dut, name).value = 1
        await Timer(RESET_CYCLES * PERIOD, unit="step")

    async def _go(self, channel: str, length: int) -> None:
        getattr(self.dut, f"{channel}_length_i").value = length
        go = getattr(self.dut, f"{channel}_go_i")
        go.value = int(go.value.to_unsigned()) ^ 1
        await Timer(2 * PERIOD, unit="step")

    async def _load(self, first: int, last: int) -> None:
        self.dut.load_first_i.value, self.dut.load_last_i.value = first, last
        self.dut.load_i.value = int(self.dut.load_i.value.to_unsigned()) ^ 1
        await Timer(2 * PERIOD, unit="step")

    async def _access(self, address: int, value: int | None) -> int:
        dut = self.dut
        before = int(dut.done_o.value.to_unsigned())
        dut.write_i.value, dut.address_i.value = int(value is not None), address
        dut.data_i.value = np.uint32(value or 0).view(np.int32).item()
        dut.go_i.value = int(dut.go_i.value.to_unsigned()) ^ 1
        for _ in range(100):
            await Timer(4 * PERIOD, unit="step")
            if int(dut.done_o.value.to_unsigned()) != before:
                return int(dut.data_o.value.to_unsigned())
        raise AssertionError(f"the register at {address:#x} does not answer")


class Clocked:
    """The module `time` as the driver sees it: the simulated clock."""

    def __init__(self, board: Board, hertz: float) -> None:
        self.board, self.hertz = board, hertz

    def monotonic(self) -> float:
        """Return seconds of the simulated clock."""
        return self.board.cycles() / self.hertz

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass, or be interrupted."""
        self.board.wait(max(1, int(seconds * self.hertz)))
        if self.board.interrupt_at:
            self.board.interrupt_at -= 1
            if not self.board.interrupt_at:
                raise KeyboardInterrupt


def _addresses(registers: dict[str, int]) -> dict[str, Any]:
    return {name: {"address_offset": address} for name, address in registers.items()}


def _load(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@cocotb.test()
async def play(dut: Any) -> None:
    """Run the session of the plan and record what it returns."""
    plan_file = Path(os.environ["BIREAL_SIM_PLAN"])
    plan = json.loads(plan_file.read_text()) | {"folder": str(plan_file.parent)}
    board = Board(dut, plan)
    for name in ("go_i", "write_i", "address_i", "data_i", "mm2s_go_i", "s2mm_go_i", "mm2s_length_i", "s2mm_length_i"):
        getattr(dut, name).value = 0
    for name in FAULTS:
        getattr(dut, name).value = int(name == "seed_i")
    for name, value in board.dram.items():
        getattr(dut, name).value = value
    if board.dram:
        dut.load_i.value = dut.load_first_i.value = dut.load_last_i.value = 0
    dut.rst_ni.value = 0
    dut.dma_rst_ni.value = 1
    Clock(dut.clk_i, PERIOD, unit="step", impl="gpi").start()
    await Timer(RESET_CYCLES * PERIOD, unit="step")

    @bridge
    def inside() -> Any:
        sys.modules["pynq"] = board.pynq()
        driver = _load(board.folder / "driver.py", "driver")
        driver.time = Clocked(board, plan["hertz"])
        sys.path.insert(0, str(board.folder))
        try:
            return {"returned": _load(Path(plan["session"]), "session").session(board, driver)}
        except BaseException:
            return {"raised": traceback.format_exc()}

    result = await inside()
    (plan_file.parent / "result.json").write_text(json.dumps(result))
