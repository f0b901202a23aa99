"""The depth network: shapes, range, the classifier's encoder inside, and what it is made of."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bireal_hw.models.bireal import build_model
from bireal_hw.models.depth import FAR, NEAR, DepthNet
from bireal_hw.models.modes import set_modes
from bireal_hw.models.spec import ModelSpec

pytestmark = pytest.mark.torch

SPEC = ModelSpec("bireal50", 0.125, (16, 24))


def network(spec: ModelSpec = SPEC) -> DepthNet:
    torch.manual_seed(0)
    return DepthNet(spec)


def pixels(spec: ModelSpec, count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, *spec.image), generator=torch.Generator().manual_seed(1)).float()


@pytest.mark.parametrize("model", ["bireal18", "bireal50", "react18"])
@pytest.mark.parametrize("image", [(8, 8), (16, 24), (64, 96)])
def test_one_depth_for_every_pixel(model: str, image: tuple[int, int]) -> None:
    spec = ModelSpec(model, 0.125, image)
    found = network(spec)(pixels(spec)).detach()
    assert found.shape == (2, 1, *image)
    assert found.dtype == torch.float32
    assert float(found.min()) > NEAR
    assert float(found.max()) < FAR


def test_the_decoder_s_number_is_a_logarithm_from_near_to_far() -> None:
    net = network().eval()
    torch.nn.init.zeros_(net.decoder.last.weight)
    for z, want in ((0.0, 1.0), (50.0, FAR), (-50.0, NEAR), (math.log(3), 0.1 * 100**0.75)):
        torch.nn.init.constant_(net.decoder.last.bias, z)  # type: ignore[arg-type]
        assert net(pixels(SPEC)).flatten().tolist() == pytest.approx([want] * (2 * 16 * 24), rel=1e-5)


def test_the_pyramid_by_hand() -> None:
    """With 1x1 kernels in the middle of the 3x3 ones and no BatchNorm to speak of, every stage adds its own stream."""
    net = network().eval()
    streams = [torch.rand(1, 32 * 2**stage, 16 >> stage, 24 >> stage) for stage in range(4)]
    with torch.no_grad():
        for conv in [module for module in net.decoder.modules() if isinstance(module, torch.nn.Conv2d)]:
            conv.weight.zero_()
            side = conv.kernel_size[0] // 2
            conv.weight[0, 0, side, side] = 1  # channel 0 to channel 0
        net.decoder.last.bias.zero_()  # type: ignore[union-attr]
    got = net.decoder(streams)
    want = sum(
        F.interpolate(stream[:, :1], scale_factor=2**stage, mode="nearest") for stage, stream in enumerate(streams)
    )
    torch.testing.assert_close(got, want, rtol=2e-4, atol=1e-4)


def test_the_encoder_is_that_of_the_classifier() -> None:
    net, classifier = network().eval(), build_model(SPEC).eval()
    weights = {name: tensor for name, tensor in classifier.state_dict().items() if not name.startswith(("fc", "pool"))}
    net.encoder.load_state_dict(weights)
    for ours, theirs in zip(net.encoder.features(pixels(SPEC)), classifier.features(pixels(SPEC)), strict=True):
        assert torch.equal(ours.value, theirs.value)
    assert [stream.value.shape[1:] for stream in classifier.features(pixels(SPEC))] == [
        (32, 16, 24), (64, 8, 12), (128, 4, 6), (256, 2, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("modes", [("sign", "binary"), ("relu", "real")])
def test_every_weight_has_a_gradient(modes: tuple[str, str]) -> None:
    net = network()
    set_modes(net, *modes)
    net(pixels(SPEC)).log().square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


@pytest.mark.parametrize("model", ["bireal18", "bireal50", "react18"])
def test_parameters(model: str) -> None:
    spec = ModelSpec(model, 0.125, (96, 128), classes=2)
    counted = DepthNet(spec).parameters_of()
    binary, real = spec.parameters()
    assert counted["binary"] == binary
    assert counted["real"] == real - 2 * (spec.features + 1)  # the classifier's
    widths = [8 * 2**stage * spec.network.expansion for stage in range(4)]
    across, smooth = sum(width * 16 + 32 for width in widths), 3 * (9 * 16 * 16 + 32)
    assert counted["decoder"] == across + smooth + 9 * 16 + 1
