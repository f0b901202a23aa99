"""How a function of a stream becomes a layer: on the grid that a quantizer gives, or on one that its range suggests.

Each `close_*` recognises a form that one layer computes exactly and returns None for any other; `close` takes every
form and says by how much it is moved.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bireal_hw.errors import BirealError
from bireal_hw.ir.encoding import FLOAT32_EXACT, half, signed_width
from bireal_hw.ir.graph import Graph
from bireal_hw.ir.types import DataType, TensorType, ranged
from bireal_hw.lowering.grid import NOISE, Fit, Floats, Integers, as_integers, exponent, fit, thresholds
from bireal_hw.lowering.pixels import Pixels, span
from bireal_hw.lowering.reader import Origin, Reader, RefusedError, RereadError, Site
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
from bireal_hw.ops import AvgPool, Center, LeakyClip, Merge, RealConv, Rescale, Sum

WIDEST = 24
"""Bits of a stream that a multiplier takes."""
COARSER = 12
"""Fraction bits that a stream without a quantizer may lose for the sake of a large gain."""
HEADROOM = 1.25
"""A stream without a quantizer has room for its largest value times this."""
NEAREST = "NEAREST"
"""Rounding of what no quantizer rounds: half way goes up."""
TOWARDS_ENDS = ("UP", "DOWN", "ROUND_TO_ZERO")
"""Rounding modes that differ on both sides of 0, by a whole step."""
MODES = ("FLOOR", "CEIL", "ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN", *TOWARDS_ENDS)
"""Rounding modes of a quantizer. ROUND is HALF_EVEN; HALF_UP and HALF_DOWN mean away from 0 and towards it."""


def before_shift(mode: str, shift: int) -> tuple[int, int]:
    """What is added before an arithmetic shift to the right, so that it rounds as a mode says: from 0 on, below 0."""
    if shift <= 0:
        return 0, 0
    whole, middle = (1 << shift) - 1, half(shift)
    return {
        "FLOOR": (0, 0),
        "CEIL": (whole, whole),
        "UP": (whole, 0),
        "DOWN": (0, whole),
        "ROUND_TO_ZERO": (0, whole),
        "HALF_UP": (middle, middle - 1),
        "HALF_DOWN": (middle - 1, middle),
    }.get(mode, (middle, middle))


def tie(mode: str, shift: int) -> float:
    """How far one constant for both sides of 0 may move a value that lies half way, in steps."""
    return 0.0 if shift <= 0 or mode in ("FLOOR", "CEIL", NEAREST) else 0.5


# ---- from values to streams


def integers(site: Site, index: int) -> Expression:
    """An input as the integers of a stream with a gain and an offset; what is pending is built, and nothing is rounded.

    A sum, a PReLU or a clip without a quantizer is rounded, as `settle` says.
    """
    tensor = site.tensor(index)
    return build(site.reader, expression(site, tensor, site.value(index)))


def expression(site: Site, tensor: str, value: Value) -> Expression:
    """A value as a function of one stream."""
    reader = site.reader
    match value:
        case Output():
            return reader.values_of(value.name)
        case Expression():
            value = alone(reader, value) if value.affine else value
            first = tensor in reader.settle_first and value.source.stream not in reader.settled
            return settle(reader, tensor, value, site.output) if first else value
        case Bits():
            return numbers(site, value)
        case Pair() | Bent() | Total() | Clipped():
            return settle(reader, tensor, value)
        case Scaled():
            return unbent(reader, value)
        case _:
            raise site.unsupported(value.describe(), "an image or what layers make of it")


def alone(reader: Reader, value: Expression) -> Expression:
    """A rounded affine that no shortcut is added to, as a stream."""
    affine = value.affine
    assert affine is not None
    x = reader.types[value.source.stream]
    op = Rescale(affine.gain, affine.bias, affine.shift, affine.dtype)
    if value.source.kind not in ("dot", "value"):
        raise BirealError(f"{value.describe()} is used without what it belongs to")
    name = reader.emit(f"{value.source.stream}_affine", replace(op, dtype=wide_enough(op, x)), value.source.stream)
    return replace(reader.values_of(name), order=value.order)


def wide_enough(op: Rescale, x: TensorType) -> DataType:
    """The format of an affine that never saturates."""
    return ranged(*op.reach(x), op.dtype.frac)


def build(reader: Reader, value: Expression) -> Expression:
    """The same expression of a stream that exists: sums and pools that are pending become layers without a shift."""
    source = value.source
    if source.kind in ("value", "dot"):
        return value
    if source.kind == "excess":
        raise BirealError(f"{value.describe()}: a stream minus itself clipped is read as part of a leaky clip only")
    if source.kind == "pixel":
        return center(reader, value)
    shift = 0
    x = reader.types[source.stream]
    if source not in reader.built:
        if source.kind == "real":
            assert source.weights is not None
            zeros = np.zeros(len(source.weights), np.int32)
            raw = RealConv(source.weights, zeros, zeros, DataType(40, frac=0), source.stride, source.pads)
            out = raw.infer(x)
            shift = max(0, signed_width(out.low, out.high) - WIDEST)
            op = replace(
                raw,
                bias=zeros + half(shift),
                shift=zeros + shift,
                dtype=ranged(out.low >> shift, (out.high + half(shift)) >> shift, 0),
            )
            reader.built[source] = reader.emit(source.node, op, source.stream)
        else:
            assert source.kernel is not None
            area = source.kernel[0] * source.kernel[1]
            shift = max(0, signed_width(area * x.low, area * x.high) - WIDEST)
            ends = [(area * end + half(shift)) >> shift for end in (x.low, x.high)]
            pool = AvgPool(source.kernel, shift, ranged(ends[0], ends[1], x.dtype.frac - shift))
            reader.built[source] = reader.emit(source.node, pool, source.stream)
        reader.shifts[reader.built[source]] = shift
    name = reader.built[source]
    steep, lost = float(np.abs(value.gain).max()), reader.shifts[name]
    slack = value.slack + (0.5 * 2.0**lost * steep if lost else 0.0)
    made = reader.types[name]
    largest = max(abs(made.low), abs(made.high)) << lost
    if largest >= FLOAT32_EXACT and not reader.has_metadata:
        slack += NOISE * steep * largest  # float32, in which the file is run, does not hold such sums
    elif source.kind == "real" and any(exponent(abs(float(gain))) is None for gain in value.gain if gain):
        slack += NOISE * steep  # nor products with a step that is no power of two: a sum of 0 may come out beside it
    return replace(value, source=Source("value", name), gain=value.gain * 2.0**lost, slack=slack)


def center(reader: Reader, value: Expression) -> Expression:
    """The pixels minus whole numbers, so that 0 is where the file has it, or as near as whole numbers come."""
    know_pixels(reader, value, None)
    if value.source not in reader.built:
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = np.where(value.gain == 0, 0, np.round(-value.add / value.gain))
        op = Center(np.clip(zero, 0, 255).astype(np.int32), 0)
        reader.built[value.source] = reader.emit("center", op, value.source.stream)
        reader.offsets = op.offset.astype(np.float64)
    name = reader.built[value.source]
    return replace(value, source=Source("value", name), add=value.add + value.gain * reader.offsets)


def unbent(reader: Reader, value: Scaled) -> Expression:
    """A function of a bend whose own value is rounded first, where anything but a sign reads it."""
    known = reader.values[value.tensor]
    bent = known if isinstance(known, Expression) else settle(reader, value.tensor, value.bent)
    return bent.times(value.gain).plus(value.add)


def know_pixels(reader: Reader, value: Expression, limits: tuple[float, float] | None) -> None:
    """Find out what a stored pixel stands for, from what the file does first with what it reads.

    Nothing changes where a user or the file has said so. Otherwise the first function of the input is looked at: with
    pixels as they are stored, or divided by 255, its values fill the range of the quantizer behind it, or are about 1
    where there is none. If neither does, a pixel is a step of the quantizer: p - 128 where it is signed.

    Args:
        reader: of the file.
        value: what the file makes of the input.
        limits: least and most that the quantizer behind it lets through; None if there is none.

    Raises:
        RereadError: the pixels stand for something else than was assumed.
    """
    if reader.pixels_known or reader.has_metadata:
        return
    reader.pixels_known = True
    gain, add = value.gain, value.add
    plain = bool(np.all(gain == 1) and np.all(add == 0))
    ends = {255.0: "pixels as they are stored", 1.0: "pixels divided by 255"}
    for most, words in ends.items():
        corners = np.concatenate([add, add + gain * most])
        low, high = float(corners.min()), float(corners.max())
        if limits is None:
            good = high - low < 20 and not (plain and most > 1)
            good = good or most == 1.0
        else:
            room = limits[1] - limits[0]
            inside = low >= limits[0] - 0.05 * room and high <= limits[1] + 0.05 * room
            good = inside and high - low >= 0.45 * room
            good = good and not (plain and most == 1.0 and limits[0] < 0)
        if good:
            if most == 255.0:
                return
            raise RereadError(pixels=span(0.0, 1.0, len(gain), f"the file reads {words}"), free=limits is None)
    if reader.pictures or limits is None:
        raise RereadError(pixels=span(0.0, 1.0, len(gain), "the file reads pixels divided by 255"))
    step = (limits[1] - limits[0]) / 255
    first = 128.0 if limits[0] < 0 else 0.0
    scale = step / gain
    words = f"a stored pixel is a step of the first quantizer{', and 128 is 0' if first else ''}"
    raise RereadError(pixels=Pixels(scale, -first * scale - add / gain, words))


def numbers(site: Site, bits: Bits) -> Expression:
    """Bits as numbers -1 and +1, for a layer that computes with numbers."""
    if bits.before is not None:
        earlier, op = bits.before
        inner = numbers(site, replace(earlier, scale=1.0))
        made = site.reader.values_of(site.reader.emit(f"{bits.stream.name}_numbers", op, inner.source.stream))
        repeats = made.channels // len(earlier.turned)
        opposite = np.where(bits.turned ^ np.tile(earlier.turned, repeats), -1.0, 1.0)
        return replace(made, gain=np.tile(inner.gain, repeats) * bits.scale * opposite, order=bits.order)
    if bits.compared is None:
        raise site.unsupported(bits.describe(), "binary weights on these bits")
    stream, theta = bits.compared
    one = np.where(bits.turned, -1, 1).astype(np.int64)
    zero = np.zeros(len(one), np.int64)
    op = Rescale(zero, one, 0, DataType(2, frac=0), theta.astype(np.int64), zero, -one)
    name = site.reader.emit(f"{bits.stream.name}_numbers", op, stream)
    found = site.reader.values_of(name)
    return replace(found, gain=found.gain * bits.scale, order=bits.order)


def settle(reader: Reader, tensor: str, value: Value, output: str = "") -> Expression:
    """Round a value that no quantizer rounds: to as many fraction bits as its range leaves.

    It is rounded down, and stands for the middle of its step: so no number crosses 0, however small it is, and a sign
    behind it is the file's. Rounded to the nearest, what a PReLU of a small slope leaves of negative numbers would
    become 0, which counts as positive.

    Args:
        reader: of the file.
        tensor: of the file.
        value: what it is.
        output: of the node that reads it; if another one has read it unrounded, the file is read anew.
    """
    others = reader.readers.get(tensor, set()) - {output}
    if others and isinstance(value, Expression) and tensor not in reader.settle_first:
        reader.settle_next.add(tensor)
    frac, before = suggested(reader, tensor, reader.stream_bits), len(reader.nodes)
    # What a ReLU leaves is 0 or more, and 0 stays 0: rounded up, no other number becomes 0.
    upwards = isinstance(value, Bent) and value.low == 0 and (value.slope is None or not value.slope.any())
    for coarser in range(COARSER + 1):  # a coarser grid lets a larger gain through
        try:
            dtype = DataType(reader.stream_bits, frac=frac - coarser)
            name, lsb = close(reader, reader.maker(tensor), tensor, value, dtype, "CEIL" if upwards else "FLOOR")
            break
        except RefusedError:
            if coarser == COARSER:
                raise
    frac = reader.types[name].dtype.frac
    rounds = any(node.name == name and getattr(node.op, "shift", 0) > 0 for node in reader.nodes[before:])
    found = replace(reader.values_of(name), order=order_of(value))
    if rounds and not upwards:
        found = replace(found, add=np.full(found.channels, 2.0 ** -(frac + 1)))
    reader.settled[name] = tensor
    reader.values[tensor] = found
    earlier = reader.marks.get(tensor)  # of a quantizer whose steps are finer
    bound = (
        (lsb + (1.0 if upwards else 0.5) * rounds) * 2.0**-frac + slack_of(value) + (earlier.bound if earlier else 0.0)
    )
    reader.mark(tensor, found, bound, saturates=True, noise=noise_of(value) + (earlier.noise if earlier else 0.0))
    bent = Bent(value) if isinstance(value, Expression) else value
    if isinstance(bent, Bent) and rounds and bent.inner.affine is None:
        limits = reader.types[name].dtype  # which cut off what is larger
        low, high = (end * 2.0**-frac + float(found.add[0]) for end in (limits.low, limits.high))
        cut = replace(bent, low=max(low, bent.low), high=min(high, bent.high))
        reader.origins[name] = Origin(Scaled.of(cut, tensor), found, bound)
    if bound:
        reader.say(tensor, f"rounded to {reader.types[name].dtype.width} bits, steps of 2^-{frac}", bound)
    return found


def order_of(value: Value) -> Integers | None:
    """The order of a value's features, as of `Expression`."""
    match value:
        case Expression() | Bits():
            return value.order
        case Pair():
            return value.a.order
        case Bent():
            return value.inner.order
        case _:
            return None


