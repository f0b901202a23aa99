"""The vendor's tools: none (one line), and stand-ins for them that succeed, fail, or leave no use; their reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.hls import generate
from bireal_hw.hls.reports import read_cosimulation, read_synthesis, read_timing, read_utilisation
from bireal_hw.hls.vendor import synthesise
from bireal_hw.passes.folding import fold
from tests.hls.vendor_files import (
    COSIMULATION,
    FUNCTION,
    SYNTHESIS,
    TIMING,
    UTILISATION,
    VITIS,
    VIVADO,
    path_with,
    stand_in,
)
from tests.networks import tiny

SYNTHESISED = {
    "clock_ns": 10.0,
    "estimated_clock_ns": 7.263,
    "lut": {"used": 31044, "available": 53200},
    "ff": {"used": 20115, "available": 106400},
    "bram18": {"used": 71, "available": 280},
    "dsp": {"used": 12, "available": 220},
    "uram": {"used": 0, "available": 0},
}
UTILISED = {
    "lut": {"used": 29871, "available": 53200},
    "ff": {"used": 33918, "available": 106400},
    "bram36": {"used": 43.5, "available": 140},
    "dsp": {"used": 14, "available": 220},
}
FINAL = Path("build/net/pynq-z2/hls")
VIVADO_COMMAND = "vivado -mode batch -source run_vivado.tcl"


# ---- reports ----


def written(folder: Path, text: str, name: str = "bireal_top_csynth.xml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_synthesis_is_read_with_the_loops_of_every_function(tmp_path: Path) -> None:
    path = written(tmp_path, SYNTHESIS)
    assert read_synthesis(path) == SYNTHESISED | {"loops": 0, "slower_loops": []}
    written(tmp_path, FUNCTION, "multiply_stem_config_s_csynth.xml")
    slower = ["multiply_stem_config_s/inner: 2"]
    assert read_synthesis(path) == SYNTHESISED | {"loops": 2, "slower_loops": slower}


def test_older_releases_say_dsp48e_and_know_no_uram(tmp_path: Path) -> None:
    text = SYNTHESIS.replace("DSP>", "DSP48E>").replace("<URAM>0</URAM>", "")
    report = read_synthesis(written(tmp_path, text))
    assert {key: report[key] for key in report if key not in ("loops", "slower_loops")} == {
        key: value for key, value in SYNTHESISED.items() if key != "uram"
    }


def test_cosimulation_is_read(tmp_path: Path) -> None:
    assert read_cosimulation(written(tmp_path, COSIMULATION)) == {"passed": True, "latency_cycles": 2310}
    failed = COSIMULATION.replace("      Pass|           2310|           2310|           2310", "      Fail|NA|NA|NA")
    assert read_cosimulation(written(tmp_path, failed)) == {"passed": False, "latency_cycles": None}


def test_utilisation_is_read(tmp_path: Path) -> None:
    assert read_utilisation(written(tmp_path, UTILISATION)) == UTILISED
    older = UTILISATION.replace(" Prohibited |", "").replace("|          0 |", "|").replace("|            |", "|")
    assert read_utilisation(written(tmp_path, older)) == UTILISED
    ultrascale = UTILISATION.replace("Slice LUTs ", "CLB LUTs*  ").replace("Slice Registers", "CLB Registers  ")
    assert read_utilisation(written(tmp_path, ultrascale)) == UTILISED


def test_timing_is_read(tmp_path: Path) -> None:
    assert read_timing(written(tmp_path, TIMING)) == {"setup_slack_ns": 0.412, "hold_slack_ns": 0.021}
    missed = TIMING.replace(" 0.412 ", "-1.250 ")
    assert read_timing(written(tmp_path, missed))["setup_slack_ns"] == -1.25


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_synthesis, None, "is no report of C synthesis: .* No such file or directory"),
        (read_synthesis, "<profile>", "is no report of C synthesis: no element found"),
        (read_synthesis, "<profile></profile>", "is no report of C synthesis: it gives no clock period"),
        (read_cosimulation, None, "is no report of co-simulation: .* No such file"),
        (read_cosimulation, COSIMULATION.replace("Pass", "NA"), "is no report of co-simulation: no language was"),
        (read_utilisation, None, "is no report of utilisation: .* No such file"),
        (read_utilisation, UTILISATION.replace("LUTs", "Xs"), "is no report of utilisation: it has no row of look-up"),
        (read_timing, None, "is no report of timing: .* No such file"),
        (read_timing, TIMING.replace("WNS", "X"), "is no report of timing: it has no worst slacks"),
        (read_timing, TIMING.replace("0.412", "   NA"), "is no report of timing: it has no worst slacks"),
    ],
)
def test_what_is_no_report_is_refused(
    read: Callable[[Path], Any], text: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "report"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BirealError, match=f"^{path} {message}"):
        read(path)


# ---- the tools ----


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for stand-ins, alone on the PATH with the shell's programs."""
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin"))
    monkeypatch.delenv("STEPS", raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    graph = tiny()
    generate(graph, fold(graph, 2_000), tmp_path / "hls", "xc7z020clg400-1", 100, "pynq-z2")
    return tmp_path / "hls"


def test_without_tools_the_commands_for_later_are_given(tools: Path, project: Path) -> None:
    left_out = {
        "skipped": "neither vitis-run nor vitis_hls is on the PATH",
        "command": f"cd {FINAL} && STEPS='csynth export' vitis-run --mode hls --tcl run_hls.tcl && {VIVADO_COMMAND}",
    }
    assert synthesise(project, FINAL).plain() == {"synthesis": left_out, "bitstream": left_out}
    cosim = synthesise(project, FINAL, cosim=True).plain()
    assert list(cosim) == ["synthesis", "cosimulation", "bitstream"]
    assert "STEPS='csynth cosim export' vitis-run" in cosim["synthesis"]["command"]


@pytest.mark.parametrize(
    ("name", "words"), [("vitis-run", "--mode hls --tcl run_hls.tcl"), ("vitis_hls", "-f run_hls.tcl")]
)
def test_with_both_tools_all_reports_are_in_the_result(name: str, words: str, tools: Path, project: Path) -> None:
    stand_in(tools, name, VITIS)
    stand_in(tools, "vivado", VIVADO)
    said: list[str] = []
    assert synthesise(project, FINAL, note=said.append).plain() == {
        "synthesis": {"tool": name, "log": f"{FINAL}/{name}.out"}
        | SYNTHESISED
        | {"loops": 2, "slower_loops": [], "ip": f"{FINAL}/vitis/solution/impl/ip"},
        "bitstream": {"tool": "vivado", "log": f"{FINAL}/vivado.out", "clock_mhz": 100.0}
        | UTILISED
        | {"setup_slack_ns": 0.412, "hold_slack_ns": 0.021}
        | {"files": [f"{FINAL}/overlay/bireal.bit", f"{FINAL}/overlay/bireal.hwh"]},
    }
    assert (project / f"called.{name}").read_text() == f"csynth export: {words}\n"
    assert (project / "called.vivado").read_text() == (
        ": -mode batch -source run_vivado.tcl -nojournal -nolog -notrace\n"
    )
    assert (project / f"{name}.out").read_text() == "INFO: hello\n"
    assert [text.split()[0] for text in said] == [name, "vivado"]


def test_the_newer_tool_is_preferred(tools: Path, project: Path) -> None:
    for name in ("vitis_hls", "vitis-run"):
        stand_in(tools, name, VITIS)
    assert synthesise(project, FINAL).plain()["synthesis"]["tool"] == "vitis-run"


def test_cosimulation_on_request(tools: Path, project: Path) -> None:
    stand_in(tools, "vitis_hls", VITIS)
    result = synthesise(project, FINAL, cosim=True).plain()
    assert result["cosimulation"] == {
        "tool": "vitis_hls",
        "log": f"{FINAL}/vitis_hls.out",
        "passed": True,
        "latency_cycles": 2310,
    }
    assert (project / "called.vitis_hls").read_text().startswith("csynth cosim export: ")
    assert result["bitstream"] == {
        "skipped": "vivado is not on the PATH",
        "command": f"cd {FINAL} && {VIVADO_COMMAND}",
    }


def test_cosimulation_that_differs_goes_no_further(tools: Path, project: Path) -> None:
    name = "vitis/solution/sim/report/bireal_top_cosim.rpt"
    stand_in(tools, "vitis_hls", VITIS | {name: COSIMULATION.replace("Pass", "Fail")})
    stand_in(tools, "vivado", VIVADO)
    result = synthesise(project, FINAL, cosim=True).plain()
    assert result["cosimulation"]["failed"] == "the SystemVerilog gives other logits"
    assert result["bitstream"] == {"skipped": "cosimulation failed"}
    assert not (project / "called.vivado").exists()


def test_a_failure_is_told_in_the_tool_s_words(tools: Path, project: Path) -> None:
    stand_in(tools, "vitis_hls", {}, "INFO: hello\nERROR: [HLS 200-70]  no licence\nERROR: more", status=3)
    stand_in(tools, "vivado", VIVADO)
    result = synthesise(project, FINAL).plain()
    assert result["synthesis"] == {
        "tool": "vitis_hls",
        "log": f"{FINAL}/vitis_hls.out",
        "failed": "it ended with status 3: ERROR: [HLS 200-70] no licence",
    }
    assert result["bitstream"] == {"skipped": "synthesis failed"}
    assert "more" in (project / "vitis_hls.out").read_text()


def test_a_tool_that_leaves_nothing_has_failed(tools: Path, project: Path) -> None:
    """Whatever its exit status says."""
    stand_in(tools, "vitis_hls", {name: text for name, text in VITIS.items() if "component" not in name})
    assert synthesise(project, FINAL).plain()["synthesis"]["failed"] == f"{FINAL}/vitis/solution/impl/ip holds no IP"
    stand_in(tools, "vitis_hls", VITIS)
    stand_in(tools, "vivado", {name: text for name, text in VIVADO.items() if not name.endswith("bit")})
    assert synthesise(project, FINAL).plain()["bitstream"]["failed"] == f"{FINAL}/overlay/bireal.bit is missing"
    (project / "vitis" / "solution" / "syn" / "report" / "bireal_top_csynth.xml").write_text("<profile>")
    (tools / "vitis_hls.files" / "vitis" / "solution" / "syn" / "report" / "bireal_top_csynth.xml").unlink()
    assert synthesise(project, FINAL).plain()["synthesis"]["failed"] == (
        f"{FINAL}/vitis/solution/syn/report/bireal_top_csynth.xml is no report of C synthesis: "
        "no element found: line 1, column 9"
    )


def test_a_board_without_a_block_design_ends_with_the_ip(tools: Path, tmp_path: Path) -> None:
    graph = tiny()
    generate(graph, fold(graph, 2_000), tmp_path / "hls", "xcu250-figd2104-2L-e", 200, "alveo-u250")
    none = {"skipped": "a block design is written for kv260, pynq-z1, pynq-z2, ultra96-v2, zcu102, zcu104 only"}
    without = synthesise(tmp_path / "hls", FINAL).plain()
    assert without["bitstream"] == none
    assert "vivado" not in without["synthesis"]["command"]
    stand_in(tools, "vitis-run", VITIS)
    stand_in(tools, "vivado", VIVADO)
    result = synthesise(tmp_path / "hls", FINAL).plain()
    assert "failed" not in result["synthesis"]
    assert result["bitstream"] == none
