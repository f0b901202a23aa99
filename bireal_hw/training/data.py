"""Data sets through one interface: labelled images as the hardware sees them, pixels 0..255.

`digits` ships with scikit-learn; everything else is read by Hugging Face `datasets`: parquet files or an image folder
on disk (`data=DIR`, never over the network), or a name on the hub.
"""

from __future__ import annotations

import atexit
import functools
import io
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from bireal_hw.errors import BirealError, out_of_range, unknown
from bireal_hw.training.augment import Augment

TEST_NAMES = ("test", "validation", "valid", "val")
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
IN_MEMORY_BYTES = 2**30
"""Splits that decode to more than this stay on disk and are decoded batch by batch."""


@dataclass(frozen=True)
class DatasetDefaults:
    """What a data set brings when the user does not say.

    `classes` None means as many as the data has; `hub` is the name on the Hugging Face hub, None if there is none;
    `label` names the label column where several would fit.
    """

    width: float
    image: tuple[int, int]
    channels: int
    classes: int | None
    epochs: int
    batch: int
    augment: Augment
    hub: str | None = None
    label: str | None = None


_PHOTO = Augment(shift=0.125, zoom=(0.6, 1.1), flip=True)

DATASETS: dict[str, DatasetDefaults] = {
    "digits": DatasetDefaults(0.25, (16, 16), 1, 10, 30, 64, Augment(shift=0.1, zoom=(0.9, 1.1), rotate=10.0)),
    "cifar10": DatasetDefaults(
        1.0, (32, 32), 3, 10, 100, 128, Augment(shift=0.125, whole=True, flip=True), "uoft-cs/cifar10"
    ),
    "mnist": DatasetDefaults(
        0.25, (32, 32), 1, 10, 10, 128, Augment(shift=0.1, zoom=(0.9, 1.1), rotate=10.0), "ylecun/mnist"
    ),
    "folder": DatasetDefaults(1.0, (224, 224), 3, None, 90, 128, _PHOTO),
}


def dataset_defaults(dataset: str) -> DatasetDefaults:
    """Return the defaults of a data set; a hub name such as `owner/name` has those of `folder`.

    Raises BirealError for a name that is neither in DATASETS nor of the form `owner/name`.
    """
    if dataset in DATASETS:
        return DATASETS[dataset]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", dataset):
        return DATASETS["folder"]
    raise unknown("data set", dataset, [*DATASETS, "owner/name on the Hugging Face hub"])


