"""Benches with a serial line: built once, played many times; and frames taken apart."""

from __future__ import annotations

import binascii
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bireal_hw.assets import asset
from bireal_hw.rtl import closure
from bireal_hw.sim import verilator
from tests.conformance import BUILDS

HERE = Path(__file__).parent

Run = dict[str, Any]
Frame = tuple[int, bytes]
"""Tag and payload."""


def play(bench: str, runs: Sequence[Run], bit_cycles: int) -> list[dict[str, Any]]:
    """Play runs (see play_line.py) in a bench of this folder around modules of the library."""
    return play_in(bench, closure({"br_link"}), {}, runs, bit_cycles)


def play_in(
    bench: str, sources: Sequence[Path], files: dict[str, Path], runs: Sequence[Run], bit_cycles: int
) -> list[dict[str, Any]]:
    """Play runs in a bench of this folder around some modules, which read `files` by these names."""
    models = sorted(asset("sim").glob("*.sv"))
    build_dir, _ = verilator.build(bench, (HERE / f"{bench}.sv").read_text(), [*sources, *models], BUILDS)
    with tempfile.TemporaryDirectory(prefix="run-", dir=build_dir) as name:
        for file, path in files.items():
            (Path(name) / file).symlink_to(path.absolute())
        plan = {"bit_cycles": bit_cycles, "runs": list(runs)}
        return list(verilator.play(build_dir, Path(name), HERE / "play_line.py", plan))


def frames(data: bytes) -> list[Frame]:
    """Take an answer apart, byte for byte: nothing may stand between frames, and every checksum has to be right."""
    found = []
    while data:
        assert data[0] == 0xB1, data.hex()
        end = 5 + int.from_bytes(data[2:5], "big")
        assert len(data) >= end + 2, data.hex()
        assert binascii.crc_hqx(data[1 : end + 2], 0xFFFF) == 0, data.hex()
        found.append((data[1], data[5:end]))
        data = data[end + 2 :]
    return found
