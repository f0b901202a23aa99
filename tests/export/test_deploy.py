"""The deploy model: float32 that is exact integer arithmetic, close to the trained network, or a refusal."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from functools import partial

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'bireal-hw[train]'")

import torch
import torch.nn.functional as F
from torch import Tensor

from bireal_hw.errors import BirealError
from bireal_hw.export.deploy import (
    GAIN_MAX,
    Affine,
    DeployBlock,
    DeployClipBlock,
    DeployNet,
    Pool,
    RealConv,
    count_saturated,
    snap_to_grid,
    to_deploy,
)
from bireal_hw.models.activations import LEAK_GAIN, LEAK_SHIFT
from bireal_hw.models.bireal import Block, ShiftedMap, build_model, conv_bn, range_quant
from bireal_hw.models.randomise import random_images
from bireal_hw.models.spec import EXACT, ModelSpec
from tests.export.samples import SPECS, network

pytestmark = pytest.mark.torch


# The same network in int64 from the stored integers alone; convolutions sum in float64, exact below 2^53.


def saturate(x: Tensor, bits: int) -> Tensor:
    return x.clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def real_conv(layer: RealConv, x: Tensor, bits: int | None) -> Tensor:
    acc = F.conv2d(x.double(), layer.w.double(), stride=layer.conv.stride, padding=layer.conv.padding).long()
    acc = acc + layer.h.view(1, -1, 1, 1)
    shift = layer.shift.view(1, -1, 1, 1)
    t = torch.where(shift >= 0, acc >> shift.clamp(min=0), acc << (-shift).clamp(min=0))
    return t if bits is None else saturate(t, bits)


def affine(layer: Affine, dot: Tensor) -> Tensor:
    return (layer.g.view(1, -1, 1, 1) * dot + layer.h.view(1, -1, 1, 1)) >> layer.shift


def pool(layer: Pool, r: Tensor) -> Tensor:
    side = layer.side
    total = r.sum(dim=(2, 3)) if side is None else F.avg_pool2d(r.double(), side, divisor_override=1).long()
    shift = layer.shift
    return saturate((total + 2 ** (shift - 1)) >> shift if shift > 0 else total << -shift, layer.bits)


def block(layer: DeployBlock, x: Tensor, r: Tensor | None, bits: int) -> Tensor:
    theta = torch.tensor(0) if layer.theta is None else layer.theta.view(1, -1, 1, 1)
    sign = torch.where(x >= theta, 1, -1).double()
    conv = layer.binary_conv
    dot = F.conv2d(sign, conv.weight.double(), stride=conv.stride, padding=conv.padding).long()
    u = affine(layer.affine, dot)
    if r is not None:
        r = r if layer.pool is None else pool(layer.pool, r)
        r = torch.cat([r] * layer.copies, dim=1)
        u = u + (r if layer.downsample is None else real_conv(layer.downsample, r, None))
    if layer.k is not None:
        k = layer.k.view(1, -1, 1, 1)
        u = torch.where(u >= 0, u, (u + ((1 << k) >> 1)) >> k)
    return saturate(u, bits)


def clip_block(layer: DeployClipBlock, x: Tensor, bits: int) -> Tensor:
    inside = x.clamp(-layer.clip.limit, layer.clip.limit)
    clipped = inside + ((LEAK_GAIN * (x - inside) + 2 ** (LEAK_SHIFT - 1)) >> LEAK_SHIFT)
    return real_conv(layer.conv, pool(layer.pool, clipped), bits)


def blocks(deploy: DeployNet) -> list[DeployBlock]:
    return [layer for layer in deploy.modules() if isinstance(layer, DeployBlock)]


def all_blocks(deploy: DeployNet) -> list[DeployBlock | DeployClipBlock]:
    return [layer for layer in deploy.modules() if isinstance(layer, DeployBlock | DeployClipBlock)]


def integers(deploy: DeployNet, spec: ModelSpec, p: Tensor) -> Tensor:
    bits = spec.shortcut_bits
    r = real_conv(deploy.conv1, p.long() - torch.tensor(deploy.m_c).view(1, -1, 1, 1), bits)
    if deploy.maxpool is not None:
        r = F.max_pool2d(r.double(), 3, stride=2, padding=1).long()
    streams = dict.fromkeys(("main", "mid", "inner"), r)
    units = [unit for stage in spec.stages() for unit in stage]
    for unit, layer in zip(units, all_blocks(deploy), strict=True):
        x, shortcut = streams[unit.reads], streams[unit.shortcut.reads] if unit.shortcut else None
        made = block(layer, x, shortcut, bits) if isinstance(layer, DeployBlock) else clip_block(layer, x, bits)
        streams[unit.gives] = made
    return pool(deploy.pool, streams["main"]) @ deploy.classifier.w.T + deploy.classifier.h


@pytest.mark.parametrize("name", SPECS)
def test_float32_equals_integers(name: str) -> None:
    spec = SPECS[name]
    deploy = to_deploy(network(name), spec)
    shape = (spec.channels, *spec.image)
    noise = torch.randint(0, 256, (2, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    flat = [torch.full((1, *shape), pixel, dtype=torch.uint8) for pixel in (0, 255)]
    images = torch.cat([random_images(spec, 3, 77), noise, *flat])
    logits = deploy(images.float()).double() * 2.0**deploy.frac
    assert torch.equal(logits, integers(deploy, spec, images).double())
    assert max(deploy.report.max_intermediate.values()) < EXACT
    assert deploy.m_c == ([104, 117, 123] if name == "means" else [128] * spec.channels)


@pytest.mark.parametrize("name", SPECS)
def test_affine_is_exact_over_its_whole_range(name: str) -> None:
    for layer in blocks(to_deploy(network(name), SPECS[name])):
        reach = layer.binary_conv.kernel_size[0] ** 2 * layer.binary_conv.in_channels
        dot = torch.arange(-reach, reach + 1).view(-1, 1, 1, 1).expand(-1, len(layer.affine.g), 1, 1)
        want = affine(layer.affine, dot)
        assert torch.equal(layer.affine(dot.float()).double() * 2.0**layer.affine.frac, want.double())
        assert (int(want.min()), int(want.max())) == layer.affine.range
        assert int(layer.affine.g.abs().max()) <= GAIN_MAX
        # The shift is the largest allowed: one more breaks the 16 bits of G or the 24 bits of the sum.
        peak = (layer.affine.g.abs() * reach + layer.affine.h.abs()).max()
        assert 2 * layer.affine.g.abs().max() + 1 > GAIN_MAX or 2 * peak + reach + 2 > EXACT


@pytest.mark.parametrize("name", SPECS)
def test_real_convolutions_are_exact_at_the_ends_of_their_range(name: str) -> None:
    deploy = to_deploy(network(name), SPECS[name])
    convs = [(deploy.conv1, 7, 255 if name == "means" else 128)]
    for one in all_blocks(deploy):
        conv = one.downsample if isinstance(one, DeployBlock) else one.conv
        if conv is not None:
            assert one.pool is not None
            convs.append((conv, one.pool.frac, 128))
    stems = [deploy.conv1, *(one.conv for one in all_blocks(deploy) if isinstance(one, DeployClipBlock))]
    for layer, in_frac, peak in convs:
        bits = SPECS[name].shortcut_bits if layer in stems else None
        kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
        # One image per output channel: the inputs that agree with every sign of its weights, where output 4 looks.
        first = 4 * stride - layer.conv.padding[0]
        side = 4 * stride + kernel
        x = torch.zeros(len(layer.w), layer.conv.in_channels, side, side, dtype=torch.long)
        x[..., first : first + kernel, first : first + kernel] = torch.where(layer.w >= 0, peak, -peak)
        ends = []
        for inputs in (x, -x):
            want = real_conv(layer, inputs, bits)
            assert torch.equal(layer(inputs * 2.0**-in_frac).double() * 2.0**layer.frac, want.double())
            ends += [int(want[..., 4, 4].min()), int(want[..., 4, 4].max())]
        if bits is None:
            assert (min(ends), max(ends)) == layer.range


@pytest.mark.parametrize("name", SPECS)
def test_pools_are_exact_where_they_saturate(name: str) -> None:
    bits = SPECS[name].shortcut_bits
    for layer in (layer for layer in to_deploy(network(name), SPECS[name]).modules() if isinstance(layer, Pool)):
        in_frac = layer.frac + layer.shift - (2 if layer.side == 2 else 0)
        for value in (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -1, 0, 1, 3, 2 ** (bits - 4)):
            r = torch.full((1, 2, 2, 2), value)
            assert torch.equal(layer(r * 2.0**-in_frac).double() * 2.0**layer.frac, pool(layer, r).double())


def test_blocks_saturate_at_the_stream_width() -> None:
    spec = SPECS["deep"]
    layer = blocks(to_deploy(network("deep"), spec))[1]
    for value in (-128, 127):
        r = torch.full((1, layer.binary_conv.in_channels, 4, 4), value)
        want = block(layer, r, r, spec.shortcut_bits)
        x = r * 2.0**-layer.affine.frac
        got = layer(x, x).double() * 2.0**layer.affine.frac
        assert torch.equal(got, want.double())
        assert int(want.abs().max()) >= 127


@pytest.mark.parametrize("name", SPECS)
def test_each_layer_stays_within_two_units_of_the_trained_one(name: str) -> None:
    """The cause of a difference: gain and bias on the integer grid move a value over a rounding edge or two."""
    spec = SPECS[name]
    model = network(name)
    deploy = to_deploy(model, spec)
    p = random_images(spec, 4, 9).float()
    x = (p - model.mean.view(1, -1, 1, 1)) / 128
    with torch.no_grad():
        r = deploy.conv1(deploy.center(p))
        close(model.stages()[0].stream(conv_bn(model.conv1, model.bn1, x)), r, deploy.conv1.frac)
        if deploy.maxpool is not None:
            r = deploy.maxpool(r)
        streams = dict.fromkeys(("main", "mid", "inner"), ShiftedMap(r))
        trained = [(stage, layer) for stage in model.stages() for layer in stage.blocks()]
        for (stage, layer), deployed in zip(trained, all_blocks(deploy), strict=True):
            unit = layer.unit
            read, added = streams[unit.reads], streams[unit.shortcut.reads] if unit.shortcut else None
            wanted = layer(read, added, stage.stream)
            after = deployed(read.value, None if added is None else added.value)
            close(wanted.value, after, int(range_quant(stage.stream).frac))
            streams[unit.gives] = ShiftedMap(after, wanted.shift)
        r, shift = streams["main"]
        q = deploy.pool(r)
        torch.testing.assert_close(model.pool_quant(r.sum(dim=(2, 3))), q, rtol=0, atol=0)
        # The classifier keeps the factor 1/pixels out; only its bias is rounded.
        whole = q / spec.pixels if shift is None else q / spec.pixels + shift.flatten()
        close(model.fc(whole) * spec.pixels, deploy.classifier(q), deploy.frac)


def close(trained: Tensor, deployed: Tensor, frac: int) -> None:
    units = (trained - deployed).abs() * 2.0**frac
    assert units.max() <= 2
    assert units.mean() < 0.5


@pytest.mark.parametrize("name", SPECS)
def test_snapped_network_is_its_own_deploy_model(name: str) -> None:
    """Random networks amplify every flipped sign, so equal logits mean that none flipped."""
    spec = SPECS[name]
    model = copy.deepcopy(network(name))
    images = random_images(spec, 12, 31).float()
    before = to_deploy(model, spec)(images)
    with torch.no_grad():
        assert (model(images) * spec.pixels - before).abs().max() > 0.1
        deploy = snap_to_grid(model, spec)
        trained = model(images)
    assert torch.equal(deploy(images), before)
    # what is left is float32 noise of the classifier
    torch.testing.assert_close(trained * spec.pixels, before, rtol=0, atol=1e-3)
    assert torch.equal(to_deploy(model, spec)(images), before), "snapping twice changes nothing"


def test_model_is_left_as_it_was() -> None:
    model = copy.deepcopy(network("small"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    to_deploy(model, SPECS["small"])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_weights_tiny_beside_their_bias_get_a_coarser_grid() -> None:
    spec = SPECS["small"]
    model = copy.deepcopy(network("small"))
    with torch.no_grad():
        model.conv1.weight[0] *= 1e-5
        model.conv1.weight[1] = 0
        model.bn1.bias[:2] = 3.0
        model.bn1.running_mean[:2] = 0  # type: ignore[index]
    deploy = to_deploy(model, spec)
    assert deploy.conv1.peak < EXACT
    images = random_images(spec, 4, 1)
    logits = deploy(images.float()).double() * 2.0**deploy.frac
    assert torch.equal(logits, integers(deploy, spec, images).double())
    r = deploy.conv1(deploy.center(images.float()))
    assert torch.equal(r[:, :2], torch.full_like(r[:, :2], 3.0))


def test_batchnorm_beyond_the_grid_is_refused() -> None:
    model = copy.deepcopy(network("small"))
    with torch.no_grad():
        model.stages()[1].blocks()[2].bn1.weight[:] = 0
        model.stages()[1].blocks()[2].bn1.weight[3] = 1e5
        block_ = model.stages()[1].blocks()[2]
        assert isinstance(block_, Block)
        assert block_.bn1.running_var is not None
        gain = float(1e5 * block_.binary_conv.weight[3].abs().mean() / (block_.bn1.running_var[3] + 1e-5) ** 0.5)
    with pytest.raises(BirealError) as caught:
        to_deploy(model, SPECS["small"])
    text = str(caught.value)
    assert text.startswith("layer2.2.affine: BatchNorm does not fit the integer grid: |G|=")
    assert text.endswith(" without a shift; at most 32767 and 16777215")
    found = int(text.split("|G|=")[1].split(",")[0])
    frac = int(range_quant(model.stages()[1].stream).frac)
    assert found == pytest.approx(gain * 2.0**frac, rel=1e-4)


@pytest.mark.parametrize("bits", [16, 12])
@pytest.mark.parametrize("model", ["bireal18", "bireal50", "react18"])
def test_what_is_said_before_training_is_what_export_says(model: str, bits: int) -> None:
    sides = [(64, 64), (704, 704), (544, 960), (736, 736), (1024, 1024)]
    small = ModelSpec(model, 0.125, (64, 64), 1, 2, bits)
    large = ModelSpec(model, 0.125, (96, 96), 1, 2, bits)
    networks = {spec.small: build_model(spec) for spec in (small, large)}
    refused = 0
    for image in sides:
        spec = dataclasses.replace(small, image=image)
        network = networks[spec.small]
        stream = range_quant(network.stages()[3].stream)
        for dropped in (8, 18):  # bits of the pool's sums, as training may find them
            stream.frac.fill_(10)
            range_quant(network.pool_quant).frac.fill_(10 - dropped)
            before, after = said(spec.check_sums), said(partial(to_deploy, network, spec))
            assert before == after, (image, dropped)
        refused += bool(before)
    assert refused == (3 if bits == 16 else 0)


def said(work: Callable[[], object]) -> str:
    """What the error of some work says; nothing if there is none."""
    try:
        work()
    except BirealError as error:
        return str(error)
    return ""


def test_sums_beyond_float32_are_refused() -> None:
    text = said(ModelSpec("bireal18", 0.125, (1024, 1024), 1, 2).check_sums)
    assert text == (
        "image=1024x1024 is out of range: the global pool sums 1,024 pixels of 16 bits, which float32 does not hold "
        "exactly: choose shortcut_bits=14 or less, or an image of 704x704 or less"
    )
    ModelSpec("bireal18", 0.125, (1024, 1024), 1, 2, 14).check_sums()
    ModelSpec("bireal18", 0.125, (704, 704), 1, 2).check_sums()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    model = copy.deepcopy(network("small"))
    with torch.no_grad():
        model.stages()[2].blocks()[0].bn1.bias[1] = value
    with pytest.raises(BirealError) as caught:
        to_deploy(model, SPECS["small"])
    assert str(caught.value) == (
        "layer3.0.bn1.bias holds NaN or infinity: training diverged or the checkpoint is broken"
    )


@pytest.mark.parametrize("value", [127.5, -1.0, 256.0])
def test_offsets_that_are_no_pixels_are_refused(value: float) -> None:
    model = copy.deepcopy(network("small"))
    model.mean.fill_(value)
    with pytest.raises(BirealError) as caught:
        to_deploy(model, SPECS["small"])
    assert str(caught.value) == f"m_c={value} is no pixel value: choose whole numbers from 0 to 255"


def test_saturated_values_are_counted_per_layer() -> None:
    spec = SPECS["small"]
    images = random_images(spec, 6, 5)
    counts = count_saturated(to_deploy(network("small"), spec), images)
    assert counts["conv1.quant"] == 0
    assert {"center.quant", "layer1.0.merge", "layer2.0.pool.quant", "pool.quant"} <= set(counts)
    model = copy.deepcopy(network("small"))
    range_quant(model.stages()[0].stream).frac.fill_(15)
    deploy = to_deploy(model, spec)
    r = integers_of_stem(deploy, images)
    low, high = -(2**15), 2**15 - 1
    want = int(((r > high) | (r < low)).sum())
    assert want > 0
    assert count_saturated(deploy, images, batch=4)["conv1.quant"] == want


def test_react_thresholds_are_exact_around_their_value() -> None:
    for layer in blocks(to_deploy(network("react"), SPECS["react"])):
        assert layer.theta is not None
        for step in (-1, 0, 1):
            x = (layer.theta + step).view(1, -1, 1, 1)
            got = layer.sign(x * 2.0**-layer.in_frac - layer.threshold)
            assert torch.equal(got, torch.full_like(got, -1.0 if step < 0 else 1.0))


def test_prelu_is_exact_for_every_small_sum_and_slope() -> None:
    layer = copy.deepcopy(blocks(to_deploy(network("react"), SPECS["react"]))[0])
    layer.k = torch.arange(8)
    layer.slope = torch.exp2(-layer.k.float())
    layer.affine.g[:], layer.affine.h[:] = 0, 0
    layer.affine.scale.zero_()
    layer.affine.bias.zero_()
    u = torch.arange(-600, 600).view(-1, 1, 1, 1).expand(-1, 8, 1, 1)
    frac = layer.affine.frac
    x = torch.zeros(len(u), 8, 1, 1)
    want = block(layer, x.long(), u, SPECS["react"].shortcut_bits)
    assert torch.equal(layer(x, u * 2.0**-frac).double() * 2.0**frac, want.double())


def test_leaky_clip_is_exact_over_the_whole_stream() -> None:
    (layer,) = (one for one in all_blocks(to_deploy(network("bottleneck"), SPECS["bottleneck"]))
                if isinstance(one, DeployClipBlock))  # fmt: skip
    u = torch.arange(-(2**15), 2**15)
    inside = u.clamp(-layer.clip.limit, layer.clip.limit)
    want = inside + ((LEAK_GAIN * (u - inside) + 2 ** (LEAK_SHIFT - 1)) >> LEAK_SHIFT)
    frac = layer.clip.frac
    assert torch.equal(layer.clip(u * 2.0**-frac).double() * 2.0**frac, want.double())
    assert 0 < layer.clip.limit < 2**15
    assert int(want.abs().max()) <= layer.clip.out_peak < 2**15


def integers_of_stem(deploy: DeployNet, images: Tensor) -> Tensor:
    return real_conv(deploy.conv1, images.long() - 128, None)
