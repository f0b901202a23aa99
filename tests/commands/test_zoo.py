"""The zoo: what is packed comes out bit for bit, every command takes it, and what does not go is one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bireal_hw import cli, zoo
from bireal_hw.golden import classify, run
from bireal_hw.ir.graph import Graph, load
from bireal_hw.models.spec import ModelSpec
from bireal_hw.ops import BinaryConv
from bireal_hw.run.config import parse_arguments
from bireal_hw.run.images import images_for, load_dataset, to_pixels
from bireal_hw.run.network import resolve
from bireal_hw.run.rundir import RunDir

pytestmark = pytest.mark.torch

DIGITS = "bireal18-digits"
RUN = Path(f"build/zoo-{DIGITS}")


def say(line: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    """Run a command, check its exit status, and return what it said: stderr if it failed."""
    assert cli.run(line.split()) == status
    out, err = capsys.readouterr()
    assert err.count("\n") == (1 if status else 0), err
    return err.strip() if status else out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny network and lower it; the folder of its run."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = "lower run=little epochs=1 train_images=32 width=0.125 image=8 seed=5"
        assert cli.run(words.split()) == 0
    return folder / "build" / "little"


@pytest.fixture
def little(trained: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the trained run into this test's folder, and let the zoo be an empty one."""
    (workdir / "zoo").mkdir()
    monkeypatch.setattr(zoo, "FOLDER", workdir / "zoo")
    shutil.copytree(trained, workdir / "build" / "little")
    return Path("build/little")


# ---- what comes with the program ----


