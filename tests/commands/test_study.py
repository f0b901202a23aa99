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
from bireal_hw.errors import DivergedError
from bireal_hw.run.build import Build, Figures
from bireal_hw.run.engine import STEPS
from bireal_hw.training.recipe import Recipe, load_recipe

pytestmark = pytest.mark.torch

BITS = ["bits16", "bits12", "bits10", "bits8", "to12", "to10", "to8"]
FOLDER = Path("build/study/digits")


class Bench:
    """Runs studies whose trainings only write a train.json, and remembers them."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.best: dict[tuple[str, int], float] = {}
        """Learning rate that a row does best at with a seed, where it is not 0.1."""
        self.capsys = capsys
        self.trained: list[str] = []
        self.stop_at: str | None = None
        self.diverging: set[str] = set()
        """Folders of trainings that diverge."""

    def work(self, build: Build, folder: Path) -> Figures:
        if build.path.name == self.stop_at:
            raise KeyboardInterrupt
        self.trained.append(build.path.name)
        if build.path.name in self.diverging:
            raise DivergedError("the loss is nan at step 3")
        values = build.values
        build.record_values()
        (folder / "checkpoint.ckpt").write_text(f"{values['init']}")
        deploy = 90.0 + 0.5 * values["seed"] - (20 - values["shortcut_bits"]) / 8
        rate = values["learning_rate"]
        if rate:
            deploy -= 10 * abs(rate - self.best.get((build.path.name.split("-")[0], values["seed"]), 0.1))
        keys = ("model", "dataset", "width", "image", "channels", "classes", "recipe", "without", "epochs", "seed")
        content = {key: values[key] for key in (*keys, "shortcut_bits")} | {
            "batch": 64, "train_images": 1433, "test_images": 364, "top1_trained": deploy + 0.25, "top1_float": deploy,
            "top1_deploy": None if build.path.name.startswith("real") else deploy,
            "seconds": 90.0, "device": "an abacus",
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
    return load_recipe(row.given["recipe"], row.given.get("without"))


@pytest.mark.parametrize("verb", ["ablation", "recipes", "study"])
def test_rows_have_names_of_their_own_and_start_from_earlier_ones(verb: str) -> None:
    rows = load_study(verb).rows
    names = [row.name for row in rows]
    assert len(set(names)) == len({row.label for row in rows}) == len(rows)
    assert all(row.start == "" or row.start in names[: names.index(row.name)] for row in rows)


ONE_THING = {  # what a row changes in the row that its gain is over: fields of the last stage, or where it begins
    "plain": {"model"},
    "approx_sign": {"activation"},
    "magnitude_aware": {"weights"},
    "both": {"activation"},
    "clip": {"begins"},
    "react": {"model", "begins"},
}
REAL = {"real_plain": ["relu"], "real": ["relu"], "real_clip": ["relu", "leaky_clip", "clip"], "real_react": ["relu"]}


def test_each_row_of_the_ablation_changes_one_thing() -> None:
    rows = {row.name: row for row in load_study("ablation").rows}
    assert set(rows) == {*ONE_THING, *REAL, "shortcut", "two_steps"}
    rows["plain"] = dataclasses.replace(rows["plain"], over="shortcut", start="real")  # for one shortcut less
    last = {name: recipe_of(row).stages[-1] for name, row in rows.items()}
    for name, changed in ONE_THING.items():
        mine, theirs = (
            {"model": rows[one].given["model"], "begins": rows[one].start}
            | dataclasses.asdict(dataclasses.replace(last[one], start="previous"))
            for one in (name, rows[name].over)
        )
        assert {key for key in mine if mine[key] != theirs[key]} == changed, name
    assert (last["plain"].activation, last["plain"].weights) == ("straight_sign", "unscaled")
    assert (last["both"].activation, last["both"].weights) == ("sign", "binary_pytorch")


def test_binary_rows_begin_with_real_ones_of_as_many_epochs_and_choose_a_learning_rate() -> None:
    rows = {row.name: row for row in load_study("ablation").rows}
    for name, row in rows.items():
        stages = [stage.name for stage in recipe_of(row).stages]
        if name in REAL:
            assert (stages, row.learning_rates, row.start) == (REAL[name], (), "")
            assert not recipe_of(row).binary
        elif name == "two_steps":
            assert (stages, row.given["epochs"], row.start) == (["batchnorm"], 1, "both")
            assert recipe_of(row).stages[0].unit_weights
        else:
            assert (stages, "epochs" in row.given) == (["binary"], False)
            assert len(row.learning_rates) == 3
            assert row.start in REAL
            assert rows[row.start].given["model"] == row.given["model"]


# What a row of `recipes` changes in the first: stages in order, and the fields in which they differ.
CHANGED: dict[str, dict[str, set[str]]] = {
    "scratch": {"binary": set()},
    "muon": {"binary": {"optimizer", "learning_rate"}},
    "two_steps": {"activations": {"name", "weights"}, "weights": {"name"}},
    "teacher": {
        "teacher": {"name", "share", "activation", "weights"},
        "binary": {"start", "teacher", "label_smoothing", "share"},
    },
    "sharp": {"binary": {"label_smoothing"}},
    "cosine": {"binary": {"schedule"}},
    "batchnorm": {"binary": {"share"}, "batchnorm": {"name", "train", "learning_rate", "schedule"}},
    "decay": {"binary": {"weight_decay"}},
    "flips": {"binary": {"flips"}},
    "whitened": {"binary": {"stem"}},
}


def test_each_row_of_recipes_changes_one_thing_in_the_first() -> None:
    rows = {row.name: row for row in load_study("recipes").rows}
    assert list(rows) == list(CHANGED)
    first = dataclasses.asdict(recipe_of(rows["scratch"]).stages[0])
    for name, row in rows.items():
        stages = [dataclasses.asdict(stage) for stage in recipe_of(row).stages]
        found = {stage["name"]: {key for key in stage if stage[key] != first[key]} for stage in stages}
        assert found == CHANGED[name], name
        assert list(found) == list(CHANGED[name])
        assert row.over == ("" if name == "scratch" else "scratch")
        assert len(row.learning_rates) == 3
        rates = {stage["learning_rate"] for stage in stages if stage["train"] == "all"}
        assert rates == {max(stage["learning_rate"] for stage in stages)}  # so the rate of a row is that of its weights


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


def test_a_study_that_an_earlier_version_began_goes_on(run: Bench) -> None:
    """What it did not know is taken for the default of today, and for nothing else."""
    run("recipes seeds=1 rows=scratch,two_steps")
    path = Path("build/recipes/digits/steps.json")

    def forget(*names: str) -> None:
        ledger = json.loads(path.read_text())
        for name in names:
            for stage in ledger["values"]["rows"][name]["stages"]["stages"]:
                del stage["flips"], stage["stem"]
        path.write_text(json.dumps(ledger))

    forget("scratch", "two_steps")
    run("recipes seeds=2 rows=scratch,two_steps")
    forget("scratch", "flips")
    wanted = "error: recipes 'digits' was begun with another row 'flips': choose another run=NAME"
    assert run("recipes seeds=2 rows=scratch,flips", 1) == wanted


@pytest.mark.parametrize("edited", ["learning_rate = 0.007", "learning_rate = 0.006\nstem = 'whitened'"])
def test_a_recipe_file_that_was_edited_stops_a_study(run: Bench, edited: str) -> None:
    recipe = "[[stage]]\nname = 'binary'\n{}\n"
    Path("mine.toml").write_text(recipe.format("learning_rate = 0.006"))
    run("study recipe=mine.toml seeds=1 epochs=3")
    run("study recipe=mine.toml seeds=2 epochs=3")
    Path("mine.toml").write_text(recipe.format(edited))
    before = report()
    assert run("study recipe=mine.toml seeds=3 epochs=3", 1).startswith(
        "error: run 'bits16-0' was trained with binary."
    )
    assert run.trained == []
    assert report() == before


def test_a_row_whose_recipe_has_changed_stops(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of a row's recipe is the row."""
    run("recipes seeds=1 rows=muon")
    assert report("recipes")["rows"][0]["recipe"] == "tried/muon"
    changed = load_recipe("tried/muon").with_learning_rate(1)
    monkeypatch.setattr(
        module,
        "load_recipe",
        lambda name, without=None: changed if name == "tried/muon" else load_recipe(name, without),
    )
    wanted = "error: recipes 'digits' was begun with another row 'muon': choose another run=NAME"
    assert run("recipes seeds=2 rows=muon", 1) == wanted


