"""Loss and measures of depth estimation. Pixels whose depth is not known count nowhere, and every image counts alike.

Depth is in metres, (N, 1, H, W); it is known where it lies from NEAR to FAR. Source: Eigen et al., NeurIPS 2014.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.models.depth import FAR, NEAR

LAMBDA = 0.5
"""How far the loss forgives a wrong scale: 0 not at all, 1 altogether."""

FACTORS = (1.25, 1.25**2, 1.25**3)

MEASURES = ("rmse", "rel", "delta1", "delta2", "delta3")
"""Root mean square error in metres, mean relative error, percent of the pixels within each of FACTORS of the truth."""


def known(depth: Tensor) -> Tensor:
    """Return where a depth is known, bool; raises BirealError if it is nowhere in some image."""
    mask = (depth >= NEAR) & (depth <= FAR)
    if not bool(mask.flatten(1).any(1).all()):
        raise BirealError(f"an image has no pixel with a depth from {NEAR:g} to {FAR:g} m")
    return mask


def scale_invariant(found: Tensor, depth: Tensor, weight: float = LAMBDA) -> Tensor:
    """Return the mean over images of mean(d^2) - weight * mean(d)^2, d = ln(found) - ln(depth) where depth is known.

    Args:
        found: metres, positive.
        depth: metres; not known where outside of NEAR to FAR.
        weight: 0 to 1. With 1, found times any factor has the same loss.
    """
    mask = known(depth)
    d = torch.where(mask, torch.log(found) - torch.log(torch.where(mask, depth, 1.0)), 0.0)
    count = mask.flatten(1).sum(1)
    mean, square = d.flatten(1).sum(1) / count, d.square().flatten(1).sum(1) / count
    return (square - weight * mean.square()).mean()


def measures(found: Tensor, depth: Tensor) -> Tensor:
    """Return MEASURES of every image, float64 (N, 5).

    Args:
        found: metres, positive.
        depth: metres; not known where outside of NEAR to FAR.
    """
    mask = known(depth)
    found, depth = found.double(), torch.where(mask, depth, 1.0).double()
    error = found - depth
    ratio = torch.maximum(found / depth, depth / found)
    parts = [error.square(), error.abs() / depth, *(100 * (ratio < factor).double() for factor in FACTORS)]
    means = torch.stack([(part * mask).flatten(1).sum(1) / mask.flatten(1).sum(1) for part in parts], dim=1)
    means[:, 0] = means[:, 0].sqrt()
    return means
