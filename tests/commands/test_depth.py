"""The command `depth`: what it trains, keeps, adds and refuses, and the figures of its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bireal_hw import cli
from bireal_hw.commands.depth import _report, depth_table
from bireal_hw.training.depth import data

pytestmark = pytest.mark.torch

QUICK = "depth model=bireal18 width=0.125 image=16 epochs=1 run=quick"
FOLDER = Path("build/quick/depth")


def run(line: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    """Run a command, check its exit status, and return what it said: stderr if it failed."""
    assert cli.run(line.split()) == status
    out, err = capsys.readouterr()
    assert err.count("\n") == (1 if status else 0), err
    return err.strip() if status else out


def trained_at() -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in FOLDER.glob("*/checkpoint.ckpt")}


def test_both_networks_then_more_seeds(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "TEST_ROOMS", 12)
    out = run(f"{QUICK} train_images=24", capsys)
    assert "training 1 of 2: real, seed 0" in out
    assert "training 2 of 2: binary, seed 0" in out
    report = json.loads((FOLDER / "depth.json").read_text())
    assert (report["run"], report["model"], report["dataset"]) == ("quick", "bireal18", "rooms")
    assert (report["train_images"], report["test_images"], report["epochs"]) == (24, 12, 1)
    assert report["networks"]["binary"]["weights"] == "binary_pytorch"
    assert report["networks"]["real"]["activation"] == "relu"
    for name in ("depth.json", "depth.png", "curves.png"):
        assert (FOLDER / name).is_file()
        assert f"build/quick/depth/{name}" in out
    before = trained_at()
    assert set(before) == {"real-0", "binary-0"}

    out = run("depth run=quick seeds=2 real=0", capsys)  # the values are the run's; what is trained stays
    assert "training 1 of 2: binary, seed 0, done before" in out
    assert "training 2 of 2: binary, seed 1\n" in out
    after = trained_at()
    assert set(after) == {"real-0", "binary-0", "binary-1"}
    assert {name: after[name] for name in before} == before
    report = json.loads((FOLDER / "depth.json").read_text())
    assert report["networks"]["binary"]["seeds"] == [0, 1]
    seeds = [json.loads((FOLDER / f"binary-{seed}" / "train.json").read_text())["measures"]["rmse"] for seed in (0, 1)]
    assert report["networks"]["binary"]["measures"]["rmse"] == {
        "mean": pytest.approx(sum(seeds) / 2, abs=1e-6), "lowest": min(seeds), "highest": max(seeds),
    }  # fmt: skip

    said = run("depth run=quick width=0.25", capsys, 1)
    assert said == "error: run 'quick' has width=0.125, not width=0.25: choose another run=NAME"
    assert trained_at() == after


def write(folder: Path, network: str, seed: int, rmse: float, delta: float) -> None:
    """Leave what a finished training leaves."""
    place = folder / f"{network}-{seed}"
    place.mkdir(parents=True)
    measures = {"rmse": rmse, "rel": 0.25, "delta1": delta, "delta2": 80.0, "delta3": 90.0}
    about: dict[str, Any] = {"model": "bireal50", "dataset": "rooms", "width": 0.125, "image": [64, 96], "epochs": 20}
    about |= {"shortcut_bits": 16, "batch": 16, "train_images": 2000, "test_images": 200, "seed": seed, "seconds": 90}
    about |= {"activation": "sign", "weights": network, "learning_rate": 0.002, "parameters": {"decoder": 1}}
    (place / "train.json").write_text(json.dumps(about | {"measures": measures}))


def test_the_gap_is_taken_seed_by_seed(tmp_path: Path) -> None:
    write(tmp_path, "real", 0, 0.5, 70.0)
    write(tmp_path, "real", 1, 0.7, 66.0)
    write(tmp_path, "real", 2, 0.1, 99.0)  # no binary network has this seed
    write(tmp_path, "binary", 0, 0.8, 60.0)
    write(tmp_path, "binary", 1, 0.8, 62.0)
    write(tmp_path, "binary", 10, 0.2, 10.0)
    mean = {"rmse": 1.0, "rel": 0.4, "delta1": 40.0, "delta2": 70.0, "delta3": 85.0}
    report = _report(tmp_path, mean)
    assert report["networks"]["binary"]["seeds"] == [0, 1, 10]
    assert report["networks"]["real"]["minutes"] == 4.5
    assert report["gap"]["rmse"] == pytest.approx({"mean": 0.2, "lowest": 0.1, "highest": 0.3})
    assert report["gap"]["delta1"] == pytest.approx({"mean": -7.0, "lowest": -10.0, "highest": -4.0})
    console = Console(width=200, record=True)
    console.print(depth_table(report))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines[0] == "rooms, 2,000 training and 200 test images of 64x96; bireal50, width 0.125, 20 epochs"
    assert "mean depth │ 1.000 │ 0.400 │ 40.00 │ 70.00 │ 85.00 │ │" in lines
    at = lines.index("real │ 0.433 │ 0.250 │ 78.33 │ 80.00 │ 90.00 │ 0, 1, 2 │ 4.5")
    assert lines[at + 1] == "│ 0.100 to 0.700 │ │ 66.00 to 99.00 │ │ │ │"
    at = lines.index("binary - real │ +0.200 │ +0.000 │ -7.00 │ +0.00 │ +0.00 │ │")
    assert lines[at + 1] == "│ +0.100 to +0.300 │ │ -10.00 to -4.00 │ │ │ │"


def test_one_network_alone_has_no_gap(tmp_path: Path) -> None:
    write(tmp_path, "real", 0, 0.5, 70.0)
    report = _report(tmp_path, {"rmse": 1.0, "rel": 0.4, "delta1": 40.0, "delta2": 70.0, "delta3": 85.0})
    assert list(report["networks"]) == ["real"]
    assert report["gap"] is None
    assert len(depth_table(report).rows) == 2


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("recipe=adam", 2, "error: depth does not use recipe=adam: it takes model, dataset, data, width, "),
        ("dataset=digits", 1, "error: unknown data set of images with depth 'digits': choose from rooms, nyu, folder"),
        ("dataset=folder", 1, "error: dataset=folder needs data=DIR, a folder with train and test"),
        ("dataset=nyu data=no/where", 1, "error: data=no/where is not a folder: "),
        ("image=65x96", 1, "error: image=65x96 is out of range: sides are multiples of 32, as one side exceeds 64; "),
        ("real=2", 1, "error: real=2 is out of range: 0 or 1"),
        ("model=bireal51", 1, "error: unknown model 'bireal51': did you mean 'bireal50'? "),
    ],
)
def test_words_that_do_not_fit(
    words: str, status: int, said: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"depth {words}", capsys, status).startswith(said)
    assert not (workdir / "build").exists()
