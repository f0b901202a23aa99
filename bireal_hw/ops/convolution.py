"""What binary and real-valued convolutions have in common: sizes, folding, the window buffer."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.anatomy import Features, Parameters, Ram, index_bits
from bireal_hw.ir.op import (
    Array,
    Fold,
    Op,
    Pads,
    QonnxWriter,
    both_ends,
    conv_output,
    divisors,
    require,
    window_ahead,
    window_needs,
)
from bireal_hw.ir.types import TensorType

PADS = ("PadTop", "PadLeft", "PadBottom", "PadRight")
"""Parameters of the modules that hold the padding."""


class Convolution(Op):
    """A layer with products of weights, of which it computes pe * simd in a cycle.

    Attributes:
        weights: (Cout, kernel, kernel, Cin).
        stride: pixels between windows, both directions; at most the kernel, but any for a kernel of 1.
        pads: rows and columns of padding, (top, left, bottom, right); top and bottom together are less than the
            kernel, and so are left and right.
    """

    weights: Array
    stride: int
    pads: Pads

    @property
    def k(self) -> int:
        """Elements of one dot product, kernel * kernel * Cin."""
        return math.prod(self.weights.shape[1:])

    def scale(self, x: TensorType) -> int:
        return self.stride

    @property
    def weight_count(self) -> int:
        return self.weights.size

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output for those of the input; raises BirealError where no window fits."""
        kernel, pads = self.weights.shape[1], both_ends(self.pads)
        require(
            min(self.pads) >= 0 and max(pads) < kernel,
            f"{self.kind}: pads (top, left, bottom, right) = {self.pads} of a {kernel}x{kernel} kernel; top + bottom"
            f" and left + right must each be 0 to {kernel - 1}",
        )
        require(
            self.stride >= 1 and (self.stride <= kernel or kernel == 1),
            f"{self.kind}: stride={self.stride} of a {kernel}x{kernel} kernel; it must be 1 to {kernel}, so that"
            " windows leave out no pixels",
        )
        rows, columns = (
            conv_output(size, kernel, self.stride, pad) for size, pad in zip((height, width), pads, strict=True)
        )
        require(rows > 0 and columns > 0, f"{self.kind}: a {kernel}x{kernel} window does not fit {height}x{width}")
        return rows, columns

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        return window_needs(inputs[0], self.weights.shape[1], self.stride, self.pads)

    def takes(self, *inputs: TensorType) -> NDArray[np.int64]:
        (x,), kernel = inputs, self.weights.shape[1]
        sides = (kernel, kernel), (self.stride, self.stride), both_ends(self.pads)
        return self.needs(x) + window_ahead(x.height, x.width, *sides)

    def summary(self) -> str:
        cout, kernel, _, cin = self.weights.shape
        return f"{kernel}x{kernel}, stride {self.stride}, {cin} -> {cout} channels, K = {self.k}"

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        _, kernel, _, _ = self.weights.shape
        # Every subclass is a dataclass with this field, which the type checker cannot know.
        return replace(self, weights=np.resize(self.weights, (channels, kernel, kernel, after.channels)))  # type: ignore[type-var]

    def qonnx_conv(self, write: QonnxWriter, name: str, x: str, w: str) -> str:
        """Write the node Conv."""
        attributes = {
            "kernel_shape": [self.weights.shape[1]] * 2,
            "strides": [self.stride] * 2,
            "pads": list(self.pads),
            "dilations": [1, 1],
            "group": 1,
        }
        return write.node("Conv", name, [x, w], **attributes)

    @property
    @abstractmethod
    def row(self) -> int:
        """Elements of the K axis of which simd are taken at once."""

    def factors(self, *inputs: TensorType) -> dict[str, list[int]]:
        return {"pe": divisors(self.weights.shape[0]), "simd": divisors(self.row)}

    def products(self, fold: Fold) -> int:
        return fold.pe * fold.simd

    def fold_text(self, fold: Fold) -> str:
        return f"Pe {fold.pe}, Simd {fold.simd}"


def pads_of(parameters: Parameters) -> Pads:
    """The padding of a module."""
    top, left, bottom, right = (parameters[name] for name in PADS)
    return top, left, bottom, right


def window(
    image: tuple[int, int],
    chunks: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> tuple[Features, Ram]:
    """What br_window consists of: `chunks` beats a pixel, `width` bits a beat; the other sizes are (height, width).

    Those of padding are at both ends together.
    """
    out_height, out_width = (conv_output(*sides) for sides in zip(image, kernel, stride, pad, strict=True))
    span = (kernel[0] - 1) * image[1] + kernel[1]
    column = stride[1] if out_width > 1 else 0
    row = stride[0] * image[1] - (out_width - 1) * stride[1]
    frame = image[0] * image[1] - (out_height - 1) * stride[0] * image[1] - (out_width - 1) * stride[1]
    capacity = span + max(column, row if out_height > 1 else 0, frame) + 1
    address = index_bits(capacity * chunks)
    return {"address": address, "beat": width}, Ram(2**address, width, "window", capacity * chunks)
