"""`board`: what it leaves, what it says, and that a wrong logit or an unusable board is a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bireal_hw import cli
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.errors import VerdictError
from bireal_hw.passes.folding_file import folding_text
from bireal_hw.results.board import BoardFile, BoardHlsFile
from bireal_hw.schema import read
from bireal_hw.steps.board import split
from tests.networks import tiny
from tests.zynq.boards import with_engine

FOLDER = Path("build/net/pynq-z2")


@pytest.mark.rtl
def test_a_network_on_the_simulated_board(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tiny(channels=3), workdir / "net.onnx")
    assert cli.run(["board", "net.onnx", "images=20"]) == 0
    found = read(FOLDER / BoardFile.file, BoardFile)
    assert (found.images, found.batches, found.mismatches, found.mismatches_stalled) == (20, [1, 7, 12], 0, 0)
    assert found.outputs_compared == 100
    assert [one.images for one in found.speeds] == found.batches
    shares = [found.share(one.frames_per_second) for one in found.speeds]
    assert shares == sorted(shares)
    assert 0.8 < shares[-1] < 1
    for speed in found.speeds:  # nothing is lost but what the first image takes through the network, and registers
        cycles = (
            found.cycles_to_first_logit + (speed.images - 1) * 1e6 * found.clock_mhz / found.network_frames_per_second
        )
        assert 0 <= speed.run_cycles - cycles < 64
        assert speed.run_cycles < speed.cycles < 1.02 * speed.run_cycles + 500
    assert found.cycles_per_frame < 1.2 * 1e6 * found.clock_mhz / found.network_frames_per_second
    assert len(found.faults) == 9
    for one in found.faults:
        assert one.told, one.fault
        assert one.usable, one.fault
        assert one.seconds < 0.01
    there = {path.relative_to(FOLDER / "zynq").as_posix() for path in (FOLDER / "zynq").rglob("*") if path.is_file()}
    overlay = ("driver.py", "network.json", "preprocess.py", "board.ipynb", "vectors/images.bin", "vectors/logits.txt")
    assert {f"overlay/{name}" for name in overlay} | {"ip/component.xml", "ip/package.tcl", "run_vivado.tcl"} <= there
    assert json.loads((FOLDER / "zynq/overlay/network.json").read_text())["identity"] == found.identity
    out = capsys.readouterr().out
    assert "DMA stuck, writing" in out

    for change in ({"mismatches": 3}, {"faults": [found.faults[0].model_copy(update={"usable": False})]}):
        with pytest.raises(VerdictError):
            found.model_copy(update=change).refuse()
    found.refuse()


@pytest.mark.rtl
@pytest.mark.hls
def test_the_kernel_of_vitis_hls_behind_the_same_driver(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tiny(channels=3), workdir / "net.onnx")
    assert cli.run(["board", "net.onnx", "images=20", "kernel=hls"]) == 0
    found = read(FOLDER / BoardHlsFile.file, BoardHlsFile)
    assert (found.images, found.batches, found.mismatches, found.mismatches_stalled) == (20, [1, 7, 12], 0, 0)
    assert found.outputs_compared == 100
    assert len(found.faults) == 7
    for one in found.faults:
        assert one.told, one.fault
        assert one.usable, one.fault
    assert {path.name for path in FOLDER.iterdir()} == {"folding.toml", BoardHlsFile.file}
    assert "DMA stuck, writing" in capsys.readouterr().out


@pytest.mark.rtl
def test_the_kernel_has_no_memory_beside_the_chip(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, folding = with_engine()
    write(tiny(channels=3), workdir / "net.onnx")
    Path("engine.toml").write_text(folding_text(graph, folding))
    assert cli.run(["board", "net.onnx", "kernel=hls", "folding=engine.toml"]) == 1
    assert "kernel=hls knows no memory beside the chip: take kernel=rtl" in capsys.readouterr().err
    assert not (FOLDER / BoardHlsFile.file).exists()


@pytest.mark.parametrize(("count", "batches"), [(1, [1]), (2, [1, 1]), (8, [1, 7]), (9, [1, 7, 1]), (64, [1, 7, 56])])
def test_batches(count: int, batches: list[int]) -> None:
    assert split(count) == batches
