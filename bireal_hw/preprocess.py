"""From a picture to the pixels that a network reads: one way for training, evaluation, and the host of a board.

The file stands alone (numpy and Pillow, nothing of bireal_hw), so that it can lie beside a host script. A board's image
may be years old: NumPy from 1.17 and Pillow from 7.0 on will do, those of Ubuntu 20.04.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray  # which NumPy has from 1.20 on

    Box = tuple[float, float, float, float]
    """left, top, right, bottom in pixels"""

BILINEAR = 2
"""Pillow's number of it, whose name has moved with version 9.1."""
BACKGROUND = 255
"""What shows through where a picture is transparent: white, as where pictures are shown."""


class PictureError(ValueError):
    """A picture cannot be read; the text is one line without the name of the file."""


def middle(width: int, height: int, image: tuple[int, int], view: float) -> Box:
    """Return the box in the middle of a picture that has the shape of the network's image and `view` of the largest.

    >>> middle(160, 90, (32, 32), 1.0)
    (35.0, 0.0, 125.0, 90.0)
    """
    if (height, width) == image:
        return 0, 0, width, height
    ratio = image[1] / image[0]
    wide = view * min(width, height * ratio)
    high = min(wide / ratio, height)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, min(left + wide, width), min(top + high, height)


def read_picture(
    source: str | Path | IO[bytes],
    image: tuple[int, int],
    channels: int,
    view: float = 1.0,
    box: Callable[[int, int], Box] | None = None,
) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, C) with values 0..255.

    It is turned as its EXIF entry says; transparent parts become white; 16 bits become their upper 8; other kinds of
    pixels become gray or RGB. Then the box in the middle is scaled to the image, bilinear with antialiasing.

    Args:
        source: a file, or its name.
        image: (height, width) that the network reads.
        channels: 1 (gray) or 3 (RGB).
        view: share of the largest box in the middle that is looked at.
        box: gives the box for a width and a height, in place of the middle.

    Raises PictureError for what is no picture, is broken, or has pixels without a range (floating point, 32 bits).
    """
    height, width = image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(source)
        with opened:
            wide = opened.mode == "I" and opened.format == "PNG"  # as older versions of Pillow read 16 bits
            picture = to_channels(ImageOps.exif_transpose(opened), channels, wide)
        place = box(*picture.size) if box else middle(*picture.size, image, view)
        if picture.size != (width, height) or place != (0, 0, width, height):
            picture = picture.resize((width, height), BILINEAR, place)
    except UnidentifiedImageError as error:
        raise PictureError("it is no picture of a kind that Pillow knows") from error
    except Exception as error:  # Pillow raises many types; each means that the file cannot be read
        raise PictureError(reason(error)) from error
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def to_channels(picture: Image.Image, channels: int, wide: bool = False) -> Image.Image:
    """Turn any pixels into 8 bits gray (1 channel) or RGB (3); `wide` says that those of 32 bits hold 0..65535.

    Raises PictureError for pixels whose range is not known.
    """
    wanted = "L" if channels == 1 else "RGB"
    if picture.mode.startswith("I;16") or wide:
        picture = Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        kind = "32 bits" if picture.mode == "I" else "floating point"
        raise PictureError(f"its pixels are of {kind}, which have no range: save it with 8 or 16 bits")
    if is_transparent(picture):
        colours = picture.convert("RGBA")
        behind = Image.new("RGBA", colours.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        picture = Image.alpha_composite(behind, colours).convert("RGB")
    if picture.mode not in ("L", "RGB", "1"):
        picture = picture.convert("RGB")
    return picture.convert(wanted)


def is_transparent(picture: Image.Image) -> bool:
    """Return whether parts of a picture may be transparent, as Pillow from 10.1 on knows itself."""
    palette = picture.palette.mode if picture.mode == "P" and picture.palette else ""
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info or palette == "RGBA"


def reason(error: BaseException) -> str:
    """Return the first line of what an error says, or its type when it says nothing."""
    root = error.__cause__ or error
    return (str(root).strip() or type(root).__name__).splitlines()[0]
