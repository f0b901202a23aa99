"""Reads a file node by node and builds the integer graph: state, names, and what every rule needs.

A tensor of the file is, at any point, one of the values of `values.py`. The rules of `rules/` say what each type of
node makes of them; `closing.py` says how a function of a stream becomes a layer.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Op
from bireal_hw.ir.types import PIXEL, TensorType
from bireal_hw.lowering.files import is_channels_last
from bireal_hw.lowering.grid import Floats, Integers
from bireal_hw.lowering.names import identifier
from bireal_hw.lowering.pixels import Pixels
from bireal_hw.lowering.reference import CHANNELS_LAST
from bireal_hw.lowering.values import (
    Answer,
    Bent,
    Bits,
    Clipped,
    Constant,
    Expression,
    Output,
    Scaled,
    Source,
    Unknown,
    Value,
)

METADATA = "bireal_hw."
"""Prefix of the metadata entries of the file that become the graph's `info`."""
DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
"""Domains of the nodes that are read."""
RESHAPING = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Types of nodes whose output is laid out otherwise than their input, or as they say themselves."""
SHOWN = 3
"""Refusals that the error tells; `check` tells all."""


@dataclass(frozen=True, eq=False)
class Mark:
    """Where a tensor of the file stands in the graph.

    Attributes:
        stream: node of the graph.
        gain, add: (C,) the file's value is gain * integer + add, in the order of the stream's channels.
        order: as of `Expression`.
        bound: most that the file's value may differ from it where both read the same; 0 for exact.
        saturates: whether the file lets values pass that the stream's format cuts off.
        noise: what float32 may lose of the file's value, beside its last digits.
        compared: of bits: the file's tensor that is compared, and what with; None where bits are told by themselves.
        zeros: of bits: whether the file has 0 where the two are the same.
    """

    stream: str
    gain: Floats
    add: Floats
    order: Integers | None
    bound: float
    saturates: bool
    noise: float = 0.0
    compared: tuple[str, NDArray[Any]] | None = None
    zeros: bool = False


@dataclass(frozen=True, eq=False)
class Origin:
    """What a stream was before it was rounded without a quantizer.

    Attributes:
        moved: the function of integers that was rounded.
        found: what the stream stands for.
        bound: most that the two are apart.
    """

    moved: Scaled
    found: Expression
    bound: float


@dataclass(frozen=True)
class Entry:
    """A line of the journal: what becomes of a node of the file, and by how much its output moves at most."""

    node: str
    becomes: str
    moved: float = 0.0


@dataclass(frozen=True)
class Row:
    """A node of the file: its name, its type, what becomes of it, and what is said of it where it is refused."""

    node: str
    kind: str
    becomes: str
    refused: str = ""


class RefusedError(BirealError):
    """A node that is not supported."""


class RereadError(Exception):
    """Reading has to begin anew, as something about the whole network has come to light: keyword arguments."""

    def __init__(self, **known: Any) -> None:
        super().__init__()
        self.known = known


class SkipError(Exception):
    """A node reads what a refused one gives."""


@dataclass(frozen=True)
class Rule:
    """What is done with a type of node.

    Attributes:
        read: gives the value of its first output.
        reads: attributes that it honours.
        only: attributes that may have one value, which is their default.
        ignores: attributes that change nothing for a network that runs.
    """

    read: Callable[[Site], Value]
    reads: tuple[str, ...] = ()
    only: Mapping[str, Any] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()


Ranges = Callable[[str], tuple[float, float]]
"""The lowest and highest value that a tensor of the file takes."""


class Reader:
    """One pass over the file's nodes; `values` maps its tensor names to what they are.

    Args:
        model: the file.
        rules: by type of node.
        pixels: what a stored pixel stands for; None to find out.
        ranges: of the file's tensors; asked only where no quantizer says how a stream is rounded.
        fracs: fraction bits of tensors of the file that are rounded without a quantizer.
        stream_bits: width of streams that are rounded without a quantizer.
        settle_first: tensors that are rounded before anything reads them, so that all readers read the same.
        pictures: whether the images that are known are pictures, so that a pixel is one of a picture.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        rules: Mapping[str, Rule],
        pixels: Pixels | None,
        ranges: Callable[[Pixels], Ranges],
        fracs: Mapping[str, int],
        stream_bits: int = 16,
        pictures: bool = False,
        settle_first: frozenset[str] = frozenset(),
    ) -> None:
        self.model = model
        self.rules = rules
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.ranks: dict[str, int] = {}  # number of axes of the file's tensors that are no constants
        self.channels_last: set[str] = set()  # tensors of the file that are (N, H, W, C)
        self.values: dict[str, Value] = {}
        self.marks: dict[str, Mark] = {}
        self.journal: list[Entry] = []
        self.rows: list[Row] = []
        self.refusals: list[str] = []
        self.report = ""  # of nodes at which a library failed
        self.fracs = fracs
        self.readers: dict[str, set[str]] = {}  # of tensors that were read before anything rounded them
        self.settle_first = settle_first
        self.settle_next: set[str] = set()  # tensors that one reader has rounded, and another has read unrounded
        self.settled: dict[str, str] = {}  # streams that were rounded without a quantizer: tensor of the file
        self.origins: dict[str, Origin] = {}  # of `settled` streams
        self.links: list[tuple[str, str]] = []  # tensors that would share a grid
        self.built: dict[Source, str] = {}  # streams of sources that are no longer pending
        self.shifts: dict[str, int] = {}  # of the streams in `built`
        self.offsets: Floats = np.zeros(0)  # of the pixels
        self.stream_bits = stream_bits
        self._ranges = ranges
        self.pixels_known = pixels is not None
        self.pictures = pictures
        self.has_metadata = any(entry.key.startswith(METADATA) for entry in model.metadata_props)
        self.makers = {name: node.name or name for node in model.graph.node for name in node.output}
        self.numbers: dict[str, np.dtype[Any]] = {}  # formats of constants that are no float
        for initializer in model.graph.initializer:
            try:
                array = numpy_helper.to_array(initializer)
            except (TypeError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise BirealError(f"the constant '{initializer.name}' cannot be read: {reason}") from error
            if array.dtype.kind in "iub":
                self.numbers[initializer.name] = array.dtype
            self.values[initializer.name] = Constant(array.astype(np.float64))
        self.uses = Counter(name for node in model.graph.node for name in node.input)
        self.uses.update(value.name for value in model.graph.output)
        self.input, channels = self._input()
        self.types[INPUT] = self.input
        if self.stored and pixels is not None and not pixels.stored:
            raise BirealError(
                f"input '{self.input_name}' is uint8, which are stored pixels; pixels= says something else"
            )
        self.pixels_known = self.pixels_known or self.stored
        self.pixels = pixels or Pixels(
            np.ones(channels), np.zeros(channels), "the file reads pixels as they are stored"
        )
        source = Source("pixel", INPUT)
        self.values[self.input_name] = Expression(source, self.pixels.scale, self.pixels.offset)

    @cached_property
    def ranges(self) -> Ranges:
        """The ranges of the file's tensors; running the file takes a while."""
        return self._ranges(self.pixels)

    def run(self) -> Value:
        """Interpret every node; return what the file's output is.

        Raises:
            BirealError: nodes that are not supported; the text tells the first of them.
            RereadError: something about the whole network has come to light.
        """
        for node in self.model.graph.node:
            self._read(node)
        if self.refusals:
            more = len(self.refusals) - SHOWN
            rest = f"; and {more} more, which bireal-hw check lists" if more > 0 else ""
            known = {node.op_type for node in self.model.graph.node} <= set(self.rules)
            supported = "" if known else f"; supported are {', '.join(self.rules)}"
            error = RefusedError("; ".join(self.refusals[:SHOWN]) + rest + supported)
            error.report = self.report
            raise error
        self.answer = self.model.graph.output[0].name
        value = self.values.get(self.answer)
        if value is None:
            raise BirealError(f"the output '{self.answer}' is made by no node")
        if isinstance(value, Answer):
            self.answer, value = value.tensor, value.value
        return value

    def graph(self, last: str) -> Graph:
        """The network whose output a node gives, with the nodes that it depends on and what the file says of itself."""
        nodes, wanted = [], {last}
        for node in reversed(self.nodes):
            if node.name in wanted:
                nodes.append(node)
                wanted.update(node.inputs)
        info = {
            entry.key.removeprefix(METADATA): json.loads(entry.value)
            for entry in self.model.metadata_props
            if entry.key.startswith(METADATA)
        }
        name = identifier(str(info.get("model") or self.model.graph.name)) or "network"
        return verify(Graph(name, self.input, tuple(reversed(nodes)), info))

    def _read(self, node: onnx.NodeProto) -> None:
        site, before = Site(self, node), len(self.nodes)
        value: Value = Unknown()
        refused = ""
        try:
            value = site.read()
        except SkipError:
            pass
        except RereadError:
            raise
        except BirealError as error:
            refused = str(error)
        except Exception as error:  # whatever a library says of a damaged node
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            refused = f"{site.words} cannot be read: {reason}"
            self.report += f"{node}\n{traceback.format_exc()}\n"
        if refused:
            refused = " ".join(refused.split())  # names may hold anything
            self.refusals.append(refused)
        made = [f"{one.op.kind} {one.name}" for one in self.nodes[before:]]
        self.rows.append(Row(site.name, node.op_type, "" if refused else _becomes(value, made), refused))
        for name in node.output:
            if name:
                self.values[name] = value if name == node.output[0] else Unknown()
        if node.output and not isinstance(value, Constant):
            self.ranks.setdefault(node.output[0], site.rank)

    def _input(self) -> tuple[TensorType, int]:
        """The image: the one graph input that is no initializer, (batch, C, H, W) or (batch, H, W, C)."""
        graph = self.model.graph
        if not graph.node or len(graph.output) != 1:
            names = ", ".join(value.name for value in graph.output)
            found = (
                f"{len(graph.output)} outputs ({names})" if graph.node and graph.output else f"{len(graph.node)} nodes"
            )
            raise BirealError(f"it holds no network with one output: {found}")
        inputs = [value for value in graph.input if value.name not in self.values]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs)
            raise BirealError(f"{len(inputs)} inputs found ({names}); one image is supported")
        self.input_name, tensor = inputs[0].name, inputs[0].type.tensor_type
        dims = [dim.dim_value for dim in tensor.shape.dim]
        if len(dims) != 4 or min(dims[1:]) < 1:
            raise BirealError(
                f"input '{self.input_name}' has shape {dims}; (batch, channels, height, width) is supported"
            )
        if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8):
            kind = TensorProto.DataType.Name(tensor.elem_type).lower()
            raise BirealError(f"input '{self.input_name}' is {kind}; float, or uint8 for stored pixels, is supported")
        self.stored = tensor.elem_type == TensorProto.UINT8
        if is_channels_last(self.model, self.input_name):
            self.channels_last.add(self.input_name)
            dims = [dims[0], dims[3], dims[1], dims[2]]
        _, channels, height, width = dims
        self.ranks[self.input_name] = 4
        return TensorType.full(height, width, channels, PIXEL), channels

    # ---- what rules build with

    def emit(self, name: str, op: Op, *inputs: str) -> str:
        """Add a node to the graph under a name of the file; return its own."""
        unique = identifier(name) or f"{op.kind}_{len(self.nodes)}"
        while unique in self.types:
            unique += "_"
        try:
            self.types[unique] = op.infer(*(self.types[stream] for stream in inputs))
        except BirealError as error:
            raise BirealError(f"node '{name}': {error}") from error
        self.nodes.append(Node(unique, op, inputs))
        return unique

    def values_of(self, stream: str, source: Source | None = None) -> Expression:
        """The values of a stream, or what a source makes of them, as the beginning of an expression."""
        x = self.types[stream]
        gain = np.full(x.channels, 2.0**-x.dtype.frac)
        return Expression(source or Source("value", stream), gain, np.zeros(x.channels))

    def as_stream(self, value: Value) -> Value:
        """An expression that is the plain values of a stream as that stream; any other value as it is."""
        if isinstance(value, Expression) and value.source.kind == "value" and value.affine is None:
            x = self.types[value.source.stream]
            if value.order is None and np.all(value.gain == 2.0**-x.dtype.frac) and not np.any(value.add):
                return Output(value.source.stream)
        return value

    def compared(self, tensor: str, value: Value) -> tuple[Scaled, float] | None:
        """What a value was before anything rounded it, and how far it was moved since; None where that is not known.

        The hardware compares that: so what lies on a threshold, as all that a limit has cut off may, is on the file's
        side of it.
        """
        open_ = self.unrounded(tensor, value)
        if open_ is not None:
            return open_, 0.0
        if not isinstance(value, Expression) or value.affine is not None or value.source.kind != "value":
            return None
        if value.source.stream in self.origins:
            origin = self.origins[value.source.stream]
            gain = value.gain / origin.found.gain
            moved = replace(origin.moved, gain=gain, add=value.add - gain * origin.found.add)
            return moved, origin.bound * float(np.abs(gain).max())
        return None

    def unrounded(self, tensor: str, value: Value) -> Scaled | None:
        """A bend or a limit and the arithmetic behind it, where only one node reads it; None for other values."""
        if self.uses[tensor] != 1:
            return None
        match value:
            case Scaled():
                return value
            case Bent():
                return Scaled.of(value, tensor)
            case Clipped():
                inner = self.values_of(value.stream.name)
                limit = value.limit * float(inner.gain[0])
                return self.unrounded(tensor, Bent(inner, None, -limit, limit))
        return None

    def mark(
        self,
        tensor: str,
        value: Output | Bits | Expression,
        bound: float,
        saturates: bool = False,
        noise: float = 0.0,
        compared: tuple[str, NDArray[Any]] | None = None,
    ) -> None:
        """Remember that a tensor of the file is a stream of the graph, within a bound in the file's units."""
        if isinstance(value, Output):
            value = self.values_of(value.name)
        if isinstance(value, Bits):
            gain = np.where(value.turned, -value.scale, value.scale)
            mark = Mark(value.stream.name, gain, np.zeros(len(gain)), value.order, bound, saturates, noise, compared)
        else:
            mark = Mark(value.source.stream, value.gain, value.add, value.order, bound, saturates, noise)
        self.marks[tensor] = mark

    def maker(self, tensor: str) -> str:
        """Name of the node of the file that makes a tensor."""
        return self.makers.get(tensor, tensor)

    def say(self, tensor: str, becomes: str, moved: float = 0.0) -> None:
        """Write down what becomes of a tensor of the file; `moved` is how far at most, in the file's units."""
        self.journal.append(Entry(self.maker(tensor), becomes, moved))


