"""The AXI4 masters against the simulator's memory: random commands compared with an array of bytes, errors, speed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bireal_hw.assets import asset
from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, AxiPort, Binding, Port
from bireal_hw.ir.types import DataType
from bireal_hw.rtl import closure, library_sources
from bireal_hw.sim import verilator
from bireal_hw.sim.dram import Dram
from bireal_hw.sim.packing import hex_beats, parse_beats
from bireal_hw.sim.runner import FREE, Dut, SimResult, StallMode, simulate
from tests.conformance import BUILDS
from tests.faults import planted

pytestmark = pytest.mark.rtl

HERE = Path(__file__).parent
BEAT = 8
WEIGHTS, READ, WRITE = 0, 1, 2
"""Units of axi_unit."""
WORD, PART = DataType(32, signed=False), DataType(16, signed=False)
PORTS = (AxiPort("m_axi_weights", 64, 32, True, False), AxiPort("m_axi_maps", 64, 32, True, True))
IMAGE = np.random.default_rng(1).integers(0, 256, 6 * 1024 + 3, np.uint8)
MAPS = 9 * 1024
"""Bytes: both memories hold 4 KB boundaries, and the image ends inside a beat."""

Command = tuple[int, int, int]
"""Unit, beats, offset in bytes."""

MODES = (
    FREE,
    StallMode(dram=Dram(latency=1)),
    StallMode(source=0.5, seed=3, dram=Dram(latency=70)),
    StallMode(sink=0.7, seed=4, dram=Dram(latency=9, stall=0.3)),
    StallMode(source=0.2, sink=0.2, seed=5, dram=Dram(latency=33, stall=0.6, refresh=(97, 31))),
    StallMode(seed=6, dram=Dram(latency=12, bytes_per_cycle=2.7)),
)


@dataclass(frozen=True)
class Played:
    """Commands, the beats that are written, and what a memory of bytes makes of them: beats, with tlast in front."""

    commands: Sequence[Command]
    written: NDArray[np.uint64]
    want: NDArray[np.uint64]
    last: NDArray[np.bool_]


def naive(commands: Sequence[Command], seed: int = 7) -> Played:
    """Play commands on arrays of bytes."""
    weights = np.zeros(-(-len(IMAGE) // BEAT) * BEAT, np.uint8)
    weights[: len(IMAGE)] = IMAGE
    maps = np.zeros(MAPS, np.uint8)  # nothing is read that has not been written
    rng = np.random.default_rng(seed)
    written, want, last = [], [], []
    for unit, beats, offset in commands:
        here = slice(offset, offset + beats * BEAT)
        if unit == WRITE:
            written.append(rng.integers(0, 256, beats * BEAT, np.uint8))
            maps[here] = written[-1]
        else:
            want.append((weights if unit == WEIGHTS else maps)[here].copy())
            last.append(np.arange(beats) == beats - 1)
    none = np.zeros(0, np.uint8)
    return Played(
        commands,
        np.concatenate([none, *written]).view(np.uint64),
        np.concatenate([none, *want]).view(np.uint64),
        np.concatenate(last),
    )


def dut(sources: tuple[Path, ...] = (), **parameters: int) -> Dut:
    inputs = (Port("s_cmd", 3, WORD), Port("s_axis", 4, PART))
    binding = Binding("axi_unit", parameters, inputs, Port("m_axis", 5, PART), axi=PORTS)
    return Dut(binding, (*(sources or library_sources()), HERE / "axi_unit.sv"), dram=IMAGE.tobytes(), maps=MAPS)


def play(played: Played, stalls: Sequence[StallMode], unit: Dut, timeout: int = 2000) -> list[SimResult]:
    """Run commands; whoever writes nothing sends one beat that no command asks for."""
    commands = np.array([command[::-1] for command in played.commands]).reshape(1, -1, 1, 3)
    data = played.written.view(np.uint16).reshape(1, -1, 1, 4) if len(played.written) else np.zeros((1, 1, 1, 4))
    inputs = commands, data.astype(np.int64)
    return simulate(unit, *inputs, output_beats=len(played.want), stalls=stalls, builds=BUILDS, timeout=timeout)


def beats(parts: Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return what came, and which beats had the tlast of a command."""
    parts = parts.reshape(-1, 5)
    return parts[:, :4].astype(np.uint16).reshape(-1).view(np.uint64), parts[:, 4] == 1


