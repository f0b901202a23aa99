"""What every layer type tells about itself; each file of `bireal_hw/ops` holds one layer type.

A layer is a frozen dataclass with its constants (weights and thresholds as numpy arrays). It answers every question
that the program has about a layer type: what it means (`infer`, `golden`), how it is folded (`factors`, `cost`), how it
is built (`rtl`, `hls`, `anatomy`, `calibration`), how it is drawn and written (`look`, `summary`, `qonnx`), and what it
would be at another size (`resized`). Code elsewhere that asks for the type of an op has found a missing method. Ops
import no emitter: the answers are data.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError
from bireal_hw.ir.anatomy import Anatomy, Parameters
from bireal_hw.ir.parts import Part
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
        queue: pixels whose sums wait, so that the next products are made meanwhile (the engine).
    """

    pe: int = 1
    simd: int = 1
    lanes: int = 1
    pack: int = 1
    queue: int = 0


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
class AxiPort:
    """An AXI4 master port of a module, to memory beside the chip; burst lengths as AXI3 allows them fit too.

    Attributes:
        name: prefix of its signals.
        data_width: bits of a beat.
        address_width: bits of a byte address.
        reads, writes: whether it has the channels AR and R, and the channels AW, W and B.
    """

    name: str
    data_width: int
    address_width: int
    reads: bool
    writes: bool

    @property
    def signals(self) -> tuple[tuple[str, int, bool], ...]:
        """Name, bits and whether the module drives it, of every signal."""
        address = (("addr", self.address_width), ("len", 8), ("size", 3), ("burst", 2), ("cache", 4), ("prot", 3))
        found: list[tuple[str, int, bool]] = []
        for channel, there in (("ar", self.reads), ("aw", self.writes)):
            if there:
                found += [(f"{channel}{name}", width, True) for name, width in (*address, ("valid", 1))]
                found += [(f"{channel}ready", 1, False)]
        if self.reads:
            found += [("rdata", self.data_width, False), ("rresp", 2, False), ("rlast", 1, False)]
            found += [("rvalid", 1, False), ("rready", 1, True)]
        if self.writes:
            found += [("wdata", self.data_width, True), ("wstrb", self.data_width // 8, True), ("wlast", 1, True)]
            found += [("wvalid", 1, True), ("wready", 1, False)]
            found += [("bresp", 2, False), ("bvalid", 1, False), ("bready", 1, True)]
        return tuple((f"{self.name}_{name}", width, driven) for name, width, driven in found)


ADDRESS_WIDTH = 32
"""Bits of the byte addresses of memory beside the chip."""
STATUS_WIDTH = 3
"""Bits of status_o of a module with AXI ports: an error while reading, one while writing, a wrong image of weights."""


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
        inner_width: bits of the widest word inside the module that is no beat of a port, if any.
        axi: ports to memory beside the chip. A module that has some also has the inputs weights_base_i and
            maps_base_i, where the image of its weights and the memory for its maps begin, and the output status_o,
            whose bits (`STATUS_WIDTH`) stay high until the reset.
        image: what lies in that memory from weights_base_i on.
        maps: bytes that it uses from maps_base_i on.
    """

    module: str
    parameters: dict[str, int]
    inputs: tuple[Port, ...]
    output: Port
    memories: dict[str, Memory] = field(default_factory=dict)
    inner_width: int = 0
    axi: tuple[AxiPort, ...] = ()
    image: bytes = b""
    maps: int = 0

    @property
    def memory_signals(self) -> tuple[tuple[str, int, bool], ...]:
        """Name, bits and whether the module drives it, of every signal that memory beside the chip needs."""
        if not self.axi:
            return ()
        bases = (("weights_base_i", ADDRESS_WIDTH, False), ("maps_base_i", ADDRESS_WIDTH, False))
        ports = itertools.chain.from_iterable(port.signals for port in self.axi)
        return (*bases, ("status_o", STATUS_WIDTH, True), *ports)


@dataclass(frozen=True, slots=True)
class Look:
    """How a layer is drawn.

    Attributes:
        colour: of its box, as `#rrggbb`.
        meaning: what it does, in a line of at most 60 characters.
        rank: place in a legend: what stands nearer to the image comes first.
    """

    colour: str
    meaning: str
    rank: int


class QonnxWriter(Protocol):
    """What a layer writes itself to a QONNX file with; tensors are names."""

    def constant(self, name: str, value: object) -> str:
        """Add a constant: numbers as float32, a list of whole numbers as int64."""

    def node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node of one output."""

    def quant(self, name: str, x: str, width: int, scale: object, rounding: str = "FLOOR", narrow: int = 0) -> str:
        """Add a Quant to signed integers of `width` bits times `scale`."""


class Op(ABC):
    """A layer type; see the module's docstring. Subclasses are frozen dataclasses."""

    kind: ClassVar[str]
    """Stem of the layer's four files."""
    look: ClassVar[Look]
    arity: ClassVar[int] = 1
    """Number of inputs."""
    registered: ClassVar[bool] = True
    """Whether a register slice behind it cuts a timing path; false for what only passes beats through a comparison."""
    gives_sums: ClassVar[bool] = False
    """Whether its output is no value of the network yet, but a sum that an affine brings to the stream's grid."""
    weight_width: ClassVar[int] = 0
    """Bits of a weight; 0 for a layer that has no products to unfold."""
    registry: ClassVar[dict[str, type[Op]]] = {}
    """All layer types by kind; filled by importing `bireal_hw.ops`."""

    @classmethod
    def module(cls) -> str:
        """Name of the SystemVerilog module."""
        return f"br_{cls.kind}"

    def scale(self, x: TensorType) -> int:
        """By how much it shrinks an image, along each side; 1 also where it makes one pixel of a whole image."""
        return 1

    @property
    def weight_count(self) -> int:
        """Number of weights, of `weight_width` bits each."""
        return 0

    # ---- meaning

    @abstractmethod
    def infer(self, *inputs: TensorType) -> TensorType:
        """Type and exact range of the output; raises BirealError for inputs that the layer cannot take."""

    @abstractmethod
    def golden(self, *inputs: Array) -> Array:
        """Compute the layer exactly on (N, H, W, C) integers."""

    def summary(self) -> str:
        """What sets it apart from others of its kind, for pictures and comments: sizes and shifts in a few words."""
        return ""

    def resized(self, before: TensorType, after: TensorType, channels: int) -> Self:
        """The same layer for other sizes; constants are repeated or cut off to fit, and mean nothing.

        Args:
            before: type of the first input as it is.
            after: type of the first input as it shall be.
            channels: that the layer shall give.
        """
        return self

    @abstractmethod
    def qonnx(self, write: QonnxWriter, name: str, inputs: list[str], types: list[TensorType], last: bool) -> str:
        """Write the layer as an exporter would (docs/architecture.md, section 6); return the name of its output.

        Args:
            write: adds nodes and constants.
            name: of the layer, with which the names of its nodes begin.
            inputs: names of the tensors that it reads.
            types: their types.
            last: whether its output is the network's.
        """

    # ---- folding

    def factors(self, *inputs: TensorType) -> dict[str, list[int]]:
        """What can be chosen: the legal values of each field of `Fold`; nothing for a layer that follows its input."""
        return {}

    def folds(self, *inputs: TensorType) -> list[Fold]:
        """All legal foldings of a layer that chooses, in ascending order of its factors."""
        names, values = zip(*self.factors(*inputs).items(), strict=True)
        return [Fold(**dict(zip(names, chosen, strict=True))) for chosen in itertools.product(*values)]

    def products(self, fold: Fold) -> int:
        """Products of weights that are computed in a cycle."""
        return 0

    def fold_text(self, fold: Fold) -> str:
        """A folding in words."""
        return f"{fold.lanes} lane{'s' if fold.lanes > 1 else ''}"

    def pace(self, fold: Fold, *inputs: TensorType) -> int:
        """Lanes with which a layer behind keeps up: those of the output, or fewer where it gives beats seldom."""
        return self.rtl_ports(fold, *inputs)[1].lanes

    @abstractmethod
    def cost(self, fold: Fold, *inputs: TensorType) -> Cost:
        """Cycles under a folding."""

    def traffic(self, fold: Fold, *inputs: TensorType) -> int:
        """Bytes of a frame that it reads from and writes to memory beside the chip."""
        return 0

    def memory_cycles(self, fold: Fold, bytes_per_cycle: float, *inputs: TensorType) -> int:
        """Cycles of a frame at most, where that memory gives and takes no more than so much."""
        return 0

    def check_fold(self, fold: Fold, *inputs: TensorType) -> None:
        """Raise BirealError if the folding is not legal for this layer."""
        require_divides(self.kind, "lanes", fold.lanes, "channels", inputs[0].channels)

    # ---- hardware

    @abstractmethod
    def rtl_ports(self, fold: Fold, *inputs: TensorType) -> tuple[tuple[Port, ...], Port]:
        """Input ports and output port of the module under a folding."""

    @abstractmethod
    def rtl(self, fold: Fold, *inputs: TensorType) -> Binding:
        """Module, parameters and memories under a folding."""

    def refolded(self, parameters: Parameters, fold: Fold, *inputs: TensorType) -> dict[str, int]:
        """Return what the parameters of the module would be under another folding; sooner than `rtl` gives them."""
        lanes = self.rtl_ports(fold, *inputs)[1].lanes
        values = {"Pe": fold.pe, "Simd": fold.simd, "Lanes": fold.lanes, "OutLanes": lanes, "Pack": fold.pack}
        return {name: values.get(name, value) for name, value in parameters.items()}

    def hls(self, fold: Fold, *inputs: TensorType) -> Binding:
        """The C++ kernel under a folding: `rtl` under the layer's own name, which is also the header's stem."""
        return replace(self.rtl(fold, *inputs), module=self.kind)

    def needs(self, *inputs: TensorType) -> NDArray[np.int64]:
        """The last input pixel that each output pixel waits for, both counted in raster order: (output pixels,).

        It may lie beyond the frame, where padding is; then the frame's last pixel is waited for. Not overridden, an
        output pixel waits for the input pixel in the same place.
        """
        out = self.infer(*inputs)
        require(out.pixels == inputs[0].pixels, f"{self.kind}: changes the image's size and does not say what it needs")
        return np.arange(out.pixels)

    def takes(self, *inputs: TensorType) -> NDArray[np.int64] | None:
        """The last input pixel that it has room for while an output pixel is under way, as `needs`; None for no buffer.

        A layer with a buffer waits for the whole of the pixel in `needs`; one without passes beat after beat. That of
        a layer with several inputs is a FIFO in front of each.
        """
        return None

    def engine(self, *inputs: TensorType) -> Part | None:
        """What it is to the engine (docs/engine.md); None for a layer that the engine does not compute."""
        return None

    @classmethod
    @abstractmethod
    def anatomy(cls, parameters: Parameters) -> Anatomy:
        """What an instance of the module consists of."""

    @classmethod
    @abstractmethod
    def calibration(cls, draw: Draw) -> Iterator[tuple[Op, tuple[TensorType, ...], Fold]]:
        """Instances, with inputs and folding, that the cost model's coefficients are fitted to."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))  # type: ignore[arg-type]
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


class Draw(Protocol):
    """A source of random constants."""

    def __call__(self, low: int, high: int, *shape: int) -> Array:
        """Return int32 from low to high, which depend on nothing but the range and the shape."""


def register(*types: type[Op]) -> None:
    """Make layer types known.

    Raises:
        TypeError: one does not answer all that every layer type has to, or has the name of another.
    """
    for one in types:
        missing = [name for name in ("kind", "look") if not hasattr(one, name)]
        missing += sorted(one.__abstractmethods__) if inspect.isabstract(one) else []
        if missing:
            raise TypeError(f"{one.__name__} lacks {', '.join(missing)}: see bireal_hw/ir/op.py")
        if Op.registry.setdefault(one.kind, one) is not one:
            raise TypeError(f"{one.__name__} and {Op.registry[one.kind].__name__} have the same kind: {one.kind}")


def per_channel(values: Array, channels: int) -> Array:
    """Constants of a layer for another number of channels, repeated or cut off."""
    return np.resize(values, (channels, *values.shape[1:]))


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


Pads = tuple[int, int, int, int]
"""Rows and columns of padding: (top, left, bottom, right)."""


def both_ends(pads: Pads) -> tuple[int, int]:
    """Rows and columns of padding at both ends together."""
    top, left, bottom, right = pads
    return top + bottom, left + right


def conv_output(size: int, kernel: int, stride: int, pad: int) -> int:
    """Output pixels along one side of a convolution; pad is the padding at both ends together."""
    return (size + pad - kernel) // stride + 1


def conv_lead(height: int, width: int, kernel: int, pads: Pads) -> int:
    """Pixels of an image that are there when the first window of a convolution is complete.

    >>> conv_lead(8, 8, kernel=3, pads=(1, 1, 1, 1))
    10
    """
    return min(height * width, (kernel - 1 - pads[0]) * width + kernel - pads[1])


def window_needs(x: TensorType, kernel: int, stride: int, pads: Pads) -> NDArray[np.int64]:
    """The last tap of every window, as `Op.needs` counts; beyond the right edge it counts on in the next row.

    >>> window_needs(TensorType(4, 4, 1, DataType(8), 0, 0), kernel=3, stride=2, pads=(1, 1, 1, 1))
    array([ 5,  7, 13, 15])
    """
    rows, columns = (
        np.arange(conv_output(size, kernel, stride, pad)) * stride + kernel - 1 - before
        for size, pad, before in zip((x.height, x.width), both_ends(pads), pads[:2], strict=True)
    )
    return (rows[:, None] * x.width + columns).reshape(-1)


def window_ahead(
    height: int, width: int, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> int:
    """Pixels that the window buffer (rtl/lib/br_window.sv) holds beyond the last tap of the window that is read.

    All that are new in the next window, wherever it lies, and one more. Sizes are (rows, columns), those of padding at
    both ends together.
    """
    rows, columns = (conv_output(*one) for one in zip((height, width), kernel, stride, pad, strict=True))
    row_end = (columns - 1) * stride[1]
    step_row = stride[0] * width - row_end
    step_frame = height * width - (rows - 1) * stride[0] * width - row_end
    return max(stride[1] if columns > 1 else 0, step_row if rows > 1 else 0, step_frame) + 1
