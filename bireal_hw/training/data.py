"""Data sets through one interface: labelled images as the hardware sees them, pixels 0..255.

`digits` ships with scikit-learn; everything else is a folder of pictures or of parquet files (`data=DIR`, never over
the network), or a name on the Hugging Face hub. `folders` and `tables` find the pictures, `bireal_hw.preprocess` reads
one; here they become training and test images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.training.defaults import dataset_defaults
from bireal_hw.training.digits import SEED, digits
from bireal_hw.training.folders import find_images, shown
from bireal_hw.training.images import REMEDY, LazyImages, PictureSet
from bireal_hw.training.splits import limited, split_indices, subset
from bireal_hw.training.tables import find_tables, load_hub, load_parquet, parquet_files

FIFTH = f"a fifth of each class, chosen with seed {SEED} in every run"
IN_MEMORY_BYTES = 2**30
"""Splits that decode to more than this stay on disk and are decoded batch by batch."""


@dataclass(frozen=True)
class Data:
    """A data set, split for good: images uint8 (N, C, H, W) with values 0..255, labels int64 (N,) below `classes`."""

    name: str
    train_images: Tensor | LazyImages
    train_labels: Tensor
    test_images: Tensor | LazyImages
    test_labels: Tensor
    class_names: tuple[str, ...]
    image: tuple[int, int]
    channels: int
    broken: tuple[str, ...] = ()
    """What was left out as it cannot be decoded, a description each."""
    parts: str = ""
    """How training and test images are told apart."""
    notes: tuple[str, ...] = ()
    """What else was left out, or is unusual, a sentence each."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def load_data(
    dataset: str,
    data: Path | None = None,
    image: tuple[int, int] | None = None,
    channels: int | None = None,
    classes: int | None = None,
    limit: int | None = None,
    cache: Path | None = None,
    skip_broken: bool = False,
    train_images: int | None = None,
    local: bool = False,
    label: str | None = None,
    image_column: str | None = None,
) -> Data:
    """Load a data set at the size and number of channels the network reads.

    Args:
        dataset: a name of DATASETS or `owner/name` on the hub.
        data: folder with parquet files or images in one subfolder per class; nothing is written there and the network
            stays unused. None: scikit-learn for `digits`, the hub for the others.
        image: (height, width) in pixels; other sizes are cropped in the middle to that shape and scaled.
        channels: 1 (gray) or 3 (RGB).
        classes: if given, the number the data must have.
        limit: keep at most this many images of each split, the same ones every time.
        cache: folder for the files that `datasets` writes; None takes a temporary one.
        skip_broken: leave out images that cannot be decoded (every one is tried), in place of an error.
        train_images: keep that many training images (`subset`), all of them if None; the others are never decoded.
        local: of the hub only what was fetched before; the network stays unused.
        label: column of parquet files and the hub with the labels; None: the only one that can be it.
        image_column: the same of the pictures.

    Without a test split (`folders.TEST_NAMES`), a fifth of each class becomes one, always the same.

    Raises BirealError for an unknown data set, a folder that is missing or holds no images, a class without training
    images, columns that are missing or ambiguous, a class count that differs, a broken image, and more training images
    than there are.
    """
    defaults = dataset_defaults(dataset)
    image = image or defaults.image
    channels = channels or defaults.channels
    if channels not in (1, 3):
        raise out_of_range("channels", channels, "1 (gray) or 3 (RGB)")
    if limit is not None and limit < 1:
        raise out_of_range("limit", limit, "at least 1 image")
    if dataset == "digits":
        if data is not None:
            raise BirealError(f"data set 'digits' comes with scikit-learn and reads no data={data}; use dataset=folder")
        _no_columns("data set 'digits' has none", label, image_column)
        loaded = _digits(image, channels, limit, train_images)
    else:
        where = str(data) if data else defaults.hub or dataset
        source = _find(dataset, data, where, cache, local, label, image_column)
        shape = image, channels, defaults.view
        loaded = _loaded(dataset, where, source, shape, limit, skip_broken, train_images)
    want = classes or (defaults.classes if data is None else None)
    if want is not None and want != loaded.classes:
        raise BirealError(f"classes={want} but data set '{dataset}' has {loaded.classes} classes")
    return loaded


def _no_columns(why: str, label: str | None, image_column: str | None) -> None:
    for name, column in (("label", label), ("image_column", image_column)):
        if column is not None:
            raise BirealError(f"{name}={column} names a column of parquet files or of a data set on the hub: {why}")


