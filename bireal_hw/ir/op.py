"""What every layer type tells about itself; each file of `bireal_hw/ops` holds one layer type.

A layer is a frozen dataclass with its constants (weights and thresholds as numpy arrays) and five answers:
`infer` (shape and exact integer range), `golden` (what it computes), `cost` (cycles), `rtl` and `hls` (module or C++
kernel, parameters, memories). Ops import no emitter: `rtl` and `hls` are data.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.types import DataType, TensorType

Array = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Fold:
    """How much of a layer is computed in a cycle.

    Attributes:
        pe: output channels at once (convolutions).
        simd: elements of the K axis at once (convolutions).
        lanes: channels of a beat (all other layers).
        pack: products that one multiplier gives at once, 1 or 2 (real-valued convolutions).
    """

    pe: int = 1
    simd: int = 1
    lanes: int = 1
    pack: int = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """Cycles of a layer that is never stalled.

    Attributes:
        cycles: distance between two frames in the steady state.
        latency: from the first input beat's transfer to the first output beat's transfer, in the first frame.
    """

    cycles: int
    latency: int


@dataclass(frozen=True, slots=True)
class Port:
    """A stream port of a module: name prefix, channels in a beat, number format of one channel."""

    name: str
    lanes: int
    dtype: DataType

    @property
    def width(self) -> int:
        """Bits of tdata."""
        return self.lanes * self.dtype.width


@dataclass(frozen=True, slots=True)
class Memory:
    """Contents of a read-only memory, in address order.

    Attributes:
        width: bits of a word.
        words: the words.
        entry: bits of one entry, 1 to 64, where a program holds a word as an array of entries, the first in the low
            bits; divides the width.
    """

    width: int
    words: list[int]
    entry: int = 1


@dataclass(frozen=True, slots=True)
class Binding:
    """One instance of a hardware module, in SystemVerilog or as a C++ kernel.

    Attributes:
        module: SystemVerilog module, or kernel in the namespace `bireal`.
        parameters: integer parameters by name, the same in both languages.
        memories: by the name of the parameter that takes the file.
        inputs, output: stream ports.
    """

    module: str
    parameters: dict[str, int]
    inputs: tuple[Port, ...]
    output: Port
    memories: dict[str, Memory] = field(default_factory=dict)


class Op(ABC):
    """A layer type; see the module's docstring. Subclasses are frozen dataclasses."""

    kind: ClassVar[str]
    """Stem of the layer's four files."""
    arity: ClassVar[int] = 1
    registry: ClassVar[dict[str, type[Op]]] = {}
    """All layer types by kind; filled by importing `bireal_hw.ops`."""

    def __init_subclass__(cls) -> None:
        Op.registry[cls.kind] = cls

    @abstractmethod
    def infer(self, *inputs: TensorType) -> TensorType:
        """Type and exact range of the output; raises BirealError for inputs that the layer cannot take."""

    @abstractmethod
    def golden(self, *inputs: Array) -> Array:
        """Compute the layer exactly on (N, H, W, C) integers."""

    @abstractmethod
    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        """Cycles under a folding."""

    @abstractmethod
    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        """Input ports and output port of the module under a folding."""

    @abstractmethod
    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        """Module, parameters and memories under a folding."""

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        """The C++ kernel under a folding: `rtl` under the layer's own name, which is also the header's stem."""
        return replace(self.rtl(fold, *inputs), module=self.kind)

    def summary(self) -> str:
        """What sets it apart from others of its kind, for pictures and comments: sizes and shifts in a few words."""
        return ""

    def check_fold(self, fold: Fold, *inputs: TensorType) -> None:
        """Raise BirealError if the folding is not legal for this layer."""
        require_divides(self.kind, "lanes", fold.lanes, "channels", inputs[0].channels)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))  # type: ignore[arg-type]
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


def require(condition: bool, message: str) -> None:
    """Raise BirealError(message) unless the condition holds."""
    if not condition:
        raise BirealError(message)


def divisors(number: int) -> list[int]:
    """All divisors in ascending order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    return [d for d in range(1, number + 1) if number % d == 0]


def require_divides(kind: str, factor: str, value: int, total: str, number: int) -> None:
    """Raise BirealError unless value divides number, naming the factors that do and the nearest of them."""
    if value < 1 or number % value:
        legal = divisors(number)
        nearest = min(legal, key=lambda one: abs(one - value))
        raise BirealError(
            f"{kind}: {total}={number} is not a multiple of {factor}={value}; "
            f"choose {factor} from {', '.join(map(str, legal))}; the nearest is {nearest}"
        )


def with_beats(binding: Binding, tensor: TensorType) -> Binding:
    """Add the parameter Beats: beats of a frame on the first input, which a C++ kernel counts and a module need not."""
    return replace(binding, parameters={"Beats": tensor.beats(binding.inputs[0].lanes), **binding.parameters})


def shared_lanes(pe: int, simd: int, k: int) -> int:
    """Lanes that keep up with Pe sums every K/Simd cycles: the smallest divisor of Pe that is at least Pe*Simd/K.

    >>> [shared_lanes(8, 16, 144), shared_lanes(8, 64, 144), shared_lanes(8, 144, 144)]
    [1, 4, 8]
    """
    return next(d for d in divisors(pe) if d * k >= pe * simd)


def conv_summary(weights: Array, stride: int) -> str:
    """Sizes of a convolution in words; weights are (Cout, kernel, kernel, Cin).

    >>> conv_summary(np.zeros((16, 3, 3, 8), np.int8), 2)
    '3x3, stride 2, 8 -> 16 channels, K = 72'
    """
    cout, kernel, _, cin = weights.shape
    return f"{kernel}x{kernel}, stride {stride}, {cin} -> {cout} channels, K = {kernel * kernel * cin}"


def conv_output(size: int, kernel: int, stride: int, pad: int) -> int:
    """Output pixels along one side of a convolution."""
    return (size + 2 * pad - kernel) // stride + 1


def conv_lead(height: int, width: int, kernel: int, pad: int) -> int:
    """Pixels of an image that are there when the first window of a convolution is complete.

    >>> conv_lead(8, 8, kernel=3, pad=1)
    10
    """
    return min(height * width, (kernel - 1 - pad) * width + kernel - pad)
