"""Builds a module with stream ports in Verilator once, and runs it many times under cocotb.

`simulate` is the whole interface: a `Dut`, its input frames, a list of stall patterns; back come the output frames
and the cycles of each run. Builds are kept under a name made from everything that goes into them, so frames, memory
contents and stall patterns never cause a second build.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Binding, Port
from bireal_hw.rtl import closure, memory_text
from bireal_hw.sim import verilator
from bireal_hw.sim.dram import PROBABILITY, Contents, Dram
from bireal_hw.sim.packing import hex_beats, parse_beats

DEFAULT_BUILDS = Path("build/sim")
"""Where simulators are kept unless a caller says otherwise; relative to the working folder."""

TIMEOUT = 10_000
"""Cycles without any transfer that count as a deadlock unless a caller says otherwise."""


@dataclass(frozen=True, slots=True)
class StallMode:
    """How the bench holds streams up.

    Attributes:
        source: probability (0 to below 1) that a source idles, drawn every cycle before each beat.
        sink: probability (0 to below 1) that the sink is not ready, drawn every cycle; with an odd seed it also waits
            for valid.
        seed: chooses the patterns, 1 or more.
        depths: beats that FIFOs of an `adjustable` module hold instead of what they could, by name.
        dram: how memory beside the chip behaves, for a module with AXI ports; the seed is that of the streams.
    """

    source: float = 0.0
    sink: float = 0.0
    seed: int = 1
    depths: Mapping[str, int] = field(default_factory=dict)
    dram: Dram = field(default=Dram(), repr=False)

    def __post_init__(self) -> None:
        for name, value in (("source", self.source), ("sink", self.sink)):
            if not 0 <= value < 1:
                raise BirealError(f"stall mode: {name}={value} is out of range: a probability from 0 to below 1")
        if not 1 <= self.seed < 1 << 30:
            raise BirealError(f"stall mode: seed={self.seed} is out of range: 1 to 2^30 - 1")


FREE = StallMode()
STALLED = StallMode(source=0.3, sink=0.3, seed=1)
"""Either side holds the stream up in three cycles of ten."""


@dataclass(frozen=True)
class Dut:
    """A module to simulate: clk_i, rst_ni and flat stream ports.

    Attributes:
        binding: module, parameters, memories and ports; memories bind file parameters.
        sources: SystemVerilog files in compile order; the library's where empty.
        files: folders or files that the module reads by a relative name, by that name (`{"mem": .../rtl/mem}`).
        fifos: depths, by name, of the FIFOs `u_<name>` directly inside the module whose highest fill is recorded.
        adjustable: whether these are instances of `sim/depths/br_short_fifo.sv`.
        dram: image in the memory behind the module's AXI ports, where weights_base_i points to.
        maps: bytes of the memory from where maps_base_i points to; undefined when a run begins.
    """

    binding: Binding
    sources: tuple[Path, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)
    fifos: dict[str, int] = field(default_factory=dict)
    adjustable: bool = False
    dram: bytes | Path = b""
    maps: int = 0


@dataclass(frozen=True)
class SimResult:
    """One run.

    Attributes:
        outputs: (N, beats of a frame * lanes) integers; -1/+1 for a bipolar port. Reshape to (N, H, W, C).
        first_in: cycle of the first transfer on any input, from 0 behind reset.
        first_out: cycle of the first transfer on the output.
        tlast: cycles of the last beat of each output frame.
        cycles: of the whole run, from reset to its end.
        fills: most beats that each of the module's `fifos` held at once, by name.
        seconds_build: time of the build, 0.0 where it was there already; the same in all runs of a call.
        seconds_run: time of the simulator for all runs of the call.
        period_in: cycles from the end of the last frame but one to that of the last, on the first input.
        status: of a module with AXI ports, see `Binding`.
        bytes_read, bytes_written: by AXI port.
    """

    outputs: NDArray[np.int64]
    first_in: int
    first_out: int
    tlast: tuple[int, ...]
    cycles: int
    fills: dict[str, int]
    seconds_build: float
    seconds_run: float
    period_in: int = 0
    status: int = 0
    bytes_read: dict[str, int] = field(default_factory=dict)
    bytes_written: dict[str, int] = field(default_factory=dict)

    @property
    def latency(self) -> int:
        """Cycles from the first input transfer to the first output transfer."""
        return self.first_out - self.first_in

    @property
    def interval(self) -> Fraction:
        """Cycles from one frame to the next in the steady state: the mean over a period of the ends of frames.

        Behind its slowest part a network may end its frames a little early and late by turns, in a pattern that comes
        again after a few of them. Its period is the shortest that fits the later half of the frames; if none does, the
        mean is that of this half.
        """
        if len(self.tlast) < 2:
            raise BirealError(f"the distance of two frames needs two frames; {len(self.tlast)} was simulated")
        apart = np.diff(self.tlast)
        half = len(apart) // 2
        fitting = (p for p in range(1, half + 1) if np.array_equal(apart[-half:], apart[-half - p : -p]))
        period = next(fitting, len(apart) - half)
        return Fraction(int(apart[-period:].sum()), period)


def simulate(
    dut: Dut,
    *inputs: Array,
    output_beats: int,
    stalls: Sequence[StallMode] = (FREE,),
    builds: Path = DEFAULT_BUILDS,
    timeout: int = TIMEOUT,
    waves: Path | None = None,
) -> list[SimResult]:
    """Play frames back to back through a module, once per stall pattern, with a reset between.

    Args:
        dut: the module.
        inputs: per input port, in the binding's order: (N, H, W, C) integers (-1/+1 for a bipolar port).
        output_beats: beats of one output frame.
        stalls: one run each, all in one simulator process.
        builds: folder that keeps the built simulators.
        timeout: cycles without any transfer that count as a deadlock.
        waves: file for the waveforms of all runs, `.fst`, `.vcd` or `.vcd.gz`; builds a slower simulator.

    Raises:
        BirealError: a tool is missing; the module does not build; or a run deadlocks, breaks a stream rule, or gives
            too many beats or tlast on the wrong ones. The text names the module, the run and the counts.
    """
    with _session(dut, inputs, output_beats, stalls, builds, timeout, waves, {}) as session:
        return [session.result(number) for number in range(len(stalls))]


def attempt(
    dut: Dut,
    *inputs: Array,
    output_beats: int,
    stalls: Sequence[StallMode],
    builds: Path = DEFAULT_BUILDS,
    timeout: int = TIMEOUT,
) -> list[SimResult | BirealError]:
    """Do what `simulate` does, with the error of a run in place of its result."""
    results: list[SimResult | BirealError] = []
    with _session(dut, inputs, output_beats, stalls, builds, timeout, None, {}) as session:
        for number in range(len(stalls)):
            try:
                results.append(session.result(number))
            except BirealError as error:
                results.append(error)
    return results


@contextlib.contextmanager
def record(
    dut: Dut,
    *inputs: Array,
    probes: Mapping[str, Port],
    output_beats: int,
    stall: StallMode = FREE,
    builds: Path = DEFAULT_BUILDS,
    timeout: int = TIMEOUT,
) -> Iterator[Callable[[str], Array]]:
    """Run once and keep what passed on streams inside the module, however the run ended.

    Args:
        dut: the module.
        inputs: as for `simulate`.
        probes: instances `u_<name>` directly inside the module, by name, each with the format of its m_axis.
        output_beats: beats of one output frame.
        stall: the run.
        builds: folder that keeps the built simulators.
        timeout: cycles without any transfer that end the run.

    Yields:
        A function from a name to that instance's (beats, lanes) integers, as many as moved; valid inside the `with`.
    """
    with _session(dut, inputs, output_beats, (stall,), builds, timeout, None, probes) as session:
        yield lambda name: session.beats(0, name, probes[name])


@dataclass(frozen=True)
class _Session:
    """What one simulator process left behind."""

    dut: Dut
    folder: Path
    frames: int
    stalls: Sequence[StallMode]
    timeout: int
    totals: dict[str, int]
    counters: list[dict[str, int]]
    seconds: tuple[float, float]

    def beats(self, number: int, name: str, port: Port) -> NDArray[np.int64]:
        """Return the (beats, lanes) integers that a run wrote down under a name."""
        return parse_beats((self.folder / f"{number}.{name}.hex").read_bytes(), port)

    def problem(self, number: int) -> str:
        """Say what broke a run, or nothing."""
        binding, counter = self.dut.binding, self.counters[number]
        names = [port.name for port in (*binding.inputs, binding.output)]
        counts = [(name, counter[f"{name}_beats_o"], self.totals[f"{name}_total_i"]) for name in names]
        text = ", ".join(f"{name} {beats} of {total} beats" for name, beats, total in counts)
        if any(beats < total for _, beats, total in counts):
            depths = {**self.dut.fifos, **self.stalls[number].depths}
            full = [name for name, depth in depths.items() if counter[f"{name}_fill_o"] == depth]
            were_full = f"; FIFOs that were full: {', '.join(full)}" if full else ""
            return f"deadlock: no transfer for {self.timeout} cycles, after {text}{were_full}{self.memory(counter)}"
        if any(beats > total for _, beats, total in counts):
            return f"more beats than expected: {text}"
        return ""

    def memory(self, counter: Mapping[str, int]) -> str:
        """Say what the memory has not answered, and which errors the module knows of."""
        owed = [f"{counter[f'{port.name}_owed_o']} of {port.name}" for port in self.dut.binding.axi]
        silent = [text for text in owed if not text.startswith("0 ")]
        text = f"; bursts that the memory has not answered: {', '.join(silent)}" if silent else ""
        return text + (f"; status_o is {counter['status_o']}" if counter.get("status_o") else "")

    def result(self, number: int) -> SimResult:
        """Return the result of a run that kept all rules."""
        binding, counter = self.dut.binding, self.counters[number]
        problem = self.problem(number)
        if problem:
            memory = f", {self.stalls[number].dram}" if binding.axi else ""
            raise BirealError(f"{binding.module}, {self.stalls[number]}{memory}: {problem}")
        values = self.beats(number, binding.output.name, binding.output)
        lines = (self.folder / f"{number}.{binding.output.name}.tlast").read_text().split()
        ends, cycles = ([int(word) for word in lines[start::2]] for start in (0, 1))
        expected = [len(values) // self.frames * (frame + 1) for frame in range(self.frames)]
        if ends != expected:
            raise BirealError(
                f"{binding.module}: m_axis_tlast on beats {ends[:8]}, not {expected[:8]} (counted from 1)"
            )
        return SimResult(
            outputs=values.reshape(self.frames, -1),
            first_in=min(counter[f"{port.name}_first_o"] for port in binding.inputs),
            first_out=counter[f"{binding.output.name}_first_o"],
            tlast=tuple(cycles),
            cycles=counter["cycle_o"],
            fills={name: counter[f"{name}_fill_o"] for name in self.dut.fifos},
            seconds_build=self.seconds[0],
            seconds_run=self.seconds[1],
            period_in=counter[f"{binding.inputs[0].name}_period_o"],
            status=counter.get("status_o", 0),
            bytes_read={port.name: counter[f"{port.name}_reads_o"] * port.data_width // 8 for port in binding.axi},
            bytes_written={port.name: counter[f"{port.name}_writes_o"] * port.data_width // 8 for port in binding.axi},
        )


@contextlib.contextmanager
def _session(
    dut: Dut,
    inputs: Sequence[Array],
    output_beats: int,
    stalls: Sequence[StallMode],
    builds: Path,
    timeout: int,
    waves: Path | None,
    probes: Mapping[str, Port],
) -> Iterator[_Session]:
    """Build, play, and keep the recordings while the context lasts."""
    binding, frames = dut.binding, len(inputs[0]) if inputs else 0
    if len(inputs) != len(binding.inputs) or any(len(x) != frames for x in inputs) or not frames or not stalls:
        raise BirealError(
            f"{binding.module}: needs {len(binding.inputs)} inputs of the same number of frames, 1 or more, and a "
            f"stall mode; got frames {[len(x) for x in inputs]}, {len(stalls)} stall modes"
        )
    memory = Contents(dut.binding, dut.dram, dut.maps)
    models = sorted(asset("sim").glob("*.sv"))
    sources = (*(dut.sources or closure({binding.module})), *models)
    build_dir, seconds_build = verilator.build(
        binding.module, _bench_text(dut, probes, memory), sources, builds, verilator.waves_kind(waves)
    )
    with tempfile.TemporaryDirectory(prefix="run-", dir=build_dir) as name:
        folder = Path(name)
        memory.write(folder)
        totals = _write_inputs(dut, folder, inputs) | {"m_axis_total_i": frames * output_beats}
        runs = [
            {
                "run_i": number,
                "idle_i": int(stall.source * PROBABILITY),
                "stall_i": int(stall.sink * PROBABILITY),
                "seed_i": stall.seed,
                "timeout_i": timeout,
                **totals,
                **{
                    f"{name}_depth_i": stall.depths.get(name, depth)
                    for name, depth in dut.fifos.items()
                    if dut.adjustable
                },
                **memory.inputs(stall.dram),
            }
            for number, stall in enumerate(stalls)
        ]
        ports = (*binding.inputs, binding.output)
        names = [f"{port.name}_{part}_o" for port in ports for part in ("beats", "first")]
        names += [f"{port.name}_period_o" for port in binding.inputs]
        names += [f"{name}_fill_o" for name in dut.fifos]
        names += [f"{port.name}_{part}_o" for port in binding.axi for part in ("reads", "writes", "owed")]
        names += ["status_o"] if binding.axi else []
        started = time.perf_counter()
        counters = verilator.run(build_dir, folder, runs, [*names, "cycle_o"], waves)
        seconds = seconds_build, time.perf_counter() - started
        yield _Session(dut, folder, frames, stalls, timeout, totals, counters, seconds)


def _bench_text(dut: Dut, probes: Mapping[str, Port], memory: Contents) -> str:
    """Render the bench around the module; file parameters name files of the run's working folder."""
    binding = dut.binding
    parameters = {name: str(value) for name, value in binding.parameters.items()}
    parameters |= {name: f'"{name}.mem"' for name in binding.memories}
    template = jinja2.Template(
        (asset("sim") / "br_bench.sv.j2").read_text(), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return template.render(
        dut=binding,
        parameters=parameters,
        probes=probes,
        fifos=dut.fifos,
        adjustable=dut.adjustable,
        **memory.render(),
    )


def _write_inputs(dut: Dut, folder: Path, inputs: Sequence[Array]) -> dict[str, int]:
    """Fill the working folder of a simulation; return the beats of each input, in all and of a frame."""
    totals = {}
    for name, memory in dut.binding.memories.items():
        (folder / f"{name}.mem").write_text(memory_text(memory))
    for name, path in dut.files.items():
        (folder / name).symlink_to(path.absolute())
    for port, frames in zip(dut.binding.inputs, inputs, strict=True):
        beats = hex_beats(frames, port)
        (folder / f"{port.name}.hex").write_bytes(beats)
        total = frames.size // port.lanes
        totals[f"{port.name}_total_i"] = total
        totals[f"{port.name}_frame_i"] = total // len(frames)
    return totals
