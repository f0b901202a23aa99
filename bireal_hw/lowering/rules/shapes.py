"""What changes no number: constants, shapes, layouts, and what does nothing outside training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from bireal_hw.ir.types import TensorType
from bireal_hw.lowering import closing
from bireal_hw.lowering.closing import integers
from bireal_hw.lowering.reader import Rule, Site
from bireal_hw.lowering.rules.layers import image, image_only
from bireal_hw.lowering.values import Answer, Bent, Bits, Constant, Expression, Output, Pair, Scaled, Source, Value
from bireal_hw.ops import Duplicate, Flatten, RealConv

NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def evaluated(site: Site) -> Constant:
    """What a node makes of constants, as ONNX defines it."""
    numbers = site.reader.numbers
    arrays = [
        site.constant(at).astype(numbers.get(name, np.dtype(np.float32))) if name else None
        for at, name in enumerate(site.node.input)
    ]
    found = computed(site, arrays)
    if found.dtype.kind in "iub":
        numbers[site.output] = found.dtype
    return Constant(found.astype(np.float64))


def computed(site: Site, arrays: Sequence[np.ndarray | None]) -> np.ndarray:
    """What a node makes of numbers, one array for each input that it has."""
    given = {str(name): array for name, array in zip(site.node.input, arrays, strict=True) if array is not None}
    known = [onnx.helper.make_tensor_value_info(name, _element(array), array.shape) for name, array in given.items()]
    out = onnx.helper.make_tensor_value_info(site.output, onnx.TensorProto.UNDEFINED, None)
    graph = onnx.helper.make_graph([site.node], "constant", known, [out])
    model = onnx.helper.make_model(graph, opset_imports=list(site.reader.model.opset_import), ir_version=10)
    answers: Any = ReferenceEvaluator(model).run([site.output], given)
    return np.asarray(answers[0])


def _element(array: np.ndarray) -> int:
    return onnx.helper.np_dtype_to_tensor_dtype(array.dtype)


def _folded(site: Site) -> Value:
    """A node that is read where all that it reads is constant."""
    for index in range(site.count):
        if site.has(index) and not isinstance(site.value(index), Constant):
            raise site.unsupported(site.value(index).describe(), "constants")
    return evaluated(site)


def _concat(site: Site) -> Value:
    """Constants, or one stream several times behind itself along its channels."""
    if all(isinstance(site.value(index), Constant) for index in range(site.count)):
        return evaluated(site)
    axis, channels = site.attributes.get("axis", 1), 3 if site.is_channels_last else 1
    if site.input_rank != 4 or axis % 4 != channels:
        raise site.unsupported(f"axis={axis}", f"the channels of an image, axis={channels}")
    tensors = [site.tensor(index) for index in range(site.count)]
    inner = {name: integers(site, tensors.index(name)) for name in tensors}
    for one in inner.values():
        image_only(site, one)
    streams = list(dict.fromkeys(one.source.stream for one in inner.values()))
    if len(streams) > 1:
        return _side_by_side(site, [inner[name] for name in tensors])
    made = Output(site.reader.emit(site.name, Duplicate(site.count), streams[0]))
    if isinstance(site.value(0), Output) and len(inner) == 1:
        site.reader.mark(site.output, made, 0.0)
        return made
    gain, add = (np.concatenate([getattr(inner[name], part) for name in tensors]) for part in ("gain", "add"))
    slack, cancelled = (max(getattr(one, part) for one in inner.values()) for part in ("slack", "cancelled"))
    return Expression(Source("value", made.name), gain, add, slack=slack, cancelled=cancelled)


def _side_by_side(site: Site, parts: list[Expression]) -> Value:
    """Streams behind each other along the channels: each is made as wide as all, and they are added where not 0."""
    reader, count = site.reader, len(parts)
    sizes = [reader.types[part.source.stream].shape for part in parts]
    if len({size[:2] for size in sizes}) > 1:
        found = " and ".join("x".join(map(str, size)) for size in sizes)
        raise site.unsupported(f"streams of {found}", "streams of one height and width")
    channels = [part.channels for part in parts]
    places = np.repeat(np.arange(count), channels)
    total: Expression | Pair | None = None
    for place, part in enumerate(parts):
        here = places == place
        if len(set(channels)) == 1:
            name = reader.emit(f"{site.name}_{place}", Duplicate(count), part.source.stream)
        else:
            name = reader.emit(
                f"{site.name}_{place}", _widened(part, reader.types[part.source.stream], here), part.source.stream
            )
        gain, add = np.zeros(len(here)), np.zeros(len(here))
        gain[here], add[here] = part.gain, part.add
        own = Expression(Source("value", name), gain, add, slack=part.slack, cancelled=part.cancelled)
        if isinstance(total, Pair):
            total = closing.settle(reader, site.output, total)
            del reader.marks[site.output]  # the file has no such tensor
        total = own if total is None else Pair(total, own)
    assert total is not None
    return total


def _widened(part: Expression, x: TensorType, here: np.ndarray) -> RealConv:
    """A 1x1 convolution that puts the channels of a stream where they belong, among zeros."""
    weights = np.zeros((len(here), 1, 1, part.channels), np.int32)
    weights[here, 0, 0, np.arange(part.channels)] = 1
    zeros = np.zeros(len(here), np.int32)
    return RealConv(weights, zeros, zeros, x.dtype, 1, (0, 0, 0, 0))


def _constant(site: Site) -> Value:
    for name, value in site.attributes.items():
        if name == "value":
            array = numpy_helper.to_array(value)
        elif name in ("value_float", "value_floats"):
            array = np.array(value, np.float32)
        else:
            array = np.array(value, np.int64)
        if array.dtype.kind in "iub":
            site.reader.numbers[site.output] = array.dtype
        return Constant(array.astype(np.float64))
    raise site.unsupported("no value", "numbers")


def _shape(site: Site) -> Value:
    """The sizes of a tensor, of one image."""
    value = site.value(0)
    if isinstance(value, Constant):
        return evaluated(site)
    x = image(site, value)
    sizes = {
        2: [1, x.size],
        4: [1, x.height, x.width, x.channels] if site.is_channels_last else [1, x.channels, x.height, x.width],
    }[site.input_rank]
    start, end = site.attributes.get("start", 0), site.attributes.get("end")
    site.reader.numbers[site.output] = np.dtype(np.int64)
    return Constant(np.array(sizes[start:end], np.float64))


def _reshape(site: Site) -> Value:
    """Flatten and its kin: of a 1x1 image nothing moves; of a larger one the features get another order."""
    value, reader = site.value(0), site.reader
    if isinstance(value, Constant):
        return value.map(lambda array: _reshaped(site, array))
    x = image(site, value)
    value = (
        site.value(0)
        if isinstance(site.value(0), Output | Bits)
        else closing.expression(site, site.tensor(0), site.value(0))
    )
    reader.values[site.tensor(0)] = value
    target = _target(site, x.size)
    if x.pixels == 1:
        if target not in ([1, x.channels, *[1] * more] for more in range(3)):
            raise site.unsupported(
                f"features that become an image again, of shape {target}",
                f"[1, {x.channels}] or [1, {x.channels}, 1, 1]: leave out the Flatten or the dense layer in front",
            )
        reader.ranks[site.output] = len(target)
        return value
    first, last = [1, x.channels, x.height, x.width], [1, x.height, x.width, x.channels]
    same, other = (last, first) if site.is_channels_last else (first, last)
    if target == same or (target == other and x.channels == 1):  # one channel lies alike in both layouts
        reader.ranks[site.output] = 4
        if site.is_channels_last == (target == same):
            reader.channels_last.add(site.output)
        return value
    if target not in ([1, x.size], [1, x.size, 1, 1]):
        raise site.unsupported(f"the shape {target} of an image", f"{same} or [1, {x.size}], all features of an image")
    reader.ranks[site.output] = len(target)
    return flattened(site, value, x.pixels)


def flattened(site: Site, value: Value, pixels: int) -> Value:
    """All features of an image as channels of one pixel."""
    reader = site.reader
    if isinstance(value, Output):
        value = reader.values_of(value.name)
    inner = value if isinstance(value, Bits) else closing.build(reader, value)  # type: ignore[arg-type]
    stream = inner.stream.name if isinstance(inner, Bits) else inner.source.stream
    channels = reader.types[stream].channels
    made = reader.emit(site.name, Flatten(), stream)
    order = np.arange(pixels * channels).reshape(channels, pixels).T.reshape(-1)
    layout = None if site.is_channels_last else order
    found: Value
    if isinstance(inner, Bits):
        found = Bits(Output(made), np.tile(inner.turned, pixels), inner.scale, None, layout, (inner, Flatten()))
        reader.mark(site.output, found, 0.0)
    else:
        gain, add = np.tile(inner.gain, pixels), np.tile(inner.add, pixels)
        found = replace(inner, source=Source("value", made), gain=gain, add=add, order=layout)
    return found


def _target(site: Site, size: int) -> list[int]:
    """The shape that a node asks for, of one image."""
    kind, attributes = site.node.op_type, site.attributes
    if kind == "Flatten":
        axis = attributes.get("axis", 1)
        if axis % site.input_rank != 1:
            raise site.unsupported(f"axis={axis}", "axis=1")
        return [1, size]
    if kind in ("Squeeze", "Unsqueeze"):
        axes = site.constant(1).astype(int).tolist() if site.has(1) else attributes.get("axes")
        rank = site.input_rank
        if kind == "Squeeze" and image(site, site.value(0)).pixels > 1:
            raise site.unsupported("an image", "features of one pixel, [1, C, 1, 1]")
        full = rank + (len(axes) if kind == "Unsqueeze" and axes else 0)
        found = {axis % full for axis in axes} if axes is not None else set(range(2, full))
        if not found or min(found) < 2 or full > 4:
            raise site.unsupported(f"axes={axes}", "axes=[2, 3]")
        return [1, size, *[1] * ((rank - len(found) if kind == "Squeeze" else full) - 2)]
    given = site.constant(1).astype(int).tolist() if site.has(1) else list(attributes.get("shape", []))
    if attributes.get("allowzero") and 0 in given:
        raise site.unsupported(f"the shape {given} with allowzero=1", "sizes above 0")
    shape = [1 if at == 0 and number in (0, 1) else number for at, number in enumerate(given)]
    if shape and shape[0] == -1 and -1 not in shape[1:]:
        shape[0] = 1
    if shape.count(-1) == 1:
        rest = int(np.prod([number for number in shape if number != -1]))
        shape = [size // rest if number == -1 and rest else number for number in shape]
    return shape


def _reshaped(site: Site, array: np.ndarray) -> np.ndarray:
    """A constant in another shape."""
    kind = site.node.op_type
    if kind == "Flatten":
        axis = site.attributes.get("axis", 1)
        return array.reshape(int(np.prod(array.shape[:axis])), -1)
    if kind in ("Squeeze", "Unsqueeze"):
        axes = site.constant(1).astype(int).tolist() if site.has(1) else site.attributes.get("axes")
        if axes is None:
            return np.squeeze(array)
        return np.expand_dims(array, tuple(axes)) if kind == "Unsqueeze" else np.squeeze(array, tuple(axes))
    shape = site.constant(1).astype(int).tolist() if site.has(1) else list(site.attributes.get("shape", []))
    return array.reshape([array.shape[at] if number == 0 else number for at, number in enumerate(shape)])


def _passed(site: Site) -> Value:
    """What a node passes on as it is; rounded first where others read it too, so that all read the same."""
    value, tensor = site.value(0), site.tensor(0)
    if isinstance(value, Bent | Scaled | Pair) and site.reader.uses[tensor] > 1:
        return closing.expression(site, tensor, value)
    return value


def _identity(site: Site) -> Value:
    """Identity, and Dropout, which does nothing outside training."""
    if site.node.op_type == "Dropout" and site.has(2) and np.any(site.constant(2)):
        raise site.unsupported("training_mode=1", "training_mode=0")
    value = _passed(site)
    if site.tensor(0) in site.reader.marks:
        site.reader.marks[site.output] = site.reader.marks[site.tensor(0)]
    return value


def _cast(site: Site) -> Value:
    """A change of number format: of constants, and of tensors to a float."""
    value, to = _passed(site), int(site.attributes["to"])
    if isinstance(value, Constant):
        site.reader.numbers[site.output] = onnx.helper.tensor_dtype_to_np_dtype(to)
        kind = site.reader.numbers[site.output]
        rounded = value.array.astype(kind).astype(np.float64)
        return value if np.array_equal(rounded, value.array) else Constant(rounded)
    if to not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        raise site.unsupported(f"to={onnx.TensorProto.DataType.Name(to)}", "to=FLOAT")
    return value


def _transpose(site: Site) -> Value:
    """Of constants, and between the two layouts of an image."""
    value = _passed(site)
    perm = site.attributes.get("perm")
    if isinstance(value, Constant):
        return value.map(lambda array: np.transpose(array, perm))
    rank, last = site.input_rank, site.is_channels_last
    given = list(perm) if perm is not None else list(range(rank))[::-1]
    if given == list(range(rank)):
        if last:
            site.reader.channels_last.add(site.output)
        return value
    if rank != 4 or given != (NCHW if last else NHWC):
        raise site.unsupported(f"perm={given}", f"perm={NCHW if last else NHWC}")
    if not last:
        site.reader.channels_last.add(site.output)
    return value


def _answer(site: Site) -> Value:
    """A softmax, or the largest of the logits: left out, as it changes no class."""
    reader, value = site.reader, site.value(0)
    if isinstance(value, Constant):
        return evaluated(site)
    if isinstance(value, Answer):
        return Answer(value.value, value.tensor, site.node.op_type)
    axis = site.attributes.get("axis", 0 if site.node.op_type == "ArgMax" else -1)
    if image(site, value).pixels != 1 or axis not in (1, 1 - site.input_rank):
        raise site.unsupported(f"axis={axis} of a map or a class vector", "the classes of a class vector, axis=1")
    outputs = [one.name for one in reader.model.graph.output]
    if site.output not in outputs and not all(node.op_type in ANSWERS for node in _readers(site)):
        raise site.unsupported("it inside the network", "it as the last node")
    reader.say(site.output, "left out: the class is the largest logit")
    return Answer(value, site.tensor(0), site.node.op_type)


def _readers(site: Site) -> list[onnx.NodeProto]:
    return [node for node in site.reader.model.graph.node if site.output in node.input]


ANSWERS = ("Sigmoid", "Softmax", "LogSoftmax", "ArgMax", "TopK", "Identity", "Squeeze", "Flatten")
FOLDED = ("ConstantOfShape", "Expand", "Gather", "Pow", "Range", "Slice", "Sqrt")
"""Types of nodes that are read on constants only, in which exporters leave the arithmetic of shapes."""
FOLDED_WITH = ("axis", "axes", "value", "starts", "ends", "broadcast", "consumed_inputs", "stash_type")
VALUES = ("value", "value_float", "value_floats", "value_int", "value_ints")
RULES = {
    **{kind: Rule(_folded, FOLDED_WITH) for kind in FOLDED},
    "ArgMax": Rule(_answer, ("axis",), {"select_last_index": 0}, ("keepdims",)),
    "Cast": Rule(_cast, ("to",), {}, ("saturate", "round_mode")),
    "Concat": Rule(_concat, ("axis",)),
    "Constant": Rule(_constant, VALUES),
    "Dropout": Rule(_identity, (), {"is_test": 1}, ("ratio", "seed", "consumed_inputs")),
    "Flatten": Rule(_reshape, ("axis",)),
    "Identity": Rule(_identity),
    "LogSoftmax": Rule(_answer, ("axis",)),
    "Reshape": Rule(_reshape, ("shape", "allowzero"), {}, ("consumed_inputs",)),
    "Sigmoid": Rule(_answer, (), {}, ("consumed_inputs",)),
    "Shape": Rule(_shape, ("start", "end")),
    "Softmax": Rule(_answer, ("axis",)),
    "Squeeze": Rule(_reshape, ("axes",)),
    "TopK": Rule(_answer, ("axis",), {"largest": 1}, ("k", "sorted")),
    "Transpose": Rule(_transpose, ("perm",)),
    "Unsqueeze": Rule(_reshape, ("axes",)),
}
