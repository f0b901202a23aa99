"""The images that a network is checked with: its data set's test images, or random ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from bireal_hw.errors import BirealError, out_of_range
from bireal_hw.ir.graph import Graph
from bireal_hw.run.network import Values, from_zoo
from bireal_hw.tools import lacks
from bireal_hw.training.defaults import dataset_defaults

if TYPE_CHECKING:
    from bireal_hw.training.data import Data

DEFAULT_IMAGES = 4
"""Images that are simulated unless `images=` says otherwise."""
RANDOM = "random"


def view_of(values: Values) -> float:
    """Return the part of a picture that the evaluation of a network looks at."""
    dataset = (from_zoo(values) or values)["dataset"]
    return dataset_defaults(dataset).view if dataset else 1.0


def images_for(values: Values, graph: Graph, count: int, or_fewer: bool = False) -> tuple[NDArray[np.uint8], str]:
    """Return `count` images (N, H, W, C) in 0..255 of the graph's shape, and where they come from.

    A trained network gets test images of its data set, with `or_fewer` all if there are not so many. An untrained one,
    and a QONNX file without `dataset=`, gets random images of the run's seed; so does a network of the zoo, and a line
    says so, where its data set is neither in `data=` nor on this machine.

    Raises:
        BirealError: the data set has fewer test images, or cannot be read.
    """
    found = None if values["untrained"] else _images(values, graph, count)
    if found is None:
        return random_images(graph.input.shape, count, values["seed"]), RANDOM
    images, name = found
    if not or_fewer:
        check_count(count, len(images), name)
    return images, f"{name} test images"


def check_count(count: int, there: int, name: str) -> None:
    """Raise BirealError if a data set has fewer test images than are asked for."""
    if there < count:
        raise out_of_range("images", count, f"data set '{name}' has {there} test images")


def _images(values: Values, graph: Graph, count: int) -> tuple[NDArray[np.uint8], str] | None:
    """Load a few images of the network's data set; None if it has none, or it is that of the zoo and not here."""
    if values["dataset"] is not None:
        return of_dataset(values, graph.input.shape, count)
    if (packed := from_zoo(values)) is None:
        return None
    try:
        return of_dataset(values | {"dataset": packed["dataset"]}, graph.input.shape, count, local=True)
    except (BirealError, ModuleNotFoundError) as error:
        if values["data"]:
            raise
        if isinstance(error, ModuleNotFoundError) and error.name:
            error = lacks(f"data set '{packed['dataset']}'", error.name, work=("train",))
        Console(soft_wrap=True, highlight=False).print(f"{values['file']}: random images: {error}", markup=False)
        return None


def of_dataset(
    values: Values, shape: tuple[int, int, int], count: int, local: bool = False
) -> tuple[NDArray[np.uint8], str]:
    """Load test images (N, H, W, C) of the data set and its name; digits are read without torch."""
    *image, channels = shape
    if values["dataset"] == "digits" and values["data"] is None and channels in (1, 3):
        from bireal_hw.training.digits import held_back

        return held_back((image[0], image[1]), channels, count), "digits"
    data = load_dataset(values, shape, count, local)
    return to_pixels(data.test_images[:]), data.name


def load_dataset(values: Values, shape: tuple[int, int, int], limit: int | None = None, local: bool = False) -> Data:
    """Load the network's data set at an image's (height, width, channels); with `limit` a few images of each split.

    With `local` it is not fetched from the hub.
    """
    from bireal_hw.training.data import load_data

    height, width, channels = shape
    folder = Path(values["data"]) if values["data"] else None
    return load_data(
        values["dataset"], folder, (height, width), channels, limit=limit, skip_broken=bool(values["skip_broken"]),
        local=local, label=values.get("label"), image_column=values.get("image_column"),
    )  # fmt: skip


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
