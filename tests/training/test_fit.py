"""Training: the same run gives the same network, interrupted or not, and every way it can fail says so in a line."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from bireal_hw.errors import BirealError
from bireal_hw.export.deploy import to_deploy
from bireal_hw.models.bireal import build_model
from bireal_hw.models.quantizers import RangeQuant
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training import fit
from bireal_hw.training.checkpoint import load_checkpoint, save_checkpoint
from bireal_hw.training.curves import save_curves
from bireal_hw.training.data import Data, load_data
from bireal_hw.training.defaults import DATASETS, dataset_defaults
from bireal_hw.training.evaluate import predict, top1
from bireal_hw.training.fit import TrainConfig, default_config, train
from bireal_hw.training.overview import overview
from bireal_hw.training.recipe import Recipe, Stage, load_recipe, shipped, steps_of
from bireal_hw.training.stage import StageTraining

pytestmark = pytest.mark.torch

SPEC = ModelSpec("bireal18", 0.125, (8, 8), 1, 10)
STAGE = Stage("binary", learning_rate=2e-3, label_smoothing=0.1, settle=0.5)
CONFIG = TrainConfig(SPEC, "digits", epochs=3, batch=32, recipe=Recipe("test", (STAGE,)))


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", image=(8, 8), limit=160)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, digits: Data) -> Path:
    """A training run that nothing disturbed."""
    out = tmp_path_factory.mktemp("finished")
    train(CONFIG, digits, out, progress=False)
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    content = torch.load(folder / "checkpoint.ckpt", weights_only=True)
    return content["state_dict"]


def rows(folder: Path) -> list[dict[str, str]]:
    """The metrics of each epoch, but for the time it took."""
    with (folder / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(folder: Path, want: Path) -> None:
    got = weights(folder)
    assert got.keys() == weights(want).keys()
    for name, tensor in weights(want).items():
        assert torch.equal(got[name], tensor), name
    assert rows(folder) == rows(want)


# ---- what a run leaves ----


def test_results_of_a_run(finished: Path, digits: Data) -> None:
    assert {path.name for path in finished.iterdir()} == {"checkpoint.ckpt", "train.json", "metrics.csv", "curves.png"}
    result = json.loads((finished / "train.json").read_text())
    model, spec, info = load_checkpoint(finished / "checkpoint.ckpt")
    assert info == result
    assert spec == SPEC
    assert not model.training
    binary, real = SPEC.parameters()
    expected = {"model": "bireal18", "dataset": "digits", "width": 0.125, "image": [8, 8], "epochs": 3, "seed": 0}
    expected |= {"params_binary": binary, "params_real": real, "test_images": 160, "train_images": 160}
    expected |= {"recipe": "test", "init": None, "broken_images": 0, "activation": "sign", "weights": "binary_pytorch"}
    expected |= {"channels": 1, "classes": 10, "class_names": list("0123456789"), "shortcut_bits": 16}
    assert {key: result[key] for key in expected} == expected
    assert result["top1_float"] == round(top1(predict(model, digits.test_images), digits.test_labels), 4)
    deploy = to_deploy(model, spec)
    assert result["top1_deploy"] == round(top1(predict(deploy, digits.test_images), digits.test_labels), 4)
    assert result["seconds"] > 0


def test_metrics_have_one_row_per_epoch_and_the_rate_falls_to_zero(finished: Path) -> None:
    found = rows(finished)
    assert [row["epoch"] for row in found] == ["1", "2", "3"]
    rates = [float(row["learning_rate"]) for row in found]
    assert rates == pytest.approx([STAGE.learning_rate * factor for factor in (2 / 3, 1 / 3, 0)], rel=1e-3)
    assert float(found[-1]["train_loss"]) < float(found[0]["train_loss"])


def test_the_curves_are_a_picture(finished: Path) -> None:
    with Image.open(finished / "curves.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 500
        assert len(set(picture.convert("RGB").tobytes())) > 50


def test_the_same_seed_gives_the_same_network_and_another_seed_another(
    finished: Path, tmp_path: Path, digits: Data
) -> None:
    torch.manual_seed(12345)  # the state of the global generator plays no part
    train(CONFIG, digits, tmp_path, progress=False)
    assert_same_run(tmp_path, finished)
    other = tmp_path / "other"
    other.mkdir()
    train(dataclasses.replace(CONFIG, seed=1, epochs=1), digits, other, progress=False)
    assert not torch.equal(weights(other)["fc.weight"], weights(finished)["fc.weight"])


def test_progress_without_a_terminal_is_a_line_an_epoch(
    tmp_path: Path, digits: Data, capfd: pytest.CaptureFixture[str]
) -> None:
    train(dataclasses.replace(CONFIG, epochs=2), digits, tmp_path)
    out, err = capfd.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert err == ""


# ---- interruptions ----


class Stopped(BaseException):
    """Stands for anything that ends a training in the middle."""


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int, step: int, error: BaseException) -> None:
    """Raise `error` at a step of an epoch (both from 0)."""
    original = StageTraining.training_step

    def training_step(self: StageTraining, batch: Any, batch_idx: int) -> torch.Tensor | None:
        if (self.current_epoch, batch_idx) == (epoch, step):
            raise error
        return original(self, batch, batch_idx)

    monkeypatch.setattr(StageTraining, "training_step", training_step)


@pytest.mark.parametrize(("epoch", "step"), [(0, 2), (1, 0), (2, 4)])
def test_a_resumed_run_equals_an_undisturbed_one(
    finished: Path, tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch, epoch: int, step: int
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, epoch, step, Stopped())
        with pytest.raises(Stopped):
            train(CONFIG, digits, tmp_path, progress=False)
    assert (tmp_path / "partial.ckpt").exists() == (epoch > 0)
    assert not (tmp_path / "checkpoint.ckpt").exists()
    steps = []
    original = StageTraining.training_step
    with monkeypatch.context() as patch:

        def counted(self: StageTraining, batch: Any, batch_idx: int) -> torch.Tensor | None:
            steps.append(self.current_epoch)
            return original(self, batch, batch_idx)

        patch.setattr(StageTraining, "training_step", counted)
        train(CONFIG, digits, tmp_path, progress=False)
    assert steps == [number for number in range(epoch, 3) for _ in range(5)]
    assert_same_run(tmp_path, finished)
    assert not (tmp_path / "partial.ckpt").exists()


def test_ctrl_c_comes_out_as_keyboard_interrupt(tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = signal.getsignal(signal.SIGINT)
    interrupt(monkeypatch, 1, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, digits, tmp_path, progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert {path.name for path in tmp_path.iterdir()} == {"partial.ckpt", "metrics.csv", "curves.png"}


def test_an_interruption_of_the_evaluation_costs_no_epoch(
    finished: Path, tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file the caller named stays until the caller removes it, and from there nothing is trained again."""
    out = tmp_path / "out"
    out.mkdir()
    with monkeypatch.context() as patch:

        def stop(*_: object) -> None:
            raise Stopped

        patch.setattr(fit, "to_deploy", stop)
        with pytest.raises(Stopped):
            train(CONFIG, digits, out, tmp_path / "state.ckpt", progress=False)
    with monkeypatch.context() as patch:
        interrupt(patch, 2, 0, Stopped())
        train(CONFIG, digits, out, tmp_path / "state.ckpt", progress=False)
    assert_same_run(out, finished)
    assert (tmp_path / "state.ckpt").exists()


