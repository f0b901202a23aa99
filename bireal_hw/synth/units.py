"""Synthesises instances of library modules one by one and remembers the result of each."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

from bireal_hw import ending
from bireal_hw.files import replacing
from bireal_hw.ir.op import Binding, Memory, Port
from bireal_hw.rtl import closure, memory_text
from bireal_hw.synth import yosys
from bireal_hw.synth.memory import map_rom

BATCH = 4
"""Units in one run of Yosys: reading the cell libraries takes seconds, and the time for all grows with the square."""

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class Unit:
    """What is synthesised on its own: a module with its parameters, memory contents and the ports that are used.

    Attributes:
        binding: of the instance.
        outputs: handshakes on its output port, more than one for a fork.
        memories: contents by parameter.
    """

    binding: Binding
    outputs: int = 1
    memories: dict[str, str] = field(default_factory=dict)


def unit(binding: Binding, outputs: int = 1) -> Unit:
    """Return the unit of an instance; a memory in block RAM gets words of its own, for they change nothing."""
    memories = {name: memory_text(_neutral(memory)) for name, memory in binding.memories.items()}
    return Unit(binding, outputs, memories)


def _neutral(memory: Memory) -> Memory:
    """Put zeros and ones in turn into a memory in block RAM; block RAMs of like contents take Yosys half the time."""
    if map_rom(len(memory.words), memory.width).style == "logic":
        return memory
    ones = (1 << memory.width) - 1
    return replace(memory, words=[ones * (address % 2) for address in range(len(memory.words))])


def wrapper(name: str, one: Unit, files: dict[str, str]) -> str:
    """Return a module around a unit: only ports that a network connects are seen, others are left open.

    Args:
        name: of the wrapper.
        one: the unit.
        files: memory file by parameter.
    """
    binding = one.binding
    parameters = [f".{key}({value})" for key, value in binding.parameters.items()]
    parameters += [f'.{key}("{file}")' for key, file in files.items()]
    ports, links = ["input wire clk_i", "input wire rst_ni"], [".clk_i", ".rst_ni"]

    def stream(port: Port, to: str, back: str, handshakes: int) -> None:
        vector = f"[{handshakes - 1}:0] " if handshakes > 1 else ""
        ports.append(f"{to} wire [{port.width - 1}:0] {port.name}_tdata")
        ports.append(f"{to} wire {vector}{port.name}_tvalid")
        ports.append(f"{to} wire {port.name}_tlast")
        ports.append(f"{back} wire {vector}{port.name}_tready")
        links.extend(f".{port.name}_{signal}" for signal in ("tdata", "tvalid", "tlast", "tready"))

    for port in binding.inputs:
        stream(port, "input", "output", 1)
    stream(binding.output, "output", "input", one.outputs)
    for signal, width, driven in binding.memory_signals:
        ports.append(f"{'output' if driven else 'input'} wire [{width - 1}:0] {signal}")
        links.append(f".{signal}")
    return (
        f"module {name} (\n  {', '.join(ports)}\n);\n"
        f"  {binding.module} #({', '.join(parameters)}) u_unit ({', '.join(links)});\nendmodule\n"
    )


def synthesise(units: Sequence[Unit], family: str, cache: Path, progress: Progress) -> list[dict[str, int]]:
    """Return the cells of each unit by type; equal units are synthesised once, and never again while `cache` stays.

    As many runs of Yosys go side by side as there are processors.

    Args:
        units: any number.
        family: of the board.
        cache: folder for results, made if need be.
        progress: told how many units are done.

    Raises:
        BirealError: Yosys is missing or stopped.
    """
    cache.mkdir(parents=True, exist_ok=True)
    keys = [_key(one, family) for one in units]
    missing = {key: one for key, one in zip(keys, units, strict=True) if not (cache / f"{key}.json").exists()}
    waiting, done = list(missing.items()), len(set(keys)) - len(missing)
    total = len(set(keys))
    progress(done, total)

    def store(batch: list[tuple[str, Unit]]) -> int:
        for (key, _), found in zip(batch, _batch([one for _, one in batch], family, cache), strict=True):
            with replacing(cache / f"{key}.json") as part:
                part.write_text(json.dumps(found, sort_keys=True) + "\n")
        return len(batch)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(store, waiting[start : start + BATCH]) for start in range(0, len(waiting), BATCH)]
        try:
            for run in as_completed(runs):
                done += run.result()
                progress(done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [json.loads((cache / f"{key}.json").read_text()) for key in keys]


def _key(one: Unit, family: str) -> str:
    """Hash of everything the result depends on."""
    digest = hashlib.sha256(f"{yosys.version()}\n{yosys.script('units', [], family)}".encode())
    digest.update(wrapper("unit", one, one.memories).encode())
    for source in closure({one.binding.module}):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def _batch(units: list[Unit], family: str, cache: Path) -> list[dict[str, int]]:
    """Synthesise units in one run; its folder stays if it fails."""
    names = [f"unit{index}" for index in range(len(units))]
    sources = closure({one.binding.module for one in units})
    with ending.workplace(cache) as folder:
        for source in sources:
            shutil.copy(source, folder)
        for name, one in zip(names, units, strict=True):
            files = {parameter: f"{name}_{parameter}.mem" for parameter in one.memories}
            for parameter, file in files.items():
                (folder / file).write_text(one.memories[parameter])
            (folder / f"{name}.sv").write_text(wrapper(name, one, files))
        instances = "".join(f"  (* keep *) {name} i_{name} ();\n" for name in names)
        (folder / "units.sv").write_text(f"module units;\n{instances}endmodule\n")
        files_in_order = [*(source.name for source in sources), *(f"{name}.sv" for name in names), "units.sv"]
        yosys.run(folder, yosys.script("units", files_in_order, family, tuple(names)))
        found = yosys.cells(folder)
    return [found[name] for name in names]
