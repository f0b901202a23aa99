"""The deploy model: a trained network with BatchNorm, alpha and biases snapped to the hardware's integer grid.

Every tensor in it is integer * power of two in float32, and every integer is proven to stay below 2^24 from the ranges
of the real weights, so PyTorch, onnxruntime and qonnx compute the hardware's integers exactly. The modules are laid out
so that Brevitas's stock QONNX handlers write the node patterns of docs/architecture.md, section 6.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from torch import Tensor, nn

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import half, signed_width
from bireal_hw.models.activations import LEAK_GAIN, LEAK_SHIFT
from bireal_hw.models.bireal import INPUT_FRAC, BiReal, Block, ClipBlock, ReactBlock, range_quant
from bireal_hw.models.modes import is_binary
from bireal_hw.models.networks import MAIN
from bireal_hw.models.quantizers import BitWeight, GridAct, GridQuant, GridWeight, SignAct, channel_mean, weight_step
from bireal_hw.models.spec import EXACT, ModelSpec

GAIN_MAX = 2**15 - 1
"""Largest |G| of the affine: 16 bits signed."""

SHIFT_MAX = 23
"""Largest right shift: its half, 2^22, leaves room below 2^24."""

WEIGHT_MAX = 127
PIXEL_MAX = 255


def _per_channel(values: Tensor) -> Tensor:
    return values.float().view(1, -1, 1, 1)


class Center(nn.Module):
    """Compute x = (p - m_c) * 2^-7, in 8 bits where every m_c is 128, else in 9."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.bits = 8 if bool((mean == 128).all()) else 9
        self.register_buffer("mean", mean.view(1, -1, 1, 1).clone())
        self.quant = QuantIdentity(act_quant=GridAct, bits=self.bits, frac=INPUT_FRAC)

    mean: Tensor

    def forward(self, p: Tensor) -> Tensor:
        return self.quant((p - self.mean) * 2.0**-INPUT_FRAC)


class StreamFormat(NamedTuple):
    """What is known of a stream that a layer reads.

    peak    bound of its integers' magnitude
    frac    its grid is 2^-frac
    shift   (C,) float64 that its readers add, or None (see `bireal_hw.models.bireal.ShiftedMap`)
    """

    peak: int
    frac: int
    shift: Tensor | None = None


class RealConv(nn.Module):
    """Compute t = (acc_c + H_c) >> s_c on the grid 2^-frac, with 8-bit weights on the grids 2^-e_c.

    The output saturates to `bits`; with bits None it has the width of its range, so nothing can saturate. Integers
    kept: w (Cout, Cin, k, k), h and shift (Cout,); `peak` bounds all of them and every sum.
    """

    def __init__(
        self, name: str, conv: QuantConv2d, bn: nn.BatchNorm2d | None, source: StreamFormat, frac: int, bits: int | None
    ) -> None:
        super().__init__()
        self.frac = frac
        in_peak, in_frac, missing = source
        weights = conv.weight.detach().double() * _fold64(bn, conv.out_channels).view(-1, 1, 1, 1)
        fixed = _bias64(bn, conv.out_channels)
        exponent = -torch.log2(weight_step(weights, WEIGHT_MAX, per_channel=True)).round().long().flatten()
        exponent = exponent.clamp(max=frac - in_frac + SHIFT_MAX)
        # A channel whose weights are tiny beside its bias gets a coarser grid, as far as the output cannot tell.
        while True:
            self.shift = in_frac + exponent - frac
            left = torch.exp2((-self.shift).clamp(min=0).double())
            rounding = torch.tensor([half(shift) for shift in self.shift.tolist()])
            w = torch.round(torch.ldexp(weights, exponent.view(-1, 1, 1, 1)))
            bias = fixed if missing is None else fixed + torch.ldexp(w.sum(dim=(2, 3)) @ missing, -exponent)
            h = torch.round(torch.ldexp(bias, in_frac + exponent)) + rounding
            span = w.abs().sum(dim=(1, 2, 3)) * in_peak
            reach = (span + h.abs()) * left
            coarser = (reach >= EXACT) & (self.shift > 0)
            if not coarser.any():
                break
            exponent = exponent - coarser.long()
        self.peak = _check(name, float(reach.max()))
        self.w, self.h = w.long(), h.long()
        scale = torch.exp2(-self.shift.double())
        self.range = (int(((h - span) * scale).floor().min()), int(((h + span) * scale).floor().max()))
        width = bits or signed_width(*self.range)
        step = torch.exp2(-exponent.double()).float().view(-1, 1, 1, 1)
        self.conv = QuantConv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, stride=conv.stride, padding=conv.padding,
            bias=False, weight_quant=GridWeight, weight_step=step,
        )  # fmt: skip
        self.conv.weight.data.copy_(self.w.float() * step)
        self.register_buffer("bias", _per_channel(torch.ldexp(self.h.double(), -(in_frac + exponent))))
        self.quant = QuantIdentity(act_quant=GridAct, bits=width, frac=frac)

    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.quant(self.conv(x) + self.bias)


