"""C simulation: kernels and whole networks compiled by g++ and run at once."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jinja2

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.hls.gpp import OPTIMISED, build
from bireal_hw.hls.memory import pointers
from bireal_hw.hls.tables import table, table_name
from bireal_hw.ir.op import Array, Binding
from bireal_hw.sim.packing import hex_beats, parse_beats
from bireal_hw.tools import first_error

TIMEOUT = 600
"""Seconds after which a simulation counts as hanging."""


@dataclass(frozen=True)
class KernelResult:
    """What a kernel gave.

    Attributes:
        outputs: (beats, lanes) integers of all frames.
        cycles: of its longest loop when it handles 1, 2, ... frames in one call.
    """

    outputs: Array
    cycles: tuple[int, ...]


def run_kernel(
    binding: Binding,
    *inputs: Array,
    builds: Path,
    include: Path | None = None,
    flags: tuple[str, ...] = OPTIMISED,
) -> KernelResult:
    """Compile one kernel with g++ and run frames through it.

    Args:
        binding: the kernel (`Op.hls`).
        inputs: per input port, in the binding's order: (N, H, W, C) integers (-1/+1 for a bipolar port).
        builds: folder that keeps builds.
        include: folder of `bireal/*.hpp`; the library's own if None.
        flags: of the compiler.

    Raises:
        BirealError: a tool is missing, the kernel does not compile, crashes, hangs or leaves input unread.
    """
    frames = len(inputs[0])
    include = include or asset("hls/include")
    header = binding.module if (include / "bireal" / f"{binding.module}.hpp").exists() else "streams"
    template = jinja2.Template(
        (asset("sim") / "hls_bench.cpp.j2").read_text(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    tables = {table_name(name): memory for name, memory in binding.memories.items()}
    ports = [port.name for port in (*binding.inputs, binding.output)]
    text = template.render(
        header=header,
        binding=binding,
        tables={name: table(name, memory) for name, memory in tables.items()},
        inputs=[(port, x.size // port.lanes // frames) for port, x in zip(binding.inputs, inputs, strict=True)],
        call=", ".join([*ports, *tables, *(f"{one.memory}.data()" for one in pointers(binding)), "count"]),
        memory=bool(binding.axi),
        map_words=-(-binding.maps // 8),
    )
    program = build(binding.module, text, builds, flags, include)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for port, x in zip(binding.inputs, inputs, strict=True):
            (folder / f"{port.name}.hex").write_bytes(hex_beats(x, port))
        (folder / "weights.bin").write_bytes(binding.image)
        printed = execute([str(program), name, str(frames)], binding.module)
        outputs = parse_beats((folder / "m_axis.hex").read_bytes(), binding.output)
    return KernelResult(outputs, tuple(int(line) for line in printed.split()))


def execute(command: list[str], what: str, seconds: float = 0, folder: Path | None = None) -> str:
    """Run a simulation, which may take `seconds` more than the usual limit, in a folder, and return what it printed.

    Raises:
        BirealError: it failed or hangs; with its last words.
    """
    limit = TIMEOUT + seconds
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit, cwd=folder)
    except subprocess.TimeoutExpired:
        raise BirealError(f"{what}: the C simulation hangs: no end after {limit:.0f} s") from None
    if "WARNING: Hls::stream" in done.stdout:
        line = next(line for line in done.stdout.splitlines() if "WARNING: Hls::stream" in line)
        raise BirealError(f"{what}: {line.removeprefix('WARNING: ')}")
    if done.returncode:
        words = first_error(done.stderr or done.stdout)
        raise BirealError(f"{what}: the C simulation ended with status {done.returncode}: {words}")
    return done.stdout
