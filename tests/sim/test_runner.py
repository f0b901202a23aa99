"""The tester, tested: a good module passes, and each broken rule is named."""

from __future__ import annotations

import gzip
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Array, Binding, Memory, Port
from bireal_hw.ir.types import DataType
from bireal_hw.rtl import library_sources
from bireal_hw.sim import verilator
from bireal_hw.sim.runner import FREE, Dut, SimResult, StallMode, record, simulate
from tests.conformance import BUILDS

HERE = Path(__file__).parent
BYTE = DataType(8)
FAULTY = Dut(Binding("faulty", {}, (Port("s_axis", 1, BYTE),), Port("m_axis", 1, BYTE)), (HERE / "faulty.sv",))
BUSY = StallMode(source=0.3, sink=0.5, seed=2)


def frames(fault: int, beats: int = 6) -> Array:
    x = np.arange(2 * beats).reshape(2, beats, 1, 1) + 20
    x[0, 0] = fault
    return x


def play(fault: int, stall: StallMode) -> SimResult:
    return simulate(FAULTY, frames(fault), output_beats=6, stalls=[stall], builds=BUILDS, timeout=200)[0]


@pytest.mark.rtl
def test_good_module_passes_and_its_cycles_are_exact() -> None:
    free, busy = simulate(FAULTY, frames(0), output_beats=6, stalls=[FREE, BUSY], builds=BUILDS)
    np.testing.assert_array_equal(free.outputs, frames(0).reshape(2, 6))
    np.testing.assert_array_equal(busy.outputs, free.outputs)
    assert (free.latency, free.interval) == (1, Fraction(6))
    assert busy.tlast[-1] > free.tlast[-1]


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("fault", "stall", "message"),
    [
        (1, FREE, "deadlock: no transfer for 200 cycles, after s_axis 3 of 12 beats, m_axis 3 of 12 beats"),
        (2, BUSY, "br_bench.u_m_axis.s_axis: tvalid fell before its beat was taken, in cycle 14"),
        (3, BUSY, "br_bench.u_m_axis.s_axis: the beat changed before it was taken, in cycle 14"),
        (4, FREE, "more beats than expected: s_axis 12 of 12 beats, m_axis 13 of 12 beats"),
        (5, FREE, "m_axis_tlast on beats [1, 2, 3, 4, 5, 6, 7, 8], not [6, 12]"),
        (6, StallMode(sink=0.5, seed=3), "deadlock: no transfer for 200 cycles, after s_axis 1 of 12 beats, m_axis 0"),
    ],
)
def test_broken_rule_is_named(fault: int, stall: StallMode, message: str) -> None:
    with pytest.raises(BirealError) as error:
        play(fault, stall)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.rtl
def test_second_simulation_builds_nothing() -> None:
    play(0, FREE)
    assert play(0, FREE).seconds_build == 0.0


@pytest.mark.rtl
def test_file_parameters_read_the_memories_of_the_call_without_a_new_build() -> None:
    x = np.arange(8).reshape(1, 4, 1, 2)
    pixels, out = DataType(8, signed=False), DataType(9)
    results = []
    for offset in (0, 200):
        memory = {"OffsetFile": Memory(18, [offset << 9 | 1])}
        binding = Binding(
            "br_center",
            {"Channels": 2, "Lanes": 2, "OutWidth": 9},
            (Port("s_axis", 2, pixels),),
            Port("m_axis", 2, out),
            memory,
        )
        results += simulate(Dut(binding), x, output_beats=4, builds=BUILDS)
        np.testing.assert_array_equal(results[-1].outputs.reshape(x.shape), x - np.array([1, offset]))
    assert results[1].seconds_build == 0.0


@pytest.mark.rtl
def test_probe_records_a_stream_inside() -> None:
    dut = Dut(
        Binding("slices", {}, (Port("s_axis", 1, BYTE),), Port("m_axis", 1, BYTE)),
        (*library_sources(), HERE / "slices.sv"),
    )
    x = frames(7)
    with record(dut, x, probes={"first": Port("m_axis", 1, BYTE)}, output_beats=6, stall=BUSY, builds=BUILDS) as probe:
        np.testing.assert_array_equal(probe("first").ravel(), x.ravel())


@pytest.mark.rtl
def test_waves_are_written(tmp_path: Path) -> None:
    waves = tmp_path / f"waves{verilator.waves_format()}"
    simulate(FAULTY, frames(0), output_beats=6, builds=BUILDS, waves=waves)
    assert waves.stat().st_size > 0


def test_packed_waves_are_a_vcd(tmp_path: Path) -> None:
    waves = tmp_path / "waves.vcd.gz"
    simulate(FAULTY, frames(0), output_beats=6, builds=BUILDS, waves=waves)
    text = gzip.decompress(waves.read_bytes()).decode()
    assert text.startswith("$")
    assert "$enddefinitions $end" in text
    assert max(int(line[1:]) for line in text.splitlines() if line.startswith("#")) > 0


