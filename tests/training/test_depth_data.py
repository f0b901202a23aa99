"""Reading images with depth: every layout from small files written here, and a line for all that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.training.depth import data as module
from bireal_hw.training.depth.data import LazyPictures, find_pairs, load_depth, read_depth, read_image

pytestmark = pytest.mark.torch


def write(path: Path, pixels: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photograph(seed: int = 0, size: tuple[int, int] = (16, 24)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def millimetres(seed: int = 0, size: tuple[int, int] = (16, 24)) -> NDArray[np.uint16]:
    depth = np.random.default_rng(seed).integers(500, 9000, size).astype(np.uint16)
    depth[0, :3] = 0
    return depth


def folder(root: Path) -> Path:
    """Three pairs to train and two to test, in image/ and depth/, one of them a folder deeper."""
    for split, names in (("train", ("a", "b", "deep/c")), ("test", ("d", "e"))):
        for seed, name in enumerate(names, start=ord(names[0])):
            write(root / split / "image" / f"{name}.png", photograph(seed))
            write(root / split / "depth" / f"{name}.png", millimetres(seed))
    return root


def tensor(images: Tensor | LazyPictures) -> Tensor:
    assert isinstance(images, Tensor)
    return images


def test_a_folder_of_pairs(tmp_path: Path) -> None:
    data = load_depth("folder", folder(tmp_path), image=(16, 24))
    assert (data.name, data.image, data.channels) == ("folder", (16, 24), 3)
    assert tensor(data.train_images).shape == (3, 3, 16, 24)
    for index in range(3):
        want = photograph(ord("a") + index).transpose(2, 0, 1)
        assert np.array_equal(tensor(data.train_images)[index], want)
        metres = millimetres(ord("a") + index) / np.float32(1000)
        assert np.array_equal(tensor(data.train_labels)[index, 0], metres)
    assert tensor(data.test_labels).shape == (2, 1, 16, 24)
    assert tensor(data.test_labels).dtype == torch.float32
    assert tensor(data.train_labels)[0, 0, 0, :3].tolist() == [0, 0, 0]


def test_numbered_pairs_beside_each_other(tmp_path: Path) -> None:
    """As the usual scripts write NYU-Depth-v2: folders of scenes, other files among them."""
    for split, scene, number in (("train", "kitchen_0001a", 3), ("train", "kitchen_0001a", 10), ("test", "bath", 3)):
        place = tmp_path / split / scene
        write(place / f"rgb_{number:05d}.jpg", photograph(number))
        write(place / f"sync_depth_{number:05d}.png", millimetres(number))
    write(tmp_path / "train" / "kitchen_0001a" / "dense" / "sync_depth_dense_00003.png", millimetres())
    (tmp_path / "train" / "readme.txt").write_text("text")
    data = load_depth("nyu", tmp_path, image=(16, 24))
    for index, number in enumerate((3, 10)):
        assert np.array_equal(tensor(data.train_labels)[index, 0], millimetres(number) / np.float32(1000))
    assert len(data.test_images) == 1
    names = [image.name for image, _ in find_pairs(tmp_path / "train")]
    assert names == ["rgb_00003.jpg", "rgb_00010.jpg"]


def test_the_validation_split_is_tested_on(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "test").rename(tmp_path / "val")
    assert len(load_depth("folder", tmp_path, image=(8, 8)).test_images) == 2


def test_another_size_is_cut_in_the_middle_and_depth_is_never_mixed(tmp_path: Path) -> None:
    depth = np.arange(1, 8 * 16 + 1, dtype=np.uint16).reshape(8, 16) * 50
    path = write(tmp_path / "depth.png", depth)
    half = read_depth(path, (4, 4))  # the middle 8x8, every second pixel: the middle of 2x2 falls into the second
    assert np.array_equal(half[0], depth[1::2, 5:12:2] / np.float32(1000))
    twice = read_depth(path, (16, 32))
    assert np.array_equal(twice[0], depth.repeat(2, axis=0).repeat(2, axis=1) / np.float32(1000))
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 3:13] = 200  # the middle 8x8, and how far a pixel of 2x2 reaches beyond
    assert (read_image(write(tmp_path / "image.png", image), (4, 4)) == 200).all()


def test_pictures_of_nyu_lose_their_border(tmp_path: Path) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[45:471, 41:601] = 200
    depth = np.zeros((480, 640), np.uint16)
    depth[45:471, 41:601] = 2000
    image_path, depth_path = write(tmp_path / "rgb.png", image), write(tmp_path / "depth.png", depth)
    assert (read_image(image_path, (426, 560), cut=True) == 200).all()
    assert (read_depth(depth_path, (426, 560), cut=True) == 2).all()
    assert (read_image(image_path, (106, 140), cut=True) == 200).all()
    assert (read_depth(depth_path, (426, 560)) == 0).any()
    small = write(tmp_path / "small.png", millimetres())
    assert np.array_equal(read_depth(small, (16, 24), cut=True), read_depth(small, (16, 24)))


def test_grey_pictures_and_transparent_ones_become_rgb(tmp_path: Path) -> None:
    grey = photograph()[:, :, 0]
    assert np.array_equal(read_image(write(tmp_path / "g.png", grey), (16, 24)), np.stack([grey] * 3))
    four = np.concatenate([photograph(), np.full((16, 24, 1), 255, np.uint8)], axis=2)
    assert np.array_equal(read_image(write(tmp_path / "a.png", four), (16, 24)), photograph().transpose(2, 0, 1))


def test_what_does_not_fit_in_memory_is_decoded_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_depth("folder", folder(tmp_path), image=(16, 24))
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    lazy = load_depth("folder", tmp_path, image=(16, 24))
    assert isinstance(lazy.train_images, LazyPictures)
    assert len(lazy.train_images) == 3
    chosen = torch.tensor([2, 0])
    assert torch.equal(lazy.train_images[chosen], tensor(whole.train_images)[chosen])
    assert torch.equal(lazy.train_labels[chosen], tensor(whole.train_labels)[chosen])
    assert torch.equal(lazy.test_labels[:], tensor(whole.test_labels))


def test_part_of_the_training_images(tmp_path: Path) -> None:
    folder(tmp_path)
    two = load_depth("folder", tmp_path, image=(16, 24), train_images=2)
    assert len(two.train_images) == 2
    assert len(two.test_images) == 2
    assert torch.equal(
        tensor(load_depth("folder", tmp_path, image=(16, 24), train_images=2).train_images), tensor(two.train_images)
    )
    with pytest.raises(BirealError) as caught:
        load_depth("folder", tmp_path, image=(16, 24), train_images=4)
    assert str(caught.value) == f"train_images=4 is out of range: data set '{tmp_path}' has 3 training images"


def parquet(path: Path, count: int, seed: int, **changes: NDArray[np.float32]) -> None:
    """Write rows as the data set of the hub has them."""
    import datasets

    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (count, 3, 12, 16)).astype(np.float32) / 255
    depth = generator.uniform(0.8, 9, (count, 1, 12, 16)).astype(np.float32)
    columns: dict[str, Any] = {
        "image": image,
        "depth": depth,
        "segmentation": np.zeros((count, 12, 16), np.int64),
    } | changes
    kinds = {
        name: datasets.Array3D(array.shape[1:], "float32") if array.ndim == 4 else datasets.Array2D((12, 16), "int64")
        for name, array in columns.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, datasets.Features(kinds)).to_parquet(path)


def test_parquet_files_as_on_the_hub(tmp_path: Path) -> None:
    parquet(tmp_path / "data" / "train-00000-of-00001.parquet", 3, 0)
    parquet(tmp_path / "data" / "val-00000-of-00001.parquet", 2, 1)
    data = load_depth("nyu", tmp_path, image=(8, 8), cache=tmp_path / "cache")
    assert (len(data.train_images), len(data.test_images)) == (3, 2)
    full = load_depth("nyu", tmp_path, image=(24, 32), cache=tmp_path / "cache")
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (3, 3, 12, 16))
    metres = generator.uniform(0.8, 9, (3, 1, 12, 16)).astype(np.float32)
    assert np.array_equal(tensor(full.train_labels), metres.repeat(2, axis=2).repeat(2, axis=3))
    same = load_depth("nyu", tmp_path, image=(12, 16), cache=tmp_path / "cache")
    assert np.array_equal(tensor(same.train_images), pixels)
    assert np.array_equal(tensor(same.train_labels), metres)
    assert len(load_depth("nyu", tmp_path, image=(8, 8), train_images=2, cache=tmp_path / "cache").train_images) == 2


def test_parquet_files_that_are_something_else(tmp_path: Path) -> None:
    parquet(tmp_path / "train-0.parquet", 2, 0, image=np.full((2, 3, 12, 16), 7, np.float32))
    with pytest.raises(BirealError, match=r"has no parquet files of a test split, test-\* or val-\*$"):
        load_depth("nyu", tmp_path, image=(8, 8), cache=tmp_path / "cache")
    parquet(tmp_path / "test-0.parquet", 2, 0)
    with pytest.raises(BirealError) as caught:
        load_depth("nyu", tmp_path, image=(8, 8), cache=tmp_path / "cache")
    assert str(caught.value) == (
        f"row 0 of '{tmp_path}' is not an image (3, h, w) in 0..1 with a depth (1, h, w): "
        "image (3, 12, 16), depth (1, 12, 16)"
    )


def test_the_hub_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    asked = []

    def load(name: str, **_: Any) -> None:
        asked.append(name)
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("bireal_hw.training.tables._silence", lambda: None)  # the hub answers
    with pytest.raises(BirealError, match=r"^cannot load data set 'nyu' \(tanganke/nyuv2\) .*: no network; or give"):
        load_depth("nyu", image=(8, 8))
    assert asked == ["tanganke/nyuv2"]


# ---- what cannot go well ----


def without(path: str) -> Any:
    return lambda root: (root / path).unlink()


def with_depth(pixels: NDArray[Any]) -> Any:
    return lambda root: write(root / "train" / "depth" / "a.png", pixels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("train/depth/a.png"), "{root}/train/image/a.png has no depth: {pairs}"),
        (without("train/image/deep/c.png"), "{root}/train/depth/deep/c.png has no image: {pairs}"),
        (
            lambda root: [path.unlink() for path in (root / "test").rglob("*.png")],
            "{root}/test holds no images with depth: {pairs}",
        ),
        (lambda root: (root / "test").rename(root / "x"), "data={root} lacks the folder test (or val)"),
        (lambda root: (root / "train").rename(root / "x"), "data={root} lacks the folder train"),
        (
            with_depth(millimetres(size=(8, 12))),
            "{root}/train/image/a.png has 24x16 pixels and its depth {root}/train/depth/a.png 12x8: "
            "both must be the same",
        ),
        (
            with_depth(photograph()[:, :, 0]),
            "depth {root}/train/depth/a.png has pixels of type L: PNG of 16 bits, millimetres, is needed",
        ),
        (
            with_depth(np.zeros((16, 24), np.uint16)),
            "depth {root}/train/depth/a.png has no pixel from 0.1 to 10 m",
        ),
        (
            lambda root: (root / "train/image/b.png").write_bytes(b"broken"),
            "picture {root}/train/image/b.png cannot be decoded: cannot identify image file '{root}/train/image/b.png'",
        ),
    ],
)  # fmt: skip
def test_folders_that_do_not_fit(tmp_path: Path, change: Any, said: str) -> None:
    change(folder(tmp_path))
    with pytest.raises(BirealError) as caught:
        load_depth("folder", tmp_path, image=(16, 24))
    assert str(caught.value) == said.format(root=tmp_path, pairs=module.PAIRS)


def test_a_truncated_picture(tmp_path: Path) -> None:
    path = folder(tmp_path) / "test" / "depth" / "d.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BirealError, match=rf"^picture {path} cannot be decoded: \S"):
        load_depth("folder", tmp_path, image=(16, 24))


@pytest.mark.parametrize(
    ("dataset", "folder", "said"),
    [
        (
            "romos", None,
            "unknown data set of images with depth 'romos': did you mean 'rooms'? choose from rooms, nyu, folder",
        ),
        ("folder", None, "dataset=folder needs data=DIR, a folder with train and test"),
        ("rooms", ".", "data set 'rooms' is rendered and reads no data=.: use dataset=folder"),
        ("nyu", "no/where", "data=no/where is not a folder: give one with train and test"),
    ],
)  # fmt: skip
def test_data_sets_that_do_not_fit(dataset: str, folder: str | None, said: str) -> None:
    with pytest.raises(BirealError) as caught:
        load_depth(dataset, Path(folder) if folder else None)
    assert str(caught.value) == said


def test_rooms() -> None:
    data = load_depth("rooms", image=(8, 16), train_images=3)
    assert tensor(data.train_images).shape == (3, 3, 8, 16)
    assert tensor(data.test_labels).shape == (module.TEST_ROOMS, 1, 8, 16)
    assert not torch.equal(tensor(data.train_images), tensor(data.test_images)[:3])