def commands(seed: int, number: int = 60) -> list[Command]:
    """Write all of the maps, do anything anywhere, 0 to 70 beats at a time, and read everything in the end."""
    rng = np.random.default_rng(seed)
    sizes = {WEIGHTS: -(-len(IMAGE) // BEAT), READ: MAPS // BEAT, WRITE: MAPS // BEAT}
    found: list[Command] = [(WRITE, sizes[WRITE], 0)]
    unit = WRITE
    for _ in range(number):
        unit = int(rng.integers(3)) if rng.random() < 0.4 else unit  # several of a unit follow each other at once
        length = int(rng.choice([0, 1, 2, 15, 16, 17, 70, int(rng.integers(1, 71))], p=[0.05] + [0.1] * 6 + [0.35]))
        start = int(rng.integers(sizes[unit] - length + 1))
        if rng.random() < 0.3:  # around 4 KB
            start = min(max(512 - int(rng.integers(20)), 0), sizes[unit] - length)
        found.append((unit, length, start * BEAT))
    found = [one for one in found if one[0] == WRITE or one[1]]  # a read of nothing has no last beat
    return [*found, (WEIGHTS, sizes[WEIGHTS], 0), (READ, sizes[READ], 0)]


def check(played: Played, run: SimResult, stall: StallMode) -> None:
    got, last = beats(run.outputs)
    np.testing.assert_array_equal(got, played.want, err_msg=str((stall, stall.dram)))
    np.testing.assert_array_equal(last, played.last, err_msg=str((stall, stall.dram)))
    assert run.status == 0
    read = {"m_axi_weights": 0, "m_axi_maps": 0}
    for unit, length, _ in played.commands:
        if unit != WRITE:
            read["m_axi_weights" if unit == WEIGHTS else "m_axi_maps"] += length * BEAT
    assert run.bytes_read == read
    assert run.bytes_written == {"m_axi_weights": 0, "m_axi_maps": played.written.nbytes}


@pytest.mark.parametrize(
    ("burst", "depth"), [(16, 64), (16, 16), (1, 1), (64, 65)], ids=["usual", "least", "single", "long"]
)
def test_any_commands_at_any_pace_do_what_an_array_of_bytes_does(burst: int, depth: int) -> None:
    played = naive(commands(burst))
    runs = play(played, MODES, dut(MaxBurst=burst, Depth=depth))
    for stall, run in zip(MODES, runs, strict=True):
        check(played, run, stall)


def played_with_cocotbext(
    played: Played, runs: Sequence[dict[str, object]]
) -> list[tuple[NDArray, NDArray, NDArray, int]]:
    """Run commands against the memory of cocotbext-axi.

    Returns:
        Of each run: beats, which of them had a tlast, the maps in the end, the status.
    """
    pytest.importorskip("cocotbext.axi", reason="cocotbext-axi is not installed")
    inputs = (
        (Port("s_cmd", 3, WORD), np.array([one[::-1] for one in played.commands])),
        (Port("s_axis", 4, PART), played.written.view(np.uint16).reshape(-1, 4)),
    )
    models = sorted(asset("sim").glob("*.sv"))
    sources = [*library_sources(), HERE / "axi_unit.sv", *models]
    build_dir, _ = verilator.build("axi_bench", (HERE / "axi_bench.sv").read_text(), sources, BUILDS)
    ports = {"commands_i": len(played.commands), "written_i": len(played.written), "beats_i": len(played.want)}
    with tempfile.TemporaryDirectory(prefix="run-", dir=build_dir) as name:
        folder = Path(name)
        for port, values in inputs:
            (folder / f"{port.name}.hex").write_bytes(hex_beats(values, port))
        plan = {
            "ports": ports | {"weights_base_i": 0x2000, "maps_base_i": 0xA000},
            "image": IMAGE.tobytes().hex(),
            "maps": bytes(MAPS).hex(),
            "runs": runs,
        }
        found = verilator.play(build_dir, folder, HERE / "play_axi.py", plan)
        output = Port("m_axis", 5, PART)
        streams = [parse_beats((folder / f"{n}.m_axis.hex").read_bytes(), output) for n in range(len(runs))]
    return [
        (*beats(stream), np.frombuffer(bytes.fromhex(one["maps"]), np.uint8), one["status"])
        for stream, one in zip(streams, found, strict=True)
    ]


def paced(source: float, sink: float, pause: float, seed: int, broken: tuple[int, ...] = ()) -> dict[str, object]:
    """A run of play_axi.py."""
    ports = {"idle_i": int(source * 65536), "stall_i": int(sink * 65536), "seed_i": seed}
    return {"ports": ports, "pause": pause, "seed": seed, "broken": broken or (0, 0)}


def test_a_memory_that_others_wrote_gives_and_holds_the_same() -> None:
    played = naive(commands(5))
    runs = [paced(0, 0, 0, 1), paced(0.5, 0, 0.3, 2), paced(0.1, 0.6, 0.6, 3)]
    for got, last, maps, status in played_with_cocotbext(played, runs):
        np.testing.assert_array_equal(got, played.want)
        np.testing.assert_array_equal(last, played.last)
        np.testing.assert_array_equal(maps, played.want[-MAPS // BEAT :].view(np.uint8))
        assert status == 0


def test_its_errors_arrive_in_status() -> None:
    lines = MAPS // BEAT
    played = naive([(WRITE, lines, 0), (WEIGHTS, 40, 0), (READ, lines, 0)])
    weights, maps = (0x2000 + 100, 0x2000 + 108), (0xA000 + MAPS - 8, 0xA000 + MAPS)
    first, second = played_with_cocotbext(played, [paced(0, 0, 0, 1, weights), paced(0, 0, 0, 2, maps)])
    assert (first[3], second[3]) == (1, 3)  # a read; a write and the read of the same
    assert np.flatnonzero(first[0] != played.want).tolist() == [13]
    assert np.flatnonzero(second[0] != played.want).tolist() == [40 + lines - 1]


def test_an_error_is_told_and_nothing_hangs() -> None:
    lines = MAPS // BEAT
    played = naive([(WRITE, lines, 0), (WEIGHTS, 100, 0), (READ, lines, 0)])
    runs = [StallMode(dram=Dram(read_error=3)), StallMode(dram=Dram(write_error=5)), FREE]
    read, write, fine = play(played, runs, dut())
    check(played, fine, FREE)  # the status ends with the reset
    assert (read.status, write.status) == (1, 2)
    assert np.flatnonzero(beats(read.outputs)[0] != played.want).tolist() == [*range(32, 48)]
    assert np.flatnonzero(beats(write.outputs)[0] != played.want).tolist() == [*range(100 + 64, 100 + 80)]


def test_a_place_that_is_no_memory_is_an_error() -> None:
    outside = naive([(WRITE, MAPS // BEAT, 0), (READ, MAPS // BEAT, 0)])
    for unit, status in ((READ, 1), (WRITE, 2)):
        beyond = [*outside.commands[:1], (unit, 1, MAPS), outside.commands[1]]
        one = np.zeros(1, np.uint64)
        written = np.concatenate([outside.written, one]) if unit == WRITE else outside.written
        want = np.concatenate([one, outside.want]) if unit == READ else outside.want
        (run,) = play(replace(outside, commands=beyond, written=written, want=want), [FREE], dut())
        assert run.status == status
        np.testing.assert_array_equal(beats(run.outputs)[0][-MAPS // BEAT :], outside.want)


@pytest.mark.parametrize(
    ("dram", "words"),
    [
        (
            Dram(read_lost=4),
            r"s_cmd 2 of 2 beats, s_axis 20 of 20 beats, m_axis 48 of 100 beats; "
            r"bursts that the memory has not answered: 4 of m_axi_weights",
        ),
        (
            Dram(write_lost=2),
            r"s_cmd 1 of 2 beats, s_axis 20 of 20 beats, m_axis 0 of 100 beats; "
            r"bursts that the memory has not answered: 1 of m_axi_maps",
        ),
    ],
    ids=["read", "write"],
)
def test_a_memory_that_never_answers_ends_the_run_in_words(dram: Dram, words: str) -> None:
    played = naive([(WRITE, 20, 0), (WEIGHTS, 100, 0)])
    with pytest.raises(BirealError) as error:
        play(played, [StallMode(dram=dram)], dut(), timeout=300)
    said = re.escape(f"axi_unit, {FREE}, {dram}: deadlock: no transfer for 300 cycles, after ") + words
    assert re.fullmatch(said, str(error.value)), str(error.value)


def test_speed() -> None:
    """A beat a cycle, with room for the memory's latency; else as many as there is room for, or as the memory moves."""

    def cycles(commands: list[Command], *drams: Dram, depth: int = 64) -> list[int]:
        """Cycles from the first beat to the last one that is read."""
        played = naive(commands)
        stalls = [StallMode(dram=dram) for dram in drams]
        runs = play(played, stalls, dut(Depth=depth))
        for stall, run in zip(stalls, runs, strict=True):
            check(played, run, stall)
        return [run.tlast[0] - run.first_out for run in runs]

    whole = (WEIGHTS, 640, 0)
    assert cycles([(WEIGHTS, 2, 16 * i) for i in range(100)], Dram()) == [199]
    assert cycles([(WEIGHTS, 1, 8 * i) for i in range(100)], Dram()) == [198]  # two cycles a command
    # Credits of a burst are there again behind the latency, its 16 beats and 2 cycles.
    assert cycles([whole], Dram(latency=46), Dram(latency=47)) == [639, 639 + 9]
    assert cycles([whole], Dram(latency=60), depth=32) == [19 * (60 + 16 + 2) + 31]
    slow = Dram(bytes_per_cycle=2), Dram(bytes_per_cycle=6), Dram(refresh=(100, 20))
    assert cycles([whole], *slow) == [4 * 639, 852, 799]


def test_what_is_written_moves_a_beat_a_cycle() -> None:
    def cycles(commands: list[Command]) -> int:
        """Cycles until everything is written and one beat is read."""
        played = naive([*commands, (WEIGHTS, 1, 0)])
        (run,) = play(played, [FREE], dut())
        check(played, run, FREE)
        return run.first_out

    assert cycles([(WRITE, 640, 0)]) - cycles([(WRITE, 320, 0)]) == 320
    assert cycles([(WRITE, 2, 16 * i) for i in range(200)]) - cycles([(WRITE, 2, 16 * i) for i in range(100)]) == 200


def test_ports_share_the_bandwidth_evenly() -> None:
    played = naive([(WRITE, 640, 0), (WEIGHTS, 640, 0)])
    runs = play(played, [FREE, StallMode(dram=Dram(bytes_per_cycle=6))], dut(Together=1))
    free, slow = (run.tlast[0] - run.first_out for run in runs)
    assert np.array_equal(beats(runs[1].outputs)[0], played.want)
    assert free == 639
    # All the while another 640 beats are written: 16 bytes in 16 / 6 cycles.
    assert 1706 - 32 < slow <= 1706


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"latency": 0}, "memory: latency=0 is out of range: 1 to 2^20 - 1 cycles"),
        ({"bytes_per_cycle": -1.0}, "memory: bytes_per_cycle=-1.0 is out of range: 0, or 1/256 to below 2^20"),
        ({"refresh": (10, 10)}, "memory: refresh=(10, 10) is out of range: (every, cycles), fewer cycles than every"),
        ({"stall": 1.0}, "memory: stall=1.0 is out of range: a probability from 0 to below 1"),
        ({"write_lost": -1}, "memory: write_lost=-1 is out of range: 1 or more, or 0 for none"),
    ],
)
def test_impossible_memories_are_refused(behaviour: dict[str, Any], words: str) -> None:
    with pytest.raises(BirealError) as error:
        Dram(**behaviour)
    assert str(error.value) == words


FAULTS = {
    "across-4-kb": ("assign room = BurstWidth'(MaxBurst);", r"cross 4 KB, in cycle \d+$"),
    "burst-without-room": ("assign issue_o = busy_o && free && !hold_i;", ""),
    "next-address": ("beat_q <= beat_q + AddrWidth'(MaxBurst);", ""),
    "address-falls": ("m_axi_valid <= issue_o;", r"m_axi_a[rw]: tvalid fell before its beat was taken, in cycle \d+$"),
    "credit-twice": (
        "credit_q <= credit_q + (CreditWidth'(credit_i) << 1) - (issue_o ? CreditWidth'(burst_q) : '0);",
        "",
    ),
    "credit-lost": (
        "credit_q <= credit_q + CreditWidth'(credit_i) - (issue_o ? CreditWidth'(len_o) + CreditWidth'(2) : '0);",
        "deadlock",
    ),
    "last-of-burst": ("assign beat_last = m_axi_rlast;", "deadlock"),
    "read-error-passed": ("if (m_axi_rvalid && m_axi_rresp == 2'b11) error_o <= 1'b1;", "status 0, not 1"),
    "beat-before-burst": ("assign m_axi_wvalid = fifo_valid;", r"m_axi_w: the beat changed before it was taken"),
    "burst-ends-late": (
        "assign m_axi_wlast = beat_q == 8'(MaxBurst - 1);",
        r"m_axi_w_bursts: last is 0 on beat \d+ of \d+",
    ),
    "idle-early": ("assign idle_o = !busy;", "m_axi_b: idle with bursts under way"),
    "responses-uncounted": (".hold_i (1'b0),", "m_axi_b: idle with bursts under way"),
    "response-twice": (
        "owed_q <= owed_q + OwedWidth'(issue) - (OwedWidth'(m_axi_bvalid) << 1);",
        "",
    ),
    "write-error-passed": ("if (m_axi_bvalid && m_axi_bresp == 2'b11) error_o <= 1'b1;", "status 0, not 2"),
}
"""By the name that stands in the source: what stands there instead, and what is said of it."""

MASTERS = ("br_axi_reader", "br_axi_writer")


def complaint(sources: tuple[Path, ...]) -> str:
    """What is wrong with the masters, or nothing."""
    runs: list[tuple[list[Command], StallMode, int]] = [(commands(2), mode, 0) for mode in MODES]
    many = [(WRITE, 1, 8 * i) for i in range(200)]
    runs += [([*many, (READ, 200, 0)], StallMode(dram=Dram(latency=600)), 0)]  # more bursts than the writer counts
    runs += [([*many[:4], (WEIGHTS, 4, 0)], StallMode(dram=Dram(read_error=1)), 1)]
    runs += [([*many[:4], (WEIGHTS, 4, 0)], StallMode(dram=Dram(write_error=2)), 2)]
    for several, mode, status in runs:
        played = naive(several)
        try:
            (run,) = play(played, [mode], dut(sources))
        except BirealError as error:
            if "does not build" in str(error):
                raise
            return str(error)
        got, last = beats(run.outputs)
        if run.status != status:
            return f"status {run.status}, not {status}"
        if not status and not np.array_equal(got, played.want):
            return "beats differ"
        if not np.array_equal(last, played.last):
            return "tlast differs"
    return ""


USUAL = ("across-4-kb", "burst-without-room", "credit-lost", "read-error-passed", "response-twice")
"""Those of `make test`: boundary, credits, errors and responses."""


@pytest.mark.parametrize(
    "fault", [fault if fault in USUAL else pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS]
)
def test_a_fault_in_the_source_is_caught(fault: str, tmp_path: Path) -> None:
    code, said = FAULTS[fault]
    marked = next(
        path
        for path in closure(set(MASTERS))
        if f"// fault: {fault}" in path.read_text() or f", {fault}\n" in path.read_text()
    )
    sources = planted(fault, code, marked.stem, tmp_path)
    others = [path for path in closure(set(MASTERS)) if path.name not in {copy.name for copy in sources}]
    found = complaint((*sources, *others))
    assert found
    assert re.search(said, found), found


def test_sound_masters_pass_the_same_check() -> None:
    assert complaint(tuple(closure(set(MASTERS)))) == ""
