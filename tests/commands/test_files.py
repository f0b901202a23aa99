"""Real steps on real files: broken ones are refused in one line, and a network of random weights says what it is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bireal_hw import cli
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.run.rundir import RunDir
from tests.networks import tiny

Fail = Callable[[str], str]


@pytest.fixture
def fail(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Fail:
    """Run a command that must fail and return its one line."""

    def fail(line: str) -> str:
        assert cli.run(line.split()) == 1
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err.strip()

    return fail


@pytest.fixture
def net(workdir: Path) -> Path:
    """Lower and generate a small network; returns its run's folder."""
    write(tiny(), workdir / "net.onnx")
    assert cli.run(["rtl", "net.onnx"]) == 0
    return Path("build/net")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": truncate,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello\n"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_qonnx_file(net: Path, fail: Fail, damage: str) -> None:
    before = {path: path.read_bytes() for path in net.rglob("*") if path.is_file()}
    DAMAGE[damage](Path("net.onnx"))
    message = fail("lower net.onnx")
    assert "net.onnx" in message
    assert "model.onnx" not in message  # the user's file, not a copy of it
    assert {path: path.read_bytes() for path in net.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_graph(net: Path, fail: Fail, damage: str) -> None:
    tops = sorted((net / "pynq-z2/rtl").rglob("*.sv"))
    DAMAGE[damage](net / "graph.json")
    assert "build/net/graph.json" in fail("rtl run=net")
    assert sorted((net / "pynq-z2/rtl").rglob("*.sv")) == tops


def test_a_foreign_json_file_as_graph(net: Path, fail: Fail) -> None:
    (net / "graph.json").write_text('{"name": "something else"}')
    assert fail("rtl run=net") == (
        "error: build/net/graph.json is not a graph of this version: format is None, wanted 'bireal_hw graph 3'; "
        "remove it to make it again with the command lower"
    )


@pytest.mark.torch
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint(workdir: Path, fail: Fail, damage: str) -> None:
    import torch

    path, partial = Path("build/mine/checkpoint.ckpt"), Path("build/mine/partial.ckpt")
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": {"weight": torch.zeros(9)}}, path)
    assert fail("export run=mine") == (
        "error: checkpoint build/mine/checkpoint.ckpt was not written by bireal-hw: "
        "it lacks format='bireal-hw checkpoint'; remove it to train again, or choose another run=NAME"
    )
    what = "is empty" if damage == "empty" else "is broken, truncated or not a checkpoint"
    remedy = "remove it to train again, or choose another run=NAME"
    DAMAGE[damage](path)
    content = path.read_bytes()
    for verb in ("train", "export", "sim"):
        assert fail(f"{verb} run=mine") == f"error: checkpoint {path} {what}; {remedy}"
    assert path.read_bytes() == content
    path.rename(partial)
    for verb in ("train", "export"):
        assert fail(f"{verb} run=mine") == f"error: checkpoint {partial} {what}; {remedy}"
    assert partial.read_bytes() == content


@pytest.mark.torch
def test_a_folder_without_images(workdir: Path, fail: Fail) -> None:
    Path("empty").mkdir()
    assert fail("train dataset=folder data=empty") == (
        "error: data=empty holds no images; expected parquet files or one subfolder of images per class"
    )
    assert fail("train dataset=folder") == (
        "error: data set 'folder' needs data=DIR, a folder with parquet files or one subfolder per class"
    )
    assert not Path("build").exists() or not list(Path("build").iterdir())


@pytest.mark.torch
def test_every_output_of_an_untrained_network_says_so(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rtl", "untrained=1", "width=0.125", "image=8x16", "classes=3", "run=random"]) == 0
    assert "untrained: random weights" in capsys.readouterr().out
    run = Path("build/random")
    for name in ("export.json", "pynq-z2/rtl/build.json"):
        assert json.loads((run / name).read_text())["untrained"] is True, name
    assert json.loads((run / "graph.json").read_text())["info"]["untrained"] is True
    assert "random weights" in (run / "graph.svg").read_text()
    assert json.loads((run / "export.json").read_text())["input_shape"] == [1, 1, 8, 16]
    (Path("net.onnx")).write_bytes((run / "model.onnx").read_bytes())
    assert cli.run(["rtl", "net.onnx"]) == 0
    assert json.loads(Path("build/net/pynq-z2/rtl/build.json").read_text())["untrained"] is True


@pytest.mark.torch
@pytest.mark.parametrize("when", ["while it loads", "while it trains"])
def test_ctrl_c_ends_the_program_with_one_line(workdir: Path, when: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "bireal_hw", "train", "width=1", "epochs=1000"]
    run = Path("build/bireal18-digits")
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for _ in range(1200):
            loads = "numpy" in Path(f"/proc/{process.pid}/maps").read_text()
            if (loads and when == "while it loads") or (run / "steps.json").exists():
                break
            time.sleep(0.1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    expected = "interrupted: earlier results are as they were; the same command goes on from there\n"
    assert err == expected
    assert process.returncode == 130
    assert not run.exists() or {path.name for path in run.iterdir()} <= {"steps.json", "partial.ckpt"}


@pytest.mark.torch
@pytest.mark.parametrize("step", ["fold", "sim", "hls", "synth"])
def test_ctrl_c_leaves_every_earlier_result(net: Path, step: str) -> None:
    """The terminal sends the signal to the compilers too."""
    before = {path: path.read_bytes() for path in net.rglob("*") if path.is_file()}
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-m", "bireal_hw", step, "run=net"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not list(net.glob(".stage-*")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
    said = [line for line in err.splitlines() if not line.startswith("synthesis: ")]
    assert said == ["interrupted: earlier results are as they were; the same command goes on from there"]
    assert process.returncode == 130
    assert {path: path.read_bytes() for path in net.rglob("*") if path.is_file()} == before


REFUSED = {
    "hls untrained=1 board=ulx3s-85f": "Vitis HLS does not build for board=ulx3s-85f",
    "bitstream untrained=1 board=kv260": "no open tools make a bitstream for board=kv260",
    "bitstream untrained=1 board=ulx3s-85f clock=999": "clock=999 is out of range",
    "board untrained=1 board=ulx3s-85f": "board=ulx3s-85f has no PYNQ beside its logic: choose from kv260, pynq-z1",
    "board untrained=1 board=alveo-u250": "board=alveo-u250 has no PYNQ beside its logic",
    "fold untrained=1 target_fps=900000": "target_fps=900000 is out of reach",
    "fold untrained=1 folding=odd.toml": "folding=odd.toml is not of this network",
    "sim untrained=1 folding=broken.toml": "folding=broken.toml cannot be read",
    "rtl untrained=1 folding=odd.toml target_fps=9": "target_fps=9 does not go with folding=",
    "train init=odd.toml": "checkpoint odd.toml is broken",
    "train width=1 train_images=100000": "train_images=100000 is out of range",
    "lower broken.onnx": "broken.onnx",
    "fold net.onnx target_fps=900000": "target_fps=900000 is out of reach",
    "report run=nothing": "run 'nothing' does not exist",
    "demo width=0.125 images=5000": "images=5000 is out of range: data set 'digits' has 364 test images",
    "demo board=ulx3s-85f width=0.875": "bireal18 at 16x16 does not fit ulx3s-85f at any speed",
    "sim dataset=digits width=0.125 target_fps=900000": "target_fps=900000 is out of reach",
    "all width=0.125 folding=odd.toml": "folding=odd.toml is not of this network: unknown convolution 'other'",
    "demo width=0.125 recipe=real": "recipe=real ends with a real-valued network",
}
"""Commands on a new run, and how the line begins that refuses them."""


@pytest.mark.torch
@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused_leaves_nothing(workdir: Path, fail: Fail, line: str) -> None:
    write(tiny(), workdir / "net.onnx")
    Path("odd.toml").write_text("[other]\npe = 1\n")
    Path("broken.toml").write_text("pe = ")
    Path("broken.onnx").write_text("no network")
    small = " width=0.125 image=8" if "untrained=1" in line else ""
    assert REFUSED[line] in fail(line + small)
    assert not Path("build").exists() or [path for path in Path("build").iterdir() if path.name != "sim"] == []


@pytest.mark.parametrize(
    "line",
    ["hls run=net board=ulx3s-85f", "fold run=net target_fps=900000", "fold run=net board=kv260 folding=no.toml"],
)
def test_what_is_refused_leaves_a_run_as_it_was(net: Path, fail: Fail, line: str) -> None:
    before = {path: path.read_bytes() for path in net.rglob("*") if path.is_file()}
    fail(line)
    assert {path: path.read_bytes() for path in net.rglob("*") if path.is_file()} == before
    assert [path.name for path in net.iterdir() if path.is_dir()] == ["pynq-z2"]


def test_a_report_waits_for_the_command_that_is_at_work(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunDir(net).locked():
        waiting = subprocess.Popen(
            [sys.executable, "-m", "bireal_hw", "report", "run=net"],
            env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert waiting.stdout
        assert waiting.stdout.readline() == "waiting for the command that is at work on run 'net'\n"
        assert not (net / "report.html").exists()
    waiting.communicate(timeout=300)
    assert waiting.returncode == 0
    assert (net / "report.html").exists()


def test_any_command_removes_what_a_killed_one_left(net: Path) -> None:
    for run in (Path("build/killed"), net, Path("build/study/one/row-0")):
        (run / ".stage-abc").mkdir(parents=True)
        (run / ".lock").touch()
    with RunDir(Path("build/busy")).locked():
        (Path("build/busy") / ".stage-def").mkdir()
        compiler = Path("build/sim/hls-headers/.lock")
        compiler.parent.mkdir(parents=True)
        compiler.touch()
        assert cli.run(["lower", "run=net"]) == 0
        assert compiler.exists()
        assert (Path("build/busy") / ".stage-def").exists()
    assert not Path("build/killed").exists()
    assert not list(Path("build").rglob(".stage-*"))
    assert list(Path("build").rglob(".lock")) == [compiler]


def test_another_network_in_place_of_the_runs(net: Path, fail: Fail) -> None:
    (net / "model.onnx").write_bytes((net / "model.onnx").read_bytes() + b"\x10\x08")
    before = {path: path.read_bytes() for path in net.rglob("*") if path.is_file()}
    for verb in ("lower", "sim"):
        assert fail(f"{verb} run=net") == (
            "error: build/net/model.onnx is not the file that this run was made with: "
            "give it as a file, or choose another run=NAME"
        )
    assert {path: path.read_bytes() for path in net.rglob("*") if path.is_file()} == before
    assert cli.run(["lower", "net.onnx"]) == 0


def test_a_broken_ledger(net: Path, fail: Fail) -> None:
    truncate(net / "steps.json")
    assert re.fullmatch(
        r"error: build/net/steps.json cannot be read: not JSON \(.*\); "
        r"remove the folder build/net, or choose another run=NAME",
        fail("lower run=net"),
    )
