"""The stem `whitened` of a stage: a first convolution whose filters are the directions that images vary in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bireal_hw.training.depth.data import LazyPictures
from bireal_hw.training.images import LazyImages

Images = Tensor | LazyImages | LazyPictures
"""Indexed by positions: uint8 (n, C, H, W)"""

IMAGES, CHUNK = 1000, 10
"""So many training images at most, spread evenly over them, are looked at, and so many at once."""
FLAT = 1e-4
"""Added to every variance, as a share of the largest: a direction in which little varies is noise to amplify."""
PIXEL = 128
"""The value that counts 1, as in the network; images vary by one step of 256 at least, or are taken to."""


def first_conv(model: nn.Module) -> nn.Conv2d:
    """Return the first convolution of a network, which reads its pixels."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def whiten(conv: nn.Conv2d, images: Tensor) -> None:
    """Set the filters of a convolution to the whitening of its input (airbench; Jordan 2024).

    They are the eigenvectors of the covariance of the pixels under it, of the largest variances first, each divided by
    its standard deviation: what they give inside an image is uncorrelated, and of variance 1 where pixels count 1/128
    and vary by much. Behind the C*kH*kW eigenvectors come their negatives; filters beyond both stay as they are.

    Args:
        conv: weights (O, C, kH, kW).
        images: uint8 (N, C, H, W), on the CPU.
    """
    size = conv.weight[0].numel()
    total, product, count = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64), 0
    for some in images.split(CHUNK):
        pixels = some.double() / PIXEL - 1
        patches = F.unfold(pixels, conv.kernel_size, stride=conv.stride).transpose(0, 1).flatten(1)
        total += patches.sum(1)
        product += patches @ patches.T
        count += patches.shape[1]
    mean = total / count
    variances, directions = torch.linalg.eigh(product / count - mean.outer(mean))
    variances = variances.clamp(min=0) + FLAT * variances.max().clamp(min=PIXEL**-2)
    filters = (directions / variances.sqrt()).T.flip(0)
    filters = torch.cat([filters, -filters])[: conv.out_channels]
    with torch.no_grad():
        conv.weight[: len(filters)] = filters.view(-1, *conv.weight.shape[1:]).to(conv.weight)
