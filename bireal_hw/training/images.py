"""Labelled pictures that are decoded when asked for, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.preprocess import PictureError, middle, read_picture
from bireal_hw.training.augment import crop_box

if TYPE_CHECKING:
    from bireal_hw.preprocess import Box

BATCH = 256
REMEDY = "skip_broken=1 leaves such images out"


@dataclass(frozen=True)
class Picture:
    """A picture that is not decoded: a file, or its content, and what messages call it."""

    source: Path | IO[bytes]
    name: str


class Pictures(Protocol):
    """A sequence of pictures."""

    def __len__(self) -> int:
        """Return how many there are."""

    def read(self, positions: list[int]) -> list[Picture]:
        """Return those at some positions."""

    def select(self, positions: list[int]) -> Pictures:
        """Keep those at some positions."""


@dataclass(frozen=True)
class Labelled:
    """Pictures and the number of the class of each."""

    pictures: Pictures
    labels: list[int]


@dataclass(frozen=True)
class PictureSet:
    """A data set as it was found.

    class_names  in the order of their numbers
    train        to train on
    test         to evaluate on; None: nothing is set aside for it
    parts        what train and test are called there
    notes        what was left out, or is unusual, a sentence each
    """

    class_names: tuple[str, ...]
    train: Labelled
    test: Labelled | None
    parts: str = ""
    notes: tuple[str, ...] = ()


class LazyImages:
    """Images of one split that are decoded when asked for, for data that does not fit in memory.

    Indexed by a tensor of positions as a uint8 tensor (N, C, H, W) would be.
    """

    def __init__(self, pictures: Pictures, image: tuple[int, int], channels: int, view: float = 1.0) -> None:
        self.pictures, self.image, self.channels, self.view = pictures, image, channels, view
        self.shape = torch.Size((len(pictures), channels, *image))

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
        pictures = self.pictures.read(positions)

        def fill(slot: int) -> None:
            out[slot] = _decode(pictures[slot], self.image, self.channels, partial(box, slot))

        try:
            _spread(fill, len(positions))
        except BirealError as error:
            raise BirealError(f"{error}; {REMEDY}") from error
        return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()

    def broken(self) -> dict[int, str]:
        """Decode every image and return position and description of those where that fails."""
        found: dict[int, str] = {}
        for start in range(0, len(self), BATCH):
            pictures = self.pictures.read(list(range(start, min(start + BATCH, len(self)))))

            def check(slot: int, start: int = start, pictures: list[Picture] = pictures) -> None:
                try:
                    _decode(pictures[slot], (1, 1), self.channels, lambda width, height: (0, 0, 1, 1))
                except BirealError as error:
                    found[start + slot] = str(error)

            _spread(check, len(pictures))
        return dict(sorted(found.items()))

    def without(self, positions: Iterable[int]) -> LazyImages:
        """Return the images but for some."""
        gone = set(positions)
        kept = self.pictures.select([row for row in range(len(self)) if row not in gone])
        return LazyImages(kept, self.image, self.channels, self.view)


def _decode(picture: Picture, image: tuple[int, int], channels: int, box: Callable[[int, int], Box]) -> np.ndarray:
    """Decode a picture into uint8 (H, W, C): the box of its width and height, scaled to `image`."""
    try:
        return read_picture(picture.source, image, channels, box=box)
    except PictureError as error:
        raise BirealError(f"image {picture.name} cannot be decoded: {error}") from error


def _spread(work: Callable[[int], None], count: int) -> None:
    """Call `work` for 0 to count - 1 from as many threads as torch uses."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for first in [pool.submit(_each, work, range(first, count, threads)) for first in range(threads)]:
            first.result()


def _each(work: Callable[[int], None], slots: range) -> None:
    for slot in slots:
        work(slot)
