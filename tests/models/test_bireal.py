"""The network: the topology of the paper, one grid per stage, and a short way through training that changes nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

import torch
import torch.nn.functional as F
from torch import nn

from bireal_hw.errors import BirealError
from bireal_hw.models.bireal import Block, ClipBlock, ReactBlock, ShiftedMap, build_model, range_quant, set_observing
from bireal_hw.models.layers import TrainedAct, TrainedConv, stream_act
from bireal_hw.models.networks import Shortcut, Unit
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
    assert len(binary) == sum(spec.network.repeats) == (16 if spec is SMALL else 32)
    assert sum(sizes[name] for name in binary) == spec.parameters()[0]
    assert sum(size for name, size in sizes.items() if name not in binary) == spec.parameters()[1]
    assert not [module for module in model.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    # The names of the published checkpoints, so that these can be imported.
    assert {"conv1.weight", "bn1.weight", "layer1.0.bn1.bias", "layer2.0.downsample.1.weight"} <= set(sizes)
    assert {"layer4.0.downsample.2.weight", "fc.weight", "fc.bias"} <= set(sizes)


@pytest.mark.parametrize(
    ("spec", "stem", "sizes"),
    [
        (SMALL, (16, 8), [(16, 8), (8, 4), (4, 2), (2, 1)]),
        (LARGE, (24, 16), [(24, 16), (12, 8), (6, 4), (3, 2)]),
        (ModelSpec("bireal50", 0.125, (16, 8), 1, 3), (16, 8), [(16, 8), (8, 4), (4, 2), (2, 1)]),
        (ModelSpec("reactneta", 0.125, (16, 8), 1, 3), (16, 8), [(16, 8), (8, 4), (4, 2), (2, 1)]),
        (ModelSpec("reactneta", 0.125, (96, 64), 1, 3), (48, 32), [(24, 16), (12, 8), (6, 4), (3, 2)]),
    ],
)
def test_sizes_follow_the_stem(spec: ModelSpec, stem: tuple[int, int], sizes: list[tuple[int, int]]) -> None:
    model = build_model(spec).eval()
    found: dict[str, tuple[int, ...]] = {}
    model.maxpool.register_forward_hook(lambda module, inputs, output: found.update(stem=tuple(output.shape[2:])))
    for index, stage in enumerate(model.stages()):

        def keep(module: nn.Module, inputs: object, streams: dict[str, ShiftedMap], name: str = str(index)) -> None:
            found[name] = tuple(streams["main"].value.shape[1:])

        stage.register_forward_hook(keep)
    with torch.no_grad():
        logits = model(random_images(spec, 2, 0).float())
    assert logits.shape == (2, spec.classes)
    expansion = {"bireal50": 4, "reactneta": 2}.get(spec.model, 1)
    wanted = {str(i): (expansion * 8 * 2**i, *size) for i, size in enumerate(sizes)}
    assert found == {"stem": stem, **wanted}


@pytest.mark.parametrize("stride", [1, 2])
def test_block_is_the_formula_of_the_paper(stride: int) -> None:
    torch.manual_seed(3)
    block = Block(Unit(8, 8 * stride, stride=stride, shortcut=Shortcut(pool=stride, cin=8 if stride > 1 else None)))
    r = torch.randn(5, 8, 6, 4)
    r[0, 0, 0, :2] = torch.tensor([0.0, -0.0])
    got = settled(block, r, r)
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
        assert block.downsample.bn is not None
        want = want + block.downsample.bn(F.conv2d(pooled, block.downsample.conv.quant_weight().value))
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def settled(
    block: Block | ClipBlock, x: torch.Tensor, r: torch.Tensor | None, shift: torch.Tensor | None = None
) -> torch.Tensor:
    """The value a block gives in eval mode, on a stream whose grid is so fine that its rounding does not show."""
    stream = stream_act(24)
    inputs = ShiftedMap(x, shift), None if r is None else ShiftedMap(r, shift)
    block(*inputs, stream)  # find the grids
    block.eval()
    stream.eval()
    return block(*inputs, stream).value


def signs(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x >= 0, 1.0, -1.0)


def binary_sums(block: Block, bits: torch.Tensor) -> torch.Tensor:
    weight = block.binary_conv.weight
    alpha = weight.abs().mean(dim=(1, 2, 3), keepdim=True)
    pad = weight.shape[2] // 2
    return F.conv2d(bits, torch.where(weight >= 0, alpha, -alpha), stride=block.binary_conv.stride, padding=pad)


def test_react_block_is_the_formula_of_the_paper() -> None:
    """RSign and RPReLU as published; only the shift behind the PReLU stays out, for those who read the stream."""
    torch.manual_seed(4)
    block = ReactBlock(Unit(8, 8, shortcut=Shortcut(), input="rsign", output="rprelu"))
    with torch.no_grad():
        for shift in (block.move0, block.move1, block.move2):
            shift.bias.normal_()
        block.prelu.weight.copy_(torch.tensor([0.5, 0.25, 0.3, 1.0, 2.0, 0.0, -1.0, 0.01]))
    r, pending = torch.randn(3, 8, 5, 4), torch.randn(1, 8, 1, 1)
    got = settled(block, r, r, pending)
    true = r + pending
    u = true + block.bn1(binary_sums(block, signs(true + block.move0.bias.view(1, -1, 1, 1))))
    u = u + block.move1.bias.view(1, -1, 1, 1)
    slopes = torch.tensor([0.5, 0.25, 0.25, 1.0, 1.0, 2.0**-7, 2.0**-7, 2.0**-7]).view(1, -1, 1, 1)
    torch.testing.assert_close(got, torch.where(u > 0, u, slopes * u), rtol=1e-4, atol=1e-5)
    given = block(ShiftedMap(r, pending), ShiftedMap(r, pending), stream_act(16)).shift
    assert given is not None
    assert torch.equal(given.flatten(), block.move2.bias)


def test_a_pending_shift_passes_the_downsample_shortcut_and_the_classifier() -> None:
    torch.manual_seed(4)
    block = Block(Unit(4, 8, stride=2, shortcut=Shortcut(pool=2, cin=4)))
    r, pending = torch.randn(3, 4, 6, 4), torch.randn(1, 4, 1, 1)
    got = settled(block, r, r, pending)
    down = block.downsample
    assert down is not None
    assert down.bn is not None
    pooled = down.pool_quant(F.avg_pool2d(r, 2)) + pending
    want = down.bn(F.conv2d(pooled, down.conv.quant_weight().value)) + block.bn1(binary_sums(block, signs(r + pending)))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    spec = ModelSpec("react18", 0.125, (8, 8), 1, 3)
    model = randomise(build_model(spec), spec, 1)
    images = random_images(spec, 2, 3).float()
    last = model.stages()[-1].blocks()[-1]
    assert isinstance(last, ReactBlock)
    with torch.no_grad():
        before = model(images)
        last.move2.bias[3] += 0.5
        torch.testing.assert_close(model(images) - before, (0.5 * model.fc.quant_weight().value[:, 3]).expand(2, -1))


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("copies", [1, 2, 3])
def test_a_pending_shift_passes_a_pool_and_stands_behind_itself(pool: int, copies: int) -> None:
    """What is rounded is the stream without it, as in hardware."""
    torch.manual_seed(4)
    shortcut = Shortcut(pool=pool, copies=copies)
    block = ReactBlock(Unit(4, 4 * copies, stride=pool, shortcut=shortcut, input="rsign", output="rprelu"))
    r, pending, stream = torch.randn(3, 4, 6, 4), torch.randn(1, 4, 1, 1), stream_act(8)
    r = stream(r)
    stream.eval()
    with torch.no_grad():
        got = block.shortcut(ShiftedMap(r, pending), stream)
        value = stream(F.avg_pool2d(r, 2)) if pool == 2 else r
    for copy in range(copies):
        assert torch.equal(got[:, 4 * copy : 4 * copy + 4], value + pending)
    assert got.shape == (3, 4 * copies, 6 // pool, 4 // pool)


def test_clip_block_is_the_formula_of_the_authors() -> None:
    torch.manual_seed(4)
    block = ClipBlock(Unit(4, 6, kernel=1, gives="mid", input="leaky_clip"))
    x = 2 * torch.randn(3, 4, 5, 4)
    got = settled(block, x, None)
    leaky = torch.where(x.abs() <= 1, x, 205 / 2048 * x + x.sign() * (1 - 205 / 2048))
    assert abs(205 / 2048 - 0.1) < 1e-4
    step = 2.0 ** -int(range_quant(block.quant).frac)
    q = block.quant(leaky)
    assert (q - leaky).abs().max() <= step / 2 + 1e-6
    want = block.bn1(F.conv2d(q, block.real_conv.quant_weight().value))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", ["bireal50", "xnor18", "plain18"])
def test_streams_are_read_and_added_as_described(model: str) -> None:
    """The network computed once more from its blocks, stage by stage, by the published order of operations."""
    spec = ModelSpec(model, 0.125, (16, 16), 1, 3)
    net = randomise(build_model(spec), spec, 2)
    images = random_images(spec, 2, 4).float()
    stem: list[torch.Tensor] = []
    net.maxpool.register_forward_hook(lambda module, inputs, output: stem.append(output))
    with torch.no_grad():
        got = net(images)
        a = b = stem[0]  # bottleneck: a the narrow stream, b the wide one
        for stage in net.stages():
            blocks, stream = stage.blocks(), stage.stream

            def run(
                block: Block | ClipBlock, x: torch.Tensor, r: torch.Tensor | None, stream: nn.Module = stream
            ) -> torch.Tensor:
                return block(ShiftedMap(x), r if r is None else ShiftedMap(r), stream).value

            while blocks:
                if model == "bireal50":
                    first, second, third, *blocks = blocks
                    a = run(first, b, None if isinstance(first, ClipBlock) else a)
                    a = run(second, a, a)
                    b = run(third, a, b)
                elif model == "xnor18":
                    first, second, *blocks = blocks
                    b = run(second, run(first, b, None), b)
                else:
                    first, *blocks = blocks
                    b = run(first, b, None)
        want = net.fc(net.pool_quant(b.sum(dim=(2, 3))) / spec.pixels)
    assert torch.equal(got, want)
    assert got.std() > 0.1


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


@pytest.mark.parametrize(
    "spec",
    [
        LARGE,
        ModelSpec("bireal50", 0.125, (16, 16), 1, 4),
        ModelSpec("react18", 0.125, (16, 16), 1, 4),
        ModelSpec("reactneta", 0.125, (16, 16), 1, 4),
    ],
)
def test_every_parameter_learns(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    model = build_model(spec)
    F.cross_entropy(model(random_images(spec, 4, 0).float()), torch.arange(4)).backward()
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
            assert isinstance(block, Block)
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
    with pytest.raises(BirealError) as caught:
        ReferenceBiReal(ModelSpec("react18", 0.125, (16, 16), 1, 4))
    assert str(caught.value) == "model=react18 has no reference: choose bireal18 or bireal34"
