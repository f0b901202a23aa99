"""The data interface: what comes out of every kind of source, and what each kind of bad source says."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from bireal_hw.errors import BirealError
from bireal_hw.training import data as data_module
from bireal_hw.training import tables
from bireal_hw.training.augment import crop_box
from bireal_hw.training.data import load_data
from bireal_hw.training.defaults import DATASETS, dataset_defaults
from bireal_hw.training.images import LazyImages
from bireal_hw.training.splits import split_indices

pytestmark = pytest.mark.torch


def png(pixels: np.ndarray) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def write_parquet(path: Path, labels: list[Any], kind: Any = None, images: list[Any] | None = None) -> list[np.ndarray]:
    """Write one split as the hub does: Image and label columns. Returns the pixels."""
    rng = np.random.default_rng(len(labels))
    pixels = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in labels]
    kind = kind or datasets.ClassLabel(names=["cat", "dog", "owl"])
    features = datasets.Features({"picture": datasets.Image(), "kind": kind})
    rows = {"picture": images or [png(one) for one in pixels], "kind": labels}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    return pixels


def write_images(folder: Path, count: int, size: tuple[int, int] = (8, 8)) -> None:
    """Write `count` PNG files; the value of a picture's pixels is its number."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", size, (number, number, number)).save(folder / f"{number}.png")


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---- digits ----


def test_digits_are_real_digits_in_the_range_of_pixels() -> None:
    loaded = load_data("digits")
    assert loaded.train_images.shape == (1433, 1, 16, 16)
    assert loaded.test_images.shape == (364, 1, 16, 16)
    assert loaded.class_names == tuple("0123456789")
    assert isinstance(loaded.train_images, torch.Tensor)
    assert loaded.train_images.dtype == torch.uint8
    assert loaded.train_images.max() == 255
    assert loaded.train_images.min() == 0
    assert torch.bincount(loaded.test_labels).min() >= 35


def test_digits_split_is_fixed_and_disjoint() -> None:
    first, second = load_data("digits"), load_data("digits")
    assert torch.equal(torch.as_tensor(first.test_images[:]), torch.as_tensor(second.test_images[:]))
    train, test = split_indices(torch.arange(1797) % 10)
    assert set(train.tolist()).isdisjoint(test.tolist())
    assert sorted(train.tolist() + test.tolist()) == list(range(1797))


@pytest.mark.parametrize(("image", "channels"), [((8, 8), 1), ((24, 40), 3)])
def test_digits_at_another_size(image: tuple[int, int], channels: int) -> None:
    loaded = load_data("digits", image=image, channels=channels, limit=20)
    assert loaded.train_images.shape == (20, channels, *image)
    assert (loaded.image, loaded.channels) == (image, channels)


def test_limit_takes_the_same_images_every_time() -> None:
    few, more = load_data("digits", limit=50), load_data("digits", limit=50)
    assert torch.equal(few.train_labels, more.train_labels)
    assert len(few.test_labels) == 50
    assert few.train_labels.unique().numel() > 5


# ---- parquet ----


def test_fewer_training_images_are_balanced_and_always_the_same() -> None:
    whole, many, few = (load_data("digits", train_images=count) for count in (None, 400, 25))
    assert [len(one.train_images) for one in (whole, many, few)] == [1433, 400, 25]
    assert [len(one.test_images) for one in (whole, many, few)] == [364] * 3
    assert many.train_labels.bincount().tolist() == [40] * 10
    assert sorted(few.train_labels.bincount().tolist()) == [2] * 5 + [3] * 5
    assert torch.equal(load_data("digits", train_images=25).train_images[:], few.train_images[:])
    pictures = [{one.tobytes() for one in data.train_images[:].numpy()} for data in (whole, many, few)]
    assert pictures[2] < pictures[1] < pictures[0]
    with pytest.raises(BirealError, match=r"^train_images=1434 is out of range: .* 'digits' has 1433 training images$"):
        load_data("digits", train_images=1434)