class Site:
    """A node of the file with what it reads, as a rule sees it."""

    def __init__(self, reader: Reader, node: onnx.NodeProto) -> None:
        self.reader = reader
        self.node = node

    @property
    def name(self) -> str:
        """Name of the node, or of what it gives where it has none."""
        return self.node.name or (self.node.output[0] if self.node.output else "")

    @property
    def words(self) -> str:
        """The node in a message."""
        return f"node '{self.name}' ({self.node.op_type})"

    @property
    def output(self) -> str:
        """Tensor that it gives."""
        return str(self.node.output[0])

    def read(self) -> Value:
        """Apply the rule of this type of node."""
        node, rules = self.node, self.reader.rules
        rule = rules.get(node.op_type)
        if node.domain not in (*DOMAINS, CHANNELS_LAST):
            raise RefusedError(f"{self.words} is of the domain {node.domain}; supported are {', '.join(DOMAINS[1:])}")
        inputs = [self.reader.values.get(name) for name in node.input if name]
        if any(isinstance(value, Unknown) for value in inputs):
            raise SkipError
        if rule is None:
            raise RefusedError(f"node '{self.name}' is a {node.op_type}")
        if len(node.output) > 1:
            used = [name for name in node.output[1:] if name and self.reader.uses[name]]
            if used:
                raise self.unsupported(f"a second output that is read, '{used[0]}'", "the first")
        for key, value in self.attributes.items():
            if key in rule.only and value != rule.only[key]:
                raise self.unsupported(f"{key}={value!r}", f"{key}={rule.only[key]!r}")
            if key not in (*rule.reads, *rule.only, *rule.ignores):
                raise self.unsupported(f"the attribute {key}={value!r}", ", ".join((*rule.reads, *rule.only)) or "none")
        return rule.read(self)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Attributes by name, texts decoded."""
        return {
            one.name: value.decode() if isinstance(value := onnx.helper.get_attribute_value(one), bytes) else value
            for one in self.node.attribute
        }

    @property
    def count(self) -> int:
        """Number of inputs."""
        return len(self.node.input)

    def has(self, index: int) -> bool:
        """Whether an optional input is given."""
        return index < self.count and bool(self.node.input[index])

    def tensor(self, index: int) -> str:
        """Name of an input's tensor."""
        if index >= self.count:
            raise self.unsupported(f"{self.count} inputs", f"{index + 1} or more")
        return str(self.node.input[index])

    def value(self, index: int) -> Value:
        """What an input is; refuses numbers that are none."""
        name = self.tensor(index)
        if name not in self.reader.values:
            raise RefusedError(f"{self.words} reads '{name}', which no earlier node makes")
        value = self.reader.values[name]
        if isinstance(value, Expression):
            self.reader.readers.setdefault(name, set()).add(self.output)
        if isinstance(value, Constant) and not np.isfinite(value.array).all():
            at = np.argwhere(~np.isfinite(value.array))[0].tolist()
            found = f"{value.array[tuple(at)]} at {at} of its input '{name}'"
            raise self.unsupported(found, "finite numbers; did the training diverge?")
        return value

    def constant(self, index: int) -> Floats:
        """The numbers of an input that has to be constant."""
        value = self.value(index)
        if not isinstance(value, Constant):
            raise self.unsupported(f"a computed input {index}", "a constant")
        return value.array

    def per_channel(self, array: Floats, value: Expression | Scaled | Bits) -> Floats:
        """A constant operand as one number per channel of a value, in the order of its stream."""
        channels = len(value.turned) if isinstance(value, Bits) else value.channels
        rank = self.input_rank
        axis = rank - 1 if self.is_channels_last else 1
        given, places = array.shape, axis - rank + array.ndim  # as a constant is broadcast: the last axes meet
        for at in range(array.ndim):  # the same number written for every pixel, as an Expand leaves it
            if at != places and np.all(array == array.take([0], at)):
                array = array.take([0], at)
        shape = (1,) * (rank - array.ndim) + array.shape
        if len(shape) > rank or shape[axis] not in (1, channels) or array.size != shape[axis]:
            wanted = ([channels] if axis == rank - 1 else [channels, 1, 1])[: rank - 1]
            raise self.unsupported(f"a constant of shape {list(given)}", f"one number, or shape {wanted}")
        return in_order(np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float64), value.order)

    @property
    def is_channels_last(self) -> bool:
        """Whether its inputs are (N, H, W, C)."""
        return any(name in self.reader.channels_last for name in self.node.input)

    @property
    def input_rank(self) -> int:
        """Number of axes of its inputs that are no constants."""
        return max((self.reader.ranks[name] for name in self.node.input if name in self.reader.ranks), default=4)

    @property
    def rank(self) -> int:
        """Number of axes of its output, unless its rule has said so."""
        if self.is_channels_last and self.node.op_type not in RESHAPING:
            self.reader.channels_last.add(self.output)
        return max((self.reader.ranks[name] for name in self.node.input if name in self.reader.ranks), default=0)

    def unsupported(self, found: str, supported: str) -> RefusedError:
        """Describe what is not supported, and what is."""
        return RefusedError(f"{self.words}: found {found}; supported: {supported}")


def _becomes(value: Value, made: list[str]) -> str:
    """In words, what a node has become."""
    if made:
        return ", ".join(made)
    match value:
        case Unknown():
            return "not read: something before it is not supported"
        case Constant():
            return "constants"
        case Answer():
            return "left out: the class is the largest logit"
        case _:
            return "part of what reads it"


def in_order(array: Any, order: Integers | None) -> Any:
    """Numbers per feature of the file, along the first axis, in the order of a stream's channels."""
    return array if order is None else array[order]