def test_variables_that_the_rows_set(run: Bench) -> None:
    taken = (
        "it takes model, dataset, data, label, image_column, width, image, channels, classes, skip_broken, "
        "train_images, recipe, epochs, batch, rows, seeds, run"
    )
    assert run("study shortcut_bits=8", 2) == f"error: shortcut_bits=8: every row of study sets it; {taken}"
    assert run("study clock=100", 2).startswith("error: study does not use clock=100: it takes model, dataset, data, ")
    Path("mine.toml").write_text("seed = 1")
    assert run("study config=mine.toml", 2) == f"error: seed=1: study does not use it; {taken}"
    assert run("recipes recipe=scratch", 2).startswith("error: recipe=scratch: every row of recipes sets it; it takes ")
    assert run("ablation without=settle", 2).startswith("error: ablation does not use without=settle: it takes model, ")
    assert run("study seeds=0", 1) == "error: seeds=0 is out of range: an integer from 1 to 100"


# ---- learning rates, real-valued rows, some of the rows ----


def test_the_rate_of_a_row_is_the_best_of_its_first_seed(run: Bench) -> None:
    run.best = {("both", 0): 0.1, ("both", 1): 0.03, ("shortcut", 0): 0.3}
    out = run("ablation seeds=2 epochs=3 rows=both,shortcut")
    assert run.trained == [
        "real-0", "shortcut-at-0.1-0", "shortcut-at-0.3-0", "shortcut-at-1-0",
        "both-at-0.01-0", "both-at-0.03-0", "both-at-0.1-0", "real-1", "shortcut-at-0.3-1", "both-at-0.1-1",
    ]  # fmt: skip
    assert "training 4 of 10: a shortcut, seed 0 at learning rate 1" in out
    found = report("ablation")
    rows = {row["name"]: row for row in found["rows"]}
    assert (rows["both"]["learning_rate"], rows["shortcut"]["learning_rate"], rows["real"]["learning_rate"]) == (
        0.1, 0.3, None,
    )  # fmt: skip
    assert rows["both"]["tried"] == {"0.01": 88.6, "0.03": 88.8, "0.1": 89.5}
    assert [one["top1_deploy"] for one in rows["both"]["trainings"]] == [89.5, 90.0 - 0.7]
    assert (rows["both"]["accuracy"], rows["both"]["minutes"]) == (89.4, 6.0)  # the minutes of all that were tried
    assert (found["trainings"], found["trainings_wanted"], found["minutes"]) == (10, 10, 15.0)
    assert "| a shortcut | 0.3 of 0.1, 0.3, 1 | 88.75 |" in (Path("build/ablation/digits/ablation.md")).read_text()


