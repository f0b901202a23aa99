"""Networks without training: random weights, BatchNorm and quantizer ranges calibrated on random images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bireal_hw.models.activations import PowerPReLU, Shift
from bireal_hw.models.bireal import BiReal
from bireal_hw.models.spec import ModelSpec

BATCHES = 4
BATCH = 8


def random_images(spec: ModelSpec, count: int, seed: int) -> Tensor:
    """Draw smooth random pixels, uint8 (count, C, H, W): coloured blobs plus noise, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    height, width = spec.image
    coarse = torch.rand(count, spec.channels, height // 8 + 1, width // 8 + 1, generator=generator)
    blobs = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)
    noise = torch.rand(count, spec.channels, height, width, generator=generator)
    return ((0.85 * blobs + 0.15 * noise) * 256).clamp(0, 255).to(torch.uint8)


def randomise(model: BiReal, spec: ModelSpec, seed: int) -> BiReal:
    """Give `model` random weights and BatchNorm factors, then calibrate it on random images; returns it in eval mode.

    The result is a network a trained one could be: every BatchNorm has its own factors (a tenth of them negative) and
    offsets, every RSign and RPReLU its own shifts and slopes, and statistics and grids fit the values that occur. The
    same seed gives the same network.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.normal_(0, 1 / module.weight[0].numel() ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                size = module.weight.shape
                flip = torch.where(torch.rand(size, generator=generator) < 0.1, -1.0, 1.0)
                module.weight.copy_(flip * (0.5 + torch.rand(size, generator=generator)))
                module.bias.copy_(0.3 * torch.randn(size, generator=generator))
                module.reset_running_stats()
                module.momentum = None  # the plain average over the batches
            elif isinstance(module, Shift):
                module.bias.normal_(0, 0.2, generator=generator)
            elif isinstance(module, PowerPReLU):
                module.weight.copy_(torch.exp2(-5 * torch.rand(module.weight.shape, generator=generator)))
        model.train()
        for batch in range(BATCHES):
            model(random_images(spec, BATCH, seed + batch).float())
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1
    return model.eval()
