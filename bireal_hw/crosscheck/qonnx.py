"""Writes an integer graph as the QONNX file that an exporter would give: the inverse of lowering.

The nodes are those of docs/architecture.md, section 6.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bireal_hw.ir.encoding import half
from bireal_hw.ir.graph import INPUT, Graph
from bireal_hw.ir.types import DataType
from bireal_hw.ops import Affine, AvgPool, BinaryConv, Center, LeakyClip, MaxPool, Merge, RealConv, Sign

QONNX = "qonnx.custom_op.general"


class Writer:
    """Collects nodes and constants; `write` walks the graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def _constant(self, name: str, value: object) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def _node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        domain: dict[str, Any] = {"domain": QONNX} if kind in ("Quant", "BipolarQuant") else {}
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name=name, **domain, **attributes))
        return f"{name}_out"

    def _quant(self, name: str, x: str, width: int, scale: object, rounding: str = "FLOOR", narrow: int = 0) -> str:
        inputs = [x, self._constant(f"{name}_scale", scale), self._constant(f"{name}_zero", 0.0)]
        inputs.append(self._constant(f"{name}_bits", float(width)))
        return self._node("Quant", name, inputs, signed=1, narrow=narrow, rounding_mode=rounding)

    def _floor(self, name: str, x: str, dtype: DataType) -> str:
        return self._quant(name, x, dtype.width, 2.0**-dtype.frac)

    def write(self) -> onnx.ModelProto:
        """Return the model: input p float32 (1, C, H, W) holding 0..255, output (1, classes) or (1, C, H, W)."""
        names = {INPUT: "p"}
        for node in self.graph:
            op, name = node.op, node.name
            x = names[node.inputs[0]]
            frac = self.graph.types[node.inputs[0]].dtype.frac
            out = self.graph.types[node.name].dtype
            match op:
                case Center():
                    x = self._node(
                        "Sub", f"{name}_sub", [x, self._constant(f"{name}_m", op.offset.reshape(1, -1, 1, 1))]
                    )
                    x = self._node("Mul", f"{name}_mul", [x, self._constant(f"{name}_step", 2.0**-op.frac)])
                    names[name] = self._floor(f"{name}_quant", x, out)
                case RealConv():
                    names[name] = self._real(name, op, x, frac, out)
                case MaxPool():
                    names[name] = self._node(
                        "MaxPool", name, [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
                    )
                case Sign():
                    if op.threshold is not None:
                        threshold = self._constant(f"{name}_theta", self._channels(op.threshold * 2.0**-frac))
                        x = self._node("Sub", f"{name}_sub", [x, threshold])
                    names[name] = self._node("BipolarQuant", name, [x, self._constant(f"{name}_one", 1.0)])
                case BinaryConv():
                    raw = self._constant(f"{name}_raw", op.weights.transpose(0, 3, 1, 2) * 0.5)
                    w = self._node("BipolarQuant", f"{name}_weight", [raw, self._constant(f"{name}_one", 1.0)])
                    names[name] = self._conv(name, op, x, w)
                case Merge():
                    total = self._node("Add", f"{name}_add", [x, self._affine(name, op, names[node.inputs[1]])])
                    if op.slope is not None:
                        slopes = self._constant(f"{name}_slope", np.exp2(-op.slope.astype(float)).reshape(-1, 1, 1))
                        total = self._node("PRelu", f"{name}_prelu", [total, slopes])
                        halves = self._constant(f"{name}_half", 2.0 ** -(op.dtype.frac + 1))
                        total = self._node("Add", f"{name}_round", [total, halves])
                    names[name] = self._floor(name, total, op.dtype)
                case Affine():
                    names[name] = self._floor(name, self._affine(name, op, x), op.dtype)
                case LeakyClip():
                    names[name] = self._leaky_clip(name, op, x, frac)
                case AvgPool():
                    names[name] = self._pool(name, op, x, frac)
        image = self.graph.input
        last = self.graph.output
        shape = [1, last.channels] if last.pixels == 1 else [1, last.channels, last.height, last.width]
        graph = helper.make_graph(
            self.nodes,
            self.graph.name,
            [helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, image.channels, image.height, image.width])],
            [helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, shape)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QONNX, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        for key, value in self.graph.info.items():
            model.metadata_props.add(key=f"bireal_hw.{key}", value=json.dumps(value))
        return model

    def _affine(self, name: str, op: Affine, dot: str) -> str:
        step = 2.0 ** -(op.shift + op.dtype.frac)
        t = self._node("Mul", f"{name}_mul", [dot, self._constant(f"{name}_g", self._channels(op.gain * step))])
        t = self._node("Add", f"{name}_bias", [t, self._constant(f"{name}_h", self._channels(op.bias * step))])
        return self._quant(f"{name}_affine", t, 24, 2.0**-op.dtype.frac)

    def _leaky_clip(self, name: str, op: LeakyClip, x: str, frac: int) -> str:
        bounds = [
            self._constant(f"{name}_{end}", sign * op.limit * 2.0**-frac) for end, sign in (("min", -1), ("max", 1))
        ]
        inside = self._node("Clip", f"{name}_clip", [x, *bounds])
        outside = self._node("Sub", f"{name}_sub", [x, inside])
        slope = self._constant(f"{name}_slope", op.gain * 2.0**-op.shift)
        outside = self._node("Mul", f"{name}_mul", [outside, slope])
        outside = self._node("Add", f"{name}_add", [outside, self._constant(f"{name}_half", 2.0 ** -(frac + 1))])
        return self._node("Add", name, [inside, self._quant(f"{name}_quant", outside, 24, 2.0**-frac)])

    def _conv(self, name: str, op: BinaryConv | RealConv, x: str, w: str) -> str:
        kernel = [op.weights.shape[1]] * 2
        strides, pads = [op.stride] * 2, [op.pad] * 4
        attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": [1, 1], "group": 1}
        return self._node("Conv", name, [x, w], **attributes)

    @staticmethod
    def _channels(array: np.ndarray) -> np.ndarray:
        return array.reshape(1, -1, 1, 1)

    def _real(self, name: str, op: RealConv, x: str, frac: int, out: DataType) -> str:
        exponents = -(op.shift + out.frac)  # the accumulator's grid 2^exponent, per output channel
        scales = np.exp2(exponents + frac)
        logits = name == self.graph.nodes[-1].name
        weights = op.weights.transpose(0, 3, 1, 2) * scales.reshape(-1, 1, 1, 1)
        if logits:
            x = self._node("Flatten", f"{name}_flat", [x])
            raw = self._constant(f"{name}_raw", weights[:, :, 0, 0].T)
            w = self._quant(f"{name}_weight", raw, 8, float(scales[0]), "ROUND", narrow=1)
            acc = self._node("MatMul", name, [x, w])
            bias = self._constant(f"{name}_h", op.bias * np.exp2(exponents))
            return self._node("Add", f"{name}_add", [acc, bias])
        raw = self._constant(f"{name}_raw", weights)
        w = self._quant(f"{name}_weight", raw, 8, scales.reshape(-1, 1, 1, 1), "ROUND", narrow=1)
        acc = self._conv(name, op, x, w)
        bias = self._constant(f"{name}_h", self._channels(op.bias * np.exp2(exponents)))
        return self._floor(f"{name}_quant", self._node("Add", f"{name}_add", [acc, bias]), out)

    def _pool(self, name: str, op: AvgPool, x: str, frac: int) -> str:
        area = op.kernel[0] * op.kernel[1]
        mean = op.shift == frac + math.log2(area) - op.dtype.frac
        if mean:
            x = self._node(
                "AveragePool", name, [x], kernel_shape=list(op.kernel), strides=list(op.kernel), pads=[0] * 4
            )
        else:
            axes = numpy_helper.from_array(np.array([2, 3], np.int64), f"{name}_axes")
            self.constants.append(axes)
            x = self._node("ReduceSum", name, [x, f"{name}_axes"], keepdims=1)
        step = 2.0**-frac / area if mean else 2.0**-frac
        x = self._node("Add", f"{name}_add", [x, self._constant(f"{name}_half", half(op.shift) * step)])
        return self._floor(f"{name}_quant", x, op.dtype)


def write(graph: Graph, path: Path) -> onnx.ModelProto:
    """Write a graph as a QONNX file and return its model."""
    model = Writer(graph).write()
    onnx.save(model, str(path))
    return model