class Affine(nn.Module):
    """Compute t = (G_c * dot + H_c) >> s on the grid 2^-frac, s as large as float32 and 16-bit G allow.

    It stands for gain_c * dot + bias_c, |dot| <= reach. Integers kept: g and h (Cout,), shift; `range` is that of t.
    """

    def __init__(self, name: str, gain: Tensor, bias: Tensor, reach: int, frac: int) -> None:
        super().__init__()
        for shift in range(SHIFT_MAX, -1, -1):
            unit = 2.0 ** (shift + frac)
            g = torch.round(gain * unit)
            h = torch.round(bias * unit) + half(shift)
            span = g.abs() * reach
            most_g, peak = int(g.abs().max()), int((span + h.abs()).max())
            if most_g <= GAIN_MAX and peak < EXACT:
                break
        else:
            raise BirealError(
                f"{name}: BatchNorm does not fit the integer grid: |G|={most_g}, |G*dot|+|H|={peak} without a shift;"
                f" at most {GAIN_MAX} and {EXACT - 1}"
            )
        self.g, self.h = g.long(), h.long()
        self.shift = shift
        self.frac = frac
        self.peak = peak
        self.range = (int((h - span).min()) >> shift, int((h + span).max()) >> shift)
        self.register_buffer("scale", _per_channel(self.g.double() / unit))
        self.register_buffer("bias", _per_channel(self.h.double() / unit))
        self.quant = QuantIdentity(act_quant=GridAct, bits=signed_width(*self.range), frac=frac)

    scale: Tensor
    bias: Tensor

    def forward(self, dot: Tensor) -> Tensor:
        return self.quant(dot * self.scale + self.bias)


class Pool(nn.Module):
    """Round a stream that is summed over windows: q = sat((sum + half) >> n).

    The window is the whole image with side None (a sum), else side x side pixels (a mean), 1 for no pool at all.
    """

    def __init__(self, name: str, source: StreamFormat, frac: int, bits: int, side: int | None, pixels: int) -> None:
        super().__init__()
        self.side = side
        self.frac, self.bits = frac, bits
        # A mean over 2x2 has two more fraction bits than what it averages; a sum has none.
        self.shift = source.frac + (0 if side is None else 2 * (side - 1)) - frac
        peak = pixels * source.peak + half(self.shift)
        self.peak = _check(name, peak if self.shift >= 0 else peak << -self.shift)
        self.register_buffer("rounding", torch.tensor(2.0 ** -(frac + 1)))
        self.quant = QuantIdentity(act_quant=GridAct, bits=bits, frac=frac)

    rounding: Tensor

    def forward(self, r: Tensor) -> Tensor:
        pooled = r.sum(dim=(2, 3)) if self.side is None else F.avg_pool2d(r, self.side) if self.side > 1 else r
        return self.quant(pooled + self.rounding if self.shift > 0 else pooled)


class LeakyClip(nn.Module):
    """Compute c + ((G * (u - c) + half) >> s) with c = clip(u, -limit, limit), limit being 1 on the grid."""

    def __init__(self, name: str, source: StreamFormat) -> None:
        super().__init__()
        self.frac = source.frac
        self.limit = round(2.0**source.frac)
        excess = max(source.peak - self.limit, 0)
        self.peak = _check(name, LEAK_GAIN * excess + half(LEAK_SHIFT))
        leak = self.peak >> LEAK_SHIFT
        self.out_peak = min(self.limit, source.peak) + leak
        self.register_buffer("scale", torch.tensor(LEAK_GAIN * 2.0**-LEAK_SHIFT))
        self.register_buffer("rounding", torch.tensor(2.0 ** -(self.frac + 1)))
        self.quant = QuantIdentity(act_quant=GridAct, bits=signed_width(-leak, leak), frac=self.frac)

    scale: Tensor
    rounding: Tensor

    def forward(self, u: Tensor) -> Tensor:
        bound = self.limit * 2.0**-self.frac
        inside = u.clamp(-bound, bound)
        return inside + self.quant((u - inside) * self.scale + self.rounding)


