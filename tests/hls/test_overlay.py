"""The block design: its script in a Tcl interpreter, held against the ports that product guides give; the driver."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bireal_hw.golden import run
from bireal_hw.hls import generate
from bireal_hw.hls.overlay import boards, fclk_mhz, overlay
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.folding import fold
from bireal_hw.preprocess import read_picture
from tests.hls.tcl import Run, run_tcl
from tests.networks import random_images, tiny

PART = "xc7z020clg400-1"


@dataclass(frozen=True)
class Ports:
    """What an IP has: interfaces that lead and follow, clock and reset inputs, outputs."""

    leads: set[str] = field(default_factory=set)
    follows: set[str] = field(default_factory=set)
    clocks: set[str] = field(default_factory=set)
    resets: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)


IPS = {
    "xilinx.com:ip:processing_system7": Ports(  # UG585 and PG082, with GP0 and HP0 switched on
        {"M_AXI_GP0", "DDR", "FIXED_IO"},
        {"S_AXI_HP0"},
        {"M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"},
        outputs={"FCLK_CLK0", "FCLK_RESET0_N"},
    ),
    "xilinx.com:ip:axi_dma": Ports(  # PG021, without scatter-gather
        {"M_AXI_MM2S", "M_AXI_S2MM", "M_AXIS_MM2S"},
        {"S_AXI_LITE", "S_AXIS_S2MM"},
        {"s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk"},
        {"axi_resetn"},
    ),
    "xilinx.com:ip:proc_sys_reset": Ports(  # PG164
        clocks={"slowest_sync_clk"},
        resets={"ext_reset_in"},
        outputs={"interconnect_aresetn", "peripheral_aresetn"},
    ),
    "xilinx.com:ip:axis_dwidth_converter": Ports({"M_AXIS"}, {"S_AXIS"}, {"aclk"}, {"aresetn"}),  # PG085
    "bireal:hls:bireal_top": Ports({"m_axis"}, {"s_axis", "s_axi_control"}, {"ap_clk"}, {"ap_rst_n"}),  # UG1399
}


def ports(ip: str, parameters: dict[str, str]) -> Ports:
    if ip != "xilinx.com:ip:smartconnect":  # PG247
        return IPS[ip]
    leads, follows = (int(parameters[f"CONFIG.NUM_{side}"]) for side in ("MI", "SI"))
    return Ports(
        {f"M{i:02}_AXI" for i in range(leads)}, {f"S{i:02}_AXI" for i in range(follows)}, {"aclk"}, {"aresetn"}
    )


NOTED = (
    "create_project",
    "update_ip_catalog",
    "create_bd_design",
    "set_property",
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
foreach name {get_bd_pins get_bd_intf_pins get_bd_intf_ports get_files get_runs} { proc $name word { return $word } }
foreach name {current_project current_fileset} { proc $name {} [list return $name] }
proc get_property {name object} { dict get {PROGRESS %s STATUS {route_design ERROR}} $name }
"""


def project(
    folder: Path, graph: Graph | None = None, board: str = "pynq-z2", clock: float = 100, view: float = 1.0
) -> Path:
    graph = graph or tiny()
    generate(graph, fold(graph, 2_000), folder, PART, clock, board, view)
    return folder


