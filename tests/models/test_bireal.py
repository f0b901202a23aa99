"""The network: the topology of the paper, one grid per stage, and a short way through training that changes nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

import torch
import torch.nn.functional as F
from torch import nn

from bireal_hw.export.deploy import range_quant
from bireal_hw.models.bireal import Block, build_model, set_observing
from bireal_hw.models.layers import TrainedAct, TrainedConv, stream_act
from bireal_hw.models.randomise import random_images, randomise
from bireal_hw.models.reference import ReferenceBiReal, ReferenceSign
from bireal_hw.models.spec import ModelSpec

pytestmark = pytest.mark.torch

SMALL = ModelSpec("bireal18", 0.125, (16, 8), 1, 3)
LARGE = ModelSpec("bireal34", 0.125, (96, 64), 3, 4)


@pytest.mark.parametrize("spec", [SMALL, LARGE])
def test_parameters_are_those_of_the_paper(spec: ModelSpec) -> None:
    model = build_model(spec)
    binary = {name for name, _ in model.named_parameters() if name.endswith("binary_conv.weight")}
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert len(binary) == sum(spec.repeats) == (16 if spec is SMALL else 32)
    assert sum(sizes[name] for name in binary) == spec.parameters()[0]
    assert sum(size for name, size in sizes.items() if name not in binary) == spec.parameters()[1]
    assert not [module for module in model.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    # The names of the published checkpoints, so that these can be imported.
    assert {"conv1.weight", "bn1.weight", "layer1.0.bn1.bias", "layer2.0.downsample.1.weight"} <= set(sizes)
    assert {"layer4.0.downsample.2.weight", "fc.weight", "fc.bias"} <= set(sizes)


@pytest.mark.parametrize(
    ("spec", "sizes"),
    [
        (SMALL, {"conv1": (16, 8), "maxpool": (16, 8), "layer1": (16, 8), "layer2": (8, 4), "layer4": (2, 1)}),
        (LARGE, {"conv1": (48, 32), "maxpool": (24, 16), "layer1": (24, 16), "layer2": (12, 8), "layer4": (3, 2)}),
    ],
)
def test_sizes_follow_the_stem(spec: ModelSpec, sizes: dict[str, tuple[int, int]]) -> None:
    model = build_model(spec).eval()
    found: dict[str, tuple[int, int]] = {}
    for name in sizes:
        keep = lambda module, inputs, output, name=name: found.update({name: tuple(output.shape[2:])})  # noqa: E731
        model.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        logits = model(random_images(spec, 2, 0).float())
    assert logits.shape == (2, spec.classes)
    assert found == sizes


@pytest.mark.parametrize("stride", [1, 2])
def test_block_is_the_formula_of_the_paper(stride: int) -> None:
    torch.manual_seed(3)
    block = Block(8, 8 * stride, stride)
    r = torch.randn(5, 8, 6, 4)
    r[0, 0, 0, :2] = torch.tensor([0.0, -0.0])
    stream = stream_act(24)  # a grid so fine that its rounding does not show
    block(r, stream)  # find the grids
    block.eval()
    stream.eval()
    got = block(r, stream)
    weight = block.binary_conv.weight
    alpha = weight.abs().mean(dim=(1, 2, 3), keepdim=True)
    bits = torch.where(r >= 0, 1.0, -1.0)
    # Zero padding after sign: a padded tap is 0, which is neither bit.
    dot = F.conv2d(F.pad(bits, (1, 1, 1, 1)), torch.where(weight >= 0, alpha, -alpha), stride=stride)
    want = block.bn1(dot)
    if stride == 1:
        want = want + r
    else:
        assert block.downsample is not None
        pooled = block.downsample.pool_quant(F.avg_pool2d(r, 2))
        grid = 2.0 ** -int(range_quant(block.downsample.pool_quant).frac)
        assert torch.equal(pooled, (pooled / grid).round() * grid)
        assert (pooled - F.avg_pool2d(r, 2)).abs().max() <= grid / 2
        want = want + block.downsample.bn(F.conv2d(pooled, block.downsample.conv.quant_weight().value))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_stream_of_a_stage_lies_on_one_grid() -> None:
    spec = ModelSpec("bireal18", 0.125, (16, 16), 1, 3, shortcut_bits=9)
    model = randomise(build_model(spec), spec, 0)
    seen: list[tuple[int, torch.Tensor]] = []
    for index, stage in enumerate(model.stages()):
        keep = lambda module, inputs, output, index=index: seen.append((index, output))  # noqa: E731
        stage.stream.register_forward_hook(keep)
    with torch.no_grad():
        model(random_images(spec, 4, 1).float())
    assert len(seen) == 1 + 16 + 3  # stem, blocks, and the shortcuts of stride 2
    for index, r in seen:
        units = r * 2.0 ** int(range_quant(model.stages()[index].stream).frac)
        assert torch.equal(units, units.round())
        assert -256 <= units.min() <= units.max() <= 255


def test_short_way_through_training_computes_what_brevitas_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for short in (True, False):
        if not short:
            monkeypatch.setattr(TrainedConv, "forward", super(TrainedConv, TrainedConv).forward)
            monkeypatch.setattr(TrainedAct, "forward", super(TrainedAct, TrainedAct).forward)
        torch.manual_seed(1)
        model = build_model(SMALL)
        model(random_images(SMALL, 8, 0).float()).square().sum().backward()
        results.append((model.state_dict(), {name: value.grad for name, value in model.named_parameters()}))
    for first, second in zip(*results, strict=True):
        assert first.keys() == second.keys()
        for name in first:
            torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-5)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = build_model(LARGE)
    F.cross_entropy(model(random_images(LARGE, 4, 0).float()), torch.arange(4)).backward()
    still = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert still == []


def test_state_returns_with_its_grids() -> None:
    torch.manual_seed(0)
    model = randomise(build_model(SMALL), SMALL, 4)
    other = build_model(SMALL)
    other.load_state_dict(model.state_dict())
    other.eval()
    images = random_images(SMALL, 6, 2).float()
    with torch.no_grad():
        assert torch.equal(model(images), other(images))


def test_frozen_grids_hold_still() -> None:
    torch.manual_seed(0)
    model = build_model(SMALL)
    images = random_images(SMALL, 8, 0).float()
    model(images)
    before = {name: value.clone() for name, value in model.state_dict().items() if name.endswith(".frac")}
    assert len(before) == 4 + 3 + 1
    set_observing(model, False)
    with torch.no_grad():
        for block in model.stages()[0].blocks():
            block.bn1.weight.mul_(50)
    model(images)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    set_observing(model, True)
    model(images)
    assert model.state_dict()[next(iter(before))] < before[next(iter(before))]


def test_random_networks_repeat_by_seed() -> None:
    states = []
    for seed in (1, 1, 2):
        states.append(randomise(build_model(SMALL), SMALL, seed).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["conv1.weight"], states[2]["conv1.weight"])
    images = random_images(SMALL, 5, 9)
    assert images.shape == (5, 1, 16, 8)
    assert images.dtype == torch.uint8
    assert torch.equal(images, random_images(SMALL, 5, 9))


def test_reference_is_the_same_network_without_grids() -> None:
    """The yardstick of the benchmark has our parameters and the paper's gradient."""
    for spec in (SMALL, LARGE):
        count = sum(value.numel() for value in ReferenceBiReal(spec).parameters())
        assert count == sum(spec.parameters())
        assert ReferenceBiReal(spec)(random_images(spec, 2, 0).float()).shape == (2, spec.classes)
    a = torch.tensor([-2.0, -0.75, 0.25, 1.5], requires_grad=True)
    ReferenceSign()(a).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [0.0, 0.5, 1.5, 0.0]
