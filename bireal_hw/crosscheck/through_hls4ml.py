"""A QONNX file through hls4ml: converted, compiled by g++ and run; its logits as integers.

Everything but the layout is left to hls4ml, whose own front end reads the file. Told to it are three facts that a QONNX
file does not hold: that a pixel has 8 bits, how wide constants and sums must be for nothing to be rounded, and that a
mean has more fraction bits than what it averages. `io_stream` gives every reader of a stream a copy of its own; with
`io_parallel`, hls4ml 1.3.0 merges the stem's bias and rounding into the sign behind it, and the shortcut goes without.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import signed_width
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.op import Array
from bireal_hw.ops import AvgPool, Merge, RealConv
from bireal_hw.tools import lacks

CHANNELS_LAST = "qonnx.custom_op.channels_last"


def version() -> str:
    """Version of the installed hls4ml; raises BirealError, with the command that adds it, if there is none."""
    try:
        return importlib.metadata.version("hls4ml")
    except importlib.metadata.PackageNotFoundError:
        raise lacks("crosscheck", "hls4ml") from None


def predict(path: Path, graph: Graph, images: Array, project: Path) -> NDArray[np.int64]:
    """Compute the logits of images with hls4ml.

    Args:
        path: QONNX file, with the nodes that docs/architecture.md lists.
        graph: what lowering makes of it; only its number formats are used.
        images: (N, H, W, C) uint8.
        project: folder for the C++ project.

    Returns:
        (N, classes) integers on the grid of the graph's output.

    Raises:
        BirealError: hls4ml is not installed, cannot convert the file or gives numbers off the grid.
    """
    version()
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said):
            warnings.simplefilter("ignore")
            values = _compiled(channels_last(path), graph, project).predict(images.astype(np.float32))
    except Exception as error:  # hls4ml raises whatever happens to go wrong, often a bare Exception
        raise BirealError(f"hls4ml stopped on {path}: {_first_line(error)}") from error
    scaled = values.reshape(len(images), -1).astype(np.float64) * 2.0**graph.output.dtype.frac
    integers = np.round(scaled)
    if np.any(integers != scaled):
        raise BirealError(f"hls4ml gives {scaled[integers != scaled][0]} for a logit of {path}: not on its grid")
    return integers.astype(np.int64)


def _compiled(model: Any, graph: Graph, project: Path) -> Any:
    """Convert a channels-last model and compile it; returns hls4ml's ModelGraph."""
    import hls4ml

    config = hls4ml.utils.config_from_onnx_model(
        model, granularity="name", backend="Vitis", default_precision=exact_precision(graph)
    )
    config["LayerName"]["p"]["Precision"]["result"] = "ufixed<8,8>"
    for node in graph:
        if isinstance(node.op, AvgPool) and node.name in config["LayerName"]:
            config["LayerName"][node.name]["Precision"]["result"] = mean_precision(graph, node.name)
    converted = hls4ml.converters.convert_from_onnx_model(
        model, output_dir=str(project), io_type="io_stream", backend="Vitis", hls_config=config
    )
    converted.compile()
    return converted


def exact_precision(graph: Graph) -> str:
    """A fixed-point format that holds every constant and every unrounded sum of a network exactly."""
    fractions, integers = [0], [8]
    for node in graph:
        op, inputs = node.op, graph.inputs_of(node)
        if isinstance(op, RealConv):
            grids = op.shift + op.dtype.frac
            most = op.largest(inputs[0])
            fractions.append(int(grids.max()) + 1)
            integers.append(signed_width(-most, most) - int(grids.min()))
            # hls4ml keeps the weights' scale apart: unscaled integers first, the scale behind the sum.
            integers.append(signed_width(-most, most) - inputs[0].dtype.frac)
        elif isinstance(op, Merge):
            most = int(np.abs(op.gain).max()) * inputs[1].high + int(np.abs(op.bias).max())
            fractions.append(op.shift + op.dtype.frac)
            integers.append(signed_width(-most, most) - op.shift - op.dtype.frac)
        elif isinstance(op, AvgPool):
            fractions.append(op.dtype.frac + 1)
    return f"fixed<{max(fractions) + max(integers)},{max(integers)}>"


def mean_precision(graph: Graph, name: str) -> str:
    """The format of a mean over a window whose number of pixels is a power of two, without rounding."""
    node = next(node for node in graph if node.name == name)
    assert isinstance(node.op, AvgPool)
    x = graph.inputs_of(node)[0].dtype
    extra = math.ceil(math.log2(node.op.kernel[0] * node.op.kernel[1]))
    return f"fixed<{x.width + 2 * extra},{x.width - x.frac + extra}>"


def channels_last(path: Path) -> Any:
    """Read a QONNX file and turn its layout into (N, H, W, C), as hls4ml wants it; returns qonnx's ModelWrapper.

    The meaning stays: weights become (Cout, kernel, kernel, Cin), constants per channel (C,). qonnx's own conversion
    knows no average pool.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(str(path)).transform(InferShapes())
    graph = model.graph
    per_channel = {name for node in graph.node if node.op_type in ("Add", "Sub", "Mul") for name in node.input}
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim == 4:
            array = array.reshape(-1) if tensor.name in per_channel else array.transpose(0, 2, 3, 1)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
    for node in graph.node:
        if node.op_type in ("Conv", "MaxPool", "AveragePool"):
            node.domain = CHANNELS_LAST
    for tensor in (*graph.input, *graph.value_info, *graph.output):
        _move_channels(tensor)
    return model


def _move_channels(tensor: onnx.ValueInfoProto) -> None:
    dims = tensor.type.tensor_type.shape.dim
    if len(dims) == 4:
        n, c, h, w = (dim.dim_value for dim in dims)
        for dim, size in zip(dims, (n, h, w, c), strict=True):
            dim.dim_value = size


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
