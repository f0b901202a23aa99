"""Runs inside `.venv-finn`, by path: finn-plus's builder from a file to its estimate reports.

Needs nothing but finn-plus and what it brings. `through_finn.py` calls it as `python finn_runner.py FOLDER` and says
there what lies in the folder.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COMPARED = ("step_streamline", "step_convert_to_hw")
"""Steps behind which the network is executed; later ones execute with Vivado only."""


def _placeholder(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module


def main(folder: Path) -> None:
    """Build what `job.json` names and leave `outputs.npz`, `result.json` and the reports."""
    # The builder imports Vivado's simulator, and torch for a layer type that is of no use here; neither is needed.
    _placeholder("finn.xsi", SimEngine=object)
    _placeholder("torch", Tensor=type("Tensor", (), {}))
    _placeholder("torch.nn")
    _placeholder("torch.nn.functional")
    from finn.builder.build_dataflow_config import (
        DataflowBuildConfig,
        DataflowOutputType,
        estimate_only_dataflow_steps,
    )
    from finn.builder.build_dataflow_steps import build_dataflow_step_lookup
    from finn.core.onnx_exec import execute_onnx
    from finn.transformation.fpgadataflow.convert_to_hw.binary_matrix_vector_activation import (
        InferBinaryMatrixVectorActivation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
        InferElementwiseBinaryOperation,
    )
    from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
        InferQuantizedMatrixVectorActivation,
    )
    from finn.transformation.qonnx.give_unique_node_names_recursive import GiveUniqueNodeNamesRecursive
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_datatypes import InferDataTypes

    job = json.loads((folder / "job.json").read_text())
    images = np.load(folder / "images.npy")
    weights = dict(np.load(folder / "weights.npz"))
    config = DataflowBuildConfig(
        output_dir=str(folder),
        synth_clk_period_ns=job["clock_ns"],
        fpga_part=job["part"],
        generate_outputs=[DataflowOutputType.ESTIMATE_REPORTS],
        standalone_thresholds=True,
    )
    (folder / "report").mkdir(exist_ok=True)

    def execute(model: Any) -> NDArray[np.float64]:
        (source,), (sink,) = model.graph.input, model.graph.output
        outputs = [execute_onnx(model, {source.name: image[None]})[sink.name].ravel() for image in images]
        return np.stack(outputs)

    model = ModelWrapper(str(folder / "model.onnx"))
    outputs: dict[str, NDArray[np.float64]] = {}
    result: dict[str, Any] = {"version": importlib.metadata.version("finn-plus")}
    for step in estimate_only_dataflow_steps:
        if step == "step_convert_to_hw":
            # A pool is mapped where its input has an integer type, and sums have one only once they are hardware.
            for first in (
                InferBinaryMatrixVectorActivation,
                InferQuantizedMatrixVectorActivation,
                InferElementwiseBinaryOperation,
                InferDataTypes,
            ):
                model = model.transform(first())
            model = build_dataflow_step_lookup["step_minimize_bit_width_initial"](model, config)
            _keep_all_bits(model)
        if step == "step_apply_folding_config":
            model = model.transform(GiveUniqueNodeNamesRecursive())
            nodes = _convolutions(model, weights)
            _write_folding(model, nodes, job["folding"], folder / "folding.json")
            config.folding_config_file = folder / "folding.json"
        model = build_dataflow_step_lookup[step](model, config)
        if step in COMPARED:
            outputs[step] = execute(model)
        if step == "step_minimize_bit_width_initial":
            context = execute_onnx(model, {model.graph.input[0].name: images[:1]}, return_full_exec_context=True)
            result["too_narrow"] = _too_narrow(model, context, _convolutions(model, weights))
        if step == job["last_step"]:
            break
    np.savez(folder / "outputs.npz", **outputs)  # type: ignore[arg-type]
    if (folder / "report" / "estimate_layer_cycles.json").exists():
        cycles = json.loads((folder / "report" / "estimate_layer_cycles.json").read_text())
        network = json.loads((folder / "report" / "estimate_network_performance.json").read_text())
        result["cycles"] = {
            layer: {
                "matrix_unit": cycles[node.name],
                "window": cycles[before.name] if (before := _window(model, node)) else None,
            }
            for layer, node in _convolutions(model, weights).items()
        }
        result["slowest"] = {"layer": network["max_cycles_node_name"], "cycles": network["max_cycles"]}
    (folder / "result.json").write_text(json.dumps(result))


def _convolutions(model: Any, weights: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The matrix unit of each convolution, found by its weights: nodes change their names on the way.

    A negative multiplier behind a binary convolution has become a sign of that channel's weights.
    """
    from qonnx.custom_op.registry import getCustomOp

    found = {}
    for node in model.graph.node:
        if node.op_type.startswith("MVAU"):
            matrix = model.get_initializer(node.input[1])
            if getCustomOp(node).get_nodeattr("binaryXnorMode"):
                matrix = 2 * matrix - 1
            for layer, wanted in weights.items():
                if matrix.shape == wanted.shape and np.all((matrix == wanted).all(0) | (matrix == -wanted).all(0)):
                    found[layer] = node
    if len(found) != len(weights):
        raise RuntimeError(f"no matrix unit for {', '.join(sorted(set(weights) - set(found)))}")
    return found


def _keep_all_bits(model: Any) -> None:
    """Make the output of each pool as wide as its sum: a narrower one drops the low bits."""
    from qonnx.core.datatype import DataType
    from qonnx.custom_op.registry import getCustomOp

    for node in model.get_nodes_by_op_type("QuantAvgPool2d"):
        pool, width = getCustomOp(node), model.get_tensor_datatype(node.input[0]).bitwidth()
        pool.set_nodeattr("ibits", width)
        pool.set_nodeattr("obits", pool.get_accum_size())
        model.set_tensor_datatype(node.output[0], DataType[f"INT{pool.get_accum_size()}"])


def _window(model: Any, node: Any) -> Any:
    """The node that slides the window in front of a matrix unit, or None."""
    before = model.find_producer(node.input[0])
    return before if before is not None and before.op_type.startswith("ConvolutionInputGenerator") else None


def _write_folding(model: Any, nodes: dict[str, Any], folding: dict[str, dict[str, int]], path: Path) -> None:
    """Write the builder's folding file: ours for the matrix units, for a window what of it divides its channels."""
    from qonnx.custom_op.registry import getCustomOp

    config: dict[str, dict[str, Any]] = {"Defaults": {}}
    for layer, node in nodes.items():
        config[node.name] = {"PE": folding[layer]["pe"], "SIMD": folding[layer]["simd"]}
        if (window := _window(model, node)) is not None:
            channels = getCustomOp(window).get_nodeattr("IFMChannels")
            config[window.name] = {"SIMD": math.gcd(channels, folding[layer]["simd"])}
    path.write_text(json.dumps(config, indent=2))


def _too_narrow(model: Any, context: dict[str, NDArray[Any]], nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """Outputs of matrix units that leave the type that the builder gave them."""
    found = []
    for layer, node in nodes.items():
        values, dtype = context[node.output[0]], model.get_tensor_datatype(node.output[0])
        if values.min() < dtype.min() or values.max() > dtype.max():
            found.append({"layer": layer, "type": dtype.name, "low": int(values.min()), "high": int(values.max())})
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
