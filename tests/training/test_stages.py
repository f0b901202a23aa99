"""Stages: what each trains, how they hand over, and that every technique does what its name says."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from bireal_hw.errors import BirealError, DivergedError
from bireal_hw.export.deploy import to_deploy
from bireal_hw.models.bireal import BiReal, build_model
from bireal_hw.models.layers import TrainedConv
from bireal_hw.models.modes import ACTIVATIONS, binary_convs, is_binary, set_modes
from bireal_hw.models.quantizers import ApproxSignQuant, RangeQuant
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.augment import Augment
from bireal_hw.training.checkpoint import load_checkpoint, save_checkpoint
from bireal_hw.training.data import Data, load_data
from bireal_hw.training.defaults import DATASETS, dataset_defaults
from bireal_hw.training.evaluate import predict
from bireal_hw.training.fit import TrainConfig, check_size, default_config, train
from bireal_hw.training.images import LazyImages
from bireal_hw.training.overview import overview
from bireal_hw.training.parallel import Processes
from bireal_hw.training.recipe import Recipe, Stage, load_recipe, shipped
from bireal_hw.training.stage import Setting, StageTraining, augmentation, begin, prepare, schedule
from bireal_hw.training.stem import whiten

pytestmark = pytest.mark.torch

SPEC = ModelSpec("bireal18", 0.125, (8, 8), 1, 10)


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", image=(8, 8), limit=96)


def config(*stages: Stage, epochs: int | None = None, **changes: Any) -> TrainConfig:
    recipe = Recipe("test", stages, **changes)
    return TrainConfig(SPEC, "digits", epochs=epochs or len(stages), batch=32, recipe=recipe)


def run(folder: Path, digits: Data, *stages: Stage, **changes: Any) -> tuple[BiReal, dict[str, Any]]:
    """Train in a new folder; return the network and train.json."""
    folder.mkdir(exist_ok=True)
    train(config(*stages, **changes), digits, folder, progress=False)
    model, _, info = load_checkpoint(folder / "checkpoint.ckpt")
    return model, info


def training_of(stage: Stage, digits: Data, folder: Path, teacher: nn.Module | None = None) -> StageTraining:
    torch.manual_seed(0)
    model = build_model(SPEC)
    prepare(model, stage)
    begin(model, stage, fresh=True)
    setting = Setting(digits, "digits", 32, 0, 2, 0, 2, "title", folder, False, Processes())
    return StageTraining(stage, setting, model, teacher)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


# ---- schedules, decay, augmentation ----


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("constant", [1] * 8),
        ("linear", [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("linear_epochs", [0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0, 0]),  # 4 epochs of 2 steps; the last one at 0
        ("steps", [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        ("cosine", [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]),
    ],
)
def test_schedules(name: str, want: list[float]) -> None:
    factor = schedule(Stage("a", schedule=name), steps=2, epochs=4)
    assert [factor(step) for step in range(8)] == pytest.approx(want)


def test_a_schedule_by_epochs_needs_two() -> None:
    stages = (Stage("b", share=3), Stage("a", schedule="linear_epochs"))
    with pytest.raises(BirealError, match=r"^stage 'a': schedule=linear_epochs has learning rate 0 in its last epoch"):
        TrainConfig(SPEC, "digits", epochs=4, recipe=Recipe("test", stages))


@pytest.mark.parametrize("weights", ["binary", "real"])
def test_weight_decay_spares_binary_weights_and_vectors(weights: str, digits: Data, tmp_path: Path) -> None:
    fitting = training_of(Stage("a", weights=weights, weight_decay=0.1), digits, tmp_path)
    decayed, free = fitting.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): name for name, parameter in fitting.model.named_parameters()}
    real = {"conv1.weight", "fc.weight", *(f"layer{stage}.0.downsample.1.weight" for stage in (2, 3, 4))}
    binary = {name for name in names.values() if name.endswith("binary_conv.weight")}
    assert len(binary) == 16
    assert {names[id(one)] for one in decayed["params"]} == (real | binary if weights == "real" else real)
    assert len(decayed["params"]) + len(free["params"]) == len(names)


@pytest.mark.parametrize("weights", ["binary", "real"])
def test_muon_is_for_the_weights_of_binary_convolutions(weights: str, digits: Data, tmp_path: Path) -> None:
    fitting = training_of(Stage("a", weights=weights, weight_decay=0.1, optimizer="muon"), digits, tmp_path)
    decayed, free, turned = fitting.configure_optimizers()["optimizer"].param_groups
    assert [group["orthogonal"] for group in (decayed, free, turned)] == [False, False, True]
    assert [group["weight_decay"] for group in (decayed, free, turned)] == [0.1, 0.0, 0.1 if weights == "real" else 0.0]
    names = {id(parameter): name for name, parameter in fitting.model.named_parameters()}
    assert len(turned["params"]) == 16
    assert all(names[id(one)].endswith("binary_conv.weight") for one in turned["params"])
    assert not any(names[id(one)].endswith("binary_conv.weight") for one in (*decayed["params"], *free["params"]))
    assert len(decayed["params"]) + len(free["params"]) + 16 == len(names)


@pytest.mark.parametrize("recipe", shipped())
def test_every_recipe_augments_as_the_data_set_says(recipe: str) -> None:
    for stage in load_recipe(recipe).stages:
        assert augmentation(stage, "cifar10") == Augment(shift=4 / 32, whole=True, flip=True)
        assert augmentation(stage, "digits") == dataset_defaults("digits").augment
        photographs = Augment(crop="place" if recipe == "paper" else "resized", flip=True)
        assert {augmentation(stage, name) for name in ("folder", "owner/photos")} == {photographs}


def test_no_augmentation_leaves_the_pixels() -> None:
    for name in ("cifar10", "digits", "owner/photos"):
        assert augmentation(Stage("a", augment="none"), name) == Augment()


# ---- flips that alternate ----


def mirrored(fitting: StageTraining, epoch: int) -> dict[int, bool]:
    """Tell which image came mirrored in an epoch; each of them holds its number at the left and 0 at the right."""
    loader = fitting.train_dataloader()
    fitting._order.set_epoch(epoch)
    found: dict[int, bool] = {}
    for images, labels, seed in loader:
        pixels, _ = fitting._prepared(images, labels, torch.Generator().manual_seed(seed))
        for left, right in zip(pixels[:, 0, 0, 0].tolist(), pixels[:, 0, 0, -1].tolist(), strict=True):
            assert min(left, right) == 0
            found[round(max(left, right))] = right > 0
    return found


@pytest.mark.parametrize("first_epoch", [0, 3])
def test_alternate_flips_mirror_every_image_in_every_second_epoch(
    first_epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "digits", dataclasses.replace(DATASETS["digits"], augment=Augment(flip=True)))
    images = torch.zeros(96, 1, 8, 8, dtype=torch.uint8)
    images[:, 0, :, 0] = torch.arange(1, 97, dtype=torch.uint8).view(-1, 1)
    data = Data(
        "digits", images, torch.zeros(96).long(), images, torch.zeros(96).long(), tuple("abcdefghij"), (8, 8), 1
    )
    epochs = []
    for part in ((0, 1), (0, 2), (1, 2)):
        setting = Setting(data, "digits", 32, 5, 9, first_epoch, 9, "", tmp_path, False, Processes(*part))
        fitting = StageTraining(Stage("a", flips="alternate"), setting, build_model(SPEC))
        epochs.append([mirrored(fitting, epoch) for epoch in range(4)])
    for number, whole in enumerate(epochs[0]):
        assert sorted(whole) == list(range(1, 97))
        assert epochs[1][number] | epochs[2][number] == whole  # two processes see the same
        assert not epochs[1][number].keys() & epochs[2][number].keys()
        assert whole == {image: turned ^ bool(number % 2) for image, turned in epochs[0][0].items()}
    assert 30 < sum(epochs[0][0].values()) < 66  # about half of them begin
    setting = dataclasses.replace(setting, processes=Processes())
    random = StageTraining(Stage("a"), setting, build_model(SPEC))
    first, second = mirrored(random, 0), mirrored(random, 1)
    assert 0 < sum(first[image] == second[image] for image in first) < len(first)


@pytest.mark.parametrize(("changes", "dataset"), [({}, "digits"), ({"augment": "none"}, "cifar10")])
def test_flips_alternate_where_no_image_is_mirrored(
    changes: dict[str, str], dataset: str, digits: Data, tmp_path: Path
) -> None:
    stage = Stage("a", flips="alternate", **changes)  # type: ignore[arg-type]
    setting = Setting(digits, dataset, 32, 5, 9, 0, 9, "", tmp_path, False, Processes())
    alike = [
        StageTraining(one, setting, build_model(SPEC)) for one in (stage, dataclasses.replace(stage, flips="random"))
    ]
    seen = [
        [fitting._prepared(batch[0], batch[1], torch.Generator()) for batch in fitting.train_dataloader()]
        for fitting in alike
    ]
    assert all(torch.equal(one[0], other[0]) for one, other in zip(*seen, strict=True))
    recipe = Recipe("test", (stage,))
    text = overview(TrainConfig(SPEC, dataset, epochs=1, batch=32, recipe=recipe), digits)
    assert text[-1] == "hint: flips=alternate of stage 'a' changes nothing: no image is mirrored here"


# ---- a stem that whitens ----


@pytest.mark.parametrize("stride", [1, 2])
def test_a_whitened_stem_gives_uncorrelated_values_of_variance_one(stride: int, digits: Data) -> None:
    """Compared with numpy's covariance of what the convolution gives inside of the images."""
    images = F.interpolate(digits.train_images[:].float(), (9, 9)).repeat(1, 3, 1, 1).to(torch.uint8)
    images[:, 1] //= 2
    images[:, 2] = torch.randint(0, 256, images[:, 2].shape, generator=torch.Generator().manual_seed(1))
    conv = nn.Conv2d(3, 12, 3, stride=stride, bias=False)
    whiten(conv, images)
    given = conv(images.float() / 128).detach().transpose(0, 1).flatten(1).numpy()
    covariance = np.cov(given, bias=True)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3
    assert (np.abs(np.diag(covariance) - 1) < 0.01).all()
    patches = F.unfold(images.double() / 128, 3, stride=stride).transpose(0, 1).flatten(1).numpy()
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(patches, bias=True))[::-1][:12])
    lengths = conv.weight.detach().flatten(1).norm(dim=1).numpy()
    assert np.allclose(1 / lengths, spread, rtol=0.05)  # of the largest variances first