def test_waves_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BirealError, match=r"cannot write .*nowhere/waves.vcd.gz: No such file or directory"):
        simulate(FAULTY, frames(0), output_beats=6, builds=BUILDS, waves=tmp_path / "nowhere" / "waves.vcd.gz")


def test_unknown_waveform_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BirealError) as error:
        simulate(FAULTY, frames(0), output_beats=6, builds=tmp_path, waves=tmp_path / "waves.lxt")
    assert str(error.value) == "unknown waveform format '.lxt': did you mean '.fst'? choose from .fst, .vcd"


@pytest.mark.rtl
def test_module_that_does_not_compile_stops_with_the_first_error(tmp_path: Path) -> None:
    source = tmp_path / "broken.sv"
    source.write_text("module broken (input wire clk_i)\nendmodule\n")
    dut = Dut(Binding("broken", {}, (Port("s_axis", 1, BYTE),), Port("m_axis", 1, BYTE)), (source,))
    with pytest.raises(BirealError, match=r"^the simulator does not build: %Error: .*broken.sv:2:1: syntax error"):
        simulate(dut, frames(0), output_beats=6, builds=tmp_path / "builds")


def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BirealError) as error:
        verilator.tool_environment()
    assert str(error.value) == "sim needs g++, make, perl: apt install g++ make perl"


@pytest.mark.rtl
def test_what_other_programs_left_in_the_environment_and_blanks_in_paths_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strange = {"COCOTB_TEST_FILTER": "nothing", "COCOTB_TESTCASE": "nothing", "GPI_USERS": "nothing", "WAVES": "1"}
    for name, value in (strange | {"VERILATOR_BIN": "nothing", "MAKEFLAGS": "n", "TOPLEVEL": "nothing"}).items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "two words" / "x"
    folder.mkdir(parents=True)
    source = folder / "faulty.sv"
    source.write_text((HERE / "faulty.sv").read_text())
    monkeypatch.chdir(folder)
    dut = Dut(FAULTY.binding, (Path("faulty.sv"),))
    waves = folder / "all waves.vcd"
    (done,) = simulate(dut, frames(0), output_beats=6, builds=Path("builds"), waves=waves)
    np.testing.assert_array_equal(done.outputs, frames(0).reshape(2, 6))
    assert waves.stat().st_size > 0


def test_unknown_module_and_wrong_inputs_are_refused(tmp_path: Path) -> None:
    ports = (Port("s_axis", 1, BYTE),), Port("m_axis", 1, BYTE)
    with pytest.raises(BirealError, match=r"^unknown module 'br_merg': did you mean 'br_merge'\?"):
        simulate(Dut(Binding("br_merg", {}, *ports)), frames(0), output_beats=6, builds=tmp_path)
    with pytest.raises(BirealError, match=r"^faulty: needs 1 inputs of the same number of frames"):
        simulate(FAULTY, frames(0), frames(0), output_beats=6, builds=tmp_path)
    with pytest.raises(BirealError, match=r"sink=1.0 is out of range"):
        StallMode(sink=1.0)
    with pytest.raises(BirealError, match=r"seed=0 is out of range"):
        StallMode(seed=0)


def ending(*apart: int) -> SimResult:
    """Return a run whose frames end so many cycles apart."""
    ends = tuple(int(end) for end in np.cumsum([100, *apart]))
    return SimResult(np.zeros((len(ends), 1), np.int64), 0, 10, ends, ends[-1], {}, 0.0, 0.0)


@pytest.mark.parametrize(
    ("apart", "interval"),
    [
        ((2048,), 2048),
        ((2100, 2048, 2048), 2048),
        ((2090, 2044, 2051, 2049, 2044, 2051, 2049), 2048),  # no two are alike, and none is the mean
        ((2044, 2044, 2051, 2049, 2044, 2051, 2049, 2044, 2051, 2049), 2048),
        ((2048, 2049, 2049, 2046, 2048, 2049, 2049, 2046, 2048, 2049, 2049), 2048),  # the last two are alike by chance
        ((2048, 2048, 2049, 2048, 2049, 2048, 2049), Fraction(4097, 2)),
        ((2000, 2010, 2030, 2060), 2045),
    ],
)
def test_the_cycles_per_frame_are_the_mean_over_a_period(apart: tuple[int, ...], interval: int | Fraction) -> None:
    assert ending(*apart).interval == interval


def test_one_frame_has_no_interval() -> None:
    with pytest.raises(BirealError, match=r"^the distance of two frames needs two frames; 1 was simulated$"):
        _ = ending().interval
