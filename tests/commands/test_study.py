"""Studies: their rows, what is trained and what is not, table and plot; training is replaced but for one test."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from PIL import Image

from bireal_hw import cli
from bireal_hw.commands import study as module
from bireal_hw.commands.study import Row, load_study
from bireal_hw.commands.study_table import plot, save_plot, table
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import STEPS
from bireal_hw.training.recipe import Recipe, load_recipe

pytestmark = pytest.mark.torch

BITS = ["bits16", "bits12", "bits10", "bits8", "to12", "to10", "to8"]
FOLDER = Path("build/study/digits")


class Bench:
    """Runs studies whose trainings only write a train.json, and remembers them."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.trained: list[str] = []
        self.stop_at: str | None = None

    def work(self, build: Build, folder: Path) -> Figures:
        if build.path.name == self.stop_at:
            raise KeyboardInterrupt
        self.trained.append(build.path.name)
        values = build.values
        build.record_values()
        (folder / "checkpoint.ckpt").write_text(f"{values['init']}")
        deploy = 90.0 + 0.5 * values["seed"] - (20 - values["shortcut_bits"]) / 8
        keys = ("model", "dataset", "width", "image", "channels", "classes", "recipe", "without", "epochs", "seed")
        content = {key: values[key] for key in (*keys, "shortcut_bits")} | {
            "batch": 64, "train_images": 1433, "test_images": 364, "top1_trained": deploy + 0.25, "top1_float": deploy,
            "top1_deploy": deploy, "seconds": 90.0, "device": "an abacus",
        }  # fmt: skip
        (folder / "train.json").write_text(json.dumps(content))
        return {}

    def __call__(self, line: str, status: int = 0) -> str:
        """Run a command, check its exit status, and return what it said: stderr if it failed."""
        self.trained.clear()
        assert cli.run(line.split()) == status
        out, err = self.capsys.readouterr()
        assert err.count("\n") == (1 if status else 0), err
        return err.strip() if status else out


@pytest.fixture
def run(workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    bench = Bench(capsys)
    train = dataclasses.replace(STEPS["train"], work=bench.work, check=lambda build: None)
    monkeypatch.setitem(STEPS, "train", train)
    monkeypatch.setattr(module, "save_plot", lambda report, path: path.write_text("drawn later"))
    return bench


def report(verb: str = "study", name: str = "digits") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(f"build/{verb}/{name}/{verb}.json").read_text())
    return content


# ---- the rows ----


def recipe_of(row: Row) -> Recipe:
    recipe = load_recipe(row.given["recipe"])
    for technique in row.given["without"].split(",") if "without" in row.given else ():
        recipe = recipe.without(technique)
    return recipe


@pytest.mark.parametrize("verb", ["ablation", "study"])
def test_rows_have_names_of_their_own_and_start_from_earlier_ones(verb: str) -> None:
    rows = load_study(verb).rows
    names = [row.name for row in rows]
    assert len(set(names)) == len({row.label for row in rows}) == len(rows)
    assert all(row.start == "" or row.start in names[: names.index(row.name)] for row in rows)


SIGNS = {  # of each row's binary stages: what the activation's and the weights' gradients are
    "plain": ("straight_sign", "unscaled"),
    "shortcut": ("straight_sign", "unscaled"),
    "approx_sign": ("sign", "unscaled"),
    "magnitude_aware": ("sign", "binary_pytorch"),
    "clip": ("sign", "binary_pytorch"),
    "two_steps": ("sign", "binary_pytorch"),
}
STAGES = {
    **{name: ["relu", "binary"] for name in ("plain", "shortcut", "approx_sign", "magnitude_aware")},
    "clip": ["relu", "leaky_clip", "clip", "binary"],
    "two_steps": ["relu", "leaky_clip", "clip", "binary", "batchnorm"],
    "react": ["teacher", "activations", "weights"],
}


def test_each_row_of_the_ablation_has_one_thing_more_than_the_row_above() -> None:
    rows = {row.name: row for row in load_study("ablation").rows}
    assert [row.given["model"] for row in rows.values()] == ["plain18"] + ["bireal18"] * 5 + ["react18"]
    recipes = {name: recipe_of(row) for name, row in rows.items()}
    assert {name: [stage.name for stage in recipe.stages] for name, recipe in recipes.items()} == STAGES
    for name, signs in SIGNS.items():
        binary = [stage for stage in recipes[name].stages if stage.binary]
        assert {(stage.activation, stage.weights) for stage in binary} == {signs}, name
        last = recipes[name].stages[-1]
        assert (last.train == "batchnorm") == last.unit_weights == (name == "two_steps")
    stages = [next(stage for stage in recipes[name].stages if stage.name == "binary") for name in SIGNS]
    alike = {dataclasses.replace(stage, activation="sign", weights="binary") for stage in stages}
    assert len(alike) == 1  # but for the gradients
    assert {stage.augment for recipe in recipes.values() for stage in recipe.stages} == {"dataset"}
    assert all(recipe.binary for recipe in recipes.values())


