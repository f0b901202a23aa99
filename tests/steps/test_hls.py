"""The command hls on a small network, without torch: its files, its one line, its exit status."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from bireal_hw import cli
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.hls.design import Table
from bireal_hw.hls.gpp import QUICK
from bireal_hw.hls.network import simulate_network
from bireal_hw.hls.tables import table
from bireal_hw.ir.op import Memory
from tests.conformance import BUILDS
from tests.hls.vendor_files import TIMING, VITIS, VIVADO, path_with, stand_in
from tests.networks import tiny

pytestmark = pytest.mark.hls

RUN = Path("build/net/pynq-z2")


@pytest.fixture
def network(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A QONNX file in an empty folder, C simulation without optimisation, no vendor tool on the PATH."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("bireal_hw.steps.hls.simulate_network", partial(simulate_network, flags=QUICK))
    monkeypatch.setattr("bireal_hw.steps.hls.BUILD", BUILDS.parent)  # one compilation for all tests
    write(tiny(), workdir / "net.onnx")
    return workdir / "net.onnx"


def test_a_project_a_comparison_and_the_command_for_later(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["hls", "net.onnx", "images=5", "clock=80"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == (
        "C synthesis with IP export and bitstream skipped: neither vitis-run nor vitis_hls is on the PATH; "
        "to run it later: cd build/net/pynq-z2/hls && STEPS='csynth export' vitis-run --mode hls --tcl run_hls.tcl "
        "&& vivado -mode batch -source run_vivado.tcl"
    )
    report = json.loads((RUN / "hls.json").read_text())
    assert (report["images"], report["outputs_compared"], report["mismatches"]) == (5, 25, 0)
    assert report["first_mismatch"] is None
    assert report["cycles_per_frame"] == report["cycles_predicted"] == max(report["cycles"].values())
    assert (report["run"], report["board"], report["clock_mhz"]) == ("net", "pynq-z2", 80)
    assert "create_clock -period 12.500" in (RUN / "hls" / "run_hls.tcl").read_text()
    assert (RUN / "hls" / "vectors" / "logits.txt").read_text().count("\n") == 5


@pytest.fixture
def tools(network: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for Vitis HLS and Vivado on the PATH."""
    folder = tmp_path_factory.mktemp("tools")
    stand_in(folder, "vitis_hls", VITIS)
    stand_in(folder, "vivado", VIVADO)
    monkeypatch.setenv("PATH", path_with(folder))
    return folder


def test_with_the_tools_the_command_goes_on_to_the_bitstream(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["hls", "net.onnx", "images=2", "cosim=1"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-3:] == [
        "C synthesis with IP export by vitis_hls: lut 31,044 of 53,200, ff 20,115 of 106,400, bram18 71 of 280, "
        "dsp 12 of 220, uram 0 of 0, clock 7.263 of 10.0 ns, 2 loops, all with an initiation interval of 1",
        "co-simulation by vitis_hls: the same logits after 2,310 cycles",
        "bitstream by vivado: lut 29,871 of 53,200, ff 33,918 of 106,400, bram36 43.5 of 140, dsp 14 of 220, "
        "slack 0.412 ns at 100 MHz; build/net/pynq-z2/hls/overlay/bireal.bit",
    ]
    report = json.loads((RUN / "hls.json").read_text())
    assert report["synthesis"]["lut"] == {"used": 31044, "available": 53200}
    assert report["cosimulation"]["passed"] is True
    assert report["bitstream"]["setup_slack_ns"] == 0.412
    for stage in ("synthesis", "bitstream"):
        assert Path(report[stage]["log"]).read_text() == "INFO: hello\n"
    assert all(Path(name).is_file() for name in report["bitstream"]["files"])
    assert Path(report["synthesis"]["ip"]).is_dir()


def test_a_tool_that_fails_fails_the_command_and_leaves_its_log(
    tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tools, "vivado", {}, "ERROR: [Place 30-640] Place Check : This design requires more LUTs", status=1)
    assert cli.run(["hls", "net.onnx", "images=2"]) == 1
    err = capsys.readouterr().err
    assert err == (
        "error: bitstream by vivado: it ended with status 1: ERROR: [Place 30-640] Place Check : This design requires "
        "more LUTs (log: build/net/pynq-z2/hls/vivado.out)\n"
    )
    assert "Place 30-640" in (RUN / "hls" / "vivado.out").read_text()
    report = json.loads((RUN / "hls.json").read_text())
    assert report["mismatches"] == 0
    assert report["synthesis"]["loops"] == 2
    assert "failed" in report["bitstream"]


@pytest.mark.parametrize(("of", "becomes"), [(" 0.412 ", "-0.250 "), (" 0.021 ", "-0.250 ")])
def test_timing_that_is_not_met_fails_the_command(
    of: str, becomes: str, tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tools, "vivado", VIVADO | {"timing.rpt": TIMING.replace(of, becomes)})
    assert cli.run(["hls", "net.onnx", "images=2", "clock=150"]) == 1
    assert capsys.readouterr().err == (
        "error: timing is not met at 142.857 MHz: the worst slack is -0.25 ns; ask for less with clock=\n"
    )
    assert (RUN / "hls" / "overlay" / "bireal.bit").is_file()


def test_another_network_replaces_the_project_with_what_the_tools_made(tools: Path) -> None:
    assert cli.run(["hls", "net.onnx", "images=2"]) == 0
    first = json.loads((RUN / "hls" / "project.json").read_text())
    write(tiny(seed=1), Path("net.onnx"))
    for program in tools.iterdir():
        if program.is_file():
            program.unlink()
    assert cli.run(["hls", "net.onnx", "images=2"]) == 0
    second = json.loads((RUN / "hls" / "project.json").read_text())
    assert first["network"] != second["network"]
    assert first["board"] == second["board"] == "pynq-z2"
    assert not (RUN / "hls" / "vitis").exists()
    assert not (RUN / "hls" / "overlay" / "bireal.bit").exists()
    assert "skipped" in json.loads((RUN / "hls.json").read_text())["bitstream"]


def test_a_wrong_weight_fails_the_command(
    network: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(one: Table) -> str:
        words = one.memory.words
        if one.name == "conv1_weight":
            words = [word ^ 1 for word in words]
        memory = Memory(one.memory.width, words, one.memory.entry)
        return f'#include "bireal/common.hpp"\n{table(one.name, memory)}\n'

    monkeypatch.setattr("bireal_hw.hls.generator._table_text", wrong)
    assert cli.run(["hls", "net.onnx", "images=3"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "of 15 outputs differ from the golden model; first: layer conv1 at [0, " in err
    assert json.loads((RUN / "hls.json").read_text())["mismatches"] > 0
    assert (RUN / "hls_mismatch" / "conv1_got.npy").is_file()


def test_a_board_that_vitis_does_not_know_is_refused(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["hls", "net.onnx", "board=ulx3s-85f"]) == 1
    assert capsys.readouterr().err == (
        "error: Vitis HLS does not build for board=ulx3s-85f (LFE5U-85F-6BG381C): "
        "choose from alveo-u250, kv260, pynq-z1, pynq-z2, ultra96-v2, zcu102, zcu104\n"
    )
    assert not Path("build/net/ulx3s-85f/hls").exists()
