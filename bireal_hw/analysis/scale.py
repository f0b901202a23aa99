"""The same network smaller: fewer channels or a smaller image, to ask what would fit; its constants mean nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Op
from bireal_hw.ir.types import TensorType
from bireal_hw.ops import Affine, AvgPool, BinaryConv, MaxPool, Merge, RealConv, Sign

GRAIN = 8
"""Channels come in multiples of this."""


def scaled(graph: Graph, channels: float = 1.0, image: tuple[int, int] | None = None) -> Graph:
    """Return a graph of the same layers with other sizes; constants are repeated or cut off to fit.

    Args:
        graph: a network.
        channels: factor on the channels of every layer but the input and the output.
        image: (height, width) of the input; None keeps it.

    Raises:
        BirealError: the image does not suit the layers.
    """
    height, width = image or (graph.input.height, graph.input.width)
    source = replace(graph.input, height=height, width=width)
    types, nodes = {INPUT: source}, []
    for node in graph:
        last = node is graph.nodes[-1]
        old = graph.types[node.name].channels
        new = old if last else max(GRAIN, round(old * channels / GRAIN) * GRAIN)
        inputs = tuple(types[name] for name in node.inputs)
        op = _resized(node.op, graph.inputs_of(node)[0], inputs, new)
        types[node.name] = op.infer(*inputs)
        nodes.append(Node(node.name, op, node.inputs))
    return verify(Graph(graph.name, source, tuple(nodes), graph.info))


def smaller_images(graph: Graph) -> list[tuple[int, int]]:
    """Return smaller images that the same layers take, of about the same shape, the largest first."""
    height, width = graph.input.height, graph.input.width
    pooled = any(isinstance(node.op, MaxPool) for node in graph)  # a stem for large images
    step, above = (32, 64) if pooled else (8, 0)
    long, short = max(height, width), min(height, width)
    found = []
    for side in range(long - step, above, -step):
        other = max(step, round(short * side / long / step) * step)
        found.append((side, other) if height >= width else (other, side))
    return found


def _resized(op: Op, before: TensorType, inputs: tuple[TensorType, ...], channels: int) -> Op:
    if isinstance(op, BinaryConv | RealConv):
        _, kernel, _, _ = op.weights.shape
        weights = np.resize(op.weights, (channels, kernel, kernel, inputs[0].channels))
        if isinstance(op, BinaryConv):
            return replace(op, weights=weights)
        return replace(op, weights=weights, bias=np.resize(op.bias, channels), shift=np.resize(op.shift, channels))
    if isinstance(op, Merge) and op.slope is not None:
        op = replace(op, slope=np.resize(op.slope, channels))
    if isinstance(op, Affine):
        return replace(op, gain=np.resize(op.gain, channels), bias=np.resize(op.bias, channels))
    if isinstance(op, Sign) and op.threshold is not None:
        return replace(op, threshold=np.resize(op.threshold, channels))
    if isinstance(op, AvgPool) and op.kernel == (before.height, before.width):
        return replace(op, kernel=(inputs[0].height, inputs[0].width))
    return op
