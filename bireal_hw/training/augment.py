"""Random geometry on batches of pixels; the results stay integers 0..255, as the hardware reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augment:
    """What may happen to a training image, drawn for each image on its own.

    shift: largest displacement, as a fraction of each side; whole: by whole pixels only, so no value changes.
    zoom: range of the visible field, 1 being the whole image. rotate: largest angle in degrees. flip: mirror half of
    the images left to right. What comes into view from outside is black (0).
    """

    shift: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    flip: bool = False
    whole: bool = False

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a batch.

        Args:
            images: uint8 (N, C, H, W).
            generator: source of all randomness, on the CPU.

        Returns:
            float32 (N, C, H, W), integers 0..255.
        """
        pixels = images.float()
        if self == Augment():
            return pixels
        count, _, height, width = images.shape
        draw = 2 * torch.rand(count, 4, generator=generator) - 1
        flip = torch.rand(count, generator=generator) < 0.5
        size = torch.tensor([width, height], dtype=torch.float32)
        shift = self.shift * draw[:, :2] * size
        shift = 2 * (shift.round() if self.whole else shift) / size  # pixels to the -1..1 of affine_grid
        low, high = self.zoom
        zoom = (low + high) / 2 + draw[:, 2] * (high - low) / 2
        angle = draw[:, 3] * math.radians(self.rotate)
        mirror = torch.where(flip, -1.0, 1.0) if self.flip else torch.ones(count)
        cosine, sine = zoom * angle.cos(), zoom * angle.sin()
        rows = [
            torch.stack([cosine * mirror, -sine * height / width, shift[:, 0]], 1),
            torch.stack([sine * mirror * width / height, cosine, shift[:, 1]], 1),
        ]
        theta = torch.stack(rows, 1).to(images.device)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(pixels, grid, mode="bilinear", align_corners=False).round_().clamp_(0, 255)
