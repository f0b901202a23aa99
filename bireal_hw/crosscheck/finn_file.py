"""A network in integer form as finn-plus reads it: matrix products, integer constants, one threshold per level.

Tensors are (1, H, W, C) and hold the golden model's integers; scales do not appear. A convolution is `Im2Col` and
`MatMul`, whose K axis is (ky, kx, channel) as ours; a sign or a rounding to 8 bits is a `MultiThreshold`; a pool is a
`QuantAvgPool2d` that drops no bits, hence the sum; a merge is `Mul`, `Add`, `Add`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import half, signed_width
from bireal_hw.ir.graph import INPUT, Graph, Node
from bireal_hw.ops import AvgPool, BinaryConv, Center, Merge, RealConv, Sign

QONNX = "qonnx.custom_op.general"
CUSTOM = {"MultiThreshold", "QuantAvgPool2d", "Im2Col"}
Q_LOW, Q_HIGH = -128, 127


def refuse_other_forms(graph: Graph) -> None:
    """Raise BirealError, naming the layer, unless the network is in integer form."""
    for node in graph:
        op, out = node.op, graph.types[node.name]
        may_saturate = out.low == out.dtype.low or out.high == out.dtype.high
        if isinstance(op, Merge) and (op.shift or may_saturate):
            raise _other_form(node, f"shifts by {op.shift}" if op.shift else "may saturate")
        if isinstance(op, RealConv) and (np.any(op.shift) or (may_saturate and node is not graph.nodes[-1])):
            raise _other_form(node, "shifts" if np.any(op.shift) else "may saturate")
        if not isinstance(op, Center | RealConv | Sign | BinaryConv | Merge | AvgPool):
            raise _other_form(node, f"is a {op.kind}")


def _other_form(node: Node, what: str) -> BirealError:
    return BirealError(
        f"{node.name} {what}: finn-plus maps integer multipliers and sums only, so it takes networks whose merges and"
        " real convolutions neither shift nor saturate"
    )


def matrix(op: BinaryConv | RealConv) -> NDArray[np.integer]:
    """Weights as (K, Cout)."""
    return op.weights.reshape(len(op.weights), -1).T


def write(graph: Graph, path: Path) -> None:
    """Write a network in integer form; raises BirealError if it has another."""
    refuse_other_forms(graph)
    _Writer(graph).write(path)


class _Writer:
    """Collects nodes, constants, types and shapes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shapes: list[onnx.ValueInfoProto] = []
        self.types: dict[str, str] = {}

    def write(self, path: Path) -> None:
        from qonnx.core.datatype import DataType
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.infer_datatypes import InferDataTypes

        names = {INPUT: "p"}
        for node in self.graph:
            names[node.name] = self._layer(node, [names[source] for source in node.inputs])
        image = self.graph.input
        inputs = helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, *image.shape])
        *inner, output = self.shapes
        graph = helper.make_graph(self.nodes, self.graph.name, [inputs], [output], self.constants, value_info=inner)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=10))
        model.set_tensor_layout("p", list("NHWC"))
        for name, dtype in ({"p": "UINT8"} | self.types).items():
            model.set_tensor_datatype(name, DataType[dtype])
        model.transform(InferDataTypes()).save(str(path))

    def _constant(self, name: str, values: NDArray[Any], dtype: str | None = None) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        self.types[name] = dtype or f"INT{signed_width(int(values.min()), int(values.max()))}"
        return name

    def _node(self, kind: str, name: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> str:
        domain: dict[str, Any] = {"domain": QONNX} if kind in CUSTOM else {}
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name=name, **domain, **attributes))
        self.shapes.append(helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, shape))
        return f"{name}_out"

    def _layer(self, node: Node, inputs: list[str]) -> str:
        op, name, x = node.op, node.name, inputs[0]
        shape = (1, *self.graph.types[name].shape)
        match op:
            case Center():
                return self._node("Add", name, [x, self._constant(f"{name}_m", -op.offset)], shape)
            case Sign():
                return self._threshold(name, x, np.zeros((1, 1)), "BIPOLAR", 2.0, -1.0, shape)
            case BinaryConv():
                return self._product(node, x, shape, "BIPOLAR")
            case RealConv():
                sums = self._product(node, x, shape, "INT8")
                return self._node("Add", f"{name}_add", [sums, self._constant(f"{name}_h", op.bias)], shape)
            case Merge():
                t = self._node("Mul", f"{name}_mul", [inputs[1], self._constant(f"{name}_g", op.gain)], shape)
                t = self._node("Add", f"{name}_bias", [t, self._constant(f"{name}_h", op.bias)], shape)
                return self._node("Add", name, [x, t], shape)
            case AvgPool():
                return self._pool(node, x, shape)
        raise _other_form(node, f"is a {op.kind}")

    def _product(self, node: Node, x: str, shape: tuple[int, ...], dtype: str) -> str:
        op, (source,) = node.op, self.graph.inputs_of(node)
        assert isinstance(op, BinaryConv | RealConv)
        kernel = op.weights.shape[1]
        if kernel > 1 or op.stride > 1:
            x = self._node(
                "Im2Col",
                f"{node.name}_windows",
                [x],
                (*shape[:3], op.k),
                kernel_size=[kernel] * 2,
                stride=[op.stride] * 2,
                pad_amount=list(op.pads),
                input_shape="(1,{},{},{})".format(*source.shape),
            )
        return self._node("MatMul", node.name, [x, self._constant(f"{node.name}_w", matrix(op), dtype)], shape)

    def _pool(self, node: Node, x: str, shape: tuple[int, ...]) -> str:
        op, (source,) = node.op, self.graph.inputs_of(node)
        assert isinstance(op, AvgPool)
        side, width = op.kernel[0], source.dtype.width
        if op.kernel != (side, side) or not 0 <= op.shift < 24:
            raise _other_form(node, f"pools {op.kernel[0]}x{op.kernel[1]} pixels with shift {op.shift}")
        if side > 1:
            bits = {"ibits": width, "obits": width + math.ceil(math.log2(side * side))}
            x = self._node(
                "QuantAvgPool2d",
                f"{node.name}_sum",
                [x],
                shape,
                kernel=side,
                stride=side,
                **bits,
                signed=1,
                data_layout="NHWC",
            )
        # q >= level from the sum on that, with the half added and shifted, gives it.
        levels = np.arange(Q_LOW + 1, Q_HIGH + 1)[None]
        return self._threshold(node.name, x, (levels << op.shift) - half(op.shift), "INT8", 1.0, float(Q_LOW), shape)

    def _threshold(
        self, name: str, x: str, levels: NDArray[Any], dtype: str, scale: float, bias: float, shape: tuple[int, ...]
    ) -> str:
        """Write out = bias + scale * (number of levels that x reaches)."""
        thresholds = self._constant(f"{name}_levels", levels)
        attributes = {"out_dtype": dtype, "out_scale": scale, "out_bias": bias, "data_layout": "NHWC"}
        return self._node("MultiThreshold", name, [x, thresholds], shape, **attributes)