def test_only_the_training_images_that_are_wanted_are_decoded(tmp_path: Path) -> None:
    broken = [{"bytes": b"no picture", "path": None}] * 12
    write_parquet(tmp_path / "train.parquet", [0, 1, 2] * 4, images=broken)
    write_parquet(tmp_path / "test.parquet", [0, 1])
    with pytest.raises(BirealError, match=r"; 6 of 8 images are broken: skip_broken=1 leaves"):
        load_data("folder", tmp_path, (8, 8), train_images=6)


def test_parquet_gives_the_stored_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    train = write_parquet(folder / "train.parquet", [0, 1, 2, 0])
    test = write_parquet(folder / "test.parquet", [2, 1])
    before = state(folder)
    loaded = load_data("folder", folder, image=(8, 8))
    assert loaded.class_names == ("cat", "dog", "owl")
    assert loaded.train_labels.tolist() == [0, 1, 2, 0]
    np.testing.assert_array_equal(loaded.train_images[:].permute(0, 2, 3, 1), np.stack(train))
    np.testing.assert_array_equal(loaded.test_images[:].permute(0, 2, 3, 1), np.stack(test))
    assert state(folder) == before


def test_parquet_without_hub_metadata_and_with_plain_integers(tmp_path: Path) -> None:
    cells = [png(np.full((8, 8, 3), value, np.uint8)) for value in (10, 20, 30)]
    features = datasets.Features(
        {"x": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}, "y": datasets.Value("int64")}
    )
    for name in ("train", "validation"):
        split = datasets.Dataset.from_dict({"x": cells, "y": [0, 1, 1]}, features=features)
        split.to_parquet(tmp_path / f"{name}-00000-of-00001.parquet")
    loaded = load_data("folder", tmp_path, image=(8, 8), channels=1)
    assert loaded.class_names == ("0", "1")
    assert loaded.test_images[:][:, 0, 0, 0].tolist() == [10, 20, 30]


def test_cifar10_reads_a_folder_of_parquet_files(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=[f"class{index}" for index in range(10)])
    write_parquet(tmp_path / "train.parquet", list(range(10)), names)
    write_parquet(tmp_path / "test.parquet", [3], names)
    loaded = load_data("cifar10", tmp_path)
    assert loaded.train_images.shape == (10, 3, 32, 32)
    assert loaded.name == "cifar10"


def test_one_parquet_file_is_split_by_class(tmp_path: Path) -> None:
    write_parquet(tmp_path / "everything.parquet", [0, 1, 2] * 10)
    loaded = load_data("folder", tmp_path, image=(8, 8))
    assert torch.bincount(loaded.test_labels).tolist() == [2, 2, 2]
    assert torch.bincount(loaded.train_labels).tolist() == [8, 8, 8]


# ---- image folders ----


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_image_folder_with_splits(tmp_path: Path, test_name: str) -> None:
    for name in ("train", test_name):
        write_images(tmp_path / "data" / name / "apple", 3)
        write_images(tmp_path / "data" / name / "pear", 2, (20, 10))
    before = state(tmp_path / "data")
    loaded = load_data("folder", tmp_path / "data", image=(8, 16))
    assert loaded.class_names == ("apple", "pear")
    assert loaded.train_images.shape == (5, 3, 8, 16)
    assert loaded.test_labels.tolist() == [0, 0, 0, 1, 1]
    assert loaded.test_images[:][:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1]
    assert state(tmp_path / "data") == before


def test_image_folder_without_splits_gets_a_fixed_one(tmp_path: Path) -> None:
    for name in ("test", "train tracks", "valley"):  # a class may be called almost anything
        write_images(tmp_path / name, 6)
    first = load_data("folder", tmp_path, image=(8, 8), channels=1)
    second = load_data("folder", tmp_path, image=(8, 8), channels=1)
    assert first.class_names == ("test", "train tracks", "valley")
    assert len(first.test_labels) == 6
    assert torch.equal(first.test_images[:], second.test_images[:])