def slack_of(value: Value) -> float:
    """Most that a value may differ from the file's before it is rounded."""
    match value:
        case Expression():
            return value.slack
        case Pair():
            return value.a.slack + value.b.slack
        case Bent():
            steep = 1.0 if value.slope is None else max(1.0, float(np.abs(value.slope).max()))
            return value.inner.slack * steep
        case _:
            return 0.0


def noise_of(value: Value) -> float:
    """What float32, in which the file is run, may lose of a value where large constants take each other away."""
    match value:
        case Expression():
            return NOISE * value.cancelled
        case Pair():
            return noise_of(value.a) + noise_of(value.b)
        case Bent():
            return noise_of(value.inner)
        case _:
            return 0.0


def suggested(reader: Reader, tensor: str, bits: int) -> int:
    """Fraction bits for a tensor of the file, from the range that it was seen to have."""
    if tensor in reader.fracs:
        return reader.fracs[tensor]
    low, high = reader.ranges(tensor)
    most = max(abs(low), abs(high)) * HEADROOM
    return bits - 1 - (math.frexp(most)[1] if most > 0 else 0)


# ---- any form


def close(
    reader: Reader,
    name: str,
    tensor: str,
    value: Value,
    dtype: DataType,
    mode: str,
    low: int | None = None,
    high: int | None = None,
) -> tuple[str, float]:
    """Round a value to a format: (stream, how far the result may be from the file's beside the rounding, in steps).

    Args:
        reader: of the file.
        name: of the layer.
        tensor: of the file.
        value: what is rounded.
        dtype: format; a grid that the gains do not fit is made coarser if no quantizer gave it.
        mode: of rounding.
        low: least result, in steps of the grid, where it is above the format's.
        high: largest result, where it is below the format's.
    """
    match value:
        case Output():
            return rescale(reader, name, reader.values_of(value.name), dtype, mode, low, high)
        case Expression():
            one = alone(reader, value) if value.affine else build(reader, value)
            return rescale(reader, name, one, dtype, mode, low, high)
        case Clipped():
            step = 2.0 ** -reader.types[value.stream.name].dtype.frac
            inner = reader.values_of(value.stream.name)
            return close(
                reader, name, tensor, Bent(inner, None, -value.limit * step, value.limit * step), dtype, mode, low, high
            )
        case Bent():
            grid = 2.0**dtype.frac
            ends = [math.floor(min(max(end * grid, -(2.0**30)), 2.0**30) + 0.5) for end in (value.low, value.high)]
            room = (dtype.low if low is None else low, dtype.high if high is None else high)
            low, high = (min(max(end, room[0]), room[1]) for end in ends)
            inner = build(reader, value.inner)
            found, moved = rescale(reader, name, inner, dtype, mode, low, max(low, high), value.slope)
            finite = [end * grid for end in (value.low, value.high) if abs(end * grid) < 2.0**30]
            return found, moved + max((abs(end - round(end)) for end in finite), default=0.0)
        case Total():
            return close_bent_total(reader, name, tensor, value, dtype, mode)
        case Pair():
            return add(reader, name, tensor, value, dtype, mode, low, high)
        case Scaled():
            return close(reader, name, tensor, unbent(reader, value), dtype, mode, low, high)
        case _:
            raise BirealError(f"node '{name}': {value.describe()} cannot be rounded")


