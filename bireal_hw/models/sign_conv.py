"""The convolution of signs with signs on a processor: sums of 8-bit integers, exact, in a half to a third of the time.

PyTorch's integer convolution is the one that its compiler uses for quantized networks on x86 (oneDNN). Where it is not
there, or is not exact, and on a GPU, the layers use the convolution of floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from bireal_hw.models.quantizers import hard_sign


def usable(x: Tensor) -> bool:
    """Tell whether signs that lie where `x` does can be convolved as integers."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and EXACT


class SignConv(Function):
    """Convolve signs x (N, Cin, H, W) with weights +-alpha_c (Cout, Cin, Ky, Kx); zero padding, no bias.

    The sum of the signs is exact, and the product with alpha_c is rounded once, to bfloat16 under its autocast. The
    gradients are those of the convolution of floating-point numbers; a byte is kept of each sign.

    >>> x, w = torch.tensor([1.0, -1.0, -1.0, 1.0]).view(1, 1, 2, 2), torch.full((1, 1, 2, 2), -0.5)
    >>> SignConv.apply(x, w, (1, 1), (1, 1)).tolist()
    [[[[-0.5, 0.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, -0.5]]]]
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
        half = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if half else torch.float32
        doubled = x.to(torch.int8).add_(1).view(torch.uint8)  # 0 and 2: the operator reads unsigned numbers
        ctx.save_for_backward(doubled, w)
        ctx.stride, ctx.padding = stride, padding
        return _sums(doubled, w, stride, padding, dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        doubled, w = ctx.saved_tensors
        x = doubled.to(grad.dtype).sub_(1)
        wanted = [*ctx.needs_input_grad[:2], False]
        one, none = (1, 1), (0, 0)
        of_x, of_w, _ = torch.ops.aten.convolution_backward(
            grad, x, w.to(grad.dtype), None, ctx.stride, ctx.padding, one, False, none, 1, wanted
        )
        return of_x, of_w, None, None


@torch.library.custom_op("bireal_hw::sign_sums", mutates_args=())
def _sums(doubled: Tensor, w: Tensor, stride: Sequence[int], padding: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Convolve x = doubled - 1 with w; one operator for a compiler."""
    signs = hard_sign(w).to(torch.int8)
    alpha = w[:, 0, 0, 0].abs().float().contiguous()
    zero, geometry = torch.zeros(len(w), dtype=torch.int64), (list(stride), list(padding), [1, 1], 1)
    integers = torch.ops.onednn
    # Weights are laid out four times as fast for inputs without a zero point, and serve both.
    packed = integers.qconv_prepack(signs, alpha, 1.0, 0, *geometry, list(doubled.shape))
    scales = alpha, zero, None
    return integers.qconv2d_pointwise(doubled, 1.0, 1, packed, *scales, *geometry, 1.0, 0, dtype, "none", [], "")


@_sums.register_fake
def _(doubled: Tensor, w: Tensor, stride: Sequence[int], padding: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty_like(torch.nn.functional.conv2d(doubled.to(dtype), w.to(dtype), None, stride, padding))


def _is_exact() -> bool:
    """Try the operator once on the largest sums there are: it is no part of PyTorch's documented interface."""
    generator = torch.Generator().manual_seed(0)
    x = torch.where(torch.rand(2, 512, 4, 4, generator=generator) < 0.1, -1.0, 1.0)
    w = torch.where(torch.rand(8, 512, 3, 3, generator=generator) < 0.1, -0.5, 0.5)
    try:
        with torch.inference_mode():
            found = _sums((x.to(torch.int8) + 1).view(torch.uint8), w, (1, 1), (1, 1), torch.float32)
    except (RuntimeError, AttributeError):
        return False
    return torch.equal(found, torch.nn.functional.conv2d(x, w, padding=1))


EXACT = _is_exact()
"""Whether this processor and this build of PyTorch have the operator."""
