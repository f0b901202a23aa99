"""Arithmetic between layers: constants per channel, BatchNorm, sums, and functions of two pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bireal_hw.lowering import closing
from bireal_hw.lowering.closing import expression
from bireal_hw.lowering.grid import Floats, exponent
from bireal_hw.lowering.reader import Rule, Site
from bireal_hw.lowering.rules.layers import sized
from bireal_hw.lowering.rules.shapes import evaluated
from bireal_hw.lowering.values import (
    Bent,
    Bits,
    Clipped,
    Constant,
    Expression,
    Output,
    Pair,
    Scaled,
    Source,
    Total,
    Value,
)


def _add(site: Site) -> Value:
    """A constant joins the expression; two tensors are a shortcut and what is added to it, or a leaky clip."""
    a, b = (site.reader.as_stream(site.value(at)) for at in (0, 1))
    if isinstance(a, Constant) and isinstance(b, Constant):
        return evaluated(site)
    for at, (value, other) in enumerate(((a, b), (b, a))):
        if isinstance(other, Constant):
            if isinstance(value, Total) and value.slope is not None:
                return _round_total(site, at, value, other)
            return _plus(site, at, other.array, 1.0)
    for stream, branch in ((a, b), (b, a)):
        if isinstance(branch, Expression) and branch.affine is not None:
            if isinstance(stream, Output) and branch.source.kind == "dot":
                return Total(stream, branch)
            if isinstance(stream, Clipped) and branch.source.kind == "excess":
                return closing.close_leaky_clip(site.reader, site, stream, branch)
    return _pair(site, 1.0)


def _sub(site: Site) -> Value:
    """A constant, or another tensor, taken away."""
    a, b = site.value(0), site.value(1)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return evaluated(site)
    if isinstance(a, Output) and isinstance(b, Clipped) and b.stream == a:
        return site.reader.values_of(a.name, Source("excess", a.name, site.name, limit=b.limit))
    if isinstance(b, Constant):
        return _plus(site, 0, b.array, -1.0)
    if isinstance(a, Constant):
        inner = _operand(site, 1)
        return inner.times(-np.ones(inner.channels)).plus(site.per_channel(a.array, inner))
    return _pair(site, -1.0)


def _plus(site: Site, at: int, constant: Floats, factor: float) -> Value:
    """A value plus factor times a constant."""
    value = site.value(at)
    if isinstance(value, Pair) and site.reader.uses[site.tensor(at)] == 1:
        return Pair(value.a.plus(factor * site.per_channel(constant, value.a)), value.b)
    inner = _operand(site, at)
    return inner.plus(factor * site.per_channel(constant, inner))


def _pair(site: Site, factor: float) -> Value:
    """The sum of two tensors of one size."""
    ranks = [site.reader.ranks.get(site.tensor(at), 4) for at in (0, 1)]
    last = [site.tensor(at) in site.reader.channels_last for at in (0, 1)]
    if ranks[0] != ranks[1] or last[0] != last[1]:
        raise site.unsupported("tensors laid out in two ways", "two of the same axes")
    operands = [_function(site, at) for at in (0, 1)]
    sizes = [sized(site, one).shape for one in operands]
    if sizes[0] != sizes[1]:
        found = " and ".join("x".join(map(str, size)) for size in sizes)
        raise site.unsupported(f"tensors of {found}", "two of the same size")
    a, b = operands
    if (a.order is None) != (b.order is None) or (a.order is not None and np.any(a.order != b.order)):
        raise site.unsupported("features in two orders", "both behind the same Flatten")
    return Pair(a, b if factor == 1 else b.times(np.full(b.channels, factor)))


def _operand(site: Site, at: int) -> Expression | Scaled:
    """An input as a function of one stream that arithmetic may go on with, unrounded where nothing else reads it."""
    found = site.reader.unrounded(site.tensor(at), site.value(at))
    return _function(site, at) if found is None else found


def _function(site: Site, at: int) -> Expression:
    """An input as a function of one stream, rounded where it is none."""
    return expression(site, site.tensor(at), site.value(at))


def _mul(site: Site) -> Value:
    a, b = site.value(0), site.value(1)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return _scaled_weights(site, a, b) or evaluated(site)
    for at, (value, other) in enumerate(((a, b), (b, a))):
        if isinstance(other, Constant):
            return _times(site, at, value, other.array)
    raise site.unsupported(f"{a.describe()} * {b.describe()}", "a tensor * a constant")


def _div(site: Site) -> Value:
    a, b = site.value(0), site.value(1)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return _scaled_weights(site, a, Constant(1 / b.array)) or evaluated(site)
    if not isinstance(b, Constant):
        raise site.unsupported(f"{a.describe()} / {b.describe()}", "a tensor / a constant")
    if np.any(b.array == 0):
        raise site.unsupported("a division by 0", "other numbers")
    return _times(site, 0, a, 1 / b.array)


def _neg(site: Site) -> Value:
    if isinstance(site.value(0), Constant):
        return evaluated(site)
    return _times(site, 0, site.value(0), np.array(-1.0))


def _times(site: Site, at: int, value: Value, constant: Floats) -> Value:
    if isinstance(value, Bits):
        factors = site.per_channel(constant, value)
        if factors[0] and np.all(np.abs(factors) == abs(factors[0])):
            return replace(value, scale=value.scale * abs(float(factors[0])), turned=value.turned ^ (factors < 0))
    if isinstance(value, Pair) and site.reader.uses[site.tensor(at)] == 1:
        return value.times(site.per_channel(constant, value.a))
    inner = _operand(site, at)
    return inner.times(site.per_channel(constant, inner))


def _scaled_weights(site: Site, a: Constant, b: Constant) -> Constant | None:
    """Quantised weights times a constant keep their integers."""
    for value, other in ((a, b), (b, a)):
        if value.integers is not None and value.scale is not None and other.integers is None:
            factor = np.broadcast_to(other.array, np.broadcast_shapes(other.array.shape, value.array.shape))
            if factor.shape == value.array.shape and np.all(factor != 0):
                sign = np.sign(factor).astype(np.int64)
                return Constant(value.array * factor, value.integers * sign, value.scale * np.abs(factor), value.binary)
    return None


def _batchnorm(site: Site) -> Value:
    """(x - mean) * gain / sqrt(variance + epsilon) + bias, per channel."""
    value = site.value(0)
    pair = isinstance(value, Pair) and site.reader.uses[site.tensor(0)] == 1
    inner = value.a if isinstance(value, Pair) and pair else _operand(site, 0)
    constants = [site.constant(i) for i in (1, 2, 3, 4)]
    if any(constant.shape != (inner.channels,) for constant in constants):
        shapes = ", ".join(str(list(constant.shape)) for constant in constants)
        raise site.unsupported(f"constants of shapes {shapes}", f"[{inner.channels}] each")
    ordered = [constant if inner.order is None else constant[inner.order] for constant in constants]
    gain, bias, mean, variance = ordered
    deviation = np.sqrt(variance + float(site.attributes.get("epsilon", 1e-5)))
    if not np.all(deviation > 0):
        raise site.unsupported(f"a variance of {variance.min()}", "positive ones")
    if isinstance(value, Pair) and pair:
        scaled = value.times(gain / deviation)
        return Pair(scaled.a.plus(bias - mean * gain / deviation), scaled.b)
    return inner.plus(-mean).times(gain / deviation).plus(bias)


# ---- functions of two pieces


def _clip(site: Site) -> Value:
    """Limits: of a leaky clip where they are symmetric and on the grid of a stream, else of any value."""
    bounds = [site.attributes.get(name) for name in ("min", "max")]  # as before version 11
    for i in (1, 2):
        if site.has(i):
            bounds[i - 1] = float(site.constant(i).ravel()[0])
    low, high = (-np.inf if bounds[0] is None else bounds[0]), (np.inf if bounds[1] is None else bounds[1])
    if low > high:
        raise site.unsupported(f"bounds {low} and {high}", "the lower one first")
    value = site.value(0)
    if isinstance(value, Constant):
        return Constant(np.clip(value.array, low, high))
    if isinstance(value, Output) and -low == high < np.inf:
        limit = high * 2.0 ** site.reader.types[value.name].dtype.frac
        if limit == round(limit) and limit >= 0:
            return Clipped(value, round(limit))
    return _limited(site, float(low), float(high))


def _relu(site: Site) -> Value:
    return _limited(site, 0.0, np.inf)


def _limited(site: Site, low: float, high: float, at: int = 0) -> Value:
    """A value between two limits."""
    value = site.value(at)
    if isinstance(value, Bent) and site.reader.uses[site.tensor(at)] == 1:
        ends = [float(np.clip(end, low, high)) for end in (value.low, value.high)]
        return replace(value, low=ends[0], high=ends[1])
    return Bent(_function(site, at), None, low, high)


def _extreme(site: Site) -> Value:
    """Max or Min of a tensor and a number, which is a limit."""
    values = [site.value(at) for at in range(site.count)]
    if all(isinstance(value, Constant) for value in values):
        return evaluated(site)
    for at in (0, 1) if len(values) == 2 else ():
        other = values[1 - at]
        if isinstance(other, Constant) and other.array.size == 1:
            bound = float(other.array.ravel()[0])
            return _limited(site, *((bound, np.inf) if site.node.op_type == "Max" else (-np.inf, bound)), at)
    raise site.unsupported(" beside ".join(value.describe() for value in values), "a tensor beside a number")


def _sum(site: Site) -> Value:
    """Sum of two, which is Add."""
    if site.count == 1:
        return site.value(0)
    if site.count != 2:
        raise site.unsupported(f"{site.count} inputs", "2: an Add for each further one")
    return _add(site)


def _prelu(site: Site) -> Value:
    """Slopes where a value is below 0; on the sum of a merge the hardware has those that are powers of two."""
    value, slope = site.value(0), site.constant(1)
    if isinstance(value, Total) and value.slope is None and site.reader.uses[site.tensor(0)] == 1:
        slopes = site.per_channel(slope, value.branch)
        steps = [exponent(float(one)) for one in slopes]
        if all(step is not None and -7 <= step <= 0 for step in steps) and _rounds_next(site):
            return replace(value, slope=-np.array(steps, np.int32))
    inner = _function(site, 0)
    return Bent(inner, site.per_channel(slope, inner))


def _rounds_next(site: Site) -> bool:
    """Whether what reads a PReLU is the half that a quantizer rounds with."""
    readers = [node for node in site.reader.model.graph.node if site.output in node.input]
    return len(readers) == 1 and readers[0].op_type == "Add"


def _leakyrelu(site: Site) -> Value:
    if not site.attributes.get("alpha", 0.01):
        return _limited(site, 0.0, np.inf)
    inner = _function(site, 0)
    return Bent(inner, np.full(inner.channels, float(site.attributes.get("alpha", 0.01))))


def _round_total(site: Site, at: int, value: Total, other: Constant) -> Value:
    """The half that rounds what a PReLU gives."""
    if value.rounding or np.any(other.array != other.array.ravel()[0]):
        inner = _operand(site, at)
        return inner.plus(site.per_channel(other.array, inner))
    return replace(value, rounding=float(other.array.ravel()[0]))


NOTHING = ("axis", "broadcast", "consumed_inputs")
"""Attributes of the first versions, for operands whose sizes differ."""
RULES = {
    "Add": Rule(_add, (), {"axis": None, "broadcast": 0}, ("consumed_inputs",)),
    "BatchNormalization": Rule(
        _batchnorm, ("epsilon",), {"training_mode": 0, "is_test": 1, "spatial": 1}, ("momentum", "consumed_inputs")
    ),
    "Clip": Rule(_clip, ("min", "max"), {}, ("consumed_inputs",)),
    "Div": Rule(_div, (), {"axis": None, "broadcast": 0}, ("consumed_inputs",)),
    "LeakyRelu": Rule(_leakyrelu, ("alpha",), {}, ("consumed_inputs",)),
    "Max": Rule(_extreme, (), {}, ("consumed_inputs",)),
    "Min": Rule(_extreme, (), {}, ("consumed_inputs",)),
    "Mul": Rule(_mul, (), {"axis": None, "broadcast": 0}, ("consumed_inputs",)),
    "Neg": Rule(_neg, (), {}, ("consumed_inputs",)),
    "PRelu": Rule(_prelu, (), {}, ("consumed_inputs",)),
    "Relu": Rule(_relu, (), {}, ("consumed_inputs",)),
    "Sum": Rule(_sum, (), {}, ("consumed_inputs",)),
    "Sub": Rule(_sub, (), {"axis": None, "broadcast": 0}, ("consumed_inputs",)),
}
