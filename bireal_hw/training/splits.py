"""Which images are trained on, and which are for testing."""

from __future__ import annotations

import torch
from torch import Tensor

from bireal_hw.errors import out_of_range
from bireal_hw.training.digits import SEED, choice, divide


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
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    place = torch.empty(len(labels))  # of each image among those of its class
    for label in labels.unique():
        members = labels[order] == label
        place[members] = torch.arange(int(members.sum())).float()
    return order[place.argsort(stable=True)[:count]].sort().values


def limited(count: int, limit: int | None) -> Tensor:
    """Return the positions to keep: all, or a fixed random choice of `limit`."""
    return torch.from_numpy(choice(count, limit))