def test_filters_beyond_the_directions_are_their_negatives_then_what_they_were() -> None:
    conv, drawn = nn.Conv2d(1, 20, 3), nn.Conv2d(1, 20, 3)
    drawn.load_state_dict(conv.state_dict())
    whiten(conv, torch.randint(0, 256, (20, 1, 9, 9), dtype=torch.uint8))
    assert torch.equal(conv.weight[9:18], -conv.weight[:9])
    assert torch.equal(conv.weight[18:], drawn.weight[18:])
    assert not torch.isclose(conv.weight[:9], drawn.weight[:9]).all(dim=(1, 2, 3)).any()


@pytest.mark.parametrize("value", [0, 7, 255])
def test_images_of_one_color_give_finite_filters(value: int) -> None:
    conv = nn.Conv2d(3, 12, 3)
    whiten(conv, torch.full((4, 3, 9, 9), value, dtype=torch.uint8))
    assert bool(conv.weight.isfinite().all())


def test_a_whitened_stem_stays_until_a_stage_trains_it(digits: Data, tmp_path: Path) -> None:
    stages = (Stage("a", stem="whitened"), Stage("b", stem="whitened"), Stage("c"))
    train(config(*stages, epochs=4, snap=False), digits, tmp_path, progress=False)
    kept = {name: load_checkpoint(tmp_path / "stages" / f"{name}.ckpt")[0].conv1.weight for name in "abc"}
    want = build_model(SPEC).conv1
    torch.manual_seed(0)
    want.weight.data.copy_(build_model(SPEC).conv1.weight)
    whiten(want, digits.train_images[:])
    assert torch.equal(kept["a"], want.weight)
    assert torch.equal(kept["a"], kept["b"])
    assert not torch.equal(kept["b"], kept["c"])


