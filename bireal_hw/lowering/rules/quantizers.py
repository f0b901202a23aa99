"""Quant and BipolarQuant, of weights and of activations, and the pair that stands for them in plain ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bireal_hw.ir.encoding import signed_width
from bireal_hw.ir.types import DataType
from bireal_hw.lowering import closing
from bireal_hw.lowering.closing import MODES, TOWARDS_ENDS
from bireal_hw.lowering.grid import NOISE, Floats, exponent, near_whole, thresholds
from bireal_hw.lowering.reader import Rule, Site
from bireal_hw.lowering.values import Bits, Constant, Expression, Output, Pair, Scaled, Total, Value
from bireal_hw.ops import Rescale, Sign

ROUNDERS: dict[str, Callable[[Floats], Floats]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "ROUND_TO_ZERO": np.trunc,
    "DOWN": np.trunc,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}
"""Rounding of weights, by mode."""


TWO_SIDED = ("HALF_UP", "HALF_DOWN", *TOWARDS_ENDS)
"""Rounding modes that are not the same on both sides of 0."""


def _quant(site: Site) -> Value:
    """Round to a grid: closes the expression in front of it, or quantises constant weights."""
    value = site.value(0)
    for index, what in ((1, "scale"), (2, "zero point"), (3, "bit width")):
        if not isinstance(site.value(index), Constant):
            raise site.unsupported(f"a {what} that is computed", "a constant")
    scale, zero, bits = (site.constant(index) for index in (1, 2, 3))
    if np.any(scale <= 0):
        raise site.unsupported(f"scale {scale.ravel()[0]:g}", "scales above 0")
    if bits.size != 1 or not 1 <= bits.ravel()[0] <= 32 or bits.ravel()[0] % 1:
        raise site.unsupported(f"bit width {bits.ravel()[0]:g}", "whole numbers from 1 to 32, one for all channels")
    if zero.size and np.any(zero % 1):
        raise site.unsupported(f"zero point {zero.ravel()[0]:g}", "whole numbers")
    width, signed = int(bits.ravel()[0]), bool(site.attributes.get("signed", 1))
    narrow = bool(site.attributes.get("narrow", 0))
    mode = str(site.attributes.get("rounding_mode", "ROUND")).upper()
    if mode not in MODES:
        raise site.unsupported(f"rounding_mode={mode}", ", ".join(MODES))
    high = (1 << (width - signed)) - 1 - (narrow and not signed)
    low = -(1 << (width - 1)) + narrow if signed else 0
    if isinstance(value, Constant) and width == 1 and signed and not zero.any():
        return _signs(value, scale)  # as qonnx has it: -1 and +1
    if isinstance(value, Constant):
        return _weights(site, value, scale, zero, (low, high), mode)
    if np.any(zero != zero.ravel()[0]):
        raise site.unsupported("zero points that differ between channels", "one")
    shift = int(zero.ravel()[0])
    if shift and mode in TWO_SIDED:  # the sides meet at the zero point, not at 0
        raise site.unsupported(f"rounding_mode={mode} with zero point {shift}", "FLOOR, CEIL, ROUND; or zero point 0")
    if width == 1 and signed:
        if shift or scale.size != 1:
            raise site.unsupported(f"1 bit with zero point {shift} and {scale.size} scales", "zero point 0, one scale")
        return sign(site, value, float(scale.ravel()[0]))
    return activation(site, value, scale, (low - shift, high - shift), mode)


def _weights(site: Site, value: Constant, scale: Floats, zero: Floats, limits: tuple[int, int], mode: str) -> Constant:
    """Constant weights: integers and their scale."""
    # The file is run in float32, which decides where a weight lies half way between two integers.
    steps = (value.array.astype(np.float32) / scale.astype(np.float32) + zero.astype(np.float32)).astype(np.float64)
    integers = np.clip(ROUNDERS[mode](steps), *limits) - zero
    every = np.broadcast_to(scale, value.array.shape).astype(np.float64)
    return Constant(integers * every, integers.astype(np.int64), every)


def activation(site: Site, value: Value, scale: Floats, limits: tuple[int, int], mode: str) -> Value:
    """Round an activation to whole numbers of a scale, within limits."""
    reader = site.reader
    if isinstance(value, Bits):
        value = closing.expression(site, site.tensor(0), value)
    if isinstance(value, Expression) and value.source.kind == "pixel" and scale.size == 1:
        closing.know_pixels(reader, value, (limits[0] * scale.ravel()[0], limits[1] * scale.ravel()[0]))
    step = exponent(float(scale.ravel()[0])) if scale.size == 1 else None
    width = signed_width(*limits)
    full = limits == (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    if step is not None and full:
        found = _on_the_grid(site, value, DataType(width, frac=-step), mode)
        if found is not None:
            return found
    if step is None:
        value = _scaled(site, value, scale)
    else:
        scale = np.ones(1)
    dtype = DataType(width, frac=-(step or 0))
    low = None if limits[0] == dtype.low else limits[0]
    high = None if limits[1] == dtype.high else limits[1]
    name, moved = closing.close(reader, site.name, site.output, value, dtype, mode, low, high)
    order = closing.order_of(value)
    made = replace(reader.values_of(name), order=order)
    made = made.times(_factors(site, made, scale))
    largest = float(made.gain.max())
    slack = closing.slack_of(value)
    bound = (moved + (1 if moved or slack else 0)) * largest + slack
    reader.mark(site.output, made, bound, noise=closing.noise_of(value))
    reader.say(site.output, f"{dtype.width} bits, steps of {largest:.4g}", bound)
    return reader.as_stream(made)


def _scaled(site: Site, value: Value, scale: Floats) -> Value:
    """A value divided by a scale."""
    if scale.size == 1 and scale.ravel()[0] == 1:
        return value
    if isinstance(value, Pair):
        return value.times(1 / _factors(site, value.a, scale))
    inner = closing.expression(site, site.tensor(0), value)
    return inner.times(1 / _factors(site, inner, scale))


def _factors(site: Site, value: Expression, scale: Floats) -> Floats:
    return np.full(value.channels, scale.ravel()[0]) if scale.size == 1 else site.per_channel(scale, value)


def _on_the_grid(site: Site, value: Value, dtype: DataType, mode: str) -> Value | None:
    """What one layer computes exactly, on a grid of a power of two; None for what has to be moved."""
    reader, name = site.reader, site.name
    match value:
        case Total():
            exact = value.slope is None or mode == "FLOOR"
            made = closing.close_merge(reader, name, value, dtype) if exact else None
            return None if made is None else _marked(site, made, 0.0)
        case Output() if reader.types[value.name].dtype == dtype:
            return value
        case Output():
            value = reader.values_of(value.name)
        case Pair():
            direct = all(
                closing.is_direct(reader, one, dtype.frac) and not np.any(one.add) and one.source.kind == "value"
                for one in (value.a, value.b)
            )
            if not direct:
                return None
            made, _ = closing.add(reader, name, site.output, value, dtype, mode)
            return _marked(site, made, 0.0)
    if not isinstance(value, Expression) or value.affine is not None or value.order is not None:
        if isinstance(value, Expression) and value.affine is not None and value.affine.dtype.frac == dtype.frac:
            return _again(site, value, dtype)
        return None
    exact = mode == "FLOOR" or value.is_whole(dtype.frac)
    match value.source.kind:
        case "pixel":
            made = closing.close_center(reader, value, dtype)
            return None if made is None else _marked(site, made, 0.0)
        case "real":
            if value.slack:
                return None
            real = closing.close_real(reader, value, dtype, "FLOOR" if value.is_whole(dtype.frac) else mode)
            return None if real is None else _marked(site, *real)
        case "dot" | "excess":
            return closing.close_affine(reader, name, value, dtype) if exact else None
        case _:
            made = closing.close_pool(reader, name, value, dtype) if exact else None
            return None if made is None else _marked(site, made, 0.0)


def _again(site: Site, value: Expression, dtype: DataType) -> Value | None:
    """sat(t): an affine without a shortcut, quantised again on its own grid."""
    affine = value.affine
    assert affine is not None
    if value.source.kind != "dot":
        return None
    op = Rescale(affine.gain, affine.bias, affine.shift, dtype)
    return _marked(site, site.reader.emit(site.name, op, value.source.stream), 0.0)


def _marked(site: Site, name: str, moved: float) -> Output:
    """A stream that stands for the node's output, moved by so many steps."""
    bound = (moved + (1 if moved else 0)) * 2.0 ** -site.reader.types[name].dtype.frac
    site.reader.mark(site.output, Output(name), bound)
    if moved:
        site.reader.say(site.output, "rounded half up, not to the even number", bound)
    return Output(name)