def close_bent_total(
    reader: Reader, name: str, tensor: str, value: Total, dtype: DataType, mode: str
) -> tuple[str, float]:
    """A shortcut plus a rounded branch, whose PReLU, if any, is not of the form that a merge has."""
    pair = Pair(reader.values_of(value.stream.name), alone(reader, value.branch))
    if value.slope is None:
        return add(reader, name, tensor, pair, dtype, mode)
    ends = [end for one in (pair.a, pair.b) for end in reach(reader, one)]
    wide = ranged(ends[0] + ends[2], ends[1] + ends[3], value.branch.affine.dtype.frac)  # type: ignore[union-attr]
    total, _ = add(reader, f"{name}_sum", tensor, pair, wide, "FLOOR")
    inner = reader.values_of(total)
    slope = np.exp2(-value.slope.astype(float))
    half_step = np.full(len(slope), value.rounding)
    found, moved = rescale(reader, name, inner, dtype, mode, None, None, slope, half_step)
    return found, moved


def reach(reader: Reader, value: Expression) -> tuple[int, int]:
    """Range of the integers of a stream."""
    x = reader.types[value.source.stream]
    return x.low, x.high


def rescale(
    reader: Reader,
    name: str,
    value: Expression,
    dtype: DataType,
    mode: str,
    low: int | None = None,
    high: int | None = None,
    slope: Floats | None = None,
    more: Floats | None = None,
) -> tuple[str, float]:
    """Emit y = (gain*x + bias) >> shift with two pieces, limits and saturation, as far as it is needed.

    Args:
        reader: of the file.
        name: of the layer.
        value: the function of a stream.
        dtype: format of y.
        mode: of rounding.
        low: least y, where it is above the format's.
        high: largest y, where it is below the format's.
        slope: (C,) factor of the function where it is below 0.
        more: (C,) added behind the slope.
    """
    x, unit = reader.types[value.source.stream], 2.0**dtype.frac
    gain, offset = value.gain * unit, value.add * unit
    theta, turned = thresholds(value.gain, value.add, x.low, x.high)
    extra = 0.0 if more is None else more * unit
    below = (slope * gain, slope * offset + extra) if slope is not None else (gain, offset)
    fitted = fit(
        np.concatenate([gain, below[0]]), np.concatenate([offset + extra, below[1]]), x.low, x.high
    )  # one shift for both
    if fitted is None:
        raise RefusedError(
            f"node '{name}': found a gain of {np.abs(value.gain).max():.4g} onto steps of 2^-{dtype.frac};"
            f" supported: gains below {2**15 / unit:.4g}"
        )
    count = len(gain)
    pieces = [Fit(fitted.gain[at], fitted.bias[at], fitted.shift, 0.0) for at in (slice(count), slice(count, None))]
    rounding = before_shift(mode, fitted.shift)
    bent = slope is not None or rounding[0] != rounding[1]
    biases = [piece.bias + before for piece, before in zip(pieces, rounding, strict=True)]
    if more is None and mode in ("FLOOR", "CEIL") and fitted.error:
        # What is below 0 stays below 0 and the rest does not, where the nearest integers would not have it so; rounded
        # up, what is above 0 stays above 0 and the rest does not.
        up = 0 if mode == "FLOOR" else 1
        edge, falls = (theta, turned) if not up else thresholds(-value.gain, -value.add, x.low, x.high)
        falls = falls if not up else ~falls
        split = (edge > x.low) & (edge <= x.high) & (pieces[0].gain != 0)
        below_edge, above_edge = np.where(falls, edge, edge - 1), np.where(falls, edge - 1, edge)
        first = up << fitted.shift  # least sum that counts as above the edge
        least, most = first - pieces[0].gain * above_edge, first - 1 - pieces[0].gain * below_edge
        if slope is None or up:
            biases[0] = np.where(split & (least <= most), np.clip(biases[0], least, np.maximum(least, most)), biases[0])
        else:
            biases[0] = np.where(split, np.maximum(biases[0], least), biases[0])
            rising = split & (slope > 0)
            biases[1] = np.where(rising, np.minimum(biases[1], -1 - pieces[1].gain * below_edge), biases[1])
    limits = (dtype.low if low is None else low, dtype.high if high is None else high)
    same = not bent and not fitted.shift and bool(np.all(pieces[0].gain == 1) and np.all(pieces[0].bias == 0))
    if same and x.dtype.frac == dtype.frac and limits[0] <= x.low and x.high <= limits[1]:
        return value.source.stream, 0.0
    narrow = None if low is None else low, None if high is None else high
    if bent:
        (above_gain, below_gain), (above_bias, below_bias) = (
            (np.where(turned, b, a), np.where(turned, a, b)) for a, b in ([one.gain for one in pieces], biases)
        )
        op = Rescale(
            above_gain, above_bias, fitted.shift, dtype, theta.astype(np.int64), below_gain, below_bias, *narrow
        )
    else:
        op = Rescale(pieces[0].gain, biases[0], fitted.shift, dtype, None, None, None, *narrow)
    moved = fitted.error
    largest = max(int((np.abs(one.gain) * max(abs(x.low), abs(x.high)) + np.abs(one.bias)).max()) for one in pieces)
    if moved == 0 and fitted.shift and largest >= FLOAT32_EXACT and not reader.has_metadata:
        moved = 2.0**-8  # float32, in which the file is run, does not hold such products
    if moved == 0 and mode in ("ROUND", "HALF_EVEN"):
        moved = tie(mode, fitted.shift)
    return reader.emit(name, op, value.source.stream), moved


