"""Convolutions, dense layers, pools, and what changes the size of an image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx

from bireal_hw.errors import BirealError
from bireal_hw.ir.op import Pads
from bireal_hw.ir.types import PIXEL, TensorType, ranged
from bireal_hw.lowering import closing
from bireal_hw.lowering.closing import integers
from bireal_hw.lowering.grid import LARGEST_WEIGHT, NEAR, NOISE, Floats, exponent, weight_integers
from bireal_hw.lowering.reader import Rule, Site
from bireal_hw.lowering.reference import CHANNELS_LAST
from bireal_hw.lowering.values import Bits, Constant, Expression, Output, Padded, Source, Value
from bireal_hw.ops import BinaryConv, MaxPool, Rescale, Sign, Upsample

WEIGHTS = "weights rounded to 8 bits"
"""How the journal tells of weights that were moved."""
REAL_INPUT = 16
"""Bits of the numbers that a real-valued layer reads."""
ONE_MAGNITUDE = 2.0**-12
"""Binary weights without a quantizer may differ by so much, in proportion; rounded to 8 bits they would by more."""


# ---- layers with weights


def _conv(site: Site) -> Value:
    """Binary or real convolution; the sums stay an expression until they are rounded."""
    check_layout(site)
    padded = site.value(0)
    if isinstance(padded, Padded):
        return _convolved(_padding_itself(site, padded), padded.value)
    return _convolved(site, 0.0)


def _convolved(site: Site, around: float) -> Value:
    """A convolution whose padding is this number."""
    weights = _weights(site)
    if weights.array.ndim != 4:
        raise site.unsupported(f"weights of {weights.array.ndim - 2} dimensions", "2, an image")
    if site.node.domain == CHANNELS_LAST:
        weights = weights.map(lambda array: array.transpose(0, 3, 1, 2))
    group = site.attributes.get("group", 1)
    kernel = weights.array.shape[2:]
    if site.attributes.get("kernel_shape", list(kernel)) != list(kernel):
        raise site.unsupported(
            f"kernel_shape={site.attributes['kernel_shape']} beside weights of {list(kernel)}", "the same twice"
        )
    strides = site.attributes.get("strides", [1, 1])
    if any(step != 1 for step in site.attributes.get("dilations", [1, 1])) and max(kernel) > 1:
        raise site.unsupported(f"dilations={site.attributes['dilations']}", "dilations=[1, 1]")
    if kernel[0] != kernel[1] or len(set(strides)) != 1:
        raise site.unsupported(f"kernel={list(kernel)} strides={strides}", "square kernels and equal strides")
    read = site.value(0)
    x = image(site, read)
    pads = _pads(site, (x.height, x.width), kernel, strides)
    if weights.array.shape[1] * group != x.channels:
        raise site.unsupported(
            f"weights for {weights.array.shape[1]} channels in {group} groups on {x.channels}", "the same number"
        )
    bias = _bias(site, len(weights.array))
    return _products(site, weights, bias, strides[0], pads, group, around)


def _padding_itself(site: Site, padded: Padded) -> Site:
    """A convolution that reads a tensor with a border, as one that pads the tensor itself."""
    auto = site.attributes.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID"):
        raise site.unsupported(f"auto_pad={auto} behind {padded.describe()}", "auto_pad=NOTSET, VALID")
    own = site.attributes.get("pads", [0, 0, 0, 0]) if auto == "NOTSET" else [0, 0, 0, 0]
    if padded.value and any(own):
        raise site.unsupported(f"pads={own} behind {padded.describe()}", "pads=[0, 0, 0, 0]")
    node = onnx.NodeProto.FromString(site.node.SerializeToString())
    del node.attribute[:]
    node.attribute.extend(one for one in site.node.attribute if one.name not in ("auto_pad", "pads"))
    pads = [one + other for one, other in zip(own, padded.pads, strict=True)]
    node.attribute.append(onnx.helper.make_attribute("pads", pads))
    node.input[0] = padded.tensor
    return Site(site.reader, node)


def _pad(site: Site) -> Value:
    """Zeros around an image, for a convolution; or the number of a bit around bits, for a binary one."""
    attributes = site.attributes
    mode = attributes.get("mode", "constant")
    filling = site.constant(2).ravel().tolist() if site.has(2) else [attributes.get("value", 0.0)]
    around = float(filling[0]) if filling else 0.0
    if mode != "constant":
        raise site.unsupported(f"mode={mode} with {around:g}", "mode=constant with 0")
    given = (
        site.constant(1).astype(int).tolist() if site.has(1) else attributes.get("pads", attributes.get("paddings", []))
    )
    rank = site.input_rank
    axes = site.constant(3).astype(int).tolist() if site.has(3) else list(range(rank))
    ends = {axis % rank: (given[at], given[at + len(axes)]) for at, axis in enumerate(axes)}
    sides = (1, 2) if site.is_channels_last else (2, 3)
    if not any(any(pair) for pair in ends.values()):
        return site.value(0)
    rows, columns = (ends.get(side, (0, 0)) for side in sides)
    if rank != 4 or min(*rows, *columns) < 0 or any(any(ends[axis]) for axis in ends if axis not in sides):
        raise site.unsupported(f"pads={given}", "numbers from 0 on for height and width")
    value = site.value(0)
    image(site, value)
    bit = abs(value.scale) if isinstance(value, Bits) else 0.0
    if np.float32(abs(around)) not in (0, np.float32(bit)):
        wanted = f"0, -{bit:g} or {bit:g}, which the bits are" if bit else "0; of bits also with -1 or +1"
        raise site.unsupported(f"mode=constant with {around:g}", f"mode=constant with {wanted}")
    return Padded(site.tensor(0), (rows[0], columns[0], rows[1], columns[1]), around)


def _products(
    site: Site, weights: Constant, bias: Floats, stride: int, pads: Pads, group: int = 1, around: float = 0.0
) -> Value:
    """The sums of products of weights (Cout, Cin, k, k) and an input: bits with bits, or numbers with 8-bit weights."""
    read, weights = site.value(0), _of_one_magnitude(site, weights, group)
    if weights.binary and isinstance(read, Bits):
        if group != 1:
            raise site.unsupported(
                f"a binary convolution in {group} groups, for which bits have no 0",
                "group=1, or real-valued weights of 8 bits (Int8WeightPerTensorFloat) in groups",
            )
        return _binary(site, read, weights, bias, stride, pads, around)
    if around and any(pads):
        raise site.unsupported(f"{around:g} around what weights of 8 bits read", "0 there, or binary weights")
    if group != 1:
        weights = _ungrouped(weights, group)
    return _real(site, weights, bias, stride, pads)


def _of_one_magnitude(site: Site, weights: Constant, group: int) -> Constant:
    """Weights that are plus or minus one number in each output channel are binary, whoever has made them so.

    Where a file adds and takes away the same number, as straight-through estimators do, that is so but for what float32
    has rounded.
    """
    if weights.integers is not None or not weights.array.size:
        return weights
    sizes = np.abs(weights.array.reshape(len(weights.array), -1))
    size = np.median(sizes, axis=1)
    if not size.all() or np.any(np.abs(sizes - size[:, None]) > ONE_MAGNITUDE * size[:, None]):
        return weights
    scale = np.broadcast_to(size.reshape(-1, *[1] * (weights.array.ndim - 1)), weights.array.shape)
    signs = np.sign(weights.array).astype(np.int64)
    moved = float(np.abs(sizes - size[:, None]).sum(1).max())
    if moved:
        site.reader.say(site.output, "binary weights, of one magnitude in each output channel", moved)
    return Constant(weights.array, signs, scale, binary=group == 1, moved=moved)


def _binary(
    site: Site, bits: Bits, weights: Constant, bias: Floats, stride: int, pads: Pads, around: float
) -> Expression:
    assert weights.integers is not None
    signs = weights.integers.transpose(0, 2, 3, 1).astype(np.int8)
    if bits.order is not None:
        signs = signs[..., bits.order]
    signs[..., bits.turned] *= -1
    border = None
    if around and any(pads):
        border = np.where(bits.turned ^ (around * bits.scale < 0), -1, 1).astype(np.int8)
    made = site.reader.emit(site.name, BinaryConv(signs, stride, pads, border), bits.stream.name)
    gain = _magnitude(site, weights) * bits.scale
    found = Expression(Source("dot", made), gain, bias, slack=weights.moved * bits.scale)
    whole = all(exponent(float(one)) is not None for one in gain) and not np.any(bias / gain % 1)
    site.reader.mark(site.output, found, found.slack + (0.0 if whole else NOISE * float(np.abs(gain).max())))
    return found


def _magnitude(site: Site, weights: Constant) -> Floats:
    """The magnitude of binary weights, one number per output channel."""
    assert weights.scale is not None
    every = weights.scale.reshape(len(weights.array), -1)
    if np.any(every != every[:, :1]):
        raise site.unsupported("magnitudes that differ inside an output channel", "one per output channel")
    return every[:, 0]


def _real(site: Site, weights: Constant, bias: Floats, stride: int, pads: Pads) -> Expression:
    """Integers times one step per output channel, of an input with one gain for all channels."""
    inner = _uniform(site, any(pads))
    whole, step, away = _eight_bits(site, weights)
    x = site.reader.types[inner.source.stream]
    most = max(abs(x.low), abs(x.high)) * abs(float(inner.gain[0])) + float(np.abs(inner.add).max())
    slack = away * most + float(np.abs(weights.array).reshape(len(weights.array), -1).sum(1).max()) * inner.slack
    whole = whole.transpose(0, 2, 3, 1)
    if inner.order is not None:
        whole = whole[..., inner.order]
    # A constant in every tap: what is left of a pixel's zero, where it is no whole number, or of an affine.
    bias = bias + (whole.sum(axis=(1, 2)) @ inner.add) * step
    source = Source("real", inner.source.stream, site.name, whole.astype(np.int32), stride, pads)
    if any(pads) and inner.add.any():
        border = float(((np.abs(whole).sum(axis=(1, 2)) @ np.abs(inner.add)) * step).max())
        site.reader.say(site.output, "the border is padded with the nearest whole pixel", border)
        slack += border
    return Expression(source, step * inner.gain[0], bias, slack=slack)


def _uniform(site: Site, padded: bool) -> Expression:
    """The input as a stream with one gain, narrow enough for the multipliers; rounded to such a one if it is none."""
    reader, tensor = site.reader, site.tensor(0)
    inner = integers(site, 0)
    x = reader.types[inner.source.stream]
    same = bool(np.all(inner.gain == inner.gain[0])) and inner.gain[0] != 0
    if padded and same and inner.add.any():
        finer = _with_its_zero(site, inner)
        if finer is not None:
            return finer
    # Of a pixel, or of what was rounded to 16 bits, half a step at the border is told; of a few numbers it is too much.
    small = not inner.add.any() or (
        x.dtype.width >= PIXEL.width and bool(np.all(np.abs(inner.add) <= np.abs(inner.gain) * (0.5 + NOISE)))
    )
    if same and x.dtype.width <= REAL_INPUT and (not padded or small):
        return inner
    if not reader.pixels_known and reader.values.get(reader.input_name) is site.value(0):
        closing.know_pixels(reader, inner, None)
    return closing.settle(reader, tensor, inner, site.output)


def _with_its_zero(site: Site, inner: Expression) -> Expression | None:
    """The same numbers in steps of which 0 is a whole one, as a padded layer wants it; None where that is too fine."""
    reader, x = site.reader, site.reader.types[inner.source.stream]
    unsure = NEAR * max(abs(x.low), abs(x.high)) * np.abs(inner.gain)  # the file's constants have 24 bits
    for more in range(REAL_INPUT + 1 - x.dtype.width):
        zero = np.round(inner.add / inner.gain * 2.0**more)
        rest = np.abs(inner.add - zero * inner.gain / 2.0**more)
        if np.all(rest <= unsure):
            break
    else:
        return None
    factor = 1 << more
    ends = [factor * end + int(at) for end in (x.low, x.high) for at in (zero.min(), zero.max())]
    dtype = ranged(min(ends), max(ends), 0)
    if dtype.width > REAL_INPUT:
        return None
    op = Rescale(np.full(x.channels, factor), zero.astype(np.int64), 0, dtype)
    name = reader.emit(f"{site.name}_zero", op, inner.source.stream)
    gain, slack = inner.gain / factor, inner.slack + float(rest.max())
    return replace(inner, source=Source("value", name), gain=gain, add=np.zeros(x.channels), slack=slack)


def _eight_bits(site: Site, weights: Constant) -> tuple[np.ndarray, Floats, float]:
    """Weights as integers of 8 bits with one step per output channel; others are rounded to such.

    Returns:
        The integers, the steps, and the largest sum over the weights of an output channel of what they were moved.
    """
    if weights.integers is not None and weights.scale is not None and np.abs(weights.integers).max() <= LARGEST_WEIGHT:
        steps = weights.scale.reshape(len(weights.array), -1)
        if np.all(steps == steps[:, :1]):
            return weights.integers, steps[:, 0], weights.moved
    whole, step = weight_integers(weights.array)
    shape = (-1, *[1] * (whole.ndim - 1))
    moved = np.abs(weights.array - whole * step.reshape(shape))
    if moved.any():
        site.reader.say(site.output, f"{WEIGHTS}, one step per output channel", float(moved.max()))
    return whole, step, float(moved.reshape(len(moved), -1).sum(1).max())


def _ungrouped(weights: Constant, group: int) -> Constant:
    """Weights of a convolution in groups as those of one over all channels, 0 outside the groups."""
    out, inside = weights.array.shape[:2]

    def spread(array: np.ndarray) -> np.ndarray:
        whole = np.zeros((out, inside * group, *array.shape[2:]), array.dtype)
        for channel in range(out):
            first = channel // (out // group) * inside
            whole[channel, first : first + inside] = array[channel]
        return whole

    def widened(scale: np.ndarray) -> np.ndarray:
        return np.broadcast_to(scale.reshape(out, -1)[:, :1].reshape(out, 1, 1, 1), spread(scale).shape)

    if weights.integers is None or weights.scale is None:
        return Constant(spread(weights.array))
    steps = weights.scale.reshape(out, -1)
    if np.any(steps != steps[:, :1]):
        return Constant(spread(weights.array))
    return Constant(spread(weights.array), spread(weights.integers), widened(weights.scale), moved=weights.moved)


def _gemm(site: Site) -> Value:
    """A dense layer: a 1x1 convolution on an image of one pixel."""
    if site.attributes.get("transA", 0):
        raise site.unsupported("transA=1", "transA=0")
    weights, factor = _weights(site), site.attributes.get("alpha", 1.0)
    if weights.array.ndim == 2 and not site.attributes.get("transB", 0):
        weights = weights.map(np.transpose)
    bias = site.constant(2) * site.attributes.get("beta", 1.0) if site.has(2) else None
    return _dense(site, weights if factor == 1 else _times(weights, factor), bias)


def _matmul(site: Site) -> Value:
    """A dense layer without a bias."""
    return _dense(site, _weights(site).map(np.transpose), None)


def _dense(site: Site, weights: Constant, bias: Floats | None) -> Value:
    if weights.array.ndim != 2 or site.input_rank != 2:
        shapes = f"weights of shape {list(weights.array.shape)} on a tensor of {site.input_rank} axes"
        raise site.unsupported(shapes, "a matrix on (batch, features)")
    x = image(site, site.value(0))
    if x.pixels != 1:
        raise site.unsupported(f"an input of {x.height}x{x.width} pixels", "1x1, behind a global pool or a Flatten")
    count = len(weights.array)
    if weights.array.shape[1] != x.channels:
        raise site.unsupported(f"weights for {weights.array.shape[1]} features on {x.channels}", "the same number")
    if bias is not None and ((bias.shape or (1,))[-1] != bias.size or bias.size not in (1, count)):
        raise site.unsupported(f"a bias of shape {list(bias.shape)}", f"1 or {count} numbers in a row")
    added = np.zeros(count) if bias is None else np.broadcast_to(bias.ravel(), (count,)).astype(np.float64)
    found = _products(site, weights.map(lambda array: array[:, :, None, None]), added, 1, (0, 0, 0, 0))
    site.reader.ranks[site.output] = 2
    return found


def _weights(site: Site) -> Constant:
    value = site.value(1)
    if not isinstance(value, Constant):
        raise site.unsupported(f"weights that are {value.describe()}", "constants")
    return value


def _times(weights: Constant, factor: float) -> Constant:
    scale = None if weights.scale is None else weights.scale * factor
    return Constant(weights.array * factor, weights.integers, scale, weights.binary, weights.moved * abs(factor))


def _bias(site: Site, count: int) -> Floats:
    if not site.has(2):
        return np.zeros(count)
    bias = site.constant(2)
    if bias.shape != (count,):
        raise site.unsupported(f"a bias of shape {list(bias.shape)}", f"[{count}]")
    return bias


def _pads(site: Site, size: tuple[int, int], kernel: tuple[int, ...], strides: list[int]) -> Pads:
    """Padding (top, left, bottom, right), also where the node leaves it to a rule."""
    auto = site.attributes.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = site.attributes.get("pads", [0, 0, 0, 0]) if auto == "NOTSET" else [0, 0, 0, 0]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        need = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, strides, strict=True)]
        small, large = [n // 2 for n in need], [n - n // 2 for n in need]
        pads = [*small, *large] if auto == "SAME_UPPER" else [*large, *small]
    else:
        raise site.unsupported(f"auto_pad={auto}", "NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if len(pads) != 4 or min(pads) < 0:
        raise site.unsupported(f"pads={pads}", "four numbers from 0 on")
    return pads[0], pads[1], pads[2], pads[3]


# ---- pools


def _maxpool(site: Site) -> Value:
    """The largest value of a window, which a rising function of each channel does not change."""
    check_layout(site)
    attributes = site.attributes
    kernel = attributes.get("kernel_shape", [])
    strides, value = attributes.get("strides", [1, 1]), site.value(0)
    if len(kernel) != 2:
        raise site.unsupported(f"kernel_shape={kernel}", "two numbers")
    x = image(site, value)
    pads = _pads(site, (x.height, x.width), tuple(kernel), strides)
    ends = zip((x.height, x.width), pads[:2], pads[2:], kernel, strides, strict=True)
    rest = [(size + before + behind - taps) % step for size, before, behind, taps, step in ends]
    more = [attributes.get("ceil_mode", 0) * (-left % step) for left, step in zip(rest, strides, strict=True)]
    sides = (pads[0], pads[1], pads[2] + more[0], pads[3] + more[1])
    pool = MaxPool((kernel[0], kernel[1]), (strides[0], strides[1]), sides)
    try:
        pool.infer(x)
    except BirealError as error:
        added = " with those of ceil_mode" if any(more) else ""
        raise site.unsupported(
            f"kernel_shape={kernel} strides={strides} pads={list(sides)}{added}",
            "strides of the kernel's size or one less on both sides, and pads less than the stride",
        ) from error
    return _largest(site, pool)


def _globalmaxpool(site: Site) -> Value:
    check_layout(site)
    x = image(site, site.value(0))
    whole = (x.height, x.width)
    return _largest(site, MaxPool.tiled(*whole))


def _largest(site: Site, op: MaxPool) -> Value:
    value, reader = site.value(0), site.reader
    if isinstance(value, Bits) and not value.turned.any() and value.scale > 0:
        found = Bits(
            Output(reader.emit(site.name, op, value.stream.name)),
            value.turned,
            value.scale,
            order=value.order,
            before=(value, op),
        )
        reader.mark(site.output, found, 0.0)
        return found
    if isinstance(value, Bits):
        inner = closing.numbers(site, value)
        pooled = reader.emit(site.name, op, inner.source.stream)
        if inner.gain[0] < 0:
            raise site.unsupported(f"bits with a scale of {value.scale}", "scales above 0")
        bits = reader.emit(f"{site.name}_sign", Sign(), pooled)
        channels = np.zeros(len(value.turned), np.int32)
        found = Bits(Output(bits), channels.astype(np.bool_), value.scale, (pooled, channels), value.order)
        reader.mark(site.output, found, 0.0)
        return found
    if isinstance(value, Output):
        made = Output(reader.emit(site.name, op, value.name))
        reader.mark(site.output, made, 0.0)
        return made
    inner = integers(site, 0)
    image_only(site, inner)
    if np.any(inner.gain < 0):
        inner = closing.settle(reader, site.tensor(0), inner, site.output)
    pooled = reader.emit(site.name, op, inner.source.stream)
    return replace(inner, source=Source("value", pooled))


def _averagepool(site: Site) -> Value:
    check_layout(site)
    attributes = site.attributes
    kernel, strides = attributes.get("kernel_shape", []), attributes.get("strides", [1, 1])
    x = image(site, site.value(0))
    pads = _pads(site, (x.height, x.width), tuple(kernel), strides)
    if strides != kernel or any(pads):
        raise site.unsupported(f"kernel={kernel} strides={strides} pads={list(pads)}", "stride = kernel, no pads")
    if x.height % kernel[0] or x.width % kernel[1]:
        raise site.unsupported(f"a window of {kernel} on {x.height}x{x.width} pixels", "windows that tile the image")
    return _window_sum(site, (kernel[0], kernel[1]), 1.0 / (kernel[0] * kernel[1]))


def _globalaveragepool(site: Site) -> Value:
    check_layout(site)
    x = image(site, site.value(0))
    return _window_sum(site, (x.height, x.width), 1.0 / x.pixels)


def _reduce(site: Site) -> Value:
    """A sum, a mean or the largest value over height and width."""
    axes = site.constant(1).astype(int).tolist() if site.has(1) else site.attributes.get("axes")
    x = image(site, site.value(0))
    sides = [1, 2] if site.is_channels_last else [2, 3]
    if axes is None or sorted(axis % 4 for axis in axes) != sides or site.input_rank != 4:
        raise site.unsupported(f"axes={axes}", f"axes={sides}")
    if not site.attributes.get("keepdims", 1):
        site.reader.ranks[site.output] = 2
    whole = (x.height, x.width)
    if site.node.op_type == "ReduceMax":
        return _largest(site, MaxPool.tiled(*whole))
    return _window_sum(site, whole, 1.0 / x.pixels if site.node.op_type == "ReduceMean" else 1.0)


def _window_sum(site: Site, kernel: tuple[int, int], factor: float) -> Expression:
    inner = integers(site, 0)
    source = Source("sum", inner.source.stream, site.name, kernel=kernel)
    image_only(site, inner)
    whole = factor * kernel[0] * kernel[1]
    return replace(
        inner,
        source=source,
        gain=inner.gain * factor,
        add=inner.add * whole,
        slack=inner.slack * whole,
        cancelled=inner.cancelled * whole,
    )


# ---- sizes


def _resize(site: Site) -> Value:
    """Nearest neighbour, by one whole factor along both sides."""
    attributes = site.attributes
    check_layout(site)
    x = image(site, site.value(0))
    mode = attributes.get("mode", "nearest")
    if mode != "nearest":
        raise site.unsupported(f"mode={mode}", "mode=nearest")
    if site.node.op_type == "Resize":
        _check_nearest(site)
    if site.has(3):
        _, *sizes = site.constant(3).ravel().tolist()
        scales = [1.0, *(size / have for size, have in zip(sizes, (x.channels, x.height, x.width), strict=False))]
    elif "scales" in attributes:
        scales = list(attributes["scales"])
    else:
        scales = site.constant(min(site.count - 1, 2)).ravel().tolist()
    factor = scales[-1] if scales else 0.0
    if scales != [1.0, 1.0, factor, factor] or factor != int(factor) or factor < 1:
        raise site.unsupported(f"scales={scales}", "1, 1 and twice the same whole number")
    value = site.value(0)
    if factor == 1:
        return value
    if isinstance(value, Output):
        made = Output(site.reader.emit(site.name, Upsample(int(factor)), value.name))
        site.reader.mark(site.output, made, 0.0)
        return made
    inner = integers(site, 0)
    image_only(site, inner)
    name = site.reader.emit(site.name, Upsample(int(factor)), inner.source.stream)
    return replace(inner, source=Source("value", name))


NEAREST = (
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
)
"""Coordinates and rounding of a Resize that repeat each pixel: (i + 1/2) / factor - 1/2 is never half way from two."""


def _check_nearest(site: Site) -> None:
    """Refuse a choice of pixels that is not i // factor; with a whole factor the pairs of NEAREST are."""
    where = site.attributes.get("coordinate_transformation_mode", "half_pixel")
    choice = site.attributes.get("nearest_mode", "round_prefer_floor")
    if (where, choice) not in NEAREST:
        found = f"coordinate_transformation_mode={where}, nearest_mode={choice}"
        raise site.unsupported(found, " or ".join(f"{a} with {b}" for a, b in NEAREST))


