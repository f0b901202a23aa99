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
from tests.networks import tiny

Fail = Callable[[str], str]

INTERRUPTED = (130, -signal.SIGINT)
"""Python ends itself by the signal where it came within an `exec`; a shell reports 130 for either."""


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
        "error: build/net/graph.json is not a graph of this version: format is None, wanted 'bireal_hw graph 2'; "
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
            if when == "while it loads" or (run / "steps.json").exists():
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    expected = "interrupted: earlier results are as they were; the same command goes on from there\n"
    assert err == expected
    assert process.returncode in INTERRUPTED
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
    assert process.returncode in INTERRUPTED
    assert {path: path.read_bytes() for path in net.rglob("*") if path.is_file()} == before


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
