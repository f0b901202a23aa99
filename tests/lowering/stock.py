"""Random networks as people write them in stock Brevitas, exported by its own exporter."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
)
from torch import Tensor, nn

SIDE, CLASSES = 16, 10
WEIGHTS = (Int8WeightPerTensorFloat, Int8WeightPerTensorFixedPoint, Int8WeightPerChannelFloat)
INPUTS = (None, Int8ActPerTensorFixedPoint, Int8ActPerTensorFloat)


class Chance:
    """Draws of one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def of(self, *choices: object) -> object:
        return choices[int(self.rng.integers(len(choices)))]

    def yes(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)


def sign() -> nn.Module:
    return qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst, scaling_init=1.0)


class Block(nn.Module):
    """A binary convolution with a BatchNorm; an activation and a shortcut, each in one of their usual places."""

    def __init__(self, chance: Chance, channels: int, out: int, stride: int, weights: object) -> None:
        super().__init__()
        kernel = int(chance.of(1, 3, 3, 3, 5))  # type: ignore[call-overload]
        self.before = nn.BatchNorm2d(channels) if chance.yes(0.3) else nn.Identity()
        self.sign = sign()
        self.conv = qnn.QuantConv2d(
            channels, out, kernel, stride, kernel // 2, bias=chance.yes(0.3),
            weight_quant=SignedBinaryWeightPerTensorConst, weight_scaling_init=chance.of(1.0, 0.1, 0.03),
        )  # fmt: skip
        self.bn = nn.BatchNorm2d(out)
        self.act = chance.of(nn.Identity(), nn.PReLU(out), nn.PReLU(), nn.ReLU(), nn.Hardtanh(), nn.LeakyReLU(0.1))
        self.act_last, self.shortcut = chance.yes(0.5), chance.yes(0.8)
        self.down = self._down(chance, channels, out, stride, weights)

    def _down(self, chance: Chance, channels: int, out: int, stride: int, weights: object) -> nn.Module:
        if stride == 1 and channels == out:
            return nn.Identity()
        conv = qnn.QuantConv2d(channels, out, 1, bias=chance.yes(0.3), weight_quant=weights)
        if stride == 1:
            return nn.Sequential(conv, nn.BatchNorm2d(out))
        strided = qnn.QuantConv2d(channels, out, 1, stride, bias=False, weight_quant=weights)
        pooled = [nn.Sequential(pool, conv, nn.BatchNorm2d(out)) for pool in (nn.AvgPool2d(2), nn.MaxPool2d(2))]
        found = chance.of(*pooled, nn.Sequential(strided, nn.BatchNorm2d(out)))
        assert isinstance(found, nn.Module)
        return found

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(self.sign(self.before(x))))
        y = y if self.act_last else self.act(y)  # type: ignore[operator]
        y = y + self.down(x) if self.shortcut else y
        return self.act(y) if self.act_last else y  # type: ignore[operator]


class Network(nn.Module):
    """A stem, one to three stages of one or two blocks, a pool and a classifier."""

    def __init__(self, chance: Chance) -> None:
        super().__init__()
        weights, quant = chance.of(*WEIGHTS), chance.of(*INPUTS)
        channels = int(chance.of(8, 16))  # type: ignore[call-overload]
        self.quant = qnn.QuantIdentity(bit_width=8, act_quant=quant) if quant else nn.Identity()
        self.stem = qnn.QuantConv2d(3, channels, 3, padding=1, bias=chance.yes(0.3), weight_quant=weights)
        self.bn = nn.BatchNorm2d(channels) if chance.yes(0.8) else nn.Identity()
        self.pool = nn.MaxPool2d(2) if chance.yes(0.3) else nn.Identity()
        blocks = []
        for stage in range(1 + int(chance.rng.integers(3))):
            for place in range(1 + int(chance.rng.integers(2))):
                stride = 2 if stage and not place else 1
                out = channels * 2 if stride == 2 and chance.yes(0.7) else channels
                blocks.append(Block(chance, channels, out, stride, weights))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.last = chance.of(nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1))
        self.fc = qnn.QuantLinear(channels, CLASSES, bias=True, weight_quant=weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.pool(self.bn(self.stem(self.quant(x)))))
        return self.fc(torch.flatten(self.last(x), 1))  # type: ignore[operator]


def network(seed: int) -> nn.Module:
    """Draw a network whose BatchNorms have seen a few images, with gains of both signs in every second one."""
    chance = Chance(seed)
    torch.manual_seed(seed)
    model = Network(chance).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            if chance.yes(0.5):
                nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.6)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(16, 3, SIDE, SIDE))
    return model.eval()


def export(model: nn.Module, path: Path, shape: tuple[int, int, int] = (3, SIDE, SIDE)) -> None:
    """Write a network as Brevitas does."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from brevitas.export import export_qonnx

        export_qonnx(model, torch.rand(1, *shape), export_path=str(path))
