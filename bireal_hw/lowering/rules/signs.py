"""Signs without a quantizer: Sign, comparisons, and the arithmetic by which a file makes -1 and +1 of them.

Larq writes Sign(Sign(x) + 0.1), QKeras s + (1 - |s|) with s = Sign(x), PyTorch Where(x >= 0, 1, -1) or
Cast(x >= 0) * 2 - 1: each depends on one comparison only, and is computed here for its three outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bireal_hw.lowering import closing
from bireal_hw.lowering.grid import NEAR, NOISE
from bireal_hw.lowering.reader import Rule, Site
from bireal_hw.lowering.rules.quantizers import bits_of, opened
from bireal_hw.lowering.rules.shapes import computed, evaluated
from bireal_hw.lowering.values import Bits, Constant, Expression, Scaled, ThreeWay, Value

COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
BY_ELEMENT = (
    *("Abs", "Add", "And", "Cast", "Clip", "Div", "Equal", "Max", "Min", "Mul", "Neg", "Not", "Or", "Relu", "Sign"),
    *("Sub", "Sum", "Where", *COMPARISONS),
)
"""Types of nodes that are computed for each outcome of a comparison."""
FOLDED = ("ReduceMax", "ReduceMean", "ReduceSum", "Relu")
"""Types of nodes that mean something else for an image; on constants, as in scales of weights, they are computed."""
PASSING = ("Dropout", "Identity", "Transpose")
"""Types of nodes that pass a choice on."""


def with_choices(kind: str, read: Callable[[Site], Value]) -> Callable[[Site], Value]:
    """The rule of a type of node where it reads a choice: another choice, or what it makes of bits and numbers."""

    def found(site: Site) -> Value:
        values = [site.reader.values.get(name) for name in site.node.input if name]
        if kind in FOLDED and all(isinstance(value, Constant) for value in values):
            return evaluated(site)
        if kind in PASSING or not any(isinstance(value, ThreeWay) for value in values):
            return read(site)
        made = _by_element(site) if kind in BY_ELEMENT else None
        if made is not None:
            return _settled(site, made)
        for at in range(site.count):
            if site.has(at):
                site.reader.values[site.tensor(at)] = _as_layers_read(site, at)
        return read(site)

    return found


def _by_element(site: Site) -> ThreeWay | None:
    """What a node makes of one comparison and of numbers; None where it reads anything else."""
    first: ThreeWay | None = None
    arrays: list[np.ndarray | None] = []
    for at in range(site.count):
        value = site.value(at) if site.has(at) else None
        match value:
            case None:
                arrays.append(None)
            case ThreeWay() if first is None or value.inner is first.inner:
                first = first or value
                arrays.append(value.numbers)
            case Constant() if value.array.size == 1:
                kind = site.reader.numbers.get(site.tensor(at), np.dtype(np.float32))
                arrays.append(value.array.reshape(1).astype(kind))
            case Constant() if site.node.op_type == "Where":
                raise site.unsupported(f"numbers of shape {list(value.array.shape)}", "one for all channels")
            case _:
                return None
    assert first is not None
    return replace(first, numbers=np.broadcast_to(computed(site, arrays), 3))


def _settled(site: Site, choice: ThreeWay) -> Value:
    """A choice as bits where it is one of two opposite numbers, also for what is 0."""
    below, at, above = (float(one) for one in choice.numbers)
    if choice.numbers.dtype == np.bool_ or below != -above or not above or at not in (below, above):
        return choice
    return _bits(site, site.output, choice, abs(above))


def _bits(site: Site, tensor: str, choice: ThreeWay, scale: float) -> Bits:
    """The bits of a comparison: x > 0 is the opposite of -x >= 0."""
    below, at, above = (float(one) for one in choice.numbers)
    strict = at == below
    turn = np.full(choice.inner.channels, -1.0 if strict else 1.0)
    level = choice.tensor, choice.level
    return bits_of(site, tensor, choice.inner.times(turn), choice.away, scale, level, (above < below) != strict)


def _as_layers_read(site: Site, at: int) -> Value:
    """An input as bits or numbers; a sign that is 0 at 0 is +1 there in hardware, which is told."""
    value, tensor, reader = site.value(at), site.tensor(at), site.reader
    if not isinstance(value, ThreeWay):
        return value
    below, middle, above = (float(one) for one in value.numbers)
    if value.numbers.dtype == np.bool_:
        raise site.unsupported(value.describe(), "Where or Cast behind a comparison")
    if below == -above and above and not middle:
        _refuse_ranges(site, value)
        found = _bits(site, tensor, replace(value, numbers=np.array([below, above, above])), abs(above))
        if _may_be_0(site, value):
            mark = reader.marks[tensor]
            reader.marks[tensor] = replace(mark, bound=max(mark.bound, NOISE), zeros=True)
            reader.say(tensor, "the sign of 0 is 0 in the file, and that of a positive number here", abs(above))
        return found
    if middle not in (below, above) or below == above:
        raise site.unsupported(value.describe(), "two numbers, of which one is for 0: Where(x >= 0, 1, -1)")
    half = np.full(value.inner.channels, (above - below) / 2)
    sign = -1.0 if middle == below else 1.0
    bits = _bits(site, "", replace(value, numbers=np.array([-1.0, sign, 1.0])), 1.0)
    return closing.numbers(site, bits).times(half).plus(np.full(len(half), (above + below) / 2))


def _refuse_ranges(site: Site, choice: ThreeWay) -> None:
    """Refuse a sign of what is 0 over a range, or has one sign only: there the three outcomes are no bits."""
    inner = choice.inner
    if isinstance(inner, Scaled):
        wrong = inner.flat_at_0()
    else:
        x = site.reader.types[inner.source.stream]
        ends = np.stack([inner.gain * end + inner.add for end in (x.low, x.high)])
        wrong = bool(np.any(_reaches_0(inner, x.low, x.high) & ((ends.min(0) >= 0) | (ends.max(0) <= 0))))
    if wrong:
        raise site.unsupported(
            f"the sign, 0 at 0, of '{choice.tensor}', which a limit or a ReLU makes 0 over a range",
            "a sign of numbers below and above 0, or Where(x >= 0, 1, -1)",
        )


def _may_be_0(site: Site, choice: ThreeWay) -> bool:
    inner = choice.inner.compared() if isinstance(choice.inner, Scaled) else choice.inner
    assert inner is not None
    x = site.reader.types[inner.source.stream]
    return bool(np.any(_reaches_0(inner, x.low, x.high)))


def _reaches_0(inner: Expression, low: int, high: int) -> np.ndarray:
    """In which channels some integer makes a function 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -inner.add / inner.gain
    near = np.abs(at - np.round(at)) <= NEAR * np.maximum(np.abs(at), 1)
    return np.where(inner.gain == 0, inner.add == 0, near & (at > low - 0.5) & (at < high + 0.5))


