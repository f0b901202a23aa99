"""The folding as a file that a person reads, changes and passes back with `folding=FILE`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from bireal_hw.errors import BirealError, unknown
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Fold
from bireal_hw.passes.folding import Folding, complete, convolutions, factors

FACTORS = ("pe", "simd")


def folding_text(graph: Graph, folding: Folding) -> str:
    """Write the folds of the convolutions, from which all others follow, as TOML, with what else could be chosen."""
    lines = [
        f"# Folding of {graph.name}: a convolution computes pe output channels from simd inputs in a cycle.",
        "# Behind each number stand those that are possible. Change some and build with folding=FILE.",
    ]
    for node in convolutions(graph):
        fold = folding[node.name]
        cycles = node.op.cost(fold, *graph.inputs_of(node)).cycles
        lines += ["", f"[{node.name}] # {cycles:,} cycles a frame"]
        for name, legal in zip(FACTORS, factors(node), strict=True):
            lines.append(f"{name} = {getattr(fold, name)} # {', '.join(map(str, legal))}")
    return "\n".join(lines) + "\n"


def read_folding(path: Path, graph: Graph) -> Folding:
    """Read a folding file and complete it.

    Raises:
        BirealError: it cannot be read, lacks a layer or a number, or names an impossible one.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise BirealError(f"folding={path} cannot be read: {reason}") from None
    names = [node.name for node in convolutions(graph)]
    for name in content:
        if name not in names:
            raise BirealError(f"folding={path} is not of this network: {unknown('convolution', name, names)}")
    chosen = {name: _read_fold(path, name, content.get(name)) for name in names}
    try:
        return complete(graph, chosen)
    except BirealError as error:
        raise BirealError(f"folding={path}: {error}") from None


def _read_fold(path: Path, name: str, table: object) -> Fold:
    if not isinstance(table, dict):
        raise BirealError(f"folding={path} lacks [{name}]: every convolution needs pe and simd")
    for key in table:
        if key not in FACTORS:
            raise BirealError(f"folding={path}: [{name}]: {unknown('factor', key, FACTORS)}")
    for key in FACTORS:
        if not isinstance(table.get(key), int) or isinstance(table[key], bool):
            raise BirealError(f"folding={path}: [{name}] {key}={table.get(key)!r} must be a whole number")
    return Fold(pe=table["pe"], simd=table["simd"])
