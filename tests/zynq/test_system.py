"""The block design: its script in a Tcl interpreter, held against the ports that product guides give."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bireal_hw import boards
from bireal_hw.hls import generate
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import Folding, fold
from bireal_hw.zynq import system as zynq
from bireal_hw.zynq.ports import shape
from tests.networks import tiny
from tests.tcl import Run, run_tcl
from tests.zynq.boards import with_engine

ZYNQ = [name for name in boards.names() if name in zynq.boards()]


@dataclass(frozen=True)
class Ports:
    """What an IP has: interfaces that lead and follow, clock and reset inputs, outputs, other inputs."""

    leads: set[str] = field(default_factory=set)
    follows: set[str] = field(default_factory=set)
    clocks: set[str] = field(default_factory=set)
    resets: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)


IPS = {
    "xilinx.com:ip:processing_system7": Ports(  # UG585 and PG082, with GP0, HP0 and interrupts switched on
        {"M_AXI_GP0", "DDR", "FIXED_IO"},
        {"S_AXI_HP0"},
        {"M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"},
        outputs={"FCLK_CLK0", "FCLK_RESET0_N"},
        inputs={"IRQ_F2P"},
    ),
    "xilinx.com:ip:zynq_ultra_ps_e": Ports(  # PG201, with HPM0_FPD, HP0_FPD and interrupts switched on
        {"M_AXI_HPM0_FPD"},
        {"S_AXI_HP0_FPD"},
        {"maxihpm0_fpd_aclk", "saxihp0_fpd_aclk"},
        outputs={"pl_clk0", "pl_resetn0"},
        inputs={"pl_ps_irq0"},
    ),
    "xilinx.com:ip:axi_dma": Ports(  # PG021, without scatter-gather
        {"M_AXI_MM2S", "M_AXI_S2MM", "M_AXIS_MM2S"},
        {"S_AXI_LITE", "S_AXIS_S2MM"},
        {"s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk"},
        {"axi_resetn"},
        {"mm2s_introut", "s2mm_introut"},
    ),
    "xilinx.com:ip:proc_sys_reset": Ports(  # PG164
        clocks={"slowest_sync_clk"},
        resets={"ext_reset_in"},
        outputs={"interconnect_aresetn", "peripheral_aresetn"},
    ),
    "xilinx.com:ip:axis_dwidth_converter": Ports({"M_AXIS"}, {"S_AXIS"}, {"aclk"}, {"aresetn"}),  # PG085
    "xilinx.com:ip:xlconcat": Ports(inputs={"In0", "In1", "In2"}, outputs={"dout"}),
    "bireal:rtl:bireal_ip": Ports(
        {"m_axis"}, {"s_axis", "s_axi_control"}, {"aclk"}, {"aresetn"}, {"interrupt"}
    ),  # component.xml
}
HIGH = ("CONFIG.PCW_USE_S_AXI_HP{0}", "CONFIG.PSU__USE__S_AXI_GP{1}")
HIGH_PINS = {  # the other ports to memory, where they are switched on: UG585; PG201, by which GP2 to GP5 are HP0 to HP3
    "xilinx.com:ip:processing_system7": ("S_AXI_HP{}", "S_AXI_HP{}_ACLK"),
    "xilinx.com:ip:zynq_ultra_ps_e": ("S_AXI_HP{}_FPD", "saxihp{}_fpd_aclk"),
}
HLS = Ports({"m_axis"}, {"s_axis", "s_axi_control"}, {"ap_clk"}, {"ap_rst_n"}, {"interrupt"})  # UG1399


def ports(ip: str, parameters: dict[str, str]) -> Ports:
    if ip.startswith("bireal:hls_"):
        return HLS
    if ip not in ("xilinx.com:ip:smartconnect", "xilinx.com:ip:axi_interconnect"):
        more = [i for i in (1, 2, 3) for name in HIGH if parameters.get(name.format(i, i + 2)) == "1"]
        names, clocks = HIGH_PINS.get(ip, ("", ""))
        own = IPS[ip]
        return replace(
            own,
            follows=own.follows | {names.format(i) for i in more},
            clocks=own.clocks | {clocks.format(i) for i in more},
        )
    sides = [
        f"{letter}{i:02}"
        for letter, side in (("M", "MI"), ("S", "SI"))
        for i in range(int(parameters[f"CONFIG.NUM_{side}"]))
    ]
    leads, follows = ({f"{side}_AXI" for side in sides if side[0] == letter} for letter in "MS")
    if ip.endswith("smartconnect"):  # PG247
        return Ports(leads, follows, {"aclk"}, {"aresetn"})
    return Ports(  # PG059: a clock and a reset for each port, and its own
        leads, follows, {"ACLK", *(f"{s}_ACLK" for s in sides)}, {"ARESETN", *(f"{s}_ARESETN" for s in sides)}
    )


NOTED = (
    "create_project",
    "update_ip_catalog",
    "create_bd_design",
    "set_property",
    "apply_bd_automation",
    "connect_bd_intf_net",
    "connect_bd_net",
    "create_bd_intf_port",
    "assign_bd_address",
    "validate_bd_design",
    "save_bd_design",
    "make_wrapper",
    "update_compile_order",
    "launch_runs",
    "wait_on_run",
    "open_run",
    "report_utilization",
    "report_timing_summary",
)
STUBS = """
proc create_bd_cell args { note create_bd_cell $args; lindex $args end }
foreach name {get_bd_pins get_bd_intf_pins get_bd_intf_ports get_bd_cells get_files get_runs} {
  proc $name word { return $word }
}
foreach name {current_project current_fileset} { proc $name {} [list return $name] }
proc get_board_parts args { return {%s} }
proc get_property {name object} { dict get {PROGRESS %s STATUS {route_design ERROR}} $name }
"""


def hls(folder: Path, graph: Graph | None = None, board: str = "pynq-z2", clock: float = 100) -> Path:
    graph = graph or tiny()
    generate(graph, fold(graph, 2_000), folder, boards.board(board).part, clock, board)
    return folder


def rtl(
    folder: Path,
    graph: Graph | None = None,
    board: str = "pynq-z2",
    clock: float = 100,
    least: int = 4,
    folding: Folding | None = None,
) -> Path:
    graph = graph or tiny()
    made = shape(graph, elaborate(graph, folding or fold(graph, 2_000)), "0123456789abcdef", least)
    design = zynq.system(board, clock)
    assert design is not None
    folder.mkdir()
    text = zynq.script(design, zynq.rtl_kernel(made, "ip"), boards.board(board).part, graph.name)
    (folder / "run_vivado.tcl").write_text(text)
    return folder


KINDS = {"rtl": (rtl, "ip"), "hls": (hls, "vitis/solution/impl/ip")}


def implemented(folder: Path, repository: str) -> Path:
    """Put where Vitis HLS and Vivado leave them the files that the script looks for."""
    for name in (
        f"{repository}/component.xml",
        "vivado/bireal.runs/impl_1/bireal_wrapper.bit",
        "vivado/bireal.gen/sources_1/bd/bireal/hw_handoff/bireal.hwh",
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    return folder


def vivado(folder: Path, progress: str = "100%", presets: str = "") -> Run:
    return run_tcl(folder / "run_vivado.tcl", NOTED, STUBS % (presets, progress))


def cells(noted: Run) -> dict[str, tuple[str, dict[str, str]]]:
    """The IP of every cell, and its parameters."""
    made: dict[str, tuple[str, dict[str, str]]] = {}
    for words in noted.words("create_bd_cell"):
        made[words[-1]] = words[words.index("-vlnv") + 1], {}
    for words in noted.words("set_property"):
        if words[0] == "-dict":
            pairs = re.findall(r"(\S+) (\{[^}]*\}|\S+)", words[1])
            made[words[2]][1].update({name: value.strip("{}") for name, value in pairs})
    return made


def check_joined(noted: Run) -> None:
    """Every port is joined once, to one of the other kind; clocks to the clock, resets to a reset."""
    made = cells(noted)
    known = {name: ports(*cell) for name, cell in made.items()}
    leads, follows, clocks, resets, outputs, inputs = (
        {f"{name}/{port}" for name, some in known.items() for port in getattr(some, kind)}
        for kind in ("leads", "follows", "clocks", "resets", "outputs", "inputs")
    )
    outside = {words[-1] for words in noted.words("create_bd_intf_port")}
    joined = noted.words("connect_bd_intf_net")
    assert sorted(pair[0] for pair in joined) == sorted(leads)
    assert sorted(pair[1] for pair in joined) == sorted(follows | outside)
    driven = {sink: source for source, sink in noted.words("connect_bd_net")}
    assert len(driven) == len(noted.words("connect_bd_net"))
    clock = next(name for name in outputs if re.search(r"FCLK_CLK0|pl_clk0", name))
    assert {sink for sink, source in driven.items() if source == clock} == clocks
    assert {sink for sink, source in driven.items() if "reset" in source.lower()} == resets
    assert set(driven.values()) == outputs
    assert clocks | resets | inputs == set(driven)


@pytest.mark.parametrize("board", ZYNQ)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_port_is_joined_once_to_its_counterpart(kind: str, channels: int, board: str, tmp_path: Path) -> None:
    write, repository = KINDS[kind]
    for presets in ("", "xilinx.com:some:part0:1.0 xilinx.com:some:part0:1.4"):
        folder = tmp_path / f"design{len(presets)}"
        noted = vivado(implemented(write(folder, tiny(channels=channels), board), repository), presets=presets)
        assert (noted.status, noted.errors) == (0, "")
        check_joined(noted)
        ultrascale = boards.board(board).family == "ultrascale+"
        assert len(noted.words("apply_bd_automation")) == int(bool(presets) and ultrascale)
        assert cells(noted)["control"][0].endswith("smartconnect" if ultrascale else "axi_interconnect")


@pytest.mark.parametrize("board", ZYNQ)
def test_each_port_of_an_engine_gets_a_port_of_the_memory(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, folding = with_engine()
    names = ["m_axi_weights", "m_axi_maps", "m_axi_input"]
    own = IPS["bireal:rtl:bireal_ip"]
    monkeypatch.setitem(IPS, "bireal:rtl:bireal_ip", replace(own, leads=own.leads | set(names)))
    noted = vivado(implemented(rtl(tmp_path / "x", graph, board, folding=folding), "ip"))
    assert (noted.status, noted.errors) == (0, "")
    check_joined(noted)
    pin = "S_AXI_HP{}_FPD" if boards.board(board).family == "ultrascale+" else "S_AXI_HP{}"
    joined = noted.words("connect_bd_intf_net")
    for number, name in enumerate(names, 1):
        assert (f"network/{name}", f"{name}/S00_AXI") in joined
        assert (f"{name}/M00_AXI", f"ps/{pin.format(number)}") in joined
    assert ("memory/M00_AXI", f"ps/{pin.format(0)}") in joined


@pytest.mark.parametrize(
    ("graph", "folding", "converters"),
    [
        (tiny(channels=3), None, {"pixels": ("4", "3")}),
        (tiny(), None, {"pixels": ("4", "1")}),
        (tiny(), 1, {"pixels": ("4", "1"), "logits": ("20", "4")}),
    ],
    ids=["colour", "grey", "five logits a beat"],
)
def test_streams_of_the_kernel_get_the_width_of_the_dma(
    graph: Graph, folding: int | None, converters: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    """A DMA's stream has 8 to 1,024 bits, a power of two: 32 here; whatever the network has is converted."""
    generate(graph, fold(graph, folding or 2_000), tmp_path / "hls", boards.board("pynq-z2").part, 100, "pynq-z2")
    made = cells(vivado(implemented(tmp_path / "hls", KINDS["hls"][1])))
    found = {
        name: (parameters["CONFIG.S_TDATA_NUM_BYTES"], parameters["CONFIG.M_TDATA_NUM_BYTES"])
        for name, (ip, parameters) in made.items()
        if ip.endswith("axis_dwidth_converter")
    }
    assert found == converters
    text = (tmp_path / "hls" / "top.hpp").read_text()
    pixel, logit = (int(bits) // 8 for bits in re.findall(r"AxisBeat<(\d+)>", text))
    assert (pixel, logit) == (int(found["pixels"][1]), int(found.get("logits", ("4",))[0]))


@pytest.mark.parametrize("least", [4, 8, 16])
def test_the_dma_is_as_wide_as_the_ip(least: int, tmp_path: Path) -> None:
    made = cells(vivado(implemented(rtl(tmp_path / "x", least=least), "ip")))
    assert "pixels" not in made
    parameters = made["dma"][1]
    assert (
        parameters["CONFIG.c_m_axis_mm2s_tdata_width"] == parameters["CONFIG.c_m_axi_mm2s_data_width"] == str(8 * least)
    )
    assert parameters["CONFIG.c_m_axi_s2mm_data_width"] == str(8 * least)


def test_the_processor_is_the_board_s(tmp_path: Path) -> None:
    made = cells(vivado(implemented(rtl(tmp_path / "x", clock=150), "ip")))
    ip, parameters = made["ps"]
    assert ip == "xilinx.com:ip:processing_system7"
    wanted = zynq.system("pynq-z2", 150)
    assert wanted is not None
    assert parameters == {f"CONFIG.{name}": value for name, value in wanted.processor.items()}
    assert parameters["CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ"] == "142.857"
    assert parameters["CONFIG.PCW_UIPARAM_DDR_PARTNO"] == "MT41J256M16 RE-125"


@pytest.mark.parametrize("kind", KINDS)
def test_the_bitstream_and_its_description_get_the_names_that_pynq_wants(kind: str, tmp_path: Path) -> None:
    write, repository = KINDS[kind]
    folder = implemented(write(tmp_path / "x"), repository)
    noted = vivado(folder)
    assert noted.words("create_project") == [("-force", "bireal", "vivado", "-part", "xc7z020clg400-1")]
    assert noted.words("launch_runs") == [("impl_1", "-to_step", "write_bitstream", "-jobs", "4")]
    names = [call[0] for call in noted.calls]
    order = ["create_bd_design", "assign_bd_address", "validate_bd_design", "save_bd_design", "make_wrapper"]
    order += ["launch_runs", "wait_on_run", "open_run", "report_utilization", "report_timing_summary"]
    assert [name for name in names if name in order] == order
    assert (folder / "overlay" / "bireal.bit").read_text().endswith("bireal_wrapper.bit")
    assert (folder / "overlay" / "bireal.hwh").read_text().endswith("bireal.hwh")


def test_an_implementation_that_fails_ends_the_script(tmp_path: Path) -> None:
    noted = vivado(implemented(rtl(tmp_path / "x"), "ip"), progress="42%")
    assert (noted.status, noted.errors) == (1, "no bitstream: route_design ERROR")
    assert not noted.words("report_utilization")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("rtl", "there is no IP in ip: run bireal-hw board first"),
        ("hls", "there is no IP in vitis/solution/impl/ip: run run_hls.tcl first"),
    ],
)
def test_without_an_ip_the_script_says_what_to_run(kind: str, words: str, tmp_path: Path) -> None:
    noted = vivado(KINDS[kind][0](tmp_path / "x"))
    assert (noted.status, noted.calls, noted.errors) == (1, [], words)