def test_gray_palette_and_alpha_images_are_converted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name, mode in (("gray", "L"), ("alpha", "RGBA"), ("palette", "P")):
        Image.new("L", (8, 8), 200).convert(mode).save(tmp_path / "a" / f"{name}.png")
        Image.new("L", (8, 8), 100).save(tmp_path / "b" / f"{name}.png")
    loaded = load_data("folder", tmp_path, image=(8, 8), channels=3)
    assert loaded.train_images[:][loaded.train_labels == 0].unique().tolist() == [200]


def test_large_data_is_decoded_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "a", 10)
    write_images(tmp_path / "b", 10)
    whole = load_data("folder", tmp_path, image=(8, 8))
    monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", 0)
    lazy = load_data("folder", tmp_path, image=(8, 8))
    assert isinstance(lazy.train_images, LazyImages)
    assert lazy.train_images.shape == whole.train_images.shape
    index = torch.tensor([5, 0, 11])
    assert torch.equal(lazy.train_images[index], whole.train_images[index])
    assert torch.equal(lazy.train_images[2:4], whole.train_images[2:4])


def test_local_data_never_opens_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    write_parquet(tmp_path / "train.parquet", [0, 1, 2] * 2)
    write_parquet(tmp_path / "test.parquet", [0])
    assert len(load_data("folder", tmp_path, image=(8, 8)).train_images) == 6


# ---- bad input ----


def failure(dataset: str, folder: Path | None = None, **options: Any) -> str:
    with pytest.raises(BirealError) as caught:
        load_data(dataset, folder, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{folder}", "DIR")


def test_unknown_name() -> None:
    assert failure("digit") == (
        "unknown data set 'digit': did you mean 'digits'? "
        "choose from digits, cifar10, mnist, folder, owner/name on the Hugging Face hub"
    )


def test_a_hub_name_has_the_defaults_of_a_folder() -> None:
    assert dataset_defaults("owner/name") == DATASETS["folder"]


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (lambda: time.sleep(60), r"https://huggingface.co does not answer within 0.3 s"),
        (
            lambda: (_ for _ in ()).throw(OSError("no route")),
            r"https://huggingface.co cannot be reached \(.*no route\)",
        ),
    ],
)
def test_a_silent_hub(monkeypatch: pytest.MonkeyPatch, trouble: Callable[[], object], text: str) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: trouble())
    monkeypatch.setattr(tables, "HUB_SECONDS", 0.3)
    started = time.monotonic()
    assert re.fullmatch(
        rf"cannot load data set 'owner/flowers' \(owner/flowers\) from the Hugging Face hub: {text}; or give data=DIR",
        failure("owner/flowers"),
    )
    assert time.monotonic() - started < 30


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_silence", lambda: None)

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'owner/flowers' on the Hub (OfflineModeIsEnabled)")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    assert failure("owner/flowers") == (
        "cannot load data set 'owner/flowers' (owner/flowers) from the Hugging Face hub: "
        "Couldn't reach 'owner/flowers' on the Hub (OfflineModeIsEnabled); or give data=DIR"
    )


def test_missing_folder(tmp_path: Path) -> None:
    assert failure("folder", tmp_path / "no") == (
        "data=DIR does not exist; give a folder with parquet files or one subfolder per class"
    )
    assert failure("folder") == (
        "data set 'folder' needs data=DIR, a folder with parquet files or one subfolder per class"
    )


def test_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert failure("folder", tmp_path / "a.txt") == (
        "data=DIR is a file; give the folder that holds the parquet files or images"
    )


def test_folder_without_images(tmp_path: Path) -> None:
    text = "data=DIR holds no images; expected parquet files or one subfolder of images per class"
    assert failure("folder", tmp_path) == text
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert failure("folder", tmp_path) == text.replace("images;", "images (it has 1 .txt);")


def test_digits_read_no_folder(tmp_path: Path) -> None:
    assert failure("digits", tmp_path) == (
        "data set 'digits' comes with scikit-learn and reads no data=DIR; use dataset=folder"
    )