def _find(
    dataset: str,
    data: Path | None,
    where: str,
    cache: Path | None,
    local: bool,
    label: str | None,
    image_column: str | None,
) -> PictureSet:
    """Find a folder of pictures, parquet files, or a data set on the hub."""
    if data is None:
        if dataset == "folder":
            raise BirealError(
                "data set 'folder' needs data=DIR, a folder with parquet files or one subfolder per class"
            )
        return find_tables(load_hub(where, dataset, cache, local), where, label, image_column)
    if not data.exists():
        raise BirealError(
            f"data={shown(data)} does not exist; give a folder with parquet files or one subfolder per class"
        )
    if not data.is_dir():
        raise BirealError(f"data={shown(data)} is a file; give the folder that holds the parquet files or images")
    if parquet_files(data):
        return find_tables(load_parquet(data, cache), where, label, image_column)
    _no_columns(f"the classes of data={shown(data)} are its folders", label, image_column)
    return find_images(data)


def _loaded(
    dataset: str,
    where: str,
    source: PictureSet,
    shape: tuple[tuple[int, int], int, float],
    limit: int | None,
    skip_broken: bool,
    train_images: int | None,
) -> Data:
    """Choose the images of each split and decode them, unless they are too many; `shape`: image, channels, view."""
    image, channels, view = shape
    seen = torch.tensor(source.train.labels, dtype=torch.long)
    if source.test is None:
        parts = FIFTH
        positions = dict(zip(("train", "test"), split_indices(seen), strict=True))
        splits = {"train": source.train, "test": source.train}
    else:
        parts = source.parts
        splits = {"train": source.train, "test": source.test}
        positions = {name: torch.arange(len(split.labels)) for name, split in splits.items()}
    labels = {name: torch.tensor(split.labels, dtype=torch.long) for name, split in splits.items()}
    _all_classes(labels["train"][positions["train"]], seen, source, where)
    images: dict[str, LazyImages] = {}
    broken: list[str] = []
    for name, split in splits.items():
        chosen = positions[name][limited(len(positions[name]), limit)]
        if name == "train":
            chosen = chosen[subset(labels[name][chosen], train_images, dataset)]
        labels[name] = labels[name][chosen]
        images[name] = LazyImages(
            split.pictures.select(chosen.tolist()), image, channels, view if name == "test" else 1.0
        )
    if skip_broken:
        trained = labels["train"]
        for name, lazy in images.items():
            found = lazy.broken()
            broken += found.values()
            labels[name] = labels[name][[row for row in range(len(lazy)) if row not in found]]
            images[name] = lazy.without(found)
            if found and not len(images[name]):
                first = next(iter(found.values()))
                raise BirealError(f"the {len(lazy):,} {name} images of '{where}' are all broken; the first: {first}")
        if gone := sorted(set(trained.tolist()) - set(labels["train"].tolist())):
            raise BirealError(f"all training images of {_classes(source, gone)} of '{where}' are broken")
    for name, lazy in images.items():
        if not len(lazy):
            raise BirealError(f"the {name} split of '{where}' holds no images")
    decoded = _decoded(images)
    return Data(
        dataset, decoded["train"], labels["train"], decoded["test"], labels["test"], source.class_names, image,
        channels, tuple(broken), parts, source.notes,
    )  # fmt: skip


def _all_classes(trained: Tensor, labels: Tensor, source: PictureSet, where: str) -> None:
    """Raise BirealError if some class has no training images."""
    lacking = sorted(set(range(len(source.class_names))) - set(trained.tolist()))
    if lacking:
        have = int((labels == lacking[0]).sum())
        why = " of the 2 that it needs, one to train and one to test" if source.test is None and have else ""
        count = f": '{source.class_names[lacking[0]]}' has {have} image{why}" if why else ""
        raise BirealError(f"{_classes(source, lacking)} of '{where}' has no training images{count}")


def _classes(source: PictureSet, numbers: list[int]) -> str:
    """Write a few classes by name."""
    names = ", ".join(f"'{shown(source.class_names[number])}'" for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"class {names}{more}"


def _decoded(images: dict[str, LazyImages]) -> dict[str, Tensor | LazyImages]:
    """Decode the splits that fit in memory; if some of their images cannot be, the error says how many."""
    small = {name: lazy for name, lazy in images.items() if lazy.shape.numel() <= IN_MEMORY_BYTES}
    try:
        return {**images, **{name: lazy[:] for name, lazy in small.items()}}
    except BirealError:
        broken = [text for lazy in small.values() for text in lazy.broken().values()]
        if not broken:
            raise
        total = sum(map(len, small.values()))
        count = f"{len(broken):,} of {total:,} images {'are' if len(broken) > 1 else 'is'} broken"
        raise BirealError(f"{broken[0]}; {count}: {REMEDY}") from None


def _digits(image: tuple[int, int], channels: int, limit: int | None, train_images: int | None) -> Data:
    """Return the 1,797 handwritten digits of scikit-learn (8x8, 0..16), scaled to the image size and 0..255."""
    pixels, digit, names = digits(image, channels)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(digit)
    train, test = split_indices(labels)
    train, test = train[limited(len(train), limit)], test[limited(len(test), limit)]
    train = train[subset(labels[train], train_images, "digits")]
    return Data(
        "digits", images[train], labels[train], images[test], labels[test], names, image, channels, parts=FIFTH
    )  # fmt: skip
