"""The optimizer `muon` of a stage: Muon for the latent weights of binary convolutions, Adam for all else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
STEPS = 5
"""Coefficients of the iteration, and how often it runs: singular values end near 1 (Jordan et al. 2024)."""
RMS = 0.2
"""Root mean square of an update at learning rate 1: about that of Adam, so rates are of one size (Liu et al. 2025)."""


class Muon(torch.optim.Adam):
    """Adam, but groups with `orthogonal` move along the orthogonal matrix that is nearest to their momentum.

    A convolution's weights (O, C, kH, kW) are a matrix (O, C*kH*kW), whose directions move about equally far, those of
    small gradients too. `torch.optim.Muon` takes matrices alone and nothing beside them.

    Args:
        params: groups as of Adam; in those with `orthogonal` every tensor has two dimensions or more.
        lr: learning rate of all of them. Weight decay is decoupled from the gradient in the orthogonal ones alone.
        momentum: of the orthogonal ones, by Nesterov's rule.
    """

    def __init__(self, params: list[dict[str, Any]], lr: float, momentum: float = 0.95) -> None:
        super().__init__([{"orthogonal": False, "momentum": momentum} | group for group in params], lr=lr, fused=True)
        self._step_supports_amp_scaling = False  # gradients come divided by the scale of half precision

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move all weights; leaves the orthogonal ones without a gradient, which Adam then passes over."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"] if group["orthogonal"] else []:
                if weight.grad is not None:
                    self._turn(weight, weight.grad, group)
                    weight.grad = None
        super().step()
        return loss

    def _turn(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:  # Adam looks for a step in every state that it loads
            state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
        mean, momentum = state["momentum"], group["momentum"]
        mean.lerp_(gradient, 1 - momentum)
        matrix = gradient.lerp(mean, momentum).flatten(1)
        length = RMS * math.sqrt(max(matrix.shape))
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(orthogonal(matrix).view_as(weight), alpha=group["lr"] * length)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about U V^T of a matrix U S V^T, by Newton and Schulz: no decomposition, nothing comes back to the host.

    >>> turned = orthogonal(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]]))
    >>> bool((turned - torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).abs().max() < 0.35)
    True
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    one, three, five = NEWTON_SCHULZ
    for _ in range(STEPS):
        square = wide @ wide.T
        wide = one * wide + (three * square + five * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