def add(
    reader: Reader,
    name: str,
    tensor: str,
    value: Pair,
    dtype: DataType,
    mode: str,
    low: int | None = None,
    high: int | None = None,
) -> tuple[str, float]:
    """Emit the sum of two expressions on a grid: a sum of streams, or a merge of a stream and a function of another."""
    a, b = build(reader, value.a), build(reader, value.b)
    shapes = [reader.types[one.source.stream].shape for one in (a, b)]
    if shapes[0] != shapes[1]:
        sizes = " and ".join("x".join(map(str, shape)) for shape in shapes)
        raise RefusedError(f"node '{name}': found a sum of {sizes}; supported: two of the same size")
    if low is not None or high is not None:
        total = settle(reader, tensor, value)
        return rescale(reader, name, total, dtype, mode, low, high)
    step = 2.0**-dtype.frac

    def direct(one: Expression) -> bool:
        return is_direct(reader, one, dtype.frac)

    if direct(a) and direct(b) and not np.any(a.add + b.add):
        return reader.emit(name, Sum(dtype), a.source.stream, b.source.stream), 0.0
    moved = 0.0
    if direct(b) or (not direct(a) and a.source.kind == "dot" and b.source.kind != "dot"):
        a, b = b, a
    if not direct(a):
        settled = reader.settled.get(a.source.stream)
        same = bool(np.all(a.gain == a.gain[0]) and np.all(np.abs(a.add) <= a.gain / 2))
        plain = same and exponent(float(a.gain[0])) is not None
        if settled and plain and tensor:
            reader.links.append((settled, tensor))
        a, more = onto(reader, f"{name}_shortcut", a, dtype.frac)
        moved += more
    x, offset = reader.types[b.source.stream], a.add + b.add
    fitted = fit(b.gain / step, offset / step, x.low, x.high)
    if fitted is None or mode in TOWARDS_ENDS:
        b, more = onto(reader, f"{name}_branch", b.plus(a.add), dtype.frac)
        return reader.emit(name, Sum(dtype), a.source.stream, b.source.stream), moved + more
    op = Merge(fitted.gain, fitted.bias + before_shift(mode, fitted.shift)[0], fitted.shift, dtype)
    moved += fitted.error
    moved = moved or tie(mode, fitted.shift)
    return reader.emit(name, op, a.source.stream, b.source.stream), moved


