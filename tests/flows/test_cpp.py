"""The command hls on a small network, without torch: its files, its one line, its exit status."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from bireal_hw import cli
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.hls import Table
from bireal_hw.hls.gpp import QUICK
from bireal_hw.hls.network import simulate_network
from bireal_hw.hls.tables import table
from bireal_hw.ir.op import Memory
from tests.networks import tiny

pytestmark = pytest.mark.hls

RUN = Path("build/net/pynq-z2")


@pytest.fixture
def network(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A QONNX file in an empty folder, C simulation without optimisation, no vendor tool on the PATH."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("bireal_hw.flows.cpp.simulate_network", partial(simulate_network, flags=QUICK))
    write(tiny(), workdir / "net.onnx")
    return workdir / "net.onnx"


def test_a_project_a_comparison_and_the_command_for_later(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["hls", "net.onnx", "images=5", "clock=80"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == (
        "C synthesis skipped: neither vitis-run nor vitis_hls is on the PATH; to run it later: "
        "cd build/net/pynq-z2/hls && vitis-run --mode hls --tcl run_hls.tcl"
    )
    report = json.loads((RUN / "hls.json").read_text())
    assert (report["images"], report["outputs_compared"], report["mismatches"]) == (5, 25, 0)
    assert report["first_mismatch"] is None
    assert report["cycles_per_frame"] == report["cycles_predicted"] == max(report["cycles"].values())
    assert (report["run"], report["board"], report["clock_mhz"]) == ("net", "pynq-z2", 80)
    assert "create_clock -period 12.500" in (RUN / "hls" / "run_hls.tcl").read_text()
    assert (RUN / "hls" / "vectors" / "logits.txt").read_text().count("\n") == 5


def test_a_wrong_weight_fails_the_command(
    network: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(one: Table) -> str:
        words = one.memory.words
        if one.name == "conv1_weight":
            words = [word ^ 1 for word in words]
        memory = Memory(one.memory.width, words, one.memory.entry)
        return f'#include "bireal/common.hpp"\n{table(one.name, memory)}\n'

    monkeypatch.setattr("bireal_hw.hls._table_text", wrong)
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