def _signs(value: Constant, scale: Floats) -> Constant:
    """Constant weights of one bit."""
    signs = np.where(value.array >= 0, 1, -1).astype(np.int64)
    every = np.broadcast_to(scale, signs.shape).astype(np.float64)
    return Constant(signs * every, signs, every, binary=True)


def _bipolarquant(site: Site) -> Value:
    """Sign: of constant weights, or of a stream."""
    value, scale = site.value(0), site.constant(1)
    if isinstance(value, Constant):
        return _signs(value, scale)
    if scale.size != 1:
        raise site.unsupported(f"{scale.size} scales on an activation", "one")
    return sign(site, value, float(scale.ravel()[0]))


def sign(site: Site, value: Value, scale: float) -> Value:
    """The bits of a value: a comparison with a threshold per channel, whatever gain is in front of it."""
    reader, level = site.reader, (site.tensor(0), np.zeros(1))
    if isinstance(value, Output):
        x = reader.types[value.name]
        zeros, none = np.zeros(x.channels, np.int32), np.zeros(x.channels, np.bool_)
        made = reader.emit(site.name, Sign(), value.name)
        found = Bits(Output(made), none, scale, (value.name, zeros))
        reader.mark(site.output, found, 0.0, compared=level)
        return found
    return bits_of(site, site.output, *opened(site, 0), scale, level)