def test_only_a_test_split(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", [0, 1])
    assert failure("folder", tmp_path) == "data=DIR has a test split but no train split"


def test_no_label_column(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0.5, 1.5], datasets.Value("float32"))
    assert failure("folder", tmp_path) == (
        "'DIR' has no label column (ClassLabel, integers or text); it has picture (Image), kind (float32)"
    )


def test_two_label_columns(tmp_path: Path) -> None:
    features = datasets.Features(
        {"img": datasets.Image(), "fine": datasets.Value("int64"), "coarse": datasets.Value("int64")}
    )
    rows = {"img": [png(np.zeros((8, 8), np.uint8))], "fine": [0], "coarse": [0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    assert failure("folder", tmp_path) == (
        "'DIR' has several label columns (fine, coarse): choose one, for example label=fine"
    )


def test_no_image_column(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"label": [0, 1]}).to_parquet(tmp_path / "train.parquet")
    assert failure("folder", tmp_path) == (
        "'DIR' has no image column (pictures, or their files as bytes); it has label (int64)"
    )


def test_class_count_differs(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1, 2] * 2)
    assert failure("folder", tmp_path, classes=10, image=(8, 8)) == "classes=10 but data set 'folder' has 3 classes"
    assert failure("digits", classes=11) == "classes=11 but data set 'digits' has 10 classes"


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    write_images(tmp_path / "only", 4)
    assert failure("folder", tmp_path) == (
        "data=DIR has images in one class folder only, 'only'; a classifier needs two"
    )
    (tmp_path / "only").rename(tmp_path / "test")
    write_parquet(tmp_path / "train.parquet", [0, 0], datasets.ClassLabel(names=["cat"]))
    assert failure("folder", tmp_path) == "column 'kind' of 'DIR' has 1 class; a classifier needs at least 2"


def test_label_out_of_range(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, -1], datasets.Value("int64"))
    assert failure("folder", tmp_path) == "label -1 in column 'kind' of 'DIR' is out of range: at least 0"


