"""Data sets through one interface: labelled images as the hardware sees them, pixels 0..255.

`digits` ships with scikit-learn; everything else is read by Hugging Face `datasets`: parquet files or an image folder
on disk (`data=DIR`, never over the network), or a name on the hub.
"""

from __future__ import annotations

import atexit
import functools
import io
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.console import Console
from torch import Tensor

from bireal_hw.errors import BirealError, out_of_range, unknown
from bireal_hw.training.augment import VIEW, Augment, crop_box
from bireal_hw.training.digits import choice, digits, divide

TEST_NAMES = ("test", "validation", "valid", "val")
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
IN_MEMORY_BYTES = 2**30
"""Splits that decode to more than this stay on disk and are decoded batch by batch."""
BATCH = 256
HUB_SECONDS = 10
"""How long the hub may take to give a sign of life."""
REMEDY = "skip_broken=1 leaves such images out"

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels"""


@dataclass(frozen=True)
class DatasetDefaults:
    """What a data set brings when the user does not say.

    `classes` None means as many as the data has; `epochs` and `batch` None mean the recipe's; `view` is the part of
    the shorter side that evaluation looks at; `hub` is the name on the Hugging Face hub, None if there is none; `label`
    names the label column where several would fit.
    """

    width: float
    image: tuple[int, int]
    channels: int
    classes: int | None
    epochs: int | None
    batch: int | None
    augment: Augment
    hub: str | None = None
    label: str | None = None
    view: float = 1.0


DATASETS: dict[str, DatasetDefaults] = {
    "digits": DatasetDefaults(0.25, (16, 16), 1, 10, 30, 64, Augment(shift=0.1, zoom=(0.9, 1.1), rotate=10.0)),
    "cifar10": DatasetDefaults(
        1.0, (32, 32), 3, 10, 100, 128, Augment(shift=0.125, whole=True, flip=True), "uoft-cs/cifar10"
    ),
    "mnist": DatasetDefaults(
        0.25, (32, 32), 1, 10, 10, 128, Augment(shift=0.1, zoom=(0.9, 1.1), rotate=10.0), "ylecun/mnist"
    ),
    "folder": DatasetDefaults(1.0, (224, 224), 3, None, None, None, Augment(crop="resized", flip=True), view=VIEW),
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

    def __init__(self, rows: Any, column: str, image: tuple[int, int], channels: int, view: float = 1.0) -> None:
        self.rows, self.column, self.image, self.channels, self.view = rows, column, image, channels, view
        self.shape = torch.Size((len(rows), channels, *image))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Decode the images at `index` into uint8 (len(index), C, H, W), each cropped in the middle."""
        return self._read(index, lambda slot, width, height: middle(width, height, self.image, self.view))

    def cropped(self, index: Tensor, kind: str, draws: np.ndarray) -> Tensor:
        """Decode the images at `index` into uint8 (len(index), C, H, W), each cropped at random (`crop_box`).

        Args:
            index: positions, int64 (n,).
            kind: of the crop.
            draws: (4, n) uniform in 0..1.
        """
        ratio = self.image[1] / self.image[0]
        return self._read(index, lambda slot, width, height: crop_box(kind, width, height, ratio, draws[:, slot]))

    def _read(self, index: Tensor | slice, box: Callable[[int, int, int], Box]) -> Tensor:
        positions = torch.arange(len(self))[index].tolist()
        out = np.empty((len(positions), *self.image, self.channels), np.uint8)
        cells = self._cells(positions)

        def fill(slot: int) -> None:
            out[slot] = _decode(cells[slot], positions[slot], self.image, self.channels, partial(box, slot))

        try:
            _spread(fill, len(positions))
        except BirealError as error:
            raise BirealError(f"{error}; {REMEDY}") from error
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()

    def broken(self) -> dict[int, str]:
        """Decode every image and return position and description of those where that fails."""
        found: dict[int, str] = {}
        for start in range(0, len(self), BATCH):
            positions = list(range(start, min(start + BATCH, len(self))))
            cells = self._cells(positions)

            def check(slot: int, start: int = start, cells: list[dict[str, Any]] = cells) -> None:
                try:
                    _decode(cells[slot], start + slot, (1, 1), self.channels, lambda width, height: (0, 0, 1, 1))
                except BirealError as error:
                    found[start + slot] = str(error)

            _spread(check, len(positions))
        return dict(sorted(found.items()))

    def without(self, positions: Iterable[int]) -> LazyImages:
        """Return the images but for some."""
        gone = set(positions)
        rows = self.rows.select([row for row in range(len(self)) if row not in gone])
        return LazyImages(rows, self.column, self.image, self.channels, self.view)

    def _cells(self, positions: list[int]) -> list[dict[str, Any]]:
        return self.rows.select(positions).with_format("arrow")[:][self.column].to_pylist()  # one read, not one a cell


