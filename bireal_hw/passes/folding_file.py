"""The folding as a file that a person reads, changes and passes back with `folding=FILE`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from bireal_hw.errors import BirealError, unknown
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Fold
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
    chosen = {
        node.name: _read_fold(path, node.name, node.op.factors(*graph.inputs_of(node)), content.get(node.name))
        for node in convolutions(graph)
    }
    try:
        return complete(graph, chosen)
    except BirealError as error:
        raise BirealError(f"folding={path}: {error}") from None


def _place(path: Path, graph: Graph, content: dict[str, Any]) -> Graph:
    """Return the graph that a file with an engine is of; leave its fold under the names of all folds."""
    table = content[ENGINE]
    if not isinstance(table, dict) or not isinstance(table.get("begin"), str):
        raise BirealError(f'folding={path}: [{ENGINE}] lacks begin = "..", the first layer that it computes')
    back = {name: factor for factor, name in ENGINE_NAMES.items()}
    content[ENGINE] = {back.get(name, name): value for name, value in table.items() if name != "begin"}
    if any(node.name == ENGINE for node in graph):
        return graph
    try:
        return place(graph, table["begin"])
    except BirealError as error:
        raise BirealError(f"folding={path}: {error}") from None


def _read_fold(path: Path, name: str, possible: Collection[str], table: object) -> Fold:
    if not isinstance(table, dict):
        raise BirealError(f"folding={path} lacks [{name}]: every convolution needs pe and simd")
    for key in table:
        if key not in possible:
            raise BirealError(f"folding={path}: [{name}]: {unknown('factor', key, possible)}")
    numbers = DEFAULTS | table
    for key in possible:
        if not isinstance(numbers.get(key), int) or isinstance(numbers[key], bool):
            raise BirealError(f"folding={path}: [{name}] {key}={numbers.get(key)!r} must be a whole number")
    return Fold(**{key: numbers[key] for key in possible})
