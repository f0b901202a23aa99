"""What a layer writes to a QONNX file, executed by qonnx, gives golden's integers."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from bireal_hw.crosscheck.qonnx import QONNX, Writer
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array, Op
from bireal_hw.ir.types import BIPOLAR, DataType, TensorType
from bireal_hw.ops import BinaryConv, Concat, Flatten, MaxPool, RealConv, Rescale
from tests.conformance import draw

RNG = np.random.default_rng(8)
NUMBER = DataType(9, frac=3)


def numbers(limit: int, *shape: int) -> Array:
    return RNG.integers(-limit, limit + 1, shape)


def bits(*shape: int) -> Array:
    return RNG.choice(np.array([-1, 1], np.int8), shape)


def affine() -> tuple[Array, Array]:
    return numbers(3000, 4), numbers(90_000, 4)


OUT = DataType(12, frac=5)
CASES: dict[str, tuple[Op, TensorType] | tuple[Op, TensorType, TensorType]] = {
    "rescale": (Rescale(*affine(), 9, OUT), TensorType.full(3, 4, 4, NUMBER)),
    "rescale of sums": (Rescale(*affine(), 9, OUT), TensorType(3, 4, 4, DataType(9), -120, 120)),
    "relu": (Rescale(*affine(), 9, OUT, low=0), TensorType.full(3, 4, 4, NUMBER)),
    "hardtanh": (Rescale(*affine(), 9, OUT, low=-99, high=200), TensorType.full(3, 4, 4, NUMBER)),
    "two pieces": (Rescale(*affine(), 9, OUT, numbers(200, 4), *affine()), TensorType.full(3, 4, 4, NUMBER)),
    "two pieces, limits": (
        Rescale(*affine(), 9, OUT, numbers(200, 4), *affine(), -900, 700),
        TensorType.full(3, 4, 4, NUMBER),
    ),
    "flatten": (Flatten(), TensorType.full(2, 3, 4, NUMBER)),
    "max pool": (MaxPool(), TensorType.full(5, 4, 2, NUMBER)),
    "max pool, left over": (MaxPool.tiled(2, 3), TensorType.full(5, 7, 2, NUMBER)),
    "max pool of bits": (MaxPool.tiled(2, 2), TensorType.full(4, 4, 3, BIPOLAR)),
    "binary, pads": (BinaryConv(bits(3, 3, 3, 2), 2, (0, 1, 2, 0)), TensorType.full(5, 4, 2, BIPOLAR)),
    "binary, border": (
        BinaryConv(bits(3, 3, 3, 2), 1, (1, 2, 0, 0), np.array([-1, -1])),
        TensorType.full(5, 4, 2, BIPOLAR),
    ),
    "binary, border of both": (
        BinaryConv(bits(3, 3, 3, 3), 2, (0, 1, 2, 0), np.array([-1, 1, -1])),
        TensorType.full(5, 4, 3, BIPOLAR),
    ),
    "real, pads": (
        RealConv(numbers(127, 3, 2, 2, 2), numbers(500, 3), np.array([3, 6, 0]), OUT, 1, (1, 0, 0, 1)),
        TensorType.full(4, 5, 2, NUMBER),
    ),
    "real, 16 bits": (
        RealConv(numbers(9, 3, 1, 1, 4), numbers(500, 3), np.array([3, 6, 0]), OUT),
        TensorType.full(2, 2, 4, DataType(16, frac=9)),
    ),
    "concat": (Concat(), TensorType.full(3, 4, 4, NUMBER), TensorType.full(3, 4, 2, DataType(12, frac=3))),
    "concat, other grid": (Concat(), TensorType.full(3, 4, 4, NUMBER), TensorType.full(3, 4, 2, DataType(12, frac=7))),
}


@pytest.mark.parametrize("case", CASES)
def test_the_file_computes_the_same(case: str) -> None:
    op, *types = CASES[case]
    out, frames = op.infer(*types), [draw(x, 3, seed=5 + number) for number, x in enumerate(types)]
    names = [f"x{number}" for number in range(len(types))]
    writer = Writer(Graph("layer", types[0], ()))
    name = op.qonnx(writer, "layer", names, types, last=False)
    *sources, sink = (
        helper.make_tensor_value_info(one, TensorProto.FLOAT, [3, t.channels, t.height, t.width])
        for one, t in zip([*names, name], [*types, out], strict=True)
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)]
    graph = helper.make_graph(writer.nodes, "layer", sources, [sink], writer.constants)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    values = {
        one: (x * 2.0**-t.dtype.frac).transpose(0, 3, 1, 2).astype(np.float32)
        for one, x, t in zip(names, frames, types, strict=True)
    }
    got = execute_onnx(ModelWrapper(model).transform(InferShapes()), values)[name]
    integers = got.transpose(0, 2, 3, 1) * 2.0**out.dtype.frac
    np.testing.assert_array_equal(integers, op.golden(*frames))
