"""Finds the blocks of a network in its graph, so that pictures and comments can show what belongs together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from bireal_hw.ir.graph import INPUT, Graph, Node


@dataclass(frozen=True)
class Block:
    """The layers between the place where a tensor splits into shortcut and convolution and the merge of both.

    Attributes:
        name: what the names of its layers begin with, or the merge's name where they have nothing in common.
        source: the tensor that splits.
        nodes: in dataflow order; the last one is the merge.
        shortcut: those of them that the shortcut passes; none if it is the tensor itself.
    """

    name: str
    source: str
    nodes: tuple[Node, ...]
    shortcut: tuple[Node, ...]

    @property
    def title(self) -> str:
        """What it is: a Bi-Real block has one 1-bit convolution to its shortcut."""
        return "Bi-Real block" if sum(node.op.weight_width == 1 for node in self.nodes) == 1 else "block"


def blocks(graph: Graph) -> list[Block]:
    """Return the blocks in dataflow order; a layer inside two of them belongs to the inner one."""
    above, found = graph.above, list[Block]()
    taken: set[str] = set()
    place = {name: index for index, name in enumerate([INPUT, *(node.name for node in graph)])}
    for merge in graph:
        if merge.op.arity < 2:
            continue
        shared = frozenset.intersection(*(above[source] for source in merge.inputs))
        inside = above[merge.name] - shared - taken
        nodes = tuple(graph.makers[name] for name in sorted(inside, key=place.__getitem__))
        passed = tuple(node for node in nodes if node.name in above[merge.inputs[0]])
        found.append(Block(_name(nodes), max(shared, key=place.__getitem__), nodes, passed))
        taken |= inside
    return found


def _name(nodes: tuple[Node, ...]) -> str:
    """Return the words with which all names begin."""
    words = zip(*(node.name.split("_") for node in nodes), strict=False)
    common = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, words)]
    return "_".join(common) or nodes[-1].name
