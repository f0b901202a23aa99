"""Describes a network in words: what pictures and the comments of generated code say about it and its layers."""

from __future__ import annotations

from bireal_hw.ir.graph import Graph
from bireal_hw.passes.blocks import Block, blocks
from bireal_hw.passes.dataflow import Dataflow, Instance

NOTATION = (
    "s16.11 is signed (u: unsigned), 16 bits, 11 of them fraction; bit is -1 or +1",
    "K products in a sum; merge: r the shortcut, dot the sum of the binary convolution, G and H a channel's constants",
)
SLOWEST = ", the slowest"


def many(number: int, one: str, more: str = "") -> str:
    """Write a number with what it counts.

    >>> many(1, "class", "classes"), many(1000, "class", "classes"), many(2, "lane")
    ('1 class', '1,000 classes', '2 lanes')
    """
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def shape(size: tuple[int, ...]) -> str:
    """Write a size.

    >>> shape((8, 8, 16))
    '8x8x16'
    """
    return "x".join(map(str, size))


def facts(graph: Graph) -> list[str]:
    """Return what is known about a network: run, width, image, classes, whether it was trained."""
    info, source = graph.info, graph.input
    known = [f"run {info['run']}"] if "run" in info else []
    known += [f"width {info['width']:g}"] if "width" in info else []
    known += [f"image {shape(source.shape[:2])}, {many(source.channels, 'channel')}"]
    known += [output(graph)]
    if "untrained" in info:
        known += ["untrained: random weights" if info["untrained"] else "trained"]
    return known


def output(graph: Graph) -> str:
    """Write what a network gives: so many classes, or a map."""
    given = graph.output
    return many(given.channels, "class", "classes") if given.pixels == 1 else f"output {shape(given.shape)}"


def folds(graph: Graph, flow: Dataflow) -> dict[str, str]:
    """Return folding and cycles of every layer, the width converters in front of it included."""
    around: dict[str, list[Instance]] = {}
    for instance in flow.instances:
        around.setdefault(instance.layer, []).append(instance)
    slowest = flow.cycles
    found = {}
    for node in graph:
        parts = around[node.name]
        fold = node.op.fold_text(flow.folding[node.name])
        cycles = max(flow.costs[part.name].cycles for part in parts if part.name in flow.costs)
        found[node.name] = f"{fold}; {many(cycles, 'cycle')}{SLOWEST if cycles == slowest else ''}"
    return found


def arithmetic(graph: Graph, flow: Dataflow) -> str:
    """Return how many products all convolutions compute in a cycle."""
    one, eight = (
        sum(node.op.products(flow.folding[node.name]) for node in graph if node.op.weight_width == width)
        for width in (1, 8)
    )
    return f"{one:,} products of 1 bit and {eight:,} of 8 bits in a cycle"


def comments(graph: Graph, flow: Dataflow) -> dict[str, list[str]]:
    """Return what code says in front of a layer: a line about the layer, before it one about a block that begins."""
    fold = folds(graph, flow)
    first = {block.nodes[0].name: block for block in blocks(graph)}
    found = {}
    for node in graph:
        lines = [_headline(graph, first[node.name])] if node.name in first else []
        about = f"{node.op.kind} {node.op.summary()}".rstrip()
        types = f"{', '.join(map(str, graph.inputs_of(node)))} -> {graph.types[node.name]}"
        found[node.name] = [*lines, f"{node.name}: {about}; {types}; {fold[node.name]}"]
    return found


def _headline(graph: Graph, block: Block) -> str:
    source, given = (graph.types[name].shape for name in (block.source, block.nodes[-1].name))
    through = "".join(f", {node.name}" for node in block.shortcut)
    return f"---- {block.name}: {block.title}, {shape(source)} -> {shape(given)}; shortcut: {block.source}{through}"