def test_a_stem_is_whitened_for_the_images_that_its_stage_trains_on(digits: Data) -> None:
    model, images = build_model(SPEC), digits.train_images[:]
    begin(model, Stage("a", stem="whitened", size=0.5), True, images)
    want = build_model(SPEC).conv1
    whiten(want, F.interpolate(images.float(), (4, 4), mode="bilinear", antialias=True).round().to(torch.uint8))
    assert torch.equal(model.conv1.weight[:9], want.weight[:9])


# ---- what a stage trains ----


@pytest.mark.parametrize("weights", ["binary", "binary_larq", "binary_pytorch", "binary_caffe", "unscaled", "real"])
@pytest.mark.parametrize("activation", ["sign", "straight_sign", "relu", "leaky_clip", "clip"])
def test_every_mode_trains(activation: str, weights: str, digits: Data, tmp_path: Path) -> None:
    stage = Stage("a", activation=activation, weights=weights)
    fitting = training_of(stage, digits, tmp_path)
    loss = fitting._loss(torch.zeros(0), fitting.model(digits.train_images[:32].float()), digits.train_labels[:32])
    loss.backward()
    for name, parameter in fitting.model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool((parameter.grad != 0).any()), name


def test_weights_of_a_batchnorm_stage_are_ones_and_stay(digits: Data, tmp_path: Path) -> None:
    first = Stage("binary", settle=0.0)
    last = Stage("batchnorm", unit_weights=True, train="batchnorm", learning_rate=0.01, settle=0.0)
    model, info = run(tmp_path / "a", digits, first, last, snap=False)
    before, _, _ = load_checkpoint(tmp_path / "a" / "stages" / "binary.ckpt")
    for conv, other in zip(binary_convs(model), binary_convs(before), strict=True):
        assert torch.equal(conv.weight, torch.where(other.weight >= 0, 1.0, -1.0))
    assert torch.equal(model.conv1.weight, before.conv1.weight)
    assert torch.equal(model.fc.weight, before.fc.weight)
    assert not torch.equal(model.bn1.weight, before.bn1.weight)
    assert not torch.equal(model.bn1.running_var, before.bn1.running_var)  # type: ignore[arg-type]
    assert [stage["name"] for stage in info["stages"]] == ["binary", "batchnorm"]


