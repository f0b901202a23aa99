"""Writes an integer graph as the QONNX file that an exporter would give: the inverse of lowering, for its tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bireal_hw.ir.encoding import half
from bireal_hw.ir.graph import INPUT, Graph
from bireal_hw.ir.types import DataType
from bireal_hw.ops import AvgPool, BinaryConv, Center, MaxPool, Merge, RealConv, Sign

QONNX = "qonnx.custom_op.general"


class Writer:
    """Collects nodes and constants; `write` walks the graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.pending: dict[str, tuple[str, int]] = {}

    def constant(self, name: str, value: object) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        domain: dict[str, Any] = {"domain": QONNX} if kind in ("Quant", "BipolarQuant") else {}
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name=name, **domain, **attributes))
        return f"{name}_out"

    def quant(self, name: str, x: str, width: int, scale: object, rounding: str = "FLOOR", narrow: int = 0) -> str:
        inputs = [x, self.constant(f"{name}_scale", scale), self.constant(f"{name}_zero", 0.0)]
        inputs.append(self.constant(f"{name}_bits", float(width)))
        return self.node("Quant", name, inputs, signed=1, narrow=narrow, rounding_mode=rounding)

    def floor(self, name: str, x: str, dtype: DataType) -> str:
        return self.quant(name, x, dtype.width, 2.0**-dtype.frac)

    def write(self) -> onnx.ModelProto:
        names = {INPUT: "p"}
        for node in self.graph:
            op, name = node.op, node.name
            x = names[node.inputs[0]]
            frac = self.graph.types[node.inputs[0]].dtype.frac
            out = self.graph.types[node.name].dtype
            match op:
                case Center():
                    x = self.node("Sub", f"{name}_sub", [x, self.constant(f"{name}_m", op.offset.reshape(1, -1, 1, 1))])
                    x = self.node("Mul", f"{name}_mul", [x, self.constant(f"{name}_step", 2.0**-op.frac)])
                    names[name] = self.floor(f"{name}_quant", x, out)
                case RealConv():
                    names[name] = self._real(name, op, x, frac, out)
                case MaxPool():
                    names[name] = self.node(
                        "MaxPool", name, [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
                    )
                case Sign():
                    names[name] = self.node("BipolarQuant", name, [x, self.constant(f"{name}_one", 1.0)])
                case BinaryConv():
                    raw = self.constant(f"{name}_raw", op.weights.transpose(0, 3, 1, 2) * 0.5)
                    w = self.node("BipolarQuant", f"{name}_weight", [raw, self.constant(f"{name}_one", 1.0)])
                    names[name] = self.node("Conv", name, [x, w], strides=[op.stride] * 2, pads=[op.pad] * 4)
                case Merge():
                    step = 2.0 ** -(op.shift + op.dtype.frac)
                    dot = names[node.inputs[1]]
                    t = self.node(
                        "Mul", f"{name}_mul", [dot, self.constant(f"{name}_g", self._channels(op.gain * step))]
                    )
                    t = self.node(
                        "Add", f"{name}_bias", [t, self.constant(f"{name}_h", self._channels(op.bias * step))]
                    )
                    t = self.quant(f"{name}_affine", t, 24, 2.0**-op.dtype.frac)
                    total = self.node("Add", f"{name}_add", [x, t])
                    names[name] = self.floor(name, total, op.dtype)
                case AvgPool():
                    names[name] = self._pool(name, op, x, frac, node.inputs[0])
        image = self.graph.input
        out_type = self.graph.output
        graph = helper.make_graph(
            self.nodes,
            self.graph.name,
            [helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, image.channels, image.height, image.width])],
            [helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, [1, out_type.channels])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        for key, value in self.graph.info.items():
            model.metadata_props.add(key=f"bireal_hw.{key}", value=str(value).replace("'", '"'))
        return model

    @staticmethod
    def _channels(array: np.ndarray) -> np.ndarray:
        return array.reshape(1, -1, 1, 1)

    def _real(self, name: str, op: RealConv, x: str, frac: int, out: DataType) -> str:
        exponents = -(op.shift + out.frac)  # the accumulator's grid 2^exponent, per output channel
        scales = np.exp2(exponents + frac)
        logits = name == self.graph.nodes[-1].name
        weights = op.weights.transpose(0, 3, 1, 2) * scales.reshape(-1, 1, 1, 1)
        if logits:
            x = self.node("Flatten", f"{name}_flat", [x])
            raw = self.constant(f"{name}_raw", weights[:, :, 0, 0].T)
            w = self.quant(f"{name}_weight", raw, 8, float(scales[0]), "ROUND", narrow=1)
            acc = self.node("MatMul", name, [x, w])
            bias = self.constant(f"{name}_h", op.bias * np.exp2(exponents))
            return self.node("Add", f"{name}_add", [acc, bias])
        raw = self.constant(f"{name}_raw", weights)
        w = self.quant(f"{name}_weight", raw, 8, scales.reshape(-1, 1, 1, 1), "ROUND", narrow=1)
        acc = self.node("Conv", name, [x, w], strides=[op.stride] * 2, pads=[op.pad] * 4)
        bias = self.constant(f"{name}_h", self._channels(op.bias * np.exp2(exponents)))
        return self.floor(f"{name}_quant", self.node("Add", f"{name}_add", [acc, bias]), out)

    def _pool(self, name: str, op: AvgPool, x: str, frac: int, source: str) -> str:
        area = op.kernel[0] * op.kernel[1]
        whole = op.kernel == self.graph.types[source].shape[:2]
        if whole:
            axes = numpy_helper.from_array(np.array([2, 3], np.int64), f"{name}_axes")
            self.constants.append(axes)
            x = self.node("ReduceSum", name, [x, f"{name}_axes"], keepdims=1)
        else:
            x = self.node("AveragePool", name, [x], kernel_shape=list(op.kernel), strides=list(op.kernel))
        step = 2.0**-frac if whole else 2.0**-frac / area
        x = self.node("Add", f"{name}_add", [x, self.constant(f"{name}_half", half(op.shift) * step)])
        return self.floor(f"{name}_quant", x, op.dtype)


def write(graph: Graph, path: Path) -> onnx.ModelProto:
    """Write the file and return its model."""
    model = Writer(graph).write()
    onnx.save(model, str(path))
    return model