def opened(site: Site, at: int) -> tuple[Expression | Scaled, float]:
    """What an input is a function of, before anything rounded it, and how far the file's may be from it."""
    value = site.value(at)
    if isinstance(value, Expression) and value.source.kind == "pixel":
        _know_sign(site, value)
    before = site.reader.compared(site.tensor(at), value)
    if before and before[0].compared() is not None:
        return before
    return closing.integers(site, at), 0.0


def bits_of(
    site: Site,
    tensor: str,
    value: Expression | Scaled,
    away: float,
    scale: float,
    level: tuple[str, Floats],
    opposite: bool = False,
) -> Bits:
    """The bits of a comparison with 0.

    Args:
        site: of the node that compares.
        tensor: of the file, which the bits are; empty where it has none.
        value: what is compared.
        away: how far the file's may be from it.
        scale: what the bits stand for.
        level: the file's tensor that is compared, and what with.
        opposite: whether the bit is -1 where the value is 0 or more.
    """
    reader = site.reader
    if isinstance(value, Scaled):
        under = value.compared()
        assert under is not None
        unsure = NOISE * max(float(np.abs(under.add).max()), under.cancelled)
        away += (under.slack + unsure) * float(np.abs(value.gain).max()) + NOISE * float(np.abs(value.add).max())
        inner = closing.build(reader, under)
    else:
        inner = value
        unsure = NOISE * float(np.abs(inner.add).max()) if near_whole(inner.gain, inner.add).any() else 0.0
        away = max(away, inner.slack, unsure)
    x = reader.types[inner.source.stream]
    theta, turned = thresholds(inner.gain, inner.add, x.low, x.high)
    plain = not theta.any() and not turned.any() and inner.source.kind != "value"
    made = reader.emit(site.name, Sign(None if plain else theta), inner.source.stream)
    found = Bits(Output(made), turned ^ opposite, scale, (inner.source.stream, theta), inner.order)
    if tensor:
        reader.mark(tensor, found, away, noise=closing.noise_of(inner), compared=level)
    if turned.any():
        reader.say(tensor or site.output, f"thresholds; {int(turned.sum())} of {len(turned)} comparisons are turned")
    return found


