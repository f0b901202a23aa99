"""C synthesis without the tool (one line), with a stand-in for it, and its report in the documented format."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bireal_hw.errors import BirealError
from bireal_hw.hls.vendor import command, read_report, synthesise

REPORT = """<?xml version="1.0"?>
<profile>
  <ReportVersion><Version>2022.2</Version></ReportVersion>
  <UserAssignments>
    <unit>ns</unit>
    <ProductFamily>zynq</ProductFamily>
    <Part>xc7z020-clg400-1</Part>
    <TopModelName>bireal_top</TopModelName>
    <TargetClockPeriod>10.00</TargetClockPeriod>
    <ClockUncertainty>2.70</ClockUncertainty>
    <FlowTarget>vivado</FlowTarget>
  </UserAssignments>
  <PerformanceEstimates>
    <PipelineType>dataflow</PipelineType>
    <SummaryOfTimingAnalysis>
      <unit>ns</unit>
      <EstimatedClockPeriod>7.263</EstimatedClockPeriod>
    </SummaryOfTimingAnalysis>
    <SummaryOfOverallLatency>
      <unit>clock cycles</unit>
      <Best-caseLatency>undef</Best-caseLatency>
      <Interval-min>undef</Interval-min>
    </SummaryOfOverallLatency>
  </PerformanceEstimates>
  <AreaEstimates>
    <Resources>
      <BRAM_18K>71</BRAM_18K><DSP>12</DSP><FF>20115</FF><LUT>31044</LUT><URAM>0</URAM>
    </Resources>
    <AvailableResources>
      <BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF><LUT>53200</LUT><URAM>0</URAM>
    </AvailableResources>
  </AreaEstimates>
</profile>
"""
READ = {
    "clock_ns": 10.0,
    "estimated_clock_ns": 7.263,
    "lut": {"used": 31044, "available": 53200},
    "ff": {"used": 20115, "available": 106400},
    "bram18": {"used": 71, "available": 280},
    "dsp": {"used": 12, "available": 220},
    "uram": {"used": 0, "available": 0},
}


def test_a_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text(REPORT)
    assert read_report(path) == READ


def test_older_releases_say_dsp48e_and_know_no_uram(tmp_path: Path) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text(REPORT.replace("DSP>", "DSP48E>").replace("<URAM>0</URAM>", ""))
    assert read_report(path) == {key: value for key, value in READ.items() if key != "uram"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        ("<profile>", "no element found"),
        ("<profile></profile>", "it gives no clock period"),
    ],
)
def test_what_is_no_report_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "csynth.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BirealError, match=message) as error:
        read_report(path)
    assert str(error.value).startswith(f"{path} is no report of C synthesis: ")


def test_without_the_tool_the_command_for_later_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert synthesise(tmp_path, Path("build/net/pynq-z2/hls")) == {
        "skipped": "neither vitis-run nor vitis_hls is on the PATH",
        "command": "cd build/net/pynq-z2/hls && vitis-run --mode hls --tcl run_hls.tcl",
    }


def stand_in(folder: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program on the PATH that behaves as the tool is told to."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}/usr/bin:/bin")


@pytest.mark.parametrize("name", ["vitis-run", "vitis_hls"])
def test_with_the_tool_its_report_is_in_the_result(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "csynth.xml").write_text(REPORT)
    report = "vitis/solution/syn/report"
    body = f'echo "$STEPS: $@"; mkdir -p {report} && cp {tmp_path}/csynth.xml {report}/bireal_top_csynth.xml'
    stand_in(tmp_path, name, body, monkeypatch)
    project = tmp_path / "hls"
    project.mkdir()
    assert synthesise(project, project) == {"tool": name, **READ}
    assert (project / "vitis.log").read_text() == f"csynth: {' '.join(command(name)[1:])}\n"


def test_a_failure_of_the_tool_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "vitis_hls", "echo INFO: hello; echo 'ERROR: [HLS 200-70]  no licence'; exit 3", monkeypatch)
    with pytest.raises(BirealError) as error:
        synthesise(tmp_path, tmp_path)
    assert str(error.value) == "vitis_hls ended with status 3: ERROR: [HLS 200-70] no licence"
