"""What a tensor of the QONNX file is while the file is read: a constant, a stream, or an expression not yet rounded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.types import DataType

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant; behind a quantizer also its integers and the exponents of their scale, of the same shape.

    Attributes:
        array: the numbers.
        integers, exponents: array = integers * 2^exponents.
        magnitude: of binary weights: array = integers * magnitude, of any shape that can be broadcast to it.
    """

    array: Floats
    integers: Integers | None = None
    exponents: Integers | None = None
    magnitude: Floats | None = None

    def describe(self) -> str:
        """In words, for a message."""
        return f"a constant of shape {list(self.array.shape)}"

    def map(self, function: Callable[[Any], Any]) -> Constant:
        """Apply a change of shape to all three arrays."""
        return Constant(
            function(self.array),
            None if self.integers is None else function(self.integers),
            None if self.exponents is None else function(self.exponents),
            None if self.magnitude is None else function(np.broadcast_to(self.magnitude, self.array.shape)),
        )


@dataclass(frozen=True)
class Stream:
    """The output of a node of the graph."""

    name: str

    def describe(self) -> str:
        """In words, for a message."""
        return f"the output of {self.name}"


@dataclass(frozen=True, eq=False)
class Bits:
    """What a sign gives: scale times the bits of a stream, opposite in the channels whose comparison was turned.

    The hardware compares x >= theta; a negative gain in front of a sign wants x <= theta, which is the opposite of
    x >= theta + 1. The convolution that reads the bits has the opposite weights there; a padded tap adds nothing in
    either case.
    """

    stream: Stream
    turned: NDArray[np.bool_]
    scale: float = 1.0

    def describe(self) -> str:
        """In words, for a message."""
        return f"the bits of {self.stream.name}"


@dataclass(frozen=True, eq=False)
class Source:
    """The integers under an expression.

    Attributes:
        kind: the pixels, sums of a real convolution, dot products of a binary one (already a node), sums of a window,
            the values of a stream, what lies outside the limit of a clip.
        stream: the graph tensor read, or made (dot).
        node: name of the file's node.
        weights: real: (Cout, kernel, kernel, Cin) integers.
        stride: real: of the convolution.
        pad: real: of the convolution.
        kernel: sum: (height, width) of the window.
        limit: excess: the values are those of x minus x clipped to -limit..limit.
    """

    kind: Literal["pixel", "real", "dot", "sum", "value", "excess"]
    stream: str
    node: str = ""
    weights: Integers | None = None
    stride: int = 1
    pad: int = 0
    kernel: tuple[int, int] | None = None
    limit: int = 0


@dataclass(frozen=True, eq=False)
class Rounded:
    """t = (gain*source + bias) >> shift on the grid of dtype."""

    gain: Integers
    bias: Integers
    shift: int
    dtype: DataType


@dataclass(frozen=True, eq=False)
class Expression:
    """gain * source + add, per channel, in real numbers; `affine` once a quantizer has rounded it."""

    source: Source
    gain: Floats
    add: Floats
    channels: int
    affine: Rounded | None = None

    def describe(self) -> str:
        """In words, for a message."""
        state = "rounded" if self.affine else "not yet rounded"
        return f"{state} {self.source.kind} values of {self.source.node or self.source.stream}"

    def is_whole(self, frac: int) -> bool:
        """Whether it lies on the grid 2^-frac already, so that rounding does nothing."""
        step = 2.0**-frac
        return self.affine is None and not (np.any(self.gain / step % 1) or np.any(self.add / step % 1))

    def plus(self, constant: Floats) -> Expression:
        """Add a constant per channel."""
        self._check_open()
        return dataclasses.replace(self, add=self.add + constant)

    def times(self, constant: Floats) -> Expression:
        """Multiply by a constant per channel."""
        self._check_open()
        return dataclasses.replace(self, gain=self.gain * constant, add=self.add * constant)

    def rounded(self, gain: Integers, bias: Integers, shift: int, dtype: DataType) -> Expression:
        """Close the expression as an integer affine."""
        return dataclasses.replace(self, affine=Rounded(gain, bias, shift, dtype))

    def _check_open(self) -> None:
        if self.affine is not None:
            raise BirealError(f"arithmetic on {self.describe()}; only adding it to the shortcut is supported")


@dataclass(frozen=True, eq=False)
class Total:
    """Shortcut stream plus a rounded expression.

    Attributes:
        stream, branch: the two.
        slope: (C,) k of the slopes 2^-k of a PReLU on the sum.
        rounding: what is added behind the PReLU.
    """

    stream: Stream
    branch: Expression
    slope: Integers | None = None
    rounding: float = 0.0

    def describe(self) -> str:
        """In words, for a message."""
        return f"the sum of {self.stream.name} and its branch, not yet saturated"


@dataclass(frozen=True)
class Pair:
    """The sum of two streams, not yet saturated."""

    a: Stream
    b: Stream

    def describe(self) -> str:
        """In words, for a message."""
        return f"the sum of {self.a.name} and {self.b.name}, not yet saturated"


@dataclass(frozen=True)
class Clipped:
    """A stream clipped to -limit..limit, in units of its grid."""

    stream: Stream
    limit: int

    def describe(self) -> str:
        """In words, for a message."""
        return f"{self.stream.name}, clipped"


Value = Constant | Stream | Bits | Expression | Total | Pair | Clipped


def exponent(number: float) -> int | None:
    """The e of number = 2^e, or None.

    >>> exponent(0.25), exponent(3.0), exponent(-2.0)
    (-2, None, None)
    """
    mantissa, power = math.frexp(number)
    return power - 1 if mantissa == 0.5 else None


NEAR = 2.0**-40
"""A quotient so close to a whole number, in proportion, is one: the constants of a file have 24 bits."""


def thresholds(gain: Floats, add: Floats, low: int, high: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return (theta, turned): gain*x + add >= 0 is x >= theta, or its opposite where turned, for whole x in low..high.

    A threshold between two whole numbers is rounded up, which changes nothing. A gain of 0 makes a constant bit.

    >>> thresholds(np.array([2.0, -2.0, 0.0, 0.0]), np.array([-3.0, -4.0, 1.0, -1.0]), -8, 7)
    (array([ 2, -1, -8,  8], dtype=int32), array([False,  True, False, False]))
    """
    turned = gain < 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bound = -add / gain
    bound = np.where(gain == 0, np.where(add >= 0, low, high + 1), np.clip(bound, low - 1, high + 1))
    whole = np.round(bound)
    bound = np.where(np.abs(bound - whole) <= NEAR * np.maximum(np.abs(bound), 1), whole, bound)
    theta = np.where(turned, np.floor(bound) + 1, np.ceil(bound))
    return np.clip(theta, low, high + 1).astype(np.int32), turned


def as_integers(array: Floats, what: str) -> NDArray[np.int32]:
    """Turn whole numbers into int32; raises BirealError, naming what they are, when one is not whole or too large."""
    whole = np.round(array)
    if np.any(whole != array) or np.any(np.abs(whole) >= 2.0**31):
        bad = array[(whole != array) | (np.abs(whole) >= 2.0**31)][0]
        raise BirealError(f"{what} is {bad} units of its grid, not a whole number below 2^31")
    return whole.astype(np.int32)