KILLED = """
import sys
from pathlib import Path
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.data import load_data
from bireal_hw.training.fit import TrainConfig, train
from bireal_hw.training.recipe import Recipe, Stage
recipe = Recipe("test", (Stage("binary", learning_rate=2e-3, label_smoothing=0.1, settle=0.5),))
spec = ModelSpec("bireal18", 0.125, (8, 8), 1, 10)
data = load_data("digits", image=(8, 8), limit=160)
train(TrainConfig(spec, "digits", epochs=3, batch=32, recipe=recipe), data, Path(sys.argv[1]), progress=False)
"""


def test_a_killed_run_goes_on_from_its_last_epoch(finished: Path, tmp_path: Path, digits: Data) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(Path(fit.__file__).parents[2]),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),  # float sums depend on it
    }
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=environment) as process:
        while not (tmp_path / "partial.ckpt").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert not (tmp_path / "checkpoint.ckpt").exists()
    train(CONFIG, digits, tmp_path, progress=False)
    assert_same_run(tmp_path, finished)


def test_a_run_that_an_earlier_version_began_goes_on(
    tmp_path: Path, digits: Data, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not know is taken for the default of today, and for nothing else."""
    with monkeypatch.context() as patch:
        interrupt(patch, 1, 0, Stopped())
        with pytest.raises(Stopped):
            train(CONFIG, digits, tmp_path, progress=False)
    content = torch.load(tmp_path / "partial.ckpt", weights_only=False)
    for field in ("flips", "stem"):
        del content["bireal"]["config"][f"binary.{field}"]
    torch.save(content, tmp_path / "partial.ckpt")
    other = Recipe("test", (dataclasses.replace(STAGE, stem="whitened"),))
    with pytest.raises(BirealError, match="stem=None, not whitened; choose another"):
        train(dataclasses.replace(CONFIG, recipe=other), digits, tmp_path, progress=False)
    train(CONFIG, digits, tmp_path, progress=False)
    assert_same_run(tmp_path, finished)


def test_an_unfinished_run_of_another_kind_is_not_continued(
    tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 1, 0, Stopped())
        with pytest.raises(Stopped):
            train(CONFIG, digits, tmp_path, progress=False)
    kept = (tmp_path / "partial.ckpt").read_bytes()
    with pytest.raises(BirealError) as caught:
        train(dataclasses.replace(CONFIG, seed=7), digits, tmp_path, progress=False)
    assert str(caught.value) == (
        f"{tmp_path}/partial.ckpt is an unfinished training with seed=0, not 7; "
        "choose another run=, or remove the file to start again"
    )
    assert (tmp_path / "partial.ckpt").read_bytes() == kept


def test_a_truncated_partial_file_is_reported(tmp_path: Path, digits: Data) -> None:
    (tmp_path / "partial.ckpt").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(
        BirealError,
        match=r"^checkpoint \S+partial.ckpt is broken, truncated or not a checkpoint; remove it to train again, or ",
    ):
        train(CONFIG, digits, tmp_path, progress=False)


# ---- things that cannot go well ----


def test_an_infinite_loss_stops_and_keeps_the_last_good_epoch(
    tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = torch.nn.functional.cross_entropy
    calls = 0

    def cross_entropy(*arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return original(*arguments, **options) * (float("nan") if calls == 8 else 1.0)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", cross_entropy)
    with pytest.raises(BirealError) as caught:
        train(CONFIG, digits, tmp_path, progress=False)
    assert str(caught.value) == (
        "the loss is nan at step 2 of epoch 2 (stage binary); the state after the epoch before is kept; "
        "try a learning rate below 0.002"
    )
    assert len(torch.load(tmp_path / "partial.ckpt", weights_only=True)["bireal"]["history"]) == 1


def test_data_that_does_not_fit(tmp_path: Path, digits: Data) -> None:
    config = dataclasses.replace(CONFIG, spec=dataclasses.replace(SPEC, channels=3))
    with pytest.raises(BirealError) as caught:
        train(config, digits, tmp_path)
    assert str(caught.value) == "the network has channels=3 but data set 'digits' was loaded with channels=1"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", 0, "recipe 'test' has 1 stages (binary)"),
        ("seed", -1, "at least 0"),
        ("batch", 1, "at least 2"),
    ],
)
def test_values_out_of_range(name: str, value: float, allowed: str) -> None:
    with pytest.raises(BirealError) as caught:
        TrainConfig(**(vars(CONFIG) | {name: value}))
    assert str(caught.value) == f"{name}={value} is out of range: {allowed}"


def test_a_folder_that_cannot_be_written(tmp_path: Path, digits: Data) -> None:
    with pytest.raises(BirealError, match=r"^cannot write \S+metrics.csv: .*No such file"):
        train(CONFIG, digits, tmp_path / "missing", progress=False)


# ---- recipe ----


def test_the_grids_stand_still_in_the_last_part(tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = StageTraining.training_step

    def training_step(self: StageTraining, batch: Any, batch_idx: int) -> torch.Tensor | None:
        quantizers = [module for module in self.model.modules() if isinstance(module, RangeQuant)]
        seen.append((self.current_epoch, {quantizer.observing for quantizer in quantizers}))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(StageTraining, "training_step", training_step)
    train(dataclasses.replace(CONFIG, epochs=4), digits, tmp_path, progress=False)
    assert dict(seen) == {0: {True}, 1: {True}, 2: {False}, 3: {False}}


def test_defaults_of_a_data_set() -> None:
    config = default_config(SPEC, "digits", seed=3)
    assert (config.dataset, config.seed, config.spec) == ("digits", 3, SPEC)
    assert default_config(SPEC, "digits", epochs=2).epochs == 2


# ---- checkpoints ----


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = build_model(SPEC)
    save_checkpoint(tmp_path / "a.ckpt", model, SPEC, {"note": 1})
    loaded, spec, info = load_checkpoint(tmp_path / "a.ckpt")
    assert (spec, info) == (SPEC, {"note": 1})
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def damaged(tmp_path: Path, kind: str) -> Path:
    """Write a file that is no checkpoint of ours, or not any more."""
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, build_model(SPEC), SPEC, {})
    content = torch.load(path, weights_only=True)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "text":
        path.write_text("epoch 1")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "code":
        torch.save({"format": subprocess.run}, path)
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "foreign":
        torch.save({"state_dict": {}}, path)
    elif kind == "newer":
        torch.save(content | {"version": 99}, path)
    elif kind == "other width":
        torch.save(content | {"spec": content["spec"] | {"width": 0.25}}, path)
    elif kind == "no weights":
        del content["state_dict"]
        torch.save(content, path)
    else:
        path.unlink()
    return path


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("truncated", "checkpoint FILE is broken, truncated or not a checkpoint; REMEDY"),
        ("text", "checkpoint FILE is broken, truncated or not a checkpoint; REMEDY"),
        ("empty", "checkpoint FILE is empty; REMEDY"),
        ("code", "checkpoint FILE was not written by bireal-hw: it lacks format='bireal-hw checkpoint'; REMEDY"),
        ("tensor", "checkpoint FILE holds a Tensor, not a checkpoint; REMEDY"),
        (
            "foreign",
            "checkpoint FILE was not written by bireal-hw: it lacks format='bireal-hw checkpoint'; REMEDY",
        ),
        ("newer", "checkpoint FILE has version 99; this program reads version 1; REMEDY"),
        ("no weights", "checkpoint FILE does not fit the network it names: 'state_dict'; REMEDY"),
        ("missing", "checkpoint FILE does not exist; train first"),
    ],
)
def test_a_bad_checkpoint_is_one_line(tmp_path: Path, kind: str, text: str) -> None:
    path = damaged(tmp_path, kind)
    with pytest.raises(BirealError) as caught:
        load_checkpoint(path)
    remedy = "remove it to train again, or choose another run=NAME"
    assert str(caught.value).replace(str(path), "FILE").replace(remedy, "REMEDY") == text


def test_a_checkpoint_that_does_not_fit_its_spec(tmp_path: Path) -> None:
    with pytest.raises(
        BirealError, match=r"does not fit the network it names: .*size mismatch for conv1.weight"
    ) as caught:
        load_checkpoint(damaged(tmp_path, "other width"))
    assert "\n" not in str(caught.value)


# ---- evaluation ----


def test_evaluation_does_not_depend_on_the_batch_and_keeps_the_mode(finished: Path, digits: Data) -> None:
    model, spec, _ = load_checkpoint(finished / "checkpoint.ckpt")
    deploy = to_deploy(model, spec)
    whole = predict(deploy, digits.test_images)
    assert torch.equal(predict(deploy, digits.test_images, batch=33), whole)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict(model, digits.test_images)
    assert model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


# ---- checked before the work ----


def nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    def training_step(*_: Any) -> None:
        raise AssertionError("a step was made")

    monkeypatch.setattr(StageTraining, "training_step", training_step)


@pytest.mark.parametrize("image", [(544, 960), (1024, 1024)])
def test_an_image_that_cannot_become_hardware(
    image: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_trained(monkeypatch)
    spec = dataclasses.replace(SPEC, image=image, classes=2)
    pixels, labels = torch.zeros(4, 1, *image, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    data = Data("own", pixels, labels, pixels, labels, ("a", "b"), image, 1)
    with pytest.raises(
        BirealError, match=r"^image=\d+x\d+ is out of range: the global pool sums \S+ pixels of 16 bits"
    ):
        train(dataclasses.replace(CONFIG, spec=spec), data, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
    real = Recipe("real", (dataclasses.replace(STAGE, activation="relu", weights="real"),))
    with pytest.raises(AssertionError, match="a step was made"):  # no hardware, no limit
        train(dataclasses.replace(CONFIG, spec=spec, recipe=real, batch=2), data, tmp_path, progress=False)


def test_a_full_disk(tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_is_trained(monkeypatch)
    binary, real = SPEC.parameters()
    needed = 4 * 7 * (binary + real) + 10**7
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(
        BirealError, match=rf"^the files of this training take up to 15 MB, and the disk of {tmp_path} has 15 MB free"
    ):
        train(CONFIG, digits, tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["start", "teacher"])
def test_a_later_stage_s_file_that_does_not_fit(
    role: str, tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_trained(monkeypatch)
    other = dataclasses.replace(SPEC, image=(16, 16), width=0.25)
    save_checkpoint(tmp_path / "other.ckpt", build_model(other), other, {})
    named: dict[str, Any] = {role: str(tmp_path / "other.ckpt")}
    stages = (STAGE, Stage("second", **named))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(BirealError, match=r"other.ckpt"):
        train(dataclasses.replace(CONFIG, recipe=Recipe("test", stages)), digits, out, progress=False)
    assert list(out.iterdir()) == []


# ---- what follows the size of the data ----


@pytest.mark.parametrize("recipe", shipped())
@pytest.mark.parametrize("dataset", DATASETS)
def test_large_data_and_named_data_sets_keep_what_the_recipe_says(dataset: str, recipe: str) -> None:
    chosen, defaults = load_recipe(recipe), dataset_defaults(dataset)
    for images in (100_000, None, *([60, 1433] if defaults.batch else [])):
        config = default_config(SPEC, dataset, recipe=chosen, images=images)
        assert config.batch == (defaults.batch or chosen.batch)
        assert config.epochs == ((recipe != "calibrate" and defaults.epochs) or chosen.epochs)
        assert config.recipe == chosen


@pytest.mark.parametrize("images", [4, 10, 31, 153, 300, 2047, 2048, 5000])
@pytest.mark.parametrize("recipe", [name for name in shipped() if name != "calibrate"])
def test_few_images_of_one_s_own_get_steps_enough(recipe: str, images: int) -> None:
    chosen = load_recipe(recipe)
    config = default_config(SPEC, "folder", recipe=chosen, images=images)
    steps = steps_of(images, config.batch)
    assert config.epochs >= chosen.epochs
    assert 16 <= config.batch <= chosen.batch
    assert steps >= 16 or config.batch == 16
    assert config.epochs * steps >= 2000
    assert config.epochs == chosen.epochs or (config.epochs - 1) * steps < 2000


def test_batch_and_learning_rate_are_the_user_s() -> None:
    config = default_config(SPEC, "folder", epochs=5, batch=50, learning_rate=0.03, images=153)
    assert (config.epochs, config.batch, config.recipe.stages[0].learning_rate) == (5, 50, 0.03)
    assert config.to_json()["binary.learning_rate"] == 0.03
    with pytest.raises(BirealError, match=r"^batch=154 is out of range: there are 153 training images$"):
        default_config(SPEC, "folder", batch=154, images=153)
    with pytest.raises(
        BirealError, match=r"^learning_rate=0.1 does not go with recipe 'calibrate': it trains no weight$"
    ):
        default_config(SPEC, "folder", recipe=load_recipe("calibrate"), learning_rate=0.1)


def test_stages_of_the_curves_have_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []

    def keep(figure: Figure, file: Path, **options: object) -> None:
        drawn.append(figure)
        file.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    rows = [
        {"epoch": epoch, "stage": stage, "train_loss": 1.0, "train_top1": 50.0, "test_top1": 40.0}
        for epoch, stage in enumerate(["first", "first", "second", "third", "third"], start=1)
    ]
    save_curves(rows, "title", tmp_path / "curves.png")
    save_curves(rows[:2], "title", tmp_path / "curves.png")
    loss, accuracy = drawn[0].axes
    assert {text.get_text() for text in loss.texts} == {"first", "second", "third"}
    for axes in (loss, accuracy):
        starts = {line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"}  # type: ignore[index]
        assert starts == {0.5, 2.5, 3.5}
    assert not drawn[1].axes[0].texts  # one stage needs no name


@pytest.mark.parametrize(
    ("stages", "init", "told"),
    [
        ([("trained", "previous"), ("whitened", "previous")], None, ["b"]),
        ([("whitened", "previous"), ("trained", "previous"), ("whitened", "previous")], None, []),
        ([("whitened", "previous"), ("whitened", "previous")], Path("a.ckpt"), ["a", "b"]),
        ([("trained", "previous"), ("whitened", "scratch"), ("whitened", "a")], None, ["c"]),
    ],
)
def test_a_stem_that_whitens_nothing_is_told(
    digits: Data, stages: list[tuple[str, str]], init: Path | None, told: list[str]
) -> None:
    made = tuple(Stage(name, stem=stem, start=start) for name, (stem, start) in zip("abc", stages, strict=False))
    text = overview(TrainConfig(SPEC, "digits", 2000, recipe=Recipe("test", made), init=init), digits)
    hints = [line for line in text if "whitens nothing" in line]
    assert [line.split("'")[1] for line in hints] == told


def test_the_learning_rates_of_stages_follow_the_highest() -> None:
    rates = [stage.learning_rate for stage in load_recipe("paper").with_learning_rate(0.05).stages]
    assert rates == pytest.approx([0.05, 0.005, 0.005, 0.005, 0.0005])


def test_what_is_said_before_the_first_epoch(digits: Data) -> None:
    text = overview(default_config(SPEC, "digits", images=160), digits)
    assert text[0].startswith("classes: 10 (0 ")
    how = "a fifth of each class, chosen with seed 0 in every run"
    assert text[1] == f"split: 160 training and 160 test images, no validation ({how})"
    assert text[2] == ("steps: 60, 2 an epoch; batch 64, learning rate 0.002 linear, recipe scratch, seed 0")
    assert text[3:] == [
        "hint: 60 steps are few; 2,000 and more are usual: more epochs=, or a smaller batch=",
        "hint: 160 test images tell the accuracy to within 8 points or so",
    ]
    names = tuple(f"class [{number}]" for number in range(100))
    labels = torch.arange(100).repeat(40)[: 40 * 100 - 30]
    pixels = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
    data = Data("own", pixels, labels, pixels, labels, names, (8, 8), 1, ("image x.png",), "folders", ("a note",))
    text = overview(default_config(SPEC, "folder", recipe=load_recipe("short"), images=len(labels)), data)
    assert text[0] == "classes: 100 (class [70] 39+39, ..., class [69] 40+40; training+test images)"
    assert text[2].startswith("steps: 2,015, 31 an epoch; batch 128, learning rate 0.1 cosine, 0.05 cosine, ")
    assert text[3:5] == ["a note", "left out: 1 broken images, the first: image x.png"]