def test_statistics_of_a_batchnorm_stage_are_those_of_its_images(digits: Data, tmp_path: Path) -> None:
    """Learning rate 0 and no augmentation: what is left is the mean over the batches, here a single one."""
    last = Stage("batchnorm", train="batchnorm", learning_rate=0.0, augment="none", settle=1.0)
    batch = TrainConfig(SPEC, "digits", epochs=2, batch=96, recipe=Recipe("test", (Stage("a"), last), snap=False))
    train(batch, digits, tmp_path, progress=False)
    model, _, _ = load_checkpoint(tmp_path / "checkpoint.ckpt")
    seen: list[Tensor] = []
    model.bn1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.bn1.train()  # its weights were quantized as with the statistics of the stage before, so nearly these values
    with torch.no_grad():
        model(digits.train_images[:].float())
    assert model.bn1.running_mean is not None
    torch.testing.assert_close(model.bn1.running_mean, seen[0].mean(dim=(0, 2, 3)), rtol=0.02, atol=0.02)


def test_a_stage_of_grids_changes_grids_only(digits: Data, tmp_path: Path) -> None:
    first = Stage("binary")
    model, _ = run(tmp_path / "a", digits, first, Stage("grids", train="grids", settle=0.0), snap=False)
    before, _, _ = load_checkpoint(tmp_path / "a" / "stages" / "binary.ckpt")
    changed = {name for name, tensor in state(before).items() if not torch.equal(tensor, model.state_dict()[name])}
    assert changed
    assert {name.split(".")[-1] for name in changed} <= {"peak", "frac"}


def test_unscaled_weights_end_as_ones_so_that_no_reader_needs_to_know(digits: Data, tmp_path: Path) -> None:
    model, info = run(tmp_path / "a", digits, Stage("a", weights="unscaled"), Stage("b", weights="unscaled"))
    before, _, stage = load_checkpoint(tmp_path / "a" / "stages" / "b.ckpt")
    assert stage["weights"] == info["weights"] == "unscaled"
    for conv, latent in zip(binary_convs(model), binary_convs(before), strict=True):
        assert torch.equal(conv.weight, torch.where(latent.weight >= 0, 1.0, -1.0))
        assert not torch.equal(latent.weight.abs(), torch.ones_like(latent.weight))
    assert info["top1_float"] == info["top1_deploy"]
    images = digits.test_images[:].float()
    expected = model(images)
    set_modes(model, "sign", "binary")
    assert torch.equal(model(images), expected)


def test_latent_weights_are_clipped(digits: Data, tmp_path: Path) -> None:
    big = {"learning_rate": 0.5, "optimizer": "sgd", "schedule": "constant"}
    free, _ = run(tmp_path / "a", digits, Stage("a", weights="binary_caffe", **big), snap=False)  # type: ignore[arg-type]
    clipped, _ = run(tmp_path / "b", digits, Stage("a", weights="binary_caffe", weight_clip=True, **big), snap=False)  # type: ignore[arg-type]
    assert max(float(conv.weight.detach().abs().max()) for conv in binary_convs(free)) > 1
    assert max(float(conv.weight.detach().abs().max()) for conv in binary_convs(clipped)) <= 1


def test_initial_weights(digits: Data, tmp_path: Path) -> None:
    ranges = {}
    for name in ("uniform", "positive", "glorot"):
        weight = binary_convs(training_of(Stage("a", initial=name), digits, tmp_path).model)[0].weight.detach()
        ranges[name] = (float(weight.min()), float(weight.max()), float(weight.std()))
    assert -0.1 <= ranges["uniform"][0] < -0.09
    assert 0 <= ranges["positive"][0] < ranges["positive"][1] < 1e-3
    assert ranges["glorot"][2] == pytest.approx(math.sqrt(2 / (2 * 9 * 8)), rel=0.1)


