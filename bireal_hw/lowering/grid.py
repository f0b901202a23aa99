"""From real numbers to the integers of the hardware: the arithmetic of everything that is moved to a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bireal_hw.errors import BirealError

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]

GAIN_MAX = 2**15 - 1
"""Largest gain of an affine: 16 bits signed."""
SUM_MAX = 2**46
"""What gain * x + bias stays below."""
LARGEST_WEIGHT = 127
"""Of a real-valued layer."""
SHIFT_MAX = 40
"""Largest right shift of an affine."""
NEAR = 2.0**-21
"""A quotient so close to a whole number, in proportion, is one: the constants of a file have 24 bits."""
NOISE = 2.0**-18
"""What float32 loses, in proportion to the largest term, in the few operations between two layers."""


def exponent(number: float) -> int | None:
    """The e of number = 2^e, or None.

    >>> exponent(0.25), exponent(3.0), exponent(-2.0)
    (-2, None, None)
    """
    mantissa, power = math.frexp(number)
    return power - 1 if mantissa == 0.5 else None


def thresholds(gain: Floats, add: Floats, low: int, high: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return (theta, turned): gain*x + add >= 0 is x >= theta, or its opposite where turned, for whole x in low..high.

    A threshold between two whole numbers is rounded up, which changes nothing. A gain of 0 makes a constant bit.

    >>> thresholds(np.array([2.0, -2.0, 0.0, 0.0]), np.array([-3.0, -4.0, 1.0, -1.0]), -8, 7)
    (array([ 2, -1, -8,  8], dtype=int32), array([False,  True, False, False]))
    """
    turned = gain < 0
    bound = crossing(gain, add, low, high)
    theta = np.where(turned, np.floor(bound) + 1, np.ceil(bound))
    return np.clip(theta, low, high + 1).astype(np.int32), turned


def crossing(gain: Floats, add: Floats, low: int, high: int) -> Floats:
    """Where gain*x + add is 0, between low - 1 and high + 1; for a gain of 0 the end that makes its bit constant."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bound = -add / gain
    bound = np.where(gain == 0, np.where(add >= 0, low, high + 1), np.clip(bound, low - 1, high + 1))
    whole = np.round(bound)
    return np.where(np.abs(bound - whole) <= NEAR * np.maximum(np.abs(bound), 1), whole, bound)


def near_whole(gain: Floats, add: Floats) -> NDArray[np.bool_]:
    """Where -add / gain is so near to a whole number, without being it, that float32 may take it for that."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bound = -add / gain
        return np.asarray(
            (bound != np.round(bound)) & (np.abs(bound - np.round(bound)) <= NEAR * np.maximum(np.abs(bound), 1))
        )


def as_integers(array: Floats, what: str) -> NDArray[np.int32]:
    """Turn whole numbers into int32; raises BirealError, naming what they are, when one is not whole or too large."""
    whole = np.round(array)
    if np.any(whole != array) or np.any(np.abs(whole) >= 2.0**31):
        bad = array[(whole != array) | (np.abs(whole) >= 2.0**31)][0]
        raise BirealError(f"{what} is {bad} units of its grid, not a whole number below 2^31")
    return whole.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Fit:
    """gain*x + add in units of an output, as (gain*x + bias) >> shift without anything that rounds.

    Attributes:
        gain, bias: (C,) integers.
        shift: right shift.
        error: most that it differs from the real numbers, in units of the output; 0 where they are the same.
    """

    gain: Integers
    bias: Integers
    shift: int
    error: float


def fit(gain: Floats, add: Floats, low: int, high: int) -> Fit | None:
    """Find the integers nearest to an affine: exact with the smallest shift, else with the largest one.

    Args:
        gain: (C,) in units of the output per unit of x.
        add: (C,) in units of the output.
        low: least x.
        high: largest x.

    Returns:
        The integers, or None where a gain is too large for 16 bits.

    >>> f = fit(np.array([0.75]), np.array([1.0]), -8, 7)
    >>> f.gain, f.bias, f.shift, f.error
    (array([3]), array([4]), 2, 0.0)
    """
    reach = max(abs(low), abs(high))

    def at(shift: int) -> tuple[Floats, Floats]:
        return np.round(gain * 2.0**shift), np.round(add * 2.0**shift)

    def fits(g: Floats, h: Floats) -> bool:
        return bool(np.abs(g).max() <= GAIN_MAX and (np.abs(g) * reach + np.abs(h)).max() < SUM_MAX)

    most = next((shift for shift in range(SHIFT_MAX, -1, -1) if fits(*at(shift))), None)
    if most is None:
        return None
    for shift in range(most + 1):
        g, h = at(shift)
        if np.array_equal(g, gain * 2.0**shift) and np.array_equal(h, add * 2.0**shift):
            break
    error = np.abs(gain - g * 2.0**-shift) * reach + np.abs(add - h * 2.0**-shift)
    return Fit(g.astype(np.int64), h.astype(np.int64), shift, float(error.max()))


def weight_integers(weights: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Round weights (Cout, Cin, k, k) or (Cout, Cin) to 8 bits, with one step for each output channel.

    Each window keeps its sum, but for half a step; where a window is one weight, the weights of an output channel do.
    What is equal under a window, as neighbouring pixels nearly are, is then multiplied with next to no error. The
    weights nearest to the middle of two steps go to the other one for it.

    Returns:
        The integers, at most 127 in magnitude, and the (Cout,) steps.
    """
    flat = np.abs(weights.reshape(len(weights), -1)).max(1)
    step = np.where(flat > 0, flat / LARGEST_WEIGHT, 1.0)
    exact = weights / step.reshape(-1, *[1] * (weights.ndim - 1))
    window = int(np.prod(weights.shape[2:]))
    exact = exact.reshape(-1, window if window > 1 else weights[0].size)
    whole = np.round(exact)
    for row, rounded in zip(exact, whole, strict=True):
        left = row - rounded
        more = round(float(left.sum()))
        towards = np.argsort(-np.sign(more) * left, kind="stable")[: abs(more)]
        rounded[towards] += np.sign(more)
    np.clip(whole, -LARGEST_WEIGHT, LARGEST_WEIGHT, out=whole)
    return whole.reshape(weights.shape).astype(np.int64), step
