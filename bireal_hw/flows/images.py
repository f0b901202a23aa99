"""The images that a network is checked with: its data set's test images, or random ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.flows.network import Values, from_zoo
from bireal_hw.ir.graph import Graph

if TYPE_CHECKING:
    from bireal_hw.training.data import Data

RANDOM = "random"


def images_for(values: Values, graph: Graph, count: int, or_fewer: bool = False) -> tuple[NDArray[np.uint8], str]:
    """Return `count` images (N, H, W, C) in 0..255 of the graph's shape, and where they come from.

    A trained network gets test images of its data set, with `or_fewer` all if there are not so many. An untrained one,
    and a QONNX file without `dataset=`, gets random images of the run's seed; so does a network of the zoo, and a line
    says so, where its data set is neither in `data=` nor on this machine.

    Raises:
        BirealError: the data set has fewer test images, or cannot be read.
    """
    data = None if values["untrained"] else _data(values, graph, count)
    if data is None:
        return random_images(graph.input.shape, count, values["seed"]), RANDOM
    images = to_pixels(data.test_images[:])
    if len(images) < count and not or_fewer:
        raise out_of_range("images", count, f"data set '{data.name}' has {len(images)} test images")
    return images, f"{data.name} test images"


def _data(values: Values, graph: Graph, count: int) -> Data | None:
    """Load a few images of the network's data set; None if it has none, or it is that of the zoo and not here."""
    if values["dataset"] is not None:
        return dataset_of(values, graph, count)
    if (packed := from_zoo(values)) is None:
        return None
    try:
        return dataset_of(values | {"dataset": packed["dataset"]}, graph, count, local=True)
    except (BirealError, ModuleNotFoundError) as error:
        if values["data"]:
            raise
        Console(soft_wrap=True, highlight=False).print(f"{values['file']}: random images: {error}", markup=False)
        return None


def dataset_of(values: Values, graph: Graph, limit: int | None = None, local: bool = False) -> Data:
    """Load the network's data set at the graph's image shape; with `limit` the same few images of each split.

    With `local` it is not fetched from the hub.
    """
    from bireal_hw.training.data import load_data

    height, width, channels = graph.input.shape
    folder = Path(values["data"]) if values["data"] else None
    skip = bool(values["skip_broken"])
    return load_data(values["dataset"], folder, (height, width), channels, limit=limit, skip_broken=skip, local=local)


def to_pixels(images: Any) -> NDArray[np.uint8]:
    """Turn training's images, a uint8 tensor (N, C, H, W) of torch, into the hardware's (N, H, W, C)."""
    return np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))


def random_images(shape: tuple[int, int, int], count: int, seed: int) -> NDArray[np.uint8]:
    """Draw `count` images (H, W, C) of 8x8 patches under noise; the same seed gives the same images."""
    height, width, channels = shape
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 200, (count, -(-height // 8), -(-width // 8), channels))
    patches = patches.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    return (patches + generator.integers(0, 56, patches.shape)).astype(np.uint8)