def _sign(site: Site) -> Value:
    """Sign of ONNX, which has three outcomes."""
    value = site.value(0)
    if isinstance(value, Constant):
        return evaluated(site)
    if isinstance(value, Bits):
        return replace(value, scale=1.0)
    inner, away = opened(site, 0)
    return ThreeWay(inner, away, site.tensor(0), np.zeros(1), np.array([-1.0, 0.0, 1.0], np.float32))


def _compared(site: Site) -> Value:
    """A tensor beside a constant: true or false below, at and above it."""
    a, b = site.value(0), site.value(1)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return evaluated(site)
    if isinstance(a, Constant) == isinstance(b, Constant):
        raise site.unsupported(f"{a.describe()} beside {b.describe()}", "a tensor beside a constant")
    at = int(isinstance(a, Constant))
    inner, away = opened(site, at)
    level = site.constant(1 - at)
    difference = inner.plus(-site.per_channel(level, inner))
    outcomes = np.array([-1.0, 0.0, 1.0]) * (1 - 2 * at)
    kind = site.node.op_type
    turned = -outcomes if kind.startswith("Less") else outcomes
    flags = turned >= 0 if kind.endswith("OrEqual") else turned > 0
    return ThreeWay(difference, away, site.tensor(at), level, flags)


def _constants_only(site: Site) -> Value:
    """Elsewhere a choice is read; of anything else nothing is made."""
    for at in range(site.count):
        if site.has(at) and not isinstance(site.value(at), Constant):
            raise site.unsupported(site.value(at).describe(), "constants, or what a comparison gives")
    return evaluated(site)


RULES = {
    "Sign": Rule(_sign),
    **{kind: Rule(_compared, (), {"axis": None, "broadcast": 0}) for kind in COMPARISONS},
    **{kind: Rule(_constants_only, (), {}, ("axis", "broadcast", "consumed_inputs")) for kind in
       ("Abs", "And", "Equal", "Not", "Or", "Where")},
}  # fmt: skip
