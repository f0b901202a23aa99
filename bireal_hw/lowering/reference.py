"""Runs a file as others read it: qonnx's definition of each quantizer, onnxruntime for everything else.

Nothing here knows how the program reads a file; that is what makes it the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.lowering.files import is_channels_last

CHANNELS_LAST = "qonnx.custom_op.channels_last"
"""Domain of nodes whose tensors are (N, H, W, C)."""
Watch = Callable[[str, NDArray[Any]], NDArray[Any] | None]
"""Told of a tensor that has been computed; what it returns takes the tensor's place."""


class _Segment:
    """Nodes that one session of onnxruntime runs, made when it is known what numbers come in.

    Args:
        nodes: in order.
        inputs, outputs: tensors that they read and give.
        constants: that they read.
        model: whose versions they have.
    """

    def __init__(
        self,
        nodes: list[onnx.NodeProto],
        inputs: list[str],
        outputs: list[str],
        constants: Mapping[str, NDArray[Any]],
        model: onnx.ModelProto,
    ) -> None:
        self._nodes, self._inputs, self._outputs, self._model = nodes, inputs, outputs, model
        self._constants = dict(constants)
        self._session: Any = None

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute what the nodes give; raises BirealError with what onnxruntime says of them."""
        given = {name: tensors[name] for name in self._inputs}
        try:
            self._session = self._session or self._made(given)
            found = self._session.run(self._outputs, given)
        except Exception as error:  # onnxruntime has exceptions of its own for every kind of damage
            words = " ".join(str(error).split())
            first = self._nodes[0].name or self._nodes[0].output[0]
            raise BirealError(f"onnxruntime cannot run node '{first}': {words}") from error
        return dict(zip(self._outputs, found, strict=True))

    def _made(self, given: Mapping[str, NDArray[Any]]) -> Any:
        import onnxruntime

        graph = helper.make_graph(
            self._nodes,
            "part",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
                for name, value in given.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in self._outputs],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        opsets = [one for one in self._model.opset_import if one.domain in ("", "ai.onnx")]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=min(self._model.ir_version or 8, 10))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # a part is small; threads of every part would wait for work by spinning
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


class FileRunner:
    """A file, ready to be run on one image after the other.

    Args:
        model: the file.
        cuts: tensors that `run` tells of, besides the output; None for all.
    """

    def __init__(self, model: onnx.ModelProto, cuts: Collection[str] | None = ()) -> None:
        self._model = model
        self._cuts = cuts
        self._constants: dict[str, NDArray[Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        self.input = next(value.name for value in model.graph.input if value.name not in self._constants)
        self.elem_type = next(
            value.type.tensor_type.elem_type for value in model.graph.input if value.name == self.input
        )
        self._turns = is_channels_last(model, self.input)
        self.output = model.graph.output[0].name
        self._nodes = [one for node in model.graph.node for one in _channels_first(node)]
        self._steps: list[_Segment | onnx.NodeProto] = []
        self._plan()

    def run(self, x: NDArray[np.floating], watch: Watch | None = None) -> NDArray[Any]:
        """Compute the output of one image.

        Args:
            x: (1, C, H, W) what the file reads, also where it reads (1, H, W, C).
            watch: told of every tensor in `cuts`.
        """
        tensors: dict[str, NDArray[Any]] = {}

        def keep(name: str, value: NDArray[Any]) -> None:
            told = self._cuts is None or name in self._cuts
            instead = watch(name, value) if watch and told else None
            tensors[name] = value if instead is None else instead.astype(value.dtype).reshape(value.shape)

        x = x.transpose(0, 2, 3, 1) if self._turns else x
        keep(self.input, x.astype(helper.tensor_dtype_to_np_dtype(self.elem_type)))
        for step in self._steps:
            if isinstance(step, onnx.NodeProto):
                made = {step.output[0]: self._custom(step, tensors)}
            else:
                made = step.run(tensors)
            for name, value in made.items():
                keep(name, value)
        return tensors[self.output]

    def ranges(self, images: Iterator[NDArray[np.floating]]) -> dict[str, tuple[float, float]]:
        """The least and the largest value of every tensor over images of shape (1, C, H, W)."""
        found: dict[str, tuple[float, float]] = {}

        def watch(name: str, value: NDArray[Any]) -> None:
            if value.dtype.kind in "fiu" and value.size:
                low, high = found.get(name, (np.inf, -np.inf))
                found[name] = min(low, float(value.min())), max(high, float(value.max()))

        for image in images:
            self.run(image, watch)
        return found

    def _plan(self) -> None:
        """Compute what is constant once; put the other nodes together into sessions."""
        waiting: list[onnx.NodeProto] = []
        for node in self._nodes:
            if all(name in self._constants for name in node.input if name):
                self._constants.update(self._once(node))
            elif _is_plain(node):
                waiting.append(node)
                if self._cuts is not None and any(name in self._cuts for name in node.output):
                    waiting = self._close(waiting)
            else:
                waiting = self._close(waiting)
                self._steps.append(node)
        self._close(waiting)

    def _once(self, node: onnx.NodeProto) -> dict[str, NDArray[Any]]:
        if not _is_plain(node):
            return {node.output[0]: self._custom(node, {})}
        return self._segment([node]).run({})

    def _close(self, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
        if nodes:
            self._steps.append(self._segment(nodes))
        return []

    def _segment(self, nodes: list[onnx.NodeProto]) -> _Segment:
        made = [name for node in nodes for name in node.output if name]
        read = list(dict.fromkeys(name for node in nodes for name in node.input if name))
        inputs = [name for name in read if name not in made and name not in self._constants]
        outside = {name for node in self._nodes if node.output[0] not in made for name in node.input} | {self.output}
        wanted = [name for name in made if self._cuts is None or name in outside or name in self._cuts]
        constants = {name: self._constants[name] for name in read if name in self._constants}
        return _Segment(nodes, inputs, wanted or made[-1:], constants, self._model)

    def _custom(self, node: onnx.NodeProto, tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """A quantizer, as qonnx defines it."""
        from qonnx.custom_op.registry import getCustomOp

        context = {name: tensors[name] if name in tensors else self._constants[name] for name in node.input if name}
        context[node.output[0]] = np.zeros(1, np.float32)
        if any(one.s == b"ROUND_TO_ZERO" for one in node.attribute):  # the name that early versions of qonnx gave it
            node = onnx.NodeProto.FromString(node.SerializeToString())
            next(one for one in node.attribute if one.name == "rounding_mode").s = b"DOWN"
        getCustomOp(node).execute_node(context, None)
        found: NDArray[Any] = np.asarray(context[node.output[0]], np.float32)
        return found


def _channels_first(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A node of qonnx whose tensors are (N, H, W, C), between the transpositions that make it a plain one."""
    if node.domain != CHANNELS_LAST:
        return [node]
    turned = [0] if node.op_type != "Conv" else [0, 1]
    inner = onnx.NodeProto.FromString(node.SerializeToString())
    inner.domain = ""
    before = []
    for at in turned:
        inner.input[at] = f"{node.output[0]}_first_{at}"
        before.append(helper.make_node("Transpose", [node.input[at]], [inner.input[at]], perm=[0, 3, 1, 2]))
    inner.output[0] = f"{node.output[0]}_first"
    after = helper.make_node("Transpose", [inner.output[0]], [node.output[0]], perm=[0, 2, 3, 1])
    return [*before, inner, after]


def _is_plain(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type not in ("Quant", "BipolarQuant")
