"""Bi-Real networks in Brevitas: 1-bit convolutions around real-valued streams in fixed point.

Source: Bi-Real Net (ECCV 2018; IJCV 2020) and the layer table of the authors' PyTorch release; there is no ReLU.
ReActNet (arXiv:2003.03488). Which blocks a network has stands in `networks.py`.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from brevitas.nn import QuantLinear
from torch import Tensor, nn

from bireal_hw.models.activations import LeakyClip, PowerPReLU, Shift
from bireal_hw.models.layers import TrainedAct, TrainedConv, act8, binary_conv, real_conv, sign_act, stream_act
from bireal_hw.models.networks import MAIN, Shortcut, Unit
from bireal_hw.models.quantizers import RangeQuant, ScaledRound, Weight8Shared
from bireal_hw.models.spec import ModelSpec

INPUT_FRAC = 7
"""Pixels enter as (p - m_c) * 2^-7."""


class ShiftedMap(NamedTuple):
    """A real-valued stream between blocks.

    value  (N, C, H, W) on the grid of its stage
    shift  (1, C, 1, 1) that is still to be added, by whoever reads the stream: a sign has it in its threshold, a sum in
           its bias, so that hardware adds nothing; None for 0
    """

    value: Tensor
    shift: Tensor | None = None

    @property
    def whole(self) -> Tensor:
        """Value and shift."""
        return self.value if self.shift is None else self.value + self.shift


class Downsample(nn.Sequential):
    """A shortcut that changes its channels: (AvgPool, 8 bits), real 1x1 convolution, BatchNorm unless it has none."""

    def __init__(self, shortcut: Shortcut, cout: int) -> None:
        assert shortcut.cin is not None
        pool = nn.AvgPool2d(shortcut.pool) if shortcut.pool > 1 else nn.Identity()
        norm = nn.BatchNorm2d(cout) if shortcut.norm else nn.Identity()
        super().__init__(nn.Sequential(pool, act8()), real_conv(shortcut.cin, cout, 1), norm)

    @property
    def pool_quant(self) -> TrainedAct:
        return cast(TrainedAct, cast(nn.Sequential, self[0])[1])

    @property
    def conv(self) -> TrainedConv:
        return cast(TrainedConv, self[1])

    @property
    def bn(self) -> nn.BatchNorm2d | None:
        return self[2] if isinstance(self[2], nn.BatchNorm2d) else None

    def forward(self, r: ShiftedMap) -> Tensor:
        return conv_bn(self.conv, self.bn, self[0](r.value), r.shift)


class Block(nn.Module):
    """Compute stream(shortcut(r) + BN(conv(sign(x)))), where `stream` rounds to the grid of the stage.

    The shortcut is the stream r itself, or r pooled and rounded to the grid, or a `Downsample` rounded to the grid:
    both inputs of the sum are on it, as in hardware. Its channels may be there several times; it may be missing.
    """

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.unit = unit
        self.sign = sign_act()
        self.binary_conv = binary_conv(unit.cin, unit.cout, unit.kernel, unit.stride)
        self.bn1 = nn.BatchNorm2d(unit.cout)
        shortcut = unit.shortcut
        self.downsample = Downsample(shortcut, unit.cout) if shortcut and shortcut.cin else None

    def forward(self, x: ShiftedMap, r: ShiftedMap | None, stream: TrainedAct) -> ShiftedMap:
        """Map the stream x, (N, Cin, H, W), with that of the shortcut to the next, (N, Cout, H/stride, W/stride)."""
        t = self.bn1(self.binary_conv(self.sign(self.before(x))))
        return self.behind(t if r is None else self.shortcut(r, stream) + t, stream)

    def shortcut(self, r: ShiftedMap, stream: TrainedAct) -> Tensor:
        """Bring the shortcut to the size of the sums."""
        assert self.unit.shortcut is not None
        if self.downsample is not None:
            return stream(self.downsample(r))
        if self.unit.shortcut.pool > 1:
            r = r._replace(value=stream(F.avg_pool2d(r.value, self.unit.shortcut.pool)))
        return r.whole if self.unit.shortcut.copies == 1 else torch.cat([r.whole] * self.unit.shortcut.copies, dim=1)

    def before(self, x: ShiftedMap) -> Tensor:
        """Return what the sign is taken of."""
        return x.whole

    def behind(self, u: Tensor, stream: TrainedAct) -> ShiftedMap:
        """Turn the sum into the next stream."""
        return ShiftedMap(stream(u))


class ReactBlock(Block):
    """A block with RSign and RPReLU: sign(x + move0), and f(u) = PReLU(u + move1) + move2, move2 left as a shift.

    The sum is rounded to the grid in front of the PReLU and once more behind it, as in hardware.
    """

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        self.move0 = Shift(unit.cin)
        self.move1 = Shift(unit.cout)
        self.prelu = PowerPReLU(unit.cout)
        self.move2 = Shift(unit.cout)

    def before(self, x: ShiftedMap) -> Tensor:
        return self.move0(x.whole)

    def behind(self, u: Tensor, stream: TrainedAct) -> ShiftedMap:
        return ShiftedMap(
            stream(self.prelu(ScaledRound.apply(self.move1(u), range_quant(stream).step))), self.move2.per_channel
        )


class ClipBlock(nn.Module):
    """Compute stream(BN(conv(q))), conv a real convolution, q the leaky clip of the stream in 8 bits."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.unit = unit
        self.clip = LeakyClip()
        self.quant = act8()
        self.real_conv = real_conv(unit.cin, unit.cout, unit.kernel)
        self.bn1 = nn.BatchNorm2d(unit.cout)

    def forward(self, x: ShiftedMap, r: ShiftedMap | None, stream: TrainedAct) -> ShiftedMap:
        """Map the stream x that is read (N, Cin, H, W) to the next one, (N, Cout, H, W)."""
        return ShiftedMap(stream(conv_bn(self.real_conv, self.bn1, self.quant(self.clip(x.whole, stream)))))


