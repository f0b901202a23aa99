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

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from torch import Tensor, nn

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import half, signed_width
from bireal_hw.models.bireal import INPUT_FRAC, BiReal, Block
from bireal_hw.models.modes import is_binary
from bireal_hw.models.quantizers import (
    BitWeight,
    GridAct,
    GridQuant,
    GridWeight,
    RangeQuant,
    SignAct,
    channel_mean,
    weight_step,
)
from bireal_hw.models.spec import ModelSpec

EXACT = 2**24
"""Float32 holds every integer below this exactly."""

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


class RealConv(nn.Module):
    """Compute t = (acc_c + H_c) >> s_c on the grid 2^-frac, with 8-bit weights on the grids 2^-e_c.

    The inputs are integers of at most `in_peak` on the grid 2^-in_frac. The output saturates to `bits`; with bits None
    it has the width of its range, so nothing can saturate. Integers kept: w (Cout, Cin, k, k), h and shift (Cout,);
    `peak` bounds all of them and every sum.
    """

    def __init__(
        self, name: str, conv: QuantConv2d, bn: nn.BatchNorm2d, in_frac: int, in_peak: int, frac: int, bits: int | None
    ) -> None:
        super().__init__()
        self.frac = frac
        factor = _fold64(bn)
        weights = conv.weight.detach().double() * factor.view(-1, 1, 1, 1)
        bias = _bias64(bn)
        exponent = -torch.log2(weight_step(weights, WEIGHT_MAX, per_channel=True)).round().long().flatten()
        exponent = exponent.clamp(max=frac - in_frac + SHIFT_MAX)
        # A channel whose weights are tiny beside its bias gets a coarser grid, as far as the output cannot tell.
        while True:
            self.shift = in_frac + exponent - frac
            left = torch.exp2((-self.shift).clamp(min=0).double())
            rounding = torch.tensor([half(shift) for shift in self.shift.tolist()])
            w = torch.round(torch.ldexp(weights, exponent.view(-1, 1, 1, 1)))
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
    """Round a pooled stream to 8 bits: q = sat8((sum + half) >> n), by 2x2 windows or over the whole image."""

    def __init__(self, name: str, in_bits: int, in_frac: int, quant: RangeQuant, window: int, whole: bool) -> None:
        super().__init__()
        self.whole = whole
        self.frac = int(quant.frac)
        # A mean over 2x2 has two more fraction bits than what it averages; a sum has none.
        self.shift = in_frac + (0 if whole else 2) - self.frac
        peak = window * 2 ** (in_bits - 1) + half(self.shift)
        self.peak = _check(name, peak if self.shift >= 0 else peak << -self.shift)
        self.register_buffer("rounding", torch.tensor(2.0 ** -(self.frac + 1)))
        self.quant = QuantIdentity(act_quant=GridAct, bits=8, frac=self.frac)

    rounding: Tensor

    def forward(self, r: Tensor) -> Tensor:
        pooled = r.sum(dim=(2, 3)) if self.whole else F.avg_pool2d(r, 2)
        return self.quant(pooled + self.rounding if self.shift > 0 else pooled)


class DeployBlock(nn.Module):
    """Compute r' = sat_W(shortcut + ((G * dot + H) >> s))."""

    def __init__(self, name: str, block: Block, bits: int, in_frac: int, frac: int) -> None:
        super().__init__()
        self.sign = QuantIdentity(act_quant=SignAct)
        conv = block.binary_conv
        self.binary_conv = QuantConv2d(
            conv.in_channels, conv.out_channels, 3, stride=conv.stride, padding=1, bias=False, weight_quant=BitWeight
        )
        weight = conv.weight.detach()
        self.binary_conv.weight.data.copy_(torch.where(weight >= 0, 1.0, -1.0))
        factor = _fold64(block.bn1)
        alpha = channel_mean(weight.double()).flatten()
        self.affine = Affine(f"{name}.affine", factor * alpha, _bias64(block.bn1), 9 * conv.in_channels, frac)
        shortcut = 2 ** (bits - 1)
        self.pool: Pool | None = None
        if block.downsample is not None:
            down = block.downsample
            self.pool = Pool(f"{name}.pool", bits, in_frac, range_quant(down.pool_quant), 4, whole=False)
            self.downsample = RealConv(f"{name}.downsample", down.conv, down.bn, self.pool.frac, 128, frac, None)
            shortcut = max(abs(bound) for bound in self.downsample.range)
        self.peak = _check(f"{name}.merge", shortcut + max(abs(bound) for bound in self.affine.range))
        self.merge = QuantIdentity(act_quant=GridAct, bits=bits, frac=frac)

    def forward(self, r: Tensor) -> Tensor:
        t = self.affine(self.binary_conv(self.sign(r)))
        shortcut = r if self.pool is None else self.downsample(self.pool(r))
        return self.merge(shortcut + t)