class LazyImages:
    """Images of one split that are decoded when asked for, for data that does not fit in memory.

    Indexed by a tensor of positions as a uint8 tensor (N, C, H, W) would be.
    """

    def __init__(self, rows: Any, column: str, image: tuple[int, int], channels: int) -> None:
        self.rows, self.column, self.image, self.channels = rows, column, image, channels
        self.shape = torch.Size((len(rows), channels, *image))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Decode the images at `index` into uint8 (len(index), C, H, W)."""
        positions = torch.arange(len(self))[index].tolist()
        out = np.empty((len(positions), *self.image, self.channels), np.uint8)
        cells = self.rows.select(positions).with_format("arrow")[:][self.column].to_pylist()  # one read, not one a cell

        def fill(slots: range) -> None:
            for slot in slots:
                out[slot] = _decode(cells[slot], positions[slot], self.image, self.channels)

        threads = torch.get_num_threads()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, [range(start, len(positions), threads) for start in range(threads)]))
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


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

    Without a test split (test, validation, valid, val), a fifth of each class becomes one, always the same.

    Raises BirealError for an unknown data set, a folder that is missing or holds no images, columns that are missing or
    ambiguous, a class count that differs, and a broken image.
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
        loaded = _digits(image, channels, limit)
    else:
        loaded = _hugging_face(dataset, data, image, channels, limit, cache)
    want = classes or (defaults.classes if data is None else None)
    if want is not None and want != loaded.classes:
        raise BirealError(f"classes={want} but data set '{dataset}' has {loaded.classes} classes")
    return loaded


def split_indices(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Split positions into (train, test): a fixed random fifth of every class, rounded up, goes to the test set.

    >>> train, test = split_indices(torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]))
    >>> len(train), len(test)
    (8, 3)
    """
    generator = torch.Generator().manual_seed(0)
    test = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        test[members[: -(-len(members) // 5)]] = True
    return (~test).nonzero().flatten(), test.nonzero().flatten()


def _limited(count: int, limit: int | None) -> Tensor:
    """Return the positions to keep: all, or a fixed random choice of `limit`."""
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:limit].sort().values


def _digits(image: tuple[int, int], channels: int, limit: int | None) -> Data:
    """Return the 1,797 handwritten digits of scikit-learn (8x8, 0..16), scaled to the image size and 0..255."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    pixels = torch.from_numpy(raw.images).float()[:, None] * (255 / 16)
    pixels = torch.nn.functional.interpolate(pixels, size=image, mode="bilinear", align_corners=False)
    images = pixels.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1).contiguous()
    labels = torch.from_numpy(raw.target).long()
    train, test = split_indices(labels)
    train, test = train[_limited(len(train), limit)], test[_limited(len(test), limit)]
    names = tuple(str(name) for name in raw.target_names)
    return Data("digits", images[train], labels[train], images[test], labels[test], names, image, channels)


# ---- Hugging Face datasets ----


def _hugging_face(
    dataset: str, data: Path | None, image: tuple[int, int], channels: int, limit: int | None, cache: Path | None
) -> Data:
    """Load parquet files, an image folder, or a hub name."""
    defaults = dataset_defaults(dataset)
    if data is not None:
        splits = _load_local(Path(data), cache)
        where = str(data)
    elif dataset == "folder":
        raise BirealError("data set 'folder' needs data=DIR, a folder with parquet files or one subfolder per class")
    else:
        where = defaults.hub or dataset
        splits = _load_hub(where, dataset, cache)

    train = splits["train"]
    image_column, label_column = _columns(train, where, defaults.label)
    labels = {name: torch.tensor(split[label_column], dtype=torch.long) for name, split in splits.items()}
    names = _class_names(train, label_column, torch.cat(list(labels.values())), where)
    if "test" in splits:
        rows = {name: (splits[name], torch.arange(len(splits[name]))) for name in ("train", "test")}
    else:
        indices = dict(zip(("train", "test"), split_indices(labels["train"]), strict=True))
        rows = {name: (train, indices[name]) for name in ("train", "test")}
        labels["test"] = labels["train"]

    parts: list[Any] = []
    for name, (split, positions) in rows.items():
        positions = positions[_limited(len(positions), limit)]
        if len(positions) == 0:
            raise BirealError(f"the {name} split of '{where}' holds no images")
        lazy = LazyImages(_undecoded(split.select(positions.tolist()), image_column), image_column, image, channels)
        small = len(lazy) * channels * image[0] * image[1] <= IN_MEMORY_BYTES
        parts += [lazy[:] if small else lazy, labels[name][positions]]
    train_images, train_labels, test_images, test_labels = parts
    return Data(dataset, train_images, train_labels, test_images, test_labels, names, image, channels)


def _load_local(folder: Path, cache: Path | None) -> dict[str, Any]:
    """Load parquet files or an image folder; returns the splits `train` and, if there is one, `test`."""
    if not folder.exists():
        raise BirealError(f"data={folder} does not exist; give a folder with parquet files or one subfolder per class")
    if not folder.is_dir():
        raise BirealError(f"data={folder} is a file; give the folder that holds the parquet files or images")
    parquet = sorted(folder.glob("*.parquet")) or sorted(folder.glob("data/*.parquet"))
    if parquet:
        builder, files = "parquet", _by_split([(re.split(r"[-_.]", path.name)[0], path) for path in parquet])
    else:
        builder, files = "imagefolder", _image_files(folder)
    import datasets

    with _offline():
        try:
            loaded = datasets.load_dataset(
                builder, data_files={split: [str(path) for path in paths] for split, paths in files.items()},
                cache_dir=str(cache or _temporary_cache()),
            )  # fmt: skip
        except Exception as error:  # datasets raises many types; each means unreadable files
            raise BirealError(f"cannot read {builder} files in data={folder}: {_reason(error)}") from error
    return dict(loaded)


def _image_files(folder: Path) -> dict[str, list[Path]]:
    """Find the images of a folder by split: class folders below train/ and test/ (or val/), or directly below it."""
    split_folders = [path for path in sorted(folder.iterdir()) if path.name in ("train", *TEST_NAMES) and path.is_dir()]
    has_splits = any(path.name == "train" for path in split_folders)
    found: list[tuple[str, Path]] = []
    for root in split_folders if has_splits else [folder]:
        paths = [path for path in sorted(root.glob("*/**/*")) if path.suffix.lower() in IMAGE_SUFFIXES]
        found += [(root.name if has_splits else "train", path) for path in paths]
    if not found:
        raise BirealError(f"data={folder} holds no images; expected parquet files or one subfolder of images per class")
    names = {path.relative_to(folder).parts[1 if has_splits else 0] for _, path in found}
    if len(names) < 2:
        raise BirealError(f"data={folder} has images in one class folder only, '{names.pop()}'; a classifier needs two")
    return _by_split(found)


def _by_split(found: list[tuple[str, Path]]) -> dict[str, list[Path]]:
    """Group paths into train and test; of several test splits the first of TEST_NAMES counts, other names are train."""
    test = next((name for name in TEST_NAMES if any(split == name for split, _ in found)), None)
    splits = {"train": [path for split, path in found if split not in TEST_NAMES]}
    if any(split == "train" for split, _ in found):
        splits["train"] = [path for split, path in found if split == "train"]
    if test:
        splits["test"] = [path for split, path in found if split == test]
    if not splits["train"]:
        raise BirealError(f"data={found[0][1].parent} has a {test} split but no train split")
    return splits


def _load_hub(name: str, dataset: str, cache: Path | None) -> dict[str, Any]:
    """Load a data set by its name on the hub, from its local cache if it has been fetched before."""
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(name, cache_dir=str(cache) if cache else None)
    except Exception as error:  # connection, permission and format errors of several libraries
        raise BirealError(
            f"cannot load data set '{dataset}' ({name}) from the Hugging Face hub: {_reason(error)}; or give data=DIR"
        ) from error
    test = next((split for split in TEST_NAMES if split in loaded), None)
    if "train" not in loaded:
        raise BirealError(f"data set '{name}' has no train split; it has {', '.join(map(str, loaded))}")
    return {"train": loaded["train"], **({"test": loaded[test]} if test else {})}


def _columns(split: Any, where: str, label: str | None) -> tuple[str, str]:
    """Find the image and label columns by their types; anything but exactly one of each is an error."""
    import datasets

    features = split.features
    listing = ", ".join(f"{name} ({type(kind).__name__})" for name, kind in features.items())
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image) or _holds_bytes(kind)]
    labels = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    labels = labels or [name for name, kind in features.items() if "int" in str(getattr(kind, "dtype", ""))]
    if label in labels:
        labels = [label]
    for what, found in (("image", images), ("label", labels)):
        if len(found) != 1:
            several = f"several {what} columns ({', '.join(found)})" if found else f"no {what} column"
            raise BirealError(
                f"'{where}' has {several}; expected one Image and one ClassLabel or integer column in {listing}"
            )
    return images[0], labels[0]


def _holds_bytes(kind: Any) -> bool:
    """Tell whether a column is the storage type of an Image, as in parquet files written without its metadata."""
    return isinstance(kind, dict) and set(kind) == {"bytes", "path"}


def _undecoded(split: Any, column: str) -> Any:
    """Make a column yield {bytes, path} in place of decoded pictures, so that a broken image can be named."""
    import datasets

    return split.cast_column(column, datasets.Image(decode=False))


def _class_names(split: Any, column: str, labels: Tensor, where: str) -> tuple[str, ...]:
    """Return the class names in order of their label and check that the labels are in range."""
    names = getattr(split.features[column], "names", None)
    if names is None:
        names = [str(label) for label in range(int(labels.max()) + 1)]
    if int(labels.min()) < 0 or int(labels.max()) >= len(names):
        bad = labels[(labels < 0) | (labels >= len(names))][0]
        raise BirealError(f"label {int(bad)} in column '{column}' of '{where}' is out of range: 0..{len(names) - 1}")
    if len(names) < 2:
        raise BirealError(f"'{where}' has {len(names)} class; a classifier needs at least 2")
    return tuple(names)


def _decode(cell: dict[str, Any], position: int, image: tuple[int, int], channels: int) -> np.ndarray:
    """Decode one {bytes, path} cell into uint8 (H, W, C), cropped in the middle to the shape of `image` and scaled."""
    source = cell["path"] if cell["bytes"] is None else io.BytesIO(cell["bytes"])
    try:
        with Image.open(source) as opened:
            picture = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
            height, width = image
            if picture.size != (width, height):
                picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BirealError(f"image {cell['path'] or ''} (row {position}) cannot be decoded: {_reason(error)}") from error
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def _reason(error: BaseException) -> str:
    """Return the first line of what an error says, or its type when it says nothing."""
    root = error.__cause__ or error
    return (str(root).strip() or type(root).__name__).splitlines()[0]


@contextmanager
def _offline() -> Iterator[None]:
    """Keep `datasets` and `huggingface_hub` off the network, and quiet, while local files are read."""
    import datasets
    import huggingface_hub

    settings = [(datasets.config, "HF_HUB_OFFLINE"), (huggingface_hub.constants, "HF_HUB_OFFLINE")]
    before = [getattr(owner, name) for owner, name in settings]
    datasets.disable_progress_bars()
    for owner, name in settings:
        setattr(owner, name, True)
    try:
        yield
    finally:
        for (owner, name), value in zip(settings, before, strict=True):
            setattr(owner, name, value)


@functools.cache
def _temporary_cache() -> str:
    """Return a folder for this process that is removed when it ends."""
    folder = tempfile.TemporaryDirectory(prefix="bireal-hw-")
    atexit.register(folder.cleanup)
    return folder.name
