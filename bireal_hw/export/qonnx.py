"""Write the deploy model as a QONNX file, and run such a file with qonnx.

The file is the contract with everything after it: `docs/architecture.md`, section 6, lists its nodes.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_shapes import InferShapes

from bireal_hw.errors import BirealError
from bireal_hw.export.deploy import DeployNet
from bireal_hw.models.spec import ModelSpec

with warnings.catch_warnings():
    # Brevitas warns of its own deprecated parts and of extras it could use.
    warnings.simplefilter("ignore")
    from brevitas.export import export_qonnx as brevitas_export

QUANT_INPUTS = ("", "scale", "zero_point", "bit_width")
"""Names of the inputs of qonnx's Quant and BipolarQuant."""


def export_qonnx(deploy: DeployNet, spec: ModelSpec, path: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """Write `deploy` to `path` (batch 1, input p, output logits) and return the content of export.json.

    The file appears whole or not at all. Raises BirealError if the names do not match the classes or the folder
    cannot be written.
    """
    path = Path(path)
    if len(class_names) != spec.classes:
        raise BirealError(f"class_names has {len(class_names)} names: the network has {spec.classes} classes")
    shape = (1, spec.channels, *spec.image)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            scratch = Path(folder) / path.name
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # The tracing exporter keeps module names, which the dynamo one loses.
                brevitas_export(
                    deploy,
                    args=torch.zeros(shape),
                    export_path=str(scratch),
                    dynamo=False,
                    input_names=["p"],
                    output_names=["logits"],
                    keep_initializers_as_inputs=False,
                )
            model = ModelWrapper(str(scratch))
            # Constants shared through Identity nodes become constants; FoldConstants leaves Quant nodes alone.
            for step in (InferShapes(), FoldConstants(), RemoveUnusedTensors()):
                model = model.transform(step)
            del model.graph.quantization_annotation[:]  # datatypes under the old names; nobody reads them
            _rename(model.graph)
            onnx.checker.check_model(model.model)
            model.save(str(scratch))
            scratch.replace(path)
    except OSError as error:
        raise BirealError(f"cannot write {path}: {error.strerror}") from error
    return {
        "spec": spec.to_json(),
        "classes": list(class_names),
        "input_shape": list(shape),
        "frac": deploy.frac,
        "m_c": deploy.m_c,
        "shortcut_fracs": deploy.report.shortcut_fracs,
        "max_intermediate": deploy.report.max_intermediate,
    }


def run_qonnx(path: Path, images: NDArray[np.uint8], batch: int = 64) -> NDArray[np.float32]:
    """Execute the file with qonnx on uint8 images (N, C, H, W), `batch` at a time; return logits (N, classes)."""
    logits: list[NDArray[np.float32]] = []
    model, size = ModelWrapper(str(path)), 0
    for start in range(0, len(images), batch):
        chunk = np.asarray(images[start : start + batch], dtype=np.float32)
        if len(chunk) != size:
            size = len(chunk)
            model = _with_batch(model, size)
        logits.append(execute_onnx(model, {"p": chunk})["logits"])
    return np.concatenate(logits)


def _with_batch(model: ModelWrapper, size: int) -> ModelWrapper:
    """Return the model for another batch size: its shapes are fixed and qonnx runs no other."""
    graph = model.graph
    del graph.value_info[:]
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = size
    return model.transform(InferShapes())


def _rename(graph: onnx.GraphProto) -> None:
    """Name nodes after their modules, a node's output after the node, and constants after their first user."""
    tensors = {tensor.name: tensor.name for tensor in (*graph.input, *graph.output)}
    taken: set[str] = set()
    for node in graph.node:
        base = name = _node_name(node.name, node.op_type)
        number = 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        node.name = name
        for index, tensor in enumerate(node.input):
            quant = node.op_type in ("Quant", "BipolarQuant")
            role = QUANT_INPUTS[index] if quant else ""
            tensors.setdefault(tensor, f"{name}_{role or f'in{index}'}")
        for tensor in node.output:
            tensors.setdefault(tensor, f"{name}_out")
    for node in graph.node:
        node.input[:] = [tensors[tensor] for tensor in node.input]
        node.output[:] = [tensors[tensor] for tensor in node.output]
    for table in (graph.initializer, graph.value_info):
        for tensor in table:
            tensor.name = tensors.get(tensor.name, tensor.name)
        # qonnx leaves them in no fixed order; the same network gives the same bytes.
        table.sort(key=lambda tensor: tensor.name)


def _node_name(path: str, op: str) -> str:
    """Turn an exporter's node path into a name.

    >>> _node_name("/layer1/layer1.0/binary_conv/weight_quant/export_handler/BipolarQuant", "BipolarQuant")
    'layer1_0_binary_conv_weight'
    >>> _node_name("/layer2/layer2.0/affine/Mul", "Mul")
    'layer2_0_affine_mul'
    """
    parts: list[str] = []
    for part in path.strip("/").split("/")[:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        if part == "weight_quant":
            parts.append("weight")
        elif part not in ("act_quant", "export_handler"):
            parts.append(part)
    name = "_".join(parts).replace(".", "_")
    speaks_for_itself = op in ("Conv", "Gemm", "Quant", "BipolarQuant", "MaxPool")
    return name if speaks_for_itself and name else f"{name}_{op.lower()}".strip("_")
