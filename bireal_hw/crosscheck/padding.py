"""What another tool makes of a padded binary convolution: one block, against both readings of the padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bireal_hw.crosscheck.qonnx import write
from bireal_hw.golden import tensors
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Array
from bireal_hw.ir.types import PIXEL, DataType, TensorType
from bireal_hw.ops import BinaryConv, Center, Merge, Sign

Tool = Callable[[Path, Graph, Array], Array]
"""Runs a QONNX file on (N, H, W, C) uint8 images; returns (N, outputs) integers, channel fastest."""

CHANNELS = 4


def padded_block(seed: int = 0) -> Graph:
    """The smallest block that pads: pixels + dot, from a 3x3 binary convolution with pad 1 on a 5x5 image."""
    weights = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (CHANNELS, 3, 3, CHANNELS))
    ones, zeros = np.ones(CHANNELS, np.int32), np.zeros(CHANNELS, np.int32)
    nodes = (
        Node("center", Center(np.full(CHANNELS, 128, np.int32)), (INPUT,)),
        Node("sign", Sign(), ("center",)),
        Node("conv", BinaryConv(weights), ("sign",)),
        Node("merge", Merge(ones, zeros, 0, DataType(10, frac=7)), ("center", "conv")),
    )
    return verify(Graph("padded", TensorType.full(5, 5, CHANNELS, PIXEL), nodes))


def padding_effect(tool: Tool, path: Path, seed: int = 0) -> dict[str, Any]:
    """Run the padded block through a tool, the block's file written to `path`.

    Returns:
        outputs, differ_from_zero (how many are not what exact zero padding gives) and differ_from_minus_one (how many
        are not what a border of -1 gives).
    """
    graph = padded_block(seed)
    image = np.random.default_rng(seed + 1).integers(0, 256, (1, *graph.input.shape)).astype(np.uint8)
    write(graph, path)
    values = dict(tensors(graph, image))
    conv = graph.nodes[2].op
    assert isinstance(conv, BinaryConv)
    border = np.pad(values["sign"], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
    minus_one = BinaryConv(conv.weights, pads=(0, 0, 0, 0)).golden(border)
    dot = tool(path, graph, image).reshape(minus_one.shape) - values["center"]
    return {
        "outputs": dot.size,
        "differ_from_zero": int((dot != values["conv"]).sum()),
        "differ_from_minus_one": int((dot != minus_one).sum()),
    }