def make_block(unit: Unit) -> Block | ClipBlock:
    """Make the block that a description asks for."""
    if not unit.binary:
        return ClipBlock(unit)
    return ReactBlock(unit) if unit.output == "rprelu" else Block(unit)


class Stage(nn.Module):
    """Run the blocks of one resolution; all share one stream quantizer, hence one grid."""

    def __init__(self, units: tuple[Unit, ...], bits: int) -> None:
        super().__init__()
        self.units = units
        for index, unit in enumerate(units):
            self.add_module(str(index), make_block(unit))
        self.stream = stream_act(bits)

    def blocks(self) -> list[Block | ClipBlock]:
        """Return the blocks in order."""
        return [self.get_submodule(str(index)) for index in range(len(self.units))]  # type: ignore[misc]

    def forward(self, streams: dict[str, ShiftedMap]) -> dict[str, ShiftedMap]:
        """Map the streams of the stage before to this stage's."""
        streams = dict(streams)
        for unit, block in zip(self.units, self.blocks(), strict=True):
            r = streams[unit.shortcut.reads] if unit.shortcut else None
            streams[unit.gives] = block(streams[unit.reads], r, self.stream)
        return streams


class Encoder(nn.Module):
    """The stem and the four stages of a network of `networks.py`, for stored pixels; `initialise` draws its weights.

    Input p float32 (N, C, H, W) holding 0..255. `mean` is m_c, subtracted from the pixels.
    """

    mean: Tensor

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        kernel, stride, pool = spec.stem
        self.register_buffer("mean", torch.full((spec.channels,), 128.0))
        self.conv1 = real_conv(spec.channels, spec.stem_channels, kernel, stride, padding=kernel // 2)
        self.bn1 = nn.BatchNorm2d(spec.stem_channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if pool else nn.Identity()
        for index, units in enumerate(spec.stages()):
            self.add_module(f"layer{index + 1}", Stage(units, spec.shortcut_bits))

    def stages(self) -> list[Stage]:
        """Return layer1 to layer4."""
        return [self.get_submodule(f"layer{index}") for index in (1, 2, 3, 4)]  # type: ignore[misc]

    def initialise(self) -> None:
        """Draw the weights from torch's random generator."""
        for module in self.modules():
            if isinstance(module, Block):
                nn.init.uniform_(module.binary_conv.weight, -0.1, 0.1)
                if module.downsample is not None:
                    nn.init.kaiming_normal_(module.downsample.conv.weight, nonlinearity="linear")
            elif isinstance(module, ClipBlock):
                nn.init.kaiming_normal_(module.real_conv.weight, nonlinearity="linear")
        nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="linear")
        # NHWC in memory: convolutions of few channels run up to three times faster on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, p: Tensor) -> list[ShiftedMap]:
        """Map pixels (N, C, H, W) in 0..255 to the main stream behind every stage."""
        x = (p - self.mean.view(1, -1, 1, 1)) * 2.0**-INPUT_FRAC
        stages = self.stages()
        x = conv_bn(self.conv1, self.bn1, x).contiguous(memory_format=torch.channels_last)
        stem = ShiftedMap(self.maxpool(stages[0].stream(x)))
        streams = {unit.reads: stem for stage in stages for unit in stage.units}
        found = []
        for stage in stages:
            streams = stage(streams)
            found.append(streams[MAIN])
        return found


class BiReal(Encoder):
    """A classifier: an encoder, the global pool, and a linear layer.

    Input p float32 (N, C, H, W) holding 0..255, output logits (N, classes).
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.pool_quant = act8()
        self.fc = QuantLinear(
            spec.features, spec.classes, bias=True, weight_quant=Weight8Shared, weight_channels=spec.classes
        )
        self.initialise()

    def forward(self, p: Tensor) -> Tensor:
        """Map pixels (N, C, H, W) in 0..255 to logits (N, classes)."""
        r = self.features(p)[-1]
        # The pixels that are there: a stage of a training may have smaller images than the network.
        pooled = self.pool_quant(r.value.sum(dim=(2, 3))) / (r.value.shape[2] * r.value.shape[3])
        return self.fc(pooled if r.shift is None else pooled + r.shift.flatten())


def conv_bn(conv: TrainedConv, bn: nn.BatchNorm2d | None, x: Tensor, shift: Tensor | None = None) -> Tensor:
    """Run a real convolution and its BatchNorm, the weights quantized as they will be with BatchNorm folded in.

    With a shift (1, C, 1, 1), which a 1x1 convolution makes a constant, the result is that of x + shift.
    """
    if bn is None:
        return conv(x)
    conv.weight_quant.tensor_quant.fold.copy_(fold_factor(bn))
    sums = conv(x)
    return bn(sums if shift is None else sums + conv(shift))


def fold_factor(bn: nn.BatchNorm2d) -> Tensor:
    """Return gamma / sqrt(running variance + eps) per channel, detached."""
    assert bn.running_var is not None
    return bn.weight.detach() / torch.sqrt(bn.running_var + bn.eps)


def range_quant(layer: nn.Module) -> RangeQuant:
    """Return the range quantizer inside a QuantIdentity."""
    found = [module for module in layer.modules() if isinstance(module, RangeQuant)]
    assert len(found) == 1, f"{len(found)} range quantizers in {layer}"
    return found[0]


def build_model(spec: ModelSpec) -> BiReal:
    """Build the trainable network with fresh weights from torch's random generator."""
    return BiReal(spec)


def set_observing(model: nn.Module, observing: bool) -> None:
    """Let the quantizers' grids follow the data in training (True) or hold them still (False)."""
    for module in model.modules():
        if isinstance(module, RangeQuant):
            module.observing = observing
