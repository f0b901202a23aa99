"""The registers of a network's IP, once: hardware, component.xml, documentation and simulated board are made from them.

    python -m bireal_hw.zynq.registers      writes rtl/pkg/br_ip_pkg.sv

A network with an engine has registers and bits more than others (`memory`): there these read 0, and their descriptions
leave them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

ADDRESS_BITS = 7
"""Of a byte in the register space."""
MAP_VERSION = 1
"""Counts changes of what the registers mean."""


@dataclass(frozen=True)
class Field:
    """Bits of a register.

    Attributes:
        name: as in Python, lower case.
        bit: the lowest one.
        text: what it says, or what writing 1 does.
        width: number of bits.
        memory: whether only a network with ports to memory has it.
    """

    name: str
    bit: int
    text: str
    width: int = 1
    memory: bool = False


@dataclass(frozen=True)
class Register:
    """A word of 32 bits.

    Attributes:
        name: upper case; the driver finds it in the design by it.
        access: `read-only`, `read-write`, or `clear`: a bit is cleared by writing 1.
        text: what it holds.
        fields: its parts, if it has any.
        memory: whether only a network with ports to memory has it.
    """

    name: str
    access: str
    text: str
    fields: tuple[Field, ...] = ()
    memory: bool = False


ERRORS = (
    Field("short_frame", 0, "the transfer ended inside an image; the rest of the images was computed from zeros"),
    Field("long_frame", 1, "the transfer went on behind the last image; what was too much is passed over"),
    Field("sparse_beat", 2, "a beat before the transfer's last one had bytes that TKEEP leaves out"),
    Field("start_while_busy", 3, "a run was started before the last one was over; the start was ignored"),
    Field("no_images", 4, "a run was started with IMAGES = 0; the start was ignored"),
    Field("memory_read", 5, "memory answered a read of the network with an error; stays until a reset", memory=True),
    Field("memory_write", 6, "memory answered a write of the network with an error; stays until a reset", memory=True),
    Field("wrong_weights", 7, "at WEIGHTS_BASE are not this network's weights; stays until a reset", memory=True),
    Field("no_bases", 8, "a run was started before WEIGHTS_BASE and MAPS_BASE were set; ignored", memory=True),
)
"""What can go wrong; each stays until it is cleared by writing 1, or by a reset."""

REGISTERS = (
    Register("IDENTITY_LOW", "read-only", "network and folding: lower half of the hash in network.json"),
    Register("IDENTITY_HIGH", "read-only", "upper half"),
    Register(
        "VERSION",
        "read-only",
        "",
        (
            Field("map", 0, "version of this register map", 16),
            Field("input_bytes", 16, "bytes of a beat of s_axis", 8),
            Field("output_bytes", 24, "bytes of a beat of m_axis", 8),
        ),
    ),
    Register(
        "CONTROL",
        "read-write",
        "reads as 0",
        (
            Field("start", 0, "computes IMAGES images; counters begin at 0"),
            Field(
                "reset", 1, "ends whatever is going on, clears errors, counters and streams; STATUS.resetting meanwhile"
            ),
        ),
    ),
    Register(
        "STATUS",
        "clear",
        "",
        (
            Field("idle", 0, "no run is going on; cannot be cleared"),
            Field("done", 1, "a run has ended since this bit was cleared"),
            Field("error", 2, "a bit of ERRORS is set; cannot be cleared here"),
            Field("resetting", 3, "a reset is going on; cannot be cleared"),
            Field("took_all", 4, "the run has taken all of its images; cannot be cleared"),
            Field("memory_busy", 5, "memory owes the network an answer; cannot be cleared", memory=True),
        ),
    ),
    Register("ERRORS", "clear", "", ERRORS),
    Register(
        "INTERRUPT",
        "read-write",
        "which bits of STATUS raise the interrupt, for as long as they are set",
        (Field("on_done", 1, "done"), Field("on_error", 2, "error")),
    ),
    Register("IMAGES", "read-write", "images of the next run; one transfer in, one transfer out"),
    Register("IMAGES_DONE", "read-only", "images whose logits have left"),
    Register("CYCLES", "read-only", "clock cycles of the run, until its last logit left"),
    Register("FIRST_LOGIT", "read-only", "clock cycles until the first logit left; 0 before"),
    Register("BEATS_IN", "read-only", "beats that s_axis has taken"),
    Register("STALLS_IN", "read-only", "cycles in which s_axis had a beat and the network no room"),
    Register("WAITS_IN", "read-only", "cycles in which the network had room and s_axis no beat"),
    Register("BEATS_OUT", "read-only", "beats that m_axis has given"),
    Register("STALLS_OUT", "read-only", "cycles in which m_axis had a beat and the other side was not ready"),
    Register(
        "IMAGE_BYTES", "read-only", "bytes of an image: rows from the top, pixels from the left, channels ascending"
    ),
    Register("LOGITS", "read-only", "logits of an image, 4 bytes each, two's complement"),
    Register(
        "WEIGHTS_BASE",
        "read-write",
        "address of the weights, a multiple of 4096, from the next reset on; at 0 the network stays in reset",
        memory=True,
    ),
    Register("MAPS_BASE", "read-write", "address of the memory for maps, likewise", memory=True),
    Register("BEATS_READ", "read-only", "beats of 8 bytes that the run has read from memory", memory=True),
    Register("BEATS_WRITTEN", "read-only", "beats of 8 bytes that the run has written to memory", memory=True),
)
"""In the order of their addresses; counters stop at their largest value."""


def registers(memory: bool) -> tuple[Register, ...]:
    """Return the registers of a network's IP, which has ports to memory or not, with the fields that it has."""
    return tuple(
        replace(one, fields=tuple(field for field in one.fields if memory or not field.memory))
        for one in REGISTERS
        if memory or not one.memory
    )


