"""Muon: against PyTorch's own for matrices, Adam for all else, and a state that goes on where it was."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bireal_hw.training.muon import Muon, orthogonal

pytestmark = pytest.mark.torch

SHAPES = [(4, 6, 3, 3), (24, 2, 1, 1), (5, 5, 1, 1), (1, 7, 3, 3)]
"""Of weights (O, C, kH, kW): wide, tall and square matrices, and a single row."""


def gradients(shape: tuple[int, ...], steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(shape, generator=generator) for _ in range(steps)]


def moved(weight: nn.Parameter, optimizer: torch.optim.Optimizer, steps: list[Tensor]) -> Tensor:
    """Return a weight after steps along given gradients."""
    for gradient in steps:
        weight.grad = gradient.reshape(weight.shape).clone()
        optimizer.step()
    return weight.detach().flatten(1)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_moves_as_pytorchs_own(shape: tuple[int, ...], decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "bfloat16", Tensor.clone)  # in which PyTorch's computes
    start, steps = gradients(shape, 1)[0], gradients(shape, 5)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.flatten(1).clone())
    own = Muon([{"params": [ours], "orthogonal": True, "weight_decay": decay}], lr=0.3)
    other = torch.optim.Muon([theirs], lr=0.3, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    torch.testing.assert_close(moved(ours, own, steps), moved(theirs, other, steps))


def test_all_else_moves_by_adam() -> None:
    steps = gradients((3, 4), 5)
    ours, theirs = (nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    turned = nn.Parameter(torch.ones(3, 4))
    own = Muon([{"params": [ours], "weight_decay": 0.1}, {"params": [turned], "orthogonal": True}], lr=0.3)
    other = torch.optim.Adam([{"params": [theirs], "weight_decay": 0.1}], lr=0.3, fused=True)
    assert torch.equal(moved(ours, own, steps), moved(theirs, other, steps))
    assert torch.equal(turned, torch.ones(3, 4))  # which had no gradient


def test_its_state_goes_on_where_it_was() -> None:
    def made() -> tuple[list[nn.Parameter], Muon]:
        weights = [nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3, 4))]
        return weights, Muon([{"params": weights[:1]}, {"params": weights[1:], "orthogonal": True}], lr=0.3)

    def go(weights: list[nn.Parameter], optimizer: Muon, steps: list[Tensor]) -> None:
        for gradient in steps:
            for weight in weights:
                weight.grad = gradient.clone()
            optimizer.step()

    steps = gradients((3, 4), 6)
    whole, optimizer = made()
    go(whole, optimizer, steps)
    first, optimizer = made()
    go(first, optimizer, steps[:3])
    again, other = made()
    with torch.no_grad():
        for new, old in zip(again, first, strict=True):
            new.copy_(old)
    state: dict[str, Any] = optimizer.state_dict()
    other.load_state_dict(state)
    go(again, other, steps[3:])
    assert all(torch.equal(one, two) for one, two in zip(whole, again, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_end_near_one(shape: tuple[int, ...]) -> None:
    """Those of a hundredth of the largest and more: the iteration multiplies small ones by 3.4 a step."""
    (matrix,) = (one.flatten(1) for one in gradients(shape, 1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.logspace(0, -2, len(right))
    found = orthogonal(left * values @ right)
    cosines = (left.T @ found @ right.T).diagonal()
    assert math.isclose(float(cosines.min()), 0.95, abs_tol=0.3), cosines
    assert math.isclose(float(cosines.max()), 0.95, abs_tol=0.3), cosines
