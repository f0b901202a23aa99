"""What a stored pixel stands for: as a user says it, and as a network's info keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.lowering.grid import Floats

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of RGB that torchvision's networks are trained with, of pixels divided by 255."""
WORDS = "stored (0..255), 0..1, -1..1 or any LOW..HIGH, or imagenet"
"""What `pixels=` may be."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """What a stored pixel p (0..255) stands for: the file reads scale * p + offset.

    Attributes:
        scale, offset: (C,) per channel.
        why: how that is known, in words.
    """

    scale: Floats
    offset: Floats
    why: str

    @property
    def stored(self) -> bool:
        """Whether the file reads pixels as they are stored."""
        return bool(np.all(self.scale == 1) and not np.any(self.offset))

    def of(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, H, W, C) stored pixels as the file reads them, (N, C, H, W)."""
        return (images * self.scale + self.offset).transpose(0, 3, 1, 2).astype(np.float32)

    def nearest(self, x: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The nearest stored pixels (N, H, W, C) of what the file reads, (N, C, H, W)."""
        p = (np.asarray(x, np.float64).transpose(0, 2, 3, 1) - self.offset) / self.scale
        return np.clip(np.round(p), 0, 255).astype(np.uint8)

    def about(self) -> dict[str, object]:
        """As a graph's info keeps it; nothing where the file reads pixels as they are stored."""
        if self.stored:
            return {}
        return {"pixels": {"scale": self.scale.tolist(), "offset": self.offset.tolist(), "why": self.why}}


def of_info(info: Mapping[str, Any], channels: int) -> Pixels:
    """Return what a graph's info keeps."""
    kept = info.get("pixels") or {"scale": [1.0] * channels, "offset": [0.0] * channels, "why": "as they are stored"}
    return Pixels(np.array(kept["scale"]), np.array(kept["offset"]), str(kept["why"]))


def span(low: float, high: float, channels: int, why: str) -> Pixels:
    """Pixels of which 0 stands for `low` and 255 for `high`."""
    return Pixels(np.full(channels, (high - low) / 255), np.full(channels, low), why)


def parse(text: str, channels: int) -> Pixels:
    """Read what a user says; raises BirealError, telling what may be said.

    >>> parse("0..1", 3).offset.tolist(), parse("stored", 1).stored
    ([0.0, 0.0, 0.0], True)
    """
    if text == "stored":
        return Pixels(np.ones(channels), np.zeros(channels), "pixels=stored")
    if text == "imagenet":
        if channels != 3:
            raise BirealError(f"pixels=imagenet is for RGB; the file reads {channels} channels: choose LOW..HIGH")
        mean, deviation = (np.array(one) for one in IMAGENET)
        return Pixels(1 / (255 * deviation), -mean / deviation, "pixels=imagenet")
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)", text)
    if not match or float(match[1]) >= float(match[2]):
        raise BirealError(f"pixels={text} is not understood: choose from {WORDS}")
    return span(float(match[1]), float(match[2]), channels, f"pixels={text}")
