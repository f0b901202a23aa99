"""What data sets bring where the user does not say (no torch here)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bireal_hw.errors import unknown
from bireal_hw.training.augment import VIEW, Augment


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
