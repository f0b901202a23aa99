"""The golden model: runs a graph through the ops' own definitions, exactly, in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bireal_hw.errors import BirealError
from bireal_hw.ir.graph import INPUT, Graph
from bireal_hw.ir.op import Array

LARGEST = 1 << 20
"""Bytes of the largest tensor of the frames computed at once: a layer's values then stay in a processor's cache."""
FRAMES = 64
"""Frames computed at once, at most."""


def check_images(graph: Graph, images: Array) -> None:
    """Raise BirealError unless images are (N, H, W, C) uint8 of the graph's shape."""
    if not isinstance(images, np.ndarray):
        raise BirealError(f"images are a {type(images).__name__}; the network reads a numpy array of uint8")
    if images.dtype != np.uint8:
        raise BirealError(f"images are {images.dtype}; the network reads stored pixels, uint8 0..255")
    if images.ndim != 4 or images.shape[1:] != graph.input.shape:
        expected = "x".join(map(str, graph.input.shape))
        raise BirealError(f"images have shape {'x'.join(map(str, images.shape))}; the network reads N x {expected}")


def tensors(graph: Graph, images: Array) -> Iterator[tuple[str, Array]]:
    """Compute every tensor in node order, yielding (name, (N, H, W, C) integers); drops those no longer read.

    Raises:
        BirealError: for images of another shape or type than the graph reads.
    """
    check_images(graph, images)
    last_use = {source: node.name for node in graph for source in node.inputs}
    values = {INPUT: images}
    for node in graph:
        value = node.op.golden(*(values[name] for name in node.inputs))
        for name in set(node.inputs):
            if last_use[name] == node.name:
                del values[name]
        values[node.name] = value
        yield node.name, value


def run(graph: Graph, images: Array, batch: int | None = None) -> Array:
    """Compute the output for images: the logits of a classifier, or a map.

    Args:
        graph: the network.
        images: (N, H, W, C) uint8 stored pixels.
        batch: frames at once; None for as many as a cache holds.

    Returns:
        (N, H*W*C) integers, a map pixel by pixel with the channels of a pixel together, (N, classes) for a classifier;
        the real values are these times 2^-frac of the output type.
    """
    check_images(graph, images)
    if batch is None:
        largest = 4 * max(graph.types[node.name].size for node in graph)
        batch = min(max(LARGEST // largest, 1), FRAMES)
    parts = []
    for start in range(0, len(images), batch):
        *_, (_, logits) = tensors(graph, images[start : start + batch])
        parts.append(logits.reshape(len(logits), -1))
    return np.concatenate(parts)


def classify(logits: Array) -> Array:
    """Index of the largest logit of each row, the lowest on a tie."""
    return logits.argmax(axis=1)