def image_only(site: Site, value: Expression) -> None:
    """Refuse features that a Flatten has put into another order where an image is wanted."""
    if value.order is not None:
        raise site.unsupported("features behind a Flatten", "an image")


def image(site: Site, value: Value) -> TensorType:
    """Size of a value; refuses one that is no image."""
    reader = site.reader
    match value:
        case Output():
            return reader.types[value.name]
        case Bits():
            return reader.types[value.stream.name]
        case Expression():
            return sized(site, value)
        case _ if isinstance(value, Constant):
            raise site.unsupported(value.describe(), "an image or what layers make of it")
        case _:
            return sized(site, closing.expression(site, site.tensor(0), value))


def sized(site: Site, value: Expression) -> TensorType:
    """Size of an expression: that of the stream, or of what a pending layer will give."""
    x, source = site.reader.types[value.source.stream], value.source
    if source.kind == "sum" and source.kernel:
        size = (x.height // source.kernel[0], x.width // source.kernel[1])
        return TensorType(*size, value.channels, x.dtype, x.low, x.high)
    if source.kind == "real":
        assert source.weights is not None
        top, left, bottom, right = source.pads
        kernel = source.weights.shape[1]
        rows = (x.height + top + bottom - kernel) // source.stride + 1
        columns = (x.width + left + right - kernel) // source.stride + 1
        return TensorType(rows, columns, value.channels, x.dtype, x.low, x.high)
    return x


def check_layout(site: Site) -> None:
    """Refuse a node whose tensors are not laid out as its domain says."""
    if (site.node.domain == CHANNELS_LAST) != site.is_channels_last:
        have = "(N, H, W, C)" if site.is_channels_last else "(N, C, H, W)"
        raise site.unsupported(f"an input laid out as {have} in the domain '{site.node.domain}'", "the other one")


SIZES = ("kernel_shape", "strides", "pads", "auto_pad")
RULES = {
    "AveragePool": Rule(_averagepool, SIZES, {"dilations": [1, 1]}, ("count_include_pad", "ceil_mode")),
    "Conv": Rule(_conv, (*SIZES, "group", "dilations")),
    "Gemm": Rule(_gemm, ("alpha", "beta", "transA", "transB"), {}, ("broadcast",)),
    "GlobalAveragePool": Rule(_globalaveragepool),
    "GlobalMaxPool": Rule(_globalmaxpool),
    "MatMul": Rule(_matmul),
    "MaxPool": Rule(_maxpool, (*SIZES, "ceil_mode"), {"dilations": [1, 1], "storage_order": 0}),
    "ReduceMax": Rule(_reduce, ("axes", "keepdims"), {}, ("noop_with_empty_axes",)),
    "ReduceMean": Rule(_reduce, ("axes", "keepdims"), {}, ("noop_with_empty_axes",)),
    "ReduceSum": Rule(_reduce, ("axes", "keepdims"), {}, ("noop_with_empty_axes",)),
    "Resize": Rule(
        _resize,
        ("mode", "coordinate_transformation_mode", "nearest_mode", "scales"),
        {"antialias": 0, "exclude_outside": 0, "axes": None, "keep_aspect_ratio_policy": "stretch"},
        ("cubic_coeff_a", "extrapolation_value"),
    ),
    "Pad": Rule(_pad, ("mode", "pads", "paddings", "value")),
    "Upsample": Rule(_resize, ("mode", "scales"), {"height_scale": None, "width_scale": None}),
}
