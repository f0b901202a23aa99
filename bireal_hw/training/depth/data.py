"""Images with depth through one interface: rendered rooms, NYU-Depth-v2, folders with pairs of pictures.

Depth comes in metres, 0 where it is not known, and is never interpolated: a pixel of another size takes the depth of
the pixel that its middle falls into.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bireal_hw.errors import BirealError, unknown
from bireal_hw.models.depth import FAR, NEAR
from bireal_hw.preprocess import middle, reason, to_channels
from bireal_hw.training.data import IN_MEMORY_BYTES
from bireal_hw.training.depth.rooms import rooms
from bireal_hw.training.folders import IMAGE_SUFFIXES, TEST_NAMES
from bireal_hw.training.splits import subset
from bireal_hw.training.tables import load_hub, load_parquet

TEST_ROOMS = 200
NYU_SIZE, NYU_PART = (640, 480), (41, 45, 601, 471)
"""Width and height of a picture of NYU-Depth-v2; left, top, right and bottom of what has depth and is evaluated.

Source: Eigen et al., NeurIPS 2014, whose cut everybody after them takes.
"""

PAIRS = "rgb_N.* beside sync_depth_N.png, or image/NAME.* with depth/NAME.png"
MILLIMETRES = 1000.0


@dataclass(frozen=True)
class DepthDefaults:
    """What a data set brings when the user does not say.

    width         of the network
    image         (height, width) in pixels
    epochs        passes over the training images
    batch         images per step
    train_images  None: all
    hub           name on the Hugging Face hub; None: it has none
    """

    width: float
    image: tuple[int, int]
    epochs: int
    batch: int
    train_images: int | None = None
    hub: str | None = None


DATASETS = {
    "rooms": DepthDefaults(0.125, (64, 96), 15, 16, 2000),
    "nyu": DepthDefaults(1.0, (224, 288), 50, 16, hub="tanganke/nyuv2"),
    "folder": DepthDefaults(1.0, (224, 288), 50, 16),
}


def depth_defaults(dataset: str) -> DepthDefaults:
    """Return the defaults of a data set; raises BirealError for a name that is not in DATASETS."""
    if dataset not in DATASETS:
        raise unknown("data set of images with depth", dataset, DATASETS)
    return DATASETS[dataset]


class LazyPictures:
    """Pictures that `read` decodes when asked for; indexed as a tensor (N, C, H, W) would be."""

    def __init__(self, paths: list[Path], read: Callable[[Path], NDArray[Any]]) -> None:
        self.paths, self.read = paths, read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        chosen = torch.arange(len(self))[index].tolist()
        return torch.from_numpy(np.stack([self.read(self.paths[position]) for position in chosen]))


Pair = tuple[Tensor | LazyPictures, Tensor | LazyPictures]
"""images uint8 (N, 3, H, W), depth float32 (N, 1, H, W)"""


@dataclass(frozen=True)
class DepthData:
    """Images uint8 (N, 3, H, W) and, in place of labels, their depth float32 (N, 1, H, W) in metres; split for good.

    Depth is known where it lies from NEAR to FAR, in some pixel of every image. What does not fit in memory is decoded
    when asked for.
    """

    name: str
    train_images: Tensor | LazyPictures
    train_labels: Tensor | LazyPictures
    test_images: Tensor | LazyPictures
    test_labels: Tensor | LazyPictures
    image: tuple[int, int]
    channels: int = 3


def load_depth(
    dataset: str,
    data: Path | None = None,
    image: tuple[int, int] | None = None,
    train_images: int | None = None,
    cache: Path | None = None,
) -> DepthData:
    """Load a data set of DATASETS at the size that the network reads.

    Args:
        dataset: `rooms`, `nyu` or `folder`.
        data: folder with `train` and `test` (or val), both with pairs of pictures (PAIRS), depth as PNG of 16 bits in
            millimetres; for `nyu` it may hold parquet files as those of the hub. None: the hub.
        image: (height, width) in pixels; pictures are cut in the middle to that shape and scaled.
        train_images: take that many of the training images, always the same; None: the data set's default.
        cache: folder for the files that `datasets` writes; None takes a temporary one.

    Raises BirealError for an unknown data set, a folder that is missing or holds no pairs, a picture without partner,
    of another size than its partner or that cannot be decoded, depth that is known nowhere, more images than there are.
    """
    defaults = depth_defaults(dataset)
    image = image or defaults.image
    count = train_images or defaults.train_images
    if data is not None and not data.is_dir():
        raise BirealError(f"data={data} is not a folder: give one with train and test")
    if dataset == "rooms":
        if data is not None:
            raise BirealError(f"data set 'rooms' is rendered and reads no data={data}: use dataset=folder")
        assert count is not None
        train, test = _rendered(count, image, 0), _rendered(TEST_ROOMS, image, 1)
    elif dataset == "nyu" and (data is None or list(data.glob("*.parquet")) or list(data.glob("data/*.parquet"))):
        train, test = _tables(data, image, count, cache)
    elif data is None:
        raise BirealError("dataset=folder needs data=DIR, a folder with train and test")
    else:
        train, test = _folders(data, image, count, cut=dataset == "nyu")
    return DepthData(dataset, *train, *test, image)


def _rendered(count: int, image: tuple[int, int], series: int) -> Pair:
    images, depth = rooms(count, image, series)
    return torch.from_numpy(images), torch.from_numpy(depth)


# ---- files ----


def _folders(data: Path, image: tuple[int, int], count: int | None, cut: bool) -> tuple[Pair, Pair]:
    """Read `train`, `count` pairs of it, and the first of TEST_NAMES below a folder."""
    test = next((name for name in TEST_NAMES if (data / name).is_dir()), None)
    if test is None or not (data / "train").is_dir():
        raise BirealError(f"data={data} lacks the folder {'test (or val)' if test is None else 'train'}")
    pairs = find_pairs(data / "train")
    chosen = [pairs[row] for row in subset(torch.zeros(len(pairs)), count, str(data)).tolist()]
    return _from_files(chosen, image, cut), _from_files(find_pairs(data / test), image, cut)


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return the images below a folder with their depths, in the order of their names; other files do not count.

    Raises BirealError for a picture without partner, and a folder without pairs.
    """
    images: dict[Path, Path] = {}
    depths: dict[Path, Path] = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        numbered = re.fullmatch(r"(rgb|sync_depth)_(\d+)", path.stem)
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if numbered:
            (images if numbered[1] == "rgb" else depths)[place.parent / numbered[2]] = path
        elif place.parts[0] in ("image", "depth") and len(place.parts) > 1:
            key = Path(*place.parts[1:]).with_suffix("")
            (images if place.parts[0] == "image" else depths)[key] = path
    for have, lack, what in ((images, depths, "depth"), (depths, images, "image")):
        alone = next((path for key, path in have.items() if key not in lack), None)
        if alone:
            raise BirealError(f"{alone} has no {what}: {PAIRS}")
    if not images:
        raise BirealError(f"{folder} holds no images with depth: {PAIRS}")
    return [(images[key], depths[key]) for key in sorted(images)]