def _spread(work: Callable[[int], None], count: int) -> None:
    """Call `work` for 0 to count - 1 from as many threads as torch uses."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for first in [pool.submit(_each, work, range(first, count, threads)) for first in range(threads)]:
            first.result()


def _each(work: Callable[[int], None], slots: range) -> None:
    for slot in slots:
        work(slot)


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

    Without a test split (test, validation, valid, val), a fifth of each class becomes one, always the same.

    Raises BirealError for an unknown data set, a folder that is missing or holds no images, columns that are missing or
    ambiguous, a class count that differs, a broken image, and more training images than there are.
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
        loaded = _digits(image, channels, limit, train_images)
    else:
        loaded = _hugging_face(dataset, data, image, channels, limit, cache, skip_broken, train_images, local)
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
    train, test = divide(labels.numpy())
    return torch.from_numpy(train), torch.from_numpy(test)


def subset(labels: Tensor, count: int | None, dataset: str) -> Tensor:
    """Return the positions of `count` images, in order; all if None.

    Classes have equally many as far as they go, to within one; the choice is always the same, and that of a smaller
    count lies within that of a larger one. Raises BirealError if there are not so many.

    >>> labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    >>> sorted(labels[subset(labels, 5, "letters")].tolist())
    [0, 0, 1, 1, 2]
    """
    if count is None:
        return torch.arange(len(labels))
    if count > len(labels):
        raise out_of_range("train_images", count, f"data set '{dataset}' has {len(labels)} training images")
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    place = torch.empty(len(labels))  # of each image among those of its class
    for label in labels.unique():
        members = labels[order] == label
        place[members] = torch.arange(int(members.sum())).float()
    return order[place.argsort(stable=True)[:count]].sort().values


def _limited(count: int, limit: int | None) -> Tensor:
    """Return the positions to keep: all, or a fixed random choice of `limit`."""
    return torch.from_numpy(choice(count, limit))


def _digits(image: tuple[int, int], channels: int, limit: int | None, train_images: int | None) -> Data:
    """Return the 1,797 handwritten digits of scikit-learn (8x8, 0..16), scaled to the image size and 0..255."""
    pixels, digit, names = digits(image, channels)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(digit)
    train, test = split_indices(labels)
    train, test = train[_limited(len(train), limit)], test[_limited(len(test), limit)]
    train = train[subset(labels[train], train_images, "digits")]
    return Data("digits", images[train], labels[train], images[test], labels[test], names, image, channels)


# ---- Hugging Face datasets ----


def _hugging_face(
    dataset: str,
    data: Path | None,
    image: tuple[int, int],
    channels: int,
    limit: int | None,
    cache: Path | None,
    skip_broken: bool,
    train_images: int | None,
    local: bool,
) -> Data:
    """Load parquet files, an image folder, or a hub name."""
    defaults = dataset_defaults(dataset)
    if data is not None:
        splits = load_local(Path(data), cache)
        where = str(data)
    elif dataset == "folder":
        raise BirealError("data set 'folder' needs data=DIR, a folder with parquet files or one subfolder per class")
    else:
        where = defaults.hub or dataset
        splits = load_hub(where, dataset, cache, local)

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
    broken: list[str] = []
    for name, (split, positions) in rows.items():
        positions = positions[_limited(len(positions), limit)]
        if name == "train":
            positions = positions[subset(labels[name][positions], train_images, dataset)]
        view = defaults.view if name == "test" else 1.0
        chosen = _undecoded(split.select(positions.tolist()), image_column)
        lazy, kept = LazyImages(chosen, image_column, image, channels, view), labels[name][positions]
        if skip_broken and (found := lazy.broken()):
            broken += found.values()
            kept = kept[[row for row in range(len(lazy)) if row not in found]]
            lazy = lazy.without(found)
        if len(lazy) == 0:
            raise BirealError(f"the {name} split of '{where}' holds no images")
        small = len(lazy) * channels * image[0] * image[1] <= IN_MEMORY_BYTES
        parts += [_decoded(lazy, name) if small else lazy, kept]
    seen_images, seen_labels, test_images, test_labels = parts
    return Data(dataset, seen_images, seen_labels, test_images, test_labels, names, image, channels, tuple(broken))


def _decoded(images: LazyImages, split: str) -> Tensor:
    """Decode all images of a split; if some cannot be, the error says how many."""
    try:
        return images[:]
    except BirealError as error:
        broken = list(images.broken().values())
        if not broken:
            raise
        count = f"; in all {len(broken)} of {len(images)} {split} images" if len(broken) > 1 else ""
        raise BirealError(f"{broken[0]}{count}; {REMEDY}") from error


def load_local(folder: Path, cache: Path | None) -> dict[str, Any]:
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

    with _offline(), _without_chatter():
        try:
            loaded = datasets.load_dataset(
                builder, data_files={split: [str(path) for path in paths] for split, paths in files.items()},
                cache_dir=str(cache or _temporary_cache()),
            )  # fmt: skip
        except Exception as error:  # datasets raises many types; each means unreadable files
            raise BirealError(f"cannot read {builder} files in data={folder}: {reason(error)}") from error
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


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep the libraries' own lines about retries and broken files back: what went wrong is said in one."""
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub", "httpx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def load_hub(name: str, dataset: str, cache: Path | None, local: bool = False) -> dict[str, Any]:
    """Load a data set by its name on the hub, from its local cache if it has been fetched before or `local` asks so."""
    import datasets

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    silent = None if local else _silence()
    if not local and not silent:
        console.print(f"reading data set '{dataset}' ({name}) from the Hugging Face hub")
    try:
        with _offline() if local or silent else _with_progress(console.is_terminal), _without_chatter():
            loaded = datasets.load_dataset(name, cache_dir=str(cache) if cache else None)
    except Exception as error:  # connection, permission and format errors of several libraries
        raise BirealError(
            f"cannot load data set '{dataset}' ({name}) from the Hugging Face hub: {silent or reason(error)}; "
            "or give data=DIR"
        ) from error
    test = next((split for split in TEST_NAMES if split in loaded), None)
    if "train" not in loaded:
        raise BirealError(f"data set '{name}' has no train split; it has {', '.join(map(str, loaded))}")
    return {"train": loaded["train"], **({"test": loaded[test]} if test else {})}


