"""Depth from one image: a Bi-Real encoder and a light real-valued decoder.

The paper (Bi-Real Net, IJCV 2020) reports such a network of 50 layers; its decoder, loss and data are not known here.
This decoder is a feature pyramid: from the coarsest stage up, repeat the pixels, add the next finer stage, convolve.
Source: scale-invariant depth (Eigen et al., NeurIPS 2014); feature pyramids (Lin et al., CVPR 2017).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bireal_hw.models.bireal import Encoder
from bireal_hw.models.modes import binary_convs
from bireal_hw.models.spec import ModelSpec

NEAR, FAR = 0.1, 10.0
"""Metres. A network says nothing outside of this range, and depth outside of it counts as not known."""


class Decoder(nn.Module):
    """Turn the main streams behind the four stages, finest first, into one number per pixel of the finest.

    x4 = f(a4(s4)); x_i = f(c_i(f(a_i(s_i) + up(x_{i+1})))); z = c(x1)

    a_i is a 1x1 and c_i a 3x3 convolution with BatchNorm, f is ReLU, up repeats every pixel 2x2 times. All have the
    same number of channels: twice those of the stem. Float32 throughout, no quantizer.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        channels = 2 * spec.stage_channels[0]
        widths = [count * spec.network.expansion for count in spec.stage_channels]
        self.across = nn.ModuleList(_conv_bn(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(_conv_bn(channels, channels, 3) for _ in widths[:-1])
        self.last = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, streams: list[Tensor]) -> Tensor:
        """Map streams (N, C_i, H/2^i, W/2^i) to (N, 1, H, W)."""
        x = F.relu(self.across[-1](streams[-1]))
        for across, smooth, stream in reversed(list(zip(self.across, self.smooth, streams, strict=False))):
            x = F.relu(across(stream) + F.interpolate(x, scale_factor=2, mode="nearest"))
            x = F.relu(smooth(x))
        return self.last(x)


class DepthNet(nn.Module):
    """A depth for every pixel: an encoder of `networks.py`, whose classes play no part, and a decoder.

    Input p float32 (N, C, H, W) holding 0..255, output depth in metres, float32 (N, 1, H, W) from NEAR to FAR.
    Where the stem shrinks the image, the decoder's numbers are interpolated to its size.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.encoder.initialise()
        self.decoder = Decoder(spec)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, p: Tensor) -> Tensor:
        """Map pixels (N, C, H, W) in 0..255 to metres (N, 1, H, W)."""
        z = self.decoder([stream.whole for stream in self.encoder.features(p)]).float()
        if z.shape[2:] != p.shape[2:]:
            z = F.interpolate(z, size=p.shape[2:], mode="bilinear", align_corners=False)
        return NEAR * torch.exp(math.log(FAR / NEAR) * torch.sigmoid(z))

    def parameters_of(self) -> dict[str, int]:
        """Count trainable parameters: 1-bit and real ones of the encoder, those of the decoder."""
        binary = sum(conv.weight.numel() for conv in binary_convs(self.encoder))
        encoder = sum(one.numel() for one in self.encoder.parameters())
        decoder = sum(one.numel() for one in self.decoder.parameters())
        return {"binary": binary, "real": encoder - binary, "decoder": decoder}


def _conv_bn(cin: int, cout: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(cout))