def test_a_rate_at_which_a_row_diverges_is_passed_over(run: Bench) -> None:
    run.best, run.diverging = {("shortcut", 0): 0.3}, {"shortcut-at-0.1-0", "shortcut-at-1-0"}
    out = run("ablation seeds=2 epochs=3 rows=shortcut")
    assert run.trained == [
        "real-0", "shortcut-at-0.1-0", "shortcut-at-0.3-0", "shortcut-at-1-0", "real-1", "shortcut-at-0.3-1",
    ]  # fmt: skip
    assert out.count("diverged: the loss is nan at step 3\n") == 2
    found = report("ablation")
    row = found["rows"][1]
    assert row["tried"] == {"0.1": None, "0.3": 89.5, "1": None}
    assert (row["accuracy"], row["minutes"], found["trainings"], found["trainings_wanted"]) == (88.75, 3.0, 6, 6)
    text = Path("build/ablation/digits/ablation.md").read_text()
    assert "| a shortcut | 0.3 of 0.1 (diverged), 0.3, 1 (diverged) | 88.75 |" in text


def test_the_first_training_of_all_may_diverge(run: Bench) -> None:
    run.diverging = {"scratch-at-0.0025-0"}
    run("recipes seeds=1 rows=scratch")
    assert report("recipes")["rows"][0]["tried"] == {"0.0025": None, "0.006": 88.56, "0.015": 88.65}


@pytest.mark.parametrize(
    ("diverging", "error"),
    [
        (
            {f"shortcut-at-{rate}-0" for rate in ("0.1", "0.3", "1")},
            "row 'shortcut' diverged at each of its learning rates 0.1, 0.3, 1",
        ),
        ({"shortcut-at-0.1-1"}, "the loss is nan at step 3"),  # the best rate, with another seed
        ({"real-0"}, "the loss is nan at step 3"),  # the only rate
    ],
)
def test_a_row_that_diverges_stops_the_study(diverging: set[str], error: str, run: Bench) -> None:
    run.diverging = diverging
    assert run("ablation seeds=2 epochs=3 rows=shortcut", 1) == f"error: {error}"


def test_a_row_begins_with_the_network_of_the_best_rate_of_another(run: Bench) -> None:
    run.best = {("both", 0): 0.03}
    run("ablation seeds=2 epochs=3 rows=two_steps")
    folder = Path("build/ablation/digits")
    for seed in (0, 1):
        assert (
            folder / f"two_steps-{seed}/checkpoint.ckpt"
        ).read_text() == f"{folder}/both-at-0.03-{seed}/checkpoint.ckpt"
        assert (folder / f"both-at-0.03-{seed}/checkpoint.ckpt").read_text() == f"{folder}/real-{seed}/checkpoint.ckpt"