def _know_sign(site: Site, value: Expression) -> None:
    """Find out what a pixel stands for where the first thing that is done is a comparison."""
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = np.nanmedian(-value.add / value.gain)
    if 1 < crossing < 254 or site.reader.pixels_known:
        return
    span = 1.0 if 0 < crossing < 1 else 2.0
    closing.know_pixels(site.reader, value, (0.0, 1.0) if span == 1 else (-128.0, 127.0))


def _quantizelinear(site: Site) -> Value:
    """Round to integers: those of the tensor, from which DequantizeLinear takes the zero point again."""
    value, scale = site.value(0), site.constant(1)
    zero = site.constant(2) if site.has(2) else np.zeros(1)
    number = site.reader.numbers.get(site.tensor(2), np.dtype(np.uint8)) if site.has(2) else np.dtype(np.uint8)
    low, high = int(np.iinfo(number).min), int(np.iinfo(number).max)
    if isinstance(value, Constant):
        scale, zero = (_along(site, one, value.array.ndim) for one in (scale, zero))
        found = _weights(site, value, scale, zero, (low, high), "ROUND")
        assert found.integers is not None
        return Constant(found.integers + zero, (found.integers + zero).astype(np.int64), np.ones(found.array.shape))
    if scale.size != 1 or zero.size != 1:
        raise site.unsupported(f"{scale.size} scales on an activation", "one")
    shift = int(zero.ravel()[0])
    made = activation(site, value, scale, (low - shift, high - shift), "ROUND")
    inner = site.reader.values_of(made.name) if isinstance(made, Output) else made
    assert isinstance(inner, Expression)
    mark = site.reader.marks.pop(site.output, None)  # the file's tensor holds integers
    step = float(scale.ravel()[0])
    whole = inner.times(np.full(inner.channels, 1 / step)).plus(np.full(inner.channels, float(shift)))
    return replace(whole, slack=mark.bound / step if mark else 0.0)


def _dequantizelinear(site: Site) -> Value:
    """Scale times (integers - zero point)."""
    value, scale = site.value(0), site.constant(1)
    zero = site.constant(2) if site.has(2) else np.zeros(1)
    if isinstance(value, Constant):
        scale, zero = (np.broadcast_to(_along(site, one, value.array.ndim), value.array.shape) for one in (scale, zero))
        integers = value.array - zero
        return Constant(integers * scale, integers.astype(np.int64), scale.astype(np.float64))
    if scale.size != 1 or zero.size != 1:
        raise site.unsupported(f"{scale.size} scales on an activation", "one")
    inner = closing.expression(site, site.tensor(0), value)
    return inner.plus(np.full(inner.channels, -zero.ravel()[0])).times(np.full(inner.channels, scale.ravel()[0]))


def _along(site: Site, array: Floats, ndim: int) -> Floats:
    """Scales along the attribute `axis`, so that they can be broadcast."""
    if array.size == 1:
        return array.reshape(())
    axis = site.attributes.get("axis", 1) % ndim
    return array.reshape([-1 if at == axis else 1 for at in range(ndim)])


RULES = {
    "BipolarQuant": Rule(_bipolarquant),
    "DequantizeLinear": Rule(_dequantizelinear, ("axis",), {"block_size": 0}, ("output_dtype",)),
    "Quant": Rule(_quant, ("signed", "narrow", "rounding_mode")),
    "QuantizeLinear": Rule(_quantizelinear, ("axis",), {"block_size": 0, "output_dtype": 0}, ("saturate", "precision")),
}
