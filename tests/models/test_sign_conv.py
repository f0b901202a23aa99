"""The convolution of signs as integers: against the one of floating-point numbers, on every axis that it has."""

from __future__ import annotations

import platform
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

from bireal_hw.models import sign_conv  # noqa: E402
from bireal_hw.models.bireal import build_model  # noqa: E402
from bireal_hw.models.layers import TrainedBinaryConv, binary_conv  # noqa: E402
from bireal_hw.models.modes import ACTIVATIONS, WEIGHTS, binary_convs, is_binary, set_modes  # noqa: E402
from bireal_hw.models.quantizers import hard_sign  # noqa: E402
from bireal_hw.models.randomise import random_images  # noqa: E402
from bireal_hw.models.sign_conv import SignConv, usable  # noqa: E402
from bireal_hw.models.spec import ModelSpec  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's integer convolution of torch 2.13 is for x86"),
]

LAYOUTS = torch.channels_last, torch.contiguous_format
SPEC = ModelSpec("react18", 0.125, (16, 16), 3, 4)


def signs(shape: tuple[int, ...], seed: int, layout: Any) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return torch.where(drawn >= 0, 1.0, -1.0).contiguous(memory_format=layout)


def case(shape: tuple[int, ...], cout: int, kernel: int, layout: Any, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return signs, and weights whose magnitudes are powers of two: floating-point sums are exact then."""
    w = signs((cout, shape[1], kernel, kernel), seed + 1, layout)
    exponents = torch.arange(cout).remainder(7).sub(5).view(-1, 1, 1, 1)
    return signs(shape, seed, layout).requires_grad_(), (w * 2.0**exponents).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "cout", "kernel", "stride", "padding"),
    [
        ((4, 16, 8, 8), 16, 3, 1, 1),
        ((3, 24, 9, 6), 40, 3, 2, 1),
        ((2, 8, 5, 5), 16, 1, 1, 0),
        ((2, 3, 6, 5), 5, 1, 2, 0),
        ((1, 1, 4, 4), 1, 3, 1, 1),
        ((1, 512, 2, 2), 8, 3, 1, 1),
        ((2, 7, 11, 3), 9, 5, 1, 2),
        ((2, 7, 11, 8), 9, 5, 3, 0),
        ((5, 64, 1, 1), 64, 3, 1, 1),
    ],
)
def test_sums_and_gradients_are_those_of_floating_point(
    shape: tuple[int, ...], cout: int, kernel: int, stride: int, padding: int, layout: Any
) -> None:
    x, w = case(shape, cout, kernel, layout)
    wanted = F.conv2d(x, w, stride=stride, padding=padding)
    found = SignConv.apply(x, w, (stride, stride), (padding, padding))
    assert torch.equal(found, wanted)
    grad = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(5))
    for one, other in zip(
        torch.autograd.grad(found, (x, w), grad), torch.autograd.grad(wanted, (x, w), grad), strict=True
    ):
        assert torch.equal(one, other)


def test_the_largest_sums_and_magnitudes_of_any_size() -> None:
    x, w = torch.full((2, 512, 3, 3), -1.0), torch.full((6, 512, 3, 3), -1.0)
    alpha = torch.tensor([0.3, 1e-20, 1e20, 0.0, float("nan"), 1.0]).view(-1, 1, 1, 1)
    found = SignConv.apply(x, w * alpha, (1, 1), (1, 1))[:, :, 1, 1]
    assert torch.equal(found[:, :4], (9 * 512 * alpha).flatten()[:4].expand(2, 4))
    assert found[:, 4].isnan().all()  # a training that went astray says so
    assert found[:, 5].eq(9 * 512).all()


def test_alpha_is_multiplied_once() -> None:
    x, w = case((2, 64, 5, 5), 8, 3, torch.channels_last)
    alpha = torch.rand(8, 1, 1, 1, generator=torch.Generator().manual_seed(2))
    w = w.detach().sign() * alpha
    wanted = F.conv2d(x.double(), w.double().sign(), padding=1) * alpha.double().view(1, -1, 1, 1)
    assert torch.equal(SignConv.apply(x, w, (1, 1), (1, 1)), wanted.float())


def test_half_precision_rounds_the_result_and_its_gradients_alone() -> None:
    x, w = case((2, 64, 5, 5), 8, 3, torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = SignConv.apply(x, w, (1, 1), (1, 1))
        assert torch.equal(found, F.conv2d(x.float(), w.float(), padding=1).bfloat16())
        wanted = F.conv2d(x, w, padding=1)
    grad = torch.ones_like(found)
    gradients = torch.autograd.grad(found, (x, w), grad), torch.autograd.grad(wanted, (x, w), grad)
    for one, other in zip(*gradients, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_a_byte_is_kept_of_each_sign() -> None:
    x, w = case((4, 16, 8, 8), 16, 3, torch.channels_last)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.detach()), lambda one: one):
        SignConv.apply(x, w, (1, 1), (1, 1))
    assert sorted(one.nbytes for one in kept) == [x.numel(), w.nbytes]


def test_the_operator_is_one_that_a_compiler_takes() -> None:
    x, w = case((2, 16, 5, 5), 8, 3, torch.channels_last)
    doubled = (x.detach().to(torch.int8) + 1).view(torch.uint8)
    for dtype in (torch.float32, torch.bfloat16):
        torch.library.opcheck(sign_conv._sums, (doubled, w.detach(), [2, 2], [1, 1], dtype))


def test_layers_take_it_where_both_are_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(SPEC)
    calls: list[Any] = []
    apply = SignConv.apply

    def counted(*args: Any) -> Any:
        calls.append(args)
        return apply(*args)

    monkeypatch.setattr(SignConv, "apply", counted)
    images = random_images(SPEC, 2, 0).float()
    for activation in ACTIVATIONS:
        for weights in WEIGHTS:
            set_modes(model, activation, weights)
            for training in (True, False):
                calls.clear()
                model.train(training)(images)
                assert len(calls) == (16 if is_binary(model) else 0), (activation, weights, training)


def test_without_it_networks_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of +-1/16: floating-point sums are exact too, so nothing may differ."""
    outputs = []
    for there in (True, False):
        monkeypatch.setattr(sign_conv, "EXACT", there)
        torch.manual_seed(0)
        model = build_model(SPEC)
        for conv in binary_convs(model):
            conv.weight.data = hard_sign(conv.weight.data) / 16
        outputs.append(model(random_images(SPEC, 4, 0).float()))
    assert torch.equal(*outputs)


def test_doubles_are_not_its_business() -> None:
    conv = binary_conv(8, 4, 3, 1).double()
    assert isinstance(conv, TrainedBinaryConv)
    assert not usable(torch.zeros(1, dtype=torch.float64))
    x = signs((1, 8, 4, 4), 0, torch.contiguous_format).double()
    assert conv.train()(x).dtype == torch.float64


def test_an_operator_that_is_missing_or_not_exact_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sign_conv._is_exact()
    for wrong in (lambda *args: torch.zeros(2, 8, 4, 4), lambda *args: torch.ops.onednn.qconv_nowhere()):
        monkeypatch.setattr(sign_conv, "_sums", wrong)
        assert not sign_conv._is_exact()
    monkeypatch.setattr(sign_conv, "EXACT", False)
    assert not usable(torch.zeros(1))
