"""What a tensor of the file is while the file is read: a constant, bits, or a function of a stream not yet rounded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Op, Pads
from bireal_hw.ir.types import DataType
from bireal_hw.lowering.grid import NEAR, Floats, Integers


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant; behind a quantizer also its integers and their scale.

    Attributes:
        array: the numbers.
        integers, scale: of the same shape: array = integers * scale; None where no quantizer gave them.
        binary: whether the integers are -1 and +1.
        moved: largest sum over an output channel of what its weights differ from integers * scale.
    """

    array: Floats
    integers: Integers | None = None
    scale: Floats | None = None
    binary: bool = False
    moved: float = 0.0

    def describe(self) -> str:
        """In words, for a message."""
        return f"a constant of shape {list(self.array.shape)}"

    def map(self, function: Callable[[Any], Any]) -> Constant:
        """Apply a change of shape to all three arrays."""
        return replace(
            self,
            array=function(self.array),
            integers=None if self.integers is None else function(self.integers),
            scale=None if self.scale is None else function(self.scale),
        )


@dataclass(frozen=True)
class Output:
    """The output of a node of the graph, on its grid."""

    name: str

    def describe(self) -> str:
        """In words, for a message."""
        return f"the output of {self.name}"


@dataclass(frozen=True, eq=False)
class Bits:
    """What a sign gives: scale times the bits of a stream, opposite in the channels whose comparison was turned.

    The hardware compares x >= theta; a negative gain in front of a sign wants x <= theta, which is the opposite of
    x >= theta + 1. The convolution that reads the bits has the opposite weights there, and where its padding is a
    bit, the opposite one.

    Attributes:
        stream: the bits.
        turned: (C,) where they are opposite.
        scale: what they are multiplied with.
        compared: the stream that the sign compares, and its thresholds (C,); None where something lies in between.
        order: see `Expression`.
        before: what lies in between: earlier bits, and the layer that has made these of them, and would of numbers.
    """

    stream: Output
    turned: NDArray[np.bool_]
    scale: float = 1.0
    compared: tuple[str, Integers] | None = None
    order: Integers | None = None
    before: tuple[Bits, Op] | None = None

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
        pads: real: of the convolution, (top, left, bottom, right).
        kernel: sum: (height, width) of the window.
        limit: excess: the values are those of x minus x clipped to -limit..limit.
    """

    kind: Literal["pixel", "real", "dot", "sum", "value", "excess"]
    stream: str
    node: str = ""
    weights: Integers | None = None
    stride: int = 1
    pads: Pads = (0, 0, 0, 0)
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
    """gain * source + add, per channel, in real numbers; `affine` once a quantizer has rounded it.

    Attributes:
        source: the integers.
        gain, add: (C,), in the order of the stream's channels.
        affine: the integers that it has been rounded to.
        order: (C,) behind a Flatten: channel c of the stream is the file's feature order[c]; None for the same order.
        slack: most that it may differ from the file's value, where a border is padded with the nearest whole pixel.
        cancelled: the largest constant that was added on the way, in the units of the result: where a later constant
            takes most of it away again, float32 loses in proportion to it.
    """

    source: Source
    gain: Floats
    add: Floats
    affine: Rounded | None = None
    order: Integers | None = None
    slack: float = 0.0
    cancelled: float = 0.0

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.gain)

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
        largest = max(self.cancelled, float(np.abs(constant).max()), float(np.abs(self.add).max()))
        return replace(self, add=self.add + constant, cancelled=largest)

    def times(self, constant: Floats) -> Expression:
        """Multiply by a constant per channel."""
        self._check_open()
        steep = float(np.abs(constant).max())
        gain, add = self.gain * constant, self.add * constant
        return replace(self, gain=gain, add=add, slack=self.slack * steep, cancelled=self.cancelled * steep)

    def rounded(self, gain: Integers, bias: Integers, shift: int, dtype: DataType) -> Expression:
        """Close the expression as an integer affine."""
        return replace(self, affine=Rounded(gain, bias, shift, dtype))

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

    stream: Output
    branch: Expression
    slope: Integers | None = None
    rounding: float = 0.0

    def describe(self) -> str:
        """In words, for a message."""
        return f"the sum of {self.stream.name} and its branch, not yet saturated"


@dataclass(frozen=True, eq=False)
class Pair:
    """The sum of two values, not yet rounded or saturated.

    Attributes:
        a, b: the two, as expressions of streams.
    """

    a: Expression
    b: Expression

    def describe(self) -> str:
        """In words, for a message."""
        return f"the sum of {self.a.source.stream} and {self.b.source.stream}, not yet saturated"

    def times(self, constant: Floats) -> Pair:
        """Multiply by a constant per channel."""
        return Pair(self.a.times(constant), self.b.times(constant))


@dataclass(frozen=True)
class Padded:
    """A tensor of the file with a border, which a convolution reads.

    Attributes:
        tensor: of the file.
        pads: (top, left, bottom, right).
        value: of the border: 0, or around bits a number that they stand for.
    """

    tensor: str
    pads: Pads
    value: float = 0.0

    def describe(self) -> str:
        """In words, for a message."""
        return f"{f'{self.value:g}' if self.value else 'zeros'} around '{self.tensor}', {list(self.pads)}"


@dataclass(frozen=True)
class Clipped:
    """A stream clipped to -limit..limit, in units of its grid."""

    stream: Output
    limit: int

    def describe(self) -> str:
        """In words, for a message."""
        return f"{self.stream.name}, clipped"


@dataclass(frozen=True, eq=False)
class Bent:
    """What a PReLU, a ReLU or a Clip makes of an expression.

    Attributes:
        inner: the expression.
        slope: (C,) what it is multiplied with where it is below 0.
        low, high: limits of the result.
    """

    inner: Expression
    slope: Floats | None = None
    low: float = -np.inf
    high: float = np.inf

    def describe(self) -> str:
        """In words, for a message."""
        return f"{self.inner.source.stream} behind a bend or a limit, not yet rounded"


@dataclass(frozen=True, eq=False)
class Scaled:
    """gain * bent + add, per channel, in real numbers: a sign behind it compares the integers under the bend.

    Attributes:
        bent: what nothing else reads.
        tensor: its name in the file, under which it is rounded where anything but a sign reads it.
        gain, add: (C,), in the order of the stream's channels.
    """

    bent: Bent
    tensor: str
    gain: Floats
    add: Floats

    @staticmethod
    def of(bent: Bent, tensor: str) -> Scaled:
        """A bend with nothing behind it yet."""
        return Scaled(bent, tensor, np.ones(bent.inner.channels), np.zeros(bent.inner.channels))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.gain)

    @property
    def order(self) -> Integers | None:
        """The order of its features, as of `Expression`."""
        return self.bent.inner.order

    def describe(self) -> str:
        """In words, for a message."""
        return self.bent.describe()

    def flat_at_0(self) -> bool:
        """Whether it is 0 in some channel for a whole range of what is under the bend: where that is cut off."""
        ends = [end for end in (self.bent.low, self.bent.high) if np.isfinite(end)]
        if self.bent.slope is not None and np.any((self.bent.slope == 0) & (self.add == 0)):
            return True
        return any(bool(np.any(np.abs(self.gain * end + self.add) <= NEAR * np.abs(self.add))) for end in ends)

    def plus(self, constant: Floats) -> Scaled:
        """Add a constant per channel."""
        return replace(self, add=self.add + constant)

    def times(self, constant: Floats) -> Scaled:
        """Multiply by a constant per channel."""
        return replace(self, gain=self.gain * constant, add=self.add * constant)

    def compared(self) -> Expression | None:
        """A function of the integers under the bend that is 0 or more where this is; None where slopes fall.

        What a bend leaves rises with what is under it, so that `bent >= t` is `inner >= w`: w is t above 0, t / slope
        below, and out of reach where a limit decides alone.
        """
        bent, inner = self.bent, self.bent.inner
        slope = np.ones(self.channels) if bent.slope is None else bent.slope
        if np.any(slope < 0):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            level = -self.add / self.gain
            for end in (end for end in (0.0, bent.low, bent.high) if np.isfinite(end)):
                level = np.where(np.abs(level - end) <= NEAR * abs(end), end, level)
            under = np.where(level > 0, level, np.where(slope > 0, level / slope, -np.inf))
            under = np.where((level == 0) & (slope == 0) & (self.gain < 0), 0.0, under)
        rising = self.gain > 0
        always = np.where(rising, (level <= bent.low) | (under == -np.inf), level >= bent.high)
        never = np.where(rising, level > bent.high, (level < bent.low) | (under == -np.inf))
        fixed = (self.gain == 0) | always | never
        value = np.where(self.gain == 0, self.add, np.where(always, 1.0, -1.0))
        turn = np.where(rising, 1.0, -1.0)
        finite = np.where(fixed, 0.0, under)
        return replace(
            inner,
            gain=np.where(fixed, 0.0, turn * inner.gain),
            add=np.where(fixed, value, turn * (inner.add - finite)),
        )


@dataclass(frozen=True, eq=False)
class ThreeWay:
    """One of three numbers: where a value is below 0, where it is 0, where it is above.

    A sign of ONNX, a comparison, and all that arithmetic makes of them element by element: it becomes bits as soon as
    the number for 0 is that of one side, and the two sides are opposite.

    Attributes:
        inner: the value, in real numbers.
        away: how far the file's may be from it.
        tensor, level: of the file: the value is the tensor minus the level, or the opposite.
        numbers: (3,) below 0, at 0, above 0; of the type that the file's tensor has.
    """

    inner: Expression | Scaled
    away: float
    tensor: str
    level: NDArray[Any]
    numbers: NDArray[Any]

    def describe(self) -> str:
        """In words, for a message."""
        below, at, above = (float(one) for one in self.numbers)
        return f"a choice of {below:g}, {at:g} and {above:g} for what is below, at and above a level"


@dataclass(frozen=True, eq=False)
class Answer:
    """What is left out at the end of a network, as it changes no class: a softmax, an argmax.

    Attributes:
        value: the logits.
        tensor: their name in the file.
        kind: type of the node that is left out.
    """

    value: Value
    tensor: str
    kind: str

    def describe(self) -> str:
        """In words, for a message."""
        return f"what a {self.kind} gives"


@dataclass(frozen=True)
class Unknown:
    """What a node gives that was refused: reading goes on, so that all refusals are told at once."""

    def describe(self) -> str:
        """In words, for a message."""
        return "the output of a node that is not supported"


Value = (
    Constant
    | Output
    | Bits
    | ThreeWay
    | Padded
    | Expression
    | Total
    | Pair
    | Clipped
    | Bent
    | Scaled
    | Answer
    | Unknown
)


def reordered(value: Any, order: Integers | None) -> Any:
    """The same value whose channels are the file's features in this order."""
    return dataclasses.replace(value, order=order)