def test_broken_parquet(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 but no more")
    assert failure("folder", tmp_path).startswith("cannot read parquet files in data=DIR: ")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_broken_image_is_named(tmp_path: Path, damage: str) -> None:
    write_images(tmp_path / "a", 4, (64, 64))
    write_images(tmp_path / "b", 4, (64, 64))
    broken = tmp_path / "b" / "2.png"
    content = broken.read_bytes()
    broken.write_bytes({"truncated": content[: len(content) // 2], "text": b"not a picture", "empty": b""}[damage])
    text = failure("folder", tmp_path, image=(8, 8))
    assert text.startswith("image DIR/b/2.png cannot be decoded: ")
    assert text.endswith("; 1 of 8 images is broken: skip_broken=1 leaves such images out")


def test_broken_image_in_parquet_is_named_by_its_row(tmp_path: Path) -> None:
    good = png(np.zeros((8, 8, 3), np.uint8))
    bad = {"bytes": b"nonsense", "path": "second.png"}
    write_parquet(tmp_path / "train.parquet", [0, 1, 2], images=[good, bad, good])
    write_parquet(tmp_path / "test.parquet", [0])
    assert failure("folder", tmp_path, image=(8, 8)).startswith("image second.png (row 1) cannot be decoded: ")


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("channels", 2, "channels=2 is out of range: 1 (gray) or 3 (RGB)"),
        ("limit", 0, "limit=0 is out of range: at least 1 image"),
    ],
)
def test_values_out_of_range(option: str, value: int, text: str) -> None:
    assert failure("digits", None, **{option: value}) == text


# ---- photographs ----


def ramp(width: int, height: int) -> np.ndarray:
    """An image whose red is x and whose green is y."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)[None, :]
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


@pytest.fixture
def ramps(tmp_path: Path) -> Path:
    for name in ("train", "test"):
        cells = [png(ramp(200, 120)), png(ramp(120, 200)), png(ramp(200, 120))]
        write_parquet(tmp_path / f"{name}.parquet", [0, 1, 2], images=cells)
    return tmp_path


def test_evaluation_looks_at_the_middle_of_photographs(ramps: Path) -> None:
    loaded = load_data("folder", ramps, image=(32, 32))
    test = loaded.test_images[:]
    side = 120 * 224 / 256  # of a view of 224 in an image whose shorter side is 256
    for index, (width, height) in enumerate([(200, 120), (120, 200)]):
        for channel, length, line in ((0, width, test[index, 0, 16]), (1, height, test[index, 1, :, 16])):
            first, last = length / 2 - side / 2 + side / 64 - 0.5, length / 2 + side / 2 - side / 64 - 0.5
            assert line[0] == pytest.approx(first, abs=2), (index, channel)
            assert line[-1] == pytest.approx(last, abs=2), (index, channel)
    train = loaded.train_images[:]  # whole, as the augmentation crops them
    assert train[0, 1, 0, 16] < 4
    assert train[0, 1, -1, 16] > 115


def test_crops_are_taken_out_of_the_whole_file(ramps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", 0)
    lazy = load_data("folder", ramps, image=(32, 32)).train_images
    assert isinstance(lazy, LazyImages)
    draws = np.array([[0.0, 0.5], [0.5, 0.5], [0.25, 1.0], [1.0, 0.0]])
    found = lazy.cropped(torch.tensor([0, 1]), "resized", draws)
    assert found.shape == (2, 3, 32, 32)
    for index, (width, height) in enumerate([(200, 120), (120, 200)]):
        left, top, right, bottom = crop_box("resized", width, height, 1.0, draws[:, index])
        for line, low, high in ((found[index, 0, 16], left, right), (found[index, 1, :, 16], top, bottom)):
            assert line[0] == pytest.approx(low + (high - low) / 64 - 0.5, abs=2)
            assert line[-1] == pytest.approx(high - (high - low) / 64 - 0.5, abs=2)


# ---- broken images ----


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Two class folders of six images; three of the second class are broken, one of them in the test split."""
    for split in ("train", "test"):
        for name in ("a", "b"):
            write_images(tmp_path / split / name, 6, (16, 16))
    for path in ("train/b/1.png", "train/b/4.png", "test/b/3.png"):
        (tmp_path / path).write_bytes(b"broken")
    return tmp_path


def test_broken_images_are_counted(damaged: Path) -> None:
    text = failure("folder", damaged, image=(8, 8))
    assert text.startswith("image DIR/train/b/1.png cannot be decoded: ")
    assert text.endswith("; 3 of 24 images are broken: skip_broken=1 leaves such images out")


@pytest.mark.parametrize("lazy", [False, True])
def test_broken_images_are_left_out_on_request(damaged: Path, lazy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if lazy:
        monkeypatch.setattr(data_module, "IN_MEMORY_BYTES", 0)
    loaded = load_data("folder", damaged, image=(16, 16), skip_broken=True)
    assert len(loaded.train_images) == len(loaded.train_labels) == 10
    assert len(loaded.test_images) == len(loaded.test_labels) == 11
    assert loaded.train_labels.tolist() == [0] * 6 + [1] * 4
    assert loaded.train_images[:][6:, 0, 0, 0].tolist() == [0, 2, 3, 5]
    assert [Path(text.split()[1]).relative_to(damaged).as_posix() for text in loaded.broken] == [
        "train/b/1.png",
        "train/b/4.png",
        "test/b/3.png",
    ]


def test_a_split_of_broken_images_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_images(tmp_path / "train" / name, 2)
        write_images(tmp_path / "test" / name, 1)
        (tmp_path / "test" / name / "0.png").write_bytes(b"")
    assert failure("folder", tmp_path, image=(8, 8), skip_broken=True) == (
        "the 2 test images of 'DIR' are all broken; the first: image DIR/test/a/0.png cannot be decoded: "
        "it is no picture of a kind that Pillow knows"
    )
