"""QONNX file to integer graph: the only door into the compiler, and nothing but the file is read.

The file is interpreted node by node. A tensor of the file is, at any point, one of the values of `values.py`: a stream
that some node of the graph makes, or an expression that waits for the Quant node which rounds it. Each handler below
states one rule; whatever no rule covers stops with the node's name, what was found and what is supported.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import FLOAT32_EXACT, half, signed_width
from bireal_hw.ir.graph import INPUT, Graph, Node, verify
from bireal_hw.ir.op import Op
from bireal_hw.ir.types import PIXEL, DataType, TensorType, ranged
from bireal_hw.lowering.values import (
    Bits,
    Clipped,
    Constant,
    Expression,
    Pair,
    Source,
    Stream,
    Total,
    Value,
    as_integers,
    exponent,
    thresholds,
)
from bireal_hw.ops import Affine, AvgPool, BinaryConv, Center, LeakyClip, MaxPool, Merge, RealConv, Sign, Sum, Upsample

METADATA = "bireal_hw."
"""Prefix of the metadata entries of the file that become the graph's `info`."""


def lower(path: Path) -> Graph:
    """Read a QONNX file and return the verified integer graph.

    Raises:
        BirealError: the file is missing, broken or foreign, or a node or attribute is not supported; the text names the
            node, what was found and what is supported.
    """
    model = load(path)
    if not path.stat().st_size:
        raise BirealError(f"cannot read {path}: it is empty")
    if not model.graph.node or len(model.graph.output) != 1:
        raise BirealError(f"{path} holds no network with one output: {len(model.graph.node)} nodes")
    try:
        return _Lowering(model).run()
    except BirealError as error:
        raise BirealError(f"{path}: {error}") from error