class DeployBlock(nn.Module):
    """Compute r' = sat_W(f(shortcut + ((G * dot + H) >> s))), the bits of the dot product being x >= theta.

    theta is 0 and f nothing, except for a `ReactBlock`: theta per channel, and f multiplies a negative sum by 2^-k per
    channel, rounding half up. The shifts around them are part of theta and H, or left to whoever reads r'.
    """

    def __init__(self, name: str, block: Block, x: StreamFormat, r: StreamFormat | None, bits: int, frac: int) -> None:
        super().__init__()
        conv, bn = block.binary_conv, block.bn1
        self.in_frac, self.missing, self.crossing = x.frac, x.shift, None if r is None else r.shift
        weight = conv.weight.detach()
        self.sign = QuantIdentity(act_quant=SignAct)
        self.binary_conv = QuantConv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, stride=conv.stride, padding=conv.padding,
            bias=False, weight_quant=BitWeight,
        )  # fmt: skip
        self.binary_conv.weight.data.copy_(torch.where(weight >= 0, 1.0, -1.0))
        self.pool: Pool | None = None
        self.downsample: RealConv | None = None
        self.copies = block.unit.shortcut.copies if block.unit.shortcut else 1
        shortcut = StreamFormat(0, frac) if r is None else self._shortcut(name, block, r, bits, frac)
        self.carried = shortcut.shift
        gain = _fold64(bn) * channel_mean(weight.double()).flatten()
        bias = _bias64(bn) if shortcut.shift is None else _bias64(bn) + shortcut.shift
        self.theta: Tensor | None = None
        self.k: Tensor | None = None
        self.out_shift: Tensor | None = None
        if isinstance(block, ReactBlock):
            bias = bias + block.move1.bias.detach().double()
            before = block.move0.bias.detach().double()
            before = before if x.shift is None else before + x.shift
            limit = 2 * x.peak  # beyond it nothing changes
            self.theta = torch.ceil(-before * 2.0**x.frac).clamp(-limit, limit).long()
            self.register_buffer("threshold", _per_channel(self.theta.double() * 2.0**-x.frac))
            self.k = block.prelu.shift
            self.register_buffer("slope", torch.exp2(-self.k.float()))
            self.register_buffer("rounding", torch.tensor(2.0 ** -(frac + 1)))
            self.out_shift = block.move2.bias.detach().double()
        reach = conv.in_channels * conv.kernel_size[0] ** 2
        self.affine = Affine(f"{name}.affine", gain, bias, reach, frac)
        most = shortcut.peak + max(abs(bound) for bound in self.affine.range)
        self.peak = _check(f"{name}.merge", most + (0 if self.k is None else half(int(self.k.max()))))
        self.merge = QuantIdentity(act_quant=GridAct, bits=bits, frac=frac)

    threshold: Tensor
    slope: Tensor
    rounding: Tensor

    def _shortcut(self, name: str, block: Block, source: StreamFormat, bits: int, frac: int) -> StreamFormat:
        """Set up what brings a stream to size and grid of the sums: a pool, or a pool to 8 bits and a convolution."""
        wanted, down = block.unit.shortcut, block.downsample
        assert wanted
        pixels = wanted.pool**2
        if down is not None:
            eight = int(range_quant(down.pool_quant).frac)
            self.pool = Pool(f"{name}.pool", source, eight, 8, wanted.pool, pixels)
            rounded = StreamFormat(128, eight, source.shift)
            self.downsample = RealConv(f"{name}.downsample", down.conv, down.bn, rounded, frac, None)
            return StreamFormat(max(abs(bound) for bound in self.downsample.range), frac)
        if wanted.pool > 1:
            self.pool = Pool(f"{name}.pool", source, frac, bits, wanted.pool, pixels)
        return source if source.shift is None else source._replace(shift=source.shift.repeat(wanted.copies))

    def forward(self, x: Tensor, r: Tensor | None) -> Tensor:
        if self.theta is not None:
            x = x - self.threshold
        u = self.affine(self.binary_conv(self.sign(x)))
        if r is not None:
            r = r if self.pool is None else self.pool(r)
            r = r if self.copies == 1 else torch.cat([r] * self.copies, dim=1)
            u = (r if self.downsample is None else self.downsample(r)) + u
        return self.merge(u if self.k is None else F.prelu(u, self.slope) + self.rounding)