def errors(memory: bool) -> tuple[Field, ...]:
    """Return the bits of ERRORS, in order, of a network that has ports to memory or not."""
    return tuple(one for one in ERRORS if memory or not one.memory)


def offset(name: str) -> int:
    """Return the byte address of a register.

    >>> offset("CONTROL")
    12
    """
    return 4 * [register.name for register in REGISTERS].index(name)


def package() -> str:
    """Return the text of br_ip_pkg: addresses and bits, as the hardware uses them."""
    lines = [
        "// br_ip_pkg: addresses and bits of the registers of br_ip.",
        "// Written by `python -m bireal_hw.zynq.registers`; do not edit.",
        "`default_nettype none",
        "",
        "/* verilator lint_off UNUSEDPARAM */",
        "package br_ip_pkg;",
        "",
        f"  localparam int unsigned AddrWidth = {ADDRESS_BITS};  // of a byte",
        f"  localparam int unsigned RegisterCount = {len(REGISTERS)};",
        f"  localparam logic [15:0] MapVersion = 16'd{MAP_VERSION};",
        f"  localparam int unsigned ErrorCount = {len(ERRORS)};",
        "",
        "  // Numbers of the registers, four bytes each",
        *(f"  localparam int unsigned {_camel(one.name)}Reg = {number};" for number, one in enumerate(REGISTERS)),
    ]
    for one in REGISTERS:
        if one.fields:
            lines += ["", f"  // Bits of {_camel(one.name)}"]
            lines += [f"  localparam int unsigned {_camel(one.name, f.name)}Bit = {f.bit};" for f in one.fields]
    return "\n".join([*lines, "", "endpackage", "/* verilator lint_on UNUSEDPARAM */", "", "`default_nettype wire", ""])


ENGINE = "with an engine only: "
"""In the table, of what other networks do not have."""


def table() -> str:
    """Return the registers as a table in Markdown."""
    lines = ["| offset | register | access | holds |", "|---|---|---|---|"]
    for register in REGISTERS:
        parts = [register.text] if register.text else []
        parts += [f"bit{_bits(one)} `{one.name}`: {ENGINE if one.memory else ''}{one.text}" for one in register.fields]
        access = {"clear": "read, write 1 to clear"}.get(register.access, register.access)
        parts = [f"{ENGINE}{part}" if register.memory else part for part in parts]
        lines.append(f"| 0x{offset(register.name):02x} | `{register.name}` | {access} | {'<br>'.join(parts)} |")
    return "\n".join(lines) + "\n"


def _bits(one: Field) -> str:
    return f" {one.bit}" if one.width == 1 else f"s {one.bit + one.width - 1}:{one.bit}"


def _camel(*names: str) -> str:
    return "".join(word.capitalize() for name in names for word in name.split("_"))


PACKAGE = Path(__file__).parents[2] / "rtl" / "pkg" / "br_ip_pkg.sv"

if __name__ == "__main__":
    PACKAGE.write_text(package())