def is_direct(reader: Reader, value: Expression, frac: int) -> bool:
    """Whether a stream has a grid, whatever is added to it."""
    return bool(np.all(value.gain == 2.0**-frac)) and reader.types[value.source.stream].dtype.frac == frac


def onto(reader: Reader, name: str, value: Expression, frac: int) -> tuple[Expression, float]:
    """A function of a stream on a grid, in as many bits as its range takes."""
    x = reader.types[value.source.stream]
    ends = np.stack([value.gain * end + value.add for end in (x.low, x.high)]) * 2.0**frac
    width = min(signed_width(math.floor(ends.min()) - 1, math.ceil(ends.max()) + 1), WIDEST)
    stream, moved = rescale(reader, name, value, DataType(width, frac=frac), NEAREST)
    return replace(reader.values_of(stream), order=value.order), moved + 0.5


# ---- forms that one layer computes exactly


def close_center(reader: Reader, value: Expression, dtype: DataType) -> str | None:
    """(p - m_c) * 2^-frac, never saturating."""
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = -value.add / value.gain
    whole = bool(np.all(value.gain == 2.0**-dtype.frac) and np.all(offset == np.round(offset)))
    if not whole or np.any((offset < 0) | (offset > 255)) or value.source in reader.built:
        return None
    op = Center(offset.astype(np.int32), dtype.frac)
    if op.infer(reader.input).dtype.width > dtype.width:
        return None
    return reader.emit("center", op, value.source.stream)


