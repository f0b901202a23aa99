"""The integer dataflow graph: nodes in topological order, each an op with its constants, and its file format.

A graph holds meaning only: no folding, no paths, no reports. `graph.json` is complete (weights included), deterministic
and readable by hand except for the packed arrays.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bireal_hw.errors import BirealError, unknown
from bireal_hw.files import replacing
from bireal_hw.ir.encoding import bit
from bireal_hw.ir.op import Op
from bireal_hw.ir.types import DataType, TensorType

INPUT = "image"
"""Name of the graph's input tensor; every other tensor has the name of the node that makes it."""
FORMAT = "bireal_hw graph 3"
INTEGERS = ("int8", "int16", "int32", "int64")
"""Types of the stored arrays, little endian; an array has the first that holds its values."""


@dataclass(frozen=True)
class Node:
    """A layer of the network: its name (also of its output tensor), its op, the tensors that it reads."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A whole network.

    Attributes:
        name: of the network; an identifier.
        input: type of the image.
        nodes: in topological order; the last one makes the output.
        info: what a user of the output needs (class names, model, whether the weights were trained); JSON values.
    """

    name: str
    input: TensorType
    nodes: tuple[Node, ...]
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, TensorType]:
        """Type of every tensor that no node makes: the input."""
        return {INPUT: self.input}

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """Type of every tensor. Raises BirealError, naming the node, where the graph is wrong."""
        types = dict(self.given)
        for node in self.nodes:
            if node.name in types:
                raise BirealError(f"graph {self.name}: the name '{node.name}' stands twice")
            if not node.name.isidentifier():
                raise BirealError(f"graph {self.name}: '{node.name}' is not an identifier")
            missing = [name for name in node.inputs if name not in types]
            if missing:
                raise BirealError(f"graph {self.name}: {node.name} reads '{missing[0]}', which no earlier node makes")
            if len(node.inputs) != node.op.arity:
                found, expected = len(node.inputs), node.op.arity
                raise BirealError(f"graph {self.name}: {node.name} has {found} inputs, {node.op.kind} takes {expected}")
            try:
                types[node.name] = node.op.infer(*(types[name] for name in node.inputs))
            except BirealError as error:
                raise BirealError(f"graph {self.name}: {node.name}: {error}") from error
        return types

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The node that makes each tensor but those given."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def above(self) -> dict[str, frozenset[str]]:
        """Each tensor with all that it depends on, itself included."""
        above = {name: frozenset({name}) for name in self.given}
        for node in self.nodes:
            above[node.name] = frozenset({node.name}).union(*(above[source] for source in node.inputs))
        return above

    @property
    def output(self) -> TensorType:
        """Type of the output."""
        return self.types[self.nodes[-1].name]

    @cached_property
    def readers(self) -> dict[str, list[tuple[Node, int]]]:
        """The (node, input index) pairs that read each tensor that is read, in node order."""
        readers: dict[str, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for i, source in enumerate(node.inputs):
                readers.setdefault(source, []).append((node, i))
        return readers

    def consumers(self, name: str) -> list[tuple[Node, int]]:
        """The (node, input index) pairs that read a tensor, in node order; none for the output."""
        return self.readers.get(name, [])

    def inputs_of(self, node: Node) -> tuple[TensorType, ...]:
        """Types of the tensors that a node reads."""
        return tuple(self.types[name] for name in node.inputs)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        mine, others = ((one.name, one.input, [*one.given.items()], one.nodes, one.info) for one in (self, other))
        return mine == others


def verify(graph: Graph) -> Graph:
    """Check a graph whole and return it: types, names, and that every tensor but the output is read.

    Raises:
        BirealError: naming the node that is wrong.
    """
    if not graph.nodes:
        raise BirealError(f"graph {graph.name} has no nodes")
    _ = graph.types
    for name in [INPUT, *(node.name for node in graph.nodes[:-1])]:
        if not graph.consumers(name):
            raise BirealError(f"graph {graph.name}: nothing reads '{name}'")
    if graph.consumers(graph.nodes[-1].name):
        raise BirealError(f"graph {graph.name}: the output '{graph.nodes[-1].name}' is read inside the graph")
    return graph


def dumps(graph: Graph) -> str:
    """Serialise a graph; the same graph gives the same text."""
    nodes = []
    for node in graph:
        values = {f.name: getattr(node.op, f.name) for f in dataclasses.fields(node.op)}  # type: ignore[arg-type]
        nodes.append(
            {
                "name": node.name,
                "op": node.op.kind,
                "inputs": list(node.inputs),
                "type": str(graph.types[node.name]),
                "attributes": {key: _encode(value) for key, value in values.items()},
            }
        )
    document = {
        "format": FORMAT,
        "name": graph.name,
        "info": graph.info,
        "input": _encode(graph.input),
        "nodes": nodes,
    }
    return json.dumps(document, indent=1) + "\n"


def loads(text: str, origin: str = "graph") -> Graph:
    """Read a graph back and verify it.

    Raises:
        BirealError: naming `origin` when the text is broken, of another format, or describes an impossible graph.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise BirealError(f"{origin} is not valid JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise BirealError(f"{origin} is not a graph of this version: format is {found!r}, wanted {FORMAT!r}")
    importlib.import_module("bireal_hw.ops")  # registers the layer types; ir itself depends on none of them
    try:
        nodes = []
        for entry in document["nodes"]:
            kind = Op.registry.get(entry["op"])
            if kind is None:
                raise unknown("op", entry["op"], Op.registry)
            attributes = {key: _decode(value) for key, value in entry["attributes"].items()}
            nodes.append(Node(entry["name"], kind(**attributes), tuple(entry["inputs"])))
        graph = Graph(document["name"], _decode(document["input"]), tuple(nodes), document["info"])
        return verify(graph)
    except BirealError as error:
        raise BirealError(f"{origin}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise BirealError(f"{origin} is damaged: {type(error).__name__}: {error}") from error


REMEDY = "remove it to make it again with the command lower"


def save(graph: Graph, path: Path) -> None:
    """Write a graph to a file that appears whole or not at all."""
    with replacing(path) as part:
        part.write_text(dumps(graph))


def load(path: Path) -> Graph:
    """Read a graph from a file; raises BirealError when it is missing, broken or foreign."""
    try:
        return loads(path.read_text(), str(path))
    except OSError as error:
        raise BirealError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BirealError(f"{path} is damaged: it is no text; {REMEDY}") from error
    except BirealError as error:
        raise BirealError(f"{error}; {REMEDY}") from error


def _encode(value: Any) -> Any:
    """Turn an attribute into JSON; an array of -1/+1 is stored as bits."""
    if isinstance(value, np.ndarray):
        if value.dtype == np.int8 and np.all(np.abs(value) == 1):
            kind, raw = "bits", np.packbits(bit(value)).tobytes()
        else:
            low, high = int(value.min(initial=0)), int(value.max(initial=0))
            kind = next(kind for kind in INTEGERS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
            raw = value.astype(np.dtype(kind).newbyteorder("<")).tobytes()
        return {"array": kind, "shape": list(value.shape), "data": base64.b64encode(zlib.compress(raw)).decode()}
    if isinstance(value, DataType | TensorType):
        fields = {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    return list(value) if isinstance(value, tuple) else value


def _decode(value: Any) -> Any:
    """Undo `_encode`."""
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        raw, shape = zlib.decompress(base64.b64decode(value["data"], validate=True)), tuple(value["shape"])
        if value["array"] in INTEGERS:
            found = np.frombuffer(raw, np.dtype(value["array"]).newbyteorder("<")).reshape(shape)
            return found.astype(max(np.dtype(np.int32), found.dtype.newbyteorder("="), key=lambda one: one.itemsize))
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=int(np.prod(shape)))
        return (bits.astype(np.int8) * 2 - 1).reshape(shape)
    fields = {key: _decode(item) for key, item in value.items() if key != "type"}
    return {"DataType": DataType, "TensorType": TensorType}[value["type"]](**fields)
