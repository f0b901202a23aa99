"""Training to see depth: the loss falls, both networks begin alike, an interruption changes nothing."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bireal_hw.errors import BirealError
from bireal_hw.models.depth import DepthNet
from bireal_hw.models.modes import is_binary
from bireal_hw.models.spec import ModelSpec
from bireal_hw.training.checkpoint import load_checkpoint
from bireal_hw.training.depth.data import DepthData, LazyPictures
from bireal_hw.training.depth.fit import RECIPES, DepthTraining, average, evaluate, load_depth_net, train_depth
from bireal_hw.training.depth.measures import MEASURES, measures
from bireal_hw.training.depth.picture import save_picture
from bireal_hw.training.depth.rooms import rooms
from bireal_hw.training.evaluate import predict
from bireal_hw.training.fit import TrainConfig
from bireal_hw.training.parallel import Processes
from bireal_hw.training.stage import Setting, prepare

pytestmark = pytest.mark.torch

SPEC = ModelSpec("bireal18", 0.125, (16, 16))


@pytest.fixture(scope="module")
def data() -> DepthData:
    parts = [
        torch.from_numpy(part) for series, count in ((0, 48), (1, 40)) for part in rooms(count, SPEC.image, series)
    ]
    return DepthData("rooms", parts[0], parts[1], parts[2], parts[3], SPEC.image)


def config(network: str, epochs: int = 4) -> TrainConfig:
    return TrainConfig(SPEC, "rooms", epochs, 1, 16, RECIPES[network])


@pytest.fixture(scope="module")
def trained(data: DepthData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both networks, undisturbed."""
    folders = {network: tmp_path_factory.mktemp(network) for network in RECIPES}
    for network, folder in folders.items():
        train_depth(config(network), data, folder, progress=False)
    return folders


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("network", RECIPES)
def test_training_lowers_the_loss(network: str, trained: dict[str, Path], data: DepthData) -> None:
    folder = trained[network]
    losses = [float(row["train_loss"]) for row in rows(folder)]
    assert len(losses) == 4
    assert losses[-1] < 0.6 * losses[0]
    files = {path.name for path in folder.iterdir()}
    assert files == {"checkpoint.ckpt", "train.json", "metrics.csv", "curves.png"}
    info = json.loads((folder / "train.json").read_text())
    model, kept = load_depth_net(folder / "checkpoint.ckpt")
    assert kept == info
    again = evaluate(model, data.test_images, data.test_labels)
    assert info["measures"] == {name: round(value, 6) for name, value in again.items()}
    assert float(rows(folder)[-1]["test_delta1"]) == pytest.approx(again["delta1"], abs=1e-5)
    assert is_binary(model) == (network == "binary")
    assert info["parameters"] == model.parameters_of()
    assert (info["network"], info["seed"], info["train_images"], info["test_images"]) == (network, 1, 48, 40)