def load(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, weights in a second file (external data) included.

    Raises:
        BirealError: one of them is missing or broken.
    """
    try:
        return onnx.load(str(path))
    except DecodeError as error:
        raise BirealError(f"cannot read {path}: it is not an ONNX file, or it is truncated") from error
    except (OSError, onnx.checker.ValidationError, ValueError) as error:
        if not path.is_file():
            raise BirealError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
        missing = [name for name in _external(path) if not (path.parent / name).is_file()]
        reason = f"its weights are in a second file, {missing[0]}, which is missing beside it" if missing else error
        raise BirealError(f"cannot read {path}: {' '.join(str(reason).split())}") from error


def copy(path: Path, target: Path) -> None:
    """Write an ONNX file once more, with the weights that stand in a second file inside it."""
    if _external(path):
        onnx.save(load(path), str(target))
    else:
        shutil.copyfile(path, target)


def _external(path: Path) -> list[str]:
    """Names of the files that hold weights of a model."""
    model = onnx.load(str(path), load_external_data=False)
    entries = [entry for tensor in model.graph.initializer for entry in tensor.external_data]
    return sorted({entry.value for entry in entries if entry.key == "location"})


class _Lowering:
    """One pass over the file's nodes; `values` maps its tensor names to what they are."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.ranks: dict[str, int] = {}  # number of axes of the file's tensors that are no constants
        self.values: dict[str, Value] = {}
        for initializer in model.graph.initializer:
            self.values[initializer.name] = Constant(numpy_helper.to_array(initializer).astype(np.float64))
        self.input = self._input()
        self.types[INPUT] = self.input

    def run(self) -> Graph:
        """Interpret every node, then close the graph with the expression that is the file's output."""
        for node in self.model.graph.node:
            handler = HANDLERS.get(node.op_type)
            if handler is None:
                supported = ", ".join(HANDLERS)
                raise BirealError(f"node '{node.name}' is a {node.op_type}; supported are {supported}")
            try:
                self.values[node.output[0]] = handler(self, node)
                self.ranks[node.output[0]] = self._rank(node)
            except BirealError:
                raise
            except Exception as error:  # whatever a library says of a damaged node
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                raise BirealError(f"node '{node.name}' ({node.op_type}) cannot be read: {reason}") from error
        value = self.values[self.model.graph.output[0].name]
        if isinstance(value, Expression) and value.source.kind == "real":
            self._close_real(value, None)
        elif not (isinstance(value, Stream) and self.nodes and self.nodes[-1].name == value.name):
            name = self.model.graph.output[0].name
            raise BirealError(f"the output '{name}' is {value.describe()}; a quantizer or a classifier has to give it")
        info = {
            entry.key.removeprefix(METADATA): json.loads(entry.value)
            for entry in self.model.metadata_props
            if entry.key.startswith(METADATA)
        }
        name = _identifier(str(info.get("model") or self.model.graph.name)) or "network"
        return verify(Graph(name, self.input, tuple(self.nodes), info))

    # ---- the input and shapes

    def _input(self) -> TensorType:
        """The image: the one graph input that is no initializer, (batch, C, H, W)."""
        inputs = [value for value in self.model.graph.input if value.name not in self.values]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs)
            raise BirealError(f"{len(inputs)} inputs found ({names}); one image is supported")
        dims = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
        if len(dims) != 4 or min(dims[1:]) < 1:
            name = inputs[0].name
            raise BirealError(f"input '{name}' has shape {dims}; (batch, channels, height, width) is supported")
        _, channels, height, width = dims
        self.ranks[inputs[0].name] = 4
        self.values[inputs[0].name] = Expression(
            Source("pixel", INPUT), np.ones(channels), np.zeros(channels), channels
        )
        return TensorType.full(height, width, channels, PIXEL)

    # ---- quantizers

    def _quant(self, node: onnx.NodeProto) -> Value:
        """Round to a grid: closes the expression in front of it, or quantises constant weights."""
        value, scale, zero, bits = (self._value(node, i) for i in range(4))
        if not (isinstance(scale, Constant) and isinstance(zero, Constant) and isinstance(bits, Constant)):
            raise self._unsupported(node, "scale, zero point and bit width that are computed", "constants")
        attributes = _attributes(node)
        if np.any(zero.array != 0):
            raise self._unsupported(node, f"zero point {zero.array.ravel()[0]}", "0")
        if attributes.get("signed", 1) != 1:
            raise self._unsupported(node, "signed=0", "signed=1")
        width = int(bits.array.ravel()[0])
        rounding = attributes.get("rounding_mode", b"ROUND").decode().upper()
        narrow = bool(attributes.get("narrow", 0))
        if isinstance(value, Constant):
            return self._quant_weights(node, value, scale, width, rounding, narrow)
        if scale.array.size != 1:
            raise self._unsupported(node, f"{scale.array.size} scales on an activation", "one power of two")
        frac = -self._exponents(node, scale.array)[0]
        if narrow:
            raise self._unsupported(node, "narrow=1 on an activation", "narrow=0")
        dtype = DataType(width, frac=int(frac))
        if isinstance(value, Total):
            if value.slope is not None:
                self._check_floor(node, rounding)
            return self._close_merge(node, value, dtype)
        if isinstance(value, Pair):
            return self._close_sum(node, value, dtype)
        if isinstance(value, Stream):
            if self.types[value.name].dtype == dtype:
                return value
            value = self._values(value)
        if not isinstance(value, Expression):
            raise self._unsupported(node, "an input that needs no rounding", "a convolution, a pool, a sum")
        if not value.is_whole(dtype.frac):
            self._check_floor(node, rounding)
        if value.affine is not None:
            return self._close_alone(node, value, dtype)
        match value.source.kind:
            case "pixel":
                return self._close_center(node, value, dtype)
            case "real":
                return self._close_real(value, dtype)
            case "dot" | "excess":
                return self._close_affine(node, value, dtype)
            case "sum" | "value":
                return self._close_pool(node, value, dtype)

    def _check_floor(self, node: onnx.NodeProto, rounding: str) -> None:
        if rounding != "FLOOR":
            raise self._unsupported(node, f"rounding_mode={rounding}", "FLOOR with the half as an Add in front of it")

    def _quant_weights(
        self, node: onnx.NodeProto, value: Constant, scale: Constant, width: int, rounding: str, narrow: bool
    ) -> Constant:
        """Constant weights: integers and the exponent of their scale."""
        if width > 8:
            raise self._unsupported(node, f"weights of {width} bits", "8 bits and fewer")
        exponents = np.broadcast_to(self._exponents(node, scale.array).reshape(scale.array.shape), value.array.shape)
        scaled = value.array / np.exp2(exponents)
        rounders: dict[str, Callable[[Any], Any]] = {
            "ROUND": np.round,
            "FLOOR": np.floor,
            "CEIL": np.ceil,
            "ROUND_TO_ZERO": np.trunc,
        }
        if rounding not in rounders:
            raise self._unsupported(node, f"rounding_mode={rounding}", ", ".join(rounders))
        limit = 1 << (width - 1)
        integers = np.clip(rounders[rounding](scaled), -limit + narrow, limit - 1).astype(np.int64)
        return Constant(integers * np.exp2(exponents), integers, exponents.astype(np.int64))

    def _bipolarquant(self, node: onnx.NodeProto) -> Value:
        """Sign: of constant weights, or of a stream."""
        value, scale = self._value(node, 0), self._constant(node, 1)
        if isinstance(value, Constant):
            signs = np.where(value.array >= 0, 1, -1).astype(np.int64)
            return Constant(signs * scale, signs, magnitude=scale)
        if scale.size != 1:
            raise self._unsupported(node, f"{scale.size} scales on an activation", "one")
        step = float(scale.ravel()[0])
        if not (isinstance(value, Expression) and value.source.kind == "value" and value.affine is None):
            bits = self._emit(node.name, Sign(), self._stream(node, value))
            return bits if step == 1 else Bits(bits, np.zeros(self.types[bits.name].channels, bool), step)
        x = self.types[value.source.stream]
        theta, turned = thresholds(value.gain, value.add, x.low, x.high)
        bits = self._emit(node.name, Sign(theta), Stream(value.source.stream))
        return bits if step == 1 and not turned.any() else Bits(bits, turned, step)

    # ---- layers

    def _conv(self, node: onnx.NodeProto) -> Value:
        """Binary or real convolution; the sums stay an expression until they are rounded."""
        read = self._value(node, 0)
        bits = read if isinstance(read, Bits) else None
        stream = bits.stream if bits else self._stream(node, read)
        weights = self._value(node, 1)
        if not isinstance(weights, Constant) or weights.integers is None:
            raise self._unsupported(node, "weights without a quantizer", "Quant or BipolarQuant on the weights")
        attributes, kernel = _attributes(node), weights.array.shape[2:]
        strides, pads = attributes.get("strides", [1, 1]), attributes.get("pads", [0, 0, 0, 0])
        for name, default in (("dilations", [1, 1]), ("group", 1), ("auto_pad", b"NOTSET")):
            if attributes.get(name, default) != default:
                raise self._unsupported(node, f"{name}={attributes[name]!r}", f"{name}={default!r}")
        if kernel[0] != kernel[1] or len(set(strides)) != 1 or len(set(pads)) != 1:
            raise self._unsupported(
                node, f"kernel={list(kernel)} strides={strides} pads={pads}", "square kernels, equal strides and pads"
            )
        binary = weights.magnitude is not None
        if binary != self.types[stream.name].dtype.bipolar:
            found = "binary weights on a real-valued input" if binary else "real-valued weights on bits"
            raise self._unsupported(node, found, "both binary or both real-valued")
        integers = weights.integers.transpose(0, 2, 3, 1)
        bias = self._constant(node, 2) if len(node.input) > 2 and node.input[2] else np.zeros(len(integers))
        if binary:
            signs = integers.astype(np.int8)
            if bits:
                signs[..., bits.turned] *= -1
            made = self._emit(node.name, BinaryConv(signs, strides[0], tuple(pads)), stream)
            gain = self._magnitude(node, weights) * (bits.scale if bits else 1.0)
            return Expression(Source("dot", made.name), gain, bias.astype(np.float64), len(integers))
        source = Source("real", stream.name, node.name, integers.astype(np.int32), strides[0], pads[0])
        return self._real_sums(node, source, stream, weights, bias)

    def _magnitude(self, node: onnx.NodeProto, weights: Constant) -> NDArray[np.float64]:
        """The magnitude of binary weights, one number per output channel."""
        assert weights.magnitude is not None
        every = np.broadcast_to(weights.magnitude, weights.array.shape).reshape(len(weights.array), -1)
        if np.any(every != every[:, :1]):
            raise self._unsupported(node, "magnitudes that differ inside an output channel", "one per output channel")
        return every[:, 0].astype(np.float64)

    def _real_sums(
        self, node: onnx.NodeProto, source: Source, stream: Stream, weights: Constant, bias: NDArray[np.float64]
    ) -> Expression:
        """The sums of a real-valued layer: integers times one power of two per output channel."""
        assert weights.exponents is not None
        per_channel = weights.exponents.reshape(len(weights.exponents), -1)
        if np.any(per_channel != per_channel[:, :1]):
            raise self._unsupported(node, "scales that differ inside an output channel", "one per output channel")
        gain = np.exp2(per_channel[:, 0] - float(self.types[stream.name].dtype.frac))
        return Expression(source, gain, bias.astype(np.float64), len(gain))

    def _gemm(self, node: onnx.NodeProto) -> Value:
        """The classifier: a real 1x1 convolution on a 1x1 image."""
        attributes = _attributes(node)
        for name, default in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
            if attributes.get(name, default) != default:
                raise self._unsupported(node, f"{name}={attributes[name]}", f"{name}={default}")
        bias = self._constant(node, 2) if len(node.input) > 2 and node.input[2] else None
        return self._linear(node, transposed=bool(attributes.get("transB", 0)), bias=bias)

    def _matmul(self, node: onnx.NodeProto) -> Value:
        """The classifier without a bias."""
        return self._linear(node, transposed=False, bias=None)

    def _linear(self, node: onnx.NodeProto, transposed: bool, bias: NDArray[np.float64] | None) -> Expression:
        stream, weights = self._stream(node, self._value(node, 0)), self._value(node, 1)
        x = self.types[stream.name]
        if x.pixels != 1:
            raise self._unsupported(node, f"an input of {x.height}x{x.width} pixels", "1x1, behind a global pool")
        if not isinstance(weights, Constant) or weights.integers is None or weights.exponents is None:
            raise self._unsupported(node, "weights without a quantizer", "Quant on the weights")
        if not transposed:
            weights = weights.map(np.transpose)
        integers = weights.integers
        assert integers is not None
        source = Source("real", stream.name, node.name, integers[:, None, None, :].astype(np.int32), 1, 0)
        if bias is not None and (bias.shape or (1,))[-1] != bias.size:
            raise self._unsupported(
                node, f"a bias of shape {list(bias.shape)}", f"1 or {len(integers)} numbers in a row"
            )
        added = np.zeros(len(integers)) if bias is None else np.broadcast_to(bias.ravel(), (len(integers),))
        return self._real_sums(node, source, stream, weights, added)

    def _maxpool(self, node: onnx.NodeProto) -> Value:
        attributes = _attributes(node)
        wanted = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        optional = {"dilations": [1, 1], "ceil_mode": 0, "auto_pad": b"NOTSET", "storage_order": 0}
        for name, value in {**wanted, **optional}.items():
            if attributes.get(name, optional.get(name)) != value:
                raise self._unsupported(node, f"{name}={attributes.get(name)}", f"{name}={value}")
        return self._emit(node.name, MaxPool(), self._stream(node, self._value(node, 0)))

    def _averagepool(self, node: onnx.NodeProto) -> Value:
        attributes = _attributes(node)
        kernel, strides = attributes.get("kernel_shape", []), attributes.get("strides", [1, 1])
        if strides != kernel or any(attributes.get("pads", [0])) or attributes.get("ceil_mode"):
            raise self._unsupported(node, f"kernel={kernel} strides={strides}", "stride = kernel, no pads")
        if exponent(kernel[0] * kernel[1]) is None:
            raise self._unsupported(node, f"a window of {kernel[0] * kernel[1]} pixels", "a power of two, or ReduceSum")
        return self._window_sum(node, (kernel[0], kernel[1]), 1.0 / (kernel[0] * kernel[1]))

    def _reducesum(self, node: onnx.NodeProto) -> Value:
        axes = self._constant(node, 1).astype(int).tolist() if len(node.input) > 1 else _attributes(node).get("axes")
        stream = self._stream(node, self._value(node, 0))
        if axes is None or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise self._unsupported(node, f"axes={axes}", "axes=[2, 3]")
        x = self.types[stream.name]
        return self._window_sum(node, (x.height, x.width), 1.0)

    def _globalaveragepool(self, node: onnx.NodeProto) -> Value:
        x = self.types[self._stream(node, self._value(node, 0)).name]
        if exponent(x.pixels) is None:
            raise self._unsupported(node, f"a mean of {x.pixels} pixels", "a power of two, or ReduceSum")
        return self._window_sum(node, (x.height, x.width), 1.0 / x.pixels)

    def _window_sum(self, node: onnx.NodeProto, kernel: tuple[int, int], factor: float) -> Expression:
        stream = self._stream(node, self._value(node, 0))
        x = self.types[stream.name]
        gain = np.full(x.channels, factor * 2.0**-x.dtype.frac)
        return Expression(Source("sum", stream.name, node.name, kernel=kernel), gain, np.zeros(x.channels), x.channels)

    def _resize(self, node: onnx.NodeProto) -> Value:
        """Nearest neighbour, by one whole factor along both sides."""
        attributes = {name: _text(value) for name, value in _attributes(node).items()}
        stream = self._stream(node, self._value(node, 0))
        x = self.types[stream.name]
        mode = attributes.get("mode", "nearest")
        if mode != "nearest":
            raise self._unsupported(node, f"mode={mode}", "mode=nearest")
        if node.op_type == "Resize":
            self._check_nearest(node, attributes)
        if len(node.input) > 3 and node.input[3]:
            _, *sizes = self._constant(node, 3).ravel().tolist()
            scales = [1.0, *(size / have for size, have in zip(sizes, (x.channels, x.height, x.width), strict=False))]
        elif "scales" in attributes:
            scales = list(attributes["scales"])
        else:
            scales = self._constant(node, min(len(node.input) - 1, 2)).ravel().tolist()
        factor = scales[-1] if scales else 0.0
        if scales != [1.0, 1.0, factor, factor] or factor != int(factor) or factor < 1:
            raise self._unsupported(node, f"scales={scales}", "1, 1 and twice the same whole number")
        return stream if factor == 1 else self._emit(node.name, Upsample(int(factor)), stream)

    def _check_nearest(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:
        """Refuse a choice of pixels that is not i // factor; with a whole factor the pairs of NEAREST are."""
        where = attributes.get("coordinate_transformation_mode", "half_pixel")
        choice = attributes.get("nearest_mode", "round_prefer_floor")
        if (where, choice) not in NEAREST:
            found = f"coordinate_transformation_mode={where}, nearest_mode={choice}"
            raise self._unsupported(node, found, " or ".join(f"{a} with {b}" for a, b in NEAREST))

    # ---- arithmetic between layers

    def _add(self, node: onnx.NodeProto) -> Value:
        """A constant joins the expression; two tensors are a shortcut and what is added to it, or a leaky clip."""
        a, b = self._value(node, 0), self._value(node, 1)
        if isinstance(a, Stream) and isinstance(b, Stream):
            return Pair(a, b)
        for value, other in ((a, b), (b, a)):
            if isinstance(other, Constant) and isinstance(value, Total) and value.slope is not None:
                return self._round_total(node, value, other)
            if isinstance(other, Constant) and isinstance(value, Stream | Expression):
                value = self._values(value) if isinstance(value, Stream) else value
                return value.plus(self._per_channel(node, other, value))
        for stream, branch in ((a, b), (b, a)):
            if not isinstance(branch, Expression) or branch.affine is None:
                continue
            if isinstance(stream, Stream) and branch.source.kind == "dot":
                return Total(stream, branch)
            if isinstance(stream, Clipped) and branch.source.kind == "excess":
                return self._close_leaky_clip(node, stream, branch)
        raise self._unsupported(
            node, f"{a.describe()} + {b.describe()}", "two streams, a stream + a rounded dot product, or a constant"
        )

    def _batchnorm(self, node: onnx.NodeProto) -> Value:
        """(x - mean) * gain / sqrt(variance + epsilon) + bias, per channel."""
        attributes, value = _attributes(node), self._value(node, 0)
        if attributes.get("training_mode"):
            raise self._unsupported(node, "training_mode=1", "training_mode=0")
        value = self._values(value) if isinstance(value, Stream) else value
        if not isinstance(value, Expression) or value.affine is not None:
            raise self._unsupported(node, value.describe(), "the sums of a convolution, or a stream")
        constants = [self._constant(node, i) for i in (1, 2, 3, 4)]
        if any(constant.shape != (value.channels,) for constant in constants):
            shapes = ", ".join(str(list(constant.shape)) for constant in constants)
            raise self._unsupported(node, f"constants of shapes {shapes}", f"[{value.channels}] each")
        gain, bias, mean, variance = constants
        deviation = np.sqrt(variance + float(attributes.get("epsilon", 1e-5)))
        if not np.all(deviation > 0):
            raise self._unsupported(node, f"a variance of {variance.min()}", "positive ones")
        return value.plus(-mean).times(gain / deviation).plus(bias)

    def _sub(self, node: onnx.NodeProto) -> Value:
        value, other = self._value(node, 0), self._value(node, 1)
        if isinstance(value, Stream | Expression) and isinstance(other, Constant):
            value = self._values(value) if isinstance(value, Stream) else value
            return value.plus(-self._per_channel(node, other, value))
        if isinstance(value, Stream) and isinstance(other, Clipped) and other.stream == value:
            return self._values(value, Source("excess", value.name, node.name, limit=other.limit))
        raise self._unsupported(node, f"{value.describe()} - {other.describe()}", "an expression - a constant")

    def _mul(self, node: onnx.NodeProto) -> Value:
        a, b = self._value(node, 0), self._value(node, 1)
        for value, other in ((a, b), (b, a)):
            value = self._values(value) if isinstance(value, Stream) else value
            if isinstance(value, Expression) and isinstance(other, Constant) and value.affine is None:
                return value.times(self._per_channel(node, other, value))
        raise self._unsupported(node, f"{a.describe()} * {b.describe()}", "an expression * a constant")

    def _clip(self, node: onnx.NodeProto) -> Value:
        """The inner part of a leaky clip: symmetric, its limit on the grid."""
        stream = self._stream(node, self._value(node, 0))
        attributes = _attributes(node)
        bounds = [attributes.get(name) for name in ("min", "max")]  # as before version 11
        for i, name in enumerate(node.input[1:]):
            bounds[i] = float(self._constant(node, i + 1).ravel()[0]) if name else None
        if bounds[0] is None or bounds[1] is None:
            raise self._unsupported(node, f"bounds {bounds[0]} and {bounds[1]}", "-limit and limit, on the grid")
        limit = bounds[1] * 2.0 ** self.types[stream.name].dtype.frac
        if bounds[0] != -bounds[1] or limit != round(limit) or limit < 0:
            raise self._unsupported(node, f"bounds {bounds[0]} and {bounds[1]}", "-limit and limit, on the grid")
        return Clipped(stream, round(limit))

    def _prelu(self, node: onnx.NodeProto) -> Value:
        """Slopes on the sum of a merge."""
        value = self._value(node, 0)
        if not isinstance(value, Total) or value.slope is not None:
            raise self._unsupported(node, value.describe(), "the sum of a shortcut and a rounded binary convolution")
        slopes = self._per_channel(node, Constant(self._constant(node, 1)), value.branch)
        steps = [exponent(float(slope)) for slope in slopes]
        if any(step is None for step in steps):
            bad = next(slope for slope, step in zip(slopes, steps, strict=True) if step is None)
            raise self._unsupported(node, f"slope {bad}", "powers of two")
        return dataclasses.replace(value, slope=-np.array(steps, np.int32))

    def _round_total(self, node: onnx.NodeProto, value: Total, other: Constant) -> Total:
        """The half that rounds what a PReLU gives."""
        if value.rounding or np.any(other.array != other.array.ravel()[0]):
            raise self._unsupported(node, "a constant per channel behind a PReLU", "half a step of the stream's grid")
        return dataclasses.replace(value, rounding=float(other.array.ravel()[0]))

    def _constant_node(self, node: onnx.NodeProto) -> Value:
        for name, value in _attributes(node).items():
            if name == "value":
                return Constant(numpy_helper.to_array(value).astype(np.float64))
            if name in ("value_float", "value_int", "value_floats", "value_ints"):
                return Constant(np.array(value, np.float64))
        raise self._unsupported(node, ", ".join(_attributes(node)) or "no value", "numbers")

    def _reshape(self, node: onnx.NodeProto) -> Value:
        """Flatten and its kin: only of a 1x1 image, where the order of the numbers stays."""
        value = self._value(node, 0)
        if not isinstance(value, Stream | Expression):
            raise self._unsupported(node, value.describe(), "a 1x1 image")
        name = value.name if isinstance(value, Stream) else value.source.stream
        window = value.source.kernel if isinstance(value, Expression) else None
        x = self.types[name]
        pixels = 1 if window == (x.height, x.width) else x.pixels
        if pixels != 1:
            raise self._unsupported(node, f"an image of {pixels} pixels", "1x1, behind a global pool")
        return value

    def _identity(self, node: onnx.NodeProto) -> Value:
        """Identity, and Dropout, which does nothing outside training."""
        if len(node.input) > 2 and node.input[2] and np.any(self._constant(node, 2)):
            raise self._unsupported(node, "training_mode=1", "training_mode=0")
        return self._value(node, 0)

    def _transpose(self, node: onnx.NodeProto) -> Value:
        """Only of constant matrices (classifier weights)."""
        value = self._value(node, 0)
        if not isinstance(value, Constant) or value.array.ndim != 2:
            raise self._unsupported(node, f"{value.describe()}", "a constant matrix")
        return value.map(np.transpose)

    # ---- expressions that meet their quantizer

    def _close_center(self, node: onnx.NodeProto, value: Expression, dtype: DataType) -> Stream:
        """(p - m_c) * 2^-frac, never saturating."""
        offset = -value.add / value.gain
        if np.any(value.gain != 2.0**-dtype.frac) or np.any(offset != np.round(offset)):
            raise self._unsupported(node, f"gain {value.gain[0]}, offsets {offset}", "(p - integer) * the grid's step")
        op = Center(offset.astype(np.int32), dtype.frac)
        made = op.infer(self.input)
        if made.dtype.width > dtype.width:
            raise self._unsupported(node, f"{dtype.width} bits", f"{made.dtype.width} bits, which the pixels need")
        return self._emit("center", op, Stream(INPUT))

    def _close_real(self, value: Expression, dtype: DataType | None) -> Stream:
        """(sum + bias) >> shift per output channel, saturating to dtype; without one the sums go out whole (logits)."""
        source, name = value.source, value.source.node
        steps = [exponent(gain) for gain in value.gain]
        if any(step is None for step in steps):
            raise BirealError(f"node '{name}': the gain {value.gain[0]} behind it is not a power of two")
        exponents = np.array(steps, np.int32)
        bias = as_integers(value.add / value.gain, f"node '{name}': the constant added to its sums")
        assert source.weights is not None
        if dtype is None:
            if len(set(steps)) != 1:
                raise BirealError(f"node '{name}': logits on different grids; give the classifier one scale")
            wide = RealConv(source.weights, bias, np.zeros_like(bias), DataType(31, frac=-int(exponents[0])))
            out = wide.infer(self.types[source.stream])
            dtype = ranged(out.low, out.high, -int(exponents[0]))
        shift = -exponents - dtype.frac
        op = RealConv(source.weights, bias, shift, dtype, source.stride, (source.pad,) * 4)
        self._check_exact(name, op.largest(self.types[source.stream]))
        return self._emit(name, op, Stream(source.stream))

    def _close_affine(self, node: onnx.NodeProto, value: Expression, dtype: DataType) -> Expression:
        """The affine (gain*x + bias) >> shift: part of the expression until it is known what is added."""
        name, low, high = value.source.stream, *self._bounds(value.source)
        shift = 0
        while shift <= 24:
            step = 2.0 ** -(dtype.frac + shift)
            if not np.any(value.gain / step % 1) and not np.any(value.add / step % 1):
                break
            shift += 1
        gain = as_integers(value.gain / step, f"node '{name}': its gain")
        bias = as_integers(value.add / step, f"node '{name}': the constant added to it")
        if signed_width(int(gain.min()), int(gain.max())) > 16:
            raise self._unsupported(node, f"gains up to {np.abs(gain).max()}", "16 bits")
        wide = np.stack([gain.astype(np.int64) * end + bias for end in (low, high)])
        own_grid = [int(gcd) or 1 for gcd in np.gcd(gain, bias)]
        self._check_exact(name, int((np.abs(wide) // own_grid).max()))
        need = signed_width(int(wide.min()) >> shift, int(wide.max()) >> shift)
        if need > dtype.width:
            raise self._unsupported(
                node, f"{dtype.width} bits, which saturate before the shortcut is added", f"{need} bits or more"
            )
        return value.rounded(gain, bias, shift, dtype)

    def _bounds(self, source: Source) -> tuple[int, int]:
        """Lowest and highest integer under an expression."""
        x = self.types[source.stream]
        if source.kind == "excess":
            return min(0, x.low + source.limit), max(0, x.high - source.limit)
        return x.low, x.high

    def _close_alone(self, node: onnx.NodeProto, value: Expression, dtype: DataType) -> Stream:
        """sat(t): an affine without a shortcut."""
        affine = value.affine
        assert affine is not None
        if value.source.kind != "dot" or affine.dtype.frac != dtype.frac:
            raise self._unsupported(node, f"{value.describe()} quantised again, as {dtype}", "one grid")
        op = Affine(affine.gain, affine.bias, affine.shift, dtype)
        return self._emit(node.name, op, Stream(value.source.stream))

    def _close_leaky_clip(self, node: onnx.NodeProto, clipped: Clipped, branch: Expression) -> Stream:
        """Emit c + ((gain*(x - c) + half) >> shift)."""
        affine = branch.affine
        assert affine is not None
        same = branch.source.stream == clipped.stream.name and branch.source.limit == clipped.limit
        gains, frac = set(affine.gain.tolist()), self.types[clipped.stream.name].dtype.frac
        halves = set(affine.bias.tolist())
        if not same or len(gains) != 1 or halves != {half(affine.shift)} or affine.dtype.frac != frac:
            found = f"gains {sorted(gains)}, constants {sorted(halves)}, grid 2^-{affine.dtype.frac}"
            raise self._unsupported(node, found, f"one gain, the half {half(affine.shift)}, grid 2^-{frac}")
        return self._emit(node.name, LeakyClip(clipped.limit, gains.pop(), affine.shift), clipped.stream)

    def _close_merge(self, node: onnx.NodeProto, value: Total, dtype: DataType) -> Stream:
        """sat(r + t) on the stream's grid."""
        affine = value.branch.affine
        assert affine is not None
        r = self.types[value.stream.name].dtype
        if not (r.frac == affine.dtype.frac == dtype.frac):
            raise self._unsupported(
                node, f"grids 2^-{r.frac}, 2^-{affine.dtype.frac} and 2^-{dtype.frac} in one sum", "one grid"
            )
        wanted = 0.0 if value.slope is None else 2.0 ** -(dtype.frac + 1)
        if value.rounding != wanted:
            raise self._unsupported(node, f"{value.rounding} added behind the PReLU", f"half a step, {wanted}")
        op = Merge(affine.gain, affine.bias, affine.shift, dtype, value.slope)
        return self._emit(node.name, op, value.stream, Stream(value.branch.source.stream))

    def _close_sum(self, node: onnx.NodeProto, value: Pair, dtype: DataType) -> Stream:
        """sat(a + b) on the grid of both; nothing is rounded away, so every rounding mode is the same."""
        a, b = (self.types[stream.name].dtype for stream in (value.a, value.b))
        if not (a.frac == b.frac == dtype.frac):
            raise self._unsupported(node, f"grids 2^-{a.frac}, 2^-{b.frac} and 2^-{dtype.frac} in one sum", "one grid")
        return self._emit(node.name, Sum(dtype), value.a, value.b)

    def _close_pool(self, node: onnx.NodeProto, value: Expression, dtype: DataType) -> Stream:
        """(sum + half) >> shift, saturating."""
        step = exponent(value.gain[0])
        if step is None or np.any(value.gain != value.gain[0]):
            raise self._unsupported(node, f"a pool scaled by {value.gain[0]}", "a power of two")
        shift = -step - dtype.frac
        if np.any(value.add / value.gain != half(shift)):
            raise self._unsupported(
                node, f"{value.add[0]} added before rounding", f"half a step, {half(shift) * value.gain[0]}"
            )
        name, kernel = (value.source.node, value.source.kernel) if value.source.kernel else (node.name, (1, 1))
        return self._emit(name, AvgPool(kernel, shift, dtype), Stream(value.source.stream))

    # ---- helpers

    def _emit(self, name: str, op: Op, *inputs: Stream) -> Stream:
        """Add a node to the graph under a name of the file."""
        unique = _identifier(name) or f"{op.kind}_{len(self.nodes)}"
        while unique in self.types:
            unique += "_"
        try:
            self.types[unique] = op.infer(*(self.types[stream.name] for stream in inputs))
        except BirealError as error:
            raise BirealError(f"node '{name}': {error}") from error
        self.nodes.append(Node(unique, op, tuple(stream.name for stream in inputs)))
        return Stream(unique)

    def _value(self, node: onnx.NodeProto, index: int) -> Value:
        name = node.input[index]
        if name not in self.values:
            raise BirealError(f"node '{node.name}' reads '{name}', which no earlier node makes")
        value = self.values[name]
        if isinstance(value, Constant) and not np.isfinite(value.array).all():
            at = np.argwhere(~np.isfinite(value.array))[0].tolist()
            found = f"{value.array[tuple(at)]} at {at} of its input '{name}'"
            raise self._unsupported(node, found, "finite numbers; did the training diverge?")
        return value

    def _values(self, stream: Stream, source: Source | None = None) -> Expression:
        """The values of a stream, or what a source makes of them, as the beginning of an expression."""
        x = self.types[stream.name]
        gain = np.full(x.channels, 2.0**-x.dtype.frac)
        return Expression(source or Source("value", stream.name), gain, np.zeros(x.channels), x.channels)

    def _stream(self, node: onnx.NodeProto, value: Value) -> Stream:
        if not isinstance(value, Stream):
            raise self._unsupported(node, value.describe(), "an input that a quantizer has rounded")
        return value

    def _constant(self, node: onnx.NodeProto, index: int) -> NDArray[np.float64]:
        value = self._value(node, index)
        if not isinstance(value, Constant):
            raise self._unsupported(node, f"a computed input {index}", "a constant")
        return value.array

    def _per_channel(self, node: onnx.NodeProto, constant: Constant, value: Expression) -> NDArray[np.float64]:
        """A constant operand as one number per channel."""
        array, channels = constant.array, value.channels
        rank = max((self.ranks[name] for name in node.input if name in self.ranks), default=4)
        shape = (1,) * (rank - array.ndim) + array.shape  # as a constant is broadcast: the last axes meet
        if len(shape) > rank or shape[1] not in (1, channels) or array.size != shape[1]:
            wanted = [channels, 1, 1][: rank - 1]
            raise self._unsupported(node, f"a constant of shape {list(array.shape)}", f"one number, or shape {wanted}")
        return np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float64)

    def _rank(self, node: onnx.NodeProto) -> int:
        """Number of axes of a node's output."""
        if node.op_type in ("Flatten", "Gemm", "MatMul", "Squeeze"):
            return 2
        if node.op_type == "Reshape" and len(node.input) > 1:
            return self._constant(node, 1).size
        if node.op_type == "ReduceSum" and not _attributes(node).get("keepdims", 1):
            return 2
        if node.op_type == "Unsqueeze":
            return 4
        return max((self.ranks[name] for name in node.input if name in self.ranks), default=0)

    def _exponents(self, node: onnx.NodeProto, scale: NDArray[np.float64]) -> NDArray[np.int64]:
        steps = [exponent(float(number)) for number in scale.ravel()]
        if any(step is None for step in steps):
            bad = next(float(n) for n, step in zip(scale.ravel(), steps, strict=True) if step is None)
            raise self._unsupported(node, f"scale {bad}", "powers of two")
        return np.array(steps, np.int64)

    def _check_exact(self, name: str, largest: int) -> None:
        if largest >= FLOAT32_EXACT:
            raise BirealError(f"node '{name}': values reach {largest}; float32 is exact below 2^24, export it anew")

    def _unsupported(self, node: onnx.NodeProto, found: str, supported: str) -> BirealError:
        return BirealError(f"node '{node.name}' ({node.op_type}): found {found}; supported: {supported}")


NEAREST = (
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
)
"""Coordinates and rounding of a Resize that repeat each pixel: (i + 1/2) / factor - 1/2 is never half way from two."""


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _identifier(name: str) -> str:
    """Turn a name of any alphabet and length into an identifier that is a name of files and of hardware too.

    Accents go; a letter that is not in ASCII becomes its code point; a long name keeps its beginning, and gets a hash.

    >>> _identifier("/layer1.0/conv"), _identifier("größe 1"), _identifier("卷")
    ('layer1_0_conv', 'gro_udf_e_1', 'u5377')
    """
    plain = "".join(_ascii(letter) for letter in unicodedata.normalize("NFKD", name))
    word = re.sub(r"_*[^A-Za-z0-9]+_*", "_", plain).strip("_")
    if len(word) > LONGEST_NAME:
        word = f"{word[: LONGEST_NAME - 9].rstrip('_')}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"n{word}" if word[:1].isdigit() else word


def _ascii(letter: str) -> str:
    if letter.isascii():
        return letter
    return "" if unicodedata.combining(letter) else f"_u{ord(letter):x}_" if letter.isalnum() else "_"


LONGEST_NAME = 64
"""Letters of an identifier: files and wires are named after it, with words in front and behind."""

HANDLERS: dict[str, Callable[[_Lowering, onnx.NodeProto], Value]] = {
    "Add": _Lowering._add,
    "AveragePool": _Lowering._averagepool,
    "BatchNormalization": _Lowering._batchnorm,
    "BipolarQuant": _Lowering._bipolarquant,
    "Clip": _Lowering._clip,
    "Constant": _Lowering._constant_node,
    "Conv": _Lowering._conv,
    "Dropout": _Lowering._identity,
    "Flatten": _Lowering._reshape,
    "Gemm": _Lowering._gemm,
    "GlobalAveragePool": _Lowering._globalaveragepool,
    "Identity": _Lowering._identity,
    "MatMul": _Lowering._matmul,
    "MaxPool": _Lowering._maxpool,
    "Mul": _Lowering._mul,
    "PRelu": _Lowering._prelu,
    "Quant": _Lowering._quant,
    "ReduceSum": _Lowering._reducesum,
    "Reshape": _Lowering._reshape,
    "Resize": _Lowering._resize,
    "Squeeze": _Lowering._reshape,
    "Sub": _Lowering._sub,
    "Transpose": _Lowering._transpose,
    "Unsqueeze": _Lowering._reshape,
    "Upsample": _Lowering._resize,
}
"""What a file may contain, and the rule for each."""