@pytest.mark.parametrize("name", zoo.names())
def test_a_network_that_comes_with_the_program(name: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [zoo.FOLDER / f"{name}{suffix}" for suffix in (".npz", ".json")]
    binary, _ = ModelSpec.from_json(zoo.about(name)["spec"]).parameters()
    assert sum(file.stat().st_size for file in files) < binary / 8 + 120_000
    about, spec = zoo.about(name), ModelSpec.from_json(zoo.about(name)["spec"])
    words = about["command"].removeprefix("make train ")
    assert all(parse_arguments(words.split()).given()[key] == value for key, value in vars_of(spec).items())
    say(f"lower model=zoo:{name}", capsys)
    graph = load(Path(f"build/zoo-{name}/graph.json"))
    assert graph.input.shape == (*spec.image, spec.channels)
    assert graph.output.channels == spec.classes
    weights = sum(node.op.weights.size for node in graph if isinstance(node.op, BinaryConv))
    assert weights == spec.parameters()[0]
    assert graph.info["untrained"] is False
    assert f"{about['top1_deploy']:.2f} %" in say("zoo", capsys)


def vars_of(spec: ModelSpec) -> dict[str, Any]:
    return {key: getattr(spec, key) for key in ("model", "width", "image", "shortcut_bits")}


def test_the_accuracy_of_the_digits_network(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"lower model=zoo:{DIGITS}", capsys)
    graph, about = load(RUN / "graph.json"), zoo.about(DIGITS)
    data = load_dataset({"dataset": "digits", "data": None, "skip_broken": False}, graph.input.shape)
    right = int((classify(run(graph, to_pixels(data.test_images[:]))) == data.test_labels.numpy()).sum())
    assert (len(data.test_images), round(100 * right / len(data.test_images), 4)) == (
        about["test_images"],
        about["top1_deploy"],
    )


# ---- the small set-up ----

WITHOUT_TRAINING = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        package = name.split(".")[0]
        if package in {absent}:
            raise ModuleNotFoundError(f"No module named {{package!r}}", name=package)

sys.meta_path.insert(0, Absent())
from bireal_hw import cli, zoo
zoo.FOLDER = Path("zoo").absolute()
sys.exit(max(cli.run(line.split()) for line in {lines}))
"""
"""A program that runs commands where the packages of `make setup` that `make setup-hardware` leaves out are absent."""
ABSENT = ("torch", "brevitas", "lightning", "datasets", "onnxscript", "matplotlib")


def without_training(*lines: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT_TRAINING.format(absent=ABSENT, lines=lines)
    around = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", code], env=around, capture_output=True, text=True, check=False)


@pytest.mark.rtl
@pytest.mark.hls
def test_without_torch_a_network_of_the_zoo_is_simulated_on_its_own_images(little: Path) -> None:
    assert cli.run(["zoo", "run=little"]) == 0
    done = without_training(
        "sim model=zoo:little images=2", "hls run=zoo-little images=2", "report run=zoo-little", "zoo", "info"
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("sim", "hls"):
        report = json.loads(Path(f"build/zoo-little/pynq-z2/{name}.json").read_text())
        assert (report["images_from"], report["mismatches"], report["images"]) == ("digits test images", 0, 2)


def test_without_torch_a_training_says_in_one_line_what_to_install(workdir: Path) -> None:
    for line in ("train", "export", "demo", "sim", "fold untrained=1 classes=4 image=8"):
        done = without_training(line)
        command = line.split()[0]
        todo = r"make setup, or pip install 'bireal-hw\[train\]'"
        assert done.returncode == 1
        assert re.fullmatch(rf"error: {command} needs the Python package ({'|'.join(ABSENT)}): {todo}\n", done.stderr)


@pytest.mark.torch
@pytest.mark.parametrize("image", [(8, 8), (16, 16), (24, 40)])
@pytest.mark.parametrize("limit", [None, 5])
def test_the_digits_of_the_hardware_are_those_of_the_training(image: tuple[int, int], limit: int | None) -> None:
    import torch

    from bireal_hw.training.data import load_data
    from bireal_hw.training.digits import Shuffle, held_back

    images = load_data("digits", image=image, channels=3, limit=limit).test_images[:]
    np.testing.assert_array_equal(held_back(image, 3, limit), to_pixels(images))
    shuffled, generator = Shuffle(), torch.Generator().manual_seed(0)
    for count in (0, 1, 2, 179, 1000):
        np.testing.assert_array_equal(shuffled(count), torch.randperm(count, generator=generator).numpy())
    if image != (24, 40):  # elsewhere torch rounds some ties and thirds differently from machine to machine
        raw = torch.from_numpy(held_back((8, 8), 1, limit)).permute(0, 3, 1, 2).float()
        exact = torch.round(raw * 16 / 255) * 255 / 16
        wanted = torch.nn.functional.interpolate(exact, size=image, mode="bilinear", align_corners=False).round()
        np.testing.assert_array_equal(held_back(image, 1, limit), to_pixels(wanted.to(torch.uint8)))


# ---- packing ----


def test_a_packed_network_is_the_same_graph(little: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = say("zoo run=little", capsys)
    size = sum(path.stat().st_size for path in zoo.FOLDER.iterdir())
    assert f"zoo:little: {size / 1000:,.0f} kB" in out
    assert sorted(path.name for path in zoo.FOLDER.iterdir()) == ["little.json", "little.npz"]
    say("lower model=zoo:little", capsys)
    for name in ("model.onnx", "graph.json"):
        assert (Path("build/zoo-little") / name).read_bytes() == (little / name).read_bytes()


def test_bits_stay_bits(little: Path) -> None:
    with np.load(io_of(little), allow_pickle=False) as arrays:
        bits = sum(array.nbytes for name, array in arrays.items() if array.dtype == np.uint8 and name != zoo.MODEL)
    assert bits * 8 == ModelSpec(width=0.125, image=(8, 8), channels=1).parameters()[0]


def io_of(little: Path) -> Path:
    zoo.pack("little", (little / "model.onnx").read_bytes(), {})
    return zoo.FOLDER / "little.npz"


def test_what_is_said_of_a_packed_network(little: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say("zoo run=little", capsys)
    trained, about = json.loads((little / "train.json").read_text()), zoo.about("little")
    for key in ("dataset", "train_images", "test_images", "top1_float", "top1_deploy", "epochs", "seed"):
        assert about[key] == trained[key], key
    assert about["spec"]["width"] == 0.125
    assert about["command"] == (
        "make train model=bireal18 dataset=digits width=0.125 image=8x8 shortcut_bits=16 train_images=32 "
        "recipe=scratch epochs=1 seed=5"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"init": "x.ckpt"}, "was trained with init=x.ckpt, a file that nobody else has"),
        ({"recipe": "own.toml"}, "was trained with recipe=own.toml, a file that nobody else has"),
    ],
)
def test_a_training_that_nobody_can_repeat(
    little: Path, capsys: pytest.CaptureFixture[str], values: dict[str, str], text: str
) -> None:
    ledger = json.loads((little / "steps.json").read_text())
    ledger["values"] |= values
    (little / "steps.json").write_text(json.dumps(ledger))
    assert say("zoo run=little", capsys, 1) == f"error: run 'little' {text}"
    assert zoo.names() == []


def test_an_untrained_network_is_none_for_the_zoo(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "error: run 'other' has no trained network: train it first, or choose another run=NAME"
    say("export run=other untrained=1 width=0.125 image=8", capsys)
    assert say("zoo run=other", capsys, 1) == text


# ---- commands ----


def test_a_run_of_its_own(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"fold model=zoo:{DIGITS}", capsys)
    assert (RUN / "pynq-z2/folding.toml").exists()
    assert "up to date" in say(f"rtl run=zoo-{DIGITS}", capsys)
    say(f"report model=zoo:{DIGITS}", capsys)
    page = (RUN / "report.html").read_text()
    assert f"zoo:{DIGITS}: 16x16x1 pixels" in page
    assert f"{zoo.about(DIGITS)['top1_deploy']:.2f} %" in page


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    spec = ModelSpec.from_json(zoo.about(DIGITS)["spec"])
    out = say(f"info zoo:{DIGITS}", capsys)
    assert "bireal18, width 0.25, 16x16" in out
    assert f"{spec.parameters()[0]:,} binary" in out


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        (
            "sim model=zoo:bireal18-digts", 1,
            f"unknown network of the zoo 'bireal18-digts': did you mean 'bireal18-digits'? "
            f"choose from {', '.join(zoo.names())}",
        ),
        (
            f"lower model=zoo:{DIGITS} width=0.5", 1,
            f"width=0.5 does not go with zoo:{DIGITS}: the file brings its network",
        ),
        (f"info zoo:{DIGITS} width=0.5", 2, f"width=0.5 does not go with zoo:{DIGITS}, which is a whole network"),
        (
            f"train model=zoo:{DIGITS}", 2,
            f"train takes no file: it starts before zoo:{DIGITS}; the verbs after export take one",
        ),
        (f"lower x.onnx model=zoo:{DIGITS}", 2, f"lower takes one network, not x.onnx and zoo:{DIGITS}"),
    ],
)  # fmt: skip
def test_what_does_not_go(workdir: Path, capsys: pytest.CaptureFixture[str], line: str, status: int, text: str) -> None:
    assert say(line, capsys, status) == f"error: {text}"
    assert not RUN.exists()


@pytest.mark.parametrize("damage", [b"", b"PK no archive", None])
def test_a_damaged_file(little: Path, capsys: pytest.CaptureFixture[str], damage: bytes | None) -> None:
    say("zoo run=little", capsys)
    file = zoo.FOLDER / "little.npz"
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole if damage is None else damage)
    text = say("lower model=zoo:little", capsys, 1)
    assert text.startswith(f"error: {file} is damaged (")
    assert text.endswith("): install bireal_hw again")
    assert not Path("build/zoo-little/model.onnx").exists()


def test_arrays_of_python_objects_are_refused(little: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say("zoo run=little", capsys)
    np.savez(zoo.FOLDER / "little.npz", **{zoo.MODEL: np.array([print], object)})  # type: ignore[arg-type]
    assert "is damaged (ValueError)" in say("lower model=zoo:little", capsys, 1)


# ---- images ----


def values_of(words: str) -> dict[str, Any]:
    file = zoo.FOLDER / f"{DIGITS}.npz"
    return resolve(parse_arguments(words.split()), RunDir(RUN), file)


@pytest.fixture
def graph(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Graph:
    say(f"lower model=zoo:{DIGITS}", capsys)
    found = load(RUN / "graph.json")
    shutil.rmtree("build")
    return found


def test_images_are_those_of_the_data_set(graph: Graph) -> None:
    images, source = images_for(values_of(""), graph, 3)
    assert (images.shape, source) == ((3, 16, 16, 1), "digits test images")


def test_images_are_random_where_the_data_set_is_not_at_hand(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(zoo, "about", lambda name: {"dataset": "cifar10"})
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("no network for this"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "nothing")
    images, source = images_for(values_of("seed=3"), graph, 3)
    assert (images.shape, source) == ((3, 16, 16, 1), "random")
    out = capsys.readouterr().out
    assert out.startswith(f"zoo:{DIGITS}: random images: cannot load data set 'cifar10'")
    assert out.count("\n") == 1