def _from_files(pairs: list[tuple[Path, Path]], image: tuple[int, int], cut: bool) -> Pair:
    """Return images and depths, decoded at once if they fit in memory; looks at every file's head."""
    for paths in pairs:
        sizes = [_opened(path, lambda picture: picture.size) for path in paths]
        if sizes[0] != sizes[1]:
            wide, deep = ("x".join(map(str, size)) for size in sizes)
            raise BirealError(f"{paths[0]} has {wide} pixels and its depth {paths[1]} {deep}: both must be the same")
    lazy = (
        LazyPictures([path for path, _ in pairs], partial(read_image, image=image, cut=cut)),
        LazyPictures([path for _, path in pairs], partial(read_depth, image=image, cut=cut)),
    )
    fits = len(pairs) * 7 * image[0] * image[1] <= IN_MEMORY_BYTES
    return (lazy[0][:], lazy[1][:]) if fits else lazy


def read_image(path: Path, image: tuple[int, int], cut: bool = False) -> NDArray[np.uint8]:
    """Decode a picture, cut it in the middle to the shape of `image` and scale it: uint8 (3, H, W).

    With `cut` a picture of NYU_SIZE first loses what is outside of NYU_PART.
    """
    height, width = image

    def decode(picture: Image.Image) -> NDArray[np.uint8]:
        inner = to_channels(picture, 3).crop(_part(picture.size, cut))
        box = middle(*inner.size, image, 1.0)
        scaled = inner.resize((width, height), Image.Resampling.BILINEAR, box)
        return np.ascontiguousarray(np.asarray(scaled, np.uint8).transpose(2, 0, 1))

    return _opened(path, decode)