class Classifier(nn.Module):
    """Compute the logits acc + H, one weight grid for the whole layer; the factor 1/pixels stays out of them."""

    def __init__(self, name: str, fc: QuantLinear, in_frac: int, pixels: int) -> None:
        super().__init__()
        weights = fc.weight.detach().double()
        step = weight_step(weights, WEIGHT_MAX, per_channel=False)
        self.frac = in_frac - round(math.log2(float(step)))
        self.w = torch.round(weights / step).long()
        assert fc.bias is not None
        self.h = torch.round(fc.bias.detach().double() * pixels * 2.0**self.frac).long()
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
        fracs = [int(range_quant(stage.stream).frac) for stage in stages]
        self.center = Center(_offsets(model.mean))
        in_peak = 128 if self.center.bits == 8 else PIXEL_MAX
        self.conv1 = RealConv("conv1", model.conv1, model.bn1, INPUT_FRAC, in_peak, fracs[0], bits)
        self.maxpool = None if spec.small else nn.MaxPool2d(3, stride=2, padding=1)
        before = fracs[0]
        for index, (stage, frac) in enumerate(zip(stages, fracs, strict=True)):
            name = f"layer{index + 1}"
            blocks = []
            for number, block in enumerate(stage.blocks()):
                blocks.append(DeployBlock(f"{name}.{number}", block, bits, before, frac))
                before = frac
            self.add_module(name, nn.Sequential(*blocks))
        self.pool = Pool("pool", bits, before, range_quant(model.pool_quant), spec.pixels, whole=True)
        self.classifier = Classifier("fc", model.fc, self.pool.frac, spec.pixels)
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
        for index in (1, 2, 3, 4):
            r = self.get_submodule(f"layer{index}")(r)
        return self.classifier(self.pool(r))


def to_deploy(model: BiReal, spec: ModelSpec) -> DeployNet:
    """Snap a trained network to the integer grid; the result is in eval mode on the CPU, `model` stays as it is.

    It runs on the CPU only: GPU libraries may pick convolutions (TF32, Winograd, FFT) that are not exact on integers.
    Raises BirealError naming the layer whose integers can reach 2^24, or the tensor that holds NaN or infinity.
    """
    if not is_binary(model):
        raise BirealError("the network is real-valued, so it has no deploy model: choose a recipe that ends binary")
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise BirealError(f"{name} holds NaN or infinity: training diverged or the checkpoint is broken")
    with torch.no_grad():
        return DeployNet(copy.deepcopy(model).cpu(), spec).requires_grad_(False)


def snap_to_grid(model: BiReal, spec: ModelSpec) -> DeployNet:
    """Move the BatchNorm factors and biases of a trained network onto the hardware's grid, in place; deploy it.

    Afterwards the trained network in eval mode rounds as the deploy model does, but for float32 noise. Each moves by
    half a unit of its grid at most, 16 bits or so; but a Bi-Real network answers to a single flipped sign with many
    more, so that without this step the two differ in as many images as two runs of the same training would.
    """
    deploy = to_deploy(model, spec)
    stages = model.stages()
    blocks = [block for stage in stages for block in stage.blocks()]
    deployed = [module for module in deploy.modules() if isinstance(module, DeployBlock)]
    with torch.no_grad():
        _snap_bias(model.bn1, deploy.conv1)
        for block, snapped in zip(blocks, deployed, strict=True):
            affine = snapped.affine
            alpha = channel_mean(block.binary_conv.weight.double()).flatten()
            gain = affine.g.to(alpha) * 2.0 ** -(affine.shift + affine.frac)
            # A quarter of a unit keeps float32 noise from deciding a tie.
            bias = (affine.h - half(affine.shift) + (0.25 if affine.shift > 0 else 0)) * 2.0 ** -(
                affine.shift + affine.frac
            )
            factor = torch.where(alpha > 0, gain / alpha, 0)
            assert block.bn1.running_var is not None
            block.bn1.weight.copy_(factor * torch.sqrt(block.bn1.running_var.double() + block.bn1.eps))
            _set_bias(block.bn1, bias.to(alpha))
            if block.downsample is not None:
                _snap_bias(block.downsample.bn, snapped.downsample)
        assert model.fc.bias is not None
        model.fc.bias.copy_(deploy.classifier.h * 2.0**-deploy.frac / spec.pixels)
    return deploy


def _snap_bias(bn: nn.BatchNorm2d, conv: RealConv) -> None:
    """Put the bias of the BatchNorm behind a real convolution on the accumulator's grid."""
    rounding = torch.tensor([half(shift) - (0.25 if shift > 0 else 0) for shift in conv.shift.tolist()])
    _set_bias(bn, torch.ldexp(conv.h.double() - rounding.double(), -(conv.shift + conv.frac)).to(bn.weight.device))


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


def range_quant(layer: nn.Module) -> RangeQuant:
    """Return the range quantizer inside a QuantIdentity."""
    found = [module for module in layer.modules() if isinstance(module, RangeQuant)]
    assert len(found) == 1, f"{len(found)} range quantizers in {layer}"
    return found[0]


def _fold64(bn: nn.BatchNorm2d) -> Tensor:
    assert bn.running_var is not None
    return bn.weight.detach().double() / torch.sqrt(bn.running_var.double() + bn.eps)


def _bias64(bn: nn.BatchNorm2d) -> Tensor:
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
