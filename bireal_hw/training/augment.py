"""Random geometry on batches of pixels; the results stay integers 0..255, as the hardware reads them.

torch is imported where it computes, so that what a data set brings can be read without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
"""Of a `resized` crop: part of the image's area, and its width / height in proportion to the network's image."""

VIEW = 224 / 256
"""Of a crop at a random `place`, and of the middle that evaluation looks at: part of the shorter side."""


def crop_box(kind: str, width: Any, height: Any, ratio: float, draw: Any) -> tuple[Any, Any, Any, Any]:
    """Return a random box (left, top, right, bottom) in pixels inside of an image; arrays give a box each.

    Args:
        kind: `resized` or `place`.
        width: of the image.
        height: of the image.
        ratio: width / height of the network's image.
        draw: (4, ...) uniform in 0..1.
    """
    if kind == "resized":
        area = width * height * (AREA[0] + draw[0] * (AREA[1] - AREA[0]))
        aspect = ratio * np.exp(math.log(ASPECT[0]) + draw[1] * math.log(ASPECT[1] / ASPECT[0]))
        wide, high = np.minimum(np.sqrt(area * aspect), width), np.minimum(np.sqrt(area / aspect), height)
    else:
        wide = VIEW * np.minimum(width, height * ratio) + 0 * draw[0]
        high = wide / ratio
    left, top = draw[2] * (width - wide), draw[3] * (height - high)
    return left, top, np.minimum(left + wide, width), np.minimum(top + high, height)


@dataclass(frozen=True)
class Augment:
    """What may happen to a training image, drawn for each image on its own.

    shift: largest displacement, as a fraction of each side; whole: by whole pixels only, so no value changes.
    zoom: range of the visible field, 1 being the whole image. rotate: largest angle in degrees. flip: mirror half of
    the images left to right. crop: "resized" or "place", see `crop_box`; images that are decoded batch by batch are
    cropped then, out of the whole file. What comes into view from outside is black (0).
    """

    shift: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    flip: bool = False
    whole: bool = False
    crop: str = ""

    def __call__(self, images: Tensor, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> Tensor:
        """Transform a batch.

        Args:
            images: uint8 (N, C, H, W).
            generator: source of all randomness, on the CPU.
            part: (i, n): the images are the i-th, (i+n)-th ... of a batch n times as large, and get what they do there.

        Returns:
            float32 (N, C, H, W), integers 0..255.
        """
        import torch
        import torch.nn.functional as F

        pixels = images.float()
        if self == Augment():
            return pixels
        count, _, height, width = images.shape
        index, parts = part
        draw = 2 * torch.rand(count * parts, 4, generator=generator)[index::parts] - 1
        flip = torch.rand(count * parts, generator=generator)[index::parts] < 0.5
        size = torch.tensor([width, height], dtype=torch.float32)
        shift = self.shift * draw[:, :2] * size
        shift = 2 * (shift.round() if self.whole else shift) / size  # pixels to the -1..1 of affine_grid
        low, high = self.zoom
        zoom = (low + high) / 2 + draw[:, 2] * (high - low) / 2
        angle = draw[:, 3] * math.radians(self.rotate)
        mirror = torch.where(flip, -1.0, 1.0) if self.flip else torch.ones(count)
        cosine, sine = zoom * angle.cos(), zoom * angle.sin()
        horizontal = vertical = torch.ones(count)
        if self.crop:
            box = crop_box(self.crop, width, height, width / height, draw_crops(count, generator, part))
            left, top, right, bottom = (torch.as_tensor(edge, dtype=torch.float32) for edge in box)
            horizontal, vertical = (right - left) / width, (bottom - top) / height
            shift = shift + torch.stack([(left + right) / width - 1, (top + bottom) / height - 1], 1)
        rows = [
            torch.stack([cosine * mirror * horizontal, -sine * vertical * height / width, shift[:, 0]], 1),
            torch.stack([sine * mirror * horizontal * width / height, cosine * vertical, shift[:, 1]], 1),
        ]
        theta = torch.stack(rows, 1).to(images.device)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(pixels, grid, mode="bilinear", align_corners=False).round_().clamp_(0, 255)


def shrunk(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale pixels (N, C, H, W) to (height, width), bilinear with antialiasing, to integers; uint8 stays uint8."""
    import torch.nn.functional as F

    if tuple(images.shape[2:]) == size:
        return images
    scaled = F.interpolate(images.float(), size, mode="bilinear", antialias=True).round_().clamp_(0, 255)
    return scaled.to(images.dtype)


def draw_crops(count: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Draw what `crop_box` needs for `count` images, (4, count) uniform in 0..1; `part` as in `Augment`."""
    import torch

    index, parts = part
    draws: np.ndarray = torch.rand(count * parts, 4, generator=generator)[index::parts].double().numpy().T
    return draws
