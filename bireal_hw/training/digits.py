"""Handwritten digits, and the split of a data set that brings none; without torch, as hardware is checked with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE, LEVELS = 8, 16
"""Of the digits as scikit-learn has them: pixels of a side, and the value of white."""

SEED = 0
"""Of every choice of images: a data set is split in the same way in every run, whatever the run's own seed."""

Positions = NDArray[np.int64]


def digits(image: tuple[int, int], channels: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Return the 1,797 handwritten digits of scikit-learn (8x8, 0..16), scaled to the image size and 0..255.

    Args:
        image: (height, width) in pixels; scaled by bilinear interpolation.
        channels: all of them the same.

    Returns:
        Images (N, C, H, W), labels (N,) and the names of the classes.
    """
    from sklearn.datasets import load_digits

    raw: Any = load_digits()
    rows, columns = (_shares(size) for size in image)
    total = np.einsum("hi,nij,wj->nhw", rows, raw.images.astype(np.int64), columns, optimize=True)
    pixels = np.rint(total * 255 / (LEVELS * rows[0].sum() * columns[0].sum())).astype(np.uint8)
    return pixels[:, None].repeat(channels, axis=1), raw.target.astype(np.int64), tuple(map(str, raw.target_names))


def _shares(size: int) -> NDArray[np.int64]:
    """Return the shares (size, SIDE) that old pixels have in new ones, each row with the same sum.

    A pixel has its value in its middle; beyond the outermost middles the value stays. Integers only: the pixels are the
    same on every machine.
    """
    shares = np.zeros((size, SIDE), np.int64)
    for new in range(size):
        low, rest = divmod(max((2 * new + 1) * SIDE - size, 0), 2 * size)
        shares[new, low] += 2 * size - rest
        shares[new, min(low + 1, SIDE - 1)] += rest
    return shares


def divide(labels: NDArray[np.int64]) -> tuple[Positions, Positions]:
    """Split positions into (train, test): a fixed random fifth of every class, rounded up, goes to the test set.

    >>> train, test = divide(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]))
    >>> len(train), len(test)
    (8, 3)
    """
    shuffled, test = Shuffle(), np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        test[members[shuffled(len(members))[: -(-len(members) // 5)]]] = True
    return np.flatnonzero(~test), np.flatnonzero(test)


def held_back(image: tuple[int, int], channels: int, limit: int | None = None) -> NDArray[np.uint8]:
    """Return test images of `digits` (N, H, W, C), the same as `load_data` gives; with `limit` the same few of them."""
    images, labels, _ = digits(image, channels)
    _, test = divide(labels)
    return np.ascontiguousarray(images[test[choice(len(test), limit)]].transpose(0, 2, 3, 1))


def choice(count: int, limit: int | None) -> Positions:
    """Return the positions to keep: all, or a fixed random choice of `limit`, in order."""
    return np.arange(count) if limit is None or limit >= count else np.sort(Shuffle()(count)[:limit])


class Shuffle:
    """The permutations of `torch.randperm` with a generator of seed SEED, one after the other."""

    def __init__(self) -> None:
        self.random: Any = np.random.MT19937()
        self.random._legacy_seeding(SEED)

    def __call__(self, count: int) -> Positions:
        """Return a permutation of 0 to count - 1."""
        order = np.arange(count)
        for index, draw in enumerate(self.random.random_raw(max(count - 1, 0)).tolist()):
            other = index + draw % (count - index)
            order[index], order[other] = order[other], order[index]
        return order
