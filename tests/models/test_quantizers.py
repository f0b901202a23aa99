"""Quantizers: values and gradients against the formulas of the papers, edges included."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from bireal_hw.models.activations import PowerPReLU  # noqa: E402
from bireal_hw.models.quantizers import (  # noqa: E402
    ApproxSign,
    FixedPoint,
    MagnitudeSign,
    MagnitudeSignQuant,
    RangeQuant,
    WeightQuant,
    power_of_two,
    weight_step,
)

pytestmark = pytest.mark.torch

EDGES = [-3.0, -1.0, -0.75, -1e-30, -0.0, 0.0, 1e-30, 0.25, math.nextafter(1, 0), 1.0, math.nextafter(1, 2), 7.0]


def test_approx_sign_follows_its_two_formulas_at_every_edge() -> None:
    a = torch.tensor(EDGES, dtype=torch.float64, requires_grad=True)
    weight = torch.arange(1, len(EDGES) + 1, dtype=torch.float64)
    value = ApproxSign.apply(a)
    (value * weight).sum().backward()
    assert value.tolist() == [1.0 if x >= 0 else -1.0 for x in EDGES]
    slope = [0 if x < -1 else 2 + 2 * x if x < 0 else 2 - 2 * x if x < 1 else 0 for x in EDGES]
    assert a.grad.tolist() == [w * s for w, s in zip(weight.tolist(), slope, strict=True)]


def test_magnitude_sign_scales_by_the_mean_and_masks_at_one() -> None:
    w = torch.tensor([EDGES, [0.5] * len(EDGES)], dtype=torch.float64, requires_grad=True)
    alpha = [sum(map(abs, EDGES)) / len(EDGES), 0.5]
    quant = MagnitudeSignQuant().double()
    value, scale, _, bits = quant(w)
    assert value.tolist() == [[alpha[0] if x >= 0 else -alpha[0] for x in EDGES], [alpha[1]] * len(EDGES)]
    assert scale.flatten().tolist() == alpha
    assert bits == 1
    (value * 3).sum().backward()
    # alpha is a constant in the gradient, and the mask is open: |w| = 1 gets nothing.
    assert w.grad.tolist() == [[3 * alpha[0] if abs(x) < 1 else 0.0 for x in EDGES], [1.5] * len(EDGES)]


def test_magnitude_sign_takes_alpha_per_output_channel_of_a_convolution() -> None:
    w = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    alpha = torch.tensor([w[channel].abs().mean().item() for channel in range(4)]).view(4, 1, 1, 1)
    value = MagnitudeSignQuant()(w)[0]
    assert torch.equal(value, MagnitudeSign.apply(w, alpha))
    assert torch.equal(value.abs(), alpha.expand_as(w))


def test_powers_of_two_are_exact() -> None:
    exponents = torch.arange(-126, 128)
    assert power_of_two(exponents).tolist() == [2.0**k for k in range(-126, 128)]


def test_fixed_point_rounds_half_up_and_saturates() -> None:
    x = torch.tensor([-8.5, -8.75, -8.25, -0.75, -0.25, -0.0, 0.25, 0.75, 7.25, 7.5, 100.0], requires_grad=True)
    value = FixedPoint.apply(x, torch.tensor(0.5), -16, 14, False)
    assert value.tolist() == [-8.0, -8.0, -8.0, -0.5, 0.0, 0.0, 0.5, 1.0, 7.0, 7.0, 7.0]
    value.sum().backward()
    # The gradient passes where the rounded value fits: -8.25 rounds up to -8, 7.25 to 7.5, which is one unit too many.
    assert x.grad.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("fits", [False, True])
def test_fixed_point_without_saturation_passes_the_gradient_untouched(fits: bool) -> None:
    x = torch.tensor([-1.0, 0.3, 0.9], requires_grad=True)
    value = FixedPoint.apply(x, torch.tensor(2.0**-4), -128, 127, fits)
    value.backward(torch.tensor([1.0, 2.0, 3.0]))
    assert value.tolist() == [-1.0, 0.3125, 0.875]
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


@given(st.integers(2, 16), st.integers(-2, 12), st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_fixed_point_is_floor_of_x_plus_half(bits: int, frac: int, values: list[float]) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    # The sum x * 2^frac + 1/2 is taken in float32, as the network takes it.
    units = (torch.tensor(values) * 2.0**frac + 0.5).tolist()
    want = [min(max(math.floor(unit), low), high) * 2.0**-frac for unit in units]
    assert FixedPoint.apply(torch.tensor(values), torch.tensor(2.0**-frac), low, high, False).tolist() == want


@given(
    st.integers(2, 16),
    st.sampled_from([1.0, 1.5]),
    st.lists(st.floats(-1e4, 1e4, width=32).filter(lambda x: x == 0 or abs(x) > 1e-4), min_size=1, max_size=20),
)
def test_a_grid_that_follows_is_the_finest_one_that_holds_the_batch(
    bits: int, headroom: float, values: list[float]
) -> None:
    quant = RangeQuant(bits, headroom)
    x = torch.tensor(values)
    value, step, _, _ = quant(x)
    limit, units = 2 ** (bits - 1), value / step
    assert step == 2.0 ** -int(quant.frac)
    assert bool(((units >= -limit) & (units < limit)).all())
    assert value.tolist() == [float(step) * math.floor(one / float(step) + 0.5) for one in values]  # none saturates
    peak = max(map(abs, values)) * headroom
    if peak > 0:
        assert peak / float(step) < limit - 0.5
        assert int(quant.frac) == RangeQuant.FRAC_MAX or 2 * peak / float(step) >= limit - 0.5
    else:
        assert int(quant.frac) == bits - 3


def test_range_quant_follows_the_peak_then_holds_still() -> None:
    quant = RangeQuant(bits=8, headroom=1.0)
    x = torch.tensor([0.1, -3.0])
    quant(x)
    assert int(quant.frac) == 5  # 3 * 2^5 = 96 fits 8 bits, 3 * 2^6 does not
    quant.observing = False
    quant(x * 100)
    assert int(quant.frac) == 5
    quant.observing = True
    quant.eval()
    value, scale, _, _ = quant(x * 100)
    assert int(quant.frac) == 5
    assert value.tolist() == [3.96875, -4.0]
    assert scale == 2.0**-5
    quant.train()
    quant(x * 100)
    assert int(quant.frac) == -2
    for _ in range(400):
        quant(x)
    assert int(quant.frac) == 5  # a peak long ago is forgotten


def test_range_quant_ignores_values_that_are_not_finite() -> None:
    quant = RangeQuant(bits=8, headroom=1.0)
    quant(torch.tensor([1.0]))
    quant(torch.tensor([float("inf")]))
    quant(torch.tensor([float("nan")]))
    assert int(quant.frac) == 6  # 1.0 * 2^7 is one unit more than 8 bits have


def test_weight_quant_rounds_what_the_folded_weights_round_to() -> None:
    generator = torch.Generator().manual_seed(2)
    w = torch.randn(5, 3, 3, 3, generator=generator, requires_grad=True)
    quant = WeightQuant(bits=8, per_channel=True, channels=5)
    quant.fold.copy_(torch.tensor([0.5, -2.0, 1.25, 0.0, 3.7]))
    value, scale, _, _ = quant(w)
    fold = quant.fold.masked_fill(quant.fold == 0, 1).view(5, 1, 1, 1)
    integers = value / scale * fold.sign()
    torch.testing.assert_close(integers, integers.round(), rtol=0, atol=1e-4)  # the division by fold is inexact
    peak = integers.abs().amax(dim=(1, 2, 3))
    assert bool(((peak > 63) & (peak < 127.001)).all())
    exponents = torch.log2(scale * fold.abs())
    torch.testing.assert_close(exponents, exponents.round(), rtol=0, atol=1e-5)
    value.sum().backward()
    assert torch.equal(w.grad, torch.ones_like(w))


def test_weight_step_is_the_smallest_power_of_two_that_holds_the_weights() -> None:
    w = torch.tensor([[127.0], [127.001], [126.9], [1e-6], [0.0]])
    assert weight_step(w, 127, per_channel=True).flatten().tolist() == [1.0, 2.0, 1.0, 2.0**-26, 1.0]
    assert weight_step(w, 127, per_channel=False).item() == 2.0


def test_prelu_slopes_are_powers_of_two_and_its_gradients_a_prelu_s() -> None:
    prelu = PowerPReLU(3)
    with torch.no_grad():
        prelu.weight.copy_(torch.tensor([0.25, 0.6, -0.1]))
    x = torch.tensor([-4.0, -0.0, 0.0, 3.0]).view(1, 1, 4, 1).repeat(2, 3, 1, 1).requires_grad_()
    y = prelu(x)
    slopes = [0.25, 0.5, 2.0**-7]
    for channel, slope in enumerate(slopes):
        assert y[0, channel].flatten().tolist() == [-4 * slope, 0, 0, 3]
    weight = torch.arange(24.0).view(2, 3, 4, 1)
    (y * weight).sum().backward()
    assert prelu.weight.grad is not None
    for channel, slope in enumerate(slopes):
        assert x.grad[1, channel].flatten().tolist() == [
            w * (slope if index == 0 else 1) for index, w in enumerate(weight[1, channel].flatten().tolist())
        ]
        assert prelu.weight.grad[channel] == -4 * weight[:, channel, 0].sum()


@given(st.floats(-3, 3, width=32))
def test_prelu_slope_is_the_nearest_power_in_the_logarithm(weight: float) -> None:
    prelu = PowerPReLU(1)
    with torch.no_grad():
        prelu.weight.fill_(weight)
    k = int(prelu.shift)
    assert 0 <= k <= 7
    if weight > 0:
        distance = abs(math.log2(weight) + k)
        assert all(distance <= abs(math.log2(weight) + other) + 1e-6 for other in range(8))
    else:
        assert k == 7
