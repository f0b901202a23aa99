"""The folding as a file that a person reads, changes and passes back with `folding=FILE`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError, out_of_range, unknown
from bireal_hw.ir.graph import Graph, Node
from bireal_hw.ir.op import Fold
from bireal_hw.ir.types import TensorType
from bireal_hw.passes.folding import Folding, complete, convolutions
from bireal_hw.passes.placement import ENGINE, begin_of, place
from bireal_hw.toml import read_toml

ENGINE_NAMES = {"pe": "channels", "lanes": "numbers"}
"""Factors of an engine by the names that a file has for them."""
ENGINE_LINES = [
    "# All layers from begin on, one after another, with weights and maps in DRAM: so many output channels, and of",
    "# each so many bits of its products, or numbers of 8 bits, in a cycle; queue: pixels whose sums wait meanwhile.",
]
DEFAULTS = {"pack": 1, "queue": 0}
"""Factors that a file may leave out."""


def folding_text(graph: Graph, folding: Folding) -> str:
    """Write the folds of the convolutions, from which all others follow, as TOML, with what else could be chosen."""
    lines = [
        f"# Folding of {graph.name}: a convolution computes pe output channels from simd inputs in a cycle,",
        "# a real-valued one with a multiplier for each product (pack = 1) or for each two (pack = 2).",
        "# Behind each number stand those that are possible. Change some and build with folding=FILE.",
    ]
    for node in convolutions(graph):
        fold = folding[node.name]
        types = graph.inputs_of(node)
        cycles = node.op.cost(fold, *types).cycles
        lines += ["", f"[{node.name}] # {cycles:,} cycles a frame"]
        if node.name == ENGINE:
            lines += ENGINE_LINES
            lines.append(f'begin = "{begin_of(graph)}"')
        folds = node.op.folds(*types)
        names = ENGINE_NAMES if node.name == ENGINE else {}
        for name, values in node.op.factors(*types).items():
            legal = [value for value in values if replace(fold, **{name: value}) in folds]
            lines.append(f"{names.get(name, name)} = {getattr(fold, name)} # {', '.join(map(str, legal))}")
    return "\n".join(lines) + "\n"


def read_folding(path: Path, graph: Graph) -> Folding:
    """Read a folding file and complete it.

    Raises:
        BirealError: it cannot be read, lacks a layer or a number, or names an impossible one.
    """
    content = read_toml(path, f"folding={path}")
    if ENGINE in content:
        graph = _place(path, graph, content)
    names = [node.name for node in convolutions(graph)]
    for name in content:
        if name not in names:
            raise BirealError(f"folding={path} is not of this network: {unknown('convolution', name, names)}")
    chosen = {node.name: _read_fold(path, graph, node, content.get(node.name)) for node in convolutions(graph)}
    try:
        return complete(graph, chosen)
    except BirealError as error:
        raise BirealError(f"folding={path}: {error}") from None


def _place(path: Path, graph: Graph, content: dict[str, Any]) -> Graph:
    """Return the graph that a file with an engine is of; leave its fold under the names of all folds."""
    table = content[ENGINE]
    if not isinstance(table, dict) or not isinstance(table.get("begin"), str):
        raise BirealError(f'folding={path}: [{ENGINE}] lacks begin = "..", the first layer that it computes')
    content[ENGINE] = {name: value for name, value in table.items() if name != "begin"}
    if any(node.name == ENGINE for node in graph):
        return graph
    try:
        return place(graph, table["begin"])
    except BirealError as error:
        raise BirealError(f"folding={path}: {error}") from None


def _read_fold(path: Path, graph: Graph, node: Node, table: object) -> Fold:
    types, where = graph.inputs_of(node), f"folding={path}: [{node.name}]"
    names = ENGINE_NAMES if node.name == ENGINE else {}
    factors = {names.get(factor, factor): factor for factor in node.op.factors(*types)}
    if not isinstance(table, dict):
        raise BirealError(f"folding={path} lacks [{node.name}]: every convolution needs pe and simd")
    for key in table:
        if key not in factors:
            raise BirealError(f"{where}: {unknown('factor', key, factors)}")
    numbers = DEFAULTS | table
    for key in factors:
        if not isinstance(numbers.get(key), int) or isinstance(numbers[key], bool):
            raise BirealError(f"{where} {key}={numbers.get(key)!r} must be a whole number")
    fold = Fold(**{factor: numbers[key] for key, factor in factors.items()})
    if node.name == ENGINE:
        _check_engine(where, node, fold, types)
    return fold


def _check_engine(where: str, node: Node, fold: Fold, types: tuple[TensorType, ...]) -> None:
    """Refuse sizes of an engine that are not among those that its file lists."""
    folds = node.op.folds(*types)
    if fold in folds:
        return
    for factor, values in node.op.factors(*types).items():
        name, value = ENGINE_NAMES.get(factor, factor), getattr(fold, factor)
        others = [other for other in values if replace(fold, **{factor: other}) in folds]
        if value not in values or others:
            raise BirealError(f"{where}: {out_of_range(name, value, ' or '.join(map(str, others or values)))}")
    raise BirealError(f"{where}: channels, simd and numbers do not go together: simd is a multiple of channels")