def read_depth(path: Path, image: tuple[int, int], cut: bool = False) -> NDArray[np.float32]:
    """Decode a depth of 16 bits in millimetres as `read_image` does the picture: float32 (1, H, W), metres.

    Raises BirealError for other pixels, and where no depth is known.
    """

    def decode(picture: Image.Image) -> NDArray[np.float32]:
        if not picture.mode.startswith("I"):
            raise BirealError(f"depth {path} has pixels of type {picture.mode}: PNG of 16 bits, millimetres, is needed")
        inner = picture.crop(_part(picture.size, cut))
        return _sampled(np.asarray(inner), image) / np.float32(MILLIMETRES)

    return _with_depth(_opened(path, decode)[None], f"depth {path}")


def _opened(path: Path, work: Callable[[Image.Image], Any]) -> Any:
    try:
        with Image.open(path) as picture:
            return work(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BirealError(f"picture {path} cannot be decoded: {reason(error)}") from error


def _part(size: tuple[int, int], cut: bool) -> tuple[int, int, int, int]:
    """Return the box of a picture (width, height) that is used."""
    return NYU_PART if cut and size == NYU_SIZE else (0, 0, *size)


def _sampled(depth: NDArray[Any], image: tuple[int, int]) -> NDArray[np.float32]:
    """Cut a depth (h, w) in the middle, and take the pixels that those of the image have their middles in: (H, W)."""
    left, top, right, bottom = middle(depth.shape[1], depth.shape[0], image, 1.0)
    rows = top + (np.arange(image[0]) + 0.5) * (bottom - top) / image[0]
    columns = left + (np.arange(image[1]) + 0.5) * (right - left) / image[1]
    return depth[np.ix_(rows.astype(int), columns.astype(int))].astype(np.float32)


def _with_depth(depth: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    if not ((depth >= NEAR) & (depth <= FAR)).any():
        raise BirealError(f"{where} has no pixel from {NEAR:g} to {FAR:g} m")
    return depth


# ---- parquet files and the hub ----


def _tables(data: Path | None, image: tuple[int, int], count: int | None, cache: Path | None) -> tuple[Pair, Pair]:
    """Read parquet files, or the hub: `count` rows of the train split, and the test split."""
    where = str(data or DATASETS["nyu"].hub)
    splits = load_parquet(data, cache) if data else load_hub(where, "nyu", cache)
    test = next((name for name in TEST_NAMES if name in splits), None)
    if test is None:
        raise BirealError(f"data={data} has no parquet files of a test split, test-* or val-*")
    train = splits["train"]
    chosen = train.select(subset(torch.zeros(len(train)), count, where).tolist())
    return _from_rows(chosen, image, where), _from_rows(splits[test], image, where)


def _from_rows(split: Any, image: tuple[int, int], where: str) -> Pair:
    """Read the columns image, float32 (3, h, w) in 0..1, and depth, float32 (1, h, w) in metres."""
    lacking = [name for name in ("image", "depth") if name not in split.column_names]
    if lacking:
        raise BirealError(f"'{where}' has no column {lacking[0]}: it has {', '.join(split.column_names)}")
    images = torch.empty(len(split), 3, *image, dtype=torch.uint8)
    depths = torch.empty(len(split), 1, *image)
    height, width = image
    for row, cells in enumerate(split.select_columns(["image", "depth"]).with_format("numpy")):
        picture, depth = np.asarray(cells["image"]), np.asarray(cells["depth"])
        good = picture.ndim == depth.ndim == 3 and picture.shape == (3, *depth.shape[1:]) and depth.shape[0] == 1
        if not good or not (picture.min() >= 0 and picture.max() <= 1):
            raise BirealError(
                f"row {row} of '{where}' is not an image (3, h, w) in 0..1 with a depth (1, h, w): "
                f"image {picture.shape}, depth {depth.shape}"
            )
        box = middle(depth.shape[2], depth.shape[1], image, 1.0)
        whole = Image.fromarray(np.rint(255 * picture.transpose(1, 2, 0)).astype(np.uint8))
        scaled = np.array(whole.resize((width, height), Image.Resampling.BILINEAR, box))
        images[row] = torch.from_numpy(scaled).permute(2, 0, 1)
        depths[row] = torch.from_numpy(_with_depth(_sampled(depth[0], image)[None], f"row {row} of '{where}'"))
    return images, depths