def test_at_most_so_many_steps(digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    original = StageTraining.training_step

    def training_step(self: StageTraining, batch: Any, batch_idx: int) -> Tensor | None:
        steps.append(batch_idx)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(StageTraining, "training_step", training_step)
    run(tmp_path / "a", digits, Stage("a", steps=2))
    assert steps == [0, 1]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_stage_of_smaller_images_trains_and_tests_on_them(
    lazy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lazy:
        monkeypatch.setattr("bireal_hw.training.data.IN_MEMORY_BYTES", 0)
        monkeypatch.setattr("bireal_hw.training.stage.WORKERS", 0)
    for name, color in (("a", "red"), ("b", "blue")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(10):
            Image.new("RGB", (20, 20), color).save(tmp_path / "data" / name / f"{index}.png")
    data = load_data("folder", tmp_path / "data", image=(16, 16))
    assert isinstance(data.train_images, LazyImages) == lazy
    seen: list[tuple[bool, tuple[int, ...]]] = []
    original = BiReal.forward

    def forward(self: BiReal, p: Tensor) -> Tensor:
        seen.append((self.training, tuple(p.shape[2:])))
        return original(self, p)

    monkeypatch.setattr(BiReal, "forward", forward)
    recipe = Recipe("test", (Stage("a", size=0.5), Stage("b")))
    config = TrainConfig(ModelSpec("bireal18", 0.125, (16, 16), 3, 2), "folder", epochs=2, batch=16, recipe=recipe)
    (tmp_path / "out").mkdir()
    train(config, data, tmp_path / "out", progress=False)
    assert list(dict.fromkeys(seen)) == [(True, (8, 8)), (False, (8, 8)), (True, (16, 16)), (False, (16, 16))]


def test_sizes_that_a_network_cannot_read(digits: Data, tmp_path: Path) -> None:
    with pytest.raises(
        BirealError, match=r"^size=0.5 is out of range: the last stage, 'a', trains on whole images, 1$"
    ):
        Recipe("test", (Stage("a", size=0.5),))
    with pytest.raises(BirealError, match=r"^stage 'a', size=0.6 of 8x8: image=5x5 is out of range: sides are "):
        train(config(Stage("a", size=0.6), Stage("b")), digits, tmp_path, progress=False)
    with pytest.raises(BirealError, match=r"^stage 'a', size=0.5 of 96x96: images of 48x48 have another stem: choose "):
        check_size(Stage("a", size=0.5), ModelSpec("bireal18", 0.125, (96, 96)))


# ---- teacher ----


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_loss_with_a_teacher(share: float, digits: Data, tmp_path: Path) -> None:
    torch.manual_seed(1)
    teacher = build_model(SPEC).eval()
    stage = Stage("a", teacher="t.ckpt", distillation=share, label_smoothing=0.1)
    fitting = training_of(stage, digits, tmp_path, teacher)
    pixels, labels = digits.train_images[:8].float(), digits.train_labels[:8]
    logits = torch.randn(8, 10, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        taught = teacher(pixels).softmax(1)
    distributional = -(taught * logits.log_softmax(1)).sum(1).mean()  # no temperature
    labelled = F.cross_entropy(logits, labels, label_smoothing=0.1)
    want = share * distributional + (1 - share) * labelled
    torch.testing.assert_close(fitting._loss(pixels, logits, labels), want)
    assert not any("teacher" in name for name, _ in fitting.named_parameters())


def test_a_teacher_is_the_network_at_the_end_of_its_stage(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teachers: list[tuple[str, BiReal]] = []
    original = StageTraining.__init__

    def init(self: StageTraining, stage: Stage, setting: Setting, model: BiReal, teacher: Any = None) -> None:
        teachers.append((stage.name, teacher))
        original(self, stage, setting, model, teacher)

    monkeypatch.setattr(StageTraining, "__init__", init)
    real = {"activation": "relu", "weights": "real"}
    stages = Stage("t", **real), Stage("b", start="scratch", teacher="t"), Stage("c", teacher="t")  # type: ignore[arg-type]
    run(tmp_path / "a", digits, *stages)
    kept, _, _ = load_checkpoint(tmp_path / "a" / "stages" / "t.ckpt")
    assert [(name, teacher is None) for name, teacher in teachers] == [("t", True), ("b", False), ("c", False)]
    for _, teacher in teachers[1:]:
        assert not is_binary(teacher)
        assert not teacher.training
        assert torch.equal(predict(teacher, digits.test_images), predict(kept, digits.test_images))


# ---- from stage to stage ----


def test_stages_of_the_paper(digits: Data, tmp_path: Path) -> None:
    recipe = dataclasses.replace(load_recipe("paper"), snap=False)
    train(TrainConfig(SPEC, "digits", epochs=5, batch=32, recipe=recipe), digits, tmp_path, progress=False)
    used = []
    for stage in recipe.stages:
        model, _, info = load_checkpoint(tmp_path / "stages" / f"{stage.name}.ckpt")
        (function,) = {module.function for module in model.modules() if isinstance(module, ApproxSignQuant)}
        used.append(next(name for name, one in ACTIVATIONS.items() if one == function))
        assert info["class_names"] == list(digits.class_names)
    assert used == ["relu", "leaky_clip", "clip", "sign", "sign"]
    result = json.loads((tmp_path / "train.json").read_text())
    assert [(one["name"], one["last_epoch"]) for one in result["stages"]] == [
        (stage.name, number) for number, stage in enumerate(recipe.stages, start=1)
    ]
    assert result["recipe"] == "paper"


def test_where_a_stage_starts(digits: Data, tmp_path: Path) -> None:
    """Learning rate 0 shows the weights it started from."""
    still = {"learning_rate": 0.0}
    stages = (
        Stage("a"),
        Stage("b", **still),  # type: ignore[arg-type]
        Stage("c", start="scratch", **still),  # type: ignore[arg-type]
        Stage("d", start="a", **still),  # type: ignore[arg-type]
    )
    run(tmp_path / "x", digits, *stages)
    ends = {name: load_checkpoint(tmp_path / "x" / "stages" / f"{name}.ckpt")[0].fc.weight for name in "abcd"}
    assert torch.equal(ends["a"], ends["b"])
    assert torch.equal(ends["a"], ends["d"])
    assert not torch.equal(ends["a"], ends["c"])
    path = tmp_path / "x" / "stages" / "a.ckpt"
    model, _ = run(tmp_path / "y", digits, Stage("e", start=str(path), **still), snap=False)  # type: ignore[arg-type]
    assert torch.equal(model.fc.weight, ends["a"])
    begun = dataclasses.replace(config(Stage("e", **still), snap=False), init=path)  # type: ignore[arg-type]
    (tmp_path / "z").mkdir()
    assert train(begun, digits, tmp_path / "z", progress=False)["init"] == str(path)
    assert torch.equal(load_checkpoint(tmp_path / "z" / "checkpoint.ckpt")[0].fc.weight, ends["a"])


class Stopped(BaseException):
    """Stands for anything that ends a training in the middle."""


THREE = (
    Stage("t", activation="relu", weights="real"),
    Stage("a", share=2, weights="real", start="scratch", teacher="t"),
    Stage("b", share=2, teacher="t", settle=0.5),
)


@pytest.fixture(scope="module")
def undisturbed(digits: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, digits, *THREE, epochs=5)
    return folder


@pytest.mark.parametrize(("epoch", "left"), [(1, "t"), (2, "a"), (4, "b")])
def test_resuming_in_the_middle_of_a_stage(
    undisturbed: Path, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, left: str
) -> None:
    """Stopped in the epoch of that number, from 0; the run then goes on and ends as if nothing had been."""
    original = StageTraining.training_step

    def training_step(self: StageTraining, batch: Any, batch_idx: int) -> Tensor | None:
        if (self._epoch, batch_idx) == (epoch + 1, 1):
            raise Stopped
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StageTraining, "training_step", training_step)
        with pytest.raises(Stopped):
            run(tmp_path, digits, *THREE, epochs=5)
    assert torch.load(tmp_path / "partial.ckpt", weights_only=True)["bireal"]["stage"] == left
    model, info = run(tmp_path, digits, *THREE, epochs=5)
    want, _, wanted = load_checkpoint(undisturbed / "checkpoint.ckpt")
    for name, tensor in want.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert {**info, "seconds": 0} == {**wanted, "seconds": 0}


def test_a_run_with_another_recipe_is_not_continued(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("bireal_hw.training.fit.to_deploy", stop)
        with pytest.raises(Stopped):
            run(tmp_path, digits, Stage("a"))
    with pytest.raises(
        BirealError, match=r"is an unfinished training with a.settle=0.25, not 0.5; choose another run="
    ):
        run(tmp_path, digits, Stage("a", settle=0.5))
    with pytest.raises(BirealError, match=r"is an unfinished training with stages=\['a'\], not \['b'\]; "):
        run(tmp_path, digits, Stage("b"))


# ---- what cannot go well ----


def test_a_stage_that_needs_a_checkpoint_it_does_not_find(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role, stage in (
        ("start", Stage("a", start="no/where.ckpt")),
        ("teacher", Stage("a", teacher="no/where.ckpt")),
    ):
        with pytest.raises(BirealError) as caught:
            run(tmp_path, digits, Stage("t"), stage)
        assert str(caught.value) == (
            f"stage 'a' needs no/where.ckpt as its {role}, which is not there; name a file that exists"
        )
        assert not list(tmp_path.iterdir())  # said before the first stage is trained
    monkeypatch.setattr("bireal_hw.training.fit.save_checkpoint", lambda *_: None)
    with pytest.raises(BirealError) as caught:
        run(tmp_path, digits, Stage("t"), Stage("a", teacher="t"))
    assert str(caught.value) == (
        f"stage 'a' needs {tmp_path}/stages/t.ckpt as its teacher, the network at the end of stage 't', which is not "
        f"there; remove {tmp_path}/partial.ckpt to train it again"
    )


def test_classes_of_a_checkpoint_and_a_data_set_must_match(digits: Data, tmp_path: Path) -> None:
    path = tmp_path / "five.ckpt"
    five = dataclasses.replace(SPEC, classes=5)
    save_checkpoint(path, build_model(five), five, {})
    for stage in (Stage("a", teacher=str(path)), Stage("a", start=str(path))):
        with pytest.raises(BirealError) as caught:
            run(tmp_path / "x", digits, stage)
        assert str(caught.value) == f"checkpoint {path} has 5 classes, the data set 10: both must be the same"
    save_checkpoint(path, build_model(SPEC), SPEC, {"class_names": [*"012345678", "cat"]})
    with pytest.raises(BirealError) as caught:
        run(tmp_path / "x", digits, Stage("a", start=str(path)))
    assert str(caught.value) == f"class 9 is 'cat' in checkpoint {path} and '9' in the data set"


def test_a_checkpoint_of_another_network_is_no_beginning(digits: Data, tmp_path: Path) -> None:
    path = tmp_path / "wide.ckpt"
    wide = dataclasses.replace(SPEC, width=0.25)
    save_checkpoint(path, build_model(wide), wide, {})
    with pytest.raises(BirealError, match=r"wide.ckpt is of a network with width=0.25, not 0.125$"):
        run(tmp_path / "x", digits, Stage("a", start=str(path)))
    (tmp_path / "y").mkdir()
    result = train(config(Stage("a", teacher=str(path))), digits, tmp_path / "y", progress=False)
    assert result["epochs"] == 1  # a teacher may be another network


def test_a_checkpoint_may_have_another_shortcut_width(digits: Data, tmp_path: Path) -> None:
    path = tmp_path / "narrow.ckpt"
    narrow = dataclasses.replace(SPEC, shortcut_bits=8)
    torch.manual_seed(3)
    source = build_model(narrow)
    save_checkpoint(path, source, narrow, {})
    model, _ = run(tmp_path / "x", digits, Stage("a", start=str(path), learning_rate=0.0), snap=False)
    assert torch.equal(model.fc.weight, source.fc.weight)
    assert {module.bits for module in model.modules() if isinstance(module, RangeQuant)} == {8, 16}


# ---- end ----


def test_a_snapped_network_is_its_deploy_model(digits: Data, tmp_path: Path) -> None:
    plain, before = run(tmp_path / "a", digits, Stage("a"), snap=False)
    model, info = run(tmp_path / "b", digits, Stage("a"))
    assert before["top1_float"] == before["top1_trained"] == info["top1_trained"]
    assert info["top1_float"] == info["top1_deploy"] == before["top1_deploy"]
    deploy = predict(to_deploy(model, SPEC), digits.test_images)
    assert torch.equal(deploy, predict(to_deploy(plain, SPEC), digits.test_images))
    assert torch.equal(predict(model, digits.test_images).argmax(1), deploy.argmax(1))


def test_a_real_valued_network_has_no_deploy_model(digits: Data, tmp_path: Path) -> None:
    model, info = run(tmp_path / "a", digits, Stage("a", activation="relu", weights="real"))
    assert info["top1_deploy"] is None
    assert info["top1_float"] > 0
    with pytest.raises(BirealError, match=r"^the network is real-valued, so it has no deploy model: choose a recipe"):
        to_deploy(model, SPEC)


def test_epochs_and_batch_by_default() -> None:
    large = ModelSpec("bireal18", 1.0, (224, 224), 3, 1000)
    adam = load_recipe("adam")
    photos = default_config(large, "owner/imagenet", recipe=adam)
    assert (photos.epochs, photos.batch) == (256, 512)
    small = default_config(SPEC, "digits", recipe=adam)
    assert (small.epochs, small.batch) == (30, 64)
    assert default_config(SPEC, "digits", 7, recipe=adam).epochs == 7
    assert default_config(SPEC, "digits", recipe=load_recipe("calibrate")).epochs == 1


@pytest.mark.parametrize("snap", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_mixed_precision(digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snap: bool) -> None:
    """Convolutions train in half precision and the network learns; its deploy model is as good as it is."""
    seen: set[tuple[bool, torch.dtype]] = set()
    original = TrainedConv.forward

    def forward(self: TrainedConv, x: Tensor) -> Tensor:
        sums = original(self, x)
        seen.add((self.training, sums.dtype))
        return sums

    monkeypatch.setattr(TrainedConv, "forward", forward)
    model, info = run(tmp_path, digits, Stage("a"), epochs=4, precision="bf16-mixed", snap=snap)
    assert seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert {tensor.dtype for tensor in model.state_dict().values() if tensor.is_floating_point()} <= {
        torch.float32,
        torch.float64,
    }
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    losses = [float(row.split(",")[2]) for row in rows[1:]]
    assert losses[-1] < losses[0]
    allowed = 0.0 if snap else max(0.2, 100 * 3 / info["test_images"])
    assert abs(info["top1_float"] - info["top1_deploy"]) <= allowed
    assert info["precision"] == "bf16-mixed"


# ---- images on disk ----


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of 20 images each, which do not fit in memory."""
    monkeypatch.setattr("bireal_hw.training.data.IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("bireal_hw.training.stage.WORKERS", 2)
    generator = torch.Generator().manual_seed(0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(20):
            pixels = torch.randint(0, 256, (48, 64, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / "data" / name / f"{index}.png")
    return tmp_path


def photo_config(**changes: Any) -> TrainConfig:
    spec = ModelSpec("bireal18", 0.125, (16, 16), 3, 2)
    recipe = Recipe("test", (Stage("a", **changes),))
    return TrainConfig(spec, "folder", epochs=2, batch=8, recipe=recipe)


def test_photographs_are_cropped_anew_in_every_epoch_and_alike_in_every_run(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    original = StageTraining.training_step

    def training_step(self: StageTraining, batch: Any, batch_idx: int) -> Tensor | None:
        seen.append(batch[0].clone())
        return original(self, batch, batch_idx)

    monkeypatch.setattr(StageTraining, "training_step", training_step)
    losses = []
    for name in ("one", "two"):
        (photographs / name).mkdir()
        data = load_data("folder", photographs / "data", image=(16, 16))
        assert isinstance(data.train_images, LazyImages)
        config = photo_config()
        losses.append(train(config, data, photographs / name, progress=False)["stages"])
    assert losses[0] == losses[1]
    assert len(seen) == 16  # 32 training images, batches of 8, two epochs, two runs
    for first, second in zip(seen[:8], seen[8:], strict=True):
        assert torch.equal(first, second)
    flat = [image.flatten().tolist() for batch in seen[:8] for image in batch]
    assert len({tuple(image) for image in flat}) == 64


def test_a_broken_photograph_stops_the_training_with_its_name(photographs: Path) -> None:
    data = load_data("folder", photographs / "data", image=(16, 16))
    for path in (photographs / "data" / "a").glob("*.png"):
        path.write_bytes(b"broken")
    (photographs / "out").mkdir()
    with pytest.raises(BirealError) as caught:
        train(photo_config(), data, photographs / "out", progress=False)
    text = str(caught.value)
    assert text.startswith(f"image {photographs}/data/a/")
    assert "cannot be decoded: " in text
    assert text.endswith("; skip_broken=1 leaves such images out")
    assert "\n" not in text


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = StageTraining._loss

    def loss(self: StageTraining, pixels: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        factor = float("inf") if self._epoch == 3 else 1.0
        return original(self, pixels, logits, labels) * factor

    stages = Stage("a"), Stage("b", share=2, learning_rate=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(StageTraining, "_loss", loss)
        with pytest.raises(BirealError) as caught:
            run(tmp_path, digits, *stages, epochs=3)
    assert str(caught.value) == (
        "the loss is inf at step 0 of epoch 3 (stage b); the state after the epoch before is kept; "
        "try a learning rate below 0.5"
    )
    kept = torch.load(tmp_path / "partial.ckpt", weights_only=True)
    assert [row["epoch"] for row in kept["bireal"]["history"]] == [1, 2]
    assert all(bool(tensor.isfinite().all()) for tensor in kept["state_dict"].values() if tensor.is_floating_point())
    assert (tmp_path / "stages" / "a.ckpt").exists()


def test_weights_that_are_not_finite_stop_behind_a_finite_loss(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs and grids stand between a weight and the loss, so the loss alone does not tell."""
    original = StageTraining.on_train_batch_end

    def spoil(self: StageTraining, outputs: Any, batch: Any, batch_idx: int) -> None:
        original(self, outputs, batch, batch_idx)
        if self._epoch == 2 and batch_idx == 2:  # the last
            with torch.no_grad():
                self.model.get_parameter("layer4.1.binary_conv.weight")[0, 0, 0, 0] = math.nan

    with monkeypatch.context() as patch:
        patch.setattr(StageTraining, "on_train_batch_end", spoil)
        patch.setattr(StageTraining, "_check_loss", lambda self: None)
        with pytest.raises(DivergedError) as caught:
            run(tmp_path, digits, Stage("a", learning_rate=0.5), epochs=3)
    assert str(caught.value) == (
        "layer4.1.binary_conv.weight holds NaN or infinity at the end of epoch 2 (stage a); the state after the epoch "
        "before is kept; try a learning rate below 0.5"
    )
    kept = torch.load(tmp_path / "partial.ckpt", weights_only=True)
    assert [row["epoch"] for row in kept["bireal"]["history"]] == [1]