class DeployClipBlock(nn.Module):
    """Compute r' = sat_W((acc_c + H_c) >> s_c), a real convolution of the leaky clip of the stream in 8 bits."""

    out_shift = None

    def __init__(self, name: str, block: ClipBlock, x: StreamFormat, bits: int, frac: int) -> None:
        super().__init__()
        eight = int(range_quant(block.quant).frac)
        self.clip = LeakyClip(f"{name}.clip", x)
        self.pool = Pool(f"{name}.pool", StreamFormat(self.clip.out_peak, x.frac), eight, 8, 1, 1)
        self.conv = RealConv(f"{name}.conv", block.real_conv, block.bn1, StreamFormat(128, eight), frac, bits)

    def forward(self, x: Tensor, r: Tensor | None) -> Tensor:
        return self.conv(self.pool(self.clip(x)))


class Classifier(nn.Module):
    """Compute the logits acc + H, one weight grid for the whole layer; the factor 1/pixels stays out of them."""

    def __init__(self, name: str, fc: QuantLinear, in_frac: int, pixels: int, missing: Tensor | None) -> None:
        super().__init__()
        weights = fc.weight.detach().double()
        step = weight_step(weights, WEIGHT_MAX, per_channel=False)
        self.frac = in_frac - round(math.log2(float(step)))
        self.w = torch.round(weights / step).long()
        assert fc.bias is not None
        bias = fc.bias.detach().double()
        if missing is not None:
            bias = bias + (self.w * step) @ missing
        self.h = torch.round(bias * pixels * 2.0**self.frac).long()
        self.peak = _check(name, float((self.w.abs().sum(dim=1) * 128 + self.h.abs()).max()))
        self.fc = QuantLinear(
            fc.in_features, fc.out_features, bias=True, weight_quant=GridWeight, weight_step=step.float()
        )
        self.fc.weight.data.copy_(self.w * step)
        self.fc.bias.data.copy_(self.h * 2.0**-self.frac)

    def forward(self, q: Tensor) -> Tensor:
        return self.fc(q)


@dataclass
class DeployReport:
    """What the export says about the integers: bound of every layer, grid of every stage's stream."""

    max_intermediate: dict[str, int] = field(default_factory=dict)
    shortcut_fracs: dict[str, int] = field(default_factory=dict)


class DeployNet(nn.Module):
    """The network in exact integers (times powers of two).

    Input p float32 (N, C, H, W) holding 0..255; output logits (N, classes), integer = value * 2^frac.
    `m_c` are the offsets of the pixels, `report` the proven bounds.
    """

    def __init__(self, model: BiReal, spec: ModelSpec) -> None:
        super().__init__()
        bits = spec.shortcut_bits
        stages = model.stages()
        self.stages = spec.stages()
        fracs = [int(range_quant(stage.stream).frac) for stage in stages]
        self.center = Center(_offsets(model.mean))
        pixel = StreamFormat(128 if self.center.bits == 8 else PIXEL_MAX, INPUT_FRAC)
        self.conv1 = RealConv("conv1", model.conv1, model.bn1, pixel, fracs[0], bits)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if spec.stem[2] else None
        peak = 2 ** (bits - 1)
        sources = {unit.reads: StreamFormat(peak, fracs[0]) for units in self.stages for unit in units}
        for index, (stage, frac) in enumerate(zip(stages, fracs, strict=True)):
            blocks: list[DeployBlock | DeployClipBlock] = []
            for number, (unit, block) in enumerate(zip(stage.units, stage.blocks(), strict=True)):
                name, x = f"layer{index + 1}.{number}", sources[unit.reads]
                if isinstance(block, ClipBlock):
                    blocks.append(DeployClipBlock(name, block, x, bits, frac))
                else:
                    r = sources[unit.shortcut.reads] if unit.shortcut else None
                    blocks.append(DeployBlock(name, block, x, r, bits, frac))
                sources[unit.gives] = StreamFormat(peak, frac, blocks[-1].out_shift)
            self.add_module(f"layer{index + 1}", nn.ModuleList(blocks))
        last = sources[MAIN]
        self.pool = Pool("pool", last, int(range_quant(model.pool_quant).frac), 8, None, spec.pixels)
        self.classifier = Classifier("fc", model.fc, self.pool.frac, spec.pixels, last.shift)
        self.frac = self.classifier.frac
        self.m_c = [int(offset) for offset in self.center.mean.flatten()]
        peaks = {name: getattr(module, "peak", None) for name, module in self.named_modules()}
        self.report = DeployReport(
            max_intermediate={name: peak for name, peak in peaks.items() if isinstance(peak, int)},
            shortcut_fracs={f"layer{index + 1}": frac for index, frac in enumerate(fracs)},
        )
        self.eval()

    def forward(self, p: Tensor) -> Tensor:
        r = self.conv1(self.center(p))
        if self.maxpool is not None:
            r = self.maxpool(r)
        streams = {unit.reads: r for units in self.stages for unit in units}
        for index, units in enumerate(self.stages, start=1):
            for unit, block in zip(units, cast(nn.ModuleList, self.get_submodule(f"layer{index}")), strict=True):
                shortcut = streams[unit.shortcut.reads] if unit.shortcut else None
                streams[unit.gives] = block(streams[unit.reads], shortcut)
        return self.classifier(self.pool(streams[MAIN]))


