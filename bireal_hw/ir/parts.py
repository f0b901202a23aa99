"""What a layer is to the engine: data that an op gives of itself (`Op.engine`), and the program is made of.

The engine computes products, then y = clip(f(r + ((G*sum + H) >> s))) of each channel, and of y signs and pooled sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bireal_hw.ir.types import DataType

Array = NDArray[np.integer]


@dataclass(frozen=True)
class Affine:
    """y = clip(f(r + ((gain*x + bias) >> shift)), low, high); f(u) = u for u >= 0, else (u + half) >> slope.

    With a limit, of one input v: r = v clipped to -limit..limit, x = v - r.

    Attributes:
        gain, bias: (C,) integers.
        shift: 0 or more, common to the layer.
        low, high: limits of y.
        slope: (C,) shifts of a PReLU; None for none.
        shortcut: index of the op's input that is r; None for r = 0.
        sums: index of the op's input that is x; None for x = 0.
        limit: 0 or more, of the only input; None for r and x as they come.
    """

    gain: Array
    bias: Array
    shift: int
    low: int
    high: int
    slope: Array | None = None
    shortcut: int | None = None
    sums: int | None = 0
    limit: int | None = None


@dataclass(frozen=True)
class Products:
    """Sums of a convolution, with a tap outside the image adding nothing; an affine of its own behind them, or none.

    Attributes:
        weights: (Cout, kernel, kernel, Cin): -1 or +1 for bits, else 8 bits.
        bits: whether the input is bits.
        stride: pixels between windows.
        pads: (top, left, bottom, right).
        affine: what is done to the sums; None if another layer says.
    """

    weights: Array
    bits: bool
    stride: int
    pads: tuple[int, int, int, int]
    affine: Affine | None = None


@dataclass(frozen=True)
class Compare:
    """Bits: +1 where x >= threshold. threshold (C,), None for 0."""

    threshold: Array | None


@dataclass(frozen=True)
class Pool:
    """q = clip((sum over a window of kernel (height, width) + half) >> shift) to dtype; windows do not overlap."""

    kernel: tuple[int, int]
    shift: int
    dtype: DataType


Part = Products | Affine | Compare | Pool
