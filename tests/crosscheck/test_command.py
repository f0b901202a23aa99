"""`bireal-hw crosscheck`: what it leaves, what it refuses, and when it fails; stand-ins for the other tools."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest

from bireal_hw import cli
from bireal_hw.crosscheck import through_hls4ml
from bireal_hw.crosscheck.network import unpadded
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.golden import tensors
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from tests.networks import tiny


def golden(path: Path, graph: Graph, images: Array, project: Path) -> Array:
    """Answer as a tool would that agrees; a padded block has no logits, but the last tensor all the same."""
    *_, (_, values) = tensors(graph, images)
    return values.reshape(len(images), -1)


def wrong(path: Path, graph: Graph, images: Array, project: Path) -> Array:
    values = np.array(golden(path, graph, images, project))
    values[1, 3] += 1
    return values


@pytest.fixture
def agreeing(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(through_hls4ml, "predict", golden)
    monkeypatch.setattr(through_hls4ml, "version", lambda: "0")
    return workdir


def test_without_finn_plus_the_other_half_runs(agreeing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["crosscheck", "images=3", "seed=5"]) == 0
    report = json.loads((agreeing / "build" / "crosscheck" / "crosscheck.json").read_text())
    assert report["network"] == "built in"
    assert report["hls4ml"]["outputs_compared"] == 30
    assert report["hls4ml"]["mismatches"] == 0
    assert report["hls4ml"]["first_mismatch"] is None
    assert report["hls4ml"]["padded_block"]["differ_from_zero"] == 0
    assert report["finn_plus"] == {"skipped": "finn-plus is not in .venv-finn: make setup-finn puts it there"}
    printed = capsys.readouterr().out
    assert "0 of 30" in printed
    assert "finn-plus skipped: finn-plus is not in .venv-finn: make setup-finn puts it there" in printed


def test_a_difference_fails_and_is_named(
    agreeing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bireal_hw.commands.crosscheck.padding_effect", lambda tool, path: {"outputs": 1} | PADDED)
    monkeypatch.setattr(through_hls4ml, "predict", wrong)
    assert cli.run(["crosscheck", "images=2"]) == 1
    found = json.loads((agreeing / "build" / "crosscheck" / "crosscheck.json").read_text())["hls4ml"]
    assert found["mismatches"] == 1
    assert found["first_mismatch"]["index"] == [1, 3]
    assert found["first_mismatch"]["got"] == found["first_mismatch"]["want"] + 1
    error = capsys.readouterr().err
    assert "hls4ml differs from the golden model in 1 of 20 logits; first at [1, 3]: wanted" in error


PADDED = {"differ_from_zero": 0, "differ_from_minus_one": 1}


def test_a_file_of_ones_own(agreeing: Path) -> None:
    write(unpadded(integer=False, seed=9), agreeing / "mine.onnx")
    assert cli.run(["crosscheck", "mine.onnx", "images=1"]) == 0
    report = json.loads((agreeing / "build" / "crosscheck" / "crosscheck.json").read_text())
    assert report["network"] == "mine.onnx"


def test_a_padded_network_is_refused_with_the_reason(agreeing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = agreeing / "build" / "mine"
    run.mkdir(parents=True)
    write(tiny(), run / "model.onnx")
    for word in ("build/mine/model.onnx", "run=mine"):
        assert cli.run(["crosscheck", word]) == 1
        assert (
            capsys.readouterr().err
            == "error: conv1 pads its bits by 1: hls4ml and finn-plus know no bit that adds nothing"
            " and would turn the 0 into -1; crosscheck takes networks whose binary convolutions have pad 0\n"
        )
    assert not (agreeing / "build" / "crosscheck" / "crosscheck.json").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["width=0.5"], "crosscheck does not use width=0.5: it takes a file, seed, images, run, config"),
        (["a.onnx", "run=b"], "crosscheck takes one network, not a.onnx and run=b"),
        (["a.onnx", "b.onnx"], "crosscheck takes one network, not a.onnx and b.onnx"),
    ],
)
def test_wrong_words(words: list[str], error: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["crosscheck", *words]) == 2
    assert capsys.readouterr().err == f"error: {error}\n"


def test_without_hls4ml_one_line_says_how_to_get_it(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = importlib.metadata.version

    def missing(name: str) -> str:
        if name == "hls4ml":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert cli.run(["crosscheck"]) == 1
    assert capsys.readouterr().err == (
        "error: crosscheck needs the Python package hls4ml: make setup, or pip install 'bireal-hw[train,hls]'\n"
    )
