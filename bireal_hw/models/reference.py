"""The block of the authors' release, written straightforwardly in plain PyTorch: the yardstick of `make bench`.

sign through torch.sign and a detached piecewise polynomial, the scaling factor recomputed in every step, no fusing.
It only measures training speed; no network is trained or exported with it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bireal_hw.errors import BirealError
from bireal_hw.models.spec import ModelSpec


class ReferenceSign(nn.Module):
    """sign forward, the piecewise quadratic of the paper backward, by the detach trick."""

    def forward(self, x: Tensor) -> Tensor:
        hard = torch.sign(x)
        below = (x < -1).float()
        left = (x < 0).float()
        right = (x < 1).float()
        soft = -1 * below + (x * x + 2 * x) * (1 - below)
        soft = soft * left + (-x * x + 2 * x) * (1 - left)
        soft = soft * right + 1 * (1 - right)
        return hard.detach() - soft.detach() + soft


class ReferenceBinaryConv(nn.Module):
    """3x3 convolution with weights alpha * sign(w), alpha = mean |w| per output channel, clipped straight-through."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.rand(cout, cin, 3, 3) * 0.001)

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.weight.abs().mean(dim=(1, 2, 3), keepdim=True).detach()
        hard = alpha * torch.sign(self.weight)
        soft = torch.clamp(self.weight, -1.0, 1.0)
        return F.conv2d(x, hard.detach() - soft.detach() + soft, stride=self.stride, padding=1)


class ReferenceBlock(nn.Module):
    """BN(conv(sign(r))) + r, or + BN(1x1 conv(AvgPool(r))) where the stride is 2."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.sign = ReferenceSign()
        self.conv = ReferenceBinaryConv(cin, cout, stride)
        self.bn = nn.BatchNorm2d(cout)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(2), nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout)
            )  # fmt: skip

    def forward(self, r: Tensor) -> Tensor:
        return self.bn(self.conv(self.sign(r))) + self.downsample(r)


class ReferenceBiReal(nn.Module):
    """The network of `spec` from reference blocks: float32, no quantizer but the two signs; input as in `BiReal`."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        channels = spec.stage_channels
        stem: list[nn.Module]
        if spec.small:
            stem = [nn.Conv2d(spec.channels, channels[0], 3, padding=1, bias=False), nn.BatchNorm2d(channels[0])]
        else:
            stem = [nn.Conv2d(spec.channels, channels[0], 7, stride=2, padding=3, bias=False)]
            stem += [nn.BatchNorm2d(channels[0]), nn.MaxPool2d(3, stride=2, padding=1)]
        blocks: list[nn.Module] = []
        for unit in (unit for stage in spec.stages() for unit in stage):
            if unit.kernel != 3 or not unit.shortcut or unit.shifts:
                raise BirealError(f"model={spec.model} has no reference: choose bireal18 or bireal34")
            blocks.append(ReferenceBlock(unit.cin, unit.cout, unit.stride))
        self.stem = nn.Sequential(*stem)
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(spec.features, spec.classes)

    def forward(self, p: Tensor) -> Tensor:
        x = (p - 128) / 128
        return self.fc(self.blocks(self.stem(x)).mean(dim=(2, 3)))