def test_other_boards_get_no_block_design(tmp_path: Path) -> None:
    assert zynq.boards() == ("kv260", "pynq-z1", "pynq-z2", "ultra96-v2", "zcu102", "zcu104")
    assert zynq.system("alveo-u250", 100) is None
    folder = hls(tmp_path / "hls", board="alveo-u250")
    assert not (folder / "run_vivado.tcl").exists()
    assert not (folder / "overlay").exists()
    assert "run_vivado" not in (folder / "README.md").read_text()


def test_the_ip_of_vitis_hls_is_named_after_its_network(tmp_path: Path) -> None:
    """Its registers hold no identity: the driver reads it in the design's description."""
    folder = implemented(hls(tmp_path / "hls"), KINDS["hls"][1])
    identity = json.loads((folder / "project.json").read_text())["network"]
    assert json.loads((folder / "overlay" / "network.json").read_text())["identity"] == identity
    assert f"-library hls_{identity}" in (folder / "run_hls.tcl").read_text()
    assert cells(vivado(folder))["network"][0] == f"bireal:hls_{identity}:bireal_top"


@pytest.mark.parametrize("pll", [1000, 1500])
@pytest.mark.parametrize("wanted", [1, 7.3, 33.3, 100, 123, 150, 200, 250, 999.9, 1000])
def test_the_clock_is_the_highest_that_the_dividers_give(wanted: float, pll: float) -> None:
    possible = {round(pll / (first * second), 6) for first in range(1, 64) for second in range(1, 64)}
    assert zynq.clock_below(wanted, pll, 63) == max(mhz for mhz in possible if mhz <= wanted)
