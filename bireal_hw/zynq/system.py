"""The block design around a network's IP, that of the SystemVerilog or of Vitis HLS: processor, DMA, clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from bireal_hw import __version__
from bireal_hw.toml import read_toml
from bireal_hw.zynq.component import LIBRARY, NAME, VENDOR
from bireal_hw.zynq.ports import Shape

PROCESSORS = Path(__file__).with_name("processors.toml")
SCRIPT = "run_vivado.tcl"
OVERLAY = "overlay"
"""Folder of what the board needs: bitstream, its description, driver."""
UTILISATION, TIMING = "utilisation.rpt", "timing.rpt"
"""Reports that the script leaves."""
DMA_BYTES = 4
"""Bytes of a beat of the DMA in front of an IP that takes a pixel a beat."""


@dataclass(frozen=True)
class MemoryPort:
    """A port of the processing system to memory that a network with an engine may have.

    Attributes:
        name: interface.
        clock: its input.
        parameters: which switch it on, 64 bits wide.
    """

    name: str
    clock: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class Family:
    """A processing system: its IP, and what the pins are called that a block design joins.

    Attributes:
        ip: in Vivado's catalogue.
        registers, memory: interfaces for registers and for the DMA.
        clock, reset: what it drives.
        clocked: its clock inputs.
        interrupt: its input.
        pins: interfaces that leave the chip, with the bus of each.
        clock_parameter: the parameter that its clock is asked for by.
        pll_mhz, divider: what the clock is divided from, and the largest value of each of two dividers.
        interconnect: the IP between masters and slaves.
        parameters: section of processors.toml.
        memories: for the network's own ports, each another one.
    """

    ip: str
    registers: str
    memory: str
    clock: str
    reset: str
    clocked: tuple[str, ...]
    interrupt: str
    pins: tuple[tuple[str, str], ...]
    clock_parameter: str
    pll_mhz: float
    divider: int
    interconnect: str
    parameters: str
    memories: tuple[MemoryPort, ...]


FAMILIES = {
    "7series": Family(  # UG585
        "processing_system7",
        "M_AXI_GP0",
        "S_AXI_HP0",
        "FCLK_CLK0",
        "FCLK_RESET0_N",
        ("M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"),
        "IRQ_F2P",
        (
            ("DDR", "xilinx.com:interface:ddrx_rtl:1.0"),
            ("FIXED_IO", "xilinx.com:display_processing_system7:fixedio_rtl:1.0"),
        ),
        "PCW_FPGA0_PERIPHERAL_FREQMHZ",
        1000.0,
        63,
        # A SmartConnect takes 910 LUTs from one port to one, and has been reported not to work on this family.
        "axi_interconnect",
        "zynq7",
        tuple(
            MemoryPort(
                f"S_AXI_HP{i}",
                f"S_AXI_HP{i}_ACLK",
                {f"PCW_USE_S_AXI_HP{i}": "1", f"PCW_S_AXI_HP{i}_DATA_WIDTH": "64"},
            )
            for i in (1, 2, 3)
        ),
    ),
    "ultrascale+": Family(  # UG1085
        "zynq_ultra_ps_e",
        "M_AXI_HPM0_FPD",
        "S_AXI_HP0_FPD",
        "pl_clk0",
        "pl_resetn0",
        ("maxihpm0_fpd_aclk", "saxihp0_fpd_aclk"),
        "pl_ps_irq0",
        (),
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
        1500.0,
        63,
        "smartconnect",
        "ultrascale",
        tuple(
            MemoryPort(
                f"S_AXI_HP{i}_FPD",
                f"saxihp{i}_fpd_aclk",
                {f"PSU__USE__S_AXI_GP{i + 2}": "1", f"PSU__SAXIGP{i + 2}__DATA_WIDTH": "64"},
            )
            for i in (1, 2, 3)
        ),
    ),
}


@dataclass(frozen=True)
class Kernel:
    """A network's IP as the block design joins it.

    Attributes:
        vlnv: in the catalogue, without a version.
        repository: its folder, relative to the script.
        made_by: what leaves it there.
        clock, reset: its pins.
        pixel_bytes, logit_bytes: of a beat of its streams.
        in_bytes, out_bytes: of a beat of the DMA.
        memories: names of its own ports to memory.
    """

    vlnv: str
    repository: str
    made_by: str
    clock: str
    reset: str
    pixel_bytes: int
    logit_bytes: int
    in_bytes: int
    out_bytes: int
    memories: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """The design of a board.

    Attributes:
        board: its name.
        family: its processing system.
        processor: parameters of that.
        board_part: what Vivado calls the board, or nothing.
        clock_mhz: of the network and everything around it.
    """

    board: str
    family: Family
    processor: dict[str, str]
    board_part: str
    clock_mhz: float


@cache
def _processors() -> dict[str, dict[str, str]]:
    return read_toml(PROCESSORS, str(PROCESSORS))


def boards() -> tuple[str, ...]:
    """Return the names of the boards that a block design is written for."""
    return tuple(sorted(_processors().keys() - {family.parameters for family in FAMILIES.values()}))


def system(board: str, clock_mhz: float) -> System | None:
    """Return what the block design for a board needs, or None if none is written for it.

    >>> system("pynq-z2", 150).clock_mhz, system("kv260", 200).clock_mhz
    (142.857143, 187.5)
    """
    if board not in boards():
        return None
    own = dict(_processors()[board])
    kind = FAMILIES[own.pop("family")]
    clock = clock_below(clock_mhz, kind.pll_mhz, kind.divider)
    part = own.pop("board_part", "")
    processor = _processors()[kind.parameters] | own | {kind.clock_parameter: f"{clock:g}"}
    return System(board, kind, processor, part, clock)


def clock_below(requested: float, pll_mhz: float, divider: int) -> float:
    """Return the highest clock, in MHz with 6 decimals, that two dividers make of a PLL's, at most the requested one.

    >>> [clock_below(mhz, 1000, 63) for mhz in (100, 99, 142.857143, 1)]
    [100.0, 90.909091, 142.857143, 1.0]
    """
    divisors = (
        divisor
        for divisor in range(max(1, math.floor(pll_mhz / requested)), divider**2 + 1)
        if round(pll_mhz / divisor, 6) <= requested
        and any(divisor % first == 0 and divisor // first <= divider for first in range(1, divider + 1))
    )
    return round(pll_mhz / next(divisors), 6)


def rtl_kernel(made: Shape, repository: str) -> Kernel:
    """Return the IP of the SystemVerilog, in a folder beside the script."""
    vlnv, beats = f"{VENDOR}:{LIBRARY}:{NAME}", (made.in_bytes, made.out_bytes)
    memories = tuple(port.name for port in made.memories)
    return Kernel(vlnv, repository, "bireal-hw board", "aclk", "aresetn", *beats, *beats, memories)


def script(made: System, kernel: Kernel, part: str, name: str) -> str:
    """Return run_vivado.tcl: from an IP to a bitstream with its description."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bireal_hw.zynq", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = list(zip(kernel.memories, made.family.memories, strict=False))
    parameters = made.processor.copy()
    for _, port in own:
        parameters |= port.parameters
    return environment.get_template(f"{SCRIPT}.j2").render(
        system=made,
        processor=parameters,
        own=own,
        family=made.family,
        kernel=kernel,
        part=part,
        name=name,
        script=SCRIPT,
        folder=OVERLAY,
        utilisation=UTILISATION,
        timing=TIMING,
        version=__version__,
    )
