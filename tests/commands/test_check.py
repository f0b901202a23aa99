"""The command `check`, and the images that tell the ranges of a file of others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from bireal_hw.cli import run
from bireal_hw.errors import BirealError
from bireal_hw.run.calibration import COUNT, calibration_images
from tests.lowering.stock import SIDE, export, network

SHAPE = (SIDE, SIDE, 3)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    export(network(1), tmp_path / "net (1).onnx")
    return tmp_path / "net (1).onnx"


def pictures(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"class {index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(path)
    return folder


def test_it_says_what_becomes_of_each_node(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(file)]) == 0
    said = capsys.readouterr().out
    for node in onnx.load(str(file)).graph.node:
        assert node.name[:20] in said
    assert "binary_conv" in said
    assert "part of what reads it" in said
    assert "against the file: outputs" in said
    assert "pixels: " in said
    assert not (file.parent / "build").exists()


def test_all_refusals_stand_in_the_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load(str(file))
    kinds = {"BatchNormalization": "InstanceNormalization", "Gemm": "Det"}
    for node in model.graph.node:
        node.op_type = kinds.get(node.op_type, node.op_type)
    onnx.save(model, str(file))
    assert run(["check", str(file)]) == 1
    found = capsys.readouterr()
    table = re.sub(r"[\s│]+", "", found.out)  # cells are folded
    assert "'isaInstanceNormalization" in table
    assert "notread:somethingbeforeitisnotsupported" in table
    assert found.err.startswith("error: node '")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "check takes one file, whose name ends in .onnx, not 0 files"),
        (["net.txt"], 2, "check takes one file, whose name ends in .onnx, not net.txt"),
        (["nothere.onnx"], 1, "nothere.onnx does not exist"),
        (["net (2).onnx"], 1, "net (2).onnx does not exist: did you mean 'net (1).onnx'?"),
        (["net (1).onnx", "pixels=bgr"], 1, "pixels=bgr is not understood: choose from stored (0..255), 0..1"),
        (["net (1).onnx", "calibration=nowhere"], 1, "calibration=nowhere is not a file or folder"),
        (["net (1).onnx", "board=kv260"], 2, "check does not use board=kv260"),
    ],
)
def test_wrong_words(
    words: list[str], status: int, message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", *words]) == status
    assert message in capsys.readouterr().err


def test_pictures_are_cut_and_scaled_as_for_the_accuracy(tmp_path: Path) -> None:
    found = calibration_images(pictures(tmp_path / "some", 9), SHAPE)
    assert found.shape == (9, *SHAPE)
    assert found.dtype == np.uint8
    assert len(calibration_images(pictures(tmp_path / "many", 2 * COUNT), SHAPE)) == COUNT


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_numbers_in_a_file(ending: str, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(10, 3, SIDE, SIDE)).astype(np.float32)
    path = tmp_path / f"images{ending}"
    (np.save if ending == ".npy" else np.savez)(str(path), numbers)
    np.testing.assert_array_equal(calibration_images(path, SHAPE), numbers)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "words.csv").write_text("1,2")
    np.savez(str(tmp_path / "two.npz"), a=np.zeros(3), b=np.zeros(3))
    np.save(str(tmp_path / "text.npy"), np.array(["a"]))
    broken = pictures(tmp_path / "broken", 3)
    (broken / "class 0" / "0.png").write_bytes(b"no picture")
    for name, message in {
        "empty": "holds no picture",
        "broken.npy": "cannot be read",
        "words.csv": "is not understood: give a folder of pictures, or a file .npy or .npz",
        "two.npz": "holds a, b: give a file with one array",
        "text.npy": "holds <U1: give numbers",
        "broken": "class 0/0.png cannot be read",
    }.items():
        with pytest.raises(BirealError) as error:
            calibration_images(tmp_path / name, SHAPE)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


def test_a_run_is_lowered_anew_for_other_pixels(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pictures(file.parent / "pictures", 8)
    assert run(["lower", str(file), "run=one", f"calibration={folder}", "pixels=0..1"]) == 0
    first = (file.parent / "build" / "one" / "graph.json").read_text()
    assert run(["fold", "run=one", "pixels=-1..1"]) == 0
    assert (file.parent / "build" / "one" / "graph.json").read_text() != first
    said = capsys.readouterr().out
    assert "against the file" in said
    assert run(["train", "pixels=0..1"]) == 1
    assert "pixels=0..1 goes with a file of others" in capsys.readouterr().err