def implemented(folder: Path) -> Path:
    """Put where Vitis HLS and Vivado leave them the files that the script looks for."""
    for name in (
        "vitis/solution/impl/ip/component.xml",
        "vivado/bireal.runs/impl_1/bireal_wrapper.bit",
        "vivado/bireal.gen/sources_1/bd/bireal/hw_handoff/bireal.hwh",
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    return folder


def vivado(folder: Path, progress: str = "100%") -> Run:
    return run_tcl(folder / "run_vivado.tcl", NOTED, STUBS % progress)


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


@pytest.mark.parametrize("channels", [1, 3])
def test_every_port_is_joined_once_to_its_counterpart(channels: int, tmp_path: Path) -> None:
    noted = vivado(implemented(project(tmp_path / "hls", tiny(channels=channels))))
    assert (noted.status, noted.errors) == (0, "")
    made = cells(noted)
    known = {name: ports(*cell) for name, cell in made.items()}
    leads, follows, clocks, resets = (
        {f"{name}/{port}" for name, some in known.items() for port in getattr(some, kind)}
        for kind in ("leads", "follows", "clocks", "resets")
    )
    joined = noted.words("connect_bd_intf_net")
    assert sorted(pair[0] for pair in joined) == sorted(leads)
    assert sorted(pair[1] for pair in joined) == sorted(follows | {"DDR", "FIXED_IO"})
    driven = {sink: source for source, sink in noted.words("connect_bd_net")}
    assert len(driven) == len(noted.words("connect_bd_net"))
    assert {sink for sink, source in driven.items() if source == "ps/FCLK_CLK0"} == clocks
    assert {sink for sink, source in driven.items() if source != "ps/FCLK_CLK0"} == resets
    assert set(driven.values()) == {f"{name}/{port}" for name, some in known.items() for port in some.outputs}


@pytest.mark.parametrize(
    ("graph", "folding", "converters"),
    [
        (tiny(channels=3), None, {"pixels": ("4", "3")}),
        (tiny(), None, {"pixels": ("4", "1")}),
        (tiny(), 1, {"pixels": ("4", "1"), "logits": ("20", "4")}),
    ],
    ids=["colour", "grey", "five logits a beat"],
)
def test_streams_have_the_width_of_the_dma(
    graph: Graph, folding: int | None, converters: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    """A DMA's stream has 8 to 1,024 bits, a power of two: 32 here; whatever the network has is converted."""
    generate(graph, fold(graph, folding or 2_000), tmp_path / "hls", PART, 100, "pynq-z2")
    made = cells(vivado(implemented(tmp_path / "hls")))
    found = {
        name: (parameters["CONFIG.S_TDATA_NUM_BYTES"], parameters["CONFIG.M_TDATA_NUM_BYTES"])
        for name, (ip, parameters) in made.items()
        if ip.endswith("axis_dwidth_converter")
    }
    assert found == converters
    text = (tmp_path / "hls" / "top.hpp").read_text()
    pixel, logit = (int(bits) // 8 for bits in re.findall(r"AxisBeat<(\d+)>", text))
    assert (pixel, logit) == (int(found["pixels"][1]), int(found.get("logits", ("4",))[0]))


def test_the_processor_is_the_board_s(tmp_path: Path) -> None:
    made = cells(vivado(implemented(project(tmp_path / "hls", clock=150))))
    ip, parameters = made["ps"]
    assert ip == "xilinx.com:ip:processing_system7"
    wanted = overlay("pynq-z2", 150)
    assert wanted is not None
    assert parameters == {f"CONFIG.{name}": value for name, value in wanted.processor.items()}
    assert parameters["CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ"] == "142.857"
    assert parameters["CONFIG.PCW_UIPARAM_DDR_PARTNO"] == "MT41J256M16 RE-125"


def test_the_bitstream_and_its_description_get_the_names_that_pynq_wants(tmp_path: Path) -> None:
    folder = implemented(project(tmp_path / "hls"))
    noted = vivado(folder)
    assert noted.words("create_project") == [("-force", "bireal", "vivado", "-part", PART)]
    assert noted.words("launch_runs") == [("impl_1", "-to_step", "write_bitstream", "-jobs", "4")]
    names = [call[0] for call in noted.calls]
    order = ["create_bd_design", "assign_bd_address", "validate_bd_design", "save_bd_design", "make_wrapper"]
    order += ["launch_runs", "wait_on_run", "open_run", "report_utilization", "report_timing_summary"]
    assert [name for name in names if name in order] == order
    assert (folder / "overlay" / "bireal.bit").read_text().endswith("bireal_wrapper.bit")
    assert (folder / "overlay" / "bireal.hwh").read_text().endswith("bireal.hwh")


def test_an_implementation_that_fails_ends_the_script(tmp_path: Path) -> None:
    noted = vivado(implemented(project(tmp_path / "hls")), progress="42%")
    assert (noted.status, noted.errors) == (1, "no bitstream: route_design ERROR")
    assert not noted.words("report_utilization")


def test_without_an_ip_the_script_says_what_to_run(tmp_path: Path) -> None:
    noted = vivado(project(tmp_path / "hls"))
    assert (noted.status, noted.calls) == (1, [])
    assert noted.errors == "there is no IP in vitis/solution/impl/ip: run run_hls.tcl first"


def test_other_boards_get_no_block_design(tmp_path: Path) -> None:
    assert boards() == ("pynq-z1", "pynq-z2")
    folder = project(tmp_path / "hls", board="kv260")
    assert not (folder / "run_vivado.tcl").exists()
    assert not (folder / "overlay").exists()
    assert "run_vivado" not in (folder / "README.md").read_text()


@pytest.mark.parametrize("wanted", [1, 7.3, 33.3, 100, 123, 150, 200, 250, 999.9, 1000])
def test_the_clock_is_the_highest_that_the_dividers_give(wanted: float) -> None:
    possible = {round(1000 / (first * second), 6) for first in range(1, 64) for second in range(1, 64)}
    assert fclk_mhz(wanted) == max(mhz for mhz in possible if mhz <= wanted)


class Board:
    """PYNQ on a board whose logic computes the golden model; it starts only what the registers were told."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.frames = graph, 0
        self.calls: list[int] = []
        self.sink: np.ndarray | None = None
        self.dma = SimpleNamespace(
            sendchannel=SimpleNamespace(transfer=self.send, wait=lambda: None),
            recvchannel=SimpleNamespace(transfer=self.receive, wait=lambda: None),
        )
        self.network = SimpleNamespace(write=self.write)

    def write(self, address: int, value: int) -> None:
        if address == 0x10:
            self.frames = value
        else:
            assert (address, value) == (0, 1)
            self.calls.append(self.frames)

    def receive(self, sink: np.ndarray) -> None:
        self.sink = sink

    def send(self, source: np.ndarray) -> None:
        assert self.sink is not None
        assert len(source) == len(self.sink) == self.calls[-1]
        self.sink[:] = run(self.graph, np.asarray(source))


class Buffer(np.ndarray):
    def freebuffer(self) -> None:
        pass


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, Board, Path]:
    """The generated driver, imported where `pynq` is a stand-in."""
    return loaded(tmp_path, tiny(channels=3), monkeypatch)


VIEW = 0.875


def loaded(tmp_path: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, Board, Path]:
    folder, board = project(tmp_path / "hls", graph, view=VIEW), Board(graph)
    pynq = ModuleType("pynq")
    pynq.Overlay = lambda path: board if Path(path).name == "bireal.bit" else None  # type: ignore[attr-defined]
    pynq.allocate = lambda shape, dtype: np.zeros(shape, dtype).view(Buffer)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    module = ModuleType("driver")
    module.__file__ = str(folder / "overlay" / "driver.py")
    exec(compile(Path(module.__file__).read_text(), module.__file__, "exec"), module.__dict__)
    return module, board, folder


def test_the_driver_starts_the_network_once_for_many_images(
    driver: tuple[ModuleType, Board, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    module, board, folder = driver
    images = random_images(board.graph, 7)
    np.testing.assert_array_equal(module.Network().logits(images), run(board.graph, images))
    assert board.calls == [7]
    module.__dict__["LONGEST"] = 2 * images[0].size
    np.testing.assert_array_equal(module.Network().logits(images), run(board.graph, images))
    assert board.calls == [7, 2, 2, 2, 1]
    assert module.Network().logits(images[:0]).shape == (0, 5)

    (folder / "vectors").mkdir()
    (folder / "vectors" / "images.bin").write_bytes(images.tobytes())
    wanted = run(board.graph, images)
    np.savetxt(folder / "vectors" / "logits.txt", wanted, "%d")
    assert module.main() == 0
    wanted[3, 2] += 1
    np.savetxt(folder / "vectors" / "logits.txt", wanted, "%d")
    assert module.main() == 1
    assert "1 of 35 logits differ" in capsys.readouterr().out


@pytest.fixture(params=[1, 3])
def network(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModuleType, Board]:
    """The driver of a network of gray or colour images, and its board."""
    return loaded(tmp_path, tiny(8, 16, channels=request.param), monkeypatch)[:2]


def test_the_driver_refuses_what_is_no_image_of_its_network(network: tuple[ModuleType, Board]) -> None:
    """Each of these has as many numbers as some images, or becomes them by a cast, and would give wrong logits."""
    module, board = network
    height, width, channels = board.graph.input.shape
    good = random_images(board.graph, 4)
    text = f"expected uint8 (N, {height}, {width}, {channels}), values 0 to 255 as in a file"
    scaled = "undo the scaling to 0..1, which the network does not want"
    normalised = "leave out mean and deviation, as the network subtracts its own mean"
    size = "read(files) cuts and scales pictures as the network was tested"
    count = f"read(files) gives {channels} channel{'s' * (channels > 1)}"
    wrong: dict[str, tuple[np.ndarray, str | None]] = {
        "floats of 0..1": ((good / 255).astype(np.float32), scaled),
        "doubles of 0..1": (good / 255, scaled),
        "mean and deviation": ((good / 255 - 0.45) / 0.22, normalised),
        "floats of 0..255": (good.astype(np.float32), None),
        "int8": ((good.astype(int) - 128).astype(np.int8), normalised),
        "int64": (good.astype(np.int64), None),
        "bool": (good > 128, None),
        "objects": (good.astype(object), None),
        "larger": (good.repeat(2, axis=1).repeat(2, axis=2), size),
        "turned": (good.transpose(0, 2, 1, 3), size),
        "channels first": (good.transpose(0, 3, 1, 2), "channels come last, images.transpose(0, 2, 3, 1)"),
        "alpha": (np.concatenate([good] * 4, axis=3)[..., :4], count),
        "gray for colour, colour for gray": (good[..., :1].repeat(4 - channels, axis=3), count),
        "flat": (good.reshape(4, -1), None),
        "one vector": (good.reshape(-1), None),
        "one image": (good[0], "one image is images[None]"),
        "batches": (good[None], None),
    }
    if channels == 1:
        wrong["no channels"] = good[..., 0], "one channel more is images[..., None]"
    made = module.Network()
    for name, (images, hint) in wrong.items():
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared
            made.logits(images)
        found = f"pixels are {images.dtype} {images.shape}; {text}"
        assert str(caught.value) == (f"{found}: {hint}" if hint else found), name
    with pytest.raises(ValueError):  # noqa: PT011 - the text is numpy's
        made.logits([good[0], good[1][:-1]])
    assert board.calls == []
    for images in (good, good[:, ::-1], np.asfortranarray(good)):
        np.testing.assert_array_equal(made.logits(images), run(board.graph, np.ascontiguousarray(images)))


def test_the_driver_reads_pictures_as_evaluation_does(
    network: tuple[ModuleType, Board], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, board = network
    height, width, channels = board.graph.input.shape
    x, y = np.meshgrid(np.arange(50), np.arange(40))
    picture = Image.fromarray(np.stack([5 * x, 6 * y, x + y], -1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    picture.convert("RGBA").resize((90, 30)).save(tmp_path / "b.png")
    monkeypatch.syspath_prepend(str(Path(str(module.__file__)).parent))
    monkeypatch.delitem(sys.modules, "preprocess", raising=False)
    files = [tmp_path / "a.jpg", tmp_path / "b.png"]
    images = module.read(files)
    want = [read_picture(path, (height, width), channels, VIEW) for path in files]
    np.testing.assert_array_equal(images, np.stack(want))
    np.testing.assert_array_equal(module.Network().logits(images), run(board.graph, images))
    assert module.read([]).shape == (0, height, width, channels)
    del sys.modules["preprocess"]