# ---- what is trained ----


def test_every_row_is_trained_with_every_seed(run: Bench) -> None:
    out = run("study seeds=2 epochs=3 width=0.125")
    assert run.trained == [f"{row}-{seed}" for seed in (0, 1) for row in BITS]
    assert "training 9 of 14: 12 bits, seed 1" in out
    found = report()
    assert [row["name"] for row in found["rows"]] == BITS
    assert found["seeds"] == [0, 1]
    assert (found["trainings"], found["trainings_wanted"], found["minutes"]) == (14, 14, 21.0)
    assert (found["dataset"], found["width"], found["epochs"], found["devices"]) == ("digits", 0.125, 3, ["an abacus"])
    assert [row["shortcut_bits"] for row in found["rows"]] == [16, 12, 10, 8, 12, 10, 8]
    assert [row["epochs"] for row in found["rows"]] == [3] * 4 + [1] * 3
    assert {row["recipe"] for row in found["rows"][4:]} == {"calibrate"}


def test_rounded_rows_begin_with_the_network_of_their_seed(run: Bench) -> None:
    run("study seeds=2 epochs=3")
    for seed in (0, 1):
        assert (
            FOLDER / f"to8-{seed}/checkpoint.ckpt"
        ).read_text() == f"build/study/digits/bits16-{seed}/checkpoint.ckpt"
        assert (FOLDER / f"bits8-{seed}/checkpoint.ckpt").read_text() == "None"


def test_the_figures_of_a_row(run: Bench) -> None:
    run("study seeds=3 epochs=3")
    rows = {row["name"]: row for row in report()["rows"]}
    assert rows["bits16"]["top1_deploy"] == 90.0
    assert (rows["bits16"]["lowest"], rows["bits16"]["highest"]) == (89.5, 90.5)
    assert (rows["bits16"]["gain"], rows["bits16"]["beyond_spread"]) == (None, None)
    assert (rows["bits12"]["gain"], rows["bits12"]["beyond_spread"]) == (-0.5, False)  # over the row above
    assert (rows["to8"]["gain"], rows["to8"]["beyond_spread"]) == (-1.0, False)  # over the row it starts from
    assert [one["seed"] for one in rows["to8"]["trainings"]] == [0, 1, 2]


def test_what_is_finished_is_not_trained_again(run: Bench) -> None:
    run("study seeds=1 epochs=3")
    run("study seeds=2")
    assert run.trained == [f"{row}-1" for row in BITS]
    run("study seeds=2 epochs=3")
    assert run.trained == []
    assert report()["trainings"] == 14


def test_an_interrupted_study_keeps_what_it_has(run: Bench) -> None:
    run.stop_at = "bits10-0"
    with pytest.raises(KeyboardInterrupt):
        run("study seeds=1 epochs=3")
    found = report()
    assert [row["name"] for row in found["rows"]] == ["bits16", "bits12"]
    assert "5 of 7 trainings are missing" in (FOLDER / "study.md").read_text()
    run.stop_at = None
    run("study seeds=1")
    assert run.trained == [f"{row}-0" for row in BITS[2:]]


def test_values_that_differ_stop(run: Bench) -> None:
    run("study seeds=1 epochs=3 run=mine")
    before = report(name="mine")
    assert (
        run("study run=mine epochs=4", 1) == "error: study 'mine' has epochs=3, not epochs=4: choose another run=NAME"
    )
    assert run("study run=mine width=1", 1) == "error: study 'mine' has no width, not width=1: choose another run=NAME"
    assert (run.trained, report(name="mine")) == ([], before)


def test_a_study_that_left_nothing_binds_nobody(run: Bench) -> None:
    run.stop_at = "bits16-0"
    with pytest.raises(KeyboardInterrupt):
        run("study seeds=1 epochs=3")
    run.stop_at = None
    run("study seeds=1 epochs=4")
    assert report()["epochs"] == 4