def _silence() -> str | None:
    """Ask the hub for a sign of life; return what is wrong, None if it answers.

    The libraries try for more than a minute without a word, and looking up a name keeps to no time limit.
    """
    from huggingface_hub import constants, get_session

    said: list[str | None] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
            said.append(None)
        except Exception as error:  # those of the HTTP library, a proxy, TLS
            said.append(f"{constants.ENDPOINT} cannot be reached ({reason(error)})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return said[0] if said else f"{constants.ENDPOINT} does not answer within {HUB_SECONDS} s"


@contextmanager
def _with_progress(shown: bool) -> Iterator[None]:
    """Show the libraries' progress bars for a while, or not."""
    import datasets

    if shown:
        datasets.enable_progress_bars()
    try:
        yield
    finally:
        datasets.disable_progress_bars()


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


def middle(width: int, height: int, image: tuple[int, int], view: float) -> Box:
    """Return the box in the middle of an image that has the shape of the network's and `view` of the largest side."""
    if (height, width) == image:
        return 0, 0, width, height
    ratio = image[1] / image[0]
    wide = view * min(width, height * ratio)
    high = min(wide / ratio, height)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, min(left + wide, width), min(top + high, height)


def _decode(
    cell: dict[str, Any], position: int, image: tuple[int, int], channels: int, box: Callable[[int, int], Box]
) -> np.ndarray:
    """Decode one {bytes, path} cell into uint8 (H, W, C): the box of its width and height, scaled to `image`."""
    source = cell["path"] if cell["bytes"] is None else io.BytesIO(cell["bytes"])
    try:
        with Image.open(source) as opened:
            picture = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
            height, width = image
            place = box(*picture.size)
            if picture.size != (width, height) or place != (0, 0, width, height):
                picture = picture.resize((width, height), Image.Resampling.BILINEAR, place)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BirealError(f"image {cell['path'] or ''} (row {position}) cannot be decoded: {reason(error)}") from error
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def reason(error: BaseException) -> str:
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
