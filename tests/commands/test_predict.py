"""`predict`: what a network sees in pictures; files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bireal_hw import cli
from bireal_hw.commands.predict import SUFFIXES
from bireal_hw.crosscheck.qonnx import write
from bireal_hw.golden import run
from bireal_hw.ir.graph import Graph
from bireal_hw.preprocess import read_picture
from tests.networks import dense, tiny


def pictures(folder: Path, count: int) -> list[Path]:
    """Pictures of several sizes and kinds."""
    folder.mkdir()
    rng = np.random.default_rng(count)
    files = []
    for number in range(count):
        pixels = rng.integers(0, 256, (20 + 7 * number, 30, 3)).astype(np.uint8)
        kind = ("RGB", "L", "RGBA")[number % 3]
        files.append(folder / f"{number}.{('png', 'jpg', 'webp')[number % 3]}")
        Image.fromarray(pixels).convert(kind).save(files[-1])
    return files


def predicted(graph: Graph, *words: str) -> dict[str, Any]:
    write(graph, Path("net.onnx"))
    assert cli.run(["predict", "net.onnx", *words]) == 0
    found: dict[str, Any] = json.loads(Path("build/net/predict/predict.json").read_text())
    return found


def wanted(graph: Graph, files: list[Path]) -> np.ndarray:
    height, width, channels = graph.input.shape
    return run(graph, np.stack([read_picture(file, (height, width), channels) for file in files]))


def check(found: dict[str, Any], logits: np.ndarray, frac: int) -> None:
    for one, row in zip(found["pictures"], logits / 2.0**frac, strict=True):
        want = np.exp(row) / np.exp(row).sum()
        np.testing.assert_allclose(list(one["probabilities"].values()), want, rtol=1e-12)
        assert one["class"] == list(one["probabilities"])[int(np.argmax(row))]


def test_files_are_looked_at_before_the_network(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tiny(), Path("net.onnx"))
    (workdir / "text.png").write_text("no picture")
    (workdir / "text.npy").write_text("no array")
    pictures(workdir / "pics", 1)
    for words, said in (
        (["picture=text.png"], "text.png cannot be read: it is no picture of a kind that Pillow knows"),
        (["picture=pics", "logits=text.npy"], "logits=text.npy cannot be read: "),
    ):
        assert cli.run(["predict", "net.onnx", *words]) == 1
        assert said in capsys.readouterr().err
        assert not Path("build/net/graph.json").exists()


def test_a_folder_of_pictures(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, files = tiny(), pictures(workdir / "pics", 4)
    (workdir / "pics" / "notes.txt").write_text("no picture, and no matter")
    found = predicted(graph, "picture=pics")
    check(found, wanted(graph, files), graph.output.dtype.frac)
    assert [Path(one["file"]).name for one in found["pictures"]] == [file.name for file in files]
    out = capsys.readouterr().out
    drawn = sorted(Path("build/net/predict").glob("*.png"))
    assert [path.name for path in drawn] == [f"{number:04d}-{number}.png" for number in range(4)]
    for one, path in zip(found["pictures"], drawn, strict=True):
        assert one["class"] in out
        with Image.open(path) as picture:
            assert picture.height > 160
    assert "by the golden model" in out


def test_logits_of_a_board(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, files = tiny(), pictures(workdir / "pics", 2)
    logits = wanted(graph, files)[::-1] + 5
    np.save("board.npy", logits)
    np.savetxt("board.txt", logits, "%d")
    for name in ("board.npy", "board.txt"):
        check(predicted(graph, "picture=pics", f"logits={name}"), logits, graph.output.dtype.frac)
    np.save("board.npy", logits[:1])
    capsys.readouterr()
    assert cli.run(["predict", "run=net", "picture=pics", "logits=board.npy"]) == 1
    assert capsys.readouterr().err == (
        "error: logits=board.npy holds 5 numbers, and 2 pictures of 5 have 10: give those of picture=, in the order of "
        "their names\n"
    )


def test_a_map(workdir: Path) -> None:
    graph, files = dense(6, 4), pictures(workdir / "pics", 2)
    found = predicted(graph, "picture=pics")
    maps = wanted(graph, files).reshape(2, *graph.output.shape) / 2.0**graph.output.dtype.frac
    np.testing.assert_array_equal(np.load("build/net/predict/maps.npy"), maps)
    assert [one["largest"] for one in found["pictures"]] == maps.reshape(2, -1).max(axis=1).tolist()


@pytest.mark.rtl
def test_by_the_hardware(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph, files = tiny(), pictures(workdir / "pics", 1)
    check(predicted(graph, f"picture={files[0]}", "by=rtl"), wanted(graph, files), graph.output.dtype.frac)
    assert "by the simulated SystemVerilog for pynq-z2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "predict needs picture=: an image file, or a folder of them"),
        (["picture=nowhere.png"], "picture=nowhere.png is not a file or folder: give one that exists"),
        (["picture=empty"], "picture=empty holds no picture: files that end in .bmp .gif"),
        (["picture=text.png"], "text.png cannot be read: it is no picture of a kind that Pillow knows"),
        (["picture=text.png", "by=hls"], "unknown by 'hls': choose from golden, rtl"),
    ],
)
def test_what_is_no_picture(words: list[str], said: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tiny(), Path("net.onnx"))
    Path("empty").mkdir()
    Path("text.png").write_text("hello")
    assert cli.run(["predict", "net.onnx", *words]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.torch
def test_pictures_are_the_files_that_training_takes() -> None:
    from bireal_hw.training.folders import IMAGE_SUFFIXES

    assert IMAGE_SUFFIXES == SUFFIXES