def test_rows_that_another_version_had_stop(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run("study seeds=1")
    plan = load_study("study")
    changed = dataclasses.replace(plan.rows[1], given={"shortcut_bits": 11})
    monkeypatch.setattr(
        module, "load_study", lambda verb: dataclasses.replace(plan, rows=(plan.rows[0], changed, *plan.rows[2:]))
    )
    assert run("study", 1) == "error: study 'digits' was begun with another row 'bits12': choose another run=NAME"


def test_variables_that_the_rows_set(run: Bench) -> None:
    taken = (
        "it takes model, dataset, data, label, image_column, width, image, channels, classes, skip_broken, "
        "train_images, recipe, epochs, batch, seeds, run"
    )
    assert run("study shortcut_bits=8", 2) == f"error: shortcut_bits=8: every row of study sets it; {taken}"
    assert run("study clock=100", 2).startswith("error: study does not use clock=100: it takes model, dataset, data, ")
    Path("mine.toml").write_text("seed = 1")
    assert run("study config=mine.toml", 2) == f"error: seed=1: study does not use it; {taken}"
    assert run("ablation without=settle", 2).startswith("error: ablation does not use without=settle: it takes model, ")
    assert run("study seeds=0", 1) == "error: seeds=0 is out of range: an integer from 1 to 100"


# ---- table and plot ----


def test_the_table(run: Bench) -> None:
    run("study seeds=3 epochs=3")
    text = (FOLDER / "study.md").read_text()
    assert text == table(report())
    assert (
        "digits, 1,433 training and 364 test images of 16x16 pixels; width 0.25, 3 epochs of batch 64, seeds 0, 1, 2; "
        "31.5 minutes on an abacus."
    ) in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2] == "| 16 bits | 90.00 | 89.50 to 90.50 |  | 90.25 | 3 | 4.5 |"
    assert rows[3] == "| 12 bits | 89.50 | 89.00 to 90.00 | -0.50 (within the spread) | 89.75 | 3 | 4.5 |"
    assert len(rows) == 2 + len(BITS)


def test_the_plot_has_every_seed_and_the_mean_in_the_order_of_the_rows(run: Bench, tmp_path: Path) -> None:
    run("study seeds=3 epochs=3")
    found = report()
    (axes,) = plot(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [row["label"] for row in found["rows"]]
    assert axes.yaxis_inverted()
    means = [line for line in axes.collections if isinstance(line, LineCollection)]
    for place, (row, dots, mean) in enumerate(zip(found["rows"], axes.lines, means, strict=True)):
        assert np.asarray(dots.get_xdata()).tolist() == [one["top1_deploy"] for one in row["trainings"]]
        assert set(np.asarray(dots.get_ydata()).tolist()) == {place}
        assert set(mean.get_segments()[0][:, 0]) == {row["top1_deploy"]}
    save_plot(found, tmp_path / "study.png")
    with Image.open(tmp_path / "study.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


# ---- for good ----


def test_a_tiny_study(workdir: Path) -> None:
    assert cli.run(["study", "seeds=1", "epochs=1", "train_images=32", "width=0.125", "image=8"]) == 0
    rows = {row["name"]: row for row in report()["rows"]}
    assert sorted(rows) == sorted(BITS)
    for name, row in rows.items():
        content = json.loads((FOLDER / f"{name}-0/train.json").read_text())
        assert content["shortcut_bits"] == row["shortcut_bits"]
        assert content["top1_deploy"] == row["trainings"][0]["top1_deploy"]
    from bireal_hw.training.checkpoint import load_checkpoint

    models = {name: load_checkpoint(FOLDER / f"{name}-0/checkpoint.ckpt")[0].state_dict() for name in rows}
    same = [key for key in models["bits16"] if key.endswith("binary_conv.weight")]
    assert len(same) == 16
    assert all(models["to8"][key].equal(models["bits16"][key]) for key in same)
    assert not all(models["bits8"][key].equal(models["bits16"][key]) for key in same)
    grid = "layer1.stream.act_quant.fused_activation_quant_proxy.tensor_quant.frac"
    assert int(models["to8"][grid]) < int(models["bits16"][grid])


@pytest.mark.slow
def test_a_tiny_ablation(workdir: Path) -> None:
    words = ["ablation", "seeds=2", "epochs=5", "train_images=16", "width=0.125", "image=8"]
    assert cli.run(words) == 0
    found = report("ablation")
    assert [row["name"] for row in found["rows"]] == list(STAGES)
    for row in found["rows"]:
        for one in row["trainings"]:
            path = Path(f"build/ablation/digits/{row['name']}-{one['seed']}/train.json")
            content = json.loads(path.read_text())
            assert [stage["name"] for stage in content["stages"]] == STAGES[row["name"]]
            assert (content["model"], content["top1_deploy"]) == (row["model"], one["top1_deploy"])