def test_both_networks_begin_with_the_same_weights_and_see_the_same_batches(
    data: DepthData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    original = DepthTraining._loss

    def loss(self: DepthTraining, pixels: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        assert isinstance(self.model, DepthNet)
        seen.append((pixels, labels, self.model.encoder.conv1.weight.detach().clone()))
        return original(self, pixels, logits, labels)

    monkeypatch.setattr(DepthTraining, "_loss", loss)
    for network in RECIPES:
        (tmp_path / network).mkdir()
        train_depth(config(network, epochs=1), data, tmp_path / network, progress=False)
    assert len(seen) == 6
    for one, other in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    assert torch.equal(seen[0][2], seen[3][2])
    assert not torch.equal(seen[2][2], seen[5][2])


class Stopped(BaseException):
    """Stands for anything that ends a training in the middle."""


def test_resuming(trained: dict[str, Path], data: DepthData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DepthTraining.training_step

    def training_step(self: DepthTraining, batch: Any, batch_idx: int) -> Tensor | None:
        if (self._epoch, batch_idx) == (3, 1):
            raise Stopped
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(DepthTraining, "training_step", training_step)
        with pytest.raises(Stopped):
            train_depth(config("binary"), data, tmp_path, progress=False)
    assert not (tmp_path / "train.json").exists()
    train_depth(config("binary"), data, tmp_path, progress=False)
    assert rows(tmp_path) == rows(trained["binary"])
    got, want = (load_depth_net(folder / "checkpoint.ckpt")[0] for folder in (tmp_path, trained["binary"]))
    for name, tensor in want.state_dict().items():
        assert torch.equal(got.state_dict()[name], tensor), name


def test_another_training_is_not_gone_on_with(data: DepthData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("bireal_hw.training.depth.fit.DepthRun.finished", stop)
        with pytest.raises(Stopped):
            train_depth(config("binary", epochs=1), data, tmp_path, progress=False)
    with pytest.raises(
        BirealError, match=r"is an unfinished training with recipe=binary, not real; choose another run="
    ):
        train_depth(config("real", epochs=1), data, tmp_path, progress=False)


# ---- batches ----


def fitting(data: DepthData, folder: Path, processes: Processes, flips: str = "random") -> DepthTraining:
    stage = dataclasses.replace(RECIPES["binary"].stages[0], flips=flips)
    model = DepthNet(SPEC)
    prepare(model, stage)
    return DepthTraining(stage, Setting(data, "rooms", 16, 0, 1, 0, 1, "title", folder, False, processes), model)


def test_an_image_is_mirrored_with_its_depth(data: DepthData, tmp_path: Path) -> None:
    images, depth = data.train_images[:16], data.train_labels[:16]

    def prepared(processes: Processes) -> tuple[Tensor, Tensor]:
        part = slice(processes.rank, None, processes.count)
        generator = torch.Generator().manual_seed(5)
        return fitting(data, tmp_path, processes)._prepared(images[part], depth[part], generator)

    pixels, labels = prepared(Processes())
    mirrored = [torch.equal(pixels[i], images[i].flip(2).float()) for i in range(16)]
    for i in range(16):
        assert torch.equal(pixels[i], (images[i].flip(2) if mirrored[i] else images[i]).float())
        assert torch.equal(labels[i], depth[i].flip(2) if mirrored[i] else depth[i])
    assert 3 < sum(mirrored) < 13
    for rank in (0, 1):
        part = prepared(Processes(rank, 2, 2))
        assert torch.equal(part[0], pixels[rank::2])
        assert torch.equal(part[1], labels[rank::2])


def test_flips_that_alternate_mirror_no_image_without_its_depth(data: DepthData, tmp_path: Path) -> None:
    """In every batch of an epoch of each kind, left to right or not, an image comes with its own depth."""
    images, depths = data.train_images[:].float(), data.train_labels[:]
    pairs = {one.numpy().tobytes(): other for one, other in zip(images, depths, strict=True)}
    pairs |= {one.flip(2).numpy().tobytes(): other.flip(2) for one, other in zip(images, depths, strict=True)}
    training = fitting(data, tmp_path, Processes(), "alternate")
    for epoch in (0, 1):
        loader = training.train_dataloader()
        training._order.set_epoch(epoch)
        for pixels, labels, seed in loader:
            found = training._prepared(pixels, labels, torch.Generator().manual_seed(seed))
            for one, depth in zip(*found, strict=True):
                assert torch.equal(depth, pairs[one.contiguous().numpy().tobytes()])


def test_a_picture_that_breaks_later_stops_the_training_with_its_name(
    data: DepthData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bireal_hw.training.stage.WORKERS", 2)

    def depth(path: Path) -> Any:
        if path.name == "7":
            raise BirealError(f"picture {path} cannot be decoded: broken")
        return data.train_labels[int(path.name) : int(path.name) + 1][0].numpy()

    def image(path: Path) -> Any:
        return data.train_images[int(path.name) : int(path.name) + 1][0].numpy()

    paths = [Path(str(index)) for index in range(48)]
    images, labels = LazyPictures(paths, image), LazyPictures(paths, depth)
    broken = DepthData("rooms", images, labels, data.test_images, data.test_labels, SPEC.image)
    with pytest.raises(BirealError, match=r"^picture 7 cannot be decoded: broken$"):
        train_depth(config("binary", epochs=1), broken, tmp_path, progress=False)


def test_data_of_another_size(data: DepthData, tmp_path: Path) -> None:
    other = TrainConfig(ModelSpec("bireal18", 0.125, (16, 24)), "rooms", 1, recipe=RECIPES["binary"])
    with pytest.raises(BirealError) as caught:
        train_depth(other, data, tmp_path, progress=False)
    assert str(caught.value) == "the network has image=(16, 24) but data set 'rooms' was loaded with image=(16, 16)"


# ---- evaluation, files ----


class Brightness(nn.Module):
    """Takes the red of a pixel for its depth."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.02))

    def forward(self, p: Tensor) -> Tensor:
        return self.scale * (p[:, :1] + 1)


def test_evaluation_is_the_mean_over_images_in_batches_and_parts(data: DepthData) -> None:
    found = evaluate(Brightness(), data.test_images, data.test_labels)
    want = measures(0.02 * (data.test_images[:][:, :1].float() + 1), data.test_labels[:]).mean(0).tolist()
    assert [found[name] for name in MEASURES] == pytest.approx(want, rel=1e-6)


def test_the_mean_depth_by_hand() -> None:
    image = torch.zeros(2, 3, 1, 3, dtype=torch.uint8)
    train = torch.tensor([[1.0, 0.0, 0.0], [4.0, 3.0, 0.0]]).view(2, 1, 1, 3)
    test = torch.tensor([[2.0, 3.0, 0.0], [4.0, 0.0, 12.0 ** (1 / 3)]]).view(2, 1, 1, 3)
    found = average(DepthData("rooms", image, train, image, test, (1, 3)))
    # Pixel 0: sqrt(1 * 4) = 2. Pixel 1: 3. Pixel 2 is known nowhere: (1 * 4 * 3)^(1/3). First image: no error.
    assert found["rmse"] == pytest.approx((2**2 / 2) ** 0.5 / 2)
    assert found["rel"] == pytest.approx(0.5 / 2 / 2)
    assert (found["delta1"], found["delta3"]) == pytest.approx((75, 75))


def test_a_checkpoint_of_another_kind(trained: dict[str, Path]) -> None:
    with pytest.raises(BirealError, match=r"does not fit the network it names: .* for BiReal: Missing key"):
        load_checkpoint(trained["binary"] / "checkpoint.ckpt")


def test_the_picture(trained: dict[str, Path], data: DepthData, tmp_path: Path) -> None:
    """It holds a panel for every image, its depth and every network, and unknown pixels do not stretch the colours."""
    depth = data.test_labels[:].clone()
    depth[0, 0, :2] = 0
    networks = {name: load_depth_net(folder / "checkpoint.ckpt")[0] for name, folder in trained.items()}
    masked = DepthData("rooms", data.train_images, data.train_labels, data.test_images, depth, SPEC.image)
    save_picture(networks, masked, tmp_path / "depth.png")
    assert (tmp_path / "depth.png").read_bytes()[:4] == b"\x89PNG"
    assert predict(networks["real"], data.test_images[:2]).shape == (2, 1, 16, 16)
