"""The loss and the measures of depth, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.training.depth.measures import MEASURES, known, measures, scale_invariant


def image(*rows: list[float]) -> Tensor:
    """A depth (1, 1, H, W)."""
    return torch.tensor([[rows]], dtype=torch.float64)


def test_the_loss_of_two_images() -> None:
    truth = torch.cat([image([1.0, 2.0], [4.0, 0.0]), image([1.0, 1.0], [0.0, 20.0])])  # 0 and 20 m: not known
    found = torch.cat([image([2.0, 2.0], [2.0, 7.0]), image([2.0, 2.0], [9.0, 9.0])])
    log = math.log(2)
    # First image: d = ln 2, 0, -ln 2: squares 2/3 ln^2 2, mean 0. Second: d = ln 2 twice: ln^2 2 - weight * ln^2 2.
    for weight in (0.0, 0.5, 1.0):
        want = (2 / 3 * log**2 + (1 - weight) * log**2) / 2
        assert float(scale_invariant(found, truth, weight)) == pytest.approx(want)
    assert float(scale_invariant(found, truth)) == pytest.approx((2 / 3 + 1 / 2) * log**2 / 2)


def test_scale_invariance() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = 1 + 3 * torch.rand(4, 1, 5, 6, generator=generator, dtype=torch.float64)
    truth[:, :, 2, 1:4] = 0
    found = 1 + 3 * torch.rand(4, 1, 5, 6, generator=generator, dtype=torch.float64)
    factors = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64).view(4, 1, 1, 1)
    loss = scale_invariant(found, truth, 1.0)
    assert float(scale_invariant(factors * found, truth, 1.0)) == pytest.approx(float(loss))
    assert float(scale_invariant(factors * truth, truth, 1.0)) == pytest.approx(0, abs=1e-12)
    # With another weight, a factor f of the truth itself costs (1 - weight) * ln^2 f.
    want = 0.5 * float((torch.log(factors) ** 2).mean())
    assert float(scale_invariant(factors * truth, truth, 0.5)) == pytest.approx(want)


def test_no_gradient_where_depth_is_not_known() -> None:
    truth = image([1.0, 0.0, 3.0, 50.0, math.nan])
    found = image([2.0, 5.0, 2.0, 1.0, 1.0]).requires_grad_()
    scale_invariant(found, truth).backward()
    assert found.grad is not None
    assert found.grad.isfinite().all()
    assert (found.grad.flatten() != 0).tolist() == [True, False, True, False, False]


def test_the_measures_of_an_image() -> None:
    truth = image([1.0, 2.0, 4.0, 0.0], [2.0, 10.0, 0.05, 11.0])  # five are known
    found = image([1.0, 2.4, 8.0, 3.0], [1.2, 5.0, 1.0, 1.0])
    # errors 0, 0.4, 4, -0.8, -5; ratios 1, 1.2, 2, 1.667, 2
    got = dict(zip(MEASURES, measures(found, truth)[0].tolist(), strict=True))
    assert got["rmse"] == pytest.approx(math.sqrt((0 + 0.16 + 16 + 0.64 + 25) / 5))
    assert got["rel"] == pytest.approx((0 + 0.2 + 1 + 0.4 + 0.5) / 5)
    assert (got["delta1"], got["delta2"], got["delta3"]) == pytest.approx((40, 40, 60))


def test_every_image_counts_alike() -> None:
    truth = torch.cat([image([1.0, 1.0, 1.0, 1.0]), image([2.0, 0.0, 0.0, 0.0])])
    found = torch.cat([image([1.5, 1.5, 1.5, 1.5]), image([2.0, 9.0, 9.0, 9.0])])
    rmse, rel, *_ = measures(found, truth).mean(0).tolist()
    assert rmse == pytest.approx(0.25)
    assert rel == pytest.approx(0.25)
    assert measures(truth.clamp(min=0.1), truth).mean(0).tolist() == [0, 0, 100, 100, 100]


def test_the_edge_of_a_factor_lies_outside() -> None:
    assert measures(image([1.25, 1.2499]), image([1.0, 1.0]))[0, 2] == 50


def test_depth_from_near_to_far_is_known() -> None:
    assert known(image([0.0, 0.0999, 0.1, 10.0, 10.001, math.nan, -1.0])).flatten().tolist() == [
        False, False, True, True, False, False, False,
    ]  # fmt: skip
    with pytest.raises(BirealError) as caught:
        known(torch.cat([image([1.0]), image([0.0])]))
    assert str(caught.value) == "an image has no pixel with a depth from 0.1 to 10 m"
