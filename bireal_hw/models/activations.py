"""What may stand on a real-valued stream beside the sign: leaky clip, shifts, a PReLU of power-of-two slopes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

LEAK_GAIN, LEAK_SHIFT = 205, 11
"""The leaky clip has the slope 205 / 2^11 = 0.1001 outside -1..1: 0.1 in the authors' release, 0.1 % more in hardware.

With 8 bits of gain, the product with any 16-bit number stays below 2^24, where float32 is exact.
"""

SLOPE_SHIFT_MAX = 7
"""The flattest PReLU has the slope 2^-7."""


class LeakyClip(nn.Module):
    """Return x inside -1..1 and a line of slope 0.1 through the corner outside; `stream` rounds what lies outside.

    Source: Bi-Real Net (IJCV 2020), the authors' PyTorch release for 50 layers.

    >>> LeakyClip()(torch.tensor([-3.0, -1.0, 0.5, 2.0]), nn.Identity()).tolist()
    [-1.2001953125, -1.0, 0.5, 1.10009765625]
    """

    def forward(self, x: Tensor, stream: nn.Module) -> Tensor:
        inside = F.hardtanh(x)
        return inside + stream((x - inside) * (LEAK_GAIN * 2.0**-LEAK_SHIFT))


class Shift(nn.Module):
    """Hold a trainable number per channel, `bias` (C,), that is added to a stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    @property
    def per_channel(self) -> Tensor:
        """The numbers as (1, C, 1, 1)."""
        return self.bias.view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.per_channel


class SlopedNegatives(Function):
    """Multiply negative x (N, C, H, W) by slope (C,), which stands for weight (C,): the slope's gradient goes to it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, slope = ctx.saved_tensors
        below = x < 0
        return torch.where(below, grad * slope.view(1, -1, 1, 1), grad), (below * grad * x).sum(dim=(0, 2, 3)), None


class PowerPReLU(nn.Module):
    """A PReLU with slopes 2^-k per channel, k from 0 to 7, so that hardware needs a shift and no multiplier.

    `weight` (C,) is what is trained; k is the nearest in the logarithm. A weight that is not positive gets k = 7: a
    negative slope would fold the stream over. The gradient of the slope passes to the weight unchanged.
    Source: RPReLU of ReActNet (arXiv:2003.03488); slopes as powers of two, A&B BNN (arXiv:2403.03739).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), 0.25))

    @property
    def shift(self) -> Tensor:
        """The k of every channel, int64.

        >>> prelu = PowerPReLU(5)
        >>> _ = prelu.weight.data.copy_(torch.tensor([1.5, 0.25, 0.2, 0.0, -1.0]))
        >>> prelu.shift.tolist()
        [0, 2, 2, 7, 7]
        """
        smallest = 2.0**-SLOPE_SHIFT_MAX
        return -torch.log2(self.weight.detach().clamp(smallest, 1)).round().long()

    def forward(self, x: Tensor) -> Tensor:
        return SlopedNegatives.apply(x, self.weight, torch.exp2(-self.shift.to(x.dtype)))
