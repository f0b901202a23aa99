"""Report files in the formats of Vitis HLS and Vivado, and programs that stand in for the tools and leave them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SYNTHESIS = """<?xml version="1.0"?>
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
FUNCTION = """<?xml version="1.0"?>
<profile>
  <UserAssignments><TopModelName>multiply_stem_config_s</TopModelName></UserAssignments>
  <PerformanceEstimates>
    <SummaryOfLoopLatency>
      <VITIS_LOOP_98_1>
        <TripCount>undef</TripCount><Latency>undef</Latency>
        <PipelineII>1</PipelineII><PipelineDepth>6</PipelineDepth>
      </VITIS_LOOP_98_1>
      <outer>
        <TripCount>10</TripCount>
        <inner><Name>inner</Name><TripCount>4</TripCount><PipelineII>2</PipelineII></inner>
      </outer>
    </SummaryOfLoopLatency>
  </PerformanceEstimates>
</profile>
"""
COSIMULATION = """
Report time       : Mon Jan  1 12:00:00 2024.
Solution          : solution.
Simulation tool   : xsim.

+----------+----------+-----------------------------------------------+-----------------------------------------------+----------------------+
|          |          |           Latency(Clock Cycles)               |              Interval(Clock Cycles)           | Total Execution Time |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+    (Clock Cycles)    +
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |                      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+----------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|                    NA|
|   Verilog|      Pass|           2310|           2310|           2310|             NA|             NA|             NA|                  2310|
+----------+----------+-----------------------------------------------+-----------------------------------------------+----------------------+
"""  # noqa: E501
UTILISATION = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
-----------------------------------------------------------------
| Tool Version : Vivado v.2022.2 (lin64)
| Command      : report_utilization -file utilisation.rpt
| Design       : bireal_wrapper
| Device       : xc7z020clg400-1
| Design State : Routed
-----------------------------------------------------------------

Utilization Design Information

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs                 | 29871 |     0 |          0 |     53200 | 56.15 |
|   LUT as Logic             | 27105 |     0 |          0 |     53200 | 50.95 |
|   LUT as Memory            |  2766 |     0 |          0 |     17400 | 15.90 |
|     LUT as Shift Register  |   742 |     0 |            |           |       |
| Slice Registers            | 33918 |     0 |          0 |    106400 | 31.88 |
|   Register as Latch        |     0 |     0 |          0 |    106400 |  0.00 |
+----------------------------+-------+-------+------------+-----------+-------+

3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | 43.5 |     0 |          0 |       140 | 31.07 |
|   RAMB36/FIFO*    |   38 |     0 |          0 |       140 | 27.14 |
|   RAMB18          |   11 |     0 |          0 |       280 |  3.93 |
+-------------------+------+-------+------------+-----------+-------+
* Note: Each Block RAM Tile only has one FIFO logic available.

4. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |   14 |     0 |          0 |       220 |  6.36 |
|   DSP48E1 only |   14 |       |            |           |       |
+----------------+------+-------+------------+-----------+-------+
"""
TIMING = """
1. checking no_clock (0)
------------------------

------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints  
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------  
      0.412        0.000                      0                88123        0.021        0.000                      0                88123        3.750        0.000                       0                 36120  


All user specified timing constraints are met.
"""  # noqa: E501, W291

_REPORTS = "vitis/solution/syn/report"
VITIS = {
    f"{_REPORTS}/bireal_top_csynth.xml": SYNTHESIS,
    f"{_REPORTS}/multiply_stem_config_s_csynth.xml": FUNCTION.replace("<PipelineII>2<", "<PipelineII>1<"),
    "vitis/solution/sim/report/bireal_top_cosim.rpt": COSIMULATION,
    "vitis/solution/impl/ip/component.xml": "<spirit:component/>",
}
"""What Vitis HLS leaves in a project's folder, by name."""
VIVADO = {
    "utilisation.rpt": UTILISATION,
    "timing.rpt": TIMING,
    "overlay/bireal.bit": "bits",
    "overlay/bireal.hwh": "<EDKSYSTEM/>",
}
"""The same of Vivado with `run_vivado.tcl`."""


def stand_in(folder: Path, name: str, leaves: dict[str, str], says: str = "INFO: hello", status: int = 0) -> None:
    """Put a program into a folder that notes how it is called, says something and leaves files where it runs."""
    files = folder / f"{name}.files"
    for path, text in leaves.items():
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_text(text)
    files.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(
        f'#!/bin/sh\necho "$STEPS: $*" > called.{name}\nif read line; then exit 77; fi\n'
        f"cp -r {files}/. .\nprintf '%s\\n' '{says}'\nexit {status}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def path_with(folder: Path) -> str:
    """A PATH of these programs and the shell's own."""
    return f"{folder}{os.pathsep}/usr/bin:/bin"
