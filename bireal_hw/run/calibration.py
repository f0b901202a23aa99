"""The images from which the ranges of a file of others are learnt: a folder of pictures, an array, a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.lowering import Options
from bireal_hw.run.images import of_dataset
from bireal_hw.run.network import Values

COUNT = 64
"""Images that are taken at most: ranges change little with more."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def options_of(values: Values) -> Options:
    """Return how the file of a run is read: its pixels, and the images from which ranges are learnt.

    `calibration=` names them; without it they are images of the data set, or made up where there is none.
    """
    path, dataset = values.get("calibration"), values.get("dataset") if values.get("file") else None
    if path:
        return Options(values.get("pixels"), lambda shape: calibration_images(Path(path), shape))
    if dataset:
        return Options(values.get("pixels"), lambda shape: of_dataset(values, shape, COUNT)[0])
    return Options(values.get("pixels"))


def calibration_images(path: Path, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    """Read images for a network of (height, width, channels).

    Args:
        path: a folder of pictures, which are cut and scaled as for the network's accuracy; or a file .npy or .npz with
            (N, H, W, C) uint8 pixels or (N, C, H, W) numbers as the network reads them.
        shape: of an image.

    Raises:
        BirealError: there are none, or one cannot be read.
    """
    if path.is_dir():
        return _pictures(path, shape)
    if path.suffix not in (".npy", ".npz"):
        raise BirealError(f"calibration={path} is not understood: give a folder of pictures, or a file .npy or .npz")
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BirealError(f"calibration={path} cannot be read: {' '.join(str(error).split())}") from error
    if isinstance(found, np.lib.npyio.NpzFile):
        if len(found.files) != 1:
            raise BirealError(f"calibration={path} holds {', '.join(found.files)}: give a file with one array")
        found = found[found.files[0]]
    if found.dtype.kind not in "iuf":
        raise BirealError(f"calibration={path} holds {found.dtype}: give numbers")
    return np.asarray(found[:COUNT])


def _pictures(folder: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    from bireal_hw.preprocess import PictureError, read_picture  # needs Pillow, as nothing else does that reads a file

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not paths:
        raise BirealError(f"calibration={folder} holds no picture: give a folder with {', '.join(PICTURES)}")
    height, width, channels = shape
    step = max(1, len(paths) // COUNT)
    found = []
    for path in paths[::step][:COUNT]:
        try:
            found.append(read_picture(path, (height, width), channels))
        except PictureError as error:
            raise BirealError(f"calibration={folder}: {path.relative_to(folder)} cannot be read: {error}") from error
    return np.stack(found)