def test_real_valued_rows_have_their_float_accuracy(run: Bench) -> None:
    run("ablation seeds=2 epochs=3 rows=real_plain,plain,approx_sign")
    rows = {row["name"]: row for row in report("ablation")["rows"]}
    assert (rows["real_plain"]["top1_deploy"], rows["real_plain"]["accuracy"]) == (None, 89.75)
    assert (rows["plain"]["gain"], rows["plain"]["over"]) == (-2.0, "real_plain")
    assert (rows["approx_sign"]["gain"], rows["approx_sign"]["over"]) == (None, "shortcut")  # which is not trained


def test_more_rows_later(run: Bench) -> None:
    run("ablation seeds=1 epochs=3 rows=approx_sign")
    run("ablation seeds=1 rows=magnitude_aware,approx_sign")
    assert run.trained == ["magnitude_aware-at-0.03-0", "magnitude_aware-at-0.1-0", "magnitude_aware-at-0.3-0"]
    assert [row["name"] for row in report("ablation")["rows"]] == ["real", "approx_sign", "magnitude_aware"]


@pytest.mark.parametrize("rows", [",", "real,"])
def test_rows_without_a_name(rows: str, run: Bench) -> None:
    assert run(f"ablation rows={rows}", 1).startswith("error: unknown row of ablation '': choose from real_plain, ")
    assert run.trained == []


def test_unknown_rows(run: Bench) -> None:
    error = run("ablation rows=real,aprox_sign", 1)
    assert error.startswith(
        "error: unknown row of ablation 'aprox_sign': did you mean 'approx_sign'? choose from real_plain, "
    )
    assert not Path("build").exists()


def test_too_few_epochs_for_a_row_stop_before_the_first_training(run: Bench) -> None:
    stages = "recipe 'short' has 3 stages (relu, leaky_clip, clip)"
    assert run("ablation epochs=2", 1) == f"error: row 'real_clip': epochs=2 is out of range: {stages}"
    assert run.trained == []
    run("ablation epochs=2 rows=both seeds=1")
    assert len(run.trained) == 4


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


def test_a_table_says_what_one_seed_and_a_row_that_is_missing_leave_open(run: Bench) -> None:
    run("recipes seeds=1 epochs=3 rows=flips,whitened")
    text = " ".join((Path("build/recipes/digits") / "recipes.md").read_text().split())
    assert "No gain over scratch, not among the rows: add it to rows=." in text
    assert "gain:" not in text
    assert "| gain |" not in text
    run("recipes seeds=1 epochs=3 rows=scratch,flips run=two")
    text = " ".join((Path("build/recipes/two") / "recipes.md").read_text().split())
    assert "over Adam, linear, labels smoothed (one seed) |" in text
    assert "gain: over the row above" in text
    assert "No gain" not in text


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
        assert set(mean.get_segments()[0][:, 0]) == {row["accuracy"]}
    save_plot(found, tmp_path / "study.png")
    with Image.open(tmp_path / "study.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


@pytest.mark.parametrize("label", ["a", "a label of so many words that it takes half of the width of the picture"])
def test_no_text_of_the_plot_leaves_the_picture(label: str, run: Bench) -> None:
    run("study seeds=3 epochs=3 train_images=1000 width=0.125")
    found = report()
    found["rows"] = [row | {"label": f"{label} {row['name']}"} for row in found["rows"]]
    figure = plot(found)
    figure.draw_without_rendering()
    whole, (axes,) = figure.bbox, figure.axes
    texts = [*figure.texts, *axes.texts, *axes.get_yticklabels()]
    assert len(texts) == 2 + 2 * len(BITS)
    for text in texts:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, text.get_text()
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, text.get_text()


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
    words = ["ablation", "seeds=1", "epochs=3", "train_images=16", "width=0.125", "image=8"]
    assert cli.run(words) == 0
    found = report("ablation")
    assert [row["name"] for row in found["rows"]] == [row.name for row in load_study("ablation").rows]
    for row in found["rows"]:
        rate = f"-at-{row['learning_rate']:g}" if row["learning_rate"] else ""
        content = json.loads(Path(f"build/ablation/digits/{row['name']}{rate}-0/train.json").read_text())
        assert (content["model"], content["top1_deploy"]) == (row["model"], row["trainings"][0]["top1_deploy"])
        assert (content["learning_rate"] == row["learning_rate"]) is bool(rate)
        assert (content["top1_deploy"] is None) is (row["name"] in REAL)