def to_deploy(model: BiReal, spec: ModelSpec) -> DeployNet:
    """Snap a trained network to the integer grid; the result is in eval mode on the CPU, `model` stays as it is.

    It runs on the CPU only: GPU libraries may pick convolutions (TF32, Winograd, FFT) that are not exact on integers.
    Raises BirealError for an image that is too large, naming the layer whose integers can reach 2^24, or
    the tensor that holds NaN or infinity.
    """
    spec.check_sums()
    if not is_binary(model):
        raise BirealError("the network is real-valued, so it has no deploy model: choose a recipe that ends binary")
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise BirealError(f"{name} holds NaN or infinity: training diverged or the checkpoint is broken")
    with torch.no_grad():
        return DeployNet(copy.deepcopy(model).cpu(), spec).requires_grad_(False)


def snap_to_grid(model: BiReal, spec: ModelSpec) -> DeployNet:
    """Move the real numbers of a trained network onto the hardware's grid, in place; deploy it.

    Afterwards the trained network in eval mode rounds as the deploy model does, but for float32 noise. Each moves by
    half a unit of its grid at most, 16 bits or so; but a Bi-Real network answers to a single flipped sign with many
    more, so that without this step the two differ in as many images as two runs of the same training would.
    """
    deploy = to_deploy(model, spec)
    blocks = [block for stage in model.stages() for block in stage.blocks()]
    deployed = [module for module in deploy.modules() if isinstance(module, DeployBlock | DeployClipBlock)]
    with torch.no_grad():
        _snap_real(model.conv1, model.bn1, deploy.conv1)
        for block, snapped in zip(blocks, deployed, strict=True):
            if isinstance(block, ClipBlock):
                assert isinstance(snapped, DeployClipBlock)
                _snap_real(block.real_conv, block.bn1, snapped.conv)
            else:
                assert isinstance(snapped, DeployBlock)
                _snap_block(block, snapped)
        assert model.fc.bias is not None
        missing = deployed[-1].out_shift
        logits = deploy.classifier.h * 2.0**-deploy.frac / spec.pixels
        grid = 2.0 ** (deploy.pool.frac - deploy.frac)
        model.fc.bias.copy_(logits if missing is None else logits - (deploy.classifier.w.double() * grid) @ missing)
    return deploy


def _snap_block(block: Block, snapped: DeployBlock) -> None:
    """Put the affine, the thresholds and the shortcut's bias of a block on the hardware's grid."""
    affine = snapped.affine
    alpha = channel_mean(block.binary_conv.weight.double()).flatten()
    unit = 2.0 ** -(affine.shift + affine.frac)
    # A quarter of a unit keeps float32 noise from deciding a tie.
    bias = (affine.h - half(affine.shift) + (0.25 if affine.shift > 0 else 0)) * unit
    if snapped.carried is not None:
        bias = bias - snapped.carried
    if isinstance(block, ReactBlock):
        assert snapped.theta is not None
        # Half a unit below the threshold, so that float32 noise decides no tie.
        before = (0.5 - snapped.theta) * 2.0**-snapped.in_frac
        block.move0.bias.copy_(before if snapped.missing is None else before - snapped.missing)
        bias = bias - block.move1.bias.cpu()
    assert block.bn1.running_var is not None
    factor = torch.where(alpha > 0, affine.g.to(alpha) * unit / alpha, 0)
    block.bn1.weight.copy_(factor * torch.sqrt(block.bn1.running_var.double() + block.bn1.eps))
    _set_bias(block.bn1, bias.to(alpha))
    if block.downsample is not None:
        assert snapped.downsample is not None
        _snap_real(block.downsample.conv, block.downsample.bn, snapped.downsample, snapped.crossing)


