"""Bi-Real networks in Brevitas: 1-bit 3x3 convolutions around a real-valued shortcut stream in fixed point.

Source: Bi-Real Net (ECCV 2018; IJCV 2020) and the layer table of the authors' PyTorch release. There is no ReLU.
"""

from __future__ import annotations

from typing import cast

import torch
from brevitas.nn import QuantLinear
from torch import Tensor, nn

from bireal_hw.models.layers import TrainedAct, TrainedConv, act8, binary_conv, real_conv, sign_act, stream_act
from bireal_hw.models.quantizers import RangeQuant, Weight8Shared
from bireal_hw.models.spec import ModelSpec

INPUT_FRAC = 7
"""Pixels enter as (p - m_c) * 2^-7."""


class Downsample(nn.Sequential):
    """The shortcut of a block of stride 2: (AvgPool 2x2, 8 bits), real 1x1 convolution, BatchNorm."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(nn.Sequential(nn.AvgPool2d(2), act8()), real_conv(cin, cout, 1), nn.BatchNorm2d(cout))

    @property
    def pool_quant(self) -> TrainedAct:
        return cast(TrainedAct, cast(nn.Sequential, self[0])[1])

    @property
    def conv(self) -> TrainedConv:
        return cast(TrainedConv, self[1])

    @property
    def bn(self) -> nn.BatchNorm2d:
        return cast(nn.BatchNorm2d, self[2])

    def forward(self, r: Tensor) -> Tensor:
        return conv_bn(self.conv, self.bn, self[0](r))


class Block(nn.Module):
    """Compute stream(shortcut(r) + BN(conv(sign(r)))), where `stream` rounds to the grid of the stage.

    stride 1: the shortcut is r itself. stride 2: AvgPool 2x2, 8 bits, real 1x1 convolution, BatchNorm, then rounded to
    the same grid: both inputs of the sum are on it, as in hardware.
    """

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.sign = sign_act()
        self.binary_conv = binary_conv(cin, cout, stride)
        self.bn1 = nn.BatchNorm2d(cout)
        self.downsample = None if stride == 1 else Downsample(cin, cout)

    def forward(self, r: Tensor, stream: TrainedAct) -> Tensor:
        """Map the stream (N, Cin, H, W) to the next one, (N, Cout, H/stride, W/stride)."""
        t = self.bn1(self.binary_conv(self.sign(r)))
        shortcut = r if self.downsample is None else stream(self.downsample(r))
        return stream(shortcut + t)


class Stage(nn.Module):
    """Run the blocks of one resolution; all share one stream quantizer, hence one grid."""

    def __init__(self, cin: int, cout: int, repeat: int, stride: int, bits: int) -> None:
        super().__init__()
        self.repeat = repeat
        for index in range(repeat):
            first = index == 0
            self.add_module(str(index), Block(cin if first else cout, cout, stride if first else 1))
        self.stream = stream_act(bits)

    def blocks(self) -> list[Block]:
        """Return the blocks in order."""
        return [self.get_submodule(str(index)) for index in range(self.repeat)]  # type: ignore[misc]

    def forward(self, r: Tensor) -> Tensor:
        """Map the stream of the stage before to this stage's."""
        for block in self.blocks():
            r = block(r, self.stream)
        return r


class BiReal(nn.Module):
    """A Bi-Real network for stored pixels.

    Input p float32 (N, C, H, W) holding 0..255, output logits (N, classes). `mean` is m_c, subtracted from the pixels.
    """

    mean: Tensor

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        channels = spec.stage_channels
        self.register_buffer("mean", torch.full((spec.channels,), 128.0))
        if spec.small:
            self.conv1 = real_conv(spec.channels, channels[0], 3, padding=1)
        else:
            self.conv1 = real_conv(spec.channels, channels[0], 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.maxpool = nn.Identity() if spec.small else nn.MaxPool2d(3, stride=2, padding=1)
        before = channels[0]
        for index, (cout, repeat) in enumerate(zip(channels, spec.repeats, strict=True)):
            stage = Stage(before, cout, repeat, 1 if index == 0 else 2, spec.shortcut_bits)
            self.add_module(f"layer{index + 1}", stage)
            before = cout
        self.pool_quant = act8()
        self.fc = QuantLinear(before, spec.classes, bias=True, weight_quant=Weight8Shared, weight_channels=spec.classes)
        self._initialise()
        # NHWC in memory: convolutions of few channels run up to three times faster on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(self) -> list[Stage]:
        """Return layer1 to layer4."""
        return [self.get_submodule(f"layer{index}") for index in (1, 2, 3, 4)]  # type: ignore[misc]

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, Block):
                nn.init.uniform_(module.binary_conv.weight, -0.1, 0.1)
                if module.downsample is not None:
                    nn.init.kaiming_normal_(module.downsample.conv.weight, nonlinearity="linear")
        nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="linear")

    def forward(self, p: Tensor) -> Tensor:
        """Map pixels (N, C, H, W) in 0..255 to logits (N, classes)."""
        x = (p - self.mean.view(1, -1, 1, 1)) * 2.0**-INPUT_FRAC
        stages = self.stages()
        x = conv_bn(self.conv1, self.bn1, x).contiguous(memory_format=torch.channels_last)
        r = self.maxpool(stages[0].stream(x))
        for stage in stages:
            r = stage(r)
        pooled = self.pool_quant(r.sum(dim=(2, 3)))
        return self.fc(pooled / self.spec.pixels)


def conv_bn(conv: TrainedConv, bn: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Run a real convolution and its BatchNorm, the weights quantized as they will be with BatchNorm folded in."""
    conv.weight_quant.tensor_quant.fold.copy_(fold_factor(bn))
    return bn(conv(x))


def fold_factor(bn: nn.BatchNorm2d) -> Tensor:
    """Return gamma / sqrt(running variance + eps) per channel, detached."""
    assert bn.running_var is not None
    return bn.weight.detach() / torch.sqrt(bn.running_var + bn.eps)


def build_model(spec: ModelSpec) -> BiReal:
    """Build the trainable network with fresh weights from torch's random generator."""
    return BiReal(spec)


def set_observing(model: nn.Module, observing: bool) -> None:
    """Let the quantizers' grids follow the data in training (True) or hold them still (False)."""
    for module in model.modules():
        if isinstance(module, RangeQuant):
            module.observing = observing