def close_real(reader: Reader, value: Expression, dtype: DataType, mode: str) -> tuple[str, float] | None:
    """(sum + bias) >> shift per output channel, saturating to dtype."""
    source = value.source
    steps = [exponent(float(gain)) for gain in value.gain]
    if source.weights is None or source in reader.built or any(step is None for step in steps):
        return None
    if mode in TOWARDS_ENDS:
        return None
    shift = -np.array(steps, np.int32) - dtype.frac
    bias = value.add / value.gain
    whole = np.round(bias)
    error = float((np.abs(bias - whole) * np.exp2(-shift.astype(float))).max())
    if error > 2.0**-6 or np.abs(whole).max() >= 2.0**30 or shift.max() > 30:
        return None
    rounding = np.array([before_shift(mode, int(one))[0] for one in shift])
    op = RealConv(
        source.weights, (whole.astype(np.int64) + rounding).astype(np.int32), shift, dtype, source.stride, source.pads
    )
    x = reader.types[source.stream]
    if error == 0 and mode == "FLOOR" and op.largest(x) >= FLOAT32_EXACT:
        if not reader.has_metadata:
            return None
        check_exact(source.node, op.largest(x))
    return reader.emit(source.node, op, source.stream), error or tie(mode, int(shift.max()))


def close_logits(reader: Reader, value: Expression) -> str | None:
    """The sums of a classifier as they are, with a bias on their grid."""
    source = value.source
    if np.any(value.gain == 0):
        return None
    steps = {exponent(float(gain)) for gain in value.gain}
    bias = value.add / value.gain
    if len(steps) != 1 or None in steps or source.weights is None or np.any(bias != np.round(bias)):
        return None
    (step,) = steps
    assert step is not None
    if np.abs(bias).max() >= 2.0**30 or source in reader.built:
        return None
    integers_ = as_integers(bias, f"node '{source.node}': the constant added to its sums")
    zeros = np.zeros_like(integers_)
    x = reader.types[source.stream]
    wide = RealConv(source.weights, integers_, zeros, DataType(40, frac=-step), source.stride, source.pads)
    out = wide.infer(x)
    op = replace(wide, dtype=ranged(out.low, out.high, -step))
    if op.largest(x) >= FLOAT32_EXACT and not reader.has_metadata:
        return None
    check_exact(source.node, op.largest(x))
    return reader.emit(source.node, op, source.stream)


