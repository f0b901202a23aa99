"""The same network smaller: fewer channels or a smaller image, to ask what would fit; its constants mean nothing."""

from __future__ import annotations

import math
from dataclasses import replace

from bireal_hw.ir.graph import INPUT, Graph, Node, verify

SMALL_SCALE, SMALL_IMAGE = 8, 64
"""A network that shrinks its image by more than the first is meant for images larger than the second."""
GRAIN = 8
"""Channels and the sides of an image come in multiples of this."""


def scaled(graph: Graph, channels: float = 1.0, image: tuple[int, int] | None = None) -> Graph:
    """Return a graph of the same layers with other sizes; constants are repeated or cut off to fit.

    Where the smallest number of channels divides all others, as in a network that doubles them, they keep their ratio.

    Args:
        graph: a network.
        channels: factor on the channels of every layer but the input and the output, rounded.
        image: (height, width) of the input; None keeps it.

    Raises:
        BirealError: the image does not suit the layers.
    """
    height, width = image or (graph.input.height, graph.input.width)
    source = replace(graph.input, height=height, width=width)
    types, nodes = {INPUT: source}, []
    inner = [graph.types[node.name].channels for node in graph.nodes[:-1] if node.inputs != (INPUT,)]
    unit = min(inner, default=1)
    keep = all(one % unit == 0 for one in inner)
    for node in graph:
        last = node is graph.nodes[-1]
        old = graph.types[node.name].channels
        if last or node.inputs == (INPUT,) or channels == 1:
            new = old
        else:
            new = old // unit * _rounded(unit * channels) if keep else _rounded(old * channels)
        inputs = tuple(types[name] for name in node.inputs)
        op = node.op.resized(graph.inputs_of(node)[0], inputs[0], new)
        types[node.name] = op.infer(*inputs)
        nodes.append(Node(node.name, op, node.inputs))
    return verify(Graph(graph.name, source, tuple(nodes), graph.info))


def _rounded(channels: float) -> int:
    return max(GRAIN, round(channels / GRAIN) * GRAIN)


def smaller_images(graph: Graph) -> list[tuple[int, int]]:
    """Return smaller images that the same layers take, of about the same shape, the largest first."""
    height, width = graph.input.height, graph.input.width
    scales = {INPUT: 1}
    for node in graph:
        scales[node.name] = scales[node.inputs[0]] * node.op.scale(graph.inputs_of(node)[0])
    step = math.lcm(GRAIN, max(scales.values()))
    above = SMALL_IMAGE if step > SMALL_SCALE else 0
    long, short = max(height, width), min(height, width)
    found = []
    for side in range(long - step, above, -step):
        other = max(step, round(short * side / long / step) * step)
        found.append((side, other) if height >= width else (other, side))
    return found
