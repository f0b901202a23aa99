"""Writes an integer graph as the QONNX file that an exporter would give: the inverse of lowering.

The nodes are those of docs/architecture.md, section 6.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bireal_hw.ir.graph import INPUT, Graph

QONNX = "qonnx.custom_op.general"


class Writer:
    """Collects nodes and constants; `write` walks the graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: object) -> str:
        """Add a constant: int64 as it is, all others as float32."""
        array = np.asarray(value)
        array = array if array.dtype == np.int64 and array.ndim else array.astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node of one output and return its name."""
        domain: dict[str, Any] = {"domain": QONNX} if kind in ("Quant", "BipolarQuant") else {}
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name=name, **domain, **attributes))
        return f"{name}_out"

    def quant(self, name: str, x: str, width: int, scale: object, rounding: str = "FLOOR", narrow: int = 0) -> str:
        """Add a Quant to signed integers of `width` bits times `scale`."""
        inputs = [x, self.constant(f"{name}_scale", scale), self.constant(f"{name}_zero", 0.0)]
        inputs.append(self.constant(f"{name}_bits", float(width)))
        return self.node("Quant", name, inputs, signed=1, narrow=narrow, rounding_mode=rounding)

    def write(self) -> onnx.ModelProto:
        """Return the model: input p float32 (1, C, H, W) holding 0..255, output (1, classes) or (1, C, H, W)."""
        names = {INPUT: "p"}
        for node in self.graph:
            inputs, types = [names[one] for one in node.inputs], list(self.graph.inputs_of(node))
            names[node.name] = node.op.qonnx(self, node.name, inputs, types, node is self.graph.nodes[-1])
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


def write(graph: Graph, path: Path) -> onnx.ModelProto:
    """Write a graph as a QONNX file and return its model."""
    model = Writer(graph).write()
    onnx.save(model, str(path))
    return model