def close_affine(reader: Reader, name: str, value: Expression, dtype: DataType) -> Expression | None:
    """The affine (gain*x + bias) >> shift: part of the expression until it is known what is added."""
    low, high = bounds(reader, value.source)
    shift = 0
    while shift <= 24:
        step = 2.0 ** -(dtype.frac + shift)
        if not np.any(value.gain / step % 1) and not np.any(value.add / step % 1):
            break
        shift += 1
    else:
        return None
    if max(np.abs(value.gain / step).max(), np.abs(value.add / step).max()) >= 2.0**31:
        return None
    gain = as_integers(value.gain / step, f"node '{name}': its gain")
    bias = as_integers(value.add / step, f"node '{name}': the constant added to it")
    if signed_width(int(gain.min()), int(gain.max())) > 16:
        return None
    wide = np.stack([gain.astype(np.int64) * end + bias for end in (low, high)])
    own_grid = [int(gcd) or 1 for gcd in np.gcd(gain, bias)]
    if int((np.abs(wide) // own_grid).max()) >= FLOAT32_EXACT:
        return None
    if signed_width(int(wide.min()) >> shift, int(wide.max()) >> shift) > dtype.width:
        return None
    return value.rounded(gain, bias, shift, dtype)


def bounds(reader: Reader, source: Source) -> tuple[int, int]:
    """Lowest and highest integer under an expression."""
    x = reader.types[source.stream]
    if source.kind == "excess":
        return min(0, x.low + source.limit), max(0, x.high - source.limit)
    return x.low, x.high


def close_merge(reader: Reader, name: str, value: Total, dtype: DataType) -> str | None:
    """sat(r + t) on the stream's grid, behind a PReLU rounding half up."""
    affine = value.branch.affine
    assert affine is not None
    r = reader.types[value.stream.name].dtype
    wanted = 0.0 if value.slope is None else 2.0 ** -(dtype.frac + 1)
    if not (r.frac == affine.dtype.frac == dtype.frac) or value.rounding != wanted:
        return None
    op = Merge(affine.gain, affine.bias, affine.shift, dtype, value.slope)
    return reader.emit(name, op, value.stream.name, value.branch.source.stream)


def close_pool(reader: Reader, name: str, value: Expression, dtype: DataType) -> str | None:
    """(sum + half) >> shift, saturating."""
    step = exponent(float(value.gain[0]))
    if step is None or np.any(value.gain != value.gain[0]) or value.source in reader.built:
        return None
    shift = -step - dtype.frac
    if np.any(value.add / value.gain != half(shift)):
        return None
    made, kernel = (value.source.node, value.source.kernel) if value.source.kernel else (name, (1, 1))
    return reader.emit(made, AvgPool(kernel, shift, dtype), value.source.stream)


def close_leaky_clip(reader: Reader, site: Site, clipped: Clipped, branch: Expression) -> Output:
    """Emit c + ((gain*(x - c) + half) >> s)."""
    affine = branch.affine
    assert affine is not None
    same = branch.source.stream == clipped.stream.name and branch.source.limit == clipped.limit
    gains, frac = set(affine.gain.tolist()), reader.types[clipped.stream.name].dtype.frac
    halves = set(affine.bias.tolist())
    if not same or len(gains) != 1 or halves != {half(affine.shift)} or affine.dtype.frac != frac:
        found = f"gains {sorted(gains)}, constants {sorted(halves)}, grid 2^-{affine.dtype.frac}"
        raise site.unsupported(found, f"one gain, the half {half(affine.shift)}, grid 2^-{frac}")
    op = LeakyClip(clipped.limit, gains.pop(), affine.shift)
    return Output(reader.emit(site.name, op, clipped.stream.name))


def check_exact(name: str, largest: int) -> None:
    """Refuse sums that float32, in which the file is trained and run, does not hold exactly."""
    if largest >= FLOAT32_EXACT:
        raise BirealError(f"node '{name}': values reach {largest}; float32 is exact below 2^24, export it anew")


# ---- the end of the network


def graph_of(reader: Reader) -> Graph:
    """Read a file to its end and return the network.

    Raises:
        BirealError: something in it is not supported.
        RereadError: pixels or grids have to be chosen otherwise.
    """
    value = reader.run()
    last = finish(reader, reader.answer, value)
    if reader.settle_next:
        raise RereadError(settle_first=reader.settle_first | reader.settle_next)
    share_grids(reader)
    return reader.graph(last)


def finish(reader: Reader, tensor: str, value: Value) -> str:
    """Return the node that gives the output, on a grid of a power of two."""
    if isinstance(value, Constant):
        raise BirealError(f"the output '{tensor}' does not depend on the image")
    if isinstance(value, Expression) and value.source.kind == "real" and value.affine is None:
        name = close_logits(reader, value)
        if name:
            reader.mark(tensor, Output(name), 0.0)
            return name
    if isinstance(value, Bits):
        raise BirealError(
            f"the output '{tensor}' is {value.describe()}; the sums of a layer or a stream have to give it"
        )
    if isinstance(value, Output):
        if tensor not in reader.marks:  # behind a Flatten, for example
            reader.mark(tensor, value, 0.0)
        return value.name
    if not isinstance(value, Expression):
        value = settle(reader, tensor, value)
    value = alone(reader, value) if value.affine else build(reader, value)
    x = reader.types[value.source.stream]
    if np.all(value.gain == 2.0**-x.dtype.frac) and not np.any(value.add):
        reader.mark(tensor, value, reader.marks[tensor].bound if tensor in reader.marks else 0.0)
        return value.source.stream
    most = float((np.abs(value.gain) * max(abs(x.low), abs(x.high)) + np.abs(value.add)).max())
    frac = min(WIDEST - 1 - math.frexp(most)[1], 30) if most else 0
    while True:
        try:
            name, moved = rescale(reader, f"{reader.maker(tensor)}_logits", value, DataType(WIDEST, frac=frac), NEAREST)
            break
        except RefusedError:  # a coarser grid lets a larger gain through
            frac -= 1
    found = replace(reader.values_of(name), order=value.order)
    earlier = reader.marks.get(tensor)
    bound = (moved + 0.5) * 2.0**-frac + value.slack + (earlier.bound if earlier else 0.0)
    reader.mark(tensor, found, bound, noise=noise_of(value) + (earlier.noise if earlier else 0.0))
    reader.say(tensor, f"logits on the grid 2^-{frac}", (moved + 0.5) * 2.0**-frac)
    return name


def share_grids(reader: Reader) -> None:
    """Give streams that are added to each other one grid, the coarsest of them, so that no layer has to move them.

    Raises:
        RereadError: with the fraction bits that were found.
    """
    group = {tensor: tensor for pair in reader.links for tensor in pair}

    def root(tensor: str) -> str:
        while group[tensor] != tensor:
            tensor = group[tensor]
        return tensor

    for one, other in reader.links:
        group[root(one)] = root(other)
    own = {tensor: reader.types[name].dtype.frac for name, tensor in reader.settled.items()}
    least: dict[str, int] = {}
    for tensor in group:
        if tensor in own:
            least[root(tensor)] = min(own[tensor], least.get(root(tensor), own[tensor]))
    found = {tensor: least[root(tensor)] for tensor in group if tensor in own}
    if any(found[tensor] != own[tensor] for tensor in found):
        raise RereadError(fracs={**reader.fracs, **found})