def _snap_real(conv: QuantConv2d, bn: nn.BatchNorm2d | None, snapped: RealConv, missing: Tensor | None = None) -> None:
    """Put a real convolution, and the bias of the BatchNorm behind it, on the grid; its input lacks a shift."""
    weight, factor = snapped.conv.weight.detach().double(), _fold64(bn, conv.out_channels).cpu().view(-1, 1, 1, 1)
    # A shade towards 0: 127 steps must not become more by float32 noise, which would double the step.
    on_grid = torch.where(factor == 0, 0, weight * (1 - 2.0**-20) / factor).to(conv.weight)
    conv.weight.copy_(torch.where((factor == 0).to(conv.weight.device), conv.weight, on_grid))
    if bn is not None:
        rounding = torch.tensor([half(shift) - (0.25 if shift > 0 else 0) for shift in snapped.shift.tolist()])
        bias = torch.ldexp(snapped.h.double() - rounding.double(), -(snapped.shift + snapped.frac))
        if missing is not None:
            bias = bias - weight.sum(dim=(2, 3)) @ missing
        _set_bias(bn, bias.to(bn.weight.device))


def _set_bias(bn: nn.BatchNorm2d, bias: Tensor) -> None:
    """Choose beta such that the folded bias, beta - mean * gamma / sqrt(variance + eps), is `bias`."""
    assert bn.running_mean is not None
    bn.bias.copy_(bias + bn.running_mean.double() * _fold64(bn))


def count_saturated(deploy: DeployNet, images: Tensor, batch: int = 64) -> dict[str, int]:
    """Count the values that saturate in each layer that may, for pixels (N, C, H, W) in 0..255."""
    counts: dict[str, int] = {}

    def watch(name: str, limit: float) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            (value,) = inputs
            counts[name] += int(((value >= limit) | (value < -limit)).sum())

        return hook

    hooks = []
    for name, module in deploy.named_modules():
        quants = [child for child in module.modules() if isinstance(child, GridQuant)]
        if isinstance(module, QuantIdentity) and quants:
            counts[name] = 0
            limit = 2.0 ** (quants[0].bits - 1 - quants[0].frac)
            hooks.append(module.register_forward_pre_hook(watch(name, limit)))
    try:
        with torch.no_grad():
            for start in range(0, len(images), batch):
                deploy(images[start : start + batch].float())
    finally:
        for handle in hooks:
            handle.remove()
    return counts


def _fold64(bn: nn.BatchNorm2d | None, channels: int = 0) -> Tensor:
    """Return gamma / sqrt(variance + eps) per channel; ones without a BatchNorm."""
    if bn is None:
        return torch.ones(channels, dtype=torch.float64)
    assert bn.running_var is not None
    return bn.weight.detach().double() / torch.sqrt(bn.running_var.double() + bn.eps)


def _bias64(bn: nn.BatchNorm2d | None, channels: int = 0) -> Tensor:
    """Return beta - mean * gamma / sqrt(variance + eps) per channel; zeros without a BatchNorm."""
    if bn is None:
        return torch.zeros(channels, dtype=torch.float64)
    assert bn.running_mean is not None
    return bn.bias.detach().double() - bn.running_mean.double() * _fold64(bn)


def _offsets(mean: Tensor) -> Tensor:
    for value in mean.tolist():
        if value != int(value) or not 0 <= value <= PIXEL_MAX:
            raise BirealError(f"m_c={value} is no pixel value: choose whole numbers from 0 to {PIXEL_MAX}")
    return mean


def _check(name: str, peak: float) -> int:
    if peak >= EXACT:
        raise BirealError(
            f"{name}: an integer can reach {peak:.0f}: float32 is exact below {EXACT};"
            " choose fewer shortcut_bits or a smaller image"
        )
    return int(peak)
